//! The bytes of an item: a 24-byte header, extras, key, value.
//!
//! ```text
//! | header 24 | chain: first continuation u32, value length u32 | client flags u32 | key | value | slack |
//!               only when CHAINED                                 only when not 0
//! ```
//! The value length is stored only for chained items; otherwise it is what the chunk has left after the other
//! parts and the slack, the unused bytes at the chunk's end. A slack of 255 or more leaves room to store
//! itself: the header then says [`SLACK_IN_TAIL`] and the chunk's last four bytes hold the number.
//!
//! Every chunk of a slab page, used or free, starts with [`Links`]; their two top bits say what the chunk is.

use super::arena::Loc;
use super::slab::Slab;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Longest key in bytes, memcached's limit. The header's `key_len` of 255 is kept free for a longer form.
pub const KEY_LEN_MAX: usize = 250;

/// Bytes of the header.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// Bytes at the start of a continuation chunk, before its share of the value.
pub const LINKS_BYTES: usize = size_of::<Links>();

/// Where the chain extra (first continuation, value length) of a chained item lies.
pub const CHAIN_AT: usize = HEADER_BYTES;

/// The value of `Header::slack` that sends the reader to the chunk's last four bytes.
pub const SLACK_IN_TAIL: u8 = 255;

/// The bits of a CAS number.
pub const CAS_MASK: u64 = (1 << 40) - 1;

/// The bits of the time of last access.
pub const ACCESS_MASK: u32 = (1 << 24) - 1;

/// The bits of `Header::state`. Bits 10 to 15 are free: stale, win sent, binary key, CAS set from outside.
pub mod state {
    /// How often the item was read since it last moved, saturating; two bits.
    pub const FREQ: u16 = 0b11;
    /// In the main queue; else in the small one.
    pub const MAIN: u16 = 1 << 2;
    /// In the table and in a queue.
    pub const LINKED: u16 = 1 << 3;
    /// Read by a client since it was stored.
    pub const FETCHED: u16 = 1 << 4;
    /// The value goes on in continuation chunks.
    pub const CHAINED: u16 = 1 << 5;
    /// Client flags are not zero and stored as an extra.
    pub const HAS_FLAGS: u16 = 1 << 6;
    /// Reserved, its value is still being received.
    pub const UPLOADING: u16 = 1 << 7;
    /// Its bytes are being read elsewhere: neither change, move nor free it.
    pub const PINNED: u16 = 1 << 8;
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// An item's head: a [`Header`].
    Item,
    /// A part of a large value: [`Links`], then bytes.
    Continuation,
    /// Nothing.
    Free,
}

const NOT_AN_ITEM: u32 = !Loc::MASK;
const FREE: u32 = !Loc::MASK;

/// The first eight bytes of every chunk. Of an item: its neighbours in the eviction queue, `next` the older
/// and `prev` the newer one. Of a continuation: `next` the next continuation, `prev` the chunk before it. Of
/// a free chunk: `next` the next free chunk of the page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Links {
    next: u32,
    prev: u32,
}

impl Links {
    /// Links of the given kind.
    pub fn new(kind: ChunkKind, next: Loc, prev: Loc) -> Links {
        let (next_tag, prev_tag) = match kind {
            ChunkKind::Item => (0, 0),
            ChunkKind::Continuation => (NOT_AN_ITEM, 0),
            ChunkKind::Free => (NOT_AN_ITEM, FREE),
        };
        Links { next: next.bits() | next_tag, prev: prev.bits() | prev_tag }
    }

    /// What the chunk holds.
    pub fn kind(self) -> ChunkKind {
        match (self.next & NOT_AN_ITEM, self.prev & FREE) {
            (0, _) => ChunkKind::Item,
            (_, 0) => ChunkKind::Continuation,
            _ => ChunkKind::Free,
        }
    }

    /// The next (older) chunk.
    pub fn next(self) -> Loc {
        Loc::from_bits(self.next)
    }

    /// The previous (newer) chunk.
    pub fn prev(self) -> Loc {
        Loc::from_bits(self.prev)
    }

