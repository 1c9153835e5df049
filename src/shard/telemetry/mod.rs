//! What is slow and what is hot on a shard, found out without slowing it down.
//!
//! [`sampler`] chooses requests to look at; of these the service time goes into the histograms of [`latency`] and the key into
//! the summary of [`hot_keys`]. [`slow_log`] misses no slow request, by looking at the clock once for many of them. All of it
//! is fixed memory of one shard; reports take copies ([`super::report`]) and `operate::stats` merges them.
//!
//! A request is timed where it arrived, from when it has been parsed to when its answer is written, and if it was sent to the shard
//! of its key, to when the answer has come back. A large value is asked room for first and stored later; both count, and what the client
//! takes in between does not. Its key is noted where it lives. So each shard counts both kinds with
//! one sampler: requests that arrive, and asks of its peers. (Largest keys need none of this: `Store::walk_largest` asks
//! the store.)

pub mod hot_keys;
pub mod key_copy;
pub mod latency;
pub mod sampler;
pub mod slow_log;

use super::clock::Clock;
use super::request::KeyRequest;
use crate::net::listener::{Peer, peer_of};
use crate::store::Key;
use hot_keys::HotKeys;
use key_copy::KeyCopy;
use latency::{Class, Latency};
use sampler::Sampler;
use slow_log::{SlowLog, SlowRequest};
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime};

/// Bytes of a key that are kept while it is on another shard: as many as make a reply slot no larger.
const SENT_KEY_MAX: usize = 32;

/// Bytes of memory that one shard takes for all of it.
pub const TELEMETRY_BYTES: usize = Latency::BYTES + HotKeys::BYTES + SlowLog::BYTES;

/// A request that is being timed: when it began, and how many it stands for.
#[derive(Clone, Copy, Debug)]
struct Timed {
    began_ns: u64,
    weight: u32,
}

/// What is remembered of a request while it is on another shard.
#[derive(Clone, Copy, Debug)]
pub struct SentAway {
    /// When it began, or its turn did; 0: it is not timed.
    began_ns: u64,
    /// The requests it stands for; 0: it is no sample.
    weight: u32,
    class: Class,
    key_len: u8,
    key_is_cut: bool,
    key: [u8; SENT_KEY_MAX],
}

impl SentAway {
    /// What is not timed.
    pub const UNTIMED: SentAway = SentAway {
        began_ns: 0,
        weight: 0,
        class: Class::Get,
        key_len: 0,
        key_is_cut: false,
        key: [0; SENT_KEY_MAX],
    };

    /// It took so many nanoseconds before it was sent.
    pub fn after(self, ns: u64) -> SentAway {
        let began_ns = if self.began_ns > 0 { self.began_ns.saturating_sub(ns).max(1) } else { 0 };
        SentAway { began_ns, ..self }
    }
}

/// See the module comment. Times are nanoseconds since the start.
pub struct Telemetry {
    clock: Clock,
    /// When this turn began.
    turn_ns: u64,
    turn_s: u64,
    /// When the answers that are being heard had come, if there is a slow log.
    heard_ns: u64,
    sampler: Sampler,
    /// The request that runs, if it is a sample.
    timed: Option<Timed>,
    /// It is one, or there is a slow log: all that an ordinary request has to look at.
    attends: bool,
    /// Service times.
    pub latency: Latency,
    /// Keys that are asked for often.
    pub hot_keys: HotKeys,
    /// Requests that took long.
    pub slow_log: SlowLog,
}

