//! Which protocol is spoken and who has to authenticate: `-B`, `-Y` and `-S`, which depend on each other.
//!
//! Where one client authenticates all do, so a protocol that has no way to is not spoken: with `-Y` alone only text, with
//! `-S` alone only binary, as in memcached. Both together, which memcached refuses, leave the choice open.

use std::path::{Path, PathBuf};

use super::error::OptionError;
use super::table::{AUTH_FILE, ENABLE_SASL, PROTOCOL};

/// The environment variable that names the users of `-S`; memcached's.
pub const SASL_USERS_VARIABLE: &str = "MEMCACHED_SASL_PWDB";

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Text: classic and meta commands.
    Ascii,
    /// The binary protocol.
    Binary,
    /// What the first byte of the connection says.
    Auto,
}

/// How clients authenticate, each against the file it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// By a token in their first text command: `-Y`.
    Token(PathBuf),
    /// By SASL PLAIN in the binary protocol: `-S`.
    Sasl(PathBuf),
    /// Each in the way of its protocol: `-S` and `-Y`.
    Both(PathBuf),
}

impl Protocol {
    /// `-B` resolved: as typed, otherwise what authentication leaves.
    pub fn resolve(
        typed: Option<&str>,
        authentication: Option<&Authentication>,
    ) -> Result<Protocol, OptionError> {
        let asked = match typed {
            None => return Ok(authentication.and_then(Authentication::only).unwrap_or(Protocol::Auto)),
            Some("ascii") => Protocol::Ascii,
            Some("binary") => Protocol::Binary,
            Some("auto") => Protocol::Auto,
            Some(other) => return Err(PROTOCOL.refuse(other)),
        };
        asked.check(authentication, &PROTOCOL.name())?;
        Ok(asked)
    }

    /// Refuses a protocol that would let clients in who do not authenticate; `asked_by` is what asked for it.
    pub fn check(self, authentication: Option<&Authentication>, asked_by: &str) -> Result<(), OptionError> {
        let Some(only) = authentication.and_then(Authentication::only).filter(|only| *only != self) else {
            return Ok(());
        };
        let (given, missing) = match only {
            Protocol::Binary => (&ENABLE_SASL, &AUTH_FILE),
            _ => (&AUTH_FILE, &ENABLE_SASL),
        };
        Err(OptionError::Conflict(format!(
            "{asked_by} allows the {} protocol, and {} alone is authentication for the {} protocol only: leave the former \
             out, or give {} as well",
            self.word(),
            given.name(),
            only.word(),
            missing.name(),
        )))
    }

    /// As `-B` has it.
    fn word(self) -> &'static str {
        match self {
            Protocol::Ascii => "ascii",
            Protocol::Binary => "binary",
            Protocol::Auto => "auto",
        }
    }
}

impl Authentication {
    /// `-S` and `-Y` resolved. `sasl_users` is what the environment names.
    pub fn resolve(
        sasl: bool,
        auth_file: Option<PathBuf>,
        sasl_users: Option<&Path>,
    ) -> Result<Option<Authentication>, OptionError> {
        match (sasl, auth_file) {
            (false, None) => Ok(None),
            (false, Some(file)) => Ok(Some(Authentication::Token(file))),
            (true, Some(file)) => Ok(Some(Authentication::Both(file))),
            (true, None) => match sasl_users {
                Some(file) => Ok(Some(Authentication::Sasl(file.to_path_buf()))),
                None => Err(OptionError::Conflict(format!(
                    "{} without users: name a file of `user:password` lines with {}, or in the environment variable \
                     {SASL_USERS_VARIABLE}",
                    ENABLE_SASL.name(),
                    AUTH_FILE.name(),
                ))),
            },
        }
    }

    /// The file of users and passwords.
    pub fn users_file(&self) -> &Path {
        match self {
            Authentication::Token(file) | Authentication::Sasl(file) | Authentication::Both(file) => file,
        }
    }

    /// The only protocol it is for, if it is for one.
    fn only(&self) -> Option<Protocol> {
        match self {
            Authentication::Token(_) => Some(Protocol::Ascii),
            Authentication::Sasl(_) => Some(Protocol::Binary),
            Authentication::Both(_) => None,
        }
    }
}
