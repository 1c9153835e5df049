//! Requests as bytes and answers as what they mean, in the three protocols of TCP. An answer is read from a blocking stream; every byte of
//! a value is compared with what its key and version say ([`ringcached_load::content`]).
//!
//! | | classic | meta | binary |
//! |---|---|---|---|
//! | get | `gets k k k` | `mg k v k c q` each, then `mn` | GETKQ each, then NOOP |
//! | set | `set`, `cas` | `ms` with T, C | SET |
//! | number | `set`, `incr` | `ms`, `ma` | SET, INCREMENT |
//! | others | `delete`, `touch` | `md`, `mg k T` | DELETE, TOUCH |

mod binary;
mod classic;
mod meta;

use std::io::{BufRead, Read};

use anyhow::{Context, Result, bail};
use ringcached_load::content::{self, Check};
use ringcached_load::keys::Keys;

/// Longest line of an answer.
const LINE_MAX: u64 = 2048;
/// Piece in which a value is read.
const PIECE_BYTES: usize = 64 << 10;
/// Shortest value that names its version.
pub const VALUE_LEN_MIN: u32 = 8;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of memcached's protocols")]
pub enum Protocol {
    Classic,
    Meta,
    Binary,
}

/// All of them.
pub const PROTOCOLS: [Protocol; 3] = [Protocol::Classic, Protocol::Meta, Protocol::Binary];

/// A request. Keys are numbers of [`Keys`]; a lifetime of 0 s is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentence above")]
pub enum Request {
    Get {
        keys: Vec<u32>,
    },
    /// Stores value `version` of `len` bytes; `cas`: only in place of the item with this number. `quiet`: no answer, classic only.
    Set {
        key: u32,
        version: u32,
        len: u32,
        lifetime_s: u32,
        cas: Option<u64>,
        quiet: bool,
    },
    Delete {
        key: u32,
    },
    Touch {
        key: u32,
        lifetime_s: u32,
    },
    /// Stores a number that can be counted up.
    Number {
        key: u32,
        number: u64,
    },
    Count {
        key: u32,
        by: u64,
    },
}

/// A value that was found, all bytes of which are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `Request`")]
pub struct Found {
    pub key: u32,
    pub version: u32,
    pub cas: u64,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a get: what was found, in the order asked.
    Found(Vec<Found>),
    /// Stored, deleted, touched.
    Done,
    /// There is no such item.
    NotFound,
    /// The item has another CAS number.
    Exists,
    /// The number that was counted to.
    Number(u64),
    /// The server has no memory for it now.
    Refused,
}

impl Protocol {
    /// Appends `request`. One that is quiet must be classic.
    pub fn write(self, request: &Request, keys: &Keys, out: &mut Vec<u8>) {
        match self {
            Protocol::Classic => classic::write(request, keys, out),
            Protocol::Meta => meta::write(request, keys, out),
            Protocol::Binary => binary::write(request, keys, out),
        }
    }

    /// Reads the answer to `request`.
    ///
    /// # Errors
    /// A wrong value, an answer that does not fit the request, a connection that ends.
    pub fn read(self, request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
        match self {
            Protocol::Classic => classic::read(request, keys, from),
            Protocol::Meta => meta::read(request, keys, from),
            Protocol::Binary => binary::read(request, keys, from),
        }
    }

    /// A request without effect.
    pub fn greeting(self) -> Vec<u8> {
        match self {
            Protocol::Classic => b"version\r\n".to_vec(),
            Protocol::Meta => b"mn\r\n".to_vec(),
            Protocol::Binary => binary::noop(),
        }
    }

    /// Reads the answer to it; false if the server has too many connections.
    ///
    /// # Errors
    /// Another answer, or none.
    pub fn is_welcome(self, from: &mut impl BufRead) -> Result<bool> {
        if from.fill_buf()?.first() == Some(&b'E') {
            let line = line(from)?;
            return if line == "ERROR Too many open connections" { Ok(false) } else { bail!("{line}") };
        }
        match self {
            Protocol::Binary => binary::read_noop(from)?,
            _ => {
                let line = line(from)?;
                if line != "MN" && !line.starts_with("VERSION ") {
                    bail!("a new connection is answered {line:?}");
                }
            }
        }
        Ok(true)
    }
}

/// The next line, without its end.
pub fn line(from: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    from.take(LINE_MAX).read_until(b'\n', &mut line).context("no answer")?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        None if line.is_empty() => bail!("the server closed a connection that was owed an answer"),
        None => bail!("the server ended a connection in the line {:?}", line.escape_ascii().to_string()),
    }
}

/// Reads a value of `key` with `len` bytes; its version.
fn value(key: u32, len: usize, keys: &Keys, from: &mut impl BufRead) -> Result<u32> {
    let mut check = Check::new(key, len);
    let mut piece = vec![0; len.min(PIECE_BYTES)];
    let mut version = 0;
    while check.left() > 0 {
        let bytes = &mut piece[..check.left().min(PIECE_BYTES)];
        from.read_exact(bytes).with_context(|| format!("in the value of {}", keys.text(key)))?;
        if check.left() == len
            && let Some(first) = bytes.first_chunk::<4>()
        {
            version = u32::from_le_bytes(*first);
        }
        if let Err(content::Wrong { at, expected, got }) = check.feed(bytes) {
            bail!(
                "wrong value: {} holds {len} bytes, and from byte {at} on should be '{}', but got '{}'",
                keys.text(key),
                expected.escape_ascii(),
                got.escape_ascii()
            );
        }
    }
    if len < VALUE_LEN_MIN as usize {
        bail!("wrong value: {} holds {len} bytes, and nobody stored so few", keys.text(key));
    }
    Ok(version)
}

/// The number of a key that the server names.
fn key_of(name: &[u8], keys: &Keys) -> Result<u32> {
    keys.id(name).with_context(|| format!("the server names the key {:?}", name.escape_ascii().to_string()))
}

fn unexpected<T>(request: &Request, keys: &Keys, answer: &str) -> Result<T> {
    let key = match request {
        Request::Get { keys } => keys.first().copied(),
        Request::Set { key, .. }
        | Request::Delete { key }
        | Request::Touch { key, .. }
        | Request::Number { key, .. }
        | Request::Count { key, .. } => Some(*key),
    };
    let key = key.map_or(String::new(), |key| keys.text(key));
    bail!("unexpected answer for {key} {answer:?} to {request:?}")
}

#[cfg(test)]
mod tests;
