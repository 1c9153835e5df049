//! Framing: where the next command line of a byte stream ends.
//!
//! A line ends in LF; one CR before it belongs to the ending. A line has no length limit of its own, it only has to fit
//! the buffer of the caller; what is limited is how long bytes without any LF are tolerated, because those may never
//! become a line.

use memchr::memchr;

/// How many bytes without LF are buffered before the connection is given up (`get` and `gets` excepted), where keys have
/// memcached's limit; see [`Limits::line_buffered_max`](super::Limits::line_buffered_max).
pub const LINE_BUFFERED_MAX: usize = 2048;

/// The same for `gat` and `gats`, which may name hundreds of keys: as much as memcached reads at a time, so that what it takes in
/// one piece is taken here in any number of pieces.
pub const GAT_BUFFERED_MAX: usize = 16 * 1024;

/// What stands at the start of the received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole line.
    Line {
        /// The line without its LF or CR LF.
        line: &'a [u8],
        /// Bytes of input the line and its ending take.
        used: usize,
    },
    /// No LF yet: receive more.
    Incomplete,
    /// More than `buffered_max` bytes without LF: close the connection without an answer.
    TooLong,
    /// More than `buffered_max` bytes without LF, but they are the start of a `get` or `gets`: receive more, or
    /// read it key by key with [`LongGet`](super::LongGet).
    LongGet,
}

/// Finds the next line at the start of `input`, of which up to `buffered_max` bytes may be without LF.
///
/// Looks at all of `input` each time, so a caller that lets a long `get` grow should switch to
/// [`LongGet`](super::LongGet) rather than call again for every packet.
#[inline]
pub fn frame(input: &[u8], buffered_max: usize) -> Frame<'_> {
    match memchr(b'\n', input) {
        Some(at) => {
            let line = &input[..at];
            Frame::Line { line: line.strip_suffix(b"\r").unwrap_or(line), used: at + 1 }
        }
        None if input.len() <= buffered_max => Frame::Incomplete,
        None if is_gat(input) && input.len() <= GAT_BUFFERED_MAX => Frame::Incomplete,
        None if input.starts_with(b"get ") || input.starts_with(b"gets ") => Frame::LongGet,
        None => Frame::TooLong,
    }
}

fn is_gat(input: &[u8]) -> bool {
    input.starts_with(b"gat ") || input.starts_with(b"gats ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(input: &[u8]) -> Frame<'_> {
        super::frame(input, LINE_BUFFERED_MAX)
    }

    #[test]
    fn a_line_ends_in_lf_or_cr_lf() {
        for (input, line, used) in [
            (&b"get a\r\nrest"[..], &b"get a"[..], 7),
            (b"get a\nrest", b"get a", 6),
            (b"get a\r\r\n", b"get a\r", 8),
            (b"get\ra\n", b"get\ra", 6),
            (b"\n", b"", 1),
            (b"\r\n", b"", 2),
        ] {
            assert_eq!(frame(input), Frame::Line { line, used }, "{input:?}");
        }
    }

    #[test]
    fn without_lf_2048_bytes_wait_and_2049_close() {
        assert_eq!(frame(b""), Frame::Incomplete);
        assert_eq!(frame(&[b'x'; LINE_BUFFERED_MAX]), Frame::Incomplete);
        assert_eq!(frame(&[b'x'; LINE_BUFFERED_MAX + 1]), Frame::TooLong);
    }

    #[test]
    fn a_long_line_is_a_line_once_its_lf_is_there() {
        let mut input = vec![b'x'; 10_000];
        input.extend_from_slice(b"\r\n");
        assert_eq!(frame(&input), Frame::Line { line: &input[..10_000], used: 10_002 });
    }

    #[test]
    fn only_get_and_gets_may_be_longer() {
        for (start, expected) in [
            ("get ", Frame::LongGet),
            ("gets ", Frame::LongGet),
            ("getx ", Frame::TooLong),
            ("gat 0 ", Frame::Incomplete),
            ("gats 0 ", Frame::Incomplete),
            ("gatx 0 ", Frame::TooLong),
            ("mg ", Frame::TooLong),
            ("set ", Frame::TooLong),
            (" get ", Frame::TooLong),
        ] {
            let mut input = start.as_bytes().to_vec();
            input.resize(LINE_BUFFERED_MAX + 1, b'x');
            assert_eq!(frame(&input), expected, "{start:?}");
            input.resize(GAT_BUFFERED_MAX + 1, b'x');
            assert_eq!(frame(&input) == Frame::LongGet, expected == Frame::LongGet, "{start:?}");
            assert_ne!(frame(&input), Frame::Incomplete, "{start:?}");
        }
    }
}
