//! The data ring of one shard: every accept, receive, send and wake-up of the shard goes through it.
//!
//! Set up with `SINGLE_ISSUER | DEFER_TASKRUN | COOP_TASKRUN | TASKRUN_FLAG`: completions run when the shard enters, never
//! by interrupting it. A completion names what it belongs to in its user data: a kind and an index ([`Token`]).
//! Invariant: an index is reused only after every operation that carries it has ended, so no completion is ever stale.
#![allow(unsafe_code)]

use super::datagrams::{self, DatagramBuffers};
use super::direct::{self, Fill};
use super::doorbell::Doorbell;
use super::kernel::{EVENTS_MAX, Event, Kernel, RECEIVE_ONCE_BYTES, may_try_again};
use super::outbox::Send;
use super::probe;
use super::receive;
use super::stream_buffers::{PIECEWISE, StreamBuffers};
use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Submission entries, a power of two.
    pub submissions: u32,
    /// Completion entries, a power of two, several times the submissions: a multishot receive posts many.
    pub completions: u32,
}

/// Kinds of operations, the top byte of the user data.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Token {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Wake = 4,
    /// Cancellations and closes: their own completions say nothing anybody waits for.
    Quiet = 5,
    Datagram = 6,
    Populate = 7,
    Direct = 8,
    /// An outgoing wake-up; the index is the descriptor of the peer's ring.
    Waking = 9,
}

const KIND_SHIFT: u32 = 56;

/// IORING_RECVSEND_POLL_FIRST: wait until something is there before the first try.
const POLL_FIRST: u16 = 1;

fn user_data(kind: Token, index: u32) -> u64 {
    (kind as u64) << KIND_SHIFT | u64::from(index)
}

/// See the module comment.
pub struct Ring {
    uring: IoUring,
    /// Submissions that found the queue full: a few per connection (receive, send, cancel) at most between two enters.
    backlog: VecDeque<squeue::Entry>,
    /// Rung by the kernel at completions while deep sleep has it enabled, and by other threads at any time.
    bell: Arc<Doorbell>,
}

impl Ring {
    /// Makes the ring; call it on the shard's own thread (single issuer). Completions may ring `bell`.
    ///
    /// # Errors
    /// What `io_uring_setup(2)` says: ENOSYS, EPERM (disabled or filtered), ENOMEM (RLIMIT_MEMLOCK), EINVAL (old kernel).
    pub fn new(config: RingConfig, bell: Arc<Doorbell>) -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(config.completions)
            .dontfork()
            .build(config.submissions)?;
        uring.submitter().register_eventfd(bell.as_raw_fd())?;
        let mut ring = Ring { uring, backlog: VecDeque::new(), bell };
        ring.uring.completion().disable_eventfd();
        Ok(ring)
    }

    fn push(&mut self, entry: squeue::Entry) {
        if !self.backlog.is_empty() {
            self.backlog.push_back(entry);
            return;
        }
        // SAFETY: every entry built in this file names descriptors by number and memory that its owner keeps until the
        // completion (module `net`).
        if unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.backlog.push_back(entry);
        }
    }

    /// Moves waiting submissions into the queue; true when some did not fit.
    fn drain_backlog(&mut self) -> bool {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as in `push`.
            if unsafe { self.uring.submission().push(entry) }.is_err() {
                return true;
            }
            self.backlog.pop_front();
        }
        false
    }

    fn cancel(&mut self, target: u64) {
        let entry = opcode::AsyncCancel::new(target).build();
        self.push(entry.user_data(user_data(Token::Quiet, 0)));
    }

    /// Names the cores that workers of the kernel may use for this ring.
    ///
    /// # Errors
    /// What `io_uring_register(2)` says; they then use any.
    pub fn keep_workers_on(&self, cores: &[usize]) -> io::Result<()> {
        // SAFETY: a set of bits; all of them zero is the empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        for &core in cores.iter().filter(|&&core| core < libc::CPU_SETSIZE as usize) {
            // SAFETY: the index is inside the set.
            unsafe { libc::CPU_SET(core, &mut set) };
        }
        self.uring.submitter().register_iowq_aff(&set)
    }

    /// Has the kernel poll the queues of network cards for so long whenever it waits for completions, if it can.
    ///
    /// # Errors
    /// What `io_uring_register(2)` says: EINVAL before Linux 6.9, or without `CONFIG_NET_RX_BUSY_POLL`.
    pub fn poll_queues(&self, limit: Duration) -> io::Result<()> {
        let limit_us = limit.as_micros().try_into().unwrap_or(u32::MAX);
        let mut napi = types::Napi::new().set_busy_poll_timeout(limit_us);
        self.uring.submitter().register_napi(&mut napi)
    }

    fn must_enter(&mut self) -> bool {
        let queue = self.uring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// For asking the kernel what it can.
    pub fn submitter(&self) -> io_uring::Submitter<'_> {
        self.uring.submitter()
    }

    /// What to await in deep sleep.
    pub fn bell(&self) -> &Doorbell {
        &self.bell
    }
}

