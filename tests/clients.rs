//! Clients as people use them. `tools/check` installs both.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Server;

/// Runs `command` to its end and returns stdout; a failure shows all it said.
fn run(command: &mut Command, remedy: &str) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; {remedy}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// The virtual environment below the target directory.
fn venv_python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target directory");
    target.join("venv/bin/python")
}

on_shards! { pymemcache memccapable }

fn pymemcache(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/pymemcache_tour.py");
    let port = server.port().to_string();
    let mut command = Command::new(venv_python());
    let said = run(command.arg(script).arg(port), "run tools/check, which makes the virtual environment");
    assert!(said.ends_with("all passed\n"), "{said}");
}

/// libmemcached's own conformance test, ASCII part.
fn memccapable(shards: u32) {
    let server = Server::start(shards, &[]);
    let port = server.port().to_string();
    let mut command = Command::new("memccapable");
    let remedy = "install libmemcached-tools (tools/check does)";
    let said = run(command.args(["-a", "-h", "127.0.0.1", "-p", &port]), remedy);
    assert!(said.contains("All tests passed"), "{said}");
    assert!(!said.contains("[FAIL]"), "{said}");
}
