//! One connection: the requests that wait to leave, those that wait for their answers, and the answer being read.
//!
//! Answers come in the order of requests, so what was asked stands in a queue, and each answer is checked against its front:
//! the keys it names and every byte of the values. Two send buffers take turns: one is filled while the kernel has the other.

use std::collections::VecDeque;

use anyhow::{Result, anyhow, bail};

use crate::content::{self, Check};
use crate::keys::Keys;
use crate::protocol::{Answer, HEAD_MAX, Protocol, shown};
use crate::tally::Tally;

/// Bytes of unsent requests beyond which no further ones are made, whatever the window.
const UNSENT_MAX: usize = 256 << 10;
/// The frame in front of a datagram: number, index, count, 0, 16 bits each, big endian.
const FRAME_LEN: usize = 8;

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When it should have left, in ns of the run's clock.
    due_ns: u64,
    /// When it was made, which in an open loop may be later.
    made_ns: u64,
    /// Keys of a get whose answer has not come, from the front of [`Connection::ids`]; 0 for a set.
    keys: u32,
    is_set: bool,
}

/// Where in an answer the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Head,
    Value { check: Check, trailer: &'static [u8], is_last: bool },
    Trailer { trailer: &'static [u8], is_last: bool },
}

/// The datagrams of the request under way.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    number: u16,
    /// Index of the datagram that comes next.
    next: u16,
}

/// See the module comment.
#[derive(Debug)]
pub struct Connection {
    protocol: Protocol,
    /// The shard that it leads to; none where it serves every key.
    pub shard: Option<u16>,
    window: usize,
    asked: VecDeque<Asked>,
    ids: VecDeque<u32>,
    reading: Reading,
    partial: Vec<u8>, // the beginning of a head
    filling: Vec<u8>,
    flying: Vec<u8>,
    flown: usize, // of `flying`
    is_sending: bool,
    frame: Frame,
    /// Closed loop: requests that may still be made.
    pub left: u64,
    /// When the latest request was made, or is about to be, in ns of the run's clock.
    pub made_ns: u64,
    /// Requests have times at which they are due.
    pub is_open: bool,
    /// Open loop: requests that were due, and those of them that were made.
    pub due: u64,
    #[allow(missing_docs, reason = "the sentence above")]
    pub made: u64,
    /// Filling: the next key to store, and the first that is another connection's.
    pub to_store: (u32, u32),
}

impl Connection {
    /// With at most `window` requests under way, of at most `keys_max` keys each.
    pub fn new(protocol: Protocol, shard: Option<u16>, window: usize, keys_max: usize) -> Connection {
        Connection {
            protocol,
            shard,
            window,
            asked: VecDeque::with_capacity(window),
            ids: VecDeque::with_capacity(window * keys_max),
            reading: Reading::Head,
            partial: Vec::with_capacity(HEAD_MAX),
            filling: Vec::new(),
            flying: Vec::new(),
            flown: 0,
            is_sending: false,
            frame: Frame::default(),
            left: 0,
            made_ns: 0,
            is_open: false,
            due: 0,
            made: 0,
            to_store: (0, 0),
        }
    }

