//! What the clients of a world ask for: which keys, in what proportion, how large, for how long. Drawn for each world, like its
//! faults, so that each is one-sided in its own way.

use crate::history::{Action, Content, Lifetime, Mode};
use fastrand::Rng;

/// The shortest value that is like no other.
pub const UNIQUE_MIN: usize = 16;

/// The shortest value that is large: it is received straight into its place.
const LARGE_MIN: usize = 66_000;

/// A key of the world.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its bytes.
    pub name: Vec<u8>,
    /// It holds decimal numbers only.
    pub is_counter: bool,
    /// It may hold large values.
    pub may_be_large: bool,
}

/// What one request asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Of each of the keys.
    pub action: Action,
    /// By number.
    pub keys: Vec<usize>,
    /// The bytes of a write.
    pub value: Vec<u8>,
    /// CAS numbers are asked for.
    pub wants_cas: bool,
    /// No answer is wanted if all goes well.
    pub quiet: bool,
}

/// See the module comment. Weights have no unit; chances are percentages.
#[derive(Clone, Debug)]
pub struct Load {
    /// The keys.
    pub keys: Vec<Key>,
    weights: [u32; 7],
    quiet: u32,
    lifetimes: u32,
    value_len_max: usize,
    large: u32,
    large_len_max: usize,
    multi_max: usize,
    values: u64,
}

impl Load {
    /// One of many kinds. Values are no longer than `item_size_max` allows, but a few.
    pub fn draw(random: &mut Rng, keys: usize, item_size_max: usize) -> Load {
        let long_keys = random.bool();
        let some_large = item_size_max > 2 * LARGE_MIN && random.u32(0..4) == 0;
        let mut weight = |most: u32| if random.u32(0..4) == 0 { 0 } else { random.u32(1..=most) };
        // Reads, writes, deletes, arithmetic, touches, flushes, compare-and-swaps.
        let weights = [weight(60) + 5, weight(40) + 5, weight(10), weight(10), weight(6), 0, weight(15)];
        let flushes = if random.u32(0..3) == 0 { 1 } else { 0 };
        let [reads, writes, deletes, sums, touches, _, compares] = weights;
        let key = |number: usize, random: &mut Rng| Key {
            name: name(number, long_keys, random),
            is_counter: number % 4 == 3,
            may_be_large: some_large && number < 2,
        };
        Load {
            keys: (0..keys).map(|number| key(number, random)).collect(),
            weights: [reads, writes, deletes, sums, touches, flushes, compares],
            quiet: if random.bool() { 0 } else { random.u32(1..60) },
            lifetimes: if random.bool() { 0 } else { random.u32(1..80) },
            value_len_max: [40, 300, 4_000, 9_000, 20_000][random.usize(0..5)].min(item_size_max),
            large: random.u32(1..8),
            large_len_max: (item_size_max + 4_000).min(200_000),
            multi_max: random.usize(1..=keys.min(24)),
            values: 0,
        }
    }

    /// The next request of a client that has seen the CAS numbers `seen` of the keys.
    pub fn request(&mut self, random: &mut Rng, unix_s: i64, seen: &[Option<u64>]) -> Request {
        let mut at = random.u32(0..self.weights.iter().sum());
        let kind = self.weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let key = random.usize(0..self.keys.len());
        let lifetime = self.lifetime(random, unix_s);
        let (mut keys, mut value) = (vec![key], Vec::new());
        let compare = seen[key];
        let action = match kind {
            Some(0) => {
                keys = self.several(random);
                Action::Read((random.u32(0..8) == 0).then_some(lifetime))
            }
            Some(2) => Action::Delete { compare: compare.filter(|_| random.bool()) },
            Some(3) if self.keys[key].is_counter => Action::Arithmetic {
                increment: random.bool(),
                delta: random.u64(0..30),
                create: random.bool().then(|| (random.u64(0..1000), lifetime)),
                compare: compare.filter(|_| random.u32(0..4) == 0),
            },
            Some(4) => Action::Touch(lifetime),
            Some(5) => {
                keys.clear();
                Action::Flush { delay_s: if random.bool() { 0 } else { random.u32(1..4) } }
            }
            Some(6) if compare.is_some() => self.write(random, key, Mode::Set, compare, lifetime, &mut value),
            _ => {
                let modes =
                    [Mode::Set, Mode::Set, Mode::Set, Mode::Add, Mode::Replace, Mode::Append, Mode::Prepend];
                let most = if self.keys[key].is_counter { 5 } else { modes.len() };
                let mode = modes[random.usize(0..most)];
                self.write(random, key, mode, None, lifetime, &mut value)
            }
        };
        let quiet = random.u32(0..100) < self.quiet;
        Request { action, keys, value, wants_cas: random.u32(0..8) > 0, quiet }
    }

    /// Different keys.
    fn several(&self, random: &mut Rng) -> Vec<usize> {
        let count = if random.bool() { 1 } else { random.usize(1..=self.multi_max) };
        random.choose_multiple(0..self.keys.len(), count)
    }

    fn lifetime(&self, random: &mut Rng, unix_s: i64) -> Lifetime {
        if random.u32(0..100) >= self.lifetimes {
            return Lifetime::Unlimited;
        }
        match random.u32(0..10) {
            0 => Lifetime::Over,
            1..4 => Lifetime::Until(unix_s + random.i64(-3..12)),
            _ => Lifetime::Seconds(random.u32(1..8)),
        }
    }

    fn write(
        &mut self,
        random: &mut Rng,
        key: usize,
        mode: Mode,
        compare: Option<u64>,
        lifetime: Lifetime,
        value: &mut Vec<u8>,
    ) -> Action {
        let mut number = None;
        if self.keys[key].is_counter {
            let digits = random.u32(1..40);
            number = Some(random.u64(0..1 << digits));
            value.extend_from_slice(number.unwrap_or_default().to_string().as_bytes());
        } else {
            let extends = matches!(mode, Mode::Append | Mode::Prepend);
            let len = match random.u32(0..100) {
                // A piece of nothing would make the same value with another CAS number.
                0..10 => random.usize(usize::from(extends)..UNIQUE_MIN),
                chance if self.keys[key].may_be_large && chance < 10 + self.large && !extends => {
                    random.usize(LARGE_MIN..self.large_len_max.max(LARGE_MIN + 1))
                }
                _ if extends => random.usize(UNIQUE_MIN..100),
                _ => random.usize(UNIQUE_MIN..=self.value_len_max),
            };
            self.values += 1;
            fill(value, self.values, len);
        }
        let content = Content::of(value);
        Action::Write { mode, content, number, flags: random.u32(0..3) * 7, lifetime, compare }
    }
}

/// `len` bytes like no others of the world, if they are not too few.
fn fill(value: &mut Vec<u8>, number: u64, len: usize) {
    value.extend_from_slice(format!("{number:015x}.").as_bytes());
    let mut state = number | 1;
    while value.len() < len {
        state = state.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
        value.extend_from_slice(&state.to_le_bytes());
    }
    value.truncate(len);
}

/// Of usual length, or up to the longest there is.
fn name(number: usize, long: bool, random: &mut Rng) -> Vec<u8> {
    let mut name = format!("key-{number}").into_bytes();
    if long {
        let len = random.usize(name.len()..=250);
        name.extend(std::iter::repeat_with(|| random.alphanumeric() as u8).take(len - name.len()));
    }
    name
}
