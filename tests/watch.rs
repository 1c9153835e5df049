//! `watch`: the lines that memcached writes, to everybody who wants them, at no cost to anybody else.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::harness::{Conn, Server, wait_for};

on_shards! {
    fetchers_see_every_request_on_a_key
    mutations_see_every_store
    deletions_see_what_was_deleted
    evictions_see_what_left
    connevents_see_connections_come_and_go
    everyone_gets_what_they_asked_for
    lines_come_from_every_shard
    a_watcher_only_watches
    watchers_are_limited_and_leave
    a_watcher_that_does_not_read_slows_nobody
    a_watcher_is_not_idle
    a_stop_ends_watchers
}

/// A connection that has become a watcher of `kinds`.
fn watcher(server: &Server, kinds: &str) -> Conn {
    let mut conn = server.connect();
    conn.ask(format!("watch {kinds}\r\n"), "OK\r\n");
    conn
}

/// The next line of a watcher, without its LF.
fn next_line(conn: &mut Conn) -> String {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        conn.receive_exactly(&mut byte);
        if byte == *b"\n" {
            return String::from_utf8(line).expect("text");
        }
        line.push(byte[0]);
    }
}

/// The next line as a pattern: digits that differ from run to run become `N`; time and number must be there.
fn next_event(conn: &mut Conn) -> String {
    let line = next_line(conn);
    let mut words = line.split(' ');
    let stamp = words.next().and_then(|word| word.strip_prefix("ts=")).and_then(|word| word.split_once('.'));
    let (seconds, micros) = stamp.unwrap_or_else(|| panic!("no time in {line:?}"));
    assert!(seconds.len() == 10 && micros.parse::<u32>().is_ok_and(|n| n < 1_000_000), "{line:?}");
    let gid = words.next().and_then(|word| word.strip_prefix("gid=")).map(str::parse::<u64>);
    assert!(matches!(gid, Some(Ok(1..))), "no number in {line:?}");
    let masked = |word: &str| match word.split_once('=') {
        Some((name @ ("clsid" | "cfd" | "rport"), number)) => match number.parse() {
            Ok(1u32..) => format!("{name}=N"),
            _ => word.to_string(),
        },
        _ => word.to_string(),
    };
    words.map(masked).collect::<Vec<_>>().join(" ")
}

/// Asks and expects these lines, in order.
fn expect_events(watcher: &mut Conn, events: &[&str]) {
    for event in events {
        assert_eq!(next_event(watcher), *event);
    }
}

/// As one word of text protocol: `set` with its data.
fn set(key: &str, value: &str) -> String {
    format!("set {key} 0 0 {}\r\n{value}\r\n", value.len())
}

fn fetchers_see_every_request_on_a_key(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut watch = watcher(&server, "");
    let mut conn = server.connect();
    let missed = |key: &str| format!("type=item_get key={key} status=not_found clsid=0 cfd=N size=0");
    let found = |size: usize| format!("type=item_get key=a status=found clsid=N cfd=N size={size}");
    conn.ask("get none\r\n", "END\r\n");
    expect_events(&mut watch, &[&missed("none")]);
    conn.ask("get \x01/a%b~c\r\n", "END\r\n");
    expect_events(&mut watch, &[&missed("%01%2Fa%25b~c")]);
    conn.ask(set("a", "12"), "STORED\r\n");
    expect_events(&mut watch, &[&missed("a")]);
    for (request, answer, size) in [
        ("get a\r\n", "VALUE a 0 2\r\n12\r\nEND\r\n", 2),
        ("gat 0 a\r\n", "VALUE a 0 2\r\n12\r\nEND\r\n", 2),
        ("touch a 0\r\n", "TOUCHED\r\n", 2),
        ("incr a 88\r\n", "100\r\n", 2),
        ("mg a v\r\n", "VA 3\r\n100\r\n", 3),
        ("ma a\r\n", "HD\r\n", 3),
        ("ms a 2\r\n12\r\n", "HD\r\n", 3),
        ("add a 0 0 1\r\n1\r\n", "NOT_STORED\r\n", 2),
        ("md a C1000000\r\n", "EX\r\n", 2),
        ("delete a\r\n", "DELETED\r\n", 2),
    ] {
        conn.ask(request, answer);
        assert_eq!(next_event(&mut watch), found(size), "{request:?}");
    }
    let large = "x".repeat(100_000);
    conn.ask(set("a", &large), "STORED\r\n");
    let line = next_event(&mut watch);
    assert!(line.starts_with("type=item_get key=a status=not_found clsid=0 cfd="), "{line}");
    conn.send("get a\r\n");
    conn.expect(format!("VALUE a 0 100000\r\n{large}\r\nEND\r\n"));
    expect_events(&mut watch, &[&found(100_000)]);
}

