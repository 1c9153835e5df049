//! The end of a shard: stop accepting, answer what has arrived, close, and serve the peers until all have done the same.

use super::Shard;
use super::conn::{Life, Reason, Receive};
use super::turn::Turn;
use crate::net::Kernel;
use std::time::Duration;

/// Replies that have not left after this are given up.
const DRAIN_MAX: Duration = Duration::from_secs(3);

/// Connections with no news for this long have had everything that arrived answered.
const QUIET: Duration = Duration::from_millis(20);

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopping {
    began: Option<Duration>,
    last_news: Option<Duration>,
    closing: bool,
    late: bool,
    done: bool,
}

impl Stopping {
    /// Nothing new is taken any more.
    pub fn is_closing(&self) -> bool {
        self.closing
    }
}

impl<K: Kernel> Shard<K> {
    /// Notices that the server stops; looked at every turn.
    pub(super) fn notice_stop(&mut self) {
        if self.core.settings.is_stopping() && !self.stopping {
            self.stopping = true;
            self.stop.began = Some(self.core.settings.clock.now());
            self.end_accepts();
            self.hear_uploads();
        }
    }

    /// Has large values that come slowly make news, so that they do not look like silence.
    fn hear_uploads(&mut self) {
        for index in 0..self.conns.places() {
            if let Some(conn) = self.conns.get(index).filter(|conn| conn.receive == Receive::Direct) {
                conn.set_low_water(&self.ring, 1);
            }
        }
    }

    /// What remains to be done after a turn of a stopping shard.
    pub(super) fn stop_step(&mut self, busy: bool) -> Turn {
        let now = self.core.settings.clock.now();
        if busy {
            self.stop.last_news = Some(now);
        }
        let since = |moment: Option<Duration>| moment.map_or(Duration::MAX, |m| now - m);
        let late = since(self.stop.began) > DRAIN_MAX;
        let quiet = since(self.stop.last_news.max(self.stop.began)) > QUIET;
        if (late && !self.stop.late) || (quiet && !self.stop.closing) {
            self.stop.closing = true;
            self.stop.late = late;
            self.close_all(late);
        }
        // A receive that is still in the ring would hold its port beyond the end of the process.
        let received = !self.datagrams.as_ref().is_some_and(|datagrams| datagrams.is_armed());
        if self.conns.count() == 0 && received && self.stop.closing && !self.stop.done {
            self.stop.done = true;
            self.common.done_serving();
        }
        if self.stop.done && self.common.all_done() {
            return Turn::Stopped;
        }
        if busy { Turn::Busy } else { Turn::Idle }
    }

    fn close_all(&mut self, at_once: bool) {
        self.end_datagrams();
        for index in 0..self.conns.places() {
            let Some(conn) = self.conns.get(index) else { continue };
            conn.reason = Reason::Shutdown;
            // Somebody who watches has asked for no answer, and a listing may have a long way to go.
            if at_once || conn.session.as_ref().is_some_and(|session| session.is_streaming()) {
                conn.life = Life::Dead;
            } else if conn.life == Life::Open {
                conn.life = Life::Closing;
            }
            self.settle(index);
        }
    }
}
