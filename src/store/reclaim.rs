//! Getting memory: a chunk for an item, a page for the table, in this order: what is free, what is overdue,
//! what compaction gives, what the eviction policy chooses.
//!
//! A chunk that is a little too large is taken rather than room made: where pages are few, most of them would
//! else be half empty. Chunks freed by evictions are of whatever class the victims were. They serve later
//! requests of that class; when a class has a whole page's worth of them, one of its pages is *drained*: its
//! items move to the other free chunks, and the page can change class.
//!
//! A few free pages are kept in reserve, so a class that has nothing gets a page at once; the reserve is
//! filled again by evictions in turn and a drain, in steps in proportion to the bytes stored since. When
//! requests outrun that, a chunk much too large will do; only when there is none either is a page emptied in
//! one go, the one that costs least, and items without another free chunk to move to are evicted out of turn.
//! That last resort takes up to about a millisecond for a page of 256 KiB full of the smallest items; nothing else
//! here takes 0.3 ms.

use super::Store;
use super::arena::Loc;
use super::item::{ChunkKind, state};
use super::slab::{GHOST_PAGE, Slab, TABLE_PAGE};
use std::ops::RangeInclusive;

/// The reserve is one free page, and one more for so many pages: items leave it alone while there is another
/// way.
const PAGES_PER_RESERVE: u32 = 512;

/// A chunk larger by this factor is taken before a page is emptied in one go.
const FAR_FACTOR: usize = 4;

/// Rounds of one search for a chunk: an eviction or a few steps of something else each.
const ROUNDS_MAX: usize = 64;

/// Chunks the crawl may look at in vain within one search for a chunk, and per round of it.
const CRAWL_CHUNKS_MAX: usize = 512;
const CRAWL_CHUNKS_STEP: usize = 128;

/// Chunks a drain may visit within one search for a chunk, and per round of it.
const DRAIN_CHUNKS_MAX: usize = 512;
const DRAIN_CHUNKS_STEP: usize = 32;

/// Pages a step of the background work may empty; to choose one it looks at them all.
const DRAINS_PER_STEP: usize = 4;

/// Bytes to work through for the reserve per byte handed out while it is not full.
const REFILL_FACTOR: usize = 3;

/// Items evicted for the reserve per chunk handed out, at most (about 50 us).
const REFILL_VICTIMS_MAX: usize = 512;

/// Pages are emptied by force, evicting what cannot move, when more than one part in so many of the arena
/// lies idle in free chunks. Only small arenas come to that: there are fewer pages than classes have
/// remainders.
const IDLE_DIVISOR: usize = 6;

/// A page may be emptied by force when one part in so many of the pages was assigned after it.
const SETTLED_DIVISOR: u32 = 8;

/// Pages one last attempt may try to drain, if the first ones turn out to hold pinned items.
const DRAIN_ATTEMPTS_MAX: usize = 4;

/// Homes of the table moved per stored item while it grows. A growth by an eighth needs a quarter of the
/// homes as many stores, in which the load rises by three percent.
const HOMES_PER_STORE: usize = 4;

/// Bytes of table for an item.
const ENTRY_BYTES: u64 = 10;

impl Store {
    /// A chunk of at least `bytes`. Its first bytes are garbage until the caller writes them. At most
    /// [`ROUNDS_MAX`] rounds of work, and if all else fails the emptying of a page.
    pub(super) fn allocate_chunk(&mut self, bytes: usize) -> Option<Loc> {
        // Before the chunk is taken: a drain must not meet a chunk whose links are not written yet.
        if self.slab.free_pages() < self.pages_kept() {
            self.refill_reserve(bytes);
        }
        let class = self.slab.classes.class_of(bytes);
        let chunk = self.slab.take_chunk(class);
        if chunk.is_some() {
            return chunk;
        }
        if self.slab.free_pages() > self.pages_kept() {
            self.slab.assign_page(class);
            return self.slab.take_chunk(class);
        }
        let close = self.slab.classes.close(bytes);
        self.take_first(close)
            .or_else(|| self.make_room(class, self.slab.classes.class_of(FAR_FACTOR * bytes)))
    }

