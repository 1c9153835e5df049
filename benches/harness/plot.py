"""Horizontal bars as SVG, written by hand: groups of bars with their range over rounds, and a mark for what is aimed at."""
from html import escape

WIDTH, LABELS, RIGHT = 900, 330, 70  # of the picture; of the labels at its left; of the figures at its right
BAR, GAP, TOP = 13, 12, 92
COLOURS = {"limit": "#b0b0b0", "ringcached": "#2166ac", "memcached": "#1b7837", "pogocache": "#e08214"}
OTHER = "#762a83"


def _step(highest):
    """The distance of grid lines: about eight of them."""
    size = 1e-6
    while True:
        for step in (size, 2 * size, 5 * size):
            if highest / step <= 8:
                return step
        size *= 10


def bars(title, subtitle, groups, line=None):
    """`groups`: (label, {series: (low, middle, high)}, target or 0). `line`: a value that is marked through all of the picture."""
    series = list(dict.fromkeys(name for _, values, _ in groups for name in values))
    highest = max([target for *_, target in groups] + [high for _, values, _ in groups for *_, high in values.values()])
    scale = (WIDTH - LABELS - RIGHT) / (highest or 1)
    x = lambda value: LABELS + value * scale
    height = TOP + sum(len(values) * BAR + GAP for _, values, _ in groups) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="12" y="24" font-size="17">{escape(title)}</text>', f'<text x="12" y="44" fill="#555">{escape(subtitle)}</text>']
    at = 12
    for name in series:
        out.append(f'<rect x="{at}" y="56" width="12" height="12" fill="{COLOURS.get(name, OTHER)}"/><text x="{at + 17}" y="66">{escape(name)}</text>')
        at += 40 + 8 * len(name)
    if any(target for *_, target in groups):
        out.append(f'<path d="M{at + 6} 55v14" stroke="#c00" stroke-width="2"/><text x="{at + 17}" y="66">target</text>')
    step = _step(highest)
    for n in range(int(highest / step) + 1):
        out.append(f'<path d="M{x(n * step):.1f} {TOP - 10}V{height - 26}" stroke="#ddd"/>'
                   f'<text x="{x(n * step):.1f}" y="{height - 10}" text-anchor="middle" fill="#555">{n * step:g}</text>')
    if line is not None:
        out.append(f'<path d="M{x(line):.1f} {TOP - 10}V{height - 26}" stroke="#000" stroke-dasharray="4 3"/>')
    y = TOP
    for label, values, target in groups:
        end = y + len(values) * BAR
        out.append(f'<text x="{LABELS - 10}" y="{(y + end) / 2 + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for name, (low, middle, high) in values.items():
            centre = y + BAR / 2
            out.append(f'<rect x="{LABELS}" y="{y + 1}" width="{middle * scale:.1f}" height="{BAR - 2}" fill="{COLOURS.get(name, OTHER)}"/>'
                       f'<path d="M{x(low):.1f} {centre}H{x(high):.1f}" stroke="#000"/>'
                       f'<text x="{x(high) + 5:.1f}" y="{y + 11}" font-size="11">{middle:.2f}</text>')
            y += BAR
        if target:
            out.append(f'<path d="M{x(target):.1f} {end - len(values) * BAR - 2}V{end + 2}" stroke="#c00" stroke-width="2"/>')
        y += GAP
    return "\n".join(out + ["</svg>"]) + "\n"
