//! A connection to the server, over TCP or a UNIX socket. A look at the server is one write of all that is asked and the answers
//! to it, and has a deadline as a whole: a server that sends a byte now and then does not hold it up.

use std::io::{self, BufReader, Read, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::Address;
use crate::report::{self, ReadError, Report, printable};
use crate::sample::{ASKS, Absent, Sample, Told};

/// What a connection may take to come about, and a look to be answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// The addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Most bytes of a look's answers; those of 250 classes and 256 shards are below 400 KiB.
const ANSWERS_BYTES_MAX: usize = 4 << 20;

/// Why there is no sample. A sentence that names the cause; printable.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The name is unknown.
    #[error("the name cannot be looked up: {0}")]
    Name(io::Error),
    /// Nobody is there.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// It does not answer in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// The connection broke, or what came cannot be read.
    #[error("{0}")]
    Read(ReadError),
    /// The login was refused, in the server's words.
    #[error("the login is refused: {0}")]
    Login(String),
    /// `stats` was refused.
    #[error("`stats` is refused: {0}; does the server want a --login?")]
    Refused(String),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Trouble {
        match error {
            ReadError::Io(error) => error.into(),
            other => Trouble::Read(other),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match error.kind() {
            // What a socket with a timeout says.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Trouble::Late,
            _ => Trouble::Read(ReadError::Io(error)),
        }
    }
}

/// See the module comment.
pub struct Connection(BufReader<Bounded>);

/// A socket with a bound and a deadline for all reads together.
struct Bounded {
    socket: Socket,
    left_bytes: usize,
    deadline: Instant,
}

impl Read for Bounded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.left_bytes == 0 {
            return Err(io::Error::other(format!("its answers are more than {ANSWERS_BYTES_MAX} bytes")));
        }
        let len = out.len().min(self.left_bytes);
        self.socket.set_read_timeout(Some(left))?;
        let received = self.socket.read(out.get_mut(..len).unwrap_or_default())?;
        self.left_bytes = self.left_bytes.saturating_sub(received);
        Ok(received)
    }
}

impl Connection {
    /// Connects, and logs in with this token if there is one.
    pub fn open(server: &Address, login: Option<&str>) -> Result<Connection, Trouble> {
        let socket = match server {
            Address::Unix(path) => {
                let address = SockAddr::unix(path).map_err(Trouble::Connect)?;
                connect(Domain::UNIX, &address).map_err(Trouble::Connect)?
            }
            Address::Tcp(host, port) => {
                let found = (host.as_str(), *port).to_socket_addrs().map_err(Trouble::Name)?;
                connect_to_any(found.take(ADDRESSES_MAX)).map_err(Trouble::Connect)?
            }
        };
        socket.set_write_timeout(Some(PATIENCE))?;
        // What it may take and give is set anew with each question.
        let bounded = Bounded { socket, left_bytes: 0, deadline: Instant::now() };
        let mut connection = Connection(BufReader::new(bounded));
        if let Some(token) = login {
            connection.log_in(token)?;
        }
        Ok(connection)
    }

    /// Text has no command for it: the first `set` of a connection is the login, whatever its key.
    fn log_in(&mut self, token: &str) -> Result<(), Trouble> {
        self.send(&format!("set login 0 0 {}\r\n{token}\r\n", token.len()))?;
        match report::line(&mut self.0)?.as_str() {
            "STORED" => Ok(()),
            refusal => Err(Trouble::Login(refusal.to_string())),
        }
    }

    /// Looks at the server.
    pub fn sample(&mut self) -> Result<Sample, Trouble> {
        self.send(&ASKS.map(|ask| format!("{ask}\r\n")).concat())?;
        let mut answers: [Told; ASKS.len()] = ASKS.map(|_| Ok(Report::default()));
        for (ask, told) in ASKS.into_iter().zip(&mut answers) {
            *told = Report::read(&mut self.0)?.map_err(|answer| Absent { ask, answer });
        }
        Sample::new(Instant::now(), answers).map_err(Trouble::Refused)
    }

    /// Asks; the answers may take until the deadline and their bound from now.
    fn send(&mut self, text: &str) -> Result<(), Trouble> {
        let bounded = self.0.get_mut();
        bounded.left_bytes = ANSWERS_BYTES_MAX;
        bounded.deadline = Instant::now() + PATIENCE;
        Ok(bounded.socket.write_all(text.as_bytes())?)
    }
}

