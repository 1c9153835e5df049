//! One client's side of the protocol: bytes in, requests to their owners, replies in request order into the outbox.
//!
//! Pure with respect to the outside: a session knows its [`Core`] and no socket. It is fed what was received and says why it
//! stopped ([`Stop`]). What it could not use yet it keeps in `input`. A request is taken only when there is room for its
//! reply and, if it is foreign, for the request itself; otherwise it stays in `input` and the session is resumed later. So
//! nothing here ever has to be undone.
//!
//! Neighbours: [`super::storage`] holds the commands that carry data, [`super::slots`] keeps replies in order.

use super::calls::Call;
use super::core::Core;
use super::execute::{REPLY_MAX, execute};
use super::mesh::held::Held;
use super::mesh::wire::Ticket;
use super::request::{KeyRequest, Op};
use super::slots::{Slot, Slots};
use super::storage::{Receiving, StoreLine};
use crate::net::Outbox;
use crate::protocol::reply::text;
use crate::protocol::{Command, Exptime, Frame, LongGet, LongGetStep, frame, parse};

/// Keys one session may run in one turn, whatever the number of requests they come in: the bound of a large multi-get.
pub const KEYS_PER_TURN: u32 = 512;

/// Bytes of a `get` line without end at which its keys are run as they come, instead of waiting for the whole line.
const LONG_GET_BYTES: usize = 16 * 1024;

/// Bytes of buffers that a session keeps while it is idle.
const SPARE_BYTES: usize = 16 * 1024;

/// The most detail `verbosity` sets, as in memcached.
const VERBOSITY_MAX: u32 = 2;

/// Why a session stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All complete requests are done: more bytes are needed.
    NeedInput,
    /// It has had its share of this turn.
    Yield,
    /// Its own answers or sends are in the way; their completion resumes it.
    WaitOwn,
    /// The shard's blocks or the way to a peer are full: try again soon.
    WaitShared,
    /// The connection is to be closed once its replies have been sent.
    Close,
}

/// Which connection a session belongs to, for tickets.
#[derive(Clone, Copy, Debug)]
pub struct ConnId {
    /// Index in the shard's table.
    pub index: u32,
    /// Generation of that place.
    pub generation: u32,
}

/// Where in the protocol a session is.
pub(super) enum Mode {
    /// At the start of a command line.
    Line,
    /// Inside the keys of a get, gets, gat or gats.
    Keys { keys: LongGet, op: Op, expires_s: u32 },
    /// A value too large to buffer is being received.
    Value(Box<Receiving>),
    /// This many bytes are to be thrown away.
    Skip(u64),
}

/// See the module comment.
pub struct Session {
    pub(super) mode: Mode,
    pub(super) out: Outbox<Held>,
    pub(super) slots: Slots,
    /// A call to all shards is outstanding: nothing runs before its answer.
    called: bool,
    input: Vec<u8>,
    input_at: usize,
    requests_left: u32, // of this turn, in requests (-R)
    keys_left: u32,     // of this turn, in keys
}

/// What a step did: bytes of input used, and a reason to stop if there is one.
pub(super) struct Step {
    pub used: usize,
    pub stop: Option<Stop>,
}

impl Step {
    pub(super) fn on(used: usize) -> Step {
        Step { used, stop: None }
    }

    pub(super) fn stop(stop: Stop) -> Step {
        Step { used: 0, stop: Some(stop) }
    }
}

impl Default for Session {
    fn default() -> Self {
        Session {
            mode: Mode::Line,
            out: Outbox::default(),
            slots: Slots::default(),
            called: false,
            input: Vec::new(),
            input_at: 0,
            requests_left: 0,
            keys_left: 0,
        }
    }
}

impl Session {
    /// Nothing received waits, nothing is outstanding, nothing is unsent: the session may be put away.
    pub fn is_idle(&self) -> bool {
        self.input.is_empty()
            && self.slots.is_empty()
            && self.out.is_idle()
            && matches!(self.mode, Mode::Line)
    }

    /// Bytes received and not used yet.
    pub fn input_len(&self) -> usize {
        self.input.len() - self.input_at
    }

    /// No reply is outstanding or waits for one that is.
    pub fn slots_are_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The oldest reply is ready to leave.
    pub fn has_reply_ready(&self) -> bool {
        self.slots.front_is_ready()
    }

