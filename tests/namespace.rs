//! Network namespaces for tests: machines of their own, with links between them, on this one. They need root (CAP_SYS_ADMIN and
//! CAP_NET_ADMIN) and `ip` of iproute2; without, the test fails and says so.
//!
//! A namespace lives as long as a [`Namespace`] or a process in it, so nothing is left behind however a test ends.

use std::fs::File;
use std::process::Command;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace of its own, with loopback up.
pub struct Namespace(File);

impl Namespace {
    /// Makes one.
    pub fn new() -> Namespace {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: this test needs root");
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").expect("the namespace just made")
        });
        Namespace(made.join().expect("a thread of its own"))
    }

    /// Runs `inside` on a thread in the namespace. What it starts is in there too, and sees the namespace's /sys.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace");
            unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
            // Nothing that is mounted here shows outside.
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
            mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>).expect("/sys");
            inside()
        };
        thread::scope(|scope| scope.spawn(enter).join().expect("the test goes on in its namespace"))
    }

    /// Joins two with a cable: `own` (`name address/len`) is the end in here, `other` that in `peer`.
    pub fn link(&self, own: (&str, &str), peer: &Namespace, other: (&str, &str)) {
        let pid = std::process::id();
        use std::os::fd::AsRawFd;
        let to = format!("/proc/{pid}/fd/{}", peer.0.as_raw_fd());
        self.run(|| ip(&format!("link add {} type veth peer name {} netns {to}", own.0, other.0)));
        for (namespace, (name, address)) in [(self, own), (peer, other)] {
            namespace.run(|| {
                ip(&format!("address add {address} dev {name}"));
                ip(&format!("link set {name} up"));
            });
        }
    }
}

/// Runs `ip` with these words.
fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("`ip`: install iproute2");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}
