//! Whom the server runs as and what it may ask of the kernel: `-u`, `-o drop_privileges`. These start servers as root.

use crate::harness::{Conn, Server, server_command, wait_for};
use crate::process::run_command;
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The capability sets of /proc/PID/status.
const CAPABILITY_SETS: [&str; 5] = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
const NONE: &str = "0000000000000000";

/// Of each thread of the server, its status.
fn threads(server: &Server) -> Vec<String> {
    let folder = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("its threads");
    let status = |thread: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(thread.expect("a thread").path().join("status")).expect("its status")
    };
    folder.map(status).collect()
}

/// What stands behind `name` in a status, its words separated by single spaces.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Holds every thread, main and shards at least, to these fields. Waits until the server has said that it listens: shards accept
/// a little before the filter is there.
#[track_caller]
fn assert_threads(server: &Server, shards: usize, fields: &[(&str, &str)]) {
    wait_for("the server to say that it listens", || server.stderr().contains(" listens on ").then_some(()));
    let threads = threads(server);
    assert!(threads.len() > shards, "{} threads", threads.len());
    for status in &threads {
        for (name, value) in fields {
            assert_eq!(&field(status, name), value, "{name} of\n{status}");
        }
    }
}

fn without_capabilities(other: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    CAPABILITY_SETS.iter().map(|set| (*set, NONE)).chain(other.iter().copied()).collect()
}

/// The last port before `end` that only root may bind and that is free.
fn privileged_port(end: u16) -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (600..end).rev().find(is_free).expect("a free port below 1024: these tests run as root")
}

/// Ports below 1024 are bound, and then nothing of root is left on any thread.
#[test]
fn a_user_without_any_capability() {
    let port = privileged_port(1024);
    let (admin, port) = (format!("127.0.0.1:{}", privileged_port(port)), port.to_string());
    let options = ["-u", "nobody", "-p", &port, "-l", "127.0.0.1", "-t", "2", "-U", "0", "--admin", &admin];
    let server = Server::listening(server_command(&options));
    assert_eq!(server.port().to_string(), port);
    server.connect().ask("set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    let mut operator = Conn::open_tcp(server.admin_addresses[0]).expect("the admin endpoint");
    operator.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(operator.line(), "HTTP/1.1 200 OK");

    let nobody = nix::unistd::User::from_name("nobody").expect("users").expect("nobody");
    // Real, effective, saved, of the file system.
    let (uid, gid) = (format!("{0} {0} {0} {0}", nobody.uid), format!("{0} {0} {0} {0}", nobody.gid));
    assert_threads(&server, 2, &[("Uid:", &uid), ("Gid:", &gid), ("Groups:", "")]);
    assert_threads(&server, 2, &without_capabilities(&[("NoNewPrivs:", "1"), ("Seccomp:", "0")]));
}

/// Nothing later needs a right that is gone: files are read again, memory grows, the end is clean.
#[test]
fn a_confined_user_serves_reloads_and_stops() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let anybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory.path(), anybody).expect("mode");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (users, config, pid_file) = (path("users"), path("config.toml"), path("pid"));
    fs::write(&users, "anna:one\n").expect("users file");
    fs::write(&config, "conn_limit = 100\n").expect("configuration");
    let options = [
        "-u",
        "nobody",
        "-p",
        "-1",
        "-l",
        "127.0.0.1",
        "-t",
        "2",
        "-Y",
        &users,
        "--config",
        &config,
        "-P",
        &pid_file,
        "-o",
        "drop_privileges",
    ];
    let mut server = Server::listening(server_command(&options));
    assert_threads(&server, 2, &without_capabilities(&[("NoNewPrivs:", "1"), ("Seccomp:", "2")]));
    let mut conn = server.connect();
    conn.ask("set a 0 0 8\r\nanna one\r\n", "STORED\r\n");
    server.set_limit_mib(&mut conn, 256);
    fs::write(&users, "anna:two\n").expect("users file");
    fs::write(&config, "conn_limit = 200\n").expect("configuration");
    server.signal(Signal::SIGHUP);
    wait_for("the new users", || server.stderr().contains("1 users are known now").then_some(()));
    assert!(server.stderr().contains("conn_limit: 100 -> 200"), "{}", server.stderr());
    server.connect().ask("set a 0 0 8\r\nanna two\r\n", "STORED\r\n");
    server.stop();
    assert!(!fs::exists(&pid_file).expect("a look"), "the pid file is left");
}

