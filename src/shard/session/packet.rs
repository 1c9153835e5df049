//! The binary protocol's part of a session: packets to requests.

use super::{Mode, Session, Step, Stop};
use crate::protocol::binary::{
    BinaryAuth, BinaryCommand, BinaryFrame, BinaryLimits, BinaryRequest, BinaryVerb, Status, Tag, Then,
    frame, opcode, reply,
};
use crate::protocol::sasl;
use crate::shard::calls::{Call, Manner};
use crate::shard::core::Core;
use crate::shard::request::{Form, KeyRequest, Op, Packet};
use crate::shard::snapshot::{Query, Topic};

/// Bytes of the longest answer that is not a keyed request's.
const ANSWER_MAX: usize = reply::ERROR_LEN_MAX;

impl Session {
    /// The next packet.
    pub(super) fn packet(&mut self, core: &mut Core, rest: &[u8]) -> Step {
        let settings = &core.settings;
        let limits = BinaryLimits {
            key_len_max: settings.limits.key_len_max,
            flush_allowed: settings.limits.flush_allowed,
            auth: match (&settings.users, self.standing.logged_in) {
                (None, _) => BinaryAuth::Off,
                (Some(_), false) => BinaryAuth::Required,
                (Some(_), true) => BinaryAuth::Given,
            },
        };
        match frame(rest, &limits) {
            BinaryFrame::Incomplete { .. } => Step::stop(Stop::NeedInput),
            BinaryFrame::Close => Step::stop(Stop::Close),
            BinaryFrame::Request(request) => self.binary(core, &request, rest),
            BinaryFrame::Refuse { tag, status, then } => self.refuse_packet(core, tag, status, then),
        }
    }

    fn refuse_packet(&mut self, core: &mut Core, tag: Tag, status: Status, then: Then) -> Step {
        let step = self.packet_reply(core, 0, |out| reply::write_error(out, tag, status));
        if step.stop.is_some() {
            return step;
        }
        core.keyspace.counters.auth_errors += u64::from(status == Status::AuthError);
        match then {
            Then::Close => Step::stop(Stop::Close),
            Then::Skip(len) => {
                self.mode = Mode::Skip(len);
                step
            }
        }
    }

    /// A reply of this session alone, at most [`ANSWER_MAX`] bytes.
    fn packet_reply(&mut self, core: &mut Core, used: usize, write: impl FnOnce(&mut [u8]) -> usize) -> Step {
        let mut words = [0; ANSWER_MAX];
        let len = write(&mut words);
        self.reply(core, &words[..len], used)
    }

    fn binary(&mut self, core: &mut Core, request: &BinaryRequest<'_>, rest: &[u8]) -> Step {
        let (tag, used) = (request.tag, request.used);
        let mut packet = Packet { tag, ..Packet::default() };
        match request.command {
            BinaryCommand::Get { key } => self.keyed_packet(core, Op::Get, key, &packet, used),
            BinaryCommand::Gat { key, exptime } => {
                let expires_s = core.keyspace.expires_s(exptime);
                let bare = bare(core, Op::Gat, key, &packet);
                self.keyed(core, &KeyRequest { expires_s, ..bare }, used)
            }
            BinaryCommand::Touch { key, exptime } => {
                let expires_s = core.keyspace.expires_s(exptime);
                let bare = bare(core, Op::Touch, key, &packet);
                self.keyed(core, &KeyRequest { expires_s, ..bare }, used)
            }
            BinaryCommand::Store { verb, key, flags, exptime, cas } => {
                packet.cas = cas;
                let expires_s = core.keyspace.expires_s(exptime);
                let bare = bare(core, op_of(verb), key, &packet);
                let stored = KeyRequest { flags, expires_s, ..bare };
                self.store(core, &stored, request.value_len as usize, used, rest)
            }
            BinaryCommand::Delete { key, cas } => {
                packet.cas = cas;
                self.keyed_packet(core, Op::Delete, key, &packet, used)
            }
            BinaryCommand::Arith { key, increment, delta, initial, exptime, cas } => {
                packet.cas = cas;
                packet.creates = initial.is_some().into();
                packet.initial = initial.unwrap_or(0);
                let expires_s = core.keyspace.expires_s(exptime);
                let bare = bare(core, if increment { Op::Incr } else { Op::Decr }, key, &packet);
                self.keyed(core, &KeyRequest { number: delta, expires_s, ..bare }, used)
            }
            BinaryCommand::Flush { exptime } => {
                let call = Call::Flush(core.flush_at_s(exptime));
                self.call(core, call, Manner::Packets(tag), used)
            }
            BinaryCommand::Stat { key } => self.stat_packet(core, key, tag, used),
            BinaryCommand::Noop => self.packet_reply(core, used, |out| reply::write_done(out, tag, 0)),
            BinaryCommand::Version => {
                self.packet_reply(core, used, |out| reply::write_text(out, tag, Status::Ok, reply::VERSION))
            }
            BinaryCommand::Quit => self.quit_packet(core, tag, used),
            BinaryCommand::SaslMechs => {
                self.packet_reply(core, used, |out| reply::write_text(out, tag, Status::Ok, sasl::MECHANISMS))
            }
            BinaryCommand::SaslAuth { mechanism } | BinaryCommand::SaslStep { mechanism } => {
                let end = used + request.value_len as usize;
                let Some(data) = rest.get(used..end) else { return Step::stop(Stop::NeedInput) };
                self.sasl(core, tag, mechanism, data, end)
            }
        }
    }

