//! Crowds who ask for reports, lists of keys and the log, and do not read them.

use super::Witness;
use crate::binary::client::{Client, request};
use crate::harness::{Conn, Server, wait_for};
use crate::metrics::fetch;
use ringcached::protocol::binary::Status;
use ringcached::protocol::binary::opcode::STAT;
use std::fmt::Write as _;

on_1_and_2_shards! {
    reports_that_hundreds_do_not_read
    a_long_report_has_no_memory_in_a_crowd
    lists_of_keys_that_hundreds_do_not_read
    a_log_that_nobody_reads
}

const CLIENTS: usize = 1_000;

/// Of those who ask for long reports: each takes two system calls for each of them.
const LONG_CLIENTS: usize = 400;

/// Watchers a server admits.
const WATCHERS_MAX: usize = 20;

fn crowd_of(server: &Server, clients: usize) -> Vec<Conn> {
    (0..clients).map(|_| server.connect_with_small_window()).collect()
}

fn fill(conn: &mut Conn, items: usize) {
    for first in (0..items).step_by(1_000) {
        let mut batch = String::new();
        for n in first..first + 1_000 {
            let _ = write!(batch, "set fill-{n} 0 0 10 noreply\r\n0123456789\r\n");
        }
        conn.ask(batch + "mn\r\n", "MN\r\n");
    }
}

/// Those that grow with the number of connections, too: each is longer than all that a connection may have in a crowd.
fn reports_that_hundreds_do_not_read(shards: u32) {
    let server = Server::start(shards, &["-c", "4096"]);
    let mut conn = server.connect();
    let witness = Witness::of(&server, shards);
    let mut crowd = crowd_of(&server, LONG_CLIENTS);
    for (n, greedy) in crowd.iter_mut().enumerate() {
        let report = ["stats conns\r\n", "stats settings\r\nstats\r\n"][n % 2];
        greedy.send_some(report.repeat(4).as_bytes());
    }
    conn.ask("get nothing\r\n", "END\r\n");
    drop(crowd);
    let others = 1 + u64::from(shards);
    wait_for("the crowd to be forgotten", || (conn.stat("curr_connections") == others).then_some(()));
    wait_for("long reports again", || {
        conn.send("stats conns\r\nmn\r\n");
        let lines = std::iter::from_fn(|| Some(conn.line()).filter(|line| line != "MN")).count();
        (lines > 4).then_some(())
    });
    witness.was_served(&server, "400 clients that ask for reports and do not read");
}

/// While more waits than was planned, here values of which a byte is missing, what is longer than any other answer is refused in
/// memcached's words; short reports are not.
fn a_long_report_has_no_memory_in_a_crowd(shards: u32) {
    const REFUSED: &str = "SERVER_ERROR out of memory writing stats";
    let server = Server::start(shards, &["-c", "4096"]);
    let mut conn = server.connect();
    let mut crowd: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    assert!(conn.stats("conns").len() > CLIENTS);
    for (n, half) in crowd.iter_mut().enumerate() {
        half.send(format!("set half-{n} 0 0 4000\r\n{}", "h".repeat(3_999)));
    }
    wait_for("a refusal", || {
        conn.send("stats conns\r\nget nothing\r\n");
        let lines: Vec<String> =
            std::iter::from_fn(|| Some(conn.line()).filter(|line| line != "END")).collect();
        let refused = lines == [REFUSED];
        if !refused {
            conn.expect("END\r\n"); // of the get; that of the report was the first
        }
        refused.then_some(())
    });
    assert!(conn.stat("curr_connections") > CLIENTS as u64);
    let mut binary = Client::new(&server);
    binary.fails(request(STAT, b"", b"conns", b"", 0), Status::NotFound);
    crowd.iter_mut().for_each(|half| half.ask("h\r\n", "STORED\r\n"));
    assert!(conn.stats("conns").len() > CLIENTS, "long reports again");
}

fn lists_of_keys_that_hundreds_do_not_read(shards: u32) {
    let server = Server::start(shards, &["-c", "4096", "--admin", "127.0.0.1:-1"]);
    let mut conn = server.connect();
    fill(&mut conn, 10_000);
    let witness = Witness::of(&server, shards);
    let mut crowd = crowd_of(&server, CLIENTS / 3);
    for _ in 0..3 {
        for (n, greedy) in crowd.iter_mut().enumerate() {
            let list =
                ["lru_crawler metadump all\r\n", "lru_crawler mgdump hash\r\n", "stats cachedump 1 0\r\n"]
                    [n % 3];
            greedy.send_some(list.as_bytes());
        }
        conn.ask("get nothing\r\n", "END\r\n");
    }
    // All of them wait for their turn; an operator's scrape, one at a time, still comes through.
    let metrics = fetch(&server, "/metrics");
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    drop(crowd);
    let others = 1 + u64::from(shards);
    wait_for("the crowd to be forgotten", || (conn.stat("curr_connections") == others).then_some(()));
    witness.was_served(&server, "333 clients that list keys and do not read");
}

/// Everything that can be logged, while as much of it happens as can; most are told that there are watchers enough.
fn a_log_that_nobody_reads(shards: u32) {
    let server = Server::start(shards, &["-c", "4096", "-m", "2"]);
    server.expect_watchers(WATCHERS_MAX as u64);
    let mut conn = server.connect();
    let witness = Witness::of(&server, shards);
    let mut crowd = crowd_of(&server, CLIENTS);
    crowd
        .iter_mut()
        .for_each(|watcher| watcher.send("watch fetchers mutations evictions connevents deletions\r\n"));
    let told: Vec<bool> = crowd.iter_mut().map(|watcher| watcher.line() == "OK").collect();
    assert_eq!(told.iter().filter(|ok| **ok).count(), WATCHERS_MAX, "watchers admitted");
    for _ in 0..2 {
        fill(&mut conn, 40_000);
        conn.ask("get nothing\r\ndelete nothing\r\n", "END\r\nNOT_FOUND\r\n");
    }
    assert!(conn.stat("evictions") > 0, "nothing was evicted, so not everything was logged");
    assert!(conn.stat("log_watcher_skipped") > 0, "the watchers got all");
    drop(crowd);
    let others = 1 + u64::from(shards);
    wait_for("the watchers to be forgotten", || (conn.stat("curr_connections") == others).then_some(()));
    witness.was_served(&server, "20 watchers that do not read, and 980 that may not watch");
}
