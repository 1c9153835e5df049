//! Accepting, placing and refusing connections (`--steer even`). A connection that a shard was chosen for stays there
//! (`--steer cpu`, shard ports, source ports).
//!
//! The kernel's hash spreads connections over the shards' listeners by chance; a shard that has more than another hands a
//! fresh connection to the one with the fewest before its first byte is read. When no descriptor is left, or the limit is
//! reached under `no_maxconns_fast`, the listeners rest and the backlog waits (`accepting_conns`).

use super::Shard;
use super::mesh::wire::Ask;
use super::session::standing::Standing;
use crate::net::listener::{Way, receiving_core};
use crate::protocol::reply::text;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How long the listeners rest before they try again.
const REST: Duration = Duration::from_millis(10);

/// The state of a shard's listeners.
#[derive(Default)]
pub struct Accepting {
    /// Listeners whose accept is in the ring.
    armed: u64,
    /// Since when they rest, and when they were last tried again.
    resting: Option<(Instant, Instant)>,
}

impl Accepting {
    /// Connections are being accepted.
    pub fn is_open(&self) -> bool {
        self.resting.is_none()
    }
}

impl Shard {
    /// Arms the accept of every listener.
    pub fn listen(&mut self) {
        for (index, listener) in self.listeners.iter().enumerate() {
            self.ring.accept(index as u32, listener.as_raw_fd());
            self.accepting.armed |= 1 << index;
        }
    }

    pub(super) fn accepted(&mut self, listener: u32, fd: RawFd, armed: bool) {
        if !armed {
            self.accepting.armed &= !(1 << listener);
            self.rearm(listener);
        }
        if self.stopping {
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
        let to = match self.listeners.get(listener as usize) {
            Some(listener) if listener.way != Way::Chance => self.common.stay(self.core.id),
            _ => self.common.place(self.core.id),
        };
        if to != self.core.id {
            if self.core.out.ask(to, Ask::Adopt { fd, listener }) {
                return;
            }
            self.common.move_place(to, self.core.id);
        }
        self.adopt(fd, listener);
    }

    /// Takes a connection into this shard; it has been counted here.
    pub(super) fn adopt(&mut self, fd: RawFd, listener: u32) {
        if self.stopping {
            self.common.left(self.core.id);
            return self.ring.close(fd);
        }
        // A UNIX socket is shard 0's alone. All others every shard has at the same place in its list.
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
            libc::ECANCELED => {}
            // That one connection is gone already; the next may be fine.
            libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::EPROTO => self.rearm(listener),
            // EMFILE, ENFILE, ENOMEM, ENOBUFS, and whatever else might repeat itself at once.
            _ => self.rest(),
        }
    }

    fn rearm(&mut self, listener: u32) {
        if let (false, true, Some(socket)) =
            (self.stopping, self.accepting.is_open(), self.listeners.get(listener as usize))
        {
            self.ring.accept(listener, socket.as_raw_fd());
            self.accepting.armed |= 1 << listener;
        }
    }

    /// Stops accepting for a while: connections wait in the backlog.
    fn rest(&mut self) {
        if self.accepting.is_open() {
            let now = Instant::now();
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
        if self.accepting.armed != 0 || full || tried.elapsed() < REST || self.stopping {
            return;
        }
        self.core.keyspace.counters.time_in_listen_disabled_us += since.elapsed().as_micros() as u64;
        self.accepting.resting = None;
        self.listen();
    }
}
