//! One server under replay: its connections, what it answered, and what is counted of that.

use std::collections::HashSet;
use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::connection::{Connection, Written};
use crate::content;
use crate::request::{Op, Request};
use crate::series::Series;
use crate::server::Server;

/// What was asked of a server and how it went, for one part of the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The part's name.
    pub part: &'static str,
    /// Reads.
    pub gets: u64,
    /// Reads of what was not there.
    pub misses: u64,
    /// Stores and removals, those after misses included.
    pub writes: u64,
    /// Those of them that the server would not do.
    pub refused: u64,
}

impl Counts {
    /// Misses for each get; 0 without gets.
    pub fn miss_ratio(&self) -> f64 {
        if self.gets == 0 { 0.0 } else { self.misses as f64 / self.gets as f64 }
    }
}

/// A server and its state in the replay.
pub struct Target {
    /// How reports call it.
    pub name: String,
    /// Size of the cache, where the replay set it.
    pub memory_mib: Option<u64>,
    /// The process, where the replay started it.
    pub server: Option<Server>,
    /// Counts of each part of the workload, in the order of their first request.
    pub parts: Vec<Counts>,
    /// Misses over the run.
    pub series: Series,
    connections: Vec<Connection>,
    /// Requests of this round of the window: places in it.
    round: Vec<usize>,
    /// Those of them that write: a set, a delete, or a get that missed.
    writes: Vec<usize>,
    /// Gets of a key that this round found missing: they are not counted yet and make the next round.
    again: Vec<usize>,
}

impl Target {
    /// A target at `address`, with `connections` connections.
    pub fn open(name: String, address: SocketAddr, connections: usize) -> Result<Target> {
        let opened: Result<_> = (0..connections).map(|_| Connection::open(address)).collect();
        Ok(Target {
            connections: opened.with_context(|| name.clone())?,
            name,
            memory_mib: None,
            server: None,
            parts: Vec::new(),
            series: Series::new(),
            round: Vec::new(),
            writes: Vec::new(),
            again: Vec::new(),
        })
    }

    /// A key has one connection, so that its requests stay in order.
    fn connection(&mut self, key: &str) -> &mut Connection {
        let count = self.connections.len() as u64;
        let chosen = if count == 1 { 0 } else { content::key_hash(key) % count };
        &mut self.connections[chosen as usize]
    }

    fn send(&mut self) -> Result<()> {
        self.connections.iter_mut().try_for_each(Connection::send).with_context(|| self.name.clone())
    }

    /// Before a window of `requests`: all of them are in its first round.
    pub fn begin(&mut self, requests: usize) {
        self.again.clear();
        self.again.extend(0..requests);
    }

    /// Whether the window needs another round here.
    pub fn has_more(&self) -> bool {
        !self.again.is_empty()
    }

    /// Begins a round of `window` and sends its gets.
    pub fn send_gets(&mut self, window: &[Request]) -> Result<()> {
        self.round = std::mem::take(&mut self.again);
        self.writes.clear();
        for i in 0..self.round.len() {
            let request = &window[self.round[i]];
            if request.op == Op::Get {
                self.connection(&request.key).ask_get(&request.key);
            }
        }
        self.send()
    }

    /// Reads their answers and sorts out what is to be written and what is to be asked again.
    pub fn read_gets(&mut self, window: &[Request]) -> Result<()> {
        let mut missing = HashSet::new();
        for at in std::mem::take(&mut self.round) {
            let request = &window[at];
            if request.op != Op::Get {
                self.writes.push(at);
                continue;
            }
            let missed = !self.read_get(&request.key)?;
            if missing.contains(request.key.as_str()) {
                self.again.push(at);
                continue;
            }
            if missed {
                missing.insert(request.key.as_str());
                self.writes.push(at);
            }
            let counts = self.counts(request.part);
            counts.gets += 1;
            counts.misses += u64::from(missed);
            self.series.note(missed);
        }
        Ok(())
    }

    fn read_get(&mut self, key: &str) -> Result<bool> {
        self.connection(key).read_get(key).with_context(|| self.name.clone())
    }

    /// Sends the writes of the round, in the order of the window.
    pub fn send_writes(&mut self, window: &[Request]) -> Result<()> {
        for i in 0..self.writes.len() {
            let request = &window[self.writes[i]];
            let connection = self.connection(&request.key);
            match request.op {
                Op::Get | Op::Set => connection.ask_set(&request.key, request.value_len(), request.ttl_s),
                Op::Delete => connection.ask_delete(&request.key),
            }
        }
        self.send()
    }

    /// Reads what became of them.
    pub fn read_writes(&mut self, window: &[Request]) -> Result<()> {
        for at in std::mem::take(&mut self.writes) {
            let Request { key, part, .. } = &window[at];
            let written = self.connection(key).read_written(key).with_context(|| self.name.clone())?;
            let counts = self.counts(part);
            counts.writes += 1;
            counts.refused += u64::from(written == Written::Refused);
        }
        Ok(())
    }

    fn counts(&mut self, part: &'static str) -> &mut Counts {
        let known = self.parts.iter().rposition(|counts| counts.part == part);
        let at = known.unwrap_or_else(|| {
            self.parts.push(Counts { part, ..Counts::default() });
            self.parts.len() - 1
        });
        &mut self.parts[at]
    }

    /// All parts together.
    pub fn total(&self) -> Counts {
        let mut total = Counts { part: "all", ..Counts::default() };
        for counts in &self.parts {
            total.gets += counts.gets;
            total.misses += counts.misses;
            total.writes += counts.writes;
            total.refused += counts.refused;
        }
        total
    }

    /// Items the server says it holds.
    pub fn items(&mut self) -> Result<u64> {
        self.connections[0].stat("curr_items").with_context(|| self.name.clone())
    }
}
