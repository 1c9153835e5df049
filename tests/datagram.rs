//! UDP: the frame, an answer cut into datagrams, and that neither a broken datagram nor another client's leaves a trace.

use std::net::UdpSocket;

use crate::binary::client::{Answer, request};
use crate::harness::{Server, another_server_lacks, shown};
use ringcached::protocol::binary::{Status, opcode};

/// The longest datagram a server sends, in bytes.
const DATAGRAM_MAX: usize = 1_400;
const HEADER_LEN: usize = 8;

on_shards! {
    one_answer_to_one_datagram
    the_frame_of_an_answer
    writes_and_counters
    many_answers_are_one_message
    a_long_answer_is_cut
    an_answer_too_long_is_refused
    binary_requests
    what_ends_a_connection_ends_nothing
    broken_datagrams_are_dropped
    clients_share_no_state
    an_incomplete_request_changes_nothing
    datagrams_and_connections_share_one_store
}

fn serve(shards: u32) -> Server {
    Server::start(shards, &["-U", "-1"])
}

/// A datagram: number `sequence` of `total`, with `payload` behind the frame.
pub fn datagram(request_id: u16, sequence: u16, total: u16, payload: &[u8]) -> Vec<u8> {
    let frame = [request_id, sequence, total, 0].map(u16::to_be_bytes).concat();
    [&frame, payload].concat()
}

pub fn send(socket: &UdpSocket, request_id: u16, commands: impl AsRef<[u8]>) {
    socket.send(&datagram(request_id, 0, 1, commands.as_ref())).expect("send");
}

/// The next datagram, taken apart: request id, sequence, total, payload.
fn receive(socket: &UdpSocket) -> (u16, u16, u16, Vec<u8>) {
    let mut bytes = vec![0; 65_536];
    let len = socket.recv(&mut bytes).expect("receive");
    bytes.truncate(len);
    assert!((HEADER_LEN + 1..=DATAGRAM_MAX).contains(&len), "a datagram of {len} bytes: {}", shown(&bytes));
    let field = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (request_id, sequence, total, reserved) = (field(0), field(2), field(4), field(6));
    assert_eq!(reserved, 0, "reserved bytes");
    (request_id, sequence, total, bytes.split_off(HEADER_LEN))
}

/// The next message, which must answer `request_id`, put together by the numbers of its datagrams, whatever order they
/// come in.
pub fn receive_message(socket: &UdpSocket, request_id: u16) -> Vec<u8> {
    let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
    loop {
        let (id, sequence, total, payload) = receive(socket);
        assert_eq!(id, request_id, "request id of {}", shown(&payload));
        parts.resize(usize::from(total), None);
        let part = parts.get_mut(usize::from(sequence)).expect("a number below the total");
        assert!(part.replace(payload).is_none(), "two datagrams are number {sequence} of {total}");
        if parts.iter().all(Option::is_some) {
            return parts.into_iter().flatten().collect::<Vec<_>>().concat();
        }
    }
}

/// Sends `commands`; their answers must be one message, and exactly `answers`.
#[track_caller]
pub fn ask(socket: &UdpSocket, request_id: u16, commands: impl AsRef<[u8]>, answers: impl AsRef<[u8]>) {
    send(socket, request_id, commands);
    let message = receive_message(socket, request_id);
    assert_eq!(shown(&message), shown(answers.as_ref()));
    assert_eq!(message, answers.as_ref());
}

/// Nothing has been sent to `socket` that it has not received: what is asked next is answered next.
#[track_caller]
pub fn nothing_is_left(socket: &UdpSocket) {
    ask(socket, 0xfffe, "get nothing\r\n", "END\r\n");
}

