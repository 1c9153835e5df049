//! Every `stats` command: names and order are memcached's, values are true.

use std::collections::HashSet;

use crate::harness::{Conn, Server};

on_shards! {
    general_names_in_order
    general_values_after_known_traffic
    settings
    items_and_slabs
    sizes
    conns
    reset
    rejected_sub_commands
    shards_add_up
}

/// What `stats` of memcached 1.6.45 prints with default options.
const GENERAL: &str = "pid uptime time version libevent pointer_size rusage_user rusage_system max_connections \
    curr_connections total_connections rejected_connections connection_structures response_obj_oom \
    response_obj_count response_obj_bytes read_buf_count read_buf_bytes read_buf_bytes_free read_buf_oom \
    reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses get_expired get_flushed \
    delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits \
    touch_misses store_too_large store_no_memory auth_cmds auth_errors bytes_read bytes_written limit_maxbytes \
    accepting_conns listen_disabled_num time_in_listen_disabled_us threads conn_yields hash_power_level hash_bytes \
    hash_is_expanding slab_reassign_rescues slab_reassign_chunk_rescues slab_reassign_inline_reclaim \
    slab_reassign_busy_items slab_reassign_busy_deletes slab_reassign_busy_nomem slab_reassign_last_busy_status \
    slab_reassign_running slabs_moved lru_crawler_running lru_crawler_starts lru_maintainer_juggles malloc_fails \
    log_worker_dropped log_worker_written log_watcher_skipped log_watcher_sent log_watchers unexpected_napi_ids \
    round_robin_fallback bytes curr_items total_items slab_global_page_pool expired_unfetched evicted_unfetched \
    evicted_active evictions reclaimed crawler_reclaimed crawler_items_checked lrutail_reflocked moves_to_cold \
    moves_to_warm moves_within_lru direct_reclaims lru_bumps_dropped";

fn general_names_in_order(shards: u32) {
    let server = Server::start(shards, &[]);
    let names: Vec<String> = server.connect().stats("").into_iter().map(|(name, _)| name).collect();
    let want: Vec<&str> = GENERAL.split_whitespace().collect();
    assert_eq!(want.len(), 93);
    assert_eq!(names, want);
}

/// The value of `name` in `stats`.
fn value<'a>(stats: &'a [(String, String)], name: &str) -> &'a str {
    let found = stats.iter().find(|(n, _)| n == name);
    found.map(|(_, v)| v.as_str()).unwrap_or_else(|| panic!("no STAT {name} in {stats:?}"))
}

/// Traffic whose counts are known, from two connections so that more than one shard sees some of it.
fn known_traffic(server: &Server) {
    for prefix in ["p", "q"] {
        let mut conn = server.connect();
        for i in 0..20 {
            conn.ask(format!("set {prefix}{i} 0 0 10\r\n0123456789\r\n"), "STORED\r\n");
        }
        for i in 0..20 {
            conn.ask(
                format!("get {prefix}{i}\r\n"),
                format!("VALUE {prefix}{i} 0 10\r\n0123456789\r\nEND\r\n"),
            );
        }
        conn.ask("get miss1 miss2 miss3\r\n", "END\r\n");
        conn.ask(format!("add {prefix}0 0 0 1\r\nx\r\n"), "NOT_STORED\r\n");
        conn.ask(
            format!("cas {prefix}0 0 0 1 0\r\nx\r\ncas miss 0 0 1 1\r\nx\r\n"),
            "EXISTS\r\nNOT_FOUND\r\n",
        );
        let unique = conn.cas_of(&format!("{prefix}1"));
        conn.ask(format!("cas {prefix}1 0 0 1 {unique}\r\n5\r\n"), "STORED\r\n");
        conn.ask(format!("incr {prefix}1 1\r\ndecr {prefix}1 2\r\n"), "6\r\n4\r\n");
        conn.ask("incr miss 1\r\ndecr miss 1\r\n", "NOT_FOUND\r\nNOT_FOUND\r\n");
        conn.ask(format!("touch {prefix}2 0\r\ntouch miss 0\r\n"), "TOUCHED\r\nNOT_FOUND\r\n");
        conn.ask(
            format!("gat 0 {prefix}2 miss\r\n"),
            format!("VALUE {prefix}2 0 10\r\n0123456789\r\nEND\r\n"),
        );
        conn.ask(format!("delete {prefix}3\r\ndelete miss\r\n"), "DELETED\r\nNOT_FOUND\r\n");
        conn.ask(format!("set {prefix}4 0 -1 1\r\nx\r\nget {prefix}4\r\n"), "STORED\r\nEND\r\n");
        conn.finish();
    }
}

