//! What shards know of each other: who sleeps, which ring to wake, how many connections each has, and the mailboxes of
//! reports. Touched when a shard parks, accepts, closes or reports; never by a request on its own core.

use super::calls::{Mailbox, Part};
use super::mesh::Parked;
use super::mesh::wire::Ticket;
use super::pulse::Pulse;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes that connections on the move may have with them, all together: received, and run by nobody yet. Who has more stays, unless
/// nobody else is on the move with any.
pub const MOVING_BYTES_MAX: usize = 128 * 1024;

/// See the module comment.
pub struct Common {
    /// Who sleeps.
    pub parked: Parked,
    /// Who is alive.
    pub pulse: Pulse,
    ring_fds: Box<[AtomicI32]>,
    connections: Box<[AtomicUsize]>,
    /// The core of each shard.
    cores: Box<[usize]>,
    mailboxes: Box<[Mailbox]>,
    /// Bytes that connections on the move have with them.
    moving_bytes: AtomicUsize,
    /// Shards that still have connections while the server stops.
    serving: AtomicUsize,
}

impl Common {
    /// For a shard on each of `cores`, none of them running yet.
    pub fn new(cores: &[usize]) -> Common {
        let shards = cores.len();
        Common {
            cores: cores.into(),
            parked: Parked::new(shards),
            pulse: Pulse::new(shards),
            ring_fds: (0..shards).map(|_| AtomicI32::new(-1)).collect(),
            connections: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            mailboxes: (0..shards).map(|_| Mutex::new(Vec::new())).collect(),
            moving_bytes: AtomicUsize::new(0),
            serving: AtomicUsize::new(shards),
        }
    }

    /// The ring of a shard, to be woken. Only a shard that runs parks, so it has one by then.
    pub fn ring_fd(&self, shard: usize) -> RawFd {
        self.ring_fds[shard].load(Ordering::Acquire)
    }

    /// A shard has made its ring.
    pub fn set_ring_fd(&self, shard: usize, fd: RawFd) {
        self.ring_fds[shard].store(fd, Ordering::Release);
    }

    /// Connections of all shards, those on their way to one included.
    pub fn connections(&self) -> usize {
        self.connections.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// The shard a fresh connection should live on: `own` unless another has fewer. Counts it there at once, so that
    /// shards which decide at the same time do not all choose the same.
    pub fn place(&self, own: usize) -> usize {
        let mut best = (self.connections[own].load(Ordering::Relaxed), own);
        for (shard, count) in self.connections.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count < best.0 {
                best = (count, shard);
            }
        }
        self.connections[best.1].fetch_add(1, Ordering::Relaxed);
        best.1
    }

    /// Counts a fresh connection for the shard that is chosen for it.
    pub fn choose(&self, shard: usize) -> usize {
        self.connections[shard].fetch_add(1, Ordering::Relaxed);
        shard
    }

    /// The shard on a core, if there is one.
    pub fn shard_on(&self, core: usize) -> Option<usize> {
        self.cores.iter().position(|other| *other == core)
    }

    /// A connection counted for `from` lives on `to` after all.
    pub fn move_place(&self, from: usize, to: usize) {
        self.connections[from].fetch_sub(1, Ordering::Relaxed);
        self.connections[to].fetch_add(1, Ordering::Relaxed);
    }

    /// A connection may move with so many bytes; they are counted until [`has_moved`](Self::has_moved).
    pub fn may_move(&self, input_bytes: usize) -> bool {
        let before = self.moving_bytes.fetch_add(input_bytes, Ordering::Relaxed);
        let may = before == 0 || before + input_bytes <= MOVING_BYTES_MAX;
        if !may {
            self.has_moved(input_bytes);
        }
        may
    }

    /// A connection has arrived with so many bytes.
    pub fn has_moved(&self, input_bytes: usize) {
        self.moving_bytes.fetch_sub(input_bytes, Ordering::Relaxed);
    }

    /// A connection of a shard has ended.
    pub fn left(&self, shard: usize) {
        self.connections[shard].fetch_sub(1, Ordering::Relaxed);
    }

    /// Puts what shard `from` has to say into the asker's mailbox, before the `Done` that announces it.
    pub fn post(&self, to: usize, ticket: Ticket, from: usize, part: Option<Part>) {
        if let Some(part) = part {
            self.mailboxes[to].lock().unwrap_or_else(PoisonError::into_inner).push((ticket, from, part));
        }
    }

    /// Takes what shard `from` has to say to a call out of our mailbox.
    pub fn take_part(&self, own: usize, ticket: Ticket, from: usize) -> Option<Part> {
        let mut mail = self.mailboxes[own].lock().unwrap_or_else(PoisonError::into_inner);
        let at = mail.iter().position(|(t, shard, _)| *t == ticket && *shard == from)?;
        Some(mail.swap_remove(at).2)
    }

    /// A stopping shard has closed its connections; it goes on answering peers until all have.
    pub fn done_serving(&self) {
        self.serving.fetch_sub(1, Ordering::AcqRel);
    }

    /// Every shard has closed its connections.
    pub fn all_done(&self) -> bool {
        self.serving.load(Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_connections_go_where_there_are_fewest() {
        let common = Common::new(&[0, 2, 4]);
        for _ in 0..30 {
            common.place(1);
        }
        let counts: Vec<_> = common.connections.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [10, 10, 10]);
        common.left(2);
        assert_eq!(common.place(0), 2);
        assert_eq!(Common::new(&[0, 1]).place(1), 1, "at equal counts it stays where it arrived");
    }

    #[test]
    fn connections_on_the_move_have_little_with_them() {
        let common = Common::new(&[0, 1]);
        assert!(common.may_move(MOVING_BYTES_MAX - 1) && common.may_move(0) && !common.may_move(2));
        common.has_moved(MOVING_BYTES_MAX - 1);
        assert!(common.may_move(2) && !common.may_move(MOVING_BYTES_MAX));
        common.has_moved(2);
        assert!(common.may_move(2 * MOVING_BYTES_MAX), "one alone");
    }
}
