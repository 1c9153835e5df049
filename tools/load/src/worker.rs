//! One thread of the load: its connections, its ring, its share of the requests.
//!
//! One turn: make the requests that are due, submit all sends with the call that waits for what comes, read what has come. In
//! a closed loop every answer makes room for a request, which is made at once. In an open loop request i of the
//! thread is due at `start + i * interval` and belongs to connection `i % connections`, so that nothing has to be kept of requests that
//! wait: connection c's k-th is request `k * connections + c`. It waits if the window is full, and its latency counts
//! from when it was due.

use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::args::Ratio;
use crate::connection::Connection;
use crate::draw::{KeyDraw, Sizes};
use crate::keys::Keys;
use crate::protocol::Protocol;
use crate::ring::{Event, Ring};
use crate::tally::Tally;
use crate::target::Socket;

/// A server that answers nothing for so long ends the run.
const ANSWERS_WITHIN_NS: u64 = 30_000_000_000;
/// A datagram without an answer is lost after so long.
const DATAGRAM_WITHIN_NS: u64 = 250_000_000;
/// Pause between two looks for such things.
const LOOK_EVERY_NS: u64 = 20_000_000;
/// A request that is due sooner than this is waited for awake: a sleep would end late.
const AWAKE_NS: u64 = 50_000;
/// Sizes of a receive buffer, and how many there may be.
const BUFFER_BYTES: (usize, usize) = (4 << 10, 64 << 10);
const BUFFERS: (usize, usize) = (64, 4096);
/// Memory for the receive buffers of a thread.
const BUFFERS_BYTES_MAX: usize = 32 << 20;
/// Numbers drawn for a key of one shard before the next one up is taken: with 256 shards one of a million draws gets so far.
const DRAWS_MAX: usize = 4096;

/// What the requests are.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// Each key is stored once.
    Fill,
    /// Keys are drawn.
    Load {
        /// Sets and gets.
        ratio: Ratio,
        /// Which key.
        draw: KeyDraw,
        /// Keys of a get.
        keys_per_get: u32,
        /// Length of the run.
        seconds: Option<u64>,
        /// Open loop: ns from one request of this thread to the next, and from the start to the first.
        interval_ns: Option<(f64, f64)>,
    },
}

/// What a thread needs to know; shared by all.
pub struct Plan<'a> {
    /// What is spoken.
    pub protocol: Protocol,
    /// The keys.
    pub keys: &'a Keys,
    /// How long values are.
    pub sizes: &'a Sizes,
    /// Requests under way on a connection.
    pub pipeline: usize,
    /// All threads start together.
    pub barrier: &'a Barrier,
    /// The run is to end at once.
    pub stop: &'a AtomicBool,
    /// Requests answered so far.
    pub answered: &'a AtomicU64,
}

/// One thread.
pub struct Worker<'a> {
    plan: &'a Plan<'a>,
    job: Job,
    ring: Ring,
    connections: Vec<Connection>,
    /// Connections that have something to send.
    unsent: Vec<u32>,
    random: SmallRng,
    /// Makes each stored value another one.
    version: u32,
    clock: Instant,
    /// Open loop: requests that will yet be due.
    left: u64,
    /// Open loop: requests that were due so far.
    due: u64,
    under_way: usize,
    /// Sends tell of failures only: with one request under way its answer says that it was sent.
    quiet: bool,
    tally: Tally,
    answered: u64,
}

/// A connection to be made of a socket.
pub struct Seat {
    /// The socket.
    pub socket: Socket,
    /// When filling, the first key it stores and the first that is another's.
    pub to_store: (u32, u32),
    /// Requests it may make. Each has its own, or else one shard could get most of them by being the faster one.
    pub requests: u64,
}

/// What is special of one thread.
pub struct Share {
    /// Its number.
    pub thread: usize,
    /// The core it is pinned to.
    pub core: Option<usize>,
    /// Its part of the requests.
    pub job: Job,
    /// Its connections.
    pub seats: Vec<Seat>,
    /// Seed of what it draws.
    pub seed: u64,
}

