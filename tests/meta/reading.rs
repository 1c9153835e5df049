//! What mg answers: flags in the request's order, hits and ages, times; which answers q keeps back; and what is counted.

use super::{SLACK_S, converse_about, is_about};
use crate::harness::{Conversation, Server, converse};

on_shards! { flags_in_request_order hits_and_ages times quiet flags_without_meaning debugging counted }

fn flags_in_request_order(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("mg a\r\n", "EN\r\n"),
        ("mg a v k s t f c O1\r\n", "EN ka O1\r\n"),
        ("mg a O1 k\r\n", "EN O1 ka\r\n"),
        ("ms a 3 F7 E9 k s c O1\r\nabc\r\n", "HD ka s3 c9 O1\r\n"),
        ("ms a 3 F7 E9 O1 c k s t f v h l\r\nabc\r\n", "HD O1 c9 ka s3\r\n"),
        ("mg a\r\n", "HD\r\n"),
        ("mg a v\r\n", "VA 3\r\nabc\r\n"),
        ("mg a s k v t f c O1\r\n", "VA 3 s3 ka t-1 f7 c9 O1\r\nabc\r\n"),
        ("mg a O1 c f t k s\r\n", "HD O1 c9 f7 t-1 ka s3\r\n"),
        ("mg  a   f  s  \r\n", "HD f7 s3\r\n"),
        ("mg a f s\n", "HD f7 s3\r\n"),
        ("ma a k\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
        ("ms b 0 F4294967295 E18446744073709551615\r\n\r\n", "HD\r\n"),
        ("mg b v f c s\r\n", "VA 0 f4294967295 c18446744073709551615 s0\r\n\r\n"),
        ("get b\r\n", "VALUE b 4294967295 0\r\n\r\nEND\r\n"),
        ("set a 3 0 1\r\nx\r\nmg a f s v\r\n", "STORED\r\nVA 1 f3 s1\r\nx\r\n"),
        ("md a c s t f v k O1\r\n", "HD ka O1\r\n"),
        ("md a O1 k\r\n", "NF O1 ka\r\n"),
    ];
    converse(shards, &[], conversation);
}

/// What h and l tell, and that u leaves no trace. A store or a count is no hit.
fn hits_and_ages(shards: u32) {
    converse_about(
        shards,
        &[
            ("ms a 1\r\n1\r\n", "HD\r\n"),
            ("mg a h l\r\n", "HD h0 l~0"),
            ("mg a l h\r\n", "HD l~0 h1"),
            ("ms a 1\r\n1\r\n", "HD\r\n"),
            ("mg a u h\r\n", "HD h0\r\n"),
            ("mg a h u v\r\n", "VA 1 h0\r\n1\r\n"),
            ("ma a\r\n", "HD\r\n"),
            ("mg a u h\r\n", "HD h0\r\n"),
            ("mg a v\r\n", "VA 1\r\n2\r\n"),
            ("mg a u h\r\n", "HD h1\r\n"),
            ("ms a 1\r\n1\r\nget a\r\nmg a u h\r\n", "HD\r\nVALUE a 0 1\r\n1\r\nEND\r\nHD h1\r\n"),
            ("ms a 1\r\n1\r\ntouch a 0\r\nmg a u h\r\n", "HD\r\nTOUCHED\r\nHD h1\r\n"),
            ("ms a 1\r\n1\r\nmg a T0\r\nmg a u h\r\n", "HD\r\nHD\r\nHD h1\r\n"),
            ("mg new N0 h\r\n", "HD h0 W\r\n"),
            ("mg new h\r\n", "HD h1 Z\r\n"),
        ],
    );
}

/// T sets, t tells, from left to right.
fn times(shards: u32) {
    converse_about(
        shards,
        &[
            ("mg a T100\r\n", "EN\r\n"),
            ("ms a 1\r\nx\r\n", "HD\r\n"),
            ("mg a t\r\n", "HD t-1\r\n"),
            ("mg a t T1000\r\n", "HD t-1\r\n"),
            ("mg a t\r\n", "HD t~1000"),
            ("mg a T5000 t\r\n", "HD t5000\r\n"),
            ("mg a t T1000 s\r\n", "HD t~5000 s1"),
            ("mg a s T0 t\r\n", "HD s1 t-1\r\n"),
            ("ms a 1 T1000\r\nx\r\n", "HD\r\n"),
            ("mg a t\r\n", "HD t~1000"),
            ("gat 5000 a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n"),
            ("mg a t\r\n", "HD t~5000"),
            // Without T nothing is kept of the time there was.
            ("ms a 1\r\nx\r\n", "HD\r\n"),
            ("mg a t\r\n", "HD t-1\r\n"),
            ("ms a 1 T1000\r\nx\r\nms a 1 MR\r\nx\r\nmg a t\r\n", "HD\r\nHD\r\nHD t-1\r\n"),
            ("mg a T-1\r\n", "HD\r\n"),
            ("mg a\r\n", "EN\r\n"),
            ("ms a 1 T-1\r\nx\r\n", "HD\r\n"),
            ("mg a\r\n", "EN\r\n"),
            // Above 30 days a time is a date: one in 1970.
            ("ms a 1 T2592001\r\nx\r\nmg a\r\n", "HD\r\nEN\r\n"),
            ("ms a 1 T2592000\r\nx\r\n", "HD\r\n"),
            ("mg a t\r\n", "HD t~2592000"),
        ],
    );
}

