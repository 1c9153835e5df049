//! What an operator does while clients are served, over and over: the limit of memory goes down and up, by command and by
//! SIGHUP, as do the number of connections, the idle timeout and the requests of a turn; now and then everything is flushed. Each
//! change has to show. At the end of a cycle, when everything is as at its beginning and memory is full again, resident
//! memory is read.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::connection::Connection;
use crate::draw::Draw;
use crate::ledger::Ledger;
use crate::protocol::PROTOCOLS;
use crate::resident::median;
use crate::server::{PATIENCE, Server, Settings, wait_for};

/// Share of the limit of memory that is left when it is lowered.
const LOWERED_PERCENT: u64 = 75;
/// How long a lowered limit stays.
const LOWERED_FOR: Duration = Duration::from_millis(1500);
/// Connections that may come on top when their number is limited, and how many try.
const CONNECTIONS_LEFT: u64 = 8;
const CONNECTIONS_TRIED: usize = 60;
/// How long those misbehave that were let in.
const MISBEHAVING_FOR: Duration = Duration::from_millis(300);
/// So many times as many gets as one client otherwise leaves unread.
const UNREAD_TIMES: usize = 4;
/// What idle clients are given, and how much later the server may be.
const IDLE_TIMEOUT_S: u64 = 4;
const IDLE_SLACK: Duration = Duration::from_secs(10);
/// Clients that say nothing.
const SILENT: usize = 6;
/// Of the operator's draws; clients have small ones.
const SEED: u64 = 1 << 32;
/// In one cycle of so many everything is flushed.
const CYCLES_PER_FLUSH: u32 = 3;
/// Resident memory is read so many times, with so long between, and the median counts.
const READINGS: u32 = 20;
const READING_EVERY: Duration = Duration::from_millis(50);
/// Full memory: what is free of it, at most, in percent. A page or two is kept in reserve.
const FREE_MAX_PERCENT: u64 = 2;
/// How long clients may take to fill it.
const FULL_WITHIN: Duration = Duration::from_secs(120);

/// The settings between the changes.
pub fn usual(memory_mib: u64) -> Settings {
    Settings { memory_limit: memory_mib, conn_limit: 1024, max_reqs_per_event: 20, idle_timeout: 0 }
}

/// See the module comment.
pub struct Operator<'a> {
    ledger: &'a Ledger,
    usual: Settings,
    cycles: u32,
    draw: Draw<'a>,
}

