//! A server without a machine: its shards, their kernels, the connections and the clock, moved one step at a time by one
//! sequence of random numbers. Bytes go in and come out; what is done with them is the server's own code from the turn of a
//! shard downwards.
//!
//! The same seed and the same calls give the same bytes, on any machine. Only one thing happens at a time, so a world finds what
//! goes wrong by the order of events, not what needs two cores: that is for loom and ThreadSanitizer.

use crate::faults::{Faults, happens};
use crate::kernel::SimulatedKernel;
use crate::network::{Network, take};
use fastrand::Rng;
use ringcached::net::Event;
use ringcached::protocol::Limits;
use ringcached::shard::Shard;
use ringcached::shard::clock::{Clock, SimulatedTime};
use ringcached::shard::common::Common;
use ringcached::shard::live::Live;
use ringcached::shard::mesh;
use ringcached::shard::parts::{Parts, ShardSockets};
use ringcached::shard::plan::Plan;
use ringcached::shard::settings::Settings;
use ringcached::shard::turn::Turn;
use ringcached::shard::watch::hub::Hub;
use ringcached::store::{Hasher, HugePages, StoreConfig};
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Idle turns before a shard tries to sleep.
const IDLE_TURNS: u32 = 3;

/// The longest wait in the ring that a turn is given.
const WAIT: Duration = Duration::from_millis(8);

/// Steps that a stalled shard misses, at most.
const STALL_STEPS_MAX: u64 = 2_000;

/// The wall clock at the start: 2026-01-01.
const UNIX_START_S: i64 = 1_767_225_600;

/// Rounds of turns after which a server that still does something without new input is not expected to stop.
const QUIET_ROUNDS_MAX: u32 = 20_000;

/// How a server is set up. Everything that is small makes something run full.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its shards.
    pub shards: usize,
    /// Bytes of the store of each.
    pub store_bytes: usize,
    /// `-I`
    pub item_size_max: usize,
    /// Without it (`-M`) a full store refuses.
    pub evicts: bool,
    /// Send blocks of a shard.
    pub blocks: usize,
    /// Bytes that may wait in its sessions before it is a crowd.
    pub waiting_bytes: usize,
    /// Bytes of a queue of the mesh; raised to the least that works.
    pub queue_bytes: usize,
    /// Bytes that a direction of a connection holds.
    pub socket_bytes: usize,
    /// `-R`
    pub requests_per_turn: u32,
    /// `--max-key-size`
    pub key_len_max: usize,
    /// What goes wrong.
    pub faults: Faults,
}

impl Setup {
    /// As in a server with options left alone, on a network without faults.
    pub fn usual(shards: usize) -> Setup {
        let plan = Plan::new(shards, shards * (16 << 20), 250, false, 0);
        Setup {
            shards,
            store_bytes: plan.store_bytes,
            item_size_max: 1 << 20,
            evicts: true,
            blocks: plan.blocks,
            waiting_bytes: plan.waiting_bytes,
            queue_bytes: mesh::queue_bytes(shards, plan.words_max),
            socket_bytes: 256 << 10,
            requests_per_turn: 20,
            key_len_max: 250,
            faults: Faults::default(),
        }
    }
}

struct Node {
    shard: Shard<SimulatedKernel>,
    kernel: SimulatedKernel,
    asleep: bool,
    idle_turns: u32,
    stalled_until: u64,
}

/// See the module comment.
pub struct World {
    random: Rng,
    nodes: Vec<Node>,
    network: Rc<RefCell<Network>>,
    time: Arc<SimulatedTime>,
    /// The wall clock less the time since the start, in seconds, and since which step.
    wall: Vec<(u64, i64)>,
    faults: Faults,
    plan: Plan,
    steps: u64,
}

/// What a client finds at its end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More may come.
    Open,
    /// The server has closed it and all its bytes have been read.
    Closed,
    /// It is broken.
    Reset,
}

