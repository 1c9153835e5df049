//! One connection's unsent bytes, in order, and the one send that may be in flight.
//!
//! Small replies are written straight into a block of the shard's pool. A large value is not copied: the outbox keeps the
//! pinned value and names its memory in a `sendmsg`. Block bytes and values alternate as *runs*; a block goes back to the
//! pool when its last run has been sent.
//!
//! Invariants: the bytes of a send in flight belong to runs that stay in the queue until the completion; a block is
//! written only behind its last run, never where the kernel may read.
#![allow(unsafe_code)]

use super::blocks::{BLOCK_BYTES, Block, BlockPool};
use std::collections::VecDeque;

/// Bytes that stay where they are, unchanged, while the value lives, even when the value itself is moved.
///
/// # Safety
/// The slices given by `slices` must keep their address and content until the value is dropped or released.
pub unsafe trait StableBytes {
    /// Calls `each` with the pieces behind the first `skip` bytes, in order, until it returns false.
    fn slices(&self, skip: usize, each: &mut dyn FnMut(&[u8]) -> bool);
}

// SAFETY: static bytes never move or change.
unsafe impl StableBytes for &'static [u8] {
    fn slices(&self, skip: usize, each: &mut dyn FnMut(&[u8]) -> bool) {
        each(&self[skip..]);
    }
}

/// Pieces in one `sendmsg`; what does not fit goes with the next send.
const PIECES_MAX: usize = 32;

/// Blocks one connection may fill before it has to wait for its peer to read; one while the pool is scarce.
pub const BLOCKS_MAX: usize = 8;

/// Runs at which a connection's requests wait. A reply adds three at most, so a queue never grows beyond 64 places.
const RUNS_MAX: usize = 60;

/// Unsent bytes, copied and pinned, at which a connection's requests wait.
pub const UNSENT_MAX: usize = 256 * 1024;

enum Run<P> {
    /// Bytes `start..end` of the front block; `last`: the block goes back after them.
    Block { start: u32, end: u32, last: bool },
    /// A pinned value of which `sent` bytes have left.
    Value { value: P, sent: usize, len: usize },
    /// Bytes from the heap: the cold path (stats).
    Heap { bytes: Box<[u8]>, sent: usize },
    /// The line end behind a value.
    LineEnd { sent: usize },
}

const LINE_END: &[u8] = b"\r\n";

/// What the kernel is given: `send` for one piece, `sendmsg` for several.
pub enum Send {
    /// One piece.
    Plain(*const u8, u32),
    /// Several; the header and its pieces live in the outbox until completion.
    Message(*const libc::msghdr),
}

/// The gather list of a send in flight. Boxed: the kernel may read it until completion.
struct Message {
    header: libc::msghdr,
    pieces: [libc::iovec; PIECES_MAX],
}

/// See the module comment. `P` is a pinned value.
pub struct Outbox<P> {
    runs: VecDeque<Run<P>>,
    blocks: VecDeque<Block>,
    write_at: usize, // in the last block
    unsent: usize,
    heap: usize, // bytes of runs from the heap
    in_flight: bool,
    message: Option<Box<Message>>,
}

impl<P> Default for Outbox<P> {
    fn default() -> Self {
        Outbox {
            runs: VecDeque::new(),
            blocks: VecDeque::new(),
            write_at: 0,
            unsent: 0,
            heap: 0,
            in_flight: false,
            message: None,
        }
    }
}

impl<P: StableBytes> Outbox<P> {
    /// Bytes of memory of its lists when they are longest.
    pub const LIST_BYTES: usize = (RUNS_MAX.next_power_of_two()) * size_of::<Run<P>>()
        + BLOCKS_MAX * size_of::<Block>()
        + size_of::<Message>();

