//! Loads the real server, as a user does, and counts on both sides.

#[path = "../../steered/tests/server/mod.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use server::Server;

/// Few, so that a debug build is quick.
const KEYS: u64 = 500;

fn load(words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringcached-load"))
        .args(words.split_whitespace())
        .output()
        .expect("the program")
}

/// What it wrote as JSON, having succeeded. PORT in `words` is replaced.
fn found(port: u16, words: &str) -> Value {
    let folder = tempfile::tempdir().expect("temporary directory");
    let json = folder.path().join("found.json");
    let words = format!("--server 127.0.0.1:{port} --keys {KEYS} {words} --json {}", json.display());
    let output = load(&words);
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(json).expect("JSON")).expect("JSON")
}

/// A figure of `stats`.
fn stat(server: &Server, name: &str) -> u64 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("connection");
    stream.write_all(b"stats\r\n").expect("request");
    let lines =
        BufReader::new(stream).lines().map(|line| line.expect("answer")).take_while(|line| line != "END");
    let prefix = format!("STAT {name} ");
    let values: Vec<String> = lines.filter_map(|line| line.strip_prefix(&prefix).map(String::from)).collect();
    values[0].parse().expect("a number")
}

#[test]
fn every_protocol_and_size_is_counted_alike_on_both_sides() {
    for protocol in ["classic", "meta", "binary"] {
        for (shape, keys_per_get) in [
            ("--pipeline 1 --connections 3 --value-size 100", 1),
            ("--pipeline 16 --connections 4 --threads 2 --value-size 0-40 --popularity zipf:0.8", 1),
            ("--pipeline 3 --connections 2 --value-size 4:1,20000:1,200000:1", 1),
            ("--pipeline 2 --connections 2 --value-size etc --keys-per-get 20 --key-size 200", 20),
        ] {
            let server = Server::start(2, &["-m", "512"]);
            let report = found(
                server.port,
                &format!("--protocol {protocol} --fill --requests 2000 --ratio 1:4 {shape}"),
            );
            let of = |name: &str| report[name].as_u64().expect(name);
            let (gets, sets) = (&report["gets"]["count"], &report["sets"]["count"]);
            let (gets, sets) = (gets.as_u64().expect("gets"), sets.as_u64().expect("sets"));
            assert_eq!((gets + sets, of("requests")), (2000, 2000), "{protocol} {shape}");
            assert!((250..550).contains(&sets), "{sets} of 2000 by 1:4");
            assert_eq!(
                (of("hits"), of("misses"), of("refused")),
                (gets * keys_per_get, 0, 0),
                "{protocol} {shape}"
            );
            assert_eq!(stat(&server, "curr_items"), KEYS);
            assert_eq!(stat(&server, "get_hits"), gets * keys_per_get);
            assert_eq!(stat(&server, "cmd_set"), KEYS + sets);
        }
    }
}

#[test]
fn misses_are_counted() {
    let server = Server::start(1, &[]);
    for protocol in ["classic", "meta", "binary"] {
        let words = format!("--protocol {protocol} --requests 300 --ratio 0:1 --pipeline 4");
        let report = found(server.port, &format!("{words} --keys-per-get 3"));
        assert_eq!((report["hits"].as_u64(), report["misses"].as_u64()), (Some(0), Some(900)));
        let report = found(server.port, &words);
        assert_eq!((report["hits"].as_u64(), report["misses"].as_u64()), (Some(0), Some(300)));
    }
}

#[test]
fn shard_aware_loads_never_hop() {
    let routes = [("--source-port-steering", "--source-ports"), ("--shard-ports", "--shard-ports")];
    for ((option, route), shards) in routes.into_iter().zip([2, 3]) {
        for (partition, protocol) in [("crc32a", "classic"), ("fnv1a_32", "binary")] {
            let server = Server::start(shards, &[option, "FREE", "--partition", partition]);
            let (port, base) = match route {
                "--source-ports" => (server.free, String::new()),
                _ => (server.port, server.free.to_string()),
            };
            let words = format!(
                "{route} {base} --partition {partition} --protocol {protocol} --connections 7 --threads 2 --pipeline 4 \
                 --fill --requests 3000 --keys-per-get 2 --popularity zipf"
            );
            let report = found(port, &words);
            assert_eq!(
                (report["misses"].as_u64(), report["shards"].as_u64()),
                (Some(0), Some(shards.into()))
            );
            assert_eq!(server.of_shards("cmd_forwarded"), vec![0; shards.into()], "{words}");
            assert_eq!(server.of_shards("misrouted"), vec![0; shards.into()]);
            let (gets, sets) = (&report["gets"]["count"], &report["sets"]["count"]);
            let keyed = 2 * gets.as_u64().expect("gets") + sets.as_u64().expect("sets") + KEYS;
            let local = server.of_shards("cmd_local");
            assert_eq!(local.iter().sum::<u64>(), keyed);
            assert!(local.iter().all(|&n| n > keyed / 10), "{local:?}");
        }
    }
}

