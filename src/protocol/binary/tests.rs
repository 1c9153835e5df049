//! Requests byte by byte: every opcode well formed, and every way in which one can be wrong.

use super::opcode::*;
use super::*;
use crate::protocol::exptime::Exptime;

const LIMITS: BinaryLimits = BinaryLimits { key_len_max: 250, flush_allowed: true, auth: BinaryAuth::Off };
const OPAQUE: [u8; 4] = *b"\xde\xad\xbe\xef";

fn tag(opcode: u8) -> Tag {
    Tag { opcode, opaque: OPAQUE }
}

/// A request whose lengths are what they say they are.
fn request(opcode: u8, extras: &[u8], key: &[u8], value: &[u8], cas: u64) -> Vec<u8> {
    let body_len = (extras.len() + key.len() + value.len()) as u32;
    [&header(opcode, extras.len() as u8, key.len() as u16, body_len, cas)[..], extras, key, value].concat()
}

fn header(opcode: u8, extras_len: u8, key_len: u16, body_len: u32, cas: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&[MAGIC_REQUEST, opcode]);
    header[2..4].copy_from_slice(&key_len.to_be_bytes());
    header[4] = extras_len;
    // Data type and vbucket mean nothing.
    header[5..8].copy_from_slice(b"\x01\x02\x03");
    header[8..12].copy_from_slice(&body_len.to_be_bytes());
    header[12..16].copy_from_slice(&OPAQUE);
    header[16..].copy_from_slice(&cas.to_be_bytes());
    header
}

fn refused<'a>(opcode: u8, status: Status, then: Then) -> BinaryFrame<'a> {
    BinaryFrame::Refuse { tag: tag(opcode), status, then }
}

#[track_caller]
fn is(input: &[u8], command: BinaryCommand<'_>, value_len: u32) {
    let used = input.len() - value_len as usize;
    let expected = BinaryRequest { tag: tag(input[1]), command, used, value_len };
    assert_eq!(frame(input, &LIMITS), BinaryFrame::Request(expected));
}

#[track_caller]
fn is_refused(input: &[u8], limits: &BinaryLimits, status: Status, then: Then) {
    assert_eq!(frame(input, limits), refused(input[1], status, then));
}

const STORES: [(u8, u8, BinaryVerb); 3] =
    [(SET, SETQ, BinaryVerb::Set), (ADD, ADDQ, BinaryVerb::Add), (REPLACE, REPLACEQ, BinaryVerb::Replace)];
const EXTENDS: [(u8, u8, BinaryVerb); 2] =
    [(APPEND, APPENDQ, BinaryVerb::Append), (PREPEND, PREPENDQ, BinaryVerb::Prepend)];

#[test]
fn retrievals_are_read() {
    let key = b"key";
    for opcode in [GET, GETQ, GETK, GETKQ] {
        is(&request(opcode, b"", key, b"", 0), BinaryCommand::Get { key }, 0);
    }
    for opcode in [GAT, GATQ, GATK, GATKQ] {
        let gat = BinaryCommand::Gat { key, exptime: Exptime(0x0102_0304) };
        is(&request(opcode, b"\x01\x02\x03\x04", key, b"", 0), gat, 0);
    }
    let touch = BinaryCommand::Touch { key, exptime: Exptime(0xffff_ffff) };
    is(&request(TOUCH, &[0xff; 4], key, b"", 0), touch, 0);
}

#[test]
fn storage_is_read_without_its_value() {
    let key = b"key";
    for (loud, quiet, verb) in STORES {
        for opcode in [loud, quiet] {
            let exptime = Exptime(100);
            let store = BinaryCommand::Store { verb, key, flags: 0xdead_beef, exptime, cas: u64::MAX };
            is(&request(opcode, b"\xde\xad\xbe\xef\0\0\0\x64", key, b"value", u64::MAX), store, 5);
        }
    }
    for (loud, quiet, verb) in EXTENDS {
        for opcode in [loud, quiet] {
            let store = BinaryCommand::Store { verb, key, flags: 0, exptime: Exptime(0), cas: 7 };
            is(&request(opcode, b"", key, b"value", 7), store, 5);
            is(&request(opcode, b"", key, b"", 7), store, 0);
        }
    }
}

