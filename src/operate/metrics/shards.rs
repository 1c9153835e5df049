//! What each shard tells of itself, under `ringcached_` and with its number as a label. docs/operating.md says what the numbers
//! mean for an operator.

use super::text::{Exposition, Kind, Label};
use crate::shard::snapshot::Snapshot;
use crate::shard::telemetry::latency::BUCKETS_NS;

/// One family of samples.
pub(super) struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: Value,
}

/// What one shard adds to it.
enum Value {
    /// One number.
    Number(fn(&Snapshot) -> f64),
    /// Samples with further labels.
    Samples(fn(&mut Exposition, &str, &Snapshot)),
}

impl Family {
    pub(super) fn begin(&self, text: &mut Exposition) {
        text.family(self.name, self.kind, self.help);
    }

    pub(super) fn write(&self, text: &mut Exposition, report: &Snapshot) {
        match self.value {
            Value::Number(of) => text.sample(self.name, &[("shard", &report.shard)], of(report)),
            Value::Samples(write) => write(text, self.name, report),
        }
    }
}

const fn counter(name: &'static str, help: &'static str, of: fn(&Snapshot) -> f64) -> Family {
    Family { name, kind: Kind::Counter, help, value: Value::Number(of) }
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&Snapshot) -> f64) -> Family {
    Family { name, kind: Kind::Gauge, help, value: Value::Number(of) }
}

/// All of them, in the order of the text.
pub(super) fn families() -> impl Iterator<Item = &'static Family> {
    [REQUESTS, CONNECTIONS, ITEMS, LOOP, BUFFERS].into_iter().flatten()
}

const REQUESTS: &[Family] = &[
    counter("ringcached_requests_total", "Keyed requests that clients sent to the shard.", |s| {
        (s.counters.cmd_local + s.counters.cmd_forwarded) as f64
    }),
    counter("ringcached_forwarded_requests_total", "Of these, sent to the shard that owns the key.", |s| {
        s.counters.cmd_forwarded as f64
    }),
    counter("ringcached_peer_requests_total", "Keyed requests done for clients of other shards.", |s| {
        s.counters.cmd_for_peers as f64
    }),
    counter(
        "ringcached_misrouted_requests_total",
        "Requests that came to the shard's own port though another shard owns the key.",
        |s| s.counters.misrouted as f64,
    ),
    counter("ringcached_slow_requests_total", "Requests in the slow log so far (--slow-log).", |s| {
        s.slow_requests_seen as f64
    }),
    Family {
        name: "ringcached_service_time_seconds",
        kind: Kind::Histogram,
        help: "Time from the parsed request to its written answer, by class of command; sampled under load.",
        value: Value::Samples(service_times),
    },
];

const CONNECTIONS: &[Family] = &[
    Family {
        name: "ringcached_shard_info",
        kind: Kind::Gauge,
        help: "The version of the server and the core of the shard.",
        value: Value::Samples(|text, name, s| {
            let version = env!("CARGO_PKG_VERSION");
            text.sample(name, &[("shard", &s.shard), ("core", &s.cpu), ("version", &version)], 1);
        }),
    },
    gauge("ringcached_connections", "Connections of clients.", |s| s.connections as f64),
    counter(
        "ringcached_placed_connections_total",
        "Fresh connections that came to live on the shard.",
        |s| s.counters.adopted as f64,
    ),
    counter(
        "ringcached_migrated_connections_total",
        "Connections that came from another shard, because their keys live here.",
        |s| s.counters.migrations as f64,
    ),
    gauge("ringcached_watchers", "Connections that watch.", |s| s.watchers as f64),
    counter("ringcached_udp_received_datagrams_total", "Datagrams received.", |s| {
        s.counters.udp_received as f64
    }),
    counter("ringcached_udp_sent_datagrams_total", "Datagrams sent.", |s| s.counters.udp_sent as f64),
    counter("ringcached_udp_dropped_datagrams_total", "Datagrams received that were no request.", |s| {
        s.counters.udp_dropped as f64
    }),
    counter("ringcached_udp_overruns_total", "Datagrams that the sockets had no room for.", |s| {
        s.udp_overruns as f64
    }),
];

