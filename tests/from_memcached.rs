//! `docs/from-memcached.md` names every option that memcached's own help does.

use std::path::Path;
use std::process::Command;

/// The options and the keys of `-o` that the text of `memcached -h` names, as it writes them.
fn named_in_help(help: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in help.lines() {
        if let Some(key) = line.strip_prefix("   - ").and_then(|rest| rest.split_once(':')) {
            // A heading has a space in it.
            if !key.0.contains(' ') {
                names.push(key.0.to_string());
            }
        } else if line.starts_with('-') {
            let words = line.split([' ', ',', '=', '<']).filter(|word| word.starts_with('-'));
            names.extend(words.take(2).map(str::to_string));
        }
    }
    names
}

/// Those that stand nowhere in `page` between backticks.
fn missing(names: &[String], page: &str) -> Vec<String> {
    let quoted: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    names.iter().filter(|name| !quoted.contains(&name.as_str())).cloned().collect()
}

#[test]
fn every_option_of_memcached_is_on_the_page() {
    let help = Command::new("memcached").arg("-h").output().expect("Debian's memcached").stdout;
    let names = named_in_help(&String::from_utf8_lossy(&help));
    assert!(names.len() > 100, "only {} names are in memcached's help: {names:?}", names.len());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-memcached.md");
    let page = std::fs::read_to_string(page).expect("the page");
    assert_eq!(missing(&names, &page), Vec::<String>::new());
}

#[test]
fn names_are_found_in_help_and_missed_on_a_page() {
    let help = "memcached 1.6\n-p, --port=<num>   TCP port (see -U)\n-vv   more\n-D <char>  c\n-N, --napi_ids   n\n   - modern:  x\n   \
                - External storage (ext_*) related options (see: y)\n";
    let names = named_in_help(help);
    assert_eq!(names, ["-p", "--port", "-vv", "-D", "-N", "--napi_ids", "modern"]);
    assert_eq!(missing(&names, "`-p`, `--port`; `-vv`, `-D` `-N` --napi_ids `modern`"), ["--napi_ids"]);
}
