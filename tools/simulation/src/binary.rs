//! The binary protocol as a client speaks it.

use crate::client::{Answer, Complaint, Waiting};
use crate::history::{Action, Content, Lifetime, Mode, Outcome};
use crate::load::Request;
use crate::text::{self, number_of};
use ringcached::protocol::binary::{HEADER_LEN, opcode};
use std::collections::VecDeque;

/// First byte of a request and of an answer.
const REQUEST: u8 = 0x80;
const ANSWER: u8 = 0x81;

/// What a time that is over already is replaced by: packets have no negative ones.
fn exptime(lifetime: Lifetime) -> u32 {
    match lifetime {
        Lifetime::Unlimited | Lifetime::Over => 0,
        Lifetime::Seconds(seconds) => seconds,
        Lifetime::Until(unix_s) => unix_s as u32,
    }
}

fn told(lifetime: Lifetime) -> Lifetime {
    if lifetime == Lifetime::Over { Lifetime::Unlimited } else { lifetime }
}

/// A packet for each key, with what can be said in packets.
pub fn one_by_one(request: Request) -> Vec<Request> {
    let mut request = request;
    match &mut request.action {
        Action::Read(Some(lifetime)) | Action::Touch(lifetime) | Action::Write { lifetime, .. } => {
            *lifetime = told(*lifetime);
        }
        Action::Arithmetic { create: Some((_, lifetime)), .. } => *lifetime = told(*lifetime),
        _ => {}
    }
    // There is no quiet TOUCH.
    request.quiet &= !matches!(request.action, Action::Touch(_));
    text::one_by_one(request)
}

/// Writes a packet, which its answer names by `token`.
pub fn write(out: &mut Vec<u8>, request: &Request, keys: &[&[u8]], token: u32) {
    let mut extras = Vec::new();
    let quiet = request.quiet;
    let choose = |loud: u8, silent: u8| if quiet { silent } else { loud };
    let mut cas = 0;
    let code = match request.action {
        Action::Read(None) if request.wants_cas => choose(opcode::GETK, opcode::GETKQ),
        Action::Read(None) => choose(opcode::GET, opcode::GETQ),
        Action::Read(Some(lifetime)) => {
            extras.extend(exptime(lifetime).to_be_bytes());
            if request.wants_cas {
                choose(opcode::GATK, opcode::GATKQ)
            } else {
                choose(opcode::GAT, opcode::GATQ)
            }
        }
        Action::Write { mode, flags, lifetime, compare, .. } => {
            cas = compare.unwrap_or(0);
            if !matches!(mode, Mode::Append | Mode::Prepend) {
                extras.extend(flags.to_be_bytes());
                extras.extend(exptime(lifetime).to_be_bytes());
            }
            match mode {
                Mode::Set => choose(opcode::SET, opcode::SETQ),
                Mode::Add => choose(opcode::ADD, opcode::ADDQ),
                Mode::Replace => choose(opcode::REPLACE, opcode::REPLACEQ),
                Mode::Append => choose(opcode::APPEND, opcode::APPENDQ),
                Mode::Prepend => choose(opcode::PREPEND, opcode::PREPENDQ),
            }
        }
        Action::Delete { compare } => {
            cas = compare.unwrap_or(0);
            choose(opcode::DELETE, opcode::DELETEQ)
        }
        Action::Arithmetic { increment, delta, create, compare } => {
            cas = compare.unwrap_or(0);
            let (initial, expires) =
                create.map_or((0, u32::MAX), |(initial, lifetime)| (initial, exptime(lifetime)));
            extras.extend(delta.to_be_bytes());
            extras.extend(initial.to_be_bytes());
            extras.extend(expires.to_be_bytes());
            match increment {
                true => choose(opcode::INCREMENT, opcode::INCREMENTQ),
                false => choose(opcode::DECREMENT, opcode::DECREMENTQ),
            }
        }
        Action::Touch(lifetime) => {
            extras.extend(exptime(lifetime).to_be_bytes());
            opcode::TOUCH
        }
        Action::Flush { delay_s } => {
            extras.extend(delay_s.to_be_bytes());
            choose(opcode::FLUSH, opcode::FLUSHQ)
        }
    };
    let key = keys.first().copied().unwrap_or_default();
    packet(out, code, key, &extras, &request.value, token, cas);
}