#[test]
fn a_value_need_not_be_there() {
    let whole = request(SET, &[0; 8], b"k", b"value", 0);
    let BinaryFrame::Request(with) = frame(&whole, &LIMITS) else { panic!("a request") };
    assert_eq!(frame(&whole[..with.used], &LIMITS), BinaryFrame::Request(with));
}

#[test]
fn arithmetic_is_read() {
    let key = b"n";
    let extras = [&5u64.to_be_bytes()[..], &100u64.to_be_bytes(), &60u32.to_be_bytes()].concat();
    let refusing = [&extras[..16], &[0xff; 4]].concat();
    for (opcode, increment) in
        [(INCREMENT, true), (INCREMENTQ, true), (DECREMENT, false), (DECREMENTQ, false)]
    {
        let exptime = Exptime(60);
        let arith = BinaryCommand::Arith { key, increment, delta: 5, initial: Some(100), exptime, cas: 9 };
        is(&request(opcode, &extras, key, b"", 9), arith, 0);
        let exptime = Exptime(0xffff_ffff);
        let arith = BinaryCommand::Arith { key, increment, delta: 5, initial: None, exptime, cas: 0 };
        is(&request(opcode, &refusing, key, b"", 0), arith, 0);
    }
}

#[test]
fn the_others_are_read() {
    is(&request(DELETE, b"", b"k", b"", 3), BinaryCommand::Delete { key: b"k", cas: 3 }, 0);
    is(&request(DELETEQ, b"", b"k", b"", 0), BinaryCommand::Delete { key: b"k", cas: 0 }, 0);
    for opcode in [FLUSH, FLUSHQ] {
        is(&request(opcode, b"", b"", b"", 0), BinaryCommand::Flush { exptime: Exptime(0) }, 0);
        is(&request(opcode, b"\0\0\0\x0a", b"", b"", 0), BinaryCommand::Flush { exptime: Exptime(10) }, 0);
    }
    is(&request(NOOP, b"", b"", b"", 0), BinaryCommand::Noop, 0);
    is(&request(VERSION, b"", b"", b"", 0), BinaryCommand::Version, 0);
    is(&request(QUIT, b"", b"", b"", 0), BinaryCommand::Quit, 0);
    is(&request(QUITQ, b"", b"", b"", 0), BinaryCommand::Quit, 0);
    is(&request(STAT, b"", b"", b"", 0), BinaryCommand::Stat { key: b"" }, 0);
    is(&request(STAT, b"", b"detail on", b"", 0), BinaryCommand::Stat { key: b"detail on" }, 0);
}

#[test]
fn less_than_header_extras_and_key_is_incomplete() {
    let whole = request(SET, &[0; 8], b"key", b"value", 0);
    let used = HEADER_LEN + 8 + 3;
    for len in 0..used {
        let needed = if len < HEADER_LEN { HEADER_LEN } else { used };
        assert_eq!(frame(&whole[..len], &LIMITS), BinaryFrame::Incomplete { needed }, "{len}");
    }
}

#[test]
fn another_magic_closes() {
    for magic in [0x00, b'g', 0x7f, 0x81, 0xff] {
        let mut input = request(NOOP, b"", b"", b"", 0);
        input[0] = magic;
        assert_eq!(frame(&input, &LIMITS), BinaryFrame::Close);
        assert_eq!(frame(&input[..1], &LIMITS), BinaryFrame::Close);
    }
}

#[test]
fn lying_lengths_are_refused_by_the_header_alone() {
    for (extras_len, key_len, body_len, status) in [
        (0, 4, 3, Status::UnknownCommand),
        (8, 4, 11, Status::UnknownCommand),
        (255, 65_535, 0, Status::UnknownCommand),
        (255, 65_535, u32::MAX, Status::Invalid),
        (8, 1, BODY_LEN_MAX + 1, Status::Invalid),
        (8, 251, 300, Status::Invalid),
        (8, 65_535, 100_000, Status::Invalid),
    ] {
        // The opcode is looked at later.
        for opcode in [SET, 0x1b, 0xff] {
            is_refused(&header(opcode, extras_len, key_len, body_len, 0), &LIMITS, status, Then::Close);
        }
    }
}

