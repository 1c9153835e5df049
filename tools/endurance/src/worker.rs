//! One client: some connections, some keys that only it writes, and all keys to read. It sends batches at its share of the rate, checks
//! every answer, and has its connections end in every way, new ones in their place.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::connection::{Connection, LEAVINGS, Leaving};
use crate::draw::{Draw, VALUES};
use crate::ledger::Ledger;
use crate::protocol::{Answer, Found, Protocol, Request, VALUE_LEN_MIN};
use crate::slot::{Moment, Slot};

/// Numbers each client counts up.
pub const NUMBERS: u32 = 50;
const CONNECTIONS: usize = 6;
/// Most requests of a batch.
const BATCH_MAX: usize = 16;
/// A value beyond this is alone in its batch, so that a batch always fits the sockets' buffers: its answers are read when all of it
/// has been sent.
const BATCHED_LEN_MAX: u32 = 4 << 10;
/// One batch in so many ends its connection.
const BATCHES_PER_CONNECTION: u32 = 20;
/// A connection that has been idle for longer is not trusted: the server may be about to close it, because it has been told to
/// (`operator::IDLE_TIMEOUT_S`).
const IDLE_MAX: Duration = Duration::from_secs(2);
/// A client this late does not hurry to catch up.
const LATE_MAX: Duration = Duration::from_secs(1);
/// See the module comment.
pub struct Worker<'a> {
    ledger: &'a Ledger,
    address: SocketAddr,
    index: u32,
    draw: Draw<'a>,
    connections: Vec<Connection>,
    values: Vec<Slot>,
    numbers: Vec<Slot>,
    /// Between two requests.
    interval: Duration,
}

/// A request and what has to be known to judge its answer.
struct Asked {
    request: Request,
    /// Of a get: the version of each key that was acknowledged. Of a delete: its version.
    versions: Vec<u32>,
    /// Of a store bound to a CAS number: whether it is the right one.
    cas_was_right: Option<bool>,
}

fn asked(request: Request) -> Asked {
    Asked { request, versions: Vec::new(), cas_was_right: None }
}

