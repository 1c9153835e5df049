//! Reading: lookups, what a found item looks like, prefetching.

use super::arena::Loc;
use super::expiry::age_of;
use super::item::{ACCESS_MASK, state};
use super::{Found, Key, Miss, Store};

impl Store {
    /// The item of a key, for a client that reads it: `look` and `note_read`.
    #[inline]
    pub fn get(&mut self, key: Key<'_>, now_s: u32) -> Result<Found, Miss> {
        let found = self.look(key, now_s)?;
        self.note_read(found);
        Ok(found)
    }

    /// Like `get`, and sets the item's expiry time (`touch`, `gat`).
    pub fn touch(&mut self, key: Key<'_>, expires_s: u32, now_s: u32) -> Result<Found, Miss> {
        let found = self.look(key, now_s)?;
        self.note_touch(found);
        self.set_expiry(found, expires_s);
        Ok(found)
    }

    /// The item of a key, without marking anything; a dead one is counted.
    #[inline]
    pub fn look(&mut self, key: Key<'_>, now_s: u32) -> Result<Found, Miss> {
        self.tick(now_s);
        match self.find_live(key) {
            Ok(loc) => Ok(Found { loc }),
            Err(miss) => Err(self.note_miss(miss)),
        }
    }

    /// Marks and counts that a client reads the item.
    #[inline]
    pub fn note_read(&mut self, found: Found) {
        self.mark_hit(found.loc);
        self.class_counters(found.loc).get_hits += 1;
    }

    /// Marks and counts that a client touches the item.
    pub fn note_touch(&mut self, found: Found) {
        self.mark_hit(found.loc);
        self.class_counters(found.loc).touch_hits += 1;
    }

    /// Sets the last second at which the item is alive; 0: for ever.
    pub fn set_expiry(&mut self, found: Found, expires_s: u32) {
        self.slab.header_mut(found.loc).expires_s = expires_s;
        self.note_expiry(found.loc, expires_s);
    }

    /// Tells one reader to store a new value: true for the first who asks, until the item is replaced or
    /// invalidated.
    pub fn take_win(&mut self, found: Found) -> bool {
        let header = self.slab.header_mut(found.loc);
        let first = !header.is(state::WIN_SENT);
        header.state |= state::WIN_SENT;
        first
    }

    /// A found item, to look at.
    #[inline]
    pub fn item(&self, found: Found) -> ItemView<'_> {
        ItemView { store: self, loc: found.loc }
    }

    /// Copies the value, chained or not, to the start of `out`, as far as it fits. Returns the number of
    /// bytes copied.
    #[inline]
    pub fn copy_value(&self, found: Found, out: &mut [u8]) -> usize {
        let (slab, loc) = (&self.slab, found.loc);
        if slab.header(loc).is(state::CHAINED) {
            return self.copy_chain(found, out);
        }
        let len = slab.value_len(loc).min(out.len());
        out[..len].copy_from_slice(slab.arena.bytes(slab.arena.offset(loc) + slab.value_at(loc), len));
        len
    }

    fn copy_chain(&self, found: Found, out: &mut [u8]) -> usize {
        let mut done = 0;
        for (at, len) in self.slab.segments(found.loc) {
            let len = len.min(out.len() - done);
            out[done..done + len].copy_from_slice(self.slab.arena.bytes(at, len));
            done += len;
        }
        done
    }

    /// Fetches the bucket of a hash into the cache. A batch of requests does this for all its keys first,
    /// then [`Store::prefetch_item`], then executes: one memory latency each instead of one per key.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.table.prefetch(&self.slab.arena, hash as u32);
    }

    /// Fetches the item of a hash, if its bucket has it.
    #[inline]
    pub fn prefetch_item(&self, hash: u64) {
        self.table.prefetch_items(&self.slab.arena, hash as u32);
    }

    /// Marks a client's read in the item's header. Writes only what changes: nothing, for an item read often
    /// within a second.
    #[inline]
    fn mark_hit(&mut self, loc: Loc) {
        let header = self.slab.header_mut(loc);
        if !header.is(state::FETCHED) {
            header.state |= state::FETCHED;
        }
        self.bump(loc);
    }

    /// Counts an access that argues for keeping the item, and its time.
    #[inline]
    pub(super) fn bump(&mut self, loc: Loc) {
        let now_s = self.now_s;
        let header = self.slab.header_mut(loc);
        if header.freq() < state::FREQ {
            header.state += 1;
        }
        header.set_access(now_s);
    }

    fn note_miss(&mut self, miss: Miss) -> Miss {
        match miss {
            Miss::Absent => {}
            Miss::Expired => self.counters.get_expired += 1,
            Miss::Flushed => self.counters.get_flushed += 1,
        }
        miss
    }
}

/// An item as its readers see it.
#[derive(Clone, Copy, Debug)]
pub struct ItemView<'a> {
    store: &'a Store,
    loc: Loc,
}

impl<'a> ItemView<'a> {
    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.store.slab.key(self.loc)
    }

    /// The client flags.
    pub fn flags(&self) -> u32 {
        self.store.slab.flags(self.loc)
    }

    /// The CAS number; 0 when the store runs without.
    pub fn cas(&self) -> u64 {
        if self.store.with_cas { self.store.slab.cas(self.loc) } else { 0 }
    }

    /// Bytes of the value.
    pub fn value_len(&self) -> usize {
        self.store.slab.value_len(self.loc)
    }

    /// The value; None when it is a chain, see `Store::copy_value` and `Store::pin`.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        let slab = &self.store.slab;
        if slab.header(self.loc).is(state::CHAINED) {
            return None;
        }
        let at = slab.arena.offset(self.loc) + slab.value_at(self.loc);
        Some(slab.arena.bytes(at, slab.value_len(self.loc)))
    }

    /// The last second at which it is alive; 0: for ever.
    pub fn expires_s(&self) -> u32 {
        self.store.slab.header(self.loc).expires_s
    }

    /// The second of the last access. Only 24 bits are kept: wrong by 194 days for an item not read for that
    /// long.
    pub fn last_access_s(&self) -> u32 {
        let age_s = age_of(self.store.slab.header(self.loc), self.store.now_s);
        debug_assert!(age_s <= ACCESS_MASK);
        self.store.now_s.saturating_sub(age_s)
    }

    /// True when a client has read it since it was stored.
    pub fn fetched(&self) -> bool {
        self.is(state::FETCHED)
    }

    /// True when it was invalidated: outdated, to be replaced by the reader who wins.
    pub fn is_stale(&self) -> bool {
        self.is(state::STALE)
    }

    /// True when a reader was told to replace it.
    pub fn win_sent(&self) -> bool {
        self.is(state::WIN_SENT)
    }

    /// True when it was stored under a key in base64.
    pub fn has_binary_key(&self) -> bool {
        self.is(state::BINARY_KEY)
    }

    fn is(&self, mark: u16) -> bool {
        self.store.slab.header(self.loc).is(mark)
    }

    /// The size class; of a chained item, that of its head.
    pub fn class(&self) -> u8 {
        self.store.slab.class_of_chunk(self.loc)
    }

    /// Bytes the item asked for: header, extras, key, value.
    pub fn stored_bytes(&self) -> usize {
        self.store.slab.item_bytes(self.loc)
    }
}
