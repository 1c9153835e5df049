//! The invariants of a store, checked byte for byte; for tests.

use super::Store;
use super::arena::Loc;
use super::item::{ChunkKind, state};
use super::slab::{FREE_PAGE, GHOST_PAGE, TABLE_PAGE, WITHHELD_PAGE};
use std::collections::{HashMap, HashSet};

impl Store {
    /// Panics when anything the module comment promises does not hold.
    pub(super) fn check(&self) {
        let queued = self.check_queues();
        self.check_table(&queued);
        let chunks = self.check_pages();
        self.check_chunks(&chunks, &queued);
        self.check_counters(&queued);
    }

    /// Walks both queues both ways; returns all items in them.
    fn check_queues(&self) -> HashSet<Loc> {
        let mut queued = HashSet::new();
        for (queue, main) in [(&self.queues.small, false), (&self.queues.main, true)] {
            let (mut loc, mut newer, mut bytes) = (queue.head, Loc::NONE, 0);
            while !loc.is_none() {
                assert!(queued.insert(loc), "{loc:?} is queued twice");
                let header = self.slab.header(loc);
                assert_eq!(header.links.kind(), ChunkKind::Item);
                assert_eq!(header.links.prev(), newer, "back link");
                assert_eq!(header.is(state::MAIN), main);
                assert!(header.is(state::LINKED) && !header.is(state::UPLOADING));
                bytes += self.slab.chunks_bytes(loc);
                (newer, loc) = (loc, header.links.next());
            }
            assert_eq!(queue.tail, newer, "tail");
            assert_eq!(queue.bytes, bytes, "queue bytes");
        }
        queued
    }

    /// Every queued item is in the table once, under its hash, and nothing else is.
    fn check_table(&self, queued: &HashSet<Loc>) {
        let mut found = HashSet::new();
        for (hash, loc) in self.table.entries(&self.slab.arena) {
            assert!(found.insert(loc), "{loc:?} is in the table twice");
            assert_eq!(hash, self.hasher.hash(self.slab.key(loc)) as u32);
        }
        assert_eq!(&found, queued);
    }

    /// Checks pages, lists and stocks; returns the used chunks of all pages.
    fn check_pages(&self) -> HashSet<Loc> {
        let mut used = HashSet::new();
        let mut kinds = HashMap::new();
        let mut free = HashMap::new();
        for page in 0..self.slab.page_count() {
            let kind = self.slab.kind(page);
            *kinds.entry(kind).or_insert(0u32) += 1;
            let Some(class) = self.slab.class_of_page(page) else { continue };
            let freed: HashSet<Loc> = self.slab.freed_chunks(page).into_iter().collect();
            let touched = self.slab.page(page).touched;
            let in_use = (0..touched).filter_map(|index| self.slab.chunk(page, index));
            let in_use: Vec<Loc> = in_use.filter(|chunk| !freed.contains(chunk)).collect();
            assert!(freed.iter().all(|&chunk| self.slab.links(chunk).kind() == ChunkKind::Free));
            assert_eq!(in_use.len(), self.slab.page(page).live as usize, "live chunks of page {page}");
            assert_eq!(touched as usize, freed.len() + in_use.len(), "freed list of page {page}");
            if self.slab.draining() != Some(page) {
                *free.entry(class).or_insert(0) += self.slab.stock(class).per_page - in_use.len() as u32;
            }
            used.extend(in_use);
        }
        let count = |kind| kinds.get(&kind).copied().unwrap_or(0);
        assert_eq!(self.slab.free_pages(), count(FREE_PAGE));
        assert_eq!(self.slab.withheld().len() as u32, count(WITHHELD_PAGE));
        assert!(self.slab.withheld().iter().all(|&page| self.slab.kind(page) == WITHHELD_PAGE));
        assert_eq!(self.slab.pages_held() - self.slab.pages_over(), self.slab.pages_allowed());
        assert_eq!(self.table.page_count() as u32, count(TABLE_PAGE));
        assert_eq!(self.ghost.page_count() as u32, count(GHOST_PAGE));
        for class in 1..=self.slab.classes.last() {
            let stock = self.slab.stock(class);
            assert_eq!(stock.pages, count(class), "pages of class {class}");
            assert_eq!(stock.free, free.get(&class).copied().unwrap_or(0), "free chunks of class {class}");
            let partial = self.slab.partial_pages(class);
            let expected = |&page: &u32| {
                self.slab.kind(page) == class
                    && self.slab.draining() != Some(page)
                    && self.slab.page(page).live < stock.per_page
            };
            let expected: HashSet<u32> = (0..self.slab.page_count()).filter(expected).collect();
            assert_eq!(partial.len(), expected.len());
            assert_eq!(partial.into_iter().collect::<HashSet<_>>(), expected, "partial list of {class}");
        }
        used
    }