    /// Gives back the memory that an unusual load has left in an idle session.
    pub fn shrink(&mut self) {
        self.slots.shrink();
        self.input.shrink_to(SPARE_BYTES);
    }

    /// Runs the requests in `data`, behind whatever was received before.
    pub fn feed(&mut self, core: &mut Core, id: ConnId, data: &[u8]) -> Stop {
        if !self.input.is_empty() {
            self.input.extend_from_slice(data);
            return self.resume(core, id);
        }
        let (used, stop) = self.run(core, id, data);
        // The cold case: a request cut by the end of the data, or one that has to wait.
        self.input.extend_from_slice(&data[used..]);
        stop
    }

    /// Goes on with what was received before.
    pub fn resume(&mut self, core: &mut Core, id: ConnId) -> Stop {
        self.drain_slots(core);
        let mut input = std::mem::take(&mut self.input);
        let (used, stop) = self.run(core, id, &input[self.input_at..]);
        self.input_at += used;
        if self.input_at == input.len() {
            input.clear();
            self.input_at = 0;
        } else if self.input_at > input.len() / 2 {
            input.drain(..self.input_at);
            self.input_at = 0;
        }
        self.input = input;
        stop
    }

    fn run(&mut self, core: &mut Core, id: ConnId, data: &[u8]) -> (usize, Stop) {
        self.requests_left = core.settings.requests_per_turn;
        self.keys_left = KEYS_PER_TURN;
        let mut at = 0;
        loop {
            if self.called {
                return (at, Stop::WaitOwn);
            }
            let rest = &data[at..];
            if rest.is_empty() {
                return (at, Stop::NeedInput);
            }
            let step = match self.mode {
                Mode::Line => self.line(core, id, rest),
                Mode::Keys { keys, op, expires_s } => self.key(core, id, rest, (keys, op, expires_s)),
                Mode::Value(_) => self.value(core, id, rest),
                Mode::Skip(left) => self.skip(rest, left),
            };
            at += step.used;
            if let Some(stop) = step.stop {
                return (at, stop);
            }
        }
    }

    fn line(&mut self, core: &mut Core, id: ConnId, rest: &[u8]) -> Step {
        if self.requests_left == 0 || self.keys_left == 0 {
            return Step::stop(Stop::Yield);
        }
        let (line, used) = match frame(rest) {
            Frame::Line { line, used } => (line, used),
            Frame::LongGet if rest.len() > LONG_GET_BYTES => return self.long_get(rest),
            Frame::Incomplete | Frame::LongGet => return Step::stop(Stop::NeedInput),
            Frame::TooLong => return Step::stop(Stop::Close),
        };
        let command = parse(line, &core.settings.limits);
        let step = self.command(core, id, command, used, rest);
        self.requests_left -= u32::from(step.stop.is_none());
        step
    }

    fn command(
        &mut self,
        core: &mut Core,
        id: ConnId,
        command: Command<'_>,
        used: usize,
        rest: &[u8],
    ) -> Step {
        match command {
            Command::Get(get) => {
                let expires_s = get.touch.map_or(0, |t| core.expires_s(t));
                let (keys, op) = (LongGet::checked(get.with_cas), get_op(get.with_cas, get.touch));
                self.mode = Mode::Keys { keys, op, expires_s };
                Step::on(get.keys.offset())
            }
            Command::Store(line) => self.store(core, id, &StoreLine::new(core, &line), used, rest),
            Command::Arith { key, delta, increment, noreply } => {
                let op = if increment { Op::Incr } else { Op::Decr };
                self.keyed(core, id, KeyRequest { number: delta, ..simple(core, op, key, noreply) }, used)
            }
            Command::Touch { key, exptime, noreply } => {
                let expires_s = core.expires_s(exptime);
                self.keyed(core, id, KeyRequest { expires_s, ..simple(core, Op::Touch, key, noreply) }, used)
            }
            Command::Delete { key, noreply } => {
                self.keyed(core, id, simple(core, Op::Delete, key, noreply), used)
            }
            Command::FlushAll { exptime, noreply } => {
                let call = Call::Flush(core.flush_at_s(exptime));
                self.call(core, id, call, noreply, used)
            }
            Command::Stats { args } => match Call::stats(args) {
                Ok(call) => self.call(core, id, call, false, used),
                Err(words) => self.reply(core, words, used),
            },
            // Understood, not executed yet.
            Command::Admin { noreply, .. } => self.reply(core, if noreply { b"" } else { text::ERROR }, used),
            Command::Version => self.reply(core, text::VERSION, used),
            Command::Verbosity { level, noreply } => {
                (core.settings.set_verbosity)(level.min(VERBOSITY_MAX) as u8);
                self.reply(core, if noreply { b"" } else { text::OK }, used)
            }
            Command::Shutdown { graceful: _ } => {
                (core.settings.shutdown)();
                Step { used, stop: Some(Stop::Close) }
            }
            Command::Quit | Command::Close => Step { used, stop: Some(Stop::Close) },
            Command::Reply(words) => self.reply(core, words, used),
            Command::ReplyAndSkip { text, skip } => {
                let step = self.reply(core, text, used);
                if step.stop.is_none() {
                    self.mode = Mode::Skip(skip);
                }
                step
            }
        }
    }

