//! The terminal: raw mode and the other screen while the view lasts, and everything as it was behind it, however it ends. A panic
//! restores it too, before its message is written.

use std::error::Error;
use std::io;
use std::os::fd::AsFd as _;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::app::App;
use crate::sampler::Sampler;
use crate::screen;

/// How long a key is waited for before news and signals are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often a frame is drawn without anything new: it tells how long the server has been away.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);
/// What shells add to the number of the signal that ended a program.
const EXIT_SIGNAL: i32 = 128;

/// Shows the view until a key or a signal ends it, or the terminal goes away.
pub fn run(mut app: App, sampler: &Sampler) -> Result<ExitCode, Box<dyn Error>> {
    thread::spawn(end_without_terminal);
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
    }
    let mut terminal = ratatui::try_init()
        .map_err(|error| format!("the terminal cannot be used: {error}; --once needs none"))?;
    let shown = show(&mut app, &mut terminal, sampler, &signal);
    ratatui::try_restore()?;
    shown.map_err(|error| format!("the terminal: {error}"))?;
    Ok(match signal.load(Ordering::Relaxed) {
        0 => ExitCode::SUCCESS,
        number => ExitCode::from(u8::try_from(EXIT_SIGNAL as usize + number).unwrap_or(u8::MAX)),
    })
}

/// Waits until the terminal is gone (its window closed, its connection cut) and ends the process: there is nothing left to restore.
/// A thread of its own, because crossterm then reads without an end (its issue 793) and comes back neither for a signal nor for a
/// time.
fn end_without_terminal() {
    let input = io::stdin();
    // No event is asked for: those that mean the end come unasked.
    let mut terminal = [PollFd::new(input.as_fd(), PollFlags::empty())];
    while let Ok(0) | Err(Errno::EINTR) = poll(&mut terminal, PollTimeout::NONE) {}
    process::exit(EXIT_SIGNAL + SIGHUP);
}

/// News, a frame, a key, again and again.
fn show(
    app: &mut App,
    terminal: &mut DefaultTerminal,
    sampler: &Sampler,
    signal: &AtomicUsize,
) -> io::Result<()> {
    let mut drawn: Option<Instant> = None;
    while !app.has_ended && signal.load(Ordering::Relaxed) == 0 {
        // While it is paused the sampler waits with what it has, and then tells the mean over the pause.
        if !app.is_paused
            && let Some(news) = sampler.news()
        {
            app.hear(news, Instant::now());
            drawn = None;
        }
        if drawn.is_none_or(|at| at.elapsed() >= REDRAWN_EVERY) {
            terminal.draw(|frame| screen::draw(app, frame.area(), frame.buffer_mut(), Instant::now()))?;
            drawn = Some(Instant::now());
        }
        if event::poll(TICK)? {
            // Anything may change the frame: a key, another size.
            drawn = None;
            if let Event::Key(key) = event::read()?
                && key.is_press()
            {
                app.press(key);
            }
        }
    }
    Ok(())
}
