//! Loads that try to make the server take more memory than it promised at its start. That it did not is asserted by the harness
//! at the end of each test, from the peak the kernel has noted; here is what makes the load, and that quiet clients are still
//! served meanwhile.

use std::fmt::Write as _;

use crate::harness::{Conn, Server, wait_for};

on_shards! {
    multi_gets_that_nobody_reads
    small_values_that_nobody_reads
    lines_without_end
    half_of_many_values
    reports_for_a_crowd
    mass_deletes
    a_table_that_grows
    a_multi_get_of_200_000_keys
    connections_that_come_and_go
    values_of_a_mebibyte
}

/// Clients of a crowd.
const CROWD: usize = 1_000;

/// A server that admits a crowd.
fn server(shards: u32, more: &[&str]) -> Server {
    Server::start(shards, &[&["-c", "4096"], more].concat())
}

/// A client that asks for little is answered: late while the sockets of a crowd are being filled, but in the harness's patience.
fn check_quiet(conn: &mut Conn) {
    for i in 0..20 {
        conn.ask(format!("set quiet-{i} 0 0 1\r\n{}\r\n", i % 10), "STORED\r\n");
        conn.ask(format!("get quiet-{i}\r\n"), format!("VALUE quiet-{i} 0 1\r\n{}\r\nEND\r\n", i % 10));
    }
}

/// How often any shard has found more waiting than was planned.
fn crowds(conn: &mut Conn) -> u64 {
    let stats = conn.stats("shards");
    let of_shards = stats.iter().filter(|(name, _)| name.ends_with(":crowds"));
    of_shards.map(|(_, value)| value.parse::<u64>().expect("a count")).sum()
}

/// A crowd whose members send `requests` over and over, as far as the server takes them, and read nothing. The first has a
/// window in which one can read fast.
fn crowd_that_does_not_read(server: &Server, quiet: &mut Conn, requests: &[u8]) -> Vec<Conn> {
    let with_small_windows = (1..CROWD).map(|_| server.connect_with_small_window());
    let mut crowd: Vec<Conn> = std::iter::once(server.connect()).chain(with_small_windows).collect();
    for _ in 0..3 {
        crowd.iter_mut().for_each(|conn| conn.send_some(requests));
        check_quiet(quiet);
    }
    crowd
}

/// Stores `count` values of `value_bytes` and returns their keys, each with a space before it.
fn store(conn: &mut Conn, count: usize, value_bytes: usize) -> String {
    let value = "v".repeat(value_bytes);
    let mut keys = String::new();
    for n in 0..count {
        conn.ask(format!("set value-{n} 0 0 {value_bytes}\r\n{value}\r\n"), "STORED\r\n");
        let _ = write!(keys, " value-{n}");
    }
    keys
}

/// Makes most of `-m 64` resident, so that what is taken beyond the promise shows. Nothing is evicted by it.
fn fill(conn: &mut Conn) {
    const ITEMS: usize = 44_000;
    let value = "f".repeat(1_000);
    for first in (0..ITEMS).step_by(1_000) {
        let batch: String =
            (first..first + 1_000).map(|n| format!("set fill-{n} 0 0 1000 noreply\r\n{value}\r\n")).collect();
        conn.ask(batch + "mn\r\n", "MN\r\n");
    }
    assert_eq!(conn.stat("evictions"), 0);
}

fn multi_gets_that_nobody_reads(shards: u32) {
    let server = server(shards, &["-m", "64"]);
    let mut quiet = server.connect();
    let keys = store(&mut quiet, 50, 100_000);
    fill(&mut quiet);
    let requests = format!("get{keys}\r\n").repeat(400);
    let mut crowd = crowd_that_does_not_read(&server, &mut quiet, requests.as_bytes());
    assert!(crowds(&mut quiet) > 0, "nothing waited");
    // Whoever reads in the end gets all that was asked, in order.
    for key in keys.split_whitespace() {
        crowd[0].expect(format!("VALUE {key} 0 100000\r\n{}\r\n", "v".repeat(100_000)));
    }
    crowd[0].expect("END\r\n");
    drop(crowd);
    wait_for("the crowd to be forgotten", || (quiet.stat("curr_connections") == 1).then_some(()));
    check_quiet(&mut quiet);
}

