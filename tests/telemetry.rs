//! `stats latency`, `slowlog`, `hotkeys` and `bigkeys`: what is slow, hot and big. At the small loads of these tests every
//! request is looked at, so counts are exact.

use crate::binary::client::{Client, request};
use crate::datagram;
use crate::harness::{Conn, PATIENCE, Server, another_server_lacks, shown, wait_for};
use ringcached::protocol::binary::Status;
use ringcached::protocol::binary::opcode::{GET, STAT};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

on_shards! {
    latency_is_told_by_class
    latency_is_forgotten_by_a_reset
    slow_requests_are_listed_with_key_and_client
    what_makes_room_for_a_large_value_is_slow
    a_refused_value_counts
    nothing_is_slow_unless_asked_for
    hot_keys_come_first_with_their_rates
    big_keys_are_found_and_forgotten
    arguments_are_checked
    who_may_not_list_keys_may_not_list_these
}

on_1_and_2_shards! { searches_keep_nobody_waiting }

/// A report by the words behind `stats`.
fn report(conn: &mut Conn, words: &str) -> BTreeMap<String, String> {
    conn.stats(words).into_iter().collect()
}

/// A list of rows `n:name value`, by row and name; what stands before the rows is not in it.
fn rows(conn: &mut Conn, words: &str) -> Vec<BTreeMap<String, String>> {
    let mut rows: Vec<BTreeMap<String, String>> = Vec::new();
    for (name, value) in conn.stats(words) {
        let Some((row, name)) = name.split_once(':') else { continue };
        let row: usize = row.parse().expect("the number of a row");
        assert!(row == rows.len() || row + 1 == rows.len(), "rows in order");
        if row == rows.len() {
            rows.push(BTreeMap::new());
        }
        rows[row].insert(name.into(), value);
    }
    rows
}

fn keys(rows: &[BTreeMap<String, String>]) -> Vec<&str> {
    rows.iter().map(|row| row["key"].as_str()).collect()
}

/// A few requests of each class.
fn some_of_each(server: &Server) {
    let mut conn = server.connect();
    conn.ask(
        "set a 0 0 1\r\n1\r\nadd b 0 0 1\r\n1\r\nappend a 0 0 1\r\n1\r\n",
        "STORED\r\nSTORED\r\nSTORED\r\n",
    );
    conn.ask("get a b c\r\n", "VALUE a 0 2\r\n11\r\nVALUE b 0 1\r\n1\r\nEND\r\n");
    conn.ask("gat 0 a\r\ntouch a 0\r\n", "VALUE a 0 2\r\n11\r\nEND\r\nTOUCHED\r\n");
    conn.ask("incr a 1\r\ndecr b 1\r\ndelete c\r\n", "12\r\n0\r\nNOT_FOUND\r\n");
    conn.ask("mg a v\r\nms d 1\r\nx\r\nma b\r\nmd d\r\n", "VA 2\r\n12\r\nHD\r\nHD\r\nHD\r\n");
    let large = vec![b'x'; 100_000];
    conn.send(b"set e 0 0 100000\r\n");
    conn.send(&large);
    conn.ask("\r\n", "STORED\r\n");
    conn.finish();
    Client::new(server).ask(request(GET, b"", b"b", b"", 0)).is(Status::Ok, &[0; 4], b"", b"1");
}

fn latency_is_told_by_class(shards: u32) {
    if another_server_lacks("stats latency") {
        return;
    }
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    assert!(report(&mut conn, "latency").is_empty());
    some_of_each(&server);
    let stats = report(&mut conn, "latency");
    let counts: Vec<_> = stats.iter().filter(|(name, _)| name.ends_with(":count")).collect();
    let counts: Vec<_> = counts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let want = "arith:count 2,delete:count 1,gat:count 1,get:count 4,ma:count 1,md:count 1,mg:count 1,ms:count 1,\
                set:count 4,touch:count 1";
    assert_eq!(counts.join(","), want);
    for class in ["get", "set", "arith"] {
        let us = |name: &str| stats[&format!("{class}:{name}_us")].parse::<f64>().expect("microseconds");
        let times = ["p50", "p90", "p99", "p999", "max"].map(us);
        assert!(times.is_sorted() && times[0] > 0.0 && times[4] < 10_000_000.0, "{class}: {times:?}");
    }
}