fn one_answer_to_one_datagram(shards: u32) {
    let server = serve(shards);
    let socket = server.udp_socket();
    for key in ["a", "b", "key-3", "key-4"] {
        ask(&socket, 1, format!("get {key}\r\n"), "END\r\n");
        ask(&socket, 2, format!("set {key} 7 0 5\r\nvalue\r\n"), "STORED\r\n");
        // What is quiet leaves no message.
        ask(&socket, 4, format!("delete {key} noreply\r\nadd {key} 8 0 5\r\nother\r\n"), "STORED\r\n");
        ask(&socket, 5, format!("touch {key} 0\r\n"), "TOUCHED\r\n");
        ask(&socket, 6, "bogus\r\n", "ERROR\r\n");
    }
    nothing_is_left(&socket);
}

fn the_frame_of_an_answer(shards: u32) {
    let server = serve(shards);
    let socket = server.udp_socket();
    for request_id in [0, 1, 0x1234, 0xff00, 0xffff] {
        send(&socket, request_id, "touch a 0\r\n");
        assert_eq!(receive(&socket), (request_id, 0, 1, b"NOT_FOUND\r\n".to_vec()));
    }
    // Number and reserved bytes of a request mean nothing.
    socket.send(b"\x00\x07\xab\xcd\x00\x01\xff\xfftouch a 0\r\n").expect("send");
    assert_eq!(receive(&socket), (7, 0, 1, b"NOT_FOUND\r\n".to_vec()));
    nothing_is_left(&socket);
}

fn writes_and_counters(shards: u32) {
    let server = serve(shards);
    let socket = server.udp_socket();
    for key in ["a", "b", "key-3", "key-4"] {
        ask(&socket, 1, format!("set {key} 0 0 1\r\n9\r\n"), "STORED\r\n");
        ask(&socket, 2, format!("incr {key} 1\r\n"), "10\r\n");
        ask(&socket, 3, format!("append {key} 0 0 1\r\n0\r\n"), "STORED\r\n");
        ask(&socket, 4, format!("decr {key} 50\r\n"), "50\r\n");
        ask(&socket, 5, format!("delete {key}\r\n"), "DELETED\r\n");
    }
    nothing_is_left(&socket);
}

/// memcached sends a message for each value, each of them number 0 of 1.
fn many_answers_are_one_message(shards: u32) {
    if another_server_lacks("all answers to a datagram are one message") {
        return;
    }
    let server = serve(shards);
    let socket = server.udp_socket();
    let mut commands = String::new();
    let (mut keys, mut hits) = (String::new(), String::new());
    for i in 0..20 {
        commands += &format!("set key-{i} {i} 0 2\r\n{i:02}\r\n");
        keys += &format!(" key-{i} missing-{i}");
        hits += &format!("VALUE key-{i} {i} 2\r\n{i:02}\r\n");
    }
    ask(&socket, 1, commands, "STORED\r\n".repeat(20));
    ask(&socket, 2, format!("get{keys}\r\n"), format!("{hits}END\r\n"));
    ask(
        &socket,
        3,
        format!("incr key-7 1\r\nget{keys}\r\ndelete key-1 noreply\r\nbogus\r\ntouch key-1 0\r\n"),
        format!("8\r\n{}END\r\nERROR\r\nNOT_FOUND\r\n", hits.replace("\r\n07\r\n", "\r\n8 \r\n")),
    );
    nothing_is_left(&socket);
}

fn a_long_answer_is_cut(shards: u32) {
    let server = serve(shards);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    for (key, len) in [("a", 1_000), ("b", 1_392), ("key-3", 5_000), ("key-4", 20_000), ("g", 60_000)] {
        let value: String = (0..len).map(|i: u32| char::from(b'a' + (i % 1_009 % 23) as u8)).collect();
        conn.ask(format!("set {key} 5 0 {len}\r\n{value}\r\n"), "STORED\r\n");
        send(&socket, 9, format!("get {key}\r\n"));
        let answer = format!("VALUE {key} 5 {len}\r\n{value}\r\nEND\r\n");
        let message = receive_message(&socket, 9);
        assert!(message == answer.as_bytes(), "get {key}: {}", shown(&message));
        // All but the last are full.
        send(&socket, 10, format!("get {key}\r\n"));
        let total = answer.len().div_ceil(DATAGRAM_MAX - HEADER_LEN);
        for number in 0..total {
            let (_, sequence, of, payload) = receive(&socket);
            assert_eq!((usize::from(sequence), usize::from(of)), (number, total));
            assert!(number + 1 == total || HEADER_LEN + payload.len() == DATAGRAM_MAX);
        }
    }
    nothing_is_left(&socket);
}

