//! What is known of a connection from one request to the next, also while it is idle: its protocol, and who it is.

use super::affinity::Affinity;
use crate::options::Protocol;
use crate::shard::core::Core;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    /// Its first byte will tell.
    #[default]
    Undecided,
    /// Text: classic and meta commands.
    Text,
    /// Binary packets.
    Binary,
}

/// The first byte of every binary request.
const BINARY_MAGIC: u8 = 0x80;

/// See the module comment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Its protocol.
    pub speaks: Speaks,
    /// It has named a user and given the password.
    pub logged_in: bool,
    /// The client has chosen this shard: keys of other shards are none of its business.
    pub is_meant_here: bool,
    /// It is on this shard by chance: it may go to where its keys are.
    pub may_move: bool,
    /// Where those are.
    pub affinity: Affinity,
    /// It is a datagram, not a connection: nobody reads on behind its answer.
    pub datagram: bool,
}

impl Standing {
    /// Of a fresh connection where `protocol` is spoken.
    pub fn new(protocol: Protocol) -> Standing {
        let speaks = match protocol {
            Protocol::Ascii => Speaks::Text,
            Protocol::Binary => Speaks::Binary,
            Protocol::Auto => Speaks::Undecided,
        };
        Standing { speaks, ..Standing::default() }
    }

    /// Decides the protocol by the first byte ever received, once.
    pub fn speaks_given(&mut self, byte: u8) -> Speaks {
        if self.speaks == Speaks::Undecided {
            self.speaks = if byte == BINARY_MAGIC { Speaks::Binary } else { Speaks::Text };
        }
        self.speaks
    }

    /// Nothing but a login is answered yet.
    pub fn must_log_in(&self, core: &Core) -> bool {
        !self.logged_in && core.settings.users.is_some()
    }
}
