//! The commands that carry data, in every protocol.
//!
//! A small value is waited for until it is here whole, and travels with its request. A larger one is received in place: the
//! owner of the key reserves the item's memory ([`Upload`]), step by step, this session fills it as bytes arrive, also
//! when the memory is another shard's, and the owner then stores it. So no value is ever buffered twice, and a value that does
//! not come costs 256 KiB of the cache.

use super::{Mode, Session, Step, Stop};
use crate::net::DirectReceive;
use crate::net::direct::{DIRECT_BYTES_MAX, Fill, PIECES_MAX};
use crate::protocol::reply::text;
use crate::shard::core::Core;
use crate::shard::direct::DIRECT_MIN;
use crate::shard::execute::{VALUE_COPY_MAX, commit, stored};
use crate::shard::mesh::wire::{Ask, Uploading};
use crate::shard::request::{Form, KeyRequest, OwnedRequest};
use crate::store::{Refusal, Upload};

/// A large value that is being received.
pub(super) struct Receiving {
    request: OwnedRequest,
    owner: usize,
    state: State,
    /// Nanoseconds that it took to have the memory, as much as there is of it.
    room_ns: u64,
}

enum State {
    /// The owner has been asked for memory for what is missing, or the first of it.
    Asked {
        /// Bytes.
        missing: usize,
        /// When, in nanoseconds since the start.
        since_ns: u64,
    },
    /// All memory has been filled, and there is room for less than one receive could bring; the next turn gets more.
    Growing(Upload),
    /// The memory is being filled with what was received before it was there, or comes with other requests.
    Filling(Upload),
    /// What is missing is received straight into the memory.
    Direct(DirectReceive<Upload>),
    /// It is full; in a text protocol the line end is still to come.
    Full(Upload),
}

impl State {
    /// In place of one that is being changed.
    const NOTHING: State = State::Asked { missing: 0, since_ns: 0 };

    /// Of an upload of `len` bytes whose memory was made or grew. What has been announced gets a first step; when that has come,
    /// as much as one receive could bring.
    fn of(upload: Upload, len: u32) -> State {
        let one_receive = upload.remaining().min(DIRECT_BYTES_MAX).min(PIECES_MAX * upload.piece_max());
        if upload.remaining() < len as usize && upload.room() < one_receive {
            State::Growing(upload)
        } else {
            State::Filling(upload)
        }
    }

    /// Of an upload that has got more of its bytes.
    fn after(upload: Upload) -> State {
        if upload.remaining() == 0 {
            State::Full(upload)
        } else if upload.needs_room() {
            State::Growing(upload)
        } else {
            State::Filling(upload)
        }
    }
}

/// Bytes of the line end behind the data.
fn line_end_len(form: &Form<'_>) -> usize {
    if matches!(form, Form::Binary(_)) { 0 } else { 2 }
}

