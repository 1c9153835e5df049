//! The server under test: started with a configuration file that is written anew to change it, asked over a connection of
//! its own, looked at through /proc, stopped.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::connection::ANSWERS_WITHIN;
use crate::protocol::line;

/// How long it may take to start, to end, and to do what it is told.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks.
const POLL: Duration = Duration::from_millis(10);

/// What is changed while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the keys of the configuration file")]
pub struct Settings {
    pub memory_limit: u64,
    pub conn_limit: u64,
    pub max_reqs_per_event: u64,
    pub idle_timeout: u64,
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    directory: tempfile::TempDir,
    /// Where it speaks memcached's protocols.
    pub address: SocketAddr,
    admin: SocketAddr,
}

/// Looks at `probe` until it gives a value.
///
/// # Errors
/// None within `patience`, or what `probe` says.
pub fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("gave up after {patience:?} waiting for {what}");
        }
        std::thread::sleep(POLL);
    }
}

impl Server {
    /// Starts `program` with so many shards.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(program: &Path, shards: u16, settings: Settings) -> Result<Server> {
        let directory = tempfile::tempdir().context("a temporary directory")?;
        let (config, ports) = (directory.path().join("config.toml"), directory.path().join("ports"));
        write(&config, settings)?;
        let child = Command::new(program)
            .args([
                "-l",
                "127.0.0.1",
                "-p",
                "-1",
                "--admin",
                "127.0.0.1:0",
                "-I",
                "2m",
                "-t",
                &shards.to_string(),
            ])
            .arg("--config")
            .arg(&config)
            .env("MEMCACHED_PORT_FILENAME", &ports)
            .stdin(Stdio::null())
            .stderr(File::create(directory.path().join("stderr"))?)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Server { child, directory, address: nowhere, admin: nowhere };
        let text = wait_for("the port file", PATIENCE, || {
            server.check_alive()?;
            // It is renamed into place, so what is there is whole.
            Ok(fs::read_to_string(&ports).ok())
        })?;
        (server.address, server.admin) = (port_of(&text, "TCP INET: ")?, port_of(&text, "ADMIN INET: ")?);
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// # Errors
    /// It has ended.
    fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server has ended: {status}"),
        }
    }

    /// How it ends within so long, if it does.
    pub fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        wait_for("its end", patience, || Ok(self.child.try_wait()?)).ok()
    }

    /// Has it read its configuration again, and waits until that is in force.
    ///
    /// # Errors
    /// It does not take it.
    pub fn reload(&mut self, settings: Settings) -> Result<()> {
        write(&self.directory.path().join("config.toml"), settings)?;
        self.signal(Signal::SIGHUP)?;
        let bytes = settings.memory_limit << 20;
        wait_for(&format!("{settings:?} to be in force after SIGHUP"), PATIENCE, || {
            let now = self.stats("settings")?;
            let is = |name, value| now.get(name).is_ok_and(|found| found == value);
            let taken = is("maxconns", settings.conn_limit)
                && is("reqs_per_event", settings.max_reqs_per_event)
                && is("idle_timeout", settings.idle_timeout);
            Ok((taken && self.limit_bytes()?.abs_diff(bytes) < LIMIT_ROUNDING_BYTES).then_some(()))
        })
    }

    /// The limit of memory in force.
    ///
    /// # Errors
    /// No answer.
    pub fn limit_bytes(&self) -> Result<u64> {
        self.stats("")?.get("limit_maxbytes")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).with_context(|| format!("sending {signal}"))
    }

    /// The answer to one of the classic commands, its lines up to `OK` or `END`.
    ///
    /// # Errors
    /// No answer.
    pub fn ask(&self, command: &str) -> Result<Vec<String>> {
        let mut stream = TcpStream::connect(self.address).context("connecting")?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let line = line(&mut reader).with_context(|| command.to_string())?;
            match line.as_str() {
                "OK" | "END" => return Ok(lines),
                _ if line.starts_with("STAT ") => lines.push(line),
                _ => bail!("{command} is answered {line:?}"),
            }
        }
    }

    /// `stats` and what is behind it.
    ///
    /// # Errors
    /// No answer.
    pub fn stats(&self, of: &str) -> Result<Figures> {
        let lines = self.ask(format!("stats {of}").trim_end())?;
        Ok(Figures(lines.iter().filter_map(|line| figure(line.strip_prefix("STAT ")?)).collect()))
    }

    /// `/metrics`; nothing if the server gives up.
    ///
    /// # Errors
    /// Nobody accepts.
    pub fn metrics(&self) -> Result<Figures> {
        let mut stream = TcpStream::connect(self.admin).context("connecting to the admin endpoint")?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        // Who is too slow, on either side, is cut off.
        let _ = stream.read_to_string(&mut text);
        Ok(Figures(text.lines().filter_map(figure).collect()))
    }

    /// A line of /proc/PID/status, in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub fn status_bytes(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("no {name}: has the server ended?"))? << 10)
    }

    /// What its open descriptors are, sorted; sockets and pipes without their numbers.
    ///
    /// # Errors
    /// The process has ended.
    pub fn descriptors(&self) -> Result<Vec<String>> {
        let links = fs::read_dir(format!("/proc/{}/fd", self.pid())).context("its descriptors")?;
        // One may be closed between two looks.
        let targets = links.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        let kind = |path: PathBuf| {
            let path = path.to_string_lossy().into_owned();
            path.split_once(":[").map_or(path.clone(), |(kind, _)| kind.into())
        };
        let mut found: Vec<String> = targets.map(kind).collect();
        found.sort();
        Ok(found)
    }

    /// SIGTERM; its end.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.end_within(PATIENCE).with_context(|| format!("the server runs {PATIENCE:?} after SIGTERM"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A limit is rounded to pages of each shard.
