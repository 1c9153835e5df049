//! The classic text protocol's part: get gets gat gats touch delete incr decr, and the words for a stored value.

use super::{Keyspace, Reply, count_arith, put, store, tally, with_value};
use crate::protocol::reply::{self, text};
use crate::shard::prefixes::Counted;
use crate::shard::request::{KeyRequest, Op};
use crate::store::{ArithRefusal, Arithmetic, Found, Miss, Refusal};

/// Runs `request`; with `noreply` nothing is written.
#[inline]
pub(super) fn execute(keys: &mut Keyspace, request: &KeyRequest<'_>, noreply: bool, out: &mut [u8]) -> Reply {
    let words: &[u8] = match request.op {
        Op::Get | Op::Gets | Op::Gat | Op::Gats => return retrieve(keys, request, out),
        Op::Touch => {
            let hit = touch(keys, request).is_ok();
            if hit { text::TOUCHED } else { text::NOT_FOUND }
        }
        Op::Delete => {
            let hit = keys.store.delete_if(request.key, None, keys.now_s).is_ok();
            keys.note_prefix(request.key.bytes, Counted::Deleted);
            tally(hit, &mut keys.counters.delete_hits, &mut keys.counters.delete_misses);
            if hit { text::DELETED } else { text::NOT_FOUND }
        }
        Op::Incr | Op::Decr => return arith(keys, request, noreply, out),
        _ => return store(keys, request, out),
    };
    Reply::of(if noreply { 0 } else { put(out, words) })
}

fn touch(keys: &mut Keyspace, request: &KeyRequest<'_>) -> Result<Found, Miss> {
    let found = keys.store.touch(request.key, request.expires_s, keys.now_s);
    keys.counters.cmd_touch += 1;
    tally(found.is_ok(), &mut keys.counters.touch_hits, &mut keys.counters.touch_misses);
    found
}

/// get, gets, gat, gats: `VALUE <key> <flags> <len>[ <cas>]`, the value, a line end; nothing for a miss.
fn retrieve(keys: &mut Keyspace, request: &KeyRequest<'_>, out: &mut [u8]) -> Reply {
    let found = if matches!(request.op, Op::Get | Op::Gets) {
        let found = keys.store.get(request.key, keys.now_s);
        keys.counters.cmd_get += 1;
        tally(found.is_ok(), &mut keys.counters.get_hits, &mut keys.counters.get_misses);
        found
    } else {
        touch(keys, request)
    };
    keys.note_prefix(request.key.bytes, Counted::Read { hit: found.is_ok() });
    let Ok(found) = found else { return Reply::default() };
    let item = keys.store.item(found);
    let cas = matches!(request.op, Op::Gets | Op::Gats).then(|| item.cas());
    let head = reply::write_value_header(out, request.key.bytes, item.flags(), item.value_len() as u32, cas);
    with_value(keys, found, head, true, out)
}

fn arith(keys: &mut Keyspace, request: &KeyRequest<'_>, noreply: bool, out: &mut [u8]) -> Reply {
    let increment = request.op == Op::Incr;
    let change = Arithmetic::new(request.number, increment);
    let result = keys.store.arith(request.key, &change, keys.now_s);
    count_arith(keys, increment, result.map(|_| ()));
    let len = match result {
        _ if noreply => 0,
        Ok((number, _)) => reply::write_number_line(out, number),
        Err(ArithRefusal::NotFound) => put(out, text::NOT_FOUND),
        Err(ArithRefusal::NonNumeric) => put(out, text::NON_NUMERIC),
        Err(ArithRefusal::Exists) => put(out, text::EXISTS),
        Err(ArithRefusal::NoMemory) => put(out, text::OUT_OF_MEMORY),
    };
    Reply::of(len)
}

/// memcached's words for the end of a storage operation.
pub(super) fn stored(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    refusal: Option<Refusal>,
    noreply: bool,
    out: &mut [u8],
) -> usize {
    keys.note_prefix(request.key.bytes, Counted::Stored);
    let words = match refusal {
        _ if noreply => b"",
        None => text::STORED,
        Some(Refusal::NotStored) => text::NOT_STORED,
        Some(Refusal::Exists) => text::EXISTS,
        Some(Refusal::NotFound) => text::NOT_FOUND,
        Some(Refusal::TooLarge) => text::TOO_LARGE,
        Some(Refusal::NoMemory) => text::OUT_OF_MEMORY_STORING,
    };
    put(out, words)
}
