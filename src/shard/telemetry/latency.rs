//! Service times by class of command: from the parsed request to its written answer, as the sampled requests show them.
//!
//! A histogram for each class ([`Class`]) of the kind of HdrHistogram (Gil Tene): fixed memory, a value is counted with an
//! error of at most a hundredth, or [`RESOLUTION_NS`] where that is more. A sample counts for the requests it stands for, so that counts add up to about what was
//! asked, also while the rate of sampling changes. Shards are merged by adding counts.

use crate::shard::request::Op;
use hdrhistogram::Histogram;

/// What service times are told of together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// get and gets, GET and GETK.
    Get = 0,
    /// gat and gats.
    Gat,
    /// touch.
    Touch,
    /// set, add, replace, append, prepend, cas.
    Set,
    /// delete.
    Delete,
    /// incr and decr.
    Arith,
    /// mg and me.
    MetaGet,
    /// ms.
    MetaSet,
    /// md.
    MetaDelete,
    /// ma.
    MetaArith,
}

const CLASSES: [(Class, &str); 10] = [
    (Class::Get, "get"),
    (Class::Gat, "gat"),
    (Class::Touch, "touch"),
    (Class::Set, "set"),
    (Class::Delete, "delete"),
    (Class::Arith, "arith"),
    (Class::MetaGet, "mg"),
    (Class::MetaSet, "ms"),
    (Class::MetaDelete, "md"),
    (Class::MetaArith, "ma"),
];

impl Class {
    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Class> {
        CLASSES.iter().map(|(class, _)| *class)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        CLASSES[self as usize].1
    }

    /// The class of an operation.
    pub fn of(op: Op) -> Class {
        match op {
            Op::Get | Op::Gets => Class::Get,
            Op::Gat | Op::Gats => Class::Gat,
            Op::Touch => Class::Touch,
            Op::Set | Op::Add | Op::Replace | Op::Append | Op::Prepend | Op::Cas => Class::Set,
            Op::Delete => Class::Delete,
            Op::Incr | Op::Decr => Class::Arith,
            Op::MetaGet | Op::MetaDebug => Class::MetaGet,
            Op::MetaSet => Class::MetaSet,
            Op::MetaDelete => Class::MetaDelete,
            Op::MetaArith => Class::MetaArith,
        }
    }
}

/// Service times are told apart to this.
const RESOLUTION_NS: u64 = 16;

/// The longest service time that is told; longer ones count as this.
const LONGEST_NS: u64 = 10_000_000_000;

/// Decimal digits that are right.
const DIGITS: u8 = 2;

/// Bytes of the counts of one histogram: 256 values in steps of [`RESOLUTION_NS`], then 128 for each doubling.
const HISTOGRAM_BYTES: usize = {
    let doublings = (LONGEST_NS / (256 * RESOLUTION_NS)).ilog2() as usize + 1;
    (2 + doublings) * 128 * size_of::<u64>()
};

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(RESOLUTION_NS, LONGEST_NS, DIGITS)
        .expect("these bounds are right, a test shows")
}

/// See the module comment. Times are nanoseconds.
pub struct Latency(Vec<Histogram<u64>>);

impl Default for Latency {
    fn default() -> Latency {
        Latency(Class::all().map(|_| histogram()).collect())
    }
}

/// What a shard says of its service times: for each class that was asked for, times in nanoseconds and how many requests took
/// each, in order. Far shorter than the histograms, most of whose counts are 0.
pub type LatencyReport = Vec<(Class, Vec<(u64, u64)>)>;

/// Upper bounds of the buckets that service times are told in where histograms are to be short, in nanoseconds: from what a lookup
/// takes whose item is in the processor's cache to what clients give up at.
pub const BUCKETS_NS: [u64; 17] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// The service times of one class in buckets. Counts and sum are as right as the histograms they come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buckets {
    /// What they are the times of.
    pub class: Class,
    /// Requests that took no longer than each of [`BUCKETS_NS`], those of the lower ones included.
    pub up_to: [u64; BUCKETS_NS.len()],
    /// All requests.
    pub count: u64,
    /// Their times together, in seconds.
    pub sum_s: f64,
}

