//! How a stream of bytes becomes binary requests: keys and values of any length, cut anywhere, requests that contradict
//! themselves, and the choice of the protocol by the first byte.

use super::client::{self, Client, expect_closed, request};
use super::{FLAGS, FLAGS_BACK, KEYS, NO_TIME, PLAIN, arith, converse, get};
use crate::harness::{Server, another_server_lacks};
use ringcached::protocol::binary::{Status, opcode::*};

on_shards! {
    keys_of_every_length
    large_values
    values_over_the_limit
    cut_at_any_byte
    ten_thousand_requests_in_one_write
    requests_that_contradict_themselves
    unknown_opcodes
    first_byte_chooses_the_protocol
    one_protocol_only
}

fn keys_of_every_length(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    for len in 1..=250 {
        let key: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        client.store(request(SET, FLAGS, &key, b"value", 0));
        client.ask(request(GETK, b"", &key, b"", 0)).is(Status::Ok, FLAGS_BACK, &key, b"value");
    }
    client.finish();
}

/// A value of `len` bytes, any part of which is unlike any other.
fn value_of(len: usize) -> Vec<u8> {
    (0..len.div_ceil(4) as u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).take(len).collect()
}

fn large_values(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    for len in [1_000, 4_030, 4_095, 4_096, 4_097, 8_191, 8_193, 65_536, 100_000, 1_000_000] {
        let value = value_of(len);
        for key in KEYS {
            client.store(request(SET, FLAGS, key, &value, 0));
            client.ask(request(GETK, b"", key, b"", 0)).is(Status::Ok, FLAGS_BACK, key, &value);
        }
        // Several in one pipeline, small answers in between, the store quiet.
        let pipeline: Vec<u8> = KEYS
            .iter()
            .flat_map(|key| [request(SETQ, FLAGS, key, &value, 0), get(key), request(NOOP, b"", b"", b"", 0)])
            .flatten()
            .collect();
        let mut writer = client.another_handle();
        let sent = std::thread::spawn(move || writer.send(pipeline));
        for _ in KEYS {
            client.receive().is(Status::Ok, FLAGS_BACK, b"", &value);
            client.receive_noop();
        }
        sent.join().expect("writer");
    }
    client.finish();
}

/// A value over the item limit is swallowed; what a SET would have replaced is gone, so that nobody reads what is no longer true.
fn values_over_the_limit(shards: u32) {
    converse(shards, |client| {
        let value = value_of(2_000_000);
        for key in [b"a", b"b", b"c"] {
            for (opcode, extras) in [(ADD, PLAIN), (REPLACE, PLAIN), (APPEND, b""), (PREPEND, b"")] {
                client.store(request(SET, PLAIN, key, b"x", 0));
                client.fails(request(opcode, extras, key, &value, 0), Status::TooLarge);
                client.ask(get(key)).is(Status::Ok, &[0; 4], b"", b"x");
            }
            client.fails(request(SETQ, PLAIN, key, &value, 0), Status::TooLarge);
            client.fails(get(key), Status::NotFound);
            // Too large together.
            client.store(request(SET, PLAIN, key, &value[..600_000], 0));
            client.fails(request(APPEND, b"", key, &value[..600_000], 0), Status::NotStored);
            client.ask(get(key)).is(Status::Ok, &[0; 4], b"", &value[..600_000]);
        }
    });
}

fn cut_at_any_byte(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    let mut other = Client::new(&server);
    let requests = [
        request(SET, FLAGS, b"key", b"value", 0),
        request(GETKQ, b"", b"missing", b"", 0),
        request(0x1b, b"", b"", b"", 0),
        arith(INCREMENT, b"number", 1, 7, NO_TIME, 0),
        request(APPENDQ, b"", b"key", b"!", 0),
        request(GETK, b"", b"key", b"", 0),
        request(FLUSHQ, b"", b"", b"", 0),
        request(NOOP, b"", b"", b"", 0),
    ]
    .concat();
    let answers = |client: &mut Client| {
        client.receive().is(Status::Ok, b"", b"", b"");
        client.receive().is(Status::UnknownCommand, b"", b"", b"Unknown command");
        client.receive().is(Status::Ok, b"", b"", &7u64.to_be_bytes());
        client.receive().is(Status::Ok, FLAGS_BACK, b"key", b"value!");
        client.receive_noop();
    };
    // A round trip on another connection gives the server the time to meet the first part alone.
    let mut pause = || drop(other.ask(request(NOOP, b"", b"", b"", 0)));
    for cut in 0..=requests.len() {
        client.send(&requests[..cut]);
        pause();
        client.send(&requests[cut..]);
        answers(&mut client);
    }
    for byte in &requests {
        client.send(&[*byte]);
        pause();
    }
    answers(&mut client);
    // A large value in pieces that end round the lengths of buffers.
    let value = value_of(70_000);
    let set = request(SET, FLAGS, b"large", &value, 0);
    for cut in [1, 24, 35, 37, 38, 4_095, 4_096, 4_097, 8_192, 16_384, 65_536, set.len() - 1] {
        client.send(&set[..cut]);
        pause();
        client.send(&set[cut..]);
        client.receive().is(Status::Ok, b"", b"", b"");
        client.ask(get(b"large")).is(Status::Ok, FLAGS_BACK, b"", &value);
    }
    client.finish();
}

