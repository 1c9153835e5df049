//! Copies between real servers, as a user does: ringcached and Debian's memcached, each in either place.

#[allow(dead_code)] // made for tests that also ask for the counters of shards
#[path = "../../steered/tests/server/mod.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use server::Server;

fn memcached(options: &[&str]) -> Server {
    Server::start_program(Path::new("memcached"), 2, &[&["-u", "root"], options].concat())
}

/// Runs the program from `from` to `to`, ports of this machine.
fn copy(from: u16, to: u16, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringcached-copy"))
        .args(["--from", &format!("127.0.0.1:{from}"), "--to", &format!("127.0.0.1:{to}")])
        .args(options)
        .output()
        .expect("the program")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A plain client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(server: &Server) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        Client(BufReader::new(stream))
    }

    /// Sends `requests`, then `mn`, and reads until its answer.
    fn ask(&mut self, requests: &[u8]) -> Vec<u8> {
        let mut writer = self.0.get_ref().try_clone().expect("the socket");
        let all = [requests, b"mn\r\n"].concat();
        let sent = thread::spawn(move || writer.write_all(&all).expect("requests"));
        let mut answer = Vec::new();
        while !answer.ends_with(b"MN\r\n") {
            assert!(self.0.read_until(b'\n', &mut answer).expect("answer") > 0, "hung up");
        }
        sent.join().expect("the sender");
        answer.truncate(answer.len() - 4);
        answer
    }
}

