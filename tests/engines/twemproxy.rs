//! Distribution by nutcracker. Where its hash is the servers' partition and its distribution is modula, or where each port is a
//! server of its own, nothing hops. Otherwise requests hop, are counted, and are answered all the same.

use super::fleet::{Fleet, HOSTS, SHARDS};
use super::ledger::{Client, Found, Ledger, name};
use super::proxy::{Proxy, Settings};

const KEYS: u32 = 600;
const CLIENTS: u32 = 4;
/// Keys of a get of many.
const GETS_OF: usize = 24;

#[test]
fn modula_crc32a_never_hops() {
    let fleet = use_all("crc32a", &Settings::steady("crc32a", "modula"));
    never_hopped(&fleet);
}

#[test]
fn modula_fnv1a_32_never_hops() {
    let fleet = use_all("fnv1a_32", &Settings::steady("fnv1a_32", "modula"));
    never_hopped(&fleet);
}

#[test]
fn ketama_crc32a_over_isolated_ports_never_hops() {
    let fleet = use_all("isolated", &Settings::steady("crc32a", "ketama"));
    never_hopped(&fleet);
}

#[test]
fn ketama_fnv1a_32_over_isolated_ports_never_hops() {
    let fleet = use_all("isolated", &Settings::steady("fnv1a_32", "ketama"));
    never_hopped(&fleet);
}

#[test]
fn ketama_over_seeded_ports_is_served_and_counted() {
    let fleet = use_all("seeded", &Settings::steady("fnv1a_32", "ketama"));
    hopped_everywhere(&fleet);
}

#[test]
fn modula_with_another_hash_is_served_and_counted() {
    let fleet = use_all("crc32a", &Settings::steady("fnv1a_32", "modula"));
    hopped_everywhere(&fleet);
}

/// nutcracker sorts its list by the servers' names, shorter ones first. A name is address and port if there is no other, so a list in any
/// order is host-major.
#[test]
fn the_order_of_the_list_does_not_matter() {
    let fleet = Fleet::start("crc32a");
    let mut servers: Vec<String> =
        fleet.shard_addresses().iter().map(|server| format!("{server}:1")).collect();
    servers.reverse();
    let proxy = Proxy::start_with(&fleet, &Settings::steady("crc32a", "modula"), &servers);
    use_through(&fleet, &proxy);
    never_hopped(&fleet);
}

/// Yet on port 11211 the name is the address alone: those servers come first, of every host, and the list is no longer host-major.
#[test]
fn port_11211_is_sorted_first() {
    let fleet = Fleet::start_at(11_211, "crc32a");
    let proxy = Proxy::start(&fleet, &Settings::steady("crc32a", "modula"));
    use_through(&fleet, &proxy);
    assert!(fleet.count("misrouted").iter().sum::<u64>() > 0);
}

/// Names of one length put it right.
#[test]
fn names_sort_the_list() {
    let fleet = Fleet::start_at(11_211, "crc32a");
    let named = |(i, server)| format!("{server}:1 core-{i}");
    let servers: Vec<String> = fleet.shard_addresses().iter().enumerate().map(named).collect();
    let proxy = Proxy::start_with(&fleet, &Settings::steady("crc32a", "modula"), &servers);
    use_through(&fleet, &proxy);
    never_hopped(&fleet);
}

/// Every shard did its share, and all of it was its own.
pub fn never_hopped(fleet: &Fleet) {
    let none = vec![0; HOSTS * SHARDS as usize];
    assert_eq!(fleet.count("misrouted"), none);
    assert_eq!(fleet.count("cmd_forwarded"), none);
    assert_eq!(fleet.count("cmd_for_peers"), none);
    let local = fleet.count("cmd_local");
    let fair = local.iter().sum::<u64>() / local.len() as u64;
    assert!(local.iter().all(|&done| done > fair / 2), "each has its share: {local:?}");
}

