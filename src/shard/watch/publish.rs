//! A shard's part in `watch`: follow what is wanted, hand over what was written, send what has come for its own watchers.

use super::event::Event;
use crate::net::{Kernel, listener};
use crate::protocol::WatchKind;
use crate::shard::Shard;
use crate::shard::conn::Life;
use crate::shard::keyspace::Keyspace;
use std::os::fd::RawFd;

impl Keyspace {
    /// Logs an event that somebody wants.
    #[cold]
    pub fn log(&mut self, event: &Event<'_>) {
        if !self.journal.wants(event.kind()) {
            return;
        }
        let written = self.journal.write(event);
        let counters = &mut self.counters;
        *(if written { &mut counters.log_worker_written } else { &mut counters.log_worker_dropped }) += 1;
    }

    /// Logs what the store has evicted since the last time.
    fn log_evictions(&mut self) {
        if !self.journal.wants(WatchKind::Evictions) {
            return;
        }
        let evictions = self.store.take_evicted();
        for evicted in &evictions.kept {
            self.log(&Event::Evicted(evicted));
        }
        self.counters.log_worker_dropped += evictions.lost;
    }
}

impl<K: Kernel> Shard<K> {
    /// Learns what is watched, and goes on with its own watchers that lines have come for; at the start of a turn.
    pub(in crate::shard) fn follow_watchers(&mut self) {
        let Keyspace { journal, store, .. } = &mut self.core.keyspace;
        if journal.follow() {
            store.watch_evictions(journal.wants(WatchKind::Evictions));
        }
        for watcher in journal.hub().take_news(self.core.id) {
            let Some(conn) = self.conns.of(watcher.index, watcher.generation) else { continue };
            // One that is still sending goes on when that is done.
            if conn.life == Life::Open && !conn.waits && !std::mem::replace(&mut conn.queued, true) {
                self.resume.push(watcher.index);
            }
        }
    }

    /// Hands the lines of this turn to the watchers, if the hub is free; true when it did, and has queued wake-ups.
    pub(in crate::shard) fn publish_journal(&mut self) -> bool {
        let keys = &mut self.core.keyspace;
        if !keys.journal.is_watched() {
            return false;
        }
        keys.log_evictions();
        if keys.journal.lines.ends.is_empty() {
            return false;
        }
        let Some(delivered) = keys.journal.hub.deliver(&keys.journal.lines) else { return false };
        keys.journal.lines.text.clear();
        keys.journal.lines.ends.clear();
        keys.counters.log_watcher_sent += delivered.sent;
        keys.counters.log_watcher_skipped += delivered.skipped;
        self.common.parked.shown();
        for shard in delivered.to_wake {
            if shard != self.core.id && self.common.parked.take(shard) {
                self.ring.wake(self.common.ring_fd(shard));
            }
        }
        true
    }

    /// Logs that a connection was opened.
    pub(in crate::shard) fn log_opened(&mut self, fd: RawFd) {
        if self.core.keyspace.journal.wants(WatchKind::ConnEvents) {
            self.core.keyspace.log(&Event::Opened { peer: listener::peer_of(fd), fd });
        }
    }

    /// Logs that the connection at `index` has ended.
    pub(in crate::shard) fn log_closed(&mut self, index: u32) {
        if !self.core.keyspace.journal.wants(WatchKind::ConnEvents) {
            return;
        }
        if let Some(conn) = self.conns.get(index) {
            let (fd, reason) = (conn.fd, conn.reason);
            self.core.keyspace.log(&Event::Closed { peer: listener::peer_of(fd), reason, fd });
        }
    }
}
