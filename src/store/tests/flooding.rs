//! Keys made to collide, by somebody who knows the seed: what that does under another seed, and what it does at worst.

use super::super::table::{BUCKET_ENTRIES, PATH_MAX};
use super::*;

/// Of the low half of the hash, the bits that crafted keys have in common: one home in any table of up to 2,048 homes.
const COMMON_BITS: u32 = 11;
const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Keys that an attacker makes.
const CRAFTED: usize = 600;

/// The first of them that have one home under [`SEEDS`].
fn crafted() -> Vec<[u8; 8]> {
    let hasher = Hasher::with_seeds(SEEDS);
    let collides = |key: &[u8; 8]| hasher.hash(key) as u32 >> (32 - COMMON_BITS) == 7;
    (0u64..).map(u64::to_le_bytes).filter(collides).take(CRAFTED).collect()
}

/// The largest number of these keys that fall into one of `parts` equal parts of 32 bits of the hash, which `bits` picks.
fn most_in_one(keys: &[[u8; 8]], hasher: &Hasher, parts: usize, bits: impl Fn(u64) -> u64) -> usize {
    let mut counts = vec![0; parts];
    for key in keys {
        counts[(bits(hasher.hash(key)) as usize * parts) >> 32] += 1;
    }
    counts.into_iter().max().unwrap()
}

/// Bucket and shard are chosen by different bits of one hash, and both by the seed: crafted for either, keys are spread like any
/// others in the next process.
#[test]
fn keys_that_collide_under_one_seed_do_not_under_another() {
    let low = |hash: u64| hash & 0xffff_ffff;
    let high = |hash: u64| hash >> 32;
    let for_a_bucket = crafted();
    let known = Hasher::with_seeds(SEEDS);
    let of_shard_0 = |key: &[u8; 8]| high(known.hash(key)) < 1 << 28; // of 16
    let for_a_shard: Vec<_> = (0u64..).map(u64::to_le_bytes).filter(of_shard_0).take(CRAFTED).collect();
    assert_eq!(most_in_one(&for_a_bucket, &known, 1 << COMMON_BITS, low), CRAFTED);
    assert_eq!(most_in_one(&for_a_shard, &known, 16, high), CRAFTED);
    // A word of the seed is enough.
    let others = [Hasher::with_seeds([2, 2, 3, 4]), Hasher::with_seeds([1, 2, 3, 5]), Hasher::random()];
    for (n, other) in others.iter().enumerate() {
        // 0.3 of a key are expected in each, and 37.5.
        let (bucket, shard) = (
            most_in_one(&for_a_bucket, other, 1 << COMMON_BITS, low),
            most_in_one(&for_a_shard, other, 16, high),
        );
        assert!(bucket <= 8 && shard < 80, "seed {n}: {bucket} in a bucket, {shard} on a shard");
        // Nor do they gather elsewhere.
        assert!(most_in_one(&for_a_bucket, other, 16, high) < 80, "seed {n}");
    }
}

/// The seed is known, and hundreds of keys have one home. No lookup goes farther than [`PATH_MAX`] buckets, which `check` verifies;
/// what finds no place costs another key of that home its own, everybody else keeps theirs, and the table does not grow for it.
#[test]
fn a_flooded_home_is_one_path_long_and_costs_nobody_else() {
    const OTHERS: u32 = 10_000;
    let mut store = store(8 << 20);
    for i in 0..OTHERS {
        set(&mut store, &i.to_le_bytes(), b"value").unwrap();
    }
    let pages = store.table.page_count();
    let keys = crafted();
    let home = |key: &[u8]| Hasher::with_seeds(SEEDS).hash(key) as u32 >> (32 - COMMON_BITS);
    for (n, name) in keys.iter().enumerate() {
        set(&mut store, name, b"flood").unwrap();
        assert_eq!(value(&mut store, name).as_deref(), Some(&b"flood"[..]), "the newest is there");
        if n % 100 == 0 {
            store.check();
        }
    }
    store.check();
    assert!(store.table.capacity() < (1 << COMMON_BITS) * BUCKET_ENTRIES, "they have one home");
    let kept = keys.iter().filter(|name| value(&mut store, *name).is_some()).count();
    assert!((PATH_MAX..=PATH_MAX * BUCKET_ENTRIES).contains(&kept), "{kept}");
    // Who was lost besides had the same home; there are fewer than those counted here.
    let lost: Vec<u32> = (0..OTHERS).filter(|i| value(&mut store, &i.to_le_bytes()).is_none()).collect();
    assert!(lost.len() <= BUCKET_ENTRIES, "{} others", lost.len());
    assert!(lost.iter().all(|i| home(&i.to_le_bytes()).abs_diff(7) <= 2), "{lost:?}");
    assert!(store.table.page_count() <= pages + 1, "{} pages from {pages}", store.table.page_count());
    println!("{kept} of {CRAFTED} crafted keys stay, {} of {OTHERS} others go", lost.len());
}

/// Without eviction the next key of that home is refused; others are stored.
#[test]
fn with_eviction_off_a_flooded_home_refuses() {
    let mut store = Store::new(&StoreConfig { evict: false, ..config(8 << 20) }).unwrap();
    for i in 0..10_000u32 {
        set(&mut store, &i.to_le_bytes(), b"value").unwrap();
    }
    let results: Vec<_> = crafted().iter().map(|name| set(&mut store, name, b"flood")).collect();
    let stored = results.iter().filter(|result| result.is_ok()).count();
    assert!((PATH_MAX..=PATH_MAX * BUCKET_ENTRIES).contains(&stored), "{stored}");
    assert!(
        results.iter().flat_map(|result| result.as_ref().err()).all(|refusal| *refusal == Refusal::NoMemory)
    );
    for i in 0..10_000u32 {
        assert_eq!(value(&mut store, &i.to_le_bytes()).as_deref(), Some(&b"value"[..]), "item {i}");
    }
    assert_eq!(set(&mut store, b"another", b"value"), Ok(()));
    store.check();
}