/// Values that are copied, through the mesh too.
fn small_values_that_nobody_reads(shards: u32) {
    let server = server(shards, &["-m", "64"]);
    let mut quiet = server.connect();
    let keys = store(&mut quiet, 100, 4_000);
    fill(&mut quiet);
    let requests = format!("get{keys}\r\n").repeat(200);
    let mut crowd = crowd_that_does_not_read(&server, &mut quiet, requests.as_bytes());
    for key in keys.split_whitespace() {
        crowd[0].expect(format!("VALUE {key} 0 4000\r\n{}\r\n", "v".repeat(4_000)));
    }
    crowd[0].expect("END\r\n");
}

/// Requests of which as much has come as may wait for the rest.
fn lines_without_end(shards: u32) {
    let server = server(shards, &["-m", "64"]);
    let mut quiet = server.connect();
    fill(&mut quiet);
    let keys = " a-key-that-nobody-has".repeat(700);
    let mut crowd: Vec<Conn> = (0..CROWD).map(|_| server.connect()).collect();
    for (n, conn) in crowd.iter_mut().enumerate() {
        match n % 3 {
            0 => conn.send(format!("get{keys}")),
            1 => conn.send(format!("gat 0{keys}")),
            _ => conn.send(format!("set small-{n} 0 0 4000\r\n{}", "v".repeat(3_999))),
        }
    }
    check_quiet(&mut quiet);
    assert!(crowds(&mut quiet) > 0, "nothing waited");
    // A get is read key by key, a small value is waited for; lines that can only be waited for are refused while it is a crowd.
    let all = CROWD as u64 + 1;
    wait_for("long lines to be refused", || (quiet.stat("curr_connections") < all).then_some(()));
    crowd[0].ask("\r\n", "END\r\n");
    crowd[2].ask("v\r\n", "STORED\r\n");
    check_quiet(&mut quiet);
}

/// More is announced than `-m`; none of it comes whole.
fn half_of_many_values(shards: u32) {
    const VALUE_BYTES: usize = 200_000;
    let server = server(shards, &["-m", "64"]);
    let mut quiet = server.connect();
    let half = "h".repeat(VALUE_BYTES / 2);
    let mut crowd: Vec<Conn> = (0..CROWD).map(|_| server.connect()).collect();
    for (n, conn) in crowd.iter_mut().enumerate() {
        conn.send(format!("set half-{n} 0 0 {VALUE_BYTES}\r\n"));
        conn.send_some(half.as_bytes());
    }
    for conn in &mut crowd {
        conn.send_some(&half.as_bytes()[..1000]);
    }
    // There may be no memory for anything new, but an answer there is.
    for n in 0..20 {
        let answer = quiet.ask_line(&format!("set quiet-{n} 0 0 1\r\n1\r\n"));
        assert!(
            matches!(answer.as_str(), "STORED" | "SERVER_ERROR out of memory storing object"),
            "{answer}"
        );
    }
    drop(crowd);
    wait_for("the crowd to be forgotten", || (quiet.stat("curr_connections") == 1).then_some(()));
    check_quiet(&mut quiet);
}

/// Reports come from the heap.
fn reports_for_a_crowd(shards: u32) {
    let server = server(shards, &["-m", "64"]);
    let mut quiet = server.connect();
    fill(&mut quiet);
    let requests = "stats settings\r\nstats\r\n".repeat(300);
    let crowd = crowd_that_does_not_read(&server, &mut quiet, requests.as_bytes());
    drop(crowd);
    check_quiet(&mut quiet);
}

fn mass_deletes(shards: u32) {
    const ITEMS: usize = 150_000;
    let server = server(shards, &["-m", "32"]);
    let mut conn = server.connect();
    for value_bytes in [60, 1_500, 30] {
        let value = "v".repeat(value_bytes);
        for n in 0..ITEMS {
            conn.send(format!("set item-{n} 0 0 {value_bytes} noreply\r\n{value}\r\n"));
        }
        conn.ask("mn\r\n", "MN\r\n");
        for n in 0..ITEMS {
            conn.send(format!("delete item-{n} noreply\r\n"));
        }
        conn.ask("mn\r\n", "MN\r\n");
        assert_eq!((conn.stat("curr_items"), conn.stat("bytes")), (0, 0));
    }
    check_quiet(&mut conn);
}

