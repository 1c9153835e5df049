//! Writing replies: what stands before a value, and the short answers.

use crate::{KEY, Operation, VALUE_BYTES};
use ringcached::protocol::binary::Tag;
use ringcached::protocol::binary::reply::write_hit_head;
use ringcached::protocol::meta_reply::{Marks, MetaCode, MetaItem, write_hit};
use ringcached::protocol::reply::{write_number_line, write_value_header};
use ringcached::protocol::{Command, Limits, MetaFlags, parse};
use std::hint::black_box;

pub const OPERATIONS: &[Operation] = &[
    Operation { name: "reply: VALUE line", requests: 1, make: || value_line(None) },
    Operation { name: "reply: VALUE line with CAS", requests: 1, make: || value_line(Some(123_456_789)) },
    Operation { name: "reply: number", requests: 1, make: number },
    Operation { name: "reply: HD", requests: 1, make: || meta(MetaCode::Done, b"ms key-000000012345 100") },
    Operation { name: "reply: VA", requests: 1, make: || meta(MetaCode::Value, b"mg key-000000012345 v") },
    Operation {
        name: "reply: VA, 5 flags",
        requests: 1,
        make: || meta(MetaCode::Value, b"mg key-000000012345 v f c t k O42"),
    },
    Operation { name: "reply: binary hit", requests: 1, make: binary_hit },
];

/// Room for any of them.
const OUT_BYTES: usize = 512;

fn value_line(cas: Option<u64>) -> Box<dyn FnMut()> {
    let mut out = [0; OUT_BYTES];
    Box::new(move || {
        let (key, len, cas) = black_box((KEY, VALUE_BYTES as u32, cas));
        black_box(write_value_header(black_box(&mut out), key, 0, len, cas));
    })
}

fn number() -> Box<dyn FnMut()> {
    let mut out = [0; OUT_BYTES];
    Box::new(move || _ = black_box(write_number_line(black_box(&mut out), black_box(123_456))))
}

fn meta(code: MetaCode, line: &[u8]) -> Box<dyn FnMut()> {
    let flags: MetaFlags = match parse(line, &Limits::DEFAULT) {
        Command::Meta(command) => command.flags,
        refused => panic!("{refused:?}"),
    };
    let item = MetaItem {
        key: KEY,
        binary_key: false,
        flags: 5,
        cas: 123_456_789,
        ttl_s: Some(60),
        last_access_age_s: 3,
        hit_before: true,
        value_len: VALUE_BYTES as u32,
    };
    let mut out = [0; OUT_BYTES];
    Box::new(move || {
        let (flags, item, marks) = black_box((&flags, &item, Marks::default()));
        black_box(write_hit(black_box(&mut out), black_box(code), flags, item, marks));
    })
}

fn binary_hit() -> Box<dyn FnMut()> {
    let mut out = [0; OUT_BYTES];
    Box::new(move || {
        let (tag, key, len) = black_box((Tag::default(), KEY, VALUE_BYTES as u32));
        black_box(write_hit_head(black_box(&mut out), tag, 0, key, len, 123_456_789));
    })
}
