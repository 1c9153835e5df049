//! What the store promises as a whole: growth, density, hit ratio, expiry, large values.

mod flooding;
mod largest;
mod limit;
mod long_keys;
mod marks;
pub(super) mod oracle;
mod policy;
mod scan;
mod shift;
mod warm;
mod watch;

use super::model::Random;
use super::*;

fn config(limit_bytes: usize) -> StoreConfig {
    StoreConfig {
        limit_bytes,
        limit_max_bytes: 4 * limit_bytes,
        key_len_max: 250,
        item_size_max: 1 << 20,
        growth_factor: 1.07,
        min_item_bytes: 8,
        evict: true,
        cas: true,
        huge_pages: HugePages::Off,
        hasher: Hasher::with_seeds([1, 2, 3, 4]),
    }
}

fn store(limit_bytes: usize) -> Store {
    Store::new(&config(limit_bytes)).unwrap()
}

fn key<'a>(store: &Store, bytes: &'a [u8]) -> Key<'a> {
    Key { bytes, hash: store.hasher.hash(bytes) }
}

/// A plain set; what it says when it refuses.
fn set(store: &mut Store, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
    let key = key(store, name);
    store.set(key, &Write::new(Mode::Set, 0, 0), value, 2).map(|_| ())
}

fn value(store: &mut Store, name: &[u8]) -> Option<Vec<u8>> {
    let key = key(store, name);
    let found = store.get(key, 2).ok()?;
    let mut value = vec![0; store.item(found).value_len()];
    store.copy_value(found, &mut value);
    Some(value)
}

#[test]
fn the_limit_must_hold_a_few_pages() {
    let error = Store::new(&config(100_000)).unwrap_err().to_string();
    assert!(error.contains("100000") && error.contains("131072") && error.contains("-m"), "{error}");
    assert!(Store::new(&config(128 << 10)).is_ok());
}

#[test]
fn the_table_grows_in_place_and_loses_nothing() {
    let mut store = store(64 << 20);
    let mut growths = 0;
    for i in 0..300_000u32 {
        let growing = store.table.resizing();
        assert_eq!(set(&mut store, &i.to_le_bytes(), &i.to_le_bytes()), Ok(()));
        growths += u32::from(!growing && store.table.resizing());
        if store.table.resizing() && i % 16 == 0 {
            let probe = i / 2;
            assert_eq!(value(&mut store, &probe.to_le_bytes()), Some(probe.to_le_bytes().to_vec()));
        }
    }
    assert!(growths > 10, "{growths}");
    assert_eq!(store.counters().evictions, 0);
    for i in 0..300_000u32 {
        assert!(store.look(key(&store, &i.to_le_bytes()), 2).is_ok(), "item {i}");
    }
    store.check();
}

/// 16-byte keys, 32-byte values: bytes of limit per item once the cache is full.
#[test]
fn small_items_are_dense() {
    let mut store = store(16 << 20);
    for i in 0..400_000u64 {
        set(&mut store, format!("{i:016}").as_bytes(), &[7; 32]).unwrap();
    }
    let per_item = (16 << 20) as f64 / store.counters().curr_items as f64;
    assert!(store.counters().evictions > 100_000);
    assert!(per_item <= 88.0, "{per_item} bytes an item");
}

/// 32-byte keys, 1,000-byte values: the same.
#[test]
fn medium_items_are_dense() {
    let mut store = store(64 << 20);
    for i in 0..120_000u64 {
        set(&mut store, format!("{i:032}").as_bytes(), &[7; 1000]).unwrap();
    }
    let per_item = (64 << 20) as f64 / store.counters().curr_items as f64;
    assert!(store.counters().evictions > 50_000);
    assert!(per_item <= 1_080.0, "{per_item} bytes an item");
}

#[test]
fn the_largest_value_is_memcacheds() {
    let mut store = store(32 << 20);
    assert_eq!(set(&mut store, b"k", &vec![1; 1_048_516]), Ok(()));
    assert_eq!(value(&mut store, b"k").unwrap().len(), 1_048_516);
    assert_eq!(set(&mut store, b"k", &vec![1; 1_048_517]), Err(Refusal::TooLarge));
    assert_eq!(value(&mut store, b"k"), None, "a refused set deletes the old value");
    assert_eq!(set(&mut store, &[b'k'; 250], &vec![1; 1_048_267]), Ok(()));
    assert_eq!(set(&mut store, &[b'k'; KEY_LEN_MAX + 1], b""), Err(Refusal::TooLarge));
    store.check();
}

