//! A shard's part of a call, and its report about itself.

use super::Shard;
use super::calls::{Call, Part, Todo};
use super::conn::{Conn, Life};
use super::datagrams::Datagrams;
use super::plan::receive_bytes;
use super::prefixes::PrefixCounts;
use super::snapshot::{ConnReport, Query, Snapshot, Topic, Work};
use super::upkeep::STORE_STEP;
use crate::net::{DatagramSocket, Kernel, Listener, listener};
use crate::store::{LargestWalk, LimitError};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::AsRawFd;
use std::time::Duration;

impl<K: Kernel> Shard<K> {
    /// A step towards what a call needs; true when all is there. Only the search for the largest items takes several.
    pub(super) fn is_prepared(&mut self, todo: &mut Todo) -> bool {
        let Call::Stats(Query { topic: Topic::BigKeys, rows: rows @ 1.. }) = todo.call else { return true };
        let keys = &mut self.core.keyspace;
        let walk = todo.walk.get_or_insert_with(|| LargestWalk::new(&keys.store, rows as usize));
        keys.store.walk_largest(walk, STORE_STEP, keys.now_s)
    }

    /// Does this shard's part of a call; what it has to say, if it is a report.
    pub(super) fn perform(&mut self, call: Call, walk: Option<LargestWalk>) -> Option<Part> {
        let core = &mut self.core;
        match call {
            Call::Flush(at_s) => {
                core.keyspace.store.flush(at_s, core.keyspace.now_s);
                // A first step towards giving the memory back; upkeep does the rest.
                core.keyspace.store.background(core.keyspace.now_s, STORE_STEP);
            }
            Call::ResetStats => {
                core.keyspace.counters = Default::default();
                core.keyspace.store.reset_counters();
                core.telemetry.reset();
                if let Some(prefixes) = &mut core.keyspace.prefixes {
                    prefixes.reset();
                }
            }
            Call::Detail(on) => core.keyspace.count_prefixes(on),
            Call::Limit => return self.limit_store(),
            Call::Crawl => core.keyspace.store.crawl_soon(),
            Call::List(step) => return Some(Part::Listed(step.run(&mut core.keyspace))),
            Call::Stats(query) => return Some(Part::Report(Box::new(self.snapshot(query, walk)))),
        }
        None
    }

    /// A new limit for the store; as near as it comes to one that is too low.
    pub(super) fn limit_store(&mut self) -> Option<Part> {
        self.limit_bytes_seen = self.core.settings.live.limit_bytes();
        let bytes = self.limit_bytes_seen as usize / self.core.shards;
        let store = &mut self.core.keyspace.store;
        let result = match store.set_limit(bytes) {
            Err(LimitError::TooSmall { least_bytes, .. }) => store.set_limit(least_bytes),
            result => result,
        };
        result.is_err().then_some(Part::Refused)
    }

    fn snapshot(&mut self, query: Query, walk: Option<LargestWalk>) -> Snapshot {
        let topic = query.topic;
        let rows_of = |listed| if topic == listed { query.rows as usize } else { 0 };
        let telemetry = &mut self.core.telemetry;
        let hot_keys = telemetry.hot_keys.top(rows_of(Topic::HotKeys), telemetry.now_ns());
        let telemetry = &self.core.telemetry;
        let service_times = if topic == Topic::Metrics { telemetry.latency.buckets() } else { Vec::new() };
        let latency = if topic == Topic::Latency { telemetry.latency.report() } else { Vec::new() };
        let (large_items, large_items_are_all) = walk.map(LargestWalk::result).unwrap_or_default();
        let store = &self.core.keyspace.store;
        let with_classes = matches!(topic, Topic::Items | Topic::Slabs | Topic::Metrics);
        let classes = (1..=store.class_max()).filter(|_| with_classes);
        Snapshot {
            shard: self.core.id,
            cpu: self.cpu,
            connections: self.conns.count() - self.datagrams.as_ref().map_or(0, Datagrams::under_way),
            listeners: self.listeners.iter().filter_map(Listener::fd).count() + self.udp_sockets().len(),
            accepting: self.accepting.is_open(),
            watchers: self.core.keyspace.journal.hub().count(self.core.id),
            udp_overruns: self.udp_sockets().iter().map(DatagramSocket::overruns).sum(),
            counters: self.core.keyspace.counters.clone(),
            store: *store.counters(),
            footprint: store.footprint(),
            classes: classes.filter_map(|class| Some((class, store.class_stats(class)?))).collect(),
            counts_prefixes: self.core.keyspace.prefixes.as_ref().is_some_and(|prefixes| prefixes.counting),
            prefixes: if topic == Topic::Detail { self.prefix_counts() } else { Vec::new() },
            conns: if topic == Topic::Conns { self.conn_reports() } else { Vec::new() },
            latency,
            service_times,
            slow_requests: telemetry.slow_log.latest(rows_of(Topic::SlowLog)),
            slow_requests_seen: telemetry.slow_log.seen(),
            hot_keys,
            large_items,
            large_items_are_all,
            buffer_bytes: self.buffer_bytes,
            work: if topic == Topic::Metrics { self.work() } else { Work::default() },
        }
    }

