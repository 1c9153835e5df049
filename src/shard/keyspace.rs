//! What a keyed request works on: this shard's part of the keys, and what is counted and told about them.
//!
//! It runs to completion on one of these, whatever way the request came; that is what makes operations on a key
//! linearizable. It knows no connection and no peer.

use super::counters::Counters;
use super::prefixes::{Counted, Prefixes};
use super::settings::Settings;
use super::watch::Journal;
use crate::protocol::Exptime;
use crate::store::Store;
use std::sync::Arc;

/// See the module comment.
pub struct Keyspace {
    /// The data.
    pub store: Store,
    /// What was counted.
    pub counters: Counters,
    /// Seconds of the shard clock, of this turn.
    pub now_s: u32,
    /// What was configured, for all shards.
    pub settings: Arc<Settings>,
    /// What is counted by key prefix, while it is (`stats detail`).
    pub prefixes: Option<Prefixes>,
    /// What is logged for connections that watch.
    pub journal: Journal,
    /// Bytes of the longest reply without its value: a key of the longest kind, numbers and words.
    pub words_max: usize,
}

impl Keyspace {
    /// When an item with this expiration time dies. Zero, the usual, needs no look at the wall clock.
    pub fn expires_s(&self, exptime: Exptime) -> u32 {
        if exptime == Exptime::default() { 0 } else { self.settings.expires_s(exptime, self.now_s) }
    }

    /// Starts or ends counting by key prefix; what has been counted is forgotten only by a reset.
    pub fn count_prefixes(&mut self, on: bool) {
        let delimiter = self.settings.prefix_delimiter;
        self.prefixes.get_or_insert_with(|| Prefixes::new(delimiter)).counting = on;
    }

    /// Counts a command on a key, if that is wanted.
    #[inline]
    pub fn note_prefix(&mut self, key: &[u8], what: Counted) {
        if let Some(prefixes) = &mut self.prefixes {
            prefixes.count(key, what);
        }
    }
}
