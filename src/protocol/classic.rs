//! The text protocol: one line to one [`Command`].
//!
//! The verb is what stands before the first space, in lower case. Arguments a command does not read are ignored.
//! What can be answered without looking at any data becomes a [`Command::Reply`], so that a caller needs no error path
//! of its own. Retrievals are read in `get.rs`, storage commands in `storage.rs`, meta commands in `meta.rs`,
//! administrative ones in `admin.rs`, the rest here.

use super::admin::{self, Admin, admin};
use super::exptime::Exptime;
use super::get::{self, GetCommand};
use super::line::LINE_BUFFERED_MAX;
use super::meta::{self, MetaCommand, MetaVerb};
use super::number::{parse_i64, parse_u32, parse_u64};
use super::reply::text;
use super::storage::{self, StoreCommand, StoreVerb};
use super::token::{Tokens, ends_in_noreply, trim_spaces};

/// The shortest line that can be a command, in bytes without its ending.
const LINE_LEN_MIN: usize = 2;

/// Words that may follow the key of a `delete`: an old client's time, `noreply`, and one to spare.
const DELETE_EXTRA_MAX: usize = 3;

/// What a server's settings mean to the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest key, in bytes.
    pub key_len_max: usize,
    /// Whether `flush_all` is allowed (not with `-F`).
    pub flush_allowed: bool,
    /// Whether `shutdown` is allowed (`-A`).
    pub shutdown_allowed: bool,
    /// Whether what lists keys is allowed (not with `-X`).
    pub dumping_allowed: bool,
    /// Whether `watch` is allowed (not with `-W`).
    pub watch_allowed: bool,
}

impl Limits {
    /// memcached's.
    pub const DEFAULT: Limits = Limits {
        key_len_max: 250,
        flush_allowed: true,
        shutdown_allowed: false,
        dumping_allowed: true,
        watch_allowed: true,
    };

    /// How many bytes without LF are buffered: memcached's number, and as many more as keys may be longer.
    pub const fn line_buffered_max(&self) -> usize {
        LINE_BUFFERED_MAX + self.key_len_max.saturating_sub(Self::DEFAULT.key_len_max)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a line asks for. Borrows from the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `get`, `gets`, `gat`, `gats`.
    Get(GetCommand<'a>),
    /// `set`, `add`, `replace`, `append`, `prepend`, `cas`. The data follows the line.
    Store(StoreCommand<'a>),
    /// `incr`, `decr`.
    Arith {
        /// Within the limit.
        key: &'a [u8],
        /// By how much.
        delta: u64,
        /// Up, wrapping at 2^64, or else down, stopping at 0.
        increment: bool,
        /// Whether the outcome is left unanswered.
        noreply: bool,
    },
    /// `touch`.
    Touch {
        /// Within the limit.
        key: &'a [u8],
        /// As sent.
        exptime: Exptime,
        /// Whether the outcome is left unanswered.
        noreply: bool,
    },
    /// `delete`.
    Delete {
        /// Within the limit.
        key: &'a [u8],
        /// Whether the outcome is left unanswered.
        noreply: bool,
    },
    /// `flush_all`.
    FlushAll {
        /// When. Here 0 (also if absent) and a negative time mean at once.
        exptime: Exptime,
        /// Whether the outcome is left unanswered.
        noreply: bool,
    },
    /// `version`.
    Version,
    /// `verbosity`.
    Verbosity {
        /// As sent; memcached takes more than 2 as 2.
        level: u32,
        /// Whether the outcome is left unanswered.
        noreply: bool,
    },
    /// `quit`: send what is queued, then close.
    Quit,
    /// `shutdown`, where it is allowed. Never answered.
    Shutdown {
        /// As SIGUSR1 does, or else as SIGINT does.
        graceful: bool,
    },
    /// `stats`.
    Stats {
        /// What follows the verb, without the spaces round it.
        args: &'a [u8],
    },
    /// `mg`, `ms`, `md`, `ma`, `me`. The data of an `ms` follows the line.
    Meta(MetaCommand<'a>),
    /// `mn`: answer `MN`, and send what is queued.
    MetaNoop,
    /// `cache_memlimit`, `lru`, `lru_crawler`, `slabs`, `watch`, `config`.
    Admin {
        /// What is asked for.
        admin: Admin,
        /// Whether the outcome is left unanswered.
        noreply: bool,
    },
    /// Answer this. `noreply` has been applied: an empty text is no answer.
    Reply(&'static [u8]),
    /// A storage command or `ms` that is wrong, of a length that is not.
    ReplyAndSkip {
        /// Answer this; empty is no answer.
        text: &'static [u8],
        /// First drop this many bytes behind the line: the data and its CR LF.
        skip: u64,
    },
    /// Close without an answer: somebody speaks HTTP.
    Close,
}

/// Reads `line`, which has lost its LF or CR LF.
#[inline]
pub fn parse<'a>(line: &'a [u8], limits: &Limits) -> Command<'a> {
    if line.len() < LINE_LEN_MIN {
        return Command::Reply(text::BAD_FORMAT);
    }
    let verb_len = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    let (verb, rest) = line.split_at(verb_len);
    let args = Tokens::new(rest);
    match verb {
        b"get" => get::get(line, args, limits, false),
        b"mg" => meta::meta(MetaVerb::Get, args, limits),
        b"ms" => meta::meta_set(args, limits),
        b"set" => storage::store(StoreVerb::Set, args, limits),
        b"gets" => get::get(line, args, limits, true),
        b"gat" => get::gat(line, args, limits, false),
        b"gats" => get::gat(line, args, limits, true),
        b"add" => storage::store(StoreVerb::Add, args, limits),
        b"replace" => storage::store(StoreVerb::Replace, args, limits),
        b"append" => storage::store(StoreVerb::Append, args, limits),
        b"prepend" => storage::store(StoreVerb::Prepend, args, limits),
        b"cas" => storage::store(StoreVerb::Cas, args, limits),
        b"incr" => arith(args, limits, true),
        b"decr" => arith(args, limits, false),
        b"touch" => touch(args, limits),
        b"delete" => delete(args, limits),
        b"md" => meta::meta(MetaVerb::Delete, args, limits),
        b"ma" => meta::meta(MetaVerb::Arith, args, limits),
        b"me" => meta::meta_debug(args, limits),
        b"mn" => Command::MetaNoop,
        b"flush_all" => flush_all(args, limits),
        b"version" => Command::Version,
        b"verbosity" => verbosity(args),
        b"quit" => Command::Quit,
        b"shutdown" => shutdown(args, limits),
        b"stats" => Command::Stats { args: trim_spaces(rest) },
        b"cache_memlimit" => admin(args, limits, admin::cache_memlimit),
        b"lru_crawler" => admin(args, limits, admin::lru_crawler),
        b"lru" => admin(args, limits, admin::lru),
        b"slabs" => admin(args, limits, admin::slabs),
        b"watch" => admin::watch(args, limits),
        b"config" => admin(args, limits, admin::config),
        _ => unknown(line),
    }
}

/// `text`, or nothing.
#[inline]
pub(super) fn silence_if(noreply: bool, text: &'static [u8]) -> &'static [u8] {
    if noreply { b"" } else { text }
}

/// Answers `text` unless the line ends in `noreply`.
fn refuse<'a>(noreply: bool, text: &'static [u8]) -> Command<'a> {
    Command::Reply(silence_if(noreply, text))
}

/// `<incr|decr> <key> <delta> [noreply]`. A missing argument is answered even with `noreply`, here and in `touch` and
/// `delete`: the line ends before the place where that is looked for.
fn arith<'a>(mut args: Tokens<'a>, limits: &Limits, increment: bool) -> Command<'a> {
    let noreply = ends_in_noreply(args.rest());
    let (Some(key), Some(delta)) = (args.next(), args.next()) else {
        return Command::Reply(text::BAD_FORMAT);
    };
    if key.len() > limits.key_len_max {
        return refuse(noreply, text::BAD_FORMAT);
    }
    match parse_u64(delta) {
        Some(delta) => Command::Arith { key, delta, increment, noreply },
        None => refuse(noreply, text::INVALID_DELTA),
    }
}

