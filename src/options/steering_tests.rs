//! Tests of whole command lines that say which shard owns a key: what they mean, and each that is refused.

use super::super::{Asked, Given, Host, Machine, Protocol};
use super::*;

fn ask(line: &str) -> Result<Options, OptionError> {
    let machine = Machine { cores: vec![0, 1, 2, 3], sasl_users: None };
    let words = std::iter::once("ringcached").chain(line.split_whitespace());
    match Given::read(words, |_| panic!("no file is named"))?.asked(&machine)? {
        Asked::Serve(options) => Ok(*options),
        Asked::Show(text) => panic!("`{line}` shows {text}"),
    }
}

#[track_caller]
fn refused(line: &str) -> String {
    ask(line).expect_err(line).to_string()
}

fn address(host: Host, port: u16) -> ListenAddress {
    ListenAddress { host, port, protocol: Protocol::Auto }
}

fn named(host: &str, port: u16) -> ListenAddress {
    address(Host::Name(host.into()), port)
}

#[test]
fn each_function_has_its_word() {
    for partition in Partition::ALL {
        let line = format!("-p 0 --shard-ports 12000 --partition {}", partition.word());
        assert_eq!(ask(&line).unwrap().partition, partition);
    }
    let sentence = refused("--partition crc32");
    assert!(sentence.starts_with("--partition `crc32`: must be `seeded`, `crc32a`,"), "{sentence}");
}

#[test]
fn every_host_has_the_shard_ports_once() {
    assert_eq!(ask("--shard-ports 12000").unwrap().shard_ports, [address(Host::Any, 12000)]);
    let o = ask("--shard-ports 12000 -l 10.0.0.1,10.0.0.1:11300,[::1]:11400").unwrap();
    assert_eq!(o.shard_ports, [named("10.0.0.1", 12000), named("::1", 12000)]);
    let common = [named("10.0.0.1", 11211), named("10.0.0.1", 11300), named("::1", 11400)];
    assert_eq!(o.listen, Listen::Tcp(common.into()));
    // Without a common port they are all there is.
    let o = ask("--shard-ports 12000 -p 0").unwrap();
    assert_eq!((o.listen, o.warnings), (Listen::Tcp(vec![]), vec![]));
}

#[test]
fn isolated_shards_have_no_port_in_common() {
    let o = ask("--partition isolated --shard-ports 11211 -l 127.0.0.1").unwrap();
    assert_eq!((o.listen, o.tcp_port), (Listen::Tcp(vec![]), 0));
    assert_eq!(o.shard_ports, [named("127.0.0.1", 11211)]);
    for (more, what) in [
        ("-p 11300", "a port of -p, --port or -l, --listen"),
        ("-p -1", "a port of -p, --port or -l, --listen"),
        ("-l 127.0.0.1:11300", "a port of -p, --port or -l, --listen"),
        ("-U 11300", "-U, --udp-port"),
    ] {
        let sentence = refused(&format!("--partition isolated --shard-ports 12000 {more}"));
        let start =
            format!("--partition isolated together with {what}: what comes there would find the keys of");
        assert!(sentence.starts_with(&start), "{sentence}");
        assert!(sentence.ends_with("clients use the ports of --shard-ports"), "{sentence}");
    }
    let sentence = refused("--partition isolated");
    assert_eq!(
        sentence,
        "--partition isolated without --shard-ports: no port would belong to a shard; give --shard-ports"
    );
}

#[test]
fn the_clients_hash_behind_one_port_is_refused() {
    for word in ["crc32a", "fnv1a_32", "fnv1a_64"] {
        let sentence = refused(&format!("--partition {word}"));
        let start = format!(
            "--partition {word} without --shard-ports: clients that choose a server by the same hash would"
        );
        assert!(sentence.starts_with(&start), "{sentence}");
        assert!(
            sentence.contains("give --shard-ports and list every shard port in the clients"),
            "{sentence}"
        );
        // One shard owns everything.
        ask(&format!("--partition {word} -t 1")).unwrap();
    }
}

#[test]
fn the_divisors_of_a_weak_multiplier_are_refused() {
    for (shards, divisor) in [(3, 3), (5, 5), (6, 3), (29, 29), (96, 3)] {
        let sentence = refused(&format!("--partition fnv1a_64 --shard-ports 12000 -t {shards}"));
        let start = format!(
            "--partition fnv1a_64 with {shards} shards: the hash ends in a multiplication by 435, which {divisor} divides"
        );
        assert!(sentence.starts_with(&start), "{sentence}");
        ask(&format!("--partition fnv1a_32 --shard-ports 12000 -t {shards}")).unwrap();
    }
    for shards in [1, 2, 4, 7, 64, 256] {
        ask(&format!("--partition fnv1a_64 --shard-ports 12000 -t {shards}")).unwrap();
    }
}