fn a_table_that_grows(shards: u32) {
    const ITEMS: usize = 600_000;
    const BATCH: usize = 1_000;
    let server = server(shards, &["-m", "48"]);
    let (mut conn, mut quiet) = (server.connect(), server.connect());
    let mut text = String::new();
    for first in (0..ITEMS).step_by(BATCH) {
        text.clear();
        for n in first..first + BATCH {
            let _ = write!(text, "set {n} 0 0 1 noreply\r\nx\r\n");
        }
        conn.send(&text);
        if first % (100 * BATCH) == 0 {
            check_quiet(&mut quiet);
        }
    }
    conn.ask("mn\r\n", "MN\r\n");
    assert_eq!(conn.stat("evictions"), 0, "the items were to fit");
    for n in (0..ITEMS).step_by(ITEMS / 100) {
        conn.ask(format!("get {n}\r\n"), format!("VALUE {n} 0 1\r\nx\r\nEND\r\n"));
    }
}

fn a_multi_get_of_200_000_keys(shards: u32) {
    const KEYS: usize = 200_000;
    const HITS: usize = 100;
    let server = server(shards, &["-m", "64"]);
    let mut conn = server.connect();
    let value = "v".repeat(3_000);
    let (mut line, mut answer) = (String::from("get"), String::new());
    for n in 0..KEYS {
        let _ = write!(line, " k{n}");
        if n % (KEYS / HITS) == 0 {
            conn.ask(format!("set k{n} 0 0 3000\r\n{value}\r\n"), "STORED\r\n");
            let _ = write!(answer, "VALUE k{n} 0 3000\r\n{value}\r\n");
        }
    }
    line.push_str("\r\n");
    answer.push_str("END\r\n");
    let mut askers: Vec<Conn> = (0..8).map(|_| server.connect()).collect();
    let mut writers: Vec<Conn> = askers.iter().map(Conn::another_handle).collect();
    std::thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| writer.send(&line));
        }
        askers.iter_mut().for_each(|asker| asker.expect(&answer));
    });
    check_quiet(&mut conn);
}

fn connections_that_come_and_go(shards: u32) {
    /// What later crowds may add to what the first has left: blocks of sends, touched as many at a time as requests find the shard late.
    const GROWTH_BYTES: u64 = 6 << 20;
    let server = server(shards, &["-m", "64"]);
    let mut quiet = server.connect();
    fill(&mut quiet);
    let mut after_first = None;
    for _ in 0..8 {
        let mut crowd: Vec<Conn> = (0..CROWD).map(|_| server.connect()).collect();
        for (n, conn) in crowd.iter_mut().enumerate() {
            conn.send(format!(
                "set key-{n} 0 0 2\r\n10\r\nincr key-{n} 1\r\nget key-{n}\r\nget a b c d e f g h"
            ));
        }
        for (n, conn) in crowd.iter_mut().enumerate() {
            conn.expect(format!("STORED\r\n11\r\nVALUE key-{n} 0 2\r\n11\r\nEND\r\n"));
        }
        drop(crowd);
        wait_for("the crowd to be forgotten", || (quiet.stat("curr_connections") == 1).then_some(()));
        let (now, first) = (server.resident_bytes(), *after_first.get_or_insert(server.resident_bytes()));
        assert!(now < first + GROWTH_BYTES, "{now} bytes resident, {first} after the first crowd");
    }
}

fn values_of_a_mebibyte(shards: u32) {
    const LEN: usize = 1 << 20;
    let server = server(shards, &["-m", "64", "-I", "8m"]);
    let value = |key: usize| -> Vec<u8> { (0..LEN).map(|i| (i * 7 + key) as u8).collect() };
    let client = |first: usize| {
        let mut conn = server.connect();
        for key in first..first + 12 {
            let value = value(key);
            conn.send(format!("set large-{key} 0 0 {LEN}\r\n"));
            conn.send(&value);
            conn.ask("\r\n", "STORED\r\n");
            // It may have been evicted by the others meanwhile.
            conn.send(format!("get large-{key}\r\n"));
            match conn.line().as_str() {
                "END" => {}
                head => {
                    assert_eq!(head, format!("VALUE large-{key} 0 {LEN}"));
                    let mut got = vec![0; LEN];
                    conn.receive_exactly(&mut got);
                    assert!(got == value, "large-{key}: other bytes");
                    conn.expect("\r\nEND\r\n");
                }
            }
        }
        conn.finish();
    };
    std::thread::scope(|scope| {
        for n in 0..8 {
            scope.spawn(move || client(n * 100));
        }
    });
    check_quiet(&mut server.connect());
}