const LIMIT_ROUNDING_BYTES: u64 = 1 << 20;

fn write(config: &Path, settings: Settings) -> Result<()> {
    let Settings { memory_limit, conn_limit, max_reqs_per_event, idle_timeout } = settings;
    let text = format!(
        "memory_limit = {memory_limit}\nconn_limit = {conn_limit}\nmax_reqs_per_event = {max_reqs_per_event}\n\
         [extended]\nidle_timeout = {idle_timeout}\n"
    );
    fs::write(config, text).with_context(|| format!("{}", config.display()))
}

fn port_of(text: &str, kind: &str) -> Result<SocketAddr> {
    let port = text.lines().find_map(|line| line.strip_prefix(kind)?.trim().parse::<u16>().ok());
    Ok((Ipv4Addr::LOCALHOST, port.with_context(|| format!("no {kind:?} in the port file"))?).into())
}

/// Named numbers. Of `stats shards` and `/metrics` a name stands once for each shard.
#[derive(Debug)]
pub struct Figures(Vec<(String, u64)>);

/// `NAME VALUE`; nothing for what is no whole number.
fn figure(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.rsplit_once(' ')?;
    Some((name.into(), value.parse().ok()?))
}

impl Figures {
    /// One of them.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<u64> {
        let found = self.0.iter().find(|(of, _)| of == name);
        Ok(found.with_context(|| format!("the server does not tell {name}"))?.1)
    }

    /// The sum over all shards, by what the names have in them.
    ///
    /// # Errors
    /// There is none.
    pub fn sum(&self, beginning: &str, part: &str) -> Result<u64> {
        let of = |name: &str| name.starts_with(beginning) && name.contains(part);
        let found: Vec<u64> = self.0.iter().filter(|(name, _)| of(name)).map(|(_, value)| *value).collect();
        if found.is_empty() {
            bail!("the server does not tell {beginning} {part}");
        }
        Ok(found.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_name_and_added_up_over_shards() {
        let lines = [
            "x{shard=\"0\",use=\"items\"} 5",
            "x{shard=\"1\",use=\"items\"} 6",
            "x{shard=\"0\",use=\"free\"} 9",
            "# y z",
        ];
        let figures = Figures(lines.iter().filter_map(|line| figure(line)).collect());
        assert_eq!(figures.sum("x{", "items").expect("a sum"), 11);
        assert_eq!(figures.get(lines[2].rsplit_once(' ').expect("a name").0).expect("one"), 9);
        assert!(figures.sum("x{", "table").is_err() && figures.get("y").is_err());
    }
}
