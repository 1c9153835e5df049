//! Clients that mean harm. Each test makes one kind of it against a server of its own and asserts three things: clients that
//! behave are served meanwhile, each answer within [`SERVED_WITHIN`] ([`Witness`]); the process keeps to the memory it has printed (the
//! harness, at the end of each test); and what the hostile client gets is right or nothing.
//!
//! What is promised, with figures: `docs/reliability.md`, "Hostile input".

mod announced;
mod connections;
mod crowd;
mod datagrams;
mod half_open;
mod meta;
mod packets;
mod reports;
mod resets;
mod unread;

use crate::harness::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest a well-behaved client may wait for an answer while another means harm. The tests run in parallel, on few cores.
const SERVED_WITHIN: Duration = Duration::from_secs(8);

/// The longest that half of its answers may take.
const HALF_WITHIN: Duration = Duration::from_secs(1);

/// Between two requests of a witness.
const PAUSE: Duration = Duration::from_millis(2);

/// A well-behaved client that stores and reads over and over, on a thread of its own, until it is asked what it has seen.
struct Witness {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Witness {
    /// On as many connections as there are shards: a fresh connection goes to the shard that has fewest.
    fn of(server: &Server, shards: u32) -> Witness {
        let over = Arc::new(AtomicBool::new(false));
        let mut conns: Vec<_> = (0..shards).map(|_| server.connect()).collect();
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut took = Vec::new();
            while !is_over.load(Ordering::Relaxed) || took.is_empty() {
                let n = took.len();
                for conn in &mut conns {
                    let began = Instant::now();
                    conn.ask(
                        format!("set witness-{n} 0 0 4\r\n{:04}\r\nget witness-{n}\r\n", n % 10_000),
                        format!("STORED\r\nVALUE witness-{n} 0 4\r\n{:04}\r\nEND\r\n", n % 10_000),
                    );
                    took.push(began.elapsed());
                }
                std::thread::sleep(PAUSE);
            }
            took
        });
        Witness { over, thread }
    }

    /// Ends it; fails if it was not served in time. Says on standard error what it and the server's memory came to.
    fn was_served(self, server: &Server, what: &str) {
        self.over.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().expect("a witness that was answered");
        took.sort_unstable();
        let (half, worst) = (took[took.len() / 2], took[took.len() - 1]);
        let peak_kib = server.peak_bytes() >> 10;
        eprintln!(
            "{what}: {} answers to the witness, median {half:?}, longest {worst:?}; peak {peak_kib} KiB",
            took.len()
        );
        assert!(worst < SERVED_WITHIN, "{what}: an answer took {worst:?}");
        assert!(half < HALF_WITHIN, "{what}: half of the answers took more than {half:?}");
    }
}
