//! Who may use the server: the file of `-Y`, or of `-S`, in memory. Lines of `user:password` as memcached's `-Y` has them;
//! where memcached ignores what is too much, here it is an error with the number of its line.
//!
//! The file is read at start, where an error ends the start, and again at SIGHUP, where an error leaves the users as they
//! were. A check is rare (once for each connection) and so may take a lock; it compares with every user in full, so that
//! its time tells neither who exists nor how much of a password was right.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use subtle::{Choice, ConstantTimeEq as _};

/// Most users. memcached stops at 8; here it bounds what one check costs, about 256 KiB of comparing.
pub const USERS_MAX: usize = 1024;

/// Longest line in bytes, without its ending; memcached's.
pub const LINE_LEN_MAX: usize = 255;

/// The largest file that can hold nothing but users.
const FILE_LEN_MAX: usize = USERS_MAX * (LINE_LEN_MAX + b"\r\n".len());

/// Why the users are not known.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be opened or read.
    #[error(
        "users file `{path}`: cannot be read: {error}; the user this runs as (-u) needs to be allowed to"
    )]
    Read {
        /// As it was looked for.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file says something else than who the users are.
    #[error("users file `{path}`: {what}")]
    Malformed {
        /// As it was looked for.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// The users, shared by all shards.
pub struct Users {
    /// Absolute: a daemon's working directory is not the one the name was typed in.
    file: PathBuf,
    lines: RwLock<Vec<Line>>,
}

/// `user:password`, padded so that all take the same time to compare. Without `PartialEq`, whose time tells where two differ.
#[derive(Clone, Copy)]
struct Line {
    len: u16,
    bytes: [u8; LINE_LEN_MAX],
}

impl Users {
    /// Reads `file`.
    ///
    /// # Errors
    /// It cannot be read, has no user or more than [`USERS_MAX`], or a line that is not `user:password`.
    pub fn load(file: &Path) -> Result<Users, UsersError> {
        let path = std::path::absolute(file)
            .map_err(|error| UsersError::Read { path: file.to_path_buf(), error })?;
        let lines = RwLock::new(read(&path)?);
        Ok(Users { file: path, lines })
    }

    /// Reads the file again; how many users there are now.
    ///
    /// # Errors
    /// As [`Users::load`]; the users stay as they were.
    pub fn reload(&self) -> Result<usize, UsersError> {
        let lines = read(&self.file)?;
        let count = lines.len();
        // Nothing panics while it holds the lock, and a list that was put in is whole.
        *self.lines.write().unwrap_or_else(PoisonError::into_inner) = lines;
        Ok(count)
    }

    /// Whether there is such a user with this password.
    pub fn check(&self, user: &[u8], password: &[u8]) -> bool {
        // A user of the file has no colon; with one the line of another user could be met.
        let Some(asked) = Line::join(user, password).filter(|_| !user.contains(&b':')) else { return false };
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(Choice::from(0), |found, line| found | line.same_as(&asked)).into()
    }
}

impl Line {
    /// The line of these; none if it would be too long for any.
    fn join(user: &[u8], password: &[u8]) -> Option<Line> {
        let len = user.len() + 1 + password.len();
        let mut bytes = [0; LINE_LEN_MAX];
        let (name, rest) = bytes.get_mut(..len)?.split_at_mut(user.len());
        let (colon, secret) = rest.split_at_mut(1);
        name.copy_from_slice(user);
        colon.copy_from_slice(b":");
        secret.copy_from_slice(password);
        Some(Line { len: len as u16, bytes })
    }

    /// Whether both are the same, in a time that does not depend on it.
    fn same_as(&self, other: &Line) -> Choice {
        self.len.ct_eq(&other.len) & self.bytes.ct_eq(&other.bytes)
    }
}

/// The lines of the file.
fn read(path: &Path) -> Result<Vec<Line>, UsersError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut text))
        .map_err(|error| UsersError::Read { path: path.to_path_buf(), error })?;
    parse(&text).map_err(|what| UsersError::Malformed { path: path.to_path_buf(), what })
}

