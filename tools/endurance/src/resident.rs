//! Whether resident memory is flat. It is read once in each cycle, in the same state; the first readings are the warm-up. The rest is
//! divided into three parts, and the medians of the parts may differ by 1 %: what grows by some 2 % in that time sets the last part apart
//! from the first, and a single reading in which the kernel had taken a page away or not does not. A short run ends inside of what a long one
//! takes for warm-up, while blocks are still touched for the first time: there they may differ by 1.5 %, which growth of 4 % exceeds.

/// Parts that are compared.
const PARTS: usize = 3;
/// Readings that are the warm-up: so many, but no more than half, or a part of all if that is more.
const WARM_UP: usize = 6;
const WARM_UP_PART: usize = 3;
/// What the medians of the parts may differ by.
const TOLERANCE_PERCENT: f64 = 1.0;
/// The same of fewer readings than [`FEW`].
const TOLERANCE_OF_FEW_PERCENT: f64 = 1.5;
const FEW: usize = 60;

/// What came of the readings.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The medians differ by so many percent.
    Flat(f64),
    /// They differ by more than they may.
    NotFlat(f64),
    /// There were too few readings to tell.
    TooFew,
}

/// The middle one; 0 of none.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Of one reading for each cycle, in bytes.
pub fn verdict(readings: &[u64]) -> Verdict {
    let warm_up = WARM_UP.min(readings.len() / 2).max(readings.len() / WARM_UP_PART);
    let warm = &readings[warm_up..];
    if warm.len() < PARTS {
        return Verdict::TooFew;
    }
    let part = |i: usize| median(warm[i * warm.len() / PARTS..(i + 1) * warm.len() / PARTS].to_vec());
    let parts: Vec<u64> = (0..PARTS).map(part).collect();
    let (low, high) = parts.iter().fold((u64::MAX, 0), |(low, high), &of| (low.min(of), high.max(of)));
    let differ_percent = (high - low) as f64 * 100.0 / median(parts) as f64;
    let tolerance_percent = if readings.len() < FEW { TOLERANCE_OF_FEW_PERCENT } else { TOLERANCE_PERCENT };
    if differ_percent <= tolerance_percent {
        Verdict::Flat(differ_percent)
    } else {
        Verdict::NotFlat(differ_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_noise() {
        let noisy: Vec<u64> = (0..30).map(|i| 100_000 + i * 7919 % 300).collect();
        assert!(matches!(verdict(&noisy), Verdict::Flat(_)), "{:?}", verdict(&noisy));
        let mut outlier = noisy.clone();
        outlier[20] = 150_000;
        assert!(matches!(verdict(&outlier), Verdict::Flat(_)));
        let growing = |by: u64, len: u64| -> Vec<u64> { (0..len).map(|i| 100_000 + i * by / len).collect() };
        assert!(matches!(verdict(&growing(3_000, 200)), Verdict::NotFlat(percent) if percent > 1.0));
        assert!(matches!(verdict(&growing(4_500, 16)), Verdict::NotFlat(percent) if percent > 1.5));
        assert!(matches!(verdict(&growing(2_500, 16)), Verdict::Flat(_)));
        let warming: Vec<u64> = [10, 60_000, 90_000, 95_000].into_iter().chain([100_000; 6]).collect();
        assert_eq!(verdict(&warming), Verdict::Flat(0.0));
    }

    #[test]
    fn too_few_readings_are_no_verdict() {
        assert_eq!(verdict(&[]), Verdict::TooFew);
        assert_eq!(verdict(&[1, 2, 3, 3]), Verdict::TooFew);
        assert_eq!(verdict(&[1, 2, 3, 3, 3]), Verdict::Flat(0.0));
    }
}
