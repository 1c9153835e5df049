//! Limits that options move: keys beyond 250 bytes (`--max-key-size`), values up to 1 GiB (`-I`).

use crate::harness::{Server, server_command};

on_shards! { keys_of_250_bytes long_keys long_keys_in_packets }

fn keys_of_250_bytes(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let (longest, beyond) = ("k".repeat(250), "k".repeat(251));
    conn.ask(format!("set {longest} 0 0 1\r\nx\r\n"), "STORED\r\n");
    conn.ask(format!("set {beyond} 0 0 1\r\nx\r\n"), "CLIENT_ERROR bad command line format\r\n");
    conn.ask(format!("mg {beyond} v\r\n"), "CLIENT_ERROR bad command line format\r\n");
    conn.ask(format!("mg {longest} v k\r\n"), format!("VA 1 k{longest}\r\nx\r\n"));
    conn.finish();
}

/// Every length at which something changes: one byte and more of header, send blocks, receive buffers, records of the mesh.
const LENGTHS: [usize; 9] = [250, 251, 255, 256, 2048, 4096, 8193, 40_000, 65_535];

fn long_keys(shards: u32) {
    let server = Server::start(shards, &["--max-key-size", "65535"]);
    let mut conn = server.connect();
    for (n, len) in LENGTHS.into_iter().enumerate() {
        let key: String = (0..len).map(|i| char::from(b'a' + ((i + n) % 26) as u8)).collect();
        let large = "v".repeat(100_000 + n);
        conn.ask(format!("set {key} 7 0 2\r\n10\r\n"), "STORED\r\n");
        conn.ask(format!("get {key} no\r\n"), format!("VALUE {key} 7 2\r\n10\r\nEND\r\n"));
        conn.ask(format!("incr {key} 5\r\n"), "15\r\n");
        conn.ask(format!("append {key} 0 0 3\r\nabc\r\n"), "STORED\r\n");
        conn.ask(format!("mg {key} k v f s\r\n"), format!("VA 5 k{key} f7 s5\r\n15abc\r\n"));
        conn.ask(
            format!("mg {key}x k\r\n"),
            if len < 65_535 {
                format!("EN k{key}x\r\n")
            } else {
                "CLIENT_ERROR bad command line format\r\n".into()
            },
        );
        conn.ask(format!("ms {key} {} T100 k\r\n{large}\r\n", large.len()), format!("HD k{key}\r\n"));
        conn.ask(
            format!("get {key} {key}\r\n"),
            format!("VALUE {key} 0 {0}\r\n{large}\r\nVALUE {key} 0 {0}\r\n{large}\r\nEND\r\n", large.len()),
        );
        conn.ask(format!("ms {key} {} ME k\r\n{large}\r\n", large.len()), format!("NS k{key}\r\n"));
        conn.ask(format!("delete {key}\r\nget {key}\r\n"), "DELETED\r\nEND\r\n");
    }
    // As base64, of text within the limit.
    let text = "QUJD".repeat(16_383);
    conn.ask(format!("ms {text} 1 b\r\nx\r\n"), "HD\r\n");
    conn.ask(format!("mg {text} b k v\r\n"), format!("VA 1 k{text} b\r\nx\r\n"));
    conn.ask(
        format!("get {}\r\n", "ABC".repeat(16_383)),
        format!("VALUE {} 0 1\r\nx\r\nEND\r\n", "ABC".repeat(16_383)),
    );
    conn.ask("lru_crawler metadump all\r\n", "OK\r\nkey=ABCABC");
}

fn long_keys_in_packets(shards: u32) {
    let server = Server::start(shards, &["--max-key-size", "65535"]);
    let mut conn = server.connect();
    for len in LENGTHS {
        let key: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let head = |opcode: u8, extras: &[u8], body: usize| {
            let len = (len as u16).to_be_bytes();
            [
                &[0x80, opcode, len[0], len[1], extras.len() as u8, 0, 0, 0][..],
                &(body as u32).to_be_bytes(),
                &[0; 12],
                extras,
            ]
            .concat()
        };
        conn.send([&head(0x01, &[0; 8], 8 + len + 1)[..], &key, b"x"].concat());
        let mut stored = [0; 24];
        conn.receive_exactly(&mut stored);
        assert_eq!(stored[..8], [0x81, 1, 0, 0, 0, 0, 0, 0], "{len}");
        conn.send([&head(0x0c, &[], len)[..], &key].concat());
        let mut found = vec![0; 24 + 4 + len + 1];
        conn.receive_exactly(&mut found);
        assert!(found[6..8] == [0, 0] && found[28..28 + len] == key && found.ends_with(b"x"), "{len}");
    }
}

/// A value far beyond the default of `-I` goes in and out whole, also when its owner is another shard.
#[test]
fn a_value_of_200_mib_goes_in_and_out() {
    const LEN: usize = 200 << 20;
    let server = Server::listening(server_command(&[
        "-p",
        "-1",
        "-l",
        "127.0.0.1",
        "-t",
        "2",
        "-m",
        "1024",
        "-I",
        "256m",
    ]));
    let value: Vec<u8> = (0..LEN).map(|i| (i / 7 % 251) as u8).collect();
    for key in ["one", "two"] {
        let mut conn = server.connect();
        conn.send(format!("set {key} 0 0 {LEN}\r\n"));
        conn.send(&value);
        conn.ask("\r\n", "STORED\r\n");
        conn.ask(format!("get {key}\r\n"), format!("VALUE {key} 0 {LEN}\r\n"));
        let mut got = vec![0; LEN];
        conn.receive_exactly(&mut got);
        assert!(got == value, "{key}: other bytes");
        conn.expect("\r\nEND\r\n");
        conn.finish();
    }
}

#[test]
fn a_gibibyte_is_the_most_an_item_may_be_allowed() {
    let server = Server::listening(server_command(&[
        "-p",
        "-1",
        "-l",
        "127.0.0.1",
        "-t",
        "1",
        "-m",
        "4096",
        "-I",
        "1g",
    ]));
    let mut conn = server.connect();
    let stats = conn.stats("settings");
    assert!(stats.iter().any(|(name, value)| name == "item_size_max" && value == "1073741824"), "{stats:?}");
    conn.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    conn.finish();
}
