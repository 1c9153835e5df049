//! The configuration file of `--config`: TOML, its keys, the types and limits of their values.
//!
//! What must hold: whatever the text, it is accepted or refused with a sentence; the same text always means the same; and of what
//! is accepted `--print-config` shows a file that means the same.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringcached::options::{Asked, Given, Machine, OptionError};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let asked = ask(&[], &text);
    assert_eq!(ask(&[], &text), asked);
    match asked {
        Ok(Asked::Serve(options)) => {
            let Ok(Asked::Show(page)) = ask(&["--print-config"], &text) else { panic!("not printed") };
            assert_eq!(ask(&[], &page), Ok(Asked::Serve(options)));
        }
        Ok(Asked::Show(text)) => panic!("a file asks a question, answered by {text}"),
        Err(OptionError::ConfigLine { line, what, .. }) => {
            assert!(
                (1..=text.split('\n').count()).contains(&line) && !what.is_empty(),
                "line {line}: {what}"
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn ask(words: &[&str], file: &str) -> Result<Asked, OptionError> {
    // The same machine everywhere, so that a crash found on one is a crash on another.
    let machine = Machine { cores: (0..8).collect(), sasl_users: None };
    let read = |_: &Path| Ok(file.to_string());
    Given::read(["ringcached", "--config", "x"].iter().chain(words), read)?.asked(&machine)
}