    /// Whether another request may be made.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.asked.len() < self.window && self.filling.len() < UNSENT_MAX
    }

    /// Requests whose answer has not come.
    pub fn under_way(&self) -> usize {
        self.asked.len()
    }

    /// Makes a get of `count` keys, whose numbers `draw` gives.
    #[inline]
    pub fn get(&mut self, keys: &Keys, due_ns: u64, count: u32, mut draw: impl FnMut() -> u32) {
        self.ids.extend((0..count).map(|_| draw()));
        self.asked.push_back(Asked { due_ns, made_ns: self.made_ns, keys: count, is_set: false });
        self.begin_datagram();
        let first = self.ids.len() - count as usize;
        self.protocol.get(keys, self.ids.range(first..), &mut self.filling);
    }

    /// Makes a set.
    #[inline]
    pub fn set(&mut self, keys: &Keys, due_ns: u64, id: u32, version: u32, len: u32) {
        self.asked.push_back(Asked { due_ns, made_ns: self.made_ns, keys: 0, is_set: true });
        self.begin_datagram();
        self.protocol.set(keys, id, version, len, &mut self.filling);
    }

    fn begin_datagram(&mut self) {
        if self.protocol == Protocol::Udp {
            self.frame = Frame { number: self.frame.number.wrapping_add(1), next: 0 };
            let [high, low] = self.frame.number.to_be_bytes();
            self.filling.extend_from_slice(&[high, low, 0, 0, 0, 1, 0, 0]);
        }
    }

    /// What is to be sent now, if anything: it stays until [`sent`](Self::sent), or its last answer.
    #[inline]
    pub fn start_send(&mut self) -> Option<&[u8]> {
        if self.is_sending || self.filling.is_empty() {
            return None;
        }
        self.is_sending = true;
        std::mem::swap(&mut self.filling, &mut self.flying);
        self.filling.clear();
        self.flown = 0;
        Some(&self.flying)
    }

    /// The kernel took `len` bytes. The rest, if any, is to be sent.
    pub fn sent(&mut self, len: usize) -> Option<&[u8]> {
        self.flown += len;
        if self.flown < self.flying.len() {
            return Some(&self.flying[self.flown..]);
        }
        self.is_sending = false;
        None
    }

    /// Reads what has come at `now_ns` and counts it. `quiet`: sends tell only of failures, so that an answer ends them.
    ///
    /// # Errors
    /// A wrong value, or an answer that does not fit what was asked.
    pub fn read(
        &mut self,
        mut input: &[u8],
        keys: &Keys,
        now_ns: u64,
        quiet: bool,
        tally: &mut Tally,
    ) -> Result<()> {
        tally.received_bytes += input.len() as u64;
        if self.protocol == Protocol::Udp {
            match self.datagram(input) {
                Some(payload) => input = payload,
                None => return Ok(()),
            }
        }
        while !input.is_empty() {
            input = match self.reading {
                Reading::Head => self.head(input, keys, now_ns, quiet, tally)?,
                Reading::Value { ref mut check, trailer, is_last } => {
                    let (bytes, rest) = input.split_at(check.left().min(input.len()));
                    check.feed(bytes).map_err(|wrong| wrong_value(keys, check, &wrong))?;
                    if check.left() == 0 {
                        self.after_value(trailer, is_last, now_ns, quiet, tally);
                    }
                    rest
                }
                Reading::Trailer { trailer, is_last } => {
                    let (bytes, rest) = input.split_at(trailer.len().min(input.len()));
                    let Some(left) = trailer.strip_prefix(bytes) else {
                        bail!("unexpected answer: {} behind a value", shown(input));
                    };
                    self.after_value(left, is_last, now_ns, quiet, tally);
                    rest
                }
            };
        }
        Ok(())
    }

    /// The next head, from `input` or from what was kept of the input before. Returns the rest of `input`.
    fn head<'a>(
        &mut self,
        input: &'a [u8],
        keys: &Keys,
        now_ns: u64,
        quiet: bool,
        tally: &mut Tally,
    ) -> Result<&'a [u8]> {
        let kept = self.partial.len();
        let answer = if kept == 0 {
            self.protocol.answer(keys, input)?
        } else {
            self.partial.extend_from_slice(&input[..input.len().min(HEAD_MAX - kept)]);
            self.protocol.answer(keys, &self.partial)?
        };
        let len = match answer {
            Answer::Partial => {
                if kept == 0 {
                    self.partial.extend_from_slice(input);
                }
                return Ok(&[]);
            }
            Answer::Value { head_len, .. } => head_len,
            Answer::End(len) | Answer::Stored(len) | Answer::Refused(len) => len,
        };
        self.partial.clear();
        self.take(answer, keys, now_ns, quiet, tally)?;
        Ok(&input[len - kept..]) // what was kept was no whole head
    }

    fn take(
        &mut self,
        answer: Answer,
        keys: &Keys,
        now_ns: u64,
        quiet: bool,
        tally: &mut Tally,
    ) -> Result<()> {
        let asked =
            self.asked.front_mut().ok_or_else(|| anyhow!("an answer that nobody asked for: {answer:?}"))?;
        match (answer, asked.is_set) {
            (Answer::Value { key, value_len, trailer, is_last, .. }, false) => {
                // Keys that were passed over are not there.
                let id = loop {
                    let Some(id) = (asked.keys > 0).then(|| self.ids.pop_front()).flatten() else {
                        let key = key.map_or("a key".into(), |key| keys.text(key));
                        bail!("the server answers a get with {key}, which was not asked for");
                    };
                    asked.keys -= 1;
                    if key.is_none_or(|key| key == id) {
                        break id;
                    }
                    tally.misses += 1;
                };
                tally.hits += 1;
                self.reading = Reading::Value { check: Check::new(id, value_len), trailer, is_last };
                if value_len == 0 {
                    self.after_value(trailer, is_last, now_ns, quiet, tally);
                }
            }
            (Answer::End(_), false) => self.done(now_ns, quiet, tally),
            (Answer::Stored(_), true) => self.done(now_ns, quiet, tally),
            (Answer::Refused(_), is_set) => {
                tally.refused += u64::from(is_set);
                if !is_set {
                    bail!("the server refuses a get");
                }
                self.done(now_ns, quiet, tally);
            }
            (answer, is_set) => {
                bail!("a {} was answered with {answer:?}", if is_set { "set" } else { "get" })
            }
        }
        Ok(())
    }

    fn after_value(
        &mut self,
        trailer: &'static [u8],
        is_last: bool,
        now_ns: u64,
        quiet: bool,
        tally: &mut Tally,
    ) {
        if !trailer.is_empty() {
            self.reading = Reading::Trailer { trailer, is_last };
            return;
        }
        self.reading = Reading::Head;
        if is_last {
            self.done(now_ns, quiet, tally);
        }
    }

    /// The front has been answered: keys that did not come are not there.
    #[inline]
    fn done(&mut self, now_ns: u64, quiet: bool, tally: &mut Tally) {
        let Some(asked) = self.asked.pop_front() else { return };
        tally.misses += u64::from(asked.keys);
        self.ids.drain(..asked.keys as usize);
        let latencies = if asked.is_set { &mut tally.sets } else { &mut tally.gets };
        latencies.saturating_record(now_ns.saturating_sub(asked.due_ns));
        if self.is_open {
            tally.admitted.saturating_record(now_ns.saturating_sub(asked.made_ns));
        }
        if quiet {
            self.is_sending = false;
        }
    }

    /// The payload of a datagram, if it is the one that comes next; others are of requests given up.
    fn datagram<'a>(&mut self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let (frame, payload) = datagram.split_at_checked(FRAME_LEN)?;
        let [number, index] = [0, 2].map(|at| u16::from_be_bytes([frame[at], frame[at + 1]]));
        if self.asked.is_empty() || (number, index) != (self.frame.number, self.frame.next) {
            return None;
        }
        self.frame.next += 1;
        Some(payload)
    }

    /// UDP: the request under way is given up.
    pub fn give_up(&mut self) {
        self.asked.clear();
        self.ids.clear();
        self.partial.clear();
        self.reading = Reading::Head;
        self.is_sending = false;
    }
}

