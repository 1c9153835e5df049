//! One anonymous mapping, zeroed, touched lazily, page aligned: the ground that receive buffers and send blocks stand on.
//!
//! Invariant: the mapping lives exactly as long as the [`Region`] and never moves, so raw pointers into it stay valid
//! while the kernel holds them.
#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};

/// `len` bytes of private, zeroed, page-aligned memory.
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

impl Region {
    /// Maps `len` bytes. The pages are not resident before they are first written.
    ///
    /// # Errors
    /// Whatever `mmap(2)` says, ENOMEM above all.
    pub fn new(len: usize) -> io::Result<Region> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
        let p = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if p == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(p.cast::<u8>()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Region { base, len })
    }

    /// The address of byte `at`. Panics outside the region: offsets come from this module's own arithmetic only.
    pub fn at(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at <= self.len && len <= self.len - at, "region offset {at}+{len} outside {}", self.len);
        // SAFETY: just checked to lie inside the one mapping.
        unsafe { self.base.as_ptr().add(at) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, unmapped once; no reference outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
