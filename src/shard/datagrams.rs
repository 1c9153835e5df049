//! Requests over UDP: each datagram is a client of its own that has sent all it will ever send.
//!
//! It takes a place in the table of connections, without a socket of its own and for a moment only: its commands run in a
//! [`Session`], so keys of other shards travel and answers keep their order as everywhere, and what is incomplete at its end
//! is thrown away with the session. Nothing is kept from one datagram to the next. The answers are collected into one
//! message; when the last has come, it is sent back in datagrams, one after the other.
//!
//! Bounded by the buffers datagrams come in ([`DatagramBuffers`]), by the length of an answer ([`MESSAGE_LEN_MAX`]), and by
//! what bounds every session. Since the sender's address may be forged, what would answer without end (a listing, the log)
//! or stop the server is refused to datagrams; who answers how is in `docs/using.md`.

use super::Shard;
use super::conn::Life;
use super::core::Core;
use super::session::Session;
use super::session::standing::{Speaks, Standing};
use crate::net::{DatagramBuffers, DatagramSocket, Kernel};
use crate::protocol::binary::{HEADER_LEN, Status, Tag, reply};
use crate::protocol::datagram::{MESSAGE_LEN_MAX, PAYLOAD_MAX, parse, split};
use crate::protocol::reply::text;
use std::os::fd::AsRawFd;
use std::time::Duration;
use zerocopy::IntoBytes;

/// How long the receives rest after an error that might repeat itself at once.
const REST: Duration = Duration::from_millis(10);

/// A datagram under way.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// The buffer it came in.
    pub buffer: u16,
    /// Datagrams of its answer that have been sent.
    sent: u16,
}

/// The UDP side of a shard.
pub struct Datagrams {
    /// One for each address.
    pub sockets: Vec<DatagramSocket>,
    buffers: DatagramBuffers,
    /// Sockets whose receive is in the ring.
    armed: u64,
    /// Since when the receives rest.
    resting: Option<Duration>,
}

impl Datagrams {
    /// For a shard with these sockets, none of them received from yet.
    pub fn new(sockets: Vec<DatagramSocket>, buffers: DatagramBuffers) -> Datagrams {
        Datagrams { sockets, buffers, armed: 0, resting: None }
    }

    /// Datagrams under way.
    pub fn under_way(&self) -> usize {
        self.buffers.under_way().into()
    }

    /// A receive is in the ring.
    pub fn is_armed(&self) -> bool {
        self.armed != 0
    }

    /// The receives are to be tried again without anything happening before.
    pub fn is_resting(&self) -> bool {
        self.resting.is_some()
    }

    /// Takes what the session has to send into the answer; true if there was anything. Of an answer that is too long one
    /// byte too many is kept, to know it by.
    fn collect(&mut self, buffer: u16, session: &mut Session, core: &mut Core) -> bool {
        let answer = self.buffers.answer_mut(buffer);
        let mut any = false;
        while !session.out.is_idle() {
            any = true;
            session.out.take(&mut core.pool, &mut core.released, |piece| {
                let room = MESSAGE_LEN_MAX + 1 - answer.len();
                let len = piece.len().min(room);
                if answer.capacity() - answer.len() < len {
                    answer.reserve_exact(room); // not doubled: the longest answer is planned memory
                }
                answer.extend_from_slice(&piece[..len]);
            });
            session.drain_slots(core);
        }
        core.release_sent();
        any
    }

    /// Replaces an answer that is too long.
    fn finish(&mut self, buffer: u16, speaks: Speaks) {
        if self.buffers.answer(buffer).len() <= MESSAGE_LEN_MAX {
            return;
        }
        let commands =
            self.buffers.datagram(buffer).and_then(parse).map_or(&b""[..], |(_, commands)| commands);
        let tag = (speaks == Speaks::Binary).then(|| first_tag(commands));
        let answer = self.buffers.answer_mut(buffer);
        answer.clear();
        match tag {
            None => answer.extend_from_slice(text::ANSWER_TOO_LONG),
            Some(tag) => {
                let mut packet = [0; reply::ERROR_LEN_MAX];
                let len = reply::write_error(&mut packet, tag, Status::TooLarge);
                answer.extend_from_slice(&packet[..len]);
            }
        }
    }

    /// The next datagram of the answer.
    fn next(&mut self, datagram: Datagram) -> Option<crate::net::outbox::Send> {
        let Datagram { buffer, sent } = datagram;
        let (request, _) = self.buffers.datagram(buffer).and_then(parse)?;
        let start = usize::from(sent) * PAYLOAD_MAX;
        let (frame, end) = {
            let mut message = split(request.request_id, self.buffers.answer(buffer))?;
            let (frame, payload) = message.nth(sent.into())?;
            (frame.as_bytes().try_into().ok()?, start + payload.len())
        };
        self.buffers.start_send(buffer, frame, start..end)
    }
}

/// What an answer repeats of the first packet in a datagram.
fn first_tag(commands: &[u8]) -> Tag {
    let Some(header) = commands.first_chunk::<HEADER_LEN>() else { return Tag::default() };
    let [_, opcode, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] = *header;
    Tag { opcode, opaque: [a, b, c, d] }
}

