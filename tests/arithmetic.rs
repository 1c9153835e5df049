//! incr decr touch delete, and the small commands that concern no item.

use crate::harness::{Conversation, converse};

const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta argument\r\n";
const NON_NUMERIC: &str = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";

on_shards! { counting padding numeric_texts deltas touching deleting version_and_verbosity }

fn counting(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("incr a 1\r\n", "NOT_FOUND\r\n"),
        ("decr a 1\r\n", "NOT_FOUND\r\n"),
        ("incr a 1 noreply\r\nget a\r\n", "END\r\n"),
        ("set a 7 0 1\r\n5\r\n", "STORED\r\n"),
        ("incr a 1\r\n", "6\r\n"),
        ("incr a 10\r\n", "16\r\n"),
        ("get a\r\n", "VALUE a 7 2\r\n16\r\nEND\r\n"),
        ("decr a 6\r\n", "10\r\n"),
        ("incr a 0\r\n", "10\r\n"),
        ("incr a 5 noreply\r\nget a\r\n", "VALUE a 7 2\r\n15\r\nEND\r\n"),
        ("decr a 5 noreply\r\nget a\r\n", "VALUE a 7 2\r\n10\r\nEND\r\n"),
        ("decr a 11\r\n", "0\r\n"),
        ("decr a 18446744073709551615\r\n", "0\r\n"),
        ("incr a 18446744073709551615\r\n", "18446744073709551615\r\n"),
        ("get a\r\n", "VALUE a 7 20\r\n18446744073709551615\r\nEND\r\n"),
        ("incr a 2\r\n", "1\r\n"),
    ];
    converse(shards, &[], conversation);
}

/// A number shorter than the old one is padded with spaces to its length, in the item and not in the answer.
fn padding(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 0 2\r\n10\r\n", "STORED\r\n"),
        ("decr a 1\r\n", "9\r\n"),
        ("get a\r\n", "VALUE a 0 2\r\n9 \r\nEND\r\n"),
        ("incr a 1\r\n", "10\r\n"),
        ("get a\r\n", "VALUE a 0 2\r\n10\r\nEND\r\n"),
        ("set b 0 0 20\r\n18446744073709551615\r\n", "STORED\r\n"),
        ("incr b 1\r\n", "0\r\n"),
        ("get b\r\n", "VALUE b 0 20\r\n0                   \r\nEND\r\n"),
        ("set c 3 0 4\r\n0099\r\n", "STORED\r\n"),
        ("incr c 1\r\n", "100\r\n"),
        ("get c\r\n", "VALUE c 3 4\r\n100 \r\nEND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn numeric_texts(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 0 3\r\n +5\r\nincr a 1\r\n", "STORED\r\n6\r\n"),
        ("set a 0 0 2\r\n5 \r\nincr a 1\r\n", "STORED\r\n6\r\n"),
        (
            "set a 0 0 2\r\n-5\r\nincr a 1\r\n",
            "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        ("decr a 1\r\n", NON_NUMERIC),
        ("set a 0 0 4\r\n0x10\r\n", "STORED\r\n"),
        ("incr a 1\r\n", NON_NUMERIC),
        ("set a 0 0 2\r\n5x\r\n", "STORED\r\n"),
        ("incr a 1\r\n", NON_NUMERIC),
        ("set a 0 0 0\r\n\r\n", "STORED\r\n"),
        ("incr a 1\r\n", NON_NUMERIC),
        ("set a 0 0 20\r\n18446744073709551616\r\n", "STORED\r\n"),
        ("incr a 1\r\n", NON_NUMERIC),
        ("set a 0 0 5\r\nhello\r\n", "STORED\r\n"),
        ("incr a 1 noreply\r\nget a\r\n", "VALUE a 0 5\r\nhello\r\nEND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn deltas(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("set a 0 0 1\r\n5\r\n", "STORED\r\n"),
        ("incr a x\r\n", BAD_DELTA),
        ("incr a -1\r\n", BAD_DELTA),
        ("decr a +1\r\n", BAD_DELTA),
        ("incr a 1x\r\n", BAD_DELTA),
        ("decr a 18446744073709551616\r\n", BAD_DELTA),
        ("incr nope x\r\n", BAD_DELTA),
        ("incr a x noreply\r\nget a\r\n", "VALUE a 0 1\r\n5\r\nEND\r\n"),
        ("incr a 0001\r\n", "6\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn touching(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("touch a 10\r\n", "NOT_FOUND\r\n"),
        ("touch a 10 noreply\r\nset a 3 0 1\r\nx\r\n", "STORED\r\n"),
        ("touch a 100\r\n", "TOUCHED\r\n"),
        ("touch a 0\r\n", "TOUCHED\r\n"),
        ("touch a x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"),
        // A time after 2038 works here; memcached refuses it.
        ("touch a 99999999999\r\n", "TOUCHED\r\n"),
        ("touch a 1x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"),
        ("touch a x noreply\r\nget a\r\n", "VALUE a 3 1\r\nx\r\nEND\r\n"),
        ("touch a -1\r\n", "TOUCHED\r\n"),
        ("get a\r\n", "END\r\n"),
        ("touch a 0\r\n", "NOT_FOUND\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn deleting(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("delete a\r\n", "NOT_FOUND\r\n"),
        ("set a 0 0 1\r\nx\r\ndelete a\r\n", "STORED\r\nDELETED\r\n"),
        ("get a\r\n", "END\r\n"),
        ("delete a\r\n", "NOT_FOUND\r\n"),
        ("set a 0 0 1\r\nx\r\ndelete a 0\r\n", "STORED\r\nDELETED\r\n"),
        ("set a 0 0 1\r\nx\r\ndelete a 10\r\n", "STORED\r\nDELETED\r\n"),
        ("set a 0 0 1\r\nx\r\ndelete a noreply\r\nget a\r\n", "STORED\r\nEND\r\n"),
        ("set a 0 0 1\r\nx\r\ndelete a 0 noreply\r\nget a\r\n", "STORED\r\nEND\r\n"),
        ("add a 0 0 1\r\nx\r\n", "STORED\r\n"),
    ];
    converse(shards, &[], conversation);
}

fn version_and_verbosity(shards: u32) {
    let conversation: Conversation<'_> = &[
        ("verbosity 0\r\n", "OK\r\n"),
        ("verbosity 0 noreply\r\nget a\r\n", "END\r\n"),
        ("verbosity x\r\n", "CLIENT_ERROR bad command line format\r\n"),
        ("verbosity -1\r\n", "CLIENT_ERROR bad command line format\r\n"),
        ("verbosity\r\n", "CLIENT_ERROR bad command line format\r\n"),
        ("shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n"),
        ("stats bogus\r\n", "ERROR\r\n"),
    ];
    converse(shards, &[], conversation);
    let server = crate::harness::Server::start(shards, &[]);
    let mut conn = server.connect();
    for request in ["version\r\n", "version\n", "version foo\r\n", "version noreply\r\n"] {
        let line = conn.ask_line(request);
        assert!(line.strip_prefix("VERSION ").is_some_and(|v| !v.is_empty() && !v.contains(' ')), "{line:?}");
    }
    conn.finish();
}
