//! How much of the memory the small queue gets, found while the store runs.
//!
//! S3-FIFO gives the small queue a fixed tenth. That is best where the popular stay popular, and bad where new
//! items become popular all the time: they are evicted before they are read again, while the main queue keeps what
//! was popular once. So both queues are asked what more bytes would have been worth to them: of what each evicted
//! lately, how much has been asked for again? The ghost knows. If what the small queue evicted comes back far
//! more often than what the main queue did, the small queue gets more; if not, less.
//! The ghosts of ARC (Megiddo and Modha, FAST 2003) move a boundary likewise; here returns are weighed against
//! evictions, so that a queue is not judged by how much it had to evict.
//!
//! "Lately" is the time in which half of the memory is evicted, for both queues: an item may return long after its
//! eviction, and a queue that has just begun to evict a lot must not look as if little returned to it. Between "far
//! more" and "not" is a gap in which nothing changes.

use super::ghost::Origin;

/// Bounds of the share and how far it moves at once, in percent of the item bytes.
const SHARE_MIN_PCT: usize = 10;
const SHARE_MAX_PCT: usize = 90;
const STEP_PCT: usize = 10;

/// The small queue gets more when what it evicts returns so many times as often as what the main queue evicts.
const GROW_RATIO: u128 = 4;

/// It gets less when that returns less than so many times as often.
const SHRINK_RATIO: u128 = 2;

/// A judgement after evictions of one part in so many of the items, but of no fewer than `EVICTIONS_MIN`.
const JUDGEMENTS_PER_TURNOVER: usize = 64;
const EVICTIONS_MIN: usize = 128;

/// "Lately" is the time in which one part in so many of the item bytes is evicted.
const LATELY_DIVISOR: usize = 2;

/// With fewer returns than one in so many evictions there is nothing to gain. Returns of about two judgements are counted
/// against the evictions of one, so less than one item in 50 returns then.
const RETURNS_DIVISOR: usize = 25;

/// The share, and what it is judged by.
#[derive(Debug)]
pub struct Share {
    percent: usize,
    /// Evictions since the last judgement, and their bytes.
    evictions: usize,
    new_bytes: usize,
    /// Bytes evicted lately, by [`Origin`]: what is older counts less and less.
    evicted_bytes: [usize; 2],
    /// Evicted items that were stored again, by [`Origin`]. Half of them stay for the next judgement.
    returns: [usize; 2],
}

impl Share {
    /// The least share.
    pub fn new() -> Share {
        Share { percent: SHARE_MIN_PCT, evictions: 0, new_bytes: 0, evicted_bytes: [0; 2], returns: [0; 2] }
    }

    /// The small queue's share of the item bytes, in percent.
    pub fn percent(&self) -> usize {
        self.percent
    }

    /// Counts an item that came back.
    pub fn note_return(&mut self, origin: Origin) {
        self.returns[origin as usize] += 1;
    }

    /// Counts the eviction of an item of `bytes` from where there are `items` of `items_bytes`.
    pub fn note_eviction(&mut self, origin: Origin, bytes: usize, items: usize, items_bytes: usize) {
        self.evictions += 1;
        self.new_bytes += bytes;
        self.evicted_bytes[origin as usize] += bytes;
        if self.evictions >= EVICTIONS_MIN.max(items / JUDGEMENTS_PER_TURNOVER) {
            self.judge();
            self.age(items_bytes / LATELY_DIVISOR + 1);
        }
    }

    /// Lets what was counted before weigh less; `horizon_bytes` are as many as are evicted lately.
    fn age(&mut self, horizon_bytes: usize) {
        // The product of two sizes of a shard is more than 64 bits from some 8 GiB on.
        let (keep, of) = (horizon_bytes as u128, (horizon_bytes + self.new_bytes) as u128);
        self.evicted_bytes = self.evicted_bytes.map(|bytes| (bytes as u128 * keep / of) as usize);
        self.returns = self.returns.map(|returns| returns / 2);
        (self.evictions, self.new_bytes) = (0, 0);
    }