    /// Changes the next chunk, not the kind.
    pub fn set_next(&mut self, loc: Loc) {
        self.next = self.next & NOT_AN_ITEM | loc.bits();
    }

    /// Changes the previous chunk, not the kind.
    pub fn set_prev(&mut self, loc: Loc) {
        self.prev = self.prev & FREE | loc.bits();
    }
}

/// The header of an item.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Neighbours in the eviction queue.
    pub links: Links,
    /// CAS number in the high 40 bits, second of last access modulo 2^24 in the low 24.
    stamp: u64,
    /// Last second of the shard clock at which it is alive; 0: for ever.
    pub expires_s: u32,
    /// Bytes of the key.
    pub key_len: u8,
    /// Unused bytes at the chunk's end; see [`SLACK_IN_TAIL`].
    pub slack: u8,
    /// See [`state`].
    pub state: u16,
}

const _: () = assert!(size_of::<Header>() == 24 && align_of::<Header>() == 8);

impl Header {
    /// The header of a new, unlinked item.
    pub fn new(key_len: usize, slack: u8, expires_s: u32, state: u16) -> Header {
        let links = Links::new(ChunkKind::Item, Loc::NONE, Loc::NONE);
        Header { links, stamp: 0, expires_s, key_len: key_len as u8, slack, state }
    }

    /// The CAS number; 0 until it is linked.
    pub fn cas(&self) -> u64 {
        self.stamp >> 24
    }

    /// Sets CAS number and time of last access.
    pub fn set_stamp(&mut self, cas: u64, access_s: u32) {
        self.stamp = (cas & CAS_MASK) << 24 | u64::from(access_s & ACCESS_MASK);
    }

    /// Second of last access modulo 2^24.
    pub fn access(&self) -> u32 {
        self.stamp as u32 & ACCESS_MASK
    }

    /// Sets the time of last access; writes only when it changes.
    pub fn set_access(&mut self, access_s: u32) {
        if self.access() != access_s & ACCESS_MASK {
            self.set_stamp(self.cas(), access_s);
        }
    }

    /// True when all bits of `bits` are set.
    pub fn is(&self, bits: u16) -> bool {
        self.state & bits == bits
    }

    /// Reads since it last moved, at most 3.
    pub fn freq(&self) -> u16 {
        self.state & state::FREQ
    }

    /// Replaces the count of reads.
    pub fn set_freq(&mut self, freq: u16) {
        self.state = self.state & !state::FREQ | freq.min(state::FREQ);
    }

    /// Bytes from the chunk's start to the key.
    pub fn key_at(&self) -> usize {
        HEADER_BYTES
            + if self.is(state::CHAINED) { 8 } else { 0 }
            + if self.is(state::HAS_FLAGS) { 4 } else { 0 }
    }

    /// Bytes from the chunk's start to the value.
    pub fn value_at(&self) -> usize {
        self.key_at() + usize::from(self.key_len)
    }
}

/// Bytes an item needs apart from its value when it fits one chunk.
pub fn fixed_bytes(key_len: usize, flags: u32) -> usize {
    HEADER_BYTES + if flags != 0 { 4 } else { 0 } + key_len
}

/// Items as they lie in the arena. `loc` is the location of an item's head everywhere.
impl Slab {
    /// The header.
    #[inline]
    pub fn header(&self, loc: Loc) -> &Header {
        self.arena.get(self.arena.offset(loc))
    }

    /// The header, to change.
    #[inline]
    pub fn header_mut(&mut self, loc: Loc) -> &mut Header {
        let at = self.arena.offset(loc);
        self.arena.get_mut(at)
    }

    /// The key.
    #[inline]
    pub fn key(&self, loc: Loc) -> &[u8] {
        let header = self.header(loc);
        self.arena.bytes(self.arena.offset(loc) + header.key_at(), usize::from(header.key_len))
    }

    /// The client flags.
    pub fn flags(&self, loc: Loc) -> u32 {
        let header = self.header(loc);
        if header.is(state::HAS_FLAGS) { self.word(self.arena.offset(loc) + header.key_at() - 4) } else { 0 }
    }

