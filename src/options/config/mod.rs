//! The configuration file: TOML whose keys are the settings of the option table. `read` checks a file and turns it into
//! words as a command line has them, so that there is one meaning of every option; `value` writes a setting as TOML, and
//! `page` the commented file of `--print-config` and of the package.

mod page;
mod read;
#[cfg(test)]
mod tests;
pub(super) mod value;

use super::extended::{KEYS, KeySpec};
use super::spec::{Category, OptionSpec, Takes};
use super::table::{CONFIG, EXTENDED, HELP, LICENSE, PRINT_CONFIG, TABLE, VERBOSE, VERSION};

pub(super) use page::page;
pub(super) use read::ConfigFile;

/// The table of a file that has the keys of `-o`.
const SUBTABLE: &str = "extended";

/// Most `-v` that say more than one less.
const VERBOSITY_MAX: i64 = 3;

/// Rows that are no settings: questions, and what the file has in other ways.
const NO_SETTINGS: [&OptionSpec; 6] = [&CONFIG, &PRINT_CONFIG, &EXTENDED, &HELP, &VERSION, &LICENSE];

/// The settings that a running server changes at SIGHUP; `operate::reload` does.
const LIVE: [&str; 6] =
    ["conn_limit", "log_format", "max_reqs_per_event", "memory_limit", "verbose", "extended.idle_timeout"];

/// A key of a configuration file.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// An option.
    Row(&'static OptionSpec),
    /// A key of `-o`, in the table `[extended]`.
    Sub(&'static KeySpec),
}

/// How a value is written.
enum Form {
    /// `true` or `false`.
    Switch,
    /// A whole number between two limits, both included.
    Whole { min: i64, max: i64 },
    /// A number.
    Real,
    /// A string.
    Text,
    /// An array of strings.
    List,
}

impl Key {
    /// Every key, in the order of the file.
    pub fn all() -> impl Iterator<Item = Key> {
        let is_setting = |spec: &&&'static OptionSpec| {
            spec.category != Category::Unsupported && NO_SETTINGS.iter().all(|other| other.long != spec.long)
        };
        let of_category = move |category| TABLE.iter().filter(move |spec| spec.category == category);
        let rows = Category::ALL.into_iter().flat_map(of_category).filter(is_setting);
        // `no_maxconns_fast` is `maxconns_fast = false`.
        let subs = KEYS.iter().filter(|sub| sub.works() && sub.negated().is_none());
        rows.map(|spec| Key::Row(spec)).chain(subs.map(Key::Sub))
    }

    /// Its name from the top of the file: `port`, `extended.idle_timeout`.
    pub fn name(self) -> String {
        match self {
            Key::Row(_) => self.word(),
            Key::Sub(_) => format!("{SUBTABLE}.{}", self.word()),
        }
    }

    /// Its name within its table: of an option [`OptionSpec::key`].
    fn word(self) -> String {
        match self {
            Key::Row(spec) => spec.key(),
            Key::Sub(sub) => sub.word.to_string(),
        }
    }

    /// Whether a running server changes it at SIGHUP.
    pub fn is_live(self) -> bool {
        LIVE.contains(&self.name().as_str())
    }

    /// How it is written on the command line.
    fn option(self) -> String {
        match self {
            Key::Row(spec) => spec.name(),
            Key::Sub(sub) => format!("-o {}", sub.usage()),
        }
    }

    /// The name of its value.
    fn value_name(self) -> &'static str {
        match self {
            Key::Row(spec) => spec.value_name().unwrap_or_default(),
            Key::Sub(sub) => sub.value,
        }
    }

    /// What holds without it, in words; empty where the absence says it all.
    fn default(self) -> String {
        match (self, self.form()) {
            (Key::Row(spec), Form::Switch) if spec.default.is_empty() => "false".to_string(),
            (Key::Row(spec), _) if spec.long == VERBOSE.long => "0".to_string(),
            (Key::Row(spec), _) => spec.default.to_string(),
            (Key::Sub(sub), _) => {
                sub.number.map_or(sub.is_default().to_string(), |number| number.default.to_string())
            }
        }
    }

    fn form(self) -> Form {
        match self {
            Key::Row(spec) => match spec.takes {
                Takes::Nothing => Form::Switch,
                Takes::Repetition => Form::Whole { min: 0, max: VERBOSITY_MAX },
                Takes::Integer { min, max, .. } => Form::Whole { min, max },
                Takes::Real { .. } => Form::Real,
                Takes::Text { .. } => Form::Text,
                Takes::List { .. } => Form::List,
            },
            Key::Sub(sub) => match sub.number {
                Some(number) => Form::Whole { min: number.min.into(), max: number.max.into() },
                None => Form::Switch,
            },
        }
    }

    /// What its value must be, to go after "must be".
    fn allowed(self) -> String {
        let words = match self {
            Key::Row(spec) => spec.allowed(),
            Key::Sub(sub) => sub.number.map(|number| number.allowed()).unwrap_or_default(),
        };
        match self.form() {
            Form::Switch => "true or false".to_string(),
            Form::Whole { min, max } if words.is_empty() => format!("a whole number from {min} to {max}"),
            Form::Whole { .. } | Form::Real => words,
            Form::Text => format!("a string: {words}"),
            Form::List => format!("an array of strings: {words}"),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Key {}
