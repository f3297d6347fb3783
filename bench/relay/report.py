"""Medians, ratios and the Markdown around them, all from the raw results."""

import statistics
from typing import NamedTuple

from contestants import ENGINES, PEERS, TITLES

BEGIN, END = "<!-- results -->", "<!-- end of results -->"


class Metric(NamedTuple):
    name: str
    title: str
    unit: str
    higher_is_better: bool
    digits: int = 0
    scale: float = 1  # raw value × scale = shown value


METRICS = (
    Metric("connect", "connect + request + close", "k/s", True, 1, 1e-3),
    Metric("connect_cpu", "… proxy CPU for one", "µs", False, 1),
    Metric("keepalive", "keep-alive requests", "k/s", True, 1, 1e-3),
    Metric("keepalive_cpu", "… proxy CPU for one", "µs", False, 1),
    Metric("small", "16 KiB downloads, keep-alive", "k/s", True, 1, 1e-3),
    Metric("small_cpu", "… proxy CPU for one", "µs", False, 1),
    Metric("download", "1 GiB download", "GB/s", True, 2),
    Metric("download_cpu", "… proxy CPU for it", "s", False, 2),
    Metric("keepalive_p50", "latency at {keepalive} requests/s, p50", "µs", False),
    Metric("keepalive_p99", "… p99", "µs", False),
    Metric("connect_p50", "latency at {connect} connections/s, p50", "µs", False),
    Metric("connect_p99", "… p99", "µs", False),
    Metric("connect_calls", "system calls per connection", "", False, 1),
    Metric("request_calls", "system calls per keep-alive request", "", False, 1),
    Metric("idle_bytes", "RSS per idle connection", "KiB", False, 2, 1 / 1024),
    Metric("held", "connections held", "", True),
    Metric("connect_watched", "connection rate kept with 50 dashboards and a scrape a second", "%", True, 0, 100),
    Metric("keepalive_watched", "keep-alive rate kept, likewise", "%", True, 0, 100),
    Metric("log_kept", "connection rate kept with the access log on", "%", True, 0, 100),
)
# What the engines must reach: the ratio to the better peer of the same round, and for idle_bytes the bytes themselves.
TARGETS = {
    "events": {"connect": 1.00, "keepalive": 1.10, "download": 1.35, "download_cpu": .42, "idle_bytes": 1024},
    "threads": {"connect": .50, "keepalive": .60, "download": 1.35, "download_cpu": .35, "idle_bytes": 48 * 1024},
}


def ratios(rounds, metric, name):
    """Per round: this proxy's figure divided by the better peer's of that round."""
    peers = [rounds[peer] for peer in PEERS if rounds.get(peer)]
    if not peers or not rounds.get(name):
        return []
    best = max if metric.higher_is_better else min
    return [mine / best(theirs) for mine, *theirs in zip(rounds[name], *peers)
            if mine is not None and None not in theirs and best(theirs)]


def middle(values):
    """The median of the rounds that did not fail."""
    return statistics.median(value for value in values if value is not None)


def spread(values, digits=2):
    """The median, and behind it the least and the greatest of all rounds."""
    shortly = f"{statistics.median(values):.{digits}f}"
    return shortly if len(values) == 1 else f"{shortly} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def title(metric, results):
    rates = {name: f"{value / 1000:.1f} k" for name, value in results["half_rates"].items()}
    return metric.title.format(**{"keepalive": "?", "connect": "?"} | rates)


def shown(metric, values):
    return f"{middle(values) * metric.scale:.{metric.digits}f}" if values else "–"


def figures_table(results):
    measured = results["figures"]
    names = [name for name in TITLES if any(name in rounds for rounds in measured.values())]
    engines = [name for name in ENGINES if name in names]
    heads = ["", "unit", *(TITLES[name] for name in names), *(f"{TITLES[name]} ÷ better peer" for name in engines),
             "rounds"]
    yield "| " + " | ".join(heads) + " |"
    yield "|---|---|" + "---|" * (len(heads) - 2)
    for metric in METRICS:
        rounds = measured.get(metric.name)
        if not rounds:
            continue
        cells = [title(metric, results), metric.unit, *(shown(metric, rounds.get(name)) for name in names)]
        for name in engines:
            found = ratios(rounds, metric, name)
            cells.append(spread(found) if found else "–")
        yield "| " + " | ".join([*cells, str(max(map(len, rounds.values())))]) + " |"


