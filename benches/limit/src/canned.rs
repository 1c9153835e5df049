//! The canned reply, and how it gets into an outbox: as the server's do, so that the kernel is given the same pieces. A small one
//! is copied into a send block, as many at once as are owed; a large one stays where it is and is named in a `sendmsg`.

use ringcached::net::blocks::BLOCK_BYTES;
use ringcached::net::{BlockPool, Outbox};
use ringcached::shard::execute::VALUE_COPY_MAX;

/// A reply, and how often it is repeated.
pub struct Canned {
    reply: &'static [u8],
    /// The reply as often as it fits a block; empty if it is not to be copied.
    block: Box<[u8]>,
}

impl Canned {
    /// The reply lives as long as the process.
    pub fn new(reply: Vec<u8>) -> Canned {
        let copies = if reply.len() <= VALUE_COPY_MAX { BLOCK_BYTES / reply.len() } else { 0 };
        Canned { block: reply.repeat(copies).into(), reply: reply.leak() }
    }

    /// Puts up to `owed` replies into the outbox; returns how many had room.
    pub fn write(&self, owed: u64, out: &mut Outbox<&'static [u8]>, pool: &mut BlockPool) -> u64 {
        let mut done = 0;
        while done < owed {
            if self.block.is_empty() {
                if out.is_full() {
                    break;
                }
                out.push_value(self.reply, self.reply.len(), false);
                done += 1;
                continue;
            }
            let Some(room) = out.space(pool, self.reply.len()) else { break };
            let count = (room.len() / self.reply.len()).min((owed - done) as usize);
            let bytes = &self.block[..count * self.reply.len()];
            room[..bytes.len()].copy_from_slice(bytes);
            out.wrote(bytes.len());
            done += count as u64;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_into_the_outbox_whole_and_as_many_as_fit() {
        let mut pool = BlockPool::new(64).expect("memory for 64 blocks");
        for len in [1, 8, 3000, VALUE_COPY_MAX, VALUE_COPY_MAX + 1, 1 << 20] {
            let canned = Canned::new(vec![b'r'; len]);
            let mut out = Outbox::default();
            assert_eq!(canned.write(3, &mut out, &mut pool), if len == 1 << 20 { 1 } else { 3 });
            let written = canned.write(u64::MAX >> 1, &mut out, &mut pool);
            assert!(written < 100_000, "{written} replies of {len} bytes have room");
            assert_eq!(out.unsent() % len, 0);
            out.abandon(&mut pool, &mut Vec::new());
            assert_eq!(pool.in_use(), 0);
        }
    }
}
