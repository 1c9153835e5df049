//! Clients from crates.io. They are dev-dependencies and called in this process: `cargo build` knows nothing of them, and
//! they cost the tests no second program.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use futures_lite::future::block_on;
use futures_lite::io::AssertAsync;
use memcache::exp::{Delete, Get, GetStatus, Memcache, Meta, MetaClient, MutationStatus, Set, Ttl};
use memcache_async::ascii::Protocol;

use crate::harness::{PATIENCE, Server, wait_for};

/// Values a client writes in one piece and in many; the last is near the server's limit of 1 MiB for an item.
const SIZES_BYTES: [usize; 6] = [0, 1, 1000, 16_384, 100_000, 1_000_000];
const TOO_LARGE_BYTES: usize = 2 << 20;

on_1_and_2_shards! { memcache_text memcache_binary memcache_meta memcache_udp memcache_async_text }

fn server(shards: u32) -> Server {
    Server::start(shards, &["-m", "128"])
}

fn random_bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    bytes
}

fn many() -> Vec<(String, Vec<u8>)> {
    (0..500).map(|i| (format!("many-{i}"), format!("value {i}").into_bytes())).collect()
}

fn memcache_text(shards: u32) {
    memcache_tour(shards, "ascii");
}

fn memcache_binary(shards: u32) {
    memcache_tour(shards, "binary");
}

/// Value, flags and CAS unique of an item.
type Found = (Vec<u8>, u32, Option<u64>);

fn memcache_tour(shards: u32, protocol: &str) {
    let server = server(shards);
    let url = format!("memcache://127.0.0.1:{}?protocol={protocol}&timeout=10", server.port());
    let client = memcache::connect(url).expect("connect");
    let get = |key: &str| client.get::<Vec<u8>>(key).expect("get");

    assert_eq!(get("key"), None);
    client.set("key", "value", 0).expect("set");
    // Over text, this client does not tell a refused `add` from a stored one.
    assert_eq!(client.add("key", "other", 0).is_ok(), protocol == "ascii");
    assert_eq!(get("key").as_deref(), Some(&b"value"[..]));
    client.replace("key", "second", 0).expect("replace");
    client.append("key", "-end").expect("append");
    client.prepend("key", "start-").expect("prepend");
    assert_eq!(get("key").as_deref(), Some(&b"start-second-end"[..]));
    assert!(client.delete("key").expect("delete"));
    assert!(!client.delete("key").expect("delete"));

    let many = many();
    for (key, value) in &many {
        client.set(key, value.as_slice(), 0).expect("set");
    }
    let keys: Vec<&str> = many.iter().map(|(key, _)| key.as_str()).chain(["missing"]).collect();
    let found: HashMap<String, Found> = client.gets(&keys).expect("gets");
    assert_eq!(found.len(), many.len());
    assert!(many.iter().all(|(key, value)| found[key].0 == *value));

    let unique = found["many-7"].2.expect("CAS unique");
    assert!(client.cas("many-7", "swapped", 0, unique).expect("cas"));
    assert!(!client.cas("many-7", "again", 0, unique).expect("cas"));
    assert_eq!(get("many-7").as_deref(), Some(&b"swapped"[..]));

    client.set("count", 10, 0).expect("set");
    assert_eq!(client.increment("count", 5).expect("increment"), 15);
    assert_eq!(client.decrement("count", 7).expect("decrement"), 8);
    assert_eq!(client.decrement("count", 100).expect("decrement"), 0);

    for (key, ttl_s) in [("short", 1), ("long", 100), ("touched", 100)] {
        client.set(key, "x", ttl_s).expect("set");
    }
    assert!(client.touch("touched", 1).expect("touch"));
    wait_for("a TTL of 1 s", || (get("short").is_none() && get("touched").is_none()).then_some(()));
    assert!(get("long").is_some());

    for size in SIZES_BYTES {
        let value = random_bytes(size);
        client.set("large", value.as_slice(), 0).expect("set");
        assert_eq!(get("large"), Some(value), "{size} bytes");
    }
    assert!(client.set("large", random_bytes(TOO_LARGE_BYTES).as_slice(), 0).is_err());
    client.set("large", "small", 0).expect("set after a refused one");

    assert_eq!(client.version().expect("version").len(), 1);
    // Over text, it takes the first line of `stats` for all of them and loses its place in the stream.
    if protocol == "binary" {
        assert!(client.stats().expect("stats")[0].1["get_hits"].parse::<u64>().expect("number") > 0);
    }
    client.flush().expect("flush");
    assert_eq!(get("large"), None);
}

