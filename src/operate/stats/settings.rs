//! `stats settings`: the keys of memcached 1.6.45 (its default build, without TLS and proxy), with what is in force here.

use super::Reporter;
use super::text::Stats;
use crate::operate::log;
use crate::options::{Authentication, Listen, Protocol};
use crate::shard::snapshot::Snapshot;

/// The memcached whose behaviour this is; also what `version` answers.
pub const VERSION: &str = "1.6.45";

/// What may have changed since the start.
pub(super) struct Current {
    shards: usize,
    limit_bytes: usize,
    counts_prefixes: bool,
}

impl Current {
    /// As the shards report it.
    pub(super) fn of(shards: &[Snapshot]) -> Current {
        Current {
            shards: shards.len(),
            limit_bytes: shards.iter().map(|shard| shard.footprint.limit_bytes).sum(),
            counts_prefixes: shards.iter().any(|shard| shard.counts_prefixes),
        }
    }
}

pub(super) fn write(stats: &mut Stats, reporter: &Reporter, current: &Current) {
    let o = &reporter.options;
    let (socket, mask) = match &o.listen {
        Listen::Unix { path, mode } => (path.display().to_string(), *mode),
        Listen::Tcp(_) => ("NULL".into(), 0o700),
    };
    let on = |yes: bool| if yes { "on" } else { "off" };
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    stats.put("maxbytes", current.limit_bytes);
    stats.put("maxconns", reporter.live.connections_max());
    stats.put("tcpport", reporter.ports.tcp);
    stats.put("udpport", reporter.ports.udp);
    stats.put("inter", o.interfaces.as_deref().unwrap_or("NULL"));
    stats.put("verbosity", log::verbosity());
    stats.put("oldest", 0);
    stats.put("evictions", on(o.evict));
    stats.put("domain_socket", socket);
    stats.put("umask", format_args!("{mask:o}"));
    stats.put("shutdown_command", yes(o.allow_shutdown));
    stats.put("growth_factor", format_args!("{:.2}", o.growth_factor));
    stats.put("chunk_size", o.item_size_min_bytes);
    stats.put("num_threads", current.shards);
    stats.put("num_threads_per_udp", if o.udp.is_empty() { 0 } else { current.shards });
    stats.put("stat_key_prefix", char::from(o.prefix_delimiter));
    stats.put("detail_enabled", yes(current.counts_prefixes));
    stats.put("reqs_per_event", reporter.live.requests_per_turn());
    stats.put("cas_enabled", yes(o.cas));
    stats.put("tcp_backlog", o.backlog);
    stats.put("binding_protocol", protocol_name(o.protocol));
    let (sasl, users_of_ascii) = authentication_values(o.authentication.as_ref());
    stats.put("auth_enabled_sasl", yes(sasl));
    stats.put("auth_enabled_ascii", users_of_ascii);
    stats.put("item_size_max", o.item_size_max_bytes);
    stats.put("maxconns_fast", yes(o.maxconns_fast));
    stats.put("hashpower_init", 0);
    stats.put("slab_reassign", "yes");
    stats.put("slab_automove", 1);
    stats.put("slab_automove_ratio", "0.00");
    stats.put("slab_automove_window", 0);
    stats.put("slab_chunk_max", 0);
    stats.put("lru_crawler", "yes");
    stats.put("lru_crawler_sleep", 0);
    stats.put("lru_crawler_tocrawl", 0);
    stats.put("tail_repair_time", 0);
    stats.put("flush_enabled", yes(o.allow_flush_all));
    stats.put("dump_enabled", yes(o.allow_dumping));
    stats.put("hash_algorithm", "ahash");
    for none in ["lru_maintainer_thread", "lru_segmented"] {
        stats.put(none, "no");
    }
    for none in ["hot_lru_pct", "warm_lru_pct"] {
        stats.put(none, 0);
    }
    for none in ["hot_max_factor", "warm_max_factor"] {
        stats.put(none, "0.00");
    }
    stats.put("temp_lru", "no");
    stats.put("temporary_ttl", 0);
    stats.put("idle_timeout", reporter.live.idle_timeout_s());
    stats.put("watcher_logbuf_size", o.watcher_log_bytes);
    stats.put("worker_logbuf_size", o.worker_log_bytes);
    stats.put("read_buf_mem_limit", 0);
    stats.put("track_sizes", "no");
    stats.put("inline_ascii_response", "no");
    for none in [
        "ext_item_size",
        "ext_item_age",
        "ext_low_ttl",
        "ext_recache_rate",
        "ext_wbuf_size",
        "ext_compact_under",
        "ext_drop_under",
        "ext_max_sleep",
    ] {
        stats.put(none, 0);
    }
    stats.put("ext_max_frag", "0.00");
    stats.put("slab_automove_freeratio", "0.000");
    stats.put("ext_drop_unread", "no");
    stats.put("num_napi_ids", 0);
    stats.put("memory_file", "(null)");
    stats.put("client_flags_size", 4);
}

