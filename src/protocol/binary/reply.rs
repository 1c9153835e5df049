//! Writing answers: the header, then extras and key and text; a value, if any, is sent behind by the caller.
//!
//! Writers put bytes at the start of the caller's buffer and return how many; none of them allocates. The caller leaves room
//! for the most they can write, named beside each. Whether an answer is left out at all is [`Tag::suppresses`]'s to say.
//!
//! The header is that of a request (see `request.rs`) but for the magic, 0x81, and the status in place of the vbucket.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::{HEADER_LEN, Status, Tag};

/// The memcached whose behaviour this is, the answer to VERSION.
pub const VERSION: &[u8] = b"1.6.45";

/// The answer to a SASL request that gave the right user and password.
pub const AUTHENTICATED: &[u8] = b"Authenticated";

/// What [`write_number`] writes, in bytes.
pub const NUMBER_LEN: usize = HEADER_LEN + size_of::<u64>();

/// The most [`write_error`] writes.
pub const ERROR_LEN_MAX: usize = HEADER_LEN + 64;

/// Bytes of the flags in front of a value.
const FLAGS_LEN: u8 = 4;

/// The first byte of every answer.
const MAGIC: u8 = 0x81;

/// The most [`write_hit_head`] and [`write_miss`] write for a key of `key_len` bytes.
pub const fn hit_head_len_max(key_len: usize) -> usize {
    HEADER_LEN + FLAGS_LEN as usize + key_len
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    magic: u8,
    opcode: u8,
    key_len: U16,
    extras_len: u8,
    data_type: u8,
    status: U16,
    body_len: U32,
    opaque: [u8; 4],
    cas: U64,
}

impl Header {
    /// Of an answer without extras, key or body.
    #[inline]
    fn new(tag: Tag, status: Status, cas: u64) -> Header {
        Header {
            magic: MAGIC,
            opcode: tag.opcode,
            key_len: U16::ZERO,
            extras_len: 0,
            data_type: 0,
            status: U16::new(status as u16),
            body_len: U32::ZERO,
            opaque: tag.opaque,
            cas: U64::new(cas),
        }
    }
}

/// Writes a success without a body, of a storage request (with the CAS of what was stored) or of anything else (with 0), and
/// returns its length, [`HEADER_LEN`].
///
/// # Panics
/// If `out` is shorter.
#[inline]
pub fn write_done(out: &mut [u8], tag: Tag, cas: u64) -> usize {
    put(out, 0, Header::new(tag, Status::Ok, cas).as_bytes())
}

/// Writes what stands before the value of a hit, and returns its length. The header counts `value_len` bytes of value, which
/// the caller sends behind it. `key` goes into the answer only where the tag asks for it. The answer of a TOUCH is that
/// of a hit of no value.
///
/// # Panics
/// If `out` is shorter; [`hit_head_len_max`] always suffices.
#[inline]
pub fn write_hit_head(out: &mut [u8], tag: Tag, flags: u32, key: &[u8], value_len: u32, cas: u64) -> usize {
    let key = if tag.carries_key() { key } else { b"" };
    let head = Header {
        extras_len: FLAGS_LEN,
        key_len: U16::new(key.len() as u16),
        body_len: U32::new(u32::from(FLAGS_LEN) + key.len() as u32 + value_len),
        ..Header::new(tag, Status::Ok, cas)
    };
    let at = put(out, 0, head.as_bytes());
    let at = put(out, at, &flags.to_be_bytes());
    put(out, at, key)
}

/// Writes the miss of a retrieval, which carries the key where the tag asks for it and a text where not, and returns its
/// length.
///
/// # Panics
/// If `out` is shorter; [`hit_head_len_max`] or [`ERROR_LEN_MAX`], the larger, always suffices.
#[inline]
pub fn write_miss(out: &mut [u8], tag: Tag, key: &[u8]) -> usize {
    if !tag.carries_key() {
        return write_error(out, tag, Status::NotFound);
    }
    let head = Header {
        key_len: U16::new(key.len() as u16),
        body_len: U32::new(key.len() as u32),
        ..Header::new(tag, Status::NotFound, 0)
    };
    let at = put(out, 0, head.as_bytes());
    put(out, at, key)
}

/// Writes the outcome of an INCREMENT or DECREMENT, and returns its length, [`NUMBER_LEN`].
///
/// # Panics
/// If `out` is shorter.
#[inline]
pub fn write_number(out: &mut [u8], tag: Tag, value: u64, cas: u64) -> usize {
    let body = value.to_be_bytes();
    let head = Header { body_len: U32::new(body.len() as u32), ..Header::new(tag, Status::Ok, cas) };
    let at = put(out, 0, head.as_bytes());
    put(out, at, &body)
}

/// Writes an answer whose body is `text`: of VERSION, of the SASL requests, the challenge of a mechanism. Returns its
/// length, `HEADER_LEN + text.len()`.
///
/// # Panics
/// If `out` is shorter.
pub fn write_text(out: &mut [u8], tag: Tag, status: Status, text: &[u8]) -> usize {
    let head = Header { body_len: U32::new(text.len() as u32), ..Header::new(tag, status, 0) };
    let at = put(out, 0, head.as_bytes());
    put(out, at, text)
}

