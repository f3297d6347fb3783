"""The ratios as a drawing: one bar per figure and engine, 1 = the better of HAProxy and nginx."""

import math
import statistics
from xml.sax.saxutils import escape

from contestants import ENGINES, TITLES
from report import METRICS, ratios

SHOWN = {"connect": "connect + request + close", "keepalive": "keep-alive requests", "small": "16 KiB downloads",
         "download": "1 GiB download", "download_cpu": "CPU for 1 GiB", "keepalive_p50": "latency, p50",
         "keepalive_p99": "latency, p99", "connect_calls": "system calls per connection",
         "idle_bytes": "memory per idle connection"}
COLOURS = {"threads": "#d08c2f", "events": "#2f74b5"}
LEFT, RIGHT, TOP, ROW, BAR, GAP = 210, 70, 64, 40, 13, 2
WIDTH = 760
LOW, HIGH = 1 / 8, 8  # better is always to the right; beyond these a bar is cut and its number tells


def x_of(advantage):
    share = (math.log(min(max(advantage, LOW), HIGH)) - math.log(LOW)) / (math.log(HIGH) - math.log(LOW))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def text(x, y, words, size=12, anchor="start", colour="#333"):
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(words)}</text>'


def bars(y, metric, rounds):
    for place, engine in enumerate(ENGINES):
        found = ratios(rounds, metric, engine)
        if not found:
            continue
        advantages = sorted(ratio if metric.higher_is_better else 1 / max(ratio, 1e-3) for ratio in found)
        advantage = statistics.median(advantages)
        top, one, end = y + place * (BAR + GAP), x_of(1), x_of(advantage)
        yield (f'<rect x="{min(one, end):.1f}" y="{top}" width="{max(abs(end - one), 1):.1f}" height="{BAR}" '
               f'fill="{COLOURS[engine]}"/>')
        low, high, middle = x_of(advantages[0]), x_of(advantages[-1]), top + BAR / 2
        yield f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#222" stroke-width="1"/>'
        words = f"{advantage:.1f}×" if advantage >= 10 else f"{advantage:.2f}×"
        if advantage >= 1:
            yield text(max(end, high) + 4, top + BAR - 2, words, 11)
        else:
            yield text(min(end, low) - 4, top + BAR - 2, words, 11, "end")


def svg(results):
    by_name = {metric.name: metric for metric in METRICS}
    rows = [by_name[name] for name in SHOWN
            if any(ratios(results["figures"].get(name, {}), by_name[name], engine) for engine in ENGINES)]
    height = TOP + ROW * len(rows) + 30
    bottom = height - 30
    about = results["machine"]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
             'role="img" aria-label="Farol compared with the better of HAProxy and nginx">',
             f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
             text(12, 22, f"Farol against the better of HAProxy {about['haproxy']} and nginx {about['nginx']}", 15)]
    for place, engine in enumerate(ENGINES):
        parts += [f'<rect x="{12 + place * 130}" y="33" width="12" height="12" fill="{COLOURS[engine]}"/>',
                  text(29 + place * 130, 44, TITLES[engine])]
    parts.append(text(WIDTH - 12, 44, "right of the line: Farol is better (line: least to greatest round)", 11, "end"))
    for mark, words in ((1 / 8, "1/8"), (1 / 4, "1/4"), (1 / 2, "1/2"), (1, "1"), (2, "2×"), (4, "4×"), (8, "8×")):
        colour = "#222" if mark == 1 else "#ddd"
        parts += [f'<path d="M{x_of(mark):.1f} {TOP - 8}V{bottom}" stroke="{colour}"/>',
                  text(x_of(mark), bottom + 16, words, 11, "middle", "#666")]
    for number, metric in enumerate(rows):
        y = TOP + number * ROW
        parts += [text(12, y + BAR + 5, SHOWN[metric.name]),
                  *bars(y, metric, results["figures"][metric.name])]
    return "\n".join([*parts, "</svg>", ""])
