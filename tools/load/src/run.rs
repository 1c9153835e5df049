//! A run of all threads: connects, divides the work, shows how far it is, adds up what they counted.

use std::io::IsTerminal;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;
use crate::draw::KeyDraw;
use crate::keys::Keys;
use crate::protocol::Protocol;
use crate::tally::Tally;
use crate::target::{Socket, Target};
use crate::worker::{self, Job, Plan, Seat, Share};

/// Connections of a thread that stores all keys, for each shard.
const FILL_CONNECTIONS: usize = 4;
/// Requests under way on each of them.
const FILL_PIPELINE: usize = 32;
/// Pause between two looks at the progress.
const LOOK: Duration = Duration::from_millis(200);

/// Stores every key once. Over UDP datagrams might be lost, so that is done over TCP, at the same port.
///
/// # Errors
/// As for a load.
pub fn fill(args: &Args, target: &Target, keys: &Keys) -> Result<Tally> {
    let protocol = if args.protocol == Protocol::Udp { Protocol::Classic } else { args.protocol };
    let shards = usize::from(target.shards.unwrap_or(1));
    let sockets = target.connect(FILL_CONNECTIONS * shards * args.threads as usize, protocol)?;
    let bar = progress(u64::from(args.keys), "storing keys");
    run(args, keys, sockets, protocol, FILL_PIPELINE, &bar, |_| Job::Fill)
}

/// The load that was asked for.
///
/// # Errors
/// A wrong value, a connection that ends, a server that does not answer.
pub fn load(args: &Args, target: &Target, keys: &Keys) -> Result<Tally> {
    let shards = usize::from(target.shards.unwrap_or(1));
    let count = args.connections as usize;
    if count < shards {
        bail!("--connections {count} for {shards} shards: each needs one");
    }
    let sockets = target.connect(count, args.protocol)?;
    let draw = KeyDraw::new(args.popularity, args.keys);
    let seconds = args.seconds();
    let bar = match (seconds, args.requests) {
        (Some(seconds), _) => progress(seconds * 1000, "load"),
        (None, requests) => progress(requests.unwrap_or(0), "load"),
    };
    let job = |thread: u64| {
        let interval_ns = args.rate.map(|rate| {
            let between_ns = 1e9 / rate as f64;
            (between_ns * args.threads as f64, between_ns * thread as f64)
        });
        Job::Load { ratio: args.ratio, draw, keys_per_get: args.keys_per_get as u32, seconds, interval_ns }
    };
    run(args, keys, sockets, args.protocol, args.pipeline as usize, &bar, job)
}

fn run(
    args: &Args,
    keys: &Keys,
    sockets: Vec<Socket>,
    protocol: Protocol,
    pipeline: usize,
    bar: &ProgressBar,
    job: impl Fn(u64) -> Job,
) -> Result<Tally> {
    let (barrier, stop, answered) =
        (Barrier::new(args.threads as usize), AtomicBool::new(false), AtomicU64::new(0));
    let plan = Plan {
        protocol,
        keys,
        sizes: &args.value_size,
        pipeline,
        barrier: &barrier,
        stop: &stop,
        answered: &answered,
    };
    let shares = shares(args, keys, sockets, job);
    let results: Vec<Result<Tally>> = thread::scope(|scope| {
        let (plan, stop) = (&plan, &stop);
        let spawn = |share| {
            scope.spawn(move || {
                let result = worker::run(plan, share);
                // One that fails ends all.
                stop.fetch_or(result.is_err(), Ordering::Relaxed);
                result
            })
        };
        let threads: Vec<_> = shares.into_iter().map(spawn).collect();
        let start = Instant::now();
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            show(bar, start, answered.load(Ordering::Relaxed), args.seconds().is_some());
            thread::park_timeout(LOOK);
        }
        let panicked = |_| Err(anyhow!("a thread panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    bar.finish_and_clear();
    let mut all = Tally::default();
    for tally in results {
        all.add(&tally?);
    }
    Ok(all)
}

/// What each thread gets. When filling, the connections that lead to the same shard each store a stretch of the keys.
fn shares(args: &Args, keys: &Keys, sockets: Vec<Socket>, job: impl Fn(u64) -> Job) -> Vec<Share> {
    let threads = args.threads as usize;
    let shard_of = |socket: &Socket| socket.shard.map_or(0, usize::from);
    let mut rivals = vec![0_u64; sockets.iter().map(shard_of).max().unwrap_or(0) + 1];
    sockets.iter().for_each(|socket| rivals[shard_of(socket)] += 1);
    let mut ranks = vec![0_u64; rivals.len()];
    let share = |thread: usize| Share {
        thread,
        core: args.cores.as_ref().map(|cores| cores.0[thread % cores.0.len()]),
        job: job(thread as u64),
        seats: Vec::new(),
        seed: args.seed.wrapping_add(thread as u64),
    };
    let mut shares: Vec<Share> = (0..threads).map(share).collect();
    let count = sockets.len();
    for (i, socket) in sockets.into_iter().enumerate() {
        let shard = shard_of(&socket);
        let (rank, of, all) = (ranks[shard], rivals[shard], u64::from(keys.count()));
        ranks[shard] += 1;
        let to_store = ((all * rank / of) as u32, (all * (rank + 1) / of) as u32);
        // Neighbours go to the same thread, so that each thread has connections to all shards.
        let requests = args
            .requests
            .map_or(u64::MAX, |all| all / count as u64 + u64::from((i as u64) < all % count as u64));
        shares[i * threads / count].seats.push(Seat { socket, to_store, requests });
    }
    shares
}

fn progress(length: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // The template is a constant that is right.
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %  {msg}")
        .unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_prefix(what)
}

fn show(bar: &ProgressBar, start: Instant, answered: u64, by_time: bool) {
    let elapsed_ms = start.elapsed().as_millis() as u64;
    let by_time = by_time && bar.prefix() == "load";
    bar.set_position(if by_time { elapsed_ms } else { answered });
    bar.set_message(format!("{:.0} requests/s", answered as f64 * 1000.0 / elapsed_ms.max(1) as f64));
}
