//! A client's side of ringcached's `--source-port-steering`: a connection to each shard, and the shard that owns a key.
//!
//! A connection to the steering port comes to shard `p % shards`, where p is the port it comes from. So a client binds each
//! socket to a suitable port before it connects ([`connect`]), and sends each request on the connection of the shard that owns
//! its key ([`Partition::owner`]); then none changes cores. [`Steered`] does both. NAT changes source ports; behind it use
//! `--shard-ports`. `steered.py` is the same in Python.
//!
//! ```no_run
//! use ringcached_steered::{Partition, Steered};
//! use std::io::{Read, Write};
//!
//! let server = "127.0.0.1:11300".parse().expect("an address");
//! let mut shards = Steered::connect(server, Partition::Crc32a, None)?;
//! let connection = shards.of_key(b"greeting");
//! connection.write_all(b"set greeting 0 0 5\r\nhello\r\n")?;
//! let mut answer = [0; 8];
//! connection.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"STORED\r\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod partition;

pub use partition::Partition;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// Ports tried for one connection.
pub const ATTEMPTS_MAX: usize = 200;
/// Source ports are taken from here up: below, services listen. The kernel's own choices begin at 32,768.
const PORT_MIN: u16 = 16_384;
/// How long a connection and the answer to `stats shards` may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Most lines of `stats shards`: more than the most shards have.
const STATS_LINES_MAX: usize = 256 * 64;

/// A connection to each shard of one server.
pub struct Steered {
    connections: Vec<TcpStream>, // by shard
    partition: Partition,
}

impl Steered {
    /// Connects to each shard behind `server`, the port of `--source-port-steering`. Without `shards` the server is asked.
    ///
    /// # Errors
    /// What the system says of a connection, or no free port of the right remainder in [`ATTEMPTS_MAX`] attempts.
    pub fn connect(server: SocketAddr, partition: Partition, shards: Option<u16>) -> io::Result<Steered> {
        let shards = shards.map_or_else(|| shard_count(server), Ok)?;
        let connections =
            (0..shards).map(|shard| connect(server, shards, shard)).collect::<Result<_, _>>()?;
        Ok(Steered { connections, partition })
    }

    /// The connection to the shard that owns `key`.
    pub fn of_key(&mut self, key: &[u8]) -> &mut TcpStream {
        let owner = self.partition.owner(key, self.connections.len() as u16);
        &mut self.connections[usize::from(owner)]
    }

    /// The connections, by shard.
    pub fn connections(&mut self) -> &mut [TcpStream] {
        &mut self.connections
    }
}

/// A connection to shard `shard` of the `shards` behind `server`, the port of `--source-port-steering`; Nagle's delay is off.
///
/// # Errors
/// What the system says, or no free port of the right remainder in [`ATTEMPTS_MAX`] attempts.
pub fn connect(server: SocketAddr, shards: u16, shard: u16) -> io::Result<TcpStream> {
    if shard >= shards {
        return Err(io::Error::other(format!("shard {shard} of {shards}: they count from 0")));
    }
    for _ in 0..ATTEMPTS_MAX {
        let port = source_port(shards, shard, fastrand::u16(..));
        match connect_from(server, port) {
            Err(error) if is_taken(&error) => {}
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{server} from port {port}: {error}")));
            }
            Ok(stream) => return Ok(stream),
        }
    }
    let what = format!(
        "no free source port with remainder {shard} modulo {shards} in {ATTEMPTS_MAX} attempts: close some connections, \
         or connect from another address"
    );
    Err(io::Error::new(io::ErrorKind::AddrInUse, what))
}

/// A port p from [`PORT_MIN`] up with `p % shards == shard`. At random: two clients that stepped alike would meet again and again.
fn source_port(shards: u16, shard: u16, random: u16) -> u16 {
    let steps = (u16::MAX - PORT_MIN) / shards - 1; // whole rounds of remainders above PORT_MIN
    let base = PORT_MIN.next_multiple_of(shards) + (random % steps.max(1)) * shards;
    base + shard
}

/// Somebody else has the port, here or with this very server.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

fn connect_from(server: SocketAddr, port: u16) -> io::Result<TcpStream> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    // A port that lately had a connection, to whomever, is free again at once.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    socket.connect_timeout(&server.into(), WITHIN)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// The number of shards of a server: those that `stats shards` names.
///
/// # Errors
/// What the system says, or an answer that is none of ringcached's.
pub fn shard_count(server: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&server, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.write_all(b"stats shards\r\n")?;
    let mut shards = 0;
    for line in BufReader::new(stream).lines().take(STATS_LINES_MAX) {
        let line = line?;
        if line.starts_with("STAT ") && line.contains(":core ") {
            shards += 1;
        } else if !line.starts_with("STAT ") {
            break; // END, or an error
        }
    }
    if shards == 0 {
        return Err(io::Error::other(format!(
            "{server} does not answer `stats shards`: is it a ringcached?"
        )));
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_the_remainder_and_are_high() {
        for shards in [1, 2, 3, 7, 128, 256] {
            for shard in [0, shards / 2, shards - 1] {
                for random in [0, 1, 77, 32_000, u16::MAX] {
                    let port = source_port(shards, shard, random);
                    assert_eq!(port % shards, shard, "port {port}");
                    assert!(port >= PORT_MIN, "{port}");
                }
            }
        }
    }

    #[test]
    fn a_shard_that_is_not_there_is_named() {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let error = connect(server, 2, 2).expect_err("no such shard");
        assert!(error.to_string().contains("shard 2 of 2"), "{error}");
    }
}
