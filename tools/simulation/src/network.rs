//! The connections of a world: two streams of bytes each, with the buffers of both ends in one, and their ends.

use std::collections::VecDeque;
use std::os::fd::RawFd;

/// The descriptor of the first socket: far beyond those that the process has, so that a call that goes past the simulation fails.
const FIRST_FD: RawFd = 1 << 28;

/// One connection.
#[derive(Debug, Default)]
pub struct Socket {
    /// Sent by the client and not received by the server.
    pub to_server: VecDeque<u8>,
    /// Sent by the server and not received by the client.
    pub to_client: VecDeque<u8>,
    /// The client sends no more.
    pub ended: bool,
    /// Broken: nothing comes and nothing goes.
    pub reset: bool,
    /// The server has closed it.
    pub closed: bool,
    /// Receives wait for so many bytes.
    pub low_water: u32,
}

/// All of them; see the module comment.
#[derive(Debug)]
pub struct Network {
    sockets: Vec<Socket>,
    /// Bytes that one direction holds.
    pub capacity_bytes: usize,
}

impl Network {
    /// Nobody is connected.
    pub fn new(capacity_bytes: usize) -> Network {
        Network { sockets: Vec::new(), capacity_bytes }
    }

    /// A new connection; its descriptor.
    pub fn connect(&mut self) -> RawFd {
        self.sockets.push(Socket::default());
        FIRST_FD + self.sockets.len() as RawFd - 1
    }

    /// The socket of a descriptor. Panics for one that was never opened.
    pub fn socket(&mut self, fd: RawFd) -> &mut Socket {
        &mut self.sockets[(fd - FIRST_FD) as usize]
    }

    /// A receive would complete now.
    pub fn is_readable(&mut self, fd: RawFd) -> bool {
        let capacity_bytes = self.capacity_bytes;
        let socket = self.socket(fd);
        // A full window wakes whatever the low water mark says.
        let enough = (socket.low_water.max(1) as usize).min(capacity_bytes / 2);
        socket.reset || socket.ended || socket.to_server.len() >= enough
    }

    /// Bytes that a send would take now.
    pub fn room(&mut self, fd: RawFd) -> usize {
        let capacity_bytes = self.capacity_bytes;
        capacity_bytes.saturating_sub(self.socket(fd).to_client.len())
    }

    /// Bytes that a client could send now.
    pub fn room_to_server(&mut self, fd: RawFd) -> usize {
        let capacity_bytes = self.capacity_bytes;
        capacity_bytes.saturating_sub(self.socket(fd).to_server.len())
    }
}

/// Takes up to `room.len()` bytes from the front; how many.
pub fn take(queue: &mut VecDeque<u8>, room: &mut [u8]) -> usize {
    let len = room.len().min(queue.len());
    let (first, second) = queue.as_slices();
    let of_first = first.len().min(len);
    room[..of_first].copy_from_slice(&first[..of_first]);
    room[of_first..len].copy_from_slice(&second[..len - of_first]);
    queue.drain(..len);
    len
}
