//! A doorbell: an eventfd that any thread, or the kernel at a completion, may ring, and that one shard hears in its
//! executor while it sleeps deep. Awake it looks by itself.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An eventfd, non-blocking, counting rings until they are heard.
#[derive(Debug)]
pub struct Doorbell(OwnedFd);

#[allow(unsafe_code)]
impl Doorbell {
    /// # Errors
    /// EMFILE or ENFILE from `eventfd(2)`.
    pub fn new() -> io::Result<Doorbell> {
        // SAFETY: eventfd takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made and that nobody else owns.
        Ok(Doorbell(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Wakes the shard that listens. A full counter means it is ringing already, so no error matters.
    pub fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: writes eight bytes of a live array to our own descriptor.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Forgets the rings so far, so that the next one is news.
    pub fn hush(&self) {
        let mut count = [0u8; 8];
        // SAFETY: reads at most eight bytes into a live array; the descriptor does not block.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsRawFd for Doorbell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
