//! mg ms md ma mn me: every flag, which answers q keeps back, and who may refresh an item.

use std::sync::Barrier;

use crate::harness::{Conn, Conversation, Server, converse};

on_shards! {
    flags_in_request_order hits_and_ages times quiet vivifying recaching stale_and_won stale_and_classic
    stored_stale compare_and_given_cas modes deleting emptying counting counting_times base64_keys opaque_tokens
    flags_without_meaning errors swallowed_data debugging values_of_every_size values_too_large pipelines
    quiet_pipelines_cut_anywhere stampedes
}

/// How many seconds a slow machine may take between two requests whose answers tell of time.
const SLACK_S: u64 = 60;

/// Holds the conversation as [`converse`] does, but in an answer of one line `t~1000` stands for that many seconds left or
/// a few less, and `l~0` for so many seconds ago or a few more.
fn converse_about(shards: u32, conversation: Conversation<'_>) {
    let server = Server::start(shards, &[]);
    let connections: Vec<_> = (0..=shards).map(|_| server.connect()).collect();
    for mut conn in connections {
        for (request, answer) in conversation {
            if answer.contains('~') {
                let got = conn.ask_line(request);
                assert!(is_about(&got, answer), "{request:?}\n want: {answer:?}\n  got: {got:?}");
            } else {
                conn.ask(request, answer);
            }
        }
        conn.ask("flush_all\r\n", "OK\r\n");
        conn.finish();
    }
}

fn is_about(got: &str, expected: &str) -> bool {
    let (got, expected) = (got.split(' ').collect::<Vec<_>>(), expected.split(' ').collect::<Vec<_>>());
    let same = |(got, expected): (&&str, &&str)| match expected.split_once('~') {
        None => got == expected,
        Some((name, bound)) => {
            let value = got.strip_prefix(name).and_then(|value| value.parse::<u64>().ok());
            let bound: u64 = bound.parse().expect("a bound");
            let allowed =
                if name == "t" { bound.saturating_sub(SLACK_S)..=bound } else { bound..=bound + SLACK_S };
            value.is_some_and(|value| allowed.contains(&value))
        }
    };
    got.len() == expected.len() && got.iter().zip(&expected).all(same)
}

#[test]
fn about_is_neither_anything_nor_exact() {
    assert!(is_about("HD t990 l1", "HD t~1000 l~0"));
    for got in
        ["HD t1001 l0", "HD t930 l0", "HD t990", "HD t-1 l0", "HD t990 l61", "EN t990 l0", "HD l0 t990"]
    {
        assert!(!is_about(got, "HD t~1000 l~0"), "{got:?}");
    }
}

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

fn vivifying(shards: u32) {
    converse_about(
        shards,
        &[
            ("mg a s v N1000 t c f k O1 E5\r\n", "VA 0 s0 t1000 c5 f0 ka O1 W\r\n\r\n"),
            ("mg a s v N1000 t c E6\r\n", "VA 0 s0 t~1000 c5 Z"),
            // The value of the answer above.
            ("mn\r\n", "\r\nMN\r\n"),
            ("mg a\r\n", "HD Z\r\n"),
            ("mg a N0 t\r\n", "HD t~1000 Z"),
            ("get a\r\n", "VALUE a 0 0\r\n\r\nEND\r\n"),
            ("ms a 3\r\nabc\r\n", "HD\r\n"),
            ("mg a v N1000 t\r\n", "VA 3 t-1\r\nabc\r\n"),
            ("mg b t N1000\r\n", "HD t-1 W\r\n"),
            ("mg b t\r\n", "HD t~1000 Z"),
            ("mg c N0 t\r\n", "HD t-1 W\r\n"),
            ("mg d t N1000 T5000\r\n", "HD t-1 W\r\n"),
            ("mg d t\r\n", "HD t~5000 Z"),
            ("mg e T5000 N1000 t\r\n", "HD t1000 W\r\n"),
            ("mg f N1000 T5000 t\r\n", "HD t5000 W\r\n"),
            ("mg g T5000 t N1000\r\n", "HD t5000 W\r\n"),
            ("mg g t\r\n", "HD t~1000 Z"),
            ("mg h N1000 R5000 t\r\n", "HD t1000 W\r\n"),
            ("mg i N0 C1 v\r\n", "VA 0 W\r\n\r\n"),
            ("md i\r\nmg i N0\r\n", "HD\r\nHD W\r\n"),
            ("set i 0 0 1\r\nx\r\nmg i\r\n", "STORED\r\nHD\r\n"),
            ("add j 0 0 1\r\nx\r\nmg j N0\r\n", "STORED\r\nHD\r\n"),
            ("mg k N0\r\nadd k 0 0 1\r\nx\r\n", "HD W\r\nNOT_STORED\r\n"),
        ],
    );
}

