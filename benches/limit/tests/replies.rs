//! Talks to the program as a load does, in whatever pieces requests may come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than any answer takes, so that a server that owes one is found out.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// Long enough for a reply too many to arrive.
const SILENT_FOR: Duration = Duration::from_millis(50);

struct Limit {
    child: Child,
    port: u16,
}

impl Limit {
    fn start(request_bytes: usize, reply: &[u8]) -> Limit {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(reply).expect("the reply");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringcached-limit"))
            .args(["--port", "0", "--request-bytes", &request_bytes.to_string(), "--reply"])
            .arg(file.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        Limit { child, port: port.unwrap_or_else(|| panic!("no port in '{line}'")) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        stream
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads `count` replies and makes sure that nothing follows.
fn expect(stream: &mut TcpStream, reply: &[u8], count: usize) {
    let mut got = vec![0; reply.len() * count];
    stream.read_exact(&mut got).expect("the replies");
    assert!(got == reply.repeat(count), "{count} replies of {} bytes", reply.len());
    stream.set_read_timeout(Some(SILENT_FOR)).expect("a timeout");
    assert!(stream.read(&mut [0]).is_err(), "a reply too many, or the end");
    stream.set_read_timeout(Some(ANSWERS_WITHIN)).expect("a timeout");
}

#[test]
fn each_request_has_one_reply_however_it_is_split() {
    // Copied into a block; copied with others; larger than what is copied; larger than what may be unsent.
    for reply_bytes in [8, 1000, 20_000, 1 << 20] {
        let reply: Vec<u8> = (0..reply_bytes).map(|at| (at % 251) as u8).collect();
        let limit = Limit::start(21, &reply);
        let (mut stream, mut other) = (limit.connect(), limit.connect());
        stream.write_all(&[b'q'; 21]).expect("one request");
        expect(&mut stream, &reply, 1);
        stream.write_all(&[b'q'; 20]).expect("all but a byte of one");
        other.write_all(&[b'q'; 3 * 21]).expect("three on another connection");
        expect(&mut other, &reply, 3);
        stream.write_all(&[b'q'; 2]).expect("its end and the beginning of the next");
        expect(&mut stream, &reply, 1);
        stream.write_all(&[b'q'; 20]).expect("its end");
        expect(&mut stream, &reply, 1);
    }
}

#[test]
fn many_in_flight_and_requests_larger_than_a_buffer_are_counted() {
    let limit = Limit::start(21, b"VALUE\r\n");
    let mut stream = limit.connect();
    stream.write_all(&[b'q'; 21 * 10_000]).expect("ten thousand requests");
    expect(&mut stream, b"VALUE\r\n", 10_000);
    let limit = Limit::start(100_000, b"STORED\r\n");
    let mut stream = limit.connect();
    stream.write_all(&vec![b'q'; 100_000 * 5]).expect("five large requests");
    expect(&mut stream, b"STORED\r\n", 5);
}

#[test]
fn connections_that_end_make_room() {
    let limit = Limit::start(4, b"ok\r\n");
    for _ in 0..300 {
        let mut stream = limit.connect();
        stream.write_all(b"ping").expect("a request");
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).expect("its reply");
        assert_eq!(&reply, b"ok\r\n");
    }
}
