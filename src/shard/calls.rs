//! Commands that no key names the owner of: flush_all, stats, limits, listings. The shard that was asked sends the call to
//! every shard, itself included (a step of a listing to one), and answers when all have answered. What a shard has to say
//! (a [`Part`]) does not fit a record of the mesh; it goes through the asker's mailbox, the one place with a lock, far from
//! any request.

use super::core::Core;
use super::listing::{Listed, ListingStep};
use super::mesh::wire::{Ask, Ticket};
use super::snapshot::{Query, Snapshot, Topic};
use crate::protocol::binary::{HEADER_LEN, Status, Tag, reply};
use crate::protocol::reply::text;
use crate::store::LargestWalk;
use glommio::channels::local_channel::{self, LocalReceiver, LocalSender};
use std::sync::Mutex;

/// Calls of one shard's connections that may be outstanding; further ones wait. Their reports are memory of the heap.
const PENDING_MAX: usize = 8;

/// Long ones among them. A search for the largest items takes up to a thousand turns, and a list of all connections two system calls
/// for each of them, so more would keep all else waiting.
const LONG_MAX: usize = 1;

/// What a shard is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Drop everything stored until now, or at this second of the shard clock.
    Flush(Option<u32>),
    /// Set the counters back to zero.
    ResetStats,
    /// Report.
    Stats(Query),
    /// Count by key prefix, or not.
    Detail(bool),
    /// Keep to `Settings::limit_bytes`, which has changed.
    Limit,
    /// Look for overdue items now.
    Crawl,
    /// List some keys.
    List(ListingStep),
}

const FLUSH: u64 = 0;
const RESET: u64 = 1;
const STATS: u64 = 2;
const DETAIL: u64 = 3;
const LIMIT: u64 = 4;
const CRAWL: u64 = 5;
const LIST: u64 = 6;

impl Call {
    /// As words, for the mesh.
    fn encode(self) -> [u64; 3] {
        match self {
            Call::Flush(at_s) => [FLUSH, at_s.unwrap_or(0).into(), 0],
            Call::ResetStats => [RESET, 0, 0],
            Call::Stats(Query { topic, rows }) => [STATS, topic as u64, rows.into()],
            Call::Detail(on) => [DETAIL, on.into(), 0],
            Call::Limit => [LIMIT, 0, 0],
            Call::Crawl => [CRAWL, 0, 0],
            Call::List(step) => {
                let [first, second] = step.encode();
                [LIST, first, second]
            }
        }
    }

    /// Back from words.
    pub fn decode(words: [u64; 3]) -> Option<Call> {
        let [kind, first, second] = words;
        match kind {
            FLUSH => Some(Call::Flush((first != 0).then_some(first as u32))),
            RESET => Some(Call::ResetStats),
            STATS => {
                let topic = Topic::numbered(first as u32)?;
                Some(Call::Stats(Query { topic, rows: second as u32 }))
            }
            DETAIL => Some(Call::Detail(first != 0)),
            LIMIT => Some(Call::Limit),
            CRAWL => Some(Call::Crawl),
            LIST => ListingStep::decode([first, second]).map(Call::List),
            _ => None,
        }
    }

    /// A shard does one of these in a turn, or a step of one: a search for the largest items, a list of all connections.
    pub fn is_long(&self) -> bool {
        match self {
            Call::Stats(Query { topic: Topic::BigKeys, rows }) => *rows > 0,
            Call::Stats(Query { topic: Topic::Conns, .. }) => true,
            _ => false,
        }
    }

    /// The shards it goes to, out of `shards`.
    fn recipients(&self, shards: usize) -> std::ops::Range<usize> {
        match self {
            Call::List(step) => step.shard..step.shard + 1,
            _ => 0..shards,
        }
    }
}

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// In text.
    Text {
        /// Or not at all.
        noreply: bool,
    },
    /// In packets.
    Packets(Tag),
    /// With the reports themselves, to a task of this shard ([`super::inquiry`]).
    Reports,
}

