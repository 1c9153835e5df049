//! Large values: what does not fit the largest chunk goes on in a chain of continuation chunks.
//!
//! The head is of the largest class and full; so is every continuation but the last, which is of the class
//! that fits. Each continuation starts with its `Links`, which point both ways so that any chunk can be
//! moved; the first one's `prev` is the head, and the head's chain extra holds the first one. The length of a
//! chain is bounded by the item size limit.

use super::arena::Loc;
use super::item::{CHAIN_AT, ChunkKind, LINKS_BYTES, Links, state};
use super::slab::Slab;

/// The value of an item piece by piece: offset in the arena and length of each.
#[derive(Debug)]
pub struct Segments<'a> {
    slab: &'a Slab,
    at: usize,
    room: usize,
    left: usize,
    next: Loc,
}

impl Iterator for Segments<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        if self.left == 0 {
            return None;
        }
        let piece = (self.at, self.room.min(self.left));
        self.left -= piece.1;
        if self.left > 0 {
            self.at = self.slab.arena.offset(self.next) + LINKS_BYTES;
            self.room = self.slab.chunk_max() - LINKS_BYTES;
            self.next = self.slab.links(self.next).next();
        }
        Some(piece)
    }
}

impl Slab {
    /// Bytes of the largest chunk.
    pub fn chunk_max(&self) -> usize {
        self.classes.size(self.classes.last())
    }

    /// Where the value of the item at `head` lies. Never more than one piece unless it is chained.
    pub fn segments(&self, head: Loc) -> Segments<'_> {
        let (header, at) = (self.header(head), self.arena.offset(head));
        let value_at = self.value_at(head);
        let next = if header.is(state::CHAINED) { self.first_continuation(head) } else { Loc::NONE };
        let room = self.chunk_bytes(head) - value_at;
        Segments { slab: self, at: at + value_at, room, left: self.value_len(head), next }
    }

    /// The first continuation of a chained item; none while it is being built.
    pub fn first_continuation(&self, head: Loc) -> Loc {
        Loc::from_bits(self.word(self.arena.offset(head) + CHAIN_AT))
    }

    /// Continuations a chained value needs, given where it starts in the head.
    pub fn continuations(&self, value_at: usize, value_len: usize) -> usize {
        (value_len + value_at - self.chunk_max()).div_ceil(self.chunk_max() - LINKS_BYTES)
    }

    /// Bytes of the continuation that has `left` bytes of the value still to hold.
    pub fn continuation_bytes(&self, left: usize) -> usize {
        (LINKS_BYTES + left).min(self.chunk_max())
    }

    /// Bytes of the value a continuation chunk has room for.
    pub fn continuation_room(&self, chunk: Loc) -> usize {
        self.chunk_bytes(chunk) - LINKS_BYTES
    }

    /// Bytes of all chunks of an item.
    pub fn chunks_bytes(&self, head: Loc) -> usize {
        let mut bytes = self.chunk_bytes(head);
        if self.header(head).is(state::CHAINED) {
            let mut next = self.first_continuation(head);
            while !next.is_none() {
                bytes += self.chunk_bytes(next);
                next = self.links(next).next();
            }
        }
        bytes
    }

    /// Hooks a fresh chunk to the end of a chain that is being built. `before` is the head or the last
    /// continuation.
    pub fn append_continuation(&mut self, before: Loc, chunk: Loc) {
        *self.links_mut(chunk) = Links::new(ChunkKind::Continuation, Loc::NONE, before);
        self.set_following(before, chunk);
    }

    /// Points the chunk `before` of a chain to the continuation that follows it.
    pub fn set_following(&mut self, before: Loc, chunk: Loc) {
        match self.links(before).kind() {
            ChunkKind::Continuation => self.links_mut(before).set_next(chunk),
            _ => self.set_word(self.arena.offset(before) + CHAIN_AT, chunk.bits()),
        }
    }

    /// Points the neighbours of a continuation that was copied to `to` to the copy.
    pub fn rehome_continuation(&mut self, to: Loc) {
        let links = *self.links(to);
        self.set_following(links.prev(), to);
        if !links.next().is_none() {
            self.links_mut(links.next()).set_prev(to);
        }
    }

    /// The head of the chain a continuation belongs to.
    pub fn head_of(&self, continuation: Loc) -> Loc {
        let mut loc = continuation;
        while self.links(loc).kind() == ChunkKind::Continuation {
            loc = self.links(loc).prev();
        }
        loc
    }

    /// Gives back all chunks of an item that is neither in the table nor in a queue.
    pub fn free_item(&mut self, head: Loc) {
        let mut next =
            if self.header(head).is(state::CHAINED) { self.first_continuation(head) } else { Loc::NONE };
        self.give_chunk(head);
        while !next.is_none() {
            let chunk = next;
            next = self.links(chunk).next();
            self.give_chunk(chunk);
        }
    }
}
