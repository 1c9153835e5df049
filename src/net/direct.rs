//! One receive straight into memory that was reserved for what comes: the value of a large item.
//!
//! A [`DirectReceive`] owns that memory from its making on and names the next pieces of it in a `recvmsg`, never more than
//! is missing, so the kernel copies each byte to where it stays and not one beyond. It completes with what there is, as any
//! receive: with MSG_WAITALL the kernel would hand a receive that was woken 128 times to a worker thread.
//!
//! Being woken for each segment costs about a quarter of such a receive, so [`set_low_water`] lets the socket wait until
//! more of it is there.
//!
//! Invariant: while a receive is in flight the memory it names is this value's, and it does not give it up.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

/// Memory that keeps its place while the value lives, even when the value itself is moved, and that nobody else touches.
///
/// # Safety
/// The pieces must keep their address and belong to the value alone until it is dropped or released, or
/// [`fill`](Self::fill) has counted them.
pub unsafe trait StableRoom {
    /// Calls `each` with the pieces still to be filled, in order, until it returns false.
    fn pieces(&mut self, each: &mut dyn FnMut(&mut [u8]) -> bool);

    /// Notes that the next `len` bytes have been filled.
    fn fill(&mut self, len: usize);
}

/// Pieces of one receive; the rest comes with the next.
pub const PIECES_MAX: usize = 32;

/// Bytes of one receive: the kernel copies them in one go, and everybody else on the shard waits for it.
pub const DIRECT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes to wait for, if the receive takes so many, and the fewest that are worth the system call.
const LOW_WATER_MAX: usize = 512 * 1024;
const LOW_WATER_MIN: usize = 64 * 1024;

/// What the kernel is given. The header and its pieces live in the [`DirectReceive`] until completion.
pub struct Fill {
    /// Where the bytes go.
    pub header: *mut libc::msghdr,
    /// Bytes it could take.
    asked: usize,
    /// Nothing is there yet as far as is known: wait before the first try.
    pub(super) wait_first: bool,
}

impl Fill {
    /// Bytes it could take.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// How many bytes it is worth to wait for, as a whole; 1 for whatever comes.
    pub fn low_water(&self) -> u32 {
        if self.asked < LOW_WATER_MIN { 1 } else { self.asked.min(LOW_WATER_MAX) as u32 }
    }
}

/// Has the kernel wake receives of this socket only when `bytes` have come, or its end (SO_RCVLOWAT). It does so earlier
/// when the receive window is full. Sockets that cannot wait go on waking.
pub fn set_low_water(fd: RawFd, bytes: u32) {
    let (value, len) = (&raw const bytes, size_of::<u32>() as libc::socklen_t);
    // SAFETY: the option is an int, read from `value` during the call; whatever `fd` is, nothing else is touched.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, value.cast(), len) };
}

struct Message {
    header: libc::msghdr,
    pieces: [libc::iovec; PIECES_MAX],
}

/// See the module comment.
pub struct DirectReceive<R> {
    room: R,
    /// Boxed: the kernel may read and write it until completion.
    message: Box<Message>,
    /// Bytes that the last receive could have taken.
    asked: usize,
    in_flight: bool,
    /// The last receive was given less than it could have taken.
    drained: bool,
}

impl<R: StableRoom> DirectReceive<R> {
    /// Takes the memory over; nothing is received yet.
    pub fn new(room: R) -> DirectReceive<R> {
        // SAFETY: msghdr and iovec are plain C structures for which all-zero bytes are a value.
        let message = Box::new(unsafe { std::mem::zeroed() });
        DirectReceive { room, message, asked: 0, in_flight: false, drained: false }
    }

    /// The memory, to look at.
    pub fn room(&self) -> &R {
        &self.room
    }

    /// What to submit now, or nothing while a receive is in flight. After `Some`, it must be submitted and its result
    /// given to [`ended`](Self::ended).
    pub fn start(&mut self) -> Option<Fill> {
        if self.in_flight {
            return None;
        }
        let (pieces, mut count, mut asked) = (&mut self.message.pieces, 0, 0);
        self.room.pieces(&mut |piece| {
            let len = piece.len().min(DIRECT_BYTES_MAX - asked);
            pieces[count] = libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: len };
            asked += len;
            count += 1;
            count < PIECES_MAX && asked < DIRECT_BYTES_MAX
        });
        self.message.header.msg_iov = self.message.pieces.as_mut_ptr();
        self.message.header.msg_iovlen = count;
        self.asked = asked;
        self.in_flight = true;
        Some(Fill { header: &mut self.message.header, asked, wait_first: self.drained })
    }

    /// The receive in flight has ended after `len` bytes (0 on an error).
    pub fn ended(&mut self, len: usize) {
        self.in_flight = false;
        self.drained = len < self.asked;
        self.room.fill(len.min(self.asked));
    }

    /// Gives the memory up. No receive may be in flight.
    pub fn into_room(self) -> R {
        assert!(!self.in_flight, "the kernel writes into this memory");
        self.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of five bytes of a buffer that is filled from the front.
    struct Leaked {
        bytes: &'static mut [u8],
        filled: usize,
    }

    // SAFETY: leaked bytes never move and nobody else has them.
    unsafe impl StableRoom for Leaked {
        fn pieces(&mut self, each: &mut dyn FnMut(&mut [u8]) -> bool) {
            let _ = self.bytes[self.filled..].chunks_mut(5).all(each);
        }

        fn fill(&mut self, len: usize) {
            self.filled += len;
        }
    }

    /// Writes as the kernel would: up to `len` bytes of `source` into the pieces; how many there was room for.
    fn receive(fill: &Fill, mut source: &[u8]) -> usize {
        let mut done = 0;
        // SAFETY: the header and the pieces it names are live in this test.
        unsafe {
            for i in 0..(*fill.header).msg_iovlen {
                let piece = *(*fill.header).msg_iov.add(i);
                let n = piece.iov_len.min(source.len());
                std::ptr::copy_nonoverlapping(source.as_ptr(), piece.iov_base.cast(), n);
                source = &source[n..];
                done += n;
            }
        }
        done
    }

    #[test]
    fn every_byte_arrives_once_whatever_the_kernel_gives() {
        let source: Vec<u8> = (0..1000).map(|i| (i % 251) as u8).collect();
        for step in [1, 3, 5, 7, 159, 160, 1000] {
            let room = Leaked { bytes: Box::leak(vec![0; 997].into()), filled: 0 };
            let mut direct = DirectReceive::new(room);
            while direct.room().filled < 997 {
                let at = direct.room().filled;
                let fill = direct.start().expect("nothing is in flight");
                assert!(direct.start().is_none(), "one receive at a time");
                let len = receive(&fill, &source[at..][..step.min(1000 - at)]);
                assert!(len <= PIECES_MAX * 5);
                direct.ended(len);
            }
            assert_eq!(direct.into_room().bytes, &source[..997], "in steps of {step}");
        }
    }

    #[test]
    fn waits_first_only_behind_a_short_receive() {
        let room = Leaked { bytes: Box::leak(vec![0; 500].into()), filled: 0 };
        let mut direct = DirectReceive::new(room);
        for (len, waits) in [(PIECES_MAX * 5, false), (3, false), (PIECES_MAX * 5, true), (0, false)] {
            assert_eq!(direct.start().map(|fill| fill.wait_first), Some(waits));
            direct.ended(len);
        }
    }
}
