//! What this machine's kernel allows: a server with ringcached's data ring, its receive buffers and its sends, that does not
//! read what it is sent. Every `--request-bytes` bytes of a connection are answered with the same reply, which is read
//! from a file. Whatever a real server does on top, its part of this rate is what it has kept of the machine.

mod canned;
mod conn;
mod server;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use ringcached::net::listener::listen_tcp;
use ringcached::operate::limits::raise_open_files;
use ringcached::options::Protocol;

/// Connections that may be open at once.
const CONNECTIONS_MAX: u32 = 12_000;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Answers every N bytes of a connection with the same reply: the limit that a server with parser and store is measured by.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(short, long)]
    port: u16,

    /// Length of each request
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    request_bytes: u64,

    /// File with the reply
    #[arg(long, value_name = "FILE")]
    reply: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let path = args.reply.display();
    let reply = std::fs::read(&args.reply).with_context(|| format!("--reply {path}: cannot be read"))?;
    if reply.is_empty() {
        bail!("--reply {path} is empty: a request without a reply cannot be counted");
    }
    raise_open_files(CONNECTIONS_MAX, 1)?;
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (port, mut listeners) = listen_tcp(localhost, args.port, 1, BACKLOG, Protocol::Auto)?;
    let listener = listeners.pop().context("one listener was asked for")?;
    let mut server = server::Server::new(listener, args.request_bytes as usize, reply)
        .context("the data ring cannot be made; ringcached itself names what is missing")?;
    println!("listens on 127.0.0.1:{port}");
    server.serve().context("the data ring has failed")
}
