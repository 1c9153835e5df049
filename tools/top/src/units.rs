//! Numbers as people read them, in few columns. Absent ones are a `-`.

/// What stands for a number that is not known.
pub const ABSENT: &str = "-";

/// What `show` makes of a number, if there is one.
pub fn or_absent<T>(number: Option<T>, show: impl Fn(T) -> String) -> String {
    number.map_or_else(|| ABSENT.to_string(), show)
}

/// A count, with commas: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: `0.5`, `99.9`, `1,234`.
pub fn rate(per_s: f64) -> String {
    if per_s < 99.95 { format!("{per_s:.1}") } else { count(per_s.round() as u64) }
}

/// A part of a whole: `93.2 %`.
pub fn percent(ratio: f64) -> String {
    format!("{:.1} %", 100.0 * ratio)
}

/// Bytes: `512 B`, `1.5 KiB`, `64.0 MiB`, `147 MiB`.
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"])
}

/// Microseconds: `12.8us`, `404us`, `5.3ms`, `1.2s`.
pub fn micros(us: f64) -> String {
    scaled(us, 1000.0, &["us", "ms", "s"])
}

/// Seconds, as the two largest of days, hours, minutes and seconds: `3d 4h`, `5m 1s`, `12s`.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// The number in the unit that leaves fewest digits before the point; the first unit is not divided.
fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let (mut number, mut unit) = (number, 0);
    // Rounding must not make a whole step.
    while number >= step - 0.5 && unit + 1 < units.len() {
        number /= step;
        unit += 1;
    }
    let is_whole = number >= 99.95 || (unit == 0 && number.fract() == 0.0);
    let unit = units.get(unit).copied().unwrap_or_default();
    if is_whole { format!("{number:.0}{unit}") } else { format!("{number:.1}{unit}") }
}

/// A bar of `width` places for a part of a whole: `||||    `.
pub fn bar(ratio: f64, width: usize) -> String {
    let full = (ratio.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("{:<width$}", "|".repeat(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.04, 99.94, 99.96, 1234.4].map(rate), ["0.0", "0.0", "99.9", "100", "1,234"]);
        assert_eq!([0.0, 0.9321, 1.0].map(percent), ["0.0 %", "93.2 %", "100.0 %"]);
        let (mib, pib) = (1_048_576.0, 1.8e19);
        assert_eq!(
            [0.0, 512.0, 1023.99, 1536.0, 64.0 * mib, pib].map(bytes),
            ["0 B", "512 B", "1.0 KiB", "1.5 KiB", "64.0 MiB", "15987 PiB"]
        );
        assert_eq!(
            [0.5, 12.79, 999.96, 5275.64, 1_234_567.8, 9e9].map(micros),
            ["0.5us", "12.8us", "1.0ms", "5.3ms", "1.2s", "9000s"]
        );
        assert_eq!([0, 59, 61, 3600, 90_000].map(duration), ["0s", "59s", "1m 1s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn bars_have_their_width() {
        assert_eq!(
            [0.0, 0.5, 1.0, 7.0, -1.0].map(|ratio| bar(ratio, 4)),
            ["    ", "||  ", "||||", "||||", "    "]
        );
        assert_eq!(bar(f64::NAN, 2), "  ");
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        assert_eq!(or_absent(None, count), "-");
        assert_eq!(or_absent(Some(0), count), "0");
    }
}
