//! Tests of configuration files: what each kind of value means, every way to be refused, and that what is printed reads back
//! as the same.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::options::table::{LISTEN, MEMORY_FILE};
use crate::options::{Asked, Authentication, Given, Machine, OptionError, Options};

/// Four cores and no users of -S, whatever the test runs on.
fn machine() -> Machine {
    Machine { cores: vec![0, 1, 2, 3], sasl_users: None }
}

/// A command line whose `--config x` has this text.
fn given(line: &str, file: &str) -> Result<Given, OptionError> {
    let words = ["ringcached", "--config", "x"].into_iter().chain(line.split_whitespace());
    Given::read(words, |path| {
        assert_eq!(path, Path::new("x"));
        Ok(file.to_string())
    })
}

fn ask(line: &str, file: &str) -> Result<Options, OptionError> {
    match given(line, file)?.asked(&machine())? {
        Asked::Serve(options) => Ok(*options),
        Asked::Show(text) => panic!("`{line}` shows {text}"),
    }
}

#[track_caller]
fn options(line: &str, file: &str) -> Options {
    ask(line, file).unwrap_or_else(|error| panic!("`{line}` with\n{file}\n: {error}"))
}

/// The sentence and the status of a refused file.
#[track_caller]
fn refused(line: &str, file: &str) -> (String, u8) {
    let error = ask(line, file).expect_err(file);
    (error.to_string(), error.exit_status())
}

/// What `--print-config` shows.
#[track_caller]
fn printed(line: &str, file: &str) -> String {
    match given(&format!("{line} --print-config"), file).and_then(|given| given.asked(&machine())) {
        Ok(Asked::Show(text)) => text,
        other => panic!("`{line}` gave {other:?}"),
    }
}

#[test]
fn a_file_means_what_the_command_line_means() {
    let rows = [
        ("", ""),
        ("port = 4000", "-p 4000"),
        ("port = 0xfa0 # hexadecimal", "-p 4000"),
        ("listen = ['127.0.0.1', \"[::1]:5\"]", "-l 127.0.0.1 -l [::1]:5"),
        ("listen = []", ""),
        ("disable_cas = true\nenable_shutdown = true\ndisable_dumping = false", "-C -A"),
        ("verbose = 2", "-vv"),
        ("verbose = 0", ""),
        ("slab_growth_factor = 1.25", "-f 1.25"),
        ("slab_growth_factor = 2", "-f 2"),
        ("max_item_size = \"2m\"\nmemory_limit = 128", "-I 2m -m 128"),
        ("cores = \"0-1,3\"", "--cores 0-1,3"),
        ("prefix_delimiter = '/'", "-D /"),
        ("auth_file = \"/etc/u\"", "-Y /etc/u"),
        ("udp_port = 4000", "-U 4000"),
        ("[extended]\nidle_timeout = 60\nmaxconns_fast = false", "-o idle_timeout=60,no_maxconns_fast"),
        ("[extended]\nmaxconns_fast = true", "-o maxconns_fast"),
        ("extended.watcher_logbuf_size = 512", "-o watcher_logbuf_size=512"),
    ];
    for (file, line) in rows {
        assert_eq!(options("", file), options(line, ""), "{file}");
    }
}

#[test]
fn the_command_line_wins() {
    let file = "port = 4000\nlisten = [\"10.0.0.1\"]\nverbose = 3\nmemory_limit = 128\nauth_file = 'a'\n\
                [extended]\nidle_timeout = 60\nwatcher_logbuf_size = 512";
    let o = options("-p 5000 -l 127.0.0.1 -v -Y b -o idle_timeout=5", file);
    assert_eq!((o.tcp_port, o.interfaces.as_deref(), o.verbosity), (5000, Some("127.0.0.1"), 1));
    assert_eq!(o.authentication, Some(Authentication::Token(PathBuf::from("b"))));
    // What it does not say stays, within -o too.
    assert_eq!((o.memory_limit_bytes, o.idle_timeout_s, o.watcher_log_bytes), (128 << 20, 5, 512 << 10));
    // A value that is not in force is not complained about.
    assert_eq!(options("-l 127.0.0.1", "listen = ['h:x']"), options("-l 127.0.0.1", ""));
    let (sentence, _) = refused("-l h:y", "listen = ['h:x']");
    assert!(sentence.starts_with("-l, --listen `h:y`: must be a list of addresses"), "{sentence}");
}

