//! One shard's data: a cache of items in a fixed amount of memory. Pure: no socket, clock, thread or lock.
//! Time comes in as `now_s`, whole seconds of a clock that never goes back and starts at 2; hashes come in
//! with the keys.
//!
//! From the bottom up:
//! * `arena` reserves the memory, `slab` cuts it into pages and chunks of the `classes`;
//! * `item` and `chain` lay items into chunks, `pins` lends their bytes out;
//! * `table` finds items, `eviction` (with `ghost` and `share`) chooses who leaves and `watch` remembers it, `expiry` finds
//!   who is overdue, `reclaim` gets memory, `limit` changes how much there is, `warm` has it ready before it is needed;
//! * `read`, `write`, `arith` and `scan` are the operations, in the words of `operation`; this file has the
//!   `Store` they work on.
//!
//! What always holds between two calls (`invariants.rs` checks it in the tests): an item that is `LINKED` is
//! in the table once and in one queue once, and nothing else is in either; every other used chunk belongs to
//! a linked item's chain, or to an item that is pinned or being received; every page is free, of one class,
//! of the table, of the ghost or withheld. So `limit_bytes` is never exceeded, but for what is still to be
//! emptied after it was lowered (`limit`).
//!
//! No operation does more than about a millisecond of work: each loop over items, chunks, pages or homes has
//! a bound with a name, save those over the bytes of the one value at hand and the last resort of `reclaim`,
//! which empties one page.

mod arena;
mod arith;
mod chain;
mod classes;
mod counters;
mod eviction;
mod expiry;
mod ghost;
mod hash;
mod item;
mod largest;
mod limit;
mod operation;
mod pins;
mod read;
mod reclaim;
mod scan;
mod share;
mod slab;
mod table;
mod warm;
mod watch;
mod write;

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use arena::HugePages;
pub use counters::{ClassCounters, ClassStats, Footprint, StoreCounters};
pub use hash::Hasher;
pub use item::KEY_LEN_MAX;
pub use largest::{LargeItem, LargestWalk};
pub use limit::LimitError;
pub use operation::{ArithRefusal, Arithmetic, Found, Key, Miss, Mode, Refusal, Write};
pub use pins::{Pinned, PinnedSegments, Upload};
pub use read::ItemView;
pub use warm::ColdRange;
pub use watch::{Evicted, Evictions};

use arena::{Arena, Loc};
use classes::Classes;
use eviction::Queues;
use expiry::{Crawl, Flush};
use ghost::Ghost;
use item::{EXTRAS_MAX, HEADER_BYTES, state};
use slab::{GHOST_PAGE, Slab, TABLE_PAGE};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use table::Table;
use warm::Warmth;

/// Pages the arena is cut into, at least about: page sizes are powers of two. Each class in use leaves half a page
/// idle on average, so many small pages waste less than few large ones.
const PAGES_AIMED_AT: usize = 2048;
/// Smallest and largest page of an arena that is not small. In smaller ones the larger chunks tile badly; the largest
/// can be emptied within a millisecond.
const PAGE_BYTES_USUAL: usize = 16 << 10;
const PAGE_BYTES_MAX: usize = 256 << 10;
/// Pages a small arena is cut into, at least about, and its smallest page: with fewer pages the classes would lie far
/// apart, with smaller ones most values would be chains.
const PAGES_AIMED_AT_SMALL: usize = 512;
const PAGE_BYTES_MIN: usize = 4 << 10;
/// Most pages, so that what looks at each of them stays fast; a limit beyond what they hold makes the pages larger
/// than [`PAGE_BYTES_MAX`].
const PAGES_MAX: usize = 1 << 16;
/// Fewest pages that can work: table, ghost, reserve, one draining, and some for items.
const PAGES_MIN: usize = 8;
/// The smallest limit a store works with.
pub const LIMIT_MIN_BYTES: usize = 128 << 10;
/// Smallest chunk, room for the header and a tiny key and value.
const CHUNK_BYTES_MIN: usize = 40;
/// Smallest granule; twice as much for each doubling of the limit beyond 16 GiB.
const GRANULE_BYTES: usize = 8;

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Bytes for items, table and ghost together; the shard's part of `-m`.
    pub limit_bytes: usize,
    /// The most `Store::set_limit` is ever to be asked for; that much address space is reserved, as far as it
    /// can be had and items can be named in it.
    pub limit_max_bytes: usize,
    /// `-I`: the largest item by memcached's formula, see [`Refusal::TooLarge`].
    pub item_size_max: usize,
    /// The longest key that must fit, in bytes: whatever the page size, at least this (`--max-key-size`).
    pub key_len_max: usize,
    /// `-f`: each size class is larger than the one before by at most this factor.
    pub growth_factor: f64,
    /// `-n`: room for key, value and flags in the smallest chunk, in bytes.
    pub min_item_bytes: usize,
    /// False (`-M`): refuse new items instead of evicting old ones.
    pub evict: bool,
    /// False (`-C`): items have CAS 0 and every compare-and-swap fails.
    pub cas: bool,
    /// Which pages to ask the kernel for.
    pub huge_pages: HugePages,
    /// Hashes the keys; the caller's `Key::hash` comes from (a clone of) it.
    pub hasher: Hasher,
}