/// One client is told to refresh an item that has little time left.
fn recaching(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("mg a R5000\r\n", "EN\r\n"),
        ("ms a 1 T1000\r\nx\r\n", "HD\r\n"),
        ("mg a R100\r\n", "HD\r\n"),
        ("mg a v R5000\r\n", "VA 1 W\r\nx\r\n"),
        ("mg a R5000\r\n", "HD Z\r\n"),
        ("mg a\r\n", "HD Z\r\n"),
        ("touch a 1000\r\nmg a R5000\r\n", "TOUCHED\r\nHD Z\r\n"),
        ("ms a 1 T1000\r\nx\r\nmg a R5000 u\r\nmg a\r\n", "HD\r\nHD W\r\nHD Z\r\n"),
        // No time left to run out.
        ("ms a 1\r\nx\r\nmg a R5000\r\n", "HD\r\nHD\r\n"),
        ("ms a 1 T1000\r\nx\r\nmg a R0\r\nmg a R-1\r\n", "HD\r\nHD\r\nHD\r\n"),
        // What T sets before R counts, and what it sets behind does not.
        ("mg a T5000 R3000 t\r\n", "HD t5000\r\n"),
        ("mg a T1000 R3000\r\n", "HD W\r\n"),
        ("ms a 1 T1000\r\nx\r\nmg a R3000 T5000 t\r\n", "HD\r\nHD t5000 W\r\n"),
        ("mg a q R3000\r\n", "HD Z\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn stale_and_won(shards: u32) {
    converse_about(
        shards,
        &[
            ("md a I\r\n", "NF\r\n"),
            ("ms a 3 T1000 E10 F7\r\nabc\r\nmd a I E20\r\n", "HD\r\nHD\r\n"),
            ("mg a v c f\r\n", "VA 3 c20 f7 X W\r\nabc\r\n"),
            ("mg a v c f\r\n", "VA 3 c20 f7 Z X\r\nabc\r\n"),
            ("mg a t\r\n", "HD t~1000 Z X"),
            ("mg a N0 R5000\r\n", "HD Z X\r\n"),
            // The next invalidation calls for another winner.
            ("md a I T5000\r\nmg a u\r\nmg a u\r\n", "HD\r\nHD X W\r\nHD Z X\r\n"),
            ("mg a t\r\n", "HD t~5000 Z X"),
            ("md a I\r\nmg a R100\r\nmg a\r\n", "HD\r\nHD X W\r\nHD Z X\r\n"),
            ("md a I\r\nmg a T1000\r\nmg a\r\n", "HD\r\nHD X W\r\nHD Z X\r\n"),
            ("md a I T-1\r\nmg a\r\n", "HD\r\nEN\r\n"),
            // A win that was sent before it went stale is sent again.
            ("mg b N0\r\nmd b I\r\nmg b\r\nmg b\r\n", "HD W\r\nHD\r\nHD X W\r\nHD Z X\r\n"),
        ],
    );
}

/// What the classic commands do to the marks: a new value clears them, a touch or a count in place does not.
fn stale_and_classic(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("ms a 2\r\n10\r\nmd a I\r\n", "HD\r\nHD\r\n"),
        ("gets nope\r\nget a\r\n", "END\r\nVALUE a 0 2\r\n10\r\nEND\r\n"),
        ("mg a\r\n", "HD X W\r\n"),
        ("touch a 0\r\nmg a\r\n", "TOUCHED\r\nHD Z X\r\n"),
        ("gat 0 a\r\nmg a\r\n", "VALUE a 0 2\r\n10\r\nEND\r\nHD Z X\r\n"),
        ("md a I\r\nappend a 0 0 1\r\nx\r\nmg a v\r\n", "HD\r\nSTORED\r\nVA 3\r\n10x\r\n"),
        ("md a I\r\nms a 1 MA\r\nx\r\nmg a\r\n", "HD\r\nHD\r\nHD\r\n"),
        ("md a I\r\nms a 1 MR\r\nx\r\nmg a\r\n", "HD\r\nHD\r\nHD\r\n"),
        ("md a I\r\nset a 0 0 1\r\nx\r\nmg a\r\n", "HD\r\nSTORED\r\nHD\r\n"),
        ("md a I\r\nms a 1\r\nx\r\nmg a\r\n", "HD\r\nHD\r\nHD\r\n"),
        ("md a I\r\nadd a 0 0 1\r\nx\r\nmg a\r\n", "HD\r\nNOT_STORED\r\nHD X W\r\n"),
        ("delete a\r\nmg a\r\n", "DELETED\r\nEN\r\n"),
        // Read with u: memcached counts in place only while nothing else, such as its own bookkeeping of hits, holds the item.
        ("ms b 2\r\n10\r\nmd b I\r\nmg b u\r\n", "HD\r\nHD\r\nHD X W\r\n"),
        ("incr b 1\r\n", "11\r\n"),
        ("mg b u v\r\n", "VA 2 Z X\r\n11\r\n"),
        ("ma b v\r\n", "VA 2\r\n12\r\n"),
        ("mg b u v\r\n", "VA 2 Z X\r\n12\r\n"),
        ("incr b 100\r\n", "112\r\n"),
        ("mg b v\r\n", "VA 3\r\n112\r\n"),
    ];
    converse(shards, &[], conversation);
}

