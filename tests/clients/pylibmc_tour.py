"""pylibmc (libmemcached). Second argument: text or binary."""

import sys

import pylibmc
from tour import PORT, SIZES_BYTES, TOO_LARGE_BYTES, refused, value_of, wait_until_gone

BINARY = {"text": False, "binary": True}[sys.argv[2]]


def set_get_delete(client):
    assert client.get("key") is None
    assert client.set("key", b"value")
    assert client.get("key") == b"value"
    assert not client.add("key", b"other")
    assert client.replace("key", b"second")
    # The text protocol answers NOT_STORED, the binary one NOT_FOUND, which is an error here.
    try:
        assert not client.replace("missing", b"second") and not BINARY
    except pylibmc.NotFound:
        assert BINARY
    assert client.append("key", b"-end") and client.prepend("key", b"start-")
    assert client.get("key") == b"start-second-end"
    assert client.set("object", {"pickled": [1, 2.5, None]})
    assert client.get("object") == {"pickled": [1, 2.5, None]}
    assert client.delete("key")
    assert not client.delete("key")
    assert client.get("key", "nothing") == "nothing"


def many_keys(client):
    values = {f"many-{i}": b"%d" % i for i in range(500)}
    assert client.set_multi(values) == []
    assert client.get_multi([*values, "missing"]) == values
    assert client.get_multi(["7", "8", "x"], key_prefix="many-") == {"7": b"7", "8": b"8"}
    assert client.delete_multi(list(values)[:250])
    assert len(client.get_multi(list(values))) == 250


def compare_and_swap(client):
    assert client.set("cas", b"1")
    value, unique = client.gets("cas")
    assert value == b"1"
    assert client.cas("cas", b"2", unique)
    assert not client.cas("cas", b"3", unique)
    refused(pylibmc.NotFound, client.cas, "cas-missing", b"3", unique)
    assert client.get("cas") == b"2"


def counters(client):
    refused(pylibmc.NotFound, client.incr, "count", 1)
    assert client.set("count", 10)
    assert client.incr("count", 5) == 15
    assert client.decr("count", 7) == 8
    assert client.decr("count", 100) == 0
    assert client.get("count") == 0
    # libmemcached takes the binary answer "not a number" for a broken server and stays away from it for seconds.
    if not BINARY:
        assert client.set("word", "word")
        refused(pylibmc.Error, client.incr, "word", 1)


def expiry(client):
    assert client.set("short", b"x", time=1) and client.set("long", b"x", time=100)
    # The libmemcached in this wheel (1.0.18) does not expect the flags in a binary answer to touch and waits for ever.
    if not BINARY:
        assert client.set("touched", b"x", time=100)
        assert client.touch("touched", 1)
        assert not client.touch("missing", 100)
    wait_until_gone(lambda: client.get_multi(["short", "touched"]) == {})
    assert client.get("long") == b"x"


def large_values(client):
    for size in SIZES_BYTES:
        assert client.set("large", value_of(size))
        assert client.get("large") == value_of(size), size
    refused(pylibmc.Error, client.set, "large", value_of(TOO_LARGE_BYTES))
    assert client.set("large", b"small")
    assert client.get("large") == b"small"


def admin(client):
    ((_, stats),) = client.get_stats()
    assert int(stats["get_hits"]) > 0, stats
    assert client.set("flushed", b"x")
    assert client.flush_all()
    assert client.get("flushed") is None


def main():
    parts = (set_get_delete, many_keys, compare_and_swap, counters, large_values, admin)
    for behaviors in ({}, {"tcp_nodelay": True, "ketama": True}):
        client = pylibmc.Client([f"127.0.0.1:{PORT}"], binary=BINARY, behaviors={"cas": True} | behaviors)
        for part in parts:
            part(client)
    expiry(client)  # It waits, so once is enough.
    client.disconnect_all()
    print("all passed")


main()
