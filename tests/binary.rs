//! The binary protocol: every opcode, quiet and loud, and CAS on everything. How requests are told apart is in `framing`.

pub mod client;
mod framing;

use crate::harness::{Server, wait_for};
use client::{Answer, Client, expect_closed, request};
use ringcached::protocol::binary::{Status, opcode::*};

/// Extras of storage: flags 0xdeadbeef, no expiration time.
const FLAGS: &[u8] = b"\xde\xad\xbe\xef\0\0\0\0";
/// The flags in an answer.
const FLAGS_BACK: &[u8] = b"\xde\xad\xbe\xef";
/// Extras of storage: neither flags nor time.
const PLAIN: &[u8] = &[0; 8];
/// An absolute time in January 1970.
const LONG_AGO: [u8; 4] = 2_592_001u32.to_be_bytes();
const FAR_FUTURE: [u8; 4] = [0xff; 4];
const NO_TIME: [u8; 4] = [0; 4];
/// Enough for any connection to meet keys of every shard.
const KEYS: [&[u8]; 8] = [b"a", b"b", b"key-3", b"key-4", b"a fifth key", b"\0\x80\r\n", b"g", b"h"];

on_shards! {
    storing_and_getting
    misses
    extending
    deleting
    counting
    counting_from_nothing
    cas_guards_everything
    touching
    expiration_times
    quiet_forms_in_a_pipeline
    quiet_forms_tell_what_went_wrong
    small_requests
    flushing
    reports
}

/// Runs `conversation` on a fresh server, once on each of `shards` + 1 connections open together, so that its keys are met
/// both at home and from other shards. The store is flushed in between.
fn converse(shards: u32, conversation: impl Fn(&mut Client)) {
    let server = Server::start(shards, &[]);
    let clients: Vec<_> = (0..=shards).map(|_| Client::new(&server)).collect();
    for mut client in clients {
        conversation(&mut client);
        client.ask(request(FLUSH, b"", b"", b"", 0)).is(Status::Ok, b"", b"", b"");
        client.finish();
    }
}

fn arith(opcode: u8, key: &[u8], delta: u64, initial: u64, exptime: [u8; 4], cas: u64) -> Vec<u8> {
    let extras = [&delta.to_be_bytes()[..], &initial.to_be_bytes(), &exptime].concat();
    request(opcode, &extras, key, b"", cas)
}

fn get(key: &[u8]) -> Vec<u8> {
    request(GET, b"", key, b"", 0)
}

fn storing_and_getting(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            let cas = client.store(request(SET, FLAGS, key, b"one", 0));
            let hit = client.ask(get(key));
            assert_eq!(hit.is(Status::Ok, FLAGS_BACK, b"", b"one"), cas);
            let hit = client.ask(request(GETK, b"", key, b"", 0));
            assert_eq!(hit.is(Status::Ok, FLAGS_BACK, key, b"one"), cas);
            client.fails(request(ADD, PLAIN, key, b"two", 0), Status::Exists);
            let replaced = client.store(request(REPLACE, PLAIN, key, b"", 0));
            assert_ne!(replaced, cas);
            assert_eq!(client.ask(get(key)).is(Status::Ok, &[0; 4], b"", b""), replaced);
            client.ask(request(DELETE, b"", key, b"", 0)).is(Status::Ok, b"", b"", b"");
            client.fails(request(REPLACE, PLAIN, key, b"three", 0), Status::NotFound);
            client.store(request(ADD, FLAGS, key, b"four", 0));
            client.ask(get(key)).is(Status::Ok, FLAGS_BACK, b"", b"four");
        }
    });
}

fn misses(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            client.fails(get(key), Status::NotFound);
            client.ask(request(GETK, b"", key, b"", 0)).is(Status::NotFound, b"", key, b"");
            client.fails(request(GAT, &NO_TIME, key, b"", 0), Status::NotFound);
            client.ask(request(GATK, &NO_TIME, key, b"", 0)).is(Status::NotFound, b"", key, b"");
            client.fails(request(TOUCH, &NO_TIME, key, b"", 0), Status::NotFound);
            client.fails(request(DELETE, b"", key, b"", 0), Status::NotFound);
            client.fails(request(APPEND, b"", key, b"x", 0), Status::NotStored);
            client.fails(request(PREPEND, b"", key, b"x", 0), Status::NotStored);
        }
    });
}

