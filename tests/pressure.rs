//! Clients that do not behave and limits that are reached: nobody else may notice, nothing may be lost.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Conn, Server, wait_for};

/// How long one round trip of a well-behaved client may take while another one misbehaves.
const RESPONSIVE: Duration = Duration::from_secs(5);
/// What a client that reads nothing may cost in resident memory beyond the items.
const SLOW_READER_COST_BYTES: u64 = 48 << 20;

on_shards! {
    slow_reader_of_large_values
    slow_reader_of_many_values
    slow_writer_of_a_large_value
    connection_limit
    idle_clients_are_closed
    busy_clients_are_not_idle
    full_without_evictions_loses_nothing
    full_with_evictions_keeps_going
    clients_that_vanish
    clients_that_end_during_a_call
    more_slow_readers_than_blocks
    a_crowd_that_does_not_read
    reports_that_nobody_reads
    half_a_request_is_idle
}

/// Well-behaved round trips on `conn`, each within [`RESPONSIVE`] and most of them much faster.
fn check_responsive(conn: &mut Conn) {
    let mut all = Vec::new();
    for i in 0..200 {
        let start = Instant::now();
        conn.ask(format!("set other-{i} 0 0 1\r\n1\r\nincr other-{i} 1\r\n"), "STORED\r\n2\r\n");
        let took = start.elapsed();
        assert!(took < RESPONSIVE, "a round trip took {took:?} beside a slow reader");
        all.push(took);
    }
    all.sort();
    assert!(
        all[100] < Duration::from_millis(100),
        "the median of round trips beside a slow reader is {:?}",
        all[100]
    );
}

/// Asks for `times` answers of `value_bytes` each and reads none until another client has been served.
fn slow_reader(shards: u32, value_bytes: usize, times: usize) {
    let server = Server::start(shards, &["-m", "64"]);
    let mut other = server.connect();
    let mut value = vec![0; value_bytes];
    fastrand::Rng::with_seed(3).fill(&mut value);
    let head = format!("set v 5 0 {value_bytes}\r\n");
    other.ask([head.as_bytes(), &value, b"\r\n"].concat(), "STORED\r\n");
    check_responsive(&mut other);
    let resident_before_bytes = server.resident_bytes();

    let mut slow = server.connect();
    let mut writer = slow.another_handle();
    let sent = std::thread::spawn(move || writer.send("get v\r\n".repeat(times)));
    for _ in 0..5 {
        check_responsive(&mut other);
    }
    let grown_bytes = server.resident_bytes().saturating_sub(resident_before_bytes);
    assert!(grown_bytes < SLOW_READER_COST_BYTES, "a client that does not read cost {grown_bytes} bytes");

    // The value is replaced meanwhile: each answer is the old one or the new one, whole.
    let mut second = value.clone();
    second.reverse();
    other.ask([head.as_bytes(), &second, b"\r\n"].concat(), "STORED\r\n");
    let answer =
        |value: &[u8]| [format!("VALUE v 5 {value_bytes}\r\n").as_bytes(), value, b"\r\nEND\r\n"].concat();
    let (old, new) = (answer(&value), answer(&second));
    let mut got = vec![0; old.len()];
    let mut replaced = false;
    for i in 0..times {
        slow.receive_exactly(&mut got);
        replaced |= got == new;
        let want = if replaced { &new } else { &old };
        let differs = || want.iter().zip(&got).position(|(a, b)| a != b);
        assert!(
            got == *want,
            "answer {i} of {times} is torn at byte {:?} (old {}, replaced {replaced})",
            differs(),
            got == old
        );
    }
    sent.join().expect("writer");
    slow.finish();
    check_responsive(&mut other);
}

fn slow_reader_of_large_values(shards: u32) {
    slow_reader(shards, 1_000_000, 200);
}

fn slow_reader_of_many_values(shards: u32) {
    slow_reader(shards, 10_000, 20_000);
}

fn slow_writer_of_a_large_value(shards: u32) {
    const VALUE_BYTES: usize = 1_000_000;
    let server = Server::start(shards, &[]);
    let (mut slow, mut other) = (server.connect(), server.connect());
    let value: Vec<u8> = (0..VALUE_BYTES).map(|i| (i % 251) as u8).collect();
    slow.send(format!("set v 0 0 {VALUE_BYTES}\r\n"));
    for piece in value.chunks(VALUE_BYTES / 9) {
        slow.send(piece);
        other.ask("get v\r\n", "END\r\n");
    }
    slow.ask("\r\n", "STORED\r\n");
    let head = format!("VALUE v 0 {VALUE_BYTES}\r\n");
    other.ask("get v\r\n", [head.as_bytes(), &value, b"\r\nEND\r\n"].concat());
}

