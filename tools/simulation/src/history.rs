//! What clients have asked and been answered, as they saw it: the only thing the check is made from.

/// A moment of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The step: an order of everything that happens.
    pub step: u64,
    /// The second of the shards' clock.
    pub second: u32,
}

impl Moment {
    /// Later than all others.
    pub const NEVER: Moment = Moment { step: u64::MAX, second: u32::MAX / 2 };
}

/// The bytes of a value, by their number and a hash that is known of two pieces when it is known of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// Bytes.
    pub len: u32,
    hash: u64,
}

const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x0B5E_D0C7_55A1_7E3D;

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    plus(product as u64 & PRIME, (product >> 61) as u64)
}

/// Of numbers up to [`PRIME`], of which two to the 61st is the neighbour: so what is above it counts once more.
fn plus(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

impl Content {
    /// Of these bytes: a polynomial, so that those of two pieces can be put together.
    pub fn of(bytes: &[u8]) -> Content {
        let hash = bytes.iter().fold(0, |hash, &byte| plus(times(hash, BASE), u64::from(byte) + 1));
        Content { len: bytes.len() as u32, hash }
    }

    /// Of these bytes and those behind them.
    pub fn then(self, behind: Content) -> Content {
        let mut power = 1;
        let (mut base, mut exponent) = (BASE % PRIME, behind.len);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = times(power, base);
            }
            base = times(base, base);
            exponent >>= 1;
        }
        Content { len: self.len + behind.len, hash: plus(times(self.hash, power), behind.hash) }
    }
}

/// How long an item is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For ever.
    Unlimited,
    /// So many seconds from now.
    Seconds(u32),
    /// Until the wall clock reads this.
    Until(i64),
    /// It is over already.
    Over,
}

/// Over what a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Anything or nothing.
    Set,
    /// Nothing.
    Add,
    /// Something.
    Replace,
    /// Behind something.
    Append,
    /// Before something.
    Prepend,
}

/// What a client wants of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // said in the sentences
pub enum Action {
    /// Its value; with a lifetime, the item gets it.
    Read(Option<Lifetime>),
    /// A value in its place. `number` if it is one; only over the item with the number `compare`.
    Write {
        mode: Mode,
        content: Content,
        number: Option<u64>,
        flags: u32,
        lifetime: Lifetime,
        compare: Option<u64>,
    },
    /// That it is gone.
    Delete { compare: Option<u64> },
    /// Another number; `create`: what a missing one begins with.
    Arithmetic { increment: bool, delta: u64, create: Option<(u64, Lifetime)>, compare: Option<u64> },
    /// Another lifetime.
    Touch(Lifetime),
    /// That every key is gone, now or in so many seconds.
    Flush { delay_s: u32 },
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // said in the sentences
pub enum Outcome {
    /// Nothing.
    Unknown,
    /// The value. `number` if it is one.
    Hit { content: Content, number: Option<u64>, flags: u32, cas: Option<u64> },
    /// There is none.
    Miss,
    /// Done; the item's number if it was told.
    Done { cas: Option<u64> },
    /// The condition of the mode does not hold, or what would come of it is too large.
    NotStored,
    /// The item has another number.
    Exists,
    /// There is no item.
    NotFound,
    /// The value is too large for any item.
    TooLarge,
    /// There is no memory for it.
    NoMemory,
    /// The new number.
    Number { number: u64, cas: Option<u64> },
}

/// One operation of a client on one key.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The key; every key if none.
    pub key: Option<usize>,
    /// The connection, in the order in which they were opened.
    pub session: usize,
    /// What was wanted.
    pub action: Action,
    /// What came of it.
    pub outcome: Outcome,
    /// Before its first byte was sent.
    pub invoked: Moment,
    /// After its answer was read; [`Moment::NEVER`] if it may not have been done at all.
    pub returned: Moment,
    /// The smallest and largest advance of the wall clock meanwhile, in seconds.
    pub wall_s: (i64, i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_add_up() {
        let (front, back) = (b"first".as_slice(), b"and \0 second".as_slice());
        assert_eq!(Content::of(front).then(Content::of(back)), Content::of(&[front, back].concat()));
        assert_eq!(Content::of(front).then(Content::of(b"")), Content::of(front));
        assert_ne!(Content::of(b"ab"), Content::of(b"ba"));
        assert_ne!(Content::of(b"\0"), Content::of(b""));
    }
}
