//! Receive buffers of connections, of which each receive takes just what it fills.
//!
//! Small requests of many connections then lie side by side in a few cache lines, and a large one comes with few receives. From
//! Linux 6.12 on the kernel fills a buffer piece by piece (`IOU_PBUF_RING_INC`) and says with each completion whether more will
//! come into it; the completions tell only how long each piece is, so they have to be looked at in the order in which
//! they were posted. Before 6.12 the same memory is cut into smaller buffers, and each receive takes a whole one: a piece is then
//! the first and the last of its buffer.
//!
//! Invariant: a buffer goes back to the kernel with its last piece, when all pieces before it have been used.

use super::kernel::Kernel;
use super::receive::{GROUP, ReceiveBuffers};
use std::io;

/// Bytes of a buffer that is filled piece by piece. A multishot receive fills at most 32 before others have their turn.
const PIECEWISE_BYTES: u32 = 16 * 1024;

/// Bytes of a buffer for one receive.
const WHOLE_BYTES: u32 = 4 * 1024;

/// IOU_PBUF_RING_INC of `io_uring.h`.
const PIECEWISE: u16 = 2;

/// What one receive has brought: `len` bytes of buffer `buffer` from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    buffer: u16,
    /// Nothing more comes into the buffer.
    last: bool,
    start: u32,
    /// Bytes.
    pub len: u32,
}

/// See the module comment.
pub struct StreamBuffers {
    buffers: ReceiveBuffers,
    /// Bytes of each buffer that have been filled since the kernel got it.
    filled_bytes: Box<[u32]>,
}

impl StreamBuffers {
    /// Maps `bytes` bytes of buffers, a power of two, and registers them.
    ///
    /// # Errors
    /// What [`ReceiveBuffers::new`] says of buffers for one receive each.
    pub fn new(kernel: &mut impl Kernel, bytes: usize) -> io::Result<StreamBuffers> {
        StreamBuffers::of(kernel, bytes, PIECEWISE_BYTES, PIECEWISE)
            .or_else(|_| StreamBuffers::of(kernel, bytes, WHOLE_BYTES, 0))
    }

    fn of(kernel: &mut impl Kernel, bytes: usize, size: u32, flags: u16) -> io::Result<StreamBuffers> {
        let count = (bytes / size as usize) as u16;
        let buffers = ReceiveBuffers::new(kernel, GROUP, count, size, flags)?;
        Ok(StreamBuffers { buffers, filled_bytes: vec![0; usize::from(count)].into() })
    }

    /// What a completion has brought. `more`: the kernel goes on filling the buffer.
    pub fn piece(&mut self, buffer: u16, len: u32, more: bool) -> Piece {
        let filled = self.filled_bytes.get_mut(usize::from(buffer));
        let start = filled.map_or(0, |filled| {
            let next = if more { *filled + len } else { 0 };
            std::mem::replace(filled, next)
        });
        Piece { buffer, last: !more, start, len }
    }

    /// The bytes of a piece.
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        self.buffers.filled(piece.buffer, piece.start as usize, piece.len as usize)
    }

    /// A piece is not needed any more, and none before it.
    pub fn recycle(&mut self, piece: Piece) {
        if piece.last {
            self.buffers.recycle(piece.buffer);
        }
    }

    /// Shows the kernel what has come back since the last time.
    pub fn publish(&mut self) {
        self.buffers.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Doorbell, Event, Ring, RingConfig};
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const BYTES: usize = 64 * 1024;

    /// What two connections send in turn, in lumps of many sizes, through buffers that go round several times.
    fn both_streams_come_whole(make: impl Fn(&mut Ring) -> io::Result<StreamBuffers>) {
        let bell = Arc::new(Doorbell::new().expect("an eventfd"));
        let mut ring = Ring::new(RingConfig { submissions: 8, completions: 64 }, bell).expect("a ring");
        let mut buffers = make(&mut ring).expect("buffers");
        let pairs: Vec<_> = (0..2).map(|_| UnixStream::pair().expect("a pair")).collect();
        for (conn, (ours, _)) in (0..).zip(&pairs) {
            ring.receive(conn, ours.as_raw_fd());
        }
        let (mut sent, mut received) = ([vec![], vec![]], [vec![], vec![]]);
        let mut events = Vec::new();
        for (round, len) in
            [1, 100, 4095, 4096, 20_000, 3, 16_384, 50_000, 7].into_iter().cycle().take(60).enumerate()
        {
            let lump: Vec<u8> = (0..len).map(|i| (i * 31 + round) as u8).collect();
            let conn = round % 2;
            (&pairs[conn].1).write_all(&lump).expect("sent");
            sent[conn].extend_from_slice(&lump);
            let deadline = Instant::now() + Duration::from_secs(10);
            while received[conn].len() < sent[conn].len() {
                assert!(Instant::now() < deadline, "{} of {}", received[conn].len(), sent[conn].len());
                ring.enter(Some(Duration::from_millis(100))).expect("enter");
                ring.reap(&mut events, &mut buffers);
                for event in events.drain(..) {
                    match event {
                        Event::Received { conn, piece, armed } => {
                            received[conn as usize].extend_from_slice(buffers.bytes(piece));
                            buffers.recycle(piece);
                            if !armed {
                                ring.receive(conn, pairs[conn as usize].0.as_raw_fd());
                            }
                        }
                        Event::ReceiveEnded { conn, errno: libc::ENOBUFS } => {
                            ring.receive(conn, pairs[conn as usize].0.as_raw_fd())
                        }
                        other => panic!("{other:?}"),
                    }
                }
                buffers.publish();
            }
        }
        assert!(sent == received);
    }

    #[test]
    fn streams_come_whole_in_buffers_for_one_receive_each() {
        both_streams_come_whole(|ring| StreamBuffers::of(ring, BYTES, WHOLE_BYTES, 0));
    }

    #[test]
    fn streams_come_whole_in_whatever_the_kernel_knows() {
        both_streams_come_whole(|ring| StreamBuffers::new(ring, BYTES));
    }

    #[test]
    fn pieces_follow_each_other_until_the_last() {
        let bell = Arc::new(Doorbell::new().expect("an eventfd"));
        let mut ring = Ring::new(RingConfig { submissions: 8, completions: 64 }, bell).expect("a ring");
        let mut buffers = StreamBuffers::of(&mut ring, BYTES, WHOLE_BYTES, 0).expect("buffers");
        let starts = [(1, 10, true), (0, 5, true), (1, 20, true), (1, 7, false), (1, 9, true), (0, 1, false)]
            .map(|(buffer, len, more)| buffers.piece(buffer, len, more))
            .map(|piece| (piece.start, piece.last));
        assert_eq!(starts, [(0, false), (0, false), (10, false), (30, true), (0, false), (5, true)]);
    }
}
