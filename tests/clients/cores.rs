//! Clients that see each core as a server: by modula over the shard ports, or by the list of `config get cluster`. What no
//! client may cause is a hop from core to core.

use super::{python, run};
use crate::harness::{Server, free_ports, server_command};

on_counts! { pylibmc_fnv1a_32_text on_2 2 on_3 3 on_4 4 }
on_counts! { pylibmc_fnv1a_32_binary on_2 2 on_3 3 on_4 4 }
on_counts! { pylibmc_fnv1a_64_text on_2 2 on_4 4 }
on_counts! { pymemcache_crc32a_text on_2 2 on_3 3 on_4 4 }
on_counts! { elastipymemcache_discovers on_1 1 on_2 2 on_4 4 }
on_counts! { emcache_discovers on_1 1 on_2 2 on_4 4 }

fn pylibmc_fnv1a_32_text(shards: u32) {
    modula(shards, "text", "fnv1a_32");
}

fn pylibmc_fnv1a_32_binary(shards: u32) {
    modula(shards, "binary", "fnv1a_32");
}

fn pylibmc_fnv1a_64_text(shards: u32) {
    modula(shards, "text", "fnv1a_64");
}

fn pymemcache_crc32a_text(shards: u32) {
    modula(shards, "pymemcache", "crc32a");
}

fn elastipymemcache_discovers(shards: u32) {
    discovery(shards, "elastipymemcache");
}

fn emcache_discovers(shards: u32) {
    discovery(shards, "emcache");
}

/// The client's hash is the partition: every request is at home.
fn modula(shards: u32, client: &str, hash: &str) {
    let server = Server::start_with_shard_ports(shards, &["--partition", hash]);
    tour("modula_tour.py", server.shard_addresses[0].port(), shards, &[client, hash]);
    no_hops(&server, shards);
}

/// The client distributes as it likes. With a keyspace for each port no request hops; with one for all, some do and all are
/// answered.
fn discovery(shards: u32, client: &str) {
    let (first, threads) = (free_ports(shards).to_string(), shards.to_string());
    let options = ["--partition", "isolated", "--shard-ports", &first, "-l", "127.0.0.1", "-t", &threads];
    let server = Server::listening(server_command(&options));
    tour("discovery_tour.py", server.shard_addresses[shards as usize - 1].port(), shards, &[client]);
    no_hops(&server, shards);

    let server = Server::start_with_shard_ports(shards, &[]);
    tour("discovery_tour.py", server.port(), shards, &[client]);
    let stats = server.connect().stats("shards");
    let misrouted = stats.iter().filter(|(name, _)| name.ends_with(":misrouted"));
    assert_eq!(misrouted.filter(|(_, value)| value != "0").count() > 0, shards > 1, "{stats:?}");
}

fn tour(program: &str, port: u16, shards: u32, arguments: &[&str]) {
    let mut command = python(program);
    let said = run(command.args([port.to_string(), shards.to_string()]).args(arguments));
    assert!(said.ends_with("all passed\n"), "{said}");
}

fn no_hops(server: &Server, shards: u32) {
    let stats = server.connect().stats("shards");
    let of = |name: &str| -> Vec<u64> {
        let own = stats.iter().filter(|(n, _)| n.split_once(':').is_some_and(|(_, n)| n == name));
        own.map(|(_, value)| value.parse().expect("a number")).collect()
    };
    assert_eq!(of("cmd_forwarded"), vec![0; shards as usize]);
    assert_eq!(of("misrouted"), vec![0; shards as usize]);
    assert!(of("cmd_local").iter().all(|&done| done > 100), "each has its share: {stats:?}");
}
