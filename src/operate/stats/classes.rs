//! `stats items` and `stats slabs`: the size classes, added up over the shards, which all have the same ones.

use super::text::Stats;
use crate::shard::snapshot::Snapshot;
use crate::store::{ClassCounters, ClassStats};
use std::collections::BTreeMap;

/// Adds another shard's part of a class; the ages are the oldest of them.
fn add(sum: &mut ClassStats, part: &ClassStats) {
    sum.total_pages += part.total_pages;
    sum.used_chunks += part.used_chunks;
    sum.free_chunks += part.free_chunks;
    sum.age_s = sum.age_s.max(part.age_s);
    let (c, p) = (&mut sum.counters, &part.counters);
    macro_rules! add { ($($field:ident)*) => { $(c.$field += p.$field;)* } }
    add!(number mem_requested evicted evicted_nonzero evicted_unfetched outofmemory reclaimed expired_unfetched
        crawler_reclaimed crawler_items_checked get_hits cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval
        touch_hits);
    c.evicted_time_s = c.evicted_time_s.max(p.evicted_time_s);
}

/// The classes in use, each added up over the shards.
pub(in crate::operate) fn classes(shards: &[Snapshot]) -> BTreeMap<u8, ClassStats> {
    let mut sums: BTreeMap<u8, ClassStats> = BTreeMap::new();
    for (id, part) in shards.iter().flat_map(|shard| &shard.classes) {
        sums.entry(*id).and_modify(|sum| add(sum, part)).or_insert(*part);
    }
    sums
}

pub(super) fn write_items(stats: &mut Stats, shards: &[Snapshot]) {
    for (id, class) in classes(shards) {
        let c = &class.counters;
        if c.number == 0 {
            continue;
        }
        let mut put = |name: &str, value: u64| stats.put(format_args!("items:{id}:{name}"), value);
        put("number", c.number);
        // One queue order for all classes instead of memcached's hot, warm and cold.
        for none in ["number_hot", "number_warm"] {
            put(none, 0);
        }
        put("number_cold", c.number);
        for none in ["age_hot", "age_warm"] {
            put(none, 0);
        }
        put("age", u64::from(class.age_s));
        put("mem_requested", c.mem_requested);
        put("evicted", c.evicted);
        put("evicted_nonzero", c.evicted_nonzero);
        put("evicted_time", u64::from(c.evicted_time_s));
        put("outofmemory", c.outofmemory);
        put("tailrepairs", 0);
        put("reclaimed", c.reclaimed);
        put("expired_unfetched", c.expired_unfetched);
        put("evicted_unfetched", c.evicted_unfetched);
        put("evicted_active", 0);
        put("crawler_reclaimed", c.crawler_reclaimed);
        put("crawler_items_checked", c.crawler_items_checked);
        for none in
            ["lrutail_reflocked", "moves_to_cold", "moves_to_warm", "moves_within_lru", "direct_reclaims"]
        {
            put(none, 0);
        }
        for none in ["hits_to_hot", "hits_to_warm"] {
            put(none, 0);
        }
        put("hits_to_cold", c.get_hits);
        put("hits_to_temp", 0);
    }
}

pub(super) fn write_slabs(stats: &mut Stats, shards: &[Snapshot]) {
    let classes: BTreeMap<_, _> =
        classes(shards).into_iter().filter(|(_, class)| class.total_pages > 0).collect();
    for (id, class) in &classes {
        let ClassCounters {
            get_hits,
            cmd_set,
            delete_hits,
            incr_hits,
            decr_hits,
            cas_hits,
            cas_badval,
            touch_hits,
            ..
        } = class.counters;
        let mut put = |name: &str, value: u64| stats.put(format_args!("{id}:{name}"), value);
        put("chunk_size", class.chunk_size as u64);
        put("chunks_per_page", u64::from(class.chunks_per_page));
        put("total_pages", u64::from(class.total_pages));
        put("total_chunks", u64::from(class.used_chunks) + u64::from(class.free_chunks));
        put("used_chunks", u64::from(class.used_chunks));
        put("free_chunks", u64::from(class.free_chunks));
        put("free_chunks_end", 0);
        put("get_hits", get_hits);
        put("cmd_set", cmd_set);
        put("delete_hits", delete_hits);
        put("incr_hits", incr_hits);
        put("decr_hits", decr_hits);
        put("cas_hits", cas_hits);
        put("cas_badval", cas_badval);
        put("touch_hits", touch_hits);
    }
    stats.put("active_slabs", classes.len());
    stats.put("total_malloced", malloced_bytes(shards));
}

/// Bytes of the pages of all classes.
pub(in crate::operate) fn malloced_bytes(shards: &[Snapshot]) -> u64 {
    let pages = |shard: &Snapshot| u64::from(shard.footprint.pages_items) * shard.footprint.page_bytes as u64;
    shards.iter().map(pages).sum()
}
