//! A ring of which some operations fail. What has not been submitted yet fails without the real ring having seen it; what goes on
//! until it ends (multishot) is cancelled, and ends with the chosen errno in place of ECANCELED. So a failure takes nothing with it
//! that the kernel would not have kept: a connection stays in the backlog, bytes stay in the socket.
#![allow(unsafe_code)]

use io_uring::types::BufRingEntry;
use ringcached::net::direct::Fill;
use ringcached::net::outbox::Send;
use ringcached::net::{DatagramBuffers, Event, Kernel, Ring, StreamBuffers};
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Accepts.
    Accept,
    /// Receives of connections into shared buffers.
    Receive,
    /// Receives of connections into the memory of a value.
    ReceiveDirect,
    /// Sends, of connections and of datagrams.
    Send,
    /// Receives of datagrams.
    ReceiveDatagrams,
    /// Waking peers.
    Wake,
    /// Touching memory ahead.
    Populate,
    /// Registering receive buffers, at the start.
    LendBuffers,
}

/// What fails.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// Only these.
    pub operation: Operation,
    /// With this errno.
    pub errno: i32,
    /// One in how many.
    pub one_in: u32,
}

/// See the module comment.
pub struct FaultyRing {
    ring: Ring,
    injection: Option<Injection>,
    /// Operations that could have failed.
    seen: u32,
    failed: Arc<AtomicU32>,
    /// What has failed and not been reaped.
    completed: Vec<Event>,
    /// Multishot operations that are cancelled and are to end with the errno.
    ending: Vec<(Operation, u32)>,
}

impl FaultyRing {
    /// Counts what it has fail in `failed`.
    pub fn new(ring: Ring, injection: Option<Injection>, failed: Arc<AtomicU32>) -> FaultyRing {
        FaultyRing { ring, injection, seen: 0, failed, completed: Vec::new(), ending: Vec::new() }
    }

    /// The errno with which this operation is to fail, if it is.
    fn fails(&mut self, operation: Operation) -> Option<i32> {
        let injection = self.injection.filter(|injection| injection.operation == operation)?;
        self.seen += 1;
        let fails = self.seen.is_multiple_of(injection.one_in);
        self.failed.fetch_add(fails.into(), Ordering::Relaxed);
        fails.then_some(injection.errno)
    }

    /// The same for a multishot operation that has just completed in part: `end` cancels it.
    fn ends(&mut self, operation: Operation, index: u32, end: impl FnOnce(&mut Ring)) {
        if self.fails(operation).is_some() {
            self.ending.push((operation, index));
            end(&mut self.ring);
        }
    }

    /// The errno with which a multishot operation ends, given what the kernel says. One that ended by itself before its cancellation
    /// keeps its own.
    fn errno_of(&mut self, operation: Operation, index: u32, errno: i32) -> i32 {
        let Some(at) = self.ending.iter().position(|ending| *ending == (operation, index)) else {
            return errno;
        };
        self.ending.swap_remove(at);
        let injected = self.injection.map_or(errno, |injection| injection.errno);
        if errno == libc::ECANCELED { injected } else { errno }
    }

    /// Looks at a completion of the real ring on its way to the shard.
    fn pass(&mut self, event: &mut Event) {
        match event {
            Event::Accepted { listener, armed: true, .. } => {
                let listener = *listener;
                self.ends(Operation::Accept, listener, |ring| ring.cancel_accept(listener));
            }
            Event::Received { conn, armed: true, .. } => {
                let conn = *conn;
                self.ends(Operation::Receive, conn, |ring| ring.cancel_receive(conn));
            }
            Event::DatagramReceived { socket, armed: true, .. } => {
                let socket = *socket;
                self.ends(Operation::ReceiveDatagrams, socket, |ring| ring.cancel_datagrams(socket));
            }
            Event::AcceptEnded { listener, errno } => {
                *errno = self.errno_of(Operation::Accept, *listener, *errno);
            }
            Event::ReceiveEnded { conn, errno } => {
                *errno = self.errno_of(Operation::Receive, *conn, *errno);
            }
            Event::DatagramsEnded { socket, errno } => {
                *errno = self.errno_of(Operation::ReceiveDatagrams, *socket, *errno);
            }
            Event::Accepted { listener, .. } => _ = self.errno_of(Operation::Accept, *listener, 0),
            Event::Received { conn, .. } => _ = self.errno_of(Operation::Receive, *conn, 0),
            Event::DatagramReceived { socket, .. } => {
                _ = self.errno_of(Operation::ReceiveDatagrams, *socket, 0)
            }
            _ => {}
        }
    }
}

