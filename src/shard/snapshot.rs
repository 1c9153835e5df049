//! What one shard reports about itself, for `stats`: numbers copied at one moment, added up and printed elsewhere.

use super::counters::Counters;
use super::prefixes::PrefixCounts;
use crate::store::{ClassStats, Footprint, StoreCounters};

/// What a report is about: the word behind `stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Topic {
    /// `stats`
    General = 0,
    /// `stats settings`
    Settings,
    /// `stats items`
    Items,
    /// `stats slabs`
    Slabs,
    /// `stats sizes`
    Sizes,
    /// `stats conns`
    Conns,
    /// `stats shards`
    Shards,
    /// `stats detail dump`
    Detail,
}

const TOPICS: [(Topic, &[u8]); 8] = [
    (Topic::General, b""),
    (Topic::Settings, b"settings"),
    (Topic::Items, b"items"),
    (Topic::Slabs, b"slabs"),
    (Topic::Sizes, b"sizes"),
    (Topic::Conns, b"conns"),
    (Topic::Shards, b"shards"),
    (Topic::Detail, b"detail dump"),
];

impl Topic {
    /// By its word.
    pub fn named(word: &[u8]) -> Option<Topic> {
        TOPICS.iter().find(|(_, name)| *name == word).map(|(topic, _)| *topic)
    }

    /// By its number, for the mesh.
    pub fn numbered(n: u32) -> Option<Topic> {
        TOPICS.get(n as usize).map(|(topic, _)| *topic)
    }
}

/// A connection or listener, for `stats conns`.
#[derive(Clone, Debug)]
pub struct ConnReport {
    /// Its descriptor.
    pub fd: i32,
    /// The peer, or the listener's own address.
    pub address: String,
    /// It is a UDP socket.
    pub is_udp: bool,
    /// Our end; none for a listener.
    pub listen_address: Option<String>,
    /// memcached's word for what it is doing.
    pub state: &'static str,
    /// Seconds since its last command.
    pub idle_s: u32,
}

/// The report of one shard.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number.
    pub shard: usize,
    /// Its core.
    pub cpu: usize,
    /// Its connections, listeners not counted.
    pub connections: usize,
    /// Its listeners, UDP sockets included.
    pub listeners: usize,
    /// It accepts connections.
    pub accepting: bool,
    /// Its connections that watch.
    pub watchers: usize,
    /// Datagrams that its UDP sockets had no room for, since the start.
    pub udp_overruns: u64,
    /// What the loop counted.
    pub counters: Counters,
    /// What the store counted.
    pub store: StoreCounters,
    /// Memory by use.
    pub footprint: Footprint,
    /// Its size classes, for `stats items` and `stats slabs`.
    pub classes: Vec<(u8, ClassStats)>,
    /// It counts by key prefix.
    pub counts_prefixes: bool,
    /// What was counted by key prefix, for `stats detail dump`.
    pub prefixes: Vec<(Box<[u8]>, PrefixCounts)>,
    /// Its connections, for `stats conns`.
    pub conns: Vec<ConnReport>,
    /// Bytes of receive buffers, send blocks and queues of the mesh it may use.
    pub buffer_bytes: usize,
}
