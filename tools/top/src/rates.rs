//! What happened between two samples of one run of a server: rates and shares. A counter that has gone backwards (somebody
//! said `stats reset`) has no rate this once, and neither has anything when the server has been started anew.

use crate::sample::{Command, Sample, Shard, SizeClass};

/// See the module comment. Everything is absent for the first sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Requests, each key counting as one.
    pub requests_per_s: Option<f64>,
    /// Of the gets, the part that found what they asked for.
    pub hit_ratio: Option<f64>,
    /// New connections.
    pub connections_per_s: Option<f64>,
    /// Items that left to make room.
    pub evictions_per_s: Option<f64>,
    /// Expired items whose room was taken back.
    pub expired_per_s: Option<f64>,
    /// Bytes received.
    pub read_bytes_per_s: Option<f64>,
    /// Bytes sent.
    pub written_bytes_per_s: Option<f64>,
    /// Cores kept busy.
    pub cores: Option<f64>,
    /// In the order of [`Sample::commands`].
    pub commands: Vec<CommandRate>,
    /// In the order of [`Sample::shards`].
    pub shards: Vec<ShardRate>,
    /// Items that left to make room, a second, in the order of [`Sample::classes`].
    pub class_evictions_per_s: Vec<Option<f64>>,
}

/// Of a class of commands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CommandRate {
    /// How many.
    pub per_s: Option<f64>,
    /// The part that found what they asked for.
    pub hit_ratio: Option<f64>,
}

/// Of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShardRate {
    /// Requests it has done, for whomever.
    pub done_per_s: Option<f64>,
    /// What part that is of all shards'.
    pub share: Option<f64>,
    /// Of the requests of its connections, the part that was for keys of other shards.
    pub forwarded: Option<f64>,
}

impl Rates {
    /// From `old`, the sample before, if there is one, to `new`.
    pub fn between(old: Option<&Sample>, new: &Sample) -> Rates {
        let Some(old) = old.filter(|old| is_same_run(old, new)) else { return Rates::first(new) };
        let seconds = new.at.saturating_duration_since(old.at).as_secs_f64();
        let per_s = |old, new| per_s(grown(old, new), seconds);
        let (a, b) = (&old.server, &new.server);
        let commands: Vec<CommandRate> =
            old.commands.iter().zip(&new.commands).map(|(old, new)| command(old, new, seconds)).collect();
        let cpu_s = a.cpu_s.zip(b.cpu_s).map(|(old, new)| new - old).filter(|cpu_s| *cpu_s >= 0.0);
        Rates {
            requests_per_s: requests_per_s(&commands, &new.commands),
            hit_ratio: commands.first().and_then(|get| get.hit_ratio),
            connections_per_s: per_s(a.connections_total, b.connections_total),
            evictions_per_s: per_s(a.evictions, b.evictions),
            expired_per_s: per_s(a.expired, b.expired),
            read_bytes_per_s: per_s(a.read_bytes, b.read_bytes),
            written_bytes_per_s: per_s(a.written_bytes, b.written_bytes),
            cores: cpu_s.filter(|_| seconds > 0.0).map(|cpu_s| cpu_s / seconds),
            commands,
            shards: shards(
                old.shards.as_deref().unwrap_or_default(),
                new.shards.as_deref().unwrap_or_default(),
                seconds,
            ),
            class_evictions_per_s: classes(
                old.classes.as_deref().unwrap_or_default(),
                new.classes.as_deref().unwrap_or_default(),
            )
            .map(|(old, new)| per_s(old.and_then(|old| old.evictions), new.evictions))
            .collect(),
        }
    }

    /// Of a sample without another before it.
    fn first(new: &Sample) -> Rates {
        Rates {
            commands: vec![CommandRate::default(); new.commands.len()],
            shards: vec![ShardRate::default(); new.shards.as_ref().map_or(0, Vec::len)],
            class_evictions_per_s: vec![None; new.classes.as_ref().map_or(0, Vec::len)],
            ..Rates::default()
        }
    }
}

