//! Runs one keyed operation on the shard that owns the key, and writes the answer in the protocol it was asked in.
//!
//! The same function serves a connection of this shard (the reply is written into its outbox) and a peer (into the queue of
//! answers). It runs to completion, so operations on one key are linearizable. [`classic`], [`meta`] and [`binary`] hold
//! what the protocols have of their own, [`watched`] what is logged of it.

mod binary;
mod classic;
mod meta;
mod watched;

use super::keyspace::Keyspace;
use super::request::{Form, KeyRequest};
use crate::store::{ArithRefusal, Found, Pinned, Refusal, Upload};

/// Values up to this size are copied into the reply; larger ones are pinned and sent from where they are.
pub const VALUE_COPY_MAX: usize = 4096;

/// The longest key, in bytes, unless `--max-key-size` allows longer ones.
const KEY_LEN_USUAL: usize = 250;

/// Bytes of the longest reply without its value when keys have no more than [`KEY_LEN_USUAL`] bytes: the key, every return
/// flag of a meta command, words.
const WORDS_USUAL: usize = 512;

/// Bytes of the longest reply without its value when keys have up to `key_len_max` bytes.
pub const fn words_max(key_len_max: usize) -> usize {
    WORDS_USUAL + key_len_max.saturating_sub(KEY_LEN_USUAL)
}

/// Bytes of the longest reply of a shard to its own connection for a usual key: a copied value and words.
pub const REPLY_USUAL: usize = VALUE_COPY_MAX + WORDS_USUAL;

/// What was written: `len` bytes, and a value that follows them.
#[derive(Default)]
pub struct Reply {
    /// Bytes written.
    pub len: usize,
    /// The pinned value.
    pub value: Option<Pinned>,
    /// CR LF follows the pinned value.
    pub line_end: bool,
}

impl Reply {
    /// A reply that is all there.
    fn of(len: usize) -> Reply {
        Reply { len, ..Reply::default() }
    }
}

impl KeyRequest<'_> {
    /// The reply is no longer than that for a usual key.
    pub fn has_usual_key(&self) -> bool {
        self.key.bytes.len() <= KEY_LEN_USUAL
    }
}

/// Runs `request` and writes its reply into `out`: [`Keyspace::words_max`] bytes and as many as a copied value may have; a
/// larger value is pinned. (For a usual key, [`WORDS_USUAL`] do.)
#[inline]
pub fn execute(keys: &mut Keyspace, request: &KeyRequest<'_>, out: &mut [u8]) -> Reply {
    if keys.journal.is_watched() {
        return watched::execute(keys, request, out);
    }
    run(keys, request, out)
}

#[inline(always)]
fn run(keys: &mut Keyspace, request: &KeyRequest<'_>, out: &mut [u8]) -> Reply {
    match request.form {
        Form::Classic { noreply } => classic::execute(keys, request, noreply, out),
        Form::Meta(flags) => meta::execute(keys, request, flags, out),
        Form::Binary(packet) => binary::execute(keys, request, packet, out),
    }
}

/// Stores the value that was received in place, and writes the answer; returns its length.
pub fn commit(keys: &mut Keyspace, request: &KeyRequest<'_>, upload: Upload, out: &mut [u8]) -> usize {
    watched::fetch(keys, request.key);
    let outcome = keys.store.commit(upload, &request.write(), keys.now_s);
    stored(keys, request, outcome, out)
}

/// Answers a storage operation with its outcome, and counts it; returns the length.
pub fn stored(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    outcome: Result<Found, Refusal>,
    out: &mut [u8],
) -> usize {
    count_stored(keys, request, outcome.err());
    watched::store(keys, request, outcome);
    match request.form {
        Form::Classic { noreply } => classic::stored(keys, request, outcome.err(), noreply, out),
        Form::Meta(flags) => meta::stored(keys, request, flags, outcome, out),
        Form::Binary(packet) => binary::stored(keys, request, packet, outcome, out),
    }
}

fn count_stored(keys: &mut Keyspace, request: &KeyRequest<'_>, refusal: Option<Refusal>) {
    let counters = &mut keys.counters;
    match refusal {
        Some(Refusal::TooLarge) => return counters.store_too_large += 1,
        Some(Refusal::NoMemory) => return counters.store_no_memory += 1,
        _ => counters.cmd_set += 1,
    }
    let compares = request.write().compare.is_some();
    match refusal {
        None => counters.cas_hits += u64::from(compares),
        Some(Refusal::Exists) => counters.cas_badval += 1,
        Some(Refusal::NotFound) => counters.cas_misses += 1,
        _ => {}
    }
}

/// Stores the value that came with the request, and answers.
fn store(keys: &mut Keyspace, request: &KeyRequest<'_>, out: &mut [u8]) -> Reply {
    let outcome = keys.store.set(request.key, &request.write(), request.value, keys.now_s);
    Reply::of(stored(keys, request, outcome, out))
}

/// Puts the value of a found item behind `head` bytes of `out`: copied with CR LF behind it if `line_end`, or pinned.
fn with_value(keys: &mut Keyspace, found: Found, head: usize, line_end: bool, out: &mut [u8]) -> Reply {
    let value_len = keys.store.item(found).value_len();
    if value_len > VALUE_COPY_MAX || head + value_len + 2 > out.len() {
        return Reply { len: head, value: Some(keys.store.pin(found)), line_end };
    }
    let mut end = head + value_len;
    keys.store.copy_value(found, &mut out[head..end]);
    if line_end {
        end += put(&mut out[end..], b"\r\n");
    }
    Reply::of(end)
}

/// Counts an incr or decr.
fn count_arith(keys: &mut Keyspace, increment: bool, result: Result<(), ArithRefusal>) {
    let counters = &mut keys.counters;
    let (hits, misses) = match increment {
        true => (&mut counters.incr_hits, &mut counters.incr_misses),
        false => (&mut counters.decr_hits, &mut counters.decr_misses),
    };
    match result {
        Ok(()) => *hits += 1,
        Err(ArithRefusal::NotFound) => *misses += 1,
        Err(_) => {}
    }
}

/// Counts a hit or a miss.
fn tally(hit: bool, hits: &mut u64, misses: &mut u64) {
    *(if hit { hits } else { misses }) += 1;
}

/// Puts `words` at the start of `out`; returns their length.
fn put(out: &mut [u8], words: &[u8]) -> usize {
    out[..words.len()].copy_from_slice(words);
    words.len()
}