const ITEMS: &[Family] = &[
    gauge("ringcached_items", "Items stored.", |s| s.store.curr_items as f64),
    gauge("ringcached_item_bytes", "Bytes of these items.", |s| s.store.bytes as f64),
    counter("ringcached_evicted_items_total", "Live items thrown out for lack of memory.", |s| {
        s.store.evictions as f64
    }),
    counter(
        "ringcached_expired_items_total",
        "Dead items whose memory was taken back, when it was needed or by the crawl.",
        |s| (s.store.reclaimed + s.store.crawler_reclaimed) as f64,
    ),
    gauge("ringcached_limit_bytes", "The shard's part of -m.", |s| s.footprint.limit_bytes as f64),
    Family {
        name: "ringcached_memory_bytes",
        kind: Kind::Gauge,
        help: "The pages of that memory, by use.",
        value: Value::Samples(memory),
    },
];

const LOOP: &[Family] = &[
    counter("ringcached_loop_busy_seconds_total", "Time that the loop had something to do.", |s| {
        s.work.lived.saturating_sub(s.work.parked).as_secs_f64()
    }),
    counter("ringcached_loop_parked_seconds_total", "Time that the loop slept.", |s| {
        s.work.parked.as_secs_f64()
    }),
    Family {
        name: "ringcached_cpu_seconds_total",
        kind: Kind::Counter,
        help: "CPU time of the shard's thread, in the program and in the kernel.",
        value: Value::Samples(|text, name, s| {
            for (mode, time) in [("user", s.work.cpu_user), ("system", s.work.cpu_system)] {
                text.sample(name, &[("shard", &s.shard), ("mode", &mode)], time.as_secs_f64());
            }
        }),
    },
    counter("ringcached_loop_turns_total", "Turns of the loop.", |s| s.work.turns as f64),
    counter("ringcached_ring_completions_total", "What the kernel has completed on the data ring.", |s| {
        s.work.completions as f64
    }),
    gauge("ringcached_ring_backlog", "Submissions that wait for room in the data ring.", |s| {
        s.work.ring_backlog as f64
    }),
];

const BUFFERS: &[Family] = &[
    gauge("ringcached_receive_buffer_bytes", "Receive buffers the shard lends to the kernel.", |s| {
        s.work.receive_bytes as f64
    }),
    counter(
        "ringcached_receive_buffer_shortages_total",
        "Receives that found no buffer free and were started again.",
        |s| s.counters.receive_no_buffer as f64,
    ),
    gauge("ringcached_send_blocks", "Send blocks there are.", |s| s.work.blocks as f64),
    gauge("ringcached_send_blocks_used", "Send blocks in use.", |s| s.work.blocks_used as f64),
    gauge("ringcached_waiting_bytes", "Bytes of requests and replies that wait in sessions.", |s| {
        s.work.waiting_bytes as f64
    }),
    gauge("ringcached_waiting_limit_bytes", "Waiting bytes from which on it is a crowd.", |s| {
        s.work.waiting_bytes_max as f64
    }),
    counter("ringcached_crowds_total", "Times that more waited than this.", |s| s.counters.crowds as f64),
];

/// Pages by use.
fn memory(text: &mut Exposition, name: &str, report: &Snapshot) {
    let f = &report.footprint;
    let uses = [
        ("items", f.pages_items),
        ("table", f.pages_table),
        ("ghost", f.pages_ghost),
        ("free", f.pages_free),
    ];
    for (what, pages) in uses {
        let bytes = u64::from(pages) * f.page_bytes as u64;
        text.sample(name, &[("shard", &report.shard), ("use", &what)], bytes);
    }
}

/// A histogram for each class that was asked for.
fn service_times(text: &mut Exposition, name: &str, report: &Snapshot) {
    let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
    for times in &report.service_times {
        let labels: [Label<'_>; 2] = [("shard", &report.shard), ("class", &times.class.name())];
        for (bound_ns, up_to) in BUCKETS_NS.iter().zip(times.up_to) {
            let bound_s = *bound_ns as f64 / 1e9;
            text.sample(&bucket, &[labels[0], labels[1], ("le", &bound_s)], up_to);
        }
        text.sample(&bucket, &[labels[0], labels[1], ("le", &"+Inf")], times.count);
        text.sample(&sum, &labels, times.sum_s);
        text.sample(&count, &labels, times.count);
    }
}
