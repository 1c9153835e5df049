//! Random streams of commands, valid and invalid, to Debian's memcached and to this server: the answers must be the
//! same byte for byte, on 1, 2 and 4 shards.
//!
//! A stream goes out in batches over several connections in turn, each batch cut at random; the next batch is sent
//! when `version`, the end of each, has been answered, so both servers execute the same order. The seeds are fixed:
//! a failure comes back.
//!
//! CAS uniques are each server's own numbers. What clients may rely on is which of a key's are equal, so each is
//! replaced by its order of first appearance for that key, and a `cas` command carries the one this server
//! gave last for its key.
//!
//! Batches that read do not count, and the other way round: memcached pads a shortened counter with spaces only if no
//! answer still being sent refers to the item, which in a mixed pipeline is a matter of timing.
//!
//! What the streams leave out, and who looks after it instead:
//!
//! | left out | why |
//! |---|---|
//! | too few words, lines under 4 bytes | Debian's 1.6.18 answers `ERROR`, 1.6.45 `CLIENT_ERROR bad command line format`: `framing` |
//! | `noreply` after an unknown verb, as a key, or after a bad length | silent in 1.6.45, answered in 1.6.18: `framing`, `storage` |
//! | storage commands with a bad key, flags, exptime or CAS unique | 1.6.45 swallows the data, 1.6.18 runs it: `storage` |
//! | `get` with a key over 250 bytes | memcached also drops answers still queued for earlier commands, so what is left depends on timing: `framing` |
//! | lines beyond 2,000 bytes | 1.6.18 hangs up on some, depending on timing: `framing`, `retrieval` |
//! | a space before `get`, a tab after it | 1.6.18 takes both for get: `framing` |
//! | surplus words | 1.6.18 refuses some: `storage` |
//! | flags and exptime beyond 32 bits, an exptime of `-` | memcached wraps round, or takes it for 0: defects not copied |
//! | TTLs that end, delayed `flush_all` | the answer depends on the second it is asked in: `expiry` |
//! | `version`'s text, `stats`, meta and admin commands | differ by design or by version: `stats`, `process` |
//! | more data than fits | which item leaves is each server's own choice: `pressure` |

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use crate::harness::{Conn, Server, shown};

/// Streams for each number of shards, by seed.
const SEEDS: [u64; 4] = [1, 20, 300, 4_000];
const BATCHES: usize = 120;
const COMMANDS_PER_BATCH: usize = 60;
const CONNECTIONS: usize = 3;
/// Few, so that commands meet each other's items; some are missing most of the time.
const KEYS: [&str; 12] = [
    "a",
    "b",
    "c",
    "counter",
    "d",
    "e-much-longer-key-0123456789",
    "f",
    "g",
    "h",
    "i",
    "noreply2",
    "\u{e9}\t\u{7f}",
];
/// A cas command for a key whose unique was never seen carries one that no item has.
const NO_CAS: u64 = u64::MAX;

on_shards! { same_answers_as_memcached }

fn same_answers_as_memcached(shards: u32) {
    let mut oracle = Command::new("memcached");
    oracle.args(["-u", "root", "-p", "-1", "-l", "127.0.0.1", "-t", "1"]);
    // Its background threads hold items for a moment, which shows in the padding of counters.
    oracle.args(["-o", "no_lru_crawler,no_lru_maintainer"]);
    let found = Command::new("memcached").arg("-V").output();
    assert!(found.is_ok(), "no memcached to compare with: apt-get install memcached (tools/check does)");
    let (oracle, ours) = (Server::listening(oracle), Server::start(shards, &["-m", "64"]));
    for seed in SEEDS {
        let (mut theirs, mut own) = (Side::connect(&oracle), Side::connect(&ours));
        let mut random = fastrand::Rng::with_seed(seed);
        for batch in 0..BATCHES {
            let command = if batch % 2 == 0 { Request::reading } else { Request::counting };
            let commands: Vec<Request> = (0..COMMANDS_PER_BATCH).map(|_| command(&mut random)).collect();
            let cuts = random.u64(..);
            let want = theirs.run(batch % CONNECTIONS, &commands, cuts);
            let got = own.run(batch % CONNECTIONS, &commands, cuts);
            compare(&want, &got, &commands, &format!("seed {seed}, batch {batch}, {shards} shards"));
        }
    }
}

