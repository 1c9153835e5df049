//! The tables of the view, made from a sample and its rates.

use std::cmp::{Ordering, Reverse};

use crate::rates::{CommandRate, Rates, ShardRate, ratio};
use crate::sample::{Absent, Command, HotKey, Latency, Part, Sample, Shard, SizeClass, SlowRequest};
use crate::table::{Column, Table, number, text};
use crate::units::{self, bar, bytes, count, micros, or_absent, percent, rate};

/// Places of a bar.
const BAR_WIDTH: u16 = 12;

/// Commands by class: how many, and what part found something.
pub fn commands(sample: &Sample, rates: &Rates) -> Table {
    const COLUMNS: &[Column] =
        &[text("class", 7), number("a second", 11), number("hits", 8), number("in all", 9)];
    let row = |(command, per): (&Command, &CommandRate)| {
        let name =
            if command.is_counted_twice { format!("({})", command.name) } else { command.name.to_string() };
        vec![
            name,
            or_absent(per.per_s, rate),
            or_absent(per.hit_ratio, percent),
            or_absent(command.hits.and_then(|hits| ratio(Some(hits), command.total)), percent),
        ]
    };
    Table {
        title: "commands; hits now and in all".to_string(),
        columns: COLUMNS,
        rows: sample.commands.iter().zip(&rates.commands).map(row).collect(),
        note: String::new(),
    }
}

/// Service times by class, since the start.
pub fn latency(sample: &Sample) -> Table {
    const COLUMNS: &[Column] = &[
        text("class", 6),
        number("p50", 7),
        number("p99", 7),
        number("p99.9", 7),
        number("max", 7),
        number("requests", 15),
    ];
    let row = |latency: &Latency| {
        let mut row = vec![latency.name.clone()];
        let times = [latency.p50_us, latency.p99_us, latency.p999_us, latency.max_us];
        row.extend(times.map(|us| or_absent(us, micros)));
        row.push(or_absent(latency.count, count));
        row
    };
    table("latency since the start or a reset", COLUMNS, &sample.latency, row)
}

/// What each shard does. Ordered by number, requests or connections.
pub fn shards(sample: &Sample, rates: &Rates, order: usize) -> Table {
    const COLUMNS: &[Column] = &[
        number("shard", 5),
        text("requests", BAR_WIDTH),
        number("", 7),
        number("conns", 5),
        number("hops", 7),
        number("a second", 11),
        number("items", 13),
        number("bytes", 10),
        number("core", 4),
    ];
    let mut all: Vec<_> = sample.shards.iter().flatten().zip(&rates.shards).collect();
    let name = match order {
        0 => "number",
        1 => {
            all.sort_by(|(_, a), (_, b)| descending(a.done_per_s, b.done_per_s));
            "requests"
        }
        _ => {
            all.sort_by_key(|(shard, _)| Reverse(shard.connections));
            "connections"
        }
    };
    let row = |(shard, per): &(&Shard, &ShardRate)| {
        vec![
            shard.number.to_string(),
            bar(per.share.unwrap_or(0.0), usize::from(BAR_WIDTH)),
            or_absent(per.share, percent),
            or_absent(shard.connections, |connections| connections.to_string()),
            or_absent(per.forwarded, percent),
            or_absent(per.done_per_s, rate),
            or_absent(shard.items, count),
            or_absent(shard.bytes, |number| bytes(number as f64)),
            or_absent(shard.core, |core| core.to_string()),
        ]
    };
    let rows = all.iter().map(row).collect();
    Table { title: format!("shards, by {name}"), columns: COLUMNS, rows, note: note(&sample.shards) }
}

