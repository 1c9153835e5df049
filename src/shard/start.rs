//! Makes the shards: one pinned thread each, with an executor, and inside it the loop and the upkeep.

use super::common::Common;
use super::inquiry::{Inquiry, Task};
use super::parts::{Parts, ShardSockets};
use super::plan::{Plan, RING};
use super::settings::Settings;
use super::watch::hub::Hub;
use super::{Shard, mesh, park, upkeep};
use crate::net::listener::Way;
use crate::net::{Doorbell, Ring, probe};
use crate::options::on_node_of;
use crate::store::StoreConfig;
use glommio::{Latency, LocalExecutorBuilder, Placement, PoolPlacement, Shares};
use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Never, in effect: see `park`.
const PREEMPT: Duration = Duration::from_secs(3600);

/// Shares of the loop and of everything else on a busy core.
const LOOP_SHARES: usize = 1000;
const UPKEEP_SHARES: usize = 20;

/// The running shards.
pub struct Running {
    settings: Arc<Settings>,
    common: Arc<Common>,
    bells: Arc<[Arc<Doorbell>]>,
    threads: Vec<glommio::ExecutorJoinHandle<std::io::Result<()>>>,
    /// What the operator should know about the memory that was had: wishes the kernel did not grant.
    pub notices: Vec<String>,
}

/// A shard that could not be made: its number, and what was missing.
#[derive(Debug, thiserror::Error)]
#[error("shard {shard} did not start: {reason}")]
pub struct StartError {
    shard: usize,
    reason: String,
}

/// Starts one shard on each of `cpus` and waits until all of them listen. `sockets[i]` are those of shard `i`; `task` is one
/// for the first.
///
/// # Errors
/// The first shard that could not be made.
pub fn start(
    cpus: &[usize],
    plan: Plan,
    store: &StoreConfig,
    settings: Arc<Settings>,
    sockets: Vec<ShardSockets>,
    mut task: Option<Task>,
) -> Result<Running, StartError> {
    let shards = cpus.len();
    let common = Arc::new(Common::new(cpus));
    let hub = Arc::new(Hub::new(shards, settings.watcher_log_bytes));
    // Not shard ports: with 100 shards they would take a fifth of the connections that -c is expected to give.
    let counts = |shard: &ShardSockets| {
        shard.listeners.iter().filter(|listener| listener.way != Way::ShardPort).count()
            + shard.datagrams.len()
    };
    let common_listeners = sockets.first().map_or(0, counts);
    let make_bell =
        |id| Doorbell::new().map(Arc::new).map_err(|e| failed(id, probe::explain("an eventfd", e)));
    let bells: Arc<[Arc<Doorbell>]> = (0..shards).map(make_bell).collect::<Result<_, _>>()?;
    let mut running = Running {
        settings: settings.clone(),
        common: common.clone(),
        bells: bells.clone(),
        threads: Vec::new(),
        notices: Vec::new(),
    };
    let (ready, started) = channel();
    let ends = mesh::connect(shards, plan.words_max, mesh::queue_bytes(shards, plan.words_max));
    for ((id, sockets), mesh) in sockets.into_iter().enumerate().zip(ends) {
        let parts = Parts {
            id,
            cpu: cpus[id],
            plan,
            settings: settings.clone(),
            common: common.clone(),
            hub: hub.clone(),
            sockets,
            common_listeners,
            store: store.clone(),
            mesh,
        };
        let task = task.take().map(|task| (task, bells.clone()));
        let (bell, ready) = (bells[id].clone(), ready.clone());
        let builder = LocalExecutorBuilder::new(Placement::Fixed(cpus[id]))
            .name(&format!("shard-{id}"))
            .io_memory(0)
            // No thread for calls that block: there are none, and where no thread can be had glommio would panic.
            .blocking_thread_pool_placement(PoolPlacement::Custom(Vec::new()))
            .preempt_timer(PREEMPT);
        let thread = builder.spawn(move || run(parts, bell, task, ready));
        let thread = thread.map_err(|e| without_executor(id, e))?;
        running.threads.push(thread);
    }
    drop(ready);
    let mut silent: Vec<usize> = (0..shards).collect();
    while !silent.is_empty() {
        match started.recv() {
            Ok((id, Ok(notices))) => {
                silent.retain(|other| *other != id);
                running.notices.extend(notices);
            }
            Ok((id, Err(reason))) => return Err(failed(id, reason)),
            // Those that have said nothing have ended before they could.
            Err(_) => return Err(running.end_of(silent[0])),
        }
    }
    Ok(running)
}

fn failed(shard: usize, reason: impl ToString) -> StartError {
    StartError { shard, reason: reason.to_string() }
}