#[test]
fn chains_of_every_length_keep_their_bytes() {
    let mut store = store(32 << 20);
    let chunk = store.slab.chunk_max();
    let mut lens: Vec<usize> = (chunk - 80..chunk + 80).collect();
    lens.extend((1..20).flat_map(|n| [n * (chunk - 8) - 1, n * (chunk - 8), n * chunk, n * chunk + 33]));
    for (i, &len) in lens.iter().enumerate() {
        let bytes: Vec<u8> = (0..len).map(|n| (n * 31 + i) as u8).collect();
        let name = format!("chain-{}", i % 50);
        assert_eq!(set(&mut store, name.as_bytes(), &bytes), Ok(()));
        assert!(value(&mut store, name.as_bytes()).unwrap() == bytes, "length {len}");
    }
    store.check();
}

#[test]
fn a_pinned_value_outlives_its_item_and_can_be_read_elsewhere() {
    let mut store = store(1 << 20);
    let old: Vec<u8> = (0..60_000u32).map(|n| n as u8).collect();
    set(&mut store, b"big", &old).unwrap();
    let found = store.get(key(&store, b"big"), 2).unwrap();
    let pinned = store.pin(found);
    let reader = std::thread::spawn(move || {
        let bytes: Vec<u8> = pinned.segments().flatten().copied().collect();
        (pinned, bytes)
    });
    set(&mut store, b"big", b"new").unwrap();
    for i in 0..2000u32 {
        set(&mut store, &i.to_le_bytes(), &[1; 900]).unwrap();
    }
    store.check();
    let (pinned, bytes) = reader.join().unwrap();
    assert!(bytes == old);
    assert_eq!(store.pins.len(), 1);
    store.release(pinned);
    assert!(store.pins.is_empty());
    store.check();
}

#[test]
fn a_mix_of_sizes_that_shifts_never_runs_out() {
    let mut store = store(2 << 20);
    let mut random = Random(1);
    for phase in 0..6u64 {
        for i in 0..6_000u64 {
            let len = if phase % 2 == 0 { random.below(60) } else { 2_000 + random.below(30_000) };
            assert_eq!(set(&mut store, &i.to_le_bytes(), &vec![3; len as usize]), Ok(()));
        }
        store.check();
    }
    assert!(store.counters().slabs_moved > 100);
}

/// The overdue leave before the living, also without any background work.
#[test]
fn nothing_live_is_evicted_while_overdue_items_are_known() {
    let mut store = store(2 << 20);
    let put = |store: &mut Store, i: u32, expires_s, now_s| {
        let name = i.to_le_bytes();
        let key = key(store, &name);
        assert!(store.set(key, &Write::new(Mode::Set, 0, expires_s), &[9; 100], now_s).is_ok());
    };
    for i in 0..12_000 {
        put(&mut store, i, if i % 2 == 0 { 10 } else { 0 }, 2);
    }
    // 19,000 items do not fit, the 13,000 that live do.
    for i in 20_000..27_000 {
        put(&mut store, i, 0, 20);
    }
    assert_eq!(store.counters().evictions, 0);
    assert!(
        store.counters().crawler_reclaimed + store.counters().reclaimed > 3_000,
        "{:?}",
        store.counters()
    );
    for i in (1..12_000).step_by(2).chain(20_000..27_000u32) {
        assert!(store.look(key(&store, &i.to_le_bytes()), 20).is_ok(), "item {i}");
    }
    store.check();
}

#[test]
fn the_crawl_gives_everything_overdue_back() {
    let mut store = store(4 << 20);
    for i in 0..10_000u32 {
        let name = i.to_le_bytes();
        let key = key(&store, &name);
        store.set(key, &Write::new(Mode::Set, 0, 3 + i % 4 * 100), b"value", 2).unwrap();
    }
    while store.background(50, 500) {}
    assert_eq!(store.counters().curr_items, 7_500);
    assert_eq!(store.counters().crawler_reclaimed, 2_500);
    store.flush(Some(70), 60);
    while store.background(69, 500) {}
    assert_eq!(store.counters().curr_items, 7_500);
    while store.background(70, 500) {}
    assert_eq!(store.counters().curr_items, 0);
    assert_eq!(store.footprint().pages_items, 0);
    let pass = (71..200).find(|&now_s| store.background(now_s, 1));
    assert_eq!(pass, None, "nothing is left to look through");
}