    /// A free chunk of the first of these classes that has one.
    fn take_first(&mut self, mut classes: RangeInclusive<u8>) -> Option<Loc> {
        classes.find_map(|class| self.slab.take_chunk(class))
    }

    #[cold]
    fn make_room(&mut self, class: u8, farthest: u8) -> Option<Loc> {
        let (mut crawl_left, mut drain_left) = (CRAWL_CHUNKS_MAX, DRAIN_CHUNKS_MAX);
        for _ in 0..ROUNDS_MAX {
            if let Some(chunk) = self.slab.take_chunk(class) {
                return Some(chunk);
            }
            if self.slab.free_pages() > self.pages_kept() {
                self.slab.assign_page(class);
            } else if crawl_left > 0 && self.crawl_wanted() {
                // A step that frees something costs half.
                let freed = self.crawl(CRAWL_CHUNKS_STEP);
                let cost = if freed > 0 { CRAWL_CHUNKS_STEP / 2 } else { CRAWL_CHUNKS_STEP };
                crawl_left = crawl_left.saturating_sub(cost);
            } else if drain_left > 0 && (self.slab.draining().is_some() || self.begin_drain()) {
                drain_left = drain_left.saturating_sub(DRAIN_CHUNKS_STEP);
                self.drain(DRAIN_CHUNKS_STEP);
            } else if !(self.may_evict && self.evict_one()) {
                break;
            }
        }
        if self.slab.free_pages() == 0 {
            let chunk = self.take_first(class..=farthest);
            if chunk.is_some() {
                return chunk;
            }
            self.drain_to_the_end();
        }
        self.slab.assign_page(class);
        self.slab.take_chunk(class)
    }

    /// Pages not to be given to items while there is another way: the reserve, and what table and ghost wait
    /// for.
    fn pages_kept(&self) -> u32 {
        self.reserve_pages() + self.pages_wanted() as u32
    }

    /// The reserve, and what is still to be withheld.
    fn reserve_pages(&self) -> u32 {
        1 + self.slab.pages_held() / PAGES_PER_RESERVE + self.slab.pages_over()
    }

    fn pages_wanted(&self) -> usize {
        self.table.pages_wanted()
            + if self.may_evict { self.ghost.pages_wanted(self.table_pages_to_come()) } else { 0 }
    }

    /// Pages the table has, or would need if the memory were full of items like those that came lately: the ghost
    /// must remember that many at once when many small items replace few large ones.
    fn table_pages_to_come(&self) -> usize {
        let small = &self.queues.small;
        let alike =
            (self.slab.pages_held() as usize * small.items) as u64 * ENTRY_BYTES / small.bytes.max(1) as u64;
        self.table.page_count().max(alike as usize)
    }

    /// Keeps the table ahead of its load, or gives up some of it while the limit is over or larger items have come to
    /// want its memory: collects or gives pages, one a call, and moves up to `homes` homes.
    pub(super) fn tend_table(&mut self, homes: usize) {
        if self.table.resizing() {
            self.table.resize(&mut self.slab.arena, homes);
            while let Some(loc) = self.table.orphans.pop() {
                // Their path was full of other items: as rare as a full path for a new one, and answered
                // likewise.
                self.counters.evictions += 1;
                self.note_evicted(loc);
                self.unlink_unindexed(loc);
            }
        } else if self.slab.pages_over() > 0 || self.index_wanes() {
            self.shrink_index();
        } else if self.table.pages_wanted() > 0 {
            if self.slab.free_pages() > self.reserve_pages()
                && let Some(page) = self.slab.take_page(TABLE_PAGE)
            {
                self.table.add_page(page);
            }
        } else if self.table.ready_to_grow() {
            self.table.begin_growth();
        } else if self.pages_wanted() > 0
            && self.slab.free_pages() > self.reserve_pages()
            && let Some(page) = self.slab.take_page(GHOST_PAGE)
        {
            self.ghost.add_page(page);
        }
    }

