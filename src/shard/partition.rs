//! Which shard owns a key (`--partition`). Pure arithmetic; whatever it says, the table hashes with its own seeds.
//!
//! `seeded` takes the high bits of the table's hash and spreads them over any number of shards. The others are what clients
//! compute: `h % shards` with the `h` of twemproxy (`hashkit/nc_*.c`) and libmemcached, bit for bit. A client that
//! distributes by modula over the ports of H hosts, each host's C ports one after the other, takes port `h % (H * C)`, which
//! is port `h % C` of its host: the shard that owns the key.
//!
//! FNV in those two has a quirk: C's `char` is signed on x86, so a byte from 0x80 on enters as a negative number and flips
//! the bits above it too. That reaches only bits 8 and up, so the shard is the same for 2, 4, ... 256 shards; for other
//! counts a client that does not do so (Python, Java, C on ARM) finds keys with such bytes on another shard, where they are
//! served all the same.

use crate::options::Partition;
use crate::store::Key;

/// The first state of 32-bit FNV and its multiplier.
pub const FNV_32: (u32, u32) = (0x811c_9dc5, 0x0100_0193);

/// The same of 64-bit FNV as twemproxy and libmemcached have it: the low 32 bits of both, in 32-bit arithmetic.
pub const FNV_64_LOW: (u32, u32) = (0x8422_2325, 0x0000_01b3);

/// The shard that owns `key`, one of `shards`; none if it is whichever shard the request has come to.
#[inline]
pub fn owner(partition: Partition, key: Key<'_>, shards: usize) -> Option<usize> {
    let hash = match partition {
        Partition::Seeded => return Some((((key.hash >> 32) * shards as u64) >> 32) as usize),
        Partition::Isolated => return None,
        Partition::Crc32a => crc32fast::hash(key.bytes),
        Partition::Fnv1a32 => fnv1a(FNV_32, key.bytes),
        Partition::Fnv1a64 => fnv1a(FNV_64_LOW, key.bytes),
    };
    Some((hash % shards as u32) as usize) // 32-bit division: half the time of 64-bit
}

/// FNV-1a over bytes that are signed, see the module comment.
fn fnv1a((start, prime): (u32, u32), bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |hash, &byte| (hash ^ byte as i8 as u32).wrapping_mul(prime))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Hasher;

    fn shard(partition: Partition, key: &[u8], shards: usize) -> usize {
        let hasher = Hasher::with_seeds([1, 2, 3, 4]);
        owner(partition, Key { bytes: key, hash: hasher.hash(key) }, shards).expect("an owner")
    }

    /// Vectors of the FNV page (isthe.com/chongo/tech/comp/fnv), and CRC-32's check value.
    #[test]
    fn ascii_keys_hash_as_published() {
        for (key, fnv_32, fnv_64) in [
            ("", 0x811c_9dc5, 0xcbf2_9ce4_8422_2325_u64),
            ("a", 0xe40c_292c, 0xaf63_dc4c_8601_ec8c),
            ("b", 0xe70c_2de5, 0xaf63_df4c_8601_f1a5),
            ("foobar", 0xbf9c_f968, 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(FNV_32, key.as_bytes()), fnv_32, "{key}");
            assert_eq!(fnv1a(FNV_64_LOW, key.as_bytes()), fnv_64 as u32, "{key}");
        }
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    /// What `libhashkit`'s C computes on x86, and pure bytes would not.
    #[test]
    fn bytes_from_0x80_on_are_negative() {
        let (start, prime) = FNV_32;
        assert_eq!(fnv1a(FNV_32, b"\xe9"), (start ^ 0xffff_ffe9).wrapping_mul(prime));
        let unsigned = |key: &[u8]| key.iter().fold(start, |h, &b| (h ^ u32::from(b)).wrapping_mul(prime));
        let keys: Vec<String> = (0..1000).map(|i| format!("clé-{i}-ü")).collect();
        let differ = |shards: u32| {
            keys.iter()
                .filter(|k| fnv1a(FNV_32, k.as_bytes()) % shards != unsigned(k.as_bytes()) % shards)
                .count()
        };
        assert_eq!([1, 2, 4, 8, 64, 256].map(differ), [0; 6]);
        assert!(differ(3) > 500 && differ(100) > 500, "{} {}", differ(3), differ(100));
    }

    #[test]
    fn every_shard_gets_its_share_of_ordinary_keys() {
        for partition in [Partition::Seeded, Partition::Crc32a, Partition::Fnv1a32, Partition::Fnv1a64] {
            // 3 and 12 are refused for it, and this is why.
            let counts: &[usize] =
                if partition == Partition::Fnv1a64 { &[1, 2, 4, 128] } else { &[1, 2, 3, 4, 12, 128] };
            for &shards in counts {
                let mut keys = vec![0; shards];
                (0..shards * 1000)
                    .for_each(|i| keys[shard(partition, format!("user:{i}").as_bytes(), shards)] += 1);
                assert!(keys.iter().all(|&n| (750..1250).contains(&n)), "{partition:?} {keys:?}");
            }
        }
    }

    /// The proof of the module comment, for every count of hosts.
    #[test]
    fn modula_over_all_ports_of_all_hosts_meets_the_owner() {
        for (hosts, shards) in [(1, 4), (2, 4), (3, 4), (5, 3), (7, 12)] {
            for i in 0..1000 {
                let key = format!("key-{i}");
                let entry = fnv1a(FNV_32, key.as_bytes()) as usize % (hosts * shards);
                assert_eq!(entry % shards, shard(Partition::Fnv1a32, key.as_bytes(), shards));
            }
        }
    }

    /// The reason why these need shard ports, and why `seeded` does not: behind one port, keys that all have the same
    /// remainder by the number of hosts.
    #[test]
    fn keys_of_one_host_of_many_leave_shards_idle() {
        let (hosts, shards) = (4, 8);
        let own = (0..20_000)
            .map(|i| format!("key-{i}"))
            .filter(|key| crc32fast::hash(key.as_bytes()) % hosts == 1);
        let own: Vec<String> = own.collect();
        let used = |partition| {
            let mut used: Vec<usize> =
                own.iter().map(|key| shard(partition, key.as_bytes(), shards)).collect();
            used.sort_unstable();
            used.dedup();
            used.len()
        };
        assert_eq!([used(Partition::Crc32a), used(Partition::Seeded)], [2, 8]);
    }

    #[test]
    fn isolated_shards_own_what_comes() {
        assert_eq!(owner(Partition::Isolated, Key { bytes: b"k", hash: 7 }, 4), None);
    }
}
