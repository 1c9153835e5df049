//! The binary protocol: packets of a header of 24 bytes, extras, key, value.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use ringcached_load::content;
use ringcached_load::keys::Keys;

use super::{Answer, Found, Request, unexpected, value};

const HEADER_LEN: usize = 24;
/// Longest text or key of an answer.
const SMALL_BODY_MAX: usize = 1024;
/// Expiration of an increment that must not make the item.
const NO_CREATION: [u8; 4] = [0xff; 4];

/// Codes of requests.
mod code {
    pub const SET: u8 = 0x01;
    pub const DELETE: u8 = 0x04;
    pub const INCREMENT: u8 = 0x05;
    pub const NOOP: u8 = 0x0a;
    pub const GETKQ: u8 = 0x0d;
    pub const TOUCH: u8 = 0x1c;
}

/// Codes of answers.
mod status {
    pub const DONE: u16 = 0x00;
    pub const NOT_FOUND: u16 = 0x01;
    pub const EXISTS: u16 = 0x02;
    pub const NO_MEMORY: u16 = 0x82;
}

pub fn noop() -> Vec<u8> {
    let mut out = Vec::new();
    header(code::NOOP, 0, 0, 0, 0, &mut out);
    out
}

pub fn read_noop(from: &mut impl BufRead) -> Result<()> {
    let head = Head::read(from)?;
    if head.code != code::NOOP || head.body_len != 0 {
        bail!("a NOOP is answered {head:?}");
    }
    Ok(())
}

fn header(code: u8, key_len: usize, extras_len: usize, value_len: usize, cas: u64, out: &mut Vec<u8>) {
    let body_len = (key_len + extras_len + value_len) as u32;
    out.extend([0x80, code]);
    out.extend((key_len as u16).to_be_bytes());
    out.extend([extras_len as u8, 0, 0, 0]);
    out.extend(body_len.to_be_bytes());
    out.extend([0; 4]);
    out.extend(cas.to_be_bytes());
}

pub fn write(request: &Request, keys: &Keys, out: &mut Vec<u8>) {
    let key_len = keys.key_len();
    let mut packet = |code, key, extras: &[u8], value_len, cas| {
        header(code, key_len, extras.len(), value_len, cas, out);
        out.extend(extras);
        keys.append(key, out);
    };
    match *request {
        Request::Get { keys: ref wanted } => {
            wanted.iter().for_each(|&key| packet(code::GETKQ, key, &[], 0, 0));
            header(code::NOOP, 0, 0, 0, 0, out);
        }
        Request::Set { key, version, len, lifetime_s, cas, .. } => {
            let extras = u64::from(lifetime_s).to_be_bytes();
            packet(code::SET, key, &extras, len as usize, cas.unwrap_or(0));
            content::append(key, version, len as usize, out);
        }
        Request::Delete { key } => packet(code::DELETE, key, &[], 0, 0),
        Request::Touch { key, lifetime_s } => packet(code::TOUCH, key, &lifetime_s.to_be_bytes(), 0, 0),
        Request::Number { key, number } => {
            let digits = number.to_string();
            packet(code::SET, key, &[0; 8], digits.len(), 0);
            out.extend(digits.bytes());
        }
        Request::Count { key, by } => {
            let extras = [&by.to_be_bytes()[..], &[0; 8], &NO_CREATION].concat();
            packet(code::INCREMENT, key, &extras, 0, 0);
        }
    }
}

/// What is used of the header of an answer.
#[derive(Debug)]
struct Head {
    code: u8,
    key_len: usize,
    extras_len: usize,
    status: u16,
    body_len: usize,
    cas: u64,
}

impl Head {
    fn read(from: &mut impl BufRead) -> Result<Head> {
        let mut bytes = [0; HEADER_LEN];
        from.read_exact(&mut bytes).context("no answer")?;
        let [magic, code, key_high, key_low, extras_len, _, high, low, a, b, c, d, _, _, _, _, cas @ ..] =
            bytes;
        let head = Head {
            code,
            key_len: usize::from(u16::from_be_bytes([key_high, key_low])),
            extras_len: usize::from(extras_len),
            status: u16::from_be_bytes([high, low]),
            body_len: u32::from_be_bytes([a, b, c, d]) as usize,
            cas: u64::from_be_bytes(cas),
        };
        if magic != 0x81 || head.key_len + head.extras_len > head.body_len {
            bail!("no header of an answer: '{}'", bytes.escape_ascii());
        }
        Ok(head)
    }
}

fn body(len: usize, from: &mut impl BufRead) -> Result<Vec<u8>> {
    if len > SMALL_BODY_MAX {
        bail!("an answer of {len} bytes where a short one was due");
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body).context("no answer")?;
    Ok(body)
}

pub fn read(request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
    if let Request::Get { .. } = request {
        return values(request, keys, from);
    }
    let head = Head::read(from)?;
    let body = body(head.body_len, from)?;
    let expected = match request {
        Request::Get { .. } => code::GETKQ,
        Request::Set { .. } | Request::Number { .. } => code::SET,
        Request::Delete { .. } => code::DELETE,
        Request::Touch { .. } => code::TOUCH,
        Request::Count { .. } => code::INCREMENT,
    };
    if head.code != expected {
        return unexpected(request, keys, &format!("{head:?}"));
    }
    Ok(match (head.status, request) {
        (status::DONE, Request::Count { .. }) => match body.first_chunk() {
            Some(number) => Answer::Number(u64::from_be_bytes(*number)),
            None => return unexpected(request, keys, &format!("{head:?}")),
        },
        (status::DONE, _) => Answer::Done,
        (status::NOT_FOUND, _) => Answer::NotFound,
        (status::EXISTS, Request::Set { cas: Some(_), .. }) => Answer::Exists,
        (status::NO_MEMORY, Request::Set { .. } | Request::Number { .. }) => Answer::Refused,
        _ => return unexpected(request, keys, &format!("{head:?}")),
    })
}

fn values(request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
    let mut found = Vec::new();
    loop {
        let head = Head::read(from)?;
        match (head.code, head.status) {
            (code::NOOP, status::DONE) if head.body_len == 0 => return Ok(Answer::Found(found)),
            (code::GETKQ, status::DONE) => {
                let names = body(head.extras_len + head.key_len, from)?;
                let key = super::key_of(&names[head.extras_len..], keys)?;
                let version = value(key, head.body_len - names.len(), keys, from)?;
                found.push(Found { key, version, cas: head.cas });
            }
            _ => return unexpected(request, keys, &format!("{head:?}")),
        }
    }
}
