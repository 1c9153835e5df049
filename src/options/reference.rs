//! What is made from the table and committed: `docs/options.md`, and below `package/` the manual page, the completions of shells
//! and the configuration file that a package installs. The command line of `ringcached top` has a page and completions too.
//! Committed, so that who builds a package needs no network and no run of the program, and a change of them is seen in review. Each is compared with what the table says, so it cannot go stale;
//! `UPDATE=1 cargo test --lib reference` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::Arg;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};

use super::authentication::SASL_USERS_VARIABLE;
use super::extended::{Effect, KEYS};
use super::spec::{Category, OptionSpec};
use super::table::TABLE;
use super::{Asked, Given, Machine, command};

const HEAD: &str = "# Options\n\n\
    <!-- Made from the table in src/options; `UPDATE=1 cargo test --lib reference` writes it anew. -->\n\n\
    memcached's letters and long names keep their meaning, so a command line written for memcached works unchanged; what is \
    ringcached's own has a long name only. A value may follow its letter directly (`-m1024`) or as the next word, a long \
    name takes `--port=1` or `--port 1` and may be shortened while it stays unique, and of an option given twice the last \
    counts, except `-l`, `-o` and `-v`, which add up. `-l host:port` is memcached's grammar with its prefixes.\n\n\
    In a file of `--config` each of them is a key, `_` for `-`: [operating.md](operating.md#configuration).\n\n\
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
        let _ = writeln!(page, "| `{}` | {effect}{} |", key.usage(), key.note_and_default());
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

/// The manual page: clap's sections, and those that the table does not know.
fn manual() -> Vec<u8> {
    let manual = clap_mangen::Man::new(command::command().mut_args(with_details))
        .manual("User Commands")
        // The day is that of no build.
        .date("");
    let mut page = Vec::new();
    manual.render_title(&mut page).expect("written to memory");
    manual.render_name_section(&mut page).expect("written to memory");
    manual.render_synopsis_section(&mut page).expect("written to memory");
    manual.render_description_section(&mut page).expect("written to memory");
    manual.render_options_section(&mut page).expect("written to memory");
    further_sections().to_writer(&mut page).expect("written to memory");
    page
}

/// An option with all that its row says.
fn with_details(arg: Arg) -> Arg {
    let Some(spec) = TABLE.iter().find(|spec| spec.long == arg.get_id().as_str()) else { return arg };
    let mut text = format!("{}.", spec.summary);
    if !spec.details.is_empty() {
        let _ = write!(text, " {}", spec.details);
    }
    if !spec.allowed().is_empty() {
        let _ = write!(text, " Must be {}.", spec.allowed());
    }
    if !spec.default.is_empty() {
        let _ = write!(text, " Default: {}.", spec.default);
    }
    arg.help(text)
}

/// The keys of `-o`, files, signals and exit statuses.
fn further_sections() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXTENDED OPTIONS"]);
    page.text([roman(
        "Keys of -o, separated by commas. memcached's other keys are accepted with a warning.",
    )]);
    let mut items = |title: &str, rows: &[(String, String)]| {
        if !title.is_empty() {
            page.control("SH", [title]);
        }
        for (name, meaning) in rows {
            page.control("TP", []);
            page.text([bold(name.as_str())]);
            page.text([roman(meaning.as_str())]);
        }
    };
    let keys: Vec<_> =
        KEYS.iter().filter(|key| key.works()).map(|key| (key.usage(), key.note_and_default())).collect();
    items("", &keys);
    for (title, rows) in
        [("FILES", FILES), ("SIGNALS", SIGNALS), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", STATUSES)]
    {
        let rows: Vec<_> =
            rows.iter().map(|(name, meaning)| (name.to_string(), meaning.to_string())).collect();
        items(title, &rows);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("memcached"),
        roman("(1), "),
        bold("ringcached-top"),
        roman("(1), "),
        bold("systemctl"),
        roman("(1)"),
    ]);
    page
}

const FILES: &[(&str, &str)] = &[(
    "/etc/ringcached/ringcached.toml",
    "The configuration of the packaged service; any other is named with --config.",
)];

const SIGNALS: &[(&str, &str)] = &[
    ("SIGTERM, SIGINT, SIGUSR1", "Stop: accept no more, answer what has arrived, close, end with status 0."),
    (
        "SIGHUP",
        "Read the files of --config and --auth-file again. The log names each setting that has changed, and each that changes at \
         the next start only.",
    ),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("MEMCACHED_PORT_FILENAME", "Names a file that will hold the ports that are listened on."),
    (SASL_USERS_VARIABLE, "Names the file of users for -S without -Y."),
];

const STATUSES: &[(&str, &str)] = &[
    ("0", "Stopped as it was asked to."),
    ("1", "A refused value or an unknown option, on the command line or in the file of --config."),
    ("64", "Options that do not go together, or are not in this version."),
    ("71", "The system refused something: a file, a limit, a user, a socket."),
];

/// The manual page of `ringcached top`.
fn manual_of_top() -> Vec<u8> {
    let manual = clap_mangen::Man::new(ringcached_top::command().name("ringcached-top"))
        .manual("User Commands")
        .date("");
    let mut page = Vec::new();
    manual.render(&mut page).expect("written to memory");
    page
}

/// The completions for a shell.
fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut command = command::command().subcommand(ringcached_top::command()).disable_help_subcommand(true);
    clap_complete::generate(shell, &mut command, "ringcached", &mut script);
    script
}

/// What a package configures: the defaults, but for a service that nobody has secured yet.
fn packaged_config() -> Vec<u8> {
    let words = ["ringcached", "--listen", "127.0.0.1", "--print-config"];
    let given = Given::read(words, |_| panic!("no file is named")).expect("well-formed");
    match given.asked(&Machine { cores: vec![0], sasl_users: None }) {
        Ok(Asked::Show(page)) => page.into_bytes(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_committed_files_are_what_the_table_says() {
    let files = [
        ("docs/options.md", page().into_bytes()),
        ("package/ringcached.1", manual()),
        ("package/ringcached-top.1", manual_of_top()),
        ("package/ringcached.toml", packaged_config()),
        ("package/completions/ringcached.bash", completions(Shell::Bash)),
        ("package/completions/_ringcached", completions(Shell::Zsh)),
        ("package/completions/ringcached.fish", completions(Shell::Fish)),
    ];
    for (name, text) in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let committed = std::fs::read(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{name} is stale: run `UPDATE=1 cargo test --lib reference` and commit it"
        );
    }
}
