//! What is logged of a request while somebody watches. As in memcached every request on a key is also a fetch of it.

use super::{Keyspace, Reply, run};
use crate::protocol::WatchKind;
use crate::shard::request::{KeyRequest, Op};
use crate::shard::watch::event::{Event, Place};
use crate::store::{Found, Key, Mode, Refusal};

/// Runs `request` and logs it.
#[cold]
pub(super) fn execute(keys: &mut Keyspace, request: &KeyRequest<'_>, out: &mut [u8]) -> Reply {
    let before = fetch(keys, request.key);
    let reply = run(keys, request, out);
    if let Some(place) = before {
        note_deleted(keys, request, place);
    }
    reply
}

/// Logs what is stored under a key, if anybody watches, and returns it.
pub(super) fn fetch(keys: &mut Keyspace, key: Key<'_>) -> Option<Place> {
    if !keys.journal.is_watched() {
        return None;
    }
    let found = keys.store.look(key, keys.now_s).map(|found| place(keys, found));
    let fd = keys.journal.asker_fd;
    keys.log(&Event::Fetched { key: key.bytes, found, fd });
    found.ok()
}

/// Logs that the item which was at `place` is gone, if it is.
fn note_deleted(keys: &mut Keyspace, request: &KeyRequest<'_>, place: Place) {
    let command = match request.op {
        Op::Delete => "delete",
        Op::MetaDelete => "md",
        _ => return,
    };
    if keys.store.look(request.key, keys.now_s).is_err() {
        keys.log(&Event::Deleted { key: request.key.bytes, command, place });
    }
}

/// Logs the end of a storage operation.
#[inline]
pub(super) fn store(keys: &mut Keyspace, request: &KeyRequest<'_>, outcome: Result<Found, Refusal>) {
    if keys.journal.wants(WatchKind::Mutations) {
        let write = request.write();
        let command = match write.mode {
            Mode::Set if write.compare.is_some() => "cas",
            Mode::Set => "set",
            Mode::Add => "add",
            Mode::Replace => "replace",
            Mode::Append => "append",
            Mode::Prepend => "prepend",
        };
        note_stored(keys, request, command, outcome);
    }
}

/// Logs an item that was made beside the storage commands: a counter by its first increment, an emptied value.
#[inline]
pub(super) fn make(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    command: &'static str,
    outcome: Result<Found, Refusal>,
) {
    if keys.journal.wants(WatchKind::Mutations) {
        note_stored(keys, request, command, outcome);
    }
}

#[cold]
fn note_stored(
    keys: &mut Keyspace,
    request: &KeyRequest<'_>,
    command: &'static str,
    outcome: Result<Found, Refusal>,
) {
    let status = match outcome {
        Ok(_) => "stored",
        Err(Refusal::NotStored) => "not_stored",
        Err(Refusal::Exists) => "exists",
        Err(Refusal::NotFound) => "not_found",
        Err(Refusal::TooLarge) => "too_large",
        Err(Refusal::NoMemory) => "no_memory",
    };
    let (place, expires_s) = match outcome {
        Ok(found) => (place(keys, found), keys.store.item(found).expires_s()),
        Err(_) => (Place { class: 0, size: request.value_len as usize }, request.expires_s),
    };
    // One that is over already shows a number from before the clock, as in memcached.
    let ttl_s = if expires_s == 0 { 0 } else { expires_s.wrapping_sub(keys.now_s) };
    let (key, fd) = (request.key.bytes, keys.journal.asker_fd);
    keys.log(&Event::Stored { key, status, command, ttl_s, place, fd });
}

fn place(keys: &Keyspace, found: Found) -> Place {
    let item = keys.store.item(found);
    Place { class: item.class(), size: item.value_len() }
}