/// Which answers q keeps back. What follows on the line shows that nothing was answered before it.
fn quiet(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("mg a q\r\nmn\r\n", "MN\r\n"),
        ("mg a q v k O1\r\nmn\r\n", "MN\r\n"),
        ("ms a 1 q k O1\r\nx\r\nmn\r\n", "MN\r\n"),
        ("mg a q\r\n", "HD\r\n"),
        ("mg a q v k\r\n", "VA 1 ka\r\nx\r\n"),
        ("mg a q C0 x\r\n", "HD\r\n"),
        ("mg a q v v\r\n", "CLIENT_ERROR duplicate flag\r\n"),
        ("mg new N0 q\r\n", "HD W\r\n"),
        ("ms a 1 q ME k O1\r\nx\r\n", "NS ka O1\r\n"),
        ("ms a 1 q MR\r\nx\r\nmn\r\n", "MN\r\n"),
        ("ms a 1 q MA\r\nx\r\nmn\r\n", "MN\r\n"),
        ("ms a 1 q C1 k\r\nx\r\n", "EX ka\r\n"),
        ("ms nope 1 q C1\r\nx\r\n", "NF\r\n"),
        ("ms nope 1 q MA\r\nx\r\n", "NS\r\n"),
        ("ms a 1 q Mx\r\nx\r\n", "CLIENT_ERROR invalid mode for ms M token\r\n"),
        ("ms a 1 q\r\nxyz", "CLIENT_ERROR bad data chunk\r\n"),
        ("md a C1 q k\r\n", "EX ka\r\n"),
        ("md a I q\r\nmn\r\n", "MN\r\n"),
        ("md a x q\r\nmn\r\n", "MN\r\n"),
        ("md a q k O1\r\nmn\r\n", "MN\r\n"),
        ("md a q k O1\r\n", "NF ka O1\r\n"),
        ("ma a q\r\n", "NF\r\n"),
        ("ma a q v N0 J7\r\nmn\r\n", "MN\r\n"),
        ("ma a q\r\nmn\r\n", "MN\r\n"),
        ("ma a q v t k O1\r\nmn\r\n", "MN\r\n"),
        ("ma a q C1\r\n", "EX\r\n"),
        ("mg a v\r\n", "VA 1\r\n9\r\n"),
        (
            "set a 0 0 1\r\nx\r\nma a q\r\n",
            "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        ("me nope q\r\n", "EN\r\n"),
        ("mn q\r\n", "MN\r\n"),
    ];
    converse(shards, &[], conversation);
}

/// Every known flag is taken by every command, and ignored where it means nothing.
fn flags_without_meaning(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("ms a 2 F5\r\n10\r\n", "HD\r\n"),
        ("mg a s E5 F9 M I x J1 D1 L P k\r\n", "HD s2 ka\r\n"),
        ("mg a Lhint Phint MX v\r\n", "VA 2\r\n10\r\n"),
        ("mg a f v\r\n", "VA 2 f5\r\n10\r\n"),
        ("ms a 2 D5 J6 N7 R8 h l f t v u x L P k\r\n20\r\n", "HD ka\r\n"),
        ("mg a v f t\r\n", "VA 2 f0 t-1\r\n20\r\n"),
        ("ma a R5 F6 I x u h l f s L P v\r\n", "VA 2\r\n21\r\n"),
        ("mg a f t\r\n", "HD f0 t-1\r\n"),
        ("md a D5 J6 N7 R8 M h l f t v u c s L P k\r\n", "HD ka\r\n"),
        ("md a\r\n", "NF\r\n"),
    ];
    converse(shards, &[], conversation);
}

