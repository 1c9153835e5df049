//! A shard's part of a call, and its report about itself.

use super::Shard;
use super::calls::Call;
use super::conn::{Conn, Life};
use super::snapshot::{ConnReport, Snapshot, Topic};
use super::upkeep::STORE_STEP;
use crate::net::listener;
use std::os::fd::AsRawFd;

impl Shard {
    /// Does this shard's part of a call; what it has to say, if it is a report.
    pub(super) fn perform(&mut self, call: Call) -> Option<Snapshot> {
        let core = &mut self.core;
        match call {
            Call::Flush(at_s) => {
                core.store.flush(at_s, core.now_s);
                // A first step towards giving the memory back; upkeep does the rest.
                core.store.background(core.now_s, STORE_STEP);
            }
            Call::ResetStats => {
                core.counters = Default::default();
                core.store.reset_counters();
            }
            Call::Stats(topic) => return Some(self.snapshot(topic)),
        }
        None
    }

    fn snapshot(&self, topic: Topic) -> Snapshot {
        let store = &self.core.store;
        let with_classes = matches!(topic, Topic::Items | Topic::Slabs);
        let classes = (1..=store.class_max()).filter(|_| with_classes);
        Snapshot {
            shard: self.core.id,
            cpu: self.cpu,
            connections: self.conns.count(),
            listeners: self.listeners.len(),
            accepting: self.accepting.is_open(),
            counters: self.core.counters.clone(),
            store: *store.counters(),
            footprint: store.footprint(),
            classes: classes.filter_map(|class| Some((class, store.class_stats(class)?))).collect(),
            conns: if topic == Topic::Conns { self.conn_reports() } else { Vec::new() },
            buffer_bytes: self.buffer_bytes,
        }
    }

    fn conn_reports(&self) -> Vec<ConnReport> {
        let listeners = self.listeners.iter().map(|listener| ConnReport {
            fd: listener.as_raw_fd(),
            address: listener.name.clone(),
            listen_address: None,
            state: "conn_listening",
            idle_s: self.core.now_s,
        });
        listeners.chain(self.conns.iter().map(|conn| self.conn_report(conn))).collect()
    }

    fn conn_report(&self, conn: &Conn) -> ConnReport {
        let (address, own) = listener::names_of(conn.fd);
        let state = match (conn.life, &conn.session) {
            (Life::Open, None) => "conn_waiting",
            (Life::Open, Some(session)) if session.out.in_flight() => "conn_mwrite",
            (Life::Open, Some(_)) => "conn_parse_cmd",
            _ => "conn_closing",
        };
        let idle_s = self.core.now_s.saturating_sub(conn.last_command_s);
        ConnReport { fd: conn.fd, address, listen_address: Some(own), state, idle_s }
    }
}