/// What [`known_traffic`] amounts to on an otherwise untouched server.
const KNOWN_COUNTS: [(&str, u64); 22] = [
    ("cmd_get", 2 * (20 + 3 + 1 + 1)),
    ("get_hits", 2 * (20 + 1)),
    ("get_misses", 2 * (3 + 1)),
    ("get_expired", 2),
    ("cmd_set", 2 * (20 + 1 + 2 + 1 + 1)),
    ("cmd_flush", 0),
    ("cmd_touch", 2 * (2 + 2)),
    ("touch_hits", 2 * 2),
    ("touch_misses", 2 * 2),
    ("cas_hits", 2),
    ("cas_badval", 2),
    ("cas_misses", 2),
    ("incr_hits", 2),
    ("incr_misses", 2),
    ("decr_hits", 2),
    ("decr_misses", 2),
    ("delete_hits", 2),
    ("delete_misses", 2),
    ("curr_items", 2 * (20 - 1 - 1)),
    ("evictions", 0),
    ("store_too_large", 0),
    ("accepting_conns", 1),
];

fn general_values_after_known_traffic(shards: u32) {
    let server = Server::start(shards, &["-m", "80", "-c", "500"]);
    known_traffic(&server);
    let mut conn = server.connect();
    let stats = conn.stats("");
    let number =
        |name: &str| value(&stats, name).parse::<u64>().unwrap_or_else(|e| panic!("STAT {name}: {e}"));
    for (name, want) in KNOWN_COUNTS {
        assert_eq!(number(name), want, "STAT {name}");
    }
    assert_eq!(number("pid"), u64::from(server.pid()));
    assert_eq!(number("threads"), u64::from(shards));
    assert_eq!(number("limit_maxbytes"), 80 << 20);
    assert_eq!(number("max_connections"), 500);
    assert_eq!(number("pointer_size"), 64);
    assert!(number("total_connections") >= 3);
    assert!((1..20).contains(&number("curr_connections")), "curr_connections {}", number("curr_connections"));
    // 40 sets of a line of at least 16 bytes and a value of 12.
    assert!(number("bytes_read") > 40 * 28, "bytes_read {}", number("bytes_read"));
    assert!(number("bytes_written") > 40 * 28, "bytes_written {}", number("bytes_written"));
    assert!(number("total_items") >= 40);
    // Keys and values alone are more than 12 bytes an item; the headers are part of the count.
    assert!(number("bytes") > 36 * 12, "bytes {}", number("bytes"));
    let unix_now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("clock").as_secs();
    assert!(number("time").abs_diff(unix_now) <= 2, "STAT time {}", number("time"));
    assert!(number("uptime") <= 60);
    for name in ["rusage_user", "rusage_system"] {
        assert!(value(&stats, name).parse::<f64>().is_ok_and(|s| s >= 0.0), "{name}");
    }
    conn.ask("flush_all\r\n", "OK\r\n");
    conn.ask("get p0 q0 q1\r\n", "END\r\n");
    assert_eq!(conn.stat("cmd_flush"), 1);
    assert_eq!(conn.stat("get_misses"), 2 * 4 + 3);
}

fn settings(shards: u32) {
    let options = ["-m", "100", "-c", "300", "-R", "33", "-I", "2m", "-b", "77", "-F", "-A", "-M", "-v"];
    let server = Server::start(shards, &[&options[..], &["-o", "idle_timeout=123"]].concat());
    let settings = server.connect().stats("settings");
    let threads = shards.to_string();
    // In memcached's order.
    let want = [
        ("maxbytes", "104857600"),
        ("maxconns", "300"),
        ("udpport", "0"),
        ("inter", "127.0.0.1"),
        ("verbosity", "1"),
        ("evictions", "off"),
        ("domain_socket", "NULL"),
        ("umask", "700"),
        ("shutdown_command", "yes"),
        ("num_threads", &threads),
        ("reqs_per_event", "33"),
        ("cas_enabled", "yes"),
        ("tcp_backlog", "77"),
        ("item_size_max", "2097152"),
        ("maxconns_fast", "yes"),
        ("flush_enabled", "no"),
        ("idle_timeout", "123"),
    ];
    let known: HashSet<&str> = want.iter().map(|(name, _)| *name).collect();
    let got: Vec<(&str, &str)> =
        settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).filter(|(n, _)| known.contains(n)).collect();
    assert_eq!(got, want);
    let factor = value(&settings, "growth_factor").parse::<f64>().expect("growth_factor");
    assert!(factor > 1.0);
    let names: HashSet<&String> = settings.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), settings.len(), "a name of stats settings is printed twice");
}

/// Sums `<class>:<key>` over the classes.
fn over_classes(stats: &[(String, String)], key: &str) -> u64 {
    let of_class = |name: &str| name.rsplit_once(':').is_some_and(|(_, last)| last == key);
    let values =
        stats.iter().filter(|(name, _)| of_class(name)).map(|(_, v)| v.parse::<u64>().expect("a number"));
    values.sum()
}

