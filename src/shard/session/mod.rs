//! One client's side of the protocol: bytes in, requests to their owners, replies in request order into the outbox.
//!
//! Pure with respect to the outside: a session knows its [`Core`] and no socket. It is fed what was received and says why it
//! stopped ([`Stop`]). What it could not use yet it keeps in `input`. A request is taken only when there is room for its
//! reply and, if it is foreign, for the request itself; otherwise it stays in `input` and the session is resumed later. So
//! nothing here ever has to be undone.
//!
//! What is here serves every protocol. [`standing`] says which one a connection speaks and whether it may; [`login`] is
//! what is understood before; [`classic`], [`meta`] and [`packet`] turn lines and packets into requests; [`storage`] holds
//! the commands that carry data; [`affinity`] notices where its keys live; [`admin`], [`dump`] and [`watch`] are for operators; [`slots`] keeps replies in order.

mod admin;
pub mod affinity;
mod classic;
mod dump;
mod login;
mod meta;
mod packet;
pub mod slots;
pub mod standing;
mod storage;
mod watch;

use super::ahead::fetch_requests;
use super::calls::{Answered, Call, Manner};
use super::core::Core;
use super::execute::{REPLY_USUAL, execute};
use super::mesh::held::Held;
use super::mesh::wire::Ticket;
use super::request::{KeyRequest, Op};
use super::telemetry::SentAway;
use crate::net::Outbox;
use crate::protocol::LongGet;
use crate::protocol::reply::text;
use dump::Dump;
use slots::{Slot, Slots};
use standing::{Speaks, Standing};
use storage::Receiving;

/// Keys one session may run in one turn, whatever the number of requests they come in: the bound of a large multi-get.
pub const KEYS_PER_TURN: u32 = 512;

/// Foreign requests for keys beyond 250 bytes that may be outstanding: each answer may bring the key back.
const LONG_KEYS_WAITING_MAX: usize = 4;

/// Bytes of buffers that a session keeps while it is idle.
const SPARE_BYTES: usize = 2 * 1024;

/// Bytes of memory of a session beside what it has received and the text of its answers.
pub const SESSION_BYTES: usize = size_of::<Session>() + Slots::LIST_BYTES + Outbox::<Held>::LIST_BYTES;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnId {
    /// Index in the shard's table.
    pub index: u32,
    /// Generation of that place.
    pub generation: u32,
}

/// Where in the protocol a session is.
#[derive(Default)]
enum Mode {
    /// At the start of a request.
    #[default]
    Start,
    /// Inside the keys of a get, gets, gat or gats.
    Keys { keys: LongGet, op: Op, expires_s: u32 },
    /// A value too large to buffer is being received.
    Value(Box<Receiving>),
    /// This many bytes are to be thrown away.
    Skip(u64),
    /// Keys are being listed, shard after shard.
    Dump(Box<Dump>),
    /// The connection only receives what the server logs.
    Watch,
}

impl Mode {
    /// Nothing can be done before more bytes come.
    fn needs_input(&self) -> bool {
        match self {
            Mode::Value(receiving) => receiving.needs_input(),
            Mode::Dump(_) | Mode::Watch => false,
            _ => true,
        }
    }
}

/// See the module comment.
#[derive(Default)]
pub struct Session {
    id: ConnId,
    /// What is known of the connection; kept with it while it has no session.
    pub standing: Standing,
    mode: Mode,
    pub(super) out: Outbox<Held>,
    slots: Slots,
    /// A call is outstanding: nothing runs before its answer.
    called: bool,
    /// The shard that the connection is about to move to: no further request is taken here.
    moving_to: Option<usize>,
    input: Vec<u8>,
    input_at: usize,
    counted: usize,     // of this session in `Core::waiting_bytes`
    requests_left: u32, // of this turn, in requests (-R)
    keys_left: u32,     // of this turn, in keys
    rest_len: usize,    // of what the step under way was given
    went_on: bool,      // since it was last asked: a request was taken, or a part of a value
}

/// What a step did: bytes of input used, and a reason to stop if there is one.
struct Step {
    used: usize,
    stop: Option<Stop>,
}

impl Step {
    fn on(used: usize) -> Step {
        Step { used, stop: None }
    }

    fn stop(stop: Stop) -> Step {
        Step { used: 0, stop: Some(stop) }
    }
}

impl Session {
    /// Begins to serve a connection.
    pub fn begin(&mut self, id: ConnId, standing: Standing) {
        self.id = id;
        self.standing = standing;
        self.moving_to = None;
    }

