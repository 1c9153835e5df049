//! Which rows `docs/compatibility.md` must have: everything memcached 1.6.45 has, from the lists below, and everything
//! this server has, from its own tables of options and from the verbs its parsers match.

use std::collections::HashSet;

use ringcached::options::extended::KEYS;
use ringcached::options::table::TABLE;

use super::page::Page;

/// Text commands with their sub-commands.
const COMMANDS: &str = "set add replace append prepend cas get gets gat gats touch delete incr decr flush_all version
    verbosity quit shutdown cache_memlimit refresh_certs misbehave debugtime debugitem
    mg ms md ma mn me
    stats|stats settings|stats items|stats slabs|stats sizes|stats conns|stats reset|stats detail on|stats detail off
    |stats detail dump|stats cachedump|stats extstore|stats proxy|stats proxyfuncs|stats proxybe
    |lru_crawler enable|lru_crawler disable|lru_crawler sleep|lru_crawler tocrawl|lru_crawler crawl
    |lru_crawler metadump|lru_crawler mgdump|lru tune|lru mode|lru temp_ttl|slabs reassign|slabs automove
    |extstore item_size|extstore item_age|extstore low_ttl|extstore recache_rate|extstore compact_under
    |extstore drop_under|extstore max_sleep|extstore max_frag|extstore drop_unread|extstore free_memchunks
    |watch|watch fetchers|watch mutations|watch evictions|watch connevents|watch deletions|watch proxyreqs
    |watch proxyevents|watch proxyuser|watch rawcmds|watch sysevents";

/// The flags that do something, by command; all of them are accepted by every command.
const META_FLAGS: [(&str, &str); 4] =
    [("mg", "bcCEfhklNOqRstTuv"), ("ms", "bcCEFIkMNOqsT"), ("md", "bCEFIkOqTx"), ("ma", "bcCDEJkMNOqtTv")];

/// The modes of `M`.
const META_MODES: [(&str, &str); 2] = [("ms", "SEAPR"), ("ma", "ID+-")];

/// Opcodes of the binary protocol.
const OPCODES: [(u8, u8); 4] = [(0x00, 0x1a), (0x1c, 0x1e), (0x20, 0x24), (0x1b, 0x1b)];

/// Letters of the command line.
const LETTERS: &str = "aApsUmMchikvVdrltuDfnRCbBFXWISZoYeLPN";

/// Long names, those that memcached's help shows and those it does not.
const LONG_NAMES: &str = "unix-mask enable-shutdown port unix-socket udp-port memory-limit disable-evictions conn-limit
    lock-memory help license version enable-coredumps verbose daemon listen user pidfile threads slab-growth-factor
    slab-min-size max-reqs-per-event disable-cas listen-backlog protocol max-item-size enable-sasl disable-flush-all
    disable-dumping disable-watch auth-file memory-file enable-ssl extended enable-largepages napi-ids";

/// Keys of `-o`.
const EXTENDED_KEYS: &str = "maxconns_fast no_maxconns_fast hashpower no_hashexpand slab_reassign no_slab_reassign
    slab_automove no_slab_automove slab_automove_ratio slab_automove_window slab_automove_freeratio tail_repair_time
    hash_algorithm lru_crawler no_lru_crawler lru_crawler_sleep lru_crawler_tocrawl lru_maintainer no_lru_maintainer
    hot_lru_pct warm_lru_pct hot_max_factor warm_max_factor temporary_ttl idle_timeout watcher_logbuf_size
    worker_logbuf_size slab_sizes slab_chunk_max no_chunked_items track_sizes inline_ascii_resp no_inline_ascii_resp
    modern no_modern drop_privileges no_drop_privileges resp_obj_mem_limit read_buf_mem_limit relaxed_privileges
    sock_cookie_id ssl_chain_cert ssl_key ssl_ca_cert ssl_keyformat ssl_verify_mode ssl_ciphers ssl_wbuf_size
    ssl_session_cache ssl_kernel_tls ssl_min_version ext_path ext_page_size ext_wbuf_size ext_threads ext_io_depth
    ext_item_size ext_item_age ext_recache_rate ext_low_ttl ext_drop_unread ext_compact_under ext_drop_under
    ext_max_frag ext_max_sleep proxy_config proxy_arg proxy_uring proxy_memprofile";

/// Prefixes of an address of `-l`.
const LISTEN_PREFIXES: &str =
    "notls: btls: mtls: proto[ascii]: proto[binary]: proto[negotiating]: proto[proxy]: tag[";