fn mutations_see_every_store(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut watch = watcher(&server, "mutations");
    let mut conn = server.connect();
    for (request, answer, event) in [
        ("set a 0 0 1\r\nx\r\n", "STORED\r\n", "status=stored cmd=set ttl=0 clsid=N cfd=N size=1"),
        ("append a 0 0 2\r\nyz\r\n", "STORED\r\n", "status=stored cmd=append ttl=0 clsid=N cfd=N size=3"),
        ("prepend a 0 0 1\r\nw\r\n", "STORED\r\n", "status=stored cmd=prepend ttl=0 clsid=N cfd=N size=4"),
        ("replace a 0 0 1\r\nx\r\n", "STORED\r\n", "status=stored cmd=replace ttl=0 clsid=N cfd=N size=1"),
        ("ms a 2 MR\r\nhi\r\n", "HD\r\n", "status=stored cmd=replace ttl=0 clsid=N cfd=N size=2"),
    ] {
        conn.ask(request, answer);
        assert_eq!(next_event(&mut watch), format!("type=item_store key=a {event}"), "{request:?}");
    }
    // What was not stored has no class here.
    for (request, answer, event) in [
        ("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n", "key=a status=not_stored cmd=add"),
        ("replace b 0 0 1\r\nx\r\n", "NOT_STORED\r\n", "key=b status=not_stored cmd=replace"),
        ("append b 0 0 1\r\nx\r\n", "NOT_STORED\r\n", "key=b status=not_stored cmd=append"),
        ("cas a 0 0 1 999999\r\nx\r\n", "EXISTS\r\n", "key=a status=exists cmd=cas"),
        ("cas b 0 0 1 999999\r\nx\r\n", "NOT_FOUND\r\n", "key=b status=not_found cmd=cas"),
        ("ms a 1 C999999\r\nx\r\n", "EX\r\n", "key=a status=exists cmd=cas"),
    ] {
        conn.ask(request, answer);
        let line = next_event(&mut watch);
        let (start, end) = line.split_once(" ttl=").expect("a time to live");
        assert_eq!(start, format!("type=item_store {event}"), "{request:?}");
        assert!(end.starts_with("0 clsid=") && end.ends_with(" size=1"), "{line}");
    }
    let large = "x".repeat(2_000_000);
    conn.ask(set("c", &large), "SERVER_ERROR object too large for cache\r\n");
    let line = next_event(&mut watch);
    assert!(line.starts_with("type=item_store key=c status=too_large cmd=set ttl=0 clsid="), "{line}");
    conn.ask("ma d N0 J7\r\n", "HD\r\n");
    expect_events(&mut watch, &["type=item_store key=d status=stored cmd=add ttl=0 clsid=N cfd=N size=1"]);
    conn.ask("set e 0 100 1\r\nx\r\n", "STORED\r\n");
    let line = next_event(&mut watch);
    let ttl = line.split(" ttl=").nth(1).and_then(|rest| rest.split(' ').next()).map(str::parse::<u32>);
    assert!(matches!(ttl, Some(Ok(99..=101))), "{line}");
    conn.ask("get a\r\n", "VALUE a 0 2\r\nhi\r\nEND\r\n");
    conn.ask("set last 0 0 0\r\n\r\n", "STORED\r\n");
    expect_events(&mut watch, &["type=item_store key=last status=stored cmd=set ttl=0 clsid=N cfd=N size=0"]);
}

fn deletions_see_what_was_deleted(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut watch = watcher(&server, "deletions");
    let mut conn = server.connect();
    conn.ask(set("a", "123"), "STORED\r\n");
    conn.ask("delete none\r\n", "NOT_FOUND\r\n");
    conn.ask("md a C1000000\r\n", "EX\r\n");
    conn.ask("md a I\r\n", "HD\r\n");
    conn.ask("delete a\r\n", "DELETED\r\n");
    conn.ask(set("b", "1234"), "STORED\r\n");
    conn.ask("md b q\r\nmn\r\n", "MN\r\n");
    let mut events = [next_event(&mut watch), next_event(&mut watch)];
    events.sort(); // two shards may have done it
    assert_eq!(
        events,
        ["type=deleted key=a cmd=delete clsid=N size=3", "type=deleted key=b cmd=md clsid=N size=4",]
    );
}

