//! What is drawn at random: which key, how large a value. Distributions are given as words on the command line.

use std::str::FromStr;

use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::Zipf;

/// Longest value.
pub const VALUE_LEN_MAX: u32 = 64 << 20;
/// Most entries of a weighted list.
pub const LIST_MAX: usize = 64;

/// How often each key is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Popularity {
    /// All alike.
    Uniform,
    /// Key number i as often as 1 / (i + 1)^s.
    Zipf(f64),
}

impl FromStr for Popularity {
    type Err = String;

    fn from_str(words: &str) -> Result<Popularity, String> {
        let skew = match words {
            "uniform" => return Ok(Popularity::Uniform),
            "zipf" => "0.99", // of YCSB
            _ => words.strip_prefix("zipf:").ok_or("uniform, zipf or zipf:SKEW")?,
        };
        match skew.parse() {
            Ok(skew) if (0.01..=10.0).contains(&skew) => Ok(Popularity::Zipf(skew)),
            _ => Err(format!("'{skew}': the skew is a number from 0.01 to 10")),
        }
    }
}

/// Draws keys.
#[derive(Clone, Copy, Debug)]
pub enum KeyDraw {
    /// Of so many keys, all alike.
    Uniform(u32),
    /// By rejection-inversion (Hörmann and Derflinger 1996), which is exact and needs no table.
    Zipf(Zipf<f64>),
}

impl KeyDraw {
    /// Draws of `count` keys, at least 1.
    pub fn new(popularity: Popularity, count: u32) -> KeyDraw {
        match popularity {
            Popularity::Uniform => KeyDraw::Uniform(count),
            // Both numbers are within what the distribution takes.
            Popularity::Zipf(skew) => {
                Zipf::new(f64::from(count), skew).map_or(KeyDraw::Uniform(count), KeyDraw::Zipf)
            }
        }
    }

    /// The number of a key.
    #[inline]
    pub fn draw(&self, random: &mut SmallRng) -> u32 {
        match self {
            KeyDraw::Uniform(count) => random.random_range(0..*count),
            KeyDraw::Zipf(zipf) => random.sample(zipf) as u32 - 1,
        }
    }
}

/// How long values are.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// All alike.
    Fixed(u32),
    /// From the first to the second, all alike.
    Range(u32, u32),
    /// Lengths, and the sum of the weights up to each.
    List(Vec<(u32, u32)>),
    /// As in Facebook's pool ETC: a generalised Pareto distribution (Atikoglu et al., Workload Analysis of a Large-Scale
    /// Key-Value Store, SIGMETRICS 2012, section 5.1), at most [`ETC_MAX`].
    Etc,
}

/// Scale and shape of [`Sizes::Etc`].
const ETC: (f64, f64) = (214.476, 0.348_238);
/// The largest value of [`Sizes::Etc`].
const ETC_MAX: u32 = 1_000_000;

impl Sizes {
    /// A length in bytes.
    #[inline]
    pub fn draw(&self, random: &mut SmallRng) -> u32 {
        match self {
            Sizes::Fixed(len) => *len,
            Sizes::Range(least, most) => random.random_range(*least..=*most),
            Sizes::List(list) => {
                let total = list.last().map_or(1, |entry| entry.1);
                let drawn = random.random_range(0..total);
                list.iter().find(|entry| drawn < entry.1).map_or(0, |entry| entry.0)
            }
            Sizes::Etc => {
                let (scale, shape) = ETC;
                let rest: f64 = 1.0 - random.random::<f64>(); // from 0, exclusive, to 1
                ((scale * (rest.powf(-shape) - 1.0) / shape) as u32 + 1).min(ETC_MAX)
            }
        }
    }

    /// The longest there may be.
    pub fn max(&self) -> u32 {
        match self {
            Sizes::Fixed(len) | Sizes::Range(_, len) => *len,
            Sizes::List(list) => list.iter().map(|entry| entry.0).max().unwrap_or(0),
            Sizes::Etc => ETC_MAX,
        }
    }

