//! How connections and datagrams find their shard: evenly, by the core that receives them, by the port they come from, by the
//! key in them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::binary::client::request;
use crate::datagram::{ask, receive_message, send};
use crate::harness::{Conn, Server, free_ports, server_command, wait_for};
use crate::namespace::Namespace;
use crate::shard_ports::{crc32, fnv1a_32, fnv1a_64, key, of_shards, use_key};
use ringcached::protocol::binary::opcode;

on_counts! { connections_are_spread_evenly on_2 2 on_3 3 on_4 4 }
on_counts! { the_source_port_chooses_the_shard on_2 2 on_3 3 on_4 4 on_7 7 }
on_counts! { a_datagram_finds_its_key on_2 2 on_3 3 on_4 4 }

/// As many connections on each shard, to one, for a few as for many, also when half of them have gone.
fn connections_are_spread_evenly(shards: u32) {
    let server = Server::start(shards, &["-c", "4000"]);
    let mut control = server.connect();
    let mut conns: Vec<Conn> = Vec::new();
    for wanted in [8, 2_000, 100, 700] {
        conns.truncate(wanted);
        let before = conns.len();
        let is_settled = |control: &mut Conn, count: usize| {
            wait_for("all connections to be placed", || {
                let counts = of_shards(control, shards, "curr_connections");
                (counts.iter().sum::<u64>() == count as u64 + 1).then_some(counts)
            })
        };
        is_settled(&mut control, before);
        conns.extend((before..wanted).map(|_| server.connect()));
        let counts = is_settled(&mut control, wanted);
        let (least, most) = (counts.iter().min(), counts.iter().max());
        let spread = most.expect("a shard") - least.expect("a shard");
        // Who goes chooses where. Otherwise two shards that decide within the same turn may both choose the same third.
        let allowed = if before < wanted { 1 + u64::from(shards > 2) } else { u64::MAX };
        assert!(spread <= allowed, "{wanted} connections: {counts:?}");
    }
}

/// A connection to `to` from a port that is `remainder` modulo `shards`.
pub fn connect_from(to: SocketAddr, shards: u16, remainder: u16) -> Conn {
    let host = if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    wait_for("a free port", || {
        let port = free_ports(u32::from(shards));
        let port = port + (remainder + shards - port % shards) % shards;
        Conn::open_tcp_from(SocketAddr::new(host, port), to)
    })
}

