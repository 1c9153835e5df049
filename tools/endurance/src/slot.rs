//! What the one client that writes a key knows of it: exactly what it wrote last, or nothing. Memory is short on purpose, so
//! anything may be gone at any time; but what is found has to be the last that was written, and what is gone has to stay gone.

use std::time::{Duration, Instant};

use crate::connection::ANSWERS_WITHIN;
use crate::protocol::{Answer, Found};

/// How long after its lifetime an item may still be seen: the server's clock has seconds, and the answer takes its time.
const LIFETIME_SLACK: Duration = Duration::from_secs(2);

/// What is known when a request is sent.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Before the request was sent.
    pub at: Instant,
    /// When the last `flush_all` began that was answered by then.
    pub flushed: Option<Instant>,
}

/// Who should have ended the item.
type Complaint = Result<(), String>;

#[derive(Clone, Copy, Debug)]
struct Held {
    /// A version, or the number itself.
    value: u64,
    cas: Option<u64>,
    /// By when it was stored.
    since: Instant,
    dead_from: Option<Instant>,
}

/// See the module comment; none: the key holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot(Option<Held>);

/// The end of a lifetime that began at `done` or before.
fn end_of(lifetime_s: u32, done: Instant) -> Option<Instant> {
    let lifetime = Duration::from_secs(lifetime_s.into());
    (lifetime_s > 0).then(|| done + lifetime + LIFETIME_SLACK)
}

impl Slot {
    /// What it holds, if anything.
    pub fn value(&self) -> Option<u64> {
        self.0.map(|held| held.value)
    }

    /// The CAS number of what it holds, if it has been read.
    pub fn cas(&self) -> Option<u64> {
        self.0.and_then(|held| held.cas)
    }

    /// Why a server that answered as if the item were there at `moment` is wrong, if it is.
    fn there(&self, moment: Moment) -> Complaint {
        let Some(held) = self.0 else { return Err("it was gone, and is back".into()) };
        if held.dead_from.is_some_and(|end| moment.at > end) {
            return Err("its lifetime is over".into());
        }
        if moment.flushed.is_some_and(|began| held.since < began) {
            return Err("it is older than the last flush_all".into());
        }
        Ok(())
    }

    /// A get was answered.
    ///
    /// # Errors
    /// Why that is wrong; so below.
    pub fn read(&mut self, found: Option<Found>, moment: Moment) -> Complaint {
        let Some(found) = found else {
            self.0 = None;
            return Ok(());
        };
        self.there(moment)?;
        let Some(held) = &mut self.0 else { return Ok(()) };
        if held.value != u64::from(found.version) {
            return Err(format!(
                "it holds version {}, not the last one written, {}",
                found.version, held.value
            ));
        }
        if held.cas.is_some_and(|cas| cas != found.cas) {
            return Err(format!("the same version has CAS number {} and {:?}", found.cas, held.cas));
        }
        held.cas = Some(found.cas);
        Ok(())
    }

    /// A store of `value` was answered, or, with no answer, was quiet. `expected_cas`: the CAS number it was bound to, and whether
    /// that was the right one.
    pub fn stored(
        &mut self,
        answer: Option<&Answer>,
        value: u64,
        lifetime_s: u32,
        cas_was_right: Option<bool>,
        moment: Moment,
    ) -> Complaint {
        match (answer, cas_was_right) {
            (Some(Answer::Done), Some(false)) => {
                return Err("a store with a wrong CAS number took place".into());
            }
            (Some(Answer::Done), Some(true)) => self.there(moment)?,
            (Some(Answer::Exists), Some(false)) => return self.there(moment),
            (Some(Answer::NotFound), Some(_)) | (Some(Answer::Refused), _) => {
                self.0 = None;
                return Ok(());
            }
            (None | Some(Answer::Done), None) => {}
            (answer, _) => return Err(format!("a store was answered with {answer:?}")),
        }
        // What is quiet has only been sent; the answer to what comes behind it tells that it has been done.
        let done = Instant::now() + if answer.is_none() { ANSWERS_WITHIN } else { Duration::ZERO };
        self.0 = Some(Held { value, cas: None, since: done, dead_from: end_of(lifetime_s, done) });
        Ok(())
    }

    /// A delete was answered.
    #[allow(missing_docs, clippy::missing_errors_doc, reason = "as `read`")]
    pub fn deleted(&mut self, answer: &Answer, moment: Moment) -> Complaint {
        let was_there = if *answer == Answer::Done { self.there(moment) } else { Ok(()) };
        self.0 = None;
        match answer {
            Answer::Done | Answer::NotFound => was_there,
            answer => Err(format!("a delete was answered with {answer:?}")),
        }
    }

