//! The commented file: every key with its meaning, its option, what is allowed and its default. What is not set is commented
//! out, so the file says what is in force and keeps saying it when a default changes.

use std::fmt::Write as _;

use super::{Key, SUBTABLE, value};
use crate::options::command::NAME_AND_VERSION;
use crate::options::extended::KeySpec;
use crate::options::given::Given;
use crate::options::spec::{Category, OptionSpec};

/// Longest line of a comment, in characters.
const WIDTH: usize = 100;

/// The file that sets what is given. It ends with a line feed.
pub fn page(given: &Given) -> String {
    let mut page = String::new();
    let head = format!(
        "Configuration of {NAME_AND_VERSION}, read with --config. Each key is a long option of the command line with `_` for \
         `-`, and the command line wins over this file. A key behind `#` is not set; the line shows its default, or \
         in <> what its value would be. A running server reads this file again at SIGHUP: keys marked (live) \
         change at once, the others at the next start, which the log says."
    );
    comment(&mut page, &head);
    for category in Category::ALL {
        let rows = Key::all().filter(|key| matches!(key, Key::Row(spec) if spec.category == category));
        for (at, key) in rows.enumerate() {
            if at == 0 {
                let _ = write!(page, "\n\n# ---- {} ----\n", category.title());
            }
            setting(&mut page, key, given);
        }
    }
    page.push_str("\n\n# ---- Keys of -o ----\n");
    let _ = write!(page, "\n[{SUBTABLE}]\n");
    for key in Key::all().filter(|key| matches!(key, Key::Sub(_))) {
        setting(&mut page, key, given);
    }
    page
}

/// A key with its comment.
fn setting(page: &mut String, key: Key, given: &Given) {
    page.push('\n');
    comment(page, &meaning(key));
    let live = if key.is_live() { " (live)" } else { "" };
    let default = match key.default() {
        words if words.is_empty() => String::new(),
        words => format!(" Default: {words}."),
    };
    comment(page, &format!("{}: {}.{default}{live}", key.option(), key.allowed()));
    // Writing to a String cannot fail.
    let _ = match given.setting(key) {
        Some(value) => writeln!(page, "{} = {value}", key.word()),
        None => {
            let shown = value::typed_default_of(key).unwrap_or_else(|| value::placeholder_of(key));
            writeln!(page, "#{} = {shown}", key.word())
        }
    };
}

/// What the key does.
fn meaning(key: Key) -> String {
    match key {
        Key::Row(OptionSpec { summary, details: "", .. }) => format!("{summary}."),
        Key::Row(OptionSpec { summary, details, .. }) => format!("{summary}. {details}"),
        Key::Sub(KeySpec { note, .. }) => format!("{note}."),
    }
}

/// Text as comment lines of at most [`WIDTH`] characters, or one word.
fn comment(page: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
            page.push_str(&line);
            page.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    page.push_str(&line);
    page.push('\n');
}