#[test]
fn a_flush_is_seen_at_once_and_never_undone() {
    let mut store = store(1 << 20);
    set(&mut store, b"old", b"1").unwrap();
    store.flush(None, 2);
    set(&mut store, b"new", b"2").unwrap();
    assert_eq!(store.get(key(&store, b"old"), 2).unwrap_err(), Miss::Flushed);
    set(&mut store, b"old again", b"1").unwrap();
    store.flush(Some(100), 3);
    assert!(store.get(key(&store, b"new"), 3).is_ok());
    assert_eq!(store.get(key(&store, b"old"), 3).unwrap_err(), Miss::Absent);
    assert_eq!(store.get(key(&store, b"new"), 100).unwrap_err(), Miss::Flushed);
    assert_eq!(store.counters().get_flushed, 2);
}

#[test]
fn the_cas_counter_comes_round() {
    let mut store = store(1 << 20);
    store.number = item::CAS_MASK - 2;
    set(&mut store, b"before", b"1").unwrap();
    store.flush(None, 2);
    for name in [b"a", b"b", b"c"] {
        set(&mut store, name, b"2").unwrap();
        let found = store.get(key(&store, name), 2).expect("younger than the flush");
        assert_ne!(store.item(found).cas(), 0);
    }
    assert_eq!(store.get(key(&store, b"before"), 2).unwrap_err(), Miss::Flushed);
}

#[test]
fn without_cas_every_number_is_zero_and_no_swap_succeeds() {
    let mut store = Store::new(&StoreConfig { cas: false, ..config(1 << 20) }).unwrap();
    set(&mut store, b"k", b"1").unwrap();
    let found = store.get(key(&store, b"k"), 2).unwrap();
    assert_eq!(store.item(found).cas(), 0);
    for number in [0, 1] {
        let write = Write { compare: Some(number), ..Write::new(Mode::Set, 0, 0) };
        assert_eq!(store.set(key(&store, b"k"), &write, b"2", 2), Err(Refusal::Exists));
    }
}

#[test]
fn arithmetic_keeps_flags_and_pads_with_spaces() {
    let mut store = store(1 << 20);
    store.set(key(&store, b"n"), &Write::new(Mode::Set, 5, 50), b"10", 2).unwrap();
    let change = |store: &mut Store, name: &[u8], delta, increment| {
        let key = key(store, name);
        store.arith(key, &Arithmetic::new(delta, increment), 2).map(|(number, _)| number)
    };
    assert_eq!(change(&mut store, b"n", 1, false), Ok(9));
    assert_eq!(value(&mut store, b"n").unwrap(), b"9 ");
    assert_eq!(change(&mut store, b"n", 991, true), Ok(1000));
    assert_eq!(value(&mut store, b"n").unwrap(), b"1000");
    assert_eq!(change(&mut store, b"n", u64::MAX - 999, true), Ok(0));
    assert_eq!(value(&mut store, b"n").unwrap(), b"0   ");
    let found = store.get(key(&store, b"n"), 2).unwrap();
    assert_eq!((store.item(found).flags(), store.item(found).expires_s()), (5, 50));
    set(&mut store, b"n", b"word").unwrap();
    assert_eq!(change(&mut store, b"n", 1, true), Err(ArithRefusal::NonNumeric));
    assert_eq!(change(&mut store, b"absent", 1, true), Err(ArithRefusal::NotFound));
}

/// A store that goes away while a pin is out leaves its memory mapped, so the pin stays readable.
#[test]
fn a_pin_outlives_its_store() {
    let mut store = store(1 << 20);
    set(&mut store, b"k", b"value").unwrap();
    let found = store.get(key(&store, b"k"), 2).unwrap();
    let pinned = store.pin(found);
    drop(store);
    assert_eq!(pinned.segments().flatten().copied().collect::<Vec<_>>(), b"value");
    _ = pinned.into_raw();
}

