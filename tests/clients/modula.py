"""Modula for pymemcache's HashClient: CRC-32 of the key, modulo the servers that are there, in the order of its list."""

import zlib


class Crc32Modula:
    """A server that comes back takes its old place, not the last: every server's number would be another."""

    def __init__(self):
        self.order = []
        self.away = set()

    def add_node(self, node):
        self.away.discard(node)
        if node not in self.order:
            self.order.append(node)

    def remove_node(self, node):
        self.away.add(node)

    def get_node(self, key):
        data = key if isinstance(key, bytes) else key.encode()
        nodes = [node for node in self.order if node not in self.away]
        return nodes[zlib.crc32(data) % len(nodes)] if nodes else None
