//! The units in `tuning/systemd`, judged by systemd's own tools, which need no systemd to run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `systemd-analyze security` from 0, locked up, to 10. Raise it only for a reason that stands in the unit.
const EXPOSURE_MAX: f64 = 1.2;

const SERVICES: [&str; 2] = ["ringcached.service", "ringcached@.service"];
const SOCKETS: [&str; 2] = ["ringcached.socket", "ringcached@.socket"];

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning/systemd")
}

fn text(unit: &str) -> String {
    std::fs::read_to_string(units().join(unit)).expect("a unit")
}

fn analyze(arguments: &[&str]) -> Output {
    let output = Command::new("systemd-analyze").args(arguments).output();
    output.expect("systemd-analyze, of Debian's package systemd: tools/check installs it")
}

/// What systemd finds in the units as they are, with `change` made to their text and the built server as their program.
fn verify(change: impl Fn(String) -> String) -> Output {
    let directory = tempfile::tempdir().expect("temporary directory");
    let program = env!("CARGO_BIN_EXE_ringcached");
    let mut paths = Vec::new();
    for unit in [SERVICES, SOCKETS].concat() {
        let text = change(text(unit).replace("/usr/bin/ringcached", program));
        std::fs::write(directory.path().join(unit), text).expect("a copy");
        // A template is looked at as one of its instances.
        let path = directory.path().join(unit.replace('@', "@11311"));
        paths.push(path.to_str().expect("a path in UTF-8").to_owned());
    }
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=no"];
    arguments.extend(paths.iter().map(String::as_str));
    analyze(&arguments)
}

#[test]
fn systemd_finds_nothing_wrong() {
    let output = verify(|text| text);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // And it would: a misspelt key, a value that cannot be.
    for (right, wrong) in [("WatchdogSec=20", "WatchdogSec=soon"), ("ListenStream=", "ListenTo=")] {
        let output = verify(|text| text.replace(right, wrong));
        assert!(!output.stderr.is_empty(), "{wrong} goes unnoticed");
    }
}

#[test]
fn the_services_are_locked_up() {
    for service in SERVICES {
        let path = units().join(service);
        let output = analyze(&["security", "--offline=yes", "--no-pager", path.to_str().expect("UTF-8")]);
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let exposure = report.lines().find_map(|line| {
            let (_, rest) = line.split_once("Overall exposure level for ")?;
            rest.split_once(": ")?.1.split(' ').next()?.parse::<f64>().ok()
        });
        let exposure = exposure.unwrap_or_else(|| panic!("{service}: no exposure level in {output:?}"));
        assert!((0.1..=EXPOSURE_MAX).contains(&exposure), "{service}: {exposure}\n{report}");
    }
}

/// The words of a key that may be given several times.
fn words<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .flat_map(str::split_whitespace)
        .collect()
}

/// A system call, or those of a group and of the groups in it.
fn calls_of(group: &str) -> Vec<String> {
    if !group.starts_with('@') {
        return vec![group.to_owned()];
    }
    let output = analyze(&["syscall-filter", "--no-pager", group]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(calls_of).collect()
}

/// A directory below /run goes with its service, and all that is in it: so it is in nobody else's.
#[test]
fn no_service_takes_the_directory_of_another() {
    let (service, template) = (text(SERVICES[0]), text(SERVICES[1]));
    let (own, of_instance) = (words(&service, "RuntimeDirectory"), words(&template, "RuntimeDirectory"));
    assert!(own.len() == 1 && of_instance.len() == 1, "{own:?}, {of_instance:?}");
    assert!(of_instance[0].contains("%i"), "instances share {of_instance:?}");
    assert!(!Path::new(of_instance[0]).starts_with(own[0]), "{of_instance:?} goes with {own:?}");
}

/// io_uring, the pinning of threads and the raising of limits stay allowed.
#[test]
fn the_filter_lets_the_server_work() {
    for service in SERVICES {
        let unit = text(service);
        // Line after line, each adds calls or takes some away.
        let mut allowed = BTreeSet::new();
        for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
            match line.strip_prefix('~') {
                Some(refused) => {
                    let refused: Vec<String> = refused.split(' ').flat_map(calls_of).collect();
                    allowed.retain(|call| !refused.contains(call));
                }
                None => allowed.extend(line.split(' ').flat_map(calls_of)),
            }
        }
        for call in [
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "sched_setaffinity",
            "prlimit64",
            "madvise",
            "mlockall",
            "signalfd4",
            "eventfd2",
            "accept4",
            "setsockopt",
            "capget",
            "prctl",
            "seccomp",
        ] {
            assert!(allowed.contains(call), "{service}: {call}");
        }
        assert!(!allowed.contains("mount") && !allowed.contains("setuid"), "{service}");
        assert_eq!(words(&unit, "LimitMEMLOCK"), ["infinity"]);
    }
}