fn extending(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            client.store(request(SET, FLAGS, key, b"middle", 0));
            client.store(request(APPEND, b"", key, b"-end", 0));
            client.store(request(PREPEND, b"", key, b"start-", 0));
            let cas = client.store(request(APPEND, b"", key, b"", 0));
            let hit = client.ask(get(key));
            assert_eq!(hit.is(Status::Ok, FLAGS_BACK, b"", b"start-middle-end"), cas);
        }
    });
}

fn deleting(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            client.store(request(SET, PLAIN, key, b"x", 0));
            let cas = client.ask(request(DELETE, b"", key, b"", 0)).is(Status::Ok, b"", b"", b"");
            assert_eq!(cas, 0);
            client.fails(request(DELETE, b"", key, b"", 0), Status::NotFound);
            client.fails(get(key), Status::NotFound);
        }
    });
}

fn counting(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            client.store(request(SET, FLAGS, key, b"10", 0));
            let mut expect = |opcode, delta, value: u64| {
                let answer = client.ask(arith(opcode, key, delta, 0, NO_TIME, 0));
                assert_ne!(answer.is(Status::Ok, b"", b"", &value.to_be_bytes()), 0);
            };
            expect(INCREMENT, 5, 15);
            expect(DECREMENT, 6, 9);
            expect(DECREMENT, 10, 0);
            expect(INCREMENT, u64::MAX, u64::MAX);
            expect(INCREMENT, 2, 1);
            // The item keeps its length; flags stay.
            client.ask(get(key)).is(Status::Ok, FLAGS_BACK, b"", b"1                   ");
            client.store(request(SET, PLAIN, key, b"ten", 0));
            client.fails(arith(INCREMENT, key, 1, 7, NO_TIME, 0), Status::NonNumeric);
            client.fails(arith(DECREMENT, key, 1, 7, NO_TIME, 0), Status::NonNumeric);
        }
    });
}

fn counting_from_nothing(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            for opcode in [INCREMENT, DECREMENT] {
                client.fails(arith(opcode, key, 1, 7, FAR_FUTURE, 0), Status::NotFound);
                client.fails(get(key), Status::NotFound);
                let created = client.ask(arith(opcode, key, 1, u64::MAX, NO_TIME, 0));
                let cas = created.is(Status::Ok, b"", b"", &u64::MAX.to_be_bytes());
                let hit = client.ask(get(key));
                assert_eq!(hit.is(Status::Ok, &[0; 4], b"", b"18446744073709551615"), cas);
                client.ask(request(DELETE, b"", key, b"", 0)).is(Status::Ok, b"", b"", b"");
                // The time is that of what is created, and only then of any effect.
                let created = client.ask(arith(opcode, key, 1, 5, LONG_AGO, 0));
                created.is(Status::Ok, b"", b"", &5u64.to_be_bytes());
                client.fails(get(key), Status::NotFound);
                client.store(request(SET, PLAIN, key, b"5", 0));
                client.ask(arith(opcode, key, 0, 9, LONG_AGO, 0)).is(
                    Status::Ok,
                    b"",
                    b"",
                    &[0, 0, 0, 0, 0, 0, 0, 5],
                );
                client.ask(get(key)).is(Status::Ok, &[0; 4], b"", b"5");
                client.ask(request(DELETE, b"", key, b"", 0)).is(Status::Ok, b"", b"", b"");
            }
        }
    });
}