impl Kernel for FaultyRing {
    fn fd(&self) -> RawFd {
        self.ring.fd()
    }

    unsafe fn lend_buffers(
        &mut self,
        entries: *const BufRingEntry,
        count: u16,
        group: u16,
        flags: u16,
    ) -> io::Result<()> {
        match self.fails(Operation::LendBuffers) {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            // SAFETY: the caller's promise.
            None => unsafe { self.ring.lend_buffers(entries, count, group, flags) },
        }
    }

    fn accept(&mut self, listener: u32, fd: RawFd) {
        match self.fails(Operation::Accept) {
            Some(errno) => self.completed.push(Event::AcceptEnded { listener, errno }),
            None => self.ring.accept(listener, fd),
        }
    }

    fn cancel_accept(&mut self, listener: u32) {
        self.ring.cancel_accept(listener);
    }

    fn receive(&mut self, conn: u32, fd: RawFd) {
        match self.fails(Operation::Receive) {
            Some(errno) => self.completed.push(Event::ReceiveEnded { conn, errno }),
            None => self.ring.receive(conn, fd),
        }
    }

    fn receive_once(&mut self, conn: u32, fd: RawFd) {
        match self.fails(Operation::Receive) {
            Some(errno) => self.completed.push(Event::ReceiveEnded { conn, errno }),
            None => self.ring.receive_once(conn, fd),
        }
    }

    fn receive_direct(&mut self, conn: u32, fd: RawFd, fill: Fill) {
        match self.fails(Operation::ReceiveDirect) {
            Some(errno) => self.completed.push(Event::Filled { conn, result: -errno }),
            None => self.ring.receive_direct(conn, fd, fill),
        }
    }

    fn cancel_direct(&mut self, conn: u32) {
        self.ring.cancel_direct(conn);
    }

    fn cancel_receive(&mut self, conn: u32) {
        self.ring.cancel_receive(conn);
    }

    fn receive_datagrams(&mut self, socket: u32, fd: RawFd, buffers: &DatagramBuffers) {
        match self.fails(Operation::ReceiveDatagrams) {
            Some(errno) => self.completed.push(Event::DatagramsEnded { socket, errno }),
            None => self.ring.receive_datagrams(socket, fd, buffers),
        }
    }

    fn cancel_datagrams(&mut self, socket: u32) {
        self.ring.cancel_datagrams(socket);
    }

    fn cancel_send(&mut self, conn: u32) {
        self.ring.cancel_send(conn);
    }

    fn send(&mut self, conn: u32, fd: RawFd, send: Send) {
        match self.fails(Operation::Send) {
            Some(errno) => self.completed.push(Event::Sent { conn, result: -errno }),
            None => self.ring.send(conn, fd, send),
        }
    }

    fn close(&mut self, fd: RawFd) {
        self.ring.close(fd);
    }

    fn refuse(&mut self, fd: RawFd, words: &'static [u8]) {
        self.ring.refuse(fd, words);
    }

    fn wake(&mut self, ring_fd: RawFd) {
        match self.fails(Operation::Wake) {
            Some(_) => self.completed.push(Event::NotWoken { ring_fd }),
            None => self.ring.wake(ring_fd),
        }
    }

    fn populate(&mut self, address: *const u8, len: usize) {
        match self.fails(Operation::Populate) {
            Some(errno) => {
                let knows_how = !matches!(errno, libc::EINVAL | libc::EOPNOTSUPP);
                self.completed.push(Event::Populated { knows_how });
            }
            None => self.ring.populate(address, len),
        }
    }

    fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.ring.enter(wait.filter(|_| self.completed.is_empty()))
    }

    fn has_news(&mut self) -> bool {
        !self.completed.is_empty() || self.ring.has_news()
    }

    fn reap(&mut self, events: &mut Vec<Event>, buffers: &mut StreamBuffers) {
        let first = events.len();
        self.ring.reap(events, buffers);
        for event in &mut events[first..] {
            self.pass(event);
        }
        events.append(&mut self.completed);
    }

    fn ring_on_completion(&mut self, enabled: bool) {
        self.ring.ring_on_completion(enabled);
    }

    fn backlog_len(&self) -> usize {
        self.ring.backlog_len()
    }

    fn ring_bell(&self) {
        self.ring.ring_bell();
    }

    fn hush_bell(&self) {
        self.ring.hush_bell();
    }

    fn set_low_water(&self, fd: RawFd, bytes: u32) {
        self.ring.set_low_water(fd, bytes);
    }
}
