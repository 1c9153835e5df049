//! A server of some shards: threads, each with a loop that turns, and sleeps as the server's own does when nothing happens.

use crate::faulty::{FaultyRing, Injection};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ringcached::net::datagrams::listen_udp;
use ringcached::net::listener::listen_tcp;
use ringcached::net::{Doorbell, Ring, RingConfig};
use ringcached::options::Protocol;
use ringcached::shard::clock::Clock;
use ringcached::shard::common::Common;
use ringcached::shard::live::Live;
use ringcached::shard::parts::{Parts, ShardSockets};
use ringcached::shard::plan::{Plan, RING};
use ringcached::shard::settings::Settings;
use ringcached::shard::turn::Turn;
use ringcached::shard::watch::hub::Hub;
use ringcached::shard::{Shard, mesh};
use ringcached::store::{Hasher, HugePages, StoreConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Memory for items, `-m`.
const LIMIT_BYTES: usize = 64 << 20;

/// The longest wait in the ring, and how many empty ones there are before a shard sleeps deep.
const SHALLOW: Duration = Duration::from_millis(8);
const SHALLOW_WAITS: u32 = 3;

/// How long a stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A server that serves.
pub struct Server {
    /// TCP.
    pub address: SocketAddr,
    /// UDP.
    pub udp_address: SocketAddr,
    settings: Arc<Settings>,
    bells: Vec<Arc<Doorbell>>,
    failed: Arc<AtomicU32>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Server {
    /// One of so many shards with rings as the server's.
    ///
    /// # Errors
    /// Why a shard could not be made.
    pub fn start(shards: usize, injection: Option<Injection>) -> Result<Server, String> {
        Server::with_rings(shards, injection, RING)
    }

    /// The same with rings of another size.
    ///
    /// # Errors
    /// Why a shard could not be made.
    pub fn with_rings(
        shards: usize,
        injection: Option<Injection>,
        config: RingConfig,
    ) -> Result<Server, String> {
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        let tcp = listen_tcp(localhost, 0, shards, 1024, Protocol::Auto).map_err(|e| e.to_string())?;
        let udp = listen_udp(localhost, 0, shards, Protocol::Auto).map_err(|e| e.to_string())?;
        let plan = Plan::new(shards, LIMIT_BYTES, 250, true, 0);
        let hasher = Hasher::random();
        let settings = Arc::new(settings(hasher.clone()));
        let common = Arc::new(Common::new(&vec![0; shards]));
        let hub = Arc::new(Hub::new(shards, settings.watcher_log_bytes));
        let ends = mesh::connect(shards, plan.words_max, mesh::queue_bytes(shards, plan.words_max));
        let failed = Arc::new(AtomicU32::new(0));
        let (ready, started) = channel();
        let (mut bells, mut threads) = (Vec::new(), Vec::new());
        for ((id, mesh), (listener, datagrams)) in
            ends.into_iter().enumerate().zip(tcp.1.into_iter().zip(udp.1))
        {
            let parts = Parts {
                id,
                cpu: 0,
                plan,
                settings: settings.clone(),
                common: common.clone(),
                hub: hub.clone(),
                sockets: ShardSockets { listeners: vec![listener], datagrams: vec![datagrams] },
                common_listeners: 2,
                store: store(&plan, &hasher),
                mesh,
            };
            let bell = Arc::new(Doorbell::new().map_err(|e| e.to_string())?);
            bells.push(bell.clone());
            let (ready, failed) = (ready.clone(), failed.clone());
            threads.push(std::thread::spawn(move || serve(parts, config, &bell, injection, failed, &ready)));
        }
        drop(ready);
        let server = Server {
            address: (localhost, tcp.0).into(),
            udp_address: (localhost, udp.0).into(),
            settings,
            bells,
            failed,
            threads,
        };
        let made: Result<Vec<()>, String> = started.iter().take(shards).collect();
        match made {
            Ok(_) => Ok(server),
            Err(reason) => {
                server.stop();
                Err(reason)
            }
        }
    }

    /// Operations that have failed on purpose.
    pub fn failed(&self) -> u32 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Stops, and says what is left over that should not be.
    pub fn stop(self) -> Vec<String> {
        self.settings.stopping.store(true, Ordering::Relaxed);
        self.bells.iter().for_each(|bell| bell.ring());
        let deadline = Instant::now() + STOP_WITHIN;
        while !self.threads.iter().all(JoinHandle::is_finished) {
            if Instant::now() > deadline {
                return vec!["a shard that does not stop".into()];
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let ends = self.threads.into_iter().map(|thread| thread.join());
        ends.flat_map(|end| end.unwrap_or_else(|_| vec!["a shard that panicked".into()])).collect()
    }
}

/// The life of a shard's thread; what it leaves behind.
fn serve(
    parts: Parts,
    config: RingConfig,
    bell: &Arc<Doorbell>,
    injection: Option<Injection>,
    failed: Arc<AtomicU32>,
    ready: &Sender<Result<(), String>>,
) -> Vec<String> {
    let ring = Ring::new(config, bell.clone()).map_err(|e| e.to_string());
    let made = ring.and_then(|ring| Shard::new(FaultyRing::new(ring, injection, failed), parts));
    let mut shard = match made {
        Ok(shard) => shard,
        Err(reason) => {
            let _ = ready.send(Err(reason));
            return Vec::new();
        }
    };
    let _ = ready.send(Ok(()));
    let mut empty_waits = 0;
    loop {
        match shard.turn((empty_waits > 0).then_some(SHALLOW)) {
            Ok(Turn::Stopped) => break,
            Ok(Turn::Busy) => empty_waits = 0,
            Ok(Turn::Idle) => empty_waits += 1,
            Err(error) => return vec![format!("a ring failed: {error}")],
        }
        if empty_waits > SHALLOW_WAITS && shard.lie_down() {
            wait_for(bell);
            shard.get_up();
            empty_waits = 0;
        }
    }
    leftovers(&shard)
}

#[allow(unsafe_code)]
fn wait_for(bell: &Doorbell) {
    // SAFETY: the bell keeps its descriptor open for this call.
    let fd = unsafe { BorrowedFd::borrow_raw(bell.as_raw_fd()) };
    let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::NONE);
}

fn leftovers(shard: &Shard<FaultyRing>) -> Vec<String> {
    let core = shard.core();
    let counts = [
        ("connections", shard.connections()),
        ("send blocks in use", core.pool.in_use()),
        ("bytes counted as waiting", core.waiting_bytes),
        ("pins and uploads of the store", core.keyspace.store.tokens_out()),
    ];
    counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect()
}

fn store(plan: &Plan, hasher: &Hasher) -> StoreConfig {
    StoreConfig {
        limit_bytes: plan.store_bytes,
        limit_max_bytes: plan.store_bytes,
        item_size_max: 1 << 20,
        key_len_max: 250,
        growth_factor: 1.25,
        min_item_bytes: 48,
        evict: true,
        cas: true,
        huge_pages: HugePages::Off,
        hasher: hasher.clone(),
    }
}

fn settings(hasher: Hasher) -> Settings {
    Settings::of_bare_shards(hasher, Clock::system(), Live::new(4096, 20, 0, LIMIT_BYTES as u64))
}
