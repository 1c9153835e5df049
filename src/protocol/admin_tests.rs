//! Administrative commands, row by row. The answers are those of memcached 1.6.45 unless a comment says otherwise.

use super::*;
use crate::protocol::parse;

/// Each line gets this answer at once.
#[track_caller]
fn assert_replies(limits: &Limits, rows: &[(&str, &'static str)]) {
    for (line, text) in rows {
        assert_eq!(parse(line.as_bytes(), limits), Command::Reply(text.as_bytes()), "{line:?}");
    }
}

/// Each line asks for this, to be answered, and with `noreply` behind it unanswered.
#[track_caller]
fn assert_asks(rows: &[(&str, Admin)]) {
    for (line, admin) in rows {
        for (line, noreply) in [(line.to_string(), false), (format!("{line}  noreply "), true)] {
            let expected = Command::Admin { admin: *admin, noreply };
            assert_eq!(parse(line.as_bytes(), &Limits::DEFAULT), expected, "{line:?}");
        }
    }
}

fn only(classes: &[u8]) -> Classes {
    let mut set = Classes::NONE;
    classes.iter().for_each(|class| set.insert(*class));
    set
}

fn watched(kinds: &[WatchKind]) -> Command<'static> {
    let kinds = kinds.iter().fold(WatchKinds::default(), |set, kind| set.with(*kind));
    Command::Admin { admin: Admin::Watch(kinds), noreply: false }
}

#[test]
fn memory_limits() {
    const TOO_SMALL: &str = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
    const NOT_BYTES: &str = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
    assert_asks(&[
        ("cache_memlimit 8", Admin::MemoryLimit { mib: 8 }),
        ("cache_memlimit 64 65", Admin::MemoryLimit { mib: 64 }),
        ("cache_memlimit 1000000000", Admin::MemoryLimit { mib: 1_000_000_000 }),
    ]);
    assert_replies(
        &Limits::DEFAULT,
        &[
            ("cache_memlimit", "ERROR\r\n"),
            ("cache_memlimit noreply", ""),
            ("cache_memlimit x", "ERROR\r\n"),
            ("cache_memlimit -1", "ERROR\r\n"),
            ("cache_memlimit 4294967296", "ERROR\r\n"),
            ("cache_memlimit 7", TOO_SMALL),
            ("cache_memlimit 7 noreply", ""),
            ("cache_memlimit 1000000001", NOT_BYTES),
            ("cache_memlimit 4294967295", NOT_BYTES),
        ],
    );
}

#[test]
fn the_crawler() {
    const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
    assert_asks(&[
        ("lru_crawler enable", Admin::NoEffect("lru_crawler enable|disable")),
        ("lru_crawler disable", Admin::NoEffect("lru_crawler enable|disable")),
        ("lru_crawler sleep 0", Admin::NoEffect("lru_crawler sleep")),
        ("lru_crawler sleep 1000000", Admin::NoEffect("lru_crawler sleep")),
        ("lru_crawler tocrawl 4294967295", Admin::NoEffect("lru_crawler tocrawl")),
        ("lru_crawler crawl all", Admin::Crawl(Classes::ALL)),
        ("lru_crawler crawl 1,,02,", Admin::Crawl(only(&[1, 2]))),
    ]);
    assert_replies(
        &Limits::DEFAULT,
        &[
            ("lru_crawler", "ERROR\r\n"),
            ("lru_crawler noreply", ""),
            ("lru_crawler enable x", "ERROR\r\n"),
            ("lru_crawler sleep", "ERROR\r\n"),
            ("lru_crawler sleep 5 6", "ERROR\r\n"),
            ("lru_crawler sleep x", BAD_FORMAT),
            ("lru_crawler sleep -1", BAD_FORMAT),
            ("lru_crawler sleep 1000001", "CLIENT_ERROR sleep must be one second or less\r\n"),
            ("lru_crawler tocrawl 4294967296", BAD_FORMAT),
            ("lru_crawler tocrawl", "ERROR\r\n"),
            ("lru_crawler crawl", "ERROR\r\n"),
            ("lru_crawler crawl 1 2", "ERROR\r\n"),
            ("lru_crawler crawl hash", "ERROR an unknown error happened\r\n"),
            ("lru_crawler crawl ,", "NOTSTARTED no items to crawl\r\n"),
            ("lru_crawler bogus x", "ERROR\r\n"),
            ("lru_crawler bogus noreply", ""),
            // memcached takes it as `metadump`.
            ("lru_crawler m all", "ERROR\r\n"),
        ],
    );
    for classes in ["0", "256", "x", "1,x", "1x", "-1", "al", "allx"] {
        let line = format!("lru_crawler crawl {classes}");
        let expected = Command::Reply(b"BADCLASS invalid class id\r\n");
        assert_eq!(parse(line.as_bytes(), &Limits::DEFAULT), expected, "{line}");
    }
}

#[test]
fn dumps() {
    for (word, form, forbidden) in [
        ("metadump", DumpForm::Meta, "ERROR metadump not allowed\r\n"),
        ("mgdump", DumpForm::MetaGet, "ERROR key dump not allowed\r\n"),
    ] {
        let line = |rest: &str| format!("lru_crawler {word}{rest}");
        for (rest, classes) in [(" all", Classes::ALL), (" hash", Classes::ALL), (" 1,255 ", only(&[1, 255]))]
        {
            let expected = Command::Admin { admin: Admin::Dump { form, classes }, noreply: false };
            assert_eq!(parse(line(rest).as_bytes(), &Limits::DEFAULT), expected, "{rest}");
        }
        assert_replies(
            &Limits::DEFAULT,
            &[
                (&line(""), "ERROR\r\n"),
                (&line(" all x"), "ERROR\r\n"),
                (&line(" all noreply"), ""),
                (&line(" noreply"), ""),
                (&line(" 0"), "BADCLASS invalid class id\r\n"),
                (&line(" hashx"), "BADCLASS invalid class id\r\n"),
                (&line(" ,"), "NOTSTARTED no items to crawl\r\n"),
            ],
        );
        assert_replies(
            &Limits { dumping_allowed: false, ..Limits::DEFAULT },
            &[
                (&line(""), "ERROR\r\n"),
                (&line(" all x"), "ERROR\r\n"),
                (&line(" all"), forbidden),
                (&line(" x"), forbidden),
                (&line(" all noreply"), ""),
            ],
        );
    }
}

#[test]
fn sets_of_classes() {
    let classes = only(&[1, 63, 64, 255]);
    let contained: Vec<u8> = (0..=255).filter(|class| classes.contains(*class)).collect();
    assert_eq!(contained, [1, 63, 64, 255]);
    assert!((1..=255).all(|class| Classes::ALL.contains(class)));
}

#[test]
fn lru() {
    const SHARES: &str = "ERROR hot and warm pcts must not exceed 80\r\n";
    const FACTORS: &str = "ERROR hot/warm age factors must be greater than 0\r\n";
    assert_asks(&[
        ("lru tune 10 20 0.5 1", Admin::NoEffect("lru tune")),
        ("lru tune 40 40 .5 1e1 x", Admin::NoEffect("lru tune")),
        ("lru mode flat x", Admin::NoEffect("lru mode")),
        ("lru mode segmented", Admin::NoEffect("lru mode")),
        ("lru temp_ttl -1 x", Admin::NoEffect("lru temp_ttl")),
        ("lru temp_ttl 2147483647", Admin::NoEffect("lru temp_ttl")),
    ]);
    let errors = ["", " tune", " tune 10 20 0.5", " tune x 20 1 1", " tune 10 20 1 1x", " tune -1 20 1 1"];
    let more = [" tune 4294967296 2 1 1", " mode", " mode x", " temp_ttl", " temp_ttl x"];
    let range = [" temp_ttl 2147483648", " temp_ttl -2147483649", " temp_ttl +5", " bogus x", " m flat"];
    for rest in errors.into_iter().chain(more).chain(range) {
        assert_replies(
            &Limits::DEFAULT,
            &[(&format!("lru{rest}"), "ERROR\r\n"), (&format!("lru{rest} noreply"), "")],
        );
    }
    assert_replies(
        &Limits::DEFAULT,
        &[
            ("lru tune 81 0 1 1", SHARES),
            ("lru tune 40 41 0.5 1", SHARES),
            ("lru tune 10 20 0 1", FACTORS),
            ("lru tune 10 20 1 -1", FACTORS),
            // The sum wraps in memcached, and is fine.
            ("lru tune 4294967295 2 1 1", SHARES),
        ],
    );
}

#[test]
fn slabs() {
    const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
    const BAD_CLASS: &str = "BADCLASS invalid src or dst class id\r\n";
    const WINDOW: &str = "CLIENT_ERROR automove window too low or too high\r\n";
    let (reassign, automove) = (Admin::NoEffect("slabs reassign"), Admin::NoEffect("slabs automove"));
    assert_asks(&[
        // memcached looks whether there are pages to spare, and mostly there are none.
        ("slabs reassign 1 2", reassign),
        ("slabs reassign -1 255", reassign),
        ("slabs reassign 1 0", reassign),
        ("slabs automove 0 0 0", automove),
        ("slabs automove 2", automove),
        ("slabs automove ratio 0.5 x", automove),
        ("slabs automove freeratio -1", automove),
        ("slabs automove window 3", automove),
        ("slabs automove window 1800 x", automove),
    ]);
    assert_replies(
        &Limits::DEFAULT,
        &[
            ("slabs", "ERROR\r\n"),
            ("slabs noreply", ""),
            ("slabs bogus x", "ERROR\r\n"),
            ("slabs reassign", "ERROR\r\n"),
            ("slabs reassign 1", "ERROR\r\n"),
            ("slabs reassign 1 2 3", "ERROR\r\n"),
            ("slabs reassign x 1", BAD_FORMAT),
            ("slabs reassign 1 x", BAD_FORMAT),
            ("slabs reassign 1 1", "SAME src and dst class are identical\r\n"),
            ("slabs reassign -2 1", BAD_CLASS),
            ("slabs reassign 1 -1", BAD_CLASS),
            ("slabs reassign 256 1", BAD_CLASS),
            ("slabs automove", "ERROR\r\n"),
            ("slabs automove noreply", ""),
            ("slabs automove 3", "ERROR\r\n"),
            ("slabs automove -1", BAD_FORMAT),
            ("slabs automove 1x", BAD_FORMAT),
            ("slabs automove ratio", "ERROR\r\n"),
            ("slabs automove freeratio x", "ERROR\r\n"),
            ("slabs automove window", BAD_FORMAT),
            ("slabs automove window x", BAD_FORMAT),
            ("slabs automove window 2", WINDOW),
            ("slabs automove window 1801", WINDOW),
        ],
    );
}

#[test]
fn watching() {
    use WatchKind::*;
    for (line, kinds) in [
        ("watch", &[Fetchers][..]),
        ("watch fetchers  fetchers ", &[Fetchers]),
        ("watch mutations evictions", &[Mutations, Evictions]),
        ("watch connevents deletions sysevents", &[ConnEvents, Deletions, SysEvents]),
        ("watch proxyreqs proxyevents proxyuser rawcmds", &[]),
    ] {
        assert_eq!(parse(line.as_bytes(), &Limits::DEFAULT), watched(kinds), "{line}");
    }
    // memcached takes the second as `evictions`.
    for line in ["watch bogus", "watch e", "watch fetchers bogus", "watch noreply", "watch fetchers noreply"]
    {
        assert_replies(&Limits::DEFAULT, &[(line, "ERROR\r\n")]);
        let forbidden = Limits { watch_allowed: false, ..Limits::DEFAULT };
        assert_replies(&forbidden, &[(line, "CLIENT_ERROR watch commands not allowed\r\n")]);
    }
}

#[test]
fn sets_of_kinds() {
    let kinds = WatchKinds::default().with(WatchKind::Fetchers).with(WatchKind::SysEvents);
    assert!(kinds.contains(WatchKind::Fetchers) && kinds.contains(WatchKind::SysEvents));
    assert!(!kinds.contains(WatchKind::Mutations) && !kinds.contains(WatchKind::Deletions));
}

#[test]
fn nodes_are_asked_for_in_three_words() {
    let asked = Command::Admin { admin: Admin::Nodes, noreply: false };
    for line in ["config get cluster", "config  get cluster "] {
        assert_eq!(parse(line.as_bytes(), &Limits::DEFAULT), asked);
    }
    assert_replies(
        &Limits::DEFAULT,
        &[
            ("config get cluster noreply", ""),
            ("config", "ERROR\r\n"),
            ("config get", "ERROR\r\n"),
            ("config get other", "ERROR\r\n"),
            ("config get cluster x", "ERROR\r\n"),
            ("config set cluster 0 1", "ERROR\r\n"),
        ],
    );
}
