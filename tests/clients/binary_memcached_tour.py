"""python-binary-memcached: the binary protocol in plain Python. Further arguments: user and password."""

import sys

import bmemcached
from tour import PORT, SIZES_BYTES, TOO_LARGE_BYTES, refused, value_of, wait_until_gone


def set_get_delete(client):
    assert client.get("key") is None
    assert client.set("key", b"value")
    assert client.get("key") == b"value"
    assert not client.add("key", b"other")
    assert client.replace("key", "text")
    assert not client.replace("missing", b"second")
    assert client.get("key") == "text"
    assert client.set("object", {"pickled": [1, 2.5, None]})
    assert client.get("object") == {"pickled": [1, 2.5, None]}
    assert client.delete("key")
    assert client.get("key", "nothing") == "nothing"


def many_keys(client):
    values = {f"many-{i}": b"%d" % i for i in range(500)}
    assert client.set_multi(values) == []
    assert client.get_multi([*values, "missing"]) == values
    assert client.delete_multi(list(values)[:250])
    assert len(client.get_multi(list(values))) == 250


def compare_and_swap(client):
    assert client.set("cas", b"1")
    value, unique = client.gets("cas")
    assert value == b"1"
    assert client.cas("cas", b"2", unique)
    assert not client.cas("cas", b"3", unique)
    assert client.get("cas") == b"2"
    _, unique = client.gets("cas")
    assert not client.delete("cas", cas=unique + 1)
    assert client.delete("cas", cas=unique)
    assert set(client.get_multi(["many-300", "missing"], get_cas=True)) == {"many-300"}


def counters(client):
    # In this protocol an increment may say what a missing counter begins with.
    assert client.incr("count", 5, default=10) == 10
    assert client.incr("count", 5) == 15
    assert client.decr("count", 7) == 8
    assert client.decr("count", 100) == 0
    assert client.set("word", "word")
    refused(bmemcached.exceptions.MemcachedException, client.incr, "word", 1)


def expiry(client):
    assert client.set("short", b"x", time=1) and client.set("long", b"x", time=100)
    wait_until_gone(lambda: client.get("short") is None)
    assert client.get("long") == b"x"


def large_values(client):
    for size in SIZES_BYTES:
        assert client.set("large", value_of(size))
        assert client.get("large") == value_of(size), size
    refused(bmemcached.exceptions.MemcachedException, client.set, "large", value_of(TOO_LARGE_BYTES))
    assert client.set("large", b"small")
    assert client.get("large") == b"small"


def admin(client):
    ((_, stats),) = client.stats().items()
    assert int(stats["get_hits"]) > 0, stats
    assert client.set("flushed", b"x")
    assert client.flush_all()
    assert client.get("flushed") is None


def main():
    parts = (set_get_delete, many_keys, compare_and_swap, counters, large_values, admin)
    for kind in (bmemcached.Client, bmemcached.DistributedClient):
        client = kind((f"127.0.0.1:{PORT}",), *sys.argv[2:], socket_timeout=10)
        for part in parts:
            part(client)
    expiry(client)  # It waits, so once is enough.
    client.disconnect_all()
    print("all passed")


main()
