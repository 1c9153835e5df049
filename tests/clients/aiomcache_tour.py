"""aiomcache: asyncio, the text protocol."""

import asyncio

import aiomcache
from tour import PORT, SIZES_BYTES, TOO_LARGE_BYTES, moments, value_of


async def fails(call):
    try:
        result = await call
    except aiomcache.ClientException:
        return
    raise AssertionError(f"went through: {result!r}")


async def set_get_delete(client):
    assert await client.get(b"key") is None
    assert await client.set(b"key", b"value")
    assert await client.get(b"key") == b"value"
    assert not await client.add(b"key", b"other")
    assert await client.replace(b"key", b"second")
    assert await client.append(b"key", b"-end") and await client.prepend(b"key", b"start-")
    assert await client.get(b"key") == b"start-second-end"
    assert await client.delete(b"key")
    assert not await client.delete(b"key")


async def many_keys(client):
    values = {b"many-%d" % i: b"%d" % i for i in range(500)}
    assert all(await asyncio.gather(*(client.set(key, value) for key, value in values.items())))
    assert await client.multi_get(*values, b"missing") == (*values.values(), None)


async def compare_and_swap(client):
    assert await client.set(b"cas", b"1")
    value, unique = await client.gets(b"cas")
    assert value == b"1"
    assert await client.cas(b"cas", b"2", unique)
    assert not await client.cas(b"cas", b"3", unique)
    assert await client.get(b"cas") == b"2"


async def counters(client):
    await fails(client.incr(b"count", 1))
    assert await client.set(b"count", b"10")
    assert await client.incr(b"count", 5) == 15
    assert await client.decr(b"count", 7) == 8
    assert await client.decr(b"count", 100) == 0
    assert await client.set(b"word", b"word")
    await fails(client.incr(b"word", 1))


async def expiry(client):
    for key, ttl_s in ((b"short", 1), (b"long", 100), (b"touched", 100)):
        assert await client.set(key, b"x", exptime=ttl_s)
    assert await client.touch(b"touched", 1)
    for pause_s in moments():
        if await client.multi_get(b"short", b"touched") == (None, None):
            break
        await asyncio.sleep(pause_s)
    assert await client.get(b"long") == b"x"


async def large_values(client):
    for size in SIZES_BYTES:
        assert await client.set(b"large", value_of(size))
        assert await client.get(b"large") == value_of(size), size
    await fails(client.set(b"large", value_of(TOO_LARGE_BYTES)))
    assert await client.set(b"large", b"small")
    assert await client.get(b"large") == b"small"


async def admin(client):
    assert await client.version()
    assert int((await client.stats())[b"get_hits"]) > 0
    assert await client.set(b"flushed", b"x")
    await client.flush_all()
    assert await client.get(b"flushed") is None


async def main():
    client = aiomcache.Client("127.0.0.1", PORT, pool_size=4)
    for part in (set_get_delete, many_keys, compare_and_swap, counters, expiry, large_values, admin):
        await part(client)
    await client.close()
    print("all passed")


asyncio.run(main())
