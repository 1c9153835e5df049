//! The table: from 32 bits of a key's hash to the location of its item.
//!
//! A bucket is one cache line of eight entries; an entry is the 32 bits and a 31-bit location. The eight bits
//! that are left over, one per entry, together hold `passed`: how many entries live in later buckets because
//! this one was full when they passed it on the way from their home. A lookup goes on to the next bucket only
//! while `passed` is not zero, and a removal takes it back along the way, so there are no tombstones. An
//! entry that finds its bucket full takes the place of the one there with the latest home, which moves on
//! instead (Robin Hood hashing: Celis, 1986): so none ends up far from home, though a new one may set many in
//! motion.
//!
//! The home of a hash is `hash * homes >> 32`: it keeps order and allows any number of homes. So the table
//! can be resized in place by any amount, home by home: while that goes on there are a *lower* and an *upper*
//! number of homes, and hashes whose home among the lower ones is below `boundary` use the lower number.
//! Growth adds pages at the end and moves the boundary down from the top; shrinking moves it up from the
//! bottom and then gives pages at the end back. Only the 32 stored bits are needed for that, items are not
//! touched. [`PATH_MAX`] buckets after the last home take what overflows there.

use super::arena::{Arena, Loc};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Buckets an entry may be looked for, its home included.
pub const PATH_MAX: usize = 16;

/// Buckets in which one insertion may set an entry in motion. At the wanted load a run of full buckets this
/// long does not happen; at the maximum it does, seldom.
const PUSH_MAX: usize = 256;

/// Entries of a bucket.
pub const BUCKET_ENTRIES: usize = 8;

/// Load above which the table wants to grow, in percent.
const LOAD_WANTED_PCT: usize = 85;

/// Load above which nothing is added any more, in percent. Beyond it runs of
/// full buckets longer than [`PUSH_MAX`] become likely.
const LOAD_MAX_PCT: usize = 92;

/// Load a table may have after shrinking, in percent; it must not want to grow again at once.
const LOAD_SHRUNK_PCT: usize = 75;

/// Load below which the table is larger than its entries need, in percent; far from wanting to grow.
const LOAD_SPARSE_PCT: usize = 40;

/// One growth adds the pages there are, divided by this; shrinking likewise takes them away.
const STEP_DIVISOR: usize = 8;

const PASSED_BIT: u64 = 1 << 31;

/// In the plan of an insertion: the one that comes goes on itself.
const STAYS: u8 = u8::MAX;

/// A cache line of entries: hash in the high half, then a bit of `passed`, then the location. No location:
/// empty.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Bucket {
    entries: [u64; BUCKET_ENTRIES],
}

fn entry_loc(entry: u64) -> Loc {
    Loc::from_bits(entry as u32)
}

fn entry_hash(entry: u64) -> u32 {
    (entry >> 32) as u32
}

impl Bucket {
    fn passed(&self) -> u8 {
        self.entries.iter().enumerate().map(|(i, entry)| ((entry & PASSED_BIT != 0) as u8) << i).sum()
    }

    fn set_passed(&mut self, passed: u8) {
        for (i, entry) in self.entries.iter_mut().enumerate() {
            *entry = *entry & !PASSED_BIT | u64::from(passed >> i & 1) << 31;
        }
    }

    /// Not inlined: where it follows [`matches`](Self::matches), which as a rule is all that is needed of the line, all of
    /// the line's entries would be held in registers, and most of those on the stack, for this.
    #[inline(never)]
    fn any_passed(&self) -> bool {
        self.entries.iter().fold(0, |all, entry| all | entry) & PASSED_BIT != 0
    }

    /// One bit for each entry with this hash.
    #[inline]
    fn matches(&self, hash: u32) -> u32 {
        let mut bits = 0;
        for (i, &entry) in self.entries.iter().enumerate() {
            bits |= u32::from(entry_hash(entry) == hash) << i;
        }
        bits
    }

