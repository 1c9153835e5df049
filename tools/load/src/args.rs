//! What was typed, and what of it does not go together.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::Parser;
use ringcached_steered::Partition;

use crate::draw::{Popularity, Sizes};
use crate::keys::{DIGITS, KEY_LEN_MAX, KEYS_MAX};
use crate::protocol::Protocol;

/// Most threads.
const THREADS_MAX: u64 = 64;
/// Most connections, of all threads.
const CONNECTIONS_MAX: u64 = 50_000;
/// Most requests under way on a connection.
const PIPELINE_MAX: u64 = 1024;
/// Most keys of a get.
const KEYS_PER_GET_MAX: u64 = 500;
/// Most keys under way on all connections: four bytes are set aside for each.
const KEYS_UNDER_WAY_MAX: u64 = 1 << 26;
/// Highest rate.
const RATE_MAX: u64 = 100_000_000;
/// Longest run: a day.
const SECONDS_MAX: u64 = 86_400;
/// Length of a run for which none is given.
const SECONDS: u64 = 10;
/// Largest datagram over IPv4.
const DATAGRAM_LEN_MAX: usize = 65_507;

/// Loads a server of the memcached protocol, checks every value it reads, and says what it measured.
///
/// Without --rate it goes as fast as the answers allow (closed loop); with it, requests are due at fixed times whatever the
/// server does, and latency counts from then (open loop).
#[derive(Parser, Debug)]
#[command(version)]
pub struct Args {
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    pub server: String,

    /// What to speak; udp is the classic commands in datagrams
    #[arg(long, value_enum, default_value = "classic")]
    pub protocol: Protocol,

    /// Send each key to the shard that owns it: its port is this one plus its number
    #[arg(long, value_name = "BASE", requires = "partition", conflicts_with = "source_ports")]
    pub shard_ports: Option<u16>,

    /// Send each key to the shard that owns it: --server names the port of --source-port-steering
    #[arg(long, requires = "partition")]
    pub source_ports: bool,

    /// The server's --partition: crc32a or fnv1a_32
    #[arg(long, value_name = "FUNCTION")]
    pub partition: Option<Partition>,

    /// How many shards the server has; not given, it is asked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: Option<u16>,

    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=THREADS_MAX))]
    pub threads: u64,

    /// Cores the threads are pinned to, in turn: 1 or 2-3,6
    #[arg(long, value_name = "LIST")]
    pub cores: Option<Cores>,

    /// Connections of all threads together
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    pub connections: u64,

    /// Requests under way on a connection, at most
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=PIPELINE_MAX))]
    pub pipeline: u64,

    /// Requests a second, of all threads together: open loop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    pub rate: Option<u64>,

    /// Length of the run; 10 unless --requests is given
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub seconds: Option<u64>,

    /// Requests of the run, of all threads together; 0 with --fill fills only
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub requests: Option<u64>,

    /// Different keys
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(KEYS_MAX)))]
    pub keys: u32,

    /// Bytes of a key
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(DIGITS as i64..=KEY_LEN_MAX as i64))]
    pub key_size: u16,

    /// How often each key is used: uniform, zipf (0.99) or zipf:SKEW
    #[arg(long, default_value = "uniform")]
    pub popularity: Popularity,

    /// Bytes of a value: N, MIN-MAX, N:WEIGHT,N:WEIGHT,... or etc (as in Facebook's pool ETC)
    #[arg(long, default_value = "100", value_name = "SIZES")]
    pub value_size: Sizes,

    /// Sets to gets
    #[arg(long, default_value = "1:10", value_name = "SETS:GETS")]
    pub ratio: Ratio,

    /// Keys of each get
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=KEYS_PER_GET_MAX))]
    pub keys_per_get: u64,

    /// Store every key first, so that gets find something
    #[arg(long)]
    pub fill: bool,

    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Where to write what was found as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Where to draw the latency over its percentiles, as SVG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

impl Args {
    /// Whether connections lead to shards.
    pub fn is_shard_aware(&self) -> bool {
        self.shard_ports.is_some() || self.source_ports
    }

    /// How long the run lasts, if it is not told by requests.
    pub fn seconds(&self) -> Option<u64> {
        if self.requests.is_some() { None } else { Some(self.seconds.unwrap_or(SECONDS)) }
    }

