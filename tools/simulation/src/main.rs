//! `ringcached-simulation [--seeds N] [--operations M] [--seed S]`: see tools/simulate.

use ringcached_simulation::{Report, run};
use std::process::ExitCode;
use std::time::Instant;

/// Of all seeds together, unless said otherwise.
const OPERATIONS: usize = 1_000_000;
const SEEDS: u64 = 200;

/// One key in so many may be undecided.
const UNDECIDED_ONE_IN: usize = 500;

struct Asked {
    first_seed: u64,
    seeds: u64,
    operations: usize,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked { first_seed: 1, seeds: SEEDS, operations: OPERATIONS };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{word} {value}: not a number"))?;
        match word.as_str() {
            "--seeds" => asked.seeds = number.max(1),
            "--operations" => asked.operations = number as usize,
            "--seed" => (asked.first_seed, asked.seeds) = (number, 1),
            "--first" => asked.first_seed = number,
            _ => return Err(format!("{word}: known are --seeds, --operations, --first and --seed")),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let Asked { first_seed, seeds, operations } = match asked() {
        Ok(asked) => asked,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    let per_seed = operations.div_ceil(seeds as usize);
    let began = Instant::now();
    let mut sum = Report::default();
    let mut failed = Vec::new();
    let mut undecided = 0;
    for seed in first_seed..first_seed + seeds {
        let report = std::panic::catch_unwind(|| run(seed, per_seed)).unwrap_or_else(|_| Report {
            seed,
            failure: Some("the server panicked, see above".into()),
            ..Report::default()
        });
        if let Some(failure) = &report.failure {
            eprintln!(
                "seed {seed}: {failure}\nagain: tools/simulate --operations {per_seed} --seed {seed}\n"
            );
            failed.push(seed);
        }
        sum.operations += report.operations;
        sum.answered += report.answered;
        sum.steps += report.steps;
        sum.evictions += report.evictions;
        sum.keys += report.keys;
        if !report.undecided.is_empty() {
            eprintln!("seed {seed}: undecided keys {:?}", report.undecided);
        }
        undecided += report.undecided.len();
        sum.trace = sum.trace.rotate_left(1) ^ report.trace;
    }
    let Report { operations, answered, steps, evictions, keys, trace, .. } = sum;
    println!(
        "{seeds} seeds from {first_seed}: {operations} operations, {answered} answered, {steps} steps, {evictions} evictions, \
         {undecided} of {keys} keys undecided, trace {trace:016x}, {:.1} s",
        began.elapsed().as_secs_f64()
    );
    if undecided * UNDECIDED_ONE_IN > keys {
        eprintln!("too many keys are undecided for the check to mean much");
        return ExitCode::FAILURE;
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
