//! The binary protocol's part: the same operations as the classic one's, answered in packets.

use super::{Keyspace, Reply, count_arith, store, tally, watched, with_value};
use crate::protocol::binary::{Status, reply};
use crate::shard::request::{KeyRequest, Op, Packet};
use crate::store::{ArithRefusal, Arithmetic, Found, Mode, Refusal, Write};

/// Runs `request`.
pub(super) fn execute(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    packet: &Packet,
    out: &mut [u8],
) -> Reply {
    match request.op {
        Op::Get | Op::Gat => retrieve(keys, request, packet, out),
        Op::Touch => Reply::of(touch(keys, request, packet, out)),
        Op::Delete => Reply::of(delete(keys, request, packet, out)),
        Op::Incr | Op::Decr => Reply::of(arith(keys, request, packet, out)),
        _ => store(keys, request, out),
    }
}

fn touched(keys: &mut Keyspace, request: &KeyRequest<'_>) -> Option<Found> {
    let found = keys.store.touch(request.key, request.expires_s, keys.now_s).ok();
    keys.counters.cmd_touch += 1;
    tally(found.is_some(), &mut keys.counters.touch_hits, &mut keys.counters.touch_misses);
    found
}

/// GET, GETK, GAT, GATK and their quiet forms.
fn retrieve(keys: &mut Keyspace, request: &KeyRequest<'_>, packet: &Packet, out: &mut [u8]) -> Reply {
    let found = if request.op == Op::Get {
        let found = keys.store.get(request.key, keys.now_s).ok();
        keys.counters.cmd_get += 1;
        tally(found.is_some(), &mut keys.counters.get_hits, &mut keys.counters.get_misses);
        found
    } else {
        touched(keys, request)
    };
    let Some(found) = found else {
        let silent = packet.tag.suppresses(Status::NotFound);
        return Reply::of(if silent { 0 } else { reply::write_miss(out, packet.tag, request.key.bytes) });
    };
    let item = keys.store.item(found);
    let (value_len, cas) = (item.value_len() as u32, item.cas());
    let head = reply::write_hit_head(out, packet.tag, item.flags(), item.key(), value_len, cas);
    with_value(keys, found, head, false, out)
}

fn touch(keys: &mut Keyspace, request: &KeyRequest<'_>, packet: &Packet, out: &mut [u8]) -> usize {
    match touched(keys, request) {
        Some(found) => {
            let item = keys.store.item(found);
            reply::write_hit_head(out, packet.tag, item.flags(), item.key(), 0, item.cas())
        }
        None => fail(packet, Status::NotFound, out),
    }
}

fn delete(keys: &mut Keyspace, request: &KeyRequest<'_>, packet: &Packet, out: &mut [u8]) -> usize {
    let compare = (packet.cas != 0).then_some(packet.cas);
    let outcome = keys.store.delete_if(request.key, compare, keys.now_s);
    let hit = outcome != Err(Refusal::NotFound);
    tally(hit, &mut keys.counters.delete_hits, &mut keys.counters.delete_misses);
    match outcome {
        Ok(()) => done(packet, 0, out),
        Err(Refusal::NotFound) => fail(packet, Status::NotFound, out),
        Err(_) => fail(packet, Status::Exists, out),
    }
}

fn arith(keys: &mut Keyspace, request: &KeyRequest<'_>, packet: &Packet, out: &mut [u8]) -> usize {
    let increment = request.op == Op::Incr;
    let compare = (packet.cas != 0).then_some(packet.cas);
    let change = Arithmetic { compare, ..Arithmetic::new(request.number, increment) };
    let mut result = keys.store.arith(request.key, &change, keys.now_s);
    count_arith(keys, increment, result.map(|_| ()));
    if result == Err(ArithRefusal::NotFound) && packet.creates != 0 {
        let digits = packet.initial.to_string(); // once in the life of a counter
        let write = Write::new(Mode::Add, 0, request.expires_s);
        let made = keys.store.set(request.key, &write, digits.as_bytes(), keys.now_s);
        watched::make(keys, request, "add", made);
        result = made.map(|found| (packet.initial, found)).map_err(|_| ArithRefusal::NoMemory);
    }
    let status = match result {
        Ok(_) if packet.tag.suppresses(Status::Ok) => return 0,
        Ok((number, found)) => {
            return reply::write_number(out, packet.tag, number, keys.store.item(found).cas());
        }
        Err(ArithRefusal::NotFound) => Status::NotFound,
        Err(ArithRefusal::NonNumeric) => Status::NonNumeric,
        Err(ArithRefusal::Exists) => Status::Exists,
        Err(ArithRefusal::NoMemory) => Status::OutOfMemory,
    };
    fail(packet, status, out)
}

/// The end of a storage operation.
pub(super) fn stored(
    keys: &Keyspace,
    request: &KeyRequest<'_>,
    packet: &Packet,
    outcome: Result<Found, Refusal>,
    out: &mut [u8],
) -> usize {
    let status = match (outcome, request.op) {
        (Ok(found), _) => return done(packet, keys.store.item(found).cas(), out),
        (Err(Refusal::NotStored), Op::Add) | (Err(Refusal::Exists), _) => Status::Exists,
        (Err(Refusal::NotStored), Op::Replace) | (Err(Refusal::NotFound), _) => Status::NotFound,
        (Err(Refusal::NotStored), _) => Status::NotStored,
        (Err(Refusal::TooLarge), _) => Status::TooLarge,
        (Err(Refusal::NoMemory), _) => Status::OutOfMemory,
    };
    fail(packet, status, out)
}

/// A success without a body.
fn done(packet: &Packet, cas: u64, out: &mut [u8]) -> usize {
    if packet.tag.suppresses(Status::Ok) { 0 } else { reply::write_done(out, packet.tag, cas) }
}

fn fail(packet: &Packet, status: Status, out: &mut [u8]) -> usize {
    if packet.tag.suppresses(status) { 0 } else { reply::write_error(out, packet.tag, status) }
}