fn latency_is_forgotten_by_a_reset(shards: u32) {
    if another_server_lacks("stats latency") {
        return;
    }
    let server = Server::start(shards, &["--slow-log", "1"]);
    some_of_each(&server);
    let mut conn = server.connect();
    conn.ask("stats reset\r\n", "RESET\r\n");
    assert!(report(&mut conn, "latency").is_empty());
    assert_eq!(report(&mut conn, "slowlog")["seen"], "0");
    assert!(rows(&mut conn, "hotkeys").is_empty());
    conn.ask("get a\r\n", "VALUE a 0 2\r\n12\r\nEND\r\n");
    assert_eq!(report(&mut conn, "latency")["get:count"], "1");
}

fn slow_requests_are_listed_with_key_and_client(shards: u32) {
    if another_server_lacks("--slow-log") {
        return;
    }
    // A key this long is not even hashed within a microsecond.
    let server = Server::start(shards, &["--slow-log", "1", "--max-key-size", "65535"]);
    let mut conn = server.connect();
    let mut other = server.connect();
    let names: Vec<String> = (0..20).map(|i| format!("k%{i:02}{}", "x".repeat(60_000))).collect();
    for name in &names {
        conn.ask(format!("get {name}\r\n"), "END\r\n");
    }
    let listed = rows(&mut other, "slowlog 100");
    assert_eq!(listed.len(), 20, "{listed:?}");
    let client = conn.local_address().to_string();
    let forwarded = |row: &BTreeMap<String, String>| row["forwarded"] == "yes";
    for (row, name) in listed.iter().rev().zip(&names) {
        assert_eq!((&row["class"], &row["client"]), (&"get".to_string(), &client));
        let shown = &name[..if forwarded(row) { 32 } else { 250 }];
        assert_eq!((&row["key"], row["among"].as_str()), (&format!("{}*", shown.replace('%', "%25")), "1"));
        assert!(row["us"].parse::<f64>().expect("microseconds") >= 1.0, "{row:?}");
        assert!(row["shard"].parse::<u32>().expect("a shard") < shards, "{row:?}");
    }
    assert_eq!(listed.iter().any(forwarded), shards > 1);
    let times: Vec<f64> = listed.iter().map(|row| row["time"].parse().expect("seconds")).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier));
    assert_eq!(rows(&mut other, "slowlog").len(), 10, "as many as nobody asks for");
    // One of a batch is told with the number it is among, or exactly while slow requests are about.
    let before = report(&mut other, "slowlog")["seen"].parse::<u64>().expect("a number");
    conn.ask("get a\r\n".repeat(5), "END\r\n".repeat(5));
    let seen = report(&mut other, "slowlog")["seen"].parse::<u64>().expect("a number");
    assert!(seen > before && seen <= before + 5);
}

/// Items of 100 bytes until every shard has evicted some, as good as surely.
fn fill(conn: &mut Conn) {
    let value = "x".repeat(100);
    for round in 0.. {
        let some = (0..1_000).map(|i| format!("set small{round}-{i} 0 0 100 noreply\r\n{value}\r\n"));
        conn.send(some.collect::<String>());
        if conn.stat("evictions") > 20_000 {
            return;
        }
    }
}

/// Waits until all shards look at every request again, and will for the next hundred: each looks at its load once a second. Forgets what
/// was seen.
fn calm(conn: &mut Conn) {
    let began_s = conn.stat("uptime");
    wait_for("two seconds without a request", || (conn.stat("uptime") > began_s + 2).then_some(()));
    conn.ask("stats reset\r\n", "RESET\r\n");
}

/// A full cache evicts hundreds of small items for a large one as it comes: that is time of the large one, and of no other.
fn what_makes_room_for_a_large_value_is_slow(shards: u32) {
    if another_server_lacks("--slow-log") {
        return;
    }
    const SLOW_US: f64 = 50.0;
    let server = Server::start(shards, &["-m", "8", "-I", "512k", "--slow-log", "50"]);
    let (mut conn, mut other) = (server.connect(), server.connect());
    fill(&mut other);
    calm(&mut conn);
    let value = "x".repeat(200_000);
    let names: Vec<String> = (0..4).map(|i| format!("large{i}")).collect();
    for name in &names {
        conn.send(format!("set {name} 0 0 200000\r\n"));
        other.ask("get a\r\n", "END\r\n");
        conn.ask(format!("{value}\r\n"), "STORED\r\n");
    }
    let listed = rows(&mut other, "slowlog 100");
    let found: Vec<_> = listed.iter().filter(|row| row["class"] == "set").collect();
    let mut found_names: Vec<_> = found.iter().map(|row| row["key"].clone()).collect();
    found_names.sort();
    assert_eq!(found_names, names, "{listed:?}");
    assert!(found.iter().all(|row| row["us"].parse::<f64>().expect("microseconds") >= SLOW_US));
    let stats = report(&mut other, "latency");
    assert_eq!(stats["set:count"], "4");
    assert!(stats["set:p50_us"].parse::<f64>().expect("microseconds") >= SLOW_US, "{stats:?}");
}

