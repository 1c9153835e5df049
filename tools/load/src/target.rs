//! The server: where it is, how many shards it has, and sockets that lead to it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::SockRef;

use crate::args::Args;
use crate::protocol::Protocol;

/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// Congestion control of the load's own sockets. It is in every kernel, and sends at once: others, BBR among them, set a timer for
/// each packet, which would count as the generator's work.
const CONGESTION: &[u8] = b"reno";
/// Room for the answers of all gets that may come at once.
const DATAGRAM_BUFFER_BYTES: usize = 1 << 20;
/// Descriptors beside connections.
const DESCRIPTORS_BESIDE: u64 = 256;

/// How connections find the shards.
#[derive(Clone, Copy, Debug)]
enum Route {
    Plain,
    ShardPorts(u16),
    SourcePorts,
}

/// See the module comment.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    route: Route,
    /// Shards that connections are divided among; none where they serve any key.
    pub shards: Option<u16>,
}

/// A socket and the shard that it leads to.
#[derive(Debug)]
#[allow(missing_docs, reason = "the sentence above")]
pub struct Socket {
    pub fd: OwnedFd,
    pub shard: Option<u16>,
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Target {
    /// The server that `args` names.
    ///
    /// # Errors
    /// No such host, or a server that does not say how many shards it has.
    pub fn find(args: &Args) -> Result<Target> {
        let name = &args.server;
        let mut addresses =
            name.to_socket_addrs().with_context(|| format!("--server {name}: not HOST:PORT"))?;
        let address = addresses.next().with_context(|| format!("--server {name} has no address"))?;
        let route = match args.shard_ports {
            Some(base) => Route::ShardPorts(base),
            None if args.source_ports => Route::SourcePorts,
            None => Route::Plain,
        };
        let shards = match (route, args.shards) {
            (Route::Plain, _) => None,
            (_, Some(shards)) => Some(shards),
            (_, None) => Some(
                ringcached_steered::shard_count(address)
                    .context("finding the number of shards; or give --shards")?,
            ),
        };
        match (route, shards) {
            (Route::ShardPorts(base), Some(shards)) if base.checked_add(shards - 1).is_none() => {
                bail!("--shard-ports {base}: {shards} ports from there on go beyond 65535")
            }
            _ => Ok(Target { address, route, shards }),
        }
    }

    /// `count` sockets, divided evenly among the shards.
    ///
    /// # Errors
    /// What the system says, with the number of the connection.
    pub fn connect(&self, count: usize, protocol: Protocol) -> Result<Vec<Socket>> {
        allow_descriptors(count as u64 + DESCRIPTORS_BESIDE)?;
        (0..count)
            .map(|i| {
                self.connect_one(i, protocol).with_context(|| format!("connection {} of {count}", i + 1))
            })
            .collect()
    }

    fn connect_one(&self, i: usize, protocol: Protocol) -> Result<Socket> {
        let shard = self.shards.map(|shards| (i % usize::from(shards)) as u16);
        if protocol == Protocol::Udp {
            let any = if self.address.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(self.address).with_context(|| format!("{}", self.address))?;
            let _ = SockRef::from(&socket).set_recv_buffer_size(DATAGRAM_BUFFER_BYTES); // less loses more
            return Ok(Socket { fd: socket.into(), shard: None });
        }
        let plain = |address: SocketAddr| {
            TcpStream::connect_timeout(&address, CONNECTS_WITHIN).with_context(|| format!("{address}"))
        };
        let stream = match (self.route, shard) {
            (Route::ShardPorts(base), Some(shard)) => {
                plain(SocketAddr::new(self.address.ip(), base + shard))?
            }
            (Route::SourcePorts, Some(shard)) => {
                ringcached_steered::connect(self.address, self.shards.unwrap_or(1), shard)?
            }
            _ => plain(self.address)?,
        };
        stream.set_nodelay(true)?;
        let _ = SockRef::from(&stream).set_tcp_congestion(CONGESTION); // the system's own works too
        Ok(Socket { fd: stream.into(), shard })
    }
}

/// Raises the limit of open files if it has to be.
fn allow_descriptors(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if wanted > soft {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).with_context(|| {
            format!("{wanted} open files, where {hard} are allowed: raise it with `ulimit -n`")
        })?;
    }
    Ok(())
}
