#![allow(unsafe_code)]
//! The reserved memory of a shard: one anonymous mapping, touched lazily. Its first part is in use; the rest is
//! address space without access, which costs nothing, for a limit that is raised one day.
//!
//! Everything `limit_bytes` counts lies in here. Offsets (`usize`, in bytes) and locations ([`Loc`], in
//! granules) are turned into references here and nowhere else; each access is checked against the bounds. The
//! memory comes zeroed from the kernel and is only ever plain bytes, so any in-bounds view of it is a valid
//! value.
//!
//! The one rule the checks cannot see: bytes lent to another thread by a token of `pins.rs` (the value of a
//! pinned item or of an upload) are not viewed mutably (pinned) or at all (upload) until the token is back.

use std::io;
use std::ptr::NonNull;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The size of a huge page on the architectures served; the mapping is aligned to it.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Which kind of pages the arena asks the kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// `madvise(MADV_HUGEPAGE)`: huge where the kernel finds room.
    Transparent,
    /// Small pages only.
    Off,
    /// `MAP_HUGETLB` (`-L`): taken from the reserved pool at start; falls back to `Transparent`.
    Explicit,
}

/// A place in the arena, in granules from its start; 31 bits. Zero is "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Loc(u32);

impl Loc {
    /// No place.
    pub const NONE: Loc = Loc(0);
    /// The bits a location may use.
    pub const MASK: u32 = u32::MAX >> 1;

    /// From its 31 bits; higher bits are cut off.
    pub const fn from_bits(bits: u32) -> Loc {
        Loc(bits & Loc::MASK)
    }

    /// Its 31 bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// True for [`Loc::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What a token needs to find its bytes without the store: fixed for the arena's life, at a fixed address.
#[derive(Debug)]
pub struct Geometry {
    base: *mut u8,
    granule_shift: u32,
    /// Size of the chunks of a chain, except the last.
    pub chunk_max: usize,
}

impl Geometry {
    /// The address of the byte `offset` bytes into the chunk at `loc`. Reading or writing there is up to the
    /// caller.
    pub fn address(&self, loc: Loc, offset: usize) -> *mut u8 {
        self.base.wrapping_add(((loc.0 as usize) << self.granule_shift) + offset)
    }
}

/// The mapping. Dropping it gives the memory back, unless [`Arena::leak`] was called.
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    /// Bytes that may be accessed, and bytes mapped.
    len: usize,
    reserved: usize,
    /// The kernel takes back and hands out this many bytes at a time.
    unit_bytes: usize,
    /// What the kernel has been told of transparent huge pages; nothing where they are not wanted.
    huge_pages_allowed: Option<bool>,
    granule_shift: u32,
    geometry: NonNull<Geometry>,
    leaked: bool,
}

// SAFETY: the arena owns its mapping and its geometry alone; nothing in them is tied to a thread.
unsafe impl Send for Arena {}

impl Arena {
    /// Reserves `len` bytes, and address space to grow to `len_max` if it can be had. Returns the arena and,
    /// when the kernel gave something else than asked for, a sentence for the operator.
    pub fn new(
        len: usize,
        len_max: usize,
        granule_bytes: usize,
        chunk_max: usize,
        huge_pages: HugePages,
    ) -> io::Result<(Arena, Option<String>)> {
        let mut notice = None;
        let mut explicit = None;
        if huge_pages == HugePages::Explicit {
            match map_explicit(len) {
                Ok(mapped) => explicit = Some(mapped),
                Err(error) => {
                    notice = Some(format!(
                        "no explicit huge pages for {len} bytes ({error}): using transparent ones; \
                         raise vm.nr_hugepages to {} or more",
                        len.div_ceil(HUGE_PAGE_BYTES)
                    ));
                }
            }
        }
        let (base, len, reserved, unit_bytes) = match explicit {
            Some((base, len)) => (base, len, len, HUGE_PAGE_BYTES),
            None => {
                let (base, reserved) = map_with_spare(len, len_max)?;
                (base, len, reserved, kernel_page_bytes())
            }
        };
        let huge_pages_allowed = (explicit.is_none() && huge_pages != HugePages::Off).then_some(true);
        advise_huge_pages(base, reserved, huge_pages_allowed.is_some());
        let granule_shift = granule_bytes.trailing_zeros();
        let geometry = Box::new(Geometry { base: base.as_ptr(), granule_shift, chunk_max });
        let geometry = NonNull::from(Box::leak(geometry));
        let arena = Arena {
            base,
            len,
            reserved,
            unit_bytes,
            huge_pages_allowed,
            granule_shift,
            geometry,
            leaked: false,
        };
        Ok((arena, notice))
    }

