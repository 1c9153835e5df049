//! `watch`: connections that are told what the server does, a line for each event, in memcached's words.
//!
//! A shard writes the lines ([`event`]) into its own [`Journal`] while its requests run, and at the end of the turn hands
//! them to the buffers of the watchers, which lie in the one [`Hub`] of the process ([`publish`]). A watcher's own shard
//! sends them from there, as fast as the client reads (`session::watch`).
//!
//! Nothing here slows a request down. While nobody watches, a request asks one plain byte of its own shard. While somebody
//! does, no shard waits for another: a hub that is busy is tried again next turn. And all memory is bounded: a journal that
//! is full drops lines, a watcher that reads too slowly misses some and is told how many (`skipped=<n>`).

pub mod event;
pub mod hub;
mod publish;

use crate::protocol::{WatchKind, WatchKinds};
use event::{Event, Stamp};
use hub::Hub;
use std::os::fd::RawFd;
use std::sync::Arc;

/// In the place of the descriptor of a connection that is not known.
pub const NO_FD: RawFd = -1;

/// The lines of one shard that the watchers have not been given yet.
pub struct Journal {
    /// What any watcher wants, as of the start of this turn.
    kinds: WatchKinds,
    /// The connection whose request runs.
    pub asker_fd: RawFd,
    lines: Lines,
    /// Bytes of lines it may have (`-o worker_logbuf_size`).
    limit_bytes: usize,
    shard: usize,
    hub: Arc<Hub>,
}

/// Lines one behind the other.
#[derive(Default)]
pub struct Lines {
    text: Vec<u8>,
    /// The kind of each, and where it ends in `text`.
    ends: Vec<(WatchKind, usize)>,
}

impl Lines {
    /// Each line with its kind.
    fn iter(&self) -> impl Iterator<Item = (WatchKind, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (kind, end))| (*kind, &self.text[start..*end]))
    }
}

impl Journal {
    /// Of shard `shard`, with nobody watching.
    pub fn new(shard: usize, limit_bytes: usize, hub: Arc<Hub>) -> Journal {
        Journal {
            kinds: WatchKinds::default(),
            asker_fd: NO_FD,
            lines: Lines::default(),
            limit_bytes,
            shard,
            hub,
        }
    }

    /// Somebody watches something.
    #[inline]
    pub fn is_watched(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Somebody watches this.
    #[inline]
    pub fn wants(&self, kind: WatchKind) -> bool {
        self.kinds.contains(kind)
    }

    /// Where the watchers are.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Lines are waiting here, or at the hub for a watcher of this shard.
    pub fn has_news(&self) -> bool {
        !self.lines.ends.is_empty() || self.hub.has_news(self.shard)
    }

    /// Learns what is watched now; true when it has changed.
    fn follow(&mut self) -> bool {
        let kinds = self.hub.wanted();
        let changed = kinds != self.kinds;
        self.kinds = kinds;
        if changed && kinds.is_empty() {
            self.lines = Lines::default(); // with its memory
        }
        changed
    }

    /// Writes the line of an event; false when there is no room for it.
    fn write(&mut self, event: &Event<'_>) -> bool {
        let Lines { text, ends } = &mut self.lines;
        let start = text.len();
        let now = Stamp::now();
        event.write(text, Stamp { gid: self.hub.next_gid(), ..now });
        let fits = text.len() <= self.limit_bytes;
        if fits {
            ends.push((event.kind(), text.len()));
        } else {
            text.truncate(start);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::session::ConnId;

    fn journal(limit_bytes: usize) -> Journal {
        Journal::new(0, limit_bytes, Arc::new(Hub::new(1, 1024)))
    }

    fn deleted(key: &[u8]) -> Event<'_> {
        Event::Deleted { key, command: "delete", place: event::Place { class: 1, size: 2 } }
    }

    #[test]
    fn a_full_journal_drops_lines_and_keeps_those_it_has() {
        let mut journal = journal(300);
        let kept = (0..100).filter(|_| journal.write(&deleted(b"key"))).count();
        assert!((2..6).contains(&kept), "{kept}");
        assert!(journal.lines.text.len() <= 300);
        let lines: Vec<_> = journal.lines.iter().collect();
        assert_eq!(lines.len(), kept);
        for (kind, line) in lines {
            assert_eq!(kind, WatchKind::Deletions);
            assert!(line.starts_with(b"ts=") && line.ends_with(b" size=2\n"), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn it_follows_what_is_watched() {
        let mut journal = journal(1 << 10);
        assert!(!journal.follow() && !journal.is_watched());
        let kinds = WatchKinds::default().with(WatchKind::Deletions);
        assert!(journal.hub.register(0, ConnId::default(), kinds));
        assert!(journal.follow() && journal.is_watched());
        assert!(journal.wants(WatchKind::Deletions) && !journal.wants(WatchKind::Fetchers));
        assert!(journal.write(&deleted(b"a")) && journal.has_news());
        journal.hub.remove(0, ConnId::default());
        assert!(journal.follow() && !journal.is_watched() && !journal.has_news());
    }
}
