//! The meta protocol's part: mg, ms, md, ma, me.
//!
//! Stampedes. Of all clients that miss a key (`mg` with `N`), or meet an item that is stale or about to die (`R`), one wins:
//! it is told `W` and is to make the value anew. The mark that somebody has won stays with the item until the value comes,
//! and the others are told `Z`. All of it happens in one execution on the shard that owns the key, so one wins however many
//! ask at once, on whatever shard.

use super::{Keyspace, Reply, count_arith, put, tally, watched, with_value};
use crate::protocol::meta_reply::{self as reply, Marks, MetaCode, MetaItem};
use crate::protocol::reply::text;
use crate::protocol::{MetaFlags, MetaTimes};
use crate::shard::request::{KeyRequest, Op};
use crate::store::{ArithRefusal, Arithmetic, Found, Mode, Refusal, Write};

/// Runs `request`, whose operation is one of the meta protocol's.
pub(super) fn execute(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    flags: &MetaFlags,
    out: &mut [u8],
) -> Reply {
    match request.op {
        Op::MetaGet => get(keys, request, flags, out),
        Op::MetaDelete => Reply::of(delete(keys, request, flags, out)),
        Op::MetaArith => arith(keys, request, flags, out),
        Op::MetaDebug => Reply::of(debug(keys, request, out)),
        _ => super::store(keys, request, out),
    }
}

/// `mg`
fn get(keys: &mut Keyspace, request: &KeyRequest<'_>, flags: &MetaFlags, out: &mut [u8]) -> Reply {
    let there = keys.store.look(request.key, keys.now_s).ok();
    // A client that finds no memory for its mark is told of a plain miss, and will store the value.
    let vivify = there.is_none() && flags.vivify().is_some();
    let created = if vivify { create(keys, request, flags, b"") } else { None };
    count_get(keys, flags, there.or(created).is_some());
    match (there, created) {
        (Some(found), _) => hit(keys, found, flags, false, out),
        (None, Some(found)) => hit(keys, found, flags, true, out),
        (None, None) if flags.quiet() => Reply::default(),
        (None, None) => Reply::of(reply::write_miss(out, MetaCode::Miss, flags, request.key.bytes)),
    }
}

/// Counts as a get, but a hit that sets the time counts as a touch.
fn count_get(keys: &mut Keyspace, flags: &MetaFlags, hit: bool) {
    let counters = &mut keys.counters;
    if hit && flags.touch().is_some() {
        counters.cmd_touch += 1;
        counters.touch_hits += 1;
    } else {
        counters.cmd_get += 1;
        tally(hit, &mut counters.get_hits, &mut counters.get_misses);
    }
}

/// Makes the item that `N` asks for; its times follow in [`times`].
fn create(keys: &mut Keyspace, request: &KeyRequest<'_>, flags: &MetaFlags, value: &[u8]) -> Option<Found> {
    // Only an `ms` says that a key is binary, as in memcached.
    let write = Write { cas: flags.given_cas(), ..Write::new(Mode::Add, 0, 0) };
    keys.store.set(request.key, &write, value, keys.now_s).ok()
}

/// Follows the flags that set and tell times; the item has its new one then.
fn times(keys: &mut Keyspace, found: Found, flags: &MetaFlags, created: bool) -> MetaTimes {
    let before_s = keys.store.item(found).expires_s();
    let times = flags.times(before_s, created, |exptime| keys.expires_s(exptime));
    if times.expires_s != before_s {
        keys.store.set_expiry(found, times.expires_s);
    }
    times
}

fn hit(keys: &mut Keyspace, found: Found, flags: &MetaFlags, created: bool, out: &mut [u8]) -> Reply {
    let times = times(keys, found, flags, created);
    let marks = marks(keys, found, times.recache || created);
    let item = keys.store.item(found);
    let with_value_too = flags.wants_value() && flags.compare().is_none_or(|cas| cas != item.cas());
    let code = if with_value_too { MetaCode::Value } else { MetaCode::Done };
    let len = reply::write_hit(out, code, flags, &shown(keys, found, times.told_s), marks);
    if !flags.no_bump() {
        match flags.touch() {
            Some(_) => keys.store.note_touch(found),
            None => keys.store.note_read(found),
        }
    }
    if with_value_too { with_value(keys, found, len, true, out) } else { Reply::of(len) }
}

/// What the client is told about the making of the value; `due`: it may win also if the item is not stale.
fn marks(keys: &mut Keyspace, found: Found, due: bool) -> Marks {
    let item = keys.store.item(found);
    let (stale, win_sent) = (item.is_stale(), item.win_sent());
    let won = (due || stale) && !win_sent && keys.store.take_win(found);
    Marks { win_sent, stale, won }
}

/// What return flags tell of an item; `t` tells the time left until `told_s`.
fn shown<'a>(keys: &'a Keyspace, found: Found, told_s: u32) -> MetaItem<'a> {
    let item = keys.store.item(found);
    MetaItem {
        key: item.key(),
        binary_key: item.has_binary_key(),
        flags: item.flags(),
        cas: item.cas(),
        ttl_s: (told_s != 0).then(|| told_s.saturating_sub(keys.now_s)),
        last_access_age_s: keys.now_s.saturating_sub(item.last_access_s()),
        hit_before: item.fetched(),
        value_len: item.value_len() as u32,
    }
}

