"""memcache: the meta commands, with threads and with asyncio. Further arguments: user and password."""

import asyncio
import sys

import memcache
from tour import PORT, SIZES_BYTES, TOO_LARGE_BYTES, refused, value_of, wait_until_gone

LOGIN = dict(zip(("username", "password"), sys.argv[2:]))


def set_get_delete(client):
    assert client.get("key") is None
    client.set("key", b"value")
    assert client.get("key") == b"value"
    client.set("object", {"serialised": [1, 2.5, None]})
    assert client.get("object") == {"serialised": [1, 2.5, None]}
    client.delete("key")
    assert client.get("key") is None


def compare_and_swap(client):
    assert client.gets("cas") is None
    client.set("cas", b"1")
    value, unique = client.gets("cas")
    assert value == b"1"
    client.cas("cas", b"2", unique)
    refused(memcache.MemcacheError, client.cas, "cas", b"3", unique)
    assert client.get("cas") == b"2"


def counters(client):
    refused(memcache.MemcacheError, client.incr, "count")
    client.set("count", 10)
    assert client.incr("count", 5) == 15
    assert client.decr("count", 7) == 8
    assert client.decr("count", 100) == 0


def expiry(client):
    client.set("short", b"x", expire=1)
    client.set("long", b"x", expire=100)
    wait_until_gone(lambda: client.get("short") is None)
    assert client.get("long") == b"x"


def large_values(client):
    # An empty value is left out: this client ends its command without the data's CR LF then.
    for size in SIZES_BYTES[1:]:
        client.set("large", value_of(size))
        assert client.get("large") == value_of(size), size
    # It knows no SERVER_ERROR, the answer to a value that is too large, and trips over it.
    refused(ValueError, client.set, "large", value_of(TOO_LARGE_BYTES))
    client.set("large", b"small")
    assert client.get("large") == b"small"


def flags_by_hand(client):
    """The client's door to any meta command: item fields, an a counter born by its first use, a base64 key."""
    def ask(verb, key, flags, value=None):
        length = None if value is None else len(value)
        return client.execute_meta_command(memcache.MetaCommand(verb, key, length, flags, value))

    assert ask(b"ms", "hand", [b"T100", b"F7"], b"12345").rc == b"HD"
    found = ask(b"mg", "hand", [b"v", b"f", b"s", b"t", b"h", b"k", b"q", b"Oxyz"])
    assert found.value == b"12345"
    assert [flag for flag in found.flags if flag[:1] != b"t"] == [b"f7", b"s5", b"h0", b"khand", b"Oxyz"]
    assert ask(b"mg", "hand", [b"v", b"h"]).flags == [b"h1"]
    assert ask(b"ma", "born", [b"N100", b"J41", b"v"]).value == b"41"
    assert ask(b"ma", "born", [b"v"]).value == b"42"
    assert ask(b"ms", "aGFuZA==", [b"b", b"MA"], b"6").rc == b"HD"
    assert ask(b"mg", "hand", [b"v"]).value == b"123456"
    assert ask(b"ms", "hand", [b"ME"], b"x").rc == b"NS"
    assert ask(b"md", "hand", []).rc == b"HD"
    assert ask(b"md", "hand", []).rc == b"NF"
    assert ask(b"mg", "hand", [b"v"]).rc == b"EN"


def flush(client):
    client.set("flushed", b"x")
    client.flush_all()
    assert client.get("flushed") is None


async def together():
    client = memcache.AsyncMemcache(("127.0.0.1", PORT), **LOGIN)
    values = {f"many-{i}": b"%d" % i for i in range(200)}
    for key, value in values.items():
        await client.set(key, value)
    for start in range(0, 200, 20):
        keys = list(values)[start : start + 20]
        assert await asyncio.gather(*(client.get(key) for key in keys)) == [values[key] for key in keys]


def main():
    client = memcache.Memcache(("127.0.0.1", PORT), **LOGIN)
    for part in (set_get_delete, compare_and_swap, counters, expiry, flags_by_hand, large_values, flush):
        part(client)
    asyncio.run(together())
    print("all passed")


main()
