//! Looking ahead: the keys of the requests that come next, at a glance, so that their memory can be on its way to the cache while
//! earlier requests run.
//!
//! A guess, not a parser: nothing is checked, a value that looks like a line is taken for one, and a wrong guess costs a
//! prefetch. What is answered comes from the parsers alone.

use super::token::skip_spaces;
use memchr::{memchr, memchr2};

/// Lines and packets looked at for keys before giving up: some are values, or have none.
const REQUESTS_MAX: usize = 32;

/// The longest verb, in bytes.
const VERB_LEN_MAX: usize = 8;

/// Bytes of the header of a binary packet, and its first byte (memcached's binary protocol, "Packet structure").
const PACKET_HEADER_BYTES: usize = 24;
const PACKET_MAGIC: u8 = 0x80;

/// The keys of the requests in some input, in order.
#[derive(Clone, Debug)]
pub struct Ahead<'a> {
    rest: &'a [u8],
    /// At a key of a retrieval, or at the end of its line.
    in_keys: bool,
    requests_left: usize,
}

impl<'a> Ahead<'a> {
    /// From the start of a request, or (`in_keys`) from behind a key of a retrieval.
    pub fn new(input: &'a [u8], in_keys: bool) -> Ahead<'a> {
        Ahead { rest: input, in_keys, requests_left: REQUESTS_MAX }
    }

    /// Bytes not looked at yet.
    pub fn rest_len(&self) -> usize {
        self.rest.len()
    }

    /// The next word of the line, without passing its end.
    fn word(&mut self) -> Option<&'a [u8]> {
        let start = skip_spaces(self.rest);
        let end = memchr2(b' ', b'\n', start)?;
        let word = &start[..end];
        self.rest = &start[end..];
        let word = word.strip_suffix(b"\r").unwrap_or(word);
        (!word.is_empty()).then_some(word)
    }

    /// Passes the end of the line; at the end of the input, everything.
    fn end_line(&mut self) {
        self.rest = memchr(b'\n', self.rest).map_or(&[], |end| &self.rest[end + 1..]);
    }

    fn packet(&mut self) -> Option<&'a [u8]> {
        let packet = self.rest;
        let header = packet.get(..PACKET_HEADER_BYTES);
        let body_len = header.map_or(usize::MAX, |h| u32::from_be_bytes([h[8], h[9], h[10], h[11]]) as usize);
        self.rest = packet.get(PACKET_HEADER_BYTES.saturating_add(body_len)..).unwrap_or(&[]);
        let key_at = PACKET_HEADER_BYTES + usize::from(header?[4]);
        let key_len = usize::from(u16::from_be_bytes([header?[2], header?[3]]));
        packet.get(key_at..key_at + key_len).filter(|key| !key.is_empty())
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let verb_end = self.rest.iter().take(VERB_LEN_MAX + 1).position(|&byte| byte == b' ');
        let Some(verb_end) = verb_end else {
            self.end_line();
            return None;
        };
        let (verb, rest) = self.rest.split_at(verb_end);
        self.rest = rest;
        if matches!(verb, b"gat" | b"gats") {
            self.word();
        }
        if matches!(verb, b"get" | b"gets" | b"gat" | b"gats") {
            self.in_keys = true;
            return None;
        }
        let key = self.word();
        self.end_line();
        key
    }
}

impl<'a> Iterator for Ahead<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if self.in_keys {
                if let Some(key) = self.word() {
                    return Some(key);
                }
                self.in_keys = false;
                self.end_line();
            }
            self.requests_left = self.requests_left.checked_sub(1)?;
            let key = match self.rest.first()? {
                &PACKET_MAGIC => self.packet(),
                _ => self.line(),
            };
            if key.is_some() {
                return key;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(input: &[u8], in_keys: bool) -> Vec<String> {
        Ahead::new(input, in_keys).map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    #[test]
    fn every_key_of_what_is_there_is_seen() {
        let input = b"get a bb  ccc\r\ngats 10 d e\nset f 0 0 5\r\nvalue\r\nmg g v\r\nversion\r\ndelete h\r\nincr i 1\r\nget j";
        assert_eq!(keys(input, false), ["a", "bb", "ccc", "d", "e", "f", "g", "h", "i"]);
        assert_eq!(keys(b" k l\r\nget m\r\n", true), ["k", "l", "m"]);
    }

    #[test]
    fn packets_are_passed_over_by_their_lengths() {
        let mut input = Vec::new();
        for (key, extras, value) in [("one", 0usize, 0usize), ("two", 8, 5)] {
            let mut header = [0u8; PACKET_HEADER_BYTES];
            header[0] = PACKET_MAGIC;
            header[3] = key.len() as u8;
            header[4] = extras as u8;
            header[11] = (key.len() + extras + value) as u8;
            input.extend(header);
            input.extend(vec![b'x'; extras]);
            input.extend(key.bytes());
            input.extend(vec![b'v'; value]);
        }
        assert_eq!(keys(&input, false), ["one", "two"]);
        assert_eq!(keys(&input[..30], false), ["one"]);
        assert!(keys(&input[..20], false).is_empty());
        input[8] = 0xff;
        assert_eq!(keys(&input, false), ["one"], "a length that lies");
    }

    #[test]
    fn anything_ends() {
        assert!(keys(&[b'\n'; 10_000], false).is_empty());
        assert!(keys(b"", true).is_empty());
        assert!(keys(b"set \r\nget \r\n", false).is_empty());
        assert_eq!(keys(&b"get a\r\n".repeat(100), false).len(), REQUESTS_MAX);
    }
}
