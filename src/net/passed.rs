//! Listening sockets that the service manager opened and has passed to this process (sd_listen_fds(3)). They stay open while
//! no server runs: clients that connect meanwhile wait in their backlog, and the next server serves them.
//!
//! What is listened on is what the options say; a passed socket is taken in place of one that would be opened at the same
//! address, and one that no option asks for is an error of the caller's. Several may have one address (`ReusePort=`).
#![allow(unsafe_code)]

use socket2::{Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{FromRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// For connections by TCP.
    Tcp(SocketAddr),
    /// For datagrams.
    Udp(SocketAddr),
    /// For connections on this machine.
    Unix(PathBuf),
}

impl Place {
    /// Its kind and address, for a person.
    fn text(&self) -> String {
        match self {
            Place::Tcp(address) => format!("tcp:{address}"),
            Place::Udp(address) => format!("udp:{address}"),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// The place of all IPv6 addresses, where a socket may take IPv4, too, if this is that of all IPv4 ones.
    fn of_both_families(&self) -> Option<Place> {
        let both = |address: &SocketAddr| {
            (address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED))
                .then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port())))
        };
        match self {
            Place::Tcp(address) => both(address).map(Place::Tcp),
            Place::Udp(address) => both(address).map(Place::Udp),
            Place::Unix(_) => None,
        }
    }
}

/// One passed socket.
#[derive(Debug)]
struct Passed {
    socket: Socket,
    place: Place,
    /// Its name in the manager's unit (`FileDescriptorName=`).
    name: String,
}

/// Why passed sockets cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// The variables that announce them make no sense.
    #[error(
        "LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES: no sockets that a service manager passed: {0}; start without them"
    )]
    Variables(io::Error),
    /// One is nothing to listen on.
    #[error(
        "the service manager passed descriptor {fd} ({name}), which is {what}: pass listening sockets of TCP, UDP or UNIX \
         (ListenStream=, ListenDatagram=, Accept=no)"
    )]
    Useless {
        /// Its number.
        fd: RawFd,
        /// Its name in the manager's unit.
        name: String,
        /// What it is instead.
        what: String,
    },
    /// One listens where no option says.
    #[error(
        "the service manager passed a socket for {place} ({name}), where no option listens, or not with so many sockets: make \
         ListenStream= and ListenDatagram= of the socket unit agree with -p, -l, -s, -U, --shard-ports, \
         --source-port-steering and --admin"
    )]
    Unasked {
        /// Where it listens.
        place: String,
        /// Its name in the manager's unit.
        name: String,
    },
}

/// See the module comment.
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// Those that have not been taken yet.
    left: Vec<Passed>,
    /// Places of all IPv6 addresses, taken or not, whose sockets take what comes for IPv4, too (`BindIPv6Only=both`).
    both_families: Vec<Place>,
}

impl PassedSockets {
    /// What was passed to this process; nothing the second time.
    ///
    /// # Errors
    /// [`PassedError`] when there is something that is no listening socket.
    pub fn of_this_process() -> Result<PassedSockets, PassedError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(PassedSockets::default());
        }
        let passed = sd_notify::listen_fds_with_names().map_err(PassedError::Variables)?;
        passed.map(|(fd, name)| look_at(fd, name)).collect()
    }

    /// Takes all that listen there, in the order in which they were passed.
    pub fn take(&mut self, place: &Place) -> Vec<Socket> {
        let taken = self.left.extract_if(.., |passed| passed.place == *place);
        taken.map(|passed| passed.socket).collect()
    }

    /// Takes the first that listens there.
    pub fn take_one(&mut self, place: &Place) -> Vec<Socket> {
        let at = self.left.iter().position(|passed| passed.place == *place);
        at.map(|at| self.left.remove(at).socket).into_iter().collect()
    }

    /// A socket for all IPv6 addresses, taken or not, takes what comes to this one for IPv4.
    pub fn covers(&self, place: &Place) -> bool {
        place.of_both_families().is_some_and(|both| self.both_families.contains(&both))
    }

    /// All have been taken.
    ///
    /// # Errors
    /// The first that has not.
    pub fn check_all_taken(&self) -> Result<(), PassedError> {
        match self.left.first() {
            None => Ok(()),
            Some(Passed { place, name, .. }) => {
                Err(PassedError::Unasked { place: place.text(), name: name.clone() })
            }
        }
    }
}

