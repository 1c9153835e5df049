//! Opens what the options say is listened on, before any shard runs: an address that cannot be had ends the start.

use super::addresses;
use crate::net::bpf::Program;
use crate::net::datagrams::listen_udp;
use crate::net::listener::{ListenError, Way, listen_shard_port, listen_tcp, listen_unix};
use crate::options::{Listen, ListenAddress, Options, Partition, Steer};
use crate::shard::start::ShardSockets;
use crate::shard::steering;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};

/// Addresses a shard can listen on: a bit for each in its list of armed accepts, and in that of armed receives of UDP.
const LISTENERS_MAX: usize = 64;

/// All sockets that clients find.
pub struct Sockets {
    /// Those of each shard.
    pub shards: Vec<ShardSockets>,
    /// Their addresses.
    pub bound: Bound,
    /// What the kernel refused, so that connections or datagrams are not steered; each once.
    pub notices: Vec<String>,
}

/// The addresses that are listened on, each once however many shards share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// TCP.
    pub tcp: Vec<SocketAddr>,
    /// UDP.
    pub udp: Vec<SocketAddr>,
    /// Shard 0's own port on each address; that of shard i is the port i above.
    pub shard_ports: Vec<SocketAddr>,
}

impl Bound {
    /// The ports that clients may take for servers: those of the shards, otherwise the one in common; none without TCP.
    pub fn node_ports(&self, shards: usize) -> Vec<u16> {
        match self.shard_ports.first() {
            Some(first) => (first.port()..=u16::MAX).take(shards).collect(),
            None => self.tcp.first().map(SocketAddr::port).into_iter().collect(),
        }
    }

    /// The addresses of a shard's own port.
    pub fn of_shard(&self, shard: u16) -> impl Iterator<Item = SocketAddr> {
        self.shard_ports.iter().map(move |first| SocketAddr::new(first.ip(), first.port() + shard))
    }
}

impl Sockets {
    /// Opens them: TCP and UDP on every shard, on each shard its own port, a UNIX socket on shard 0.
    ///
    /// # Errors
    /// The first address that cannot be resolved or listened on.
    pub fn open(options: &Options, shards: usize) -> Result<Sockets, Box<dyn Error>> {
        let mut sockets = Sockets {
            shards: (0..shards).map(|_| ShardSockets::default()).collect(),
            bound: Bound::default(),
            notices: Vec::new(),
        };
        let backlog = options.backlog.min(i32::MAX as u32) as i32;
        // First, before the kernel chooses a port for anybody else.
        for address in &options.shard_ports {
            sockets.open_shard_ports(address, backlog)?;
        }
        match &options.listen {
            Listen::Unix { path, mode } => {
                sockets.shards[0].listeners.push(listen_unix(path, *mode, backlog, options.protocol)?);
            }
            Listen::Tcp(addresses) => {
                let program = (options.steer == Steer::Cpu)
                    .then(|| (Way::Core, steering::by_receiving_core(&options.cores[..shards])));
                for address in addresses {
                    let bound = sockets.open_tcp(address, backlog, program.as_ref())?;
                    sockets.bound.tcp.extend(bound);
                }
            }
        }
        let program = (Way::SourcePort, steering::by_source_port(shards));
        for address in &options.source_port {
            sockets.open_tcp(address, backlog, Some(&program))?;
        }
        if let Some(name) = &options.congestion {
            let mut listeners = sockets.shards.iter().flat_map(|shard| &shard.listeners);
            listeners.try_for_each(|listener| listener.set_congestion(name))?;
        }
        for address in &options.udp {
            sockets.open_udp(address, options.partition)?;
        }
        let most = |shard: &ShardSockets| shard.listeners.len().max(shard.datagrams.len());
        match sockets.shards.first().map_or(0, most) {
            n if n > LISTENERS_MAX => {
                Err(format!(
                    "-l, --listen: {n} sockets for each shard, and at most {LISTENERS_MAX} are listened on: name fewer \
                     addresses"
                )
                .into())
            }
            _ => Ok(sockets),
        }
    }

