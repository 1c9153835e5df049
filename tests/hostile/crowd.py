"""Many connections of one client, told by standard input what to do; one line of answer to each line.

    crowd.py PORT COUNT    opens them from several loopback addresses, PORTS_OF_ADDRESS from each

Every command takes variants in hexadecimal; connection i takes variant i modulo their number.

    send A B ...      sends them whole
    drip A B ...      sends them byte by byte: the first byte of all connections, then the second of all, and so on
    expect A B ...    exactly these bytes must come
    closed            the server must have closed every connection, having sent nothing more
    reset             resets every connection
"""

import socket
import struct
import sys

PATIENCE_S = 20
# An address has some 28,000 ports to connect from.
PORTS_OF_ADDRESS = 20_000
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def opened(port, count):
    conns = []
    for number in range(count):
        conn = socket.socket()
        conn.settimeout(PATIENCE_S)
        # When it ends the ports are free at once.
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Addresses of this server's crowd alone.
        conn.bind((f"127.{1 + number // PORTS_OF_ADDRESS}.{port >> 8}.{port & 255 or 1}", 0))
        conn.connect(("127.0.0.1", port))
        conns.append(conn)
    return conns


def pairs(conns, variants):
    return ((conn, variants[at % len(variants)]) for at, conn in enumerate(conns))


def send(conns, variants):
    for conn, whole in pairs(conns, variants):
        conn.sendall(whole)


def drip(conns, variants):
    for at in range(max(map(len, variants))):
        for conn, whole in pairs(conns, variants):
            if at < len(whole):
                conn.send(whole[at : at + 1])


def expect(conns, variants):
    for conn, wanted in pairs(conns, variants):
        got = b""
        while len(got) < len(wanted):
            part = conn.recv(len(wanted) - len(got))
            if not part:
                raise EOFError(f"closed after {got!r}, wanted {wanted!r}")
            got += part
        if got != wanted:
            raise ValueError(f"got {got!r}, wanted {wanted!r}")


def closed(conns, _):
    for conn in conns:
        try:
            rest = conn.recv(100)
        except ConnectionResetError:
            continue
        if rest:
            raise ValueError(f"got {rest!r}, wanted a closed connection")


def reset(conns, _):
    for conn in conns:
        conn.close()


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    conns = opened(port, count)
    print("done", flush=True)
    commands = {"send": send, "drip": drip, "expect": expect, "closed": closed, "reset": reset}
    for line in sys.stdin:
        name, *variants = line.split()
        commands[name](conns, [bytes.fromhex(variant) for variant in variants])
        print("done", flush=True)


main()
