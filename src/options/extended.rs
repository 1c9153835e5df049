//! `-o`: memcached's extended options, a second table. A key that means nothing here is accepted with a warning that
//! says why, so that a command line written for memcached starts; a key nobody knows is refused.

use super::error::OptionError;

/// One key of `-o`.
#[derive(Debug)]
pub struct KeySpec {
    /// The word before the `=`.
    pub word: &'static str,
    /// The value's name, empty if it takes none, in brackets if it may be left out.
    pub value: &'static str,
    /// The number it takes, if it works and takes one.
    pub number: Option<Number>,
    /// What giving it does.
    pub effect: Effect,
    /// What it does where it works, otherwise why it does nothing.
    pub note: &'static str,
}

/// A number that a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// What is counted.
    pub unit: &'static str,
    /// The smallest allowed.
    pub min: u32,
    /// The largest allowed.
    pub max: u32,
    /// What holds without; memcached's.
    pub default: u32,
}

impl Number {
    /// What it must be, to go after "must be".
    pub fn allowed(&self) -> String {
        format!("a number of {} from {} to {}", self.unit, self.min, self.max)
    }
}

/// What giving a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What to do with a connection above the limit, as in memcached.
    MaxconnsFast(bool),
    /// When to close an idle connection, as in memcached.
    IdleTimeout,
    /// How much may wait to be sent to one watcher, as in memcached.
    WatcherLog,
    /// How much a shard may have logged for the watchers, as in memcached.
    WorkerLog,
    /// Whether system calls that are not in use are refused after the start, as in memcached.
    DropPrivileges(bool),
    /// It asks for what is the case anyway.
    Already,
    /// It is accepted with a warning.
    Nothing,
    /// It would make the server something this version is not.
    Refused,
}

impl KeySpec {
    /// Does it do here what it does in memcached?
    pub fn works(&self) -> bool {
        !matches!(self.effect, Effect::Already | Effect::Nothing | Effect::Refused)
    }

    /// Does this word of `-o` set what this key sets?
    pub fn is_set_by(&self, word: &str) -> bool {
        let name = word.split('=').next().unwrap_or_default();
        let other = KEYS.iter().find(|key| key.word == name);
        // `no_maxconns_fast` sets what `maxconns_fast` does. Those without an effect have nothing in common.
        let same =
            |other: &KeySpec| std::mem::discriminant(&other.effect) == std::mem::discriminant(&self.effect);
        self.works() && other.is_some_and(same)
    }

    /// The key that this one says no to.
    pub fn negated(&self) -> Option<&'static str> {
        let says_no = matches!(self.effect, Effect::MaxconnsFast(false) | Effect::DropPrivileges(false));
        self.word.strip_prefix("no_").filter(|_| says_no)
    }

    /// Whether it holds without being given.
    pub fn is_default(&self) -> bool {
        let defaults = Extended::default();
        match self.effect {
            Effect::MaxconnsFast(fast) => fast == defaults.maxconns_fast,
            Effect::DropPrivileges(drop) => drop == defaults.drop_privileges,
            _ => false,
        }
    }

    /// What it does, and the default of its number.
    pub fn note_and_default(&self) -> String {
        match self.number {
            Some(number) => format!("{} [{}]", self.note, number.default),
            None => self.note.to_string(),
        }
    }

    /// `idle_timeout=s`.
    pub fn usage(&self) -> String {
        match (self.value.is_empty(), self.value.starts_with('[')) {
            (true, _) => self.word.to_string(),
            (false, true) => format!("{}{}", self.word, self.value),
            (false, false) => format!("{}={}", self.word, self.value),
        }
    }
}

/// What the keys that work set, each with memcached's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// Close a TCP connection idle for this many seconds; 0 = never.
    pub idle_timeout_s: u32,
    /// Refuse a connection above the limit at once; otherwise leave it waiting until there is room.
    pub maxconns_fast: bool,
    /// The buffer of one watcher, in bytes.
    pub watcher_log_bytes: usize,
    /// The log buffer of one shard, in bytes.
    pub worker_log_bytes: usize,
    /// Refuse the system calls that a running server does not make.
    pub drop_privileges: bool,
}

impl Default for Extended {
    fn default() -> Self {
        Extended {
            idle_timeout_s: IDLE_TIMEOUT.default,
            maxconns_fast: true,
            watcher_log_bytes: kib(WATCHER_LOG.default),
            worker_log_bytes: kib(WORKER_LOG.default),
            drop_privileges: false,
        }
    }
}

