//! The commands that carry data: set, add, replace, append, prepend, cas.
//!
//! A small value is waited for until it is here whole, and travels with its request. A larger one is received in place: the
//! owner of the key reserves the item's memory ([`Upload`]), this session fills it as bytes arrive, also when the memory is
//! another shard's, and the owner then stores it. So no value is ever buffered twice, and a value that does not come costs
//! memory of the cache only, not of the process.

use super::core::Core;
use super::execute::{VALUE_COPY_MAX, stored_words};
use super::mesh::wire::Ask;
use super::request::{KeyRequest, Op};
use super::session::{ConnId, Mode, Session, Step, Stop};
use crate::protocol::reply::text;
use crate::protocol::{StoreCommand, StoreVerb};
use crate::store::{Key, Refusal, Upload};

/// A storage command line, understood.
pub(super) struct StoreLine<'a> {
    request: KeyRequest<'a>,
    len: usize,
}

impl<'a> StoreLine<'a> {
    pub(super) fn new(core: &Core, line: &StoreCommand<'a>) -> StoreLine<'a> {
        let op = match line.verb {
            StoreVerb::Set => Op::Set,
            StoreVerb::Add => Op::Add,
            StoreVerb::Replace => Op::Replace,
            StoreVerb::Append => Op::Append,
            StoreVerb::Prepend => Op::Prepend,
            StoreVerb::Cas => Op::Cas,
        };
        let request = KeyRequest {
            op,
            noreply: line.noreply,
            key: core.key(line.key),
            value: &[],
            flags: line.flags,
            expires_s: core.expires_s(line.exptime),
            number: line.cas,
        };
        StoreLine { request, len: line.len as usize }
    }
}

/// A large value that is being received.
pub(super) struct Receiving {
    /// The request without its value; the key is in `key`.
    op: Op,
    noreply: bool,
    flags: u32,
    expires_s: u32,
    number: u64,
    hash: u64,
    key: Box<[u8]>,
    owner: usize,
    len: usize,
    state: State,
}

enum State {
    /// The owner has been asked for the memory.
    Asked,
    /// The memory is being filled.
    Filling(Upload),
    /// It is full; the line end is still to come.
    Full(Upload),
}

impl Receiving {
    fn new(line: &StoreLine<'_>, owner: usize) -> Box<Receiving> {
        let r = &line.request;
        Box::new(Receiving {
            op: r.op,
            noreply: r.noreply,
            flags: r.flags,
            expires_s: r.expires_s,
            number: r.number,
            hash: r.key.hash,
            key: r.key.bytes.into(),
            owner,
            len: line.len,
            state: State::Asked,
        })
    }

    fn request(&self) -> KeyRequest<'_> {
        KeyRequest {
            op: self.op,
            noreply: self.noreply,
            key: Key { bytes: &self.key, hash: self.hash },
            value: &[],
            flags: self.flags,
            expires_s: self.expires_s,
            number: self.number,
        }
    }

    /// Gives the memory back.
    pub(super) fn abandon(self, core: &mut Core) {
        if let State::Filling(upload) | State::Full(upload) = self.state {
            core.abandon(self.owner, upload);
        }
    }
}

impl Session {
    /// A storage command whose line takes `line_len` bytes of `rest`; the data follows.
    pub(super) fn store(
        &mut self,
        core: &mut Core,
        id: ConnId,
        line: &StoreLine<'_>,
        line_len: usize,
        rest: &[u8],
    ) -> Step {
        let own = core.owner(line.request.key.hash) == core.id;
        if line.len > if own { VALUE_COPY_MAX } else { core.out.copy_max } {
            return self.store_large(core, id, line, line_len);
        }
        let end = line_len + line.len;
        let Some(data) = rest.get(line_len..end + 2) else { return Step::stop(Stop::NeedInput) };
        if !data.ends_with(b"\r\n") {
            let words = if line.request.noreply { b"" } else { text::BAD_DATA_CHUNK };
            return self.reply(core, words, end + 2);
        }
        let request = KeyRequest { value: &data[..line.len], ..line.request };
        self.keyed(core, id, request, end + 2)
    }