fn ten_thousand_requests_in_one_write(shards: u32) {
    const REQUESTS: u32 = 10_000;
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    for key in KEYS {
        client.store(request(SET, FLAGS, key, b"hello", 0));
    }
    let key = |i: u32| KEYS[i as usize % KEYS.len()];
    let requests: Vec<u8> =
        (0..REQUESTS).flat_map(|i| client::with_opaque(request(GETKQ, b"", key(i), b"", 0), i)).collect();
    let mut writer = client.another_handle();
    let sent = std::thread::spawn(move || {
        writer.send(requests);
        writer.send(request(NOOP, b"", b"", b"", 0));
    });
    for i in 0..REQUESTS {
        let answer = client.receive();
        assert_eq!(answer.opaque, i.to_be_bytes());
        answer.is(Status::Ok, FLAGS_BACK, key(i), b"hello");
    }
    client.receive_noop();
    sent.join().expect("writer");
    // A request without its end is dropped with the connection.
    client.send(&request(SET, FLAGS, b"late", b"value", 0)[..36]);
    client.another_handle().shut_writing();
    expect_closed(client);
    Client::new(&server).fails(get(b"late"), Status::NotFound);
}

fn requests_that_contradict_themselves(shards: u32) {
    let server = Server::start(shards, &[]);
    let lying = |opcode, extras_len: u8, key_len: u16, body_len: u32, sent: usize| {
        let mut bytes = request(opcode, b"", b"", b"", 0);
        bytes[2..4].copy_from_slice(&key_len.to_be_bytes());
        bytes[4] = extras_len;
        bytes[8..12].copy_from_slice(&body_len.to_be_bytes());
        bytes.resize(bytes.len() + sent, b'x');
        bytes
    };
    for (wrong, status) in [
        (lying(GET, 0, 4, 3, 4), Status::UnknownCommand),
        (lying(SET, 8, 4, 11, 12), Status::UnknownCommand),
        (lying(SET, 255, 200, 0, 455), Status::UnknownCommand),
        (lying(SET, 8, 4, (1 << 30) + 1, 12), Status::Invalid),
        (lying(SET, 8, 4, u32::MAX, 12), Status::Invalid),
        (request(GET, b"", &[b'k'; 251], b"", 0), Status::Invalid),
        (request(SET, PLAIN, &[b'k'; 251], b"x", 0), Status::Invalid),
        (request(GET, b"", b"", b"", 0), Status::Invalid),
        (request(GETQ, b"1234", b"k", b"", 0), Status::Invalid),
        (request(GETKQ, b"", b"k", b"value", 0), Status::Invalid),
        (request(SETQ, b"", b"k", b"value", 0), Status::Invalid),
        (request(ADD, b"1234", b"k", b"value", 0), Status::Invalid),
        (request(REPLACE, PLAIN, b"", b"value", 0), Status::Invalid),
        (request(APPEND, PLAIN, b"k", b"value", 0), Status::Invalid),
        (request(PREPENDQ, b"", b"", b"value", 0), Status::Invalid),
        (request(DELETE, b"", b"", b"", 0), Status::Invalid),
        (request(DELETEQ, b"", b"k", b"value", 0), Status::Invalid),
        (request(INCREMENT, &[0; 19], b"k", b"", 0), Status::Invalid),
        (request(DECREMENTQ, &[0; 20], b"", b"", 0), Status::Invalid),
        (request(TOUCH, b"", b"k", b"", 0), Status::Invalid),
        (request(GATQ, &[0; 8], b"k", b"", 0), Status::Invalid),
        (request(GATK, &NO_TIME, b"", b"", 0), Status::Invalid),
        (request(FLUSH, &[0; 8], b"", b"", 0), Status::Invalid),
        (request(NOOP, b"", b"k", b"", 0), Status::Invalid),
        (request(VERSION, b"", b"", b"value", 0), Status::Invalid),
        (request(QUIT, b"1234", b"", b"", 0), Status::Invalid),
        (request(STAT, b"1234", b"", b"", 0), Status::Invalid),
        (request(SASL_AUTH, b"", b"", b"value", 0), Status::Invalid),
    ] {
        let mut client = Client::new(&server);
        client.send(&wrong);
        let text = status.text(Default::default());
        let answer = client.receive();
        assert_eq!(answer.opcode, wrong[1]);
        answer.is(status, b"", b"", text);
        expect_closed(client);
        Client::new(&server).ask(request(NOOP, b"", b"", b"", 0)).is(Status::Ok, b"", b"", b"");
    }
    if !another_server_lacks("a value where none belongs is refused in TOUCH, GAT and STAT") {
        for opcode in [TOUCH, GAT, GATKQ, STAT] {
            let extras = if opcode == STAT { &b""[..] } else { &NO_TIME };
            let mut client = Client::new(&server);
            client.fails(request(opcode, extras, b"k", b"value", 0), Status::Invalid);
            expect_closed(client);
        }
    }
}