/// `idle_timeout`; the most is what memcached's int holds.
const IDLE_TIMEOUT: Number = Number { unit: "seconds", min: 0, max: i32::MAX as u32, default: 0 };

/// `watcher_logbuf_size`: room for some lines, and no more than 64 MiB for each watcher.
const WATCHER_LOG: Number = Number { unit: "KiB", min: 1, max: 64 << 10, default: 256 };

/// `worker_logbuf_size`: the same for each shard.
const WORKER_LOG: Number = Number { unit: "KiB", min: 1, max: 64 << 10, default: 64 };

impl Extended {
    /// Applies the words of one `-o`, collecting warnings. Empty words are skipped, as getsubopt skips a final comma.
    pub fn apply(&mut self, text: &str, warnings: &mut Vec<String>) -> Result<(), OptionError> {
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let Some(key) = KEYS.iter().find(|key| key.word == name) else {
                return Err(OptionError::IllegalSuboption(word.to_string()));
            };
            match key.effect {
                Effect::MaxconnsFast(fast) => self.maxconns_fast = fast,
                Effect::IdleTimeout => self.idle_timeout_s = number(key, value, &IDLE_TIMEOUT)?,
                Effect::WatcherLog => self.watcher_log_bytes = kib(number(key, value, &WATCHER_LOG)?),
                Effect::WorkerLog => self.worker_log_bytes = kib(number(key, value, &WORKER_LOG)?),
                Effect::DropPrivileges(drop) => self.drop_privileges = drop,
                Effect::Already => {}
                Effect::Nothing => warnings.push(format!("-o {name} has no effect: {}", key.note)),
                Effect::Refused => {
                    return Err(OptionError::Unsupported { option: format!("-o {name}"), remedy: key.note });
                }
            }
        }
        Ok(())
    }
}

/// KiB in bytes.
const fn kib(number: u32) -> usize {
    (number as usize) << 10
}

/// The value of a key that takes a number.
fn number(key: &KeySpec, value: Option<&str>, limits: &Number) -> Result<u32, OptionError> {
    let option = format!("-o {}", key.usage());
    let Some(value) = value else { return Err(OptionError::MissingValue { option }) };
    let number = value.parse().ok().filter(|number| (limits.min..=limits.max).contains(number));
    number.ok_or_else(|| OptionError::Value { option, value: value.to_string(), allowed: limits.allowed() })
}

const fn already(word: &'static str, note: &'static str) -> KeySpec {
    KeySpec { word, value: "", number: None, effect: Effect::Already, note }
}

const fn nothing(word: &'static str, value: &'static str, note: &'static str) -> KeySpec {
    KeySpec { word, value, number: None, effect: Effect::Nothing, note }
}

const fn refused(word: &'static str, value: &'static str, note: &'static str) -> KeySpec {
    KeySpec { word, value, number: None, effect: Effect::Refused, note }
}

const TABLE_GROWS: &str = "the hash table starts small and grows by itself";
const PAGES_MOVE: &str = "pages always move to the slab classes that need them";
const OWN_EVICTION: &str = "eviction is S3-FIFO over all slab classes, without LRU segments";
const OWN_CRAWL: &str = "overdue items are always found by a crawl that paces itself";
const FINE_CLASSES: &str = "slab classes follow from -f, -n and -I";
const NO_TLS: &str = "there is no TLS in this version";
const NO_SECOND_TIER: &str = "there is no second tier on disk in this version, items are kept in memory only";
const NO_PROXY: &str = "run mcrouter, twemproxy or memcached's own proxy in front of it";

