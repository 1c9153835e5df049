//! What a service manager relies on: notifications and signs of life (here), sockets that outlive the server (`activation`), the
//! units (`units`), the log (`journal`). The manager is played by the test, with the sockets and variables of systemd's own
//! interface, so that nothing depends on whether systemd runs.

mod activation;
mod journal;
mod units;

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::{PATIENCE, Server, server_command};

on_1_and_2_shards! { a_life_is_told }

/// The manager's end of NOTIFY_SOCKET.
struct Manager {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
    /// Lines that have come and were not asked for yet.
    lines: VecDeque<(Instant, String)>,
}

impl Manager {
    fn new() -> Manager {
        let directory = tempfile::tempdir().expect("temporary directory");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
        Manager { socket, directory, lines: VecDeque::new() }
    }

    /// Starts a server that tells this manager, and with `watchdog` expects to be watched.
    fn start(&self, shards: u32, watchdog: Option<Duration>) -> Server {
        let mut command = server_command(&["-p", "-1", "-l", "127.0.0.1", "-t", &shards.to_string()]);
        command.env("NOTIFY_SOCKET", self.directory.path().join("notify"));
        if let Some(patience) = watchdog {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        Server::listening(command)
    }

    /// The next line and when it came; nothing if `within` passes without one.
    fn line(&mut self, within: Duration) -> Option<(Instant, String)> {
        let mut message = [0; 4096];
        if self.lines.is_empty() {
            self.socket.set_read_timeout(Some(within)).expect("read timeout");
            let len = self.socket.recv(&mut message).ok()?;
            let text = String::from_utf8_lossy(&message[..len]).into_owned();
            self.lines.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
        }
        self.lines.pop_front()
    }

    /// The next line that is no sign of life.
    fn said(&mut self) -> String {
        loop {
            match self.line(PATIENCE) {
                Some((_, line)) if line == "WATCHDOG=1" => {}
                Some((_, line)) => return line,
                None => panic!("the server says nothing"),
            }
        }
    }
}

fn a_life_is_told(shards: u32) {
    let mut manager = Manager::new();
    let mut server = manager.start(shards, None);
    assert_eq!(manager.said(), "READY=1");
    let status = format!("STATUS=listens on tcp:127.0.0.1:{} with {shards} shards", server.port());
    assert_eq!(manager.said(), status);
    server.signal(Signal::SIGHUP);
    assert_eq!(manager.said(), "RELOADING=1");
    let begun = manager.said();
    let begun_us = begun.strip_prefix("MONOTONIC_USEC=").and_then(|us| us.parse::<u64>().ok());
    assert!(begun_us.is_some_and(|us| us > 0), "{begun}");
    assert_eq!(manager.said(), "READY=1");
    server.stop();
    assert_eq!(manager.said(), "STOPPING=1");
    assert!(manager.said().starts_with("STATUS="));
    assert_eq!(manager.line(Duration::from_millis(1)), None, "no sign of life is wanted, and none comes");
}

/// Sleeping shards are alive: the signs come, several within the time granted.
#[test]
fn idle_shards_give_signs_of_life() {
    const PATIENCE_OF_MANAGER: Duration = Duration::from_secs(2);
    let mut manager = Manager::new();
    let began = Instant::now();
    let _server = manager.start(2, Some(PATIENCE_OF_MANAGER));
    assert_eq!(manager.said(), "READY=1");
    manager.said();
    for sign in 1..=4 {
        let (_, line) = manager.line(PATIENCE_OF_MANAGER).expect("a sign of life in time");
        assert_eq!(line, "WATCHDOG=1");
        // Not faster than a quarter each, from whenever the first was due.
        assert!(began.elapsed() >= PATIENCE_OF_MANAGER / 4 * (sign - 1), "too many signs of life");
    }
}

/// Has the thread of shard number `shard` stand still while `look` runs.
pub fn holding_shard<T>(server: &Server, shard: u32, look: impl FnOnce() -> T) -> T {
    let thread = thread_of_shard(server, shard);
    ptrace::seize(thread, ptrace::Options::empty()).expect("tracing our own child");
    ptrace::interrupt(thread).expect("an interruption");
    let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).expect("a stop");
    assert!(matches!(stopped, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)), "{stopped:?}");
    let seen = look();
    ptrace::detach(thread, None).expect("the end of tracing");
    seen
}

/// The thread of shard number `shard`, by its name.
pub fn thread_of_shard(server: &Server, shard: u32) -> Pid {
    let tasks = format!("/proc/{}/task", server.pid());
    let entries = std::fs::read_dir(tasks).expect("threads").map(|entry| entry.expect("a thread").path());
    let named = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("comm"))
            .is_ok_and(|name| name.starts_with(&format!("shard-{shard}-")))
    };
    let found = entries.filter(named).filter_map(|path| path.file_name()?.to_str()?.parse().ok()).min();
    Pid::from_raw(found.expect("the shard's thread"))
}

/// One shard of two is held by a tracer; the other goes on, and so does the main thread, but no sign of life comes any more. As
/// soon as the shard is let go they come again.
#[test]
fn a_shard_that_stands_still_ends_the_signs_of_life() {
    const PATIENCE_OF_MANAGER: Duration = Duration::from_millis(800);
    let mut manager = Manager::new();
    let server = manager.start(2, Some(PATIENCE_OF_MANAGER));
    assert_eq!(manager.said(), "READY=1");
    manager.said();
    for held in [0, 1] {
        holding_shard(&server, held, || {
            let since = Instant::now();
            // What was under way, and one for a turn made just before the stop.
            let mut last = since;
            while let Some((at, line)) = manager.line(PATIENCE_OF_MANAGER) {
                assert_eq!(line, "WATCHDOG=1");
                last = at;
                assert!(last - since < PATIENCE_OF_MANAGER, "a shard that stands still gives signs of life");
            }
            assert!(last.elapsed() >= PATIENCE_OF_MANAGER, "systemd would have lost its patience");
            let said = format!("shards [{held}] stand still");
            assert!(server.stderr().contains(&said), "{}", server.stderr());
        });
        let (_, line) = manager.line(PATIENCE).expect("signs of life again");
        assert_eq!(line, "WATCHDOG=1");
    }
    server.connect().ask("get a\r\n", "END\r\n");
}
