//! The command line, and the file with the login, which has no place in a list of processes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use crate::address::Address;

/// Limits of `--interval`, in seconds.
const INTERVAL_S: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// What to watch, and how.
#[derive(Clone, Debug)]
pub struct Args {
    /// The server.
    pub server: Address,
    /// From one sample to the next.
    pub interval: Duration,
    /// One frame as text.
    pub once: bool,
    /// The token of a text login, `user password`.
    pub login: Option<String>,
}

/// The parser. The server's manual page and completions are made from it too.
pub fn command() -> Command {
    Command::new("top")
        .bin_name("ringcached top")
        .about("A live view of a running server, made from its `stats` alone")
        .long_about(
            "A live view of a running server, made from its `stats` alone: requests by command, hit ratio, latency, shards, \
             memory by size class, hot keys, slow requests. Servers of memcached can be watched too; what they do not tell is \
             shown as absent. Tab and the arrows choose a pane, q ends, ? explains.",
        )
        .arg(
            Arg::new("server")
                .value_name("address")
                .default_value("127.0.0.1:11211")
                .value_parser(value_parser!(Address))
                .value_hint(ValueHint::Hostname)
                .help("the server: host, host:port, [IPv6]:port or the path of a UNIX socket"),
        )
        .arg(
            Arg::new("interval")
                .short('i')
                .long("interval")
                .value_name("seconds")
                .default_value("1")
                .value_parser(interval)
                .help("from one look to the next; 0.1 to 3600"),
        )
        .arg(
            Arg::new("once")
                .long("once")
                .action(ArgAction::SetTrue)
                .help("print one frame as text, of two looks, and end"),
        )
        .arg(
            Arg::new("login")
                .long("login")
                .value_name("file")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("log in with the first line of this file, user:password, as in the file of -Y"),
        )
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| INTERVAL_S.contains(seconds));
    let allowed = format!("must be a number from {} to {}", INTERVAL_S.start(), INTERVAL_S.end());
    seconds.map(Duration::from_secs_f64).ok_or(allowed)
}

impl Args {
    /// What was typed, with its login read.
    ///
    /// # Errors
    /// The file of the login cannot be read or has no `user:password`.
    pub fn read(matches: &ArgMatches) -> Result<Args, Box<dyn Error>> {
        let server = matches.get_one::<Address>("server").ok_or("no address")?;
        Ok(Args {
            server: server.clone(),
            interval: *matches.get_one::<Duration>("interval").ok_or("no interval")?,
            once: matches.get_flag("once"),
            login: matches.get_one::<PathBuf>("login").map(|path| login(path)).transpose()?,
        })
    }
}

fn login(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("--login `{shown}`: {error}"))?;
    let line = text.lines().next().unwrap_or_default();
    let (user, password) = line
        .split_once(':')
        .ok_or_else(|| format!("--login `{shown}`: its first line is no user:password"))?;
    Ok(format!("{user} {password}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Args, String> {
        let words = ["top"].iter().chain(words);
        let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        Args::read(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn clap_finds_the_command_consistent() {
        command().debug_assert();
    }

    #[test]
    fn nothing_needs_to_be_said() {
        let args = read(&[]).expect("defaults");
        assert_eq!(args.server.to_string(), "127.0.0.1:11211");
        assert_eq!((args.interval, args.once, args.login), (Duration::from_secs(1), false, None));
    }

    #[test]
    fn errors_name_the_value_and_what_is_allowed() {
        for (words, part) in [
            (&["--interval", "0"][..], "'0' for '--interval <seconds>': must be a number from 0.1 to 3600"),
            (&["-i", "NaN"], "'NaN'"),
            (&["a:b"], "'a:b' for '[address]': must be host, host:port"),
            (&["a", "b"], "unexpected argument 'b'"),
            (&["--login", "/nonexistent/file"], "--login `/nonexistent/file`: No such file"),
            (&["--login", "/dev/null"], "--login `/dev/null`: its first line is no user:password"),
        ] {
            let error = read(words).expect_err("refused");
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}
