//! What can be watched, and the line that says it: memcached's, word by word, ended by LF.

use crate::net::listener::Peer;
use crate::protocol::WatchKind;
use crate::shard::conn::Reason;
use crate::shard::listing::write_uri;
use crate::store::{Evicted, Miss};
use std::io::Write as _;
use std::os::fd::RawFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// How every line begins: the time of day, and a number that gives the order of the lines of all shards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Seconds since 1970.
    pub unix_s: u64,
    /// Microseconds of that second.
    pub micros: u32,
    /// The number.
    pub gid: u64,
}

impl Stamp {
    /// Now, not yet numbered.
    pub fn now() -> Stamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Stamp { unix_s: now.as_secs(), micros: now.subsec_micros(), gid: 0 }
    }
}

/// Where an item lies and how long its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The size class; 0 for an item that is not there.
    pub class: u8,
    /// Bytes of the value.
    pub size: usize,
}

/// See the module comment. `fd` is that of the connection, on whatever shard; `NO_FD` if unknown.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A key was looked up, by whatever request.
    Fetched {
        /// The key.
        key: &'a [u8],
        /// What was there.
        found: Result<Place, Miss>,
        /// Who asked.
        fd: RawFd,
    },
    /// A value was stored, or not.
    Stored {
        /// The key.
        key: &'a [u8],
        /// How it ended.
        status: &'static str,
        /// How it was to be stored.
        command: &'static str,
        /// Seconds to live; 0 for ever.
        ttl_s: u32,
        /// Of the stored item; no class and the given length if it was not stored.
        place: Place,
        /// Who asked.
        fd: RawFd,
    },
    /// An item was deleted by a client.
    Deleted {
        /// The key.
        key: &'a [u8],
        /// By which command.
        command: &'static str,
        /// What was there.
        place: Place,
    },
    /// A live item was thrown out for lack of memory.
    Evicted(&'a Evicted),
    /// A connection was accepted.
    Opened {
        /// The other end.
        peer: Peer,
        /// Its descriptor.
        fd: RawFd,
    },
    /// A connection has ended.
    Closed {
        /// The other end.
        peer: Peer,
        /// Why.
        reason: Reason,
        /// Its descriptor.
        fd: RawFd,
    },
}

impl Event<'_> {
    /// By which it is watched.
    pub fn kind(&self) -> WatchKind {
        match self {
            Event::Fetched { .. } => WatchKind::Fetchers,
            Event::Stored { .. } => WatchKind::Mutations,
            Event::Deleted { .. } => WatchKind::Deletions,
            Event::Evicted(_) => WatchKind::Evictions,
            Event::Opened { .. } | Event::Closed { .. } => WatchKind::ConnEvents,
        }
    }

    /// Adds its line to `out`.
    pub fn write(&self, out: &mut Vec<u8>, stamp: Stamp) {
        // Writing to memory does not fail. As in memcached the microseconds are not padded.
        let Stamp { unix_s, micros, gid } = stamp;
        let _ = write!(out, "ts={unix_s}.{micros} gid={gid} type=");
        let _ = match self {
            Event::Fetched { key, found, fd } => {
                write_keyed(out, "item_get", key);
                let (status, Place { class, size }) = match found {
                    Ok(place) => ("found", *place),
                    Err(miss) => (miss_word(*miss), Place { class: 0, size: 0 }),
                };
                writeln!(out, "status={status} clsid={class} cfd={fd} size={size}")
            }
            Event::Stored { key, status, command, ttl_s, place: Place { class, size }, fd } => {
                write_keyed(out, "item_store", key);
                writeln!(out, "status={status} cmd={command} ttl={ttl_s} clsid={class} cfd={fd} size={size}")
            }
            Event::Deleted { key, command, place: Place { class, size } } => {
                write_keyed(out, "deleted", key);
                writeln!(out, "cmd={command} clsid={class} size={size}")
            }
            Event::Evicted(item) => {
                write_keyed(out, "eviction", &item.key);
                let fetch = if item.fetched { "yes" } else { "no" };
                let ttl_s = item.ttl_s.map_or(-1, i64::from);
                let Evicted { idle_s, class, value_len, .. } = item;
                writeln!(out, "fetch={fetch} ttl={ttl_s} la={idle_s} clsid={class} size={value_len}")
            }
            Event::Opened { peer, fd } => writeln!(out, "conn_new {} cfd={fd}", Shown(peer)),
            Event::Closed { peer, reason, fd } => {
                writeln!(out, "conn_close {} reason={} cfd={fd}", Shown(peer), reason.word())
            }
        };
    }
}

