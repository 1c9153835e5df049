//! From the words that were given to [`Options`]: each value is checked against its row of the table, then the
//! combinations. Checks and exit statuses follow memcached's `main`.

use std::path::PathBuf;

use super::authentication::{Authentication, Protocol};
use super::cores::{self, Machine};
use super::error::OptionError;
use super::extended::Extended;
use super::given::Given;
use super::listen::{self, CONGESTION, Defaults, Host, ListenAddress};
use super::log_format::{LOG_FORMAT, LogFormat};
use super::spec::{OptionSpec, Takes};
use super::steering::{self, ADVERTISE, PARTITION, Partition, SHARD_PORTS, SOURCE_PORT, STEER, Steer};
use super::table::*;
use super::{Listen, Options, command, config};

/// Default of `-p`.
const PORT_DEFAULT: i64 = 11211;
/// Default of `-m`, in MiB; as memcached's.
const MEMORY_LIMIT_DEFAULT_MIB: usize = 64;
/// The default of `-m` leaves no shard less than this, in MiB: enough pages for every slab class to have some.
const MEMORY_LIMIT_DEFAULT_MIB_PER_SHARD: usize = 16;
/// Default of `-I`, in bytes.
const MAX_ITEM_SIZE_DEFAULT: usize = 1 << 20;
/// Limits of `-I`, in bytes.
const MAX_ITEM_SIZE_LIMITS: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 30;
/// Default of `-f`.
const SLAB_GROWTH_FACTOR_DEFAULT: f64 = 1.07;
/// Default of `--max-key-size`, in bytes; memcached's limit.
const MAX_KEY_SIZE_DEFAULT: i64 = 250;
/// Default of `-n`, in bytes.
const SLAB_MIN_SIZE_DEFAULT: i64 = 8;
/// Default of `-c` and of `-b`.
const CONN_LIMIT_DEFAULT: i64 = 1024;
/// Default of `-R`.
const MAX_REQS_PER_EVENT_DEFAULT: i64 = 20;
/// Default of `-D`; memcached's.
const PREFIX_DELIMITER_DEFAULT: u8 = b':';
/// Default of `-a`.
const UNIX_MASK_DEFAULT: u32 = 0o700;
/// Largest mode `-a` can ask for.
const UNIX_MASK_MAX: u32 = 0o777;
/// Longest path of a UNIX socket: `sun_path` less its final zero.
const UNIX_SOCKET_PATH_MAX: usize = 107;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// To serve.
    Serve(Box<Options>),
    /// To show this text on standard output and end with status 0.
    Show(String),
}

impl Given {
    /// What is asked for, on this machine.
    ///
    /// # Errors
    /// A value that its option does not allow, or values that do not go together.
    pub fn asked(&self, machine: &Machine) -> Result<Asked, OptionError> {
        if self.is_on(&HELP) {
            return Ok(Asked::Show(command::help()));
        } else if self.is_on(&VERSION) {
            return Ok(Asked::Show(format!("{}\n", command::NAME_AND_VERSION)));
        } else if self.is_on(&LICENSE) {
            return Ok(Asked::Show(include_str!("../../LICENSE").to_string()));
        }
        let options = self.options(machine).map_err(|error| self.locate(error))?;
        if self.is_on(&PRINT_CONFIG) {
            Ok(Asked::Show(config::page(self)))
        } else {
            Ok(Asked::Serve(Box::new(options)))
        }
    }

    /// A whole number within the limits of its row.
    fn integer(&self, spec: &OptionSpec) -> Result<Option<i64>, OptionError> {
        let Some(value) = self.text(spec) else { return Ok(None) };
        let Takes::Integer { min, max, .. } = spec.takes else { return Ok(None) };
        match value.parse() {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(spec.refuse(value)),
        }
    }

    /// The same as an unsigned number; only for rows whose smallest value is not negative.
    fn unsigned(&self, spec: &OptionSpec, default: i64) -> Result<u32, OptionError> {
        let number = self.integer(spec)?.unwrap_or(default);
        u32::try_from(number).map_err(|_| spec.refuse(&number.to_string()))
    }

    /// Text that may not be empty.
    fn nonempty(&self, spec: &OptionSpec) -> Result<Option<String>, OptionError> {
        match self.text(spec) {
            Some("") => Err(spec.refuse("")),
            text => Ok(text.map(str::to_string)),
        }
    }

