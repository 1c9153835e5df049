//! For the model tests: a stream that arrives in pieces, read as a connection reads it.

/// What the reader made of the bytes not used so far.
pub(super) enum Next {
    /// More must come first.
    Wait,
    /// It is done with so many bytes from here on, not all of which need be here yet.
    Used(u64),
    /// The connection ends.
    End,
}

/// Gives what `pieces` bring to `step`, as often as there is something it has not used.
pub(super) fn read_pieces(pieces: &[&[u8]], mut step: impl FnMut(&[u8]) -> Next) {
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

/// `stream` cut at each of `cuts`, taken modulo its length.
pub(super) fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}
