//! The text of `stats`: what the shards report, added up, under memcached's names and in memcached's order.
//!
//! A key whose mechanism does not exist here is 0, never invented; `docs/using.md` lists them.

pub(super) mod classes;
mod general;
mod prefixes;
mod settings;
mod shards;
mod telemetry;
mod text;

use crate::options::Options;
use crate::shard::live::Live;
use crate::shard::snapshot::{Query, Snapshot, Topic};
use std::sync::Arc;
use std::time::Instant;
use text::Stats;

/// The ports that were bound, each 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP.
    pub tcp: u16,
    /// UDP.
    pub udp: u16,
}

/// Renders any report; made once, shared by all shards.
pub struct Reporter {
    options: Options,
    ports: Ports,
    /// In the place of the options that it has too.
    live: Arc<Live>,
    started: Instant,
}

impl Reporter {
    /// For a server with these options, listening on these ports, started now.
    pub fn new(options: Options, ports: Ports, live: Arc<Live>) -> Reporter {
        Reporter { options, ports, live, started: Instant::now() }
    }

    /// The text of a report, from the parts of all shards.
    pub fn render(&self, query: Query, shards: &[Snapshot]) -> Vec<u8> {
        let mut stats = Stats::default();
        match query.topic {
            Topic::General => general::write(&mut stats, self, shards),
            Topic::Settings => settings::write(&mut stats, self, &settings::Current::of(shards)),
            Topic::Items => classes::write_items(&mut stats, shards),
            Topic::Slabs => classes::write_slabs(&mut stats, shards),
            // Sizes are not tracked (`-o track_sizes` has no meaning here), which is memcached's default too.
            Topic::Sizes => stats.put("sizes_status", "disabled"),
            Topic::Conns => shards::write_conns(&mut stats, shards),
            Topic::Shards => shards::write_shards(&mut stats, shards),
            Topic::Detail => return prefixes::render(shards),
            Topic::Latency => telemetry::write_latency(&mut stats, shards),
            Topic::SlowLog => {
                telemetry::write_slow_log(&mut stats, self.options.slow_log_us, shards, query.rows)
            }
            Topic::HotKeys => telemetry::write_hot_keys(&mut stats, shards, query.rows),
            // Of several of these: `operate::metrics`.
            Topic::Metrics => {}
            Topic::BigKeys => telemetry::write_big_keys(&mut stats, shards, query.rows),
        }
        stats.end()
    }
}
