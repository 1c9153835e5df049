//! Network namespaces for tests: machines of their own, with links between them, on this one. They need root (CAP_SYS_ADMIN and
//! CAP_NET_ADMIN) and `ip` of iproute2; without, the test fails and says so.
//!
//! A namespace lives as long as a [`Namespace`] or a process in it, so nothing is left behind however a test ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::harness::wait_for;

/// A network namespace of its own, with loopback up.
pub struct Namespace(File);

impl Namespace {
    /// Makes one.
    pub fn new() -> Namespace {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|e| {
                panic!("no network namespace ({e}): this test needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN")
            });
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").expect("the namespace just made")
        });
        Namespace(made.join().unwrap_or_else(|panic| resume_unwind(panic)))
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
        thread::scope(|scope| scope.spawn(enter).join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Joins two with a cable: `own` (`name address/len`) is the end in here, `other` that in `peer`.
    pub fn link(&self, own: (&str, &str), peer: &Namespace, other: (&str, &str)) {
        let pid = std::process::id();
        let to = format!("/proc/{pid}/fd/{}", peer.0.as_raw_fd());
        self.run(|| ip(&format!("link add {} type veth peer name {} netns {to}", own.0, other.0)));
        for (namespace, (name, address)) in [(self, own), (peer, other)] {
            namespace.run(|| {
                ip(&format!("address add {address} dev {name}"));
                ip(&format!("link set {name} up"));
            });
        }
        self.run(|| wait_for_carrier(own.0));
        peer.run(|| wait_for_carrier(other.0));
    }

    /// Pulls the cable out of the interface `name`: what is sent to it from the other end is lost, and nobody is told.
    pub fn cut(&self, name: &str) {
        self.run(|| ip(&format!("link set {name} down")));
    }

    /// Puts the cable back. The interface has kept its address.
    pub fn mend(&self, name: &str) {
        self.run(|| {
            ip(&format!("link set {name} up"));
            wait_for_carrier(name);
        });
    }
}

/// The kernel notices a cable that is plugged in up to a second later. Before, packets are lost.
fn wait_for_carrier(name: &str) {
    let state = format!("/sys/class/net/{name}/operstate");
    wait_for("the link", || {
        let state = std::fs::read_to_string(&state).expect("the state of the link");
        (state.trim_end() == "up").then_some(())
    });
}

/// Runs `ip` with these words.
fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("`ip`: install iproute2");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}
