//! get gets gat gats: what comes back, and in which order.

use crate::harness::{Conversation, Server, converse};

on_shards! {
    hits_misses_and_duplicates
    gets_adds_the_cas_unique
    gat_returns_and_touches
    multi_get_keeps_request_order
    long_lines_of_keys
    large_values_pipelined
}

fn hits_misses_and_duplicates(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("get a\r\n", "END\r\n"),
        ("get a b c\r\n", "END\r\n"),
        (
            "set a 1 0 1\r\nx\r\nset b 4294967295 0 0\r\n\r\nset c 0 0 2\r\n\r\n\r\n",
            "STORED\r\nSTORED\r\nSTORED\r\n",
        ),
        ("get a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n"),
        ("get b\r\n", "VALUE b 4294967295 0\r\n\r\nEND\r\n"),
        ("get c\r\n", "VALUE c 0 2\r\n\r\n\r\nEND\r\n"),
        ("get a nope b a\r\n", "VALUE a 1 1\r\nx\r\nVALUE b 4294967295 0\r\n\r\nVALUE a 1 1\r\nx\r\nEND\r\n"),
        ("get nope a a a nope\r\n", "VALUE a 1 1\r\nx\r\nVALUE a 1 1\r\nx\r\nVALUE a 1 1\r\nx\r\nEND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn gets_adds_the_cas_unique(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask("gets a\r\n", "END\r\n");
    conn.ask("set a 9 0 1\r\nx\r\nset b 8 0 1\r\ny\r\n", "STORED\r\nSTORED\r\n");
    let (a, b) = (conn.cas_of("a"), conn.cas_of("b"));
    let both = format!("VALUE b 8 1 {b}\r\ny\r\nVALUE a 9 1 {a}\r\nx\r\nEND\r\n");
    conn.ask("gets b a\r\n", &both);
    conn.ask("gats 0 b a\r\n", &both);
    // Reading and touching leave it, writing changes it.
    conn.ask("touch a 0\r\nget a\r\n", "TOUCHED\r\nVALUE a 9 1\r\nx\r\nEND\r\n");
    assert_eq!(conn.cas_of("a"), a);
    for write in ["set a 9 0 1\r\nx\r\n", "append a 0 0 0\r\n\r\n", "replace a 9 0 1\r\n1\r\n"] {
        let before = conn.cas_of("a");
        conn.ask(write, "STORED\r\n");
        assert_ne!(conn.cas_of("a"), before, "after {write:?}");
    }
    let before = conn.cas_of("a");
    conn.ask("incr a 0\r\n", "1\r\n");
    assert_ne!(conn.cas_of("a"), before, "after incr");
    conn.finish();
}

fn gat_returns_and_touches(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("gat 10 a b\r\n", "END\r\n"),
        ("set a 1 0 1\r\nx\r\nset b 2 0 1\r\ny\r\n", "STORED\r\nSTORED\r\n"),
        ("gat 0 a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n"),
        ("gat 100 b nope a b\r\n", "VALUE b 2 1\r\ny\r\nVALUE a 1 1\r\nx\r\nVALUE b 2 1\r\ny\r\nEND\r\n"),
        ("gat x a\r\n", "CLIENT_ERROR invalid exptime argument\r\n"),
        // A time after 2038 works here; memcached refuses it.
        ("gat 99999999999 a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n"),
        ("gats x a\r\n", "CLIENT_ERROR invalid exptime argument\r\n"),
        // Overdue at once.
        ("gat -1 a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n"),
        ("get a\r\n", "END\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn multi_get_keeps_request_order(shards: u32) {
    const KEYS: usize = 300;
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    // Every third key is missing; sizes differ, so that answers from different shards are ready at different times.
    let value = |i: usize| format!("{i}-").repeat(1 + i * 37 % 400);
    let stored = |i: usize| !i.is_multiple_of(3);
    for i in (0..KEYS).filter(|&i| stored(i)) {
        let value = value(i);
        conn.ask(format!("set k{i} {i} 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let (mut request, mut answer) = (String::from("get"), String::new());
        for _ in 0..100 {
            let i = random.usize(..KEYS);
            request += &format!(" k{i}");
            if stored(i) {
                let value = value(i);
                answer += &format!("VALUE k{i} {i} {}\r\n{value}\r\n", value.len());
            }
        }
        conn.ask(request + "\r\n", answer + "END\r\n");
    }
    conn.finish();
}

fn long_lines_of_keys(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for i in (0..10).filter(|i| i % 2 == 0) {
        conn.ask(format!("set key-{i} 0 0 1\r\n{i}\r\n"), "STORED\r\n");
    }
    for keys in [1_000, 100_000] {
        let (mut request, mut answer) = (String::from("get"), String::new());
        for i in 0..keys {
            let key = i * 7 % 10;
            request += &format!(" key-{key}");
            if key % 2 == 0 {
                answer += &format!("VALUE key-{key} 0 1\r\n{key}\r\n");
            }
        }
        let mut writer = conn.another_handle();
        let sent = std::thread::spawn(move || writer.send(request + "\r\n"));
        conn.expect(answer + "END\r\n");
        sent.join().expect("writer");
    }
    conn.ask("get key-0\r\n", "VALUE key-0 0 1\r\n0\r\nEND\r\n");
    conn.finish();
}

/// Values of nearly 1 MiB, written and read in one pipeline, each with bytes of its own.
fn large_values_pipelined(shards: u32) {
    const VALUE_BYTES: usize = 1_000_000;
    const VALUES: usize = 8;
    let server = Server::start(shards, &["-m", "256"]);
    let mut conn = server.connect();
    let values: Vec<Vec<u8>> = (0..VALUES)
        .map(|i| {
            let mut value = vec![0; VALUE_BYTES];
            fastrand::Rng::with_seed(i as u64).fill(&mut value);
            value
        })
        .collect();
    let (mut sets, mut gets, mut answers) = (Vec::new(), String::from("get"), Vec::new());
    for (i, value) in values.iter().enumerate() {
        sets.extend([format!("set big-{i} {i} 0 {VALUE_BYTES}\r\n").as_bytes(), value, b"\r\n"].concat());
        gets += &format!(" big-{i}");
        answers.extend([format!("VALUE big-{i} {i} {VALUE_BYTES}\r\n").as_bytes(), value, b"\r\n"].concat());
    }
    answers.extend(b"END\r\n");
    let requests = [&sets, (gets + "\r\n").as_bytes(), &sets].concat();
    let mut writer = conn.another_handle();
    let sent = std::thread::spawn(move || writer.send(requests));
    conn.expect("STORED\r\n".repeat(VALUES));
    conn.expect(answers);
    conn.expect("STORED\r\n".repeat(VALUES));
    sent.join().expect("writer");
    conn.finish();
}
