//! UDP sockets: where they are bound, what they show, what they carry at most, and how they end. What a datagram says is in
//! `datagram`.

use std::net::UdpSocket;
use std::time::Instant;

use crate::binary::client::{Answer, request, with_opaque};
use crate::datagram::{ask, nothing_is_left, receive_message, send};
use crate::harness::{
    Conn, PATIENCE, Server, another_server_lacks, free_ports, server_command, shown, wait_for,
};
use crate::process::run;
use ringcached::protocol::binary::{Status, opcode};

on_shards! {
    several_addresses
    a_taken_port_is_an_error_that_names_it
    a_port_can_be_taken_again_at_once
    stats_show_it
    long_requests
    many_keys_in_one_datagram
    many_clients
    an_answer_too_long_in_packets
    commands_refused
    the_protocol_is_that_of_the_address
    half_an_endless_get
    datagrams_are_no_connections
    sigterm_answers_what_has_arrived
}

fn several_addresses(shards: u32) {
    let threads = shards.to_string();
    let server = Server::listening(server_command(&[
        "-p",
        "-1",
        "-U",
        "-1",
        "-l",
        "127.0.0.1,127.0.0.1,::1",
        "-t",
        &threads,
    ]));
    assert_eq!(server.udp_addresses.len(), 3, "{:?}", server.udp_addresses);
    assert_eq!(server.udp_addresses.iter().filter(|address| address.is_ipv6()).count(), 1);
    for (i, address) in server.udp_addresses.iter().enumerate() {
        let socket = server.udp_socket_to(*address);
        for key in ["a", "b", "key-3", "key-4"] {
            ask(&socket, 1, format!("set {key} {i} 0 1\r\nx\r\n"), "STORED\r\n");
            ask(&socket, 2, format!("get {key}\r\n"), format!("VALUE {key} {i} 1\r\nx\r\nEND\r\n"));
        }
        nothing_is_left(&socket);
    }
}

/// memcached shares it, and its clients reach one or the other.
fn a_taken_port_is_an_error_that_names_it(shards: u32) {
    if another_server_lacks("a taken UDP port is an error") {
        return;
    }
    let threads = shards.to_string();
    let server = Server::start(shards, &["-U", "-1"]);
    let port = server.udp_addresses[0].port().to_string();
    let output = run(&["-p", "-1", "-U", &port, "-l", "127.0.0.1", "-t", &threads]);
    assert_eq!(output.status.code(), Some(71), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains(&format!("udp:127.0.0.1:{port}")) && words.contains("-U"), "{words}");
}

fn a_port_can_be_taken_again_at_once(shards: u32) {
    let (port, threads) = (free_ports(1).to_string(), shards.to_string());
    for _ in 0..5 {
        let options = ["-p", "-1", "-U", &port, "-l", "127.0.0.1", "-t", &threads];
        let mut server = Server::listening(server_command(&options));
        nothing_is_left(&server.udp_socket());
        assert_eq!(server.udp_addresses[0].port().to_string(), port);
        server.stop();
    }
}

fn value<'a>(stats: &'a [(String, String)], name: &str) -> &'a str {
    let found = stats.iter().find(|(n, _)| n == name);
    found.map_or_else(|| panic!("no {name} in {stats:?}"), |(_, value)| value)
}

/// The sum of `i:name` over the shards.
fn over_shards(conn: &mut Conn, name: &str) -> u64 {
    let stats = conn.stats("shards");
    let values = stats.iter().filter(|(n, _)| n.split_once(':').is_some_and(|(_, n)| n == name));
    values.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
}

fn stats_show_it(shards: u32) {
    let server = Server::start(shards, &["-U", "-1"]);
    let mut conn = server.connect();
    let name = format!("udp:{}", server.udp_addresses[0]);
    let conns = conn.stats("conns");
    let ids: Vec<_> =
        conns.iter().filter(|(_, v)| *v == name).filter_map(|(n, _)| n.strip_suffix(":addr")).collect();
    assert_eq!(ids.len(), shards as usize, "{conns:?}");
    for id in ids {
        assert_eq!(value(&conns, &format!("{id}:UDP")), "UDP");
        assert_eq!(value(&conns, &format!("{id}:state")), "conn_read");
    }
    if another_server_lacks("what is counted of datagrams") {
        return;
    }
    assert_eq!(value(&conn.stats("settings"), "udpport"), server.udp_addresses[0].port().to_string());
    let socket = server.udp_socket();
    for i in 0..5 {
        ask(&socket, i, "get a\r\n", "END\r\n");
        socket.send(b"short").expect("send");
    }
    nothing_is_left(&socket);
    let mut counted = |name| over_shards(&mut conn, name);
    assert_eq!(
        (counted("udp_received"), counted("udp_dropped"), counted("udp_sent"), counted("udp_overruns")),
        (11, 5, 6, 0)
    );
}