/// memcached's name for what is spoken.
fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ascii => "ascii",
        Protocol::Binary => "binary",
        Protocol::Auto => "auto-negotiate",
    }
}

/// Whether there is SASL, and the file of users that text clients are found in, or `no`.
fn authentication_values(authentication: Option<&Authentication>) -> (bool, String) {
    match authentication {
        None => (false, "no".into()),
        Some(Authentication::Sasl(_)) => (true, "no".into()),
        Some(Authentication::Token(file)) => (false, file.display().to_string()),
        Some(Authentication::Both(file)) => (true, file.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::stats::Ports;
    use crate::options::{Asked, Given, Machine};
    use crate::shard::live::Live;
    use std::sync::Arc;

    /// The value of each of `names` for this command line.
    fn values(line: &str, ports: Ports, names: &str) -> Vec<String> {
        let machine = Machine { cores: vec![0, 1], sasl_users: Some("/env".into()) };
        let words = std::iter::once("ringcached").chain(line.split_whitespace());
        let given = Given::read(words, |_| panic!("no file is named"));
        let Ok(Asked::Serve(options)) = given.and_then(|given| given.asked(&machine)) else {
            panic!("`{line}` is refused")
        };
        let mut stats = Stats::default();
        let current = Current {
            shards: machine.cores.len(),
            limit_bytes: options.memory_limit_bytes,
            counts_prefixes: options.count_prefixes,
        };
        let live = Arc::new(Live::new(1024, 20, 0, 0));
        write(&mut stats, &Reporter::new(*options, ports, live), &current);
        let text = String::from_utf8(stats.end()).unwrap();
        let value = |name: &str| {
            let start = format!("STAT {name} ");
            let found = text.lines().find_map(|line| line.strip_prefix(&start));
            found.unwrap_or_else(|| panic!("no {name}")).to_string()
        };
        names.split_whitespace().map(value).collect()
    }

    /// memcached shows the same, but for ports it chose (-1 there) and the threads of UDP where there is none.
    #[test]
    fn values_follow_the_command_line() {
        let names = "tcpport udpport binding_protocol num_threads_per_udp";
        for (line, ports, expected) in [
            ("", Ports { tcp: 11211, udp: 0 }, ["11211", "0", "auto-negotiate", "0"]),
            ("-U 5 -B ascii", Ports { tcp: 5, udp: 5 }, ["5", "5", "ascii", "2"]),
            ("-p 0 -U -1 -B binary", Ports { tcp: 0, udp: 7 }, ["0", "7", "binary", "2"]),
        ] {
            assert_eq!(values(line, ports, names), expected, "{line}");
        }
        let names = "stat_key_prefix detail_enabled dump_enabled flush_enabled watcher_logbuf_size worker_logbuf_size";
        for (line, expected) in [
            ("", [":", "no", "yes", "yes", "262144", "65536"]),
            (
                "-D / -X -F -o watcher_logbuf_size=512,worker_logbuf_size=1",
                ["/", "yes", "no", "no", "524288", "1024"],
            ),
        ] {
            assert_eq!(values(line, Ports::default(), names), expected, "{line}");
        }
    }

    #[test]
    fn authentication_is_shown() {
        let names = "auth_enabled_sasl auth_enabled_ascii binding_protocol";
        for (line, expected) in [
            ("", ["no", "no", "auto-negotiate"]),
            ("-Y /u", ["no", "/u", "ascii"]),
            ("-S", ["yes", "no", "binary"]),
            ("-S -Y /u", ["yes", "/u", "auto-negotiate"]),
        ] {
            assert_eq!(values(line, Ports::default(), names), expected, "{line}");
        }
    }
}
