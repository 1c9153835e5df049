//! Writing: the storage commands, uploads, delete, invalidation.
//!
//! A value that fits the chunk of the item it replaces is written over it. Otherwise the new item is built
//! first, out of reach of table and queues, while the old one is held (as if pinned), so that making room can
//! neither evict nor move it; then the new one takes its place. A replacement keeps the old item's place in
//! its queue and counts as a read of it.

use super::arena::Loc;
use super::item::{EXTRAS_MAX, HEADER_BYTES, Head, KEY_LEN_MAX, state};
use super::{Found, Key, Mode, Refusal, Store, Upload, Write};

/// What memcached adds to key and value when it compares with `-I`: its header, and the ends of key and
/// value.
const MEMCACHED_HEADER_BYTES: usize = 48;
const MEMCACHED_CAS_BYTES: usize = 8;
const MEMCACHED_ENDS_BYTES: usize = 3;

/// Bytes of memory beyond the head's chunk that a value still to come gets at a time. Making room for them evicts, which takes up
/// to 0.7 ms where items are smallest.
const UPLOAD_STEP_BYTES: usize = 256 * 1024;

/// What is put before or behind a value.
enum Piece<'a> {
    Bytes(&'a [u8]),
    /// The value of an unlinked item.
    Of(Loc),
}

/// What becomes of a write that is admitted, apart from what it says itself.
#[derive(Clone, Copy)]
struct Admitted {
    expires_s: u32,
    marks: u16,
}

impl Store {
    /// Stores a value. Returns the item as it is stored.
    pub fn set(&mut self, key: Key<'_>, write: &Write, value: &[u8], now_s: u32) -> Result<Found, Refusal> {
        self.tick(now_s);
        let offer = self.offer(key, write, value.len())?;
        let old = self.find_live(key).ok();
        let Admitted { expires_s, marks } = self.admit(write, old)?;
        let head = Head { expires_s, marks, ..offer };
        match (write.mode, old) {
            (Mode::Append | Mode::Prepend, Some(old)) => self.extend(key, write, old, Piece::Bytes(value)),
            (_, Some(old)) if self.fits_over(old, &head, value.len()) => {
                self.overwrite(old, &head, value);
                Ok(Found { loc: old })
            }
            _ => match self.build(&head, value.len(), old) {
                Some(mut upload) => {
                    upload.write(value);
                    let new = self.end_upload(upload);
                    self.publish(new, old, key.hash)
                }
                None => Err(self.refuse(key, write, Refusal::NoMemory)),
            },
        }
    }

    /// Reserves an item whose value is still to come, and the first chunks for it: `Err` is `TooLarge`
    /// or `NoMemory`.
    pub fn reserve(
        &mut self,
        key: Key<'_>,
        write: &Write,
        value_len: usize,
        now_s: u32,
    ) -> Result<Upload, Refusal> {
        self.tick(now_s);
        let head = self.offer(key, write, value_len)?;
        let built = if self.may_announce(value_len) {
            self.build_part(&head, value_len, UPLOAD_STEP_BYTES)
        } else {
            self.count_no_memory(self.slab.classes.class_of(self.slab.head_bytes(&head, value_len)));
            None
        };
        let head = built.ok_or_else(|| self.refuse(key, write, Refusal::NoMemory))?;
        let upload = self.new_upload(head);
        self.uploading_bytes += upload.end_of_room().1;
        Ok(upload)
    }

    /// Adds the next chunks to an upload whose [room](Upload::room) is less than what remains. `key` and `write` are
    /// those it was reserved with. `NoMemory` gives it up.
    pub fn grow(
        &mut self,
        upload: Upload,
        key: Key<'_>,
        write: &Write,
        now_s: u32,
    ) -> Result<Upload, Refusal> {
        self.tick(now_s);
        let (last, room) = upload.end_of_room();
        let left = upload.remaining() - room;
        let grown = self.may_announce(left) && self.append_chunks(last, left, UPLOAD_STEP_BYTES).is_some();
        self.uploading_bytes += upload.end_of_room().1 - room; // memory may have ended on the way
        if !grown {
            self.count_no_memory(self.slab.classes.last());
            self.abandon(upload);
            return Err(self.refuse(key, write, Refusal::NoMemory));
        }
        Ok(upload)
    }

    /// Whether values that are being received may have another step of memory, or the `left` bytes if that is less: they cannot be
    /// evicted, so half of the limit is kept from them. No value alone is larger.
    fn may_announce(&self, left: usize) -> bool {
        self.uploading_bytes + left.min(UPLOAD_STEP_BYTES) <= self.half_limit_bytes()
    }

    fn half_limit_bytes(&self) -> usize {
        self.slab.pages_allowed() as usize * self.slab.page_bytes() / 2
    }

