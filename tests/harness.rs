//! Starts servers and talks to them byte by byte.
//!
//! A [`Server`] is a child process on ports the kernel chose, told through its port file; dropping it kills
//! it, and fails the test if it died or panicked before, or has had more memory than it promised. A [`Conn`] sends bytes and compares what comes back, with a
//! deadline on every wait.
//!
//! The tests are written against memcached. `RINGCACHED_TEST_SERVER=/usr/bin/memcached cargo test` runs them
//! against it, which shows that a test asks for what memcached really does. `RINGCACHED_TEST_OPTIONS` is given to every [`Server`]
//! besides its own options: `-o drop_privileges` shows that nothing the tests do needs a system call that is refused.
//! `RINGCACHED_TEST_BUILD` names another build of this server, one with a sanitizer.

use crate::promise::Promise;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, SockAddr, Socket, Type};

/// The longest any single wait may take before the test fails. What has to be fast is measured; this is for what never comes, so it
/// is long enough for a machine that does many other things.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a server may take from SIGTERM to its end.
pub const STOP_WITHIN: Duration = Duration::from_secs(8);
/// Pause between two looks at something that has no way to call us.
const POLL: Duration = Duration::from_millis(2);

/// Looks at `probe` until it gives a value; panics with `what` when [`PATIENCE`] is over.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up after {PATIENCE:?} waiting for {what}");
        std::thread::sleep(POLL);
    }
}

/// Whether the server under test is another one, which is not asked for `deviation`, something this server does otherwise on
/// purpose. Says what was left out.
pub fn another_server_lacks(deviation: &str) -> bool {
    let another = std::env::var_os("RINGCACHED_TEST_SERVER").is_some();
    if another {
        eprintln!("left out, because it is this server's own: {deviation}");
    }
    another
}

/// A command that runs the server under test with `options`.
pub fn server_command(options: &[&str]) -> Command {
    match std::env::var_os("RINGCACHED_TEST_SERVER") {
        Some(other) => {
            let mut command = Command::new(other);
            command.args(["-u", "root"]).args(options);
            command
        }
        None => {
            let build = std::env::var_os("RINGCACHED_TEST_BUILD");
            let mut command = Command::new(build.unwrap_or_else(|| env!("CARGO_BIN_EXE_ringcached").into()));
            command.args(options);
            command
        }
    }
}

/// A running server. Its directory (port file, stderr, sockets) goes when it does.
pub struct Server {
    child: Child,
    directory: tempfile::TempDir,
    /// Where it listens, in the order of its port file; empty for a UNIX socket.
    pub addresses: Vec<SocketAddr>,
    /// Where it takes datagrams, from the port file too.
    pub udp_addresses: Vec<SocketAddr>,
    /// The shard ports: all of shard 0, all of shard 1, and so on.
    pub shard_addresses: Vec<SocketAddr>,
    /// Where it speaks HTTP.
    pub admin_addresses: Vec<SocketAddr>,
    unix_socket: Option<PathBuf>,
    /// Set once the end of the process has been seen and judged.
    reaped: bool,
    /// Connections made to it so far.
    connections: AtomicU64,
    /// Those of them that watch.
    watchers: AtomicU64,
    /// The highest limit that `cache_memlimit` has set, in bytes.
    limit_bytes: AtomicU64,
}

impl Server {
    /// A server of `shards` shards on an ephemeral port of 127.0.0.1.
    pub fn start(shards: u32, options: &[&str]) -> Server {
        let shards = shards.to_string();
        let mut all = vec!["-p", "-1", "-l", "127.0.0.1", "-t", &shards];
        all.extend(options);
        Server::listening(server_command(&all))
    }

    /// A server of `shards` shards on 127.0.0.1 with free shard ports, and another port for all.
    pub fn start_with_shard_ports(shards: u32, options: &[&str]) -> Server {
        let first = free_ports(shards).to_string();
        let mut all = vec!["--shard-ports", &first];
        all.extend(options);
        Server::start(shards, &all)
    }