/// A store with an outdated CAS and I is taken, as stale.
fn stored_stale(shards: u32) {
    converse_about(
        shards,
        &[
            ("ms a 1 T1000 E10\r\na\r\nmd a I E20\r\n", "HD\r\nHD\r\n"),
            ("mg a c v\r\n", "VA 1 c20 X W\r\na\r\n"),
            // Kept: the time there was, and that a win was sent.
            ("ms a 2 I C10 E21 T5000 F3 c s\r\nbb\r\n", "HD c21 s2\r\n"),
            ("mg a v c f\r\n", "VA 2 c21 f3 Z X\r\nbb\r\n"),
            ("mg a t\r\n", "HD t~1000 Z X"),
            ("ms a 2 I C22\r\ncc\r\n", "EX\r\n"),
            ("ms a 2 I C0\r\ncc\r\n", "EX\r\n"),
            ("ms a 2 C20\r\ncc\r\n", "EX\r\n"),
            // With the right CAS it is fresh again.
            ("ms a 2 I C21 E30\r\ndd\r\n", "HD\r\n"),
            ("mg a v c t\r\n", "VA 2 c30 t-1\r\ndd\r\n"),
            ("ms a 2 I C5\r\nee\r\nmg a v\r\nmg a\r\n", "HD\r\nVA 2 X W\r\nee\r\nHD Z X\r\n"),
            ("ms nope 1 I C5\r\nx\r\n", "NF\r\n"),
            // Without C it means nothing.
            ("ms b 1 I\r\nx\r\nmg b\r\n", "HD\r\nHD\r\n"),
        ],
    );
}

