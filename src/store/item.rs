//! The bytes of an item: a 24-byte header, extras, key, value.
//!
//! ```text
//! | header 24 | chain u32 + u32 | CAS number u64 | key length u32 | client flags u32 | key | value | slack |
//!               when CHAINED      when GIVEN_CAS   when over 254    when not 0
//! ```
//! The chain extra is the first continuation and the value's length. The CAS extra is the number clients see
//! when it came from outside; the header's own number still tells the order of stores.
//!
//! The value length is stored only for chained items; otherwise it is what the chunk has left after the other
//! parts and the slack, the unused bytes at the chunk's end. A slack of 255 or more leaves room to store
//! itself: the header then says [`SLACK_IN_TAIL`] and the chunk's last four bytes hold the number.
//!
//! Every chunk of a slab page, used or free, starts with [`Links`]; their two top bits say what the chunk is.

use super::arena::Loc;
use super::slab::Slab;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Longest key in bytes; shorter where the largest chunk is too small for it, see `Refusal::TooLarge`.
pub const KEY_LEN_MAX: usize = 65_535;

/// Bytes of the header.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// Bytes at the start of a continuation chunk, before its share of the value.
pub const LINKS_BYTES: usize = size_of::<Links>();

/// Where the chain extra (first continuation, value length) of a chained item lies.
pub const CHAIN_AT: usize = HEADER_BYTES;

const CHAIN_BYTES: usize = 8;
const CAS_BYTES: usize = 8;
const KEY_LEN_BYTES: usize = 4;
const FLAGS_BYTES: usize = 4;

/// Bytes of all extras together.
pub const EXTRAS_MAX: usize = CHAIN_BYTES + CAS_BYTES + KEY_LEN_BYTES + FLAGS_BYTES;

/// The value of `Header::key_len` that sends the reader to the extra.
const KEY_LEN_IN_EXTRA: u8 = 255;

/// The value of `Header::slack` that sends the reader to the chunk's last four bytes.
pub const SLACK_IN_TAIL: u8 = 255;

/// The bits of a CAS number.
pub const CAS_MASK: u64 = (1 << 40) - 1;

/// The bits of the time of last access.
pub const ACCESS_MASK: u32 = (1 << 24) - 1;

/// The bits of `Header::state`. Bits 13 to 15 are free.
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
    /// Invalidated: still served, but whoever reads it learns that it is outdated.
    pub const STALE: u16 = 1 << 9;
    /// A reader was told to store a new value; the others are told that one was.
    pub const WIN_SENT: u16 = 1 << 10;
    /// Stored under a key that the client wrote in base64.
    pub const BINARY_KEY: u16 = 1 << 11;
    /// The CAS number came from outside and is stored as an extra.
    pub const GIVEN_CAS: u16 = 1 << 12;
    /// What readers and clients have marked: kept when only the item's form changes.
    pub const MARKS: u16 = FETCHED | STALE | WIN_SENT | BINARY_KEY;
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
    /// Number of its store in the high 40 bits (its CAS number, unless that was given), second of last access modulo 2^24 in the low 24.
    stamp: u64,
    /// Last second of the shard clock at which it is alive; 0: for ever.
    pub expires_s: u32,
    /// Bytes of the key; see [`KEY_LEN_IN_EXTRA`].
    key_len: u8,
    /// Unused bytes at the chunk's end; see [`SLACK_IN_TAIL`].
    pub slack: u8,
    /// See [`state`].
    pub state: u16,
}

const _: () = assert!(size_of::<Header>() == 24 && align_of::<Header>() == 8);

impl Header {
    /// The number of its store; 0 until it is linked.
    pub fn number(&self) -> u64 {
        self.stamp >> 24
    }

    /// Sets number and time of last access.
    pub fn set_stamp(&mut self, number: u64, access_s: u32) {
        self.stamp = (number & CAS_MASK) << 24 | u64::from(access_s & ACCESS_MASK);
    }

    /// Second of last access modulo 2^24.
    pub fn access(&self) -> u32 {
        self.stamp as u32 & ACCESS_MASK
    }

    /// Sets the time of last access; writes only when it changes.
    pub fn set_access(&mut self, access_s: u32) {
        if self.access() != access_s & ACCESS_MASK {
            self.set_stamp(self.number(), access_s);
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
    #[inline]
    pub fn key_at(&self) -> usize {
        self.key_len_at()
            + if self.key_len == KEY_LEN_IN_EXTRA { KEY_LEN_BYTES } else { 0 }
            + if self.is(state::HAS_FLAGS) { FLAGS_BYTES } else { 0 }
    }

    /// Bytes from the chunk's start to the CAS extra.
    fn cas_at(&self) -> usize {
        HEADER_BYTES + if self.is(state::CHAINED) { CHAIN_BYTES } else { 0 }
    }

    /// Bytes from the chunk's start to the extra of the key's length.
    fn key_len_at(&self) -> usize {
        self.cas_at() + if self.is(state::GIVEN_CAS) { CAS_BYTES } else { 0 }
    }
}

/// All of a new item but its value.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The client flags.
    pub flags: u32,
    /// Last second at which it is alive; 0: for ever.
    pub expires_s: u32,
    /// The marks it is born with, bits of [`state`].
    pub marks: u16,
    /// Its CAS number if that comes from outside.
    pub cas: Option<u64>,
}

impl Head<'_> {
    /// The header of a new, unlinked item.
    fn header(&self, chained: bool, slack: u8) -> Header {
        let state = self.marks
            | state::UPLOADING
            | if chained { state::CHAINED } else { 0 }
            | if self.cas.is_some() { state::GIVEN_CAS } else { 0 }
            | if self.flags != 0 { state::HAS_FLAGS } else { 0 };
        let links = Links::new(ChunkKind::Item, Loc::NONE, Loc::NONE);
        let key_len = u8::try_from(self.key.len()).unwrap_or(KEY_LEN_IN_EXTRA);
        Header { links, stamp: 0, expires_s: self.expires_s, key_len, slack, state }
    }

