//! Answers of the meta commands: `<code>[ <bytes of value>]` and what the request's flags ask for, in the request's order.
//!
//! As in `reply`, writers put bytes at the start of the caller's buffer and return how many. Whether anything is answered
//! at all, with `q`, is the caller's to know.

use super::binary_key::{encode_key, key_text_len};
use super::meta_flags::{MetaFlags, OPAQUE_LEN_MAX};
use super::number::{U64_DIGITS_MAX, write_u64};
use super::reply::{CRLF, U32_DIGITS_MAX, put, put_number, write_number_line};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaCode {
    /// `HD`: done; no value follows.
    Done,
    /// `VA`: done; the length of the value and the value follow.
    Value,
    /// `EN`: `mg` and `me` found nothing.
    Miss,
    /// `NS`: not stored, because of what was or was not there.
    NotStored,
    /// `EX`: the item has another CAS.
    Exists,
    /// `NF`: the item to change is not there.
    NotFound,
}

impl MetaCode {
    fn bytes(self) -> &'static [u8] {
        match self {
            MetaCode::Done => b"HD",
            MetaCode::Value => b"VA",
            MetaCode::Miss => b"EN",
            MetaCode::NotStored => b"NS",
            MetaCode::Exists => b"EX",
            MetaCode::NotFound => b"NF",
        }
    }
}

/// An item, as far as an answer tells of it. For the answer of an `ms` it is the item stored; had it failed, `cas` is 0 and
/// `value_len` that of the data sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaItem<'a> {
    /// Decoded.
    pub key: &'a [u8],
    /// The key is shown as base64: the item was stored by an `ms` with `b`. In answers of `ms`, `md` and `ma`, the request
    /// has `b`.
    pub binary_key: bool,
    /// The client's own.
    pub flags: u32,
    /// After the command.
    pub cas: u64,
    /// Seconds left, of the time that [`MetaFlags::times`] says is told. `None` for an item that never expires.
    pub ttl_s: Option<u32>,
    /// Seconds since the last access before this one.
    pub last_access_age_s: u32,
    /// Whether it had been read before this command.
    pub hit_before: bool,
    /// Bytes.
    pub value_len: u32,
}

/// What `mg` says to clients that share the work of refreshing an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// `Z`: a client has been told before this command that the work is its own.
    pub win_sent: bool,
    /// `X`: the item is stale.
    pub stale: bool,
    /// `W`: the work is this client's.
    pub won: bool,
}

/// The most that [`write_hit`], [`write_miss`], [`write_number`] and [`write_debug`] write for a key of `key_len` bytes. That
/// is the answer of an `mg` that asks for everything about an item whose key is shown as base64.
pub const fn meta_line_len_max(key_len: usize) -> usize {
    let value = "VA ".len() + U32_DIGITS_MAX;
    let opaque = " O".len() + OPAQUE_LEN_MAX;
    let key = " k".len() + key_text_len(key_len) + " b".len();
    let cas = " c".len() + U64_DIGITS_MAX;
    let f_l_s_t = 4 * (" f".len() + U32_DIGITS_MAX);
    value + opaque + key + cas + f_l_s_t + " h1 Z X W\r\n".len()
}

/// Writes the answer about `item`, CR LF included, and returns its length. The value that follows [`MetaCode::Value`], and its
/// CR LF, are the caller's.
///
/// # Panics
/// If `out` is shorter than the answer; [`meta_line_len_max`] always suffices.
#[inline]
pub fn write_hit(
    out: &mut [u8],
    code: MetaCode,
    flags: &MetaFlags,
    item: &MetaItem<'_>,
    marks: Marks,
) -> usize {
    let mut at = put(out, 0, code.bytes());
    if code == MetaCode::Value {
        at = put_number(out, at, u64::from(item.value_len));
    }
    for letter in flags.ordered() {
        at = match letter {
            b'O' => put_opaque(out, at, flags),
            b'k' => put_key(out, at, item.key, item.binary_key),
            b'c' => put_flag(out, at, b" c", item.cas),
            b'f' => put_flag(out, at, b" f", u64::from(item.flags)),
            b'h' => put_flag(out, at, b" h", u64::from(item.hit_before)),
            b'l' => put_flag(out, at, b" l", u64::from(item.last_access_age_s)),
            b's' => put_flag(out, at, b" s", u64::from(item.value_len)),
            b't' => match item.ttl_s {
                Some(ttl_s) => put_flag(out, at, b" t", u64::from(ttl_s)),
                None => put(out, at, b" t-1"),
            },
            _ => at,
        };
    }
    for (mark, text) in [(marks.win_sent, b" Z"), (marks.stale, b" X"), (marks.won, b" W")] {
        if mark {
            at = put(out, at, text);
        }
    }
    put(out, at, CRLF)
}

