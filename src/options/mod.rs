//! What was typed. One table (`table`) describes every option; clap parses by it (`command`), a configuration file is read and
//! written by it (`config`), `given` has the words of both, and `parse` turns them into `Options`, the typed form everything else is configured from. `-o`, `-l` and `--cores` have grammars of
//! their own (`extended`, `listen`, `cores`); `authentication` and `steering` are options that depend on each other. memcached's command lines work unchanged, getopt's habits included.
//!
//! Nothing in here prints, opens or looks up anything: errors and warnings are values, and what depends on the machine
//! comes in as a `Machine`. It is the bottom of the house and knows no other module.

pub mod authentication;
mod command;
mod config;
mod cores;
mod error;
pub mod extended;
mod given;
pub mod listen;
pub mod log_format;
mod parse;
// With the program, whose words are in it too.
#[cfg(all(test, feature = "top"))]
mod reference;
pub mod spec;
pub mod steering;
pub mod table;

use std::path::PathBuf;

pub use authentication::{Authentication, Protocol};
pub use command::NAME_AND_VERSION;
pub use config::Key;
pub use cores::{Machine, on_node_of};
pub use error::OptionError;
pub use given::{Change, Given};
pub use listen::{Host, ListenAddress};
pub use log_format::LogFormat;
pub use parse::Asked;
pub use steering::{Partition, Steer};

/// A command line, resolved: defaults filled in, limits checked, units applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where to listen: `-p`, `-l`, `-s`, `-a`.
    pub listen: Listen,
    /// Where shard 0 listens for connections that are its own, on one port: `--shard-ports`. Shard i listens on the port i
    /// above. Empty without.
    pub shard_ports: Vec<ListenAddress>,
    /// Where the port that a client comes from chooses its shard: `--source-port-steering`. Empty without.
    pub source_port: Vec<ListenAddress>,
    /// How connections to the addresses of `listen` find their shard: `--steer`.
    pub steer: Steer,
    /// TCP congestion control of accepted connections, if not the system's: `--congestion`.
    pub congestion: Option<String>,
    /// The host that `config get cluster` names: `--advertise`.
    pub advertise: Option<String>,
    /// Where HTTP for operators is spoken, if anywhere; the protocol does not matter there: `--admin`.
    pub admin: Option<ListenAddress>,
    /// Where datagrams are taken, none without `-U` and none with `-s`. Addresses as those of `listen`; their ports are
    /// UDP ports, 0 = one the kernel chooses.
    pub udp: Vec<ListenAddress>,
    /// The TCP port as asked for, 0 = none or one the kernel chooses; `stats settings` shows it as `tcpport`.
    pub tcp_port: u16,
    /// `-l` as typed, several joined by commas; `stats settings` shows it as `inter`.
    pub interfaces: Option<String>,
    /// What is spoken where `-l` does not say: `-B`.
    pub protocol: Protocol,
    /// How clients authenticate, if they have to: `-Y`, `-S`. It fits the protocol of every address.
    pub authentication: Option<Authentication>,
    /// Connections that may wait to be accepted on each listening socket: `-b`.
    pub backlog: u32,
    /// Most client connections of all shards together, at least 1: `-c`.
    pub conn_limit: u32,
    /// A connection above the limit is answered and closed at once; otherwise it waits: `-o maxconns_fast`.
    pub maxconns_fast: bool,
    /// TCP connections idle for so many seconds are closed, 0 = never: `-o idle_timeout`.
    pub idle_timeout_s: u32,
    /// Requests of one connection executed in one turn of the loop, at least 1: `-R`.
    pub requests_per_turn: u32,

    /// Memory for items and their index, all shards together, in bytes: `-m`.
    pub memory_limit_bytes: usize,
    /// Make room by evicting; false answers an error when memory is full: `-M`.
    pub evict: bool,
    /// Largest item in bytes, at most half of the memory limit: `-I`.
    pub item_size_max_bytes: usize,
    /// Longest key in bytes, 250 to 65535: `--max-key-size`.
    pub key_size_max_bytes: usize,
    /// Ratio of one slab class's chunk size to the next, above 1: `-f`.
    pub growth_factor: f64,
    /// Least room for key, value and flags in a chunk, in bytes: `-n`.
    pub item_size_min_bytes: usize,
    /// Items have a compare-and-swap number: `-C`.
    pub cas: bool,
    /// Explicit huge pages for item memory: `-L`.
    pub large_pages: bool,
    /// Lock all memory: `-k`.
    pub lock_memory: bool,

    /// The core of each shard, so its length is the number of shards, at least 1: `-t`, `--cores`.
    pub cores: Vec<usize>,
    /// Which of them owns a key: `--partition`.
    pub partition: Partition,
    /// A shard without work looks for some for so many microseconds before it sleeps: `--busy-poll`.
    pub busy_poll_us: u32,

    /// The `shutdown` command is allowed: `-A`.
    pub allow_shutdown: bool,
    /// The `flush_all` command is allowed: `-F`.
    pub allow_flush_all: bool,
    /// Commands that list keys are allowed: `-X`.
    pub allow_dumping: bool,
    /// The `watch` command is allowed: `-W`.
    pub allow_watch: bool,
    /// Where the prefix of a key ends, for `stats detail`: `-D`.
    pub prefix_delimiter: u8,
    /// Requests are counted by prefix from the start, without waiting for `stats detail on`: `-D`.
    pub count_prefixes: bool,
    /// Requests that take so many microseconds are remembered, 0 = none: `--slow-log`.
    pub slow_log_us: u32,
    /// What may wait to be sent to one watcher, in bytes: `-o watcher_logbuf_size`.
    pub watcher_log_bytes: usize,
    /// What a shard may have logged and not yet handed to the watchers, in bytes: `-o worker_logbuf_size`.
    pub worker_log_bytes: usize,

    /// The user to become: `-u`.
    pub user: Option<String>,
    /// Refuse system calls that a running server does not make: `-o drop_privileges`.
    pub drop_privileges: bool,
    /// Run in the background: `-d`.
    pub daemonize: bool,
    /// The file for the process id: `-P`.
    pub pid_file: Option<PathBuf>,
    /// Raise the core file limit: `-r`.
    pub core_dumps: bool,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// The form of the lines on standard error, if one was asked for: `--log-format`.
    pub log_format: Option<LogFormat>,

    /// What was accepted without doing all that was asked; a sentence each, for the caller to show.
    pub warnings: Vec<String>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On TCP; no address at all with `-p 0`.
    Tcp(Vec<ListenAddress>),
    /// On a UNIX socket and nothing else.
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// Its file mode, 0 to 0o777.
        mode: u32,
    },
}
