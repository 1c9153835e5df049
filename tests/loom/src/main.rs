//! The server's own source of the mesh's queue and of its wake-ups, compiled with loom's atomics and run in every order that
//! two cores may give them. A program and not a test, so that the tests inside that source, which use threads, stay out.

#[path = "../../../src/shard/mesh/parked.rs"]
mod parked;
#[allow(dead_code)]
#[path = "../../../src/shard/mesh/queue.rs"]
mod queue;
mod sync;

use loom::sync::{Arc, Notify};
use loom::thread;
use parked::Parked;
use queue::{Consumer, Producer, queue};

/// Changes of thread where none is due, in one run. loom's authors find two or three to be enough for almost everything.
const PREEMPTIONS_MAX: usize = 5;

/// Bytes of the queues: two records of one word, so that they run full and their ends come round.
const CAPACITY_BYTES: usize = 64;

fn model(name: &str, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = runs.clone();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        run();
    });
    println!("{name}: {} orders", runs.load(std::sync::atomic::Ordering::Relaxed));
}

fn put(producer: &mut Producer, bytes: &[u8]) -> bool {
    let Some(room) = producer.reserve(bytes.len()) else { return false };
    room.copy_from_slice(bytes);
    producer.commit(bytes.len());
    true
}

/// Records arrive whole, once and in order, though the queue is full in between and its end lies in the middle of one.
fn every_record_arrives() {
    const RECORDS: u8 = 4;
    let (mut producer, mut consumer): (Producer, Consumer) = queue(CAPACITY_BYTES);
    let writer = thread::spawn(move || {
        for n in 0..RECORDS {
            let record = [n; 13];
            while !put(&mut producer, &record[..usize::from(5 + 4 * (n % 3))]) {
                producer.publish();
                thread::yield_now();
            }
            if n != 1 {
                producer.publish(); // the second with the third
            }
        }
    });
    for n in 0..RECORDS {
        loop {
            if let Some(record) = consumer.take() {
                assert_eq!(record, &[n; 13][..usize::from(5 + 4 * (n % 3))]);
                break;
            }
            consumer.publish();
            thread::yield_now();
        }
    }
    writer.join().expect("the writer ends well");
}

/// Who sleeps is woken when something comes, whoever is first: loom finds the order in which nobody ever wakes it.
///
/// One record only. With a second loom finds an order that cannot be: it lets a flag be read as the exchange in `take` left it
/// though `announce` has set it since, because it does not conclude from what the exchange has read that it came before.
fn nobody_sleeps_on_news() {
    let (mut producer, mut consumer) = queue(CAPACITY_BYTES);
    let parked = Arc::new(Parked::new(1));
    let bell = Arc::new(Notify::new());
    let writer = {
        let (parked, bell) = (parked.clone(), bell.clone());
        thread::spawn(move || {
            assert!(put(&mut producer, &[7; 8]), "there is room");
            producer.publish();
            parked.shown();
            if parked.take(0) {
                bell.notify();
            }
        })
    };
    loop {
        if let Some(record) = consumer.take() {
            assert_eq!(record, [7; 8]);
            break;
        }
        parked.announce(0);
        if consumer.is_empty() {
            bell.wait();
        }
        parked.awake(0);
    }
    writer.join().expect("the writer ends well");
}

/// Of two who have shown something to a sleeper one wakes it, and it finds what both have shown.
fn one_of_two_wakes() {
    let parked = Arc::new(Parked::new(1));
    let bell = Arc::new(Notify::new());
    let (mut producers, mut consumers): (Vec<Producer>, Vec<Consumer>) =
        (0..2).map(|_| queue(CAPACITY_BYTES)).unzip();
    parked.announce(0);
    let writer = |mut producer: Producer| {
        let (parked, bell) = (parked.clone(), bell.clone());
        thread::spawn(move || {
            assert!(put(&mut producer, &[7; 8]), "there is room");
            producer.publish();
            parked.shown();
            let wakes = parked.take(0);
            if wakes {
                bell.notify();
            }
            wakes
        })
    };
    let writers: Vec<_> = producers.drain(..).map(writer).collect();
    let wakes = writers.into_iter().map(|writer| writer.join().expect("a writer ends well"));
    assert_eq!(wakes.filter(|wakes| *wakes).count(), 1);
    bell.wait();
    parked.awake(0);
    assert!(consumers.iter_mut().all(|consumer| consumer.take().is_some()));
}

fn main() {
    model("every record arrives", every_record_arrives);
    model("nobody sleeps on news", nobody_sleeps_on_news);
    model("one of two wakes", one_of_two_wakes);
}
