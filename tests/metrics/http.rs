//! What the admin endpoint answers, and that whoever is slow, large or many takes little from it and nothing from the cache.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};

use super::{address, answer, connect, fetch, get, samples, scrape, server};
use crate::harness::{Conn, PATIENCE, Server, free_ports, server_command, wait_for};
use crate::process::run_command;
use crate::systemd::holding_shard;

on_shards! {
    every_path_is_answered
    scrapes_go_on_under_load
}

/// As in `operate::admin`: connections at a time, and the time a head may take.
const CONNECTIONS_MAX: usize = 8;
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The time an answer may take; both are looked at once a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(3);

/// Reads until the server closes; what came.
fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("{error} after {} bytes", bytes.len()),
    }
}

fn every_path_is_answered(shards: u32) {
    let server = server(shards, &[]);
    let metrics = fetch(&server, "/metrics");
    assert_eq!(
        (metrics.status, &*metrics.headers["content-type"]),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(samples(&metrics.body)["memcached_up"], 1.0);
    let shard_samples = metrics.body.matches("\nringcached_requests_total{").count();
    assert_eq!(shard_samples as u32, shards);
    for (path, status, words) in [
        ("/healthz", 200, "every shard turns\n"),
        ("/readyz", 200, "serves\n"),
        ("/readyz?verbose", 200, "serves\n"),
        ("/", 404, "there are /metrics, /healthz and /readyz\n"),
        ("/metrics/", 404, "there are /metrics, /healthz and /readyz\n"),
    ] {
        let answer = fetch(&server, path);
        assert_eq!((answer.status, answer.body.as_str()), (status, words), "{path}");
    }
    let mut socket = connect(address(&server));
    socket.write_all(b"HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
    let head = answer(&mut socket, false);
    assert_eq!(head.status, 200);
    assert!(head.headers["content-length"].parse::<usize>().expect("a length") > 10_000);
    assert!(rest(&mut socket).is_empty(), "nothing comes behind it, and the connection is not kept");
    let mut socket = connect(address(&server));
    socket.write_all(b"POST /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n").expect("sent");
    let refused = answer(&mut socket, true);
    assert_eq!((refused.status, &*refused.headers["allow"]), (405, "GET, HEAD"));
    let mut last = connect(address(&server));
    last.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("sent");
    assert!(rest(&mut last).ends_with(b"\r\n\r\nevery shard turns\n"), "HTTP/1.0: answered and closed");
}

#[test]
fn what_is_no_http_is_refused() {
    let server = server(1, &[]);
    let mut socket = connect(address(&server));
    socket.write_all(b"get a\r\n\r\n").expect("sent");
    let said = rest(&mut socket);
    assert!(said.starts_with(b"HTTP/1.1 400 "), "{}", said.escape_ascii());
    // And on the port of the cache there is no HTTP.
    let mut conn = server.connect();
    conn.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    conn.expect_closed();
}

#[test]
fn without_the_option_nothing_listens() {
    let server = Server::start(1, &[]);
    assert!(server.admin_addresses.is_empty());
    assert!(!server.stderr().contains("http:"), "{}", server.stderr());
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = server(1, &[]);
    for head in [
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(10_000)),
        format!("GET / HTTP/1.1\r\nLong: {}\r\n\r\n", "x".repeat(10_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100)),
    ] {
        let mut socket = connect(address(&server));
        socket.write_all(head.as_bytes()).expect("sent");
        let said = rest(&mut socket);
        let status = String::from_utf8_lossy(&said).get(9..12).map(str::to_string);
        assert!(matches!(status.as_deref(), Some("414" | "431")), "{}", said.escape_ascii());
    }
    assert_eq!(fetch(&server, "/healthz").status, 200);
}

/// A byte now and then is no reason to wait for ever, and neither is none at all.
#[test]
fn slow_heads_are_cut_off() {
    let server = server(1, &[]);
    let silent = connect(address(&server));
    let mut slow = connect(address(&server));
    slow.set_read_timeout(Some(Duration::from_millis(100))).expect("read timeout");
    let began = Instant::now();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: ".iter().chain(std::iter::repeat(&b'x')) {
        // The wait for an answer is what keeps the pace.
        let closed = slow.write_all(&[*byte]).is_err() || matches!(slow.read(&mut [0]), Ok(0));
        if closed {
            break;
        }
        assert!(began.elapsed() < HEAD_WITHIN + LATE, "a slow head is still waited for");
    }
    assert!(began.elapsed() >= HEAD_WITHIN - Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(rest(&mut { silent }).is_empty());
    assert!(began.elapsed() < HEAD_WITHIN + LATE);
}

/// Long texts that nobody takes are given up. (The harness holds the server to its budget.)
#[test]
fn who_does_not_read_holds_nobody_up() {
    let server = server(2, &["-f", "1.02", "-m", "256"]);
    let mut conn = server.connect();
    let mut len = 1_usize;
    while len < 400_000 {
        conn.ask(format!("set k{len} 0 0 {len}\r\n{}\r\n", "x".repeat(len)), "STORED\r\n");
        len += 1 + len / 60;
    }
    let text = scrape(&server);
    assert!(text.len() > 300_000, "{} bytes", text.len());
    let ask = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // Little is under way before the server has to wait.
        socket.set_recv_buffer_size(4096).expect("a small window");
        socket.connect(&address(&server).into()).expect("it listens");
        let mut socket = TcpStream::from(socket);
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
        socket
    };
    let began = Instant::now();
    let unread: Vec<TcpStream> = (0..CONNECTIONS_MAX + 2).map(ask).collect();
    assert_eq!(fetch(&server, "/healthz").status, 200);
    assert!(began.elapsed() < ANSWER_WITHIN + LATE, "beside {} others", unread.len());
}

