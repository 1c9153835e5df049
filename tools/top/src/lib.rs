//! `ringcached top`: a live view of a running server, made from what its `stats` commands answer and nothing else. So it works
//! across the network, and with memcached too: what a server does not tell is shown as absent, not as 0.
//!
//! From the wire to the screen each step is a type, and only the first and the last touch the world:
//!
//! ```text
//! connection  a socket, asks, deadlines    sampler    a thread that asks again and again
//! report      lines of an answer
//! sample      all answers of a moment, typed
//! rates       two samples: what happened in between
//! app         what is shown, what keys do
//! panels      the tables of the view       table      columns that fit
//! screen      where everything stands      terminal   raw mode, events, signals
//! ```
//!
//! Whatever a server says is made printable where it is read (`report`), so no key and no version can write to the terminal.
//! The server's own modules know nothing of this crate; its program calls [`main`] for the word `top`.

mod address;
mod app;
mod args;
mod connection;
mod panels;
mod rates;
mod report;
mod sample;
mod sampler;
mod screen;
mod table;
mod terminal;
mod units;

pub use args::command;

use std::error::Error;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use app::App;
use args::Args;
use sampler::Sampler;

/// Exit status when the server cannot be asked or the terminal cannot be used.
const EXIT_FAILURE: u8 = 1;
/// Exit status for a command line that cannot be understood (`EX_USAGE` of `sysexits.h`).
const EXIT_USAGE: u8 = 64;

/// Runs the view. `words` is the command line from the word `top` on.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match command().try_get_matches_from(words).map(|matches| Args::read(&matches)) {
        Ok(Ok(args)) => args,
        Ok(Err(error)) => return fail(&*error, EXIT_FAILURE),
        Err(error) => {
            let status = if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
            // Without anybody to read it, nothing can be said.
            let _ = error.print();
            return status;
        }
    };
    let result = if args.once { print_once(args) } else { watch(args) };
    result.unwrap_or_else(|error| fail(&*error, EXIT_FAILURE))
}

fn fail(error: &dyn Error, status: u8) -> ExitCode {
    eprintln!("ringcached top: {error}");
    ExitCode::from(status)
}

/// The live view, until somebody ends it.
fn watch(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    for (name, is_terminal) in
        [("output", std::io::stdout().is_terminal()), ("input", std::io::stdin().is_terminal())]
    {
        if !is_terminal {
            return Err(format!("standard {name} is no terminal: use --once for one frame as text").into());
        }
    }
    let app = App::new(args.server.to_string(), args.interval);
    terminal::run(app, &Sampler::start(args))
}

/// One frame as text, from two samples an interval apart.
fn print_once(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut app = App::new(args.server.to_string(), args.interval);
    let sampler = Sampler::start(args);
    for _ in 0..2 {
        app.hear(Ok(sampler.wait()?), Instant::now());
    }
    // A reader that has seen enough is no error.
    let _ = std::io::stdout().write_all(screen::text(&app).as_bytes());
    Ok(ExitCode::SUCCESS)
}
