//! A single-producer single-consumer queue of byte records between two shards.
//!
//! A ring of bytes rather than of fixed-size slots: a forwarded `get` is one cache line, a forwarded value of 4 KiB is not
//! cut into pieces, and both sides work on the record in place. Each record is an 8-byte header (its length) and its
//! bytes, padded to 8; a record never wraps: where it would, a [`SKIP`] header sends the reader to the start.
//!
//! `tail` is written by the producer alone, `head` by the consumer alone, each on its own cache line and only once a turn
//! ([`Producer::publish`], [`Consumer::publish`]), so a batch of records costs two shared lines. Positions are counted in
//! bytes and never wrap in practice (2^64); the offset in memory is the position modulo the capacity.
#![allow(unsafe_code)]

use super::sync::{Arc, AtomicU64, Ordering, Words};

const HEADER_BYTES: usize = 8;

/// The most a record takes beyond its own bytes: header and padding.
pub const RECORD_OVERHEAD_BYTES: usize = HEADER_BYTES + 8;

/// A header that means: the next record is at the start of the memory.
const SKIP: u64 = u64::MAX;

/// A cache line and its neighbour, which the prefetcher fetches along.
#[repr(align(128))]
struct Position(AtomicU64);

struct Shared {
    tail: Position,
    head: Position,
    memory: Words,
}

// SAFETY: the bytes between head and tail belong to the consumer, the others to the producer; there is one of each
// (neither is Clone), and ownership passes through the release store and acquire load of the two positions.
unsafe impl Sync for Shared {}
// SAFETY: plain memory and atomics.
unsafe impl Send for Shared {}

impl Shared {
    fn capacity(&self) -> usize {
        self.memory.len_bytes()
    }

    /// The record at the position `head`, and the position behind it.
    ///
    /// # Safety
    /// For the consumer alone: `head` is not before its published head, and before the tail that it has acquired; and it publishes no
    /// head beyond the record while the bytes are borrowed.
    unsafe fn record(&self, head: u64) -> (&[u8], u64) {
        let capacity = self.capacity();
        let (mut head, mut at) = (head, head as usize & (capacity - 1));
        // SAFETY: between head and tail (the caller's promise): written before the producer's release store of the tail.
        let mut len = unsafe { self.memory.to_read(at, HEADER_BYTES).cast::<u64>().read() };
        if len == SKIP {
            head += (capacity - at) as u64;
            at = 0;
            // SAFETY: as above; a skip is always published together with the record behind it.
            len = unsafe { self.memory.to_read(at, HEADER_BYTES).cast::<u64>().read() };
        }
        let len = len as usize;
        // SAFETY: as above; the producer does not touch these bytes before the consumer's head is published past them.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.to_read(at + HEADER_BYTES, len), len) };
        (bytes, head + (HEADER_BYTES + len.next_multiple_of(8)) as u64)
    }
}

/// The writing end.
pub struct Producer {
    shared: Arc<Shared>,
    tail: u64,       // ours, not yet published
    published: u64,  // what the consumer may see
    head: u64,       // what we last saw of the consumer
    skipped: usize,  // bytes before the start that the reserved record leaves unused
    reserved: usize, // bytes of it, 0 once it is committed
}

/// The reading end.
pub struct Consumer {
    shared: Arc<Shared>,
    head: u64,
    published: u64,
    tail: u64, // what we last saw of the producer
}

/// A queue of `capacity_bytes` (rounded up to a power of two). Records of up to half of it, headers included, always fit
/// some time.
pub fn queue(capacity_bytes: usize) -> (Producer, Consumer) {
    let zero = || Position(AtomicU64::new(0));
    let memory = Words::zeroed(capacity_bytes.next_power_of_two() / 8);
    let shared = Arc::new(Shared { tail: zero(), head: zero(), memory });
    (
        Producer { shared: shared.clone(), tail: 0, published: 0, head: 0, skipped: 0, reserved: 0 },
        Consumer { shared, head: 0, published: 0, tail: 0 },
    )
}

