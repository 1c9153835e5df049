//! Values of tens of KiB to megabytes, which are received straight into the memory of their item: every byte, wherever the
//! stream is cut, and what becomes of values that never come whole.

use crate::binary::client::request;
use crate::harness::{Conn, Server, another_server_lacks, wait_for};
use ringcached::protocol::binary::opcode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Every byte of these is random.
const SOURCE_BYTES: usize = 6 << 20;

on_shards! {
    every_length_in_every_protocol
    pipelines_cut_anywhere
    a_byte_at_a_time
    many_at_once
    the_key_changes_meanwhile
    data_longer_than_announced
    gone_in_the_middle
    memory_is_taken_as_a_value_comes
    memory_ends_in_the_middle
    stopped_in_the_middle
    slow_but_not_idle
    others_are_served_beside_a_stream
}

fn source() -> Vec<u8> {
    let mut bytes = vec![0; SOURCE_BYTES];
    fastrand::Rng::with_seed(6).fill(&mut bytes);
    bytes
}

fn set(key: &str, value: &[u8]) -> Vec<u8> {
    [format!("set {key} 7 0 {}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn hit(key: &str, value: &[u8]) -> Vec<u8> {
    [format!("VALUE {key} 7 {}\r\n", value.len()).as_bytes(), value, b"\r\nEND\r\n"].concat()
}

/// Sends `bytes` in pieces of random length, some of them single bytes.
fn send_cut(conn: &mut Conn, mut bytes: &[u8], random: &mut fastrand::Rng) {
    while !bytes.is_empty() {
        let longest = [1, 100, 5_000, 70_000, 700_000][random.usize(..5)].min(bytes.len());
        let (now, later) = bytes.split_at(random.usize(1..=longest));
        conn.send(now);
        bytes = later;
    }
}

/// Lengths around what is received directly, a chunk, what one receive takes, and some of many receives.
fn every_length_in_every_protocol(shards: u32) {
    let server = Server::start(shards, &["-m", "256", "-I", "8m"]);
    let (mut text, mut binary) = (server.connect(), server.connect());
    let source = source();
    let around = [32 << 10, 64 << 10, 128 << 10, 512 << 10, 1 << 20, 5 << 20];
    for len in around.into_iter().flat_map(|n: usize| [n - 4200, n - 60, n - 1, n, n + 1, n + 4200]) {
        let value = &source[len % 977..][..len];
        text.ask(set("classic", value), "STORED\r\n");
        text.ask("get classic\r\n", hit("classic", value));
        text.ask([format!("ms meta {len} F7\r\n").as_bytes(), value, b"\r\n"].concat(), "HD\r\n");
        text.ask("get meta\r\n", hit("meta", value));
        let quiet_set = request(opcode::SETQ, &[0, 0, 0, 7, 0, 0, 0, 0], b"binary", value, 0);
        let noop = request(opcode::NOOP, &[], b"", b"", 0);
        binary.send([quiet_set, noop].concat());
        let mut answer = [0; 24];
        binary.receive_exactly(&mut answer);
        assert_eq!(answer[..2], [0x81, opcode::NOOP], "the set of {len} bytes was to be silent");
        text.ask("get binary\r\n", hit("binary", value));
    }
    text.finish();
}

/// Large and small values and requests between them, in one stream that is cut at random.
fn pipelines_cut_anywhere(shards: u32) {
    let server = Server::start(shards, &["-m", "256", "-I", "8m"]);
    let source = source();
    for seed in 0..6 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let (mut stream, mut answers) = (Vec::new(), Vec::new());
        for i in 0..25 {
            let longest = [10, 6_000, 40_000, 200_000, 1_500_000][random.usize(..5)];
            let value = &source[random.usize(..1_000)..][..random.usize(..longest)];
            let key = format!("key-{}", i % 5);
            stream.extend(set(&key, value));
            answers.extend(b"STORED\r\n");
            for _ in 0..random.usize(..3) {
                stream.extend(format!("get {key}\r\n").as_bytes());
                answers.extend(hit(&key, value));
            }
        }
        let mut conn = server.connect();
        let mut writer = conn.another_handle();
        let mut order = random.fork();
        let sent = std::thread::spawn(move || send_cut(&mut writer, &stream, &mut order));
        conn.expect(&answers);
        sent.join().expect("writer");
        conn.finish();
    }
}

fn a_byte_at_a_time(shards: u32) {
    let server = Server::start(shards, &[]);
    let (mut conn, mut other) = (server.connect(), server.connect());
    let value = &source()[..100_000];
    let request = set("slow", value);
    let (head, rest) = request.split_at(40_000);
    let (middle, tail) = rest.split_at(rest.len() - 400);
    conn.send(head);
    for byte in &middle[..400] {
        conn.send([*byte]);
        other.ask("get slow\r\n", "END\r\n");
    }
    conn.send(&middle[400..]);
    for byte in tail {
        other.ask("get slow\r\n", "END\r\n");
        conn.send([*byte]);
    }
    conn.expect("STORED\r\n");
    conn.ask("get slow\r\n", hit("slow", value));
    conn.finish();
}

fn many_at_once(shards: u32) {
    const CLIENTS: u64 = 8;
    let server = Server::start(shards, &["-m", "512", "-I", "8m"]);
    let source = source();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (mut conn, source) = (server.connect(), &source);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(client);
                for i in 0..12 {
                    let value = &source[random.usize(..100_000)..][..random.usize(30_000..2_000_000)];
                    let key = format!("key-{client}-{}", i % 4);
                    send_cut(&mut conn, &set(&key, value), &mut random);
                    conn.expect("STORED\r\n");
                    conn.ask(format!("get {key}\r\n"), hit(&key, value));
                }
                conn.finish();
            });
        }
    });
}

