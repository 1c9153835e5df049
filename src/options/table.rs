//! The table of options: one row each, the only place where an option is described. Letters, long names and meanings
//! are those of memcached 1.6.45; what is ours has a long name only. The rows of steering stand with their checks in `steering`.

use super::listen::CONGESTION;
use super::log_format::LOG_FORMAT;
use super::spec::{Category, OptionSpec, Takes};
use super::steering::{ADVERTISE, PARTITION, SHARD_PORTS, SOURCE_PORT, STEER};

/// Most shards one process runs: each pair of them shares a queue, so their number enters as a square.
pub const SHARDS_MAX: usize = 256;

/// Largest `-m`, 16 TiB: beyond any machine, and far from where bytes overflow 64 bits.
const MEMORY_LIMIT_MAX_MIB: i64 = 16 << 20;

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
    &ENABLE_SHUTDOWN,
    &DISABLE_FLUSH_ALL,
    &DISABLE_DUMPING,
    &DISABLE_WATCH,
    &PREFIX_DELIMITER,
    &USER,
    &DAEMON,
    &PIDFILE,
    &ENABLE_COREDUMPS,
    &EXTENDED,
    &VERBOSE,
    &LOG_FORMAT,
    &HELP,
    &VERSION,
    &LICENSE,
    &MEMORY_FILE,
    &ENABLE_SSL,
    &NAPI_IDS,
];

/// `-p`
pub const PORT: OptionSpec = OptionSpec {
    short: Some('p'),
    long: "port",
    takes: Takes::Integer { name: "num", min: -1, max: 65535 },
    category: Category::Network,
    default: "11211",
    summary: "TCP port; 0 = no TCP, -1 = a free one",
    details: "With -1 the kernel chooses; the environment variable MEMCACHED_PORT_FILENAME names a file that will \
              hold the choice. 0 turns TCP off, whatever -l says.",
};

/// `-U`
pub const UDP_PORT: OptionSpec = OptionSpec {
    short: Some('U'),
    long: "udp-port",
    takes: Takes::Integer { name: "num", min: -1, max: 65535 },
    category: Category::Network,
    default: "0",
    summary: "UDP port; 0 = no UDP, -1 = a free one",
    details: "Given without -p it is the TCP port as well. Not together with authentication (-Y, -S): a datagram cannot \
              carry it. Off by default because an open UDP port is an amplifier for forged requests.",
};

/// `-l`
pub const LISTEN: OptionSpec = OptionSpec {
    short: Some('l'),
    long: "listen",
    takes: Takes::List {
        name: "addr",
        allowed: "a list of addresses separated by commas: `*`, a name, an IPv4 address or an [IPv6] address, each with \
                  or without `:port` from -1 to 65535",
    },
    category: Category::Network,
    default: "every address",
    summary: "addresses to listen on: host[:port],...; repeatable",
    details: "As memcached, every IPv4 and IPv6 address of the machine is listened on unless this says otherwise, so \
              name an address (`-l 127.0.0.1`) wherever the network is not trusted. An address without a port uses \
              the port of -p. With -U each address takes datagrams too, on the port of -U or on its own. memcached's \
              prefixes are understood: `proto[ascii]:`, `proto[binary]:` and `proto[negotiating]:` say what is spoken at \
              that address, whatever -B says; `notls:` and `tag[name]:` change nothing.",
};

/// `-s`
pub const UNIX_SOCKET: OptionSpec = OptionSpec {
    short: Some('s'),
    long: "unix-socket",
    takes: Takes::Text { name: "path", allowed: "a path of 1 to 107 bytes" },
    category: Category::Network,
    default: "",
    summary: "listen on this UNIX socket instead of TCP and UDP",
    details: "A socket file left over from an earlier run is replaced. 107 bytes is what the kernel's address holds.",
};

/// `-a`
pub const UNIX_MASK: OptionSpec = OptionSpec {
    short: Some('a'),
    long: "unix-mask",
    takes: Takes::Text { name: "octal", allowed: "an octal file mode from 0 to 777" },
    category: Category::Network,
    default: "700",
    summary: "file mode of the UNIX socket",
    details: "Not a umask, despite memcached's name for it: the mode itself.",
};

/// `-B`
pub const PROTOCOL: OptionSpec = OptionSpec {
    short: Some('B'),
    long: "protocol",
    takes: Takes::Text { name: "name", allowed: "`ascii`, `auto` or `binary`" },
    category: Category::Network,
    default: "auto",
    summary: "protocol: ascii, binary, or auto = by a connection's first byte",
    details: "A prefix of -l says otherwise for its address. With -Y alone the default is ascii and nothing else is \
              allowed, with -S alone it is binary.",
};

/// `-Y`
pub const AUTH_FILE: OptionSpec = OptionSpec {
    short: Some('Y'),
    long: "auth-file",
    takes: Takes::Text { name: "file", allowed: "the path of a file" },
    category: Category::Network,
    default: "",
    summary: "clients authenticate; users and passwords are in this file",
    details: "Lines of `user:password`, read at start and again at SIGHUP. A client's first command is a `set` of any key \
              whose value is `user password`. Only the text protocol is spoken then, as in memcached; together with -S both \
              are, and both check this file.",
};

/// `-S`
pub const ENABLE_SASL: OptionSpec = OptionSpec {
    short: Some('S'),
    long: "enable-sasl",
    takes: Takes::Nothing,
    category: Category::Network,
    default: "",
    summary: "clients of the binary protocol authenticate, by SASL PLAIN",
    details: "Users and passwords are in the file of -Y. Without -Y only the binary protocol is spoken, as in memcached, \
              and the environment variable MEMCACHED_SASL_PWDB names the file, of the same form.",
};

