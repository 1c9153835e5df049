//! Where the server is: `host`, `host:port`, `[IPv6]:port`, or the path of a UNIX socket, which has a slash in it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// memcached's.
const PORT_DEFAULT: u16 = 11211;

/// See the module comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an address, without brackets, and a port.
    Tcp(String, u16),
    /// A UNIX socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if text.contains('/') {
            return Ok(Address::Unix(PathBuf::from(text)));
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
            // More than one colon and no bracket: an IPv6 address alone.
            None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Ok(PORT_DEFAULT), str::parse).ok().filter(|port| *port != 0);
        match port {
            Some(port) if !host.is_empty() => Ok(Address::Tcp(host.to_string(), port)),
            _ => Err("must be host, host:port, [IPv6]:port or the path of a UNIX socket".to_string()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for (text, written) in [
            ("localhost", "localhost:11211"),
            ("10.0.0.1:5", "10.0.0.1:5"),
            ("::1", "[::1]:11211"),
            ("[::1]", "[::1]:11211"),
            ("[fe80::1%eth0]:5", "[fe80::1%eth0]:5"),
            ("./socket:5", "./socket:5"),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(written.to_string()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":5", "a:", "a:x", "a:0", "a:65536", "[]:5", "[::1]5x"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