    /// Makes the first `len` bytes accessible, at most those reserved.
    pub fn extend(&mut self, len: usize) -> io::Result<()> {
        if len > self.len {
            allow_access(self.base, len.min(self.reserved))?;
            self.len = len.min(self.reserved);
        }
        Ok(())
    }

    /// Gives the memory of a range that nobody uses back to the kernel, as far as it consists of whole kernel
    /// pages. The range reads as zeroes then, or as before.
    pub fn give_back(&mut self, at: usize, len: usize) {
        self.check(at, len);
        let start = at.next_multiple_of(self.unit_bytes);
        let end = (at + len) / self.unit_bytes * self.unit_bytes;
        if start < end {
            // SAFETY: whole kernel pages inside the accessible part, of which nothing is borrowed (`&mut`) and
            // no token is out (nobody uses the range); they stay mapped. The kernel refuses where memory is
            // locked (`-k`) or, before Linux 5.18, huge: it then stays as it is, so the answer is not looked
            // at.
            unsafe { libc::madvise(self.base.as_ptr().add(start).cast(), end - start, libc::MADV_DONTNEED) };
        }
    }

    /// Lets the kernel make transparent huge pages, or not, where they are wanted at all. While memory is given back they are not:
    /// its khugepaged would fill the holes again.
    pub fn allow_huge_pages(&mut self, allowed: bool) {
        if self.huge_pages_allowed == Some(!allowed) {
            self.huge_pages_allowed = Some(allowed);
            advise_huge_pages(self.base, self.reserved, allowed);
        }
    }

    /// The kernel's unit of [`Arena::give_back`], in bytes.
    pub fn unit_bytes(&self) -> usize {
        self.unit_bytes
    }

    /// What tokens carry. Valid until the arena is dropped, for ever if it was leaked.
    pub fn geometry(&self) -> NonNull<Geometry> {
        self.geometry
    }

    /// Leaves the memory mapped for ever: tokens that point into it are still out.
    pub fn leak(&mut self) {
        self.leaked = true;
    }

    /// Bytes that may be accessed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that may ever be accessed.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// The offset of a location, in bytes.
    #[inline]
    pub fn offset(&self, loc: Loc) -> usize {
        (loc.0 as usize) << self.granule_shift
    }

    /// The location of an offset, which must be a multiple of the granule.
    #[inline]
    pub fn loc(&self, offset: usize) -> Loc {
        debug_assert!(offset.trailing_zeros() >= self.granule_shift && offset < self.len);
        Loc((offset >> self.granule_shift) as u32)
    }

    /// `len` bytes from `at`.
    #[inline]
    pub fn bytes(&self, at: usize, len: usize) -> &[u8] {
        self.check(at, len);
        // SAFETY: in bounds, initialised, and borrowed from self, so no `bytes_mut` lives beside it.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), len) }
    }

    /// `len` bytes from `at`, to change.
    #[inline]
    pub fn bytes_mut(&mut self, at: usize, len: usize) -> &mut [u8] {
        self.check(at, len);
        // SAFETY: in bounds, initialised, and borrowed from self mutably, so no other view lives beside it.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(at), len) }
    }

