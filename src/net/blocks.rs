//! The pool of send blocks: fixed pieces of memory that replies are written into, bounded per shard.
//!
//! Last in, first out, so that the blocks in use stay in the cache. A block's bytes are written by the shard and read by
//! the kernel; [`super::outbox`] keeps the two apart.
#![allow(unsafe_code)]

use super::region::Region;
use std::io;

/// Bytes of one block. A reply that is copied always fits one block.
pub const BLOCK_BYTES: usize = 8 * 1024;

/// Distance between blocks: a little more than their size, so that their first lines do not all fall into one cache set.
const STRIDE_BYTES: usize = BLOCK_BYTES + 192;

/// A block taken from the pool; goes back with [`BlockPool::give`].
#[derive(Debug, PartialEq, Eq)]
pub struct Block(u32);

/// At most `limit` blocks. Their memory becomes resident when first used.
pub struct BlockPool {
    memory: Region,
    free: Vec<u32>,
    limit: usize,
}

impl BlockPool {
    /// # Errors
    /// ENOMEM from mmap.
    pub fn new(limit: usize) -> io::Result<BlockPool> {
        let memory = Region::new(limit * STRIDE_BYTES)?;
        Ok(BlockPool { memory, free: (0..limit as u32).rev().collect(), limit })
    }

    /// Bytes a pool of `limit` blocks can make resident.
    pub const fn footprint_bytes(limit: usize) -> usize {
        limit * STRIDE_BYTES
    }

    /// A block, or nothing when all are in use: the connection then waits for one.
    pub fn take(&mut self) -> Option<Block> {
        self.free.pop().map(Block)
    }

    /// Takes a block back. No send that names it may be in flight.
    pub fn give(&mut self, block: Block) {
        self.free.push(block.0);
    }

    /// Blocks in use.
    pub fn in_use(&self) -> usize {
        self.limit - self.free.len()
    }

    /// Less than half is left: it is for those who have none.
    pub fn is_scarce(&self) -> bool {
        self.free.len() < self.limit / 2
    }

    /// Blocks that may still be taken.
    pub fn available(&self) -> usize {
        self.free.len()
    }

    /// The unwritten rest of a block from `at` on.
    pub(super) fn space(&mut self, block: &mut Block, at: usize) -> &mut [u8] {
        let len = BLOCK_BYTES - at;
        let p = self.memory.at(block.0 as usize * STRIDE_BYTES + at, len);
        // SAFETY: in bounds by `at`; `&mut Block` is the only handle to this block; the kernel reads at most the bytes
        // before `at`, which the outbox has handed over, so nothing else looks at this part.
        unsafe { std::slice::from_raw_parts_mut(p, len) }
    }

    /// Written bytes.
    pub(super) fn written(&self, block: &Block, at: usize, len: usize) -> &[u8] {
        // SAFETY: in bounds by `address`; what is written of a block is not written again before the block goes back to
        // the pool, which takes its handle.
        unsafe { std::slice::from_raw_parts(self.address(block, at, len), len) }
    }

    /// The address of written bytes, for the kernel.
    pub(super) fn address(&self, block: &Block, at: usize, len: usize) -> *const u8 {
        self.memory.at(block.0 as usize * STRIDE_BYTES + at, len)
    }
}
