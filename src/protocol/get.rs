//! `get`, `gets`, `gat`, `gats`: one line, any number of keys.
//!
//! A line that is buffered whole becomes a [`GetCommand`], whose keys have all been checked before the first is looked
//! up, so that a bad one can be answered by an error alone. A `get` line that has outgrown the buffer is read by
//! [`LongGet`], which holds no more than one incomplete key between two receives.

use memchr::{memchr, memchr2};

use super::classic::{Command, Limits};
use super::exptime::Exptime;
use super::number::parse_i64;
use super::reply::text;
use super::token::{Tokens, skip_spaces};

/// A retrieval: look up each key in order, answer each hit, then `END`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetCommand<'a> {
    /// Whether each hit shows its CAS (`gets`, `gats`).
    pub with_cas: bool,
    /// The new expiration time of each hit (`gat`, `gats`).
    pub touch: Option<Exptime>,
    /// At least one key, none longer than the limit.
    pub keys: Keys<'a>,
}

/// The keys of a retrieval in the order asked, duplicates included.
///
/// To pause in the middle of a line keep [`offset`](Self::offset), and go on later with [`resume`](Self::resume).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys<'a> {
    line_len: usize,
    tokens: Tokens<'a>,
}

impl<'a> Keys<'a> {
    /// How many bytes of the line lie before the keys not yet taken.
    #[inline]
    pub fn offset(&self) -> usize {
        self.line_len - self.tokens.rest().len()
    }

    /// The keys of `line` from `offset` on, which [`offset`](Self::offset) gave for the same line. An offset beyond the
    /// line gives no keys.
    #[inline]
    pub fn resume(line: &'a [u8], offset: usize) -> Self {
        Self { line_len: line.len(), tokens: Tokens::new(line.get(offset..).unwrap_or_default()) }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.tokens.next()
    }
}

/// Reads `get` or `gets`; `tokens` stands behind the verb.
#[inline]
pub(super) fn get<'a>(line: &'a [u8], tokens: Tokens<'a>, limits: &Limits, with_cas: bool) -> Command<'a> {
    retrieval(line, tokens, limits, with_cas, None)
}

/// Reads `gat` or `gats`; `tokens` stands behind the verb. A missing key is reported before a bad time, a bad time
/// before a bad key.
pub(super) fn gat<'a>(
    line: &'a [u8],
    mut tokens: Tokens<'a>,
    limits: &Limits,
    with_cas: bool,
) -> Command<'a> {
    let Some(exptime) = tokens.next() else { return Command::Reply(text::BAD_FORMAT) };
    if skip_spaces(tokens.rest()).is_empty() {
        return Command::Reply(text::BAD_FORMAT);
    }
    match parse_i64(exptime) {
        Some(seconds) => retrieval(line, tokens, limits, with_cas, Some(Exptime(seconds))),
        None => Command::Reply(text::INVALID_EXPTIME),
    }
}

#[inline]
fn retrieval<'a>(
    line: &'a [u8],
    tokens: Tokens<'a>,
    limits: &Limits,
    with_cas: bool,
    touch: Option<Exptime>,
) -> Command<'a> {
    let rest = tokens.rest();
    let keys = Keys { line_len: line.len(), tokens };
    // A rest within the limit of one key has no key beyond it: the usual get is not scanned twice.
    let within_limit =
        rest.len() <= limits.key_len_max || keys.clone().all(|key| key.len() <= limits.key_len_max);
    if within_limit && !skip_spaces(rest).is_empty() {
        Command::Get(GetCommand { with_cas, touch, keys })
    } else {
        Command::Reply(text::BAD_FORMAT)
    }
}

/// The key of the `get` at the start of `input` if it has one key only and is written as clients write it: one space before the
/// key, none behind it, CR LF. It is most of what there is to do, and worth no list of keys. `None` says nothing about the
/// input.
#[inline]
pub fn single_key(input: &[u8], key_len_max: usize) -> Option<&[u8]> {
    let rest = input.strip_prefix(b"get ")?;
    let end = memchr2(b' ', b'\n', rest)?;
    let key = rest[..=end].strip_suffix(b"\r\n")?;
    (1..=key_len_max).contains(&key.len()).then_some(key)
}

/// A `get` or `gets` read key by key while its line is still arriving.
///
/// The caller holds the received bytes. It [`open`](Self::open)s where [`frame`](super::frame) said
/// [`Frame::LongGet`](super::Frame::LongGet), then calls [`next`](Self::next), dropping the bytes used each time, until
/// [`LongGetStep::Done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongGet {
    /// Whether each hit shows its CAS (`gets`).
    pub with_cas: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A line that ended here would have no key.
    NoKey,
    /// At least one key was taken.
    Keys,
    /// A key was too long: the rest of the line is swallowed.
    Refused,
}

/// What [`LongGet::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongGetStep<'a> {
    /// The next key, complete and within the limit.
    Key(&'a [u8]),
    /// Receive more. What is left unused is less than one key and its line ending.
    Incomplete,
    /// The line has ended: answer `text`, `END` or an error.
    Done {
        /// The answer that follows the hits.
        text: &'static [u8],
    },
}

impl LongGet {
    /// Opens the line at the start of `input`, and says how many bytes the verb took. `None` if it is no `get` or `gets`.
    pub fn open(input: &[u8]) -> Option<(Self, usize)> {
        let (with_cas, used) = match input {
            [b'g', b'e', b't', b' ', ..] => (false, 4),
            [b'g', b'e', b't', b's', b' ', ..] => (true, 5),
            _ => return None,
        };
        Some((Self { with_cas, state: State::NoKey }, used))
    }

    /// The keys of a [`GetCommand`]: a line that is here whole and has been checked, to be taken in the same steps.
    pub fn checked(with_cas: bool) -> Self {
        Self { with_cas, state: State::Keys }
    }