impl StoreConfig {
    /// The limits that [`Store::set_limit`] takes, in bytes; the upper ones as far as the kernel has had address space to reserve.
    pub fn limits(&self) -> RangeInclusive<usize> {
        let most = self.limit_max_bytes.min(PAGES_MAX * self.page_bytes()).min(self.granule_bytes() << 31);
        least_bytes(self.page_bytes())..=most.max(self.limit_bytes)
    }

    /// The longest head of an item: all but its value.
    fn head_bytes(&self) -> usize {
        HEADER_BYTES + EXTRAS_MAX + self.key_len_max + 1
    }

    /// The page size: a power of two that gives about [`PAGES_AIMED_AT`] pages, or [`PAGES_AIMED_AT_SMALL`] where
    /// these would be too small, or up to [`PAGES_MAX`] where they would be too large; each with room for two chunks of a head.
    fn page_bytes(&self) -> usize {
        let small = (self.limit_bytes / PAGES_AIMED_AT_SMALL).min(PAGE_BYTES_USUAL);
        let aimed_at = (self.limit_bytes / PAGES_AIMED_AT).max(small).max(PAGE_BYTES_MIN);
        let usual = (1usize << aimed_at.ilog2()).min(PAGE_BYTES_MAX);
        let large = self.limit_bytes.div_ceil(PAGES_MAX).next_power_of_two();
        usual.max(large).max((2 * self.head_bytes()).next_power_of_two())
    }

    /// What a location counts in: all of the limit can be named with 31 bits.
    fn granule_bytes(&self) -> usize {
        let len = self.limit_bytes / self.page_bytes() * self.page_bytes();
        GRANULE_BYTES.max((len >> 31).next_power_of_two())
    }
}

