//! Pages and chunks: the arena cut into pages of equal size, each free, of one size class, or part of the
//! table or the ghost.
//!
//! A page of a class hands out its chunks: freed ones first, from a list threaded through them, then
//! untouched ones in order, so memory is touched only when needed. Pages with a chunk to spare are in their
//! class's `partial` list. A page whose last chunk is freed goes back to the free pages at once.
//!
//! There are as many pages as the limit allows. When it is lowered, pages nobody ever used cease to exist, and
//! used ones are *withheld* as they become free: nobody gets them until the limit is raised, and their memory
//! goes back to the kernel. Until enough are withheld the slab is *over* the limit.
//!
//! One page at a time may be *draining* (`reclaim.rs` is moving its items out): it is in no list, none of its
//! chunks counts as free, and chunks freed in it are not handed out again.

use super::arena::{Arena, HUGE_PAGE_BYTES, Loc};
use super::classes::Classes;
use super::item::{ChunkKind, Links};
use std::io;

/// Kind of a page nobody uses.
pub const FREE_PAGE: u8 = 0;
/// Kind of a page that is withheld. Kinds between are class ids.
pub const WITHHELD_PAGE: u8 = 253;
/// Kind of a page of the table.
pub const TABLE_PAGE: u8 = 254;
/// Kind of a page of the ghost.
pub const GHOST_PAGE: u8 = 255;

const NO_PAGE: u32 = u32::MAX;

/// What is known about a page, apart from its kind.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// First chunk of the list of freed chunks.
    freed: Loc,
    /// Chunks handed out at least once; those after them are untouched.
    pub touched: u32,
    /// Chunks in use.
    pub live: u32,
    /// Neighbours in the partial list of the class; `next` also links the free pages.
    next: u32,
    prev: u32,
    /// No item in here expires before this second (never is `u32::MAX`).
    pub earliest_s: u32,
    /// How many pages had been assigned before this one.
    assigned: u32,
    /// A drain found an item that cannot move; leave the page alone until this second.
    pub busy_until_s: u32,
}

const EMPTY: Page = Page {
    freed: Loc::NONE,
    touched: 0,
    live: 0,
    next: NO_PAGE,
    prev: NO_PAGE,
    assigned: 0,
    earliest_s: u32::MAX,
    busy_until_s: 0,
};

/// What a class has.
#[derive(Clone, Copy, Debug)]
pub struct Stock {
    /// First page with a chunk to spare.
    partial: u32,
    /// Pages of the class.
    pub pages: u32,
    /// Chunks that can be handed out without another page.
    pub free: u32,
    /// Chunks in use.
    pub used: u32,
    /// Chunks a page has.
    pub per_page: u32,
}

/// The arena and who has which part of it.
#[derive(Debug)]
pub struct Slab {
    /// The memory itself.
    pub arena: Arena,
    /// The sizes.
    pub classes: Classes,
    page_shift: u32,
    /// Kind by page: on the path of every read, hence apart from `pages`.
    kinds: Vec<u8>,
    pages: Vec<Page>,
    stock: Vec<Stock>,
    /// Pages given back, a list through `Page::next`.
    returned: u32,
    returned_count: u32,
    /// The first page never used; it and all after it are zero.
    fresh: u32,
    draining: u32,
    /// Pages the limit allows.
    allowed: u32,
    /// Pages withheld; the first `given_back` of them have been given back to the kernel.
    withheld: Vec<u32>,
    given_back: usize,
    /// Pages assigned to classes so far, modulo 2^32.
    assignments: u32,
    /// Bytes of the chunks that count as free.
    free_bytes: usize,
}

impl Slab {
    /// A slab over a fresh arena, all pages free.
    pub fn new(arena: Arena, page_bytes: usize, classes: Classes) -> Slab {
        let pages = arena.len() / page_bytes;
        let stock = (0..=classes.last())
            .map(|class| Stock {
                partial: NO_PAGE,
                pages: 0,
                free: 0,
                used: 0,
                per_page: if class == 0 { 0 } else { (page_bytes / classes.size(class)) as u32 },
            })
            .collect();
        Slab {
            arena,
            page_shift: page_bytes.trailing_zeros(),
            kinds: vec![FREE_PAGE; pages],
            pages: vec![EMPTY; pages],
            stock,
            classes,
            returned: NO_PAGE,
            returned_count: 0,
            fresh: 0,
            draining: NO_PAGE,
            allowed: pages as u32,
            withheld: Vec::new(),
            given_back: 0,
            assignments: 0,
            free_bytes: 0,
        }
    }

