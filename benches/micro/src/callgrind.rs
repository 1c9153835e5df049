//! Counting with callgrind: the program runs itself under valgrind, which starts a profile at each call of
//! [`counted_calls`] and writes it at the next of [`counted`]; the sum of that profile is what an operation took.
//!
//! What makes the counts the same on another machine: valgrind shows each program the same processor, whatever the host's,
//! but for the vector instructions the host really has, so the choices of the C library and of `memchr` at run time are the
//! same wherever there is AVX2. The rest that decides, [`made_with`] names. The environment is empty.

use crate::baseline::Counts;
use ringcached_micro::{Operation, operations};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls before those counted: tables, buffers and the linker's bindings settle.
const WARM_UP_CALLS: u32 = 100;
/// Calls counted: enough that a page taken or a step of the table's growth now and then is shared by many.
const COUNTED_CALLS: u32 = 1000;

/// Why there are no counts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program cannot be run.
    #[error("cannot run {program} ({source}): it is in Debian's package {package}")]
    Run {
        /// Which.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A program has failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it wrote to standard error.
        said: String,
    },
    /// A profile is missing or not what was expected.
    #[error("the profile {path} of {operation:?} is not to be read: {why}")]
    Profile {
        /// Where it should be.
        path: PathBuf,
        /// Of which operation.
        operation: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The folder for the profiles, or the program's own path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What valgrind runs: all operations, each in one call of [`counted_calls`]. Says which vector instructions it sees.
pub fn run_operations() {
    println!("{}", vector_instructions());
    for operation in operations() {
        let mut call = (operation.make)();
        (0..WARM_UP_CALLS).for_each(|_| call());
        counted_calls(&mut *call);
        counted(operation);
    }
}

/// Valgrind knows it by name.
#[inline(never)]
fn counted_calls(call: &mut dyn FnMut()) {
    (0..COUNTED_CALLS).for_each(|_| call());
}

/// As above. It has to exist, not to do anything.
#[inline(never)]
fn counted(operation: &Operation) {
    std::hint::black_box(operation);
}

#[cfg(target_arch = "x86_64")]
fn vector_instructions() -> &'static str {
    if std::arch::is_x86_feature_detected!("avx2") { "with AVX2" } else { "without AVX2" }
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_instructions() -> &'static str {
    "without AVX2"
}

/// Counts all operations. Profiles are left in `folder`, to be looked at with callgrind_annotate.
pub fn count(folder: &Path) -> Result<Counts, Error> {
    std::fs::create_dir_all(folder)?;
    let profile = folder.join("callgrind.out");
    for number in 1..=operations().count() {
        match std::fs::remove_file(numbered(&profile, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let program = std::env::current_exe()?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--zero-before=*::counted_calls*", "--dump-before=*callgrind::counted"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .arg("run")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let processor = said(valgrind, "valgrind", "valgrind")?;
    let instructions = operations().enumerate().map(|(at, operation)| {
        let path = numbered(&profile, at + 1);
        let total = std::fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| total(&text))
            .map_err(|why| Error::Profile { path, operation: operation.name, why })?;
        let each = total as f64 / f64::from(COUNTED_CALLS * operation.requests);
        Ok((operation.name.to_owned(), (10.0 * each).round() / 10.0)) // as the baseline has it
    });
    Ok(Counts { instructions: instructions.collect::<Result<_, Error>>()?, made_with: made_with(processor)? })
}

/// Callgrind numbers its profiles in the order they are written.
fn numbered(profile: &Path, number: usize) -> PathBuf {
    PathBuf::from(format!("{}.{number}", profile.display()))
}

/// The instructions of a profile, if it is one that was asked for.
fn total(profile: &str) -> Result<u64, String> {
    let line = |start: &str| profile.lines().find_map(|line| line.strip_prefix(start));
    match line("desc: Trigger: ") {
        Some(trigger) if trigger.ends_with("::counted") => {}
        other => return Err(format!("written at {other:?}")),
    }
    match line("totals: ").map(|total| total.trim().parse()) {
        Some(Ok(total)) if total > 0 => Ok(total),
        other => Err(format!("its total is {other:?}")),
    }
}

/// What decides about the counts, beside the source.
fn made_with(processor: String) -> Result<Vec<(String, String)>, Error> {
    let (mut libc, mut valgrind) = (Command::new("getconf"), Command::new("valgrind"));
    libc.arg("GNU_LIBC_VERSION");
    valgrind.arg("--version");
    let made_with = [
        ("compiler", env!("MICRO_RUSTC").to_owned()),
        ("target", env!("MICRO_TARGET").to_owned()),
        ("C library", said(libc, "getconf", "libc-bin")?),
        ("valgrind", said(valgrind, "valgrind", "valgrind")?),
        ("processor", processor),
    ];
    Ok(made_with.into_iter().map(|(name, version)| (name.to_owned(), version)).collect())
}

/// What a program wrote.
fn said(mut command: Command, program: &'static str, package: &'static str) -> Result<String, Error> {
    let output = command.output().map_err(|source| Error::Run { program, package, source })?;
    if !output.status.success() {
        return Err(Error::Failed { program, said: String::from_utf8_lossy(&output.stderr).into_owned() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_profile_that_was_asked_for_counts() {
        let head = "desc: Trigger: --dump-before=micro::counted\n";
        assert_eq!(total(&format!("{head}events: Ir\ntotals: 1234\n")), Ok(1234));
        assert!(total(&format!("{head}totals: 0\n")).is_err());
        assert!(total(head).is_err());
        assert!(total("desc: Trigger: Program termination\ntotals: 1234\n").is_err());
    }
}
