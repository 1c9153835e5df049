//! A server process that the replay starts itself, from a command with places for its port and its memory.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How long a server may take until it accepts.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two tries to connect: a foreign process has no way to call us.
const POLL: Duration = Duration::from_millis(5);

const PORT: &str = "{port}";
const MEMORY: &str = "{memory}";

/// A command whose words may hold `{port}` and `{memory}`.
#[derive(Clone, Debug)]
pub struct Template {
    words: Vec<String>,
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Template, String> {
        let words = shell_words::split(text).map_err(|error| error.to_string())?;
        if words.is_empty() {
            return Err("no command".into());
        }
        if !words.iter().any(|word| word.contains(PORT)) {
            return Err(format!("no {PORT} in it: a server must be told where to listen, as in `-p {PORT}`"));
        }
        Ok(Template { words })
    }
}

impl Template {
    /// Whether it has a place for the size of the cache.
    pub fn takes_memory(&self) -> bool {
        self.words.iter().any(|word| word.contains(MEMORY))
    }

    /// The program's name and what its options say beyond port and memory.
    pub fn name(&self) -> String {
        let mut name: Vec<&str> = Vec::new();
        for (i, word) in self.words.iter().enumerate() {
            if word.contains(PORT) || word.contains(MEMORY) {
                // `-p {port}`: the option goes with its value.
                if name.len() > 1 && name.last().is_some_and(|option| option.starts_with('-')) {
                    name.pop();
                }
            } else if i == 0 {
                name.push(word.rsplit('/').next().unwrap_or(word));
            } else {
                name.push(word);
            }
        }
        name.join(" ")
    }

    fn words(&self, port: u16, memory_mib: Option<u64>) -> Vec<String> {
        let memory = memory_mib.map_or(String::new(), |mib| mib.to_string());
        let fill = |word: &String| word.replace(PORT, &port.to_string()).replace(MEMORY, &memory);
        self.words.iter().map(fill).collect()
    }
}

/// A running server; it is killed when this is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the server with `memory_mib` MiB on a port that is free now, and waits until it accepts.
    pub fn start(template: &Template, memory_mib: Option<u64>) -> Result<Server> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = free.local_addr()?;
        drop(free);
        let words = template.words(address.port(), memory_mib);
        let command = shell_words::join(&words);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .spawn()
            .with_context(|| format!("`{command}` does not start"))?;
        let mut server = Server { child, address };
        server.wait_until_it_accepts().with_context(|| format!("`{command}`"))?;
        Ok(server)
    }

    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let deadline = Instant::now() + ACCEPTS_WITHIN;
        while !accepts(self.address) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended before it accepted a connection: {status}");
            }
            if Instant::now() > deadline {
                bail!("does not accept on {} after {ACCEPTS_WITHIN:?}", self.address);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Resident memory of the process in KiB, as the kernel counts it (`VmRSS`, proc_pid_status(5)).
    pub fn resident_kib(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let number = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        number
            .and_then(|kib| kib.parse().ok())
            .ok_or_else(|| anyhow!("{path} has no VmRSS: has the server ended?"))
    }
}

/// Whether somebody else accepts at `address`. A connect that the kernel gave the same port as its own end has only
/// met itself.
fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).and_then(|stream| stream.local_addr()).is_ok_and(|own| own != address)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data is of no further use, so it need not stop in good order; an error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_filled() {
        let template = template("dir/server -p {port} -o 'a b' -m {memory}");
        assert!(template.takes_memory());
        assert_eq!(template.words(77, Some(20)), ["dir/server", "-p", "77", "-o", "a b", "-m", "20"]);
    }

    #[test]
    fn a_name_tells_what_differs() {
        assert_eq!(template("dir/server -p {port} -m {memory} -t 2").name(), "server -t 2");
        assert_eq!(template("server -l 127.0.0.1:{port} -v").name(), "server -v");
        assert_eq!(template("server --port={port}").name(), "server");
    }

    #[test]
    fn templates_that_are_none() {
        for (text, want) in [("", "no command"), ("server -p 1", "{port}"), ("server '{port}", "quote")] {
            let error = text.parse::<Template>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn a_program_that_is_missing_or_ends_is_named() {
        let error = |text| format!("{:#}", Server::start(&template(text), None).err().unwrap());
        assert!(error("./not-there {port}").contains("./not-there"), "{}", error("./not-there {port}"));
        assert!(error("false {port}").contains("ended before it accepted"), "{}", error("false {port}"));
    }
}
