//! What was written to a fleet, and the clients that write and read through an engine and judge every value.
//!
//! A value follows from its key and its version alone, so a reader can tell at once whether it is whole and whose it is. Each key is
//! written by one client at a time, its versions rise. A value that is read is
//! - *wrong*: not whole, of another key, or of a version that nobody has sent. That fails the test, always;
//! - *older*: of a version before one that was acknowledged when the read was sent. A cache should not serve it, an engine that moves
//!   keys between servers can cause it, and each test says whether it may occur;
//! - *current*: anything else.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::harness::{Conn, shown};
pub(super) use crate::shard_ports::key as name;

/// What is known of each key, by number; [`name`] has their names.
pub struct Ledger(Vec<Entry>);

#[derive(Default)]
struct Entry {
    /// The last version sent.
    sent: AtomicU64,
    /// The last version that was acknowledged as stored.
    acknowledged: AtomicU64,
    /// Requests for this key alone that the engine refused.
    failures: AtomicU64,
}

/// What a get found for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Older,
    Current,
}

/// What an engine says when it cannot serve.
type Refused = String;

impl Ledger {
    /// Of so many keys, none written yet.
    pub fn new(keys: u32) -> Ledger {
        Ledger((0..keys).map(|_| Entry::default()).collect())
    }

    /// The numbers of all keys.
    pub fn keys(&self) -> std::ops::Range<u32> {
        0..self.0.len() as u32
    }

    /// How many requests for this key alone were refused.
    pub fn failures(&self, key: u32) -> u64 {
        self.0[key as usize].failures.load(Ordering::SeqCst)
    }

    fn acknowledged(&self, key: u32) -> u64 {
        self.0[key as usize].acknowledged.load(Ordering::SeqCst)
    }

    /// Judges `value`, read for `key` by a request sent when `acknowledged` was.
    fn judge(&self, key: u32, value: &[u8], acknowledged: u64) -> Found {
        let version = version_of(key, value)
            .unwrap_or_else(|| panic!("a wrong value for {}: {}", name(key), shown(value)));
        let sent = self.0[key as usize].sent.load(Ordering::SeqCst);
        assert!((1..=sent).contains(&version), "{} has version {version} of {sent}", name(key));
        if version < acknowledged { Found::Older } else { Found::Current }
    }
}

/// A connection to an engine.
pub struct Client<'a> {
    conn: BufReader<Conn>,
    ledger: &'a Ledger,
}

impl<'a> Client<'a> {
    /// Over `conn`, with the keys of `ledger`.
    pub fn new(conn: Conn, ledger: &'a Ledger) -> Client<'a> {
        Client { conn: BufReader::new(conn), ledger }
    }

    /// Writes the next version of a key.
    pub fn set(&mut self, key: u32) -> Result<(), Refused> {
        let entry = &self.ledger.0[key as usize];
        let version = entry.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let value = value_of(key, version);
        let mut request = format!("set {} {key} 0 {}\r\n", name(key), value.len()).into_bytes();
        request.extend(value);
        request.extend(b"\r\n");
        self.conn.get_mut().send(request);
        let answer = self.line().inspect_err(|_| self.failed(key))?;
        assert_eq!(answer, "STORED", "set {}", name(key));
        entry.acknowledged.store(version, Ordering::SeqCst);
        Ok(())
    }

    /// Reads a key.
    pub fn get(&mut self, key: u32) -> Result<Found, Refused> {
        let found = self.get_many(&[key]).inspect_err(|_| self.failed(key))?;
        Ok(found[0])
    }

    /// Reads several keys with one request.
    pub fn get_many(&mut self, keys: &[u32]) -> Result<Vec<Found>, Refused> {
        let acknowledged: Vec<u64> = keys.iter().map(|&key| self.ledger.acknowledged(key)).collect();
        let names: Vec<String> = keys.iter().map(|&key| name(key)).collect();
        self.conn.get_mut().send(format!("get {}\r\n", names.join(" ")));
        let mut found = vec![Found::Nothing; keys.len()];
        loop {
            let line = self.line()?;
            if line == "END" {
                return Ok(found);
            }
            let fields: Vec<&str> = line.split(' ').collect();
            let ["VALUE", name, flags, len] = fields[..] else { panic!("get {names:?}: {line:?}") };
            let i = names.iter().position(|n| n == name).unwrap_or_else(|| panic!("get {names:?}: {line:?}"));
            assert_eq!(flags.parse(), Ok(keys[i]), "{line:?}");
            let mut value = vec![0; len.parse::<usize>().expect("a length") + 2];
            self.conn.read_exact(&mut value).expect("a value");
            let value = value.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("{line:?}: {}", shown(&value)));
            found[i] = self.ledger.judge(keys[i], value, acknowledged[i]);
        }
    }

    /// Writes and reads each of the keys. `false` as soon as one is refused, or not read as written.
    pub fn sweep(&mut self, keys: impl IntoIterator<Item = u32>) -> bool {
        keys.into_iter().all(|key| self.set(key).is_ok() && self.get(key) == Ok(Found::Current))
    }

    /// The next line of an answer.
    fn line(&mut self) -> Result<String, Refused> {
        let mut line = Vec::new();
        self.conn.read_until(b'\n', &mut line).expect("an answer");
        let line = String::from_utf8(line).expect("an answer in UTF-8");
        assert!(line.ends_with("\r\n"), "cut off: {line:?}");
        if line.starts_with("SERVER_ERROR") { Err(line) } else { Ok(line.trim_end().into()) }
    }

    fn failed(&self, key: u32) {
        self.ledger.0[key as usize].failures.fetch_add(1, Ordering::SeqCst);
    }
}

/// The value of a key at a version: `<key> <version>;` and bytes that follow from both, mostly few.
fn value_of(key: u32, version: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(version << 32 | u64::from(key));
    let largest = if random.u32(..50) == 0 { 50_000 } else { 500 };
    let mut value = format!("{key} {version};").into_bytes();
    let start = value.len();
    value.resize(start + random.usize(..largest), 0);
    random.fill(&mut value[start..]);
    value
}

/// The version of a value of `key`; `None` if it is not, byte for byte, one of this key's.
fn version_of(key: u32, value: &[u8]) -> Option<u64> {
    let head = value.split(|&byte| byte == b';').next()?;
    let version = std::str::from_utf8(head).ok()?.split_once(' ')?.1.parse().ok()?;
    (value_of(key, version) == value).then_some(version)
}

/// The judge would see a value of another key, a changed byte, a missing end, a version nobody sent, and one that is older.
#[test]
fn values_are_judged() {
    let ledger = Ledger::new(2);
    ledger.0[1].sent.store(3, Ordering::SeqCst);
    assert_eq!(ledger.judge(1, &value_of(1, 3), 3), Found::Current);
    assert_eq!(ledger.judge(1, &value_of(1, 2), 2), Found::Current);
    assert_eq!(ledger.judge(1, &value_of(1, 2), 3), Found::Older);
    let mut changed = value_of(1, 2);
    *changed.last_mut().expect("some bytes") ^= 1;
    let whole = value_of(1, 2);
    for wrong in [value_of(0, 2), changed, whole[..whole.len() - 1].to_vec(), value_of(1, 4), vec![]] {
        let judged = std::panic::catch_unwind(|| ledger.judge(1, &wrong, 0));
        assert!(judged.is_err(), "{}", shown(&wrong));
    }
}
