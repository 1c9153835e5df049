//! The parsers: from the received bytes of a request to what it asks for, its keys taken.

use crate::{KEY, MULTI_KEYS, Operation};
use ringcached::protocol::binary::{self, BinaryFrame, BinaryLimits};
use ringcached::protocol::{Command, Frame, Limits, frame, parse};
use std::hint::black_box;

pub const OPERATIONS: &[Operation] = &[
    Operation { name: "parse: get", requests: 1, make: || text(line(&[b"get ", KEY])) },
    Operation { name: "parse: get of 50, per key", requests: MULTI_KEYS as u32, make: || text(multi_get()) },
    Operation { name: "parse: set", requests: 1, make: || text(line(&[b"set ", KEY, b" 0 0 100"])) },
    Operation { name: "parse: mg", requests: 1, make: || text(line(&[b"mg ", KEY, b" v"])) },
    Operation {
        name: "parse: mg, 6 flags",
        requests: 1,
        make: || text(line(&[b"mg ", KEY, b" v f c t k O42"])),
    },
    Operation { name: "parse: ms", requests: 1, make: || text(line(&[b"ms ", KEY, b" 100 T60 F5"])) },
    Operation { name: "parse: binary get", requests: 1, make: || packet(&[]) },
    Operation { name: "parse: binary set", requests: 1, make: || packet(&[0; 8]) },
];

fn line(parts: &[&[u8]]) -> Vec<u8> {
    [parts.concat().as_slice(), b"\r\n"].concat()
}

fn multi_get() -> Vec<u8> {
    let keys = vec![KEY; MULTI_KEYS].join(&b' ');
    line(&[b"get ", &keys])
}

/// Frames and parses a line. A request that is refused would be measured by mistake, so that ends the run.
fn text(request: Vec<u8>) -> Box<dyn FnMut()> {
    let limits = Limits::DEFAULT;
    Box::new(move || {
        let Frame::Line { line, used } = frame(black_box(&request), limits.line_buffered_max()) else {
            panic!("a whole line is here")
        };
        black_box(used);
        match parse(line, &limits) {
            Command::Get(get) => get.keys.for_each(|key| _ = black_box(key)),
            Command::Store(store) => _ = black_box(store),
            Command::Meta(meta) => _ = black_box(meta),
            refused => panic!("{refused:?}"),
        }
    })
}

/// Frames and parses a packet: a get without extras, else a set of 100 bytes, whose value is not looked at.
fn packet(extras: &'static [u8]) -> Box<dyn FnMut()> {
    let value_len = if extras.is_empty() { 0 } else { 100 };
    let body_len = (extras.len() + KEY.len()) as u32 + value_len;
    let mut request =
        vec![0x80, u8::from(!extras.is_empty()), 0, KEY.len() as u8, extras.len() as u8, 0, 0, 0];
    request.extend_from_slice(&body_len.to_be_bytes());
    request.extend_from_slice(&[0; 12]); // opaque and CAS
    request.extend_from_slice(extras);
    request.extend_from_slice(KEY);
    let limits = BinaryLimits::default();
    Box::new(move || match binary::frame(black_box(&request), &limits) {
        BinaryFrame::Request(request) => _ = black_box(request),
        refused => panic!("{refused:?}"),
    })
}