/// The ticket of a call that no connection makes: there is none of this number.
const NO_CONNECTION: Ticket = Ticket { conn: u32::MAX, generation: 0, slot: 0 };

/// What a shard has to say to a call.
#[derive(Debug)]
pub enum Part {
    /// Its report.
    Report(Box<Snapshot>),
    /// A part of its keys.
    Listed(Listed),
    /// It cannot do what was asked.
    Refused,
}

/// The answer to a call.
#[derive(Debug, Default)]
pub struct Answered {
    /// To be sent.
    pub text: Box<[u8]>,
    /// Of a step of a listing: how many items, and where it goes on in this shard.
    pub listed: Option<(u32, Option<u32>)>,
}

/// A call that waits for the shards' answers.
struct Pending {
    ticket: Ticket,
    call: Call,
    manner: Manner,
    missing: usize,
    parts: Vec<Part>,
}

/// A call to be done on this shard.
pub struct Todo {
    /// Who asks.
    pub origin: usize,
    /// For the answer.
    pub ticket: Ticket,
    /// What to do.
    pub call: Call,
    /// Of one that is done in steps, the step it is at.
    pub walk: Option<LargestWalk>,
}

impl Todo {
    /// Not begun.
    fn new(origin: usize, ticket: Ticket, call: Call) -> Todo {
        Todo { origin, ticket, call, walk: None }
    }
}

/// The calls of one shard. At most one per connection is pending, since a call holds up its connection.
#[derive(Default)]
pub struct Calls {
    pending: Vec<Pending>,
    /// Who waits for the reports of the one call that no connection has made, if it is pending. Gone or not, there is no second
    /// one before it has been answered.
    inquirer: Option<LocalSender<Vec<Snapshot>>>,
    /// To be done here, in the order in which it came.
    pub todo: Vec<Todo>,
}

impl Calls {
    /// Another one may be outstanding.
    fn has_room(&self, call: &Call) -> bool {
        let long = self.pending.iter().filter(|pending| pending.call.is_long()).count();
        self.pending.len() < PENDING_MAX && (long < LONG_MAX || !call.is_long())
    }
}

/// Where the peers put what they have to say to one shard: which call, who, what.
pub type Mailbox = Mutex<Vec<(Ticket, usize, Part)>>;

impl Core {
    /// Sends a call to its shards; false when there are too many or some way is full (nothing was sent
    /// then).
    pub fn start_call(&mut self, ticket: Ticket, call: Call, manner: Manner) -> bool {
        let words = call.encode();
        if !self.calls.has_room(&call) {
            return false;
        }
        if !self.out.all_have_room(Ask::Call(ticket, words).record_bytes()) {
            return false;
        }
        let recipients = call.recipients(self.shards);
        for to in recipients.clone() {
            if to == self.id {
                self.calls.todo.push(Todo::new(to, ticket, call));
            } else {
                let sent = self.out.ask(to, Ask::Call(ticket, words));
                debug_assert!(sent, "room was checked");
            }
        }
        if let Call::Flush(_) = call {
            self.keyspace.counters.cmd_flush += 1;
        }
        self.calls.pending.push(Pending {
            ticket,
            call,
            manner,
            missing: recipients.len(),
            parts: Vec::new(),
        });
        true
    }

    /// Asks every shard for its report about `topic`. Nothing if the last such call has not been answered yet, or there is no room now.
    pub fn inquire(&mut self, topic: Topic) -> Option<LocalReceiver<Vec<Snapshot>>> {
        let is_free = self.calls.inquirer.is_none();
        let call = Call::Stats(topic.into());
        if !is_free || !self.start_call(NO_CONNECTION, call, Manner::Reports) {
            return None;
        }
        let (inquirer, reports) = local_channel::new_bounded(1);
        self.calls.inquirer = Some(inquirer);
        Some(reports)
    }

