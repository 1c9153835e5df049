//! A key as the meta protocol writes it, and as the two listings of `lru_crawler` do.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode;

/// The longest key that can be written in base64: memcached holds the encoded text to 250 bytes.
const ENCODED_LEN_MAX: usize = 250;

/// A key on the wire. As plain text it has no space and no line end; otherwise it is base64, and the flag `b` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The text, or base64.
    pub text: Vec<u8>,
    /// Whether `text` is base64.
    pub is_base64: bool,
}

impl Key {
    /// Of a line of `mgdump`: `mg KEY` or `mg BASE64 b`. Nothing for a line that is no key of the text protocol, as of items that
    /// the binary protocol stored under a key with a space in it.
    pub fn of_mgdump(line: &[u8]) -> Option<Key> {
        let words: Vec<&[u8]> = line.strip_prefix(b"mg ")?.split(|byte| *byte == b' ').collect();
        match words[..] {
            [text] if !text.is_empty() => Some(Key { text: text.to_vec(), is_base64: false }),
            [text, b"b"] if !text.is_empty() => Some(Key { text: text.to_vec(), is_base64: true }),
            _ => None,
        }
    }

    /// Of a line of `metadump`: `key=KEY exp=... `, the key percent-encoded. Nothing where it cannot be asked for: it has a
    /// space or a line end in it, and is too long for base64.
    pub fn of_metadump(line: &[u8]) -> Option<Key> {
        let encoded = line.strip_prefix(b"key=")?.split(|byte| *byte == b' ').next()?;
        let text: Vec<u8> = percent_decode(encoded).collect();
        if text.is_empty() {
            return None;
        }
        if !text.iter().any(|byte| matches!(byte, b' ' | b'\r' | b'\n')) {
            return Some(Key { text, is_base64: false });
        }
        let text = BASE64_STANDARD.encode(text).into_bytes();
        (text.len() <= ENCODED_LEN_MAX).then_some(Key { text, is_base64: true })
    }

    /// The same key as an answer to `mg KEY ... k` has it in `word`, followed by `b` where the item is one of a binary key.
    /// Nothing if it is another key.
    pub fn as_answered(&self, word: &[u8], is_base64: bool) -> Option<Key> {
        let is_same = if self.is_base64 == is_base64 {
            word == self.text
        } else {
            is_base64 && BASE64_STANDARD.decode(word).is_ok_and(|decoded| decoded == self.text)
        };
        is_same.then(|| Key { text: word.to_vec(), is_base64 })
    }

    /// Bytes of the key as the server stores it.
    pub fn stored_len(&self) -> usize {
        if !self.is_base64 {
            return self.text.len();
        }
        let padding = self.text.iter().rev().take_while(|byte| **byte == b'=').count();
        (self.text.len() / 4 * 3).saturating_sub(padding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &[u8]) -> Key {
        Key { text: text.to_vec(), is_base64: false }
    }

    fn encoded(text: &[u8]) -> Key {
        Key { text: text.to_vec(), is_base64: true }
    }

    #[test]
    fn lines_of_mgdump() {
        assert_eq!(Key::of_mgdump(b"mg a%20"), Some(plain(b"a%20")));
        assert_eq!(Key::of_mgdump(b"mg AAEC b"), Some(encoded(b"AAEC")));
        for line in [&b"mg "[..], b"mg a b c", b"mg a c", b"EN", b"a", b""] {
            assert_eq!(Key::of_mgdump(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn lines_of_metadump() {
        assert_eq!(Key::of_metadump(b"key=a%2520c exp=-1 la=1"), Some(plain(b"a%20c")));
        assert_eq!(Key::of_metadump(b"key=%00%FF exp=-1"), Some(plain(b"\x00\xff")));
        assert_eq!(Key::of_metadump(b"key=a%20b exp=-1"), Some(encoded(b"YSBi")));
        let long = [b"key=%20".as_slice(), &[b'x'; 190], b" exp=-1"].concat();
        for line in [&long[..], b"key= exp=-1", b"END", b""] {
            assert_eq!(Key::of_metadump(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn an_answer_says_how_the_item_is_marked() {
        assert_eq!(plain(b"abc").as_answered(b"abc", false), Some(plain(b"abc")));
        assert_eq!(plain(b"abc").as_answered(b"YWJj", true), Some(encoded(b"YWJj")));
        assert_eq!(plain(b"abc").as_answered(b"abd", false), None);
        assert_eq!(plain(b"abc").as_answered(b"YWJk", true), None);
        assert_eq!(encoded(b"YWJj").as_answered(b"abc", false), None);
    }

    #[test]
    fn the_stored_length_is_the_decoded_one() {
        for len in 1..20 {
            let text = BASE64_STANDARD.encode(vec![7; len]).into_bytes();
            assert_eq!(encoded(&text).stored_len(), len);
        }
        assert_eq!(plain(b"abc").stored_len(), 3);
    }
}
