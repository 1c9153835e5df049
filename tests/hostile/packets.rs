//! Binary requests whose header lies about lengths: every opcode with each length too small, right, too large and as large as can be, in
//! every combination. Debian's memcached gets the same bytes, and what it answers, and where it hangs up, is what is wanted.
//!
//! Where it is not, on purpose: a value where none belongs is refused in TOUCH, GAT and STAT; an unknown opcode with key or extras is
//! swallowed whole. Both have tests in `binary`. Where key or body can never come whole memcached waits for some of it, and how much
//! depends on its version: there it is enough that nothing but one error is answered.

use super::Witness;
use crate::binary::client::{Answer, request};
use crate::harness::{Conn, Server, shown};
use ringcached::protocol::binary::opcode::*;
use std::process::Command;
use std::time::{Duration, Instant};

on_1_and_2_shards! { lengths_that_lie }

const HEADER_LEN: usize = 24;
const BODY_LEN_MAX: u32 = 1 << 30;
/// Requests that follow on the same connection: more bytes than the longest key and the longest extras.
const NOOPS: usize = 22;
/// So many that are answered otherwise are shown.
const DIFFER_MAX: usize = 5;
/// How much later than others a connection may be answered or closed.
const SLOWEST: Duration = Duration::from_secs(2);

/// Of a request as it should be: extras, key and value.
fn parts_of(opcode: u8) -> (&'static [u8], &'static [u8], &'static [u8]) {
    match opcode {
        SET | ADD | REPLACE | SETQ | ADDQ | REPLACEQ => (&[0; 8], b"key", b"12"),
        APPEND | PREPEND | APPENDQ | PREPENDQ => (b"", b"key", b"34"),
        INCREMENT | DECREMENT | INCREMENTQ | DECREMENTQ => (&[0; 20], b"key", b""),
        TOUCH | GAT | GATQ | GATK | GATKQ => (&[0; 4], b"key", b""),
        FLUSH | FLUSHQ => (&[0; 4], b"", b""),
        NOOP | VERSION | QUIT | QUITQ | SASL_LIST_MECHS => (b"", b"", b""),
        _ => (b"", b"key", b""),
    }
}

/// A length as it is, and the lies about it that fit the field.
fn lies<T: TryFrom<u64> + Copy>(truth: usize, more: &[u64]) -> Vec<T> {
    let truth = truth as u64;
    let all = [truth, truth.wrapping_sub(1), truth + 1, 0].into_iter().chain(more.iter().copied());
    let mut all: Vec<u64> = all.collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().filter_map(|len| T::try_from(len).ok()).collect()
}

/// One request whose header lies, and what follows on its connection.
struct Case {
    opcode: u8,
    extras_len: u8,
    key_len: u16,
    body_len: u32,
}

impl Case {
    /// Those that memcached answers the same way.
    fn comparable() -> Vec<Case> {
        let mut cases = Case::all();
        cases.retain(|case| !case.is_answered_otherwise());
        cases
    }

    fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for opcode in (GET..=GATKQ + 2).chain([0x7f, 0x80, 0xff]) {
            let (extras, key, value) = parts_of(opcode);
            let head_len = extras.len() + key.len();
            let large = [u64::from(BODY_LEN_MAX), u64::from(BODY_LEN_MAX) + 1, u64::from(u32::MAX)];
            for extras_len in lies(extras.len(), &[255]) {
                for key_len in lies(key.len(), &[250, 251, 65_535]) {
                    for body_len in lies(head_len + value.len(), &[&large[..], &[head_len as u64]].concat()) {
                        cases.push(Case { opcode, extras_len, key_len, body_len });
                    }
                }
            }
        }
        cases
    }

    /// See the module comment.
    fn is_answered_otherwise(&self) -> bool {
        let head_len = u32::from(self.extras_len) + u32::from(self.key_len);
        let is_known = matches!(self.opcode, GET..=PREPENDQ | TOUCH..=GATQ | SASL_LIST_MECHS..=GATKQ);
        match self.opcode {
            _ if self.key_len == u16::MAX || self.body_len >= BODY_LEN_MAX => true,
            TOUCH | GAT | GATQ | GATK | GATKQ | STAT => self.body_len > head_len,
            _ => !is_known && head_len > 0,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let (extras, key, value) = parts_of(self.opcode);
        let mut bytes = request(self.opcode, extras, key, value, 0);
        bytes[2..4].copy_from_slice(&self.key_len.to_be_bytes());
        bytes[4] = self.extras_len;
        bytes[8..12].copy_from_slice(&self.body_len.to_be_bytes());
        bytes.extend(request(NOOP, b"", b"", b"", 0).repeat(NOOPS));
        bytes
    }

    fn shown(&self) -> String {
        let Case { opcode, extras_len, key_len, body_len } = self;
        format!("opcode {opcode:#x}, extras {extras_len}, key {key_len}, body {body_len}")
    }
}