/// Item `i` of the mixture: its key as the meta protocol has it, its flags, its time to live and its value.
fn item(i: usize) -> (String, bool, u32, u32, Vec<u8>) {
    let is_base64 = i % 5 == 4;
    // `\x00` and spaces in binary keys; `%` in plain ones, which a listing may escape.
    let key = if is_base64 { base64(format!("\0 bin {i}").as_bytes()) } else { format!("item%20:{i}") };
    let ttl_s = [0, 1000, 40 * 24 * 3600][i % 3];
    let len = if i == 17 { 700_000 } else { i % 300 };
    (key, is_base64, i as u32 * 400_000, ttl_s, vec![b'a' + (i % 26) as u8; len])
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn store(i: usize) -> Vec<u8> {
    let (key, is_base64, flags, ttl_s, value) = item(i);
    let mark = if is_base64 { " b" } else { "" };
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let expiry = if ttl_s > 2_592_000 { now + u64::from(ttl_s) } else { ttl_s.into() };
    let head = format!("ms {key} {}{mark} F{flags} T{expiry} q\r\n", value.len());
    [head.as_bytes(), &value, b"\r\n"].concat()
}

/// Checks items 0 to `count` of `server`: value, flags, mark, and what is left of their time since the first one was `stored`.
fn check(server: &Server, count: usize, stored: Instant) {
    let mut client = Client::of(server);
    for i in 0..count {
        let (key, is_base64, flags, ttl_s, value) = item(i);
        let mark = if is_base64 { " b" } else { "" };
        let answer = client.ask(format!("mg {key}{mark} t f k v\r\n").as_bytes());
        let end = answer.iter().position(|byte| *byte == b'\n').expect("a line");
        let head = String::from_utf8_lossy(&answer[..end]).trim_end().to_string();
        let (len, rest) = head.split_once(" t").expect("a time to live");
        let (left_s, rest) = rest.split_once(' ').expect("flags");
        assert_eq!(
            (len, rest),
            (&*format!("VA {}", value.len()), &*format!("f{flags} k{key}{mark}")),
            "{head}"
        );
        let left_s: i64 = left_s.parse().expect("seconds");
        if ttl_s == 0 {
            assert_eq!(left_s, -1, "{head}");
        } else {
            let ttl_s = i64::from(ttl_s);
            // Each clock, and each moment made of a span, is cut off to a whole second.
            let late_s = stored.elapsed().as_secs() as i64 + 5;
            assert!(
                (ttl_s - late_s..=ttl_s + 1).contains(&left_s),
                "{left_s} s left of {ttl_s}, {:?} after the first was stored",
                stored.elapsed()
            );
        }
        assert_eq!(&answer[end + 1..answer.len() - 2], value, "{key}");
    }
}

fn copies_all(from: &Server, to: &Server) {
    const ITEMS: usize = 10_000;
    let stored = Instant::now();
    Client::of(from).ask(&(0..ITEMS).flat_map(store).collect::<Vec<u8>>());
    let output = copy(from.port, to.port, &["--rate", "1000000"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("copied 10000 "), "{}", said(&output));
    check(to, ITEMS, stored);
    let again = copy(from.port, to.port, &["--rate", "1000000"]);
    assert!(
        said(&again).contains("copied 0 (0.0 MiB), already there 10000, gone meanwhile 0,"),
        "{}",
        said(&again)
    );
}

#[test]
fn memcached_to_ringcached() {
    copies_all(&memcached(&[]), &Server::start(2, &[]));
}

#[test]
fn ringcached_to_ringcached() {
    copies_all(&Server::start(2, &[]), &Server::start(1, &[]));
}

#[test]
fn ringcached_to_memcached() {
    copies_all(&Server::start(2, &[]), &memcached(&[]));
}

#[test]
fn newer_values_stay_and_the_rest_is_told_apart() {
    let (from, to) = (Server::start(1, &[]), Server::start(1, &["-I", "10k"]));
    let mut old = Client::of(&from);
    old.ask(b"set there 0 0 3\r\nold\r\nset large-there 0 0 3\r\nold\r\nset stale 0 0 1\r\nx\r\nmd stale I T60\r\n");
    let large = [b"set large-there 0 0 20000\r\n".as_slice(), &[b'x'; 20_000], b"\r\n"].concat();
    old.ask(&large);
    old.ask(b"set fits 0 0 1\r\nx\r\n");
    Client::of(&to).ask(b"set there 0 0 3\r\nnew\r\nset large-there 0 0 3\r\nnew\r\n");
    let output = copy(from.port, to.port, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let want = "copied 1 (0.0 MiB), already there 1, gone meanwhile 0, stale 1, too large 1, refused 0, unreachable 0";
    assert!(said(&output).contains(want), "{}", said(&output));
    let answer = Client::of(&to).ask(b"get there large-there fits stale\r\n");
    let want = "VALUE there 0 3\r\nnew\r\nVALUE large-there 0 3\r\nnew\r\nVALUE fits 0 1\r\nx\r\nEND\r\n";
    assert_eq!(String::from_utf8_lossy(&answer), want);
}

#[test]
fn a_server_that_is_full_is_told_and_fails() {
    let (from, to) = (Server::start(1, &[]), Server::start(1, &["-m", "4", "-M"]));
    let store =
        |i| [format!("ms full:{i} 4000 q\r\n").into_bytes(), vec![b'x'; 4000], b"\r\n".to_vec()].concat();
    Client::of(&from).ask(&(0..2000).flat_map(store).collect::<Vec<u8>>());
    let output = copy(from.port, to.port, &["--rate", "1000000"]);
    assert!(!output.status.success(), "{}", said(&output));
    let words = format!("first refusal: 127.0.0.1:{} answered `SERVER_ERROR out of memory", to.port);
    assert!(said(&output).contains(&words), "{}", said(&output));
}

#[test]
fn both_rates_are_held() {
    let (from, to) = (Server::start(1, &[]), Server::start(2, &[]));
    let store =
        |i| [format!("ms rate:{i} 2000 q\r\n").into_bytes(), vec![b'x'; 2000], b"\r\n".to_vec()].concat();
    Client::of(&from).ask(&(0..500).flat_map(store).collect::<Vec<u8>>());
    // 500 items, or 1,000,000 bytes, in one second.
    for rate in [["--rate", "500"], ["--bytes-rate", "1000000"]] {
        Client::of(&to).ask(b"flush_all\r\n");
        let started = Instant::now();
        let output = copy(from.port, to.port, &rate);
        let elapsed_s = started.elapsed().as_secs_f64();
        assert!(said(&output).contains("copied 500 "), "{}", said(&output));
        assert!((0.95..5.0).contains(&elapsed_s), "{rate:?}: {elapsed_s} s");
    }
}

/// Stands before the server at `port` and cuts the first `cuts` connections when `bytes_max` bytes have come from it.
fn cutting_proxy(port: u16, cuts: usize, bytes_max: u64) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let own = listener.local_addr().expect("address").port();
    thread::spawn(move || {
        for (i, client) in listener.incoming().enumerate() {
            let client = client.expect("a client");
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server");
            let (mut requests, mut server_in) =
                (client.try_clone().expect("socket"), server.try_clone().expect("socket"));
            thread::spawn(move || std::io::copy(&mut requests, &mut server_in));
            thread::spawn(move || {
                let bytes_max = if i < cuts { bytes_max } else { u64::MAX };
                let _ = std::io::copy(&mut (&server).take(bytes_max), &mut &client);
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    own
}

#[test]
fn lost_connections_are_made_anew() {
    const ITEMS: usize = 2000;
    let (from, to) = (Server::start(1, &[]), Server::start(1, &[]));
    let stored = Instant::now();
    Client::of(&from).ask(&(0..ITEMS).flat_map(store).collect::<Vec<u8>>());
    // The first is cut while it lists, the others while they copy.
    let proxy = cutting_proxy(from.port, 3, 30_000);
    let output = copy(proxy, to.port, &["--rate", "1000000"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("try 1 of 6"), "{}", said(&output));
    check(&to, ITEMS, stored);
    // The same on the other side, where answers to stores are lost: what was stored is there already then.
    Client::of(&to).ask(b"flush_all\r\n");
    let proxy = cutting_proxy(to.port, 3, 5000);
    let output = copy(from.port, proxy, &["--rate", "1000000"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("try 1 of 6"), "{}", said(&output));
    check(&to, ITEMS, stored);
}

#[test]
fn what_cannot_be_copied_is_named() {
    let (server, hidden) = (Server::start(1, &[]), Server::start(1, &["-X"]));
    let nobody =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("address").port();
    for (from, to, name, words) in [
        (hidden.port, server.port, hidden.port, "without -X"),
        (server.port, nobody, nobody, "no connection"),
        (server.port, server.port, server.port, "both name"),
    ] {
        let output = copy(from, to, &[]);
        let said = said(&output);
        assert!(
            !output.status.success() && said.contains(words) && said.contains(&name.to_string()),
            "{said}"
        );
        assert!(!said.contains("given up"), "nothing was reached, so nothing was tried again: {said}");
    }
}
