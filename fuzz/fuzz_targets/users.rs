//! The users file of `-Y` and `-S`.
//!
//! What must hold: a file is accepted exactly if every line is `user:password` within the limits; then every line's user is
//! let in with its password and nobody else is; an error names the file, and never what stands in it.

#![no_main]

use std::collections::HashSet;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use ringcached::operate::users::{LINE_LEN_MAX, USERS_MAX, Users, UsersError};

/// Lines of a file whose users are tried: each try compares with all of them.
const LINES_TRIED: usize = 8;

fuzz_target!(|text: &[u8]| {
    let path = file();
    std::fs::write(&path, text).expect("a file in the directory for temporary files");
    let users = Users::load(&path);
    match (users, model(text)) {
        (Ok(users), Some(lines)) => check(&users, &lines),
        (Err(error @ UsersError::Malformed { .. }), None) => {
            assert!(error.to_string().contains(path.to_str().expect("UTF-8")), "{error}");
        }
        (Err(error), _) => panic!("{error}"),
        (Ok(_), None) => panic!("accepted"),
    }
});

/// One file for each process, written over and over.
fn file() -> PathBuf {
    std::env::temp_dir().join(format!("ringcached-fuzz-users-{}", std::process::id()))
}

/// The lines, if all of them are good.
fn model(text: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let users: Option<Vec<_>> = lines
        .map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            (line.len() <= LINE_LEN_MAX).then_some((&line[..colon], &line[colon + 1..]))
        })
        .collect();
    users.filter(|users| users.len() <= USERS_MAX)
}

fn check(users: &Users, lines: &[(&[u8], &[u8])]) {
    let known: HashSet<_> = lines.iter().collect();
    for &(user, password) in lines.iter().take(LINES_TRIED) {
        assert!(users.check(user, password));
        let longer = [password, b"x"].concat();
        assert_eq!(users.check(user, &longer), known.contains(&(user, &longer[..])));
        let shorter = &password[..password.len() / 2];
        assert_eq!(users.check(user, shorter), known.contains(&(user, shorter)));
        // Another place for the colon names the same line, and is not the same user.
        assert!(!users.check(&[user, b":", password].concat(), b""));
    }
    assert_eq!(users.reload().ok(), Some(lines.len()));
}
