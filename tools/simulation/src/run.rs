//! One seed from its beginning to its verdict: a world, its clients, and the check of what they saw.

use crate::checker::{Verdict, check};
use crate::client::{Client, Complaint, Shared};
use crate::faults::Faults;
use crate::history::{Action, Content, Operation, Outcome};
use crate::load::{Load, UNIQUE_MIN};
use crate::model::Rules;
use crate::world::{Setup, World};
use fastrand::Rng;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Steps that are enough for what is under way when nothing goes wrong any more.
const LAST_STEPS_MAX: u64 = 3_000_000;

/// Steps that are enough for an operation while everything goes wrong, on average over the run.
const STEPS_PER_OPERATION_MAX: u64 = 20_000;

/// Operations of a key shown before the one that cannot be explained.
const SHOWN_BEFORE: usize = 12;

/// What became of a seed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Operations on keys, each key of a request counted.
    pub operations: usize,
    /// Those that were answered.
    pub answered: usize,
    /// Steps of the world.
    pub steps: u64,
    /// A number for everything the clients saw and when.
    pub trace: u64,
    /// Items evicted.
    pub evictions: u64,
    /// Keys checked.
    pub keys: usize,
    /// Those whose check was too long.
    pub undecided: Vec<usize>,
    /// What is wrong.
    pub failure: Option<String>,
}

/// What a seed makes of the options.
fn draw(random: &mut Rng) -> (Setup, bool) {
    let shards = random.usize(1..=4);
    let mut setup = Setup { faults: Faults::draw(random), ..Setup::usual(shards) };
    let is_short = random.u32(0..3) == 0;
    if is_short {
        setup.store_bytes = 128 << 10 << random.u32(0..3);
        setup.evicts = random.u32(0..3) > 0;
        setup.item_size_max = setup.store_bytes / [2, 4, 8][random.usize(0..3)];
    } else {
        // Larger stores have larger chunks: of the same values fewer are chains.
        setup.store_bytes = 16 << 20 << (2 * random.u32(0..3));
        setup.item_size_max = [8_000, 64 << 10, 1 << 20][random.usize(0..3)];
    }
    if random.bool() {
        setup.blocks = random.usize(2..8);
    }
    if random.u32(0..4) == 0 {
        setup.waiting_bytes = random.usize(4..64) << 10;
    }
    if random.bool() {
        setup.queue_bytes = 0; // the least that works
    }
    setup.socket_bytes = 512 << random.u32(0..10);
    setup.requests_per_turn = random.u32(1..=20);
    (setup, is_short)
}

/// Runs a seed with about this many operations.
pub fn run(seed: u64, operations: usize) -> Report {
    let mut random = Rng::with_seed(seed);
    let (setup, is_short) = draw(&mut random);
    let mut world = World::new(random.u64(..), &setup);
    let keys = match random.u32(0..3) {
        _ if is_short => random.usize(20..=150),
        0 => random.usize(2..=6), // everybody wants the same
        _ => random.usize(4..=40),
    };
    let mut shared = Shared {
        history: Vec::with_capacity(operations + 100),
        load: Load::draw(&mut random, keys, setup.item_size_max),
        operations_max: operations,
        sessions: 0,
        trace: seed,
        may_refuse: is_short,
        value_len_safe: setup.item_size_max.saturating_sub(400),
        may_give_up: setup.waiting_bytes < Setup::usual(setup.shards).waiting_bytes,
    };
    let mut clients: Vec<Client> =
        (0..random.usize(1..=8)).map(|_| Client::new(random.fork(), keys)).collect();
    let mut drive = |world: &mut World, shared: &mut Shared| -> Result<(), Complaint> {
        let most = STEPS_PER_OPERATION_MAX * operations as u64;
        while shared.history.len() < operations {
            if world.steps() > most {
                return Err(format!("only {} operations in {most} steps", shared.history.len()));
            }
            world.step();
            let at = random.usize(0..clients.len());
            clients[at].act(world, shared, &setup.faults)?;
        }
        end(world, shared, &mut clients)
    };
    let result = drive(&mut world, &mut shared);
    let rules =
        Rules { may_vanish: is_short, item_size_max: setup.item_size_max as u32, numbers: HashMap::new() };
    let mut report = Report {
        seed,
        operations: shared.history.len(),
        answered: shared.history.iter().filter(|operation| operation.outcome != Outcome::Unknown).count(),
        steps: world.steps(),
        trace: shared.trace,
        evictions: world.evictions(),
        keys,
        ..Report::default()
    };
    report.failure = result.and_then(|()| judge(&shared, rules, keys, &mut report)).err();
    if report.failure.is_none() && !is_short && report.evictions > 0 {
        report.failure = Some(format!("{} items evicted though there was memory", report.evictions));
    }
    report
}

