//! What the targets share: ways to cut a stream into the pieces it may arrive in.

/// The sizes of the pieces each stream is fed in, in bytes: one by one, a few at a time, and more than a line is
/// buffered.
pub const PIECE_SIZES: [usize; 4] = [1, 7, 100, 3000];

/// Checks that `read` sees the same in `stream` whole as in pieces of each of [`PIECE_SIZES`].
pub fn same_however_cut<T: PartialEq + std::fmt::Debug>(stream: &[u8], read: impl Fn(&[&[u8]]) -> T) {
    let whole = read(&[stream]);
    for size in PIECE_SIZES {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(read(&pieces), whole, "in pieces of {size} bytes");
    }
}
