//! The list of servers that ElastiCache's clients ask for: `config get cluster`, and `get AmazonElastiCache:cluster` of older
//! ones. One entry for each shard port makes any such client see each core as a server, with no change to it; without
//! shard ports there is one entry.
//!
//! The payload is `<version>\n<host>|<ip>|<port> <host>|<ip>|<port> ...\n`, as AWS documents it in "Adding Auto Discovery to
//! your client library". Clients take a new list only with a higher version. A list lasts as long as the process, so the
//! second of its start will do.

use crate::protocol::GetCommand;
use std::fmt::Write as _;
use std::net::IpAddr;

/// The key under which older clients look for the list.
const KEY: &str = "AmazonElastiCache:cluster";

/// See the module comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Of the list: when the server started, in seconds since 1970.
    pub version: u64,
    /// Host and address of `--advertise`; otherwise a client is told the address it has come to, which it can reach.
    pub advertised: Option<(String, String)>,
    /// One for each node, in order of shards.
    pub ports: Vec<u16>,
    /// Also under the key; only where options of this server ask for discovery, since for memcached it is a key as any other.
    pub with_key: bool,
}

impl Nodes {
    /// This `get` asks for the list and nothing else.
    #[inline]
    pub fn are_meant(&self, get: &GetCommand<'_>) -> bool {
        self.with_key && !get.with_cas && get.touch.is_none() && get.keys.clone().eq([KEY.as_bytes()])
    }

    /// A `get` of this key alone asks for the list.
    pub fn are_under(&self, key: &[u8]) -> bool {
        self.with_key && key == KEY.as_bytes()
    }

    /// The answer to `config get cluster`, on a connection to `own_ip`.
    pub fn config(&self, own_ip: IpAddr) -> Box<[u8]> {
        self.answer("CONFIG cluster", own_ip)
    }

    /// The answer to a `get` of the key.
    pub fn value(&self, own_ip: IpAddr) -> Box<[u8]> {
        self.answer(&format!("VALUE {KEY}"), own_ip)
    }

    fn answer(&self, head: &str, own_ip: IpAddr) -> Box<[u8]> {
        let own = own_ip.to_string();
        let (host, ip) = self.advertised.as_ref().map_or((&own, &own), |(host, ip)| (host, ip));
        let mut payload = format!("{}\n", self.version);
        for (i, port) in self.ports.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(payload, "{}{host}|{ip}|{port}", if i == 0 { "" } else { " " });
        }
        payload.push('\n');
        format!("{head} 0 {}\r\n{payload}\r\nEND\r\n", payload.len()).into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, Limits, parse};

    fn two() -> Nodes {
        Nodes { version: 12, advertised: None, ports: vec![12_000, 12_001], with_key: true }
    }

    fn text(bytes: Box<[u8]>) -> String {
        String::from_utf8(bytes.into()).expect("text")
    }

    #[test]
    fn without_a_name_it_is_where_the_client_came() {
        let nodes = two();
        let payload = "12\n10.0.0.7|10.0.0.7|12000 10.0.0.7|10.0.0.7|12001\n";
        let ip = "10.0.0.7".parse().expect("an address");
        assert_eq!(text(nodes.config(ip)), format!("CONFIG cluster 0 51\r\n{payload}\r\nEND\r\n"));
        assert_eq!(payload.len(), 51);
        let key = "AmazonElastiCache:cluster";
        assert_eq!(text(nodes.value(ip)), format!("VALUE {key} 0 51\r\n{payload}\r\nEND\r\n"));
        let ip = "::1".parse().expect("an address");
        assert!(text(nodes.config(ip)).contains("\n12\n::1|::1|12000 ::1|::1|12001\n"));
    }

    #[test]
    fn with_a_name_it_is_the_same_for_all() {
        let nodes = Nodes { advertised: Some(("cache.example".into(), "192.0.2.1".into())), ..two() };
        let expected = "\n12\ncache.example|192.0.2.1|12000 cache.example|192.0.2.1|12001\n";
        assert!(text(nodes.config("127.0.0.1".parse().expect("an address"))).contains(expected));
    }

    #[test]
    fn the_key_alone_in_a_plain_get() {
        let meant = |nodes: &Nodes, line: &str| match parse(line.as_bytes(), &Limits::DEFAULT) {
            Command::Get(get) => nodes.are_meant(&get),
            other => panic!("{line}: {other:?}"),
        };
        assert!(meant(&two(), "get AmazonElastiCache:cluster"));
        assert!(!meant(&Nodes { with_key: false, ..two() }, "get AmazonElastiCache:cluster"));
        for line in [
            "get AmazonElastiCache:cluster2",
            "get AmazonElastiCache:cluster a",
            "gets AmazonElastiCache:cluster",
            "gat 0 AmazonElastiCache:cluster",
        ] {
            assert!(!meant(&two(), line), "{line}");
        }
    }
}