fn connection_limit(shards: u32) {
    const LIMIT: usize = 64;
    let server = Server::start(shards, &["-c", "64"]);
    let mut admitted = Vec::new();
    let mut refused = loop {
        let mut conn = server.connect();
        conn.send("get nothing\r\n");
        if conn.line() != "END" {
            break conn;
        }
        admitted.push(conn);
        assert!(admitted.len() <= LIMIT, "-c {LIMIT} admitted {} clients", admitted.len());
    };
    refused.expect_closed();
    assert!(!admitted.is_empty(), "-c {LIMIT} admitted nobody");
    // The words themselves, on a connection that sends nothing.
    let mut refused = server.connect();
    refused.expect("ERROR Too many open connections\r\n");
    refused.expect_closed();
    let first = &mut admitted[0];
    assert!(first.stat("rejected_connections") >= 2);
    assert_eq!(first.stat("max_connections"), LIMIT as u64);
    // A place given back is a place for the next.
    admitted.pop().expect("a client").finish();
    wait_for("a free place", || {
        let mut conn = server.connect();
        conn.send("get nothing\r\n");
        (conn.line() == "END").then_some(())
    });
}

/// At the limit under `no_maxconns_fast`, and when the process may open no more descriptors: whoever is connected is served,
/// whoever waits in the backlog is served later. A multishot accept goes by the limit of the moment it was armed, so the
/// descriptors run out only after the connection limit has made it rest once.
#[test]
fn descriptors_running_out() {
    const LIMIT: usize = 24;
    let server = Server::start(1, &["-c", "24", "-o", "no_maxconns_fast"]);
    let hit = "VALUE a 0 1\r\nx\r\nEND\r\n";
    let mut first = server.connect();
    first.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    let mut clients = Vec::new();
    wait_for("the connection limit", || {
        let mut conn = server.connect();
        conn.send("get a\r\n");
        clients.push(conn);
        (first.stat("accepting_conns") == 0).then_some(())
    });
    assert!(clients.len() <= LIMIT, "-c {LIMIT} admitted {}", clients.len());
    assert!(first.stat("listen_disabled_num") >= 1);

    let admitted = first.stat("curr_connections");
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("descriptors").count();
    set_open_files(&server, open - 4);
    // The newest have the highest descriptors, half of which may not be used again.
    for mut conn in clients.split_off(clients.len() - 8) {
        conn.expect(hit);
        conn.finish();
    }
    wait_for("accepting_conns 1", || (first.stat("accepting_conns") == 1).then_some(()));
    let mut waiting: Vec<Conn> = (0..8).map(|_| server.connect()).collect();
    for conn in &mut waiting {
        conn.send("get a\r\n");
    }
    wait_for("accepting_conns 0", || (first.stat("accepting_conns") == 0).then_some(()));
    let connections = first.stat("curr_connections");
    assert!(
        connections < admitted,
        "the descriptors, not the connections, ran out: {connections} of {admitted}"
    );
    first.ask("get a\r\n", hit);
    set_open_files(&server, open + 64);
    for mut conn in clients.into_iter().chain(waiting) {
        conn.expect(hit);
        conn.finish();
    }
    wait_for("accepting_conns 1", || (first.stat("accepting_conns") == 1).then_some(()));
    assert!(first.stat("time_in_listen_disabled_us") > 0);
}

/// Changes how many descriptors a running server may have.
fn set_open_files(server: &Server, limit: usize) {
    let (pid, limit) = (server.pid().to_string(), format!("--nofile={limit}:"));
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(status.is_ok_and(|s| s.success()), "prlimit (util-linux) could not change the server's limit");
}

fn idle_clients_are_closed(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=1"]);
    let mut clients: Vec<Conn> = (0..4).map(|_| server.connect()).collect();
    let start = Instant::now();
    for conn in &mut clients[..3] {
        conn.ask("get a\r\n", "END\r\n");
    }
    for conn in &mut clients {
        conn.expect_closed();
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900), "idle_timeout=1 closed after {took:?}");
    assert!(server.connect().stat("idle_kicks") >= 4);
}

fn busy_clients_are_not_idle(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=2"]);
    let (mut busy, mut idle) = (server.connect(), server.connect());
    let closed = std::thread::spawn(move || idle.expect_closed());
    while !closed.is_finished() {
        busy.ask("get a\r\n", "END\r\n");
        std::thread::sleep(Duration::from_millis(100));
    }
    closed.join().expect("idle client closed in time");
    busy.finish();
}