/// The words of me. Size class and size are the server's own business.
fn debugging(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for (request, key, exp, cas, fetch) in [
        ("ms a 1 E9\r\nx\r\nme a\r\n", "a", "-1", "9", "no"),
        ("mg a\r\nme a v\r\n", "a", "-1", "9", "yes"),
        ("ms YWI= 1 b E8 T1000\r\nx\r\nme YWI= b x\r\n", "YWI=", "1000", "8", "no"),
        ("mn\r\nme ab\r\n", "YWI=", "1000", "8", "no"),
    ] {
        conn.send(request);
        conn.line();
        let line = conn.line();
        let words: Vec<_> = line.split(' ').collect();
        let [me, k, e, la, c, f, cls, size] = words[..] else { panic!("{line:?}") };
        assert_eq!((me, k), ("ME", key), "{line:?}");
        assert_eq!((c, f), (&*format!("cas={cas}"), &*format!("fetch={fetch}")), "{line:?}");
        let number = |word: &str, name: &str| {
            let value = word.strip_prefix(name).and_then(|value| value.parse::<u64>().ok());
            value.unwrap_or_else(|| panic!("{name} in {line:?}"))
        };
        let exp_is_right = match exp {
            "-1" => e == "exp=-1",
            seconds => is_about(&e.replace("exp=", "t"), &format!("t~{seconds}")),
        };
        assert!(exp_is_right, "{line:?}");
        assert!(number(la, "la=") <= SLACK_S, "{line:?}");
        assert!(number(size, "size=") > 2, "{line:?}");
        number(cls, "cls=");
    }
    conn.ask("me nope\r\nme nope b\r\n", "EN\r\nEN\r\n");
    conn.ask("me nope q k O1\r\n", "EN\r\n");
    conn.ask("me YQ= b x\r\n", "CLIENT_ERROR bad command line format\r\n");
    // It looks, and leaves no trace.
    conn.ask("ms a 1\r\nx\r\nme nope\r\nmg a h\r\n", "HD\r\nEN\r\nHD h0\r\n");
    conn.finish();
}

/// As what the commands are counted: mostly as their classic relatives.
fn counted(shards: u32) {
    const NAMES: [&str; 17] = [
        "cmd_get",
        "get_hits",
        "get_misses",
        "cmd_touch",
        "touch_hits",
        "touch_misses",
        "cmd_set",
        "cmd_meta",
        "delete_hits",
        "delete_misses",
        "incr_hits",
        "incr_misses",
        "decr_hits",
        "decr_misses",
        "cas_hits",
        "cas_misses",
        "cas_badval",
    ];
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let mut before = NAMES.map(|_| 0);
    for (request, answer, names) in [
        ("mg a v q\r\nmn\r\n", "MN\r\n", &["cmd_get", "get_misses"][..]),
        ("mg a T0\r\n", "EN\r\n", &["cmd_get", "get_misses"]),
        ("mg viv N0\r\n", "HD W\r\n", &["cmd_get", "get_hits"]),
        ("ms a 1 E5\r\n1\r\n", "HD\r\n", &["cmd_set"]),
        ("ms a 1 ME\r\n1\r\n", "NS\r\n", &["cmd_set"]),
        ("ms a 1 C4\r\n1\r\n", "EX\r\n", &["cmd_set", "cas_badval"]),
        ("ms nope 1 C4\r\n1\r\n", "NF\r\n", &["cmd_set", "cas_misses"]),
        ("ms a 1 C5 E6\r\n1\r\n", "HD\r\n", &["cmd_set", "cas_hits"]),
        ("ms a 1 I C5 E7\r\n1\r\n", "HD\r\n", &["cmd_set", "cas_hits"]),
        ("ms a 1 Mx\r\n1\r\n", "CLIENT_ERROR invalid mode for ms M token\r\n", &[]),
        ("mg a v\r\n", "VA 1 X W\r\n1\r\n", &["cmd_get", "get_hits"]),
        ("mg a C7 v\r\n", "HD Z X\r\n", &["cmd_get", "get_hits"]),
        ("mg a T0\r\n", "HD Z X\r\n", &["cmd_touch", "touch_hits"]),
        ("me nope\r\n", "EN\r\n", &["cmd_meta"]),
        ("ma a MI\r\n", "HD\r\n", &["incr_hits"]),
        ("ma a MD\r\n", "HD\r\n", &["decr_hits"]),
        ("ma a C4\r\n", "EX\r\n", &[]),
        ("ma nope\r\n", "NF\r\n", &["incr_misses"]),
        ("ma nope MD\r\n", "NF\r\n", &["decr_misses"]),
        ("ma new N0\r\n", "HD\r\n", &[]),
        ("md a C1\r\n", "EX\r\n", &["delete_misses"]),
        ("md a I\r\n", "HD\r\n", &[]),
        ("md a x\r\n", "HD\r\n", &["delete_hits"]),
        ("md a\r\n", "HD\r\n", &["delete_hits"]),
        ("md a\r\n", "NF\r\n", &["delete_misses"]),
    ] {
        conn.ask(request, answer);
        let stats = conn.stats("");
        let after = NAMES.map(|name| {
            let value = stats.iter().find(|(n, _)| n == name).map(|(_, value)| value.parse::<u64>());
            value.unwrap_or_else(|| panic!("no STAT {name}")).unwrap_or_else(|e| panic!("STAT {name}: {e}"))
        });
        for ((name, before), after) in NAMES.iter().zip(before).zip(after) {
            assert_eq!(after - before, u64::from(names.contains(name)), "{name} after {request:?}");
        }
        before = after;
    }
    conn.finish();
}
