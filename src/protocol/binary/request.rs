//! Reading one request: the header, then its extras and its key; the value, if any, stays with the caller.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | magic, 0x80 |
//! | 1 | opcode |
//! | 2 | length of the key |
//! | 1 | length of the extras |
//! | 1 + 2 | data type and vbucket, ignored |
//! | 4 | length of the body: extras, key and value together |
//! | 4 | opaque, repeated in the answer |
//! | 8 | CAS; 0 is none |
//!
//! Every length may lie. The header is judged before anything is waited for, so at most [`HEADER_LEN`] bytes, 255 of
//! extras and a key within the limit are ever buffered to read a request.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{HEADER_LEN, MAGIC_REQUEST, Status, Tag, opcode};
use crate::protocol::exptime::Exptime;

/// The largest body a request may announce, in bytes: the most `-I` may be set to.
pub const BODY_LEN_MAX: u32 = 1 << 30;

/// The longest name of a SASL mechanism, in bytes.
pub const SASL_MECHANISM_LEN_MAX: usize = 32;

/// The most data a SASL request may bring, in bytes. PLAIN needs 767: three names of at most 255 (RFC 4616) and two NULs.
pub const SASL_DATA_LEN_MAX: u32 = 1024;

/// In INCREMENT and DECREMENT: do not create what is missing.
const DO_NOT_CREATE: u32 = u32::MAX;

/// Where a connection stands with authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryAuth {
    /// Nobody is asked (no `-S`): the SASL requests are unknown.
    Off,
    /// Not yet given: only VERSION and the SASL requests are answered, anything else closes.
    Required,
    /// Given.
    Given,
}

/// What a server's settings, and the connection's state, mean to the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryLimits {
    /// The longest key, in bytes.
    pub key_len_max: usize,
    /// Whether FLUSH is allowed (not with `-F`).
    pub flush_allowed: bool,
    /// Where the connection stands.
    pub auth: BinaryAuth,
}

impl Default for BinaryLimits {
    fn default() -> Self {
        Self { key_len_max: 250, flush_allowed: true, auth: BinaryAuth::Off }
    }
}

/// What stands at the start of the received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryFrame<'a> {
    /// Not all of header, extras and key are here.
    Incomplete {
        /// Bytes that must be here, counted from the start of the request, before more can be said.
        needed: usize,
    },
    /// A request; its value may still be on its way.
    Request(BinaryRequest<'a>),
    /// A request that is wrong: answer it with `status`, quiet or not.
    Refuse {
        /// Of the request.
        tag: Tag,
        /// Never [`Status::Ok`].
        status: Status,
        /// What becomes of the connection.
        then: Then,
    },
    /// Not the binary protocol: close without an answer.
    Close,
}

/// What follows a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Close when the answer is out: where the next request starts is not known.
    Close,
    /// Drop this many bytes, counted from the start of the refused request, and go on behind them. Not all of them
    /// need be here yet.
    Skip(u64),
}

/// A request, its value still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryRequest<'a> {
    /// For the answer.
    pub tag: Tag,
    /// What is asked for.
    pub command: BinaryCommand<'a>,
    /// Bytes of input that header, extras and key take.
    pub used: usize,
    /// Bytes of value that follow them; 0 for a command that takes none, at most [`BODY_LEN_MAX`].
    pub value_len: u32,
}

/// What a storage request does with the value it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "memcached's words")]
pub enum BinaryVerb {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
}

/// What a request asks for, whether quietly is the tag's to say. A `key` is at least one byte and within the limit. A `cas`
/// that is not 0 is the CAS the item must have, else [`Status::Exists`]. An expiration time is unsigned here, so none
/// is over already: 0xffffffff is a day in 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryCommand<'a> {
    /// GET, GETK and their quiet forms.
    Get {
        /// Whose value.
        key: &'a [u8],
    },
    /// GAT, GATK and their quiet forms.
    Gat {
        /// Whose value.
        key: &'a [u8],
        /// The item's from now on.
        exptime: Exptime,
    },
    /// TOUCH. Its answer carries the flags.
    Touch {
        /// Whose time.
        key: &'a [u8],
        /// The item's from now on.
        exptime: Exptime,
    },
    /// SET, ADD, REPLACE, APPEND, PREPEND and their quiet forms. The value follows.
    Store {
        /// What to do with the value.
        verb: BinaryVerb,
        /// Where to.
        key: &'a [u8],
        /// The client's own, kept with the item; 0 and unused in an append or prepend.
        flags: u32,
        /// Of the item; never and unused in an append or prepend.
        exptime: Exptime,
        /// If not 0, a set, add or replace stores only over the item of this CAS, whichever of the three it is, and
        /// finds nothing ([`Status::NotFound`]) where there is none.
        cas: u64,
    },
    /// DELETE and its quiet form.
    Delete {
        /// Which.
        key: &'a [u8],
        /// See above.
        cas: u64,
    },
    /// INCREMENT, DECREMENT and their quiet forms.
    Arith {
        /// Which.
        key: &'a [u8],
        /// Up, wrapping at 2^64, or else down, stopping at 0.
        increment: bool,
        /// By how much.
        delta: u64,
        /// What to store where nothing is; `None` is [`Status::NotFound`] then.
        initial: Option<u64>,
        /// Of what is stored where nothing was; an item that is there keeps its own.
        exptime: Exptime,
        /// See above; of no effect where nothing is.
        cas: u64,
    },
    /// FLUSH and its quiet form.
    Flush {
        /// When; 0, also if absent, is at once.
        exptime: Exptime,
    },
    /// NOOP: answer, and let nothing wait behind the answer.
    Noop,
    /// VERSION.
    Version,
    /// QUIT: answer and close; QUITQ: close.
    Quit,
    /// STAT.
    Stat {
        /// The name of the report, with its arguments; empty is the general one.
        key: &'a [u8],
    },
    /// SASL LIST MECHS.
    SaslMechs,
    /// SASL AUTH. Its data follows as a value of at most [`SASL_DATA_LEN_MAX`] bytes.
    SaslAuth {
        /// Its name, at most [`SASL_MECHANISM_LEN_MAX`] bytes.
        mechanism: &'a [u8],
    },
    /// SASL STEP, like SASL AUTH.
    SaslStep {
        /// As in the SASL AUTH before it.
        mechanism: &'a [u8],
    },
}

