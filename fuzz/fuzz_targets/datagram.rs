//! The frame of UDP, both ways.
//!
//! What must hold: a datagram is dropped, or its commands are all that stands behind its frame; an answer's datagrams are
//! numbered without a gap, none is larger than allowed, and together they are the answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached::protocol::datagram::{
    DATAGRAM_MAX, HEADER_LEN, MESSAGE_DATAGRAMS_MAX, MESSAGE_LEN_MAX, PAYLOAD_MAX, parse, split,
};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

fuzz_target!(|datagram: &[u8]| {
    let Some((header, commands)) = parse(datagram) else {
        let total = datagram.get(4..6);
        assert!(datagram.len() <= HEADER_LEN || total != Some(&[0, 1][..]), "a request was dropped");
        return;
    };
    assert_eq!(commands, &datagram[HEADER_LEN..]);
    assert_eq!(header.as_bytes(), &datagram[..HEADER_LEN]);
    // The longer the answer the rarer: each byte of the request stands for as many of the answer as its number says.
    let copies = usize::from(header.sequence.get()) % 64 + 1;
    check_split(header.request_id, &commands.repeat(copies));
});

fn check_split(request_id: U16, message: &[u8]) {
    let Some(datagrams) = split(request_id, message) else {
        assert!(message.len() > MESSAGE_LEN_MAX, "an answer of {} bytes is not sent", message.len());
        return;
    };
    let total = datagrams.len();
    assert!((1..=MESSAGE_DATAGRAMS_MAX).contains(&total));
    let mut whole = Vec::new();
    for (number, (header, payload)) in datagrams.enumerate() {
        assert_eq!((header.request_id, header.reserved.get()), (request_id, 0));
        assert_eq!((usize::from(header.sequence.get()), usize::from(header.total.get())), (number, total));
        assert!(HEADER_LEN + payload.len() <= DATAGRAM_MAX);
        assert!(payload.len() == PAYLOAD_MAX || number + 1 == total);
        whole.extend_from_slice(payload);
    }
    assert_eq!(whole, message);
}
