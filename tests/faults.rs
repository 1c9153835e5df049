//! Faults at the edges of a running process: rings that fail or cannot be made, panics, logs that cannot be written, a process that
//! is stopped and goes on, limits of memory. What single operations of a ring may answer is in `tests/injection`.
//!
//! Errors of system calls of a start come from `strace`, which has chosen ones fail without the kernel having seen them (strace(1),
//! "Tampering"), those of one ring of a server that runs from `tracer`.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::harness::{Conn, PATIENCE, Server, server_command, wait_for};
use crate::process::run_command;
use crate::tracer::{Failing, RingOf, Tracer};

/// One shard of two panics, as its executor does when the kernel refuses it everything.
fn panic_in_shard_1(server: &mut Server) -> ExitStatus {
    let failing = Failing { ring: RingOf::Executor, errno: Errno::EIO, one_in: 1 };
    let _tracer = Tracer::on_shard(server, 1, failing);
    server.wait_for_exit_within(PATIENCE)
}

#[test]
fn a_panic_in_a_shard_ends_the_process() {
    // With the filter of system calls, too: it must let a process abort.
    for options in [&[][..], &["-o", "drop_privileges"]] {
        let mut server = Server::start(2, options);
        let status = panic_in_shard_1(&mut server);
        let stderr = server.stderr();
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{options:?}: {status}\n{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("ringcached: shard 1 panicked at "), "{stderr}");
        assert!(last.ends_with(": the server ends (SIGABRT)"), "{stderr}");
    }
}

/// What ends the server otherwise than its options has systemd start it again.
#[test]
fn units_start_it_again() {
    for unit in ["ringcached.service", "ringcached@.service"] {
        let path = format!("{}/tuning/systemd/{unit}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the unit");
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        // Signals and statuses other than 0 (systemd.service(5)), but for those of wrong options.
        assert_eq!(value("Restart"), Some("on-failure"), "{unit}");
        assert_eq!(value("RestartPreventExitStatus"), Some("1 64"), "{unit}");
        assert_eq!(value("SuccessExitStatus"), None, "{unit}");
    }
}

/// A server whose standard error leads to `target` of a shell's redirection, with descriptor 9 open.
fn with_stderr(target: &str, nine: Option<std::os::fd::OwnedFd>) -> Server {
    let program = server_command(&[]).get_program().to_owned();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$0\" \"$@\" 2>{target}")]).arg(program);
    command.args(["-p", "-1", "-l", "127.0.0.1", "-t", "2"]);
    let mappings = nine.map(|parent_fd| FdMapping { parent_fd, child_fd: 9 });
    command.fd_mappings(mappings.into_iter().collect()).expect("one descriptor");
    Server::listening(command)
}

/// A pipe as full as a pipe can be: what reads it, and what would write.
fn full_pipe() -> (std::io::PipeReader, std::os::fd::OwnedFd) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut end = writer.try_clone().expect("another handle");
    // As much as fits: pipe(7).
    end.write_all(&vec![b'x'; 1 << 16]).expect("an empty pipe takes it");
    (reader, writer.into())
}

#[test]
fn a_panic_ends_the_process_though_nobody_reads_its_log() {
    let (_reader, writer) = full_pipe();
    let mut server = with_stderr("&9", Some(writer));
    let status = panic_in_shard_1(&mut server);
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{status}");
}

/// Sets, gets and counts on `connections` connections, on keys of all shards.
fn converse_on(server: &Server, connections: usize) {
    let mut conns: Vec<Conn> = (0..connections).map(|_| server.connect()).collect();
    for round in 0..40 {
        for (i, conn) in conns.iter_mut().enumerate() {
            let key = format!("k{i}-{round}");
            conn.ask(
                format!("set {key} 0 0 2\r\n10\r\nincr {key} 5\r\nget {key}\r\n"),
                format!("STORED\r\n15\r\nVALUE {key} 0 2\r\n15\r\nEND\r\n"),
            );
        }
    }
    conns.into_iter().for_each(Conn::finish);
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    let (mut reader, writer) = full_pipe();
    for (target, nine) in [("/dev/full", None), ("&-", None), ("&9", Some(writer))] {
        let mut server = with_stderr(target, nine);
        // Each of these has something to say.
        server.connect().ask("verbosity 3\r\n", "OK\r\n");
        server.signal(Signal::SIGHUP);
        converse_on(&server, 4);
        server.stop();
    }
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("all of it");
    assert!(rest.iter().all(|byte| *byte == b'x'), "it was full all the time");
}

