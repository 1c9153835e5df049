//! The work that no request asked for, as tasks of the shard's executor with few shares: expiry and page moves in the store,
//! closing idle connections, and keeping to a limit of memory that has changed. Bounded steps; nothing runs while there is nothing to do.

use super::Shard;
use super::conn::{Life, Reason};
use crate::net::Kernel;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Time between looks when there is nothing to do.
const REST: Duration = Duration::from_secs(1);

/// Time between steps while the store has something to do.
const STEP_REST: Duration = Duration::from_millis(2);

/// Items visited or moved in one step of the store: well under a millisecond.
pub(super) const STORE_STEP: usize = 1000;

/// Connections looked at in one step of the idle check.
const IDLE_STEP: u32 = 1000;

/// Looks after the shard for as long as its executor runs.
pub async fn look_after<K: Kernel>(shard: Rc<RefCell<Shard<K>>>) {
    loop {
        let more = shard.borrow_mut().upkeep_step();
        glommio::timer::sleep(if more { STEP_REST } else { REST }).await;
    }
}

impl<K: Kernel> Shard<K> {
    /// One bounded step; true when there is more to do now.
    pub fn upkeep_step(&mut self) -> bool {
        self.core.keyspace.now_s = self.core.settings.now_s();
        let mut more = self.core.keyspace.store.background(self.core.keyspace.now_s, STORE_STEP);
        if self.core.settings.live.limit_bytes() != self.limit_bytes_seen && self.limit_store().is_some() {
            let (shard, bytes) = (self.core.id, self.limit_bytes_seen);
            (self.core.settings.say)(&format!("shard {shard}: no memory for a limit of {bytes} bytes"));
        }
        if self.core.settings.live.idle_timeout_s() > 0 {
            more |= self.close_idle();
        }
        more
    }

    /// Closes TCP connections that have been silent for too long; true when the table has not been walked to its end.
    fn close_idle(&mut self) -> bool {
        let end = self.conns.places().min(self.idle_check_at + IDLE_STEP);
        let mut closed = false;
        for index in self.idle_check_at..end {
            let (now_s, limit_s) = (self.core.keyspace.now_s, self.core.settings.live.idle_timeout_s());
            let Some(conn) = self.conns.get(index) else { continue };
            if conn.life == Life::Open
                && conn.session.as_ref().is_none_or(|session| session.waits_for_client())
                && now_s.saturating_sub(conn.last_command_s) > limit_s
            {
                conn.life = Life::Dead;
                conn.reason = Reason::IdleTimeout;
                self.core.keyspace.counters.idle_kicks += 1;
                self.close_step(index);
                closed = true;
            }
        }
        if closed {
            self.ring.ring_bell(); // the loop may be asleep: it has to submit the cancellations
        }
        let more = end < self.conns.places();
        self.idle_check_at = if more { end } else { 0 };
        more
    }
}
