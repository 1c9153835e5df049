//! UDP: sockets, the buffers that datagrams are received into, and the datagrams of the answers.
//!
//! As with TCP each shard has a socket of its own on each address, and the kernel spreads the clients over them
//! (`SO_REUSEPORT`). A datagram stays in the buffer it came in until the last datagram of its answer has been sent: the
//! sender's address stands there too. So the buffers are the bound of what is under way on a shard. While none is left the
//! receive rests; what comes then waits in the socket's own buffer in the kernel, which drops what does not fit
//! ([`DatagramSocket::overruns`]).
//!
//! Invariant: between [`DatagramBuffers::start_send`] and [`DatagramBuffers::sent`] neither the answer nor the buffer of
//! that datagram is touched.
#![allow(unsafe_code)]

use super::kernel::Kernel;
use super::listener::ListenError;
use super::outbox::Send;
use super::receive::ReceiveBuffers;
use crate::options::Protocol;
use io_uring::types::RecvMsgOut;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};

/// Datagrams of one shard that may be under way, a buffer for each.
pub const UNDER_WAY_MAX: u16 = 16;

/// Bytes of one buffer: what the kernel says about the datagram, the sender's address, and 65,527 bytes, the longest
/// datagram that IPv6 has; rounded up to cache lines.
const BUFFER_BYTES: u32 = 65_600;

/// The group of these buffers in the shard's ring.
pub(super) const GROUP: u16 = 1;

/// Bytes that the answer of an ended datagram keeps allocated for the next.
const SPARE_BYTES: usize = 4 * 1024;

/// Bytes of the frame in front of the payload of a datagram sent.
pub const FRAME_LEN: usize = 8;

/// A UDP socket of one shard.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: Socket,
    /// `udp:127.0.0.1:11211` or `udp6:[::1]:11211`, as `stats conns` prints it.
    pub name: String,
    /// What is spoken there.
    pub protocol: Protocol,
}

impl AsRawFd for DatagramSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl DatagramSocket {
    /// Datagrams the kernel has dropped since the start because the socket's buffer was full.
    pub fn overruns(&self) -> u64 {
        const DROPS: usize = 8; // SK_MEMINFO_DROPS of linux/sock_diag.h
        let mut info = [0u32; DROPS + 1];
        let mut len = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the option is an array of 32-bit numbers, of which the kernel writes at most `len` bytes.
        let result = unsafe {
            libc::getsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &mut len,
            )
        };
        if result == 0 { info[DROPS].into() } else { 0 }
    }
}

/// One socket per shard on `address:port`; port 0 takes a free one, the same for all. Returns the port with them.
///
/// # Errors
/// [`ListenError`], also when another process has the port.
pub fn listen_udp(
    address: IpAddr,
    port: u16,
    shards: usize,
    protocol: Protocol,
) -> Result<(u16, Vec<DatagramSocket>), ListenError> {
    let mut bound = SocketAddr::new(address, port);
    let fail = |e| ListenError::new(udp_name(SocketAddr::new(address, port)), e);
    let mut sockets = Vec::with_capacity(shards);
    for number in 0..shards {
        // The first must be alone on the port; it then lets its siblings in.
        let socket = udp_socket(bound, number > 0).map_err(fail)?;
        socket.set_reuse_port(true).map_err(fail)?;
        bound = socket.local_addr().map_err(fail)?.as_socket().unwrap_or(bound);
        sockets.push(DatagramSocket { socket, name: udp_name(bound), protocol });
    }
    Ok((bound.port(), sockets))
}

/// A socket of one shard that was passed to this process, bound to `address`.
pub fn listen_passed_udp(socket: Socket, address: SocketAddr, protocol: Protocol) -> DatagramSocket {
    DatagramSocket { socket, name: udp_name(address), protocol }
}

fn udp_name(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { "udp" } else { "udp6" };
    format!("{family}:{address}")
}

fn udp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // the IPv4 address has sockets of its own
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What is kept of one datagram beside its buffer.
struct Place {
    /// Bytes that the kernel wrote into the buffer.
    received: usize,
    answer: Vec<u8>,
    in_flight: bool,
    // What a send names: the kernel may read all of it until the completion.
    frame: [u8; FRAME_LEN],
    pieces: [libc::iovec; 2],
    message: libc::msghdr,
}

/// See the module comment. A datagram is named by the number of its buffer.
pub struct DatagramBuffers {
    buffers: ReceiveBuffers,
    /// Of a receive: how much room the sender's address has in a buffer.
    shape: Box<libc::msghdr>,
    places: Box<[Place]>,
    held: u16,
}

impl DatagramBuffers {
    /// # Errors
    /// ENOMEM from mmap or RLIMIT_MEMLOCK.
    pub fn new(kernel: &mut impl Kernel) -> io::Result<DatagramBuffers> {
        // SAFETY: a plain C structure for which all-zero bytes are a value.
        let mut shape: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        shape.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        Ok(DatagramBuffers {
            buffers: ReceiveBuffers::new(kernel, GROUP, UNDER_WAY_MAX, BUFFER_BYTES, 0)?,
            shape,
            places: (0..UNDER_WAY_MAX).map(|_| Place::new()).collect(),
            held: 0,
        })
    }

