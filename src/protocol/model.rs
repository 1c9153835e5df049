//! Properties that hold for every input: how a stream is cut changes nothing, and no bytes break anything.

use proptest::collection::vec;
use proptest::prelude::*;

use super::pieces::{Next, cut, read_pieces};
use super::*;

const LIMITS: Limits = Limits { shutdown_allowed: true, ..Limits::DEFAULT };

/// Frames and parses what `pieces` bring, as a connection would; what it saw, written out.
fn read(pieces: &[&[u8]]) -> Vec<String> {
    let mut seen = Vec::new();
    read_pieces(pieces, |received| {
        let Frame::Line { line, used } = frame(received, LINE_BUFFERED_MAX) else { return Next::Wait };
        let command = parse(line, &LIMITS);
        seen.push(match &command {
            Command::Get(get) => format!("{get:?} {:?}", get.keys.clone().collect::<Vec<_>>()),
            other => format!("{other:?}"),
        });
        let skip = match command {
            Command::Store(store) => u64::from(store.len) + 2,
            Command::Meta(meta) if meta.verb == MetaVerb::Set => u64::from(meta.len) + 2,
            Command::ReplyAndSkip { skip, .. } => skip,
            _ => 0,
        };
        Next::Used(used as u64 + skip)
    });
    seen
}

/// Meta flags, most of them well formed.
fn meta_flags() -> impl Strategy<Value = String> {
    let number = "[0-9]{1,3}|0{0,30}[0-9]{8,21}|-[0-9]{1,12}|[+x]1|";
    let flag = prop_oneof![
        4 => "[bcfhklqstuvxI]".boxed(),
        2 => "[OLP][!-~]{0,31}".boxed(),
        2 => "M[SEAPRID+-]".boxed(),
        4 => ("[CEDJTNRF]", number).prop_map(|(letter, number)| letter + &number).boxed(),
        1 => "[!-~]{1,33}".boxed(),
    ];
    vec(flag, 0..8).prop_map(|flags| flags.join(" "))
}

/// A meta command with its data, right or slightly wrong.
fn meta_request() -> impl Strategy<Value = String> {
    let key = "[a-z]{1,6}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{8}|[!-~]{240,260}";
    let end = prop_oneof![Just("\r\n"), Just("\n"), Just(" noreply\r\n")];
    prop_oneof![
        ("m[gdaenx]", key, meta_flags(), end.clone())
            .prop_map(|(verb, key, flags, end)| format!("{verb} {key} {flags}{end}")),
        (key, "[a-z\r\n ]{0,40}", meta_flags(), end)
            .prop_map(|(key, data, flags, end)| format!("ms {key} {} {flags}{end}{data}\r\n", data.len())),
    ]
}

/// A line that asks for `command`, in words of our own.
fn rewritten(command: &MetaCommand<'_>) -> Vec<u8> {
    let flags = &command.flags;
    let mut line = match command.verb {
        MetaVerb::Get => b"mg ".to_vec(),
        MetaVerb::Set => b"ms ".to_vec(),
        MetaVerb::Delete => b"md ".to_vec(),
        MetaVerb::Arith => b"ma ".to_vec(),
        MetaVerb::Debug => b"me ".to_vec(),
    };
    line.extend_from_slice(command.key);
    if command.verb == MetaVerb::Set {
        line.extend_from_slice(format!(" {}", command.len).as_bytes());
    }
    let ordered: Vec<u8> = flags.ordered().collect();
    let others = (b'A'..=b'z').filter(|letter| flags.has(*letter) && !ordered.contains(letter));
    for letter in ordered.iter().copied().chain(others) {
        line.extend_from_slice(&[b' ', letter]);
        let number = match letter {
            b'C' => flags.compare().map(i128::from),
            b'E' => flags.given_cas().map(i128::from),
            b'D' => Some(flags.delta().into()),
            b'J' => Some(flags.initial().into()),
            b'F' => Some(flags.client_flags().into()),
            b'T' => flags.touch().map(|exptime| exptime.0.into()),
            b'N' => flags.vivify().map(|exptime| exptime.0.into()),
            b'R' => flags.recache().map(|exptime| exptime.0.into()),
            _ => None,
        };
        match letter {
            b'M' => line.push(flags.mode),
            b'O' => line.extend_from_slice(flags.opaque()),
            _ => line.extend_from_slice(number.map_or(String::new(), |n| n.to_string()).as_bytes()),
        }
    }
    line
}

