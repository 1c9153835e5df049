//! The store: table, items, eviction and slab, behind its own interface.
//!
//! Lookups go over [`ITEMS`] items, some 16 MiB: more than the private caches of a core hold, so time, unlike
//! instructions, includes the way to memory. Keys come in an order that no prefetcher guesses.

use crate::{KEY, MULTI_KEYS, Operation, VALUE_BYTES};
use ringcached::store::{Hasher, HugePages, Key, Mode, Store, StoreConfig, Write};
use std::hint::black_box;

pub const OPERATIONS: &[Operation] = &[
    Operation { name: "hash: a key", requests: 1, make: hash },
    Operation { name: "store: get hit", requests: 1, make: get_hit },
    Operation { name: "store: get miss", requests: 1, make: get_miss },
    Operation { name: "store: get of 50, per key", requests: MULTI_KEYS as u32, make: || get_batch(false) },
    Operation {
        name: "store: get of 50, prefetched, per key",
        requests: MULTI_KEYS as u32,
        make: || get_batch(true),
    },
    Operation { name: "store: set over an item", requests: 1, make: set_replace },
    Operation { name: "store: set with eviction", requests: 1, make: set_evict },
    Operation { name: "slab: allocate and free", requests: 1, make: allocate_free },
];

/// Items of a store that is read.
const ITEMS: usize = 100_000;
/// Room for them.
const LIMIT_BYTES: usize = 32 << 20;
/// A store so small that each set beyond the first thousands evicts.
const LIMIT_EVICT_BYTES: usize = 2 << 20;
/// Keys set in turn there: several times as many as it holds, so that none is still there when its turn comes again.
const KEYS_EVICT: usize = 1 << 16;
/// A step through the keys that has no factor in common with their number.
const STRIDE: usize = 7919;
/// The shard's clock stands still.
const NOW_S: u32 = 2;

fn hasher() -> Hasher {
    Hasher::with_seeds([1, 2, 3, 4])
}

fn store(limit_bytes: usize) -> Store {
    Store::new(&StoreConfig {
        limit_bytes,
        limit_max_bytes: limit_bytes,
        item_size_max: 1 << 20,
        key_len_max: 250,
        growth_factor: 1.07,
        min_item_bytes: 8,
        evict: true,
        cas: true,
        huge_pages: HugePages::Off,
        hasher: hasher(),
    })
    .expect("the memory is there")
}

/// Keys with their hashes, and a place among them that jumps about.
struct Walk {
    keys: Vec<([u8; KEY.len()], u64)>,
    at: usize,
}

impl Walk {
    /// Keys with the numbers from `first` on.
    fn new(first: usize, len: usize) -> Walk {
        let hasher = hasher();
        let key = |number| {
            let mut bytes = [0; KEY.len()];
            bytes.copy_from_slice(format!("key-{number:012}").as_bytes());
            (bytes, hasher.hash(&bytes))
        };
        Walk { keys: (first..first + len).map(key).collect(), at: 0 }
    }

    #[inline]
    fn next(&mut self) -> Key<'_> {
        self.at += STRIDE;
        if self.at >= self.keys.len() {
            self.at -= self.keys.len();
        }
        let (bytes, hash) = &self.keys[self.at];
        Key { bytes, hash: *hash }
    }
}

#[inline]
fn set(store: &mut Store, key: Key<'_>) {
    let stored = store.set(key, &Write::new(Mode::Set, 0, 0), black_box(&[7; VALUE_BYTES]), NOW_S);
    black_box(stored.expect("there is room"));
}

/// A store with all keys of a walk.
fn full() -> (Store, Walk) {
    let (mut store, mut walk) = (store(LIMIT_BYTES), Walk::new(0, ITEMS));
    for _ in 0..ITEMS {
        set(&mut store, walk.next());
    }
    while store.background(NOW_S, 1000) {}
    assert_eq!(store.counters().curr_items, ITEMS as u64, "nothing evicted");
    (store, walk)
}

fn hash() -> Box<dyn FnMut()> {
    let hasher = hasher();
    Box::new(move || _ = black_box(hasher.hash(black_box(KEY))))
}

fn get_hit() -> Box<dyn FnMut()> {
    let (mut store, mut walk) = full();
    Box::new(move || {
        let found = store.get(walk.next(), NOW_S).expect("it is there");
        black_box(store.item(found).value());
    })
}

fn get_miss() -> Box<dyn FnMut()> {
    let (mut store, _) = full();
    let mut walk = Walk::new(ITEMS, ITEMS);
    Box::new(move || _ = black_box(store.get(walk.next(), NOW_S).expect_err("it was never stored")))
}

/// The keys of one request, fetched ahead or not.
fn get_batch(prefetch: bool) -> Box<dyn FnMut()> {
    let (mut store, mut walk) = full();
    Box::new(move || {
        let first = walk.at;
        if black_box(prefetch) {
            (0..MULTI_KEYS).for_each(|_| store.prefetch(walk.next().hash));
            walk.at = first;
            (0..MULTI_KEYS).for_each(|_| store.prefetch_item(walk.next().hash));
            walk.at = first;
        }
        for _ in 0..MULTI_KEYS {
            let found = store.get(walk.next(), NOW_S).expect("it is there");
            black_box(store.item(found).value());
        }
    })
}

fn set_replace() -> Box<dyn FnMut()> {
    let (mut store, mut walk) = full();
    Box::new(move || set(&mut store, walk.next()))
}

fn set_evict() -> Box<dyn FnMut()> {
    let (mut store, mut walk) = (store(LIMIT_EVICT_BYTES), Walk::new(0, KEYS_EVICT));
    for _ in 0..KEYS_EVICT {
        set(&mut store, walk.next());
    }
    assert!(store.counters().evictions > 0, "the store is full");
    Box::new(move || set(&mut store, walk.next()))
}

/// The slab has no public interface; an upload that is given up takes a chunk, writes the item's head and frees both.
fn allocate_free() -> Box<dyn FnMut()> {
    let (mut store, mut walk) = full();
    let write = Write::new(Mode::Set, 0, 0);
    Box::new(move || {
        let upload = store.reserve(walk.next(), &write, VALUE_BYTES, NOW_S).expect("there is room");
        store.abandon(black_box(upload));
    })
}
