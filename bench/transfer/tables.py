"""Medians, ratios and the Markdown around them, all from the raw results."""

import statistics

import report
from report_loop import CHUNK_SIZE

TITLES = {
    "loopback": "`HttpGw`, three `FastFileSrv`",
    "nginx_proxy": "nginx `proxy_pass`, one nginx",
    "nginx": "nginx, the file itself",
    "delayed": "`HttpGw`, three `FastFileSrv`, 1 ms",
    "report_loop": "the report's loop, three servers, 1 ms",
    "bound": f"{CHUNK_SIZE} bytes per round trip of the path, 1 ms",
}
COLUMNS = (("MB/s", "mb_per_s", 1), ("CPU s, gateway", "gateway_cpu", 2), ("CPU s, file servers", "servers_cpu", 2),
           ("first byte, ms", "first_byte_ms", 2))
WANTED_MB_PER_S, WANTED_RATIO = 100, 50


def rounds_of(results):
    """Each round's figures by contestant; what no loop can beat, by that round's path, counts as one more."""
    for found in results["rounds"]:
        bound = {"mb_per_s": CHUNK_SIZE / found["path"]["rtt_p50_us"]} if "path" in found else None
        yield found | ({"bound": bound} if bound else {})


def values(results, name, metric):
    return [found[name][metric] for found in rounds_of(results) if metric in found.get(name, {})]


def ratios(results, name):
    """Within each round: our rate at 1 ms, divided by another's."""
    return [found["delayed"]["mb_per_s"] / found[name]["mb_per_s"] for found in rounds_of(results)
            if "delayed" in found and name in found]


def spread(found, digits):
    return report.spread(found, digits) if found else "–"


def downloads_table(results):
    yield "| 1 GiB, one client | " + " | ".join(head for head, _, _ in COLUMNS) + " | rounds |"
    yield "|---|" + "---|" * (len(COLUMNS) + 1)
    for name, title in TITLES.items():
        if count := len(values(results, name, "mb_per_s")):
            cells = [spread(values(results, name, metric), digits) for _, metric, digits in COLUMNS]
            yield "| " + " | ".join([title, *cells, str(count)]) + " |"


def targets_table(results):
    rates = values(results, "loopback", "mb_per_s")
    rows = (("1 GiB from three servers, loopback", rates, "MB/s", WANTED_MB_PER_S),
            ("1 ms: ours ÷ the report's loop, of the same round", ratios(results, "report_loop"), "×", WANTED_RATIO),
            (f"1 ms: ours ÷ {CHUNK_SIZE} bytes per round trip of the path", ratios(results, "bound"), "×", None))
    yield "| | reached | wanted | |"
    yield "|---|---|---|---|"
    for what, found, unit, wanted in rows:
        if found:
            met = wanted and statistics.median(found) >= wanted
            verdict = f"≥ {wanted} {unit} | {'met' if met else '**not met**'}" if wanted else "– | –"
            yield f"| {what} | {spread(found, 0)} {unit} | {verdict} |"


def path_lines(results):
    """Whether the delay is what it says, and whether the relay was in the way."""
    if trips := values(results, "path", "rtt_p50_us"):
        slow, carried = values(results, "path", "rtt_p99_us"), values(results, "path", "mb_per_s")
        yield (f"The path with its delay relay: a round trip takes {spread(trips, 0)} µs at the median and "
               f"{spread(slow, 0)} µs at p99; alone it carries {spread(carried, 0)} MB/s from a server to the gateway.")
    if relays := values(results, "delayed", "relay"):
        late = [relay["late_p99_us"] for relay in relays]
        used = values(results, "delayed", "relay_cpu")
        took = [results["size"] / 1e6 / rate for rate in values(results, "delayed", "mb_per_s")]
        share = [100 * cpu / seconds for cpu, seconds in zip(used, took)]
        real_time = "at real-time priority" if all(relay["real_time"] for relay in relays) else "at normal priority"
        yield (f"During our downloads the relay ({real_time}) used {spread(share, 0)} % of a core, sent datagrams "
               f"{spread(late, 0)} µs late at p99 and lost {sum(relay['lost'] for relay in relays)}.")
    if waits := values(results, "report_loop", "chunk_us"):
        yield f"A chunk of the report's loop took {spread(waits, 0)} µs."


def machine_line(results):
    about = results["machine"]
    kind = "virtual machine, " if about["virtual"] else ""
    return (f"{results['when']}. {kind}{about['cores']} cores ({about['cpu']}), {about['memory_gib']} GiB, Linux "
            f"{about['kernel']} ({about['congestion']}); Farol {about['farol']}, nginx {about['nginx']}, curl "
            f"{about['curl']}. {results['autogroup']}. Load average before the run: {about['load_before']:.2f}.")


def markdown(results):
    lines = [machine_line(results), *(f"**{warning}**" for warning in results["warnings"])]
    if results["failures"]:
        lines += ["", "Measurements that failed, and are missing from the medians:", "",
                  *(f"- {failure}" for failure in results["failures"])]
    lines += ["", *downloads_table(results), "", *targets_table(results), "", *path_lines(results), ""]
    if results["verified"]:
        where = " and ".join(results["verified"])
        lines += [f"SHA-256 of the whole file verified before the rounds: {where}.", ""]
    return "\n".join(lines)
