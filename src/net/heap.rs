//! The heap of the C library, for what is neither an item nor a buffer of its own: sessions, input that waits, texts.
//!
//! Left alone, glibc learns from what is freed: one large block raises the size from which blocks are mapped by themselves, and
//! with it what each arena keeps when it is free, up to 64 MiB. Every shard has an arena, so a few hours of uneven load leave memory
//! resident that nobody uses. With fixed numbers it does not learn, and what is freed goes back.
#![allow(unsafe_code)]

/// What an arena keeps free at its end: what glibc begins with.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: i32 = 128 << 10;

/// Sets it for the process; to be called before there are other threads. Other C libraries have no such thing.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call sets a number of the allocator and touches no memory of ours. It refuses nothing but other numbers.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
}
