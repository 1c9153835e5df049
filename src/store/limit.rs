//! The limit while the store runs (`cache_memlimit`).
//!
//! The arena has reserved address space for the highest limit, so raising it adds pages and moves nothing.
//! Lowering it withholds pages: free ones at once, others as they are emptied. The background work empties
//! them the way the reserve is filled: it evicts the coldest items until some class has chunks for a page to
//! spare, and then moves what is left in one (`reclaim.rs`); as items go, table and ghost shrink. Where
//! nothing may be evicted (`-M`) only what is free or overdue is given up.

use super::{Store, least_bytes};

/// Bytes of withheld pages given back to the kernel in one step of the background work; about 0.1 ms.
const GIVE_BACK_BYTES: usize = 1 << 20;

/// Why the limit could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Table, ghost and a few pages of items need more.
    #[error("a memory limit of {limit_bytes} bytes a shard is too small: it needs {least_bytes}")]
    TooSmall {
        /// What was asked for.
        limit_bytes: usize,
        /// The least that works.
        least_bytes: usize,
    },
    /// More than was reserved at the start.
    #[error(
        "a memory limit of {limit_bytes} bytes a shard is beyond the {most_bytes} reserved at the start: \
         restart with a larger -m"
    )]
    TooLarge {
        /// What was asked for.
        limit_bytes: usize,
        /// The most that works.
        most_bytes: usize,
    },
    /// The kernel refused the memory.
    #[error("cannot raise the memory limit of a shard to {limit_bytes} bytes: {source}")]
    Kernel {
        /// What was asked for.
        limit_bytes: usize,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

impl Store {
    /// Changes the limit; bytes as in `StoreConfig::limit_bytes`. A lower one takes hold over the next calls
    /// of `background`, see `Footprint::pages_over`.
    pub fn set_limit(&mut self, limit_bytes: usize) -> Result<(), LimitError> {
        let page_bytes = self.slab.page_bytes();
        let (least_bytes, most_bytes) = (least_bytes(page_bytes), self.slab.arena.reserved());
        if limit_bytes < least_bytes {
            return Err(LimitError::TooSmall { limit_bytes, least_bytes });
        }
        let pages = limit_bytes / page_bytes;
        // Whole pages were reserved, so a part of one more is no more than that.
        if pages * page_bytes > most_bytes {
            return Err(LimitError::TooLarge { limit_bytes, most_bytes });
        }
        self.slab.allow_pages(pages as u32).map_err(|source| LimitError::Kernel { limit_bytes, source })
    }

    /// Works towards a limit that was lowered, by up to about `budget` evictions. True: there is more to do
    /// now.
    pub(super) fn tend_limit(&mut self, budget: usize) -> bool {
        self.cool();
        let withheld = self.slab.withhold();
        let more = self.slab.give_back((GIVE_BACK_BYTES / self.slab.page_bytes()).max(1)) || withheld;
        if self.slab.pages_over() == 0 || more || self.slab.draining().is_some() || self.table.resizing() {
            return more;
        }
        // No page could be drained: there are too few free chunks.
        let mut evicted = 0;
        while evicted < budget && !self.too_idle() && self.may_evict && self.evict_one() {
            evicted += 1;
        }
        evicted > 0
    }
}