    fn keyed_packet(&mut self, core: &mut Core, op: Op, key: &[u8], packet: &Packet, used: usize) -> Step {
        self.keyed(core, &bare(core, op, key, packet), used)
    }

    fn quit_packet(&mut self, core: &mut Core, tag: Tag, used: usize) -> Step {
        if !tag.suppresses(Status::Ok) {
            let step = self.packet_reply(core, 0, |out| reply::write_done(out, tag, 0));
            if step.stop.is_some() {
                return step;
            }
        }
        Step { used, stop: Some(Stop::Close) }
    }

    /// STAT: `reset`, and the reports that memcached gives in packets.
    fn stat_packet(&mut self, core: &mut Core, key: &[u8], tag: Tag, used: usize) -> Step {
        let call = match key {
            b"reset" => Some(Call::ResetStats),
            b"detail on" => Some(Call::Detail(true)),
            b"detail off" => Some(Call::Detail(false)),
            b"detail dump" => Some(Call::Stats(Topic::Detail.into())),
            _ => report_of(key, core.settings.limits.dumping_allowed).map(Call::Stats),
        };
        match call {
            Some(call) => self.call(core, call, Manner::Packets(tag), used),
            None => self.packet_reply(core, used, |out| reply::write_error(out, tag, Status::NotFound)),
        }
    }

    /// SASL AUTH and STEP. PLAIN needs one of them: a STEP is judged like an AUTH, and an AUTH without data is asked for it.
    fn sasl(&mut self, core: &mut Core, tag: Tag, mechanism: &[u8], data: &[u8], used: usize) -> Step {
        if mechanism == sasl::MECHANISMS && data.is_empty() && tag.opcode == opcode::SASL_AUTH {
            return self
                .packet_reply(core, used, |out| reply::write_text(out, tag, Status::AuthContinue, b""));
        }
        let users = core.settings.users.as_ref();
        let login = sasl::parse_plain(data).filter(|_| mechanism == sasl::MECHANISMS);
        let right = login.zip(users).is_some_and(|(login, users)| users(login.user, login.password));
        let step = self.packet_reply(core, used, |out| match right {
            true => reply::write_text(out, tag, Status::Ok, reply::AUTHENTICATED),
            false => reply::write_error(out, tag, Status::AuthError),
        });
        if step.stop.is_none() {
            self.standing.logged_in = right;
            core.keyspace.counters.auth_cmds += 1;
            core.keyspace.counters.auth_errors += u64::from(!right);
        }
        step
    }
}

fn op_of(verb: BinaryVerb) -> Op {
    match verb {
        BinaryVerb::Set => Op::Set,
        BinaryVerb::Add => Op::Add,
        BinaryVerb::Replace => Op::Replace,
        BinaryVerb::Append => Op::Append,
        BinaryVerb::Prepend => Op::Prepend,
    }
}

/// The report that the words of a STAT ask for. A list of connections has no place in packets, in memcached neither.
fn report_of(words: &[u8], keys_allowed: bool) -> Option<Query> {
    let (word, argument) = match words.iter().position(|byte| *byte == b' ') {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &b""[..]),
    };
    let topic = Topic::named(word)?;
    let allowed = topic != Topic::Conns && (keys_allowed || !topic.lists_keys());
    // Words behind other reports were never taken.
    let fits = argument.is_empty() || topic.lists_keys();
    (allowed && fits).then(|| Query::with_rows(topic, argument)).flatten()
}

/// A request that is an operation and a key.
fn bare<'a>(core: &Core, op: Op, key: &'a [u8], packet: &'a Packet) -> KeyRequest<'a> {
    let form = Form::Binary(packet);
    KeyRequest { op, form, key: core.key(key), value: &[], value_len: 0, flags: 0, expires_s: 0, number: 0 }
}
