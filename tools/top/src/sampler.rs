//! The thread that looks at the server again and again, so that one that does not answer never holds up the keys. It tells what
//! it has found over a channel of one place; a view that does not take it makes it wait.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::connection::{Connection, Trouble};
use crate::report::ReadError;
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

/// Looks, over the connection there is or a new one, which is kept if it is good. A server may have closed the one there was
/// because it was idle for so long; that is nothing to tell of.
fn look(args: &Args, kept: &mut Option<Connection>) -> Result<Sample, Trouble> {
    if let Some(mut connection) = kept.take() {
        match connection.sample() {
            Err(Trouble::Read(ReadError::Closed | ReadError::Io(_))) => {}
            Err(trouble) => return Err(trouble),
            Ok(sample) => {
                *kept = Some(connection);
                return Ok(sample);
            }
        }
    }
    let mut connection = Connection::open(&args.server, args.login.as_deref())?;
    let sample = connection.sample()?;
    *kept = Some(connection);
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::sample::ASKS;
    use crate::sample::tests::RINGCACHED;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn a_connection_that_the_server_has_closed_is_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let asked_bytes = ASKS.concat().len() + 2 * ASKS.len();
        // One look for each connection; then nobody is there.
        let server = thread::spawn(move || {
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().expect("a client");
                socket.read_exact(&mut vec![0; asked_bytes]).expect("asks");
                socket.write_all(RINGCACHED.concat().as_bytes()).expect("answers");
            }
        });
        let server_address = Address::Tcp("127.0.0.1".to_string(), port);
        let args = Args { server: server_address, interval: Duration::ZERO, once: false, login: None };
        let mut kept = None;
        assert!(look(&args, &mut kept).is_ok());
        assert!(look(&args, &mut kept).is_ok(), "over a second connection");
        server.join().expect("the server is content");
        assert!(matches!(look(&args, &mut kept), Err(Trouble::Connect(_))));
        assert!(kept.is_none());
    }
}
