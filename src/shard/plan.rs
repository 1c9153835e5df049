//! What memory the server takes, computed once at start, printed, and kept to.
//!
//! `-m` is for items, their index and the bookkeeping of eviction. Everything else is fixed and small: 16 MiB for the process
//! and 4 MiB a shard at most, 3 MiB more a shard with UDP. On top of it come connections: under 512 bytes each while idle,
//! [`Plan::connection_bytes`] at most.
//!
//! The sum bounds the resident memory that the system shows for the process (VmRSS), because that is what an operator
//! sees and what a control group limits. So the program's own code counts, by what is mapped of it: the kernel may have
//! all of that in memory, and a build without optimisation is larger.
//!
//! Most terms are buffers of a fixed number. What waits in sessions (input to be run, answers that wait for others) is not: it
//! is counted over the shard, and when it is more than [`Plan::waiting_bytes`], a crowd, each connection is held to one
//! request, its answer and one receive buffer (`crowd`). What the receive buffers hold when that is noticed still comes in:
//! [`Plan::arriving_bytes`].
//!
//! Watchers, of whom there are 20 at most, are printed apart ([`Plan::watcher_bytes`]). Not in it, since hardly anybody needs them:
//! the counters of key prefixes (`-D`, `stats detail on`; 1.5 MiB a shard).

use super::common::MOVING_BYTES_MAX;
use super::conn::Conn;
use super::execute::{VALUE_COPY_MAX, words_max};
use super::mesh;
use super::session::SESSION_BYTES;
use super::telemetry::TELEMETRY_BYTES;
use crate::net::blocks::BlockPool;
use crate::net::kernel::RECEIVE_ONCE_BYTES;
use crate::net::{DatagramBuffers, RingConfig};
use crate::protocol::LINE_BUFFERED_MAX;
use crate::protocol::datagram::MESSAGE_LEN_MAX;
use std::fmt;

/// Bytes of receive buffers of each of `shards` shards.
pub const fn receive_bytes(shards: usize) -> usize {
    match shards {
        0..=2 => 2 << 20,
        3..=8 => 1 << 20,
        _ => 512 << 10,
    }
}

/// The data ring: a turn queues at most a few submissions for each of its completions.
pub const RING: RingConfig = RingConfig { submissions: 1024, completions: 4096 };

/// Send blocks every shard has.
const BLOCKS_MIN: usize = 64;

/// Send blocks that all shards share out among them.
const BLOCKS_SHARED: usize = 592;

/// Send blocks of each of `shards` shards.
pub const fn send_blocks(shards: usize) -> usize {
    BLOCKS_MIN + BLOCKS_SHARED / shards
}

/// Bytes of requests, replies and texts that may wait in the sessions of each of `shards` shards before it is a crowd.
fn waiting_bytes(shards: usize) -> usize {
    (WAITING_SHARED / shards).clamp(WAITING_MIN, WAITING_MAX)
}

/// What all shards share out among them of it, and the least and the most of one.
const WAITING_SHARED: usize = 2 * 1024 * 1024;
const WAITING_MIN: usize = 256 * 1024;
const WAITING_MAX: usize = 512 * 1024;

/// What one shard takes besides its share of `-m`, and the whole.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of shards.
    pub shards: usize,
    /// `-m`, in bytes, over all shards.
    pub limit_bytes: usize,
    /// One shard's share of it.
    pub store_bytes: usize,
    /// Bytes of the longest reply beside its value.
    pub words_max: usize,
    /// Send blocks of one shard.
    pub blocks: usize,
    /// Bytes of its receive buffers.
    pub receive_bytes: usize,
    /// Bytes of its send blocks.
    pub block_bytes: usize,
    /// Bytes of the queues that lead to it.
    pub mesh_bytes: usize,
    /// Bytes of its datagrams and their answers; 0 without UDP.
    pub datagram_bytes: usize,
    /// Bytes that may wait in its sessions before it is a crowd.
    pub waiting_bytes: usize,
    /// Bytes that may be in its receive buffers when one begins, and are put aside then.
    pub arriving_bytes: usize,
    /// Bytes of its histograms, its log of slow requests and its summary of hot keys.
    pub telemetry_bytes: usize,
    /// Bytes of its rings, executor and lists.
    pub loop_bytes: usize,
    /// Bytes of metrics being told, and of those of the process together; 0 without `--admin`.
    pub metrics_bytes: usize,
    /// See `metrics_bytes`.
    pub admin_bytes: usize,
    /// Bytes of the files mapped into the process: the program and the libraries it needs.
    pub program_bytes: usize,
    /// Bytes of the longest request that is not complete in a crowd.
    pub request_len_max: usize,
    /// Bytes that a connection may take beyond [`Plan::connection_bytes`] if it watches: its buffer, and one that is being sent.
    pub watcher_bytes: usize,
}

/// Rings (SQ entries of 64 bytes, CQ entries of 16), the executor with its three, and the lists of a turn.
const LOOP_BYTES: usize = RING.submissions as usize * 64 + RING.completions as usize * 16 + 512 * 1024;

/// A connection's record and its places in the lists of a turn; a table that grows is there twice for a moment, once at double
/// size.
const CONN_BYTES: usize = 3 * (size_of::<Conn>() + 5 * size_of::<u32>());

/// Datagrams under way; one more byte of an answer tells that it is too long.
const DATAGRAM_BYTES: usize = DatagramBuffers::footprint_bytes(MESSAGE_LEN_MAX + 1);