fn evictions_see_what_left(shards: u32) {
    let server = Server::start(shards, &["-m", "8"]);
    let mut watch = watcher(&server, "evictions");
    let mut conn = server.connect();
    let value = "v".repeat(1000);
    for round in 0..200 {
        let batch: String =
            (0..100).map(|i| format!("set k{round}.{i} 0 1000 1000 noreply\r\n{value}\r\n")).collect();
        conn.send(batch);
    }
    conn.ask("mn\r\n", "MN\r\n");
    let line = next_event(&mut watch);
    assert!(line.starts_with("type=eviction key=k") && line.ends_with(" clsid=N size=1000"), "{line}");
    assert!(line.contains(" fetch=no ttl=") && line.contains(" la="), "{line}");
    let evictions = conn.stat("evictions");
    let counted = conn.stat("log_worker_written") + conn.stat("log_worker_dropped");
    assert_eq!(counted, evictions, "each is written or dropped, and counted");
}

fn connevents_see_connections_come_and_go(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=1"]);
    let mut watch = watcher(&server, "connevents");
    // The end of a connection from before may still be told of: look at one port.
    let mut event_of = |port: u16| {
        let needle = format!(" rport={port} ");
        loop {
            let line = next_line(&mut watch);
            if let Some((_, event)) = line.split_once(" type=").filter(|_| line.contains(&needle)) {
                return event.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
            }
        }
    };
    let port_of = |conn: &Conn| conn.local_address().port();
    let opened = |port| format!("conn_new rip=127.0.0.1 rport={port} transport=tcp cfd=");
    let closed = |port, reason: &str| {
        format!("conn_close rip=127.0.0.1 rport={port} transport=tcp reason={reason} cfd=")
    };
    let mut conn = server.connect();
    let port = port_of(&conn);
    assert_eq!(event_of(port), opened(port));
    conn.ask("mn\r\n", "MN\r\n");
    conn.finish();
    assert_eq!(event_of(port), closed(port, "normal"));
    let conn = server.connect();
    let port = port_of(&conn);
    drop(conn);
    assert_eq!((event_of(port), event_of(port)), (opened(port), closed(port, "normal")));
    let mut idle = server.connect();
    let port = port_of(&idle);
    assert_eq!((event_of(port), event_of(port)), (opened(port), closed(port, "idle_timeout")));
    idle.expect_closed();
    let unix = Server::on_unix_socket(&[]);
    let mut watch = watcher(&unix, "connevents");
    drop(unix.connect());
    while next_event(&mut watch) != "type=conn_new rip=unix rport=0 transport=local cfd=N" {}
    assert_eq!(
        next_event(&mut watch),
        "type=conn_close rip=unix rport=0 transport=local reason=normal cfd=N"
    );
}

fn everyone_gets_what_they_asked_for(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut fetchers = watcher(&server, "fetchers fetchers");
    let mut mutations = watcher(&server, "mutations proxyreqs rawcmds");
    let mut both = watcher(&server, "mutations fetchers");
    let mut neither = watcher(&server, "proxyreqs proxyevents proxyuser rawcmds sysevents");
    let mut conn = server.connect();
    conn.ask(set("a", "1"), "STORED\r\n");
    let fetched = "type=item_get key=a status=not_found clsid=0 cfd=N size=0";
    let stored = "type=item_store key=a status=stored cmd=set ttl=0 clsid=N cfd=N size=1";
    expect_events(&mut fetchers, &[fetched]);
    expect_events(&mut mutations, &[stored]);
    expect_events(&mut both, &[fetched, stored]);
    conn.ask(set("b", "1"), "STORED\r\n");
    expect_events(&mut fetchers, &["type=item_get key=b status=not_found clsid=0 cfd=N size=0"]);
    neither.shut_writing();
    neither.expect_closed();
}

fn lines_come_from_every_shard(shards: u32) {
    const KEYS: usize = 200;
    let server = Server::start(shards, &[]);
    let mut watch = watcher(&server, "fetchers");
    let mut numbers = Vec::new();
    for prefix in ["p", "q", "r"] {
        let mut conn = server.connect();
        for i in 0..KEYS {
            conn.ask(format!("get {prefix}{i}\r\n"), "END\r\n");
        }
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..KEYS {
            let line = next_line(&mut watch);
            let word = |at: usize| line.split(' ').nth(at).and_then(|word| word.split_once('='));
            keys.push(word(3).expect("a key").1.to_string());
            numbers.push(word(1).expect("a number").1.parse::<usize>().expect("a number"));
        }
        keys.sort();
        let mut want: Vec<String> = (0..KEYS).map(|i| format!("{prefix}{i}")).collect();
        want.sort();
        assert_eq!(keys, want);
    }
    numbers.sort();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "each line has its own number");
    let mut conn = server.connect();
    assert_eq!(conn.stat("log_worker_written"), 3 * KEYS as u64);
    assert_eq!(conn.stat("log_watcher_sent"), 3 * KEYS as u64);
}