    fn empty_slot(&self) -> Option<usize> {
        self.entries.iter().position(|&entry| entry_loc(entry).is_none())
    }

    /// The slot and hash of the entry with the highest hash, hence the latest home. The bucket is full.
    fn latest(&self) -> (u8, u32) {
        let hashes = self.entries.iter().map(|&entry| entry_hash(entry));
        (0..).zip(hashes).max_by_key(|&(_, hash)| hash).unwrap_or_default()
    }

    fn put(&mut self, slot: usize, hash: u32, loc: Loc) {
        let kept = self.entries[slot] & PASSED_BIT;
        self.entries[slot] = u64::from(hash) << 32 | kept | u64::from(loc.bits());
    }
}

/// An entry found no place within [`PATH_MAX`] buckets.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// The directory of the table; the buckets are in the arena.
#[derive(Debug)]
pub struct Table {
    /// Pages in the order of their buckets.
    pages: Vec<u32>,
    /// log2 of the bytes and of the buckets of a page.
    page_shift: u32,
    bucket_shift: u32,
    /// The two numbers of homes while the table is resized; else equal.
    lower: u32,
    upper: u32,
    /// Hashes whose home among the lower ones is below this use the lower number, the others the upper one.
    boundary: u32,
    /// The boundary moves up, or did so and there are pages to give up.
    shrinking: bool,
    len: usize,
    /// Entries that found no place while their home moved; the store takes and drops these items.
    pub orphans: Vec<Loc>,
}

impl Table {
    /// A table in one zeroed page.
    pub fn new(page: u32, page_bytes: usize) -> Table {
        let page_shift = page_bytes.trailing_zeros();
        let bucket_shift = page_shift - size_of::<Bucket>().trailing_zeros();
        let homes = (1 << bucket_shift) - PATH_MAX as u32;
        let orphans = Vec::with_capacity(PATH_MAX * BUCKET_ENTRIES);
        Table {
            pages: vec![page],
            page_shift,
            bucket_shift,
            lower: homes,
            upper: homes,
            boundary: homes,
            shrinking: false,
            len: 0,
            orphans,
        }
    }

    /// Entries that would fill every bucket.
    pub fn capacity(&self) -> usize {
        self.lower as usize * BUCKET_ENTRIES
    }

    /// Pages it has.
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// True while homes are moving.
    pub fn resizing(&self) -> bool {
        self.upper != self.lower
    }

    /// True when nothing may be added until something is removed or the table has grown.
    pub fn at_limit(&self) -> bool {
        self.len * 100 >= self.capacity() * LOAD_MAX_PCT
    }

    /// Pages still to be added before the growth it wants can begin; 0 when it wants none.
    pub fn pages_wanted(&self) -> usize {
        if self.resizing() || self.len * 100 < self.capacity() * LOAD_WANTED_PCT {
            return 0;
        }
        let before = self.pages_used();
        (before + (before / STEP_DIVISOR).max(1)).saturating_sub(self.pages.len())
    }

    /// Adds a zeroed page for the next growth.
    pub fn add_page(&mut self, page: u32) {
        self.pages.push(page);
    }

    /// Starts to grow into all pages added. They are at least one more than before.
    pub fn begin_growth(&mut self) {
        debug_assert!(!self.resizing());
        self.upper = self.homes_of(self.pages.len());
        debug_assert!(self.upper > self.lower);
        self.shrinking = false;
    }

    /// True when pages were added but the growth into them has not begun.
    pub fn ready_to_grow(&self) -> bool {
        !self.resizing() && self.pages.len() > self.pages_used()
    }

    /// True when a much smaller table would do: there were many more entries once.
    pub fn is_sparse(&self) -> bool {
        self.len * 100 < self.capacity() * LOAD_SPARSE_PCT && self.smaller().is_some()
    }