/// Fails at the first answer that differs, showing it with its neighbours, and the batch.
fn compare(want: &[Vec<u8>], got: &[Vec<u8>], commands: &[Request], stream: &str) {
    const NEIGHBOURS: usize = 4;
    let Some(at) = (0..want.len().max(got.len())).find(|&i| want.get(i) != got.get(i)) else { return };
    let around = |answers: &[Vec<u8>]| {
        let near = answers.iter().enumerate().skip(at.saturating_sub(NEIGHBOURS)).take(2 * NEIGHBOURS + 1);
        near.map(|(i, answer)| format!("  {i}: {}\n", shown(answer))).collect::<String>()
    };
    let batch: String = commands.iter().map(|c| format!("  {}\n", shown(&c.bytes(NO_CAS)))).collect();
    let (want, got) = (around(want), around(got));
    panic!("{stream}: answer {at} differs\nmemcached:\n{want}ours:\n{got}batch:\n{batch}");
}

/// One command: its bytes, with room for a CAS unique that only the server asked can give.
struct Request {
    before: Vec<u8>,
    /// The key whose last seen CAS unique goes between the two.
    cas_of: Option<&'static str>,
    after: Vec<u8>,
}

impl Request {
    fn plain(bytes: impl Into<Vec<u8>>) -> Request {
        Request { before: bytes.into(), cas_of: None, after: Vec::new() }
    }

    fn bytes(&self, cas: u64) -> Vec<u8> {
        let cas = if self.cas_of.is_some() { cas.to_string() } else { String::new() };
        [&self.before, cas.as_bytes(), &self.after].concat()
    }

    /// Any command but incr and decr.
    fn reading(random: &mut fastrand::Rng) -> Request {
        match random.u32(..5) {
            0 | 1 => retrieval(random),
            _ => Request::any(random),
        }
    }

    /// Any command but a retrieval.
    fn counting(random: &mut fastrand::Rng) -> Request {
        match random.u32(..5) {
            0 | 1 => arithmetic(random),
            _ => Request::any(random),
        }
    }

    /// Commands at home in both kinds of batches.
    fn any(random: &mut fastrand::Rng) -> Request {
        match random.u32(..60) {
            0..30 => storage(random),
            30..38 => cas(random),
            38..44 => touch(random),
            44..50 => delete(random),
            50 => Request::plain(format!("flush_all{}\r\n", pick(random, &["", " 0", " -1", " noreply"]))),
            _ => Request::plain(invalid(random)),
        }
    }
}

fn pick<T: Copy>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

fn key(random: &mut fastrand::Rng) -> &'static str {
    pick(random, &KEYS)
}

fn noreply(random: &mut fastrand::Rng) -> &'static str {
    if random.u32(..5) == 0 { " noreply" } else { "" }
}

/// Between words, and the end of a line.
fn separators(random: &mut fastrand::Rng) -> (&'static str, &'static str) {
    (pick(random, &[" ", " ", " ", "  "]), pick(random, &["\r\n", "\r\n", "\r\n", "\n", " \r\n"]))
}

/// Text, numbers in all spellings, and binary, mostly short.
fn value(random: &mut fastrand::Rng) -> Vec<u8> {
    let number = random.u64(..) >> random.u32(..64);
    match random.u32(..20) {
        0..6 => number.to_string().into_bytes(),
        6 => format!(" +{} ", number >> 20).into_bytes(),
        7 => pick(random, &["", "-1", "0x10", "007", "1 2", "18446744073709551615", "18446744073709551616"])
            .into(),
        8 => b"\r\nget a\r\nEND\r\n".to_vec(),
        kind => {
            let longest = match kind {
                9..17 => 60,
                17 | 18 => 3_000,
                _ => 100_000,
            };
            let mut bytes = vec![0; random.usize(..longest)];
            random.fill(&mut bytes);
            bytes
        }
    }
}

