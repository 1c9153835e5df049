//! What the connections of a shard work with: its store, its way to the peers, its send blocks, its clock and counters.
//!
//! No socket and no ring: a connection fed with bytes and a `Core` is all it takes to run the protocol, which is what makes
//! it testable without a kernel. The loop (`turn`) owns the rest.

use super::calls::Calls;
use super::counters::Counters;
use super::execute::{REPLY_MAX, Reply, execute};
use super::mesh::Outbound;
use super::mesh::held::Held;
use super::mesh::wire::{Ask, Ticket};
use super::request::KeyRequest;
use super::settings::Settings;
use crate::net::BlockPool;
use crate::protocol::Exptime;
use crate::store::{Key, Pinned, Store, Upload};
use std::sync::Arc;

/// See the module comment.
pub struct Core {
    /// This shard's number.
    pub id: usize,
    /// Number of shards.
    pub shards: usize,
    /// This shard's data.
    pub store: Store,
    /// To the peers.
    pub out: Outbound,
    /// Send blocks.
    pub pool: BlockPool,
    /// What was counted.
    pub counters: Counters,
    /// Seconds of the shard clock, of this turn.
    pub now_s: u32,
    /// What was configured, for all shards.
    pub settings: Arc<Settings>,
    /// Commands that all shards take part in, not yet answered.
    pub calls: Calls,
    /// Values that have been sent and go back to their stores at the end of the step.
    pub released: Vec<Held>,
    /// Where a reply is written that must wait for others.
    pub scratch: Box<[u8; REPLY_MAX]>,
}

impl Core {
    /// A key with its hash.
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.settings.hasher.hash(bytes) }
    }

    /// The shard that owns a hash: its high bits, spread evenly over any number of shards (the table uses the low ones).
    pub fn owner(&self, hash: u64) -> usize {
        (((hash >> 32) * self.shards as u64) >> 32) as usize
    }

    /// Runs a request for a key of this shard; the reply is in `scratch`.
    pub fn execute_held(&mut self, request: &KeyRequest<'_>) -> Reply {
        execute(&mut self.store, &mut self.counters, request, self.now_s, &mut self.scratch[..])
    }

    /// A value of this shard's store, to be sent.
    pub fn held(&self, value: Pinned) -> Held {
        Held { owner: self.id, value }
    }

    /// Takes back every value in `released`.
    pub fn release_sent(&mut self) {
        while let Some(Held { owner, value }) = self.released.pop() {
            self.release(owner, value);
        }
    }

    /// Takes a pin back to the store it came from.
    pub fn release(&mut self, owner: usize, value: Pinned) {
        if owner == self.id {
            self.store.release(value);
        } else {
            self.out.ask_surely(owner, Ask::Release(value));
        }
    }

    /// Gives the room of an upload back to the store it came from.
    pub fn abandon(&mut self, owner: usize, upload: Upload) {
        if owner == self.id {
            self.store.abandon(upload);
        } else {
            self.out.ask_surely(owner, Ask::Abandon(upload));
        }
    }

    /// When an item with this expiration time dies. Zero, the usual, needs no look at the wall clock.
    pub fn expires_s(&self, exptime: Exptime) -> u32 {
        if exptime == Exptime::default() { 0 } else { self.settings.expires_s(exptime, self.now_s) }
    }

    /// When a flush_all takes effect: now, or at a second of the shard clock.
    pub fn flush_at_s(&self, exptime: Exptime) -> Option<u32> {
        Some(self.expires_s(exptime)).filter(|at_s| *at_s > self.now_s)
    }

    /// Stores a received value at its owner, another shard. Cannot fail here: the memory must go home.
    pub fn commit_at(&mut self, owner: usize, ticket: Ticket, request: &KeyRequest<'_>, upload: Upload) {
        let request = KeyRequest { key: Key { bytes: &[], hash: request.key.hash }, value: &[], ..*request };
        self.out.ask_surely(owner, Ask::Commit(ticket, request, upload));
    }

    /// Sends a request to the owner of its key; false when it has to wait.
    pub fn forward(&mut self, owner: usize, ticket: Ticket, request: &KeyRequest<'_>) -> bool {
        let sent = self.out.ask(owner, Ask::Key(ticket, *request));
        self.counters.cmd_forwarded += u64::from(sent);
        sent
    }
}
