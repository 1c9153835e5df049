//! Commands for operators: dumps, listings, counting by prefix, what is accepted without effect, what `-X` refuses.

use std::collections::BTreeSet;

use crate::harness::{Conn, Server, wait_for};

on_shards! { metadump mgdump cachedump prefixes }

/// The lines up to `end`, each without its own end.
fn lines_until(conn: &mut Conn, end: &str) -> Vec<String> {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        conn.receive_exactly(&mut byte);
        text.push(char::from(byte[0]));
    }
    text.truncate(text.len() - end.len());
    text.split_terminator('\n').map(|line| line.trim_end_matches('\r').to_string()).collect()
}

fn fill(conn: &mut Conn, items: usize) {
    for n in 0..items {
        conn.send(format!("set key-{n} 0 0 4 noreply\r\nabcd\r\n"));
    }
    conn.ask("get key-0\r\n", "VALUE key-0 0 4\r\nabcd\r\nEND\r\n");
}

fn metadump(shards: u32) {
    const ITEMS: usize = 5000;
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    fill(&mut conn, ITEMS);
    conn.ask("set odd%20\u{e9} 7 100 1\r\nx\r\n", "STORED\r\n");
    conn.ask("set over 0 -1 1\r\nx\r\n", "STORED\r\n");
    conn.ask("lru_crawler metadump all\r\n", "OK\r\n");
    let lines = lines_until(&mut conn, "END\r\n");
    let keys: BTreeSet<&str> = lines.iter().map(|line| line.split(' ').next().expect("a word")).collect();
    assert_eq!((lines.len(), keys.len()), (ITEMS + 1, ITEMS + 1), "each once, none that is over");
    let odd = lines.iter().find(|line| line.starts_with("key=odd%2520%C3%A9 ")).expect("the odd key");
    let words: Vec<&str> = odd.split(' ').collect();
    let names: Vec<&str> = words.iter().map(|word| word.split('=').next().expect("a name")).collect();
    assert_eq!(names, ["key", "exp", "la", "cas", "fetch", "cls", "size", "flags", ""]);
    assert_eq!((words[4], words[7]), ("fetch=no", "flags=7"));
    let number = |word: &str| word.split('=').nth(1).expect("a value").parse::<i64>().expect("a number");
    let (exp, la) = (number(words[1]), number(words[2]));
    assert!((99..=101).contains(&(exp - la)), "{odd}");
    assert!(lines.iter().filter(|line| line.contains(" exp=-1 ")).count() == ITEMS, "no expiry is -1");
    // The connection goes on, with what was pipelined behind the dump.
    conn.ask("lru_crawler metadump hash\r\nget key-1\r\n", "OK\r\n");
    assert_eq!(lines_until(&mut conn, "END\r\n").len(), ITEMS + 1);
    conn.expect("VALUE key-1 0 4\r\nabcd\r\nEND\r\n");
    let class = number(words[5]);
    conn.ask(format!("lru_crawler metadump {class},250\r\n"), "OK\r\n");
    let of_class = lines_until(&mut conn, "END\r\n");
    let has_odd = of_class.iter().any(|line| line.starts_with("key=odd%2520"));
    assert!(has_odd && of_class.iter().all(|line| line.contains(&format!(" cls={class} "))));
    conn.finish();
}

fn mgdump(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    fill(&mut conn, 500);
    conn.ask("ms AP8= 1 b\r\nx\r\n", "HD\r\n");
    conn.ask("lru_crawler mgdump all\r\n", "OK\r\n");
    let lines: BTreeSet<String> = lines_until(&mut conn, "EN\r\n").into_iter().collect();
    assert_eq!(lines.len(), 501);
    assert!(lines.contains("mg AP8= b") && lines.contains("mg key-499"));
    // What it lists can be sent back as it is.
    conn.ask("mg AP8= b v\r\n", "VA 1\r\nx\r\n");
    conn.finish();
}

fn cachedump(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    fill(&mut conn, 50);
    let items = conn.stats("items");
    let (name, _) =
        items.iter().find(|(name, value)| name.ends_with(":number") && value == "50").expect("a class");
    let class = name.split(':').nth(1).expect("its number");
    conn.send(format!("stats cachedump {class} 0\r\n"));
    let lines = lines_until(&mut conn, "END\r\n");
    assert_eq!(lines.len(), 50);
    assert!(
        lines.iter().all(|line| line.starts_with("ITEM key-") && line.ends_with(" [4 b; 0 s]")),
        "{lines:?}"
    );
    conn.send(format!("stats cachedump {class} 7\r\n"));
    assert_eq!(lines_until(&mut conn, "END\r\n").len(), 7);
    conn.ask("stats cachedump 256 0\r\n", "CLIENT_ERROR Illegal slab id\r\n");
    conn.ask("stats cachedump\r\n", "CLIENT_ERROR bad command line\r\n");
    conn.finish();
}

