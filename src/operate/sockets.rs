//! Opens what the options say is listened on, before any shard runs: an address that cannot be had ends the start.

use super::addresses;
use crate::net::Listener;
use crate::net::listener::{listen_tcp, listen_unix};
use crate::options::{Listen, ListenAddress, Options};
use std::error::Error;
use std::net::SocketAddr;

/// Addresses a shard can listen on: a bit for each in its list of armed accepts.
const LISTENERS_MAX: usize = 64;

/// All listening sockets.
pub struct Sockets {
    /// Those of each shard.
    pub listeners: Vec<Vec<Listener>>,
    /// The TCP addresses that are listened on, each once.
    pub tcp: Vec<SocketAddr>,
}

impl Sockets {
    /// Opens them: TCP on every shard, a UNIX socket on shard 0.
    ///
    /// # Errors
    /// The first address that cannot be resolved or listened on.
    pub fn open(options: &Options, shards: usize) -> Result<Sockets, Box<dyn Error>> {
        let mut sockets = Sockets { listeners: (0..shards).map(|_| Vec::new()).collect(), tcp: Vec::new() };
        let backlog = options.backlog.min(i32::MAX as u32) as i32;
        match &options.listen {
            Listen::Unix { path, mode } => {
                sockets.listeners[0].push(listen_unix(path, *mode, backlog, options.protocol)?);
            }
            Listen::Tcp(addresses) => {
                for address in addresses {
                    sockets.open_tcp(address, backlog)?;
                }
            }
        }
        match sockets.listeners.first().map_or(0, Vec::len) {
            n if n > LISTENERS_MAX => {
                Err(format!("-l names {n} addresses: at most {LISTENERS_MAX} are listened on").into())
            }
            _ => Ok(sockets),
        }
    }

    /// A name may stand for several addresses, of which the host may lack some; one is enough.
    fn open_tcp(&mut self, address: &ListenAddress, backlog: i32) -> Result<(), Box<dyn Error>> {
        let shards = self.listeners.len();
        let mut port = address.port;
        let mut missing = None;
        let mut found = false;
        for wanted in addresses::resolve(address)? {
            match listen_tcp(wanted.ip(), port, shards, backlog, address.protocol) {
                Ok((bound, listeners)) => {
                    port = bound; // a free port is the same for both families
                    found = true;
                    self.tcp.push(SocketAddr::new(wanted.ip(), bound));
                    self.listeners
                        .iter_mut()
                        .zip(listeners)
                        .for_each(|(shard, listener)| shard.push(listener));
                }
                Err(error) if error.is_family_missing() => missing = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match missing {
            Some(error) if !found => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The names of what is listened on, for a person.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.listeners.first().into_iter().flatten().map(|l| l.name.as_str()).collect();
        if names.is_empty() { "nothing".into() } else { names.join(", ") }
    }
}
