//! A batch of keys on its way: asked for in one piece at one server, and what comes stored at the other as it comes.
//!
//! A value goes through a buffer, never to be held whole. It is stored with `add`'s mode, so what clients have written to the other
//! server since is never overwritten. A key is done when its fate is known; after a lost connection the others are asked for again.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::answer::{self, Got, Head, Number};
use crate::connection::{Connection, Failure};
use crate::key::Key;
use crate::pace::Pace;
use crate::tally::{Fate, Tally};

/// A longer span has to be sent as a moment (memcached's protocol.txt, "Expiration times").
const SPAN_MAX_S: u64 = 30 * 24 * 3600;
/// The latest moment that memcached's meta protocol takes.
const MOMENT_MAX: u64 = i32::MAX as u64;
/// What memcached counts of an item besides key and value: header, CAS, the key's end, flags, line end. ringcached counts alike.
const ITEM_OVERHEAD_BYTES: u64 = 48 + 8 + 1 + 4 + 2;

/// Keys asked for together; those whose fate is known are gone from it.
pub type Batch = Vec<Option<Key>>;

/// Both servers.
pub struct Transfer {
    from: Connection,
    to: Connection,
    /// The largest item that `to` takes, as memcached counts it.
    item_bytes_max: u64,
}

impl Transfer {
    /// Connects to both.
    pub fn open(from: &str, to: &str) -> Result<Transfer, Failure> {
        let (from, mut to) = (Connection::open(from)?, Connection::open(to)?);
        let item_bytes_max = item_bytes_max(&mut to)?;
        Ok(Transfer { from, to, item_bytes_max })
    }

    /// The server that is copied from.
    pub fn source(&mut self) -> &mut Connection {
        &mut self.from
    }

    /// Copies what is left of `batch`, no faster than `pace`.
    pub fn copy(&mut self, batch: &mut Batch, pace: &mut Pace, tally: &mut Tally) -> Result<(), Failure> {
        for (number, key) in batch.iter().enumerate() {
            if let Some(key) = key {
                self.ask(key, number)?;
            }
        }
        self.from.flush()?;
        let asked = Instant::now();
        let mut sent = VecDeque::new(); // never more than the batch
        for number in 0..batch.len() {
            let Some(key) = &batch[number] else { continue };
            let len = match self.receive(key, number, asked, tally)? {
                Received::Sent(len) => {
                    sent.push_back((number, len));
                    len
                }
                Received::Fate(fate) => {
                    tally.count(fate);
                    batch[number] = None;
                    0
                }
            };
            let now = Instant::now();
            pace.spend(len, now);
            if pace.due(now).is_some() {
                self.settle(&mut sent, batch, tally)?;
                pace.wait();
            }
        }
        self.settle(&mut sent, batch, tally)
    }

    /// `u`: being copied is no use of an item, so it does not count for what the server evicts. `k` is asked for with plain keys,
    /// to learn whether the item is one of a binary key.
    fn ask(&mut self, key: &Key, number: Number) -> Result<(), Failure> {
        self.from.write(b"mg ")?;
        self.from.write(&key.text)?;
        let flags = match key.is_base64 {
            true => format!(" b f t v u O{number}\r\n"),
            false => format!(" f t v u O{number} k\r\n"),
        };
        self.from.write(flags.as_bytes())
    }

    /// Reads the answer to a get, and passes its value on to the other server as a store whose answer is still to come.
    fn receive(
        &mut self,
        key: &Key,
        number: Number,
        asked: Instant,
        tally: &mut Tally,
    ) -> Result<Received, Failure> {
        let line = self.from.read_line()?;
        let head = match answer::got(line, number) {
            Got::Gone => return Ok(Received::Fate(Fate::Gone)),
            Got::Value(head) => head,
            Got::Refused => {
                let words = line.escape_ascii().to_string();
                tally.refusal(|| format!("{} answered `{words}`", self.from.server));
                return Ok(Received::Fate(Fate::Refused));
            }
            Got::OutOfStep => return Err(self.from.unexpected("that is no answer to a meta get")),
        };
        let key = match head.key {
            None => Some(key.clone()),
            Some((word, is_base64)) => key.as_answered(word, is_base64),
        };
        let Some(key) = key else {
            return Err(self.from.unexpected("that is another key than was asked for"));
        };
        let len = head.len;
        let fate = not_worth_storing(&key, &head, asked, self.item_bytes_max);
        let request = store(&key, &head, number, asked);
        if let Some(fate) = fate {
            self.from.pass_value(len, None)?;
            return Ok(Received::Fate(fate));
        }
        self.to.write(&request)?;
        self.from.pass_value(len, Some(&mut self.to))?;
        self.to.write(b"\r\n")?;
        Ok(Received::Sent(len))
    }