fn prefixes(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask("set a:1 0 0 1\r\nx\r\nstats detail dump\r\n", "STORED\r\nEND\r\n");
    conn.ask("stats detail on\r\n", "OK\r\n");
    for n in 0..20 {
        conn.ask(
            format!("set a:{n} 0 0 1\r\nx\r\nget a:{n} b:{n} plain\r\n"),
            format!("STORED\r\nVALUE a:{n} 0 1\r\nx\r\nEND\r\n"),
        );
    }
    conn.ask("delete a:1\r\ndelete c:1\r\n", "DELETED\r\nNOT_FOUND\r\n");
    let counts = "PREFIX a get 20 hit 20 set 20 del 1\r\nPREFIX b get 20 hit 0 set 0 del 0\r\nPREFIX c get 0 hit 0 set 0 del 1\r\nEND\r\n";
    conn.ask("stats detail dump\r\n", counts);
    conn.ask("stats detail off\r\nget a:1\r\n", "OK\r\nEND\r\n");
    conn.ask("stats detail dump\r\n", counts);
    conn.ask("stats reset\r\nstats detail dump\r\n", "RESET\r\nEND\r\n");
    conn.ask("stats detail\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
    conn.finish();
}

#[test]
fn the_prefix_delimiter_is_an_option_and_starts_counting() {
    let server = Server::start(2, &["-D", "/"]);
    let mut conn = server.connect();
    conn.ask("set a:b/c 0 0 1\r\nx\r\n", "STORED\r\n");
    conn.ask("stats detail dump\r\n", "PREFIX a:b get 0 hit 0 set 1 del 0\r\nEND\r\n");
    conn.finish();
}

#[test]
fn what_has_no_meaning_here_is_accepted_and_said_so() {
    let server = Server::start(2, &["-v"]);
    let mut conn = server.connect();
    for command in [
        "lru_crawler enable",
        "lru_crawler disable",
        "lru_crawler sleep 100",
        "lru_crawler tocrawl 5",
        "lru_crawler crawl all",
        "lru tune 10 25 0.1 2.0",
        "lru mode flat",
        "lru temp_ttl 5",
        "slabs automove 1",
        "slabs automove window 10",
        "slabs reassign 1 2",
    ] {
        conn.ask(format!("{command}\r\n"), "OK\r\n");
    }
    assert!(server.stderr().contains("`lru tune` has no effect here"), "{}", server.stderr());
    conn.ask("lru tune 50 40 0.1 2.0\r\n", "ERROR hot and warm pcts must not exceed 80\r\n");
    conn.ask("lru_crawler metadump 0\r\n", "BADCLASS invalid class id\r\n");
    conn.finish();
}

/// `cache_memlimit` up makes room, down gives memory back to the system.
#[test]
fn the_memory_limit_changes_while_the_server_runs() {
    let server = Server::start(2, &["-m", "32"]);
    let mut conn = server.connect();
    let value = "v".repeat(1000);
    let fill = |from: usize, to: usize| {
        let mut conn = server.connect();
        for n in from..to {
            conn.send(format!("set key-{n} 0 0 1000 noreply\r\n{value}\r\n"));
        }
        conn.ask("mn\r\n", "MN\r\n");
    };
    // The kernel puts memory that was given back into huge pages again, a minute later, where it is allowed to.
    let huge_pages = || {
        let maps = std::fs::read_to_string(format!("/proc/{}/smaps", server.pid())).expect("mappings");
        maps.lines().any(|line| line.starts_with("VmFlags:") && line.contains(" hg"))
    };
    let huge_pages_at_first = huge_pages();
    fill(0, 50_000);
    let bytes = conn.stat("bytes");
    assert!(bytes > 25 << 20 && bytes < 32 << 20, "{bytes}");
    server.set_limit_mib(&mut conn, 96);
    assert_eq!(conn.stat("limit_maxbytes"), 96 << 20);
    fill(50_000, 150_000);
    let bytes = conn.stat("bytes");
    assert!(bytes > 80 << 20, "{bytes}");
    server.set_limit_mib(&mut conn, 24);
    wait_for("the items to go", || (conn.stat("bytes") < 24 << 20).then_some(()));
    // To the system, not only to the server: what is resident fits the new limit.
    wait_for("the memory to go back", || server.breach_now(24).is_none().then_some(()));
    let bytes = conn.stat("bytes");
    assert!(bytes > 15 << 20, "{bytes}");
    fill(150_000, 200_000);
    assert_eq!(server.breach_now(24), None);
    assert!(!huge_pages());
    server.set_limit_mib(&mut conn, 96);
    assert_eq!(huge_pages(), huge_pages_at_first);
    fill(200_000, 260_000);
    assert!(conn.stat("bytes") > 35 << 20, "{}", conn.stat("bytes"));
    conn.ask("cache_memlimit 7\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
    conn.ask("cache_memlimit 900000000\r\n", "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
    conn.finish();
}

#[test]
fn with_x_nothing_is_listed() {
    let server = Server::start(2, &["-X"]);
    let mut conn = server.connect();
    conn.ask("lru_crawler metadump all\r\n", "ERROR metadump not allowed\r\n");
    conn.ask("lru_crawler mgdump all\r\n", "ERROR key dump not allowed\r\n");
    conn.ask("stats cachedump 1 1\r\n", "CLIENT_ERROR stats cachedump not allowed\r\n");
    conn.ask("stats detail on\r\n", "CLIENT_ERROR stats detail not allowed\r\n");
    conn.finish();
}

/// A client that asks for a listing and does not read it holds up itself alone, and costs little.
#[test]
fn a_listing_that_nobody_reads_waits() {
    let server = Server::start(1, &["-m", "64"]);
    let mut conn = server.connect();
    let key = "k".repeat(200);
    for n in 0..40_000 {
        conn.send(format!("set {key}{n} 0 0 1 noreply\r\nx\r\n"));
    }
    conn.ask("get a\r\n", "END\r\n");
    let before = server.resident_bytes();
    let mut lazy: Vec<Conn> = (0..20).map(|_| server.connect()).collect();
    lazy.iter_mut().for_each(|conn| conn.ask("lru_crawler metadump all\r\n", "OK\r\n"));
    for _ in 0..100 {
        conn.ask("get a\r\n", "END\r\n");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "20 listings of 12 MB each that nobody reads took {grown} bytes");
    assert_eq!(lines_until(&mut lazy[0], "END\r\n").len(), 40_000);
}