/// One that no receiver's buffer would hold.
fn an_answer_too_long_is_refused(shards: u32) {
    if another_server_lacks("an answer of more than 64 datagrams is refused") {
        return;
    }
    let server = serve(shards);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    for key in ["a", "b", "key-3", "key-4"] {
        conn.ask(format!("set {key} 0 0 100000\r\n{}\r\n", "x".repeat(100_000)), "STORED\r\n");
        send(&socket, 1, format!("get {key}\r\n"));
        let message = receive_message(&socket, 1);
        assert!(message.starts_with(b"SERVER_ERROR ") && message.ends_with(b"\r\n"), "{}", shown(&message));
        nothing_is_left(&socket);
    }
}

fn binary_requests(shards: u32) {
    let server = serve(shards);
    let socket = server.udp_socket();
    let ask = |request: Vec<u8>| {
        send(&socket, 77, &request);
        let message = receive_message(&socket, 77);
        let (answer, rest) = Answer::parse(&message);
        assert_eq!((answer.opcode, &answer.opaque[..], rest), (request[1], &request[12..16], &b""[..]));
        answer
    };
    for key in [&b"a"[..], b"b", b"key-3", b"key-4"] {
        ask(request(opcode::GET, b"", key, b"", 0)).is(Status::NotFound, b"", b"", b"Not found");
        let set = ask(request(opcode::SET, b"\0\0\0\x05\0\0\0\0", key, b"value", 0));
        let cas = set.is(Status::Ok, b"", b"", b"");
        let hit = ask(request(opcode::GETK, b"", key, b"", 0));
        assert_eq!(hit.is(Status::Ok, b"\0\0\0\x05", key, b"value"), cas);
        // The next datagram may be of the other protocol.
        let text = String::from_utf8_lossy(key);
        self::ask(&socket, 78, format!("get {text}\r\n"), format!("VALUE {text} 5 5\r\nvalue\r\nEND\r\n"));
    }
    nothing_is_left(&socket);
}

fn what_ends_a_connection_ends_nothing(shards: u32) {
    let server = serve(shards);
    let socket = server.udp_socket();
    if !another_server_lacks("quit is not answered by an empty datagram") {
        for quit in [&b"quit\r\n"[..], &request(opcode::QUITQ, b"", b"", b"", 0), b"GET / HTTP/1.1\r\n"] {
            send(&socket, 1, quit);
            nothing_is_left(&socket);
        }
    }
    // What stands behind a request that contradicts itself is not looked at.
    let noop = request(opcode::NOOP, b"", b"", b"", 0);
    send(&socket, 2, [request(opcode::GET, b"1234", b"k", b"", 0), noop].concat());
    let message = receive_message(&socket, 2);
    let (answer, rest) = Answer::parse(&message);
    answer.is(Status::Invalid, b"", b"", b"Invalid arguments");
    assert_eq!(shown(rest), "");
    nothing_is_left(&socket);
}

