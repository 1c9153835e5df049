//! What is to be spread: the keys of a trace and how often each is read, hottest first.

use std::collections::HashMap;
use std::io::Read;

use anyhow::{Context, Result};
use ringcached::store::{Hasher, Key};

/// How the objects of a trace, which are numbers, are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `user:17`, in the order in which the objects first come.
    User,
    /// `a:17:17`: one field twice.
    Pair,
    /// 16 hexadecimal digits, the same 8 twice, of the trace's own number.
    HexTwice,
    /// The trace's own number in decimal.
    Number,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Pattern; 4] = [Pattern::User, Pattern::Pair, Pattern::HexTwice, Pattern::Number];

    /// An example, for a heading.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::User => "user:N",
            Pattern::Pair => "a:N:N",
            Pattern::HexTwice => "8 hex digits, twice",
            Pattern::Number => "64-bit number",
        }
    }

    fn key(self, order: usize, object: u64) -> String {
        match self {
            Pattern::User => format!("user:{order}"),
            Pattern::Pair => format!("a:{order}:{order}"),
            Pattern::HexTwice => format!("{0:08x}{0:08x}", object as u32),
            Pattern::Number => object.to_string(),
        }
    }
}

/// The objects of a trace with their reads, in the order in which they first come.
pub struct Trace(Vec<(u64, u64)>);

impl Trace {
    /// Reads CSV compressed with zstd that has a column `object`, a row for each read.
    ///
    /// # Errors
    /// What is no such file; the text names the row.
    pub fn read(file: impl Read) -> Result<Trace> {
        let mut reader = csv::Reader::from_reader(zstd::Decoder::new(file)?);
        let column =
            reader.headers()?.iter().position(|name| name == "object").context("no column `object`")?;
        let mut places = HashMap::new();
        let mut objects: Vec<(u64, u64)> = Vec::new();
        for (row, record) in reader.records().enumerate() {
            let object = record?.get(column).unwrap_or_default().parse();
            let object: u64 = object.with_context(|| format!("row {}: `object` is not a number", row + 1))?;
            let place = *places.entry(object).or_insert(objects.len());
            if place == objects.len() {
                objects.push((object, 0));
            }
            objects[place].1 += 1;
        }
        Ok(Trace(objects))
    }
}

/// Keys with their reads.
pub struct Load {
    /// Hottest first.
    pub keys: Vec<(String, u64)>,
    hashes: Vec<u64>,
}

impl Load {
    /// The trace with its objects named by `pattern`.
    pub fn new(trace: &Trace, pattern: Pattern) -> Load {
        let named = trace.0.iter().enumerate();
        let mut keys: Vec<_> =
            named.map(|(order, &(object, reads))| (pattern.key(order, object), reads)).collect();
        keys.sort_by_key(|&(_, reads)| std::cmp::Reverse(reads));
        Load { hashes: vec![0; keys.len()], keys }
    }

    /// The hashes of a server with these seeds.
    pub fn seed(&mut self, seed: u64) {
        let hasher = Hasher::with_seeds([seed, !seed, seed << 32, 1]);
        self.hashes = self.keys.iter().map(|(key, _)| hasher.hash(key.as_bytes())).collect();
    }

    /// Each key as the server sees it, with its reads.
    pub fn seen(&self) -> impl Iterator<Item = (Key<'_>, u64)> {
        self.keys
            .iter()
            .zip(&self.hashes)
            .map(|((key, reads), &hash)| (Key { bytes: key.as_bytes(), hash }, *reads))
    }

    /// Reads of the `count` hottest keys.
    pub fn reads_of_hottest(&self, count: usize) -> u64 {
        self.keys.iter().take(count).map(|(_, reads)| reads).sum()
    }

    /// All reads.
    pub fn reads(&self) -> u64 {
        self.reads_of_hottest(self.keys.len())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// `reads[i]` reads of object `i`.
    pub fn trace(reads: &[u64]) -> Trace {
        Trace((0..).zip(reads.iter().copied()).collect())
    }

    #[test]
    fn a_trace_is_counted() {
        let csv = "size,object\n1,18446744073709551615\n1,7\n2,7\n";
        let trace = Trace::read(zstd::encode_all(csv.as_bytes(), 1).unwrap().as_slice()).unwrap();
        assert_eq!(trace.0, [(u64::MAX, 1), (7, 2)]);
        let load = Load::new(&trace, Pattern::User);
        assert_eq!(load.keys, [("user:1".to_string(), 2), ("user:0".to_string(), 1)]);
        assert_eq!((load.reads(), load.reads_of_hottest(1)), (3, 2));
        assert_eq!(Load::new(&trace, Pattern::HexTwice).keys[0].0, "0000000700000007");
        assert_eq!(Load::new(&trace, Pattern::Pair).keys[0].0, "a:1:1");
        assert_eq!(Load::new(&trace, Pattern::Number).keys[1].0, "18446744073709551615");
    }

    #[test]
    fn a_row_that_is_wrong_is_named() {
        let csv = zstd::encode_all("object\n1\nx\n".as_bytes(), 1).unwrap();
        let error = format!("{:#}", Trace::read(csv.as_slice()).err().unwrap());
        assert!(error.starts_with("row 2: `object` is not a number"), "{error}");
        let csv = zstd::encode_all("key\n1\n".as_bytes(), 1).unwrap();
        assert!(Trace::read(csv.as_slice()).is_err());
    }
}
