//! One keyed operation, ready to run on the shard that owns the key: what a parsed command becomes, whatever protocol it
//! came in, and what travels through the mesh.

use crate::protocol::binary::Tag;
use crate::protocol::{MetaFlags, StoreVerb};
use crate::store::{Key, Mode, Write};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
    MetaGet,
    MetaSet,
    MetaDelete,
    MetaArith,
    MetaDebug,
}

const OPS: [Op; 19] = [
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
    Op::MetaGet,
    Op::MetaSet,
    Op::MetaDelete,
    Op::MetaArith,
    Op::MetaDebug,
];

impl Op {
    /// The operation with this number, for decoding.
    pub fn from_number(n: u8) -> Option<Op> {
        OPS.get(usize::from(n)).copied()
    }
}

/// How the request was made, which is how it is answered.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// A line of the classic text protocol. With `noreply` nothing is answered.
    Classic {
        /// The client does not want an answer.
        noreply: bool,
    },
    /// A meta command: its flags say what to do and what to answer.
    Meta(&'a MetaFlags),
    /// A packet of the binary protocol.
    Binary(&'a Packet),
}

/// What a packet of the binary protocol says beside the fields it shares with the others. Plain bytes, for the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Packet {
    /// Only over the item with this CAS; 0 is any.
    pub cas: u64,
    /// incr and decr: what a missing number starts with.
    pub initial: u64,
    /// Opcode and opaque.
    pub tag: Tag,
    /// 1: incr and decr create a missing number.
    pub creates: u8,
    /// The rest of eight bytes.
    pub unused: [u8; 2],
}

/// A keyed operation. Expiry is already in seconds of the shard clock.
#[derive(Clone, Copy, Debug)]
pub struct KeyRequest<'a> {
    /// What to do.
    pub op: Op,
    /// How it was asked.
    pub form: Form<'a>,
    /// The key and its hash.
    pub key: Key<'a>,
    /// The data of a storage operation that came whole; empty otherwise.
    pub value: &'a [u8],
    /// Bytes of the data of a storage operation, whether they are here or not.
    pub value_len: u32,
    /// Client flags of a storage operation.
    pub flags: u32,
    /// When the item dies, in the store's terms; of storage, touch and gat.
    pub expires_s: u32,
    /// The delta of incr and decr; the unique of cas; of `ms`, when an item dies that its `N` creates.
    pub number: u64,
}

impl KeyRequest<'_> {
    /// How a storage operation treats what is there.
    pub fn write(&self) -> Write {
        match self.form {
            Form::Classic { .. } => Write {
                compare: (self.op == Op::Cas).then_some(self.number),
                ..Write::new(self.mode(), self.flags, self.expires_s)
            },
            Form::Meta(flags) => self.meta_write(flags),
            Form::Binary(packet) => self.binary_write(packet),
        }
    }

    fn mode(&self) -> Mode {
        match self.op {
            Op::Add => Mode::Add,
            Op::Replace => Mode::Replace,
            Op::Append => Mode::Append,
            Op::Prepend => Mode::Prepend,
            _ => Mode::Set,
        }
    }

    /// `ms`. Its `C0` is no condition where the old value is kept, its `E0` no number.
    fn meta_write(&self, flags: &MetaFlags) -> Write {
        let (mode, compare) = match flags.store_verb() {
            StoreVerb::Set => (Mode::Set, None),
            StoreVerb::Add => (Mode::Add, None),
            StoreVerb::Replace => (Mode::Replace, None),
            StoreVerb::Cas => (Mode::Set, flags.compare()),
            StoreVerb::Append => (Mode::Append, flags.compare().filter(|cas| *cas != 0)),
            StoreVerb::Prepend => (Mode::Prepend, flags.compare().filter(|cas| *cas != 0)),
        };
        Write {
            compare,
            invalidate: flags.invalidate(),
            cas: flags.given_cas().filter(|cas| *cas != 0),
            binary_key: flags.base64_key(),
            vivify_s: flags.vivify().map(|_| self.number as u32),
            ..Write::new(mode, self.flags, self.expires_s)
        }
    }

    /// A packet with a CAS is a compare-and-swap, also if it says add or replace.
    fn binary_write(&self, packet: &Packet) -> Write {
        let compare = (packet.cas != 0).then_some(packet.cas);
        let mode = match self.mode() {
            Mode::Add | Mode::Replace if compare.is_some() => Mode::Set,
            mode => mode,
        };
        Write { compare, ..Write::new(mode, self.flags, self.expires_s) }
    }
}

/// A request that outlives the bytes it came in: that of a large value still being received.
#[derive(Debug)]
pub struct OwnedRequest {
    op: Op,
    form: OwnedForm,
    hash: u64,
    key: Box<[u8]>,
    value_len: u32,
    flags: u32,
    expires_s: u32,
    number: u64,
}

#[derive(Debug)]
enum OwnedForm {
    Classic { noreply: bool },
    Meta(Box<MetaFlags>),
    Binary(Packet),
}

impl OwnedRequest {
    /// A copy without the value.
    pub fn new(request: &KeyRequest<'_>) -> OwnedRequest {
        let form = match request.form {
            Form::Classic { noreply } => OwnedForm::Classic { noreply },
            Form::Meta(flags) => OwnedForm::Meta(Box::new(*flags)),
            Form::Binary(packet) => OwnedForm::Binary(*packet),
        };
        OwnedRequest {
            op: request.op,
            form,
            hash: request.key.hash,
            key: request.key.bytes.into(),
            value_len: request.value_len,
            flags: request.flags,
            expires_s: request.expires_s,
            number: request.number,
        }
    }

    /// The request, with no value.
    pub fn borrow(&self) -> KeyRequest<'_> {
        let form = match &self.form {
            OwnedForm::Classic { noreply } => Form::Classic { noreply: *noreply },
            OwnedForm::Meta(flags) => Form::Meta(flags),
            OwnedForm::Binary(packet) => Form::Binary(packet),
        };
        KeyRequest {
            op: self.op,
            form,
            key: Key { bytes: &self.key, hash: self.hash },
            value: &[],
            value_len: self.value_len,
            flags: self.flags,
            expires_s: self.expires_s,
            number: self.number,
        }
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
