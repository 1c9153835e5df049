"""The cells of the comparison: one axis is varied at a time, the rest stays as in the base: 64 connections, 100 bytes, one request
in flight, one shard. A cell's target is the ratio to memcached that the project has set itself."""
from dataclasses import dataclass

MEMORY_BYTES_MAX = 256 << 20  # of the values of all keys: nothing is evicted
KEYS_MAX = 100_000


@dataclass(frozen=True)
class Cell:
    axis: str
    name: str
    ratio: str = "0:1"  # sets to gets
    protocol: str = "classic"
    value_bytes: int = 100
    pipeline: int = 1
    connections: int = 64
    keys_per_get: int = 1
    shards: int = 1
    is_aware: bool = False  # the load sends each key of ringcached where it lives
    quota_percent: int = 30  # of a core for each shard: less where the load has much to do for each request
    seconds_min: int = 0  # of a measurement: more where few requests are made in a second
    alone: str = ""  # the cell of one shard that is the same otherwise
    alone_target: float = 0  # times that cell's total; 0: none
    target: float = 0  # times memcached; 0: none
    limit_target: float = 0  # share of the limit; 0: none

    @property
    def keys(self):
        return min(KEYS_MAX, MEMORY_BYTES_MAX // self.value_bytes)

    @property
    def is_mixed(self):
        """Requests of two lengths: the limit cannot tell them apart."""
        return "0" not in self.ratio.split(":")

    def words(self):
        """The load's options that say what a request is."""
        return ("--ratio", self.ratio, "--protocol", self.protocol, "--value-size", self.value_bytes,
                "--keys-per-get", self.keys_per_get)


CELLS = (
    Cell("request", "get", target=1.25, limit_target=0.93),
    Cell("request", "set", ratio="1:0", target=1.25, limit_target=0.93),
    Cell("request", "1:10", ratio="1:10", target=1.25),
    Cell("request", "multi-get of 50", keys_per_get=50, target=2.0),
    Cell("request", "meta get", protocol="meta", target=1.25),
    Cell("pipeline", "get, pipeline 8", pipeline=8),
    Cell("pipeline", "get, pipeline 32", pipeline=32, target=2.5, limit_target=0.6),
    Cell("pipeline", "get, pipeline 128", pipeline=128),
    Cell("pipeline", "set, pipeline 32", ratio="1:0", pipeline=32, target=3.3, limit_target=0.6),
    Cell("pipeline", "1:10, pipeline 32", ratio="1:10", pipeline=32),
    Cell("pipeline", "meta get, pipeline 32", protocol="meta", pipeline=32, target=2.5, limit_target=0.6),
    Cell("value", "get of 32 B", value_bytes=32),
    Cell("value", "get of 1 KiB", value_bytes=1 << 10),
    Cell("value", "get of 16 KiB", value_bytes=16 << 10, target=1.25),
    Cell("value", "get of 1 MiB", value_bytes=1 << 20, seconds_min=3),
    Cell("value", "set of 16 KiB", ratio="1:0", value_bytes=16 << 10, quota_percent=15, seconds_min=3,
         target=1.25),
    Cell("value", "set of 1 MiB", ratio="1:0", value_bytes=1 << 20, quota_percent=15, seconds_min=3),
    Cell("connections", "get, 1 connection", connections=1, target=1.0),
    Cell("connections", "get, 1,000 connections", connections=1000, quota_percent=20),
    Cell("connections", "get, 10,000 connections", connections=10_000, quota_percent=20, seconds_min=6, target=1.3),
    Cell("shards", "set, pipeline 32, 2 shards", ratio="1:0", pipeline=32, shards=2, alone="set, pipeline 32",
         alone_target=1.9),
    Cell("shards", "set, pipeline 32, 2 shards, shard-aware load", ratio="1:0", pipeline=32, shards=2,
         is_aware=True, alone="set, pipeline 32", alone_target=1.9),
    Cell("shards", "1:10, pipeline 32, 2 shards", ratio="1:10", pipeline=32, shards=2, alone="1:10, pipeline 32"),
)

QUICK = ("get", "get, pipeline 32", "set, pipeline 32", "multi-get of 50", "get, 1 connection")
