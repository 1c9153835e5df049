//! SIGHUP: the configuration and the users file are read again. A configuration is checked as at the start and changes
//! nothing if anything in it is wrong. Settings that a running server can change it changes; of the others, and of those that
//! could not be changed, the log says so at every SIGHUP.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::config::Source;
use super::limits;
use super::log::{self, Level};
use super::users::Users;
use crate::options::{Asked, Change, Given, Key, OptionError, Options};
use crate::shard::live::Live;

/// What SIGHUP works on.
pub struct Reload {
    source: Source,
    /// What was asked for at the start. What cannot change live is compared with it.
    started: Given,
    /// What changes live, as it was put in force last; what is asked for is compared with it, so that a change by
    /// `cache_memlimit` or `verbosity` stays until the setting itself changes.
    in_force: Vec<(Key, String)>,
    live: Arc<Live>,
    users: Option<Arc<Users>>,
    shards: usize,
    /// The limits of memory that the store of a shard takes, in bytes.
    shard_limits: RangeInclusive<usize>,
}

impl Reload {
    /// For a server of so many shards that was started with `started`.
    pub fn new(
        source: Source,
        started: Given,
        live: Arc<Live>,
        users: Option<Arc<Users>>,
        shards: usize,
        shard_limits: RangeInclusive<usize>,
    ) -> Reload {
        let live_keys = Key::all().filter(|key| key.is_live());
        let in_force = live_keys.map(|key| (key, started.shown(key))).collect();
        Reload { source, started, in_force, live, users, shards, shard_limits }
    }

    /// Reads again what may have changed, and says what that means.
    pub fn run(&mut self) {
        if !self.started.has_file() && self.users.is_none() {
            return log::line(Level::Verbose, format_args!("SIGHUP: there is nothing to read again"));
        }
        if self.started.has_file() {
            match self.ask() {
                Ok((given, options)) => self.change(&given, &options),
                Err(error) => log::line(
                    Level::Error,
                    format_args!("SIGHUP: {error}; the settings are the same as before"),
                ),
            }
        }
        match self.users.as_deref().map(Users::reload) {
            None => {}
            Some(Ok(count)) => say(format_args!("{count} users are known now")),
            Some(Err(error)) => {
                log::line(Level::Error, format_args!("SIGHUP: {error}; the users are the same as before"))
            }
        }
    }

    /// What is asked for now, checked as at the start.
    fn ask(&self) -> Result<(Given, Options), OptionError> {
        let given = self.source.read()?;
        match given.asked(&self.source.machine)? {
            Asked::Serve(options) => Ok((given, *options)),
            // Questions are on the command line, and so were answered at the start.
            Asked::Show(text) => Err(OptionError::Conflict(text)),
        }
    }

    fn change(&mut self, given: &Given, options: &Options) {
        let fixed = given.changes_since(&self.started).into_iter().filter(|change| !change.key.is_live());
        let fixed = fixed.map(|Change { key, old, new }| format!("{}: {old} -> {new}", key.name()));
        let fixed: Vec<String> = fixed.collect();
        let asked: Vec<String> = self.in_force.iter().map(|(key, _)| given.shown(*key)).collect();
        if fixed.is_empty() && self.in_force.iter().zip(&asked).all(|((_, old), new)| old == new) {
            say(format_args!("the configuration is what it was"));
        }
        for (at, new) in asked.into_iter().enumerate() {
            self.put_in_force(at, new, options);
        }
        // One line, however many: the number of lines in a second is bounded.
        if !fixed.is_empty() {
            say(format_args!("restart to apply what does not change while it runs: {}", fixed.join("; ")));
        }
    }

    /// Changes the setting at this place of `in_force`, if it is another. One that is refused stays, and so is tried again.
    fn put_in_force(&mut self, at: usize, new: String, options: &Options) {
        let (key, old) = &self.in_force[at];
        if *old == new {
            return;
        }
        match self.apply(&key.name(), options) {
            Ok(()) => {
                say(format_args!("{}: {old} -> {new}", key.name()));
                self.in_force[at].1 = new;
            }
            Err(reason) => log::line(
                Level::Warning,
                format_args!("SIGHUP: {}: {old} -> {new} is not possible: {reason}", key.name()),
            ),
        }
    }

