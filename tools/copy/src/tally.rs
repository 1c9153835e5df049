//! What became of each key, and how it is told.

use std::fmt;

/// What became of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The other server has it now; its value has so many bytes.
    Copied(u64),
    /// The other server had it already.
    AlreadyThere,
    /// It ended, was deleted or was evicted between the listing and its turn.
    Gone,
    /// It was marked as stale (`md KEY I`): its owner wants it computed anew.
    Stale,
    /// The other server's `-I` is too small for it.
    TooLarge,
    /// The other server had no room for it, or one of the servers answered with another error.
    Refused,
    /// Its key cannot be written in the text protocol.
    Unreachable,
}

/// How many keys met which fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Keys of [`Fate::Copied`].
    pub copied: u64,
    /// Bytes of their values.
    pub copied_bytes: u64,
    /// Keys of [`Fate::AlreadyThere`].
    pub already_there: u64,
    /// Keys of [`Fate::Gone`].
    pub gone: u64,
    /// Keys of [`Fate::Stale`].
    pub stale: u64,
    /// Keys of [`Fate::TooLarge`].
    pub too_large: u64,
    /// Keys of [`Fate::Refused`].
    pub refused: u64,
    /// Keys of [`Fate::Unreachable`].
    pub unreachable: u64,
    /// The first refusal, in the server's words.
    pub first_refusal: Option<String>,
}

impl Tally {
    /// Counts one key.
    pub fn count(&mut self, fate: Fate) {
        let counter = match fate {
            Fate::Copied(bytes) => {
                self.copied_bytes += bytes;
                &mut self.copied
            }
            Fate::AlreadyThere => &mut self.already_there,
            Fate::Gone => &mut self.gone,
            Fate::Stale => &mut self.stale,
            Fate::TooLarge => &mut self.too_large,
            Fate::Refused => &mut self.refused,
            Fate::Unreachable => &mut self.unreachable,
        };
        *counter += 1;
    }

    /// Notes the words of a refusal.
    pub fn refusal(&mut self, words: impl FnOnce() -> String) {
        self.first_refusal.get_or_insert_with(words);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "copied {} ({:.1} MiB), already there {}, gone meanwhile {}, stale {}, too large {}, refused {}, unreachable {}",
            self.copied,
            self.copied_bytes as f64 / f64::from(1 << 20),
            self.already_there,
            self.gone,
            self.stale,
            self.too_large,
            self.refused,
            self.unreachable
        )?;
        match &self.first_refusal {
            Some(words) => write!(f, "; the first refusal: {words}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_has_its_counter() {
        let mut tally = Tally::default();
        let fates = [
            Fate::Copied(1 << 20),
            Fate::AlreadyThere,
            Fate::Gone,
            Fate::Stale,
            Fate::TooLarge,
            Fate::Refused,
            Fate::Unreachable,
        ];
        for (i, fate) in fates.into_iter().enumerate() {
            (0..=i).for_each(|_| tally.count(fate));
        }
        tally.refusal(|| "no room".into());
        tally.refusal(|| "later".into());
        let said = "copied 1 (1.0 MiB), already there 2, gone meanwhile 3, stale 4, too large 5, refused 6, unreachable 7; \
                    the first refusal: no room";
        assert_eq!(tally.to_string(), said);
    }
}
