//! How long the texts can be, against the memory that the plan has for them, and that none is written in one go.

use super::*;
use crate::shard::plan::Plan;
use crate::shard::snapshot::Work;
use crate::shard::telemetry::latency::{BUCKETS_NS, Buckets, Class};
use crate::store::{ClassCounters, ClassStats, Footprint};
use glommio::{LocalExecutorBuilder, Placement};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// As many classes as a store ever has.
const CLASSES: u8 = 250;

/// A number that is long to write. (Their sums, too, have to be numbers.)
const LONG: u64 = u64::MAX / 4;

fn classes() -> Vec<(u8, ClassStats)> {
    let counters = ClassCounters {
        number: LONG,
        mem_requested: LONG,
        evicted: LONG,
        evicted_nonzero: LONG,
        evicted_time_s: u32::MAX,
        outofmemory: LONG,
        evicted_unfetched: LONG,
        expired_unfetched: LONG,
        reclaimed: LONG,
        crawler_reclaimed: LONG,
        crawler_items_checked: LONG,
        get_hits: LONG,
        cmd_set: LONG,
        delete_hits: LONG,
        incr_hits: LONG,
        decr_hits: LONG,
        cas_hits: LONG,
        cas_badval: LONG,
        touch_hits: LONG,
    };
    let class = ClassStats {
        chunk_size: 1 << 30,
        chunks_per_page: u32::MAX,
        total_pages: u32::MAX / 4,
        used_chunks: u32::MAX / 4,
        free_chunks: u32::MAX / 4,
        age_s: u32::MAX,
        counters,
    };
    (1..=CLASSES).map(|id| (id, class)).collect()
}

fn in_an_executor<T>(work: impl Future<Output = T>) -> T {
    LocalExecutorBuilder::new(Placement::Unbound).make().expect("an executor").run(work)
}

#[test]
fn the_lines_of_classes_have_their_room_and_are_written_in_steps() {
    in_an_executor(async {
        let turns = Rc::new(Cell::new(0));
        let turning = turns.clone();
        let other = glommio::spawn_local(async move {
            loop {
                glommio::timer::sleep(STEP_REST / 10).await;
                turning.set(turning.get() + 1);
            }
        });
        let mut text = Exposition::with_capacity(0);
        let classes: BTreeMap<u8, ClassStats> = classes().into_iter().collect();
        memcached::write_classes(&mut text, &mut Pace::default(), classes).await;
        drop(other);
        let bytes = text.len();
        assert!(bytes > 4 * STEP_BYTES, "{bytes} bytes are enough to try it with");
        assert!(bytes < CLASS_BYTES * usize::from(CLASSES), "{bytes} bytes");
        // No step is longer than one, one family of a row for each class, and the last is not rested after.
        let rests = bytes / (STEP_BYTES + 100 * usize::from(CLASSES)) - 1;
        assert!(turns.get() >= rests, "{} turns of another task, of {rests}", turns.get());
    });
}

#[test]
fn the_lines_of_a_shard_have_their_room() {
    let times = |class| Buckets { class, up_to: [LONG; BUCKETS_NS.len()], count: LONG, sum_s: 1.0 / 3.0 };
    let footprint = Footprint {
        page_bytes: 1 << 20,
        limit_bytes: 1 << 62,
        pages_total: u32::MAX,
        pages_over: u32::MAX,
        pages_free: u32::MAX,
        pages_items: u32::MAX,
        pages_table: u32::MAX,
        pages_ghost: u32::MAX,
        table_capacity: 0,
        table_growing: false,
    };
    let report = Snapshot {
        shard: 63,
        cpu: 1023,
        connections: usize::MAX,
        listeners: 1,
        accepting: true,
        watchers: usize::MAX,
        udp_overruns: LONG,
        counters: Default::default(),
        store: Default::default(),
        footprint,
        classes: Vec::new(),
        counts_prefixes: false,
        prefixes: Vec::new(),
        conns: Vec::new(),
        latency: Default::default(),
        service_times: Class::all().map(times).collect(),
        slow_requests: Vec::new(),
        slow_requests_seen: LONG,
        hot_keys: Vec::new(),
        large_items: Vec::new(),
        large_items_are_all: true,
        buffer_bytes: 0,
        work: Work::default(),
    };
    let mut text = Exposition::with_capacity(0);
    shards::families().for_each(|family| family.write(&mut text, &report));
    // Half of the numbers are as short as can be, in lines that are 64 at most.
    let bytes = text.len() + 20 * 64;
    assert!(bytes < SHARD_BYTES, "{bytes} bytes");
}

/// Two texts at a time: each its lines, and what they are made of.
#[test]
fn the_plan_has_room_for_two_texts() {
    let plan = Plan::new(4, 64 << 20, 250, false, 0).with_admin();
    let of_classes = usize::from(CLASSES) * CLASS_BYTES;
    assert!(2 * (SERVER_BYTES + of_classes) + 64 * 1024 <= plan.admin_bytes, "{}", plan.admin_bytes);
    // A list that grows is there twice for a moment.
    let classes = 3 * usize::from(CLASSES).next_power_of_two() / 2 * size_of::<(u8, ClassStats)>();
    assert!(2 * (SHARD_BYTES + classes) <= plan.metrics_bytes, "{classes} of {}", plan.metrics_bytes);
}
