//! The kernel of a simulated shard: what the shard submits is done by chance, in part, late, or not at all, but never in a way
//! that io_uring would not.
//!
//! It also watches that the shard keeps its side: one receive and one send for a connection at a time, nothing on a closed
//! descriptor, and the bytes of a send unchanged from its submission to its completion.

use crate::faults::{Faults, happens};
use crate::memory::{Filled, LentBuffers, gather, scatter};
use crate::network::{Network, take};
use fastrand::Rng;
use io_uring::types::BufRingEntry;
use ringcached::net::direct::Fill;
use ringcached::net::kernel::{EVENTS_MAX, RECEIVE_ONCE_BYTES};
use ringcached::net::outbox::Send;
use ringcached::net::{DatagramBuffers, Event, Kernel, StreamBuffers};
use ringcached::shard::clock::SimulatedTime;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Buffers that a multishot receive fills in one go, at most.
const BUFFERS_AT_ONCE: usize = 32;

/// What has been submitted.
enum Operation {
    Receive { conn: u32, fd: RawFd, multishot: bool },
    Direct { conn: u32, fd: RawFd, fill: Fill },
    Send { conn: u32, fd: RawFd, send: Send },
    CancelReceive(u32),
    CancelDirect(u32),
    CancelSend(u32),
    Close(RawFd),
    Wake(RawFd),
    Populate,
}

/// What has completed.
enum Completion {
    /// Bytes for a connection; which of a buffer's they are follows from the order of all these.
    Received {
        conn: u32,
        filled: Filled,
        armed: bool,
    },
    Other(Event),
}

struct Receiving {
    fd: RawFd,
    multishot: bool,
}

struct Sending {
    fd: RawFd,
    send: Send,
    /// What it named when it was submitted.
    bytes: Vec<u8>,
}

/// What the world sees of a kernel.
pub struct State {
    random: Rng,
    faults: Faults,
    network: Rc<RefCell<Network>>,
    queued: Vec<Operation>,
    receives: BTreeMap<u32, Receiving>,
    directs: BTreeMap<u32, (RawFd, Fill)>,
    sends: BTreeMap<u32, Sending>,
    completions: VecDeque<Completion>,
    buffers: Option<LentBuffers>,
    /// Peers to be woken, by descriptor of their rings.
    pub wakes: Vec<RawFd>,
    rings_on_completion: bool,
    rung: bool,
}

/// See the module comment. The world keeps a clone.
#[derive(Clone)]
pub struct SimulatedKernel {
    id: usize,
    time: Arc<SimulatedTime>,
    state: Rc<RefCell<State>>,
}

impl SimulatedKernel {
    /// Of shard `id`.
    pub fn new(
        id: usize,
        random: Rng,
        faults: Faults,
        network: Rc<RefCell<Network>>,
        time: Arc<SimulatedTime>,
    ) -> SimulatedKernel {
        let state = State {
            random,
            faults,
            network,
            queued: Vec::new(),
            receives: BTreeMap::new(),
            directs: BTreeMap::new(),
            sends: BTreeMap::new(),
            completions: VecDeque::new(),
            buffers: None,
            wakes: Vec::new(),
            rings_on_completion: false,
            rung: false,
        };
        SimulatedKernel { id, time, state: Rc::new(RefCell::new(state)) }
    }

    /// Something has happened that no operation of its own led to: a connection, a peer that wakes.
    pub fn complete(&self, event: Event) {
        let mut state = self.state.borrow_mut();
        state.completed(event);
        state.rung |= state.rings_on_completion;
    }

    /// The bell has been rung, or an operation could complete and would ring it.
    pub fn is_rung(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.rung || state.rings_on_completion && state.is_ready()
    }

    /// The peers to wake, once each.
    pub fn take_wakes(&self) -> Vec<RawFd> {
        std::mem::take(&mut self.state.borrow_mut().wakes)
    }

    /// From now on other faults.
    pub fn set_faults(&self, faults: Faults) {
        self.state.borrow_mut().faults = faults;
    }

    fn queue(&self, operation: Operation) {
        self.state.borrow_mut().queued.push(operation);
    }
}

impl State {
    fn completed(&mut self, event: Event) {
        self.completions.push_back(Completion::Other(event));
    }

    /// An operation would complete if it were not late.
    fn is_ready(&mut self) -> bool {
        let mut network = self.network.borrow_mut();
        self.receives.values().any(|receive| network.is_readable(receive.fd))
            || self.directs.values().any(|(fd, _)| network.is_readable(*fd))
            || self.sends.values().any(|send| network.room(send.fd) > 0 || network.socket(send.fd).reset)
    }

