//! One keyed operation, ready to run on the shard that owns the key: what a parsed command becomes, whatever protocol it
//! came in, and what travels through the mesh.

use crate::store::{Key, Mode, Write};

/// What to do with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // memcached's words
pub enum Op {
    Get = 0,
    Gets,
    Gat,
    Gats,
    Touch,
    Delete,
    Incr,
    Decr,
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Cas,
}

const OPS: [Op; 14] = [
    Op::Get,
    Op::Gets,
    Op::Gat,
    Op::Gats,
    Op::Touch,
    Op::Delete,
    Op::Incr,
    Op::Decr,
    Op::Set,
    Op::Add,
    Op::Replace,
    Op::Append,
    Op::Prepend,
    Op::Cas,
];

impl Op {
    /// The operation with this number, for decoding.
    pub fn from_number(n: u8) -> Option<Op> {
        OPS.get(usize::from(n)).copied()
    }
}

/// A keyed operation. Expiry is already in seconds of the shard clock.
#[derive(Clone, Copy, Debug)]
pub struct KeyRequest<'a> {
    /// What to do.
    pub op: Op,
    /// The client does not want an answer.
    pub noreply: bool,
    /// The key and its hash.
    pub key: Key<'a>,
    /// The data of a storage operation that came whole; empty otherwise.
    pub value: &'a [u8],
    /// Client flags of a storage operation.
    pub flags: u32,
    /// When the item dies, in the store's terms; of storage, touch and gat.
    pub expires_s: u32,
    /// The delta of incr and decr, the unique of cas.
    pub number: u64,
}

impl KeyRequest<'_> {
    /// What a storage operation asks of the store.
    pub fn write(&self) -> Write {
        let mode = match self.op {
            Op::Add => Mode::Add,
            Op::Replace => Mode::Replace,
            Op::Append => Mode::Append,
            Op::Prepend => Mode::Prepend,
            _ => Mode::Set,
        };
        let compare = (self.op == Op::Cas).then_some(self.number);
        Write { compare, ..Write::new(mode, self.flags, self.expires_s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_number() {
        for (n, op) in OPS.iter().enumerate() {
            assert_eq!((*op as usize, Op::from_number(n as u8)), (n, Some(*op)));
        }
        assert_eq!(Op::from_number(OPS.len() as u8), None);
    }
}
