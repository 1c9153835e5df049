//! Connections that are reset in the middle of everything.

use super::Witness;
use crate::binary::client::request;
use crate::harness::{Server, wait_for};
use ringcached::protocol::binary::opcode;

on_1_and_2_shards! { resets_at_every_byte resets_while_answers_are_under_way }

/// Every kind of request there is, one behind the other.
fn stream() -> Vec<u8> {
    let large = "l".repeat(300_000);
    let small = "s".repeat(3_000);
    [
        "get here nowhere here\r\nset mine 0 0 5\r\nhello\r\nincr counter 1\r\n".as_bytes(),
        b"mg here v k\r\nms mine 5 T100\r\nhello\r\nma counter N0\r\ngat 0 here\r\nstats\r\n",
        format!("set mine 0 0 3000\r\n{small}\r\n").as_bytes(),
        b"get large\r\nlru_crawler mgdump hash\r\nflush_all 100\r\n",
        format!("set mine 0 0 300000\r\n{large}\r\nget mine large\r\n").as_bytes(),
    ]
    .concat()
}

/// Where it is cut: every byte of its lines, and places inside its values.
fn cuts(len: usize) -> Vec<usize> {
    (1..350)
        .chain((350..3_300).step_by(97))
        .chain((3_300..3_500).step_by(3))
        .chain((3_500..len).step_by(20_011))
        .collect()
}

fn resets_at_every_byte(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask(format!("set here 0 0 2000\r\n{}\r\n", "h".repeat(2_000)), "STORED\r\n");
    conn.ask(format!("set large 0 0 500000\r\n{}\r\n", "h".repeat(500_000)), "STORED\r\n");
    let witness = Witness::of(&server, shards);
    let stream = stream();
    let cuts = cuts(stream.len());
    for cut in &cuts {
        let mut gone = server.connect();
        gone.send_some(&stream[..*cut]);
        gone.reset();
    }
    let packet = request(opcode::SET, &[0; 8], b"mine", &[b'p'; 10_000], 0);
    for cut in (1..40).chain((40..packet.len()).step_by(501)) {
        let mut gone = server.connect();
        gone.send_some(&packet[..cut]);
        gone.reset();
    }
    let others = 1 + u64::from(shards);
    wait_for("the reset connections to be forgotten", || {
        (conn.stat("curr_connections") == others).then_some(())
    });
    // A value that was cut is not there, nothing keeps the memory of one, and what was there is still whole.
    conn.ask("get large\r\n", format!("VALUE large 0 500000\r\n{}\r\nEND\r\n", "h".repeat(500_000)));
    conn.send("mg mine s\r\n");
    let mine = conn.line();
    assert!(matches!(mine.as_str(), "EN" | "HD s5" | "HD s3000" | "HD s10000" | "HD s300000"), "{mine}");
    witness.was_served(&server, &format!("{} connections reset at as many places", cuts.len()));
}

/// Of clients that have asked for much, read a part of it, and then reset.
fn resets_while_answers_are_under_way(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for key in 0..8 {
        conn.ask(format!("set large-{key} 0 0 200000\r\n{}\r\n", "h".repeat(200_000)), "STORED\r\n");
        conn.ask(format!("set small-{key} 0 0 3000\r\n{}\r\n", "h".repeat(3_000)), "STORED\r\n");
    }
    let witness = Witness::of(&server, shards);
    let requests: String =
        (0..400).map(|n| format!("get large-{} small-{}\r\nstats\r\n", n % 8, n % 7)).collect();
    for round in 0..10 {
        let mut crowd: Vec<_> = (0..50).map(|_| server.connect()).collect();
        crowd.iter_mut().for_each(|gone| gone.send_some(requests.as_bytes()));
        for gone in &mut crowd {
            gone.receive_exactly(&mut vec![0; 100 + round * 1_000]);
        }
        crowd.into_iter().for_each(|gone| gone.reset());
    }
    let others = 1 + u64::from(shards);
    wait_for("the reset connections to be forgotten", || {
        (conn.stat("curr_connections") == others).then_some(())
    });
    witness.was_served(&server, "500 connections reset while they are answered");
}