fn items_and_slabs(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    assert!(conn.stats("items").is_empty(), "stats items of an empty server");
    known_traffic(&server);
    let large = "x".repeat(100_000);
    conn.ask(format!("set large 0 0 100000\r\n{large}\r\nget large\r\n"), {
        format!("STORED\r\nVALUE large 0 100000\r\n{large}\r\nEND\r\n")
    });
    let items = conn.stats("items");
    assert!(items.iter().all(|(name, _)| name.starts_with("items:")), "{items:?}");
    assert_eq!(over_classes(&items, "number"), conn.stat("curr_items"));
    assert!(over_classes(&items, "mem_requested") >= 100_000);
    for key in ["age", "evicted", "evicted_nonzero", "evicted_time", "outofmemory", "reclaimed"] {
        assert!(items.iter().any(|(name, _)| name.ends_with(&format!(":{key}"))), "stats items has no {key}");
    }
    let slabs = conn.stats("slabs");
    for key in ["chunk_size", "chunks_per_page", "total_pages", "total_chunks", "used_chunks", "free_chunks"]
    {
        assert!(over_classes(&slabs, key) > 0, "stats slabs: {key}");
    }
    assert_eq!(over_classes(&slabs, "get_hits"), conn.stat("get_hits"));
    assert_eq!(over_classes(&slabs, "cmd_set"), conn.stat("cmd_set"));
    assert_eq!(over_classes(&slabs, "delete_hits"), conn.stat("delete_hits"));
    assert_eq!(over_classes(&slabs, "touch_hits"), conn.stat("touch_hits"));
    let last: Vec<&str> = slabs[slabs.len() - 2..].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(last, ["active_slabs", "total_malloced"]);
    assert!(value(&slabs, "total_malloced").parse::<u64>().expect("a number") > 0);
}

fn sizes(shards: u32) {
    let server = Server::start(shards, &[]);
    server.connect().ask("stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n");
}

fn conns(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut clients: Vec<Conn> = (0..6).map(|_| server.connect()).collect();
    for conn in &mut clients {
        conn.ask("get a\r\n", "END\r\n");
    }
    let stats = clients[0].stats("conns");
    for conn in &clients {
        let address = format!("tcp:{}", conn.local_address());
        let line = stats.iter().find(|(name, v)| name.ends_with(":addr") && *v == address);
        let (name, _) = line.unwrap_or_else(|| panic!("no {address} in {stats:?}"));
        let id = name.strip_suffix(":addr").expect("suffix");
        let listening = format!("tcp:127.0.0.1:{}", server.port());
        assert_eq!(value(&stats, &format!("{id}:listen_addr")), listening);
        assert!(value(&stats, &format!("{id}:state")).starts_with("conn_"));
        let idle_s = value(&stats, &format!("{id}:secs_since_last_cmd")).parse::<u64>();
        assert!(idle_s.is_ok_and(|s| s <= 60), "{id}:secs_since_last_cmd");
    }
    assert!(stats.iter().any(|(name, v)| name.ends_with(":state") && v == "conn_listening"), "{stats:?}");
}

fn reset(shards: u32) {
    let server = Server::start(shards, &[]);
    known_traffic(&server);
    let mut conn = server.connect();
    conn.ask("stats reset\r\n", "RESET\r\n");
    for name in ["cmd_get", "cmd_set", "get_hits", "get_misses", "incr_hits", "delete_hits", "total_items"] {
        assert_eq!(conn.stat(name), 0, "STAT {name} after a reset");
    }
    assert_eq!(conn.stat("curr_items"), 36);
    assert!(conn.stat("bytes") > 0);
    assert!(conn.stat("curr_connections") > 0);
    conn.ask("get p0\r\n", "VALUE p0 0 10\r\n0123456789\r\nEND\r\n");
    assert_eq!(conn.stat("get_hits"), 1);
}

fn rejected_sub_commands(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for request in ["stats nonsense\r\n", "stats sizes_enable\r\n", "stats ITEMS\r\n"] {
        conn.ask(request, "ERROR\r\n");
    }
    conn.finish();
}

/// `stats shards`, a word of our own: one group of lines a shard, whose sums are the server's totals.
fn shards_add_up(shards: u32) {
    const KEYS: [&str; 16] = [
        "core",
        "curr_connections",
        "curr_items",
        "bytes",
        "cmd_local",
        "cmd_forwarded",
        "cmd_for_peers",
        "crowds",
        "misrouted",
        "migrations",
        "placed_connections",
        "placed_on_receiving_core",
        "udp_received",
        "udp_dropped",
        "udp_overruns",
        "udp_sent",
    ];
    let server = Server::start(shards, &[]);
    known_traffic(&server);
    let mut conn = server.connect();
    let stats = conn.stats("shards");
    let names: Vec<String> = stats.iter().map(|(name, _)| name.clone()).collect();
    let want: Vec<String> = (0..shards).flat_map(|i| KEYS.map(|key| format!("{i}:{key}"))).collect();
    assert_eq!(names, want);
    for total in ["curr_items", "bytes", "curr_connections"] {
        assert_eq!(over_classes(&stats, total), conn.stat(total), "sum of i:{total} over the shards");
    }
    let (forwarded, for_peers) =
        (over_classes(&stats, "cmd_forwarded"), over_classes(&stats, "cmd_for_peers"));
    assert_eq!(forwarded, for_peers, "what shards send away, others do");
    assert_eq!(forwarded > 0, shards > 1, "cmd_forwarded {forwarded} on {shards} shards");
    assert!(over_classes(&stats, "cmd_local") > 0);
    assert_eq!(over_classes(&stats, "misrouted"), 0);
}
