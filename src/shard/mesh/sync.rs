//! What queues and flags of the mesh are made of. tests/loom compiles them with things of the same names that loom watches.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
pub use std::sync::Arc;
pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Plain memory that two threads write and read in turns, in words of 8 bytes. Whose turn it is they settle between them.
pub struct Words(Box<[UnsafeCell<u64>]>);

impl Words {
    /// So many words, all zero.
    pub fn zeroed(count: usize) -> Words {
        // Zeroed by the allocator, which hands out fresh pages untouched: a queue that is never used costs no memory.
        let zeroes: Box<[u64]> = vec![0; count].into();
        // SAFETY: `UnsafeCell<u64>` has the layout of `u64` (it is `repr(transparent)`), and the box is nobody else's.
        Words(unsafe { Box::from_raw(Box::into_raw(zeroes) as *mut [UnsafeCell<u64>]) })
    }

    /// Bytes of it.
    pub fn len_bytes(&self) -> usize {
        self.0.len() * 8
    }

    /// The address of byte `at`, a multiple of 8, from which on `_len` bytes are about to be written.
    #[inline(always)]
    pub fn to_write(&self, at: usize, _len: usize) -> *mut u8 {
        self.0.as_ptr().wrapping_byte_add(at).cast_mut().cast()
    }

    /// The same for reading.
    #[inline(always)]
    pub fn to_read(&self, at: usize, _len: usize) -> *const u8 {
        self.0.as_ptr().wrapping_byte_add(at).cast()
    }
}
