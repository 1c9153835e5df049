//! What goes wrong in a world, and how often. Each world draws its own mixture: half of the faults are left out of it, the others
//! are rare in one and frequent in the next. So no fault hides behind another one that always comes first.

use fastrand::Rng;

/// Chances in [`OF`].
pub type Chance = u32;

/// What a [`Chance`] is a part of.
pub const OF: u32 = 1000;

/// See the module comment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// An operation that could complete does not in this turn.
    pub late_completion: Chance,
    /// A receive brings fewer bytes than are there.
    pub short_receive: Chance,
    /// A send takes fewer bytes than there is room for.
    pub short_send: Chance,
    /// No receive buffer is left (ENOBUFS).
    pub no_buffer: Chance,
    /// A multishot receive ends after a buffer, as when completions overflow.
    pub receive_ends: Chance,
    /// A send is refused and may be tried again (EAGAIN, EINTR, ENOBUFS, ENOMEM).
    pub send_refused: Chance,
    /// A connection is reset.
    pub reset: Chance,
    /// A client ends its side and reads what is left.
    pub half_close: Chance,
    /// A client stops reading and writing for a while.
    pub client_stalls: Chance,
    /// A shard gets no turn for a while.
    pub shard_stalls: Chance,
    /// The clock jumps ahead by some seconds.
    pub clock_jumps: Chance,
    /// The wall clock jumps, ahead or back.
    pub wall_jumps: Chance,
}

impl Faults {
    /// A mixture of its own.
    pub fn draw(random: &mut Rng) -> Faults {
        let mut up_to = |most: Chance| if random.bool() { 0 } else { random.u32(1..=most) };
        Faults {
            late_completion: up_to(700),
            short_receive: up_to(500),
            short_send: up_to(500),
            no_buffer: up_to(200),
            receive_ends: up_to(200),
            send_refused: up_to(100),
            reset: up_to(8),
            half_close: up_to(8),
            client_stalls: up_to(20),
            shard_stalls: up_to(40),
            clock_jumps: up_to(60),
            wall_jumps: up_to(60),
        }
    }
}

/// Whether what has this chance happens now.
pub fn happens(random: &mut Rng, chance: Chance) -> bool {
    chance > 0 && random.u32(0..OF) < chance
}