#[test]
fn values_are_refused_with_file_line_key_and_what_is_allowed() {
    let port = "must be a whole number from -1 to 65535";
    let rows = [
        ("port = 65536", format!("x:1: port = 65536: {port}")),
        ("\n\nport = -2", format!("x:3: port = -2: {port}")),
        ("port = 99999999999999999999", format!("x:1: port = 99999999999999999999: {port}")),
        ("port = \"11211\"", format!("x:1: port = \"11211\": {port}")),
        ("port = 1.5", format!("x:1: port = 1.5: {port}")),
        ("[port]\na = 1", format!("x:1: port = [port]: {port}")),
        ("disable_cas = 1", "x:1: disable_cas = 1: must be true or false".to_string()),
        ("verbose = 4", "x:1: verbose = 4: must be a whole number from 0 to 3".to_string()),
        ("verbose = true", "x:1: verbose = true: must be a whole number from 0 to 3".to_string()),
        (
            "slab_growth_factor = 1.0",
            "x:1: slab_growth_factor = 1.0: must be a number greater than 1".to_string(),
        ),
        (
            "slab_growth_factor = nan",
            "x:1: slab_growth_factor = nan: must be a number greater than 1".to_string(),
        ),
        (
            "listen = \"127.0.0.1\"",
            format!("x:1: listen = \"127.0.0.1\": must be an array of strings: {}", LISTEN.allowed()),
        ),
        ("listen = [1]", format!("x:1: listen = [1]: must be an array of strings: {}", LISTEN.allowed())),
        ("#\nlisten = ['h:x']", format!("x:2: listen = ['h:x']: must be {}", LISTEN.allowed())),
        ("user = ''", "x:1: user = '': must be the name of a user".to_string()),
        ("user = 1", "x:1: user = 1: must be a string: the name of a user".to_string()),
        ("protocol = 'smtp'", "x:1: protocol = 'smtp': must be `ascii`, `auto` or `binary`".to_string()),
        (
            "[extended]\nidle_timeout = -1",
            "x:2: extended.idle_timeout = -1: must be a number of seconds from 0 to 2147483647".to_string(),
        ),
        (
            "[extended]\nmaxconns_fast = 'no'",
            "x:2: extended.maxconns_fast = 'no': must be true or false".to_string(),
        ),
    ];
    for (file, sentence) in rows {
        assert_eq!(refused("", file), (sentence, 1), "{file}");
    }
}

#[test]
fn the_first_line_that_is_wrong_is_named() {
    let file = "threads = 1000\nconn_limit = 0\nbacklog = 1";
    assert_eq!(refused("", file).0, "x:1: threads = 1000: must be a whole number from 1 to 256");
}

