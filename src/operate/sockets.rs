//! Opens what the options say is listened on, before any shard runs: an address that cannot be had ends the start. Sockets
//! that the service manager has passed are taken in place of those that would be opened at the same address.

use super::addresses;
use crate::net::bpf::Program;
use crate::net::datagrams::{DatagramSocket, listen_passed_udp, listen_udp};
use crate::net::listener::{
    ListenError, Listener, Way, listen_alone, listen_passed, listen_shard_port, listen_tcp, listen_unix,
};
use crate::net::passed::{PassedSockets, Place};
use crate::options::spec::OptionSpec;
use crate::options::table::{ADMIN, LISTEN};
use crate::options::{Listen, ListenAddress, Options, Partition, Steer};
use crate::shard::parts::ShardSockets;
use crate::shard::steering;
use std::error::Error;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// Addresses a shard can listen on: a bit for each in its list of armed accepts, and in that of armed receives of UDP.
const LISTENERS_MAX: usize = 64;

/// Connections of operators that may wait to be accepted, while others are served.
const ADMIN_BACKLOG: i32 = 128;

/// All sockets that clients find.
pub struct Sockets {
    /// Those of each shard.
    pub shards: Vec<ShardSockets>,
    /// Those of `--admin`; they do not block.
    pub admin: Vec<TcpListener>,
    /// Their addresses.
    pub bound: Bound,
    /// What the kernel refused, so that connections or datagrams are not steered; each once.
    pub notices: Vec<String>,
    /// Those that were passed and not yet taken.
    passed: PassedSockets,
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
    /// HTTP for operators.
    pub admin: Vec<SocketAddr>,
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
            admin: Vec::new(),
            bound: Bound::default(),
            notices: Vec::new(),
            passed: PassedSockets::of_this_process()?,
        };
        let backlog = options.backlog.min(i32::MAX as u32) as i32;
        // First, before the kernel chooses a port for anybody else.
        for address in &options.shard_ports {
            sockets.open_shard_ports(address, backlog)?;
        }
        match &options.listen {
            Listen::Unix { path, mode } => {
                let passed = sockets.passed.take(&Place::Unix(path.clone()));
                if passed.is_empty() {
                    add(&mut sockets.shards, listen_unix(path, *mode, shards, backlog, options.protocol)?);
                }
                for round in listen_passed(passed, shards, backlog, options.protocol)? {
                    add(&mut sockets.shards, round);
                }
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
        if let Some(address) = &options.admin {
            sockets.open_admin(address)?;
        }
        sockets.passed.check_all_taken()?;
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

    /// Opens an address on every shard. Where the kernel does not run the program, connections come by chance, and whoever
    /// accepts one hands it on by the same rule.
    fn open_tcp(
        &mut self,
        address: &ListenAddress,
        backlog: i32,
        program: Option<&(Way, Program)>,
    ) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
        let (shards, passed) = (&mut self.shards, &mut self.passed);
        bind_each(address, &LISTEN, |ip, port| {
            let place = Place::Tcp(SocketAddr::new(ip, port));
            if passed.covers(&place) {
                return Ok(port);
            }
            let (n, protocol) = (shards.len(), address.protocol);
            let mut rounds = listen_passed(passed.take(&place), n, backlog, protocol)?;
            let mut bound = port;
            if rounds.is_empty() {
                let (port, listeners) = listen_tcp(ip, port, n, backlog, protocol)?;
                bound = port;
                rounds.push(listeners);
            }
            for mut round in rounds {
                if let (Some((way, program)), Some(first)) = (program, round.first()) {
                    // It saves the handing on; one socket alone, which was passed, takes none.
                    let _ = first.attach(program);
                    round.iter_mut().for_each(|listener| listener.way = *way);
                }
                add(shards, round);
            }
            Ok(bound)
        })
    }

    fn open_shard_ports(&mut self, address: &ListenAddress, backlog: i32) -> Result<(), Box<dyn Error>> {
        let known = &self.bound.shard_ports;
        let (shards, passed) = (&mut self.shards, &mut self.passed);
        let bound = bind_each(address, &LISTEN, |ip, first| {
            // Two names of one address.
            if known.contains(&SocketAddr::new(ip, first)) {
                return Ok(first);
            }
            for ((number, shard), port) in shards.iter_mut().enumerate().zip(first..=u16::MAX) {
                let own = SocketAddr::new(ip, port);
                if passed.covers(&Place::Tcp(own)) {
                    continue;
                }
                // For a single shard: a second socket of the same port stays untaken, and is refused.
                let rounds = listen_passed(passed.take_one(&Place::Tcp(own)), 1, backlog, address.protocol)?;
                let mut listener = match rounds.into_iter().flatten().next() {
                    Some(listener) => listener,
                    None => listen_shard_port(number, own, backlog, address.protocol)?,
                };
                listener.way = Way::ShardPort;
                shard.listeners.push(listener);
            }
            Ok(first)
        })?;
        let new: Vec<SocketAddr> = bound.into_iter().filter(|address| !known.contains(address)).collect();
        self.bound.shard_ports.extend(new);
        Ok(())
    }

    fn open_udp(&mut self, address: &ListenAddress, partition: Partition) -> Result<(), Box<dyn Error>> {
        let (shards, notices, passed) = (&mut self.shards, &mut self.notices, &mut self.passed);
        let bound = bind_each(address, &LISTEN, |ip, port| {
            let own = SocketAddr::new(ip, port);
            if passed.covers(&Place::Udp(own)) {
                return Ok(port);
            }
            let mut bound = port;
            let mut sockets: Vec<DatagramSocket> = passed
                .take(&Place::Udp(own))
                .into_iter()
                .map(|socket| listen_passed_udp(socket, own, address.protocol))
                .collect();
            if sockets.is_empty() {
                (bound, sockets) = listen_udp(ip, port, shards.len(), address.protocol)?;
            }
            if let Some(first) = sockets.first()
                && let Err(error) = steering::steer_datagrams(first, partition, shards.len())
            {
                unsteered(notices, &error);
            }
            let n = shards.len();
            sockets.into_iter().enumerate().for_each(|(i, socket)| shards[i % n].datagrams.push(socket));
            Ok(bound)
        })?;
        self.bound.udp.extend(bound);
        Ok(())
    }

    fn open_admin(&mut self, address: &ListenAddress) -> Result<(), Box<dyn Error>> {
        let (admin, passed) = (&mut self.admin, &mut self.passed);
        let bound = bind_each(address, &ADMIN, |ip, port| {
            let own = SocketAddr::new(ip, port);
            if passed.covers(&Place::Tcp(own)) {
                return Ok(port);
            }
            let listener = listen_alone(own, passed.take_one(&Place::Tcp(own)).pop(), ADMIN_BACKLOG)?;
            let bound = listener.local_addr().map_or(port, |local| local.port());
            admin.push(listener);
            Ok(bound)
        })?;
        self.bound.admin = bound;
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
        let admin = self.bound.admin.iter().map(|address| format!("http:{address}"));
        let names: Vec<_> = listeners.chain(datagrams).chain(admin).collect();
        if names.is_empty() { "nothing".into() } else { names.join(", ") }
    }
}

