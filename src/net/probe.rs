//! What the kernel must offer, tried once at start: the server refuses to run half able, and says what to do.

use super::doorbell::Doorbell;
use super::receive::{GROUP, ReceiveBuffers};
use super::ring::{Ring, RingConfig};
use io_uring::{Probe, opcode};
use std::io;
use std::sync::Arc;

/// Something the server cannot run without; the text names it and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// The running kernel is older than the floor.
    #[error(
        "Linux {0} is too old: ringcached needs 6.1 or newer (io_uring with DEFER_TASKRUN); boot a newer kernel"
    )]
    Kernel(String),
    /// The sysctl forbids io_uring.
    #[error(
        "io_uring is switched off on this host (kernel.io_uring_disabled = {0}): \
         run `sysctl kernel.io_uring_disabled=0`, or with 1 add this user to the group of kernel.io_uring_group"
    )]
    Disabled(String),
    /// A filter forbids io_uring.
    #[error(
        "io_uring_setup is not permitted ({0}): a container's seccomp filter blocks it; \
         allow io_uring_setup, io_uring_enter and io_uring_register in its profile (docker: --security-opt seccomp=...)"
    )]
    Filtered(io::Error),
    /// The kernel has no io_uring at all.
    #[error("this kernel was built without io_uring ({0}): CONFIG_IO_URING is needed")]
    Absent(io::Error),
    /// Memory ran out, or locked memory.
    #[error(
        "no memory for {what} ({source}): RLIMIT_MEMLOCK is too small; raise it with `ulimit -l unlimited`, \
         LimitMEMLOCK=infinity in a systemd unit, or --ulimit memlock=-1 in docker. If it is unlimited, the limit of address \
         space (`ulimit -v`) or the machine is"
    )]
    Memory {
        /// What it was for.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Descriptors ran out.
    #[error(
        "no descriptor for {what} ({source}): raise `ulimit -n`, LimitNOFILE= in a systemd unit, or --ulimit nofile=N in \
         docker; fs.file-max is that of the whole machine"
    )]
    Files {
        /// What it was for.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something else failed.
    #[error(
        "{what} does not work on this kernel ({source}): ringcached needs Linux 6.1 or newer with io_uring"
    )]
    Other {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// An operation is not known to the kernel.
    #[error("this kernel's io_uring has no {0}: ringcached needs Linux 6.1 or newer")]
    Operation(&'static str),
}

/// Makes a small ring as the shards will, registers buffers, and asks for every operation in use.
///
/// # Errors
/// The first thing that is missing.
pub fn kernel() -> Result<(), Missing> {
    let release = read("/proc/sys/kernel/osrelease");
    if version_of(&release).is_some_and(|v| v < (6, 1)) {
        return Err(Missing::Kernel(release));
    }
    let bell = Arc::new(Doorbell::new().map_err(|e| explain("an eventfd", e))?);
    let ring = Ring::new(RingConfig { submissions: 8, completions: 32 }, bell);
    let mut ring = ring.map_err(|e| explain(RING, e))?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|e| explain("io_uring's probe", e))?;
    let needed = [
        (opcode::AcceptMulti::CODE, "accept"),
        (opcode::RecvMulti::CODE, "receive"),
        (opcode::RecvMsgMulti::CODE, "recvmsg"),
        (opcode::Send::CODE, "send"),
        (opcode::SendMsg::CODE, "sendmsg"),
        (opcode::PollAdd::CODE, "poll"),
        (opcode::AsyncCancel::CODE, "cancel"),
        (opcode::Close::CODE, "close"),
        (opcode::MsgRingData::CODE, "message between rings"),
    ];
    if let Some((_, name)) = needed.iter().find(|(code, _)| !probe.is_supported(*code)) {
        return Err(Missing::Operation(name));
    }
    let buffers = ReceiveBuffers::new(&mut ring, GROUP, 8, 4096, 0);
    buffers.map(drop).map_err(|e| explain(BUFFERS, e))
}

/// Completions come in the order in which receives took their bytes from a shared buffer. Before Linux 6.15 that of a receive that
/// is not multishot may come late (commit 687b2bae0eff, "ensure deferred completions are flushed for multishot"; some stable
/// kernels have it too, none is relied on).
pub fn posts_in_order() -> bool {
    version_of(&read("/proc/sys/kernel/osrelease")).is_some_and(|version| version >= (6, 15))
}

/// What `io_uring_setup` makes.
pub const RING: &str = "an io_uring with DEFER_TASKRUN";

/// What `IORING_REGISTER_PBUF_RING` registers.
pub const BUFFERS: &str = "a ring of provided buffers";

/// Says what an error from making `what` means on this host.
pub fn explain(what: &'static str, source: io::Error) -> Missing {
    let disabled = read("/proc/sys/kernel/io_uring_disabled");
    match source.raw_os_error() {
        Some(libc::EPERM) if disabled != "0" && !disabled.is_empty() => Missing::Disabled(disabled),
        Some(libc::EPERM | libc::EACCES) => Missing::Filtered(source),
        Some(libc::ENOSYS) => Missing::Absent(source),
        Some(libc::ENOMEM) => Missing::Memory { what, source },
        Some(libc::EMFILE | libc::ENFILE) => Missing::Files { what, source },
        _ => Missing::Other { what, source },
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_string()
}

/// `6.18.44-x` -> (6, 18); nothing when the text is not a version (then trying decides).
fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_is_enough() {
        kernel().expect("the tests need what the server needs");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version_of("6.18.44-fc"), Some((6, 18)));
        assert!(version_of("6.0.9") < Some((6, 1)) && version_of("5.15.0-91-generic") < Some((6, 1)));
        assert_eq!(version_of("mystery"), None);
    }

    #[test]
    fn every_refusal_names_a_remedy() {
        for (errno, word) in [
            (libc::ENOSYS, "CONFIG_IO_URING"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
            (libc::EACCES, "seccomp"),
            (libc::EMFILE, "ulimit -n"),
            (libc::ENFILE, "fs.file-max"),
        ] {
            let text = explain(RING, io::Error::from_raw_os_error(errno)).to_string();
            assert!(text.contains(word), "{text}");
        }
    }
}
