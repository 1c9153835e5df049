//! The seeded hash of keys. One `Hasher` is made per process and copied into every shard: the high bits of
//! its 64-bit result choose the shard, the low 32 bits choose the bucket (`table.rs`), bits 32..48 are the
//! fingerprint of the ghost (`ghost.rs`). It is keyed, so no client can aim at a bucket or at a core.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher as _};

/// Hashes keys; every clone gives the same results.
#[derive(Clone, Debug)]
pub struct Hasher(RandomState);

impl Hasher {
    /// A hasher with fresh random seeds, which the standard library takes from the operating system.
    pub fn random() -> Hasher {
        let system = std::collections::hash_map::RandomState::new();
        Hasher::with_seeds(std::array::from_fn(|i| system.hash_one(i)))
    }

    /// A hasher with the given seeds: the same seeds, the same results. For tests and simulations.
    pub fn with_seeds([a, b, c, d]: [u64; 4]) -> Hasher {
        Hasher(RandomState::with_seeds(a, b, c, d))
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut state = self.0.build_hasher();
        state.write(key);
        state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_agree_and_seeds_matter() {
        let one = Hasher::random();
        assert_eq!(one.hash(b"key"), one.clone().hash(b"key"));
        assert_ne!(one.hash(b"key"), one.hash(b"kez"));
        assert_ne!(one.hash(b"key"), Hasher::random().hash(b"key"));
    }

    /// Both the bits that choose the bucket and those that choose the shard are even for consecutive keys.
    #[test]
    fn bits_are_even() {
        let hasher = Hasher::with_seeds([1, 2, 3, 4]);
        let (mut low, mut high) = ([0u32; 16], [0u32; 16]);
        for i in 0..16_000u32 {
            let hash = hasher.hash(format!("memtier-{i}").as_bytes());
            low[(hash as u32 >> 28) as usize] += 1;
            high[(hash >> 60) as usize] += 1;
        }
        assert!(low.iter().chain(&high).all(|&n| (850..1150).contains(&n)), "{low:?} {high:?}");
    }
}