/// `<verb> <key> <flags> <exptime> <bytes>`, without what follows; none of the TTLs ends during the test.
fn storage_words(random: &mut fastrand::Rng, verb: &str, key: &str, len: usize) -> String {
    let (space, _) = separators(random);
    let flags = pick(random, &["0", "0", "1", "65535", "4294967295", "0042"]);
    let exptime = pick(random, &["0", "0", "0", "1000", "2592000", "-1", "4000000"]);
    format!("{verb}{space}{key}{space}{flags}{space}{exptime}{space}{len}")
}

fn storage(random: &mut fastrand::Rng) -> Request {
    let verb = pick(random, &["set", "set", "set", "add", "replace", "append", "prepend"]);
    let (key, value, noreply) = (key(random), value(random), noreply(random));
    let words = storage_words(random, verb, key, value.len());
    let (_, end) = separators(random);
    Request::plain([words.as_bytes(), noreply.as_bytes(), end.as_bytes(), &value, b"\r\n"].concat())
}

fn cas(random: &mut fastrand::Rng) -> Request {
    let (key, value, noreply) = (key(random), value(random), noreply(random));
    let mut words = storage_words(random, "cas", key, value.len());
    words.push(' ');
    let after = [noreply.as_bytes(), b"\r\n", &value, b"\r\n"].concat();
    Request { before: words.into_bytes(), cas_of: Some(key), after }
}

fn retrieval(random: &mut fastrand::Rng) -> Request {
    let (space, end) = separators(random);
    let verb =
        pick(random, &["get", "get", "gets", "gets", "gat 0", "gat 1000", "gats 0", "gat -1", "gats 5000"]);
    let keys = if random.u32(..50) == 0 { random.usize(20..60) } else { random.usize(1..8) };
    let keys: String = (0..keys).map(|_| format!("{space}{}", key(random))).collect();
    Request::plain(format!("{verb}{keys}{end}"))
}

fn arithmetic(random: &mut fastrand::Rng) -> Request {
    let (space, end) = separators(random);
    let verb = pick(random, &["incr", "incr", "decr"]);
    let key = if random.bool() { "counter" } else { key(random) };
    let delta = match random.u32(..6) {
        0 => pick(random, &["x", "-1", "18446744073709551615", "18446744073709551616", "1x", "007"])
            .to_string(),
        1 => (random.u64(..) >> random.u32(..64)).to_string(),
        _ => random.u64(..1_000).to_string(),
    };
    Request::plain(format!("{verb}{space}{key}{space}{delta}{}{end}", noreply(random)))
}

fn touch(random: &mut fastrand::Rng) -> Request {
    let (space, end) = separators(random);
    let exptime = pick(random, &["0", "0", "1000", "-1", "x", "1x"]);
    Request::plain(format!("touch{space}{}{space}{exptime}{}{end}", key(random), noreply(random)))
}

fn delete(random: &mut fastrand::Rng) -> Request {
    let (space, end) = separators(random);
    let zero = pick(random, &["", "", " 0"]);
    Request::plain(format!("delete{space}{}{zero}{}{end}", key(random), noreply(random)))
}

fn invalid(random: &mut fastrand::Rng) -> Vec<u8> {
    let key = key(random);
    let long = "k".repeat(251);
    let text = match random.u32(..14) {
        // The data is longer than announced: what is left over is a line of its own.
        0..4 => {
            let verb = pick(random, &["set", "add", "append", "replace"]);
            let len = random.usize(..50);
            let data: String = (0..len + 2).map(|_| random.alphanumeric()).collect();
            format!("{verb} {key} 0 0 {len}\r\n{data}left over\r\n")
        }
        4 => format!("set {key} 0 0 {}\r\n", pick(random, &["x", "-1"])),
        5 | 6 => format!("{} {long} 1\r\n", pick(random, &["incr", "decr", "touch"])),
        7 => format!("delete {long}\r\n"),
        8 => format!("gat {} {key}\r\n", pick(random, &["x", "1x", "1-"])),
        9 => format!("{} {key}\r\n", pick(random, &["GET", "Get", "bogus", "HTTP/1.1"])),
        10 => format!("flush_all {}\r\n", pick(random, &["x", "1x", "1-"])),
        11 => format!("verbosity {}\r\n", pick(random, &["0", "x"])),
        12 => "#".repeat(random.usize(10..1_000)) + "\r\n",
        // Rare, because it is large: over the item limit, the old item goes.
        _ if random.u32(..10) == 0 => {
            format!("set {key} 0 0 1048576\r\n{}\r\n", "get a\r\n ".repeat(131_072))
        }
        _ => "no such command\r\n".into(),
    };
    text.into_bytes()
}

