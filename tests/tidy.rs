//! The house rules of `src/`, read from the source text. Each rule is a function from a file's text to complaints, and
//! is shown bad samples too: a rule that never complains would be worth nothing.

use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;
/// Where `unsafe` may be written; `docs/internals.md` has the reason of each. A file without any is taken off the list.
const UNSAFE_ALLOWED: [&str; 20] = [
    "src/net/blocks.rs",
    "src/net/bpf.rs",
    "src/net/datagrams.rs",
    "src/net/direct.rs",
    "src/net/doorbell.rs",
    "src/net/heap.rs",
    "src/net/kernel.rs",
    "src/net/listener.rs",
    "src/net/outbox.rs",
    "src/net/passed.rs",
    "src/net/receive.rs",
    "src/net/region.rs",
    "src/net/ring.rs",
    "src/shard/mesh/held.rs",
    "src/shard/mesh/queue.rs",
    "src/shard/mesh/sync.rs",
    "src/shard/mesh/wire.rs",
    "src/store/arena.rs",
    "src/store/model.rs", // the test that sends tokens through plain words
    "src/store/pins.rs",
];
/// A `// SAFETY:` comment begins at most this many lines above its block.
const SAFETY_WITHIN_LINES: usize = 3;
/// Who may import from whom: each module, and what it may name after `crate::`.
const IMPORTS: [(&str, &[&str]); 6] = [
    ("options", &["options"]),
    ("protocol", &["options", "protocol"]),
    ("store", &["options", "store"]),
    ("net", &["options", "net"]),
    ("shard", &["options", "protocol", "store", "net", "shard"]),
    ("operate", &["options", "protocol", "store", "net", "shard", "operate"]),
];
/// Paths of somebody's machine. In two pieces, so that this file passes.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` with their text, by path from the root; a folder that is not there has none.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("folder entry").path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("__pycache__") {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().into_owned();
                found.push((name, text));
            }
        }
    }
    found
}

fn sources() -> Vec<(String, String)> {
    let sources: Vec<_> = files("src").into_iter().filter(|(name, _)| name.ends_with(".rs")).collect();
    assert!(sources.len() >= 8, "only {} files of Rust in src", sources.len());
    sources
}

/// Applies `rule` to each file and fails with everything it complains about.
fn hold(files: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) {
    let complaints: Vec<String> = files.iter().flat_map(|(name, text)| rule(name, text)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Whether the whole file is tests: a sibling of the module it tests.
fn is_test_file(name: &str) -> bool {
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    stem == "model" || stem == "tests" || stem.ends_with("_tests") || name.contains("/tests/")
}

/// The lines before the file's inline test module, numbered from 1.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |pair: &[&str]| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod ") && pair[1].ends_with('{')
    };
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    text.lines().take(end).enumerate().map(|(i, line)| (i + 1, line))
}

/// The line without its comment and without what stands in double quotes.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            _ if !quoted => code.push(c),
            _ => {}
        }
    }
    code
}

/// Whether `word` stands in `code` by itself, not as a part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

