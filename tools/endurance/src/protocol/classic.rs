//! The classic text commands.

use std::io::{BufRead, Write};

use anyhow::{Result, bail};
use ringcached_load::content;
use ringcached_load::keys::Keys;

use super::{Answer, Found, Request, line, unexpected, value};

pub fn write(request: &Request, keys: &Keys, out: &mut Vec<u8>) {
    let text = |key: u32| keys.text(key);
    // Writing to a vector cannot fail.
    let _ = match *request {
        Request::Get { keys: ref wanted } => {
            out.extend(b"gets");
            wanted.iter().for_each(|&key| {
                out.push(b' ');
                keys.append(key, out);
            });
            out.write_all(b"\r\n")
        }
        Request::Set { key, version, len, lifetime_s, cas, quiet } => {
            let noreply = if quiet { " noreply" } else { "" };
            let _ = match cas {
                None => write!(out, "set {} 0 {lifetime_s} {len}{noreply}\r\n", text(key)),
                Some(cas) => write!(out, "cas {} 0 {lifetime_s} {len} {cas}{noreply}\r\n", text(key)),
            };
            content::append(key, version, len as usize, out);
            out.write_all(b"\r\n")
        }
        Request::Delete { key } => write!(out, "delete {}\r\n", text(key)),
        Request::Touch { key, lifetime_s } => write!(out, "touch {} {lifetime_s}\r\n", text(key)),
        Request::Number { key, number } => {
            let digits = number.to_string();
            write!(out, "set {} 0 0 {}\r\n{digits}\r\n", text(key), digits.len())
        }
        Request::Count { key, by } => write!(out, "incr {} {by}\r\n", text(key)),
    };
}

pub fn read(request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
    if let Request::Get { .. } = request {
        return values(request, keys, from);
    }
    let line = line(from)?;
    Ok(match (line.as_str(), request) {
        ("STORED", Request::Set { .. } | Request::Number { .. }) => Answer::Done,
        ("DELETED", Request::Delete { .. }) | ("TOUCHED", Request::Touch { .. }) => Answer::Done,
        ("NOT_FOUND", _) => Answer::NotFound,
        ("EXISTS", Request::Set { cas: Some(_), .. }) => Answer::Exists,
        ("SERVER_ERROR out of memory storing object", Request::Set { .. } | Request::Number { .. }) => {
            Answer::Refused
        }
        (number, Request::Count { .. }) => match number.trim_end().parse() {
            Ok(number) => Answer::Number(number),
            Err(_) => return unexpected(request, keys, &line),
        },
        _ => return unexpected(request, keys, &line),
    })
}

fn values(request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
    let mut found = Vec::new();
    loop {
        let head = line(from)?;
        if head == "END" {
            return Ok(Answer::Found(found));
        }
        let words: Vec<&str> = head.split(' ').collect();
        let ["VALUE", key, "0", len, cas] = words[..] else { return unexpected(request, keys, &head) };
        let (Ok(len), Ok(cas)) = (len.parse(), cas.parse()) else { return unexpected(request, keys, &head) };
        let key = super::key_of(key.as_bytes(), keys)?;
        let version = value(key, len, keys, from)?;
        if !line(from)?.is_empty() {
            bail!("no line end behind the value of {}", keys.text(key));
        }
        found.push(Found { key, version, cas });
    }
}
