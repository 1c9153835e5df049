//! One thread's io_uring: multishot receives into buffers that belong to the thread, and sends that are submitted together,
//! with the one system call that also fetches what has come.
//!
//! Invariants: a receive buffer is either the kernel's or being read, never both. The bytes of a send stay where they are
//! until it has ended; [`crate::connection`] sees to that.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// Submission entries. More submissions at once take a further system call.
const SUBMISSIONS: u32 = 1024;
/// Completion entries: a multishot receive posts many.
const COMPLETIONS: u32 = 8192;
/// Most completions taken at once.
pub const EVENTS_MAX: usize = 1024;
/// The group of the receive buffers.
const GROUP: u16 = 0;
const PAGE: usize = 4096;

/// What a completion says about connection `conn`, its number in [`Ring::new`].
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the sentences of the variants")]
pub enum Event {
    /// `len` bytes are in buffer `buffer`. `armed`: the receive goes on.
    Received { conn: u32, buffer: u16, len: u32, armed: bool },
    /// The receive ended: errno 0 is the peer's end of stream, ENOBUFS no buffer.
    ReceiveEnded { conn: u32, errno: i32 },
    /// A send ended: bytes taken, or a negative errno. Not posted for a quiet send that succeeded.
    Sent { conn: u32, result: i32 },
}

const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;

/// See the module comment. The ring goes first when it is dropped: the kernel then has done with the buffers.
pub struct Ring {
    uring: IoUring,
    buffers: Buffers,
}

impl Ring {
    /// A ring for the sockets `fds`, with `count` (a power of two, at most 32,768) receive buffers of `size` bytes each. It
    /// works on the calling thread only.
    ///
    /// # Errors
    /// What `io_uring_setup(2)` and `io_uring_register(2)` say.
    pub fn new(fds: &[RawFd], count: u16, size: u32) -> io::Result<Ring> {
        let uring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        uring.submitter().register_files(fds)?;
        // A registered descriptor saves a lookup per call; without it everything works the same.
        let _ = uring.submitter().register_ring_fd();
        let buffers = Buffers::new(count, size);
        let entries = buffers.entries.0.as_ptr() as u64;
        // SAFETY: the entries are page aligned and `count` long, and outlive the ring: fields are dropped in order.
        unsafe { uring.submitter().register_buf_ring_with_flags(entries, count, GROUP, 0)? };
        Ok(Ring { uring, buffers })
    }

