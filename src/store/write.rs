//! Writing: the storage commands, uploads, arithmetic, delete.
//!
//! A value that fits the chunk of the item it replaces is written over it. Otherwise the new item is built
//! first, out of reach of table and queues, while the old one is held (as if pinned), so that making room can
//! neither evict nor move it; then the new one takes its place. A replacement keeps the old item's place in
//! its queue and counts as a read of it.

use super::arena::Loc;
use super::item::{KEY_LEN_MAX, fixed_bytes, state};
use super::{Arith, Key, Mode, Store, Stored, Upload};

/// What memcached adds to key and value when it compares with `-I`: its header, and the ends of key and
/// value.
const MEMCACHED_HEADER_BYTES: usize = 48;
const MEMCACHED_CAS_BYTES: usize = 8;
const MEMCACHED_ENDS_BYTES: usize = 3;

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

/// What is put before or behind a value.
enum Piece<'a> {
    Bytes(&'a [u8]),
    /// The value of an unlinked item.
    Of(Loc),
}

impl Store {
    /// Stores a value.
    pub fn set(
        &mut self,
        key: Key<'_>,
        mode: Mode,
        flags: u32,
        expires_s: u32,
        value: &[u8],
        now_s: u32,
    ) -> Stored {
        self.tick(now_s);
        if self.too_large(key.bytes.len(), flags, value.len()) {
            return self.refuse(key, mode, Stored::TooLarge);
        }
        self.note_offer(key.bytes.len(), flags, value.len());
        let old = self.find_live(key).ok();
        if let Err(refusal) = self.admit(mode, old) {
            return refusal;
        }
        match (mode, old) {
            (Mode::Append | Mode::Prepend, Some(old)) => self.extend(key, mode, old, Piece::Bytes(value)),
            (_, Some(old)) if self.fits_over(old, key, flags, value.len()) => {
                self.overwrite(old, key, flags, expires_s, value);
                Stored::Stored
            }
            _ => match self.build(key.bytes, flags, expires_s, value.len(), old) {
                Some(mut upload) => {
                    upload.write(value);
                    let new = self.end_upload(upload);
                    self.publish(new, old, key.hash)
                }
                None => self.refuse(key, mode, Stored::NoMemory),
            },
        }
    }

    /// Reserves an item whose value is still to come: `Err` is `TooLarge` or `NoMemory`, and a `Set` has
    /// deleted the old item then. `mode` is the one the upload will be committed with.
    pub fn reserve(
        &mut self,
        key: Key<'_>,
        mode: Mode,
        flags: u32,
        expires_s: u32,
        value_len: usize,
        now_s: u32,
    ) -> Result<Upload, Stored> {
        self.tick(now_s);
        if self.too_large(key.bytes.len(), flags, value_len) {
            return Err(self.refuse(key, mode, Stored::TooLarge));
        }
        self.note_offer(key.bytes.len(), flags, value_len);
        match self.build(key.bytes, flags, expires_s, value_len, None) {
            Some(upload) => Ok(upload),
            None => Err(self.refuse(key, mode, Stored::NoMemory)),
        }
    }

    /// Stores a received value, which must be complete (else it is abandoned and not stored).
    pub fn commit(&mut self, upload: Upload, mode: Mode, now_s: u32) -> Stored {
        self.tick(now_s);
        if upload.remaining() > 0 {
            self.abandon(upload);
            return Stored::NotStored;
        }
        let new = self.end_upload(upload);
        let mut buffer = [0; KEY_LEN_MAX];
        let key = self.slab.key(new);
        let bytes = &mut buffer[..key.len()];
        bytes.copy_from_slice(key);
        let key = Key { bytes, hash: self.hasher.hash(bytes) };
        let old = self.find_live(key).ok();
        if let Err(refusal) = self.admit(mode, old) {
            self.slab.free_item(new);
            return refusal;
        }
        match (mode, old) {
            (Mode::Append | Mode::Prepend, Some(old)) => {
                let stored = self.extend(key, mode, old, Piece::Of(new));
                self.slab.free_item(new);
                stored
            }
            _ => self.publish(new, old, key.hash),
        }
    }

    /// Gives up an upload; what is stored under its key stays.
    pub fn abandon(&mut self, upload: Upload) {
        let head = self.end_upload(upload);
        self.slab.free_item(head);
    }

