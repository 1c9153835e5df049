//! Connections move to the shard on which nearly all of their keys live; nobody notices but the counters.

use std::time::Instant;

use crate::binary::client::{Client, request};
use crate::harness::{Conn, Server};
use crate::shard_ports::{crc32, of_shards};
use ringcached::protocol::binary::{Status, opcode};

on_counts! { a_connection_moves_to_its_keys on_2 2 on_4 4 }
on_counts! { answers_keep_their_order on_2 2 on_4 4 }
on_counts! { few_strays_are_forgiven_and_more_are_not on_2 2 on_4 4 }
on_counts! { values_and_packets_move_too on_2 2 on_4 4 }
on_counts! { a_long_request_is_finished_first on_2 2 on_4 4 }
on_counts! { chosen_shards_are_kept on_2 2 on_4 4 }
on_counts! { at_most_so_many_move_in_a_second on_2 2 }

/// A server whose clients can compute owners, and which has a port in common too.
fn server(shards: u32) -> Server {
    Server::start_with_shard_ports(shards, &["--partition", "crc32a", "-R", "50", "-c", "2000"])
}

/// Keys of one shard, without end.
fn keys_of(shard: u32, shards: u32) -> impl Iterator<Item = String> {
    (0..).map(|i| format!("key-{i}")).filter(move |key| crc32(key.as_bytes()) % shards == shard)
}

/// The shard that a connection is on: it forwards a key, or does it itself.
fn shard_of(conn: &mut Conn, control: &mut Conn, shards: u32) -> u32 {
    let before = of_shards(control, shards, "cmd_forwarded");
    let local = of_shards(control, shards, "cmd_local");
    conn.ask("get nobodys\r\n", "END\r\n");
    let (forwarded, done) =
        (of_shards(control, shards, "cmd_forwarded"), of_shards(control, shards, "cmd_local"));
    let grown = |now: &[u64], then: &[u64]| (0..shards).find(|&i| now[i as usize] > then[i as usize]);
    grown(&forwarded, &before).or_else(|| grown(&done, &local)).expect("somebody was asked")
}

fn migrations(control: &mut Conn, shards: u32) -> u64 {
    of_shards(control, shards, "migrations").iter().sum()
}

/// A connection in common, and a shard that it is not on.
fn stranger(server: &Server, control: &mut Conn, shards: u32) -> (Conn, u32) {
    let mut conn = server.connect();
    let at = shard_of(&mut conn, control, shards);
    (conn, (at + 1) % shards)
}

/// One request after the other: after about a thousand, nothing is forwarded any more.
fn a_connection_moves_to_its_keys(shards: u32) {
    let server = server(shards);
    let mut control = server.connect_to_shard(0);
    let (mut conn, home) = stranger(&server, &mut control, shards);
    for (i, key) in keys_of(home, shards).take(1500).enumerate() {
        conn.ask(format!("set {key} {i} 0 1\r\nx\r\n"), "STORED\r\n");
    }
    assert_eq!(of_shards(&mut control, shards, "migrations")[home as usize], 1);
    assert_eq!(migrations(&mut control, shards), 1);
    let before = of_shards(&mut control, shards, "cmd_forwarded");
    for (i, key) in keys_of(home, shards).take(1500).enumerate() {
        conn.ask(format!("get {key}\r\n"), format!("VALUE {key} {i} 1\r\nx\r\nEND\r\n"));
    }
    assert_eq!(of_shards(&mut control, shards, "cmd_forwarded"), before, "it is at home");
    let counts = of_shards(&mut control, shards, "curr_connections");
    assert_eq!(counts.iter().sum::<u64>(), control.stat("curr_connections"));
    // And back, when its keys are others.
    let back = (home + 1) % shards;
    for key in keys_of(back, shards).take(2500) {
        conn.send(format!("delete {key} noreply\r\n"));
    }
    conn.ask("mn\r\n", "MN\r\n"); // all of that has been done
    assert_eq!(shard_of(&mut conn, &mut control, shards), back);
}

