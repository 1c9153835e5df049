//! Traces from files: CSV, plain or compressed with zstd, with a header that names the columns.
//!
//! `object` and `size` must be there, `op` and `ttl` may, others are passed over. A header that begins with `#`, as
//! libCacheSim writes it (`# time, object, size, next_access_vtime`), is a header too.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use csv::StringRecord;
use indicatif::ProgressBar;

use crate::request::{self, OBJECT_BYTES_MAX, Op, Request};

/// How a zstd frame begins (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The requests of the file at `path`, each said to be of `part`. `bar` moves by the bytes of the file that are read.
pub fn open(
    path: &Path,
    part: &'static str,
    bar: &ProgressBar,
) -> Result<impl Iterator<Item = Result<Request>> + use<>> {
    let file = File::open(path).with_context(|| format!("trace {}", path.display()))?;
    Trace::new(bar.wrap_read(file), path, part)
}

/// Where in a row each column is.
struct Columns {
    object: usize,
    size: usize,
    op: Option<usize>,
    ttl: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Columns> {
        let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('#').trim()).collect();
        let find = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let need = |wanted: &str| {
            find(wanted).ok_or_else(|| anyhow!("no column `{wanted}` in the header `{}`", names.join(",")))
        };
        Ok(Columns { object: need("object")?, size: need("size")?, op: find("op"), ttl: find("ttl") })
    }
}

/// A reader of rows; the row is read into one record again and again.
struct Trace {
    reader: csv::Reader<Box<dyn Read>>,
    columns: Columns,
    row: StringRecord,
    path: PathBuf,
    part: &'static str,
}

impl Trace {
    fn new(file: impl Read + 'static, path: &Path, part: &'static str) -> Result<Trace> {
        let mut file = BufReader::new(file);
        let start = file.fill_buf().with_context(|| format!("trace {}", path.display()))?;
        let text: Box<dyn Read> = if start.starts_with(&ZSTD_MAGIC) {
            Box::new(zstd::Decoder::with_buffer(file).with_context(|| format!("trace {}", path.display()))?)
        } else {
            Box::new(file)
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let header = reader.headers().with_context(|| format!("trace {}", path.display()))?;
        let columns = Columns::of(header).with_context(|| format!("trace {}", path.display()))?;
        Ok(Trace { reader, columns, row: StringRecord::new(), path: path.into(), part })
    }

    fn request(&self) -> Result<Request> {
        let key = self.field(self.columns.object, "object")?;
        if let Some(fault) = request::key_fault(key) {
            bail!("object `{}` {fault}: the memcached protocol cannot name it", key.escape_debug());
        }
        let object_bytes = self.number(self.columns.size, "size")?;
        if object_bytes > OBJECT_BYTES_MAX {
            bail!("size {object_bytes} is above {OBJECT_BYTES_MAX}");
        }
        let op = match self.columns.op {
            Some(column) => op(self.field(column, "op")?)?,
            None => Op::Get,
        };
        let ttl_s = match self.columns.ttl {
            Some(column) if self.field(column, "ttl")?.is_empty() => 0,
            Some(column) => self.number(column, "ttl")?,
            None => 0,
        };
        Ok(Request { op, key: key.into(), object_bytes, ttl_s, part: self.part })
    }

    fn field(&self, column: usize, name: &str) -> Result<&str> {
        self.row.get(column).ok_or_else(|| anyhow!("no {name}"))
    }

    fn number(&self, column: usize, name: &str) -> Result<u32> {
        let text = self.field(column, name)?;
        u32::from_str(text).map_err(|error| anyhow!("{name} `{text}`: {error}"))
    }
}

fn op(text: &str) -> Result<Op> {
    match text {
        "get" => Ok(Op::Get),
        "set" => Ok(Op::Set),
        "delete" => Ok(Op::Delete),
        _ => bail!("op `{text}` is none of get, set, delete: leave such rows out of the trace"),
    }
}

impl Iterator for Trace {
    type Item = Result<Request>;

    fn next(&mut self) -> Option<Result<Request>> {
        match self.reader.read_record(&mut self.row) {
            Ok(false) => None,
            Ok(true) => Some(self.request().with_context(|| {
                let line = self.row.position().map_or(0, |position| position.line());
                format!("trace {}, line {line}", self.path.display())
            })),
            Err(error) => Some(Err(error).with_context(|| format!("trace {}", self.path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Request>> {
        Trace::new(std::io::Cursor::new(text.to_vec()), Path::new("sample.csv"), "trace")?.collect()
    }

    fn request(op: Op, key: &str, object_bytes: u32, ttl_s: u32) -> Request {
        Request { op, key: key.into(), object_bytes, ttl_s, part: "trace" }
    }

    fn message(text: &str) -> String {
        format!("{:#}", read(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn object_and_size_are_gets() {
        let want = [request(Op::Get, "17", 40, 0), request(Op::Get, "a", 0, 0)];
        assert_eq!(read(b"object,size\n17,40\na,0\n").unwrap(), want);
    }

    #[test]
    fn the_header_of_libcachesim() {
        let text = b"# time, object, size, next_access_vtime\n0, 13053225291711363978, 737, 13\n";
        assert_eq!(read(text).unwrap(), [request(Op::Get, "13053225291711363978", 737, 0)]);
    }

    #[test]
    fn columns_in_any_order_with_op_and_ttl() {
        let text = b"ttl,op,size,Object\n60,set,8,a\n,get,8,a\n0,delete,8,a\n";
        let want =
            [request(Op::Set, "a", 8, 60), request(Op::Get, "a", 8, 0), request(Op::Delete, "a", 8, 0)];
        assert_eq!(read(text).unwrap(), want);
    }

    #[test]
    fn compressed_is_the_same() {
        let text = b"object,size\n17,40\n18,41\n";
        let compressed = zstd::encode_all(&text[..], 1).unwrap();
        assert_eq!(read(&compressed).unwrap(), read(text).unwrap());
        assert!(read(&compressed[..compressed.len() - 4]).is_err(), "a cut file must not pass");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, want) in [
            ("key,size\n", "no column `object` in the header `key,size`"),
            ("object\n", "no column `size`"),
            ("object,size\na,1\nb,x\n", "line 3: size `x`"),
            ("object,size\na,-1\n", "size `-1`"),
            ("object,size\na,4000000000\n", "size 4000000000 is above"),
            ("object,size\na b,1\n", "object `a b` has a blank"),
            ("object,size\n,1\n", "is empty"),
            ("object,size,op\na,1,incr\n", "op `incr`"),
            ("object,size,ttl\na,1,soon\n", "ttl `soon`"),
            ("object,size\na\n", "sample.csv"),
            ("", "no column `object`"),
        ] {
            let got = message(text);
            assert!(got.contains(want), "{text:?}: {got}");
        }
    }
}