fn is_same_run(old: &Sample, new: &Sample) -> bool {
    old.server.pid == new.server.pid && old.server.uptime_s <= new.server.uptime_s
}

/// How much a counter has grown, if it has not gone backwards.
fn grown(old: Option<u64>, new: Option<u64>) -> Option<u64> {
    new?.checked_sub(old?)
}

fn per_s(count: Option<u64>, seconds: f64) -> Option<f64> {
    count.filter(|_| seconds > 0.0).map(|count| count as f64 / seconds)
}

/// `part` of `whole`; absent where there was nothing.
pub fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    match (part?, whole?) {
        (_, 0) => None,
        (part, whole) => Some((part as f64 / whole as f64).min(1.0)),
    }
}

fn command(old: &Command, new: &Command, seconds: f64) -> CommandRate {
    let total = grown(old.total, new.total);
    CommandRate { per_s: per_s(total, seconds), hit_ratio: ratio(grown(old.hits, new.hits), total) }
}

/// Over the classes that the server tells of; absent when one of them has no rate, as the rest would be too little.
fn requests_per_s(rates: &[CommandRate], commands: &[Command]) -> Option<f64> {
    let told = |(_, command): &(&CommandRate, &Command)| !command.is_counted_twice && command.total.is_some();
    let mut told = rates.iter().zip(commands).filter(told).map(|(rate, _)| rate.per_s).peekable();
    told.peek()?;
    told.sum()
}

/// Shards by their number: neither list need be complete.
fn shards(old: &[Shard], new: &[Shard], seconds: f64) -> Vec<ShardRate> {
    let grown_of = |new: &Shard, what: fn(&Shard) -> Option<u64>| {
        let old =
            old.binary_search_by_key(&new.number, |shard| shard.number).ok().and_then(|i| old.get(i))?;
        grown(what(old), what(new))
    };
    let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
    let done: Vec<Option<u64>> = new
        .iter()
        .map(|shard| sum(grown_of(shard, |shard| shard.local), grown_of(shard, |shard| shard.for_peers)))
        .collect();
    let all = done.iter().flatten().fold(0, |sum: u64, done| sum.saturating_add(*done));
    let rate = |(shard, done): (&Shard, Option<u64>)| {
        let forwarded = grown_of(shard, |shard| shard.forwarded);
        ShardRate {
            done_per_s: per_s(done, seconds),
            share: ratio(done, Some(all)),
            forwarded: ratio(forwarded, sum(forwarded, grown_of(shard, |shard| shard.local))),
        }
    };
    new.iter().zip(done).map(rate).collect()
}