#[test]
fn the_largest_lengths_are_read() {
    let key = [b'k'; 250];
    let input = [&header(SET, 8, 250, BODY_LEN_MAX, 0)[..], &[0; 8], &key].concat();
    let BinaryFrame::Request(request) = frame(&input, &LIMITS) else { panic!("a request") };
    assert_eq!((request.used, request.value_len), (HEADER_LEN + 258, BODY_LEN_MAX - 258));
}

/// Opcodes, the length of the extras, key, value.
type Shape<'a> = (&'a [u8], usize, &'a [u8], &'a [u8]);

#[test]
fn what_an_opcode_does_not_have_is_refused() {
    let bad: [Shape<'_>; 24] = [
        (&[GET, GETQ, GETK, GETKQ, DELETE, DELETEQ], 0, b"", b""),
        (&[GET, GETQ, GETK, GETKQ, DELETE, DELETEQ], 4, b"k", b""),
        (&[GET, GETQ, GETK, GETKQ, DELETE, DELETEQ], 0, b"k", b"v"),
        (&[TOUCH, GAT, GATQ, GATK, GATKQ], 4, b"", b""),
        (&[TOUCH, GAT, GATQ, GATK, GATKQ], 0, b"k", b""),
        (&[TOUCH, GAT, GATQ, GATK, GATKQ], 5, b"k", b""),
        (&[TOUCH, GAT, GATQ, GATK, GATKQ], 4, b"k", b"v"),
        (&[SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ], 8, b"", b"v"),
        (&[SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ], 0, b"k", b"v"),
        (&[SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ], 7, b"k", b"v"),
        (&[SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ], 255, b"k", b"v"),
        (&[APPEND, APPENDQ, PREPEND, PREPENDQ], 0, b"", b"v"),
        (&[APPEND, APPENDQ, PREPEND, PREPENDQ], 8, b"k", b"v"),
        (&[INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ], 20, b"", b""),
        (&[INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ], 16, b"k", b""),
        (&[INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ], 20, b"k", b"v"),
        (&[FLUSH, FLUSHQ], 8, b"", b""),
        (&[FLUSH, FLUSHQ], 4, b"k", b""),
        (&[FLUSH, FLUSHQ], 4, b"", b"v"),
        (&[NOOP, VERSION, QUIT, QUITQ, SASL_LIST_MECHS], 0, b"k", b""),
        (&[NOOP, VERSION, QUIT, QUITQ, SASL_LIST_MECHS, STAT], 4, b"", b""),
        (&[NOOP, VERSION, QUIT, QUITQ, SASL_LIST_MECHS, STAT], 0, b"", b"v"),
        (&[SASL_AUTH, SASL_STEP], 0, b"", b"v"),
        (&[SASL_AUTH, SASL_STEP], 4, b"PLAIN", b"v"),
    ];
    for (opcodes, extras_len, key, value) in bad {
        for &opcode in opcodes {
            let input = request(opcode, &vec![0; extras_len], key, value, 0);
            is_refused(&input, &LIMITS, Status::Invalid, Then::Close);
        }
    }
}

#[test]
fn unknown_opcodes_are_skipped_whole() {
    let known = [0x00..=0x1a, 0x1c..=0x1e, 0x20..=0x24];
    for opcode in (0..=255).filter(|opcode| !known.iter().any(|known| known.contains(opcode))) {
        is_refused(&request(opcode, b"", b"", b"", 0), &LIMITS, Status::UnknownCommand, Then::Skip(24));
        let input = request(opcode, &[0; 4], b"key", b"value", 0);
        let expected = (Status::UnknownCommand, Then::Skip(input.len() as u64));
        is_refused(&input, &LIMITS, expected.0, expected.1);
        // Nothing behind the header is needed to say so.
        is_refused(&input[..HEADER_LEN], &LIMITS, expected.0, expected.1);
    }
}

