//! The messages between shards as bytes: a fixed header, then key and value or the reply's text.
//!
//! Two directions, two queues a pair: *asks* (work for the owner of a key) and *answers*. An answer needs no room beyond
//! what the asker keeps for it, so answers always drain, and asks wait for room in the queue of answers: no cycle of two
//! full queues can form.
#![allow(unsafe_code)]

use super::held::Held;
use super::queue::Consumer;
use crate::protocol::MetaFlags;
use crate::shard::migrate::Moving;
use crate::shard::request::{Form, KeyRequest, Op, OwnedRequest, Packet};
use crate::store::{Key, Pinned, Refusal, Upload};
use std::os::fd::RawFd;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where an answer belongs: connection, its generation (a closed connection's answers are dropped) and reply slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ticket {
    /// Index of the connection on the asking shard.
    pub conn: u32,
    /// Its generation.
    pub generation: u32,
    /// Number of the reply slot.
    pub slot: u32,
}

/// Work for another shard.
pub enum Ask<'a> {
    /// Run a keyed operation whose value, if any, is here, for the connection with this descriptor. The answer may be
    /// empty.
    Key(Ticket, KeyRequest<'a>, RawFd),
    /// Make room for a value of `len` bytes that the asker will write in place.
    Reserve(Ticket, KeyRequest<'a>, usize),
    /// Make room for more of the value.
    Grow(Ticket, Uploading<'a>, Upload),
    /// The value is complete: store it.
    Commit(Ticket, Uploading<'a>, Upload),
    /// The value will not be completed.
    Abandon(Upload),
    /// A pinned value has been sent.
    Release(Pinned),
    /// Work that no key says the owner of: the call as words (see `calls`).
    Call(Ticket, [u64; 3]),
    /// A fresh connection, handed over before its first byte.
    Adopt {
        /// The descriptor.
        fd: i32,
        /// The index of the listener it came from.
        listener: u32,
    },
    /// A connection that moves to where its keys are.
    Move(Box<Moving>),
}

/// The request of an upload. It may have to wait for room, so the sender's owns its bytes.
pub enum Uploading<'a> {
    /// On its way.
    Sent(OwnedRequest),
    /// Arrived.
    Received(KeyRequest<'a>),
}

impl Uploading<'_> {
    /// The request.
    pub fn request(&self) -> KeyRequest<'_> {
        match self {
            Uploading::Sent(owned) => owned.borrow(),
            Uploading::Received(request) => *request,
        }
    }
}

/// What comes back.
pub enum Answer<'a> {
    /// The text of the reply, and a value to send behind it.
    Reply(Ticket, &'a [u8], Option<Held>),
    /// The room that was asked for, or why there is none.
    Reserved(Ticket, Result<Upload, Refusal>),
    /// A call has been done; its result, if any, is in the mailbox.
    Done(Ticket),
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Key = 1,
    Reserve,
    Grow,
    Commit,
    Abandon,
    Release,
    Call,
    Adopt,
    Move,
    Reply,
    ReplyValue,
    Reserved,
    Refused,
    Done,
}

#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    kind: u8,
    op: u8,
    form: u8,   // a request's, see FORM_*
    detail: u8, // of an answer: the reason of a refusal, the line end behind a value
    key_len: u32,
    ticket: Ticket,
    flags: u32,
    expires_s: u32,
    value_len: u32,
    hash: u64,
    number: u64,
    raw: [u64; 3], // a pinned value or an upload; call arguments
}

const HEADER_BYTES: usize = size_of::<Header>();

const FORM_CLASSIC: u8 = 0;
const FORM_CLASSIC_NOREPLY: u8 = 1;
const FORM_META: u8 = 2;
const FORM_BINARY: u8 = 3;

/// Bytes of the longest record when replies have up to `words_max` bytes, keys no more than that, and values of up to
/// `copy_max` bytes are copied: header, form, key or words, value.
pub const fn record_max(words_max: usize, copy_max: usize) -> usize {
    HEADER_BYTES + size_of::<MetaFlags>() + words_max + copy_max
}

/// The bytes of a form that travel behind the header, and the header's word for it.
fn form_bytes<'a>(form: &Form<'a>) -> (u8, &'a [u8]) {
    match form {
        Form::Classic { noreply: false } => (FORM_CLASSIC, &[]),
        Form::Classic { noreply: true } => (FORM_CLASSIC_NOREPLY, &[]),
        Form::Meta(flags) => (FORM_META, flags.as_bytes()),
        Form::Binary(packet) => (FORM_BINARY, packet.as_bytes()),
    }
}

/// The form at the start of `bytes`, and what follows it.
fn read_form(word: u8, bytes: &[u8]) -> Option<(Form<'_>, &[u8])> {
    Some(match word {
        FORM_CLASSIC => (Form::Classic { noreply: false }, bytes),
        FORM_CLASSIC_NOREPLY => (Form::Classic { noreply: true }, bytes),
        FORM_META => {
            let (flags, rest) = MetaFlags::ref_from_prefix(bytes).ok()?;
            (Form::Meta(flags), rest)
        }
        FORM_BINARY => {
            let (packet, rest) = Packet::ref_from_prefix(bytes).ok()?;
            (Form::Binary(packet), rest)
        }
        _ => return None,
    })
}