/// So many connections are open at a time and no more; who waits has its turn when others are cut off.
#[test]
fn connections_are_bounded() {
    let server = server(1, &[]);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("its files").count();
    // The connection that saw the server start may be closing still.
    let mut control = server.connect();
    wait_for("nobody else", || (control.stat("curr_connections") == 1).then_some(()));
    let before = files();
    let idle: Vec<TcpStream> = (0..CONNECTIONS_MAX + 4).map(|_| connect(address(&server))).collect();
    wait_for("the first connections", || (files() == before + CONNECTIONS_MAX).then_some(()));
    let began = Instant::now();
    assert_eq!(fetch(&server, "/healthz").status, 200);
    assert!(began.elapsed() > Duration::from_secs(1), "it was served beside {} others", idle.len());
    assert!(files() <= before + CONNECTIONS_MAX, "{} files", files() - before);
    // The cache does not know of any of this.
    control.ask("get a\r\n", "END\r\n");
    drop(idle);
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..50).map(|_| scope.spawn(|| fetch(&server, "/metrics").status)).collect();
        visitors.into_iter().for_each(|visitor| assert_eq!(visitor.join().expect("a visitor"), 200));
    });
}

/// Requests are answered rightly while scrapes come one after the other, and scrapes while requests do.
fn scrapes_go_on_under_load(shards: u32) {
    const SCRAPES: usize = 20;
    let server = server(shards, &[]);
    let done = AtomicBool::new(false);
    let load = |n: usize| {
        let mut conn: Conn = server.connect();
        let mut rounds = 0_u64;
        while !done.load(Ordering::Relaxed) || rounds == 0 {
            conn.ask(format!("set k{n} 0 0 1\r\nx\r\n"), "STORED\r\n");
            conn.ask(
                format!("get k{n}\r\n").repeat(20),
                format!("VALUE k{n} 0 1\r\nx\r\nEND\r\n").repeat(20),
            );
            rounds += 1;
        }
        rounds
    };
    std::thread::scope(|scope| {
        let load = &load;
        let clients: Vec<_> = (0..4).map(|n| scope.spawn(move || load(n))).collect();
        let mut last = 0.0;
        for _ in 0..SCRAPES {
            let text = scrape(&server);
            let all = samples(&text);
            let requests: f64 = (0..shards)
                .map(|shard| all[&*format!("ringcached_requests_total{{shard=\"{shard}\"}}")])
                .sum();
            assert!(requests >= last, "{requests} after {last}");
            last = requests;
        }
        done.store(true, Ordering::Relaxed);
        let rounds: u64 = clients.into_iter().map(|client| client.join().expect("a client")).sum();
        let all = scrape(&server);
        let all = samples(&all);
        let of = |name: &str| -> f64 {
            (0..shards).map(|shard| all[&*format!("{name}{{shard=\"{shard}\"}}")]).sum()
        };
        assert_eq!(of("ringcached_requests_total"), 21.0 * rounds as f64);
        assert_eq!(of("ringcached_forwarded_requests_total"), of("ringcached_peer_requests_total"));
        assert!(of("ringcached_loop_busy_seconds_total") > 0.0);
        // The kernel divides them by where its ticks fell, which may be all on one side.
        let cpu_s =
            |mode: &str| all[&*format!("ringcached_cpu_seconds_total{{shard=\"0\",mode=\"{mode}\"}}")];
        assert!(cpu_s("user") + cpu_s("system") > 0.0);
        assert!(of("ringcached_loop_turns_total") > 0.0 && of("ringcached_ring_completions_total") > 0.0);
    });
}

