//! `--shard-ports` and `--partition`: clients that count cores as servers find every key at home; others are served all the
//! same, and counted.

use crate::harness::{Conn, Server, free_ports, server_command};
use crate::process::run;

on_counts! { modula_clients_never_hop on_2 2 on_3 3 on_4 4 }
on_counts! { a_wrong_list_is_served_and_counted on_2 2 on_3 3 on_4 4 }
on_counts! { isolated_ports_are_servers_of_their_own on_2 2 on_3 3 on_4 4 }
on_counts! { connections_stay_where_they_came on_2 2 on_3 3 on_4 4 }
on_counts! { every_address_has_shard_ports on_2 2 on_3 3 on_4 4 }
on_counts! { ports_that_cannot_be_had_are_named on_2 2 on_3 3 on_4 4 }

/// CRC-32 as IEEE 802.3 has it, bit by bit.
pub(crate) fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

/// FNV-1a as a C program on x86 computes it: `char` has a sign.
fn fnv1a(start: u32, prime: u32, key: &[u8]) -> u32 {
    key.iter().fold(start, |hash, &byte| (hash ^ i32::from(byte as i8) as u32).wrapping_mul(prime))
}

pub(crate) fn fnv1a_32(key: &[u8]) -> u32 {
    fnv1a(2_166_136_261, 16_777_619, key)
}

pub(crate) fn fnv1a_64(key: &[u8]) -> u32 {
    fnv1a(0xcbf2_9ce4_8422_2325_u64 as u32, 0x0100_0000_01b3_u64 as u32, key)
}

