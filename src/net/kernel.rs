//! What a shard asks of the kernel, and what the kernel says: the seam below which a shard knows nothing.
//!
//! [`Ring`](super::Ring) is the one that serves. A simulation has another, and drives with it the same turns, without a
//! socket or a thread. Shards are made for one or the other when they are compiled, so a request pays nothing for it.
#![allow(unsafe_code)]

use super::datagrams::DatagramBuffers;
use super::direct::Fill;
use super::outbox::Send;
use super::stream_buffers::{Piece, StreamBuffers};
use io_uring::types::BufRingEntry;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Completions taken from the ring in one turn.
pub const EVENTS_MAX: usize = 1024;

/// The most that a receive that is not multishot brings.
pub const RECEIVE_ONCE_BYTES: u32 = 4096;

/// What a completion says. The fields are named in the variants' sentences.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Event {
    /// A connection was accepted on listener `listener`. `armed`: the multishot accept goes on.
    Accepted { listener: u32, fd: RawFd, armed: bool },
    /// The multishot accept ended with this errno (EMFILE, ECANCELED ...).
    AcceptEnded { listener: u32, errno: i32 },
    /// Bytes for connection `conn`. `armed`: the multishot receive goes on.
    Received { conn: u32, piece: Piece, armed: bool },
    /// The receive ended: errno 0 is the peer's end of stream, ENOBUFS no buffer, ECANCELED our own wish.
    ReceiveEnded { conn: u32, errno: i32 },
    /// A direct receive ended: bytes received, 0 at the peer's end of stream, or a negative errno.
    Filled { conn: u32, result: i32 },
    /// A datagram came in on socket `socket`; it and what the kernel says about it are the first `len` bytes of buffer
    /// `buffer` of [`DatagramBuffers`]. `armed`: the multishot receive goes on.
    DatagramReceived { socket: u32, buffer: u16, len: u32, armed: bool },
    /// The receive of datagrams ended: ENOBUFS no buffer, ECANCELED our own wish.
    DatagramsEnded { socket: u32, errno: i32 },
    /// A send ended: bytes taken, or a negative errno.
    Sent { conn: u32, result: i32 },
    /// Memory was touched, or there was none; or the kernel does not know how.
    Populated { knows_how: bool },
    /// A peer shard has put something into the mesh.
    Woken,
    /// The peer of this ring may not have been woken: there was no memory for it.
    NotWoken { ring_fd: RawFd },
}

/// Whether an operation that was refused with this errno may be tried again at once: what it lacked may be there the next time, or
/// nothing was lacking.
pub fn may_try_again(errno: i32) -> bool {
    matches!(errno, libc::EINTR | libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::ECANCELED)
}

/// Operations are only queued: [`enter`](Self::enter) submits them, and what becomes of them are [`Event`]s.
pub trait Kernel {
    /// The descriptor peers name to wake this ring.
    fn fd(&self) -> RawFd;

    /// Takes over a ring of `count` entries that lend receive buffers (`io_uring_register_buf_ring(3)`), as group `group`, with these
    /// flags of `io_uring_buf_reg`.
    ///
    /// # Safety
    /// The entries are page aligned, and they and the buffers they name outlive this.
    ///
    /// # Errors
    /// ENOMEM from RLIMIT_MEMLOCK, EINVAL from a kernel without provided-buffer rings (before 5.19) or these flags.
    unsafe fn lend_buffers(
        &mut self,
        entries: *const BufRingEntry,
        count: u16,
        group: u16,
        flags: u16,
    ) -> io::Result<()>;

    /// Multishot accept on a listening socket.
    fn accept(&mut self, listener: u32, fd: RawFd);

    /// Ends the accept of a listener; [`Event::AcceptEnded`] follows.
    fn cancel_accept(&mut self, listener: u32);

    /// Multishot receive into the shard's buffers.
    fn receive(&mut self, conn: u32, fd: RawFd);

    /// Receive of at most [`RECEIVE_ONCE_BYTES`] into the shard's buffers.
    fn receive_once(&mut self, conn: u32, fd: RawFd);

    /// Submits what [`super::DirectReceive::start`] gave; [`Event::Filled`] follows.
    fn receive_direct(&mut self, conn: u32, fd: RawFd, fill: Fill);

    /// Ends a direct receive; [`Event::Filled`] follows.
    fn cancel_direct(&mut self, conn: u32);

    /// Ends the receive of a connection; [`Event::ReceiveEnded`] follows.
    fn cancel_receive(&mut self, conn: u32);

    /// Multishot receive of datagrams.
    fn receive_datagrams(&mut self, socket: u32, fd: RawFd, buffers: &DatagramBuffers);

    /// Ends the receive of a UDP socket; [`Event::DatagramsEnded`] follows.
    fn cancel_datagrams(&mut self, socket: u32);

    /// Ends a send in flight; [`Event::Sent`] follows.
    fn cancel_send(&mut self, conn: u32);

    /// Submits what [`super::Outbox::start_send`] or [`DatagramBuffers::start_send`] gave.
    fn send(&mut self, conn: u32, fd: RawFd, send: Send);

    /// Closes a descriptor with the next enter.
    fn close(&mut self, fd: RawFd);

    /// Tells a fresh connection why it is not wanted, and closes it.
    fn refuse(&mut self, fd: RawFd, words: &'static [u8]);

    /// Wakes a peer's ring; [`Event::NotWoken`] follows if that was not possible.
    fn wake(&mut self, ring_fd: RawFd);

    /// Has a worker of the kernel touch memory, changing nothing in it; [`Event::Populated`] follows. An address that is not
    /// mapped is refused then.
    fn populate(&mut self, address: *const u8, len: usize);

    /// Submits everything and lets deferred completions run; waits up to `wait` for one if there is none.
    ///
    /// # Errors
    /// Only what is no part of normal life: EINTR, ETIME, EAGAIN and EBUSY (completions first) are not errors here.
    fn enter(&mut self, wait: Option<Duration>) -> io::Result<()>;

    /// Something has completed, or something is to be submitted: no time to sleep.
    fn has_news(&mut self) -> bool;

    /// Takes up to [`EVENTS_MAX`] completions; those that nobody waits for are dropped here. Received bytes are in `buffers`.
    fn reap(&mut self, events: &mut Vec<Event>, buffers: &mut StreamBuffers);

    /// Lets completions ring the bell (before deep sleep) or not (after).
    fn ring_on_completion(&mut self, enabled: bool);

    /// Operations that wait for room in the queue.
    fn backlog_len(&self) -> usize;

    /// Rings the bell that ends a deep sleep; forgotten if there is none.
    fn ring_bell(&self);

    /// Forgets the rings of the bell so far.
    fn hush_bell(&self);

    /// Has receives of this socket wait until `bytes` have come, or its end (SO_RCVLOWAT).
    fn set_low_water(&self, fd: RawFd, bytes: u32);
}
