//! Warms a server of the memcached protocol from another one that serves on: copies its live items, at a bounded rate.
//!
//! [`listing`] asks the old server for its [`key`]s and keeps them on disk. [`transfer`] takes them from there a batch at a time, reads
//! each item and stores it at the new server, over one [`connection`] to each, no faster than the [`pace`]. [`answer`] reads what the
//! servers say, [`tally`] counts what became of each key. Whatever the size of the old server, memory is the same: a batch of keys
//! and a few buffers.

mod answer;
mod args;
mod connection;
mod key;
mod listing;
mod pace;
mod tally;
mod transfer;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use args::Args;
use connection::Failure;
use listing::Listing;
use pace::Pace;
use tally::{Fate, Tally};
use transfer::{Batch, Transfer};

/// Keys asked for together, at most.
const BATCH_MAX: u64 = 64;
/// A batch is no more than the rate allows in this part of a second, so that it is soon over.
const BATCHES_PER_S: u64 = 20;
/// Tries in a row to connect anew and go on, before a lost connection is given up. A batch that succeeds ends the row.
const TRIES_MAX: u32 = 6;
/// The pause before the first of these tries. It doubles with each.
const PAUSE: Duration = Duration::from_millis(200);
/// How often progress is told where standard error is no terminal.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Whether a signal asked the copy to end.
static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(tally) if tally.refused == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringcached-copy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Tally> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("handling of signals")?;
    if args.from == args.to {
        bail!("--from and --to both name {}", args.from);
    }
    let mut courier = Courier { args, transfer: None, has_met: false, tries: 0 };
    let mut listing = courier.persist(|transfer| Listing::of(transfer.source()))?;
    eprintln!("{} keys to copy from {} to {}", listing.keys, args.from, args.to);
    let mut tally = Tally::default();
    (0..listing.unreachable).for_each(|_| tally.count(Fate::Unreachable));
    let started = Instant::now();
    let result = copy(&mut courier, &mut listing, &mut tally);
    println!("{tally}; {:.1} s", started.elapsed().as_secs_f64());
    result.map(|()| tally)
}

/// Copies all keys of `listing`, a batch at a time.
fn copy(courier: &mut Courier, listing: &mut Listing, tally: &mut Tally) -> Result<()> {
    let mut pace = Pace::new(courier.args.rate, courier.args.bytes_rate);
    let batch_len = (courier.args.rate / BATCHES_PER_S).clamp(1, BATCH_MAX) as usize;
    let mut progress = Progress::new(listing.keys)?;
    loop {
        let mut batch = Batch::with_capacity(batch_len);
        while batch.len() < batch_len
            && let Some(key) = listing.next_key()?
        {
            batch.push(Some(key));
        }
        if batch.is_empty() {
            progress.bar.finish_and_clear();
            return Ok(());
        }
        courier.persist(|transfer| transfer.copy(&mut batch, &mut pace, tally))?;
        progress.moved(batch.len() as u64, tally);
    }
}

/// Holds the connections, and makes new ones when they break.
struct Courier<'a> {
    args: &'a Args,
    transfer: Option<Transfer>,
    /// Whether both servers were reached once. Before that nothing is tried again: a name may be wrong.
    has_met: bool,
    /// Tries in a row that failed.
    tries: u32,
}

impl Courier<'_> {
    /// Runs `work` until it succeeds, with new connections to both servers after one was lost.
    fn persist<T>(&mut self, mut work: impl FnMut(&mut Transfer) -> Result<T, Failure>) -> Result<T> {
        loop {
            if STOP.load(Ordering::Relaxed) {
                bail!("stopped by a signal; run it again for the rest: what is there already stays as it is");
            }
            let transfer = match &mut self.transfer {
                Some(transfer) => Ok(transfer),
                None => Transfer::open(&self.args.from, &self.args.to).map(|open| self.transfer.insert(open)),
            };
            self.has_met |= transfer.is_ok();
            match transfer.and_then(&mut work) {
                Ok(done) => {
                    self.tries = 0;
                    return Ok(done);
                }
                Err(lost @ Failure::Lost { .. }) if self.has_met && self.tries < TRIES_MAX => {
                    let pause = PAUSE * 2u32.pow(self.tries);
                    self.tries += 1;
                    eprintln!("{lost}; try {} of {TRIES_MAX} in {:.1} s", self.tries, pause.as_secs_f64());
                    self.transfer = None;
                    thread::sleep(pause);
                }
                Err(lost @ Failure::Lost { .. }) if self.has_met => {
                    let what = format!(
                        "given up after {TRIES_MAX} tries; when both servers run, run this again for the rest"
                    );
                    return Err(lost).context(what);
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}

/// A bar on a terminal, a line every now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    told: Instant,
}

impl Progress {
    fn new(keys: u64) -> Result<Progress> {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} keys, {eta} left: {msg}")?;
        Ok(Progress { bar: ProgressBar::new(keys).with_style(style), told: Instant::now() })
    }

    fn moved(&mut self, keys: u64, tally: &Tally) {
        self.bar.inc(keys);
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{} copied", tally.copied));
        } else if self.told.elapsed() >= TOLD_EVERY {
            eprintln!("{} of {} keys: {tally}", self.bar.position(), self.bar.length().unwrap_or_default());
            self.told = Instant::now();
        }
    }
}