#[test]
fn flush_can_be_forbidden() {
    let limits = BinaryLimits { flush_allowed: false, ..LIMITS };
    for opcode in [FLUSH, FLUSHQ] {
        is_refused(&request(opcode, &[0; 4], b"", b"", 0), &limits, Status::AuthError, Then::Skip(28));
    }
}

#[test]
fn without_authentication_its_requests_are_unknown() {
    is_refused(&request(SASL_LIST_MECHS, b"", b"", b"", 0), &LIMITS, Status::UnknownCommand, Then::Skip(24));
    for opcode in [SASL_AUTH, SASL_STEP] {
        let input = request(opcode, b"", b"PLAIN", b"\0u\0p", 0);
        is_refused(&input, &LIMITS, Status::UnknownCommand, Then::Skip(24 + 5 + 4));
    }
}

#[test]
fn a_stranger_may_only_authenticate() {
    let limits = BinaryLimits { auth: BinaryAuth::Required, ..LIMITS };
    for input in [
        request(GET, b"", b"k", b"", 0),
        request(NOOP, b"", b"", b"", 0),
        request(QUIT, b"", b"", b"", 0),
        request(STAT, b"", b"", b"", 0),
        request(SET, &[0; 8], b"k", b"v", 0),
        request(0x1b, b"", b"", b"", 0),
    ] {
        is_refused(&input, &limits, Status::AuthError, Then::Close);
    }
    for (input, expected) in [
        (request(VERSION, b"", b"", b"", 0), BinaryCommand::Version),
        (request(SASL_LIST_MECHS, b"", b"", b"", 0), BinaryCommand::SaslMechs),
        (request(SASL_AUTH, b"", b"PLAIN", b"data", 0), BinaryCommand::SaslAuth { mechanism: b"PLAIN" }),
        (request(SASL_STEP, b"", b"PLAIN", b"data", 0), BinaryCommand::SaslStep { mechanism: b"PLAIN" }),
    ] {
        let BinaryFrame::Request(request) = frame(&input, &limits) else { panic!("{input:?}") };
        assert_eq!(request.command, expected);
    }
    let known = BinaryLimits { auth: BinaryAuth::Given, ..LIMITS };
    let get = request(GET, b"", b"k", b"", 0);
    assert!(matches!(frame(&get, &known), BinaryFrame::Request(_)));
}

#[test]
fn authentication_has_its_own_limits() {
    let limits = BinaryLimits { auth: BinaryAuth::Required, ..LIMITS };
    for opcode in [SASL_AUTH, SASL_STEP] {
        let input = request(opcode, b"", &[b'M'; 33], b"data", 0);
        is_refused(&input, &limits, Status::Invalid, Then::Skip(24 + 33 + 4));
        let mechanism = [b'M'; 32];
        let input = request(opcode, b"", &mechanism, &[0; 1024], 0);
        assert!(matches!(frame(&input, &limits), BinaryFrame::Request(_)));
        let input = request(opcode, b"", &mechanism, &[0; 1025], 0);
        is_refused(&input, &limits, Status::OutOfMemory, Then::Skip(24 + 32 + 1025));
    }
}

#[test]
fn quiet_forms_leave_out_what_their_sender_expects() {
    let retrievals = [GETQ, GETKQ, GATQ, GATKQ];
    let changes = [SETQ, ADDQ, REPLACEQ, DELETEQ, INCREMENTQ, DECREMENTQ, QUITQ, FLUSHQ, APPENDQ, PREPENDQ];
    for opcode in 0..=255 {
        let tag = tag(opcode);
        let (retrieves, changes) = (retrievals.contains(&opcode), changes.contains(&opcode));
        assert_eq!(tag.is_quiet(), retrieves || changes, "{opcode:#x}");
        assert_eq!(tag.suppresses(Status::NotFound), retrieves, "{opcode:#x}");
        assert_eq!(tag.suppresses(Status::Ok), changes, "{opcode:#x}");
        for status in [Status::Exists, Status::TooLarge, Status::NotStored, Status::Invalid] {
            assert!(!tag.suppresses(status), "{opcode:#x}");
        }
        assert_eq!(tag.carries_key(), [GETK, GETKQ, GATK, GATKQ].contains(&opcode), "{opcode:#x}");
    }
}