    /// True when the table has pages to give up, or table or ghost are large for the items there are and no page is free.
    pub(super) fn index_wanes(&self) -> bool {
        let too_large = || self.table.is_sparse() || self.ghost.too_large(self.table_pages_to_come());
        self.table.has_shrunk() || (self.slab.free_pages() <= self.reserve_pages() && too_large())
    }

    /// Gives up a page of table or ghost, or starts to make the table smaller.
    fn shrink_index(&mut self) {
        let to_come = self.table_pages_to_come();
        let mut spare = self.table.spare_page();
        if spare.is_none() && (self.slab.pages_over() > 0 || self.ghost.too_large(to_come)) {
            spare = self.ghost.spare_page(to_come);
        }
        match spare {
            Some(page) => self.slab.release_page(page),
            None => self.table.begin_shrinking(),
        }
    }

    /// The same as `tend_table` for one stored item.
    pub(super) fn tend_table_for_store(&mut self) {
        let grows = self.pages_wanted() > 0 || self.table.ready_to_grow();
        if self.table.resizing() || grows || self.index_wanes() {
            self.tend_table(HOMES_PER_STORE);
        }
    }

    /// Works towards a full reserve, in proportion to the bytes about to be handed out: evicts until some
    /// class has chunks to spare for a page, then drains one.
    #[cold]
    fn refill_reserve(&mut self, bytes: usize) {
        let work_bytes = REFILL_FACTOR * bytes;
        if self.slab.draining().is_some() || self.begin_drain() {
            let chunks = self.slab.draining().map_or(0, |page| self.slab.page(page).touched as usize);
            return self.drain((work_bytes * chunks).div_ceil(self.slab.page_bytes()) + 1);
        }
        let aim = self.slab.free_bytes() + work_bytes;
        for _ in 0..REFILL_VICTIMS_MAX {
            if self.slab.free_bytes() >= aim || !(self.may_evict && self.evict_one()) {
                return;
            }
        }
    }

    /// Goes on with a drain, or starts some that can refill the reserve, up to `chunks` chunks.
    pub(super) fn tend_reserve(&mut self, chunks: usize) {
        for _ in 0..DRAINS_PER_STEP {
            let short = self.slab.free_pages() < self.pages_kept();
            if self.slab.draining().is_none() && !(short && self.begin_drain()) {
                return;
            }
            self.drain(chunks / DRAINS_PER_STEP);
        }
    }

    /// Starts to drain a page: by compaction, or if much memory is idle and compaction cannot help, by force.
    fn begin_drain(&mut self) -> bool {
        self.begin_compaction() || (self.may_evict && self.too_idle() && self.begin_cheapest_drain())
    }

    /// True when much memory is idle in free chunks.
    pub(super) fn too_idle(&self) -> bool {
        let held_bytes = self.slab.pages_held() as usize * self.slab.page_bytes();
        self.slab.free_bytes() > held_bytes / IDLE_DIVISOR
    }

    /// Starts to drain a page all of whose items have free chunks of their class elsewhere.
    fn begin_compaction(&mut self) -> bool {
        let classes = 1..=self.slab.classes.last();
        let surplus = |&class: &u8| {
            let stock = self.slab.stock(class);
            // A quarter more than the page takes, or the class would soon need it back.
            stock.pages > 1 && stock.free > stock.per_page + stock.per_page / 16
        };
        let Some(class) = classes.filter(surplus).max_by_key(|&class| {
            let stock = self.slab.stock(class);
            stock.free / stock.per_page
        }) else {
            return false;
        };
        self.begin_drain_of_cheapest(|slab, page| slab.kind(page) == class)
    }

    /// Starts to drain the page that costs least, of whatever class, but not one that was assigned lately: it
    /// is still filling, and another class would take it next.
    fn begin_cheapest_drain(&mut self) -> bool {
        let settled = self.slab.pages_held() / SETTLED_DIVISOR;
        self.begin_drain_of_cheapest(|slab, page| {
            slab.class_of_page(page).is_some() && slab.assigned_since(page) > settled
        })
    }