fn wrong_value(keys: &Keys, check: &Check, wrong: &content::Wrong) -> anyhow::Error {
    let content::Wrong { at, expected, got } = wrong;
    anyhow!(
        "wrong value: {} holds {} bytes, and from byte {at} on should be '{}', but got '{}' (keys that another program has \
         stored look like this too: start with an empty server)",
        keys.text(check.id()),
        check.value_len(),
        expected.escape_ascii(),
        got.escape_ascii()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 8;

    fn keys() -> Keys {
        Keys::new(100, 13)
    }

    fn hit(id: u32, version: u32, len: usize) -> Vec<u8> {
        let mut out = format!("VALUE load:{id:08x} 0 {len}\r\n").into_bytes();
        content::append(id, version, len, &mut out);
        [&out[..], b"\r\n"].concat()
    }

    fn connection(gets: &[&[u32]]) -> Connection {
        let mut conn = Connection::new(Protocol::Classic, None, WINDOW, 3);
        for ids in gets {
            let mut ids = ids.iter().copied();
            conn.get(&keys(), 1000, ids.len() as u32, || ids.next().expect("a key"));
        }
        conn
    }

    /// Reads `answers` cut into pieces of `piece` bytes.
    fn read(conn: &mut Connection, answers: &[u8], piece: usize) -> Result<Tally> {
        let mut tally = Tally::default();
        answers.chunks(piece).try_for_each(|bytes| conn.read(bytes, &keys(), 3000, false, &mut tally))?;
        Ok(tally)
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let parts = [
            hit(1, 7, 100),
            b"END\r\n".into(),
            hit(3, 8, 0),
            hit(5, 1, 20),
            b"END\r\nEND\r\nSTORED\r\n".into(),
        ];
        let answers = parts.concat();
        for piece in 1..answers.len() {
            let mut conn = connection(&[&[1], &[3, 4, 5], &[6]]);
            conn.set(&keys(), 1000, 9, 1, 10);
            let tally = read(&mut conn, &answers, piece).expect("good answers");
            assert_eq!((tally.hits, tally.misses, tally.refused), (3, 2, 0), "pieces of {piece}");
            assert_eq!((tally.gets.len(), tally.sets.len(), conn.under_way()), (3, 1, 0));
            assert!((1990..=2010).contains(&tally.gets.max()), "{}", tally.gets.max());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut changed = hit(1, 7, 100);
        changed[60] ^= 1;
        for (answer, expected) in [
            (changed, "wrong value: load:00000001 holds 100 bytes, and from byte 33 on"),
            (hit(2, 7, 10), "load:00000002, which was not asked for"),
            (b"STORED\r\n".to_vec(), "a get was answered with Stored"),
            ([&hit(1, 7, 10)[..36], b"XY"].concat(), "behind a value"),
            (vec![b'x'; 2 * HEAD_MAX], "unexpected answer: 'xxx"),
            (b"END\r\nEND\r\n".to_vec(), "nobody asked for"),
        ] {
            for piece in [answer.len(), 3] {
                let error = read(&mut connection(&[&[1]]), &answer, piece).expect_err(expected).to_string();
                assert!(error.contains(expected), "{error}");
            }
        }
    }

    #[test]
    fn one_send_at_a_time() {
        let mut conn = connection(&[&[1]]);
        assert_eq!(conn.start_send().map(<[u8]>::len), Some(19));
        conn.set(&keys(), 1000, 1, 1, 10);
        assert!(conn.start_send().is_none(), "one is under way");
        assert_eq!(conn.sent(12).map(<[u8]>::len), Some(7), "the rest of the first");
        assert!(conn.sent(7).is_none());
        assert!(conn.start_send().is_some_and(|bytes| bytes.starts_with(b"set ")));
    }

    #[test]
    fn the_window_has_an_end() {
        let mut conn = connection(&[&[1][..]; WINDOW - 1]);
        assert!(conn.has_room());
        conn.set(&keys(), 0, 1, 1, 10);
        assert!(!conn.has_room());
    }

    #[test]
    fn late_datagrams_are_not_taken() {
        let mut conn = Connection::new(Protocol::Udp, None, 1, 1);
        conn.get(&keys(), 0, 1, || 1);
        assert_eq!(conn.start_send().map(|bytes| bytes[..8].to_vec()), Some(vec![0, 1, 0, 0, 0, 1, 0, 0]));
        conn.give_up();
        conn.get(&keys(), 0, 1, || 2);
        let datagram =
            |number: u8, index: u8, text: &[u8]| [&[0, number, 0, index, 0, 2, 0, 0], text].concat();
        let (first, second) = (
            datagram(2, 0, &hit(2, 1, 50)[..40]),
            datagram(2, 1, &[&hit(2, 1, 50)[40..], b"END\r\n"].concat()),
        );
        let mut tally = Tally::default();
        for bytes in [&datagram(1, 0, b"END\r\n"), &second, &first, &first, &second, &second] {
            conn.read(bytes, &keys(), 0, false, &mut tally).expect("datagrams");
        }
        assert_eq!((tally.hits, tally.misses, conn.under_way()), (1, 0, 0));
    }
}
