//! The process: what is typed, where it listens, how it ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{Conn, PATIENCE, Server, free_ports, server_command, wait_for};

on_shards! {
    sigterm_answers_what_has_arrived
    sigterm_with_idle_and_stuck_clients
    sigint_and_sigusr1_stop
    sighup_does_not
    shutdown_command
    several_addresses
}

/// Runs the server to its end, which must come by itself.
pub fn run(options: &[&str]) -> Output {
    run_command(server_command(options))
}

/// The same for a command that becomes the server.
pub fn run_command(mut command: Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let deadline = std::time::Instant::now() + PATIENCE;
    while child.try_wait().expect("wait for our own child").is_none() {
        if std::time::Instant::now() > deadline {
            child.kill().expect("kill our own child");
            panic!("{command:?} still runs after {PATIENCE:?}, want an exit at once");
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.wait_with_output().expect("output")
}

fn sigterm_answers_what_has_arrived(shards: u32) {
    const REQUESTS: usize = 50;
    let mut server = Server::start(shards, &[]);
    let mut clients: Vec<Conn> = (0..4).map(|_| server.connect()).collect();
    for (i, conn) in clients.iter_mut().enumerate() {
        conn.ask(format!("set k{i} 0 0 1\r\n0\r\n"), "STORED\r\n");
    }
    // On loopback the bytes are in the server's socket when `send` returns.
    for conn in &mut clients {
        conn.send("incr k0 1\r\nget nothing\r\n".repeat(REQUESTS));
    }
    server.stop();
    for conn in &mut clients {
        for _ in 0..REQUESTS {
            conn.line().parse::<u64>().expect("a counter");
            conn.expect("END\r\n");
        }
        conn.expect_closed();
    }
}

/// Nobody who waits, sends half a request or does not read holds the end up.
fn sigterm_with_idle_and_stuck_clients(shards: u32) {
    let mut server = Server::start(shards, &[]);
    let (mut idle, mut half, mut stuck) = (server.connect(), server.connect(), server.connect());
    half.send("set a 0 0 1000\r\nxyz");
    stuck.ask(format!("set v 0 0 1000000\r\n{}\r\n", "v".repeat(1_000_000)), "STORED\r\n");
    stuck.send("get v\r\n".repeat(100));
    idle.ask("get v-not\r\n", "END\r\n");
    server.stop();
    idle.expect_closed();
}

fn sigint_and_sigusr1_stop(shards: u32) {
    for signal in [Signal::SIGINT, Signal::SIGUSR1] {
        let mut server = Server::start(shards, &[]);
        server.signal(signal);
        let status = server.wait_for_exit();
        assert!(status.success(), "{signal}: {status}, want exit code 0");
    }
}

fn sighup_does_not(shards: u32) {
    let mut server = Server::start(shards, &[]);
    server.connect().ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    server.signal(Signal::SIGHUP);
    for _ in 0..20 {
        server.connect().ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    }
    server.check_alive();
}

fn shutdown_command(shards: u32) {
    for request in ["shutdown\r\n", "shutdown graceful\r\n"] {
        let mut server = Server::start(shards, &["-A"]);
        let mut conn = server.connect();
        conn.ask("shutdown now\r\n", "CLIENT_ERROR invalid shutdown mode\r\n");
        conn.ask("get a\r\n", "END\r\n");
        conn.send(request);
        conn.expect_closed();
        let status = server.wait_for_exit();
        assert!(status.success(), "{request:?}: {status}, want exit code 0");
    }
}

fn several_addresses(shards: u32) {
    let shards = shards.to_string();
    let list = ["-p", "-1", "-t", &shards, "-l", "127.0.0.1,127.0.0.2", "-l", "[::1]"];
    let server = Server::listening(server_command(&list));
    let port = |i: usize| server.addresses[i].port();
    assert_eq!(server.addresses.len(), 3, "one line of the port file an address: {:?}", server.addresses);
    let at = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port(0))),
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port(1))),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port(2))),
    ];
    let mut connections: Vec<Conn> = at
        .iter()
        .map(|address| Conn::open_tcp(*address).unwrap_or_else(|| panic!("nobody listens on {address}")))
        .collect();
    connections[0].ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    for conn in &mut connections {
        conn.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    }
    // And nowhere else.
    let elsewhere = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), port(0)));
    assert!(Conn::open_tcp(elsewhere).is_none(), "{elsewhere} is not in -l");
}

#[test]
fn a_port_can_be_taken_again_at_once() {
    let port = free_ports(1).to_string();
    let start = || Server::listening(server_command(&["-p", &port, "-l", "127.0.0.1", "-t", "2"]));
    let mut server = start();
    let mut client = server.connect();
    client.ask("get a\r\n", "END\r\n");
    server.stop();
    let again = start();
    assert_eq!(again.port().to_string(), port);
    again.connect().ask("get a\r\n", "END\r\n");
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let taken = TcpListener::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0)).expect("a free port");
    let port = taken.local_addr().expect("address").port().to_string();
    let output = run(&["-p", &port, "-l", "127.0.0.1", "-t", "2"]);
    assert_ne!(output.status.code(), Some(0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("Address already in use") || stderr.contains(&port), "{stderr}");
}

