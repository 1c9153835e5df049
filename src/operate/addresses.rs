//! From names to addresses: those of `-l` and `--admin`, to be bound, and that of `--advertise`, to be told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use crate::options::spec::OptionSpec;
use crate::options::{Host, ListenAddress};

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error(
    "{option} `{host}`: cannot be resolved: {error}; name a host that `getent ahosts {host}` knows, or an address"
)]
pub struct AddressError {
    option: String,
    host: String,
    error: io::Error,
}

/// The addresses to bind for one address of `asked_by`, each once, in the resolver's order. Of several the host may lack some (IPv6 is
/// often switched off), so as in memcached it is enough if one of them can be bound. IPv6 ones are to be bound for IPv6 only.
pub fn resolve(address: &ListenAddress, asked_by: &OptionSpec) -> Result<Vec<SocketAddr>, AddressError> {
    let port = address.port;
    let name = match &address.host {
        Host::Any => {
            return Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]);
        }
        Host::Name(name) => name.as_str(),
    };
    let failed = |error| AddressError { option: asked_by.name(), host: name.to_string(), error };
    let mut found = Vec::new();
    for socket_address in (name, port).to_socket_addrs().map_err(failed)? {
        if !found.contains(&socket_address) {
            found.push(socket_address);
        }
    }
    Ok(found)
}

/// The address of the name that clients are told. A name may be known to them and not here, or not yet, so without one it is
/// not refused.
pub fn of_advertised(host: &str) -> io::Result<IpAddr> {
    let found = (host, 0).to_socket_addrs()?.next();
    found.map(|address| address.ip()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Protocol;
    use crate::options::table::LISTEN;

    fn resolve_name(host: &str) -> Result<Vec<SocketAddr>, AddressError> {
        let host = Host::Name(host.to_string());
        resolve(&ListenAddress { host, port: 11211, protocol: Protocol::Auto }, &LISTEN)
    }

    #[test]
    fn any_is_both_families() {
        let found =
            resolve(&ListenAddress { host: Host::Any, port: 7, protocol: Protocol::Auto }, &LISTEN).unwrap();
        assert_eq!(found, ["0.0.0.0:7".parse().unwrap(), "[::]:7".parse().unwrap()]);
    }

    #[test]
    fn addresses_and_names() {
        assert_eq!(resolve_name("127.0.0.1").unwrap(), ["127.0.0.1:11211".parse().unwrap()]);
        assert_eq!(resolve_name("::1").unwrap(), ["[::1]:11211".parse().unwrap()]);
        assert!(resolve_name("localhost").unwrap().iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn a_name_that_leads_nowhere_is_named() {
        let sentence = resolve_name("nowhere.invalid").unwrap_err().to_string();
        assert!(sentence.starts_with("-l, --listen `nowhere.invalid`: cannot be resolved"), "{sentence}");
    }
}