/// The end of an `ms`.
pub(super) fn stored(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    flags: &MetaFlags,
    outcome: Result<Found, Refusal>,
    out: &mut [u8],
) -> usize {
    let code = match outcome {
        Ok(_) if flags.quiet() => return 0,
        Ok(found) => {
            let item = MetaItem { binary_key: flags.base64_key(), ..shown(keys, found, 0) };
            return reply::write_hit(out, MetaCode::Done, flags, &item, Marks::default());
        }
        Err(Refusal::NotStored) => MetaCode::NotStored,
        Err(Refusal::Exists) => MetaCode::Exists,
        Err(Refusal::NotFound) => MetaCode::NotFound,
        Err(Refusal::TooLarge) => return put(out, text::TOO_LARGE),
        Err(Refusal::NoMemory) => return put(out, text::OUT_OF_MEMORY_STORING),
    };
    let item = MetaItem {
        key: request.key.bytes,
        binary_key: flags.base64_key(),
        flags: 0,
        cas: 0,
        ttl_s: None,
        last_access_age_s: 0,
        hit_before: false,
        value_len: request.value_len,
    };
    reply::write_hit(out, code, flags, &item, Marks::default())
}

/// `md`
fn delete(keys: &mut Keyspace, request: &KeyRequest<'_>, flags: &MetaFlags, out: &mut [u8]) -> usize {
    let code = match delete_or_mark(keys, request, flags) {
        Ok(()) if flags.quiet() => return 0,
        Ok(()) => MetaCode::Done,
        Err(Refusal::NotFound) => MetaCode::NotFound,
        Err(Refusal::Exists) => MetaCode::Exists,
        Err(_) => MetaCode::NotStored,
    };
    reply::write_miss(out, code, flags, request.key.bytes)
}

fn delete_or_mark(keys: &mut Keyspace, request: &KeyRequest<'_>, flags: &MetaFlags) -> Result<(), Refusal> {
    let found = keys.store.look(request.key, keys.now_s);
    let matches = |cas| flags.compare().is_none_or(|compare| compare == cas);
    let cas = found.map(|found| keys.store.item(found).cas());
    let Some((found, cas)) = found.ok().zip(cas.ok().filter(|cas| matches(*cas))) else {
        keys.counters.delete_misses += 1;
        return Err(if found.is_ok() { Refusal::Exists } else { Refusal::NotFound });
    };
    // Marked, it is not deleted.
    keys.counters.delete_hits += u64::from(!flags.invalidate());
    let touch_s = flags.touch().map(|exptime| keys.expires_s(exptime));
    if flags.drop_value() {
        let write = Write {
            cas: flags.given_cas().or(Some(cas)),
            stale: flags.invalidate(),
            binary_key: keys.store.item(found).has_binary_key(),
            ..Write::new(Mode::Set, flags.client_flags(), touch_s.unwrap_or(0))
        };
        let outcome = keys.store.set(request.key, &write, b"", keys.now_s);
        watched::make(keys, request, "set", outcome);
        return outcome.map(|_| ());
    }
    if flags.invalidate() {
        return keys.store.invalidate(found, touch_s, flags.given_cas()).map(|_| ());
    }
    keys.store.delete_if(request.key, None, keys.now_s)
}

/// `ma`
fn arith(keys: &mut Keyspace, request: &KeyRequest<'_>, flags: &MetaFlags, out: &mut [u8]) -> Reply {
    let increment = flags.increment();
    let change = Arithmetic {
        compare: flags.compare().filter(|cas| *cas != 0),
        cas: flags.given_cas(),
        ..Arithmetic::new(flags.delta(), increment)
    };
    let mut created = false;
    let mut result = keys.store.arith(request.key, &change, keys.now_s);
    if result == Err(ArithRefusal::NotFound) && flags.vivify().is_some() {
        let digits = flags.initial().to_string(); // once in the life of a counter
        created = true;
        let made = create(keys, request, flags, digits.as_bytes());
        watched::make(keys, request, "add", made.ok_or(Refusal::NoMemory));
        result = made.map(|found| (flags.initial(), found)).ok_or(ArithRefusal::NoMemory);
    } else {
        count_arith(keys, increment, result.map(|_| ()));
    }
    let words = match result {
        Ok((number, found)) => {
            let times = times(keys, found, flags, created);
            if flags.quiet() {
                return Reply::default();
            }
            let item = MetaItem { binary_key: flags.base64_key(), ..shown(keys, found, times.told_s) };
            return Reply::of(reply::write_number(out, flags, &item, number));
        }
        Err(ArithRefusal::NotFound) => MetaCode::NotFound,
        Err(ArithRefusal::Exists) => MetaCode::Exists,
        Err(ArithRefusal::NoMemory) if created => return Reply::of(put(out, text::OUT_OF_MEMORY_CREATING)),
        Err(ArithRefusal::NoMemory) => return Reply::of(put(out, text::OUT_OF_MEMORY)),
        Err(ArithRefusal::NonNumeric) => return Reply::of(put(out, text::NON_NUMERIC)),
    };
    Reply::of(reply::write_miss(out, words, flags, request.key.bytes))
}

/// `me`
fn debug(keys: &mut Keyspace, request: &KeyRequest<'_>, out: &mut [u8]) -> usize {
    keys.counters.cmd_meta += 1;
    let Ok(found) = keys.store.look(request.key, keys.now_s) else { return put(out, text::META_MISS) };
    let item = keys.store.item(found);
    let shown = shown(keys, found, item.expires_s());
    reply::write_debug(out, &shown, item.class().into(), item.stored_bytes() as u32)
}