/// The answers, whole packets all of them, without what differs between two servers: CAS numbers, versions, reports.
fn comparable(mut bytes: &[u8], of: &Case) -> String {
    let mut text = String::new();
    while !bytes.is_empty() {
        assert!(bytes.len() >= HEADER_LEN, "{}: a part of an answer: {}", of.shown(), shown(bytes));
        let (answer, rest) = Answer::parse(bytes);
        bytes = rest;
        let Answer { opcode, status, opaque, key, extras, mut value, .. } = answer;
        if status == 0 && opcode == STAT {
            continue;
        }
        if status == 0 && opcode == VERSION {
            value.clear();
        }
        let parts = [&extras, &key, &value].map(|part| shown(part));
        text += &format!("{opcode:#x} status {status:#x} opaque {opaque:?} {parts:?}\n");
    }
    text
}

/// One of the two servers.
struct Side {
    server: Server,
    /// A connection to each of its shards.
    others: Vec<Conn>,
}

impl Side {
    fn of(server: Server, shards: u32) -> Side {
        let others = (0..shards).map(|_| server.connect()).collect();
        Side { server, others }
    }

    /// Everything it answers to a case, and whether it hangs up. Nobody says when it is through, but what is asked later, of the
    /// same thread and of the same key, is answered later; and if that was not all, `wanted` is waited for.
    fn answers_to(&mut self, case: &Case, wanted: Option<&str>) -> String {
        self.others[0].ask("set key 0 0 1\r\n7\r\n", "STORED\r\n");
        let mut conn = self.server.connect();
        let hello = request(NOOP, b"", b"", b"", 0);
        conn.send(&hello);
        conn.receive_exactly(&mut [0; HEADER_LEN]);
        conn.send(case.bytes());
        for _ in 0..2 {
            self.others.iter_mut().for_each(|other| other.send("get key\r\n"));
            for other in &mut self.others {
                while other.line() != "END" {}
            }
        }
        let began = Instant::now();
        let mut answers = Vec::new();
        loop {
            let (more, is_open) = conn.receive_what_is_there();
            answers.extend(more);
            let shown =
                format!("{}{}", comparable(&answers, case), if is_open { "open\n" } else { "closed\n" });
            if !is_open || wanted.is_none_or(|wanted| agree(wanted, &shown)) || began.elapsed() > SLOWEST {
                return shown;
            }
        }
    }
}

/// memcached forgets answers that it has not sent when what follows makes it hang up; this server sends them.
fn agree(memcached: &str, ours: &str) -> bool {
    let sent = memcached.strip_suffix("closed\n");
    memcached == ours || sent.is_some_and(|sent| ours.starts_with(sent) && ours.ends_with("closed\n"))
}

fn lengths_that_lie(shards: u32) {
    let mut oracle = Command::new("memcached");
    oracle.args(["-u", "root", "-p", "-1", "-l", "127.0.0.1", "-t", "1", "-R", "1000"]);
    let mut oracle = Side::of(Server::listening(oracle), 1);
    let mut ours = Side::of(Server::start(shards, &[]), shards);
    let witness = Witness::of(&ours.server, shards);
    let cases = Case::comparable();
    let mut differ = Vec::new();
    for case in &cases {
        let want = oracle.answers_to(case, None);
        let got = ours.answers_to(case, Some(&want));
        if !agree(&want, &got) {
            differ.push(format!("{}\nmemcached:\n{want}ours:\n{got}", case.shown()));
        }
        if differ.len() == DIFFER_MAX {
            break;
        }
    }
    assert!(differ.is_empty(), "these differ, and perhaps others:\n{}", differ.join("\n"));
    // What follows belongs to a key or a value that never comes whole, or to nobody: it is not answered.
    for case in Case::all().iter().filter(|case| case.key_len == u16::MAX || case.body_len >= BODY_LEN_MAX) {
        let got = ours.answers_to(case, None);
        let is_error =
            |line: &str| !line.contains("status 0x0 ") && line.starts_with(&format!("{:#x} ", case.opcode));
        let answers = got.lines().filter(|line| !matches!(*line, "open" | "closed"));
        assert!(answers.clone().all(is_error) && answers.count() <= 1, "{}: {got}", case.shown());
    }
    assert!(cases.len() > 3_000, "only {} cases", cases.len());
    witness.was_served(&ours.server, &format!("{} binary headers that lie", cases.len()));
}
