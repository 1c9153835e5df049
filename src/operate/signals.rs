//! Signals, taken by waiting instead of by handlers: they are blocked in the main thread before any other thread is
//! made (threads inherit the mask), so no shard is ever interrupted by one, and the main thread sleeps in `wait_until`.
//!
//! SIGPIPE needs nothing: Rust's runtime ignores it before `main`, and a send to a closed socket is an error.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What a signal asks for, with memcached's meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM, SIGINT: stop.
    Stop,
    /// SIGUSR1: stop after a clean end of what is under way.
    StopGracefully,
    /// SIGHUP: read files again that may have changed.
    Reload,
}

/// Why signals do not arrive.
#[derive(Debug, thiserror::Error)]
#[error("signals cannot be waited for: {0}; signalfd(2) needs a descriptor (`ulimit -n`) and memory")]
pub struct SignalError(#[from] Errno);

/// The signals that are blocked, and where they arrive (signalfd(2)). Holding one proves that they are.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks them in this thread and in every thread it makes from now on; call it before the first.
    pub fn block() -> Result<Signals, SignalError> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Signals(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Sleeps until one of them arrives, and returns it, or until `moment`. One that arrived earlier is not lost.
    pub fn wait_until(&self, moment: Option<Instant>) -> Result<Option<Request>, SignalError> {
        loop {
            if let Some(signal) = self.0.read_signal()? {
                return Ok(Some(request(signal.ssi_signo)));
            }
            let timeout = match moment.map(|moment| moment.saturating_duration_since(Instant::now())) {
                None => PollTimeout::NONE,
                Some(Duration::ZERO) => return Ok(None),
                // Milliseconds, rounded up; what is too long for them ends early and goes round again.
                Some(left) => PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX),
            };
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The meaning of a signal, by its number.
fn request(number: u32) -> Request {
    match Signal::try_from(number as i32) {
        Ok(Signal::SIGUSR1) => Request::StopGracefully,
        Ok(Signal::SIGHUP) => Request::Reload,
        _ => Request::Stop,
    }
}

/// Asks this process to stop, as SIGINT from outside does: the `shutdown` command.
pub fn stop_this_process() {
    // Cannot fail: the signal is valid and the process is our own.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), Signal::SIGINT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn each_signal_is_waited_for_even_if_it_came_first() {
        // In a thread of its own: the mask is a thread's, and `raise` sends to the calling thread.
        let thread = std::thread::spawn(|| {
            let signals = Signals::block().unwrap();
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGHUP].map(|signal| {
                raise(signal).unwrap();
                signals.wait_until(None).unwrap()
            })
        });
        let requests = thread.join().unwrap();
        let expected = [Request::Stop, Request::Stop, Request::StopGracefully, Request::Reload];
        assert_eq!(requests, expected.map(Some));
    }

    #[test]
    fn the_wait_ends_at_its_moment() {
        let thread = std::thread::spawn(|| {
            let signals = Signals::block().unwrap();
            let moment = Instant::now() + Duration::from_millis(20);
            assert_eq!(signals.wait_until(Some(moment)).unwrap(), None);
            assert!(Instant::now() >= moment);
            raise(Signal::SIGHUP).unwrap();
            assert_eq!(
                signals.wait_until(Some(moment)).unwrap(),
                Some(Request::Reload),
                "first what has arrived"
            );
        });
        thread.join().unwrap();
    }

    #[test]
    fn sigpipe_is_ignored() {
        // Bit n-1 of the mask in /proc is signal n.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let ignored = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_ne!(ignored & (1 << (Signal::SIGPIPE as u32 - 1)), 0);
    }
}
