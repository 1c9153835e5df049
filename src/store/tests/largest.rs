//! The search for the largest items.

use super::*;

/// Searches in steps of `budget` chunks; what was found as (length, key), and whether it is all.
fn largest(store: &mut Store, wanted: usize, budget: usize, now_s: u32) -> (Vec<(usize, String)>, bool) {
    let mut walk = LargestWalk::new(store, wanted);
    while !store.walk_largest(&mut walk, budget, now_s) {}
    let (found, are_all) = walk.result();
    (found.iter().map(|item| (item.value_len, String::from_utf8_lossy(&item.key).into())).collect(), are_all)
}

#[test]
fn finds_the_largest_in_order_whatever_their_class() {
    let mut store = store(64 << 20);
    for i in 0..20_000usize {
        set(&mut store, format!("small-{i}").as_bytes(), &vec![0; 10 + i % 300]).unwrap();
    }
    let lengths = [500_000, 300_000, 70_000, 40_000, 5_000, 5_001, 900];
    for len in lengths {
        set(&mut store, format!("large-{len}").as_bytes(), &vec![0; len]).unwrap();
    }
    let mut want = lengths.map(|len| (len, format!("large-{len}"))).to_vec();
    want.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
    for budget in [1, 7, 1000, usize::MAX / 8] {
        assert_eq!(largest(&mut store, 7, budget, 2), (want.clone(), true), "in steps of {budget}");
    }
    assert_eq!(largest(&mut store, 2, 1000, 2).0, want[..2]);
    let (all, are_all) = largest(&mut store, 30_000, 1000, 2);
    assert_eq!((all.len(), are_all), (20_007, true));
    assert!(all.is_sorted_by_key(|(len, _)| std::cmp::Reverse(*len)));
}

#[test]
fn forgets_what_is_gone() {
    let mut store = store(16 << 20);
    for len in [1_000, 2_000, 3_000, 4_000] {
        set(&mut store, format!("{len}").as_bytes(), &vec![0; len]).unwrap();
    }
    let name = b"expires";
    let expiring = key(&store, name);
    store.set(expiring, &Write::new(Mode::Set, 0, 10), &[0; 5_000], 2).unwrap();
    assert_eq!(largest(&mut store, 1, 100, 2).0, [(5_000, "expires".into())]);
    assert_eq!(largest(&mut store, 1, 100, 11).0, [(4_000, "4000".into())]);
    let deleted = key(&store, b"4000");
    store.delete_if(deleted, None, 11).unwrap();
    set(&mut store, b"3000", b"short").unwrap();
    assert_eq!(largest(&mut store, 1, 100, 11).0, [(2_000, "2000".into())]);
    store.flush(None, 11);
    assert_eq!(largest(&mut store, 1, 100, 11), (Vec::new(), true));
}

/// What comes, goes and moves between two steps neither stops the search nor shows twice.
#[test]
fn goes_on_while_the_store_changes() {
    let mut store = store(1 << 20);
    let mut random = Random(5);
    let mut walk = LargestWalk::new(&store, 50);
    let mut steps = 0;
    loop {
        for _ in 0..20 {
            let name = (random.next() % 5_000).to_string();
            set(&mut store, name.as_bytes(), &vec![0; (random.next() % 3_000) as usize]).unwrap();
        }
        store.background(2, 100);
        steps += 1;
        if store.walk_largest(&mut walk, 5, 2) {
            break;
        }
    }
    let (found, _) = walk.result();
    let keys: std::collections::HashSet<_> = found.iter().map(|item| (&item.key, item.value_len)).collect();
    assert!(steps > 10 && found.len() == 50 && keys.len() == 50, "{steps} steps: {found:?}");
}