/// A long pipeline, sent without waiting, in which answers tell their place, while the connection moves again and again.
fn answers_keep_their_order(shards: u32) {
    const REQUESTS: u32 = 60_000;
    const LEG: u32 = 4_000;
    let server = server(shards);
    let mut control = server.connect_to_shard(0);
    let mut conn = server.connect();
    let pools: Vec<Vec<String>> =
        (0..shards).map(|shard| keys_of(shard, shards).take(100).collect()).collect();
    let (mut requests, mut answers) = (String::new(), String::new());
    for i in 0..REQUESTS {
        let (pool, n) = (&pools[(i / LEG % shards) as usize], (i % 50) as usize);
        let (key, missing) = (&pool[n], &pool[50 + n]);
        match i % 4 {
            0 => requests.push_str(&format!("set {key} {i} 0 1 noreply\r\ny\r\n")),
            1 => {
                requests.push_str(&format!("set {key} {i} 0 1\r\nx\r\n"));
                answers.push_str("STORED\r\n");
            }
            2 => {
                requests.push_str(&format!("mg {missing} O{i} v\r\nmn\r\n"));
                answers.push_str(&format!("EN O{i}\r\nMN\r\n"));
            }
            _ => {
                requests.push_str(&format!("set {key} {i} 0 1 noreply\r\nz\r\nget {key}\r\n"));
                answers.push_str(&format!("VALUE {key} {i} 1\r\nz\r\nEND\r\n"));
            }
        }
    }
    let mut writer = conn.another_handle();
    let sending = std::thread::spawn(move || {
        // Pieces that end anywhere.
        requests.as_bytes().chunks(10_007).for_each(|piece| writer.send(piece));
        writer
    });
    conn.expect(&answers);
    // Not before: a connection that has ended does not move any more.
    sending.join().expect("everything is sent").shut_writing();
    conn.expect_closed();
    // In the first leg it may have been at home.
    let moved = migrations(&mut control, shards);
    assert!((u64::from(REQUESTS / LEG) - 1..=u64::from(REQUESTS / LEG)).contains(&moved), "{moved}");
}

fn few_strays_are_forgiven_and_more_are_not(shards: u32) {
    let server = server(shards);
    let mut control = server.connect_to_shard(0);
    for (strays, moves) in [(4, 1), (8, 0)] {
        let before = migrations(&mut control, shards);
        let (mut conn, home) = stranger(&server, &mut control, shards);
        let (own, others) = (keys_of(home, shards), keys_of((home + 1) % shards, shards));
        let (mut own, mut others) = (own.take(4000), others.take(4000));
        for i in 0..4000 {
            let key = if i % 100 < strays { others.next() } else { own.next() };
            conn.send(format!("get {}\r\n", key.expect("a key")));
        }
        conn.expect("END\r\n".repeat(4000));
        assert_eq!(migrations(&mut control, shards) - before, moves, "{strays} strays of 100");
    }
}

/// Values that are received in place and sent without a copy, and the binary protocol.
fn values_and_packets_move_too(shards: u32) {
    let server = server(shards);
    let mut control = server.connect_to_shard(0);
    let (mut conn, home) = stranger(&server, &mut control, shards);
    let keys: Vec<String> = keys_of(home, shards).take(1300).collect();
    let value = |i: usize| format!("{i:05}").repeat(if i.is_multiple_of(40) { 20_000 } else { 1_500 });
    for (i, key) in keys.iter().enumerate() {
        let (key, value) = (&keys[i % 30], value(i).to_string() + key);
        conn.send(format!("set {key} 0 0 {}\r\n{value}\r\nget {key}\r\n", value.len()));
        conn.expect(format!("STORED\r\nVALUE {key} 0 {}\r\n{value}\r\nEND\r\n", value.len()));
    }
    assert_eq!(migrations(&mut control, shards), 1);

    let mut client = Client::new(&server);
    let before = of_shards(&mut control, shards, "cmd_forwarded");
    for round in 0..2 {
        // Of two rounds on two shards, one at least is away from home.
        for key in keys_of((home + round) % shards, shards).take(1200) {
            client.store(request(opcode::SET, &[0; 8], key.as_bytes(), b"packet", 0));
            client.ask(request(opcode::GET, b"", key.as_bytes(), b"", 0)).is(
                Status::Ok,
                &[0; 4],
                b"",
                b"packet",
            );
        }
    }
    assert!(migrations(&mut control, shards) > 1);
    let after = of_shards(&mut control, shards, "cmd_forwarded");
    let forwarded = after.iter().sum::<u64>() - before.iter().sum::<u64>();
    assert!((1_000..2 * 1_100).contains(&forwarded), "{forwarded} of 4800 requests");
}

