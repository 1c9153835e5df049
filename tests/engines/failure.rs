//! One of two machines fails under load, by a kill that its engine is told of at once or by a cable that is pulled without a word,
//! and comes back. The engine is nutcracker.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fleet::{Fleet, SHARDS};
use super::ledger::{Client, Found, Ledger};
use super::proxy::{Proxy, Settings, Times};
use crate::harness::wait_for;

/// Keys of the load, and those that the test itself writes and reads meanwhile.
const LOAD: Range<u32> = 0..400;
const CONTROL: Range<u32> = 400..500;
const CLIENTS: u32 = 3;
/// The host that fails, and the one that does not.
const FAILS: usize = 0;
const STAYS: usize = 1;

/// How a host fails.
#[derive(Clone, Copy)]
enum Failure {
    Killed,
    CutOff,
}

impl Failure {
    fn begin(self, fleet: &mut Fleet) {
        match self {
            Failure::Killed => fleet.kill(FAILS),
            Failure::CutOff => fleet.cut(FAILS),
        }
    }

    fn end(self, fleet: &mut Fleet) {
        match self {
            Failure::Killed => fleet.bring_back(FAILS),
            Failure::CutOff => fleet.mend(FAILS),
        }
    }

    fn times(self) -> Times {
        match self {
            Failure::Killed => Times::KILLED,
            Failure::CutOff => Times::CUT_OFF,
        }
    }
}

#[test]
fn killed_under_modula() {
    fails_and_returns("crc32a", ("crc32a", "modula"), Failure::Killed);
}

#[test]
fn killed_under_ketama() {
    fails_and_returns("isolated", ("fnv1a_32", "ketama"), Failure::Killed);
}

#[test]
fn cut_off_under_modula() {
    fails_and_returns("fnv1a_32", ("fnv1a_32", "modula"), Failure::CutOff);
}

#[test]
fn cut_off_under_ketama() {
    fails_and_returns("isolated", ("crc32a", "ketama"), Failure::CutOff);
}

/// The engine takes the host out of its list, so that the other serves every key; and in again.
fn fails_and_returns(partition: &str, (hash, distribution): (&'static str, &'static str), failure: Failure) {
    let mut fleet = Fleet::start(partition);
    let settings = Settings { hash, distribution, ejects: true, times: failure.times() };
    let proxy = Proxy::start(&fleet, &settings);
    let ledger = Ledger::new(CONTROL.end);
    let mut stays = Vec::new();
    let older = under_load(&mut fleet, &ledger, |fleet, client| {
        stays = fleet.held_by(STAYS, ledger.keys());
        failure.begin(fleet);
        wait_for("the other host to serve all keys", || client.sweep(CONTROL).then_some(()));
        // Each core of it is a server of the engine, whose figures are some moments old.
        wait_for("as many ejections as it has cores", || {
            (proxy.ejections(fleet) >= u64::from(SHARDS)).then_some(())
        });
        failure.end(fleet);
        wait_for("every core to serve its own keys again", || {
            let (local, forwarded) = (fleet.count("cmd_local"), fleet.count("cmd_forwarded"));
            let served = client.sweep(CONTROL);
            let all_work = fleet.count("cmd_local").iter().zip(&local).all(|(now, before)| now > before);
            (served && all_work && fleet.count("cmd_forwarded") == forwarded).then_some(())
        });
    });
    eprintln!("{older} reads found an older version");
    let mut client = Client::new(fleet.connect(Proxy::address()), &ledger);
    assert!(client.sweep(ledger.keys()), "all is as it was");
    // By ketama the keys of the others stay where they are when a server goes.
    if distribution == "ketama" {
        let failures = stays.iter().map(|&key| ledger.failures(key)).sum::<u64>();
        assert_eq!(failures, 0, "requests for keys of the host that stayed");
    }
}

/// Without ejection the keys of the host fail while it is away, those of the other never do, and no key ever moves.
#[test]
fn killed_without_ejection() {
    let mut fleet = Fleet::start("crc32a");
    let _proxy = Proxy::start(&fleet, &Settings::steady("crc32a", "modula"));
    let ledger = Ledger::new(CONTROL.end);
    let mut stays = Vec::new();
    let older = under_load(&mut fleet, &ledger, |fleet, client| {
        stays = fleet.held_by(STAYS, CONTROL);
        let fails = fleet.held_by(FAILS, CONTROL);
        assert_eq!(stays.len() + fails.len(), CONTROL.len(), "each key is in one place");
        fleet.kill(FAILS);
        for &key in &fails {
            client.set(key).expect_err("nobody has this key");
            client.get(key).expect_err("nobody has this key");
        }
        assert!(client.sweep(stays.iter().copied()), "the other host serves");
        fleet.bring_back(FAILS);
        wait_for("its keys to be served again", || client.sweep(fails.iter().copied()).then_some(()));
    });
    assert_eq!(older, 0, "keys stay where they are, and a killed server forgets");
    stays.extend(fleet.held_by(STAYS, LOAD));
    assert_eq!(stays.iter().map(|&key| ledger.failures(key)).sum::<u64>(), 0);
}

/// Lets `story` happen while clients write and read through the engine, and returns how many of their reads found an older version.
/// All keys are there at the start. The story has a client of its own, for the keys of [`CONTROL`].
fn under_load(fleet: &mut Fleet, ledger: &Ledger, story: impl FnOnce(&mut Fleet, &mut Client)) -> u64 {
    let mut client = Client::new(fleet.connect(Proxy::address()), ledger);
    assert!(client.sweep(ledger.keys()), "all servers are there");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..CLIENTS)
            .map(|i| {
                let mut client = Client::new(fleet.connect(Proxy::address()), ledger);
                let stop = &stop;
                scope.spawn(move || load(&mut client, i, stop))
            })
            .collect();
        let stopper = Stopper(&stop);
        story(fleet, &mut client);
        drop(stopper);
        loads.into_iter().map(|load| load.join().expect("no wrong value")).sum()
    })
}

/// Ends the load, also when the story has panicked.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Writes the keys of [`LOAD`] that leave the remainder `own` and reads anybody's, until it is to stop. Refusals are counted in the
/// ledger; returns how many older versions were read.
fn load(client: &mut Client, own: u32, stop: &AtomicBool) -> u64 {
    let mut random = fastrand::Rng::with_seed(u64::from(own));
    let own: Vec<u32> = LOAD.skip(own as usize).step_by(CLIENTS as usize).collect();
    let mut older = 0;
    while !stop.load(Ordering::SeqCst) {
        // What is refused is counted by the client.
        let _ = client.set(own[random.usize(..own.len())]);
        for _ in 0..3 {
            let found = client.get(random.u32(LOAD));
            older += u64::from(found == Ok(Found::Older));
        }
    }
    older
}
