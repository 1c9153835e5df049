//! The limit raised and lowered while the store runs.

use super::*;

/// Items with values of `len` bytes until so many evictions have happened.
fn fill(store: &mut Store, from: u32, len: usize, evictions: u64) {
    let body = vec![1; len];
    let enough = store.counters().evictions + evictions;
    for i in from.. {
        if store.counters().evictions >= enough {
            return;
        }
        set(store, &i.to_le_bytes(), &body).unwrap();
    }
}

/// Background work until there is nothing more to do; returns the number of steps.
fn settle(store: &mut Store) -> usize {
    (1..).find(|_| !store.background(2, 500)).unwrap()
}

/// Pages that so many bytes have.
fn pages(store: &Store, bytes: usize) -> u32 {
    (bytes / store.footprint().page_bytes) as u32
}

fn used_pages(store: &Store) -> u32 {
    store.footprint().pages_total - store.footprint().pages_free
}

#[test]
fn what_a_limit_may_be() {
    let mut store = Store::new(&StoreConfig { limit_max_bytes: 4 << 20, ..config(1 << 20) }).unwrap();
    let error = store.set_limit(100_000).unwrap_err().to_string();
    assert!(error.contains("100000") && error.contains("131072"), "{error}");
    let error = store.set_limit(5 << 20).unwrap_err().to_string();
    assert!(error.contains("5242880") && error.contains("4194304") && error.contains("-m"), "{error}");
    for limit_bytes in [4 << 20, 128 << 10, 1 << 20] {
        store.set_limit(limit_bytes).unwrap();
        let footprint = store.footprint();
        assert_eq!((footprint.limit_bytes, footprint.pages_over), (limit_bytes, 0));
        assert_eq!(footprint.pages_total as usize * footprint.page_bytes, limit_bytes);
        store.check();
    }
    let most = Store::new(&StoreConfig { limit_max_bytes: usize::MAX, ..config(1 << 20) }).unwrap();
    assert_eq!(most.slab.arena.reserved(), PAGES_MAX * PAGE_BYTES_MIN, "bounded by the number of pages");
}

/// A limit of the start that is no whole number of pages is one to come back to.
#[test]
fn limits_are_told_before_there_is_a_store() {
    const LIMIT_BYTES: usize = (64 << 20) / 3;
    for limit_max_bytes in [LIMIT_BYTES, 2 * LIMIT_BYTES] {
        let config = StoreConfig { limit_max_bytes, ..config(LIMIT_BYTES) };
        let (least_bytes, most_bytes) = config.limits().into_inner();
        let mut store = Store::new(&config).unwrap();
        assert_eq!(most_bytes, limit_max_bytes);
        for limit_bytes in [least_bytes, most_bytes, LIMIT_BYTES] {
            store.set_limit(limit_bytes).unwrap();
        }
        assert!(store.set_limit(least_bytes - 1).is_err());
        assert!(store.set_limit(most_bytes + store.footprint().page_bytes).is_err());
    }
}

#[test]
fn a_raised_limit_is_filled_and_a_lowered_one_keeps_the_warm() {
    let mut store = Store::new(&StoreConfig { limit_max_bytes: 8 << 20, ..config(2 << 20) }).unwrap();
    fill(&mut store, 0, 100, 1_000);
    let before = store.counters().curr_items;
    store.set_limit(8 << 20).unwrap();
    fill(&mut store, 1_000_000, 100, 1_000);
    assert!(store.counters().curr_items > before * 15 / 4, "{}", store.counters().curr_items);
    let warm: Vec<u32> =
        (1_000_000..1_005_000u32).filter(|i| value(&mut store, &i.to_le_bytes()).is_some()).collect();
    for _ in 0..3 {
        warm.iter().for_each(|i| assert!(value(&mut store, &i.to_le_bytes()).is_some()));
    }
    store.set_limit(4 << 20).unwrap();
    assert!(
        store.footprint().pages_over > pages(&store, 3 << 20),
        "a full store cannot give up pages at once"
    );
    store.check();
    let steps = settle(&mut store);
    assert!(steps > 20, "{steps} steps");
    store.check();
    assert_eq!((store.footprint().pages_over, store.footprint().pages_total), (0, pages(&store, 4 << 20)));
    let kept = warm.iter().filter(|i| value(&mut store, &i.to_le_bytes()).is_some()).count();
    assert!(warm.len() > 3_000 && kept * 100 > warm.len() * 95, "{kept} of {} warm items", warm.len());
    let items = store.counters().curr_items;
    assert!(items > before * 17 / 10, "{items} items are left where {before} were in half the memory");
    store.set_limit(8 << 20).unwrap();
    fill(&mut store, 2_000_000, 100, 1_000);
    assert!(store.counters().curr_items > before * 15 / 4, "{}", store.counters().curr_items);
    store.check();
}

