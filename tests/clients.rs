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

/// The ASCII part of libmemcached's own conformance test has 27 tests. These two are not asked for: they want
/// `delete a b c d e` refused, as memcached 1.6.18 does; 1.6.45, and this server, ignore the extra words.
const MEMCCAPABLE_EXCEPTIONS: [&str; 2] = ["ascii delete", "ascii delete noreply"];
const MEMCCAPABLE_TESTS: usize = 27;

fn memccapable(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut command = Command::new("memccapable");
    command.args(["-a", "-h", "127.0.0.1", "-p", &server.port().to_string()]);
    let output = command.output();
    let output =
        output.unwrap_or_else(|e| panic!("{command:?}: {e}; install libmemcached-tools (tools/check does)"));
    // Stdout has `<name>   [pass]` for each, and the bare name of one that failed.
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let results: Vec<(&str, bool)> = said
        .split("ascii ")
        .skip(1)
        .map(|result| (result.trim_end().trim_end_matches("[pass]").trim_end(), result.contains("[pass]")))
        .collect();
    assert_eq!(results.len(), MEMCCAPABLE_TESTS, "{said}");
    for (name, passed) in results {
        let excepted = MEMCCAPABLE_EXCEPTIONS.contains(&format!("ascii {name}").as_str());
        assert!(passed || excepted, "memccapable: ascii {name} failed\n{said}");
    }
}
