//! The eviction policy by its misses: against plain FIFO, and on loads that are hard for one policy or another.

use super::*;
use std::collections::{HashSet, VecDeque};

/// Misses of cache-aside requests.
#[derive(Debug)]
struct Misses {
    /// Of the store.
    ours: usize,
    /// Of a plain FIFO with room for as many items.
    plain: usize,
    /// Of a cache without limit: the different ids.
    compulsory: usize,
}

fn misses(requests: impl Iterator<Item = u64>) -> Misses {
    let mut store = store(2 << 20);
    let mut misses = Misses { ours: 0, plain: 0, compulsory: 0 };
    let mut fifo = VecDeque::new();
    let (mut known, mut seen) = (HashSet::new(), HashSet::new());
    for id in requests {
        let name = id.to_le_bytes();
        if value(&mut store, &name).is_none() {
            misses.ours += 1;
            set(&mut store, &name, &[1; 60]).unwrap();
        }
        misses.compulsory += usize::from(seen.insert(id));
        if known.insert(id) {
            misses.plain += 1;
            fifo.push_back(id);
            if fifo.len() > store.counters().curr_items as usize {
                known.remove(&fifo.pop_front().unwrap());
            }
        }
    }
    store.check();
    misses
}

/// A draw of a Zipf(1) distribution over about so many ids: the inverse of the cumulative one is exponential.
fn zipf(random: &mut Random, ids: f64) -> u64 {
    ids.powf(random.below(1 << 30) as f64 / (1u64 << 30) as f64) as u64
}

#[test]
fn misses_fewer_than_fifo_on_a_skewed_stream() {
    let mut random = Random(5);
    let misses = misses((0..400_000).map(|_| zipf(&mut random, 300_000.0)));
    assert!(misses.ours * 100 < misses.plain * 90, "{misses:?}");
}

/// A working set of half the cache, read again and again, and a scan that passes through it.
#[test]
fn a_scan_does_not_wash_the_working_set_away() {
    let mut random = Random(6);
    let working: Vec<u64> = (0..200_000).map(|_| random.below(8_000)).collect();
    let scan = (0..100_000u64).map(|i| 1_000_000 + i);
    let mixed = working[..100_000].iter().copied().zip(scan).flat_map(|(a, b)| [a, b]);
    let misses = misses(working[100_000..].iter().copied().chain(mixed));
    assert_eq!(misses.compulsory, 108_000);
    assert!(misses.ours < misses.compulsory + 4_000, "{misses:?}");
    assert!(misses.plain > misses.ours + 10_000, "{misses:?}");
}

/// All ids are other ones in each phase. With the small queue held to a tenth a fifth of the misses is in vain.
#[test]
fn a_set_that_shifts_misses_little_but_what_it_never_saw() {
    let mut random = Random(7);
    let ids = (0..600_000u64).map(|i| i / 50_000 * 1_000_000 + zipf(&mut random, 25_000.0));
    let misses = misses(ids);
    assert!(misses.ours * 100 < misses.compulsory * 102, "{misses:?}");
}

/// Least recently used and FIFO miss every time.
#[test]
fn a_loop_over_more_than_fits_still_hits() {
    let misses = misses((0..300_000).map(|i| i % 20_000));
    assert_eq!(misses.plain, 300_000);
    assert!(misses.ours * 100 < misses.plain * 80, "{misses:?}");
}

/// When the popular stay popular again the small queue goes back to its tenth.
#[test]
fn after_a_shift_the_small_queue_gives_back_what_it_took() {
    let mut store = store(2 << 20);
    let mut random = Random(8);
    let ask = |store: &mut Store, id: u64| {
        let name = id.to_le_bytes();
        if value(store, &name).is_none() {
            set(store, &name, &[1; 60]).unwrap();
        }
    };
    for i in 0..500_000u64 {
        let id = i / 50_000 * 1_000_000 + zipf(&mut random, 25_000.0);
        ask(&mut store, id);
    }
    assert!(store.queues.share.percent() >= 40, "{:?}", store.queues.share);
    for _ in 0..500_000 {
        let id = 20_000_000 + zipf(&mut random, 100_000.0);
        ask(&mut store, id);
    }
    assert!(store.queues.share.percent() <= 20, "{:?}", store.queues.share);
    let [small, main] = [store.queues.small.bytes, store.queues.main.bytes];
    assert!(small * 100 < (small + main) * 25, "{small} of {}", small + main);
}
