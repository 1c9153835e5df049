//! Runs one keyed operation on the store of the shard that owns the key, and writes memcached's reply.
//!
//! The same function serves a connection of this shard (the reply is written into its outbox) and a peer (into the queue of
//! answers). It runs to completion, so operations on one key are linearizable.

use super::counters::Counters;
use super::request::{KeyRequest, Op};
use crate::protocol::reply::{self, text};
use crate::store::{ArithRefusal, Arithmetic, Found, Pinned, Refusal, Store};

/// Values up to this size are copied into the reply; larger ones are pinned and sent from where they are.
pub const VALUE_COPY_MAX: usize = 4096;

/// Bytes of the longest reply without its value: a key (250), numbers and words.
pub const WORDS_MAX: usize = 512;

/// Bytes of the longest reply of a shard to its own connection: a copied value and words.
pub const REPLY_MAX: usize = VALUE_COPY_MAX + WORDS_MAX;

/// What was written: `len` bytes, and a value that follows them, itself followed by a line end.
pub struct Reply {
    /// Bytes written.
    pub len: usize,
    /// The pinned value.
    pub value: Option<Pinned>,
}

/// Runs `request` and writes its reply into `out`: [`WORDS_MAX`] bytes and as many as a copied value may have; a larger
/// value is pinned. With `noreply` nothing is written.
pub fn execute(
    store: &mut Store,
    counters: &mut Counters,
    request: &KeyRequest<'_>,
    now_s: u32,
    out: &mut [u8],
) -> Reply {
    let words: &[u8] = match request.op {
        Op::Get | Op::Gets | Op::Gat | Op::Gats => return retrieve(store, counters, request, now_s, out),
        Op::Touch => {
            counters.cmd_touch += 1;
            let hit = store.touch(request.key, request.expires_s, now_s).is_ok();
            tally(hit, &mut counters.touch_hits, &mut counters.touch_misses);
            if hit { text::TOUCHED } else { text::NOT_FOUND }
        }
        Op::Delete => {
            let hit = store.delete_if(request.key, None, now_s).is_ok();
            tally(hit, &mut counters.delete_hits, &mut counters.delete_misses);
            if hit { text::DELETED } else { text::NOT_FOUND }
        }
        Op::Incr | Op::Decr => return arith(store, counters, request, now_s, out),
        _ => {
            let stored = store.set(request.key, &request.write(), request.value, now_s);
            stored_words(counters, request.op, stored)
        }
    };
    let len = if request.noreply { 0 } else { put(out, words) };
    Reply { len, value: None }
}

fn tally(hit: bool, hits: &mut u64, misses: &mut u64) {
    *(if hit { hits } else { misses }) += 1;
}

fn put(out: &mut [u8], words: &[u8]) -> usize {
    out[..words.len()].copy_from_slice(words);
    words.len()
}

/// get, gets, gat, gats: the value of a hit, nothing for a miss.
fn retrieve(
    store: &mut Store,
    counters: &mut Counters,
    request: &KeyRequest<'_>,
    now_s: u32,
    out: &mut [u8],
) -> Reply {
    let found = if matches!(request.op, Op::Get | Op::Gets) {
        let found = store.get(request.key, now_s);
        counters.cmd_get += 1;
        tally(found.is_ok(), &mut counters.get_hits, &mut counters.get_misses);
        found
    } else {
        let found = store.touch(request.key, request.expires_s, now_s);
        counters.cmd_touch += 1;
        tally(found.is_ok(), &mut counters.touch_hits, &mut counters.touch_misses);
        found
    };
    match found {
        Ok(found) => value_reply(store, found, matches!(request.op, Op::Gets | Op::Gats), out),
        Err(_) => Reply { len: 0, value: None },
    }
}

/// `VALUE <key> <flags> <len>[ <cas>]`, the value, a line end.
fn value_reply(store: &mut Store, found: Found, with_cas: bool, out: &mut [u8]) -> Reply {
    let item = store.item(found);
    let value_len = item.value_len();
    let cas = with_cas.then(|| item.cas());
    let head = reply::write_value_header(out, item.key(), item.flags(), value_len as u32, cas);
    if value_len > out.len() - WORDS_MAX {
        return Reply { len: head, value: Some(store.pin(found)) };
    }
    let end = head + value_len;
    store.copy_value(found, &mut out[head..end]);
    Reply { len: end + put(&mut out[end..], b"\r\n"), value: None }
}

fn arith(
    store: &mut Store,
    counters: &mut Counters,
    request: &KeyRequest<'_>,
    now_s: u32,
    out: &mut [u8],
) -> Reply {
    let increment = request.op == Op::Incr;
    let (hits, misses) = match increment {
        true => (&mut counters.incr_hits, &mut counters.incr_misses),
        false => (&mut counters.decr_hits, &mut counters.decr_misses),
    };
    let result = store.arith(request.key, &Arithmetic::new(request.number, increment), now_s);
    let words = match result {
        Ok((n, _)) => {
            *hits += 1;
            let len = reply::write_number_line(out, n);
            return Reply { len: if request.noreply { 0 } else { len }, value: None };
        }
        Err(ArithRefusal::NotFound) => {
            *misses += 1;
            text::NOT_FOUND
        }
        Err(ArithRefusal::NonNumeric) => text::NON_NUMERIC,
        Err(ArithRefusal::NoMemory | ArithRefusal::Exists) => text::OUT_OF_MEMORY,
    };
    Reply { len: if request.noreply { 0 } else { put(out, words) }, value: None }
}

/// Memcached's words for the end of a storage operation, counted.
pub fn stored_words(counters: &mut Counters, op: Op, stored: Result<Found, Refusal>) -> &'static [u8] {
    match stored {
        Err(Refusal::TooLarge) => {
            counters.store_too_large += 1;
            return text::TOO_LARGE;
        }
        Err(Refusal::NoMemory) => {
            counters.store_no_memory += 1;
            return text::OUT_OF_MEMORY_STORING;
        }
        _ => counters.cmd_set += 1,
    }
    match stored {
        Ok(_) => {
            counters.cas_hits += u64::from(op == Op::Cas);
            text::STORED
        }
        Err(Refusal::Exists) => {
            counters.cas_badval += 1;
            text::EXISTS
        }
        Err(Refusal::NotFound) => {
            counters.cas_misses += 1;
            text::NOT_FOUND
        }
        _ => text::NOT_STORED,
    }
}
