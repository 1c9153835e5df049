//! As many connections as can be.

use super::Witness;
use super::crowd::{Crowd, as_many_as};
use crate::harness::{Server, wait_for};

on_counts! { fifty_thousand_connections on_2 2 }

/// What an idle connection may take of the process; what the kernel has for it is not in there.
const BYTES_PER_CLIENT: u64 = 768;

/// They do nothing, then all ask at once, then all are gone at once.
fn fifty_thousand_connections(shards: u32) {
    let clients = as_many_as(50_000, 10_000);
    let limit = (clients + 50).to_string();
    let server = Server::start(shards, &["-c", &limit, "-b", "4096"]);
    let witness = Witness::of(&server, shards);
    let before_bytes = server.resident_bytes();
    let mut crowd = Crowd::open(&server, clients);
    let mut conn = server.connect();
    let all = clients + 1 + u64::from(shards);
    wait_for("all connections", || (conn.stat("curr_connections") == all).then_some(()));
    let each_bytes = server.resident_bytes().saturating_sub(before_bytes) / clients;
    eprintln!("{clients} idle connections: {each_bytes} bytes each");
    assert!(each_bytes < BYTES_PER_CLIENT, "each idle connection takes {each_bytes} bytes");
    crowd.does("send", &[b"get nothing\r\n"]);
    crowd.does("expect", &[b"END\r\n"]);
    // One more than -c is told so, and nobody else notices.
    let beyond: Vec<_> = (0..60).map(|_| server.connect()).collect();
    wait_for("a refusal", || (conn.stat("rejected_connections") > 0).then_some(()));
    let mut last = server.connect();
    last.expect("ERROR Too many open connections\r\n");
    last.expect_closed();
    crowd.does("reset", &[]);
    drop(beyond);
    wait_for("the crowd to be forgotten", || {
        (conn.stat("curr_connections") == 1 + u64::from(shards)).then_some(())
    });
    witness.was_served(&server, "50,000 connections");
}