/// The filter is for whoever asks; root that nobody asked to switch stays root with it and without.
#[test]
fn every_thread_is_filtered_if_asked_for() {
    let own = fs::read_to_string("/proc/self/status").expect("own status");
    let root = [("Uid:", "0 0 0 0"), ("CapEff:", &field(&own, "CapEff:")), ("NoNewPrivs:", "1")];
    for (word, filtered) in [("drop_privileges", "2"), ("no_drop_privileges", "0")] {
        let server = Server::start(2, &["-o", word]);
        server.connect().ask("get a\r\n", "END\r\n");
        assert_threads(&server, 2, &root);
        assert_threads(&server, 2, &[("Seccomp:", filtered)]);
    }
}

/// What the filter says to calls, made on a thread that has it. Arguments are such that the kernel would have another error, or
/// success, for each.
#[test]
fn the_filter_refuses_what_a_server_does_not_do() {
    let parent = std::process::id() as i64 - 1;
    let exec = (libc::PROT_READ | libc::PROT_EXEC) as i64;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;
    let file = c"/dev/null".as_ptr() as i64;
    let (here, unix, inet) = (libc::AT_FDCWD as i64, libc::AF_UNIX as i64, libc::AF_INET as i64);
    let refused: [(&str, i64, [i64; 6]); 20] = [
        ("execve", libc::SYS_execve, [0; 6]),
        ("execveat", libc::SYS_execveat, [-1, 0, 0, 0, 0, 0]),
        ("clone3", libc::SYS_clone3, [0; 6]),
        ("clone", libc::SYS_clone, [libc::CLONE_SIGHAND as i64, 0, 0, 0, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [-1, 0, 0, 0, 0, 0]),
        ("process_vm_writev", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0, -1]),
        ("open to write", libc::SYS_openat, [here, file, libc::O_WRONLY as i64, 0, 0, 0]),
        ("open to make", libc::SYS_openat, [here, file, libc::O_CREAT as i64, 0, 0, 0]),
        ("open by handle", libc::SYS_open_by_handle_at, [-1, 0, 0, 0, 0, 0]),
        ("mmap to execute", libc::SYS_mmap, [0, 4096, exec, anonymous, -1, 0]),
        ("mprotect to execute", libc::SYS_mprotect, [0, 0, exec, 0, 0, 0]),
        ("pinning another", libc::SYS_sched_setaffinity, [parent, 0, 0, 0, 0, 0]),
        ("socket", libc::SYS_socket, [inet, libc::SOCK_STREAM as i64, 0, 0, 0, 0]),
        ("bind", libc::SYS_bind, [-1, 0, 0, 0, 0, 0]),
        ("kill of another", libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
        ("typing into the terminal", libc::SYS_ioctl, [-1, libc::TIOCSTI as i64, 0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 6]),
        ("io_uring_register", libc::SYS_io_uring_register, [-1, 0, 0, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [-1, 0, 0, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, [-1, 0, 0, 0, 0, 0]),
    ];
    let allowed: [(&str, i64, [i64; 6]); 5] = [
        ("open to read", libc::SYS_openat, [here, file, libc::O_CLOEXEC as i64, 0, 0, 0]),
        ("mmap", libc::SYS_mmap, [0, 4096, libc::PROT_READ as i64, anonymous, -1, 0]),
        ("mprotect", libc::SYS_mprotect, [0, 0, libc::PROT_READ as i64, 0, 0, 0]),
        ("kill of itself", libc::SYS_kill, [std::process::id() as i64, 0, 0, 0, 0, 0]),
        ("getpid", libc::SYS_getpid, [0; 6]),
    ];
    let socket = ("a UNIX socket", libc::SYS_socket, [unix, libc::SOCK_DGRAM as i64, 0, 0, 0, 0]);
    // The answers of a thread: the result or the negative error.
    let ask = |calls: &[(&'static str, i64, [i64; 6])], manager: Option<bool>| {
        let calls = calls.to_vec();
        let thread = std::thread::spawn(move || {
            if let Some(manager) = manager {
                let program = ringcached::operate::seccomp::program(manager).expect("a filter");
                seccompiler::apply_filter(&program).expect("a kernel that filters");
            }
            let answer = |(name, call, [a, b, c, d, e, f]): (_, _, [i64; 6])| {
                // SAFETY: where these are allowed they touch no memory that exists, but the name of a file, which stays.
                let result = unsafe { libc::syscall(call, a, b, c, d, e, f) };
                let error = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
                (name, if result < 0 { -i64::from(error) } else { result })
            };
            calls.into_iter().map(answer).collect::<Vec<_>>()
        });
        thread.join().expect("a thread that ends")
    };
    const EPERM: i64 = -(libc::EPERM as i64);
    for manager in [false, true] {
        for (name, answer) in ask(&refused, Some(manager)) {
            assert_eq!(answer, EPERM, "{name} with manager: {manager}");
        }
        for (name, answer) in ask(&allowed, Some(manager)) {
            assert!(answer >= 0, "{name}: {answer}");
        }
        assert_eq!(ask(&[socket], Some(manager))[0].1 >= 0, manager, "a UNIX socket");
    }
    // Without the filter none of them has that error, so it was the filter's.
    for (name, answer) in ask(&refused, None) {
        assert_ne!(answer, EPERM, "{name} without a filter");
    }
}

/// A copy of the program that everybody may read and run, wherever the tests were built.
fn program_of_everybody() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("temporary directory");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    let program = folder.path().join("ringcached");
    // By another process: a descriptor that writes it here may be with a child of another thread when the copy is to be run.
    let copied = Command::new("cp").arg(server_command(&[]).get_program()).arg(&program).status();
    assert!(copied.expect("cp").success(), "a copy of the program");
    (folder, program)
}

fn nobody() -> nix::unistd::User {
    nix::unistd::User::from_name("nobody").expect("users").expect("nobody")
}

/// A service manager starts it without any capability and refuses it the calls that change them: nothing is to be given up.
#[test]
fn who_has_no_capability_need_not_give_one_up() {
    let (folder, program) = program_of_everybody();
    let mut command = Command::new("strace"); // as a grandchild, so that the server is the child of this process
    command.args([
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=capset",
        "-e",
        "inject=capset:error=EPERM",
    ]);
    command.arg(&program).args(["-p", "-1", "-l", "127.0.0.1", "-t", "1"]).uid(nobody().uid.as_raw());
    let server = Server::listening(command);
    assert_threads(&server, 1, &CAPABILITY_SETS[..3].iter().map(|set| (*set, NONE)).collect::<Vec<_>>());
    server.connect().ask("get a\r\n", "END\r\n");
    drop((server, folder));
}

/// An address that takes root is in the error if the server was not started as root.
#[test]
fn a_privileged_port_of_an_unprivileged_user_is_an_error() {
    let first: u16 = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .map_or(1024, |text| text.trim().parse().expect("a port"));
    assert!(
        first > 900,
        "net.ipv4.ip_unprivileged_port_start is {first}: this test needs a port that takes root"
    );
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, privileged_port(900)));
    let (_folder, program) = program_of_everybody();
    let mut command = Command::new(&program);
    command
        .args(["-p", &address.port().to_string(), "-l", "127.0.0.1", "-t", "1"])
        .uid(nobody().uid.as_raw());
    let output = run_command(command);
    assert_eq!(output.status.code(), Some(71));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&address.to_string()) && stderr.contains("ermission"), "{stderr}");
}
