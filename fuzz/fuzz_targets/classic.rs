//! The classic text protocol: framing, lines, long `get`s, and the writers of its answers.
//!
//! What must hold: a stream means the same however it is cut; what is used lies inside the input; keys and lengths are
//! within their limits; a command written out again reads as itself; writers stay within the room they ask for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached::protocol::reply::{
    NUMBER_LINE_LEN_MAX, value_header_len_max, write_number_line, write_value_header,
};
use ringcached::protocol::{
    Command, Frame, GetCommand, Keys, Limits, LongGet, LongGetStep, StoreCommand, StoreVerb, VALUE_LEN_MAX,
    frame, parse,
};
use ringcached_fuzz::{read, same_however_cut, written};

/// The longest keys: memcached's, and as long as `--max-key-size` allows.
const KEY_LENS_MAX: [usize; 2] = [250, 65_535];

fuzz_target!(|stream: &[u8]| {
    for key_len_max in KEY_LENS_MAX {
        let limits = Limits { key_len_max, shutdown_allowed: true, ..Limits::default() };
        let check = |line: &[u8], command: &Command<'_>| check(line, command, &limits);
        same_however_cut(stream, |pieces| read(pieces, &limits, check));
        if LongGet::open(stream).is_some() {
            same_however_cut(stream, |pieces| read_long(pieces, &limits));
            long_get_is_get(stream, &limits);
        }
    }
});

/// What every command promises.
fn check(line: &[u8], command: &Command<'_>, limits: &Limits) {
    match command {
        Command::Get(get) => check_get(line, get, limits),
        Command::Store(store) => check_store(store, limits),
        Command::Arith { key, delta, increment, noreply } => {
            check_key(key, limits);
            check_number(*delta);
            let verb = if *increment { "incr" } else { "decr" };
            reads_as(&[verb.as_bytes(), key, delta.to_string().as_bytes()], *noreply, command, limits);
        }
        Command::Touch { key, exptime, noreply } => {
            check_key(key, limits);
            reads_as(&[b"touch", key, exptime.0.to_string().as_bytes()], *noreply, command, limits);
        }
        Command::Delete { key, noreply } => {
            check_key(key, limits);
            // The time of an old client keeps a key `noreply` from being the word.
            reads_as(&[b"delete", key, b"0"], *noreply, command, limits);
        }
        Command::Reply(text) => assert!(text.is_empty() || text.ends_with(b"\r\n")),
        Command::ReplyAndSkip { text, skip } => {
            assert!(text.is_empty() || text.ends_with(b"\r\n"));
            assert!((2..=u64::from(VALUE_LEN_MAX) + 2).contains(skip));
        }
        _ => {}
    }
}

fn check_key(key: &[u8], limits: &Limits) {
    assert!((1..=limits.key_len_max).contains(&key.len()) && !key.contains(&b' '));
}

/// Every key is one, and a pause behind any of them loses none.
fn check_get(line: &[u8], get: &GetCommand<'_>, limits: &Limits) {
    let keys: Vec<&[u8]> = get.keys.clone().collect();
    assert!(!keys.is_empty(), "a get without a key");
    let mut rest = get.keys.clone();
    for key in keys {
        check_key(key, limits);
        assert_eq!(rest.next(), Some(key));
        rest = Keys::resume(line, rest.offset());
    }
    assert_eq!(rest.next(), None);
}

/// A storage command reads as itself, and so does the line before the value it would be answered with.
fn check_store(store: &StoreCommand<'_>, limits: &Limits) {
    check_key(store.key, limits);
    assert!(store.len <= VALUE_LEN_MAX && (store.verb == StoreVerb::Cas || store.cas == 0));
    let verb = match store.verb {
        StoreVerb::Set => "set",
        StoreVerb::Add => "add",
        StoreVerb::Replace => "replace",
        StoreVerb::Append => "append",
        StoreVerb::Prepend => "prepend",
        StoreVerb::Cas => "cas",
    };
    let cas = if store.verb == StoreVerb::Cas { store.cas.to_string() } else { String::new() };
    let (flags, time, len) = (store.flags.to_string(), store.exptime.0.to_string(), store.len.to_string());
    let words =
        [verb.as_bytes(), store.key, flags.as_bytes(), time.as_bytes(), len.as_bytes(), cas.as_bytes()];
    reads_as(&words, store.noreply, &Command::Store(*store), limits);
    for cas in [None, Some(store.cas)] {
        let line = written(value_header_len_max(store.key.len()), |out| {
            write_value_header(out, store.key, store.flags, store.len, cas)
        });
        let cas = cas.map_or_else(String::new, |cas| format!(" {cas}"));
        let expected = [b"VALUE ", store.key, format!(" {flags} {len}{cas}\r\n").as_bytes()].concat();
        assert_eq!(line, expected);
    }
}

fn check_number(value: u64) {
    let line = written(NUMBER_LINE_LEN_MAX, |out| write_number_line(out, value));
    assert_eq!(line, format!("{value}\r\n").as_bytes());
}

/// The line of these words is `command`.
fn reads_as(words: &[&[u8]], noreply: bool, command: &Command<'_>, limits: &Limits) {
    let mut line = words.join(&b' ');
    if noreply {
        line.extend_from_slice(b" noreply");
    }
    assert_eq!(parse(&line, limits), *command, "{}", line.escape_ascii());
}

/// The keys of a long `get` and its closing text, if the line ends.
fn read_long(pieces: &[&[u8]], limits: &Limits) -> (Vec<Vec<u8>>, Option<&'static [u8]>) {
    let (mut received, mut keys) = (Vec::new(), Vec::new());
    let mut open: Option<LongGet> = None;
    for piece in pieces {
        received.extend_from_slice(piece);
        if open.is_none() {
            let Some((get, used)) = LongGet::open(&received) else { continue };
            received.drain(..used);
            open = Some(get);
        }
        while let Some(get) = &mut open {
            let (step, used) = get.next(&received, limits);
            assert!(used <= received.len(), "{used} of {} bytes", received.len());
            match step {
                LongGetStep::Key(key) => {
                    check_key(key, limits);
                    keys.push(key.to_vec());
                }
                LongGetStep::Done { text } => return (keys, Some(text)),
                LongGetStep::Incomplete => {
                    let left = received.len() - used;
                    assert!(left < limits.key_len_max + 2, "{left} bytes are held, more than a key");
                    received.drain(..used);
                    break;
                }
            }
            received.drain(..used);
        }
    }
    (keys, None)
}

/// Key by key a line gives the keys of the whole line; if one of them is too long, those before it and an error.
fn long_get_is_get(stream: &[u8], limits: &Limits) {
    let Frame::Line { line, .. } = frame(stream, limits.line_buffered_max()) else { return };
    let (keys, text) = read_long(&[stream], limits);
    match parse(line, limits) {
        Command::Get(get) => {
            assert_eq!(
                (get.keys.map(<[u8]>::to_vec).collect::<Vec<_>>(), text),
                (keys, Some(&b"END\r\n"[..]))
            );
        }
        Command::Reply(error) => assert_eq!(text, Some(error)),
        other => panic!("a get reads as {other:?}"),
    }
}
