//! Who is overdue: expiry times, flushes, and the crawl that takes back what nobody asks for any more.
//!
//! A dead item is freed by whoever meets it: a lookup, the search for a victim, a page being drained, or the
//! crawl. Each page knows a second before which nothing in it expires (`Page::earliest_s`: lowered by every
//! store, made exact by every visit), so the crawl walks only through pages that may hold something overdue,
//! chunk by chunk, in bounded steps; it needs no list. Before anything live is evicted, the crawl gets its
//! turn.
//!
//! A flush notes the number of the latest store of its moment; an item is flushed when its number is not newer. The
//! numbers wrap after 2^40 stores, so "newer" means less than half the circle ahead; the first full pass of
//! the crawl after a flush has freed every flushed item and forgets the mark, so no item can ever come round
//! to its other side.

use super::arena::Loc;
use super::item::{ACCESS_MASK, CAS_MASK, ChunkKind, Header, state};
use super::{Miss, Store};

/// A pass that freed less than one in this many of the items it checked makes the next one wait twice as
/// long.
const WORTHWHILE_DIVISOR: u32 = 32;

/// The longest wait between two passes.
const INTERVAL_MAX_S: u32 = 16;

/// Pages looked at (not through) per chunk of a crawl's budget, so that skipping pages is bounded too.
const PAGES_PER_CHUNK: usize = 4;

/// Where the crawl is.
#[derive(Debug)]
pub struct Crawl {
    /// True between the first and the last page of a pass.
    running: bool,
    page: u32,
    chunk: u32,
    /// No item in the store expires before this second.
    earliest_s: u32,
    /// The next pass does not start before this second.
    next_pass_s: u32,
    interval_s: u32,
    /// Items this pass checked and freed.
    checked: u32,
    freed: u32,
}

impl Crawl {
    /// A crawl that has seen nothing to do.
    pub fn new() -> Crawl {
        Crawl {
            running: false,
            page: 0,
            chunk: 0,
            earliest_s: u32::MAX,
            next_pass_s: 0,
            interval_s: 1,
            checked: 0,
            freed: 0,
        }
    }
}

#[cfg(test)]
impl Crawl {
    /// The page it is in the middle of, whose `earliest_s` is not exact yet.
    pub fn inside(&self) -> Option<u32> {
        (self.running && self.chunk > 0).then_some(self.page)
    }
}

/// Which flushes have happened and which is to come.
#[derive(Debug)]
pub struct Flush {
    /// Items with numbers up to this one are dead; None when no such item is left.
    watermark: Option<u64>,
    /// The second at which to flush; `u32::MAX`: none is planned.
    pub at_s: u32,
}

impl Flush {
    /// No flush so far.
    pub fn new() -> Flush {
        Flush { watermark: None, at_s: u32::MAX }
    }
}

/// Seconds since an item's last access, modulo 2^24 (194 days).
pub fn age_of(header: &Header, now_s: u32) -> u32 {
    now_s.wrapping_sub(header.access()) & ACCESS_MASK
}

impl Store {
    /// Kills every item stored so far: at once, or at second `at_s`. A planned flush is replaced by the next
    /// call, as in memcached; a flush that has happened is never undone. Cost: one write per page.
    pub fn flush(&mut self, at_s: Option<u32>, now_s: u32) {
        self.tick(now_s);
        self.flush.at_s = at_s.filter(|&at_s| at_s > now_s).unwrap_or(u32::MAX);
        if self.flush.at_s == u32::MAX {
            self.flush_now();
        }
    }

    /// Every operation starts here: takes over the clock and does a flush whose second has come.
    #[inline]
    pub(super) fn tick(&mut self, now_s: u32) {
        self.now_s = now_s;
        if now_s >= self.flush.at_s {
            self.flush.at_s = u32::MAX;
            self.flush_now();
        }
    }

    #[cold]
    fn flush_now(&mut self) {
        self.flush.watermark = Some(self.number);
        for page in 0..self.slab.page_count() {
            if self.slab.class_of_page(page).is_some() {
                self.slab.page_mut(page).earliest_s = 0;
            }
        }
        self.crawl = Crawl { earliest_s: 0, ..Crawl::new() };
    }