impl<'a> Operator<'a> {
    /// For a server that was started with the [`usual`] settings.
    pub fn new(ledger: &'a Ledger, usual: Settings) -> Operator<'a> {
        Operator { ledger, usual, cycles: 0, draw: Draw::new(ledger, SEED) }
    }

    /// One cycle; resident memory at its end, in bytes.
    ///
    /// # Errors
    /// A change that does not show, a server that has ended.
    pub fn cycle(&mut self, server: &mut Server) -> Result<u64> {
        self.cycles += 1;
        if self.cycles.is_multiple_of(CYCLES_PER_FLUSH) {
            let began = Instant::now();
            server.ask("flush_all").context("flush_all")?;
            self.ledger.set_flushed(began);
        }
        let silent: Vec<Connection> = (0..SILENT)
            .map(|i| Connection::silent(server.address, PROTOCOLS[i % 3]))
            .collect::<Result<_>>()?;
        self.lower_the_limit(server).context("lowering the limit of memory")?;
        self.limit_connections(server).context("limiting connections")?;
        self.close_idle_ones(server, silent).context("closing idle connections")?;
        self.resident_when_full(server)
    }

    /// By command and by SIGHUP in turn.
    fn lower_the_limit(&self, server: &mut Server) -> Result<()> {
        let lowered = self.usual.memory_limit * LOWERED_PERCENT / 100;
        let by_command = self.cycles.is_multiple_of(2);
        for mib in [lowered, self.usual.memory_limit] {
            if by_command {
                server.ask(&format!("cache_memlimit {mib}"))?;
                wait_for(&format!("cache_memlimit {mib}"), PATIENCE, || {
                    Ok((server.limit_bytes()?.abs_diff(mib << 20) < 1 << 20).then_some(()))
                })?;
            } else {
                server.reload(Settings { memory_limit: mib, ..self.usual })?;
            }
            std::thread::sleep(if mib == lowered { LOWERED_FOR } else { Duration::ZERO });
        }
        Ok(())
    }

    /// With few places left some are let in and some are not; with the old limit all are.
    fn limit_connections(&mut self, server: &mut Server) -> Result<()> {
        let limit = server.stats("")?.get("curr_connections")? + CONNECTIONS_LEFT;
        server.reload(Settings { conn_limit: limit, max_reqs_per_event: 1, ..self.usual })?;
        let address = server.address;
        let enter = || -> Result<Vec<Option<Connection>>> {
            (0..CONNECTIONS_TRIED).map(|i| Connection::try_open(address, PROTOCOLS[i % 3])).collect()
        };
        let admitted = enter()?;
        let count = admitted.iter().flatten().count();
        if count == CONNECTIONS_TRIED {
            bail!("conn_limit {limit}: all of {count} further connections were let in");
        }
        drop(admitted);
        server.reload(Settings { max_reqs_per_event: 100, ..self.usual })?;
        let admitted = enter()?;
        match admitted.iter().flatten().count() {
            CONNECTIONS_TRIED => self.misbehave(admitted.into_iter().flatten().collect()),
            count => {
                bail!("only {count} of {CONNECTIONS_TRIED} connections were let in with the usual limit")
            }
        }
    }

    /// All at once they ask and do not read, or send parts of requests, and then go. That is more than clients do by chance at
    /// any moment, and happens in each cycle: what the server needs at its busiest it has had in the first ones, and resident memory
    /// grows no more for that.
    fn misbehave(&mut self, mut connections: Vec<Connection>) -> Result<()> {
        for (i, connection) in connections.iter_mut().enumerate() {
            let protocol = connection.protocol;
            let bytes = match i % 4 {
                0 => self.draw.half_request(protocol),
                _ => (0..UNREAD_TIMES).flat_map(|_| self.draw.gets(protocol)).collect(),
            };
            connection.burden(&bytes)?;
        }
        std::thread::sleep(MISBEHAVING_FOR);
        Ok(())
    }

    /// Silent ones are closed when there is a timeout.
    fn close_idle_ones(&self, server: &mut Server, silent: Vec<Connection>) -> Result<()> {
        server.reload(Settings { idle_timeout: IDLE_TIMEOUT_S, ..self.usual })?;
        let deadline = Instant::now() + Duration::from_secs(IDLE_TIMEOUT_S) + IDLE_SLACK;
        for connection in silent {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            if !connection.closes_within(left) {
                bail!(
                    "a silent connection is open {IDLE_SLACK:?} after its idle_timeout of {IDLE_TIMEOUT_S} s"
                );
            }
        }
        server.reload(self.usual)
    }

    fn resident_when_full(&self, server: &Server) -> Result<u64> {
        wait_for("memory to be full again", FULL_WITHIN, || {
            // An operator's scrape has the least share of a busy server, which on a busy machine gives up; clients do not.
            let figures = server.metrics()?;
            let Ok(free) = figures.sum("ringcached_memory_bytes{", "use=\"free\"") else {
                println!("soak: a scrape of metrics found none");
                return Ok(None);
            };
            let is_full = free * 100 <= server.limit_bytes()? * FREE_MAX_PERCENT;
            Ok((is_full || self.ledger.is_over()).then_some(()))
        })?;
        let reading = |_| {
            std::thread::sleep(READING_EVERY);
            server.status_bytes("VmRSS")
        };
        Ok(median((0..READINGS).map(reading).collect::<Result<_>>()?))
    }
}