    /// What clap cannot see.
    ///
    /// # Errors
    /// Options that do not go together, with the remedy.
    pub fn check(&self) -> Result<()> {
        if self.connections < self.threads {
            bail!("--connections {} for --threads {}: each thread needs one", self.connections, self.threads);
        }
        if self.connections * self.pipeline * self.keys_per_get > KEYS_UNDER_WAY_MAX {
            bail!(
                "--connections times --pipeline times --keys-per-get is above {KEYS_UNDER_WAY_MAX}: take less of one of them"
            );
        }
        if self.partition.is_some() && !self.is_shard_aware() {
            bail!("--partition means nothing without --shard-ports or --source-ports");
        }
        if self.protocol == Protocol::Udp {
            if self.is_shard_aware() {
                bail!(
                    "--protocol udp: the kernel finds the shard of a datagram; leave out --shard-ports and --source-ports"
                );
            }
            if self.pipeline > 1 {
                bail!(
                    "--pipeline {} with --protocol udp: a socket has one datagram under way; give more --connections",
                    self.pipeline
                );
            }
            // Room for the frame, the line and the end of the value.
            let longest_line = 64 + usize::from(self.key_size);
            if self.value_size.max() as usize + longest_line > DATAGRAM_LEN_MAX
                || (usize::from(self.key_size) + 1) * self.keys_per_get as usize + longest_line
                    > DATAGRAM_LEN_MAX
            {
                bail!("--protocol udp: a request has to fit into a datagram of {DATAGRAM_LEN_MAX} bytes");
            }
        }
        if self.requests == Some(0) && !self.fill {
            bail!("--requests 0 without --fill: there is nothing to do");
        }
        Ok(())
    }
}

/// So many sets for so many gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentence above")]
pub struct Ratio {
    pub sets: u32,
    pub gets: u32,
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(words: &str) -> Result<Ratio, String> {
        let parts = words
            .split_once(':')
            .and_then(|(sets, gets)| sets.parse::<u16>().ok().zip(gets.parse::<u16>().ok()));
        match parts {
            Some((sets, gets)) if sets > 0 || gets > 0 => Ok(Ratio { sets: sets.into(), gets: gets.into() }),
            _ => Err("SETS:GETS, such as 1:10; one of them may be 0".into()),
        }
    }
}

/// Numbers of cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

/// Highest number of a core and one.
const CORES_MAX: usize = 1024;

impl FromStr for Cores {
    type Err = String;

    fn from_str(words: &str) -> Result<Cores, String> {
        let core = |word: &str| match word.parse::<usize>() {
            Ok(core) if core < CORES_MAX => Ok(core),
            _ => Err(format!("'{word}': cores are numbers below {CORES_MAX}, such as 1 or 2-3,6")),
        };
        let mut cores = Vec::new();
        for part in words.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = core(first)?..=core(last)?;
            if range.is_empty() {
                return Err(format!("'{part}': the smaller first"));
            }
            cores.extend(range);
        }
        Ok(Cores(cores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str) -> Result<(), String> {
        let words = "ringcached-load --server localhost:11211".split(' ').chain(words.split_whitespace());
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        args.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_goes_together_is_taken() {
        for words in [
            "",
            "--rate 1000 --seconds 3 --cores 0-1 --threads 2",
            "--source-ports --partition crc32a --requests 5",
            "--shard-ports 12000 --partition fnv1a_32 --shards 4",
            "--protocol udp --fill --requests 0",
        ] {
            assert_eq!(check(words), Ok(()), "{words}");
        }
    }

    #[test]
    fn what_does_not_is_named() {
        for (words, expected) in [
            ("--threads 2 --connections 1", "--connections 1"),
            ("--connections 50000 --pipeline 1024 --keys-per-get 500", "take less"),
            ("--partition crc32a", "means nothing"),
            ("--source-ports", "--partition"),
            ("--partition seeded --source-ports", "seeded"),
            ("--protocol udp --pipeline 2", "--pipeline 2"),
            ("--protocol udp --value-size 70000", "datagram"),
            ("--protocol udp --keys-per-get 500 --key-size 250", "datagram"),
            ("--protocol udp --source-ports --partition fnv1a_32", "leave out"),
            ("--requests 0", "nothing to do"),
            ("--requests 1 --seconds 1", "cannot be used with"),
            ("--ratio 0:0", "SETS:GETS"),
            ("--cores 3-1", "smaller first"),
            ("--key-size 7", "8..=250"),
            ("--pipeline 0", "1..=1024"),
        ] {
            let error = check(words).expect_err(words);
            assert!(error.contains(expected), "{words}: {error}");
        }
    }

    #[test]
    fn cores_are_lists_of_ranges() {
        assert_eq!("0-2,7".parse(), Ok(Cores(vec![0, 1, 2, 7])));
        assert!(
            "x".parse::<Cores>().is_err() && "".parse::<Cores>().is_err() && "1024".parse::<Cores>().is_err()
        );
    }
}