    /// Where the connection wants to move, once nothing is outstanding or unsent any more.
    pub fn leaves_for(&self) -> Option<usize> {
        let is_quiet = self.slots.is_empty() && self.out.is_idle() && !self.called;
        self.moving_to.filter(|_| is_quiet && self.is_leaving())
    }

    /// The connection wants to move, and is not inside a request: nothing more is taken from it here.
    pub fn is_leaving(&self) -> bool {
        self.moving_to.is_some() && matches!(self.mode, Mode::Start)
    }

    /// It does not move after all.
    pub fn stay(&mut self) {
        self.moving_to = None;
    }

    /// What was received and not used yet; the session is idle then.
    pub fn take_input(&mut self) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.input);
        input.drain(..std::mem::take(&mut self.input_at));
        input.shrink_to_fit(); // it is counted by its length
        input
    }

    /// A key of shard `owner` was asked for: counts it, and notices when nearly all of them live elsewhere.
    fn note_owner(&mut self, core: &mut Core, owner: usize) {
        if owner == core.id {
            core.keyspace.counters.cmd_local += 1;
        } else {
            core.keyspace.counters.cmd_forwarded += 1;
            core.keyspace.counters.misrouted += u64::from(self.standing.is_meant_here);
        }
        if self.standing.may_move
            && let Some(favourite) = self.standing.affinity.note(owner)
        {
            self.moving_to = Some(favourite).filter(|&shard| shard != core.id);
        }
    }

    /// Nothing received waits, nothing is outstanding, nothing is unsent: the session may be put away.
    pub fn is_idle(&self) -> bool {
        self.input.is_empty()
            && self.slots.is_empty()
            && self.out.is_idle()
            && matches!(self.mode, Mode::Start)
    }

    /// Bytes received and not used yet.
    pub fn input_len(&self) -> usize {
        self.input.len() - self.input_at
    }

    /// Tells the core how much memory waits in this session beyond what every session may keep: requests to be run, replies
    /// to be sent, texts. To be called whenever the session is put back into its connection.
    pub fn count(&mut self, core: &mut Core) {
        if core.is_crowded() {
            self.shrink();
        }
        let input_bytes = self.input.capacity().saturating_sub(SPARE_BYTES);
        let now = input_bytes + self.slots.held_bytes() + self.out.heap_bytes();
        core.waiting_bytes = core.waiting_bytes - self.counted + now;
        self.counted = now;
    }

    /// No further reply may be made to wait for others now.
    fn must_wait(&self, core: &Core) -> bool {
        self.slots.is_full() || (core.is_crowded() && !self.slots.is_empty())
    }

    /// No reply is outstanding or waits for one that is.
    pub fn slots_are_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The oldest reply is ready to leave.
    pub fn has_reply_ready(&self) -> bool {
        self.slots.front_is_ready()
    }

    /// Whether anything was done since this was last asked: a request was taken, or a part of a value came. Bytes of a request
    /// that is not complete are nothing yet.
    pub fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.went_on)
    }

    /// Nothing happens before the client sends more: it has nothing outstanding and nothing to read.
    pub fn waits_for_client(&self) -> bool {
        let idle_mode = matches!(self.mode, Mode::Start | Mode::Keys { .. } | Mode::Value(_) | Mode::Skip(_));
        idle_mode && self.slots.is_empty() && self.out.is_idle() && !self.called
    }

    /// Answers of peers are outstanding that need nothing more from the client.
    pub fn waits_for_peers(&self) -> bool {
        self.slots.waiting() > 0 && matches!(self.mode, Mode::Start | Mode::Keys { .. }) && !self.called
    }

    /// Gives back the memory that an unusual load has left.
    pub fn shrink(&mut self) {
        self.slots.shrink();
        self.input.shrink_to(SPARE_BYTES);
    }

    /// Runs the requests in `data`, behind whatever was received before.
    pub fn feed(&mut self, core: &mut Core, data: &[u8]) -> Stop {
        if !self.input.is_empty() {
            self.keep(data);
            return self.resume(core);
        }
        let (used, stop) = self.run(core, data);
        self.went_on |= used > 0;
        // The cold case: a request cut by the end of the data, or one that has to wait.
        self.keep(&data[used..]);
        stop
    }

    /// Puts received bytes aside, to be run when it is resumed. Exactly as much memory as they need: it is counted, and many connections may wait.
    pub fn keep(&mut self, data: &[u8]) {
        self.input.reserve_exact(data.len());
        self.input.extend_from_slice(data);
    }

    /// Goes on with what was received before.
    pub fn resume(&mut self, core: &mut Core) -> Stop {
        self.drain_slots(core);
        let mut input = std::mem::take(&mut self.input);
        let (used, stop) = self.run(core, &input[self.input_at..]);
        self.went_on |= used > 0;
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

    fn run(&mut self, core: &mut Core, data: &[u8]) -> (usize, Stop) {
        self.requests_left = core.settings.live.requests_per_turn();
        self.keys_left = KEYS_PER_TURN;
        let (mut at, mut looked) = (0, 0);
        loop {
            if self.called {
                return (at, Stop::WaitOwn);
            }
            let rest = &data[at..];
            if rest.is_empty() && self.mode.needs_input() {
                return (at, Stop::NeedInput);
            }
            if at >= looked && matches!(self.mode, Mode::Start | Mode::Keys { .. }) {
                looked = at + fetch_requests(core, rest, matches!(self.mode, Mode::Keys { .. }));
            }
            self.rest_len = rest.len();
            let step = match self.mode {
                Mode::Start => self.request(core, rest),
                Mode::Keys { keys, op, expires_s } => self.key(core, rest, (keys, op, expires_s)),
                Mode::Value(_) => self.value(core, rest),
                Mode::Skip(left) => self.skip(rest, left),
                Mode::Dump(_) => self.dump(core),
                Mode::Watch => self.watching(core, rest),
            };
            at += step.used;
            match step.stop {
                Some(Stop::NeedInput) if core.is_crowded() && data.len() - at > core.request_len_max => {
                    return self.give_up(core, at);
                }
                Some(stop) => return (at, stop),
                None => {}
            }
        }
    }

    /// In a crowd there is no memory for a request longer than most: the line of a `gat` with many keys, a login.
    fn give_up(&mut self, core: &mut Core, used: usize) -> (usize, Stop) {
        let step = self.reply(core, text::OUT_OF_MEMORY_READING, used);
        (used, step.stop.unwrap_or(Stop::Close))
    }

    /// The next request, in the protocol of the connection.
    fn request(&mut self, core: &mut Core, rest: &[u8]) -> Step {
        if self.requests_left == 0 || self.keys_left == 0 {
            core.keyspace.counters.conn_yields += 1;
            return Step::stop(Stop::Yield);
        }
        if self.is_leaving() {
            return Step::stop(Stop::WaitOwn);
        }
        let step = match self.standing.speaks_given(rest[0]) {
            Speaks::Binary => self.packet(core, rest),
            _ if self.standing.must_log_in(core) => self.log_in(core, rest),
            _ => self.line(core, rest),
        };
        self.requests_left -= u32::from(step.stop.is_none());
        step
    }

    /// A fixed reply.
    fn reply(&mut self, core: &mut Core, words: &[u8], used: usize) -> Step {
        if words.is_empty() {
            return Step::on(used);
        }
        if !self.slots.is_empty() {
            if self.must_wait(core) {
                return Step::stop(Stop::WaitOwn);
            }
            self.slots.push(words, None);
            return Step::on(used);
        }
        if self.out.is_idle() && core.pool.available() == 0 {
            self.out.write(&mut core.pool, words);
            return Step::on(used);
        }
        match self.out.space(&mut core.pool, REPLY_USUAL) {
            Some(room) => {
                room[..words.len()].copy_from_slice(words);
                self.out.wrote(words.len());
                Step::on(used)
            }
            None => Step::stop(Stop::WaitOwn),
        }
    }

    /// Runs a keyed request here or sends it to its owner.
    fn keyed(&mut self, core: &mut Core, request: &KeyRequest<'_>, used: usize) -> Step {
        let owner = core.owner(request.key);
        if owner != core.id {
            return self.foreign(core, owner, request, used);
        }
        let no_block = self.out.is_idle() && core.pool.available() == 0;
        if self.slots.is_empty() && request.has_usual_key() && !no_block {
            let Some(room) = self.out.space(&mut core.pool, REPLY_USUAL) else {
                return Step::stop(Stop::WaitOwn);
            };
            core.telemetry.begins();
            let reply = execute(&mut core.keyspace, request, &mut room[..REPLY_USUAL]);
            self.out.wrote(reply.len);
            if let Some(value) = core.held(reply.value, reply.line_end) {
                self.push_value(value);
            }
            self.ran(core, request, used);
        } else {
            // Behind others, longer than a block, or without one.
            if self.must_wait(core) {
                return Step::stop(Stop::WaitOwn);
            }
            core.telemetry.begins();
            let reply = execute(&mut core.keyspace, request, &mut core.scratch);
            let value = core.held(reply.value, reply.line_end);
            if reply.len > 0 {
                self.slots.push(&core.scratch[..reply.len], value);
                self.drain_slots(core);
            }
            self.ran(core, request, used);
        }
        self.note_owner(core, owner);
        Step::on(used)
    }

    /// A request has run here, and the step that it was uses `used` bytes.
    #[inline]
    fn ran(&self, core: &mut Core, request: &KeyRequest<'_>, used: usize) {
        if core.telemetry.attends() {
            let ends_batch = self.rest_len <= used + b"\r\n".len();
            core.telemetry.ran(request, ends_batch, core.keyspace.journal.asker_fd);
        }
    }

    fn push_value(&mut self, value: Held) {
        let (len, line_end) = (value.value.value_len(), value.line_end);
        self.out.push_value(value, len, line_end);
    }

    fn foreign(&mut self, core: &mut Core, owner: usize, request: &KeyRequest<'_>, used: usize) -> Step {
        let too_many_long = !request.has_usual_key() && self.slots.waiting() >= LONG_KEYS_WAITING_MAX;
        if self.must_wait(core) || self.out.is_full() || too_many_long {
            return Step::stop(Stop::WaitOwn);
        }
        if !core.forward(owner, self.next_ticket(), request) {
            return Step::stop(Stop::WaitShared);
        }
        self.note_owner(core, owner);
        // Also without a reply: when a later reply leaves, this has been done, as on a server with one thread.
        self.slots.open(core.telemetry.sent(request));
        Step::on(used)
    }

    /// The ticket of the slot that would be opened next.
    fn next_ticket(&self) -> Ticket {
        let ConnId { index, generation } = self.id;
        Ticket { conn: index, generation, slot: self.slots.next_number() }
    }

    /// A command that every shard takes part in, or that one does which no key names.
    fn call(&mut self, core: &mut Core, call: Call, manner: Manner, used: usize) -> Step {
        // Its answer may be long, and takes memory of the heap until it is sent.
        if self.must_wait(core) || self.out.is_full() || (core.is_crowded() && !self.out.is_idle()) {
            return Step::stop(Stop::WaitOwn);
        }
        if !core.start_call(self.next_ticket(), call, manner) {
            return Step::stop(Stop::WaitShared);
        }
        self.slots.open(SentAway::UNTIMED);
        // What follows on this connection comes after the call on every shard.
        self.called = true;
        Step::on(used)
    }

    fn skip(&mut self, rest: &[u8], left: u64) -> Step {
        let n = left.min(rest.len() as u64);
        self.mode = if n == left { Mode::Start } else { Mode::Skip(left - n) };
        Step::on(n as usize)
    }

    /// An answer from a peer.
    pub fn answer(&mut self, core: &mut Core, slot: u32, words: &[u8], value: Option<Held>) {
        if let Some(sent) = self.slots.fill(slot, words, value) {
            core.telemetry.came_back(&sent, core.keyspace.journal.asker_fd);
        }
        self.drain_slots(core);
    }

    /// The answer of a call.
    pub fn call_answered(&mut self, core: &mut Core, slot: u32, answered: Answered) {
        self.called = false;
        if let Some((items, next)) = answered.listed {
            self.listed(core, items, next);
        }
        self.slots.fill_heap(slot, answered.text);
        self.drain_slots(core);
    }

    /// Moves ready replies from the slots to the outbox, as far as there is room.
    pub fn drain_slots(&mut self, core: &mut Core) {
        let Session { slots, out, .. } = self;
        let mut leave = |slot: Slot, held: &[u8]| match slot {
            Slot::Waiting(_) => Err(slot),
            Slot::Heap(bytes) => {
                out.push_heap(bytes);
                Ok(())
            }
            Slot::Ready { start, len, value } => match out.write(&mut core.pool, &held[start..start + len]) {
                n if n < len => Err(Slot::Ready { start: start + n, len: len - n, value }),
                _ => {
                    if let Some(value) = value {
                        let (len, line_end) = (value.value.value_len(), value.line_end);
                        out.push_value(value, len, line_end);
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
        match std::mem::take(&mut self.mode) {
            Mode::Value(receiving) => receiving.abandon(core),
            Mode::Watch => core.keyspace.journal.hub().remove(core.id, self.id),
            _ => {}
        }
        self.called = false;
        self.input.clear();
        self.input_at = 0;
        self.count(core);
    }
}
