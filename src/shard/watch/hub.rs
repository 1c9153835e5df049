//! The watchers of the process: who they are, what they want, and what they have not been sent yet.
//!
//! One lock guards them all. Shards that hand over lines only try it; whoever registers, leaves or takes lines is a
//! watcher, and may wait the few microseconds that a copy of some lines takes. What a shard looks at in every turn, the
//! kinds wanted and whether there is something for a watcher of its own, is in atomics beside it.

use super::Lines;
use crate::protocol::WatchKinds;
use crate::shard::session::ConnId;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Watchers at most, as in memcached.
pub const WATCHERS_MAX: usize = 20;

/// See the module comment.
pub struct Hub {
    /// The union of what they want.
    wanted: AtomicU8,
    /// Numbers the lines of all shards.
    gid: AtomicU64,
    /// By shard: some watcher of it has lines that it may not know of.
    news: Box<[AtomicBool]>,
    /// Bytes that may wait for one watcher (`-o watcher_logbuf_size`).
    buffer_bytes: usize,
    watchers: Mutex<Vec<Watcher>>,
}

struct Watcher {
    shard: usize,
    conn: ConnId,
    kinds: WatchKinds,
    /// Lines to be sent.
    buffer: Vec<u8>,
    /// Lines that found no room since the last that did.
    skipped: u64,
}

/// What came of lines that were handed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Lines put into buffers.
    pub sent: u64,
    /// Lines that found no room in one.
    pub skipped: u64,
    /// Shards with a watcher that had nothing before.
    pub to_wake: Vec<usize>,
}

impl Hub {
    /// For `shards` shards; up to `buffer_bytes` wait for a watcher.
    pub fn new(shards: usize, buffer_bytes: usize) -> Hub {
        Hub {
            wanted: AtomicU8::new(0),
            gid: AtomicU64::new(0),
            news: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            buffer_bytes,
            watchers: Mutex::new(Vec::new()),
        }
    }

    /// What the watchers want together.
    #[inline]
    pub fn wanted(&self) -> WatchKinds {
        WatchKinds::from_bits(self.wanted.load(Ordering::Relaxed))
    }