    /// Every used chunk belongs to exactly one item; items are queued, pinned or being received.
    fn check_chunks(&self, used: &HashSet<Loc>, queued: &HashSet<Loc>) {
        let mut reached = HashSet::new();
        let (mut uploads, mut pinned) = (0, 0);
        for &loc in used.iter().filter(|&&loc| self.slab.links(loc).kind() == ChunkKind::Item) {
            let header = self.slab.header(loc);
            assert!(reached.insert(loc));
            assert_eq!(header.is(state::LINKED), queued.contains(&loc));
            assert_eq!(header.is(state::PINNED), self.pins.contains_key(&loc));
            uploads += usize::from(header.is(state::UPLOADING));
            pinned += usize::from(header.is(state::PINNED));
            assert!(header.state & (state::LINKED | state::UPLOADING | state::PINNED) != 0, "leaked item");
            let page = self.slab.page_of(loc);
            if header.is(state::LINKED) && header.expires_s != 0 && self.crawl.inside() != Some(page) {
                assert!(self.slab.page(page).earliest_s <= header.expires_s, "the crawl would miss an item");
            }
            assert_eq!(self.slab.segments(loc).map(|(_, len)| len).sum::<usize>(), self.slab.value_len(loc));
            let (mut before, mut bytes) = (loc, self.slab.chunk_bytes(loc));
            let mut next =
                if header.is(state::CHAINED) { self.slab.first_continuation(loc) } else { Loc::NONE };
            while !next.is_none() {
                assert!(used.contains(&next) && reached.insert(next), "chunk in two chains");
                let links = self.slab.links(next);
                assert_eq!((links.kind(), links.prev()), (ChunkKind::Continuation, before));
                bytes += self.slab.chunk_bytes(next);
                (before, next) = (next, links.next());
            }
            assert_eq!(bytes, self.slab.chunks_bytes(loc));
        }
        assert_eq!(&reached, used, "leaked continuation");
        assert_eq!(pinned, self.pins.len());
        assert!(uploads > 0 || self.uploading_bytes == 0, "{} bytes of no upload", self.uploading_bytes);
        assert_eq!(self.tokens_out, uploads + self.pins.values().sum::<u32>() as usize);
    }

    fn check_counters(&self, queued: &HashSet<Loc>) {
        let bytes: usize = queued.iter().map(|&loc| self.slab.item_bytes(loc)).sum();
        assert_eq!(self.counters.curr_items, queued.len() as u64);
        assert_eq!(self.counters.bytes, bytes as u64);
        for class in 1..=self.slab.classes.last() {
            let items = queued.iter().filter(|&&loc| self.slab.class_of_chunk(loc) == class);
            let bytes = items.clone().map(|&loc| self.slab.item_bytes(loc) as u64).sum::<u64>();
            let counters = &self.class_counters[usize::from(class)];
            assert_eq!((counters.number, counters.mem_requested), (items.count() as u64, bytes));
        }
    }
}
