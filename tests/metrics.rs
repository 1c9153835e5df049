//! HTTP for operators: what it answers and what it bears (`http`), its metrics against those of memcached_exporter (`exporter`),
//! and what Prometheus, its tools, its rules and the dashboard make of them (`prometheus`).

mod exporter;
mod http;
mod prometheus;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Conn, PATIENCE, Server};

/// A server of `shards` shards that speaks HTTP on a free port.
fn server(shards: u32, options: &[&str]) -> Server {
    Server::start(shards, &[&["--admin", "127.0.0.1:-1"], options].concat())
}

fn address(server: &Server) -> SocketAddr {
    *server.admin_addresses.first().expect("a line of the port file")
}

/// A connection for HTTP.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
    socket
}

/// The answer to one request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: BTreeMap<String, String>,
    pub body: String,
}

/// Reads one answer; that to HEAD has no body.
fn answer(socket: &mut TcpStream, has_body: bool) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap_or_else(|e| panic!("{e} after {}", head.escape_ascii()));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head in ASCII");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
        .collect();
    let len = headers.get("content-length").map_or(0, |len| len.parse().expect("a length"));
    let mut body = vec![0; if has_body { len } else { 0 }];
    socket.read_exact(&mut body).expect("the body");
    let body = String::from_utf8(body).expect("a text");
    Answer { status: status.expect("a status line"), headers, body }
}

/// Asks for `path` on a connection, which is then at its end.
fn get(socket: &mut TcpStream, path: &str) -> Answer {
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).expect("sent");
    let answer = answer(socket, true);
    assert_eq!(answer.headers.get("connection").map(String::as_str), Some("close"));
    answer
}

/// Asks for `path` on a connection of its own.
pub fn fetch(server: &Server, path: &str) -> Answer {
    get(&mut connect(address(server)), path)
}

/// The text of `/metrics`.
fn scrape(server: &Server) -> String {
    let answer = fetch(server, "/metrics");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The samples of a text by name with labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

/// Requests of every kind that memcached counts, with hits and misses, in several size classes.
fn use_everything(server: &Server) {
    let mut conn: Conn = server.connect();
    for i in 0..40 {
        let value = "x".repeat(40 * i + 1);
        conn.ask(format!("set key{i} 0 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
        conn.ask(format!("get key{i}\r\n"), format!("VALUE key{i} 0 {}\r\n{value}\r\nEND\r\n", value.len()));
        conn.ask(format!("get none{i}\r\n"), "END\r\n");
    }
    conn.ask("set n 0 0 1\r\n5\r\nincr n 2\r\ndecr n 1\r\n", "STORED\r\n7\r\n6\r\n");
    conn.ask("incr none 1\r\ndecr none 1\r\ndelete none\r\ntouch none 1\r\n", "NOT_FOUND\r\n".repeat(4));
    conn.ask("touch n 0\r\ngat 0 n\r\n", "TOUCHED\r\nVALUE n 0 1\r\n6\r\nEND\r\n");
    let cas = conn.cas_of("n");
    conn.ask(format!("cas n 0 0 1 {cas}\r\n1\r\ncas n 0 0 1 {cas}\r\n1\r\n"), "STORED\r\nEXISTS\r\n");
    conn.ask("cas none 0 0 1 1\r\n1\r\n", "NOT_FOUND\r\n");
    conn.ask("mg n v\r\nms m 1\r\n1\r\nma m\r\nmd m\r\n", "VA 1\r\n1\r\nHD\r\nHD\r\nHD\r\n");
    conn.ask("delete key1\r\n", "DELETED\r\n");
    conn.send(format!("set big 0 0 {}\r\n{}\r\n", 2 << 20, "x".repeat(2 << 20)));
    conn.expect("SERVER_ERROR object too large for cache\r\n");
    conn.finish();
}
