//! The table of options: one row each, the only place where an option is described. Letters, long names and meanings
//! are those of memcached 1.6.45; what is ours has a long name only. The rows of network and memory stand in `network` and `memory`,
//! those of steering with their checks in `steering`.

mod memory;
mod network;

use super::listen::CONGESTION;
use super::log_format::LOG_FORMAT;
use super::spec::{Category, OptionSpec, Takes};
use super::steering::{ADVERTISE, PARTITION, SHARD_PORTS, SOURCE_PORT, STEER};

pub use memory::*;
pub use network::*;

/// Most shards one process runs: each pair of them shares a queue, so their number enters as a square.
pub const SHARDS_MAX: usize = 256;

/// Every option, in the order of the usage text within each category.
pub const TABLE: &[&OptionSpec] = &[
    &PORT,
    &UDP_PORT,
    &LISTEN,
    &UNIX_SOCKET,
    &UNIX_MASK,
    &STEER,
    &SHARD_PORTS,
    &SOURCE_PORT,
    &ADVERTISE,
    &ADMIN,
    &PROTOCOL,
    &CONGESTION,
    &AUTH_FILE,
    &ENABLE_SASL,
    &CONN_LIMIT,
    &LISTEN_BACKLOG,
    &MAX_REQS_PER_EVENT,
    &MEMORY_LIMIT,
    &DISABLE_EVICTIONS,
    &MAX_ITEM_SIZE,
    &MAX_KEY_SIZE,
    &SLAB_GROWTH_FACTOR,
    &SLAB_MIN_SIZE,
    &DISABLE_CAS,
    &ENABLE_LARGEPAGES,
    &LOCK_MEMORY,
    &THREADS,
    &CORES,
    &PARTITION,
    &BUSY_POLL,
    &ENABLE_SHUTDOWN,
    &DISABLE_FLUSH_ALL,
    &DISABLE_DUMPING,
    &DISABLE_WATCH,
    &PREFIX_DELIMITER,
    &SLOW_LOG,
    &USER,
    &DAEMON,
    &PIDFILE,
    &ENABLE_COREDUMPS,
    &EXTENDED,
    &CONFIG,
    &VERBOSE,
    &LOG_FORMAT,
    &PRINT_CONFIG,
    &HELP,
    &VERSION,
    &LICENSE,
    &MEMORY_FILE,
    &ENABLE_SSL,
    &NAPI_IDS,
];

/// `-t`
pub const THREADS: OptionSpec = OptionSpec {
    short: Some('t'),
    long: "threads",
    takes: Takes::Integer { name: "num", min: 1, max: SHARDS_MAX as i64 },
    category: Category::Cores,
    default: "one for each core this process may run on",
    summary: "shards, each a thread pinned to a core",
    details: "More shards than cores share the cores, with a warning.",
};

/// `--cores`
pub const CORES: OptionSpec = OptionSpec {
    short: None,
    long: "cores",
    takes: Takes::Text {
        name: "list",
        allowed: "a list of core numbers and ranges such as `0-3,8`, each core once and among those this process may \
                  run on",
    },
    category: Category::Cores,
    default: "the allowed cores, one hardware thread of each physical core first",
    summary: "the cores of the shards, e.g. 0-3,8",
    details: "Shard 0 runs on the first, shard 1 on the next. With a smaller -t the rest of the list stays unused.",
};

/// `--busy-poll`
pub const BUSY_POLL: OptionSpec = OptionSpec {
    short: None,
    long: "busy-poll",
    takes: Takes::Integer { name: "usec", min: 0, max: 1_000_000 },
    category: Category::Cores,
    default: "0",
    summary: "look for requests so many microseconds before going to sleep; 0 = sleep at once",
    details: "Trades a core's time for the time of waking up. From Linux 6.9 on the kernel then also polls the queues of the network \
              card while it waits. For cores that nobody else needs.",
};

