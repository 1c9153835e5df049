//! Which requests are looked at closely: about [`SAMPLES_PER_S`] a second on each shard, whatever the load.
//!
//! At a low load that is every request, so nothing is missed where there is little; at a high one it is every `weight`-th on
//! average, and a sample stands for that many. So the cost is a bounded part of a core (a sample takes about 0.2 us, see
//! `docs/internals.md`), not of each request. The distance to the next sample is drawn evenly from 1 to `2 * weight - 1`: a
//! fixed one would fall into step with clients that repeat themselves, and see only the last key of each of their gets.

/// Samples a shard takes in a second under load, about.
pub const SAMPLES_PER_S: u64 = 8192;

/// Samples after which the weight is set anew.
const BATCH: u64 = 128;

/// Times the weight may grow by from one batch to the next. The requests of one turn come all at once: taken for a rate, they would
/// make the sampler pass over the next half million, of which nobody knows whether they will come.
const GROWTH_MAX: u64 = 4;

/// The most requests that one sample stands for: a shard of that load times [`SAMPLES_PER_S`] requests is yet to come.
const WEIGHT_MAX: u64 = 4096;

const NS_PER_S: u64 = 1_000_000_000;

/// See the module comment. Times are nanoseconds of one clock.
#[derive(Debug)]
pub struct Sampler {
    /// Requests until the next sample.
    left: u32,
    /// Requests that it stands for.
    weight: u32,
    /// Samples since `since_ns`.
    taken: u64,
    since_ns: u64,
    /// State of the random numbers, never 0.
    random: u32,
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler { left: 1, weight: 1, taken: 0, since_ns: 0, random: 0x9E37_79B9 }
    }
}

impl Sampler {
    /// Counts a request; true when it is to be looked at. Then [`draw`](Self::draw) must follow.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    /// How many requests the one that is looked at now stands for; chooses the next one.
    pub fn draw(&mut self, now_ns: u64) -> u32 {
        let weight = self.weight;
        self.taken += 1;
        if self.taken == BATCH {
            self.adapt(now_ns);
        }
        self.left = self.distance();
        weight
    }

    /// To be called now and then also when nothing is sampled, every second or so: after a heavy load the next sample may be
    /// far away.
    pub fn adapt(&mut self, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.since_ns).max(1);
        let wanted_ns = self.taken * NS_PER_S / SAMPLES_PER_S;
        let (weight, most) = (u64::from(self.weight), u64::from(self.weight) * GROWTH_MAX);
        self.weight = (weight * wanted_ns / elapsed_ns).clamp(1, most.min(WEIGHT_MAX)) as u32;
        self.left = self.left.min(2 * self.weight - 1).max(1);
        (self.taken, self.since_ns) = (0, now_ns);
    }

    /// The distance to the next sample: `weight` on average.
    fn distance(&mut self) -> u32 {
        // Marsaglia's xorshift ("Xorshift RNGs", 2003) with his shifts for 32 bits.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let range = u64::from(2 * self.weight - 1);
        1 + ((u64::from(self.random) * range) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of `requests` requests that come `apart_ns` apart, and the requests they stand for.
    fn run(sampler: &mut Sampler, from_ns: u64, requests: u64, apart_ns: u64) -> (u64, u64) {
        let (mut samples, mut weight) = (0, 0);
        for n in 0..requests {
            if sampler.is_due() {
                samples += 1;
                weight += u64::from(sampler.draw(from_ns + n * apart_ns));
            }
        }
        (samples, weight)
    }

    #[test]
    fn at_a_low_load_every_request_is_a_sample() {
        let mut sampler = Sampler::default();
        assert_eq!(run(&mut sampler, 0, 5_000, 1_000_000), (5_000, 5_000));
    }

    #[test]
    fn at_a_high_load_their_number_is_bounded_and_their_weight_right() {
        let mut sampler = Sampler::default();
        run(&mut sampler, 0, 1_000_000, 500);
        let (samples, weight) = run(&mut sampler, NS_PER_S / 2, 20_000_000, 500); // ten seconds
        assert!((70_000..95_000).contains(&samples), "{samples}");
        assert!((19_500_000..20_500_000).contains(&weight), "{weight}");
    }

    #[test]
    fn a_burst_is_no_rate() {
        // All in one turn, which looks at the clock once.
        let mut sampler = Sampler::default();
        let (samples, weight) = run(&mut sampler, NS_PER_S, 10_000, 0);
        assert!((3 * BATCH..6 * BATCH).contains(&samples), "{samples}");
        assert!((8_000..12_000).contains(&weight), "{weight}");
    }

    #[test]
    fn after_a_high_load_a_single_request_is_seen() {
        let mut sampler = Sampler::default();
        run(&mut sampler, 0, 10_000_000, 100);
        sampler.adapt(2 * NS_PER_S);
        sampler.adapt(3 * NS_PER_S);
        assert!(sampler.is_due());
        assert_eq!(sampler.draw(3 * NS_PER_S), 1);
    }

    #[test]
    fn repeating_patterns_are_sampled_evenly() {
        let mut sampler = Sampler::default();
        run(&mut sampler, 0, 1_000_000, 500);
        let mut seen = [0u64; 64];
        for n in 0..20_000_000u64 {
            if sampler.is_due() {
                seen[n as usize % 64] += 1;
                sampler.draw(NS_PER_S / 2 + n * 500);
            }
        }
        let (least, most) = (seen.iter().min(), seen.iter().max());
        assert!(least.zip(most).is_some_and(|(least, most)| most * 2 < least * 3), "{seen:?}");
    }
}