    fn work(&self) -> Work {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok();
        let time = |of: fn(&Usage) -> TimeVal| {
            let spent = usage.as_ref().map_or(TimeVal::zero(), of);
            Duration::from_micros(spent.num_microseconds().unsigned_abs())
        };
        Work {
            lived: self.core.settings.clock.now() - self.began,
            parked: self.parked,
            cpu_user: time(Usage::user_time),
            cpu_system: time(Usage::system_time),
            turns: self.common.pulse.turns_of(self.core.id),
            completions: self.completions,
            ring_backlog: self.ring.backlog_len(),
            receive_bytes: receive_bytes(self.core.shards),
            blocks_used: self.core.pool.in_use(),
            blocks: self.core.pool.in_use() + self.core.pool.available(),
            waiting_bytes: self.core.waiting_bytes,
            waiting_bytes_max: self.core.waiting_bytes_max,
        }
    }

    fn prefix_counts(&self) -> Vec<(Box<[u8]>, PrefixCounts)> {
        let prefixes = self.core.keyspace.prefixes.iter();
        prefixes.flat_map(|p| p.counts()).map(|(prefix, counts)| (prefix.into(), *counts)).collect()
    }

    fn conn_reports(&self) -> Vec<ConnReport> {
        let own = self.listeners.iter().filter_map(|listener| Some((listener.fd()?, listener)));
        let listeners = own.map(|(fd, listener)| ConnReport {
            fd,
            address: listener.name.clone(),
            is_udp: false,
            listen_address: None,
            state: "conn_listening",
            idle_s: self.core.keyspace.now_s,
        });
        let sockets = self.udp_sockets().iter().map(|socket| ConnReport {
            fd: socket.as_raw_fd(),
            address: socket.name.clone(),
            is_udp: true,
            listen_address: None,
            state: "conn_read",
            idle_s: self.core.keyspace.now_s,
        });
        let conns = self.conns.iter().filter(|conn| conn.datagram.is_none());
        listeners.chain(sockets).chain(conns.map(|conn| self.conn_report(conn))).collect()
    }

    fn udp_sockets(&self) -> &[DatagramSocket] {
        self.datagrams.as_ref().map_or(&[], |datagrams| &datagrams.sockets)
    }

    fn conn_report(&self, conn: &Conn) -> ConnReport {
        let (address, own) = listener::names_of(conn.fd);
        let state = match (conn.life, &conn.session) {
            (Life::Open, None) => "conn_waiting",
            (Life::Open, Some(session)) if session.is_watching() => "conn_watch",
            (Life::Open, Some(session)) if session.out.in_flight() => "conn_mwrite",
            (Life::Open, Some(_)) => "conn_parse_cmd",
            _ => "conn_closing",
        };
        let idle_s = self.core.keyspace.now_s.saturating_sub(conn.last_command_s);
        ConnReport { fd: conn.fd, address, is_udp: false, listen_address: Some(own), state, idle_s }
    }
}
