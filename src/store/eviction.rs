//! Who leaves: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023) over all
//! items of the shard, whatever their class.
//!
//! New items enter the small queue, unless the ghost remembers that it evicted them: then the main queue. At
//! the small queue's tail an item that was read meanwhile goes on to the main queue, the others leave. At the
//! main queue's tail an item that was read gets another round for each read, up to three. A hit only counts
//! the read, in two bits of the item's header.
//!
//! Three things are not in the paper. The small queue's share follows the load (`share.rs`). So the ghost
//! remembers evictions from the main queue too; those items start in the small queue all the same, else a
//! loop over a little more than fits would miss nearly always. And one read is enough for an item smaller than
//! the mean: it takes less room from others.
//!
//! The queues are doubly linked through the items' headers: `next` is the older, `prev` the newer neighbour.

use super::Store;
use super::arena::Loc;
use super::expiry::age_of;
use super::ghost::Origin;
use super::item::{Header, state};
use super::share::Share;
use super::slab::Slab;

/// Reads in the small queue that earn a place in the main queue: of items smaller than the mean, and of others.
const PROMOTION_READS_LIGHT: u16 = 1;
const PROMOTION_READS: u16 = 2;

/// Items one search for a victim may look at. In the second half it takes whatever is not pinned.
const SEARCH_MAX: usize = 64;

/// One queue.
#[derive(Clone, Copy, Debug)]
pub struct Fifo {
    /// The newest item.
    pub head: Loc,
    /// The oldest item.
    pub tail: Loc,
    /// Its items, and the bytes of their chunks.
    pub items: usize,
    pub bytes: usize,
}

/// Both queues.
#[derive(Debug)]
pub struct Queues {
    /// Where new items prove themselves.
    pub small: Fifo,
    /// Where proven items live.
    pub main: Fifo,
    /// The small queue's share.
    pub share: Share,
}

impl Queues {
    /// Empty queues.
    pub fn new() -> Queues {
        let empty = Fifo { head: Loc::NONE, tail: Loc::NONE, items: 0, bytes: 0 };
        Queues { small: empty, main: empty, share: Share::new() }
    }

    /// Makes an item of `bytes` the newest of one queue and notes which in its state.
    pub fn push(&mut self, slab: &mut Slab, loc: Loc, main: bool, bytes: usize) {
        let queue = if main { &mut self.main } else { &mut self.small };
        let header = slab.header_mut(loc);
        header.state = if main { header.state | state::MAIN } else { header.state & !state::MAIN };
        header.links.set_next(queue.head);
        header.links.set_prev(Loc::NONE);
        if queue.head.is_none() {
            queue.tail = loc;
        } else {
            slab.header_mut(queue.head).links.set_prev(loc);
        }
        queue.head = loc;
        queue.items += 1;
        queue.bytes += bytes;
    }

    /// Takes an item of `bytes` out of its queue.
    pub fn remove(&mut self, slab: &mut Slab, loc: Loc, bytes: usize) {
        let links = slab.header(loc).links;
        self.relink(slab, loc, links.prev(), links.next());
        let queue = self.of(slab.header(loc));
        queue.items -= 1;
        queue.bytes -= bytes;
    }

    /// Puts `to`, whose header is a copy of `from`'s links and queue, in the place of `from`.
    pub fn substitute(&mut self, slab: &mut Slab, to: Loc) {
        self.relink(slab, to, to, to);
    }

    /// True when the small queue is to give the next victim.
    fn victim_is_small(&self) -> bool {
        let bytes = self.small.bytes + self.main.bytes;
        self.main.tail.is_none() || self.small.bytes * 100 > bytes * self.share.percent()
    }

    /// Reads that earn an item of `bytes` a place in the main queue.
    fn promotion_reads(&self, bytes: usize) -> u16 {
        let light = bytes * (self.small.items + self.main.items) < self.small.bytes + self.main.bytes;
        if light { PROMOTION_READS_LIGHT } else { PROMOTION_READS }
    }

    /// The queue an item is in.
    pub fn of(&mut self, header: &Header) -> &mut Fifo {
        if header.is(state::MAIN) { &mut self.main } else { &mut self.small }
    }

