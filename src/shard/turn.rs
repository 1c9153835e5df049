//! One turn of a shard's loop: enter the ring, take what has completed, run the requests, answer the peers, send.
//!
//! Every list worked on in a turn is bounded: completions by [`EVENTS_MAX`], a session by `-R` and its keys, a peer's asks
//! by `ASKS_PER_TURN`. Sends, receives and wake-ups are only queued; the enter of the next turn submits them all, so a
//! busy turn costs one system call.

use super::conn::{Life, Reason, Receive};
use super::session::{Session, Stop};
use super::{Shard, ahead};
use crate::net::kernel::EVENTS_MAX;
use crate::net::{Event, Kernel, Piece, may_try_again};
use std::time::Duration;

/// Received bytes of a connection that wait to be run at which its receive is ended until they are.
const INPUT_PAUSE_BYTES: usize = 16 * 1024;

/// Unsent bytes up to which a session keeps its replies for one larger send while it goes on next turn, or while peers
/// that have been asked are about to add to them.
const SEND_TOGETHER_BYTES: usize = 8 * 1024;

/// Unsent bytes of the sends of one turn, about: the kernel copies them while everybody else waits. Others start in the next turn.
const SEND_BYTES_PER_TURN: usize = 8 << 20;

/// How long to wait for room in a peer's queue before looking again.
const SHARED_WAIT: Duration = Duration::from_micros(100);

/// The same while the shard has no send block left.
const SHARED_WAIT_LONG: Duration = Duration::from_millis(1);

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It did something: go on at once.
    Busy,
    /// Nothing to do.
    Idle,
    /// The shard has stopped.
    Stopped,
}

impl<K: Kernel> Shard<K> {
    /// Runs one turn; waits up to `wait` for something to do if nothing is there.
    ///
    /// # Errors
    /// When the ring itself fails, which ends the shard.
    pub fn turn(&mut self, wait: Option<Duration>) -> std::io::Result<Turn> {
        self.common.pulse.beat(self.core.id);
        self.enter(wait)?;
        let since_start = self.core.settings.clock.now();
        self.turn_began = since_start;
        self.core.keyspace.now_s = self.core.settings.second_at(since_start);
        self.core.telemetry.turn_begins(since_start);
        self.follow_watchers();
        let mut events = std::mem::take(&mut self.events);
        self.ring.reap(&mut events, &mut self.buffers);
        let mut busy = !events.is_empty();
        self.completions += events.len() as u64;
        self.direct_bytes = 0;
        let mut looked = 0;
        for at in 0..events.len() {
            if at == looked {
                looked += ahead::fetch_events(&self.core, &self.buffers, &events[at..]);
            }
            self.event(events[at]);
        }
        events.clear();
        self.events = events;
        busy |= self.resume_queued();
        busy |= self.hear_peers();
        self.core.telemetry.turn_ends();
        self.perform_calls();
        busy |= self.send_replies(busy);
        if self.follow_crowd() {
            self.buffers.publish();
            self.rearm_starved();
        }
        self.receive_datagrams();
        self.flush_mesh();
        busy |= self.publish_journal();
        self.warm_ahead();
        self.accept_again();
        self.notice_stop();
        if self.stopping {
            return Ok(self.stop_step(busy));
        }
        // Those starve until buffers come back, with the end of this step of a crowd's beginning or the next turn.
        let waits = !self.resume.is_empty() || !self.starved.is_empty() || self.crowd.is_beginning();
        Ok(if busy || waits { Turn::Busy } else { Turn::Idle })
    }

