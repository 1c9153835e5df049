//! What clients draw at random: keys, lengths, lifetimes, and what is sent by one that misbehaves.

use crate::ledger::Ledger;
use crate::protocol::{Protocol, Request, VALUE_LEN_MIN};

/// Values each client writes: with the lengths below, more than the server has memory for.
pub const VALUES: u32 = 2000;
/// Value number n is used about as often as n to the power of 1 / SKEW - 1.
const SKEW: i32 = 3;
/// Most keys of a get.
const KEYS_PER_GET_MAX: usize = 8;
/// Longest value; -I of the server is above.
const VALUE_LEN_MAX: u32 = 1536 << 10;
/// Most seconds of a lifetime.
const LIFETIME_MAX_S: u32 = 3;
/// Gets of a client that does not read them.
const UNREAD_GETS: usize = 50;

/// Draws for one thread.
pub struct Draw<'a> {
    ledger: &'a Ledger,
    /// For what is not here.
    pub random: fastrand::Rng,
}

impl<'a> Draw<'a> {
    /// The same draws for the same seed.
    pub fn new(ledger: &'a Ledger, seed: u64) -> Draw<'a> {
        Draw { ledger, random: fastrand::Rng::with_seed(seed) }
    }

    /// Length of a value: most are small, most bytes are in large ones.
    pub fn value_len(&mut self) -> u32 {
        match self.random.u32(..100) {
            0..60 => self.random.u32(VALUE_LEN_MIN..1 << 10),
            60..85 => self.random.u32(1 << 10..16 << 10),
            85..98 => self.random.u32(16 << 10..256 << 10),
            _ => self.random.u32(256 << 10..VALUE_LEN_MAX),
        }
    }

    /// Most items have no lifetime.
    pub fn lifetime_s(&mut self) -> u32 {
        if self.random.u32(..8) == 0 { self.random.u32(1..=LIFETIME_MAX_S) } else { 0 }
    }

    /// A value that this client writes. Some are used much and most little, so that many are found although memory is short.
    pub fn value_of(&mut self, client: u32) -> u32 {
        client * VALUES + (f64::from(VALUES) * self.random.f64().powi(SKEW)) as u32
    }

    /// Different values, of anybody.
    pub fn keys(&mut self) -> Vec<u32> {
        let clients = self.ledger.known.len() as u32 / VALUES;
        let count = if self.random.u32(..10) < 7 { 1 } else { self.random.usize(2..=KEYS_PER_GET_MAX) };
        let mut keys = Vec::with_capacity(count);
        while keys.len() < count {
            let client = self.random.u32(..clients);
            let key = self.value_of(client);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// A part of a store. Nobody may ever see the value: no version is that high.
    pub fn half_request(&mut self, protocol: Protocol) -> Vec<u8> {
        let (key, len) = (self.keys()[0], self.value_len());
        let poison = Request::Set { key, version: u32::MAX, len, lifetime_s: 0, cas: None, quiet: false };
        let mut bytes = Vec::new();
        protocol.write(&poison, &self.ledger.keys, &mut bytes);
        bytes.truncate(self.random.usize(1..bytes.len()));
        bytes
    }

    /// Gets for whoever does not read their answers.
    pub fn gets(&mut self, protocol: Protocol) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..UNREAD_GETS {
            protocol.write(&Request::Get { keys: self.keys() }, &self.ledger.keys, &mut bytes);
        }
        bytes
    }
}
