//! ringcached: a memcached-protocol server, one shard per core, nothing shared, io_uring for every socket.
//!
//! The modules, from the bottom up. A module imports only from modules above it in this list; `protocol`,
//! `store` and `net` know nothing of each other. `docs/internals.md` walks through the same house in prose.
#![deny(unsafe_code)]

/// What was typed: one table of options with documentation, defaults and limits. `-h` comes from it.
pub mod options;

/// Bytes to requests and replies to bytes. Pure: no socket, no clock, no thread.
pub mod protocol;

/// One shard's data: arena, slab classes, items, table, eviction, expiry. Pure: time is passed in.
pub mod store;

/// The data ring: buffers, listeners, sends, probing the kernel.
pub mod net;

/// One core: the turn of the loop, the execution of commands, the mesh to its peers.
pub mod shard;

/// What an operator sees and touches: stats, signals, privileges, pid file.
pub mod operate;
