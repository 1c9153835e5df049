//! One connection to a server, in memcached's classic text protocol: what is asked is collected, sent as one piece, and
//! the answers are read in the same order.
//!
//! Values that come back are compared with [`content`]; a wrong one is an error, never a miss.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};

use crate::content;
use crate::request::OBJECT_BYTES_MAX;

/// The longest wait for an answer. A server that takes longer is taken for dead.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The longest line a server answers with.
const LINE_BYTES_MAX: u64 = 2048;
/// A larger expiry time is a moment, not a span (memcached's protocol.txt, "Expiration times").
const SPAN_MAX_S: u32 = 30 * 24 * 3600;

/// What became of a store or a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Done. For a removal also: was not there.
    Done,
    /// The server would not keep it, as too large or for lack of memory.
    Refused,
}

/// A connection and its two buffers.
pub struct Connection {
    answers: BufReader<TcpStream>,
    /// Requests not yet sent.
    asked: Vec<u8>,
    /// The answer's line and value, kept for their memory.
    line: Vec<u8>,
    value: Vec<u8>,
}

impl Connection {
    /// Connects to `address`.
    pub fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let answers = BufReader::with_capacity(64 << 10, stream);
        Ok(Connection { answers, asked: Vec::new(), line: Vec::new(), value: Vec::new() })
    }

    /// Asks for `key`; its answer is read with [`Connection::read_get`].
    pub fn ask_get(&mut self, key: &str) {
        self.asked.extend_from_slice(b"get ");
        self.asked.extend_from_slice(key.as_bytes());
        self.asked.extend_from_slice(b"\r\n");
    }

    /// Stores `value_len` bytes under `key`; the answer is read with [`Connection::read_written`].
    pub fn ask_set(&mut self, key: &str, value_len: usize, ttl_s: u32) {
        let expiry = expiry_of(ttl_s);
        self.asked.extend_from_slice(format!("set {key} 0 {expiry} {value_len}\r\n").as_bytes());
        content::append(key, value_len, &mut self.asked);
        self.asked.extend_from_slice(b"\r\n");
    }

    /// Removes `key`; the answer is read with [`Connection::read_written`].
    pub fn ask_delete(&mut self, key: &str) {
        self.asked.extend_from_slice(format!("delete {key}\r\n").as_bytes());
    }

    /// Sends what was asked.
    pub fn send(&mut self) -> Result<()> {
        if self.asked.is_empty() {
            return Ok(());
        }
        self.answers.get_mut().write_all(&self.asked).context("sending requests")?;
        self.asked.clear();
        Ok(())
    }

    /// Whether `key` was there. Its value is checked.
    pub fn read_get(&mut self, key: &str) -> Result<bool> {
        self.read_line()?;
        if self.line == b"END" {
            return Ok(false);
        }
        let value_len = announced_len(&self.line, key).ok_or_else(|| self.unexpected("get", key))?;
        self.value.resize(value_len + 2, 0);
        self.answers.read_exact(&mut self.value).map_err(unanswered)?;
        let (value, end) = self.value.split_at(value_len);
        if let Some(at) = content::first_difference(key, value) {
            bail!("wrong value: get {key} answered {value_len} bytes, and byte {at} is not what was stored");
        }
        if end != b"\r\n" {
            bail!("wrong value: get {key} answered {value_len} bytes without a line end behind them");
        }
        self.read_line()?;
        if self.line != b"END" {
            return Err(self.unexpected("get", key));
        }
        Ok(true)
    }

    /// What became of the store or removal of `key`.
    pub fn read_written(&mut self, key: &str) -> Result<Written> {
        self.read_line()?;
        match self.line.as_slice() {
            b"STORED" | b"DELETED" | b"NOT_FOUND" => Ok(Written::Done),
            line if line.starts_with(b"SERVER_ERROR") => Ok(Written::Refused),
            _ => Err(self.unexpected("a write of", key)),
        }
    }

    /// One number of the general `stats`, by its name.
    pub fn stat(&mut self, name: &str) -> Result<u64> {
        self.asked.extend_from_slice(b"stats\r\n");
        self.send()?;
        let mut found = None;
        loop {
            self.read_line()?;
            let line = String::from_utf8_lossy(&self.line);
            if line == "END" {
                return found.ok_or_else(|| anyhow!("stats has no number `{name}`"));
            }
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("STAT"), Some(word), Some(number)) if word == name => found = number.parse().ok(),
                (Some("STAT"), ..) => {}
                _ => return Err(self.unexpected("stats", "")),
            }
        }
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let mut limited = (&mut self.answers).take(LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut self.line).map_err(unanswered)?;
        if !self.line.ends_with(b"\r\n") {
            bail!(
                "the server closed the connection, or its answer is no line: `{}`",
                self.line.escape_ascii()
            );
        }
        self.line.truncate(self.line.len() - 2);
        Ok(())
    }

    fn unexpected(&self, asked: &str, key: &str) -> anyhow::Error {
        anyhow!("unexpected answer to {asked} {key}: `{}`", self.line.escape_ascii())
    }
}

