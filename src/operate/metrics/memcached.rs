//! The metrics of memcached_exporter, made as it makes them: from the lines of `stats`, `stats settings`, `stats items` and `stats
//! slabs`. Names, labels and values are its own, so that dashboards and alerts for memcached work unchanged; so are the types, but
//! where a counter's name does not end in `_total`, which promtool objects to.
//! Source: github.com/prometheus/memcached_exporter, `pkg/exporter/exporter.go` at 17e002c. What it makes of a second tier or a proxy is
//! not here, as neither is in `stats`.

use super::text::{Exposition, Kind};
use crate::operate::stats::Reporter;
use crate::shard::snapshot::{Snapshot, Topic};
use std::collections::{BTreeMap, HashMap};

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

/// By class, from `stats items`.
const ITEMS: &[Row] = &[
    ("slab_current_items", Gauge, "Items of the class.", "number"),
    ("slab_items_age_seconds", Gauge, "Seconds since the oldest item was used.", "age"),
    ("slab_items_crawler_reclaimed_total", Counter, "Dead items the crawl found.", "crawler_reclaimed"),
    ("slab_items_evicted_total", Counter, "Live items thrown out for lack of memory.", "evicted"),
    ("slab_items_evicted_nonzero_total", Counter, "Of these, with an expiry time.", "evicted_nonzero"),
    ("slab_items_evicted_time_seconds", Gauge, "How long the last of these was unused.", "evicted_time"),
    ("slab_items_evicted_unfetched_total", Counter, "Evicted items never read.", "evicted_unfetched"),
    ("slab_items_expired_unfetched_total", Counter, "Expired items never read.", "expired_unfetched"),
    ("slab_items_outofmemory_total", Counter, "Stores refused for lack of memory.", "outofmemory"),
    ("slab_items_reclaimed_total", Counter, "Dead items found when memory was needed.", "reclaimed"),
    ("slab_items_tailrepairs_total", Counter, "Always 0: nothing to repair.", "tailrepairs"),
    ("slab_mem_requested_bytes", Gauge, "Bytes that the items asked for.", "mem_requested"),
    ("slab_items_moves_to_cold", Untyped, "Always 0: one order of items.", "moves_to_cold"),
    ("slab_items_moves_to_warm", Untyped, "Always 0: one order of items.", "moves_to_warm"),
    ("slab_items_moves_within_lru", Untyped, "Always 0: one order of items.", "moves_within_lru"),
    ("slab_hot_items", Gauge, "Always 0: one order of items.", "number_hot"),
    ("slab_warm_items", Gauge, "Always 0: one order of items.", "number_warm"),
    ("slab_cold_items", Gauge, "All items, as there is one order.", "number_cold"),
    ("slab_temporary_items", Gauge, "Always 0: one order of items.", "number_temp"),
    ("slab_hot_age_seconds", Gauge, "Always 0: one order of items.", "age_hot"),
    ("slab_warm_age_seconds", Gauge, "Always 0: one order of items.", "age_warm"),
];

/// By class, from `stats slabs`.
const SLABS: &[Row] = &[
    ("slab_chunk_size_bytes", Gauge, "Bytes of a chunk.", "chunk_size"),
    ("slab_chunks_per_page", Gauge, "Chunks of a page.", "chunks_per_page"),
    ("slab_current_pages", Gauge, "Pages of the class.", "total_pages"),
    ("slab_current_chunks", Gauge, "Chunks of the class.", "total_chunks"),
    ("slab_chunks_used", Gauge, "Chunks in use.", "used_chunks"),
    ("slab_chunks_free", Gauge, "Chunks not in use.", "free_chunks"),
    ("slab_chunks_free_end", Gauge, "Always 0: pages are cut at once.", "free_chunks_end"),
];

/// What memcached counts hits and misses of.
const COMMANDS: [&str; 6] = ["get", "delete", "incr", "decr", "cas", "touch"];

/// The labels of `slab_lru_hits_total`, with the end of their lines in `stats items`.
const QUEUES: [(&str, &str); 4] = [("hot", "hot"), ("warm", "warm"), ("cold", "cold"), ("temporary", "temp")];

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
    fn plain_sets(&self, without: &[&str]) -> Option<u64> {
        let swaps: u64 = without.iter().filter_map(|name| self.count(name)).sum();
        Some(self.count("cmd_set")?.saturating_sub(swaps))
    }
}

