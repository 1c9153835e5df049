//! The keys that are asked for most, at present: a summary of the sampled requests on the keys of one shard, in fixed memory.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT
//! 2005): a key that is not in the summary takes the place of the one with the lowest count, and inherits that count, as it
//! may have come that often unnoticed. So a count is never too low, too high at most by what was inherited (`over`), and any
//! key that makes up more than `1 / places` of the requests is there. The paper keeps all places sorted; here a key's hash
//! chooses one of [`GROUPS`] groups of [`WAYS`] places and each group is a summary of its own, as in a set-associative cache.
//! That takes no list and no heap, the bounds hold in each group for the requests on its keys, and a group's counts are
//! found in few cache lines.
//!
//! Counts fade: every second all of them, inherited ones too, are multiplied by [`FADE`], so they are sums over about the
//! last eight seconds and every bound stays true. (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009, for why
//! scaling all counts alike is allowed.) The seconds fade in the same way, so that count by seconds is a rate, from the first
//! second on.

use super::key_copy::KeyCopy;
use crate::store::Key;

/// Groups of places.
const GROUPS: usize = 64;

/// Places of a group.
const WAYS: usize = 8;

/// What is left of a count after a second. Half of it is gone after 5.2 seconds.
const FADE: f64 = 0.875;

/// Seconds without a request after which nothing is left of any count.
const FADED_S: u64 = 100;

/// Requests that must surely have come lately for a key to be reported.
const COUNT_MIN: f64 = 0.5;

const NS_PER_S: u64 = 1_000_000_000;

/// A key and how often it came.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    /// Requests, faded; never too low but by chance of the sampling. 0: the place is empty.
    count: f64,
    /// By how much it may be too high.
    over: f64,
}

const EMPTY: Place = Place { hash: 0, count: 0.0, over: 0.0 };

/// A key that is asked for often.
#[derive(Clone, Copy, Debug)]
pub struct HotKey {
    /// The key.
    pub key: KeyCopy,
    /// Requests a second.
    pub rate: f64,
    /// The true rate is in `rate - error ..= rate + error`, with a probability of 95 % where requests are sampled, else surely.
    pub error: f64,
}

/// See the module comment. Times are nanoseconds of one clock.
pub struct HotKeys {
    places: Box<[[Place; WAYS]]>,
    keys: Box<[[KeyCopy; WAYS]]>,
    /// Seconds that the counts are of, faded like them.
    seconds: f64,
    /// When counts were last faded.
    faded_ns: u64,
    /// What a sample stood for lately.
    weight: u32,
}

impl HotKeys {
    /// Bytes of memory.
    pub const BYTES: usize = GROUPS * WAYS * (size_of::<Place>() + size_of::<KeyCopy>());

    /// No request yet.
    pub fn new(now_ns: u64) -> HotKeys {
        HotKeys {
            places: vec![[EMPTY; WAYS]; GROUPS].into(),
            keys: vec![[KeyCopy::default(); WAYS]; GROUPS].into(),
            seconds: 0.0,
            faded_ns: now_ns,
            weight: 1,
        }
    }

    /// A request on `key` that stands for `weight` of them.
    pub fn note(&mut self, key: Key<'_>, weight: u32, now_ns: u64) {
        self.fade(now_ns);
        self.weight = weight;
        let group = (key.hash >> 32) as usize % GROUPS; // the low bits are the table's
        let places = &mut self.places[group];
        let (mut way, mut least) = (0, f64::INFINITY);
        for (n, place) in places.iter_mut().enumerate() {
            if place.hash == key.hash && place.count > 0.0 {
                place.count += f64::from(weight);
                return;
            }
            if place.count < least {
                (way, least) = (n, place.count);
            }
        }
        places[way] = Place { hash: key.hash, count: least + f64::from(weight), over: least };
        self.keys[group][way] = KeyCopy::of(key.bytes);
    }

    /// Lets counts fade for every second that has passed.
    fn fade(&mut self, now_ns: u64) {
        let passed_s = now_ns.saturating_sub(self.faded_ns) / NS_PER_S;
        if passed_s == 0 {
            return;
        }
        self.faded_ns += passed_s * NS_PER_S;
        let steps = passed_s.min(FADED_S) as i32;
        let factor = if passed_s < FADED_S { FADE.powi(steps) } else { 0.0 };
        for place in self.places.iter_mut().flatten() {
            place.count *= factor;
            place.over *= factor;
        }
        for _ in 0..steps {
            self.seconds = (self.seconds + 1.0) * FADE;
        }
    }

    /// Forgets all.
    pub fn clear(&mut self, now_ns: u64) {
        self.places.fill([EMPTY; WAYS]);
        (self.seconds, self.faded_ns) = (0.0, now_ns);
    }

