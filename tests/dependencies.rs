//! The policy for other people's code, held against the committed lock files and what cargo says of the crates in them: where they
//! come from, under which licences, and of those that the program is made of, which run code while it is built, and how many
//! there are. A dependency that changes one of the lists below is a decision, made in the same change.
//!
//! cargo-deny checks this too, but takes minutes to install, and this takes none. What it and cargo-audit have besides, a database
//! of advisories, is somebody else's to keep and needs the network: `docs/security.md`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Where crates come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The lock files: that of the server and its tools, and that of the fuzz targets.
const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

/// Licences that a program under Apache-2.0 may have parts of, by their SPDX names.
const LICENCES: [&str; 8] =
    ["Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "MPL-2.0+", "Unicode-3.0", "Unlicense", "Zlib"];

/// Crates of the program that run a program of their own while it is built.
const BUILD_SCRIPTS: &str = "ahash crc32fast crossbeam-deque crossbeam-epoch crossbeam-utils getrandom glommio-ng httparse io-uring libc libm \
    memoffset nix num-traits parking_lot_core portable-atomic proc-macro2 quote rlimit rustix rustversion serde serde_core signal-hook \
    thiserror zerocopy";

/// Crates of the program that run inside of the compiler.
const MACROS: &str = "clap_derive darling_macro derive_more-impl document-features glommio-ng-macros indoc instability palette_derive \
    rustversion serde_derive strum_macros thiserror-impl tracing-attributes zerocopy-derive";

/// Crates that the program is made of, in whatever features anything in the workspace asks for, those that only build it
/// included.
const CRATES_MAX: usize = 175;

/// The complaints about a lock file: a crate from elsewhere, or one whose bytes are not pinned.
fn unpinned(name: &str, text: &str) -> Vec<String> {
    let values = |key: &str| -> Vec<&str> {
        let prefix = format!("{key} = \"");
        text.lines().filter_map(|line| line.strip_prefix(&prefix)?.strip_suffix('"')).collect()
    };
    let (sources, checksums) = (values("source"), values("checksum"));
    let strangers = sources.iter().filter(|source| **source != REGISTRY);
    let mut complaints: Vec<String> =
        strangers.map(|source| format!("{name}: a crate comes from {source}")).collect();
    if sources.is_empty() || checksums.len() != sources.len() {
        complaints.push(format!("{name}: {} crates, {} checksums", sources.len(), checksums.len()));
    }
    complaints
}

#[test]
fn every_crate_is_of_the_registry_and_pinned() {
    for name in LOCKS {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
        assert_eq!(unpinned(name, &text.expect("a committed lock file")), [""; 0]);
    }
    let good = format!("name = \"a\"\nsource = \"{REGISTRY}\"\nchecksum = \"00\"\n");
    assert_eq!(unpinned("x", &good), [""; 0]);
    assert_eq!(unpinned("x", &good.replace("checksum = \"00\"\n", "")).len(), 1);
    assert_eq!(unpinned("x", &good.replace("registry+https", "git+https")).len(), 1);
    assert_eq!(unpinned("x", "").len(), 1);
}

/// Whether the terms of a licence expression can be kept. Of alternatives (`OR`, or `/` as it was once written) one is
/// enough, of a conjunction all are needed; brackets stand around alternatives within a conjunction only.
fn is_allowed(expression: &str) -> bool {
    let any = |terms: &str| {
        let terms = terms.trim_matches(['(', ')']).replace('/', " OR ");
        terms.split(" OR ").any(|term| LICENCES.contains(&term.trim()))
    };
    expression.split(" AND ").all(any)
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for allowed in ["MIT", "MIT OR GPL-3.0", "GPL-2.0/MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in
        ["", "GPL-3.0", "AGPL-3.0 OR SSPL-1.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0"]
    {
        assert!(!is_allowed(refused), "{refused}");
    }
}

/// The crates there are, by their ids, and what each depends on to be built or run.
struct Crates {
    packages: BTreeMap<String, Value>,
    needs: BTreeMap<String, Vec<String>>,
}

impl Crates {
    /// What cargo says of what `cargo fetch` has brought (tools/check does that first), without a network.
    fn read() -> Crates {
        let cargo = std::env::var_os("CARGO").expect("cargo, which runs the tests, names itself");
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let output = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &host])
            .output()
            .expect("cargo");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}\nIf a package is missing: cargo fetch --locked");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let by_id = |package: &Value| (text(&package["id"]), package.clone());
        let packages = list(&said["packages"]).map(by_id).collect();
        let is_for_users = |kind: &Value| kind["kind"] != "dev";
        let needs = |node: &Value| {
            let deps = list(&node["deps"]).filter(|dep| list(&dep["dep_kinds"]).any(is_for_users));
            (text(&node["id"]), deps.map(|dep| text(&dep["pkg"])).collect())
        };
        Crates { packages, needs: list(&said["resolve"]["nodes"]).map(needs).collect() }
    }

    /// Those that the program is made of, itself included.
    fn of_the_program(&self) -> Vec<&Value> {
        let itself = |package: &&Value| package["name"] == "ringcached";
        let itself = self.packages.values().find(itself).expect("this package");
        let (mut reached, mut open) = (BTreeSet::new(), vec![text(&itself["id"])]);
        while let Some(id) = open.pop() {
            if reached.insert(id.clone()) {
                open.extend(self.needs[&id].iter().cloned());
            }
        }
        reached.iter().map(|id| &self.packages[id]).collect()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_string()
}

/// The names of those that have a target of this kind.
fn with_target<'a>(crates: &[&'a Value], kind: &str) -> BTreeSet<&'a str> {
    let has =
        |package: &&&Value| list(&package["targets"]).any(|target| list(&target["kind"]).any(|k| k == kind));
    crates.iter().filter(has).filter_map(|package| package["name"].as_str()).collect()
}

#[test]
fn crates_keep_the_policy() {
    let crates = Crates::read();
    assert!(crates.packages.len() > CRATES_MAX, "cargo knows of {} packages only", crates.packages.len());
    for package in crates.packages.values() {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or_default());
        assert!(is_allowed(licence), "{name}: licence `{licence}` is not among {LICENCES:?}");
    }
    let program = crates.of_the_program();
    let names = |list: &'static str| list.split_whitespace().collect::<BTreeSet<_>>();
    assert_eq!(with_target(&program, "custom-build"), names(BUILD_SCRIPTS), "crates with a build script");
    assert_eq!(with_target(&program, "proc-macro"), names(MACROS), "crates of macros");
    assert!(program.len() <= CRATES_MAX, "{} crates, {CRATES_MAX} are allowed", program.len());
    // Few enough to look: without the first the walk has not begun, and the last is for tests alone.
    let has = |name: &str| program.iter().any(|package| package["name"] == name);
    assert!(has("io-uring") && !has("proptest"));
}
