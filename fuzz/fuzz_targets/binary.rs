//! The binary protocol: requests and the writers of its answers.
//!
//! What must hold: a stream means the same however it is cut; no more is waited for than a header, its extras and a key; a
//! key is within its limit and a value only where one belongs; an answer is of exactly the length its header says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached::protocol::binary::reply::{
    ERROR_LEN_MAX, NUMBER_LEN, hit_head_len_max, stat_len, stats_from_text, write_done, write_error,
    write_hit_head, write_miss, write_number, write_stat,
};
use ringcached::protocol::binary::{
    BODY_LEN_MAX, BinaryAuth, BinaryCommand, BinaryFrame, BinaryLimits, BinaryRequest, HEADER_LEN,
    SASL_DATA_LEN_MAX, SASL_MECHANISM_LEN_MAX, Status, Tag, Then, frame,
};
use ringcached_fuzz::{Next, read_pieces, same_however_cut, written};

/// Most bytes of extras: their length is one byte.
const EXTRAS_LEN_MAX: usize = 255;

fuzz_target!(|stream: &[u8]| {
    for auth in [BinaryAuth::Off, BinaryAuth::Required, BinaryAuth::Given] {
        let limits = BinaryLimits { auth, ..BinaryLimits::default() };
        same_however_cut(stream, |pieces| read(pieces, &limits));
    }
    let tag = Tag { opcode: stream.first().copied().unwrap_or_default(), opaque: *b"mark" };
    check_packets(&stats_from_text(stream, tag));
});

/// Frames and skips what `pieces` bring, as a connection would; what it saw, written out.
fn read(pieces: &[&[u8]], limits: &BinaryLimits) -> Vec<String> {
    let mut seen = Vec::new();
    read_pieces(pieces, |received| {
        let frame = frame(received, limits);
        let next = match frame {
            BinaryFrame::Incomplete { needed } => {
                assert!(received.len() < needed, "more is asked for than is missing");
                assert!(needed <= HEADER_LEN + EXTRAS_LEN_MAX + limits.key_len_max, "{needed} to buffer");
                return Next::Wait;
            }
            BinaryFrame::Request(request) => {
                assert!((HEADER_LEN..=received.len()).contains(&request.used));
                check_request(&request, limits);
                Next::Used(request.used as u64 + u64::from(request.value_len))
            }
            BinaryFrame::Refuse { tag, status, then } => {
                assert_ne!(status, Status::Ok);
                check_packets(&written(ERROR_LEN_MAX, |out| write_error(out, tag, status)));
                check_skip(then)
            }
            BinaryFrame::Close => Next::End,
        };
        seen.push(format!("{frame:?}"));
        next
    });
    seen
}

fn check_skip(then: Then) -> Next {
    match then {
        Then::Skip(all) => {
            let head = HEADER_LEN as u64;
            assert!((head..=head + u64::from(BODY_LEN_MAX)).contains(&all));
            Next::Used(all)
        }
        Then::Close => Next::End,
    }
}

fn check_request(request: &BinaryRequest<'_>, limits: &BinaryLimits) {
    let (key, takes_value) = match request.command {
        BinaryCommand::Get { key } | BinaryCommand::Gat { key, .. } => (key, false),
        BinaryCommand::Touch { key, .. } | BinaryCommand::Delete { key, .. } => (key, false),
        BinaryCommand::Arith { key, .. } => (key, false),
        BinaryCommand::Store { key, .. } => (key, true),
        BinaryCommand::SaslAuth { mechanism } | BinaryCommand::SaslStep { mechanism } => {
            assert!(mechanism.len() <= SASL_MECHANISM_LEN_MAX && request.value_len <= SASL_DATA_LEN_MAX);
            (mechanism, true)
        }
        _ => (&b"none"[..], false),
    };
    assert!((1..=limits.key_len_max).contains(&key.len()));
    assert!(request.value_len <= BODY_LEN_MAX && (takes_value || request.value_len == 0));
    check_answers(request.tag, key, request.value_len);
}

fn check_answers(tag: Tag, key: &[u8], value_len: u32) {
    check_packets(&written(HEADER_LEN, |out| write_done(out, tag, u64::MAX)));
    check_packets(&written(NUMBER_LEN, |out| write_number(out, tag, u64::MAX, u64::MAX)));
    let room = hit_head_len_max(key.len());
    check_packets(&written(room.max(ERROR_LEN_MAX), |out| write_miss(out, tag, key)));
    check_packets(&written(stat_len(key, key), |out| write_stat(out, tag, key, key)));
    let head = written(room, |out| write_hit_head(out, tag, u32::MAX, key, value_len, u64::MAX));
    assert_eq!(body_len(&head), head.len() - HEADER_LEN + value_len as usize);
}

/// `bytes` are whole packets, each as long as its header says.
fn check_packets(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        assert_eq!(bytes[0], 0x81);
        bytes = &bytes[HEADER_LEN + body_len(bytes)..];
    }
}

/// What the header of a packet says of its length.
fn body_len(packet: &[u8]) -> usize {
    u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]) as usize
}