/// Asks for an answer that comes behind all others.
pub fn write_noop(out: &mut Vec<u8>, token: u32) {
    packet(out, opcode::NOOP, b"", b"", b"", token, 0);
}

fn packet(out: &mut Vec<u8>, code: u8, key: &[u8], extras: &[u8], value: &[u8], token: u32, cas: u64) {
    let body_len = (extras.len() + key.len() + value.len()) as u32;
    out.extend([REQUEST, code]);
    out.extend((key.len() as u16).to_be_bytes());
    out.extend([extras.len() as u8, 0, 0, 0]);
    out.extend(body_len.to_be_bytes());
    out.extend(token.to_be_bytes());
    out.extend(cas.to_be_bytes());
    for part in [extras, key, value] {
        out.extend_from_slice(part);
    }
}

fn number<const N: usize>(input: &[u8], at: usize) -> Option<[u8; N]> {
    input.get(at..at + N)?.try_into().ok()
}

/// Reads the next answer; nothing while it is not there whole.
pub fn parse(input: &[u8], waiting: &VecDeque<Waiting>) -> Result<Option<Answer>, Complaint> {
    let Some(header) = input.first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let u32_at = |at| number(header, at).map_or(0, u32::from_be_bytes);
    let key_len = usize::from(number(header, 2).map_or(0, u16::from_be_bytes));
    let (extras_len, status) = (usize::from(header[4]), number(header, 6).map_or(0, u16::from_be_bytes));
    let (body_len, token) = (u32_at(8) as usize, u32_at(12));
    let cas = number(header, 16).map_or(0, u64::from_be_bytes);
    if header[0] != ANSWER || key_len + extras_len > body_len || body_len > 1 << 30 {
        return Err(format!("no answer: {header:02x?}"));
    }
    let Some(body) = input.get(HEADER_LEN..HEADER_LEN + body_len) else { return Ok(None) };
    let skipped = waiting.iter().position(|waiting| waiting.token == token);
    let skipped = skipped.ok_or_else(|| format!("an answer to nothing: {header:02x?}"))?;
    let action = waiting[skipped].action;
    let value = &body[extras_len + key_len..];
    let done = Outcome::Done { cas: (cas != 0).then_some(cas) };
    let outcome = match (status, action) {
        (0, None) => None,
        (0, Some(Action::Read(_))) => {
            let flags = number(body, 0).map_or(0, u32::from_be_bytes);
            Some(Outcome::Hit {
                content: Content::of(value),
                number: number_of(value),
                flags,
                cas: Some(cas),
            })
        }
        (0, Some(Action::Arithmetic { .. })) => {
            let sum = number(value, 0).map(u64::from_be_bytes).ok_or("no number")?;
            Some(Outcome::Number { number: sum, cas: Some(cas) })
        }
        (0, Some(_)) => Some(done),
        (1, Some(Action::Read(_))) => Some(Outcome::Miss),
        (1, Some(Action::Write { mode: Mode::Replace, compare: None, .. })) => Some(Outcome::NotStored),
        (1, Some(_)) => Some(Outcome::NotFound),
        (2, Some(Action::Write { mode: Mode::Add, .. })) => Some(Outcome::NotStored),
        (2, Some(_)) => Some(Outcome::Exists),
        (3, Some(Action::Write { .. })) => Some(Outcome::TooLarge),
        (5, Some(Action::Write { .. })) => Some(Outcome::NotStored),
        (0x82, Some(_)) => Some(Outcome::NoMemory),
        _ => return Err(format!("status {status} in answer to {action:?}")),
    };
    let outcomes = outcome.into_iter().collect();
    Ok(Some(Answer { used: HEADER_LEN + body_len, skipped, outcomes, is_last: true }))
}
