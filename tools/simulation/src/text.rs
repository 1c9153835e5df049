//! The text protocols as a client speaks them: classic lines, meta commands, and the answers to both.

use crate::client::{Answer, Complaint, Waiting};
use crate::history::{Action, Content, Lifetime, Mode, Outcome};
use crate::load::Request;

/// What a classic client can ask for: no creation, no condition but that of `cas`.
pub fn classic(request: Request, _: &[&[u8]]) -> Vec<Request> {
    let mut request = request;
    match &mut request.action {
        Action::Read(_) => request.quiet = false,
        Action::Delete { compare } => *compare = None,
        Action::Arithmetic { create, compare, .. } => (*create, *compare) = (None, None),
        _ => {}
    }
    vec![request]
}

/// A request for each key, since there are no others.
pub fn one_by_one(request: Request) -> Vec<Request> {
    if request.keys.len() < 2 {
        return vec![request];
    }
    request.keys.iter().map(|key| Request { keys: vec![*key], ..request.clone() }).collect()
}

fn exptime(lifetime: Lifetime) -> i64 {
    match lifetime {
        Lifetime::Unlimited => 0,
        Lifetime::Seconds(seconds) => seconds.into(),
        Lifetime::Until(unix_s) => unix_s,
        Lifetime::Over => -1,
    }
}

/// Writes a classic command.
pub fn write_classic(out: &mut Vec<u8>, request: &Request, keys: &[&[u8]]) {
    let s = if request.wants_cas { "s" } else { "" };
    let noreply: &[u8] = if request.quiet { b" noreply\r\n" } else { b"\r\n" };
    let words = |out: &mut Vec<u8>, words: &str| out.extend_from_slice(words.as_bytes());
    let key = keys.first().copied().unwrap_or_default();
    match request.action {
        Action::Read(lifetime) => {
            match lifetime {
                None => words(out, &format!("get{s}")),
                Some(lifetime) => words(out, &format!("gat{s} {}", exptime(lifetime))),
            }
            for key in keys {
                out.push(b' ');
                out.extend_from_slice(key);
            }
            return out.extend_from_slice(b"\r\n");
        }
        Action::Write { mode, flags, lifetime, compare, .. } => {
            let verb = match (mode, compare) {
                (Mode::Set, Some(_)) => "cas",
                (Mode::Set, None) => "set",
                (Mode::Add, _) => "add",
                (Mode::Replace, _) => "replace",
                (Mode::Append, _) => "append",
                (Mode::Prepend, _) => "prepend",
            };
            words(out, &format!("{verb} "));
            out.extend_from_slice(key);
            words(out, &format!(" {flags} {} {}", exptime(lifetime), request.value.len()));
            if let Some(cas) = compare {
                words(out, &format!(" {cas}"));
            }
            out.extend_from_slice(noreply);
            out.extend_from_slice(&request.value);
            return out.extend_from_slice(b"\r\n");
        }
        Action::Delete { .. } => {
            words(out, "delete ");
            out.extend_from_slice(key);
        }
        Action::Arithmetic { increment, delta, .. } => {
            words(out, if increment { "incr " } else { "decr " });
            out.extend_from_slice(key);
            words(out, &format!(" {delta}"));
        }
        Action::Touch(lifetime) => {
            words(out, "touch ");
            out.extend_from_slice(key);
            words(out, &format!(" {}", exptime(lifetime)));
        }
        Action::Flush { delay_s } => words(out, &format!("flush_all {delay_s}")),
    }
    out.extend_from_slice(noreply);
}