/// Runs a thread's share.
///
/// # Errors
/// A wrong value, a connection that ends, a server that does not answer.
pub fn run(plan: &Plan<'_>, share: Share) -> Result<Tally> {
    let prepared = prepare(plan, &share);
    plan.barrier.wait();
    let mut worker = prepared?;
    worker.clock = Instant::now();
    let cpu_before_s = cpu_s()?;
    worker.turns()?;
    worker.tally.elapsed_s = worker.clock.elapsed().as_secs_f64();
    worker.tally.cpu_s = cpu_s()? - cpu_before_s;
    Ok(worker.tally)
}

/// CPU time of the calling thread.
fn cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).context("getrusage")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn prepare<'a>(plan: &'a Plan<'a>, share: &Share) -> Result<Worker<'a>> {
    if let Some(core) = share.core {
        let mut set = CpuSet::new();
        set.set(core)
            .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
            .with_context(|| format!("--cores: core {core}"))?;
    }
    let keys_max = if let Job::Load { keys_per_get, .. } = share.job { keys_per_get as usize } else { 1 };
    let fds: Vec<_> = share.seats.iter().map(|seat| seat.socket.as_raw_fd()).collect();
    let answer_bytes = (plan.sizes.mean() as usize + plan.keys.key_len() + 64) * keys_max * plan.pipeline;
    let size = answer_bytes.next_power_of_two().clamp(BUFFER_BYTES.0, BUFFER_BYTES.1);
    let count = (2 * fds.len()).next_power_of_two().clamp(BUFFERS.0, BUFFERS.1.min(BUFFERS_BYTES_MAX / size));
    let ring =
        Ring::new(&fds, count as u16, size as u32).context("io_uring (it needs Linux 6.1 or newer)")?;
    let connection = |seat: &Seat| {
        let mut conn = Connection::new(plan.protocol, seat.socket.shard, plan.pipeline, keys_max);
        (conn.to_store, conn.left) = (seat.to_store, seat.requests);
        conn.is_open = matches!(share.job, Job::Load { interval_ns: Some(_), .. });
        conn
    };
    Ok(Worker {
        plan,
        job: share.job,
        ring,
        connections: share.seats.iter().map(connection).collect(),
        unsent: Vec::with_capacity(fds.len()),
        random: SmallRng::seed_from_u64(share.seed),
        version: share.thread as u32,
        clock: Instant::now(),
        left: share.seats.iter().fold(0, |sum, seat| sum.saturating_add(seat.requests)),
        due: 0,
        under_way: 0,
        quiet: plan.pipeline == 1,
        tally: Tally::default(),
        answered: 0,
    })
}