/// Nothing goes wrong any more: every answer comes, everybody leaves, nothing is left over.
fn end(world: &mut World, shared: &mut Shared, clients: &mut [Client]) -> Result<(), Complaint> {
    world.heal();
    let last = world.steps() + LAST_STEPS_MAX;
    let whole = Faults::default();
    while clients.iter().any(|client| !client.is_done() || !client.is_gone()) {
        if world.steps() > last {
            let stuck = clients.iter().filter(|client| !client.is_done()).count();
            return Err(format!("{stuck} of {} clients wait for answers that do not come", clients.len()));
        }
        world.step();
        for client in &mut *clients {
            client.finish(world);
            if !client.is_gone() {
                client.act(world, shared, &whole)?;
            }
        }
    }
    if !world.settle() {
        return Err("the server does not come to rest".into());
    }
    let leftovers = world.leftovers();
    if leftovers.is_empty() { Ok(()) } else { Err(format!("left over: {}", leftovers.join(", "))) }
}

/// Checks every key.
fn judge(shared: &Shared, mut rules: Rules, keys: usize, report: &mut Report) -> Result<(), Complaint> {
    for key in 0..keys {
        // Whether a read without an answer was done does not matter.
        let matters = |operation: &Operation| {
            operation.action != Action::Read(None) || operation.outcome != Outcome::Unknown
        };
        let of_key = |operation: &&Operation| operation.key.is_none_or(|of| of == key) && matters(operation);
        let operations: Vec<Operation> = shared.history.iter().filter(of_key).cloned().collect();
        rules.numbers = numbers(&operations).map_err(|complaint| format!("key {key}: {complaint}"))?;
        match check(&operations, &rules) {
            Verdict::Explained => {}
            Verdict::Undecided => report.undecided.push(key),
            Verdict::Impossible(stuck) => return Err(story(key, &operations, &stuck)),
        }
    }
    Ok(())
}

/// The CAS numbers of values that are like no others, of one key.
fn numbers(operations: &[Operation]) -> Result<HashMap<Content, u64>, Complaint> {
    let mut numbers = HashMap::new();
    let mut contents = HashMap::new();
    for operation in operations {
        let (content, cas) = match (operation.outcome, operation.action) {
            (Outcome::Hit { content, cas: Some(cas), number: None, .. }, _) => (content, cas),
            (Outcome::Done { cas: Some(cas) }, Action::Write { mode, content, number: None, .. })
                if !matches!(mode, crate::history::Mode::Append | crate::history::Mode::Prepend) =>
            {
                (content, cas)
            }
            _ => continue,
        };
        if contents.insert(cas, content).is_some_and(|other| other != content) {
            return Err(format!("two values have the CAS number {cas}"));
        }
        if content.len as usize >= UNIQUE_MIN
            && numbers.insert(content, cas).is_some_and(|other| other != cas)
        {
            return Err(format!("one value has two CAS numbers, {cas} and another"));
        }
    }
    Ok(numbers)
}

/// What happened to a key up to where it cannot be explained.
fn story(key: usize, operations: &[Operation], stuck: &[usize]) -> String {
    let first = stuck.first().copied().unwrap_or(0);
    let last = stuck.last().copied().unwrap_or(0);
    let mut text = format!(
        "key {key}: no order of its operations explains the answers. Next would be one of those marked:"
    );
    for (index, operation) in
        operations.iter().enumerate().take(last + 3).skip(first.saturating_sub(SHOWN_BEFORE))
    {
        let mark = if stuck.contains(&index) { '>' } else { ' ' };
        let Operation { session, action, outcome, invoked, returned, .. } = operation;
        let returned = if *returned == crate::history::Moment::NEVER {
            "never".into()
        } else {
            format!("{} s{}", returned.step, returned.second)
        };
        let _ = write!(
            text,
            "\n{mark} {} s{} to {returned}, connection {session}: {action:?} -> {outcome:?}",
            invoked.step, invoked.second
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_each_time_and_no_other() {
        for seed in 1..6 {
            let [first, second] = [(); 2].map(|()| run(seed, 1_500));
            assert_eq!(first.failure, None);
            assert_eq!(
                (first.trace, first.steps, first.answered),
                (second.trace, second.steps, second.answered)
            );
            assert_ne!(first.trace, run(seed + 100, 1_500).trace);
        }
    }
}
