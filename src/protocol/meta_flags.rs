//! The flags of a meta command: single letters, some with an argument behind them.
//!
//! [`MetaFlags`] is what is left of them after parsing: numbers, and the letters whose order matters. It is plain old
//! data, so that it can be sent to the shard that owns the key as the bytes it is. Any bytes are a valid value and no
//! method panics on odd ones.
//!
//! Order matters in two ways. The answer repeats what the request asks for in the request's order. And times are set and
//! told from left to right: `t T60` tells the time left before the item gets a minute, `T60 t` tells 60; `R` judges what
//! stands when its turn comes. [`MetaFlags::times`] walks through that.
//!
//! Letters: `A` to `Z` change what the command does, `a` to `z` mostly what it answers; case matters.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::binary_key::is_binary_key;
use super::exptime::{Exptime, NEVER_S};
use super::meta::MetaVerb;
use super::number::{parse_i64, parse_u32, parse_u64};
use super::reply::text;
use super::storage::StoreVerb;

/// The longest argument of `O`, in bytes.
pub const OPAQUE_LEN_MAX: usize = 31;

/// The letters memcached knows. All are allowed in every command; a command ignores those it has no use for.
const KNOWN: u64 = letters(b"bcfhklqstuvxCDEFIJLMNOPRT");

/// How many letters can be in [`MetaFlags::ordered`]: as many as `mg` keeps.
const ORDERED_MAX: usize = 11;

/// The flags of one meta command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MetaFlags {
    /// Which letters are there, a bit each, `A` lowest.
    present: u64,
    /// `C`.
    compare: u64,
    /// `E`.
    given_cas: u64,
    /// `D`.
    delta: u64,
    /// `J`.
    initial: u64,
    /// `T`, as sent.
    touch_s: i64,
    /// `N`, as sent.
    vivify_s: i64,
    /// `R`, as sent.
    recache_s: i64,
    /// `F`.
    client_flags: u32,
    /// The first byte behind `M`, or 0.
    pub(super) mode: u8,
    /// Bytes of `opaque`.
    opaque_len: u8,
    /// Those letters of the request whose order matters to its command, in that order; 0 behind the last.
    ordered: [u8; ORDERED_MAX],
    /// `O`.
    opaque: [u8; OPAQUE_LEN_MAX],
}

/// How grave a [`Flaw`] is. One line gets one answer, about the gravest; of equally grave ones the last is told, but
/// [`Gravity::Flag`] ends the reading of flags, so that the first is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gravity {
    /// The opaque token.
    Opaque,
    /// The mode.
    Mode,
    /// `F`'s number.
    ClientFlags,
    /// Any other argument.
    Argument,
    /// A letter that is not known, or twice there.
    Flag,
    /// The line as a whole: its key or the number of its tokens.
    Line,
}

/// What is wrong with a command, and what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) gravity: Gravity,
    pub(super) text: &'static [u8],
}

impl Flaw {
    fn of_argument(text: &'static [u8]) -> Flaw {
        Flaw { gravity: Gravity::Argument, text }
    }
}

/// What a command does to the time of its item and what it says about it, on the shard's clock in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaTimes {
    /// When the item expires from now on.
    pub expires_s: u32,
    /// What `t` tells: when the item expires, as of `t`'s place in the request.
    pub told_s: u32,
    /// Whether `R` finds the item to end sooner than it allows: this client wins, if no other has.
    pub recache: bool,
}

impl MetaTimes {
    /// The seconds left that `t` tells; `None` is never. It is 0 for an item that is over, where memcached's number wraps.
    #[inline]
    pub fn told_ttl_s(&self, now_s: u32) -> Option<u32> {
        (self.told_s != NEVER_S).then(|| self.told_s.saturating_sub(now_s))
    }
}

/// The bit of `letter`, which is in `A..=z`; none for other bytes.
const fn bit(letter: u8) -> u64 {
    if letter >= b'A' && letter <= b'z' { 1 << (letter - b'A') } else { 0 }
}

/// The bits of several letters.
const fn letters(mut letters: &[u8]) -> u64 {
    let mut bits = 0;
    while let [letter, rest @ ..] = letters {
        bits |= bit(*letter);
        letters = rest;
    }
    bits
}

