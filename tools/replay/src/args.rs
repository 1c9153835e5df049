//! What was typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::replay::WINDOW_MAX;
use crate::server::Template;
use crate::synthetic::{Draw, Shape};

/// Most connections to one server.
const CONNECTIONS_MAX: u64 = 256;

/// Replays a cache-aside workload against servers of the memcached protocol: get, and after a miss set.
///
/// Every value that comes back is checked; a wrong one ends the replay with an error.
#[derive(Parser, Debug)]
#[command(version)]
pub struct Args {
    /// What to replay
    #[command(subcommand)]
    pub workload: Workload,

    /// A server that runs
    #[arg(long, value_name = "HOST:PORT", global = true, conflicts_with = "start")]
    pub server: Option<String>,

    /// Another server that runs and gets the same requests
    #[arg(long, value_name = "HOST:PORT", global = true, requires = "server")]
    pub compare: Option<String>,

    /// A server to start, with places for its port and the MiB of its cache: 'memcached -p {port} -m {memory}'; may be
    /// given more than once
    #[arg(long, value_name = "COMMAND", global = true)]
    pub start: Vec<Template>,

    /// Sizes of the cache in MiB, a run for each
    #[arg(long, value_name = "MIB,...", value_delimiter = ',', global = true, requires = "start")]
    pub memory: Vec<u64>,

    /// Requests that go out together
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=WINDOW_MAX), global = true)]
    pub window: u64,

    /// Connections to each server
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX), global = true)]
    pub connections: u64,

    /// Where to write what was found as JSON
    #[arg(long, value_name = "FILE", global = true)]
    pub json: Option<PathBuf>,

    /// Where to write the plots course.svg and, of servers started here, memory.svg
    #[arg(long, value_name = "FOLDER", global = true)]
    pub plots: Option<PathBuf>,
}

/// Where the requests come from.
#[derive(Subcommand, Clone, Debug)]
pub enum Workload {
    /// A trace: CSV, plain or zstd, whose header names the columns object, size and perhaps op and ttl
    Trace {
        /// The trace
        file: PathBuf,
        /// After the trace come that many objects that are read once, then the trace again; 0 is the trace twice
        #[arg(long)]
        scan_objects: Option<u64>,
    },
    /// The same objects in the same order again and again
    Loop {
        #[command(flatten)]
        shape: Shape,
    },
    /// Objects drawn from a Zipf distribution
    Zipf {
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        draw: Draw,
    },
    /// Zipf, and each phase has other objects
    Shift {
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        draw: Draw,
        /// Phases of equal length
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
        phases: u64,
    },
    /// Zipf, then objects that are read only once, then the same requests of Zipf again
    Scan {
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        draw: Draw,
        /// Objects of the scan; 0 gives the second pass to compare with
        #[arg(long)]
        scan_objects: u64,
    },
}
