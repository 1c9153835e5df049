"""Loads: ringcached-load (docs/load.md) on cores of its own, what it found as JSON, and a recording of one request and its reply."""
import json, selectors, socket, subprocess, tempfile, threading

LOAD = "target/release/ringcached-load"


def run(port, cores, *words):
    """Runs the load against a port and returns its JSON; nothing if it only filled. A value that is wrong, or no answer, ends
    everything."""
    with tempfile.NamedTemporaryFile(prefix="load-", suffix=".json") as found:
        command = [LOAD, "--server", f"127.0.0.1:{port}", "--cores", ",".join(map(str, sorted(cores))),
                   "--threads", str(len(cores)), "--json", found.name, *map(str, words)]
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise SystemExit(f"no {LOAD}: cargo build --release -p ringcached-load") from None
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: failed:\n{done.stderr[:2000]}")
        return json.loads(found.read() or "{}")


def record(port, cores, *words):
    """The one request that the load makes when it is given these words, and the server's reply, as bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = {}
        relay = threading.Thread(target=lambda: heard.update(_relay(listener, port)))
        relay.start()
        run(listener.getsockname()[1], sorted(cores)[:1], "--connections", 1, "--requests", 1, *words)
        relay.join()
    return heard["request"], heard["reply"]


def _relay(listener, port):
    """Passes on the bytes of one connection until the client closes it; returns those of both directions."""
    client = listener.accept()[0]
    server = socket.create_connection(("127.0.0.1", port))
    heard = {"request": b"", "reply": b""}
    selector = selectors.DefaultSelector()
    selector.register(client, selectors.EVENT_READ, ("request", server))
    selector.register(server, selectors.EVENT_READ, ("reply", client))
    with client, server, selector:
        while True:
            for key, _ in selector.select():
                name, to = key.data
                piece = key.fileobj.recv(1 << 20)
                if not piece:
                    return heard
                heard[name] += piece
                to.sendall(piece)
