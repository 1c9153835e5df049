//! Replays against the real server, as a user does: the built program, a server it did not start and one it did.

#[allow(dead_code)] // made for tests that also ask for the counters of shards
#[path = "../../steered/tests/server/mod.rs"]
mod server;

use server::{RINGCACHED, Server};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks.
const POLL: Duration = Duration::from_millis(5);

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port)
}

/// Runs the program in `folder`.
fn replay(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replay")).args(args).current_dir(folder).output().expect("replay")
}

/// What it wrote as JSON, having succeeded.
fn found(folder: &Path, args: &[&str]) -> serde_json::Value {
    let output = replay(folder, &[args, &["--json", "found.json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(folder.join("found.json")).expect("JSON")).expect("JSON")
}

#[test]
fn a_trace_on_two_servers_that_run() {
    let (one, two) = (Server::start(1, &[]), Server::start(2, &[]));
    let folder = tempfile::tempdir().expect("temporary directory");
    // Ten objects four times, one of them deleted and stored once in between.
    let rows: String =
        (0..40).map(|i| format!("object-{},{},get,0\n", i % 10, 100 + 7000 * (i % 10))).collect();
    let trace =
        format!("object,size,op,ttl\n{rows}object-3,9,delete,0\nobject-3,900,get,60\nobject-3,90,set,0\n");
    std::fs::write(folder.path().join("trace.csv"), trace).expect("trace");
    let args = ["trace", "trace.csv", "--server", &address(&one), "--compare", &address(&two)];
    let runs = found(folder.path(), &[&args[..], &["--connections", "3", "--plots", "."]].concat());
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    for run in runs.as_array().expect("runs") {
        assert_eq!(run["total"]["gets"], 41);
        assert_eq!(run["total"]["misses"], 11);
        assert_eq!(run["total"]["writes"], 13);
        assert_eq!(run["total"]["refused"], 0);
        assert_eq!(run["items"], 10);
    }
    assert!(folder.path().join("course.svg").exists());
    assert!(!folder.path().join("memory.svg").exists(), "nothing is known of the memory of foreign servers");
}

#[test]
fn a_sweep_starts_a_server_for_each_size() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let server = RINGCACHED.to_str().expect("a path in UTF-8");
    let command = format!("'{server}' -l 127.0.0.1 -p {{port}} -m {{memory}} -t 1");
    // 20,000 objects of 400 bytes are 8 MB: they fit 16 MiB, not 4.
    let shape = ["loop", "--objects", "20000", "--requests", "60000", "--object-bytes", "400"];
    let sweep = ["--start", &command, "--memory", "4,16", "--plots", "."];
    let runs = found(folder.path(), &[&shape[..], &sweep].concat());
    let misses = |i: usize| runs[i]["total"]["misses"].as_u64().expect("misses");
    assert_eq!(misses(1), 20_000);
    assert!(misses(0) > 30_000, "{}", misses(0));
    for run in runs.as_array().expect("runs") {
        let (memory, resident) = (run["memory_mib"].as_f64(), run["resident_mib"].as_f64());
        assert!(resident > Some(2.0) && resident < memory.map(|mib| mib + 40.0), "{resident:?} MiB");
    }
    assert!(folder.path().join("memory.svg").exists());
}

#[test]
fn a_value_that_is_not_the_stored_one_fails() {
    let server = Server::start(1, &[]);
    let folder = tempfile::tempdir().expect("temporary directory");
    std::fs::write(folder.path().join("trace.csv"), "object,size\na,11\n").expect("trace");
    let mut stream = std::net::TcpStream::connect(address(&server)).expect("connection");
    std::io::Write::write_all(&mut stream, b"set a 0 0 10\r\n0123456789\r\n").expect("set");
    let mut answer = [0; 8];
    std::io::Read::read_exact(&mut stream, &mut answer).expect("answer");
    assert_eq!(&answer, b"STORED\r\n");
    let output = replay(folder.path(), &["trace", "trace.csv", "--server", &address(&server)]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("wrong value: get a answered 10 bytes"), "{said}");
}

/// The processes that `pid` started, on its main thread.
fn children(pid: u32) -> Vec<String> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().map(String::from).collect()
}

#[test]
fn a_signal_ends_the_servers_too() {
    let server = RINGCACHED.to_str().expect("a path in UTF-8");
    let command = format!("'{server}' -l 127.0.0.1 -p {{port}} -t 1");
    let endless = ["loop", "--objects", "1000", "--requests", "1000000000000", "--start", &command];
    let mut replay = Command::new(env!("CARGO_BIN_EXE_replay"));
    let mut replay = replay.args(endless).stderr(Stdio::null()).spawn().expect("replay");
    let deadline = Instant::now() + PATIENCE;
    let started = loop {
        match children(replay.id()).pop() {
            Some(pid) => break pid,
            None => assert!(Instant::now() < deadline, "no server after {PATIENCE:?}"),
        }
        std::thread::sleep(POLL);
    };
    let signalled = Command::new("kill").arg(replay.id().to_string()).status().expect("kill");
    assert!(signalled.success());
    assert!(!replay.wait().expect("status").success());
    assert!(!Path::new("/proc").join(&started).exists(), "server {started} is still there");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let shape = ["loop", "--objects", "1", "--requests", "1"];
    for (args, want) in [
        (&[][..], "no server"),
        (&["--start", "true {port} {memory}"][..], "belong together"),
        (&["--start", "true {port}", "--memory", "4"][..], "belong together"),
        (&["--start", "true"][..], "{port}"),
        (&["--server", "127.0.0.1"][..], "not HOST:PORT"),
    ] {
        let output = replay(folder.path(), &[&shape[..], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(want), "{args:?}: {said}");
    }
}
