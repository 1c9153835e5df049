//! What src/shard/mesh/sync.rs gives to queues and flags, as loom watches it: every order of the atomics, and every access to
//! the plain memory held against what has been settled by them before.

use loom::cell;
pub use loom::sync::Arc;
pub use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::cell::UnsafeCell;

/// Memory, and beside each word something that loom knows who touches.
pub struct Words {
    words: Box<[UnsafeCell<u64>]>,
    watched: Box<[cell::UnsafeCell<()>]>,
}

impl Words {
    pub fn zeroed(count: usize) -> Words {
        Words {
            words: (0..count).map(|_| UnsafeCell::new(0)).collect(),
            watched: (0..count).map(|_| cell::UnsafeCell::new(())).collect(),
        }
    }

    pub fn len_bytes(&self) -> usize {
        self.words.len() * 8
    }

    pub fn to_write(&self, at: usize, len: usize) -> *mut u8 {
        self.watched[at / 8..(at + len).div_ceil(8)].iter().for_each(|word| word.with_mut(|_| ()));
        self.words.as_ptr().wrapping_byte_add(at).cast_mut().cast()
    }

    pub fn to_read(&self, at: usize, len: usize) -> *const u8 {
        self.watched[at / 8..(at + len).div_ceil(8)].iter().for_each(|word| word.with(|_| ()));
        self.words.as_ptr().wrapping_byte_add(at).cast()
    }
}