impl World {
    /// A server at rest, on a network that is a world of its own.
    pub fn new(seed: u64, setup: &Setup) -> World {
        let mut random = Rng::with_seed(seed);
        let network = Rc::new(RefCell::new(Network::new(setup.socket_bytes)));
        let time = Arc::new(SimulatedTime::default());
        time.set_unix_s(UNIX_START_S);
        let hasher = Hasher::with_seeds(std::array::from_fn(|_| random.u64(..)));
        let settings = Arc::new(settings(setup, hasher.clone(), Clock::Simulated(time.clone())));
        let shards = setup.shards;
        let common = Arc::new(Common::new(&(0..shards).collect::<Vec<_>>()));
        let hub = Arc::new(Hub::new(shards, settings.watcher_log_bytes));
        let limit_bytes = shards * setup.store_bytes;
        let plan = Plan {
            blocks: setup.blocks,
            waiting_bytes: setup.waiting_bytes,
            ..Plan::new(shards, limit_bytes, setup.key_len_max, false, 0)
        };
        let ends = mesh::connect(shards, plan.words_max, queue_bytes(setup, &plan));
        let nodes = ends.into_iter().enumerate().map(|(id, mesh)| {
            let kernel = SimulatedKernel::new(id, random.fork(), setup.faults, network.clone(), time.clone());
            let parts = Parts {
                id,
                cpu: id,
                plan,
                settings: settings.clone(),
                common: common.clone(),
                hub: hub.clone(),
                sockets: ShardSockets::default(),
                common_listeners: 0,
                store: store(setup, &hasher),
                mesh,
            };
            let shard = Shard::new(kernel.clone(), parts).expect("memory for a small shard");
            Node { shard, kernel, asleep: false, idle_turns: 0, stalled_until: 0 }
        });
        let nodes = nodes.collect();
        let wall = vec![(0, UNIX_START_S)];
        World { random, nodes, network, time, wall, faults: setup.faults, plan, steps: 0 }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.time.now()
    }

    /// What the wall clock was ahead of the time since the start, in seconds, at any step from `from` to `to`.
    pub fn wall_offsets(&self, from: u64, to: u64) -> impl Iterator<Item = i64> + '_ {
        let first = self.wall.partition_point(|(step, _)| *step <= from).saturating_sub(1);
        self.wall[first..].iter().take_while(move |(step, _)| *step <= to).map(|(_, offset_s)| *offset_s)
    }

    /// A new connection, at some shard.
    pub fn connect(&mut self) -> RawFd {
        let fd = self.network.borrow_mut().connect();
        let node = self.random.usize(0..self.nodes.len());
        // Of no listener: as one that the kernel has spread.
        self.nodes[node].kernel.complete(Event::Accepted { listener: 0, fd, armed: true });
        fd
    }

    /// Sends what there is room for; how much that was.
    pub fn send(&mut self, fd: RawFd, bytes: &[u8]) -> usize {
        let mut network = self.network.borrow_mut();
        let len = bytes.len().min(network.room_to_server(fd));
        let socket = network.socket(fd);
        if socket.reset || socket.closed || socket.ended {
            return bytes.len(); // into the void
        }
        socket.to_server.extend(&bytes[..len]);
        len
    }

    /// Appends up to `most` bytes that the server has sent.
    pub fn receive(&mut self, fd: RawFd, most: usize, out: &mut Vec<u8>) -> End {
        let mut network = self.network.borrow_mut();
        let socket = network.socket(fd);
        let start = out.len();
        out.resize(start + most.min(socket.to_client.len()), 0);
        take(&mut socket.to_client, &mut out[start..]);
        match socket {
            socket if socket.reset => End::Reset,
            socket if socket.closed && socket.to_client.is_empty() => End::Closed,
            _ => End::Open,
        }
    }

    /// The client sends no more.
    pub fn end(&mut self, fd: RawFd) {
        self.network.borrow_mut().socket(fd).ended = true;
    }

    /// Breaks a connection.
    pub fn reset(&mut self, fd: RawFd) {
        let mut network = self.network.borrow_mut();
        let socket = network.socket(fd);
        socket.reset = true;
        socket.to_server.clear();
    }

    /// Something happens on the server's side, or time passes.
    ///
    /// # Panics
    /// When the server breaks a rule of its kernel, or fails by itself.
    pub fn step(&mut self) {
        self.steps += 1;
        let time = Duration::from_nanos(self.random.u64(0..100_000));
        self.pass(time);
        let at = self.random.usize(0..self.nodes.len());
        match self.random.u32(0..100) {
            0..2 => _ = self.nodes[at].shard.upkeep_step(),
            2 => self.disturb(at),
            _ => self.turn(at),
        }
    }

    fn disturb(&mut self, at: usize) {
        if happens(&mut self.random, self.faults.shard_stalls) {
            self.nodes[at].stalled_until = self.steps + self.random.u64(1..=STALL_STEPS_MAX);
        }
        if happens(&mut self.random, self.faults.clock_jumps) {
            let jump = Duration::from_millis(self.random.u64(100..8_000));
            self.pass(jump);
        }
        if happens(&mut self.random, self.faults.wall_jumps) {
            self.wall.push((self.steps, UNIX_START_S + self.random.i64(-100_000..100_000)));
            self.pass(Duration::ZERO);
        }
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        self.time.advance(time);
        let offset_s = self.wall.last().map_or(0, |(_, offset_s)| *offset_s);
        self.time.set_unix_s(self.time.now().as_secs() as i64 + offset_s);
    }

    fn turn(&mut self, at: usize) {
        let wait = self.random.bool().then_some(WAIT);
        let node = &mut self.nodes[at];
        if self.steps < node.stalled_until {
            return;
        }
        if node.asleep {
            if !node.kernel.is_rung() {
                return;
            }
            node.asleep = false;
            node.shard.get_up();
        }
        match node.shard.turn(wait).expect("a simulated ring does not fail") {
            Turn::Idle => node.idle_turns += 1,
            Turn::Busy | Turn::Stopped => node.idle_turns = 0,
        }
        if node.idle_turns > IDLE_TURNS {
            node.idle_turns = 0;
            node.asleep = node.shard.lie_down();
        }
        for ring_fd in node.kernel.take_wakes() {
            self.nodes[ring_fd as usize].kernel.complete(Event::Woken);
        }
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
        for node in &mut self.nodes {
            node.kernel.set_faults(self.faults);
            node.stalled_until = 0;
        }
    }

    /// Gives every shard turns until all of them sleep; false if they do not. Without faults from now on.
    pub fn settle(&mut self) -> bool {
        self.heal();
        for _ in 0..QUIET_ROUNDS_MAX {
            self.steps += 1;
            self.pass(Duration::from_micros(50));
            for at in 0..self.nodes.len() {
                self.turn(at);
            }
            if self.nodes.iter().all(|node| node.asleep && !node.kernel.is_rung()) {
                return true;
            }
        }
        false
    }

    /// What is left over that should not be when nobody is connected any more, in words.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let core = node.shard.core();
            let mut note = |what: &str, count: usize| {
                if count > 0 {
                    found.push(format!("shard {id}: {count} {what}"));
                }
            };
            note("connections", node.shard.connections());
            note("send blocks in use", core.pool.in_use());
            note("bytes counted as waiting", core.waiting_bytes);
            note("pins and uploads of the store", core.keyspace.store.tokens_out());
            note("asks that wait", usize::from(core.out.has_late()));
        }
        found
    }

    /// What takes more memory at this moment than was planned and printed, in words: bytes that wait in the sessions of a shard
    /// beyond its buffers for that and what each of its connections may take.
    pub fn beyond_plan(&self) -> Option<String> {
        self.nodes.iter().enumerate().find_map(|(id, node)| {
            let waiting = node.shard.core().waiting_bytes;
            let connections = node.shard.connections();
            let planned = self.plan.waiting_bytes
                + self.plan.arriving_bytes
                + connections * self.plan.connection_bytes();
            let say = || {
                format!(
                    "shard {id}: {waiting} bytes wait, {planned} are planned for {connections} connections"
                )
            };
            (waiting > planned).then(say)
        })
    }

    /// Items that have been evicted.
    pub fn evictions(&self) -> u64 {
        self.nodes.iter().map(|node| node.shard.core().keyspace.store.counters().evictions).sum()
    }
}

