#![allow(unsafe_code)]
//! Tokens for item bytes that outlive a call: [`Pinned`] for a value being sent straight from the arena,
//! [`Upload`] for one being received into it. Both are move-only and `Send`, so another shard's thread can
//! use them.
//!
//! While a token is out its chunks stay where they are. A pinned item keeps its bytes: whoever would change,
//! move or evict it unlinks it instead, and its memory is freed by the last release. An upload is in no table
//! and no queue, nobody else looks at its bytes. The `PINNED` and `UPLOADING` bits in the item's state say so
//! to the rest of the store; the store counts the tokens and, if it is dropped before they are back, leaves
//! its memory mapped.

use super::Store;
use super::arena::{Geometry, Loc};
use super::item::{CHAIN_AT, LINKS_BYTES, state};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// An item whose value may be read until the token is given to `Store::release`, its own store's. Dropping it
/// leaks the item's memory.
#[derive(Debug)]
#[must_use = "a pin that is not released leaks its item's memory"]
pub struct Pinned {
    geometry: NonNull<Geometry>,
    head: Loc,
    value_at: u32,
    value_len: u32,
}

// SAFETY: the token only reads value bytes and the links of continuations, which nobody writes while it is
// out, and the geometry, which never changes; the mapping lives until the token is back (or for ever).
unsafe impl Send for Pinned {}

/// A reserved item whose value is being received, to be given to `Store::commit` or `Store::abandon` of its
/// own store. Its memory may be there only in part: `Store::grow` adds to it, again and again, so that a long value takes
/// memory as it comes. Dropping it leaks the item's memory.
#[derive(Debug)]
#[must_use = "an upload that is neither committed nor abandoned leaks its memory"]
pub struct Upload {
    geometry: NonNull<Geometry>,
    head: Loc,
    /// The chunk being filled.
    current: Loc,
    /// Bytes from its start to where the next byte goes.
    position: u32,
    /// Bytes of the value not yet written.
    remaining: u32,
}

// SAFETY: until the token is back nobody else reads or writes the chunks of the item it names, and the
// geometry never changes; the mapping lives until the token is back (or for ever).
unsafe impl Send for Upload {}

impl Pinned {
    /// Bytes of the value.
    pub fn value_len(&self) -> usize {
        self.value_len as usize
    }

    /// The value piece by piece, in order.
    pub fn segments(&self) -> PinnedSegments<'_> {
        PinnedSegments {
            geometry: self.geometry,
            chunk: self.head,
            skip: self.value_at as usize,
            left: self.value_len(),
            of: PhantomData,
        }
    }

    /// The token as plain words, to travel through a queue of bytes.
    pub fn into_raw(self) -> [u64; 3] {
        let this = std::mem::ManuallyDrop::new(self);
        [
            this.geometry.as_ptr().expose_provenance() as u64,
            u64::from(this.head.bits()) | u64::from(this.value_at) << 32,
            u64::from(this.value_len),
        ]
    }

    /// The token back from its words.
    ///
    /// # Safety
    /// `raw` comes from [`Pinned::into_raw`] and is used once.
    pub unsafe fn from_raw(raw: [u64; 3]) -> Pinned {
        Pinned {
            geometry: geometry_from_raw(raw[0]),
            head: Loc::from_bits(raw[1] as u32),
            value_at: (raw[1] >> 32) as u32,
            value_len: raw[2] as u32,
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "a pin was dropped, not released");
    }
}

/// See [`Pinned::segments`].
#[derive(Debug)]
pub struct PinnedSegments<'a> {
    geometry: NonNull<Geometry>,
    chunk: Loc,
    skip: usize,
    left: usize,
    of: PhantomData<&'a Pinned>,
}

impl<'a> Iterator for PinnedSegments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        // SAFETY: the token keeps the geometry alive; it is never written.
        let geometry = unsafe { self.geometry.as_ref() };
        let len = self.left.min(geometry.chunk_max - self.skip);
        let start = geometry.address(self.chunk, self.skip);
        // SAFETY: the store filled in head, position and length from a live item; a chunk that does not hold
        // all that is left is of the largest class, so `len` bytes lie inside it. Nobody writes them while
        // the token is out.
        let piece = unsafe { std::slice::from_raw_parts(start, len) };
        self.left -= len;
        if self.left > 0 {
            let is_head = self.skip != LINKS_BYTES;
            // SAFETY: more is left, so the item is chained and a continuation follows.
            self.chunk = unsafe { following(geometry, self.chunk, is_head) };
            self.skip = LINKS_BYTES;
        }
        Some(piece)
    }
}

