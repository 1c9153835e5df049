//! `stats`: the 93 keys of memcached 1.6.45's default build, in its order.

use super::Reporter;
use super::text::Stats;
use crate::shard::counters::Counters;
use crate::shard::plan::receive_bytes;
use crate::shard::snapshot::Snapshot;
use crate::store::StoreCounters;
use nix::sys::resource::{UsageWho, getrusage};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn write(stats: &mut Stats, reporter: &Reporter, shards: &[Snapshot]) {
    let mut c = Counters::default();
    shards.iter().for_each(|shard| c.add(&shard.counters));
    let store =
        |field: fn(&StoreCounters) -> u64| shards.iter().map(|shard| field(&shard.store)).sum::<u64>();
    process(stats, reporter);
    connections(stats, reporter, shards, &c);
    commands(stats, &c, store);
    if reporter.live.idle_timeout_s() > 0 {
        stats.put("idle_kicks", c.idle_kicks);
    }
    let accepting = shards.iter().all(|shard| shard.accepting);
    stats.put("bytes_read", c.bytes_read);
    stats.put("bytes_written", c.bytes_written);
    stats.put("limit_maxbytes", shards.iter().map(|shard| shard.footprint.limit_bytes).sum::<usize>());
    stats.put("accepting_conns", u8::from(accepting));
    stats.put("listen_disabled_num", c.listen_disabled_num);
    stats.put("time_in_listen_disabled_us", c.time_in_listen_disabled_us);
    stats.put("threads", shards.len());
    stats.put("conn_yields", c.conn_yields);
    memory(stats, shards, &c, store);
}

/// memcached's read buffer, in which it counts. Here the kernel fills buffers together, so there is no such number.
const READ_BUFFER_BYTES: usize = 16 * 1024;

fn process(stats: &mut Stats, reporter: &Reporter) {
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    stats.put("pid", std::process::id());
    stats.put("uptime", reporter.started.elapsed().as_secs());
    stats.put("time", unix_s);
    stats.put("version", super::settings::VERSION);
    stats.put("libevent", "none");
    stats.put("pointer_size", usize::BITS);
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    let seconds = |t: nix::sys::time::TimeVal| format!("{}.{:06}", t.tv_sec(), t.tv_usec());
    stats.put("rusage_user", usage.as_ref().map_or("0.000000".into(), |u| seconds(u.user_time())));
    stats.put("rusage_system", usage.as_ref().map_or("0.000000".into(), |u| seconds(u.system_time())));
}

fn connections(stats: &mut Stats, reporter: &Reporter, shards: &[Snapshot], c: &Counters) {
    let connections: usize = shards.iter().map(|shard| shard.connections).sum();
    let listeners: usize = shards.iter().map(|shard| shard.listeners).sum();
    let buffers: usize = shards.iter().map(|shard| shard.buffer_bytes).sum();
    stats.put("max_connections", reporter.live.connections_max());
    stats.put("curr_connections", connections);
    stats.put("total_connections", c.total_connections);
    if reporter.options.maxconns_fast {
        stats.put("rejected_connections", c.rejected_connections);
    }
    stats.put("connection_structures", connections + listeners);
    for none in ["response_obj_oom", "response_obj_count", "response_obj_bytes"] {
        stats.put(none, 0);
    }
    stats.put("read_buf_count", shards.len() * receive_bytes(shards.len()) / READ_BUFFER_BYTES);
    stats.put("read_buf_bytes", buffers);
    stats.put("read_buf_bytes_free", 0);
    stats.put("read_buf_oom", c.receive_no_buffer);
    stats.put("reserved_fds", listeners);
}

