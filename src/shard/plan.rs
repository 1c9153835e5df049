//! What memory the server takes, computed once at start, printed, and kept to.
//!
//! `-m` is for items, their index and the bookkeeping of eviction. Everything else is fixed and small: 16 MiB for the
//! process and 4 MiB a shard at most, 3 MiB more a shard with UDP. On top of it come connections: under 512 bytes each while
//! idle. What waits in them (input to be run, answers that wait for others) is counted over the shard, and when it is more
//! than planned each connection is held to one request and its answer.

use super::execute::words_max;
use super::mesh;
use crate::net::blocks::BlockPool;
use crate::net::{DatagramBuffers, RingConfig};
use crate::protocol::datagram::MESSAGE_LEN_MAX;
use std::fmt;

/// Receive buffers of each of `shards` shards.
pub const fn receive_buffers(shards: usize) -> u16 {
    if shards <= 4 { 512 } else { 256 }
}

/// Bytes of one: several small requests, or a fair piece of a large value.
pub const RECEIVE_BUFFER_BYTES: u32 = 4096;

/// The data ring: a turn queues at most a few submissions for each of its completions.
pub const RING: RingConfig = RingConfig { submissions: 1024, completions: 4096 };

/// Send blocks every shard has.
const BLOCKS_MIN: usize = 64;

/// Send blocks that all shards share out among them.
const BLOCKS_SHARED: usize = 896;

/// Bytes of requests, replies and texts that may wait in the sessions of each of `shards` shards.
fn waiting_bytes(shards: usize) -> usize {
    (WAITING_SHARED / shards).clamp(WAITING_MIN, WAITING_MAX)
}

/// What all shards share out among them of it, and the least and the most of one.
const WAITING_SHARED: usize = 4 * 1024 * 1024;
const WAITING_MIN: usize = 256 * 1024;
const WAITING_MAX: usize = 1024 * 1024;

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
    /// Bytes that may wait in its sessions.
    pub waiting_bytes: usize,
    /// Bytes of its rings, executor and lists.
    pub loop_bytes: usize,
}

/// Rings (SQ entries of 64 bytes, CQ entries of 16), the executor with its three, and the lists of a turn.
const LOOP_BYTES: usize = RING.submissions as usize * 64 + RING.completions as usize * 16 + 512 * 1024;

/// Datagrams under way; one more byte of an answer tells that it is too long.
const DATAGRAM_BYTES: usize = DatagramBuffers::footprint_bytes(MESSAGE_LEN_MAX + 1);

/// The program itself: code, heap, stacks.
const PROCESS_BYTES: usize = 5 * 1024 * 1024;

impl Plan {
    /// The memory of `shards` shards under a limit of `limit_bytes`, with keys of up to `key_len_max` bytes, with UDP or
    /// without.
    pub fn new(shards: usize, limit_bytes: usize, key_len_max: usize, udp: bool) -> Plan {
        let words_max = words_max(key_len_max);
        let blocks = BLOCKS_MIN + BLOCKS_SHARED / shards;
        Plan {
            shards,
            limit_bytes,
            store_bytes: limit_bytes / shards,
            words_max,
            blocks,
            receive_bytes: usize::from(receive_buffers(shards)) * RECEIVE_BUFFER_BYTES as usize,
            block_bytes: BlockPool::footprint_bytes(blocks),
            mesh_bytes: 2 * (shards - 1) * mesh::queue_bytes(shards, words_max),
            datagram_bytes: if udp { DATAGRAM_BYTES } else { 0 },
            waiting_bytes: waiting_bytes(shards),
            loop_bytes: LOOP_BYTES,
        }
    }

    /// Buffers of one shard, in bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.receive_bytes
            + self.block_bytes
            + self.mesh_bytes
            + self.datagram_bytes
            + self.waiting_bytes
            + self.loop_bytes
    }

    /// Everything that is not `-m`, in bytes: connections come on top, at under 512 bytes each while idle.
    pub fn fixed_bytes(&self) -> usize {
        PROCESS_BYTES + self.shards * self.buffer_bytes()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes as f64 / (1024.0 * 1024.0);
        write!(
            f,
            "memory: {:.0} MiB for items (-m), {:.1} MiB for each of {} shards; fixed budget {:.1} MiB \
             (process {:.0}, and for each shard receive buffers {:.1}, send blocks {:.1}, mesh {:.1}, waiting requests and \
             replies {:.1}, loop {:.1}",
            mib(self.limit_bytes),
            mib(self.store_bytes),
            self.shards,
            mib(self.fixed_bytes()),
            mib(PROCESS_BYTES),
            mib(self.receive_bytes),
            mib(self.block_bytes),
            mib(self.mesh_bytes),
            mib(self.waiting_bytes),
            mib(self.loop_bytes),
        )?;
        match self.datagram_bytes {
            0 => f.write_str(")"),
            bytes => write!(f, ", datagrams {:.1})", mib(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_budget_stays_small() {
        const MIB: usize = 1024 * 1024;
        for shards in [1, 2, 4, 8, 16, 64, 128] {
            let plan = Plan::new(shards, 1024 * MIB, 250, false);
            assert!(plan.fixed_bytes() <= 16 * MIB + shards * 4 * MIB, "{plan}");
            let with_udp = Plan::new(shards, 1024 * MIB, 250, true);
            assert!(with_udp.fixed_bytes() - plan.fixed_bytes() <= shards * 3 * MIB, "{with_udp}");
        }
    }
}
