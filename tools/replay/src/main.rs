//! Replays a workload against caches that speak the memcached protocol: a cache-aside caller that gets, and after a
//! miss sets. How many gets missed and how much memory the server took is the result.
//!
//! A workload ([`trace`], [`synthetic`]) is a stream of [`request`]s. [`replay`] sends them in windows to each
//! [`target`], over its [`connection`]s, and checks every value against [`content`]. A [`server`] may be started for it.
//! [`report`] and [`plot`] say what came out.

mod args;
mod connection;
mod content;
#[cfg(test)]
mod fake_server;
mod plot;
mod replay;
mod report;
mod request;
mod series;
mod server;
mod synthetic;
mod target;
mod trace;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use args::{Args, Workload};
use request::Request;
use server::Server;
use target::Target;

/// Requests of a workload, one after the other.
type Requests = Box<dyn Iterator<Item = Result<Request>>>;

fn main() -> Result<()> {
    let args = Args::parse();
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("handling of signals")?;
    let sizes: Vec<Option<u64>> =
        if args.memory.is_empty() { vec![None] } else { args.memory.iter().copied().map(Some).collect() };
    let mut runs = Vec::new();
    for memory_mib in sizes {
        let mut targets = targets(&args, memory_mib)?;
        let bar = progress_bar(&args.workload)?;
        let requests = requests(&args.workload, &bar)?.map(unless_stopped);
        replay::run(requests, args.window as usize, &mut targets)?;
        bar.finish_and_clear();
        for target in &mut targets {
            runs.push(report::of(target)?);
        }
    }
    print!("{}", report::table(&runs));
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&runs)?)?;
    }
    if let Some(folder) = &args.plots {
        write(&folder.join("course.svg"), &plot::course(&runs)?)?;
        if let Some(picture) = plot::against_memory(&runs)? {
            write(&folder.join("memory.svg"), &picture)?;
        }
    }
    Ok(())
}

/// Whether a signal asked the replay to end. It ends as after an error, so the servers it started end with it.
static STOP: AtomicBool = AtomicBool::new(false);

fn unless_stopped(request: Result<Request>) -> Result<Request> {
    if STOP.load(Ordering::Relaxed) {
        bail!("stopped by a signal");
    }
    request
}

/// The servers of one run: those that are there, or those to be started with `memory_mib`.
fn targets(args: &Args, memory_mib: Option<u64>) -> Result<Vec<Target>> {
    let connections = args.connections as usize;
    let mut targets = Vec::new();
    for name in args.server.iter().chain(&args.compare) {
        targets.push(Target::open(name.clone(), resolve(name)?, connections)?);
    }
    for template in &args.start {
        if template.takes_memory() != memory_mib.is_some() {
            bail!("--start '{}': {{memory}} in a command and --memory belong together", template.name());
        }
        let server = Server::start(template, memory_mib)?;
        let mut target = Target::open(template.name(), server.address, connections)?;
        (target.memory_mib, target.server) = (memory_mib, Some(server));
        targets.push(target);
    }
    if targets.is_empty() {
        bail!("no server: give --server HOST:PORT or --start COMMAND");
    }
    Ok(targets)
}

fn resolve(name: &str) -> Result<SocketAddr> {
    let mut addresses = name.to_socket_addrs().with_context(|| format!("{name}: not HOST:PORT"))?;
    addresses.next().with_context(|| format!("{name} has no address"))
}

/// What `workload` asks for; `bar` moves as it is consumed.
fn requests(workload: &Workload, bar: &ProgressBar) -> Result<Requests> {
    Ok(match workload.clone() {
        Workload::Trace { file, scan_objects: None } => Box::new(trace::open(&file, "trace", bar)?),
        Workload::Trace { file, scan_objects: Some(objects) } => {
            let scan = synthetic::once(objects, synthetic::SCAN_OBJECT_BYTES).map(Ok);
            Box::new(trace::open(&file, FIRST, bar)?.chain(scan).chain(trace::open(&file, SECOND, bar)?))
        }
        Workload::Loop { shape } => boxed(synthetic::cyclic(shape), bar),
        Workload::Zipf { shape, draw } => boxed(synthetic::zipf(shape, &draw, "zipf")?, bar),
        Workload::Shift { shape, draw, phases } => boxed(synthetic::shift(shape, &draw, phases)?, bar),
        Workload::Scan { shape, draw, scan_objects } => {
            let scan = synthetic::once(scan_objects, shape.object_bytes);
            let first = synthetic::zipf(shape.clone(), &draw, FIRST)?;
            boxed(first.chain(scan).chain(synthetic::zipf(shape, &draw, SECOND)?), bar)
        }
    })
}

/// The two passes around a scan.
const FIRST: &str = "first pass";
const SECOND: &str = "second pass";

fn boxed(requests: impl Iterator<Item = Request> + 'static, bar: &ProgressBar) -> Requests {
    Box::new(bar.wrap_iter(requests).map(Ok))
}

/// A bar as long as the workload: bytes of a trace, requests of a synthetic one.
fn progress_bar(workload: &Workload) -> Result<ProgressBar> {
    let length = match workload {
        Workload::Trace { file, scan_objects } => {
            let bytes = std::fs::metadata(file).with_context(|| format!("trace {}", file.display()))?.len();
            if scan_objects.is_some() { 2 * bytes } else { bytes }
        }
        Workload::Loop { shape } | Workload::Zipf { shape, .. } | Workload::Shift { shape, .. } => {
            shape.requests
        }
        Workload::Scan { shape, scan_objects, .. } => 2 * shape.requests + scan_objects,
    };
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {elapsed} of about {duration}")?;
    Ok(ProgressBar::new(length).with_style(style))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("{}", path.display()))
}
