//! The part of the simulated kernel that reads and writes the server's memory by address, as the real one does.
#![allow(unsafe_code)]

use io_uring::types::BufRingEntry;
use ringcached::net::direct::Fill;
use ringcached::net::outbox::Send;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel's end of a ring of lent buffers.
#[derive(Debug)]
pub struct LentBuffers {
    entries: *const BufRingEntry,
    count: u16,
    head: u16,
    /// A buffer is filled piece by piece (IOU_PBUF_RING_INC).
    piecewise: bool,
    /// Bytes of the buffer at the head that have been filled.
    filled_bytes: usize,
}

/// What a receive has brought.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// The number of the buffer.
    pub buffer: u16,
    /// Bytes.
    pub len: usize,
    /// More will come into the buffer.
    pub more: bool,
}

impl LentBuffers {
    /// The ring at this address.
    ///
    /// # Safety
    /// As `Kernel::lend_buffers` says: the entries and what they name outlive this.
    pub unsafe fn new(entries: *const BufRingEntry, count: u16, piecewise: bool) -> LentBuffers {
        LentBuffers { entries, count, head: 0, piecewise, filled_bytes: 0 }
    }

    /// Writes what `write` does into the next buffer, if one is lent.
    pub fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Option<Filled> {
        // SAFETY: the tail is a live, aligned u16 in the first entry, which the server writes with atomic stores only.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() }.load(Ordering::Acquire);
        assert!(tail.wrapping_sub(self.head) <= self.count, "more buffers are lent than there are");
        if tail == self.head {
            return None;
        }
        // SAFETY: one of `count` entries, and the server leaves those between head and tail alone.
        let entry = unsafe { &*self.entries.add(usize::from(self.head & (self.count - 1))) };
        // SAFETY: a lent buffer is ours alone until its number is handed over for the last time, but for what has been handed
        // over of it; it was zeroed when it was mapped.
        let rest = unsafe {
            let start = (entry.addr() as *mut u8).add(self.filled_bytes);
            std::slice::from_raw_parts_mut(start, entry.len() as usize - self.filled_bytes)
        };
        let len = write(rest);
        let more = self.piecewise && len < rest.len();
        if more {
            self.filled_bytes += len;
        } else {
            self.filled_bytes = 0;
            self.head = self.head.wrapping_add(1);
        }
        Some(Filled { buffer: entry.bid(), len, more })
    }
}

/// What a send names.
pub fn gather(send: &Send) -> Vec<u8> {
    let mut bytes = Vec::new();
    match *send {
        Send::Plain(start, len) => {
            // SAFETY: the outbox keeps the bytes until the send has completed.
            let piece = unsafe { std::slice::from_raw_parts(start, len as usize) };
            bytes.extend_from_slice(piece);
        }
        Send::Message(header) => {
            // SAFETY: the outbox keeps header and pieces until the send has completed.
            let pieces = unsafe { std::slice::from_raw_parts((*header).msg_iov, (*header).msg_iovlen) };
            for piece in pieces {
                // SAFETY: and the bytes they name.
                let piece = unsafe { std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len) };
                bytes.extend_from_slice(piece);
            }
        }
    }
    bytes
}

/// Writes up to `most` bytes into the room of a direct receive, piece by piece, as `take` gives them; how many.
pub fn scatter(fill: &Fill, most: usize, mut take: impl FnMut(&mut [u8]) -> usize) -> usize {
    let mut done = 0;
    // SAFETY: the direct receive keeps header, pieces and room until the receive has completed.
    let pieces = unsafe { std::slice::from_raw_parts((*fill.header).msg_iov, (*fill.header).msg_iovlen) };
    for piece in pieces {
        let len = piece.iov_len.min(most - done);
        // SAFETY: as above; nobody else touches the room meanwhile.
        done += take(unsafe { std::slice::from_raw_parts_mut(piece.iov_base.cast::<u8>(), len) });
    }
    done
}
