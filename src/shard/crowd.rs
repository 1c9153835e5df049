//! What a shard does when more waits in its sessions than was planned ([`Core::is_crowded`]): it holds each connection to one
//! request and its answer, and to 4 KiB received at a time.
//!
//! A multishot receive hands over everything that the socket holds, up to 32 buffers full in one go, before it can be ended. In a
//! crowd that would be too much, so receives are armed for 4 KiB, and those that are armed for many when a crowd
//! begins are ended, in steps. Until the last of them has been ended no buffer goes back to the kernel. So what comes in beyond
//! the plan is at most the receive buffers of the shard, once, and then 4 KiB for each connection.

use super::Shard;
use super::conn::{Life, Receive};
use crate::net::Kernel;

#[cfg(doc)]
use super::core::Core;

/// Connections whose receive is ended in one turn.
const ENDED_PER_TURN: u32 = 1024;

/// How far a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crowd {
    /// What waits is within the plan: receives are multishot.
    #[default]
    None,
    /// It is not: receives from this place of the table on may still be multishot.
    Begins(u32),
    /// No receive in the ring is multishot.
    Held,
}

impl Crowd {
    /// Receives are being ended, a step each turn.
    pub fn is_beginning(self) -> bool {
        matches!(self, Crowd::Begins(_))
    }
}

impl<K: Kernel> Shard<K> {
    /// Notices that a crowd begins, goes on, or is over. False: no receive buffer may be given to the kernel.
    pub(super) fn follow_crowd(&mut self) -> bool {
        match self.crowd {
            Crowd::None if self.core.is_crowded() => {
                self.core.keyspace.counters.crowds += 1;
                self.end_receives(0);
            }
            // The last of them left the ring with the enter of this turn.
            Crowd::Begins(from) if from >= self.conns.places() => self.crowd = Crowd::Held,
            Crowd::Begins(from) => self.end_receives(from),
            Crowd::Held if self.core.is_calm() => self.crowd = Crowd::None,
            Crowd::None | Crowd::Held => {}
        }
        !self.crowd.is_beginning()
    }

    /// Ends receives from `from` on; each is armed again when it has ended, unless its connection has to wait.
    fn end_receives(&mut self, from: u32) {
        let end = from.saturating_add(ENDED_PER_TURN).min(self.conns.places());
        for index in from..end {
            let Some(conn) = self.conns.get(index) else { continue };
            if conn.receive == Receive::Armed && conn.life == Life::Open {
                conn.receive = Receive::Ending;
                self.ring.cancel_receive(index);
            }
        }
        self.crowd = Crowd::Begins(end);
    }
}
