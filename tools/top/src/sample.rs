//! What a server says of itself at one moment: the answers to [`ASKS`], typed. What it does not tell is `None`, and a report
//! that it refuses is the words it refused with; neither ever becomes a 0.

use std::time::Instant;

use crate::report::{Report, Row, amount};

/// What is asked, in this order, at once.
pub const ASKS: [&str; 7] = [
    "stats",
    "stats shards",
    "stats latency",
    "stats slabs",
    "stats items",
    "stats hotkeys 50",
    "stats slowlog 50",
];

/// An answer that a server may not have, or not give to everybody.
pub type Told = Result<Report, Absent>;

/// What is made of it.
pub type Part<T> = Result<Vec<T>, Absent>;

/// Why a part is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// What was asked.
    pub ask: &'static str,
    /// What the server said, printable.
    pub answer: String,
}

/// See the module comment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the answers were here.
    pub at: Instant,
    /// Of `stats`.
    pub server: Server,
    /// Commands by class, of `stats`: those of [`COMMANDS`], in that order.
    pub commands: Vec<Command>,
    /// Of `stats shards`.
    pub shards: Part<Shard>,
    /// Of `stats latency`.
    pub latency: Part<Latency>,
    /// Of `stats slabs` and `stats items`.
    pub classes: Part<SizeClass>,
    /// Of `stats hotkeys`, the hottest first.
    pub hot_keys: Part<HotKey>,
    /// Of `stats slowlog`, the latest first.
    pub slow: Part<SlowRequest>,
    /// From how many microseconds on a request is slow; 0 if none is remembered.
    pub slow_log_us: Option<u64>,
}

/// The server as a whole. Counts are those since its start, or since `stats reset`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// memcached's, or the one whose protocol is spoken.
    pub version: Option<String>,
    /// Tells one run from the next.
    pub pid: Option<u64>,
    /// Seconds since the start.
    pub uptime_s: Option<u64>,
    /// Connections now.
    pub connections: Option<u64>,
    /// Connections there may be.
    pub connections_max: Option<u64>,
    /// Connections that have come.
    pub connections_total: Option<u64>,
    /// Items now.
    pub items: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Bytes there may be.
    pub limit_bytes: Option<u64>,
    /// Items that left to make room.
    pub evictions: Option<u64>,
    /// Expired items whose room was taken back, when it was needed or by the crawl.
    pub expired: Option<u64>,
    /// Bytes received.
    pub read_bytes: Option<u64>,
    /// Bytes sent.
    pub written_bytes: Option<u64>,
    /// Seconds of processor time, user and system.
    pub cpu_s: Option<f64>,
}

/// A class of commands in `stats`, as memcached counts them.
struct Counted {
    name: &'static str,
    /// Names whose sum is how many there were.
    total: &'static [&'static str],
    /// Of these, how many found what they asked for; none for commands that cannot miss.
    hits: Option<&'static str>,
    /// Whether other classes count them too.
    is_counted_twice: bool,
}

/// The classes. A gat is a touch here; cas is a kind of set.
const COMMANDS: [Counted; 8] = [
    Counted { name: "get", total: &["cmd_get"], hits: Some("get_hits"), is_counted_twice: false },
    Counted { name: "set", total: &["cmd_set"], hits: None, is_counted_twice: false },
    Counted { name: "touch", total: &["cmd_touch"], hits: Some("touch_hits"), is_counted_twice: false },
    Counted {
        name: "delete",
        total: &["delete_hits", "delete_misses"],
        hits: Some("delete_hits"),
        is_counted_twice: false,
    },
    Counted {
        name: "incr",
        total: &["incr_hits", "incr_misses"],
        hits: Some("incr_hits"),
        is_counted_twice: false,
    },
    Counted {
        name: "decr",
        total: &["decr_hits", "decr_misses"],
        hits: Some("decr_hits"),
        is_counted_twice: false,
    },
    Counted {
        name: "cas",
        total: &["cas_hits", "cas_misses", "cas_badval"],
        hits: Some("cas_hits"),
        is_counted_twice: true,
    },
    Counted { name: "meta", total: &["cmd_meta"], hits: None, is_counted_twice: true },
];

/// What there was of a class of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Of the class.
    pub name: &'static str,
    /// How many.
    pub total: Option<u64>,
    /// How many found what they asked for; always absent where nothing can be missed.
    pub hits: Option<u64>,
    /// Whether other classes count them too: `meta` and `cas`.
    pub is_counted_twice: bool,
}

/// A shard. A request for a key of another shard is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub number: u32,
    /// The core it runs on.
    pub core: Option<u64>,
    /// Connections now.
    pub connections: Option<u64>,
    /// Items now.
    pub items: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Requests of its connections for its keys.
    pub local: Option<u64>,
    /// Requests of its connections for keys of others.
    pub forwarded: Option<u64>,
    /// Requests of others' connections for its keys.
    pub for_peers: Option<u64>,
}

