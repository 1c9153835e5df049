//! The mesh: how a shard gets work done by the owner of a key.
//!
//! For each ordered pair of shards two queues ([`queue`]), one of *asks* and one of *answers* ([`wire`]), written in
//! batches and shown to the peer once a turn. A peer is woken only when it has said that it sleeps ([`Parked`]).
//!
//! Order: what one shard asks another is done in the order asked, so commands of one connection on one key keep theirs;
//! answers find their reply slot by ticket, so they may come in any order. Bounds: the queues' capacity, and as many late
//! asks as there are pins and uploads, and connections on the move.

pub mod held;
mod parked;
pub mod queue;
mod sync;
pub mod wire;

pub use parked::Parked;

use super::execute::VALUE_COPY_MAX;
use queue::{Consumer, Producer, queue};
use std::collections::VecDeque;
use wire::{Ask, record_max};

/// Up to this many shards, queues are large; beyond, there are so many of them that each has to be small.
const FEW_SHARDS: usize = 16;
/// All queues that lead to one shard together, about.
const INBOUND_BYTES: usize = 1024 * 1024;
/// Largest queue, for few shards.
const QUEUE_MAX_BYTES: usize = 256 * 1024;
/// Smallest queue.
const QUEUE_MIN_BYTES: usize = 4096;

/// Values up to this size are copied into the records of the mesh among `shards` shards; larger ones stay where they are
/// and are read, or written, in place.
pub const fn copy_max(shards: usize) -> usize {
    if shards <= FEW_SHARDS { VALUE_COPY_MAX } else { 1024 }
}

/// Bytes of one queue among `shards` shards whose replies have up to `words_max` bytes beside a value: a fair share of
/// [`INBOUND_BYTES`], but room for two of the longest records (only keys beyond memcached's make that more).
pub fn queue_bytes(shards: usize, words_max: usize) -> usize {
    let others = shards.max(2) - 1;
    let fair = INBOUND_BYTES / (2 * others);
    let size = if fair.is_power_of_two() { fair } else { fair.next_power_of_two() / 2 };
    let two_records = 2 * (record_max(words_max, copy_max(shards)) + queue::RECORD_OVERHEAD_BYTES);
    size.clamp(QUEUE_MIN_BYTES, QUEUE_MAX_BYTES).max(two_records.next_power_of_two())
}

/// The writing ends of one shard, by peer; its own place is empty.
pub struct Outbound {
    peers: Vec<Option<Outward>>,
    /// Values up to this size are copied into a record.
    pub copy_max: usize,
    record_max: usize,
}

struct Outward {
    asks: Producer,
    answers: Producer,
    /// Asks that must not be lost and found no room. While any waits, newer ones are refused, so order holds.
    late: VecDeque<Ask<'static>>,
    /// Something was shown to this peer by the flush under way.
    shown: bool,
}

/// The reading ends of one shard, by peer; its own place is empty.
pub struct Inbound {
    /// Work from each peer.
    pub asks: Vec<Option<Consumer>>,
    /// Answers from each peer.
    pub answers: Vec<Option<Consumer>>,
}

/// Connects `shards` shards with each other by queues of `queue_bytes` each ([`queue_bytes`]), for replies of up to `words_max`
/// bytes beside a value.
pub fn connect(shards: usize, words_max: usize, queue_bytes: usize) -> Vec<(Outbound, Inbound)> {
    fn empty<T>(len: usize) -> Vec<Option<T>> {
        (0..len).map(|_| None).collect()
    }
    let copy_max = copy_max(shards);
    let record_max = record_max(words_max, copy_max);
    let mut ends: Vec<_> = (0..shards)
        .map(|_| {
            (
                Outbound { peers: empty(shards), copy_max, record_max },
                Inbound { asks: empty(shards), answers: empty(shards) },
            )
        })
        .collect();
    for from in 0..shards {
        for to in (0..shards).filter(|to| *to != from) {
            let (asks, asks_in) = queue(queue_bytes);
            let (answers, answers_in) = queue(queue_bytes);
            ends[from].0.peers[to] = Some(Outward { asks, answers, late: VecDeque::new(), shown: false });
            ends[to].1.asks[from] = Some(asks_in);
            ends[to].1.answers[from] = Some(answers_in);
        }
    }
    ends
}

impl Outbound {
    /// Queues an ask for shard `to`; false when it has to wait (nothing was taken then).
    pub fn ask(&mut self, to: usize, ask: Ask<'_>) -> bool {
        let Some(Outward { asks, late, .. }) = self.peers[to].as_mut() else { return false };
        let len = ask.record_bytes();
        match asks.reserve(len) {
            Some(room) if late.is_empty() => {
                ask.encode(room);
                asks.commit(len);
                true
            }
            _ => false,
        }
    }