/// The lines `[items:]<class>:<name>` of a report by class, with those of each class under its name alone.
fn by_class<'a>(report: &'a str) -> BTreeMap<u8, Lines<'a>> {
    let mut classes: BTreeMap<u8, Lines<'a>> = BTreeMap::new();
    for (name, value) in Lines::of(report).0 {
        let name = name.strip_prefix("items:").unwrap_or(name);
        let Some((class, name)) = name.split_once(':') else { continue };
        let Ok(class) = class.parse() else { continue };
        classes.entry(class).or_insert_with(|| Lines(HashMap::new())).0.insert(name, value);
    }
    classes
}

/// Writes all of it.
pub(super) fn write(text: &mut Exposition, reporter: &Reporter, reports: &[Snapshot]) {
    let report = |topic: Topic| String::from_utf8(reporter.render(topic.into(), reports)).unwrap_or_default();
    let (general, settings) = (report(Topic::General), report(Topic::Settings));
    let (items, slabs) = (report(Topic::Items), report(Topic::Slabs));
    let (general, settings) = (Lines::of(&general), Lines::of(&settings));
    single(text, "up", Gauge, "Always 1: whoever does not answer is down.", "1");
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
    if let Some(malloced) = Lines::of(&slabs).value("total_malloced") {
        single(text, "malloced_bytes", Gauge, "Bytes of the pages of all classes.", malloced);
    }
    let (items, slabs) = (by_class(&items), by_class(&slabs));
    classes(text, ITEMS, &items);
    lru_hits(text, &items);
    classes(text, SLABS, &slabs);
    class_commands(text, &slabs);
}

fn single(text: &mut Exposition, name: &str, kind: Kind, help: &str, value: &str) {
    let name = format!("memcached_{name}");
    text.family(&name, kind, help);
    text.sample(&name, &[], value);
}

fn commands(text: &mut Exposition, general: &Lines<'_>) {
    let name = "memcached_commands_total";
    text.family(name, Counter, "Commands by name and what became of them.");
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
    put("set", "hit", general.plain_sets(&["cas_misses", "cas_hits", "cas_badval"]));
}

/// One family for each row, with a sample for each class.
fn classes(text: &mut Exposition, rows: &[Row], classes: &BTreeMap<u8, Lines<'_>>) {
    for (name, kind, help, line) in rows {
        let mut samples =
            classes.iter().filter_map(|(class, lines)| Some((class, lines.value(line)?))).peekable();
        if samples.peek().is_none() {
            continue;
        }
        let name = format!("memcached_{name}");
        text.family(&name, *kind, help);
        samples.for_each(|(class, value)| text.sample(&name, &[("slab", class)], value));
    }
}

fn lru_hits(text: &mut Exposition, classes: &BTreeMap<u8, Lines<'_>>) {
    let name = "memcached_slab_lru_hits_total";
    if classes.is_empty() {
        return;
    }
    text.family(name, Counter, "Reads that hit, all of them in the one order there is, `cold`.");
    for (class, lines) in classes {
        for (queue, line) in QUEUES {
            if let Some(hits) = lines.value(&format!("hits_to_{line}")) {
                text.sample(name, &[("slab", class), ("lru", &queue)], hits);
            }
        }
    }
}

fn class_commands(text: &mut Exposition, classes: &BTreeMap<u8, Lines<'_>>) {
    let name = "memcached_slab_commands_total";
    if classes.is_empty() {
        return;
    }
    text.family(name, Counter, "Commands by class, name and what became of them.");
    for (class, lines) in classes {
        let mut put = |command: &str, status: &str, count: Option<u64>| {
            if let Some(count) = count {
                text.sample(name, &[("slab", class), ("command", &command), ("status", &status)], count);
            }
        };
        for command in COMMANDS {
            put(command, "hit", lines.count(&format!("{command}_hits")));
        }
        put("cas", "badval", lines.count("cas_badval"));
        put("set", "hit", lines.plain_sets(&["cas_hits", "cas_badval"]));
    }
}