#[test]
fn unknown_keys_name_the_nearest() {
    let rows = [
        ("prot = 1", "x:1: unknown key `prot`: did you mean `port`?"),
        ("memory-limit = 1", "x:1: unknown key `memory-limit`: did you mean `memory_limit`?"),
        ("memory_limt = 1", "x:1: unknown key `memory_limt`: did you mean `memory_limit`?"),
        ("Listen = []", "x:1: unknown key `Listen`: did you mean `listen`?"),
        ("m = 64", "x:1: unknown key `m`: did you mean `memory_limit`?"),
        ("M = true", "x:1: unknown key `M`: did you mean `disable_evictions`?"),
        ("idle_timeout = 5", "x:1: unknown key `idle_timeout`: did you mean `extended.idle_timeout`?"),
        ("[extended]\nport = 5", "x:2: unknown key `extended.port`: did you mean `port`?"),
        ("[network]\nport = 5", "x:1: unknown key `network`: `ringcached --print-config` shows every key"),
        ("config = 'y'", "x:1: unknown key `config`: `ringcached --print-config` shows every key"),
        ("xyzzy = 1", "x:1: unknown key `xyzzy`: `ringcached --print-config` shows every key"),
    ];
    for (file, sentence) in rows {
        assert_eq!(refused("", file), (sentence.to_string(), 1), "{file}");
    }
    let (sentence, _) = refused("", "memory_file = 'y'");
    assert_eq!(
        sentence,
        format!("x:1: memory_file: not in this version ({}); leave it out", MEMORY_FILE.summary)
    );
    let (sentence, _) = refused("", "extended.hashpower = 20");
    assert!(sentence.starts_with("x:1: extended.hashpower: has no effect, the hash table"), "{sentence}");
    let (sentence, _) = refused("", "extended.no_maxconns_fast = true");
    assert_eq!(sentence, "x:1: extended.no_maxconns_fast: write `maxconns_fast = false`");
    let (sentence, _) = refused("", "extended.proxy_config = 'y'");
    assert!(sentence.starts_with("x:1: extended.proxy_config: not in this version; "), "{sentence}");
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    for (file, start) in [
        ("port = 1\nport = 2\n", "x:2: duplicate key: `port = 2`"),
        ("[extended]\n[extended]\n", "x:2: duplicate key: `[extended]`"),
        ("port 1", "x:1: "),
        ("#\nlisten = [\"a\"\nuser = 'b'", "x:3: "),
        ("\nuser = \"ann", "x:2: "),
        ("port = ", "x:1: "),
        ("\u{0}", "x:1: "),
    ] {
        let (sentence, status) = refused("", file);
        assert!(sentence.starts_with(start) && sentence.len() > start.len() - 1, "{file:?}: {sentence}");
        assert_eq!(status, 1);
    }
}

#[test]
fn no_text_has_a_zero_byte() {
    for key in ["unix_socket", "pidfile", "auth_file", "user"] {
        let (sentence, status) = refused("", &format!("port = 1\n{key} = \"/tmp/a\\u0000b\""));
        let want = format!("x:2: {key} = \"/tmp/a\\u0000b\": no value has a zero byte: leave it out");
        assert_eq!((sentence, status), (want, 1));
    }
    let (sentence, _) = refused("", "listen = ['a', \"b\\u0000\"]");
    assert!(sentence.ends_with("no value has a zero byte: leave it out"), "{sentence}");
}