/// The letters whose order matters to a command: what it answers, and what acts on the time it answers.
const fn ordered_of(verb: MetaVerb) -> u64 {
    match verb {
        MetaVerb::Get => const { letters(b"OkcfhlstTNR") },
        MetaVerb::Set => const { letters(b"Okcs") },
        MetaVerb::Delete => const { letters(b"Ok") },
        MetaVerb::Arith => const { letters(b"OkctTN") },
        MetaVerb::Debug => 0,
    }
}

impl MetaFlags {
    /// No flags.
    pub(super) const NONE: MetaFlags = MetaFlags {
        present: 0,
        compare: 0,
        given_cas: 0,
        delta: 1,
        initial: 0,
        touch_s: 0,
        vivify_s: 0,
        recache_s: 0,
        client_flags: 0,
        mode: 0,
        opaque_len: 0,
        ordered: [0; ORDERED_MAX],
        opaque: [0; OPAQUE_LEN_MAX],
    };

    /// Takes one flag of a command for `key`, which is the text that `b` says is base64.
    #[inline]
    pub(super) fn add(
        &mut self,
        verb: MetaVerb,
        key: &[u8],
        letter: u8,
        argument: &[u8],
    ) -> Result<(), Flaw> {
        let bit = bit(letter);
        if self.present & bit != 0 {
            return Err(Flaw { gravity: Gravity::Flag, text: text::DUPLICATE_FLAG });
        }
        if KNOWN & bit == 0 {
            return Err(Flaw { gravity: Gravity::Flag, text: text::INVALID_FLAG });
        }
        self.present |= bit;
        if ordered_of(verb) & bit != 0
            && let Some(free) = self.ordered.iter_mut().find(|slot| **slot == 0)
        {
            *free = letter;
        }
        self.take_argument(verb, key, letter, argument)
    }

    fn take_argument(&mut self, verb: MetaVerb, key: &[u8], letter: u8, argument: &[u8]) -> Result<(), Flaw> {
        let bad_token = Flaw::of_argument(text::BAD_TOKEN);
        match letter {
            b'C' => self.compare = parse_u64(argument).ok_or(bad_token)?,
            b'E' => self.given_cas = parse_u64(argument).ok_or(bad_token)?,
            b'T' => self.touch_s = parse_i64(argument).ok_or(bad_token)?,
            b'N' => self.vivify_s = parse_i64(argument).ok_or(bad_token)?,
            b'R' => self.recache_s = parse_i64(argument).ok_or(bad_token)?,
            b'D' => self.delta = parse_u64(argument).ok_or(Flaw::of_argument(text::INVALID_DELTA_VALUE))?,
            b'J' => {
                self.initial = parse_u64(argument).ok_or(Flaw::of_argument(text::INVALID_INITIAL_VALUE))?
            }
            b'F' => {
                let flaw = Flaw { gravity: Gravity::ClientFlags, text: text::BAD_FORMAT };
                self.client_flags = parse_u32(argument).ok_or(flaw)?;
            }
            b'b' => {
                return if is_binary_key(key) {
                    Ok(())
                } else {
                    Err(Flaw::of_argument(text::UNDECODABLE_KEY))
                };
            }
            b'M' => return self.take_mode(verb, argument),
            b'O' => return self.take_opaque(argument),
            _ => {}
        }
        Ok(())
    }

    /// Only the first byte counts: `MEXTRA` is `ME`.
    fn take_mode(&mut self, verb: MetaVerb, argument: &[u8]) -> Result<(), Flaw> {
        let (allowed, text): (&[u8], _) = match verb {
            MetaVerb::Set => (b"SEAPR", text::INVALID_STORE_MODE),
            MetaVerb::Arith => (b"ID+-", text::INVALID_ARITH_MODE),
            _ => return Ok(()),
        };
        let mode = argument.first().filter(|mode| allowed.contains(mode));
        self.mode = *mode.ok_or(Flaw { gravity: Gravity::Mode, text })?;
        Ok(())
    }

    fn take_opaque(&mut self, argument: &[u8]) -> Result<(), Flaw> {
        let flaw = Flaw { gravity: Gravity::Opaque, text: text::OPAQUE_TOO_LONG };
        self.opaque.get_mut(..argument.len()).ok_or(flaw)?.copy_from_slice(argument);
        self.opaque_len = argument.len() as u8;
        Ok(())
    }

