//! Engines that distribute keys over many servers, against two machines of two cores each. Each machine is a network namespace with
//! an address of its own, joined by a cable to the namespace of the engine and its clients, and each core is a server in the
//! engine's list. `docs/many-machines.md` shows the configurations that are run here.
//!
//! | module | what it holds against the servers |
//! |---|---|
//! | `twemproxy` | nutcracker with its hashes, by modula and ketama: right values, and no hop where hash and partition agree |
//! | `libraries` | libmemcached (pylibmc) and pymemcache's HashClient likewise, also when a machine is killed |
//! | `failure` | a machine killed or cut off under load: the rest serves, it comes back and is used again, nothing wrong is read |
//! | `versions` | what ejecting costs: older versions, when they are read, and what helps |
//!
//! `fleet` makes the machines, `proxy` runs nutcracker, `ledger` knows what was written and judges what is read.

mod failure;
mod fleet;
mod ledger;
mod libraries;
mod proxy;
mod twemproxy;
mod versions;
