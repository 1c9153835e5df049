"""What an application does with pymemcache, against the server on 127.0.0.1:PORT. Ends with `all passed`."""

import sys
import time

from pymemcache.client.base import Client, PooledClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError


def set_get_delete(client):
    assert client.get("missing") is None
    assert client.set("key", b"value")
    assert client.get("key") == b"value"
    assert client.add("key", b"other", noreply=False) is False
    assert client.replace("key", b"second", noreply=False) is True
    assert client.append("key", b"-end", noreply=False) is True
    assert client.prepend("key", b"start-", noreply=False) is True
    assert client.get("key") == b"start-second-end"
    assert client.delete("key", noreply=False) is True
    assert client.delete("key", noreply=False) is False
    assert client.get("key", default="nothing") == "nothing"


def many_keys(client):
    values = {f"many-{i}": b"%d" % i * (i % 50 + 1) for i in range(500)}
    assert client.set_many(values) == []
    assert client.get_many(list(values) + ["missing"]) == values
    assert client.delete_many(list(values)[:250])
    assert len(client.get_many(list(values))) == 250


def compare_and_swap(client):
    client.set("cas", b"1", noreply=False)
    value, unique = client.gets("cas")
    assert value == b"1"
    assert client.cas("cas", b"2", unique) is True
    assert client.cas("cas", b"3", unique) is False
    assert client.cas("cas-missing", b"3", unique) is None
    assert client.get("cas") == b"2"
    assert set(client.gets_many(["cas", "missing"])) == {"cas"}


def counters(client):
    assert client.incr("count", 1, noreply=False) is None
    client.set("count", b"10", noreply=False)
    assert client.incr("count", 5, noreply=False) == 15
    assert client.decr("count", 7, noreply=False) == 8
    assert client.decr("count", 100, noreply=False) == 0
    client.set("word", b"word", noreply=False)
    try:
        client.incr("word", 1, noreply=False)
    except MemcacheClientError:
        pass
    else:
        raise AssertionError("incr of a word went through")


def expiry(client):
    client.set("short", b"x", expire=1, noreply=False)
    client.set("long", b"x", expire=100, noreply=False)
    client.set("touched", b"x", expire=100, noreply=False)
    assert client.touch("touched", 1, noreply=False) is True
    deadline = time.monotonic() + 5
    while client.get_many(["short", "touched"]):
        assert time.monotonic() < deadline, "a TTL of 1 s lasted 5 s"
        time.sleep(0.02)
    assert client.get("long") == b"x"


def large_values(client):
    for size in (0, 1, 1000, 16_384, 100_000, 1_000_000):
        value = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
        value = value[:size]
        client.set("large", value, noreply=False)
        assert client.get("large") == value, size
    try:
        client.set("large", b"x" * (2 << 20), noreply=False)
    except MemcacheServerError:
        pass
    else:
        raise AssertionError("2 MiB were stored")
    assert client.get("large") is None


def admin(client):
    assert client.version()
    client.set("flushed", b"x", noreply=False)
    assert client.flush_all(noreply=False) is True
    assert client.get("flushed") is None
    stats = client.stats()
    assert stats[b"curr_items"] == 0, stats[b"curr_items"]
    assert stats[b"get_hits"] > 0
    assert client.stats("settings")[b"maxbytes"] == 128 << 20


def main():
    server = ("127.0.0.1", int(sys.argv[1]))
    parts = (set_get_delete, many_keys, compare_and_swap, counters, large_values, admin)
    for client in (
        Client(server, timeout=10, connect_timeout=10),
        PooledClient(server, timeout=10, connect_timeout=10, max_pool_size=4),
        Client(server, timeout=10, connect_timeout=10, no_delay=True, default_noreply=False),
    ):
        client.flush_all(noreply=False)
        for part in parts:
            if not (part is admin and isinstance(client, PooledClient)):
                part(client)
    expiry(client)  # It waits, so once is enough.
    client.close()
    print("all passed")


main()