    /// Whether `letter` was sent.
    #[inline]
    pub(super) fn has(&self, letter: u8) -> bool {
        self.present & bit(letter) != 0
    }

    /// `q`: the usual outcome is left unanswered. `mg` keeps back EN, `ms` and `md` HD, `ma` HD and VA; `me` knows no
    /// flags but `b`. Errors are always answered.
    #[inline]
    pub fn quiet(&self) -> bool {
        self.has(b'q')
    }

    /// `b`: the key is base64, and decodes; see [`decode_key`](super::decode_key). `ms` marks the item, so that its key is
    /// always shown as base64.
    #[inline]
    pub fn base64_key(&self) -> bool {
        self.has(b'b')
    }

    /// `v` of `mg`, `ma`: the answer carries the value.
    #[inline]
    pub fn wants_value(&self) -> bool {
        self.has(b'v')
    }

    /// `C`: this CAS, if sent. `mg` leaves out the value of an item that has it. `ms`, `md`, `ma` do nothing to an item that
    /// has another; 0 is never equal to an item's in a set or replace, and no condition in an append, prepend or `ma`.
    #[inline]
    pub fn compare(&self) -> Option<u64> {
        self.has(b'C').then_some(self.compare)
    }

    /// `E`: what is stored gets this CAS rather than the next of the server's own.
    #[inline]
    pub fn given_cas(&self) -> Option<u64> {
        self.has(b'E').then_some(self.given_cas)
    }

    /// `T`: the new expiration time. For `mg` and `ma` see [`times`](Self::times).
    #[inline]
    pub fn touch(&self) -> Option<Exptime> {
        self.has(b'T').then_some(Exptime(self.touch_s))
    }

    /// `N`: a missing item is created, with this expiration time. For `mg` and `ma` see [`times`](Self::times); `ms` heeds it
    /// in an append or prepend only.
    #[inline]
    pub fn vivify(&self) -> Option<Exptime> {
        self.has(b'N').then_some(Exptime(self.vivify_s))
    }

    /// `R` of `mg`: an item with less time left is to be refreshed by the client told so. See [`times`](Self::times).
    #[inline]
    pub fn recache(&self) -> Option<Exptime> {
        self.has(b'R').then_some(Exptime(self.recache_s))
    }

    /// `u` of `mg`: the item is not counted as used; neither its place among the least recent nor `h` nor `l` change.
    #[inline]
    pub fn no_bump(&self) -> bool {
        self.has(b'u')
    }

    /// `I`. `md`: the item stays, marked stale. `ms` with a [`compare`](Self::compare) below the item's CAS: it is stored,
    /// marked stale.
    #[inline]
    pub fn invalidate(&self) -> bool {
        self.has(b'I')
    }

    /// `x` of `md`: the item stays, without its value; its client flags and expiration time become `F` and `T`.
    #[inline]
    pub fn drop_value(&self) -> bool {
        self.has(b'x')
    }

    /// `F`: the client's own flags, or 0.
    #[inline]
    pub fn client_flags(&self) -> u32 {
        self.client_flags
    }

    /// `D` of `ma`: by how much, or 1.
    #[inline]
    pub fn delta(&self) -> u64 {
        self.delta
    }

    /// `J` of `ma`: the number a created item starts with, or 0. The delta is not applied to it.
    #[inline]
    pub fn initial(&self) -> u64 {
        self.initial
    }

    /// `M` of `ma`: up, wrapping at 2^64, or else down, stopping at 0.
    #[inline]
    pub fn increment(&self) -> bool {
        !matches!(self.mode, b'D' | b'-')
    }

    /// `M` of `ms`, set if absent. With [`compare`](Self::compare) set and replace are [`StoreVerb::Cas`].
    #[inline]
    pub fn store_verb(&self) -> StoreVerb {
        match self.mode {
            b'E' => StoreVerb::Add,
            b'A' => StoreVerb::Append,
            b'P' => StoreVerb::Prepend,
            _ if self.has(b'C') => StoreVerb::Cas,
            b'R' => StoreVerb::Replace,
            _ => StoreVerb::Set,
        }
    }

    /// The argument of `O`, at most [`OPAQUE_LEN_MAX`] bytes.
    #[inline]
    pub(super) fn opaque(&self) -> &[u8] {
        self.opaque.get(..usize::from(self.opaque_len)).unwrap_or(&self.opaque)
    }

