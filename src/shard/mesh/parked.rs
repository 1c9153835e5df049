//! Which shards sleep and want to be woken.
//!
//! Who sleeps says so and then looks at its queues once more; who writes shows its records and then looks who sleeps. A full
//! fence between the two steps on either side makes it impossible that neither sees the other. tests/loom tries every way it
//! may go.

use super::sync::{AtomicBool, Ordering, fence};

#[repr(align(128))]
struct Flag(AtomicBool);

/// See the module comment.
pub struct Parked(Box<[Flag]>);

impl Parked {
    /// Nobody sleeps.
    pub fn new(shards: usize) -> Parked {
        Parked((0..shards).map(|_| Flag(AtomicBool::new(false))).collect())
    }

    /// Shard `id` is about to sleep. It must look at its queues once more after this.
    pub fn announce(&self, id: usize) {
        self.0[id].0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with the one in `shown`
    }

    /// Shard `id` is awake.
    pub fn awake(&self, id: usize) {
        self.0[id].0.store(false, Ordering::Relaxed);
    }

    /// Something has been shown to shards: from here on [`take`](Self::take) says whom to wake. Either they see it or we see
    /// them asleep.
    pub fn shown(&self) {
        fence(Ordering::SeqCst);
    }

    /// True once for a sleeping shard: the caller then wakes it, the others need not.
    pub fn take(&self, id: usize) -> bool {
        self.0[id].0.load(Ordering::Relaxed) && self.0[id].0.swap(false, Ordering::Relaxed)
    }
}
