//! SASL's mechanism PLAIN (RFC 4616), the one the server offers: `[authzid] NUL authcid NUL password` in one message.
//!
//! A client may leave the message out of its SASL AUTH; it is then asked for it with an empty challenge.
//!
//! The lists of users and the verdict are not here. What is compared with a password should be compared in constant time.

/// The names of the mechanisms the server offers, as SASL LIST MECHS answers them.
pub const MECHANISMS: &[u8] = b"PLAIN";

/// What a client says of itself. Without `Debug`: a password is not for logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Who authenticates (RFC 4616: authcid). Not empty.
    pub user: &'a [u8],
    /// Any bytes but NUL; not empty.
    pub password: &'a [u8],
}

/// Reads the message of PLAIN. `None` if it is not of that form, or if it asks to act as somebody else (an authzid that is neither
/// empty nor the user): no user may speak for another here.
pub fn parse_plain(message: &[u8]) -> Option<Plain<'_>> {
    let mut fields = message.split(|&byte| byte == 0);
    let (authzid, user, password) = (fields.next()?, fields.next()?, fields.next()?);
    let well_formed = fields.next().is_none() && !user.is_empty() && !password.is_empty();
    (well_formed && (authzid.is_empty() || authzid == user)).then_some(Plain { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_user_and_password() {
        for (message, user, password) in [
            (&b"\0user\0password"[..], &b"user"[..], &b"password"[..]),
            (b"user\0user\0password", b"user", b"password"),
            (b"\0u\0p w:\xff", b"u", b"p w:\xff"),
        ] {
            let plain = parse_plain(message).unwrap_or_else(|| panic!("{}", message.escape_ascii()));
            assert_eq!((plain.user, plain.password), (user, password));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for message in [
            &b""[..],
            b"user",
            b"user\0password",
            b"\0user",
            b"\0user\0",
            b"\0\0password",
            b"\0\0",
            b"\0user\0password\0",
            b"\0user\0pass\0word",
            b"other\0user\0password",
        ] {
            assert!(parse_plain(message).is_none(), "{}", message.escape_ascii());
        }
    }
}