impl Latency {
    /// Bytes of memory.
    pub const BYTES: usize = CLASSES.len() * (HISTOGRAM_BYTES + size_of::<Histogram<u64>>());

    /// A request took `ns`, and stands for `weight` of them.
    pub fn record(&mut self, class: Class, ns: u64, weight: u32) {
        self.0[class as usize].saturating_record_n(ns, weight.into());
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(Histogram::reset);
    }

    /// What was recorded.
    pub fn report(&self) -> LatencyReport {
        let counts = |histogram: &Histogram<u64>| {
            histogram
                .iter_recorded()
                .map(|at| (at.value_iterated_to(), at.count_since_last_iteration()))
                .collect()
        };
        let used = Class::all().zip(&self.0).filter(|(_, histogram)| !histogram.is_empty());
        used.map(|(class, histogram)| (class, counts(histogram))).collect()
    }

    /// What was recorded, in buckets.
    pub fn buckets(&self) -> Vec<Buckets> {
        let of = |(class, counts): (Class, Vec<(u64, u64)>)| {
            let mut buckets = Buckets { class, up_to: [0; BUCKETS_NS.len()], count: 0, sum_s: 0.0 };
            for (ns, count) in counts {
                buckets.count += count;
                buckets.sum_s += ns as f64 * count as f64 / 1e9;
                let first = BUCKETS_NS.partition_point(|bound_ns| *bound_ns < ns);
                buckets.up_to[first..].iter_mut().for_each(|up_to| *up_to += count);
            }
            buckets
        };
        self.report().into_iter().map(of).collect()
    }

    /// Takes the report of another shard in.
    pub fn add(&mut self, report: &LatencyReport) {
        for (class, counts) in report {
            let histogram = &mut self.0[*class as usize];
            counts.iter().for_each(|(ns, count)| histogram.saturating_record_n(*ns, *count));
        }
    }

    /// The classes that were asked for, with their histograms in nanoseconds.
    pub fn classes(&self) -> impl Iterator<Item = (Class, &Histogram<u64>)> {
        Class::all().zip(&self.0).filter(|(_, histogram)| !histogram.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_number() {
        assert!(Class::all().enumerate().all(|(n, class)| class as usize == n));
    }

    #[test]
    fn histograms_take_the_memory_that_was_planned() {
        let histogram = histogram();
        assert_eq!(histogram.distinct_values() * size_of::<u64>(), HISTOGRAM_BYTES);
    }

    #[test]
    fn buckets_hold_what_was_no_longer_than_their_bound() {
        let mut latency = Latency::default();
        for (ns, weight) in [(100, 3), (260, 1), (40_000, 2), (20_000_000_000, 1)] {
            latency.record(Class::Touch, ns, weight);
        }
        let [Buckets { class: Class::Touch, up_to, count: 7, sum_s }] = latency.buckets()[..] else {
            panic!("one class")
        };
        assert_eq!(up_to[..8], [3, 4, 4, 4, 4, 4, 4, 6]);
        assert_eq!(up_to[16], 6, "what is longer than all bounds is in the count alone");
        assert!((sum_s / 10.0 - 1.0).abs() < 0.02, "times beyond the longest count as the longest: {sum_s}");
    }

    #[test]
    fn shards_add_up() {
        let mut shards = [Latency::default(), Latency::default()];
        (1..=900).for_each(|n| shards[0].record(Class::Get, n * 1_000, 2));
        (901..=1_000).for_each(|n| shards[1].record(Class::Get, n * 1_000, 2));
        shards[1].record(Class::Set, 5 * LONGEST_NS, 1);
        let mut all = Latency::default();
        shards.iter().for_each(|shard| all.add(&shard.report()));
        let [(Class::Get, gets), (Class::Set, sets)] = all.classes().collect::<Vec<_>>()[..] else {
            panic!("two classes");
        };
        assert_eq!(gets.len(), 2_000);
        for (quantile, want_ns) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let ns = gets.value_at_quantile(quantile) as f64;
            assert!((ns / want_ns - 1.0).abs() < 0.01, "{quantile}: {ns}");
        }
        assert!(sets.max() >= LONGEST_NS && sets.max() < LONGEST_NS / 100 * 101, "{}", sets.max());
    }
}
