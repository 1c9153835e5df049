//! What was typed.

use clap::Parser;

/// Highest rate of items.
const RATE_MAX: u64 = 10_000_000;
/// Highest rate of bytes: 100 GB a second.
const BYTES_RATE_MAX: u64 = 100_000_000_000;

/// Copies the live items of one memcached-protocol server to another: values, flags and the rest of each item's time to live.
///
/// A key that the other server has already is left as it is. Neither server is stopped, and the first is only read.
#[derive(Parser, Debug)]
#[command(version)]
pub struct Args {
    /// The server to copy from: memcached 1.6 or ringcached
    #[arg(long, value_name = "HOST:PORT")]
    pub from: String,

    /// The server to copy to: memcached 1.6 or ringcached
    #[arg(long, value_name = "HOST:PORT")]
    pub to: String,

    /// Most items a second
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    pub rate: u64,

    /// Most bytes of values a second, in bytes or with k, m, g
    #[arg(long, value_name = "SIZE", default_value = "50m", value_parser = bytes_rate)]
    pub bytes_rate: u64,
}

/// Reads `4096`, `64k`, `50m` or `1g`.
fn bytes_rate(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, or one followed by k, m or g")?;
    let bytes = number.saturating_mul(factor);
    if !(1..=BYTES_RATE_MAX).contains(&bytes) {
        return Err(format!("from 1 to {BYTES_RATE_MAX} bytes a second"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_with_and_without_a_unit() {
        for (text, bytes) in [("4096", 4096), ("64k", 65_536), ("50m", 52_428_800), ("1g", 1 << 30)] {
            assert_eq!(bytes_rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "0", "-1", "1x", "1000000g", "99999999999999999999"] {
            assert!(bytes_rate(text).is_err(), "{text}");
        }
    }
}