/// The least a queue works with is twice the longest record.
fn queue_bytes(setup: &Setup, plan: &Plan) -> usize {
    let record_bytes = mesh::wire::record_max(plan.words_max, mesh::copy_max(setup.shards));
    let least = 2 * (record_bytes + mesh::queue::RECORD_OVERHEAD_BYTES);
    setup.queue_bytes.max(least).next_power_of_two()
}

fn store(setup: &Setup, hasher: &Hasher) -> StoreConfig {
    StoreConfig {
        limit_bytes: setup.store_bytes,
        limit_max_bytes: setup.store_bytes,
        item_size_max: setup.item_size_max,
        key_len_max: setup.key_len_max,
        growth_factor: 1.07,
        min_item_bytes: 8,
        evict: setup.evicts,
        cas: true,
        huge_pages: HugePages::Off,
        hasher: hasher.clone(),
    }
}

fn settings(setup: &Setup, hasher: Hasher, clock: Clock) -> Settings {
    let limit_bytes = (setup.shards * setup.store_bytes) as u64;
    let live = Live::new(u32::MAX / 2, setup.requests_per_turn, 0, limit_bytes);
    let limits = Limits { key_len_max: setup.key_len_max, ..Limits::DEFAULT };
    Settings { limits, ..Settings::of_bare_shards(hasher, clock, live) }
}
