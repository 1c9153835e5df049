//! The metrics of memcached_exporter, made as it makes them: from the lines of `stats` and `stats settings`, and from what `stats items`
//! and `stats slabs` show (by class there are too many lines to write and read again each time). Names, labels and values are its own, so that dashboards and alerts for memcached work unchanged; so are the types, but
//! where a counter's name does not end in `_total`, which promtool objects to.
//! Source: github.com/prometheus/memcached_exporter, `pkg/exporter/exporter.go` at 17e002c. What it makes of a second tier or a proxy is
//! not here, as neither is in `stats`.

use super::Pace;
use super::text::{Exposition, Kind, Label};
use crate::operate::stats::Reporter;
use crate::operate::stats::classes::malloced_bytes;
use crate::shard::snapshot::{Snapshot, Topic};
use crate::store::{ClassCounters, ClassStats};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use Kind::{Counter, Gauge, Untyped};

/// A metric of one line: its name without `memcached_`, its type, what it is, the line.
type Row = (&'static str, Kind, &'static str, &'static str);

const GENERAL: &[Row] = &[
    ("uptime_seconds", Gauge, "Seconds since the start.", "uptime"),
    ("time_seconds", Gauge, "The server's clock, in seconds since 1970.", "time"),
    ("process_user_cpu_seconds_total", Counter, "CPU time in the program.", "rusage_user"),
    ("process_system_cpu_seconds_total", Counter, "CPU time in the kernel.", "rusage_system"),
    ("current_bytes", Gauge, "Bytes of all items.", "bytes"),
    ("limit_bytes", Gauge, "Bytes that items may take (-m).", "limit_maxbytes"),
    ("current_items", Gauge, "Items stored.", "curr_items"),
    ("items_total", Counter, "Items ever stored.", "total_items"),
    ("read_bytes_total", Counter, "Bytes received from clients.", "bytes_read"),
    ("written_bytes_total", Counter, "Bytes sent to clients.", "bytes_written"),
    ("current_connections", Gauge, "Connections of clients.", "curr_connections"),
    ("connections_total", Counter, "Connections ever accepted.", "total_connections"),
    ("connections_rejected_total", Counter, "Connections refused beyond -c.", "rejected_connections"),
    ("connections_yielded_total", Counter, "Times that a connection had done -R requests.", "conn_yields"),
    (
        "connections_listener_disabled_total",
        Counter,
        "Times that accepting paused at the limit of connections.",
        "listen_disabled_num",
    ),
    ("accepting_connections", Gauge, "Whether connections are accepted.", "accepting_conns"),
    ("items_evicted_total", Counter, "Live items thrown out for lack of memory.", "evictions"),
    ("items_reclaimed_total", Counter, "Dead items found when memory was needed.", "reclaimed"),
    ("item_too_large_total", Counter, "Stores refused for the size of the item.", "store_too_large"),
    ("item_no_memory_total", Counter, "Stores refused for lack of memory.", "store_no_memory"),
    ("direct_reclaims_total", Counter, "Always 0: there is no such step here.", "direct_reclaims"),
    ("lru_crawler_starts_total", Counter, "Always 0: the crawl never stops.", "lru_crawler_starts"),
    ("lru_crawler_items_checked_total", Counter, "Items the crawl looked at.", "crawler_items_checked"),
    ("lru_crawler_reclaimed_total", Counter, "Dead items the crawl found.", "crawler_reclaimed"),
    ("lru_crawler_moves_to_cold_total", Counter, "Always 0: one order of items.", "moves_to_cold"),
    ("lru_crawler_moves_to_warm_total", Counter, "Always 0: one order of items.", "moves_to_warm"),
    ("lru_crawler_moves_within_lru_total", Counter, "Always 0: one order of items.", "moves_within_lru"),
];

const SETTINGS: &[Row] = &[
    ("max_connections", Gauge, "The limit of connections (-c).", "maxconns"),
    ("lru_crawler_enabled", Gauge, "Whether dead items are looked for.", "lru_crawler"),
    ("lru_crawler_sleep", Gauge, "Always 0: the crawl goes by steps.", "lru_crawler_sleep"),
    ("lru_crawler_to_crawl", Gauge, "Always 0: the crawl has no end.", "lru_crawler_tocrawl"),
    ("lru_crawler_maintainer_thread", Gauge, "Always 0: no such thread.", "lru_maintainer_thread"),
    ("lru_crawler_hot_percent", Gauge, "Always 0: one order of items.", "hot_lru_pct"),
    ("lru_crawler_warm_percent", Gauge, "Always 0: one order of items.", "warm_lru_pct"),
    ("lru_crawler_hot_max_factor", Gauge, "Always 0: one order of items.", "hot_max_factor"),
    ("lru_crawler_warm_max_factor", Gauge, "Always 0: one order of items.", "warm_max_factor"),
];

/// The same of a size class.
type ClassRow = (&'static str, Kind, &'static str, fn(&ClassStats) -> u64);

/// Of `stats items`, for classes with items.
const ITEMS: &[ClassRow] = &[
    ("slab_current_items", Gauge, "Items of the class.", |c| c.counters.number),
    ("slab_items_age_seconds", Gauge, "Seconds since the oldest item was used.", |c| c.age_s.into()),
    ("slab_items_crawler_reclaimed_total", Counter, "Dead items the crawl found.", |c| {
        c.counters.crawler_reclaimed
    }),
    ("slab_items_evicted_total", Counter, "Live items thrown out for lack of memory.", |c| {
        c.counters.evicted
    }),
    ("slab_items_evicted_nonzero_total", Counter, "Of these, with an expiry time.", |c| {
        c.counters.evicted_nonzero
    }),
    ("slab_items_evicted_time_seconds", Gauge, "How long the last of these was unused.", |c| {
        c.counters.evicted_time_s.into()
    }),
    ("slab_items_evicted_unfetched_total", Counter, "Evicted items never read.", |c| {
        c.counters.evicted_unfetched
    }),
    ("slab_items_expired_unfetched_total", Counter, "Expired items never read.", |c| {
        c.counters.expired_unfetched
    }),
    ("slab_items_outofmemory_total", Counter, "Stores refused for lack of memory.", |c| {
        c.counters.outofmemory
    }),
    ("slab_items_reclaimed_total", Counter, "Dead items found when memory was needed.", |c| {
        c.counters.reclaimed
    }),
    ("slab_items_tailrepairs_total", Counter, "Always 0: nothing to repair.", |_| 0),
    ("slab_mem_requested_bytes", Gauge, "Bytes that the items asked for.", |c| c.counters.mem_requested),
    ("slab_items_moves_to_cold", Untyped, "Always 0: one order of items.", |_| 0),
    ("slab_items_moves_to_warm", Untyped, "Always 0: one order of items.", |_| 0),
    ("slab_items_moves_within_lru", Untyped, "Always 0: one order of items.", |_| 0),
    ("slab_hot_items", Gauge, "Always 0: one order of items.", |_| 0),
    ("slab_warm_items", Gauge, "Always 0: one order of items.", |_| 0),
    ("slab_cold_items", Gauge, "All items, as there is one order.", |c| c.counters.number),
    ("slab_hot_age_seconds", Gauge, "Always 0: one order of items.", |_| 0),
    ("slab_warm_age_seconds", Gauge, "Always 0: one order of items.", |_| 0),
];

/// Of `stats slabs`, for classes with pages.
const SLABS: &[ClassRow] = &[
    ("slab_chunk_size_bytes", Gauge, "Bytes of a chunk.", |c| c.chunk_size as u64),
    ("slab_chunks_per_page", Gauge, "Chunks of a page.", |c| c.chunks_per_page.into()),
    ("slab_current_pages", Gauge, "Pages of the class.", |c| c.total_pages.into()),
    ("slab_current_chunks", Gauge, "Chunks of the class.", |c| {
        u64::from(c.used_chunks) + u64::from(c.free_chunks)
    }),
    ("slab_chunks_used", Gauge, "Chunks in use.", |c| c.used_chunks.into()),
    ("slab_chunks_free", Gauge, "Chunks not in use.", |c| c.free_chunks.into()),
    ("slab_chunks_free_end", Gauge, "Always 0: pages are cut at once.", |_| 0),
];

/// What is counted of a class.
type Count = fn(&ClassCounters) -> u64;

/// The labels of `slab_lru_hits_total`, with how many reads hit there.
const QUEUES: [(&str, Count); 4] =
    [("hot", |_| 0), ("warm", |_| 0), ("cold", |c| c.get_hits), ("temporary", |_| 0)];

/// The labels of `slab_commands_total`, with their counts. `cmd_set` has the compare-and-swaps too, which are told apart.
const CLASS_COMMANDS: [(&str, &str, Count); 8] = [
    ("get", "hit", |c| c.get_hits),
    ("delete", "hit", |c| c.delete_hits),
    ("incr", "hit", |c| c.incr_hits),
    ("decr", "hit", |c| c.decr_hits),
    ("cas", "hit", |c| c.cas_hits),
    ("touch", "hit", |c| c.touch_hits),
    ("cas", "badval", |c| c.cas_badval),
    ("set", "hit", |c| c.cmd_set.saturating_sub(c.cas_hits + c.cas_badval)),
];

/// What memcached counts hits and misses of.
const COMMANDS: [&str; 6] = ["get", "delete", "incr", "decr", "cas", "touch"];

/// The lines of a report, by name.
struct Lines<'a>(HashMap<&'a str, &'a str>);

impl<'a> Lines<'a> {
    fn of(report: &'a str) -> Lines<'a> {
        let line = |line: &'a str| line.strip_prefix("STAT ")?.split_once(' ');
        Lines(report.lines().filter_map(line).collect())
    }

    /// A value as the format has it.
    fn value(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| match *value {
            "yes" => "1",
            "no" => "0",
            number => number,
        })
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// `cmd_set` has the compare-and-swaps too, which are told apart.
    fn plain_sets(&self) -> Option<u64> {
        let swaps = ["cas_misses", "cas_hits", "cas_badval"].iter().filter_map(|name| self.count(name));
        Some(self.count("cmd_set")?.saturating_sub(swaps.sum()))
    }
}

/// Writes what is of the server as a whole.
pub(super) fn write(text: &mut Exposition, reporter: &Reporter, reports: &[Snapshot]) {
    let report = |topic: Topic| String::from_utf8(reporter.render(topic.into(), reports)).unwrap_or_default();
    let (general, settings) = (report(Topic::General), report(Topic::Settings));
    let (general, settings) = (Lines::of(&general), Lines::of(&settings));
    single(text, "up", Gauge, "Always 1: whoever does not answer is down.", 1);
    if let Some(version) = general.value("version") {
        let name = "memcached_version";
        text.family(name, Gauge, "The memcached whose behaviour this is, as `version` tells it.");
        text.sample(name, &[("version", &version)], 1);
    }
    for (lines, rows) in [(&general, GENERAL), (&settings, SETTINGS)] {
        for (name, kind, help, line) in rows {
            if let Some(value) = lines.value(line) {
                single(text, name, *kind, help, value);
            }
        }
    }
    commands(text, &general);
    single(text, "malloced_bytes", Gauge, "Bytes of the pages of all classes.", malloced_bytes(reports));
}

/// Writes what is of each size class.
pub(super) async fn write_classes(
    text: &mut Exposition,
    pace: &mut Pace,
    mut classes: BTreeMap<u8, ClassStats>,
) {
    classes.retain(|_, class| class.total_pages > 0);
    by_class(text, pace, SLABS, &classes).await;
    let help = "Commands by what became of them.";
    class_samples(text, pace, "commands_total", help, &classes, |put, class| {
        for (command, status, count) in CLASS_COMMANDS {
            put(&[("command", &command), ("status", &status)], count(&class.counters));
        }
    })
    .await;
    classes.retain(|_, class| class.counters.number > 0);
    by_class(text, pace, ITEMS, &classes).await;
    let help = "Reads that hit, all in the one order.";
    class_samples(text, pace, "lru_hits_total", help, &classes, |put, class| {
        for (queue, hits) in QUEUES {
            put(&[("lru", &queue)], hits(&class.counters));
        }
    })
    .await;
}

fn single(text: &mut Exposition, name: &str, kind: Kind, help: &str, value: impl Display) {
    let name = format!("memcached_{name}");
    text.family(&name, kind, help);
    text.sample(&name, &[], value);
}

fn commands(text: &mut Exposition, general: &Lines<'_>) {
    let name = "memcached_commands_total";
    text.family(name, Counter, "Commands by what became of them.");
    let mut put = |command: &str, status: &str, count: Option<u64>| {
        if let Some(count) = count {
            text.sample(name, &[("command", &command), ("status", &status)], count);
        }
    };
    for command in COMMANDS {
        put(command, "hit", general.count(&format!("{command}_hits")));
        put(command, "miss", general.count(&format!("{command}_misses")));
    }
    put("cas", "badval", general.count("cas_badval"));
    put("flush", "hit", general.count("cmd_flush"));
    put("set", "hit", general.plain_sets());
}

/// One family for each row, with a sample for each class.
async fn by_class(
    text: &mut Exposition,
    pace: &mut Pace,
    rows: &[ClassRow],
    classes: &BTreeMap<u8, ClassStats>,
) {
    for (name, kind, help, value) in rows.iter().filter(|_| !classes.is_empty()) {
        let name = format!("memcached_{name}");
        text.family(&name, *kind, help);
        classes.iter().for_each(|(id, class)| text.sample(&name, &[("slab", id)], value(class)));
        pace.rest(text).await;
    }
}

/// Puts a sample with further labels.
type Put<'a> = &'a mut dyn FnMut(&[Label<'_>], u64);

/// A family of counters with several samples for each class.
async fn class_samples(
    text: &mut Exposition,
    pace: &mut Pace,
    name: &str,
    help: &str,
    classes: &BTreeMap<u8, ClassStats>,
    of: impl Fn(Put<'_>, &ClassStats),
) {
    if classes.is_empty() {
        return;
    }
    let name = format!("memcached_slab_{name}");
    text.family(&name, Counter, help);
    for (id, class) in classes {
        let mut put = |labels: &[Label<'_>], value: u64| {
            let first: Label<'_> = ("slab", id);
            text.sample(&name, &[&[first], labels].concat(), value);
        };
        of(&mut put, class);
        pace.rest(text).await;
    }
}
