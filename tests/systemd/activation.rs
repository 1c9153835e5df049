//! Sockets that a service manager opens and passes to one server after the other (`LISTEN_FDS`): nobody who connects is refused,
//! whether a server runs or not, and every connection finds its shard as if the server had opened the sockets itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use command_fds::{CommandFdExt, FdMapping};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::datagram::ask;
use crate::harness::{Conn, PATIENCE, Server, free_ports, server_command, wait_for};
use crate::process::run_command;
use crate::shard_ports::{fnv1a_32, key, of_shards, use_key};
use crate::steering::connect_from;

on_counts! { no_connection_is_refused_by_a_restart on_1 1 on_2 2 }
on_counts! { one_socket_serves_all_shards_evenly on_1 1 on_2 2 on_4 4 }

/// The sockets a manager holds.
struct Manager(Vec<Socket>);

impl Manager {
    /// Adds a socket for connections.
    fn listen(&mut self, address: &SockAddr) -> &Socket {
        let domain = address.domain();
        let socket = Socket::new(domain, Type::STREAM, None).expect("socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        self.add(socket, address).listen(1024).expect("listening");
        self.last()
    }

    /// Adds one of several UDP sockets of one address.
    fn receive(&mut self, address: SocketAddr) -> SocketAddr {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("socket");
        socket.set_reuse_port(true).expect("SO_REUSEPORT");
        local(self.add(socket, &address.into()))
    }

    fn add(&mut self, socket: Socket, address: &SockAddr) -> &Socket {
        socket.bind(address).expect("bound");
        // As a manager has them that waits for the first connection itself.
        socket.set_nonblocking(true).expect("nonblocking");
        self.0.push(socket);
        self.last()
    }

    fn last(&self) -> &Socket {
        self.0.last().expect("a socket")
    }

    /// A free port of 127.0.0.1, listened on.
    fn listen_anywhere(&mut self) -> SocketAddr {
        local(self.listen(&SocketAddr::from(([127, 0, 0, 1], 0)).into()))
    }

    /// A port, 0 for a free one, of both families with one socket.
    fn listen_for_both(&mut self, port: u16) -> u16 {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("socket");
        socket.set_only_v6(false).expect("IPV6_V6ONLY");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        self.add(socket, &any.into()).listen(16).expect("listening");
        local(self.last()).port()
    }

    /// A server with `options` that is passed every socket.
    fn command(&self, options: &[&str]) -> Command {
        let server = server_command(options);
        // LISTEN_PID is the server's own number, which a shell knows before it becomes the server.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"LISTEN_PID=$$ exec "$0" "$@""#])
            .arg(server.get_program())
            .args(server.get_args());
        command.env("LISTEN_FDS", self.0.len().to_string());
        command.env("LISTEN_FDNAMES", vec!["test.socket"; self.0.len()].join(":"));
        let copies = self.0.iter().map(|socket| OwnedFd::from(socket.try_clone().expect("a copy")));
        let mappings =
            copies.zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        command.fd_mappings(mappings).expect("each number once");
        command
    }
}

fn local(socket: &Socket) -> SocketAddr {
    socket.local_addr().expect("bound").as_socket().expect("an address of the network")
}

/// What became of a client that connected and asked at once.
enum Served {
    Yes,
    /// It was accepted by a server that ended before the request had come.
    Closed,
}

/// Connects, asks for a version, waits for the answer however long it takes.
fn visit(address: SocketAddr) -> Served {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE).expect("nobody is ever refused");
    socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
    let mut answer = [0; 8];
    let served = socket.write_all(b"version\r\n").and_then(|()| socket.read_exact(&mut answer));
    match served {
        Ok(()) if answer == *b"VERSION " => Served::Yes,
        Ok(()) => panic!("version: {}", answer.escape_ascii()),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("a client waits for ever"),
        Err(_) => Served::Closed,
    }
}

