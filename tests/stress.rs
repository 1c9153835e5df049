//! Many connections at once; every value says whose it is and which version, and carries a checksum.
//!
//! Each thread owns some keys and alone writes them; all threads read all keys. A value is a row of blocks (a set
//! writes one, each append one more), each block carrying its key, its version and a checksum of its payload.
//!
//! Checked at every read:
//! - every block decodes, belongs to the key asked, and the versions rise;
//! - an owner sees exactly what it wrote last, or a miss exactly if it deleted last (there is room for everything);
//! - anybody else sees no version older than what the owner knew acknowledged before the read was sent, none newer
//!   than what the owner had sent when the answer was there.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Conn, Server, shown};

const THREADS: usize = 4;
const KEYS_PER_THREAD: usize = 24;
const KEYS: usize = THREADS * KEYS_PER_THREAD;
const CONNECTIONS_PER_THREAD: usize = 3;
/// Commands sent before their answers are read.
const PIPELINE: usize = 16;
/// Blocks of a value, after which it is written anew.
const BLOCKS_MAX: usize = 4;
const RUN_FOR: Duration = Duration::from_secs(3);
/// Rounds of each thread at least, however long they take: under ThreadSanitizer on a busy machine longer than that.
const ROUNDS_MIN: u64 = 30;

#[test]
fn on_2_shards() {
    run(2);
}

#[test]
fn on_4_shards() {
    run(4);
}

/// Threads that share cores are stopped anywhere. ThreadSanitizer watches the server of this one: tools/check.
#[test]
fn on_more_shards_than_cores() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    run(3 * u32::try_from(cores).expect("cores").min(20));
}

/// What all threads know of a key; versions only rise.
#[derive(Default)]
struct Known {
    /// The last version the owner sent (a delete counts as one).
    sent: AtomicU64,
    /// The last version acknowledged to the owner.
    acknowledged: AtomicU64,
}

fn run(shards: u32) {
    let mut server = Server::start(shards, &["-m", "512"]);
    let known: Vec<Known> = (0..KEYS).map(|_| Known::default()).collect();
    let deadline = Instant::now() + RUN_FOR;
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let mut worker = Worker::new(i, &server, &known);
            scope.spawn(move || {
                while worker.rounds < ROUNDS_MIN || Instant::now() < deadline {
                    worker.round();
                }
                worker.check_all_owned();
            });
        }
    });
    let mut conn = server.connect();
    assert_eq!(conn.stat("evictions"), 0, "the keys were meant to fit");
    conn.finish();
    server.stop();
}

/// What the owner knows its key to hold: the versions of its blocks; empty: nothing.
type Blocks = Vec<u64>;

struct Worker<'a> {
    index: usize,
    random: fastrand::Rng,
    connections: Vec<BufReader<Conn>>,
    known: &'a [Known],
    owned: Vec<Blocks>,
    rounds: u64,
}

/// An answer that is due.
enum Due {
    /// This line, and then `version` of `key` counts as acknowledged.
    Line { want: &'static str, key: usize, version: u64 },
    /// The value of an owned key: exactly these blocks.
    Own { key: usize, blocks: Blocks },
    /// The value of any key; `acknowledged` is what its owner knew before the read was sent.
    Any { key: usize, acknowledged: u64 },
}

impl<'a> Worker<'a> {
    fn new(index: usize, server: &Server, known: &'a [Known]) -> Worker<'a> {
        Worker {
            index,
            random: fastrand::Rng::with_seed(index as u64),
            connections: (0..CONNECTIONS_PER_THREAD).map(|_| BufReader::new(server.connect())).collect(),
            known,
            owned: vec![Blocks::new(); KEYS_PER_THREAD],
            rounds: 0,
        }
    }

    /// One pipeline on one of the connections, and its answers.
    fn round(&mut self) {
        let (mut requests, mut due) = (Vec::new(), VecDeque::new());
        for _ in 0..PIPELINE {
            match self.random.u32(..10) {
                0..4 => self.write(&mut requests, &mut due),
                4..6 => {
                    let slot = self.random.usize(..KEYS_PER_THREAD);
                    self.read_own(slot, &mut requests, &mut due);
                }
                _ => self.read_any(&mut requests, &mut due),
            }
        }
        // The last answer proves that everything before it is done, silent writes included.
        self.read_own(0, &mut requests, &mut due);
        self.exchange(requests, due);
        self.rounds += 1;
    }

    fn check_all_owned(&mut self) {
        let (mut requests, mut due) = (Vec::new(), VecDeque::new());
        for slot in 0..KEYS_PER_THREAD {
            self.read_own(slot, &mut requests, &mut due);
        }
        self.exchange(requests, due);
    }

    fn key(&self, slot: usize) -> usize {
        self.index * KEYS_PER_THREAD + slot
    }

    fn write(&mut self, requests: &mut Vec<u8>, due: &mut VecDeque<Due>) {
        let slot = self.random.usize(..KEYS_PER_THREAD);
        let key = self.key(slot);
        let version = self.known[key].sent.fetch_add(1, Ordering::SeqCst) + 1;
        let blocks = self.owned[slot].len();
        let (verb, want) = match self.random.u32(..10) {
            0 => ("delete", if blocks == 0 { "NOT_FOUND" } else { "DELETED" }),
            1..4 if (1..BLOCKS_MAX).contains(&blocks) => ("append", "STORED"),
            _ => ("set", "STORED"),
        };
        // A silent write is proven by the reads after it; its own acknowledgement is never known.
        let silent = self.random.u32(..8) == 0;
        let noreply = if silent { " noreply" } else { "" };
        if verb == "delete" {
            requests.extend(format!("delete stress-{key}{noreply}\r\n").bytes());
            self.owned[slot].clear();
        } else {
            let largest = if self.random.u32(..40) == 0 { 300 << 10 } else { 1 << self.random.u32(..14) };
            let block = block(key, version, self.random.usize(1..=largest));
            requests.extend(format!("{verb} stress-{key} 0 0 {}{noreply}\r\n", block.len()).bytes());
            requests.extend(block);
            requests.extend(b"\r\n");
            if verb == "set" {
                self.owned[slot].clear();
            }
            self.owned[slot].push(version);
        }
        if !silent {
            due.push_back(Due::Line { want, key, version });
        }
    }

    fn read_own(&mut self, slot: usize, requests: &mut Vec<u8>, due: &mut VecDeque<Due>) {
        let key = self.key(slot);
        requests.extend(format!("get stress-{key}\r\n").bytes());
        due.push_back(Due::Own { key, blocks: self.owned[slot].clone() });
    }

    fn read_any(&mut self, requests: &mut Vec<u8>, due: &mut VecDeque<Due>) {
        let key = self.random.usize(..KEYS);
        requests.extend(format!("get stress-{key}\r\n").bytes());
        due.push_back(Due::Any { key, acknowledged: self.known[key].acknowledged.load(Ordering::SeqCst) });
    }

    fn exchange(&mut self, requests: Vec<u8>, due: VecDeque<Due>) {
        let known = self.known;
        let reader = &mut self.connections[self.random.usize(..CONNECTIONS_PER_THREAD)];
        let mut writer = reader.get_ref().another_handle();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.send(requests));
            for answer in due {
                answer.check(reader, known);
            }
        });
    }
}