impl Upload {
    /// The item whose value it is.
    pub(super) fn head(&self) -> Loc {
        self.head
    }

    /// The last chunk there is, and the bytes of the value that have room between here and its end.
    pub(super) fn end_of_room(&self) -> (Loc, usize) {
        // Goes ahead of this token, as `regions` does.
        let mut ahead = std::mem::ManuallyDrop::new(Upload { ..*self });
        let mut room = 0;
        loop {
            let len = ahead.next_region().len();
            if len == 0 {
                return (ahead.current, room);
            }
            ahead.advance(len);
            room += len;
        }
    }

    /// Bytes of the largest piece there is.
    pub fn piece_max(&self) -> usize {
        // SAFETY: the token keeps the geometry alive; it is never written.
        unsafe { self.geometry.as_ref() }.chunk_max
    }

    /// Bytes of the value that have memory and have not been written.
    pub fn room(&self) -> usize {
        self.end_of_room().1
    }

    /// Bytes of the value still to be written.
    pub fn remaining(&self) -> usize {
        self.remaining as usize
    }

    /// More of the value is to come than there is memory for: it wants `Store::grow`.
    pub fn needs_room(&self) -> bool {
        self.is_at_end() && self.next_chunk().is_none()
    }

    /// The chunk being filled is full, and not all.
    fn is_at_end(&self) -> bool {
        // SAFETY: the token keeps the geometry alive; it is never written.
        let chunk_max = unsafe { self.geometry.as_ref() }.chunk_max;
        self.remaining > 0 && self.position as usize == chunk_max
    }

    /// The chunk behind one that is full while bytes remain, if it is there.
    fn next_chunk(&self) -> Loc {
        // SAFETY: as above; only an item that is chained goes on behind a chunk, and this token is out.
        unsafe { following(self.geometry.as_ref(), self.current, self.current == self.head) }
    }

    /// Where the next bytes go, in place; empty when the value is complete or has no more room. Call [`Upload::advance`] with
    /// how many were written.
    pub fn next_region(&mut self) -> &mut [u8] {
        // SAFETY: the token keeps the geometry alive; it is never written.
        let geometry = unsafe { self.geometry.as_ref() };
        if self.is_at_end() {
            let next = self.next_chunk();
            if next.is_none() {
                return &mut [];
            }
            (self.current, self.position) = (next, LINKS_BYTES as u32);
        }
        let position = self.position as usize;
        let len = self.remaining().min(geometry.chunk_max.saturating_sub(position));
        // SAFETY: a chunk that does not hold all that remains is of the largest class, so `len` bytes lie
        // inside it; they belong to this token alone and are borrowed with it.
        unsafe { std::slice::from_raw_parts_mut(geometry.address(self.current, position), len) }
    }

    /// Notes that `len` bytes of the last region were written; more than it had counts as all of it.
    pub fn advance(&mut self, len: usize) {
        let len = self.next_region().len().min(len) as u32;
        self.position += len;
        self.remaining -= len;
    }

    /// All that is still to be written and has room, in place, piece by piece in order, until `each` returns false. Call
    /// [`Upload::fill`] with how many bytes were written.
    pub fn regions(&mut self, each: &mut dyn FnMut(&mut [u8]) -> bool) {
        // Goes ahead without moving this token; it is borrowed meanwhile, so no two of the regions are had twice.
        let mut ahead = std::mem::ManuallyDrop::new(Upload { ..*self });
        while ahead.remaining > 0 {
            let region = ahead.next_region();
            let len = region.len();
            if len == 0 || !each(region) {
                break;
            }
            ahead.advance(len);
        }
    }

    /// Notes that the next `len` bytes were written, in as many regions as they take.
    pub fn fill(&mut self, mut len: usize) {
        while len > 0 && self.remaining > 0 {
            let now = self.next_region().len().min(len);
            if now == 0 {
                break;
            }
            self.advance(now);
            len -= now;
        }
    }