#[test]
fn datagrams() {
    let server = Server::start(2, &["-p", "FREE", "-U", "FREE"]);
    // Answers of several datagrams too. Loopback loses none as long as the server keeps up, and one at a time it does.
    let report =
        found(server.free, "--protocol udp --fill --requests 500 --connections 1 --value-size 10-5000");
    let of = |name: &str| report[name].as_u64().expect(name);
    assert_eq!(of("requests") + of("lost"), 500);
    assert_eq!((of("misses"), of("refused")), (0, 0));
    assert!(of("hits") > 300, "{report}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_its_clock() {
    let server = Server::start(1, &[]);
    let folder = tempfile::tempdir().expect("temporary directory");
    let plot = folder.path().join("latency.svg");
    let report = found(server.port, &format!("--fill --rate 2000 --requests 2000 --plot {}", plot.display()));
    let seconds = report["seconds"].as_f64().expect("seconds");
    assert!(seconds > 0.99, "2000 requests at 2000 a second in {seconds} s");
    assert_eq!(report["requests"], 2000);
    // By time, what is due in the last moments counts too.
    let report = found(server.port, "--rate 3000 --seconds 1");
    let unsent = report["open"]["unsent"].as_u64().expect("unsent");
    assert_eq!(report["requests"].as_u64().expect("requests") + unsent, 3000);
    assert!(report["open"]["lateness_max_ms"].as_f64() > Some(0.0));
    assert!(std::fs::read_to_string(plot).expect("a picture").contains("</svg>"));
}

/// A server that stalls: in a closed loop one request sees it, in an open one all those that were due meanwhile.
#[test]
fn a_stall_is_not_hidden() {
    const STALL_MS: u64 = 400;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("address").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut requests = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        for i in 0.. {
            let Some(Ok(_)) = requests.next() else { break };
            if i == 100 {
                // The stall itself is what is tested.
                std::thread::sleep(std::time::Duration::from_millis(STALL_MS));
            }
            if stream.write_all(b"END\r\n").is_err() {
                break;
            }
        }
    });
    let report = found(port, "--ratio 0:1 --connections 1 --rate 1000 --requests 1000");
    server.join().expect("the server");
    let of = |name: &str| report["gets"][name].as_f64().expect(name);
    assert!(of("max_ms") >= STALL_MS as f64, "{report}");
    // 400 of 1,000 requests were due while it lasted.
    assert!(of("p90_ms") > STALL_MS as f64 / 2.0, "{report}");
    assert!(report["open"]["held"].as_u64() >= Some(300), "{report}");
}

#[test]
fn a_wrong_value_ends_the_run() {
    for protocol in ["classic", "meta", "binary"] {
        let server = Server::start(1, &[]);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("connection");
        for id in 0..4 {
            write!(stream, "set load:load:l{id:08x} 0 0 12\r\nnot a value!\r\n").expect("set");
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).expect("answer");
            assert_eq!(&answer, b"STORED\r\n");
        }
        let words =
            format!("--server 127.0.0.1:{} --keys 4 --key-size 19 --protocol {protocol}", server.port);
        let output = load(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains("wrong value: load:load:l0000000"), "{said}");
        assert!(said.contains("holds 12 bytes") && said.contains("but got 'a va'"), "{said}");
    }
}

#[test]
fn what_cannot_be_is_said() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("address");
    let server = Server::start(2, &[]);
    let port = server.port;
    for (words, expected) in [
        (format!("--server {closed}"), "connection 1 of 50"),
        ("--server localhost".into(), "not HOST:PORT"),
        (
            format!("--server 127.0.0.1:{port} --connections 1 --shard-ports 12000 --partition crc32a"),
            "2 shards: each needs one",
        ),
        (format!("--server 127.0.0.1:{port} --shard-ports 65535 --partition crc32a"), "beyond 65535"),
        (format!("--server 127.0.0.1:{port} --keys 1 --source-ports --partition crc32a"), "belongs to shard"),
        (format!("--server 127.0.0.1:{port} --cores 1023"), "--cores: core 1023"),
        (format!("--server 127.0.0.1:{port} --requests 1 --plot /nowhere/x.svg"), "/nowhere/x.svg"),
    ] {
        let output = load(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{words}: {said}");
    }
    assert!(!Path::new("/nowhere").exists());
}
