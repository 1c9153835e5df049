//! set add replace append prepend cas: answers, noreply, sizes, and data that is not what was announced.

use crate::harness::{Conversation, Server, converse};

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
const BAD_CHUNK: &str = "CLIENT_ERROR bad data chunk\r\n";
const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";

on_shards! {
    every_verb
    cas
    noreply
    bad_numbers
    bad_data
    extra_arguments_are_ignored
    sizes_around_the_largest
    oversized_deletes_the_old_item_on_set_only
    oversized_append_is_not_stored
    item_size_option
    without_cas
    every_size
}

fn every_verb(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("replace a 1 0 1\r\nx\r\n", "NOT_STORED\r\n"),
        ("append a 1 0 1\r\nx\r\n", "NOT_STORED\r\n"),
        ("prepend a 1 0 1\r\nx\r\n", "NOT_STORED\r\n"),
        ("get a\r\n", "END\r\n"),
        ("add a 5 0 3\r\nmid\r\n", "STORED\r\n"),
        ("add a 6 0 1\r\ny\r\n", "NOT_STORED\r\n"),
        ("get a\r\n", "VALUE a 5 3\r\nmid\r\nEND\r\n"),
        // The item keeps its flags.
        ("append a 9 0 4\r\n-end\r\n", "STORED\r\n"),
        ("prepend a 9 0 6\r\nstart-\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 5 13\r\nstart-mid-end\r\nEND\r\n"),
        ("append a 0 0 0\r\n\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 5 13\r\nstart-mid-end\r\nEND\r\n"),
        ("replace a 6 0 3\r\nnew\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 6 3\r\nnew\r\nEND\r\n"),
        ("set a 4294967295 0 0\r\n\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 4294967295 0\r\n\r\nEND\r\n"),
        ("set a 0007 000 002\r\nab\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 7 2\r\nab\r\nEND\r\n"),
        // Data is bytes; commands in it are not run.
        ("set a 0 0 14\r\nx\r\ndelete a\r\ny\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 0 14\r\nx\r\ndelete a\r\ny\r\nEND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn cas(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask("cas a 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n");
    conn.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    let unique = conn.cas_of("a");
    conn.ask("cas a 0 0 1 0\r\ny\r\n", "EXISTS\r\n");
    conn.ask(format!("cas a 0 0 1 {}\r\ny\r\n", unique + 1_000_000), "EXISTS\r\n");
    conn.ask("cas a 0 0 1 18446744073709551615\r\ny\r\n", "EXISTS\r\n");
    conn.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    conn.ask(format!("cas a 3 0 2 {unique}\r\nyz\r\n"), "STORED\r\n");
    conn.ask("get a\r\n", "VALUE a 3 2\r\nyz\r\nEND\r\n");
    conn.ask(format!("cas a 3 0 1 {unique}\r\nq\r\n"), "EXISTS\r\n");
    let unique = conn.cas_of("a");
    conn.ask(format!("cas a 4 0 1 {unique} noreply\r\nq\r\nget a\r\n"), "VALUE a 4 1\r\nq\r\nEND\r\n");
    conn.ask(format!("cas a 5 0 1 {unique} noreply\r\nr\r\nget a\r\n"), "VALUE a 4 1\r\nq\r\nEND\r\n");
    for bad in ["x", "-1", "18446744073709551616", "1x", "+1"] {
        conn.ask(format!("cas a 0 0 1 {bad}\r\nx\r\n"), BAD_FORMAT);
    }
    conn.ask("cas a 0 0 1\r\nx\r\n", BAD_FORMAT);
    conn.ask("get a\r\n", "VALUE a 4 1\r\nq\r\nEND\r\n");
    conn.finish();
}

fn noreply(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 1 0 1 noreply\r\nx\r\nget a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n"),
        ("add a 2 0 1 noreply\r\ny\r\nget a\r\n", "VALUE a 1 1\r\nx\r\nEND\r\n"),
        ("replace a 2 0 1 noreply\r\ny\r\nget a\r\n", "VALUE a 2 1\r\ny\r\nEND\r\n"),
        ("append a 3 0 1 noreply\r\nz\r\nget a\r\n", "VALUE a 2 2\r\nyz\r\nEND\r\n"),
        ("prepend a 3 0 1 noreply\r\nx\r\nget a\r\n", "VALUE a 2 3\r\nxyz\r\nEND\r\n"),
        // Errors found after parsing are silenced too.
        ("set a x 0 1 noreply\r\n1\r\nget a\r\n", "VALUE a 2 3\r\nxyz\r\nEND\r\n"),
        ("set a 0 x 1 noreply\r\n1\r\nget a\r\n", "VALUE a 2 3\r\nxyz\r\nEND\r\n"),
        // Bad data too, but not the line left over from it.
        (
            "set a 0 0 1 noreply\r\nab\r\nget a\r\n",
            "CLIENT_ERROR bad command line format\r\nVALUE a 2 3\r\nxyz\r\nEND\r\n",
        ),
        // A length that cannot be read is answered, and the data runs as a command.
        ("set a 0 0 -1 noreply\r\n", BAD_FORMAT),
        (
            "set a 0 0 x noreply\r\nget a\r\n",
            "CLIENT_ERROR bad command line format\r\nVALUE a 2 3\r\nxyz\r\nEND\r\n",
        ),
    ];
    converse(shards, &[], conversation);
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let large = "x".repeat(2 << 20);
    conn.ask(format!("add a 0 0 {} noreply\r\n{large}\r\nget a\r\n", large.len()), "END\r\n");
    conn.finish();
}

