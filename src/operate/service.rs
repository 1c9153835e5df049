//! What the service manager is told, if there is one that listens (sd_notify(3), `Type=notify`): that the server is ready,
//! reads its files again, stops; and every now and then, if it wants that, that all shards are alive.
//!
//! Each message is one datagram on a UNIX socket. A manager that cannot be told does not keep the server from serving: it is
//! said once in the log.

use super::log::{self, Level};
use super::watchdog::Watchdog;
use crate::shard::start::Running;
use sd_notify::NotifyState;
use std::time::Instant;

/// The manager's view of this process.
#[derive(Default)]
pub struct Service {
    watchdog: Option<Watchdog>,
    /// Shards that stood still at the last look: said when they change, not at each look.
    stuck: Vec<usize>,
    /// A message could not be sent, and that has been said.
    unheard: bool,
}

impl Service {
    /// Every shard serves. `status` is the line that `systemctl status` shows. From here on the manager counts on signs of life.
    pub fn ready(&mut self, status: &str, running: &Running) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        self.watchdog = sd_notify::watchdog_enabled().map(|patience| {
            running.wake();
            Watchdog::new(patience, running.turns())
        });
    }

    /// Files are being read again, until [`reloaded`](Self::reloaded).
    pub fn reloading(&mut self) {
        // Managers since systemd 253 tell by the time which of several reloads has begun.
        let now = NotifyState::monotonic_usec_now();
        let mut message = vec![NotifyState::Reloading];
        message.extend(now);
        self.tell(&message);
    }

    /// They have been read, or left as they were.
    pub fn reloaded(&mut self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The server answers what has arrived, and ends.
    pub fn stopping(&mut self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("answers what has arrived, and ends")]);
    }

    /// When [`sign_of_life`](Self::sign_of_life) is due, if ever.
    pub fn next_sign(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(Watchdog::next)
    }

    /// Tells the manager that all shards are alive, if they are.
    pub fn sign_of_life(&mut self, running: &Running) {
        let Some(watchdog) = &mut self.watchdog else { return };
        let stuck = watchdog.look(running.turns());
        running.wake();
        if stuck.is_empty() {
            self.tell(&[NotifyState::Watchdog]);
        } else if stuck != self.stuck {
            log::line(
                Level::Error,
                format_args!("shards {stuck:?} stand still: no sign of life for the service manager"),
            );
        }
        self.stuck = stuck;
    }

    fn tell(&mut self, message: &[NotifyState<'_>]) {
        match sd_notify::notify(message) {
            Err(error) if !std::mem::replace(&mut self.unheard, true) => log::line(
                Level::Warning,
                format_args!(
                    "NOTIFY_SOCKET: the service manager cannot be told that the server is ready or alive ({error}); \
                     use Type=notify in the unit, or start without the variable"
                ),
            ),
            _ => {}
        }
    }
}
