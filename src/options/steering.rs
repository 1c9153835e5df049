//! Which shard owns a key, and how clients find it: `--partition`, `--shard-ports` and `--advertise`, which depend on
//! each other and on where is listened.
//!
//! A client that hashes by itself sees every shard port as a server of its own. Some combinations look right and would leave
//! cores idle or keys lost, so they are refused: the hash of the clients behind one port, `fnv1a_64` with a count of shards
//! that its multiplier is divisible by (see [`check`]), and a keyspace for each port behind a port that belongs to nobody.

use super::error::OptionError;
use super::listen::ListenAddress;
use super::spec::{Category, OptionSpec, Takes};
use super::table::{LISTEN, PORT, THREADS, UDP_PORT, UNIX_SOCKET};
use super::{Listen, Options};

/// The multiplier of twemproxy's `fnv1a_64`, 0x1b3, is 3 * 5 * 29.
const FNV_64_FACTORS: [usize; 3] = [3, 5, 29];

/// Longest name of `--advertise`, in bytes: what DNS allows.
const HOST_LEN_MAX: usize = 255;

/// How connections to the ports in common find their shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Each shard has as many as any other.
    Even,
    /// Each has those whose packets its core handles.
    Cpu,
}

impl Steer {
    /// `--steer` as typed.
    pub(super) fn parse(typed: Option<&str>) -> Result<Steer, OptionError> {
        match typed {
            None | Some("even") => Ok(Steer::Even),
            Some("cpu") => Ok(Steer::Cpu),
            Some(typed) => Err(STEER.refuse(typed)),
        }
    }
}

/// The function that says which shard owns a key; `shard::partition` computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// By the seeded hash of the table: even for any keys, and nobody outside can compute it.
    Seeded,
    /// CRC-32 of the key modulo shards: twemproxy's `crc32a`.
    Crc32a,
    /// FNV-1a of 32 bits modulo shards: twemproxy's and libmemcached's `fnv1a_32`.
    Fnv1a32,
    /// What twemproxy and libmemcached call `fnv1a_64`: the low 32 bits of FNV-1a of 64, modulo shards.
    Fnv1a64,
    /// Every shard owns every key that comes to its port: the client alone decides.
    Isolated,
}

impl Partition {
    const ALL: [Partition; 5] =
        [Partition::Seeded, Partition::Crc32a, Partition::Fnv1a32, Partition::Fnv1a64, Partition::Isolated];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Partition::Seeded => "seeded",
            Partition::Crc32a => "crc32a",
            Partition::Fnv1a32 => "fnv1a_32",
            Partition::Fnv1a64 => "fnv1a_64",
            Partition::Isolated => "isolated",
        }
    }

    /// `--partition` as typed.
    pub(super) fn parse(typed: Option<&str>) -> Result<Partition, OptionError> {
        let Some(typed) = typed else { return Ok(Partition::Seeded) };
        let known = Partition::ALL.into_iter().find(|partition| partition.word() == typed);
        known.ok_or_else(|| PARTITION.refuse(typed))
    }

    /// A client can compute it too, as a hash modulo the number of ports.
    fn is_modula(self) -> bool {
        matches!(self, Partition::Crc32a | Partition::Fnv1a32 | Partition::Fnv1a64)
    }
}

/// `--partition`
pub const PARTITION: OptionSpec = OptionSpec {
    short: None,
    long: "partition",
    takes: Takes::Text {
        name: "function",
        allowed: "`seeded`, `crc32a`, `fnv1a_32`, `fnv1a_64` or `isolated`",
    },
    category: Category::Cores,
    default: "seeded",
    summary: "which shard owns a key: seeded, crc32a, fnv1a_32, fnv1a_64, isolated",
    details: "`seeded` is even for any keys and cannot be aimed at. `crc32a`, `fnv1a_32` and `fnv1a_64` are the hash of that \
              name in twemproxy and libmemcached, modulo shards: with --shard-ports and a client that distributes by \
              modula, no request changes cores. With `isolated` each shard port is a server of its own, with keys of its \
              own: for clients that distribute in any other way (ketama, rendezvous). All but `seeded` need --shard-ports, \
              and `isolated` allows no other port. See docs/operating.md.",
};

/// `--steer`
pub const STEER: OptionSpec = OptionSpec {
    short: None,
    long: "steer",
    takes: Takes::Text { name: "how", allowed: "`even` or `cpu`" },
    category: Category::Network,
    default: "even",
    summary: "how connections find their shard: even, cpu",
    details: "`even`: a fresh connection goes to the shard with the fewest. `cpu`: to the shard on the core that handles its \
              packets, so that interrupt, TCP and shard share a core; for network cards whose queues are spread over the cores of \
              this server. On one machine with its clients that is their core, so `even` is better there.",
};

