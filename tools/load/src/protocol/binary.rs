//! The binary protocol: packets of a header of 24 bytes, extras, key, value.

use std::collections::vec_deque;

use anyhow::{Result, bail};

use super::{Answer, HEAD_MAX, shown};
use crate::keys::Keys;

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;
const HEADER_LEN: usize = 24;
const GET: u8 = 0x00;
const SET: u8 = 0x01;
const NOOP: u8 = 0x0a;
const GETKQ: u8 = 0x0d;
const NOT_FOUND: u16 = 0x0001;
/// Flags and expiration time, as a set has them.
const SET_EXTRAS: [u8; 8] = [0; 8];

fn header(opcode: u8, key_len: usize, extras_len: usize, value_len: u32, out: &mut Vec<u8>) {
    let mut header = [0; HEADER_LEN];
    header[0] = REQUEST;
    header[1] = opcode;
    header[2..4].copy_from_slice(&(key_len as u16).to_be_bytes());
    header[4] = extras_len as u8;
    let body_len = (key_len + extras_len) as u32 + value_len;
    header[8..12].copy_from_slice(&body_len.to_be_bytes());
    out.extend_from_slice(&header);
}

pub fn get(keys: &Keys, ids: vec_deque::Iter<'_, u32>, out: &mut Vec<u8>) {
    let is_one = ids.len() == 1;
    for &id in ids {
        header(if is_one { GET } else { GETKQ }, keys.key_len(), 0, 0, out);
        keys.append(id, out);
    }
    if !is_one {
        header(NOOP, 0, 0, 0, out);
    }
}

/// All but the value.
pub fn set(keys: &Keys, id: u32, value_len: u32, out: &mut Vec<u8>) {
    header(SET, keys.key_len(), SET_EXTRAS.len(), value_len, out);
    out.extend_from_slice(&SET_EXTRAS);
    keys.append(id, out);
}

pub fn answer(keys: &Keys, input: &[u8]) -> Result<Answer> {
    let Some((header, rest)) = input.split_at_checked(HEADER_LEN) else { return Ok(Answer::Partial) };
    let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let body_len = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let (opcode, key_len, extras_len, status) =
        (header[1], usize::from(u16_at(2)), usize::from(header[4]), u16_at(6));
    if header[0] != RESPONSE || key_len + extras_len > body_len {
        bail!("unexpected answer: {}", shown(input));
    }
    if matches!(opcode, GET | GETKQ) && status == 0 {
        let head_len = extras_len + key_len;
        let Some(head) = rest.get(..head_len) else { return Ok(Answer::Partial) };
        let key = keys.id(&head[extras_len..]);
        if (opcode == GETKQ) != key.is_some() {
            bail!("unexpected answer: {}", shown(input));
        }
        let (head_len, value_len) = (HEADER_LEN + head_len, body_len - head_len);
        return Ok(Answer::Value { head_len, key, value_len, trailer: b"", is_last: opcode == GET });
    }
    let len = HEADER_LEN + body_len; // what follows is a text for people, if anything
    match (opcode, status) {
        _ if len > HEAD_MAX => bail!("unexpected answer: {}", shown(input)),
        _ if input.len() < len => Ok(Answer::Partial),
        (GET, NOT_FOUND) | (NOOP, 0) => Ok(Answer::End(len)),
        (SET, 0) => Ok(Answer::Stored(len)),
        (SET, _) => Ok(Answer::Refused(len)),
        _ => bail!("unexpected answer: {}", shown(input)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn keys() -> Keys {
        Keys::new(100, 13)
    }

    fn response(opcode: u8, status: u16, extras: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        header(opcode, key.len(), extras.len(), value.len() as u32, &mut out);
        out[0] = RESPONSE;
        out[6..8].copy_from_slice(&status.to_be_bytes());
        out.extend([extras, key, value].concat());
        out
    }

    #[test]
    fn requests_have_the_lengths_they_say() {
        let mut out = Vec::new();
        get(&keys(), VecDeque::from([1]).iter(), &mut out);
        assert_eq!((out.len(), out[1]), (24 + 13, GET));
        out.clear();
        get(&keys(), VecDeque::from([1, 2]).iter(), &mut out);
        assert_eq!((out.len(), out[1], out[74]), (2 * (24 + 13) + 24, GETKQ, REQUEST));
        out.clear();
        set(&keys(), 1, 100, &mut out);
        assert_eq!((out.len(), out[11]), (24 + 8 + 13, 8 + 13 + 100));
    }

    #[test]
    fn answers() {
        let read = |packet: Vec<u8>| answer(&keys(), &packet).expect("an answer");
        let hit = response(GET, 0, &[0; 4], b"", b"value");
        assert_eq!(answer(&keys(), &hit[..27]).expect("a part"), Answer::Partial);
        assert_eq!(
            read(hit),
            Answer::Value { head_len: 28, key: None, value_len: 5, trailer: b"", is_last: true }
        );
        let named = read(response(GETKQ, 0, &[0; 4], b"load:00000002", b"value"));
        assert_eq!(
            named,
            Answer::Value { head_len: 41, key: Some(2), value_len: 5, trailer: b"", is_last: false }
        );
        assert_eq!(read(response(GET, NOT_FOUND, b"", b"", b"Not found")), Answer::End(33));
        assert_eq!(read(response(NOOP, 0, b"", b"", b"")), Answer::End(24));
        assert_eq!(read(response(SET, 0, b"", b"", b"")), Answer::Stored(24));
        assert_eq!(read(response(SET, 0x82, b"", b"", b"Out of memory")), Answer::Refused(37));
        assert!(answer(&keys(), &response(0x77, 0, b"", b"", b"")).is_err());
        assert!(answer(&keys(), &response(GETKQ, 0, &[0; 4], b"other", b"value")).is_err());
        assert!(answer(&keys(), &[b'E'; 30]).is_err());
    }
}
