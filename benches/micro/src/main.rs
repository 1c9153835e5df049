//! Counts the instructions of each operation and holds them against the committed baseline: docs/micro.md.
//!
//! `check` fails where an operation takes over 5 % more than in the baseline, `renew` writes the baseline anew.

mod baseline;
mod callgrind;

use baseline::{Counts, RENEW, change_pct};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.tsv");
const USAGE: &str = "usage: ringcached-micro check|renew";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => check(),
        ["renew"] => renew(),
        // What `check` and `renew` have valgrind run.
        ["run"] => {
            callgrind::run_operations();
            Ok(())
        }
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the profiles are left: beside the program, below target/.
fn profiles() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    Ok(program.parent().unwrap_or(Path::new(".")).join("micro"))
}

fn check() -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(BASELINE)
        .map_err(|error| format!("cannot read {BASELINE} ({error}); {RENEW} writes it"))?;
    let base = Counts::parse(&text)?;
    let counts = callgrind::count(&profiles()?)?;
    show(&counts, &base);
    let differences = counts.differences(&base);
    if !differences.is_empty() {
        let advice = format!(
            "These counts and the baseline's cannot be compared. Check out the last commit that passed, run \
             {RENEW} there, bring {BASELINE} from there to this commit, and check again."
        );
        return Err([differences, vec![advice]].concat().join("\n").into());
    }
    let regressions = counts.regressions(&base);
    if regressions.is_empty() { Ok(()) } else { Err(regressions.join("\n").into()) }
}

fn renew() -> Result<(), Box<dyn Error>> {
    let counts = callgrind::count(&profiles()?)?;
    let base =
        std::fs::read_to_string(BASELINE).map_or_else(|_| Ok(Counts::default()), |text| Counts::parse(&text));
    show(&counts, &base.unwrap_or_default());
    std::fs::write(BASELINE, counts.to_text())
        .map_err(|error| format!("cannot write {BASELINE} ({error})").into())
}

/// Prints each operation with its change.
fn show(counts: &Counts, base: &Counts) {
    for (name, now) in &counts.instructions {
        let change = base
            .instructions_of(name)
            .map_or("new".into(), |before| format!("{:+.1} %", change_pct(before, *now)));
        println!("{now:8.1} instructions  {change:>8}  {name}");
    }
}
