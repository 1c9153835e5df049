//! `set`, `add`, `replace`, `append`, `prepend`, `cas`: `<verb> <key> <flags> <exptime> <bytes> [<cas>] [noreply]`, and
//! then that many bytes of data and CR LF, which the caller takes.
//!
//! Once the length of the data is understood an error is answered after the data is swallowed; before that the data
//! cannot be told from commands, and is read as such.

use super::classic::{Command, Limits, silence_if};
use super::exptime::Exptime;
use super::number::{parse_i64, parse_lenient_i64, parse_u64};
use super::reply::text;
use super::token::{Tokens, ends_in_noreply};

/// The largest data length a line may announce, in bytes. Far above any item's limit, which the store enforces.
pub const VALUE_LEN_MAX: u32 = i32::MAX as u32 - 2;

/// CR LF behind the data.
pub(super) const DATA_ENDING_LEN: u64 = 2;

/// When a storage command stores, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreVerb {
    /// Whatever is there.
    Set,
    /// Only where nothing is.
    Add,
    /// Only where something is.
    Replace,
    /// Behind the value that is there; its flags and expiration time stay.
    Append,
    /// Before the value that is there; its flags and expiration time stay.
    Prepend,
    /// Only over the value that has this CAS.
    Cas,
}

/// A storage command, its data still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreCommand<'a> {
    /// When to store, and what.
    pub verb: StoreVerb,
    /// Within the limit.
    pub key: &'a [u8],
    /// The client's own, kept with the item.
    pub flags: u32,
    /// As sent.
    pub exptime: Exptime,
    /// Bytes of data, without the CR LF behind them; at most [`VALUE_LEN_MAX`].
    pub len: u32,
    /// For [`StoreVerb::Cas`], else 0.
    pub cas: u64,
    /// Whether the outcome is left unanswered, errors included.
    pub noreply: bool,
}

/// Reads a storage command; `tokens` stands behind the verb.
#[inline]
pub(super) fn store<'a>(verb: StoreVerb, mut tokens: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let noreply = ends_in_noreply(tokens.rest());
    let (Some(key), Some(flags), Some(exptime), Some(len)) =
        (tokens.next(), tokens.next_short(), tokens.next_short(), tokens.next_short())
    else {
        return Command::Reply(text::BAD_FORMAT);
    };
    let Some(len) = parse_data_len(len) else {
        return Command::Reply(text::BAD_FORMAT);
    };
    let cas = if verb == StoreVerb::Cas { tokens.next_short().and_then(parse_u64) } else { Some(0) };
    let flags = parse_lenient_i64(flags).and_then(|flags| u32::try_from(flags).ok());
    match (flags, parse_lenient_i64(exptime), cas) {
        (Some(flags), Some(exptime), Some(cas)) if key.len() <= limits.key_len_max => {
            Command::Store(StoreCommand { verb, key, flags, exptime: Exptime(exptime), len, cas, noreply })
        }
        _ => Command::ReplyAndSkip {
            text: silence_if(noreply, text::BAD_FORMAT),
            skip: u64::from(len) + DATA_ENDING_LEN,
        },
    }
}

/// Reads the length of the data, in bytes.
#[inline]
pub(super) fn parse_data_len(text: &[u8]) -> Option<u32> {
    let len = u32::try_from(parse_i64(text)?).ok()?;
    (len <= VALUE_LEN_MAX).then_some(len)
}
