//! The largest items, found by looking: the size classes from the largest down, each page by page.
//!
//! Nothing is kept for it while items are stored and freed, so it costs requests nothing, and what it finds is there. It
//! ends as soon as no smaller class can hold anything larger than what it has, so it is short where sizes differ; where
//! millions of items are of one class it gives up after [`CHUNKS_MAX`] chunks, and says so. What is missed then is hardly
//! larger than what was found, since the items of a class differ by a few percent.
//!
//! Bounded steps; items may come, go and move between two of them. One that moves may be met twice, and counts once,
//! or be missed.

use super::item::{ChunkKind, state};
use super::{Found, Store};

/// Chunks that are looked at before a walk gives up.
const CHUNKS_MAX: usize = 1 << 20;

/// Pages looked at (not through) per chunk of a step's budget, as in the crawl: most are of another class.
const PAGES_PER_CHUNK: usize = 4;

/// Bytes of a key that are told.
const KEY_SHOWN_MAX: usize = 250;

/// A large item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeItem {
    /// Bytes of the value.
    pub value_len: usize,
    /// The beginning of the key, at most [`KEY_SHOWN_MAX`] bytes.
    pub key: Box<[u8]>,
    /// The key is longer.
    pub key_is_cut: bool,
}

/// A walk under way.
#[derive(Debug)]
pub struct LargestWalk {
    wanted: usize,
    /// Where it is; class 0 is behind the last.
    class: u8,
    page: u32,
    chunk: u32,
    chunks_left: usize,
    /// The largest so far, largest first.
    found: Vec<LargeItem>,
}

impl LargestWalk {
    /// A walk for the `wanted` largest, at the start.
    pub fn new(store: &Store, wanted: usize) -> LargestWalk {
        LargestWalk {
            wanted,
            class: store.class_max(),
            page: 0,
            chunk: 0,
            chunks_left: CHUNKS_MAX,
            found: Vec::with_capacity(wanted + 1),
        }
    }

    /// What was found, largest first, and whether everything was looked at that could be among it.
    pub fn result(self) -> (Vec<LargeItem>, bool) {
        (self.found, self.class == 0)
    }

    fn next_class(&mut self) {
        (self.class, self.page, self.chunk) = (self.class - 1, 0, 0);
    }

    /// Values up to this length need not be looked at.
    fn floor(&self) -> Option<usize> {
        self.found.get(self.wanted - 1).map(|least| least.value_len)
    }

    fn take(&mut self, value_len: usize, key: &[u8]) {
        if self.floor().is_some_and(|floor| value_len <= floor) {
            return;
        }
        let shown = &key[..key.len().min(KEY_SHOWN_MAX)];
        let item = LargeItem { value_len, key: shown.into(), key_is_cut: shown.len() < key.len() };
        if self.found.contains(&item) {
            return;
        }
        let at = self.found.partition_point(|other| other.value_len >= value_len);
        self.found.insert(at, item);
        self.found.truncate(self.wanted);
    }
}

impl Store {
    /// Goes on with a walk, by up to `budget` chunks. True when it has ended.
    pub fn walk_largest(&mut self, walk: &mut LargestWalk, budget: usize, now_s: u32) -> bool {
        self.tick(now_s);
        let (mut chunks_left, mut pages_left) = (budget.min(walk.chunks_left), budget * PAGES_PER_CHUNK);
        walk.chunks_left -= chunks_left;
        while walk.class > 0 {
            let size = self.slab.classes.size(walk.class);
            let is_beaten =
                walk.chunk == 0 && walk.page == 0 && walk.floor().is_some_and(|floor| floor >= size);
            let is_chained = walk.class == self.class_max(); // its items may be larger than its chunks
            if is_beaten && !is_chained {
                walk.class = 0;
            } else if walk.page >= self.slab.page_count() || self.slab.stock(walk.class).pages == 0 {
                walk.next_class();
            } else if chunks_left == 0 || pages_left == 0 {
                walk.chunks_left += chunks_left;
                return walk.chunks_left == 0;
            } else if self.slab.class_of_page(walk.page) == Some(walk.class)
                && let Some(chunk) = self.slab.chunk(walk.page, walk.chunk)
            {
                if self.slab.links(chunk).kind() == ChunkKind::Item {
                    let header = *self.slab.header(chunk);
                    if header.is(state::LINKED) && self.death_of(&header).is_none() {
                        let item = self.item(Found { loc: chunk });
                        walk.take(item.value_len(), item.key());
                    }
                }
                walk.chunk += 1;
                chunks_left -= 1;
            } else {
                (walk.page, walk.chunk) = (walk.page + 1, 0);
                pages_left -= 1;
            }
        }
        true
    }
}