/// One of the two servers, and the CAS uniques it has shown of each key, in order.
struct Side {
    connections: Vec<BufReader<Conn>>,
    cas_seen: HashMap<String, Vec<u64>>,
}

impl Side {
    /// Connects and empties the server.
    fn connect(server: &Server) -> Side {
        let mut connections: Vec<Conn> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        connections[0].ask("flush_all\r\n", "OK\r\n");
        Side { connections: connections.into_iter().map(BufReader::new).collect(), cas_seen: HashMap::new() }
    }

    /// Sends the commands in random pieces and returns the lines answered (a value's line with its data), up to the
    /// answer of the closing `version`.
    fn run(&mut self, connection: usize, commands: &[Request], cuts: u64) -> Vec<Vec<u8>> {
        let last_cas = |key| self.cas_seen.get(key).and_then(|seen| seen.last()).copied().unwrap_or(NO_CAS);
        let mut bytes: Vec<u8> =
            commands.iter().flat_map(|c| c.bytes(c.cas_of.map_or(0, last_cas))).collect();
        bytes.extend(b"version\r\n");
        let mut writer = self.connections[connection].get_ref().another_handle();
        std::thread::scope(|scope| {
            scope.spawn(move || send_in_pieces(&mut writer, &bytes, cuts));
            let mut answers = Vec::new();
            while let Some(answer) = self.next_answer(connection) {
                answers.push(answer);
            }
            answers
        })
    }

    /// The next line, with its data if it is a value's; `None` for the answer of `version`.
    fn next_answer(&mut self, connection: usize) -> Option<Vec<u8>> {
        let reader = &mut self.connections[connection];
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line);
        assert!(read.is_ok() && line.ends_with(b"\n"), "answers ended with {read:?}: {}", shown(&line));
        let text = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = text.trim_end().split(' ').collect();
        match words[..] {
            ["VERSION", _] => None,
            ["VALUE", .., length] if words.len() == 4 => Some(with_data(reader, line, length)),
            ["VALUE", .., length, unique] if words.len() == 5 => {
                let unique = unique.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"));
                let nth = self.nth_cas(words[1], unique);
                let head = format!("VALUE {} {} {length} cas#{nth}\r\n", words[1], words[2]);
                Some(with_data(&mut self.connections[connection], head.into_bytes(), length))
            }
            _ => Some(line),
        }
    }

    /// How many other uniques of `key` were seen before this one was for the first time.
    fn nth_cas(&mut self, key: &str, unique: u64) -> usize {
        let seen = self.cas_seen.entry(key.into()).or_default();
        let known = seen.iter().rposition(|&s| s == unique);
        known.unwrap_or_else(|| {
            seen.push(unique);
            seen.len() - 1
        })
    }
}

/// Appends the value's data and its CRLF to its line.
fn with_data(reader: &mut BufReader<Conn>, mut line: Vec<u8>, length: &str) -> Vec<u8> {
    let length: usize = length.parse().unwrap_or_else(|e| panic!("{}: {e}", shown(&line)));
    let head = line.len();
    line.resize(head + length + 2, 0);
    reader.read_exact(&mut line[head..]).expect("a value's data");
    line
}

fn send_in_pieces(writer: &mut Conn, mut bytes: &[u8], cuts: u64) {
    let mut random = fastrand::Rng::with_seed(cuts);
    while !bytes.is_empty() {
        let longest = pick(&mut random, &[5, 50, 500, 5_000, 100_000]);
        let (piece, rest) = bytes.split_at(random.usize(1..=longest).min(bytes.len()));
        writer.send(piece);
        bytes = rest;
    }
}
