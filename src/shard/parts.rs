//! What a shard is made from, and the making.

use super::accept::Accepting;
use super::calls::Calls;
use super::common::Common;
use super::core::Core;
use super::datagrams::Datagrams;
use super::execute::VALUE_COPY_MAX;
use super::keyspace::Keyspace;
use super::plan::Plan;
use super::settings::Settings;
use super::telemetry::Telemetry;
use super::watch::Journal;
use super::watch::hub::Hub;
use super::{Shard, mesh, turn};
use crate::net::{BlockPool, DatagramBuffers, DatagramSocket, Kernel, Listener, StreamBuffers, probe};
use crate::store::{Store, StoreConfig};
use std::sync::Arc;
use std::time::Duration;

/// The sockets of one shard.
#[derive(Debug, Default)]
pub struct ShardSockets {
    /// TCP and UNIX.
    pub listeners: Vec<Listener>,
    /// UDP.
    pub datagrams: Vec<DatagramSocket>,
}

/// What one shard is made from.
pub struct Parts {
    /// Its number.
    pub id: usize,
    /// The core it is pinned to.
    pub cpu: usize,
    /// The memory it may take.
    pub plan: Plan,
    /// What all shards read.
    pub settings: Arc<Settings>,
    /// What shards know of each other.
    pub common: Arc<Common>,
    /// Where log lines go for those who watch.
    pub hub: Arc<Hub>,
    /// Where its clients come from.
    pub sockets: ShardSockets,
    /// Addresses listened on, but for shard ports.
    pub common_listeners: usize,
    /// How its store is set up.
    pub store: StoreConfig,
    /// Its ends of the mesh.
    pub mesh: (mesh::Outbound, mesh::Inbound),
}

impl<K: Kernel> Shard<K> {
    /// Takes its memory and listens; call it on its thread.
    ///
    /// # Errors
    /// What could not be had, in words.
    pub fn new(mut kernel: K, parts: Parts) -> Result<Shard<K>, String> {
        let Parts { id, cpu, plan, settings, common, hub, sockets, common_listeners, store, mesh } = parts;
        let explain = |e| probe::explain(probe::BUFFERS, e).to_string();
        let buffers = StreamBuffers::new(&mut kernel, plan.receive_bytes).map_err(explain)?;
        let datagrams = (!sockets.datagrams.is_empty())
            .then(|| DatagramBuffers::new(&mut kernel))
            .transpose()
            .map_err(explain)?;
        let pool = BlockPool::new(plan.blocks).map_err(|e| probe::explain("send blocks", e).to_string())?;
        let store = Store::new(&store).map_err(|e| e.to_string())?;
        common.set_ring_fd(id, kernel.fd());
        let (out, inbound) = mesh;
        let began = settings.clock.now();
        let limit_bytes_seen = settings.live.limit_bytes();
        let mut core = Core {
            id,
            shards: plan.shards,
            keyspace: Keyspace {
                store,
                counters: Default::default(),
                now_s: settings.now_s(),
                settings: settings.clone(),
                prefixes: None,
                journal: Journal::new(id, settings.worker_log_bytes, hub),
                words_max: plan.words_max,
            },
            out,
            pool,
            telemetry: Telemetry::new(settings.clock.clone(), settings.slow_log),
            settings,
            calls: Calls::default(),
            said: Vec::new(),
            waiting_bytes: 0,
            waiting_bytes_max: plan.waiting_bytes,
            request_len_max: plan.request_len_max,
            answer_len_max: plan.answer_len_max(),
            released: Vec::new(),
            scratch: vec![0; VALUE_COPY_MAX + plan.words_max].into(),
            key_buffer: vec![0; plan.words_max].into(),
        };
        if core.settings.count_prefixes {
            core.keyspace.count_prefixes(true);
        }
        let mut shard = Shard {
            core,
            ring: kernel,
            buffers,
            conns: Default::default(),
            inbound,
            listeners: sockets.listeners,
            accepting: Accepting::default(),
            datagrams: datagrams.map(|buffers| Datagrams::new(sockets.datagrams, buffers)),
            common,
            common_listeners,
            cpu,
            events: turn::event_list(),
            resume: Vec::new(),
            shared_waiters: Vec::new(),
            shared_tried: Default::default(),
            turn_began: Default::default(),
            dirty: Vec::new(),
            direct_bytes: 0,
            starved: Vec::new(),
            crowd: Default::default(),
            departures: Default::default(),
            limit_bytes_seen,
            idle_check_at: 0,
            stopping: false,
            stop: Default::default(),
            buffer_bytes: plan.buffer_bytes(),
            began,
            parked: Duration::ZERO,
            completions: 0,
        };
        shard.listen();
        Ok(shard)
    }
}
