//! Administrative commands: `cache_memlimit`, `lru`, `lru_crawler`, `slabs` and `watch`; and of ElastiCache `config`.
//!
//! What tunes a mechanism of memcached that is not here is checked as memcached checks it, so that a script is told of its
//! mistakes, and then has no effect. Unlike in memcached `noreply` is no argument: `lru_crawler crawl all noreply` crawls.

use super::classic::{Command, Limits, silence_if};
use super::number::{parse_i64, parse_u32};
use super::reply::text;
use super::token::{Tokens, without_noreply};

/// Least and most of `cache_memlimit`, in MiB.
const MEMORY_LIMIT_MIN_MIB: u32 = 8;
const MEMORY_LIMIT_MAX_MIB: u32 = 1_000_000_000;
/// Longest `lru_crawler sleep`, in microseconds.
const CRAWLER_SLEEP_MAX_US: u32 = 1_000_000;
/// What `lru tune` may give the hot and the warm LRU together, in percent.
const HOT_AND_WARM_MAX_PERCENT: u32 = 80;
/// The largest mode of `slabs automove`, and the limits of its window.
const AUTOMOVE_MODE_MAX: u32 = 2;
const AUTOMOVE_WINDOW: std::ops::RangeInclusive<u32> = 3..=1800;

/// An administrative command whose arguments are right and which is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// `cache_memlimit`: as `-m`, from now on.
    MemoryLimit {
        /// From 8 to a billion; whether the server can is for it to say.
        mib: u32,
    },
    /// `lru_crawler crawl`: look for overdue items now.
    Crawl(Classes),
    /// `lru_crawler metadump`, `lru_crawler mgdump`: list what is stored.
    Dump {
        /// The form of a line.
        form: DumpForm,
        /// Of which items.
        classes: Classes,
    },
    /// `watch`: from now on the connection only receives log lines of these kinds.
    Watch(WatchKinds),
    /// `config get cluster`: the servers a client may distribute its keys over.
    Nodes,
    /// Answer OK; it is the name of what has no effect here.
    NoEffect(&'static str),
}

/// What a dump says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpForm {
    /// `metadump`: key and metadata, `key=...`.
    Meta,
    /// `mgdump`: the `mg` command that fetches it.
    MetaGet,
}

/// A set of slab classes, by their numbers from 1 to 255 (63 in memcached). One that does not exist has no items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes([u64; 4]);

impl Classes {
    /// All there may be: `all`, and `hash`, which differs in memcached only in the order.
    pub const ALL: Classes = Classes([u64::MAX; 4]);
    const NONE: Classes = Classes([0; 4]);

    /// Whether `class` is among them.
    pub fn contains(&self, class: u8) -> bool {
        self.0[usize::from(class >> 6)] & (1 << (class & 63)) != 0
    }

    fn insert(&mut self, class: u8) {
        self.0[usize::from(class >> 6)] |= 1 << (class & 63);
    }
}

/// A kind of log line that is written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is memcached's word for it")]
pub enum WatchKind {
    Fetchers,
    Mutations,
    Evictions,
    ConnEvents,
    Deletions,
    SysEvents,
}

/// A set of kinds. It may be empty: kinds that only memcached's proxy writes can be watched in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchKinds(u8);

impl WatchKinds {
    /// Whether `kind` is among them.
    #[inline]
    pub fn contains(&self, kind: WatchKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// With `kind` among them.
    pub fn with(self, kind: WatchKind) -> WatchKinds {
        WatchKinds(self.0 | (1 << kind as u8))
    }

    /// None at all.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those of `other`.
    pub fn union(self, other: WatchKinds) -> WatchKinds {
        WatchKinds(self.0 | other.0)
    }

    /// As a number, for an atomic.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Back from a number.
    pub fn from_bits(bits: u8) -> WatchKinds {
        WatchKinds(bits)
    }
}

/// How the arguments of one verb are read: what is asked for, or the answer that refuses it.
type Read<'a> = fn(Tokens<'a>, &Limits) -> Result<Admin, &'static [u8]>;

/// A command whose last word may be `noreply`.
pub(super) fn admin<'a>(args: Tokens<'a>, limits: &Limits, read: Read<'a>) -> Command<'a> {
    let (words, noreply) = without_noreply(args.rest());
    match read(Tokens::new(words), limits) {
        // Nobody would read it.
        Ok(Admin::Dump { .. } | Admin::Nodes) if noreply => Command::Reply(b""),
        Ok(admin) => Command::Admin { admin, noreply },
        Err(text) => Command::Reply(silence_if(noreply, text)),
    }
}

