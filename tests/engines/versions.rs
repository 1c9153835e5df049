//! What an engine that ejects does to versions. A key that moves to another server while its own is away leaves a copy there when it
//! moves back. That copy is found at the next failure, older by everything that has been written since. No cache can know; what
//! helps is told in `docs/many-machines.md` and shown here.

use std::ops::Range;

use super::fleet::Fleet;
use super::ledger::{Client, Found, Ledger};
use super::proxy::{Proxy, Settings, Times};
use crate::harness::wait_for;

const KEYS: Range<u32> = 0..60;
/// Keys that show where the engine sends what, so that the others need not be touched.
const PROBES: Range<u32> = 60..120;
const FAILS: usize = 0;

fn settings(ejects: bool, times: Times) -> Settings {
    Settings { hash: "crc32a", distribution: "modula", ejects, times }
}

/// What a client finds for each key of [`KEYS`], once all of them are served.
fn find_all(client: &mut Client) -> Vec<Found> {
    wait_for("all keys to be served", || KEYS.map(|key| client.get(key).ok()).collect())
}

/// Keys of the host that fails are found as `of_failing`, the others are current.
fn assert_found(found: &[Found], failing: &[u32], of_failing: Found) {
    for (key, &found) in KEYS.zip(found) {
        let wanted = if failing.contains(&key) { of_failing } else { Found::Current };
        assert_eq!(found, wanted, "key {key}; {failing:?} are of the host that failed");
    }
}

/// Waits until the engine sends every probe to the host where it was at the start. On the way there it may send any of them to the host
/// that comes back, so what that one has does not count until it is written anew.
fn wait_for_return(fleet: &Fleet, client: &mut Client, probes_of_failing: &[u32]) {
    wait_for("the host that came back to be used", || {
        fleet.delete_from(FAILS, PROBES);
        let served = client.sweep(PROBES);
        (served && fleet.held_by(FAILS, PROBES) == probes_of_failing).then_some(())
    });
}

#[test]
fn ejected_twice_older_versions_are_read() {
    let mut fleet = Fleet::start("crc32a");
    let _proxy = Proxy::start(&fleet, &settings(true, Times::KILLED));
    let ledger = Ledger::new(PROBES.end);
    let mut client = Client::new(fleet.connect(Proxy::address()), &ledger);
    assert!(client.sweep(ledger.keys()));
    let (failing, probes) = (fleet.held_by(FAILS, KEYS), fleet.held_by(FAILS, PROBES));
    assert!((10..50).contains(&failing.len()), "{failing:?}");

    fleet.kill(FAILS);
    // Copies of its keys are written to the other host, and stay there.
    wait_for("the other host to take all keys", || client.sweep(KEYS).then_some(()));
    fleet.bring_back(FAILS);
    wait_for_return(&fleet, &mut client, &probes);
    assert!(client.sweep(KEYS), "all are written anew, where they were first");

    fleet.kill(FAILS);
    assert_found(&find_all(&mut client), &failing, Found::Older);
}

/// The same story without ejection.
#[test]
fn without_ejection_no_older_version_is_read() {
    let mut fleet = Fleet::start("crc32a");
    let _proxy = Proxy::start(&fleet, &settings(false, Times::KILLED));
    let ledger = Ledger::new(PROBES.end);
    let mut client = Client::new(fleet.connect(Proxy::address()), &ledger);
    assert!(client.sweep(ledger.keys()));
    let (failing, probes) = (fleet.held_by(FAILS, KEYS), fleet.held_by(FAILS, PROBES));
    for _ in 0..2 {
        fleet.kill(FAILS);
        for key in KEYS {
            let served = client.set(key).is_ok() && client.get(key) == Ok(Found::Current);
            assert_eq!(served, !failing.contains(&key), "key {key}");
        }
        fleet.bring_back(FAILS);
        wait_for_return(&fleet, &mut client, &probes);
        assert_found(&find_all(&mut client), &failing, Found::Nothing);
        assert!(client.sweep(KEYS));
    }
}

#[test]
fn cut_off_and_back_older_versions_are_read() {
    let (mut fleet, ledger) = (Fleet::start("crc32a"), Ledger::new(PROBES.end));
    let mut cut = Cut::between(&mut fleet, &ledger, |_| ());
    assert_found(&find_all(&mut cut.client), &cut.failing, Found::Older);
}

/// A flush meanwhile makes the host forget what it had. Yet what the engine sent it and gave up on is still under way: the kernel sends it
/// again and again, and it arrives after the flush.
#[test]
fn cut_off_and_flushed_what_was_under_way_arrives_late() {
    let (mut fleet, ledger) = (Fleet::start("crc32a"), Ledger::new(PROBES.end));
    let flush = |fleet: &mut Fleet| fleet.console(FAILS, 0).ask("flush_all\r\n", "OK\r\n");
    let mut cut = Cut::between(&mut fleet, &ledger, flush);
    let first = cut.failing[0];
    wait_for("the first set after the cut", || (cut.client.get(first) == Ok(Found::Older)).then_some(()));
    let mut found = find_all(&mut cut.client);
    found[first as usize] = Found::Nothing;
    assert_found(&found, &cut.failing, Found::Nothing);
}

/// A server that was started again meanwhile has neither the old values nor the old connections.
#[test]
fn cut_off_and_started_again_no_older_version_is_read() {
    let (mut fleet, ledger) = (Fleet::start("crc32a"), Ledger::new(PROBES.end));
    let restart = |fleet: &mut Fleet| {
        fleet.kill(FAILS);
        fleet.bring_back(FAILS);
    };
    let mut cut = Cut::between(&mut fleet, &ledger, restart);
    assert_found(&find_all(&mut cut.client), &cut.failing, Found::Nothing);
}

/// A host was cut off while all keys changed, and is back.
struct Cut<'a> {
    client: Client<'a>,
    /// The host's keys.
    failing: Vec<u32>,
    _proxy: Proxy,
}

impl Cut<'_> {
    /// `prepare` is done to the host before it is plugged in again.
    fn between<'a>(fleet: &mut Fleet, ledger: &'a Ledger, prepare: impl FnOnce(&mut Fleet)) -> Cut<'a> {
        let proxy = Proxy::start(fleet, &settings(true, Times::CUT_OFF));
        let mut client = Client::new(fleet.connect(Proxy::address()), ledger);
        assert!(client.sweep(ledger.keys()));
        let (failing, probes) = (fleet.held_by(FAILS, KEYS), fleet.held_by(FAILS, PROBES));
        fleet.cut(FAILS);
        wait_for("the other host to take all keys", || client.sweep(KEYS).then_some(()));
        prepare(fleet);
        fleet.mend(FAILS);
        wait_for_return(fleet, &mut client, &probes);
        Cut { client, failing, _proxy: proxy }
    }
}
