//! What one noisy connection gets in a turn while a quiet one has requests on the same shard: a bounded number of bytes, keys and
//! requests, however much it has asked for. No time is measured: a step of the world is a turn of the one shard, or less.

use ringcached_simulation::{Setup, World};
use std::os::fd::RawFd;

/// Steps of each test; most are turns.
const STEPS: usize = 500;
/// Steps from a quiet request to its answer, at most: it is received in one turn and sent in the next, if these are turns.
const ANSWERED_WITHIN: usize = 12;
/// So large that a value of 100 KiB is in few pieces, and how many there are in a send does not matter.
const STORE_BYTES: usize = 512 << 20;
/// Bytes of requests under way.
const PIPELINE_BYTES: usize = 64 << 10;
/// Room of a connection: the network holds nobody back.
const SOCKET_BYTES: usize = 16 << 20;

/// `net::outbox::UNSENT_MAX`, `shard::session::KEYS_PER_TURN`, and -R: what a connection gets at a time. It may have two shares in a turn,
/// one when its bytes arrive and one among those that go on.
const UNSENT_MAX: usize = 256 << 10;
const KEYS_PER_TURN: usize = 512;
const REQUESTS_PER_TURN: usize = 20;
const SHARES: usize = 2;
/// `shard::turn::SEND_TOGETHER_BYTES`.
const SEND_TOGETHER_BYTES: usize = 8 << 10;

/// A server with one shard.
fn world() -> World {
    World::new(1, &Setup { socket_bytes: SOCKET_BYTES, store_bytes: STORE_BYTES, ..Setup::usual(1) })
}

/// Sends `request` whole and waits for `answer_len` bytes.
fn ask(world: &mut World, fd: RawFd, request: &[u8], answer_len: usize) {
    assert_eq!(world.send(fd, request), request.len());
    let mut answer = Vec::new();
    while answer.len() < answer_len {
        world.step();
        world.receive(fd, SOCKET_BYTES, &mut answer);
    }
}

fn store(world: &mut World, key: &str, len: usize) {
    let fd = world.connect();
    let request = [format!("set {key} 0 0 {len}\r\n").as_bytes(), &vec![b'v'; len], b"\r\n"].concat();
    ask(world, fd, &request, b"STORED\r\n".len());
    world.end(fd);
}

/// The noisy connection repeats `request` and reads what comes; the most bytes it was sent in a step. The quiet one makes one request
/// after the other, each answered within [`ANSWERED_WITHIN`] steps.
fn beside_noise(world: &mut World, request: &[u8]) -> usize {
    let (noisy, quiet) = (world.connect(), world.connect());
    let (mut answer, mut most, mut waited, mut answered) = (Vec::new(), 0, 0, 0);
    let pipeline = request.repeat(PIPELINE_BYTES.div_ceil(request.len()));
    let mut unsent: Vec<u8> = Vec::new();
    world.send(quiet, b"get q\r\n");
    for _ in 0..STEPS {
        // Its pipeline never runs dry.
        if unsent.is_empty() {
            unsent = pipeline.clone();
        }
        let room = PIPELINE_BYTES.min(unsent.len());
        let sent = world.send(noisy, &unsent[..room]);
        unsent.drain(..sent);
        world.step();
        let mut noise = Vec::new();
        world.receive(noisy, SOCKET_BYTES, &mut noise);
        most = most.max(noise.len());
        world.receive(quiet, SOCKET_BYTES, &mut answer);
        waited += 1;
        if answer.ends_with(b"END\r\n") {
            answer.clear();
            (waited, answered) = (0, answered + 1);
            world.send(quiet, b"get q\r\n");
        }
        assert!(
            waited <= ANSWERED_WITHIN,
            "a quiet request has waited for {waited} steps beside {:?}",
            &request[..20]
        );
    }
    // What is on its way goes home before the world ends.
    world.reset(noisy);
    world.reset(quiet);
    assert!(world.settle(), "the server comes to rest");
    assert!(answered > STEPS / ANSWERED_WITHIN, "only {answered} quiet requests in {STEPS} steps");
    most
}

#[test]
fn multi_gets_of_large_values() {
    const VALUE: usize = 100 << 10;
    let mut world = world();
    store(&mut world, "large", VALUE);
    let request = format!("get{}\r\n", " large".repeat(16));
    let most = beside_noise(&mut world, request.as_bytes());
    assert!(most > VALUE, "only {most} bytes in a step: nothing was tried");
    // A value is queued whole as long as there is less unsent.
    let bound = UNSENT_MAX + VALUE + 100;
    assert!(most <= bound, "{most} bytes in a step, at most {bound}");
}

#[test]
fn a_get_of_very_many_keys() {
    let mut world = world();
    store(&mut world, "k", 1);
    let request = format!("get{}\r\n", " k".repeat(10_000));
    let most = beside_noise(&mut world, request.as_bytes());
    let bound = SHARES * KEYS_PER_TURN * "VALUE k 0 1\r\nv\r\n".len() + SHARES * "END\r\n".len();
    assert!(most > bound / 4, "only {most} bytes in a step: nothing was tried");
    assert!(most <= bound, "{most} bytes in a step, at most {bound}");
}

#[test]
fn a_deep_pipeline() {
    let mut world = world();
    store(&mut world, "k", 300);
    let most = beside_noise(&mut world, b"get k\r\n");
    let answer = "VALUE k 0 300\r\n".len() + 300 + "\r\nEND\r\n".len();
    // What is less is kept for a larger send while there is more to do.
    let bound = SEND_TOGETHER_BYTES + SHARES * REQUESTS_PER_TURN * answer;
    assert!(most > bound / 4, "only {most} bytes in a step: nothing was tried");
    assert!(most <= bound, "{most} bytes in a step, at most {bound}");
}
