//! How the kernel is told which shard a connection or datagram is for: a program for each way.
//!
//! * `--steer cpu`: the shard on the core that handles the packet, so that interrupt, TCP and shard share a core.
//! * `--source-port-steering`: the client chooses its own port so that `port % shards` is the shard it wants, as ScyllaDB's
//!   drivers do.
//! * UDP under a partition by FNV: the shard that owns the key in the datagram.
//!
//! Without them everything works, with more requests that change cores.

use super::partition::{FNV_32, FNV_64_LOW};
use crate::net::bpf::{ANY, CORE, Do, If, Label, NETWORK, Program};
use crate::net::datagrams::FRAME_LEN;
use crate::options::Partition;
use std::io;
use std::os::fd::AsRawFd;

/// Keys of datagrams are followed so far at most; longer ones may land on another shard.
const KEY_LEN_MAX: u32 = 250;
/// The same where bytes from 0x80 on need two more steps.
const SIGNED_KEY_LEN_MAX: u32 = 230;
/// And where the kernel has no memory for more (`net.core.optmem_max`, 20 KiB before Linux 6.9): half of it, down to this.
const KEY_LEN_MIN: u32 = 32;

/// Where a datagram's request begins, and the bytes of a binary one before its key.
const VERB_AT: u32 = FRAME_LEN as u32;
const PACKET_HEADER_LEN: u32 = 24;

/// The source port modulo `shards`, for TCP over IPv4 and IPv6; with extension headers, any shard.
pub fn by_source_port(shards: usize) -> Program {
    const VERSION_6: u32 = 6;
    const IPV6_HEADER_LEN: u32 = 40;
    const IPV6_NEXT_HEADER_AT: u32 = 6;
    let mut program = Program::default();
    let (v4, any, port) = (program.label(), program.label(), program.label());
    program.step(Do::LoadByte, NETWORK);
    program.step(Do::ShiftRight, 4);
    program.jump_unless(If::Equal, VERSION_6, v4);
    program.step(Do::LoadByte, NETWORK + IPV6_NEXT_HEADER_AT);
    program.jump_unless(If::Equal, libc::IPPROTO_TCP as u32, any);
    program.step(Do::SetX, IPV6_HEADER_LEN);
    program.jump(port);
    program.place(v4);
    program.step(Do::LoadHeaderLen, NETWORK);
    program.place(port);
    program.step(Do::LoadHalfAtX, NETWORK);
    program.step(Do::Modulo, shards as u32);
    program.step(Do::ReturnA, 0);
    program.place(any);
    program.step(Do::Return, ANY);
    program
}

/// The shard on the core that handles the packet; `cores[i]` is that of shard i. Any shard for packets of other cores.
pub fn by_receiving_core(cores: &[usize]) -> Program {
    let mut program = Program::default();
    program.step(Do::LoadWord, CORE);
    for (shard, core) in cores.iter().enumerate() {
        let next = program.label();
        program.jump_unless(If::Equal, *core as u32, next);
        program.step(Do::Return, shard as u32);
        program.place(next);
    }
    program.step(Do::Return, ANY);
    program
}

/// Has the kernel find the owner of a datagram's key, if it can compute it. Returns the length up to which keys are followed.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn steer_datagrams(
    socket: &impl AsRawFd,
    partition: Partition,
    shards: usize,
) -> io::Result<Option<u32>> {
    let fnv = match partition {
        Partition::Fnv1a32 => FNV_32,
        Partition::Fnv1a64 => FNV_64_LOW,
        // A table of 256 words or a seed has no place in a program.
        Partition::Seeded | Partition::Crc32a | Partition::Isolated => return Ok(None),
    };
    // What a sign adds lies in bits that a power of two leaves out.
    let signed = !shards.is_power_of_two();
    let mut key_len_max = if signed { SIGNED_KEY_LEN_MAX } else { KEY_LEN_MAX };
    loop {
        match by_key(fnv, signed, shards, key_len_max).attach(socket) {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && key_len_max / 2 >= KEY_LEN_MIN => {
                key_len_max /= 2;
            }
            result => return result.map(|()| Some(key_len_max)),
        }
    }
}

/// FNV-1a of a datagram's key modulo `shards`: `get`, `gets` and `mg` with their first key, and binary get, getq, getk and
/// getkq. Any shard for other datagrams.
///
/// There are no loops, so they are unrolled. One serves the three text requests: they enter it where their key begins.
fn by_key((start, prime): (u32, u32), signed: bool, shards: usize, key_len_max: u32) -> Program {
    let mut program = Program::default();
    let (gets, binary, end) = (program.label(), program.label(), program.label());
    // Where the key begins behind `mg `, `get ` and `gets `.
    let [at_3, at_4, at_5] = [program.label(), program.label(), program.label()];
    program.step(Do::SetX, start);
    program.step(Do::LoadWord, VERB_AT);
    program.jump_if(If::Equal, u32::from_be_bytes(*b"get "), at_4);
    program.jump_if(If::Equal, u32::from_be_bytes(*b"gets"), gets);
    program.step(Do::And, 0xffff_ff00);
    program.jump_if(If::Equal, u32::from_be_bytes(*b"mg \0"), at_3);
    key_of_packet(&mut program, binary);
    program.place(gets);
    program.step(Do::LoadByte, VERB_AT + 4);
    program.jump_if(If::Equal, u32::from(b' '), at_5);
    program.step(Do::Return, ANY);

    for at in 3..5 + key_len_max {
        match at {
            3 => program.place(at_3),
            4 => program.place(at_4),
            5 => program.place(at_5),
            _ => {}
        }
        program.step(Do::LoadByte, VERB_AT + at);
        program.jump_unless(If::Above, u32::from(b' '), end);
        add_byte(&mut program, prime, signed);
    }
    program.jump(end);

    program.place(binary);
    for at in 0..key_len_max {
        program.step(Do::Recall, 0);
        program.jump_unless(If::Above, at, end);
        program.step(Do::LoadByte, VERB_AT + PACKET_HEADER_LEN + at);
        add_byte(&mut program, prime, signed);
    }
    program.place(end);
    program.step(Do::CopyFromX, 0);
    program.step(Do::Modulo, shards as u32);
    program.step(Do::ReturnA, 0);
    program
}

/// Goes to `binary` with the length of the key in M if a binary get without extras has come; to any shard otherwise.
fn key_of_packet(program: &mut Program, binary: Label) {
    const REQUEST: u32 = 0x80;
    let get = program.label();
    program.step(Do::LoadHalf, VERB_AT);
    for opcode in [0x00, 0x09, 0x0c, 0x0d] {
        program.jump_if(If::Equal, REQUEST << 8 | opcode, get);
    }
    program.step(Do::Return, ANY);
    program.place(get);
    program.step(Do::LoadHalf, VERB_AT + 2);
    program.step(Do::Keep, 0);
    program.jump(binary);
}

/// One step of FNV-1a: X = (X ^ A) * prime.
fn add_byte(program: &mut Program, prime: u32, signed: bool) {
    if signed {
        program.step(Do::Xor, 0x80);
        program.step(Do::Subtract, 0x80);
    }
    program.step(Do::XorX, 0);
    program.step(Do::Multiply, prime);
    program.step(Do::CopyToX, 0);
}