impl Due {
    fn check(self, reader: &mut BufReader<Conn>, known: &[Known]) {
        match self {
            Due::Line { want, key, version } => {
                assert_eq!(line(reader), want, "write {version} of stress-{key}");
                known[key].acknowledged.fetch_max(version, Ordering::SeqCst);
            }
            Due::Own { key, blocks } => {
                assert_eq!(value(reader, key), blocks, "the owner of stress-{key} reads something else");
            }
            Due::Any { key, acknowledged } => {
                let versions = value(reader, key);
                let sent = known[key].sent.load(Ordering::SeqCst);
                if let Some(&last) = versions.last() {
                    let bounds = acknowledged..=sent;
                    assert!(bounds.contains(&last), "stress-{key} at version {last}, want one of {bounds:?}");
                }
            }
        }
    }
}

fn checksum(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(payload);
    hasher.finish()
}

/// `<key> <version> <payload length> <checksum>;` and the payload.
fn block(key: usize, version: u64, len: usize) -> Vec<u8> {
    let mut payload = vec![0; len];
    fastrand::Rng::with_seed(version << 16 | key as u64).fill(&mut payload);
    let mut block = format!("{key} {version} {len} {};", checksum(&payload)).into_bytes();
    block.extend(payload);
    block
}

fn line(reader: &mut BufReader<Conn>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("an answer");
    line.trim_end().into()
}

/// Reads the answer to a get of one key and returns the versions of its blocks, having checked them.
fn value(reader: &mut BufReader<Conn>, key: usize) -> Blocks {
    let head = line(reader);
    if head == "END" {
        return Blocks::new();
    }
    let length = head.strip_prefix(&format!("VALUE stress-{key} 0 "));
    let length: usize =
        length.and_then(|l| l.parse().ok()).unwrap_or_else(|| panic!("get stress-{key}: {head:?}"));
    let mut data = vec![0; length + "\r\nEND\r\n".len()];
    reader.read_exact(&mut data).expect("a value");
    assert!(data.ends_with(b"\r\nEND\r\n"), "stress-{key}: {}", shown(&data));
    let (mut rest, mut versions) = (&data[..length], Blocks::new());
    while !rest.is_empty() {
        let version;
        (version, rest) =
            first_block(rest, key).unwrap_or_else(|| panic!("stress-{key} is torn: {}", shown(rest)));
        assert!(
            versions.last().is_none_or(|&last| last < version),
            "stress-{key}: {version} after {versions:?}"
        );
        versions.push(version);
    }
    assert!(!versions.is_empty(), "stress-{key} is empty");
    versions
}

/// The version of the first block, and what follows it; `None` if it is not a whole block of this key.
fn first_block(bytes: &[u8], key: usize) -> Option<(u64, &[u8])> {
    let head_len = bytes.iter().position(|&b| b == b';')?;
    let head: Vec<u64> = std::str::from_utf8(&bytes[..head_len])
        .ok()?
        .split(' ')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [block_key, version, len, sum] = head[..] else { return None };
    let (payload, rest) = bytes[head_len + 1..].split_at_checked(usize::try_from(len).ok()?)?;
    (block_key == key as u64 && checksum(payload) == sum).then_some((version, rest))
}

/// The checks above would see a value of another key, a flipped bit and a missing end.
#[test]
fn blocks_are_told_apart() {
    let mut bytes = block(5, 7, 100);
    assert_eq!(first_block(&bytes, 5), Some((7, &[][..])));
    assert_eq!(first_block(&bytes, 6), None);
    assert_eq!(first_block(&bytes[..bytes.len() - 1], 5), None);
    let middle = bytes.len() - 50;
    bytes[middle] ^= 1;
    assert_eq!(first_block(&bytes, 5), None);
}