fn compare_and_given_cas(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("ms a 1 E5 c\r\na\r\n", "HD c5\r\n"),
        ("gets a\r\n", "VALUE a 0 1 5\r\na\r\nEND\r\n"),
        // mg: the value is left out when it is known already.
        ("mg a v C5 c s\r\n", "HD c5 s1\r\n"),
        ("mg a v C4 c\r\n", "VA 1 c5\r\na\r\n"),
        ("mg a v C0\r\n", "VA 1\r\na\r\n"),
        ("mg a E9 c\r\n", "HD c5\r\n"),
        ("ms a 1 C4 k O1 c s\r\nb\r\n", "EX ka O1 c0 s1\r\n"),
        ("ms a 1 C0\r\nb\r\n", "EX\r\n"),
        ("ms a 1 C5 E6 c\r\nb\r\n", "HD c6\r\n"),
        ("ms a 1 C6 MS E7\r\nc\r\n", "HD\r\n"),
        ("ms a 1 C7 MR E8\r\nd\r\n", "HD\r\n"),
        ("ms a 1 C7 MR\r\nx\r\n", "EX\r\n"),
        ("cas a 0 0 1 8\r\ne\r\n", "STORED\r\n"),
        ("ms a 1 E9\r\nf\r\n", "HD\r\n"),
        ("ms a 1 C8 MA s c\r\nx\r\n", "EX s1 c0\r\n"),
        ("ms a 1 C9 MA E10 s c\r\ng\r\n", "HD s2 c10\r\n"),
        ("ms a 1 C9 MP\r\nx\r\n", "EX\r\n"),
        ("ms a 1 C0 MP E11 s\r\ne\r\n", "HD s3\r\n"),
        ("mg a v c\r\n", "VA 3 c11\r\nefg\r\n"),
        ("ms a 1 C11 ME c\r\nx\r\n", "NS c0\r\n"),
        ("ms nope 1 C11 c k s\r\nx\r\n", "NF c0 knope s1\r\n"),
        ("ms nope 1 C11 MR\r\nx\r\n", "NF\r\n"),
        ("ms nope 1 C11 MA\r\nx\r\n", "NS\r\n"),
        ("md a C10 k\r\n", "EX ka\r\n"),
        ("md a C0\r\n", "EX\r\n"),
        ("md a C11 I E12\r\nmg a c\r\n", "HD\r\nHD c12 X W\r\n"),
        ("md a C12\r\n", "HD\r\n"),
        ("md a C12\r\n", "NF\r\n"),
        ("ms new 1 C3 ME E4 c\r\nx\r\n", "HD c4\r\n"),
        ("ms n 1 E5\r\n1\r\nma n C4\r\n", "HD\r\nEX\r\n"),
        ("ma n C5 E6 c v\r\n", "VA 1 c6\r\n2\r\n"),
        ("mg n c\r\n", "HD c6\r\n"),
        ("ma n C0 E7 c\r\n", "HD c7\r\n"),
        ("ma nope C5\r\n", "NF\r\n"),
        ("ma m N0 C5 E8 c J3 v\r\n", "VA 1 c8\r\n3\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn modes(shards: u32) {
    converse_about(
        shards,
        &[
            ("ms a 1 MR k\r\nx\r\n", "NS ka\r\n"),
            ("ms a 1 MA s\r\nx\r\n", "NS s1\r\n"),
            ("ms a 1 MP\r\nx\r\n", "NS\r\n"),
            ("ms a 1 ME F5 T1000\r\nx\r\n", "HD\r\n"),
            ("ms a 1 ME\r\ny\r\n", "NS\r\n"),
            ("ms a 1 MEXTRA\r\ny\r\n", "NS\r\n"),
            // Flags and time stay.
            ("ms a 2 MA s F9 T5000\r\nyy\r\n", "HD s3\r\n"),
            ("ms a 1 MP s F9\r\nw\r\n", "HD s4\r\n"),
            ("mg a v f\r\n", "VA 4 f5\r\nwxyy\r\n"),
            ("mg a t\r\n", "HD t~1000"),
            ("ms a 0 MA s\r\n\r\n", "HD s4\r\n"),
            ("ms a 1 MR F6 s\r\nz\r\n", "HD s1\r\n"),
            ("mg a v f t\r\n", "VA 1 f6 t-1\r\nz\r\n"),
            ("ms a 2 MS\r\nzz\r\nmg a v f\r\n", "HD\r\nVA 2 f0\r\nzz\r\n"),
            // With N what is missing is created, with N's time.
            ("ms b 2 MA N1000 T5000 F7 s\r\nxx\r\n", "HD s2\r\n"),
            ("mg b f t\r\n", "HD f7 t~1000"),
            ("ms b 1 MP N5000 F8 s\r\ny\r\n", "HD s3\r\n"),
            ("mg b f t\r\n", "HD f7 t~1000"),
            ("mg b v\r\n", "VA 3\r\nyxx\r\n"),
            ("ms c 1 MP N0\r\nx\r\nmg c v t\r\n", "HD\r\nVA 1 t-1\r\nx\r\n"),
            // N means nothing to the others.
            ("ms d 1 N1000\r\nx\r\nmg d t\r\n", "HD\r\nHD t-1\r\n"),
            ("ms e 1 MR N1000\r\nx\r\n", "NS\r\n"),
        ],
    );
}

fn deleting(shards: u32) {
    converse_about(
        shards,
        &[
            ("md a\r\n", "NF\r\n"),
            ("ms a 1\r\nx\r\nmd a k O1\r\n", "HD\r\nHD ka O1\r\n"),
            ("mg a\r\n", "EN\r\n"),
            ("md a k O1\r\n", "NF ka O1\r\n"),
            // T alone does nothing but delete.
            ("ms a 1\r\nx\r\nmd a T1000\r\nmg a\r\n", "HD\r\nHD\r\nEN\r\n"),
            ("ms a 1 T1000\r\nx\r\nmd a I\r\n", "HD\r\nHD\r\n"),
            ("mg a t v\r\n", "VA 1 t~1000 X W"),
            ("mn\r\n", "x\r\nMN\r\n"),
            ("md a I T5000\r\n", "HD\r\n"),
            ("mg a t\r\n", "HD t~5000 X W"),
            ("md a I T0\r\nmg a t\r\n", "HD\r\nHD t-1 X W\r\n"),
            ("md a\r\nmg a\r\n", "HD\r\nEN\r\n"),
        ],
    );
}

/// md with x keeps the item and drops the value; flags and time with it, unless given.
fn emptying(shards: u32) {
    converse_about(
        shards,
        &[
            ("md a x\r\n", "NF\r\n"),
            ("ms a 3 T1000 F5 E9\r\nabc\r\nmd a x k\r\n", "HD\r\nHD ka\r\n"),
            ("mg a v s f t c\r\n", "VA 0 s0 f0 t-1 c9\r\n\r\n"),
            ("ms a 3 F5\r\nabc\r\nmd a x T1000 F7 E10\r\n", "HD\r\nHD\r\n"),
            ("mg a s f t c\r\n", "HD s0 f7 t~1000 c10"),
            ("ms a 3 E9 T1000\r\nabc\r\nmd a x I E11\r\n", "HD\r\nHD\r\n"),
            ("mg a v c s t\r\n", "VA 0 c11 s0 t-1 X W\r\n\r\n"),
            ("mg a\r\n", "HD Z X\r\n"),
            ("md a x\r\nmg a\r\n", "HD\r\nHD\r\n"),
            ("md a x C5\r\n", "EX\r\n"),
            ("get a\r\n", "VALUE a 0 0\r\n\r\nEND\r\n"),
        ],
    );
}

fn counting(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("ma a\r\n", "NF\r\n"),
        ("ma a k O1 t c v\r\n", "NF ka O1\r\n"),
        ("ma a J5\r\n", "NF\r\n"),
        ("ma a N0 v\r\n", "VA 1\r\n0\r\n"),
        ("ma b N0 J13 D5 v\r\n", "VA 2\r\n13\r\n"),
        ("ma b N0 J99 D5 v\r\n", "VA 2\r\n18\r\n"),
        ("ma b\r\n", "HD\r\n"),
        ("ma b v k O1 s f h l\r\n", "VA 2 kb O1\r\n20\r\n"),
        ("ma b MI D2 v\r\n", "VA 2\r\n22\r\n"),
        ("ma b M+ D0 v\r\n", "VA 2\r\n22\r\n"),
        ("ma b MD D2 v\r\n", "VA 2\r\n20\r\n"),
        // Padded in the item, not in the answer.
        ("ma b M- D13 v\r\n", "VA 1\r\n7\r\n"),
        ("mg b v s\r\n", "VA 2 s2\r\n7 \r\n"),
        ("ma b MDecr D100 v\r\n", "VA 1\r\n0\r\n"),
        ("ma b D18446744073709551615 v\r\n", "VA 20\r\n18446744073709551615\r\n"),
        ("ma b v\r\n", "VA 1\r\n0\r\n"),
        ("mg b v\r\n", "VA 20\r\n0                   \r\n"),
        ("ms c 4 F7\r\n0099\r\nma c v\r\nmg c v f\r\n", "HD\r\nVA 3\r\n100\r\nVA 4 f7\r\n100 \r\n"),
        ("ms c 1 F7\r\n9\r\nma c v\r\nmg c v f\r\n", "HD\r\nVA 2\r\n10\r\nVA 2 f7\r\n10\r\n"),
        (
            "ms c 1\r\nx\r\nma c v\r\n",
            "HD\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        ("ms c 0\r\n\r\nma c\r\n", "HD\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
        ("incr a 5\r\nma a v\r\n", "5\r\nVA 1\r\n6\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn counting_times(shards: u32) {
    converse_about(
        shards,
        &[
            ("ma a N1000 t\r\n", "HD t1000\r\n"),
            ("ma a t\r\n", "HD t~1000"),
            ("ma a N5000 t\r\n", "HD t~1000"),
            ("ma a T5000 t\r\n", "HD t5000\r\n"),
            ("ma a t T0\r\n", "HD t~5000"),
            ("ma a t v\r\n", "VA 1 t-1\r\n5\r\n"),
            ("ma b t N1000\r\n", "HD t-1\r\n"),
            ("ma b t\r\n", "HD t~1000"),
            ("ma c N1000 T5000 t\r\n", "HD t5000\r\n"),
            ("ma d T5000 N1000 t\r\n", "HD t1000\r\n"),
            ("ma d T-1\r\nma d\r\n", "HD\r\nNF\r\n"),
            ("ma e N-1\r\nmg e\r\n", "HD\r\nEN\r\n"),
        ],
    );
}

fn base64_keys(shards: u32) {
    let longest = "A".repeat(248);
    let rows: &[(&str, &str)] = &[
        ("mg YQpi b k\r\n", "EN kYQpi b\r\n"),
        ("mg YQpi b O1\r\n", "EN O1\r\n"),
        ("ms YQpi 1 b k c E5\r\nx\r\n", "HD kYQpi b c5\r\n"),
        ("mg YQpi b k O1 v\r\n", "VA 1 kYQpi b O1\r\nx\r\n"),
        ("mg YQpi k\r\n", "EN kYQpi\r\n"),
        ("ms YQpi 1 b k MR C4\r\nx\r\n", "EX kYQpi b\r\n"),
        ("md YQpi b k C4\r\n", "EX kYQpi b\r\n"),
        ("md YQpi b k O1\r\n", "HD kYQpi b O1\r\n"),
        ("md YQpi b k\r\n", "NF kYQpi b\r\n"),
        ("ma YQpi b k N0 J7 v\r\n", "VA 1 kYQpi b\r\n7\r\n"),
        ("ma YQpi b k\r\n", "HD kYQpi b\r\n"),
        // The bytes are the key, whoever names them.
        ("ms YWI= 1 b\r\nx\r\nmg ab v\r\n", "HD\r\nVA 1\r\nx\r\n"),
        ("get ab\r\n", "VALUE ab 0 1\r\nx\r\nEND\r\n"),
        // How an item shows its key was settled when it was stored.
        ("mg ab k\r\n", "HD kYWI= b\r\n"),
        ("mg YWI= k b\r\n", "HD kYWI= b\r\n"),
        ("ms ab 1\r\nx\r\nmg YWI= b k\r\n", "HD\r\nHD kab\r\n"),
        ("md ab k\r\n", "HD kab\r\n"),
        ("mg YWI= b N0 k\r\n", "HD kab W\r\n"),
        ("md YWI= b k\r\n", "HD kYWI= b\r\n"),
        // Bits of no meaning are not kept.
        ("mg YR== b k\r\nmg YWF= b k\r\n", "EN kYQ== b\r\nEN kYWE= b\r\n"),
        ("mg YQ b k\r\n", "CLIENT_ERROR error decoding key\r\n"),
        ("mg -_-_ b k\r\n", "CLIENT_ERROR error decoding key\r\n"),
        ("md ==== b k\r\n", "CLIENT_ERROR error decoding key\r\n"),
        ("ma Y=== b k\r\n", "CLIENT_ERROR invalid or duplicate flag\r\n"),
        ("ms YQ= 1 b k\r\nx\r\n", "CLIENT_ERROR error decoding key\r\n"),
        ("ms {longest} 1 b\r\nx\r\nmg {longest} b k\r\n", "HD\r\nHD k{longest} b\r\n"),
        ("mg {longest}AAAA b\r\n", "CLIENT_ERROR bad command line format\r\n"),
    ];
    let rows: Vec<(String, String)> = rows
        .iter()
        .map(|(request, answer)| {
            (request.replace("{longest}", &longest), answer.replace("{longest}", &longest))
        })
        .collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(request, answer)| (&request[..], &answer[..])).collect();
    converse(shards, &[], &rows);
}

fn opaque_tokens(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let (longest, too_long) = (format!("O{}", "o".repeat(31)), format!("O{}", "o".repeat(32)));
    for opaque in ["O", "O1", "O\t\u{7f}\u{e9}", "OO", &longest] {
        conn.ask(format!("mg a {opaque}\r\n"), format!("EN {opaque}\r\n"));
        conn.ask(format!("ms a 1 {opaque}\r\n5\r\n"), format!("HD {opaque}\r\n"));
        conn.ask(format!("ms a 1 {opaque} ME k\r\n5\r\n"), format!("NS {opaque} ka\r\n"));
        conn.ask(format!("mg a k {opaque} v\r\n"), format!("VA 1 ka {opaque}\r\n5\r\n"));
        conn.ask(format!("ma a {opaque} v\r\n"), format!("VA 1 {opaque}\r\n6\r\n"));
        conn.ask(format!("md a {opaque}\r\n"), format!("HD {opaque}\r\n"));
        conn.ask(format!("md a {opaque}\r\n"), format!("NF {opaque}\r\n"));
        conn.ask(format!("ma a {opaque}\r\n"), format!("NF {opaque}\r\n"));
    }
    for request in ["mg a {o}\r\n", "mg a q {o}\r\n", "ms a 1 {o}\r\nx\r\n", "md a {o}\r\n", "ma a {o}\r\n"] {
        conn.ask(request.replace("{o}", &too_long), "CLIENT_ERROR opaque token too long\r\n");
    }
    conn.finish();
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

fn errors(shards: u32) {
    const BAD_FORMAT: &str = "bad command line format";
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    for line in
        ["mg", "mg ", "md", "ma", "me", "ms", "ms a", "ms a S2", "ms a -1", "ms a 2147483646", "ms a 1 !"]
    {
        conn.ask(format!("{line}\r\n"), format!("CLIENT_ERROR {BAD_FORMAT}\r\n"));
    }
    for line in ["mg a !", "mg a 1 @", "md a {", "ma a ~", "me a \u{e9}", "ma a v v !"] {
        conn.ask(format!("{line}\r\n"), format!("CLIENT_ERROR {BAD_FORMAT}\r\n"));
    }
    for line in ["mx a", "MG a", "mg\ta", "mga"] {
        conn.ask(format!("{line}\r\n"), "ERROR\r\n");
    }
    let long = "k".repeat(251);
    let many = "v ".repeat(19);
    for (rest, error) in [
        ("a [", "invalid flag"),
        ("a 1", "invalid flag"),
        ("a S3", "invalid flag"),
        ("a noreply", "invalid flag"),
        ("a v v", "duplicate flag"),
        ("a v S v", "invalid flag"),
        ("a C v v", "duplicate flag"),
        ("a C", "bad token in command line format"),
        ("a Cx", "bad token in command line format"),
        ("a C18446744073709551616", "bad token in command line format"),
        ("a E-1", "bad token in command line format"),
        ("a N", "bad token in command line format"),
        ("a T+1", "bad token in command line format"),
        ("a Rx", "bad token in command line format"),
        ("a D", "invalid numeric delta value"),
        ("a J", "invalid numeric initial value"),
        ("a D J", "invalid numeric initial value"),
        ("a J D C", "bad token in command line format"),
        ("a F", BAD_FORMAT),
        ("a F4294967296", BAD_FORMAT),
        ("a C F", "bad token in command line format"),
        ("a F C", "bad token in command line format"),
        ("a b", "error decoding key"),
        ("a C b", "error decoding key"),
        ("a b C", "bad token in command line format"),
        (&format!("{long} v v"), BAD_FORMAT),
        (&format!("{long} {many}"), BAD_FORMAT),
        (&format!("a {many}"), "options flags are too long"),
    ] {
        for verb in ["mg", "md"] {
            conn.ask(format!("{verb} {rest}\r\n"), format!("CLIENT_ERROR {error}\r\n"));
        }
        conn.ask(format!("ma {rest}\r\n"), "CLIENT_ERROR invalid or duplicate flag\r\n");
        let (key, flags) = rest.split_once(' ').expect("a key");
        conn.ask(
            format!("ms {key} 4 {flags}\r\nmn\r\n\r\nmn\r\n"),
            format!("CLIENT_ERROR {error}\r\nMN\r\n"),
        );
    }
    for mode in ["M", "Mi", "MS", "M0"] {
        conn.ask(format!("ma a {mode}\r\n"), "CLIENT_ERROR invalid mode for ma M token\r\n");
    }
    conn.ask("ma a M C\r\n", "CLIENT_ERROR invalid or duplicate flag\r\n");
    conn.finish();
}

/// An ms that is wrong takes its data with it once their length is known, and not before.
fn swallowed_data(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("ms a 2 S\r\nmn\r\nmn\r\n", "CLIENT_ERROR invalid flag\r\nMN\r\n"),
        ("ms a 2 M\r\nmn\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token\r\nMN\r\n"),
        ("ms a 2 Ms q\r\nmn\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token\r\nMN\r\n"),
        ("ms a 2 MI\r\nmn\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token\r\nMN\r\n"),
        ("ms a 2 M C\r\nmn\r\nmn\r\n", "CLIENT_ERROR bad token in command line format\r\nMN\r\n"),
        ("ms a 2 M F\r\nmn\r\nmn\r\n", "CLIENT_ERROR bad command line format\r\nMN\r\n"),
        ("ms a 2 !\r\nmn\r\n", "CLIENT_ERROR bad command line format\r\nMN\r\n"),
        ("ms a x\r\nmn\r\n", "CLIENT_ERROR bad command line format\r\nMN\r\n"),
        // As many bytes as were announced are data, whatever they are.
        ("ms a 2\r\nxyz\nmn\r\n", "CLIENT_ERROR bad data chunk\r\nMN\r\n"),
        ("ms a 2 q\r\nxyz\nmn\r\n", "CLIENT_ERROR bad data chunk\r\nMN\r\n"),
        ("mg a\r\n", "EN\r\n"),
        ("ms a 0\r\n\r\n", "HD\r\n"),
        ("ms a 1\nx\r\n", "HD\r\n"),
        ("mg a v\n", "VA 1\r\nx\r\n"),
        ("ms a 6\r\n\r\nmn\r\n\r\nmg a v\r\n", "HD\r\nVA 6\r\n\r\nmn\r\n\r\n"),
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

/// Bytes of `len` in a pattern that shows a piece that is missing or misplaced.
fn value_of(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn values_of_every_size(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut connections: Vec<_> = (0..=shards).map(|_| server.connect()).collect();
    for len in [1, 4095, 4096, 4097, 16_384, 100_000, 1_000_000] {
        let value = value_of(len);
        for (i, conn) in connections.iter_mut().enumerate() {
            let key = format!("key{i}");
            conn.ask(
                [format!("ms {key} {len} s k F3 E7\r\n").as_bytes(), &value, b"\r\n"].concat(),
                format!("HD s{len} k{key}\r\n"),
            );
            conn.ask(
                [format!("ms {key} {len} s ME\r\n").as_bytes(), &value, b"\r\n"].concat(),
                format!("NS s{len}\r\n"),
            );
        }
        for conn in &mut connections {
            for i in 0..=shards {
                let head = format!("VA {len} kkey{i} f3 c7 O1\r\n");
                conn.ask(format!("mg key{i} v k f c O1\r\n"), [head.as_bytes(), &value, b"\r\n"].concat());
                conn.ask(format!("mg key{i} v C7 s\r\n"), format!("HD s{len}\r\n"));
                conn.ask(format!("mg key{i} s\r\n"), format!("HD s{len}\r\n"));
            }
        }
        // Bad data at the end of a large value: what was there stays.
        let bad = [format!("ms key0 {len} q\r\n").as_bytes(), &value, b"x\nmg key0 f\r\n"].concat();
        connections[0].ask(bad, "CLIENT_ERROR bad data chunk\r\nHD f3\r\n");
        let bad = [format!("ms key0 {len} Sx\r\n").as_bytes(), &value, b"\r\nmg key0 f\r\n"].concat();
        connections[0].ask(bad, "CLIENT_ERROR invalid flag\r\nHD f3\r\n");
    }
    let (conn, part) = (&mut connections[0], value_of(3000));
    for (mode, total) in [("S", 3000), ("A", 6000), ("P", 9000)] {
        let request = [format!("ms grown 3000 M{mode} s\r\n").as_bytes(), &part, b"\r\n"].concat();
        conn.ask(request, format!("HD s{total}\r\n"));
    }
    conn.ask("mg grown v\r\n", [b"VA 9000\r\n", &part[..], &part, &part, b"\r\n"].concat());
    for conn in connections {
        conn.finish();
    }
}

/// What is too large is swallowed, and the value it was to replace is gone.
fn values_too_large(shards: u32) {
    const LEN: usize = 2_000_000;
    let server = Server::start(shards, &[]);
    for key in ["a", "b", "c", "d"] {
        let mut conn = server.connect();
        conn.ask(format!("ms {key} 1\r\nx\r\n"), "HD\r\n");
        let request =
            [format!("ms {key} {LEN} q k O1\r\n").as_bytes(), &value_of(LEN), b"\r\nmn\r\n"].concat();
        let mut writer = conn.another_handle();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.send(request));
            conn.expect("SERVER_ERROR object too large for cache\r\nMN\r\n");
        });
        conn.ask(format!("mg {key}\r\n"), "EN\r\n");
        conn.finish();
    }
}

/// Many commands at once: answers in the order of requests, whoever owns the keys; mn behind them all.
fn pipelines(shards: u32) {
    const COMMANDS: usize = 3000;
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let (mut request, mut answer) = (String::new(), String::new());
    for i in 0..COMMANDS {
        let (key, value) = (format!("key{}", i % 500), format!("value {i}"));
        let len = value.len();
        let (asked, answered) = match i % 6 {
            0 => (format!("ms {key} {len} O{i} E{i}\r\n{value}\r\n"), format!("HD O{i}\r\n")),
            1 => (
                format!("ms {key} {len} q\r\n{value}\r\nmg {key} v O{i}\r\n"),
                format!("VA {len} O{i}\r\n{value}\r\n"),
            ),
            2 => (format!("mg nope{i} q v\r\n"), String::new()),
            3 => (format!("mg nope{i} k O{i}\r\n"), format!("EN knope{i} O{i}\r\n")),
            4 => (format!("ma count O{i} N0 v q\r\nmg {key}x\r\n"), "EN\r\n".into()),
            _ => ("mn\r\n".into(), "MN\r\n".into()),
        };
        request += &asked;
        answer += &answered;
    }
    request += "mn\r\n";
    answer += "MN\r\n";
    let mut writer = conn.another_handle();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.send(request));
        conn.expect(answer);
    });
    conn.ask("mg count v\r\n", format!("VA 3\r\n{}\r\n", COMMANDS / 6 - 1));
    conn.finish();
}

