//! The ghost: who was evicted lately, and from which queue (S3-FIFO's ghost queue, for both queues).
//!
//! It remembers 15-bit fingerprints, 31 to a cache line, each line a ring that forgets its oldest. A key
//! never seen is taken for a remembered one with probability 31/32,768, which does no harm. When pages are
//! added or taken away the lines of all hashes change, which amounts to forgetting everything; that happens
//! only while the table is resized.

use super::arena::Arena;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Pages of ghost for a hundred pages of table, that there is or may soon be (`reclaim.rs`). At 31 fingerprints a line and a table load of 80 % that
/// remembers about two thirds as many items as there are.
const PAGES_PER_100_TABLE_PAGES: usize = 15;

const RING: usize = 31;

/// The bit of an entry that says that the main queue evicted it; the others are the fingerprint.
const FROM_MAIN: u16 = 1 << 15;

/// The queue that evicted an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The small queue.
    Small,
    /// The main queue.
    Main,
}

/// A ring of entries; 0 is an empty place.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Line {
    oldest: u16,
    ring: [u16; RING],
}

/// The directory of the ghost; its lines are in the arena.
#[derive(Debug)]
pub struct Ghost {
    pages: Vec<u32>,
    page_shift: u32,
}

impl Ghost {
    /// A ghost without pages, which remembers nothing.
    pub fn new(page_bytes: usize) -> Ghost {
        Ghost { pages: Vec::new(), page_shift: page_bytes.trailing_zeros() }
    }

    /// Pages it has.
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Pages to add for a table of so many pages.
    pub fn pages_wanted(&self, table_pages: usize) -> usize {
        pages_for(table_pages).saturating_sub(self.pages.len())
    }

    /// True when it has more than twice the pages it wants for a table of so many: worth to forget everything for.
    pub fn too_large(&self, table_pages: usize) -> bool {
        self.pages.len() > 2 * pages_for(table_pages)
    }

    /// Gives up a page if it has more than it wants for a table of so many pages.
    pub fn spare_page(&mut self, table_pages: usize) -> Option<u32> {
        if self.pages.len() > pages_for(table_pages) { self.pages.pop() } else { None }
    }

    /// Adds a zeroed page.
    pub fn add_page(&mut self, page: u32) {
        self.pages.push(page);
    }

    /// Remembers the hash of a key evicted from one of the queues.
    pub fn remember(&self, arena: &mut Arena, hash: u64, origin: Origin) {
        if let Some(at) = self.line_at(hash) {
            let line: &mut Line = arena.get_mut(at);
            let oldest = usize::from(line.oldest) % RING;
            let entry = if origin == Origin::Main { FROM_MAIN } else { 0 } | fingerprint(hash);
            line.ring[oldest] = entry;
            line.oldest = ((oldest + 1) % RING) as u16;
        }
    }

    /// Where the key of this hash was (probably) evicted from lately; it is forgotten with that.
    pub fn recall(&self, arena: &mut Arena, hash: u64) -> Option<Origin> {
        let line: &mut Line = arena.get_mut(self.line_at(hash)?);
        let entry = line.ring.iter_mut().find(|entry| **entry & !FROM_MAIN == fingerprint(hash))?;
        Some(if std::mem::take(entry) & FROM_MAIN == 0 { Origin::Small } else { Origin::Main })
    }

    fn line_at(&self, hash: u64) -> Option<usize> {
        let line_shift = size_of::<Line>().trailing_zeros();
        let lines_per_page = 1u64 << (self.page_shift - line_shift);
        let line = (u64::from(hash as u32) * (self.pages.len() as u64 * lines_per_page)) >> 32;
        let page = *self.pages.get((line / lines_per_page) as usize)?;
        Some(((page as usize) << self.page_shift) + ((line % lines_per_page) << line_shift) as usize)
    }
}

fn pages_for(table_pages: usize) -> usize {
    (table_pages * PAGES_PER_100_TABLE_PAGES).div_ceil(100)
}

/// 15 bits that neither choose the line nor, as a rule, the shard; never 0.
fn fingerprint(hash: u64) -> u16 {
    ((hash >> 32) as u16 & !FROM_MAIN).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::arena::HugePages;
    use super::super::hash::Hasher;
    use super::*;

    fn hash(i: u64) -> u64 {
        Hasher::with_seeds([1, 2, 3, 4]).hash(&i.to_le_bytes())
    }

    #[test]
    fn remembers_the_latest_and_forgets_the_oldest() {
        let (mut arena, _) = Arena::new(1 << 16, 0, 8, 4096, HugePages::Off).unwrap();
        let mut ghost = Ghost::new(16 << 10);
        ghost.remember(&mut arena, hash(1), Origin::Small);
        assert_eq!(ghost.recall(&mut arena, hash(1)), None, "no page, no memory");
        ghost.add_page(2);
        let capacity = (16 << 10) / 64 * RING as u64;
        for i in 0..2 * capacity {
            ghost.remember(&mut arena, hash(i), Origin::Small);
        }
        let mut known = |range: std::ops::Range<u64>| {
            range.filter(|&i| ghost.recall(&mut arena, hash(i)).is_some()).count()
        };
        assert!(known(2 * capacity - capacity / 2..2 * capacity) > capacity as usize * 49 / 100);
        assert!(known(0..capacity / 2) < capacity as usize / 100);
    }

    #[test]
    fn tells_the_queues_apart_and_forgets_what_it_told() {
        let (mut arena, _) = Arena::new(1 << 16, 0, 8, 4096, HugePages::Off).unwrap();
        let mut ghost = Ghost::new(16 << 10);
        ghost.add_page(2);
        for i in 0..1000 {
            let origin = if i % 3 == 0 { Origin::Main } else { Origin::Small };
            ghost.remember(&mut arena, hash(i), origin);
            assert_eq!(ghost.recall(&mut arena, hash(i)), Some(origin));
            assert_eq!(ghost.recall(&mut arena, hash(i)), None);
        }
    }
}