/// Memory by size class. Ordered by size, bytes or evictions.
pub fn memory(sample: &Sample, rates: &Rates, order: usize) -> Table {
    const COLUMNS: &[Column] = &[
        number("chunk", 9),
        text("of memory", BAR_WIDTH),
        number("bytes", 10),
        number("evicted/s", 9),
        number("items", 13),
        number("filled", 8),
        number("age", 8),
        number("class", 5),
    ];
    let mut all: Vec<_> = sample.classes.iter().flatten().zip(&rates.class_evictions_per_s).collect();
    let name = match order {
        0 => "size",
        1 => {
            all.sort_by_key(|(class, _)| Reverse(class.used_bytes()));
            "bytes"
        }
        _ => {
            all.sort_by(|(_, a), (_, b)| descending(**a, **b));
            "evictions"
        }
    };
    let whole = all.iter().filter_map(|(class, _)| class.used_bytes()).fold(0, u64::saturating_add);
    let row = |(class, evictions): &(&SizeClass, &Option<f64>)| {
        let used = class.used_bytes();
        vec![
            or_absent(class.chunk_bytes, count),
            bar(ratio(used, Some(whole)).unwrap_or(0.0), usize::from(BAR_WIDTH)),
            or_absent(used, |number| bytes(number as f64)),
            or_absent(**evictions, rate),
            or_absent(class.items, count),
            or_absent(ratio(class.items_bytes, used), percent),
            or_absent(class.age_s, units::duration),
            class.number.to_string(),
        ]
    };
    let rows = all.iter().map(row).collect();
    Table {
        title: format!("memory of size classes, by {name}"),
        columns: COLUMNS,
        rows,
        note: note(&sample.classes),
    }
}

/// The keys that are asked for most.
pub fn hot_keys(sample: &Sample) -> Table {
    const COLUMNS: &[Column] = &[number("a second", 10), number("+-", 7), number("shard", 5), text("key", 8)];
    let row = |hot: &HotKey| {
        vec![
            or_absent(hot.per_s, rate),
            or_absent(hot.error_per_s, rate),
            or_absent(hot.shard, |shard| shard.to_string()),
            hot.key.clone(),
        ]
    };
    table("hot keys", COLUMNS, &sample.hot_keys, row)
}

/// The requests that took long, the latest first.
pub fn slow(sample: &Sample) -> Table {
    const COLUMNS: &[Column] = &[
        text("UTC", 8),
        number("took", 8),
        text("class", 6),
        number("shard", 5),
        text("client", 21),
        text("key", 8),
    ];
    let row = |slow: &SlowRequest| {
        vec![
            or_absent(slow.time_s, time_of_day),
            or_absent(slow.us, micros),
            slow.class.clone(),
            or_absent(slow.shard, |shard| shard.to_string()),
            slow.client.clone(),
            slow.key.clone(),
        ]
    };
    let mut table = table("slow requests", COLUMNS, &sample.slow, row);
    match sample.slow_log_us {
        Some(0) => table.note = "none is remembered: the server runs without --slow-log".to_string(),
        Some(us) => table.title = format!("requests that took {} or longer", micros(us as f64)),
        None => {}
    }
    table
}

fn table<T>(
    title: &str,
    columns: &'static [Column],
    part: &Part<T>,
    row: impl Fn(&T) -> Vec<String>,
) -> Table {
    let rows = part.iter().flatten().map(row).collect();
    Table { title: title.to_string(), columns, rows, note: note(part) }
}

/// What is said where there is nothing to show.
fn note<T>(part: &Part<T>) -> String {
    match part {
        Ok(_) => "none yet".to_string(),
        Err(Absent { ask, answer }) => format!("absent: the server answers {answer} to `{ask}`"),
    }
}

/// The largest first, what is absent last.
fn descending(a: Option<f64>, b: Option<f64>) -> Ordering {
    let of = |number: Option<f64>| number.unwrap_or(-1.0);
    of(b).total_cmp(&of(a))
}

