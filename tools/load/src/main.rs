//! The load generator as a program: what was typed, the load, the report. See the library.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use clap::Parser;

use ringcached_load::args::Args;
use ringcached_load::keys::Keys;
use ringcached_load::target::Target;
use ringcached_load::{plot, report, run};

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