fn the_source_port_chooses_the_shard(shards: u32) {
    const EACH: u32 = 12;
    let (port, threads) = (free_ports(1), shards.to_string());
    let words = port.to_string();
    let options = ["-p", "-1", "-l", "127.0.0.1,::1", "-t", &threads];
    let steering = ["--source-port-steering", &words, "--partition", "crc32a"];
    let server = Server::listening(server_command(&[&options[..], &steering[..]].concat()));
    let hosts =
        [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    let mut control = server.connect();
    let placed = |control: &mut Conn| of_shards(control, shards, "placed_connections").iter().sum::<u64>();
    let before = placed(&mut control);
    let mut conns: Vec<(u32, Conn)> = Vec::new();
    for host in hosts {
        for i in 0..EACH * shards {
            let shard = i % shards;
            conns.push((shard, connect_from(host, shards as u16, shard as u16)));
        }
    }
    for (i, (shard, conn)) in conns.iter_mut().enumerate() {
        let own = (i as u32 * 50..).filter(|i| crc32(key(*i).as_bytes()) % shards == *shard);
        own.take(5).for_each(|i| use_key(conn, i));
    }
    assert_eq!(placed(&mut control), before + u64::from(2 * EACH * shards));
    assert_eq!(of_shards(&mut control, shards, "cmd_forwarded"), vec![0; shards as usize]);
    assert_eq!(of_shards(&mut control, shards, "misrouted"), vec![0; shards as usize]);
    let local = of_shards(&mut control, shards, "cmd_local");
    assert_eq!(local, vec![u64::from(2 * EACH * 5 * 5); shards as usize]);
    // A key of another shard is served, and counted as the client's mistake.
    let foreign = (0..).find(|i| crc32(key(*i).as_bytes()) % shards == 1).expect("a key");
    use_key(&mut conns[0].1, foreign);
    assert_eq!(of_shards(&mut control, shards, "misrouted")[0], 5);
}

/// Keys of 1 to 250 bytes, those in front with bytes that C takes for negative.
fn keys(shards: u32) -> Vec<Vec<u8>> {
    // With other counts than powers of two programs are longer, and keys are followed a little less far.
    let longest = if shards.is_power_of_two() { 250 } else { 230 };
    let byte = |i: usize, at: usize| match (i * 7 + at * 13) % 96 {
        n if at % 5 == 3 && i.is_multiple_of(2) => 0x80 + n as u8,
        n => b'!' + (n % 94) as u8,
    };
    (1..=longest).map(|len| (0..len).map(|at| byte(len, at)).collect()).collect()
}

/// Under a partition that the kernel can compute, a datagram comes to the shard that has its key, whatever asks for it.
fn a_datagram_finds_its_key(shards: u32) {
    // The second is refused with 3 shards.
    let functions = [("fnv1a_32", fnv1a_32 as fn(&[u8]) -> u32), ("fnv1a_64", fnv1a_64)];
    for (word, hash) in &functions[..if shards == 3 { 1 } else { 2 }] {
        let server = Server::start_with_shard_ports(shards, &["--partition", word, "-U", "-1"]);
        let mut homes: Vec<Conn> = (0..shards).map(|shard| server.connect_to_shard(shard)).collect();
        let socket = server.udp_socket();
        let keys = keys(shards);
        for key in &keys {
            let home = &mut homes[(hash(key) % shards) as usize];
            home.ask([b"set ", &key[..], b" 0 0 1\r\nx\r\n"].concat(), "STORED\r\n");
            let value = [b"VALUE ", &key[..], b" 0 1\r\nx\r\nEND\r\n"].concat();
            ask(&socket, 1, [b"get ", &key[..], b"\r\n"].concat(), &value);
            ask(&socket, 2, [b"mg ", &key[..], b" v\r\n"].concat(), "VA 1\r\nx\r\n");
            send(&socket, 3, [b"gets ", &key[..], b"\r\n"].concat());
            let answer = receive_message(&socket, 3);
            assert!(answer.ends_with(b"\r\nx\r\nEND\r\n") && answer.len() > value.len(), "{answer:?}");
            for code in [opcode::GET, opcode::GETK] {
                send(&socket, 4, request(code, b"", key, b"", 0));
                assert!(receive_message(&socket, 4).ends_with(b"x"));
            }
        }
        let conn = &mut homes[0];
        assert_eq!(of_shards(conn, shards, "udp_received").iter().sum::<u64>(), 5 * keys.len() as u64);
        assert_eq!(of_shards(conn, shards, "cmd_forwarded"), vec![0; shards as usize], "{word}");
        assert_eq!(of_shards(conn, shards, "cmd_local").iter().sum::<u64>(), 6 * keys.len() as u64);
        // Anything else is served wherever it comes.
        for key in &keys[..100] {
            ask(&socket, 5, [b"touch ", &key[..], b" 0\r\n"].concat(), "TOUCHED\r\n");
            ask(
                &socket,
                6,
                [b"get  ", &key[..], b"\r\n"].concat(),
                [b"VALUE ", &key[..], b" 0 1\r\nx\r\nEND\r\n"].concat(),
            );
        }
    }
}

/// `--steer cpu` on a link whose packets are spread over the cores by the kernel (RPS).
#[test]
fn the_receiving_core_chooses_the_shard() {
    const CONNECTIONS: u64 = 40;
    let cores = core_count();
    assert!(cores >= 2, "this test needs two cores");
    let (servers, clients) = (Namespace::new(), Namespace::new());
    servers.link(("server", "10.77.0.1/24"), &clients, ("client", "10.77.0.2/24"));
    let server = servers.run(|| {
        Server::listening(server_command(&["-p", "-1", "-t", "2", "--cores", "0,1", "--steer", "cpu"]))
    });
    let address = SocketAddr::from(([10, 77, 0, 1], server.port()));
    let mut control = clients.run(|| Conn::open_tcp(address)).expect("the server, over the link");
    // Those so far came before the packets were spread: each packet on the core of whoever sent it.
    let elsewhere = |control: &mut Conn| {
        let (placed, own) =
            (of_shards(control, 2, "placed_connections"), of_shards(control, 2, "placed_on_receiving_core"));
        placed.iter().zip(&own).map(|(placed, own)| placed - own).collect::<Vec<_>>()
    };
    let elsewhere_before = elsewhere(&mut control);
    let mut before = of_shards(&mut control, 2, "placed_connections");
    for mask in ["1", "2", "3"] {
        servers.run(|| {
            std::fs::write("/sys/class/net/server/queues/rx-0/rps_cpus", mask)
                .expect("receive packet steering");
        });
        let mut conns: Vec<Conn> = clients
            .run(|| (0..CONNECTIONS).map(|_| Conn::open_tcp(address).expect("a connection")).collect());
        conns.iter_mut().for_each(|conn| conn.ask("get nothing\r\n", "END\r\n"));
        let now = of_shards(&mut control, 2, "placed_connections");
        let placed: Vec<u64> = now.iter().zip(&before).map(|(now, before)| now - before).collect();
        before = now;
        match mask {
            "1" => assert_eq!(placed[1], 0, "{placed:?}"),
            "2" => assert_eq!(placed[0], 0, "{placed:?}"),
            _ => assert!(placed.iter().all(|&n| n >= CONNECTIONS / 8), "{placed:?}"),
        }
    }
    assert_eq!(elsewhere(&mut control), elsewhere_before, "all of these met the core that receives them");
}

fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