#[test]
fn unix_socket_and_its_mode() {
    for (options, mode) in [(&["-t", "2"][..], 0o700), (&["-t", "2", "-a", "766", "-p", "0"], 0o766)] {
        let mut server = Server::on_unix_socket(options);
        let permissions = std::fs::metadata(server.unix_socket()).expect("the socket").permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{options:?}");
        let (mut first, mut second) = (server.connect(), server.connect());
        first.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
        second.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
        first.finish();
        server.stop();
    }
}

#[test]
fn a_stale_unix_socket_is_replaced() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    let command = server_command(&["-t", "1", "-s", path.to_str().expect("UTF-8")]);
    Server::listening_on_path(command, directory, path).connect().ask("get a\r\n", "END\r\n");
}

#[test]
fn pid_file() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("pid");
    let server = Server::start(1, &["-P", path.to_str().expect("UTF-8")]);
    let written =
        wait_for("the pid file", || std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n')));
    assert_eq!(written, format!("{}\n", server.pid()));
}

/// Ends a process that is not a child of ours when the test is over, whatever its outcome.
struct Stray(nix::unistd::Pid);

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.0, Signal::SIGKILL);
    }
}

/// `-d`: the command returns, the server stays, and its pid file says where.
#[test]
fn daemon() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (socket, pid_file) = (path("socket"), path("pid"));
    let output = run(&["-d", "-t", "2", "-s", &socket, "-P", &pid_file]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let pid: i32 = wait_for("the pid file", || std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok());
    let stray = Stray(nix::unistd::Pid::from_raw(pid));
    let mut conn = wait_for("the daemon", || Conn::open_unix(socket.as_ref()));
    conn.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    conn.finish();
    nix::sys::signal::kill(stray.0, Signal::SIGTERM).expect("signal to our own daemon");
    // A zombie of a container without an init still has its folder, but no memory map.
    let ended = || std::fs::read_to_string(format!("/proc/{pid}/maps")).map_or(true, |maps| maps.is_empty());
    wait_for("the daemon to end", || ended().then_some(()));
    // The number may belong to somebody else from now on.
    std::mem::forget(stray);
    assert!(!std::path::Path::new(&pid_file).exists(), "a daemon removes its pid file");
}

#[test]
fn version_and_help() {
    for option in ["-V", "--version"] {
        let output = run(&[option]);
        assert_eq!(output.status.code(), Some(0), "{option}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.len() == 2 && text.lines().count() == 1, "{option}: {text:?}");
    }
    for option in ["-h", "--help"] {
        let output = run(&[option]);
        assert_eq!(output.status.code(), Some(0), "{option}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for long in
            ["port", "listen", "memory-limit", "conn-limit", "threads", "max-item-size", "unix-socket"]
        {
            assert!(text.contains(&format!("--{long}")), "{option} does not mention --{long}");
        }
    }
}

#[test]
fn spellings_of_options() {
    let spellings: [&[&str]; 6] = [
        &["-m", "100"],
        &["-m100"],
        &["--memory-limit=100"],
        &["--memory-limit", "100"],
        &["-m", " 100"],
        &["-vv", "-m", "100", "-o", "hashpower=20,no_lru_crawler", "-o", "idle_timeout=0"],
    ];
    for options in spellings {
        let server = Server::start(1, options);
        assert_eq!(server.connect().stat("limit_maxbytes"), 100 << 20, "{options:?}");
    }
}

/// What cannot be meant is refused: exit code 1 or 64, and a sentence that names the option (or its -o word).
#[test]
fn wrong_options_are_refused_by_name() {
    let cases: [(&[&str], &str); 15] = [
        (&["-t", "abc"], "-t"),
        (&["-t", "0"], "-t"),
        (&["-p", "99999"], "-p"),
        (&["-p", "x"], "-p"),
        (&["-m", "x"], "-m"),
        (&["-c", "0"], "-c"),
        (&["-R", "0"], "-R"),
        (&["-f", "0.5"], "-f"),
        (&["-I", "5"], "-I"),
        (&["-I", "2g"], "-I"),
        (&["-m", "64", "-I", "60m"], "-I"),
        (&["-o", "nonsense"], "nonsense"),
        (&["-o", "idle_timeout=x"], "idle_timeout"),
        (&["--nonsense"], "nonsense"),
        (&["-l", "no.such.host.invalid"], "no.such.host.invalid"),
    ];
    for (options, named) in cases {
        let output = run(options);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 64 | 71)), "{options:?}: {}", output.status);
        assert!(stderr.contains(named), "{options:?} is refused without naming {named}: {stderr}");
        assert!(!stderr.contains("panicked"), "{options:?}: {stderr}");
    }
    let output = run(&["-o", "nonsense"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Illegal suboption \"nonsense\""));
}