/// The first bytes of a request, as received.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    magic: u8,
    opcode: u8,
    key_len: U16,
    extras_len: u8,
    data_type: u8,
    vbucket: U16,
    body_len: U32,
    opaque: [u8; 4],
    cas: U64,
}

/// The extras of SET, ADD, REPLACE.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StoreExtras {
    flags: U32,
    exptime: U32,
}

/// The extras of INCREMENT, DECREMENT.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ArithExtras {
    delta: U64,
    initial: U64,
    exptime: U32,
}

/// Reads the request at the start of `input`.
#[inline]
pub fn frame<'a>(input: &'a [u8], limits: &BinaryLimits) -> BinaryFrame<'a> {
    if input.first().is_some_and(|&magic| magic != MAGIC_REQUEST) {
        return BinaryFrame::Close;
    }
    let Ok((header, rest)) = Header::ref_from_prefix(input) else {
        return BinaryFrame::Incomplete { needed: HEADER_LEN };
    };
    if let Err((status, then)) = header.judge(limits) {
        return BinaryFrame::Refuse { tag: header.tag(), status, then };
    }
    let head_len = header.head_len();
    let used = HEADER_LEN + head_len as usize;
    let Some(head) = rest.get(..head_len as usize) else {
        return BinaryFrame::Incomplete { needed: used };
    };
    let (extras, key) = head.split_at(usize::from(header.extras_len));
    let value_len = header.body_len.get() - head_len;
    match header.command(extras, key, value_len > 0) {
        Some(command) => match allow(&command, value_len, limits) {
            Ok(()) => BinaryFrame::Request(BinaryRequest { tag: header.tag(), command, used, value_len }),
            Err(status) => {
                BinaryFrame::Refuse { tag: header.tag(), status, then: Then::Skip(header.whole_len()) }
            }
        },
        None => BinaryFrame::Refuse { tag: header.tag(), status: Status::Invalid, then: Then::Close },
    }
}

impl Header {
    fn tag(&self) -> Tag {
        Tag { opcode: self.opcode, opaque: self.opaque }
    }

    /// Extras and key, in bytes.
    fn head_len(&self) -> u32 {
        u32::from(self.extras_len) + u32::from(self.key_len.get())
    }

