//! Who may refresh an item that is missing, about to end or stale.

use std::sync::Barrier;

use super::{converse_about, is_about};
use crate::harness::{Conn, Conversation, Server, converse};

on_shards! { vivifying recaching stale_and_won stale_and_classic stored_stale stampedes }

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
            ("mg i N0 C123456 v\r\n", "VA 0 W\r\n\r\n"),
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

/// However many clients find an item missing, stale or about to end, one is told to refresh it.
fn stampedes(shards: u32) {
    const CLIENTS: usize = 1000;
    const ASKS: usize = 1;
    const THREADS: usize = 4;
    let server = Server::start(shards, &["-c", "2000"]);
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