impl Worker<'_> {
    fn now_ns(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    fn turns(&mut self) -> Result<()> {
        let end_ns = match self.job {
            Job::Load { seconds: Some(seconds), .. } => seconds * 1_000_000_000,
            _ => u64::MAX,
        };
        for conn in 0..self.connections.len() as u32 {
            self.ring.receive(conn)?;
        }
        if self.interval_ns().is_none() {
            let now_ns = self.now_ns();
            (0..self.connections.len()).for_each(|conn| self.make_room_used(conn, now_ns));
        }
        let mut events = Vec::with_capacity(crate::ring::EVENTS_MAX);
        let (mut answered_ns, mut looked_ns, mut has_ended) = (0, 0, false);
        loop {
            let now_ns = self.now_ns();
            if now_ns >= end_ns && !has_ended {
                has_ended = true;
                self.make_due(end_ns - 1, now_ns);
                self.end(now_ns);
            }
            self.make_due(now_ns, now_ns);
            self.send_all()?;
            if self.is_done() || self.plan.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.ring.enter(self.wait(now_ns))?;
            let answered_before = self.answered;
            self.ring.reap(&mut events);
            for event in events.drain(..) {
                self.act(event)?;
            }
            self.ring.publish();
            if self.answered != answered_before || self.under_way == 0 {
                answered_ns = now_ns;
                self.plan.answered.fetch_add(self.answered - answered_before, Ordering::Relaxed);
            }
            if now_ns - looked_ns > LOOK_EVERY_NS {
                looked_ns = now_ns;
                self.look(now_ns, answered_ns)?;
            }
        }
    }

    fn interval_ns(&self) -> Option<(f64, f64)> {
        if let Job::Load { interval_ns, .. } = self.job { interval_ns } else { None }
    }

    /// When request `i` of the thread is due.
    fn due_ns(&self, i: u64) -> u64 {
        self.interval_ns().map_or(0, |(interval, first)| (first + i as f64 * interval) as u64)
    }

    fn is_done(&self) -> bool {
        // In a closed loop what may be made is made.
        let is_open = self.interval_ns().is_some();
        self.under_way == 0
            && (!is_open || self.left == 0 && self.connections.iter().all(|conn| conn.made == conn.due))
    }

    /// How long nothing is due.
    fn wait(&self, now_ns: u64) -> Option<Duration> {
        let look = Duration::from_nanos(LOOK_EVERY_NS);
        if self.interval_ns().is_none() || self.left == 0 {
            return Some(look);
        }
        let wait_ns = self.due_ns(self.due).saturating_sub(now_ns);
        (wait_ns > AWAKE_NS).then(|| Duration::from_nanos(wait_ns - AWAKE_NS).min(look))
    }

    /// Open loop: makes the requests that are due until then, on connections that have room.
    fn make_due(&mut self, until_ns: u64, now_ns: u64) {
        if self.interval_ns().is_none() {
            return;
        }
        while self.left > 0 && self.due_ns(self.due) <= until_ns {
            let at = (self.due % self.connections.len() as u64) as usize;
            let late_ns = now_ns - self.due_ns(self.due);
            self.due += 1;
            self.left -= 1;
            let conn = &mut self.connections[at];
            let waits = conn.made < conn.due || !conn.has_room();
            conn.due += 1;
            if waits {
                self.tally.held += 1;
            } else {
                self.tally.lateness.saturating_record(late_ns);
                self.make_room_used(at, now_ns);
            }
        }
    }

    /// The time is over: no further requests. What was due and not made has waited until now.
    fn end(&mut self, now_ns: u64) {
        self.left = 0;
        self.connections.iter_mut().for_each(|conn| conn.left = 0);
        let count = self.connections.len() as u64;
        for at in 0..self.connections.len() {
            while self.connections[at].made < self.connections[at].due {
                let due_ns = self.due_ns(self.connections[at].made * count + at as u64);
                self.tally.gets.saturating_record(now_ns.saturating_sub(due_ns));
                self.tally.unsent += 1;
                self.connections[at].made += 1;
            }
        }
    }

    /// Makes as many requests on a connection as may be.
    #[inline]
    fn make_room_used(&mut self, at: usize, now_ns: u64) {
        let made_before = self.under_way;
        let open = self.interval_ns().is_some();
        self.connections[at].made_ns = now_ns;
        while self.connections[at].has_room() {
            let due_ns = if open {
                let conn = &mut self.connections[at];
                if conn.made == conn.due {
                    break;
                }
                let i = conn.made * self.connections.len() as u64 + at as u64;
                self.connections[at].made += 1;
                self.due_ns(i)
            } else {
                now_ns
            };
            if !self.make(at, due_ns) {
                break;
            }
            self.under_way += 1;
        }
        if self.under_way > made_before {
            self.unsent.push(at as u32);
        }
    }

    /// Makes one request; false if there is none to make.
    #[inline]
    fn make(&mut self, at: usize, due_ns: u64) -> bool {
        let Worker { plan, job, connections, random, version, .. } = self;
        let (keys, conn) = (plan.keys, &mut connections[at]);
        match job {
            Job::Fill => {
                let (next, end) = &mut conn.to_store;
                while *next < *end && !keys.is_at(*next, conn.shard) {
                    *next += 1;
                }
                if next == end {
                    return false;
                }
                let id = *next;
                *next += 1;
                conn.set(keys, due_ns, id, *version, plan.sizes.draw(random));
            }
            Job::Load { ratio, draw, keys_per_get, interval_ns, .. } => {
                if interval_ns.is_none() {
                    if conn.left == 0 {
                        return false;
                    }
                    conn.left -= 1;
                }
                let shard = conn.shard;
                let key = |random: &mut SmallRng| draw_at(draw, keys, shard, random);
                if random.random_range(0..ratio.sets + ratio.gets) < ratio.sets {
                    *version = version.wrapping_add(1);
                    let (id, len) = (key(random), plan.sizes.draw(random));
                    conn.set(keys, due_ns, id, *version, len);
                } else {
                    conn.get(keys, due_ns, *keys_per_get, || key(random));
                }
            }
        }
        true
    }

    fn send_all(&mut self) -> Result<()> {
        for at in self.unsent.drain(..) {
            if let Some(bytes) = self.connections[at as usize].start_send() {
                self.tally.sent_bytes += bytes.len() as u64;
                self.ring.send(at, bytes, self.quiet)?;
            }
        }
        Ok(())
    }

    fn act(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Received { conn: at, buffer, len, armed } => {
                let now_ns = self.now_ns();
                let conn = &mut self.connections[at as usize];
                let before = conn.under_way();
                let bytes = self.ring.received(buffer, len);
                conn.read(bytes, self.plan.keys, now_ns, self.quiet, &mut self.tally)?;
                let answered = before - conn.under_way();
                self.ring.recycle(buffer);
                self.under_way -= answered;
                self.answered += answered as u64;
                if answered > 0 {
                    self.make_room_used(at as usize, now_ns);
                }
                if !armed {
                    self.ring.receive(at)?;
                }
            }
            Event::ReceiveEnded { conn, errno: libc::ENOBUFS } => self.ring.receive(conn)?,
            // A datagram found nobody; its answer will not come.
            Event::ReceiveEnded { conn, errno } if self.plan.protocol == Protocol::Udp => {
                if errno == libc::ECONNREFUSED {
                    bail!("nobody listens for datagrams there");
                }
                self.ring.receive(conn)?;
            }
            Event::ReceiveEnded { conn, errno: 0 } => bail!("the server closed connection {}", conn + 1),
            Event::ReceiveEnded { conn, errno } => {
                return Err(anyhow!(std::io::Error::from_raw_os_error(errno))
                    .context(format!("connection {}", conn + 1)));
            }
            Event::Sent { conn, result } => self.after_send(conn, result)?,
        }
        Ok(())
    }

    fn after_send(&mut self, at: u32, result: i32) -> Result<()> {
        let Ok(len) = usize::try_from(result) else {
            let error = std::io::Error::from_raw_os_error(-result);
            return Err(anyhow!(error).context(format!("sending on connection {}", at + 1)));
        };
        if let Some(rest) = self.connections[at as usize].sent(len) {
            self.ring.send(at, rest, self.quiet)?;
        } else {
            self.unsent.push(at); // if more was made meanwhile
        }
        Ok(())
    }

    /// Looks for what has not come.
    fn look(&mut self, now_ns: u64, answered_ns: u64) -> Result<()> {
        if self.plan.protocol == Protocol::Udp {
            for at in 0..self.connections.len() {
                let conn = &mut self.connections[at];
                if conn.under_way() > 0 && now_ns.saturating_sub(conn.made_ns) > DATAGRAM_WITHIN_NS {
                    conn.give_up();
                    self.tally.lost += 1;
                    self.under_way -= 1;
                    self.make_room_used(at, now_ns);
                }
            }
        } else if now_ns.saturating_sub(answered_ns) > ANSWERS_WITHIN_NS {
            bail!("no answer for {} s to {} requests", ANSWERS_WITHIN_NS / 1_000_000_000, self.under_way);
        }
        Ok(())
    }
}

/// A key that may be asked for on a connection to `shard`.
#[inline]
fn draw_at(draw: &KeyDraw, keys: &Keys, shard: Option<u16>, random: &mut SmallRng) -> u32 {
    let mut id = draw.draw(random);
    for _ in 0..DRAWS_MAX {
        if keys.is_at(id, shard) {
            return id;
        }
        id = draw.draw(random);
    }
    (id..keys.count()).chain(0..id).find(|&id| keys.is_at(id, shard)).unwrap_or(id)
}
