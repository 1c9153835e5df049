//! Evictions for somebody who watches: kept in a list until they are fetched.
//!
//! Watching allocates (a key each), so it is off until asked for; the list is bounded, and what finds no room
//! in it is only counted.

use super::Store;
use super::arena::Loc;
use super::expiry::age_of;
use super::item::state;

/// Evictions kept at most, and bytes of their keys.
const EVICTIONS_MAX: usize = 1024;
const KEY_BYTES_MAX: usize = 256 << 10;

/// A live item that was thrown out for lack of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// The key.
    pub key: Box<[u8]>,
    /// Read by a client since it was stored.
    pub fetched: bool,
    /// Seconds it still had to live; None: for ever.
    pub ttl_s: Option<u32>,
    /// Seconds since its last access.
    pub idle_s: u32,
    /// The size class, of its head.
    pub class: u8,
    /// Bytes it asked for: header, extras, key, value.
    pub bytes: usize,
    /// Bytes of the value.
    pub value_len: usize,
}

/// What was evicted since the last look.
#[derive(Debug, Default)]
pub struct Evictions {
    /// In the order in which they happened.
    pub kept: Vec<Evicted>,
    /// How many more there were that found no room in the list.
    pub lost: u64,
    key_bytes: usize,
}

impl Store {
    /// Begins or ends to keep evictions. What was kept is forgotten.
    pub fn watch_evictions(&mut self, on: bool) {
        self.evictions = on.then(Evictions::default);
    }

    /// What was evicted since the last call; nothing while nobody watches.
    pub fn take_evicted(&mut self) -> Evictions {
        self.evictions.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Keeps an item that is about to be evicted, if somebody watches.
    pub(super) fn note_evicted(&mut self, loc: Loc) {
        let Some(evictions) = &mut self.evictions else { return };
        let (key, header) = (self.slab.key(loc), self.slab.header(loc));
        if evictions.kept.len() == EVICTIONS_MAX || evictions.key_bytes + key.len() > KEY_BYTES_MAX {
            evictions.lost += 1;
            return;
        }
        evictions.key_bytes += key.len();
        evictions.kept.push(Evicted {
            key: key.into(),
            fetched: header.is(state::FETCHED),
            ttl_s: (header.expires_s != 0).then(|| header.expires_s.saturating_sub(self.now_s)),
            idle_s: age_of(header, self.now_s),
            class: self.slab.class_of_chunk(loc),
            bytes: self.slab.item_bytes(loc),
            value_len: self.slab.value_len(loc),
        });
    }
}
