//! Tokens: what stands between the spaces of a line.
//!
//! Only 0x20 separates; runs of it count once, and a TAB is part of a token.

use memchr::memchr;

/// The tokens of a line, from left to right. Never yields an empty token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens<'a> {
    /// What has not been taken yet.
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    #[inline]
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// What has not been taken yet, separators included.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next token, expected to be short, a number or a flag: a loop has read it before `memchr` has begun.
    #[inline]
    pub(super) fn next_short(&mut self) -> Option<&'a [u8]> {
        self.take_until(|start| start.iter().position(|&byte| byte == b' '))
    }

    #[inline]
    fn take_until(&mut self, find_space: impl Fn(&[u8]) -> Option<usize>) -> Option<&'a [u8]> {
        let start = skip_spaces(self.rest);
        let end = find_space(start).unwrap_or(start.len());
        let (token, rest) = start.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    /// The next token, of any length.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.take_until(|start| memchr(b' ', start))
    }
}

/// `bytes` from its first byte that is no space.
#[inline]
pub(super) fn skip_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// `bytes` up to its last byte that is no space.
#[inline]
fn drop_trailing_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}

/// `bytes` without the spaces at both ends.
#[inline]
pub(super) fn trim_spaces(bytes: &[u8]) -> &[u8] {
    drop_trailing_spaces(skip_spaces(bytes))
}

/// Whether the last token of `line` is `noreply`.
#[inline]
pub(super) fn ends_in_noreply(line: &[u8]) -> bool {
    without_noreply(line).1
}

/// `line` without a last token that is `noreply`, and whether it had one.
#[inline]
pub(super) fn without_noreply(line: &[u8]) -> (&[u8], bool) {
    match drop_trailing_spaces(line).strip_suffix(b"noreply") {
        Some(before @ ([] | [.., b' '])) => (before, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spaces_separate_and_runs_count_once() {
        for (line, expected) in [
            (&b""[..], &[][..]),
            (b"   ", &[]),
            (b"a", &[&b"a"[..]]),
            (b"  a   bc\td  ", &[b"a", b"bc\td"]),
            (b"a \r b", &[b"a", b"\r", b"b"]),
        ] {
            assert_eq!(Tokens::new(line).collect::<Vec<_>>(), expected, "{line:?}");
        }
    }

    #[test]
    fn noreply_counts_as_a_whole_last_token_only() {
        for (line, expected) in [
            (&b"noreply"[..], true),
            (b"a noreply", true),
            (b"a noreply   ", true),
            (b"a xnoreply", false),
            (b"a noreplyx", false),
            (b"noreply a", false),
            (b"a\tnoreply", false),
            (b"", false),
        ] {
            assert_eq!(ends_in_noreply(line), expected, "{line:?}");
        }
    }
}