/// Every key memcached 1.6.45 knows, in the order of its source.
pub const KEYS: &[KeySpec] = &[
    KeySpec {
        word: "maxconns_fast",
        value: "",
        number: None,
        effect: Effect::MaxconnsFast(true),
        note: "close a connection above -c at once, with an error [on]",
    },
    KeySpec {
        word: "no_maxconns_fast",
        value: "",
        number: None,
        effect: Effect::MaxconnsFast(false),
        note: "stop accepting at -c instead",
    },
    nothing("hashpower", "n", TABLE_GROWS),
    nothing("no_hashexpand", "", TABLE_GROWS),
    nothing("slab_reassign", "", PAGES_MOVE),
    nothing("no_slab_reassign", "", PAGES_MOVE),
    nothing("slab_automove", "[=n]", PAGES_MOVE),
    nothing("no_slab_automove", "", PAGES_MOVE),
    nothing("slab_automove_ratio", "x", PAGES_MOVE),
    nothing("slab_automove_window", "n", PAGES_MOVE),
    nothing("slab_automove_freeratio", "x", PAGES_MOVE),
    nothing("tail_repair_time", "s", "no item can get stuck: one thread owns it"),
    nothing(
        "hash_algorithm",
        "name",
        "keys are hashed with a seed of this process, so that no client can aim at a bucket",
    ),
    nothing("lru_crawler", "", OWN_CRAWL),
    nothing("no_lru_crawler", "", OWN_CRAWL),
    nothing("lru_crawler_sleep", "us", OWN_CRAWL),
    nothing("lru_crawler_tocrawl", "n", OWN_CRAWL),
    nothing("lru_maintainer", "", OWN_EVICTION),
    nothing("no_lru_maintainer", "", OWN_EVICTION),
    nothing("hot_lru_pct", "n", OWN_EVICTION),
    nothing("warm_lru_pct", "n", OWN_EVICTION),
    nothing("hot_max_factor", "x", OWN_EVICTION),
    nothing("warm_max_factor", "x", OWN_EVICTION),
    nothing("temporary_ttl", "s", OWN_EVICTION),
    KeySpec {
        word: "idle_timeout",
        value: "s",
        number: Some(IDLE_TIMEOUT),
        effect: Effect::IdleTimeout,
        note: "close a client idle for so many seconds; 0 = never",
    },
    KeySpec {
        word: "watcher_logbuf_size",
        value: "KiB",
        number: Some(WATCHER_LOG),
        effect: Effect::WatcherLog,
        note: "log lines that may wait to be sent to one watcher",
    },
    KeySpec {
        word: "worker_logbuf_size",
        value: "KiB",
        number: Some(WORKER_LOG),
        effect: Effect::WorkerLog,
        note: "log lines that may wait on one shard for the watchers",
    },
    nothing("slab_sizes", "a-b-c", FINE_CLASSES),
    nothing("slab_chunk_max", "KiB", FINE_CLASSES),
    nothing("no_chunked_items", "", FINE_CLASSES),
    nothing("track_sizes", "", "sizes are not tracked item by item"),
    already("inline_ascii_resp", "nothing, as in memcached"),
    already("no_inline_ascii_resp", "nothing, as in memcached"),
    already("modern", "nothing, as in memcached"),
    nothing("no_modern", "", "memcached 1.4's defaults are not copied"),
    KeySpec {
        word: "drop_privileges",
        value: "",
        number: None,
        effect: Effect::DropPrivileges(true),
        note: "once it serves, refuse every system call that a running server does not make",
    },
    KeySpec {
        word: "no_drop_privileges",
        value: "",
        number: None,
        effect: Effect::DropPrivileges(false),
        note: "refuse none [on]",
    },
    nothing("resp_obj_mem_limit", "n", "deprecated by memcached too"),
    nothing(
        "read_buf_mem_limit",
        "MiB",
        "idle connections hold no buffer, and each shard's buffers are limited from the start",
    ),
    nothing("sock_cookie_id", "n", "sockets are not tagged"),
    nothing("ssl_chain_cert", "file", NO_TLS),
    nothing("ssl_key", "file", NO_TLS),
    nothing("ssl_verify_mode", "n", NO_TLS),
    nothing("ssl_keyformat", "n", NO_TLS),
    nothing("ssl_ciphers", "list", NO_TLS),
    nothing("ssl_ca_cert", "file", NO_TLS),
    nothing("ssl_wbuf_size", "KiB", NO_TLS),
    nothing("ssl_session_cache", "", NO_TLS),
    nothing("ssl_kernel_tls", "", NO_TLS),
    nothing("ssl_min_version", "n", NO_TLS),
    nothing("ext_path", "file:size", NO_SECOND_TIER),
    nothing("ext_page_size", "MiB", NO_SECOND_TIER),
    nothing("ext_wbuf_size", "MiB", NO_SECOND_TIER),
    nothing("ext_threads", "n", NO_SECOND_TIER),
    nothing("ext_io_depth", "n", NO_SECOND_TIER),
    nothing("ext_item_size", "bytes", NO_SECOND_TIER),
    nothing("ext_item_age", "s", NO_SECOND_TIER),
    nothing("ext_low_ttl", "s", NO_SECOND_TIER),
    nothing("ext_recache_rate", "n", NO_SECOND_TIER),
    nothing("ext_compact_under", "pages", NO_SECOND_TIER),
    nothing("ext_drop_under", "pages", NO_SECOND_TIER),
    nothing("ext_max_sleep", "us", NO_SECOND_TIER),
    nothing("ext_max_frag", "x", NO_SECOND_TIER),
    nothing("ext_drop_unread", "", NO_SECOND_TIER),
    refused("proxy_config", "file", NO_PROXY),
    refused("proxy_arg", "x", NO_PROXY),
    refused("proxy_uring", "", NO_PROXY),
    refused("proxy_memprofile", "", NO_PROXY),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(texts: &[&str]) -> Result<(Extended, Vec<String>), OptionError> {
        let mut extended = Extended::default();
        let mut warnings = Vec::new();
        for text in texts {
            extended.apply(text, &mut warnings)?;
        }
        Ok((extended, warnings))
    }

    #[test]
    fn working_keys_are_applied_and_the_last_counts() {
        let (extended, warnings) = apply(&["idle_timeout=5,no_maxconns_fast", "idle_timeout=60,"]).unwrap();
        let expected = Extended { idle_timeout_s: 60, maxconns_fast: false, ..Extended::default() };
        assert_eq!(extended, expected);
        assert!(warnings.is_empty());
        let (extended, _) = apply(&["watcher_logbuf_size=1,worker_logbuf_size=65536"]).unwrap();
        assert_eq!((extended.watcher_log_bytes, extended.worker_log_bytes), (1024, 64 << 20));
        assert!(apply(&["no_maxconns_fast,maxconns_fast"]).unwrap().0.maxconns_fast);
        assert!(apply(&["drop_privileges"]).unwrap().0.drop_privileges);
        assert!(!apply(&["drop_privileges,no_drop_privileges"]).unwrap().0.drop_privileges);
    }

    #[test]
    fn keys_without_a_meaning_warn_and_name_themselves() {
        let (extended, warnings) = apply(&["hashpower=20,slab_automove", "ext_path=/x:1g"]).unwrap();
        assert_eq!(extended, Extended::default());
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].starts_with("-o hashpower has no effect: "), "{}", warnings[0]);
        assert_eq!(apply(&["modern,inline_ascii_resp"]).unwrap().1, [""; 0]);
    }

    #[test]
    fn unknown_keys_are_illegal() {
        let error = apply(&["hashpower=20,bogus=1"]).unwrap_err();
        assert_eq!(error.to_string(), "Illegal suboption \"bogus=1\"");
        assert_eq!(error.exit_status(), 1);
        // Debug builds of memcached know it, release builds do not.
        assert_eq!(apply(&["relaxed_privileges"]).unwrap_err().exit_status(), 1);
    }

    #[test]
    fn a_proxy_is_refused_by_name() {
        let error = apply(&["proxy_config=x.lua"]).unwrap_err();
        assert!(error.to_string().starts_with("-o proxy_config: not supported"), "{error}");
        assert_eq!(error.exit_status(), 64);
    }

    #[test]
    fn idle_timeout_refuses_what_is_no_number_of_seconds() {
        for value in ["x", "-1", "2147483648", ""] {
            let error = apply(&[&format!("idle_timeout={value}")]).unwrap_err();
            let sentence =
                format!("-o idle_timeout=s `{value}`: must be a number of seconds from 0 to 2147483647");
            assert_eq!(error.to_string(), sentence);
        }
        assert_eq!(apply(&["idle_timeout"]).unwrap_err().to_string(), "-o idle_timeout=s: needs a value");
    }

    #[test]
    fn log_buffers_have_limits() {
        for value in ["0", "65537", "x", "-1", "1k"] {
            let sentence =
                format!("-o worker_logbuf_size=KiB `{value}`: must be a number of KiB from 1 to 65536");
            let error = apply(&[&format!("worker_logbuf_size={value}")]).unwrap_err();
            assert_eq!((error.to_string(), error.exit_status()), (sentence, 1));
        }
        assert!(apply(&["watcher_logbuf_size"]).is_err());
    }

    #[test]
    fn keys_are_unique() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..i].iter().all(|other| other.word != key.word), "{} twice", key.word);
        }
    }
}
