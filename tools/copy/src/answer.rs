//! What the two servers answer: a value to a meta get, and what became of a meta set.

use crate::tally::Fate;

/// A request carries its number in its batch, which the answer repeats: an answer to another request is found out at once.
pub type Number = usize;

/// The head of an answer to `mg KEY f t v u O<number> [k]`.
#[derive(Debug, PartialEq, Eq)]
pub enum Got<'a> {
    /// The item is no more.
    Gone,
    /// The value follows.
    Value(Head<'a>),
    /// An error in the server's words.
    Refused,
    /// No answer to this request.
    OutOfStep,
}

/// What stands before a value.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Bytes of the value.
    pub len: u64,
    /// The client's flags.
    pub flags: u64,
    /// Seconds the item has left; nothing if it has no end.
    pub ttl_s: Option<u64>,
    /// The key as the item is marked, if it was asked for, and whether that is base64.
    pub key: Option<(&'a [u8], bool)>,
    /// Whether the item waits to be computed anew.
    pub is_stale: bool,
}

/// Reads the first line of an answer.
pub fn got(line: &[u8], number: Number) -> Got<'_> {
    let mut words = line.split(|byte| *byte == b' ');
    match words.next() {
        Some(b"EN") if words.next().and_then(opaque) == Some(number) => Got::Gone,
        Some(b"VA") => head(words, number).map_or(Got::OutOfStep, Got::Value),
        Some(b"SERVER_ERROR" | b"CLIENT_ERROR") => Got::Refused,
        _ => Got::OutOfStep,
    }
}

fn head<'a>(mut words: impl Iterator<Item = &'a [u8]>, number: Number) -> Option<Head<'a>> {
    let len = digits(words.next()?)?;
    let flags = digits(words.next()?.strip_prefix(b"f")?)?;
    let ttl_s = match words.next()?.strip_prefix(b"t")? {
        b"-1" => None,
        seconds => Some(digits(seconds)?),
    };
    if opaque(words.next()?)? != number {
        return None;
    }
    let mut head = Head { len, flags, ttl_s, key: None, is_stale: false };
    for word in words {
        match word {
            b"b" => head.key = head.key.map(|(key, _)| (key, true)),
            b"X" => head.is_stale = true,
            b"W" | b"Z" => {}
            _ => head.key = Some((word.strip_prefix(b"k")?, false)),
        }
    }
    Some(head)
}

/// What became of `ms KEY ... ME O<number>` with a value of `len` bytes; nothing if `line` is no answer to it.
pub fn stored(line: &[u8], number: Number, len: u64) -> Option<Fate> {
    if line.starts_with(b"SERVER_ERROR object too large") {
        return Some(Fate::TooLarge);
    }
    let mut words = line.split(|byte| *byte == b' ');
    let verb = words.next()?;
    if matches!(verb, b"SERVER_ERROR" | b"CLIENT_ERROR") {
        return Some(Fate::Refused);
    }
    (opaque(words.next()?)? == number).then_some(())?;
    match verb {
        b"HD" => Some(Fate::Copied(len)),
        b"NS" => Some(Fate::AlreadyThere),
        _ => None,
    }
}

fn opaque(word: &[u8]) -> Option<Number> {
    digits(word.strip_prefix(b"O")?).and_then(|number| number.try_into().ok())
}

fn digits(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Head = Head { len: 3, flags: 7, ttl_s: Some(99), key: None, is_stale: false };

    #[test]
    fn heads_of_values() {
        assert_eq!(got(b"VA 3 f7 t99 O4", 4), Got::Value(PLAIN));
        assert_eq!(got(b"VA 3 f7 t-1 O4", 4), Got::Value(Head { ttl_s: None, ..PLAIN }));
        assert_eq!(got(b"VA 3 f7 t99 O4 kab", 4), Got::Value(Head { key: Some((b"ab", false)), ..PLAIN }));
        let marked = Head { key: Some((b"YWI=", true)), ..PLAIN };
        assert_eq!(got(b"VA 3 f7 t99 O4 kYWI= b", 4), Got::Value(marked));
        let stale = Head { key: Some((b"b", false)), is_stale: true, ..PLAIN };
        assert_eq!(got(b"VA 3 f7 t99 O4 kb W X", 4), Got::Value(stale));
        assert_eq!(got(b"VA 3 f7 t99 O4 W", 4), Got::Value(PLAIN));
    }

    #[test]
    fn other_answers_to_a_get() {
        assert_eq!(got(b"EN O4 kab", 4), Got::Gone);
        assert_eq!(got(b"SERVER_ERROR out of memory writing get response", 4), Got::Refused);
        assert_eq!(got(b"CLIENT_ERROR bad command line format", 4), Got::Refused);
        for line in [
            "EN O5",
            "EN",
            "VA 3 f7 t99 O5",
            "VA 3 f7 t99",
            "VA x f7 t99 O4",
            "VA 3 f7 t99 O4 ?",
            "HD O4",
            "",
        ] {
            assert_eq!(got(line.as_bytes(), 4), Got::OutOfStep, "{line}");
        }
    }

    #[test]
    fn answers_to_a_set() {
        assert_eq!(stored(b"HD O4", 4, 3), Some(Fate::Copied(3)));
        assert_eq!(stored(b"NS O4", 4, 3), Some(Fate::AlreadyThere));
        assert_eq!(stored(b"SERVER_ERROR object too large for cache", 4, 3), Some(Fate::TooLarge));
        assert_eq!(stored(b"SERVER_ERROR out of memory storing object", 4, 3), Some(Fate::Refused));
        assert_eq!(stored(b"CLIENT_ERROR bad command line format", 4, 3), Some(Fate::Refused));
        for line in ["HD O5", "HD", "EX O4", "STORED", ""] {
            assert_eq!(stored(line.as_bytes(), 4, 3), None, "{line}");
        }
    }
}
