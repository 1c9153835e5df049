//! One connection: counts received bytes, owes a reply for every request that they complete, and sends what it owes.

use std::os::fd::RawFd;

use ringcached::net::outbox::Send;
use ringcached::net::{BlockPool, Outbox};

use crate::canned::Canned;

/// The table's record of a connection. Received bytes are counted and forgotten, so a peer that does not read costs nothing
/// but a larger number here.
pub struct Conn {
    /// The socket.
    pub fd: RawFd,
    /// A receive is in the ring.
    pub receives: bool,
    /// It is in the list of connections with something to send.
    pub dirty: bool,
    /// The peer has ended it, or it has failed: nothing is sent any more.
    pub ended: bool,
    /// Bytes of the request that is not complete.
    partial_bytes: usize,
    /// Replies that are not in the outbox yet.
    owed: u64,
    out: Outbox<&'static [u8]>,
}

impl Conn {
    /// A connection of which nothing has been read.
    pub fn new(fd: RawFd) -> Conn {
        Conn {
            fd,
            receives: false,
            dirty: false,
            ended: false,
            partial_bytes: 0,
            owed: 0,
            out: Outbox::default(),
        }
    }

    /// `len` bytes have come, of requests of `request_bytes` each.
    pub fn received(&mut self, len: usize, request_bytes: usize) {
        self.partial_bytes += len;
        self.owed += (self.partial_bytes / request_bytes) as u64;
        self.partial_bytes %= request_bytes;
    }

    /// There is something to send and nothing in flight.
    pub fn wants_send(&self) -> bool {
        !self.ended && !self.out.in_flight() && (self.owed > 0 || !self.out.is_idle())
    }

    /// Writes what is owed, as far as there is room, and starts one send of it. Nothing: no block is free.
    pub fn start_send(&mut self, canned: &Canned, pool: &mut BlockPool) -> Option<Send> {
        self.owed -= canned.write(self.owed, &mut self.out, pool);
        self.out.start_send(pool)
    }

    /// The send in flight has ended with this result: bytes, or a negative errno.
    pub fn sent(&mut self, result: i32, pool: &mut BlockPool, released: &mut Vec<&'static [u8]>) {
        self.out.sent(result.max(0) as usize, pool, released);
        self.ended |= result < 0;
    }

    /// It has ended, and nothing in the ring names it.
    pub fn is_over(&self) -> bool {
        self.ended && !self.receives && !self.out.in_flight()
    }

    /// Gives its blocks back.
    pub fn abandon(&mut self, pool: &mut BlockPool, released: &mut Vec<&'static [u8]>) {
        self.out.abandon(pool, released);
    }
}
