//! Requests as bytes, and what the bytes of an answer say. A request is written straight into a connection's send buffer;
//! an answer is read head by head ([`Answer`]), its values by [`crate::content::Check`].
//!
//! | | get | get of several keys | set |
//! |---|---|---|---|
//! | classic | `get k` | `get k k k` | `set` |
//! | meta | `mg k v` | `mg k k v q` each, then `mn` | `ms` |
//! | binary | GET | GETKQ each, then NOOP | SET |

mod binary;
mod text;

use std::collections::vec_deque;

use anyhow::{Result, bail};

use crate::content;
use crate::keys::Keys;

/// Longest head of an answer: a line with a key, or a packet without its value.
pub const HEAD_MAX: usize = 512;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The classic text commands.
    Classic,
    /// The meta commands.
    Meta,
    /// The binary protocol.
    Binary,
    /// The classic text commands in datagrams.
    Udp,
}

/// The head of an answer, or one that is a head only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// More bytes are needed.
    Partial,
    /// A value of `value_len` bytes follows the `head_len` bytes, then the `trailer`; `key` is the number of its key, if the
    /// answer names it. `is_last`: then the request has been answered.
    #[allow(missing_docs, reason = "the sentence above")]
    Value { head_len: usize, key: Option<u32>, value_len: usize, trailer: &'static [u8], is_last: bool },
    /// These bytes end the answer to a get: what has not come is not there.
    End(usize),
    /// These bytes say that a value has been stored.
    Stored(usize),
    /// These bytes say that the server would not do it.
    Refused(usize),
}

impl Protocol {
    /// Appends a get of the keys with these numbers, at least one.
    #[inline]
    pub fn get(self, keys: &Keys, ids: vec_deque::Iter<'_, u32>, out: &mut Vec<u8>) {
        match self {
            Protocol::Classic | Protocol::Udp => text::classic_get(keys, ids, out),
            Protocol::Meta => text::meta_get(keys, ids, out),
            Protocol::Binary => binary::get(keys, ids, out),
        }
    }

    /// Appends a set of key `id` to the value `version` of `len` bytes.
    #[inline]
    pub fn set(self, keys: &Keys, id: u32, version: u32, len: u32, out: &mut Vec<u8>) {
        match self {
            Protocol::Classic | Protocol::Udp => text::set(b"set ", b" 0 0 ", keys, id, len, out),
            Protocol::Meta => text::set(b"ms ", b" ", keys, id, len, out),
            Protocol::Binary => binary::set(keys, id, len, out),
        }
        content::append(id, version, len as usize, out);
        if self != Protocol::Binary {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Reads the head at the beginning of `input`.
    ///
    /// # Errors
    /// An answer that no request of ours has.
    #[inline]
    pub fn answer(self, keys: &Keys, input: &[u8]) -> Result<Answer> {
        let answer = match self {
            Protocol::Classic | Protocol::Udp => text::classic_answer(keys, input)?,
            Protocol::Meta => text::meta_answer(keys, input)?,
            Protocol::Binary => binary::answer(keys, input)?,
        };
        if answer == Answer::Partial && input.len() >= HEAD_MAX {
            bail!("unexpected answer: {}", shown(input));
        }
        Ok(answer)
    }
}

/// The beginning of an answer, for people.
pub fn shown(input: &[u8]) -> String {
    const SHOWN: usize = 60;
    format!("'{}'", input[..input.len().min(SHOWN)].escape_ascii())
}
