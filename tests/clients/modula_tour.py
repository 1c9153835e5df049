"""Clients that distribute by modula over the shard ports from PORT on. Further arguments: the number of shards, the client
and its hash. The keys hold bytes beyond ASCII, which C hashes as negative numbers."""

import sys

import pylibmc
from modula import Crc32Modula
from pymemcache.client.hash import HashClient
from tour import PORT

SHARDS, CLIENT, HASH = int(sys.argv[2]), sys.argv[3], sys.argv[4]
KEYS = [f"user:{i}" for i in range(500)] + [f"clé-{i}-ü" for i in range(500)]


def libmemcached(protocol):
    servers = [f"127.0.0.1:{PORT + shard}" for shard in range(SHARDS)]
    behaviors = {"hash": HASH, "distribution": "modula"}
    return pylibmc.Client(servers, binary=protocol == "binary", behaviors=behaviors)


def pymemcache():
    servers = [("127.0.0.1", PORT + shard) for shard in range(SHARDS)]
    return HashClient(servers, hasher=Crc32Modula, allow_unicode_keys=True, default_noreply=False)


def main():
    assert CLIENT != "pymemcache" or HASH == "crc32a"
    client = pymemcache() if CLIENT == "pymemcache" else libmemcached(CLIENT)
    for i, key in enumerate(KEYS):
        assert client.set(key, b"%d" % i)
    for i, key in enumerate(KEYS):
        assert client.get(key) == b"%d" % i, key
        assert i % 3 or client.delete(key)
    left = {key: b"%d" % i for i, key in enumerate(KEYS) if i % 3}
    assert client.get_many(KEYS) == left if CLIENT == "pymemcache" else client.get_multi(KEYS) == left
    print("all passed")


main()
