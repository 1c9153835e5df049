"""Horizontal bars as SVG, written by hand: groups of bars with their range over rounds, and a mark for what is aimed at."""
import math
from html import escape

WIDTH, LABELS, RIGHT = 900, 330, 70  # of the picture; of the labels at its left; of the figures at its right
BAR, GAP, TOP = 13, 12, 92
COLOURS = {"limit": "#b0b0b0", "ringcached": "#2166ac", "memcached": "#1b7837", "pogocache": "#e08214"}
OTHER = "#762a83"


def _amounts(highest):
    """An axis from 0 on: where a value stands in the picture, and about eight grid lines."""
    size = 10 ** math.floor(math.log10(highest / 8))
    step = next(step * size for step in (1, 2, 5, 10) if highest / (step * size) <= 8)
    return lambda value: LABELS + value / highest * (WIDTH - LABELS - RIGHT), [n * step for n in range(int(highest / step) + 1)]


def _ratios(lowest, highest):
    """A logarithmic axis, so that half and double are equally far from 1; grid lines at powers of two."""
    first, last = math.floor(math.log2(min(lowest, 1))), math.log2(highest)
    x = lambda value: LABELS + (math.log2(value) - first) / (last - first) * (WIDTH - LABELS - RIGHT)
    return x, [2.0**n for n in range(first, math.floor(last) + 1)]


def bars(title, subtitle, groups, are_ratios=False):
    """`groups`: (label, {series: (low, middle, high)}, target or 0). Bars of ratios begin at 1, others at 0."""
    series = list(dict.fromkeys(name for _, values, _ in groups for name in values))
    targets = [target for *_, target in groups if target]
    highest = max(targets + [high for _, values, _ in groups for *_, high in values.values()])
    lowest = min(low for _, values, _ in groups for low, *_ in values.values())
    x, lines = _ratios(lowest, max(highest, 2)) if are_ratios else _amounts(highest)
    start = x(1 if are_ratios else 0)
    height = TOP + sum(len(values) * BAR + GAP for _, values, _ in groups) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="12" y="24" font-size="17">{escape(title)}</text>', f'<text x="12" y="44" fill="#555">{escape(subtitle)}</text>']
    at = 12
    for name in series:
        out.append(f'<rect x="{at}" y="56" width="12" height="12" fill="{COLOURS.get(name, OTHER)}"/><text x="{at + 17}" y="66">{escape(name)}</text>')
        at += 40 + 8 * len(name)
    if targets:
        out.append(f'<path d="M{at + 6} 55v14" stroke="#c00" stroke-width="2"/><text x="{at + 17}" y="66">target</text>')
    for value in lines:
        colour = "#000" if are_ratios and value == 1 else "#ddd"
        out.append(f'<path d="M{x(value):.1f} {TOP - 10}V{height - 26}" stroke="{colour}"/>'
                   f'<text x="{x(value):.1f}" y="{height - 10}" text-anchor="middle" fill="#555">{value:g}</text>')
    y = TOP
    for label, values, target in groups:
        end = y + len(values) * BAR
        out.append(f'<text x="{LABELS - 10}" y="{(y + end) / 2 + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for name, (low, middle, high) in values.items():
            centre = y + BAR / 2
            left, right = sorted((start, x(middle)))
            out.append(f'<rect x="{left:.1f}" y="{y + 1}" width="{right - left:.1f}" height="{BAR - 2}" fill="{COLOURS.get(name, OTHER)}"/>'
                       f'<path d="M{x(low):.1f} {centre}H{x(high):.1f}" stroke="#000"/>'
                       f'<text x="{max(start, x(high)) + 5:.1f}" y="{y + 11}" font-size="11">{middle:.3g}</text>')
            y += BAR
        if target:
            out.append(f'<path d="M{x(target):.1f} {end - len(values) * BAR - 2}V{end + 2}" stroke="#c00" stroke-width="2"/>')
        y += GAP
    return "\n".join(out + ["</svg>"]) + "\n"
