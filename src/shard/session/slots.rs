//! The reply slots of one connection: how answers that come in any order leave in request order.
//!
//! While nothing is outstanding there are no slots and replies go straight into the outbox. From the first foreign request
//! on, every reply takes a slot; slots leave from the front as they become ready. All their text lies in one buffer,
//! `held`, in the order in which it came.

use crate::shard::mesh::held::Held;
use crate::shard::telemetry::SentAway;
use std::collections::VecDeque;

/// Foreign requests of one connection that may be outstanding; further requests of it wait. Their answers may all be of
/// the longest kind, so the text of a connection is at most `HELD_MAX` and this many times `REPLY_USUAL`, 359 KiB.
pub const WAITING_MAX: usize = 64;

/// Bytes of text that may wait behind an outstanding answer; further requests of the connection wait.
pub const HELD_MAX: usize = 64 * 1024;

/// Bytes of pinned values that may wait in slots; further requests of the connection wait.
pub const VALUES_MAX: usize = 256 * 1024;

/// Bytes that an empty buffer keeps.
const SPARE_BYTES: usize = 2 * 1024;

/// A reply to be.
pub enum Slot {
    /// The answer is outstanding.
    Waiting(SentAway),
    /// The text is `held[start..start + len]`, then `value` and a line end if there is one.
    Ready {
        /// Offset in `held`.
        start: usize,
        /// Bytes of text.
        len: usize,
        /// A value to send behind the text, not copied.
        value: Option<Held>,
    },
    /// Text of the cold path.
    Heap(Box<[u8]>),
}

/// See the module comment.
#[derive(Default)]
pub struct Slots {
    queue: VecDeque<Slot>,
    held: Vec<u8>,
    first: u32, // number of the front slot; numbers wrap
    waiting: usize,
    value_bytes: usize, // of pinned values
    heap_bytes: usize,  // of texts of the cold path
}

impl Slots {
    /// Bytes of memory of its list when as many requests are outstanding as may be.
    pub const LIST_BYTES: usize = WAITING_MAX * size_of::<Slot>();

    /// Nothing outstanding and nothing waiting to leave.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// No further request may be taken now.
    pub fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX || self.held.len() >= HELD_MAX || self.value_bytes >= VALUES_MAX
    }

    /// Answers outstanding.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of memory beyond what empty slots keep.
    pub fn held_bytes(&self) -> usize {
        let places = self.queue.capacity().saturating_sub(WAITING_MAX);
        self.held.capacity().saturating_sub(SPARE_BYTES) + places * size_of::<Slot>() + self.heap_bytes
    }

    /// The front slot can leave.
    pub fn front_is_ready(&self) -> bool {
        self.queue.front().is_some_and(|slot| !matches!(slot, Slot::Waiting(_)))
    }

    /// Gives back memory that an unusual load has left.
    pub fn shrink(&mut self) {
        if self.queue.is_empty() {
            self.held.shrink_to(SPARE_BYTES);
            self.queue.shrink_to(WAITING_MAX);
        }
    }

    /// The number that the next slot to be opened gets.
    pub fn next_number(&self) -> u32 {
        self.first.wrapping_add(self.queue.len() as u32)
    }

    /// Opens a slot for an outstanding answer; returns its number.
    pub fn open(&mut self, sent: SentAway) -> u32 {
        let number = self.next_number();
        self.queue.push_back(Slot::Waiting(sent));
        self.waiting += 1;
        number
    }

    /// The answer of slot `number` has come; returns what was remembered of the request.
    pub fn fill(&mut self, number: u32, text: &[u8], value: Option<Held>) -> Option<SentAway> {
        let start = self.hold(text);
        self.value_bytes += bytes_of(&value);
        self.set(number, Slot::Ready { start, len: text.len(), value })
    }

    /// The answer of slot `number` has come, from the cold path.
    pub fn fill_heap(&mut self, number: u32, text: Box<[u8]>) {
        self.heap_bytes += text.len();
        self.set(number, Slot::Heap(text));
    }

    fn set(&mut self, number: u32, slot: Slot) -> Option<SentAway> {
        let place = self.queue.get_mut(number.wrapping_sub(self.first) as usize)?;
        self.waiting -= 1;
        match std::mem::replace(place, slot) {
            Slot::Waiting(sent) => Some(sent),
            _ => {
                debug_assert!(false, "an answer comes once");
                None
            }
        }
    }

    /// A reply that is ready at once but must wait for those before it.
    pub fn push(&mut self, text: &[u8], value: Option<Held>) {
        let start = self.hold(text);
        self.value_bytes += bytes_of(&value);
        if let (None, Some(Slot::Ready { start: s, len, value: None })) = (&value, self.queue.back_mut())
            && *s + *len == start
        {
            *len += text.len();
            return;
        }
        self.queue.push_back(Slot::Ready { start, len: text.len(), value });
    }

    fn hold(&mut self, text: &[u8]) -> usize {
        let start = self.held.len();
        self.held.extend_from_slice(text);
        start
    }

    /// Hands the front slot to `leave` if it is ready; `leave` gives it back if it cannot go yet. False when nothing left.
    pub fn pop(&mut self, leave: impl FnOnce(Slot, &[u8]) -> Result<(), Slot>) -> bool {
        match self.queue.pop_front() {
            None => return false,
            Some(slot @ Slot::Waiting(_)) => {
                self.queue.push_front(slot);
                return false;
            }
            Some(slot) => {
                let (value_bytes, heap_bytes) = match &slot {
                    Slot::Ready { value, .. } => (bytes_of(value), 0),
                    Slot::Heap(text) => (0, text.len()),
                    Slot::Waiting(_) => (0, 0),
                };
                if let Err(slot) = leave(slot, &self.held) {
                    self.queue.push_front(slot);
                    return false;
                }
                self.value_bytes -= value_bytes;
                self.heap_bytes -= heap_bytes;
            }
        }
        self.first = self.first.wrapping_add(1);
        if self.queue.is_empty() {
            self.held.clear();
        }
        true
    }

    /// Drops everything, for a connection that is going away; the values go to `released`.
    pub fn abandon(&mut self, released: &mut Vec<Held>) {
        for slot in self.queue.drain(..) {
            if let Slot::Ready { value: Some(value), .. } = slot {
                released.push(value);
            }
        }
        self.held.clear();
        self.waiting = 0;
        self.value_bytes = 0;
        self.heap_bytes = 0;
    }
}