    /// A peer wants this shard's part of a call.
    pub fn call_asked(&mut self, origin: usize, ticket: Ticket, words: [u64; 3]) {
        if let Some(call) = Call::decode(words) {
            self.calls.todo.push(Todo::new(origin, ticket, call));
        }
    }

    /// One shard has done its part. When it was the last, returns the answer.
    pub fn call_answered(&mut self, ticket: Ticket, part: Option<Part>) -> Option<Answered> {
        let at = self.calls.pending.iter().position(|p| p.ticket == ticket)?;
        let pending = &mut self.calls.pending[at];
        pending.parts.extend(part);
        pending.missing -= 1;
        if pending.missing > 0 {
            return None;
        }
        let done = self.calls.pending.swap_remove(at);
        Some(self.answer_of(done))
    }

    fn answer_of(&mut self, done: Pending) -> Answered {
        let refused = done.parts.iter().any(|part| matches!(part, Part::Refused));
        let mut reports = Vec::new();
        for part in done.parts {
            match part {
                Part::Report(report) => reports.push(*report),
                Part::Refused => {}
                Part::Listed(listed) => {
                    return Answered { text: listed.text, listed: Some((listed.items, listed.next)) };
                }
            }
        }
        reports.sort_by_key(|report| report.shard);
        if done.manner == Manner::Reports {
            // Who asked may have lost patience.
            let _ = self.calls.inquirer.take().map(|inquirer| inquirer.try_send(reports));
            return Answered::default();
        }
        let is_report = matches!(done.call, Call::Stats(_));
        let words: Box<[u8]> = match done.call {
            Call::Stats(query) => (self.settings.report)(query, &reports).into(),
            Call::ResetStats => text::RESET.into(),
            Call::Limit if refused => text::MEMORY_LIMIT_NOT_ADJUSTED.into(),
            _ => text::OK.into(),
        };
        let text: Box<[u8]> = match (done.manner, done.call) {
            (Manner::Reports, _) => Box::default(),
            (Manner::Text { noreply: true }, _) => Box::default(),
            (Manner::Text { noreply: false }, _) => words,
            (Manner::Packets(tag), Call::Stats(Query { topic: Topic::Detail, .. })) => {
                detail_packets(&words, tag)
            }
            (Manner::Packets(tag), Call::Stats(_)) => reply::stats_from_text(&words, tag).into(),
            (Manner::Packets(tag), _) if tag.suppresses(Status::Ok) => Box::default(),
            (Manner::Packets(tag), _) => {
                let mut head = [0; HEADER_LEN];
                reply::write_done(&mut head, tag, 0);
                head.into()
            }
        };
        // Nobody may have to be read to for the others to have memory.
        let is_too_long = is_report && self.is_crowded() && text.len() > self.answer_len_max;
        let text = match done.manner {
            Manner::Packets(tag) if is_too_long => {
                reply::stats_from_text(text::OUT_OF_MEMORY_STATS, tag).into()
            }
            _ if is_too_long => text::OUT_OF_MEMORY_STATS.into(),
            _ => text,
        };
        Answered { text, listed: None }
    }
}

/// `stats detail dump` in packets: its text is the value of one.
fn detail_packets(words: &[u8], tag: Tag) -> Box<[u8]> {
    const NAME: &[u8] = b"detailed";
    let mut packets = vec![0; reply::stat_len(NAME, words) + reply::stat_len(b"", b"")];
    let end = reply::write_stat(&mut packets, tag, NAME, words);
    reply::write_stat(&mut packets[end..], tag, b"", b"");
    packets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_survive_the_mesh() {
        let step = ListingStep { shard: 200, ..ListingStep::default() };
        for call in [
            Call::Flush(None),
            Call::Flush(Some(77)),
            Call::ResetStats,
            Call::Stats(Query { topic: Topic::BigKeys, rows: 77 }),
            Call::Detail(true),
            Call::Limit,
            Call::Crawl,
            Call::List(step),
        ] {
            assert_eq!(Call::decode(call.encode()), Some(call));
        }
        assert_eq!(Call::decode([99, 0, 0]), None);
    }
}
