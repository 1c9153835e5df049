"""Pauses of the machine itself: how long a thread that only reads the clock stands still, because the host runs another machine or the
kernel another thread. They are in the latencies of any server that runs there at such a moment."""
import concurrent.futures, os, time

PAUSE_S = 0.0005  # far above what one look at the clock takes, far below what shows in a p99 of milliseconds


def pauses(cores, seconds):
    """One list of pauses, in seconds, for each of these cores, all watched at once."""
    with concurrent.futures.ProcessPoolExecutor(len(cores)) as pool:
        return list(pool.map(_watch, cores, [seconds] * len(cores)))


def _watch(core, seconds):
    os.sched_setaffinity(0, {core})
    found, last = [], time.perf_counter()
    end = last + seconds
    while last < end:
        now = time.perf_counter()
        if now - last >= PAUSE_S:
            found.append(now - last)
        last = now
    return found


def sentence(found, seconds):
    """What `pauses` found, for a document."""
    of = " and ".join(f"{100 * sum(one) / seconds:.1f} % of the time, {1000 * max(one, default=0):.1f} ms at most," for one in found)
    return (f"Threads that only read the clock, one on each core, for {seconds} s with no server running, stood still for {1000 * PAUSE_S:g} ms or "
            f"more during {of} which the tail of any latency here has in it")
