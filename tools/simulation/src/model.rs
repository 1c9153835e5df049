//! What one key may do: the item that is there or is not, and what each operation makes of it.
//!
//! The model is told of times only within what a client can know: an operation has happened between two moments. So an item
//! dies within a span of seconds, and where that span is not over both are possible. An item may also go without anybody's
//! wish where memory is short ([`Rules::may_vanish`]). What is gone stays gone: no rule brings an item back.

use crate::history::{Action, Content, Lifetime, Mode, Moment, Operation, Outcome};
use std::collections::HashMap;

/// The last second of what lives for ever.
const FOREVER_S: u32 = u32::MAX / 2;

/// The second of the shard clock in which the world begins.
pub const FIRST_SECOND: u32 = 2;

/// Bytes of an item beside its value, about: more than there ever are.
const ITEM_WORDS_MAX: u32 = 400;

/// An item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    content: Content,
    number: Option<u64>,
    flags: u32,
    /// Its CAS number, once it is known.
    cas: Option<u64>,
    /// The last second in which it is alive lies between these.
    dies_s: (u32, u32),
}

/// The state of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    item: Option<Item>,
    /// A flush to come at a second between these.
    flush_s: Option<(u32, u32)>,
}

/// What holds for all keys of a world.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Memory is short: items may vanish, and writes may be refused for lack of it.
    pub may_vanish: bool,
    /// `-I`
    pub item_size_max: u32,
    /// CAS numbers of contents that were written once only, as far as anybody was told.
    pub numbers: HashMap<Content, u64>,
}

/// Whether an item is the one that is compared with.
fn compares(item: &Item, compare: Option<u64>) -> &'static [bool] {
    match (compare, item.cas) {
        (None, _) => &[true],
        (Some(wanted), Some(cas)) if wanted == cas => &[true],
        (Some(_), Some(_)) => &[false],
        (Some(_), None) => &[true, false],
    }
}

impl Rules {
    /// The states that `operation` may leave a key in; none if it cannot have happened now.
    pub fn after(&self, state: &State, operation: &Operation) -> Vec<State> {
        let mut states = Vec::new();
        for before in self.settled(state, operation.invoked, operation.returned) {
            self.apply(before, operation, &mut states);
        }
        states
    }

    /// The state that an operation leaves which changes nothing but what is known; nothing if it may change more.
    pub fn keeps(&self, state: &State, operation: &Operation) -> Option<State> {
        let reads = match operation.outcome {
            Outcome::Hit { .. } | Outcome::Miss => {
                operation.action == Action::Read(None) || state.item.is_none()
            }
            Outcome::NotStored | Outcome::Exists | Outcome::NotFound => true,
            _ => false,
        };
        if !reads {
            return None;
        }
        let same = |after: &State| {
            after.flush_s == state.flush_s
                && match (&after.item, &state.item) {
                    (Some(after), Some(item)) => Item { cas: item.cas, ..after.clone() } == *item,
                    (None, None) => true,
                    _ => false,
                }
        };
        self.after(state, operation).into_iter().find(same)
    }

    /// What may have become of a key by itself when an operation between two moments finds it.
    fn settled(&self, state: &State, invoked: Moment, returned: Moment) -> Vec<State> {
        let mut states = Vec::with_capacity(2);
        let (mut flushed, mut unflushed) = (false, true);
        if let Some((earliest_s, latest_s)) = state.flush_s {
            flushed = returned.second >= earliest_s;
            unflushed = invoked.second < latest_s;
        }
        if unflushed {
            if let Some(item) = &state.item {
                let (earliest_s, latest_s) = item.dies_s;
                if invoked.second <= latest_s {
                    states.push(state.clone());
                }
                if returned.second > earliest_s || self.may_vanish {
                    states.push(State { item: None, ..state.clone() });
                }
            } else {
                states.push(state.clone());
            }
        }
        if flushed {
            states.push(State::default());
        }
        states
    }

    fn apply(&self, before: State, operation: &Operation, states: &mut Vec<State>) {
        let outcome = operation.outcome;
        let mut may = |result: Outcome, state: State| {
            if agrees(outcome, result) && !states.contains(&state) {
                states.push(learn(outcome, state));
            }
        };
        let item = before.item.clone();
        let with = |item: Item| State { item: Some(item), ..before.clone() };
        match operation.action {
            Action::Flush { delay_s: 0 } => may(Outcome::Done { cas: None }, State::default()),
            Action::Flush { delay_s } => {
                let at_s =
                    (operation.invoked.second + delay_s, operation.returned.second.saturating_add(delay_s));
                may(Outcome::Done { cas: None }, State { flush_s: Some(at_s), ..before });
            }
            Action::Read(lifetime) => match item {
                None => may(Outcome::Miss, before),
                Some(item) => {
                    let Item { content, number, flags, cas, .. } = item;
                    let dies_s = lifetime.map_or(item.dies_s, |lifetime| dies_s(lifetime, operation));
                    may(Outcome::Hit { content, number, flags, cas }, with(Item { dies_s, ..item }));
                }
            },
            Action::Touch(lifetime) => match item {
                None => may(Outcome::NotFound, before),
                Some(item) => {
                    let dies_s = dies_s(lifetime, operation);
                    may(Outcome::Done { cas: None }, with(Item { dies_s, ..item }));
                }
            },
            Action::Delete { compare } => match item {
                None => may(Outcome::NotFound, before),
                Some(item) => {
                    for same in compares(&item, compare) {
                        match same {
                            true => may(Outcome::Done { cas: None }, State { item: None, ..before.clone() }),
                            false => may(Outcome::Exists, before.clone()),
                        }
                    }
                }
            },
            Action::Arithmetic { increment, delta, create, compare } => match (item, create) {
                (None, None) => may(Outcome::NotFound, before),
                (None, Some((number, lifetime))) => {
                    if self.may_vanish {
                        may(Outcome::NoMemory, before.clone());
                    }
                    let dies_s = dies_s(lifetime, operation);
                    let item =
                        Item { content: Content::of(b""), number: Some(number), flags: 0, cas: None, dies_s };
                    may(Outcome::Number { number, cas: None }, with(item));
                }
                (Some(item), _) => {
                    for same in compares(&item, compare) {
                        let Some(old) = item.number else { continue };
                        let number =
                            if increment { old.wrapping_add(delta) } else { old.saturating_sub(delta) };
                        let changed = Item { number: Some(number), cas: None, ..item.clone() };
                        match same {
                            true => may(Outcome::Number { number, cas: None }, with(changed)),
                            false => may(Outcome::Exists, before.clone()),
                        }
                    }
                    if self.may_vanish {
                        may(Outcome::NoMemory, before);
                    }
                }
            },
            Action::Write { .. } => self.write(&before, operation, &mut may),
        }
    }