/// Clients come all the time while the server is stopped and started again, several times.
fn no_connection_is_refused_by_a_restart(shards: u32) {
    const RESTARTS: u32 = 4;
    const VISITORS: u32 = 3;
    let mut manager = Manager(Vec::new());
    let address = manager.listen_anywhere();
    let (port, threads) = (address.port().to_string(), shards.to_string());
    let start = || Server::listening(manager.command(&["-l", "127.0.0.1", "-p", &port, "-t", &threads]));
    let done = AtomicBool::new(false);
    let (served, closed) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let visit_always = || {
            while !done.load(Ordering::Relaxed) {
                match visit(address) {
                    Served::Yes => served.fetch_add(1, Ordering::Relaxed),
                    Served::Closed => closed.fetch_add(1, Ordering::Relaxed),
                };
            }
        };
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(visit_always)).collect();
        for _ in 0..RESTARTS {
            let before = served.load(Ordering::Relaxed);
            let mut server = start();
            wait_for("clients", || (served.load(Ordering::Relaxed) > before + 50).then_some(()));
            server.stop();
            // Nobody serves, and still nobody is refused: this one is answered by the next server.
            let mut early = Conn::open_tcp(address).expect("the manager's socket takes it");
            early.send("set early 0 0 1\r\nx\r\n");
            let _next = start();
            early.expect("STORED\r\n");
        }
        done.store(true, Ordering::Relaxed);
        let _last = start();
        visitors.into_iter().for_each(|visitor| visitor.join().expect("a visitor"));
    });
    // Only who was accepted at the very end of a server, and had asked nothing by then, may have been turned away.
    let (served, closed) = (served.into_inner(), closed.into_inner());
    assert!(closed <= 2 * RESTARTS * VISITORS, "{closed} of {} were closed unanswered", served + closed);
}

/// One shard accepts for all, and they have as many connections each.
fn one_socket_serves_all_shards_evenly(shards: u32) {
    let mut manager = Manager(Vec::new());
    let address = manager.listen_anywhere();
    let (port, threads) = (address.port().to_string(), shards.to_string());
    let options = ["-l", "127.0.0.1", "-p", &port, "-t", &threads];
    let server = Server::listening(manager.command(&options));
    assert_eq!(server.addresses, [address]);
    let mut conns: Vec<Conn> = (0..20 * shards).map(|_| server.connect()).collect();
    conns.iter_mut().for_each(|conn| conn.ask("get a\r\n", "END\r\n"));
    let counts = of_shards(&mut conns[0], shards, "curr_connections");
    assert!(counts.iter().all(|count| (20..=21).contains(count)), "{counts:?}");
}

/// Every kind of socket is passed, and still each request meets its shard; a second server finds them as the first did.
#[test]
fn every_kind_of_socket_is_taken() {
    const SHARDS: u32 = 2;
    let port = || SocketAddr::from(([127, 0, 0, 1], free_ports(1)));
    let first_shard = free_ports(SHARDS);
    let mut manager = Manager(Vec::new());
    let common = manager.listen_anywhere();
    let chosen = local(manager.listen(&port().into()));
    let of_shard: Vec<SocketAddr> =
        (first_shard..).take(SHARDS as usize).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
    for address in &of_shard {
        manager.listen(&(*address).into());
    }
    let udp = manager.receive(SocketAddr::from(([127, 0, 0, 1], 0)));
    manager.receive(udp);
    let words = [common.port(), chosen.port(), first_shard, udp.port()].map(|port| port.to_string());
    let options = [
        &["-l", "127.0.0.1", "-t", "2", "--partition", "fnv1a_32", "-p", &words[0]],
        &["--source-port-steering", &words[1], "--shard-ports", &words[2], "-U", &words[3], "-v", "-v"][..],
    ];
    for _ in 0..2 {
        let server = Server::listening(manager.command(&options.concat()));
        assert_eq!(
            (server.addresses.as_slice(), server.udp_addresses.as_slice()),
            (&[common][..], &[udp][..])
        );
        assert_eq!(server.shard_addresses, of_shard);
        let socket = server.udp_socket();
        let mut homes: Vec<Conn> = (0..SHARDS).map(|shard| server.connect_to_shard(shard)).collect();
        let mut steered: Vec<Conn> =
            (0..SHARDS).map(|shard| connect_from(chosen, SHARDS as u16, shard as u16)).collect();
        for i in 0..200 {
            let home = (fnv1a_32(key(i).as_bytes()) % SHARDS) as usize;
            use_key(&mut homes[home], i);
            use_key(&mut steered[home], i);
            ask(&socket, 1, format!("get {}\r\n", key(i)), "END\r\n");
        }
        assert_eq!(of_shards(&mut homes[0], SHARDS, "cmd_forwarded"), [0, 0]);
        assert_eq!(of_shards(&mut homes[0], SHARDS, "misrouted"), [0, 0]);
        assert_eq!(of_shards(&mut homes[0], SHARDS, "udp_received").iter().sum::<u64>(), 200);
    }
}

