#![allow(unsafe_code)]
//! Programs that the kernel runs to choose which socket of a `SO_REUSEPORT` group gets a connection or a datagram.
//!
//! Classic BPF (linux/filter.h; `SO_ATTACH_REUSEPORT_CBPF` in socket(7)): it needs no privilege, and the kernel checks that it
//! only reads and ends. It has two registers, A and X, a few words of memory, of which one (M) is used here, and jumps only
//! forward. Offsets count from the payload. What it returns is an index into the group, in the order in which the sockets
//! began to listen (TCP) or were bound (UDP); beyond the group's end the kernel chooses by its own hash.
//!
//! This is the assembler; `shard::steering` has the programs.

use libc::sock_filter;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// The index that leaves the choice to the kernel.
pub const ANY: u32 = u32::MAX;

/// Added to an offset: it counts from the network header.
pub const NETWORK: u32 = libc::SKF_NET_OFF as u32;

/// The "offset" at which the core stands that handles the packet.
pub const CORE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32;

/// One step; k is its number. The values are those of linux/bpf_common.h.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub enum Do {
    /// A = the 32 bits at k. Where the packet is too short the program returns 0, here and below.
    LoadWord = 0x20,
    /// A = the 16 bits at k.
    LoadHalf = 0x28,
    /// A = the 8 bits at k.
    LoadByte = 0x30,
    /// A = the 16 bits at X + k.
    LoadHalfAtX = 0x48,
    /// X = 4 * (the low four bits at k): the length of an IPv4 header.
    LoadHeaderLen = 0xb1,
    /// X = k.
    SetX = 0x01,
    /// M = A.
    Keep = 0x02,
    /// A = M.
    Recall = 0x60,
    /// X = A.
    CopyToX = 0x07,
    /// A = X.
    CopyFromX = 0x87,
    /// A = A & k.
    And = 0x54,
    /// A = A ^ k.
    Xor = 0xa4,
    /// A = A ^ X.
    XorX = 0xac,
    /// A = A - k, modulo 2^32.
    Subtract = 0x14,
    /// A = A * k, modulo 2^32.
    Multiply = 0x24,
    /// A = A % k; k is not 0.
    Modulo = 0x94,
    /// A = A >> k.
    ShiftRight = 0x74,
    /// Ends with index k.
    Return = 0x06,
    /// Ends with index A.
    ReturnA = 0x16,
}

/// A condition on A.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub enum If {
    /// A is k.
    Equal = 0x15,
    /// A is greater than k.
    Above = 0x25,
}

/// Over k instructions.
const JUMP: u16 = 0x05;

/// A place further on in a program.
#[derive(Clone, Copy, Debug)]
pub struct Label(usize);

/// A program as it is written down.
#[derive(Clone, Default)]
pub struct Program {
    code: Vec<sock_filter>,
    /// Where each label stands, once it does.
    places: Vec<usize>,
    /// Jumps and where they lead.
    jumps: Vec<(usize, Label)>,
}

impl Program {
    /// A new label; it must be placed once.
    pub fn label(&mut self) -> Label {
        self.places.push(0);
        Label(self.places.len() - 1)
    }

    /// The label stands here: before the next step.
    pub fn place(&mut self, label: Label) {
        self.places[label.0] = self.code.len();
    }

    /// Adds a step.
    pub fn step(&mut self, step: Do, k: u32) {
        self.code.push(sock_filter { code: step as u16, jt: 0, jf: 0, k });
    }

    /// Jumps to `to`.
    pub fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.code.push(sock_filter { code: JUMP, jt: 0, jf: 0, k: 0 });
    }

    /// Jumps to `to` if the condition holds. Conditional jumps reach 255 instructions at most, hence a plain one behind.
    pub fn jump_if(&mut self, condition: If, k: u32, to: Label) {
        self.code.push(sock_filter { code: condition as u16, jt: 0, jf: 1, k });
        self.jump(to);
    }

    /// Jumps to `to` unless the condition holds.
    pub fn jump_unless(&mut self, condition: If, k: u32, to: Label) {
        self.code.push(sock_filter { code: condition as u16, jt: 1, jf: 0, k });
        self.jump(to);
    }

    /// Makes the program choose among the sockets of the group that `socket`, listening or bound, belongs to.
    ///
    /// # Errors
    /// ENOMEM: longer than `net.core.optmem_max` allows. EINVAL: the kernel found it wrong. EPERM where the call is filtered.
    pub fn attach(&self, socket: &impl AsRawFd) -> io::Result<()> {
        let mut code = self.code.clone();
        for (at, label) in &self.jumps {
            code[*at].k = (self.places[label.0] - at - 1) as u32;
        }
        let len = u16::try_from(code.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        set_option(socket.as_raw_fd(), &libc::sock_fprog { len, filter: code.as_mut_ptr() })
    }
}

fn set_option(fd: RawFd, program: &libc::sock_fprog) -> io::Result<()> {
    let len = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: the kernel copies the program, which names `len` instructions that live in the caller, during the call.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            std::ptr::from_ref(program).cast(),
            len,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
