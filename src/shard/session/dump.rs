//! Listing keys to a client: one step after the other, shard after shard, as fast as the client reads.

use super::{Mode, Session, Step, Stop};
use crate::shard::calls::{Call, Manner};
use crate::shard::core::Core;
use crate::shard::listing::{ListingStep, Style, TEXT_MAX, TEXT_MAX_IN_CROWD};

/// Unsent bytes at which the next step waits.
const AHEAD_MAX: usize = 64 * 1024;

/// A listing under way.
pub(super) struct Dump {
    /// The next step.
    step: ListingStep,
    /// Classes that follow that of the step.
    classes: Vec<u8>,
    /// All steps are done.
    done: bool,
    /// What is sent behind the last line.
    end: &'static [u8],
}

impl Session {
    /// Starts listing: the items of `classes` (0: of all), at most `items_max` of them; then `end`.
    pub(super) fn start_dump(
        &mut self,
        style: Style,
        mut classes: Vec<u8>,
        items_max: u32,
        end: &'static [u8],
    ) {
        let first = classes.pop();
        let step = ListingStep { style, class: first.unwrap_or(0), items_max, ..ListingStep::default() };
        self.mode = Mode::Dump(Box::new(Dump { step, classes, done: first.is_none(), end }));
    }

    /// The next step, when there is room for it.
    pub(super) fn dump(&mut self, core: &mut Core) -> Step {
        let Mode::Dump(dump) = &self.mode else { return Step::on(0) };
        if dump.done {
            let step = self.reply(core, dump.end, 0);
            if step.stop.is_none() {
                self.mode = Mode::Start;
            }
            return step;
        }
        let (ahead_max, text_max) =
            if core.is_crowded() { (0, TEXT_MAX_IN_CROWD) } else { (AHEAD_MAX, TEXT_MAX) };
        if self.out.unsent() > ahead_max {
            return Step::stop(Stop::WaitOwn);
        }
        let call = Call::List(ListingStep { text_max, ..dump.step });
        self.call(core, call, Manner::Text { noreply: false }, 0)
    }

    /// A step is done: `items` were listed, and the shard's listing goes on at `next` if it does.
    pub(super) fn listed(&mut self, core: &Core, items: u32, next: Option<u32>) {
        let Mode::Dump(dump) = &mut self.mode else { return };
        let step = &mut dump.step;
        step.items_max = step.items_max.saturating_sub(items);
        step.from = next.unwrap_or(0);
        if next.is_none() {
            step.shard += 1;
        }
        if step.shard == core.shards {
            step.shard = 0;
            match dump.classes.pop() {
                Some(class) => step.class = class,
                None => dump.done = true,
            }
        }
        dump.done |= step.items_max == 0;
    }
}