    /// Starts `command`, which must listen on TCP, and waits until its first address accepts.
    pub fn listening(mut command: Command) -> Server {
        let directory = tempfile::tempdir().expect("temporary directory");
        let port_file = directory.path().join("ports");
        command.env("MEMCACHED_PORT_FILENAME", &port_file);
        let mut server = Server::spawn(command, directory);
        let ports = wait_for("the port file", || {
            server.check_alive();
            // The server renames the finished file into place, so what is there is whole.
            std::fs::read_to_string(&port_file).ok()
        });
        server.addresses = addresses_of(&ports, "TCP");
        server.udp_addresses = addresses_of(&ports, "UDP");
        server.admin_addresses = addresses_of(&ports, "ADMIN");
        let of_shard = |shard| addresses_of(&ports, &format!("SHARD {shard}"));
        server.shard_addresses =
            (0..).map(of_shard).take_while(|found| !found.is_empty()).flatten().collect();
        server.connect();
        server
    }

    /// A server on the UNIX socket `socket` below its own directory.
    pub fn on_unix_socket(options: &[&str]) -> Server {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("socket");
        let mut command = server_command(&["-s", path.to_str().expect("temporary path in UTF-8")]);
        command.args(options);
        Server::listening_on_path(command, directory, path)
    }

    /// Starts `command`, which must listen on the UNIX socket `path` in `directory`, and waits until it accepts.
    pub fn listening_on_path(command: Command, directory: tempfile::TempDir, path: PathBuf) -> Server {
        let mut server = Server::spawn(command, directory);
        server.unix_socket = Some(path);
        wait_for("the UNIX socket", || {
            server.check_alive();
            server.try_connect()
        });
        server
    }

    fn spawn(mut command: Command, directory: tempfile::TempDir) -> Server {
        let stderr = std::fs::File::create(directory.path().join("stderr")).expect("stderr file");
        // With `-u` it writes its files there as another user.
        let anybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(directory.path(), anybody).expect("mode of our own directory");
        command.args(std::env::var("RINGCACHED_TEST_OPTIONS").unwrap_or_default().split_whitespace());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Server {
            child,
            directory,
            addresses: Vec::new(),
            udp_addresses: Vec::new(),
            shard_addresses: Vec::new(),
            admin_addresses: Vec::new(),
            unix_socket: None,
            reaped: false,
            connections: AtomicU64::new(0),
            watchers: AtomicU64::new(0),
            limit_bytes: AtomicU64::new(0),
        }
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first TCP port.
    pub fn port(&self) -> u16 {
        self.addresses[0].port()
    }

    /// The path of its UNIX socket.
    pub fn unix_socket(&self) -> &Path {
        self.unix_socket.as_deref().expect("a server on a UNIX socket")
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        let bytes = std::fs::read(self.directory.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A new connection to the port of a shard.
    pub fn connect_to_shard(&self, shard: u32) -> Conn {
        let address = self.shard_addresses[shard as usize];
        wait_for("a connection", || Conn::open_tcp(address))
    }

    /// A new connection to the first address, the UNIX socket or the first shard port.
    pub fn connect(&self) -> Conn {
        wait_for("a connection", || self.try_connect())
    }

    /// A new connection to the first address that takes little from the server without being read.
    pub fn connect_with_small_window(&self) -> Conn {
        self.connections.fetch_add(1, Ordering::Relaxed);
        wait_for("a connection", || Conn::open_with_window(self.addresses[0], 4096))
    }

    /// A new socket that speaks with the first UDP address, and hears nobody else.
    pub fn udp_socket(&self) -> UdpSocket {
        self.udp_socket_to(*self.udp_addresses.first().expect("a UDP line in the port file"))
    }

    /// A new socket that speaks with this UDP address.
    pub fn udp_socket_to(&self, address: SocketAddr) -> UdpSocket {
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).expect("UDP socket");
        socket.connect(address).expect("UDP address");
        socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        socket
    }

    fn try_connect(&self) -> Option<Conn> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        match &self.unix_socket {
            Some(path) => Conn::open_unix(path),
            None => Conn::open_tcp(*self.addresses.first().unwrap_or_else(|| &self.shard_addresses[0])),
        }
    }

    /// Says that `count` clients connect from elsewhere: what is promised goes up with them.
    pub fn expect_clients(&self, count: u64) {
        self.connections.fetch_add(count, Ordering::Relaxed);
    }

    /// Says that `count` clients will watch: what is promised goes up with them.
    pub fn expect_watchers(&self, count: u64) {
        self.watchers.fetch_add(count, Ordering::Relaxed);
    }

    /// The most resident memory it has had, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:").expect("VmHWM")
    }

