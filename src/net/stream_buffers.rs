//! Receive buffers of connections, of which each receive takes just what it fills.
//!
//! Small requests of many connections then lie side by side in a few cache lines, and a large one comes with few receives. The
//! kernel fills a buffer piece by piece (`IOU_PBUF_RING_INC`) and says with each completion whether more will come into it; the
//! completions tell only how long each piece is, so they have to be posted, and looked at, in the order in which the pieces
//! were filled. Linux 6.12 to 6.14 can do it and may post out of order; there, and before, the same memory is cut into smaller
//! buffers, and each receive takes a whole one: a piece is then the first and the last of its buffer.
//!
//! Invariant: a buffer goes back to the kernel with its last piece, when all pieces before it have been used.

use super::kernel::Kernel;
use super::receive::{GROUP, ReceiveBuffers};
use std::io;

/// Bytes of a buffer that is filled piece by piece, at most, and such buffers, at least: a multishot receive fills up to 32 before
/// others have their turn.
const PIECEWISE_BYTES: usize = 16 * 1024;
const PIECEWISE_BUFFERS: usize = 128;

/// Bytes of a buffer for one receive.
const WHOLE_BYTES: usize = 4 * 1024;

/// IOU_PBUF_RING_INC of `io_uring.h`.
pub const PIECEWISE: u16 = 2;

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
        StreamBuffers::of(kernel, bytes, PIECEWISE_BYTES.min(bytes / PIECEWISE_BUFFERS), PIECEWISE)
            .or_else(|_| StreamBuffers::of(kernel, bytes, WHOLE_BYTES, 0))
    }

    fn of(kernel: &mut impl Kernel, bytes: usize, size: usize, flags: u16) -> io::Result<StreamBuffers> {
        let count = (bytes / size) as u16;
        let buffers = ReceiveBuffers::new(kernel, GROUP, count, size as u32, flags)?;
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

    /// What two connections send at a time, in lumps of many sizes, through buffers that go round several times. The first has
    /// receives that are not multishot: those complete in another way.
    fn both_streams_come_whole(make: impl Fn(&mut Ring) -> io::Result<StreamBuffers>) {
        const LENS: [usize; 9] = [1, 100, 4095, 4096, 20_000, 3, 16_384, 50_000, 7];
        let bell = Arc::new(Doorbell::new().expect("an eventfd"));
        let mut ring = Ring::new(RingConfig { submissions: 8, completions: 64 }, bell).expect("a ring");
        let mut buffers = make(&mut ring).expect("buffers");
        let pairs: Vec<_> = (0..2).map(|_| UnixStream::pair().expect("a pair")).collect();
        let receive = |ring: &mut Ring, conn: u32| match (conn, pairs[conn as usize].0.as_raw_fd()) {
            (0, fd) => ring.receive_once(0, fd),
            (_, fd) => ring.receive(conn, fd),
        };
        (0..2).for_each(|conn| receive(&mut ring, conn));
        let (mut sent, mut received) = ([vec![], vec![]], [vec![], vec![]]);
        let mut events = Vec::new();
        for round in 0..60 {
            for conn in 0..2 {
                let len = LENS[(round * (conn + 1) + conn) % LENS.len()];
                let lump: Vec<u8> = (0..len).map(|i| (i * 31 + round + 100 * conn) as u8).collect();
                (&pairs[conn].1).write_all(&lump).expect("sent");
                sent[conn].extend_from_slice(&lump);
            }
            let deadline = Instant::now() + Duration::from_secs(10);
            while received.iter().zip(&sent).any(|(received, sent)| received.len() < sent.len()) {
                assert!(Instant::now() < deadline, "not all comes in round {round}");
                ring.enter(Some(Duration::from_millis(100))).expect("enter");
                ring.reap(&mut events, &mut buffers);
                for event in events.drain(..) {
                    match event {
                        Event::Received { conn, piece, armed } => {
                            received[conn as usize].extend_from_slice(buffers.bytes(piece));
                            buffers.recycle(piece);
                            if !armed {
                                receive(&mut ring, conn);
                            }
                        }
                        Event::ReceiveEnded { conn, errno: libc::ENOBUFS } => receive(&mut ring, conn),
                        other => panic!("{other:?}"),
                    }
                }
                buffers.publish();
            }
            assert!(sent == received, "round {round}");
        }
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
