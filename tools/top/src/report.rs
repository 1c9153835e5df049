//! What a server answers to one `stats` command: lines `STAT name value` and an `END`, or one line that says no.
//!
//! Nothing in it is trusted. Lengths are bounded, and every byte that is not printable ASCII becomes `\xNN` here, so what is
//! behind this module can be put on a terminal as it is.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

/// The longest line, in bytes with its end: a key of 250 bytes, each written as three, has 750.
pub const LINE_BYTES_MAX: usize = 4096;
/// The most lines of an answer: `stats items` has 28 for each of at most 250 size classes.
pub const LINES_MAX: usize = 16_384;
/// The most rows of a table, a row being all that is told of one shard, class or key.
pub const ROWS_MAX: usize = 1024;

/// An answer: the report, or the server's words where it does not give one.
pub type Answer = Result<Report, String>;

/// Names and values, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(Vec<(String, String)>);

/// What is told of one shard, class or key, by name.
pub type Row<'a> = BTreeMap<&'a str, &'a str>;

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server has closed it.
    #[error("the server has closed the connection")]
    Closed,
    /// Beyond a bound of this module.
    #[error("an answer has more than {0} {1}")]
    TooLong(usize, &'static str),
    /// Somebody else's protocol.
    #[error("this is no answer to `stats`: {0}")]
    Foreign(String),
}

impl Report {
    /// Reads one answer.
    ///
    /// # Errors
    /// It is cut off, longer than it may be or no answer to `stats`. Nothing can be read behind it then.
    pub fn read(from: &mut impl BufRead) -> Result<Answer, ReadError> {
        let mut report = Report::default();
        loop {
            let line = line(from)?;
            let Some(stat) = line.strip_prefix("STAT ") else {
                let is_refusal = ["ERROR", "CLIENT_ERROR", "SERVER_ERROR"]
                    .iter()
                    .any(|word| line.split(' ').next() == Some(word));
                return match line.as_str() {
                    "END" => Ok(Ok(report)),
                    _ if is_refusal && report.0.is_empty() => Ok(Err(line)),
                    _ => Err(ReadError::Foreign(line)),
                };
            };
            if report.0.len() == LINES_MAX {
                return Err(ReadError::TooLong(LINES_MAX, "lines"));
            }
            let (name, value) = stat.split_once(' ').unwrap_or((stat, ""));
            report.0.push((name.to_string(), value.to_string()));
        }
    }

    /// The value of a name, the first one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same, if it is a count.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The same, if it is an amount.
    pub fn amount(&self, name: &str) -> Option<f64> {
        amount(self.text(name)?)
    }

    /// The rows of a table: lines whose name is `<prefix><number>:<name>`, by number.
    pub fn rows(&self, prefix: &str) -> BTreeMap<u32, Row<'_>> {
        let mut rows: BTreeMap<u32, Row<'_>> = BTreeMap::new();
        for (name, value) in &self.0 {
            let Some((row, name)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once(':')) else {
                continue;
            };
            let Ok(row) = row.parse() else { continue };
            if rows.len() < ROWS_MAX || rows.contains_key(&row) {
                rows.entry(row).or_default().insert(name, value);
            }
        }
        rows
    }

    /// The words that stand before a `:`, in the order they came; of equal neighbours one.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for (group, _) in self.0.iter().filter_map(|(name, _)| name.split_once(':')) {
            if groups.len() < ROWS_MAX && groups.last() != Some(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

/// A number that is one: finite and not negative.
pub fn amount(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// The next line without its end, printable.
pub fn line(from: &mut impl BufRead) -> Result<String, ReadError> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => {}
        Some(_) if line.len() + 1 == LINE_BYTES_MAX => {
            return Err(ReadError::TooLong(LINE_BYTES_MAX, "bytes in a line"));
        }
        _ => return Err(ReadError::Closed),
    }
    Ok(printable(line.strip_suffix(b"\r").unwrap_or(&line)))
}