    /// Bytes the item needs apart from its value when it fits one chunk.
    pub fn fixed_bytes(&self) -> usize {
        HEADER_BYTES
            + if self.cas.is_some() { CAS_BYTES } else { 0 }
            + if self.key.len() >= usize::from(KEY_LEN_IN_EXTRA) { KEY_LEN_BYTES } else { 0 }
            + if self.flags != 0 { FLAGS_BYTES } else { 0 }
            + self.key.len()
    }
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
        self.arena.bytes(self.arena.offset(loc) + self.header(loc).key_at(), self.key_len(loc))
    }

    #[inline]
    fn key_len(&self, loc: Loc) -> usize {
        let header = self.header(loc);
        match header.key_len {
            KEY_LEN_IN_EXTRA => self.word(self.arena.offset(loc) + header.key_len_at()) as usize,
            len => usize::from(len),
        }
    }

    /// Bytes from the chunk's start to the value.
    #[inline]
    pub fn value_at(&self, loc: Loc) -> usize {
        self.header(loc).key_at() + self.key_len(loc)
    }

    /// The CAS number as clients see it.
    pub fn cas(&self, loc: Loc) -> u64 {
        let header = self.header(loc);
        if header.is(state::GIVEN_CAS) {
            return *self.arena.get(self.arena.offset(loc) + header.cas_at());
        }
        header.number()
    }

    /// Changes the CAS extra of an item that has one.
    pub fn set_given_cas(&mut self, loc: Loc, cas: u64) {
        let at = self.arena.offset(loc) + self.header(loc).cas_at();
        *self.arena.get_mut(at) = cas;
    }

    /// The client flags.
    pub fn flags(&self, loc: Loc) -> u32 {
        let header = self.header(loc);
        if header.is(state::HAS_FLAGS) {
            self.word(self.arena.offset(loc) + header.key_at() - FLAGS_BYTES)
        } else {
            0
        }
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
        chunk - self.value_at(loc) - slack
    }

    /// Bytes the item asked for: header, extras, key and value, and the links of its continuations.
    pub fn item_bytes(&self, loc: Loc) -> usize {
        let (value_at, value_len) = (self.value_at(loc), self.value_len(loc));
        let links = if self.header(loc).is(state::CHAINED) {
            LINKS_BYTES * self.continuations(value_at, value_len)
        } else {
            0
        };
        value_at + value_len + links
    }

    /// Writes everything of a new, unlinked item but its value: header, extras, key, slack. The chunk has at
    /// least [`Slab::head_bytes`].
    pub fn write_head(&mut self, loc: Loc, head: &Head<'_>, value_len: usize) {
        let (at, chunk) = (self.arena.offset(loc), self.chunk_bytes(loc));
        let need = head.fixed_bytes() + value_len;
        let chained = need > self.chunk_max();
        let slack = if chained { 0 } else { chunk - need };
        let slack_byte = u8::try_from(slack).unwrap_or(SLACK_IN_TAIL);
        let header = head.header(chained, slack_byte);
        *self.header_mut(loc) = header;
        if slack_byte == SLACK_IN_TAIL {
            self.set_word(at + chunk - 4, slack as u32);
        }
        if chained {
            self.set_word(at + CHAIN_AT, 0);
            self.set_word(at + CHAIN_AT + 4, value_len as u32);
        }
        if let Some(cas) = head.cas {
            self.set_given_cas(loc, cas);
        }
        if header.key_len == KEY_LEN_IN_EXTRA {
            self.set_word(at + header.key_len_at(), head.key.len() as u32);
        }
        if head.flags != 0 {
            self.set_word(at + header.key_at() - FLAGS_BYTES, head.flags);
        }
        self.arena.bytes_mut(at + header.key_at(), head.key.len()).copy_from_slice(head.key);
    }

    /// Bytes of the head chunk of an item with such a value: the largest chunk when it is chained.
    pub fn head_bytes(&self, head: &Head<'_>, value_len: usize) -> usize {
        (head.fixed_bytes() + value_len).min(self.chunk_max())
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
    fn number_and_access_share_a_word() {
        let head = Head { key: b"key", flags: 1, expires_s: 9, marks: state::STALE, cas: None };
        let mut header = head.header(false, 0);
        header.set_stamp(CAS_MASK, 5);
        header.set_access(ACCESS_MASK + 8);
        assert_eq!((header.number(), header.access()), (CAS_MASK, 7));
        header.set_freq(9);
        assert_eq!((header.freq(), header.is(state::STALE)), (3, true));
    }

    #[test]
    fn extras_take_room_only_when_they_are_there() {
        let short = Head { key: &[b'k'; 254], flags: 0, expires_s: 0, marks: 0, cas: None };
        let long = Head { key: &[b'k'; 255], flags: 7, cas: Some(0), ..short };
        assert_eq!((short.header(false, 0).key_at(), short.fixed_bytes()), (24, 24 + 254));
        assert_eq!((long.header(false, 0).key_at(), long.fixed_bytes()), (24 + 16, 24 + 16 + 255));
        assert_eq!(long.header(true, 0).key_at(), HEADER_BYTES + EXTRAS_MAX);
    }
}
