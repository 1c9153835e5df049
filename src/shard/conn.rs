//! The connections of one shard: the socket side of a session.
//!
//! A connection that is idle is this small record and nothing else: its [`Session`] comes from a stack of warm ones when
//! the first byte arrives and goes back when the last reply has been sent. A place in the table is reused only after every
//! operation that names it has ended; its generation tells answers of peers for an earlier tenant apart.

use super::core::Core;
use super::datagrams::Datagram;
use super::session::standing::Standing;
use super::session::{ConnId, Session};
use std::os::fd::RawFd;

/// Idle sessions kept warm; further ones are freed.
const SPARE_SESSIONS_MAX: usize = 256;

/// The state of a connection's receive: a multishot one, or one of a single buffer, or a direct one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// None in the ring.
    Off,
    /// In the ring, into the shard's buffers.
    Armed,
    /// In the ring, into the memory of a large value.
    Direct,
    /// Cancelled; its last completion is still to come.
    Ending,
}

/// How far a connection is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Requests are read and answered.
    Open,
    /// No more requests; the replies still go out.
    Closing,
    /// Broken or done: nothing goes out any more.
    Dead,
}

/// Why a connection ends, for those who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// One of the two sides wanted it.
    #[default]
    Normal,
    /// The socket failed.
    Error,
    /// It was silent for too long.
    IdleTimeout,
    /// The server stops.
    Shutdown,
}

impl Reason {
    /// memcached's word.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Normal => "normal",
            Reason::Error => "error",
            Reason::IdleTimeout => "idle_timeout",
            Reason::Shutdown => "shutdown",
        }
    }
}

/// See the module comment.
pub struct Conn {
    /// The socket.
    pub fd: RawFd,
    /// Counts the tenants of this place.
    pub generation: u32,
    /// The listener it came from.
    pub listener: u32,
    /// When it last had a request taken or sent a part of a value, on the shard clock. A byte of a request that is not complete is
    /// not enough: a client that sends one now and then is idle.
    pub last_command_s: u32,
    /// The receive in the ring.
    pub receive: Receive,
    /// So many receives take a single buffer: a large value has been received directly, and another may follow.
    pub single_receives: u8,
    /// So many bytes must have come before its receive takes them.
    pub low_water: u32,
    /// How far it is from its end.
    pub life: Life,
    /// Why it ends, once it does.
    pub reason: Reason,
    /// The peer will send no more.
    pub ended: bool,
    /// It waits for its own answers or sends: their completion resumes it.
    pub waits: bool,
    /// It is in the list of connections to resume.
    pub queued: bool,
    /// It is in the list of connections with something to send.
    pub dirty: bool,
    /// It is no connection but a datagram, and the socket is not its own.
    pub datagram: Option<Datagram>,
    /// What is known of it; the session has it while there is one.
    pub standing: Standing,
    /// Present while there is anything received, outstanding or unsent.
    pub session: Option<Box<Session>>,
}

/// The table of connections.
#[derive(Default)]
pub struct Conns {
    places: Vec<Conn>,
    free: Vec<u32>,
    #[allow(clippy::vec_box)] // a session is boxed where it lives, in its connection; here it only rests
    spare: Vec<Box<Session>>,
}

impl Conns {
    /// Takes a place for a new connection.
    pub fn insert(&mut self, fd: RawFd, listener: u32, standing: Standing, now_s: u32) -> u32 {
        let index = self.free.pop().unwrap_or(self.places.len() as u32);
        let generation = self.places.get(index as usize).map_or(0, |conn| conn.generation);
        let conn = Conn {
            fd,
            generation,
            listener,
            last_command_s: now_s,
            receive: Receive::Off,
            single_receives: 0,
            low_water: 1,
            life: Life::Open,
            reason: Reason::Normal,
            ended: false,
            waits: false,
            queued: false,
            dirty: false,
            datagram: None,
            standing,
            session: None,
        };
        match self.places.get_mut(index as usize) {
            Some(place) => *place = conn,
            None => self.places.push(conn),
        }
        index
    }

    /// Gives a place back. Nothing in the ring may name it.
    pub fn remove(&mut self, index: u32) {
        if let Some(conn) = self.places.get_mut(index as usize) {
            conn.generation = conn.generation.wrapping_add(1);
            conn.fd = -1;
            self.free.push(index);
        }
    }

    /// The connection at `index`, if there is one.
    pub fn get(&mut self, index: u32) -> Option<&mut Conn> {
        self.places.get_mut(index as usize).filter(|conn| conn.fd >= 0)
    }

    /// The connection that a ticket means, if it still lives.
    pub fn of(&mut self, index: u32, generation: u32) -> Option<&mut Conn> {
        self.get(index).filter(|conn| conn.generation == generation)
    }

    /// Takes the session of a connection; one that has none gets one.
    pub fn session_of(&mut self, index: u32) -> Box<Session> {
        let Some(conn) = self.places.get_mut(index as usize) else { return Box::default() };
        if let Some(session) = conn.session.take() {
            return session;
        }
        let mut session = self.spare.pop().unwrap_or_default();
        session.begin(conn.id(index), conn.standing);
        session
    }

    /// Takes an idle session back.
    pub fn give_session(&mut self, core: &mut Core, mut session: Box<Session>) {
        session.shrink();
        session.count(core);
        if self.spare.len() < SPARE_SESSIONS_MAX {
            self.spare.push(session);
        }
    }

    /// Places, taken or not: the bound of a walk over all connections.
    pub fn places(&self) -> u32 {
        self.places.len() as u32
    }

    /// Connections.
    pub fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// All connections.
    pub fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.places.iter().filter(|conn| conn.fd >= 0)
    }
}

impl Conn {
    /// Its name for tickets.
    pub fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.generation }
    }
}