/// Gives each shard its listener of one address.
fn add(shards: &mut [ShardSockets], listeners: Vec<Listener>) {
    shards.iter_mut().zip(listeners).for_each(|(shard, listener)| shard.listeners.push(listener));
}

/// The kernel does not run a program for datagrams: everything works, with more requests that change cores.
fn unsteered(notices: &mut Vec<String>, error: &std::io::Error) {
    let text = format!(
        "the kernel does not steer datagrams ({error}): they meet their shard by chance, and requests for another \
         shard's keys change cores; SO_ATTACH_REUSEPORT_CBPF must be allowed, net.core.optmem_max 20480 or more, and a service \
         manager has to pass one socket for each shard (ReusePort=yes)"
    );
    if !notices.contains(&text) {
        notices.push(text);
    }
}

/// Binds each address that a name stands for with `bind`, which returns the port. The host may lack some of them; one is
/// enough.
fn bind_each(
    address: &ListenAddress,
    asked_by: &OptionSpec,
    mut bind: impl FnMut(IpAddr, u16) -> Result<u16, ListenError>,
) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    let mut port = address.port;
    let mut missing = None;
    let mut found = Vec::new();
    for wanted in addresses::resolve(address, asked_by)? {
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
        assert!(Bound::default().node_ports(3).is_empty());
    }
}
