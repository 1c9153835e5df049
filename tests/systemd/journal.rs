//! Lines that journald or a collector of JSON reads.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use crate::harness::{Server, server_command, wait_for};
use nix::sys::signal::Signal;

/// Standard error of a start that fails, with `variable` for JOURNAL_STREAM made from the file it goes to.
fn refusal(options: &[&str], variable: impl Fn(&std::fs::Metadata) -> Option<String>) -> String {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("stderr");
    let file = std::fs::File::create(&path).expect("a file");
    let mut command: Command = server_command(options);
    if let Some(stream) = variable(&file.metadata().expect("its inode")) {
        command.env("JOURNAL_STREAM", stream);
    }
    let status = command.stdout(Stdio::null()).stderr(file).status().expect("the server");
    assert!(!status.success());
    std::fs::read_to_string(path).expect("text")
}

#[test]
fn priorities_stand_where_the_journal_reads_them() {
    let stream = |file: &std::fs::Metadata| Some(format!("{}:{}", file.dev(), file.ino()));
    let journal = refusal(&["-m", "x"], stream);
    assert!(journal.starts_with("<3>"), "{journal}");
    // Somebody else's stream: standard error was redirected.
    let other = refusal(&["-m", "x"], |file| Some(format!("{}:{}", file.dev(), file.ino() + 1)));
    let none = refusal(&["-m", "x"], |_| None);
    assert!(none.starts_with("ringcached: ") && other == none, "{none}{other}");
    assert_eq!(journal.strip_prefix("<3>"), none.strip_prefix("ringcached: "));
}

#[test]
fn a_line_is_an_object() {
    let server = Server::start(1, &["--log-format", "json", "-v"]);
    server.signal(Signal::SIGHUP);
    let log = wait_for("a line about SIGHUP", || {
        let log = server.stderr();
        log.contains("SIGHUP").then_some(log)
    });
    for line in log.lines() {
        assert!(line.starts_with(r#"{"time":"20"#) && line.ends_with(r#""}"#), "{line}");
    }
    assert!(log.contains(r#"Z","level":"info","message":"SIGHUP: "#), "{log}");
}

/// Signals by the hundred make a bounded number of lines, and the rest is counted.
#[test]
fn lines_of_one_kind_are_bounded() {
    let mut server = Server::start(1, &["-v"]);
    let begun = std::time::Instant::now();
    let count = |server: &Server| server.stderr().lines().filter(|line| line.contains("SIGHUP")).count();
    // Two of one signal that wait are one, so until the bound is reached each waits for the line of the one before.
    for sent in 1..=20 {
        server.signal(Signal::SIGHUP);
        wait_for("its line", || (count(&server) >= sent || begun.elapsed().as_millis() > 900).then_some(()));
    }
    for _ in 0..200 {
        server.signal(Signal::SIGHUP);
        std::thread::yield_now();
    }
    server.stop();
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(count(&server) <= 20 * seconds, "{}", server.stderr());
    assert!(server.stderr().contains("left out"), "{}", server.stderr());
}
