//! Who guards the shards: whether each has turned since the last look. The service manager is given a sign of life only if
//! all have; without one for the whole of `WatchdogSec=` it ends the process and starts it anew.
//!
//! A shard that has nothing to do sleeps and does not turn, so after each look all are woken: each has until the next look to
//! turn once. There are several looks in the time the manager grants, so a shard may be held up by one long turn.

use std::time::{Duration, Instant};

/// Looks in the time after which the manager loses patience: a shard may stand still for all of them but one.
const LOOKS: u32 = 4;

/// See the module comment.
#[derive(Debug)]
pub struct Watchdog {
    /// Time between two looks.
    period: Duration,
    /// When the next is due.
    next: Instant,
    /// Turns of each shard at the last look.
    turns: Vec<u64>,
}

impl Watchdog {
    /// Guards shards that have turned so often, for a manager that waits `patience` for a sign of life.
    pub fn new(patience: Duration, turns: Vec<u64>) -> Watchdog {
        let period = patience / LOOKS;
        Watchdog { period, next: Instant::now() + period, turns }
    }

    /// When the next look is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Looks at the turns of each shard; returns those that have not turned since the last look. The caller wakes all of them.
    pub fn look(&mut self, turns: Vec<u64>) -> Vec<usize> {
        let both = turns.iter().zip(&self.turns).enumerate();
        let stuck = both.filter(|(_, (now, before))| now == before).map(|(shard, _)| shard).collect();
        self.turns = turns;
        self.next = Instant::now() + self.period;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_turned_is_named() {
        let mut watchdog = Watchdog::new(Duration::from_secs(8), vec![5, 0, 7]);
        assert!(watchdog.next() <= Instant::now() + Duration::from_secs(2));
        assert_eq!(watchdog.look(vec![6, 1, 8]), [] as [usize; 0]);
        assert_eq!(watchdog.look(vec![7, 1, 9]), [1]);
        assert_eq!(watchdog.look(vec![7, 1, 9]), [0, 1, 2]);
        assert_eq!(watchdog.look(vec![u64::MAX, 0, 10]), [] as [usize; 0], "any other number will do");
    }
}
