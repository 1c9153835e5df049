//! What time it is, for the shards: the system's clocks, or those of a simulation, which stand still while nobody moves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Two clocks: one that counts from the start and never goes back, and the wall clock.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's, from this moment on.
    System(Instant),
    /// Somebody else's.
    Simulated(Arc<SimulatedTime>),
}

/// The time of a simulation.
#[derive(Debug, Default)]
pub struct SimulatedTime {
    since_start_ns: AtomicU64,
    unix_s: AtomicI64,
}

impl Clock {
    /// The system's clocks; the count starts now.
    pub fn system() -> Clock {
        Clock::System(Instant::now())
    }

    /// Time since the start.
    #[inline]
    pub fn now(&self) -> Duration {
        match self {
            Clock::System(started) => started.elapsed(),
            Clock::Simulated(time) => time.now(),
        }
    }

    /// Seconds since 1970 on the wall clock, which may jump.
    pub fn unix_s(&self) -> i64 {
        match self {
            Clock::System(_) => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
            }
            Clock::Simulated(time) => time.unix_s.load(Ordering::Relaxed),
        }
    }
}

impl SimulatedTime {
    /// Time since the start.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.since_start_ns.load(Ordering::Relaxed))
    }

    /// So much later; the wall clock does not move.
    pub fn advance(&self, by: Duration) {
        self.since_start_ns.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Sets the wall clock, in seconds since 1970.
    pub fn set_unix_s(&self, unix_s: i64) {
        self.unix_s.store(unix_s, Ordering::Relaxed);
    }
}