    /// Adds to (`increment`, modulo 2^64) or subtracts from (not below 0) a decimal number. The value keeps
    /// its length, padded with spaces behind, unless the number grew out of it.
    pub fn arith(&mut self, key: Key<'_>, delta: u64, increment: bool, now_s: u32) -> Arith {
        self.tick(now_s);
        let Ok(loc) = self.find_live(key) else { return Arith::NotFound };
        let header = *self.slab.header(loc);
        let (at, len) = (self.slab.arena.offset(loc) + header.value_at(), self.slab.value_len(loc));
        if header.is(state::CHAINED) {
            return Arith::NonNumeric;
        }
        let Some(number) = parse_number(self.slab.arena.bytes(at, len)) else { return Arith::NonNumeric };
        let number = if increment { number.wrapping_add(delta) } else { number.saturating_sub(delta) };
        let class = self.class_counters(loc);
        class.incr_hits += u64::from(increment);
        class.decr_hits += u64::from(!increment);
        let mut buffer = [0; DIGITS_MAX];
        let digits = format_number(number, &mut buffer);
        if digits.len() <= len && !header.is(state::PINNED) {
            let value = self.slab.arena.bytes_mut(at, len);
            value[..digits.len()].copy_from_slice(digits);
            value[digits.len()..].fill(b' ');
            let (cas, now_s) = (self.next_cas(), self.now_s);
            self.slab.header_mut(loc).set_stamp(cas, now_s);
            self.bump(loc);
            return Arith::Value(number);
        }
        let flags = self.slab.flags(loc);
        let Some(mut upload) = self.build(key.bytes, flags, header.expires_s, digits.len(), Some(loc)) else {
            return Arith::NoMemory;
        };
        upload.write(digits);
        let new = self.end_upload(upload);
        self.substitute(loc, new, key.hash);
        Arith::Value(number)
    }

    /// Deletes an item; false when there was none.
    pub fn delete(&mut self, key: Key<'_>, now_s: u32) -> bool {
        self.tick(now_s);
        let Ok(loc) = self.find_live(key) else { return false };
        self.class_counters(loc).delete_hits += 1;
        self.unlink(loc, key.hash);
        true
    }

    /// memcached's test of an item against `-I`, and ours of the key.
    fn too_large(&self, key_len: usize, flags: u32, value_len: usize) -> bool {
        let cas = if self.with_cas { MEMCACHED_CAS_BYTES } else { 0 };
        let flags = if flags != 0 { 4 } else { 0 };
        let fixed = MEMCACHED_HEADER_BYTES + cas + key_len + flags + MEMCACHED_ENDS_BYTES;
        key_len > KEY_LEN_MAX || fixed + value_len > self.item_size_max
    }

    /// Whether the mode's condition holds for what is there now.
    fn admit(&mut self, mode: Mode, old: Option<Loc>) -> Result<(), Stored> {
        match (mode, old) {
            (Mode::Add, Some(old)) => {
                self.bump(old);
                Err(Stored::NotStored)
            }
            (Mode::Replace | Mode::Append | Mode::Prepend, None) => Err(Stored::NotStored),
            (Mode::Cas(_), None) => Err(Stored::NotFound),
            (Mode::Cas(number), Some(old)) => {
                let matches = self.with_cas && self.slab.header(old).cas() == number;
                let class = self.class_counters(old);
                class.cas_hits += u64::from(matches);
                class.cas_badval += u64::from(!matches);
                if matches { Ok(()) } else { Err(Stored::Exists) }
            }
            _ => Ok(()),
        }
    }

    /// Counts a value offered for storage.
    fn note_offer(&mut self, key_len: usize, flags: u32, value_len: usize) {
        let class = self.slab.classes.class_of(self.slab.head_bytes(key_len, flags, value_len));
        self.class_counters[usize::from(class)].cmd_set += 1;
    }

    /// What follows from a value that cannot be stored: a `Set` must not leave the outdated value behind.
    fn refuse(&mut self, key: Key<'_>, mode: Mode, why: Stored) -> Stored {
        if mode == Mode::Set
            && let Ok(old) = self.find_live(key)
        {
            self.unlink(old, key.hash);
        }
        why
    }

    /// True when the new item may be written over the old one: in one chunk, of a class it would choose.
    fn fits_over(&self, old: Loc, key: Key<'_>, flags: u32, value_len: usize) -> bool {
        let (header, class) = (self.slab.header(old), self.slab.class_of_chunk(old));
        let need = fixed_bytes(key.bytes.len(), flags) + value_len;
        header.state & (state::PINNED | state::CHAINED) == 0
            && need <= self.slab.chunk_max()
            && self.slab.classes.close(need).contains(&class)
    }

    /// Writes a new item over the old one of its key, in the same chunk and the same place of the queue.
    fn overwrite(&mut self, old: Loc, key: Key<'_>, flags: u32, expires_s: u32, value: &[u8]) {
        self.note_unlinked(old);
        let before = *self.slab.header(old);
        self.slab.write_head(old, key.bytes, flags, expires_s, value.len());
        let header = self.slab.header_mut(old);
        header.links = before.links;
        header.state |= before.state & (state::MAIN | state::FREQ);
        let at = header.value_at() + self.slab.arena.offset(old);
        self.slab.arena.bytes_mut(at, value.len()).copy_from_slice(value);
        self.note_linked(old);
        self.bump(old);
    }

