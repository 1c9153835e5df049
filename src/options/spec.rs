//! The type of a row of the option table. Everything said about an option elsewhere (`-h`, `docs/options.md`, the
//! manual page, the configuration file and its comments, the sentence that refuses a value) is made from its row, so they
//! cannot disagree.

use super::error::OptionError;

/// One command line option.
#[derive(Debug)]
pub struct OptionSpec {
    /// The letter, memcached's where memcached has the option. Ours have none: the free letters stay memcached's.
    pub short: Option<char>,
    /// The long name without its dashes; also the option's identity inside the parser.
    pub long: &'static str,
    /// What may follow it.
    pub takes: Takes,
    /// The heading it stands under.
    pub category: Category,
    /// What holds when it is not given, as text; empty where the absence says it all.
    pub default: &'static str,
    /// One line, for `-h`.
    pub summary: &'static str,
    /// What a reader of the reference wants to know besides; may be empty.
    pub details: &'static str,
}

/// What an option takes, and within which limits.
#[derive(Debug)]
pub enum Takes {
    /// Nothing: a switch.
    Nothing,
    /// Nothing, and each repetition counts (`-vv`).
    Repetition,
    /// A whole number between two limits, both included.
    Integer {
        /// The value's name in the usage; names the unit where there is one.
        name: &'static str,
        /// The smallest allowed.
        min: i64,
        /// The largest allowed.
        max: i64,
    },
    /// A number, not only a whole one, above a limit.
    Real {
        /// The value's name in the usage.
        name: &'static str,
        /// What it has to be greater than.
        above: f64,
    },
    /// Text with a grammar of its own.
    Text {
        /// The value's name in the usage.
        name: &'static str,
        /// What is allowed, to go after "must be".
        allowed: &'static str,
    },
    /// Like `Text`, and every repetition adds to the earlier ones instead of replacing them.
    List {
        /// The value's name in the usage.
        name: &'static str,
        /// What is allowed, to go after "must be".
        allowed: &'static str,
    },
}

impl Takes {
    /// Is it one that counts?
    pub fn is_repetition(&self) -> bool {
        matches!(self, Takes::Repetition)
    }
}

/// The headings of the usage text and of the reference, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Sockets and connections.
    Network,
    /// How much is kept, and how.
    Memory,
    /// Shards and the cores they run on.
    Cores,
    /// What clients may ask for.
    Commands,
    /// The process: user, limits, daemon.
    Process,
    /// Output, and questions answered without serving.
    Information,
    /// memcached's options that this version does not have.
    Unsupported,
}

impl Category {
    /// Every category, in the order of the usage text.
    pub const ALL: [Category; 7] = [
        Category::Network,
        Category::Memory,
        Category::Cores,
        Category::Commands,
        Category::Process,
        Category::Information,
        Category::Unsupported,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Category::Network => "Network",
            Category::Memory => "Memory",
            Category::Cores => "Cores",
            Category::Commands => "Commands",
            Category::Process => "Process",
            Category::Information => "Information",
            Category::Unsupported => "Of memcached, not in this version",
        }
    }
}

impl OptionSpec {
    /// How the option is written: `-p, --port`.
    pub fn name(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }

    /// Its key in a configuration file: the long name with `_` for `-`, as the keys of `-o` are written.
    pub fn key(&self) -> String {
        self.long.replace('-', "_")
    }

    /// The name of its value, if it takes one.
    pub fn value_name(&self) -> Option<&'static str> {
        match self.takes {
            Takes::Nothing | Takes::Repetition => None,
            Takes::Integer { name, .. }
            | Takes::Real { name, .. }
            | Takes::Text { name, .. }
            | Takes::List { name, .. } => Some(name),
        }
    }

    /// What its value must be, as words that go after "must be"; empty for a switch.
    pub fn allowed(&self) -> String {
        match self.takes {
            Takes::Nothing | Takes::Repetition => String::new(),
            Takes::Integer { min, max, .. } => format!("a whole number from {min} to {max}"),
            Takes::Real { above, .. } => format!("a number greater than {above}"),
            Takes::Text { allowed, .. } | Takes::List { allowed, .. } => allowed.to_string(),
        }
    }

    /// The sentence that refuses `value`.
    pub fn refuse(&self, value: &str) -> OptionError {
        OptionError::Value { option: self.name(), value: value.to_string(), allowed: self.allowed() }
    }
}
