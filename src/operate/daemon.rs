//! `-d`: into the background, as memcached does it: one fork, a session of its own, the parent ends at once.
//!
//! A fork takes only the calling thread along, and memory locks and rings not at all, so this comes before all of
//! them.

use nix::unistd::daemon;

/// Why the process stays in the foreground.
#[derive(Debug, thiserror::Error)]
#[error(
    "-d, --daemon: cannot go to the background: {0}; check the limit of processes (`ulimit -u`), or start without -d"
)]
pub struct DaemonError(nix::errno::Errno);

/// Goes to the background. The working directory becomes `/`, so that no mount is held, unless `keep_directory` (a core
/// file lands there); the standard streams become `/dev/null` unless `keep_output` (`-v` would be pointless).
pub fn detach(keep_directory: bool, keep_output: bool) -> Result<(), DaemonError> {
    daemon(keep_directory, keep_output).map_err(DaemonError)
}