impl<K: Kernel> Shard<K> {
    /// Begins to serve a datagram.
    pub(super) fn datagram_received(&mut self, socket: u32, buffer: u16, len: usize, armed: bool) {
        let Some(datagrams) = &mut self.datagrams else { return };
        let counters = &mut self.core.keyspace.counters;
        datagrams.armed &= !(u64::from(!armed) << socket);
        datagrams.buffers.take(buffer, len);
        counters.udp_received += 1;
        counters.bytes_read += len as u64;
        let request = datagrams.buffers.datagram(buffer).and_then(parse).filter(|_| !self.stop.is_closing());
        let (Some((_, commands)), Some(socket)) = (request, datagrams.sockets.get(socket as usize)) else {
            counters.udp_dropped += 1;
            return datagrams.buffers.recycle(buffer);
        };
        let standing = Standing { datagram: true, ..Standing::new(socket.protocol) };
        self.core.keyspace.journal.asker_fd = socket.as_raw_fd();
        let index = self.conns.insert(socket.as_raw_fd(), 0, standing, self.core.keyspace.now_s);
        if let Some(conn) = self.conns.get(index) {
            conn.datagram = Some(Datagram { buffer, sent: 0 });
            conn.ended = true;
        }
        let mut session = self.conns.session_of(index);
        let stop = session.feed(&mut self.core, commands);
        self.stopped(index, session, stop);
    }

    /// After anything happened to a datagram's session: collect its answers, and send them when all are there.
    pub(super) fn settle_datagram(&mut self, index: u32, datagram: Datagram) {
        let (Some(conn), Some(datagrams)) = (self.conns.get(index), &mut self.datagrams) else { return };
        let Some(mut session) = conn.session.take() else {
            if conn.life == Life::Dead {
                self.ring.cancel_send(index);
            }
            return;
        };
        let any = datagrams.collect(datagram.buffer, &mut session, &mut self.core);
        if conn.life == Life::Open || (conn.life == Life::Closing && !session.slots_are_empty()) {
            if any && std::mem::take(&mut conn.waits) && !std::mem::replace(&mut conn.queued, true) {
                self.resume.push(index); // what it waited for may have been room
            } else if session.has_reply_ready() && !std::mem::replace(&mut conn.queued, true) {
                self.shared_waiters.push(index); // for a block
            }
            conn.session = Some(session);
            return;
        }
        datagrams.finish(datagram.buffer, session.standing.speaks);
        session.abandon(&mut self.core);
        self.core.release_sent();
        self.conns.give_session(&mut self.core, session);
        self.send_datagram(index, datagram);
    }

    /// Sends the next datagram of an answer, or ends with it.
    fn send_datagram(&mut self, index: u32, datagram: Datagram) {
        let (Some(conn), Some(datagrams)) = (self.conns.get(index), &mut self.datagrams) else { return };
        match datagrams.next(datagram).filter(|_| conn.life != Life::Dead) {
            Some(send) => self.ring.send(index, conn.fd, send),
            None => {
                datagrams.buffers.recycle(datagram.buffer);
                self.conns.remove(index);
            }
        }
    }

    /// A datagram of an answer has left, or has not: then the rest is of no use either.
    pub(super) fn datagram_sent(&mut self, index: u32, mut datagram: Datagram, result: i32) {
        let (Some(conn), Some(datagrams)) = (self.conns.get(index), &mut self.datagrams) else { return };
        let counters = &mut self.core.keyspace.counters;
        datagrams.buffers.sent(datagram.buffer);
        datagram.sent += 1;
        conn.datagram = Some(datagram);
        match u64::try_from(result) {
            Ok(len) => {
                counters.udp_sent += 1;
                counters.bytes_written += len;
            }
            Err(_) => conn.life = Life::Dead,
        }
        self.send_datagram(index, datagram);
    }

    pub(super) fn datagrams_ended(&mut self, socket: u32, errno: i32) {
        let Some(datagrams) = &mut self.datagrams else { return };
        datagrams.armed &= !(1 << socket);
        match errno {
            // Receives start again when a buffer has been given back.
            libc::ENOBUFS => self.core.keyspace.counters.receive_no_buffer += 1,
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            _ => datagrams.resting = Some(self.core.settings.clock.now()),
        }
    }

    /// Gives buffers back, and receives from every socket while there are some.
    pub(super) fn receive_datagrams(&mut self) {
        let Some(datagrams) = &mut self.datagrams else { return };
        datagrams.buffers.publish();
        let clock = &self.core.settings.clock;
        datagrams.resting = datagrams.resting.filter(|since| clock.now() - *since < REST);
        if datagrams.buffers.is_full() || datagrams.is_resting() || self.stop.is_closing() {
            return;
        }
        for (index, socket) in datagrams.sockets.iter().enumerate() {
            if datagrams.armed & (1 << index) == 0 {
                datagrams.armed |= 1 << index;
                self.ring.receive_datagrams(index as u32, socket.as_raw_fd(), &datagrams.buffers);
            }
        }
    }

    /// Takes every receive of datagrams out of the ring.
    pub(super) fn end_datagrams(&mut self) {
        let Some(datagrams) = &self.datagrams else { return };
        for index in (0..datagrams.sockets.len() as u32).filter(|index| datagrams.armed & (1 << index) != 0) {
            self.ring.cancel_datagrams(index);
        }
    }
}
