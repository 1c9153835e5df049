//! What an operator sees and touches. So far the process itself: what it says (`log`), the resources it may use
//! (`limits`, `memory`), whom it runs as (`privileges`), what it may ask of the kernel (`seccomp`), how it goes to the background (`daemon`), the files that tell others
//! about it (`pidfile`, `portfile`), what it listens on (`sockets`), where its options come from (`config`), how it is told to stop
//! (`signals`) or to read them again (`reload`), how a panic ends it (`panics`) and what it tells the service manager (`service`,
//! `watchdog`); who may use it (`users`); the text of `stats` (`stats`) and that of `/metrics` (`metrics`), which HTTP for operators serves (`admin`).
//!
//! All but these last five happens before the shards start or after they end, in the main thread, and without `unsafe`: the
//! system calls go through `nix`, `rustix` and `seccompiler`.

pub mod addresses;
pub mod admin;
pub mod config;
pub mod daemon;
pub mod limits;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod panics;
pub mod pidfile;
pub mod portfile;
pub mod privileges;
pub mod reload;
pub mod seccomp;
pub mod service;
pub mod signals;
pub mod sockets;
pub mod stats;
pub mod users;
pub mod watchdog;