/// Service times of a class of commands since the start or `stats reset`, in microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// The class, the server's word for it.
    pub name: String,
    /// How many, as the samples say.
    pub count: Option<u64>,
    /// Half were no slower.
    pub p50_us: Option<f64>,
    /// 99 % were no slower.
    pub p99_us: Option<f64>,
    /// 99.9 % were no slower.
    pub p999_us: Option<f64>,
    /// None was slower.
    pub max_us: Option<f64>,
}

/// Memory for items of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeClass {
    /// Its number.
    pub number: u32,
    /// Bytes of a chunk.
    pub chunk_bytes: Option<u64>,
    /// Chunks there are.
    pub chunks: Option<u64>,
    /// Chunks in use.
    pub used_chunks: Option<u64>,
    /// Items now.
    pub items: Option<u64>,
    /// Bytes they need; the rest of their chunks is lost.
    pub items_bytes: Option<u64>,
    /// Items that left to make room.
    pub evictions: Option<u64>,
    /// Seconds since the one that will leave next was asked for.
    pub age_s: Option<u64>,
}

/// A key that many ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKey {
    /// Printable.
    pub key: String,
    /// Requests a second.
    pub per_s: Option<f64>,
    /// How far off that may be.
    pub error_per_s: Option<f64>,
    /// Where it lives.
    pub shard: Option<u64>,
}

/// A request that took long.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowRequest {
    /// Seconds since 1970, on the server's clock.
    pub time_s: Option<f64>,
    /// The class of the command.
    pub class: String,
    /// What it took, in microseconds.
    pub us: Option<f64>,
    /// Where the key lives.
    pub shard: Option<u64>,
    /// Who asked.
    pub client: String,
    /// Printable.
    pub key: String,
}

impl Sample {
    /// Makes one of the answers to [`ASKS`].
    ///
    /// # Errors
    /// The server's words, if it does not even answer `stats`.
    pub fn new(at: Instant, answers: [Told; ASKS.len()]) -> Result<Sample, String> {
        let [general, shards, latency, slabs, items, hot_keys, slow_log] = answers;
        let general = general.map_err(|absent| absent.answer)?;
        Ok(Sample {
            at,
            server: Server::of(&general),
            commands: COMMANDS.iter().map(|counted| Command::of(&general, counted)).collect(),
            shards: shards.map(|report| table(&report, Shard::of)),
            latency: latency.map(|report| latencies(&report)),
            classes: slabs.and_then(|slabs| Ok(size_classes(&slabs, &items?))),
            hot_keys: hot_keys.map(|report| table(&report, HotKey::of)),
            slow_log_us: slow_log.as_ref().ok().and_then(|report| report.count("slow_log_us")),
            slow: slow_log.map(|report| table(&report, SlowRequest::of)),
        })
    }
}