/// Each class with what it was before.
fn classes<'a>(
    old: &'a [SizeClass],
    new: &'a [SizeClass],
) -> impl Iterator<Item = (Option<&'a SizeClass>, &'a SizeClass)> {
    new.iter().map(|class| {
        let before = old.binary_search_by_key(&class.number, |class| class.number);
        (before.ok().and_then(|i| old.get(i)), class)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ASKS;
    use crate::sample::tests::{RINGCACHED, memcached, sample};
    use std::time::{Duration, Instant};

    /// Two seconds later.
    fn later(texts: &[&str; ASKS.len()], changes: &[(&str, &str)]) -> [String; ASKS.len()] {
        texts.map(|text| changes.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to)))
    }

    fn rates(before: &[&str; ASKS.len()], changes: &[(&str, &str)]) -> Rates {
        let (start, texts) = (Instant::now(), later(before, changes));
        let old = sample(start, before);
        let new = sample(start + Duration::from_secs(2), &texts.each_ref().map(String::as_str));
        Rates::between(Some(&old), &new)
    }

    const BUSY: &[(&str, &str)] = &[
        ("uptime 60", "uptime 62"),
        ("rusage_user 1.5", "rusage_user 2.5"),
        ("cmd_get 1000", "cmd_get 1200"),
        ("get_hits 900", "get_hits 950"),
        ("cmd_set 500", "cmd_set 600"),
        ("cas_hits 0", "cas_hits 20"),
        ("STAT evictions 5", "STAT evictions 15"),
        ("evicted 5", "evicted 15"),
        ("0:cmd_local 500", "0:cmd_local 560"),
        ("0:cmd_forwarded 250", "0:cmd_forwarded 270"),
        ("0:cmd_for_peers 250", "0:cmd_for_peers 430"),
        ("1:cmd_local 500", "1:cmd_local 540"),
        ("1:cmd_for_peers 250", "1:cmd_for_peers 270"),
    ];

    #[test]
    fn counters_become_rates() {
        let rates = rates(&RINGCACHED, BUSY);
        assert_eq!(rates.requests_per_s, Some(150.0), "a cas is a set too");
        assert_eq!((rates.hit_ratio, rates.cores, rates.evictions_per_s), (Some(0.25), Some(0.5), Some(5.0)));
        assert_eq!(rates.commands[0], CommandRate { per_s: Some(100.0), hit_ratio: Some(0.25) });
        assert_eq!(rates.commands[1], CommandRate { per_s: Some(50.0), hit_ratio: None });
        assert_eq!(rates.commands[2], CommandRate { per_s: Some(0.0), hit_ratio: None }, "none were asked");
        assert_eq!(
            rates.shards[0],
            ShardRate { done_per_s: Some(120.0), share: Some(0.8), forwarded: Some(0.25) }
        );
        assert_eq!(
            rates.shards[1],
            ShardRate { done_per_s: Some(30.0), share: Some(0.2), forwarded: Some(0.0) }
        );
        assert_eq!(rates.class_evictions_per_s, [Some(5.0)]);
    }

    #[test]
    fn a_first_sample_has_no_rates() {
        let new = sample(Instant::now(), &RINGCACHED);
        let rates = Rates::between(None, &new);
        assert_eq!((rates.requests_per_s, rates.hit_ratio), (None, None));
        assert_eq!((rates.commands.len(), rates.shards.len()), (8, 2));
        assert_eq!(rates.class_evictions_per_s, [None]);
    }

    #[test]
    fn a_new_run_has_no_rates_at_first() {
        assert_eq!(
            rates(&RINGCACHED, &[("uptime 60", "uptime 1"), ("cmd_get 1000", "cmd_get 1200")]).requests_per_s,
            None
        );
        assert_eq!(
            rates(&RINGCACHED, &[("pid 7", "pid 8"), ("cmd_get 1000", "cmd_get 1200")]).requests_per_s,
            None
        );
    }

    #[test]
    fn a_counter_that_goes_backwards_has_no_rate() {
        let rates = rates(&RINGCACHED, &[("cmd_get 1000", "cmd_get 7"), ("cmd_set 500", "cmd_set 502")]);
        assert_eq!(rates.commands[0], CommandRate::default());
        assert_eq!(rates.commands[1].per_s, Some(1.0));
        assert_eq!(rates.requests_per_s, None, "1 a second is not all of them");
    }

    #[test]
    fn no_time_and_enormous_numbers_do_no_harm() {
        let now = Instant::now();
        let same = sample(now, &RINGCACHED);
        assert_eq!(Rates::between(Some(&same), &same).requests_per_s, None);
        let most = u64::MAX.to_string();
        let changes: Vec<(&str, String)> =
            ["cmd_local 500", "cmd_forwarded 250", "cmd_for_peers 250", "get_hits 900"]
                .iter()
                .map(|from| (*from, format!("{} {most}", from.split(' ').next().unwrap_or_default())))
                .collect();
        let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
        let rates = rates(&RINGCACHED, &changes);
        assert_eq!(rates.shards[0], ShardRate::default());
        assert_eq!(rates.hit_ratio, None, "hits without gets");
    }

    #[test]
    fn memcached_has_no_shards() {
        let rates = rates(&memcached(), BUSY);
        assert_eq!((rates.requests_per_s, rates.shards.len()), (Some(150.0), 0));
    }
}
