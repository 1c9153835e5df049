//! What a value holds: bytes that follow from its key, its version and its length, so whoever reads a value can tell whether
//! all of it is one that was stored under that key.
//!
//! A value is its version (4 bytes), a hash of key, version and length (4 bytes), then a stretch of a fixed pseudo-random
//! pattern that begins where the hash says. Shorter than 8 bytes, it is the beginning of the hash and has no version. So
//! a stored value is written with one copy, and a read one is checked with one comparison against memory that stays in cache.

use std::sync::LazyLock;

const PATTERN_BYTES: usize = 64 << 10;
/// Version and hash.
const HEAD_LEN: usize = 8;

/// The pattern twice: up to [`PATTERN_BYTES`] from any place of the first are in one piece.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = 0..PATTERN_BYTES as u64 / 8;
    words.clone().chain(words).map(mix).flat_map(u64::to_le_bytes).collect()
});

/// The finaliser of MurmurHash3: every bit of the input moves every bit of the result.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// Version and hash, and where in the pattern the rest begins.
fn head(id: u32, version: u32, len: usize) -> ([u8; HEAD_LEN], usize) {
    let hash = mix((u64::from(version) << 32 | u64::from(id)) ^ mix(len as u64));
    if len < HEAD_LEN {
        return (hash.to_le_bytes(), 0);
    }
    let head = u64::from(version) | hash << 32;
    (head.to_le_bytes(), (hash >> 32) as usize % PATTERN_BYTES)
}

/// Up to [`PATTERN_BYTES`] of the pattern, `at` bytes behind `start`.
fn pattern(start: usize, at: usize, len: usize) -> &'static [u8] {
    let from = (start + at) % PATTERN_BYTES;
    &PATTERN[from..from + len.min(PATTERN_BYTES)]
}

/// Appends the value of key number `id` with `len` bytes.
pub fn append(id: u32, version: u32, len: usize, out: &mut Vec<u8>) {
    let version = if len < HEAD_LEN { 0 } else { version };
    let (head, start) = head(id, version, len);
    out.extend_from_slice(&head[..len.min(HEAD_LEN)]);
    let rest = len.saturating_sub(HEAD_LEN);
    let mut at = 0;
    while at < rest {
        let piece = pattern(start, at, rest - at);
        out.extend_from_slice(piece);
        at += piece.len();
    }
}

/// Checks a value as it arrives, in pieces of any size.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    id: u32,
    len: usize,
    seen: usize,
    head: [u8; HEAD_LEN], // as much of it as was seen
    start: usize,         // known once the head is whole
}

/// A value that is none of its key's: from byte `at` on it should be `expected` and is `got`.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentence above")]
pub struct Wrong {
    pub at: usize,
    pub expected: Vec<u8>,
    pub got: Vec<u8>,
}

/// Bytes shown of a wrong value.
const SHOWN: usize = 16;

impl Check {
    /// Expects a value of key number `id` with `len` bytes.
    pub fn new(id: u32, len: usize) -> Check {
        Check { id, len, seen: 0, head: [0; HEAD_LEN], start: 0 }
    }

    /// Bytes still to come.
    pub fn left(&self) -> usize {
        self.len - self.seen
    }

    /// The key the value belongs to.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its length.
    pub fn value_len(&self) -> usize {
        self.len
    }

    /// The next bytes, at most [`left`](Self::left).
    ///
    /// # Errors
    /// The first place where the value is wrong.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Wrong> {
        let head_len = self.len.min(HEAD_LEN);
        if self.seen < head_len {
            let taken = bytes.len().min(head_len - self.seen);
            self.head[self.seen..self.seen + taken].copy_from_slice(&bytes[..taken]);
            self.seen += taken;
            bytes = &bytes[taken..];
            if self.seen == head_len {
                self.check_head(head_len)?;
            }
        }
        while !bytes.is_empty() {
            let expected = pattern(self.start, self.seen - HEAD_LEN, bytes.len());
            let (got, rest) = bytes.split_at(expected.len());
            if got != expected {
                return Err(wrong(self.seen, expected, got));
            }
            self.seen += got.len();
            bytes = rest;
        }
        Ok(())
    }

    fn check_head(&mut self, head_len: usize) -> Result<(), Wrong> {
        let [a, b, c, d, ..] = self.head;
        let version = if self.len < HEAD_LEN { 0 } else { u32::from_le_bytes([a, b, c, d]) };
        let (expected, start) = head(self.id, version, self.len);
        self.start = start;
        let (expected, got) = (&expected[..head_len], &self.head[..head_len]);
        if expected == got { Ok(()) } else { Err(wrong(0, expected, got)) }
    }
}

/// What is shown of two pieces that differ, of which the first byte is byte `base` of the value.
fn wrong(base: usize, expected: &[u8], got: &[u8]) -> Wrong {
    let at = expected.iter().zip(got).position(|(a, b)| a != b).unwrap_or(0);
    let shown = |bytes: &[u8]| bytes[at..].iter().take(SHOWN).copied().collect();
    Wrong { at: base + at, expected: shown(expected), got: shown(got) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(id: u32, version: u32, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        append(id, version, len, &mut out);
        out
    }

    fn check(id: u32, value: &[u8], piece: usize) -> Result<(), Wrong> {
        let mut check = Check::new(id, value.len());
        value.chunks(piece.max(1)).try_for_each(|bytes| check.feed(bytes))?;
        assert_eq!(check.left(), 0);
        Ok(())
    }

    #[test]
    fn what_is_written_is_accepted_however_it_is_cut() {
        for len in [0, 1, 7, 8, 9, 100, PATTERN_BYTES + 9, 3 * PATTERN_BYTES] {
            let value = value(7, 99, len);
            assert_eq!(value.len(), len);
            for piece in [len, 1000, 3] {
                assert_eq!(check(7, &value, piece), Ok(()), "{len} bytes by {piece}");
            }
        }
    }

    #[test]
    fn any_changed_byte_is_found() {
        let good = value(1, 2, 2 * PATTERN_BYTES);
        for at in [0, 5, 8, 4000, PATTERN_BYTES, 2 * PATTERN_BYTES - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // A wrong version cannot be told from a wrong hash.
            let found = check(1, &bad, 4096).expect_err("a wrong byte").at;
            assert_eq!(found, if at < 4 { 4 } else { at });
        }
    }

    #[test]
    fn another_keys_value_or_a_cut_one_is_found() {
        for len in [4, 40] {
            let good = value(1, 2, len);
            assert!(check(2, &good, len).is_err());
            assert!(check(1, &good[..len - 1], len).is_err());
        }
    }
}
