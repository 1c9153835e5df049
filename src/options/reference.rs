//! `docs/options.md`, made from the table. The committed file is compared with what the table says, so it cannot go
//! stale; `UPDATE=1 cargo test reference` writes it anew.

use std::fmt::Write as _;

use super::extended::{Effect, KEYS};
use super::spec::{Category, OptionSpec};
use super::table::TABLE;

const HEAD: &str = "# Options\n\n\
    <!-- Made from the table in src/options; `UPDATE=1 cargo test reference` writes it anew. -->\n\n\
    memcached's letters and long names keep their meaning, so a command line written for memcached works unchanged; what is \
    ringcached's own has a long name only. A value may follow its letter directly (`-m1024`) or as the next word, a long \
    name takes `--port=1` or `--port 1` and may be shortened while it stays unique, and of an option given twice the last \
    counts, except `-l`, `-o` and `-v`, which add up. `-l host:port` is memcached's grammar with its prefixes.\n\n\
    A refused value ends the start with status 1, options that do not go together or are not in this version with \
    status 64, and what the system refuses (files, limits, users, sockets) with status 71.\n";

const KEYS_HEAD: &str = "\n## Keys of `-o`\n\n\
    Given as `-o key,key=value`. A key that is not in this list is refused: `Illegal suboption \"key\"`.\n\n\
    | key | effect |\n|---|---|\n";

/// The whole page.
fn page() -> String {
    let mut page = HEAD.to_string();
    for category in Category::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| option | default | limits | meaning |\n|---|---|---|---|\n",
            category.title()
        );
        for spec in TABLE.iter().filter(|spec| spec.category == category) {
            page.push_str(&row(spec));
        }
    }
    page.push_str(KEYS_HEAD);
    for key in KEYS {
        let effect = match key.effect {
            Effect::Nothing => "no effect, with a warning: ",
            Effect::Refused => "refused: ",
            _ => "",
        };
        let _ = writeln!(page, "| `{}` | {effect}{} |", key.usage(), key.note);
    }
    page
}

/// One option as a row of a table.
fn row(spec: &OptionSpec) -> String {
    let value = spec.value_name().map(|name| format!(" <{name}>")).unwrap_or_default();
    let letter = spec.short.map(|letter| format!("`-{letter}`, ")).unwrap_or_default();
    let details = if spec.details.is_empty() { String::new() } else { format!(". {}", spec.details) };
    format!(
        "| {letter}`--{}{value}` | {} | {} | {}{details} |\n",
        spec.long,
        spec.default,
        spec.allowed(),
        spec.summary
    )
}

#[test]
fn the_committed_reference_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/options.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, page()).expect("docs/options.md can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/options.md is stale: run `UPDATE=1 cargo test reference` and commit it"
    );
}