/// `-A`
pub const ENABLE_SHUTDOWN: OptionSpec = OptionSpec {
    short: Some('A'),
    long: "enable-shutdown",
    takes: Takes::Nothing,
    category: Category::Commands,
    default: "",
    summary: "allow the shutdown command",
    details: "",
};

/// `-F`
pub const DISABLE_FLUSH_ALL: OptionSpec = OptionSpec {
    short: Some('F'),
    long: "disable-flush-all",
    takes: Takes::Nothing,
    category: Category::Commands,
    default: "",
    summary: "refuse the flush_all command",
    details: "",
};

/// `-X`
pub const DISABLE_DUMPING: OptionSpec = OptionSpec {
    short: Some('X'),
    long: "disable-dumping",
    takes: Takes::Nothing,
    category: Category::Commands,
    default: "",
    summary: "refuse commands that list keys",
    details: "They are `lru_crawler metadump`, `lru_crawler mgdump`, `stats cachedump`, `stats detail`, `stats slowlog`, \
              `stats hotkeys` and `stats bigkeys`.",
};

/// `-W`
pub const DISABLE_WATCH: OptionSpec = OptionSpec {
    short: Some('W'),
    long: "disable-watch",
    takes: Takes::Nothing,
    category: Category::Commands,
    default: "",
    summary: "refuse the watch command",
    details: "",
};

/// `-D`
pub const PREFIX_DELIMITER: OptionSpec = OptionSpec {
    short: Some('D'),
    long: "prefix-delimiter",
    takes: Takes::Text { name: "char", allowed: "one ASCII character" },
    category: Category::Commands,
    default: "`:`, and nothing is counted before `stats detail on`",
    summary: "count requests by key prefix, which ends at this character",
    details: "For `stats detail dump`. memcached has the letter only.",
};

/// `--slow-log`
pub const SLOW_LOG: OptionSpec = OptionSpec {
    short: None,
    long: "slow-log",
    takes: Takes::Integer { name: "usec", min: 0, max: 1_000_000_000 },
    category: Category::Commands,
    default: "0",
    summary: "remember requests that took so many microseconds; 0 = none",
    details: "The latest 64 of each shard, for `stats slowlog`: docs/operating.md. The clock is then looked at once for each \
              batch of requests of a connection, which is why it is off unless asked for.",
};

/// `-u`
pub const USER: OptionSpec = OptionSpec {
    short: Some('u'),
    long: "user",
    takes: Takes::Text { name: "user", allowed: "the name of a user" },
    category: Category::Process,
    default: "",
    summary: "switch to this user when started as root",
    details: "Started as root without it, memcached refuses; ringcached serves, with a warning.",
};

/// `-d`
pub const DAEMON: OptionSpec = OptionSpec {
    short: Some('d'),
    long: "daemon",
    takes: Takes::Nothing,
    category: Category::Process,
    default: "",
    summary: "run in the background",
    details: "The working directory becomes `/` (unless -r), and relative paths are relative to that; standard error is \
              closed unless -v.",
};

/// `-P`
pub const PIDFILE: OptionSpec = OptionSpec {
    short: Some('P'),
    long: "pidfile",
    takes: Takes::Text { name: "file", allowed: "the path of a file" },
    category: Category::Process,
    default: "",
    summary: "write the process id to this file",
    details: "With or without -d; the file is removed at exit.",
};

/// `-r`
pub const ENABLE_COREDUMPS: OptionSpec = OptionSpec {
    short: Some('r'),
    long: "enable-coredumps",
    takes: Takes::Nothing,
    category: Category::Process,
    default: "",
    summary: "raise the core file limit as far as allowed",
    details: "",
};

/// `-o`
pub const EXTENDED: OptionSpec = OptionSpec {
    short: Some('o'),
    long: "extended",
    takes: Takes::List { name: "key[=value]", allowed: "a list of keys, each with or without `=value`" },
    category: Category::Process,
    default: "",
    summary: "extended options, separated by commas; repeatable",
    details: "Listed below.",
};

