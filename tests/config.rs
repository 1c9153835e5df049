//! The configuration file: what it means, every way to refuse it, and what SIGHUP changes.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::harness::{Conn, Server, server_command, wait_for};
use crate::process::run;

/// A file of this text in a directory of its own.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("ringcached.toml");
    std::fs::write(&path, text).expect("written");
    (directory, path)
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("temporary path in UTF-8")
}

/// A server that has everything but its port from the file.
fn serve(path: &Path) -> Server {
    Server::listening(server_command(&["-p", "-1", "--config", shown(path)]))
}

/// A row of `stats settings`.
fn setting(conn: &mut Conn, name: &str) -> String {
    let settings = conn.stats("settings");
    let found = settings.into_iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

const FILE: &str = "listen = ['127.0.0.1']\nport = 1\nthreads = 2\nmemory_limit = 64\ndisable_cas = true\n\
                    enable_shutdown = true\n[extended]\nidle_timeout = 100\n";

#[test]
fn a_file_configures_and_the_command_line_wins() {
    let (_directory, path) = file(FILE);
    let server = serve(&path);
    let mut conn = server.connect();
    assert_eq!(setting(&mut conn, "num_threads"), "2");
    assert_eq!(setting(&mut conn, "cas_enabled"), "no");
    assert_eq!(setting(&mut conn, "shutdown_command"), "yes");
    assert_eq!(setting(&mut conn, "idle_timeout"), "100");
    assert_eq!(setting(&mut conn, "inter"), "127.0.0.1");
    assert_ne!(setting(&mut conn, "tcpport"), "1");
}

#[test]
fn a_file_is_refused_with_its_line_and_nothing_starts() {
    let (directory, path) = file("");
    let ports = directory.path().join("ports");
    let name = shown(&path).to_string();
    for (text, sentence) in [
        ("port = 11211\nport = 11212\n", format!("{name}:2: duplicate key: `port = 11212`")),
        ("\nport = 'x'\n", format!("{name}:2: port = 'x': must be a whole number from -1 to 65535")),
        ("threads = 257\n", format!("{name}:1: threads = 257: must be a whole number from 1 to 256")),
        ("memory_limt = 64\n", format!("{name}:1: unknown key `memory_limt`: did you mean `memory_limit`?")),
        ("steer = 'odd'\n", format!("{name}:1: steer = 'odd': must be `even` or `cpu`")),
        ("user = \n", format!("{name}:1: ")),
    ] {
        std::fs::write(&path, format!("{text}pidfile = '{}'\n", shown(&ports))).expect("written");
        let output = run(&["-p", "-1", "-l", "127.0.0.1", "--config", &name]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.starts_with(&format!("ringcached: {sentence}")), "{stderr}, want {sentence}");
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(!ports.exists(), "half started by {text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let (directory, path) = file("\u{0}");
    std::fs::write(&path, b"user = '\xff'").expect("written");
    let missing = directory.path().join("missing");
    for (path, why) in [
        (directory.path(), "Is a directory"),
        (&missing, "No such file or directory"),
        (&path, "stream did not contain valid UTF-8"),
        (Path::new("/dev/zero"), "it is longer than 262144 bytes"),
    ] {
        let output = run(&["-p", "-1", "--config", shown(path)]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let sentence = format!("ringcached: --config `{}`: cannot be read: {why}", path.display());
        assert!(stderr.starts_with(&sentence), "{stderr}, want {sentence}");
        assert_eq!(output.status.code(), Some(71));
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let (_directory, path) = file(FILE);
    let first = run(&["--config", shown(&path), "-m", "100", "-vv", "--print-config"]);
    assert!(first.status.success(), "{first:?}");
    std::fs::write(&path, &first.stdout).expect("written");
    let again = run(&["--config", shown(&path), "--print-config"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&first.stdout));
    let text = String::from_utf8_lossy(&first.stdout);
    for line in ["memory_limit = 100", "verbose = 2", "port = 1", "#user = \"<user>\"", "idle_timeout = 100"]
    {
        assert!(text.lines().any(|printed| printed == line), "no `{line}` in {text}");
    }
    // What a package installs is the same, made from the defaults.
    let packaged = include_str!("../package/ringcached.toml");
    let printed = run(&["-l", "127.0.0.1", "--print-config"]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), packaged);
}

/// Replaces the file, sends SIGHUP and waits for a line that begins so.
fn reload(server: &mut Server, path: &Path, text: &str, line: &str) {
    std::fs::write(path, text).expect("written");
    server.signal(Signal::SIGHUP);
    let start = format!("ringcached: SIGHUP: {line}");
    wait_for(&start, || server.stderr().lines().any(|line| line.starts_with(&start)).then_some(()));
}

#[test]
fn sighup_changes_what_it_can_and_names_the_rest() {
    let (_directory, path) = file("threads = 2\nlisten = ['127.0.0.1']\nmemory_limit = 64\n");
    let mut server = serve(&path);
    let mut conn = server.connect();
    let after = "threads = 1\nlisten = ['127.0.0.1']\nmemory_limit = 32\nconn_limit = 900\nverbose = 1\nlog_format = 'text'\n\
                 max_reqs_per_event = 7\ndisable_cas = true\n[extended]\nidle_timeout = 50\n";
    reload(
        &mut server,
        &path,
        after,
        "restart to apply what does not change while it runs: disable_cas: false -> true; threads: 2 -> 1",
    );
    let log = server.stderr();
    for line in [
        "memory_limit: 64 -> 32",
        "conn_limit: 1024 -> 900",
        "verbose: 0 -> 1",
        "log_format: not set (journal where standard error is journald's, else text) -> \"text\"",
        "max_reqs_per_event: 20 -> 7",
        "extended.idle_timeout: 0 -> 50",
    ] {
        let line = format!("ringcached: SIGHUP: {line}");
        assert!(log.lines().any(|logged| logged == line), "no `{line}` in\n{log}");
    }
    for (name, value) in [
        ("maxconns", "900"),
        ("verbosity", "1"),
        ("reqs_per_event", "7"),
        ("idle_timeout", "50"),
        ("num_threads", "2"),
        ("cas_enabled", "yes"),
    ] {
        assert_eq!(setting(&mut conn, name), value, "{name}");
    }
    wait_for("the shards to look", || (conn.stat("limit_maxbytes") == 32 << 20).then_some(()));
    // What a client has set stays until the setting itself changes.
    conn.ask("cache_memlimit 48\r\n", "OK\r\n");
    let later = after.replace("idle_timeout = 50", "idle_timeout = 60");
    reload(&mut server, &path, &later, "extended.idle_timeout: 50 -> 60");
    assert_eq!(conn.stat("limit_maxbytes"), 48 << 20);
    conn.finish();
}

/// A change that could not be made is tried and named at every SIGHUP.
#[test]
fn what_could_not_be_changed_is_not_taken_for_done() {
    let before = "listen = ['127.0.0.1']\nmemory_limit = 64\n";
    let (_directory, path) = file(before);
    let mut server = serve(&path);
    let line = "ringcached: warning: SIGHUP: memory_limit: 64 -> 16777216 is not possible: ";
    std::fs::write(&path, before.replace("64", "16777216")).expect("written");
    for sent in 1..=2 {
        server.signal(Signal::SIGHUP);
        let count = |log: String| log.lines().filter(|logged| logged.starts_with(line)).count();
        wait_for("its line", || (count(server.stderr()) == sent).then_some(()));
    }
    reload(&mut server, &path, before, "the configuration is what it was");
    assert_eq!(server.connect().stat("limit_maxbytes"), 64 << 20);
}

/// Of `-m 64` each of 13 shards has a little less than its share, and still it can be had back; with `-L`, whether there are
/// explicit huge pages or not, nothing above it was reserved.
#[test]
fn a_limit_can_be_had_back() {
    let before = "listen = ['127.0.0.1']\nmemory_limit = 64\nthreads = 13\nenable_largepages = true\n\
                  max_item_size = '100k'\n";
    let (_directory, path) = file(before);
    let mut server = serve(&path);
    let mut conn = server.connect();
    reload(&mut server, &path, &before.replace("64", "32"), "memory_limit: 64 -> 32");
    wait_for("the shards to look", || (conn.stat("limit_maxbytes") <= 32 << 20).then_some(()));
    reload(&mut server, &path, before, "memory_limit: 32 -> 64");
    // Its pages are whole.
    wait_for("the shards to look", || (conn.stat("limit_maxbytes") > 63 << 20).then_some(()));
    std::fs::write(&path, before.replace("64", "1")).expect("written");
    server.signal(Signal::SIGHUP);
    let line = "ringcached: warning: SIGHUP: memory_limit: 64 -> 1 is not possible: the 13 shards there are need 2 MiB";
    wait_for(line, || server.stderr().contains(line).then_some(()));
    conn.finish();
}

#[test]
fn a_broken_file_changes_nothing_at_sighup() {
    let before = "listen = ['127.0.0.1']\nconn_limit = 900\n";
    let (_directory, path) = file(before);
    let mut server = serve(&path);
    let mut conn = server.connect();
    let name = shown(&path).to_string();
    let broken = "conn_limit = 800\nverbose = 9\n";
    let line = format!(
        "{name}:2: verbose = 9: must be a whole number from 0 to 3; the settings are the same as before"
    );
    reload(&mut server, &path, broken, &line);
    reload(
        &mut server,
        &path,
        "conn_limit = 800\nmemory_limit = 1\n",
        "-I, --max-item-size of 1048576 bytes with",
    );
    assert_eq!(setting(&mut conn, "maxconns"), "900");
    std::fs::remove_file(&path).expect("removed");
    server.signal(Signal::SIGHUP);
    let line = format!("--config `{name}`: cannot be read");
    wait_for(&line, || server.stderr().contains(&line).then_some(()));
    reload(&mut server, &path, before, "the configuration is what it was");
    assert_eq!(setting(&mut conn, "maxconns"), "900");
    conn.finish();
}

/// More settings than lines of one kind in a second.
#[test]
fn every_change_that_waits_for_a_restart_is_named() {
    const BEFORE: &str = "listen = ['127.0.0.1']\nthreads = 1\n";
    const OTHERS: &str = "listen_backlog = 100\nsteer = 'cpu'\ncongestion = 'reno'\nadvertise = 'h'\ndisable_cas = true\n\
        disable_evictions = true\nmax_item_size = '512k'\nmax_key_size = 300\nslab_growth_factor = 1.5\nslab_min_size = 96\n\
        partition = 'crc32a'\nshard_ports = 22000\nenable_shutdown = true\ndisable_flush_all = true\ndisable_dumping = true\n\
        disable_watch = true\nslow_log = 1000\npidfile = '/p'\nenable_coredumps = true\nprotocol = 'ascii'\n[extended]\n\
        maxconns_fast = false\nwatcher_logbuf_size = 512\nworker_logbuf_size = 128\n";
    let (_directory, path) = file(BEFORE);
    let mut server = serve(&path);
    reload(
        &mut server,
        &path,
        &format!("{BEFORE}{OTHERS}"),
        "restart to apply what does not change while it runs: ",
    );
    let log = server.stderr();
    let names = OTHERS.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    let missing: Vec<&str> = names.filter(|name| !log.contains(&format!("{name}: "))).collect();
    assert!(missing.is_empty(), "{missing:?} in\n{log}");
}

/// The limit that a client meets is the one of the file it was changed to.
#[test]
fn a_changed_connection_limit_counts() {
    let (_directory, path) = file("listen = ['127.0.0.1']\nthreads = 1\nconn_limit = 4\n");
    let mut server = serve(&path);
    let mut conn = server.connect();
    let more = "listen = ['127.0.0.1']\nthreads = 1\nconn_limit = 40\n";
    reload(&mut server, &path, more, "conn_limit: 4 -> 40");
    let mut connections: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for other in &mut connections {
        other.ask("get a\r\n", "END\r\n");
    }
    assert_eq!(conn.stat("max_connections"), 40);
}