/// About half of the requests came to the wrong shard of two.
pub fn hopped_everywhere(fleet: &Fleet) {
    let misrouted = fleet.count("misrouted");
    assert_eq!(misrouted, fleet.count("cmd_forwarded"));
    for (misrouted, local) in misrouted.iter().zip(fleet.count("cmd_local")) {
        assert!((local / 4..local * 4).contains(misrouted), "{misrouted} hopped, {local} did not");
    }
}

/// Uses every key through nutcracker, in every way it knows, from several clients at once. Nothing may fail.
fn use_all(partition: &str, settings: &Settings) -> Fleet {
    let fleet = Fleet::start(partition);
    let proxy = Proxy::start(&fleet, settings);
    use_through(&fleet, &proxy);
    fleet
}

/// The same on a fleet and through a proxy that are there.
fn use_through(fleet: &Fleet, _proxy: &Proxy) {
    let ledger = Ledger::new(KEYS);
    std::thread::scope(|scope| {
        for i in 0..CLIENTS {
            let mut client = Client::new(fleet.connect(Proxy::address()), &ledger);
            scope.spawn(move || read_and_write(&mut client, i));
        }
    });
    // Every key has been written: each is there.
    let mut client = Client::new(fleet.connect(Proxy::address()), &ledger);
    for keys in ledger.keys().collect::<Vec<_>>().chunks(GETS_OF) {
        assert_eq!(client.get_many(keys).expect("an answer"), vec![Found::Current; keys.len()]);
    }
    use_every_command(fleet);
}

/// Writes the keys that leave the remainder `own`, and reads those and anybody's.
fn read_and_write(client: &mut Client, own: u32) {
    let mut random = fastrand::Rng::with_seed(u64::from(own));
    for _ in 0..2 {
        for key in (own..KEYS).step_by(CLIENTS as usize) {
            client.set(key).expect("a server that is there");
            assert_eq!(client.get(key).expect("an answer"), Found::Current);
            let keys = random.choose_multiple(0..KEYS, GETS_OF);
            let found = client.get_many(&keys).expect("an answer");
            assert!(!found.contains(&Found::Older), "{found:?}");
        }
    }
}

/// The commands nutcracker passes on, each on its own.
fn use_every_command(fleet: &Fleet) {
    let mut conn = fleet.connect(Proxy::address());
    for i in KEYS..KEYS + 200 {
        let key = name(i);
        conn.ask(format!("add {key} 7 0 2\r\n10\r\n"), "STORED\r\n");
        conn.ask(format!("add {key} 7 0 2\r\n10\r\n"), "NOT_STORED\r\n");
        conn.ask(format!("incr {key} 5\r\n"), "15\r\n");
        conn.ask(format!("decr {key} 4\r\n"), "11\r\n");
        conn.ask(format!("append {key} 0 0 1\r\n.\r\n"), "STORED\r\n");
        conn.ask(format!("prepend {key} 0 0 1\r\n<\r\n"), "STORED\r\n");
        conn.ask(format!("get {key}\r\n"), format!("VALUE {key} 7 4\r\n<11.\r\nEND\r\n"));
        conn.ask(format!("touch {key} 100\r\n"), "TOUCHED\r\n");
        let cas = conn.cas_of(&key);
        conn.ask(format!("cas {key} 0 0 1 {cas}\r\nx\r\n"), "STORED\r\n");
        conn.ask(format!("cas {key} 0 0 1 {cas}\r\ny\r\n"), "EXISTS\r\n");
        conn.ask(format!("replace {key} 1 0 1\r\nz\r\n"), "STORED\r\n");
        conn.ask(format!("get {key}\r\n"), format!("VALUE {key} 1 1\r\nz\r\nEND\r\n"));
        conn.ask(format!("delete {key}\r\n"), "DELETED\r\n");
        conn.ask(format!("get {key}\r\n"), "END\r\n");
    }
}
