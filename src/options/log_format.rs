//! `--log-format`: the form of the lines on standard error.

use super::error::OptionError;
use super::spec::{Category, OptionSpec, Takes};

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `ringcached: ` and a sentence.
    Text,
    /// `<4>` and a sentence: the priority as journald reads it from a stream (sd-daemon(3)).
    Journal,
    /// An object with `time` (RFC 3339), `level` and `message`.
    Json,
}

/// `--log-format`
pub const LOG_FORMAT: OptionSpec = OptionSpec {
    short: None,
    long: "log-format",
    takes: Takes::Text { name: "name", allowed: "`text`, `journal` or `json`" },
    category: Category::Information,
    default: "journal where standard error is journald's, else text",
    summary: "form of the lines on standard error: text, journal, json",
    details: "`journal` puts the priority in front as journald reads it (`<4>`), so that `journalctl -p` works. `json` is an object \
              a line with `time`, `level` and `message`. What keeps it from starting before the options are read is in the \
              default form.",
};

impl LogFormat {
    /// As typed; nothing where it follows from where standard error leads.
    pub(super) fn parse(typed: Option<&str>) -> Result<Option<LogFormat>, OptionError> {
        match typed {
            None => Ok(None),
            Some("text") => Ok(Some(LogFormat::Text)),
            Some("journal") => Ok(Some(LogFormat::Journal)),
            Some("json") => Ok(Some(LogFormat::Json)),
            Some(other) => Err(LOG_FORMAT.refuse(other)),
        }
    }
}
