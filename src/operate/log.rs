//! Lines on standard error, by `-v`. For start, stop and rare events; nothing on the path of a request logs.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

/// How much has to be asked for before a line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Always: why it does not start, and what it does other than asked.
    Always = 0,
    /// `-v`: what goes wrong with a client or a resource.
    Verbose = 1,
    /// `-vv`: connections and commands.
    Debug = 2,
    /// `-vvv`: internal state.
    Trace = 3,
}

/// How often `-v` was given; the `verbosity` command and SIGHUP change it while serving. A single byte that stands alone, so
/// relaxed order is enough.
static VERBOSITY: AtomicU8 = AtomicU8::new(0);

/// Sets how much is shown: the number of `-v`.
pub fn set_verbosity(verbosity: u8) {
    VERBOSITY.store(verbosity, Ordering::Relaxed);
}

/// How much is shown: the number of `-v`, or what was set last.
pub fn verbosity() -> u8 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Is a line of this level shown?
pub fn shows(level: Level) -> bool {
    level as u8 <= verbosity()
}

/// Writes one line if its level is shown. A standard error that is closed or full must not stop a server, so
/// what cannot be written is dropped (`eprintln!` would panic).
pub fn line(level: Level, text: fmt::Arguments<'_>) {
    if shows(level) {
        let _ = writeln!(std::io::stderr().lock(), "ringcached: {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_number_of_v() {
        // The only test that touches the static.
        let shown = |verbosity| {
            set_verbosity(verbosity);
            [Level::Always, Level::Verbose, Level::Debug, Level::Trace].map(shows)
        };
        assert_eq!(shown(0), [true, false, false, false]);
        assert_eq!(shown(1), [true, true, false, false]);
        assert_eq!(shown(2), [true, true, true, false]);
        assert_eq!(shown(200), [true; 4]);
        set_verbosity(0);
    }
}