fn bad_numbers(shards: u32) {
    let conversation: Conversation<'_> = &[
        // Data swallowed: it would be a command.
        ("set a x 0 7\r\nversion\r\n", BAD_FORMAT),
        ("set a -1 0 7\r\nversion\r\n", BAD_FORMAT),
        ("set a 0 x 7\r\nversion\r\n", BAD_FORMAT),
        ("set a 1x 0 7\r\nversion\r\n", BAD_FORMAT),
        ("set a 0 99999999999999999999 7\r\nversion\r\n", BAD_FORMAT),
        ("set a 99999999999999999999 0 7\r\nversion\r\n", BAD_FORMAT),
        // Data not swallowed: its length is unknown.
        ("set a 0 0 x\r\nget b\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n"),
        ("set a 0 0 -1\r\nget b\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n"),
        ("set a 0 0 2147483646\r\nget b\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n"),
        ("set a 0 0 1x\r\nget b\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n"),
        ("set a 0 0 18446744073709551617\r\nget b\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n"),
        ("get a\r\n", "END\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn bad_data(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 0 1\r\nx\r\n", "STORED\r\n"),
        // Exactly the announced bytes and two more are taken, the rest is the next line.
        ("set a 0 0 1\r\nxyz\r\n", "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\n"),
        ("set a 0 0 1\r\nxyzget a\r\n", "CLIENT_ERROR bad data chunk\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        ("set a 0 0 3\r\n1\r\n.\r", BAD_CHUNK),
        // A bare LF does not end data.
        ("set a 0 0 2\r\nyz\n.", BAD_CHUNK),
        ("append a 0 0 0\r\nab", BAD_CHUNK),
        ("add b 0 0 1\r\nxyz", BAD_CHUNK),
        ("get a b\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn extra_arguments_are_ignored(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 0 1 foo\r\nx\r\n", "STORED\r\n"),
        ("set a 0 0 1 5 6 7\r\ny\r\n", "STORED\r\n"),
        ("set a 0 0 1 5 noreply\r\nz\r\nget a\r\n", "VALUE a 0 1\r\nz\r\nEND\r\n"),
        ("cas a 0 0 1 0 x y\r\nz\r\n", "EXISTS\r\n"),
        ("touch a 0 x y\r\n", "TOUCHED\r\n"),
        ("incr a 5 junk\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
        ("verbosity 0 2 3\r\n", "OK\r\n"),
        ("delete a 5 6 7\r\n", "DELETED\r\n"),
        ("delete a 0\r\n", "NOT_FOUND\r\n"),
        ("flush_all 0 20\r\n", "OK\r\n"),
    ];
    converse(shards, &[], conversation);
}

/// What an item of memcached costs besides key and value: header, CAS, the key's NUL, the value's CRLF.
const ITEM_OVERHEAD_BYTES: usize = 48 + 8 + 1 + 2;
/// Client flags, stored only when they are not 0.
const FLAGS_BYTES: usize = 4;

fn sizes_around_the_largest(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let mut conn = server.connect();
    for (key_len, flags) in [(1, 0), (1, 7), (250, 0), (250, 9)] {
        let flags_bytes = if flags == 0 { 0 } else { FLAGS_BYTES };
        let largest = (1 << 20) - ITEM_OVERHEAD_BYTES - key_len - flags_bytes;
        let key = "k".repeat(key_len);
        let mut value = vec![0; largest + 1];
        fastrand::Rng::with_seed(largest as u64).fill(&mut value);
        for (len, answer) in [(largest - 1, "STORED\r\n"), (largest, "STORED\r\n"), (largest + 1, TOO_LARGE)]
        {
            let head = format!("set {key} {flags} 0 {len}\r\n");
            conn.ask([head.as_bytes(), &value[..len], b"\r\n"].concat(), answer);
            let got = format!("VALUE {key} {flags} {len}\r\n");
            let got = [got.as_bytes(), &value[..len], b"\r\nEND\r\n"].concat();
            conn.ask(format!("get {key}\r\n"), if len > largest { b"END\r\n" } else { &got[..] });
        }
    }
    assert_eq!((1 << 20) - ITEM_OVERHEAD_BYTES - 1, 1_048_516);
    conn.finish();
}

fn oversized_deletes_the_old_item_on_set_only(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let large = "get a\r\n".repeat(300_000);
    let oversized = |verb: &str, tail: &str| format!("{verb} a 0 0 {}{tail}\r\n{large}\r\n", large.len());
    conn.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    for (verb, tail) in [("add", ""), ("replace", ""), ("cas", " 1")] {
        conn.ask(oversized(verb, tail), TOO_LARGE);
        conn.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    }
    conn.ask(oversized("set", ""), TOO_LARGE);
    conn.ask("get a\r\n", "END\r\n");
    conn.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    conn.ask(oversized("set", " noreply") + "get a\r\n", "END\r\n");
    assert_eq!(conn.stat("store_too_large"), 5);
    conn.finish();
}

fn oversized_append_is_not_stored(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let mut conn = server.connect();
    let half = "h".repeat(600_000);
    conn.ask(format!("set a 3 0 {}\r\n{half}\r\n", half.len()), "STORED\r\n");
    for verb in ["append", "prepend"] {
        conn.ask(format!("{verb} a 0 0 {}\r\n{half}\r\n", half.len()), "NOT_STORED\r\n");
    }
    conn.ask("get a\r\n", format!("VALUE a 3 {}\r\n{half}\r\nEND\r\n", half.len()));
    // What fits still goes on.
    let third = "t".repeat(400_000);
    conn.ask(format!("append a 0 0 {}\r\n{third}\r\n", third.len()), "STORED\r\n");
    conn.ask("get a\r\n", format!("VALUE a 3 1000000\r\n{half}{third}\r\nEND\r\n"));
    conn.finish();
}

fn item_size_option(shards: u32) {
    for (option, bytes) in [("2m", 2 << 20), ("20k", 20 << 10), ("524288", 1 << 19)] {
        let server = Server::start(shards, &["-m", "128", "-o", "slab_chunk_max=1", "-I", option]);
        let mut conn = server.connect();
        let largest = bytes - ITEM_OVERHEAD_BYTES - 1;
        let value = "v".repeat(largest + 1);
        conn.ask(format!("set a 0 0 {largest}\r\n{}\r\n", &value[1..]), "STORED\r\n");
        conn.ask("get a\r\n", format!("VALUE a 0 {largest}\r\n{}\r\nEND\r\n", &value[1..]));
        conn.ask(format!("set a 0 0 {}\r\n{value}\r\n", largest + 1), TOO_LARGE);
        conn.finish();
    }
}

fn without_cas(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 0 1\r\nx\r\n", "STORED\r\n"),
        ("gets a\r\n", "VALUE a 0 1 0\r\nx\r\nEND\r\n"),
        ("cas a 0 0 1 0\r\ny\r\n", "EXISTS\r\n"),
        ("cas a 0 0 1 5\r\ny\r\n", "EXISTS\r\n"),
        ("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n"),
    ];
    converse(shards, &["-C"], conversation);
}

/// Values whose length walks over the boundaries of slab classes, buffers and chunks.
fn every_size(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let mut conn = server.connect();
    let mut source = vec![0; 300_000];
    fastrand::Rng::with_seed(1).fill(&mut source);
    let small = 0..600;
    let around = [1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144];
    let around = around.into_iter().flat_map(|n| n - 40..n + 8);
    for len in small.chain(around) {
        let value = &source[len % 97..][..len];
        conn.ask([format!("set s{len} 0 0 {len}\r\n").as_bytes(), value, b"\r\n"].concat(), "STORED\r\n");
        let head = format!("VALUE s{len} 0 {len}\r\n");
        conn.ask(format!("get s{len}\r\n"), [head.as_bytes(), value, b"\r\nEND\r\n"].concat());
    }
    conn.finish();
}