def verdicts(results):
    """(engine, metric, what it reached, what it must, met?) for every target that was measured."""
    for engine, wanted in TARGETS.items():
        for metric in METRICS:
            rounds = results["figures"].get(metric.name, {})
            if metric.name not in wanted or not rounds.get(engine):
                continue
            target = wanted[metric.name]
            absolute = metric.name == "idle_bytes"
            values = rounds[engine] if absolute else ratios(rounds, metric, engine)
            if values:
                reached = middle(values)
                met = reached >= target if metric.higher_is_better else reached <= target
                yield engine, metric, reached, target, met


def targets_table(results):
    yield "| engine | figure | reached | wanted | |"
    yield "|---|---|---|---|---|"
    for engine, metric, reached, target, met in verdicts(results):
        name = metric.title if not metric.title.startswith("…") else "1 GiB download, proxy CPU"
        sign = "≥" if metric.higher_is_better else "≤"
        if metric.name == "idle_bytes":
            values = f"{reached / 1024:.2f} KiB | {sign} {target / 1024:.0f} KiB"
        else:
            values = f"{reached:.2f} × | {sign} {target:.2f} ×"
        yield f"| {engine} | {name} | {values} | {'met' if met else '**not met**'} |"


def calls_list(results, metric):
    for name, per_name in results["calls"].get(metric, {}).items():
        counted = ", ".join(f"{call} {calls:.2f}" for call, calls in per_name.items() if calls >= .005)
        yield f"- {TITLES[name]}: {counted}"


def floor_note(results):
    late = [value for metric in ("keepalive_late", "connect_late") for values in
            results["figures"].get(metric, {}).values() for value in values if value is not None]
    if late:
        yield (f"The open-loop generator itself was late by {statistics.median(late):.0f} µs at its p99 "
               f"(the worst run: {max(late):.0f} µs), which is part of every latency above.")
        yield ""


def machine_lines(results):
    about = results["machine"]
    kind = "virtual machine, " if about["virtual"] else ""
    names = {"farol": "Farol", "haproxy": "HAProxy"} | {name: name for name in ("nginx", "pen", "wrk", "curl")}
    versions = ", ".join(f"{title} {about[key]}" for key, title in names.items())
    yield (f"{results['when']}. {kind}{about['cores']} cores ({about['cpu']}), {about['memory_gib']} GiB, Linux "
           f"{about['kernel']} ({about['congestion']}), {about['descriptors']} descriptors per process; {versions}. "
           f"{results['autogroup']}. Load average before the run: {about['load_before']:.2f}.")
    for warning in results["warnings"]:
        yield f"**{warning}**"
    if results["failures"]:
        yield "\nMeasurements that failed, and are missing from the medians:\n"
        yield from (f"- {failure}" for failure in results["failures"])


def markdown(results):
    lines = [*machine_lines(results), "", *figures_table(results), "", *floor_note(results)]
    if any(verdicts(results)):
        lines += ["Against what the engines must reach (median ratio to the better of HAProxy and nginx):", "",
                  *targets_table(results), ""]
    if results["calls"].get("connect_calls"):
        lines += ["System calls for one connection (connect, request, close; one after another):", "",
                  *calls_list(results, "connect_calls"), "",
                  "System calls for one request on a kept connection:", "", *calls_list(results, "request_calls"), ""]
    return "\n".join(lines)


def put(path, text, begin=BEGIN, end=END):
    """Writes the report, or replaces what stands between the two marks when the file has them."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if begin in old and end in old:
        head, rest = old.split(begin, 1)
        text = f"{head}{begin}\n{text}{end}{rest.split(end, 1)[1]}"
    path.write_text(text, encoding="utf-8")