/// A request with its data, right or slightly wrong, in either line ending.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let key = "[a-z]{1,6}|[!-~]{240,260}";
    let number = "[0-9]{1,3}|-?[0-9]{8,21}|[+x]1|noreply";
    let end = prop_oneof![Just("\r\n"), Just("\n"), Just(" noreply\r\n")];
    prop_oneof![
        ("gets?", vec(key, 0..6), end.clone())
            .prop_map(|(verb, keys, end)| format!("{verb} {}{end}", keys.join(" "))),
        ("gats?", number, vec(key, 0..4), end.clone())
            .prop_map(|(verb, time, keys, end)| format!("{verb} {time} {}{end}", keys.join("  "))),
        ("set|add|replace|append|prepend|cas", key, number, number, "[a-z\r\n ]{0,40}", number, end.clone())
            .prop_map(|(verb, key, flags, time, data, cas, end)| {
                format!("{verb} {key} {flags} {time} {} {cas}{end}{data}\r\n", data.len())
            }),
        ("incr|decr|touch|delete", key, number, end.clone())
            .prop_map(|(verb, key, number, end)| format!("{verb} {key} {number}{end}")),
        ("flush_all|verbosity|version|quit|shutdown|stats|bogus", number, end)
            .prop_map(|(verb, number, end)| format!("{verb} {number}{end}")),
        meta_request(),
    ]
    .prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn a_cut_stream_means_what_it_means_whole(
        requests in vec(request(), 1..12),
        cuts in vec(any::<usize>(), 0..20),
    ) {
        let stream = requests.concat();
        prop_assert_eq!(read(&cut(&stream, &cuts)), read(&[&stream]));
    }

    #[test]
    fn any_bytes_are_read_without_panic(stream in vec(any::<u8>(), 0..3000), cuts in vec(any::<usize>(), 0..9)) {
        prop_assert_eq!(read(&cut(&stream, &cuts)), read(&[&stream]));
    }

    #[test]
    fn any_arguments_are_read_without_panic(
        verb in "[a-z_]{0,10}|get|set|cas|gat|incr|touch|delete|flush_all|shutdown|m[gsdaen]",
        arguments in vec(prop_oneof![Just(b' '), Just(b'-'), Just(b'9'), any::<u8>()], 0..60),
    ) {
        let line = [verb.as_bytes(), b" ", &arguments].concat();
        if let Command::Get(get) = parse(&line, &LIMITS) {
            prop_assert!(get.keys.clone().count() > 0);
            prop_assert!(get.keys.clone().all(|key| (1..=LIMITS.key_len_max).contains(&key.len())));
        }
    }

    #[test]
    fn a_meta_command_written_again_is_the_same(request in meta_request()) {
        let Frame::Line { line, .. } = frame(request.as_bytes(), LINE_BUFFERED_MAX) else { panic!("no line") };
        if let Command::Meta(command) = parse(line, &LIMITS) {
            let again = rewritten(&command);
            prop_assert_eq!(parse(&again, &LIMITS), Command::Meta(command), "{:?}", again.escape_ascii());
            prop_assert!(command.key.len() <= LIMITS.key_len_max);
            let decoded = decode_key(command.key, &mut [0; 192]).is_some();
            prop_assert!(decoded || !command.flags.base64_key());
        }
    }

    /// Key by key, in any pieces, a long get finds the keys of the whole line, or those before the first bad one.
    #[test]
    fn a_long_get_finds_what_the_line_holds(
        keys in vec("[a-z]{1,6}|[!-~]{240,250}|[!-~]{245,255}", 0..20),
        end in "( {0,3})\r?\n",
        cuts in vec(any::<usize>(), 0..20),
    ) {
        let stream = format!("gets {}{end}version\r\n", keys.join(" ")).into_bytes();
        let Frame::Line { line, used } = frame(&stream, LINE_BUFFERED_MAX) else { panic!("no line") };
        let (expected, expected_text) = match parse(line, &LIMITS) {
            Command::Get(get) => (get.keys.map(<[u8]>::to_vec).collect(), reply::text::END),
            _ => {
                let good = keys.iter().take_while(|key| key.len() <= LIMITS.key_len_max);
                (good.map(|key| key.clone().into_bytes()).collect::<Vec<_>>(), reply::text::BAD_FORMAT)
            }
        };
        let (found, text, left) = read_long(&cut(&stream[5..], &cuts), &stream[..5]);
        prop_assert_eq!((found, text), (expected, expected_text));
        prop_assert_eq!(left, stream.len() - used, "what follows the line stays");
    }
}

/// The keys of a long get, its closing text, and how many bytes of the stream lie behind it.
fn read_long(pieces: &[&[u8]], verb: &[u8]) -> (Vec<Vec<u8>>, &'static [u8], usize) {
    let (mut get, _) = LongGet::open(verb).expect("a gets");
    let (mut received, mut keys, mut answer) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        received.extend_from_slice(piece);
        while answer.is_none() {
            let (step, used) = get.next(&received, &LIMITS);
            match step {
                LongGetStep::Key(key) => keys.push(key.to_vec()),
                LongGetStep::Done { text } => answer = Some(text),
                LongGetStep::Incomplete => {
                    received.drain(..used);
                    break;
                }
            }
            received.drain(..used);
        }
    }
    (keys, answer.expect("the line ended"), received.len())
}
