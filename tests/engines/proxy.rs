//! nutcracker, which is twemproxy as Debian has it, on the clients' machine of a fleet.

use std::fmt::Write;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use super::fleet::Fleet;

const PORT: u16 = 22_121;
const STATS_PORT: u16 = 22_222;
/// How often the figures on its port for stats are renewed.
const STATS_EVERY_MS: &str = "20";

/// How it distributes, and what it does about a server that fails.
pub struct Settings {
    pub hash: &'static str,
    pub distribution: &'static str,
    /// Takes servers that failed [`FAILURE_LIMIT`] times in a row out of its list for a while.
    pub ejects: bool,
    pub times: Times,
}

/// When a server has failed, and for how long it is left alone.
#[derive(Clone, Copy)]
pub struct Times {
    pub retry_after_ms: u32,
    /// A server that says nothing for so long has failed.
    pub timeout_ms: u32,
}

impl Times {
    /// For servers that are killed, which the engine notices at once.
    pub const KILLED: Times = Times { retry_after_ms: 1_000, timeout_ms: 5_000 };
    /// For servers that are cut off. A port is out when it has been silent for two timeouts, and must still be out when the last port of
    /// its host is: otherwise the host is never out as a whole.
    pub const CUT_OFF: Times = Times { retry_after_ms: 6_000, timeout_ms: 1_000 };
}

const FAILURE_LIMIT: u32 = 2;

impl Settings {
    /// Ejects nothing.
    pub fn steady(hash: &'static str, distribution: &'static str) -> Settings {
        Settings { hash, distribution, ejects: false, times: Times::KILLED }
    }

    /// As `docs/many-machines.md` has it.
    fn file(&self, servers: &[String]) -> String {
        let Settings { hash, distribution, ejects, times: Times { retry_after_ms, timeout_ms } } = self;
        let mut file = format!(
            "fleet:
  listen: 127.0.0.1:{PORT}
  hash: {hash}
  distribution: {distribution}
  preconnect: true
  timeout: {timeout_ms}
  auto_eject_hosts: {ejects}
  server_failure_limit: {FAILURE_LIMIT}
  server_retry_timeout: {retry_after_ms}
  servers:
"
        );
        for server in servers {
            writeln!(file, "    - {server}").expect("a string grows");
        }
        file
    }
}

/// A running nutcracker. It ends, and its directory goes, when this does.
pub struct Proxy {
    child: Child,
    directory: tempfile::TempDir,
}

impl Proxy {
    /// Where its clients find it.
    pub fn address() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, PORT).into()
    }

    /// Starts it with every shard port in its list and waits until it accepts.
    pub fn start(fleet: &Fleet, settings: &Settings) -> Proxy {
        let servers: Vec<String> =
            fleet.shard_addresses().iter().map(|server| format!("{server}:1")).collect();
        Proxy::start_with(fleet, settings, &servers)
    }

    /// Starts it with these lines in its list: `address:port:weight`, and a name if it has one.
    pub fn start_with(fleet: &Fleet, settings: &Settings, servers: &[String]) -> Proxy {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("nutcracker.yml");
        std::fs::write(&file, settings.file(servers)).expect("its configuration");
        let mut command = Command::new("nutcracker");
        command.arg("-c").arg(&file);
        command.arg("-o").arg(directory.path().join("log"));
        command.arg("-p").arg(directory.path().join("pid"));
        command.args(["-a", "127.0.0.1", "-s", &STATS_PORT.to_string(), "-i", STATS_EVERY_MS]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = || command.spawn().unwrap_or_else(|e| panic!("nutcracker: {e}; tools/check installs it"));
        let proxy = Proxy { child: fleet.clients.run(start), directory };
        fleet.connect(Proxy::address()).finish();
        proxy
    }

    /// How many times it has taken a server out of its list.
    pub fn ejections(&self, fleet: &Fleet) -> u64 {
        const NAME: &str = "\"server_ejects\":";
        let mut figures = String::new();
        let mut conn = fleet.connect((Ipv4Addr::LOCALHOST, STATS_PORT).into());
        conn.read_to_string(&mut figures).expect("nutcracker's figures");
        let after = figures.split(NAME).nth(1).unwrap_or_else(|| panic!("no {NAME} in {figures}"));
        let digits = after.trim_start().split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{NAME} in {figures}"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("--- log of nutcracker ---\n{log}---");
            return;
        }
        assert!(matches!(ended, Ok(None)), "nutcracker ended by itself: {ended:?}\n{log}");
    }
}
