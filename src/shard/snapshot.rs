//! What one shard reports about itself, for `stats`: numbers copied at one moment, added up and printed elsewhere.

use super::counters::Counters;
use super::prefixes::PrefixCounts;
use super::telemetry::hot_keys::HotKey;
use super::telemetry::latency::{Buckets, LatencyReport};
use super::telemetry::slow_log::SlowRequest;
use crate::protocol::number::parse_u32;
use crate::store::{ClassStats, Footprint, LargeItem, StoreCounters};
use std::time::Duration;

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
    /// `stats latency`
    Latency,
    /// `stats slowlog`
    SlowLog,
    /// `stats hotkeys`
    HotKeys,
    /// `stats bigkeys`
    BigKeys,
    /// `/metrics`: every number of the others, and no keys.
    Metrics,
}

const TOPICS: [(Topic, &[u8]); 13] = [
    (Topic::General, b""),
    (Topic::Settings, b"settings"),
    (Topic::Items, b"items"),
    (Topic::Slabs, b"slabs"),
    (Topic::Sizes, b"sizes"),
    (Topic::Conns, b"conns"),
    (Topic::Shards, b"shards"),
    (Topic::Detail, b"detail dump"),
    (Topic::Latency, b"latency"),
    (Topic::SlowLog, b"slowlog"),
    (Topic::HotKeys, b"hotkeys"),
    (Topic::BigKeys, b"bigkeys"),
    // No word asks for it: the empty one has been found above.
    (Topic::Metrics, b""),
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

    /// It is a list of requests or items with their keys, as long as is asked for.
    pub fn lists_keys(self) -> bool {
        matches!(self, Topic::SlowLog | Topic::HotKeys | Topic::BigKeys)
    }
}

/// Rows of a list when nobody says how many.
const ROWS_DEFAULT: u32 = 10;

/// The most rows of a list: a report is memory of the heap, and a shard's part of it is made in one turn.
pub const ROWS_MAX: u32 = 100;

/// What is asked for: a report, and of a list how many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// What it is about.
    pub topic: Topic,
    /// The most rows, at most [`ROWS_MAX`].
    pub rows: u32,
}

impl From<Topic> for Query {
    fn from(topic: Topic) -> Query {
        Query { topic, rows: ROWS_DEFAULT }
    }
}

impl Query {
    /// For a list of as many rows as `word` says, the usual number if it is empty; nothing if it is no number. For any other
    /// report the word does not matter.
    pub fn with_rows(topic: Topic, word: &[u8]) -> Option<Query> {
        if word.is_empty() || !topic.lists_keys() {
            return Some(topic.into());
        }
        parse_u32(word).map(|rows| Query { topic, rows: rows.min(ROWS_MAX) })
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
    /// Service times, for `stats latency`.
    pub latency: LatencyReport,
    /// The same in few buckets, for `/metrics`.
    pub service_times: Vec<Buckets>,
    /// Its latest slow requests, for `stats slowlog`.
    pub slow_requests: Vec<SlowRequest>,
    /// How many slow requests there were.
    pub slow_requests_seen: u64,
    /// Its keys that are asked for most, for `stats hotkeys`.
    pub hot_keys: Vec<HotKey>,
    /// Its largest items, for `stats bigkeys`.
    pub large_items: Vec<LargeItem>,
    /// None can be larger than those.
    pub large_items_are_all: bool,
    /// Bytes of receive buffers, send blocks and queues of the mesh it may use.
    pub buffer_bytes: usize,
    /// What its loop does.
    pub work: Work,
}

/// What the loop of a shard does with its time and its buffers. Nothing of it goes back to zero with `stats reset`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Since the shard began to serve.
    pub lived: Duration,
    /// Of this it has slept, for want of anything to do.
    pub parked: Duration,
    /// CPU time of its thread, in the program and in the kernel.
    pub cpu_user: Duration,
    /// See `cpu_user`.
    pub cpu_system: Duration,
    /// Turns.
    pub turns: u64,
    /// What the kernel has completed of what was submitted to the data ring.
    pub completions: u64,
    /// Submissions that wait for room in the ring.
    pub ring_backlog: usize,
    /// Bytes of the receive buffers it lends to the kernel.
    pub receive_bytes: usize,
    /// Send blocks in use, and all there are.
    pub blocks_used: usize,
    /// See `blocks_used`.
    pub blocks: usize,
    /// Bytes that wait in its sessions, and those from which on it is a crowd.
    pub waiting_bytes: usize,
    /// See `waiting_bytes`.
    pub waiting_bytes_max: usize,
}
