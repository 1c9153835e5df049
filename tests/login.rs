//! Authentication: a token in text (`-Y`), SASL PLAIN in binary (`-S`), and users that change at SIGHUP.

use std::io::Write as _;

use nix::sys::signal::Signal;

use crate::harness::{Conn, Server, server_command, wait_for};

on_shards! { text_users both_protocols }

const UNAUTHENTICATED: &str = "CLIENT_ERROR unauthenticated\r\n";
const FAILURE: &str = "CLIENT_ERROR authentication failure\r\n";

/// A users file with these lines.
fn users(lines: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(lines.as_bytes()).expect("written");
    file
}

fn path_of(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("temporary path in UTF-8")
}

fn text_users(shards: u32) {
    let file = users("ann:secret\nbob:pass word:2\n");
    let server = Server::start(shards, &["-Y", path_of(&file)]);
    let mut conn = server.connect();
    for refused in
        ["get a\r\n", "version\r\n", "stats\r\n", "mg a v\r\n", "flush_all noreply\r\n", "settle a b 0 7\r\n"]
    {
        conn.ask(refused, UNAUTHENTICATED);
    }
    conn.ask("set x 0 0 10\r\nann secreT\r\n", FAILURE);
    conn.ask("set x 0 0 9\r\nannsecret\r\n", "CLIENT_ERROR bad authentication token format\r\n");
    conn.ask("set x 0 0 10\r\nann secretxx", "CLIENT_ERROR bad command line termination\r\n");
    conn.ask("set x 0 0 20000\r\n", "CLIENT_ERROR auth token too long\r\n");
    conn.ask("set x 0 0 10 noreply\r\nann secret\r\n", "STORED\r\n");
    conn.ask("set a 0 0 1\r\n1\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    conn.ask("mg a v\r\n", "VA 1\r\n1\r\n");
    assert_eq!((conn.stat("auth_cmds"), conn.stat("auth_errors")), (2, 1));
    // A password may have spaces; another connection starts anew; the binary protocol is not spoken.
    let mut other = server.connect();
    other.ask("get a\r\n", UNAUTHENTICATED);
    other.ask("set x 0 0 15\r\nbob pass word:2\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    let mut binary = server.connect();
    binary.send([&[0x80, 0x0b][..], &[0; 22]].concat());
    binary.send("\r\n");
    binary.expect(UNAUTHENTICATED);
    conn.finish();
}

/// A request of the binary protocol without extras.
fn packet(opcode: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = (key.len() + value.len()) as u32;
    let head = [&[0x80, opcode, 0, key.len() as u8, 0, 0, 0, 0][..], &body.to_be_bytes(), &[0; 12]].concat();
    [&head, key, value].concat()
}

/// The status of the answer to a packet, and its body.
fn ask_packet(conn: &mut Conn, packet: &[u8]) -> (u16, Vec<u8>) {
    conn.send(packet);
    let mut head = [0; 24];
    conn.receive_exactly(&mut head);
    assert_eq!((head[0], head[1]), (0x81, packet[1]));
    let len = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    let mut body = vec![0; len as usize];
    conn.receive_exactly(&mut body);
    (u16::from_be_bytes([head[6], head[7]]), body)
}

const NOOP: u8 = 0x0a;
const VERSION: u8 = 0x0b;
const MECHANISMS: u8 = 0x20;
const AUTH: u8 = 0x21;
const STEP: u8 = 0x22;
const AUTH_FAILURE: (u16, &[u8]) = (0x20, b"Auth failure.");

fn log_in_with_sasl(conn: &mut Conn) {
    assert_eq!(ask_packet(conn, &packet(VERSION, b"", b"")), (0, b"1.6.45".to_vec()));
    assert_eq!(ask_packet(conn, &packet(MECHANISMS, b"", b"")), (0, b"PLAIN".to_vec()));
    for wrong in [&b"\0ann\0wrong"[..], b"\0nobody\0secret", b"ann secret", b"bob\0ann\0secret"] {
        let (status, body) = ask_packet(conn, &packet(AUTH, b"PLAIN", wrong));
        assert_eq!((status, &body[..]), AUTH_FAILURE, "{}", wrong.escape_ascii());
    }
    assert_eq!(ask_packet(conn, &packet(AUTH, b"CRAM-MD5", b"\0ann\0secret")).0, 0x20);
    assert_eq!(ask_packet(conn, &packet(AUTH, b"PLAIN", b"")), (0x21, Vec::new()));
    let (status, body) = ask_packet(conn, &packet(STEP, b"PLAIN", b"\0ann\0secret"));
    assert_eq!((status, &body[..]), (0, &b"Authenticated"[..]));
    assert_eq!(ask_packet(conn, &packet(NOOP, b"", b"")), (0, Vec::new()));
}

fn both_protocols(shards: u32) {
    let file = users("ann:secret\n");
    let server = Server::start(shards, &["-S", "-Y", path_of(&file)]);
    let mut conn = server.connect();
    log_in_with_sasl(&mut conn);
    let mut refused = server.connect();
    assert_eq!(ask_packet(&mut refused, &packet(NOOP, b"", b"")).0, 0x20);
    refused.expect_closed();
    let mut text = server.connect();
    text.ask("get a\r\n", UNAUTHENTICATED);
    text.ask("set x 0 0 10\r\nann secret\r\nget a\r\n", "STORED\r\nEND\r\n");
    text.finish();
}

#[test]
fn sasl_alone_takes_its_users_from_the_environment_and_speaks_binary_only() {
    let file = users("ann:secret\n");
    let mut command = server_command(&["-p", "-1", "-l", "127.0.0.1", "-t", "1", "-S"]);
    command.env("MEMCACHED_SASL_PWDB", file.path());
    let server = Server::listening(command);
    log_in_with_sasl(&mut server.connect());
    let mut text = server.connect();
    text.send("get a\r\n");
    text.expect_closed();
}

#[test]
fn users_are_read_again_at_sighup_and_a_broken_file_changes_nothing() {
    let mut file = users("ann:secret\n");
    let server = Server::start(2, &["-Y", path_of(&file)]);
    let mut old = server.connect();
    old.ask("set x 0 0 10\r\nann secret\r\n", "STORED\r\n");
    let mut rewrite = |lines: &str| {
        file.as_file_mut().set_len(0).expect("emptied");
        std::fs::write(file.path(), lines).expect("written");
        server.signal(Signal::SIGHUP);
    };
    rewrite("eve:new\n");
    wait_for("the new users", || {
        let mut conn = server.connect();
        conn.send("set x 0 0 7\r\neve new\r\n");
        (conn.line() == "STORED").then_some(())
    });
    server.connect().ask("set x 0 0 10\r\nann secret\r\n", FAILURE);
    old.ask("get a\r\n", "END\r\n");
    rewrite("no colon\n");
    wait_for("the complaint", || server.stderr().contains("line 1").then_some(()));
    server.connect().ask("set x 0 0 7\r\neve new\r\n", "STORED\r\n");
}
