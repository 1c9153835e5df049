//! What a replay found: a table for people, JSON for programs.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::target::{Counts, Target};

/// One server's run.
#[derive(Serialize, Debug)]
pub struct Run {
    /// Program and options, or address.
    pub name: String,
    /// What the cache was given, in MiB; none where the replay did not start the server.
    pub memory_mib: Option<u64>,
    /// Resident memory of the process at the end, in MiB; none where the replay did not start the server.
    pub resident_mib: Option<f64>,
    /// Items in the cache at the end.
    pub items: u64,
    /// All parts together.
    pub total: Part,
    /// Each part of the workload.
    pub parts: Vec<Part>,
    /// Number of gets so far, and miss ratio since the point before.
    pub course: Vec<(u64, f64)>,
}

/// Counts of a part of the workload.
#[derive(Serialize, Debug)]
#[allow(missing_docs, reason = "the fields of `Counts`")]
pub struct Part {
    pub part: &'static str,
    pub gets: u64,
    pub misses: u64,
    pub miss_ratio: f64,
    pub writes: u64,
    pub refused: u64,
}

impl From<&Counts> for Part {
    fn from(counts: &Counts) -> Part {
        let Counts { part, gets, misses, writes, refused } = *counts;
        Part { part, gets, misses, miss_ratio: counts.miss_ratio(), writes, refused }
    }
}

/// Reads what is to be known of a target at the end of its run.
pub fn of(target: &mut Target) -> Result<Run> {
    let resident_mib = match &target.server {
        Some(server) => Some(server.resident_kib()? as f64 / 1024.0),
        None => None,
    };
    Ok(Run {
        name: target.name.clone(),
        memory_mib: target.memory_mib,
        resident_mib,
        items: target.items()?,
        total: (&target.total()).into(),
        parts: target.parts.iter().map(Part::from).collect(),
        course: target.series.points(),
    })
}

const HEADINGS: [&str; 8] = ["server", "-m", "RSS MiB", "items", "part", "gets", "misses", "refused"];

/// A line for each run, and below it one for each part where there are several.
pub fn table(runs: &[Run]) -> String {
    let mut rows = vec![HEADINGS.map(String::from)];
    for run in runs {
        let of_run = [
            run.name.clone(),
            run.memory_mib.map_or("-".into(), |mib| mib.to_string()),
            run.resident_mib.map_or("-".into(), |mib| format!("{mib:.1}")),
            run.items.to_string(),
        ];
        rows.push(row(of_run, &run.total));
        if run.parts.len() > 1 {
            rows.extend(run.parts.iter().map(|part| row(Default::default(), part)));
        }
    }
    aligned(&rows)
}

fn row([name, memory, resident, items]: [String; 4], part: &Part) -> [String; 8] {
    let misses = format!("{:.2} %", 100.0 * part.miss_ratio);
    [name, memory, resident, items, part.part.into(), part.gets.to_string(), misses, part.refused.to_string()]
}

/// The first column to the left, numbers to the right.
fn aligned(rows: &[[String; 8]]) -> String {
    let mut widths = [0; 8];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let [first, rest @ ..] = row;
        let _ = write!(text, "{first:<0$}", widths[0]); // writing to a String cannot fail
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A run of 100 gets with `misses`, in two parts.
    pub fn sample(name: &str, memory_mib: u64, misses: u64) -> Run {
        let part =
            |part, gets, misses| Part::from(&Counts { part, gets, misses, writes: misses, refused: 0 });
        Run {
            name: name.into(),
            memory_mib: Some(memory_mib),
            resident_mib: Some(memory_mib as f64 + 5.25),
            items: 10,
            total: part("all", 100, misses),
            parts: vec![part("first", 50, misses), part("second", 50, 0)],
            course: vec![(50, misses as f64 / 50.0), (100, 0.0)],
        }
    }

    #[test]
    fn a_table_shows_each_run_and_its_parts() {
        let table = table(&[sample("a", 20, 16), sample("longer", 52, 7)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[0], "server  -m  RSS MiB  items    part  gets   misses  refused");
        assert_eq!(lines[1], "a       20     25.2     10     all   100  16.00 %        0");
        assert_eq!(lines[2], "                             first    50  32.00 %        0");
    }

    #[test]
    fn json_has_what_a_plot_needs() {
        let json = serde_json::to_value([sample("a", 20, 16)]).unwrap();
        assert_eq!(json[0]["total"]["miss_ratio"], 0.16);
        assert_eq!(json[0]["resident_mib"], 25.25);
        assert_eq!(json[0]["course"][1][0], 100);
        assert_eq!(json[0]["parts"][0]["part"], "first");
    }
}
