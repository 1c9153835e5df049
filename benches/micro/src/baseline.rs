//! The committed counts, and what a new count has to say against them.
//!
//! The file is lines of words parted by TABs: first what decides about instructions beside the source (`made with`), then
//! the operations. Its order is that of the operations, so that a renewal is read as a diff.

use std::fmt::Write as _;

/// More instructions than in the baseline by up to this much pass.
pub const ALLOWED_PCT: f64 = 5.0;
/// What renews the baseline.
pub const RENEW: &str = "cargo run --release -p ringcached-micro -- renew";

const HEAD: &str = "# Instructions for one request of each operation: docs/micro.md. Written by\n# ";
const MADE_WITH: &str = "made with";

/// What was counted, and with what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Compiler, target, C library, valgrind and the processor that it shows: name and version.
    pub made_with: Vec<(String, String)>,
    /// Instructions for one request, by operation.
    pub instructions: Vec<(String, f64)>,
}

/// A line of the baseline that is neither of the two kinds.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("line {number} of the baseline is not understood: {line:?}; {RENEW} writes it anew")]
pub struct BadLine {
    number: usize,
    line: String,
}

impl Counts {
    /// Reads what [`Counts::to_text`] wrote.
    pub fn parse(text: &str) -> Result<Counts, BadLine> {
        let mut counts = Counts::default();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let words: Vec<_> = line.split('\t').collect();
            match words[..] {
                [MADE_WITH, name, version] => counts.made_with.push((name.into(), version.into())),
                [name, count] if let Ok(count) = count.parse() => {
                    counts.instructions.push((name.into(), count));
                }
                _ => return Err(BadLine { number: at + 1, line: line.into() }),
            }
        }
        Ok(counts)
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}{RENEW}\n");
        for (name, version) in &self.made_with {
            _ = writeln!(text, "{MADE_WITH}\t{name}\t{version}"); // a String takes all
        }
        for (name, count) in &self.instructions {
            _ = writeln!(text, "{name}\t{count:.1}");
        }
        text
    }

    /// Where these counts were made with something else than `base`: nothing can be said about the operations then.
    pub fn differences(&self, base: &Counts) -> Vec<String> {
        let version = |of: &Counts, name: &str| {
            let found = of.made_with.iter().find(|(known, _)| known == name);
            found.map_or("nothing".into(), |(_, version)| version.clone())
        };
        let names = self.made_with.iter().chain(&base.made_with).map(|(name, _)| name.as_str());
        let mut differences = Vec::new();
        for name in names {
            let (before, now) = (version(base, name), version(self, name));
            let difference = format!("{name}: {now} here, {before} in the baseline");
            if before != now && !differences.contains(&difference) {
                differences.push(difference);
            }
        }
        differences
    }

    /// A sentence for each operation that takes over [`ALLOWED_PCT`] more than in `base`, or is in one of them only.
    pub fn regressions(&self, base: &Counts) -> Vec<String> {
        let mut sentences = Vec::new();
        for (name, now) in &self.instructions {
            match base.instructions_of(name) {
                None => sentences.push(format!("{name}: {now:.1} instructions, and not in the baseline. {RENEW}")),
                Some(before) if *now > before * (1.0 + ALLOWED_PCT / 100.0) => sentences.push(format!(
                    "{name}: {now:.1} instructions, {before:.1} in the baseline: {:+.1} %, and up to {ALLOWED_PCT} % \
                     are allowed. If that is intended: {RENEW}",
                    change_pct(before, *now),
                )),
                Some(_) => {}
            }
        }
        for (name, _) in &base.instructions {
            if self.instructions_of(name).is_none() {
                sentences.push(format!("{name}: in the baseline, but no operation. {RENEW}"));
            }
        }
        sentences
    }

    /// The count of an operation.
    pub fn instructions_of(&self, name: &str) -> Option<f64> {
        self.instructions.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

/// By how much `now` is more than `before`.
pub fn change_pct(before: f64, now: f64) -> f64 {
    100.0 * (now / before - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(compiler: &str, instructions: &[(&str, f64)]) -> Counts {
        Counts {
            made_with: vec![("compiler".into(), compiler.into())],
            instructions: instructions.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let counts = counts("rustc 1.95.0", &[("parse: get", 120.5), ("store: get", 99.0)]);
        assert_eq!(Counts::parse(&counts.to_text()), Ok(counts));
        assert!(Counts::parse("parse: get\tmany").is_err_and(|bad| bad.number == 1));
    }

    #[test]
    fn up_to_five_percent_more_passes() {
        let base = counts("", &[("a", 100.0), ("b", 100.0)]);
        assert!(counts("", &[("a", 105.0), ("b", 20.0)]).regressions(&base).is_empty());
        let sentences = counts("", &[("a", 105.1), ("b", 100.0)]).regressions(&base);
        assert_eq!(sentences.len(), 1);
        for part in ["a: 105.1 instructions", "100.0 in the baseline", "+5.1 %", RENEW] {
            assert!(sentences[0].contains(part), "{sentences:?}");
        }
    }

    #[test]
    fn operations_on_one_side_only_are_told() {
        let (one, other) = (counts("", &[("a", 1.0)]), counts("", &[("b", 1.0)]));
        let sentences = one.regressions(&other);
        assert!(sentences.len() == 2 && sentences[0].starts_with("a: ") && sentences[1].starts_with("b: "));
    }

    #[test]
    fn another_compiler_is_told() {
        let (one, other) = (counts("rustc 1.95.0", &[]), counts("rustc 1.96.0", &[]));
        assert!(one.differences(&one).is_empty());
        assert_eq!(one.differences(&other), ["compiler: rustc 1.95.0 here, rustc 1.96.0 in the baseline"]);
        assert_eq!(one.differences(&Counts::default()).len(), 1);
        assert_eq!(Counts::default().differences(&one).len(), 1);
    }
}
