//! Base64 keys, opaque tokens, and what is answered to requests that are wrong.

use crate::harness::{Conversation, Server, converse};

on_shards! { base64_keys opaque_tokens errors swallowed_data }

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
