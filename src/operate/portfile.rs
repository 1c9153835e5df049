//! The file named by MEMCACHED_PORT_FILENAME: which ports were bound, for whoever asked for `-p -1`. memcached's format:
//! a line such as `TCP INET: <port>` or `UDP INET6: <port>` for each address, those of TCP first. Behind them, ours:
//! `SHARD <number> INET: <port>` for each shard port, `ADMIN INET: <port>` for HTTP.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::sockets::Bound;

/// The environment variable, memcached's.
pub const VARIABLE: &str = "MEMCACHED_PORT_FILENAME";

/// Why the ports are not told.
#[derive(Debug, thiserror::Error)]
#[error(
    "{VARIABLE} `{path}`: cannot be written: {error}; name a file in a directory this process may write to"
)]
pub struct PortFileError {
    path: PathBuf,
    error: io::Error,
}

/// Writes the file if the environment asks for one; call it when all sockets accept.
pub fn write_if_asked(bound: &Bound, shards: usize) -> Result<(), PortFileError> {
    match std::env::var_os(VARIABLE) {
        Some(path) => write(Path::new(&path), bound, shards),
        None => Ok(()),
    }
}

/// Written as `<path>.lck`, then renamed: who sees the file sees all of it.
fn write(path: &Path, bound: &Bound, shards: usize) -> Result<(), PortFileError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".lck");
    let mut text = lines("TCP", &bound.tcp) + &lines("UDP", &bound.udp);
    for shard in 0..shards as u16 {
        let own: Vec<SocketAddr> = bound.of_shard(shard).collect();
        text.push_str(&lines(&format!("SHARD {shard}"), &own));
    }
    text.push_str(&lines("ADMIN", &bound.admin));
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| PortFileError { path: path.to_path_buf(), error })
}

/// The lines of one kind.
fn lines(kind: &str, bound: &[SocketAddr]) -> String {
    let mut text = String::new();
    for address in bound {
        let family = if address.is_ipv4() { "INET" } else { "INET6" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{kind} {family}: {}", address.port());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_each_family_and_port() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports");
        let all = |addresses: [&str; 2]| addresses.map(|address| address.parse().unwrap()).to_vec();
        let mut bound = Bound { tcp: all(["0.0.0.0:40001", "[::]:40002"]), ..Bound::default() };
        let of_tcp = "TCP INET: 40001\nTCP INET6: 40002\n";
        write(&path, &bound, 2).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), of_tcp);
        bound.udp = all(["127.0.0.1:40003", "[::1]:40004"]);
        write(&path, &bound, 2).unwrap();
        let of_udp = "UDP INET: 40003\nUDP INET6: 40004\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{of_tcp}{of_udp}"));
        bound.shard_ports = all(["127.0.0.1:40005", "[::1]:40005"]);
        write(&path, &bound, 2).unwrap();
        let of_shards =
            "SHARD 0 INET: 40005\nSHARD 0 INET6: 40005\nSHARD 1 INET: 40006\nSHARD 1 INET6: 40006\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{of_tcp}{of_udp}{of_shards}"));
        bound = Bound { admin: all(["127.0.0.1:40007", "[::1]:40007"]), ..Bound::default() };
        write(&path, &bound, 2).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ADMIN INET: 40007\nADMIN INET6: 40007\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left besides");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/ports");
        let sentence = write(&path, &Bound::default(), 1).unwrap_err().to_string();
        let start = format!("MEMCACHED_PORT_FILENAME `{}`: cannot be written", path.display());
        assert!(sentence.starts_with(&start), "{sentence}");
    }
}
