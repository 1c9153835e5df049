//! The grammar of `-l`: a list of addresses separated by `,` or `;`, each
//! `[notls:|proto[..]:|tag[..]:|tag_.._:]...host[:port]` with `*` for every address and IPv6 in brackets. Names stay names here;
//! looking them up is for whoever binds.

use std::net::Ipv6Addr;

use super::authentication::Protocol;
use super::error::OptionError;
use super::spec::{Category, OptionSpec, Takes};
use super::table::{ADMIN, LISTEN};

/// `--congestion`
pub const CONGESTION: OptionSpec = OptionSpec {
    short: None,
    long: "congestion",
    takes: Takes::Text {
        name: "algorithm",
        allowed: "a name from net.ipv4.tcp_available_congestion_control, of 1 to 15 bytes",
    },
    category: Category::Network,
    default: "",
    summary: "TCP congestion control of clients' connections, unless the system's",
    details: "Where clients are near, `cubic` or `reno` costs less CPU time than `bbr`, which paces what it sends by timers. \
              Without this option the system's choice (net.ipv4.tcp_congestion_control) holds.",
};

/// Longest name the kernel takes for an algorithm, in bytes (TCP_CA_NAME_MAX less the zero).
const CONGESTION_LEN_MAX: usize = 15;

/// `--congestion` as typed.
pub(super) fn congestion(typed: Option<&str>) -> Result<Option<String>, OptionError> {
    match typed {
        Some(name) if name.is_empty() || name.len() > CONGESTION_LEN_MAX => Err(CONGESTION.refuse(name)),
        name => Ok(name.map(str::to_string)),
    }
}

/// Where one listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// On which interface.
    pub host: Host,
    /// The port, 0 = one the kernel chooses.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
}

/// The address part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Every IPv4 and, where the machine has it, every IPv6 address.
    Any,
    /// A host name, an IPv4 address or an IPv6 address without its brackets.
    Name(String),
}

/// Most addresses of one command line: each is a listening socket on every shard.
pub const ADDRESSES_MAX: usize = 64;

/// Longest tag memcached accepts, in bytes.
const TAG_MAX: usize = 8;

/// What an address does not say itself.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// `-p`, or `-U` for datagrams; 0 = one the kernel chooses.
    pub port: u16,
    /// `-B`.
    pub protocol: Protocol,
}

/// Adds the addresses of one `-l` to `addresses`.
pub fn parse(
    text: &str,
    defaults: Defaults,
    addresses: &mut Vec<ListenAddress>,
    warnings: &mut Vec<String>,
) -> Result<(), OptionError> {
    for item in text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty()) {
        let (protocol, rest) = strip_prefixes(item, warnings)?;
        let (host, port) = parse_host_and_port(rest).ok_or_else(|| LISTEN.refuse(item))?;
        if addresses.len() == ADDRESSES_MAX {
            return Err(OptionError::Conflict(format!("-l `{item}`: more than {ADDRESSES_MAX} addresses")));
        }
        addresses.push(ListenAddress {
            host,
            port: port.unwrap_or(defaults.port),
            protocol: protocol.unwrap_or(defaults.protocol),
        });
    }
    Ok(())
}

/// `--admin` as typed: one address, with its port.
pub(super) fn admin(typed: &str) -> Result<ListenAddress, OptionError> {
    match parse_host_and_port(typed) {
        Some((host, Some(port))) => Ok(ListenAddress { host, port, protocol: Protocol::Auto }),
        _ => Err(ADMIN.refuse(typed)),
    }
}

/// Takes memcached's prefixes off `item`, refusing those that ask for what is not there. Of several protocols the last
/// counts.
fn strip_prefixes<'a>(
    item: &'a str,
    warnings: &mut Vec<String>,
) -> Result<(Option<Protocol>, &'a str), OptionError> {
    let mut rest = item;
    let mut protocol = None;
    loop {
        // A prefix is a known word before a colon; everything else is the host.
        let Some((word, after)) = rest.split_once(':') else { return Ok((protocol, rest)) };
        match word {
            "notls" => {}
            "proto[ascii]" => protocol = Some(Protocol::Ascii),
            "proto[binary]" => protocol = Some(Protocol::Binary),
            "proto[negotiating]" => protocol = Some(Protocol::Auto),
            "btls" | "mtls" => {
                let remedy =
                    "the prefix is reserved; end TLS in front of it (stunnel, haproxy) or use `notls:`";
                return Err(OptionError::Unsupported { option: format!("-l {word}:"), remedy });
            }
            "proto[proxy]" => {
                let remedy =
                    "the prefix is reserved; run a proxy in front of it and use `proto[negotiating]:`";
                return Err(OptionError::Unsupported { option: format!("-l {word}:"), remedy });
            }
            _ if is_tag(word) => {
                warnings.push(format!("-l {item}: the tag has no effect, connections are not tagged"))
            }
            _ => return Ok((protocol, rest)),
        }
        rest = after;
    }
}

