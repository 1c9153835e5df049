//! Values that are announced and do not come.

use super::Witness;
use crate::binary::client::request;
use crate::harness::{Conn, Server, wait_for};
use ringcached::protocol::binary::opcode;

on_1_and_2_shards! {
    a_gibibyte_that_never_comes
    more_announced_than_there_is_memory
    values_too_large_are_thrown_away
}

/// Stores so many values of 1,000 bytes.
fn fill(conn: &mut Conn, items: usize) {
    let value = "f".repeat(1_000);
    for first in (0..items).step_by(1_000) {
        let batch: String =
            (first..first + 1_000).map(|n| format!("set fill-{n} 0 0 1000 noreply\r\n{value}\r\n")).collect();
        conn.ask(batch + "mn\r\n", "MN\r\n");
    }
}

/// Announces a value of `len` bytes under key number `n`, in a protocol of three.
fn announce(conn: &mut Conn, n: usize, len: usize) {
    match n % 3 {
        0 => conn.send(format!("set claim-{n} 0 0 {len}\r\n")),
        1 => conn.send(format!("ms claim-{n} {len}\r\n")),
        _ => {
            let key = format!("claim-{n}");
            let mut head = request(opcode::SET, &[0; 8], key.as_bytes(), b"", 0);
            head[8..12].copy_from_slice(&((8 + key.len() + len) as u32).to_be_bytes());
            conn.send(head);
        }
    }
}

fn a_gibibyte_that_never_comes(shards: u32) {
    const CLIENTS: usize = 300;
    const ITEMS: usize = 40_000;
    let server = Server::start(shards, &["-m", "4096", "-I", "1g"]);
    let witness = Witness::of(&server, shards);
    let mut conn = server.connect();
    fill(&mut conn, ITEMS);
    let before_bytes = server.resident_bytes();
    let mut crowd: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (n, claimant) in crowd.iter_mut().enumerate() {
        announce(claimant, n, (1 << 30) - 500);
    }
    let some = vec![b'x'; 10_000];
    crowd.iter_mut().for_each(|claimant| claimant.send_some(&some));
    let claims = CLIENTS as u64 + 1 + u64::from(shards);
    wait_for("all claimants, none refused", || (conn.stat("curr_connections") == claims).then_some(()));
    let each_kib = server.resident_bytes().saturating_sub(before_bytes) / CLIENTS as u64 / 1024;
    eprintln!("{CLIENTS} values of 1 GiB announced: {each_kib} KiB each");
    assert!(each_kib < 512, "what is announced takes {each_kib} KiB");
    assert_eq!(conn.stat("evictions"), 0);
    drop(crowd);
    let others = 1 + u64::from(shards);
    wait_for("the claimants to be forgotten", || (conn.stat("curr_connections") == others).then_some(()));
    for n in [0, ITEMS / 2, ITEMS - 1] {
        conn.ask(format!("mg fill-{n}\r\n"), "HD\r\n");
    }
    witness.was_served(&server, "300 values of 1 GiB that never come");
}

/// Ten times `-m` is announced; each claimant sends what would fill the memory it is given.
fn more_announced_than_there_is_memory(shards: u32) {
    const CLIENTS: usize = 640;
    const ITEMS: usize = 30_000;
    let server = Server::start(shards, &["-m", "64"]);
    let mut conn = server.connect();
    fill(&mut conn, ITEMS);
    let witness = Witness::of(&server, shards);
    let mut crowd: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (n, claimant) in crowd.iter_mut().enumerate() {
        announce(claimant, n, 1_000_000);
    }
    let some = vec![b'x'; 200_000];
    crowd.iter_mut().for_each(|claimant| claimant.send_some(&some));
    // Half of the memory stays everybody else's.
    let left = conn.stat("curr_items");
    eprintln!("{left} of {ITEMS} items are left beside what is announced");
    assert!(left > ITEMS as u64 / 3, "{left} of {ITEMS} items are left");
    fill(&mut conn, 5_000);
    conn.ask("mg fill-4999\r\n", "HD\r\n");
    drop(crowd);
    let others = 1 + u64::from(shards);
    wait_for("the claimants to be forgotten", || (conn.stat("curr_connections") == others).then_some(()));
    fill(&mut conn, ITEMS);
    assert!(conn.stat("curr_items") >= ITEMS as u64, "what was announced keeps its memory");
    witness.was_served(&server, "640 values of 1 MB, of which 200 KB come");
}

/// More than `-I`, in every protocol: refused at once, and what comes of it is thrown away, not kept.
fn values_too_large_are_thrown_away(shards: u32) {
    const CLIENTS: usize = 300;
    let server = Server::start(shards, &["-m", "64"]);
    let witness = Witness::of(&server, shards);
    let mut crowd: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (n, claimant) in crowd.iter_mut().enumerate() {
        announce(claimant, n, 1 << 29);
    }
    let before_bytes = server.resident_bytes();
    let some = vec![b'x'; 1 << 20];
    crowd.iter_mut().for_each(|claimant| claimant.send_some(&some));
    for (n, claimant) in crowd.iter_mut().enumerate() {
        match n % 3 {
            0 | 1 => claimant.expect("SERVER_ERROR object too large for cache\r\n"),
            _ => claimant.expect(b"\x81\x01\0\0\0\0\0\x03"),
        }
    }
    let grown = server.resident_bytes().saturating_sub(before_bytes);
    assert!(grown < 16 << 20, "what is thrown away took {grown} bytes");
    witness.was_served(&server, "300 values above -I");
}