/// The ring of one shard refuses, for good: half a server is worse than none.
#[test]
fn a_ring_that_fails_ends_the_process() {
    for errno in [Errno::EIO, Errno::ENOMEM, Errno::EBADR] {
        let mut server = Server::start(2, &[]);
        let tracer = Tracer::on_shard(&server, 1, Failing { ring: RingOf::Shard, errno, one_in: 1 });
        // Makes it enter its ring, whatever becomes of the answer.
        let clients: Vec<Conn> = (0..8).map_while(|_| Conn::open_tcp(server.addresses[0])).collect();
        let status = server.wait_for_exit_within(PATIENCE);
        let stderr = server.stderr();
        assert_eq!(status.code(), Some(71), "{errno}: {status}\n{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("ringcached: shard 1: io_uring failed ("), "{errno}: {stderr}");
        assert!(last.ends_with("the server ends"), "{errno}: {stderr}");
        drop((clients, tracer));
    }
}

/// What passes is no reason to end, nor to answer wrong.
#[test]
fn a_ring_that_is_interrupted_goes_on() {
    for errno in [Errno::EINTR, Errno::EAGAIN, Errno::EBUSY] {
        let mut server = Server::start(2, &[]);
        for one_in in [2, 3] {
            let tracer = Tracer::on_shard(&server, 1, Failing { ring: RingOf::Shard, errno, one_in });
            converse_on(&server, 6);
            assert!(tracer.finish() > 0, "{errno}: nothing has failed");
        }
        converse_on(&server, 6);
        server.stop();
    }
}

/// Runs a start of two shards in which system calls fail; it has to end by itself.
fn start_with(inject: &str) -> std::process::Output {
    let program = server_command(&[]).get_program().to_owned();
    let mut command = Command::new("strace");
    command.args(["-qq", "-f", "-o", "/dev/null", "-e", &format!("inject={inject}")]).arg(program);
    command.args(["-p", "-1", "-l", "127.0.0.1", "-t", "2", "-m", "64"]);
    run_command(command)
}

/// Each ring there is, from the one that tries the kernel to those of the executors, with a sentence and a remedy for each error.
#[test]
fn a_ring_that_cannot_be_made() {
    let cases = [
        ("ENOSYS", 1..=1, "CONFIG_IO_URING"),
        ("EPERM", 1..=1, "seccomp"),
        ("EINVAL", 1..=1, "Linux 6.1"),
        ("ENOMEM", 1..=5, "ulimit -l"),
        ("EMFILE", 1..=5, "ulimit -n"),
        ("ENFILE", 1..=5, "ulimit -n"),
    ];
    for (errno, which, remedy) in cases {
        for which in which {
            check_refusal(&format!("io_uring_setup:error={errno}:when={which}"), remedy);
        }
    }
}

/// Other things that the start needs, each failing once.
#[test]
fn what_fails_at_the_start_is_named() {
    let cases = [
        ("eventfd2:error=EMFILE", 1..=5, "ulimit -n"),
        ("signalfd4:error=EMFILE", 1..=1, "signals cannot be waited for"),
        ("clone3:error=EAGAIN", 1..=2, "ulimit -u"),
        ("socket:error=ENFILE", 1..=2, "ulimit -n"),
        ("io_uring_register:error=ENOMEM", 1..=1, "no memory for"),
        ("io_uring_register:error=ENOMEM", 3..=5, "no memory for"),
    ];
    for (call, which, remedy) in cases {
        for which in which {
            check_refusal(&format!("{call}:when={which}"), remedy);
        }
    }
}

fn check_refusal(inject: &str, remedy: &str) {
    let output = start_with(inject); // `strace`: install it
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{inject}: {}\n{stderr}", output.status);
    let last = stderr.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("ringcached: ") && last.contains(remedy),
        "{inject}: no {remedy:?} in\n{stderr}"
    );
}

/// Limits of the process that really are too low. Two of them are raised by who may: a user namespace has no privileges outside.
#[test]
fn limits_that_are_too_low_are_named() {
    let cases = [
        (&["unshare", "--user", "prlimit", "--memlock=65536:65536"][..], "64", "ulimit -l"),
        (&["unshare", "--user", "prlimit", "--nofile=40:40"], "64", "ulimit -n"),
        (&["prlimit", "--as=1000000000"], "4096", "ulimit -v"),
        (&["prlimit", "--as=80000000"], "64", "ulimit -v"),
    ];
    // Which shard takes the last of it, and for what, differs from start to start.
    for (limit, megabytes, remedy) in cases.into_iter().chain([cases[3]; 20]) {
        let program = server_command(&[]).get_program().to_owned();
        let mut command = Command::new(limit[0]);
        command.args(&limit[1..]).arg(program);
        command.args(["-p", "-1", "-l", "127.0.0.1", "-t", "2", "-m", megabytes]);
        let output = run_command(command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(71), "{limit:?}: {}\n{stderr}", output.status);
        assert!(stderr.lines().last().is_some_and(|line| line.contains(remedy)), "{limit:?}: {stderr}");
    }
}

/// A control group of its own below one that may have `limit_bytes` of memory, of version 1 or 2. It goes when this does; no process
/// may be left in it by then.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new(limit_bytes: u64) -> MemoryGroup {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, file) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (v1.parent().expect("a root"), "memory.max")
        };
        let upper = root.join(format!("ringcached-test-{}-{limit_bytes}", std::process::id()));
        let group = MemoryGroup(upper.join("server"));
        let refused =
            |e| panic!("{}: {e}: this test needs root and a writable /sys/fs/cgroup", upper.display());
        std::fs::create_dir_all(&group.0).unwrap_or_else(refused);
        std::fs::write(upper.join(file), limit_bytes.to_string()).unwrap_or_else(refused);
        // Nothing goes to a swap device instead, where the kernel counts that.
        for (file, swap) in [("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", limit_bytes)] {
            if upper.join(file).exists() {
                std::fs::write(upper.join(file), swap.to_string()).unwrap_or_else(refused);
            }
        }
        group
    }

    /// The server, started in the group.
    fn start(&self, options: &[&str]) -> Server {
        let program = server_command(&[]).get_program().to_owned();
        let mut command = Command::new("sh");
        let join = format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display());
        command.args(["-c", &join]).arg(program).args(["-p", "-1", "-l", "127.0.0.1", "-t", "2"]);
        command.args(options);
        Server::listening(command)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let upper = self.0.parent().expect("the group above").to_owned();
        for group in [&self.0, &upper] {
            // What a process that was just killed had is given back a moment later.
            wait_for("an empty control group", || std::fs::remove_dir(group).is_ok().then_some(()));
        }
    }
}