    /// The number of the next line; from 1.
    pub(super) fn next_gid(&self) -> u64 {
        self.gid.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A watcher of this shard may have lines it does not know of.
    #[inline]
    pub fn has_news(&self, shard: usize) -> bool {
        self.news[shard].load(Ordering::Relaxed)
    }

    /// Makes a connection of `shard` a watcher; false when there are too many.
    pub fn register(&self, shard: usize, conn: ConnId, kinds: WatchKinds) -> bool {
        let mut watchers = self.lock();
        if watchers.len() >= WATCHERS_MAX {
            return false;
        }
        watchers.push(Watcher { shard, conn, kinds, buffer: Vec::new(), skipped: 0 });
        self.sum_up(&watchers);
        true
    }

    /// A watcher is gone.
    pub fn remove(&self, shard: usize, conn: ConnId) {
        let mut watchers = self.lock();
        watchers.retain(|watcher| !watcher.is(shard, conn));
        self.sum_up(&watchers);
    }

    fn sum_up(&self, watchers: &[Watcher]) {
        let none = WatchKinds::default();
        let wanted = watchers.iter().fold(none, |all, watcher| all.union(watcher.kinds));
        self.wanted.store(wanted.bits(), Ordering::Relaxed);
    }

    /// Watchers of this shard.
    pub fn count(&self, shard: usize) -> usize {
        self.lock().iter().filter(|watcher| watcher.shard == shard).count()
    }

    /// Takes what waits for a watcher.
    pub fn take(&self, shard: usize, conn: ConnId) -> Box<[u8]> {
        let mut watchers = self.lock();
        let watcher = watchers.iter_mut().find(|watcher| watcher.is(shard, conn));
        watcher.map(|watcher| std::mem::take(&mut watcher.buffer).into()).unwrap_or_default()
    }

    /// The watchers of this shard that lines wait for, each told of once; none if nothing is new.
    pub fn take_news(&self, shard: usize) -> Vec<ConnId> {
        if !self.has_news(shard) {
            return Vec::new(); // takes no memory
        }
        let watchers = self.lock();
        self.news[shard].store(false, Ordering::Relaxed);
        let own = watchers.iter().filter(|watcher| watcher.shard == shard && !watcher.buffer.is_empty());
        own.map(|watcher| watcher.conn).collect()
    }

    /// Gives every watcher the lines it wants; None when the hub is busy, and nothing was done.
    pub(super) fn deliver(&self, lines: &Lines) -> Option<Delivered> {
        let mut watchers = match self.watchers.try_lock() {
            Ok(watchers) => watchers,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let mut delivered = Delivered::default();
        for watcher in watchers.iter_mut() {
            let (had_none, kinds) = (watcher.buffer.is_empty(), watcher.kinds);
            for (_, line) in lines.iter().filter(|(kind, _)| kinds.contains(*kind)) {
                let fits = watcher.push(line, self.buffer_bytes);
                *(if fits { &mut delivered.sent } else { &mut delivered.skipped }) += 1;
            }
            if had_none && !watcher.buffer.is_empty() {
                self.news[watcher.shard].store(true, Ordering::Relaxed);
                delivered.to_wake.push(watcher.shard);
            }
        }
        Some(delivered)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    fn is(&self, shard: usize, conn: ConnId) -> bool {
        self.shard == shard && self.conn == conn
    }

    /// Adds a line, and before it how many were skipped; false when there is no room.
    fn push(&mut self, line: &[u8], limit_bytes: usize) -> bool {
        let mut gap = String::new();
        if self.skipped > 0 {
            gap = format!("skipped={}\n", self.skipped);
        }
        if self.buffer.len() + gap.len() + line.len() > limit_bytes {
            self.skipped += 1;
            return false;
        }
        self.buffer.extend_from_slice(gap.as_bytes());
        self.buffer.extend_from_slice(line);
        self.skipped = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::WatchKind::{self, Deletions, Fetchers};

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 7 }
    }

    fn kinds(of: &[WatchKind]) -> WatchKinds {
        of.iter().fold(WatchKinds::default(), |all, kind| all.with(*kind))
    }

    fn lines(of: &[(WatchKind, &str)]) -> Lines {
        let mut lines = Lines::default();
        for (kind, line) in of {
            lines.text.extend_from_slice(line.as_bytes());
            lines.ends.push((*kind, lines.text.len()));
        }
        lines
    }

    #[test]
    fn everyone_gets_what_they_want() {
        let hub = Hub::new(2, 1 << 10);
        assert!(hub.register(0, conn(1), kinds(&[Fetchers])));
        assert!(hub.register(1, conn(1), kinds(&[Fetchers, Deletions])));
        assert!(hub.register(1, conn(2), kinds(&[])));
        assert_eq!(hub.wanted(), kinds(&[Fetchers, Deletions]));
        let some = lines(&[(Deletions, "d\n"), (Fetchers, "f\n")]);
        let delivered = hub.deliver(&some);
        assert_eq!(delivered, Some(Delivered { sent: 3, skipped: 0, to_wake: vec![0, 1] }));
        assert!(hub.has_news(0));
        assert_eq!((hub.take_news(0), hub.take_news(1)), (vec![conn(1)], vec![conn(1)]));
        assert!(!hub.has_news(0) && hub.take_news(0).is_empty());
        assert_eq!(*hub.take(0, conn(1)), *b"f\n");
        assert_eq!(hub.deliver(&some).map(|d| d.to_wake), Some(vec![0]), "the other knows already");
        assert_eq!(*hub.take(1, conn(1)), *b"d\nf\nd\nf\n");
        assert!(hub.take(1, conn(1)).is_empty() && hub.take(1, conn(9)).is_empty());
        hub.remove(1, conn(1));
        assert_eq!((hub.wanted(), hub.count(0), hub.count(1)), (kinds(&[Fetchers]), 1, 1));
    }

    #[test]
    fn a_slow_watcher_is_told_what_it_missed() {
        let hub = Hub::new(1, 30);
        assert!(hub.register(0, conn(1), kinds(&[Fetchers])));
        let ten = lines(&[(Fetchers, "123456789\n")]);
        let outcomes: Vec<_> = (0..7).filter_map(|_| hub.deliver(&ten)).map(|d| d.sent).collect();
        assert_eq!(outcomes, [1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(hub.take(0, conn(1)).len(), 30);
        assert_eq!(hub.deliver(&ten).map(|d| d.sent), Some(1));
        assert_eq!(*hub.take(0, conn(1)), *b"skipped=4\n123456789\n");
        hub.deliver(&ten);
        assert_eq!(*hub.take(0, conn(1)), *b"123456789\n");
    }

    #[test]
    fn there_is_a_last_watcher() {
        let hub = Hub::new(1, 30);
        for index in 0..WATCHERS_MAX as u32 {
            assert!(hub.register(0, conn(index), kinds(&[])));
        }
        assert!(!hub.register(0, conn(99), kinds(&[])));
        hub.remove(0, conn(3));
        assert!(hub.register(0, conn(99), kinds(&[])));
    }

    #[test]
    fn a_busy_hub_is_left_alone() {
        let hub = Hub::new(1, 30);
        let held = hub.lock();
        assert_eq!(hub.deliver(&lines(&[(Fetchers, "x\n")])), None);
        drop(held);
        assert!(hub.deliver(&lines(&[(Fetchers, "x\n")])).is_some());
    }
}
