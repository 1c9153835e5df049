"""Clients that ask the server at PORT for the list of servers, as in ElastiCache. Further arguments: how many there are, and
the client."""

import asyncio
import sys

import emcache
from django_elastipymemcache.client import AWSElastiCacheClient
from tour import PORT, moments

NODES, CLIENT = int(sys.argv[2]), sys.argv[3]
KEYS = [f"key-{i}" for i in range(500)]


def elastipymemcache():
    """pymemcache's own client of ElastiCache, as released with a cache for Django."""
    client = AWSElastiCacheClient(f"127.0.0.1:{PORT}", default_noreply=False)
    assert client.set("first", b"x") and client.get("first") == b"x"
    assert len(client.clients) == NODES, client.clients
    for i, key in enumerate(KEYS):
        assert client.set(key, b"%d" % i)
    assert client.get_many(KEYS) == {key: b"%d" % i for i, key in enumerate(KEYS)}
    for key in KEYS:
        assert client.delete(key)


async def emcache_client():
    address = emcache.MemcachedHostAddress("127.0.0.1", PORT)
    client = await emcache.create_client([address], autodiscovery=True, timeout=10.0)
    for pause_s in moments():
        if len(client.cluster_managment().nodes()) == NODES:
            break
        await asyncio.sleep(pause_s)
    for i, key in enumerate(KEYS):
        await client.set(key.encode(), b"%d" % i)
    found = await client.get_many([key.encode() for key in KEYS])
    assert {key: item.value for key, item in found.items()} == {k.encode(): b"%d" % i for i, k in enumerate(KEYS)}
    for key in KEYS:
        await client.delete(key.encode())
    await client.close()


if CLIENT == "emcache":
    asyncio.run(emcache_client())
else:
    elastipymemcache()
print("all passed")
