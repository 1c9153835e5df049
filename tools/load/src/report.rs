//! What was measured: a text for people, JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::args::Args;
use crate::protocol::Protocol;
use crate::tally::{Latencies, Tally};
use crate::target::Target;

/// Requests that leave later than this at p99 are the generator's fault, and said so.
const LATENESS_TOLERATED_MS: f64 = 0.2;

/// A run.
#[derive(Serialize, Debug)]
#[allow(missing_docs, reason = "the names of options and what `Tally` says")]
pub struct Report {
    pub server: String,
    pub protocol: Protocol,
    pub shards: Option<u16>,
    pub threads: u64,
    pub connections: u64,
    pub pipeline: u64,
    pub keys_per_get: u64,
    /// Open loop only.
    pub rate: Option<u64>,
    pub seconds: f64,
    pub requests: u64,
    pub requests_per_s: f64,
    pub client_cpu_s: f64,
    pub requests_per_client_cpu_s: f64,
    pub hits: u64,
    pub misses: u64,
    pub refused: u64,
    pub lost: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub gets: Latency,
    pub sets: Latency,
    /// Open loop only.
    pub open: Option<Open>,
}

/// Latencies in ms.
#[derive(Serialize, Debug)]
#[allow(missing_docs, reason = "the sentence above")]
pub struct Latency {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p99_9_ms: f64,
    pub p99_99_ms: f64,
    pub max_ms: f64,
}

/// What an open loop has besides.
#[derive(Serialize, Debug)]
pub struct Open {
    /// Latencies from when requests were made, whenever they were due.
    pub admitted: Latency,
    /// Requests that were due while their connection's window was full.
    pub held: u64,
    /// Those of them that still waited at the end; they count among the gets with the time they had waited.
    pub unsent: u64,
    /// How late requests left that nothing held up but the generator.
    pub lateness_p99_ms: f64,
    /// The same, at worst.
    pub lateness_max_ms: f64,
    /// Whether that was too late to be believed.
    pub fell_behind: bool,
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

impl From<&Latencies> for Latency {
    fn from(latencies: &Latencies) -> Latency {
        let at = |quantile| ms(latencies.value_at_quantile(quantile));
        Latency {
            count: latencies.len(),
            mean_ms: latencies.mean() / 1e6,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            p99_99_ms: at(0.9999),
            max_ms: ms(latencies.max()),
        }
    }
}

impl Report {
    /// Of a run that is over.
    pub fn new(args: &Args, target: &Target, tally: &Tally) -> Report {
        let requests = tally.gets.len() + tally.sets.len() - tally.unsent;
        let open = args.rate.map(|_| {
            let lateness_p99_ms = ms(tally.lateness.value_at_quantile(0.99));
            Open {
                admitted: (&tally.admitted).into(),
                held: tally.held,
                unsent: tally.unsent,
                lateness_p99_ms,
                lateness_max_ms: ms(tally.lateness.max()),
                fell_behind: lateness_p99_ms > LATENESS_TOLERATED_MS,
            }
        });
        Report {
            server: args.server.clone(),
            protocol: args.protocol,
            shards: target.shards,
            threads: args.threads,
            connections: args.connections,
            pipeline: args.pipeline,
            keys_per_get: args.keys_per_get,
            rate: args.rate,
            seconds: tally.elapsed_s,
            requests,
            requests_per_s: requests as f64 / tally.elapsed_s,
            client_cpu_s: tally.cpu_s,
            requests_per_client_cpu_s: requests as f64 / tally.cpu_s,
            hits: tally.hits,
            misses: tally.misses,
            refused: tally.refused,
            lost: tally.lost,
            sent_bytes: tally.sent_bytes,
            received_bytes: tally.received_bytes,
            gets: (&tally.gets).into(),
            sets: (&tally.sets).into(),
            open,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Report { requests, seconds, requests_per_s, hits, misses, .. } = self;
        writeln!(
            text,
            "{requests} requests in {seconds:.2} s: {requests_per_s:.0} a second; {hits} hits, {misses} misses"
        )?;
        let (cpu, per_cpu) = (self.client_cpu_s, self.requests_per_client_cpu_s);
        writeln!(text, "client: {cpu:.2} s of CPU, {per_cpu:.0} requests per CPU second")?;
        writeln!(
            text,
            "{:8}{:>12}{}",
            "ms",
            "requests",
            ["mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"]
                .map(|name| format!("{name:>10}"))
                .concat()
        )?;
        for (name, of) in [("get", &self.gets), ("set", &self.sets)] {
            if of.count > 0 {
                let figures =
                    [of.mean_ms, of.p50_ms, of.p90_ms, of.p99_ms, of.p99_9_ms, of.p99_99_ms, of.max_ms];
                writeln!(
                    text,
                    "{name:8}{:>12}{}",
                    of.count,
                    figures.map(|ms| format!("{ms:>10.3}")).concat()
                )?;
            }
        }
        if self.refused > 0 {
            writeln!(text, "{} sets were refused by the server", self.refused)?;
        }
        if self.lost > 0 {
            writeln!(text, "{} datagrams were lost", self.lost)?;
        }
        self.open.as_ref().map_or(Ok(()), |open| self.write_open(open, text))
    }

    fn write_open(&self, open: &Open, text: &mut String) -> std::fmt::Result {
        let Open { held, admitted, unsent, lateness_p99_ms, lateness_max_ms, fell_behind } = open;
        if *held > 0 {
            writeln!(
                text,
                "{held} requests waited for a full window, {unsent} of them until the end; their wait is in the latency, which \
                 without it is {:.3} ms at p50, {:.3} at p99",
                admitted.p50_ms, admitted.p99_ms
            )?;
        }
        writeln!(
            text,
            "requests left late by {lateness_p99_ms:.3} ms at p99, {lateness_max_ms:.3} ms at most"
        )?;
        if *fell_behind {
            writeln!(
                text,
                "THE GENERATOR FELL BEHIND: the latencies above are partly its own; give it --threads and --cores, or a lower --rate"
            )?;
        }
        Ok(())
    }
}