/// Writes the answer of anything that is no success, and returns its length.
///
/// # Panics
/// If `out` is shorter; [`ERROR_LEN_MAX`] always suffices.
#[inline]
pub fn write_error(out: &mut [u8], tag: Tag, status: Status) -> usize {
    write_text(out, tag, status, status.text(tag))
}

/// The bytes [`write_stat`] takes.
pub const fn stat_len(name: &[u8], value: &[u8]) -> usize {
    HEADER_LEN + name.len() + value.len()
}

/// Writes one line of a report, and returns its length, [`stat_len`]. A report ends with one of neither name nor value. `name` is
/// at most 65,535 bytes.
///
/// # Panics
/// If `out` is shorter.
pub fn write_stat(out: &mut [u8], tag: Tag, name: &[u8], value: &[u8]) -> usize {
    let head = Header {
        key_len: U16::new(name.len() as u16),
        body_len: U32::new((name.len() + value.len()) as u32),
        ..Header::new(tag, Status::Ok, 0)
    };
    let at = put(out, 0, head.as_bytes());
    let at = put(out, at, name);
    put(out, at, value)
}

/// The answer to a STAT whose text answer would be `text`: each line `STAT <name> <value>` as a packet of its own, then the
/// empty one. An error becomes [`Status::NotFound`], anything else (`RESET`, `OK`) an empty report. Allocates: reports
/// are rare, and their length is not known before.
pub fn stats_from_text(text: &[u8], tag: Tag) -> Vec<u8> {
    let mut packets = Vec::with_capacity(text.len() * 2);
    if ERRORS.iter().any(|error| text.starts_with(error)) {
        packets.resize(ERROR_LEN_MAX, 0);
        let len = write_error(&mut packets, tag, Status::NotFound);
        packets.truncate(len);
        return packets;
    }
    let lines = text.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"STAT "));
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let name_len = memchr::memchr(b' ', line).unwrap_or(line.len());
        let (name, value) = line.split_at(name_len);
        push_stat(&mut packets, tag, name, value.get(1..).unwrap_or_default());
    }
    push_stat(&mut packets, tag, b"", b"");
    packets
}

