//! What all clients know together: which versions of each key have been sent and acknowledged, the last `flush_all`, and
//! whether the soak is to end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use ringcached_load::keys::Keys;

/// A key's versions only rise; a delete counts as one. Its one writer raises `sent`, and then sends.
#[derive(Debug, Default)]
pub struct Known {
    /// The last that was sent.
    sent: AtomicU32,
    /// The last that was acknowledged.
    acknowledged: AtomicU32,
}

impl Known {
    /// The version of a write that is about to be sent.
    pub fn next(&self) -> u32 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// It was answered.
    pub fn acknowledge(&self, version: u32) {
        self.acknowledged.fetch_max(version, Ordering::SeqCst);
    }

    /// The last version that whoever asks from now on has to see, or a later one, or none.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Whether somebody may read `version` now who asked when `acknowledged` was.
    ///
    /// # Errors
    /// Why not.
    pub fn allows(&self, version: u32, acknowledged: u32) -> Result<(), String> {
        let sent = self.sent.load(Ordering::SeqCst);
        if (acknowledged..=sent).contains(&version) {
            return Ok(());
        }
        Err(format!(
            "version {version} is read, but {acknowledged} was acknowledged before and {sent} was sent last"
        ))
    }
}

/// What was done so far, for the progress and the summary.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Totals {
    pub requests: AtomicU64,
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    /// Stores refused for lack of memory.
    pub refused: AtomicU64,
    /// Connections opened.
    pub connections: AtomicU64,
}

/// Shared by all threads.
pub struct Ledger {
    /// All keys: first those of values, then those of numbers.
    pub keys: Keys,
    /// By number of key, of values only.
    pub known: Vec<Known>,
    /// When the last `flush_all` began that has been answered.
    flushed: Mutex<Option<Instant>>,
    /// The soak is to end.
    pub stop: AtomicBool,
    /// See there.
    pub totals: Totals,
}

impl Ledger {
    /// Nothing has happened yet.
    pub fn new(keys: Keys, values: u32) -> Ledger {
        let known = (0..values).map(|_| Known::default()).collect();
        let (flushed, stop) = (Mutex::new(None), AtomicBool::new(false));
        Ledger { keys, known, flushed, stop, totals: Totals::default() }
    }

    /// A `flush_all` that began at `began` has been answered.
    pub fn set_flushed(&self, began: Instant) {
        *self.flushed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(began);
    }

    /// When the last one that has been answered began.
    pub fn flushed(&self) -> Option<Instant> {
        *self.flushed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether the soak is to end.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_was_acknowledged_or_later() {
        let known = Known::default();
        let versions = [known.next(), known.next(), known.next()];
        assert_eq!(versions, [1, 2, 3]);
        known.acknowledge(2);
        known.acknowledge(1);
        assert_eq!(known.acknowledged(), 2);
        assert_eq!((known.allows(2, 2), known.allows(3, 2)), (Ok(()), Ok(())));
        assert!(known.allows(1, 2).is_err(), "older than what was acknowledged");
        assert!(known.allows(4, 2).is_err(), "nobody wrote it");
    }
}
