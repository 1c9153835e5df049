//! `stats detail dump`: commands by key prefix, in memcached's own form, which is not that of the other reports.

use crate::shard::prefixes::PrefixCounts;
use crate::shard::snapshot::Snapshot;
use std::collections::BTreeMap;

pub(super) fn render(shards: &[Snapshot]) -> Vec<u8> {
    let mut all: BTreeMap<&[u8], PrefixCounts> = BTreeMap::new();
    for (prefix, counts) in shards.iter().flat_map(|shard| &shard.prefixes) {
        all.entry(prefix).or_default().add(counts);
    }
    let mut text = Vec::new();
    for (prefix, counts) in all {
        let PrefixCounts { gets, hits, sets, deletes } = counts;
        text.extend_from_slice(b"PREFIX ");
        text.extend_from_slice(prefix);
        text.extend_from_slice(format!(" get {gets} hit {hits} set {sets} del {deletes}\r\n").as_bytes());
    }
    text.extend_from_slice(b"END\r\n");
    text
}
