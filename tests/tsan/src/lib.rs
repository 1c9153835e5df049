//! The server's own source of the mesh's queue and of its wake-ups, alone and on real threads: built by itself it is ready
//! for ThreadSanitizer in a moment, the tests inside that source among it. tests/loom tries every order of few steps, this
//! many steps in the orders that come up.
//!
//! A race is reported where memory is touched that no release and acquire have handed over, so what goes through the queues
//! here is what goes through the server's: a record whose bytes were written in place, and in it the address of memory that
//! belongs to whoever has read it.
#![cfg(test)]

#[allow(dead_code)]
#[path = "../../../src/shard/mesh/parked.rs"]
mod parked;
#[allow(dead_code)]
#[path = "../../../src/shard/mesh/queue.rs"]
mod queue;
#[path = "../../../src/shard/mesh/sync.rs"]
mod sync;

use parked::Parked;
use queue::{Consumer, Producer, queue};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Three times the cores of a small machine, so that threads are stopped anywhere.
const SHARDS: usize = 6;

/// Parcels on their way, and how often each goes to another shard.
const PARCELS: usize = 24;
const HOPS: u64 = 20_000;

/// Bytes of a queue: sixteen records, of which there are more at times.
const CAPACITY_BYTES: usize = 256;

/// A sleeper that nobody wakes for so long has been forgotten.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// Memory that goes from hand to hand, as a pinned value does: plain words, all of them written at every hop.
struct Parcel {
    hops: [u64; 4],
}

/// What a thread has of each of the others, and what all share.
struct Shard {
    id: usize,
    to: Vec<Option<Producer>>,
    from: Vec<Option<Consumer>>,
    /// Parcels for which there was no room yet.
    late: Vec<(usize, Box<Parcel>)>,
    parked: Arc<Parked>,
    /// Parcels that have not arrived for good.
    under_way: Arc<AtomicUsize>,
    woken: u64,
}

impl Shard {
    /// One turn, as a shard's: hear everybody, answer, show it, wake whom it concerns. True if there was anything.
    fn turn(&mut self, threads: &[Thread]) -> bool {
        let mut arrived = Vec::new();
        for consumer in self.from.iter_mut().flatten() {
            while let Some(record) = consumer.take() {
                let address = u64::from_le_bytes(record.try_into().expect("eight bytes"));
                let parcel = std::ptr::with_exposed_provenance_mut(address as usize);
                // SAFETY: `put` made the address of a box, and a record is taken once.
                arrived.push(unsafe { Box::<Parcel>::from_raw(parcel) });
            }
            consumer.publish();
        }
        let busy = !arrived.is_empty() || !self.late.is_empty();
        for parcel in arrived {
            self.send_on(parcel);
        }
        for (to, parcel) in std::mem::take(&mut self.late) {
            self.put(to, parcel);
        }
        self.show(threads);
        busy
    }

    fn send_on(&mut self, mut parcel: Box<Parcel>) {
        let hop = parcel.hops[0];
        assert_eq!(parcel.hops, [hop; 4], "torn");
        if hop == HOPS {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        parcel.hops = [hop + 1; 4];
        let next = (self.id + 1 + hop as usize * 7 % (SHARDS - 1)) % SHARDS;
        self.put(next, parcel);
    }

    fn put(&mut self, to: usize, parcel: Box<Parcel>) {
        let producer = self.to[to].as_mut().expect("another shard");
        match producer.reserve(8) {
            Some(room) => {
                let address = Box::into_raw(parcel).expose_provenance() as u64;
                room.copy_from_slice(&address.to_le_bytes());
                producer.commit(8);
            }
            None => self.late.push((to, parcel)),
        }
    }

    fn show(&mut self, threads: &[Thread]) {
        let shown: Vec<bool> =
            self.to.iter_mut().map(|to| to.as_mut().is_some_and(Producer::publish)).collect();
        if !shown.contains(&true) {
            return;
        }
        self.parked.shown();
        for to in (0..SHARDS).filter(|to| shown[*to]) {
            if self.parked.take(to) {
                self.woken += 1;
                threads[to].unpark();
            }
        }
    }

    /// Sleeps unless something has come meanwhile.
    fn sleep(&self) {
        self.parked.announce(self.id);
        if self.from.iter().flatten().all(Consumer::is_empty) {
            let asleep = Instant::now();
            thread::park_timeout(FORGOTTEN);
            let is_over = self.under_way.load(Ordering::Relaxed) == 0;
            assert!(is_over || asleep.elapsed() < FORGOTTEN, "shard {} was not woken", self.id);
        }
        self.parked.awake(self.id);
    }

    fn run(mut self, threads: &[Thread]) -> u64 {
        while self.under_way.load(Ordering::Relaxed) > 0 {
            if !self.turn(threads) {
                self.sleep();
            }
        }
        threads.iter().for_each(Thread::unpark);
        self.woken
    }
}

fn connected() -> Vec<Shard> {
    let parked = Arc::new(Parked::new(SHARDS));
    let under_way = Arc::new(AtomicUsize::new(PARCELS));
    let mut shards: Vec<Shard> = (0..SHARDS)
        .map(|id| Shard {
            id,
            to: (0..SHARDS).map(|_| None).collect(),
            from: (0..SHARDS).map(|_| None).collect(),
            late: Vec::new(),
            parked: parked.clone(),
            under_way: under_way.clone(),
            woken: 0,
        })
        .collect();
    for from in 0..SHARDS {
        for to in (0..SHARDS).filter(|to| *to != from) {
            let (producer, consumer) = queue(CAPACITY_BYTES);
            shards[from].to[to] = Some(producer);
            shards[to].from[from] = Some(consumer);
        }
    }
    shards
}

/// Memory goes round among more threads than cores: every parcel arrives, whole, after so many hops, and who sleeps is woken.
#[test]
fn parcels_go_round_and_sleepers_are_woken() {
    let mut shards = connected();
    for parcel in 0..PARCELS {
        shards[parcel % SHARDS].send_on(Box::new(Parcel { hops: [0; 4] }));
    }
    let threads = OnceLock::new();
    let woken: u64 = thread::scope(|scope| {
        let run = |shard: Shard| -> u64 {
            while threads.get().is_none() {
                thread::yield_now();
            }
            shard.run(threads.get().map_or(&[], Vec::as_slice))
        };
        let running: Vec<_> = shards.into_iter().map(|shard| scope.spawn(move || run(shard))).collect();
        let all: Vec<Thread> = running.iter().map(|handle| handle.thread().clone()).collect();
        threads.set(all).expect("set once");
        running.into_iter().map(|handle| handle.join().expect("no shard fails")).sum()
    });
    assert!(woken > 0, "nobody slept");
}
