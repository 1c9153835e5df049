"""emcache: asyncio with its parser in Cython, the text protocol. Further arguments: user and password."""

import asyncio
import sys

import emcache
from tour import PORT, SIZES_BYTES, TOO_LARGE_BYTES, moments, value_of


async def fails(error, call):
    try:
        result = await call
    except error:
        return
    raise AssertionError(f"went through: {result!r}")


async def value_at(client, key):
    item = await client.get(key)
    return item and item.value


async def set_get_delete(client):
    assert await client.get(b"key") is None
    await client.set(b"key", b"value", flags=65_535)
    item = await client.get(b"key", return_flags=True)
    assert (item.value, item.flags) == (b"value", 65_535)
    await fails(emcache.NotStoredStorageCommandError, client.add(b"key", b"other"))
    await client.replace(b"key", b"second")
    await client.append(b"key", b"-end")
    await client.prepend(b"key", b"start-", noreply=True)
    assert await value_at(client, b"key") == b"start-second-end"
    await client.delete(b"key")
    await fails(emcache.NotFoundCommandError, client.delete(b"key"))


async def many_keys(client):
    values = {b"many-%d" % i: b"%d" % i for i in range(500)}
    await asyncio.gather(*(client.set(key, value) for key, value in values.items()))
    found = await client.get_many([*values, b"missing"])
    assert {key: item.value for key, item in found.items()} == values
    found = await client.gat_many(100, [*values, b"missing"])
    assert {key: item.value for key, item in found.items()} == values
    # With batching on, gets that run together go out as one command.
    items = await asyncio.gather(*(client.get(key) for key in values))
    assert [item.value for item in items] == list(values.values())


async def compare_and_swap(client):
    await client.set(b"cas", b"1")
    item = await client.gets(b"cas")
    assert item.value == b"1"
    await client.cas(b"cas", b"2", item.cas)
    await fails(emcache.NotStoredStorageCommandError, client.cas(b"cas", b"3", item.cas))
    assert await value_at(client, b"cas") == b"2"


async def counters(client):
    await fails(emcache.NotFoundCommandError, client.increment(b"count", 1))
    await client.set(b"count", b"10")
    assert await client.increment(b"count", 5) == 15
    assert await client.decrement(b"count", 7) == 8
    assert await client.decrement(b"count", 100) == 0
    await client.increment(b"count", 3, noreply=True)


async def expiry(client):
    for key, ttl_s in ((b"short", 1), (b"long", 100), (b"touched", 100), (b"gat", 100)):
        await client.set(key, b"x", exptime=ttl_s)
    await client.touch(b"touched", 1)
    assert (await client.gat(1, b"gat")).value == b"x"
    for pause_s in moments():
        if await client.get_many([b"short", b"touched", b"gat"]) == {}:
            break
        await asyncio.sleep(pause_s)
    assert await value_at(client, b"long") == b"x"


async def large_values(client):
    for size in SIZES_BYTES:
        await client.set(b"large", value_of(size))
        assert await value_at(client, b"large") == value_of(size), size
    await fails(emcache.StorageCommandError, client.set(b"large", value_of(TOO_LARGE_BYTES)))
    await client.set(b"large", b"small")
    assert await value_at(client, b"large") == b"small"


async def admin(client):
    address = emcache.MemcachedHostAddress("127.0.0.1", PORT)
    assert await client.version(address)
    assert int((await client.stats(address))["get_hits"]) > 0
    await client.verbosity(address, 1)
    await client.set(b"flushed", b"x")
    await client.flush_all(address)
    assert await client.get(b"flushed") is None


async def main():
    login = dict(zip(("username", "password"), sys.argv[2:]))
    for options in ({}, {"autobatching": True, "max_connections": 4}):
        addresses = [emcache.MemcachedHostAddress("127.0.0.1", PORT)]
        client = await emcache.create_client(addresses, timeout=10, **options, **login)
        for part in (set_get_delete, many_keys, compare_and_swap, counters, large_values, admin):
            await part(client)
    await expiry(client)  # It waits, so once is enough.
    await client.close()
    print("all passed")


asyncio.run(main())