    /// Resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:").expect("VmRSS")
    }

    /// A line of the process's status, in bytes; nothing when the process has ended.
    fn status_bytes(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib = line.split_whitespace().next()?.parse::<u64>().ok()?;
        Some(kib * 1024)
    }

    /// Sets the limit with `cache_memlimit`; what is promised goes up with it.
    pub fn set_limit_mib(&self, conn: &mut Conn, mib: u64) {
        self.limit_bytes.fetch_max(mib << 20, Ordering::Relaxed);
        conn.ask(format!("cache_memlimit {mib}\r\n"), "OK\r\n");
    }

    /// Why the server has had more memory than it promised, if it has.
    fn broken_promise(&self) -> Option<String> {
        // What a sanitizer takes for itself is in no plan.
        let unplanned = ["RINGCACHED_TEST_SERVER", "ASAN_OPTIONS", "TSAN_OPTIONS"];
        if unplanned.iter().any(|name| std::env::var_os(name).is_some()) {
            return None;
        }
        let (promise, peak_bytes) = (Promise::read(&self.stderr())?, self.status_bytes("VmHWM:")?);
        let limit_bytes = promise.limit_bytes.max(self.limit_bytes.load(Ordering::Relaxed));
        let watchers = self.watchers.load(Ordering::Relaxed);
        promise.with_watchers(watchers).broken_by(
            peak_bytes,
            limit_bytes,
            self.connections.load(Ordering::Relaxed),
        )
    }

    /// Why it has more memory at this moment than it promised for a limit of `limit_mib`, if it has.
    pub fn breach_now(&self, limit_mib: u64) -> Option<String> {
        let promise = Promise::read(&self.stderr()).expect("a server that is ready");
        let connections = self.connections.load(Ordering::Relaxed);
        promise.broken_by(self.resident_bytes(), limit_mib << 20, connections)
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("pid fits i32");
        kill(Pid::from_raw(pid), signal).expect("signal to our own child");
    }

    /// Waits until the process is gone, at most [`STOP_WITHIN`].
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        self.wait_for_exit_within(STOP_WITHIN)
    }

    /// Waits until the process is gone, at most so long: one that is traced is slow.
    pub fn wait_for_exit_within(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for our own child") {
                self.reaped = true;
                return status;
            }
            assert!(Instant::now() < deadline, "the server still runs {patience:?} after it was to stop");
            std::thread::sleep(POLL);
        }
    }

    /// SIGTERM; the server must end with exit code 0 in time.
    pub fn stop(&mut self) {
        assert_eq!(self.broken_promise(), None);
        self.signal(Signal::SIGTERM);
        let status = self.wait_for_exit();
        assert!(status.success(), "SIGTERM: {status}, want exit code 0; stderr:\n{}", self.stderr());
    }

    /// Fails the test, with the server's own words, if the process has ended.
    pub fn check_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("wait for our own child") {
            self.reaped = true;
            panic!("the server ended by itself: {status}; stderr:\n{}", self.stderr());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended_early = !self.reaped && matches!(self.child.try_wait(), Ok(Some(_)));
        let broken = self.broken_promise();
        if !self.reaped && !ended_early {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let stderr = self.stderr();
        if std::thread::panicking() {
            eprintln!("--- stderr of the server ---\n{stderr}---");
            return;
        }
        assert!(!ended_early, "the server died during the test; stderr:\n{stderr}");
        // One whose end the test has seen may have ended by a panic.
        let panicked = !self.reaped && stderr.contains("panicked at");
        assert!(!panicked, "a thread of the server panicked:\n{stderr}");
        assert_eq!(broken, None, "stderr of the server:\n{stderr}");
    }
}

/// The first of `count` neighbouring TCP ports that are free on loopback. They lie below the ports that kernels hand out (from
/// 32768 on), and no two tests are given the same.
pub fn free_ports(count: u32) -> u16 {
    const FIRST: u32 = 12_000;
    const PORTS: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Other runs of these tests begin elsewhere.
    let start = std::process::id().wrapping_mul(512);
    wait_for("free ports", || {
        let offset = start.wrapping_add(GIVEN.fetch_add(count, Ordering::Relaxed)) % (PORTS - count);
        let first = u16::try_from(FIRST + offset).expect("below 32768");
        let is_free =
            |port| TcpListener::bind(("0.0.0.0", port)).is_ok() && TcpListener::bind(("::1", port)).is_ok();
        (first..).take(count as usize).all(is_free).then_some(first)
    })
}

