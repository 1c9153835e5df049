//! What a shard counts: plain integers of one thread, added up over shards only when somebody asks.

/// The counters of one shard, under memcached's names where it has one.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // memcached's words; documented in docs/using.md
pub struct Counters {
    pub cmd_get: u64,
    pub get_hits: u64,
    pub get_misses: u64,
    pub cmd_set: u64,
    pub cmd_flush: u64,
    pub cmd_touch: u64,
    pub touch_hits: u64,
    pub touch_misses: u64,
    pub delete_hits: u64,
    pub delete_misses: u64,
    pub incr_hits: u64,
    pub incr_misses: u64,
    pub decr_hits: u64,
    pub decr_misses: u64,
    pub cas_hits: u64,
    pub cas_misses: u64,
    pub cas_badval: u64,
    pub cmd_meta: u64,
    pub auth_cmds: u64,
    pub auth_errors: u64,
    pub store_too_large: u64,
    pub store_no_memory: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub conn_yields: u64,
    pub total_connections: u64,
    pub rejected_connections: u64,
    pub idle_kicks: u64,
    pub listen_disabled_num: u64,
    pub time_in_listen_disabled_us: u64,
    pub log_worker_dropped: u64,
    pub log_worker_written: u64,
    pub log_watcher_skipped: u64,
    pub log_watcher_sent: u64,
    /// Keyed requests that arrived on this shard and were done here.
    pub cmd_local: u64,
    /// Keyed requests that arrived here and were sent to their owner.
    pub cmd_forwarded: u64,
    /// Those of them that the client meant for this shard: it counts ports or hashes keys otherwise than this server.
    pub misrouted: u64,
    /// Connections that came from another shard because their keys live here.
    pub migrations: u64,
    /// Connections that came to live here, and those of them whose packets are handled on this shard's core.
    pub adopted: u64,
    pub adopted_on_own_core: u64,
    /// Keyed requests done here for other shards.
    pub cmd_for_peers: u64,
    /// Receives that found no buffer and were armed again.
    pub receive_no_buffer: u64,
    /// Times more waited in the sessions than was planned.
    pub crowds: u64,
    /// Datagrams that arrived.
    pub udp_received: u64,
    /// Those of them that are no request, or came while the server stopped.
    pub udp_dropped: u64,
    /// Datagrams sent.
    pub udp_sent: u64,
}

impl Counters {
    /// Adds another shard's counters to these.
    pub fn add(&mut self, other: &Counters) {
        macro_rules! add { ($($field:ident)*) => { $(self.$field += other.$field;)* } }
        add!(cmd_get get_hits get_misses cmd_set cmd_flush cmd_touch touch_hits touch_misses delete_hits delete_misses
            incr_hits incr_misses decr_hits decr_misses cas_hits cas_misses cas_badval cmd_meta auth_cmds auth_errors
            store_too_large store_no_memory
            bytes_read bytes_written conn_yields total_connections rejected_connections idle_kicks listen_disabled_num
            time_in_listen_disabled_us log_worker_dropped log_worker_written log_watcher_skipped log_watcher_sent
            cmd_local cmd_forwarded misrouted cmd_for_peers migrations adopted adopted_on_own_core receive_no_buffer crowds
            udp_received udp_dropped udp_sent);
    }
}
