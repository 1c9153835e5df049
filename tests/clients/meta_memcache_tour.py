"""meta-memcache: the meta commands as a large site uses them: quiet multi-gets, leases, stale values, binary keys."""

from meta_memcache import (
    CacheClient,
    Key,
    LeasePolicy,
    MemcacheServerError,
    RecachePolicy,
    ServerAddress,
    SetMode,
    StalePolicy,
    connection_pool_factory_builder,
)
from tour import PORT, SIZES_BYTES, TOO_LARGE_BYTES, refused, value_of, wait_until_gone

TTL_S = 100


def set_get_delete(client):
    assert client.get("key") is None
    assert client.set("key", b"value", ttl=TTL_S)
    assert client.get("key") == b"value"
    assert not client.set("key", b"other", ttl=TTL_S, set_mode=SetMode.ADD)
    assert not client.refill("key", b"other", ttl=TTL_S)
    assert client.set("key", b"second", ttl=TTL_S, set_mode=SetMode.REPLACE)
    assert not client.set("missing", b"second", ttl=TTL_S, set_mode=SetMode.REPLACE)
    assert client.set("key", b"third", ttl=TTL_S, no_reply=True)
    assert client.get("key") == b"third"
    assert client.set("object", {"pickled": [1, 2.5, None]}, ttl=TTL_S)
    assert client.get_typed("object", dict) == {"pickled": [1, 2.5, None]}
    assert client.delete("key")
    assert not client.delete("key")
    assert client.invalidate("key")


def binary_keys(client):
    # Sent in base64; kept as the bytes they are.
    for key in ("\N{BEER MUG} in the key", "k" * 300):
        assert client.set(Key(key), b"x", ttl=TTL_S)
        assert client.get(Key(key)) == b"x"
        assert client.multi_get([Key(key)]) == {Key(key): b"x"}
        assert client.delete(Key(key))


def many_keys(client):
    values = {f"many-{i}": b"%d" % i for i in range(500)}
    for key, value in values.items():
        assert client.set(key, value, ttl=TTL_S, no_reply=True)
    found = client.multi_get([*values, "missing"])
    assert {key.key: value for key, value in found.items()} == values | {"missing": None}
    assert client.multi_get_cas(["many-7"])[Key("many-7")][0] == b"7"


def compare_and_swap(client):
    unique = client.set_cas("cas", b"1", ttl=TTL_S)
    assert client.get_cas("cas") == (b"1", unique)
    assert client.set("cas", b"2", ttl=TTL_S, cas_token=unique)
    assert not client.set("cas", b"3", ttl=TTL_S, cas_token=unique)
    assert client.get("cas") == b"2"
    assert not client.delete("cas", cas_token=unique)


def counters(client):
    assert not client.delta("count", 1)
    assert client.delta_initialize_and_get("count", 1, initial_value=10, initial_ttl=TTL_S) == 10
    assert client.delta_and_get("count", 5) == 15
    assert client.delta_and_get("count", -7) == 8
    assert client.delta("count", -100, no_reply=True)
    assert client.delta_and_get("count", 0) == 0


def expiry(client):
    assert client.set("short", b"x", ttl=1) and client.set("long", b"x", ttl=TTL_S)
    assert client.set("touched", b"x", ttl=TTL_S) and client.set("got", b"x", ttl=TTL_S)
    assert client.touch("touched", ttl=1)
    assert client.get("got", touch_ttl=1) == b"x"
    wait_until_gone(lambda: not any(client.multi_get(["short", "touched", "got"]).values()))
    assert client.get("long") == b"x"


def leases(client):
    # One of those who miss wins the right to fill in; the others wait until it has.
    waits = []

    def fill_in(wait_s):
        waits.append(wait_s)
        assert client.set("leased", b"made", ttl=TTL_S)

    policy = LeasePolicy(ttl=TTL_S)
    assert client.get_or_lease("leased", policy) is None
    assert client.get_or_lease("leased", policy, lease_wait_fn=fill_in) == b"made"
    assert len(waits) == 1


def stale_values(client):
    # A value marked stale goes out still; the first to see it wins the right to renew it.
    stale = StalePolicy(mark_stale_on_deletion_ttl=TTL_S)
    assert client.set("stale", b"old", ttl=TTL_S)
    assert client.delete("stale", stale_policy=stale)
    assert client.get("stale") is None
    assert client.get("stale") == b"old"
    assert client.set("stale", b"new", ttl=TTL_S)
    assert client.get("stale") == b"new"
    # So does the first to see one whose TTL is below the limit.
    assert client.set("recached", b"x", ttl=10)
    policy = RecachePolicy(ttl=30)
    assert client.get("recached", recache_policy=policy) is None
    assert client.get("recached", recache_policy=policy) == b"x"


def large_values(client):
    for size in SIZES_BYTES:
        assert client.set("large", value_of(size), ttl=TTL_S)
        assert client.get("large") == value_of(size), size
    refused(MemcacheServerError, client.set, "large", value_of(TOO_LARGE_BYTES), ttl=TTL_S)
    assert client.set("large", b"small", ttl=TTL_S)
    assert client.get("large") == b"small"


def main():
    client = CacheClient.cache_client_from_servers(
        servers=[ServerAddress(host="127.0.0.1", port=PORT)],
        # The read buffer is the socket's window too: at the default 4 KiB a large value takes seconds.
        connection_pool_factory_fn=connection_pool_factory_builder(recv_timeout=10, read_buffer_size=1 << 20),
    )
    parts = (set_get_delete, binary_keys, many_keys, compare_and_swap, counters, expiry, leases, stale_values)
    for part in (*parts, large_values):
        part(client)
    print("all passed")


main()
