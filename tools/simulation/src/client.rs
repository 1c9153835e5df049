//! A client: one connection at a time, requests written ahead of their answers, answers read in pieces and held against what
//! was asked. What it saw goes into the history.

use crate::binary;
use crate::faults::{Faults, happens};
use crate::history::{Action, Moment, Operation, Outcome};
use crate::load::{Load, Request};
use crate::model::FIRST_SECOND;
use crate::text;
use crate::world::{End, World};
use fastrand::Rng;
use std::collections::VecDeque;
use std::os::fd::RawFd;

/// Steps that a stalled client misses, at most.
const STALL_STEPS_MAX: u64 = 3_000;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Lines.
    Classic,
    /// Lines with flags.
    Meta,
    /// Packets.
    Binary,
}

/// A request that is not answered, or not whole.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its operations in the history are `first..first + count`; of a request that only waits for those before it there are none.
    pub first: usize,
    /// See `first`.
    pub count: usize,
    /// Those that have been answered.
    pub answered: usize,
    /// Silence is an answer.
    pub quiet: bool,
    /// By which an answer names it, where it does.
    pub token: u32,
    /// What is asked, of all its keys.
    pub action: Option<Action>,
}

/// What the clients of a world have in common.
pub struct Shared {
    /// What was asked and answered.
    pub history: Vec<Operation>,
    /// What is asked.
    pub load: Load,
    /// Operations after which nobody asks any more.
    pub operations_max: usize,
    /// Connections so far.
    pub sessions: usize,
    /// A number for everything the clients saw.
    pub trace: u64,
    /// Any write may be refused, for lack of memory.
    pub may_refuse: bool,
    /// Values longer than this may be refused.
    pub value_len_safe: usize,
    /// The server may give up a connection whose request is long, in a crowd.
    pub may_give_up: bool,
}

/// See the module comment.
pub struct Client {
    random: Rng,
    protocol: Protocol,
    /// Requests it has under way, at most.
    depth: usize,
    fd: Option<RawFd>,
    session: usize,
    out: Vec<u8>,
    out_at: usize,
    input: Vec<u8>,
    waiting: VecDeque<Waiting>,
    ending: bool,
    stalled_until: u64,
    tokens: u32,
    seen: Vec<Option<u64>>,
}

/// What is wrong, in words.
pub type Complaint = String;

impl Client {
    /// Not yet connected.
    pub fn new(mut random: Rng, keys: usize) -> Client {
        let protocol = [Protocol::Classic, Protocol::Meta, Protocol::Binary][random.usize(0..3)];
        let depth = if random.bool() { 1 } else { random.usize(2..40) };
        Client {
            random,
            protocol,
            depth,
            fd: None,
            session: 0,
            out: Vec::new(),
            out_at: 0,
            input: Vec::new(),
            waiting: VecDeque::new(),
            ending: false,
            stalled_until: 0,
            tokens: 0,
            seen: vec![None; keys],
        }
    }

