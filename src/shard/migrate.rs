//! Connections that move to the shard on which nearly all of their keys live.
//!
//! [`Affinity`](super::session::affinity) finds them. Such a session takes no further request; when all it was asked has been
//! answered and sent, and its receive has left the ring, the descriptor goes to the other shard with what is known of the
//! connection and what it has sent and nobody has run yet. So answers keep their order, and no request is done twice or, unless the server
//! stops meanwhile, lost.
//!
//! Only a connection that is on its shard by chance moves: not one whose client has chosen the shard, and not one placed by
//! its core. A shard lets [`MOVES_PER_S`] go in a second, and what they take with them is bounded
//! ([`MOVING_BYTES_MAX`](super::common::MOVING_BYTES_MAX)); others stay, and are found again by their next thousand keys.

use super::Shard;
use super::conn::{Life, Receive};
use super::mesh::wire::Ask;
use super::session::standing::Standing;
use crate::net::Kernel;
use std::os::fd::RawFd;

/// Connections that leave a shard in one second, at most.
pub const MOVES_PER_S: u32 = 100;

/// A connection on its way.
#[derive(Debug)]
pub struct Moving {
    fd: RawFd,
    /// The listener it came from.
    listener: u32,
    standing: Standing,
    /// What it has sent and nobody has run yet.
    input: Vec<u8>,
}

/// It crosses the mesh as a pointer, behind the compiler's back.
const _: fn() = || {
    fn may_cross<T: Send>() {}
    may_cross::<Moving>();
};

/// How many have left lately.
#[derive(Debug, Default)]
pub struct Departures {
    second: u32,
    count: u32,
}

impl Departures {
    /// One more may leave in this second of the shard clock.
    fn may_leave(&self, now_s: u32) -> bool {
        self.second != now_s || self.count < MOVES_PER_S
    }

    fn left(&mut self, now_s: u32) {
        if self.second != now_s {
            *self = Departures { second: now_s, count: 0 };
        }
        self.count += 1;
    }
}

impl<K: Kernel> Shard<K> {
    /// Goes on with a connection that wants to move to `to` and has nothing outstanding or unsent.
    pub(super) fn depart(&mut self, index: u32, to: usize) {
        let now_s = self.core.keyspace.now_s;
        let Some(conn) = self.conns.get(index) else { return };
        let may =
            conn.life == Life::Open && !conn.ended && !self.stopping && self.departures.may_leave(now_s);
        if !may {
            return self.stay(index);
        }
        match conn.receive {
            Receive::Armed => {
                conn.receive = Receive::Ending;
                return self.ring.cancel_receive(index);
            }
            Receive::Ending | Receive::Direct => return,
            Receive::Off => {}
        }
        let Some(mut session) = conn.session.take() else { return };
        if !self.common.may_move(session.input_len()) {
            conn.session = Some(session);
            return self.stay(index);
        }
        conn.set_low_water(&self.ring, 1); // as the other shard takes it to be
        let (fd, listener) = (conn.fd, conn.listener);
        let standing = Standing { affinity: Default::default(), ..session.standing };
        let moving = Moving { fd, listener, standing, input: session.take_input() };
        session.out.rest(&mut self.core.pool);
        self.conns.give_session(&mut self.core, session);
        self.conns.remove(index);
        self.departures.left(now_s);
        self.common.move_place(self.core.id, to);
        self.core.out.ask_surely(to, Ask::Move(Box::new(moving)));
    }

    /// It stays after all: what it has sent meanwhile is run here.
    fn stay(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        let Some(session) = conn.session.as_mut() else { return };
        session.stay();
        conn.waits = false;
        if !std::mem::replace(&mut conn.queued, true) {
            self.resume.push(index);
        }
    }

    /// A connection has come from a peer; it has been counted here.
    pub(super) fn arrive(&mut self, moving: Moving) {
        let Moving { fd, listener, standing, input } = moving;
        self.common.has_moved(input.len());
        if self.stop.is_closing() {
            self.common.left(self.core.id);
            return self.ring.close(fd);
        }
        self.core.keyspace.counters.migrations += 1;
        let index = self.conns.insert(fd, listener, standing, self.core.keyspace.now_s);
        if input.is_empty() {
            return self.start_receive(index);
        }
        self.core.keyspace.journal.asker_fd = fd;
        let mut session = self.conns.session_of(index);
        let stop = session.feed(&mut self.core, &input);
        self.stopped(index, session, stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_leave_in_a_second() {
        let mut departures = Departures::default();
        for second in [5, 6, 60] {
            for _ in 0..MOVES_PER_S {
                assert!(departures.may_leave(second));
                departures.left(second);
            }
            assert!(!departures.may_leave(second));
        }
    }
}