fn bytes_of(value: &Option<Held>) -> usize {
    value.as_ref().map_or(0, |held| held.value.value_len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(slots: &mut Slots) -> String {
        let mut text = Vec::new();
        let mut leave = |slot, held: &[u8]| {
            match slot {
                Slot::Ready { start, len, .. } => text.extend_from_slice(&held[start..start + len]),
                Slot::Heap(bytes) => text.extend_from_slice(&bytes),
                Slot::Waiting(_) => unreachable!("a waiting slot never leaves"),
            }
            Ok(())
        };
        while slots.pop(&mut leave) {}
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn answers_in_any_order_leave_in_request_order() {
        let mut slots = Slots { first: u32::MAX - 1, ..Slots::default() }; // numbers wrap
        let a = slots.open(SentAway::UNTIMED);
        slots.push(b"B ", None);
        slots.push(b"C ", None);
        let d = slots.open(SentAway::UNTIMED);
        let e = slots.open(SentAway::UNTIMED);
        slots.push(b"F", None);
        slots.fill(e, b"E ", None);
        assert_eq!(drain(&mut slots), "");
        slots.fill(a, b"A ", None);
        assert_eq!(drain(&mut slots), "A B C ");
        slots.fill_heap(d, b"D ".to_vec().into());
        assert_eq!(drain(&mut slots), "D E F");
        assert!(slots.is_empty() && slots.held.is_empty() && slots.waiting == 0);
    }

    #[test]
    fn what_is_remembered_of_a_request_makes_no_slot_larger() {
        assert_eq!(size_of::<Slot>(), size_of::<(usize, usize, Option<Held>)>());
    }

    #[test]
    fn a_slot_that_cannot_leave_stays() {
        let mut slots = Slots::default();
        slots.push(b"first", None);
        assert!(!slots.pop(|slot, _| Err(slot)));
        assert_eq!(drain(&mut slots), "first");
    }

    #[test]
    fn too_many_outstanding_or_held_is_full() {
        let mut slots = Slots::default();
        (0..WAITING_MAX).for_each(|_| {
            assert!(!slots.is_full());
            slots.open(SentAway::UNTIMED);
        });
        assert!(slots.is_full());
        let mut slots = Slots::default();
        slots.push(&[0; HELD_MAX], None);
        assert!(slots.is_full());
    }
}