    fn submit(&mut self) {
        for operation in std::mem::take(&mut self.queued) {
            match operation {
                Operation::Receive { conn, fd, multishot } => {
                    self.check_open(fd);
                    let old = self.receives.insert(conn, Receiving { fd, multishot });
                    assert!(
                        old.is_none() && !self.directs.contains_key(&conn),
                        "two receives of connection {conn}"
                    );
                }
                Operation::Direct { conn, fd, fill } => {
                    self.check_open(fd);
                    let old = self.directs.insert(conn, (fd, fill));
                    assert!(
                        old.is_none() && !self.receives.contains_key(&conn),
                        "two receives of connection {conn}"
                    );
                }
                Operation::Send { conn, fd, send } => {
                    self.check_open(fd);
                    let bytes = gather(&send);
                    assert!(!bytes.is_empty(), "a send of nothing");
                    let old = self.sends.insert(conn, Sending { fd, send, bytes });
                    assert!(old.is_none(), "two sends of connection {conn}");
                }
                Operation::CancelReceive(conn) => self.cancel_receive(conn),
                Operation::CancelDirect(conn) => {
                    if self.random.bool() {
                        self.progress_direct(conn);
                    }
                    if self.directs.remove(&conn).is_some() {
                        self.completed(Event::Filled { conn, result: -libc::ECANCELED });
                    }
                }
                Operation::CancelSend(conn) => {
                    if self.random.bool() {
                        self.progress_send(conn);
                    }
                    if self.sends.remove(&conn).is_some() {
                        self.completed(Event::Sent { conn, result: -libc::ECANCELED });
                    }
                }
                Operation::Close(fd) => self.close(fd),
                Operation::Wake(fd) => self.wakes.push(fd),
                Operation::Populate => {
                    let knows_how = !happens(&mut self.random, self.faults.send_refused);
                    self.completed(Event::Populated { knows_how });
                }
            }
        }
    }

    fn check_open(&self, fd: RawFd) {
        assert!(!self.network.borrow_mut().socket(fd).closed, "an operation on a closed descriptor");
    }

    fn cancel_receive(&mut self, conn: u32) {
        if self.random.bool() {
            self.progress_receive(conn); // it was faster than its end
        }
        if self.receives.remove(&conn).is_some() {
            self.completed(Event::ReceiveEnded { conn, errno: libc::ECANCELED });
        }
    }

    fn close(&mut self, fd: RawFd) {
        self.check_open(fd);
        let named = self.receives.values().any(|receive| receive.fd == fd)
            || self.directs.values().any(|(other, _)| *other == fd)
            || self.sends.values().any(|send| send.fd == fd);
        assert!(!named, "a descriptor is closed while an operation names it");
        self.network.borrow_mut().socket(fd).closed = true;
    }

    /// Does what can be done, beginning anywhere.
    fn progress(&mut self) {
        let conns: Vec<u32> =
            self.receives.keys().chain(self.directs.keys()).chain(self.sends.keys()).copied().collect();
        if conns.is_empty() {
            return;
        }
        let start = self.random.usize(0..conns.len());
        for at in 0..conns.len() {
            let conn = conns[(start + at) % conns.len()];
            if happens(&mut self.random, self.faults.late_completion) {
                continue;
            }
            self.progress_receive(conn);
            self.progress_direct(conn);
            self.progress_send(conn);
        }
    }

    fn progress_receive(&mut self, conn: u32) {
        for _ in 0..BUFFERS_AT_ONCE {
            let Some(&Receiving { fd, multishot }) = self.receives.get(&conn) else { return };
            let mut network = self.network.borrow_mut();
            if !network.is_readable(fd) {
                return;
            }
            let socket = network.socket(fd);
            let end = match (socket.reset, socket.to_server.is_empty()) {
                (true, _) => Some(libc::ECONNRESET),
                (false, true) => Some(0),
                _ if happens(&mut self.random, self.faults.no_buffer) => Some(libc::ENOBUFS),
                _ => None,
            };
            let short = happens(&mut self.random, self.faults.short_receive);
            let Some(buffers) = self.buffers.as_mut() else { return };
            let random = &mut self.random;
            let filled = end.is_none().then(|| {
                buffers.fill(|room| {
                    let room_len =
                        if multishot { room.len() } else { room.len().min(RECEIVE_ONCE_BYTES as usize) };
                    let most = room_len.min(socket.to_server.len());
                    let len = if short { random.usize(1..=most) } else { most };
                    take(&mut socket.to_server, &mut room[..len])
                })
            });
            drop(network);
            let Some(Some(filled)) = filled else {
                self.receives.remove(&conn);
                let errno = end.unwrap_or(libc::ENOBUFS);
                return self.completed(Event::ReceiveEnded { conn, errno });
            };
            let armed = multishot && !happens(&mut self.random, self.faults.receive_ends);
            self.completions.push_back(Completion::Received { conn, filled, armed });
            if !armed {
                self.receives.remove(&conn);
            }
        }
    }

    fn progress_direct(&mut self, conn: u32) {
        let Some((fd, fill)) = self.directs.get(&conn) else { return };
        let mut network = self.network.borrow_mut();
        if !network.is_readable(*fd) {
            return;
        }
        let socket = network.socket(*fd);
        let result = if socket.reset {
            -libc::ECONNRESET
        } else if socket.to_server.is_empty() {
            0
        } else {
            let most = fill.asked().min(socket.to_server.len());
            let short = happens(&mut self.random, self.faults.short_receive);
            let most = if short { self.random.usize(1..=most) } else { most };
            scatter(fill, most, |room| take(&mut socket.to_server, room)) as i32
        };
        drop(network);
        self.directs.remove(&conn);
        self.completed(Event::Filled { conn, result });
    }