    /// Nothing to send and nothing in flight.
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && !self.in_flight
    }

    /// Bytes not yet taken by the kernel.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Bytes of memory taken from the heap.
    pub fn heap_bytes(&self) -> usize {
        self.heap
    }

    /// So much is unsent that the connection's requests have to wait.
    pub fn is_full(&self) -> bool {
        self.unsent >= UNSENT_MAX || self.runs.len() >= RUNS_MAX
    }

    /// A send has been submitted and not completed.
    pub fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Room for a reply of up to `min` bytes (at most [`BLOCK_BYTES`]), or nothing when this connection has too much
    /// unsent or the pool is empty: its requests then wait for a send to complete.
    pub fn space<'a>(&'a mut self, pool: &'a mut BlockPool, min: usize) -> Option<&'a mut [u8]> {
        if self.is_full() {
            return None;
        }
        if BLOCK_BYTES - self.write_at < min && self.open_run().is_none() {
            self.write_at = 0; // the last block has been sent whole
        }
        if self.blocks.is_empty() || BLOCK_BYTES - self.write_at < min {
            if self.blocks.len() >= if pool.is_scarce() { 1 } else { BLOCKS_MAX } {
                return None;
            }
            let block = pool.take()?;
            if let Some(last) = self.open_run() {
                *last = true; // the old last block gets no more bytes
            }
            self.blocks.push_back(block);
            self.write_at = 0;
        }
        let at = self.write_at;
        let block = self.blocks.back_mut()?;
        Some(pool.space(block, at))
    }

    /// The mark of the newest run of the last block, if any of its runs is still queued. Every older block's newest run is
    /// marked `last`, so an unmarked one is the last block's.
    fn open_run(&mut self) -> Option<&mut bool> {
        let newest = self.runs.iter_mut().rev().find_map(|run| match run {
            Run::Block { last, .. } => Some(last),
            _ => None,
        });
        newest.filter(|last| !**last)
    }

    /// Gives back what an idle outbox holds: a block that was taken for a reply that turned out empty.
    pub fn rest(&mut self, pool: &mut BlockPool) {
        if self.is_idle() {
            self.give_blocks(pool);
        }
    }

    /// Takes `len` bytes that were written into [`space`](Self::space) into the queue.
    pub fn wrote(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        let start = self.write_at as u32;
        self.write_at += len;
        self.unsent += len;
        let end = self.write_at as u32;
        match self.runs.back_mut() {
            Some(Run::Block { end: run_end, last: false, .. }) if *run_end == start => *run_end = end,
            _ => self.runs.push_back(Run::Block { start, end, last: false }),
        }
    }

    /// Copies as much of `bytes` as there is room for; returns how much that was. An outbox with nothing unsent takes all of
    /// them, from the heap if there is no block: those who do not read must not keep the blocks from those who do.
    pub fn write(&mut self, pool: &mut BlockPool, bytes: &[u8]) -> usize {
        if self.is_idle() && pool.available() == 0 {
            self.push_heap(bytes.into());
            return bytes.len();
        }
        let mut done = 0;
        while done < bytes.len() {
            let Some(room) = self.space(pool, 1) else { break };
            let n = room.len().min(bytes.len() - done);
            room[..n].copy_from_slice(&bytes[done..done + n]);
            self.wrote(n);
            done += n;
        }
        done
    }

    /// Queues a pinned value of `len` bytes and, with `line_end`, CR LF behind it.
    pub fn push_value(&mut self, value: P, len: usize, line_end: bool) {
        self.unsent += len;
        self.runs.push_back(Run::Value { value, sent: 0, len });
        if line_end {
            self.unsent += LINE_END.len();
            self.runs.push_back(Run::LineEnd { sent: 0 });
        }
    }

    /// Queues bytes from the heap.
    pub fn push_heap(&mut self, bytes: Box<[u8]>) {
        if !bytes.is_empty() {
            self.unsent += bytes.len();
            self.heap += bytes.len();
            self.runs.push_back(Run::Heap { bytes, sent: 0 });
        }
    }

    /// What to submit now, or nothing when all is sent or a send is in flight. After `Some`, the send must be submitted
    /// and its result given to [`sent`](Self::sent).
    pub fn start_send(&mut self, pool: &BlockPool) -> Option<Send> {
        if self.in_flight || self.runs.is_empty() {
            return None;
        }
        self.in_flight = true;
        if let (1, Some(Run::Block { start, end, .. }), Some(block)) =
            (self.runs.len(), self.runs.front(), self.blocks.front())
        {
            let len = end - start;
            return Some(Send::Plain(pool.address(block, *start as usize, len as usize), len));
        }
        Some(Send::Message(self.gather(pool)))
    }

    fn gather(&mut self, pool: &BlockPool) -> *const libc::msghdr {
        // SAFETY: msghdr and iovec are plain C structures for which all-zero bytes are a value.
        let message = self.message.get_or_insert_with(|| Box::new(unsafe { std::mem::zeroed() }));
        let mut count = 0;
        let mut push = |piece: *const u8, len: usize| {
            message.pieces[count] = libc::iovec { iov_base: piece as *mut libc::c_void, iov_len: len };
            count += 1;
            count < PIECES_MAX
        };
        let mut blocks = self.blocks.iter();
        let mut block = blocks.next();
        for run in &self.runs {
            let more = match run {
                Run::Block { start, end, last } => {
                    let Some(b) = block else { break };
                    let len = (end - start) as usize;
                    if *last {
                        block = blocks.next();
                    }
                    push(pool.address(b, *start as usize, len), len)
                }
                Run::Heap { bytes, sent } => push(bytes[*sent..].as_ptr(), bytes.len() - sent),
                Run::LineEnd { sent } => push(LINE_END[*sent..].as_ptr(), LINE_END.len() - sent),
                Run::Value { value, sent, .. } => {
                    let mut more = true;
                    value.slices(*sent, &mut |piece| {
                        more = push(piece.as_ptr(), piece.len());
                        more
                    });
                    more
                }
            };
            if !more {
                break;
            }
        }
        message.header.msg_iov = message.pieces.as_mut_ptr();
        message.header.msg_iovlen = count;
        &message.header
    }

    /// The send in flight has ended after `len` bytes (0 on an error). Values that are done are pushed to `released`.
    pub fn sent(&mut self, mut len: usize, pool: &mut BlockPool, released: &mut Vec<P>) {
        self.in_flight = false;
        self.unsent -= len;
        while let Some(run) = self.runs.front_mut() {
            let (left, done) = match run {
                Run::Block { start, end, .. } => {
                    let n = len.min((*end - *start) as usize);
                    *start += n as u32;
                    (len - n, start == end)
                }
                Run::Value { sent, len: whole, .. } => advance(sent, *whole, len),
                Run::Heap { bytes, sent } => advance(sent, bytes.len(), len),
                Run::LineEnd { sent } => advance(sent, LINE_END.len(), len),
            };
            len = left;
            if !done {
                break;
            }
            self.drop_front(pool, released);
        }
        if self.runs.is_empty() {
            self.give_blocks(pool);
        }
    }

    fn drop_front(&mut self, pool: &mut BlockPool, released: &mut Vec<P>) {
        match self.runs.pop_front() {
            Some(Run::Block { last: true, .. }) => {
                if let Some(block) = self.blocks.pop_front() {
                    pool.give(block);
                }
            }
            Some(Run::Value { value, .. }) => released.push(value),
            Some(Run::Heap { bytes, .. }) => self.heap -= bytes.len(),
            _ => {}
        }
    }

    fn give_blocks(&mut self, pool: &mut BlockPool) {
        while let Some(block) = self.blocks.pop_front() {
            pool.give(block);
        }
        self.write_at = 0;
    }

    /// Hands everything unsent to `each`, piece by piece in order, as if it had been sent: an answer that is not a part of
    /// a stream. No send may be in flight.
    pub fn take(&mut self, pool: &mut BlockPool, released: &mut Vec<P>, mut each: impl FnMut(&[u8])) {
        debug_assert!(!self.in_flight);
        while let Some(run) = self.runs.front() {
            match (run, self.blocks.front()) {
                (Run::Block { start, end, .. }, Some(block)) => {
                    each(pool.written(block, *start as usize, (end - start) as usize))
                }
                (Run::Block { .. }, None) => {}
                (Run::Heap { bytes, sent }, _) => each(&bytes[*sent..]),
                (Run::LineEnd { sent }, _) => each(&LINE_END[*sent..]),
                (Run::Value { value, sent, .. }, _) => value.slices(*sent, &mut |piece| {
                    each(piece);
                    true
                }),
            }
            self.drop_front(pool, released);
        }
        self.unsent = 0;
        self.give_blocks(pool);
    }

    /// Drops everything unsent, for a connection that is going away. No send may be in flight.
    pub fn abandon(&mut self, pool: &mut BlockPool, released: &mut Vec<P>) {
        debug_assert!(!self.in_flight);
        while !self.runs.is_empty() {
            self.drop_front(pool, released);
        }
        self.unsent = 0;
        self.give_blocks(pool);
    }
}