    /// The `most` keys with the highest rates, highest first.
    pub fn top(&mut self, most: usize, now_ns: u64) -> Vec<HotKey> {
        if most == 0 {
            return Vec::new(); // every report asks, most for none
        }
        self.fade(now_ns);
        let places = self.places.iter().flatten().zip(self.keys.iter().flatten());
        let mut top: Vec<_> = places.filter(|(place, _)| place.count - place.over >= COUNT_MIN).collect();
        top.sort_by(|(a, _), (b, _)| b.count.total_cmp(&a.count));
        top.truncate(most);
        // Of the first moments no rate can be told; a tenth of a second is enough not to divide by nothing.
        let seconds =
            (self.seconds + (now_ns.saturating_sub(self.faded_ns)) as f64 / NS_PER_S as f64).max(0.1);
        let unseen = f64::from(self.weight - 1); // requests for each sample that were not looked at
        let hot = |(place, key): (&Place, &KeyCopy)| {
            // What is inherited may be all wrong or all right, so half of it either way. Samples of a key come by chance:
            // with n of them the count n * weight has the variance n * weight * (weight - 1).
            let by_chance = 2.0 * (place.count * unseen).sqrt();
            HotKey {
                key: *key,
                rate: (place.count - place.over / 2.0) / seconds,
                error: (place.over / 2.0 + by_chance) / seconds,
            }
        };
        top.into_iter().map(hot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::telemetry::sampler::Sampler;
    use crate::store::Hasher;
    use std::collections::HashMap;

    /// Plays `requests`, numbers of keys, at `rate` a second through a sampler.
    struct Player {
        hasher: Hasher,
        sampler: Sampler,
        hot: HotKeys,
        now_ns: u64,
    }

    impl Player {
        fn new() -> Player {
            Player {
                hasher: Hasher::with_seeds([1, 2, 3, 4]),
                sampler: Sampler::default(),
                hot: HotKeys::new(0),
                now_ns: 0,
            }
        }

        fn play(&mut self, requests: impl Iterator<Item = u64>, rate: u64) {
            for number in requests {
                self.now_ns += NS_PER_S / rate;
                if self.sampler.is_due() {
                    let key = number.to_string();
                    let weight = self.sampler.draw(self.now_ns);
                    let key = Key { bytes: key.as_bytes(), hash: self.hasher.hash(key.as_bytes()) };
                    self.hot.note(key, weight, self.now_ns);
                }
            }
        }

        fn top(&mut self, most: usize) -> Vec<(u64, f64, f64)> {
            let number = |key: &KeyCopy| {
                std::str::from_utf8(key.bytes()).expect("digits").parse().expect("the key is a number")
            };
            self.hot
                .top(most, self.now_ns)
                .iter()
                .map(|hot| (number(&hot.key), hot.rate, hot.error))
                .collect()
        }
    }

    /// Keys from 1 on, the k-th asked for in proportion to 1/k.
    fn zipf(keys: usize, seed: u64) -> impl Iterator<Item = u64> {
        let mut sums = vec![0.0];
        for k in 1..=keys {
            sums.push(sums[k - 1] + 1.0 / k as f64);
        }
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(move || {
            let at = random.f64() * sums[keys];
            sums.partition_point(|sum| *sum <= at) as u64
        })
    }

    #[test]
    fn zipf_load_gives_its_first_keys_with_rates_within_the_error() {
        const KEYS: usize = 1_000_000;
        const RATE: u64 = 100_000;
        let mut player = Player::new();
        player.play(zipf(KEYS, 7).take(10 * RATE as usize), RATE);
        let top = player.top(10);
        let mut numbers: Vec<_> = top.iter().map(|(number, ..)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>(), "{top:?}");
        let harmonic: f64 = (1..=KEYS).map(|k| 1.0 / k as f64).sum();
        let true_rate = |number: u64| RATE as f64 / (number as f64 * harmonic);
        let within = top.iter().filter(|(n, rate, error)| (rate - true_rate(*n)).abs() <= *error).count();
        assert!(within >= 8, "{within} of 10 within the error: {top:?}");
        assert!(top.iter().all(|(_, rate, error)| *error < rate / 5.0), "{top:?}");
    }

    #[test]
    fn without_sampling_counts_hold_their_bounds() {
        // 7,000 requests a second, so each is a sample; far more keys than places.
        let mut player = Player::new();
        let requests: Vec<u64> = zipf(100_000, 3).take(7_000).collect();
        let mut truth: HashMap<u64, f64> = HashMap::new();
        requests.iter().for_each(|n| *truth.entry(*n).or_default() += 1.0);
        player.play(requests.into_iter().take(6_999), 7_000);
        for (number, rate, error) in player.top(100) {
            let there = truth[&number] / (player.now_ns as f64 / NS_PER_S as f64);
            assert!((rate - there).abs() <= error + 1.5, "{number}: {there} is not {rate} +- {error}");
        }
    }

    #[test]
    fn what_was_hot_fades() {
        let mut player = Player::new();
        player.play(std::iter::repeat_n(1, 100_000), 10_000);
        player.play(std::iter::repeat_n(2, 100_000), 10_000);
        let top = player.top(2);
        assert_eq!(top.iter().map(|(n, ..)| *n).collect::<Vec<_>>(), [2, 1]);
        // Of 20 seconds the last ten weigh 1 - 0.875^10 of 1 - 0.875^20.
        assert!((top[0].1 - 7_917.0).abs() < 200.0, "{top:?}");
        assert!((top[1].1 - 2_083.0).abs() < 200.0, "{top:?}");
        player.now_ns += FADED_S * NS_PER_S;
        assert!(player.top(2).is_empty());
    }
}