/// Whatever happens to its key while a value comes, the value is stored in the end.
fn the_key_changes_meanwhile(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let (mut conn, mut other) = (server.connect(), server.connect());
    let source = source();
    let (value, another) = (&source[..900_000], &source[900_000..1_700_000]);
    let request = set("key", value);
    let changes: [(Vec<u8>, &str); 4] = [
        (set("key", another), "STORED\r\n"),
        (b"delete key\r\n".into(), "DELETED\r\n"),
        (set("key", b"small"), "STORED\r\n"),
        (b"flush_all\r\n".into(), "OK\r\n"),
    ];
    for (i, (change, answer)) in changes.into_iter().enumerate() {
        let cut = 100_000 + 200_000 * i;
        conn.send(&request[..cut]);
        other.ask(change, answer);
        conn.ask(&request[cut..], "STORED\r\n");
        other.ask("get key\r\n", hit("key", value));
    }
    conn.finish();
}

/// The bytes behind the announced length are never a part of the value.
fn data_longer_than_announced(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let value = &source()[..300_000];
    conn.ask(set("key", value), "STORED\r\n");
    let longer = [b"set key 7 0 299000\r\n", &value[..299_000], b"xyversion\r\n"].concat();
    conn.send(longer);
    conn.expect("CLIENT_ERROR bad data chunk\r\n");
    assert!(conn.line().starts_with("VERSION "));
    conn.ask("get key\r\n", hit("key", value));
    conn.finish();
}

/// Stores values of 1 MB until one is refused; how many there was room for.
fn fill(conn: &mut Conn, value: &[u8]) -> usize {
    (0..1_000)
        .take_while(|i| {
            conn.send(set(&format!("full-{i}"), value));
            conn.line() == "STORED"
        })
        .count()
}

/// Clients that go away inside a value, one way or another: all their memory comes back.
fn gone_in_the_middle(shards: u32) {
    const CLIENTS: usize = 40;
    let server = Server::start(shards, &["-m", "64", "-M"]);
    let mut conn = server.connect();
    let value = &source()[..1_000_000];
    let room = fill(&mut conn, value);
    // The first shard that is full refuses, and which keys are whose changes from start to start.
    assert!(room > 20, "only {room} values of 1 MB in 64 MiB");
    for round in 0..3 {
        conn.ask("flush_all\r\n", "OK\r\n");
        let mut random = fastrand::Rng::with_seed(round);
        let gone: Vec<Conn> = (0..CLIENTS)
            .map(|i| {
                let mut gone = server.connect();
                let request = set(&format!("gone-{i}"), value);
                gone.send(&request[..random.usize(30..request.len())]);
                gone
            })
            .collect();
        conn.ask("get full-0\r\n", "END\r\n");
        for (i, mut gone) in gone.into_iter().enumerate() {
            if i % 2 == 0 {
                gone.shut_writing();
                wait_for_end(&mut gone);
            }
        }
        wait_for("the clients to be forgotten", || (conn.stat("curr_connections") == 1).then_some(()));
        conn.ask("get gone-0 gone-1 gone-2 gone-3\r\n", "END\r\n");
        let room_now = fill(&mut conn, value);
        assert!(room_now * 10 >= room * 9, "there was room for {room} values, now for {room_now}");
    }
    conn.finish();
}

/// Large values that are announced and do not come make room for their beginnings only.
fn memory_is_taken_as_a_value_comes(shards: u32) {
    const ANNOUNCED: usize = 8_000_000;
    const CLIENTS: usize = 4;
    let server = Server::start(shards, &["-m", "128", "-I", "9m"]);
    let mut control = server.connect();
    let item = "i".repeat(1_000);
    for i in 0..150_000 {
        control.send(format!("set small-{i} 0 0 1000 noreply\r\n{item}\r\n"));
    }
    control.ask("mn\r\n", "MN\r\n");
    let (evicted, read) = (control.stat("evictions"), control.stat("bytes_read"));
    assert!(evicted > 0, "it is not full");
    let value = &source().repeat(2)[..ANNOUNCED];
    let requests: Vec<Vec<u8>> = (0..CLIENTS).map(|i| set(&format!("large-{i}"), value)).collect();
    let mut clients: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (client, request) in clients.iter_mut().zip(&requests) {
        client.send(&request[..100]);
    }
    wait_for("the heads of the values", || (control.stat("bytes_read") >= read + 400).then_some(()));
    // A mebibyte for each, which one receive might bring, and what a full store makes ready beyond that.
    let made_room = (control.stat("evictions") - evicted) * 1_000;
    assert!(made_room < ANNOUNCED as u64, "{made_room} bytes evicted for {CLIENTS} times 100");
    for (i, (client, request)) in clients.iter_mut().zip(&requests).enumerate() {
        client.ask(&request[100..], "STORED\r\n");
        control.ask(format!("get large-{i}\r\n"), hit(&format!("large-{i}"), value));
    }
    assert!((control.stat("evictions") - evicted) * 1_000 > 3 * ANNOUNCED as u64);
}

