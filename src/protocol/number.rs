//! Numbers: decimal text to integers, strict and lenient, and integers to decimal text.
//!
//! memcached reads most numbers strictly (digits, and `-` where a negative makes sense) but the flags and expiration
//! time of a storage command with C's `strtol`, which clients may lean on: that is the lenient reading.

/// Digits of the largest `u64`.
pub const U64_DIGITS_MAX: usize = 20;

/// Reads an unsigned number: digits only, at least one, any number of leading zeros. `None` also when it is above 2^64-1.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    // As many digits as can never overflow are read without asking each time.
    let (safe, rest) = text.split_at(text.len().min(U64_DIGITS_MAX - 1));
    let mut value = 0;
    for &byte in safe {
        value = value * 10 + digit(byte)?;
    }
    for &byte in rest {
        value = value.checked_mul(10)?.checked_add(digit(byte)?)?;
    }
    Some(value)
}

/// Reads an unsigned 32-bit number, as [`parse_u64`] does.
#[inline]
pub fn parse_u32(text: &[u8]) -> Option<u32> {
    u32::try_from(parse_u64(text)?).ok()
}

/// Reads a signed number: an optional `-`, then as [`parse_u64`]. `None` also when it does not fit 64 bits.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => 0i64.checked_sub_unsigned(parse_u64(digits)?),
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Reads a signed number as `strtol` would: white space round it and a `+` before it are allowed.
#[inline]
pub fn parse_lenient_i64(text: &[u8]) -> Option<i64> {
    if let Some(value) = parse_u64(text) {
        return i64::try_from(value).ok();
    }
    match text.trim_ascii() {
        [b'+', digits @ ..] => i64::try_from(parse_u64(digits)?).ok(),
        signed => parse_i64(signed),
    }
}

#[inline]
fn digit(byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

/// "00" to "99", so that two digits are written at a time.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// Writes `value` in decimal at the start of `out` and returns how many bytes that took, at most [`U64_DIGITS_MAX`].
///
/// # Panics
/// If `out` is shorter than the number.
#[inline]
pub fn write_u64(out: &mut [u8], mut value: u64) -> usize {
    let len = value.checked_ilog10().unwrap_or(0) as usize + 1;
    let digits = &mut out[..len];
    let mut at = len;
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        digits[..2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        digits[0] = b'0' + value as u8;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strict_numbers_are_digits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("0000000000018446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("", None),
            ("-1", None),
            ("-0", None),
            ("+1", None),
            ("1x", None),
            ("\t1", None),
            ("0x10", None),
            ("123456789012345678:", None),
        ] {
            assert_eq!(parse_u64(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(parse_u32(b"4294967295"), Some(u32::MAX));
        assert_eq!(parse_u32(b"4294967296"), None);
    }

    #[test]
    fn signed_numbers_take_a_minus() {
        for (text, expected) in [
            ("-1", Some(-1)),
            ("-0", Some(0)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9223372036854775809", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-", None),
            ("--1", None),
            ("+1", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn lenient_numbers_take_white_space_and_plus() {
        for (text, expected) in [
            ("1", Some(1)),
            ("+1", Some(1)),
            ("\t1", Some(1)),
            ("1\t", Some(1)),
            ("\t-1", Some(-1)),
            ("\t+1\r", Some(1)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("+-1", None),
            ("+", None),
            ("\t", None),
            ("", None),
            ("1\tx", None),
            ("1x", None),
        ] {
            assert_eq!(parse_lenient_i64(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn every_length_is_written_at_its_edges() {
        let mut power = 1u64;
        loop {
            for value in [power - 1, power, power + 1] {
                check_write(value);
            }
            let Some(next) = power.checked_mul(10) else { break };
            power = next;
        }
        check_write(u64::MAX);
    }

    fn check_write(value: u64) {
        let mut out = [b'#'; U64_DIGITS_MAX + 1];
        let len = write_u64(&mut out, value);
        assert_eq!(&out[..len], value.to_string().as_bytes());
        assert_eq!(out[len], b'#', "wrote past the number {value}");
    }

    proptest! {
        #[test]
        fn written_numbers_equal_std_and_read_back(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            check_write(value);
            prop_assert_eq!(parse_u64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn signed_numbers_read_as_std_does(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
            prop_assert_eq!(parse_lenient_i64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn any_text_reads_as_std_does(text in "[+-]?[0-9]{0,22}") {
            let strict = text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
            prop_assert_eq!(parse_u64(text.as_bytes()), strict);
            prop_assert_eq!(parse_lenient_i64(text.as_bytes()), text.parse::<i64>().ok());
        }
    }
}
