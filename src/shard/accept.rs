//! Accepting, placing and refusing connections.
//!
//! Whoever accepts a connection finds the shard where it belongs and hands it on before its first byte is read: the one with
//! the fewest (`--steer even`), the one on the core that receives it (`--steer cpu`), the one its source port chooses, the
//! one whose port it is. Where each shard has a listener of its own the kernel has brought most to the right one; where a service
//! manager passed fewer sockets some shards accept for the others. When no descriptor is left, or the limit is
//! reached under `no_maxconns_fast`, the listeners rest and the backlog waits (`accepting_conns`).

use super::Shard;
use super::mesh::wire::Ask;
use super::session::standing::Standing;
use crate::net::listener::{Peer, Way, peer_of, receiving_core};
use crate::net::{Kernel, Listener};
use crate::protocol::reply::text;
use std::os::fd::RawFd;
use std::time::Duration;

/// How long the listeners rest before they try again.
const REST: Duration = Duration::from_millis(10);

/// The state of a shard's listeners.
#[derive(Default)]
pub struct Accepting {
    /// Listeners whose accept is in the ring.
    armed: u64,
    /// Since when they rest, and when they were last tried again.
    resting: Option<(Duration, Duration)>,
}

impl Accepting {
    /// Connections are being accepted.
    pub fn is_open(&self) -> bool {
        self.resting.is_none()
    }
}

impl<K: Kernel> Shard<K> {
    /// Arms the accept of every listener.
    pub fn listen(&mut self) {
        for index in 0..self.listeners.len() {
            self.arm(index);
        }
    }

    pub(super) fn accepted(&mut self, listener: u32, fd: RawFd, armed: bool) {
        if !armed {
            self.accepting.armed &= !(1 << listener);
            self.rearm(listener);
        }
        // Until the end of the drain: its first request may be here already, and nobody else will ever answer it.
        if self.stop.is_closing() {
            return self.ring.close(fd);
        }
        self.core.keyspace.counters.total_connections += 1;
        let settings = &self.core.settings;
        if self.common.connections() + self.common_listeners >= settings.live.connections_max() - 1 {
            if settings.refuse_when_full {
                self.core.keyspace.counters.rejected_connections += 1;
                return self.ring.refuse(fd, text::TOO_MANY_CONNECTIONS);
            }
            self.rest();
        }
        let to = match self.chosen(listener, fd) {
            Some(shard) => self.common.choose(shard),
            None => self.common.place(self.core.id),
        };
        if to != self.core.id {
            if self.core.out.ask(to, Ask::Adopt { fd, listener }) {
                return;
            }
            self.common.move_place(to, self.core.id);
        }
        self.adopt(fd, listener);
    }

    /// The shard where a fresh connection belongs, if it does not matter only that all have as many.
    fn chosen(&self, listener: u32, fd: RawFd) -> Option<usize> {
        let own = self.core.id;
        match self.listeners.get(listener as usize)?.way {
            // Who is about to end hands nothing on: the others may have ended by then.
            _ if self.stopping => Some(own),
            Way::Chance => None,
            Way::Core => self.common.shard_on(receiving_core(fd)?),
            Way::SourcePort => match peer_of(fd) {
                Peer::Tcp(address) => Some(usize::from(address.port()) % self.core.shards),
                Peer::Local | Peer::Gone => Some(own),
            },
            Way::ShardPort => Some(own),
        }
    }

    /// Takes a connection into this shard; it has been counted here.
    pub(super) fn adopt(&mut self, fd: RawFd, listener: u32) {
        if self.stop.is_closing() {
            self.common.left(self.core.id);
            return self.ring.close(fd);
        }
        let from = self.listeners.get(listener as usize);
        let protocol = from.map_or(self.core.settings.protocol, |listener| listener.protocol);
        let way = from.map_or(Way::Chance, |listener| listener.way);
        let (is_meant_here, may_move) = (way.is_chosen(), way == Way::Chance && self.core.shards > 1);
        let standing = Standing { is_meant_here, may_move, ..Standing::new(protocol) };
        self.core.keyspace.counters.adopted += 1;
        let on_own_core = receiving_core(fd) == Some(self.cpu);
        self.core.keyspace.counters.adopted_on_own_core += u64::from(on_own_core);
        let index = self.conns.insert(fd, listener, standing, self.core.keyspace.now_s);
        self.start_receive(index);
        self.log_opened(fd);
    }

    /// Forgets a connection of which nothing is left in the ring.
    pub(super) fn remove(&mut self, index: u32) {
        self.log_closed(index);
        if let Some(conn) = self.conns.get(index) {
            self.ring.close(conn.fd);
            self.conns.remove(index);
            self.common.left(self.core.id);
        }
    }

    pub(super) fn accept_ended(&mut self, listener: u32, errno: i32) {
        self.accepting.armed &= !(1 << listener);
        match errno {
            // Our own wish, if listeners rest or the shard stops. Or that one connection is gone already; the next may be fine.
            libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::EPROTO => {
                self.rearm(listener)
            }
            // EMFILE, ENFILE, ENOMEM, ENOBUFS, and whatever else might repeat itself at once.
            _ => self.rest(),
        }
    }

    fn rearm(&mut self, listener: u32) {
        if !self.stopping && self.accepting.is_open() {
            self.arm(listener as usize);
        }
    }

    /// Puts the accept of a listener into the ring, if it is not another shard's.
    fn arm(&mut self, index: usize) {
        if let Some(fd) = self.listeners.get(index).and_then(Listener::fd) {
            self.ring.accept(index as u32, fd);
            self.accepting.armed |= 1 << index;
        }
    }

    /// Stops accepting for a while: connections wait in the backlog.
    fn rest(&mut self) {
        if self.accepting.is_open() {
            let now = self.core.settings.clock.now();
            self.accepting.resting = Some((now, now));
            self.core.keyspace.counters.listen_disabled_num += 1;
        }
        self.end_accepts();
    }

    /// Takes every accept out of the ring.
    pub(super) fn end_accepts(&mut self) {
        for index in (0..self.listeners.len() as u32).filter(|index| self.accepting.armed & (1 << index) != 0)
        {
            self.ring.cancel_accept(index);
        }
    }

    /// Accepts again after a rest, when there may be room.
    pub(super) fn accept_again(&mut self) {
        let Some((since, tried)) = self.accepting.resting else { return };
        let full = self.common.connections() + self.common_listeners
            >= self.core.settings.live.connections_max() - 1;
        let now = self.core.settings.clock.now();
        if self.accepting.armed != 0 || full || now - tried < REST || self.stopping {
            return;
        }
        self.core.keyspace.counters.time_in_listen_disabled_us += (now - since).as_micros() as u64;
        self.accepting.resting = None;
        self.listen();
    }
}
