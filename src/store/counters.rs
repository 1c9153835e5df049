//! What the store counts. Counting costs an increment; nothing here is shared or atomic.

/// The counters of one store. Cumulative ones are zeroed by `Store::reset_counters`, the first two are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Items that can be found now (overdue ones not yet noticed included).
    pub curr_items: u64,
    /// Bytes of these items: header, extras, key, value.
    pub bytes: u64,
    /// Items stored, replacements included.
    pub total_items: u64,
    /// Live items thrown out for lack of memory.
    pub evictions: u64,
    /// Of these, never read.
    pub evicted_unfetched: u64,
    /// Of these, read since they last moved in the queues.
    pub evicted_active: u64,
    /// Dead items whose memory was taken back, never read.
    pub expired_unfetched: u64,
    /// Dead items found at a queue's tail when memory was needed.
    pub reclaimed: u64,
    /// Dead items found by the crawl.
    pub crawler_reclaimed: u64,
    /// Items the crawl looked at.
    pub crawler_items_checked: u64,
    /// Reads that found an expired item.
    pub get_expired: u64,
    /// Reads that found a flushed item.
    pub get_flushed: u64,
    /// Pages emptied for another use.
    pub slabs_moved: u64,
    /// Items and parts of items moved to another chunk on that way.
    pub slab_rescues: u64,
    /// Pages that could not be emptied because an item was pinned or being received.
    pub slab_busy: u64,
}

/// The counters of one class; an item counts in the class of its head. All cumulative but `mem_requested` and
/// `number`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounters {
    /// Items now.
    pub number: u64,
    /// Bytes these items asked for.
    pub mem_requested: u64,
    /// As in `StoreCounters::evictions`.
    pub evicted: u64,
    /// Of these, with an expiry time.
    pub evicted_nonzero: u64,
    /// Of these, never read.
    pub evicted_unfetched: u64,
    /// Seconds since the last access of the item evicted last.
    pub evicted_time_s: u32,
    /// Stores refused for lack of memory.
    pub outofmemory: u64,
    /// As in `StoreCounters::reclaimed`.
    pub reclaimed: u64,
    /// As in `StoreCounters::expired_unfetched`.
    pub expired_unfetched: u64,
    /// As in `StoreCounters::crawler_reclaimed`.
    pub crawler_reclaimed: u64,
    /// As in `StoreCounters::crawler_items_checked`.
    pub crawler_items_checked: u64,
    /// Reads that hit.
    pub get_hits: u64,
    /// Values offered by storage commands, stored or not.
    pub cmd_set: u64,
    /// Deletes that hit.
    pub delete_hits: u64,
    /// Increments that hit.
    pub incr_hits: u64,
    /// Decrements that hit.
    pub decr_hits: u64,
    /// Compare-and-swaps that matched.
    pub cas_hits: u64,
    /// Compare-and-swaps that did not.
    pub cas_badval: u64,
    /// Touches (and reads with touch) that hit.
    pub touch_hits: u64,
}

impl ClassCounters {
    /// Zeroes what is cumulative.
    pub(super) fn reset(&mut self) {
        *self =
            ClassCounters { number: self.number, mem_requested: self.mem_requested, ..Default::default() };
    }
}

impl StoreCounters {
    /// Zeroes what is cumulative.
    pub(super) fn reset(&mut self) {
        *self = StoreCounters { curr_items: self.curr_items, bytes: self.bytes, ..Default::default() };
    }
}

/// A class as `stats items` and `stats slabs` show it.
#[derive(Clone, Copy, Debug)]
pub struct ClassStats {
    /// Bytes of a chunk.
    pub chunk_size: usize,
    /// Chunks of a page.
    pub chunks_per_page: u32,
    /// Pages the class has.
    pub total_pages: u32,
    /// Chunks in use.
    pub used_chunks: u32,
    /// Chunks not in use (those of a page being emptied count as neither).
    pub free_chunks: u32,
    /// Seconds since the last access of the older of the two queues' oldest items. The queues span all
    /// classes, so this is an approximation, the same for every class.
    pub age_s: u32,
    /// What was counted.
    pub counters: ClassCounters,
}

/// What the arena is used for. The sum of all pages is what the limit allows, and those over it.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Bytes of a page.
    pub page_bytes: usize,
    /// The limit, in whole pages.
    pub limit_bytes: usize,
    /// All pages.
    pub pages_total: u32,
    /// Of these, how many are still to be emptied since the limit was lowered.
    pub pages_over: u32,
    /// Pages nobody uses.
    pub pages_free: u32,
    /// Pages of size classes.
    pub pages_items: u32,
    /// Pages of the table.
    pub pages_table: u32,
    /// Pages of the ghost.
    pub pages_ghost: u32,
    /// Entries the table has room for now.
    pub table_capacity: usize,
    /// True while the table grows.
    pub table_growing: bool,
}