/// A datagram may be as long as IP allows.
fn long_requests(shards: u32) {
    const LONGEST: usize = 65_507 - 8; // behind the frame
    let server = Server::start(shards, &["-U", "-1"]);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    for key in ["a", "b", "key-3", "key-4"] {
        for total in [1_000, 5_000, 30_000, LONGEST] {
            let len = total - format!("set {key} 1 0 00000\r\n\r\n").len();
            let value = "v".repeat(len);
            let set = format!("set {key} 1 0 {len:05}\r\n{value}\r\n");
            assert_eq!(set.len(), total);
            ask(&socket, 1, &set, "STORED\r\n");
            conn.ask(format!("get {key}\r\n"), format!("VALUE {key} 1 {len}\r\n{value}\r\nEND\r\n"));
            if another_server_lacks("an incomplete request in a datagram ends with it") {
                continue;
            }
            // Without its end, it changes nothing.
            send(&socket, 2, &set[..set.len() - 1]);
            nothing_is_left(&socket);
        }
        let want = LONGEST - format!("set {key} 1 0 00000\r\n\r\n").len();
        assert!(conn.ask_line(&format!("get {key}\r\n")).ends_with(&want.to_string()));
        let mut rest = vec![0; want + "\r\nEND\r\n".len()];
        conn.receive_exactly(&mut rest);
    }
}

/// More than a session runs in a turn, and more than may be under way to the other shards.
fn many_keys_in_one_datagram(shards: u32) {
    if another_server_lacks("all answers to a datagram are one message") {
        return;
    }
    let server = Server::start(shards, &["-U", "-1"]);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    let (mut gets, mut answers) = (String::from("get"), String::new());
    for i in 0..3_000 {
        conn.ask(format!("set k{i} 0 0 1\r\n{}\r\n", i % 10), "STORED\r\n");
        gets += &format!(" k{i} missing{i}");
        answers += &format!("VALUE k{i} 0 1\r\n{}\r\n", i % 10);
    }
    ask(&socket, 1, gets + "\r\n", answers + "END\r\n");
    let incrs = "incr k7 1\r\nincr k8 1\r\nget k7\r\ntouch k8 0\r\n".repeat(1_000);
    send(&socket, 2, &incrs);
    let message = receive_message(&socket, 2);
    assert_eq!(message.split(|b| *b == b'\n').filter(|line| *line == b"TOUCHED\r").count(), 1_000);
    conn.ask("get k7\r\n", "VALUE k7 0 4\r\n1007\r\nEND\r\n");
    // An answer that is too long takes nothing from what stands behind it.
    conn.ask(format!("set large 0 0 80000\r\n{}\r\n", "x".repeat(80_000)), "STORED\r\n");
    send(&socket, 3, "get large\r\n".repeat(100) + "set k9 0 0 3\r\nnew\r\n");
    assert_eq!(shown(&receive_message(&socket, 3)), shown(b"SERVER_ERROR answer too large for UDP\r\n"));
    conn.ask("get k9\r\n", "VALUE k9 0 3\r\nnew\r\nEND\r\n");
    nothing_is_left(&socket);
}

/// More clients than datagrams may be under way, each with a request for every shard.
fn many_clients(shards: u32) {
    if another_server_lacks("all answers to a datagram are one message") {
        return;
    }
    let server = Server::start(shards, &["-U", "-1"]);
    let sockets: Vec<UdpSocket> = (0..100).map(|_| server.udp_socket()).collect();
    let keys: Vec<String> = (0..20).map(|i| format!("key{i}")).collect();
    let sets: String = keys.iter().map(|key| format!("set {key} 0 0 1\r\nx\r\n")).collect();
    let hits: String = keys.iter().map(|key| format!("VALUE {key} 0 1\r\nx\r\n")).collect();
    ask(&sockets[0], 1, sets, "STORED\r\n".repeat(keys.len()));
    for round in 0..20 {
        for socket in &sockets {
            send(socket, round, format!("get {}\r\n", keys.join(" ")));
        }
        for socket in &sockets {
            assert_eq!(receive_message(socket, round), format!("{hits}END\r\n").as_bytes());
        }
    }
    sockets.iter().for_each(nothing_is_left);
}

fn an_answer_too_long_in_packets(shards: u32) {
    if another_server_lacks("an answer of more than 64 datagrams is refused") {
        return;
    }
    let server = Server::start(shards, &["-U", "-1"]);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    conn.ask(format!("set a 0 0 100000\r\n{}\r\n", "x".repeat(100_000)), "STORED\r\n");
    send(&socket, 1, with_opaque(request(opcode::GETK, b"", b"a", b"", 0), 0x0102_0304));
    let message = receive_message(&socket, 1);
    let (answer, rest) = Answer::parse(&message);
    assert_eq!((answer.opcode, answer.opaque, rest), (opcode::GETK, [1, 2, 3, 4], &b""[..]));
    answer.is(Status::TooLarge, b"", b"", b"Too large.");
    nothing_is_left(&socket);
}