    /// The bytes from `at` seen as a `T`.
    #[inline]
    pub fn get<T: FromBytes + Immutable>(&self, at: usize) -> &T {
        self.check(at, size_of::<T>());
        assert!(at.is_multiple_of(align_of::<T>()));
        // SAFETY: in bounds, aligned (the base is aligned to 2 MiB), initialised, any bytes are a `T`
        // (FromBytes), no interior mutability (Immutable), and borrowed from self.
        unsafe { self.base.add(at).cast::<T>().as_ref() }
    }

    /// The bytes from `at` seen as a `T`, to change.
    #[inline]
    pub fn get_mut<T: FromBytes + IntoBytes>(&mut self, at: usize) -> &mut T {
        self.check(at, size_of::<T>());
        assert!(at.is_multiple_of(align_of::<T>()));
        // SAFETY: as in `get`, borrowed mutably; a `T` has no padding to leave uninitialised (IntoBytes).
        unsafe { self.base.add(at).cast::<T>().as_mut() }
    }

    /// Copies `len` bytes inside the arena.
    pub fn copy(&mut self, from: usize, to: usize, len: usize) {
        self.check(from, len);
        self.check(to, len);
        // SAFETY: both ranges are in bounds, `copy` allows them to overlap, and self is borrowed mutably.
        unsafe { self.base.add(from).copy_to(self.base.add(to), len) };
    }

    /// Asks the processor to fetch the cache line of `at`. Changes nothing; a place out of bounds is ignored.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        if at < self.len {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a prefetch is a hint and never faults; the address is in bounds all the same.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(self.base.as_ptr().add(at).cast());
            }
        }
    }

    /// The address of the byte at `at`, to name it to the kernel.
    pub fn address(&self, at: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_add(at)
    }

    #[inline]
    fn check(&self, at: usize, len: usize) {
        assert!(at <= self.len && len <= self.len - at, "arena access out of bounds");
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if !self.leaked {
            // SAFETY: the mapping and the geometry are ours alone; no token points to them (else they were
            // leaked).
            unsafe {
                libc::munmap(self.base.as_ptr().cast(), self.reserved);
                drop(Box::from_raw(self.geometry.as_ptr()));
            }
        }
    }
}

/// Maps `len` bytes with room to grow to `len_max`, or without if there is not that much address space. Returns
/// the bytes mapped too.
fn map_with_spare(len: usize, len_max: usize) -> io::Result<(NonNull<u8>, usize)> {
    let (base, reserved) = match map_aligned(len_max.max(len)) {
        Ok(base) => (base, len_max.max(len)),
        Err(_) => (map_aligned(len)?, len),
    };
    match allow_access(base, len) {
        Ok(()) => Ok((base, reserved)),
        Err(error) => {
            // SAFETY: the mapping just made, which nobody has seen.
            unsafe { libc::munmap(base.as_ptr().cast(), reserved) };
            Err(error)
        }
    }
}

/// Maps `len` bytes at a multiple of [`HUGE_PAGE_BYTES`], uncommitted and without access.
fn map_aligned(len: usize) -> io::Result<NonNull<u8>> {
    let wide = len.checked_add(HUGE_PAGE_BYTES).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
    let start = map(wide, libc::PROT_NONE, libc::MAP_NORESERVE)?;
    let before = start.as_ptr().align_offset(HUGE_PAGE_BYTES);
    let after = HUGE_PAGE_BYTES - before;
    // SAFETY: both trimmed ends lie inside the mapping just made and hold nothing; `start + before` lies
    // inside too.
    unsafe {
        if before > 0 {
            libc::munmap(start.as_ptr().cast(), before);
        }
        libc::munmap(start.as_ptr().add(before + len).cast(), after);
        Ok(start.add(before))
    }
}

