//! What a task of shard 0's executor, which is no connection, may ask of all shards: their reports, and whether they turn. The
//! admin endpoint is such a task; this room knows it as a function only.
//!
//! Reports come the way of `stats` ([`super::calls`]), with at most one such call under way: who comes later waits. A call
//! that nobody waits for any more, because a shard stands still, stays the only one until that shard has answered.

use super::Shard;
use super::common::Common;
use super::snapshot::{Snapshot, Topic};
use crate::net::Doorbell;
use glommio::sync::Semaphore;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for room for a call, or for the end of the last one, before looking again.
const RETRY: Duration = Duration::from_millis(10);

/// How often to look whether the shards have turned.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A task of shard 0, made on its thread. It runs with the shares of the upkeep and ends with the executor.
pub type Task = Box<dyn FnOnce(Inquiry) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// See the module comment.
pub struct Inquiry {
    shard: Rc<RefCell<Shard>>,
    common: Arc<Common>,
    bells: Arc<[Arc<Doorbell>]>,
    one_at_a_time: Semaphore,
}

impl Inquiry {
    /// For a task of `shard`; `bells` wake every shard.
    pub(super) fn new(shard: Rc<RefCell<Shard>>, bells: Arc<[Arc<Doorbell>]>) -> Inquiry {
        let common = shard.borrow().common.clone();
        Inquiry { shard, common, bells, one_at_a_time: Semaphore::new(1) }
    }

    /// The reports of all shards about `topic`, in their order. Takes as long as the slowest shard: the caller limits how long it waits.
    pub async fn reports(&self, topic: Topic) -> Vec<Snapshot> {
        // The semaphore is never closed, and the channel never drops what waits for its one answer.
        let _one = self.one_at_a_time.acquire_permit(1).await;
        loop {
            let asked = self.shard.borrow_mut().core.inquire(topic);
            match asked {
                Some(reports) => {
                    self.shard.borrow().ring.bell().ring(); // the loop may be asleep
                    return reports.recv().await.unwrap_or_default();
                }
                None => glommio::timer::sleep(RETRY).await,
            }
        }
    }

    /// The shards that do not turn within `patience` though they were woken. None: all are alive.
    pub async fn stuck(&self, patience: Duration) -> Vec<usize> {
        let before = self.common.pulse.turns();
        self.bells.iter().for_each(|bell| bell.ring());
        let began = Instant::now();
        loop {
            let both = self.common.pulse.turns().into_iter().zip(&before).enumerate();
            let stuck: Vec<usize> =
                both.filter(|(_, (now, was))| now == *was).map(|(shard, _)| shard).collect();
            if stuck.is_empty() || began.elapsed() >= patience {
                return stuck;
            }
            glommio::timer::sleep(LOOK_EVERY).await;
        }
    }

    /// The server is about to end.
    pub fn is_stopping(&self) -> bool {
        self.shard.borrow().core.settings.is_stopping()
    }
}
