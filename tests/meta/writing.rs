//! What ms, md and ma do: conditions, modes, invalidation, arithmetic.

use super::converse_about;
use crate::harness::{Conversation, converse};

on_shards! { compare_and_given_cas modes deleting emptying counting counting_times }

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
