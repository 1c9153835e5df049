//! What the kernel is shown of the stores' memory: a pinned value together with the shard that owns it, which an outbox
//! keeps while the value's bytes are being sent, and an upload, which a direct receive keeps while they come.
#![allow(unsafe_code)]

use crate::net::{StableBytes, StableRoom};
use crate::store::{Pinned, Upload};

/// A pinned value. Goes back to its owner when sent, by `Core::release`.
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

// SAFETY: the store neither moves nor frees the chunks of an upload, and nobody else looks at them, until `commit` or
// `abandon` takes the token back (module `store::pins`); they do not depend on where the token itself is.
unsafe impl StableRoom for Upload {
    fn pieces(&mut self, each: &mut dyn FnMut(&mut [u8]) -> bool) {
        self.regions(each);
    }

    fn fill(&mut self, len: usize) {
        Upload::fill(self, len);
    }
}
