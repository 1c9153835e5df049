//! Time: TTLs relative and absolute, and flush_all now and later.
//!
//! The clock has steps of one second, so a TTL of n seconds may end up to a second early; it must never end late by
//! more than a second. Tests poll with a deadline and leave that second alone.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::harness::{Conn, Conversation, Server, converse, wait_for};

on_shards! {
    overdue_at_once
    ttls_that_stay
    ttl_in_seconds_ends
    touch_prolongs_and_shortens
    absolute_times
    writes_that_keep_the_ttl
    flush_all_forgets_everything
    flush_all_later
    flush_all_refused
    sets_behind_a_flush_survive_it
}

fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("clock after 1970").as_secs()
}

/// Polls until `key` misses; returns how long that took since `start`. It must happen by `at_most_s`.
fn gone_after(conn: &mut Conn, key: &str, start: Instant, at_most_s: u64) -> Duration {
    loop {
        let asked = start.elapsed();
        let line = conn.ask_line(&format!("get {key}\r\n"));
        if line == "END" {
            return start.elapsed();
        }
        assert!(asked < Duration::from_secs(at_most_s), "{key} still there after {asked:?}");
        conn.expect("x\r\nEND\r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn overdue_at_once(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 -1 1\r\nx\r\n", "STORED\r\n"),
        ("get a\r\n", "END\r\n"),
        // One second more than 30 days is an absolute time long past.
        ("set b 0 2592001 1\r\nx\r\n", "STORED\r\n"),
        ("get b\r\n", "END\r\n"),
        ("set c 0 0 1\r\nx\r\nset c 0 -100 1\r\ny\r\nget c\r\n", "STORED\r\nSTORED\r\nEND\r\n"),
        ("add c 0 0 1\r\nz\r\n", "STORED\r\n"),
        ("set d 0 -1 1\r\n1\r\nincr d 1\r\n", "STORED\r\nNOT_FOUND\r\n"),
        ("set d 0 -1 1\r\n1\r\ndelete d\r\n", "STORED\r\nNOT_FOUND\r\n"),
        ("set d 0 -1 1\r\n1\r\nappend d 0 0 1\r\nx\r\n", "STORED\r\nNOT_STORED\r\n"),
        ("set d 0 -1 1\r\n1\r\ncas d 0 0 1 1\r\nx\r\n", "STORED\r\nNOT_FOUND\r\n"),
        ("set d 0 -1 1\r\n1\r\ntouch d 0\r\n", "STORED\r\nNOT_FOUND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn ttls_that_stay(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for (i, ttl) in [0, 100, 86_400, 2_592_000, unix_now_s() + 3_600].into_iter().enumerate() {
        conn.ask(format!("set k{i} 0 {ttl} 1\r\nx\r\n"), "STORED\r\n");
        conn.ask(format!("get k{i}\r\n"), format!("VALUE k{i} 0 1\r\nx\r\nEND\r\n"));
    }
    conn.finish();
}

fn ttl_in_seconds_ends(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let start = Instant::now();
    let verbs = ["set", "add"];
    for verb in verbs {
        conn.ask(
            format!("{verb} {verb} 0 2 1\r\nx\r\nset {verb}-stays 0 0 1\r\nx\r\n"),
            "STORED\r\nSTORED\r\n",
        );
    }
    for verb in verbs {
        let took = gone_after(&mut conn, verb, start, 4);
        assert!(took >= Duration::from_millis(900), "{verb} with a TTL of 2 s was gone after {took:?}");
        conn.ask(format!("get {verb}-stays\r\n"), format!("VALUE {verb}-stays 0 1\r\nx\r\nEND\r\n"));
    }
    conn.finish();
}

fn touch_prolongs_and_shortens(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let start = Instant::now();
    for key in ["ends", "touched", "gat"] {
        conn.ask(format!("set {key} 0 2 1\r\nx\r\n"), "STORED\r\n");
    }
    conn.ask("set shortened 0 0 1\r\nx\r\ntouch shortened 2\r\n", "STORED\r\nTOUCHED\r\n");
    conn.ask("touch touched 100\r\n", "TOUCHED\r\n");
    conn.ask("gat 0 gat\r\n", "VALUE gat 0 1\r\nx\r\nEND\r\n");
    gone_after(&mut conn, "ends", start, 4);
    gone_after(&mut conn, "shortened", start, 5);
    conn.ask("get touched gat\r\n", "VALUE touched 0 1\r\nx\r\nVALUE gat 0 1\r\nx\r\nEND\r\n");
    conn.finish();
}

fn absolute_times(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let now_s = unix_now_s();
    conn.ask(format!("set past 0 {} 1\r\nx\r\nget past\r\n", now_s - 1_000), "STORED\r\nEND\r\n");
    conn.ask(format!("set soon 0 {} 1\r\nx\r\n", now_s + 3), "STORED\r\n");
    conn.ask("get soon\r\n", "VALUE soon 0 1\r\nx\r\nEND\r\n");
    let took = gone_after(&mut conn, "soon", Instant::now(), 6);
    assert!(took >= Duration::from_millis(900), "3 s ahead, gone after {took:?}");
    conn.finish();
}

/// append, prepend, incr and decr leave the TTL alone, replace and cas set their own.
fn writes_that_keep_the_ttl(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let start = Instant::now();
    conn.ask("set kept 0 2 0\r\n\r\nappend kept 0 100 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    conn.ask("set front 0 2 0\r\n\r\nprepend front 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    conn.ask("set count 0 2 1\r\n9\r\nincr count 1\r\n", "STORED\r\n10\r\n");
    conn.ask("set fresh 0 2 1\r\nx\r\nreplace fresh 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    gone_after(&mut conn, "kept", start, 4);
    gone_after(&mut conn, "front", start, 4);
    wait_for("the counter to expire", || (conn.ask_line("incr count 1\r\n") == "NOT_FOUND").then_some(()));
    conn.ask("get fresh\r\n", "VALUE fresh 0 1\r\nx\r\nEND\r\n");
    conn.finish();
}

fn flush_all_forgets_everything(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for flush in [
        "flush_all\r\n",
        "flush_all 0\r\n",
        "flush_all -1\r\n",
        "flush_all noreply\r\n",
        "flush_all 0 noreply\r\n",
    ] {
        for i in 0..40 {
            conn.ask(format!("set k{i} 0 0 1\r\nx\r\n"), "STORED\r\n");
        }
        conn.ask(flush, if flush.contains("noreply") { "" } else { "OK\r\n" });
        let keys: String = (0..40).map(|i| format!(" k{i}")).collect();
        conn.ask(format!("get{keys}\r\n"), "END\r\n");
        // What is set afterwards stays, in the same second too, also seen from another connection.
        conn.ask("add k0 0 0 1\r\ny\r\n", "STORED\r\n");
        server.connect().ask("get k0 k1\r\n", "VALUE k0 0 1\r\ny\r\nEND\r\n");
    }
    conn.ask("flush_all x\r\n", "CLIENT_ERROR invalid exptime argument\r\n");
    conn.ask("flush_all x noreply\r\nget k0\r\n", "VALUE k0 0 1\r\ny\r\nEND\r\n");
    conn.finish();
}

fn flush_all_later(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for i in 0..20 {
        conn.ask(format!("set k{i} 0 0 1\r\nx\r\n"), "STORED\r\n");
    }
    let start = Instant::now();
    conn.ask("flush_all 2\r\n", "OK\r\n");
    conn.ask("get k0\r\n", "VALUE k0 0 1\r\nx\r\nEND\r\n");
    let took = gone_after(&mut conn, "k0", start, 5);
    assert!(took >= Duration::from_millis(900), "flush_all 2 came after {took:?}");
    for i in 1..20 {
        gone_after(&mut conn, &format!("k{i}"), start, 5);
    }
    // memcached also forgets what is stored in the rest of that second; after it, values stay.
    wait_for("a value to outlive the flush", || {
        conn.ask("set k0 0 0 1\r\nx\r\n", "STORED\r\n");
        let stays = conn.ask_line("get k0\r\n") != "END";
        if stays {
            conn.expect("x\r\nEND\r\n");
        }
        stays.then_some(())
    });
    conn.finish();
}

fn flush_all_refused(shards: u32) {
    let server = Server::start(shards, &["-F"]);
    let mut conn = server.connect();
    conn.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    conn.ask("flush_all\r\n", "CLIENT_ERROR flush_all not allowed\r\n");
    conn.ask("flush_all 10\r\n", "CLIENT_ERROR flush_all not allowed\r\n");
    conn.ask("flush_all noreply\r\nget a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    conn.finish();
}

/// What is stored behind a `flush_all` of the same connection survives it on every shard, also when answers for keys of other
/// shards come in between.
fn sets_behind_a_flush_survive_it(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for round in 0..300 {
        let keys: Vec<String> = (0..8).map(|i| format!("k{round}-{i}")).collect();
        let sets: String = keys.iter().map(|key| format!("set {key} 0 0 1\r\nx\r\n")).collect();
        conn.ask(
            format!("get zz yy xx ww\r\nversion\r\nflush_all\r\n{sets}get {}\r\n", keys.join(" ")),
            format!(
                "END\r\nVERSION 1.6.45\r\nOK\r\n{}{}END\r\n",
                "STORED\r\n".repeat(8),
                keys.iter().map(|key| format!("VALUE {key} 0 1\r\nx\r\n")).collect::<String>()
            ),
        );
    }
    conn.finish();
}
