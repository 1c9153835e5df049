//! From a file's text to words as a command line has them. Everything the table says of a key is checked here: that it exists,
//! that the value has its type, that a number is within its limits. Grammars and combinations are checked with those of
//! the command line, whose errors [`ConfigFile::locate`] brings back to their line.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Form, Key, SUBTABLE};
use crate::options::error::OptionError;
use crate::options::extended::{Effect, KEYS, KeySpec};
use crate::options::spec::{Category, OptionSpec};
use crate::options::table::{EXTENDED, TABLE};

/// How alike an unknown key has to be to be taken for a misspelt one; 1 is the same.
const LIKENESS_MIN: f64 = 0.8;

/// Most characters of a line or value that a message repeats.
const EXCERPT_LEN_MAX: usize = 60;

/// A configuration file that has been read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    entries: Vec<Entry>,
    /// The words of all keys of `[extended]`.
    extended: Vec<String>,
}

/// An option that the file sets.
#[derive(Clone, Debug)]
struct Entry {
    spec: &'static OptionSpec,
    /// Its values: one, several of a list; of a switch that is on an empty one, and as many as `-v` would be repeated.
    words: Vec<String>,
    line: usize,
    /// As it stands in the file: `port = 11211`.
    text: String,
}

impl ConfigFile {
    /// The words of a file. `path` is what errors call it.
    ///
    /// # Errors
    /// The first key or value that is refused, with its line.
    pub fn parse(path: &Path, text: &str) -> Result<ConfigFile, OptionError> {
        let source = Source { path, text };
        let document = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.lines().nth(source.line_of(at) - 1).unwrap_or_default();
            source.refuse(at, format!("{}: `{}`", error.message(), excerpt(line)))
        })?;
        let mut file = ConfigFile { path: path.to_path_buf(), entries: Vec::new(), extended: Vec::new() };
        for (name, value) in in_order(document.get_ref()) {
            match value.get_ref() {
                DeValue::Table(table) if name.get_ref() == SUBTABLE => {
                    for (name, value) in in_order(table) {
                        file.extended.push(source.sub(name.get_ref(), name.span().start, value)?);
                    }
                }
                _ => file.entries.push(source.entry(name.get_ref(), name.span().start, value)?),
            }
        }
        Ok(file)
    }

    /// The words that the file has of a row.
    pub fn words(&self, spec: &OptionSpec) -> &[String] {
        if spec.long == EXTENDED.long {
            return &self.extended;
        }
        self.entry(&spec.name()).map_or(&[], |entry| &entry.words)
    }

    fn entry(&self, option: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.spec.name() == option)
    }

    /// An error that is about a value of the file gets its line; `is_typed` tells the options whose value is on the command line. A
    /// conflict gets the lines of all options its sentence names.
    pub fn locate(&self, error: OptionError, is_typed: impl Fn(&OptionSpec) -> bool) -> OptionError {
        let path = self.path.clone();
        match error {
            OptionError::Value { option, value, allowed } => match self.entry(&option) {
                Some(entry) if !is_typed(entry.spec) => {
                    let what = format!("{}: must be {allowed}", entry.text);
                    OptionError::ConfigLine { path, line: entry.line, what }
                }
                _ => OptionError::Value { option, value, allowed },
            },
            OptionError::Conflict(sentence) => {
                let is_named =
                    |entry: &&Entry| sentence.contains(&entry.spec.name()) && !is_typed(entry.spec);
                let named = self.entries.iter().filter(is_named);
                let lines: Vec<String> =
                    named.map(|e| format!("{}:{}: {}", path.display(), e.line, e.text)).collect();
                if lines.is_empty() {
                    return OptionError::Conflict(sentence);
                }
                OptionError::Conflict(format!("{sentence} ({})", lines.join(", ")))
            }
            other => other,
        }
    }
}