/// Over UDP only binary: text fails there in this client, against memcached too.
fn memcache_udp(shards: u32) {
    let server = Server::start(shards, &["-U", "-1"]);
    let address = server.udp_socket().peer_addr().expect("UDP address");
    let client = memcache::connect(format!("memcache+udp://{address}?timeout=10")).expect("connect");
    assert_eq!(client.get::<Vec<u8>>("key").expect("get"), None);
    // It has to fit a datagram.
    let value = random_bytes(1000);
    client.set("key", value.as_slice(), 0).expect("set");
    assert_eq!(client.get("key").expect("get"), Some(value));
    assert!(client.add("key", "other", 0).is_err());
    client.append("key", "-end").expect("append");
    client.set("count", 10, 0).expect("set");
    assert_eq!(client.increment("count", 5).expect("increment"), 15);
    assert!(client.touch("count", 100).expect("touch"));
    assert!(client.delete("key").expect("delete"));
    assert!(!client.delete("key").expect("delete"));
    assert_eq!(client.version().expect("version").len(), 1);
}

/// The crate's newer half: typed meta commands and, above them, caching patterns built of leases and stale values.
fn memcache_meta(shards: u32) {
    let server = server(shards);
    let address = server.addresses[0].to_string();
    let client = MetaClient::builder().connect_timeout(Some(PATIENCE)).io_timeout(Some(PATIENCE));
    meta_commands(&client.connect(address.as_str()).expect("connect"));
    let client = Memcache::builder().connect_timeout(PATIENCE).timeout(PATIENCE);
    meta_patterns(&client.connect([address.as_str()]).expect("connect"));
}

fn meta_commands(client: &MetaClient) {
    client.noop().expect("mn");
    assert_eq!(client.get("key").send().expect("mg").status, GetStatus::Miss);
    let replaced = client.set("key", "x").replace().send().expect("ms");
    assert_eq!(replaced.status, MutationStatus::NotFound);
    let stored =
        client.set("key", "value").client_flags(7).ttl(Ttl::secs(100)).return_cas().send().expect("ms");
    let unique = stored.cas.expect("CAS unique");
    let found = client.get("key").meta(Meta::NONE.cas().ttl().size()).send().expect("mg");
    assert_eq!((found.value.as_deref(), found.client_flags), (Some(&b"value"[..]), Some(7)));
    assert_eq!((found.item.cas, found.item.size), (Some(unique), Some(5)));
    assert!(found.item.ttl.is_some_and(|ttl_s| (1..=100).contains(&ttl_s)));
    assert_eq!(client.get("key").unless_cas(unique).send().expect("mg").status, GetStatus::Unchanged);
    assert!(client.set("key", "-end").append().send().expect("ms").applied());
    assert_eq!(
        client.set("key", "x").compare_cas(unique).send().expect("ms").status,
        MutationStatus::CasMismatch
    );
    assert!(client.debug("key").expect("me").is_some());
    assert!(client.delete("key").send().expect("md").applied());
    assert_eq!(client.delete("key").send().expect("md").status, MutationStatus::NotFound);

    assert_eq!(client.increment("count").send().expect("ma").status, MutationStatus::NotFound);
    assert_eq!(client.increment("count").initial(40, 60).send().expect("ma").value, Some(40));
    assert_eq!(client.increment("count").delta(2).send().expect("ma").value, Some(42));
    assert_eq!(client.decrement("count").delta(100).send().expect("ma").value, Some(0));

    // A key that has to travel in base64.
    let binary_key = "with spaces\x01";
    assert!(client.set(binary_key, "x").send().expect("ms").applied());
    assert_eq!(client.get(binary_key).send().expect("mg").value.as_deref(), Some(&b"x"[..]));

    // Batches go out in one piece with opaque tokens; the client checks that the answers come in order.
    let stored = client.run_many(many().iter().map(|(key, value)| Set::new(key, value))).expect("ms");
    assert!(stored.into_iter().all(|result| result.expect("ms").applied()));
    let found = client.run_many(many().iter().map(|(key, _)| Get::new(key))).expect("mg");
    for ((_, value), result) in many().into_iter().zip(found) {
        assert_eq!(result.expect("mg").value, Some(value));
    }
    let mixed = client.run_batch([Set::new("a", "1").into(), Get::new("a").into(), Delete::new("b").into()]);
    let mixed: Vec<_> = mixed.expect("batch").into_iter().map(|result| result.expect("command")).collect();
    assert_eq!(mixed[1].as_get().expect("mg").value.as_deref(), Some(&b"1"[..]));
    assert_eq!(mixed[2].as_mutation().expect("md").status, MutationStatus::NotFound);

    let winner = client.get("leased").lease_ttl(30).send().expect("mg");
    assert!(winner.won_lease());
    assert!(client.get("leased").lease_ttl(30).send().expect("mg").lease_busy());
    let unique = winner.item.cas.expect("CAS unique");
    assert!(client.set("leased", "made").compare_cas(unique).send().expect("ms").applied());
    assert!(client.delete("leased").invalidate().stale_for(Ttl::secs(30)).send().expect("md").applied());
    let stale = client.get("leased").send().expect("mg");
    assert!(stale.is_stale() && stale.won_lease());
    assert!(!client.get("leased").send().expect("mg").won_lease());
}

