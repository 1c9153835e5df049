//! Listening sockets. TCP: one per address and shard, sharing the port through `SO_REUSEPORT`, so that each shard has its
//! own accept queue; and one of a shard alone for each of its own ports (`--shard-ports`). UNIX: one, of shard 0, which
//! hands connections on. Sockets that a service manager passed may be fewer than the shards: who has one hands on, too.

use super::bpf::Program;
use crate::options::Protocol;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What one shard knows of one address that is listened on. Every shard has one at the same place in its list, so that the place
/// says how a connection has come that another shard has accepted.
#[derive(Debug)]
pub struct Listener {
    /// Where this shard accepts; another one does if it is missing.
    socket: Option<Socket>,
    /// `tcp:127.0.0.1:11211`, `tcp6:[::1]:11211` or `unix:/path`, as `stats conns` prints it.
    pub name: String,
    /// What brings connections here.
    pub way: Way,
    /// What is spoken there.
    pub protocol: Protocol,
}

/// Why a connection has come to this shard and not to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The kernel's hash, so by chance: it may be handed on.
    Chance,
    /// Its packets are handled by the shard's core.
    Core,
    /// The client has chosen its own port accordingly.
    SourcePort,
    /// The client has chosen the shard's port.
    ShardPort,
}

impl Way {
    /// The client means this shard: it should ask for no other shard's keys.
    pub fn is_chosen(self) -> bool {
        matches!(self, Way::SourcePort | Way::ShardPort)
    }
}

/// A listening socket that could not be made; the text names the address, the reason and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{remedy}")]
pub struct ListenError {
    address: String,
    #[source]
    source: io::Error,
    remedy: &'static str,
}

impl ListenError {
    pub(super) fn new(address: impl ToString, source: io::Error) -> ListenError {
        let remedy = match source.raw_os_error() {
            Some(libc::EADDRINUSE) => {
                " (another server has it: stop that one, or choose another with -p, -U, -s, --shard-ports or --admin)"
            }
            Some(libc::EACCES) => {
                " (ports below 1024 need CAP_NET_BIND_SERVICE; a UNIX path needs a writable folder)"
            }
            Some(libc::EADDRNOTAVAIL) => " (no interface of this machine has the address: correct -l)",
            Some(libc::EMFILE | libc::ENFILE) => " (raise `ulimit -n`)",
            _ => "",
        };
        ListenError { address: address.to_string(), source, remedy }
    }

    /// The machine does not know the address family (no IPv6): a default address may be left out.
    pub fn is_family_missing(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
    }
}

/// A congestion control that the kernel does not give.
#[derive(Debug, thiserror::Error)]
#[error("--congestion {name}: {source} on {listener}{remedy}")]
pub struct CongestionError {
    name: String,
    listener: String,
    #[source]
    source: io::Error,
    remedy: &'static str,
}

impl Listener {
    /// Has TCP connections accepted from now on use the congestion control `name` (`tcp(7)`, TCP_CONGESTION); they inherit it.
    ///
    /// # Errors
    /// The kernel does not know it (ENOENT), or does not allow it (EPERM).
    pub fn set_congestion(&self, name: &str) -> Result<(), CongestionError> {
        // A UNIX socket has none.
        let is_tcp = |socket: &&Socket| socket.local_addr().is_ok_and(|address| !address.is_unix());
        let Some(socket) = self.socket.as_ref().filter(is_tcp) else { return Ok(()) };
        socket.set_tcp_congestion(name.as_bytes()).map_err(|source| {
            let remedy = match source.raw_os_error() {
                Some(libc::ENOENT) => {
                    " (the kernel does not know it: see sysctl net.ipv4.tcp_available_congestion_control, or load its \
                     module, tcp_NAME)"
                }
                Some(libc::EPERM) => {
                    " (it needs CAP_NET_ADMIN, which -u gives up: name it in sysctl net.ipv4.tcp_allowed_congestion_control)"
                }
                _ => "",
            };
            CongestionError { name: name.to_string(), listener: self.name.clone(), source, remedy }
        })
    }

    /// The socket on which this shard accepts, if it is not for others to do that.
    pub fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(Socket::as_raw_fd)
    }

    /// Has the kernel choose among the sockets of this one's port by a program.
    ///
    /// # Errors
    /// What `setsockopt(2)` says; also where the shard has no socket, and where the port has no group of them.
    pub fn attach(&self, program: &Program) -> io::Result<()> {
        let socket = self.socket.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        program.attach(socket)
    }
}

/// Deals the sockets of one address to the shards in turn, a round for each list that is returned: a listener for every shard,
/// with a socket as long as there are any.
fn deal(sockets: Vec<Socket>, shards: usize, name: &str, protocol: Protocol) -> Vec<Vec<Listener>> {
    let rounds = sockets.len().div_ceil(shards);
    let mut sockets = sockets.into_iter();
    let mut listener =
        || Listener { socket: sockets.next(), name: name.to_string(), way: Way::Chance, protocol };
    (0..rounds).map(|_| (0..shards).map(|_| listener()).collect()).collect()
}

