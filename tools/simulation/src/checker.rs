//! Whether what clients saw of a key can be explained at all: is there an order of its operations, true to the order in which
//! they began and ended and to that of each connection, in which the [model](crate::model) gives every answer?
//!
//! A depth-first search for that order, after Wing and Gong, with Lowe's memory of what has been tried. Three things keep it
//! short, two of them promises of the server that are checked with it:
//! * Each connection's operations on a key are done in the order sent. So a node is a place in each connection and a state.
//! * CAS numbers of a key are in the order of its stores. So of the operations that are known to have made or met one, only
//!   those with the smallest number left may be next ([`rank`]).
//! * An operation that changes nothing in a state it fits is taken at once: whatever order there is, it can be moved to the
//!   front of it.

use crate::history::{Action, Mode, Moment, Operation, Outcome};
use crate::model::{Rules, State};
use fastrand::Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Attempts of one patience. The very first tries operations in the order in which they ended, the others by chance: a wrong
/// choice at the beginning of one costs no more than that attempt.
const ATTEMPTS: u64 = 12;

/// Nodes after which an attempt is given up. Few keys need more than the first patience; after the last one they are undecided.
const PATIENCES_NODES: [usize; 2] = [3_000, 30_000];

/// What the check of a key has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Explained,
    /// There is none. The longest beginning of one stops before these operations, by index.
    Impossible(Vec<usize>),
    /// The search was too long.
    Undecided,
}

/// Checks one key, whose operations are in the order in which they were sent.
pub fn check(operations: &[Operation], rules: &Rules) -> Verdict {
    let search = Search::new(operations, rules);
    PATIENCES_NODES
        .iter()
        .flat_map(|nodes_max| (0..ATTEMPTS).map(move |_| *nodes_max))
        .zip(0..)
        .find_map(|(nodes_max, attempt)| try_once(&search, attempt, nodes_max))
        .unwrap_or(Verdict::Undecided)
}

/// Nothing if the attempt was too long.
fn try_once(search: &Search<'_>, attempt: u64, nodes_max: usize) -> Option<Verdict> {
    let mut random = Rng::with_seed(attempt);
    let mut open = vec![(vec![0u16; search.sessions.len()], State::default())];
    let mut tried = HashSet::new();
    let (mut longest, mut stuck) = (0, Vec::new());
    while let Some((mut places, state)) = open.pop() {
        let state = search.skip_ahead(&mut places, state);
        if search.is_done(&places) {
            return Some(Verdict::Explained);
        }
        let mut candidates = search.candidates(&places);
        if attempt > 0 {
            random.shuffle(&mut candidates);
        }
        let done: usize = places.iter().map(|place| usize::from(*place)).sum();
        if done >= longest {
            longest = done;
            stuck = candidates.iter().filter_map(|at| search.next(&places, *at)).collect();
        }
        if !tried.insert(fingerprint(&places, &state)) {
            continue;
        }
        if tried.len() > nodes_max {
            return None;
        }
        for at in candidates {
            let Some(index) = search.next(&places, at) else { continue };
            for after in search.rules.after(&state, &search.operations[index]) {
                let mut places = places.clone();
                places[at] += 1;
                open.push((places, after));
            }
        }
    }
    stuck.sort_unstable();
    Some(Verdict::Impossible(stuck))
}