#[test]
fn a_store_can_move_to_its_thread() {
    fn is_send<T: Send>() {}
    is_send::<Store>();
    is_send::<Pinned>();
    is_send::<Upload>();
}

#[test]
fn without_evictions_full_means_no_memory_and_nothing_is_lost() {
    let mut store = Store::new(&StoreConfig { evict: false, ..config(1 << 20) }).unwrap();
    let mut stored = 0u32;
    while set(&mut store, &stored.to_le_bytes(), &[5; 100]) == Ok(()) {
        stored += 1;
    }
    assert!(stored > 6_000, "{stored}");
    for i in 0..stored {
        assert!(store.look(key(&store, &i.to_le_bytes()), 2).is_ok());
    }
    let replace = Write::new(Mode::Replace, 0, 0);
    assert_eq!(store.set(key(&store, &[0; 4]), &replace, &[6; 5000], 2), Err(Refusal::NoMemory));
    assert!(store.look(key(&store, &[0; 4]), 2).is_ok(), "a refused replace keeps the old value");
    assert_eq!(set(&mut store, &[0; 4], &[6; 5000]), Err(Refusal::NoMemory));
    assert!(store.look(key(&store, &[0; 4]), 2).is_err(), "a refused set deletes it");
    assert_eq!(set(&mut store, b"next", &[5; 100]), Ok(()));
    store.check();
}

/// What is announced cannot be evicted: half of the memory is kept from it.
#[test]
fn values_that_do_not_come_leave_half_of_the_memory() {
    let mut store = store(8 << 20);
    let write = Write::new(Mode::Set, 0, 0);
    let mut uploads = Vec::new();
    let refusal = loop {
        match store.reserve(key(&store, &uploads.len().to_le_bytes()), &write, 1_000_000, 2) {
            Ok(upload) => uploads.push(upload),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal::NoMemory);
    assert!((12..=16).contains(&uploads.len()), "{} uploads of 256 KiB and more in 4 MiB", uploads.len());
    let mut stored = 0u32;
    while store.counters().evictions == 0 {
        set(&mut store, &stored.to_le_bytes(), &[5; 1_000]).unwrap();
        stored += 1;
    }
    assert!(stored > 3_000, "{stored}");
    // One that goes on has no more memory than the others together leave; given up, it leaves room for the next.
    let mut last = uploads.pop().unwrap();
    last.fill(300_000);
    let name = uploads.len().to_le_bytes();
    assert_eq!(store.grow(last, key(&store, &name), &write, 2).unwrap_err(), Refusal::NoMemory);
    let next = store.reserve(key(&store, &name), &write, 200_000, 2).unwrap();
    store.abandon(next);
    uploads.into_iter().for_each(|upload| store.abandon(upload));
    assert_eq!(store.tokens_out(), 0);
    store.check();
}

#[test]
fn class_statistics_add_up() {
    let mut store = store(4 << 20);
    for i in 0..20_000u32 {
        let len = (i as usize * 37) % 600;
        set(&mut store, &i.to_le_bytes(), &vec![1; len]).unwrap();
        value(&mut store, &(i / 2).to_le_bytes());
    }
    let classes: Vec<ClassStats> = (1..=store.class_max()).map(|id| store.class_stats(id).unwrap()).collect();
    let sum = |of: fn(&ClassStats) -> u64| classes.iter().map(of).sum::<u64>();
    let counters = *store.counters();
    assert_eq!(sum(|class| class.counters.number), counters.curr_items);
    assert_eq!(sum(|class| class.counters.mem_requested), counters.bytes);
    assert_eq!(sum(|class| class.counters.evicted), counters.evictions);
    assert_eq!(sum(|class| class.counters.cmd_set), 20_000);
    assert_eq!(sum(|class| class.used_chunks.into()), counters.curr_items);
    assert_eq!(sum(|class| class.total_pages.into()), u64::from(store.footprint().pages_items));
    assert!(store.class_stats(0).is_none() && store.class_stats(store.class_max() + 1).is_none());
    store.reset_counters();
    assert_eq!(store.counters().curr_items, counters.curr_items);
    assert_eq!(store.counters().evictions, 0);
}
