//! `stats settings`: the keys of memcached 1.6.45 (its default build, without TLS and proxy), with what is in force here.

use super::Reporter;
use super::text::Stats;
use crate::options::Listen;

/// The memcached whose behaviour this is; also what `version` answers.
pub const VERSION: &str = "1.6.45";

pub(super) fn write(stats: &mut Stats, reporter: &Reporter, shards: usize) {
    let o = &reporter.options;
    let (socket, mask) = match &o.listen {
        Listen::Unix { path, mode } => (path.display().to_string(), *mode),
        Listen::Tcp(_) => ("NULL".into(), 0o700),
    };
    let on = |yes: bool| if yes { "on" } else { "off" };
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    stats.put("maxbytes", o.memory_limit_bytes);
    stats.put("maxconns", o.conn_limit);
    stats.put("tcpport", reporter.tcp_port);
    stats.put("udpport", 0);
    stats.put("inter", o.interfaces.as_deref().unwrap_or("NULL"));
    stats.put("verbosity", o.verbosity);
    stats.put("oldest", 0);
    stats.put("evictions", on(o.evict));
    stats.put("domain_socket", socket);
    stats.put("umask", format_args!("{mask:o}"));
    stats.put("shutdown_command", yes(o.allow_shutdown));
    stats.put("growth_factor", format_args!("{:.2}", o.growth_factor));
    stats.put("chunk_size", o.item_size_min_bytes);
    stats.put("num_threads", shards);
    stats.put("num_threads_per_udp", 0);
    stats.put("stat_key_prefix", ":");
    stats.put("detail_enabled", "no");
    stats.put("reqs_per_event", o.requests_per_turn);
    stats.put("cas_enabled", yes(o.cas));
    stats.put("tcp_backlog", o.backlog);
    stats.put("binding_protocol", "ascii");
    stats.put("auth_enabled_sasl", "no");
    stats.put("auth_enabled_ascii", "no");
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
    stats.put("dump_enabled", "no");
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
    stats.put("idle_timeout", o.idle_timeout_s);
    for none in ["watcher_logbuf_size", "worker_logbuf_size", "read_buf_mem_limit"] {
        stats.put(none, 0);
    }
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