    /// Bytes of a page.
    pub fn page_bytes(&self) -> usize {
        1 << self.page_shift
    }

    /// Offset of a page in the arena.
    pub fn page_at(&self, page: u32) -> usize {
        (page as usize) << self.page_shift
    }

    /// Number of pages, withheld ones included.
    pub fn page_count(&self) -> u32 {
        self.pages.len() as u32
    }

    /// Number of pages that are not withheld.
    pub fn pages_held(&self) -> u32 {
        self.page_count() - self.withheld.len() as u32
    }

    /// Number of pages the limit allows.
    pub fn pages_allowed(&self) -> u32 {
        self.allowed
    }

    /// Pages still to be withheld until the limit holds.
    pub fn pages_over(&self) -> u32 {
        self.pages_held().saturating_sub(self.allowed)
    }

    /// Where the memory that was never used begins: pages are used for the first time in the order of their offsets.
    pub fn fresh_at(&self) -> usize {
        self.page_at(self.fresh)
    }

    /// Where the memory ends that the limit allows.
    pub fn end_at(&self) -> usize {
        self.page_at(self.page_count())
    }

    /// Pages nobody uses.
    pub fn free_pages(&self) -> u32 {
        self.returned_count + self.page_count() - self.fresh
    }

    /// Bytes of the chunks that can be handed out without another page.
    pub fn free_bytes(&self) -> usize {
        self.free_bytes
    }

    /// Pages assigned to classes since this page was.
    pub fn assigned_since(&self, page: u32) -> u32 {
        self.assignments.wrapping_sub(self.page(page).assigned)
    }

    /// Kind of a page: [`FREE_PAGE`], a class, [`TABLE_PAGE`] or [`GHOST_PAGE`].
    pub fn kind(&self, page: u32) -> u8 {
        self.kinds[page as usize]
    }

    /// The class of a page, if it has one.
    pub fn class_of_page(&self, page: u32) -> Option<u8> {
        let kind = self.kind(page);
        (kind != FREE_PAGE && usize::from(kind) < self.stock.len()).then_some(kind)
    }

    /// What is known about a page.
    pub fn page(&self, page: u32) -> &Page {
        &self.pages[page as usize]
    }

    /// The same, to change.
    pub fn page_mut(&mut self, page: u32) -> &mut Page {
        &mut self.pages[page as usize]
    }

    /// What a class has.
    pub fn stock(&self, class: u8) -> &Stock {
        &self.stock[usize::from(class)]
    }

    /// The page a chunk lies in.
    #[inline]
    pub fn page_of(&self, loc: Loc) -> u32 {
        (self.arena.offset(loc) >> self.page_shift) as u32
    }

    /// The class of a chunk.
    #[inline]
    pub fn class_of_chunk(&self, loc: Loc) -> u8 {
        self.kinds[self.arena.offset(loc) >> self.page_shift]
    }

    /// The size of a chunk.
    #[inline]
    pub fn chunk_bytes(&self, loc: Loc) -> usize {
        self.classes.size(self.class_of_chunk(loc))
    }

    /// Chunks a page of this class has.
    pub fn chunks_per_page(&self, class: u8) -> u32 {
        self.stock(class).per_page
    }

    /// The links at the start of a chunk.
    pub fn links(&self, loc: Loc) -> &Links {
        self.arena.get(self.arena.offset(loc))
    }

    /// The same, to change.
    pub fn links_mut(&mut self, loc: Loc) -> &mut Links {
        let at = self.arena.offset(loc);
        self.arena.get_mut(at)
    }

    /// The chunk with this index in a page; None past the touched ones or when the page has no class.
    pub fn chunk(&self, page: u32, index: u32) -> Option<Loc> {
        let class = self.class_of_page(page)?;
        let at = self.page_at(page) + index as usize * self.classes.size(class);
        (index < self.page(page).touched).then(|| self.arena.loc(at))
    }