/// The key that decides may be that of a large value or one of many of a long get: that is served first.
fn a_long_request_is_finished_first(shards: u32) {
    let server = server(shards);
    let mut control = server.connect_to_shard(0);
    for round in 0..4 {
        let (mut conn, home) = stranger(&server, &mut control, shards);
        let keys: Vec<String> = keys_of(home, shards).take(1000).collect();
        let value = "v".repeat(1_000_000);
        conn.ask(
            keys[..980].iter().map(|key| format!("touch {key} 0\r\n")).collect::<String>(),
            "NOT_FOUND\r\n".repeat(980),
        );
        if round % 2 == 0 {
            for key in keys.iter().cycle().take(100) {
                conn.ask(format!("set {key} 0 0 1000000\r\n{value}\r\n"), "STORED\r\n");
                conn.ask(format!("delete {key}\r\n"), "DELETED\r\n");
            }
        } else {
            conn.ask(format!("get {}\r\n", vec![keys[0].as_str(); 100_000].join(" ")), "END\r\n");
            conn.ask(format!("get {}\r\n", vec![keys[0].as_str(); 100].join(" ")), "END\r\n");
        }
        assert_eq!(migrations(&mut control, shards), round + 1);
        conn.ask("mn\r\n", "MN\r\n");
    }
    let (conn, home) = stranger(&server, &mut control, shards);
    drop(conn);
    let mut client = Client::new(&server);
    for n in [home, (home + 1) % shards] {
        for (i, key) in keys_of(n, shards).take(1100).enumerate() {
            let value = if (940..1070).contains(&i) { vec![b'v'; 300_000] } else { vec![b'v'; 3] };
            client.store(request(opcode::SET, &[0; 8], key.as_bytes(), &value, 0));
        }
        client.ask(request(opcode::VERSION, b"", b"", b"", 0));
    }
    assert!(migrations(&mut control, shards) > 4);
}

/// Who has come to a shard's own port stays.
fn chosen_shards_are_kept(shards: u32) {
    let server = server(shards);
    let mut conn = server.connect_to_shard(0);
    for key in keys_of(1, shards).take(3000) {
        conn.send(format!("get {key}\r\n"));
    }
    conn.expect("END\r\n".repeat(3000));
    assert_eq!(migrations(&mut conn, shards), 0);
    assert_eq!(of_shards(&mut conn, shards, "misrouted")[0], 3000);
}

fn at_most_so_many_move_in_a_second(shards: u32) {
    const AWAY: u64 = 600;
    const PER_SECOND: u64 = 100;
    let server = server(shards);
    let mut control = server.connect_to_shard(0);
    let mut conns: Vec<Conn> = (0..AWAY * u64::from(shards)).map(|_| server.connect()).collect();
    let requests = |keys: usize| -> String {
        keys_of(0, shards).take(keys).map(|key| format!("get {key}\r\n")).collect()
    };
    // Nobody moves yet: what follows is short.
    conns.iter_mut().for_each(|conn| conn.ask(requests(940), "END\r\n".repeat(940)));
    assert_eq!(migrations(&mut control, shards), 0);
    let began = Instant::now();
    conns.iter_mut().for_each(|conn| conn.ask(requests(120), "END\r\n".repeat(120)));
    let moved = migrations(&mut control, shards);
    let most = (began.elapsed().as_secs() + 2) * PER_SECOND; // of the clock, counting those begun and ended
    assert!(most < AWAY, "this took too long to show anything: {:?}", began.elapsed());
    assert!((1..=most).contains(&moved), "{moved} of {AWAY}");
}
