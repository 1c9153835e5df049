//! What all shards of a process share and only read: configuration, the hash's seeds, the clock's origin, and a few
//! switches that any thread may throw.

use super::clock::Clock;
use super::live::Live;
use super::nodes::Nodes;
use super::snapshot::{Query, Snapshot};
use crate::options::{Partition, Protocol};
use crate::protocol::{Exptime, Limits};
use crate::store::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The shard clock's first second; 1 is before the start.
const CLOCK_STARTS_AT_S: u32 = 2;

/// Renders a report from the parts of all shards, in order of shards.
pub type Report = dyn Fn(Query, &[Snapshot]) -> Vec<u8> + Send + Sync;

/// Whether this is the password of this user.
pub type Users = dyn Fn(&[u8], &[u8]) -> bool + Send + Sync;

/// See the module comment.
pub struct Settings {
    /// Hashes keys, the same on every shard.
    pub hasher: Hasher,
    /// Which shard owns a key (`--partition`).
    pub partition: Partition,
    /// Limits of the classic parser.
    pub limits: Limits,
    /// What is spoken where the listener does not say (`-B`).
    pub protocol: Protocol,
    /// Who may ask for anything, if not everybody (`-Y`, `-S`).
    pub users: Option<Box<Users>>,
    /// What ends the prefix of a key in `stats detail` (`-D`).
    pub prefix_delimiter: u8,
    /// Count by key prefix from the start (`-D`).
    pub count_prefixes: bool,
    /// Refuse connections beyond the limit at once, or leave them in the backlog (`-o no_maxconns_fast`).
    pub refuse_when_full: bool,
    /// Bytes of log lines that may wait on a shard, and for a watcher (`-o worker_logbuf_size`, `-o watcher_logbuf_size`).
    pub worker_log_bytes: usize,
    /// See `worker_log_bytes`.
    pub watcher_log_bytes: usize,
    /// What clients that look for servers are told, if there is TCP.
    pub nodes: Option<Nodes>,
    /// How long a shard without work looks for some before it sleeps (`--busy-poll`).
    pub busy_poll: Duration,
    /// Service time from which a request is in the slow log; 0 is none (`--slow-log`).
    pub slow_log: Duration,
    /// Renders `stats`.
    pub report: Box<Report>,
    /// What `verbosity` does.
    pub set_verbosity: fn(u8),
    /// Says something to the operator who wants to know more (`-v`).
    pub say: fn(&str),
    /// What `shutdown` does.
    pub shutdown: fn(),
    /// What happens when the ring of a shard fails: says so and ends the process.
    pub ring_failed: fn(usize, &std::io::Error),
    /// What time it is.
    pub clock: Clock,
    /// What changes while the server runs.
    pub live: Arc<Live>,
    /// The server stops: no new connections, answer what has arrived.
    pub stopping: AtomicBool,
}

impl Settings {
    /// Of shards without a process around them, as the simulation and tests run them: no options, no users, and nobody to whom
    /// anything is said. `stats` is empty.
    pub fn of_bare_shards(hasher: Hasher, clock: Clock, live: Live) -> Settings {
        Settings {
            hasher,
            partition: Partition::Seeded,
            limits: Limits::DEFAULT,
            protocol: Protocol::Auto,
            users: None,
            prefix_delimiter: b':',
            count_prefixes: false,
            refuse_when_full: true,
            worker_log_bytes: 64 << 10,
            watcher_log_bytes: 256 << 10,
            nodes: None,
            slow_log: Duration::ZERO,
            busy_poll: Duration::ZERO,
            report: Box::new(|_, _| b"END\r\n".to_vec()),
            set_verbosity: |_| {},
            say: |_| {},
            shutdown: || {},
            ring_failed: |_, _| {},
            clock,
            live: Arc::new(live),
            stopping: AtomicBool::new(false),
        }
    }

    /// The shard clock now, in seconds.
    pub fn now_s(&self) -> u32 {
        self.second_at(self.clock.now())
    }

    /// The second of the shard clock so long after the start.
    pub fn second_at(&self, since_start: Duration) -> u32 {
        since_start.as_secs() as u32 + CLOCK_STARTS_AT_S
    }

    /// When an item with this expiration time dies, in the store's terms.
    pub fn expires_s(&self, exptime: Exptime, now_s: u32) -> u32 {
        exptime.to_expires_s(now_s, self.unix_now_s().unsigned_abs())
    }

    /// Seconds since 1970 on the wall clock.
    pub fn unix_now_s(&self) -> i64 {
        self.clock.unix_s()
    }

    /// The server is to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
