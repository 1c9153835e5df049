//! The requests that took long, the latest [`ENTRIES`] of them.
//!
//! No request may be missed, and none may pay for a look at the clock. So the clock is looked at for a *stretch* of requests
//! that ran back to back: once behind the last request of a batch of bytes, and behind every [`STRETCH_MAX`] of a long one. A
//! stretch that was short enough held no slow request. Of one that was not, the last request is noted, with the time of the whole and
//! the number of requests among which the slow one is: 1 for a client that waits for its answers. Then, for
//! [`CLOSE_NS`], the clock is looked at behind each request, so what is slow again is told exactly. A request that went to
//! another shard carries the time at which its turn began, and is judged when its answer comes, by one look for all that have come.
//! What making room for a large value took is left out of the stretches then, and is taken into the one in which the value is
//! stored.

use super::key_copy::KeyCopy;
use super::latency::Class;
use crate::net::listener::Peer;
use std::time::SystemTime;

/// Slow requests that are remembered.
const ENTRIES: usize = 64;

/// Requests between two looks at the clock.
const STRETCH_MAX: u32 = 16;

/// How long the clock is looked at behind each request after a slow stretch.
const CLOSE_NS: u64 = 1_000_000_000;

/// A slow request.
#[derive(Clone, Copy, Debug)]
pub struct SlowRequest {
    /// When its answer was there.
    pub at: SystemTime,
    /// What it was.
    pub class: Class,
    /// Its key; empty where only the time of a stretch is known.
    pub key: KeyCopy,
    /// How long it took.
    pub ns: u64,
    /// It is one of so many that took that long together; the last of them.
    pub among: u32,
    /// It was sent to the shard of its key.
    pub forwarded: bool,
    /// Who asked.
    pub client: Peer,
}

/// See the module comment. Times are nanoseconds of one clock.
pub struct SlowLog {
    /// From here on a request is slow; 0: none is.
    threshold_ns: u64,
    /// The latest, a ring.
    entries: Vec<SlowRequest>,
    /// Slow stretches and requests so far; the next one's place in the ring.
    seen: u64,
    /// When the clock was last looked at in this turn.
    looked_ns: u64,
    /// Requests since then.
    unlooked: u32,
    /// What the last of them was.
    last: Class,
    /// Until then each request is looked at.
    close_until_ns: u64,
}

impl SlowLog {
    /// Bytes of memory.
    pub const BYTES: usize = ENTRIES * size_of::<SlowRequest>();

    /// For requests that take `threshold_ns` or longer; 0: for none.
    pub fn new(threshold_ns: u64) -> SlowLog {
        SlowLog {
            threshold_ns,
            entries: Vec::with_capacity(if threshold_ns > 0 { ENTRIES } else { 0 }),
            seen: 0,
            looked_ns: 0,
            unlooked: 0,
            last: Class::Get,
            close_until_ns: 0,
        }
    }