    /// Bytes of the value.
    #[inline]
    pub fn value_len(&self, loc: Loc) -> usize {
        let (header, at) = (self.header(loc), self.arena.offset(loc));
        if header.is(state::CHAINED) {
            return self.word(at + CHAIN_AT + 4) as usize;
        }
        let chunk = self.chunk_bytes(loc);
        let slack = match header.slack {
            SLACK_IN_TAIL => self.word(at + chunk - 4) as usize,
            slack => usize::from(slack),
        };
        chunk - header.value_at() - slack
    }

    /// Bytes the item asked for: header, extras, key and value, and the links of its continuations.
    pub fn item_bytes(&self, loc: Loc) -> usize {
        let (header, value_len) = (self.header(loc), self.value_len(loc));
        let links = if header.is(state::CHAINED) {
            LINKS_BYTES * self.continuations(header.value_at(), value_len)
        } else {
            0
        };
        header.value_at() + value_len + links
    }

    /// Writes everything of a new, unlinked item but its value: header, extras, key, slack. The chunk has at
    /// least [`Slab::head_bytes`].
    pub fn write_head(&mut self, loc: Loc, key: &[u8], flags: u32, expires_s: u32, value_len: usize) {
        let (at, chunk) = (self.arena.offset(loc), self.chunk_bytes(loc));
        let need = fixed_bytes(key.len(), flags) + value_len;
        let chained = need > self.chunk_max();
        let slack = if chained { 0 } else { chunk - need };
        let bits = state::UPLOADING
            | if flags != 0 { state::HAS_FLAGS } else { 0 }
            | if chained { state::CHAINED } else { 0 };
        let slack_byte = u8::try_from(slack).unwrap_or(SLACK_IN_TAIL);
        let header = Header::new(key.len(), slack_byte, expires_s, bits);
        *self.header_mut(loc) = header;
        if slack_byte == SLACK_IN_TAIL {
            self.set_word(at + chunk - 4, slack as u32);
        }
        if chained {
            self.set_word(at + CHAIN_AT, 0);
            self.set_word(at + CHAIN_AT + 4, value_len as u32);
        }
        if flags != 0 {
            self.set_word(at + header.key_at() - 4, flags);
        }
        self.arena.bytes_mut(at + header.key_at(), key.len()).copy_from_slice(key);
    }

    /// Bytes of the head of an item with such a value: the largest chunk when it is chained.
    pub fn head_bytes(&self, key_len: usize, flags: u32, value_len: usize) -> usize {
        (fixed_bytes(key_len, flags) + value_len).min(self.chunk_max())
    }

    /// The four bytes at an offset, which is a multiple of four.
    pub fn word(&self, at: usize) -> u32 {
        *self.arena.get(at)
    }

    /// Changes the four bytes at an offset, which is a multiple of four.
    pub fn set_word(&mut self, at: usize, word: u32) {
        *self.arena.get_mut(at) = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_their_kind_when_relinked() {
        for kind in [ChunkKind::Item, ChunkKind::Continuation, ChunkKind::Free] {
            let mut links = Links::new(kind, Loc::NONE, Loc::from_bits(7));
            assert_eq!(links.kind(), kind);
            links.set_next(Loc::from_bits(Loc::MASK));
            links.set_prev(Loc::from_bits(9));
            assert_eq!(links.kind(), kind);
            assert_eq!((links.next().bits(), links.prev().bits()), (Loc::MASK, 9));
        }
    }

    #[test]
    fn cas_and_access_share_a_word() {
        let mut header = Header::new(3, 0, 9, state::MAIN | state::HAS_FLAGS);
        header.set_stamp(CAS_MASK, 5);
        header.set_access(ACCESS_MASK + 8);
        assert_eq!((header.cas(), header.access()), (CAS_MASK, 7));
        assert_eq!((header.key_at(), header.value_at()), (28, 31));
        header.set_freq(9);
        assert_eq!((header.freq(), header.is(state::MAIN)), (3, true));
    }
}