    /// A free chunk of a page the class already has. Its links are garbage until the caller writes them.
    #[inline]
    pub fn take_chunk(&mut self, class: u8) -> Option<Loc> {
        let stock = &mut self.stock[usize::from(class)];
        let number = stock.partial;
        if number == NO_PAGE {
            return None;
        }
        stock.free -= 1;
        stock.used += 1;
        self.free_bytes -= self.classes.size(class);
        let page = self.pages[number as usize];
        let loc = if page.freed.is_none() {
            let at = self.page_at(number) + page.touched as usize * self.classes.size(class);
            self.page_mut(number).touched += 1;
            self.arena.loc(at)
        } else {
            self.page_mut(number).freed = self.links(page.freed).next();
            page.freed
        };
        self.page_mut(number).live += 1;
        if page.live + 1 == self.chunks_per_page(class) {
            self.leave_partial(number, class);
        }
        Some(loc)
    }

    /// Gives a chunk back, and its page too when it was the last one in use.
    pub fn give_chunk(&mut self, loc: Loc) {
        let (number, class) = (self.page_of(loc), self.class_of_chunk(loc));
        let freed = self.page(number).freed;
        *self.links_mut(loc) = Links::new(ChunkKind::Free, freed, Loc::NONE);
        let page = &mut self.pages[number as usize];
        page.freed = loc;
        page.live -= 1;
        let live = page.live;
        self.stock[usize::from(class)].used -= 1;
        if self.draining == number {
            return;
        }
        self.add_free(class, 1);
        if live + 1 == self.chunks_per_page(class) {
            self.join_partial(number, class);
        }
        if live == 0 {
            self.leave_partial(number, class);
            self.remove_free(class, self.chunks_per_page(class));
            self.retire(number, class);
        }
    }

    /// Gives a free page to a class. False when there is none.
    pub fn assign_page(&mut self, class: u8) -> bool {
        let Some((number, _)) = self.pop_free() else { return false };
        self.kinds[number as usize] = class;
        self.pages[number as usize] = Page { assigned: self.assignments, ..EMPTY };
        self.assignments = self.assignments.wrapping_add(1);
        self.stock[usize::from(class)].pages += 1;
        self.add_free(class, self.chunks_per_page(class));
        self.join_partial(number, class);
        true
    }

    /// Takes a free page for the table or the ghost, zeroed.
    pub fn take_page(&mut self, kind: u8) -> Option<u32> {
        let (number, zeroed) = self.pop_free()?;
        self.kinds[number as usize] = kind;
        if !zeroed {
            let (at, len) = (self.page_at(number), self.page_bytes());
            self.arena.bytes_mut(at, len).fill(0);
        }
        Some(number)
    }

    /// The draining page, if any.
    pub fn draining(&self) -> Option<u32> {
        (self.draining != NO_PAGE).then_some(self.draining)
    }

    /// Starts to drain a page of a class. There is none draining yet.
    pub fn begin_drain(&mut self, number: u32, class: u8) {
        debug_assert!(self.draining == NO_PAGE && self.kind(number) == class);
        let spare = self.chunks_per_page(class) - self.page(number).live;
        if spare > 0 {
            self.leave_partial(number, class);
            self.remove_free(class, spare);
        }
        self.draining = number;
    }

    /// Ends the drain: the page becomes free if it is empty (then true), else an ordinary page again.
    pub fn end_drain(&mut self) -> bool {
        let number = std::mem::replace(&mut self.draining, NO_PAGE);
        let class = self.kind(number);
        let live = self.page(number).live;
        if live == 0 {
            self.retire(number, class);
            return true;
        }
        let spare = self.chunks_per_page(class) - live;
        if spare > 0 {
            self.add_free(class, spare);
            self.join_partial(number, class);
        }
        false
    }

    /// Sets how many pages are allowed, at most what the arena has reserved, and does what can be done about
    /// it at once. An error is the kernel's, and nothing has changed.
    pub fn allow_pages(&mut self, pages: u32) -> io::Result<()> {
        let missing = pages.saturating_sub(self.pages_held());
        let back = missing.min(self.withheld.len() as u32);
        let count = self.page_count() + missing - back;
        self.arena.extend(self.page_at(count))?;
        for number in self.withheld.split_off(self.withheld.len() - back as usize) {
            self.release_page(number);
        }
        self.given_back = self.given_back.min(self.withheld.len());
        self.allowed = pages;
        let count = self.fresh.max(count - (count - self.withheld.len() as u32).saturating_sub(pages));
        self.kinds.resize(count as usize, FREE_PAGE);
        self.pages.resize(count as usize, EMPTY);
        self.withhold();
        // A huge page across the end would hold memory beyond the limit.
        let ends_whole = self.end_at() == self.arena.len() || self.end_at().is_multiple_of(HUGE_PAGE_BYTES);
        self.arena.allow_huge_pages(self.withheld.is_empty() && ends_whole);
        Ok(())
    }