/// Listeners on sockets of one address that were passed to this process: see [`deal`]. `backlog` and what connections inherit is
/// set as for our own.
///
/// # Errors
/// [`ListenError`]
pub fn listen_passed(
    sockets: Vec<Socket>,
    shards: usize,
    backlog: i32,
    protocol: Protocol,
) -> Result<Vec<Vec<Listener>>, ListenError> {
    let Some(first) = sockets.first() else { return Ok(Vec::new()) };
    let local = first.local_addr();
    let name = name_of(&local);
    let fail = |e| ListenError::new(&name, e);
    let is_tcp = local.map_err(fail)?.as_socket().is_some();
    for socket in &sockets {
        if is_tcp {
            let_inherit(socket).map_err(fail)?;
        }
        socket.listen(backlog).map_err(fail)?;
    }
    Ok(deal(sockets, shards, &name, protocol))
}

/// One listener per shard on `address:port`; port 0 takes a free one, the same for all. Returns the port with them.
///
/// # Errors
/// [`ListenError`], also when another process already listens there: `SO_REUSEPORT` alone would share the port with it.
pub fn listen_tcp(
    address: IpAddr,
    port: u16,
    shards: usize,
    backlog: i32,
    protocol: Protocol,
) -> Result<(u16, Vec<Listener>), ListenError> {
    let mut bound = SocketAddr::new(address, port);
    let fail = |e| ListenError::new(SocketAddr::new(address, port), e);
    if port != 0 {
        // Alone on the port? Bound without SO_REUSEPORT, closed again at once.
        tcp_socket(bound, false).map_err(fail)?;
    }
    let mut listeners = Vec::with_capacity(shards);
    for _ in 0..shards {
        let socket = tcp_socket(bound, true).map_err(fail)?;
        socket.listen(backlog).map_err(fail)?;
        let local = socket.local_addr().map_err(fail)?;
        bound = local.as_socket().unwrap_or(bound);
        let name = tcp_name(bound);
        listeners.push(Listener { socket: Some(socket), name, way: Way::Chance, protocol });
    }
    Ok((bound.port(), listeners))
}

/// The listener of shard number `shard` alone.
///
/// # Errors
/// [`ListenError`], also when anybody already listens there.
pub fn listen_shard_port(
    shard: usize,
    address: SocketAddr,
    backlog: i32,
    protocol: Protocol,
) -> Result<Listener, ListenError> {
    let fail = |e| ListenError::new(format!("{address}, the port of shard {shard}"), e);
    let socket = tcp_socket(address, false).map_err(fail)?;
    socket.listen(backlog).map_err(fail)?;
    Ok(Listener { socket: Some(socket), name: tcp_name(address), way: Way::ShardPort, protocol })
}

/// One socket at `address` that nobody else listens at, or the one that was passed for it. It does not block: it is for a task of
/// the executor. With port 0 the kernel chooses.
///
/// # Errors
/// [`ListenError`]
pub fn listen_alone(
    address: SocketAddr,
    passed: Option<Socket>,
    backlog: i32,
) -> Result<TcpListener, ListenError> {
    let fail = |e| ListenError::new(address, e);
    let socket = passed.map_or_else(|| tcp_socket(address, false), Ok).map_err(fail)?;
    socket.listen(backlog).and_then(|()| socket.set_nonblocking(true)).map_err(fail)?;
    Ok(socket.into())
}

fn tcp_name(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { "tcp" } else { "tcp6" };
    format!("{family}:{address}")
}

fn tcp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // the IPv4 address has listeners of its own
    }
    let_inherit(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Sets what accepted sockets inherit, which saves two system calls a connection.
fn let_inherit(socket: &Socket) -> io::Result<()> {
    socket.set_keepalive(true)?;
    socket.set_tcp_nodelay(true)
}

/// A UNIX listener of shard 0 at `path` with permission bits `mode` (memcached's `-a`), one for each shard: see [`deal`]. A stale
/// socket file is replaced.
///
/// # Errors
/// [`ListenError`]; a file at `path` that is no socket is left alone and refused.
pub fn listen_unix(
    path: &Path,
    mode: u32,
    shards: usize,
    backlog: i32,
    protocol: Protocol,
) -> Result<Vec<Listener>, ListenError> {
    let fail = |e| ListenError::new(path.display(), e);
    if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(fail(io::Error::from_raw_os_error(libc::EADDRINUSE)));
        }
        std::fs::remove_file(path).map_err(fail)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(fail)?;
    socket.bind(&SockAddr::unix(path).map_err(fail)?).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    socket.listen(backlog).map_err(fail)?;
    let name = format!("unix:{}", path.display());
    Ok(deal(vec![socket], shards, &name, protocol).into_iter().flatten().collect())
}

/// The core that handles the packets of a TCP connection, as far as the kernel knows one.
pub fn receiving_core(fd: RawFd) -> Option<usize> {
    with_socket(fd, |socket| socket.cpu_affinity().ok())
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It came by TCP, from there.
    Tcp(SocketAddr),
    /// It came by a UNIX socket.
    Local,
    /// It has broken, and the kernel has forgotten.
    Gone,
}