fn unknown_opcodes(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut client = Client::new(&server);
    let unknown = [0x1b, 0x1f, 0x25, 0x30, 0x3c, 0x40, 0x80, 0xff];
    for opcode in unknown {
        client.fails(request(opcode, b"", b"", b"", 0), Status::UnknownCommand);
        client.fails(request(opcode, b"", b"", &value_of(5_000), 0), Status::UnknownCommand);
    }
    if !another_server_lacks("an unknown opcode with key and extras is swallowed whole") {
        for opcode in unknown {
            client.fails(request(opcode, b"1234", b"key", b"", 0), Status::UnknownCommand);
            client.fails(request(opcode, PLAIN, &[b'k'; 250], &value_of(100_000), 0), Status::UnknownCommand);
        }
    }
    client.finish();
}

fn first_byte_chooses_the_protocol(shards: u32) {
    let server = Server::start(shards, &[]);
    let (mut binary, mut text) = (Client::new(&server), server.connect());
    binary.store(request(SET, &[0, 0, 0, 7, 0, 0, 0, 0], b"a", b"from binary", 0));
    text.ask("get a\r\n", "VALUE a 7 11\r\nfrom binary\r\nEND\r\n");
    text.ask("set b 9 0 9\r\nfrom text\r\n", "STORED\r\n");
    let cas = binary.ask(get(b"b")).is(Status::Ok, &[0, 0, 0, 9], b"", b"from text");
    assert_eq!(text.cas_of("b"), cas);
    text.finish();
    // A choice is made once.
    binary.send(b"get a\r\nget b\r\nget a\r\nget b\r\n");
    expect_closed(binary);
    // No byte but the magic starts a request.
    for magic in [0x81, 0x00, b'g'] {
        let mut client = Client::new(&server);
        client.ask(request(NOOP, b"", b"", b"", 0)).is(Status::Ok, b"", b"", b"");
        let mut wrong = request(NOOP, b"", b"", b"", 0);
        wrong[0] = magic;
        client.send(&wrong);
        expect_closed(client);
    }
}

fn one_protocol_only(shards: u32) {
    let server = Server::start(shards, &["-B", "binary"]);
    let mut text = server.connect();
    text.send("get some key that is long enough for a header\r\n");
    text.expect_closed();
    let mut client = Client::new(&server);
    client.store(request(SET, PLAIN, b"a", b"x", 0));
    client.finish();

    let server = Server::start(shards, &["-B", "ascii"]);
    let mut text = server.connect();
    // Not NOOP: its opcode is a line feed.
    text.send(request(VERSION, b"", b"", b"", 0));
    text.ask("\r\n", "ERROR\r\n");
    text.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    text.finish();

    let server = Server::start(shards, &["-B", "auto"]);
    server.connect().ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    Client::new(&server).ask(get(b"a")).is(Status::Ok, &[0; 4], b"", b"x");
}
