//! A connection that speaks the binary protocol: requests as bytes, answers taken apart and held against what is wanted, every
//! field of them.

use crate::harness::{Conn, Server, shown};
use ringcached::protocol::binary::{MAGIC_REQUEST, Status, Tag, opcode};

const HEADER_LEN: usize = 24;
/// The opaque of requests that nobody gave another.
const OPAQUE: [u8; 4] = *b"\xca\xfe\x00\x01";
/// What an answer may at most announce, so that a wrong one fails the test instead of waiting.
const BODY_LEN_MAX: usize = 4 << 20;

/// A request as bytes.
pub fn request(opcode: u8, extras: &[u8], key: &[u8], value: &[u8], cas: u64) -> Vec<u8> {
    let body_len = (extras.len() + key.len() + value.len()) as u32;
    let mut bytes = vec![MAGIC_REQUEST, opcode];
    bytes.extend((key.len() as u16).to_be_bytes());
    // Data type and vbucket mean nothing.
    bytes.extend([extras.len() as u8, 0x11, 0x22, 0x33]);
    bytes.extend(body_len.to_be_bytes());
    bytes.extend(OPAQUE);
    bytes.extend(cas.to_be_bytes());
    [&bytes[..], extras, key, value].concat()
}

/// `request` under another opaque.
pub fn with_opaque(mut request: Vec<u8>, opaque: u32) -> Vec<u8> {
    request[12..16].copy_from_slice(&opaque.to_be_bytes());
    request
}

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub struct Answer {
    pub opcode: u8,
    pub status: u16,
    pub opaque: [u8; 4],
    pub cas: u64,
    pub extras: Vec<u8>,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

impl Answer {
    /// Reads an answer from the start of `bytes`; the rest of them.
    pub fn parse(bytes: &[u8]) -> (Answer, &[u8]) {
        let (header, rest) = bytes.split_at(HEADER_LEN);
        assert_eq!((header[0], header[5]), (0x81, 0), "magic and data type of {}", shown(bytes));
        let key_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (body, rest) = rest.split_at(body_len(header));
        let (extras, body) = body.split_at(usize::from(header[4]));
        let (key, value) = body.split_at(key_len);
        let answer = Answer {
            opcode: header[1],
            status: u16::from_be_bytes([header[6], header[7]]),
            opaque: header[12..16].try_into().expect("four bytes"),
            cas: u64::from_be_bytes(header[16..].try_into().expect("eight bytes")),
            extras: extras.into(),
            key: key.into(),
            value: value.into(),
        };
        (answer, rest)
    }

    /// Fails unless everything but the CAS is this; the CAS.
    #[track_caller]
    pub fn is(&self, status: Status, extras: &[u8], key: &[u8], value: &[u8]) -> u64 {
        let parts = |status, extras, key, value| {
            let (extras, key, value) = (shown(extras), shown(key), shown(value));
            format!("status {status:#x}, extras {extras}, key {key}, value {value}")
        };
        let same =
            self.status == status as u16 && self.extras == extras && self.key == key && self.value == value;
        assert!(
            same,
            "answer to opcode {:#x}\n want: {}\n  got: {}",
            self.opcode,
            parts(status as u16, extras, key, value),
            parts(self.status, &self.extras, &self.key, &self.value)
        );
        self.cas
    }
}

fn body_len(header: &[u8]) -> usize {
    let len = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    assert!(len <= BODY_LEN_MAX, "an answer announces {len} bytes: {}", shown(header));
    len
}

/// A connection whose requests are binary.
pub struct Client {
    conn: Conn,
}

impl Client {
    pub fn new(server: &Server) -> Client {
        Client { conn: server.connect() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.conn.send(bytes);
    }

    /// A second handle of the same connection, for a thread that writes while this one reads.
    pub fn another_handle(&self) -> Conn {
        self.conn.another_handle()
    }

    /// The next answer, to whatever it belongs.
    pub fn receive(&mut self) -> Answer {
        let mut bytes = vec![0; HEADER_LEN];
        self.conn.receive_exactly(&mut bytes);
        let body_len = body_len(&bytes);
        bytes.resize(HEADER_LEN + body_len, 0);
        self.conn.receive_exactly(&mut bytes[HEADER_LEN..]);
        Answer::parse(&bytes).0
    }

    /// The next answer must be that of a NOOP.
    #[track_caller]
    pub fn receive_noop(&mut self) {
        let answer = self.receive();
        assert_eq!(answer.opcode, opcode::NOOP);
        assert_eq!(answer.is(Status::Ok, b"", b"", b""), 0);
    }

    /// Sends a request; its answer, which must repeat its opcode and opaque.
    #[track_caller]
    pub fn ask(&mut self, request: Vec<u8>) -> Answer {
        self.send(&request);
        let answer = self.receive();
        assert_eq!((answer.opcode, &answer.opaque[..]), (request[1], &request[12..16]));
        answer
    }

    /// Sends a request that stores; the CAS of what it stored.
    #[track_caller]
    pub fn store(&mut self, request: Vec<u8>) -> u64 {
        let cas = self.ask(request).is(Status::Ok, b"", b"", b"");
        assert_ne!(cas, 0, "what is stored has a CAS");
        cas
    }

    /// Sends a request that must end in `status`, with its text.
    #[track_caller]
    pub fn fails(&mut self, request: Vec<u8>, status: Status) {
        let tag = Tag { opcode: request[1], opaque: OPAQUE };
        let cas = self.ask(request).is(status, b"", b"", status.text(tag));
        assert_eq!(cas, 0, "what is not there has no CAS");
    }

    /// The lines of a report.
    #[track_caller]
    pub fn report(&mut self, name: &[u8]) -> Vec<(String, String)> {
        self.send(&request(opcode::STAT, b"", name, b"", 0));
        let mut lines = Vec::new();
        loop {
            let packet = self.receive();
            assert_eq!((packet.opcode, packet.opaque), (opcode::STAT, OPAQUE));
            packet.is(Status::Ok, b"", &packet.key, &packet.value);
            if packet.key.is_empty() {
                assert!(packet.value.is_empty(), "a value without a name");
                return lines;
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            lines.push((text(&packet.key), text(&packet.value)));
        }
    }

    /// Ends the conversation: quits and checks that no answer was left over.
    #[track_caller]
    pub fn finish(mut self) {
        self.ask(request(opcode::QUIT, b"", b"", b"", 0)).is(Status::Ok, b"", b"", b"");
        expect_closed(self);
    }
}

/// The server must close, having sent nothing more.
#[track_caller]
pub fn expect_closed(mut client: Client) {
    client.conn.expect_closed();
}