impl Producer {
    /// Room for a record of up to `len` bytes at the tail, or nothing while the queue is too full. Write into it, then
    /// [`commit`](Self::commit); reserving again without a commit gives the same room.
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        let capacity = self.shared.capacity();
        debug_assert!(HEADER_BYTES + len <= capacity / 2, "a record of {len} bytes in a queue of {capacity}");
        let need = HEADER_BYTES + len.next_multiple_of(8);
        let at = self.tail as usize & (capacity - 1);
        let skipped = if capacity - at < need { capacity - at } else { 0 };
        if !self.has_room(skipped + need) {
            return None;
        }
        self.skipped = skipped;
        self.reserved = len;
        let at = if skipped > 0 { 0 } else { at };
        let start = self.shared.memory.to_write(at + HEADER_BYTES, len);
        // SAFETY: the `need` bytes from `at` are contiguous, in bounds and the producer's until the tail is published
        // past them; `&mut self` is the only way to them. They were initialised to zero when the memory was made.
        Some(unsafe { std::slice::from_raw_parts_mut(start, len) })
    }

    fn has_room(&mut self, need: usize) -> bool {
        let capacity = self.shared.capacity() as u64;
        if self.tail + need as u64 - self.head <= capacity {
            return true;
        }
        self.head = self.shared.head.0.load(Ordering::Acquire);
        self.tail + need as u64 - self.head <= capacity
    }

    /// Ends the record begun by [`reserve`](Self::reserve) at `len` bytes (at most what was reserved).
    pub fn commit(&mut self, len: usize) {
        let reserved = std::mem::take(&mut self.reserved);
        debug_assert!(len <= reserved, "a record of {len} bytes in room for {reserved}");
        // The consumer trusts this length: beyond what was reserved it would read what is not there.
        let len = len.min(reserved);
        let mut at = self.tail as usize & (self.shared.capacity() - 1);
        if self.skipped > 0 {
            // SAFETY: the rest of the memory is ours (`reserve` checked the room), `at` is 8-aligned and in bounds.
            unsafe { self.shared.memory.to_write(at, HEADER_BYTES).cast::<u64>().write(SKIP) };
            self.tail += self.skipped as u64;
            self.skipped = 0;
            at = 0;
        }
        // SAFETY: the header in front of the reserved bytes, ours like them.
        unsafe { self.shared.memory.to_write(at, HEADER_BYTES).cast::<u64>().write(len as u64) };
        self.tail += (HEADER_BYTES + len.next_multiple_of(8)) as u64;
    }

    /// Shows all committed records to the consumer; true if there were any.
    pub fn publish(&mut self) -> bool {
        if self.tail == self.published {
            return false;
        }
        self.published = self.tail;
        self.shared.tail.0.store(self.tail, Ordering::Release);
        true
    }
}

impl Consumer {
    /// Takes the next record. Its bytes stay readable until the next call or [`publish`](Self::publish).
    pub fn take(&mut self) -> Option<&[u8]> {
        if !self.has_next() {
            return None;
        }
        // SAFETY: `has_next`: the head is before the acquired tail; publishing another needs `&mut self`, which lends the bytes.
        let (record, next) = unsafe { self.shared.record(self.head) };
        self.head = next;
        Some(record)
    }

    /// Shows up to `limit` of the records that come next, in order, and takes none.
    pub fn peek(&mut self, limit: usize, mut each: impl FnMut(&[u8])) {
        if !self.has_next() {
            return;
        }
        let mut at = self.head;
        for _ in 0..limit {
            if at == self.tail {
                return;
            }
            // SAFETY: from the head on, before the acquired tail; `each` cannot keep the bytes, and nothing is published meanwhile.
            let (record, next) = unsafe { self.shared.record(at) };
            each(record);
            at = next;
        }
    }

    fn has_next(&mut self) -> bool {
        if self.head == self.tail {
            self.tail = self.shared.tail.0.load(Ordering::Acquire);
        }
        self.head != self.tail
    }

    /// Gives the room of consumed records back to the producer.
    pub fn publish(&mut self) {
        if self.head != self.published {
            self.published = self.head;
            self.shared.head.0.store(self.head, Ordering::Release);
        }
    }

