#!/usr/bin/env python3
"""A client's side of ringcached's --source-port-steering: a connection to each shard, and the shard that owns a key.

A connection to the steering port comes to shard p % shards, where p is the port it comes from. So each socket is bound to a
suitable port before it connects, and each request goes out on the connection of the shard that owns its key; then none
changes cores. NAT changes source ports; behind it use --shard-ports. tools/steered/src is the same in Rust.

    from steered import Steered
    shards = Steered("127.0.0.1", 11300, "crc32a")
    shards.set(b"greeting", b"hello")
    shards.get(b"greeting")            # b'hello', or None after a miss
    shards.connection(b"greeting")     # the socket, for requests of your own

Usage: steered.py HOST PORT crc32a|fnv1a_32 [KEY...]     says which shard has each key, and what the key holds
"""
import errno
import random
import socket
import sys
import zlib

ATTEMPTS_MAX = 200  # ports tried for one connection
PORT_MIN = 16384  # below, services listen; the kernel's own choices begin at 32,768
TIMEOUT_S = 10


def crc32a(key):
    return zlib.crc32(key)


def fnv1a_32(key):
    """FNV-1a with bytes taken as C's signed char: the sign of a byte from 0x80 on flips the bits above it too."""
    value = 0x811C9DC5
    for byte in key:
        signed = byte - 0x100 if byte >= 0x80 else byte
        value = ((value ^ (signed & 0xFFFFFFFF)) * 0x01000193) & 0xFFFFFFFF
    return value


PARTITIONS = {"crc32a": crc32a, "fnv1a_32": fnv1a_32}


def address(host, port):
    """The first address of a host: family and what connect() takes."""
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, where


def connect(host, port, shards, shard):
    """A socket to one shard of the server's."""
    if not 0 <= shard < shards:
        raise ValueError(f"shard {shard} of {shards}: they count from 0")
    family, where = address(host, port)
    for _ in range(ATTEMPTS_MAX):
        # A whole number of rounds of remainders, so that every port below 65,536 is possible and none above.
        source = random.randrange(-(-PORT_MIN // shards), 65536 // shards) * shards + shard
        conn = socket.socket(family, socket.SOCK_STREAM)
        try:
            # A port that lately had a connection, to whomever, is free again at once.
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn.settimeout(TIMEOUT_S)
            conn.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", source))
            conn.connect(where)
            return conn
        except OSError as error:
            conn.close()
            # Somebody else has the port, here or with this very server.
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                raise
    raise OSError(f"no free source port with remainder {shard} modulo {shards} in {ATTEMPTS_MAX} attempts")


def shard_count(host, port):
    """The number of shards: those that `stats shards` names."""
    with socket.create_connection((host, port), TIMEOUT_S) as conn:
        conn.sendall(b"stats shards\r\n")
        answer = conn.makefile("rb")
        shards = 0
        for line in answer:
            if not line.startswith(b"STAT "):
                break
            shards += b":core " in line
    if not shards:
        raise OSError(f"{host}:{port} does not answer `stats shards`: is it a ringcached?")
    return shards


class Steered:
    """A connection to each shard of one server, for one thread."""

    def __init__(self, host, port, partition, shards=None):
        self.hash = PARTITIONS[partition]
        count = shards or shard_count(host, port)
        self.connections = [connect(host, port, count, shard) for shard in range(count)]
        self.files = [conn.makefile("rb") for conn in self.connections]

    def owner(self, key):
        """The shard that owns a key (bytes)."""
        return self.hash(key) % len(self.connections)

    def connection(self, key):
        return self.connections[self.owner(key)]

    def set(self, key, value, exptime=0):
        """Stores; raises if the server says anything but STORED."""
        owner = self.owner(key)
        self.connections[owner].sendall(b"set %b 0 %d %d\r\n%b\r\n" % (key, exptime, len(value), value))
        line = self.files[owner].readline()
        if line != b"STORED\r\n":
            raise OSError(f"set {key!r}: {line!r}")

    def get(self, key):
        """The value, or None after a miss."""
        owner = self.owner(key)
        self.connections[owner].sendall(b"get %b\r\n" % key)
        answer = self.files[owner]
        line = answer.readline()
        if line == b"END\r\n":
            return None
        if not line.startswith(b"VALUE "):
            raise OSError(f"get {key!r}: {line!r}")
        value = answer.read(int(line.split()[3]) + 2)[:-2]
        answer.readline()  # END
        return value

    def close(self):
        for end in self.files + self.connections:
            end.close()


def main(words):
    if len(words) < 3 or words[2] not in PARTITIONS:
        sys.exit(__doc__.rsplit("\n", 2)[1])
    shards = Steered(words[0], int(words[1]), words[2])
    for shard, conn in enumerate(shards.connections):
        print(f"shard {shard}: from port {conn.getsockname()[1]}")
    for key in words[3:]:
        key = key.encode()
        print(f"{key.decode()}: shard {shards.owner(key)}, {shards.get(key)!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