    fn judge(&mut self) {
        if self.returns.iter().sum::<usize>() * RETURNS_DIVISOR <= self.evictions {
            return;
        }
        // Returns for each evicted byte, both times the bytes of both queues.
        let weighed = |of: Origin, against: Origin| {
            self.returns[of as usize] as u128 * self.evicted_bytes[against as usize].max(1) as u128
        };
        let (small, main) = (weighed(Origin::Small, Origin::Main), weighed(Origin::Main, Origin::Small));
        if small > GROW_RATIO * main {
            self.percent = (self.percent + STEP_PCT).min(SHARE_MAX_PCT);
        } else if small < SHRINK_RATIO * main {
            self.percent = (self.percent - STEP_PCT).max(SHARE_MIN_PCT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Origin; 2] = [Origin::Small, Origin::Main];

    /// The share after evictions of which `every_nth` returns, by [`Origin`]; 0 is none. One in four is of the main queue.
    fn after(share: &mut Share, evictions: usize, every_nth: [usize; 2]) -> usize {
        let mut evicted = [0; 2];
        for i in 0..evictions {
            let origin = BOTH[usize::from(i % 4 == 0)];
            let (count, nth) = (&mut evicted[origin as usize], every_nth[origin as usize]);
            *count += 1;
            if nth > 0 && *count % nth == 0 {
                share.note_return(origin);
            }
            share.note_eviction(origin, 100, 1000, 100_000);
        }
        share.percent()
    }

    #[test]
    fn grows_while_only_what_the_small_queue_evicted_returns() {
        let mut share = Share::new();
        assert_eq!(share.percent(), SHARE_MIN_PCT);
        assert_eq!(after(&mut share, 10_000, [10, 0]), SHARE_MAX_PCT);
        assert_eq!(after(&mut share, 10_000, [200, 100]), SHARE_MAX_PCT, "nobody suffers");
        assert_eq!(after(&mut share, 10_000, [10, 10]), SHARE_MIN_PCT);
    }

    #[test]
    fn what_was_evicted_long_ago_counts_less_in_shards_of_any_size() {
        for items_bytes in [1 << 20, 64 << 30] {
            let mut share = Share::new();
            let step = items_bytes / 1000;
            for i in 0..100_000 {
                share.note_eviction(BOTH[usize::from(i % 4 == 0)], step, 1000, items_bytes);
            }
            let [small, main] = share.evicted_bytes;
            let lately = items_bytes / LATELY_DIVISOR;
            assert!((lately / 10 * 8..lately / 10 * 14).contains(&(small + main)), "{small} {main}");
            assert!((26..34).contains(&(10 * small / main)), "{small} {main}");
        }
    }

    #[test]
    fn weighs_returns_against_evictions() {
        let mut share = Share::new();
        assert_eq!(after(&mut share, 10_000, [5, 5]), SHARE_MIN_PCT, "three quarters are of the small queue");
        assert_eq!(after(&mut share, 10_000, [4, 40]), SHARE_MAX_PCT);
        assert_eq!(after(&mut share, 10_000, [4, 10]), SHARE_MAX_PCT, "in the gap");
        assert_eq!(after(&mut share, 10_000, [10, 4]), SHARE_MIN_PCT);
    }

    #[test]
    fn moves_one_step_at_a_time() {
        let mut share = Share::new();
        assert_eq!(after(&mut share, EVICTIONS_MIN - 1, [4, 0]), SHARE_MIN_PCT);
        assert_eq!(after(&mut share, 1, [0, 0]), SHARE_MIN_PCT + STEP_PCT);
        assert_eq!(after(&mut share, EVICTIONS_MIN, [4, 0]), SHARE_MIN_PCT + 2 * STEP_PCT);
    }
}
