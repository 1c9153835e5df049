//! Resource limits, raised at the start to what the options need, or refused with a remedy: a server that runs out of
//! descriptors under load is worse than one that does not start.

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Descriptors of the process besides client connections: standard streams, pid file, signals, listeners' names.
const FILES_OF_PROCESS: u64 = 32;

/// Descriptors of a shard besides client connections: its data ring and the executor's rings, their eventfds and
/// timers, and its listening sockets.
const FILES_OF_SHARD: u64 = 32;

/// Why a limit is too low.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Too few descriptors.
    #[error(
        "the limit of open files (RLIMIT_NOFILE, hard limit {hard}) cannot be raised to {needed}, which -c {conn_limit} \
         and {shards} shards need ({errno}): raise it (`ulimit -n {needed}`, or LimitNOFILE={needed} in the unit) or \
         lower -c"
    )]
    OpenFiles {
        /// `-c`.
        conn_limit: u32,
        /// The number of shards.
        shards: usize,
        /// Descriptors they need together.
        needed: u64,
        /// What an unprivileged process may have at most.
        hard: u64,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The limit cannot even be read.
    #[error("resource limits cannot be read: {0}")]
    Unreadable(Errno),
}

/// Makes sure that `conn_limit` connections and what `shards` shards use besides fit into the limit of open files.
/// A limit that is high enough is left alone.
pub fn raise_open_files(conn_limit: u32, shards: usize) -> Result<(), LimitError> {
    let needed = u64::from(conn_limit) + FILES_OF_PROCESS + FILES_OF_SHARD * shards as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(LimitError::Unreadable)?;
    if soft >= needed {
        return Ok(());
    }
    // Above the hard limit only root may go, so trying is how to find out.
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).map_err(|errno| LimitError::OpenFiles {
        conn_limit,
        shards,
        needed,
        hard,
        errno,
    })
}

/// Raises the limit of locked memory as far as this process may, and returns it in bytes, `u64::MAX` = none. `-k` needs it,
/// and so do buffers registered with a ring.
pub fn raise_locked_memory() -> Result<u64, LimitError> {
    if setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok() {
        return Ok(RLIM_INFINITY);
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(LimitError::Unreadable)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).map_err(LimitError::Unreadable)?;
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Limits are the whole process's, and tests run side by side: they are only ever raised here.

    #[test]
    fn a_limit_that_suffices_is_left_alone() {
        let (before, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(
            before > FILES_OF_PROCESS + FILES_OF_SHARD + 1,
            "the tests need more than a handful of descriptors"
        );
        raise_open_files(1, 1).unwrap();
        let (after, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(after >= before);
    }

    #[test]
    fn a_limit_out_of_reach_is_refused_with_the_remedy() {
        // Beyond fs.nr_open, so root is refused too.
        let sentence = raise_open_files(u32::MAX, 2).unwrap_err().to_string();
        assert!(sentence.contains("RLIMIT_NOFILE"), "{sentence}");
        assert!(sentence.contains("-c 4294967295 and 2 shards"), "{sentence}");
        assert!(sentence.contains("LimitNOFILE=4294967391"), "{sentence}");
    }

    #[test]
    fn locked_memory_ends_where_it_is_said_to() {
        let limit = raise_locked_memory().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_MEMLOCK).unwrap(), (limit, limit));
    }
}