/// More memory for items than the control group has: said at the start, and served as far as it goes. When it is over the kernel
/// ends the process, which a service manager takes for a failure.
#[test]
fn a_control_group_with_too_little_memory() {
    const WARNING: &str = "are more than the 96 MiB this process may have: lower -m";
    let group = MemoryGroup::new(96 << 20);
    let mut server = group.start(&["-m", "16"]);
    assert!(!server.stderr().contains(WARNING), "{}", server.stderr());
    fill(&server, 24 << 20).expect("enough memory for 16 MiB");
    server.stop();

    let mut server = group.start(&["-m", "1024"]);
    assert!(server.stderr().contains(WARNING), "{}", server.stderr());
    fill(&server, 1 << 30).expect_err("no more than there is");
    let status = server.wait_for_exit();
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{status}");
}

/// Stores values of 500 KB that have `bytes` together, or as many as are answered.
fn fill(server: &Server, bytes: usize) -> std::io::Result<()> {
    let mut client = std::net::TcpStream::connect(server.addresses[0])?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let value = "v".repeat(500_000);
    for n in 0..bytes / value.len() {
        client.write_all(format!("set key-{n} 0 0 {}\r\n{value}\r\n", value.len()).as_bytes())?;
        let mut answer = [0; 8];
        client.read_exact(&mut answer)?;
        assert_eq!(&answer, b"STORED\r\n");
    }
    Ok(())
}

/// Stopped as by a debugger, a hypervisor or a suspended machine: everything that was sent meanwhile is answered, in order.
#[test]
fn what_is_sent_to_a_stopped_server_is_answered_when_it_goes_on() {
    const CLIENTS: usize = 600;
    const TIMES: usize = 20;
    let server = Server::start(2, &["-c", "2048"]);
    let mut conns: Vec<Conn> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (i, conn) in conns.iter_mut().enumerate() {
        conn.ask(format!("set n{i} 0 0 1\r\n0\r\n"), "STORED\r\n");
    }
    server.signal(Signal::SIGSTOP);
    let requests = |i: usize| format!("incr n{i} 1\r\nincr n{} 0\r\n", (i + 1) % CLIENTS);
    for (i, conn) in conns.iter_mut().enumerate() {
        conn.send(requests(i).repeat(TIMES));
    }
    // Those who come now wait in the backlog; those who leave are forgotten.
    let late = server.connect();
    drop((0..50).map(|_| server.connect()).collect::<Vec<_>>());
    server.signal(Signal::SIGCONT);
    for conn in &mut conns {
        let mut neighbour = 0;
        for n in 1..=TIMES {
            conn.expect(format!("{n}\r\n"));
            let now = conn.line().parse::<usize>().expect("a counter");
            assert!(now >= neighbour && now <= TIMES, "{now} after {neighbour}");
            neighbour = now;
        }
    }
    late.finish();
    let first = &mut conns[0];
    wait_for("those that left to be forgotten", || {
        (first.stat("curr_connections") == CLIENTS as u64).then_some(())
    });
    conns.into_iter().for_each(Conn::finish);
}

/// The clock goes on while the process does not.
#[test]
fn items_age_while_the_server_is_stopped() {
    let server = Server::start(2, &[]);
    let mut conn = server.connect();
    for i in 0..8 {
        conn.ask(format!("set short{i} 0 1 1\r\nx\r\nset long{i} 0 100 1\r\nx\r\n"), "STORED\r\nSTORED\r\n");
    }
    server.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(2_100));
    server.signal(Signal::SIGCONT);
    for i in 0..8 {
        conn.ask(
            format!("get short{i}\r\nget long{i}\r\n"),
            format!("END\r\nVALUE long{i} 0 1\r\nx\r\nEND\r\n"),
        );
    }
    conn.finish();
}