    /// It is kept.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.threshold_ns > 0
    }

    /// A turn begins.
    #[inline]
    pub fn turn_begins(&mut self, now_ns: u64) {
        self.looked_ns = now_ns;
    }

    /// A request has been run. True when it is time to look at the clock: then [`look`](Self::look) must follow. `ends_batch`: none
    /// follows it in what was received.
    #[inline]
    pub fn ran(&mut self, class: Class, ends_batch: bool) -> bool {
        self.unlooked += 1;
        self.last = class;
        ends_batch || self.unlooked >= STRETCH_MAX || self.looked_ns < self.close_until_ns
    }

    /// So much of the time since the last look was that of a request which is judged later.
    pub fn leave_out(&mut self, ns: u64) {
        self.looked_ns += ns;
    }

    /// The request that runs now took so much time before.
    pub fn take_in(&mut self, ns: u64) {
        self.looked_ns = self.looked_ns.saturating_sub(ns);
    }

    /// Requests have been run and not been judged.
    pub fn is_pending(&self) -> bool {
        self.unlooked > 0
    }

    /// The time is `now_ns`: judges the requests since the last look. A slow stretch's time, its number of requests and the
    /// class of the last.
    #[inline]
    pub fn look(&mut self, now_ns: u64) -> Option<(u64, u32, Class)> {
        let (ns, among) = (now_ns.saturating_sub(self.looked_ns), self.unlooked);
        (self.looked_ns, self.unlooked) = (now_ns, 0);
        if !self.is_slow(ns) {
            return None;
        }
        self.close_until_ns = now_ns + CLOSE_NS;
        Some((ns, among, self.last))
    }

    /// So long is slow.
    #[inline]
    pub fn is_slow(&self, ns: u64) -> bool {
        self.is_on() && ns >= self.threshold_ns
    }

    /// Remembers a slow request, and forgets the oldest.
    pub fn note(&mut self, request: SlowRequest) {
        match self.entries.get_mut((self.seen % ENTRIES as u64) as usize) {
            Some(oldest) => *oldest = request,
            None => self.entries.push(request),
        }
        self.seen += 1;
    }

    /// How many there were.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The latest `most`, latest first.
    pub fn latest(&self, most: usize) -> Vec<SlowRequest> {
        let newest = (self.seen % ENTRIES as u64) as usize;
        let (newer, older) = self.entries.split_at(newest.min(self.entries.len()));
        newer.iter().rev().chain(older.iter().rev()).take(most).copied().collect()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(ns: u64) -> SlowRequest {
        let (at, class, key, client) = (SystemTime::UNIX_EPOCH, Class::Get, KeyCopy::default(), Peer::Gone);
        SlowRequest { at, class, key, ns, among: 1, forwarded: false, client }
    }

    #[test]
    fn the_latest_are_remembered() {
        let mut log = SlowLog::new(1);
        assert!(log.latest(10).is_empty());
        for n in 0..3 {
            log.note(slow(n));
        }
        let times = |log: &SlowLog, most| log.latest(most).iter().map(|slow| slow.ns).collect::<Vec<_>>();
        assert_eq!(times(&log, 10), [2, 1, 0]);
        let more = 3 * ENTRIES as u64 + 7;
        for n in 3..more {
            log.note(slow(n));
        }
        assert_eq!(times(&log, 2), [more - 1, more - 2]);
        assert_eq!(times(&log, 1_000), (more - ENTRIES as u64..more).rev().collect::<Vec<_>>());
        assert_eq!(log.seen(), more);
        log.clear();
        assert!(log.latest(10).is_empty() && log.seen() == 0);
    }

    #[test]
    fn no_slow_request_is_missed_and_the_second_is_told_exactly() {
        const SLOW_NS: u64 = 1_000_000;
        let mut log = SlowLog::new(SLOW_NS);
        let mut now_ns = 5_000_000_000;
        // One request of each batch of 20 takes long; the others take a microsecond.
        let mut found = Vec::new();
        for slow_one in [7, 19, 3] {
            log.turn_begins(now_ns);
            for n in 0..20 {
                now_ns += if n == slow_one { SLOW_NS } else { 1_000 };
                if log.ran(Class::Set, n == 19) {
                    found.extend(log.look(now_ns).map(|(ns, among, class)| (n, ns, among, class)));
                }
            }
            assert!(!log.is_pending());
        }
        let exact = |n| (n, SLOW_NS, 1, Class::Set);
        assert_eq!(found, [(15, SLOW_NS + 15_000, 16, Class::Set), exact(19), exact(3)]);
    }

    #[test]
    fn time_counts_for_the_request_that_it_was_taken_for() {
        let mut log = SlowLog::new(1_000);
        log.turn_begins(5_000);
        log.leave_out(2_000);
        assert!(log.ran(Class::Get, true));
        assert_eq!(log.look(7_010), None, "10 ns of its own");
        log.turn_begins(9_000);
        log.take_in(2_000);
        assert!(log.ran(Class::Set, true));
        assert_eq!(log.look(9_010), Some((2_010, 1, Class::Set)));
    }

    #[test]
    fn without_a_threshold_nothing_is_slow() {
        let log = SlowLog::new(0);
        assert!(!log.is_on() && !log.is_slow(u64::MAX));
    }
}