/// The addresses of a port file for `kind` (`TCP INET: 11211`, `SHARD 1 INET6: 12001`), with the loopback host.
fn addresses_of(port_file: &str, kind: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let (family, port) = line.strip_prefix(kind)?.split_once(": ")?;
        let port = port.trim().parse::<u16>().ok()?;
        match family {
            " INET" => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            " INET6" => Some(SocketAddr::from((Ipv6Addr::LOCALHOST, port))),
            _ => None,
        }
    };
    port_file.lines().filter_map(address).collect()
}

/// One client connection.
pub struct Conn {
    socket: Socket,
}

impl Conn {
    /// Connects over TCP; `None` if nobody accepts.
    pub fn open_tcp(address: SocketAddr) -> Option<Conn> {
        let conn = Conn::open(Domain::for_address(address), &address.into())?;
        conn.socket.set_tcp_nodelay(true).expect("TCP_NODELAY");
        Some(conn)
    }

    /// Connects over TCP from an address of this side's choice; `None` if that is taken or nobody accepts.
    pub fn open_tcp_from(from: SocketAddr, to: SocketAddr) -> Option<Conn> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket.bind(&from.into()).ok()?;
        Conn::over(socket, &to.into())
    }

    /// Connects to a UNIX socket; `None` if nobody accepts.
    pub fn open_unix(path: &Path) -> Option<Conn> {
        Conn::open(Domain::UNIX, &SockAddr::unix(path).expect("short path"))
    }

    /// Connects over TCP with a receive buffer of about `bytes`; `None` if nobody accepts.
    fn open_with_window(address: SocketAddr, bytes: usize) -> Option<Conn> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("socket");
        socket.set_recv_buffer_size(bytes).expect("SO_RCVBUF");
        Conn::over(socket, &address.into())
    }

    fn open(domain: Domain, address: &SockAddr) -> Option<Conn> {
        Conn::over(Socket::new(domain, Type::STREAM, None).expect("socket"), address)
    }

    fn over(socket: Socket, address: &SockAddr) -> Option<Conn> {
        socket.connect(address).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("write timeout");
        Some(Conn { socket })
    }

    /// A second handle of the same connection, for a thread that writes while this one reads.
    pub fn another_handle(&self) -> Conn {
        Conn { socket: self.socket.try_clone().expect("duplicate socket") }
    }

    /// The address the server sees.
    pub fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().expect("local address").as_socket().expect("a TCP connection")
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).expect("send");
    }

    /// Sends as much of `bytes` as the socket takes without waiting.
    pub fn send_some(&mut self, bytes: &[u8]) {
        self.send_part(bytes);
    }

    /// The same; returns how much that was.
    pub fn send_part(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        self.socket.set_nonblocking(true).expect("nonblocking");
        while let Ok(sent @ 1..) = self.socket.write(&bytes[done..]) {
            done += sent;
        }
        self.socket.set_nonblocking(false).expect("blocking");
        done
    }

    /// Everything that has come, without waiting for more; and whether the server has not hung up.
    pub fn receive_what_is_there(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        self.socket.set_nonblocking(true).expect("nonblocking");
        let end = self.socket.read_to_end(&mut bytes);
        self.socket.set_nonblocking(false).expect("blocking");
        let is_open = end.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
        (bytes, is_open)
    }

    /// Resets the connection: what the server has sent and what it has not yet read is lost.
    pub fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// Says that nothing more will be sent; the receiving half stays open.
    pub fn shut_writing(&mut self) {
        self.socket.shutdown(std::net::Shutdown::Write).expect("shutdown(WR)");
    }

    /// Fills `out` completely.
    pub fn receive_exactly(&mut self, out: &mut [u8]) {
        self.socket.read_exact(out).expect("receive");
    }

    /// The next bytes must be `expected`; none after them is taken.
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut got = vec![0; expected.len()];
        let mut len = 0;
        while len < expected.len() {
            let end = self.read(&mut got[len..]);
            let received = *end.as_ref().unwrap_or(&0);
            let matches = got[len..len + received] == expected[len..len + received];
            len += received;
            if received == 0 || !matches {
                let why = if received > 0 { "other bytes".into() } else { format!("{end:?}") };
                panic!("answer: {why}\n want: {}\n  got: {}", shown(expected), shown(&got[..len]));
            }
        }
    }

    /// Sends `request` and expects exactly `answer`.
    pub fn ask(&mut self, request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.send(request);
        self.expect(answer);
    }

    /// The next line, without its CRLF.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            let got = self.read(&mut byte);
            assert!(matches!(got, Ok(1)), "line: {got:?} after {}", shown(&line));
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Sends `request` and returns the first line of its answer.
    pub fn ask_line(&mut self, request: &str) -> String {
        self.send(request);
        self.line()
    }

    /// Asks for `stats <arguments>` and returns names and values in the order sent.
    pub fn stats(&mut self, arguments: &str) -> Vec<(String, String)> {
        self.send(if arguments.is_empty() { "stats\r\n".into() } else { format!("stats {arguments}\r\n") });
        let mut stats = Vec::new();
        loop {
            let line = self.line();
            if line == "END" {
                return stats;
            }
            let fields = line.strip_prefix("STAT ").and_then(|rest| rest.split_once(' '));
            let (name, value) = fields.unwrap_or_else(|| panic!("stats {arguments}: line {line:?}"));
            stats.push((name.into(), value.into()));
        }
    }

    /// One value of the general `stats`.
    pub fn stat(&mut self, name: &str) -> u64 {
        let stats = self.stats("");
        let value = stats.iter().find(|(n, _)| n == name).map(|(_, v)| v.parse::<u64>());
        value.unwrap_or_else(|| panic!("no STAT {name}")).unwrap_or_else(|e| panic!("STAT {name}: {e}"))
    }

    /// The CAS unique of a stored key.
    pub fn cas_of(&mut self, key: &str) -> u64 {
        let line = self.ask_line(&format!("gets {key}\r\n"));
        let fields: Vec<_> = line.split(' ').collect();
        assert_eq!(fields.len(), 5, "gets {key}: {line:?}");
        let mut data = vec![0; fields[3].parse::<usize>().expect("length") + "\r\nEND\r\n".len()];
        self.receive_exactly(&mut data);
        fields[4].parse().expect("CAS unique")
    }

    /// The server must close, having sent nothing more.
    pub fn expect_closed(&mut self) {
        let mut rest = [0; 256];
        match self.read(&mut rest) {
            Ok(0) => {}
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
            Ok(len) => panic!("want a closed connection, got {}", shown(&rest[..len])),
            Err(e) => panic!("want a closed connection, got {e}"),
        }
    }

    /// Ends the conversation: quits and checks that no answer was left over.
    pub fn finish(mut self) {
        self.send("quit\r\n");
        self.expect_closed();
    }
}

