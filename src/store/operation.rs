//! What is asked of a store and what it answers: the words `read`, `write` and `arith` speak, of any protocol.
//!
//! The meanings are memcached's (1.6, `proto_text.c` and `memcached.c`: the meta commands), expiry times
//! apart: they are seconds of the shard's clock, and 0 is "never".

use super::arena::Loc;

/// A key with its hash by the store's hasher.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// 1 to [`KEY_LEN_MAX`](super::KEY_LEN_MAX) bytes of any content.
    pub bytes: &'a [u8],
    /// `Hasher::hash` of the bytes.
    pub hash: u64,
}

/// An item that was found. Valid until the next call that takes the store mutably, except `pin`, `note_read`,
/// `note_touch`, `set_expiry` and `take_win`; keeping it longer is an error of the caller: it then names some
/// other item or none, and using it may panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub(super) loc: Loc,
}

/// Why a lookup found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No such key.
    Absent,
    /// There was one, its time was up.
    Expired,
    /// There was one, a flush killed it.
    Flushed,
}

/// Over what, and how, a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Over anything or nothing.
    Set,
    /// Only if the key is missing.
    Add,
    /// Only if the key is there.
    Replace,
    /// Behind the value that is there.
    Append,
    /// Before the value that is there.
    Prepend,
}

/// A value to be stored, apart from key and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Over what, and how.
    pub mode: Mode,
    /// The client flags. Append and Prepend keep those of the item they extend.
    pub flags: u32,
    /// Last second at which the item is alive; 0: for ever. Append and Prepend keep that of the item they
    /// extend.
    pub expires_s: u32,
    /// Store only over the item with this CAS number: else [`Refusal::Exists`], or for a missing key
    /// [`Refusal::NotFound`] ([`Refusal::NotStored`] with Append and Prepend). 0 matches no item. Add pays no
    /// attention to it.
    pub compare: Option<u64>,
    /// A `compare` that is lower than the item's CAS number stores too (not with Append and Prepend): the
    /// value is late, so the new item is stale, and keeps the old one's expiry time and win mark.
    pub invalidate: bool,
    /// The CAS number the item gets; None: the store's next.
    pub cas: Option<u64>,
    /// The new item is stale. (Never what Append and Prepend made of an item that was there.)
    pub stale: bool,
    /// The client wrote the key in base64, and gets it back so. (As `stale`, not for what was extended.)
    pub binary_key: bool,
    /// Append and Prepend store a missing key's value as Set does, with this expiry time.
    pub vivify_s: Option<u32>,
}

impl Write {
    /// An unconditional write in one mode.
    pub fn new(mode: Mode, flags: u32, expires_s: u32) -> Write {
        Write {
            mode,
            flags,
            expires_s,
            compare: None,
            invalidate: false,
            cas: None,
            stale: false,
            binary_key: false,
            vivify_s: None,
        }
    }
}

/// Why a value was not stored, or an item not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The mode's condition failed; for Append and Prepend also: the result is too large or there is no
    /// memory.
    NotStored,
    /// The CAS number is another one.
    Exists,
    /// No such key.
    NotFound,
    /// Larger than `item_size_max` by memcached's count, so that the largest value accepted is the same: 48
    /// bytes, 8 for CAS unless it is off, the key and 1, 4 for flags unless they are 0, the value and 2. Also
    /// a key that leaves less than 49 bytes of the largest chunk (a quarter of a page, 64 KiB at most). A Set
    /// without `compare` has deleted the old item.
    TooLarge,
    /// No memory to be had. A Set without `compare` has deleted the old item.
    NoMemory,
}

/// A change of a decimal number.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    /// By how much.
    pub delta: u64,
    /// Up, modulo 2^64; else down, not below 0.
    pub increment: bool,
    /// Change only the item with this CAS number.
    pub compare: Option<u64>,
    /// The CAS number the item gets; None: the store's next.
    pub cas: Option<u64>,
    /// The expiry time the item gets; None: it keeps its own.
    pub expires_s: Option<u32>,
}

impl Arithmetic {
    /// A change without conditions.
    pub fn new(delta: u64, increment: bool) -> Arithmetic {
        Arithmetic { delta, increment, compare: None, cas: None, expires_s: None }
    }
}

/// Why a number was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithRefusal {
    /// No such key.
    NotFound,
    /// The CAS number is another one.
    Exists,
    /// The value is not a decimal number below 2^64.
    NonNumeric,
    /// The item needs more room and there is no memory for it.
    NoMemory,
}