    fn write(&self, before: &State, operation: &Operation, may: &mut impl FnMut(Outcome, State)) {
        let Action::Write { mode, content, number, flags, lifetime, compare } = operation.action else {
            return;
        };
        let old = &before.item;
        let stored = |item: Item| State { item: Some(item), ..before.clone() };
        let extends = matches!(mode, Mode::Append | Mode::Prepend);
        // Of a value that cannot be stored: a plain set leaves nothing of the old one.
        let refused = match (mode, compare) {
            (Mode::Set, None) => State { item: None, ..before.clone() },
            _ => before.clone(),
        };
        if content.len + ITEM_WORDS_MAX > self.item_size_max {
            may(Outcome::TooLarge, refused.clone());
        }
        if self.may_vanish {
            may(Outcome::NoMemory, refused);
        }
        let new = Item {
            content,
            number,
            flags,
            cas: self.numbers.get(&content).copied(),
            dies_s: dies_s(lifetime, operation),
        };
        let results: &[bool] = match (mode, old, compare) {
            (Mode::Set, _, None) => &[true],
            (Mode::Set | Mode::Replace, None, Some(_)) => return may(Outcome::NotFound, before.clone()),
            (Mode::Add, None, _) => &[true],
            (_, None, _) | (Mode::Add, ..) => return may(Outcome::NotStored, before.clone()),
            (_, Some(item), compare) => compares(item, compare),
        };
        for same in results {
            match (same, old) {
                (false, _) => may(Outcome::Exists, before.clone()),
                (true, Some(old)) if extends => {
                    let content = match mode {
                        Mode::Append => old.content.then(content),
                        _ => content.then(old.content),
                    };
                    if self.may_vanish || content.len + ITEM_WORDS_MAX > self.item_size_max {
                        may(Outcome::NotStored, before.clone());
                    }
                    let cas = self.numbers.get(&content).copied();
                    may(Outcome::Done { cas }, stored(Item { content, number: None, cas, ..old.clone() }));
                }
                (true, _) => may(Outcome::Done { cas: new.cas }, stored(new.clone())),
            }
        }
    }
}

/// Whether a client that was told `told` may have met `result`.
fn agrees(told: Outcome, result: Outcome) -> bool {
    let same = |one: Option<u64>, other: Option<u64>| one.zip(other).is_none_or(|(one, other)| one == other);
    match (told, result) {
        (Outcome::Unknown, _) => true,
        (
            Outcome::Hit { content, number, flags, cas },
            Outcome::Hit { content: content2, number: number2, flags: flags2, cas: cas2 },
        ) => {
            let same_value = if number2.is_some() { number == number2 } else { content == content2 };
            same_value && flags == flags2 && same(cas, cas2)
        }
        (Outcome::Done { cas }, Outcome::Done { cas: cas2 }) => same(cas, cas2),
        (Outcome::Number { number, cas }, Outcome::Number { number: number2, cas: cas2 }) => {
            number == number2 && same(cas, cas2)
        }
        (told, result) => told == result,
    }
}

/// The state with the CAS number that its item was told to have.
fn learn(told: Outcome, mut state: State) -> State {
    if let Outcome::Hit { cas: Some(cas), .. }
    | Outcome::Done { cas: Some(cas) }
    | Outcome::Number { cas: Some(cas), .. } = told
        && let Some(item) = &mut state.item
    {
        item.cas = Some(cas);
    }
    state
}

/// Between which seconds is the last one of an item that gets this lifetime.
fn dies_s(lifetime: Lifetime, operation: &Operation) -> (u32, u32) {
    let (invoked_s, returned_s) = (operation.invoked.second, operation.returned.second);
    match lifetime {
        Lifetime::Unlimited => (FOREVER_S, FOREVER_S),
        Lifetime::Over => (1, 1),
        Lifetime::Seconds(seconds) => (invoked_s + seconds, returned_s.saturating_add(seconds)),
        Lifetime::Until(unix_s) => {
            // The last second before the wall clock reads that; nothing is left of it if it has.
            let last_s = |wall_s: i64| unix_s - wall_s - 1 + i64::from(FIRST_SECOND);
            let (earliest_s, latest_s) = (last_s(operation.wall_s.1), last_s(operation.wall_s.0));
            let earliest_s = if earliest_s < i64::from(returned_s) { 1 } else { earliest_s };
            (earliest_s as u32, latest_s.max(1) as u32)
        }
    }
}