    /// A fixed reply.
    pub(super) fn reply(&mut self, core: &mut Core, words: &[u8], used: usize) -> Step {
        if words.is_empty() {
            return Step::on(used);
        }
        if !self.slots.is_empty() {
            if self.slots.is_full() {
                return Step::stop(Stop::WaitOwn);
            }
            self.slots.push(words, None);
            return Step::on(used);
        }
        match self.out.space(&mut core.pool, REPLY_MAX) {
            Some(room) => {
                room[..words.len()].copy_from_slice(words);
                self.out.wrote(words.len());
                Step::on(used)
            }
            None => self.no_room(core),
        }
    }

    /// Why there is no room in the outbox: its own unsent bytes, or no block left.
    pub(super) fn no_room(&self, core: &Core) -> Step {
        let own = core.pool.available() > 0 || !self.out.is_idle();
        Step::stop(if own { Stop::WaitOwn } else { Stop::WaitShared })
    }

    /// Runs a keyed request here or sends it to its owner.
    pub(super) fn keyed(
        &mut self,
        core: &mut Core,
        id: ConnId,
        request: KeyRequest<'_>,
        used: usize,
    ) -> Step {
        let owner = core.owner(request.key.hash);
        if owner != core.id {
            return self.foreign(core, id, owner, &request, used);
        }
        if !self.slots.is_empty() {
            if self.slots.is_full() {
                return Step::stop(Stop::WaitOwn);
            }
            let reply = core.execute_held(&request);
            let value = reply.value.map(|value| core.held(value));
            if reply.len > 0 {
                self.slots.push(&core.scratch[..reply.len], value);
            }
        } else {
            let Some(room) = self.out.space(&mut core.pool, REPLY_MAX) else { return self.no_room(core) };
            let reply =
                execute(&mut core.store, &mut core.counters, &request, core.now_s, &mut room[..REPLY_MAX]);
            self.out.wrote(reply.len);
            if let Some(value) = reply.value {
                let len = value.value_len();
                self.out.push_value(core.held(value), len);
            }
        }
        core.counters.cmd_local += 1;
        Step::on(used)
    }

    fn foreign(
        &mut self,
        core: &mut Core,
        id: ConnId,
        owner: usize,
        request: &KeyRequest<'_>,
        used: usize,
    ) -> Step {
        if self.slots.is_full() || self.out.is_full() {
            return Step::stop(Stop::WaitOwn);
        }
        let ticket = self.next_ticket(id);
        if !core.forward(owner, ticket, request) {
            return Step::stop(Stop::WaitShared);
        }
        // Also without a reply: when a later reply leaves, this has been done, as on a server with one thread.
        self.slots.open();
        Step::on(used)
    }

    /// The ticket of the slot that would be opened next.
    pub(super) fn next_ticket(&self, id: ConnId) -> Ticket {
        Ticket { conn: id.index, generation: id.generation, slot: self.slots.next_number() }
    }

    /// A command that every shard takes part in.
    fn call(&mut self, core: &mut Core, id: ConnId, call: Call, noreply: bool, used: usize) -> Step {
        if self.slots.is_full() {
            return Step::stop(Stop::WaitOwn);
        }
        let ticket = self.next_ticket(id);
        if !core.start_call(ticket, call, noreply) {
            return Step::stop(Stop::WaitShared);
        }
        self.slots.open();
        // What follows on this connection comes after the call on every shard.
        self.called = true;
        Step::on(used)
    }