    /// Points the older neighbour of `loc` (or the tail) to `for_older` and the newer one (or the head) to
    /// `for_newer`.
    fn relink(&mut self, slab: &mut Slab, loc: Loc, for_older: Loc, for_newer: Loc) {
        let links = slab.header(loc).links;
        let queue = self.of(slab.header(loc));
        match links.prev() {
            Loc::NONE => queue.head = for_newer,
            newer => slab.header_mut(newer).links.set_next(for_newer),
        }
        match links.next() {
            Loc::NONE => queue.tail = for_older,
            older => slab.header_mut(older).links.set_prev(for_older),
        }
    }
}

impl Store {
    /// Frees the memory of one item that can be spared: an overdue one if it comes along, else S3-FIFO's
    /// choice. False when there was none in [`SEARCH_MAX`] steps (everything is pinned, or nothing is
    /// stored).
    pub(super) fn evict_one(&mut self) -> bool {
        // All of one queue may be pinned: after a pinned item the other queue is asked.
        let mut other_queue = false;
        for step in 0..SEARCH_MAX {
            let (small, main) = (self.queues.small.tail, self.queues.main.tail);
            let wants_small = self.queues.victim_is_small() != other_queue;
            let use_small = (wants_small && !small.is_none()) || main.is_none();
            let victim = if use_small { small } else { main };
            if victim.is_none() {
                return false;
            }
            let header = *self.slab.header(victim);
            if header.is(state::PINNED) {
                self.requeue(victim, header.freq());
                other_queue = !other_queue;
            } else if self.death_of(&header).is_some() {
                self.counters.reclaimed += 1;
                self.class_counters(victim).reclaimed += 1;
                self.drop_dead(victim);
                return true;
            } else if step < SEARCH_MAX / 2 && use_small && self.is_proven(victim) {
                self.requeue(victim, 0);
            } else if step < SEARCH_MAX / 2 && !use_small && header.freq() > 0 {
                self.requeue(victim, header.freq() - 1);
            } else {
                self.evict(victim);
                return true;
            }
        }
        false
    }

    /// Evicts this item, which is in the table and not pinned.
    pub(super) fn evict(&mut self, victim: Loc) {
        let header = *self.slab.header(victim);
        let age_s = age_of(&header, self.now_s);
        self.note_evicted(victim);
        self.counters.evictions += 1;
        self.counters.evicted_unfetched += u64::from(!header.is(state::FETCHED));
        self.counters.evicted_active += u64::from(header.freq() > 0);
        let class = self.class_counters(victim);
        class.evicted += 1;
        class.evicted_nonzero += u64::from(header.expires_s != 0);
        class.evicted_unfetched += u64::from(!header.is(state::FETCHED));
        class.evicted_time_s = age_s;
        let hash = self.hasher.hash(self.slab.key(victim));
        let origin = if header.is(state::MAIN) { Origin::Main } else { Origin::Small };
        self.ghost.remember(&mut self.slab.arena, hash, origin);
        let bytes = self.slab.chunks_bytes(victim);
        let Queues { small, main, share } = &mut self.queues;
        share.note_eviction(origin, bytes, small.items + main.items, small.bytes + main.bytes);
        self.unlink(victim, hash);
    }

    /// Chooses the queue of a new item; true: the main queue.
    pub(super) fn enters_main(&mut self, hash: u64) -> bool {
        let origin = self.ghost.recall(&mut self.slab.arena, hash);
        if let Some(origin) = origin {
            self.queues.share.note_return(origin);
        }
        origin == Some(Origin::Small)
    }

    /// True when an item of the small queue was read often enough to go on to the main queue.
    fn is_proven(&self, loc: Loc) -> bool {
        match self.slab.header(loc).freq() {
            0 => false, // without a look at the chunks
            reads => reads >= self.queues.promotion_reads(self.slab.chunks_bytes(loc)),
        }
    }

    /// Makes an item the newest of the main queue.
    fn requeue(&mut self, loc: Loc, freq: u16) {
        let bytes = self.slab.chunks_bytes(loc);
        self.queues.remove(&mut self.slab, loc, bytes);
        self.slab.header_mut(loc).set_freq(freq);
        self.queues.push(&mut self.slab, loc, true, bytes);
    }
}
