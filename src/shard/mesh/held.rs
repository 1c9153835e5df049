//! A pinned value together with the shard that owns it: what an outbox keeps while the value's bytes are being sent.
#![allow(unsafe_code)]

use crate::net::StableBytes;
use crate::store::Pinned;

/// See the module comment. Goes back to its owner when sent, by `Core::release`.
pub struct Held {
    /// The shard whose store holds the value.
    pub owner: usize,
    /// The value.
    pub value: Pinned,
    /// CR LF follows it: it is part of a text.
    pub line_end: bool,
}

// SAFETY: the store neither moves nor changes nor frees a pinned value until `release` takes the pin back (module
// `store::pins`), and the slices do not depend on where the pin itself is.
unsafe impl StableBytes for Held {
    fn slices(&self, skip: usize, each: &mut dyn FnMut(&[u8]) -> bool) {
        let mut skip = skip;
        for piece in self.value.segments() {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            if skipped < piece.len() && !each(&piece[skipped..]) {
                return;
            }
        }
    }
}
