//! What a client says before it is let in: SASL PLAIN, and the first `set` of the text protocol.
//!
//! What must hold: whoever is named stands in the message, in the form that was asked for, and nothing else lets in; a
//! command cut short waits, and never for more than its bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached::protocol::sasl::parse_plain;
use ringcached::protocol::{AUTH_TOKEN_LEN_MAX, AuthStep, LINE_BUFFERED_MAX, authenticate};
use ringcached_fuzz::same_however_cut;

fuzz_target!(|message: &[u8]| {
    check_plain(message);
    // A line may be longer than what is waited for if it comes whole.
    if message.split(|&byte| byte == b'\n').all(|line| line.len() < LINE_BUFFERED_MAX) {
        same_however_cut(message, read);
    } else {
        read(&[message]);
    }
});

fn check_plain(message: &[u8]) {
    let Some(plain) = parse_plain(message) else { return };
    assert!(!plain.user.is_empty() && !plain.password.is_empty());
    let ending = [b"\0", plain.user, b"\0", plain.password].concat();
    let authzid = message.strip_suffix(&ending[..]).expect("what was sent");
    assert!(authzid.is_empty() || authzid == plain.user, "somebody else is named");
}

/// The steps that a connection would take.
fn read(pieces: &[&[u8]]) -> Vec<String> {
    let (mut received, mut seen) = (Vec::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            let step = authenticate(&received);
            let used = match step {
                AuthStep::Incomplete => {
                    let line_len =
                        received.iter().position(|&byte| byte == b'\n').unwrap_or(LINE_BUFFERED_MAX);
                    let most = line_len + 1 + AUTH_TOKEN_LEN_MAX + 2;
                    assert!(received.len() < most, "{} bytes are held", received.len());
                    break;
                }
                AuthStep::Close => {
                    seen.push("close".into());
                    return seen;
                }
                AuthStep::Credentials { user, password, used } => {
                    let value = [user, b" ", password, b"\r\n"].concat();
                    assert!(received[..used].ends_with(&value) && received.starts_with(b"set "));
                    assert!(!user.contains(&b' '));
                    used
                }
                AuthStep::Answer { text, used } => {
                    assert!(text.starts_with(b"CLIENT_ERROR ") && text.ends_with(b"\r\n"));
                    used
                }
            };
            assert!((1..=received.len()).contains(&used));
            seen.push(format!("{step:?}"));
            received.drain(..used);
        }
    }
    seen
}