fn a_refused_value_counts(shards: u32) {
    if another_server_lacks("stats latency") {
        return;
    }
    let server = Server::start(shards, &["-I", "100k", "--slow-log", "1"]);
    let mut conn = server.connect();
    for i in 0..4 {
        let refused = "SERVER_ERROR object too large for cache\r\n";
        conn.ask(format!("set large{i} 0 0 200000\r\n{}\r\n", "x".repeat(200_000)), refused);
    }
    assert_eq!(report(&mut conn, "latency")["set:count"], "4");
    let listed = rows(&mut conn, "slowlog");
    assert_eq!(keys(&listed), ["large3", "large2", "large1", "large0"], "{listed:?}");
}

fn nothing_is_slow_unless_asked_for(shards: u32) {
    if another_server_lacks("stats slowlog") {
        return;
    }
    let server = Server::start(shards, &[]);
    some_of_each(&server);
    let none = [("seen".into(), "0".into()), ("slow_log_us".into(), "0".into())];
    assert_eq!(report(&mut server.connect(), "slowlog"), BTreeMap::from(none));
    let server = Server::start(shards, &["--slow-log", "60000000"]);
    some_of_each(&server);
    let none = [("seen".into(), "0".into()), ("slow_log_us".into(), "60000000".into())];
    assert_eq!(report(&mut server.connect(), "slowlog"), BTreeMap::from(none));
}

fn hot_keys_come_first_with_their_rates(shards: u32) {
    if another_server_lacks("stats hotkeys") {
        return;
    }
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    // So often in each round; each of the cold ones once at all. Where the rate is so high that requests are sampled, one of a cold key may
    // stand for hundreds: more rounds show which keys go on being asked for.
    let times = [24, 17, 12, 8, 5];
    let hot: String = (1..).zip(times).map(|(i, times)| format!(" hot{i}").repeat(times)).collect();
    let number = |row: &BTreeMap<String, String>, name: &str| row[name].parse::<f64>().expect("a number");
    let mut rounds = 0..;
    let top = wait_for("the hot keys to be the first", || {
        for round in rounds.by_ref().take(200) {
            let cold: String = (0..5).map(|i| format!(" cold{round}-{i}")).collect();
            conn.ask(format!("get{cold}{hot}\r\n"), "END\r\n");
        }
        let top = rows(&mut conn, "hotkeys");
        let mut first: Vec<_> = keys(&top).into_iter().take(5).collect();
        first.sort_unstable();
        let are_first = first == ["hot1", "hot2", "hot3", "hot4", "hot5"];
        (are_first && number(&top[0], "rate") > number(&top[4], "rate") * 2.0).then_some(top)
    });
    assert_eq!(top.len(), 10);
    let rates: Vec<_> = top.iter().map(|row| number(row, "rate")).collect();
    assert!(rates.is_sorted_by(|a, b| a >= b), "{top:?}");
    assert!(top.iter().all(|row| number(row, "error") >= 0.0 && number(row, "shard") < f64::from(shards)));
    assert_eq!(rows(&mut conn, "hotkeys 3").len(), 3);
    assert_eq!(rows(&mut conn, "hotkeys 0").len(), 0);
    // What nobody asks for any more fades; another key takes its place.
    wait_for("the present", || {
        (0..500).for_each(|_| conn.ask("get new\r\n", "END\r\n"));
        (keys(&rows(&mut conn, "hotkeys 1")) == ["new"]).then_some(())
    });
}

fn big_keys_are_found_and_forgotten(shards: u32) {
    if another_server_lacks("stats bigkeys") {
        return;
    }
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for i in 1..=40 {
        let len = 1_000 * i;
        conn.ask(format!("set k{i} 0 0 {len}\r\n{}\r\n", "x".repeat(len)), "STORED\r\n");
    }
    let want = |range: std::ops::RangeInclusive<u32>| -> Vec<String> {
        range.rev().map(|i| format!("k{i} {}", 1_000 * i)).collect()
    };
    let found = |conn: &mut Conn, words: &str| -> Vec<String> {
        rows(conn, words).iter().map(|row| format!("{} {}", row["key"], row["bytes"])).collect()
    };
    assert_eq!(found(&mut conn, "bigkeys"), want(31..=40));
    assert_eq!(found(&mut conn, "bigkeys 100"), want(1..=40));
    assert_eq!(report(&mut conn, "bigkeys")["complete"], "yes");
    conn.ask("delete k40\r\nset k39 0 0 1\r\nx\r\n", "DELETED\r\nSTORED\r\n");
    assert_eq!(found(&mut conn, "bigkeys 2"), want(37..=38));
    conn.ask("flush_all\r\n", "OK\r\n");
    assert!(found(&mut conn, "bigkeys").is_empty());
}

