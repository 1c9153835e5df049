//! The classic text protocol's part of a session: lines to requests, and the keys of a get one after the other.

use super::{Mode, Session, Step, Stop};
use crate::protocol::reply::text;
use crate::protocol::{
    Command, Exptime, Frame, LongGet, LongGetStep, StoreCommand, StoreVerb, frame, parse, single_key,
};
use crate::shard::calls::{Call, Manner};
use crate::shard::core::Core;
use crate::shard::nodes::Nodes;
use crate::shard::request::{Form, KeyRequest, Op};

/// Bytes of a `get` line without end at which its keys are run as they come, instead of waiting for the whole line.
const LONG_GET_BYTES: usize = 16 * 1024;

/// The most detail `verbosity` sets, as in memcached.
const VERBOSITY_MAX: u32 = 2;

impl Session {
    pub(super) fn line(&mut self, core: &mut Core, rest: &[u8]) -> Step {
        if let Some(key) = single_key(rest, core.settings.limits.key_len_max)
            && !core.settings.nodes.as_ref().is_some_and(|nodes| nodes.are_under(key))
        {
            return self.single_get(core, key);
        }
        let (line, used) = match frame(rest, core.settings.limits.line_buffered_max()) {
            Frame::Line { line, used } => (line, used),
            // The end of a datagram's line would not come either.
            Frame::LongGet
                if (rest.len() > LONG_GET_BYTES || core.is_crowded()) && !self.standing.datagram =>
            {
                return self.long_get(rest);
            }
            Frame::Incomplete | Frame::LongGet => return Step::stop(Stop::NeedInput),
            Frame::TooLong => return Step::stop(Stop::Close),
        };
        let command = parse(line, &core.settings.limits);
        self.command(core, command, used, rest)
    }

    /// `get key` and CR LF, without a list of keys.
    fn single_get(&mut self, core: &mut Core, key: &[u8]) -> Step {
        let used = b"get ".len() + key.len();
        let step = self.keyed(core, &simple(core, Op::Get, key, false), used);
        if step.stop.is_some() {
            return step;
        }
        self.keys_left -= 1;
        let end = self.reply(core, text::END, used + b"\r\n".len());
        if end.stop.is_none() {
            return end;
        }
        // The end of the line, later.
        self.mode = Mode::Keys { keys: LongGet::checked(false), op: Op::Get, expires_s: 0 };
        step
    }

    fn command(&mut self, core: &mut Core, command: Command<'_>, used: usize, rest: &[u8]) -> Step {
        match command {
            Command::Get(get) if core.settings.nodes.as_ref().is_some_and(|nodes| nodes.are_meant(&get)) => {
                self.nodes(core, Nodes::value, used)
            }
            Command::Get(get) => {
                let expires_s = get.touch.map_or(0, |t| core.keyspace.expires_s(t));
                let (keys, op) = (LongGet::checked(get.with_cas), get_op(get.with_cas, get.touch));
                self.mode = Mode::Keys { keys, op, expires_s };
                Step::on(get.keys.offset())
            }
            Command::Store(line) => {
                let request = store_request(core, &line);
                self.store(core, &request, line.len as usize, used, rest)
            }
            Command::Arith { key, delta, increment, noreply } => {
                let op = if increment { Op::Incr } else { Op::Decr };
                self.keyed(core, &KeyRequest { number: delta, ..simple(core, op, key, noreply) }, used)
            }
            Command::Touch { key, exptime, noreply } => {
                let expires_s = core.keyspace.expires_s(exptime);
                self.keyed(core, &KeyRequest { expires_s, ..simple(core, Op::Touch, key, noreply) }, used)
            }
            Command::Delete { key, noreply } => {
                self.keyed(core, &simple(core, Op::Delete, key, noreply), used)
            }
            Command::FlushAll { exptime, noreply } => {
                let call = Call::Flush(core.flush_at_s(exptime));
                self.call(core, call, Manner::Text { noreply }, used)
            }
            Command::Stats { args } => self.stats(core, args, used),
            Command::Meta(command) => self.meta(core, &command, used, rest),
            Command::Admin { admin, noreply } => self.admin(core, admin, noreply, used),
            Command::MetaNoop => self.reply(core, text::META_NOOP, used),
            Command::Version => self.reply(core, text::VERSION, used),
            Command::Verbosity { level, noreply } => {
                (core.settings.set_verbosity)(level.min(VERBOSITY_MAX) as u8);
                self.reply(core, if noreply { b"" } else { text::OK }, used)
            }
            // Anybody can send one in anybody's name.
            Command::Shutdown { .. } if self.standing.datagram => {
                self.reply(core, text::SHUTDOWN_NOT_ENABLED, used)
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

    /// Runs the next key of a get, or ends it.
    pub(super) fn key(&mut self, core: &mut Core, rest: &[u8], at: (LongGet, Op, u32)) -> Step {
        let (mut keys, op, expires_s) = at;
        if self.keys_left == 0 {
            core.keyspace.counters.conn_yields += 1;
            return Step::stop(Stop::Yield);
        }
        let (next, used) = keys.next(rest, &core.settings.limits);
        let step = match next {
            LongGetStep::Key(key) => {
                self.keys_left -= 1;
                self.keyed(core, &KeyRequest { expires_s, ..simple(core, op, key, false) }, used)
            }
            LongGetStep::Incomplete => Step { used, stop: Some(Stop::NeedInput) },
            LongGetStep::Done { text } => self.reply(core, text, used),
        };
        let taken = step.stop.is_none_or(|stop| stop == Stop::NeedInput);
        match next {
            LongGetStep::Done { .. } if taken => self.mode = Mode::Start,
            _ if taken => self.mode = Mode::Keys { keys, op, expires_s },
            _ => {}
        }
        step
    }

    /// A get whose line is longer than what is worth waiting for: its keys are run as they come.
    fn long_get(&mut self, rest: &[u8]) -> Step {
        let Some((keys, used)) = LongGet::open(rest) else { return Step::stop(Stop::Close) };
        self.mode = Mode::Keys { keys, op: get_op(keys.with_cas, None), expires_s: 0 };
        Step::on(used)
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
fn simple<'a>(core: &Core, op: Op, key: &'a [u8], noreply: bool) -> KeyRequest<'a> {
    let form = Form::Classic { noreply };
    KeyRequest { op, form, key: core.key(key), value: &[], value_len: 0, flags: 0, expires_s: 0, number: 0 }
}

/// set, add, replace, append, prepend, cas.
fn store_request<'a>(core: &Core, line: &StoreCommand<'a>) -> KeyRequest<'a> {
    let op = match line.verb {
        StoreVerb::Set => Op::Set,
        StoreVerb::Add => Op::Add,
        StoreVerb::Replace => Op::Replace,
        StoreVerb::Append => Op::Append,
        StoreVerb::Prepend => Op::Prepend,
        StoreVerb::Cas => Op::Cas,
    };
    KeyRequest {
        flags: line.flags,
        expires_s: core.keyspace.expires_s(line.exptime),
        number: line.cas,
        ..simple(core, op, line.key, line.noreply)
    }
}