fn meta_patterns(client: &Memcache) {
    let ttl = || Ttl::secs(100);
    let get = |key: &str| client.get::<Vec<u8>>(key).expect("get");
    // An empty value stands for a lease, so this client stores none.
    for size in SIZES_BYTES.into_iter().filter(|size| *size > 0) {
        let value = random_bytes(size);
        client.set("large", value.as_slice(), ttl()).expect("set");
        assert_eq!(get("large"), Some(value), "{size} bytes");
    }
    assert!(client.set("large", random_bytes(TOO_LARGE_BYTES).as_slice(), ttl()).is_err());
    client.set("large", "small", ttl()).expect("set after a refused one");

    client.set_many(many(), ttl()).expect("set_many");
    let keys: Vec<String> = many().into_iter().map(|(key, _)| key).chain(["missing".into()]).collect();
    assert_eq!(client.get_many::<Vec<u8>, _>(keys).expect("get_many").len(), many().len());
    assert_eq!(client.update("sum", ttl(), |sum: Option<u64>| sum.unwrap_or(40) + 2).expect("update"), 42);
    assert_eq!(client.incr("hits", 1, ttl()).expect("incr"), 1);
    assert_eq!(client.incr("hits", 1, ttl()).expect("incr"), 2);
    client.append("log", b"a", ttl()).expect("append");
    client.append("log", b"b", ttl()).expect("append");
    assert_eq!(client.take::<Vec<u8>>("log").expect("take").as_deref(), Some(&b"ab"[..]));
    assert_eq!(get("log"), None);

    let made = |value: &'static str| move || Ok::<String, std::io::Error>(value.into());
    assert_eq!(client.fetch("page", ttl(), made("first")).expect("fetch"), "first");
    assert_eq!(client.fetch("page", ttl(), made("second")).expect("fetch"), "first");
    client.invalidate("page", Duration::from_secs(60)).expect("invalidate");
    assert_eq!(client.fetch("page", ttl(), made("second")).expect("fetch"), "second");

    client.set("short", "x", Ttl::secs(1)).expect("set");
    wait_for("a TTL of 1 s", || get("short").is_none().then_some(()));
    client.delete("page").expect("delete");
    assert_eq!(get("page"), None);
}

/// Its `set`, `append` and `delete` are sent with `noreply`.
fn memcache_async_text(shards: u32) {
    let server = server(shards);
    let socket = TcpStream::connect(server.addresses[0]).expect("connect");
    socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
    block_on(async {
        let mut client = Protocol::new(AssertAsync::new(socket));
        let missing =
            |result: std::io::Result<Vec<u8>>| result.err().map(|e| e.kind()) == Some(ErrorKind::NotFound);

        assert!(missing(client.get("key").await));
        client.set("key", b"value", 0).await.expect("set");
        assert!(client.add("key", b"other", 0).await.is_err());
        client.append("key", b"-end").await.expect("append");
        assert_eq!(client.get("key").await.expect("get"), b"value-end");
        client.delete("key").await.expect("delete");
        assert!(missing(client.get("key").await));

        for (key, value) in many() {
            client.set(key, &value, 0).await.expect("set");
        }
        let keys: Vec<String> = many().into_iter().map(|(key, _)| key).chain(["missing".into()]).collect();
        assert_eq!(client.get_multi(&keys).await.expect("get_multi"), many().into_iter().collect());

        let (_, unique) = client.gets_cas("many-7").await.expect("gets");
        assert!(client.cas("many-7", b"swapped", unique, 0).await.expect("cas"));
        assert!(!client.cas("many-7", b"again", unique, 0).await.expect("cas"));
        assert_eq!(client.get("many-7").await.expect("get"), b"swapped");

        client.set("count", b"10", 0).await.expect("set");
        assert_eq!(client.increment("count", 5).await.expect("increment"), 15);
        client.increment_noreply("count", 1).await.expect("increment");
        assert_eq!(client.decrement("count", 100).await.expect("decrement"), 0);

        for size in SIZES_BYTES {
            let value = random_bytes(size);
            client.set("large", &value, 0).await.expect("set");
            assert_eq!(client.get("large").await.expect("get"), value, "{size} bytes");
        }

        client.set("short", b"x", 1).await.expect("set");
        client.set("long", b"x", 100).await.expect("set");
        wait_for("a TTL of 1 s", || missing(block_on(client.get("short"))).then_some(()));
        assert_eq!(client.get("long").await.expect("get"), b"x");

        assert!(!client.version().await.expect("version").is_empty());
        client.flush().await.expect("flush_all");
        assert!(missing(client.get("long").await));
    });
}