/// `--config`
pub const CONFIG: OptionSpec = OptionSpec {
    short: None,
    long: "config",
    takes: Takes::Text { name: "file", allowed: "the path of a file" },
    category: Category::Process,
    default: "",
    summary: "read options from this file; the command line wins",
    details: "TOML: each key is a long option with `_` for `-`, the keys of -o stand in the table `[extended]`. A key that does \
              not exist or a value that is not allowed ends the start with the number of its line. SIGHUP reads the file \
              again, as the user of -u. --print-config writes a commented one.",
};

/// `--print-config`
pub const PRINT_CONFIG: OptionSpec = OptionSpec {
    short: None,
    long: "print-config",
    takes: Takes::Nothing,
    category: Category::Information,
    default: "",
    summary: "check all options and print them as a file for --config",
    details: "Every key is in it with its meaning, limits and default; those that are not set are commented out.",
};

/// `-v`
pub const VERBOSE: OptionSpec = OptionSpec {
    short: Some('v'),
    long: "verbose",
    takes: Takes::Repetition,
    category: Category::Information,
    default: "",
    summary: "say more on standard error; -vv and -vvv say even more",
    details: "`--verbose=x` counts once whatever x is, as in memcached.",
};

/// `-h`
pub const HELP: OptionSpec = OptionSpec {
    short: Some('h'),
    long: "help",
    takes: Takes::Nothing,
    category: Category::Information,
    default: "",
    summary: "print this text",
    details: "",
};

/// `-V`
pub const VERSION: OptionSpec = OptionSpec {
    short: Some('V'),
    long: "version",
    takes: Takes::Nothing,
    category: Category::Information,
    default: "",
    summary: "print the version",
    details: "",
};

/// `-i`
pub const LICENSE: OptionSpec = OptionSpec {
    short: Some('i'),
    long: "license",
    takes: Takes::Nothing,
    category: Category::Information,
    default: "",
    summary: "print the licence",
    details: "",
};

/// `-e`
pub const MEMORY_FILE: OptionSpec = OptionSpec {
    short: Some('e'),
    long: "memory-file",
    takes: Takes::Text { name: "file", allowed: "the path of a file" },
    category: Category::Unsupported,
    default: "",
    summary: "item memory that survives a restart; refused",
    details: "",
};

/// `-Z`
pub const ENABLE_SSL: OptionSpec = OptionSpec {
    short: Some('Z'),
    long: "enable-ssl",
    takes: Takes::Nothing,
    category: Category::Unsupported,
    default: "",
    summary: "TLS; refused",
    details: "",
};

/// `-N`
pub const NAPI_IDS: OptionSpec = OptionSpec {
    short: Some('N'),
    long: "napi-ids",
    takes: Takes::Integer { name: "num", min: 1, max: SHARDS_MAX as i64 },
    category: Category::Unsupported,
    default: "",
    summary: "connections to threads by receive queue; refused",
    details: "",
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn letters_and_names_are_unique() {
        let mut names = HashSet::new();
        for spec in TABLE {
            assert!(names.insert(spec.long.to_string()), "--{} twice", spec.long);
            if let Some(letter) = spec.short {
                assert!(names.insert(format!("-{letter}")), "-{letter} twice");
            }
        }
    }

    #[test]
    fn every_letter_of_memcached_has_a_row() {
        // The option string of memcached 1.6.45, with -D which has no long name there.
        for letter in "aApsUmMchikvVdrltuDfnRCbBFXWIZSoYeLPN".chars() {
            assert!(TABLE.iter().any(|spec| spec.short == Some(letter)), "-{letter} has no row");
        }
    }

    #[test]
    fn what_is_ours_has_no_letter() {
        for spec in [
            &ADMIN,
            &CONFIG,
            &CORES,
            &MAX_KEY_SIZE,
            &PARTITION,
            &STEER,
            &SHARD_PORTS,
            &SOURCE_PORT,
            &ADVERTISE,
            &LOG_FORMAT,
            &SLOW_LOG,
            &BUSY_POLL,
        ] {
            assert_eq!(spec.short, None);
        }
    }
}