/// `touch <key> <exptime> [noreply]`
fn touch<'a>(mut args: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let noreply = ends_in_noreply(args.rest());
    let (Some(key), Some(exptime)) = (args.next(), args.next()) else {
        return Command::Reply(text::BAD_FORMAT);
    };
    if key.len() > limits.key_len_max {
        return refuse(noreply, text::BAD_FORMAT);
    }
    match parse_i64(exptime) {
        Some(seconds) => Command::Touch { key, exptime: Exptime(seconds), noreply },
        None => refuse(noreply, text::INVALID_EXPTIME),
    }
}

/// `delete <key> [noreply]`
fn delete<'a>(mut args: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let noreply = ends_in_noreply(args.rest());
    let key = args.next();
    if args.count() > DELETE_EXTRA_MAX {
        return Command::Reply(text::BAD_FORMAT);
    }
    match key {
        Some(key) if key.len() <= limits.key_len_max => Command::Delete { key, noreply },
        Some(_) => refuse(noreply, text::BAD_FORMAT),
        None => Command::Reply(text::BAD_FORMAT),
    }
}

/// `flush_all [exptime] [noreply]`
fn flush_all<'a>(mut args: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let noreply = ends_in_noreply(args.rest());
    if !limits.flush_allowed {
        return refuse(noreply, text::FLUSH_NOT_ALLOWED);
    }
    let Some(first) = args.next() else {
        return Command::FlushAll { exptime: Exptime(0), noreply };
    };
    if noreply && args.next().is_none() {
        return Command::FlushAll { exptime: Exptime(0), noreply };
    }
    match parse_i64(first) {
        Some(seconds) => Command::FlushAll { exptime: Exptime(seconds), noreply },
        None => refuse(noreply, text::INVALID_EXPTIME),
    }
}

/// `verbosity <level> [noreply]`
fn verbosity<'a>(mut args: Tokens<'a>) -> Command<'a> {
    let noreply = ends_in_noreply(args.rest());
    match args.next().and_then(parse_u32) {
        Some(level) => Command::Verbosity { level, noreply },
        None => refuse(noreply, text::BAD_FORMAT),
    }
}

/// `shutdown [graceful]`, and nothing more: `shutdown noreply` is a bad mode left unanswered.
fn shutdown<'a>(mut args: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let noreply = ends_in_noreply(args.rest());
    if !limits.shutdown_allowed {
        return refuse(noreply, text::SHUTDOWN_NOT_ENABLED);
    }
    match (args.next(), args.next()) {
        (None, _) => Command::Shutdown { graceful: false },
        (Some(b"graceful"), None) => Command::Shutdown { graceful: true },
        _ => refuse(noreply, text::INVALID_SHUTDOWN_MODE),
    }
}

/// A line of no known verb: silence for a browser or a probe speaking HTTP, silence if it ends in `noreply`, else `ERROR`.
#[cold]
fn unknown<'a>(line: &[u8]) -> Command<'a> {
    match Tokens::new(line).skip(1).last() {
        Some(last) if last.starts_with(b"HTTP/") => Command::Close,
        _ => refuse(ends_in_noreply(line), text::ERROR),
    }
}