    /// Bytes that may become resident, with answers of up to `answer_len_max` bytes.
    pub const fn footprint_bytes(answer_len_max: usize) -> usize {
        UNDER_WAY_MAX as usize * (BUFFER_BYTES as usize + size_of::<Place>() + answer_len_max)
    }

    /// What a multishot receive is told about the shape of a datagram in its buffer.
    pub(super) fn shape(&self) -> *const libc::msghdr {
        &*self.shape
    }

    /// Datagrams under way.
    pub fn under_way(&self) -> u16 {
        self.held
    }

    /// No buffer is left to receive into.
    pub fn is_full(&self) -> bool {
        self.held == UNDER_WAY_MAX
    }

    /// Takes over buffer `buffer`, of which the kernel has written `len` bytes, until [`recycle`](Self::recycle).
    pub fn take(&mut self, buffer: u16, len: usize) {
        self.held += 1;
        self.places[usize::from(buffer)].received = len;
    }

    /// The datagram in a buffer; nothing if the kernel had to cut it.
    pub fn datagram(&self, buffer: u16) -> Option<&[u8]> {
        let bytes = self.filled(buffer);
        let message = RecvMsgOut::parse(bytes, &self.shape).ok().filter(|m| !m.is_payload_truncated())?;
        bytes.get(bytes.len() - message.payload_data().len()..)
    }

    fn filled(&self, buffer: u16) -> &[u8] {
        self.buffers.filled(buffer, 0, self.places[usize::from(buffer)].received)
    }

    /// What is to be answered to a datagram.
    pub fn answer(&self, buffer: u16) -> &[u8] {
        &self.places[usize::from(buffer)].answer
    }

    /// The same, to be written. Not while a send is in flight.
    pub fn answer_mut(&mut self, buffer: u16) -> &mut Vec<u8> {
        let place = &mut self.places[usize::from(buffer)];
        assert!(!place.in_flight, "the kernel reads this answer");
        &mut place.answer
    }

    /// The datagram to send to the sender of the one in `buffer`: `frame`, then these bytes of the answer. It must be
    /// submitted, and its completion told to [`sent`](Self::sent). Nothing if the sender has no address.
    pub fn start_send(&mut self, buffer: u16, frame: [u8; FRAME_LEN], bytes: Range<usize>) -> Option<Send> {
        let message = RecvMsgOut::parse(self.filled(buffer), &self.shape).ok()?;
        let name: *const [u8] = message.name_data();
        let place = &mut self.places[usize::from(buffer)];
        assert!(!place.in_flight, "one send at a time");
        let payload = place.answer.get(bytes)?;
        if name.is_empty() {
            return None;
        }
        place.frame = frame;
        place.pieces = [piece(&place.frame), piece(payload)];
        // The kernel only reads what these pointers name; they are mutable because receives share the structure.
        place.message.msg_name = name.cast_mut().cast();
        place.message.msg_namelen = name.len() as libc::socklen_t;
        place.message.msg_iov = place.pieces.as_mut_ptr();
        place.message.msg_iovlen = place.pieces.len();
        place.in_flight = true;
        Some(Send::Message(&place.message))
    }

    /// The send of a datagram has ended.
    pub fn sent(&mut self, buffer: u16) {
        self.places[usize::from(buffer)].in_flight = false;
    }

    /// Gives a buffer back; the kernel may use it after the next [`publish`](Self::publish). No send may be in flight.
    pub fn recycle(&mut self, buffer: u16) {
        let answer = self.answer_mut(buffer);
        answer.clear();
        answer.shrink_to(SPARE_BYTES);
        self.held -= 1;
        self.buffers.recycle(buffer);
    }

    /// Makes every recycled buffer visible to the kernel.
    pub fn publish(&mut self) {
        self.buffers.publish();
    }
}

impl Place {
    fn new() -> Place {
        Place {
            received: 0,
            answer: Vec::new(),
            in_flight: false,
            frame: [0; FRAME_LEN],
            pieces: [piece(&[]), piece(&[])],
            // SAFETY: a plain C structure for which all-zero bytes are a value.
            message: unsafe { std::mem::zeroed() },
        }
    }
}

fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Doorbell, Event, Ring, RingConfig, StreamBuffers};
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// A shard's socket with its ring, and a client of it.
    struct Pair {
        ring: Ring,
        events: Vec<Event>, // the next is the last
        buffers: DatagramBuffers,
        streams: StreamBuffers,
        socket: DatagramSocket,
        client: UdpSocket,
    }

    impl Pair {
        fn new(address: &str) -> Pair {
            let bell = Arc::new(Doorbell::new().expect("an eventfd"));
            let mut ring = Ring::new(RingConfig { submissions: 8, completions: 64 }, bell).expect("a ring");
            let address = address.parse().expect("an address");
            let buffers = DatagramBuffers::new(&mut ring).expect("buffers");
            let streams = StreamBuffers::new(&mut ring, 1 << 16).expect("buffers");
            let (port, mut sockets) = listen_udp(address, 0, 1, Protocol::Auto).expect("a free port");
            let client = UdpSocket::bind((address, 0)).expect("a client");
            client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            client.connect((address, port)).expect("its peer");
            let socket = sockets.pop().expect("one socket");
            let mut pair = Pair { ring, events: Vec::new(), buffers, streams, socket, client };
            pair.receive();
            pair
        }

        fn receive(&mut self) {
            self.ring.receive_datagrams(3, self.socket.as_raw_fd(), &self.buffers);
        }

        /// The next completion.
        fn next(&mut self) -> Event {
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.events.is_empty() {
                assert!(Instant::now() < deadline, "nothing completes");
                self.ring.enter(Some(Duration::from_millis(100))).expect("enter");
                self.ring.reap(&mut self.events, &mut self.streams);
                self.events.reverse();
            }
            self.events.pop().expect("just seen")
        }

        /// The buffer in which `sent` has come.
        fn received(&mut self, sent: &[u8]) -> u16 {
            let event = self.next();
            let Event::DatagramReceived { socket: 3, buffer, len, armed } = event else {
                panic!("{event:?}")
            };
            self.buffers.take(buffer, len as usize);
            if !armed {
                assert!(sent.is_empty(), "only an empty datagram ends the receive");
                self.receive();
            }
            assert!(self.buffers.datagram(buffer).expect("whole") == sent, "{} bytes", sent.len());
            buffer
        }

        fn recycle(&mut self, buffer: u16) {
            self.buffers.recycle(buffer);
            self.buffers.publish();
        }
    }

    #[test]
    fn datagrams_come_and_are_answered() {
        for (address, longest) in [("127.0.0.1", 65_507), ("::1", 65_527)] {
            let mut pair = Pair::new(address);
            for len in [0, 1, 9, 1_400, longest] {
                let sent: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
                pair.client.send(&sent).expect("send");
                let buffer = pair.received(&sent);
                pair.buffers.answer_mut(buffer).extend_from_slice(b"an answer");
                let send = pair.buffers.start_send(buffer, *b"a frame:", 3..9).expect("a sender");
                pair.ring.send(7, pair.socket.as_raw_fd(), send);
                assert!(matches!(pair.next(), Event::Sent { conn: 7, result: 14 }));
                pair.buffers.sent(buffer);
                let mut got = [0; 100];
                let len = pair.client.recv(&mut got).expect("an answer");
                assert_eq!(&got[..len], b"a frame:answer");
                pair.recycle(buffer);
            }
        }
    }

    #[test]
    fn without_a_buffer_the_receive_ends_and_datagrams_wait() {
        let mut pair = Pair::new("127.0.0.1");
        let mut taken = Vec::new();
        for _ in 0..UNDER_WAY_MAX {
            assert!(!pair.buffers.is_full());
            pair.client.send(b"one of many").expect("send");
            taken.push(pair.received(b"one of many"));
        }
        assert!(pair.buffers.is_full() && (0..UNDER_WAY_MAX).all(|buffer| taken.contains(&buffer)));
        pair.client.send(b"one too many").expect("send");
        let ended = pair.next();
        assert!(matches!(ended, Event::DatagramsEnded { socket: 3, errno: libc::ENOBUFS }), "{ended:?}");
        pair.recycle(taken[5]);
        pair.receive();
        assert_eq!(pair.received(b"one too many"), taken[5]);
    }

    #[test]
    fn shards_share_a_port_and_strangers_do_not() {
        let localhost = "127.0.0.1".parse().expect("an address");
        let (port, sockets) = listen_udp(localhost, 0, 3, Protocol::Auto).expect("three sockets");
        assert!(sockets.iter().all(|socket| socket.name == format!("udp:127.0.0.1:{port}")));
        let refused = listen_udp(localhost, port, 1, Protocol::Auto).expect_err("the port is taken");
        assert!(refused.to_string().contains(&format!("udp:127.0.0.1:{port}")), "{refused}");
        let stranger = UdpSocket::bind((localhost, 0)).expect("a free port");
        let port = stranger.local_addr().expect("bound").port();
        listen_udp(localhost, port, 1, Protocol::Auto).expect_err("the stranger's port");
    }

    #[test]
    fn what_the_kernel_drops_is_known() {
        let localhost = "127.0.0.1".parse().expect("an address");
        let (port, sockets) = listen_udp(localhost, 0, 1, Protocol::Auto).expect("a socket");
        assert_eq!(sockets[0].overruns(), 0);
        let client = UdpSocket::bind((localhost, 0)).expect("a client");
        for _ in 0..2_000 {
            client.send_to(&[0; 60_000], (localhost, port)).expect("send");
        }
        assert!(sockets[0].overruns() > 1_000, "{}", sockets[0].overruns());
    }
}