/// `-c`
pub const CONN_LIMIT: OptionSpec = OptionSpec {
    short: Some('c'),
    long: "conn-limit",
    takes: Takes::Integer { name: "num", min: 1, max: i32::MAX as i64 },
    category: Category::Network,
    default: "1024",
    summary: "most client connections at a time",
    details: "Together, not a shard. The limit of open files is raised to fit; a start where it cannot be raised is \
              refused.",
};

/// `-b`
pub const LISTEN_BACKLOG: OptionSpec = OptionSpec {
    short: Some('b'),
    long: "listen-backlog",
    takes: Takes::Integer { name: "num", min: 0, max: i32::MAX as i64 },
    category: Category::Network,
    default: "1024",
    summary: "connections that may wait to be accepted",
    details: "For each listening socket, and every shard has one. The kernel caps it at net.core.somaxconn.",
};

/// `-R`
pub const MAX_REQS_PER_EVENT: OptionSpec = OptionSpec {
    short: Some('R'),
    long: "max-reqs-per-event",
    takes: Takes::Integer { name: "num", min: 1, max: i32::MAX as i64 },
    category: Category::Network,
    default: "20",
    summary: "requests of one connection before others have their turn",
    details: "Bounds how long a client that pipelines can keep the others of its shard waiting.",
};

/// `-m`
pub const MEMORY_LIMIT: OptionSpec = OptionSpec {
    short: Some('m'),
    long: "memory-limit",
    takes: Takes::Integer { name: "MiB", min: 1, max: MEMORY_LIMIT_MAX_MIB },
    category: Category::Memory,
    default: "64, or 16 a shard if that is more",
    summary: "memory for items, their index included",
    details: "Divided evenly among the shards. The hash table lives inside of it, unlike memcached's.",
};

/// `-M`
pub const DISABLE_EVICTIONS: OptionSpec = OptionSpec {
    short: Some('M'),
    long: "disable-evictions",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "answer an error when memory is full instead of evicting",
    details: "",
};

/// `-I`
pub const MAX_ITEM_SIZE: OptionSpec = OptionSpec {
    short: Some('I'),
    long: "max-item-size",
    takes: Takes::Text {
        name: "size",
        allowed: "a number of bytes, or one followed by k, m or g, from 1k (1024) to 1g (1073741824)",
    },
    category: Category::Memory,
    default: "1m",
    summary: "largest item, in bytes or with k, m, g",
    details: "At most half of -m.",
};

/// `--max-key-size`
pub const MAX_KEY_SIZE: OptionSpec = OptionSpec {
    short: None,
    long: "max-key-size",
    takes: Takes::Integer { name: "bytes", min: 250, max: 65535 },
    category: Category::Memory,
    default: "250",
    summary: "longest key",
    details: "250 is memcached's limit, and client libraries check it themselves unless told otherwise. 65535 is what the \
              header of the binary protocol can say.",
};

/// `-f`
pub const SLAB_GROWTH_FACTOR: OptionSpec = OptionSpec {
    short: Some('f'),
    long: "slab-growth-factor",
    takes: Takes::Text { name: "factor", allowed: "a number greater than 1" },
    category: Category::Memory,
    default: "1.07",
    summary: "ratio of one slab class's chunk size to the next",
    details: "memcached's default is 1.25. Here it is smaller because more classes cost nothing: eviction spans all of \
              them. Up to 2 KiB, where most items are, the steps are half as wide again.",
};

/// `-n`
pub const SLAB_MIN_SIZE: OptionSpec = OptionSpec {
    short: Some('n'),
    long: "slab-min-size",
    takes: Takes::Integer { name: "bytes", min: 1, max: 512 << 10 },
    category: Category::Memory,
    default: "8",
    summary: "least room for key, value and flags in a chunk",
    details: "memcached's default is 48. Here it is 8 because the header of an item is half of memcached's, and a small \
              item should not be padded to a size its header no longer suggests. Not above -I.",
};

/// `-C`
pub const DISABLE_CAS: OptionSpec = OptionSpec {
    short: Some('C'),
    long: "disable-cas",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "no compare-and-swap: gets returns 0, cas always fails",
    details: "",
};

/// `-L`
pub const ENABLE_LARGEPAGES: OptionSpec = OptionSpec {
    short: Some('L'),
    long: "enable-largepages",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "use explicit huge pages for item memory",
    details: "They have to be set aside first (vm.nr_hugepages); where there are too few, transparent huge pages are \
              used, with a notice. Without this option transparent ones are used where the kernel allows it.",
};

/// `-k`
pub const LOCK_MEMORY: OptionSpec = OptionSpec {
    short: Some('k'),
    long: "lock-memory",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "lock all memory, so that none of it is paged out",
    details: "Needs root, CAP_IPC_LOCK or a limit of locked memory above -m (`ulimit -l`, LimitMEMLOCK=); refused by the \
              kernel, it is a warning.",
};

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
    details: "They are `lru_crawler metadump`, `lru_crawler mgdump`, `stats cachedump` and `stats detail`.",
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
        for spec in
            [&CORES, &MAX_KEY_SIZE, &PARTITION, &STEER, &SHARD_PORTS, &SOURCE_PORT, &ADVERTISE, &LOG_FORMAT]
        {
            assert_eq!(spec.short, None);
        }
    }
}