/// `hh:mm:ss` of seconds since 1970.
fn time_of_day(time_s: f64) -> String {
    let seconds = time_s as u64 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

impl SizeClass {
    /// Bytes of the chunks in use.
    fn used_bytes(&self) -> Option<u64> {
        self.used_chunks?.checked_mul(self.chunk_bytes?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ASKS;
    use crate::sample::tests::{RINGCACHED, memcached, sample};
    use std::time::{Duration, Instant};

    fn looked_at(texts: &[&str; ASKS.len()]) -> (Sample, Rates) {
        let old = sample(Instant::now(), &RINGCACHED);
        let new = sample(old.at + Duration::from_secs(1), texts);
        let rates = Rates::between(Some(&old), &new);
        (new, rates)
    }

    #[test]
    fn rows_tell_what_was_sampled() {
        let (sample, rates) = looked_at(&RINGCACHED);
        assert_eq!(commands(&sample, &rates).rows[0], ["get", "0.0", "-", "90.0 %"]);
        assert_eq!(commands(&sample, &rates).rows[7], ["(meta)", "0.0", "-", "-"]);
        assert_eq!(latency(&sample).rows, [["get", "12.8us", "5.3ms", "6.8ms", "1.2s", "1,000"]]);
        let bar = " ".repeat(usize::from(BAR_WIDTH));
        let shard = ["0", &bar, "-", "1", "-", "0.0", "100", "1000 B", "0"];
        assert_eq!(shards(&sample, &rates, 0).rows[0], shard);
        let full = "|".repeat(usize::from(BAR_WIDTH));
        let class = ["72", &full, "28.1 KiB", "0.0", "400", "93.8 %", "42s", "5"];
        assert_eq!(memory(&sample, &rates, 0).rows, [class]);
        assert_eq!(hot_keys(&sample).rows, [["10.5", "0.5", "1", "user:42"]]);
        assert_eq!(slow(&sample).rows, [["15:56:36", "133us", "get", "0", "127.0.0.1:36588", "user:7"]]);
        assert_eq!(slow(&sample).title, "requests that took 100us or longer");
    }

    #[test]
    fn orders_put_the_most_first() {
        let mut texts = RINGCACHED;
        let busy = texts[1].replace("1:cmd_local 500", "1:cmd_local 900");
        texts[1] = &busy;
        texts[3] = "STAT 1:chunk_size 10\r\nSTAT 1:used_chunks 1\r\nSTAT 2:chunk_size 20\r\nSTAT 2:used_chunks 1\r\nSTAT 3:chunk_size 30\r\nEND\r\n";
        let (sample, rates) = looked_at(&texts);
        let first = |table: &Table, column: usize| {
            table.rows.iter().map(|row| row[column].clone()).collect::<Vec<_>>()
        };
        assert_eq!(first(&shards(&sample, &rates, 0), 0), ["0", "1"]);
        assert_eq!(first(&shards(&sample, &rates, 1), 0), ["1", "0"]);
        assert_eq!(first(&shards(&sample, &rates, 2), 0), ["1", "0"]);
        assert_eq!(first(&memory(&sample, &rates, 0), 0), ["10", "20", "30"]);
        assert_eq!(first(&memory(&sample, &rates, 1), 0), ["20", "10", "30"]);
        assert_eq!(memory(&sample, &rates, 2).title, "memory of size classes, by evictions");
    }

    #[test]
    fn what_is_absent_is_said() {
        let (sample, rates) = looked_at(&memcached());
        let table = shards(&sample, &rates, 0);
        assert_eq!(
            (table.rows.len(), table.note.as_str()),
            (0, "absent: the server answers ERROR to `stats shards`")
        );
        assert_eq!(latency(&sample).note, "absent: the server answers ERROR to `stats latency`");
        assert_eq!(slow(&sample).note, "absent: the server answers ERROR to `stats slowlog 50`");
        let mut texts = RINGCACHED;
        texts[6] = "STAT slow_log_us 0\r\nEND\r\n";
        assert!(slow(&looked_at(&texts).0).note.ends_with("without --slow-log"));
    }
}
