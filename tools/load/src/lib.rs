//! A load generator for servers of the memcached protocol. It measures them in a closed loop (as fast as the answers allow)
//! or an open one (at a fixed rate, whatever the server does), and checks every byte it reads.
//!
//! What is asked for: [`keys`], values ([`content`]), and what is drawn at random ([`draw`]). [`protocol`] makes requests of it and
//! reads answers, for one [`connection`]. Each thread is a [`worker`] with its own [`ring`]; [`tally`] is what it counts.
//! [`target`] knows the server, [`report`] and [`plot`] say what came out.
//!
//! A library so that other clients of the project's own store the same values and check them the same way.

pub mod args;
pub mod connection;
pub mod content;
pub mod draw;
pub mod keys;
pub mod plot;
pub mod protocol;
pub mod report;
pub mod ring;
pub mod run;
pub mod tally;
pub mod target;
pub mod worker;
