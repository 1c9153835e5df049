//! The beginning of a key, in fixed memory.

/// Bytes that are kept of a key: as many as memcached's keys have at most.
pub const KEY_COPY_MAX: usize = 250;

/// See the module comment.
#[derive(Clone, Copy)]
pub struct KeyCopy {
    bytes: [u8; KEY_COPY_MAX],
    kept: u8,
    is_cut: bool,
}

impl Default for KeyCopy {
    fn default() -> KeyCopy {
        KeyCopy { bytes: [0; KEY_COPY_MAX], kept: 0, is_cut: false }
    }
}

impl std::fmt::Debug for KeyCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.bytes().escape_ascii().to_string())
    }
}

impl KeyCopy {
    /// A copy of `key`, cut if it is longer than [`KEY_COPY_MAX`].
    pub fn of(key: &[u8]) -> KeyCopy {
        KeyCopy::of_beginning(key, false)
    }

    /// A copy of what is known of a key; `is_cut`: there was more.
    pub fn of_beginning(key: &[u8], is_cut: bool) -> KeyCopy {
        let kept = key.len().min(KEY_COPY_MAX);
        let mut copy = KeyCopy { kept: kept as u8, is_cut: is_cut || kept < key.len(), ..KeyCopy::default() };
        copy.bytes[..kept].copy_from_slice(&key[..kept]);
        copy
    }

    /// What is kept of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.kept)]
    }

    /// The key is longer.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_cut_and_say_so() {
        let long = [b'x'; KEY_COPY_MAX + 1];
        let copy = KeyCopy::of(&long);
        assert_eq!((copy.bytes(), copy.is_cut()), (&long[..KEY_COPY_MAX], true));
        let copy = KeyCopy::of(&long[1..]);
        assert_eq!((copy.bytes(), copy.is_cut()), (&long[1..], false));
        assert!(KeyCopy::of_beginning(b"be", true).is_cut());
        assert_eq!(KeyCopy::default().bytes(), b"");
    }
}
