"""The drawings: every rival in every scenario, and four scenarios as they went on."""

import math
import statistics
from xml.sax.saxutils import escape

import scenarios
import tables
from rivals import BY_NAME, REFERENCE, RIVALS

COLOURS = {"weighted": "#2f74b5", "weighted-5s": "#12406f", "report": "#b03a2e", "haproxy-lc": "#222222",
           "haproxy-rr": "#bbbbbb", "haproxy-r2": "#8a8a8a", "haproxy-lc-agent": "#d08c2f", "haproxy-rr-agent": "#e6c229",
           "nginx-lc": "#3a8f5c", "nginx-r2": "#9ccfae"}
LEFT, RIGHT, TOP, ROW, WIDTH = 270, 20, 96, 22, 860
LOW, HIGH = 1 / 4, 64


def text(x, y, words, size=12, anchor="start", colour="#333"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
            f'{escape(words)}</text>')


def frame(height, label, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
                      f'role="img" aria-label="{escape(label)}">', f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
                      *parts, "</svg>", ""])


def x_of(ratio):
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def legend(y, names, per_row=4):
    for place, name in enumerate(names):
        x = 14 + place % per_row * (WIDTH - 20) / per_row
        line = y + place // per_row * 18
        yield f'<circle cx="{x:.1f}" cy="{line - 4}" r="5" fill="{COLOURS[name]}"/>'
        yield text(x + 10, line, BY_NAME[name].title, 11)


def overview(found):
    rows = tables.measured(found)
    bottom = TOP + ROW * len(rows)
    parts = [text(12, 22, "p99 latency relative to HAProxy leastconn in the same run; left is better", 15),
             *legend(44, list(COLOURS))]
    for mark in (.25, .5, 1, 2, 4, 8, 16, 32, 64):
        parts += [f'<path d="M{x_of(mark):.1f} {TOP - 6}V{bottom}" stroke="{"#222" if mark == 1 else "#e4e4e4"}"/>',
                  text(x_of(mark), bottom + 16, f"{mark:g}×" if mark >= 1 else f"1/{1 / mark:g}", 11, "middle", "#666")]
    for number, scenario in enumerate(rows):
        y = TOP + number * ROW + ROW / 2
        parts.append(text(12, y + 4, scenario.title))
        for rival in reversed(RIVALS):
            if rival.name != REFERENCE:
                ratio = tables.ratio(found[scenario.name], rival.name)
                ours = rival.name in tables.CANDIDATES
                parts.append(f'<circle cx="{x_of(ratio):.1f}" cy="{y:.1f}" r="{6 if ours else 4.5}" '
                             f'fill="{COLOURS[rival.name]}" fill-opacity="{1 if ours else .8}"/>')
    return frame(bottom + 28, "p99 of every proxy in every scenario", parts)


SHOWN = ("weighted-5s", "weighted", "haproxy-lc", "haproxy-rr-agent", "haproxy-lc-agent")
PANELS = ("neighbour", "slow", "dying", "joining")
HEIGHT, PAD = 150, 46


def p95_over_time(runs, rival):
    return [statistics.median(run["rivals"][rival]["seconds"][second]["p95"] for run in runs)
            for second in range(scenarios.END)]


def share_over_time(runs, rival, backend, size):
    """By the second, by its fair share, over all runs."""
    shares = []
    for second in range(scenarios.END):
        got, all_of_it = 0, 0
        for run in runs:
            counts = [one["sessions"][second] if second < len(one["sessions"]) else 0
                      for one in run["rivals"][rival]["pool"]["backends"]]
            got, all_of_it = got + counts[backend], all_of_it + sum(counts)
        shares.append(got / max(1, all_of_it) * size)
    return shares


def curve(points, left, top, width, low, high, colour, logarithmic):
    scale = math.log if logarithmic else float
    def place(number, value):
        share = (scale(min(max(value, low), high)) - scale(low)) / (scale(high) - scale(low))
        return f"{left + (number + .5) * width / scenarios.END:.1f} {top + HEIGHT - share * HEIGHT:.1f}"
    path = "L".join(place(number, value) for number, value in enumerate(points))
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def panel(found, name, top):
    """Left: p95 by the second; right: the share of the back-end that it is about."""
    scenario, runs = scenarios.BY_NAME[name], found[name]
    victim = 1 if name == "neighbour" else 0
    width = (WIDTH - 3 * PAD) / 2
    sides = ((PAD, "p95, ms", 100, 6400, True, (100, 400, 1600, 6400)),
             (2 * PAD + width, f"sessions of back-end {victim} ÷ fair share", 0, 2, False, (0, 1, 2)))
    for left, what, low, high, logarithmic, marks in sides:
        yield text(left, top - 8, f"{scenario.title}: {what}", 12)
        yield f'<rect x="{left}" y="{top}" width="{width}" height="{HEIGHT}" fill="none" stroke="#ccc"/>'
        if name != "neighbour":
            begin, end = (left + at / scenarios.END * width for at in scenarios.FAULT)
            end = left + width if name == "joining" else end
            yield f'<rect x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" height="{HEIGHT}" fill="#f3f0e6"/>'
        scale = math.log if logarithmic else float
        for mark in marks:
            y = top + HEIGHT - (scale(mark) - scale(low)) / (scale(high) - scale(low)) * HEIGHT if mark != low else top + HEIGHT
            yield text(left - 4, y + 4, f"{mark}", 10, "end", "#666")
        for rival in reversed(SHOWN):
            points = p95_over_time(runs, rival) if logarithmic else share_over_time(runs, rival, victim, scenario.size)
            yield curve(points, left, top, width, low, high, COLOURS[rival], logarithmic)
        for second in range(0, scenarios.END + 1, 8):
            yield text(left + second / scenarios.END * width, top + HEIGHT + 13, f"{second} s", 10, "middle", "#666")


def course(found):
    shown = [name for name in PANELS if name in found]
    parts = [text(12, 22, "As it went on: the same load through each proxy (shaded: the fault)", 15), *legend(44, SHOWN, 3)]
    for number, name in enumerate(shown):
        parts += panel(found, name, 90 + number * (HEIGHT + 50))
    return frame(90 + len(shown) * (HEIGHT + 50), "latency and shares over time", parts)
