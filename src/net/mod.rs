//! Everything that touches the kernel for a request: one io_uring per shard and the memory it works on.
//!
//! * [`kernel`]: what a shard asks for and hears, as [`Event`]s; [`ring`] is the data ring, its submissions and completions.
//! * [`receive`]: the provided-buffer ring, so that an idle connection holds no buffer.
//! * [`stream_buffers`]: those of connections, filled piece by piece.
//! * [`direct`]: a receive straight into memory reserved for a value.
//! * [`blocks`]: the pool of send blocks, bounded per shard.
//! * [`outbox`]: one connection's unsent bytes, in order, and the send in flight.
//! * [`listener`]: listening sockets, TCP and UNIX.
//! * [`passed`]: listening sockets that a service manager has opened.
//! * [`bpf`]: programs by which the kernel chooses among the sockets of a port.
//! * [`datagrams`]: UDP sockets, the buffers of datagrams and their answers.
//! * [`probe`]: what the kernel must offer, found out at start, named where it is missing.
//! * [`doorbell`]: an eventfd other threads ring.
//! * [`heap`]: what the C library's allocator keeps.
//!
//! `unsafe` lives here because the kernel reads and writes memory behind the compiler's back. The rule that keeps it
//! sound: memory named in a submission is owned by a type of this module (a receive buffer, a block, an [`outbox::Outbox`],
//! a [`direct::DirectReceive`]) and is neither freed nor written until the completion has been reaped.

pub mod blocks;
pub mod bpf;
pub mod datagrams;
pub mod direct;
pub mod doorbell;
pub mod heap;
pub mod kernel;
pub mod listener;
pub mod outbox;
pub mod passed;
pub mod probe;
pub mod receive;
pub mod region;
pub mod ring;
pub mod stream_buffers;

pub use blocks::BlockPool;
pub use datagrams::{DatagramBuffers, DatagramSocket};
pub use direct::{DirectReceive, StableRoom};
pub use doorbell::Doorbell;
pub use kernel::{Event, Kernel, may_try_again};
pub use listener::Listener;
pub use outbox::{Outbox, StableBytes};
pub use ring::{Ring, RingConfig};
pub use stream_buffers::{Piece, StreamBuffers};
