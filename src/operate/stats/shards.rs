//! `stats conns` and `stats shards`: what there is one of per connection and per shard.

use super::text::Stats;
use crate::shard::snapshot::Snapshot;

pub(super) fn write_conns(stats: &mut Stats, shards: &[Snapshot]) {
    let mut conns: Vec<_> = shards.iter().flat_map(|shard| &shard.conns).collect();
    conns.sort_by_key(|conn| conn.fd);
    for conn in conns {
        let fd = conn.fd;
        if conn.is_udp {
            stats.put(format_args!("{fd}:UDP"), "UDP");
        }
        stats.put(format_args!("{fd}:addr"), &conn.address);
        if let Some(own) = &conn.listen_address {
            stats.put(format_args!("{fd}:listen_addr"), own);
        }
        stats.put(format_args!("{fd}:state"), conn.state);
        stats.put(format_args!("{fd}:secs_since_last_cmd"), conn.idle_s);
    }
}

pub(super) fn write_shards(stats: &mut Stats, shards: &[Snapshot]) {
    for shard in shards {
        let (id, c) = (shard.shard, &shard.counters);
        let mut put = |name: &str, value: u64| stats.put(format_args!("{id}:{name}"), value);
        put("core", shard.cpu as u64);
        put("curr_connections", shard.connections as u64);
        put("curr_items", shard.store.curr_items);
        put("bytes", shard.store.bytes);
        put("cmd_local", c.cmd_local);
        put("cmd_forwarded", c.cmd_forwarded);
        put("cmd_for_peers", c.cmd_for_peers);
        put("crowds", c.crowds);
        put("misrouted", c.misrouted);
        put("migrations", c.migrations);
        put("placed_connections", c.adopted);
        put("placed_on_receiving_core", c.adopted_on_own_core);
        put("udp_received", c.udp_received);
        put("udp_dropped", c.udp_dropped);
        put("udp_overruns", shard.udp_overruns);
        put("udp_sent", c.udp_sent);
    }
}
