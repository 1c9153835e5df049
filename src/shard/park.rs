//! How a shard waits: two depths of sleep between its data ring and its executor.
//!
//! *Shallow*: blocked in the data ring itself for at most a few milliseconds. A request or a peer's message wakes it at once; the
//! executor's other tasks are late by at most that.
//! *Deep*: after a few empty shallow waits the ring's eventfd is enabled and awaited in the executor, which costs nothing
//! while nothing happens. The ring's own descriptor would not do: with `DEFER_TASKRUN` it never becomes readable.
//!
//! Before either, with `--busy-poll`, it goes on turning for a while, without a system call.
//!
//! A busy shard lets the executor look at its other tasks now and then, by ringing its own bell and awaiting it. The
//! executor's preemption is not used for that: when it comes before the first task of a round has run, glommio 0.12 takes
//! the round for an idle one and sleeps though tasks are ready, for ever if no timer is set.

use super::Shard;
use super::turn::Turn;
use crate::net::Kernel;
use glommio::io::PollableFd;
use std::cell::RefCell;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

/// The longest shallow wait. More than a tick of the kernel, which is 4 ms with the usual `CONFIG_HZ=250`: an earlier timer than
/// the tick has the clock's hardware set anew at the beginning of each wait and at its end, which a virtual machine pays dearly.
pub const SHALLOW: Duration = Duration::from_millis(8);

/// Empty shallow waits before the deep sleep.
const SHALLOW_WAITS: u32 = 5;

/// How often a busy loop lets the executor look at its other tasks. Each look costs a few system calls.
const OTHERS_EVERY: Duration = Duration::from_millis(10);

/// A descriptor that somebody else owns and keeps open.
struct Borrowed(RawFd);

impl AsRawFd for Borrowed {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// Runs the shard until it has stopped.
///
/// # Errors
/// When the ring fails.
pub async fn serve(shard: Rc<RefCell<Shard>>) -> std::io::Result<()> {
    let bell = Borrowed(shard.borrow().ring.bell().as_raw_fd());
    let bell = PollableFd::new(bell).map_err(std::io::Error::other)?;
    let busy_poll = shard.borrow().core.settings.busy_poll;
    let mut empty_waits = 0;
    let mut last_busy = Instant::now();
    let mut others_looked = Instant::now();
    loop {
        let wait = (empty_waits > 0).then_some(SHALLOW);
        let turn = shard.borrow_mut().turn(wait)?;
        let now = Instant::now();
        match turn {
            Turn::Stopped => return Ok(()),
            Turn::Busy => (empty_waits, last_busy) = (0, now),
            Turn::Idle if now - last_busy < busy_poll => std::hint::spin_loop(),
            Turn::Idle => empty_waits += 1,
        }
        let rest = empty_waits > SHALLOW_WAITS && shard.borrow_mut().lie_down();
        if rest {
            empty_waits = 0;
        } else if now - others_looked < OTHERS_EVERY {
            continue;
        } else {
            shard.borrow().ring.bell().ring();
        }
        let lay_down = rest.then_some(now);
        let awake = bell.readable().await;
        others_looked = Instant::now();
        let mut shard = shard.borrow_mut();
        shard.parked += lay_down.map_or(Duration::ZERO, |at| others_looked - at);
        shard.get_up();
        awake.map_err(std::io::Error::other)?;
    }
}

impl<K: Kernel> Shard<K> {
    /// Prepares the deep sleep; false when something has come up and there is no sleep. After true the shard is not to turn
    /// before its bell has rung and it has [got up](Self::get_up).
    pub fn lie_down(&mut self) -> bool {
        if self.core.settings.is_stopping()
            || !self.accepting.is_open()
            || self.datagrams.as_ref().is_some_and(|datagrams| datagrams.is_resting())
            || !self.shared_waiters.is_empty()
            || self.core.out.has_late()
            || !self.core.calls.todo.is_empty()
        {
            return false;
        }
        self.ring.ring_on_completion(true);
        self.common.parked.announce(self.core.id);
        // What completes from here on rings the bell; what came before is seen by this look.
        fence(Ordering::SeqCst);
        if self.ring.has_news() || !self.inbound.is_empty() || self.core.keyspace.journal.has_news() {
            self.get_up();
            return false;
        }
        true
    }

    /// Ends the deep sleep.
    pub fn get_up(&mut self) {
        self.common.parked.awake(self.core.id);
        self.ring.ring_on_completion(false);
        self.ring.hush_bell();
    }
}