/// A partition's word and what clients compute for it.
type Function = (&'static str, fn(&[u8]) -> u32);

const FUNCTIONS: [Function; 3] = [("crc32a", crc32), ("fnv1a_32", fnv1a_32), ("fnv1a_64", fnv1a_64)];

/// A value of `stats shards`, for each shard.
pub(crate) fn of_shards(conn: &mut Conn, shards: u32, name: &str) -> Vec<u64> {
    let stats = conn.stats("shards");
    let value = |shard: u32| {
        let wanted = format!("{shard}:{name}");
        let found = stats.iter().find(|(name, _)| *name == wanted).expect("a value for each shard");
        found.1.parse().expect("a number")
    };
    (0..shards).map(value).collect()
}

/// Keys of text, of bytes that C takes for negative, and of 200 bytes.
pub(crate) fn key(i: u32) -> String {
    match i % 3 {
        0 => format!("user:{i}"),
        1 => format!("clé-{i}-ü"),
        _ => format!("{}{i}", "long:".repeat(38)),
    }
}

/// Five requests of five kinds for a key, one of them with a value too large to be copied.
pub(crate) fn use_key(conn: &mut Conn, i: u32) {
    let key = key(i);
    let value = "v".repeat(if i.is_multiple_of(50) { 20_000 } else { 10 });
    conn.ask(format!("set {key} {i} 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
    conn.ask(format!("get {key}\r\n"), format!("VALUE {key} {i} {}\r\n{value}\r\nEND\r\n", value.len()));
    conn.ask(format!("mg {key} s f\r\n"), format!("HD s{} f{i}\r\n", value.len()));
    conn.ask(format!("append {key} 0 0 1\r\n.\r\n"), "STORED\r\n");
    conn.ask(format!("delete {key}\r\n"), "DELETED\r\n");
}
const REQUESTS_PER_KEY: u32 = 5;
const KEYS: u32 = 2000;

fn modula_clients_never_hop(shards: u32) {
    // The last is refused with 3 shards.
    for &(word, hash) in &FUNCTIONS[..if shards == 3 { 2 } else { 3 }] {
        let server = Server::start_with_shard_ports(shards, &["--partition", word]);
        let mut ports: Vec<Conn> = (0..shards).map(|shard| server.connect_to_shard(shard)).collect();
        for i in 0..KEYS {
            use_key(&mut ports[(hash(key(i).as_bytes()) % shards) as usize], i);
        }
        let conn = &mut ports[0];
        assert_eq!(of_shards(conn, shards, "cmd_forwarded"), vec![0; shards as usize], "{word}");
        assert_eq!(of_shards(conn, shards, "misrouted"), vec![0; shards as usize], "{word}");
        assert_eq!(of_shards(conn, shards, "cmd_for_peers"), vec![0; shards as usize], "{word}");
        let local = of_shards(conn, shards, "cmd_local");
        assert_eq!(local.iter().sum::<u64>(), u64::from(KEYS * REQUESTS_PER_KEY), "{word}");
        assert!(local.iter().all(|&n| n > 0), "{word}: {local:?}");
        // Keys of all shards in one get: only those from elsewhere hop.
        conn.ask(format!("get {}\r\n", (0..30).map(key).collect::<Vec<_>>().join(" ")), "END\r\n");
        let foreign = (0..30).filter(|i| hash(key(*i).as_bytes()) % shards != 0).count() as u64;
        assert_eq!(of_shards(conn, shards, "misrouted")[0], foreign, "{word}");
    }
}

fn a_wrong_list_is_served_and_counted(shards: u32) {
    for word in ["crc32a", "seeded"] {
        let server = Server::start_with_shard_ports(shards, &["--partition", word]);
        let mut ports: Vec<Conn> = (0..shards).map(|shard| server.connect_to_shard(shard)).collect();
        for i in 0..KEYS {
            let home = crc32(key(i).as_bytes()) % shards;
            use_key(&mut ports[((home + 1) % shards) as usize], i);
        }
        let conn = &mut ports[0];
        let misrouted = of_shards(conn, shards, "misrouted");
        assert_eq!(misrouted, of_shards(conn, shards, "cmd_forwarded"));
        let (all, misrouted) = (u64::from(KEYS * REQUESTS_PER_KEY), misrouted.iter().sum::<u64>());
        if word == "crc32a" {
            assert_eq!(misrouted, all);
        } else {
            // As if by chance: the client cannot know the seeds.
            let (expected, some) = (all * u64::from(shards - 1) / u64::from(shards), all / 20);
            assert!((expected - some..expected + some).contains(&misrouted), "{misrouted} of {all}");
        }
        // On the port that belongs to nobody a foreign key is no mistake.
        let mut common = server.connect();
        (0..KEYS / 10).for_each(|i| use_key(&mut common, i));
        assert_eq!(of_shards(&mut common, shards, "misrouted").iter().sum::<u64>(), misrouted);
        let forwarded = of_shards(&mut common, shards, "cmd_forwarded").iter().sum::<u64>();
        assert!(forwarded > misrouted, "{forwarded} {misrouted}");
    }
}

fn isolated_ports_are_servers_of_their_own(shards: u32) {
    let (first, threads) = (free_ports(shards).to_string(), shards.to_string());
    let options = ["--partition", "isolated", "--shard-ports", &first, "-l", "127.0.0.1", "-t", &threads];
    let server = Server::listening(server_command(&options));
    assert_eq!((server.addresses.len(), server.shard_addresses.len()), (0, shards as usize));
    let mut ports: Vec<Conn> = (0..shards).map(|shard| server.connect_to_shard(shard)).collect();
    for (shard, conn) in ports.iter_mut().enumerate() {
        conn.ask("get same\r\n", "END\r\n");
        conn.ask(format!("set same {shard} 0 20000\r\n{}\r\n", "v".repeat(20_000)), "STORED\r\n");
        for i in 0..100 {
            conn.ask(format!("add key-{i} {shard} 0 1\r\n0\r\n"), "STORED\r\n");
            conn.ask(format!("incr key-{i} {shard}\r\n"), format!("{shard}\r\n"));
        }
    }
    for (shard, conn) in ports.iter_mut().enumerate() {
        conn.ask("get key-5\r\n", format!("VALUE key-5 {shard} 1\r\n{shard}\r\nEND\r\n"));
    }
    // A second connection to the same port finds the same keys.
    server.connect_to_shard(1).ask("get key-7\r\n", "VALUE key-7 1 1\r\n1\r\nEND\r\n");
    let conn = &mut ports[0];
    assert_eq!(of_shards(conn, shards, "curr_items"), vec![101; shards as usize]);
    assert_eq!(of_shards(conn, shards, "cmd_forwarded"), vec![0; shards as usize]);
    assert_eq!(of_shards(conn, shards, "misrouted"), vec![0; shards as usize]);
    // What is not for a key is for the process.
    assert_eq!(conn.stat("curr_items"), u64::from(101 * shards));
    conn.ask("flush_all\r\n", "OK\r\n");
    for conn in &mut ports {
        conn.ask("get same key-5\r\n", "END\r\n");
    }
}

/// Also when another shard has fewer; and they take nothing away from `-c` but themselves.
fn connections_stay_where_they_came(shards: u32) {
    const CONNECTIONS: u32 = 20;
    // One more for stats; and as in memcached one for the listener, and one that stays free.
    let limit = (CONNECTIONS + 1 + 2).to_string();
    let server = Server::start_with_shard_ports(shards, &["-c", &limit]);
    let last = shards - 1;
    let mut common = server.connect();
    common.ask("get nothing\r\n", "END\r\n"); // the one that looked whether the server listens is gone by then
    crate::harness::wait_for("one connection", || (common.stat("curr_connections") == 1).then_some(()));
    let mut conns: Vec<Conn> = (0..CONNECTIONS).map(|_| server.connect_to_shard(last)).collect();
    conns.iter_mut().for_each(|conn| conn.ask("get nothing\r\n", "END\r\n"));
    let counts = of_shards(&mut common, shards, "curr_connections");
    assert!(counts[last as usize] >= CONNECTIONS.into(), "{counts:?}");
    assert_eq!(counts.iter().sum::<u64>(), u64::from(CONNECTIONS + 1), "{counts:?}");
    server.connect_to_shard(0).ask("", "ERROR Too many open connections\r\n");
}

fn every_address_has_shard_ports(shards: u32) {
    let (first, threads) = (free_ports(shards).to_string(), shards.to_string());
    let addresses = "localhost,127.0.0.1,[::1]";
    let options =
        ["--partition", "crc32a", "--shard-ports", &first, "-p", "0", "-l", addresses, "-t", &threads];
    let server = Server::listening(server_command(&options));
    // Each once, whatever names it was given.
    assert_eq!(server.shard_addresses.len(), 2 * shards as usize, "{:?}", server.shard_addresses);
    for (i, address) in server.shard_addresses.iter().enumerate() {
        let shard = i as u32 / 2;
        assert_eq!(u32::from(address.port()), first.parse::<u32>().expect("a port") + shard);
        let own: Vec<u32> = (0..100).filter(|i| crc32(key(*i).as_bytes()) % shards == shard).collect();
        let mut conn = Conn::open_tcp(*address).expect("a shard port");
        own.iter().for_each(|i| use_key(&mut conn, *i));
        assert_eq!(of_shards(&mut conn, shards, "cmd_forwarded"), vec![0; shards as usize], "{address}");
    }
    assert_eq!(server.shard_addresses.iter().filter(|address| address.is_ipv6()).count(), shards as usize);
    let said = server.stderr();
    assert!(said.contains(&format!("tcp6:[::1]:{first} and {} more port", shards - 1)), "{said}");
}

fn ports_that_cannot_be_had_are_named(shards: u32) {
    // The last shard's is taken.
    let (below, threads) = (free_ports(2 * shards - 1), shards.to_string());
    let first = below + shards as u16 - 1;
    let _holder = Server::start(shards, &["--shard-ports", &first.to_string()]);
    let below = below.to_string();
    let output = run(&["-p", "-1", "-l", "127.0.0.1", "-t", &threads, "--shard-ports", &below]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{words}");
    let start = format!(
        "cannot listen on 127.0.0.1:{first}, the port of shard {}: Address already in use",
        shards - 1
    );
    assert!(words.contains(&start) && words.contains("choose another with"), "{words}");
}

#[test]
fn a_port_without_a_shard_is_refused() {
    let output = run(&["-m", "1", "-I", "1k", "-l", "127.0.0.1", "-t", "16", "--shard-ports", "12000"]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{words}");
    let sentence = "--shard-ports: -m is enough for 8 of 16 shards, so there would be no shard for the ports 12008 to 12015: \
                    raise -m to 2 or lower -t to 8";
    assert!(words.contains(sentence), "{words}");
}

/// Each address has two sockets on each shard, its own and that of all.
#[test]
fn too_many_addresses_are_refused() {
    let addresses: Vec<String> = (1..=33).map(|last| format!("127.0.0.{last}")).collect();
    let (addresses, first) = (addresses.join(","), free_ports(1).to_string());
    let output = run(&["-p", "-1", "-l", &addresses, "-t", "1", "--shard-ports", &first]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{words}");
    assert!(words.contains("66 sockets for each shard, and at most 64 are listened on"), "{words}");
}