    /// Why an item is dead; None when it is alive.
    #[inline]
    pub(super) fn death_of(&self, header: &Header) -> Option<Miss> {
        if header.expires_s != 0 && self.now_s > header.expires_s {
            return Some(Miss::Expired);
        }
        let watermark = self.flush.watermark?;
        let ahead = header.number().wrapping_sub(watermark) & CAS_MASK;
        (ahead == 0 || ahead > CAS_MASK / 2).then_some(Miss::Flushed)
    }

    /// Tells page and crawl that an item at `loc` expires at `expires_s` (0: never).
    #[inline]
    pub(super) fn note_expiry(&mut self, loc: Loc, expires_s: u32) {
        if expires_s != 0 {
            let page = self.slab.page_of(loc);
            let page = self.slab.page_mut(page);
            page.earliest_s = page.earliest_s.min(expires_s);
            self.crawl.earliest_s = self.crawl.earliest_s.min(expires_s);
        }
    }

    /// Takes a dead item out and counts it, not where it was found.
    pub(super) fn drop_dead(&mut self, loc: Loc) {
        if !self.slab.header(loc).is(state::FETCHED) {
            self.counters.expired_unfetched += 1;
            self.class_counters(loc).expired_unfetched += 1;
        }
        let hash = self.hasher.hash(self.slab.key(loc));
        self.unlink(loc, hash);
    }

    /// True when the crawl has something to look at now.
    pub(super) fn crawl_wanted(&self) -> bool {
        self.crawl.running || (self.crawl.earliest_s < self.now_s && self.crawl.next_pass_s <= self.now_s)
    }

    /// Lets the next pass of the crawl start without the rest it would take.
    pub fn crawl_soon(&mut self) {
        self.crawl.next_pass_s = 0;
    }

    /// Looks at up to `budget` chunks and frees the dead items among them; returns how many those were.
    pub(super) fn crawl(&mut self, budget: usize) -> usize {
        if !self.crawl.running {
            self.crawl = Crawl { running: true, interval_s: self.crawl.interval_s, ..Crawl::new() };
        }
        let mut freed = 0;
        let mut chunks_left = budget;
        let mut pages_left = budget * PAGES_PER_CHUNK;
        while chunks_left > 0 && pages_left > 0 {
            if self.crawl.page >= self.slab.page_count() {
                self.end_pass();
                break;
            }
            let page = self.crawl.page;
            if self.crawl.chunk == 0 {
                let due = self.slab.page(page).earliest_s < self.now_s;
                if !due || self.slab.class_of_page(page).is_none() {
                    self.leave_page(page);
                    pages_left -= 1;
                    continue;
                }
                self.slab.page_mut(page).earliest_s = u32::MAX;
            }
            match self.slab.chunk(page, self.crawl.chunk) {
                Some(chunk) => {
                    freed += usize::from(self.crawl_chunk(chunk));
                    self.crawl.chunk += 1;
                    chunks_left -= 1;
                }
                None => self.leave_page(page),
            }
        }
        freed
    }

    /// Frees the item in a chunk if it is dead (then true), else notes when it will be.
    fn crawl_chunk(&mut self, chunk: Loc) -> bool {
        if self.slab.links(chunk).kind() != ChunkKind::Item {
            return false;
        }
        let header = *self.slab.header(chunk);
        if !header.is(state::LINKED) {
            return false;
        }
        self.crawl.checked += 1;
        self.counters.crawler_items_checked += 1;
        self.class_counters(chunk).crawler_items_checked += 1;
        if self.death_of(&header).is_none() {
            self.note_expiry(chunk, header.expires_s);
            return false;
        }
        self.crawl.freed += 1;
        self.counters.crawler_reclaimed += 1;
        self.class_counters(chunk).crawler_reclaimed += 1;
        self.drop_dead(chunk);
        true
    }

    fn leave_page(&mut self, page: u32) {
        self.crawl.earliest_s = self.crawl.earliest_s.min(self.slab.page(page).earliest_s);
        self.crawl.page += 1;
        self.crawl.chunk = 0;
    }

    /// All pages are seen: every flushed item is gone. (Items move between pages only while alive.)
    fn end_pass(&mut self) {
        let crawl = &mut self.crawl;
        crawl.running = false;
        let worthwhile = crawl.freed.saturating_mul(WORTHWHILE_DIVISOR) >= crawl.checked;
        crawl.interval_s = if worthwhile { 1 } else { (crawl.interval_s * 2).min(INTERVAL_MAX_S) };
        crawl.next_pass_s = self.now_s + crawl.interval_s;
        self.flush.watermark = None;
    }
}