    /// Reads the answers to all stores that were `sent`.
    fn settle(
        &mut self,
        sent: &mut VecDeque<(Number, u64)>,
        batch: &mut Batch,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        self.to.flush()?;
        while let Some((number, len)) = sent.pop_front() {
            let line = self.to.read_line()?;
            let Some(fate) = answer::stored(line, number, len) else {
                return Err(self.to.unexpected("that is no answer to a meta set"));
            };
            if fate == Fate::Refused {
                let words = line.escape_ascii().to_string();
                tally.refusal(|| format!("{} answered `{words}`", self.to.server));
            }
            tally.count(fate);
            batch[number] = None;
        }
        Ok(())
    }
}

/// What became of an answer.
enum Received {
    /// The item is on its way, with a value of so many bytes.
    Sent(u64),
    /// It ended here.
    Fate(Fate),
}

/// Why the item goes no further, if so. One that is too large is not even tried: memcached deletes what it has under the key
/// then, whatever the mode.
fn not_worth_storing(key: &Key, head: &Head, asked: Instant, item_bytes_max: u64) -> Option<Fate> {
    let item_bytes = head.len.saturating_add(key.stored_len() as u64 + ITEM_OVERHEAD_BYTES);
    if head.is_stale {
        Some(Fate::Stale)
    } else if head.ttl_s.is_some_and(|ttl_s| ttl_s <= asked.elapsed().as_secs()) {
        Some(Fate::Gone)
    } else if item_bytes > item_bytes_max {
        Some(Fate::TooLarge)
    } else {
        None
    }
}

/// The request that stores a value, but for the value. What of the time to live has passed since it was `asked` for is taken off.
fn store(key: &Key, head: &Head, number: Number, asked: Instant) -> Vec<u8> {
    let mut request = b"ms ".to_vec();
    request.extend_from_slice(&key.text);
    let end =
        head.ttl_s.map(|ttl_s| format!(" T{}", expiry(ttl_s.saturating_sub(asked.elapsed().as_secs()))));
    let mark = if key.is_base64 { " b" } else { "" };
    let (len, flags, end) = (head.len, head.flags, end.unwrap_or_default());
    request.extend_from_slice(format!(" {len}{mark} ME F{flags}{end} O{number}\r\n").as_bytes());
    request
}

/// How the protocol writes that an item has `ttl_s` left: long spans as a moment.
fn expiry(ttl_s: u64) -> u64 {
    if ttl_s <= SPAN_MAX_S {
        return ttl_s;
    }
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    (now_s + ttl_s).min(MOMENT_MAX)
}

/// The `-I` of a server, in bytes.
fn item_bytes_max(server: &mut Connection) -> Result<u64, Failure> {
    server.write(b"stats settings\r\n")?;
    server.flush()?;
    let mut found = None;
    loop {
        let line = server.read_line()?;
        if line == b"END" {
            break;
        }
        let text = String::from_utf8_lossy(line);
        match text.strip_prefix("STAT ").map(|stat| stat.split_once(' ')) {
            Some(Some(("item_size_max", bytes))) => found = bytes.parse().ok(),
            Some(_) => {}
            None => return Err(server.unexpected("that is no answer to `stats settings`")),
        }
    }
    found.ok_or_else(|| server.unexpected("its `stats settings` has no item_size_max"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn head(ttl_s: Option<u64>) -> Head<'static> {
        Head { len: 3, flags: 7, ttl_s, key: None, is_stale: false }
    }

    #[test]
    fn stores_add_and_keep_flags_and_time() {
        let now = Instant::now();
        let plain = Key { text: b"a".to_vec(), is_base64: false };
        assert_eq!(store(&plain, &head(None), 4, now), b"ms a 3 ME F7 O4\r\n");
        assert_eq!(store(&plain, &head(Some(60)), 4, now), b"ms a 3 ME F7 T60 O4\r\n");
        let binary = Key { text: b"AAEC".to_vec(), is_base64: true };
        assert_eq!(store(&binary, &head(None), 0, now), b"ms AAEC 3 b ME F7 O0\r\n");
    }

    #[test]
    fn the_time_on_the_way_is_taken_off() {
        let key = Key { text: b"a".to_vec(), is_base64: false };
        let asked = Instant::now() - Duration::from_secs(20);
        assert_eq!(store(&key, &head(Some(60)), 4, asked), b"ms a 3 ME F7 T40 O4\r\n");
    }

    #[test]
    fn long_spans_are_moments() {
        assert_eq!(expiry(SPAN_MAX_S), SPAN_MAX_S);
        assert!(expiry(SPAN_MAX_S + 1) > 1_700_000_000);
        assert_eq!(expiry(10 * MOMENT_MAX), MOMENT_MAX);
    }
}