/// The heap and the stack of the process before there is a shard (options, texts, the sockets' names), and what connections on
/// the move have with them.
const HEAP_BYTES: usize = 896 * 1024 + MOVING_BYTES_MAX;

/// Two texts of metrics at a time, whose sizes are tested where they are made. Of each shard: its report, and its lines. Of the
/// process: the lines by size class, as many as there can be, the reports of `stats` they come from, and buffers of connections.
const METRICS_BYTES: usize = 256 * 1024;
const ADMIN_BYTES: usize = 2048 * 1024;

impl Plan {
    /// The memory of `shards` shards under a limit of `limit_bytes`, with keys of up to `key_len_max` bytes, with UDP or
    /// without, for a program of which `program_bytes` are mapped.
    pub fn new(
        shards: usize,
        limit_bytes: usize,
        key_len_max: usize,
        udp: bool,
        program_bytes: usize,
    ) -> Plan {
        let words_max = words_max(key_len_max);
        let blocks = send_blocks(shards);
        let receive_bytes = receive_bytes(shards);
        Plan {
            shards,
            limit_bytes,
            store_bytes: limit_bytes / shards,
            words_max,
            blocks,
            receive_bytes,
            block_bytes: BlockPool::footprint_bytes(blocks),
            mesh_bytes: 2 * (shards - 1) * mesh::queue_bytes(shards, words_max),
            datagram_bytes: if udp { DATAGRAM_BYTES } else { 0 },
            waiting_bytes: waiting_bytes(shards),
            arriving_bytes: receive_bytes,
            telemetry_bytes: TELEMETRY_BYTES,
            loop_bytes: LOOP_BYTES,
            metrics_bytes: 0,
            admin_bytes: 0,
            program_bytes,
            request_len_max: LINE_BUFFERED_MAX + words_max + VALUE_COPY_MAX,
            watcher_bytes: 0,
        }
    }

    /// The same with `--admin`.
    pub fn with_admin(self) -> Plan {
        Plan { metrics_bytes: METRICS_BYTES, admin_bytes: ADMIN_BYTES, ..self }
    }

    /// The same with so many bytes of log lines waiting for each watcher.
    pub fn with_watchers(self, log_bytes: usize) -> Plan {
        Plan { watcher_bytes: 2 * log_bytes, ..self }
    }

    /// Buffers of one shard, in bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.receive_bytes
            + self.block_bytes
            + self.mesh_bytes
            + self.datagram_bytes
            + self.waiting_bytes
            + self.arriving_bytes
            + self.telemetry_bytes
            + self.loop_bytes
            + self.metrics_bytes
    }

    /// Everything that is neither `-m` nor connections, in bytes.
    pub fn fixed_bytes(&self) -> usize {
        self.program_bytes + HEAP_BYTES + self.admin_bytes + self.shards * self.buffer_bytes()
    }

    /// What one connection may take at most, in bytes, however many there are: its session, a request that is not complete
    /// with what one receive brings, and one answer.
    pub fn connection_bytes(&self) -> usize {
        CONN_BYTES
            + SESSION_BYTES
            + self.request_len_max
            + RECEIVE_ONCE_BYTES as usize
            + self.answer_len_max()
    }

    /// Bytes of the longest answer that a connection may have in a crowd.
    pub fn answer_len_max(&self) -> usize {
        self.words_max + VALUE_COPY_MAX
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes as f64 / (1024.0 * 1024.0);
        write!(
            f,
            "memory: {:.0} MiB for items (-m), {:.1} MiB for each of {} shards; fixed budget {:.1} MiB \
             (program {:.1}, heap {:.1}, and for each shard receive buffers {:.1}, send blocks {:.1}, mesh {:.1}, waiting \
             requests and replies {:.1}, telemetry {:.1}, loop {:.1}",
            mib(self.limit_bytes),
            mib(self.store_bytes),
            self.shards,
            mib(self.fixed_bytes()),
            mib(self.program_bytes),
            mib(HEAP_BYTES),
            mib(self.receive_bytes),
            mib(self.block_bytes),
            mib(self.mesh_bytes),
            mib(self.waiting_bytes + self.arriving_bytes),
            mib(self.telemetry_bytes),
            mib(self.loop_bytes),
        )?;
        if self.datagram_bytes > 0 {
            write!(f, ", datagrams {:.1}", mib(self.datagram_bytes))?;
        }
        if self.admin_bytes > 0 {
            let all = self.admin_bytes + self.shards * self.metrics_bytes;
            write!(f, ", and for all metrics {:.1}", mib(all))?;
        }
        let kib = |bytes: usize| bytes.div_ceil(1024);
        write!(f, "); each connection at most {} KiB more", kib(self.connection_bytes()))?;
        write!(f, ", each that watches {} KiB", kib(self.watcher_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_budget_stays_small() {
        const MIB: usize = 1024 * 1024;
        const PROGRAM_BYTES: usize = 5 * MIB; // of a release build, with the C library
        for shards in [1, 2, 4, 8, 16, 64, 128] {
            let plan = Plan::new(shards, 1024 * MIB, 250, false, PROGRAM_BYTES);
            assert!(plan.connection_bytes() <= 24 * 1024, "{plan}");
            assert!(plan.fixed_bytes() <= 16 * MIB + shards * 4 * MIB, "{plan}");
            let with_udp = Plan::new(shards, 1024 * MIB, 250, true, PROGRAM_BYTES);
            assert!(with_udp.fixed_bytes() - plan.fixed_bytes() <= shards * 3 * MIB, "{with_udp}");
        }
    }
}
