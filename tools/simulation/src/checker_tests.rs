//! Histories that can be explained and histories that cannot: a check that finds nothing would be worth nothing.

use crate::checker::{Verdict, check};
use crate::history::{Action, Content, Lifetime, Mode, Moment, Operation, Outcome};
use crate::model::Rules;

fn at(step: u64, second: u32) -> Moment {
    Moment { step, second }
}

/// An operation of a connection from one step to another, in one second.
fn operation(session: usize, steps: (u64, u64), second: u32, action: Action, outcome: Outcome) -> Operation {
    let (invoked, returned) = (at(steps.0, second), at(steps.1, second));
    Operation { key: Some(0), session, action, outcome, invoked, returned, wall_s: (0, 0) }
}

fn value(text: &str) -> Content {
    Content::of(text.as_bytes())
}

fn write(mode: Mode, text: &str, lifetime: Lifetime, compare: Option<u64>) -> Action {
    let number = text.parse().ok();
    Action::Write { mode, content: value(text), number, flags: 7, lifetime, compare }
}

fn set(text: &str) -> Action {
    write(Mode::Set, text, Lifetime::Unlimited, None)
}

fn hit(text: &str, cas: Option<u64>) -> Outcome {
    Outcome::Hit { content: value(text), number: text.parse().ok(), flags: 7, cas }
}

const READ: Action = Action::Read(None);
const DONE: Outcome = Outcome::Done { cas: None };

fn rules(may_vanish: bool) -> Rules {
    Rules { may_vanish, item_size_max: 1 << 20, ..Rules::default() }
}

fn explained(operations: &[Operation], rules: &Rules) -> bool {
    match check(operations, rules) {
        Verdict::Explained => true,
        Verdict::Impossible(_) => false,
        Verdict::Undecided => panic!("undecided"),
    }
}

#[test]
fn what_happens_at_once_may_have_any_order_and_what_does_not_may_not() {
    let race = |read: &str, from: u64| {
        vec![
            operation(0, (1, 10), 2, set("one"), DONE),
            operation(1, (2, 9), 2, set("two"), DONE),
            operation(2, (from, from + 5), 2, READ, hit(read, None)),
            operation(2, (from + 6, from + 7), 2, READ, hit(read, None)),
        ]
    };
    assert!(explained(&race("one", 20), &rules(false)) && explained(&race("two", 20), &rules(false)));
    assert!(!explained(&race("three", 20), &rules(false)), "a value nobody wrote");
    let mut stale = race("one", 20);
    stale.insert(2, operation(3, (12, 13), 2, set("four"), DONE));
    assert!(!explained(&stale, &rules(false)), "a stale value after an acknowledged write");
    let mut swapped = race("one", 20);
    swapped.push(operation(2, (40, 41), 2, READ, hit("two", None)));
    assert!(!explained(&swapped, &rules(false)), "back and forth without a write");
}

#[test]
fn the_dead_stay_dead() {
    let deleted = [
        operation(0, (1, 2), 2, set("one"), DONE),
        operation(0, (3, 4), 2, Action::Delete { compare: None }, DONE),
        operation(1, (5, 6), 2, READ, hit("one", None)),
    ];
    let evicted = [
        operation(0, (1, 2), 2, set("one"), DONE),
        operation(0, (3, 4), 2, READ, Outcome::Miss),
        operation(1, (5, 6), 2, READ, hit("one", None)),
    ];
    for may_vanish in [false, true] {
        assert!(!explained(&deleted, &rules(may_vanish)), "a value after its end was acknowledged");
        assert!(!explained(&evicted, &rules(may_vanish)), "a value that was gone");
    }
    assert!(explained(&evicted[..2], &rules(true)));
    assert!(!explained(&evicted[..2], &rules(false)), "a miss where there is memory");
    let flushed = |delay_s| {
        let mut flush = operation(1, (3, 4), 2, Action::Flush { delay_s }, DONE);
        flush.key = None;
        [operation(0, (1, 2), 2, set("one"), DONE), flush, operation(0, (5, 6), 5, READ, hit("one", None))]
    };
    assert!(!explained(&flushed(0), &rules(false)) && !explained(&flushed(2), &rules(false)));
    assert!(explained(&flushed(4), &rules(false)), "not yet");
}