/// What answers without end, or ends the server.
fn commands_refused(shards: u32) {
    if another_server_lacks("some commands are refused to datagrams") {
        return;
    }
    let server = Server::start(shards, &["-U", "-1", "-A"]);
    let socket = server.udp_socket();
    ask(&socket, 1, "shutdown\r\nget a\r\n", "SERVER_ERROR: shutdown not enabled\r\nEND\r\n");
    for command in ["watch", "lru_crawler metadump all", "lru_crawler mgdump all", "stats cachedump 1 1"] {
        ask(&socket, 2, format!("{command}\r\nget a\r\n"), "ERROR\r\nEND\r\n");
    }
    nothing_is_left(&socket);
}

/// memcached looks at the first byte of a datagram whatever `-B` says.
fn the_protocol_is_that_of_the_address(shards: u32) {
    if another_server_lacks("-B is for datagrams too") {
        return;
    }
    let noop = request(opcode::NOOP, b"", b"", b"", 0);
    let server = Server::start(shards, &["-U", "-1", "-B", "binary"]);
    let socket = server.udp_socket();
    send(&socket, 1, "get a\r\n");
    send(&socket, 2, &noop);
    let message = receive_message(&socket, 2);
    assert_eq!(Answer::parse(&message).0.opcode, opcode::NOOP);
    let server = Server::start(shards, &["-U", "-1", "-B", "ascii"]);
    let socket = server.udp_socket();
    let get = request(opcode::GETK, b"", b"a", b"", 0);
    ask(&socket, 3, [&get, &b"\r\n"[..]].concat(), "ERROR\r\n");
    nothing_is_left(&socket);
}

/// Over TCP a `get` this long is answered before its end has come; here the end will not come.
fn half_an_endless_get(shards: u32) {
    if another_server_lacks("an incomplete request in a datagram ends with it") {
        return;
    }
    let server = Server::start(shards, &["-U", "-1"]);
    let socket = server.udp_socket();
    ask(&socket, 1, "set a 0 0 1\r\nx\r\n", "STORED\r\n");
    send(&socket, 2, format!("get{}", " a".repeat(20_000)));
    nothing_is_left(&socket);
}

fn datagrams_are_no_connections(shards: u32) {
    if another_server_lacks("sockets of UDP are not counted as connections") {
        return;
    }
    let server = Server::start(shards, &["-U", "-1", "-c", "100"]);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    wait_for("one connection", || (conn.stat("curr_connections") == 1).then_some(()));
    for i in 0..200 {
        ask(&socket, i, "get a\r\n", "END\r\n");
    }
    let total = conn.stat("total_connections");
    assert_eq!(conn.stat("curr_connections"), 1);
    conn.finish();
    let mut conn = server.connect();
    assert_eq!(conn.stat("total_connections"), total + 1);
}

fn sigterm_answers_what_has_arrived(shards: u32) {
    if another_server_lacks("datagrams that have arrived are answered at the end") {
        return;
    }
    let mut server = Server::start(shards, &["-U", "-1"]);
    let sockets: Vec<UdpSocket> = (0..30).map(|_| server.udp_socket()).collect();
    for (i, socket) in sockets.iter().enumerate() {
        ask(socket, 1, format!("set k{i} 0 0 1\r\n1\r\n"), "STORED\r\n");
    }
    for (i, socket) in sockets.iter().enumerate() {
        send(socket, 2, format!("incr k{i} 1\r\nget nothing\r\n"));
    }
    server.stop();
    for socket in &sockets {
        assert_eq!(shown(&receive_message(socket, 2)), shown(b"2\r\nEND\r\n"));
    }
}

/// A stream of datagrams does not hold the end up.
#[test]
fn sigterm_under_load() {
    let mut server = Server::start(2, &["-U", "-1"]);
    let socket = server.udp_socket();
    let deadline = Instant::now() + 2 * PATIENCE;
    std::thread::scope(|scope| {
        // Once the server is gone this is refused, and that is the end.
        let load = scope.spawn(|| {
            while socket.send(b"\0\x01\0\0\0\x01\0\0get a\r\n").is_ok() && Instant::now() < deadline {}
        });
        wait_for("datagrams", || (server.connect().stat("cmd_get") > 1_000).then_some(()));
        server.stop();
        load.join().expect("the load");
    });
    assert!(Instant::now() < deadline, "the load was refused");
}