/// A number for a node. That two of the 30,000 nodes of a key have the same is not to be expected.
fn fingerprint(places: &[u16], state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    let mix = |hash: u64, place: &u16| {
        (hash ^ u64::from(*place)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    };
    places.iter().fold(hasher.finish(), mix)
}

struct Search<'a> {
    operations: &'a [Operation],
    rules: &'a Rules,
    /// The operations of each connection.
    sessions: Vec<Vec<usize>>,
    ranks: Vec<Option<u64>>,
    /// The smallest rank of those from each place of a connection on.
    least_ranks: Vec<Vec<u64>>,
    /// When the first operation of a connection, or of one behind it, began.
    begins: Vec<u64>,
    /// Places of each connection up to which all must have been done.
    needed: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation], rules: &'a Rules) -> Search<'a> {
        let mut numbers: Vec<usize> = operations.iter().map(|operation| operation.session).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut sessions = vec![Vec::new(); numbers.len()];
        for (index, operation) in operations.iter().enumerate() {
            sessions[numbers.partition_point(|number| *number < operation.session)].push(index);
        }
        let ranks: Vec<_> = operations.iter().map(|operation| rank(operation, rules)).collect();
        let least_ranks = sessions.iter().map(|session| {
            let mut least: Vec<u64> = session.iter().map(|index| ranks[*index].unwrap_or(u64::MAX)).collect();
            least.push(u64::MAX);
            for at in (0..session.len()).rev() {
                least[at] = least[at].min(least[at + 1]);
            }
            least
        });
        let least_ranks = least_ranks.collect();
        let was_done =
            |index: &usize| operations[*index].returned != Moment::NEVER || ranks[*index].is_some();
        let needed = sessions
            .iter()
            .map(|session| session.iter().rposition(was_done).map_or(0, |at| at + 1))
            .collect();
        let mut begins: Vec<u64> =
            sessions.iter().map(|session| operations[session[0]].invoked.step).collect();
        for at in (1..begins.len()).rev() {
            begins[at - 1] = begins[at - 1].min(begins[at]);
        }
        Search { operations, rules, sessions, ranks, least_ranks, begins, needed }
    }

    fn next(&self, places: &[u16], at: usize) -> Option<usize> {
        self.sessions[at].get(usize::from(places[at])).copied()
    }

    fn is_done(&self, places: &[u16]) -> bool {
        places.iter().zip(&self.needed).all(|(place, needed)| usize::from(*place) >= *needed)
    }

    /// The connections whose next operation may be the next of all: it began before any other that is left had ended, and no
    /// smaller rank is left. Those that ended first come last.
    fn candidates(&self, places: &[u16]) -> Vec<usize> {
        let (mut first_end, mut least_rank) = (u64::MAX, u64::MAX);
        let mut found = Vec::new();
        for at in 0..self.sessions.len() {
            if self.begins[at] > first_end {
                break; // and so do all that follow
            }
            let Some(index) = self.next(places, at) else { continue };
            first_end = first_end.min(self.operations[index].returned.step);
            least_rank = least_rank.min(self.least_ranks[at][usize::from(places[at])]);
            found.push((std::cmp::Reverse(self.operations[index].returned.step), at));
        }
        found.retain(|(_, at)| {
            self.next(places, *at).is_some_and(|index| {
                self.operations[index].invoked.step <= first_end
                    && self.ranks[index].is_none_or(|rank| rank == least_rank)
            })
        });
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }

    /// Takes every operation that changes nothing.
    fn skip_ahead(&self, places: &mut [u16], mut state: State) -> State {
        'again: loop {
            for at in self.candidates(places) {
                let Some(index) = self.next(places, at) else { continue };
                if let Some(same) = self.rules.keeps(&state, &self.operations[index]) {
                    state = same;
                    places[at] += 1;
                    continue 'again;
                }
            }
            return state;
        }
    }
}

/// Where an operation stands among those whose CAS number is known: a store, then whoever met what it stored.
fn rank(operation: &Operation, rules: &Rules) -> Option<u64> {
    let known = |content| rules.numbers.get(&content).copied();
    let (cas, met) = match (operation.action, operation.outcome) {
        (_, Outcome::Hit { cas: Some(cas), .. }) => (cas, 1),
        (_, Outcome::Hit { content, number: None, .. }) => (known(content)?, 1),
        (Action::Touch(_), Outcome::Done { cas: Some(cas) }) => (cas, 1),
        (_, Outcome::Done { cas: Some(cas) } | Outcome::Number { cas: Some(cas), .. }) => (cas, 0),
        (Action::Write { mode: Mode::Append | Mode::Prepend, .. }, _) => return None,
        (Action::Write { content, number: None, .. }, Outcome::Done { .. } | Outcome::Unknown) => {
            (known(content)?, 0)
        }
        _ => return None,
    };
    Some(2 * cas + met)
}
