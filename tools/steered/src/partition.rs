//! Which shard owns a key, as the server computes it (`src/shard/partition.rs` of ringcached).

use std::str::FromStr;

/// A function of `--partition` that clients can compute. The default, `seeded`, cannot be: its seed is the server's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// CRC-32 of zlib, gzip and Ethernet.
    Crc32a,
    /// FNV-1a of 32 bits, with bytes taken as C's signed `char`.
    Fnv1a32,
}

impl Partition {
    /// The shard that owns `key`, one of `shards` (at least 1).
    pub fn owner(self, key: &[u8], shards: u16) -> u16 {
        let hash = match self {
            Partition::Crc32a => crc32fast::hash(key),
            Partition::Fnv1a32 => fnv1a_32(key),
        };
        (hash % u32::from(shards)) as u16
    }
}

fn fnv1a_32(bytes: &[u8]) -> u32 {
    // The sign of a byte from 0x80 on flips the bits above it too.
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ byte as i8 as u32).wrapping_mul(0x0100_0193))
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(word: &str) -> Result<Partition, String> {
        match word {
            "crc32a" => Ok(Partition::Crc32a),
            "fnv1a_32" => Ok(Partition::Fnv1a32),
            _ => Err(format!("'{word}' is no partition a client can compute: crc32a or fnv1a_32")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32's check value, and vectors of the FNV page (isthe.com/chongo/tech/comp/fnv).
    #[test]
    fn hashes_are_the_published_ones() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a_32(b""), 0x811c_9dc5);
        assert_eq!(fnv1a_32(b"foobar"), 0xbf9c_f968);
        assert_eq!(Partition::Crc32a.owner(b"123456789", 1000), (0xcbf4_3926_u32 % 1000) as u16);
    }

    #[test]
    fn bytes_from_0x80_on_are_negative() {
        assert_eq!(fnv1a_32(b"\xe9"), (0x811c_9dc5_u32 ^ 0xffff_ffe9).wrapping_mul(0x0100_0193));
    }

    #[test]
    fn words_are_those_of_the_server() {
        assert_eq!("crc32a".parse(), Ok(Partition::Crc32a));
        assert_eq!("fnv1a_32".parse(), Ok(Partition::Fnv1a32));
        assert!("seeded".parse::<Partition>().is_err_and(|error| error.contains("seeded")));
    }
}
