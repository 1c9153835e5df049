//! The loop: what a shard's turn does with the kernel, and nothing else. One `enter` submits the sends of the last turn and
//! fetches what has come; each connection has one multishot receive into the shard's provided buffers, and at the end of a turn
//! one send at most is queued for it. Sizes of ring, buffers and pool are those of a server with one shard.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use ringcached::net::{BlockPool, Doorbell, Event, Kernel, Listener, Ring, StreamBuffers};
use ringcached::shard::park::SHALLOW;
use ringcached::shard::plan::{RING, receive_bytes, send_blocks};
use ringcached::shard::turn::event_list;

use crate::canned::Canned;
use crate::conn::Conn;

/// The server.
pub struct Server {
    /// First, so that it is dropped first: the kernel works on the memory of all that follows.
    ring: Ring,
    buffers: StreamBuffers,
    pool: BlockPool,
    listening_fd: RawFd,
    /// Keeps the socket behind `listening_fd` open.
    _listener: Listener,
    request_bytes: usize,
    canned: Canned,
    conns: Vec<Conn>,
    /// Places in `conns` whose connection is over.
    free: Vec<u32>,
    /// Connections with something to send.
    dirty: VecDeque<u32>,
    /// Connections whose receive has ended and is to be started again.
    starved: Vec<u32>,
    /// Large replies that have been sent whole; there is nothing to release.
    released: Vec<&'static [u8]>,
}

impl Server {
    /// Replies `reply` to every `request_bytes` bytes that a connection sends.
    ///
    /// # Errors
    /// What the kernel says to a ring and its memory; `NotFound` for a listener that leaves accepting to another.
    pub fn new(listener: Listener, request_bytes: usize, reply: Vec<u8>) -> io::Result<Server> {
        let mut ring = Ring::new(RING, Arc::new(Doorbell::new()?))?;
        let buffers = StreamBuffers::new(&mut ring, receive_bytes(1))?;
        let pool = BlockPool::new(send_blocks(1))?;
        let listening_fd = listener.fd().ok_or(io::ErrorKind::NotFound)?;
        ring.accept(0, listening_fd);
        Ok(Server {
            ring,
            buffers,
            pool,
            listening_fd,
            _listener: listener,
            request_bytes,
            canned: Canned::new(reply),
            conns: Vec::new(),
            free: Vec::new(),
            dirty: VecDeque::new(),
            starved: Vec::new(),
            released: Vec::new(),
        })
    }

    /// Serves until the ring or the listener fails.
    ///
    /// # Errors
    /// What they failed with.
    pub fn serve(&mut self) -> io::Result<()> {
        let mut events = event_list();
        let mut wait = None;
        loop {
            self.ring.enter(wait)?;
            self.ring.reap(&mut events, &mut self.buffers);
            // A shard too looks once without waiting before it waits.
            wait = (events.is_empty() && self.dirty.is_empty()).then_some(SHALLOW);
            for event in events.drain(..) {
                self.event(event)?;
            }
            self.send_replies();
            self.buffers.publish();
            for conn in std::mem::take(&mut self.starved) {
                self.receive(conn);
            }
        }
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Received { conn, piece, armed } => {
                self.buffers.recycle(piece);
                if let Some(one) = self.conns.get_mut(conn as usize) {
                    one.received(piece.len as usize, self.request_bytes);
                    one.receives = armed;
                }
                if !armed {
                    self.starved.push(conn);
                }
                self.settle(conn);
            }
            Event::ReceiveEnded { conn, errno } => {
                if let Some(one) = self.conns.get_mut(conn as usize) {
                    one.receives = false;
                    one.ended |= errno != libc::ENOBUFS;
                }
                if errno == libc::ENOBUFS {
                    self.starved.push(conn);
                }
                self.settle(conn);
            }
            Event::Sent { conn, result } => {
                if let Some(one) = self.conns.get_mut(conn as usize) {
                    one.sent(result, &mut self.pool, &mut self.released);
                    self.released.clear();
                }
                self.settle(conn);
            }
            Event::Accepted { fd, armed, .. } => {
                if !armed {
                    self.ring.accept(0, self.listening_fd);
                }
                self.adopt(fd);
            }
            Event::AcceptEnded { errno, .. } => return Err(io::Error::from_raw_os_error(errno)),
            // Nothing else is ever submitted.
            _ => {}
        }
        Ok(())
    }

    fn adopt(&mut self, fd: RawFd) {
        let index = self.free.pop().unwrap_or(self.conns.len() as u32);
        match self.conns.get_mut(index as usize) {
            Some(place) => *place = Conn::new(fd),
            None => self.conns.push(Conn::new(fd)),
        }
        self.receive(index);
    }

    fn receive(&mut self, index: u32) {
        match self.conns.get_mut(index as usize) {
            Some(conn) if !conn.ended && !conn.receives => {
                conn.receives = true;
                self.ring.receive(index, conn.fd);
            }
            _ => {}
        }
    }

    /// After anything happened to a connection: it is to send, or it is over.
    fn settle(&mut self, index: u32) {
        let Some(conn) = self.conns.get_mut(index as usize) else { return };
        if conn.wants_send() && !std::mem::replace(&mut conn.dirty, true) {
            self.dirty.push_back(index);
        }
        if conn.ended && conn.receives {
            self.ring.cancel_receive(index); // a send has failed
        }
        if conn.is_over() && conn.fd >= 0 && !conn.dirty {
            conn.abandon(&mut self.pool, &mut self.released);
            self.released.clear();
            self.ring.close(conn.fd);
            conn.fd = -1;
            self.free.push(index);
        }
    }

    /// Queues one send for each connection that owes replies, once for each at most: who finds no block waits for a turn.
    fn send_replies(&mut self) {
        for _ in 0..self.dirty.len() {
            let Some(index) = self.dirty.pop_front() else { return };
            let Some(conn) = self.conns.get_mut(index as usize) else { continue };
            conn.dirty = false;
            if conn.wants_send()
                && let Some(send) = conn.start_send(&self.canned, &mut self.pool)
            {
                self.ring.send(index, conn.fd, send);
            } else {
                self.settle(index);
            }
        }
    }
}
