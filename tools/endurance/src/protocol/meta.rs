//! The meta commands.

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
            wanted.iter().for_each(|&key| {
                let _ = write!(out, "mg {} v k c q\r\n", text(key));
            });
            out.write_all(b"mn\r\n")
        }
        Request::Set { key, version, len, lifetime_s, cas, .. } => {
            let cas = cas.map_or(String::new(), |cas| format!(" C{cas}"));
            let _ = write!(out, "ms {} {len} T{lifetime_s}{cas}\r\n", text(key));
            content::append(key, version, len as usize, out);
            out.write_all(b"\r\n")
        }
        Request::Delete { key } => write!(out, "md {}\r\n", text(key)),
        Request::Touch { key, lifetime_s } => write!(out, "mg {} T{lifetime_s}\r\n", text(key)),
        Request::Number { key, number } => {
            let digits = number.to_string();
            write!(out, "ms {} {}\r\n{digits}\r\n", text(key), digits.len())
        }
        Request::Count { key, by } => write!(out, "ma {} D{by} v\r\n", text(key)),
    };
}

pub fn read(request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
    if let Request::Get { .. } = request {
        return values(request, keys, from);
    }
    let answer = line(from)?;
    Ok(match (answer.as_str(), request) {
        ("HD", Request::Count { .. }) => return unexpected(request, keys, &answer),
        ("HD", _) => Answer::Done,
        ("NF", _) | ("EN", Request::Touch { .. }) => Answer::NotFound,
        ("EX", Request::Set { cas: Some(_), .. }) => Answer::Exists,
        ("SERVER_ERROR out of memory storing object", Request::Set { .. } | Request::Number { .. }) => {
            Answer::Refused
        }
        (head, Request::Count { .. }) if head.starts_with("VA ") => match line(from)?.parse() {
            Ok(number) => Answer::Number(number),
            Err(_) => return unexpected(request, keys, &answer),
        },
        _ => return unexpected(request, keys, &answer),
    })
}

fn values(request: &Request, keys: &Keys, from: &mut impl BufRead) -> Result<Answer> {
    let mut found = Vec::new();
    loop {
        let head = line(from)?;
        if head == "MN" {
            return Ok(Answer::Found(found));
        }
        let words: Vec<&str> = head.split(' ').collect();
        let ["VA", len, key, cas] = words[..] else { return unexpected(request, keys, &head) };
        let (Ok(len), Some(key), Some(Ok(cas))) =
            (len.parse(), key.strip_prefix('k'), cas.strip_prefix('c').map(str::parse))
        else {
            return unexpected(request, keys, &head);
        };
        let key = super::key_of(key.as_bytes(), keys)?;
        let version = value(key, len, keys, from)?;
        if !line(from)?.is_empty() {
            bail!("no line end behind the value of {}", keys.text(key));
        }
        found.push(Found { key, version, cas });
    }
}
