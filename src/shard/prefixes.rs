//! Counting commands by key prefix, for `stats detail`: what stands before the first delimiter (`-D`) of a key.

use std::collections::HashMap;

/// Prefixes counted at most; a command on any further one is not counted.
const PREFIXES_MAX: usize = 4096;

/// Bytes of the longest prefix that is counted, as long as memcached's keys.
const PREFIX_LEN_MAX: usize = 250;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was read, and found or not.
    Read {
        /// It was found.
        hit: bool,
    },
    /// A value was sent for it.
    Stored,
    /// It was deleted, or was not there.
    Deleted,
}

/// The counts of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Reads.
    pub gets: u64,
    /// Reads that found it.
    pub hits: u64,
    /// Values sent.
    pub sets: u64,
    /// Deletes.
    pub deletes: u64,
}

impl PrefixCounts {
    /// Adds the counts of another shard.
    pub fn add(&mut self, other: &PrefixCounts) {
        self.gets += other.gets;
        self.hits += other.hits;
        self.sets += other.sets;
        self.deletes += other.deletes;
    }
}

/// See the module comment.
#[derive(Debug)]
pub struct Prefixes {
    /// What happens now is counted.
    pub counting: bool,
    delimiter: u8,
    counts: HashMap<Box<[u8]>, PrefixCounts>,
}

impl Prefixes {
    /// No counts yet.
    pub fn new(delimiter: u8) -> Prefixes {
        Prefixes { counting: false, delimiter, counts: HashMap::new() }
    }

    /// Counts what happened to `key`. Allocates for the first command on a prefix.
    pub fn count(&mut self, key: &[u8], what: Counted) {
        let Some(len) = key.iter().position(|byte| *byte == self.delimiter).filter(|_| self.counting) else {
            return;
        };
        let prefix = &key[..len];
        if !self.counts.contains_key(prefix) {
            if self.counts.len() >= PREFIXES_MAX || len > PREFIX_LEN_MAX {
                return;
            }
            self.counts.insert(prefix.into(), PrefixCounts::default());
        }
        let Some(counts) = self.counts.get_mut(prefix) else { return };
        match what {
            Counted::Read { hit } => {
                counts.gets += 1;
                counts.hits += u64::from(hit);
            }
            Counted::Stored => counts.sets += 1,
            Counted::Deleted => counts.deletes += 1,
        }
    }

    /// What was counted.
    pub fn counts(&self) -> impl Iterator<Item = (&[u8], &PrefixCounts)> {
        self.counts.iter().map(|(prefix, counts)| (&**prefix, counts))
    }

    /// Forgets what was counted.
    pub fn reset(&mut self) {
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_delimiter_is_counted() {
        let mut prefixes = Prefixes::new(b':');
        prefixes.count(b"user:1", Counted::Stored);
        assert_eq!(prefixes.counts().count(), 0, "not asked for");
        prefixes.counting = true;
        prefixes.count(b"user:1", Counted::Stored);
        prefixes.count(b"user:2:3", Counted::Read { hit: true });
        prefixes.count(b"user:4", Counted::Read { hit: false });
        prefixes.count(b"user:4", Counted::Deleted);
        prefixes.count(b"nothing", Counted::Stored);
        let counts = PrefixCounts { gets: 2, hits: 1, sets: 1, deletes: 1 };
        assert_eq!(prefixes.counts().collect::<Vec<_>>(), [(&b"user"[..], &counts)]);
        prefixes.reset();
        assert_eq!(prefixes.counts().count(), 0);
    }

    #[test]
    fn the_number_of_prefixes_is_bounded() {
        let mut prefixes = Prefixes::new(b':');
        prefixes.counting = true;
        for n in 0..PREFIXES_MAX + 10 {
            prefixes.count(format!("{n}:key").as_bytes(), Counted::Stored);
        }
        assert_eq!(prefixes.counts().count(), PREFIXES_MAX);
    }
}
