//! Answers that are asked for and not read.

use super::Witness;
use crate::harness::{Conn, Server, wait_for};

on_1_and_2_shards! {
    values_of_a_mebibyte_that_nobody_reads
    multi_gets_of_200_000_keys_that_nobody_reads
}

const CLIENTS: usize = 500;

fn crowd_of(server: &Server) -> Vec<Conn> {
    (0..CLIENTS).map(|_| server.connect_with_small_window()).collect()
}

fn forget(server: &Server, crowd: Vec<Conn>, shards: u32) {
    drop(crowd);
    let mut conn = server.connect();
    let others = 1 + u64::from(shards);
    wait_for("the crowd to be forgotten", || (conn.stat("curr_connections") == others).then_some(()));
}

/// All of the same few values, so that what is asked for is far more than what there is.
fn values_of_a_mebibyte_that_nobody_reads(shards: u32) {
    const LEN: usize = 1_048_000;
    let server = Server::start(shards, &["-m", "64"]);
    let mut conn = server.connect();
    let value = |key: usize| -> Vec<u8> { (0..LEN).map(|i| (i / 7 + key) as u8).collect() };
    for key in 0..10 {
        conn.send(format!("set large-{key} 0 0 {LEN}\r\n"));
        conn.send(value(key));
        conn.ask("\r\n", "STORED\r\n");
    }
    conn.finish();
    let witness = Witness::of(&server, shards);
    let requests: String = (0..1_000).map(|n| format!("get large-{}\r\n", n % 10)).collect();
    let mut crowd = crowd_of(&server);
    for _ in 0..3 {
        crowd.iter_mut().for_each(|conn| conn.send_some(requests.as_bytes()));
    }
    // Values that are being sent may be overwritten and deleted: who reads in the end gets each as it was, whole.
    let mut other = server.connect();
    other.ask("delete large-1\r\nset large-2 0 0 1\r\nx\r\n", "DELETED\r\nSTORED\r\n");
    let head = format!("VALUE large-0 0 {LEN}\r\n");
    crowd[0].expect([head.as_bytes(), &value(0), b"\r\nEND\r\n"].concat());
    other.finish();
    forget(&server, crowd, shards);
    witness.was_served(&server, "500 clients that ask for values of 1 MiB and do not read");
}

/// Lines of them from each client, as far as the server takes them; the half of the keys is there.
fn multi_gets_of_200_000_keys_that_nobody_reads(shards: u32) {
    let server = Server::start(shards, &["-m", "64"]);
    let mut conn = server.connect();
    let value = "v".repeat(1_000);
    for key in 0..100 {
        conn.ask(format!("set k{key} 0 0 1000\r\n{value}\r\n"), "STORED\r\n");
    }
    conn.finish();
    let witness = Witness::of(&server, shards);
    let mut line = String::from("get");
    (0..200_000).for_each(|n| line.push_str(if n % 2 == 0 { " k7" } else { " nobody-has-this" }));
    line.push_str("\r\n");
    let line = line.repeat(4); // more than the sockets hold
    let mut crowd = crowd_of(&server);
    let mut sent = vec![0; crowd.len()];
    for _ in 0..3 {
        for (conn, sent) in crowd.iter_mut().zip(&mut sent) {
            *sent += conn.send_part(&line.as_bytes()[*sent..]);
        }
    }
    assert!(sent.iter().any(|sent| *sent < line.len()), "everybody's lines were taken whole: nothing waited");
    crowd[0].expect(format!("VALUE k7 0 1000\r\n{value}\r\n").repeat(100));
    forget(&server, crowd, shards);
    witness.was_served(&server, "500 clients with multi-gets of 200,000 keys that do not read");
}
