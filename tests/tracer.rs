//! A tracer (ptrace(2)) that has some `io_uring_enter` of one shard fail, and no other call: the kernel does not see them. For x86-64,
//! whose registers it changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::libc::{SYS_io_uring_enter, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::{Server, wait_for};
use crate::systemd::thread_of_shard;

/// Room for completions of a shard's ring, `RING` of `shard/plan.rs`.
const RING_COMPLETIONS: u32 = 4096;

/// Whose ring: that of the shard, or one of its executor's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RingOf {
    Shard,
    Executor,
}

/// What fails.
#[derive(Clone, Copy)]
pub struct Failing {
    pub ring: RingOf,
    pub errno: Errno,
    /// One in how many.
    pub one_in: u32,
}

/// Calls fail as long as it is there.
pub struct Tracer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Tracer {
    /// Begins.
    pub fn on_shard(server: &Server, shard: u32, failing: Failing) -> Tracer {
        let (stop, attached) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (rings, thread) = (rings_of_shards(server.pid()), thread_of_shard(server, shard));
        let traced = Traced { rings, thread, failing, seen: 0, failed: 0, inside: None };
        let (is_over, is_attached) = (stop.clone(), attached.clone());
        // Who has attached must do all the rest.
        let thread = Some(std::thread::spawn(move || traced.run(&is_over, &is_attached)));
        wait_for("the tracer", || attached.load(Ordering::Acquire).then_some(()));
        Tracer { stop, thread }
    }

    /// Ends; how many calls have failed.
    pub fn finish(mut self) -> u32 {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().expect("not finished yet");
        thread.join().expect("a tracer that has not failed")
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The descriptors of all shards' rings, which have more room for completions than those of executors.
fn rings_of_shards(pid: u32) -> Vec<u64> {
    let directory = format!("/proc/{pid}/fdinfo");
    let entries =
        std::fs::read_dir(directory).expect("descriptors").map(|entry| entry.expect("a descriptor").path());
    let is_large = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .is_ok_and(|text| text.contains(&format!("CqMask:\t{:#x}\n", RING_COMPLETIONS - 1)))
    };
    entries.filter(is_large).filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
}

struct Traced {
    /// Descriptors of rings that are shards'.
    rings: Vec<u64>,
    thread: Pid,
    failing: Failing,
    /// Calls that could have failed.
    seen: u32,
    failed: u32,
    /// In a call, and whether it fails.
    inside: Option<bool>,
}

impl Traced {
    fn run(mut self, stop: &AtomicBool, attached: &AtomicBool) -> u32 {
        ptrace::seize(self.thread, Options::PTRACE_O_TRACESYSGOOD).expect("tracing our own child");
        ptrace::interrupt(self.thread).expect("an interruption");
        attached.store(true, Ordering::Release);
        let mut interrupted = false;
        loop {
            let is_over = stop.load(Ordering::Acquire);
            if is_over && !std::mem::replace(&mut interrupted, is_over) {
                let _ = ptrace::interrupt(self.thread); // it may have ended
            }
            let signal = match waitpid(self.thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {
                    std::thread::yield_now();
                    continue;
                }
                Ok(WaitStatus::PtraceSyscall(_)) => {
                    self.at_call();
                    None
                }
                Ok(WaitStatus::PtraceEvent(..)) => None,
                Ok(WaitStatus::Stopped(_, signal)) => Some(signal),
                // The end of the process.
                Ok(_) | Err(_) => return self.failed,
            };
            // Not while a call is being left out: nobody would say what it has answered.
            let leaves = is_over && self.inside != Some(true);
            let done = if leaves {
                ptrace::detach(self.thread, signal)
            } else {
                ptrace::syscall(self.thread, signal)
            };
            if leaves || done.is_err() {
                return self.failed; // or killed meanwhile
            }
        }
    }

    /// At the entry of a call or at its end.
    fn at_call(&mut self) {
        let Ok(mut registers) = ptrace::getregs(self.thread) else { return };
        self.inside = match self.inside {
            None => Some(self.is_to_fail(&registers)),
            Some(_) => None,
        };
        match self.inside {
            Some(true) => registers.orig_rax = u64::MAX, // no call at all
            None if registers.orig_rax == u64::MAX => {
                registers.rax = (-(self.failing.errno as i64)) as u64;
                self.failed += 1;
            }
            _ => return,
        }
        let _ = ptrace::setregs(self.thread, registers);
    }

    fn is_to_fail(&mut self, registers: &user_regs_struct) -> bool {
        const REGISTERED_RING: u64 = 1 << 4; // IORING_ENTER_REGISTERED_RING: an executor does not use it
        let is_shards = registers.r10 & REGISTERED_RING != 0 || self.rings.contains(&registers.rdi);
        let ring = if is_shards { RingOf::Shard } else { RingOf::Executor };
        if registers.orig_rax != SYS_io_uring_enter as u64 || ring != self.failing.ring {
            return false;
        }
        self.seen += 1;
        self.seen.is_multiple_of(self.failing.one_in)
    }
}
