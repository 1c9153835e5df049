//! A setting as TOML.

use toml_writer::{ToTomlValue as _, TomlStringBuilder};

use super::{Form, Key, VERBOSITY_MAX};

/// What these words of a command line set, each of which has passed the checks of its row. For a list there are several.
pub fn of(key: Key, words: &[&str]) -> String {
    let first = words.first().copied().unwrap_or_default();
    // The value of a key of -o stands behind its name.
    let text = match key {
        Key::Row(_) => first,
        Key::Sub(_) => first.split_once('=').map_or(first, |(_, value)| value),
    };
    match (key, key.form()) {
        (Key::Sub(_), Form::Switch) => (!text.starts_with("no_")).to_string(),
        (Key::Row(_), Form::Switch) => "true".to_string(),
        (Key::Row(spec), _) if spec.takes.is_repetition() => {
            (words.len() as i64).min(VERBOSITY_MAX).to_string()
        }
        // As a number has it: `+07` is no TOML.
        (_, Form::Whole { .. }) => text.parse::<i64>().map_or(text.to_string(), |number| number.to_string()),
        (_, Form::Real) => text.parse::<f64>().map_or(text.to_string(), |number| format!("{number:?}")),
        (_, Form::Text) => quoted(text),
        (_, Form::List) => {
            let items: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// What holds without the key: TOML where the default is a value, otherwise a sentence.
pub fn default_of(key: Key) -> String {
    match (typed_default_of(key), key.default()) {
        (Some(typed), _) => typed,
        (None, words) if words.is_empty() => "not set".to_string(),
        (None, words) => format!("not set ({words})"),
    }
}

/// The default, where it is a value.
pub fn typed_default_of(key: Key) -> Option<String> {
    let words = key.default();
    if words.is_empty() || words.contains(' ') {
        return None;
    }
    Some(match key.form() {
        Form::Switch | Form::Whole { .. } => words,
        _ => of(key, &[&words]),
    })
}

/// The name of the value in the place of the value.
pub fn placeholder_of(key: Key) -> String {
    let name = format!("<{}>", key.value_name());
    match key.form() {
        Form::Text => quoted(&name),
        Form::List => format!("[{}]", quoted(&name)),
        _ => name,
    }
}

fn quoted(text: &str) -> String {
    TomlStringBuilder::new(text).as_basic().to_toml_value()
}
