//! The provided-buffer ring: receive buffers that belong to the shard, not to a connection.
//!
//! The kernel takes a buffer when data is there (`IOSQE_BUFFER_SELECT`), so an idle connection holds none. A buffer goes
//! back with [`ReceiveBuffers::recycle`] and becomes visible to the kernel with [`ReceiveBuffers::publish`], once a turn.
//! Invariant: every buffer id is either in the ring (the kernel's) or in the hands of the turn (ours), never both.
#![allow(unsafe_code)]

use super::kernel::Kernel;
use super::region::Region;
use io_uring::types::BufRingEntry;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// The group of the connections' buffers in a shard's ring.
pub const GROUP: u16 = 0;

/// `count` buffers of `size` bytes each and the ring that lends them to the kernel.
pub struct ReceiveBuffers {
    entries: Region,
    bytes: Region,
    count: u16,
    size: u32,
    tail: u16, // ours; the kernel sees it after `publish`
}

impl ReceiveBuffers {
    /// Maps the memory and registers the ring as `group`, with these flags of `io_uring_buf_reg`. `count` is a power of two, at
    /// most 32,768.
    ///
    /// # Errors
    /// ENOMEM from mmap or RLIMIT_MEMLOCK, EINVAL from a kernel without provided-buffer rings (before 5.19) or these flags.
    pub fn new(
        kernel: &mut impl Kernel,
        group: u16,
        count: u16,
        size: u32,
        flags: u16,
    ) -> io::Result<ReceiveBuffers> {
        assert!(count.is_power_of_two() && count <= 32_768);
        let entries = Region::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let bytes = Region::new(usize::from(count) * size as usize)?;
        let first = entries.at(0, 0).cast::<BufRingEntry>();
        // SAFETY: the entries are page aligned, `count` long, and outlive the ring: the shard drops its ring first.
        unsafe { kernel.lend_buffers(first, count, group, flags)? };
        let mut buffers = ReceiveBuffers { entries, bytes, count, size, tail: 0 };
        for id in 0..count {
            buffers.recycle(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// What the kernel wrote into buffer `id`, from byte `start` on.
    pub fn filled(&self, id: u16, start: usize, len: usize) -> &[u8] {
        let p = self.bytes.at(usize::from(id) * self.size as usize + start, len);
        // SAFETY: in bounds by `at`; the kernel has handed these bytes over with their completion and will not write them
        // before `recycle` + `publish`, which need `&mut self`.
        unsafe { std::slice::from_raw_parts(p, len) }
    }

    /// Gives buffer `id` back; the kernel may use it after the next [`publish`](Self::publish).
    pub fn recycle(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        let at = slot * size_of::<BufRingEntry>();
        let entry = self.entries.at(at, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        let address = self.bytes.at(usize::from(id) * self.size as usize, self.size as usize) as u64;
        // SAFETY: in bounds by `at`, aligned (16-byte entries from a page boundary), and the slot is ours: at most
        // `count` buffers exist, so the kernel has consumed what was here. The setters leave `resv` (the tail) alone.
        unsafe {
            (*entry).set_addr(address);
            (*entry).set_len(self.size);
            (*entry).set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Makes every recycled buffer visible to the kernel.
    pub fn publish(&mut self) {
        let first = self.entries.at(0, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the tail is the reserved field of the first entry (io_uring_buf_ring); it is a live, aligned u16 that
        // the kernel only reads, so an atomic store through a shared reference is what the interface asks for.
        let tail = unsafe { &*BufRingEntry::tail(first).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}