/// What data without its line end is answered with.
fn bad_data_words(form: &Form<'_>) -> &'static [u8] {
    if matches!(form, Form::Classic { noreply: true }) { b"" } else { text::BAD_DATA_CHUNK }
}

impl Receiving {
    fn new(request: &KeyRequest<'_>, owner: usize, state: State, room_ns: u64) -> Box<Receiving> {
        Box::new(Receiving { request: OwnedRequest::new(request), owner, state, room_ns })
    }

    /// Nothing can be done before more of it comes.
    pub(super) fn needs_input(&self) -> bool {
        match &self.state {
            State::Asked { .. } | State::Growing(_) => false,
            State::Filling(_) | State::Direct(_) => true,
            State::Full(_) => line_end_len(&self.request.borrow().form) > 0,
        }
    }

    /// Bytes of the value that are not in its memory.
    fn missing(&self) -> usize {
        match &self.state {
            State::Asked { missing, .. } => *missing,
            State::Growing(upload) | State::Filling(upload) => upload.remaining(),
            State::Direct(direct) => direct.room().remaining(),
            State::Full(_) => 0,
        }
    }

    /// Gives the memory back. No direct receive may be in flight.
    pub(super) fn abandon(self, core: &mut Core) {
        let upload = match self.state {
            State::Asked { .. } => return,
            State::Growing(upload) | State::Filling(upload) | State::Full(upload) => upload,
            State::Direct(direct) => direct.into_room(),
        };
        core.abandon(self.owner, upload);
    }
}

impl Session {
    /// A storage command whose head takes `head_len` bytes of `rest`; `len` bytes of data follow.
    pub(super) fn store(
        &mut self,
        core: &mut Core,
        request: &KeyRequest<'_>,
        len: usize,
        head_len: usize,
        rest: &[u8],
    ) -> Step {
        let request = &KeyRequest { value_len: len as u32, ..*request };
        let end = head_len + len + line_end_len(&request.form);
        if self.standing.datagram && rest.len() < end {
            return Step::stop(Stop::NeedInput); // the rest will not come: leave no trace
        }
        let own = core.owner(request.key) == core.id;
        if len > if own { VALUE_COPY_MAX } else { core.out.copy_max } {
            return self.store_large(core, request, head_len);
        }
        let Some(data) = rest.get(head_len..end) else { return Step::stop(Stop::NeedInput) };
        let (value, line_end) = data.split_at(len);
        if !matches!(line_end, b"" | b"\r\n") {
            return self.reply(core, bad_data_words(&request.form), end);
        }
        self.keyed(core, &KeyRequest { value, ..*request }, end)
    }

    fn store_large(&mut self, core: &mut Core, request: &KeyRequest<'_>, head_len: usize) -> Step {
        let len = request.value_len as usize;
        let owner = core.owner(request.key);
        if owner != core.id {
            if !core.out.ask(owner, Ask::Reserve(self.next_ticket(), *request, len)) {
                return Step::stop(Stop::WaitShared);
            }
            self.note_owner(core, owner);
            let asked = State::Asked { missing: len, since_ns: core.telemetry.now_ns() };
            self.mode = Mode::Value(Receiving::new(request, owner, asked, 0));
            return Step { used: head_len, stop: Some(Stop::WaitOwn) };
        }
        // The reply is written before anything changes, so make sure it can be.
        if self.must_wait(core) {
            return Step::stop(Stop::WaitOwn);
        }
        self.note_owner(core, owner);
        let (began_ns, keys) = (core.telemetry.now_ns(), &mut core.keyspace);
        let result = keys.store.reserve(request.key, &request.write(), len, keys.now_s);
        let room_ns = core.telemetry.looked_for_room(began_ns);
        match result {
            Ok(upload) => {
                let receiving = Receiving::new(request, owner, State::of(upload, request.value_len), room_ns);
                self.mode = Mode::Value(receiving);
            }
            Err(reason) => self.refuse_here(core, request, reason, len, room_ns),
        }
        Step::on(head_len)
    }

    /// [`refuse`](Self::refuse) for a key of this shard, after having looked for memory for so long.
    fn refuse_here(
        &mut self,
        core: &mut Core,
        request: &KeyRequest<'_>,
        reason: Refusal,
        missing: usize,
        room_ns: u64,
    ) {
        core.telemetry.goes_on(room_ns);
        self.refuse(core, request, reason, missing);
        self.ran(core, request, self.rest_len);
    }

    /// There is no memory for the value: say so and throw the bytes away that are still to come.
    fn refuse(&mut self, core: &mut Core, request: &KeyRequest<'_>, reason: Refusal, missing: usize) {
        self.mode = Mode::Skip((missing + line_end_len(&request.form)) as u64);
        let len = stored(&mut core.keyspace, request, Err(reason), &mut core.scratch);
        self.push_scratch(core, len);
    }

    /// Answers what was written into the scratch buffer.
    fn push_scratch(&mut self, core: &mut Core, len: usize) {
        if len > 0 {
            self.slots.push(&core.scratch[..len], None);
            self.drain_slots(core);
        }
    }

    /// The owner's answer to the question for memory.
    pub fn reserved(&mut self, core: &mut Core, result: Result<Upload, Refusal>) {
        let mut receiving = match std::mem::take(&mut self.mode) {
            Mode::Value(receiving) => receiving,
            // Not reached: a session leaves this mode only by this answer or by its end, which changes its generation.
            mode => return self.mode = mode,
        };
        if let State::Asked { since_ns, .. } = receiving.state {
            receiving.room_ns += core.telemetry.now_ns().saturating_sub(since_ns);
        }
        match result {
            Ok(upload) => {
                receiving.state = State::of(upload, receiving.request.borrow().value_len);
                self.mode = Mode::Value(receiving);
            }
            Err(reason) => {
                let (request, missing) = (receiving.request.borrow(), receiving.missing());
                let sent = core.telemetry.sent(&request).after(receiving.room_ns);
                self.refuse(core, &request, reason, missing);
                core.telemetry.came_back(&sent, core.keyspace.journal.asker_fd);
            }
        }
    }

    /// So much of a large value is still to come that it is to be received directly.
    pub fn wants_direct(&self) -> bool {
        match &self.mode {
            Mode::Value(receiving) if matches!(receiving.state, State::Direct(_)) => true,
            Mode::Value(receiving) => receiving.missing() >= self.input_len() + DIRECT_MIN,
            _ => false,
        }
    }

    /// The direct receive to submit, once the value has its memory and all that came before is in it.
    pub fn start_direct(&mut self) -> Option<Fill> {
        let Mode::Value(receiving) = &mut self.mode else { return None };
        if !self.input.is_empty() {
            return None;
        }
        receiving.state = match std::mem::replace(&mut receiving.state, State::NOTHING) {
            State::Filling(upload) => State::Direct(DirectReceive::new(upload)),
            state => state,
        };
        match &mut receiving.state {
            State::Direct(direct) => direct.start(),
            _ => None,
        }
    }

    /// The direct receive has ended after `len` bytes.
    pub fn filled(&mut self, len: usize) {
        let Mode::Value(receiving) = &mut self.mode else { return };
        receiving.state = match std::mem::replace(&mut receiving.state, State::NOTHING) {
            State::Direct(mut direct) => {
                direct.ended(len);
                if direct.room().remaining() == 0 || direct.room().needs_room() {
                    State::after(direct.into_room())
                } else {
                    State::Direct(direct)
                }
            }
            state => state,
        };
    }

    /// Takes what has come of a large value.
    pub(super) fn value(&mut self, core: &mut Core, rest: &[u8]) -> Step {
        let Mode::Value(mut receiving) = std::mem::take(&mut self.mode) else { return Step::on(0) };
        let line_end_len = line_end_len(&receiving.request.borrow().form);
        match receiving.state {
            State::Asked { .. } => {
                self.mode = Mode::Value(receiving);
                Step::stop(Stop::WaitOwn)
            }
            State::Growing(upload) => {
                receiving.state = State::NOTHING;
                self.grow(core, receiving, upload, rest)
            }
            State::Filling(mut upload) => {
                let n = upload.write(rest);
                receiving.state = State::after(upload);
                self.mode = Mode::Value(receiving);
                Step::on(n)
            }
            State::Direct(direct) => {
                receiving.state = State::Direct(direct);
                self.mode = Mode::Value(receiving);
                Step::stop(Stop::NeedInput)
            }
            State::Full(upload) if rest.len() >= line_end_len && !self.must_wait(core) => {
                let well_ended = matches!(&rest[..line_end_len], b"" | b"\r\n");
                let Receiving { request, owner, room_ns, .. } = *receiving;
                self.finish_value(core, request, owner, room_ns, upload, well_ended);
                Step::on(line_end_len)
            }
            State::Full(upload) => {
                receiving.state = State::Full(upload);
                self.mode = Mode::Value(receiving);
                Step::stop(if rest.len() < line_end_len { Stop::NeedInput } else { Stop::WaitOwn })
            }
        }
    }

    /// Gets a few chunks more for a value. Others have their turn before they are filled, unless bytes for them are here: those would
    /// have to be put aside, and are so few that a turn makes room once for each of its receives.
    fn grow(&mut self, core: &mut Core, mut receiving: Box<Receiving>, upload: Upload, rest: &[u8]) -> Step {
        let missing = upload.remaining();
        let request = receiving.request.borrow();
        if receiving.owner != core.id {
            let uploading = Uploading::Sent(OwnedRequest::new(&request));
            core.out.ask_surely(receiving.owner, Ask::Grow(self.next_ticket(), uploading, upload));
            receiving.state = State::Asked { missing, since_ns: core.telemetry.now_ns() };
            self.mode = Mode::Value(receiving);
            return Step::stop(Stop::WaitOwn);
        }
        let (began_ns, keys) = (core.telemetry.now_ns(), &mut core.keyspace);
        let result = keys.store.grow(upload, request.key, &request.write(), keys.now_s);
        let room_ns = receiving.room_ns + core.telemetry.looked_for_room(began_ns);
        match result {
            Ok(upload) => {
                // One step for bytes that are here; for a direct receive as many as it could fill, one a turn.
                let is_enough = !rest.is_empty();
                receiving.state =
                    if is_enough { State::Filling(upload) } else { State::of(upload, request.value_len) };
                receiving.room_ns = room_ns;
                self.mode = Mode::Value(receiving);
            }
            Err(reason) => self.refuse_here(core, &request, reason, missing, room_ns),
        }
        if rest.is_empty() { Step::stop(Stop::Yield) } else { Step::on(0) }
    }

    fn finish_value(
        &mut self,
        core: &mut Core,
        owned: OwnedRequest,
        owner: usize,
        room_ns: u64,
        upload: Upload,
        well_ended: bool,
    ) {
        let request = owned.borrow();
        if !well_ended {
            core.abandon(owner, upload);
            self.slots.push(bad_data_words(&request.form), None);
            self.drain_slots(core);
        } else if owner == core.id {
            core.telemetry.goes_on(room_ns);
            let len = commit(&mut core.keyspace, &request, upload, &mut core.scratch);
            self.push_scratch(core, len);
            self.ran(core, &request, self.rest_len);
        } else {
            let ticket = self.next_ticket();
            let sent = core.telemetry.sent(&request).after(room_ns);
            self.slots.open(sent);
            core.commit_at(owner, ticket, owned, upload);
        }
    }
}
