//! Two machines with a server of two shards each, and a third for the engine and its clients, all of them network namespaces.
//!
//! Each server machine has its own cable to the clients' machine, so that one can be cut off. Every server listens on all addresses of
//! its machine, on the same ports: machines have ports of their own.

use std::net::{SocketAddr, TcpListener};
use std::ops::Range;

use nix::sys::signal::Signal;

use crate::harness::{Conn, Server, server_command, wait_for};
use crate::namespace::Namespace;
use crate::shard_ports;

pub const HOSTS: usize = 2;
pub const SHARDS: u32 = 2;
/// The first port of shards, unless a test is about ports.
const FIRST_SHARD_PORT: u16 = 12_000;
/// The port of all shards, where there is one.
const COMMON_PORT: &str = "11311";
/// The interface of a server's machine.
const CABLE: &str = "cable";

/// The machines.
pub struct Fleet {
    /// Where the engine and its clients are.
    pub clients: Namespace,
    hosts: [Host; HOSTS],
    first_shard_port: u16,
}

/// A machine that serves.
struct Host {
    machine: Namespace,
    options: Vec<String>,
    /// None while it is dead.
    server: Option<Server>,
}

impl Fleet {
    /// Servers that divide their keys by `--partition <partition>`.
    pub fn start(partition: &str) -> Fleet {
        Fleet::start_at(FIRST_SHARD_PORT, partition)
    }

    /// With shard ports from this one on.
    pub fn start_at(first_shard_port: u16, partition: &str) -> Fleet {
        let clients = Namespace::new();
        let hosts = std::array::from_fn(|i| {
            let host = Host::new(first_shard_port, partition);
            let (name, own) = (format!("host{i}"), format!("10.78.{i}.1/24"));
            clients.link((&name, &own), &host.machine, (CABLE, &format!("{}/24", address(i))));
            host
        });
        let mut fleet = Fleet { clients, hosts, first_shard_port };
        (0..HOSTS).for_each(|host| fleet.bring_back(host));
        // Every way has been used once: addresses are resolved, and no first packet is lost.
        fleet.shard_addresses().into_iter().for_each(|shard| fleet.connect(shard).finish());
        fleet
    }

    /// Every shard port as the engine's list has it: all of one host in order, then all of the next.
    pub fn shard_addresses(&self) -> Vec<SocketAddr> {
        let of_host = |host| self.ports().map(move |port| (address(host), port));
        let all = (0..HOSTS).flat_map(of_host);
        all.map(|(host, port)| SocketAddr::new(host.parse().expect("an address"), port)).collect()
    }

    /// The shard ports of a host.
    fn ports(&self) -> Range<u16> {
        self.first_shard_port..self.first_shard_port + SHARDS as u16
    }

    /// A connection from the clients' machine.
    pub fn connect(&self, to: SocketAddr) -> Conn {
        self.clients.run(|| wait_for("a connection", || Conn::open_tcp(to)))
    }

    /// Kills the server of this host. It loses everything.
    pub fn kill(&mut self, host: usize) {
        let mut server = self.hosts[host].server.take().expect("a server to kill");
        server.signal(Signal::SIGKILL);
        server.wait_for_exit();
    }

    /// Starts the server of this host, when the kernel has taken back the ports of the one before.
    pub fn bring_back(&mut self, host: usize) {
        let ports = self.ports();
        let host = &mut self.hosts[host];
        let start = || {
            for port in ports {
                wait_for("a shard port to be free", || TcpListener::bind(("::", port)).ok());
            }
            let options: Vec<&str> = host.options.iter().map(String::as_str).collect();
            Server::listening(server_command(&options))
        };
        host.server = Some(host.machine.run(start));
    }

    /// Pulls the host's cable. Its server goes on, alone.
    pub fn cut(&self, host: usize) {
        self.hosts[host].machine.cut(CABLE);
    }

    /// Plugs it in again.
    pub fn mend(&self, host: usize) {
        self.hosts[host].machine.mend(CABLE);
    }

    /// A connection to a shard of this host that needs no cable.
    pub fn console(&self, host: usize, shard: u32) -> Conn {
        let host = &self.hosts[host];
        let server = host.server.as_ref().expect("a server that runs");
        host.machine.run(|| server.connect_to_shard(shard))
    }

    /// A value of `stats shards`, for each core of this host.
    pub fn count_of_host(&self, host: usize, name: &str) -> Vec<u64> {
        shard_ports::of_shards(&mut self.console(host, 0), SHARDS, name)
    }

    /// A value of `stats shards`, for each core of every host.
    pub fn count(&self, name: &str) -> Vec<u64> {
        (0..HOSTS).flat_map(|host| self.count_of_host(host, name)).collect()
    }

    /// Those of the keys, by number, that a shard of this host has.
    pub fn held_by(&self, host: usize, keys: impl Iterator<Item = u32>) -> Vec<u32> {
        self.hits(host, "mg", keys)
    }

    /// Deletes the keys from this host. Returns those that were there.
    pub fn delete_from(&self, host: usize, keys: impl Iterator<Item = u32>) -> Vec<u32> {
        self.hits(host, "md", keys)
    }

    /// The keys for which a shard of this host has something to answer to `verb`.
    fn hits(&self, host: usize, verb: &str, keys: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut shards: Vec<Conn> = (0..SHARDS).map(|shard| self.console(host, shard)).collect();
        let mut hits = |key: &u32| {
            let request = format!("{verb} {}\r\n", shard_ports::key(*key));
            shards.iter_mut().map(|conn| conn.ask_line(&request)).filter(|answer| answer == "HD").count() > 0
        };
        keys.filter(|key| hits(key)).collect()
    }
}

impl Host {
    fn new(first_shard_port: u16, partition: &str) -> Host {
        let (shards, first) = (SHARDS.to_string(), first_shard_port.to_string());
        let mut options = vec!["-t", &shards, "--shard-ports", &first, "--partition", partition];
        if partition != "isolated" {
            // Besides the shard ports. Where each port has its own keys there is none in common.
            options.extend(["-p", COMMON_PORT]);
        }
        let options = options.into_iter().map(String::from).collect();
        Host { machine: Namespace::new(), options, server: None }
    }
}

/// The address of a host.
fn address(host: usize) -> String {
    format!("10.78.{host}.2")
}
