//! A load generator for servers of the memcached protocol. It measures them in a closed loop (as fast as the answers allow)
//! or an open one (at a fixed rate, whatever the server does), and checks every byte it reads.
//!
//! What is asked for: [`keys`], values ([`content`]), and what is drawn at random ([`draw`]). [`protocol`] makes requests of it and
//! reads answers, for one [`connection`]. Each thread is a [`worker`] with its own [`ring`]; [`tally`] is what it counts.
//! [`target`] knows the server, [`report`] and [`plot`] say what came out.

mod args;
mod connection;
mod content;
mod draw;
mod keys;
mod plot;
mod protocol;
mod report;
mod ring;
mod run;
mod tally;
mod target;
mod worker;

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use clap::Parser;

use args::Args;
use keys::Keys;
use target::Target;

fn main() -> Result<()> {
    let args = Args::parse();
    args.check()?;
    let target = Target::find(&args)?;
    let mut keys = Keys::new(args.keys, usize::from(args.key_size));
    if let (Some(shards), Some(partition)) = (target.shards, args.partition) {
        keys.divide(partition, shards).map_err(|shard| {
            anyhow!("none of the {} keys belongs to shard {shard}: more --keys", args.keys)
        })?;
    }
    if args.fill {
        let filled = run::fill(&args, &target, &keys)?;
        eprintln!(
            "{} keys stored, {} refused, in {:.1} s",
            filled.sets.len(),
            filled.refused,
            filled.elapsed_s
        );
    }
    if args.requests == Some(0) {
        return Ok(());
    }
    let tally = run::load(&args, &target, &keys)?;
    let report = report::Report::new(&args, &target, &tally);
    print!("{}", report.text());
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(file) = &args.plot {
        write(file, &plot::percentiles(&tally)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{}", path.display()))
}
