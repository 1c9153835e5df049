//! The table as clap's command: what getopt understood on memcached's command lines, clap is told to understand here,
//! and the usage text is clap's rendering of the rows.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, ValueHint};

use super::extended;
use super::spec::{OptionSpec, Takes};
use super::table::TABLE;

/// The identity of the words that belong to no option. getopt lets them pass, so they are warned about, not refused.
pub const STRAY: &str = "stray";

/// The name and version, memcached's way: `ringcached 0.1.0`.
pub const NAME_AND_VERSION: &str = concat!("ringcached ", env!("CARGO_PKG_VERSION"));

/// The parser of a command line. `-h`, `-V` and `-i` are ordinary switches of the table, answered by the caller.
pub fn command() -> Command {
    Command::new("ringcached")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        // getopt: of an option given twice the last counts, and a long name may be shortened while it is unique.
        .args_override_self(true)
        .infer_long_args(true)
        .args(TABLE.iter().map(|spec| argument(spec)))
        .arg(Arg::new(STRAY).num_args(0..).hide(true))
        .override_usage("ringcached [options]\n       ringcached top [-h | options] [address]: a live view of a running server")
        .help_template(format!(
            "{NAME_AND_VERSION}\n\n{{usage-heading}} {{usage}}\n\n{{all-args}}{{after-help}}\n"
        ))
        .after_help(extended_help())
}

/// The usage text: every row under its heading, then the keys of `-o`.
pub fn help() -> String {
    command().render_help().to_string()
}

/// One row as clap's argument.
fn argument(spec: &OptionSpec) -> Arg {
    let mut arg =
        Arg::new(spec.long).long(spec.long).help(help_line(spec)).help_heading(spec.category.title());
    if let Some(letter) = spec.short {
        arg = arg.short(letter);
    }
    // For the completions of shells; it adds nothing to what is understood.
    arg = arg.value_hint(match spec.value_name() {
        Some("file" | "path") => ValueHint::FilePath,
        Some("user") => ValueHint::Username,
        Some("host" | "addr") => ValueHint::Hostname,
        _ => ValueHint::Unknown,
    });
    match spec.takes {
        Takes::Nothing => arg.action(ArgAction::SetTrue),
        // memcached takes `--verbose=x`, but `-v x` is `-v` and a stray word.
        Takes::Repetition => arg
            .action(ArgAction::Append)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("")
            .value_name("x"),
        // Whatever follows is the value, even if it starts with a dash: `-p -1`.
        Takes::Integer { name, .. } | Takes::Real { name, .. } | Takes::Text { name, .. } => {
            arg.action(ArgAction::Set).allow_hyphen_values(true).value_name(name)
        }
        Takes::List { name, .. } => arg.action(ArgAction::Append).allow_hyphen_values(true).value_name(name),
    }
}

/// The summary and the default.
fn help_line(spec: &OptionSpec) -> String {
    match spec.default {
        "" => spec.summary.to_string(),
        default => format!("{} [{default}]", spec.summary),
    }
}

/// The keys of `-o`, at the foot of the usage text.
fn extended_help() -> String {
    let mut text = String::from("Keys of -o:\n");
    for key in extended::KEYS.iter().filter(|key| key.works()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<22}{}", key.usage(), key.note_and_default());
    }
    text.push_str(
        "memcached's other keys are accepted with a warning that says why they have no effect here.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::spec::Category;
    use super::*;

    #[test]
    fn clap_finds_the_command_consistent() {
        command().debug_assert();
    }

    #[test]
    fn clap_knows_exactly_the_rows_of_the_table() {
        let command = command();
        let known: Vec<&str> = command.get_opts().map(|arg| arg.get_id().as_str()).collect();
        let flags: Vec<&str> = command
            .get_arguments()
            .filter(|arg| !arg.is_positional())
            .map(|arg| arg.get_id().as_str())
            .collect();
        let rows: Vec<&str> = TABLE.iter().map(|spec| spec.long).collect();
        assert_eq!(flags, rows);
        assert!(known.iter().all(|id| rows.contains(id)));
        let positionals: Vec<&str> = command.get_positionals().map(|arg| arg.get_id().as_str()).collect();
        assert_eq!(positionals, [STRAY]);
    }

    #[test]
    fn help_shows_every_option_with_its_summary() {
        let help = help();
        let words: Vec<&str> = help.split_whitespace().collect();
        let flowing = words.join(" ");
        for spec in TABLE {
            let long = format!("--{}", spec.long);
            assert!(
                words.iter().any(|word| word.split(['[', '=']).next() == Some(&long)),
                "{long} is not in:\n{help}"
            );
            assert!(flowing.contains(spec.summary), "`{}` is not in:\n{help}", spec.summary);
        }
        for category in Category::ALL {
            assert!(help.contains(category.title()), "no heading {}", category.title());
        }
    }

    #[test]
    fn help_shows_the_keys_that_work() {
        let help = help();
        for key in extended::KEYS.iter().filter(|key| key.works()) {
            assert!(help.contains(&key.usage()), "{} is not in the help", key.word);
        }
    }
}