    /// Nothing is under way.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.out_at == self.out.len() && !self.ending
    }

    /// It is stalled no more, and sends nothing after what is under way.
    pub fn finish(&mut self, world: &mut World) {
        self.stalled_until = 0;
        if let Some(fd) = self.fd.filter(|_| self.is_done()) {
            world.end(fd);
            self.ending = true;
        }
    }

    /// It has no connection.
    pub fn is_gone(&self) -> bool {
        self.fd.is_none()
    }

    /// Does one thing.
    pub fn act(&mut self, world: &mut World, shared: &mut Shared, faults: &Faults) -> Result<(), Complaint> {
        if world.steps() < self.stalled_until {
            return Ok(());
        }
        if happens(&mut self.random, faults.client_stalls) {
            self.stalled_until = world.steps() + self.random.u64(1..=STALL_STEPS_MAX);
        }
        let Some(fd) = self.fd else {
            self.fd = Some(world.connect());
            self.session = shared.sessions;
            shared.sessions += 1;
            return Ok(());
        };
        if happens(&mut self.random, faults.reset) {
            world.reset(fd);
        } else if happens(&mut self.random, faults.half_close)
            && self.out_at == self.out.len()
            && !self.ending
        {
            world.end(fd);
            self.ending = true;
        }
        if self.out_at < self.out.len() {
            let most = if self.random.bool() { self.out.len() } else { self.random.usize(1..2_000) };
            let end = self.out.len().min(self.out_at + most);
            self.out_at += world.send(fd, &self.out[self.out_at..end]);
        } else if !self.ending {
            self.ask(world, shared);
        }
        self.hear(fd, world, shared)
    }

    /// Writes some requests.
    fn ask(&mut self, world: &World, shared: &mut Shared) {
        self.out.clear();
        self.out_at = 0;
        let most = self.depth.saturating_sub(self.waiting.len());
        if most == 0 {
            return;
        }
        for _ in 0..self.random.usize(1..=most) {
            if shared.history.len() >= shared.operations_max {
                break;
            }
            let unix_s = world.wall_offsets(world.steps(), u64::MAX).last().unwrap_or(0)
                + world.now().as_secs() as i64;
            let mut request = shared.load.request(&mut self.random, unix_s, &self.seen);
            // A refusal does not name the meta command it answers: it would not be known which of some quiet ones it was.
            let may_refuse = shared.may_refuse || request.value.len() > shared.value_len_safe;
            request.quiet &= self.protocol != Protocol::Meta || !may_refuse;
            self.write(world, shared, request);
        }
        // Nobody waits for the silence of the last.
        if self.waiting.back().is_some_and(|last| last.quiet) {
            self.fence();
        }
    }

    fn write(&mut self, world: &World, shared: &mut Shared, request: Request) {
        let keys: Vec<&[u8]> =
            request.keys.iter().map(|key| shared.load.keys[*key].name.as_slice()).collect();
        let requests = match self.protocol {
            Protocol::Classic => text::classic(request, &keys),
            Protocol::Meta => text::one_by_one(request),
            Protocol::Binary => binary::one_by_one(request),
        };
        for request in requests {
            let token = self.tokens;
            self.tokens += 1;
            let keys: Vec<&[u8]> =
                request.keys.iter().map(|key| shared.load.keys[*key].name.as_slice()).collect();
            let speaks_classic =
                self.protocol == Protocol::Classic || matches!(request.action, Action::Flush { .. });
            match self.protocol {
                Protocol::Binary => binary::write(&mut self.out, &request, &keys, token),
                _ if speaks_classic => text::write_classic(&mut self.out, &request, &keys),
                _ => text::write_meta(&mut self.out, &request, keys[0], token),
            }
            let first = shared.history.len();
            let invoked = moment(world);
            let mut note = |key: Option<usize>| {
                shared.history.push(Operation {
                    key,
                    session: self.session,
                    action: request.action,
                    outcome: Outcome::Unknown,
                    invoked,
                    returned: Moment::NEVER,
                    wall_s: (0, 0),
                });
            };
            match request.action {
                Action::Flush { .. } => note(None),
                _ => request.keys.iter().for_each(|key| note(Some(*key))),
            }
            self.waiting.push_back(Waiting {
                first,
                count: shared.history.len() - first,
                answered: 0,
                quiet: request.quiet,
                token,
                action: Some(request.action),
            });
        }
    }

    /// Asks for an answer that comes behind all others.
    fn fence(&mut self) {
        let token = self.tokens;
        self.tokens += 1;
        match self.protocol {
            Protocol::Binary => binary::write_noop(&mut self.out, token),
            Protocol::Classic => self.out.extend_from_slice(b"version\r\n"),
            Protocol::Meta => self.out.extend_from_slice(b"mn\r\n"),
        }
        self.waiting.push_back(Waiting {
            first: 0,
            count: 0,
            answered: 0,
            quiet: false,
            token,
            action: None,
        });
    }

    fn hear(&mut self, fd: RawFd, world: &mut World, shared: &mut Shared) -> Result<(), Complaint> {
        let most = if self.random.bool() { usize::MAX } else { self.random.usize(0..5_000) };
        let start = self.input.len();
        let end = world.receive(fd, most, &mut self.input);
        for piece in self.input[start..].chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            shared.trace = mix(shared.trace, u64::from_le_bytes(word));
        }
        if self.input.len() > start {
            shared.trace = mix(shared.trace, world.steps() << 8 | self.session as u64);
            self.understand(world, shared)?;
        }
        match end {
            End::Open => return Ok(()),
            End::Reset => {}
            End::Closed
                if self.ending
                    && self.waiting.iter().all(|waiting| waiting.quiet)
                    && self.input.is_empty() =>
            {
                // All that it asked has been done before the end came.
                while let Some(waiting) = self.waiting.pop_front() {
                    self.silence(&waiting, world, shared);
                }
            }
            End::Closed if shared.may_give_up => {}
            End::Closed => {
                let (answers, rest) = (self.waiting.len(), String::from_utf8_lossy(&self.input));
                return Err(format!(
                    "the server closed connection {} with {answers} answers missing: {rest}",
                    self.session
                ));
            }
        }
        self.forget();
        Ok(())
    }

    /// Whatever was under way may have been done or not.
    fn forget(&mut self) {
        self.fd = None;
        self.ending = false;
        self.waiting.clear();
        self.input.clear();
        self.out.clear();
        self.out_at = 0;
    }

    /// Reads every answer that is there whole.
    fn understand(&mut self, world: &World, shared: &mut Shared) -> Result<(), Complaint> {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        let mut failed = None;
        while failed.is_none() && at < input.len() {
            let parsed = match self.protocol {
                Protocol::Binary => binary::parse(&input[at..], &self.waiting),
                _ => text::parse(&input[at..], &self.waiting, |operation| {
                    shared.history[operation].key.map_or(b"".as_slice(), |key| &shared.load.keys[key].name)
                }),
            };
            match parsed {
                Ok(None) => break,
                Ok(Some(answer)) => {
                    at += answer.used;
                    failed = self.answered(&answer, world, shared).err();
                }
                Err(complaint) => failed = Some(complaint),
            }
        }
        self.input = input;
        self.input.drain(..at);
        failed.map_or(Ok(()), |complaint| Err(format!("connection {}: {complaint}", self.session)))
    }

    fn answered(&mut self, answer: &Answer, world: &World, shared: &mut Shared) -> Result<(), Complaint> {
        for _ in 0..answer.skipped {
            let Some(silent) = self.waiting.pop_front() else { break };
            if !silent.quiet {
                return Err(format!("no answer to {:?}", silent.action));
            }
            self.silence(&silent, world, shared);
        }
        let Some(waiting) = self.waiting.front_mut() else { return Err("an answer to nothing".into()) };
        let first = waiting.first + waiting.answered;
        waiting.answered += answer.outcomes.len();
        if waiting.answered > waiting.count {
            return Err(format!("more answers than {:?} asked for", waiting.action));
        }
        let whole = answer.is_last;
        for (i, outcome) in answer.outcomes.iter().enumerate() {
            self.note(first + i, *outcome, world, shared);
        }
        if whole {
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// A quiet request was answered with nothing, as is known by an answer to a later one.
    fn silence(&mut self, waiting: &Waiting, world: &World, shared: &mut Shared) {
        let outcome = match (self.protocol, waiting.action) {
            (Protocol::Classic, _) => Outcome::Unknown,
            (_, Some(Action::Read(_))) => Outcome::Miss,
            (Protocol::Meta, Some(Action::Touch(_))) => Outcome::NotFound,
            (_, Some(Action::Write { .. } | Action::Delete { .. })) => Outcome::Done { cas: None },
            _ => Outcome::Unknown,
        };
        for operation in waiting.first..waiting.first + waiting.count {
            self.note(operation, outcome, world, shared);
        }
    }

    fn note(&mut self, operation: usize, outcome: Outcome, world: &World, shared: &mut Shared) {
        let noted = &mut shared.history[operation];
        noted.outcome = outcome;
        noted.returned = moment(world);
        let wall_s = |most: fn(i64, i64) -> i64| {
            world.wall_offsets(noted.invoked.step, noted.returned.step).reduce(most).unwrap_or(0)
        };
        noted.wall_s = (wall_s(i64::min), wall_s(i64::max));
        let cas = match outcome {
            Outcome::Hit { cas, .. } | Outcome::Done { cas } | Outcome::Number { cas, .. } => cas,
            _ => None,
        };
        if let (Some(key), Some(cas)) = (noted.key, cas) {
            self.seen[key] = Some(cas);
        }
    }
}

/// What an answer, or a part of one, says.
pub struct Answer {
    /// Its bytes.
    pub used: usize,
    /// Requests before the one it belongs to that are answered by silence.
    pub skipped: usize,
    /// Of the next operations of the request.
    pub outcomes: Vec<Outcome>,
    /// The request has been answered.
    pub is_last: bool,
}

fn moment(world: &World) -> Moment {
    Moment { step: world.steps(), second: world.now().as_secs() as u32 + FIRST_SECOND }
}

/// Puts one more number into another.
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}