/// A value for whose beginning there is memory and for whose end there is none is refused; its bytes are no requests.
fn memory_ends_in_the_middle(shards: u32) {
    const LEN: usize = 6_000_000;
    let server = Server::start(shards, &["-m", "64", "-M", "-I", "8m"]);
    let mut conn = server.connect();
    let source = source();
    // Until all shards are full.
    for i in 0..1_000 {
        conn.send(set(&format!("full-{i}"), &source[..100_000]));
        conn.line();
    }
    // Room for a third of it on each shard, wherever its key lives.
    for i in 0..22 * shards {
        conn.ask(format!("delete full-{i}\r\n"), "DELETED\r\n");
    }
    let value = b"get x\r\n".repeat(LEN / 7);
    conn.ask("set large 0 0 1\r\nx\r\n", "STORED\r\n");
    for _ in 0..3 {
        conn.ask(set("large", &value), "SERVER_ERROR out of memory storing object\r\n");
        conn.ask("get large\r\n", "END\r\n");
        conn.ask(set("medium", &source[..150_000]), "STORED\r\n");
        conn.ask("get medium\r\n", hit("medium", &source[..150_000]));
        conn.ask("delete medium\r\n", "DELETED\r\n");
    }
    conn.finish();
}

/// A value that was refused is answered; one that was not whole is not.
fn wait_for_end(conn: &mut Conn) {
    let mut rest = Vec::new();
    let read = std::io::Read::read_to_end(conn, &mut rest);
    assert!(read.is_ok(), "the end of a half-closed connection: {read:?}");
    assert!(rest.is_empty() || rest.starts_with(b"SERVER_ERROR out of memory"), "an answer to half a value");
}

fn stopped_in_the_middle(shards: u32) {
    let mut server = Server::start(shards, &["-m", "128"]);
    let value = &source()[..1_000_000];
    let mut conns: Vec<Conn> = (0..10).map(|_| server.connect()).collect();
    for (i, conn) in conns.iter_mut().enumerate() {
        conn.send(&set(&format!("key-{i}"), value)[..90_000 * (i + 1)]);
    }
    server.connect().ask("get key-0\r\n", "END\r\n");
    server.stop();
    conns.iter_mut().for_each(Conn::expect_closed);
}

/// Whoever sends a large value slowly is not idle, and whoever stops in the middle of it is.
fn slow_but_not_idle(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=2"]);
    let mut conn = server.connect();
    let value = &source()[..400_000];
    let request = set("key", value);
    let start = Instant::now();
    let mut pieces = request.chunks(12_000);
    while start.elapsed() < Duration::from_secs(5) {
        conn.send(pieces.next().expect("a piece for each time"));
        std::thread::sleep(Duration::from_millis(200));
    }
    pieces.for_each(|piece| conn.send(piece));
    conn.expect("STORED\r\n");
    conn.ask("get key\r\n", hit("key", value));
    if another_server_lacks("a client that stops inside a value is idle") {
        return;
    }
    conn.send(&request[..200_000]);
    conn.expect_closed();
    wait_for("the count", || (server.connect().stat("idle_kicks") > 0).then_some(()));
}

/// No turn belongs to a stream of large values: the median round trip of another client beside it is short.
fn others_are_served_beside_a_stream(shards: u32) {
    let server = Server::start(shards, &["-m", "256", "-I", "8m"]);
    let mut other = server.connect();
    let mut stream = server.connect();
    let value = source();
    let (sets, enough) = (AtomicU32::new(0), AtomicBool::new(false));
    let mut took = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let request = set("stream", &value);
            // A bound, should the other client fail: nobody would say that it is enough.
            while !enough.load(Ordering::Relaxed) && sets.load(Ordering::Relaxed) < 1_000 {
                stream.ask(&request, "STORED\r\n");
                sets.fetch_add(1, Ordering::Relaxed);
            }
        });
        while sets.load(Ordering::Relaxed) < 20 || took.len() < 30 {
            let start = Instant::now();
            other.ask("get nothing\r\n", "END\r\n");
            took.push(start.elapsed());
        }
        enough.store(true, Ordering::Relaxed);
    });
    took.sort();
    let median = took[took.len() / 2];
    assert!(median < Duration::from_millis(50), "the median of {} round trips is {median:?}", took.len());
}