#[test]
fn shard_ports_that_cannot_be_are_refused() {
    for (line, expected) in [
        (
            "--shard-ports 65533",
            "--shard-ports 65533 with 4 shards: the ports would be 65533 to 65536, and the last there is is 65535; give \
             65532 at most, or fewer shards with -t, --threads",
        ),
        (
            "--shard-ports 11209",
            "--shard-ports 11209 with 4 shards: port 11211 would be that of shard 2, and it is asked for by -p, --port or \
             -l, --listen as well; choose another",
        ),
        (
            "--shard-ports 12000 -l 127.0.0.1:12003",
            "--shard-ports 12000 with 4 shards: port 12003 would be that of shard 3, and it is asked for by -p, --port or \
             -l, --listen as well; choose another",
        ),
        (
            "--shard-ports 12000 -p 11211 -U 12001",
            "--shard-ports 12000 with 4 shards: port 12001 would be that of shard 1, and it is asked for by -U, --udp-port \
             or -l, --listen as well; choose another",
        ),
        (
            "--shard-ports 12000 -s socket",
            "--shard-ports together with -s, --unix-socket: with a UNIX socket there is no TCP; leave one of them out",
        ),
        ("--shard-ports 0", "--shard-ports `0`: must be a whole number from 1 to 65535"),
    ] {
        assert_eq!(refused(line), expected, "{line}");
    }
    ask("--shard-ports 65532").unwrap();
    ask("--shard-ports 11207").unwrap();
    ask("--shard-ports 11212").unwrap();
}

#[test]
fn a_host_to_advertise_has_one_word() {
    assert_eq!(ask("--advertise cache.example").unwrap().advertise.as_deref(), Some("cache.example"));
    ask("--advertise ::1").unwrap();
    for host in ["", "a|b", "a,b", "\u{e9}", &"x".repeat(256)] {
        let sentence = refused(&format!("--advertise={host}"));
        assert!(sentence.contains("must be a host name or an address of 1 to 255 bytes"), "{sentence}");
    }
    for line in ["--advertise h -s socket", "--advertise h -p 0"] {
        assert_eq!(refused(line), "--advertise: there is no TCP port to name to clients; leave it out");
    }
}

#[test]
fn shard_ports_ask_for_the_same_login() {
    let sentence = refused("-Y users --shard-ports 12000 -p 0 -l proto[binary]:127.0.0.1");
    assert!(sentence.contains("allows the binary protocol"), "{sentence}");
}

#[test]
fn connections_are_steered_evenly_unless_by_core() {
    assert_eq!(ask("").unwrap().steer, Steer::Even);
    assert_eq!(ask("--steer even -t 8").unwrap().steer, Steer::Even);
    assert_eq!(ask("--steer cpu").unwrap().steer, Steer::Cpu);
    let sentence = refused("--steer core");
    assert!(sentence.starts_with("--steer `core`: must be `even` or `cpu`"), "{sentence}");
    let sentence = refused("--steer cpu -t 5");
    assert!(sentence.contains("5 shards on 4 cores") && sentence.contains("-t, --threads 4"), "{sentence}");
}

#[test]
fn every_host_has_the_source_port_once() {
    let o = ask("--source-port-steering 12000 -l 10.0.0.1,10.0.0.1:11300,[::1]:11400").unwrap();
    assert_eq!(o.source_port, [named("10.0.0.1", 12000), named("::1", 12000)]);
    let o = ask("-p 0 --source-port-steering 12000 --partition crc32a").unwrap();
    assert_eq!((o.listen, o.warnings), (Listen::Tcp(vec![]), vec![]));
    for (line, what) in [
        ("--source-port-steering 11211", "-p, --port"),
        ("--source-port-steering 12003 --shard-ports 12000", "--shard-ports"),
        ("--source-port-steering 12000 -s /tmp/s", "-s, --unix-socket"),
        ("--steer cpu -s /tmp/s", "-s, --unix-socket"),
    ] {
        let sentence = refused(line);
        assert!(sentence.contains(what), "`{line}`: {sentence}");
    }
    ask("--source-port-steering 12004 --shard-ports 12000").unwrap();
}
