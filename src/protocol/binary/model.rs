//! Properties that hold for every input: how a stream is cut changes nothing, and no bytes break anything.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::pieces::{Next, cut, read_pieces};
use super::*;

/// Frames and skips what `pieces` bring, as a connection would; what it saw, written out.
fn read(pieces: &[&[u8]], limits: &BinaryLimits) -> Vec<String> {
    let mut seen = Vec::new();
    read_pieces(pieces, |received| {
        let frame = frame(received, limits);
        let next = match &frame {
            BinaryFrame::Incomplete { needed } => {
                assert!(received.len() < *needed, "more is asked for than is missing");
                assert!(*needed <= HEADER_LEN + 255 + limits.key_len_max, "{needed} bytes to buffer");
                return Next::Wait;
            }
            BinaryFrame::Request(request) => Next::Used(request.used as u64 + u64::from(request.value_len)),
            BinaryFrame::Refuse { then: Then::Skip(all), .. } => Next::Used(*all),
            BinaryFrame::Refuse { then: Then::Close, .. } | BinaryFrame::Close => Next::End,
        };
        seen.push(format!("{frame:?}"));
        next
    });
    seen
}

/// A request whose parts are likely what its opcode has, and whose lengths may lie.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let extras = prop_oneof![Just(0), Just(4), Just(8), Just(20), 0..=255usize];
    let key = prop_oneof![vec(any::<u8>(), 0..8), vec(any::<u8>(), 240..260)];
    let lie = prop_oneof![9 => Just(0), 1 => -300..300i64];
    (0..0x28u8, extras, key, vec(any::<u8>(), 0..40), any::<u64>(), lie).prop_map(
        |(opcode, extras_len, key, value, cas, lie)| {
            let body_len = (extras_len + key.len() + value.len()) as i64 + lie;
            let mut request = vec![MAGIC_REQUEST, opcode];
            request.extend((key.len() as u16).to_be_bytes());
            request.extend([extras_len as u8, 0, 0, 0]);
            request.extend((body_len.max(0) as u32).to_be_bytes());
            request.extend(b"opaq");
            request.extend(cas.to_be_bytes());
            request.extend(vec![7; extras_len]);
            request.extend(key);
            request.extend(value);
            request
        },
    )
}

fn limits() -> impl Strategy<Value = BinaryLimits> {
    let auth = prop_oneof![Just(BinaryAuth::Off), Just(BinaryAuth::Required), Just(BinaryAuth::Given)];
    (any::<bool>(), auth).prop_map(|(flush_allowed, auth)| BinaryLimits {
        key_len_max: 250,
        flush_allowed,
        auth,
    })
}

proptest! {
    #[test]
    fn a_cut_stream_means_what_it_means_whole(
        requests in vec(request(), 1..12),
        cuts in vec(any::<usize>(), 0..20),
        limits in limits(),
    ) {
        let stream = requests.concat();
        prop_assert_eq!(read(&cut(&stream, &cuts), &limits), read(&[&stream], &limits));
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        mut stream in vec(any::<u8>(), 1..600),
        cuts in vec(any::<usize>(), 0..9),
        limits in limits(),
    ) {
        stream[0] = MAGIC_REQUEST;
        prop_assert_eq!(read(&cut(&stream, &cuts), &limits), read(&[&stream], &limits));
    }

    /// A key is never empty nor longer than the limit, and a value only where one belongs.
    #[test]
    fn what_is_read_keeps_its_promises(input in request(), limits in limits()) {
        if let BinaryFrame::Request(request) = frame(&input, &limits) {
            let (key, takes_value) = match request.command {
                BinaryCommand::Get { key } | BinaryCommand::Gat { key, .. } => (key, false),
                BinaryCommand::Touch { key, .. } | BinaryCommand::Delete { key, .. } => (key, false),
                BinaryCommand::Arith { key, .. } => (key, false),
                BinaryCommand::Store { key, .. } => (key, true),
                BinaryCommand::SaslAuth { mechanism } | BinaryCommand::SaslStep { mechanism } => {
                    prop_assert!(mechanism.len() <= SASL_MECHANISM_LEN_MAX);
                    prop_assert!(request.value_len <= SASL_DATA_LEN_MAX);
                    (mechanism, true)
                }
                _ => (&b"none"[..], false),
            };
            prop_assert!((1..=limits.key_len_max).contains(&key.len()));
            prop_assert!(takes_value || request.value_len == 0);
            prop_assert!(request.value_len <= BODY_LEN_MAX);
        }
    }
}