/// Makes the first `len` bytes of a mapping that [`map_aligned`] made accessible.
fn allow_access(base: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the range lies in a mapping of ours (the callers see to that); what was accessible stays so.
    let result = unsafe { libc::mprotect(base.as_ptr().cast(), len, libc::PROT_READ | libc::PROT_WRITE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn kernel_page_bytes() -> usize {
    // SAFETY: asks for a constant.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(HUGE_PAGE_BYTES)
}

/// Tells the kernel whether it may use transparent huge pages for `len` bytes of our own mapping at `base`.
fn advise_huge_pages(base: NonNull<u8>, len: usize, allowed: bool) {
    let advice = if allowed { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
    // SAFETY: the range is a mapping of the arena; the advice changes no content. A kernel without huge pages answers EINVAL,
    // which leaves us with small ones: correct, only slower, so the answer is not looked at.
    unsafe { libc::madvise(base.as_ptr().cast(), len, advice) };
}

/// Maps explicit huge pages; the length is rounded down to whole ones. They are reserved here and now (no
/// `MAP_NORESERVE`), so a pool that is too small fails at start and not with a signal in the middle of a
/// request.
fn map_explicit(len: usize) -> io::Result<(NonNull<u8>, usize)> {
    let len = len - len % HUGE_PAGE_BYTES;
    Ok((map(len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_HUGETLB)?, len))
}

fn map(len: usize, access: libc::c_int, flags: libc::c_int) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let start = unsafe {
        libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags, -1, 0)
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_zeroed_aligned_and_keeps_what_is_written() {
        let (mut arena, notice) = Arena::new(1 << 20, 0, 8, 4096, HugePages::Transparent).unwrap();
        assert_eq!(notice, None);
        assert_eq!(arena.base.as_ptr() as usize % HUGE_PAGE_BYTES, 0);
        assert!(arena.bytes(0, 1 << 20).iter().all(|&b| b == 0));
        arena.bytes_mut(8, 5).copy_from_slice(b"hello");
        arena.copy(8, 1000, 5);
        assert_eq!(arena.bytes(1000, 5), b"hello");
        assert_eq!(*arena.get::<u64>(8), u64::from_le_bytes(*b"hello\0\0\0"));
        assert_eq!(arena.offset(arena.loc(4096)), 4096);
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn refuses_what_lies_outside() {
        let (arena, _) = Arena::new(1 << 16, 0, 8, 4096, HugePages::Off).unwrap();
        arena.bytes((1 << 16) - 4, 5);
    }

    #[test]
    fn grows_into_what_it_reserved_and_gives_memory_back() {
        let (mut arena, _) = Arena::new(1 << 16, 1 << 20, 8, 4096, HugePages::Off).unwrap();
        assert_eq!((arena.len(), arena.reserved()), (1 << 16, 1 << 20));
        arena.extend(1 << 18).unwrap();
        arena.extend(1 << 17).unwrap();
        assert_eq!(arena.len(), 1 << 18);
        arena.bytes_mut(0, 1 << 18).fill(7);
        let unit = arena.unit_bytes();
        arena.give_back(unit - 1, unit + 2);
        assert!(arena.bytes(unit, unit).iter().all(|&b| b == 0));
        assert_eq!((arena.bytes(unit - 1, 1), arena.bytes(2 * unit, 1)), (&[7][..], &[7][..]));
        arena.extend(2 << 20).unwrap();
        assert_eq!(arena.len(), 1 << 20);
    }

    #[test]
    fn explicit_huge_pages_fall_back_with_a_notice_or_work() {
        let (mut arena, notice) = Arena::new(4 << 20, 0, 8, 4096, HugePages::Explicit).unwrap();
        *arena.get_mut::<u64>(arena.len() - 8) = 7;
        assert_eq!(*arena.get::<u64>(arena.len() - 8), 7);
        assert!(notice.is_none_or(|text| text.contains("vm.nr_hugepages")));
    }
}