    /// Everything, resolved and checked.
    fn options(&self, machine: &Machine) -> Result<Options, OptionError> {
        let mut warnings = Vec::new();
        self.refuse_unsupported(&mut warnings)?;
        let mut extended = Extended::default();
        for text in self.texts(&EXTENDED) {
            extended.apply(text, &mut warnings)?;
        }
        let authentication = Authentication::resolve(
            self.is_on(&ENABLE_SASL),
            self.nonempty(&AUTH_FILE)?.map(PathBuf::from),
            machine.sasl_users.as_deref(),
        )?;
        let protocol = Protocol::resolve(self.text(&PROTOCOL), authentication.as_ref())?;
        let udp_port = self.udp_port(authentication.is_some())?;
        let partition = Partition::parse(self.text(&PARTITION))?;
        // Where shards have no key in common there is no port in common.
        let port_default = if partition == Partition::Isolated { 0 } else { PORT_DEFAULT };
        // memcached: a UDP port given alone is the TCP port too.
        let tcp_port = self.integer(&PORT)?.or(udp_port).unwrap_or(port_default);
        let threads = self.integer(&THREADS)?.and_then(|threads| usize::try_from(threads).ok());
        let cores = cores::assign(machine, self.text(&CORES), threads, &mut warnings)?;
        let options = Options {
            udp: self.udp(udp_port, protocol)?,
            shard_ports: self.further_port(&SHARD_PORTS, protocol)?,
            source_port: self.further_port(&SOURCE_PORT, protocol)?,
            steer: Steer::parse(self.text(&STEER))?,
            congestion: listen::congestion(self.text(&CONGESTION))?,
            advertise: steering::advertised(self.text(&ADVERTISE))?,
            admin: self.text(&ADMIN).map(listen::admin).transpose()?,
            listen: self.listen(tcp_port, udp_port.is_some(), protocol, &mut warnings)?,
            tcp_port: u16::try_from(tcp_port).unwrap_or(0),
            interfaces: self.interfaces(),
            protocol,
            authentication,
            backlog: self.unsigned(&LISTEN_BACKLOG, CONN_LIMIT_DEFAULT)?,
            conn_limit: self.unsigned(&CONN_LIMIT, CONN_LIMIT_DEFAULT)?,
            maxconns_fast: extended.maxconns_fast,
            idle_timeout_s: extended.idle_timeout_s,
            requests_per_turn: self.unsigned(&MAX_REQS_PER_EVENT, MAX_REQS_PER_EVENT_DEFAULT)?,
            memory_limit_bytes: self.memory_limit_bytes(cores.len())?,
            evict: !self.is_on(&DISABLE_EVICTIONS),
            item_size_max_bytes: self.item_size_max_bytes()?,
            key_size_max_bytes: self.unsigned(&MAX_KEY_SIZE, MAX_KEY_SIZE_DEFAULT)? as usize,
            growth_factor: self.growth_factor()?,
            item_size_min_bytes: self.unsigned(&SLAB_MIN_SIZE, SLAB_MIN_SIZE_DEFAULT)? as usize,
            cas: !self.is_on(&DISABLE_CAS),
            large_pages: self.is_on(&ENABLE_LARGEPAGES),
            lock_memory: self.is_on(&LOCK_MEMORY),
            cores,
            partition,
            busy_poll_us: self.unsigned(&BUSY_POLL, 0)?,
            allow_shutdown: self.is_on(&ENABLE_SHUTDOWN),
            allow_flush_all: !self.is_on(&DISABLE_FLUSH_ALL),
            allow_dumping: !self.is_on(&DISABLE_DUMPING),
            allow_watch: !self.is_on(&DISABLE_WATCH),
            prefix_delimiter: self.prefix_delimiter()?,
            count_prefixes: self.text(&PREFIX_DELIMITER).is_some(),
            slow_log_us: self.unsigned(&SLOW_LOG, 0)?,
            watcher_log_bytes: extended.watcher_log_bytes,
            worker_log_bytes: extended.worker_log_bytes,
            user: self.nonempty(&USER)?,
            drop_privileges: extended.drop_privileges,
            daemonize: self.is_on(&DAEMON),
            pid_file: self.nonempty(&PIDFILE)?.map(PathBuf::from),
            core_dumps: self.is_on(&ENABLE_COREDUMPS),
            verbosity: u8::try_from(self.texts(&VERBOSE).count()).unwrap_or(u8::MAX),
            log_format: LogFormat::parse(self.text(&LOG_FORMAT))?,
            warnings,
        };
        check_sizes(&options)?;
        check_protocols(&options)?;
        steering::check(&options)?;
        Ok(options)
    }

