//! A ringcached for the tests of the tools: the one that `RINGCACHED_TEST_SERVER` names, else the newest that is built, else
//! it is built here. It listens on ports the kernel chose and is killed when dropped.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{
    io::{BufRead, BufReader, Write},
    thread,
};

/// How long a server may take to write its port file.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks at the port file.
const POLL: Duration = Duration::from_millis(5);
/// Starts tried, when another process takes a port that was free a moment ago.
const STARTS_MAX: usize = 5;

/// The program.
pub static RINGCACHED: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(path) = std::env::var_os("RINGCACHED_TEST_SERVER") {
        return path.into();
    }
    // The test is target/<profile>/deps/<name>; the server goes to target/<profile>.
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>").to_owned();
    let release = folder.with_file_name("release").join("ringcached");
    let built = [folder.join("ringcached"), release];
    let modified = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if let Some(newest) = built.into_iter().filter(|path| path.exists()).max_by_key(modified) {
        return newest;
    }
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--package", "ringcached", "--bin", "ringcached"]);
    build.arg("--target-dir").arg(folder.parent().expect("target"));
    assert!(build.status().expect("cargo").success(), "the server does not build");
    folder.with_file_name("debug").join("ringcached")
});

/// A running server.
pub struct Server {
    child: Child,
    /// The common port.
    pub port: u16,
    /// What the word FREE in the options stood for: the first of as many free ports as there are shards.
    pub free: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server with `shards` shards on both loopback addresses. In `options` the word FREE stands for a port
    /// that is free, and as many above it as there are further shards.
    pub fn start(shards: u16, options: &[&str]) -> Server {
        Server::start_program(&RINGCACHED, shards, options)
    }

    /// The same with another program that takes memcached's options.
    pub fn start_program(program: &Path, shards: u16, options: &[&str]) -> Server {
        (0..STARTS_MAX)
            .find_map(|_| Server::try_start(program, shards, options))
            .expect("a server that starts")
    }

    fn try_start(program: &Path, shards: u16, options: &[&str]) -> Option<Server> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let port_file = directory.path().join("ports");
        let free = free_ports(shards);
        let words =
            options.iter().map(|word| if *word == "FREE" { free.to_string() } else { word.to_string() });
        let child = Command::new(program)
            .args(["-l", "127.0.0.1,::1", "-p", "-1", "-t", &shards.to_string()])
            .args(words)
            .env("MEMCACHED_PORT_FILENAME", &port_file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut server = Server { child, port: 0, free, _directory: directory };
        let deadline = Instant::now() + LISTENS_WITHIN;
        loop {
            // The finished file is renamed into place, so what is there is whole.
            let ports = std::fs::read_to_string(&port_file).unwrap_or_default();
            if let Some(port) = ports.lines().find_map(|line| line.strip_prefix("TCP INET: ")) {
                server.port = port.parse().expect("a port");
                return Some(server);
            }
            if server.child.try_wait().expect("status").is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "no port file after {LISTENS_WITHIN:?}");
            thread::sleep(POLL);
        }
    }

    /// `key` of `stats shards`, by shard.
    pub fn of_shards(&self, key: &str) -> Vec<u64> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("connection");
        stream.write_all(b"stats shards\r\n").expect("request");
        let lines = BufReader::new(stream).lines().map(|line| line.expect("answer"));
        let is_of_key = |line: &String| line.split([':', ' ']).nth(2) == Some(key);
        let values = lines.take_while(|line| line != "END").filter(is_of_key);
        values.map(|line| line.rsplit(' ').next().expect("value").parse().expect("number")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of `count` ports next to each other that are free on both loopback addresses, for TCP and UDP.
fn free_ports(count: u16) -> u16 {
    let is_free = |port: u16| {
        let hosts =
            [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
        hosts.iter().all(|host| TcpListener::bind(host).is_ok() && UdpSocket::bind(host).is_ok())
    };
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("a port")
            .local_addr()
            .expect("address")
            .port();
        if first < u16::MAX - count && (first..first + count).all(is_free) {
            return first;
        }
    }
}