    /// The mean, in bytes.
    pub fn mean(&self) -> u32 {
        match self {
            Sizes::Fixed(len) => *len,
            Sizes::Range(least, most) => least.midpoint(*most),
            Sizes::List(list) => {
                let weights = std::iter::once(0).chain(list.iter().map(|entry| entry.1));
                let parts = list
                    .iter()
                    .zip(weights)
                    .map(|(&(len, sum), before)| u64::from(len) * u64::from(sum - before));
                (parts.sum::<u64>() / u64::from(list.last().map_or(1, |entry| entry.1))) as u32
            }
            Sizes::Etc => (ETC.0 / (1.0 - ETC.1)) as u32,
        }
    }
}

fn length(word: &str) -> Result<u32, String> {
    match word.parse() {
        Ok(len) if len <= VALUE_LEN_MAX => Ok(len),
        _ => Err(format!("'{word}': a length is a number of bytes up to {VALUE_LEN_MAX}")),
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(words: &str) -> Result<Sizes, String> {
        if words == "etc" {
            return Ok(Sizes::Etc);
        }
        if let Some((least, most)) = words.split_once('-') {
            let (least, most) = (length(least)?, length(most)?);
            return if least <= most {
                Ok(Sizes::Range(least, most))
            } else {
                Err("MIN-MAX: the smaller first".into())
            };
        }
        if !words.contains(':') {
            return length(words).map(Sizes::Fixed);
        }
        let (mut list, mut sum) = (Vec::new(), 0_u32);
        for entry in words.split(',') {
            let (len, weight) = entry.split_once(':').ok_or_else(|| format!("'{entry}': BYTES:WEIGHT"))?;
            let weight =
                weight.parse::<u16>().map_err(|_| format!("'{weight}': a weight is a number up to 65535"))?;
            sum += u32::from(weight);
            list.push((length(len)?, sum));
        }
        match (sum, list.len()) {
            (0, _) => Err("all weights are 0".into()),
            (_, LIST_MAX..) => Err(format!("more than {} lengths", LIST_MAX - 1)),
            _ => Ok(Sizes::List(list)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn random() -> SmallRng {
        SmallRng::seed_from_u64(1)
    }

    #[test]
    fn words_are_understood_or_refused_with_a_reason() {
        assert_eq!("zipf:1.2".parse(), Ok(Popularity::Zipf(1.2)));
        assert_eq!("zipf".parse(), Ok(Popularity::Zipf(0.99)));
        assert!("zipf:-1".parse::<Popularity>().is_err_and(|error| error.contains("-1")));
        assert!("normal".parse::<Popularity>().is_err());
        assert_eq!("100".parse(), Ok(Sizes::Fixed(100)));
        assert_eq!("10-20".parse(), Ok(Sizes::Range(10, 20)));
        assert_eq!("10:1,1000:3".parse(), Ok(Sizes::List(vec![(10, 1), (1000, 4)])));
        for wrong in ["", "x", "-5", "20-10", "10:1,7", "10:0", "99999999999", "10:99999"] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_the_mean_they_say() {
        for words in ["100", "50-150", "10:1,1000:3", "etc"] {
            let sizes: Sizes = words.parse().expect("sizes");
            let mut random = random();
            let drawn: Vec<u32> = (0..100_000).map(|_| sizes.draw(&mut random)).collect();
            let mean = drawn.iter().map(|&len| f64::from(len)).sum::<f64>() / drawn.len() as f64;
            assert!((mean / f64::from(sizes.mean()) - 1.0).abs() < 0.03, "{words}: {mean}, {}", sizes.mean());
            assert!(drawn.iter().all(|&len| len <= sizes.max()));
        }
    }

    #[test]
    fn zipf_has_a_favourite_and_uniform_none() {
        let share = |popularity| {
            let (draw, mut random) = (KeyDraw::new(popularity, 100), random());
            let drawn: Vec<u32> = (0..100_000).map(|_| draw.draw(&mut random)).collect();
            assert!(drawn.iter().all(|&id| id < 100));
            drawn.iter().filter(|&&id| id == 0).count()
        };
        // The first of 100 has 1 / (1 + 1/2 + ... + 1/100) = 19.3 % of the draws.
        let favourite = share(Popularity::Zipf(1.0));
        assert!((18_800..19_800).contains(&favourite), "{favourite}");
        let any = share(Popularity::Uniform);
        assert!((850..1150).contains(&any), "{any}");
    }
}
