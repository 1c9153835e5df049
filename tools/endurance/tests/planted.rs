//! Faults planted from outside while a soak runs, to see that it finds them: a server that is killed, a wrong value, a
//! connection that somebody keeps.

#[allow(dead_code, reason = "only the program is of use: the soak starts it itself")]
#[path = "../../steered/tests/server/mod.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A soak that has just begun: its first line names the server.
struct Soak {
    child: Child,
    output: BufReader<ChildStdout>,
    pid: i32,
    address: String,
}

impl Soak {
    fn start(seconds: u32) -> Soak {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringcached-soak"))
            .arg("--server")
            .arg(&*server::RINGCACHED)
            .args(["--rate", "3000", "--seconds", &seconds.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its first line");
        // soak: 3 shards, pid 123, 127.0.0.1:4567, 10 s
        let mut parts = line.trim_end().split(", ");
        let pid = parts.find_map(|part| part.strip_prefix("pid ")).unwrap_or_else(|| panic!("{line:?}"));
        let (pid, address) = (pid.parse().expect("a number"), parts.next().expect("an address").into());
        Soak { child, output, pid, address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("the server")
    }

    /// Waits for its end; its exit code, and what it said.
    fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.output.read_to_string(&mut said).expect("its output");
        self.child.stderr.take().expect("its errors").read_to_string(&mut said).expect("its errors");
        (self.child.wait().expect("its end"), said)
    }

    fn fails_saying(self, expected: &[&str]) {
        let (status, said) = self.end();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(expected.iter().all(|part| said.contains(part)), "want {expected:?}:\n{said}");
        assert!(!said.contains("soak: passed"), "{said}");
    }
}

#[test]
fn a_server_that_is_killed() {
    let soak = Soak::start(60);
    kill(Pid::from_raw(soak.pid), Signal::SIGKILL).expect("a signal");
    soak.fails_saying(&["soak: FAILED: the server has ended: signal: 9"]);
}

#[test]
fn a_value_that_nobody_stored() {
    let soak = Soak::start(60);
    let mut stream = soak.connect();
    let mut byte = [0; 1];
    // The most used key is overwritten until the soak has read it, and ends.
    while stream.write_all(b"set load:loa00000000 0 0 20\r\nxxxxxxxxxxxxxxxxxxxx\r\n").is_ok() {
        if !matches!(stream.read(&mut byte), Ok(1..)) {
            break;
        }
    }
    soak.fails_saying(&["soak: FAILED", "load:loa00000000"]);
}

#[test]
fn a_connection_that_stays() {
    let soak = Soak::start(1);
    let mut stream = soak.connect();
    // It says something now and then, or the idle timeout would end it.
    let kept = thread::spawn(move || {
        let mut answer = [0; 100];
        while stream.write_all(b"version\r\n").is_ok() && matches!(stream.read(&mut answer), Ok(1..)) {
            thread::sleep(Duration::from_millis(100));
        }
    });
    soak.fails_saying(&["left over when all clients had gone", "more: [\"socket\"]"]);
    kept.join().expect("the connection");
}

#[test]
fn nothing() {
    let (status, said) = Soak::start(1).end();
    assert!(status.success() && said.contains("soak: passed"), "{status}\n{said}");
}
