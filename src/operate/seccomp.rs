//! `-o drop_privileges`: from the moment the server says that it listens, the kernel refuses every thread the system calls that a running
//! server does not make (seccomp(2)). What is allowed is the list below, found by strace(1) under the tests; for a few calls it
//! says which arguments.
//!
//! A refused call fails with EPERM. Killing the process would stop whoever has taken it over no better, and a call that is missing
//! in the list, of another C library say, would cost the whole cache instead of one error with its name.
//!
//! io_uring goes round the filter: what a ring is told to do is no system call. No further ring can be made, but those there
//! are stay, and may open files and connect. `docs/security.md` says what that means.

use libc::c_long;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

/// Why system calls are not filtered.
#[derive(Debug, thiserror::Error)]
#[error(
    "-o drop_privileges: the kernel takes no filter of system calls: {0}; it needs CONFIG_SECCOMP_FILTER, and x86-64, AArch64 or \
     64-bit RISC-V, and seccomp(2) itself must be allowed (SystemCallFilter=seccomp in a unit): leave the option out"
)]
pub struct SeccompError(String);

/// When a system call is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Whatever its arguments are.
    Always,
    /// `openat`: for reading what there is.
    Reads,
    /// `mmap`, `mprotect`: the memory cannot be executed.
    IsData,
    /// `ioctl`: whether the descriptor blocks. Others reach further, into the terminal's input for one.
    SetsBlocking,
    /// `kill`, `tgkill`: the signal is for this process.
    IsForItself,
    /// `socket`: a UNIX socket, to speak with the service manager.
    IsUnix,
    /// `connect` of such a socket. Only where there is a manager.
    Tells,
}

use When::{Always, IsData, IsForItself, IsUnix, Reads, SetsBlocking, Tells};

/// What a server does between its start and its end.
const ALLOWED: &[(c_long, When)] = &[
    // The rings. Connections are received, sent and closed there.
    (libc::SYS_io_uring_enter, Always),
    // Bells, sockets of the admin endpoint, the log, files that are read again.
    (libc::SYS_read, Always),
    (libc::SYS_readv, Always),
    (libc::SYS_pread64, Always),
    (libc::SYS_write, Always),
    (libc::SYS_writev, Always),
    (libc::SYS_close, Always),
    (libc::SYS_lseek, Always),
    (libc::SYS_fcntl, Always),
    (libc::SYS_ioctl, SetsBlocking),
    (libc::SYS_ppoll, Always),
    (libc::SYS_openat, Reads),
    (libc::SYS_fstat, Always),
    (libc::SYS_newfstatat, Always),
    (libc::SYS_statx, Always),
    (libc::SYS_readlinkat, Always),
    (libc::SYS_getcwd, Always),
    (libc::SYS_unlinkat, Always), // the pid file, at the end
    // Sockets that there are.
    (libc::SYS_accept4, Always),
    (libc::SYS_recvfrom, Always),
    (libc::SYS_recvmsg, Always),
    (libc::SYS_sendto, Always),
    (libc::SYS_sendmsg, Always),
    (libc::SYS_shutdown, Always),
    (libc::SYS_getsockname, Always),
    (libc::SYS_getpeername, Always),
    (libc::SYS_getsockopt, Always),
    (libc::SYS_setsockopt, Always),
    (libc::SYS_socket, IsUnix),
    (libc::SYS_connect, Tells),
    // Memory.
    (libc::SYS_brk, Always),
    (libc::SYS_mmap, IsData),
    (libc::SYS_mprotect, IsData),
    (libc::SYS_mremap, Always),
    (libc::SYS_munmap, Always),
    (libc::SYS_madvise, Always),
    // Threads that there are, and their end. None is made.
    (libc::SYS_futex, Always),
    (libc::SYS_membarrier, Always),
    (libc::SYS_sched_yield, Always),
    (libc::SYS_sched_getaffinity, Always),
    (libc::SYS_restart_syscall, Always),
    (libc::SYS_exit, Always),
    (libc::SYS_exit_group, Always),
    // Signals: a stop asked for by a client, an abort.
    (libc::SYS_rt_sigaction, Always),
    (libc::SYS_rt_sigprocmask, Always),
    (libc::SYS_rt_sigreturn, Always),
    (libc::SYS_sigaltstack, Always),
    (libc::SYS_kill, IsForItself),
    (libc::SYS_tgkill, IsForItself),
    // Clocks, where the kernel's page of them cannot be used.
    (libc::SYS_clock_gettime, Always),
    (libc::SYS_clock_nanosleep, Always),
    (libc::SYS_gettimeofday, Always),
    // Numbers of this process and of the machine.
    (libc::SYS_getpid, Always),
    (libc::SYS_gettid, Always),
    (libc::SYS_geteuid, Always),
    (libc::SYS_getrusage, Always),
    (libc::SYS_prlimit64, Always),
    (libc::SYS_sysinfo, Always),
    (libc::SYS_uname, Always),
    (libc::SYS_getrandom, Always),
];

/// Older names of the same calls, which other machines do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[(c_long, When)] = &[
    (libc::SYS_poll, Always),
    (libc::SYS_nanosleep, Always),
    (libc::SYS_time, Always),
    (libc::SYS_readlink, Always),
    (libc::SYS_unlink, Always),
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[(c_long, When)] = &[];

/// Filters the system calls of every thread from now on, for good.
///
/// # Errors
/// The kernel has no such filters, or does not know this machine's calls.
pub fn confine() -> Result<(), SeccompError> {
    let has_manager = std::env::var_os("NOTIFY_SOCKET").is_some();
    let failed = |error: seccompiler::Error| SeccompError(error.to_string());
    seccompiler::apply_filter_all_threads(&program(has_manager)?).map_err(failed)
}

/// The filter, as the kernel takes it. Without a service manager there is no socket to be made.
///
/// # Errors
/// The library does not know this machine's calls.
pub fn program(has_manager: bool) -> Result<BpfProgram, SeccompError> {
    build(has_manager).map_err(|error| SeccompError(error.to_string()))
}

fn build(has_manager: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let calls = ALLOWED.iter().chain(ALLOWED_HERE);
    let calls = calls.filter(|(_, when)| has_manager || !matches!(when, IsUnix | Tells));
    let rules = calls.map(|&(call, when)| Ok((call, rules(when)?)));
    let rules = rules.collect::<Result<_, seccompiler::BackendError>>()?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refused, SeccompAction::Allow, TargetArch::try_from(std::env::consts::ARCH)?)?
        .try_into()
}

/// The rules of one call, of which one must hold; none: it is always allowed.
fn rules(when: When) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    const NOT_READING: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let (argument, compared, value) = match when {
        Always | Tells => return Ok(Vec::new()),
        Reads => (2, MaskedEq(NOT_READING as u64), libc::O_RDONLY as u64),
        IsData => (2, MaskedEq(libc::PROT_EXEC as u64), 0),
        SetsBlocking => (1, Eq, libc::FIONBIO),
        IsForItself => (0, Eq, std::process::id().into()),
        IsUnix => (0, Eq, libc::AF_UNIX as u64),
    };
    Ok(vec![SeccompRule::new(vec![SeccompCondition::new(argument, Dword, compared, value)?])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_stands_there_twice() {
        let mut calls: Vec<c_long> = ALLOWED.iter().chain(ALLOWED_HERE).map(|(call, _)| *call).collect();
        calls.sort_unstable();
        assert!(calls.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