impl Telemetry {
    /// Nothing seen yet; `slow` is the service time from which a request is slow, 0 for none.
    pub fn new(clock: Clock, slow: Duration) -> Telemetry {
        let now_ns = clock.now().as_nanos() as u64;
        Telemetry {
            clock,
            turn_ns: now_ns,
            turn_s: 0,
            heard_ns: now_ns,
            sampler: Sampler::default(),
            timed: None,
            attends: !slow.is_zero(),
            latency: Latency::default(),
            hot_keys: HotKeys::new(now_ns),
            slow_log: SlowLog::new(slow.as_nanos() as u64),
        }
    }

    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        self.clock.now().as_nanos() as u64
    }

    /// A turn begins, so much time after the start.
    pub fn turn_begins(&mut self, since_start: Duration) {
        self.turn_ns = since_start.as_nanos() as u64;
        self.slow_log.turn_begins(self.turn_ns);
        if since_start.as_secs() != self.turn_s {
            self.turn_s = since_start.as_secs();
            self.sampler.adapt(self.turn_ns);
        }
    }

    /// All requests of a turn have run.
    pub fn turn_ends(&mut self) {
        if self.slow_log.is_pending() {
            self.look(&[], -1);
        }
    }

    /// A request is about to run here.
    #[inline]
    pub fn begins(&mut self) {
        if self.sampler.is_due() {
            self.begin_timed();
        }
    }

    #[cold]
    fn begin_timed(&mut self) {
        let began_ns = self.now_ns();
        self.timed = Some(Timed { began_ns, weight: self.sampler.draw(began_ns) });
        self.attends = true;
    }

    /// Room for a large value has been looked for here since `began_ns`. Returns how long that took: it is time of that request, wherever
    /// it is timed, and of none that run around it.
    pub fn looked_for_room(&mut self, began_ns: u64) -> u64 {
        let took_ns = self.now_ns().saturating_sub(began_ns);
        self.slow_log.leave_out(took_ns);
        took_ns
    }

    /// A request is about to run here that has taken `before_ns` already.
    pub fn goes_on(&mut self, before_ns: u64) {
        self.begins();
        if let Some(timed) = &mut self.timed {
            timed.began_ns = timed.began_ns.saturating_sub(before_ns);
        }
        self.slow_log.take_in(before_ns);
    }

    /// The request that has run is of interest: [`ran`](Self::ran) must follow.
    #[inline]
    pub fn attends(&self) -> bool {
        self.attends
    }

    /// It has run, for the connection of `fd`. `ends_batch`: none follows it in what has been received.
    #[cold]
    pub fn ran(&mut self, request: &KeyRequest<'_>, ends_batch: bool, fd: RawFd) {
        if let Some(Timed { began_ns, weight }) = self.timed.take() {
            let now_ns = self.now_ns();
            self.latency.record(Class::of(request.op), now_ns.saturating_sub(began_ns), weight);
            self.hot_keys.note(request.key, weight, now_ns);
        }
        if self.slow_log.is_on() && self.slow_log.ran(Class::of(request.op), ends_batch) {
            self.look(request.key.bytes, fd);
        }
        self.attends = self.slow_log.is_on();
    }

    /// Looks at the clock for the slow log.
    fn look(&mut self, key: &[u8], fd: RawFd) {
        if let Some((ns, among, class)) = self.slow_log.look(self.now_ns()) {
            self.slow_log.note(SlowRequest {
                at: SystemTime::now(),
                class,
                key: KeyCopy::of(key),
                ns,
                among,
                forwarded: false,
                client: peer_of_known(fd),
            });
        }
    }

    /// A peer's request has run here, on a key that lives here.
    #[inline]
    pub fn ran_for_peer(&mut self, key: Key<'_>) {
        self.begins();
        if let Some(Timed { began_ns, weight }) = self.take_timed() {
            self.hot_keys.note(key, weight, began_ns);
        }
    }

    fn take_timed(&mut self) -> Option<Timed> {
        if !self.attends {
            return None;
        }
        self.attends = self.slow_log.is_on();
        self.timed.take()
    }

    /// A request goes to another shard: what to remember of it.
    #[inline]
    pub fn sent(&mut self, request: &KeyRequest<'_>) -> SentAway {
        self.begins();
        if self.attends { self.remember(request) } else { SentAway::UNTIMED }
    }

    fn remember(&mut self, request: &KeyRequest<'_>) -> SentAway {
        let unsampled = Timed { began_ns: self.turn_ns, weight: 0 };
        let Timed { began_ns, weight } = self.take_timed().unwrap_or(unsampled);
        let bytes = request.key.bytes;
        let key_len = bytes.len().min(SENT_KEY_MAX);
        let mut key = [0; SENT_KEY_MAX];
        key[..key_len].copy_from_slice(&bytes[..key_len]);
        SentAway {
            began_ns,
            weight,
            class: Class::of(request.op),
            key_len: key_len as u8,
            key_is_cut: key_len < bytes.len(),
            key,
        }
    }

    /// Answers of a peer are about to be heard: one look at the clock for all of them.
    pub fn hears_answers(&mut self) {
        if self.slow_log.is_on() {
            self.heard_ns = self.now_ns();
        }
    }

    /// Its answer has come, for the connection of `fd`.
    #[inline]
    pub fn came_back(&mut self, sent: &SentAway, fd: RawFd) {
        if sent.began_ns > 0 {
            self.note_back(sent, fd);
        }
    }

    fn note_back(&mut self, sent: &SentAway, fd: RawFd) {
        let now_ns = if sent.weight > 0 { self.now_ns() } else { self.heard_ns };
        let ns = now_ns.saturating_sub(sent.began_ns);
        if sent.weight > 0 {
            self.latency.record(sent.class, ns, sent.weight);
        }
        if self.slow_log.is_slow(ns) {
            self.slow_log.note(SlowRequest {
                at: SystemTime::now(),
                class: sent.class,
                key: KeyCopy::of_beginning(&sent.key[..usize::from(sent.key_len)], sent.key_is_cut),
                ns,
                among: 1,
                forwarded: true,
                client: peer_of_known(fd),
            });
        }
    }

    /// Forgets all that was seen.
    pub fn reset(&mut self) {
        self.latency.clear();
        self.hot_keys.clear(self.now_ns());
        self.slow_log.clear();
    }
}

/// Who is at the other end, if it is known which connection it was.
fn peer_of_known(fd: RawFd) -> Peer {
    if fd < 0 { Peer::Gone } else { peer_of(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::clock::SimulatedTime;
    use crate::shard::request::{Form, Op};
    use std::sync::Arc;

    /// What is no sample is judged by when its answer came, not by when the turn began in which it is heard.
    #[test]
    fn an_answer_is_late_by_the_turn_it_is_heard_in() {
        const SLOW: Duration = Duration::from_secs(10);
        let key = Key { bytes: b"a", hash: 1 };
        let request = KeyRequest {
            op: Op::Get,
            form: Form::Classic { noreply: false },
            key,
            value: &[],
            value_len: 0,
            flags: 0,
            expires_s: 0,
            number: 0,
        };
        let time = Arc::new(SimulatedTime::default());
        let mut telemetry = Telemetry::new(Clock::Simulated(time.clone()), SLOW);
        time.advance(Duration::from_secs(1));
        telemetry.turn_begins(time.now());
        let unsampled = |telemetry: &mut Telemetry| {
            let sent = (0..100_000).map(|_| telemetry.sent(&request)).find(|sent| sent.weight == 0);
            sent.expect("a load at which not everything is a sample")
        };
        let sent = unsampled(&mut telemetry);
        telemetry.hears_answers();
        telemetry.came_back(&sent, -1);
        let fast = telemetry.slow_log.seen();
        let sent = unsampled(&mut telemetry);
        time.advance(SLOW);
        telemetry.hears_answers();
        telemetry.came_back(&sent, -1);
        assert_eq!((fast, telemetry.slow_log.seen()), (0, 1));
    }
}