/// Writes a meta command, which its answer names by `token`.
pub fn write_meta(out: &mut Vec<u8>, request: &Request, key: &[u8], token: u32) {
    let verb: &[u8] = match request.action {
        Action::Write { .. } => b"ms ",
        Action::Delete { .. } => b"md ",
        Action::Arithmetic { .. } => b"ma ",
        _ => b"mg ",
    };
    out.extend_from_slice(verb);
    out.extend_from_slice(key);
    let mut flags = format!(" O{token}");
    let compared = |compare: Option<u64>| compare.map_or(String::new(), |cas| format!(" C{cas}"));
    match request.action {
        Action::Read(lifetime) => {
            flags += " v f";
            if let Some(lifetime) = lifetime {
                flags += &format!(" T{}", exptime(lifetime));
            }
        }
        Action::Touch(lifetime) => flags += &format!(" T{}", exptime(lifetime)),
        Action::Write { mode, flags: client_flags, lifetime, compare, .. } => {
            let mode = match mode {
                Mode::Set => "S",
                Mode::Add => "E",
                Mode::Replace => "R",
                Mode::Append => "A",
                Mode::Prepend => "P",
            };
            flags = format!(" {}{flags} M{mode} F{client_flags} T{}", request.value.len(), exptime(lifetime));
            flags += &compared(compare);
        }
        Action::Delete { compare } => flags += &compared(compare),
        Action::Arithmetic { increment, delta, create, compare } => {
            flags += &format!(" v D{delta} M{}", if increment { "I" } else { "D" });
            if let Some((initial, lifetime)) = create {
                flags += &format!(" J{initial} N{}", exptime(lifetime));
            }
            flags += &compared(compare);
        }
        Action::Flush { .. } => {}
    }
    if request.wants_cas && !matches!(request.action, Action::Delete { .. }) {
        flags += " c";
    }
    if request.quiet {
        flags += " q";
    }
    out.extend_from_slice(flags.as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Action::Write { .. } = request.action {
        out.extend_from_slice(&request.value);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads the next answer, or part of one; nothing while it is not there whole. `key_of` gives the key of an operation.
pub fn parse<'a>(
    input: &[u8],
    waiting: &std::collections::VecDeque<Waiting>,
    key_of: impl Fn(usize) -> &'a [u8],
) -> Result<Option<Answer>, Complaint> {
    let Some(end) = input.iter().take(2_048).position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = input[..end].strip_suffix(b"\r").ok_or("a line without CR")?;
    let line = std::str::from_utf8(line).map_err(|_| "a line that is no text")?;
    let words: Vec<&str> = line.split(' ').collect();
    let used = end + 1;
    let value = |len: &str| -> Result<Option<&[u8]>, Complaint> {
        let len: usize = len.parse().map_err(|_| format!("no length: {line}"))?;
        match input.get(used..used + len + 2).map(|data| data.split_at(len)) {
            Some((value, b"\r\n")) => Ok(Some(value)),
            Some(_) => Err(format!("no line end behind a value: {line}")),
            None => Ok(None),
        }
    };
    // Behind what is silent, the answer is of the one that it names, or of the first that has to be answered.
    let token = words.iter().skip(1).find_map(|word| word.strip_prefix('O')?.parse::<u32>().ok());
    let named = token.filter(|_| words[0].len() == 2);
    let skipped = match named {
        Some(token) => waiting.iter().position(|waiting| waiting.token == token),
        None => waiting.iter().position(|waiting| !waiting.quiet),
    };
    let skipped = skipped.ok_or_else(|| format!("an answer to nothing: {line}"))?;
    let of = &waiting[skipped];
    let one = |outcome| Ok(Some(Answer { used, skipped, outcomes: vec![outcome], is_last: true }));
    let cas = |word: Option<&&str>| word.and_then(|word| word.parse().ok());
    let flag = |letter: char| words.iter().skip(1).find_map(|word| word.strip_prefix(letter));
    let flag_cas = flag('c').and_then(|cas| cas.parse().ok());
    let is_read = matches!(of.action, Some(Action::Read(_)));
    let is_sum = matches!(of.action, Some(Action::Arithmetic { .. }));
    match (words[0], of.action) {
        ("VALUE", Some(Action::Read(_))) if words.len() >= 4 => {
            let Some(data) = value(words[3])? else { return Ok(None) };
            let mut outcomes = Vec::new();
            let mut at = of.first + of.answered;
            while at < of.first + of.count && key_of(at) != words[1].as_bytes() {
                outcomes.push(Outcome::Miss);
                at += 1;
            }
            if at == of.first + of.count {
                return Err(format!("a value of a key that was not asked for, or not now: {line}"));
            }
            outcomes.push(hit(data, words[2], cas(words.get(4)))?);
            Ok(Some(Answer { used: used + data.len() + 2, skipped, outcomes, is_last: false }))
        }
        ("END", Some(Action::Read(_))) => {
            let outcomes = vec![Outcome::Miss; of.count - of.answered];
            Ok(Some(Answer { used, skipped, outcomes, is_last: true }))
        }
        ("VA", Some(_)) if words.len() >= 2 && (is_read || is_sum) => {
            let Some(data) = value(words[1])? else { return Ok(None) };
            let outcome = if is_sum {
                Outcome::Number { number: number_of(data).ok_or("no number")?, cas: flag_cas }
            } else {
                hit(data, flag('f').unwrap_or_default(), flag_cas)?
            };
            Ok(Some(Answer { used: used + data.len() + 2, skipped, outcomes: vec![outcome], is_last: true }))
        }
        ("VERSION" | "MN", None) => Ok(Some(Answer { used, skipped, outcomes: Vec::new(), is_last: true })),
        ("EN", Some(Action::Read(_))) => one(Outcome::Miss),
        ("EN", Some(Action::Touch(_))) => one(Outcome::NotFound),
        ("HD", Some(_)) if !is_read && !is_sum => one(Outcome::Done { cas: flag_cas }),
        ("NF", Some(_)) | ("NOT_FOUND", Some(_)) => one(Outcome::NotFound),
        ("NS", Some(_)) | ("NOT_STORED", Some(_)) => one(Outcome::NotStored),
        ("EX", Some(_)) | ("EXISTS", Some(_)) => one(Outcome::Exists),
        ("STORED", Some(Action::Write { .. }))
        | ("DELETED", Some(Action::Delete { .. }))
        | ("TOUCHED", Some(Action::Touch(_)))
        | ("OK", Some(Action::Flush { .. })) => one(Outcome::Done { cas: None }),
        (digits, Some(Action::Arithmetic { .. })) if digits.parse::<u64>().is_ok() => {
            one(Outcome::Number { number: digits.parse().unwrap_or_default(), cas: None })
        }
        _ if line == "SERVER_ERROR object too large for cache" => one(Outcome::TooLarge),
        _ if line == "SERVER_ERROR out of memory reading request" => one(Outcome::Unknown),
        _ if line.starts_with("SERVER_ERROR out of memory")
            || line.starts_with("SERVER_ERROR Out of memory") =>
        {
            one(Outcome::NoMemory)
        }
        (_, action) => Err(format!("{line:?} in answer to {action:?}")),
    }
}

/// What a value is.
fn hit(data: &[u8], flags: &str, cas: Option<u64>) -> Result<Outcome, Complaint> {
    let flags = flags.parse().map_err(|_| "no flags with a value")?;
    Ok(Outcome::Hit { content: Content::of(data), number: number_of(data), flags, cas })
}

/// A number keeps its length when it gets smaller: spaces follow.
pub fn number_of(data: &[u8]) -> Option<u64> {
    std::str::from_utf8(data).ok()?.trim_end_matches(' ').parse().ok()
}
