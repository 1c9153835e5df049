//! UDP as an amplifier: anybody can write somebody else's address into a datagram as its sender.

use super::Witness;
use crate::datagram::datagram;
use crate::harness::Server;
use std::net::UdpSocket;
use std::time::Duration;

on_1_and_2_shards! { without_an_option_there_is_no_udp what_an_answer_is_larger_than_its_request }

/// The bytes of the longest answer: 64 datagrams.
const ANSWER_MAX: usize = 64 * 1_400;

/// As little as there can be: the amplification of what nobody asked for is 0.
fn without_an_option_there_is_no_udp(shards: u32) {
    let server = Server::start(shards, &[]);
    assert!(server.udp_addresses.is_empty(), "{:?}", server.udp_addresses);
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.connect(("127.0.0.1", server.port())).expect("an address");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    socket.send(&datagram(1, 0, 1, b"stats\r\n")).expect("send");
    // The kernel says that nobody is there.
    let refused = socket.recv(&mut [0; 2_000]).expect_err("an answer");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// Bytes of all the datagrams that answer one with `commands`, and its own.
fn weigh(socket: &UdpSocket, commands: &[u8]) -> (usize, usize) {
    let request = datagram(7, 0, 1, commands);
    socket.send(&request).expect("send");
    let (mut bytes, mut left, mut got) = (0, 1, [0; 65_536]);
    while left > 0 {
        let len = socket.recv(&mut got).expect("an answer");
        assert_eq!(got[..2], [0, 7], "an answer to another request");
        let total = u16::from_be_bytes([got[4], got[5]]);
        left = if bytes == 0 { usize::from(total) - 1 } else { left - 1 };
        bytes += len;
    }
    (bytes, request.len())
}

/// Where an operator has turned it on: the worst there is, and that it has an end.
fn what_an_answer_is_larger_than_its_request(shards: u32) {
    let server = Server::start(shards, &["-U", "-1", "-I", "4m"]);
    let mut conn = server.connect();
    for (key, len) in [("a", 89_000), ("b", 3_000_000), ("c", 1_300)] {
        conn.send(format!("set {key} 0 0 {len}\r\n{}\r\n", "x".repeat(len)));
        assert_eq!(conn.line(), "STORED");
    }
    let witness = Witness::of(&server, shards);
    let socket = server.udp_socket();
    let many = format!("get{}\r\n", " c".repeat(30_000));
    let mut worst: f64 = 0.0;
    for commands in [
        "get a\r\n",
        "get b\r\n",
        "mg a v\r\n",
        "get c c\r\n",
        &many,
        "stats\r\n",
        "stats settings\r\n",
        "stats conns\r\n",
        "stats items\r\n",
        "stats sizes\r\n",
        "stats shards\r\n",
        "watch\r\n",
        "lru_crawler metadump all\r\n",
        "lru_crawler mgdump hash\r\n",
        "stats cachedump 1 0\r\n",
        "bogus\r\n",
        "get nothing\r\n",
    ] {
        let (answer, request) = weigh(&socket, commands.as_bytes());
        assert!(answer <= ANSWER_MAX, "{:.30}: {answer} bytes", commands);
        worst = worst.max(answer as f64 / request as f64);
    }
    eprintln!("UDP: an answer has at most {worst:.0} times the bytes of its request");
    // What is no request is not answered at all: what is asked next is answered next.
    for broken in
        [&b"\0"[..], b"\0\x01\0\0\0\x01\0\0", b"\0\x01\0\0\0\x02\0\0stats\r\n", b"\0\x01\0\0\0\x01\0\0stats"]
    {
        socket.send(broken).expect("send");
    }
    let (answer, request) = weigh(&socket, b"get nothing\r\n");
    assert!(answer <= request, "a miss of {answer} bytes for {request}");
    witness.was_served(&server, "UDP");
}
