//! Each operation of a ring with each error it may have: clients get every answer, right and in order, and nothing is left over.

use crate::faulty::{Injection, Operation};
use crate::server::Server;
use ringcached::net::RingConfig;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Errors that may pass: whoever has one of them tries again.
const PASSING: [i32; 5] = [libc::EINTR, libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM, libc::ECANCELED];

/// What an accept may lack besides.
const DESCRIPTORS: [i32; 3] = [libc::EMFILE, libc::ENFILE, libc::ECONNABORTED];

const SHARDS: usize = 2;
const CLIENTS: usize = 6;

/// The longest any single wait may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a value that is received straight into place.
const LARGE: usize = 300_000;

struct Client {
    socket: TcpStream,
    name: usize,
}

impl Client {
    fn new(address: SocketAddr, name: usize) -> Client {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_nodelay(true).expect("TCP_NODELAY");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Client { socket, name }
    }

    fn ask(&mut self, request: &str, answer: &str) {
        self.socket.write_all(request.as_bytes()).expect("send");
        let mut got = vec![0; answer.len()];
        let name = self.name;
        self.socket.read_exact(&mut got).unwrap_or_else(|e| panic!("client {name}: no answer: {e}"));
        assert!(got == answer.as_bytes(), "client {name}: another answer");
    }

    /// Keys of all shards, alone and pipelined, small and large.
    fn converse(&mut self, rounds: usize) {
        let name = self.name;
        for round in 0..rounds {
            let key = format!("c{name}-{round}");
            self.ask(&format!("set {key} 0 0 2\r\n10\r\n"), "STORED\r\n");
            let requests: String = (0..20).map(|n| format!("incr {key} 1\r\nget none{n}\r\n")).collect();
            let answers: String = (11..31).map(|n| format!("{n}\r\nEND\r\n")).collect();
            self.ask(&requests, &answers);
            let letter = char::from(b'a' + (round % 26) as u8);
            let value = letter.to_string().repeat(LARGE + name);
            let len = value.len();
            self.ask(&format!("set {key} 0 0 {len}\r\n{value}\r\n"), "STORED\r\n");
            self.ask(&format!("get {key}\r\n"), &format!("VALUE {key} 0 {len}\r\n{value}\r\nEND\r\n"));
            self.ask(&format!("delete {key}\r\n"), "DELETED\r\n");
        }
    }
}

/// Clients that come, ask and go, all at once.
fn converse(server: &Server, rounds: usize) {
    std::thread::scope(|scope| {
        for name in 0..CLIENTS {
            scope.spawn(move || {
                for part in 0..3 {
                    Client::new(server.address, name * 10 + part).converse(rounds);
                }
            });
        }
    });
}

/// Has one in `one_in` operations of this kind fail with each of `errnos` while clients converse.
fn fail(operation: Operation, errnos: impl IntoIterator<Item = i32>, one_in: u32) {
    for errno in errnos {
        let server = Server::start(SHARDS, Some(Injection { operation, errno, one_in })).expect("a server");
        converse(&server, 4);
        let failed = server.failed();
        assert!(failed > 0, "{operation:?}: none has failed with {errno}");
        println!("{operation:?}: {failed} failed with errno {errno}");
        assert_eq!(server.stop(), [""; 0], "{operation:?}, errno {errno}");
    }
}

#[test]
fn without_faults() {
    let server = Server::start(SHARDS, None).expect("a server");
    converse(&server, 4);
    assert_eq!(server.failed(), 0);
    assert_eq!(server.stop(), [""; 0]);
}

#[test]
fn accepts() {
    fail(Operation::Accept, PASSING.into_iter().chain(DESCRIPTORS), 2);
}

#[test]
fn receives() {
    fail(Operation::Receive, PASSING, 3);
}

#[test]
fn direct_receives() {
    fail(Operation::ReceiveDirect, PASSING, 2);
}

#[test]
fn sends() {
    fail(Operation::Send, PASSING, 2);
}

/// Memory that could not be made ready is touched when it is used.
#[test]
fn populating_ahead() {
    const VALUES: usize = 60;
    for errno in PASSING.into_iter().chain([libc::EINVAL]) {
        let injection = Injection { operation: Operation::Populate, errno, one_in: 2 };
        let server = Server::start(SHARDS, Some(injection)).expect("a server");
        let mut client = Client::new(server.address, 0);
        let value = "v".repeat(LARGE);
        for n in 0..VALUES {
            client.ask(&format!("set k{n} 0 0 {LARGE}\r\n{value}\r\n"), "STORED\r\n");
        }
        for n in 0..VALUES {
            client.ask(&format!("get k{n}\r\n"), &format!("VALUE k{n} 0 {LARGE}\r\n{value}\r\nEND\r\n"));
        }
        assert!(server.failed() > 0, "none has failed with {errno}");
        drop(client);
        assert_eq!(server.stop(), [""; 0], "errno {errno}");
    }
}

