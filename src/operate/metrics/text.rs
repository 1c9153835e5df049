//! The text format of Prometheus, version 0.0.4: families of samples, each family in one piece with its help and its type.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>
//!
//! (The library `prometheus-client` writes OpenMetrics, where every counter has to end in `_total`: with it the names that
//! memcached's dashboards ask for cannot be had.)

use std::fmt::{self, Display, Write};

/// What the samples of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for a start or `stats reset`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of what was not above each of some bounds.
    Histogram,
    /// One of these, under a name that promises another.
    Untyped,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Untyped => "untyped",
        }
    }
}

/// A label of a sample and its value.
pub type Label<'a> = (&'a str, &'a dyn Display);

/// The text being written.
pub struct Exposition(String);

impl Exposition {
    /// With room for so many bytes before it has to grow.
    pub fn with_capacity(bytes: usize) -> Exposition {
        Exposition(String::with_capacity(bytes))
    }

    /// Begins a family, to be followed by its samples. `help` is one line without a backslash.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
    }

    /// One sample with its labels.
    pub fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let opening = if n == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{opening}{label}=\"");
            let _ = write!(Escaped(&mut self.0), "{text}");
            self.0.push('"');
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{closing} {value}");
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole text.
    pub fn end(self) -> String {
        self.0
    }
}

/// The value of a label on its way into the text.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, mut piece: &str) -> fmt::Result {
        // Hardly ever is there anything to escape.
        while let Some(at) = piece.find(['\\', '"', '\n']) {
            let (plain, rest) = piece.split_at(at);
            self.0.push_str(plain);
            self.0.push_str(match rest.as_bytes() {
                [b'"', ..] => "\\\"",
                [b'\n', ..] => "\\n",
                _ => "\\\\",
            });
            piece = &rest[1..];
        }
        self.0.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_samples_are_written_as_the_format_says() {
        let mut text = Exposition::with_capacity(0);
        text.family("a_total", Kind::Counter, "What a does.");
        text.sample("a_total", &[], 7);
        text.family("b_seconds", Kind::Gauge, "What b is.");
        text.sample("b_seconds", &[("shard", &0), ("name", &"a \"b\" \\\n")], 0.25);
        let want = "# HELP a_total What a does.\n# TYPE a_total counter\na_total 7\n# HELP b_seconds What b is.\n\
                    # TYPE b_seconds gauge\nb_seconds{shard=\"0\",name=\"a \\\"b\\\" \\\\\\n\"} 0.25\n";
        assert_eq!(text.len(), want.len());
        assert_eq!(text.end(), want);
    }
}