/// `config get cluster`, with exactly these words. ElastiCache's other words change what is managed here by options.
pub(super) fn config(mut args: Tokens<'_>, _: &Limits) -> Result<Admin, &'static [u8]> {
    match (args.next(), args.next(), args.next()) {
        (Some(b"get"), Some(b"cluster"), None) => Ok(Admin::Nodes),
        _ => Err(text::ERROR),
    }
}

/// `cache_memlimit <MiB>`
pub(super) fn cache_memlimit(mut args: Tokens<'_>, _: &Limits) -> Result<Admin, &'static [u8]> {
    match args.next().and_then(parse_u32) {
        None => Err(text::ERROR),
        Some(mib) if mib < MEMORY_LIMIT_MIN_MIB => Err(text::MEMORY_LIMIT_TOO_SMALL),
        Some(mib) if mib > MEMORY_LIMIT_MAX_MIB => Err(text::MEMORY_LIMIT_NOT_BYTES),
        Some(mib) => Ok(Admin::MemoryLimit { mib }),
    }
}

/// `lru_crawler <enable|disable>`, `lru_crawler <sleep|tocrawl> <number>`,
/// `lru_crawler <crawl|metadump|mgdump> <all|hash|class,...>`, with exactly these words.
pub(super) fn lru_crawler(mut args: Tokens<'_>, limits: &Limits) -> Result<Admin, &'static [u8]> {
    let (word, value, more) = (args.next(), args.next(), args.next());
    match (word.unwrap_or_default(), value, more) {
        (b"enable" | b"disable", None, None) => Ok(Admin::NoEffect("lru_crawler enable|disable")),
        (b"sleep", Some(value), None) => match parse_u32(value).ok_or(text::BAD_FORMAT)? {
            0..=CRAWLER_SLEEP_MAX_US => Ok(Admin::NoEffect("lru_crawler sleep")),
            _ => Err(text::CRAWLER_SLEEP_TOO_LONG),
        },
        (b"tocrawl", Some(value), None) => {
            parse_u32(value).map(|_| Admin::NoEffect("lru_crawler tocrawl")).ok_or(text::BAD_FORMAT)
        }
        // There is no crawl of the hash table, in memcached either.
        (b"crawl", Some(b"hash"), None) => Err(text::CRAWLER_UNKNOWN_ERROR),
        (b"crawl", Some(value), None) => classes(value).map(Admin::Crawl),
        (b"metadump", Some(_), None) if !limits.dumping_allowed => Err(text::METADUMP_NOT_ALLOWED),
        (b"mgdump", Some(_), None) if !limits.dumping_allowed => Err(text::KEY_DUMP_NOT_ALLOWED),
        (b"metadump", Some(value), None) => dump(DumpForm::Meta, value),
        (b"mgdump", Some(value), None) => dump(DumpForm::MetaGet, value),
        _ => Err(text::ERROR),
    }
}

fn dump(form: DumpForm, value: &[u8]) -> Result<Admin, &'static [u8]> {
    let classes = if value == b"hash" { Classes::ALL } else { classes(value)? };
    Ok(Admin::Dump { form, classes })
}

/// `all`, or numbers separated by commas.
fn classes(value: &[u8]) -> Result<Classes, &'static [u8]> {
    if value == b"all" {
        return Ok(Classes::ALL);
    }
    let mut classes = Classes::NONE;
    for number in value.split(|&byte| byte == b',').filter(|number| !number.is_empty()) {
        match parse_u32(number).and_then(|number| u8::try_from(number).ok()) {
            Some(class) if class != 0 => classes.insert(class),
            _ => return Err(text::BAD_CLASS),
        }
    }
    if classes == Classes::NONE { Err(text::NOTHING_TO_CRAWL) } else { Ok(classes) }
}

/// `lru tune <hot%> <warm%> <hot factor> <warm factor>`, `lru mode <flat|segmented>`, `lru temp_ttl <seconds>`.
pub(super) fn lru(mut args: Tokens<'_>, _: &Limits) -> Result<Admin, &'static [u8]> {
    match args.next() {
        Some(b"tune") => lru_tune(args),
        Some(b"mode") => match args.next() {
            Some(b"flat" | b"segmented") => Ok(Admin::NoEffect("lru mode")),
            _ => Err(text::ERROR),
        },
        Some(b"temp_ttl") => match args.next().and_then(parse_i64) {
            Some(ttl_s) if i32::try_from(ttl_s).is_ok() => Ok(Admin::NoEffect("lru temp_ttl")),
            _ => Err(text::ERROR),
        },
        _ => Err(text::ERROR),
    }
}

fn lru_tune(mut args: Tokens<'_>) -> Result<Admin, &'static [u8]> {
    let mut percent = || args.next().and_then(parse_u32).ok_or(text::ERROR);
    let hot_and_warm = percent()?.saturating_add(percent()?);
    let mut factor = || args.next().and_then(parse_float).ok_or(text::ERROR);
    let (hot_factor, warm_factor) = (factor()?, factor()?);
    if hot_and_warm > HOT_AND_WARM_MAX_PERCENT {
        Err(text::LRU_SHARES_TOO_LARGE)
    } else if hot_factor <= 0.0 || warm_factor <= 0.0 {
        Err(text::LRU_FACTORS_TOO_SMALL)
    } else {
        Ok(Admin::NoEffect("lru tune"))
    }
}

/// `slabs reassign <source|-1> <destination>`, with exactly these words, and `slabs automove ...`.
pub(super) fn slabs(mut args: Tokens<'_>, _: &Limits) -> Result<Admin, &'static [u8]> {
    match args.next() {
        Some(b"reassign") => match (args.next(), args.next(), args.next()) {
            (Some(source), Some(destination), None) => slabs_reassign(source, destination),
            _ => Err(text::ERROR),
        },
        Some(b"automove") => slabs_automove(args),
        _ => Err(text::ERROR),
    }
}

fn slabs_reassign(source: &[u8], destination: &[u8]) -> Result<Admin, &'static [u8]> {
    let class = |word| parse_i64(word).and_then(|class| i32::try_from(class).ok()).ok_or(text::BAD_FORMAT);
    let (source, destination) = (class(source)?, class(destination)?);
    let (any, highest) = (-1, i32::from(u8::MAX));
    if source == destination {
        Err(text::SAME_CLASS)
    } else if (any..=highest).contains(&source) && (0..=highest).contains(&destination) {
        Ok(Admin::NoEffect("slabs reassign"))
    } else {
        Err(text::BAD_CLASS_PAIR)
    }
}

/// `<0|1|2>`, `<ratio|freeratio> <number>`, `window <number>`.
fn slabs_automove(mut args: Tokens<'_>) -> Result<Admin, &'static [u8]> {
    let no_effect = Ok(Admin::NoEffect("slabs automove"));
    match args.next() {
        None => Err(text::ERROR),
        Some(b"ratio" | b"freeratio") => {
            args.next().and_then(parse_float).map_or(Err(text::ERROR), |_| no_effect)
        }
        Some(b"window") => match args.next().and_then(parse_u32).ok_or(text::BAD_FORMAT)? {
            window if AUTOMOVE_WINDOW.contains(&window) => no_effect,
            _ => Err(text::AUTOMOVE_WINDOW_OUT_OF_RANGE),
        },
        Some(mode) => match parse_u32(mode).ok_or(text::BAD_FORMAT)? {
            0..=AUTOMOVE_MODE_MAX => no_effect,
            _ => Err(text::ERROR),
        },
    }
}

/// `watch [kind...]`, without a kind `fetchers`. `noreply` is a kind here, one that nobody knows.
pub(super) fn watch<'a>(args: Tokens<'a>, limits: &Limits) -> Command<'a> {
    if !limits.watch_allowed {
        return Command::Reply(text::WATCH_NOT_ALLOWED);
    }
    let mut kinds = WatchKinds::default();
    let mut words = args.peekable();
    if words.peek().is_none() {
        kinds = kinds.with(WatchKind::Fetchers);
    }
    for word in words {
        kinds = match word {
            b"fetchers" => kinds.with(WatchKind::Fetchers),
            b"mutations" => kinds.with(WatchKind::Mutations),
            b"evictions" => kinds.with(WatchKind::Evictions),
            b"connevents" => kinds.with(WatchKind::ConnEvents),
            b"deletions" => kinds.with(WatchKind::Deletions),
            b"sysevents" => kinds.with(WatchKind::SysEvents),
            // There is no proxy to log for, and rawcmds is written by no memcached.
            b"proxyreqs" | b"proxyevents" | b"proxyuser" | b"rawcmds" => kinds,
            _ => return Command::Reply(text::ERROR),
        };
    }
    Command::Admin { admin: Admin::Watch(kinds), noreply: false }
}

fn parse_float(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