    /// Runs the next key of a get, or ends it.
    fn key(&mut self, core: &mut Core, id: ConnId, rest: &[u8], at: (LongGet, Op, u32)) -> Step {
        let (mut keys, op, expires_s) = at;
        if self.keys_left == 0 {
            return Step::stop(Stop::Yield);
        }
        let (next, used) = keys.next(rest, &core.settings.limits);
        let step = match next {
            LongGetStep::Key(key) => {
                self.keys_left -= 1;
                self.keyed(core, id, KeyRequest { expires_s, ..simple(core, op, key, false) }, used)
            }
            LongGetStep::Incomplete => Step { used, stop: Some(Stop::NeedInput) },
            LongGetStep::Done { text } => self.reply(core, text, used),
        };
        let taken = step.stop.is_none_or(|stop| stop == Stop::NeedInput);
        match next {
            LongGetStep::Done { .. } if taken => self.mode = Mode::Line,
            _ if taken => self.mode = Mode::Keys { keys, op, expires_s },
            _ => {}
        }
        step
    }

    /// A get whose line is longer than what is worth waiting for: its keys are run as they come.
    fn long_get(&mut self, rest: &[u8]) -> Step {
        let Some((keys, used)) = LongGet::open(rest) else { return Step::stop(Stop::Close) };
        self.mode = Mode::Keys { keys, op: get_op(keys.with_cas, None), expires_s: 0 };
        self.requests_left -= 1;
        Step::on(used)
    }

    fn skip(&mut self, rest: &[u8], left: u64) -> Step {
        let n = left.min(rest.len() as u64);
        self.mode = if n == left { Mode::Line } else { Mode::Skip(left - n) };
        Step::on(n as usize)
    }

    /// An answer from a peer.
    pub fn answer(&mut self, core: &mut Core, slot: u32, words: &[u8], value: Option<Held>) {
        self.slots.fill(slot, words, value);
        self.drain_slots(core);
    }

    /// The answer of a call.
    pub fn answer_heap(&mut self, core: &mut Core, slot: u32, words: Box<[u8]>) {
        self.called = false;
        self.slots.fill_heap(slot, words);
        self.drain_slots(core);
    }

    /// Moves ready replies from the slots to the outbox, as far as there is room.
    pub fn drain_slots(&mut self, core: &mut Core) {
        let Session { slots, out, .. } = self;
        let mut leave = |slot: Slot, held: &[u8]| match slot {
            Slot::Waiting => Err(slot),
            Slot::Heap(bytes) => {
                out.push_heap(bytes);
                Ok(())
            }
            Slot::Ready { start, len, value } => match out.write(&mut core.pool, &held[start..start + len]) {
                n if n < len => Err(Slot::Ready { start: start + n, len: len - n, value }),
                _ => {
                    if let Some(value) = value {
                        let len = value.value.value_len();
                        out.push_value(value, len);
                    }
                    Ok(())
                }
            },
        };
        while slots.pop(&mut leave) {}
    }

    /// Gives everything back for a connection that is going away. No send may be in flight.
    pub fn abandon(&mut self, core: &mut Core) {
        self.out.abandon(&mut core.pool, &mut core.released);
        self.slots.abandon(&mut core.released);
        if let Mode::Value(receiving) = std::mem::replace(&mut self.mode, Mode::Line) {
            receiving.abandon(core);
        }
        self.called = false;
        self.input.clear();
        self.input_at = 0;
    }
}

fn get_op(with_cas: bool, touch: Option<Exptime>) -> Op {
    match (with_cas, touch.is_some()) {
        (false, false) => Op::Get,
        (true, false) => Op::Gets,
        (false, true) => Op::Gat,
        (true, true) => Op::Gats,
    }
}

/// A request that is an operation and a key.
pub(super) fn simple<'a>(core: &Core, op: Op, key: &'a [u8], noreply: bool) -> KeyRequest<'a> {
    KeyRequest { op, noreply, key: core.key(key), value: &[], flags: 0, expires_s: 0, number: 0 }
}
