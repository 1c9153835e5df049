//! options -> plan -> run; nothing else. (`ringcached top` is a client, and a crate of its own.)

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringcached::net::passed::PassedError;
use ringcached::net::{heap, probe};
use ringcached::operate::config::Source;
use ringcached::operate::log::{self, Level};
use ringcached::operate::pidfile::PidFile;
use ringcached::operate::reload::Reload;
use ringcached::operate::service::Service;
use ringcached::operate::signals::{self, Request, Signals};
use ringcached::operate::sockets::Sockets;
use ringcached::operate::stats::{Ports, Reporter};
use ringcached::operate::users::{Users, UsersError};
use ringcached::operate::{addresses, admin, daemon, limits, memory, panics, portfile, privileges, seccomp};
use ringcached::options::{Asked, Authentication, Given, NAME_AND_VERSION, Options};
use ringcached::protocol::Limits;
use ringcached::shard::clock::Clock;
use ringcached::shard::live::Live;
use ringcached::shard::nodes::Nodes;
use ringcached::shard::plan::Plan;
use ringcached::shard::settings::{self, Settings};
use ringcached::shard::start::{Running, start};
use ringcached::store::{Hasher, HugePages, LIMIT_MIN_BYTES, StoreConfig};

/// Exit status when the system refuses something (`EX_OSERR` of `sysexits.h`), as memcached's.
const EXIT_SYSTEM: u8 = 71;

/// Exit status when what was asked for does not go together (`EX_USAGE`): another start would not mend it.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    #[cfg(feature = "top")]
    {
        let mut words = std::env::args_os().skip(1).peekable();
        if words.peek().is_some_and(|word| word == "top") {
            return ringcached_top::main(words);
        }
    }
    log::set_format(None);
    panics::abort_on_panic();
    let source = Source::here();
    let asked = source.read().and_then(|given| Ok((given.asked(&source.machine)?, given)));
    match asked {
        Ok((Asked::Serve(options), given)) => match serve(*options, source, given) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is::<PassedError>() => fail(&*error, EXIT_USAGE),
            Err(error) => fail(&*error, EXIT_SYSTEM),
        },
        Ok((Asked::Show(text), _)) => {
            // A reader that has seen enough (`ringcached -h | head`) is no error.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, error.exit_status()),
    }
}

/// A shard cannot go on: ends the process, so that whoever watches it starts it again.
fn ring_failed(shard: usize, error: &std::io::Error) {
    log::line(Level::Error, format_args!("shard {shard}: io_uring failed ({error}): the server ends"));
    std::process::exit(EXIT_SYSTEM.into());
}

/// Says why and ends.
fn fail(error: &dyn Error, status: u8) -> ExitCode {
    log::line(Level::Error, format_args!("{error}"));
    ExitCode::from(status)
}

/// Prepares the process, then serves until told to stop.
fn serve(options: Options, source: Source, given: Given) -> Result<(), Box<dyn Error>> {
    heap::keep_little();
    probe::kernel()?;
    let users = users(&options)?;
    let _pid_file = prepare(&options)?;
    let signals = Signals::block()?;
    let cores = affordable_cores(&options)?;
    let plan = Plan::new(
        cores.len(),
        options.memory_limit_bytes,
        options.key_size_max_bytes,
        !options.udp.is_empty(),
        memory::mapped_file_bytes(),
    );
    let plan = plan.with_watchers(options.watcher_log_bytes);
    let plan = if options.admin.is_some() { plan.with_admin() } else { plan };
    let sockets = Sockets::open(&options, cores.len())?;
    privileges::give_up()?;
    let names = sockets.names();
    let hasher = Hasher::random();
    let (large_pages, system_calls_limited) = (options.large_pages, options.drop_privileges);
    let store = store_config(&options, &plan, &hasher);
    let first_port = |bound: &[SocketAddr]| bound.first().map_or(0, SocketAddr::port);
    let (bound, notices) = (sockets.bound, sockets.notices);
    let ports = Ports { tcp: first_port(&bound.tcp), udp: first_port(&bound.udp) };
    let nodes = nodes(&options, bound.node_ports(cores.len()));
    let live = Arc::new(live(&options));
    let mut reload = Reload::new(source, given, live.clone(), users.clone(), cores.len(), store.limits());
    let reporter = Arc::new(Reporter::new(options.clone(), ports, live.clone()));
    let admin = (!sockets.admin.is_empty()).then(|| admin::task(sockets.admin, reporter.clone()));
    let settings = settings(options, reporter, nodes, hasher, users, live);
    let running = start(&cores, plan, &store, Arc::new(settings), sockets.shards, admin)?;
    portfile::write_if_asked(&bound, cores.len())?;
    if system_calls_limited {
        seccomp::confine()?;
    }
    let listens = format!("listens on {names} with {} shards", cores.len());
    log::line(Level::Always, format_args!("{NAME_AND_VERSION} {listens}"));
    log::line(Level::Always, format_args!("{plan}"));
    say_about_memory(&plan, large_pages);
    for notice in &notices {
        log::line(Level::Warning, format_args!("{notice}"));
    }
    for notice in &running.notices {
        log::line(Level::Always, format_args!("{notice}"));
    }
    let mut service = Service::default();
    service.ready(&listens, &running);
    wait_for_stop(&signals, &running, &mut service, &mut reload)?;
    service.stopping();
    log::finish();
    Ok(running.stop()?)
}