    /// Starts the receive of a connection.
    ///
    /// # Errors
    /// What `io_uring_enter(2)` says.
    pub fn receive(&mut self, conn: u32) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(types::Fixed(conn), GROUP).build();
        self.push(entry.user_data(RECEIVE | u64::from(conn)))
    }

    /// Sends `bytes`, which must stay until the send has ended: at [`Event::Sent`], or, if it is `quiet` and went well, when the
    /// peer has answered it.
    ///
    /// # Errors
    /// What `io_uring_enter(2)` says.
    pub fn send(&mut self, conn: u32, bytes: &[u8], quiet: bool) -> io::Result<()> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let entry =
            opcode::Send::new(types::Fixed(conn), bytes.as_ptr(), bytes.len() as u32).flags(flags).build();
        let entry = if quiet { entry.flags(squeue::Flags::SKIP_SUCCESS) } else { entry };
        self.push(entry.user_data(SEND | u64::from(conn)))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: entries name registered sockets by number, and memory as said at `send`.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }

    /// Submits everything and lets completions happen; waits up to `wait` for one if there is none.
    ///
    /// # Errors
    /// Only what is no part of normal life.
    pub fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let result = match wait.filter(|_| self.uring.completion().is_empty()) {
            Some(limit) => {
                let limit = types::Timespec::from(limit);
                let args = types::SubmitArgs::new().timespec(&limit);
                self.uring.submitter().submit_with_args(1, &args)
            }
            None if self.must_enter() => self.uring.submit(),
            None => return Ok(()),
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::ETIME | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn must_enter(&mut self) -> bool {
        let queue = self.uring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Takes up to [`EVENTS_MAX`] completions.
    pub fn reap(&mut self, events: &mut Vec<Event>) {
        events.extend(self.uring.completion().take(EVENTS_MAX).map(|entry| event(&entry)));
    }

    /// What the kernel wrote into a buffer.
    pub fn received(&self, buffer: u16, len: u32) -> &[u8] {
        self.buffers.filled(buffer, len as usize)
    }

    /// Gives a buffer back; the kernel sees it after [`publish`](Self::publish).
    pub fn recycle(&mut self, buffer: u16) {
        self.buffers.recycle(buffer);
    }

    /// Shows the kernel every buffer that was given back.
    pub fn publish(&mut self) {
        self.buffers.publish();
    }
}

fn event(entry: &cqueue::Entry) -> Event {
    let (conn, result, flags) = (entry.user_data() as u32, entry.result(), entry.flags());
    if entry.user_data() & SEND != 0 {
        return Event::Sent { conn, result };
    }
    match cqueue::buffer_select(flags) {
        Some(buffer) if result > 0 => {
            Event::Received { conn, buffer, len: result as u32, armed: cqueue::more(flags) }
        }
        _ => Event::ReceiveEnded { conn, errno: -result },
    }
}

/// Page-aligned memory, zeroed.
struct Pages(NonNull<u8>, Layout);

impl Pages {
    fn new(len: usize) -> Pages {
        let layout =
            Layout::from_size_align(len.max(PAGE), PAGE).expect("a size that was checked with the arguments");
        // SAFETY: the layout has a size above 0.
        match NonNull::new(unsafe { alloc_zeroed(layout) }) {
            Some(pages) => Pages(pages, layout),
            None => handle_alloc_error(layout),
        }
    }

    /// The address of `len` bytes from `at` on.
    fn at(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at + len <= self.1.size(), "{at} + {len} is outside");
        // SAFETY: inside the allocation, as just asserted.
        unsafe { self.0.as_ptr().add(at) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.0.as_ptr(), self.1) }
    }
}

/// The receive buffers and the ring that lends them to the kernel.
struct Buffers {
    entries: Pages,
    bytes: Pages,
    count: u16,
    size: u32,
    tail: u16, // ours; the kernel sees it after `publish`
}

impl Buffers {
    fn new(count: u16, size: u32) -> Buffers {
        assert!(count.is_power_of_two() && count <= 32_768);
        let entries = Pages::new(usize::from(count) * size_of::<BufRingEntry>());
        let bytes = Pages::new(usize::from(count) * size as usize);
        let mut buffers = Buffers { entries, bytes, count, size, tail: 0 };
        (0..count).for_each(|id| buffers.recycle(id));
        buffers.publish();
        buffers
    }

    fn filled(&self, id: u16, len: usize) -> &[u8] {
        let p = self.bytes.at(usize::from(id) * self.size as usize, len);
        // SAFETY: in bounds by `at`; the kernel handed the buffer over with its completion and will not write it before
        // `recycle` and `publish`, which need `&mut self`.
        unsafe { std::slice::from_raw_parts(p, len) }
    }

    fn recycle(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        let entry = self
            .entries
            .at(slot * size_of::<BufRingEntry>(), size_of::<BufRingEntry>())
            .cast::<BufRingEntry>();
        let address = self.bytes.at(usize::from(id) * self.size as usize, self.size as usize) as u64;
        // SAFETY: in bounds by `at`, aligned (16-byte entries from a page boundary), and the slot is ours: at most `count`
        // buffers exist, so the kernel has consumed what was here. The setters leave `resv` (the tail) alone.
        unsafe {
            (*entry).set_addr(address);
            (*entry).set_len(self.size);
            (*entry).set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        let first = self.entries.at(0, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the tail is the reserved field of the first entry (struct io_uring_buf_ring): a live, aligned u16 that the
        // kernel only reads.
        let tail = unsafe { &*BufRingEntry::tail(first).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}
