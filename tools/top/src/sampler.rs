//! The thread that looks at the server again and again, so that one that does not answer never holds up the keys. It tells what
//! it has found over a channel of one place; a view that does not take it makes it wait.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::connection::{Connection, Trouble};
use crate::sample::Sample;

/// From a failure to the next attempt, if the interval is not shorter.
const RETRY: Duration = Duration::from_secs(1);

/// What a look has found: a sample, or a sentence that says why there is none.
pub type News = Result<Sample, String>;

/// See the module comment. The thread ends with the process, or when nobody holds this any more.
pub struct Sampler(Receiver<News>);

impl Sampler {
    /// Starts the thread.
    pub fn start(args: Args) -> Sampler {
        let (tell, news) = sync_channel(1);
        thread::spawn(move || run(&args, &tell));
        Sampler(news)
    }

    /// What is new, if anything is.
    pub fn news(&self) -> Option<News> {
        self.0.try_recv().ok()
    }

    /// Waits for the next.
    pub fn wait(&self) -> News {
        self.0.recv().unwrap_or_else(|_| Err("the sampling thread has ended".to_string()))
    }
}

fn run(args: &Args, tell: &SyncSender<News>) {
    let mut connection = None;
    loop {
        let started = Instant::now();
        let look = look(args, &mut connection);
        let rest = if look.is_ok() { args.interval } else { args.interval.min(RETRY) };
        if tell.send(look.map_err(|trouble| trouble.sentence())).is_err() {
            return;
        }
        thread::sleep(rest.saturating_sub(started.elapsed()));
    }
}

/// Looks, over the connection there is or a new one, which is kept if it is good.
fn look(args: &Args, connection: &mut Option<Connection>) -> Result<Sample, Trouble> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(&args.server, args.login.as_deref())?,
    };
    let sample = open.sample()?;
    *connection = Some(open);
    Ok(sample)
}
