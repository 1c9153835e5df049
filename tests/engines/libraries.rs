//! Client libraries that distribute by themselves: libmemcached, by way of pylibmc, and pymemcache's HashClient. The program
//! `tests/clients/fleet.py` writes and reads every key once for each time it is asked to, and checks every value.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::fleet::Fleet;
use super::twemproxy::{hopped_everywhere, never_hopped};
use crate::clients::python;
use crate::harness::wait_for;

/// The program's keys, which have the names of `shard_ports::key`.
const KEYS: std::ops::Range<u32> = 0..240;
const FAILS: usize = 0;
const STAYS: usize = 1;

/// Matching hashes, or ports with keys of their own: nothing hops.
#[test]
fn pylibmc_modula_never_hops() {
    never_hopped(&swept("fnv1a_32", "pylibmc-modula"));
}

#[test]
fn pylibmc_ketama_over_isolated_ports_never_hops() {
    never_hopped(&swept("isolated", "pylibmc-ketama"));
}

#[test]
fn pymemcache_modula_never_hops() {
    never_hopped(&swept("crc32a", "pymemcache-modula"));
}

#[test]
fn pymemcache_rendezvous_over_isolated_ports_never_hops() {
    never_hopped(&swept("isolated", "pymemcache-rendezvous"));
}

#[test]
fn pymemcache_rendezvous_over_seeded_ports_is_served_and_counted() {
    hopped_everywhere(&swept("seeded", "pymemcache-rendezvous"));
}

/// A fleet that has served all keys of the client a few times.
fn swept(partition: &str, client: &str) -> Fleet {
    let fleet = Fleet::start(partition);
    let mut program = Program::start(&fleet, client);
    for _ in 0..3 {
        assert_eq!(program.sweep(), Swept::default(), "{client}");
    }
    program.finish();
    fleet
}

/// They eject, and of the others' keys none fails, since those stay where they are.
#[test]
fn pylibmc_ketama_ejects_a_killed_host() {
    ejects_and_returns("isolated", "pylibmc-ketama", true);
}

#[test]
fn pymemcache_rendezvous_ejects_a_killed_host() {
    ejects_and_returns("isolated", "pymemcache-rendezvous", true);
}

/// By modula the number of servers decides where every key is.
#[test]
fn pymemcache_modula_ejects_a_killed_host() {
    ejects_and_returns("crc32a", "pymemcache-modula", false);
}

fn ejects_and_returns(partition: &str, client: &str, others_stay: bool) {
    let mut fleet = Fleet::start(partition);
    let mut program = Program::start(&fleet, client);
    assert_eq!(program.sweep(), Swept::default());
    let stays = fleet.held_by(STAYS, KEYS);
    let sweep = |swept: Swept| {
        let bad = swept.refused.iter().find(|key| stays.contains(key));
        assert!(!others_stay || bad.is_none(), "{client}: {bad:?} lives on the other host");
        swept.refused.is_empty().then_some(())
    };
    program.ask();
    fleet.kill(FAILS);
    sweep(program.answer());
    wait_for("the other host to serve all keys", || sweep(program.sweep()));
    fleet.bring_back(FAILS);
    wait_for_all_cores(&fleet, || sweep(program.sweep()));
    program.finish();
}

/// libmemcached ejects by ketama alone: by modula keys stay, and fail while their host is away.
#[test]
fn pylibmc_modula_waits_for_a_killed_host() {
    let mut fleet = Fleet::start("fnv1a_32");
    let mut program = Program::start(&fleet, "pylibmc-modula");
    assert_eq!(program.sweep(), Swept::default());
    let fails = fleet.held_by(FAILS, KEYS);
    fleet.kill(FAILS);
    assert_eq!(program.sweep(), Swept { older: 0, refused: fails });
    fleet.bring_back(FAILS);
    wait_for_all_cores(&fleet, || {
        let swept = program.sweep();
        assert_eq!(swept.older, 0, "keys stay where they are, and a killed server forgets");
        swept.refused.is_empty().then_some(())
    });
    program.finish();
}

/// Waits for a sweep in which all is served, by every core, and nothing hops.
fn wait_for_all_cores(fleet: &Fleet, mut sweep: impl FnMut() -> Option<()>) {
    wait_for("every core to serve its own keys again", || {
        let (local, forwarded) = (fleet.count("cmd_local"), fleet.count("cmd_forwarded"));
        sweep()?;
        let all_work = fleet.count("cmd_local").iter().zip(&local).all(|(now, before)| now > before);
        (all_work && fleet.count("cmd_forwarded") == forwarded).then_some(())
    });
}

/// What came of a sweep over all keys.
#[derive(Debug, Default, PartialEq, Eq)]
struct Swept {
    /// Keys read at a version before the one acknowledged last.
    older: u32,
    /// Keys that were not served.
    refused: Vec<u32>,
}

/// The program, running. It ends with its stdin.
struct Program {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it on the clients' machine.
    fn start(fleet: &Fleet, client: &str) -> Program {
        let servers: Vec<String> = fleet.shard_addresses().iter().map(ToString::to_string).collect();
        let mut command = python("fleet.py");
        command.arg(servers.join(",")).arg(client).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = fleet.clients.run(|| command.spawn().expect("timeout(1) of coreutils"));
        let requests = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Program { child, requests, answers }
    }

    fn sweep(&mut self) -> Swept {
        self.ask();
        self.answer()
    }

    fn ask(&mut self) {
        self.requests.write_all(b"sweep\n").expect("the program listens");
    }

    fn answer(&mut self) -> Swept {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer in UTF-8");
        let swept = line.strip_prefix("older ").and_then(|rest| rest.split_once(" refused"));
        let (older, refused) =
            swept.unwrap_or_else(|| panic!("the program said {line:?}; tools/check installs what it needs"));
        let number = |word: &str| word.parse().expect("a number");
        Swept { older: number(older), refused: refused.split_whitespace().map(number).collect() }
    }

    /// Lets it end, which it must do in peace.
    fn finish(self) {
        let Program { mut child, requests, mut answers } = self;
        drop(requests);
        let mut said = String::new();
        answers.read_line(&mut said).expect("its last line");
        let status = child.wait().expect("our own child");
        assert!(status.success() && said == "all passed\n", "{status}: {said:?}");
    }
}