impl Kernel for Ring {
    fn fd(&self) -> RawFd {
        self.uring.as_raw_fd()
    }

    unsafe fn lend_buffers(
        &mut self,
        entries: *const BufRingEntry,
        count: u16,
        group: u16,
        flags: u16,
    ) -> io::Result<()> {
        if flags & PIECEWISE != 0 && !probe::posts_in_order() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let submitter = self.uring.submitter();
        // SAFETY: the caller's promise.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, count, group, flags) }
    }

    fn accept(&mut self, listener: u32, fd: RawFd) {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let entry = opcode::AcceptMulti::new(types::Fd(fd)).flags(flags).build();
        self.push(entry.user_data(user_data(Token::Accept, listener)));
    }

    fn cancel_accept(&mut self, listener: u32) {
        self.cancel(user_data(Token::Accept, listener));
    }

    fn receive(&mut self, conn: u32, fd: RawFd) {
        let entry = opcode::RecvMulti::new(types::Fd(fd), receive::GROUP).build();
        self.push(entry.user_data(user_data(Token::Receive, conn)));
    }

    fn receive_once(&mut self, conn: u32, fd: RawFd) {
        let entry = opcode::Recv::new(types::Fd(fd), std::ptr::null_mut(), RECEIVE_ONCE_BYTES)
            .buf_group(receive::GROUP);
        let entry = entry.build().flags(squeue::Flags::BUFFER_SELECT);
        self.push(entry.user_data(user_data(Token::Receive, conn)));
    }

    fn receive_direct(&mut self, conn: u32, fd: RawFd, fill: Fill) {
        let ioprio = if fill.wait_first { POLL_FIRST } else { 0 };
        let entry = opcode::RecvMsg::new(types::Fd(fd), fill.header).ioprio(ioprio).build();
        self.push(entry.user_data(user_data(Token::Direct, conn)));
    }

    fn cancel_direct(&mut self, conn: u32) {
        self.cancel(user_data(Token::Direct, conn));
    }

    fn cancel_receive(&mut self, conn: u32) {
        self.cancel(user_data(Token::Receive, conn));
    }

    fn receive_datagrams(&mut self, socket: u32, fd: RawFd, buffers: &DatagramBuffers) {
        let entry = opcode::RecvMsgMulti::new(types::Fd(fd), buffers.shape(), datagrams::GROUP).build();
        self.push(entry.user_data(user_data(Token::Datagram, socket)));
    }

    fn cancel_datagrams(&mut self, socket: u32) {
        self.cancel(user_data(Token::Datagram, socket));
    }

    fn cancel_send(&mut self, conn: u32) {
        self.cancel(user_data(Token::Send, conn));
    }

    fn send(&mut self, conn: u32, fd: RawFd, send: Send) {
        let flags = libc::MSG_NOSIGNAL;
        let entry = match send {
            Send::Plain(bytes, len) => opcode::Send::new(types::Fd(fd), bytes, len).flags(flags).build(),
            Send::Message(header) => opcode::SendMsg::new(types::Fd(fd), header).flags(flags as u32).build(),
        };
        self.push(entry.user_data(user_data(Token::Send, conn)));
    }

    fn close(&mut self, fd: RawFd) {
        let entry = opcode::Close::new(types::Fd(fd)).build();
        self.push(entry.user_data(user_data(Token::Quiet, 0)));
    }

    fn refuse(&mut self, fd: RawFd, words: &'static [u8]) {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        let entry = opcode::Send::new(types::Fd(fd), words.as_ptr(), words.len() as u32).flags(flags).build();
        // The close follows whatever becomes of the words.
        let entry = entry.flags(squeue::Flags::IO_HARDLINK);
        self.push(entry.user_data(user_data(Token::Quiet, 0)));
        self.close(fd);
    }

