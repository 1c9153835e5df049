//! Where the keys of a connection live, of late.

/// So many keys in a row decide.
const KEYS: u16 = 1000;

/// So many of them may live elsewhere: 5 %.
const STRAYS_MAX: u16 = KEYS / 20;

/// Counts how many keys in a row belong to one shard, but for a few. One key too many that does not, and the count begins
/// again with the shard of that key; so a connection without a favourite never comes to an end of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Affinity {
    shard: u16,
    keys: u16,
    strays: u16,
}

impl Affinity {
    /// A key of shard `owner` was asked for. The favourite, once [`KEYS`] keys in a row say so.
    #[inline]
    pub fn note(&mut self, owner: usize) -> Option<usize> {
        self.keys += 1;
        if owner != usize::from(self.shard) {
            self.strays += 1;
            if self.strays > STRAYS_MAX {
                *self = Affinity { shard: owner as u16, keys: 1, strays: 0 };
            }
        }
        if self.keys < KEYS {
            return None;
        }
        (self.keys, self.strays) = (0, 0);
        Some(usize::from(self.shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The favourites found among the first keys of an endless sequence of owners.
    fn found(owners: impl Iterator<Item = usize>, keys: usize) -> Vec<usize> {
        let mut affinity = Affinity::default();
        owners.take(keys).filter_map(|owner| affinity.note(owner)).collect()
    }

    #[test]
    fn a_thousand_keys_of_one_shard_are_enough() {
        assert_eq!(found(std::iter::repeat(0), 999), []);
        assert_eq!(found(std::iter::repeat(0), 2000), [0, 0]);
        // Of another: the first fifty might have been strays.
        assert_eq!(found(std::iter::repeat(3), 1049), []);
        assert_eq!(found(std::iter::repeat(3), 1050), [3]);
    }

    #[test]
    fn five_of_a_hundred_may_stray_and_six_may_not() {
        let strays = |in_hundred: usize| (0..).map(move |i| if i % 100 < in_hundred { i % 7 } else { 5 });
        assert!(found(strays(5), 5000).iter().all(|&shard| shard == 5));
        assert!(found(strays(5), 5000).len() >= 3);
        assert_eq!(found(strays(7), 100_000), []);
    }

    #[test]
    fn without_a_favourite_there_is_no_end() {
        assert_eq!(found((0..).map(|i| i % 2), 1_000_000), []);
        assert_eq!(found((0..).map(|i| i / 900 % 4), 1_000_000), []);
    }
}