/// `--source-port-steering`
pub const SOURCE_PORT: OptionSpec = OptionSpec {
    short: None,
    long: "source-port-steering",
    takes: Takes::Integer { name: "port", min: 1, max: 65535 },
    category: Category::Network,
    default: "",
    summary: "a TCP port on which the client's port modulo shards chooses the shard",
    details: "For clients that know the shards: bind to a port p with p % shards = the shard you want, then connect. On each \
              address of -l, besides the port of -p. See docs/operating.md.",
};

/// `--shard-ports`
pub const SHARD_PORTS: OptionSpec = OptionSpec {
    short: None,
    long: "shard-ports",
    takes: Takes::Integer { name: "num", min: 1, max: 65535 },
    category: Category::Network,
    default: "",
    summary: "a TCP port for each shard: this one for shard 0, the next for shard 1 and so on",
    details: "On each address of -l, besides the port of -p. A connection to a shard port stays on that shard. A request for \
              another shard's key is served all the same, and counted as `misrouted` in `stats shards`.",
};

/// `--advertise`
pub const ADVERTISE: OptionSpec = OptionSpec {
    short: None,
    long: "advertise",
    takes: Takes::Text { name: "host", allowed: "a host name or an address of 1 to 255 bytes" },
    category: Category::Network,
    default: "the address the client has come to",
    summary: "the host that `config get cluster` names to clients",
    details: "For clients that discover servers as in ElastiCache. The ports are those of --shard-ports, otherwise that of -p.",
};

/// `--advertise` as typed: it stands between separators in what clients read.
pub(super) fn advertised(typed: Option<&str>) -> Result<Option<String>, OptionError> {
    let Some(host) = typed else { return Ok(None) };
    let plain = host.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'|' | b','));
    if plain && (1..=HOST_LEN_MAX).contains(&host.len()) {
        Ok(Some(host.to_string()))
    } else {
        Err(ADVERTISE.refuse(host))
    }
}

/// A further port on each host of `-l`, once; for `--shard-ports` that of shard 0.
pub(super) fn on_each_host(port: Option<i64>, listen: Vec<ListenAddress>) -> Vec<ListenAddress> {
    let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { return Vec::new() };
    let mut found: Vec<ListenAddress> = Vec::new();
    for address in listen {
        if found.iter().all(|other| other.host != address.host) {
            found.push(ListenAddress { port, ..address });
        }
    }
    found
}

/// The combinations that cannot work, or would work with idle cores and nobody would see why.
///
/// The trap of the common divisor: clients that choose one of H hosts by `hash % H` send host r only keys with
/// `hash % H == r`. If it divides them by the same hash over C shards, only C / gcd(H, C) of them ever get a key.
///
/// `fnv1a_64` ends in a multiplication by 435. Modulo a divisor of that number the product alone would be 0; all that is left
/// are the carries lost beyond 32 bits, and they are few: of keys of 16 hexadecimal digits, one of 3 shards gets none.
pub(super) fn check(options: &Options) -> Result<(), OptionError> {
    check_ports(options)?;
    check_cores(options)?;
    let (partition, shards) = (options.partition, options.cores.len());
    let asked = format!("{} {}", PARTITION.name(), partition.word());
    let conflict = |text: String| Err(OptionError::Conflict(text));
    let has_chosen = !options.shard_ports.is_empty() || !options.source_port.is_empty();
    if partition.is_modula() && !has_chosen && shards > 1 {
        return conflict(format!(
            "{asked} without {0}: clients that choose a server by the same hash would leave cores idle (of {shards} servers \
             with {shards} shards, each would use one shard only); give {0} and list every shard port in the clients, or {2} \
             for clients that choose their own port, or leave {1} out",
            SHARD_PORTS.name(),
            PARTITION.name(),
            SOURCE_PORT.name(),
        ));
    }
    let divisor = FNV_64_FACTORS.iter().find(|factor| shards.is_multiple_of(**factor));
    if let (Partition::Fnv1a64, Some(divisor)) = (partition, divisor) {
        return conflict(format!(
            "{asked} with {shards} shards: the hash ends in a multiplication by 435, which {divisor} divides as it does \
             {shards}, so shards would get few keys or none; choose a count with {} that 3, 5 and 29 do not divide, best a \
             power of two, or another function",
            THREADS.name(),
        ));
    }
    if partition != Partition::Isolated {
        return Ok(());
    }
    if options.shard_ports.is_empty() {
        return conflict(format!(
            "{asked} without {0}: no port would belong to a shard; give {0}",
            SHARD_PORTS.name()
        ));
    }
    let has_common = !matches!(&options.listen, Listen::Tcp(addresses) if addresses.is_empty());
    let what = match (options.udp.is_empty(), has_common) {
        (false, _) => UDP_PORT.name(),
        (true, true) => format!("a port of {} or {}", PORT.name(), LISTEN.name()),
        (true, false) => return Ok(()),
    };
    conflict(format!(
        "{asked} together with {what}: what comes there would find the keys of whichever shard it meets; leave it out, \
         clients use the ports of {}",
        SHARD_PORTS.name(),
    ))
}