    fn wake(&mut self, ring_fd: RawFd) {
        let token = user_data(Token::Wake, 0);
        let entry = opcode::MsgRingData::new(types::Fd(ring_fd), 0, token, None).build();
        self.push(entry.user_data(user_data(Token::Waking, ring_fd as u32)));
    }

    fn populate(&mut self, address: *const u8, len: usize) {
        let entry =
            opcode::Madvise::new(address.cast(), len as libc::off_t, libc::MADV_POPULATE_WRITE).build();
        self.push(entry.user_data(user_data(Token::Populate, 0)));
    }

    fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let mut full = self.drain_backlog();
        loop {
            let wait = wait.filter(|_| !full && self.uring.completion().is_empty());
            let result = match wait {
                Some(limit) => {
                    let limit = types::Timespec::from(limit);
                    let args = types::SubmitArgs::new().timespec(&limit);
                    self.uring.submitter().submit_with_args(1, &args)
                }
                None if self.must_enter() => self.uring.submit(),
                None => return Ok(()),
            };
            match result {
                Ok(_) if full => full = self.drain_backlog(),
                Ok(_) => return Ok(()),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EINTR | libc::ETIME | libc::EAGAIN | libc::EBUSY) => return Ok(()),
                    _ => return Err(e),
                },
            }
        }
    }

    fn has_news(&mut self) -> bool {
        let unsubmitted = !self.backlog.is_empty();
        let queue = self.uring.submission();
        let pending = unsubmitted || !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        pending || !self.uring.completion().is_empty()
    }

    fn reap(&mut self, events: &mut Vec<Event>, buffers: &mut StreamBuffers) {
        let queue = self.uring.completion();
        events.extend(queue.take(EVENTS_MAX).filter_map(|entry| event(&entry, buffers)));
    }

    fn ring_on_completion(&mut self, enabled: bool) {
        let queue = self.uring.completion();
        if enabled {
            queue.enable_eventfd();
        } else {
            queue.disable_eventfd();
        }
    }

    fn backlog_len(&self) -> usize {
        self.backlog.len()
    }

    fn ring_bell(&self) {
        self.bell.ring();
    }

    fn hush_bell(&self) {
        self.bell.hush();
    }

    fn set_low_water(&self, fd: RawFd, bytes: u32) {
        direct::set_low_water(fd, bytes);
    }
}

fn event(entry: &cqueue::Entry, buffers: &mut StreamBuffers) -> Option<Event> {
    let (data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
    let (index, armed) = (data as u32, cqueue::more(flags));
    let kind = (data >> KIND_SHIFT) as u8;
    if kind == Token::Receive as u8 {
        return Some(match cqueue::buffer_select(flags) {
            Some(buffer) if result > 0 => {
                let piece = buffers.piece(buffer, result as u32, cqueue::buffer_more(flags));
                Event::Received { conn: index, piece, armed }
            }
            _ => Event::ReceiveEnded { conn: index, errno: -result },
        });
    }
    if kind == Token::Direct as u8 {
        return Some(Event::Filled { conn: index, result });
    }
    if kind == Token::Datagram as u8 {
        return Some(match cqueue::buffer_select(flags) {
            Some(buffer) if result >= 0 => {
                Event::DatagramReceived { socket: index, buffer, len: result as u32, armed }
            }
            _ => Event::DatagramsEnded { socket: index, errno: -result },
        });
    }
    if kind == Token::Send as u8 {
        return Some(Event::Sent { conn: index, result });
    }
    if kind == Token::Accept as u8 {
        return Some(match result {
            fd if fd >= 0 => Event::Accepted { listener: index, fd, armed },
            errno => Event::AcceptEnded { listener: index, errno: -errno },
        });
    }
    if kind == Token::Populate as u8 {
        return Some(Event::Populated { knows_how: !matches!(-result, libc::EINVAL | libc::EOPNOTSUPP) });
    }
    if kind == Token::Waking as u8 {
        // With other errors the peer has ended, or has more completions than it has room for.
        let ring_fd = index as RawFd;
        return may_try_again(-result).then_some(Event::NotWoken { ring_fd });
    }
    (kind == Token::Wake as u8).then_some(Event::Woken)
}
