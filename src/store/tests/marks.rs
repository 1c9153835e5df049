//! Marks, given CAS numbers and late writes, step by step as memcached 1.6.45 answers them.

use super::*;

fn view<'a>(store: &'a mut Store, name: &[u8]) -> ItemView<'a> {
    let key = key(store, name);
    let found = store.look(key, 2).unwrap();
    store.item(found)
}

fn write(store: &mut Store, name: &[u8], write: Write, value: &[u8]) -> Result<u64, Refusal> {
    let key = key(store, name);
    store.set(key, &write, value, 2).map(|found| store.item(found).cas())
}

fn invalidate(store: &mut Store, name: &[u8], expires_s: Option<u32>, cas: Option<u64>) -> Found {
    let key = key(store, name);
    let found = store.look(key, 2).unwrap();
    store.invalidate(found, expires_s, cas).unwrap()
}

fn take_win(store: &mut Store, name: &[u8]) -> bool {
    let key = key(store, name);
    let found = store.look(key, 2).unwrap();
    store.take_win(found)
}

const SET: Write = Write {
    mode: Mode::Set,
    flags: 0,
    expires_s: 0,
    compare: None,
    invalidate: false,
    cas: None,
    stale: false,
    binary_key: false,
    vivify_s: None,
};

#[test]
fn one_reader_wins_until_the_item_is_replaced_or_invalidated() {
    let mut store = store(1 << 20);
    set(&mut store, b"w", b"10").unwrap();
    assert!(take_win(&mut store, b"w") && !take_win(&mut store, b"w"));
    invalidate(&mut store, b"w", Some(50), None);
    assert_eq!((view(&mut store, b"w").is_stale(), view(&mut store, b"w").expires_s()), (true, 50));
    assert!(take_win(&mut store, b"w"));
    // Neither a touch nor arithmetic in place takes the marks away; a number that grows does.
    store.touch(key(&store, b"w"), 60, 2).unwrap();
    store.arith(key(&store, b"w"), &Arithmetic::new(1, true), 2).unwrap();
    assert!(view(&mut store, b"w").is_stale() && view(&mut store, b"w").win_sent());
    store.arith(key(&store, b"w"), &Arithmetic::new(1000, true), 2).unwrap();
    assert!(!view(&mut store, b"w").is_stale() && !view(&mut store, b"w").win_sent());
    for mode in [Mode::Set, Mode::Append, Mode::Replace] {
        invalidate(&mut store, b"w", None, None);
        assert!(take_win(&mut store, b"w"));
        write(&mut store, b"w", Write { mode, ..SET }, b"1").unwrap();
        assert!(!view(&mut store, b"w").is_stale() && !view(&mut store, b"w").win_sent(), "{mode:?}");
    }
    store.check();
}

#[test]
fn a_late_write_is_stored_stale_with_the_old_expiry_and_win() {
    let mut store = store(1 << 20);
    let cas = write(&mut store, b"a", Write { expires_s: 100, flags: 5, ..SET }, b"1").unwrap();
    assert!(take_win(&mut store, b"a"));
    let late = Write { compare: Some(cas - 1), invalidate: true, expires_s: 500, flags: 7, ..SET };
    assert_eq!(write(&mut store, b"a", late, b"2"), Err(Refusal::Exists), "0 is no number");
    let cas = write(&mut store, b"a", Write { expires_s: 100, ..SET }, b"1").unwrap();
    assert!(take_win(&mut store, b"a"));
    let late = Write { compare: Some(cas - 1), ..late };
    for (mode, expected) in
        [(Mode::Append, Refusal::Exists), (Mode::Prepend, Refusal::Exists), (Mode::Add, Refusal::NotStored)]
    {
        assert_eq!(write(&mut store, b"a", Write { mode, ..late }, b"2"), Err(expected));
    }
    assert_eq!(write(&mut store, b"a", Write { compare: Some(cas + 1), ..late }, b"2"), Err(Refusal::Exists));
    assert_eq!(write(&mut store, b"a", Write { mode: Mode::Replace, ..late }, b"2"), Ok(cas + 1));
    let item = view(&mut store, b"a");
    assert_eq!((item.value(), item.flags(), item.expires_s()), (Some(&b"2"[..]), 7, 100));
    assert!(item.is_stale() && item.win_sent());
    assert_eq!(write(&mut store, b"b", late, b"2"), Err(Refusal::NotFound));
    assert_eq!(write(&mut store, b"b", Write { mode: Mode::Append, ..late }, b"2"), Err(Refusal::NotStored));
    let vivify = Write { mode: Mode::Append, vivify_s: Some(50), ..late };
    assert!(write(&mut store, b"b", vivify, b"2").is_ok());
    let item = view(&mut store, b"b");
    assert_eq!((item.value(), item.flags(), item.expires_s()), (Some(&b"2"[..]), 7, 50));
}

