//! `config get cluster`: what clients are told that look for servers as in ElastiCache.

use crate::harness::{Conn, Server, free_ports, server_command, wait_for};

on_counts! { every_shard_port_is_a_node on_1 1 on_2 2 on_4 4 }
on_counts! { without_shard_ports_there_is_one_node on_1 1 on_2 2 }
on_counts! { a_client_is_told_the_address_it_came_to on_1 1 on_2 2 }
on_counts! { the_key_of_older_clients on_1 1 on_2 2 }
on_counts! { it_waits_for_what_was_asked_before on_2 2 on_4 4 }
on_counts! { a_login_comes_first on_1 1 on_2 2 }
on_counts! { nobody_else_is_answered on_1 1 on_2 2 }

/// Version and nodes of an answer that begins with `head`.
fn nodes(conn: &mut Conn, request: &str, head: &str) -> (u64, Vec<String>) {
    let line = conn.ask_line(request);
    let len = line.strip_prefix(head).unwrap_or_else(|| panic!("{line}")).parse::<usize>().expect("a length");
    let mut payload = vec![0; len];
    conn.receive_exactly(&mut payload);
    conn.expect("\r\nEND\r\n");
    let payload = String::from_utf8(payload).expect("text");
    let lines: Vec<&str> = payload.split('\n').collect();
    assert!(lines.len() == 3 && lines[2].is_empty(), "{payload:?}");
    (lines[0].parse().expect("a version"), lines[1].split(' ').map(str::to_string).collect())
}

fn config(conn: &mut Conn) -> (u64, Vec<String>) {
    nodes(conn, "config get cluster\r\n", "CONFIG cluster 0 ")
}

fn entries(host: &str, ip: &str, first: u16, count: u32) -> Vec<String> {
    (first..).take(count as usize).map(|port| format!("{host}|{ip}|{port}")).collect()
}

fn every_shard_port_is_a_node(shards: u32) {
    let (first, threads) = (free_ports(shards), shards.to_string());
    let first_typed = first.to_string();
    let mut versions = Vec::new();
    for more in
        [["--partition", "isolated"], ["--partition", "crc32a"], ["--advertise", "localhost"], ["-p", "0"]]
    {
        let mut options = vec!["--shard-ports", &first_typed, "-l", "127.0.0.1", "-t", &threads];
        options.extend(more);
        if more[1] != "isolated" && more[0] != "-p" {
            options.extend(["-p", "-1"]);
        }
        let mut server = Server::listening(server_command(&options));
        let (version, found) = config(&mut server.connect());
        // localhost may be ::1 first.
        let ip = match more[0] {
            "--advertise" => found[0].split('|').nth(1).expect("three fields").to_string(),
            _ => "127.0.0.1".to_string(),
        };
        assert!(["127.0.0.1", "::1"].contains(&ip.as_str()), "{ip}");
        let host = if more[0] == "--advertise" { "localhost" } else { "127.0.0.1" };
        assert_eq!(found, entries(host, &ip, first, shards), "{more:?}");
        // On each port the same, as often as it is asked for.
        for shard in 0..shards {
            let mut conn = server.connect_to_shard(shard);
            assert_eq!(config(&mut conn), (version, found.clone()));
            assert_eq!(config(&mut conn), (version, found.clone()));
        }
        server.stop();
        versions.push(version);
    }
    assert!(versions.is_sorted() && versions[0] > 1_700_000_000, "{versions:?}");
    // A later start has a later version, from the next second on.
    wait_for("a higher version", || {
        let mut server = Server::start(shards, &["--shard-ports", &first_typed]);
        let (version, _) = config(&mut server.connect());
        server.stop();
        (version > versions[0]).then_some(())
    });
}

fn without_shard_ports_there_is_one_node(shards: u32) {
    let server = Server::start(shards, &[]);
    assert_eq!(config(&mut server.connect()).1, entries("127.0.0.1", "127.0.0.1", server.port(), 1));
    let server = Server::start(shards, &["--advertise", "192.0.2.7"]);
    assert_eq!(config(&mut server.connect()).1, entries("192.0.2.7", "192.0.2.7", server.port(), 1));
    // Who is known to the clients only is no reason not to start.
    let server = Server::start(shards, &["--advertise", "cache.invalid"]);
    assert_eq!(config(&mut server.connect()).1, entries("cache.invalid", "cache.invalid", server.port(), 1));
    let said = server.stderr();
    assert!(said.contains("warning: --advertise cache.invalid: cannot be resolved here"), "{said}");
}