    /// Bytes of its value that an upload has memory for, filled or not.
    pub(super) fn announced_bytes(&self, upload: &Upload) -> usize {
        self.slab.value_len(upload.head()) - upload.remaining() + upload.end_of_room().1
    }

    /// Stores a received value, which must be complete (else it is abandoned and not stored). `write` is the
    /// one it was reserved with. Returns the item as it is stored.
    pub fn commit(&mut self, upload: Upload, write: &Write, now_s: u32) -> Result<Found, Refusal> {
        self.tick(now_s);
        if upload.remaining() > 0 {
            self.abandon(upload);
            return Err(Refusal::NotStored);
        }
        self.uploading_bytes -= self.announced_bytes(&upload);
        let new = self.end_upload(upload);
        // Allocates: nothing beside receiving a value that is too large to wait for.
        let bytes: Box<[u8]> = self.slab.key(new).into();
        let key = Key { bytes: &bytes, hash: self.hasher.hash(&bytes) };
        let old = self.find_live(key).ok();
        let admitted = match self.admit(write, old) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.slab.free_item(new);
                return Err(refusal);
            }
        };
        if let (Mode::Append | Mode::Prepend, Some(old)) = (write.mode, old) {
            let stored = self.extend(key, write, old, Piece::Of(new));
            self.slab.free_item(new);
            return stored;
        }
        let header = self.slab.header_mut(new);
        header.expires_s = admitted.expires_s;
        header.state |= admitted.marks;
        self.publish(new, old, key.hash)
    }

    /// Gives up an upload; what is stored under its key stays.
    pub fn abandon(&mut self, upload: Upload) {
        self.uploading_bytes -= self.announced_bytes(&upload);
        let head = self.end_upload(upload);
        self.slab.free_item(head);
    }

    /// Deletes an item, or only the item with this CAS number: `Err` is `NotFound` or `Exists`.
    pub fn delete_if(&mut self, key: Key<'_>, compare: Option<u64>, now_s: u32) -> Result<(), Refusal> {
        self.tick(now_s);
        let loc = self.find_live(key).map_err(|_| Refusal::NotFound)?;
        if compare.is_some_and(|number| number != self.item(Found { loc }).cas()) {
            return Err(Refusal::Exists);
        }
        self.class_counters(loc).delete_hits += 1;
        self.unlink(loc, key.hash);
        Ok(())
    }

    /// Makes an item stale, with a new CAS number (the given one or the store's next) and nobody yet told to
    /// replace it; and sets its expiry time, if one is given. `Err` is `NoMemory`, and nothing has changed:
    /// there was none for the given number.
    pub fn invalidate(
        &mut self,
        found: Found,
        expires_s: Option<u32>,
        cas: Option<u64>,
    ) -> Result<Found, Refusal> {
        let loc = self.renumber(found.loc, cas).ok_or(Refusal::NoMemory)?;
        let header = self.slab.header_mut(loc);
        header.state = header.state & !state::WIN_SENT | state::STALE;
        let found = Found { loc };
        if let Some(expires_s) = expires_s {
            self.set_expiry(found, expires_s);
        }
        Ok(found)
    }

    /// Takes a value to be stored under consideration: the item it would become, unless that is too large by
    /// memcached's test against `-I` or by ours of the key.
    fn offer<'a>(&mut self, key: Key<'a>, write: &Write, value_len: usize) -> Result<Head<'a>, Refusal> {
        let Write { flags, expires_s, .. } = *write;
        let head = Head { key: key.bytes, flags, expires_s, marks: 0, cas: self.given(write.cas) };
        if self.too_large(&head, value_len) {
            return Err(self.refuse(key, write, Refusal::TooLarge));
        }
        let class = self.slab.classes.class_of(self.slab.head_bytes(&head, value_len));
        self.class_counters[usize::from(class)].cmd_set += 1;
        Ok(head)
    }

    fn too_large(&self, head: &Head<'_>, value_len: usize) -> bool {
        let cas = if self.with_cas { MEMCACHED_CAS_BYTES } else { 0 };
        let flags = if head.flags != 0 { 4 } else { 0 };
        let key_len = head.key.len();
        let fixed = MEMCACHED_HEADER_BYTES + cas + key_len + flags + MEMCACHED_ENDS_BYTES;
        // Whatever extras come to it one day, the head of a chain has room for the whole key.
        let key_len_max = (self.slab.chunk_max() - HEADER_BYTES - EXTRAS_MAX - 1).min(KEY_LEN_MAX);
        // A larger item would empty the shard and still not fit; the limit may be lower than it was at the start.
        key_len > key_len_max || fixed + value_len > self.item_size_max.min(self.half_limit_bytes())
    }

    /// A CAS number from outside, if this store has any.
    pub(super) fn given(&self, cas: Option<u64>) -> Option<u64> {
        cas.filter(|_| self.with_cas)
    }

    /// Whether the conditions hold for what is there now.
    fn admit(&mut self, write: &Write, old: Option<Loc>) -> Result<Admitted, Refusal> {
        let stale = if write.stale { state::STALE } else { 0 };
        let binary_key = if write.binary_key { state::BINARY_KEY } else { 0 };
        let admitted = Admitted { expires_s: write.expires_s, marks: stale | binary_key };
        let extends = matches!(write.mode, Mode::Append | Mode::Prepend);
        let Some(old) = old else {
            return match (write.mode, write.compare) {
                (Mode::Add, _) | (Mode::Set, None) => Ok(admitted),
                (Mode::Set | Mode::Replace, Some(_)) => Err(Refusal::NotFound),
                _ if extends && let Some(expires_s) = write.vivify_s => {
                    Ok(Admitted { expires_s, ..admitted })
                }
                _ => Err(Refusal::NotStored),
            };
        };
        if write.mode == Mode::Add {
            self.bump(old);
            return Err(Refusal::NotStored);
        }
        let Some(number) = write.compare else { return Ok(admitted) };
        let comparable = self.with_cas && number != 0;
        let matches = comparable && number == self.slab.cas(old);
        let late = comparable && write.invalidate && !extends && number < self.slab.cas(old);
        let class = self.class_counters(old);
        class.cas_hits += u64::from(matches | late);
        class.cas_badval += u64::from(!(matches | late));
        if late {
            let header = self.slab.header(old);
            let marks = admitted.marks | state::STALE | header.state & state::WIN_SENT;
            return Ok(Admitted { expires_s: header.expires_s, marks });
        }
        if matches { Ok(admitted) } else { Err(Refusal::Exists) }
    }

    /// What follows from a value that cannot be stored: a `Set` must not leave the outdated value behind.
    fn refuse(&mut self, key: Key<'_>, write: &Write, why: Refusal) -> Refusal {
        if write.mode == Mode::Set
            && write.compare.is_none()
            && let Ok(old) = self.find_live(key)
        {
            self.unlink(old, key.hash);
        }
        why
    }

    /// True when the new item may be written over the old one: in one chunk, of a class it would choose.
    fn fits_over(&self, old: Loc, head: &Head<'_>, value_len: usize) -> bool {
        let (header, class) = (self.slab.header(old), self.slab.class_of_chunk(old));
        let need = head.fixed_bytes() + value_len;
        header.state & (state::PINNED | state::CHAINED) == 0
            && need <= self.slab.chunk_max()
            && self.slab.classes.close(need).contains(&class)
    }

    /// Writes a new item over the old one of its key, in the same chunk and the same place of the queue.
    fn overwrite(&mut self, old: Loc, head: &Head<'_>, value: &[u8]) {
        self.note_unlinked(old);
        let before = *self.slab.header(old);
        self.slab.write_head(old, head, value.len());
        let header = self.slab.header_mut(old);
        header.links = before.links;
        header.state |= before.state & (state::MAIN | state::FREQ);
        let at = self.slab.arena.offset(old) + self.slab.value_at(old);
        self.slab.arena.bytes_mut(at, value.len()).copy_from_slice(value);
        self.note_linked(old);
        self.bump(old);
    }

    /// Stores the value of `old` with a piece before or behind it, under the old flags and expiry time.
    fn extend(&mut self, key: Key<'_>, write: &Write, old: Loc, piece: Piece<'_>) -> Result<Found, Refusal> {
        let head = Head {
            key: key.bytes,
            flags: self.slab.flags(old),
            expires_s: self.slab.header(old).expires_s,
            marks: 0,
            cas: self.given(write.cas),
        };
        let piece_len = match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Of(item) => self.slab.value_len(item),
        };
        let value_len = self.slab.value_len(old) + piece_len;
        if self.too_large(&head, value_len) {
            return Err(Refusal::NotStored);
        }
        let mut upload = self.build(&head, value_len, Some(old)).ok_or(Refusal::NotStored)?;
        if write.mode == Mode::Append {
            self.write_value_of(old, &mut upload);
        }
        match piece {
            Piece::Bytes(bytes) => _ = upload.write(bytes),
            Piece::Of(item) => self.write_value_of(item, &mut upload),
        }
        if write.mode == Mode::Prepend {
            self.write_value_of(old, &mut upload);
        }
        let new = self.end_upload(upload);
        self.substitute(old, new, key.hash);
        Ok(Found { loc: new })
    }

    fn write_value_of(&self, item: Loc, upload: &mut Upload) {
        for (at, len) in self.slab.segments(item) {
            upload.write(self.slab.arena.bytes(at, len));
        }
    }

    /// Gives a linked item the next number and, as its CAS number, the given one if there is one. Returns
    /// where the item is then: one without room for a given number is rebuilt. None: no memory for that.
    pub(super) fn renumber(&mut self, loc: Loc, cas: Option<u64>) -> Option<Loc> {
        let loc = match self.given(cas) {
            Some(cas) if !self.slab.header(loc).is(state::GIVEN_CAS) => return self.rebuild(loc, cas),
            _ => loc,
        };
        let number = self.next_number();
        let header = self.slab.header_mut(loc);
        let access_s = header.access();
        header.set_stamp(number, access_s);
        if header.is(state::GIVEN_CAS) {
            self.slab.set_given_cas(loc, cas.unwrap_or(number));
        }
        Some(loc)
    }

    /// Puts the same item with a given CAS number in the place of one that has no room for it.
    fn rebuild(&mut self, old: Loc, cas: u64) -> Option<Loc> {
        // Allocates: only commands that say the CAS number to give come here.
        let key: Box<[u8]> = self.slab.key(old).into();
        let header = *self.slab.header(old);
        let head = Head {
            key: &key,
            flags: self.slab.flags(old),
            expires_s: header.expires_s,
            marks: header.state & state::MARKS,
            cas: Some(cas),
        };
        let mut upload = self.build(&head, self.slab.value_len(old), Some(old))?;
        self.write_value_of(old, &mut upload);
        let new = self.end_upload(upload);
        self.substitute(old, new, self.hasher.hash(&key));
        Some(new)
    }

    /// Gets the chunks of a new item and writes all but its value. `held` is neither evicted nor moved
    /// meanwhile.
    pub(super) fn build(&mut self, head: &Head<'_>, value_len: usize, held: Option<Loc>) -> Option<Upload> {
        if let Some(held) = held {
            self.slab.header_mut(held).state |= state::PINNED;
        }
        let built = self.build_part(head, value_len, usize::MAX);
        if let Some(held) = held
            && !self.pins.contains_key(&held)
        {
            self.slab.header_mut(held).state &= !state::PINNED;
        }
        built.map(|loc| self.new_upload(loc))
    }

    /// The same with chunks beyond the head for so many bytes, at most.
    fn build_part(&mut self, head: &Head<'_>, value_len: usize, step_bytes: usize) -> Option<Loc> {
        let head_bytes = self.slab.head_bytes(head, value_len);
        let built = self.allocate_chunk(head_bytes).and_then(|first| {
            self.slab.write_head(first, head, value_len);
            if self.slab.header(first).is(state::CHAINED) {
                let left = value_len + self.slab.value_at(first) - self.slab.chunk_max();
                if self.append_chunks(first, left, step_bytes).is_none() {
                    self.slab.free_item(first);
                    return None;
                }
            }
            Some(first)
        });
        if built.is_none() {
            self.count_no_memory(self.slab.classes.class_of(head_bytes));
        }
        built
    }

    /// Hooks chunks behind the last one of a value's chain, for `step_bytes` of the `left` bytes that have none yet and what the
    /// last of these chunks holds beyond.
    fn append_chunks(&mut self, mut last: Loc, mut left: usize, step_bytes: usize) -> Option<()> {
        let enough = left.saturating_sub(step_bytes);
        while left > enough {
            let chunk = self.allocate_chunk(self.slab.continuation_bytes(left))?;
            self.slab.append_continuation(last, chunk);
            left = left.saturating_sub(self.slab.continuation_room(chunk));
            last = chunk;
        }
        Some(())
    }

    fn count_no_memory(&mut self, class: u8) {
        self.class_counters[usize::from(class)].outofmemory += 1;
    }

    /// Makes a complete item findable, in the place of the old one if there is one.
    fn publish(&mut self, new: Loc, old: Option<Loc>, hash: u64) -> Result<Found, Refusal> {
        if let Some(old) = old {
            self.substitute(old, new, hash);
        } else if !self.link(new, hash) {
            return Err(Refusal::NoMemory);
        }
        Ok(Found { loc: new })
    }

    /// Puts `new` in the place of `old` in table and queue, and frees `old`.
    pub(super) fn substitute(&mut self, old: Loc, new: Loc, hash: u64) {
        let before = *self.slab.header(old);
        let (old_bytes, new_bytes) = (self.slab.chunks_bytes(old), self.slab.chunks_bytes(new));
        self.table.replace(&mut self.slab.arena, hash as u32, old, new);
        let header = self.slab.header_mut(new);
        header.links = before.links;
        header.state |= before.state & (state::MAIN | state::FREQ);
        self.queues.substitute(&mut self.slab, new);
        let queue = self.queues.of(&before);
        queue.bytes = queue.bytes - old_bytes + new_bytes;
        self.note_unlinked(old);
        self.free_unlinked(old);
        self.note_linked(new);
        self.bump(new);
    }
}