/// Why a store could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The limit is below what table, ghost and a few pages of items take.
    #[error(
        "a memory limit of {limit_bytes} bytes a shard is too small: \
         raise -m or lower -t so that each gets {least_bytes}"
    )]
    TooSmall {
        /// What was asked for.
        limit_bytes: usize,
        /// The least that works.
        least_bytes: usize,
    },
    /// The kernel refused the mapping.
    #[error(
        "cannot reserve {limit_bytes} bytes of memory for a shard ({source}): \
         lower -m or raise the limit of address space (ulimit -v)"
    )]
    Reserve {
        /// What was asked for.
        limit_bytes: usize,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// One shard's data.
#[derive(Debug)]
pub struct Store {
    slab: Slab,
    table: Table,
    queues: Queues,
    ghost: Ghost,
    crawl: Crawl,
    flush: Flush,
    /// Number of pins by item; rarely more than a few, as only large values are pinned.
    pins: HashMap<Loc, u32>,
    /// Pins and uploads not yet given back.
    tokens_out: usize,
    /// Bytes of values that are being received for which there is memory, filled or not: about half of the limit at most, which is
    /// looked at before each step.
    uploading_bytes: usize,
    /// The next chunk of the draining page to visit.
    drain_next: u32,
    /// The number of the latest store: the CAS number of its item, unless that was given one.
    number: u64,
    now_s: u32,
    may_evict: bool,
    with_cas: bool,
    item_size_max: usize,
    hasher: Hasher,
    counters: StoreCounters,
    class_counters: Vec<ClassCounters>,
    /// The evictions of late, while somebody watches.
    evictions: Option<Evictions>,
    notice: Option<String>,
    warmth: Warmth,
}

impl Store {
    /// Reserves the memory and lays out the first pages. Touches little of it.
    pub fn new(config: &StoreConfig) -> Result<Store, StoreError> {
        let limit_bytes = config.limit_bytes;
        let (page_bytes, granule_bytes) = (config.page_bytes(), config.granule_bytes());
        let (least_bytes, most_bytes) = config.limits().into_inner();
        if limit_bytes < least_bytes {
            return Err(StoreError::TooSmall { limit_bytes, least_bytes });
        }
        let [len, len_max] = [limit_bytes, most_bytes].map(|bytes| bytes / page_bytes * page_bytes);
        let smallest = (HEADER_BYTES + config.min_item_bytes).max(CHUNK_BYTES_MIN);
        let largest = classes::chunk_max(page_bytes, config.head_bytes(), granule_bytes);
        let classes = Classes::new(
            len / page_bytes,
            page_bytes,
            granule_bytes,
            (smallest, largest),
            config.growth_factor,
        );
        let (arena, notice) = Arena::new(len, len_max, granule_bytes, largest, config.huge_pages)
            .map_err(|source| StoreError::Reserve { limit_bytes, source })?;
        let mut slab = Slab::new(arena, page_bytes, classes);
        // The table has the first page, so no item is ever at location 0, which means "none".
        let first = slab.take_page(TABLE_PAGE).unwrap_or_default();
        let mut ghost = Ghost::new(page_bytes);
        if config.evict
            && let Some(page) = slab.take_page(GHOST_PAGE)
        {
            ghost.add_page(page);
        }
        let classes = usize::from(slab.classes.last()) + 1;
        Ok(Store {
            slab,
            table: Table::new(first, page_bytes),
            queues: Queues::new(),
            ghost,
            crawl: Crawl::new(),
            flush: Flush::new(),
            pins: HashMap::new(),
            tokens_out: 0,
            uploading_bytes: 0,
            drain_next: 0,
            number: 0,
            now_s: 0,
            may_evict: config.evict,
            with_cas: config.cas,
            item_size_max: config.item_size_max,
            hasher: config.hasher.clone(),
            counters: StoreCounters::default(),
            class_counters: vec![ClassCounters::default(); classes],
            evictions: None,
            notice,
            warmth: Warmth::default(),
        })
    }

    /// Work that should not wait for a request: table growth, the reserve of pages, the limit, the crawl. Looks at up to
    /// about `budget` chunks or homes. True: there is more to do now.
    pub fn background(&mut self, now_s: u32, budget: usize) -> bool {
        self.tick(now_s);
        self.tend_table(budget);
        self.tend_reserve(budget);
        if self.crawl_wanted() {
            self.crawl(budget);
        }
        let limit_wanted = self.tend_limit(budget);
        let table_wanted = self.table.resizing() || self.index_wanes();
        limit_wanted || table_wanted || self.slab.draining().is_some() || self.crawl_wanted()
    }

    /// Pins and uploads not yet given back.
    pub fn tokens_out(&self) -> usize {
        self.tokens_out
    }

    /// What was counted.
    pub fn counters(&self) -> &StoreCounters {
        &self.counters
    }

    /// Zeroes the cumulative counters (`stats reset`).
    pub fn reset_counters(&mut self) {
        self.counters.reset();
        self.class_counters.iter_mut().for_each(ClassCounters::reset);
    }

    /// The highest class id; ids start at 1.
    pub fn class_max(&self) -> u8 {
        self.slab.classes.last()
    }

    /// What a class has and what was counted for it; None for an id that does not exist.
    pub fn class_stats(&self, class: u8) -> Option<ClassStats> {
        if class == 0 || class > self.class_max() {
            return None;
        }
        let stock = self.slab.stock(class);
        let tails = [self.queues.small.tail, self.queues.main.tail];
        let ages = tails
            .iter()
            .filter(|tail| !tail.is_none())
            .map(|&tail| expiry::age_of(self.slab.header(tail), self.now_s));
        Some(ClassStats {
            chunk_size: self.slab.classes.size(class),
            chunks_per_page: stock.per_page,
            total_pages: stock.pages,
            used_chunks: stock.used,
            free_chunks: stock.free,
            age_s: ages.max().unwrap_or(0),
            counters: self.class_counters[usize::from(class)],
        })
    }

    /// What the memory is used for. Looks at every page.
    pub fn footprint(&self) -> Footprint {
        let items = (0..self.slab.page_count()).filter(|&page| self.slab.class_of_page(page).is_some());
        Footprint {
            page_bytes: self.slab.page_bytes(),
            limit_bytes: self.slab.pages_allowed() as usize * self.slab.page_bytes(),
            pages_total: self.slab.pages_held(),
            pages_over: self.slab.pages_over(),
            pages_free: self.slab.free_pages(),
            pages_items: items.count() as u32,
            pages_table: self.table.page_count() as u32,
            pages_ghost: self.ghost.page_count() as u32,
            table_capacity: self.table.capacity(),
            table_growing: self.table.resizing(),
        }
    }

    /// What the operator should know about the memory that was reserved: a wish the kernel did not grant.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// The counters of an item's class.
    fn class_counters(&mut self, loc: Loc) -> &mut ClassCounters {
        &mut self.class_counters[usize::from(self.slab.class_of_chunk(loc))]
    }

    /// The item of a key, dead or alive.
    #[inline]
    fn find(&self, key: Key<'_>) -> Option<Loc> {
        debug_assert_eq!(key.hash, self.hasher.hash(key.bytes), "hash from another hasher");
        self.table.find(&self.slab.arena, key.hash as u32, |loc| self.slab.key(loc) == key.bytes)
    }

    /// The item of a key if it is alive; a dead one is freed.
    #[inline]
    fn find_live(&mut self, key: Key<'_>) -> Result<Loc, Miss> {
        let loc = self.find(key).ok_or(Miss::Absent)?;
        match self.death_of(self.slab.header(loc)) {
            None => Ok(loc),
            Some(miss) => {
                self.drop_dead(loc);
                Err(miss)
            }
        }
    }

    /// Puts a complete, unlinked item into the table and a queue. False when the table had no room for it; it
    /// is freed then.
    fn link(&mut self, loc: Loc, hash: u64) -> bool {
        self.tend_table_for_store();
        let full = self.table.at_limit() && !(self.may_evict && self.evict_one());
        if full || !self.enter_table(loc, hash as u32) {
            self.slab.free_item(loc);
            return false;
        }
        let main = self.enters_main(hash);
        let bytes = self.slab.chunks_bytes(loc);
        self.queues.push(&mut self.slab, loc, main, bytes);
        self.note_linked(loc);
        true
    }

    /// Enters an item into the table, at the cost of another one if its path is full.
    fn enter_table(&mut self, loc: Loc, hash: u32) -> bool {
        if self.table.insert(&mut self.slab.arena, hash, loc).is_ok() {
            return true;
        }
        let entries = self.table.home_entries(&self.slab.arena, hash);
        let spare = |loc: &&Loc| !loc.is_none() && !self.slab.header(**loc).is(state::PINNED);
        match entries.iter().find(spare) {
            Some(&other) if self.may_evict => {
                self.evict(other);
                self.table.insert(&mut self.slab.arena, hash, loc).is_ok()
            }
            _ => false,
        }
    }

    /// Marks an item that is now in table and queue as stored: state, number, time, counters.
    fn note_linked(&mut self, loc: Loc) {
        let (number, now_s) = (self.next_number(), self.now_s);
        let header = self.slab.header_mut(loc);
        header.state = header.state & !state::UPLOADING | state::LINKED;
        header.set_stamp(number, now_s);
        let expires_s = header.expires_s;
        self.note_expiry(loc, expires_s);
        let bytes = self.slab.item_bytes(loc) as u64;
        self.counters.curr_items += 1;
        self.counters.total_items += 1;
        self.counters.bytes += bytes;
        let class = self.class_counters(loc);
        class.number += 1;
        class.mem_requested += bytes;
    }

    /// A number no store had before (within 2^40). 0 means "no CAS"; it is skipped when the counter comes
    /// round.
    fn next_number(&mut self) -> u64 {
        self.number = if self.number == item::CAS_MASK { 1 } else { self.number + 1 };
        self.number
    }

    /// The reverse of `note_linked`, before an item leaves table and queue or changes.
    fn note_unlinked(&mut self, loc: Loc) {
        let bytes = self.slab.item_bytes(loc) as u64;
        self.slab.header_mut(loc).state &= !state::LINKED;
        self.counters.curr_items -= 1;
        self.counters.bytes -= bytes;
        let class = self.class_counters(loc);
        class.number -= 1;
        class.mem_requested -= bytes;
    }

    /// Takes a linked item out of everything and frees it.
    fn unlink(&mut self, loc: Loc, hash: u64) {
        self.table.remove(&mut self.slab.arena, hash as u32, loc);
        self.unlink_unindexed(loc);
    }

    /// The same for an item that is not in the table any more.
    fn unlink_unindexed(&mut self, loc: Loc) {
        let bytes = self.slab.chunks_bytes(loc);
        self.queues.remove(&mut self.slab, loc, bytes);
        self.note_unlinked(loc);
        self.free_unlinked(loc);
    }

    /// Frees an unlinked item, now or with its last pin.
    fn free_unlinked(&mut self, loc: Loc) {
        if !self.slab.header(loc).is(state::PINNED) {
            self.slab.free_item(loc);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.tokens_out > 0 {
            self.slab.arena.leak();
        }
    }
}

/// The smallest limit that works with pages of this size.
fn least_bytes(page_bytes: usize) -> usize {
    LIMIT_MIN_BYTES.max(PAGES_MIN * page_bytes)
}