    /// Opens an address on every shard. Where the kernel refuses the program, connections come by chance.
    fn open_tcp(
        &mut self,
        address: &ListenAddress,
        backlog: i32,
        program: Option<&(Way, Program)>,
    ) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
        let (shards, notices) = (&mut self.shards, &mut self.notices);
        bind_each(address, |ip, port| {
            let (port, mut listeners) = listen_tcp(ip, port, shards.len(), backlog, address.protocol)?;
            if let (Some((way, program)), Some(first)) = (program, listeners.first()) {
                match program.attach(first) {
                    Ok(()) => listeners.iter_mut().for_each(|listener| listener.way = *way),
                    Err(error) => unsteered(notices, "connections", &error),
                }
            }
            shards.iter_mut().zip(listeners).for_each(|(shard, listener)| shard.listeners.push(listener));
            Ok(port)
        })
    }

    fn open_shard_ports(&mut self, address: &ListenAddress, backlog: i32) -> Result<(), Box<dyn Error>> {
        let known = &self.bound.shard_ports;
        let shards = &mut self.shards;
        let bound = bind_each(address, |ip, first| {
            // Two names of one address.
            if known.contains(&SocketAddr::new(ip, first)) {
                return Ok(first);
            }
            for ((number, shard), port) in shards.iter_mut().enumerate().zip(first..=u16::MAX) {
                let listener = listen_shard_port(number, (ip, port).into(), backlog, address.protocol)?;
                shard.listeners.push(listener);
            }
            Ok(first)
        })?;
        let new: Vec<SocketAddr> = bound.into_iter().filter(|address| !known.contains(address)).collect();
        self.bound.shard_ports.extend(new);
        Ok(())
    }

    fn open_udp(&mut self, address: &ListenAddress, partition: Partition) -> Result<(), Box<dyn Error>> {
        let (shards, notices) = (&mut self.shards, &mut self.notices);
        let bound = bind_each(address, |ip, port| {
            let (port, sockets) = listen_udp(ip, port, shards.len(), address.protocol)?;
            if let Some(first) = sockets.first()
                && let Err(error) = steering::steer_datagrams(first, partition, shards.len())
            {
                unsteered(notices, "datagrams", &error);
            }
            shards.iter_mut().zip(sockets).for_each(|(shard, socket)| shard.datagrams.push(socket));
            Ok(port)
        })?;
        self.bound.udp.extend(bound);
        Ok(())
    }

    /// The names of what is listened on, for a person.
    pub fn names(&self) -> String {
        let shard = self.shards.first();
        let others = self.shards.len() - 1;
        let listeners = shard.iter().flat_map(|shard| &shard.listeners).map(|listener| match others {
            1.. if listener.way == Way::ShardPort => {
                format!("{} and {others} more ports for the other shards", listener.name)
            }
            _ => listener.name.clone(),
        });
        let datagrams = shard.iter().flat_map(|shard| &shard.datagrams).map(|socket| socket.name.clone());
        let names: Vec<_> = listeners.chain(datagrams).collect();
        if names.is_empty() { "nothing".into() } else { names.join(", ") }
    }
}

/// The kernel does not run a program for some sockets: everything works, with more requests that change cores.
fn unsteered(notices: &mut Vec<String>, what: &str, error: &std::io::Error) {
    let text = format!(
        "warning: the kernel does not steer {what} ({error}): they meet their shard by chance, and requests for another \
         shard's keys change cores; SO_ATTACH_REUSEPORT_CBPF must be allowed, and net.core.optmem_max 20480 or more"
    );
    if !notices.contains(&text) {
        notices.push(text);
    }
}

/// Binds each address that a name stands for with `bind`, which returns the port. The host may lack some of them; one is
/// enough.
fn bind_each(
    address: &ListenAddress,
    mut bind: impl FnMut(IpAddr, u16) -> Result<u16, ListenError>,
) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    let mut port = address.port;
    let mut missing = None;
    let mut found = Vec::new();
    for wanted in addresses::resolve(address)? {
        match bind(wanted.ip(), port) {
            Ok(bound) => {
                port = bound; // a free port is the same for both families
                found.push(SocketAddr::new(wanted.ip(), bound));
            }
            Err(error) if error.is_family_missing() => missing = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    match missing {
        Some(error) if found.is_empty() => Err(error.into()),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_ports_reach_to_the_last_port() {
        let mut bound = Bound { tcp: vec!["0.0.0.0:11211".parse().unwrap()], ..Bound::default() };
        assert_eq!(bound.node_ports(3), [11211]);
        bound.shard_ports = vec!["[::1]:65533".parse().unwrap()];
        assert_eq!(bound.node_ports(3), [65533, 65534, 65535]);
        assert_eq!(bound.of_shard(2).collect::<Vec<_>>(), ["[::1]:65535".parse().unwrap()]);
        assert_eq!(Bound::default().node_ports(3), []);
    }
}