impl Header {
    fn new(kind: Kind) -> Header {
        Header { kind: kind as u8, ..Header::default() }
    }

    fn of_request(kind: Kind, ticket: Ticket, request: &KeyRequest<'_>) -> Header {
        Header {
            op: request.op as u8,
            form: form_bytes(&request.form).0,
            key_len: request.key.bytes.len() as u32,
            ticket,
            flags: request.flags,
            expires_s: request.expires_s,
            value_len: request.value_len,
            hash: request.key.hash,
            number: request.number,
            ..Header::new(kind)
        }
    }
}

impl Ask<'_> {
    /// Bytes of the record.
    pub fn record_bytes(&self) -> usize {
        let of = |r: &KeyRequest<'_>| {
            HEADER_BYTES + form_bytes(&r.form).1.len() + r.key.bytes.len() + r.value.len()
        };
        match self {
            Ask::Key(_, r, _) | Ask::Reserve(_, r, _) => of(r),
            Ask::Grow(_, uploading, _) | Ask::Commit(_, uploading, _) => of(&uploading.request()),
            _ => HEADER_BYTES,
        }
    }

    /// Writes the record into `out`, which is exactly [`record_bytes`](Self::record_bytes) bytes long.
    pub fn encode(self, out: &mut [u8]) {
        let header = match self {
            Ask::Key(ticket, r, fd) => {
                let mut header = Header::of_request(Kind::Key, ticket, &r);
                header.raw[0] = fd as u64;
                return encode_request(out, header, &r);
            }
            Ask::Reserve(ticket, r, len) => {
                let mut header = Header::of_request(Kind::Reserve, ticket, &r);
                header.raw[0] = len as u64;
                return encode_request(out, header, &r);
            }
            Ask::Grow(ticket, uploading, upload) => {
                return encode_upload(out, Kind::Grow, ticket, &uploading.request(), upload);
            }
            Ask::Commit(ticket, uploading, upload) => {
                return encode_upload(out, Kind::Commit, ticket, &uploading.request(), upload);
            }
            Ask::Abandon(upload) => Header { raw: upload.into_raw(), ..Header::new(Kind::Abandon) },
            Ask::Release(pinned) => Header { raw: pinned.into_raw(), ..Header::new(Kind::Release) },
            Ask::Call(ticket, words) => Header { ticket, raw: words, ..Header::new(Kind::Call) },
            Ask::Move(moving) => {
                let address = Box::into_raw(moving).expose_provenance() as u64;
                Header { raw: [address, 0, 0], ..Header::new(Kind::Move) }
            }
            Ask::Adopt { fd, listener } => {
                Header { raw: [fd as u64, u64::from(listener), 0], ..Header::new(Kind::Adopt) }
            }
        };
        out[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    }

    /// Reads a record back. Nothing for a record this program does not write.
    ///
    /// # Safety
    /// `record` was written by [`encode`](Self::encode) for this shard and is decoded once: uploads and pins in it are
    /// owned by whoever decodes.
    unsafe fn decode(record: &[u8]) -> Option<Ask<'_>> {
        let (header, rest) = Header::read_from_prefix(record).ok()?;
        let (ticket, raw) = (header.ticket, header.raw);
        let request = || {
            let (form, rest) = read_form(header.form, rest)?;
            let (key, value) = rest.split_at_checked(header.key_len as usize)?;
            Some(KeyRequest {
                op: Op::from_number(header.op)?,
                form,
                key: Key { bytes: key, hash: header.hash },
                value,
                value_len: header.value_len,
                flags: header.flags,
                expires_s: header.expires_s,
                number: header.number,
            })
        };
        Some(match header.kind {
            k if k == Kind::Key as u8 => Ask::Key(ticket, request()?, raw[0] as RawFd),
            k if k == Kind::Reserve as u8 => Ask::Reserve(ticket, request()?, raw[0] as usize),
            k if k == Kind::Grow as u8 => {
                let uploading = Uploading::Received(request()?);
                // SAFETY: written by `into_raw` on the other side, taken once (this function's contract).
                Ask::Grow(ticket, uploading, unsafe { Upload::from_raw(raw) })
            }
            k if k == Kind::Commit as u8 => {
                let uploading = Uploading::Received(request()?);
                // SAFETY: as above.
                Ask::Commit(ticket, uploading, unsafe { Upload::from_raw(raw) })
            }
            // SAFETY: as above.
            k if k == Kind::Abandon as u8 => Ask::Abandon(unsafe { Upload::from_raw(raw) }),
            // SAFETY: as above.
            k if k == Kind::Release as u8 => Ask::Release(unsafe { Pinned::from_raw(raw) }),
            k if k == Kind::Call as u8 => Ask::Call(ticket, raw),
            k if k == Kind::Move as u8 => {
                let moving = std::ptr::with_exposed_provenance_mut(raw[0] as usize);
                // SAFETY: written by `into_raw` on the other side, taken once (this function's contract).
                Ask::Move(unsafe { Box::from_raw(moving) })
            }
            k if k == Kind::Adopt as u8 => Ask::Adopt { fd: raw[0] as i32, listener: raw[1] as u32 },
            _ => return None,
        })
    }
}