fn a_watcher_only_watches(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask("watch nonsense\r\n", "ERROR\r\n");
    conn.ask("watch fetchers nonsense\r\n", "ERROR\r\n");
    let refused = "ERROR cannot pipeline other commands before watch\r\n";
    conn.ask("version\r\nwatch\r\n", format!("VERSION 1.6.45\r\n{refused}"));
    conn.ask("get a\r\nwatch\r\n", format!("END\r\n{refused}"));
    conn.ask("watch fetchers\r\nget ignored\r\n", "OK\r\n");
    conn.send("quit\r\n".repeat(10_000));
    let mut other = server.connect();
    other.ask("get seen\r\n", "END\r\n");
    assert_eq!(next_event(&mut conn), "type=item_get key=seen status=not_found clsid=0 cfd=N size=0");
    let states = other.stats("conns");
    assert!(states.iter().any(|(name, value)| name.ends_with(":state") && value == "conn_watch"));
    let not_allowed = Server::start(shards, &["-W"]);
    not_allowed.connect().ask("watch\r\n", "CLIENT_ERROR watch commands not allowed\r\n");
}

fn watchers_are_limited_and_leave(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut watchers: Vec<Conn> = (0..20).map(|_| watcher(&server, "fetchers")).collect();
    let mut conn = server.connect();
    assert_eq!(conn.stat("log_watchers"), 20);
    conn.ask("watch\r\n", "WATCHER_TOO_MANY log watcher limit reached\r\n");
    watchers.truncate(5);
    wait_for("the others to leave", || (conn.stat("log_watchers") == 5).then_some(()));
    watchers.push(watcher(&server, "fetchers"));
    conn.ask("get a\r\n", "END\r\n");
    for watch in &mut watchers {
        assert_eq!(next_event(watch), "type=item_get key=a status=not_found clsid=0 cfd=N size=0");
    }
    watchers.clear();
    wait_for("all to leave", || (conn.stat("log_watchers") == 0).then_some(()));
    let written = conn.stat("log_worker_written");
    conn.ask("get a\r\n", "END\r\n");
    assert_eq!(conn.stat("log_worker_written"), written, "nothing is written for nobody");
}

fn a_watcher_that_does_not_read_slows_nobody(shards: u32) {
    let server = Server::start(shards, &["-o", "watcher_logbuf_size=16"]);
    let mut slow = watcher(&server, "fetchers");
    let mut conn = server.connect();
    let key = "k".repeat(240);
    let (request, answer) = (format!("get{}\r\n", format!(" {key}").repeat(20)), "END\r\n");
    let resident_before = server.resident_bytes();
    let began = Instant::now();
    let mut requests = 0;
    // Sockets hold megabytes before the server's own buffer fills.
    while conn.stat("log_watcher_skipped") == 0 {
        for _ in 0..200 {
            conn.ask(&request, answer);
        }
        requests += 200;
        assert!(began.elapsed() < Duration::from_secs(60), "nothing skipped after {requests} requests");
    }
    let grown = server.resident_bytes().saturating_sub(resident_before);
    assert!(grown < 8 << 20, "{grown} bytes more for a reader that does not read");
    // It reads at last: what was kept, and how much is missing in between and behind it.
    let (mut lines, mut missing) = (0, 0);
    let mut read_on = |slow: &mut Conn| {
        let line = next_line(slow);
        match line.strip_prefix("skipped=") {
            Some(number) => missing += number.parse::<u64>().expect("a number"),
            None => lines += 1,
        }
        (lines, missing, line)
    };
    let sent = conn.stat("log_watcher_sent");
    while read_on(&mut slow).0 < sent {}
    conn.ask("get last\r\n", "END\r\n");
    let (lines, missing) = loop {
        let (lines, missing, line) = read_on(&mut slow);
        if line.contains(" key=last ") {
            break (lines, missing);
        }
    };
    let counted = (conn.stat("log_watcher_sent"), conn.stat("log_watcher_skipped"));
    assert_eq!((lines, missing), counted);
    assert!(missing > 0);
}

fn a_watcher_is_not_idle(shards: u32) {
    let server = Server::start(shards, &["-o", "idle_timeout=1"]);
    let mut watch = watcher(&server, "fetchers");
    let mut idle = server.connect();
    idle.expect_closed(); // much longer than the watcher has to
    let mut conn = server.connect();
    assert_eq!(conn.stat("log_watchers"), 1);
    conn.ask("get a\r\n", "END\r\n");
    assert_eq!(next_event(&mut watch), "type=item_get key=a status=not_found clsid=0 cfd=N size=0");
}

fn a_stop_ends_watchers(shards: u32) {
    let mut server = Server::start(shards, &[]);
    let mut watch = watcher(&server, "fetchers connevents");
    server.stop();
    let mut rest = Vec::new();
    watch.read_to_end(&mut rest).expect("the end, not a timeout");
}