#[test]
fn any_number_can_be_given() {
    let mut store = store(1 << 20);
    for cas in [1000, u64::MAX, 0] {
        assert_eq!(write(&mut store, b"e", Write { cas: Some(cas), ..SET }, b"10"), Ok(cas));
        assert_eq!(view(&mut store, b"e").cas(), cas);
    }
    let give = |store: &mut Store, delta, cas| {
        let key = key(store, b"e");
        let (number, found) =
            store.arith(key, &Arithmetic { cas, ..Arithmetic::new(delta, true) }, 2).unwrap();
        (number, store.item(found).cas(), store.item(found).value_len())
    };
    assert_eq!(give(&mut store, 1, Some(77)), (11, 77, 2));
    let counted = give(&mut store, 1, None).1;
    assert_eq!(counted, store.number);
    assert_eq!(give(&mut store, 1000, Some(5)), (1012, 5, 4));
    assert_eq!(write(&mut store, b"e", SET, b"10"), Ok(store.number), "a plain set counts on");
    assert_eq!(give(&mut store, 1, Some(9)), (11, 9, 2), "rebuilt with room for the number");
    assert_eq!(write(&mut store, b"e", Write { mode: Mode::Append, cas: Some(44), ..SET }, b"1"), Ok(44));
    let refused = store.delete_if(key(&store, b"e"), Some(45), 2);
    assert_eq!(refused, Err(Refusal::Exists));
    assert!(write(&mut store, b"e", Write { compare: Some(44), ..SET }, b"1").is_ok());
    store.check();
}

/// A chain is rebuilt whole when it is given a number, with all its marks, pinned or not.
#[test]
fn invalidation_with_a_number_keeps_value_and_marks() {
    let mut store = store(4 << 20);
    let long: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
    let binary = Write { binary_key: true, flags: 3, ..SET };
    write(&mut store, b"i", binary, &long).unwrap();
    let found = store.get(key(&store, b"i"), 2).unwrap();
    let pinned = store.pin(found);
    let found = invalidate(&mut store, b"i", None, Some(600));
    let item = store.item(found);
    assert_eq!((item.cas(), item.flags(), item.value_len()), (600, 3, 50_000));
    assert!(item.is_stale() && item.has_binary_key() && item.fetched());
    assert!(value(&mut store, b"i").unwrap() == long);
    store.release(pinned);
    let at = invalidate(&mut store, b"i", None, Some(601));
    assert_eq!((at, view(&mut store, b"i").cas()), (found, 601), "the room is there now");
    invalidate(&mut store, b"i", None, None);
    assert_eq!(view(&mut store, b"i").cas(), store.number);
    assert!(write(&mut store, b"i", Write { mode: Mode::Append, ..SET }, b"x").is_ok());
    assert!(!view(&mut store, b"i").has_binary_key());
    store.check();
}

#[test]
fn a_look_counts_the_dead_and_marks_nothing() {
    let mut store = store(1 << 20);
    write(&mut store, b"k", Write { expires_s: 10, ..SET }, b"1").unwrap();
    let found = store.look(key(&store, b"k"), 5).unwrap();
    assert_eq!((store.item(found).fetched(), store.item(found).last_access_s()), (false, 2));
    store.note_read(found);
    assert_eq!((store.item(found).fetched(), store.item(found).last_access_s()), (true, 5));
    assert_eq!(store.look(key(&store, b"k"), 11), Err(Miss::Expired));
    assert_eq!(store.counters().get_expired, 1);
}

#[test]
fn arithmetic_checks_in_memcacheds_order() {
    let mut store = store(1 << 20);
    let wrong = Arithmetic { compare: Some(5_000), ..Arithmetic::new(1, true) };
    for (text, expected) in
        [(&b""[..], ArithRefusal::NonNumeric), (b"abc", ArithRefusal::Exists), (b"1", ArithRefusal::Exists)]
    {
        set(&mut store, b"b", text).unwrap();
        assert_eq!(store.arith(key(&store, b"b"), &wrong, 2), Err(expected), "{text:?}");
    }
    let right = Arithmetic { compare: Some(store.number), expires_s: Some(70), ..wrong };
    let (_, found) = store.arith(key(&store, b"b"), &right, 2).unwrap();
    assert_eq!((store.item(found).expires_s(), store.item(found).value()), (70, Some(&b"2"[..])));
}
