//! options -> plan -> run; nothing else.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use ringcached::operate::log::{self, Level};
use ringcached::operate::pidfile::PidFile;
use ringcached::operate::signals::Signals;
use ringcached::operate::{daemon, limits, privileges};
use ringcached::options::{self, Asked, Machine, Options};

/// Exit status when the system refuses something (`EX_OSERR` of `sysexits.h`), as memcached's.
const EXIT_SYSTEM: u8 = 71;

fn main() -> ExitCode {
    match options::parse(std::env::args_os(), &Machine::probe()) {
        Ok(Asked::Serve(options)) => match serve(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&*error, EXIT_SYSTEM),
        },
        Ok(Asked::Show(text)) => {
            // A reader that has seen enough (`ringcached -h | head`) is no error.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, error.exit_status()),
    }
}

/// Says why and ends.
fn fail(error: &dyn Error, status: u8) -> ExitCode {
    log::line(Level::Always, format_args!("{error}"));
    ExitCode::from(status)
}

/// Prepares the process, then serves until told to stop.
fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let _pid_file = prepare(options)?;
    let _signals = Signals::block()?;
    // Here the shards start; then `signals.wait()` sleeps until they are to stop.
    writeln!(std::io::stdout(), "{options:#?}")?;
    Ok(())
}

/// Limits, background, user and pid file, in the one order that works: errors while there is a terminal to see them,
/// the fork before memory is locked, everything that needs root before root is given up, the pid file last so that it
/// belongs to the user who removes it. No thread runs yet.
fn prepare(options: &Options) -> Result<Option<PidFile>, Box<dyn Error>> {
    log::set_verbosity(options.verbosity);
    for warning in &options.warnings {
        log::line(Level::Always, format_args!("warning: {warning}"));
    }
    limits::raise_open_files(options.conn_limit, options.cores.len())?;
    let locked_limit_bytes = limits::raise_locked_memory()?;
    if options.core_dumps {
        privileges::raise_core_limit()?;
    }
    let account = account(options)?;
    if options.daemonize {
        daemon::detach(options.core_dumps, options.verbosity > 0)?;
    }
    if options.lock_memory
        && let Err(error) = privileges::lock_memory(options.memory_limit_bytes as u64, locked_limit_bytes)
    {
        log::line(Level::Always, format_args!("warning: {error}"));
    }
    if let Some(account) = account {
        account.assume()?;
        if options.core_dumps {
            privileges::stay_dumpable()?;
        }
    }
    options.pid_file.as_deref().map(write_pid_file).transpose()
}

/// The user to become, if there is a choice.
fn account(options: &Options) -> Result<Option<privileges::Account>, privileges::PrivilegeError> {
    match (&options.user, privileges::is_root()) {
        (Some(user), true) => privileges::look_up(user).map(Some),
        (Some(user), false) => {
            log::line(
                Level::Always,
                format_args!("warning: -u {user} is ignored: only root can switch users"),
            );
            Ok(None)
        }
        (None, true) => {
            log::line(Level::Always, format_args!("warning: running as root; -u names a user to switch to"));
            Ok(None)
        }
        (None, false) => Ok(None),
    }
}

/// Writes the pid file, with a warning if another process seems to own it.
fn write_pid_file(path: &Path) -> Result<PidFile, Box<dyn Error>> {
    if let Some(pid) = PidFile::living_owner(path) {
        let shown = path.display();
        log::line(
            Level::Always,
            format_args!("warning: -P {shown} names process {pid}, which is still running"),
        );
    }
    Ok(PidFile::write(path)?)
}