fn commands(stats: &mut Stats, c: &Counters, store: impl Fn(fn(&StoreCounters) -> u64) -> u64) {
    let lines = [
        ("cmd_get", c.cmd_get),
        ("cmd_set", c.cmd_set),
        ("cmd_flush", c.cmd_flush),
        ("cmd_touch", c.cmd_touch),
        ("cmd_meta", c.cmd_meta),
        ("get_hits", c.get_hits),
        ("get_misses", c.get_misses),
        ("get_expired", store(|s| s.get_expired)),
        ("get_flushed", store(|s| s.get_flushed)),
        ("delete_misses", c.delete_misses),
        ("delete_hits", c.delete_hits),
        ("incr_misses", c.incr_misses),
        ("incr_hits", c.incr_hits),
        ("decr_misses", c.decr_misses),
        ("decr_hits", c.decr_hits),
        ("cas_misses", c.cas_misses),
        ("cas_hits", c.cas_hits),
        ("cas_badval", c.cas_badval),
        ("touch_hits", c.touch_hits),
        ("touch_misses", c.touch_misses),
        ("store_too_large", c.store_too_large),
        ("store_no_memory", c.store_no_memory),
        ("auth_cmds", c.auth_cmds),
        ("auth_errors", c.auth_errors),
    ];
    lines.iter().for_each(|(name, value)| stats.put(name, value));
}

fn watching(stats: &mut Stats, shards: &[Snapshot], c: &Counters) {
    stats.put("log_worker_dropped", c.log_worker_dropped);
    stats.put("log_worker_written", c.log_worker_written);
    stats.put("log_watcher_skipped", c.log_watcher_skipped);
    stats.put("log_watcher_sent", c.log_watcher_sent);
    stats.put("log_watchers", shards.iter().map(|shard| shard.watchers).sum::<usize>());
}

fn memory(
    stats: &mut Stats,
    shards: &[Snapshot],
    c: &Counters,
    store: impl Fn(fn(&StoreCounters) -> u64) -> u64,
) {
    let capacity: usize = shards.iter().map(|shard| shard.footprint.table_capacity).sum();
    let table_bytes: u64 =
        shards.iter().map(|s| u64::from(s.footprint.pages_table) * s.footprint.page_bytes as u64).sum();
    let growing = shards.iter().any(|shard| shard.footprint.table_growing);
    let free_pages: u64 = shards.iter().map(|shard| u64::from(shard.footprint.pages_free)).sum();
    stats.put("hash_power_level", capacity.max(1).ilog2());
    stats.put("hash_bytes", table_bytes);
    stats.put("hash_is_expanding", u8::from(growing));
    stats.put("slab_reassign_rescues", store(|s| s.slab_rescues));
    for none in ["slab_reassign_chunk_rescues", "slab_reassign_inline_reclaim"] {
        stats.put(none, 0);
    }
    stats.put("slab_reassign_busy_items", store(|s| s.slab_busy));
    for none in ["slab_reassign_busy_deletes", "slab_reassign_busy_nomem"] {
        stats.put(none, 0);
    }
    stats.put("slab_reassign_last_busy_status", "none");
    stats.put("slab_reassign_running", 0);
    stats.put("slabs_moved", store(|s| s.slabs_moved));
    for none in ["lru_crawler_running", "lru_crawler_starts", "lru_maintainer_juggles", "malloc_fails"] {
        stats.put(none, 0);
    }
    watching(stats, shards, c);
    for none in ["unexpected_napi_ids", "round_robin_fallback"] {
        stats.put(none, 0);
    }
    stats.put("bytes", store(|s| s.bytes));
    stats.put("curr_items", store(|s| s.curr_items));
    stats.put("total_items", store(|s| s.total_items));
    stats.put("slab_global_page_pool", free_pages);
    stats.put("expired_unfetched", store(|s| s.expired_unfetched));
    stats.put("evicted_unfetched", store(|s| s.evicted_unfetched));
    stats.put("evicted_active", store(|s| s.evicted_active));
    stats.put("evictions", store(|s| s.evictions));
    stats.put("reclaimed", store(|s| s.reclaimed));
    stats.put("crawler_reclaimed", store(|s| s.crawler_reclaimed));
    stats.put("crawler_items_checked", store(|s| s.crawler_items_checked));
    for none in [
        "lrutail_reflocked",
        "moves_to_cold",
        "moves_to_warm",
        "moves_within_lru",
        "direct_reclaims",
        "lru_bumps_dropped",
    ] {
        stats.put(none, 0);
    }
}
