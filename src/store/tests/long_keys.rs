//! Keys beyond memcached's 250 bytes, as far as the largest chunk holds them.

use super::*;

/// A key of so many bytes that differs from every other length's early and late.
fn long_key(len: usize) -> Vec<u8> {
    let mut key = vec![b'k'; len];
    let digits = len.to_string();
    let end = len - digits.len();
    key[..digits.len()].copy_from_slice(digits.as_bytes());
    key[end..].copy_from_slice(digits.as_bytes());
    key
}

/// Every operation on one key, with a value that fits its chunk and one that does not.
fn exercise(store: &mut Store, name: &[u8]) {
    let chained: Vec<u8> = (0..store.slab.chunk_max() + 50).map(|n| n as u8).collect();
    for body in [&b"10"[..], &chained] {
        for cas in [None, Some(9)] {
            let write = Write { cas, ..Write::new(Mode::Set, 5, 0) };
            let found = store.set(key(store, name), &write, body, 2).unwrap();
            assert_eq!((store.item(found).key(), store.item(found).flags()), (name, 5));
            assert!(cas.is_none_or(|cas| cas == store.item(found).cas()));
        }
        let append = Write::new(Mode::Append, 0, 0);
        store.set(key(store, name), &append, b"7", 2).unwrap();
        assert!(value(store, name).unwrap() == [body, b"7"].concat());
        let found = store.look(key(store, name), 2).unwrap();
        let found = store.invalidate(found, None, Some(77)).unwrap();
        assert_eq!((store.item(found).key(), store.item(found).cas()), (name, 77));
        let mut upload =
            store.reserve(key(store, name), &Write::new(Mode::Set, 0, 0), body.len(), 2).unwrap();
        upload.write(body);
        let found = store.commit(upload, &Write::new(Mode::Set, 0, 0), 2).unwrap();
        assert_eq!((store.item(found).key(), store.item(found).flags()), (name, 0));
        assert!(value(store, name).unwrap() == body);
    }
    set(store, name, b"99").unwrap();
    let (number, found) = store.arith(key(store, name), &Arithmetic::new(1, true), 2).unwrap();
    assert_eq!((number, store.item(found).key()), (100, name));
}

#[test]
fn every_length_the_largest_chunk_holds_is_a_key() {
    let mut store = store(32 << 20);
    let longest = store.slab.chunk_max() - 49;
    for len in (240..270).chain(longest - 30..=longest) {
        exercise(&mut store, &long_key(len));
    }
    store.check();
    let name = long_key(longest + 1);
    assert_eq!(set(&mut store, &name, b"1"), Err(Refusal::TooLarge));
    assert_eq!(store.look(key(&store, &name), 2), Err(Miss::Absent));
    for len in (240..270).chain(longest - 30..=longest) {
        let name = long_key(len);
        assert_eq!(value(&mut store, &name).unwrap(), b"100");
        store.delete_if(key(&store, &name), None, 2).unwrap();
    }
    assert_eq!(store.footprint().pages_items, 0);
}

/// From 512 MiB a shard the largest chunk is 64 KiB.
#[test]
fn keys_of_nearly_64_kib_fit_a_store_of_usual_size() {
    let mut store = store(512 << 20);
    exercise(&mut store, &long_key(65_487));
    exercise(&mut store, &long_key(65_000));
    store.check();
}
