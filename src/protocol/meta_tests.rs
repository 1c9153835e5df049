//! What each meta line means, row by row. Answers were compared with a running memcached 1.6.45; where this server means
//! to differ the row says so.

use super::reply::text::*;
use super::*;

const LIMITS: Limits = Limits::DEFAULT;

/// `template` with `{250}` and `{251}` replaced by keys of that length, `{o31}` and `{o32}` by opaque tokens, and `{v19}`
/// by as many flags.
fn line(template: &str) -> String {
    let mut line = template.to_owned();
    for (name, text) in [("{250}", "k".repeat(250)), ("{251}", "k".repeat(251))] {
        line = line.replace(name, &text);
    }
    line = line.replace("{o31}", &"o".repeat(31)).replace("{o32}", &"o".repeat(32));
    (1..30).fold(line, |line, n| line.replace(&format!("{{v{n}}}"), &"v ".repeat(n)))
}

fn assert_replies(rows: &[(&str, &'static [u8])]) {
    for (template, text) in rows {
        assert_eq!(parse(line(template).as_bytes(), &LIMITS), Command::Reply(text), "{template:?}");
    }
}

/// Each `ms` is answered by its text, and two bytes of data and CR LF are swallowed.
fn assert_swallows(rows: &[(&str, &'static [u8])]) {
    for (template, text) in rows {
        let expected = Command::ReplyAndSkip { text, skip: 4 };
        assert_eq!(parse(line(template).as_bytes(), &LIMITS), expected, "{template:?}");
    }
}

/// The command of a good line; its key is checked.
fn command(line: &str) -> MetaCommand<'_> {
    let Command::Meta(command) = parse(line.as_bytes(), &LIMITS) else { panic!("no meta command: {line:?}") };
    let key = line.split(' ').filter(|token| !token.is_empty()).nth(1);
    assert_eq!(Some(command.key), key.map(str::as_bytes), "{line:?}");
    command
}

fn flags(line: &str) -> MetaFlags {
    command(line).flags
}

fn ordered(line: &str) -> String {
    flags(line).ordered().map(char::from).collect()
}

#[test]
fn verbs() {
    for (line, verb, len) in [
        ("mg a", MetaVerb::Get, 0),
        ("mg  a   v  k ", MetaVerb::Get, 0),
        ("ms a 2", MetaVerb::Set, 2),
        ("ms  a  02  s  ", MetaVerb::Set, 2),
        ("ms a 2147483645", MetaVerb::Set, VALUE_LEN_MAX),
        ("md a", MetaVerb::Delete, 0),
        ("ma a", MetaVerb::Arith, 0),
        ("me a", MetaVerb::Debug, 0),
    ] {
        let command = command(line);
        assert_eq!((command.verb, command.len), (verb, len), "{line:?}");
    }
    for line in ["mn", "mn ", "mn foo", "mn noreply"] {
        assert_eq!(parse(line.as_bytes(), &LIMITS), Command::MetaNoop, "{line:?}");
    }
    assert_replies(&[("mx a", ERROR), ("m", BAD_FORMAT), ("MG a", ERROR), ("mg\ta", ERROR), ("mga", ERROR)]);
}

#[test]
fn lines_that_cannot_be_read() {
    assert_replies(&[
        ("mg", BAD_FORMAT),
        ("mg  ", BAD_FORMAT),
        ("md", BAD_FORMAT),
        ("ma", BAD_FORMAT),
        ("me", BAD_FORMAT),
        ("ms", BAD_FORMAT),
        ("ms a", BAD_FORMAT),
        ("ms a S2", BAD_FORMAT),
        ("ms a x", BAD_FORMAT),
        ("ms a +2", BAD_FORMAT),
        ("ms a -1", BAD_FORMAT),
        ("ms a 2147483646", BAD_FORMAT),
        ("mg a !", BAD_FORMAT),
        ("mg a v v !", BAD_FORMAT),
        ("mg a é", BAD_FORMAT),
        ("md a @", BAD_FORMAT),
        ("ma a {", BAD_FORMAT),
        ("me a ~", BAD_FORMAT),
        ("ms a 2 !", BAD_FORMAT),
        ("ms {251} 2 v v !", BAD_FORMAT),
        // Only 23 tokens are looked at.
        ("mg a {v20}!", BAD_FORMAT),
        ("mg a {v21}!", TOO_MANY_FLAGS),
    ]);
}

#[test]
fn flaws_and_which_of_them_is_told() {
    let rows: &[(&str, &'static [u8])] = &[
        ("a [", INVALID_FLAG),
        ("a 1", INVALID_FLAG),
        ("a S3", INVALID_FLAG),
        ("a noreply", INVALID_FLAG),
        ("a v v", DUPLICATE_FLAG),
        ("a v S v", INVALID_FLAG),
        ("a v v S", DUPLICATE_FLAG),
        ("a C v v", DUPLICATE_FLAG),
        ("a L P Lx", DUPLICATE_FLAG),
        ("a C", BAD_TOKEN),
        ("a Cx", BAD_TOKEN),
        ("a C-1", BAD_TOKEN),
        ("a C18446744073709551616", BAD_TOKEN),
        ("a E", BAD_TOKEN),
        ("a N", BAD_TOKEN),
        ("a Tx", BAD_TOKEN),
        ("a T+1", BAD_TOKEN),
        ("a R", BAD_TOKEN),
        ("a D", INVALID_DELTA_VALUE),
        ("a J", INVALID_INITIAL_VALUE),
        ("a D J", INVALID_INITIAL_VALUE),
        ("a J D", INVALID_DELTA_VALUE),
        ("a J D C", BAD_TOKEN),
        ("a F", BAD_FORMAT),
        ("a Fx", BAD_FORMAT),
        ("a F4294967296", BAD_FORMAT),
        ("a F C", BAD_TOKEN),
        ("a C F", BAD_TOKEN),
        ("a b", UNDECODABLE_KEY),
        ("YQ= b", UNDECODABLE_KEY),
        ("a b C", BAD_TOKEN),
        ("a C b", UNDECODABLE_KEY),
        ("a O{o32}", OPAQUE_TOO_LONG),
        ("a q O{o32}", OPAQUE_TOO_LONG),
        ("a O{o32} C", BAD_TOKEN),
        ("a C O{o32}", BAD_TOKEN),
        ("a O O{o32}", DUPLICATE_FLAG),
        ("{251} v", BAD_FORMAT),
        ("{251} v v", BAD_FORMAT),
        ("{251} {v19}", BAD_FORMAT),
        ("a {v19}", TOO_MANY_FLAGS),
        // memcached takes a lone minus as 0.
        ("a T-", BAD_TOKEN),
    ];
    for (rest, text) in rows {
        assert_replies(&[(&format!("mg {rest}"), text), (&format!("md {rest}"), text)]);
        let masked = if *text == OPAQUE_TOO_LONG { text } else { INVALID_ARITH_FLAG };
        assert_replies(&[(&format!("ma {rest}"), masked)]);
        // The verb, the key and the length leave room for 17 flags.
        let (key, rest) = rest.split_once(' ').expect("a key");
        assert_swallows(&[(&format!("ms {key} 2 {rest}"), text)]);
    }
    assert_replies(&[("mg a {v18}", DUPLICATE_FLAG)]);
    assert_swallows(&[("ms a 2 {v17}", DUPLICATE_FLAG), ("ms a 2 {v18}", TOO_MANY_FLAGS)]);
}

#[test]
fn modes() {
    for (line, verb) in [
        ("ms a 2", StoreVerb::Set),
        ("ms a 2 MS", StoreVerb::Set),
        ("ms a 2 MEXTRA", StoreVerb::Add),
        ("ms a 2 MA", StoreVerb::Append),
        ("ms a 2 MP", StoreVerb::Prepend),
        ("ms a 2 MR", StoreVerb::Replace),
        ("ms a 2 C5", StoreVerb::Cas),
        ("ms a 2 MR C5", StoreVerb::Cas),
        ("ms a 2 C5 MS", StoreVerb::Cas),
        ("ms a 2 ME C5", StoreVerb::Add),
        ("ms a 2 MA C5", StoreVerb::Append),
    ] {
        assert_eq!(flags(line).store_verb(), verb, "{line:?}");
    }
    for (line, increment) in
        [("ma a", true), ("ma a MI", true), ("ma a M+", true), ("ma a MD", false), ("ma a M-x", false)]
    {
        assert_eq!(flags(line).increment(), increment, "{line:?}");
    }
    let (ms, ma) = (INVALID_STORE_MODE, INVALID_ARITH_MODE);
    assert_swallows(&[
        ("ms a 2 M", ms),
        ("ms a 2 Ms", ms),
        ("ms a 2 MI q", ms),
        ("ms a 2 M C", BAD_TOKEN),
        ("ms a 2 F M", BAD_FORMAT),
        ("ms a 2 O{o32} M", ms),
        ("ms a 2 M O{o32}", ms),
    ]);
    assert_replies(&[
        ("ma a M", ma),
        ("ma a Mi", ma),
        ("ma a MS", ma),
        ("ma a M C", INVALID_ARITH_FLAG),
        ("ma a M O{o32}", ma),
    ]);
    // Elsewhere a mode means nothing.
    for line in ["mg a M", "md a Mx"] {
        assert_eq!(command(line).flags.store_verb(), StoreVerb::Set, "{line:?}");
    }
}

#[test]
fn every_flag_is_read() {
    let none = flags("mg a");
    assert_eq!(none, MetaFlags::NONE);
    assert!(!none.quiet() && !none.base64_key() && !none.wants_value() && !none.no_bump());
    assert!(!none.invalidate() && !none.drop_value());
    assert_eq!((none.compare(), none.given_cas(), none.delta(), none.initial()), (None, None, 1, 0));
    assert_eq!((none.touch(), none.vivify(), none.recache()), (None, None, None));
    assert_eq!((none.client_flags(), none.opaque(), none.ordered().count()), (0, &b""[..], 0));

    let all = flags("mg YQ== b q v u I x C1 E2 D3 J4 T-5 N6 R7 F8 MX Ot");
    assert!(all.quiet() && all.base64_key() && all.wants_value() && all.no_bump());
    assert!(all.invalidate() && all.drop_value());
    assert_eq!((all.compare(), all.given_cas(), all.delta(), all.initial()), (Some(1), Some(2), 3, 4));
    assert_eq!(all.touch(), Some(Exptime(-5)));
    assert_eq!((all.vivify(), all.recache()), (Some(Exptime(6)), Some(Exptime(7))));
    assert_eq!((all.client_flags(), all.opaque()), (8, &b"t"[..]));

    let most = flags("ma a C18446744073709551615 E0 D0 T9223372036854775807 F4294967295 Lead P");
    assert_eq!((most.compare(), most.given_cas(), most.delta()), (Some(u64::MAX), Some(0), 0));
    assert_eq!((most.touch(), most.client_flags()), (Some(Exptime(i64::MAX)), u32::MAX));
}

#[test]
fn letters_whose_order_matters_are_kept_in_order() {
    for (line, expected) in [
        ("mg a v q s t u f c h l k O1", "stfchlkO"),
        ("mg a t T1 N2 R3", "tTNR"),
        ("mg a R3 O k c f h l s t T1 N2", "ROkcfhlstTN"),
        ("ms a 2 t f h l k O1 c s T1 N1 v", "kOcs"),
        ("md a c t k T1 O1", "kO"),
        ("ma a s f T1 t k c N1 R1 O v", "TtkcNO"),
        ("me a k O1", ""),
    ] {
        assert_eq!(ordered(line), expected, "{line:?}");
    }
}

#[test]
fn opaque_tokens_are_31_bytes_at_most() {
    assert_eq!(flags("mg a O").opaque(), b"");
    assert_eq!(flags(&line("mg a O{o31}")).opaque(), [b'o'; 31]);
    assert_eq!(flags("mg a O\t{\u{7f}").opaque(), b"\t{\x7f");
}

#[test]
fn keys() {
    assert_eq!(command(&line("mg {250}")).key.len(), 250);
    assert_eq!(command("mg \ta\0 k").key, b"\ta\0");
    let text = "A".repeat(248);
    let set = format!("ms {text} 2 b");
    let mut room = [0; 192];
    assert_eq!(decode_key(command(&set).key, &mut room), Some(&[0; 186][..]));
    // What differs is told: memcached skips bytes that are no base64.
    assert_replies(&[("mg Y!Q== b", UNDECODABLE_KEY)]);
}

#[test]
fn debug_reads_its_key_and_one_flag() {
    assert!(!command("me YQ==").flags.base64_key());
    // memcached needs another token behind the b.
    assert!(command("me YQ== b").flags.base64_key());
    assert!(command("me YQ== b x").flags.base64_key());
    assert!(!command("me YQ== bx").flags.base64_key());
    assert!(!command("me a v b v S").flags.base64_key());
    assert_replies(&[("me {251}", BAD_FORMAT), ("me a b", BAD_FORMAT), ("me a b b", BAD_FORMAT)]);
}