    /// `-U` if it asks for datagrams, which cannot authenticate.
    fn udp_port(&self, authenticated: bool) -> Result<Option<i64>, OptionError> {
        match self.integer(&UDP_PORT)?.filter(|&port| port != 0) {
            Some(_) if authenticated => Err(OptionError::Conflict(format!(
                "{} together with authentication ({}, {}): a datagram cannot authenticate; leave it out",
                UDP_PORT.name(),
                AUTH_FILE.name(),
                ENABLE_SASL.name(),
            ))),
            port => Ok(port),
        }
    }

    /// Where datagrams are taken: the addresses of `-l`, as memcached does, unless there is a UNIX socket.
    fn udp(&self, udp_port: Option<i64>, protocol: Protocol) -> Result<Vec<ListenAddress>, OptionError> {
        match udp_port {
            // What there is to warn of in -l is said once, for TCP.
            Some(port) if self.text(&UNIX_SOCKET).is_none() => {
                self.addresses(port, protocol, &mut Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The addresses of `-l`, or every one of the machine.
    fn addresses(
        &self,
        port: i64,
        protocol: Protocol,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<ListenAddress>, OptionError> {
        // -1 asks for a free port, which the kernel spells 0.
        let defaults = Defaults { port: u16::try_from(port).unwrap_or(0), protocol };
        let mut addresses = Vec::new();
        for text in self.texts(&LISTEN) {
            listen::parse(text, defaults, &mut addresses, warnings)?;
        }
        if addresses.is_empty() {
            addresses.push(ListenAddress { host: Host::Any, port: defaults.port, protocol });
        }
        Ok(addresses)
    }

    /// `-s` and `-a`, otherwise `-p` and `-l`.
    fn listen(
        &self,
        tcp_port: i64,
        udp: bool,
        protocol: Protocol,
        warnings: &mut Vec<String>,
    ) -> Result<Listen, OptionError> {
        let mode = match self.text(&UNIX_MASK) {
            None => UNIX_MASK_DEFAULT,
            Some(text) => octal_mode(text).ok_or_else(|| UNIX_MASK.refuse(text))?,
        };
        let addresses = self.addresses(tcp_port, protocol, warnings)?;
        if let Some(path) = self.text(&UNIX_SOCKET) {
            if path.is_empty() || path.len() > UNIX_SOCKET_PATH_MAX {
                return Err(UNIX_SOCKET.refuse(path));
            }
            return Ok(Listen::Unix { path: PathBuf::from(path), mode });
        }
        let further = [&SHARD_PORTS, &SOURCE_PORT].iter().any(|spec| self.text(spec).is_some());
        if tcp_port == 0 && !udp && !further {
            warnings.push("-p 0 without -s, -U or --shard-ports: there is nothing to listen on".to_string());
        }
        // -p 0 turns TCP off whatever -l says; where 0 is only the default, ports of -l hold.
        let typed_off = self.integer(&PORT)? == Some(0);
        let is_on = |address: &ListenAddress| tcp_port != 0 || (address.port != 0 && !typed_off);
        Ok(Listen::Tcp(addresses.into_iter().filter(is_on).collect()))
    }

    /// The port of an option that adds one to the addresses of `-l`.
    fn further_port(&self, spec: &OptionSpec, protocol: Protocol) -> Result<Vec<ListenAddress>, OptionError> {
        Ok(steering::on_each_host(self.integer(spec)?, self.addresses(0, protocol, &mut Vec::new())?))
    }

    /// `-l` as typed.
    fn interfaces(&self) -> Option<String> {
        let typed: Vec<&str> = self.texts(&LISTEN).collect();
        if typed.is_empty() { None } else { Some(typed.join(",")) }
    }

    /// `-m`, or its default for this number of shards.
    fn memory_limit_bytes(&self, shards: usize) -> Result<usize, OptionError> {
        let default_mib = MEMORY_LIMIT_DEFAULT_MIB.max(MEMORY_LIMIT_DEFAULT_MIB_PER_SHARD * shards);
        let mib = match self.integer(&MEMORY_LIMIT)? {
            None => default_mib,
            Some(mib) => mib as usize,
        };
        Ok(mib << 20)
    }

    /// `-I`: bytes, or with a suffix.
    fn item_size_max_bytes(&self) -> Result<usize, OptionError> {
        let Some(text) = self.text(&MAX_ITEM_SIZE) else { return Ok(MAX_ITEM_SIZE_DEFAULT) };
        size_bytes(text)
            .filter(|bytes| MAX_ITEM_SIZE_LIMITS.contains(bytes))
            .ok_or_else(|| MAX_ITEM_SIZE.refuse(text))
    }

    /// `-f`
    fn growth_factor(&self) -> Result<f64, OptionError> {
        let Some(text) = self.text(&SLAB_GROWTH_FACTOR) else { return Ok(SLAB_GROWTH_FACTOR_DEFAULT) };
        let Takes::Real { above, .. } = SLAB_GROWTH_FACTOR.takes else {
            return Ok(SLAB_GROWTH_FACTOR_DEFAULT);
        };
        let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > above);
        factor.ok_or_else(|| SLAB_GROWTH_FACTOR.refuse(text))
    }

    /// `-D`
    fn prefix_delimiter(&self) -> Result<u8, OptionError> {
        match self.text(&PREFIX_DELIMITER) {
            None => Ok(PREFIX_DELIMITER_DEFAULT),
            Some(text) => match text.as_bytes() {
                [delimiter] => Ok(*delimiter),
                _ => Err(PREFIX_DELIMITER.refuse(text)),
            },
        }
    }

    /// Refuses what this version does not have; warns of words that belong to no option.
    fn refuse_unsupported(&self, warnings: &mut Vec<String>) -> Result<(), OptionError> {
        for word in self.typed(command::STRAY) {
            warnings.push(format!("`{word}` belongs to no option and is ignored"));
        }
        for (spec, remedy) in UNSUPPORTED {
            let given =
                if spec.value_name().is_some() { self.text(spec).is_some() } else { self.is_on(spec) };
            if given {
                return Err(OptionError::Unsupported { option: spec.name(), remedy });
            }
        }
        Ok(())
    }
}

/// What is refused whatever its value, and what to do instead.
const UNSUPPORTED: [(&OptionSpec, &str); 3] = [
    (&MEMORY_FILE, "leave it out, items are lost at a restart"),
    (&ENABLE_SSL, "end TLS in front of it (stunnel, haproxy)"),
    (&NAPI_IDS, "leave it out"),
];

/// The sizes that depend on each other.
fn check_sizes(options: &Options) -> Result<(), OptionError> {
    let (item_bytes, memory_bytes) = (options.item_size_max_bytes, options.memory_limit_bytes);
    if item_bytes > memory_bytes / 2 {
        return Err(OptionError::Conflict(format!(
            "{} of {item_bytes} bytes with {} of {} MiB: an item may be at most half of the memory; lower the one or \
             raise the other",
            MAX_ITEM_SIZE.name(),
            MEMORY_LIMIT.name(),
            memory_bytes >> 20,
        )));
    }
    if options.item_size_min_bytes > item_bytes {
        return Err(OptionError::Conflict(format!(
            "{} of {} bytes with {} of {item_bytes} bytes: the least may not exceed the most",
            SLAB_MIN_SIZE.name(),
            options.item_size_min_bytes,
            MAX_ITEM_SIZE.name(),
        )));
    }
    Ok(())
}

/// No address lets clients in who do not authenticate.
fn check_protocols(options: &Options) -> Result<(), OptionError> {
    let Listen::Tcp(addresses) = &options.listen else { return Ok(()) };
    addresses.iter().chain(&options.shard_ports).chain(&options.source_port).try_for_each(|address| {
        let asked_by = format!("an address of {}", LISTEN.name());
        address.protocol.check(options.authentication.as_ref(), &asked_by)
    })
}

/// `64`, `64k`, `64M`, `1g`.
fn size_bytes(text: &str) -> Option<usize> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (text.get(..text.len() - 1)?, 10),
        b'm' => (text.get(..text.len() - 1)?, 20),
        b'g' => (text.get(..text.len() - 1)?, 30),
        _ => (text, 0),
    };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// An octal file mode.
fn octal_mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= UNIX_MASK_MAX)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