fn cas_guards_everything(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            for (opcode, status) in
                [(SET, Status::NotFound), (ADD, Status::NotFound), (REPLACE, Status::NotFound)]
            {
                client.fails(request(opcode, PLAIN, key, b"1", 77), status);
            }
            client.fails(request(APPEND, b"", key, b"1", 77), Status::NotStored);
            client.fails(request(PREPEND, b"", key, b"1", 77), Status::NotStored);
            client.fails(request(DELETE, b"", key, b"", 77), Status::NotFound);
            // Nothing is guarded where nothing is: the number is created.
            let created = client.ask(arith(INCREMENT, key, 1, 1, NO_TIME, 77));
            let mut cas = created.is(Status::Ok, b"", b"", &1u64.to_be_bytes());
            for opcode in [SET, ADD, REPLACE] {
                client.fails(request(opcode, PLAIN, key, b"2", cas + 1_000_000), Status::Exists);
                cas = client.store(request(opcode, PLAIN, key, b"2", cas));
            }
            for opcode in [APPEND, PREPEND] {
                client.fails(request(opcode, b"", key, b"3", cas + 1_000_000), Status::Exists);
                cas = client.store(request(opcode, b"", key, b"3", cas));
            }
            for (opcode, value) in [(INCREMENT, 324u64), (DECREMENT, 323)] {
                client.fails(arith(opcode, key, 1, 0, NO_TIME, cas + 1_000_000), Status::Exists);
                cas = client.ask(arith(opcode, key, 1, 0, NO_TIME, cas)).is(
                    Status::Ok,
                    b"",
                    b"",
                    &value.to_be_bytes(),
                );
            }
            client.fails(request(DELETE, b"", key, b"", cas + 1_000_000), Status::Exists);
            // A retrieval takes no notice of it.
            assert_eq!(client.ask(request(GET, b"", key, b"", 1)).is(Status::Ok, &[0; 4], b"", b"323"), cas);
            client.ask(request(DELETE, b"", key, b"", cas)).is(Status::Ok, b"", b"", b"");
            client.fails(get(key), Status::NotFound);
        }
    });
}

fn touching(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            let cas = client.store(request(SET, FLAGS, key, b"value", 0));
            let touched = client.ask(request(TOUCH, &FAR_FUTURE, key, b"", 0));
            assert_eq!(touched.is(Status::Ok, FLAGS_BACK, b"", b""), cas);
            let hit = client.ask(request(GAT, &NO_TIME, key, b"", 0));
            assert_eq!(hit.is(Status::Ok, FLAGS_BACK, b"", b"value"), cas);
            let hit = client.ask(request(GATK, &[0, 0, 0, 100], key, b"", 0));
            assert_eq!(hit.is(Status::Ok, FLAGS_BACK, key, b"value"), cas);
            // The value goes out once more, though its time is over now.
            client.ask(request(GAT, &LONG_AGO, key, b"", 0)).is(Status::Ok, FLAGS_BACK, b"", b"value");
            client.fails(get(key), Status::NotFound);
            client.store(request(SET, FLAGS, key, b"value", 0));
            client.ask(request(TOUCH, &LONG_AGO, key, b"", 0)).is(Status::Ok, FLAGS_BACK, b"", b"");
            client.fails(get(key), Status::NotFound);
        }
    });
}

fn expiration_times(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    for (exptime, alive) in [
        (NO_TIME, true),
        (2_592_000u32.to_be_bytes(), true),
        (LONG_AGO, false),
        // Unsigned: what would be over in the text protocol is a day in 2038, and one in 2106.
        (0x8000_0000u32.to_be_bytes(), true),
        (FAR_FUTURE, true),
    ] {
        for key in KEYS {
            client.store(request(SET, &[&[0; 4], &exptime[..]].concat(), key, b"x", 0));
            let status = client.ask(get(key)).status;
            assert_eq!(status == Status::Ok as u16, alive, "{exptime:?}");
        }
    }
    client.store(request(SET, b"\0\0\0\0\0\0\0\x01", b"brief", b"x", 0));
    client.ask(arith(INCREMENT, b"brief number", 1, 1, [0, 0, 0, 1], 0)).is(
        Status::Ok,
        b"",
        b"",
        &1u64.to_be_bytes(),
    );
    for key in [&b"brief"[..], b"brief number"] {
        wait_for("an item of one second to go", || {
            (client.ask(get(key)).status == Status::NotFound as u16).then_some(())
        });
    }
    client.finish();
}

