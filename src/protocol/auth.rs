//! What a text client may say before it is let in (`-Y`): a `set` of any key whose value is `user password`.
//!
//! Answers are memcached's. It differs where memcached is mistaken: the verb is `set` and not any word that starts so, the
//! line may end in a bare LF (memcached then loses the last digit of the length), and each of several commands sent at
//! once is answered (memcached sends the last answer only).

use memchr::memchr;

use super::line::{Frame, LINE_BUFFERED_MAX, frame};
use super::number::parse_u32;
use super::reply::text;
use super::token::Tokens;

/// The longest `user password` that is read, in bytes.
pub const AUTH_TOKEN_LEN_MAX: usize = 16384;

/// The shortest line that is answered, its ending included. What is shorter closes the connection, `quit` among them.
const LINE_LEN_MIN: usize = 7;

/// Arguments of the `set` before its length: key, flags, expiration time. They may be anything.
const ARGS_BEFORE_LEN: usize = 3;

/// What a client that is not let in yet has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStep<'a> {
    /// Not all of a command: receive more, at most [`AUTH_TOKEN_LEN_MAX`] and CR LF behind the line.
    Incomplete,
    /// The user to let in if the password is right. Answer [`text::STORED`] or [`text::AUTH_FAILURE`], even if the `set` has
    /// a `noreply`.
    Credentials {
        /// Up to the first space; without one itself.
        user: &'a [u8],
        /// All the rest, spaces included.
        password: &'a [u8],
        /// Bytes of input the command takes.
        used: usize,
    },
    /// Anything else. Answer this.
    Answer {
        /// Why.
        text: &'static [u8],
        /// Bytes of input this takes.
        used: usize,
    },
    /// Close the connection without an answer.
    Close,
}

/// Reads the start of `input`, which is what was received behind earlier steps.
pub fn authenticate(input: &[u8]) -> AuthStep<'_> {
    let (line, used) = match frame(input, LINE_BUFFERED_MAX) {
        Frame::Line { used, .. } if used < LINE_LEN_MIN => return AuthStep::Close,
        Frame::Line { line, used } => (line, used),
        Frame::Incomplete => return AuthStep::Incomplete,
        Frame::TooLong | Frame::LongGet => return AuthStep::Close,
    };
    match token_len(line) {
        None => AuthStep::Answer { text: text::UNAUTHENTICATED, used },
        Some(len) if len > AUTH_TOKEN_LEN_MAX => AuthStep::Answer { text: text::AUTH_TOKEN_TOO_LONG, used },
        Some(len) => token(&input[used..], len, used),
    }
}

/// The length of the value, if `line` is a `set` that has one.
fn token_len(line: &[u8]) -> Option<usize> {
    let mut words = Tokens::new(line.strip_prefix(b"set ")?);
    words.nth(ARGS_BEFORE_LEN).and_then(parse_u32).map(|len| len as usize)
}

