//! The replay: requests in windows, each window to every target.
//!
//! A window is run in two steps: all its gets go out together and are answered, then its writes and the stores for its
//! misses. So at no time do both sides have much to send, and no pipelining can block.
//!
//! The miss ratio is that of a caller that sends one request at a time, whatever the window. Requests of one key in one
//! window are all gets; anything else begins the next window. If the first of such gets misses, the others are not counted
//! but asked again after its store: a second round.

use std::collections::HashMap;

use anyhow::Result;

use crate::request::{Op, Request};
use crate::target::Target;

/// Most requests of a window: at 250 bytes of key their lines fit a socket's buffers, so sending them never waits for
/// answers to be read.
pub const WINDOW_MAX: u64 = 256;

/// Consecutive requests that go out together.
struct Window {
    requests_max: usize,
    requests: Vec<Request>,
    /// What each key in it is asked for.
    keys: HashMap<String, Op>,
}

impl Window {
    fn takes(&self, request: &Request) -> bool {
        let goes_with = |op: &Op| (*op, request.op) == (Op::Get, Op::Get);
        self.requests.len() < self.requests_max && self.keys.get(&request.key).is_none_or(goes_with)
    }

    fn push(&mut self, request: Request) {
        self.keys.insert(request.key.clone(), request.op);
        self.requests.push(request);
    }

    /// Runs the requests on all targets. Each step is sent to all before the first answer is read: servers work at the
    /// same time.
    fn run(&mut self, targets: &mut [Target]) -> Result<()> {
        for target in &mut *targets {
            target.begin(self.requests.len());
        }
        let steps = [Target::send_gets, Target::read_gets, Target::send_writes, Target::read_writes];
        while targets.iter().any(Target::has_more) {
            for step in steps {
                targets.iter_mut().try_for_each(|target| step(target, &self.requests))?;
            }
        }
        self.requests.clear();
        self.keys.clear();
        Ok(())
    }
}