    fn store_large(&mut self, core: &mut Core, id: ConnId, line: &StoreLine<'_>, line_len: usize) -> Step {
        let request = &line.request;
        let owner = core.owner(request.key.hash);
        if owner != core.id {
            let ticket = self.next_ticket(id);
            if !core.out.ask(owner, Ask::Reserve(ticket, *request, line.len)) {
                return Step::stop(Stop::WaitShared);
            }
            core.counters.cmd_forwarded += 1;
            self.mode = Mode::Value(Receiving::new(line, owner));
            return Step { used: line_len, stop: Some(Stop::WaitOwn) };
        }
        // The reply is written before anything changes, so make sure it can be.
        if self.slots.is_full() {
            return Step::stop(Stop::WaitOwn);
        }
        core.counters.cmd_local += 1;
        let mut receiving = Receiving::new(line, owner);
        match core.store.reserve(request.key, &request.write(), line.len, core.now_s) {
            Ok(upload) => {
                receiving.state = State::Filling(upload);
                self.mode = Mode::Value(receiving);
            }
            Err(reason) => self.refuse(core, &receiving, reason),
        }
        Step::on(line_len)
    }

    /// There is no memory for the value: say so and throw its bytes away.
    fn refuse(&mut self, core: &mut Core, receiving: &Receiving, reason: Refusal) {
        let words = stored_words(&mut core.counters, receiving.op, Err(reason));
        self.mode = Mode::Skip(receiving.len as u64 + 2);
        if !receiving.noreply {
            self.slots.push(words, None);
            self.drain_slots(core);
        }
    }

    /// The owner's answer to the question for memory.
    pub fn reserved(&mut self, core: &mut Core, result: Result<Upload, Refusal>) {
        match (std::mem::replace(&mut self.mode, Mode::Line), result) {
            (Mode::Value(mut receiving), Ok(upload)) => {
                receiving.state = State::Filling(upload);
                self.mode = Mode::Value(receiving);
            }
            (Mode::Value(receiving), Err(reason)) => self.refuse(core, &receiving, reason),
            // Not reached: a session leaves this mode only by this answer or by its end, which changes its generation.
            (mode, _) => self.mode = mode,
        }
    }

    /// Takes what has come of a large value.
    pub(super) fn value(&mut self, core: &mut Core, id: ConnId, rest: &[u8]) -> Step {
        let Mode::Value(mut receiving) = std::mem::replace(&mut self.mode, Mode::Line) else {
            return Step::on(0);
        };
        match receiving.state {
            State::Asked => {
                self.mode = Mode::Value(receiving);
                Step::stop(Stop::WaitOwn)
            }
            State::Filling(mut upload) => {
                let n = upload.remaining().min(rest.len());
                upload.write(&rest[..n]);
                receiving.state =
                    if upload.remaining() == 0 { State::Full(upload) } else { State::Filling(upload) };
                self.mode = Mode::Value(receiving);
                Step::on(n)
            }
            State::Full(upload) if rest.len() >= 2 && !self.slots.is_full() => {
                receiving.state = State::Asked;
                self.finish_value(core, id, &receiving, upload, rest.starts_with(b"\r\n"))
            }
            State::Full(upload) => {
                receiving.state = State::Full(upload);
                self.mode = Mode::Value(receiving);
                Step::stop(if rest.len() < 2 { Stop::NeedInput } else { Stop::WaitOwn })
            }
        }
    }

    fn finish_value(
        &mut self,
        core: &mut Core,
        id: ConnId,
        receiving: &Receiving,
        upload: Upload,
        well_ended: bool,
    ) -> Step {
        let request = receiving.request();
        let words = if !well_ended {
            core.abandon(receiving.owner, upload);
            text::BAD_DATA_CHUNK
        } else if receiving.owner != core.id {
            let ticket = self.next_ticket(id);
            self.slots.open();
            core.commit_at(receiving.owner, ticket, &request, upload);
            return Step::on(2);
        } else {
            let stored = core.store.commit(upload, &request.write(), core.now_s);
            stored_words(&mut core.counters, request.op, stored)
        };
        if !receiving.noreply {
            self.slots.push(words, None);
            self.drain_slots(core);
        }
        Step::on(2)
    }
}