    /// A touch was answered.
    #[allow(missing_docs, clippy::missing_errors_doc, reason = "as `read`")]
    pub fn touched(&mut self, answer: &Answer, lifetime_s: u32, moment: Moment) -> Complaint {
        match answer {
            Answer::Done => {
                self.there(moment)?;
                if let Some(held) = &mut self.0 {
                    held.dead_from = end_of(lifetime_s, Instant::now());
                }
                Ok(())
            }
            Answer::NotFound => {
                self.0 = None;
                Ok(())
            }
            answer => Err(format!("a touch was answered with {answer:?}")),
        }
    }

    /// A number that was counted up `by` so much was answered.
    #[allow(missing_docs, clippy::missing_errors_doc, reason = "as `read`")]
    pub fn counted(&mut self, answer: &Answer, by: u64, moment: Moment) -> Complaint {
        match answer {
            Answer::Number(number) => {
                self.there(moment)?;
                let Some(held) = &mut self.0 else { return Ok(()) };
                if held.value + by != *number {
                    return Err(format!("{} and {by} make {number}", held.value));
                }
                held.value = *number;
                Ok(())
            }
            Answer::NotFound => {
                self.0 = None;
                Ok(())
            }
            answer => Err(format!("an increment was answered with {answer:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Moment {
        Moment { at: Instant::now(), flushed: None }
    }

    fn held(value: u64, lifetime_s: u32) -> Slot {
        let mut slot = Slot::default();
        slot.stored(Some(&Answer::Done), value, lifetime_s, None, now()).expect("a store");
        slot
    }

    fn found(version: u32, cas: u64) -> Option<Found> {
        Some(Found { key: 1, version, cas })
    }

    #[test]
    fn only_the_last_version_may_be_found_and_what_is_gone_stays_gone() {
        let mut slot = held(7, 0);
        assert_eq!(slot.read(found(7, 1), now()), Ok(()));
        assert_eq!(slot.read(found(7, 1), now()), Ok(()));
        assert!(slot.read(found(7, 2), now()).expect_err("another number").contains("CAS"));
        assert!(slot.read(found(6, 1), now()).expect_err("an older one").contains("version 6"));
        assert_eq!(slot.read(None, now()), Ok(()));
        assert!(slot.read(found(7, 1), now()).expect_err("a return").contains("back"));
        let mut slot = held(7, 0);
        assert_eq!(slot.deleted(&Answer::Done, now()), Ok(()));
        assert!(slot.deleted(&Answer::Done, now()).is_err());
        assert!(slot.touched(&Answer::Done, 1, now()).is_err());
        assert!(slot.counted(&Answer::Number(8), 1, now()).is_err());
    }

    #[test]
    fn time_and_flushes_end_items() {
        let mut slot = held(7, 3);
        let later = Moment { at: Instant::now() + Duration::from_secs(6), flushed: None };
        assert!(slot.read(found(7, 1), later).expect_err("dead").contains("lifetime"));
        assert_eq!(slot.touched(&Answer::Done, 0, now()), Ok(()));
        assert_eq!(slot.read(found(7, 1), later), Ok(()));
        let flushed = Moment { at: Instant::now(), flushed: Some(Instant::now()) };
        assert!(slot.read(found(7, 1), flushed).expect_err("flushed").contains("flush_all"));
        let mut quiet = Slot::default();
        quiet.stored(None, 7, 0, None, now()).expect("a store");
        assert_eq!(quiet.read(found(7, 1), flushed), Ok(()), "it may have been done behind the flush");
        let mut younger = held(8, 0);
        assert_eq!(younger.read(found(8, 2), flushed), Ok(()));
    }

    #[test]
    fn conditions_and_numbers_are_held() {
        let mut slot = held(7, 0);
        assert!(slot.stored(Some(&Answer::Done), 8, 0, Some(false), now()).is_err());
        assert_eq!(slot.stored(Some(&Answer::Exists), 8, 0, Some(false), now()), Ok(()));
        assert!(slot.stored(Some(&Answer::Exists), 8, 0, Some(true), now()).is_err());
        assert_eq!(slot.value(), Some(7));
        assert_eq!(slot.stored(Some(&Answer::Done), 8, 0, Some(true), now()), Ok(()));
        assert_eq!(slot.counted(&Answer::Number(10), 2, now()), Ok(()));
        assert!(slot.counted(&Answer::Number(10), 2, now()).is_err());
        assert_eq!(slot.stored(Some(&Answer::Refused), 9, 0, None, now()), Ok(()));
        assert_eq!(slot.value(), None);
    }
}
