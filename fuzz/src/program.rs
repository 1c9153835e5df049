//! What the target `world` does, read from bytes: how the server is set up, and then segments, each of them bytes for a
//! connection and something that happens.
//!
//! Segments are divided by a mark rather than by lengths, so that bytes put into one of them, or cut out, leave the others as
//! they are. `fuzz/seeds` writes the same.

use ringcached_simulation::Setup;
use ringcached_simulation::faults::Faults;

/// Connections at a time.
pub const CONNECTIONS: usize = 8;

/// Stands between segments. No byte of UTF-8, and no protocol has use for two of them.
const MARK: &[u8] = b"\xfe\xfe";

/// Bytes of the head: seed, shards and flags, memory, faults (three), stalls and jumps, requests a turn.
const HEAD_LEN: usize = 8;

/// Segments of a program; the rest is left out.
const SEGMENTS_MAX: usize = 64;

/// Bytes of filler for each unit of a segment's argument: 255 of them are more than [`ITEM_SIZE_MAX`].
const FILLER_BYTES: usize = 277;

/// `-I`: values are copied up to 4 KiB, then pinned, and from a quarter of a page on in chains of chunks.
const ITEM_SIZE_MAX: usize = 64 << 10;

/// See the module comment.
pub struct Program<'a> {
    /// Of the world's chances.
    pub seed: u64,
    /// Its options.
    pub setup: Setup,
    /// In their order.
    pub segments: Vec<Segment<'a>>,
}

/// Bytes for a connection, and what happens then.
pub struct Segment<'a> {
    /// Which; it is made when first named.
    pub connection: usize,
    /// Whether its client reads, from now on.
    pub reads: bool,
    /// What it sends.
    pub payload: &'a [u8],
    /// In pieces of so many bytes, with steps between them.
    pub piece_bytes: usize,
    /// So many bytes of a value follow, and the end of a line; or nothing.
    pub filler_bytes: usize,
    /// Then this happens.
    pub action: Action,
    /// And then so many steps.
    pub steps: usize,
}

/// What happens behind a payload.
pub enum Action {
    /// Nothing in particular.
    Go,
    /// The client sends no more.
    End,
    /// The connection breaks.
    Reset,
    /// So many seconds pass.
    Pass(u64),
}

impl<'a> Program<'a> {
    /// Nothing for what is too short to have a head.
    pub fn read(bytes: &'a [u8]) -> Option<Program<'a>> {
        let (head, mut rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
        let mut segments = Vec::new();
        while segments.len() < SEGMENTS_MAX && !rest.is_empty() {
            let end = rest.windows(MARK.len()).position(|window| window == MARK);
            segments.extend(Segment::read(&rest[..end.unwrap_or(rest.len())]));
            rest = end.map_or(&[], |end| &rest[end + MARK.len()..]);
        }
        Some(Program { seed: head[0].into(), setup: setup(head), segments })
    }
}

fn setup(head: &[u8; HEAD_LEN]) -> Setup {
    let [_, shape, memory, receives, sends, completions, stalls, requests] = *head;
    let mut setup = Setup::usual(1 + usize::from(shape % 3));
    setup.evicts = shape & 4 == 0;
    setup.socket_bytes = if shape & 8 == 0 { 64 << 10 } else { 600 };
    if shape & 16 != 0 {
        setup.queue_bytes = 0; // the least that works
    }
    if shape & 32 != 0 {
        setup.blocks = 2;
    }
    if shape & 64 != 0 {
        setup.waiting_bytes = 4 << 10;
    }
    setup.store_bytes = 128 << 10 << (memory % 3);
    setup.item_size_max = ITEM_SIZE_MAX.min(setup.store_bytes / 4);
    setup.requests_per_turn = 1 + u32::from(requests % 20);
    let chance = |bits: u8, of: u32| u32::from(bits & 15) * of / 15;
    setup.faults = Faults {
        late_completion: chance(completions, 700),
        receive_ends: chance(completions >> 4, 200),
        short_receive: chance(receives, 500),
        no_buffer: chance(receives >> 4, 200),
        short_send: chance(sends, 500),
        send_refused: chance(sends >> 4, 100),
        shard_stalls: chance(stalls, 40),
        clock_jumps: chance(stalls >> 4, 60),
        wall_jumps: chance(stalls >> 4, 60),
        ..Faults::default()
    };
    setup
}

impl<'a> Segment<'a> {
    fn read(bytes: &'a [u8]) -> Option<Segment<'a>> {
        let (&[what, argument], payload) = bytes.split_first_chunk::<2>()?;
        let amount = usize::from(argument);
        let mut segment = Segment {
            connection: usize::from(what) % CONNECTIONS,
            reads: what & 64 == 0,
            payload,
            piece_bytes: payload.len().max(1),
            filler_bytes: 0,
            action: Action::Go,
            steps: 3,
        };
        match what >> 3 & 7 {
            0 | 1 => segment.steps = amount,
            2 => segment.piece_bytes = 1 + amount,
            3 => segment.filler_bytes = amount * FILLER_BYTES,
            4 => segment.steps = 8 * amount,
            5 => segment.action = Action::End,
            6 => segment.action = Action::Reset,
            _ => segment.action = Action::Pass(argument.into()),
        }
        Some(segment)
    }
}
