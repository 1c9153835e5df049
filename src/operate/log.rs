//! Lines on standard error, by `-v`, in the form of `--log-format`. For start, stop and rare events; nothing on the path of a
//! request logs.
//!
//! What repeats itself is bounded: of lines from one place in the source at most [`LINES_PER_S`] are written in a second. And
//! nothing waits for whoever reads them: a line for which there is no room, in a pipe that nobody reads, is left out. How many
//! were left out is said with the next, or at the end.

use crate::options::LogFormat;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fmt;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::panic::Location;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Lines of one kind in a second.
pub const LINES_PER_S: u32 = 20;

/// Kinds that are counted apart; the rest share the last count.
const KINDS_MAX: usize = 64;

/// Bytes of a line, with its end. A pipe takes as many at once or none of them (pipe(7)), and so does a socket: no line is ever
/// written in part, with the next one glued to it.
const LINE_BYTES_MAX: usize = libc::PIPE_BUF;

/// Stands at the end of a text that was cut.
const CUT: &str = "...";

/// How much has to be asked for before a line is shown, and how bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Always: why it does not start, or ends.
    Error,
    /// Always: what it does other than asked.
    Warning,
    /// Always: what an operator should find in every log.
    Always,
    /// `-v`: what goes wrong with a client or a resource.
    Verbose,
    /// `-vv`: connections and commands.
    Debug,
    /// `-vvv`: internal state.
    Trace,
}

impl Level {
    /// The number of `-v` it takes.
    fn verbosity(self) -> u8 {
        match self {
            Level::Error | Level::Warning | Level::Always => 0,
            Level::Verbose => 1,
            Level::Debug => 2,
            Level::Trace => 3,
        }
    }

    /// The priority of syslog(3) and its name.
    fn priority(self) -> (u8, &'static str) {
        match self {
            Level::Error => (3, "error"),
            Level::Warning => (4, "warning"),
            Level::Always => (5, "notice"),
            Level::Verbose => (6, "info"),
            Level::Debug | Level::Trace => (7, "debug"),
        }
    }
}

/// How often `-v` was given; the `verbosity` command and SIGHUP change it while serving. A single byte that stands alone, so
/// relaxed order is enough.
static VERBOSITY: AtomicU8 = AtomicU8::new(0);

/// The [`LogFormat`], as its number. Stands alone, too.
static FORMAT: AtomicU8 = AtomicU8::new(LogFormat::Text as u8);

/// What has been written lately. The lock is held while a line is written, so lines are whole; no write waits.
static RECENT: Mutex<Recent> = Mutex::new(Recent(Vec::new()));

/// Sets how much is shown: the number of `-v`.
pub fn set_verbosity(verbosity: u8) {
    VERBOSITY.store(verbosity, Ordering::Relaxed);
}

/// Sets the form of the lines; without one it is journald's where standard error is a stream to it.
pub fn set_format(format: Option<LogFormat>) {
    let default = || if leads_to_journald() { LogFormat::Journal } else { LogFormat::Text };
    FORMAT.store(format.unwrap_or_else(default) as u8, Ordering::Relaxed);
}

/// Whether standard error is the stream that JOURNAL_STREAM names by device and inode (systemd.exec(5)).
fn leads_to_journald() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let copy = std::io::stderr().as_fd().try_clone_to_owned();
    let file = copy.and_then(|copy| std::fs::File::from(copy).metadata());
    file.is_ok_and(|file| named == format!("{}:{}", file.dev(), file.ino()))
}

/// How much is shown: the number of `-v`, or what was set last.
pub fn verbosity() -> u8 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Is a line of this level shown?
pub fn shows(level: Level) -> bool {
    level.verbosity() <= verbosity()
}

/// Writes one line if its level is shown. A standard error that is closed or full must not stop a server, so
/// what cannot be written is left out (`eprintln!` would panic, or wait for ever).
#[track_caller]
pub fn line(level: Level, text: fmt::Arguments<'_>) {
    if !shows(level) {
        return;
    }
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kind) = recent.admit(Location::caller(), Instant::now()) else { return };
    let left_out = std::mem::take(&mut kind.left_out);
    if left_out > 0 && !write(level, format_args!("{left_out} lines like the next were left out")) {
        kind.left_out = left_out + 1;
    } else if !write(level, text) {
        kind.left_out = 1;
    }
}

/// Says what has been left out and not been said: at the end.
pub fn finish() {
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let left_out: u64 = recent.0.iter_mut().map(|kind| std::mem::take(&mut kind.left_out)).sum();
    if left_out > 0 {
        write(Level::Always, format_args!("{left_out} lines were left out"));
    }
}

/// Writes one line, whatever has been written before, and without the lock: the thread that ends the process by a panic may
/// hold it.
pub fn last_words(text: fmt::Arguments<'_>) {
    write(Level::Error, text);
}

