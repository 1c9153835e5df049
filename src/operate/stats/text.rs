//! Lines of `STAT <name> <value>`.

use std::fmt::{Display, Write as _};

/// A report being written.
#[derive(Default)]
pub struct Stats(String);

impl Stats {
    /// Adds one line.
    pub fn put(&mut self, name: impl Display, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "STAT {name} {value}\r\n");
    }

    /// Ends the report.
    pub fn end(mut self) -> Vec<u8> {
        self.0.push_str("END\r\n");
        self.0.into_bytes()
    }
}
