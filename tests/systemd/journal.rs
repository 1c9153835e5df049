//! Lines that journald or a collector of JSON reads.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::{Command, Stdio};

use crate::harness::{Server, server_command, wait_for};
use command_fds::{CommandFdExt, FdMapping};
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
    // Beyond it each waits until the one before has been taken.
    for _ in 0..50 {
        server.signal(Signal::SIGHUP);
        wait_for("a signal that is taken", || (!waits(&server, Signal::SIGHUP)).then_some(()));
    }
    server.stop();
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(count(&server) <= 20 * seconds, "{}", server.stderr());
    assert!(server.stderr().contains("left out"), "{}", server.stderr());
}

/// Fills a pipe; the bytes it took.
fn fill(pipe: &mut File) -> usize {
    let mut len = 0;
    loop {
        match pipe.write(&[b'.'; 1024]) {
            Ok(taken) => len += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return len,
            Err(error) => panic!("a pipe: {error}"),
        }
    }
}

/// Whether a signal has come and nobody has taken it.
fn waits(server: &Server, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).expect("signals of the process");
    // Bit n-1 is signal n.
    u64::from_str_radix(mask.trim(), 16).expect("a mask") & (1 << (signal as u32 - 1)) != 0
}

/// Standard error is a pipe that is full before the server starts, and nobody reads it: the server serves, changes and ends as
/// ever, and says how much it could not say once somebody does read.
#[test]
fn nobody_who_reads_the_log_is_waited_for() {
    const SIGNALS: usize = 5;
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let mut options = File::options();
    options.read(true).write(true);
    let for_server = options.open(&path).expect("its end for the server, which blocks");
    let mut reader = options.custom_flags(nix::libc::O_NONBLOCK).open(&path).expect("the other end");
    let mut full = vec![0; fill(&mut reader)];
    let mut command = server_command(&["-p", "-1", "-l", "127.0.0.1", "-t", "2", "-v"]);
    let mapping = FdMapping { parent_fd: OwnedFd::from(for_server), child_fd: 2 };
    command.fd_mappings(vec![mapping]).expect("one number");
    let mut server = Server::listening(command);
    let mut conn = server.connect();
    for _ in 0..SIGNALS {
        server.signal(Signal::SIGHUP);
        // Two that wait are one.
        wait_for("the signal to be taken", || (!waits(&server, Signal::SIGHUP)).then_some(()));
        conn.ask("slabs automove 1\r\nget a\r\n", "OK\r\nEND\r\n");
    }
    reader.read_exact(&mut full).expect("what was in the pipe");
    assert!(full.iter().all(|byte| *byte == b'.'));
    server.signal(Signal::SIGHUP);
    let mut log = String::new();
    wait_for("every line, or its number", || {
        let mut piece = [0; 1024];
        let len = reader.read(&mut piece).unwrap_or(0);
        log.push_str(&String::from_utf8_lossy(&piece[..len]));
        let number = |line: &str| match line.strip_prefix("ringcached: ")?.split_once(" lines like the next")
        {
            Some((left_out, _)) => left_out.parse::<usize>().ok(),
            None => line.contains("SIGHUP: ").then_some(1),
        };
        (log.lines().filter_map(number).sum::<usize>() == SIGNALS + 1).then_some(())
    });
    assert!(log.contains("were left out"), "{log}");
    fill(&mut reader);
    server.stop();
}