    /// The number of homes a step smaller, if the entries leave that much room.
    fn smaller(&self) -> Option<u32> {
        let pages = self.pages_used();
        let fewer = pages - (pages / STEP_DIVISOR).max(1);
        if self.resizing() || fewer == 0 {
            return None;
        }
        let homes = self.homes_of(fewer);
        (self.len * 100 <= homes as usize * BUCKET_ENTRIES * LOAD_SHRUNK_PCT).then_some(homes)
    }

    /// Starts to shrink by a step, if the entries leave that much room. The pages come from
    /// [`Table::spare_page`] when it is done.
    pub fn begin_shrinking(&mut self) {
        if let Some(homes) = self.smaller() {
            (self.lower, self.boundary, self.shrinking) = (homes, 0, true);
        }
    }

    /// True when it has shrunk and not yet given up the pages it does not need any more.
    pub fn has_shrunk(&self) -> bool {
        self.shrinking && self.ready_to_grow()
    }

    /// Gives up a page that no home lies in.
    pub fn spare_page(&mut self) -> Option<u32> {
        let page = if self.ready_to_grow() { self.pages.pop() } else { None };
        self.shrinking &= self.resizing() || self.ready_to_grow();
        page
    }

    /// Pages the homes, and the buckets after them, lie in.
    fn pages_used(&self) -> usize {
        (self.upper as usize + PATH_MAX) >> self.bucket_shift
    }

    fn homes_of(&self, pages: usize) -> u32 {
        ((pages << self.bucket_shift).min(u32::MAX as usize) - PATH_MAX) as u32
    }

    /// The location under `hash` for which `is` holds.
    #[inline]
    pub fn find(&self, arena: &Arena, hash: u32, is: impl Fn(Loc) -> bool) -> Option<Loc> {
        let home = self.home(hash);
        for bucket in home..home + PATH_MAX {
            let line: &Bucket = arena.get(self.bucket_at(bucket));
            let mut bits = line.matches(hash);
            while bits != 0 {
                let loc = entry_loc(line.entries[bits.trailing_zeros() as usize]);
                if !loc.is_none() && is(loc) {
                    return Some(loc);
                }
                bits &= bits - 1;
            }
            if !line.any_passed() {
                break;
            }
        }
        None
    }

    /// Adds an entry; changes nothing when there is no place for it.
    pub fn insert(&mut self, arena: &mut Arena, hash: u32, loc: Loc) -> Result<(), Full> {
        let home = self.home(hash);
        // Which entry of each full bucket on the way is pushed on by the one that comes.
        let mut pushed = [STAYS; PUSH_MAX];
        let mut carried_home = home;
        for (bucket, pushed_slot) in (home..).zip(&mut pushed) {
            let line: &Bucket = arena.get(self.bucket_at(bucket));
            if let Some(slot) = line.empty_slot() {
                self.push(arena, home, &pushed[..bucket - home], slot, (hash, loc));
                self.len += 1;
                return Ok(());
            }
            let (latest, latest_hash) = line.latest();
            let latest_home = self.home(latest_hash);
            if latest_home > carried_home {
                *pushed_slot = latest;
                carried_home = latest_home;
            }
            if line.passed() == u8::MAX || bucket + 1 - carried_home == PATH_MAX {
                return Err(Full);
            }
        }
        Err(Full)
    }

    /// Carries an entry from its home over full buckets, exchanging it as `pushed` says, to the slot that is
    /// empty.
    fn push(&self, arena: &mut Arena, home: usize, pushed: &[u8], slot: usize, entry: (u32, Loc)) {
        let mut carried = entry;
        for (bucket, &pushed_slot) in (home..).zip(pushed) {
            let line: &mut Bucket = arena.get_mut(self.bucket_at(bucket));
            if pushed_slot != STAYS {
                let slot = usize::from(pushed_slot);
                let leaving = line.entries[slot];
                line.put(slot, carried.0, carried.1);
                carried = (entry_hash(leaving), entry_loc(leaving));
            }
            line.set_passed(line.passed() + 1);
        }
        let last: &mut Bucket = arena.get_mut(self.bucket_at(home + pushed.len()));
        last.put(slot, carried.0, carried.1);
    }