/// A pipeline of quiet commands means the same however it arrives, and is silent but for what went wrong.
fn quiet_pipelines_cut_anywhere(shards: u32) {
    let pipeline = "ms a 3 q\r\nabc\r\nms b 2 q T1000\r\n\r\n\r\nmg a v q k\r\nmg nope q\r\nma n N0 q\r\nmd nope q k\r\n\
                    ms a 1 q Mx\r\nx\r\nmg YWE= b k q\r\nmg b v q\r\nmd a q\r\nmd b q\r\nmd n q\r\nmn\r\n";
    let answer = "VA 3 ka\r\nabc\r\nNF knope\r\nCLIENT_ERROR invalid mode for ms M token\r\n\
                  VA 2\r\n\r\n\r\nMN\r\n";
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask(pipeline, answer);
    for cut in 1..pipeline.len() {
        conn.send(&pipeline[..cut]);
        conn.send(&pipeline[cut..]);
        conn.expect(answer);
    }
    for byte in pipeline.as_bytes() {
        conn.send([*byte]);
    }
    conn.expect(answer);
    conn.finish();
}

/// However many clients find an item missing, stale or about to end, one is told to refresh it.
fn stampedes(shards: u32) {
    const CLIENTS: usize = 200;
    const ASKS: usize = 5;
    const THREADS: usize = 4;
    let server = Server::start(shards, &[]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    let stampede = |clients: &mut [Conn], request: &str, won: &str, others: &str| {
        let start = Barrier::new(THREADS);
        let winners: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = clients
                .chunks_mut(CLIENTS / THREADS)
                .map(|clients| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        clients.iter_mut().for_each(|client| client.send(request.repeat(ASKS)));
                        let mut winners = 0;
                        for client in clients {
                            for _ in 0..ASKS {
                                let line = client.line();
                                winners += usize::from(line == won);
                                assert!(line == won || is_about(&line, others), "{request:?}: {line:?}");
                            }
                        }
                        winners
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a client")).sum()
        });
        assert_eq!(winners, 1, "{} clients ask {request:?}", CLIENTS * ASKS);
    };
    for n in 0..4 {
        let mut conn = server.connect();
        stampede(&mut clients, &format!("mg missing{n} s t N1000\r\n"), "HD s0 t-1 W", "HD s0 t~1000 Z");
        conn.ask(format!("ms stale{n} 1\r\nx\r\nmd stale{n} I\r\n"), "HD\r\nHD\r\n");
        stampede(&mut clients, &format!("mg stale{n} s\r\n"), "HD s1 X W", "HD s1 Z X");
        conn.ask(format!("ms ending{n} 1 T1000\r\nx\r\n"), "HD\r\n");
        stampede(&mut clients, &format!("mg ending{n} s R2000\r\n"), "HD s1 W", "HD s1 Z");
        conn.finish();
    }
}