fn broken_datagrams_are_dropped(shards: u32) {
    let server = serve(shards);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    let set = "set a 0 0 1\r\nx\r\n";
    for len in 0..=HEADER_LEN {
        socket.send(&datagram(1, 0, 1, b"")[..len]).expect("send");
    }
    for (sequence, total) in [(0, 0), (0, 2), (1, 2), (0, 256), (0, u16::MAX)] {
        socket.send(&datagram(2, sequence, total, set.as_bytes())).expect("send");
    }
    nothing_is_left(&socket);
    conn.ask("get a\r\n", "END\r\n");
    if another_server_lacks("what is broken in one datagram does not reach the next") {
        return;
    }
    for garbage in [&b"\x80"[..], b"\x80\x00\xff\xff", b"\0\0\0\0", &[0xff; 1_000], b"get a", &[b' '; 3_000]]
    {
        send(&socket, 3, garbage);
    }
    nothing_is_left(&socket);
    ask(&server.udp_socket(), 4, set, "STORED\r\n");
    conn.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
}

fn clients_share_no_state(shards: u32) {
    let server = serve(shards);
    let sockets: Vec<_> = (0..8).map(|_| server.udp_socket()).collect();
    for round in 0..20u16 {
        for (i, socket) in sockets.iter().enumerate() {
            send(socket, round, format!("set key-{i} {round} 0 1\r\n{i}\r\n"));
        }
        for socket in &sockets {
            assert_eq!(receive(socket), (round, 0, 1, b"STORED\r\n".to_vec()));
        }
        for (i, socket) in sockets.iter().enumerate() {
            send(socket, round + 100, format!("decr key-{i} {round}\r\n"));
        }
        for (i, socket) in sockets.iter().enumerate() {
            let left = i.saturating_sub(round.into());
            assert_eq!(receive(socket), (round + 100, 0, 1, format!("{left}\r\n").into_bytes()));
        }
    }
    sockets.iter().for_each(nothing_is_left);
}

/// memcached takes the next datagram, of whatever client, for the rest.
fn an_incomplete_request_changes_nothing(shards: u32) {
    if another_server_lacks("an incomplete request in a datagram ends with it") {
        return;
    }
    let server = serve(shards);
    let (socket, other, mut conn) = (server.udp_socket(), server.udp_socket(), server.connect());
    let set = request(opcode::SET, &[0; 8], b"a", &[b'x'; 100], 0);
    for incomplete in [
        &b"set a 0 0 100\r\n"[..],
        b"set a 0 0 100\r\nxxx",
        b"set a 0 0 5000\r\nxxx",
        b"set a 0 0 3\r\nxxx",
        b"set a 0 0 3\r\nxxx\r",
        b"set a 0 0",
        b"get a b",
        &set[..1],
        &set[..24],
        &set[..33],
        &set[..60],
        &set[..set.len() - 1],
    ] {
        conn.ask("set a 0 0 3\r\nold\r\n", "STORED\r\n");
        socket.send(&datagram(5, 0, 1, incomplete)).expect("send");
        nothing_is_left(&socket);
        ask(&other, 6, "get a\r\n", "VALUE a 0 3\r\nold\r\nEND\r\n");
        conn.ask("get a\r\n", "VALUE a 0 3\r\nold\r\nEND\r\n");
    }
    // What stands whole before it is run.
    ask(&socket, 7, "set a 0 0 3\r\nnew\r\nset a 0 0 100\r\nxxx", "STORED\r\n");
    conn.ask("get a\r\n", "VALUE a 0 3\r\nnew\r\nEND\r\n");
    nothing_is_left(&other);
}

fn datagrams_and_connections_share_one_store(shards: u32) {
    let server = serve(shards);
    let (socket, mut conn) = (server.udp_socket(), server.connect());
    for i in 0..50 {
        ask(&socket, i, format!("set u{i} {i} 0 1\r\nx\r\n"), "STORED\r\n");
        conn.ask(format!("get u{i}\r\n"), format!("VALUE u{i} {i} 1\r\nx\r\nEND\r\n"));
        conn.ask(format!("set t{i} {i} 0 1\r\ny\r\n"), "STORED\r\n");
        ask(&socket, i, format!("get t{i}\r\n"), format!("VALUE t{i} {i} 1\r\ny\r\nEND\r\n"));
    }
    conn.finish();
}
