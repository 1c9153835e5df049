//! Binary keys: a key of any bytes travels through a line of text as base64 (RFC 4648, section 4).
//!
//! The store holds the decoded bytes; only a line carries the text. Padding is required. The unused bits of the last
//! letter may be anything, as memcached has it, so two texts can name one key; what is written back has them zero.

use ::base64::alphabet;
use ::base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ::base64::{Engine, encoded_len};

/// Bytes of text that [`is_binary_key`] decodes at a time, and what they decode to.
const PIECE_TEXT_LEN: usize = 256;
const PIECE_LEN: usize = PIECE_TEXT_LEN / 4 * 3;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Whether [`decode_key`] can decode `text`, given the room.
#[inline]
pub(super) fn is_binary_key(text: &[u8]) -> bool {
    let mut out = [0; PIECE_LEN];
    let mut pieces = text.chunks(PIECE_TEXT_LEN).peekable();
    let mut decodes = |piece: &[u8], padded: bool| {
        (padded || piece.last() != Some(&b'=')) && BASE64.decode_slice(piece, &mut out).is_ok()
    };
    while let Some(piece) = pieces.next() {
        if !decodes(piece, pieces.peek().is_none()) {
            return false;
        }
    }
    !text.is_empty()
}

/// Decodes the key `text` into `out`. `None` if it is no base64, is empty, or may not fit: three quarters of the text's
/// length, rounded up to a multiple of three, are enough.
#[inline]
pub fn decode_key<'o>(text: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    let len = BASE64.decode_slice(text, out).ok()?;
    out.get(..len).filter(|key| !key.is_empty())
}

/// Writes `key` as base64 at the start of `out` and returns the length.
///
/// # Panics
/// If `out` is shorter than [`key_text_len`].
#[inline]
pub(super) fn encode_key(out: &mut [u8], key: &[u8]) -> usize {
    let len = key_text_len(key.len());
    // The only error is a wrong length of the output.
    BASE64.encode_slice(key, &mut out[..len]).unwrap_or(0)
}

/// Bytes of base64 that a key of `key_len` bytes takes.
pub(super) const fn key_text_len(key_len: usize) -> usize {
    match encoded_len(key_len, true) {
        Some(len) => len,
        None => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For the longest key within memcached's limit.
    const ROOM: usize = 192;

    /// Compared with memcached 1.6.45, but for the last group.
    #[test]
    fn padded_base64_is_decoded() {
        for (text, expected) in [
            ("YQ==", Some(&b"a"[..])),
            ("YWE=", Some(b"aa")),
            ("YWFh", Some(b"aaa")),
            ("AP8K", Some(b"\0\xff\n")),
            ("+/+/", Some(b"\xfb\xff\xbf")),
            // The unused bits are not zero.
            ("YR==", Some(b"a")),
            ("YWF=", Some(b"aa")),
            ("", None),
            ("Y", None),
            ("YQ", None),
            ("YQ=", None),
            ("Y===", None),
            ("====", None),
            ("-_-_", None),
            // memcached skips bytes that are no base64, ends at the first padding and lets it stand anywhere.
            ("YQ==YQ==", None),
            ("Y!Q==", None),
            ("Y=Q=", None),
        ] {
            let mut out = [0; ROOM];
            assert_eq!(decode_key(text.as_bytes(), &mut out), expected, "{text:?}");
            assert_eq!(is_binary_key(text.as_bytes()), expected.is_some(), "{text:?}");
        }
    }

    #[test]
    fn the_longest_key_fits_its_room_and_a_longer_one_is_refused() {
        let mut out = [0; ROOM];
        assert_eq!(decode_key(&[b'A'; 248], &mut out), Some(&[0; 186][..]));
        assert_eq!(decode_key(&[b'A'; 260], &mut out), None);
        assert!(
            is_binary_key(&[b'A'; 260]) && is_binary_key(&[b'A'; 65_532]) && !is_binary_key(&[b'A'; 65_535])
        );
        let padded_within = [&[b'A'; 254][..], b"==", &[b'A'; 4]].concat();
        assert!(!is_binary_key(&padded_within) && is_binary_key(&padded_within[..256]));
    }

    #[test]
    fn written_keys_are_canonical() {
        for (key, text) in
            [(&b"a"[..], &b"YQ=="[..]), (b"aa", b"YWE="), (b"aaa", b"YWFh"), (b"\xfb\xff", b"+/8=")]
        {
            let mut out = [b'#'; 16];
            let len = encode_key(&mut out, key);
            assert_eq!((&out[..len], len, out[len]), (text, key_text_len(key.len()), b'#'));
        }
    }
}