/// The rows of a report in order.
fn table<T>(report: &Report, of: impl Fn(u32, &Row<'_>) -> T) -> Vec<T> {
    report.rows("").iter().map(|(number, row)| of(*number, row)).collect()
}

fn count(row: &Row<'_>, name: &str) -> Option<u64> {
    row.get(name)?.parse().ok()
}

fn text(row: &Row<'_>, name: &str) -> String {
    row.get(name).map_or("-", |text| text).to_string()
}

impl Server {
    fn of(report: &Report) -> Server {
        let count = |name| report.count(name);
        let cpu_s = report.amount("rusage_user").zip(report.amount("rusage_system"));
        Server {
            version: report.text("version").map(str::to_string),
            pid: count("pid"),
            uptime_s: count("uptime"),
            connections: count("curr_connections"),
            connections_max: count("max_connections"),
            connections_total: count("total_connections"),
            items: count("curr_items"),
            bytes: count("bytes"),
            limit_bytes: count("limit_maxbytes"),
            evictions: count("evictions"),
            expired: count("reclaimed").zip(count("crawler_reclaimed")).and_then(|(a, b)| a.checked_add(b)),
            read_bytes: count("bytes_read"),
            written_bytes: count("bytes_written"),
            cpu_s: cpu_s.map(|(user, system)| user + system),
        }
    }
}

impl Command {
    fn of(report: &Report, counted: &Counted) -> Command {
        Command {
            name: counted.name,
            total: counted.total.iter().try_fold(0, |sum: u64, name| sum.checked_add(report.count(name)?)),
            hits: counted.hits.and_then(|name| report.count(name)),
            is_counted_twice: counted.is_counted_twice,
        }
    }
}

impl Shard {
    fn of(number: u32, row: &Row<'_>) -> Shard {
        let count = |name| count(row, name);
        Shard {
            number,
            core: count("core"),
            connections: count("curr_connections"),
            items: count("curr_items"),
            bytes: count("bytes"),
            local: count("cmd_local"),
            forwarded: count("cmd_forwarded"),
            for_peers: count("cmd_for_peers"),
        }
    }
}

fn latencies(report: &Report) -> Vec<Latency> {
    let of = |name: &str| {
        let value = |what: &str| report.amount(&format!("{name}:{what}"));
        Latency {
            name: name.to_string(),
            count: report.count(&format!("{name}:count")),
            p50_us: value("p50_us"),
            p99_us: value("p99_us"),
            p999_us: value("p999_us"),
            max_us: value("max_us"),
        }
    };
    report.groups().into_iter().take(LATENCIES_MAX).map(of).collect()
}

/// The most classes of commands with a latency: each is looked up in the whole report.
const LATENCIES_MAX: usize = 64;

/// Both reports have a row for each class that has ever been used.
fn size_classes(slabs: &Report, items: &Report) -> Vec<SizeClass> {
    let (slabs, items, nothing) = (slabs.rows(""), items.rows("items:"), Row::new());
    let of = |(number, slab): (&u32, &Row<'_>)| {
        let item = items.get(number).unwrap_or(&nothing);
        SizeClass {
            number: *number,
            chunk_bytes: count(slab, "chunk_size"),
            chunks: count(slab, "total_chunks"),
            used_chunks: count(slab, "used_chunks"),
            items: count(item, "number"),
            items_bytes: count(item, "mem_requested"),
            evictions: count(item, "evicted"),
            age_s: count(item, "age"),
        }
    };
    slabs.iter().map(of).collect()
}

impl HotKey {
    fn of(_: u32, row: &Row<'_>) -> HotKey {
        let rate = |name| row.get(name).copied().and_then(amount);
        HotKey {
            key: text(row, "key"),
            per_s: rate("rate"),
            error_per_s: rate("error"),
            shard: count(row, "shard"),
        }
    }
}

impl SlowRequest {
    fn of(_: u32, row: &Row<'_>) -> SlowRequest {
        let number = |name| row.get(name).copied().and_then(amount);
        SlowRequest {
            time_s: number("time"),
            class: text(row, "class"),
            us: number("us"),
            shard: count(row, "shard"),
            client: text(row, "client"),
            key: text(row, "key"),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A server of this kind with two shards; `requests` sets, as many gets, half of them hits.
    pub const RINGCACHED: [&str; ASKS.len()] = [
        "STAT pid 7\r\nSTAT uptime 60\r\nSTAT version 1.6.45\r\nSTAT rusage_user 1.5\r\nSTAT rusage_system 0.5\r\n\
         STAT max_connections 1024\r\nSTAT curr_connections 3\r\nSTAT total_connections 9\r\nSTAT cmd_get 1000\r\nSTAT cmd_set 500\r\n\
         STAT cmd_touch 0\r\nSTAT cmd_meta 0\r\nSTAT get_hits 900\r\nSTAT get_misses 100\r\nSTAT delete_hits 0\r\nSTAT delete_misses 0\r\n\
         STAT incr_hits 0\r\nSTAT incr_misses 0\r\nSTAT decr_hits 0\r\nSTAT decr_misses 0\r\nSTAT cas_hits 0\r\nSTAT cas_misses 0\r\n\
         STAT cas_badval 0\r\nSTAT touch_hits 0\r\nSTAT touch_misses 0\r\nSTAT bytes_read 1000\r\nSTAT bytes_written 2000\r\n\
         STAT limit_maxbytes 67108864\r\nSTAT bytes 33554432\r\nSTAT curr_items 400\r\nSTAT evictions 5\r\nSTAT reclaimed 6\r\n\
         STAT crawler_reclaimed 2\r\nEND\r\n",
        "STAT 0:core 0\r\nSTAT 0:curr_connections 1\r\nSTAT 0:curr_items 100\r\nSTAT 0:bytes 1000\r\nSTAT 0:cmd_local 500\r\n\
         STAT 0:cmd_forwarded 250\r\nSTAT 0:cmd_for_peers 250\r\nSTAT 1:core 1\r\nSTAT 1:curr_connections 2\r\nSTAT 1:curr_items 300\r\n\
         STAT 1:bytes 3000\r\nSTAT 1:cmd_local 500\r\nSTAT 1:cmd_forwarded 250\r\nSTAT 1:cmd_for_peers 250\r\nEND\r\n",
        "STAT get:count 1000\r\nSTAT get:p50_us 12.79\r\nSTAT get:p90_us 138.23\r\nSTAT get:p99_us 5275.64\r\nSTAT get:p999_us 6848.51\r\n\
         STAT get:max_us 1234567.89\r\nEND\r\n",
        "STAT 5:chunk_size 72\r\nSTAT 5:total_chunks 454\r\nSTAT 5:used_chunks 400\r\nSTAT active_slabs 1\r\nEND\r\n",
        "STAT items:5:number 400\r\nSTAT items:5:age 42\r\nSTAT items:5:mem_requested 27000\r\nSTAT items:5:evicted 5\r\nEND\r\n",
        "STAT 0:rate 10.5\r\nSTAT 0:error 0.5\r\nSTAT 0:shard 1\r\nSTAT 0:key user:42\r\nEND\r\n",
        "STAT slow_log_us 100\r\nSTAT seen 1\r\nSTAT 0:time 1795276596.690570\r\nSTAT 0:class get\r\nSTAT 0:us 132.82\r\nSTAT 0:among 1\r\n\
         STAT 0:shard 0\r\nSTAT 0:forwarded yes\r\nSTAT 0:client 127.0.0.1:36588\r\nSTAT 0:key user:7\r\nEND\r\n",
    ];

    /// A sample from the texts of a server's answers.
    pub fn sample(at: Instant, texts: &[&str; ASKS.len()]) -> Sample {
        let mut answers = ASKS.map(|_| Ok(Report::default()));
        for ((ask, text), told) in ASKS.into_iter().zip(texts).zip(&mut answers) {
            let answer = Report::read(&mut text.as_bytes()).expect("well-formed");
            *told = answer.map_err(|answer| Absent { ask, answer });
        }
        Sample::new(at, answers).expect("an answer to `stats`")
    }

    /// memcached knows neither shards nor latency nor keys.
    pub fn memcached() -> [&'static str; ASKS.len()] {
        let mut texts = RINGCACHED;
        for ask in [1, 2, 5, 6] {
            texts[ask] = "ERROR\r\n";
        }
        texts
    }

    #[test]
    fn everything_told_is_there() {
        let sample = sample(Instant::now(), &RINGCACHED);
        assert_eq!(sample.server.pid, Some(7));
        assert_eq!(sample.server.cpu_s, Some(2.0));
        assert_eq!(sample.server.expired, Some(8), "found when memory was needed, and by the crawl");
        let get = Command { name: "get", total: Some(1000), hits: Some(900), is_counted_twice: false };
        assert_eq!(sample.commands[0], get);
        assert_eq!(sample.commands[1].hits, None, "a set cannot miss");
        assert_eq!(sample.shards.as_ref().map(|shards| shards[1].for_peers), Ok(Some(250)));
        let latency = &sample.latency.expect("told")[0];
        assert_eq!(
            (latency.name.as_str(), latency.p50_us, latency.max_us),
            ("get", Some(12.79), Some(1_234_567.89))
        );
        let class = &sample.classes.expect("told")[0];
        assert_eq!(
            (class.number, class.chunk_bytes, class.items_bytes, class.age_s),
            (5, Some(72), Some(27000), Some(42))
        );
        assert_eq!(sample.hot_keys.expect("told")[0].key, "user:42");
        assert_eq!((sample.slow_log_us, sample.slow.expect("told")[0].us), (Some(100), Some(132.82)));
    }

    #[test]
    fn what_a_server_lacks_is_absent() {
        let sample = sample(Instant::now(), &memcached());
        let absent = Absent { ask: "stats shards", answer: "ERROR".to_string() };
        assert_eq!(sample.shards, Err(absent));
        assert!(sample.latency.is_err() && sample.hot_keys.is_err() && sample.slow.is_err());
        assert_eq!(sample.classes.map(|classes| classes.len()), Ok(1));
        assert_eq!(sample.slow_log_us, None);
    }

    #[test]
    fn what_is_not_told_or_no_number_is_absent() {
        let mut texts = RINGCACHED;
        texts[0] = "STAT cmd_get many\r\nSTAT delete_hits 5\r\nEND\r\n";
        texts[3] = "STAT 5:chunk_size x\r\nSTAT 6:chunk_size 96\r\nEND\r\n";
        texts[6] = "STAT 0:us -1\r\nEND\r\n";
        let sample = sample(Instant::now(), &texts);
        assert_eq!(sample.server, Server::default());
        assert!(sample.commands.iter().all(|command| command.total.is_none()));
        let classes = sample.classes.expect("told");
        assert_eq!((classes[0].chunk_bytes, classes[0].items, classes[1].items), (None, Some(400), None));
        let slow = &sample.slow.expect("told")[0];
        assert_eq!((slow.us, slow.key.as_str()), (None, "-"));
    }

    #[test]
    fn without_stats_there_is_no_sample() {
        let answers = ASKS.map(|ask| Err(Absent { ask, answer: "CLIENT_ERROR unauthenticated".to_string() }));
        assert_eq!(
            Sample::new(Instant::now(), answers).map(|_| ()),
            Err("CLIENT_ERROR unauthenticated".to_string())
        );
    }
}