    /// Writes the next bytes of the value; returns how many there was room for.
    pub fn write(&mut self, mut bytes: &[u8]) -> usize {
        let offered = bytes.len();
        while !bytes.is_empty() && self.remaining > 0 {
            let region = self.next_region();
            if region.is_empty() {
                break;
            }
            let (now, later) = bytes.split_at(region.len().min(bytes.len()));
            region[..now.len()].copy_from_slice(now);
            self.advance(now.len());
            bytes = later;
        }
        offered - bytes.len()
    }

    /// The token as plain words, to travel through a queue of bytes.
    pub fn into_raw(self) -> [u64; 3] {
        let this = std::mem::ManuallyDrop::new(self);
        [
            this.geometry.as_ptr().expose_provenance() as u64,
            u64::from(this.head.bits()) | u64::from(this.current.bits()) << 32,
            u64::from(this.position) | u64::from(this.remaining) << 32,
        ]
    }

    /// The token back from its words.
    ///
    /// # Safety
    /// `raw` comes from [`Upload::into_raw`] and is used once.
    pub unsafe fn from_raw(raw: [u64; 3]) -> Upload {
        Upload {
            geometry: geometry_from_raw(raw[0]),
            head: Loc::from_bits(raw[1] as u32),
            current: Loc::from_bits((raw[1] >> 32) as u32),
            position: raw[2] as u32,
            remaining: (raw[2] >> 32) as u32,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "an upload was dropped, neither committed nor abandoned");
    }
}

/// The chunk after `chunk` in a chain; none behind the last.
///
/// # Safety
/// `chunk` is part of a chained item under a token.
unsafe fn following(geometry: &Geometry, chunk: Loc, is_head: bool) -> Loc {
    let at = if is_head { CHAIN_AT } else { 0 };
    // SAFETY: both places hold four aligned bytes of the chunk, which nobody writes while the token is out.
    Loc::from_bits(unsafe { geometry.address(chunk, at).cast::<u32>().read() })
}

fn geometry_from_raw(word: u64) -> NonNull<Geometry> {
    let geometry = NonNull::new(std::ptr::with_exposed_provenance_mut(word as usize));
    geometry.unwrap_or(NonNull::dangling())
}

impl Store {
    /// Pins a found item. Its value can be read through the token, also after the item is overwritten,
    /// deleted or evicted.
    pub fn pin(&mut self, found: super::Found) -> Pinned {
        let head = found.loc;
        // The token will be read without bounds checks: what it names must be an item, not what an outdated
        // `Found` left.
        let bytes = self.slab.key(head);
        let key = super::Key { bytes, hash: self.hasher.hash(bytes) };
        assert_eq!(self.find(key), Some(head), "pin of an item that is gone");
        *self.pins.entry(head).or_insert(0) += 1;
        self.tokens_out += 1;
        self.slab.header_mut(head).state |= state::PINNED;
        let value_at = self.slab.value_at(head) as u32;
        let value_len = self.slab.value_len(head) as u32;
        Pinned { geometry: self.slab.arena.geometry(), head, value_at, value_len }
    }

    /// Takes a pin back; frees the item's memory if it was unlinked meanwhile and this was its last pin.
    pub fn release(&mut self, pinned: Pinned) {
        let pinned = std::mem::ManuallyDrop::new(pinned);
        assert_eq!(pinned.geometry, self.slab.arena.geometry(), "released to another store");
        let Some(count) = self.pins.get_mut(&pinned.head) else { return };
        *count -= 1;
        self.tokens_out -= 1;
        if *count > 0 {
            return;
        }
        self.pins.remove(&pinned.head);
        let header = self.slab.header_mut(pinned.head);
        header.state &= !state::PINNED;
        if !header.is(state::LINKED) {
            self.slab.free_item(pinned.head);
        }
    }

    /// A token for a built, unlinked item whose value starts at its first byte.
    pub(super) fn new_upload(&mut self, head: Loc) -> Upload {
        self.tokens_out += 1;
        let position = self.slab.value_at(head) as u32;
        let remaining = self.slab.value_len(head) as u32;
        Upload { geometry: self.slab.arena.geometry(), head, current: head, position, remaining }
    }

    /// Takes an upload back; its item still is neither in the table nor in a queue.
    pub(super) fn end_upload(&mut self, upload: Upload) -> Loc {
        let upload = std::mem::ManuallyDrop::new(upload);
        assert_eq!(upload.geometry, self.slab.arena.geometry(), "given to another store");
        self.tokens_out -= 1;
        upload.head
    }
}
