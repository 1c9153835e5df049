//! The keys of the server that is copied from, listed by `lru_crawler` and kept in a file without a name until their turn.
//!
//! They are listed at once and as fast as the server can, because a listing that is read slowly keeps memcached's crawler from its
//! work, and one whose connection breaks cannot be taken up again. The file is a few dozen bytes a key, and goes with the process.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};

use crate::connection::{Connection, Failure};
use crate::key::Key;

/// How a server is asked for its keys.
struct Style {
    command: &'static str,
    end: &'static [u8],
    key: fn(&[u8]) -> Option<Key>,
}

/// What newer servers have, then what older ones have too: memcached 1.6.18 has no `mgdump`. `hash` walks the hash table; `all` walks
/// the LRU lists, and misses what moves from one to another meanwhile.
const STYLES: [Style; 3] = [
    Style { command: "lru_crawler mgdump hash", end: b"EN", key: Key::of_mgdump },
    Style { command: "lru_crawler metadump hash", end: b"END", key: Key::of_metadump },
    Style { command: "lru_crawler metadump all", end: b"END", key: Key::of_metadump },
];

/// The longest key in the file.
const KEY_LEN_MAX: u64 = 100 << 10;

/// Keys, one after the other, each as a letter, its text and a line end.
pub struct Listing {
    file: BufReader<File>,
    /// How many keys are in it.
    pub keys: u64,
    /// How many more the server has that the text protocol cannot name.
    pub unreachable: u64,
}

impl Listing {
    /// Asks for all keys and writes them down.
    pub fn of(server: &mut Connection) -> Result<Listing, Failure> {
        for style in &STYLES {
            if let Some(listing) = style.list(server)? {
                return Ok(listing);
            }
        }
        Err(server.unexpected("it knows no `lru_crawler metadump`, which memcached has from 1.4.31 on"))
    }

    /// The next key.
    pub fn next_key(&mut self) -> Result<Option<Key>, Failure> {
        let mut text = Vec::new();
        (&mut self.file).take(KEY_LEN_MAX).read_until(b'\n', &mut text)?;
        if text.pop().is_none() {
            return Ok(None);
        }
        Ok(Some(Key { is_base64: text.remove(0) == b'b', text }))
    }
}

impl Style {
    /// All keys, or nothing where the server does not know the command.
    fn list(&self, server: &mut Connection) -> Result<Option<Listing>, Failure> {
        server.write(self.command.as_bytes())?;
        server.write(b"\r\n")?;
        server.flush()?;
        let mut file = BufWriter::new(tempfile::tempfile()?);
        let (mut keys, mut unreachable) = (0, 0);
        let mut is_first = true;
        loop {
            let line = server.read_line()?;
            match line {
                b"ERROR" | b"BADCLASS invalid class id" if is_first => return Ok(None),
                b"OK" if is_first => {} // memcached 1.6.18 begins without
                _ if line == self.end => break,
                _ if is_first && refuses(line) => {
                    let remedy = remedy(line);
                    return Err(server.unexpected(remedy));
                }
                _ => match (self.key)(line) {
                    Some(key) => {
                        file.write_all(if key.is_base64 { b"b" } else { b"p" })?;
                        file.write_all(&key.text)?;
                        file.write_all(b"\n")?;
                        keys += 1;
                    }
                    None => unreachable += 1,
                },
            }
            is_first = false;
        }
        let mut file = file.into_inner().map_err(|error| error.into_error())?;
        file.rewind()?;
        Ok(Some(Listing { file: BufReader::new(file), keys, unreachable }))
    }
}

fn refuses(line: &[u8]) -> bool {
    [&b"ERROR"[..], b"CLIENT_ERROR", b"SERVER_ERROR", b"BUSY"].iter().any(|word| line.starts_with(word))
}

fn remedy(line: &[u8]) -> &'static str {
    if line.starts_with(b"BUSY") {
        "another listing or crawl is under way; run this again when it is over"
    } else if line.ends_with(b"crawler disabled") {
        "its crawler is off; `lru_crawler enable` turns it on"
    } else {
        "it does not list its keys; it has to be started without -X"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// A server that answers each line with the next of `answers`, and hangs up behind the last.
    fn scripted(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            for answer in answers {
                lines.read_line(&mut String::new()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        name
    }

    fn listed(answers: &'static [&'static str]) -> Result<(Vec<Key>, u64), Failure> {
        let mut listing = Listing::of(&mut Connection::open(&scripted(answers))?)?;
        let mut keys = Vec::new();
        while let Some(key) = listing.next_key()? {
            keys.push(key);
        }
        assert_eq!(keys.len() as u64, listing.keys);
        Ok((keys, listing.unreachable))
    }

    fn key(text: &str, is_base64: bool) -> Key {
        Key { text: text.into(), is_base64 }
    }

    #[test]
    fn every_way_to_list_gives_the_same() {
        let keys = (vec![key("a", false), key("AAEK", true)], 0);
        let mgdump = &["MN\r\n", "OK\r\nmg a\r\nmg AAEK b\r\nEN\r\n"];
        assert_eq!(listed(mgdump).unwrap(), keys);
        let hash = &["MN\r\n", "ERROR\r\n", "OK\r\nkey=a exp=-1 \nkey=%00%01%0A exp=-1 \nEND\r\n"];
        assert_eq!(listed(hash).unwrap(), keys);
        let all = &[
            "MN\r\n",
            "ERROR\r\n",
            "BADCLASS invalid class id\r\n",
            "key=a exp=-1\nkey=%00%01%0A exp=-1\nEND\r\n",
        ];
        assert_eq!(listed(all).unwrap(), keys);
        assert_eq!(listed(&["MN\r\n", "OK\r\nEN\r\n"]).unwrap(), (vec![], 0));
        assert_eq!(listed(&["MN\r\n", "OK\r\nmg a b c\r\nEN\r\n"]).unwrap(), (vec![], 1));
    }

    #[test]
    fn what_lists_nothing_says_why() {
        for (answers, words) in [
            (&["ERROR\r\n"][..], "from 1.6 on"),
            (&["MN\r\n", "ERROR\r\n", "ERROR\r\n", "ERROR\r\n"], "knows no `lru_crawler metadump`"),
            (&["MN\r\n", "BUSY currently processing crawler request\r\n"], "when it is over"),
            (&["MN\r\n", "ERROR key dump not allowed\r\n"], "without -X"),
            (&["MN\r\n", "CLIENT_ERROR lru crawler disabled\r\n"], "`lru_crawler enable`"),
            (&["MN\r\n", "OK\r\nmg a\r\n"], "it closed the connection"),
        ] {
            let error = listed(answers).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