/// Writes the request of an upload, and the upload.
fn encode_upload(out: &mut [u8], kind: Kind, ticket: Ticket, request: &KeyRequest<'_>, upload: Upload) {
    let mut header = Header::of_request(kind, ticket, request);
    header.raw = upload.into_raw();
    encode_request(out, header, request);
}

/// Writes a request behind its header.
fn encode_request(out: &mut [u8], header: Header, request: &KeyRequest<'_>) {
    let mut rest = out;
    let form = form_bytes(&request.form).1;
    for part in [header.as_bytes(), form, request.key.bytes, request.value] {
        let (room, after) = rest.split_at_mut(part.len());
        room.copy_from_slice(part);
        rest = after;
    }
}

/// Takes the next ask of a peer.
pub fn next_ask(queue: &mut Consumer) -> Option<Ask<'_>> {
    // SAFETY: the queues of asks carry only what `Ask::encode` wrote, and `take` gives each record once.
    queue.take().and_then(|record| unsafe { Ask::decode(record) })
}

/// Shows the hashes of the keys that the next `limit` asks of a peer want read or changed; returns how many asks were looked at.
pub fn peek_hashes(queue: &mut Consumer, limit: usize, mut each: impl FnMut(u64)) -> usize {
    let mut looked = 0;
    queue.peek(limit, |record| {
        looked += 1;
        if let Ok((header, _)) = Header::read_from_prefix(record)
            && header.kind == Kind::Key as u8
        {
            each(header.hash);
        }
    });
    looked
}

/// Takes the next answer of `peer`.
pub fn next_answer(queue: &mut Consumer, peer: usize) -> Option<Answer<'_>> {
    // SAFETY: the queues of answers carry only what the functions below wrote, and `take` gives each record once.
    queue.take().and_then(|record| unsafe { Answer::decode(record, peer) })
}

/// The part of an answer's room that the reply's text is written into, before [`finish_reply`].
pub fn reply_room(out: &mut [u8]) -> &mut [u8] {
    &mut out[HEADER_BYTES..]
}

/// Puts the header before a reply of `len` bytes written into [`reply_room`]; returns the record's length.
pub fn finish_reply(out: &mut [u8], ticket: Ticket, len: usize, value: Option<Held>) -> usize {
    let mut header = Header { ticket, value_len: len as u32, ..Header::new(Kind::Reply) };
    if let Some(held) = value {
        header.kind = Kind::ReplyValue as u8;
        header.detail = held.line_end.into();
        header.raw = held.value.into_raw();
    }
    out[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    HEADER_BYTES + len
}

/// Writes the answer to [`Ask::Reserve`] and [`Ask::Grow`]; returns the record's length.
pub fn write_reserved(out: &mut [u8], ticket: Ticket, result: Result<Upload, Refusal>) -> usize {
    let header = match result {
        Ok(upload) => Header { ticket, raw: upload.into_raw(), ..Header::new(Kind::Reserved) },
        Err(reason) => {
            let detail = (reason == Refusal::TooLarge).into();
            Header { ticket, detail, ..Header::new(Kind::Refused) }
        }
    };
    out[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    HEADER_BYTES
}

/// Writes the answer to [`Ask::Call`]; returns the record's length.
pub fn write_done(out: &mut [u8], ticket: Ticket) -> usize {
    out[..HEADER_BYTES].copy_from_slice(Header { ticket, ..Header::new(Kind::Done) }.as_bytes());
    HEADER_BYTES
}

impl Answer<'_> {
    /// Reads an answer back.
    ///
    /// # Safety
    /// As [`Ask::decode`].
    unsafe fn decode(record: &[u8], peer: usize) -> Option<Answer<'_>> {
        let (header, text) = Header::read_from_prefix(record).ok()?;
        let (ticket, raw) = (header.ticket, header.raw);
        Some(match header.kind {
            k if k == Kind::Reply as u8 => Answer::Reply(ticket, text, None),
            k if k == Kind::ReplyValue as u8 => {
                // SAFETY: written by `into_raw` on the other side, taken once (this function's contract).
                let value = unsafe { Pinned::from_raw(raw) };
                let held = Held { owner: peer, value, line_end: header.detail != 0 };
                Answer::Reply(ticket, text, Some(held))
            }
            // SAFETY: as above.
            k if k == Kind::Reserved as u8 => Answer::Reserved(ticket, Ok(unsafe { Upload::from_raw(raw) })),
            k if k == Kind::Refused as u8 => {
                let reason = if header.detail != 0 { Refusal::TooLarge } else { Refusal::NoMemory };
                Answer::Reserved(ticket, Err(reason))
            }
            k if k == Kind::Done as u8 => Answer::Done(ticket),
            _ => return None,
        })
    }
}
