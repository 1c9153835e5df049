//! `/metrics` has what memcached_exporter tells of the same server: every name, type and label, and the values of the same moment.
//! Which line of which report each is made from stands in `exporter.tsv`, which was taken from the exporter's source.

use std::collections::{BTreeMap, BTreeSet};

use super::{samples, scrape, server, use_everything};
use crate::harness::{Conn, Server};

on_shards! { metrics_are_those_of_the_exporter }

const TABLE: &str = include_str!("exporter.tsv");

/// Counters to the exporter under names that promtool takes for those of gauges, so they are gauges here, or of no type.
const OTHER_TYPES: [(&str, &str); 6] = [
    ("memcached_uptime_seconds", "gauge"),
    ("memcached_slab_items_evicted_time_seconds", "gauge"),
    ("memcached_slab_mem_requested_bytes", "gauge"),
    ("memcached_slab_items_moves_to_cold", "untyped"),
    ("memcached_slab_items_moves_to_warm", "untyped"),
    ("memcached_slab_items_moves_within_lru", "untyped"),
];

/// What goes on by itself, or is changed by asking.
const MOVING: [&str; 10] = [
    "memcached_time_seconds",
    "memcached_uptime_seconds",
    "memcached_process_user_cpu_seconds_total",
    "memcached_process_system_cpu_seconds_total",
    "memcached_read_bytes_total",
    "memcached_written_bytes_total",
    "memcached_connections_total",
    "memcached_current_connections",
    "memcached_lru_crawler_items_checked_total",
    "memcached_slab_items_age_seconds",
];

/// The reports of a server, by name, with their lines.
fn reports(server: &Server) -> BTreeMap<&'static str, Vec<(String, String)>> {
    let mut conn: Conn = server.connect();
    let asked = [("stats", ""), ("settings", "settings"), ("items", "items"), ("slabs", "slabs")];
    asked.into_iter().map(|(name, words)| (name, conn.stats(words))).collect()
}

/// The number of a line: as the exporter reads it, with what it takes off.
fn value(lines: &BTreeMap<String, String>, formula: &str) -> Option<f64> {
    let mut numbers = formula.split('-').map(|name| match lines.get(name)?.as_str() {
        "yes" => Some(1.0),
        "no" => Some(0.0),
        number => number.parse::<f64>().ok(),
    });
    let first = numbers.next()??;
    Some(first - numbers.flatten().sum::<f64>())
}

/// A sample's name and labels, as the text has them.
fn sample(metric: &str, labels: &str, class: &str) -> String {
    let quoted = labels.split(',').filter_map(|label| label.split_once('='));
    let quoted: Vec<String> =
        quoted.map(|(name, text)| format!("{name}=\"{}\"", text.replace('*', class))).collect();
    if quoted.is_empty() { metric.into() } else { format!("{metric}{{{}}}", quoted.join(",")) }
}

/// What the exporter would tell: each sample, with its value if that comes from a line.
fn expected(server: &Server) -> (BTreeMap<String, Option<f64>>, BTreeMap<&'static str, &'static str>) {
    let reports = reports(server);
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    for row in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let [metric, kind, labels, report, formula] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("five columns: {row}")
        };
        let lines = reports[report].iter();
        // By class; "" is that of a line of the whole server.
        let mut classes: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (name, value) in lines {
            let name = name.strip_prefix("items:").unwrap_or(name);
            let (class, name) = name.split_once(':').unwrap_or(("", name));
            classes.entry(class.into()).or_default().insert(name.into(), value.clone());
        }
        for (class, lines) in classes.iter().filter(|(class, _)| class.is_empty() != labels.contains('*')) {
            let value = value(lines, formula);
            if formula.is_empty() || value.is_some() {
                samples.insert(sample(metric, labels, class), value);
                types.insert(metric, kind);
            }
        }
    }
    (samples, types)
}

fn metrics_are_those_of_the_exporter(shards: u32) {
    let server = server(shards, &[]);
    use_everything(&server);
    let text = scrape(&server);
    let (expected, types) = expected(&server);
    let found = samples(&text);
    let ours: BTreeSet<&str> = found.keys().copied().filter(|name| name.starts_with("memcached_")).collect();
    let theirs: BTreeSet<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(ours.symmetric_difference(&theirs).collect::<Vec<_>>(), [] as [&&str; 0]);
    assert!(ours.len() > 100, "only {} samples", ours.len());
    for (name, value) in &expected {
        let metric = name.split('{').next().unwrap_or_default();
        if let Some(value) = value.filter(|_| !MOVING.contains(&metric)) {
            assert_eq!(found[name.as_str()], value, "{name}");
        }
    }
    assert_eq!(found["memcached_commands_total{command=\"set\",status=\"hit\"}"], 42.0, "40 keys, n and m");
    assert_eq!(found["memcached_commands_total{command=\"cas\",status=\"badval\"}"], 1.0);
    for (metric, kind) in types {
        let kind = OTHER_TYPES.iter().find(|(other, _)| *other == metric).map_or(kind, |(_, kind)| kind);
        assert!(text.contains(&format!("# TYPE {metric} {kind}\n")), "{metric}: {kind}");
    }
}