/// Whether it could be written.
fn write(level: Level, text: fmt::Arguments<'_>) -> bool {
    let format = match FORMAT.load(Ordering::Relaxed) {
        n if n == LogFormat::Journal as u8 => LogFormat::Journal,
        n if n == LogFormat::Json as u8 => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let line = fitted(format, level, &text.to_string(), SystemTime::now());
    write_without_waiting(line.as_bytes()).is_ok()
}

/// Writes to standard error what it takes at once. It is shared with other processes, so it cannot be made not to block.
fn write_without_waiting(bytes: &[u8]) -> io::Result<()> {
    let stderr = io::stderr();
    let mut room = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    poll(&mut room, PollTimeout::ZERO)?;
    if room[0].any() != Some(true) || nix::unistd::write(&stderr, bytes)? < bytes.len() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
}

/// A line of at most [`LINE_BYTES_MAX`]. The text is cut before it gets its form, so that the line is whole; what a form
/// makes longer is cut shorter.
fn fitted(format: LogFormat, level: Level, text: &str, now: SystemTime) -> String {
    let mut line = render(format, level, text, now);
    let mut len = text.len().min(LINE_BYTES_MAX);
    while line.len() > LINE_BYTES_MAX && len > 0 {
        len = text.floor_char_boundary(len - len.div_ceil(8));
        line = render(format, level, &format!("{}{CUT}", &text[..len]), now);
    }
    line
}

/// A line, with its end.
fn render(format: LogFormat, level: Level, text: &str, now: SystemTime) -> String {
    let (priority, name) = level.priority();
    match format {
        LogFormat::Text if level == Level::Warning => format!("ringcached: warning: {text}\n"),
        LogFormat::Text => format!("ringcached: {text}\n"),
        // Each line is an entry of its own.
        LogFormat::Journal => text.lines().map(|line| format!("<{priority}>{line}\n")).collect(),
        LogFormat::Json => {
            let time = humantime::format_rfc3339_millis(now).to_string();
            format!("{{\"time\":\"{time}\",\"level\":\"{name}\",\"message\":\"{}\"}}\n", escaped(text))
        }
    }
}

/// The inside of a JSON string (RFC 8259, section 7).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\0'..='\x1f' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Lines from one place in the source.
struct Kind {
    place: &'static Location<'static>,
    /// When the second began in which they are counted.
    since: Instant,
    shown: u32,
    /// Not yet said.
    left_out: u64,
}

/// The kinds of lines there have been, at most [`KINDS_MAX`].
struct Recent(Vec<Kind>);

impl Recent {
    /// The kind of a line from this place, if it is to be written.
    fn admit(&mut self, place: &'static Location<'static>, now: Instant) -> Option<&mut Kind> {
        let known = self.0.iter().position(|kind| kind.place == place);
        let at = known.unwrap_or_else(|| {
            if self.0.len() < KINDS_MAX {
                self.0.push(Kind { place, since: now, shown: 0, left_out: 0 });
            }
            self.0.len() - 1
        });
        let kind = self.0.get_mut(at)?;
        if now.saturating_duration_since(kind.since) >= Duration::from_secs(1) {
            (kind.since, kind.shown) = (now, 0);
        }
        if kind.shown >= LINES_PER_S {
            kind.left_out += 1;
            return None;
        }
        kind.shown += 1;
        Some(kind)
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
            [Level::Error, Level::Warning, Level::Always, Level::Verbose, Level::Debug, Level::Trace]
                .map(shows)
        };
        assert_eq!(shown(0), [true, true, true, false, false, false]);
        assert_eq!(shown(1), [true, true, true, true, false, false]);
        assert_eq!(shown(2), [true, true, true, true, true, false]);
        assert_eq!(shown(200), [true; 6]);
        set_verbosity(0);
    }

    #[test]
    fn each_form_has_its_lines() {
        let rendered = |format, level| render(format, level, "a \"b\"\nc", SystemTime::UNIX_EPOCH);
        assert_eq!(rendered(LogFormat::Text, Level::Warning), "ringcached: warning: a \"b\"\nc\n");
        assert_eq!(rendered(LogFormat::Text, Level::Verbose), "ringcached: a \"b\"\nc\n");
        assert_eq!(rendered(LogFormat::Journal, Level::Error), "<3>a \"b\"\n<3>c\n");
        let json = r#"{"time":"1970-01-01T00:00:00.000Z","level":"info","message":"a \"b\"\u000ac"}"#;
        assert_eq!(rendered(LogFormat::Json, Level::Verbose), format!("{json}\n"));
    }

    #[test]
    fn a_line_is_one_write() {
        let texts =
            ["x".repeat(100_000), "\u{1}".repeat(5_000), "\u{20ac}".repeat(2_000), "a\n".repeat(4_000)];
        for format in [LogFormat::Text, LogFormat::Journal, LogFormat::Json] {
            let fitted = |text: &str| fitted(format, Level::Warning, text, SystemTime::UNIX_EPOCH);
            for text in &texts {
                let line = fitted(text);
                assert!(line.len() <= LINE_BYTES_MAX && line.len() > LINE_BYTES_MAX / 2, "{}", line.len());
                let end = if format == LogFormat::Json { "...\"}\n" } else { "...\n" };
                assert!(line.ends_with(end), "{line}");
            }
            let whole = render(format, Level::Warning, "short", SystemTime::UNIX_EPOCH);
            assert_eq!(fitted("short"), whole);
        }
    }

    #[test]
    fn what_repeats_itself_is_bounded_and_counted() {
        let (here, there) = (Location::caller(), Location::caller());
        assert_ne!(here, there, "two places");
        let mut recent = Recent(Vec::new());
        let now = Instant::now();
        let mut left_out =
            |place, now| recent.admit(place, now).map(|kind| std::mem::take(&mut kind.left_out));
        let admitted = (0..LINES_PER_S + 7).filter(|_| left_out(here, now) == Some(0)).count();
        assert_eq!(admitted as u32, LINES_PER_S);
        assert_eq!(left_out(there, now), Some(0), "another kind is not held up");
        assert_eq!(left_out(here, now + Duration::from_millis(999)), None);
        assert_eq!(left_out(here, now + Duration::from_secs(1)), Some(8), "and said with the next");
        assert_eq!(left_out(here, now + Duration::from_secs(1)), Some(0));
    }
}
