//! What must come out of an operation on one item: the store's rules once more, on plain values.

use super::super::model::Random;
use super::super::{ArithRefusal, Arithmetic, Mode, Refusal, Write};

/// `item_size_max` of the stores under test.
pub const ITEM_SIZE_MAX: usize = 24 << 10;

/// An item as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub flags: u32,
    pub expires_s: u32,
    /// None: the store chose the number, and nobody has looked yet.
    pub cas: Option<u64>,
    pub marks: Marks,
}

/// What readers and clients have marked on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub stale: bool,
    pub win_sent: bool,
    pub binary_key: bool,
}

/// `key_len_max` of the stores under test: what a chunk of 4 KiB holds beside the header and every extra.
pub const KEY_LEN_MAX: usize = 4096 - 49;

/// memcached's test against `-I`, and the store's of the key.
pub fn too_large(key: &[u8], flags: u32, value_len: usize) -> bool {
    key.len() > KEY_LEN_MAX
        || 48 + 8 + key.len() + 1 + if flags != 0 { 4 } else { 0 } + value_len + 2 > ITEM_SIZE_MAX
}

/// A write of any kind; sometimes it compares with the number of the `old` item or one near it.
pub fn random_write(random: &mut Random, old: Option<&Entry>, expires_s: u32) -> Write {
    let mode = match random.below(10) {
        0 => Mode::Add,
        1 => Mode::Replace,
        2 => Mode::Append,
        3 => Mode::Prepend,
        _ => Mode::Set,
    };
    let flags = if random.below(3) == 0 { random.next() as u32 } else { 0 };
    let mut write = Write::new(mode, flags, expires_s);
    if random.below(3) == 0 {
        let cas = old.and_then(|old| old.cas).unwrap_or(3);
        write.compare = match random.below(5) {
            0 => Some(0),
            1 => Some(cas.saturating_sub(1)),
            2 => Some(cas.saturating_add(1)),
            _ => Some(cas),
        };
        write.invalidate = random.below(3) == 0;
    }
    write.cas = random_cas(random);
    write.stale = random.below(10) == 0;
    write.binary_key = random.below(5) == 0;
    write.vivify_s = (random.below(5) == 0).then_some(expires_s);
    write
}

/// Now and then a number for an operation to give.
pub fn random_cas(random: &mut Random) -> Option<u64> {
    match random.below(12) {
        0 => Some(random.next()),
        1 => Some(random.below(100_000)),
        _ => None,
    }
}

/// A plain write that cannot fail for what is there already.
pub fn is_plain_set(write: &Write) -> bool {
    write.mode == Mode::Set && write.compare.is_none()
}

/// What a write of `value` must make of the `old` item.
pub fn written(key: &[u8], old: Option<&Entry>, write: &Write, value: &[u8]) -> Result<Entry, Refusal> {
    let new = Entry {
        value: value.to_vec(),
        flags: write.flags,
        expires_s: write.expires_s,
        cas: write.cas,
        marks: Marks { stale: write.stale, win_sent: false, binary_key: write.binary_key },
    };
    let extends = matches!(write.mode, Mode::Append | Mode::Prepend);
    let Some(old) = old else {
        return match write.mode {
            Mode::Append | Mode::Prepend => {
                let expires_s = write.vivify_s.ok_or(Refusal::NotStored)?;
                Ok(Entry { expires_s, ..new })
            }
            Mode::Set | Mode::Replace if write.compare.is_some() => Err(Refusal::NotFound),
            Mode::Replace => Err(Refusal::NotStored),
            _ => Ok(new),
        };
    };
    if write.mode == Mode::Add {
        return Err(Refusal::NotStored);
    }
    if let Some(number) = write.compare {
        let cas = old.cas.expect("a number nobody has looked at");
        if number != 0 && number < cas && write.invalidate && !extends {
            let marks = Marks { stale: true, win_sent: old.marks.win_sent, ..new.marks };
            return Ok(Entry { expires_s: old.expires_s, marks, ..new });
        }
        if number == 0 || number != cas {
            return Err(Refusal::Exists);
        }
    }
    if !extends {
        return Ok(new);
    }
    let value = match write.mode {
        Mode::Append => [&old.value[..], value].concat(),
        _ => [value, &old.value[..]].concat(),
    };
    if too_large(key, old.flags, value.len()) {
        return Err(Refusal::NotStored);
    }
    Ok(Entry { value, cas: write.cas, marks: Marks::default(), ..*old })
}

/// The number an item must have after a change. A number behind a chain's head is none.
pub fn changed(old: Option<&Entry>, change: &Arithmetic, chained: bool) -> Result<u64, ArithRefusal> {
    let old = old.ok_or(ArithRefusal::NotFound)?;
    if old.value.is_empty() || chained {
        return Err(ArithRefusal::NonNumeric);
    }
    if change.compare.is_some_and(|number| Some(number) != old.cas) {
        return Err(ArithRefusal::Exists);
    }
    let text = String::from_utf8_lossy(&old.value);
    let word = text.split_ascii_whitespace().next().ok_or(ArithRefusal::NonNumeric)?;
    let number: u64 = word.parse().map_err(|_| ArithRefusal::NonNumeric)?;
    Ok(if change.increment { number.wrapping_add(change.delta) } else { number.saturating_sub(change.delta) })
}