#[test]
fn the_table_shrinks_with_the_limit_and_grows_again() {
    let mut store = Store::new(&StoreConfig { limit_max_bytes: 4 << 20, ..config(4 << 20) }).unwrap();
    fill(&mut store, 0, 4, 1_000);
    let large = store.footprint();
    assert!(large.pages_table > 20 && large.pages_ghost > 2, "{large:?}");
    store.set_limit(128 << 10).unwrap();
    let mut steps = 0;
    while store.background(2, 200) {
        steps += 1;
        if steps % 2_000 == 0 {
            store.check();
        }
    }
    store.check();
    let small = store.footprint();
    assert_eq!((small.pages_over, small.pages_total), (0, pages(&store, 128 << 10)), "{small:?}");
    assert!((1..=5).contains(&small.pages_table) && store.counters().curr_items > 200, "{small:?}");
    fill(&mut store, 2_000_000, 4, 1_000);
    store.check();
    store.set_limit(4 << 20).unwrap();
    fill(&mut store, 3_000_000, 4, 1_000);
    let again = store.footprint();
    assert!(again.pages_table * 10 > large.pages_table * 9, "{again:?}");
    store.check();
}

/// A limit that is raised again while the table shrinks.
#[test]
fn a_table_that_has_shrunk_gives_its_pages_up() {
    let mut store = Store::new(&StoreConfig { evict: false, ..config(2 << 20) }).unwrap();
    for i in 0..20_000u32 {
        set(&mut store, &i.to_le_bytes(), b"12345678").unwrap();
    }
    for i in 100..20_000u32 {
        store.delete_if(key(&store, &i.to_le_bytes()), None, 2).unwrap();
    }
    settle(&mut store);
    let before = store.table.page_count();
    store.set_limit(128 << 10).unwrap();
    while !store.table.resizing() {
        store.background(2, 10);
    }
    store.set_limit(2 << 20).unwrap();
    settle(&mut store);
    let after = store.table.page_count();
    assert!(after < before && !store.table.ready_to_grow(), "{before} pages, then {after}");
    store.check();
}

/// Stores go on while the limit is over, and push towards it too.
#[test]
fn stores_succeed_while_pages_are_emptied() {
    let mut store = store(8 << 20);
    fill(&mut store, 0, 100, 1_000);
    store.set_limit(3 << 20).unwrap();
    assert!(store.footprint().pages_over > 300);
    let mut random = Random(3);
    for i in 0..20_000u32 {
        let len = if i % 10 == 0 { random.below(20_000) } else { random.below(200) };
        set(&mut store, &i.to_le_bytes(), &vec![3; len as usize]).unwrap();
    }
    store.check();
    assert!(used_pages(&store) < 250, "{} pages", used_pages(&store));
    settle(&mut store);
    assert_eq!(store.footprint().pages_over, 0);
}

#[test]
fn without_evictions_only_what_is_free_is_given_up() {
    let config = StoreConfig { evict: false, ..config(4 << 20) };
    let mut store = Store::new(&config).unwrap();
    let stored = (0..15_000u32).filter(|i| set(&mut store, &i.to_le_bytes(), &[1; 100]).is_ok()).count();
    assert_eq!(stored, 15_000);
    store.set_limit(1 << 20).unwrap();
    settle(&mut store);
    assert!(store.footprint().pages_over > pages(&store, 800 << 10));
    assert_eq!(store.counters().curr_items, 15_000);
    assert_eq!(set(&mut store, &[9; 5000], &[1; 4000]), Err(Refusal::TooLarge));
    assert_eq!(set(&mut store, b"more", &[1; 4000]), Err(Refusal::NoMemory));
    // Most are deleted, all over the pages: what is left moves together.
    for i in (0..15_000u32).filter(|i| i % 10 != 0) {
        store.delete_if(key(&store, &i.to_le_bytes()), None, 2).unwrap();
    }
    settle(&mut store);
    store.check();
    assert_eq!((store.footprint().pages_over, store.counters().curr_items), (0, 1_500));
    assert!(used_pages(&store) <= pages(&store, 1 << 20));
    for i in (0..15_000u32).step_by(10) {
        assert!(value(&mut store, &i.to_le_bytes()).is_some());
    }
}

/// Bytes of the arena that are in memory, as the kernel counts them (`Rss` of its mappings).
fn resident_bytes(store: &Store) -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let base = store.slab.arena.address(0) as usize;
    let arena = base..base + store.slab.arena.reserved();
    let (mut inside, mut total) = (false, 0);
    for line in smaps.lines() {
        let first = line.split([' ', '-']).next().unwrap();
        if let Some(kib) = line.strip_prefix("Rss:") {
            let kib: usize = kib.trim().trim_end_matches(" kB").parse().unwrap();
            total += if inside { kib << 10 } else { 0 };
        } else if let (Ok(start), true) = (usize::from_str_radix(first, 16), line.contains('-')) {
            inside = arena.contains(&start);
        }
    }
    total
}

#[test]
fn memory_goes_back_to_the_system() {
    let mut store = Store::new(&StoreConfig { limit_max_bytes: 64 << 20, ..config(32 << 20) }).unwrap();
    assert!(resident_bytes(&store) < 1 << 20);
    fill(&mut store, 0, 2_000, 100);
    assert!(resident_bytes(&store) > 31 << 20, "{}", resident_bytes(&store));
    store.set_limit(8 << 20).unwrap();
    settle(&mut store);
    let resident = resident_bytes(&store);
    assert!(resident <= 8 << 20 && resident > 7 << 20, "{resident}");
    store.set_limit(64 << 20).unwrap();
    assert!(resident_bytes(&store) <= 8 << 20, "a raised limit takes nothing by itself");
    fill(&mut store, 1_000_000, 2_000, 100);
    let resident = resident_bytes(&store);
    assert!(resident <= 64 << 20 && resident > 62 << 20, "{resident}");
    store.check();
}