fn a_client_is_told_the_address_it_came_to(shards: u32) {
    let threads = shards.to_string();
    let server = Server::listening(server_command(&["-p", "-1", "-t", &threads]));
    let port = server.port();
    for (address, ip) in [
        (format!("127.0.0.1:{port}"), "127.0.0.1"),
        (format!("127.9.8.7:{port}"), "127.9.8.7"),
        (format!("[::1]:{port}"), "::1"),
    ] {
        let mut conn =
            Conn::open_tcp(address.parse().expect("an address")).expect("every address is listened on");
        assert_eq!(config(&mut conn).1, entries(ip, ip, port, 1));
    }
}

fn the_key_of_older_clients(shards: u32) {
    const KEY: &str = "AmazonElastiCache:cluster";
    let server = Server::start_with_shard_ports(shards, &[]);
    let mut conn = server.connect();
    let request = format!("get {KEY}\r\n");
    let head = format!("VALUE {KEY} 0 ");
    let listed = config(&mut conn);
    assert_eq!(nodes(&mut conn, &request, &head), listed);
    // What is stored there does not matter, and can be had otherwise.
    conn.ask(format!("set {KEY} 0 0 1\r\nx\r\n"), "STORED\r\n");
    assert_eq!(nodes(&mut conn, &request, &head), listed);
    conn.ask(format!("mg {KEY} v\r\n"), "VA 1\r\nx\r\n");
    conn.ask(format!("get nothing {KEY}\r\n"), format!("VALUE {KEY} 0 1\r\nx\r\nEND\r\n"));
    // Without an option that asks for discovery it is a key as any other.
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask(&request, "END\r\n");
    conn.ask(
        format!("set {KEY} 0 0 1\r\nx\r\n{request}"),
        format!("STORED\r\nVALUE {KEY} 0 1\r\nx\r\nEND\r\n"),
    );
}

/// Answers come in request order, also when those before have to come from other shards.
fn it_waits_for_what_was_asked_before(shards: u32) {
    const ROUNDS: usize = 200;
    let server = Server::start_with_shard_ports(shards, &[]);
    let mut conn = server.connect();
    let request =
        "mg a v\r\nconfig get cluster\r\nmg b v\r\nget AmazonElastiCache:cluster\r\nmg c v\r\nmg d v\r\n";
    let mut sender = conn.another_handle();
    let sending = std::thread::spawn(move || sender.send(request.repeat(ROUNDS)));
    for _ in 0..ROUNDS {
        conn.expect("EN\r\n");
        assert_eq!(nodes(&mut conn, "", "CONFIG cluster 0 ").1.len(), shards as usize);
        conn.expect("EN\r\n");
        assert_eq!(nodes(&mut conn, "", "VALUE AmazonElastiCache:cluster 0 ").1.len(), shards as usize);
        conn.expect("EN\r\nEN\r\n");
    }
    sending.join().expect("sent");
    conn.finish();
}

fn a_login_comes_first(shards: u32) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let users = directory.path().join("users");
    std::fs::write(&users, "user:pass\n").expect("users");
    let server = Server::start_with_shard_ports(shards, &["-Y", users.to_str().expect("UTF-8")]);
    let mut conn = server.connect_to_shard(shards - 1);
    conn.ask("config get cluster\r\n", "CLIENT_ERROR unauthenticated\r\n");
    conn.ask("set a 0 0 9\r\nuser pass\r\n", "STORED\r\n");
    assert_eq!(config(&mut conn).1.len(), shards as usize);
}

/// On a UNIX socket there is no port to tell; a datagram does not say where it came to.
fn nobody_else_is_answered(shards: u32) {
    let threads = shards.to_string();
    let server = Server::on_unix_socket(&["-t", &threads]);
    server.connect().ask("config get cluster\r\n", "ERROR\r\n");
    let server = Server::start(shards, &["-U", "-1", "--advertise", "127.0.0.1"]);
    for request in ["config get cluster\r\n", "get AmazonElastiCache:cluster\r\n"] {
        crate::datagram::ask(&server.udp_socket(), 1, request, "ERROR\r\n");
    }
}
