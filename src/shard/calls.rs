//! Commands that all shards take part in: flush_all and stats. The shard that was asked sends the call to every shard,
//! itself included, and answers when all have answered. What a shard has to say (a [`Snapshot`]) does not fit a record of
//! the mesh; it goes through the asker's mailbox, the one place with a lock, far from any request.

use super::core::Core;
use super::mesh::wire::{Ask, Ticket};
use super::snapshot::{Snapshot, Topic};
use crate::protocol::reply::text;
use std::sync::Mutex;

/// What every shard is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Drop everything stored until now, or at this second of the shard clock.
    Flush(Option<u32>),
    /// Set the counters back to zero.
    ResetStats,
    /// Report.
    Stats(Topic),
}

const FLUSH: u32 = 0;
const RESET: u32 = 1;
const STATS: u32 = 2;

impl Call {
    /// The call behind `stats <args>`, or the words that refuse it.
    pub fn stats(args: &[u8]) -> Result<Call, &'static [u8]> {
        let word = args.split(|b| *b == b' ').find(|word| !word.is_empty()).unwrap_or(b"");
        match word {
            b"reset" => Ok(Call::ResetStats),
            _ => Topic::named(word).map(Call::Stats).ok_or(text::ERROR),
        }
    }

    /// As two numbers, for the mesh.
    fn encode(self) -> (u32, u32) {
        match self {
            Call::Flush(at_s) => (FLUSH, at_s.unwrap_or(0)),
            Call::ResetStats => (RESET, 0),
            Call::Stats(topic) => (STATS, topic as u32),
        }
    }

    /// Back from two numbers.
    pub fn decode(kind: u32, argument: u32) -> Option<Call> {
        match kind {
            FLUSH => Some(Call::Flush((argument != 0).then_some(argument))),
            RESET => Some(Call::ResetStats),
            STATS => Topic::numbered(argument).map(Call::Stats),
            _ => None,
        }
    }
}

/// A call that waits for the shards' answers.
struct Pending {
    ticket: Ticket,
    call: Call,
    noreply: bool,
    missing: usize,
    parts: Vec<Snapshot>,
}

/// A call to be done on this shard.
pub struct Todo {
    /// Who asks.
    pub origin: usize,
    /// For the answer.
    pub ticket: Ticket,
    /// What to do.
    pub call: Call,
}

/// The calls of one shard. At most one per connection is pending, since a call holds up its connection.
#[derive(Default)]
pub struct Calls {
    pending: Vec<Pending>,
    /// To be done here, in the order in which it came.
    pub todo: Vec<Todo>,
}

/// Where the peers put what they have to say to one shard.
pub type Mailbox = Mutex<Vec<(Ticket, Snapshot)>>;

impl Core {
    /// Sends a call to every shard; false when some way is full (nothing was sent then).
    pub fn start_call(&mut self, ticket: Ticket, call: Call, noreply: bool) -> bool {
        let (kind, argument) = call.encode();
        if !self.out.all_have_room(Ask::Call(ticket, kind, argument).record_bytes()) {
            return false;
        }
        for to in (0..self.shards).filter(|to| *to != self.id) {
            let sent = self.out.ask(to, Ask::Call(ticket, kind, argument));
            debug_assert!(sent, "room was checked");
        }
        if let Call::Flush(_) = call {
            self.counters.cmd_flush += 1;
        }
        self.calls.pending.push(Pending { ticket, call, noreply, missing: self.shards, parts: Vec::new() });
        self.calls.todo.push(Todo { origin: self.id, ticket, call });
        true
    }

    /// A peer wants this shard's part of a call.
    pub fn call_asked(&mut self, origin: usize, ticket: Ticket, kind: u32, argument: u32) {
        if let Some(call) = Call::decode(kind, argument) {
            self.calls.todo.push(Todo { origin, ticket, call });
        }
    }

    /// One shard has done its part. When it was the last, returns the text of the answer.
    pub fn call_answered(&mut self, ticket: Ticket, part: Option<Snapshot>) -> Option<Box<[u8]>> {
        let at = self.calls.pending.iter().position(|p| p.ticket == ticket)?;
        let pending = &mut self.calls.pending[at];
        pending.parts.extend(part);
        pending.missing -= 1;
        if pending.missing > 0 {
            return None;
        }
        let mut done = self.calls.pending.swap_remove(at);
        done.parts.sort_by_key(|part| part.shard);
        let words: Box<[u8]> = match done.call {
            _ if done.noreply => Box::default(),
            Call::Flush(_) => text::OK.into(),
            Call::ResetStats => text::RESET.into(),
            Call::Stats(topic) => (self.settings.report)(topic, &done.parts).into(),
        };
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_survive_the_mesh() {
        for call in [Call::Flush(None), Call::Flush(Some(77)), Call::ResetStats, Call::Stats(Topic::Slabs)] {
            let (kind, argument) = call.encode();
            assert_eq!(Call::decode(kind, argument), Some(call));
        }
        assert_eq!(Call::decode(9, 0), None);
    }

    #[test]
    fn words_of_stats_are_whole_words() {
        assert_eq!(Call::stats(b""), Ok(Call::Stats(Topic::General)));
        assert_eq!(Call::stats(b" reset"), Ok(Call::ResetStats));
        assert_eq!(Call::stats(b"settings"), Ok(Call::Stats(Topic::Settings)));
        assert_eq!(Call::stats(b"r"), Err(text::ERROR));
    }
}