fn opening_and_length(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    // The attribute that allows unsafe code may stand above or below the module's comment.
    if text.lines().find(|line| !line.starts_with("#![")).is_none_or(|line| !line.starts_with("//! ")) {
        complaints.push(format!("{name}: does not open with a //! comment"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{name}: {lines} lines, at most {LINES_MAX}: give it a second file"));
    }
    complaints
}

#[test]
fn files_open_with_a_comment_and_are_short() {
    hold(&sources(), opening_and_length);
    assert_eq!(opening_and_length("a", "fn main() {}\n").len(), 1);
    assert_eq!(opening_and_length("a", &"//! x\n".repeat(LINES_MAX + 1)).len(), 1);
    assert_eq!(opening_and_length("a", "//! x\n").len(), 0);
}

fn leftovers(name: &str, text: &str) -> Vec<String> {
    if is_test_file(name) {
        return Vec::new();
    }
    let forbidden = |line: &str| {
        let code = code_of(line);
        let notes = ["TODO", "FIXME", "XXX"].into_iter().find(|note| has_word(line, note));
        let calls =
            [".unwrap()", "todo!(", "unimplemented!(", "dbg!("].into_iter().find(|call| code.contains(call));
        notes.or(calls)
    };
    let complaint = |(i, line)| forbidden(line).map(|what| format!("{name}:{i}: {what}"));
    product_lines(text).filter_map(complaint).collect()
}

#[test]
fn nothing_is_left_for_later() {
    hold(&sources(), leftovers);
    assert_eq!(leftovers("a.rs", "let a = b.unwrap();\n// TODO: c\ndbg!(a);\n").len(), 3);
    assert_eq!(leftovers("a.rs", "// b.unwrap() fails\nlet s = \"todo!(\";\nb.unwrap_or(0);\n").len(), 0);
    assert_eq!(leftovers("a.rs", "#[cfg(test)]\nmod tests {\n    b.unwrap();\n}\n").len(), 0);
    assert_eq!(leftovers("a.rs", "#[cfg(test)]\nmod tests;\nfn c() { b.unwrap() }\n").len(), 1);
    assert_eq!(leftovers("src/store/tests.rs", "b.unwrap();\n").len(), 0);
}

fn unsafe_code(name: &str, text: &str) -> Vec<String> {
    let allowed = UNSAFE_ALLOWED.contains(&name);
    let lines: Vec<&str> = text.lines().collect();
    let mut complaints = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let code = code_of(line);
        let permits = code.contains("allow(unsafe_code)");
        if !has_word(&code, "unsafe") && !permits {
            continue;
        }
        // The rule is for src; elsewhere a block needs its reason only.
        if !allowed && name.starts_with("src/") {
            complaints.push(format!("{name}:{}: unsafe outside {UNSAFE_ALLOWED:?}", i + 1));
        }
        // What callers have to promise. A method of a trait has it where the trait is.
        let asks = code.contains("unsafe fn") || code.contains("unsafe trait");
        let of_trait =
            lines[..i].iter().rev().find(|l| l.starts_with("impl")).is_some_and(|l| l.contains(" for "));
        let mut docs = lines[..i].iter().rev().take_while(|l| l.trim_start().starts_with("///"));
        if asks && !of_trait && !docs.any(|l| l.contains("# Safety")) {
            complaints.push(format!("{name}:{}: no # Safety in the comment above", i + 1));
        }
        let needs_reason = code.contains("unsafe {") || code.contains("unsafe impl");
        // A comment of several lines counts as a whole: the search goes on while it lasts.
        let above = lines[..i].iter().rev();
        let comment = above.clone().take(SAFETY_WITHIN_LINES).any(|l| l.contains("// SAFETY:"))
            || above.take_while(|l| l.trim_start().starts_with("//")).any(|l| l.contains("// SAFETY:"));
        if needs_reason && !comment {
            complaints.push(format!("{name}:{}: no // SAFETY: comment above", i + 1));
        }
    }
    complaints
}

/// What `docs/internals.md` says of where unsafe is.
fn section_of_unsafe() -> String {
    let page = std::fs::read_to_string(root().join("docs/internals.md")).expect("the walk through the house");
    let section = page.split("\n## ").find(|section| section.starts_with("Where unsafe is\n"));
    section.expect("its section on unsafe code").to_string()
}

/// The files of the list that have no unsafe code, or no reason on the page.
fn stale(sources: &[(String, String)], page: &str) -> Vec<String> {
    let uses = |text: &str| text.lines().any(|line| has_word(&code_of(line), "unsafe"));
    let is_explained = |path: &str| {
        let base = path.rsplit('/').next().unwrap_or_default();
        is_test_file(path)
            || [path.trim_start_matches("src/"), base].iter().any(|n| page.contains(&format!("`{n}`")))
    };
    let is_fine =
        |path: &&&str| sources.iter().any(|(name, text)| name == **path && uses(text)) && is_explained(path);
    UNSAFE_ALLOWED.iter().filter(|path| !is_fine(path)).map(|path| path.to_string()).collect()
}

#[test]
fn unsafe_has_its_places_and_reasons() {
    let is_rust = |(name, _): &(String, String)| name.ends_with(".rs");
    for folder in ["src", "tests", "tools", "benches", "fuzz"] {
        hold(&files(folder).into_iter().filter(is_rust).collect::<Vec<_>>(), unsafe_code);
    }
    let page = section_of_unsafe();
    assert_eq!(stale(&sources(), &page), [""; 0], "without unsafe code, or not in docs/internals.md");
    assert_eq!(stale(&[], &page).len(), UNSAFE_ALLOWED.len());
    assert!(stale(&sources(), "").len() >= UNSAFE_ALLOWED.len() - 1);
    let reasoned = "// SAFETY: it is ours.\nunsafe { a() }\n";
    assert_eq!(unsafe_code("src/net/ring.rs", reasoned).len(), 0);
    assert_eq!(unsafe_code("src/store/arena.rs", "unsafe { a() }\n").len(), 1);
    assert_eq!(unsafe_code("src/store/table.rs", reasoned).len(), 1);
    assert_eq!(unsafe_code("src/store/table.rs", "#[allow(unsafe_code)]\nmod a;\n").len(), 1);
    assert_eq!(unsafe_code("tests/a.rs", reasoned).len(), 0);
    assert_eq!(unsafe_code("tests/a.rs", "unsafe { a() }\n").len(), 1);
    assert_eq!(unsafe_code("src/net/ring.rs", "/// Words.\nunsafe fn a() {}\n").len(), 1);
    assert_eq!(unsafe_code("src/net/ring.rs", "/// # Safety\n/// Words.\nunsafe fn a() {}\n").len(), 0);
    assert_eq!(unsafe_code("src/net/ring.rs", "impl A for B {\n    unsafe fn a() {}\n").len(), 0);
    assert_eq!(unsafe_code("src/lib.rs", "#![deny(unsafe_code)]\n// unsafe is rare\n").len(), 0);
    let long = format!("// SAFETY: it is ours.\n{}unsafe {{ a() }}\n", "// And more.\n".repeat(5));
    assert_eq!(unsafe_code("src/net/ring.rs", &long).len(), 0);
    let far = format!("// SAFETY: it is ours.\n{}unsafe {{ a() }}\n", "b();\n".repeat(5));
    assert_eq!(unsafe_code("src/net/ring.rs", &far).len(), 1);
}

fn imports(name: &str, text: &str) -> Vec<String> {
    let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
    // main.rs and lib.rs see everything.
    let Some((_, allowed)) = IMPORTS.iter().find(|(importer, _)| *importer == module) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for path in code_of(line).split("crate::").skip(1) {
            let named: Vec<&str> = path.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            let first = named[0];
            if IMPORTS.iter().any(|(module, _)| *module == first) && !allowed.contains(&first) {
                complaints.push(format!("{name}:{}: {module} imports from {first}", i + 1));
            }
            if path.starts_with('{') {
                complaints.push(format!("{name}:{}: crate::{{...}} hides what is imported", i + 1));
            }
        }
    }
    complaints
}

