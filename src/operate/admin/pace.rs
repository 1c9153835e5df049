//! The time a client of the admin endpoint has, by how far its exchange is. Whoever dawdles is cut off: there are few connections,
//! and a text that waits to be taken is memory.

use glommio::sync::StaticPermit;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// From the first byte of a request, or from the beginning of the connection, to the end of the head.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// From there to the end of the answer, in the socket's buffer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// From one answer to the next request: more than scrapers usually rest.
const IDLE_WITHIN: Duration = Duration::from_secs(90);

/// How often the time is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far an exchange is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is expected, or on its way.
    Head,
    /// The answer is being made or sent; true: its first bytes have been.
    Answer(bool),
    /// An answer has been sent.
    Idle,
}

/// See the module comment.
pub struct Pace {
    phase: Cell<Phase>,
    /// When its time is over.
    until: Cell<Instant>,
    /// What the answer holds until it has been sent.
    held: RefCell<Option<StaticPermit>>,
}

impl Default for Pace {
    fn default() -> Pace {
        let until = Cell::new(Instant::now() + HEAD_WITHIN);
        Pace { phase: Cell::new(Phase::Head), until, held: RefCell::default() }
    }
}

impl Pace {
    fn enter(&self, phase: Phase, limit: Duration) {
        self.phase.set(phase);
        self.until.set(Instant::now() + limit);
    }

    /// Bytes have come.
    pub fn received(&self) {
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head, HEAD_WITHIN);
        }
    }

    /// A head is complete.
    pub fn answering(&self) {
        self.enter(Phase::Answer(false), ANSWER_WITHIN);
    }

    /// The answer keeps `permit` until it has been sent.
    pub fn hold(&self, permit: StaticPermit) {
        *self.held.borrow_mut() = Some(permit);
    }

    /// Bytes of the answer have left.
    pub fn sent(&self) {
        if self.phase.get() == Phase::Answer(false) {
            self.phase.set(Phase::Answer(true));
        }
    }

    /// Nothing is left to be sent. Answers are written as a whole, so this is the end of one if it has begun.
    pub fn flushed(&self) {
        if self.phase.get() == Phase::Answer(true) {
            self.enter(Phase::Idle, IDLE_WITHIN);
            self.held.borrow_mut().take();
        }
    }

    /// Ends when the client has taken too long, up to a second late.
    pub async fn overdue(&self) {
        loop {
            let left = self.until.get().saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            glommio::timer::sleep(left.min(LOOK_EVERY)).await;
        }
    }
}

/// What `work` gives, unless `end` ends first.
pub async fn unless<T>(end: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let (mut end, mut work) = (pin!(end), pin!(work));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pace: &Pace) -> Duration {
        pace.until.get() - Instant::now()
    }

    #[test]
    fn each_part_of_an_exchange_has_its_time() {
        let pace = Pace::default();
        let first = pace.until.get();
        pace.received();
        assert_eq!(pace.until.get(), first, "a byte now and then is no more time");
        pace.answering();
        assert!(left(&pace) > HEAD_WITHIN && left(&pace) <= ANSWER_WITHIN);
        pace.flushed();
        assert!(pace.phase.get() == Phase::Answer(false), "nothing of the answer has been sent");
        pace.sent();
        pace.flushed();
        assert!(left(&pace) > ANSWER_WITHIN && left(&pace) <= IDLE_WITHIN);
        pace.received();
        assert!(left(&pace) <= HEAD_WITHIN, "the next head");
    }
}
