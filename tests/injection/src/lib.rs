//! Fault injection: the server's own shards, one thread each, on real rings and sockets, with a layer between a shard and its ring
//! that has operations of one kind fail now and then with one errno. No program contains it: a shard is generic in its kernel, and
//! only the tests here make one from [`faulty::FaultyRing`].
//!
//! Around the shards is what `ringcached::shard::start` has around them, but for the executor ([`server`]).
#![deny(unsafe_code)]

pub mod faulty;
pub mod server;
#[cfg(test)]
mod tests;
