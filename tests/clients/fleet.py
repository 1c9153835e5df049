"""A client of a fleet: the cores of several machines, each a server. Arguments: the servers (host:port, in order, with commas between)
and the client. For each line on stdin it writes and reads every key, and answers with a line

    older N refused K K K

the number of older versions it read, and the keys that were not served, by number. A wrong value ends it: one that is not whole, of
another key, or of a version that was never written."""

import hashlib
import sys

import pylibmc
from modula import Crc32Modula
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheError

SERVERS, CLIENT = sys.argv[1].split(","), sys.argv[2]
KEYS = 240
REFUSALS = (pylibmc.Error, MemcacheError, OSError)


def libmemcached(behaviors):
    # To connect in milliseconds, to send and receive in microseconds, the others in seconds.
    patience = {"connect_timeout": 1000, "send_timeout": 5_000_000, "receive_timeout": 5_000_000}
    failure = {"remove_failed": 1, "retry_timeout": 1, "dead_timeout": 1}
    return pylibmc.Client(SERVERS, behaviors={**patience, **failure, **behaviors})


def pymemcache(**options):
    patience = {"connect_timeout": 1, "timeout": 5, "retry_attempts": 1, "retry_timeout": 0.1, "dead_timeout": 1}
    return HashClient(SERVERS, allow_unicode_keys=True, default_noreply=False, **patience, **options)


CLIENTS = {
    "pylibmc-modula": lambda: libmemcached({"hash": "fnv1a_32", "distribution": "modula"}),
    "pylibmc-ketama": lambda: libmemcached({"ketama": True}),
    "pymemcache-modula": lambda: pymemcache(hasher=Crc32Modula),
    "pymemcache-rendezvous": lambda: pymemcache(),
}


def name_of(key):
    """The names of the tests in Rust: text, bytes beyond ASCII, long."""
    return (f"user:{key}", f"clé-{key}-ü", "long:" * 38 + str(key))[key % 3]


def value_of(key, version):
    head = f"{key} {version};"
    return (head + hashlib.sha256(head.encode()).hexdigest() * (1 + version * key % 30)).encode()


class Load:
    def __init__(self):
        self.client = CLIENTS[CLIENT]()
        self.sent = [0] * KEYS
        self.acknowledged = [0] * KEYS

    def sweep(self):
        older, refused = 0, set()
        for key in range(KEYS):
            if not self.write(key):
                refused.add(key)
        for key in range(KEYS):
            version = self.read(key)
            if version is None:
                refused.add(key)
            elif version < self.acknowledged[key]:
                older += 1
        if not refused and not older:
            self.read_together()
        return older, sorted(refused)

    def write(self, key):
        self.sent[key] += 1
        try:
            stored = self.client.set(name_of(key), value_of(key, self.sent[key]))
        except REFUSALS:
            return False
        if stored:
            self.acknowledged[key] = self.sent[key]
        return stored

    def read(self, key):
        """The version that is found; None if the key is not served."""
        try:
            value = self.client.get(name_of(key))
        except REFUSALS:
            return None
        return None if value is None else self.version_of(key, value)

    def version_of(self, key, value):
        version = int(value.split(b";")[0].split()[1])
        assert value == value_of(key, version), f"wrong value of {key}: {value}"
        assert 1 <= version <= self.sent[key], f"version {version} of {key}, of {self.sent[key]}"
        return version

    def read_together(self):
        names = {name_of(key): key for key in range(KEYS)}
        try:
            found = self.client.get_multi(list(names))
        except REFUSALS:
            return
        for name, value in found.items():
            self.version_of(names[name], value)


load = Load()
for _ in sys.stdin:
    older, refused = load.sweep()
    print("older", older, "refused", *refused, flush=True)
print("all passed")
