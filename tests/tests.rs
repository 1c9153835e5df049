//! The tests that talk to the built server from outside: one binary, so that it links once.
//!
//! | module | what it holds against the server |
//! |---|---|
//! | `framing` | lines, separators, key limits, pipelining, cuts at any byte, half-closed clients, quit |
//! | `retrieval` | get gets gat gats: order, duplicates, long lines, large values |
//! | `storage` | set add replace append prepend cas: answers, noreply, sizes, bad data |
//! | `arithmetic` | incr decr touch delete, verbosity and the other small commands |
//! | `large` | values received straight into place: every length, cuts, clients that vanish, stops, slow senders |
//! | `meta` | mg ms md ma mn me: every flag, q, vivify, stale and won, base64, errors, stampedes |
//! | `expiry` | TTLs and flush_all |
//! | `pressure` | slow readers, connection limit, descriptors running out, idle clients, a full store |
//! | `bounds` | loads that try to make the server take more memory than it promised |
//! | `hostile` | clients that mean harm: half requests, crowds, lies about lengths, answers that nobody reads |
//! | `binary` | the binary protocol: every opcode, quiet forms, CAS, values cut anywhere, malformed requests |
//! | `datagram` | UDP: frames, answers cut into datagrams, broken datagrams |
//! | `udp` | UDP sockets: addresses, stats, load, stopping, what is refused over UDP |
//! | `shard_ports` | shard ports and partitions: clients that count cores as servers |
//! | `steering` | how connections and datagrams find their shard |
//! | `migration` | connections that move to the shard of their keys |
//! | `dependencies` | other people's code: where it comes from, its licences, what runs while this is built |
//! | `discovery` | `config get cluster`: the list of servers for clients that look for it |
//! | `config` | the configuration file: what it means, every way to refuse it, what SIGHUP changes |
//! | `busy_poll` | `--busy-poll` |
//! | `process` | options, sockets, pid and port files, signals, exit codes |
//! | `systemd` | a service manager: notifications, signs of life, sockets that outlive a server, units, log lines |
//! | `security` | whom it runs as, what it may ask of the kernel |
//! | `faults` | rings that fail, panics, logs that cannot be written, SIGSTOP, limits of memory |
//! | `stats` | every `stats` command: names, order, true values |
//! | `telemetry` | `stats latency`, `slowlog`, `hotkeys`, `bigkeys`: what is slow, hot and big |
//! | `top` | `ringcached top`, in a terminal of tmux's and as text |
//! | `metrics` | HTTP for operators: its bounds, `/healthz` and `/readyz`, `/metrics` against memcached_exporter, promtool and Prometheus |
//! | `watch` | log lines for connections that watch |
//! | `differential` | random streams: Debian's memcached and this server must answer byte for byte the same |
//! | `stress` | checksummed, versioned values under many connections |
//! | `engines` | twemproxy, libmemcached and pymemcache over two machines: no hops, right values, machines that go and come |
//! | `clients` | people's clients in nine languages, web servers with their cache here, libmemcached's `memccapable` |
//! | `compatibility` | every row of `docs/compatibility.md` is an example, and every example is run |
//! | `tuning` | the checker and the scripts of tuning/ on machines made of files and in a network namespace |
//! | `from_memcached` | `docs/from-memcached.md` names every option of memcached |
//! | `tidy` | the house rules of `src/`, read from the source text |
//!
//! `harness` starts servers, speaks to them and holds them to what they promise (`promise`); `namespace` makes networks for them, `tracer` has
//! calls of one shard fail.
//! Everything runs in parallel and in any order: each test has a server of its own on free ports. `tools/check` installs
//! what the tests need and runs them all.

/// Runs a `fn(shards: u32)` as one test for each of some counts of shards.
macro_rules! on_counts {
    ($test:ident $($name:ident $shards:literal)*) => {
        mod $test {
            $(
                #[test]
                fn $name() {
                    super::$test($shards)
                }
            )*
        }
    };
}

/// Runs each named `fn(shards: u32)` on 1, 2 and 4 shards, as three tests.
macro_rules! on_shards {
    ($($test:ident)*) => { $(on_counts! { $test on_1 1 on_2 2 on_4 4 })* };
}

/// Runs each named `fn(shards: u32)` on 1 and 2 shards.
macro_rules! on_1_and_2_shards {
    ($($test:ident)*) => { $(on_counts! { $test on_1 1 on_2 2 })* };
}

mod harness;
mod namespace;
mod promise;
#[cfg(target_arch = "x86_64")]
mod tracer;

mod admin;
mod arithmetic;
mod binary;
mod bounds;
mod busy_poll;
mod config;
mod datagram;
mod dependencies;
mod discovery;
mod expiry;
#[cfg(target_arch = "x86_64")]
mod faults;
mod framing;
mod from_memcached;
mod hostile;
mod large;
mod limits;
mod login;
mod meta;
mod metrics;
mod migration;
mod pressure;
mod process;
mod retrieval;
mod security;
mod shard_ports;
mod stats;
mod steering;
mod storage;
mod telemetry;
mod top;
mod tuning;
mod udp;
mod watch;

mod clients;
mod compatibility;
mod differential;
mod engines;
mod stress;
mod systemd;
mod tidy;