/// What the main thread does while the shards serve: it reads files again, and gives signs of life.
fn wait_for_stop(
    signals: &Signals,
    running: &Running,
    service: &mut Service,
    reload: &mut Reload,
) -> Result<(), Box<dyn Error>> {
    loop {
        match signals.wait_until(service.next_sign())? {
            None => service.sign_of_life(running),
            Some(Request::Reload) => {
                service.reloading();
                reload.run();
                service.reloaded();
            }
            Some(Request::Stop | Request::StopGracefully) => return Ok(()),
        }
    }
}

/// Who may use the server, if not everybody. Read before the process goes to the background and gives up root: an error
/// still has a terminal, and a relative path is still where it was typed.
fn users(options: &Options) -> Result<Option<Arc<Users>>, UsersError> {
    let load = |authentication: &Authentication| Users::load(authentication.users_file()).map(Arc::new);
    options.authentication.as_ref().map(load).transpose()
}

/// What the kernel makes of the plan.
fn say_about_memory(plan: &Plan, large_pages: bool) {
    log::line(Level::Always, format_args!("{}", memory::page_sizes(large_pages)));
    let available_bytes = memory::available_bytes();
    if let Some(warning) =
        memory::too_much(plan.limit_bytes as u64, plan.fixed_bytes() as u64, available_bytes)
    {
        log::line(Level::Warning, format_args!("{warning}"));
    }
}

/// The cores of the shards: fewer than asked for where `-m` does not give each enough to work with. Not where each has a
/// port: clients list it.
fn affordable_cores(options: &Options) -> Result<Vec<usize>, String> {
    let most = (options.memory_limit_bytes / LIMIT_MIN_BYTES).max(1);
    let cores: Vec<usize> = options.cores.iter().copied().take(most).collect();
    if cores.len() < options.cores.len() {
        let (few, asked) = (cores.len(), options.cores.len());
        if let Some(address) = options.shard_ports.first() {
            let (first, last) = (usize::from(address.port) + few, usize::from(address.port) + asked - 1);
            return Err(format!(
                "--shard-ports: -m is enough for {few} of {asked} shards, so there would be no shard for the ports {first} \
                 to {last}: raise -m to {} or lower -t to {few}",
                (LIMIT_MIN_BYTES * asked).div_ceil(1 << 20)
            ));
        }
        log::line(Level::Always, format_args!("-m is too small for {asked} shards: starting {few}"));
    }
    Ok(cores)
}

/// What the store of each shard is made from.
fn store_config(options: &Options, plan: &Plan, hasher: &Hasher) -> StoreConfig {
    StoreConfig {
        limit_bytes: plan.store_bytes,
        limit_max_bytes: limit_max_bytes(options, plan),
        key_len_max: options.key_size_max_bytes,
        item_size_max: item_size_max(options, plan),
        growth_factor: options.growth_factor,
        min_item_bytes: options.item_size_min_bytes,
        evict: options.evict,
        cas: options.cas,
        hasher: hasher.clone(),
        huge_pages: if options.large_pages { HugePages::Explicit } else { HugePages::Transparent },
    }
}

/// How far `cache_memlimit` may raise a shard's limit: its share of the memory there is. Explicit huge pages are set aside at the
/// start, so there it may not.
fn limit_max_bytes(options: &Options, plan: &Plan) -> usize {
    let share = memory::available_bytes() as usize / plan.shards;
    if options.large_pages { plan.store_bytes } else { share.max(plan.store_bytes) }
}