/// Says in words that the time to answer is over; the system calls it "try again".
fn unanswered(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            anyhow!("no answer within {ANSWER_WITHIN:?}: the server hangs")
        }
        _ => anyhow!("reading an answer: {error}"),
    }
}

/// The length in `VALUE <key> <flags> <length>`, if the line is that.
fn announced_len(line: &[u8], key: &str) -> Option<usize> {
    let rest = line.strip_prefix(b"VALUE ")?.strip_prefix(key.as_bytes())?.strip_prefix(b" 0 ")?;
    let value_len = std::str::from_utf8(rest).ok()?.parse().ok()?;
    (value_len <= OBJECT_BYTES_MAX as usize).then_some(value_len)
}

/// How the protocol writes `ttl_s`: long spans as a moment.
fn expiry_of(ttl_s: u32) -> u64 {
    if ttl_s <= SPAN_MAX_S {
        return ttl_s.into();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() + u64::from(ttl_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_server::{FakeServer, Fault};

    #[test]
    fn a_miss_a_store_and_a_hit() {
        let server = FakeServer::start(usize::MAX, Fault::None);
        let mut connection = Connection::open(server.address).unwrap();
        connection.ask_get("a");
        connection.ask_get("b");
        connection.send().unwrap();
        assert!(!connection.read_get("a").unwrap());
        assert!(!connection.read_get("b").unwrap());
        connection.ask_set("a", 100_000, 60);
        connection.ask_get("a");
        connection.ask_delete("a");
        connection.ask_get("a");
        connection.send().unwrap();
        assert_eq!(connection.read_written("a").unwrap(), Written::Done);
        assert!(connection.read_get("a").unwrap());
        assert_eq!(connection.read_written("a").unwrap(), Written::Done);
        assert!(!connection.read_get("a").unwrap());
        assert_eq!(connection.stat("curr_items").unwrap(), 0);
        assert!(connection.stat("nonsense").is_err());
    }

    #[test]
    fn a_wrong_byte_fails() {
        let server = FakeServer::start(usize::MAX, Fault::WrongByte);
        let mut connection = Connection::open(server.address).unwrap();
        connection.ask_set("a", 20, 0);
        connection.ask_get("a");
        connection.send().unwrap();
        connection.read_written("a").unwrap();
        let error = connection.read_get("a").unwrap_err().to_string();
        assert!(error.contains("wrong value: get a answered 20 bytes, and byte 19"), "{error}");
    }

    #[test]
    fn a_refused_store_is_told_apart() {
        let server = FakeServer::start(usize::MAX, Fault::RefusesStores);
        let mut connection = Connection::open(server.address).unwrap();
        connection.ask_set("a", 20, 0);
        connection.send().unwrap();
        assert_eq!(connection.read_written("a").unwrap(), Written::Refused);
    }

    #[test]
    fn a_server_that_goes_away_is_an_error() {
        let server = FakeServer::start(usize::MAX, Fault::HangsUp);
        let mut connection = Connection::open(server.address).unwrap();
        connection.ask_get("a");
        connection.send().unwrap();
        assert!(connection.read_get("a").is_err());
    }

    #[test]
    fn silence_is_named() {
        let error = unanswered(ErrorKind::WouldBlock.into()).to_string();
        assert!(error.contains("no answer within 30s"), "{error}");
    }

    #[test]
    fn announcements_that_are_none() {
        assert_eq!(announced_len(b"VALUE a 0 12", "a"), Some(12));
        for line in ["VALUE b 0 12", "VALUE a 1 12", "VALUE a 0 x", "VALUE a 0 9999999999", "ERROR", ""] {
            assert_eq!(announced_len(line.as_bytes(), "a"), None, "{line}");
        }
    }

    #[test]
    fn long_spans_are_sent_as_moments() {
        assert_eq!(expiry_of(0), 0);
        assert_eq!(expiry_of(SPAN_MAX_S), u64::from(SPAN_MAX_S));
        assert!(expiry_of(SPAN_MAX_S + 1) > 1_700_000_000);
    }
}