/// The other end of a connected socket.
pub fn peer_of(fd: RawFd) -> Peer {
    with_socket(fd, |socket| match socket.peer_addr() {
        Ok(address) => address.as_socket().map_or(Peer::Local, Peer::Tcp),
        Err(_) => Peer::Gone,
    })
}

/// The address of this end of a TCP connection.
pub fn local_ip_of(fd: RawFd) -> Option<IpAddr> {
    // IPv4 through a socket for both families is IPv4.
    with_socket(fd, |socket| Some(socket.local_addr().ok()?.as_socket()?.ip().to_canonical()))
}

#[allow(unsafe_code)]
fn with_socket<T>(fd: RawFd, look: impl FnOnce(SockRef<'_>) -> T) -> T {
    // SAFETY: borrowed for this call only; the connection table closes a descriptor only after it has left the table.
    let connection = unsafe { BorrowedFd::borrow_raw(fd) };
    look(SockRef::from(&connection))
}

/// The peer and local names of a connected socket, as `stats conns` prints them; `?` where the kernel does not say.
pub fn names_of(fd: RawFd) -> (String, String) {
    with_socket(fd, |socket| (name_of(&socket.peer_addr()), name_of(&socket.local_addr())))
}

fn name_of(address: &io::Result<SockAddr>) -> String {
    match address {
        Ok(a) => match (a.as_socket(), a.as_pathname()) {
            (Some(s), _) => tcp_name(s),
            (None, path) => format!("unix:{}", path.map(PathBuf::from).unwrap_or_default().display()),
        },
        Err(_) => "?".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_port_and_strangers_do_not() {
        let localhost = "127.0.0.1".parse().expect("an address");
        let (port, listeners) =
            listen_tcp(localhost, 0, 3, 16, Protocol::Auto).expect("three listeners on a free port");
        assert_eq!(listeners.len(), 3);
        assert!(listeners.iter().all(|l| l.name == format!("tcp:127.0.0.1:{port}")));
        let refused = listen_tcp(localhost, port, 1, 16, Protocol::Auto).expect_err("the port is taken");
        assert!(refused.to_string().contains("choose another with -p"), "{refused}");
        let own = SocketAddr::new(localhost, port);
        let refused = listen_shard_port(5, own, 16, Protocol::Auto).expect_err("not even with shards");
        assert!(
            refused.to_string().contains(&format!("127.0.0.1:{port}, the port of shard 5: ")),
            "{refused}"
        );
    }

    #[test]
    fn accepted_connections_inherit_the_congestion_control() {
        let localhost = "127.0.0.1".parse().expect("an address");
        let (port, listeners) = listen_tcp(localhost, 0, 1, 16, Protocol::Auto).expect("a free port");
        listeners[0].set_congestion("reno").expect("every kernel has it");
        let _client = std::net::TcpStream::connect((localhost, port)).expect("a connection");
        let (accepted, _) = listeners[0].socket.as_ref().expect("its own").accept().expect("the same");
        let name = accepted.tcp_congestion().expect("a name");
        assert_eq!(name.split(|b| *b == 0).next(), Some(&b"reno"[..]));
        let refused = listeners[0].set_congestion("nosuchname").expect_err("there is none");
        let text = refused.to_string();
        assert!(
            text.starts_with("--congestion nosuchname: No such file or directory")
                && text.contains("tcp_available"),
            "{text}"
        );
    }

    #[test]
    fn passed_sockets_are_dealt_to_the_shards() {
        let sockets =
            || (0..3).map(|_| tcp_socket(([127, 0, 0, 1], 0).into(), false).expect("a socket")).collect();
        let has_sockets = |shards| {
            let rounds = listen_passed(sockets(), shards, 16, Protocol::Auto).expect("listening");
            rounds
                .iter()
                .map(|round| round.iter().map(|l| l.fd().is_some()).collect())
                .collect::<Vec<Vec<bool>>>()
        };
        assert_eq!(has_sockets(2), [[true, true], [true, false]]);
        assert_eq!(has_sockets(4), [[true, true, true, false]]);
        assert!(listen_passed(Vec::new(), 4, 16, Protocol::Auto).expect("nothing to do").is_empty());
    }

    #[test]
    fn a_unix_path_replaces_a_stale_socket_but_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        drop(listen_unix(&path, 0o700, 2, 16, Protocol::Auto).expect("first"));
        let second = listen_unix(&path, 0o770, 2, 16, Protocol::Auto).expect("the stale file is replaced");
        assert_eq!(std::fs::metadata(&path).expect("made").permissions().mode() & 0o777, 0o770);
        assert!(listen_unix(&path, 0o700, 2, 16, Protocol::Auto).is_err(), "somebody listens there");
        drop(second);
        let file = folder.path().join("file");
        std::fs::write(&file, "data").expect("written");
        assert!(listen_unix(&file, 0o700, 2, 16, Protocol::Auto).is_err());
        assert_eq!(std::fs::read(&file).expect("still there"), b"data");
    }
}
