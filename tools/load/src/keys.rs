//! The keys: numbered, all of one length, a fixed beginning and eight hexadecimal digits. And which of them a connection uses.

use ringcached_steered::Partition;

/// Hexadecimal digits at the end of a key.
pub const DIGITS: usize = 8;
/// Longest key.
pub const KEY_LEN_MAX: usize = 250;
/// Most keys.
pub const KEYS_MAX: u32 = 1 << 28;
/// What keys begin with, cut or repeated to the length asked for.
const BEGINNING: &[u8] = b"load:";

/// All keys of a run.
#[derive(Debug)]
pub struct Keys {
    beginning: Vec<u8>,
    count: u32,
    /// The shard that owns each key; empty where any connection may ask for any key.
    owners: Vec<u16>,
}

impl Keys {
    /// `count` keys of `len` bytes, [`DIGITS`] to [`KEY_LEN_MAX`].
    pub fn new(count: u32, len: usize) -> Keys {
        let beginning = BEGINNING.iter().copied().cycle().take(len - DIGITS).collect();
        Keys { beginning, count, owners: Vec::new() }
    }

    /// From now on connections to one of `shards` use only the keys that it owns.
    ///
    /// # Errors
    /// The number of a shard that owns none of the keys.
    pub fn divide(&mut self, partition: Partition, shards: u16) -> Result<(), u16> {
        let mut key = Vec::with_capacity(KEY_LEN_MAX);
        let mut counts = vec![0_u32; usize::from(shards)];
        self.owners = Vec::with_capacity(self.count as usize);
        for id in 0..self.count {
            key.clear();
            self.append(id, &mut key);
            let owner = partition.owner(&key, shards);
            counts[usize::from(owner)] += 1;
            self.owners.push(owner);
        }
        match counts.iter().position(|&n| n == 0) {
            Some(idle) => Err(idle as u16),
            None => Ok(()),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of each.
    pub fn key_len(&self) -> usize {
        self.beginning.len() + DIGITS
    }

    /// Whether a connection to `shard` (or to the whole server) may ask for key `id`.
    #[inline]
    pub fn is_at(&self, id: u32, shard: Option<u16>) -> bool {
        match (shard, self.owners.get(id as usize)) {
            (Some(shard), Some(&owner)) => shard == owner,
            _ => true,
        }
    }

    /// Appends key `id`.
    #[inline]
    pub fn append(&self, id: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.beginning);
        out.extend_from_slice(&digits(id));
    }

    /// The key's text.
    pub fn text(&self, id: u32) -> String {
        let mut key = Vec::with_capacity(self.key_len());
        self.append(id, &mut key);
        String::from_utf8_lossy(&key).into_owned()
    }

    /// The number of a key that a server names; none if it is not one of ours.
    #[inline]
    pub fn id(&self, key: &[u8]) -> Option<u32> {
        let digits = key.strip_prefix(self.beginning.as_slice())?;
        if digits.len() != DIGITS {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(u32::from(digit - b'0')),
            b'a'..=b'f' => Some(u32::from(digit - b'a') + 10),
            _ => None,
        };
        digits.iter().try_fold(0, |id, &digit| Some(id << 4 | value(digit)?))
    }
}

/// Eight hexadecimal digits, all at once: each nibble is moved to a byte of its own, and those above 9 become letters.
#[inline]
fn digits(id: u32) -> [u8; DIGITS] {
    const LETTERS: u64 = (b'a' - b'9' - 1) as u64;
    let mut x = u64::from(id);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let above_9 = (x + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (x + 0x3030_3030_3030_3030 + above_9 * LETTERS).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbers_and_back() {
        for len in [8, 9, 13, 16, 250] {
            let keys = Keys::new(KEYS_MAX, len);
            for id in [0, 9, 10, 0x0fed_cba9, 0x1234_5678, KEYS_MAX - 1] {
                let text = keys.text(id);
                assert_eq!(text.len(), len);
                assert!(text.ends_with(&format!("{id:08x}")), "{text}");
                assert_eq!(keys.id(text.as_bytes()), Some(id));
            }
        }
        let keys = Keys::new(10, 13);
        for foreign in ["load:0000000", "load:0000000g", "lord:00000001", "load:000000001", ""] {
            assert_eq!(keys.id(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn each_shard_has_the_keys_it_owns() {
        let mut keys = Keys::new(1000, 16);
        assert!(keys.is_at(3, Some(1)) && keys.is_at(3, None));
        keys.divide(Partition::Crc32a, 3).expect("enough keys");
        for id in 0..1000 {
            let owner = Partition::Crc32a.owner(keys.text(id).as_bytes(), 3);
            assert!((0..3).all(|shard| keys.is_at(id, Some(shard)) == (shard == owner)));
        }
        assert!(Keys::new(1, 16).divide(Partition::Crc32a, 2).is_err());
    }
}
