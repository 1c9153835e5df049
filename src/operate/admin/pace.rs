//! The time a client of the admin endpoint has, by how far its exchange is. Whoever dawdles is cut off: there are few connections,
//! and a text that waits to be taken is memory.

use glommio::sync::StaticPermit;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// From the beginning of the connection to the end of the head.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// From there to the end of the answer, in the socket's buffer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often the time is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module comment.
pub struct Pace {
    /// When the time for the part it is at is over.
    until: Cell<Instant>,
    /// What the answer holds until it has been sent, and the connection ends.
    held: Cell<Option<StaticPermit>>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { until: Cell::new(Instant::now() + HEAD_WITHIN), held: Cell::default() }
    }
}

impl Pace {
    /// The head is complete.
    pub fn answering(&self) {
        self.until.set(Instant::now() + ANSWER_WITHIN);
    }

    /// The answer keeps `permit` until it has been sent.
    pub fn hold(&self, permit: StaticPermit) {
        self.held.set(Some(permit));
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