    /// Room for one more ask of up to `len` bytes to every peer.
    pub fn all_have_room(&mut self, len: usize) -> bool {
        self.peers.iter_mut().flatten().all(|peer| peer.late.is_empty() && peer.asks.reserve(len).is_some())
    }

    /// Queues an ask that must not be lost: a pin or an upload goes home with it, or a connection moves.
    pub fn ask_surely(&mut self, to: usize, ask: Ask<'static>) {
        let Some(peer) = self.peers[to].as_mut() else { return };
        peer.late.push_back(ask);
        peer.drain_late();
    }

    /// Room for an answer to shard `to`, to be written with the functions of [`wire`] and then committed.
    pub fn answer_room(&mut self, to: usize) -> Option<&mut [u8]> {
        self.peers[to].as_mut()?.answers.reserve(self.record_max)
    }

    /// Ends the answer begun with [`answer_room`](Self::answer_room).
    pub fn answer_commit(&mut self, to: usize, len: usize) {
        if let Some(peer) = self.peers[to].as_mut() {
            peer.answers.commit(len);
        }
    }

    /// Shows everything queued to the peers and calls `wake` for those that sleep.
    pub fn flush(&mut self, parked: &Parked, mut wake: impl FnMut(usize)) {
        let mut shown = false;
        for peer in self.peers.iter_mut().flatten() {
            peer.drain_late();
            peer.shown = peer.asks.publish() | peer.answers.publish();
            shown |= peer.shown;
        }
        if !shown {
            return;
        }
        parked.shown();
        for (to, peer) in self.peers.iter().enumerate() {
            if peer.as_ref().is_some_and(|peer| peer.shown) && parked.take(to) {
                wake(to);
            }
        }
    }

    /// Some ask waits for room.
    pub fn has_late(&self) -> bool {
        self.peers.iter().flatten().any(|peer| !peer.late.is_empty())
    }
}

impl Outward {
    fn drain_late(&mut self) {
        while let Some(ask) = self.late.front() {
            let len = ask.record_bytes();
            let Some(room) = self.asks.reserve(len) else { return };
            if let Some(ask) = self.late.pop_front() {
                ask.encode(room);
                self.asks.commit(len);
            }
        }
    }
}

impl Inbound {
    /// Nothing has come from any peer.
    pub fn is_empty(&self) -> bool {
        self.asks.iter().chain(&self.answers).flatten().all(Consumer::is_empty)
    }

    /// Gives the room of what was read back to the peers.
    pub fn publish(&mut self) {
        self.asks.iter_mut().chain(&mut self.answers).flatten().for_each(Consumer::publish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::execute::words_max;

    #[test]
    fn the_longest_record_fits_every_queue() {
        for shards in 2..=512 {
            for key_len_max in [250, 65_535] {
                let words_max = words_max(key_len_max);
                let record = record_max(words_max, copy_max(shards)) + queue::RECORD_OVERHEAD_BYTES;
                let queue = queue_bytes(shards, words_max);
                assert!(queue.is_power_of_two() && 2 * record <= queue, "{shards} shards");
            }
        }
    }

    #[test]
    fn a_late_ask_goes_before_newer_ones_and_none_is_lost() {
        let words_max = words_max(250);
        let mut ends = connect(2, words_max, queue_bytes(2, words_max));
        let (mut out, _) = ends.remove(0);
        let mut inbound = ends.remove(0).1;
        let call = |n| Ask::Call(wire::Ticket::default(), [n, 0, 0]);
        let mut sent = 0;
        while out.ask(1, call(sent)) {
            sent += 1;
        }
        out.ask_surely(1, call(sent));
        assert!(out.has_late() && !out.ask(1, call(999_999)) && !out.all_have_room(0));
        let parked = Parked::new(2);
        parked.announce(1);
        let mut woken = Vec::new();
        let mut heard = 0;
        while heard <= sent {
            out.flush(&parked, |peer| woken.push(peer));
            let Some(queue) = inbound.asks[0].as_mut() else { panic!("shard 1 hears shard 0") };
            while let Some(Ask::Call(_, [n, ..])) = wire::next_ask(queue) {
                assert_eq!(n, heard);
                heard += 1;
            }
            inbound.publish();
        }
        assert_eq!(woken, [1], "woken once");
        assert!(!out.has_late() && inbound.is_empty());
    }
}