/// Reads the value of `len` bytes at the start of `data`, behind a line of `used` bytes.
fn token(data: &[u8], len: usize, used: usize) -> AuthStep<'_> {
    let Some((token, ending)) = data.get(..len + 2).and_then(|data| data.split_at_checked(len)) else {
        return AuthStep::Incomplete;
    };
    let used = used + len + ending.len();
    if ending != b"\r\n" {
        return AuthStep::Answer { text: text::BAD_TERMINATION, used };
    }
    match memchr(b' ', token) {
        Some(at) => AuthStep::Credentials { user: &token[..at], password: &token[at + 1..], used },
        None => AuthStep::Answer { text: text::BAD_AUTH_TOKEN, used },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthStep::{Answer, Close, Credentials, Incomplete};

    fn step(input: &str) -> AuthStep<'_> {
        authenticate(input.as_bytes())
    }

    #[track_caller]
    fn assert_lets_try(input: &str, user: &str, password: &str) {
        let rest = "get a\r\n";
        let expected =
            Credentials { user: user.as_bytes(), password: password.as_bytes(), used: input.len() };
        assert_eq!(authenticate(format!("{input}{rest}").as_bytes()), expected, "{input:?}");
    }

    #[test]
    fn a_set_of_anything_carries_user_and_password() {
        for line in [
            "set a 0 0 3",
            "set a 0 0 3 noreply",
            "set  a   b c 03  ",
            "set a b c 3 4 5 6",
            &format!("set {} 0 0 3", "k".repeat(300)),
        ] {
            assert_lets_try(&format!("{line}\r\nu p\r\n"), "u", "p");
            assert_lets_try(&format!("{line}\nu p\r\n"), "u", "p");
        }
        assert_lets_try("set a 0 0 6\r\nu p q \r\n", "u", "p q ");
        assert_lets_try("set a 0 0 3\r\n p \r\n", "", "p ");
        assert_lets_try("set a 0 0 1\r\n \r\n", "", "");
        let longest = format!("u {}", "p".repeat(AUTH_TOKEN_LEN_MAX - 2));
        assert_lets_try(&format!("set a 0 0 16384\r\n{longest}\r\n"), "u", &longest[2..]);
    }

    #[test]
    fn everything_else_is_unauthenticated() {
        for line in [
            "version\r\n",
            "get a\r\n",
            "quit \r\n",
            "abcdef\n",
            "      \r\n",
            "GET / HTTP/1.0\r\n",
            "set a 0 0\r\n",
            "set a 0 0 -1\r\n",
            "set a 0 0 x\r\n",
            "set a 0 0 +3\r\n",
            "set a 0 0 4294967296\r\n",
            " set a 0 0 3\r\n",
            "cas a 0 0 3 1\r\n",
            // memcached lets these in.
            "settle a b 0 3\r\n",
            "set\ta b 0 0 3\r\n",
            &format!("{}\r\n", "x".repeat(3000)),
        ] {
            let input = format!("{line}set a 0 0 3\r\nu p\r\n");
            let expected = Answer { text: b"CLIENT_ERROR unauthenticated\r\n", used: line.len() };
            assert_eq!(step(&input), expected, "{line:?}");
        }
    }

    #[test]
    fn a_token_may_be_too_long_or_malformed() {
        for (line, data, text) in [
            ("set a 0 0 16385\r\n", "", &b"CLIENT_ERROR auth token too long\r\n"[..]),
            ("set a 0 0 4294967295\r\n", "", b"CLIENT_ERROR auth token too long\r\n"),
            ("set a 0 0 3\r\n", "u:p\r\n", b"CLIENT_ERROR bad authentication token format\r\n"),
            ("set a 0 0 0\r\n", "\r\n", b"CLIENT_ERROR bad authentication token format\r\n"),
            ("set a 0 0 3\r\n", "u pXX", b"CLIENT_ERROR bad command line termination\r\n"),
            ("set a 0 0 3\r\n", "u:pXX", b"CLIENT_ERROR bad command line termination\r\n"),
            ("set a 0 0 3\r\n", "u p\nv", b"CLIENT_ERROR bad command line termination\r\n"),
        ] {
            let used = line.len() + data.len();
            assert_eq!(step(&format!("{line}{data}rest")), Answer { text, used }, "{line:?} {data:?}");
        }
    }

    #[test]
    fn short_lines_and_endless_ones_close() {
        let endless = "set ".to_string() + &"x".repeat(LINE_BUFFERED_MAX - 3);
        let endless_get = "get ".to_string() + &"x".repeat(LINE_BUFFERED_MAX - 3);
        for input in ["quit\r\n", "abcd\r\n", "abcde\n", "\r\n", "\n", &endless, &endless_get] {
            assert_eq!(step(input), Close, "{input:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_command_waits_for_the_rest() {
        let input = "set a 0 0 5\r\nu p q\r\n";
        for end in 0..input.len() {
            assert_eq!(step(&input[..end]), Incomplete, "{:?}", &input[..end]);
        }
        assert_eq!(step(&"x".repeat(LINE_BUFFERED_MAX)), Incomplete);
    }
}
