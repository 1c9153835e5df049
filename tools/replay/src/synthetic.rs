//! Synthetic workloads, each a known difficulty of eviction. All are functions of their parameters and a seed.
//!
//! * *loop*: the same objects in the same order, again and again. A little more of them than fit, and least recently
//!   used misses every time.
//! * *zipf*: draws of a Zipf distribution.
//! * *shift*: the same, but at each phase all objects are new ones; what was popular before must go.
//! * *scan*: a base load, then objects that are read once and never again, then the base load a second time. What the
//!   scan has cost is the second pass against that of a run without the scan.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;

use anyhow::{Result, anyhow};

use crate::request::{Op, Request};

/// The size and shape shared by synthetic workloads.
#[derive(clap::Args, Clone, Debug)]
pub struct Shape {
    /// Different objects
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub objects: u64,
    /// Requests in all (for a scan: of one pass)
    #[arg(long)]
    pub requests: u64,
    /// Bytes of an object, key and value
    #[arg(long, default_value_t = 200)]
    pub object_bytes: u32,
}

/// The popularity of a drawn workload.
#[derive(clap::Args, Clone, Debug)]
pub struct Draw {
    /// Exponent of the Zipf distribution; 0 draws all objects alike
    #[arg(long, default_value_t = 1.0)]
    pub skew: f64,
    /// Seed of the draws
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

fn get(set: &str, number: u64, shape: &Shape, part: &'static str) -> Request {
    // Scrambled numbers, so that neighbours in rank are none in name.
    let name = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Request {
        op: Op::Get,
        key: format!("{set}{name:016x}"),
        object_bytes: shape.object_bytes,
        ttl_s: 0,
        part,
    }
}

/// Objects 0 to n - 1 in turn.
pub fn cyclic(shape: Shape) -> impl Iterator<Item = Request> {
    (0..shape.requests).map(move |i| get("loop", i % shape.objects, &shape, "loop"))
}

/// Draws for ever; the same for the same seed.
fn ranks(objects: u64, draw: &Draw) -> Result<impl Iterator<Item = u64> + use<>> {
    let zipf = Zipf::new(objects as f64, draw.skew)
        .map_err(|error| anyhow!("--skew {} with --objects {objects}: {error}", draw.skew))?;
    let mut random = StdRng::seed_from_u64(draw.seed);
    Ok(std::iter::repeat_with(move || random.sample(zipf) as u64 - 1))
}

/// Independent draws.
pub fn zipf(shape: Shape, draw: &Draw, part: &'static str) -> Result<impl Iterator<Item = Request> + use<>> {
    let ranks = ranks(shape.objects, draw)?;
    Ok(ranks.take(shape.requests as usize).map(move |rank| get("zipf", rank, &shape, part)))
}

/// Draws from `shape.objects` objects that are others in each of `phases` phases of equal length.
pub fn shift(shape: Shape, draw: &Draw, phases: u64) -> Result<impl Iterator<Item = Request> + use<>> {
    let ranks = ranks(shape.objects, draw)?;
    let per_phase = shape.requests.div_ceil(phases).max(1);
    let numbers = (0..shape.requests).zip(ranks).map(move |(i, rank)| i / per_phase * shape.objects + rank);
    Ok(numbers.map(move |number| get("shift", number, &shape, "shift")))
}

/// Bytes of an object of a scan beside a trace: about the mean of published ones.
pub const SCAN_OBJECT_BYTES: u32 = 200;

/// `objects` objects of `object_bytes`, each read once.
pub fn once(objects: u64, object_bytes: u32) -> impl Iterator<Item = Request> {
    let shape = Shape { objects, requests: objects, object_bytes };
    (0..objects).map(move |i| get("scan", i, &shape, "scan"))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const SHAPE: Shape = Shape { objects: 100, requests: 10_000, object_bytes: 50 };
    const DRAW: Draw = Draw { skew: 1.0, seed: 7 };

    fn keys(requests: impl Iterator<Item = Request>) -> Vec<String> {
        requests.map(|request| request.key).collect()
    }

    #[test]
    fn a_loop_comes_back_after_all_objects() {
        let keys = keys(cyclic(SHAPE));
        assert_eq!(keys.len(), 10_000);
        assert_eq!(keys[..100], keys[100..200]);
        assert_eq!(keys[..100].iter().collect::<HashSet<_>>().len(), 100);
    }

    #[test]
    fn zipf_has_a_favourite_and_its_share() {
        let mut counts = HashMap::new();
        for key in keys(zipf(SHAPE, &DRAW, "zipf").unwrap()) {
            *counts.entry(key).or_insert(0) += 1;
        }
        assert!(counts.len() <= 100);
        // The first of 100 ranks has 1 / (1 + 1/2 + ... + 1/100) = 19.3 % of the draws.
        let favourite = counts.values().max().unwrap();
        assert!((1_800..2_060).contains(favourite), "{favourite}");
    }

    #[test]
    fn the_seed_decides() {
        let of_seed = |seed| keys(zipf(SHAPE, &Draw { skew: 0.8, seed }, "zipf").unwrap());
        assert_eq!(of_seed(1), of_seed(1));
        assert_ne!(of_seed(1), of_seed(2));
    }

    #[test]
    fn phases_share_no_object() {
        let keys = keys(shift(SHAPE, &DRAW, 4).unwrap());
        let phases: Vec<HashSet<_>> = keys.chunks(2_500).map(|phase| phase.iter().collect()).collect();
        assert_eq!(phases.len(), 4);
        for (i, phase) in phases.iter().enumerate() {
            assert!(phases[i + 1..].iter().all(|other| phase.is_disjoint(other)));
        }
    }

    #[test]
    fn a_scan_reads_each_object_once() {
        let keys = keys(once(500, 50));
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 500);
    }

    #[test]
    fn a_skew_that_is_none_is_named() {
        let error = zipf(SHAPE, &Draw { skew: -1.0, seed: 1 }, "zipf").err().unwrap();
        assert!(error.to_string().contains("--skew -1"), "{error}");
    }
}