/// Advances `sent` by at most `len` towards `whole`; what is left of `len`, and whether the whole has been sent.
fn advance(sent: &mut usize, whole: usize, len: usize) -> (usize, bool) {
    let n = len.min(whole - *sent);
    *sent += n;
    (len - n, *sent == whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Leaked(&'static [u8]);
    // SAFETY: static bytes never move or change.
    unsafe impl StableBytes for Leaked {
        fn slices(&self, skip: usize, each: &mut dyn FnMut(&[u8]) -> bool) {
            for piece in self.0[skip..].chunks(3) {
                if !each(piece) {
                    return;
                }
            }
        }
    }

    /// What the kernel would read.
    fn bytes_of(send: &Send) -> Vec<u8> {
        match send {
            // SAFETY: the pieces named by the outbox are live in these tests.
            Send::Plain(p, len) => unsafe { std::slice::from_raw_parts(*p, *len as usize).to_vec() },
            Send::Message(header) => {
                let mut all = Vec::new();
                // SAFETY: as above.
                unsafe {
                    for i in 0..(**header).msg_iovlen {
                        let v = *(**header).msg_iov.add(i);
                        all.extend_from_slice(std::slice::from_raw_parts(v.iov_base.cast::<u8>(), v.iov_len));
                    }
                }
                all
            }
        }
    }

    fn write(outbox: &mut Outbox<Leaked>, pool: &mut BlockPool, bytes: &[u8]) -> bool {
        let Some(space) = outbox.space(pool, bytes.len()) else { return false };
        space[..bytes.len()].copy_from_slice(bytes);
        outbox.wrote(bytes.len());
        true
    }

    /// Whatever sizes the kernel takes, the bytes leave in order, once, and every block and value comes back.
    #[test]
    fn partial_sends_keep_order() {
        for step in [1usize, 2, 5, 7, 100, 10_000] {
            let mut pool = BlockPool::new(8).expect("memory for 8 blocks");
            let (mut outbox, mut released) = (Outbox::default(), Vec::new());
            let mut expected = Vec::new();
            let mut seen = Vec::new();
            for round in 0..40u32 {
                let text = format!("reply {round} of step {step}\r\n").repeat(20);
                if write(&mut outbox, &mut pool, text.as_bytes()) {
                    expected.extend_from_slice(text.as_bytes());
                }
                if round % 3 == 0 {
                    outbox.push_value(Leaked(b"a pinned value in pieces"), 24, true);
                    expected.extend_from_slice(b"a pinned value in pieces\r\n");
                }
                if round % 7 == 0 {
                    outbox.push_heap(b"from the heap".to_vec().into());
                    expected.extend_from_slice(b"from the heap");
                }
                if let Some(send) = outbox.start_send(&pool) {
                    let bytes = bytes_of(&send);
                    let n = bytes.len().min(step * 37);
                    seen.extend_from_slice(&bytes[..n]);
                    outbox.sent(n, &mut pool, &mut released);
                }
            }
            while let Some(send) = outbox.start_send(&pool) {
                let bytes = bytes_of(&send);
                let n = bytes.len().min(step);
                seen.extend_from_slice(&bytes[..n]);
                outbox.sent(n, &mut pool, &mut released);
            }
            assert_eq!(seen, expected);
            assert!(outbox.is_idle() && outbox.unsent() == 0 && pool.in_use() == 0);
            assert_eq!(released.len(), 14);
        }
    }

    /// Blocks come and go while values keep the queue from running empty; found by a slow reader of large values.
    #[test]
    fn a_block_sent_whole_behind_values_is_not_confused_with_the_next() {
        let mut pool = BlockPool::new(8).expect("memory for 8 blocks");
        let (mut outbox, mut released) = (Outbox::default(), Vec::new());
        let (mut expected, mut seen) = (Vec::new(), Vec::new());
        let mut drain = |outbox: &mut Outbox<Leaked>, pool: &mut BlockPool, keep: usize| {
            while outbox.unsent() > keep {
                let Some(send) = outbox.start_send(pool) else { break };
                let bytes = bytes_of(&send);
                let n = bytes.len().min(outbox.unsent() - keep);
                seen.extend_from_slice(&bytes[..n]);
                outbox.sent(n, pool, &mut released);
            }
        };
        for round in 0..200u32 {
            let text = format!("{round}:").repeat(1 + round as usize * 13 % 700);
            assert!(write(&mut outbox, &mut pool, text.as_bytes()), "round {round}");
            expected.extend_from_slice(text.as_bytes());
            outbox.push_value(Leaked(b"value"), 5, true);
            expected.extend_from_slice(b"value\r\n");
            drain(&mut outbox, &mut pool, 4); // a piece of the value stays
        }
        drain(&mut outbox, &mut pool, 0);
        assert!(seen == expected && outbox.is_idle() && pool.in_use() == 0);
    }

    #[test]
    fn an_idle_outbox_can_give_its_block_back() {
        let mut pool = BlockPool::new(2).expect("memory for 2 blocks");
        let mut outbox = Outbox::<Leaked>::default();
        assert!(outbox.space(&mut pool, 10).is_some());
        assert!(outbox.is_idle() && pool.in_use() == 1);
        outbox.rest(&mut pool);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn writing_goes_on_while_a_send_is_in_flight() {
        let mut pool = BlockPool::new(2).expect("memory for 2 blocks");
        let (mut outbox, mut released) = (Outbox::<Leaked>::default(), Vec::new());
        assert!(write(&mut outbox, &mut pool, b"first"));
        let send = outbox.start_send(&pool).expect("something to send");
        assert!(write(&mut outbox, &mut pool, b"second"));
        assert!(outbox.start_send(&pool).is_none(), "one send at a time");
        assert_eq!(bytes_of(&send), b"first");
        outbox.sent(5, &mut pool, &mut released);
        assert_eq!(bytes_of(&outbox.start_send(&pool).expect("the second")), b"second");
    }

    #[test]
    fn a_peer_that_does_not_read_meets_the_limits() {
        let mut pool = BlockPool::new(16 * BLOCKS_MAX).expect("memory for the pool");
        let (mut outbox, mut released) = (Outbox::<Leaked>::default(), Vec::new());
        while write(&mut outbox, &mut pool, &[b'x'; 4096]) {}
        assert_eq!(pool.in_use(), BLOCKS_MAX);
        let mut others: Vec<Outbox<Leaked>> = (0..16 * BLOCKS_MAX).map(|_| Outbox::default()).collect();
        for other in &mut others {
            while write(other, &mut pool, &[b'x'; 4096]) {}
        }
        assert_eq!(pool.available(), 0);
        let with_one = others.iter().filter(|other| other.blocks.len() == 1).count();
        assert!(with_one > 6 * BLOCKS_MAX, "half of the pool goes to those who have none: {with_one}");
        others.iter_mut().for_each(|other| other.abandon(&mut pool, &mut released));
        outbox.abandon(&mut pool, &mut released);
        outbox.push_value(Leaked(b""), UNSENT_MAX, true);
        assert!(!write(&mut outbox, &mut pool, b"x"));
        outbox.abandon(&mut pool, &mut released);
        assert!(outbox.is_idle() && pool.in_use() == 0);
    }
}
