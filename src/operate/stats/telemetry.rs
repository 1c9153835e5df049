//! `stats latency`, `stats slowlog`, `stats hotkeys` and `stats bigkeys`: what is slow, hot and big. Words of this server,
//! memcached has none for them; docs/operating.md explains each line.
//!
//! A key lives on one shard, so lists of keys are merged by sorting. (Under `--partition isolated` the same key may live on
//! several, and then these are different items.)

use super::text::Stats;
use crate::net::listener::Peer;
use crate::shard::listing::write_uri;
use crate::shard::snapshot::Snapshot;
use crate::shard::telemetry::latency::Latency;
use std::fmt;
use std::time::UNIX_EPOCH;

/// What is told of each class: a name, and which part of its requests were no slower.
const QUANTILES: [(&str, f64); 5] =
    [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)];

pub(super) fn write_latency(stats: &mut Stats, shards: &[Snapshot]) {
    let mut all = Latency::default();
    shards.iter().for_each(|shard| all.add(&shard.latency));
    for (class, histogram) in all.classes() {
        let name = class.name();
        stats.put(format_args!("{name}:count"), histogram.len());
        for (quantile, part) in QUANTILES {
            stats.put(format_args!("{name}:{quantile}"), Micros(histogram.value_at_quantile(part)));
        }
    }
}

pub(super) fn write_slow_log(stats: &mut Stats, slow_us: u32, shards: &[Snapshot], rows: u32) {
    stats.put("slow_log_us", slow_us);
    stats.put("seen", shards.iter().map(|shard| shard.slow_requests_seen).sum::<u64>());
    let mut latest: Vec<_> =
        shards.iter().flat_map(|shard| shard.slow_requests.iter().map(|slow| (shard.shard, slow))).collect();
    latest.sort_by_key(|(_, slow)| std::cmp::Reverse(slow.at));
    for (n, (shard, slow)) in latest.into_iter().take(rows as usize).enumerate() {
        let at = slow.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        stats.put(format_args!("{n}:time"), format_args!("{}.{:06}", at.as_secs(), at.subsec_micros()));
        stats.put(format_args!("{n}:class"), slow.class.name());
        stats.put(format_args!("{n}:us"), Micros(slow.ns));
        stats.put(format_args!("{n}:among"), slow.among);
        stats.put(format_args!("{n}:shard"), shard);
        stats.put(format_args!("{n}:forwarded"), if slow.forwarded { "yes" } else { "no" });
        stats.put(format_args!("{n}:client"), Client(slow.client));
        stats.put(format_args!("{n}:key"), Shown(slow.key.bytes(), slow.key.is_cut()));
    }
}

pub(super) fn write_hot_keys(stats: &mut Stats, shards: &[Snapshot], rows: u32) {
    let mut hot: Vec<_> =
        shards.iter().flat_map(|shard| shard.hot_keys.iter().map(|hot| (shard.shard, hot))).collect();
    hot.sort_by(|(_, a), (_, b)| b.rate.total_cmp(&a.rate));
    for (n, (shard, hot)) in hot.into_iter().take(rows as usize).enumerate() {
        stats.put(format_args!("{n}:rate"), format_args!("{:.1}", hot.rate));
        stats.put(format_args!("{n}:error"), format_args!("{:.1}", hot.error));
        stats.put(format_args!("{n}:shard"), shard);
        stats.put(format_args!("{n}:key"), Shown(hot.key.bytes(), hot.key.is_cut()));
    }
}

pub(super) fn write_big_keys(stats: &mut Stats, shards: &[Snapshot], rows: u32) {
    let are_all = rows == 0 || shards.iter().all(|shard| shard.large_items_are_all);
    stats.put("complete", if are_all { "yes" } else { "no" });
    let mut large: Vec<_> =
        shards.iter().flat_map(|shard| shard.large_items.iter().map(|item| (shard.shard, item))).collect();
    large.sort_by_key(|(_, item)| std::cmp::Reverse(item.value_len));
    for (n, (shard, item)) in large.into_iter().take(rows as usize).enumerate() {
        stats.put(format_args!("{n}:bytes"), item.value_len);
        stats.put(format_args!("{n}:shard"), shard);
        stats.put(format_args!("{n}:key"), Shown(&item.key, item.key_is_cut));
    }
}

/// Nanoseconds, shown as microseconds.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

/// A key, encoded as `watch` does it; a `*`, which the code never yields, stands for what was cut off, a `-` for all of it.
struct Shown<'a>(&'a [u8], bool);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(key, is_cut) = self;
        let mut shown = Vec::new();
        write_uri(&mut shown, key);
        if *is_cut {
            shown.push(b'*');
        }
        f.write_str(if shown.is_empty() { "-" } else { std::str::from_utf8(&shown).unwrap_or_default() })
    }
}

/// Who asked.
struct Client(Peer);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Peer::Tcp(address) => write!(f, "{address}"),
            Peer::Local => f.write_str("unix"),
            Peer::Gone => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_keys_are_shown_plainly() {
        assert_eq!(Micros(1_234_567).to_string(), "1234.56");
        assert_eq!(Micros(80).to_string(), "0.08");
        assert_eq!(Shown(b"a b*", false).to_string(), "a%20b%2A");
        assert_eq!(Shown(b"ab", true).to_string(), "ab*");
        assert_eq!(Shown(b"", false).to_string(), "-");
        assert_eq!(Client(Peer::Gone).to_string(), "unknown");
    }
}