    /// Looks at every page once (a few nanoseconds each).
    fn begin_drain_of_cheapest(&mut self, wanted: impl Fn(&Slab, u32) -> bool) -> bool {
        let usable =
            |&page: &u32| wanted(&self.slab, page) && self.slab.page(page).busy_until_s <= self.now_s;
        match (0..self.slab.page_count()).filter(usable).map(|page| (self.drain_cost(page), page)).min() {
            Some(((to_evict, _), page)) if to_evict == 0 || self.may_evict => {
                let class = self.slab.kind(page);
                self.slab.begin_drain(page, class);
                self.drain_next = 0;
                true
            }
            _ => false,
        }
    }

    /// What emptying a page costs: bytes of items to evict, then bytes to move.
    fn drain_cost(&self, page: u32) -> (usize, usize) {
        let class = self.slab.kind(page);
        let (stock, live) = (self.slab.stock(class), self.slab.page(page).live);
        let elsewhere = stock.free - (stock.per_page - live);
        let chunk = self.slab.classes.size(class);
        (live.saturating_sub(elsewhere) as usize * chunk, live as usize * chunk)
    }

    /// Visits up to `chunks` chunks of the draining page and empties them.
    pub(super) fn drain(&mut self, chunks: usize) {
        for _ in 0..chunks {
            let Some(page) = self.slab.draining() else { return };
            match self.slab.chunk(page, self.drain_next) {
                Some(chunk) if self.slab.page(page).live > 0 => {
                    if !self.vacate(chunk) {
                        self.slab.page_mut(page).busy_until_s = self.now_s + 1;
                        self.counters.slab_busy += 1;
                        self.slab.end_drain();
                        return;
                    }
                    self.drain_next += 1;
                }
                _ => {
                    if self.slab.end_drain() {
                        self.counters.slabs_moved += 1;
                    }
                    return;
                }
            }
        }
    }

    /// The last resort: empties a page here and now.
    fn drain_to_the_end(&mut self) {
        for _ in 0..DRAIN_ATTEMPTS_MAX {
            if self.slab.draining().is_none() && !self.begin_cheapest_drain() {
                return;
            }
            let chunks = self.slab.draining().map_or(0, |page| self.slab.page(page).touched);
            self.drain(chunks as usize + 1);
            if self.slab.free_pages() > 0 {
                return;
            }
        }
    }

    /// Makes a chunk of the draining page free: drops its item if that is dead, else moves it, else evicts
    /// it. False when it is pinned, being received, or may not be evicted.
    fn vacate(&mut self, chunk: Loc) -> bool {
        let kind = self.slab.links(chunk).kind();
        let head = match kind {
            ChunkKind::Free => return true,
            ChunkKind::Item => chunk,
            ChunkKind::Continuation => self.slab.head_of(chunk),
        };
        let header = *self.slab.header(head);
        if !header.is(state::LINKED) || header.is(state::PINNED) {
            return false;
        }
        if self.death_of(&header).is_some() {
            self.counters.reclaimed += 1;
            self.class_counters(head).reclaimed += 1;
            self.drop_dead(head);
        } else if let Some(to) = self.slab.take_chunk(self.slab.class_of_chunk(chunk)) {
            self.counters.slab_rescues += 1;
            let bytes = self.slab.chunk_bytes(chunk);
            self.slab.arena.copy(self.slab.arena.offset(chunk), self.slab.arena.offset(to), bytes);
            if kind == ChunkKind::Item {
                self.rehome_item(chunk, to)
            } else {
                self.slab.rehome_continuation(to)
            }
            self.slab.give_chunk(chunk);
        } else if self.may_evict {
            self.evict(head);
        } else {
            return false;
        }
        true
    }

    /// Points everything that pointed to the item at `from` to its copy at `to`.
    fn rehome_item(&mut self, from: Loc, to: Loc) {
        let hash = self.hasher.hash(self.slab.key(to));
        self.table.replace(&mut self.slab.arena, hash as u32, from, to);
        self.queues.substitute(&mut self.slab, to);
        let header = *self.slab.header(to);
        if header.is(state::CHAINED) {
            let first = self.slab.first_continuation(to);
            self.slab.links_mut(first).set_prev(to);
        }
        self.note_expiry(to, header.expires_s);
    }
}