/// The value of key `i`: `len` bytes that no other key's has.
fn value_of(i: usize, len: usize) -> String {
    let mut value = format!("{i}:").repeat(len / 2 + 1);
    value.truncate(len);
    value
}

/// Writes `keys` values of `value_bytes` and returns which were stored; every answer must be one of the two.
fn fill(conn: &mut Conn, keys: usize, value_bytes: usize) -> Vec<bool> {
    let store = |i: usize| {
        let value = value_of(i, value_bytes);
        match conn.ask_line(&format!("set full-{i} 0 0 {value_bytes}\r\n{value}\r\n")).as_str() {
            "STORED" => true,
            "SERVER_ERROR out of memory storing object" => false,
            other => panic!("set full-{i}: {other:?}"),
        }
    };
    (0..keys).map(store).collect()
}

/// Every key that was stored is there with its value, and no other.
fn check_filled(conn: &mut Conn, stored: &[bool], value_bytes: usize) {
    const BATCH: usize = 50;
    let (mut requests, mut answers) = (String::new(), String::new());
    for (i, stored) in stored.iter().enumerate() {
        requests.push_str(&format!("get full-{i}\r\n"));
        if *stored {
            let value = value_of(i, value_bytes);
            answers.push_str(&format!("VALUE full-{i} 0 {value_bytes}\r\n{value}\r\n"));
        }
        answers.push_str("END\r\n");
        if i % BATCH == BATCH - 1 {
            conn.ask(std::mem::take(&mut requests), std::mem::take(&mut answers));
        }
    }
    conn.ask(requests, answers);
}

fn full_without_evictions_loses_nothing(shards: u32) {
    const NO_MEMORY: &str = "SERVER_ERROR out of memory storing object\r\n";
    let server = Server::start(shards, &["-M", "-m", "16"]);
    let mut conn = server.connect();
    let mut refused = 0;
    for (keys, value_bytes) in [(8_000, 4_000), (40_000, 700), (300, 100_000)] {
        let stored = fill(&mut conn, keys, value_bytes);
        let refused_now = stored.iter().filter(|s| !**s).count();
        refused += refused_now;
        assert!(refused_now > 0, "{keys} values of {value_bytes} bytes went into -m 16");
        let kept_bytes = (keys - refused_now) * value_bytes;
        assert!(kept_bytes > 8 << 20, "-m 16 -M kept only {kept_bytes} bytes in values of {value_bytes}");
        check_filled(&mut conn, &stored, value_bytes);
        // What is refused now, in whatever way, takes nothing of the others with it.
        let value = "n".repeat(value_bytes);
        for n in 0..50 {
            conn.ask(format!("set new-{n} 0 0 {value_bytes}\r\n{value}\r\n"), NO_MEMORY);
            conn.ask(format!("add new-{n} 0 0 {value_bytes}\r\n{value}\r\n"), NO_MEMORY);
            refused += 2;
        }
        check_filled(&mut conn, &stored, value_bytes);
        assert_eq!(conn.stat("evictions"), 0);
        assert_eq!(conn.stat("store_no_memory"), refused as u64);
        // Room made is room for the next.
        conn.ask("flush_all\r\n", "OK\r\n");
        assert!(fill(&mut conn, 20, 4_000).iter().all(|s| *s), "no room after flush_all");
        conn.ask("flush_all\r\n", "OK\r\n");
    }
    conn.finish();
}

fn full_with_evictions_keeps_going(shards: u32) {
    let server = Server::start(shards, &["-m", "16"]);
    let mut conn = server.connect();
    for value_bytes in [4_000, 100, 20_000] {
        let keys = (40 << 20) / value_bytes;
        let stored = fill(&mut conn, keys.min(60_000), value_bytes);
        let refused = stored.iter().filter(|s| !**s).count();
        assert_eq!(refused, 0, "values of {value_bytes} bytes refused although eviction is on");
    }
    assert!(conn.stat("evictions") > 0);
    assert!(conn.stat("bytes") <= 16 << 20, "more bytes of items than -m");
    conn.finish();
}