    /// Withholds free pages until the limit holds or none is left. True if there were any.
    pub fn withhold(&mut self) -> bool {
        let before = self.withheld.len();
        while self.pages_over() > 0
            && let Some((number, _)) = self.pop_free()
        {
            self.kinds[number as usize] = WITHHELD_PAGE;
            self.withheld.push(number);
        }
        self.withheld.len() > before
    }

    /// Gives the memory of up to `pages` more withheld pages back to the kernel. True: there are more.
    pub fn give_back(&mut self, pages: usize) -> bool {
        // Where the kernel's pages are the larger ones, all of ours in one must be withheld.
        let together = (self.arena.unit_bytes() >> self.page_shift).max(1) as u32;
        for _ in 0..pages {
            let Some(number) = self.withheld.get(self.given_back) else { break };
            self.arena.allow_huge_pages(false);
            self.given_back += 1;
            let first = number / together * together;
            let kinds = &self.kinds[first as usize..self.kinds.len().min((first + together) as usize)];
            if kinds.iter().all(|&kind| kind == WITHHELD_PAGE) {
                let at = self.page_at(first);
                let len = self.page_at(together).min(self.arena.len() - at);
                self.arena.give_back(at, len);
            }
        }
        self.given_back < self.withheld.len()
    }

    fn add_free(&mut self, class: u8, chunks: u32) {
        self.stock[usize::from(class)].free += chunks;
        self.free_bytes += chunks as usize * self.classes.size(class);
    }

    fn remove_free(&mut self, class: u8, chunks: u32) {
        self.stock[usize::from(class)].free -= chunks;
        self.free_bytes -= chunks as usize * self.classes.size(class);
    }

    fn pop_free(&mut self) -> Option<(u32, bool)> {
        if self.returned != NO_PAGE {
            let number = self.returned;
            self.returned = self.page(number).next;
            self.returned_count -= 1;
            Some((number, false))
        } else if self.fresh < self.page_count() {
            self.fresh += 1;
            Some((self.fresh - 1, true))
        } else {
            None
        }
    }

    fn retire(&mut self, number: u32, class: u8) {
        self.stock[usize::from(class)].pages -= 1;
        self.release_page(number);
    }

    /// Makes a page free.
    pub fn release_page(&mut self, number: u32) {
        self.kinds[number as usize] = FREE_PAGE;
        self.pages[number as usize] = Page { next: self.returned, ..EMPTY };
        self.returned = number;
        self.returned_count += 1;
    }

    fn join_partial(&mut self, number: u32, class: u8) {
        let first = std::mem::replace(&mut self.stock[usize::from(class)].partial, number);
        let page = self.page_mut(number);
        (page.next, page.prev) = (first, NO_PAGE);
        if first != NO_PAGE {
            self.page_mut(first).prev = number;
        }
    }

    fn leave_partial(&mut self, number: u32, class: u8) {
        let Page { next, prev, .. } = *self.page(number);
        match prev {
            NO_PAGE => self.stock[usize::from(class)].partial = next,
            _ => self.page_mut(prev).next = next,
        }
        if next != NO_PAGE {
            self.page_mut(next).prev = prev;
        }
    }

    /// The withheld pages, for the invariant checker.
    #[cfg(test)]
    pub fn withheld(&self) -> &[u32] {
        &self.withheld
    }

    /// The pages of a class's partial list, for the invariant checker.
    #[cfg(test)]
    pub fn partial_pages(&self, class: u8) -> Vec<u32> {
        let mut pages = Vec::new();
        let mut number = self.stock(class).partial;
        while number != NO_PAGE {
            pages.push(number);
            assert!(pages.len() <= self.pages.len(), "partial list of class {class} is a ring");
            number = self.page(number).next;
        }
        pages
    }

    /// The list of freed chunks of a page, for the invariant checker.
    #[cfg(test)]
    pub fn freed_chunks(&self, number: u32) -> Vec<Loc> {
        let mut chunks = Vec::new();
        let mut loc = self.page(number).freed;
        while !loc.is_none() {
            chunks.push(loc);
            assert!(
                chunks.len() <= self.page(number).touched as usize,
                "free list of page {number} is a ring"
            );
            loc = self.links(loc).next();
        }
        chunks
    }
}
