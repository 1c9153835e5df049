//! What the targets share: how a stream is cut into pieces, and how a text connection reads it.

pub mod answers;
pub mod program;

use ringcached::protocol::{Command, Frame, Limits, MetaVerb, frame, parse};

/// The sizes of the pieces each stream is fed in, in bytes: one by one, a few at a time, and more than a line is
/// buffered.
pub const PIECE_SIZES: [usize; 4] = [1, 7, 100, 3000];

/// Most pieces of one stream: beyond, the search would spend its time on copying.
const PIECES_MAX: usize = 1000;

/// Bytes behind the data of a storage command.
const DATA_ENDING_LEN: u64 = 2;

/// Stands where an answer may not be written.
pub const GUARD: u8 = b'#';

/// Checks that `read` sees the same in `stream` whole as in pieces of each of [`PIECE_SIZES`], if they are at most
/// [`PIECES_MAX`].
pub fn same_however_cut<T: PartialEq + std::fmt::Debug>(stream: &[u8], read: impl Fn(&[&[u8]]) -> T) {
    let whole = read(&[stream]);
    for size in PIECE_SIZES.into_iter().filter(|size| stream.len() <= size * PIECES_MAX) {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(read(&pieces), whole, "in pieces of {size} bytes");
    }
}

/// What the reader of a stream made of the bytes not used so far.
pub enum Next {
    /// More must come first.
    Wait,
    /// It is done with so many bytes from here on, not all of which need be here yet.
    Used(u64),
    /// The connection ends.
    End,
}

/// Gives what `pieces` bring to `step`, as often as there is something it has not used.
pub fn read_pieces(pieces: &[&[u8]], mut step: impl FnMut(&[u8]) -> Next) {
    let (mut received, mut skip) = (Vec::new(), 0u64);
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            let skipped = received.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            received.drain(..skipped);
            skip -= skipped as u64;
            if skip > 0 {
                break;
            }
            match step(&received) {
                Next::Wait => break,
                Next::Used(len) => skip = len,
                Next::End => return,
            }
        }
    }
}

/// Frames and parses what `pieces` bring, as a text connection would, up to a line that may only be read whole; what it
/// saw, written out. Each line and its command are given to `check`.
pub fn read(pieces: &[&[u8]], limits: &Limits, check: impl Fn(&[u8], &Command<'_>)) -> Vec<String> {
    let buffered_max = limits.line_buffered_max();
    let mut seen = Vec::new();
    read_pieces(pieces, |received| {
        let (line, used) = match frame(received, buffered_max) {
            Frame::Incomplete => return Next::Wait,
            Frame::Line { line, used } if used <= buffered_max + 1 => (line, used),
            Frame::Line { .. } | Frame::TooLong | Frame::LongGet => {
                seen.push("a long line".into());
                return Next::End;
            }
        };
        assert!(used <= received.len() && line.len() < used, "{used} of {} bytes", received.len());
        assert!(received[..used].ends_with(b"\n") && !line.contains(&b'\n'));
        let command = parse(line, limits);
        check(line, &command);
        seen.push(format!("{command:?}"));
        let skip = match command {
            Command::Store(store) => u64::from(store.len) + DATA_ENDING_LEN,
            Command::Meta(meta) if meta.verb == MetaVerb::Set => u64::from(meta.len) + DATA_ENDING_LEN,
            Command::ReplyAndSkip { skip, .. } => skip,
            _ => 0,
        };
        Next::Used(used as u64 + skip)
    });
    seen
}

/// What `write` writes into `room` bytes, which must suffice, with a guard behind them that must stay.
pub fn written(room: usize, write: impl FnOnce(&mut [u8]) -> usize) -> Vec<u8> {
    let mut out = vec![GUARD; room + 1];
    let len = write(&mut out[..room]);
    assert_eq!(out[room], GUARD);
    out.truncate(len);
    out
}
