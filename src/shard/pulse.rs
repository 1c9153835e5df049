//! Signs of life: each shard counts its turns where other threads can see it. A shard that works turns all the time, and one that waits
//! in its ring every few milliseconds (`park`); one that sleeps deep turns when its bell is rung. One whose count stands still after that is stuck.
//!
//! A turn costs it one load and one store on a cache line that nobody else writes and that is read every few seconds.

use std::sync::atomic::{AtomicU64, Ordering};

/// Turns of one shard, which alone writes it.
#[repr(align(128))]
struct Turns(AtomicU64);

/// See the module comment.
pub struct Pulse(Box<[Turns]>);

impl Pulse {
    /// For `shards` shards that have not turned yet.
    pub fn new(shards: usize) -> Pulse {
        Pulse((0..shards).map(|_| Turns(AtomicU64::new(0))).collect())
    }

    /// Counts a turn of shard `id`; for its own thread only.
    pub fn beat(&self, id: usize) {
        let turns = &self.0[id].0;
        turns.store(turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The turns of one shard so far.
    pub fn turns_of(&self, id: usize) -> u64 {
        self.0[id].0.load(Ordering::Relaxed)
    }

    /// The turns of every shard so far.
    pub fn turns(&self) -> Vec<u64> {
        self.0.iter().map(|turns| turns.0.load(Ordering::Relaxed)).collect()
    }
}
