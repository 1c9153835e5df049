//! The binary protocol: 24-byte headers, big-endian, as memcached 1.6.45 speaks it.
//!
//! `request.rs` reads requests, [`reply`] writes answers, and what both need is here: the opcodes, the [`Tag`] that ties an
//! answer to its request, and the [`Status`] of an answer. A connection reads like this:
//!
//! 1. [`frame`] finds a request at the start of what has been received and turns it into a [`BinaryCommand`] that
//!    borrows from it,
//! 2. `value_len` bytes of value follow the `used` bytes of some requests; the caller takes them, nothing ends them,
//! 3. unless [`Tag::suppresses`] the outcome, a function of [`reply`] writes it.
//!
//! # Where this differs from memcached, and why
//!
//! * **An unknown opcode is swallowed whole.** memcached drops as many bytes again as the request had key and extras, so
//!   what follows is lost.
//! * **A value where none belongs is refused** (`Invalid arguments`, close) in TOUCH, the GAT family and STAT too. memcached
//!   leaves it in the stream and reads it as the next request.
//! * **What the header alone makes wrong is refused at once.** memcached first waits for the key, which may be 64 KiB.
//! * **A first byte that is not the magic closes at once**, where memcached waits for 24 bytes.
//! * **The data of a SASL request has a limit**, [`SASL_DATA_LEN_MAX`]; memcached's is what one chunk of memory holds.

mod request;

pub mod reply;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use request::{
    BODY_LEN_MAX, BinaryAuth, BinaryCommand, BinaryFrame, BinaryLimits, BinaryRequest, BinaryVerb,
    SASL_DATA_LEN_MAX, SASL_MECHANISM_LEN_MAX, Then, frame,
};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first byte of every request. A connection whose first byte this is speaks the binary protocol; no command of the
/// text protocol starts with it.
pub const MAGIC_REQUEST: u8 = 0x80;

/// Bytes of the header of a request and of an answer.
pub const HEADER_LEN: usize = 24;

/// The requests. A name in `Q` is the quiet form of the name before it.
#[rustfmt::skip]
#[allow(missing_docs, reason = "memcached's words")]
pub mod opcode {
    pub const GET: u8 = 0x00;
    pub const SET: u8 = 0x01;
    pub const ADD: u8 = 0x02;
    pub const REPLACE: u8 = 0x03;
    pub const DELETE: u8 = 0x04;
    pub const INCREMENT: u8 = 0x05;
    pub const DECREMENT: u8 = 0x06;
    pub const QUIT: u8 = 0x07;
    pub const FLUSH: u8 = 0x08;
    pub const GETQ: u8 = 0x09;
    pub const NOOP: u8 = 0x0a;
    pub const VERSION: u8 = 0x0b;
    pub const GETK: u8 = 0x0c;
    pub const GETKQ: u8 = 0x0d;
    pub const APPEND: u8 = 0x0e;
    pub const PREPEND: u8 = 0x0f;
    pub const STAT: u8 = 0x10;
    pub const SETQ: u8 = 0x11;
    pub const ADDQ: u8 = 0x12;
    pub const REPLACEQ: u8 = 0x13;
    pub const DELETEQ: u8 = 0x14;
    pub const INCREMENTQ: u8 = 0x15;
    pub const DECREMENTQ: u8 = 0x16;
    pub const QUITQ: u8 = 0x17;
    pub const FLUSHQ: u8 = 0x18;
    pub const APPENDQ: u8 = 0x19;
    pub const PREPENDQ: u8 = 0x1a;
    pub const TOUCH: u8 = 0x1c;
    pub const GAT: u8 = 0x1d;
    pub const GATQ: u8 = 0x1e;
    pub const SASL_LIST_MECHS: u8 = 0x20;
    pub const SASL_AUTH: u8 = 0x21;
    pub const SASL_STEP: u8 = 0x22;
    pub const GATK: u8 = 0x23;
    pub const GATKQ: u8 = 0x24;
}

