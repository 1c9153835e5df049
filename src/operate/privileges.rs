//! Whom the process runs as and what only root may do on the way: `-u`, `-r`, `-k`.
//!
//! The order matters and is the caller's: look the user up while errors still reach the terminal, lock memory and
//! raise limits while still root, then switch; of all capabilities only the one that ports below 1024 need lives until the
//! sockets are open (capabilities(7), "Effect of user ID changes"), so files and UNIX sockets are made as the user they belong
//! to. Then it is given up too, before the first thread is made: threads inherit what the one that makes them has.

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, User, geteuid, setgid, setgroups, setuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// What is left until the sockets are open.
const TO_BIND: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// Why privileges cannot be had or dropped.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// No such user.
    #[error("-u, --user `{0}`: there is no such user; name one that `getent passwd` lists")]
    NoUser(String),
    /// The kernel refused the switch, or the user database cannot be read.
    #[error("-u, --user `{name}`: {call} failed: {errno}; start as root or as that user without -u")]
    Switch {
        /// The user.
        name: String,
        /// The call that failed.
        call: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The kernel keeps something that was to be given up.
    #[error(
        "privileges cannot be given up: {call} failed: {errno}; a container's or unit's filter of system calls has to allow it"
    )]
    Kept {
        /// The call that failed.
        call: &'static str,
        /// Why.
        errno: rustix::io::Errno,
    },
    /// Core files stay disabled.
    #[error(
        "-r, --enable-coredumps: the core file limit (RLIMIT_CORE) cannot be raised: {0}; try `ulimit -c unlimited`"
    )]
    CoreLimit(Errno),
    /// The kernel does not lock memory.
    #[error(
        "-k, --lock-memory: mlockall failed: {0}; start as root, or raise the limit of locked memory (`ulimit -l`, LimitMEMLOCK=) above -m"
    )]
    Lock(Errno),
    /// The items would not fit into the memory that may be locked.
    #[error(
        "-k, --lock-memory: only {limit_bytes} bytes may be locked (RLIMIT_MEMLOCK), -m asks for {needed_bytes}; raise the \
         limit above -m (`ulimit -l`, LimitMEMLOCK=) or start as root"
    )]
    LockLimit {
        /// The limit in force.
        limit_bytes: u64,
        /// What the items will take.
        needed_bytes: u64,
    },
}

/// A user to become.
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Is this process root?
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Finds the user of `-u`.
pub fn look_up(name: &str) -> Result<Account, PrivilegeError> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Account { name: user.name, uid: user.uid, gid: user.gid }),
        Ok(None) => Err(PrivilegeError::NoUser(name.to_string())),
        Err(errno) => Err(PrivilegeError::Switch { name: name.to_string(), call: "getpwnam", errno }),
    }
}

impl Account {
    /// Becomes this user, for good: groups first, since afterwards it would not be allowed. Unless that is root, the right to
    /// bind any port is left, until [`give_up`].
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        let failed = |call| move |errno| PrivilegeError::Switch { name: self.name.clone(), call, errno };
        if !self.uid.is_root() {
            forget_bounding_set();
            nix::sys::prctl::set_keepcaps(true).map_err(failed("prctl(PR_SET_KEEPCAPS)"))?;
        }
        match setgroups(&[]) {
            // Inside of a container that has given the right up there are no groups to drop either.
            Ok(()) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(failed("setgroups")(errno)),
        }
        setgid(self.gid).map_err(failed("setgid"))?;
        setuid(self.uid).map_err(failed("setuid"))?;
        if !self.uid.is_root() {
            keep(TO_BIND)?;
        }
        Ok(())
    }
}

/// Gives up what is left, for good: nothing this process does or starts has a capability or gains one by a program's file. Root
/// that was asked for, or that nobody asked to switch, stays root: its rings would count against the locked memory of all its
/// processes together.
///
/// Capabilities are a thread's own, so this comes before the first is made.
pub fn give_up() -> Result<(), PrivilegeError> {
    if !is_root() {
        let ambient = clear_ambient_capability_set();
        ambient.map_err(|errno| PrivilegeError::Kept { call: "prctl(PR_CAP_AMBIENT)", errno })?;
        keep(CapabilitySet::empty())?;
    }
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| PrivilegeError::Kept { call: "prctl(PR_SET_NO_NEW_PRIVS)", errno })
}

/// Of the capabilities there are leaves no other than `wanted`. Where none is to go nothing is asked of the kernel: a service manager
/// that gave the process none may refuse it that call, too.
fn keep(wanted: CapabilitySet) -> Result<(), PrivilegeError> {
    let kept = |call| move |errno| PrivilegeError::Kept { call, errno };
    let before = capabilities(None).map_err(kept("capget"))?;
    let permitted = before.permitted & wanted;
    let sets = CapabilitySets { effective: permitted, permitted, inheritable: CapabilitySet::empty() };
    if before == sets {
        return Ok(());
    }
    set_capabilities(None, sets).map_err(kept("capset"))
}

/// Empties the set that limits what programs may gain. It bounds nothing here: no program is run, and `give_up` sees to it that none
/// could gain anything. So who may not empty it (CAP_SETPCAP) need not.
fn forget_bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// `-r`, first half: lets core files be as large as they may, or at least as large as the hard limit says.
pub fn raise_core_limit() -> Result<(), PrivilegeError> {
    if setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY).is_ok() {
        return Ok(());
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(PrivilegeError::CoreLimit)?;
    match hard {
        0 => Err(PrivilegeError::CoreLimit(Errno::EPERM)),
        _ => setrlimit(Resource::RLIMIT_CORE, hard, hard).map_err(PrivilegeError::CoreLimit),
    }
}

/// `-r`, second half, after `assume`: switching users makes the kernel withhold core files until asked again.
pub fn stay_dumpable() -> Result<(), PrivilegeError> {
    nix::sys::prctl::set_dumpable(true).map_err(PrivilegeError::CoreLimit)
}

/// `-k`: locks what is mapped now and all that will be, of which `needed_bytes` are still to come. With too low a limit
/// nothing is locked: it would succeed now, and the memory of the items could not be mapped later.
pub fn lock_memory(needed_bytes: u64, limit_bytes: u64) -> Result<(), PrivilegeError> {
    if limit_bytes < needed_bytes {
        return Err(PrivilegeError::LockLimit { limit_bytes, needed_bytes });
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(PrivilegeError::Lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let root = look_up("root").unwrap();
        assert!(root.uid.is_root());
        assert_eq!(root.name, "root");
    }

    #[test]
    fn an_unknown_user_is_named() {
        let error = look_up("no-such-user-here").err().unwrap();
        assert!(
            error.to_string().starts_with("-u, --user `no-such-user-here`: there is no such user"),
            "{error}"
        );
    }

    #[test]
    fn memory_beyond_the_limit_is_not_locked() {
        let sentence = lock_memory(65 << 20, 64 << 10).unwrap_err().to_string();
        assert!(sentence.contains("only 65536 bytes may be locked"), "{sentence}");
        assert!(sentence.contains("-m asks for 68157440"), "{sentence}");
    }

    #[test]
    fn the_core_limit_ends_at_the_hard_limit() {
        // The hard limit may be 0 where the tests run; then the refusal has to name the remedy.
        match raise_core_limit() {
            Ok(()) => {
                let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
                assert!(soft > 0 && soft == hard);
            }
            Err(error) => assert!(error.to_string().contains("ulimit -c"), "{error}"),
        }
    }
}