    /// Stores the value of `old` with a piece before or behind it, under the old flags and expiry time.
    fn extend(&mut self, key: Key<'_>, mode: Mode, old: Loc, piece: Piece<'_>) -> Stored {
        let (flags, expires_s) = (self.slab.flags(old), self.slab.header(old).expires_s);
        let piece_len = match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Of(item) => self.slab.value_len(item),
        };
        let value_len = self.slab.value_len(old) + piece_len;
        if self.too_large(key.bytes.len(), flags, value_len) {
            return Stored::NotStored;
        }
        let Some(mut upload) = self.build(key.bytes, flags, expires_s, value_len, Some(old)) else {
            return Stored::NotStored;
        };
        if mode == Mode::Append {
            self.write_value_of(old, &mut upload);
        }
        match piece {
            Piece::Bytes(bytes) => _ = upload.write(bytes),
            Piece::Of(item) => self.write_value_of(item, &mut upload),
        }
        if mode == Mode::Prepend {
            self.write_value_of(old, &mut upload);
        }
        let new = self.end_upload(upload);
        self.substitute(old, new, key.hash);
        Stored::Stored
    }

    fn write_value_of(&self, item: Loc, upload: &mut Upload) {
        for (at, len) in self.slab.segments(item) {
            upload.write(self.slab.arena.bytes(at, len));
        }
    }

    /// Gets the chunks of a new item and writes all but its value. `held` is neither evicted nor moved
    /// meanwhile.
    fn build(
        &mut self,
        key: &[u8],
        flags: u32,
        expires_s: u32,
        value_len: usize,
        held: Option<Loc>,
    ) -> Option<Upload> {
        if let Some(held) = held {
            self.slab.header_mut(held).state |= state::PINNED;
        }
        let built = self.build_chunks(key, flags, expires_s, value_len);
        if let Some(held) = held
            && !self.pins.contains_key(&held)
        {
            self.slab.header_mut(held).state &= !state::PINNED;
        }
        if built.is_none() {
            let class = self.slab.classes.class_of(self.slab.head_bytes(key.len(), flags, value_len));
            self.class_counters[usize::from(class)].outofmemory += 1;
        }
        built.map(|head| self.new_upload(head))
    }

    fn build_chunks(&mut self, key: &[u8], flags: u32, expires_s: u32, value_len: usize) -> Option<Loc> {
        let head = self.allocate_chunk(self.slab.head_bytes(key.len(), flags, value_len))?;
        self.slab.write_head(head, key, flags, expires_s, value_len);
        let header = self.slab.header(head);
        if !header.is(state::CHAINED) {
            return Some(head);
        }
        let mut left = value_len + header.value_at() - self.slab.chunk_max();
        let mut before = head;
        while left > 0 {
            let Some(chunk) = self.allocate_chunk(self.slab.continuation_bytes(left)) else {
                self.slab.free_item(head);
                return None;
            };
            self.slab.append_continuation(before, chunk);
            left = left.saturating_sub(self.slab.continuation_room(chunk));
            before = chunk;
        }
        Some(head)
    }

    /// Makes a complete item findable, in the place of the old one if there is one.
    fn publish(&mut self, new: Loc, old: Option<Loc>, hash: u64) -> Stored {
        if let Some(old) = old {
            self.substitute(old, new, hash);
        } else if !self.link(new, hash) {
            return Stored::NoMemory;
        }
        Stored::Stored
    }

    /// Puts `new` in the place of `old` in table and queue, and frees `old`.
    fn substitute(&mut self, old: Loc, new: Loc, hash: u64) {
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

/// memcached's numbers: white space, an optional `+`, digits below 2^64, then the end or white space and
/// anything.
fn parse_number(value: &[u8]) -> Option<u64> {
    let text = value.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ended = text.get(digits).is_none_or(u8::is_ascii_whitespace);
    if digits == 0 || !ended {
        return None;
    }
    text[..digits]
        .iter()
        .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// The decimal digits of a number, at the end of the buffer.
fn format_number(mut number: u64, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_memcached_reads_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("  +7 ", Some(7)),
            ("12 apples", Some(12)),
            ("0018446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("0x10", None),
            ("", None),
            ("+", None),
            ("5a", None),
        ] {
            assert_eq!(parse_number(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_plainly() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(format_number(number, &mut [0; DIGITS_MAX]), number.to_string().as_bytes());
        }
    }
}
