//! What each line means, row by row. Answers were compared with a running memcached 1.6.45; where this server means to
//! differ the row says so.

use super::reply::text::*;
use super::*;

const SILENCE: &[u8] = b"";
const LIMITS: Limits = Limits::DEFAULT;

/// `template` with `{250}` and `{251}` replaced by keys of that length.
fn line(template: &str) -> String {
    template.replace("{250}", &"k".repeat(250)).replace("{251}", &"k".repeat(251))
}

/// Each line is answered at once by its text.
fn assert_replies(limits: &Limits, rows: &[(&str, &'static [u8])]) {
    for (template, text) in rows {
        assert_eq!(parse(line(template).as_bytes(), limits), Command::Reply(text), "{template:?}");
    }
}

/// Each storage line is answered by its text, and two bytes of data and CR LF are swallowed.
fn assert_swallows(rows: &[(&str, &'static [u8])]) {
    for (template, text) in rows {
        let expected = Command::ReplyAndSkip { text, skip: 4 };
        assert_eq!(parse(line(template).as_bytes(), &LIMITS), expected, "{template:?}");
    }
}

fn assert_commands(limits: &Limits, rows: &[(&str, Command<'_>)]) {
    for (line, command) in rows {
        assert_eq!(parse(line.as_bytes(), limits), *command, "{line:?}");
    }
}

fn store<'a>(verb: StoreVerb, key: &'a str) -> StoreCommand<'a> {
    let exptime = Exptime(0);
    StoreCommand { verb, key: key.as_bytes(), flags: 0, exptime, len: 2, cas: 0, noreply: false }
}

#[test]
fn lines_that_are_no_command() {
    assert_replies(
        &LIMITS,
        &[
            ("", BAD_FORMAT),
            ("x", BAD_FORMAT),
            (" ", BAD_FORMAT),
            ("\r", BAD_FORMAT),
            // With a bare LF memcached calls these badly formatted; with CR LF it agrees.
            ("xx", ERROR),
            ("  ", ERROR),
            ("   ", ERROR),
            ("x\r", ERROR),
            ("GET a", ERROR),
            (" get a", ERROR),
            ("get\ta", ERROR),
            ("getx a", ERROR),
            ("quitx", ERROR),
            ("bogus", ERROR),
            ("bogus noreply", SILENCE),
            ("bogus noreply  ", SILENCE),
            ("noreply", SILENCE),
            (" noreply", SILENCE),
            // Commands this server does not have yet.
            ("extstore max_sleep 1", ERROR),
            ("refresh_certs", ERROR),
            ("refresh_certs noreply", SILENCE),
            // Of memcached's debug builds.
            ("misbehave", ERROR),
            ("debugtime p", ERROR),
            ("debugitem lock a", ERROR),
        ],
    );
}

#[test]
fn http_is_closed_when_it_is_the_last_of_several_tokens() {
    for line in ["GET / HTTP/1.0", "foo bar HTTP/9", " foo HTTP/1.1", "foo HTTP/1.1 ", "foo HTTP/"] {
        assert_eq!(parse(line.as_bytes(), &LIMITS), Command::Close, "{line:?}");
    }
    let long = format!("foo {}HTTP/1.1", "a ".repeat(30));
    assert_eq!(parse(long.as_bytes(), &LIMITS), Command::Close, "memcached looks at 23 tokens");
    assert_replies(
        &LIMITS,
        &[
            ("GET HTTP/1.1 x", ERROR),
            ("HTTP/1.1", ERROR),
            (" HTTP/1.1", ERROR),
            ("GET / http/1.1", ERROR),
            ("bogus HTTP/1 noreply", SILENCE),
        ],
    );
    assert_eq!(parse(b"delete HTTP/1.1", &LIMITS), Command::Delete { key: b"HTTP/1.1", noreply: false });
}

#[test]
fn retrievals() {
    for (line, with_cas, touch, keys) in [
        ("get a", false, None, &["a"][..]),
        ("get  a   b ", false, None, &["a", "b"]),
        ("get b a b", false, None, &["b", "a", "b"]),
        ("gets a b", true, None, &["a", "b"]),
        ("gat 0 a b", false, Some(0), &["a", "b"]),
        ("gat -1 a", false, Some(-1), &["a"]),
        ("gats 0 a noreply", true, Some(0), &["a", "noreply"]),
        // memcached refuses the time.
        ("gat 2147483648 a", false, Some(2_147_483_648), &["a"]),
        ("get noreply", false, None, &["noreply"]),
        ("get HTTP/1.1", false, None, &["HTTP/1.1"]),
        ("get k\0\t\u{7f}é\rz k\r", false, None, &["k\0\t\u{7f}é\rz", "k\r"]),
    ] {
        let Command::Get(get) = parse(line.as_bytes(), &LIMITS) else { panic!("no retrieval: {line:?}") };
        assert_eq!((get.with_cas, get.touch), (with_cas, touch.map(Exptime)), "{line:?}");
        assert!(get.keys.eq(keys.iter().map(|key| key.as_bytes())), "{line:?}");
    }
}

#[test]
fn retrievals_gone_wrong() {
    assert_replies(
        &LIMITS,
        &[
            ("get", BAD_FORMAT),
            ("get ", BAD_FORMAT),
            ("get   ", BAD_FORMAT),
            ("gets", BAD_FORMAT),
            ("gat", BAD_FORMAT),
            ("gat 0", BAD_FORMAT),
            ("gat 0 ", BAD_FORMAT),
            ("gat x", BAD_FORMAT),
            ("gat noreply", BAD_FORMAT),
            ("gat x k", INVALID_EXPTIME),
            ("gat +1 k", INVALID_EXPTIME),
            ("gat x {251}", INVALID_EXPTIME),
            // memcached ends these in two CR LF.
            ("gat 0 {251}", BAD_FORMAT),
            ("get {251}", BAD_FORMAT),
            ("get a {251} b", BAD_FORMAT),
            ("gets a b {251}", BAD_FORMAT),
        ],
    );
}

#[test]
fn a_retrieval_may_have_any_number_of_keys() {
    let line = format!("get {}", "k ".repeat(20_000));
    let Command::Get(get) = parse(line.as_bytes(), &LIMITS) else { panic!("no retrieval") };
    assert_eq!(get.keys.count(), 20_000);

    let line = format!("{line}{}", "k".repeat(251));
    assert_eq!(parse(line.as_bytes(), &LIMITS), Command::Reply(BAD_FORMAT), "one bad key spoils all");

    let line = format!("gets {0} {0}", "k".repeat(250));
    let Command::Get(get) = parse(line.as_bytes(), &LIMITS) else { panic!("no retrieval") };
    assert!(get.keys.eq([[b'k'; 250], [b'k'; 250]]), "the longest key, twice");
}

#[test]
fn storage_commands() {
    use StoreVerb::*;
    let k = store(Set, "k");
    assert_commands(
        &LIMITS,
        &[
            ("set k 0 0 2", Command::Store(k)),
            ("add k 0 0 2", Command::Store(store(Add, "k"))),
            ("replace k 0 0 2", Command::Store(store(Replace, "k"))),
            ("append k 0 0 2", Command::Store(store(Append, "k"))),
            ("prepend k 0 0 2", Command::Store(store(Prepend, "k"))),
            ("cas k 0 0 2 7", Command::Store(StoreCommand { cas: 7, ..store(Cas, "k") })),
            (
                "cas k 0 0 2 18446744073709551615 junk noreply",
                Command::Store(StoreCommand { cas: u64::MAX, noreply: true, ..store(Cas, "k") }),
            ),
            ("set  k   0  0   2  ", Command::Store(k)),
            ("set k 0 0 2 noreply", Command::Store(StoreCommand { noreply: true, ..k })),
            ("set k 0 0 2 junk noreply ", Command::Store(StoreCommand { noreply: true, ..k })),
            ("set k 0 0 2 noreply more", Command::Store(k)),
            ("set k 0 0 2 noreplyx", Command::Store(k)),
            ("set noreply 0 0 2", Command::Store(store(Set, "noreply"))),
            ("set k 4294967295 0 2", Command::Store(StoreCommand { flags: u32::MAX, ..k })),
            ("set k +1 +60 02", Command::Store(StoreCommand { flags: 1, exptime: Exptime(60), ..k })),
            ("set k \t1 60\t 2", Command::Store(StoreCommand { flags: 1, exptime: Exptime(60), ..k })),
            ("set k -0 -1 2", Command::Store(StoreCommand { exptime: Exptime(-1), ..k })),
            ("set k 0 0 -0", Command::Store(StoreCommand { len: 0, ..k })),
            ("set k 0 0 2147483645", Command::Store(StoreCommand { len: VALUE_LEN_MAX, ..k })),
            // memcached keeps the low 32 bits of these.
            ("set k 0 2147483648 2", Command::Store(StoreCommand { exptime: Exptime(1 << 31), ..k })),
            ("set k 0 4294967296 2", Command::Store(StoreCommand { exptime: Exptime(1 << 32), ..k })),
            (
                "set k 0 9223372036854775807 2",
                Command::Store(StoreCommand { exptime: Exptime(i64::MAX), ..k }),
            ),
        ],
    );
    let longest = line("set {250} 0 0 2");
    let key = &longest[4..254];
    assert_eq!(parse(longest.as_bytes(), &LIMITS), Command::Store(store(Set, key)));
}

#[test]
fn storage_commands_without_a_length_keep_their_data() {
    assert_replies(
        &LIMITS,
        &[
            ("set", BAD_FORMAT),
            ("set k", BAD_FORMAT),
            ("set k 0 0", BAD_FORMAT),
            ("cas k 0 0", BAD_FORMAT),
            ("set k 0 0 noreply", BAD_FORMAT),
            ("set k 0 0 x", BAD_FORMAT),
            ("set k 0 0 +2", BAD_FORMAT),
            ("set k 0 0 -1", BAD_FORMAT),
            ("set k 0 0 -1 noreply", BAD_FORMAT),
            ("set k 0 0 2x", BAD_FORMAT),
            ("set k 0 0 2\r", BAD_FORMAT),
            ("set k 0 0 2noreply", BAD_FORMAT),
            ("set k 0 0 2147483646", BAD_FORMAT),
            ("set k 0 0 4294967298", BAD_FORMAT),
            ("set k 0 0 99999999999999999999", BAD_FORMAT),
            // memcached takes it for 0.
            ("set k 0 0 -", BAD_FORMAT),
        ],
    );
}

#[test]
fn storage_commands_with_a_length_swallow_their_data() {
    assert_swallows(&[
        ("set {251} 0 0 2", BAD_FORMAT),
        ("set {251} 0 0 2 noreply", SILENCE),
        ("set k x 0 2", BAD_FORMAT),
        ("set k 1x 0 2", BAD_FORMAT),
        ("set k -1 0 2", BAD_FORMAT),
        ("set k 0 x 2", BAD_FORMAT),
        ("set k 0 x 2 noreply", SILENCE),
        ("set k 0 9223372036854775808 2", BAD_FORMAT),
        ("set k 0 -9223372036854775809 2", BAD_FORMAT),
        ("set k 18446744073709551616 0 2", BAD_FORMAT),
        ("cas k 0 0 2", BAD_FORMAT),
        ("cas k 0 0 2 x", BAD_FORMAT),
        ("cas k 0 0 2 -1", BAD_FORMAT),
        ("cas k 0 0 2 +1", BAD_FORMAT),
        ("cas k 0 0 2 18446744073709551616", BAD_FORMAT),
        ("cas k 0 0 2 noreply", SILENCE),
        // memcached keeps the low 32 bits of the first, and takes the others for 0.
        ("set k 4294967296 0 2", BAD_FORMAT),
        ("set k \t 0 2", BAD_FORMAT),
        ("set k 0\tx 0 2", BAD_FORMAT),
    ]);
    let longest = Command::ReplyAndSkip { text: BAD_FORMAT, skip: 2_147_483_647 };
    assert_eq!(parse(b"set k x 0 2147483645", &LIMITS), longest);
}

#[test]
fn arithmetic() {
    let key = b"k";
    assert_commands(
        &LIMITS,
        &[
            ("incr k 1", Command::Arith { key, delta: 1, increment: true, noreply: false }),
            ("decr k 0", Command::Arith { key, delta: 0, increment: false, noreply: false }),
            ("incr k 5 junk", Command::Arith { key, delta: 5, increment: true, noreply: false }),
            ("incr k 5 noreply", Command::Arith { key, delta: 5, increment: true, noreply: true }),
            (
                "decr k 0018446744073709551615",
                Command::Arith { key, delta: u64::MAX, increment: false, noreply: false },
            ),
        ],
    );
    assert_replies(
        &LIMITS,
        &[
            ("incr", BAD_FORMAT),
            ("decr k", BAD_FORMAT),
            ("incr noreply", BAD_FORMAT),
            ("incr k x", INVALID_DELTA),
            ("incr k -1", INVALID_DELTA),
            ("decr k +1", INVALID_DELTA),
            ("incr k 18446744073709551616", INVALID_DELTA),
            ("incr k x noreply", SILENCE),
            ("incr k noreply", SILENCE),
            ("incr {251} x", BAD_FORMAT),
            ("incr {251} 1 noreply", SILENCE),
        ],
    );
}

#[test]
fn touches_and_deletes() {
    let key = b"k";
    assert_commands(
        &LIMITS,
        &[
            ("touch k 60", Command::Touch { key, exptime: Exptime(60), noreply: false }),
            ("touch k -0 x y", Command::Touch { key, exptime: Exptime(0), noreply: false }),
            ("touch k -5 noreply", Command::Touch { key, exptime: Exptime(-5), noreply: true }),
            // memcached refuses the time.
            ("touch k 2147483648", Command::Touch { key, exptime: Exptime(1 << 31), noreply: false }),
            ("delete k", Command::Delete { key, noreply: false }),
            ("delete k 0", Command::Delete { key, noreply: false }),
            ("delete k 5 6 7", Command::Delete { key, noreply: false }),
            ("delete k  noreply  ", Command::Delete { key, noreply: true }),
            ("delete noreply", Command::Delete { key: b"noreply", noreply: true }),
        ],
    );
    let many = format!("incr k 1 {}noreply", "a ".repeat(30));
    let expected = Command::Arith { key, delta: 1, increment: true, noreply: true };
    assert_eq!(parse(many.as_bytes(), &LIMITS), expected, "memcached looks at 23 tokens");
    assert_eq!(parse(b"delete k 1 2 3 4", &LIMITS), Command::Reply(BAD_FORMAT));
    assert_replies(
        &LIMITS,
        &[
            ("touch", BAD_FORMAT),
            ("touch k", BAD_FORMAT),
            ("touch noreply", BAD_FORMAT),
            ("touch k x", INVALID_EXPTIME),
            ("touch k +1", INVALID_EXPTIME),
            ("touch k x noreply", SILENCE),
            ("touch k noreply", SILENCE),
            ("touch {251} 0", BAD_FORMAT),
            ("touch {251} x", BAD_FORMAT),
            ("touch {251} 0 noreply", SILENCE),
            // memcached takes it for 0.
            ("touch k -", INVALID_EXPTIME),
            ("delete", BAD_FORMAT),
            ("delete ", BAD_FORMAT),
            ("delete {251}", BAD_FORMAT),
            ("delete {251} noreply", SILENCE),
        ],
    );
}

#[test]
fn flushes() {
    assert_commands(
        &LIMITS,
        &[
            ("flush_all", Command::FlushAll { exptime: Exptime(0), noreply: false }),
            ("flush_all noreply", Command::FlushAll { exptime: Exptime(0), noreply: true }),
            ("flush_all 0 noreply", Command::FlushAll { exptime: Exptime(0), noreply: true }),
            ("flush_all 10", Command::FlushAll { exptime: Exptime(10), noreply: false }),
            ("flush_all -1", Command::FlushAll { exptime: Exptime(-1), noreply: false }),
            ("flush_all 7 x", Command::FlushAll { exptime: Exptime(7), noreply: false }),
        ],
    );
    assert_replies(
        &LIMITS,
        &[
            ("flush_all x", INVALID_EXPTIME),
            ("flush_all 5x", INVALID_EXPTIME),
            ("flush_all noreply 0", INVALID_EXPTIME),
            ("flush_all noreply noreply", SILENCE),
            ("flush_all x noreply", SILENCE),
        ],
    );
    assert_replies(
        &Limits { flush_allowed: false, ..LIMITS },
        &[
            ("flush_all", FLUSH_NOT_ALLOWED),
            ("flush_all x", FLUSH_NOT_ALLOWED),
            ("flush_all noreply", SILENCE),
        ],
    );
}

#[test]
fn administration() {
    assert_commands(
        &LIMITS,
        &[
            ("version", Command::Version),
            ("version foo noreply", Command::Version),
            ("quit", Command::Quit),
            ("quit foo", Command::Quit),
            ("verbosity 1", Command::Verbosity { level: 1, noreply: false }),
            ("verbosity 1 2 3", Command::Verbosity { level: 1, noreply: false }),
            ("verbosity 4294967295 noreply", Command::Verbosity { level: u32::MAX, noreply: true }),
            ("stats", Command::Stats { args: b"" }),
            ("stats  ", Command::Stats { args: b"" }),
            ("stats  detail  on ", Command::Stats { args: b"detail  on" }),
            ("stats noreply", Command::Stats { args: b"noreply" }),
        ],
    );
    assert_replies(
        &LIMITS,
        &[
            ("verbosity", BAD_FORMAT),
            ("verbosity  ", BAD_FORMAT),
            ("verbosity x", BAD_FORMAT),
            ("verbosity -1", BAD_FORMAT),
            ("verbosity 4294967296", BAD_FORMAT),
            ("verbosity noreply", SILENCE),
            ("verbosity x noreply", SILENCE),
        ],
    );
}

#[test]
fn shutdown_answers_only_when_it_does_not_happen() {
    assert_replies(
        &LIMITS,
        &[
            ("shutdown", SHUTDOWN_NOT_ENABLED),
            ("shutdown x", SHUTDOWN_NOT_ENABLED),
            ("shutdown graceful x", SHUTDOWN_NOT_ENABLED),
            ("shutdown graceful noreply", SILENCE),
        ],
    );
    let allowed = Limits { shutdown_allowed: true, ..LIMITS };
    assert_commands(
        &allowed,
        &[
            ("shutdown", Command::Shutdown { graceful: false }),
            ("shutdown graceful", Command::Shutdown { graceful: true }),
        ],
    );
    assert_replies(
        &allowed,
        &[
            ("shutdown x", INVALID_SHUTDOWN_MODE),
            ("shutdown graceful x", INVALID_SHUTDOWN_MODE),
            ("shutdown noreply", SILENCE),
            // memcached takes any start of the word.
            ("shutdown g", INVALID_SHUTDOWN_MODE),
        ],
    );
}