impl<'a> Worker<'a> {
    /// Client number `index`, with so long between two requests.
    pub fn new(ledger: &'a Ledger, address: SocketAddr, index: u32, interval: Duration) -> Worker<'a> {
        Worker {
            ledger,
            address,
            index,
            draw: Draw::new(ledger, index.into()),
            connections: Vec::new(),
            values: vec![Slot::default(); VALUES as usize],
            numbers: vec![Slot::default(); NUMBERS as usize],
            interval,
        }
    }

    /// Goes on until the soak is over.
    ///
    /// # Errors
    /// The first wrong answer.
    pub fn run(mut self) -> Result<()> {
        let mut due = Instant::now();
        while !self.ledger.is_over() {
            let requests = self.round()?;
            due += self.interval * requests;
            let now = Instant::now();
            due = due.max(now.checked_sub(LATE_MAX).unwrap_or(now));
            std::thread::sleep(due.saturating_duration_since(now));
        }
        let connections = std::mem::take(&mut self.connections);
        connections.into_iter().try_for_each(|connection| self.end(connection))
    }

    /// One batch on one of the connections; how many requests it had.
    fn round(&mut self) -> Result<u32> {
        let mut connection = self.connection()?;
        let batch = self.batch(connection.protocol);
        let count = batch.len() as u32;
        let moment = Moment { at: Instant::now(), flushed: self.ledger.flushed() };
        let ledger = self.ledger;
        let requests: Vec<Request> = batch.iter().map(|asked| asked.request.clone()).collect();
        connection.exchange(&requests, &ledger.keys, |i, answer| self.judge(&batch[i], answer, moment))?;
        ledger.totals.requests.fetch_add(count.into(), Ordering::Relaxed);
        if self.draw.random.u32(..BATCHES_PER_CONNECTION) == 0 {
            self.end(connection)?;
        } else {
            self.connections.push(connection);
        }
        Ok(count)
    }

    /// One of the connections, taken from the list.
    fn connection(&mut self) -> Result<Connection> {
        while self.connections.len() < CONNECTIONS {
            self.connections.push(Connection::open(self.address, &mut self.draw.random)?);
            self.ledger.totals.connections.fetch_add(1, Ordering::Relaxed);
        }
        let connection = self.connections.swap_remove(self.draw.random.usize(..CONNECTIONS));
        if connection.used.elapsed() < IDLE_MAX {
            return Ok(connection);
        }
        drop(connection);
        self.connection()
    }

    /// Ends a connection in any way.
    fn end(&mut self, connection: Connection) -> Result<()> {
        let how = LEAVINGS[self.draw.random.usize(..LEAVINGS.len())];
        let (half, unread) = match how {
            Leaving::HalfRequest | Leaving::HalfRequestReset => {
                (self.draw.half_request(connection.protocol), Vec::new())
            }
            _ => (Vec::new(), self.draw.gets(connection.protocol)),
        };
        connection.leave(how, &half, &unread).with_context(|| format!("{how:?}"))
    }

    fn batch(&mut self, protocol: Protocol) -> Vec<Asked> {
        let len = self.draw.value_len();
        let mut batch = Vec::new();
        if len > BATCHED_LEN_MAX {
            batch.push(self.set(len, protocol, &batch));
        } else {
            for _ in 0..self.draw.random.usize(1..BATCH_MAX) {
                let next = self.request(protocol, &batch);
                batch.push(next);
            }
        }
        // Its answer proves that what is quiet before it has been done.
        let last = self.draw.value_of(self.index);
        batch.push(self.get(vec![last]));
        batch
    }

    fn get(&self, keys: Vec<u32>) -> Asked {
        let versions = keys.iter().map(|&key| self.ledger.known[key as usize].acknowledged()).collect();
        Asked { request: Request::Get { keys }, versions, cas_was_right: None }
    }

    fn request(&mut self, protocol: Protocol, before: &[Asked]) -> Asked {
        match self.draw.random.u32(..100) {
            0..60 => {
                let keys = self.draw.keys();
                self.get(keys)
            }
            60..80 => {
                let len = self.draw.random.u32(VALUE_LEN_MIN..BATCHED_LEN_MAX);
                self.set(len, protocol, before)
            }
            80..85 => {
                let key = self.draw.value_of(self.index);
                let version = self.ledger.known[key as usize].next();
                Asked { request: Request::Delete { key }, versions: vec![version], cas_was_right: None }
            }
            85..90 => {
                let lifetime_s = self.draw.lifetime_s();
                asked(Request::Touch { key: self.draw.value_of(self.index), lifetime_s })
            }
            _ => {
                let slot = self.draw.random.u32(..NUMBERS);
                let key = self.ledger.known.len() as u32 + self.index * NUMBERS + slot;
                if self.numbers[slot as usize].value().is_none() && self.draw.random.bool() {
                    return asked(Request::Number { key, number: self.draw.random.u64(..1 << 40) });
                }
                asked(Request::Count { key, by: self.draw.random.u64(..1000) })
            }
        }
    }

    fn set(&mut self, len: u32, protocol: Protocol, before: &[Asked]) -> Asked {
        let key = self.draw.value_of(self.index);
        let lifetime_s = self.draw.lifetime_s();
        let is_fresh = !before.iter().any(|asked| asked.request.writes(key));
        let cas = self.slot(key).cas().filter(|_| is_fresh && self.draw.random.bool());
        let cas_was_right = cas.map(|_| self.draw.random.u32(..4) > 0);
        let cas = cas.map(|cas| if cas_was_right == Some(false) { cas ^ (1 << 40) } else { cas });
        let quiet = protocol == Protocol::Classic && cas.is_none() && self.draw.random.u32(..8) == 0;
        let version = self.ledger.known[key as usize].next();
        let request = Request::Set { key, version, len, lifetime_s, cas, quiet };
        Asked { request, versions: Vec::new(), cas_was_right }
    }

    /// What is known of a value of its own.
    fn slot(&mut self, key: u32) -> &mut Slot {
        &mut self.values[(key - self.index * VALUES) as usize]
    }

    fn number(&mut self, key: u32) -> &mut Slot {
        let first = self.ledger.known.len() as u32 + self.index * NUMBERS;
        &mut self.numbers[(key - first) as usize]
    }

    /// Compares an answer with what is known, and learns from it.
    fn judge(&mut self, asked: &Asked, answer: Option<Answer>, moment: Moment) -> Result<()> {
        let known = &self.ledger.known;
        let (key, complaint) = match (&asked.request, &answer) {
            (Request::Get { keys }, Some(Answer::Found(found))) => {
                return self.judge_get(keys, &asked.versions, found, moment);
            }
            (&Request::Set { key, version, lifetime_s, .. }, answer) => {
                if *answer == Some(Answer::Done) {
                    known[key as usize].acknowledge(version);
                }
                self.count_refusal(answer.as_ref());
                let slot = self.slot(key);
                (key, slot.stored(answer.as_ref(), version.into(), lifetime_s, asked.cas_was_right, moment))
            }
            (&Request::Delete { key }, Some(answer)) => {
                asked.versions.iter().for_each(|&version| known[key as usize].acknowledge(version));
                (key, self.slot(key).deleted(answer, moment))
            }
            (&Request::Touch { key, lifetime_s }, Some(answer)) => {
                (key, self.slot(key).touched(answer, lifetime_s, moment))
            }
            (&Request::Number { key, number }, answer) => {
                self.count_refusal(answer.as_ref());
                (key, self.number(key).stored(answer.as_ref(), number, 0, None, moment))
            }
            (&Request::Count { key, by }, Some(answer)) => {
                (key, self.number(key).counted(answer, by, moment))
            }
            (request, answer) => bail!("{request:?} is answered with {answer:?}"),
        };
        complaint.map_err(|why| anyhow!("{}: {why}; {:?}", self.ledger.keys.text(key), asked.request))
    }

    fn count_refusal(&self, answer: Option<&Answer>) {
        let refused = u64::from(answer == Some(&Answer::Refused));
        self.ledger.totals.refused.fetch_add(refused, Ordering::Relaxed);
    }

    /// Values come in the order asked; those that are passed over are not there.
    fn judge_get(
        &mut self,
        keys: &[u32],
        acknowledged: &[u32],
        found: &[Found],
        moment: Moment,
    ) -> Result<()> {
        let ledger = self.ledger;
        let mut rest = found.iter().copied().peekable();
        for (&key, &acknowledged) in keys.iter().zip(acknowledged) {
            let found = rest.next_if(|found| found.key == key);
            let is_own = key / VALUES == self.index;
            let complaint = match found {
                _ if is_own => self.slot(key).read(found, moment),
                Some(found) => ledger.known[key as usize].allows(found.version, acknowledged),
                None => Ok(()),
            };
            complaint.map_err(|why| anyhow!("{}: {why}", ledger.keys.text(key)))?;
            let counter = if found.is_some() { &ledger.totals.hits } else { &ledger.totals.misses };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match rest.next() {
            Some(found) => bail!("a get of {keys:?} is answered with {}", ledger.keys.text(found.key)),
            None => Ok(()),
        }
    }
}

impl Request {
    /// Whether it may change the item of `key`.
    fn writes(&self, key: u32) -> bool {
        match *self {
            Request::Get { .. } => false,
            Request::Set { key: of, .. }
            | Request::Delete { key: of }
            | Request::Touch { key: of, .. }
            | Request::Number { key: of, .. }
            | Request::Count { key: of, .. } => of == key,
        }
    }
}