    /// Points the entry of `from` to `to`. False when there is none.
    pub fn replace(&mut self, arena: &mut Arena, hash: u32, from: Loc, to: Loc) -> bool {
        let Some((bucket, slot)) = self.slot_of(arena, hash, from) else { return false };
        arena.get_mut::<Bucket>(self.bucket_at(bucket)).put(slot, hash, to);
        true
    }

    /// Removes the entry of `loc`. False when there is none.
    pub fn remove(&mut self, arena: &mut Arena, hash: u32, loc: Loc) -> bool {
        let Some((bucket, slot)) = self.slot_of(arena, hash, loc) else { return false };
        arena.get_mut::<Bucket>(self.bucket_at(bucket)).put(slot, 0, Loc::NONE);
        self.unpass(arena, self.home(hash), bucket);
        self.len -= 1;
        true
    }

    /// The locations in the home bucket of a hash: whom to drop when an insert answers [`Full`].
    pub fn home_entries(&self, arena: &Arena, hash: u32) -> [Loc; BUCKET_ENTRIES] {
        arena.get::<Bucket>(self.bucket_at(self.home(hash))).entries.map(entry_loc)
    }

    /// Calls `each` for every entry whose hash is not below `from` and has the same home. Returns the first
    /// hash of the next home; None after the last one.
    pub fn visit_home(&self, arena: &Arena, from: u32, mut each: impl FnMut(Loc)) -> Option<u32> {
        let homes = if fastrange(from, self.lower) < self.boundary { self.lower } else { self.upper };
        let home = fastrange(from, homes);
        let next = first_hash(home + 1, homes);
        let first = home as usize;
        for bucket in first..first + PATH_MAX {
            let line: &Bucket = arena.get(self.bucket_at(bucket));
            for &entry in &line.entries {
                let hash = entry_hash(entry);
                if !entry_loc(entry).is_none() && hash >= from && u64::from(hash) < next {
                    each(entry_loc(entry));
                }
            }
            if !line.any_passed() {
                break;
            }
        }
        u32::try_from(next).ok()
    }

    /// Fetches the home bucket of a hash into the cache.
    #[inline]
    pub fn prefetch(&self, arena: &Arena, hash: u32) {
        arena.prefetch(self.bucket_at(self.home(hash)));
    }

    /// Fetches the items in the home bucket that have this hash: one, as a rule.
    #[inline]
    pub fn prefetch_items(&self, arena: &Arena, hash: u32) {
        let line: &Bucket = arena.get(self.bucket_at(self.home(hash)));
        let mut bits = line.matches(hash);
        while bits != 0 {
            arena.prefetch(arena.offset(entry_loc(line.entries[bits.trailing_zeros() as usize])));
            bits &= bits - 1;
        }
    }

    /// Moves up to `homes` homes of the resizing that is going on; a home has at most `PATH_MAX` buckets to
    /// look at, when it shrinks three times as many.
    pub fn resize(&mut self, arena: &mut Arena, homes: usize) {
        for _ in 0..homes {
            if !self.resizing() {
                return;
            }
            if self.shrinking {
                self.move_home(arena, self.boundary, self.boundary + 1);
            } else {
                self.move_home(arena, self.boundary - 1, self.boundary - 1);
            }
            if self.shrinking && self.boundary == self.lower {
                self.upper = self.lower;
            } else if !self.shrinking && self.boundary == 0 {
                (self.lower, self.boundary) = (self.upper, self.upper);
            }
        }
    }

