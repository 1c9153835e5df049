//! Loads that change: memory follows the sizes that are asked for (no calcification), and the overdue make room for
//! the living.

use super::*;

/// Requests for random keys of a set twice as large as the cache, some asked for more often than others; a value
/// that is missed is stored.
struct Load {
    /// Keys of different loads differ.
    name: u32,
    /// Lengths of the values: a key's is between these.
    lens: std::ops::Range<usize>,
}

impl Load {
    /// Stores values for three whole caches; the hits of a hundred requests in the last tenth of that time.
    fn fill(&self, store: &mut Store, random: &mut Random) -> f64 {
        (0..30).map(|_| self.fill_tenth(store, random)).last().unwrap()
    }

    fn fill_tenth(&self, store: &mut Store, random: &mut Random) -> f64 {
        let limit_bytes = store.footprint().limit_bytes;
        let spread = self.lens.len().max(1);
        let keys = 2 * limit_bytes / (self.lens.start + spread / 2 + 50);
        let body = vec![7; self.lens.end];
        let (mut stored_bytes, mut requests, mut hits) = (0, 0, 0);
        while stored_bytes < limit_bytes / 10 {
            let most = random.below(keys as u64) + 1;
            let id = random.below(most);
            let name = [self.name.to_le_bytes(), (id as u32).to_le_bytes()].concat();
            requests += 1;
            if requests % 256 == 0 {
                store.background(2, 1000);
            }
            if store.get(key(store, &name), 2).is_ok() {
                hits += 1;
                continue;
            }
            let len = self.lens.start + id as usize * 97 % spread;
            set(store, &name, &body[..len]).unwrap();
            stored_bytes += len + 50;
        }
        100.0 * f64::from(hits) / f64::from(requests)
    }

    /// The same in a store that never saw another load.
    fn fresh(&self) -> f64 {
        self.fill(&mut store(LIMIT_BYTES), &mut Random(11))
    }
}

const LIMIT_BYTES: usize = 16 << 20;
const SMALL: Load = Load { name: 1, lens: 100..101 };
const LARGE: Load = Load { name: 2, lens: 4000..4001 };

#[test]
fn a_load_of_other_sizes_soon_hits_as_on_a_fresh_store() {
    for (before, after) in [(SMALL, LARGE), (LARGE, SMALL)] {
        let (mut store, mut random) = (store(LIMIT_BYTES), Random(12));
        before.fill(&mut store, &mut random);
        let (rate, fresh) = (after.fill(&mut store, &mut random), after.fresh());
        store.check();
        assert!(rate >= 0.95 * fresh, "{rate} % after three cache-fulls, {fresh} % on a fresh store");
        assert!(store.counters().slabs_moved > 100);
    }
}

#[test]
fn a_mix_that_drifts_hits_as_on_a_fresh_store() {
    let (mut store, mut random) = (store(LIMIT_BYTES), Random(13));
    let lens = [60, 90, 150, 300, 600, 1200, 600, 300, 150, 90, 60].map(|least| least..4 * least);
    for (name, lens) in (10..).zip(lens) {
        let load = Load { name, lens };
        let (rate, fresh) = (load.fill(&mut store, &mut random), load.fresh());
        assert!(rate >= 0.95 * fresh, "{:?}: {rate} %, {fresh} % on a fresh store", load.lens);
        store.check();
    }
}

/// Steps of the background work in one second of the simulated clock, as the shard does them; returns how many.
fn a_second(store: &mut Store, now_s: u32) -> usize {
    const STEPS_MAX: usize = 500;
    (1..=STEPS_MAX).find(|_| !store.background(now_s, 1000)).unwrap_or(STEPS_MAX)
}

/// Items that expire at every second of a few minutes, and some never.
fn mixed_ttls(store: &mut Store, items: u32) -> Vec<u32> {
    let mut random = Random(14);
    let expiries: Vec<u32> =
        (0..items).map(|_| if random.below(4) == 0 { 0 } else { 3 + random.below(200) as u32 }).collect();
    for (i, &expires_s) in (0u32..).zip(&expiries) {
        let name = i.to_le_bytes();
        let key = key(store, &name);
        store.set(key, &Write::new(Mode::Set, 0, expires_s), &[9; 60], 2).unwrap();
    }
    expiries
}

/// At every second all but a hundredth of what was overdue half a minute ago is free again, and no pass of the crawl
/// looks at everything for little.
#[test]
fn the_overdue_are_free_within_half_a_minute() {
    const ITEMS: u32 = 100_000;
    let mut store = store(32 << 20);
    let expiries = mixed_ttls(&mut store, ITEMS);
    let mut steps = 0;
    for now_s in 3..260 {
        steps += a_second(&mut store, now_s);
        let overdue = |at_s: u32| expiries.iter().filter(|&&s| s != 0 && s < at_s).count() as u64;
        let gone = u64::from(ITEMS) - store.counters().curr_items;
        assert!(gone * 100 >= overdue(now_s.saturating_sub(30)) * 99, "second {now_s}: {gone} gone");
        assert!(gone <= overdue(now_s), "second {now_s}");
    }
    assert_eq!(store.counters().curr_items, expiries.iter().filter(|&&s| s == 0).count() as u64);
    let checked = store.counters().crawler_items_checked;
    assert!(checked < 60 * u64::from(ITEMS), "{checked} looks, {steps} steps");
    store.check();
}

/// The same without background work: stores that need the room find it in bounded work before the living lose any.
#[test]
fn stores_take_the_room_of_the_overdue() {
    let mut store = store(8 << 20);
    let expiries = mixed_ttls(&mut store, 60_000);
    assert_eq!(store.counters().evictions, 0);
    for i in 0..35_000u32 {
        let name = (1_000_000 + i).to_le_bytes();
        let key = key(&store, &name);
        store.set(key, &Write::new(Mode::Set, 0, 0), &[9; 60], 300).unwrap();
    }
    assert_eq!(store.counters().evictions, 0);
    for (i, _) in (0u32..).zip(&expiries).filter(|(_, expires_s)| **expires_s == 0) {
        assert!(store.look(key(&store, &i.to_le_bytes()), 300).is_ok(), "item {i}");
    }
    store.check();
}