/// `-I`, or half of what a shard has if that is less: a larger item would empty the shard and still not fit.
fn item_size_max(options: &Options, plan: &Plan) -> usize {
    let most = plan.store_bytes / 2;
    if options.item_size_max_bytes > most {
        let asked = options.item_size_max_bytes;
        let text = "is more than half of a shard's memory, so items may have";
        log::line(Level::Warning, format_args!("-I {asked} {text} {most} bytes (raise -m or lower -t)"));
    }
    options.item_size_max_bytes.min(most)
}

/// What may change at SIGHUP.
fn live(options: &Options) -> Live {
    Live::new(
        options.conn_limit,
        options.requests_per_turn,
        options.idle_timeout_s,
        options.memory_limit_bytes as u64,
    )
}

/// What all shards read and none writes.
fn settings(
    options: Options,
    reporter: Arc<Reporter>,
    nodes: Option<Nodes>,
    hasher: Hasher,
    users: Option<Arc<Users>>,
    live: Arc<Live>,
) -> Settings {
    let limits = Limits {
        flush_allowed: options.allow_flush_all,
        shutdown_allowed: options.allow_shutdown,
        dumping_allowed: options.allow_dumping,
        watch_allowed: options.allow_watch,
        key_len_max: options.key_size_max_bytes,
    };
    Settings {
        hasher,
        partition: options.partition,
        limits,
        protocol: options.protocol,
        users: users.map(|users| -> Box<settings::Users> {
            Box::new(move |user, password| users.check(user, password))
        }),
        prefix_delimiter: options.prefix_delimiter,
        count_prefixes: options.count_prefixes,
        refuse_when_full: options.maxconns_fast,
        worker_log_bytes: options.worker_log_bytes,
        watcher_log_bytes: options.watcher_log_bytes,
        busy_poll: Duration::from_micros(options.busy_poll_us.into()),
        slow_log: Duration::from_micros(options.slow_log_us.into()),
        set_verbosity: log::set_verbosity,
        say: |words| log::line(Level::Verbose, format_args!("{words}")),
        shutdown: signals::stop_this_process,
        nodes,
        ring_failed,
        clock: Clock::system(),
        live,
        stopping: AtomicBool::new(false),
        report: Box::new(move |query, shards| reporter.render(query, shards)),
    }
}

/// What clients that look for servers are told.
fn nodes(options: &Options, ports: Vec<u16>) -> Option<Nodes> {
    let advertised = options.advertise.as_ref().map(|host| {
        let ip = addresses::of_advertised(host).map(|ip| ip.to_string()).unwrap_or_else(|error| {
            let text = "cannot be resolved here, so clients are told the name in place of its address";
            log::line(Level::Warning, format_args!("--advertise {host}: {text} ({error})"));
            host.clone()
        });
        (host.clone(), ip)
    });
    let started_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let with_key = advertised.is_some() || !options.shard_ports.is_empty();
    (!ports.is_empty()).then_some(Nodes { version: started_s, advertised, ports, with_key })
}

/// Limits, background, user and pid file, in the one order that works: errors while there is a terminal to see them,
/// the fork before memory is locked, everything that needs root but the sockets before root is given up, the pid file last so
/// that it belongs to the user who removes it. No thread runs yet.
fn prepare(options: &Options) -> Result<Option<PidFile>, Box<dyn Error>> {
    log::set_verbosity(options.verbosity);
    log::set_format(options.log_format);
    for warning in &options.warnings {
        log::line(Level::Warning, format_args!("{warning}"));
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
        log::line(Level::Warning, format_args!("{error}"));
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
            log::line(Level::Warning, format_args!("-u {user} is ignored: only root can switch users"));
            Ok(None)
        }
        (None, true) => {
            log::line(Level::Warning, format_args!("running as root; -u names a user to switch to"));
            Ok(None)
        }
        (None, false) => Ok(None),
    }
}

/// Writes the pid file, with a warning if another process seems to own it.
fn write_pid_file(path: &Path) -> Result<PidFile, Box<dyn Error>> {
    if let Some(pid) = PidFile::living_owner(path) {
        let shown = path.display();
        log::line(Level::Warning, format_args!("-P {shown} names process {pid}, which is still running"));
    }
    Ok(PidFile::write(path)?)
}