    /// Takes all entries of one of the lower homes out, wherever they are now, and puts them where the new
    /// boundary says.
    fn move_home(&mut self, arena: &mut Arena, home: u32, boundary: u32) {
        let mut taken = [0u64; PATH_MAX * BUCKET_ENTRIES];
        let mut count = 0;
        let hashes = first_hash(home, self.lower)..first_hash(home + 1, self.lower);
        for first in self.home(hashes.start as u32)..=self.home((hashes.end - 1) as u32) {
            for bucket in first..first + PATH_MAX {
                let at = self.bucket_at(bucket);
                let line = *arena.get::<Bucket>(at);
                for (slot, &entry) in line.entries.iter().enumerate() {
                    let hash = entry_hash(entry);
                    if entry_loc(entry).is_none()
                        || !hashes.contains(&u64::from(hash))
                        || self.home(hash) != first
                    {
                        continue;
                    }
                    match taken.get_mut(count) {
                        Some(place) => (*place, count) = (entry, count + 1),
                        // More than one path can hold.
                        None => self.orphans.push(entry_loc(entry)),
                    }
                    self.len -= 1;
                    arena.get_mut::<Bucket>(at).put(slot, 0, Loc::NONE);
                    self.unpass(arena, first, bucket);
                }
                if !line.any_passed() {
                    break;
                }
            }
        }
        self.boundary = boundary;
        for &entry in &taken[..count] {
            if self.insert(arena, entry_hash(entry), entry_loc(entry)).is_err() {
                self.orphans.push(entry_loc(entry));
            }
        }
    }

    fn slot_of(&self, arena: &Arena, hash: u32, loc: Loc) -> Option<(usize, usize)> {
        let home = self.home(hash);
        for bucket in home..home + PATH_MAX {
            let line: &Bucket = arena.get(self.bucket_at(bucket));
            if let Some(slot) = line.entries.iter().position(|&entry| entry_loc(entry) == loc) {
                return Some((bucket, slot));
            }
            if !line.any_passed() {
                break;
            }
        }
        None
    }

    /// Takes one off `passed` of the buckets from a home to before `bucket`, where its entry was.
    fn unpass(&self, arena: &mut Arena, home: usize, bucket: usize) {
        for passed in home..bucket {
            let line: &mut Bucket = arena.get_mut(self.bucket_at(passed));
            line.set_passed(line.passed() - 1);
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        let lower = fastrange(hash, self.lower);
        if lower < self.boundary { lower as usize } else { fastrange(hash, self.upper) as usize }
    }

    #[inline]
    fn bucket_at(&self, bucket: usize) -> usize {
        let page = self.pages[bucket >> self.bucket_shift];
        let within = bucket & ((1 << self.bucket_shift) - 1);
        ((page as usize) << self.page_shift) + within * size_of::<Bucket>()
    }

    /// All entries, for the invariant checker; checks `passed` on the way.
    #[cfg(test)]
    pub fn entries(&self, arena: &Arena) -> Vec<(u32, Loc)> {
        let buckets = self.upper as usize + PATH_MAX;
        let mut passed = vec![0u32; buckets];
        let mut all = Vec::new();
        for bucket in 0..buckets {
            for &entry in &arena.get::<Bucket>(self.bucket_at(bucket)).entries {
                if !entry_loc(entry).is_none() {
                    let home = self.home(entry_hash(entry));
                    assert!(home <= bucket && bucket < home + PATH_MAX, "entry outside its path");
                    passed[home..bucket].iter_mut().for_each(|n| *n += 1);
                    all.push((entry_hash(entry), entry_loc(entry)));
                }
            }
        }
        for (bucket, &expected) in passed.iter().enumerate() {
            let line: &Bucket = arena.get(self.bucket_at(bucket));
            assert_eq!(u32::from(line.passed()), expected, "passed of bucket {bucket}");
        }
        all
    }
}

/// The lowest hash whose home among so many is `home`; of the one after the last, 2^32.
fn first_hash(home: u32, homes: u32) -> u64 {
    (u64::from(home) << 32).div_ceil(u64::from(homes))
}

/// Spreads 32 bits evenly over `0..n`, keeping their order.
#[inline]
fn fastrange(hash: u32, n: u32) -> u32 {
    ((u64::from(hash) * u64::from(n)) >> 32) as u32
}