impl Read for Conn {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.socket.read(out) {
                // With a timeout on the socket the kernel does not start the call again, even where nobody handles the signal.
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// Bytes for a message: escaped, the middle of long ones left out.
pub fn shown(bytes: &[u8]) -> String {
    const EDGE_BYTES: usize = 300;
    if bytes.len() <= 2 * EDGE_BYTES {
        return bytes.escape_ascii().to_string();
    }
    let (head, tail) = (&bytes[..EDGE_BYTES], &bytes[bytes.len() - EDGE_BYTES..]);
    format!("{} [... {} bytes in all ...] {}", head.escape_ascii(), bytes.len(), tail.escape_ascii())
}

/// Requests and the exact answers to them, in order, on one connection.
pub type Conversation<'a> = &'a [(&'a str, &'a str)];

/// Holds the conversation on a fresh server, once on each of `shards` + 1 connections open together, so that its
/// keys are met both at home and from other shards. The store is flushed in between.
pub fn converse(shards: u32, options: &[&str], conversation: Conversation<'_>) {
    let server = Server::start(shards, options);
    let connections: Vec<_> = (0..=shards).map(|_| server.connect()).collect();
    for mut conn in connections {
        for (request, answer) in conversation {
            conn.ask(request, answer);
        }
        conn.ask("flush_all\r\n", "OK\r\n");
        conn.finish();
    }
}
