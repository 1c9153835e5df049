"""What the comparison found as Markdown: operations per server CPU second by cell, ratios, and what two shards do."""
import statistics

from harness.figures import ratios, spread, thousands

BOUND = 0.9  # share of its quota that a server has to have used, or the load was the bottleneck


def per_cpu(samples):
    return [sample["operations"] / sample["cpu_s"] for sample in samples]


def of_cell(found, cell, server):
    """The samples, one for each round; none where the server was left out."""
    return found.get(cell.name, {}).get(server, [])


def compared(found, cell, one, other):
    """Ratios of one server's rounds to the other's."""
    return ratios(per_cpu(of_cell(found, cell, one)), per_cpu(of_cell(found, cell, other)))


def is_bound(samples):
    """Whether the server was the bottleneck."""
    return statistics.median(sample["busy"] for sample in samples) >= BOUND


def markdown(found, cells, servers):
    """`found`: cell's name -> server -> samples."""
    own = [name for name in servers if name not in ("limit", "memcached")]
    header = ["cell", *servers, *(f"{name} / memcached" for name in own), "target", "ringcached / limit", "target"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for cell in cells:
        row = [cell.name]
        for name in servers:
            samples = of_cell(found, cell, name)
            mark = "" if not samples or is_bound(samples) else " †"
            row.append(thousands(statistics.median(per_cpu(samples))) + mark if samples else "–")
        row += [spread(compared(found, cell, name, "memcached")) for name in own]
        row += [f"{cell.target:g}" if cell.target else "", spread(compared(found, cell, "ringcached", "limit"))]
        row += [f"{cell.limit_target:g}" if cell.limit_target else ""]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def shards_markdown(found, cells, servers):
    """Operations a second of two shards and of one; nothing if no such cell was run."""
    rows = []
    for cell in (cell for cell in cells if cell.alone):
        for name in servers:
            two, one = of_cell(found, cell, name), found.get(cell.alone, {}).get(name, [])
            if two and one:
                rates = [[sample["operations"] / sample["seconds"] for sample in samples] for samples in (one, two)]
                marks = ["" if is_bound(samples) else " †" for samples in (one, two)]
                medians = [thousands(statistics.median(rate)) + mark for rate, mark in zip(rates, marks)]
                target = f"{cell.alone_target:g}" if cell.alone_target and name == "ringcached" else ""
                rows.append(f"| {cell.name} | {name} | {medians[0]} | {medians[1]} | {spread(ratios(rates[1], rates[0]))} | {target} |")
    header = "| cell | server | a second, one shard or thread | a second, two | two / one | target |\n|---|---|---|---|---|---|\n"
    return header + "\n".join(rows) if rows else ""


def plot_groups(found, cells, servers):
    """Ratios to memcached for `plot.bars`."""
    groups = []
    for cell in cells:
        values = {}
        for name in servers:
            of = compared(found, cell, name, "memcached") if name != "memcached" else []
            if of:
                values[name] = (min(of), statistics.median(of), max(of))
        if values:
            groups.append((cell.name, values, cell.target))
    return groups
