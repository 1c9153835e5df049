//! Which receive a connection gets: large values come straight into the memory of their item.
//!
//! As a rule a connection has one multishot receive into the shard's buffers. Once a session misses [`DIRECT_MIN`] bytes of
//! a value that has its memory, the multishot receive is ended, what it still delivers is taken as usual, and then direct
//! receives follow each other until the value is whole. The next two receives take a single buffer each: the line end and
//! the head of the next large value fit them, together or one after the other, so in a stream of large values nothing has to be ended
//! again; if anything else comes, the multishot receive follows.
//!
//! While a direct receive is in flight the session owns the value's memory through its `DirectReceive`, and the connection
//! counts as receiving: it is neither closed nor is the value given up before the completion has come.

use super::Shard;
use super::conn::{Conn, Life, Receive};
use super::crowd::Crowd;
use crate::net::Kernel;

/// Bytes missing of a value from which on they are received directly. Values of 100 KB cost 0.6 times the CPU that way; of 40 KB,
/// in a dense stream, 1.6 times: a multishot receive brings several of them at once.
pub const DIRECT_MIN: usize = 64 * 1024;

/// Receives into a single buffer after a direct one.
const SINGLE_AFTER_DIRECT: u8 = 2;

/// Bytes that the direct receives started in one turn may take: the kernel copies them while everybody else waits. Others
/// start in the next turn.
const DIRECT_BYTES_PER_TURN: usize = 4 << 20;

impl<K: Kernel> Shard<K> {
    /// Starts the receive that a connection without one needs now.
    pub(super) fn start_receive(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        let session = conn.session.as_mut().filter(|session| session.wants_direct());
        if let Some(session) = session {
            if self.direct_bytes >= DIRECT_BYTES_PER_TURN {
                return self.starved.push(index);
            }
            // A value whose memory has been asked for is received when the owner has answered.
            let Some(fill) = session.start_direct() else { return };
            (conn.receive, conn.single_receives) = (Receive::Direct, SINGLE_AFTER_DIRECT);
            self.direct_bytes += fill.asked();
            // The idle clock must see that bytes come.
            let low_water = if self.core.settings.live.idle_timeout_s() > 0 { 1 } else { fill.low_water() };
            conn.set_low_water(&self.ring, low_water);
            return self.ring.receive_direct(index, conn.fd, fill);
        }
        conn.set_low_water(&self.ring, 1);
        conn.receive = Receive::Armed;
        if conn.single_receives > 0 || self.crowd != Crowd::None {
            self.ring.receive_once(index, conn.fd);
        } else {
            self.ring.receive(index, conn.fd);
        }
    }

    /// A direct receive has ended.
    pub(super) fn filled(&mut self, index: u32, result: i32) {
        let Some(conn) = self.conns.get(index) else { return };
        let Some(mut session) = conn.session.take() else { return };
        let len = result.max(0) as usize;
        session.filled(len);
        if len == 0 {
            conn.session = Some(session);
            return self.receive_ended(index, -result);
        }
        conn.receive = Receive::Off;
        conn.last_command_s = self.core.keyspace.now_s;
        self.core.keyspace.counters.bytes_read += len as u64;
        if conn.life != Life::Open {
            conn.session = Some(session);
            return self.settle(index);
        }
        self.core.keyspace.journal.asker_fd = conn.fd;
        let stop = session.resume(&mut self.core);
        self.stopped(index, session, stop);
    }
}

impl Conn {
    /// A system call, but only two or three for a value of 64 KiB and more, and they save more of being woken.
    pub(super) fn set_low_water(&mut self, kernel: &impl Kernel, bytes: u32) {
        if std::mem::replace(&mut self.low_water, bytes) != bytes {
            kernel.set_low_water(self.fd, bytes);
        }
    }
}