#[test]
fn times_are_kept() {
    let read_at = |second, outcome| {
        let lives = write(Mode::Set, "one", Lifetime::Seconds(3), None);
        [operation(0, (1, 2), 10, lives, DONE), operation(0, (3, 4), second, READ, outcome)]
    };
    assert!(explained(&read_at(13, hit("one", None)), &rules(false)));
    assert!(!explained(&read_at(14, hit("one", None)), &rules(false)), "alive too long");
    assert!(explained(&read_at(14, Outcome::Miss), &rules(false)));
    assert!(!explained(&read_at(13, Outcome::Miss), &rules(false)), "dead too early");
    let until = |unix_s, outcome| {
        let lives = write(Mode::Set, "one", Lifetime::Until(unix_s), None);
        [operation(0, (1, 2), 10, lives, DONE), operation(0, (3, 4), 10, READ, outcome)]
    };
    assert!(
        explained(&until(20, hit("one", None)), &rules(false)),
        "of a wall clock that started with the other"
    );
    assert!(!explained(&until(5, hit("one", None)), &rules(false)));
}

#[test]
fn numbers_tell_items_apart() {
    let swap = |compare, outcome| {
        [
            operation(0, (1, 2), 2, set("one"), DONE),
            operation(0, (3, 4), 2, READ, hit("one", Some(5))),
            operation(1, (5, 6), 2, write(Mode::Set, "two", Lifetime::Unlimited, Some(compare)), outcome),
        ]
    };
    assert!(explained(&swap(5, DONE), &rules(false)) && explained(&swap(4, Outcome::Exists), &rules(false)));
    assert!(!explained(&swap(5, Outcome::Exists), &rules(false)), "refused though it is the one");
    assert!(!explained(&swap(4, DONE), &rules(false)), "swapped though it is another one");
    let again = [
        operation(0, (1, 2), 2, set("one"), Outcome::Done { cas: Some(5) }),
        operation(0, (3, 4), 2, set("two"), Outcome::Done { cas: Some(4) }),
    ];
    assert!(!explained(&again, &rules(false)), "numbers that go back");
}

#[test]
fn sums_are_exact_and_conditions_hold() {
    let add = |outcome| {
        let sum = Action::Arithmetic { increment: true, delta: 3, create: None, compare: None };
        [operation(0, (1, 2), 2, set("40"), DONE), operation(0, (3, 4), 2, sum, outcome)]
    };
    assert!(explained(&add(Outcome::Number { number: 43, cas: None }), &rules(false)));
    assert!(!explained(&add(Outcome::Number { number: 40, cas: None }), &rules(false)));
    let twice = [
        operation(0, (1, 5), 2, write(Mode::Add, "one", Lifetime::Unlimited, None), DONE),
        operation(1, (1, 5), 2, write(Mode::Add, "two", Lifetime::Unlimited, None), DONE),
    ];
    assert!(!explained(&twice, &rules(false)), "two winners");
    let joined = |read: &str| {
        let append = write(Mode::Append, "tail", Lifetime::Unlimited, None);
        [
            operation(0, (1, 2), 2, set("head"), DONE),
            operation(0, (3, 4), 2, append, DONE),
            operation(0, (5, 6), 2, READ, hit(read, None)),
        ]
    };
    assert!(explained(&joined("headtail"), &rules(false)) && !explained(&joined("tailhead"), &rules(false)));
}

#[test]
fn what_was_not_answered_may_have_been_done_or_not() {
    let lost = |read: &str| {
        let mut lost = operation(1, (3, 0), 2, set("two"), Outcome::Unknown);
        lost.returned = Moment::NEVER;
        [operation(0, (1, 2), 2, set("one"), DONE), lost, operation(0, (5, 6), 2, READ, hit(read, None))]
    };
    assert!(explained(&lost("one"), &rules(false)) && explained(&lost("two"), &rules(false)));
    let silent = |read: &str| {
        let silent = operation(1, (3, 4), 2, set("two"), Outcome::Unknown);
        [operation(0, (1, 2), 2, set("one"), DONE), silent, operation(0, (5, 6), 2, READ, hit(read, None))]
    };
    assert!(!explained(&silent("one"), &rules(false)), "a quiet write that was fenced and is not there");
    assert!(explained(&silent("two"), &rules(false)));
}

#[test]
fn a_connection_is_served_in_its_order() {
    let pipelined = |first: Outcome, second: Outcome| {
        [
            operation(0, (1, 9), 2, set("one"), DONE),
            operation(0, (1, 9), 2, READ, first),
            operation(0, (1, 9), 2, set("two"), DONE),
            operation(0, (1, 9), 2, READ, second),
        ]
    };
    assert!(explained(&pipelined(hit("one", None), hit("two", None)), &rules(false)));
    assert!(!explained(&pipelined(hit("two", None), hit("one", None)), &rules(false)));
}
