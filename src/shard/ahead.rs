//! Fetches into the cache what the requests that come next will touch, many at a time: without it each request waits for its
//! bucket and then for its item, with it the waits of a batch overlap.
//!
//! Three occasions: before the events of a turn are run, the first key of each; inside a session, the keys of a pipeline or
//! a multi-get; and the keys that a peer asks for.

use super::core::Core;
use super::mesh::queue::Consumer;
use super::mesh::wire;
use crate::net::Event;
use crate::net::StreamBuffers;
use crate::protocol::Ahead;

/// Keys fetched in one go: about as many cache misses as a core has under way at once.
const KEYS_MAX: usize = 16;

/// Bytes of input looked at in one go.
const LOOK_BYTES_MAX: usize = 4096;

/// Bytes of what a connection has sent that are looked at for its first key: enough for the head of most requests, and little of a
/// large value that lies there instead.
const FIRST_KEY_BYTES: usize = 512;

/// Hashes of keys whose buckets are on their way.
#[derive(Default)]
struct Batch {
    hashes: [u64; KEYS_MAX],
    len: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.len == KEYS_MAX
    }

    /// Fetches the bucket of a key, unless it is a peer's.
    fn add(&mut self, core: &Core, bytes: &[u8]) {
        let key = core.key(bytes);
        if core.owner(key) == core.id {
            self.add_own(core, key.hash);
        }
    }

    /// Fetches the bucket of a key of this shard.
    fn add_own(&mut self, core: &Core, hash: u64) {
        core.keyspace.store.prefetch(hash);
        self.hashes[self.len] = hash;
        self.len += 1;
    }

    /// Fetches the items, now that the buckets are there or nearly.
    fn fetch_items(&self, core: &Core) {
        self.hashes[..self.len].iter().for_each(|&hash| core.keyspace.store.prefetch_item(hash));
    }
}

/// Looks at the requests in `input`; returns how many of its bytes need no look any more. `in_keys`: it starts inside the keys
/// of a retrieval.
pub fn fetch_requests(core: &Core, input: &[u8], in_keys: bool) -> usize {
    let input = &input[..input.len().min(LOOK_BYTES_MAX)];
    let alone = !in_keys && memchr::memchr(b'\n', input).is_none_or(|end| end + 1 == input.len());
    if alone {
        return input.len(); // nothing to overlap with
    }
    let mut ahead = Ahead::new(input, in_keys);
    let mut batch = Batch::default();
    // Keys of peers count too: a session may come here again with the same input.
    ahead.by_ref().take(KEYS_MAX).for_each(|key| batch.add(core, key));
    batch.fetch_items(core);
    // What a bound has cut short is looked at again; at least something was.
    (input.len() - ahead.rest_len()).max(1)
}

/// Looks at the first request of each of the next `events`; returns how many events need no look any more.
pub fn fetch_events(core: &Core, buffers: &StreamBuffers, events: &[Event]) -> usize {
    let mut batch = Batch::default();
    let mut seen = 0;
    for event in events {
        if batch.is_full() {
            break;
        }
        seen += 1;
        let Event::Received { piece, .. } = event else { continue };
        let bytes = buffers.bytes(*piece);
        if let Some(key) = Ahead::new(&bytes[..bytes.len().min(FIRST_KEY_BYTES)], false).next() {
            batch.add(core, key);
        }
    }
    batch.fetch_items(core);
    seen
}

/// Looks at the next asks of a peer; returns how many need no look any more.
pub fn fetch_asks(core: &Core, asks: &mut Consumer) -> usize {
    let mut batch = Batch::default();
    let looked = wire::peek_hashes(asks, KEYS_MAX, |hash| batch.add_own(core, hash));
    if batch.len > 1 {
        batch.fetch_items(core); // one alone has nothing to overlap with
    }
    looked.max(1)
}