    /// Nothing to read, by a fresh look at what the producer has published.
    pub fn is_empty(&self) -> bool {
        self.shared.tail.0.load(Ordering::Acquire) == self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(producer: &mut Producer, bytes: &[u8]) -> bool {
        let Some(room) = producer.reserve(bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        producer.commit(bytes.len());
        true
    }

    #[test]
    fn records_are_seen_when_published_and_room_returns_when_published() {
        let (mut producer, mut consumer) = queue(256);
        assert!(put(&mut producer, b"hello"));
        assert!(consumer.take().is_none());
        assert!(producer.publish() && !producer.publish());
        assert_eq!(consumer.take(), Some(&b"hello"[..]));
        assert!(consumer.take().is_none() && consumer.is_empty());
        let mut count = 0;
        while put(&mut producer, &[7; 48]) {
            count += 1;
        }
        assert_eq!(count, 4, "56 bytes a record in 256, of which 16 are not given back yet");
        consumer.publish();
        producer.publish();
        assert_eq!(consumer.take(), Some(&[7u8; 48][..]));
    }

    #[test]
    fn a_shorter_commit_than_reserved_and_a_reserve_without_commit_are_fine() {
        let (mut producer, mut consumer) = queue(1024);
        producer.reserve(200).expect("room")[..3].copy_from_slice(b"abc");
        producer.commit(3);
        assert!(producer.reserve(240).is_some());
        producer.reserve(100).expect("room")[..1].copy_from_slice(b"d");
        producer.commit(1);
        producer.publish();
        assert_eq!(consumer.take(), Some(&b"abc"[..]));
        assert_eq!(consumer.take(), Some(&b"d"[..]));
        assert!(consumer.take().is_none());
    }

    #[test]
    fn a_peek_shows_what_comes_and_takes_nothing() {
        fn peeked(consumer: &mut Consumer, limit: usize) -> Vec<Vec<u8>> {
            let mut seen = vec![];
            consumer.peek(limit, |record| seen.push(record.to_vec()));
            seen
        }
        let (mut producer, mut consumer) = queue(128);
        assert!(peeked(&mut consumer, 9).is_empty());
        // The third of each round finds no room before the end of the memory and starts at its beginning.
        for round in 0..9u8 {
            let records = [vec![round; 3], vec![round + 1; 20], vec![round + 2; 33]];
            records[..2].iter().for_each(|record| assert!(put(&mut producer, record)));
            producer.publish();
            assert_eq!(peeked(&mut consumer, 9), records[..2]);
            assert_eq!(peeked(&mut consumer, 1), records[..1]);
            assert_eq!(consumer.take(), Some(&records[0][..]));
            consumer.publish();
            assert!(put(&mut producer, &records[2]));
            producer.publish();
            assert_eq!(consumer.take(), Some(&records[1][..]));
            assert_eq!(peeked(&mut consumer, 9), records[2..]);
            assert_eq!(consumer.take(), Some(&records[2][..]));
            consumer.publish();
            assert!(peeked(&mut consumer, 9).is_empty());
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "a record of 9 bytes in room for 8")]
    fn a_longer_commit_than_reserved_is_found() {
        let (mut producer, _consumer) = queue(256);
        assert!(producer.reserve(8).is_some());
        producer.commit(9);
    }

    /// Two threads, records of all lengths, each with its number and a sum: order, content and nothing lost.
    #[test]
    fn two_threads_agree_on_every_byte() {
        const RECORDS: u32 = 200_000;
        let (mut producer, mut consumer) = queue(4096);
        let writer = std::thread::spawn(move || {
            for n in 0..RECORDS {
                let mut record = vec![n as u8; 4 + (n as usize * 7) % 900];
                record[..4].copy_from_slice(&n.to_le_bytes());
                while !put(&mut producer, &record) {
                    producer.publish();
                    std::thread::yield_now();
                }
                if n % 5 == 0 {
                    producer.publish();
                }
            }
            producer.publish();
        });
        for n in 0..RECORDS {
            while consumer.is_empty() {
                consumer.publish();
                std::thread::yield_now();
            }
            let record = consumer.take().expect("just seen");
            assert_eq!(record[..4], n.to_le_bytes());
            assert_eq!(record.len(), 4 + (n as usize * 7) % 900);
            assert!(record[4..].iter().all(|b| *b == n as u8));
        }
        writer.join().expect("the writer ends well");
    }
}