/// What an answer repeats of its request. Plain bytes, so that it can travel with the request to another shard and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tag {
    /// As sent, the quiet form included.
    pub opcode: u8,
    /// The client's own, as sent: the server never reads it as a number.
    pub opaque: [u8; 4],
}

impl Tag {
    /// Whether the request is a quiet form. Those answer only what their sender could not have assumed: the retrievals
    /// (GETQ GETKQ GATQ GATKQ) leave out a miss, SETQ ADDQ REPLACEQ APPENDQ PREPENDQ DELETEQ INCREMENTQ DECREMENTQ
    /// FLUSHQ QUITQ a success. A client ends a batch of them with a NOOP, whose answer says that all are through.
    #[inline]
    pub fn is_quiet(self) -> bool {
        use opcode::{GATKQ, GATQ, GETKQ, GETQ, PREPENDQ, SETQ};
        matches!(self.opcode, GETQ | GETKQ | SETQ..=PREPENDQ | GATQ | GATKQ)
    }

    /// Whether an answer of `status` is left out, because the request is quiet about it.
    #[inline]
    pub fn suppresses(self, status: Status) -> bool {
        use opcode::{GATKQ, GATQ, GETKQ, GETQ};
        match self.opcode {
            GETQ | GETKQ | GATQ | GATKQ => status == Status::NotFound,
            _ => status == Status::Ok && self.is_quiet(),
        }
    }

    /// Whether answers carry the key, a miss included: GETK, GATK and their quiet forms.
    #[inline]
    pub fn carries_key(self) -> bool {
        matches!(self.opcode, opcode::GETK | opcode::GETKQ | opcode::GATK | opcode::GATKQ)
    }
}

/// How a request ended, as its answer says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Done.
    Ok = 0x00,
    /// No such key; of STAT, no such report.
    NotFound = 0x01,
    /// The key exists already (ADD), or with another CAS than the one sent.
    Exists = 0x02,
    /// The value is over the item limit.
    TooLarge = 0x03,
    /// The request contradicts itself or its opcode.
    Invalid = 0x04,
    /// APPEND or PREPEND to nothing, or beyond the item limit.
    NotStored = 0x05,
    /// INCREMENT or DECREMENT of something that is no number.
    NonNumeric = 0x06,
    /// Wrong user or password, not authenticated yet, or FLUSH where it is not allowed.
    AuthError = 0x20,
    /// The mechanism wants another step.
    AuthContinue = 0x21,
    /// No such opcode, or lengths that cannot be.
    UnknownCommand = 0x81,
    /// No memory for the item.
    OutOfMemory = 0x82,
}

impl Status {
    /// The body of an answer of this status to `tag`. An [`Ok`](Status::Ok) has none of its own; the body of an
    /// [`AuthContinue`](Status::AuthContinue) is the mechanism's.
    pub fn text(self, tag: Tag) -> &'static [u8] {
        use opcode::{ADD, ADDQ, APPEND, APPENDQ, PREPEND, PREPENDQ, REPLACE, REPLACEQ, SET, SETQ};
        use opcode::{DECREMENT, DECREMENTQ, INCREMENT, INCREMENTQ};
        match self {
            Status::Ok | Status::AuthContinue => b"",
            Status::NotFound => b"Not found",
            Status::Exists => b"Data exists for key.",
            Status::TooLarge => b"Too large.",
            Status::Invalid => b"Invalid arguments",
            Status::NotStored => b"Not stored.",
            Status::NonNumeric => b"Non-numeric server-side value for incr or decr",
            Status::AuthError => b"Auth failure.",
            Status::UnknownCommand => b"Unknown command",
            Status::OutOfMemory => match tag.opcode {
                SET | ADD | REPLACE | APPEND | PREPEND | SETQ | ADDQ | REPLACEQ | APPENDQ | PREPENDQ => {
                    b"Out of memory allocating item"
                }
                INCREMENT | DECREMENT | INCREMENTQ | DECREMENTQ => b"Out of memory incrementing value",
                _ => b"Out of memory",
            },
        }
    }
}