/// Clients that go away in the middle of whatever they were doing leave nothing behind.
fn clients_that_vanish(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask(format!("set v 0 0 500000\r\n{}\r\n", "v".repeat(500_000)), "STORED\r\n");
    let before = conn.stat("curr_connections");
    for i in 0..60 {
        let mut gone = server.connect();
        match i % 3 {
            0 => gone.send("get v\r\n".repeat(50)),
            1 => gone.send(format!("set half-{i} 0 0 400000\r\n{}", "h".repeat(1_000 * i))),
            _ => gone.send("get"),
        }
    }
    wait_for("vanished clients to be forgotten", || (conn.stat("curr_connections") <= before).then_some(()));
    assert_eq!(conn.stat("curr_items"), 1);
    conn.ask("get half-1\r\n", "END\r\n");
    conn.finish();
}

/// A client that is gone before `flush_all` has reached every shard leaves nothing behind.
fn clients_that_end_during_a_call(shards: u32) {
    let server = Server::start(shards, &[]);
    for _ in 0..300 {
        let mut conn = server.connect();
        conn.send("flush_all noreply\r\n");
    }
    let mut conn = server.connect();
    wait_for("the connections to be forgotten", || (conn.stat("curr_connections") == 1).then_some(()));
}

/// Slow readers take every send block of every shard: once they have left, those who waited are answered.
fn more_slow_readers_than_blocks(shards: u32) {
    const READERS: usize = 300;
    let server = Server::start(shards, &[]);
    let value = "v".repeat(4000);
    let mut patient = server.connect();
    for key in 0..16 {
        patient.ask(format!("set key-{key} 0 0 4000\r\n{value}\r\n"), "STORED\r\n");
    }
    let requests: String = (0..2000).map(|i| format!("get key-{}\r\n", i % 16)).collect();
    let slow: Vec<Conn> = (0..READERS)
        .map(|_| {
            let mut conn = server.connect();
            conn.send(&requests);
            conn
        })
        .collect();
    let ask_all: String = (0..16).map(|key| format!("get key-{key}\r\n")).collect();
    patient.send(&ask_all);
    drop(slow);
    for key in 0..16 {
        patient.expect(format!("VALUE key-{key} 0 4000\r\n{value}\r\nEND\r\n"));
    }
    wait_for("the slow readers to be forgotten", || (patient.stat("curr_connections") == 1).then_some(()));
}

/// Many clients that send requests for keys of all shards as long as the server takes them, and read nothing. The sockets
/// alone swallow megabytes of answers for each, so the others are served late here, but served.
fn a_crowd_that_does_not_read(shards: u32) {
    const CLIENTS: usize = 150;
    let server = Server::start(shards, &["-m", "64"]);
    let mut other = server.connect();
    let value = "v".repeat(1000);
    let keys: String = (0..100).map(|n| format!(" key-{n}")).collect();
    for key in keys.split_whitespace() {
        other.ask(format!("set {key} 0 0 1000\r\n{value}\r\n"), "STORED\r\n");
    }
    let requests = format!("get{keys}\r\n").repeat(200);
    let mut crowd: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    for _ in 0..2 {
        crowd.iter_mut().for_each(|conn| conn.send_some(requests.as_bytes()));
        for key in keys.split_whitespace().take(10) {
            other.ask(format!("get {key}\r\n"), format!("VALUE {key} 0 1000\r\n{value}\r\nEND\r\n"));
        }
    }
    // Whoever reads in the end gets all that was asked, in order.
    let answer: String =
        keys.split_whitespace().map(|key| format!("VALUE {key} 0 1000\r\n{value}\r\n")).collect();
    crowd[0].expect(format!("{answer}END\r\n"));
}

/// Reports come from the heap, so a client that asks for them and does not read must be stopped like any other.
fn reports_that_nobody_reads(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut other = server.connect();
    other.stats("");
    let before_bytes = server.resident_bytes();
    let mut greedy = server.connect();
    for _ in 0..20 {
        greedy.send_some("stats settings\r\n".repeat(5_000).as_bytes());
        other.ask("get a\r\n", "END\r\n");
    }
    let grown = server.resident_bytes().saturating_sub(before_bytes);
    assert!(grown < 8 << 20, "reports nobody reads took {grown} bytes");
}

/// A client that sent a part of a request and nothing more is as idle as one that sent nothing.
fn half_a_request_is_idle(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=1"]);
    let halves: [&[u8]; 4] =
        [b"get a", b"\x80\x01\0\x01", b"set a 0 0 100\r\nabc", b"set b 0 0 100000\r\nabc"];
    let mut conns = halves.map(|half| {
        let mut conn = server.connect();
        conn.send(half);
        conn
    });
    conns.iter_mut().for_each(Conn::expect_closed);
    let kicked =
        wait_for("the count", || Some(server.connect().stat("idle_kicks")).filter(|kicks| *kicks >= 4));
    assert_eq!(kicked, 4);
}
