//! Arithmetic on values that are decimal numbers.
//!
//! The value keeps its length, padded with spaces behind, unless the number outgrows it: then a new item takes
//! the old one's place, without its marks.

use super::item::{Head, state};
use super::{ArithRefusal, Arithmetic, Found, Key, Store};

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

impl Store {
    /// Changes a number. Returns the new one, and the item.
    pub fn arith(
        &mut self,
        key: Key<'_>,
        change: &Arithmetic,
        now_s: u32,
    ) -> Result<(u64, Found), ArithRefusal> {
        self.tick(now_s);
        let found = self.find_live(key).map(|loc| Found { loc }).map_err(|_| ArithRefusal::NotFound)?;
        let number = self.number_of(found, change.compare)?;
        let Arithmetic { delta, increment, .. } = *change;
        let number = if increment { number.wrapping_add(delta) } else { number.saturating_sub(delta) };
        let class = self.class_counters(found.loc);
        class.incr_hits += u64::from(increment);
        class.decr_hits += u64::from(!increment);
        let mut buffer = [0; DIGITS_MAX];
        let digits = format_number(number, &mut buffer);
        let fits = digits.len() <= self.slab.value_len(found.loc);
        let found = if fits && !self.slab.header(found.loc).is(state::PINNED) {
            self.rewrite(found, digits, change.cas)
        } else {
            self.outgrow(found, key, digits, change.cas)
        };
        let found = found.ok_or(ArithRefusal::NoMemory)?;
        if let Some(expires_s) = change.expires_s {
            self.set_expiry(found, expires_s);
        }
        Ok((number, found))
    }

    /// The number an item holds. Checks in memcached's order.
    fn number_of(&self, found: Found, compare: Option<u64>) -> Result<u64, ArithRefusal> {
        let item = self.item(found);
        let value = item.value().filter(|value| !value.is_empty()).ok_or(ArithRefusal::NonNumeric)?;
        if compare.is_some_and(|number| number != item.cas()) {
            return Err(ArithRefusal::Exists);
        }
        parse_number(value).ok_or(ArithRefusal::NonNumeric)
    }

    /// Writes the digits over the value, which is at least as long. None: there was no memory for the CAS
    /// number.
    fn rewrite(&mut self, found: Found, digits: &[u8], cas: Option<u64>) -> Option<Found> {
        let loc = self.renumber(found.loc, cas)?;
        let at = self.slab.arena.offset(loc) + self.slab.value_at(loc);
        let len = self.slab.value_len(loc);
        let value = self.slab.arena.bytes_mut(at, len);
        value[..digits.len()].copy_from_slice(digits);
        value[digits.len()..].fill(b' ');
        self.bump(loc);
        Some(Found { loc })
    }

    /// Puts a new item with the digits in the place of one that is too short or must not change.
    fn outgrow(&mut self, found: Found, key: Key<'_>, digits: &[u8], cas: Option<u64>) -> Option<Found> {
        let head = Head {
            key: key.bytes,
            flags: self.slab.flags(found.loc),
            expires_s: self.slab.header(found.loc).expires_s,
            marks: 0,
            cas: self.given(cas),
        };
        let mut upload = self.build(&head, digits.len(), Some(found.loc))?;
        upload.write(digits);
        let loc = self.end_upload(upload);
        self.substitute(found.loc, loc, key.hash);
        Some(Found { loc })
    }
}

/// memcached's numbers: white space, an optional `+`, digits below 2^64, then the end or white space and
/// anything.
fn parse_number(value: &[u8]) -> Option<u64> {
    let text = value.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ended = text.get(digits).is_none_or(u8::is_ascii_whitespace);
    if digits == 0 || !ended {
        return None;
    }
    text[..digits]
        .iter()
        .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// The decimal digits of a number, at the end of the buffer.
fn format_number(mut number: u64, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_memcached_reads_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("  +7 ", Some(7)),
            ("12 apples", Some(12)),
            ("0018446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("0x10", None),
            ("", None),
            ("+", None),
            ("5a", None),
        ] {
            assert_eq!(parse_number(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_plainly() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(format_number(number, &mut [0; DIGITS_MAX]), number.to_string().as_bytes());
        }
    }
}