/// The first of these that accepts; the last error otherwise.
fn connect_to_any(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Socket> {
    let mut last = Err(io::ErrorKind::NotFound.into());
    for address in addresses {
        last = connect(Domain::for_address(address), &address.into());
        if last.is_ok() {
            break;
        }
    }
    last
}

fn connect(domain: Domain, address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.connect_timeout(address, PATIENCE)?;
    Ok(socket)
}

impl Trouble {
    /// The sentence, fit for a terminal whatever is in it.
    pub fn sentence(&self) -> String {
        printable(self.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::RINGCACHED;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    /// A server for one connection that takes `expected` and answers with `answer`, then closes.
    fn server(expected: String, answer: Vec<u8>) -> (Address, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let serve = move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut got = vec![0; expected.len()];
            socket.read_exact(&mut got).expect("what is expected");
            assert_eq!(String::from_utf8_lossy(&got), expected);
            // The client may have had enough before the end.
            let _ = socket.write_all(&answer);
        };
        (Address::Tcp("127.0.0.1".to_string(), port), thread::spawn(serve))
    }

    fn asks() -> String {
        ASKS.map(|ask| format!("{ask}\r\n")).concat()
    }

    fn trouble_with(answer: impl Into<Vec<u8>>) -> String {
        let (address, server) = server(asks(), answer.into());
        let mut connection = Connection::open(&address, None).expect("a connection");
        let trouble = connection.sample().map(|_| ()).expect_err("no sample");
        drop(connection);
        server.join().expect("the server is content");
        trouble.sentence()
    }

    #[test]
    fn a_look_is_answered() {
        let (address, server) = server(asks(), RINGCACHED.concat().into_bytes());
        let mut connection = Connection::open(&address, None).expect("a connection");
        assert_eq!(connection.sample().expect("a sample").server.pid, Some(7));
        server.join().expect("the server is content");
        assert!(matches!(connection.sample(), Err(Trouble::Read(_))), "the server is gone");
    }

    #[test]
    fn a_login_comes_first() {
        let login = "set login 0 0 10\r\nann secret\r\n";
        let (address, taker) = server(login.to_string(), b"STORED\r\n".to_vec());
        assert!(Connection::open(&address, Some("ann secret")).is_ok());
        taker.join().expect("the server is content");
        let (address, refuser) =
            server(login.to_string(), b"CLIENT_ERROR authentication failure\r\n".to_vec());
        let trouble = Connection::open(&address, Some("ann secret")).map(|_| ()).expect_err("refused");
        assert_eq!(trouble.sentence(), "the login is refused: CLIENT_ERROR authentication failure");
        refuser.join().expect("the server is content");
    }

    #[test]
    fn troubles_are_sentences() {
        let foreign = trouble_with("HTTP/1.1 400 Bad \x1b[2JRequest\r\n");
        assert_eq!(foreign, r"this is no answer to `stats`: HTTP/1.1 400 Bad \x1b[2JRequest");
        assert_eq!(trouble_with("STAT pid 7\r\n"), "the server has closed the connection");
        let refused = "CLIENT_ERROR unauthenticated\r\n".repeat(ASKS.len());
        let sentence = "`stats` is refused: CLIENT_ERROR unauthenticated; does the server want a --login?";
        assert_eq!(trouble_with(refused), sentence);
        let long = format!("STAT a {}\r\n", "x".repeat(4000)).repeat(1100);
        assert_eq!(trouble_with(long), "its answers are more than 4194304 bytes");
        let nobody = Address::Unix("/nonexistent/socket".into());
        let trouble = Connection::open(&nobody, None).map(|_| ()).expect_err("nobody");
        assert!(trouble.sentence().starts_with("cannot connect: No such file"), "{}", trouble.sentence());
    }

    #[test]
    fn a_silent_server_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("ringcached-top-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a socket");
        let mut connection = Connection::open(&Address::Unix(path.clone()), None).expect("a connection");
        let started = Instant::now();
        assert!(matches!(connection.sample(), Err(Trouble::Late)));
        assert!(started.elapsed() < PATIENCE * 2);
        drop(listener);
        std::fs::remove_file(path).expect("the socket's file");
    }
}