/// What is quiet about success answers nothing, hits answer in order, and the NOOP says that all are through.
fn quiet_forms_in_a_pipeline(shards: u32) {
    converse(shards, |client| {
        let mut requests = Vec::new();
        for (i, key) in KEYS.iter().enumerate() {
            let number = [key, &b"-number"[..]].concat();
            for quiet in [
                request(SETQ, FLAGS, key, b"b", 0),
                request(ADDQ, PLAIN, &number, b"41", 0),
                request(REPLACEQ, FLAGS, key, b"bb", 0),
                request(APPENDQ, b"", key, b"c", 0),
                request(PREPENDQ, b"", key, b"a", 0),
                arith(INCREMENTQ, &number, 2, 0, NO_TIME, 0),
                arith(DECREMENTQ, &number, 1, 0, NO_TIME, 0),
                request(GETQ, b"", b"missing", b"", 0),
                request(GETKQ, b"", b"missing", b"", 0),
                request(GATQ, &NO_TIME, b"missing", b"", 0),
                request(GATKQ, &NO_TIME, b"missing", b"", 0),
            ] {
                requests.extend(quiet);
            }
            for loud in [
                request(GETQ, b"", key, b"", 0),
                request(GETKQ, b"", &number, b"", 0),
                request(GATQ, &NO_TIME, key, b"", 0),
                request(GATKQ, &NO_TIME, &number, b"", 0),
            ] {
                requests.extend(client::with_opaque(loud, i as u32));
            }
            requests.extend(request(DELETEQ, b"", key, b"", 0));
            requests.extend(request(GETQ, b"", key, b"", 0));
        }
        requests.extend(request(NOOP, b"", b"", b"", 0));
        client.send(&requests);
        for (i, key) in KEYS.iter().enumerate() {
            let number = [key, &b"-number"[..]].concat();
            for (opcode, flags, key, value) in [
                (GETQ, FLAGS_BACK, &b""[..], &b"abbc"[..]),
                (GETKQ, &[0; 4], &number, b"42"),
                (GATQ, FLAGS_BACK, b"", b"abbc"),
                (GATKQ, &[0; 4], &number, b"42"),
            ] {
                let answer = client.receive();
                assert_eq!((answer.opcode, answer.opaque), (opcode, (i as u32).to_be_bytes()));
                answer.is(Status::Ok, flags, key, value);
            }
        }
        client.receive_noop();
        // A flush that is quiet too.
        client.send(&[request(FLUSHQ, b"", b"", b"", 0), request(GETQ, b"", b"a-number", b"", 0)].concat());
        client.ask(request(NOOP, b"", b"", b"", 0)).is(Status::Ok, b"", b"", b"");
    });
}

fn quiet_forms_tell_what_went_wrong(shards: u32) {
    converse(shards, |client| {
        for key in KEYS {
            for (quiet, status) in [
                (request(DELETEQ, b"", key, b"", 0), Status::NotFound),
                (request(REPLACEQ, PLAIN, key, b"x", 0), Status::NotFound),
                (request(SETQ, PLAIN, key, b"x", 5), Status::NotFound),
                (request(APPENDQ, b"", key, b"x", 0), Status::NotStored),
                (request(PREPENDQ, b"", key, b"x", 0), Status::NotStored),
                (arith(INCREMENTQ, key, 1, 1, FAR_FUTURE, 0), Status::NotFound),
                (arith(DECREMENTQ, key, 1, 1, FAR_FUTURE, 0), Status::NotFound),
            ] {
                client.fails(quiet, status);
            }
            let cas = client.store(request(SET, PLAIN, key, b"text", 0));
            for (quiet, status) in [
                (request(ADDQ, PLAIN, key, b"x", 0), Status::Exists),
                (request(SETQ, PLAIN, key, b"x", cas + 1_000_000), Status::Exists),
                (request(DELETEQ, b"", key, b"", cas + 1_000_000), Status::Exists),
                (arith(INCREMENTQ, key, 1, 1, NO_TIME, 0), Status::NonNumeric),
                (arith(DECREMENTQ, key, 1, 1, NO_TIME, 0), Status::NonNumeric),
            ] {
                client.fails(quiet, status);
            }
        }
    });
}

