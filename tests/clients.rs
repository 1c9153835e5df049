//! Clients as people use them, against 1 and 2 shards. `docs/clients.md` tells their versions and their quirks.
//!
//! | what | where | speaks |
//! |---|---|---|
//! | pymemcache, aiomcache, emcache | PyPI | text |
//! | pylibmc | PyPI | text, binary |
//! | python-binary-memcached | PyPI | binary |
//! | memcache, meta-memcache | PyPI | meta |
//! | memcached, memcache-client | npm | text |
//! | memjs | npm | binary |
//! | Cache::Memcached::Fast | Debian | text |
//! | php-memcached | Debian | text, binary |
//! | Dalli 3.0 | Debian | binary |
//! | gomemcache | Debian | text |
//! | spymemcached | Debian | text, binary |
//! | memcache | crates.io | text, binary (over UDP too), meta (`crates`) |
//! | memcache-async | crates.io | text (`crates`) |
//! | libmemcached's `memccapable` | Debian | text, binary |
//! | django-elastipymemcache | PyPI | text (`cores`) |
//! | Django's cache backends | PyPI | text (`sites`) |
//! | PHP's sessions | Debian | text, binary (`sites`) |
//! | nginx's memcached and memc modules | Debian | text (`sites`) |
//!
//! With a password (`logins`): emcache, memcache for Python and Rust over text; python-binary-memcached, memjs, Dalli,
//! php-memcached, spymemcached and memcache for Rust over SASL. pylibmc's wheel brings a SASL library without mechanisms.
//!
//! A client is driven by a program in `tests/clients`, its tour, in its own language. It takes the port, checks what an
//! application does with a cache, and says `all passed` at its end. `tools/check` installs them all; one that is missing
//! is a failure.

mod cores;
mod crates;
mod logins;
mod sites;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::harness::Server;

/// The longest a tour may take, in seconds, before it is ended; the first run of one in Go compiles it.
const TOUR_PATIENCE_S: &str = "120";

/// Tours on 1 and 2 shards: name of the test, what runs it, program and the arguments behind the port.
macro_rules! tours {
    ($($test:ident: $language:ident $program:literal $($argument:literal)*;)*) => {
        $( fn $test(shards: u32) { tour(shards, $language($program), &[$($argument),*]); } )*
        on_1_and_2_shards! { $($test)* }
    };
}

tours! {
    pymemcache_text: python "pymemcache_tour.py";
    pylibmc_text: python "pylibmc_tour.py" "text";
    pylibmc_binary: python "pylibmc_tour.py" "binary";
    python_binary_memcached_binary: python "binary_memcached_tour.py";
    aiomcache_text: python "aiomcache_tour.py";
    emcache_text: python "emcache_tour.py";
    memcache_for_python_meta: python "memcache_tour.py";
    meta_memcache_meta: python "meta_memcache_tour.py";
    memcached_for_node_text: node "memcached_tour.js";
    memcache_client_text: node "memcache_client_tour.js";
    memjs_binary: node "memjs_tour.js";
    cache_memcached_fast_text: perl "cache_memcached_fast_tour.pl";
    php_memcached_text: php "php_memcached_tour.php" "text";
    php_memcached_binary: php "php_memcached_tour.php" "binary";
    dalli_binary: ruby "dalli_tour.rb";
    gomemcache_text: go "gomemcache_tour.go";
    spymemcached_text: java "SpymemcachedTour.java" "text";
    spymemcached_binary: java "SpymemcachedTour.java" "binary";
}

/// Runs the program `language` starts against a server of `shards` shards.
fn tour(shards: u32, mut language: Command, arguments: &[&str]) {
    let server = Server::start(shards, &["-m", "128"]);
    let said = run(language.arg(server.port().to_string()).args(arguments));
    assert!(said.ends_with("all passed\n"), "{said}");
}

/// Runs `command`, made by [`program`], to its end and returns stdout; a failure shows all it said.
fn run(command: &mut Command) -> String {
    let (status, stdout, stderr) = end_of(command);
    assert!(status.success(), "{command:?}: {status}; tools/check installs what it needs\n{stdout}{stderr}");
    stdout
}

/// Runs `command`, which must fail, and returns all it said.
fn run_refused(command: &mut Command) -> String {
    let (status, stdout, stderr) = end_of(command);
    assert!(!status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout + &stderr
}

/// How `command` ended, its stdout and stderr.
fn end_of(command: &mut Command) -> (ExitStatus, String, String) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; tools/check installs it"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

/// `interpreter`, ended with all its children if it runs for too long.
fn program(interpreter: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", TOUR_PATIENCE_S]).arg(interpreter);
    command
}

pub(crate) fn python(tour: &str) -> Command {
    let mut command = program(target_dir().join("venv/bin/python"));
    command.arg("-B").arg(source(tour));
    command
}

fn node(tour: &str) -> Command {
    let mut command = program("node");
    command.env("NODE_PATH", target_dir().join("node/node_modules")).arg(source(tour));
    command
}

fn perl(tour: &str) -> Command {
    let mut command = program("perl");
    command.arg(source(tour));
    command
}

fn php(tour: &str) -> Command {
    let mut command = program("php");
    command.arg(source(tour));
    command
}

fn ruby(tour: &str) -> Command {
    let mut command = program("ruby");
    command.arg(source(tour));
    command
}

/// Debian's Go with Debian's packages: without modules, so nothing is looked up outside.
fn go(tour: &str) -> Command {
    let mut command = program("go");
    command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
    command.env("GOCACHE", target_dir().join("go-cache"));
    command.arg("run").arg(source(tour));
    command
}

/// Compiled in memory each time; it takes a second.
fn java(tour: &str) -> Command {
    let mut command = program("java");
    command.args(["-cp", "/usr/share/java/spymemcached.jar"]).arg(source(tour));
    command
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Where `tools/check` puts the packages of Python and Node.
fn target_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target directory")
}

/// Each half of libmemcached's own conformance test has 27 tests.
const MEMCCAPABLE_TESTS: usize = 27;
/// These two are not asked for: they want `delete a b c d e` refused, as memcached 1.6.18 does; 1.6.45, and this server,
/// ignore the extra words. 1.6.45 passes all the others, those of the binary protocol included.
const MEMCCAPABLE_EXCEPTIONS: [&str; 2] = ["ascii delete", "ascii delete noreply"];

on_1_and_2_shards! { memccapable_text memccapable_binary }

fn memccapable_text(shards: u32) {
    memccapable(shards, "-a", "ascii ");
}

fn memccapable_binary(shards: u32) {
    memccapable(shards, "-b", "binary ");
}

fn memccapable(shards: u32, half: &str, prefix: &str) {
    let server = Server::start(shards, &[]);
    let mut command = program("memccapable");
    command.args([half, "-t", "30", "-h", "127.0.0.1", "-p", &server.port().to_string()]);
    // Its exit code counts the exceptions too. Stdout has `<name>   [pass]` for each, and the bare name of one that failed.
    let (_, said, stderr) = end_of(&mut command);
    let results: Vec<(&str, bool)> = said
        .split(prefix)
        .skip(1)
        .map(|result| (result.trim_end().trim_end_matches("[pass]").trim_end(), result.contains("[pass]")))
        .collect();
    assert_eq!(results.len(), MEMCCAPABLE_TESTS, "{said}{stderr}");
    for (name, passed) in results {
        let excepted = MEMCCAPABLE_EXCEPTIONS.contains(&format!("{prefix}{name}").as_str());
        assert!(passed || excepted, "memccapable: {prefix}{name} failed\n{said}");
    }
}