/// Runs all `requests` on all `targets`, up to `window` of them at a time.
pub fn run(
    requests: impl Iterator<Item = Result<Request>>,
    window: usize,
    targets: &mut [Target],
) -> Result<()> {
    let mut window = Window { requests_max: window, requests: Vec::new(), keys: HashMap::new() };
    for request in requests {
        let request = request?;
        if !window.takes(&request) {
            window.run(targets)?;
        }
        window.push(request);
    }
    window.run(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_server::{FakeServer, Fault};
    use crate::target::Counts;

    /// Requests written as `g`, `s` or `d` and a key, all of 20 bytes.
    fn requests(text: &str) -> impl Iterator<Item = Result<Request>> {
        let request = |word: &str| {
            let (op, key) = word.split_at(1);
            let op = match op {
                "g" => Op::Get,
                "s" => Op::Set,
                _ => Op::Delete,
            };
            Ok(Request { op, key: key.into(), object_bytes: 20, ttl_s: 0, part: "all" })
        };
        text.split(' ').map(request).collect::<Vec<_>>().into_iter()
    }

    fn target(server: &FakeServer, connections: usize) -> Target {
        Target::open("fake".into(), server.address, connections).unwrap()
    }

    /// Gets, misses, writes and refused of `text` on a server of `items_max` items.
    fn outcome(text: &str, window: usize, items_max: usize) -> (u64, u64, u64, u64) {
        let server = FakeServer::start(items_max, Fault::None);
        let mut targets = [target(&server, 1)];
        run(requests(text), window, &mut targets).unwrap();
        let Counts { gets, misses, writes, refused, .. } = targets[0].total();
        (gets, misses, writes, refused)
    }

    #[test]
    fn a_miss_is_stored_and_hits_next_time() {
        assert_eq!(outcome("ga gb ga gb", 1, 10), (4, 2, 2, 0));
    }

    #[test]
    fn what_was_evicted_misses() {
        assert_eq!(outcome("ga gb gc ga gb gc", 1, 2), (6, 6, 6, 0));
        assert_eq!(outcome("ga gb gc ga gb gc", 1, 3), (6, 3, 3, 0));
    }

    #[test]
    fn a_window_changes_nothing_for_a_key() {
        for window in [1, 2, 64] {
            assert_eq!(outcome("ga ga ga", window, 10), (3, 1, 1, 0));
            assert_eq!(outcome("ga gb ga gb", window, 10), (4, 2, 2, 0));
            assert_eq!(outcome("sa ga", window, 10), (1, 0, 1, 0));
            assert_eq!(outcome("sa da ga", window, 10), (1, 1, 3, 0));
            assert_eq!(outcome("ga da ga", window, 10), (2, 2, 3, 0));
        }
    }

    #[test]
    fn gets_go_out_together_and_stores_after_them() {
        let server = FakeServer::start(10, Fault::None);
        run(requests("ga gb gc"), 2, &mut [target(&server, 1)]).unwrap();
        let log = server.log.lock().unwrap();
        assert_eq!(*log, ["get a", "get b", "set a 0 0 19", "set b 0 0 19", "get c", "set c 0 0 19"]);
    }

    #[test]
    fn a_repeated_get_is_asked_again_after_the_store() {
        let server = FakeServer::start(10, Fault::None);
        run(requests("ga ga gb ga"), 64, &mut [target(&server, 1)]).unwrap();
        let log = server.log.lock().unwrap();
        let gets = ["get a", "get a", "get b", "get a"];
        let rest = ["set a 0 0 19", "set b 0 0 19", "get a", "get a"];
        assert_eq!(*log, [gets, rest].concat());
    }

    #[test]
    fn a_repeated_get_of_what_is_never_kept_misses_each_time() {
        let server = FakeServer::start(10, Fault::RefusesStores);
        let mut targets = [target(&server, 1)];
        run(requests("ga ga ga"), 64, &mut targets).unwrap();
        assert_eq!((targets[0].total().misses, targets[0].total().refused), (3, 3));
    }

    #[test]
    fn many_connections_count_the_same() {
        let server = FakeServer::start(100, Fault::None);
        let mut targets = [target(&server, 4)];
        let text = (0..200).map(|i| format!("g{}", i % 50)).collect::<Vec<_>>().join(" ");
        run(requests(&text), 16, &mut targets).unwrap();
        assert_eq!((targets[0].total().gets, targets[0].total().misses), (200, 50));
        assert_eq!(targets[0].items().unwrap(), 50);
    }

    #[test]
    fn targets_are_counted_apart() {
        let (small, large) = (FakeServer::start(1, Fault::None), FakeServer::start(usize::MAX, Fault::None));
        let mut targets = [target(&small, 1), target(&large, 1)];
        run(requests("ga gb ga gb"), 1, &mut targets).unwrap();
        assert_eq!(targets.map(|target| target.total().misses), [4, 2]);
    }

    #[test]
    fn parts_are_counted_apart() {
        let server = FakeServer::start(10, Fault::None);
        let mut targets = [target(&server, 1)];
        let parts = ["first", "first", "second"];
        let requests =
            requests("ga gb ga").zip(parts).map(|(request, part)| Ok(Request { part, ..request? }));
        run(requests, 1, &mut targets).unwrap();
        let counted: Vec<_> = targets[0].parts.iter().map(|c| (c.part, c.gets, c.misses)).collect();
        assert_eq!(counted, [("first", 2, 2), ("second", 1, 0)]);
    }

    #[test]
    fn refused_stores_are_counted() {
        let server = FakeServer::start(10, Fault::RefusesStores);
        let mut targets = [target(&server, 1)];
        run(requests("ga ga"), 1, &mut targets).unwrap();
        assert_eq!((targets[0].total().misses, targets[0].total().refused), (2, 2));
    }

    #[test]
    fn a_wrong_value_ends_the_replay() {
        let server = FakeServer::start(10, Fault::WrongByte);
        let error = run(requests("ga ga"), 1, &mut [target(&server, 1)]).unwrap_err();
        assert!(format!("{error:#}").contains("wrong value"), "{error:#}");
    }
}
