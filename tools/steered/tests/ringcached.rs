//! Both clients against the real server: no request of theirs changes cores.

mod server;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use ringcached_steered::{Partition, Steered, connect};
use server::Server;

const KEYS: u64 = 300;

/// Words of the option, and what they mean here.
const PARTITIONS: [(&str, Partition); 2] = [("crc32a", Partition::Crc32a), ("fnv1a_32", Partition::Fnv1a32)];

fn start(shards: u16, partition: &str) -> Server {
    Server::start(shards, &["--source-port-steering", "FREE", "--partition", partition])
}

/// Nothing hopped, and `requests` were done where they arrived.
fn assert_at_home(server: &Server, requests: u64) {
    assert!(server.of_shards("cmd_forwarded").iter().all(|&n| n == 0));
    assert!(server.of_shards("misrouted").iter().all(|&n| n == 0));
    let local = server.of_shards("cmd_local");
    assert_eq!(local.iter().sum::<u64>(), requests);
    assert!(local.iter().all(|&n| n > 0), "{local:?}");
}

#[test]
fn rust_finds_every_key_at_home() {
    for ((word, partition), shards) in PARTITIONS.into_iter().zip([2, 3]) {
        let server = start(shards, word);
        for host in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let address = SocketAddr::new(host, server.free);
            let mut steered = Steered::connect(address, partition, None).expect("connections");
            assert_eq!(steered.connections().len(), usize::from(shards), "as many as there are shards");
            for i in 0..KEYS {
                let key = format!("clé-{i}-ü"); // bytes from 0x80 on, where the sign matters for 3 shards
                let stream = steered.of_key(key.as_bytes());
                write!(stream, "set {key} 0 0 1\r\nx\r\nget {key}\r\n").expect("request");
                let expected = format!("STORED\r\nVALUE {key} 0 1\r\nx\r\nEND\r\n");
                let mut answer = vec![0; expected.len()];
                stream.read_exact(&mut answer).expect("answer");
                assert_eq!(String::from_utf8_lossy(&answer), expected);
            }
        }
        assert_at_home(&server, 2 * 2 * KEYS);
    }
}

#[test]
fn a_port_that_is_taken_is_not_the_end() {
    let server = start(2, "crc32a");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.free));
    // So many that some attempts meet a port of an earlier one.
    let streams: Vec<_> = (0..600).map(|i| connect(address, 2, i % 2).expect("a connection")).collect();
    for (i, stream) in streams.iter().enumerate() {
        assert_eq!(usize::from(stream.local_addr().expect("address").port()) % 2, i % 2);
    }
}

#[test]
fn python_finds_every_key_at_home() {
    let script = r#"
import sys
from steered import Steered, fnv1a_32
assert fnv1a_32(b"foobar") == 0xBF9CF968
for host in ("127.0.0.1", "::1"):
    shards = Steered(host, int(sys.argv[1]), sys.argv[2])
    for i in range(int(sys.argv[3])):
        key = f"clé-{i}-ü".encode()
        shards.set(key, b"%d\r\n" % i)
        assert shards.get(key) == b"%d\r\n" % i
        assert shards.get(key + b"!") is None
    shards.close()
"#;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for ((word, _), shards) in PARTITIONS.into_iter().zip([3, 3]) {
        let server = start(shards, word);
        let words = ["-c", script, &server.free.to_string(), word, &KEYS.to_string()];
        let output = Command::new("python3")
            .args(words)
            .env("PYTHONPATH", folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output();
        let output = output.expect("python3");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_at_home(&server, 2 * 3 * KEYS);
    }
}

#[test]
fn the_script_says_where_keys_are() {
    let server = start(2, "crc32a");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("steered.py");
    let words = ["127.0.0.1", &server.free.to_string(), "crc32a", "a", "b"];
    let output = Command::new(&script).args(words).output().expect("the script");
    let said = String::from_utf8_lossy(&output.stdout);
    let shard = |key: &str| Partition::Crc32a.owner(key.as_bytes(), 2);
    assert!(
        said.contains(&format!("a: shard {}, None\nb: shard {}, None\n", shard("a"), shard("b"))),
        "{said}"
    );
    let output = Command::new(&script).args(["localhost"]).output().expect("the script");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Usage: steered.py"));
}
