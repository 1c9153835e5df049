//! One core: a thread with its executor, ring, listeners, connections, store, clock and counters, and the mesh to its peers.
//!
//! From the outside in: [`start`] makes the threads, [`parts`] what runs on them; [`park`] decides how deep a shard sleeps; [`turn`] is one turn of the
//! loop, [`crowd`] what it does when more waits than was planned; [`partition`] says which shard owns a key and [`steering`] has the kernel say it; [`accept`] brings connections in, [`datagrams`]
//! what comes over UDP, [`direct`] large values; [`session`] speaks the protocol of one connection; [`execute`] runs a keyed
//! [`request`] on the [`keyspace`]; [`mesh`] carries what belongs to other shards; [`calls`] are commands for all shards,
//! [`listing`] the one that lists keys, [`inquiry`] the one that no connection asks for; [`live`] are settings that change while it runs; [`nodes`] tells clients which ports there are; [`watch`] tells connections what the shards do; [`telemetry`] notes what is slow and hot; [`upkeep`] is the work that no request asked for; [`plan`] is the memory all of it
//! takes.

pub mod accept;
mod ahead;
pub mod calls;
pub mod clock;
pub mod common;
pub mod conn;
pub mod core;
pub mod counters;
pub mod crowd;
pub mod datagrams;
pub mod direct;
pub mod execute;
pub mod inquiry;
pub mod keyspace;
pub mod listing;
pub mod live;
pub mod mesh;
pub mod migrate;
pub mod nodes;
pub mod park;
pub mod partition;
pub mod parts;
pub mod peers;
pub mod plan;
pub mod prefixes;
pub mod pulse;
pub mod report;
pub mod request;
pub mod session;
pub mod settings;
pub mod snapshot;
pub mod start;
pub mod steering;
pub mod stop;
pub mod telemetry;
pub mod turn;
pub mod upkeep;
pub mod watch;

use crate::net::{Event, Kernel, Listener, Ring, StreamBuffers};
use std::sync::Arc;
use std::time::Duration;

/// One shard. Everything in it belongs to its thread. All it asks of the kernel for a request goes through `K`: its ring, or what
/// a simulation puts in its place.
pub struct Shard<K: Kernel = Ring> {
    /// First, so that it is dropped first: the kernel works on the memory of all that follows.
    ring: K,
    core: core::Core,
    buffers: StreamBuffers,
    conns: conn::Conns,
    inbound: mesh::Inbound,
    listeners: Vec<Listener>,
    accepting: accept::Accepting,
    /// If there is UDP.
    datagrams: Option<datagrams::Datagrams>,
    common: Arc<common::Common>,
    /// Addresses listened on, but for shard ports: they count as connections, as in memcached.
    common_listeners: usize,
    /// The core it is pinned to.
    cpu: usize,
    events: Vec<Event>,
    /// Connections whose session goes on next turn.
    resume: Vec<u32>,
    /// Connections whose session waits for blocks or for room to a peer.
    shared_waiters: Vec<u32>,
    /// When those were last tried.
    shared_tried: Duration,
    /// When this turn began, on the shard's clock.
    turn_began: Duration,
    /// Connections with something to send.
    dirty: Vec<u32>,
    /// Bytes that the direct receives started in this turn may take.
    direct_bytes: usize,
    /// Connections whose receive found no buffer, or came too late in a turn for a direct one.
    starved: Vec<u32>,
    crowd: crowd::Crowd,
    /// Connections that have moved to other shards lately.
    departures: migrate::Departures,
    /// The limit of memory it has heard of last, over all shards.
    limit_bytes_seen: u64,
    /// Where the idle check goes on.
    idle_check_at: u32,
    stopping: bool,
    stop: stop::Stopping,
    /// Buffers of this shard, from its plan.
    buffer_bytes: usize,
    /// When it began to serve, on the shard's clock, and how long it has slept since.
    began: Duration,
    /// See `began`.
    parked: Duration,
    /// Completions of its ring so far.
    completions: u64,
}

impl<K: Kernel> Shard<K> {
    /// What its connections work with, to look at.
    pub fn core(&self) -> &core::Core {
        &self.core
    }

    /// Its connections.
    pub fn connections(&self) -> usize {
        self.conns.count()
    }
}