/// How the text of something that is no report starts.
const ERRORS: [&[u8]; 3] = [b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"];

fn push_stat(packets: &mut Vec<u8>, tag: Tag, name: &[u8], value: &[u8]) {
    let at = packets.len();
    packets.resize(at + stat_len(name, value), 0);
    write_stat(&mut packets[at..], tag, name, value);
}

/// Puts `bytes` at `at`; where they end.
#[inline]
fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    out[at..end].copy_from_slice(bytes);
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::binary::opcode;
    use crate::protocol::reply::text;

    fn tag(opcode: u8) -> Tag {
        Tag { opcode, opaque: *b"opaq" }
    }

    /// What `write` writes into a buffer of exactly the length it needs, which it must return.
    #[track_caller]
    fn written(len: usize, write: impl Fn(&mut [u8]) -> usize) -> Vec<u8> {
        let mut out = vec![b'#'; len];
        assert_eq!(write(&mut out), len);
        out
    }

    #[test]
    fn a_success_is_a_header() {
        let out = written(HEADER_LEN, |out| write_done(out, tag(opcode::SETQ), 0x0102_0304_0506_0708));
        assert_eq!(out, b"\x81\x11\0\0\0\0\0\0\0\0\0\0opaq\x01\x02\x03\x04\x05\x06\x07\x08");
    }

    #[test]
    fn a_hit_counts_the_value_that_follows() {
        for (opcode, key_in_answer) in [
            (opcode::GET, &b""[..]),
            (opcode::GATQ, b""),
            (opcode::GETK, b"key"),
            (opcode::GETKQ, b"key"),
            (opcode::GATK, b"key"),
            (opcode::GATKQ, b"key"),
        ] {
            let (key_len, value_len) = (key_in_answer.len() as u8, 70_000u32);
            let body_len = (4 + u32::from(key_len) + value_len).to_be_bytes();
            let expected = [
                &[0x81, opcode, 0, key_len, 4, 0, 0, 0][..],
                &body_len,
                b"opaq\0\0\0\0\0\0\0\x09\xde\xad\xbe\xef",
                key_in_answer,
            ];
            let out = written(28 + key_in_answer.len(), |out| {
                write_hit_head(out, tag(opcode), 0xdead_beef, b"key", value_len, 9)
            });
            assert_eq!(out, expected.concat());
        }
        assert_eq!(hit_head_len_max(3), 31);
    }

    #[test]
    fn a_touch_answers_flags_alone() {
        let out = written(28, |out| write_hit_head(out, tag(opcode::TOUCH), 7, b"key", 0, 1));
        assert_eq!(out, b"\x81\x1c\0\0\x04\0\0\0\0\0\0\x04opaq\0\0\0\0\0\0\0\x01\0\0\0\x07");
    }

    #[test]
    fn a_miss_carries_the_key_or_a_text() {
        let out = written(27, |out| write_miss(out, tag(opcode::GETK), b"key"));
        assert_eq!(out, b"\x81\x0c\0\x03\0\0\0\x01\0\0\0\x03opaq\0\0\0\0\0\0\0\0key");
        let out = written(33, |out| write_miss(out, tag(opcode::GAT), b"key"));
        assert_eq!(out, b"\x81\x1d\0\0\0\0\0\x01\0\0\0\x09opaq\0\0\0\0\0\0\0\0Not found");
    }

    #[test]
    fn a_number_is_eight_bytes() {
        let out = written(NUMBER_LEN, |out| write_number(out, tag(opcode::INCREMENT), u64::MAX - 1, 3));
        assert_eq!(out[..12], *b"\x81\x05\0\0\0\0\0\0\0\0\0\x08");
        assert_eq!(out[16..], *b"\0\0\0\0\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff\xfe");
    }

    #[test]
    fn errors_are_status_and_text() {
        for (opcode, status, code, text) in [
            (opcode::GET, Status::NotFound, 0x01, &b"Not found"[..]),
            (opcode::ADDQ, Status::Exists, 0x02, b"Data exists for key."),
            (opcode::SET, Status::TooLarge, 0x03, b"Too large."),
            (opcode::GET, Status::Invalid, 0x04, b"Invalid arguments"),
            (opcode::APPEND, Status::NotStored, 0x05, b"Not stored."),
            (opcode::DECREMENTQ, Status::NonNumeric, 0x06, b"Non-numeric server-side value for incr or decr"),
            (opcode::SASL_AUTH, Status::AuthError, 0x20, b"Auth failure."),
            (opcode::SASL_AUTH, Status::AuthContinue, 0x21, b""),
            (0x1b, Status::UnknownCommand, 0x81, b"Unknown command"),
            (opcode::SETQ, Status::OutOfMemory, 0x82, b"Out of memory allocating item"),
            (opcode::PREPEND, Status::OutOfMemory, 0x82, b"Out of memory allocating item"),
            (opcode::INCREMENT, Status::OutOfMemory, 0x82, b"Out of memory incrementing value"),
            (opcode::SASL_STEP, Status::OutOfMemory, 0x82, b"Out of memory"),
        ] {
            let out = written(HEADER_LEN + text.len(), |out| write_error(out, tag(opcode), status));
            let expected = [
                &[0x81, opcode, 0, 0, 0, 0, 0, code, 0, 0, 0, text.len() as u8][..],
                b"opaq\0\0\0\0\0\0\0\0",
                text,
            ];
            assert_eq!(out, expected.concat());
            assert!(out.len() <= ERROR_LEN_MAX);
        }
    }

    #[test]
    fn the_version_is_that_of_the_text_protocol() {
        assert_eq!([b"VERSION ", VERSION, b"\r\n"].concat(), text::VERSION);
        let out = written(30, |out| write_text(out, tag(opcode::VERSION), Status::Ok, VERSION));
        assert_eq!(out, b"\x81\x0b\0\0\0\0\0\0\0\0\0\x06opaq\0\0\0\0\0\0\0\x001.6.45");
    }

    /// The lines of a report, written as packets.
    fn packets(lines: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut all = Vec::new();
        for (name, value) in lines {
            all.extend([0x81, opcode::STAT, 0, name.len() as u8, 0, 0, 0, 0]);
            all.extend(((name.len() + value.len()) as u32).to_be_bytes());
            all.extend(b"opaq\0\0\0\0\0\0\0\0");
            all.extend_from_slice(name);
            all.extend_from_slice(value);
        }
        all
    }

    #[test]
    fn a_report_is_a_packet_a_line_and_an_empty_one() {
        let report =
            b"STAT pid 17\r\nSTAT version 1.6.45\r\nSTAT inter \r\nSTAT bare\r\nSTAT a b c\r\nEND\r\n";
        let expected = packets(&[
            (b"pid", b"17"),
            (b"version", b"1.6.45"),
            (b"inter", b""),
            (b"bare", b""),
            (b"a", b"b c"),
            (b"", b""),
        ]);
        assert_eq!(stats_from_text(report, tag(opcode::STAT)), expected);
        for nothing in [&b"END\r\n"[..], b"RESET\r\n", b"OK\r\n", b""] {
            assert_eq!(stats_from_text(nothing, tag(opcode::STAT)), packets(&[(b"", b"")]));
        }
    }

    #[test]
    fn a_report_that_is_an_error_is_not_found() {
        for error in ["ERROR\r\n", "CLIENT_ERROR bad command line\r\n", "SERVER_ERROR out of memory\r\n"] {
            let out = stats_from_text(error.as_bytes(), tag(opcode::STAT));
            assert_eq!(out, b"\x81\x10\0\0\0\0\0\x01\0\0\0\x09opaq\0\0\0\0\0\0\0\0Not found");
        }
    }
}