    /// Puts one setting in force; the reason if that is not possible.
    fn apply(&self, key: &str, options: &Options) -> Result<(), String> {
        match key {
            "conn_limit" => {
                limits::raise_open_files(options.conn_limit, self.shards)
                    .map_err(|error| error.to_string())?;
                self.live.set_connections_max(options.conn_limit);
            }
            "log_format" => log::set_format(options.log_format),
            "max_reqs_per_event" => self.live.set_requests_per_turn(options.requests_per_turn),
            "memory_limit" => {
                self.check_limit(options.memory_limit_bytes)?;
                self.live.set_limit_bytes(options.memory_limit_bytes as u64);
            }
            "verbose" => log::set_verbosity(options.verbosity),
            "extended.idle_timeout" => self.live.set_idle_timeout_s(options.idle_timeout_s),
            other => return Err(format!("nothing in here changes `{other}`")),
        }
        Ok(())
    }

    /// Whether the stores there are can have shares of this limit; the reason if not. Each rounds its share down, so it is
    /// shares that are compared.
    fn check_limit(&self, limit_bytes: usize) -> Result<(), String> {
        let (least, most) = (self.shard_limits.start() * self.shards, self.shard_limits.end() * self.shards);
        match limit_bytes / self.shards {
            share if share < *self.shard_limits.start() => Err(format!(
                "the {} shards there are need {} MiB at least: restart to apply",
                self.shards,
                least.div_ceil(1 << 20)
            )),
            share if share > *self.shard_limits.end() => {
                Err(format!("at the start room was reserved for {} MiB: restart to apply", most >> 20))
            }
            _ => Ok(()),
        }
    }
}

/// Lines of one caller are bounded, so each says its own.
#[track_caller]
fn say(text: std::fmt::Arguments<'_>) {
    log::line(Level::Always, format_args!("SIGHUP: {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_live_key_can_be_applied() {
        let source = Source::here();
        let given = Given::read(["ringcached"], |_| panic!("no file is named")).unwrap();
        let Ok(Asked::Serve(options)) = given.asked(&source.machine) else { panic!("defaults are refused") };
        let live = Arc::new(Live::new(1, 1, 1, 1));
        let reload = Reload::new(source, given, live.clone(), None, 1, 0..=options.memory_limit_bytes);
        // What the log is told is one for the whole process, and another test looks at it; tests/config.rs has these.
        let is_of_log = |key: &Key| ["log_format", "verbose"].contains(&key.name().as_str());
        for key in Key::all().filter(|key| key.is_live() && !is_of_log(key)) {
            assert_eq!(reload.apply(&key.name(), &options), Ok(()), "{}", key.name());
        }
        assert_eq!(live.connections_max(), options.conn_limit as usize);
        assert_eq!(live.requests_per_turn(), options.requests_per_turn);
        assert_eq!(live.idle_timeout_s(), options.idle_timeout_s);
        assert_eq!(live.limit_bytes(), options.memory_limit_bytes as u64);
        assert!(reload.apply("port", &options).is_err());
    }

    #[test]
    fn a_limit_is_one_that_each_shard_can_have() {
        const MIB: usize = 1 << 20;
        let (source, live) = (Source::here(), Arc::new(Live::new(1, 1, 1, 1)));
        let given = Given::read(["ringcached"], |_| panic!("no file is named")).unwrap();
        // As 3 shards have 64 MiB, and as the least of each makes 2 MiB.
        let reload = Reload::new(source, given, live, None, 3, 2 * MIB / 3..=64 * MIB / 3);
        for mib in [2, 32, 64] {
            assert_eq!(reload.check_limit(mib * MIB), Ok(()));
        }
        let reason = reload.check_limit(65 * MIB).unwrap_err();
        assert_eq!(reason, "at the start room was reserved for 63 MiB: restart to apply");
        let reason = reload.check_limit(MIB).unwrap_err();
        assert_eq!(reason, "the 3 shards there are need 2 MiB at least: restart to apply");
    }
}
