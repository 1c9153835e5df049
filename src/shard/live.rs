//! The settings that change while the server runs: by SIGHUP, and the limit of memory by `cache_memlimit` too. One word each,
//! written by whoever changes it and read by every shard when it needs it; none depends on another, so a relaxed
//! load, which costs what any load costs, is enough.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// See the module comment.
#[derive(Debug)]
pub struct Live {
    /// Most connections at once, listeners included (`-c`).
    connections_max: AtomicU32,
    /// Requests a connection may run in one turn (`-R`).
    requests_per_turn: AtomicU32,
    /// TCP connections idle for longer are closed; 0 is never (`-o idle_timeout`).
    idle_timeout_s: AtomicU32,
    /// The limit of memory that was asked for last, over all shards (`-m`, `cache_memlimit`). Each takes it from here, so that
    /// all end with the same one in whatever order they hear of two.
    limit_bytes: AtomicU64,
}

impl Live {
    /// As they are at the start, in the order of the fields.
    pub fn new(connections_max: u32, requests_per_turn: u32, idle_timeout_s: u32, limit_bytes: u64) -> Live {
        Live {
            connections_max: AtomicU32::new(connections_max),
            requests_per_turn: AtomicU32::new(requests_per_turn),
            idle_timeout_s: AtomicU32::new(idle_timeout_s),
            limit_bytes: AtomicU64::new(limit_bytes),
        }
    }

    /// Most connections at once, listeners included; at least 1.
    pub fn connections_max(&self) -> usize {
        self.connections_max.load(Ordering::Relaxed) as usize
    }

    /// Changes it. Connections beyond a lower one stay.
    pub fn set_connections_max(&self, connections_max: u32) {
        self.connections_max.store(connections_max, Ordering::Relaxed);
    }

    /// Requests a connection may run in one turn; at least 1.
    pub fn requests_per_turn(&self) -> u32 {
        self.requests_per_turn.load(Ordering::Relaxed)
    }

    /// Changes it, from the next turn on.
    pub fn set_requests_per_turn(&self, requests_per_turn: u32) {
        self.requests_per_turn.store(requests_per_turn, Ordering::Relaxed);
    }

    /// Seconds after which idle TCP connections are closed; 0 is never.
    pub fn idle_timeout_s(&self) -> u32 {
        self.idle_timeout_s.load(Ordering::Relaxed)
    }

    /// Changes it, for the connections there are too.
    pub fn set_idle_timeout_s(&self, idle_timeout_s: u32) {
        self.idle_timeout_s.store(idle_timeout_s, Ordering::Relaxed);
    }

    /// The limit of memory over all shards, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes.load(Ordering::Relaxed)
    }

    /// Changes it. The upkeep of each shard finds it within a second, a shard that is told to look at once.
    pub fn set_limit_bytes(&self, limit_bytes: u64) {
        self.limit_bytes.store(limit_bytes, Ordering::Relaxed);
    }
}
