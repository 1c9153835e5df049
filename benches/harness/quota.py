"""A CPU quota on servers, through cgroup v1 or v2, so that a server is the bottleneck also where the load has no more CPU than it.

The server is started inside of the group, so its later threads are in it too. It starts without a quota, to be filled fast. Threads
with cores of their own get a quota each, in groups below the first (`each`): of a common one, one thread may take what is another's. That
needs cgroup v1, whose groups hold threads; with v2 the quota stays a common one.
"""
import os, sys, time

PERIOD_US = 20_000  # short, so that a pause does not show in a run of seconds
V1, V2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"


class Quota:
    """One group, and one below it for each thread that has a quota of its own. Where none can be made it does nothing, and says so
    once: `works` is False."""

    def __init__(self, period_us=PERIOD_US):
        self.period_us = period_us
        self.is_v1 = os.path.exists(f"{V1}/cgroup.procs") and not os.path.exists(f"{V2}/cgroup.controllers")
        self.folder = f"{V1 if self.is_v1 else V2}/ringcached-bench-{os.getpid()}"
        self.parts, self.works = [], False
        try:
            self._make(self.folder)
            self.works = True
        except OSError as error:
            print(f"no CPU quota ({error}): the load may be the bottleneck; root can have one", file=sys.stderr)
            self.close()

    def _make(self, folder):
        """A group without a quota."""
        os.mkdir(folder)
        if self.is_v1:
            self._write(folder, "cpu.cfs_period_us", self.period_us)
        self._limit(folder, None)

    def _limit(self, folder, percent):
        """Of one core; `None`: no quota."""
        quota_us = None if percent is None else self.period_us * percent // 100
        if self.is_v1:
            self._write(folder, "cpu.cfs_quota_us", -1 if quota_us is None else quota_us)
        else:
            self._write(folder, "cpu.max", f"{'max' if quota_us is None else quota_us} {self.period_us}")

    def _write(self, folder, file, text):
        # Not created where it is missing: then the group has no CPU controller.
        with open(os.open(f"{folder}/{file}", os.O_WRONLY), "w") as f:
            f.write(str(text))

    def enter(self):
        """Puts the calling process into the group."""
        if self.works:
            self._write(self.folder, "cgroup.procs", os.getpid())

    def set(self, percent):
        """So much of one core for all of the group; 200 are two whole cores."""
        if self.works:
            self._limit(self.folder, percent)

    def each(self, threads, percent):
        """So much of one core for each of these threads of the group, given by their ids, and no more for all threads than these may have."""
        self.set(percent * len(threads))
        if not (self.works and self.is_v1):
            return
        for thread in threads:
            self.parts.append(f"{self.folder}/{thread}")
            self._make(self.parts[-1])
            self._write(self.parts[-1], "tasks", thread)
            self._limit(self.parts[-1], percent)

    def lift(self):
        """No quota any more. What had a group of its own has ended."""
        if self.works:
            self._limit(self.folder, None)
            while self.parts:
                _remove(self.parts.pop())

    def close(self):
        """Removes the groups."""
        for folder in [*self.parts, self.folder]:
            _remove(folder)


def _remove(folder):
    """A process that ended a moment ago may still be in it."""
    for _ in range(50):
        try:
            return os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
