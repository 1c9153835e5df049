//! The mesh: a get for another shard, from the asker's request into the queue, out of it and into the owner's request.
//! Both ends are on one thread here, so time leaves out what two cores pay for the lines they share.

use crate::{KEY, Operation};
use ringcached::shard::execute::words_max;
use ringcached::shard::mesh::wire::{Ask, Ticket, next_ask};
use ringcached::shard::mesh::{Parked, connect, queue_bytes};
use ringcached::shard::request::{Form, KeyRequest, Op};
use ringcached::store::Key;
use std::hint::black_box;

/// Asks of one turn.
const BATCH: u32 = 32;

pub const OPERATIONS: &[Operation] = &[
    Operation { name: "mesh: an ask", requests: 1, make: || asks(1) },
    Operation { name: "mesh: 32 asks, per ask", requests: BATCH, make: || asks(BATCH) },
];

/// So many asks in one turn.
fn asks(count: u32) -> Box<dyn FnMut()> {
    let mut ends = connect(2, words_max(250), queue_bytes(2, words_max(250))).into_iter();
    let (Some((mut outbound, _)), Some((_, mut inbound))) = (ends.next(), ends.next()) else {
        panic!("two shards")
    };
    let parked = Parked::new(2);
    Box::new(move || {
        for slot in 0..black_box(count) {
            let ticket = Ticket { conn: 1, generation: 1, slot };
            assert!(outbound.ask(1, Ask::Key(ticket, black_box(get()), 5)), "the queue has room");
        }
        outbound.flush(&parked, |_| panic!("nobody sleeps"));
        let queue = inbound.asks[0].as_mut().expect("shard 1 hears shard 0");
        let mut heard = 0;
        while let Some(ask) = next_ask(queue) {
            black_box(ask);
            heard += 1;
        }
        assert_eq!(heard, count);
        inbound.publish();
    })
}

fn get() -> KeyRequest<'static> {
    KeyRequest {
        op: Op::Get,
        form: Form::Classic { noreply: false },
        key: Key { bytes: KEY, hash: 0x1234_5678_9abc_def0 },
        value: &[],
        value_len: 0,
        flags: 0,
        expires_s: 0,
        number: 0,
    }
}