/// HTTP for operators is a socket like any other; a second server finds it as the first did.
#[test]
fn the_socket_of_operators_is_taken() {
    let mut manager = Manager(Vec::new());
    let (address, admin) = (manager.listen_anywhere(), manager.listen_anywhere());
    let (port, admin_text) = (address.port().to_string(), admin.to_string());
    for _ in 0..2 {
        let options = ["-l", "127.0.0.1", "-t", "2", "-p", &port, "--admin", &admin_text];
        let mut server = Server::listening(manager.command(&options));
        assert_eq!(server.admin_addresses, [admin]);
        let mut socket = TcpStream::connect_timeout(&admin, PATIENCE).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        socket.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.") && answer.ends_with("\r\n\r\nserves\n"), "{answer}");
        server.stop();
    }
}

#[test]
fn a_unix_socket_is_taken_and_kept() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("socket");
    let mut manager = Manager(Vec::new());
    manager.listen(&SockAddr::unix(&path).expect("a path"));
    for _ in 0..2 {
        let server_directory = tempfile::tempdir().expect("temporary directory");
        let command = manager.command(&["-t", "2", "-s", path.to_str().expect("UTF-8")]);
        let mut server = Server::listening_on_path(command, server_directory, path.clone());
        let mut conns: Vec<Conn> = (0..6).map(|_| server.connect()).collect();
        conns.iter_mut().for_each(|conn| conn.ask("get a\r\n", "END\r\n"));
        // The connection that the harness tried first may not have gone yet.
        let counts = of_shards(&mut conns[0], 2, "curr_connections");
        assert!(counts.iter().all(|count| (3..=4).contains(count)), "{counts:?}");
        server.stop();
    }
}

/// One socket for both families stands for the two that would be opened, and IPv4 clients are told an IPv4 address.
#[test]
fn one_socket_takes_both_families() {
    let mut manager = Manager(Vec::new());
    let port = manager.listen_for_both(0);
    let words = port.to_string();
    for addresses in [&[][..], &["-l", "[::]", "-l", "0.0.0.0"], &["-l", "0.0.0.0", "-l", "[::]"]] {
        let server = Server::listening(manager.command(&[&["-t", "2", "-p", &words], addresses].concat()));
        assert_eq!(server.addresses.len(), 2, "both families: {:?}", server.addresses);
        for address in &server.addresses {
            let mut conn = Conn::open_tcp(*address).expect("a connection");
            conn.ask("get a\r\n", "END\r\n");
        }
    }
    let _server = Server::listening(manager.command(&["-t", "2", "-p", &words]));
    let mut conn = Conn::open_tcp(SocketAddr::from(([127, 0, 0, 1], port))).expect("a connection");
    conn.send("config get cluster\r\n");
    let (_, nodes) = (conn.line(), conn.line());
    assert!(nodes.ends_with(&format!("\n127.0.0.1|127.0.0.1|{port}\n")), "{nodes}");
}

/// As `ListenStream=` with a port alone makes them for the ports of shards.
#[test]
fn a_shard_port_may_be_one_socket_for_both_families() {
    let first = free_ports(2);
    let mut manager = Manager(Vec::new());
    (first..first + 2).for_each(|port| assert_eq!(manager.listen_for_both(port), port));
    let options = ["-t", "2", "-p", "-1", "--shard-ports", &first.to_string()];
    let server = Server::listening(manager.command(&options));
    assert_eq!(server.shard_addresses.len(), 4, "both families: {:?}", server.shard_addresses);
    for address in &server.shard_addresses {
        Conn::open_tcp(*address).expect("a connection").ask("get a\r\n", "END\r\n");
    }
}

/// What no option asks for is named, and nothing starts.
#[test]
fn sockets_that_do_not_fit_are_refused() {
    let mut manager = Manager(Vec::new());
    let address = manager.listen_anywhere();
    let other = free_ports(1).to_string();
    let refused = |command: Command, words: &str| {
        let output = run_command(command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // What another start does not mend: the units know the status.
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(words), "{text}");
    };
    let unasked =
        format!("the service manager passed a socket for tcp:{address} (test.socket), where no option");
    refused(manager.command(&["-l", "127.0.0.1", "-p", &other]), &unasked);
    let mut command = manager.command(&["-l", "127.0.0.1", "-p", &address.port().to_string()]);
    refused(
        {
            command.env("LISTEN_FDS", "many");
            command
        },
        "LISTEN_FDS",
    );
}