/// Busy and parked time of an idle server: nearly all of it is parked, and together they are all there is.
#[test]
fn an_idle_loop_is_parked() {
    let server = server(2, &[]);
    let times = || {
        let text = scrape(&server);
        let all = samples(&text);
        let of =
            |name: &str| (all[&*format!("{name}{{shard=\"0\"}}")], all[&*format!("{name}{{shard=\"1\"}}")]);
        (of("ringcached_loop_busy_seconds_total"), of("ringcached_loop_parked_seconds_total"))
    };
    let before = Instant::now();
    let (busy, parked) = times();
    let began = Instant::now();
    let (later_busy, later_parked) =
        wait_for("a second to pass", || (began.elapsed() > Duration::from_secs(1)).then(times));
    let (busy_s, parked_s) = (later_busy.1 - busy.1, later_parked.1 - parked.1);
    assert!(busy_s + parked_s >= 1.0 && busy_s + parked_s < before.elapsed().as_secs_f64() + 0.1);
    assert!(parked_s > 0.5, "{parked_s} s of {:?} parked", began.elapsed());
}

/// One shard of two is held by a tracer: all three paths say so, and are well again when it is let go.
#[test]
fn a_shard_that_stands_still_is_named() {
    let server = server(2, &[]);
    assert_eq!(fetch(&server, "/healthz").status, 200);
    holding_shard(&server, 1, || {
        let health = fetch(&server, "/healthz");
        assert_eq!((health.status, health.body.as_str()), (503, "shards [1] have not turned for 800ms\n"));
        assert_eq!(fetch(&server, "/readyz").status, 503);
        let metrics = fetch(&server, "/metrics");
        assert_eq!(metrics.status, 503, "{}", metrics.body);
        assert!(metrics.body.contains("/healthz"), "{}", metrics.body);
    });
    wait_for("a shard that turns again", || {
        let paths = ["/healthz", "/readyz", "/metrics"];
        paths.iter().all(|path| fetch(&server, path).status == 200).then_some(())
    });
}

/// While a stopping server still waits for a client it is not ready, and open connections of operators do not hold it up.
#[test]
fn a_stopping_server_is_not_ready() {
    let mut server = server(2, &[]);
    let idle = connect(address(&server));
    let mut half = connect(address(&server));
    half.write_all(b"GET /metrics HT").expect("sent");
    assert_eq!(fetch(&server, "/readyz").status, 200);
    // A client whose answers wait to be sent is waited for.
    let mut stuck = server.connect();
    let value = "x".repeat(1_000_000);
    stuck.ask(format!("set v 0 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
    stuck.send("get v\r\n".repeat(100));
    wait_for("its requests", || (server.connect().stat("get_hits") > 0).then_some(()));
    server.signal(Signal::SIGTERM);
    let answer = wait_for("a server that is not ready", || {
        let answer = fetch(&server, "/readyz");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.body, "the server stops\n");
    assert!(server.wait_for_exit().success(), "{}", server.stderr());
    drop((idle, half, stuck));
}

/// With a UNIX socket for clients, and as another user.
#[test]
fn it_needs_no_privilege() {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).expect("anybody's");
    let path = directory.path().join("socket");
    let admin = SocketAddr::from(([127, 0, 0, 1], free_ports(1)));
    let words =
        ["-s", path.to_str().expect("UTF-8"), "-t", "2", "-u", "nobody", "--admin", &admin.to_string()];
    let server = Server::listening_on_path(server_command(&words), directory, path);
    assert_eq!(get(&mut connect(admin), "/readyz").status, 200);
    server.connect().ask("get a\r\n", "END\r\n");
}

/// On every family of the host, and refused where it cannot be.
#[test]
fn it_listens_where_it_is_told() {
    let command = server_command(&["-p", "-1", "-l", "127.0.0.1", "-t", "1", "--admin", "*:0"]);
    let server = Server::listening(command);
    assert!(!server.admin_addresses.is_empty());
    for address in &server.admin_addresses {
        assert_eq!(get(&mut connect(*address), "/healthz").status, 200, "{address}");
    }
    let taken = address(&server).to_string();
    let output = run_command(server_command(&["-p", "-1", "-l", "127.0.0.1", "--admin", &taken]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(71), "{text}");
    assert!(text.contains(&format!("cannot listen on {taken}")) && text.contains("--admin"), "{text}");
    let output = run_command(server_command(&["--admin", "nowhere.invalid:9150", "-p", "-1"]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("--admin `nowhere.invalid`: cannot be resolved"), "{text}");
}

/// A client that has sent its request and will send nothing more is answered.
#[test]
fn a_half_closed_client_is_answered() {
    let server = server(1, &[]);
    let mut socket = connect(address(&server));
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("sent");
    let answer = answer(&mut socket, true);
    assert_eq!(answer.status, 200);
    socket.shutdown(Shutdown::Write).expect("half closed");
    assert!(rest(&mut socket).is_empty());
    assert!(PATIENCE > HEAD_WITHIN + LATE, "the tests above wait long enough");
}
