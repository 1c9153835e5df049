//! Why a command line is refused. Each error is one sentence that names the option, the value and what is allowed.

use std::path::PathBuf;

/// A command line that cannot be served. Rendered by the caller; nothing in this module prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A value outside of what its option allows.
    #[error("{option} `{value}`: must be {allowed}")]
    Value {
        /// The option as it is written, `-p, --port` or `-o idle_timeout`.
        option: String,
        /// The value as it was typed.
        value: String,
        /// What it has to be instead.
        allowed: String,
    },
    /// An option that takes a value stands alone.
    #[error("{option}: needs a value")]
    MissingValue {
        /// The option and its value's name.
        option: String,
    },
    /// A switch was given a value.
    #[error("{option}: takes no value")]
    UnexpectedValue {
        /// The option.
        option: String,
    },
    /// No such option, or a shortened long name that fits several.
    #[error("unknown option `{option}`: `ringcached -h` lists all of them")]
    Unknown {
        /// As typed.
        option: String,
    },
    /// An argument that is not UTF-8.
    #[error("an argument is not valid UTF-8: options, paths and names must be")]
    NotUtf8,
    /// A `-o` word nobody knows; memcached's own wording.
    #[error("Illegal suboption \"{0}\"")]
    IllegalSuboption(String),
    /// memcached has it, this version does not, and going on without would not be what was asked for.
    #[error("{option}: not supported by this version of ringcached; {remedy}")]
    Unsupported {
        /// The option as it is written.
        option: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The file of `--config` is not there or no text.
    #[error("--config `{path}`: cannot be read: {error}")]
    ConfigUnreadable {
        /// As it was typed.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// A key or a value of that file.
    #[error("{path}:{line}: {what}")]
    ConfigLine {
        /// As it was typed.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key, the value, and what is allowed.
        what: String,
    },
    /// Each value is fine, together they are not.
    #[error("{0}")]
    Conflict(String),
}

/// Exit status for a refused value, as memcached's.
const EXIT_VALUE: u8 = 1;

/// Exit status for options that do not go together (`EX_USAGE` of `sysexits.h`), as memcached's.
const EXIT_USAGE: u8 = 64;

/// Exit status when the system refuses something (`EX_OSERR`), as memcached's.
const EXIT_SYSTEM: u8 = 71;

impl OptionError {
    /// The status the process ends with: 1 for a value, 64 for a combination or an option that is not there yet, 71 for a
    /// file that cannot be read.
    pub fn exit_status(&self) -> u8 {
        match self {
            OptionError::Unsupported { .. } | OptionError::Conflict(_) => EXIT_USAGE,
            OptionError::ConfigUnreadable { .. } => EXIT_SYSTEM,
            _ => EXIT_VALUE,
        }
    }
}
