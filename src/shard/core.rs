//! What the connections of a shard work with: its store, its way to the peers, its send blocks, its clock and counters.
//!
//! No socket and no ring: a connection fed with bytes and a `Core` is all it takes to run the protocol, which is what makes
//! it testable without a kernel. The loop (`turn`) owns the rest.

use super::calls::Calls;
use super::keyspace::Keyspace;
use super::mesh::Outbound;
use super::mesh::held::Held;
use super::mesh::wire::{Ask, Ticket, Uploading};
use super::partition;
use super::request::{KeyRequest, OwnedRequest};
use super::settings::Settings;
use super::telemetry::Telemetry;
use crate::net::BlockPool;
use crate::protocol::Exptime;
use crate::store::{Key, Pinned, Upload};
use std::sync::Arc;

/// See the module comment.
pub struct Core {
    /// This shard's number.
    pub id: usize,
    /// Number of shards.
    pub shards: usize,
    /// This shard's part of the keys.
    pub keyspace: Keyspace,
    /// To the peers.
    pub out: Outbound,
    /// Send blocks.
    pub pool: BlockPool,
    /// What is slow and hot.
    pub telemetry: Telemetry,
    /// What was configured, for all shards.
    pub settings: Arc<Settings>,
    /// Commands of other shards' parts too, not yet answered.
    pub calls: Calls,
    /// Bytes that wait in all sessions together: requests, replies, texts.
    pub waiting_bytes: usize,
    /// At so many the shard is crowded: each session is held to the least it can go on with. Plenty for ordinary pipelines; it
    /// bounds what clients that do not read can take.
    pub waiting_bytes_max: usize,
    /// Bytes of a request that is not complete beyond which it is given up in a crowd: those of the longest that stores a copied
    /// value.
    pub request_len_max: usize,
    /// Bytes of the longest answer to a request for a key whose value is copied: in a crowd no report may be longer.
    pub answer_len_max: usize,
    /// Commands without effect that the log has been told of, a handful at most.
    pub said: Vec<&'static str>,
    /// Values that have been sent and go back to their stores at the end of the step.
    pub released: Vec<Held>,
    /// Where a reply is written that must wait for others, or is longer than a block.
    pub scratch: Box<[u8]>,
    /// Where a base64 key is decoded to.
    pub key_buffer: Box<[u8]>,
}

impl Core {
    /// A key with its hash.
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.settings.hasher.hash(bytes) }
    }

    /// The shard that owns a key.
    pub fn owner(&self, key: Key<'_>) -> usize {
        partition::owner(self.settings.partition, key, self.shards).unwrap_or(self.id)
    }

    /// A value of this shard's store, if there is one, to be sent.
    pub fn held(&self, value: Option<Pinned>, line_end: bool) -> Option<Held> {
        value.map(|value| Held { owner: self.id, value, line_end })
    }

    /// More waits than there should be.
    pub fn is_crowded(&self) -> bool {
        self.waiting_bytes > self.waiting_bytes_max
    }

    /// A crowd is over when half of what makes one has gone, so that it does not come and go with every request.
    pub fn is_calm(&self) -> bool {
        self.waiting_bytes <= self.waiting_bytes_max / 2
    }

    /// Takes back every value in `released`.
    pub fn release_sent(&mut self) {
        while let Some(Held { owner, value, .. }) = self.released.pop() {
            self.release(owner, value);
        }
    }

    /// Takes a pin back to the store it came from.
    pub fn release(&mut self, owner: usize, value: Pinned) {
        if owner == self.id {
            self.keyspace.store.release(value);
        } else {
            self.out.ask_surely(owner, Ask::Release(value));
        }
    }

    /// Gives the room of an upload back to the store it came from.
    pub fn abandon(&mut self, owner: usize, upload: Upload) {
        if owner == self.id {
            self.keyspace.store.abandon(upload);
        } else {
            self.out.ask_surely(owner, Ask::Abandon(upload));
        }
    }

    /// When a flush_all takes effect: now, or at a second of the shard clock.
    pub fn flush_at_s(&self, exptime: Exptime) -> Option<u32> {
        Some(self.keyspace.expires_s(exptime)).filter(|at_s| *at_s > self.keyspace.now_s)
    }

    /// Stores a received value at its owner, another shard. Cannot fail here: the memory must go home.
    pub fn commit_at(&mut self, owner: usize, ticket: Ticket, request: OwnedRequest, upload: Upload) {
        self.out.ask_surely(owner, Ask::Commit(ticket, Uploading::Sent(request), upload));
    }

    /// Sends a request to the owner of its key; false when it has to wait.
    pub fn forward(&mut self, owner: usize, ticket: Ticket, request: &KeyRequest<'_>) -> bool {
        self.out.ask(owner, Ask::Key(ticket, *request, self.keyspace.journal.asker_fd))
    }
}
