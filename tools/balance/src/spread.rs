//! How evenly shards share a load: the hottest shard over the mean, 1.0 is even.

use ringcached::options::Partition;
use ringcached::shard::partition::owner;

use crate::load::Load;

/// Seeds that `seeded` is tried with; a server has one, by chance, so the mean of them is what to expect.
const SEEDS: u64 = 16;

/// The hottest shard over the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Balance {
    /// In requests.
    pub requests: f64,
    /// In keys: how full the shards are.
    pub keys: f64,
}

/// The load over `shards` shards, each of the `replicated` hottest keys read on all of them in turn.
pub fn balance(load: &Load, partition: Partition, shards: usize, replicated: usize) -> Balance {
    let mut requests = vec![0; shards];
    let mut keys = vec![0u64; shards];
    for (key, reads) in load.seen().skip(replicated) {
        // A client that distributes by itself may do better or worse; `isolated` is not for this tool.
        let shard = owner(partition, key, shards).unwrap_or(0);
        requests[shard] += reads;
        keys[shard] += 1;
    }
    let everywhere = load.reads_of_hottest(replicated) as f64 / shards as f64;
    let hottest = |counts: &[u64]| counts.iter().copied().max().unwrap_or(0) as f64;
    Balance {
        requests: (hottest(&requests) + everywhere) * shards as f64 / load.reads() as f64,
        // A replica takes room on every shard.
        keys: (hottest(&keys) + replicated as f64) * shards as f64
            / (load.keys.len() - replicated + replicated * shards) as f64,
    }
}

/// The balance for each number of shards from 1 to `shards_max`; of `seeded` the mean over [`SEEDS`] servers.
pub fn course(load: &mut Load, partition: Partition, shards_max: usize, replicated: usize) -> Vec<Balance> {
    let seeds = if partition == Partition::Seeded { SEEDS } else { 1 };
    let mut course = vec![Balance::default(); shards_max];
    for seed in 0..seeds {
        load.seed(seed);
        for (shards, mean) in (1..).zip(&mut course) {
            let one = balance(load, partition, shards, replicated);
            mean.requests += one.requests / seeds as f64;
            mean.keys += one.keys / seeds as f64;
        }
    }
    course
}

/// What no function can go below: all else even, the hottest key still is on one shard.
pub fn hottest_key_alone(load: &Load, shards: usize) -> f64 {
    (load.reads_of_hottest(1) as f64 * shards as f64 / load.reads() as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Pattern;
    use crate::load::tests::trace;

    #[test]
    fn one_key_is_on_one_shard_unless_it_is_replicated() {
        let load = Load::new(&trace(&[100]), Pattern::User);
        for shards in [1, 2, 7] {
            let n = shards as f64;
            let alone = balance(&load, Partition::Crc32a, shards, 0);
            assert_eq!(alone, Balance { requests: n, keys: n });
            assert_eq!(hottest_key_alone(&load, shards), n);
            let everywhere = balance(&load, Partition::Crc32a, shards, 1);
            assert_eq!(everywhere, Balance { requests: 1.0, keys: 1.0 });
        }
    }

    #[test]
    fn many_cold_keys_are_even_and_a_hot_one_is_the_bound() {
        let mut reads = vec![1; 20_000];
        reads[5] = 20_000;
        let mut load = Load::new(&trace(&reads), Pattern::User);
        for partition in [Partition::Seeded, Partition::Crc32a] {
            let [.., four] = course(&mut load, partition, 4, 0)[..] else { panic!("four counts") };
            assert!((1.0..1.1).contains(&four.keys), "{four:?}");
            // Half of the reads on one shard, and its quarter of the others.
            assert!((2.4..2.6).contains(&four.requests), "{four:?}");
            let [.., four] = course(&mut load, partition, 4, 1)[..] else { panic!("four counts") };
            assert!((1.0..1.1).contains(&four.requests), "{four:?}");
        }
        assert!((1.99..2.01).contains(&hottest_key_alone(&load, 4)));
    }

    /// FNV-1a modulo a power of two sees the low bits of each byte only, and the two fields cancel.
    #[test]
    fn fnv_is_weak_where_a_field_comes_twice() {
        let load = Load::new(&trace(&vec![1; 10_000]), Pattern::Pair);
        assert!(balance(&load, Partition::Fnv1a32, 4, 0).keys > 2.0);
        assert!(balance(&load, Partition::Crc32a, 4, 0).keys < 1.1);
    }
}