#[test]
fn modules_import_from_above() {
    hold(&sources(), imports);
    assert_eq!(
        imports("src/store/table.rs", "use crate::store::item;\nuse crate::options::Options;\n").len(),
        0
    );
    assert_eq!(imports("src/store/table.rs", "use crate::net::ring;\n").len(), 1);
    assert_eq!(imports("src/net/ring.rs", "fn a() -> crate::shard::Turn {}\n").len(), 1);
    assert_eq!(imports("src/protocol/mod.rs", "use crate::{store, options};\n").len(), 1);
    assert_eq!(
        imports("src/shard/mod.rs", "use crate::store::Store;\nuse crate::operate::stats;\n").len(),
        1
    );
    assert_eq!(imports("src/main.rs", "use crate::operate::stats;\n").len(), 0);
}

fn machine_paths(name: &str, text: &str) -> Vec<String> {
    let found = |line: &str| MACHINE_PATHS.into_iter().find(|path| line.contains(path));
    let complaint =
        |(i, line): (usize, &str)| found(line).map(|path| format!("{name}:{}: names {path}", i + 1));
    text.lines().enumerate().filter_map(complaint).collect()
}

#[test]
fn nothing_names_somebodys_machine() {
    for folder in ["src", "tests", "tools", "docs", "benches", "tuning", "fuzz", ".ci"] {
        hold(&files(folder), machine_paths);
    }
    for file in ["Cargo.toml", "README.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        hold(&[(file.into(), text)], machine_paths);
    }
    assert_eq!(machine_paths("a", concat!("see /wo", "rk/notes\n")).len(), 1);
}