    fn progress_send(&mut self, conn: u32) {
        let Some(sending) = self.sends.get(&conn) else { return };
        let mut network = self.network.borrow_mut();
        let room = network.room(sending.fd);
        let socket = network.socket(sending.fd);
        let result = if socket.reset {
            -libc::EPIPE
        } else if happens(&mut self.random, self.faults.send_refused) {
            -[libc::EAGAIN, libc::EINTR, libc::ENOBUFS, libc::ENOMEM][self.random.usize(0..4)]
        } else if room == 0 {
            return;
        } else {
            assert!(gather(&sending.send) == sending.bytes, "bytes changed while they were being sent");
            let most = sending.bytes.len().min(room);
            let short = happens(&mut self.random, self.faults.short_send);
            let len = if short { self.random.usize(1..=most) } else { most };
            socket.to_client.extend(&sending.bytes[..len]);
            len as i32
        };
        drop(network);
        self.sends.remove(&conn);
        self.completed(Event::Sent { conn, result });
    }
}

#[allow(unsafe_code)]
impl Kernel for SimulatedKernel {
    fn fd(&self) -> RawFd {
        self.id as RawFd
    }

    unsafe fn lend_buffers(
        &mut self,
        entries: *const BufRingEntry,
        count: u16,
        _: u16,
        flags: u16,
    ) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let piecewise = flags != 0;
        if piecewise && state.random.bool() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL)); // an older kernel
        }
        // SAFETY: the caller's promise.
        state.buffers = Some(unsafe { LentBuffers::new(entries, count, piecewise) });
        Ok(())
    }

    fn accept(&mut self, _: u32, _: RawFd) {
        unreachable!("connections come without listeners");
    }

    fn cancel_accept(&mut self, _: u32) {}

    fn receive(&mut self, conn: u32, fd: RawFd) {
        self.queue(Operation::Receive { conn, fd, multishot: true });
    }

    fn receive_once(&mut self, conn: u32, fd: RawFd) {
        self.queue(Operation::Receive { conn, fd, multishot: false });
    }

    fn cancel_receive(&mut self, conn: u32) {
        self.queue(Operation::CancelReceive(conn));
    }

    fn receive_direct(&mut self, conn: u32, fd: RawFd, fill: Fill) {
        self.queue(Operation::Direct { conn, fd, fill });
    }

    fn cancel_direct(&mut self, conn: u32) {
        self.queue(Operation::CancelDirect(conn));
    }

    fn receive_datagrams(&mut self, _: u32, _: RawFd, _: &DatagramBuffers) {
        unreachable!("there is no UDP");
    }

    fn cancel_datagrams(&mut self, _: u32) {}

    fn send(&mut self, conn: u32, fd: RawFd, send: Send) {
        self.queue(Operation::Send { conn, fd, send });
    }

    fn cancel_send(&mut self, conn: u32) {
        self.queue(Operation::CancelSend(conn));
    }

    fn close(&mut self, fd: RawFd) {
        self.queue(Operation::Close(fd));
    }

    fn refuse(&mut self, fd: RawFd, words: &'static [u8]) {
        self.state.borrow().network.borrow_mut().socket(fd).to_client.extend(words);
        self.close(fd);
    }

    fn wake(&mut self, ring_fd: RawFd) {
        self.queue(Operation::Wake(ring_fd));
    }

    fn populate(&mut self, _: *const u8, _: usize) {
        self.queue(Operation::Populate);
    }

    fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.submit();
        state.progress();
        if let Some(wait) = wait.filter(|_| state.completions.is_empty()) {
            self.time.advance(wait.mul_f64(state.random.f64()));
        }
        Ok(())
    }

    fn has_news(&mut self) -> bool {
        let mut state = self.state.borrow_mut();
        !state.queued.is_empty() || !state.completions.is_empty() || state.is_ready()
    }

    fn reap(&mut self, events: &mut Vec<Event>, buffers: &mut StreamBuffers) {
        let completions = &mut self.state.borrow_mut().completions;
        let len = completions.len().min(EVENTS_MAX);
        events.extend(completions.drain(..len).map(|completion| match completion {
            Completion::Received { conn, filled: Filled { buffer, len, more }, armed } => {
                Event::Received { conn, piece: buffers.piece(buffer, len as u32, more), armed }
            }
            Completion::Other(event) => event,
        }));
    }

    fn ring_on_completion(&mut self, enabled: bool) {
        self.state.borrow_mut().rings_on_completion = enabled;
    }

    fn backlog_len(&self) -> usize {
        0
    }

    fn ring_bell(&self) {
        self.state.borrow_mut().rung = true;
    }

    fn hush_bell(&self) {
        self.state.borrow_mut().rung = false;
    }

    fn set_low_water(&self, fd: RawFd, bytes: u32) {
        self.state.borrow().network.borrow_mut().socket(fd).low_water = bytes;
    }
}