/// Writes the answer of a command that has no item to tell of, CR LF included, and returns its length. `key` is decoded.
///
/// # Panics
/// If `out` is shorter than the answer; [`meta_line_len_max`] always suffices.
#[inline]
pub fn write_miss(out: &mut [u8], code: MetaCode, flags: &MetaFlags, key: &[u8]) -> usize {
    let mut at = put(out, 0, code.bytes());
    for letter in flags.ordered() {
        at = match letter {
            b'O' => put_opaque(out, at, flags),
            b'k' => put_key(out, at, key, flags.base64_key()),
            _ => at,
        };
    }
    put(out, at, CRLF)
}

/// Writes the answer of an `ma` that made the item's number `number`, the number itself included if asked for, and returns its
/// length. The length of the item's value is not read: padding is not shown.
///
/// # Panics
/// If `out` is shorter than the answer; [`meta_line_len_max`] always suffices.
pub fn write_number(out: &mut [u8], flags: &MetaFlags, item: &MetaItem<'_>, number: u64) -> usize {
    if !flags.wants_value() {
        return write_hit(out, MetaCode::Done, flags, item, Marks::default());
    }
    let value_len = write_u64(&mut [0; U64_DIGITS_MAX], number) as u32;
    let item = MetaItem { value_len, ..*item };
    let at = write_hit(out, MetaCode::Value, flags, &item, Marks::default());
    at + write_number_line(&mut out[at..], number)
}

/// Writes the answer of `me` about `item`, CR LF included, and returns its length. `class` is the number of its size class,
/// `item_len` all bytes it takes there.
///
/// # Panics
/// If `out` is shorter than the answer; [`meta_line_len_max`] always suffices.
pub fn write_debug(out: &mut [u8], item: &MetaItem<'_>, class: u32, item_len: u32) -> usize {
    let mut at = put(out, 0, b"ME ");
    at = put_key_text(out, at, item.key, item.binary_key);
    at = match item.ttl_s {
        Some(ttl_s) => put_flag(out, at, b" exp=", u64::from(ttl_s)),
        None => put(out, at, b" exp=-1"),
    };
    at = put_flag(out, at, b" la=", u64::from(item.last_access_age_s));
    at = put_flag(out, at, b" cas=", item.cas);
    at = put(out, at, if item.hit_before { b" fetch=yes" } else { b" fetch=no" });
    at = put_flag(out, at, b" cls=", u64::from(class));
    at = put_flag(out, at, b" size=", u64::from(item_len));
    put(out, at, CRLF)
}

/// Puts `name` and `value` at `at`; where they end.
#[inline]
fn put_flag(out: &mut [u8], at: usize, name: &[u8], value: u64) -> usize {
    let at = put(out, at, name);
    at + write_u64(&mut out[at..], value)
}

fn put_opaque(out: &mut [u8], at: usize, flags: &MetaFlags) -> usize {
    let at = put(out, at, b" O");
    put(out, at, flags.opaque())
}

fn put_key(out: &mut [u8], at: usize, key: &[u8], binary: bool) -> usize {
    let at = put(out, at, b" k");
    let at = put_key_text(out, at, key, binary);
    if binary { put(out, at, b" b") } else { at }
}

