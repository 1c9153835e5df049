//! Deterministic simulation of the server: shards, store, sessions and mesh are the server's own code, from the turn of a shard
//! downwards; kernel, network, clock, threads and clients are simulated, with faults, by one sequence of random numbers. So a
//! seed that fails fails again, exactly. What is promised, and what a simulation cannot see: docs/reliability.md.
//!
//! [`world`] is the server with bytes going in and out, for any use; [`run`] puts [`client`]s into one and has the
//! [`checker`] explain what they saw.
#![deny(unsafe_code)]

mod binary;
pub mod checker;
#[cfg(test)]
mod checker_tests;
pub mod client;
pub mod faults;
pub mod history;
pub mod kernel;
pub mod load;
mod memory;
pub mod model;
pub mod network;
pub mod run;
mod text;
pub mod world;

pub use run::{Report, run};
pub use world::{End, Setup, World};