impl FromIterator<Passed> for PassedSockets {
    fn from_iter<I: IntoIterator<Item = Passed>>(passed: I) -> PassedSockets {
        let left: Vec<Passed> = passed.into_iter().collect();
        let both = left.iter().filter(|passed| passed.socket.only_v6().is_ok_and(|only| !only));
        let both_families = both.map(|passed| passed.place.clone()).collect();
        PassedSockets { left, both_families }
    }
}

/// Owns a passed descriptor and finds out what it is.
fn look_at(fd: RawFd, name: String) -> Result<Passed, PassedError> {
    // SAFETY: the manager opened it for this process, whose number LISTEN_PID gives, and nobody in it owns it: it was there
    // before `main`, and `of_this_process` comes here once.
    let socket = unsafe { Socket::from_raw_fd(fd) };
    let useless = |what: &str| PassedError::Useless { fd, name: name.clone(), what: what.to_string() };
    let no_socket = |error: io::Error| useless(&format!("no socket ({error})"));
    let kind = socket.r#type().map_err(no_socket)?;
    let address = socket.local_addr().map_err(no_socket)?;
    if kind == Type::STREAM && !socket.is_listener().map_err(no_socket)? {
        return Err(useless("a connection"));
    }
    // The data ring waits by itself; of a socket that does not block it would only hear that nothing has come.
    socket.set_nonblocking(false).map_err(no_socket)?;
    let place = match (kind, address.as_socket(), address.as_pathname()) {
        (Type::STREAM, Some(address), _) => Place::Tcp(address),
        (Type::DGRAM, Some(address), _) => Place::Udp(address),
        (Type::STREAM, None, Some(path)) => Place::Unix(Path::to_path_buf(path)),
        _ => return Err(useless("a socket of another kind")),
    };
    Ok(Passed { socket, place, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::Domain;
    use std::os::fd::IntoRawFd;

    fn passed(sockets: Vec<Socket>) -> PassedSockets {
        let all = sockets.into_iter().map(|socket| look_at(socket.into_raw_fd(), "a.socket".into()));
        all.collect::<Result<_, _>>().expect("listening sockets")
    }

    fn listening(address: &str, only_v6: Option<bool>) -> Socket {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        if let Some(only) = only_v6 {
            socket.set_only_v6(only).expect("IPv6");
        }
        socket.bind(&address.into()).expect("bound");
        socket.listen(1).expect("listening");
        socket.set_nonblocking(true).expect("as some managers leave it");
        socket
    }

    fn place_of(socket: &Socket) -> SocketAddr {
        socket.local_addr().expect("bound").as_socket().expect("TCP")
    }

    #[test]
    fn a_socket_is_taken_by_its_address_and_the_rest_is_refused() {
        let (one, other) = (listening("127.0.0.1:0", None), listening("127.0.0.1:0", None));
        let (first, second) = (place_of(&one), place_of(&other));
        let mut all = passed(vec![one, other]);
        assert_eq!(all.take(&Place::Udp(first)).len(), 0);
        let taken = all.take(&Place::Tcp(first));
        assert_eq!(taken.iter().map(place_of).collect::<Vec<_>>(), [first]);
        assert!(!taken[0].nonblocking().expect("a socket"));
        let sentence = all.check_all_taken().expect_err("one is left").to_string();
        assert!(sentence.contains(&format!("a socket for tcp:{second} (a.socket)")), "{sentence}");
        all.take(&Place::Tcp(second));
        assert!(all.check_all_taken().is_ok());
    }

    #[test]
    fn one_socket_for_both_families_is_known() {
        for (only_v6, covers) in [(false, true), (true, false)] {
            let socket = listening("[::]:0", Some(only_v6));
            let port = place_of(&socket).port();
            let mut all = passed(vec![socket]);
            let of_v4 = |ip: [u8; 4]| Place::Tcp((ip, port).into());
            assert_eq!(all.covers(&of_v4([0; 4])), covers);
            assert_eq!(all.take(&Place::Tcp((Ipv6Addr::UNSPECIFIED, port).into())).len(), 1);
            assert_eq!(all.covers(&of_v4([0; 4])), covers, "in whatever order they are asked for");
            assert!(!all.covers(&of_v4([127, 0, 0, 1])) && !all.covers(&Place::Udp(([0; 4], port).into())));
        }
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let listener = listening("127.0.0.1:0", None);
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.connect(&listener.local_addr().expect("bound")).expect("connected");
        let refused = |fd| look_at(fd, "a.socket".into()).expect_err("refused").to_string();
        assert!(refused(client.into_raw_fd()).contains("(a.socket), which is a connection:"));
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert!(refused(file.into_raw_fd()).contains("which is no socket ("));
    }
}
