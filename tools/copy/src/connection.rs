//! A connection to one of the two servers, and what can go wrong with it: lost, which another try may mend, or unusable.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest wait for a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// The longest wait for a byte. A server that takes longer is taken for dead.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// Bytes read or written in one piece; values go through a buffer of this size, however large they are.
const BUFFER_BYTES: usize = 64 << 10;
/// The longest line read: a key of 65,535 bytes, percent-encoded, and what stands around it.
const LINE_BYTES_MAX: usize = 256 << 10;

/// Why a copy does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection broke, or none could be made. Another try may succeed.
    #[error("{server}: {what}")]
    Lost {
        /// The server's name as it was given.
        server: String,
        /// What happened.
        what: String,
    },
    /// What the server is or answers makes a copy impossible.
    #[error("{server}: {what}")]
    Unusable {
        /// The server's name as it was given.
        server: String,
        /// What it is, and what to do.
        what: String,
    },
    /// The list of keys could not be written or read.
    #[error(
        "the list of keys, a file in {folder}: {0}; the environment variable TMPDIR names another folder",
        folder = std::env::temp_dir().display()
    )]
    Spool(#[from] std::io::Error),
}

/// An open connection; what is written waits in a buffer until [`Connection::flush`].
pub struct Connection {
    /// As it was given: HOST:PORT.
    pub server: String,
    answers: BufReader<TcpStream>,
    requests: BufWriter<TcpStream>,
    line: Vec<u8>,
}

impl Connection {
    /// Connects to `server`, and makes sure that it speaks the meta protocol.
    pub fn open(server: &str) -> Result<Connection, Failure> {
        let lost = |error: std::io::Error| Failure::Lost {
            server: server.into(),
            what: format!("no connection: {error}"),
        };
        let stream = connect(server).map_err(lost)?;
        let requests = BufWriter::with_capacity(BUFFER_BYTES, stream.try_clone().map_err(lost)?);
        let answers = BufReader::with_capacity(BUFFER_BYTES, stream);
        let mut connection = Connection { server: server.into(), answers, requests, line: Vec::new() };
        connection.write(b"mn\r\n")?;
        connection.flush()?;
        match connection.read_line()? {
            b"MN" => Ok(connection),
            _ => Err(connection.unexpected(
                "it does not let us in, or does not speak the meta protocol, which memcached has from 1.6 on",
            )),
        }
    }

    /// Puts `bytes` behind what is to be sent.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.requests.write_all(bytes).map_err(|error| self.lost(&error))
    }

    /// Sends what was written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.requests.flush().map_err(|error| self.lost(&error))
    }

    /// The next line of an answer, without its end.
    pub fn read_line(&mut self) -> Result<&[u8], Failure> {
        self.line.clear();
        loop {
            let (used, is_whole) = {
                let bytes = self.answers.fill_buf().map_err(|error| lost(&self.server, &error))?;
                if bytes.is_empty() {
                    return Err(lost(&self.server, &ErrorKind::UnexpectedEof.into()));
                }
                let end = bytes.iter().position(|byte| *byte == b'\n');
                let used = end.map_or(bytes.len(), |end| end + 1);
                self.line.extend_from_slice(&bytes[..used]);
                (used, end.is_some())
            };
            self.answers.consume(used);
            if is_whole {
                break;
            }
            if self.line.len() > LINE_BYTES_MAX {
                return Err(
                    self.unusable(format!("a line of its answer is longer than {LINE_BYTES_MAX} bytes"))
                );
            }
        }
        let ends = self.line.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count().min(2);
        self.line.truncate(self.line.len() - ends);
        Ok(&self.line)
    }

    /// Passes the next `len` bytes of an answer on to `to`, or drops them, and reads the line end behind them.
    pub fn pass_value(&mut self, len: u64, mut to: Option<&mut Connection>) -> Result<(), Failure> {
        let mut left = len;
        while left > 0 {
            let bytes = self.answers.fill_buf().map_err(|error| lost(&self.server, &error))?;
            if bytes.is_empty() {
                return Err(lost(&self.server, &ErrorKind::UnexpectedEof.into()));
            }
            let used = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if let Some(to) = &mut to {
                to.write(&bytes[..used])?;
            }
            self.answers.consume(used);
            left -= used as u64;
        }
        if !self.read_line()?.is_empty() {
            return Err(self.unusable(format!("a value of {len} bytes has no line end behind it")));
        }
        Ok(())
    }

    /// The last line read is not what it should be; `meaning` says what that means.
    pub fn unexpected(&self, meaning: &str) -> Failure {
        let shown = &self.line[..self.line.len().min(200)];
        self.unusable(format!("it answered `{}`: {meaning}", shown.escape_ascii()))
    }

    fn unusable(&self, what: String) -> Failure {
        Failure::Unusable { server: self.server.clone(), what }
    }

    fn lost(&self, error: &std::io::Error) -> Failure {
        lost(&self.server, error)
    }
}

fn lost(server: &str, error: &std::io::Error) -> Failure {
    let what = match error.kind() {
        // The system calls the end of the time "try again".
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("nothing came or went for {} s", ANSWERS_WITHIN.as_secs())
        }
        ErrorKind::UnexpectedEof => "it closed the connection".into(),
        _ => format!("the connection broke: {error}"),
    };
    Failure::Lost { server: server.into(), what }
}

fn connect(server: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECTS_WITHIN) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
                stream.set_write_timeout(Some(ANSWERS_WITHIN))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
