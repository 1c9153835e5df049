//! `watch`: the connection becomes one-way. What it sends is thrown away, and it is sent the lines that the shards have put
//! into its buffer at the hub, one bufferful after the other.

use super::{Mode, Session, Step, Stop};
use crate::protocol::WatchKinds;
use crate::protocol::reply::text;
use crate::shard::core::Core;

impl Session {
    /// The connection only watches.
    pub fn is_watching(&self) -> bool {
        matches!(self.mode, Mode::Watch)
    }

    /// The connection is sent what has no end yet: a log or a listing.
    pub fn is_streaming(&self) -> bool {
        matches!(self.mode, Mode::Watch | Mode::Dump(_))
    }

    /// `watch`
    pub(super) fn watch(&mut self, core: &mut Core, kinds: WatchKinds, used: usize) -> Step {
        // What is on its way is the answer to an earlier packet, if not yet known to have arrived.
        if self.slots.is_empty() && self.out.in_flight() {
            return Step::stop(Stop::WaitOwn);
        }
        if !self.slots.is_empty() || !self.out.is_idle() {
            return self.reply(core, text::PIPELINED_WATCH, used);
        }
        if !core.keyspace.journal.hub().register(core.id, self.id, kinds) {
            return self.reply(core, text::TOO_MANY_WATCHERS, used);
        }
        let step = self.reply(core, text::OK, used);
        match step.stop {
            None => self.mode = Mode::Watch,
            // No block to write it into: the command will be run again.
            Some(_) => core.keyspace.journal.hub().remove(core.id, self.id),
        }
        step
    }

    /// The next bufferful, when the last has been sent.
    pub(super) fn watching(&mut self, core: &mut Core, rest: &[u8]) -> Step {
        let stop = |stop| Step { used: rest.len(), stop: Some(stop) };
        if !self.out.is_idle() {
            return stop(Stop::WaitOwn);
        }
        let lines = core.keyspace.journal.hub().take(core.id, self.id);
        if lines.is_empty() {
            return stop(Stop::NeedInput);
        }
        self.out.push_heap(lines);
        stop(Stop::WaitOwn)
    }
}
