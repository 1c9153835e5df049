//! What is asked for, in words: a command line and the configuration file it names. One row of the table is asked after at a
//! time, and the command line wins: a value of the file counts where the command line has none. `-o` is a list of keys, so
//! there the file's come first and each key of the command line replaces its own.
//!
//! The words are kept apart from the [`Options`](super::Options) they lead to: what is written back (`--print-config`) and
//! what has changed since the last reading (SIGHUP) are questions about words.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command;
use super::config::{ConfigFile, Key, value};
use super::error::OptionError;
use super::spec::{OptionSpec, Takes};
use super::table::{CONFIG, EXTENDED, HELP, LICENSE, VERSION};

/// See the module comment.
#[derive(Clone, Debug)]
pub struct Given {
    line: ArgMatches,
    file: Option<ConfigFile>,
}

/// A setting that is another one than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: Key,
    /// As a configuration file would have it, or the default.
    pub old: String,
    /// The same, now.
    pub new: String,
}

impl Given {
    /// Reads a command line, the program's name first, and with `read_file` the file of its `--config`.
    ///
    /// # Errors
    /// The line has an option that does not exist, or a value too many or too few; the file cannot be read, is no TOML, has a
    /// key that does not exist, a value of the wrong type or a number beyond its limits. What a value has to look like
    /// otherwise, [`Given::asked`] checks.
    pub fn read<I>(args: I, read_file: impl FnOnce(&Path) -> io::Result<String>) -> Result<Given, OptionError>
    where
        I: IntoIterator,
        I::Item: Into<OsString> + Clone,
    {
        let line = command::command().try_get_matches_from(args).map_err(explain)?;
        let mut given = Given { line, file: None };
        // A question is answered whatever the file says.
        let is_question = [&HELP, &VERSION, &LICENSE].iter().any(|spec| given.is_on(spec));
        if let Some(path) = given.text(&CONFIG).filter(|_| !is_question).map(PathBuf::from) {
            let text = read_file(&path).map_err(|error| OptionError::ConfigUnreadable {
                path: path.clone(),
                error: error.to_string(),
            })?;
            given.file = Some(ConfigFile::parse(&path, &text)?);
        }
        Ok(given)
    }

    /// Does the command line name a file?
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Is this switch on?
    pub(super) fn is_on(&self, spec: &OptionSpec) -> bool {
        self.line.get_flag(spec.long) || !self.in_file(spec).is_empty()
    }

    /// The value of an option, its leading white space skipped as memcached does.
    pub(super) fn text(&self, spec: &OptionSpec) -> Option<&str> {
        let typed = self.line.get_one::<String>(spec.long);
        typed.or_else(|| self.in_file(spec).first()).map(|value| value.trim_start())
    }

    /// The values of an option that adds up.
    pub(super) fn texts(&self, spec: &OptionSpec) -> impl Iterator<Item = &str> {
        let adds = spec.long == EXTENDED.long || !self.is_typed(spec);
        let file = if adds { self.in_file(spec) } else { &[] };
        file.iter().map(|value| value.trim_start()).chain(self.typed(spec.long))
    }

    /// What the command line has of an argument.
    pub(super) fn typed(&self, id: &str) -> impl Iterator<Item = &str> {
        self.line.get_many::<String>(id).into_iter().flatten().map(|value| value.trim_start())
    }

    /// Whether the command line has this option, a switch aside.
    fn is_typed(&self, spec: &OptionSpec) -> bool {
        self.typed(spec.long).next().is_some()
    }

    fn in_file(&self, spec: &OptionSpec) -> &[String] {
        self.file.as_ref().map_or(&[], |file| file.words(spec))
    }

    /// What is set for this key, as a configuration file has it; none if nothing is.
    pub(super) fn setting(&self, key: Key) -> Option<String> {
        match key {
            Key::Row(spec) => match spec.takes {
                Takes::Nothing => self.is_on(spec).then(|| value::of(key, &[""])),
                _ => {
                    let words: Vec<&str> = match spec.takes {
                        Takes::List { .. } | Takes::Repetition => self.texts(spec).collect(),
                        _ => self.text(spec).into_iter().collect(),
                    };
                    (!words.is_empty()).then(|| value::of(key, &words))
                }
            },
            Key::Sub(sub) => {
                let words = self.texts(&EXTENDED).flat_map(|text| text.split(','));
                let last = words.filter(|word| sub.is_set_by(word)).last();
                last.map(|word| value::of(key, &[word]))
            }
        }
    }

    /// What holds for this key, as a configuration file has it, or the default.
    pub fn shown(&self, key: Key) -> String {
        self.setting(key).unwrap_or_else(|| value::default_of(key))
    }

    /// The settings that are others than in `before`, in the order of the table.
    pub fn changes_since(&self, before: &Given) -> Vec<Change> {
        let change = |key| Change { key, old: before.shown(key), new: self.shown(key) };
        Key::all().map(change).filter(|change| change.old != change.new).collect()
    }

    /// Says where in the file the cause of an error stands, if it stands there.
    pub(super) fn locate(&self, error: OptionError) -> OptionError {
        match &self.file {
            Some(file) => file.locate(error, |spec| self.is_typed(spec)),
            None => error,
        }
    }
}

/// clap's finding as one sentence.
fn explain(error: clap::Error) -> OptionError {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.clone(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::InvalidUtf8 => OptionError::NotUtf8,
        ErrorKind::TooManyValues => OptionError::UnexpectedValue { option },
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::NoEquals => {
            OptionError::MissingValue { option }
        }
        _ => OptionError::Unknown { option },
    }
}