/// A complaint for every row that is not there.
pub fn missing(page: &Page) -> Vec<String> {
    let requests: HashSet<&str> = page.requests.iter().map(|row| row.name.as_str()).collect();
    let options: HashSet<&str> =
        page.options.iter().flat_map(|row| &row.names).map(|name| bare(name)).collect();
    let words: HashSet<&str> = requests.iter().flat_map(|name| name.split(' ')).collect();
    let wanted = commands().chain(meta_flags()).filter(|name| !requests.contains(name.as_str()));
    let opcodes = opcodes().filter(|hex| !words.contains(hex.as_str()));
    let verbs = parser_verbs().into_iter().filter(|verb| !words.contains(verb.as_str()));
    let wanted_options =
        memcached_options().chain(our_options()).filter(|name| !options.contains(name.as_str()));
    let complaints = wanted.chain(opcodes).chain(verbs).chain(wanted_options);
    complaints.collect::<HashSet<_>>().into_iter().map(|name| format!("no row of {name}")).collect()
}

/// A name of the first column without what it takes: `hashpower=n`, `slab_automove[=n]`.
fn bare(name: &str) -> &str {
    if name.starts_with('-') { name } else { name.split(['=', '[']).next().unwrap_or_default() }
}

fn commands() -> impl Iterator<Item = String> {
    let (verbs, phrases) = COMMANDS.split_once("stats|").expect("the phrases begin with stats");
    let phrases = phrases.split('|').map(|phrase| phrase.trim().to_string());
    verbs.split_whitespace().map(String::from).chain(["stats".into()]).chain(phrases)
}

fn meta_flags() -> impl Iterator<Item = String> {
    let flags =
        META_FLAGS.into_iter().flat_map(|(verb, flags)| flags.chars().map(move |f| format!("{verb} {f}")));
    let modes =
        META_MODES.into_iter().flat_map(|(verb, modes)| modes.chars().map(move |m| format!("{verb} M{m}")));
    flags.filter(|name| !name.ends_with('M')).chain(modes)
}

fn opcodes() -> impl Iterator<Item = String> {
    OPCODES.into_iter().flat_map(|(first, last)| first..=last).map(|opcode| format!("0x{opcode:02x}"))
}

fn memcached_options() -> impl Iterator<Item = String> {
    let letters = LETTERS.chars().map(|letter| format!("-{letter}"));
    let names = LONG_NAMES.split_whitespace().map(|name| format!("--{name}"));
    let keys = EXTENDED_KEYS.split_whitespace().map(String::from);
    let prefixes = LISTEN_PREFIXES.split_whitespace().map(|prefix| match prefix.strip_suffix('[') {
        Some(word) => format!("-l {word}[name]:"),
        None => format!("-l {prefix}"),
    });
    letters.chain(names).chain(keys).chain(prefixes)
}

/// What `ringcached -h` lists, which is made from the same tables.
fn our_options() -> impl Iterator<Item = String> {
    let names = TABLE.iter().flat_map(|spec| {
        let letter = spec.short.map(|letter| format!("-{letter}"));
        letter.into_iter().chain([format!("--{}", spec.long)])
    });
    names.chain(KEYS.iter().map(|key| key.word.to_string()))
}

/// The words the parsers compare with: every arm `b"word" =>` of a `match` below src/protocol.
fn parser_verbs() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocol");
    let mut verbs = Vec::new();
    for entry in std::fs::read_dir(folder).expect("src/protocol") {
        let path = entry.expect("folder entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            verbs.extend(arms(&std::fs::read_to_string(&path).expect("source text")));
        }
    }
    assert!(verbs.len() >= 20, "only {} verbs found in {folder}: has the parser another form?", verbs.len());
    verbs
}

/// The words of the arms in one file, its tests left out.
fn arms(text: &str) -> Vec<String> {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let patterns = product.lines().filter_map(|line| line.trim().split_once(" =>"));
    let literals = patterns.flat_map(|(pattern, _)| pattern.split('|')).map(str::trim);
    let words = literals.filter_map(|literal| literal.strip_prefix("b\"")?.strip_suffix('"'));
    let verb =
        |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    words.filter(verb).map(String::from).collect()
}

#[test]
fn a_page_without_rows_misses_everything() {
    let complaints = missing(&Page::default());
    for name in [
        "set",
        "stats",
        "stats detail dump",
        "ms MA",
        "mg R",
        "0x24",
        "-p",
        "--port",
        "ext_path",
        "-l tag[name]:",
    ] {
        assert!(complaints.contains(&format!("no row of {name}")), "{name} is not missed");
    }
    assert!(complaints.contains(&"no row of --cores".into()), "an option of our own is not missed");
}

#[test]
fn arms_of_a_match_are_found() {
    let text = "match verb {\n    b\"get\" => a,\n    b\"on\" | b\"off_x\" => b,\n    b\"Q\" => c,\n    _ => d\n}\n\
                #[cfg(test)]\nmod tests {\n    b\"fake\" => 1\n}\n";
    assert_eq!(arms(text), ["get", "on", "off_x"]);
}
