//! Walks over all items while the store changes under them.

use super::*;
use std::collections::{HashMap, HashSet};

#[test]
fn visits_everything_once_in_the_order_of_hashes() {
    let mut store = store(16 << 20);
    for i in 0..50_000u32 {
        set(&mut store, &i.to_le_bytes(), b"value").unwrap();
    }
    let (mut seen, mut cursor, mut steps) = (HashSet::new(), 0, 0);
    loop {
        let before = cursor;
        let next = store.scan(cursor, 16, 2, &mut |item| {
            let hash = Hasher::with_seeds([1, 2, 3, 4]).hash(item.key()) as u32;
            assert!(hash >= before && !item.fetched());
            assert!(seen.insert(item.key().to_vec()), "visited twice");
            true
        });
        steps += 1;
        let Some(next) = next else { break };
        assert!(next > cursor);
        cursor = next;
    }
    assert_eq!(seen.len(), 50_000);
    assert!(steps > 300 && store.counters().get_expired == 0);
}

#[test]
fn skips_the_dead_and_stops_when_told() {
    let mut store = store(4 << 20);
    for i in 0..4_000u32 {
        let name = i.to_le_bytes();
        let expires_s = if i % 2 == 0 { 10 } else { 0 };
        let key = key(&store, &name);
        store.set(key, &Write::new(Mode::Set, 0, expires_s), b"value", 2).unwrap();
    }
    let mut seen = Vec::new();
    let cursor = store.scan(0, usize::MAX, 11, &mut |item| {
        seen.push(u32::from_le_bytes(item.key().try_into().unwrap()));
        seen.len() < 100
    });
    assert!((100..228).contains(&seen.len()), "{}", seen.len());
    let rest = store.scan(cursor.unwrap(), usize::MAX, 11, &mut |item| {
        seen.push(u32::from_le_bytes(item.key().try_into().unwrap()));
        true
    });
    assert_eq!(rest, None);
    seen.sort_unstable();
    assert!(seen.into_iter().eq((0..2_000).map(|i| 2 * i + 1)));
    assert_eq!(store.counters().curr_items, 4_000, "the dead are not freed");
}

/// Items come, go, grow and move, and the table grows several times, between the steps of one walk.
#[test]
fn what_stays_is_visited_once_whatever_else_changes() {
    let mut store = Store::new(&StoreConfig { evict: false, ..config(1 << 20) }).unwrap();
    let mut random = Random(9);
    for i in 0..3_000u32 {
        set(&mut store, &i.to_le_bytes(), b"stays").unwrap();
    }
    let (mut seen, mut cursor, mut others) = (HashMap::new(), Some(0), 10_000u32);
    let (pages, moved) = (store.table.page_count(), store.counters().slab_rescues);
    while let Some(from) = cursor {
        for _ in 0..40 {
            // Refused once the memory is full, which is when pages begin to be emptied.
            _ = set(&mut store, &others.to_le_bytes(), &[1; 40]);
            others += 1;
            let gone = 10_000 + random.below(u64::from(others) - 10_000) as u32;
            _ = store.delete_if(key(&store, &gone.to_le_bytes()), None, 2);
            let stays = (random.below(3_000) as u32).to_le_bytes();
            let key = key(&store, &stays);
            let value = vec![2; random.below(100) as usize];
            _ = store.set(key, &Write::new(Mode::Replace, 0, 0), &value, 2);
        }
        store.background(2, 20);
        cursor = store.scan(from, 1, 2, &mut |item| {
            *seen.entry(item.key().to_vec()).or_insert(0) += 1;
            true
        });
    }
    assert!(seen.values().all(|&times| times == 1));
    for i in 0..3_000u32 {
        assert!(seen.contains_key(&i.to_le_bytes()[..]), "item {i} was not visited");
    }
    assert!(store.table.page_count() > pages + 1, "the table did not grow");
    assert!(store.counters().slab_rescues > moved, "nothing was moved");
    store.check();
}

/// The same while the table shrinks.
#[test]
fn what_stays_is_visited_once_while_the_table_shrinks() {
    let mut store = Store::new(&StoreConfig { evict: false, ..config(2 << 20) }).unwrap();
    for i in 0..20_000u32 {
        set(&mut store, &i.to_le_bytes(), b"12345678").unwrap();
    }
    for i in (0..20_000u32).filter(|i| i % 20 != 0) {
        store.delete_if(key(&store, &i.to_le_bytes()), None, 2).unwrap();
    }
    let pages = store.table.page_count();
    store.set_limit(256 << 10).unwrap();
    let (mut seen, mut cursor) = (HashSet::new(), Some(0));
    while let Some(from) = cursor {
        store.background(2, 7);
        cursor = store.scan(from, 1, 2, &mut |item| {
            assert!(seen.insert(item.key().to_vec()), "visited twice");
            true
        });
    }
    assert!(store.table.page_count() + 1 < pages, "the table did not shrink");
    assert_eq!((seen.len(), store.counters().evictions), (1_000, 0));
    store.check();
}