fn without_executor(shard: usize, error: impl Display) -> StartError {
    let remedy = "see `ulimit -l`, `ulimit -n`, `ulimit -u` and `ulimit -v`, or LimitMEMLOCK=, LimitNOFILE=, LimitNPROC=, LimitAS= and \
                  TasksMax= in a systemd unit";
    failed(shard, format!("its thread has no executor ({error}): {remedy}"))
}

impl Running {
    /// The turns of each shard so far: one that is alive has turned again soon after [`wake`](Self::wake).
    pub fn turns(&self) -> Vec<u64> {
        self.common.pulse.turns()
    }

    /// Why the thread of a shard has ended before it had an executor.
    fn end_of(mut self, id: usize) -> StartError {
        match self.threads.swap_remove(id).join() {
            Err(error) => without_executor(id, error),
            Ok(_) => failed(id, "it ended at once"),
        }
    }

    /// Has every shard turn once, asleep or not.
    pub fn wake(&self) {
        self.bells.iter().for_each(|bell| bell.ring());
    }

    /// Stops accepting, answers what has arrived, closes everything, and waits for the shards to end.
    ///
    /// # Errors
    /// What ended a shard other than the wish to stop.
    pub fn stop(self) -> Result<(), StartError> {
        self.settings.stopping.store(true, Ordering::Relaxed);
        self.wake();
        for (id, thread) in self.threads.into_iter().enumerate() {
            match thread.join() {
                Ok(result) => result.map_err(|e| failed(id, e))?,
                Err(e) => return Err(failed(id, e)),
            }
        }
        Ok(())
    }
}

/// The life of a shard's thread.
async fn run(
    parts: Parts,
    bell: Arc<Doorbell>,
    task: Option<(Task, Arc<[Arc<Doorbell>]>)>,
    ready: Sender<(usize, Result<Vec<String>, String>)>,
) -> std::io::Result<()> {
    let id = parts.id;
    let shard = match make(parts, bell) {
        Ok(shard) => Rc::new(RefCell::new(shard)),
        Err(reason) => {
            let _ = ready.send((id, Err(reason)));
            return Ok(());
        }
    };
    let mut notices: Vec<String> =
        shard.borrow().core.keyspace.store.notice().map(str::to_string).into_iter().collect();
    notices.extend(poll_queues(&shard.borrow()));
    let _ = ready.send((id, Ok(notices)));
    drop(ready);
    let ring_failed = shard.borrow().core.settings.ring_failed;
    let result = live(shard, task).await;
    if let Err(error) = &result {
        // Half a server is worse than none: the keys of this shard would hang for ever.
        ring_failed(id, error);
    }
    result
}

/// Serves and looks after the shard until it has stopped.
async fn live(shard: Rc<RefCell<Shard>>, task: Option<(Task, Arc<[Arc<Doorbell>]>)>) -> std::io::Result<()> {
    let executor = glommio::executor();
    let main = executor.create_task_queue(Shares::Static(LOOP_SHARES), Latency::NotImportant, "loop");
    let side = executor.create_task_queue(Shares::Static(UPKEEP_SHARES), Latency::NotImportant, "upkeep");
    // The upkeep, like the task, ends with the executor, when the loop has ended.
    let upkeep = glommio::spawn_local_into(upkeep::look_after(shard.clone()), side);
    upkeep.map_err(std::io::Error::other)?.detach();
    if let Some((task, bells)) = task {
        let task = task(Inquiry::new(shard.clone(), bells));
        glommio::spawn_local_into(task, side).map_err(std::io::Error::other)?.detach();
    }
    glommio::spawn_local_into(park::serve(shard), main).map_err(std::io::Error::other)?.await
}

/// `--busy-poll` as far as it is the kernel's. A notice, of one shard for all, where it does not know how.
fn poll_queues(shard: &Shard) -> Option<String> {
    let limit = shard.core.settings.busy_poll;
    let refused = (!limit.is_zero()).then(|| shard.ring.poll_queues(limit).err()).flatten()?;
    let text =
        "the kernel does not poll network queues for it (Linux 6.9 does), shards only look at their rings";
    (shard.core.id == 0).then(|| format!("--busy-poll: {text}: {refused}"))
}

/// Makes the shard on its own thread: the ring allows no other, and memory is taken near the core that touches it first.
fn make(parts: Parts, bell: Arc<Doorbell>) -> Result<Shard, String> {
    let ring = Ring::new(RING, bell).map_err(|e| probe::explain(probe::RING, e).to_string())?;
    // Memory that a worker touches first comes from its node. A kernel that refuses lets them run anywhere.
    let _ = ring.keep_workers_on(&on_node_of(parts.cpu));
    Shard::new(ring, parts)
}