/// Each search takes dozens of turns; a plain `stats` is answered before most of those that were asked before it.
fn searches_keep_nobody_waiting(shards: u32) {
    const SEARCHES: usize = 32;
    if another_server_lacks("stats bigkeys") {
        return;
    }
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for round in 0..80 {
        let some = (0..2_500).map(|i| format!("set k{round}-{i} 0 0 1 noreply\r\nx\r\n"));
        conn.send(some.collect::<String>());
    }
    assert_eq!(conn.stat("curr_items"), 200_000);
    let searching: Vec<TcpStream> = (0..SEARCHES)
        .map(|_| {
            let mut client = TcpStream::connect(server.addresses[0]).expect("a connection");
            client.write_all(b"get a\r\n").expect("sent");
            client.read_exact(&mut [0; 5]).expect("END");
            client
        })
        .collect();
    for mut client in &searching {
        client.write_all(b"stats bigkeys\r\n").expect("sent");
    }
    conn.stats("");
    let is_answered = |mut client: &TcpStream| {
        client.set_nonblocking(true).expect("nonblocking");
        client.read(&mut [0]).is_ok()
    };
    let answered = searching.iter().filter(|client| is_answered(client)).count();
    assert!(answered < SEARCHES / 2, "{answered} of {SEARCHES} searches came first");
    // All of them come to their turn.
    for mut client in searching {
        client.set_nonblocking(false).expect("blocking");
        client.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        let mut answer = Vec::new();
        while !answer.ends_with(b"END\r\n") {
            let mut piece = [0; 4096];
            let len = client.read(&mut piece).expect("an answer");
            assert!(len > 0, "closed after {}", shown(&answer));
            answer.extend(&piece[..len]);
        }
    }
}

fn arguments_are_checked(shards: u32) {
    if another_server_lacks("stats hotkeys") {
        return;
    }
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for words in ["hotkey", "latencies", "slow", "big keys"] {
        conn.ask(format!("stats {words}\r\n"), "ERROR\r\n");
    }
    for words in ["hotkeys x", "bigkeys -1", "slowlog 4294967296"] {
        conn.ask(format!("stats {words}\r\n"), "CLIENT_ERROR bad command line format\r\n");
    }
    conn.ask("set a 0 0 3\r\nabc\r\n", "STORED\r\n");
    assert_eq!(keys(&rows(&mut conn, "bigkeys 4294967295")), ["a"]);
    let mut client = Client::new(&server);
    let mut packets = |words: &[u8]| {
        let mut found = vec![client.ask(request(STAT, b"", words, b"", 0))];
        while found.last().is_some_and(|answer| !answer.key.is_empty()) {
            found.push(client.receive());
        }
        let texts = found.iter().map(|answer| [&answer.key[..], b"=", &answer.value[..]].concat());
        texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect::<Vec<_>>().join(" ")
    };
    assert!(packets(b"bigkeys 1").starts_with("complete=yes 0:bytes=3 0:shard="));
    assert!(packets(b"latency").starts_with("set:count=1 set:p50_us="));
    client.fails(request(STAT, b"", b"bigkeys x", b"", 0), Status::NotFound);
    client.fails(request(STAT, b"", b"latency 1", b"", 0), Status::NotFound);
}

/// `-X`, and datagrams, which anybody can send in anybody's name.
fn who_may_not_list_keys_may_not_list_these(shards: u32) {
    if another_server_lacks("stats hotkeys") {
        return;
    }
    let server = Server::start(shards, &["-X", "-U", "-1"]);
    let mut conn = server.connect();
    conn.ask("get a\r\n", "END\r\n");
    let mut client = Client::new(&server);
    let udp = server.udp_socket();
    for words in ["hotkeys", "bigkeys", "slowlog"] {
        let refused = "CLIENT_ERROR stats slowlog, hotkeys and bigkeys not allowed\r\n";
        conn.ask(format!("stats {words}\r\n"), refused);
        client.fails(request(STAT, b"", words.as_bytes(), b"", 0), Status::NotFound);
        datagram::ask(&udp, 7, format!("stats {words}\r\n"), "ERROR\r\n");
    }
    assert_eq!(report(&mut conn, "latency")["get:count"], "1");
}
