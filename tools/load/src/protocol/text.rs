//! Classic and meta commands.

use std::collections::vec_deque;

use anyhow::{Result, bail};
use memchr::memchr;

use super::{Answer, shown};
use crate::keys::Keys;

const CRLF: &[u8] = b"\r\n";

pub fn classic_get(keys: &Keys, ids: vec_deque::Iter<'_, u32>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"get");
    for &id in ids {
        out.push(b' ');
        keys.append(id, out);
    }
    out.extend_from_slice(CRLF);
}

pub fn meta_get(keys: &Keys, mut ids: vec_deque::Iter<'_, u32>, out: &mut Vec<u8>) {
    if ids.len() == 1 {
        if let Some(&id) = ids.next() {
            out.extend_from_slice(b"mg ");
            keys.append(id, out);
            out.extend_from_slice(b" v\r\n");
        }
        return;
    }
    for &id in ids {
        out.extend_from_slice(b"mg ");
        keys.append(id, out);
        out.extend_from_slice(b" k v q\r\n");
    }
    out.extend_from_slice(b"mn\r\n");
}

/// The line of a store, from its verb to the length.
pub fn set(verb: &[u8], between: &[u8], keys: &Keys, id: u32, len: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(verb);
    keys.append(id, out);
    out.extend_from_slice(between);
    number(len, out);
    out.extend_from_slice(CRLF);
}

fn number(mut n: u32, out: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The first line without its end, and its length with it.
fn line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr(b'\n', input)?;
    let line = &input[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

fn decimal(digits: &[u8]) -> Option<usize> {
    let one = |n: usize, digit: &u8| digit.is_ascii_digit().then(|| n * 10 + usize::from(digit - b'0'));
    if digits.is_empty() || digits.len() > 9 { None } else { digits.iter().try_fold(0, one) }
}

pub fn classic_answer(keys: &Keys, input: &[u8]) -> Result<Answer> {
    let Some((line, len)) = line(input) else { return Ok(Answer::Partial) };
    if let Some(rest) = line.strip_prefix(b"VALUE ") {
        let key_len = keys.key_len().min(rest.len());
        let (key, rest) = rest.split_at(key_len);
        if let (Some(key), Some(value_len)) = (keys.id(key), rest.strip_prefix(b" 0 ").and_then(decimal)) {
            return Ok(Answer::Value {
                head_len: len,
                key: Some(key),
                value_len,
                trailer: CRLF,
                is_last: false,
            });
        }
    }
    match line {
        b"END" => Ok(Answer::End(len)),
        b"STORED" => Ok(Answer::Stored(len)),
        _ => refused(line, len),
    }
}

pub fn meta_answer(keys: &Keys, input: &[u8]) -> Result<Answer> {
    let Some((line, len)) = line(input) else { return Ok(Answer::Partial) };
    if let Some(rest) = line.strip_prefix(b"VA ") {
        let digits = memchr(b' ', rest).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(digits);
        let key = rest.strip_prefix(b" k").and_then(|key| keys.id(key));
        if let (Some(value_len), true) = (decimal(digits), rest.is_empty() || key.is_some()) {
            let is_last = key.is_none(); // only gets of several keys ask for the key
            return Ok(Answer::Value { head_len: len, key, value_len, trailer: CRLF, is_last });
        }
    }
    match line {
        b"EN" | b"MN" => Ok(Answer::End(len)),
        b"HD" => Ok(Answer::Stored(len)),
        b"NS" => Ok(Answer::Refused(len)),
        _ => refused(line, len),
    }
}

fn refused(line: &[u8], len: usize) -> Result<Answer> {
    if line.starts_with(b"SERVER_ERROR") || line == b"NOT_STORED" {
        return Ok(Answer::Refused(len));
    }
    bail!("unexpected answer: {}", shown(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use std::collections::VecDeque;

    fn keys() -> Keys {
        Keys::new(100, 13)
    }

    fn get(protocol: Protocol, ids: &[u32]) -> String {
        let ids: VecDeque<u32> = ids.iter().copied().collect();
        let mut out = Vec::new();
        protocol.get(&keys(), ids.iter(), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn requests_are_as_the_protocol_has_them() {
        assert_eq!(get(Protocol::Classic, &[1]), "get load:00000001\r\n");
        assert_eq!(get(Protocol::Classic, &[1, 255]), "get load:00000001 load:000000ff\r\n");
        assert_eq!(get(Protocol::Meta, &[1]), "mg load:00000001 v\r\n");
        assert_eq!(
            get(Protocol::Meta, &[1, 2]),
            "mg load:00000001 k v q\r\nmg load:00000002 k v q\r\nmn\r\n"
        );
        let set = |protocol: Protocol| {
            let mut out = Vec::new();
            protocol.set(&keys(), 1, 7, 120, &mut out);
            assert!(out.ends_with(b"\r\n"));
            let (line, len) = line(&out).expect("a line");
            assert_eq!(out.len(), len + 120 + 2);
            String::from_utf8(line.to_vec()).expect("text")
        };
        assert_eq!(set(Protocol::Classic), "set load:00000001 0 0 120");
        assert_eq!(set(Protocol::Meta), "ms load:00000001 120");
    }

    #[test]
    fn classic_answers() {
        let answer = |text: &str| classic_answer(&keys(), text.as_bytes());
        let value =
            Answer::Value { head_len: 29, key: Some(31), value_len: 12345, trailer: CRLF, is_last: false };
        assert_eq!(answer("VALUE load:0000001f 0 12345\r\nabc").expect("a value"), value);
        assert_eq!(answer("VALUE load:0000001f 0 123").expect("a part"), Answer::Partial);
        assert_eq!(answer("END\r\nVALUE").expect("the end"), Answer::End(5));
        assert_eq!(answer("STORED\r\n").expect("stored"), Answer::Stored(8));
        assert_eq!(answer("SERVER_ERROR out of memory\r\n").expect("refused"), Answer::Refused(28));
        for wrong in [
            "ERROR\r\n",
            "VALUE lood:0000001f 0 1\r\n",
            "VALUE load:0000001f 1 1\r\n",
            "VALUE x\r\n",
            "HD\r\n",
        ] {
            let error = answer(wrong).expect_err("no answer of ours").to_string();
            assert!(error.contains(wrong.trim_end()), "{error}");
        }
    }

    #[test]
    fn meta_answers() {
        let answer = |text: &str| meta_answer(&keys(), text.as_bytes());
        let one = Answer::Value { head_len: 7, key: None, value_len: 12, trailer: CRLF, is_last: true };
        assert_eq!(answer("VA 12\r\n").expect("a value"), one);
        let named = answer("VA 12 kload:00000002\r\n").expect("a value with its key");
        let expected =
            Answer::Value { head_len: 22, key: Some(2), value_len: 12, trailer: CRLF, is_last: false };
        assert_eq!(named, expected);
        assert_eq!(answer("EN\r\n").expect("a miss"), Answer::End(4));
        assert_eq!(answer("MN\r\n").expect("the end"), Answer::End(4));
        assert_eq!(answer("HD\r\n").expect("stored"), Answer::Stored(4));
        assert!(answer("VA 12 kother\r\n").is_err() && answer("VA x\r\n").is_err());
    }
}
