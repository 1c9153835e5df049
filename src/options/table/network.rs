//! The rows of sockets, connections and who may connect.

use crate::options::spec::{Category, OptionSpec, Takes};

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

/// `--admin`
pub const ADMIN: OptionSpec = OptionSpec {
    short: None,
    long: "admin",
    takes: Takes::Text {
        name: "addr:port",
        allowed: "an address with its port: `*`, a name, an IPv4 address or an [IPv6] address, then `:port` from -1 to 65535",
    },
    category: Category::Network,
    default: "",
    summary: "HTTP for operators: /metrics, /healthz, /readyz",
    details: "Metrics in the text format of Prometheus, with the names of memcached_exporter and more by shard; whether every shard \
              turns; whether the server takes requests. See docs/operating.md. Anybody who reaches the address may read, so \
              name one that only operators reach. -1 and 0 take a free port.",
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