/// Bytes as printable ASCII: any other byte is written `\xNN`.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Result<Answer, ReadError> {
        Report::read(&mut text.as_ref())
    }

    fn report(text: &str) -> Report {
        read(format!("{text}END\r\n")).expect("well-formed").expect("a report")
    }

    #[test]
    fn names_have_values() {
        let report = report("STAT pid 12\r\nSTAT rusage_user 0.5\r\nSTAT version 1.6 beta\r\nSTAT empty\r\n");
        assert_eq!(report.count("pid"), Some(12));
        assert_eq!(report.amount("rusage_user"), Some(0.5));
        assert_eq!(report.text("version"), Some("1.6 beta"));
        assert_eq!(report.text("empty"), Some(""));
        assert_eq!(
            (report.count("absent"), report.count("version"), report.amount("empty")),
            (None, None, None)
        );
    }

    #[test]
    fn numbers_that_are_none_are_absent() {
        let report =
            report("STAT a -1\r\nSTAT b 18446744073709551616\r\nSTAT c NaN\r\nSTAT d inf\r\nSTAT e -0.1\r\n");
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(report.count(name), None, "{name}");
        }
        for name in ["a", "c", "d", "e"] {
            assert_eq!(report.amount(name), None, "{name}");
        }
    }

    #[test]
    fn rows_are_gathered_by_number() {
        let report = report(
            "STAT items:5:number 2\r\nSTAT items:12:number 3\r\nSTAT items:5:age 1\r\nSTAT items:x:age 1\r\nSTAT 5:age 1\r\n",
        );
        let rows = report.rows("items:");
        assert_eq!(rows.keys().collect::<Vec<_>>(), [&5, &12]);
        assert_eq!(rows[&5], Row::from([("number", "2"), ("age", "1")]));
        assert_eq!(report.rows("").len(), 1);
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        assert_eq!(read("ERROR\r\n").expect("read"), Err("ERROR".to_string()));
        let refused = "CLIENT_ERROR unauthenticated";
        assert_eq!(read(format!("{refused}\r\n")).expect("read"), Err(refused.to_string()));
    }

    #[test]
    fn one_answer_is_taken_at_a_time() {
        let mut answers = &b"STAT a 1\r\nEND\r\nERROR\r\nEND\r\n"[..];
        assert_eq!(Report::read(&mut answers).expect("read").expect("a report").count("a"), Some(1));
        assert!(Report::read(&mut answers).expect("read").is_err());
        assert_eq!(Report::read(&mut answers).expect("read"), Ok(Report::default()));
        assert!(matches!(Report::read(&mut answers), Err(ReadError::Closed)));
    }

    #[test]
    fn nothing_can_write_to_the_terminal() {
        let report = read(b"STAT 0:key \x1b[2J\x1b]0;owned\x07\x9b\xc2\x9b31m\r\r\nEND\r\n")
            .expect("read")
            .expect("a report");
        assert_eq!(report.text("0:key"), Some(r"\x1b[2J\x1b]0;owned\x07\x9b\xc2\x9b31m\x0d"));
        assert_eq!(read(b"ERROR \x1b[2J\r\n").expect("read"), Err(r"ERROR \x1b[2J".to_string()));
        assert!(matches!(read(b"\x1b[2J\r\n"), Err(ReadError::Foreign(line)) if line == r"\x1b[2J"));
    }

    #[test]
    fn strangers_and_floods_are_refused() {
        assert!(matches!(read("HTTP/1.1 400 Bad Request\r\n"), Err(ReadError::Foreign(_))));
        assert!(matches!(read("STAT a 1\r\nERROR\r\n"), Err(ReadError::Foreign(_))));
        assert!(matches!(read("VALUE a 0 1\r\na\r\nEND\r\n"), Err(ReadError::Foreign(_))));
        assert!(matches!(read(""), Err(ReadError::Closed)));
        assert!(matches!(read("STAT a 1\r\nEN"), Err(ReadError::Closed)));
        assert!(matches!(read("x".repeat(LINE_BYTES_MAX + 1)), Err(ReadError::TooLong(..))));
        assert!(matches!(read("STAT a 1\n".repeat(LINES_MAX + 1)), Err(ReadError::TooLong(..))));
        let many: String = (0..2 * ROWS_MAX).map(|i| format!("STAT {i}:a 1\r\n")).collect();
        assert_eq!(report(&many).rows("").len(), ROWS_MAX);
        assert_eq!(report(&many).groups().len(), ROWS_MAX);
    }
}
