//! mg ms md ma mn me: every flag, which answers q keeps back, and who may refresh an item.

mod malformed;
mod reading;
mod refreshing;
mod volume;
mod writing;

use crate::harness::{Conversation, Server};

/// How many seconds a slow machine may take between two requests whose answers tell of time.
const SLACK_S: u64 = 60;

/// Holds the conversation as [`converse`] does, but in an answer of one line `t~1000` stands for that many seconds left or
/// a few less, and `l~0` for so many seconds ago or a few more.
fn converse_about(shards: u32, conversation: Conversation<'_>) {
    let server = Server::start(shards, &[]);
    let connections: Vec<_> = (0..=shards).map(|_| server.connect()).collect();
    for mut conn in connections {
        for (request, answer) in conversation {
            if answer.contains('~') {
                let got = conn.ask_line(request);
                assert!(is_about(&got, answer), "{request:?}\n want: {answer:?}\n  got: {got:?}");
            } else {
                conn.ask(request, answer);
            }
        }
        conn.ask("flush_all\r\n", "OK\r\n");
        conn.finish();
    }
}

fn is_about(got: &str, expected: &str) -> bool {
    let (got, expected) = (got.split(' ').collect::<Vec<_>>(), expected.split(' ').collect::<Vec<_>>());
    let same = |(got, expected): (&&str, &&str)| match expected.split_once('~') {
        None => got == expected,
        Some((name, bound)) => {
            let value = got.strip_prefix(name).and_then(|value| value.parse::<u64>().ok());
            let bound: u64 = bound.parse().expect("a bound");
            let allowed =
                if name == "t" { bound.saturating_sub(SLACK_S)..=bound } else { bound..=bound + SLACK_S };
            value.is_some_and(|value| allowed.contains(&value))
        }
    };
    got.len() == expected.len() && got.iter().zip(&expected).all(same)
}

#[test]
fn about_is_neither_anything_nor_exact() {
    assert!(is_about("HD t990 l1", "HD t~1000 l~0"));
    for got in
        ["HD t1001 l0", "HD t930 l0", "HD t990", "HD t-1 l0", "HD t990 l61", "EN t990 l0", "HD l0 t990"]
    {
        assert!(!is_about(got, "HD t~1000 l~0"), "{got:?}");
    }
}
