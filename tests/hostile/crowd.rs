//! Thousands of connections in a process of their own, `crowd.py`: a process may have only so many descriptors, and this one runs
//! other tests meanwhile.

use crate::harness::Server;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Descriptors of a server, or of the crowd's process, that are no clients.
const OTHER_DESCRIPTORS: u64 = 200;

/// So many of `wanted` connections as a process of this machine may have, `at_least` if the test is to mean anything. Says so if
/// it is not all. Root may raise the limit, which the processes started from here on inherit.
pub fn as_many_as(wanted: u64, at_least: u64) -> u64 {
    let limit = || getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    let (soft, hard) = limit();
    if hard < wanted + OTHER_DESCRIPTORS {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, wanted + OTHER_DESCRIPTORS); // without the right it stays
    }
    let (_, hard) = limit();
    let count = wanted.min(hard.saturating_sub(OTHER_DESCRIPTORS));
    assert!(
        count >= at_least,
        "{at_least} connections need a higher limit of open files: `ulimit -Hn` is {hard}"
    );
    if count < wanted {
        eprintln!("{count} connections, not {wanted}: a process may have {hard} descriptors (`ulimit -Hn`)");
    }
    count
}

/// See the module comment.
pub struct Crowd {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Crowd {
    /// Opens `count` connections to `server`.
    pub fn open(server: &Server, count: u64) -> Crowd {
        server.expect_clients(count);
        let mut process = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/crowd.py"))
            .args([server.port().to_string(), count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3, which tools/check installs");
        let commands = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut crowd = Crowd { process, commands, answers };
        crowd.is_done("open");
        crowd
    }

    /// Has it do `command`, each connection with one of `variants` in turn.
    pub fn does(&mut self, command: &str, variants: &[&[u8]]) {
        let mut line = String::from(command);
        for variant in variants {
            line.push(' ');
            line.extend(variant.iter().map(|byte| format!("{byte:02x}")));
        }
        line.push('\n');
        self.commands.write_all(line.as_bytes()).expect("a crowd that is there");
        self.is_done(command);
    }

    fn is_done(&mut self, what: &str) {
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        assert!(
            answer == "done\n",
            "{what}: the crowd answered {answer:?} ({read:?}); its reason stands above"
        );
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