/// The text of a file, for messages.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// One key outside of `[extended]`.
    fn entry(&self, name: &str, at: usize, value: &Spanned<DeValue>) -> Result<Entry, OptionError> {
        let found = Key::all().find_map(|key| match key {
            Key::Row(spec) if spec.key() == name => Some((key, spec)),
            _ => None,
        });
        let Some((key, spec)) = found else { return Err(self.unknown(name, name, at)) };
        let words = words(key.form(), value.get_ref()).ok_or_else(|| self.refuse_value(key, at, value))?;
        // A command line cannot have one, and the system would cut a path there.
        if words.iter().any(|word| word.contains('\0')) {
            let excerpt = self.excerpt_of(value);
            return Err(
                self.refuse(at, format!("{name} = {excerpt}: no value has a zero byte: leave it out"))
            );
        }
        let words = match (spec.takes.is_repetition(), words.first()) {
            (true, Some(count)) => vec![String::new(); count.parse().unwrap_or_default()],
            _ => words,
        };
        let text = format!("{name} = {}", self.excerpt_of(value));
        Ok(Entry { spec, words, line: self.line_of(at), text })
    }

    /// One key of `[extended]`, as a word of `-o`.
    fn sub(&self, name: &str, at: usize, value: &Spanned<DeValue>) -> Result<String, OptionError> {
        let path = format!("{SUBTABLE}.{name}");
        let Some(sub) = KEYS.iter().find(|sub| sub.word == name) else {
            return Err(self.unknown(&path, name, at));
        };
        if let Some(why) = useless(sub) {
            return Err(self.refuse(at, format!("{path}: {why}")));
        }
        let key = Key::Sub(sub);
        let words = words(key.form(), value.get_ref()).ok_or_else(|| self.refuse_value(key, at, value))?;
        Ok(match (key.form(), words.first()) {
            (Form::Switch, None) => format!("no_{name}"),
            (Form::Switch, Some(_)) | (_, None) => name.to_string(),
            (_, Some(number)) => format!("{name}={number}"),
        })
    }

    /// A key that does not exist, and the one that may be meant.
    fn unknown(&self, path: &str, word: &str, at: usize) -> OptionError {
        if let Some(spec) =
            TABLE.iter().find(|spec| spec.category == Category::Unsupported && spec.key() == word)
        {
            return self.refuse(at, format!("{path}: not in this version ({}); leave it out", spec.summary));
        }
        let remedy = match nearest(word) {
            Some(key) => format!("did you mean `{}`?", key.name()),
            None => "`ringcached --print-config` shows every key".to_string(),
        };
        self.refuse(at, format!("unknown key `{}`: {remedy}", excerpt(path)))
    }

    fn refuse_value(&self, key: Key, at: usize, value: &Spanned<DeValue>) -> OptionError {
        self.refuse(at, format!("{} = {}: must be {}", key.name(), self.excerpt_of(value), key.allowed()))
    }

    fn refuse(&self, at: usize, what: String) -> OptionError {
        OptionError::ConfigLine { path: self.path.to_path_buf(), line: self.line_of(at), what }
    }

    /// The number of the line of a byte, from 1.
    fn line_of(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    fn excerpt_of(&self, value: &Spanned<DeValue>) -> String {
        excerpt(self.text.get(value.span()).unwrap_or_default())
    }
}

/// Why a key of `-o` is not for a file; none if it is.
fn useless(sub: &KeySpec) -> Option<String> {
    if let Some(word) = sub.negated() {
        return Some(format!("write `{word} = false`"));
    }
    match sub.effect {
        Effect::Refused => Some(format!("not in this version; {}", sub.note)),
        Effect::Already | Effect::Nothing => Some(format!("has no effect, {}; leave it out", sub.note)),
        _ => None,
    }
}

/// The values of a key of this form; none if the type is another one or a number beyond its limits.
fn words(form: Form, value: &DeValue) -> Option<Vec<String>> {
    match (form, value) {
        (Form::Switch, DeValue::Boolean(on)) => Some(if *on { vec![String::new()] } else { Vec::new() }),
        (Form::Whole { min, max }, DeValue::Integer(number)) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            (min..=max).contains(&number).then(|| vec![number.to_string()])
        }
        (Form::Real, DeValue::Float(number)) => Some(vec![number.as_str().to_string()]),
        (Form::Real, DeValue::Integer(number)) if number.radix() == 10 => {
            Some(vec![number.as_str().to_string()])
        }
        (Form::Text, DeValue::String(text)) => Some(vec![text.to_string()]),
        (Form::List, DeValue::Array(items)) => {
            items.iter().map(|item| item.get_ref().as_str().map(str::to_string)).collect()
        }
        _ => None,
    }
}

/// The keys of a table as they follow each other in the file, so that the first error is that of the first line.
fn in_order<'a, 'b>(table: &'a DeTable<'b>) -> Vec<(&'a Spanned<DeString<'b>>, &'a Spanned<DeValue<'b>>)> {
    let mut items: Vec<_> = table.iter().collect();
    items.sort_by_key(|(name, _)| name.span().start);
    items
}

/// The key that somebody who wrote `word` may have meant.
fn nearest(word: &str) -> Option<Key> {
    let mut letters = word.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Key::all().find(|key| matches!(key, Key::Row(spec) if spec.short == Some(letter)));
    }
    let word = word.to_lowercase().replace('-', "_");
    let likeness = |key: &Key| strsim::jaro_winkler(&word, &key.word());
    let best = Key::all().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= LIKENESS_MIN).then_some(best)
}

/// The start of the first line of a text.
fn excerpt(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(EXCERPT_LEN_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_string(),
    }
}
