//! Memory made ready ahead of its first use.

use super::super::arena::HUGE_PAGE_BYTES;
use super::*;

/// Stores items with values of 1,000 bytes until `bytes` of pages have been used.
fn use_up(store: &mut Store, bytes: usize) {
    for i in 0u32.. {
        if store.slab.fresh_at() >= bytes {
            return;
        }
        set(store, &i.to_le_bytes(), &[1; 1000]).unwrap();
    }
}

/// Where the ranges end that the store asks for one after the other, as offsets.
fn warm(store: &mut Store) -> Vec<usize> {
    let mut ends = Vec::new();
    while let Some(range) = store.cold_range() {
        let at = range.address as usize - store.slab.arena.address(0) as usize;
        assert!((1..=HUGE_PAGE_BYTES).contains(&range.len));
        assert_eq!(at / HUGE_PAGE_BYTES, (at + range.len - 1) / HUGE_PAGE_BYTES, "within one huge page");
        assert!(store.cold_range().is_none(), "one at a time");
        ends.push(at + range.len);
        store.warmed(true);
    }
    ends
}

#[test]
fn as_much_is_ahead_as_is_in_use_up_to_a_limit() {
    let mut store = store(64 << 20);
    assert!(warm(&mut store).is_empty(), "a store that holds nothing takes nothing");
    use_up(&mut store, 3 << 20);
    assert_eq!(warm(&mut store), [6 << 20]);
    use_up(&mut store, 5 << 20);
    assert_eq!(warm(&mut store), [8 << 20, 10 << 20]);
    use_up(&mut store, 30 << 20);
    assert_eq!(warm(&mut store), [32 << 20, 34 << 20, 36 << 20, 38 << 20]);
    use_up(&mut store, 60 << 20);
    assert_eq!(warm(&mut store).last(), Some(&(64 << 20)), "the limit is the end");
    use_up(&mut store, 63 << 20);
    assert!(warm(&mut store).is_empty());
}

#[test]
fn what_lies_beyond_a_lowered_limit_is_given_back() {
    let mut store = store(32 << 20);
    use_up(&mut store, 8 << 20);
    assert_eq!(warm(&mut store).last(), Some(&(16 << 20)));
    store.slab.arena.bytes_mut(15 << 20, 1).fill(1);
    store.set_limit(9 << 20).unwrap();
    store.background(2, 1000);
    assert_eq!(store.slab.arena.bytes(15 << 20, 1), [0], "the kernel took it back");
    // Nothing is asked for again and given back again.
    assert!(warm(&mut store).is_empty());
    store.background(2, 1000);
    assert!(warm(&mut store).is_empty());
    store.set_limit(32 << 20).unwrap();
    assert_eq!(warm(&mut store), [10 << 20, 12 << 20, 14 << 20, 16 << 20]);
}

#[test]
fn a_limit_may_end_within_a_huge_page() {
    let mut store = store(21 << 20);
    use_up(&mut store, 15 << 20);
    assert_eq!(warm(&mut store), [18 << 20, 20 << 20, 21 << 20]);
    for _ in 0..3 {
        store.background(2, 1000);
        assert!(warm(&mut store).is_empty());
    }
}

#[test]
fn what_is_being_touched_while_the_limit_falls_is_given_back_afterwards() {
    let mut store = store(32 << 20);
    use_up(&mut store, 9 << 20);
    let range = store.cold_range().unwrap();
    assert_eq!(range.len, 2 << 20);
    store.set_limit(10 << 20).unwrap();
    store.background(2, 1000);
    store.slab.arena.bytes_mut(11 << 20, 1).fill(1); // by whoever touches it
    store.warmed(true);
    store.background(2, 1000);
    assert_eq!(store.slab.arena.bytes(11 << 20, 1), [0]);
}

#[test]
fn a_kernel_that_refuses_is_not_asked_again() {
    let mut store = store(32 << 20);
    use_up(&mut store, 3 << 20);
    assert!(store.cold_range().is_some());
    store.warmed(false);
    use_up(&mut store, 20 << 20);
    assert!(store.cold_range().is_none());
}
