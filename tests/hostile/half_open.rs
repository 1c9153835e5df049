//! Requests of which a byte comes now and then (slow loris).

use super::Witness;
use super::crowd::{Crowd, as_many_as};
use crate::harness::{Conn, Server, wait_for};
use std::time::{Duration, Instant};

on_1_and_2_shards! {
    ten_thousand_half_requests
    half_requests_are_idle_however_often_a_byte_comes
    values_that_come_slowly_are_not_idle
}

const CLIENTS: u64 = 10_000;

/// What one of them may take of the process: its record, a session, the bytes so far.
const BYTES_PER_CLIENT: u64 = 2_048;

/// A binary NOOP, and its answer.
const NOOP: &[u8] = b"\x80\x0a\0\0\0\0\0\0\0\0\0\0abcd\0\0\0\0\0\0\0\0";
const NOOP_ANSWER: &[u8] = b"\x81\x0a\0\0\0\0\0\0\0\0\0\0abcd\0\0\0\0\0\0\0\0";

/// All the bytes but the last come one by one to all of them in turn; then the last, and the answers.
fn ten_thousand_half_requests(shards: u32) {
    let requests: [&[u8]; 4] = [b"get nothing\r\n", b"set s 0 0 1\r\nx\r\n", NOOP, b"mg nothing q\r\nmn\r\n"];
    let answers: [&[u8]; 4] = [b"END\r\n", b"STORED\r\n", NOOP_ANSWER, b"MN\r\n"];
    let clients = as_many_as(CLIENTS, CLIENTS);
    let limit = (clients + 100).to_string();
    let server = Server::start(shards, &["-c", &limit, "-b", "4096"]);
    let witness = Witness::of(&server, shards);
    let mut crowd = Crowd::open(&server, clients);
    let open_bytes = server.resident_bytes();
    crowd.does("drip", &requests.map(|request| &request[..request.len() - 1]));
    let mut conn = server.connect();
    assert_eq!(conn.stat("curr_connections"), clients + 1 + u64::from(shards), "somebody was closed");
    let each_bytes = server.resident_bytes().saturating_sub(open_bytes) / clients;
    eprintln!("{clients} half requests: {each_bytes} bytes each");
    assert!(each_bytes < BYTES_PER_CLIENT, "each half request takes {each_bytes} bytes");
    crowd.does("send", &requests.map(|request| &request[request.len() - 1..]));
    crowd.does("expect", &answers);
    crowd.does("reset", &[]);
    wait_for("the crowd to be forgotten", || {
        (conn.stat("curr_connections") == 1 + u64::from(shards)).then_some(())
    });
    witness.was_served(&server, "10,000 half requests");
}

/// Each client sends its head, and then its bytes one after the other, twenty a second, until the server closes or `patience` is
/// over; whether it closed.
fn trickle(server: &Server, heads: &[&[u8]], bytes: &[u8], patience: Duration) -> Vec<bool> {
    let mut conns: Vec<Conn> = heads.iter().map(|_| server.connect()).collect();
    conns.iter_mut().zip(heads).for_each(|(conn, head)| conn.send(head));
    let began = Instant::now();
    let mut closed = vec![false; heads.len()];
    for byte in bytes.iter().cycle() {
        if began.elapsed() > patience || closed.iter().all(|closed| *closed) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        for (conn, closed) in conns.iter_mut().zip(&mut closed) {
            *closed = *closed || !conn.receive_what_is_there().1;
            if !*closed {
                conn.send_some(&[*byte]);
            }
        }
    }
    closed
}

/// As in memcached: what counts is requests, not bytes.
fn half_requests_are_idle_however_often_a_byte_comes(shards: u32) {
    // Longer than the witness, which asks all the time, may be without a core.
    let server = Server::start(shards, &["-o", "idle_timeout=3"]);
    let witness = Witness::of(&server, shards);
    let heads: [&[u8]; 4] = [b"", b"get a", b"ms a", b"\x80\x01\0\x01\x08\0\0\0\0\0\0\xff"];
    let closed = trickle(&server, &heads, b"x", Duration::from_secs(12));
    assert_eq!(closed, [true; 4], "who was closed");
    witness.was_served(&server, "half requests under idle_timeout");
}

/// The bytes of a value that has been announced do count, whether it is to be stored or thrown away.
fn values_that_come_slowly_are_not_idle(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=2"]);
    let heads: [&[u8]; 2] = [b"set a 0 0 500000\r\n", b"set a 0 0 5000000\r\n"];
    let closed = trickle(&server, &heads, b"x", Duration::from_secs(5));
    assert_eq!(closed, [false; 2], "who was closed");
}
