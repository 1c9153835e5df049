//! What a value holds: bytes that follow from its key and its length alone, so whoever reads a value can tell
//! whether it is the one that was stored.
//!
//! A value is eight bytes of hash over key and length, then a fixed pseudo-random pattern, begun at a place the hash
//! chooses and repeated as often as need be; a short value is the beginning of that. The pattern holds every byte, line
//! ends included.

use std::sync::LazyLock;

const PATTERN_BYTES: usize = 64 << 10;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = (0..PATTERN_BYTES as u64 / 8).map(mix);
    words.flat_map(u64::to_le_bytes).collect()
});

/// The finaliser of MurmurHash3: every bit of the input moves every bit of the result.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// FNV-1a of the key. It is the same in every build, so a value stored by one run is known to the next.
pub fn key_hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn head(key: &str, value_len: usize) -> [u8; 8] {
    mix(key_hash(key) ^ mix(value_len as u64)).to_le_bytes()
}

/// The pieces of the pattern that follow the head, `len` bytes in all.
fn pattern(head: [u8; 8], len: usize) -> impl Iterator<Item = &'static [u8]> {
    let start = u64::from_le_bytes(head) as usize % PATTERN_BYTES;
    let mut left = len;
    let pieces = std::iter::once(&PATTERN[start..]).chain(std::iter::repeat(&PATTERN[..]));
    pieces.map_while(move |piece| {
        let taken = piece.len().min(left);
        left -= taken;
        (taken > 0).then(|| &piece[..taken])
    })
}

/// Appends the value of `key` with `value_len` bytes to `out`.
pub fn append(key: &str, value_len: usize, out: &mut Vec<u8>) {
    let head = head(key, value_len);
    out.extend_from_slice(&head[..value_len.min(head.len())]);
    for piece in pattern(head, value_len.saturating_sub(head.len())) {
        out.extend_from_slice(piece);
    }
}

/// Where `value` first differs from what `key` holds at that length; `None` if nowhere.
pub fn first_difference(key: &str, value: &[u8]) -> Option<usize> {
    let head = head(key, value.len());
    let (begin, mut rest) = value.split_at(value.len().min(head.len()));
    let wrong = |want: &[u8], got: &[u8]| want.iter().zip(got).position(|(a, b)| a != b);
    if let Some(at) = wrong(&head, begin) {
        return Some(at);
    }
    for piece in pattern(head, rest.len()) {
        let (got, after) = rest.split_at(piece.len());
        if got != piece {
            let before = value.len() - rest.len();
            return wrong(piece, got).map(|at| before + at);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: &str, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        append(key, len, &mut out);
        out
    }

    #[test]
    fn what_is_appended_is_accepted() {
        for len in [0, 1, 7, 8, 9, 100, PATTERN_BYTES + 9, 3 * PATTERN_BYTES] {
            let value = value("a key", len);
            assert_eq!(value.len(), len);
            assert_eq!(first_difference("a key", &value), None, "{len} bytes");
        }
    }

    #[test]
    fn any_changed_byte_is_found() {
        let good = value("k", 2 * PATTERN_BYTES);
        for at in [0, 7, 8, PATTERN_BYTES, 2 * PATTERN_BYTES - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(first_difference("k", &bad), Some(at));
        }
    }

    #[test]
    fn another_keys_value_or_a_cut_one_is_found() {
        let good = value("k", 40);
        assert!(first_difference("l", &good).is_some());
        assert!(first_difference("k", &good[..39]).is_some());
    }
}