    fn enter(&mut self, wait: Option<Duration>) -> std::io::Result<()> {
        let shared =
            !self.shared_waiters.is_empty() || self.core.out.has_late() || !self.core.calls.todo.is_empty();
        let wait = match wait {
            _ if !self.resume.is_empty() || self.core.keyspace.journal.has_news() => None,
            _ if shared && self.core.pool.available() > 0 => Some(SHARED_WAIT),
            _ if shared => Some(SHARED_WAIT_LONG),
            wait => wait,
        };
        let Some(wait) = wait else { return self.ring.enter(None) };
        self.common.parked.announce(self.core.id);
        let news = !self.inbound.is_empty() || self.core.keyspace.journal.has_news();
        let wait = (!news).then_some(wait);
        let parks_at = wait.map(|_| self.core.settings.clock.now());
        let result = self.ring.enter(wait);
        self.parked += parks_at.map_or(Duration::ZERO, |at| self.core.settings.clock.now() - at);
        self.common.parked.awake(self.core.id);
        result
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Received { conn, piece, armed } => self.received(conn, piece, armed),
            Event::ReceiveEnded { conn, errno } => self.receive_ended(conn, errno),
            Event::Filled { conn, result } => self.filled(conn, result),
            Event::DatagramReceived { socket, buffer, len, armed } => {
                self.datagram_received(socket, buffer, len as usize, armed)
            }
            Event::DatagramsEnded { socket, errno } => self.datagrams_ended(socket, errno),
            Event::Sent { conn, result } => self.sent(conn, result),
            Event::Accepted { listener, fd, armed } => self.accepted(listener, fd, armed),
            Event::AcceptEnded { listener, errno } => self.accept_ended(listener, errno),
            Event::Populated { knows_how } => self.core.keyspace.store.warmed(knows_how),
            Event::Woken => {}
            Event::NotWoken { ring_fd } => self.ring.wake(ring_fd),
        }
    }

    fn received(&mut self, index: u32, piece: Piece, armed: bool) {
        let Some(conn) = self.conns.get(index) else { return self.buffers.recycle(piece) };
        if !armed {
            conn.receive = Receive::Off;
        }
        conn.single_receives = conn.single_receives.saturating_sub(1);
        self.core.keyspace.counters.bytes_read += u64::from(piece.len);
        if conn.life == Life::Open {
            self.core.keyspace.journal.asker_fd = conn.fd;
            let is_queued = conn.queued;
            let mut session = self.conns.session_of(index);
            if is_queued {
                // It has had its share, or waits: a multishot receive may bring many pieces in one turn.
                session.keep(self.buffers.bytes(piece));
                self.buffers.recycle(piece);
                return self.put_back(index, session);
            }
            let stop = session.feed(&mut self.core, self.buffers.bytes(piece));
            self.buffers.recycle(piece);
            self.stopped(index, session, stop);
        } else {
            self.buffers.recycle(piece);
            self.settle(index);
        }
    }

    /// A session has run as far as it could: note why it stopped, and put it back.
    pub(super) fn stopped(&mut self, index: u32, mut session: Box<Session>, stop: Stop) {
        let Some(conn) = self.conns.get(index) else { return };
        if session.take_progress() {
            conn.last_command_s = self.core.keyspace.now_s;
        }
        match stop {
            Stop::NeedInput if conn.ended => conn.life = Life::Closing,
            Stop::NeedInput => {}
            Stop::Close => conn.life = Life::Closing,
            Stop::WaitOwn => conn.waits = true,
            Stop::Yield | Stop::WaitShared => {
                let list = if stop == Stop::Yield { &mut self.resume } else { &mut self.shared_waiters };
                if !std::mem::replace(&mut conn.queued, true) {
                    list.push(index);
                }
            }
        }
        self.put_back(index, session);
    }

    /// Puts a session back into its connection, which may have more waiting or to send than before.
    fn put_back(&mut self, index: u32, mut session: Box<Session>) {
        session.count(&mut self.core);
        let Some(conn) = self.conns.get(index) else { return };
        conn.session = Some(session);
        self.regulate(index);
        self.settle(index);
    }

    /// Back-pressure: ends the receive of a connection with too much input waiting to be run, starts it again when it is not.
    /// Ends it also when a large value is to be received directly.
    pub(super) fn regulate(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        let waits = conn.waits || conn.queued;
        let input_len = conn.session.as_ref().map_or(0, |session| session.input_len());
        let pause_bytes = if self.core.is_crowded() { 0 } else { INPUT_PAUSE_BYTES };
        let full = waits && input_len > pause_bytes;
        let leaving = conn.session.as_ref().is_some_and(|session| session.is_leaving());
        let direct = conn.session.as_ref().is_some_and(|session| session.wants_direct());
        if (full || direct) && conn.receive == Receive::Armed {
            conn.receive = Receive::Ending;
            self.ring.cancel_receive(index);
        } else if !full && !leaving && conn.receive == Receive::Off && conn.life == Life::Open && !conn.ended
        {
            self.start_receive(index);
        }
    }

    /// After anything happened to a connection: queue its send, put its session away, or go on closing it.
    pub(super) fn settle(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        if let Some(datagram) = conn.datagram {
            return self.settle_datagram(index, datagram);
        }
        if let Some(session) = &conn.session {
            if conn.life != Life::Dead && !session.out.is_idle() {
                if !session.out.in_flight() && !std::mem::replace(&mut conn.dirty, true) {
                    self.dirty.push(index);
                }
                return;
            }
            if let Some(to) = session.leaves_for() {
                return self.depart(index, to);
            }
            if session.is_idle() {
                if conn.ended {
                    conn.life = Life::Dead; // all that was asked has been answered
                }
                let mut session = conn.session.take().unwrap_or_default();
                conn.standing = session.standing;
                session.out.rest(&mut self.core.pool);
                self.conns.give_session(&mut self.core, session);
            } else if conn.life == Life::Closing && session.slots_are_empty() {
                conn.life = Life::Dead;
            } else if conn.life != Life::Dead && session.has_reply_ready() {
                // A reply is ready and nothing is in flight that would take it along: it found no block.
                if !std::mem::replace(&mut conn.queued, true) {
                    self.shared_waiters.push(index);
                }
            }
        }
        self.close_step(index);
    }

    /// Takes a connection one step nearer to its end, if it is on the way there.
    pub(super) fn close_step(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        match conn.life {
            Life::Open => return,
            Life::Closing if conn.session.is_some() => return,
            Life::Closing | Life::Dead => conn.life = Life::Dead,
        }
        match std::mem::replace(&mut conn.receive, Receive::Ending) {
            Receive::Armed => self.ring.cancel_receive(index),
            Receive::Direct => self.ring.cancel_direct(index),
            other => conn.receive = other,
        }
        if conn.receive == Receive::Ending {
            return;
        }
        if let Some(mut session) = conn.session.take() {
            if session.out.in_flight() {
                conn.session = Some(session);
                self.ring.cancel_send(index);
                return;
            }
            session.abandon(&mut self.core);
            self.core.release_sent();
            self.conns.give_session(&mut self.core, session);
        }
        self.remove(index);
    }

    pub(super) fn receive_ended(&mut self, index: u32, errno: i32) {
        let Some(conn) = self.conns.get(index) else { return };
        conn.receive = Receive::Off;
        match errno {
            libc::ENOBUFS => {
                self.core.keyspace.counters.receive_no_buffer += 1;
                self.starved.push(index);
            }
            // Our own wish, back-pressure or the end; the first may be over already.
            libc::ECANCELED => self.regulate(index),
            0 => conn.ended = true,
            // In the next turn, so that others get theirs while it fails.
            errno if may_try_again(errno) => self.starved.push(index),
            _ => {
                conn.life = Life::Dead;
                conn.reason = Reason::Error;
            }
        }
        let Some(conn) = self.conns.get(index) else { return };
        if conn.ended && conn.session.as_ref().is_some_and(|session| session.is_watching()) {
            conn.life = Life::Dead; // nothing that it asked for is missing
        }
        match conn.session.take() {
            // What was received before the end is still answered.
            Some(session) if conn.ended && !conn.queued && !conn.waits => {
                self.stopped(index, session, Stop::NeedInput)
            }
            session => {
                if conn.ended && session.is_none() {
                    conn.life = Life::Dead;
                }
                conn.session = session;
                self.settle(index);
            }
        }
    }

    fn sent(&mut self, index: u32, result: i32) {
        let Some(conn) = self.conns.get(index) else { return };
        if let Some(datagram) = conn.datagram {
            return self.datagram_sent(index, datagram, result);
        }
        let Some(mut session) = conn.session.take() else { return };
        let len = result.max(0) as usize;
        self.core.keyspace.counters.bytes_written += len as u64;
        session.out.sent(len, &mut self.core.pool, &mut self.core.released);
        self.core.release_sent();
        if result < 0 && !may_try_again(-result) {
            conn.life = Life::Dead;
            conn.reason = Reason::Error;
        }
        session.drain_slots(&mut self.core);
        self.went_on(index, session);
    }

    /// Something a session may have waited for has happened.
    pub(super) fn went_on(&mut self, index: u32, mut session: Box<Session>) {
        session.count(&mut self.core);
        let Some(conn) = self.conns.get(index) else { return };
        conn.session = Some(session);
        if std::mem::take(&mut conn.waits) && !std::mem::replace(&mut conn.queued, true) {
            self.resume.push(index);
        }
        self.settle(index);
    }

    /// Goes on with the sessions that had their share of an earlier turn, or waited.
    fn resume_queued(&mut self) -> bool {
        let mut list = std::mem::take(&mut self.resume);
        let busy = !list.is_empty();
        if self.core.pool.available() > 0 || self.turn_began - self.shared_tried >= SHARED_WAIT_LONG {
            self.shared_tried = self.turn_began;
            list.append(&mut self.shared_waiters);
        }
        for index in list.drain(..) {
            let Some(conn) = self.conns.get(index) else { continue };
            conn.queued = false;
            let life = conn.life;
            let Some(mut session) = conn.session.take() else { continue };
            if life != Life::Open {
                session.drain_slots(&mut self.core);
                let Some(conn) = self.conns.get(index) else { continue };
                conn.session = Some(session);
                self.settle(index);
                continue;
            }
            self.core.keyspace.journal.asker_fd = conn.fd;
            let stop = session.resume(&mut self.core);
            self.stopped(index, session, stop);
        }
        if self.resume.is_empty() {
            self.resume = list; // keeps its memory
        }
        busy
    }

    /// Queues one send for every connection with unsent replies, but for those of which more is about to follow. A shard that
    /// would sleep keeps nothing back. True if there is more to send than one turn should.
    fn send_replies(&mut self, busy: bool) -> bool {
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut bytes = 0;
        dirty.retain(|&index| {
            let Some(conn) = self.conns.get(index) else { return false };
            let Some(session) = conn.session.as_mut().filter(|_| conn.life != Life::Dead) else {
                conn.dirty = false;
                return false;
            };
            let (unsent, more_follows) =
                (session.out.unsent(), conn.queued || busy && session.waits_for_peers());
            if bytes >= SEND_BYTES_PER_TURN || more_follows && unsent < SEND_TOGETHER_BYTES {
                return true;
            }
            bytes += unsent;
            conn.dirty = false;
            if let Some(send) = session.out.start_send(&self.core.pool) {
                self.ring.send(index, conn.fd, send);
            }
            false
        });
        self.dirty = dirty;
        bytes >= SEND_BYTES_PER_TURN
    }

    /// Receives that found no buffer start again, now that buffers have been given back.
    fn rearm_starved(&mut self) {
        for index in std::mem::take(&mut self.starved) {
            self.regulate(index);
        }
    }

    /// Has the memory that the store will use next made ready off this thread.
    fn warm_ahead(&mut self) {
        if let Some(range) = self.core.keyspace.store.cold_range() {
            self.ring.populate(range.address, range.len);
        }
    }

    fn flush_mesh(&mut self) {
        self.inbound.publish();
        let (ring, common) = (&mut self.ring, &self.common);
        self.core.out.flush(&common.parked, |peer| ring.wake(common.ring_fd(peer)));
    }
}

/// The list of completions of a turn, made once.
pub fn event_list() -> Vec<Event> {
    Vec::with_capacity(EVENTS_MAX)
}