/// The lines of a file's text, or what is wrong with it. Passwords are never part of that.
fn parse(text: &[u8]) -> Result<Vec<Line>, String> {
    if text.len() > FILE_LEN_MAX {
        return Err(format!("is longer than {FILE_LEN_MAX} bytes, the most that {USERS_MAX} users can take"));
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut users = Vec::new();
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let number = at + 1;
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(format!("line {number} must be `user:password`"));
        };
        let Some(user) = Line::join(&line[..colon], &line[colon + 1..]) else {
            return Err(format!("line {number} has {} bytes, {LINE_LEN_MAX} are allowed", line.len()));
        };
        if users.len() == USERS_MAX {
            return Err(format!("line {number} is one user too many, {USERS_MAX} are allowed"));
        }
        users.push(user);
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A file of this text, its folder, and the users read from it.
    fn users(text: &str) -> (tempfile::TempDir, PathBuf, Users) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        fs::write(&path, text).unwrap();
        let users = Users::load(&path).unwrap();
        (directory, path, users)
    }

    #[track_caller]
    fn refused(text: &[u8]) -> String {
        parse(text).err().unwrap()
    }

    #[test]
    fn users_are_let_in_with_their_own_password() {
        let (_directory, _, users) = users("anna:secret\nbo:p:q r\r\n:\nnone:\n");
        let rows = [
            ("anna", "secret", true),
            ("bo", "p:q r", true),
            ("", "", true),
            ("none", "", true),
            ("anna", "secre", false),
            ("anna", "secret\0", false),
            ("anna", "secretx", false),
            ("anna", "Secret", false),
            ("anna", "", false),
            ("ann", "asecret", false),
            ("bo", "secret", false),
            ("bo:p", "q r", false),
            ("bo", "p:q r\r", false),
            ("cleo", "secret", false),
        ];
        for (user, password, right) in rows {
            assert_eq!(users.check(user.as_bytes(), password.as_bytes()), right, "{user} {password:?}");
        }
        assert!(!users.check(&[b'x'; 300], b"p") && !users.check(b"anna", &[b'x'; 20_000]));
    }

    /// Read from the source, as no clock shows it surely: the check goes through all lines, and what it adds up it does not look at
    /// on the way.
    #[test]
    fn a_check_compares_with_every_user_in_full() {
        let source = include_str!("users.rs");
        let body = |head: &str| source.split_once(head).unwrap().1.split("\n    }\n").next().unwrap();
        let (check, same_as) = (body("pub fn check("), body("fn same_as("));
        assert!(
            check.contains("lines.iter().fold(Choice::from(0), |found, line| found | line.same_as(&asked))")
        );
        let every = check.split_once("self.lines.read()").unwrap().1;
        assert!(same_as.contains("self.len.ct_eq(&other.len) & self.bytes.ct_eq(&other.bytes)"));
        for early in
            ["==", "!=", "&&", "||", "if ", "match", "return", "break", "?", ".any(", ".find(", ".filter("]
        {
            assert!(!every.contains(early) && !same_as.contains(early), "`{early}` may end it early");
        }
    }

    #[test]
    fn a_file_may_hold_so_many_users_and_lines_so_long() {
        let longest = format!("u:{}", "x".repeat(LINE_LEN_MAX - 2));
        let lines = vec![longest.as_str(); USERS_MAX].join("\r\n") + "\r\n";
        assert_eq!(lines.len(), FILE_LEN_MAX);
        assert_eq!(parse(lines.as_bytes()).unwrap().len(), USERS_MAX);
        let number = USERS_MAX + 1;
        assert_eq!(
            refused("u:p\n".repeat(number).as_bytes()),
            format!("line {number} is one user too many, {USERS_MAX} are allowed")
        );
        assert_eq!(refused(format!("a:b\n{longest}x\n").as_bytes()), "line 2 has 256 bytes, 255 are allowed");
        assert!(refused(&vec![b'x'; FILE_LEN_MAX + 1]).starts_with("is longer than 263168 bytes"));
    }

    #[test]
    fn what_is_no_user_is_refused_by_its_line() {
        for (text, number) in
            [("", 1), ("\n", 1), ("user", 1), ("a:b\n\nc:d\n", 2), ("a:b\nc:d\n# e\n", 3), ("a:b\n\n", 2)]
        {
            assert_eq!(
                refused(text.as_bytes()),
                format!("line {number} must be `user:password`"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_changed_file_counts_and_a_broken_one_does_not() {
        let (directory, path, users) = users("a:1\n");
        fs::write(&path, "b:2\nc:3\n").unwrap();
        assert!(users.check(b"a", b"1"), "not before it is asked for");
        assert_eq!(users.reload().unwrap(), 2);
        assert!(users.check(b"b", b"2") && !users.check(b"a", b"1"));
        fs::write(&path, "d:4\nbroken\n").unwrap();
        let sentence = users.reload().unwrap_err().to_string();
        assert_eq!(sentence, format!("users file `{}`: line 2 must be `user:password`", path.display()));
        assert!(users.check(b"b", b"2") && !users.check(b"d", b"4"));
        drop(directory);
        assert!(users.reload().unwrap_err().to_string().contains("cannot be read"));
        assert!(users.check(b"c", b"3"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        let sentence = Users::load(&path).err().unwrap().to_string();
        let start = format!("users file `{}`: cannot be read: No such file", path.display());
        assert!(sentence.starts_with(&start), "{sentence}");
        assert!(Users::load(directory.path()).is_err(), "a directory is no file");
        let relative = Users::load(Path::new("Cargo.lock")).err().unwrap().to_string();
        assert!(relative.contains(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock`")), "{relative}");
    }
}