/// `tag[name]` or `tag_name_` with a name of 1 to 8 bytes.
fn is_tag(word: &str) -> bool {
    let bracketed = word.strip_prefix("tag[").and_then(|tail| tail.strip_suffix(']'));
    let underscored = word.strip_prefix("tag_").and_then(|tail| tail.strip_suffix('_'));
    bracketed.or(underscored).is_some_and(|name| (1..=TAG_MAX).contains(&name.len()))
}

/// `host[:port]`. Beyond memcached, an IPv6 address without brackets and without a port is understood.
fn parse_host_and_port(text: &str) -> Option<(Host, Option<u16>)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((Host::Name(text.to_string()), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(tail) => {
            let (host, after) = tail.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            if host.is_empty() || host.contains([' ', '[', ']', '/']) {
                return None;
            }
            (host, port)
        }
    };
    let host = if host == "*" { Host::Any } else { Host::Name(host.to_string()) };
    match port {
        None => Some((host, None)),
        Some(port) => Some((host, Some(parse_port(port)?))),
    }
}

/// A port, where -1 asks for a free one just as 0 does.
fn parse_port(text: &str) -> Option<u16> {
    if text == "-1" { Some(0) } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<(Vec<ListenAddress>, Vec<String>), OptionError> {
        let mut addresses = Vec::new();
        let mut warnings = Vec::new();
        let defaults = Defaults { port: 11211, protocol: Protocol::Auto };
        parse(text, defaults, &mut addresses, &mut warnings)?;
        Ok((addresses, warnings))
    }

    fn at(host: &str, port: u16) -> ListenAddress {
        let host = if host == "*" { Host::Any } else { Host::Name(host.to_string()) };
        ListenAddress { host, port, protocol: Protocol::Auto }
    }

    #[test]
    fn lists_hosts_and_ports() {
        let (addresses, warnings) =
            list("127.0.0.1,localhost:11212;*:11213, [::1]:11214,[::1],::1,*").unwrap();
        let expected = [
            at("127.0.0.1", 11211),
            at("localhost", 11212),
            at("*", 11213),
            at("::1", 11214),
            at("::1", 11211),
            at("::1", 11211),
            at("*", 11211),
        ];
        assert_eq!(addresses, expected);
        assert!(warnings.is_empty());
        assert_eq!(list("h:-1").unwrap().0, [at("h", 0)]);
        assert_eq!(list("h:0,").unwrap().0, [at("h", 0)]);
    }

    #[test]
    fn prefixes_are_understood() {
        for (prefix, protocol) in [
            ("notls", Protocol::Auto),
            ("proto[negotiating]", Protocol::Auto),
            ("notls:proto[ascii]", Protocol::Ascii),
            ("proto[binary]:notls", Protocol::Binary),
        ] {
            let expected = ListenAddress { protocol, ..at("h", 1) };
            assert_eq!(list(&format!("{prefix}:h:1")).unwrap(), (vec![expected], vec![]), "{prefix}");
        }
        for text in ["tag[main]:h:1", "tag_main_:h:1"] {
            let (addresses, warnings) = list(text).unwrap();
            assert_eq!(addresses, [at("h", 1)]);
            assert!(warnings.len() == 1 && warnings[0].contains("tag"), "{warnings:?}");
        }
        for text in ["mtls:h:1", "btls:h", "notls:proto[proxy]:h"] {
            let error = list(text).unwrap_err();
            assert!(error.to_string().contains("the prefix is reserved"), "{error}");
            assert_eq!(error.exit_status(), 64, "{text}");
        }
        // A tag may not be empty nor longer than eight.
        assert!(list("tag[]:h:1").is_err());
        assert!(list("tag[ninebytes]:h:1").is_err());
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_item() {
        for item in
            ["h:65536", "h:x", "[::1", "[::1]11211", "[nope]:1", ":11211", "a b", "h:1:2", "h:-2", "h:"]
        {
            let error = list(item).unwrap_err();
            let start = format!("-l, --listen `{item}`: must be a list of addresses");
            assert!(error.to_string().starts_with(&start), "{error}");
            assert_eq!(error.exit_status(), 1);
        }
    }

    #[test]
    fn the_admin_address_has_a_port() {
        for (typed, expected) in [
            ("127.0.0.1:9150", at("127.0.0.1", 9150)),
            ("[::]:9150", at("::", 9150)),
            ("*:-1", at("*", 0)),
            ("localhost:0", at("localhost", 0)),
        ] {
            assert_eq!(admin(typed).unwrap(), expected);
        }
        for typed in ["", "9150", ":9150", "127.0.0.1", "::1", "a:1,b:2", "notls:a:1", "h:65536"] {
            let error = admin(typed).expect_err(typed).to_string();
            let start = format!("--admin `{typed}`: must be an address with its port");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        assert_eq!(list(&"h,".repeat(ADDRESSES_MAX)).unwrap().0.len(), ADDRESSES_MAX);
        assert!(list(&"h,".repeat(ADDRESSES_MAX + 1)).is_err());
    }
}
