//! Memory made ready ahead of its first use.
//!
//! The kernel gives memory when it is first touched, and clears it then: 0.2 ms for a huge page, and 4 to 5 ms on a
//! virtual machine whose host has to find it first. Inside a request that is a stall for every connection of the
//! shard. So the store names the range that comes next, and its caller has it touched off this thread
//! ([`Store::cold_range`], [`Store::warmed`]); where that cannot be had, first use touches it as ever.
//!
//! Never more is ahead than is in use, nor than [`AHEAD_MAX_BYTES`], but for the rest of a huge page; so a server that stores little takes
//! little. What is ahead lies within the limit; when that is lowered, it goes back to the kernel.

use super::Store;
use super::arena::HUGE_PAGE_BYTES;

/// Bytes made ready at most before they are used: what is stored while a few huge pages are being found.
const AHEAD_MAX_BYTES: usize = 8 << 20;

/// How far memory is ready.
#[derive(Debug, Default)]
pub(super) struct Warmth {
    /// Every byte before this offset has been touched or asked for; a huge page's end, or that of the limit.
    end: usize,
    /// A range has been handed out and its end is not known yet.
    under_way: bool,
    /// The kernel does not know how.
    refused: bool,
}

/// Memory to touch without changing it.
#[derive(Clone, Copy, Debug)]
pub struct ColdRange {
    /// Where it starts.
    pub address: *mut u8,
    /// Bytes, at most one huge page.
    pub len: usize,
}

impl Store {
    /// The next range that should be touched, if there is one and none is being touched; [`Store::warmed`] must follow.
    #[inline]
    pub fn cold_range(&mut self) -> Option<ColdRange> {
        let used = self.slab.fresh_at();
        let ahead = used + used.min(AHEAD_MAX_BYTES);
        if self.warmth.end >= ahead || self.warmth.under_way || self.warmth.refused {
            return None;
        }
        // The huge page in use has been touched as a whole.
        let at = self.warmth.end.max(used.next_multiple_of(HUGE_PAGE_BYTES));
        let end = (at + 1).next_multiple_of(HUGE_PAGE_BYTES).min(self.slab.end_at());
        if at >= ahead.min(end) {
            return None;
        }
        self.warmth.end = end;
        self.warmth.under_way = true;
        Some(ColdRange { address: self.slab.arena.address(at), len: end - at })
    }

    /// The range given last has been touched, or first use will; `knows_how`: the kernel can do it at all.
    pub fn warmed(&mut self, knows_how: bool) {
        self.warmth.under_way = false;
        self.warmth.refused |= !knows_how;
    }

    /// Gives back what was made ready beyond the limit, once that has been lowered.
    pub(super) fn cool(&mut self) {
        let end = self.slab.end_at();
        if self.warmth.end > end && !self.warmth.under_way {
            self.slab.arena.give_back(end, self.warmth.end - end);
            self.warmth.end = end;
        }
    }
}