    /// The whole request, in bytes.
    fn whole_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.body_len.get())
    }

    /// What can be refused before extras and key are here, in the order in which memcached looks.
    #[inline]
    fn judge(&self, limits: &BinaryLimits) -> Result<(), (Status, Then)> {
        if self.head_len() > self.body_len.get() {
            Err((Status::UnknownCommand, Then::Close))
        } else if self.body_len.get() > BODY_LEN_MAX {
            Err((Status::Invalid, Then::Close))
        } else if limits.auth == BinaryAuth::Required && !self.allowed_to_strangers() {
            Err((Status::AuthError, Then::Close))
        } else if usize::from(self.key_len.get()) > limits.key_len_max {
            Err((Status::Invalid, Then::Close))
        } else if !self.is_known() {
            Err((Status::UnknownCommand, Then::Skip(self.whole_len())))
        } else {
            Ok(())
        }
    }

    fn allowed_to_strangers(&self) -> bool {
        use opcode::{SASL_AUTH, SASL_LIST_MECHS, SASL_STEP, VERSION};
        matches!(self.opcode, VERSION | SASL_LIST_MECHS | SASL_AUTH | SASL_STEP)
    }

    fn is_known(&self) -> bool {
        use opcode::{GATKQ, GATQ, GET, PREPENDQ, SASL_LIST_MECHS, TOUCH};
        matches!(self.opcode, GET..=PREPENDQ | TOUCH..=GATQ | SASL_LIST_MECHS..=GATKQ)
    }

    /// What is asked for; `None` if extras, key or value are not what the opcode has.
    #[inline]
    fn command<'a>(&self, extras: &'a [u8], key: &'a [u8], has_value: bool) -> Option<BinaryCommand<'a>> {
        use opcode::*;
        let cas = self.cas.get();
        let takes_value = matches!(
            self.opcode,
            SET..=REPLACE | SETQ..=REPLACEQ | APPEND | PREPEND | APPENDQ | PREPENDQ | SASL_AUTH | SASL_STEP
        );
        if has_value && !takes_value {
            return None;
        }
        let (keyed, no_extras) = (!key.is_empty(), extras.is_empty());
        match self.opcode {
            GET | GETQ | GETK | GETKQ if keyed && no_extras => Some(BinaryCommand::Get { key }),
            GAT | GATQ | GATK | GATKQ if keyed => {
                Some(BinaryCommand::Gat { key, exptime: read_exptime(extras)? })
            }
            TOUCH if keyed => Some(BinaryCommand::Touch { key, exptime: read_exptime(extras)? }),
            SET | SETQ if keyed => store(BinaryVerb::Set, key, extras, cas),
            ADD | ADDQ if keyed => store(BinaryVerb::Add, key, extras, cas),
            REPLACE | REPLACEQ if keyed => store(BinaryVerb::Replace, key, extras, cas),
            APPEND | APPENDQ if keyed && no_extras => Some(extend(BinaryVerb::Append, key, cas)),
            PREPEND | PREPENDQ if keyed && no_extras => Some(extend(BinaryVerb::Prepend, key, cas)),
            DELETE | DELETEQ if keyed && no_extras => Some(BinaryCommand::Delete { key, cas }),
            INCREMENT | INCREMENTQ if keyed => arith(true, key, extras, cas),
            DECREMENT | DECREMENTQ if keyed => arith(false, key, extras, cas),
            FLUSH | FLUSHQ if !keyed && no_extras => Some(BinaryCommand::Flush { exptime: Exptime(0) }),
            FLUSH | FLUSHQ if !keyed => Some(BinaryCommand::Flush { exptime: read_exptime(extras)? }),
            STAT if no_extras => Some(BinaryCommand::Stat { key }),
            SASL_AUTH if keyed && no_extras => Some(BinaryCommand::SaslAuth { mechanism: key }),
            SASL_STEP if keyed && no_extras => Some(BinaryCommand::SaslStep { mechanism: key }),
            NOOP if !keyed && no_extras => Some(BinaryCommand::Noop),
            VERSION if !keyed && no_extras => Some(BinaryCommand::Version),
            QUIT | QUITQ if !keyed && no_extras => Some(BinaryCommand::Quit),
            SASL_LIST_MECHS if !keyed && no_extras => Some(BinaryCommand::SaslMechs),
            _ => None,
        }
    }
}

/// Whether a well-formed command is one this server obeys; if not, why. The connection goes on either way.
#[inline]
fn allow(command: &BinaryCommand<'_>, value_len: u32, limits: &BinaryLimits) -> Result<(), Status> {
    use BinaryCommand::{Flush, SaslAuth, SaslMechs, SaslStep};
    match command {
        Flush { .. } if !limits.flush_allowed => Err(Status::AuthError),
        SaslMechs | SaslAuth { .. } | SaslStep { .. } if limits.auth == BinaryAuth::Off => {
            Err(Status::UnknownCommand)
        }
        SaslAuth { mechanism } | SaslStep { mechanism } if mechanism.len() > SASL_MECHANISM_LEN_MAX => {
            Err(Status::Invalid)
        }
        SaslAuth { .. } | SaslStep { .. } if value_len > SASL_DATA_LEN_MAX => Err(Status::OutOfMemory),
        _ => Ok(()),
    }
}

/// The extras of TOUCH, the GAT family and FLUSH: a time, and nothing else.
#[inline]
fn read_exptime(extras: &[u8]) -> Option<Exptime> {
    Some(exptime(U32::read_from_bytes(extras).ok()?))
}

#[inline]
fn exptime(seconds: U32) -> Exptime {
    Exptime(i64::from(seconds.get()))
}

#[inline]
fn store<'a>(verb: BinaryVerb, key: &'a [u8], extras: &[u8], cas: u64) -> Option<BinaryCommand<'a>> {
    let extras = StoreExtras::ref_from_bytes(extras).ok()?;
    Some(BinaryCommand::Store { verb, key, flags: extras.flags.get(), exptime: exptime(extras.exptime), cas })
}

/// An append or prepend, which leaves flags and time of the item as they are.
#[inline]
fn extend(verb: BinaryVerb, key: &[u8], cas: u64) -> BinaryCommand<'_> {
    BinaryCommand::Store { verb, key, flags: 0, exptime: Exptime(0), cas }
}

#[inline]
fn arith<'a>(increment: bool, key: &'a [u8], extras: &[u8], cas: u64) -> Option<BinaryCommand<'a>> {
    let extras = ArithExtras::ref_from_bytes(extras).ok()?;
    let creates = extras.exptime.get() != DO_NOT_CREATE;
    Some(BinaryCommand::Arith {
        key,
        increment,
        delta: extras.delta.get(),
        initial: creates.then_some(extras.initial.get()),
        exptime: exptime(extras.exptime),
        cas,
    })
}
