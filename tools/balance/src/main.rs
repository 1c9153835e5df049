//! Spreads the keys of a trace over 1 to 128 shards by every partition function of the server and says how much busier the
//! hottest shard is than the mean; and what it would buy to read the hottest keys on every shard.
//!
//! [`load`] is the trace with its objects named as keys, [`spread`] puts it on shards, [`plot`] draws what came out.

mod load;
mod plot;
mod spread;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use ringcached::options::Partition;

use load::{Load, Pattern, Trace};
use plot::Chart;
use spread::{Balance, course, hottest_key_alone};

const PARTITIONS: [Partition; 4] =
    [Partition::Seeded, Partition::Crc32a, Partition::Fnv1a32, Partition::Fnv1a64];

/// Counts of shards that have a column in the tables.
const SHOWN: [usize; 10] = [2, 3, 4, 6, 8, 12, 16, 32, 64, 128];

/// Counts of hottest keys to be read everywhere.
const REPLICATED: [usize; 5] = [0, 1, 10, 100, 1000];

/// How evenly shards share the load of a trace.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// The trace: CSV compressed with zstd that has a column `object`, a row for each read
    trace: PathBuf,

    /// Where to write the picture
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let named = || format!("trace {}", args.trace.display());
    let trace = Trace::read(File::open(&args.trace).with_context(named)?).with_context(named)?;
    let shards_max = SHOWN[SHOWN.len() - 1];
    let mut charts = Vec::new();
    for pattern in Pattern::ALL {
        let mut load = Load::new(&trace, pattern);
        let courses =
            PARTITIONS.map(|partition| (partition.word(), course(&mut load, partition, shards_max, 0)));
        println!("\nKeys `{}`: hottest shard over mean, in requests (in keys)\n", pattern.name());
        table(&courses.each_ref().map(|(word, course)| (word.to_string(), course.as_slice())), true);
        match pattern {
            Pattern::User => {
                let mut lines = courses.map(|(word, course)| (word.to_string(), requests(&course))).to_vec();
                let alone = (1..=shards_max).map(|shards| hottest_key_alone(&load, shards)).collect();
                lines.push(("the hottest key alone".into(), alone));
                charts.push(chart("Requests by partition function, keys user:N", lines));
                charts.push(replicas(&mut load, shards_max));
            }
            Pattern::Pair => {
                let lines = courses.map(|(word, course)| {
                    (word.to_string(), course.iter().map(|balance| balance.keys).collect::<Vec<f64>>())
                });
                charts.push(chart("Keys (not requests) by partition function, keys a:N:N", lines.to_vec()));
            }
            _ => {}
        }
    }
    if let Some(file) = &args.plot {
        std::fs::write(file, plot::draw(&charts)?).with_context(|| format!("plot {}", file.display()))?;
    }
    Ok(())
}

/// The hottest keys are read on every shard.
fn replicas(load: &mut Load, shards_max: usize) -> Chart {
    let courses = REPLICATED.map(|keys| {
        let share = 100.0 * load.reads_of_hottest(keys) as f64 / load.reads() as f64;
        (format!("{keys} keys, {share:.1} % of reads"), course(load, Partition::Seeded, shards_max, keys))
    });
    println!(
        "\nThe hottest keys read on every shard, the others by `seeded`: hottest shard over mean, in requests\n"
    );
    table(&courses.each_ref().map(|(name, course)| (name.clone(), course.as_slice())), false);
    let lines = courses.map(|(name, course)| (name, requests(&course)));
    chart("Requests with the hottest keys read on every shard, seeded", lines.to_vec())
}

fn requests(course: &[Balance]) -> Vec<f64> {
    course.iter().map(|balance| balance.requests).collect()
}

fn chart(title: &str, lines: Vec<(String, Vec<f64>)>) -> Chart {
    Chart { title: title.into(), unit: "hottest shard / mean", lines }
}

fn table(rows: &[(String, &[Balance])], with_keys: bool) {
    println!("| shards | {} |", SHOWN.map(|shards| shards.to_string()).join(" | "));
    println!("|---|{}", "---|".repeat(SHOWN.len()));
    for (name, course) in rows {
        let cell = |shards: usize| match course[shards - 1] {
            Balance { requests, keys } if with_keys => format!("{requests:.2} ({keys:.2})"),
            Balance { requests, .. } => format!("{requests:.2}"),
        };
        println!("| {name} | {} |", SHOWN.map(cell).join(" | "));
    }
}