fn put_key_text(out: &mut [u8], at: usize, key: &[u8], binary: bool) -> usize {
    if binary { at + encode_key(&mut out[at..], key) } else { put(out, at, key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, Limits, parse};

    const ITEM: MetaItem<'_> = MetaItem {
        key: b"key",
        binary_key: false,
        flags: 5,
        cas: 77,
        ttl_s: Some(30),
        last_access_age_s: 4,
        hit_before: true,
        value_len: 100,
    };

    fn flags(line: &str) -> MetaFlags {
        match parse(line.as_bytes(), &Limits::default()) {
            Command::Meta(command) => command.flags,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    /// What `write` writes, and not a byte beyond.
    fn written(write: impl FnOnce(&mut [u8]) -> usize) -> String {
        let mut out = [b'#'; 1024];
        let len = write(&mut out);
        assert!(out[len..].iter().all(|&byte| byte == b'#'), "wrote past its answer");
        String::from_utf8_lossy(&out[..len]).into_owned()
    }

    #[test]
    fn hits_are_exact() {
        let never = MetaItem { ttl_s: None, hit_before: false, ..ITEM };
        let binary = MetaItem { key: b"\0\xff", binary_key: true, ..ITEM };
        let mark = |win_sent, stale, won| Marks { win_sent, stale, won };
        let none = Marks::default();
        for (code, line, item, marks, expected) in [
            (MetaCode::Done, "mg key", ITEM, none, "HD\r\n"),
            (MetaCode::Value, "mg key v", ITEM, none, "VA 100\r\n"),
            (MetaCode::Value, "mg key v s k", ITEM, none, "VA 100 s100 kkey\r\n"),
            (
                MetaCode::Done,
                "mg key s t f c h l k O123 q u",
                ITEM,
                none,
                "HD s100 t30 f5 c77 h1 l4 kkey O123\r\n",
            ),
            (MetaCode::Done, "mg key O h t T9", never, none, "HD O h0 t-1\r\n"),
            (MetaCode::Done, "mg key k t", binary, none, "HD kAP8= b t30\r\n"),
            // The item tells how its key is shown, not the request.
            (MetaCode::Done, "mg a2V5 b k", ITEM, none, "HD kkey\r\n"),
            (MetaCode::Done, "mg key", ITEM, mark(true, true, false), "HD Z X\r\n"),
            (MetaCode::Done, "mg key c", ITEM, mark(false, true, true), "HD c77 X W\r\n"),
            (MetaCode::Done, "mg key", ITEM, mark(true, true, true), "HD Z X W\r\n"),
            (MetaCode::Done, "ms key 2 f c h s k", ITEM, none, "HD c77 s100 kkey\r\n"),
            (
                MetaCode::NotStored,
                "ms key 2 c s O",
                MetaItem { cas: 0, value_len: 2, ..ITEM },
                none,
                "NS c0 s2 O\r\n",
            ),
            (MetaCode::Done, "md key c k O1", ITEM, none, "HD kkey O1\r\n"),
        ] {
            assert_eq!(written(|out| write_hit(out, code, &flags(line), &item, marks)), expected, "{line:?}");
        }
    }

    #[test]
    fn misses_are_exact() {
        for (code, line, key, expected) in [
            (MetaCode::Miss, "mg key s v t", &b"key"[..], "EN\r\n"),
            (MetaCode::Miss, "mg key v k c O7", b"key", "EN kkey O7\r\n"),
            (MetaCode::NotFound, "md a2V5 b O7 k", b"key", "NF O7 ka2V5 b\r\n"),
            (MetaCode::Exists, "ma key k c t", b"key", "EX kkey\r\n"),
            (MetaCode::Miss, "me key k", b"key", "EN\r\n"),
        ] {
            assert_eq!(written(|out| write_miss(out, code, &flags(line), key)), expected, "{line:?}");
        }
    }

    #[test]
    fn numbers_are_exact() {
        for (line, number, expected) in [
            ("ma key", 7, "HD\r\n"),
            ("ma key c t k", 7, "HD c77 t30 kkey\r\n"),
            ("ma key v", 0, "VA 1\r\n0\r\n"),
            ("ma key t v c", u64::MAX, "VA 20 t30 c77\r\n18446744073709551615\r\n"),
        ] {
            assert_eq!(written(|out| write_number(out, &flags(line), &ITEM, number)), expected, "{line:?}");
        }
    }

    #[test]
    fn debug_lines_are_exact() {
        assert_eq!(
            written(|out| write_debug(out, &ITEM, 3, 160)),
            "ME key exp=30 la=4 cas=77 fetch=yes cls=3 size=160\r\n"
        );
        let other = MetaItem { key: b"ab", binary_key: true, ttl_s: None, hit_before: false, ..ITEM };
        assert_eq!(
            written(|out| write_debug(out, &other, 1, 62)),
            "ME YWI= exp=-1 la=4 cas=77 fetch=no cls=1 size=62\r\n"
        );
    }

    #[test]
    fn the_longest_answers_take_what_is_promised() {
        const KEY_LEN: usize = 250;
        let item = MetaItem {
            key: &[0xff; KEY_LEN],
            binary_key: true,
            flags: u32::MAX,
            cas: u64::MAX,
            ttl_s: Some(u32::MAX),
            last_access_age_s: u32::MAX,
            hit_before: false,
            value_len: u32::MAX,
        };
        let mut out = [0; meta_line_len_max(KEY_LEN)];
        let all = flags(&format!("mg k v c f h k l s t O{}", "o".repeat(OPAQUE_LEN_MAX)));
        let marks = Marks { win_sent: true, stale: true, won: true };
        assert_eq!(write_hit(&mut out, MetaCode::Value, &all, &item, marks), out.len());
        assert!(write_debug(&mut out, &item, u32::MAX, u32::MAX) <= out.len());
        let number = flags(&format!("ma k v c k t O{}", "o".repeat(OPAQUE_LEN_MAX)));
        assert!(write_number(&mut out, &number, &item, u64::MAX) <= out.len());
    }
}
