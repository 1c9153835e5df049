//! Evictions as somebody who watches sees them.

use super::*;

#[test]
fn every_eviction_is_kept_or_counted_while_watched() {
    let mut store = store(1 << 20);
    for i in 0..20_000u32 {
        set(&mut store, &i.to_le_bytes(), &[1; 100]).unwrap();
    }
    assert!(store.counters().evictions > 5_000);
    assert!(store.take_evicted().kept.is_empty() && store.evictions.is_none(), "nobody watches");

    store.watch_evictions(true);
    let before = store.counters().evictions;
    for i in 30_000..30_200u32 {
        set(&mut store, &i.to_le_bytes(), &[1; 100]).unwrap();
    }
    let evictions = store.take_evicted();
    assert_eq!(evictions.kept.len() as u64, store.counters().evictions - before);
    assert!(evictions.kept.len() > 100 && evictions.lost == 0);
    for evicted in &evictions.kept {
        assert_eq!(store.look(key(&store, &evicted.key), 2), Err(Miss::Absent));
        assert_eq!((evicted.fetched, evicted.ttl_s, evicted.idle_s), (false, None, 0));
        assert_eq!((evicted.bytes, evicted.value_len), (24 + 4 + 100, 100));
        assert_eq!(evicted.class, evictions.kept[0].class);
    }
    assert!(store.take_evicted().kept.is_empty());

    let before = store.counters().evictions;
    for i in 40_000..50_000u32 {
        set(&mut store, &i.to_le_bytes(), &[1; 100]).unwrap();
    }
    let evictions = store.take_evicted();
    assert_eq!(evictions.kept.len(), 1024);
    assert_eq!(evictions.lost, store.counters().evictions - before - 1024);
    store.watch_evictions(false);
    assert!(store.evictions.is_none());
}

#[test]
fn an_eviction_tells_age_and_time_to_live() {
    let mut store = store(1 << 20);
    store.watch_evictions(true);
    for i in 0..20_000u32 {
        let name = i.to_le_bytes();
        let key = key(&store, &name);
        store.set(key, &Write::new(Mode::Set, 0, 100), &[1; 100], 2 + i / 1_000).unwrap();
        if i < 100 {
            store.get(key, 2).unwrap();
        }
    }
    let evictions = store.take_evicted().kept;
    assert!(evictions.iter().any(|evicted| evicted.fetched));
    for evicted in evictions {
        let stored_s = 2 + u32::from_le_bytes((*evicted.key).try_into().unwrap()) / 1_000;
        let evicted_s = stored_s + evicted.idle_s;
        assert!(evicted_s <= 21 && evicted.ttl_s == Some(100 - evicted_s), "{evicted:?}");
    }
}
