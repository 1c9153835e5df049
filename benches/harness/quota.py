"""A CPU quota on servers, through cgroup v1 or v2, so that a server is the bottleneck also where the load has no more CPU than it.

The server is started inside of the group, so its later threads are in it too. It starts without a quota, to be filled fast.
"""
import os, sys, time

PERIOD_US = 20_000  # short, so that a pause does not show in a run of seconds
V1, V2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"


class Quota:
    """One group. Where none can be made it does nothing, and says so once: `works` is False."""

    def __init__(self, period_us=PERIOD_US):
        self.period_us = period_us
        is_v1 = os.path.exists(f"{V1}/cgroup.procs") and not os.path.exists(f"{V2}/cgroup.controllers")
        self.folder = f"{V1 if is_v1 else V2}/ringcached-bench-{os.getpid()}"
        self.file = "cpu.cfs_quota_us" if is_v1 else "cpu.max"
        self.is_v1, self.works = is_v1, False
        try:
            os.mkdir(self.folder)
            if is_v1:
                self._write("cpu.cfs_period_us", period_us)
            self.works = True
            self.lift()
        except OSError as error:
            print(f"no CPU quota ({error}): the load may be the bottleneck; root can have one", file=sys.stderr)
            self.works = False
            self.close()

    def _write(self, file, text):
        # Not created where it is missing: then the group has no CPU controller.
        with open(os.open(f"{self.folder}/{file}", os.O_WRONLY), "w") as f:
            f.write(str(text))

    def enter(self):
        """Puts the calling process into the group."""
        if self.works:
            self._write("cgroup.procs", os.getpid())

    def set(self, percent):
        """So much of one core for all of the group; 200 are two whole cores."""
        if self.works:
            quota_us = self.period_us * percent // 100
            self._write(self.file, quota_us if self.is_v1 else f"{quota_us} {self.period_us}")

    def lift(self):
        """No quota any more."""
        if self.works:
            self._write(self.file, -1 if self.is_v1 else f"max {self.period_us}")

    def close(self):
        """Removes the group; a process that ended a moment ago may still be in it."""
        for _ in range(50):
            try:
                os.rmdir(self.folder)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
