"""Figures of rounds: medians, ratios taken round by round, and how they are written; what machine they come from."""
import os, platform, re, statistics, subprocess, time


def ratios(ones, others):
    """Round by round, so that what else the machine did in a round hits both."""
    return [one / other for one, other in zip(ones, others)]


def spread(values, digits=2):
    """Median and range: `1.25 (1.20–1.31)`."""
    if not values:
        return "–"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def thousands(n):
    return f"{n:,.0f}"


def machine():
    """The machine in a sentence."""
    with open("/proc/cpuinfo") as f:
        model = re.search(r"^(?:model name|Model|CPU part)\s*:\s*(.+)$", f.read(), re.M)
    model = re.sub(r"\s+", " ", model[1]) if model else platform.machine()
    with open("/proc/meminfo") as f:
        memory_gib = int(f.readline().split()[1]) / (1 << 20)
    return f"{os.cpu_count()} cores ({model}), {memory_gib:.0f} GiB, Linux {platform.release()} ({platform.machine()})"


def today():
    return time.strftime("%Y-%m-%d")


def commit():
    """The commit of this repository, with `+` where files have changed since."""
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def replace_between(path, name, text):
    """Replaces what stands between the comments `<!-- NAME -->` and `<!-- /NAME -->` of a Markdown page."""
    with open(path) as f:
        page = f.read()
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    if first not in page or last not in page:
        raise SystemExit(f"{path}: no {first} and {last} to write between")
    before, rest = page.split(first, 1)
    with open(path, "w") as f:
        f.write(before + first + "\n" + text.strip() + "\n" + last + rest.split(last, 1)[1])
