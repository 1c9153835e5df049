//! The size classes of chunks: which sizes there are and which one a request gets.
//!
//! Sizes are multiples of the granule. The smallest lie one granule apart, larger ones grow by a factor, and
//! each is widened as far as the number of chunks in a page allows, so the chunks tile the page. Up to
//! [`FINE_BYTES_MAX`] the steps are half as wide: most items of most caches are smaller than that, and of few
//! sizes. Steps as fine above it would cost a wide mix of sizes more than they save, as each class leaves about half
//! a page idle.
//!
//! The largest class is a quarter of a page at most: beyond it a value goes on in further chunks (`chain.rs`), the last
//! of which is of a fitting class again.

use std::ops::RangeInclusive;

/// The most classes there can be; ids above are page kinds of `slab.rs`.
const CLASSES_MAX: usize = 250;

/// Pages there are for each class, at least: most classes have one that is half empty.
const PAGES_PER_CLASS: usize = 3;

/// The fewest classes to make do with, however few the pages.
const CLASSES_MIN: usize = 4;

/// A chunk serves a request well when it is larger by no more than one part in so many.
const SURPLUS_DIVISOR: usize = 6;

/// The largest chunk that the next one exceeds by only half a step.
const FINE_BYTES_MAX: usize = 2 << 10;

/// The largest chunk, whatever the page size, unless a key needs more.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// The largest chunk in pages of `page_bytes` when one of `head_bytes` must be had: the head of an item holds its whole
/// key. At least two of them fit a page.
pub fn chunk_max(page_bytes: usize, head_bytes: usize, granule_bytes: usize) -> usize {
    let usual = (page_bytes / 4).min(CHUNK_BYTES_MAX);
    if head_bytes <= usual {
        usual
    } else {
        page_bytes / (page_bytes / head_bytes) / granule_bytes * granule_bytes
    }
}

/// The table of sizes. Class ids start at 1; 0 means no class.
#[derive(Debug)]
pub struct Classes {
    /// Chunk size in bytes by class id.
    sizes: Vec<u32>,
    /// Class id by request size in granules, rounded up.
    by_granules: Vec<u8>,
    granule_bytes: usize,
}

impl Classes {
    /// Classes from `smallest` to `largest` bytes, each larger than the one before by at most `factor`, or a granule. A factor that would need more than
    /// [`CLASSES_MAX`] classes, or more than a third of the `pages` there are, is raised until they fit.
    pub fn new(
        pages: usize,
        page_bytes: usize,
        granule_bytes: usize,
        (smallest, largest): (usize, usize),
        factor: f64,
    ) -> Classes {
        let classes_max = (pages / PAGES_PER_CLASS).clamp(CLASSES_MIN, CLASSES_MAX);
        let mut factor = factor.max(1.01);
        let mut sizes = sizes(page_bytes, granule_bytes, (smallest, largest), factor);
        while sizes.len() > classes_max + 1 {
            factor += 0.01;
            sizes = self::sizes(page_bytes, granule_bytes, (smallest, largest), factor);
        }
        let mut by_granules = Vec::with_capacity(largest / granule_bytes + 1);
        for (class, &size) in sizes.iter().enumerate().skip(1) {
            by_granules.resize(size as usize / granule_bytes + 1, class as u8);
        }
        Classes { sizes, by_granules, granule_bytes }
    }

    /// The class with least waste for a request of `bytes`; the last one also for what is larger than its
    /// chunks.
    #[inline]
    pub fn class_of(&self, bytes: usize) -> u8 {
        self.by_granules.get(bytes.div_ceil(self.granule_bytes)).copied().unwrap_or(self.last())
    }

    /// The classes that serve a request of `bytes` well, the one with least waste first.
    pub fn close(&self, bytes: usize) -> RangeInclusive<u8> {
        self.class_of(bytes)..=self.class_of(bytes + bytes / SURPLUS_DIVISOR)
    }

    /// Chunk size of a class in bytes.
    #[inline]
    pub fn size(&self, class: u8) -> usize {
        self.sizes[usize::from(class)] as usize
    }

    /// The highest class id, that of the largest chunk.
    pub fn last(&self) -> u8 {
        (self.sizes.len() - 1) as u8
    }
}

/// Chunk sizes, ascending, after a zero for "no class".
fn sizes(
    page_bytes: usize,
    granule_bytes: usize,
    (smallest, largest): (usize, usize),
    factor: f64,
) -> Vec<u32> {
    let mut sizes = vec![0];
    let mut next = smallest.next_multiple_of(granule_bytes).min(largest);
    loop {
        let chunks = page_bytes / next;
        let size = (page_bytes / chunks / granule_bytes * granule_bytes).min(largest);
        sizes.push(size as u32);
        if size == largest {
            return sizes;
        }
        let step = if size < FINE_BYTES_MAX { (factor - 1.0) / 2.0 } else { factor - 1.0 };
        let grown = (size as f64 * (1.0 + step)) as usize / granule_bytes * granule_bytes;
        next = grown.max(size + granule_bytes).min(largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for (page, granule, factor, head) in [
            (16 << 10, 8, 1.08, 300),
            (64 << 10, 8, 1.25, 300),
            (1 << 20, 16, 1.001, 300),
            (256 << 10, 8, 1.07, 65_600),
            (1 << 20, 8, 1.07, 65_600),
        ] {
            let largest = chunk_max(page, head, granule);
            let classes = Classes::new(1024, page, granule, (48, largest), factor);
            assert!(usize::from(classes.last()) <= CLASSES_MAX);
            assert!(classes.size(classes.last()) == largest && largest >= head);
            for bytes in 1..=largest {
                let class = classes.class_of(bytes);
                assert!(classes.size(class) >= bytes);
                assert!(class == 1 || classes.size(class - 1) < bytes);
            }
            assert_eq!(classes.class_of(largest + 1), classes.last());
        }
    }

    /// The same for the sizes most items have, at its worst.
    #[test]
    fn rounding_wastes_least_where_most_items_are() {
        for page in [64 << 10, 128 << 10, 256 << 10] {
            let classes = Classes::new(1024, page, 8, (40, chunk_max(page, 0, 8)), 1.07);
            for need in 264..2048 {
                let size = classes.size(classes.class_of(need));
                let waste = 1.0 - need as f64 / (page as f64 / (page / size) as f64);
                assert!(waste < 0.06, "page {page}: {need} bytes in {size}");
            }
        }
    }

    /// Bytes of page used by a value's item, over the bytes it needs; averaged over values of 64 B to 8 KiB.
    #[test]
    fn rounding_wastes_less_than_a_twentieth() {
        for page in [64 << 10, 256 << 10, 1 << 20] {
            let classes = Classes::new(1024, page, 8, (48, chunk_max(page, 0, 8)), 1.07);
            let (mut waste, mut count) = (0.0, 0.0);
            for value in (64..8192).step_by(7) {
                let need = 24 + 20 + value;
                let size = classes.size(classes.class_of(need));
                waste += 1.0 - need as f64 / (page as f64 / (page / size) as f64);
                count += 1.0;
            }
            assert!(waste / count < 0.05, "page {page}: {}", waste / count);
        }
    }
}
