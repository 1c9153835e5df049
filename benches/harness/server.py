"""A server under test: started on cores of its own inside of a quota, its CPU time read to the nanosecond, and ended."""
import glob, os, shlex, shutil, socket, subprocess, tempfile, time

STARTS_WITHIN_S = 20
FORGETS_WITHIN_S = 60
CLIENTS_LEFT_MAX = 200  # descriptors of any kind
CONNECTIONS_MAX = 12_000

# What is run unless `--server NAME=COMMAND` says otherwise. memcached's connections and item size are raised to what the cells need.
COMMANDS = {
    "limit": "target/release/ringcached-limit --port {port} --request-bytes {request_bytes} --reply {reply}",
    "ringcached": "target/release/ringcached -l 127.0.0.1 -p {port} -t {threads} -m 1024 -c 12000 -I 8m",
    "memcached": "memcached -u nobody -l 127.0.0.1 -p {port} -t {threads} -m 1024 -c 12000 -I 8m",
    "pogocache": "pogocache -p {port} --threads {threads} --maxmemory 1gb --maxconns 12000",
}

OWN = ("limit", "ringcached")
CLASSIC_ONLY = ("pogocache",)  # no meta commands: left out of their cells


def commands(chosen, names):
    """The commands of `names` with those of `--server NAME=COMMAND`, and what is left out because it is not installed."""
    if not all("=" in word for word in chosen):
        raise SystemExit(f"--server {' '.join(chosen)}: NAME=COMMAND is wanted, such as memcached='memcached -p {{port}}'")
    given = dict(word.split("=", 1) for word in chosen)
    commands = {name: COMMANDS[name] for name in names} | given
    missing = [name for name, command in commands.items() if not shutil.which(command.split()[0])]
    if unbuilt := [name for name in missing if commands[name] == COMMANDS.get(name) and name in OWN]:
        raise SystemExit(f"not built: {', '.join(unbuilt)}: cargo build --release && cargo build --release -p ringcached-limit")
    return {name: command for name, command in commands.items() if name not in missing}, missing


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A running server. `command` has {port}, and whatever else `words` names; `more` are further words of it."""

    def __init__(self, command, cores, quota=None, more=(), **words):
        self.port = free_port()
        self.words = shlex.split(command.format(port=self.port, **words)) + list(more)
        self.log = tempfile.TemporaryFile("w+")

        def place():
            os.sched_setaffinity(0, cores)
            if quota:
                quota.enter()

        self.process = subprocess.Popen(self.words, stdout=self.log, stderr=self.log, preexec_fn=place)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    self.log.seek(0)
                    raise SystemExit(f"does not answer: {shlex.join(self.words)}\n{self.log.read()[-2000:]}")
                time.sleep(0.02)

    def _thread_cpu_ns(self):
        """Thread's id -> what it has had, user and kernel. /proc/PID/stat would round it to hundredths of a second."""
        tasks = glob.glob(f"/proc/{self.process.pid}/task/*/schedstat")
        return {int(task.split("/")[-2]): int(open(task).read().split()[0]) for task in tasks}

    def cpu_s(self):
        """Of all its threads."""
        return sum(self._thread_cpu_ns().values()) / 1e9

    def workers(self, count):
        """The ids of the threads that have had most CPU time: once the server is filled, its shards or workers."""
        cpu_ns = self._thread_cpu_ns()
        return sorted(cpu_ns, key=cpu_ns.get)[-count:]

    def forget_clients(self):
        """Waits until it has closed the connections of a load that has ended: the next one would find fewer left of those it may have."""
        deadline = time.monotonic() + FORGETS_WITHIN_S
        while len(os.listdir(f"/proc/{self.process.pid}/fd")) > CLIENTS_LEFT_MAX:
            if time.monotonic() > deadline:
                raise SystemExit(f"still has the connections of a load that has ended: {shlex.join(self.words)}")
            time.sleep(0.05)

    def version(self):
        """What it answers to `version`."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(b"version\r\n")
            return s.recv(200).decode(errors="replace").split(maxsplit=1)[-1].strip()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
