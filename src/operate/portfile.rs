//! The file named by MEMCACHED_PORT_FILENAME: which ports were bound, for whoever asked for `-p -1`. memcached's format:
//! a line `TCP INET: <port>` or `TCP INET6: <port>` for each listening address.

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

/// Writes the file if the environment asks for one. `bound` are the addresses listened on, each once however many shards
/// share it; call it when all of them accept.
pub fn write_if_asked(bound: &[SocketAddr]) -> Result<(), PortFileError> {
    match std::env::var_os(VARIABLE) {
        Some(path) => write(Path::new(&path), bound),
        None => Ok(()),
    }
}

/// Written as `<path>.lck`, then renamed: who sees the file sees all of it.
fn write(path: &Path, bound: &[SocketAddr]) -> Result<(), PortFileError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".lck");
    fs::write(&unfinished, lines(bound))
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| PortFileError { path: path.to_path_buf(), error })
}

/// The file's content.
fn lines(bound: &[SocketAddr]) -> String {
    let mut text = String::new();
    for address in bound {
        let family = if address.is_ipv4() { "INET" } else { "INET6" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "TCP {family}: {}", address.port());
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
        write(&path, &["0.0.0.0:40001".parse().unwrap(), "[::]:40002".parse().unwrap()]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "TCP INET: 40001\nTCP INET6: 40002\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left besides");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/ports");
        let sentence = write(&path, &[]).unwrap_err().to_string();
        let start = format!("MEMCACHED_PORT_FILENAME `{}`: cannot be written", path.display());
        assert!(sentence.starts_with(&start), "{sentence}");
    }
}
