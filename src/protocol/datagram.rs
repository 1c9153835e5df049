//! The frame of UDP: eight bytes in front of each datagram, in memcached's layout of four big-endian 16-bit numbers.
//!
//! A request is one datagram; in it stand one or more commands of the text or the binary protocol, told apart by the first
//! byte. All their answers together are one *message*, cut into datagrams numbered from 0, each of which says how many
//! there are. (memcached 1.6.45 makes a message of each value, so that several claim to be number 0 of 1, and carries a
//! command cut short over into the next datagram of whoever comes.)

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the frame.
pub const HEADER_LEN: usize = size_of::<Header>();

/// The largest datagram sent, in bytes, frame included: with the headers of IP and UDP it fits an Ethernet frame.
pub const DATAGRAM_MAX: usize = 1_400;

/// The most of a message that one datagram carries, in bytes.
pub const PAYLOAD_MAX: usize = DATAGRAM_MAX - HEADER_LEN;

/// The most datagrams an answer is cut into. They leave in one go and nothing paces them: more would overflow the
/// receive buffer that Linux gives a socket by default, 208 KiB at about 2.25 KiB of bookkeeping and bytes a datagram.
pub const MESSAGE_DATAGRAMS_MAX: usize = 64;

/// The longest answer, in bytes.
pub const MESSAGE_LEN_MAX: usize = MESSAGE_DATAGRAMS_MAX * PAYLOAD_MAX;

/// The frame, as it stands in front of the payload.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// The client's own, the same in the answer.
    pub request_id: U16,
    /// Which datagram of the message this is, from 0. Ignored in a request.
    pub sequence: U16,
    /// Datagrams of the message.
    pub total: U16,
    /// 0. Ignored in a request.
    pub reserved: U16,
}

/// Splits a received datagram into its frame and the commands in it. `None` for what is dropped without an answer: one
/// of a request in several datagrams, and one in which no command stands.
#[inline]
pub fn parse(datagram: &[u8]) -> Option<(Header, &[u8])> {
    let (header, commands) = Header::read_from_prefix(datagram).ok()?;
    (header.total == 1 && !commands.is_empty()).then_some((header, commands))
}

/// The datagrams of `message`, the answer to request `request_id`: a frame and what stands behind it, at most [`PAYLOAD_MAX`]
/// bytes. An empty message has none. `None` above [`MESSAGE_LEN_MAX`].
#[inline]
pub fn split(request_id: U16, message: &[u8]) -> Option<impl ExactSizeIterator<Item = (Header, &[u8])>> {
    if message.len() > MESSAGE_LEN_MAX {
        return None;
    }
    let payloads = message.chunks(PAYLOAD_MAX);
    let total = U16::new(payloads.len() as u16);
    Some(payloads.enumerate().map(move |(number, payload)| {
        let sequence = U16::new(number as u16);
        (Header { request_id, sequence, total, reserved: U16::ZERO }, payload)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(request_id: u16, sequence: u16, total: u16) -> Header {
        let [request_id, sequence, total] = [request_id, sequence, total].map(U16::new);
        Header { request_id, sequence, total, reserved: U16::ZERO }
    }

    #[test]
    fn a_request_is_one_datagram() {
        let (parsed, commands) = parse(b"\x12\x34\0\0\0\x01\0\0get a\r\n").expect("a request");
        assert_eq!((parsed, commands), (header(0x1234, 0, 1), &b"get a\r\n"[..]));
        // The number and the reserved bytes mean nothing in a request.
        let (parsed, commands) = parse(b"\0\x01\xff\xff\0\x01\xff\xffx").expect("a request");
        assert_eq!((parsed.request_id.get(), commands), (1, &b"x"[..]));
    }

    #[test]
    fn other_datagrams_are_dropped() {
        let datagram = b"\0\0\0\0\0\x01\0\0x";
        for len in 0..=HEADER_LEN {
            assert_eq!(parse(&datagram[..len]), None, "{len} bytes");
        }
        for total in [0u16, 2, 256, u16::MAX] {
            let mut datagram = *datagram;
            datagram[4..6].copy_from_slice(&total.to_be_bytes());
            assert_eq!(parse(&datagram), None, "1 of {total}");
        }
    }

    #[test]
    fn a_frame_is_eight_bytes() {
        assert_eq!(HEADER_LEN, 8);
        assert_eq!(header(0x0102, 0x0304, 0x0506).as_bytes(), b"\x01\x02\x03\x04\x05\x06\0\0");
    }

    #[test]
    fn a_message_is_cut_into_numbered_datagrams() {
        for (len, total) in [
            (0, 0),
            (1, 1),
            (PAYLOAD_MAX, 1),
            (PAYLOAD_MAX + 1, 2),
            (20_000, 15),
            (MESSAGE_LEN_MAX, MESSAGE_DATAGRAMS_MAX),
        ] {
            let message: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let datagrams: Vec<_> = split(U16::new(7), &message).expect("short enough").collect();
            assert_eq!(datagrams.len(), total, "{len} bytes");
            for (number, (frame, payload)) in datagrams.iter().enumerate() {
                assert_eq!(*frame, header(7, number as u16, total as u16));
                assert!(number + 1 == total || payload.len() == PAYLOAD_MAX);
                assert!(HEADER_LEN + payload.len() <= DATAGRAM_MAX);
            }
            assert_eq!(datagrams.iter().map(|(_, payload)| *payload).collect::<Vec<_>>().concat(), message);
        }
    }

    #[test]
    fn a_message_has_a_longest_length() {
        assert!(split(U16::new(7), &vec![0; MESSAGE_LEN_MAX + 1]).is_none());
    }
}
