//! Meta commands with flags, tokens and keys that make no sense: every printable byte as a flag of every command, each with arguments
//! that no flag takes; base64 that is none; lines of nothing but tokens.
//!
//! What each of them is answered is in `meta`. Here it is one answer of the protocol's for each request, and the connection goes on:
//! nothing of a bad request is taken for the next one, and no value for an answer.

use super::Witness;
use crate::harness::{Conn, Server};

on_1_and_2_shards! { absurd_flags absurd_keys absurd_lines }

const ARGUMENTS: [&str; 10] = [
    "",
    "0",
    "-1",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "1e9",
    "\t",
    "\u{1}\u{7f}\u{e9}",
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt",
];

/// How an answer of the meta protocol, or an error, begins. The data of an `ms` that was refused may have been taken for a command.
const ANSWERS: [&str; 11] =
    ["HD", "VA ", "EN", "NF", "NS", "EX", "ME ", "ERROR", "CLIENT_ERROR ", "SERVER_ERROR ", "MN"];

/// Sends a request and a get: what comes before the answer to that must be one answer at most, or with data two.
fn check_answer(conn: &mut Conn, request: &str) {
    conn.send(format!("{request}\r\nget nothing\r\n"));
    for lines in 0.. {
        let line = conn.line();
        if line == "END" {
            return;
        }
        assert!(lines < 2, "{request:?}: a third line {line:?}");
        assert!(ANSWERS.iter().any(|answer| line.starts_with(answer)), "{request:?}: {line:?}");
        if let Some(rest) = line.strip_prefix("VA ") {
            let len = rest.split(' ').next().and_then(|len| len.parse::<usize>().ok()).expect("a length");
            conn.receive_exactly(&mut vec![0; len + 2]);
        }
    }
}

fn absurd_flags(shards: u32) {
    let server = Server::start(shards, &[]);
    let witness = Witness::of(&server, shards);
    let mut conn = server.connect();
    let mut requests = 0;
    for flag in '!'..='~' {
        for argument in ARGUMENTS {
            let token = format!("{flag}{argument}");
            for request in [
                format!("mg key {token}"),
                format!("mg key v {token} {token} k"),
                format!("md key {token} q"),
                format!("ma key {token} N0 J1"),
                format!("ms key 2 {token} T0\r\nab"),
                format!("ms key S2 {token}\r\nab"),
                format!("me key {token}"),
                format!("mn {token}"),
            ] {
                check_answer(&mut conn, &request);
                requests += 1;
            }
        }
    }
    assert_eq!(requests, 94 * 10 * 8);
    conn.ask("set key 0 0 1\r\nx\r\nmg key v\r\n", "STORED\r\nVA 1\r\nx\r\n");
    witness.was_served(&server, &format!("{requests} meta commands that make no sense"));
}

fn absurd_keys(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let long = "k".repeat(251);
    let longer = "QUJD".repeat(500);
    let keys = [
        "=",
        "====",
        "A",
        "AA",
        "AAA",
        "A===",
        "AA=A",
        "AAAA=",
        "-_-_",
        "YQ==YQ==",
        "\u{e9}\u{e9}\u{e9}\u{e9}",
    ];
    for key in keys.into_iter().chain([&long[..], &longer]) {
        for flags in ["b", "b k", "b v k q", "b b", "k b t s f c h l O1"] {
            for request in ["mg", "md", "ma", "me"].map(|command| format!("{command} {key} {flags}")) {
                check_answer(&mut conn, &request);
            }
            check_answer(&mut conn, &format!("ms {key} 2 {flags}\r\nab"));
        }
    }
    assert_eq!(conn.stat("curr_connections"), 1, "the connection went on");
}

/// As many tokens as a line holds, and lengths that are none.
fn absurd_lines(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for count in [1, 23, 24, 25, 100, 900] {
        for flag in ["v", "q", "T0", "O1", "\u{7f}"] {
            let flags = format!(" {flag}").repeat(count);
            if flags.len() < 2_000 {
                check_answer(&mut conn, &format!("mg key{flags}"));
                check_answer(&mut conn, &format!("ms key 2{flags}\r\nab"));
                check_answer(&mut conn, &format!("mn{flags}"));
            }
        }
    }
    for len in ["", "-", "-1", "1x", "x", "2147483648", "4294967296", "18446744073709551616", "2 2", "S2"] {
        check_answer(&mut conn, &format!("ms key {len}\r\nab"));
    }
    // A line that does not end is hung up on.
    let mut endless = server.connect();
    endless.send(format!("mg key{}", " v".repeat(5_000)));
    endless.expect_closed();
    conn.ask("mn\r\n", "MN\r\n");
}
