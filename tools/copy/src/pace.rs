//! The rate: each item and each byte has to be paid for in time before the next one.

use std::thread;
use std::time::{Duration, Instant};

/// Shorter waits are saved up: a sleep costs more than what it would hold back.
const SLEEP_MIN: Duration = Duration::from_millis(5);

/// What was spent is owed as time. While time owed lies in the past, nothing waits; time that passed unused is lost, so a
/// pause is not made up for by a burst.
pub struct Pace {
    items_per_s: f64,
    bytes_per_s: f64,
    /// Until when what was spent lasts at the rate.
    paid_until: Instant,
}

impl Pace {
    /// At most `items_per_s` items and `bytes_per_s` bytes, whichever holds back more.
    pub fn new(items_per_s: u64, bytes_per_s: u64) -> Pace {
        Pace { items_per_s: items_per_s as f64, bytes_per_s: bytes_per_s as f64, paid_until: Instant::now() }
    }

    /// Notes an item of `bytes` bytes.
    pub fn spend(&mut self, bytes: u64, now: Instant) {
        let cost_s = (1.0 / self.items_per_s).max(bytes as f64 / self.bytes_per_s);
        self.paid_until = self.paid_until.max(now) + Duration::from_secs_f64(cost_s);
    }

    /// How long to wait before the next item; nothing while that is too little to sleep for.
    pub fn due(&self, now: Instant) -> Option<Duration> {
        let ahead = self.paid_until.saturating_duration_since(now);
        (ahead >= SLEEP_MIN).then_some(ahead)
    }

    /// Waits as long as [`Pace::due`] says.
    pub fn wait(&self) {
        if let Some(ahead) = self.due(Instant::now()) {
            thread::sleep(ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_both_rates_holds() {
        let mut pace = Pace::new(100, 1000);
        let start = pace.paid_until;
        for _ in 0..50 {
            pace.spend(1, start);
        }
        assert_eq!(pace.due(start).map(|due| due.as_millis()), Some(500));
        pace.spend(2000, start);
        assert_eq!(pace.due(start).map(|due| due.as_millis()), Some(2500));
        assert_eq!(pace.due(start + Duration::from_secs(3)), None);
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut pace = Pace::new(100, 1000);
        let later = pace.paid_until + Duration::from_secs(60);
        for _ in 0..2 {
            pace.spend(0, later);
        }
        assert_eq!(pace.due(later).map(|due| due.as_millis()), Some(20));
    }
}
