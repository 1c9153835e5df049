//! A soak: a server of several shards under mixed load for a long time, with clients that come and go in every way and an operator who
//! changes its limits; then all of them leave, and it is looked at what has stayed. docs/reliability.md has what is promised.
//!
//! [`worker`]s are the clients: what they may read is in the [`ledger`] and their [`slot`]s, what they speak in [`protocol`], over a
//! [`connection`], what they [`draw`] at random there. The [`operator`] works on the [`server`], [`resident`] judges its memory, [`leftovers`] its rest.

mod connection;
mod draw;
mod ledger;
mod leftovers;
mod operator;
mod protocol;
mod resident;
mod server;
mod slot;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use ringcached_load::keys::Keys;

use ledger::Ledger;
use leftovers::Rest;
use operator::Operator;
use resident::{Verdict, verdict};
use server::Server;
use worker::Worker;

/// Clients, each a thread.
const CLIENTS: u32 = 4;
/// Bytes of a key.
const KEY_LEN: usize = 16;
/// How long a server may take to end by itself, when its clients have noticed something.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
const MIB: f64 = (1 << 20) as f64;
/// A run this short may have too few cycles to judge resident memory.
const SHORT_S: u64 = 90;

/// Loads a server for long with checked values, clients that come and go, and limits that change, and fails for a wrong answer,
/// memory that is not flat, or anything left over.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// How long
    #[arg(long, default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    seconds: u64,

    /// The server's program
    #[arg(long, default_value = "target/release/ringcached")]
    server: PathBuf,

    /// Its shards
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    shards: u16,

    /// Its memory for items, MiB, all shards together
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(48..=1024))]
    memory: u64,

    /// Requests a second, of all clients together
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match soak(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn soak(args: &Args) -> Result<()> {
    let usual = operator::usual(args.memory);
    let mut server = Server::start(&args.server, args.shards, usual)?;
    let rest = Rest::of(&server)?;
    println!("soak: {} shards, pid {}, {}, {} s", args.shards, server.pid(), server.address, args.seconds);
    let found = watch(args, &mut server, &rest);
    // What a server says that ends or panics explains what its clients saw.
    let log = server.log();
    if found.is_err() || log.contains("panicked at") {
        eprintln!("--- what the server wrote last ---");
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].iter().for_each(|line| eprintln!("{line}"));
    }
    if let Err(error) = found {
        return Err(match server.end_within(ENDS_WITHIN) {
            Some(status) => error.context(format!("the server has ended: {status}")),
            None => error,
        });
    }
    if log.contains("panicked at") {
        bail!("a thread of the server panicked");
    }
    Ok(())
}

/// From the first client to the server's end.
fn watch(args: &Args, server: &mut Server, rest: &Rest) -> Result<()> {
    let values = CLIENTS * draw::VALUES;
    let ledger = Ledger::new(Keys::new(values + CLIENTS * worker::NUMBERS, KEY_LEN), values);
    let readings = load(args, server, &ledger)?;
    rest.is_reached_again(server)?;
    let stats = server.stats("")?;
    let of = |name| stats.get(name);
    println!(
        "soak: the server counts {} gets, {} sets, {} evictions, {} expired unread, {} connections, {} crowds; {} descriptors as at the start",
        of("cmd_get")?,
        of("cmd_set")?,
        of("evictions")?,
        of("expired_unfetched")?,
        of("total_connections")?,
        server.stats("shards")?.sum("", ":crowds")?,
        rest.count()
    );
    judge_memory(args, &readings)?;
    let status = server.stop()?;
    if !status.success() {
        bail!("SIGTERM: {status}, not exit code 0");
    }
    println!("soak: passed");
    Ok(())
}

/// Runs clients and operator; resident memory at the end of each cycle.
fn load(args: &Args, server: &mut Server, ledger: &Ledger) -> Result<Vec<u64>> {
    let (address, start) = (server.address, Instant::now());
    let interval = Duration::from_secs(1) * CLIENTS / args.rate;
    thread::scope(|scope| {
        let client = |index| {
            scope.spawn(move || {
                let result = Worker::new(ledger, address, index, interval).run();
                // One that fails ends all.
                ledger.stop.fetch_or(result.is_err(), Ordering::SeqCst);
                result
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let operated = operate(args, server, ledger, start);
        ledger.stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))?.context("a client")?;
        }
        operated.context("the operator")
    })
}

fn operate(args: &Args, server: &mut Server, ledger: &Ledger, start: Instant) -> Result<Vec<u64>> {
    let mut operator = Operator::new(ledger, operator::usual(args.memory));
    let mut readings = Vec::new();
    while start.elapsed().as_secs() < args.seconds && !ledger.is_over() {
        let resident_bytes = operator.cycle(server)?;
        readings.push(resident_bytes);
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let totals = &ledger.totals;
        println!(
            "{:5} s: {:9} requests, {:9} values, {:9} misses, {:4} refused, {:6} connections; {:6.1} MiB resident",
            start.elapsed().as_secs(),
            of(&totals.requests),
            of(&totals.hits),
            of(&totals.misses),
            of(&totals.refused),
            of(&totals.connections),
            resident_bytes as f64 / MIB
        );
    }
    let found = ledger.totals.hits.load(Ordering::Relaxed);
    if found == 0 && !ledger.is_over() {
        bail!("no value was ever read");
    }
    Ok(readings)
}

fn judge_memory(args: &Args, readings: &[u64]) -> Result<()> {
    match verdict(readings) {
        Verdict::Flat(percent) => {
            println!("soak: resident memory is flat: the parts of the run differ by {percent:.2} %");
            Ok(())
        }
        Verdict::NotFlat(percent) => {
            bail!("resident memory is not flat: the parts of the run differ by {percent:.2} %")
        }
        Verdict::TooFew if args.seconds < SHORT_S => {
            println!("soak: RESIDENT MEMORY IS NOT JUDGED: {} cycles are too few", readings.len());
            Ok(())
        }
        Verdict::TooFew => {
            bail!("only {} cycles in {} s: resident memory cannot be judged", readings.len(), args.seconds)
        }
    }
}