    /// The letters whose order matters to the command, in the order of the request.
    #[inline]
    pub(super) fn ordered(&self) -> impl Iterator<Item = u8> {
        self.ordered.into_iter().take_while(|&letter| letter != 0)
    }

    /// Follows the time of an item through `T`, `N`, `R` and `t` of `mg` or `ma`, from left to right.
    ///
    /// `expires_s` is when the item met by the command expires. `created` says that there was none and `N` has made one: it
    /// never expires until `N` or `T` says so. `on_clock` is [`Exptime::to_expires_s`] at this moment.
    #[inline]
    pub fn times(
        &self,
        expires_s: u32,
        created: bool,
        mut on_clock: impl FnMut(Exptime) -> u32,
    ) -> MetaTimes {
        let expires_s = if created { NEVER_S } else { expires_s };
        let mut times = MetaTimes { expires_s, told_s: expires_s, recache: false };
        for letter in self.ordered() {
            match letter {
                b'T' => times.expires_s = on_clock(Exptime(self.touch_s)),
                b'N' if created => times.expires_s = on_clock(Exptime(self.vivify_s)),
                b'R' if !created && times.expires_s != NEVER_S => {
                    times.recache = times.expires_s < on_clock(Exptime(self.recache_s));
                }
                b't' => times.told_s = times.expires_s,
                _ => {}
            }
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each order of times means for an item that ends at 130, met at 100, and for a created one.
    #[test]
    fn times_are_followed_from_left_to_right() {
        for (line, created, expires_s, told_s, recache) in [
            ("t", false, 130, 130, false),
            ("t T60", false, 160, 130, false),
            ("T60 t", false, 160, 160, false),
            ("T0 t", false, 0, 0, false),
            ("R40", false, 130, 130, true),
            ("R30", false, 130, 130, false),
            ("R0", false, 130, 130, false),
            ("R-1", false, 130, 130, false),
            ("R40 T60", false, 160, 130, true),
            ("T60 R40", false, 160, 130, false),
            ("T0 R40", false, 0, 130, false),
            ("N50 t", false, 130, 130, false),
            ("t N50", true, 150, 0, false),
            ("N50 t", true, 150, 150, false),
            ("t N50 T60", true, 160, 0, false),
            ("T60 N50 t", true, 150, 150, false),
            ("N50 T60 t", true, 160, 160, false),
            ("T60 t N50", true, 150, 160, false),
            ("N50 T-1 t", true, 1, 1, false),
            ("N50 R60 t", true, 150, 150, false),
        ] {
            let mut flags = MetaFlags::NONE;
            for token in line.split(' ') {
                let (letter, argument) = token.as_bytes().split_first().expect("a letter");
                flags.add(MetaVerb::Get, b"key", *letter, argument).expect("a good flag");
            }
            let times = flags.times(130, created, |exptime| exptime.to_expires_s(100, 1_767_225_600));
            // Without `t` nobody asks what it would tell.
            let told_s = if line.contains('t') { told_s } else { times.told_s };
            assert_eq!(times, MetaTimes { expires_s, told_s, recache }, "{line:?}");
        }
    }

    #[test]
    fn seconds_left_are_told() {
        for (told_s, ttl_s) in [(NEVER_S, None), (130, Some(30)), (100, Some(0)), (1, Some(0))] {
            let times = MetaTimes { expires_s: 7, told_s, recache: false };
            assert_eq!(times.told_ttl_s(100), ttl_s);
        }
    }

    #[test]
    fn any_bytes_are_flags_and_break_nothing() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let bytes = [byte; size_of::<MetaFlags>()];
            let flags = MetaFlags::read_from_bytes(&bytes).expect("the right size");
            assert_eq!(flags.as_bytes(), bytes);
            assert!(flags.opaque().len() <= OPAQUE_LEN_MAX);
            assert!(flags.ordered().count() <= ORDERED_MAX);
            let _ = (flags.times(1, true, |_| 2), flags.store_verb(), flags.increment());
        }
    }

    #[test]
    fn flags_are_as_short_as_their_message_has_room_for() {
        assert_eq!(size_of::<MetaFlags>(), 112);
    }
}
