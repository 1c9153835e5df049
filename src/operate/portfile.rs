//! The file named by MEMCACHED_PORT_FILENAME: which ports were bound, for whoever asked for `-p -1`. memcached's format:
//! a line such as `TCP INET: <port>` or `UDP INET6: <port>` for each address, those of TCP first.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

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

/// Writes the file if the environment asks for one. `tcp` and `udp` are the addresses bound, each once however many shards
/// share it; call it when all of them accept.
pub fn write_if_asked(tcp: &[SocketAddr], udp: &[SocketAddr]) -> Result<(), PortFileError> {
    match std::env::var_os(VARIABLE) {
        Some(path) => write(Path::new(&path), tcp, udp),
        None => Ok(()),
    }
}

/// Written as `<path>.lck`, then renamed: who sees the file sees all of it.
fn write(path: &Path, tcp: &[SocketAddr], udp: &[SocketAddr]) -> Result<(), PortFileError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".lck");
    fs::write(&unfinished, lines("TCP", tcp) + &lines("UDP", udp))
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| PortFileError { path: path.to_path_buf(), error })
}

/// The lines of one transport.
fn lines(transport: &str, bound: &[SocketAddr]) -> String {
    let mut text = String::new();
    for address in bound {
        let family = if address.is_ipv4() { "INET" } else { "INET6" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{transport} {family}: {}", address.port());
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
        let tcp = ["0.0.0.0:40001", "[::]:40002"].map(|address| address.parse().unwrap());
        let udp = ["127.0.0.1:40003", "[::1]:40004"].map(|address| address.parse().unwrap());
        let of_tcp = "TCP INET: 40001\nTCP INET6: 40002\n";
        write(&path, &tcp, &[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), of_tcp);
        write(&path, &tcp, &udp).unwrap();
        let of_udp = "UDP INET: 40003\nUDP INET6: 40004\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{of_tcp}{of_udp}"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left besides");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/ports");
        let sentence = write(&path, &[], &[]).unwrap_err().to_string();
        let start = format!("MEMCACHED_PORT_FILENAME `{}`: cannot be written", path.display());
        assert!(sentence.starts_with(&start), "{sentence}");
    }
}
