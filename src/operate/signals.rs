//! Signals, taken by waiting instead of by handlers: they are blocked in the main thread before any other thread is
//! made (threads inherit the mask), so no shard is ever interrupted by one, and the main thread sleeps in `wait`.
//!
//! SIGPIPE needs nothing: Rust's runtime ignores it before `main`, and a send to a closed socket is an error.

use nix::sys::signal::{SigSet, Signal};

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

/// The signals that are blocked. Holding one proves that they are.
pub struct Signals(SigSet);

impl Signals {
    /// Blocks them in this thread and in every thread it makes from now on; call it before the first.
    pub fn block() -> nix::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Signals(set))
    }

    /// Sleeps until one of them arrives; one that arrived earlier is not lost.
    pub fn wait(&self) -> nix::Result<Request> {
        match self.0.wait()? {
            Signal::SIGUSR1 => Ok(Request::StopGracefully),
            Signal::SIGHUP => Ok(Request::Reload),
            _ => Ok(Request::Stop),
        }
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
                signals.wait().unwrap()
            })
        });
        let requests = thread.join().unwrap();
        assert_eq!(requests, [Request::Stop, Request::Stop, Request::StopGracefully, Request::Reload]);
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