/// A peer that sleeps deep hears of a request though the first message to it was lost.
#[test]
fn wake_ups() {
    // The shard sees no errno: the ring has judged it.
    let injection = Injection { operation: Operation::Wake, errno: libc::ENOMEM, one_in: 2 };
    let server = Server::start(SHARDS, Some(injection)).expect("a server");
    let mut client = Client::new(server.address, 0);
    for round in 0..20 {
        // As long as it takes to sleep deep.
        std::thread::sleep(Duration::from_millis(60));
        for key in 0..4 {
            client.ask(&format!("set {round}-{key} 0 0 1\r\nx\r\n"), "STORED\r\n");
        }
    }
    assert!(server.failed() > 0);
    drop(client);
    assert_eq!(server.stop(), [""; 0]);
}

/// One request in a datagram, again until it is answered.
fn ask_by_udp(socket: &UdpSocket, id: u16, request: &str, answer: &str) {
    let frame = |rest: &str| [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0], rest.as_bytes()].concat();
    let began = Instant::now();
    let mut send = true;
    while began.elapsed() < PATIENCE {
        if send {
            socket.send(&frame(request)).expect("send");
        }
        let mut got = [0; 1400];
        send = match socket.recv(&mut got) {
            Ok(len) if got[..2] == id.to_be_bytes() => {
                return assert!(got[..len] == frame(answer), "{}", got[..len].escape_ascii());
            }
            // Late, to one that was asked again.
            Ok(_) => false,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => true,
            Err(e) => panic!("{e}"),
        };
    }
    panic!("datagram {id} is never answered");
}

/// An answer that could not be sent is lost, as datagrams may be; its buffer is not, of which each shard has 16.
#[test]
fn datagrams() {
    for operation in [Operation::ReceiveDatagrams, Operation::Send] {
        for errno in PASSING {
            let server =
                Server::start(SHARDS, Some(Injection { operation, errno, one_in: 2 })).expect("a server");
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.connect(server.udp_address).expect("its address");
            socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a timeout");
            for id in 0..60 {
                ask_by_udp(&socket, id, "get nothing\r\n", "END\r\n");
            }
            assert!(server.failed() > 0, "{operation:?} {errno}");
            assert_eq!(server.stop(), [""; 0], "{operation:?} {errno}");
        }
    }
}

/// A shard that gets no buffers says so.
#[test]
fn buffers_that_cannot_be_registered() {
    for (errno, remedy) in
        [(libc::ENOMEM, "ulimit -l"), (libc::EINVAL, "Linux 6.1"), (libc::EPERM, "seccomp")]
    {
        let injection = Injection { operation: Operation::LendBuffers, errno, one_in: 1 };
        let refused = Server::start(SHARDS, Some(injection)).err().expect("no server");
        assert!(refused.contains(remedy), "{refused}");
    }
}

/// Rings with so little room for completions that they overflow all the time: the kernel keeps what has no room, and nothing is
/// lost.
#[test]
fn completions_that_overflow() {
    let config = RingConfig { submissions: 4, completions: 8 };
    let server = Server::with_rings(SHARDS, None, config).expect("a server");
    let (mut seen, began) = (0, Instant::now());
    while seen == 0 && began.elapsed() < PATIENCE {
        std::thread::scope(|scope| {
            let clients = scope.spawn(|| converse(&server, 10));
            while !clients.is_finished() {
                seen += overflowing_rings();
            }
        });
    }
    println!("{seen} times a ring was seen with completions that had no room");
    assert!(seen > 0, "no ring has overflowed");
    assert_eq!(server.stop(), [""; 0]);
}

/// Rings of this process with completions that have no room, as the kernel shows them.
fn overflowing_rings() -> usize {
    let files = std::fs::read_dir("/proc/self/fdinfo").expect("descriptors").flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let overflows = |text: &String| {
        let list = text.split_once("CqOverflowList:\n").map(|(_, list)| list);
        list.is_some_and(|list| list.trim_start().starts_with("user_data="))
    };
    texts.filter(overflows).count()
}
