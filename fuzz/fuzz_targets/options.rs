//! The command line, one word a line of the input: letters, long names, `-o` keys, addresses of `-l`, lists of cores.
//!
//! What must hold: an accepted command line keeps the promises that `Options` makes to the rest of the server, a refused one
//! has a sentence and one of memcached's exit statuses, and the same words always mean the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached::options::listen::ADDRESSES_MAX;
use ringcached::options::table::SHARDS_MAX;
use ringcached::options::{Asked, Given, Listen, Machine, OptionError, Options};

/// More words than any command line needs: what is beyond would only slow the search.
const WORDS_MAX: usize = 40;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let words: Vec<&str> = text.lines().take(WORDS_MAX).collect();
    let asked = read(&words);
    assert_eq!(read(&words), asked);
    match asked {
        Ok(Asked::Serve(options)) => check(&options),
        Ok(Asked::Show(text)) => assert!(text.ends_with('\n'), "a text without an end"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(matches!(error.exit_status(), 1 | 64), "{error}: status {}", error.exit_status());
        }
    }
});

fn read(words: &[&str]) -> Result<Asked, OptionError> {
    let mut machine = Machine::probe();
    // The same machine everywhere, so that a crash found on one is a crash on another.
    machine.cores = (0..8).collect();
    // Every file of --config is an empty one.
    Given::read(["ringcached"].iter().chain(words), |_| Ok(String::new()))?.asked(&machine)
}

fn check(options: &Options) {
    match &options.listen {
        Listen::Tcp(addresses) => assert!(addresses.len() <= ADDRESSES_MAX),
        Listen::Unix { path, mode } => {
            assert!((1..=107).contains(&path.as_os_str().len()) && *mode <= 0o777);
        }
    }
    assert!((1..=SHARDS_MAX).contains(&options.cores.len()));
    assert!(options.conn_limit >= 1 && options.requests_per_turn >= 1);
    assert!((1 << 10..=1 << 30).contains(&options.item_size_max_bytes));
    assert!(options.item_size_max_bytes <= options.memory_limit_bytes / 2);
    assert!(options.item_size_min_bytes <= options.item_size_max_bytes);
    assert!(options.growth_factor > 1.0 && options.growth_factor.is_finite());
    assert!(options.warnings.iter().all(|warning| !warning.is_empty()));
}