/// The shard ports exist, and nothing else is asked to listen there.
fn check_ports(options: &Options) -> Result<(), OptionError> {
    let conflict = |text: String| Err(OptionError::Conflict(text));
    let common = match &options.listen {
        Listen::Tcp(addresses) => addresses.as_slice(),
        Listen::Unix { .. } => {
            let needs_tcp = [
                (!options.shard_ports.is_empty(), &SHARD_PORTS),
                (!options.source_port.is_empty(), &SOURCE_PORT),
                (options.steer == Steer::Cpu, &STEER),
            ];
            if let Some((_, spec)) = needs_tcp.into_iter().find(|(asked, _)| *asked) {
                return conflict(format!(
                    "{} together with {}: with a UNIX socket there is no TCP; leave one of them out",
                    spec.name(),
                    UNIX_SOCKET.name(),
                ));
            }
            &[]
        }
    };
    check_source_port(options, common)?;
    if options.advertise.is_some() && common.is_empty() && options.shard_ports.is_empty() {
        return conflict(format!(
            "{}: there is no TCP port to name to clients; leave it out",
            ADVERTISE.name()
        ));
    }
    let Some(first) = options.shard_ports.first().map(|address| usize::from(address.port)) else {
        return Ok(());
    };
    let shards = options.cores.len();
    let last = first + shards - 1;
    let asked = format!("{} {first} with {shards} shards", SHARD_PORTS.name());
    if last > usize::from(u16::MAX) {
        return conflict(format!(
            "{asked}: the ports would be {first} to {last}, and the last there is is 65535; give {} at most, or fewer \
             shards with {}",
            usize::from(u16::MAX) + 1 - shards,
            THREADS.name(),
        ));
    }
    let taken = |address: &&ListenAddress| (first..=last).contains(&usize::from(address.port));
    let tcp = common.iter().find(taken).map(|address| (address.port, &PORT));
    match tcp.or_else(|| options.udp.iter().find(taken).map(|address| (address.port, &UDP_PORT))) {
        None => Ok(()),
        Some((port, option)) => conflict(format!(
            "{asked}: port {port} would be that of shard {}, and it is asked for by {} or {} as well; choose another",
            usize::from(port) - first,
            option.name(),
            LISTEN.name(),
        )),
    }
}

/// The port for chosen source ports is nobody else's.
fn check_source_port(options: &Options, common: &[ListenAddress]) -> Result<(), OptionError> {
    let Some(port) = options.source_port.first().map(|address| address.port) else { return Ok(()) };
    let first = options.shard_ports.first().map(|address| usize::from(address.port));
    let is_shard_port =
        first.is_some_and(|first| (first..first + options.cores.len()).contains(&usize::from(port)));
    let other = match common.iter().any(|address| address.port == port) {
        true => &PORT,
        false if is_shard_port => &SHARD_PORTS,
        false => return Ok(()),
    };
    Err(OptionError::Conflict(format!(
        "{} {port}: {} asks for that port as well; choose another",
        SOURCE_PORT.name(),
        other.name(),
    )))
}

/// Steering by core needs a core for each shard.
fn check_cores(options: &Options) -> Result<(), OptionError> {
    let unique: std::collections::BTreeSet<usize> = options.cores.iter().copied().collect();
    let (cores, shards) = (unique.len(), options.cores.len());
    if options.steer == Steer::Even || cores == shards {
        return Ok(());
    }
    Err(OptionError::Conflict(format!(
        "{} cpu with {shards} shards on {cores} cores: shards that share a core would get no connections; give {} {cores} or \
         fewer",
        STEER.name(),
        THREADS.name(),
    )))
}

#[cfg(test)]
#[path = "steering_tests.rs"]
mod tests;