#[test]
fn conflicts_name_the_lines_they_come_from() {
    let (sentence, status) = refused("", "\nmax_item_size = '1m'\nmemory_limit = 1");
    assert!(
        sentence.starts_with("-I, --max-item-size of 1048576 bytes with -m, --memory-limit of 1 MiB"),
        "{sentence}"
    );
    assert!(sentence.ends_with(" (x:2: max_item_size = '1m', x:3: memory_limit = 1)"), "{sentence}");
    assert_eq!(status, 64);
    // Not those that the command line replaces.
    let (sentence, _) = refused("-m 1", "max_item_size = '1m'\nmemory_limit = 64");
    assert!(sentence.ends_with(" (x:1: max_item_size = '1m')"), "{sentence}");
    let (sentence, _) = refused("-m 1", "port = 5");
    assert!(sentence.ends_with("raise the other"), "{sentence}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let read = |_: &Path| Err(io::Error::from_raw_os_error(21));
    let error = Given::read(["ringcached", "--config=d"], read).unwrap_err();
    assert_eq!(error.to_string(), "--config `d`: cannot be read: Is a directory (os error 21)");
    assert_eq!(error.exit_status(), 71);
}

#[test]
fn a_question_is_answered_without_the_file() {
    let was_read = Cell::new(false);
    for question in ["-h", "-V", "-i"] {
        let read = |_: &Path| {
            was_read.set(true);
            Ok(String::new())
        };
        let given = Given::read(["ringcached", "--config", "x", question], read).unwrap();
        assert!(matches!(given.asked(&machine()), Ok(Asked::Show(_))) && !was_read.get(), "{question}");
    }
}

#[test]
fn every_key_is_printed_once_and_reads_back() {
    let page = printed("", "");
    for key in Key::all() {
        let start = format!("#{} = ", key.word());
        assert_eq!(page.lines().filter(|line| line.starts_with(&start)).count(), 1, "{start}");
        assert!(page.contains(&key.option()), "{}", key.name());
    }
    assert!(
        page.lines().all(|line| line.starts_with('#') || line.is_empty() || line == "[extended]"),
        "{page}"
    );
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    assert_eq!(options("", &page), options("", ""));
    // With its defaults typed as well, where they are values: nothing that is printed is out of bounds.
    for key in Key::all() {
        let Some(default) = value::typed_default_of(key) else { continue };
        let mut typed = options("", &format!("{} = {default}", key.name()));
        typed.warnings.clear();
        assert_eq!(typed, options("", ""), "{}", key.name());
    }
}

#[test]
fn what_is_printed_is_what_is_in_force() {
    let lines = [
        "-p 4000 -l 127.0.0.1 -l [::1]:5,h -vv -c 7 -MCL",
        "-s /tmp/a\"b\\c -a 0666",
        "-U -1 -p +07 -f 1.5e0 -I 1M -D \"",
        "-p 0 --shard-ports 5000 --partition isolated -t 3 --advertise h",
        "-o idle_timeout=060,no_maxconns_fast -o maxconns_fast -o no_maxconns_fast,worker_logbuf_size=1",
        "-S -Y /u -u nobody -P /p -d -k -r -A -F -X -W -R 5 -b 6 -n 9 -m 100 --cores 1-2 --max-key-size 300",
    ];
    for line in lines {
        let page = printed(line, "");
        assert_eq!(options("", &page), options(line, ""), "{line}\n{page}");
        assert_eq!(printed("", &page), page, "{line}");
    }
    // From a file and the command line together.
    let page = printed("-p 5 -o idle_timeout=1", "port = 4\nthreads = 2\n[extended]\nidle_timeout = 2");
    assert_eq!(options("", &page), options("-p 5 -t 2 -o idle_timeout=1", ""));
    assert!(page.contains("\nport = 5\n") && page.contains("\nidle_timeout = 1\n"), "{page}");
}

#[test]
fn what_would_not_serve_is_not_printed() {
    let given = given("--print-config -m 1", "").unwrap();
    assert_eq!(given.asked(&machine()).unwrap_err().exit_status(), 64);
}

#[test]
fn changes_are_found_between_files_and_the_command_line() {
    let before = given("-m 64", "port = 11211\nmemory_limit = 100\nuser = 'a'").unwrap();
    let after =
        given("-m 64", "memory_limit = 200\nlisten = ['h']\nextended.idle_timeout = 5\nuser = 'b'").unwrap();
    let changes: Vec<String> = after
        .changes_since(&before)
        .into_iter()
        .map(|change| format!("{}: {} -> {}", change.key.name(), change.old, change.new))
        .collect();
    // Not the port, whose default it was, nor the memory, which the command line has.
    assert_eq!(
        changes,
        [
            "listen: not set (every address) -> [\"h\"]",
            "user: \"a\" -> \"b\"",
            "extended.idle_timeout: 0 -> 5"
        ]
    );
    assert_eq!(after.changes_since(&after), []);
}

#[test]
fn live_keys_exist() {
    assert_eq!(Key::all().filter(|key| key.is_live()).count(), LIVE.len());
}

proptest! {
    /// No text breaks anything: it is taken or refused with a sentence that names the file.
    #[test]
    fn any_text_is_read_or_refused(
        keys in prop::collection::vec((0..60usize, "\\PC{0,12}|[0-9.\"'\\[\\]a-z =,-]{0,12}"), 0..6),
        table in any::<bool>(),
    ) {
        let names: Vec<String> = Key::all().map(Key::name).collect();
        let mut text = if table { "[extended]\n".to_string() } else { String::new() };
        for (at, value) in keys {
            text += &format!("{} = {value}\n", names.get(at).map_or("other", String::as_str));
        }
        match ask("", &text) {
            Ok(options) => prop_assert_eq!(ask("", &printed("", &text)), Ok(options)),
            Err(error) => prop_assert!(error.to_string().contains("x:"), "{}", error),
        }
    }
}