    /// Takes the next step in `input`, the bytes not used so far, and says how many bytes it used.
    pub fn next<'a>(&mut self, input: &'a [u8], limits: &Limits) -> (LongGetStep<'a>, usize) {
        if self.state == State::Refused {
            return self.swallow(input);
        }
        let start = skip_spaces(input);
        let spaces = input.len() - start.len();
        // The longest key, CR and LF: a terminator further off, or none in so many bytes, means too long a key.
        let window = &start[..start.len().min(limits.key_len_max + 2)];
        let Some(end) = memchr2(b' ', b'\n', window) else {
            if window.len() < limits.key_len_max + 2 {
                return (LongGetStep::Incomplete, spaces);
            }
            return self.refuse(input);
        };
        let (key, ended) = match window.get(end) {
            Some(b'\n') => (window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]), true),
            _ => (&window[..end], false),
        };
        if key.len() > limits.key_len_max {
            return self.refuse(input);
        }
        if key.is_empty() && ended {
            let text = if self.state == State::Keys { text::END } else { text::BAD_FORMAT };
            return (LongGetStep::Done { text }, spaces + end + 1);
        }
        // The line's ending stays for the step after this key.
        self.state = State::Keys;
        (LongGetStep::Key(key), spaces + key.len())
    }

    fn refuse<'a>(&mut self, input: &[u8]) -> (LongGetStep<'a>, usize) {
        self.state = State::Refused;
        self.swallow(input)
    }

    fn swallow<'a>(&self, input: &[u8]) -> (LongGetStep<'a>, usize) {
        match memchr(b'\n', input) {
            Some(at) => (LongGetStep::Done { text: text::BAD_FORMAT }, at + 1),
            None => (LongGetStep::Incomplete, input.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { key_len_max: 4, ..Limits::DEFAULT };

    /// Feeds `line` in pieces of `piece` bytes; the keys found and the closing text.
    fn read(line: &[u8], piece: usize) -> (Vec<Vec<u8>>, &'static [u8]) {
        let (mut get, mut taken) = LongGet::open(line).expect("a get");
        let (mut received, mut keys) = (taken, Vec::new());
        loop {
            let (step, used) = get.next(&line[taken..received], &LIMITS);
            taken += used;
            match step {
                LongGetStep::Key(key) => keys.push(key.to_vec()),
                LongGetStep::Incomplete => {
                    assert!(received - taken < LIMITS.key_len_max + 2, "holds more than a key");
                    assert!(received < line.len(), "never done");
                    received = line.len().min(received + piece);
                }
                LongGetStep::Done { text } => {
                    assert_eq!(taken, line.len(), "used {line:?} up to its LF");
                    return (keys, text);
                }
            }
        }
    }

    #[test]
    fn a_single_key_is_one_written_as_usual() {
        for (input, key) in [
            (&b"get a\r\n"[..], Some(&b"a"[..])),
            (b"get abcd\r\nget b\r\n", Some(b"abcd")),
            (b"get a\rb\r\n", Some(b"a\rb")),
            (b"get a\r\r\n", Some(b"a\r")),
            (b"get abcde\r\n", None),
            (b"get a\n", None),
            (b"get a", None),
            (b"get a\r", None),
            (b"get  a\r\n", None),
            (b"get a \r\n", None),
            (b"get a b\r\n", None),
            (b"get \r\n", None),
            (b"gets a\r\n", None),
            (b"GET a\r\n", None),
            (b"", None),
        ] {
            assert_eq!(single_key(input, LIMITS.key_len_max), key, "{input:?}");
        }
    }

    #[test]
    fn a_long_get_gives_its_keys_however_it_is_cut() {
        for (line, keys, text) in [
            (&b"get a bb  cccc \r\n"[..], &[&b"a"[..], b"bb", b"cccc"][..], text::END),
            (b"get a bb  cccc\n", &[b"a", b"bb", b"cccc"], text::END),
            (b"get a\r b\r\r\n", &[b"a\r", b"b\r"], text::END),
            (b"gets cccc\r\n", &[b"cccc"], text::END),
            (b"get cccc\r\r\n", &[], text::BAD_FORMAT),
            (b"get    \r\n", &[], text::BAD_FORMAT),
            (b"get \n", &[], text::BAD_FORMAT),
            (b"get a ddddd b\r\n", &[b"a"], text::BAD_FORMAT),
            (b"get a ddddddddd b\r\n", &[b"a"], text::BAD_FORMAT),
            (b"get a ddddd\r\n", &[b"a"], text::BAD_FORMAT),
        ] {
            for piece in 1..=line.len() {
                let (found, answer) = read(line, piece);
                assert_eq!((found, answer), (keys.iter().map(|k| k.to_vec()).collect(), text), "{line:?}");
            }
        }
    }

    #[test]
    fn only_get_and_gets_open() {
        assert_eq!(LongGet::open(b"get a").map(|(get, used)| (get.with_cas, used)), Some((false, 4)));
        assert_eq!(LongGet::open(b"gets a").map(|(get, used)| (get.with_cas, used)), Some((true, 5)));
        for input in [&b"gat 0 a"[..], b"get", b" get a", b"set a"] {
            assert_eq!(LongGet::open(input), None, "{input:?}");
        }
    }

    #[test]
    fn keys_resume_where_they_paused() {
        let line = b"get a  bb c";
        let mut keys = Keys::resume(line, 3);
        let mut seen = Vec::new();
        while let Some(key) = keys.next() {
            seen.push(key);
            keys = Keys::resume(line, keys.offset());
        }
        assert_eq!(seen, [&b"a"[..], b"bb", b"c"]);
        assert_eq!(Keys::resume(line, 99).next(), None);
    }
}
