//! One connection: batches of requests and their answers, and the ways in which clients leave.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ringcached_load::keys::Keys;
use socket2::SockRef;

use crate::protocol::{Answer, PROTOCOLS, Protocol, Request};

/// How long any answer may take.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// How long a client tries to get in while the server has too many.
const WELCOME_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two tries.
const RETRY: Duration = Duration::from_millis(50);
/// Room for what a receive brings.
const READ_BYTES: usize = 32 << 10;

/// How a client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It says that it sends no more and waits for the server's end.
    Orderly,
    /// It closes.
    Closed,
    /// It resets the connection.
    Reset,
    /// It sends a part of a request and closes.
    HalfRequest,
    /// It sends a part of a request and resets.
    HalfRequestReset,
    /// It asks for values and resets without reading them.
    Unread,
}

/// All of them.
pub const LEAVINGS: [Leaving; 6] = [
    Leaving::Orderly,
    Leaving::Closed,
    Leaving::Reset,
    Leaving::HalfRequest,
    Leaving::HalfRequestReset,
    Leaving::Unread,
];

/// See the module comment.
pub struct Connection {
    /// What is spoken on it.
    pub protocol: Protocol,
    stream: BufReader<TcpStream>,
    /// When it was last used.
    pub used: Instant,
}

impl Connection {
    /// One of any protocol.
    ///
    /// # Errors
    /// Nobody accepts, or the server stays full for [`WELCOME_WITHIN`].
    pub fn open(address: SocketAddr, random: &mut fastrand::Rng) -> Result<Connection> {
        let protocol = PROTOCOLS[random.usize(..PROTOCOLS.len())];
        let deadline = Instant::now() + WELCOME_WITHIN;
        while Instant::now() < deadline {
            if let Some(connection) = Connection::try_open(address, protocol)? {
                return Ok(connection);
            }
            std::thread::sleep(RETRY);
        }
        bail!("the server has had too many connections for {WELCOME_WITHIN:?}")
    }

    /// Nothing if the server has too many.
    ///
    /// # Errors
    /// Nobody accepts, or an unexpected answer.
    pub fn try_open(address: SocketAddr, protocol: Protocol) -> Result<Option<Connection>> {
        let mut connection = Connection::silent(address, protocol)?;
        let greeted = connection.stream.get_mut().write_all(&protocol.greeting());
        match greeted.map_err(Into::into).and_then(|()| protocol.is_welcome(&mut connection.stream)) {
            Ok(welcome) => Ok(welcome.then_some(connection)),
            // The server has refused it and closed before it read the greeting.
            Err(error) if is_reset(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One that says nothing.
    ///
    /// # Errors
    /// Nobody accepts.
    pub fn silent(address: SocketAddr, protocol: Protocol) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        stream.set_write_timeout(Some(ANSWERS_WITHIN))?;
        Ok(Connection {
            protocol,
            stream: BufReader::with_capacity(READ_BYTES, stream),
            used: Instant::now(),
        })
    }

    /// Sends `requests` together and hands each answer on in order; none for those that are quiet.
    ///
    /// # Errors
    /// A wrong answer, none in time, what `each` says.
    pub fn exchange(
        &mut self,
        requests: &[Request],
        keys: &Keys,
        mut each: impl FnMut(usize, Option<Answer>) -> Result<()>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| self.protocol.write(request, keys, &mut bytes));
        self.stream.get_mut().write_all(&bytes).context("sending requests")?;
        for (i, request) in requests.iter().enumerate() {
            let is_quiet = matches!(request, Request::Set { quiet: true, .. });
            let answer =
                if is_quiet { None } else { Some(self.protocol.read(request, keys, &mut self.stream)?) };
            each(i, answer)?;
        }
        self.used = Instant::now();
        Ok(())
    }

    /// Waits until the server closes it; true if it does within `patience`.
    pub fn closes_within(mut self, patience: Duration) -> bool {
        let _ = self.stream.get_ref().set_read_timeout(Some(patience));
        match self.stream.read(&mut [0]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Sends bytes whose answers are not read; they must fit the sockets' buffers.
    ///
    /// # Errors
    /// The server does not take them.
    pub fn burden(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).context("sending")
    }

    /// Leaves. `half` is a request of which a part is sent, `unread` one whose answer nobody reads.
    ///
    /// # Errors
    /// The server does not end an orderly connection.
    pub fn leave(mut self, how: Leaving, half: &[u8], unread: &[u8]) -> Result<()> {
        // A server that has gone is found by the next request that is owed an answer.
        let stream = self.stream.get_mut();
        let _ = match how {
            Leaving::HalfRequest | Leaving::HalfRequestReset => stream.write_all(half),
            Leaving::Unread => stream.write_all(unread),
            _ => Ok(()),
        };
        match how {
            Leaving::Orderly => {
                stream.shutdown(Shutdown::Write)?;
                if !self.closes_within(ANSWERS_WITHIN) {
                    bail!("the server does not close a connection whose client has ended it");
                }
            }
            Leaving::Closed | Leaving::HalfRequest => {}
            Leaving::Reset | Leaving::HalfRequestReset | Leaving::Unread => {
                SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
            }
        }
        Ok(())
    }
}

fn is_reset(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