fn small_requests(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    client.ask(request(NOOP, b"", b"", b"", 9)).is(Status::Ok, b"", b"", b"");
    let version = client.ask(request(VERSION, b"", b"", b"", 0));
    version.is(Status::Ok, b"", b"", &version.value);
    assert!(version.value.starts_with(b"1.6."), "{}", version.value.escape_ascii());
    for (quit, answers) in [(QUIT, true), (QUITQ, false)] {
        let mut client = Client::new(&server);
        client.send(&[request(quit, b"", b"", b"", 0), request(SET, PLAIN, b"late", b"x", 0)].concat());
        if answers {
            client.receive().is(Status::Ok, b"", b"", b"");
        }
        expect_closed(client);
    }
    client.fails(get(b"late"), Status::NotFound);
    // Without -S these are no opcodes, and what they bring is dropped.
    client.fails(request(SASL_LIST_MECHS, b"", b"", b"", 0), Status::UnknownCommand);
    client.fails(request(SASL_AUTH, b"", b"PLAIN", b"\0user\0password", 0), Status::UnknownCommand);
    client.fails(request(SASL_STEP, b"", b"PLAIN", b"\0user\0password", 0), Status::UnknownCommand);
    client.finish();
}

fn flushing(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    for flush in [b"".to_vec(), NO_TIME.to_vec()] {
        for key in KEYS {
            client.store(request(SET, PLAIN, key, b"x", 0));
        }
        client.ask(request(FLUSH, &flush, b"", b"", 0)).is(Status::Ok, b"", b"", b"");
        KEYS.iter().for_each(|key| client.fails(get(key), Status::NotFound));
    }
    // One that is to come does nothing yet.
    client.store(request(SET, PLAIN, b"a", b"x", 0));
    client.ask(request(FLUSH, &1_000u32.to_be_bytes(), b"", b"", 0)).is(Status::Ok, b"", b"", b"");
    client.ask(get(b"a")).is(Status::Ok, &[0; 4], b"", b"x");

    let server = Server::start(shards, &["-F"]);
    let mut client = Client::new(&server);
    client.store(request(SET, PLAIN, b"a", b"x", 0));
    client.fails(request(FLUSH, b"", b"", b"", 0), Status::AuthError);
    client.fails(request(FLUSHQ, &NO_TIME, b"", b"", 0), Status::AuthError);
    client.ask(get(b"a")).is(Status::Ok, &[0; 4], b"", b"x");
    client.finish();
}

fn reports(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    client.store(request(SET, PLAIN, b"a", b"x", 0));
    let general = client.report(b"");
    let value = |name: &str| general.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!(value("pid"), Some(server.pid().to_string().as_str()));
    assert_eq!(value("cmd_set"), Some("1"));
    assert_eq!(value("curr_items"), Some("1"));
    // The same report as over the text protocol, name for name.
    let names = |report: &[(String, String)]| report.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let mut text = server.connect();
    for name in ["", "settings", "items", "slabs"] {
        let report = client.report(name.as_bytes());
        assert!(!report.is_empty(), "stats {name}");
        assert_eq!(names(&report), names(&text.stats(name)), "stats {name}");
    }
    assert!(client.report(b"reset").is_empty());
    assert!(client.report(b"").contains(&("cmd_set".into(), "0".into())));
    client.fails(request(STAT, b"", b"bogus", b"", 0), Status::NotFound);
    client.finish();
}

/// The answers of one shape are told from others by all of their fields.
#[test]
fn an_answer_is_compared_whole() {
    let answer = Answer {
        opcode: GET,
        status: 0,
        opaque: [0; 4],
        cas: 5,
        extras: vec![],
        key: vec![],
        value: b"x".to_vec(),
    };
    assert_eq!(answer.is(Status::Ok, b"", b"", b"x"), 5);
    for (status, extras, key, value) in [
        (Status::Exists, &b""[..], &b""[..], &b"x"[..]),
        (Status::Ok, b"1234", b"", b"x"),
        (Status::Ok, b"", b"k", b"x"),
        (Status::Ok, b"", b"", b"y"),
    ] {
        assert!(std::panic::catch_unwind(|| answer.is(status, extras, key, value)).is_err());
    }
}