fn write_keyed(out: &mut Vec<u8>, name: &str, key: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b" key=");
    write_uri(out, key);
    out.push(b' ');
}

fn miss_word(miss: Miss) -> &'static str {
    match miss {
        Miss::Absent => "not_found",
        Miss::Flushed => "flushed",
        Miss::Expired => "expired",
    }
}

/// Address, port and transport of the other end.
struct Shown<'a>(&'a Peer);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Peer::Tcp(address) => {
                write!(f, "rip={} rport={} transport=tcp", address.ip(), address.port())
            }
            Peer::Local => f.write_str("rip=unix rport=0 transport=local"),
            Peer::Gone => f.write_str("rip=unknown rport=0 transport=tcp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event<'_>) -> String {
        let mut out = Vec::new();
        event.write(&mut out, Stamp { unix_s: 1700000000, micros: 42, gid: 9 });
        let line = String::from_utf8(out).expect("text");
        line.strip_prefix("ts=1700000000.42 gid=9 type=").expect("the stamp").to_string()
    }

    #[test]
    fn items_are_logged_as_memcached_does() {
        let key = b"a \xff";
        let place = Place { class: 3, size: 5 };
        assert_eq!(
            line(Event::Fetched { key, found: Ok(place), fd: 28 }),
            "item_get key=a%20%FF status=found clsid=3 cfd=28 size=5\n"
        );
        for (miss, word) in
            [(Miss::Absent, "not_found"), (Miss::Flushed, "flushed"), (Miss::Expired, "expired")]
        {
            assert_eq!(
                line(Event::Fetched { key, found: Err(miss), fd: -1 }),
                format!("item_get key=a%20%FF status={word} clsid=0 cfd=-1 size=0\n")
            );
        }
        let stored = Event::Stored { key, status: "stored", command: "cas", ttl_s: 7, place, fd: 28 };
        assert_eq!(
            line(stored),
            "item_store key=a%20%FF status=stored cmd=cas ttl=7 clsid=3 cfd=28 size=5\n"
        );
        assert_eq!(
            line(Event::Deleted { key, command: "md", place }),
            "deleted key=a%20%FF cmd=md clsid=3 size=5\n"
        );
    }

    #[test]
    fn evictions_are_logged_as_memcached_does() {
        let item = |fetched, ttl_s| Evicted {
            key: b"k".to_vec().into(),
            fetched,
            ttl_s,
            idle_s: 11,
            class: 2,
            bytes: 100,
            value_len: 50,
        };
        let want = "eviction key=k fetch=yes ttl=8 la=11 clsid=2 size=50\n";
        assert_eq!(line(Event::Evicted(&item(true, Some(8)))), want);
        let want = "eviction key=k fetch=no ttl=-1 la=11 clsid=2 size=50\n";
        assert_eq!(line(Event::Evicted(&item(false, None))), want);
    }

    #[test]
    fn connections_are_logged_as_memcached_does() {
        let peer = Peer::Tcp("[::1]:40000".parse().expect("an address"));
        let want = "conn_new rip=::1 rport=40000 transport=tcp cfd=5\n";
        assert_eq!(line(Event::Opened { peer, fd: 5 }), want);
        let closed = |peer, reason| line(Event::Closed { peer, reason, fd: 5 });
        let want = "conn_close rip=unix rport=0 transport=local reason=idle_timeout cfd=5\n";
        assert_eq!(closed(Peer::Local, Reason::IdleTimeout), want);
        let want = "conn_close rip=unknown rport=0 transport=tcp reason=error cfd=5\n";
        assert_eq!(closed(Peer::Gone, Reason::Error), want);
    }
}
