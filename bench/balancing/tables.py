"""What the runs say: medians over the seeds, ratios within a run, and the Markdown around them."""

import json
import math
import statistics

import rivals
import scenarios
from rivals import REFERENCE, RIVALS

OURS = "weighted-5s"         # the product's default
CANDIDATES = ("weighted-5s", "weighted")
OUTSIDERS = [rival.name for rival in RIVALS if rival.program != "farol"]
FAILS = .005                 # who fails this much more of its requests than another is not better than it


def load(directory):
    """{scenario: [run of each seed]} of everything measured and not disturbed."""
    found = {}
    for scenario in scenarios.BY_NAME.values():
        runs = [json.loads(path.read_text()) for path in sorted(directory.glob(f"{scenario.name}-[0-9]*.json"))
                if path.stem.removeprefix(scenario.name + "-").isdigit()]
        runs = [run for run in runs if not run["disturbed"]]
        if runs:
            found[scenario.name] = runs
    return found


def values(runs, rival, field="p99"):
    return [run["rivals"][rival][field] for run in runs if rival in run["rivals"]]


def middle(runs, rival, field="p99"):
    return statistics.median(values(runs, rival, field))


def failed(run, rival):
    one = run["rivals"][rival]
    return one["failed"] / max(1, one["requests"])


def ratio(runs, rival, other=REFERENCE):
    return statistics.median(a / b for a, b in zip(values(runs, rival), values(runs, other)))


def best_outsider(runs):
    """The one with the lowest p99 among those that do not fail more than the most reliable."""
    fails = {name: statistics.median(failed(run, name) for run in runs) for name in OUTSIDERS}
    sound = [name for name in OUTSIDERS if fails[name] <= min(fails.values()) + FAILS]
    return min(sound, key=lambda name: middle(runs, name))


def geometric_mean(numbers):
    return math.exp(statistics.fmean(math.log(number) for number in numbers))


def measured(found):
    """The scenarios that means are taken over, in their order."""
    return [scenario for scenario in scenarios.SCENARIOS if scenario.name in found]


def share_of(run, rival, backend, window=(scenarios.WARM, scenarios.END)):
    """Of the sessions within the window, those that began at this back-end."""
    sessions = [one["sessions"] for one in run["rivals"][rival]["pool"]["backends"]]
    counts = [sum(one[window[0]:window[1]]) for one in sessions]
    return counts[backend] / max(1, sum(counts))


def latency_table(found):
    yield "| p99, ms | " + " | ".join(rival.title for rival in RIVALS) + " |"
    yield "|---|" + "--:|" * len(RIVALS)
    for scenario in measured(found):
        runs = found[scenario.name]
        medians = {rival.name: middle(runs, rival.name) for rival in RIVALS}
        best = min(medians.values())
        cells = []
        for rival in RIVALS:
            text = f"{medians[rival.name]:.0f}"
            text = f"**{text}**" if medians[rival.name] <= best * 1.02 else text
            lost = statistics.median(failed(run, rival.name) for run in runs)
            cells.append(text + (f" ({lost:.1%} failed)" if lost >= .0005 else ""))
        yield f"| {scenario.title} | " + " | ".join(cells) + " |"


def ratio_table(found):
    yield ("| | p99 ÷ HAProxy leastconn, geometric mean | worst p99 ÷ best outsider's | in | p50 ÷ HAProxy leastconn | "
           "p99.9 ÷ HAProxy leastconn |")
    yield "|---|--:|--:|---|--:|--:|"
    for rival in RIVALS:
        ratios, worst = [], (0, "")
        others = {"p50": [], "p999": []}
        for scenario in measured(found):
            runs = found[scenario.name]
            ratios.append(ratio(runs, rival.name))
            worst = max(worst, (ratio(runs, rival.name, best_outsider(runs)), scenario.title))
            for field, list_ in others.items():
                list_.append(middle(runs, rival.name, field) / middle(runs, REFERENCE, field))
        yield (f"| {rival.title} | {geometric_mean(ratios):.2f} | {worst[0]:.2f} | {worst[1]} | "
               f"{geometric_mean(others['p50']):.2f} | {geometric_mean(others['p999']):.2f} |")


def weaknesses(found):
    """Where the default is more than 5 % behind the best outsider."""
    yield "| scenario | Farol weighted, 5 s | Farol weighted, 1 s | best outsider | ratio, 5 s | ratio, 1 s |"
    yield "|---|--:|--:|---|--:|--:|"
    for scenario in measured(found):
        runs = found[scenario.name]
        best = best_outsider(runs)
        both = [ratio(runs, name, best) for name in CANDIDATES]
        if max(both) > 1.05:
            yield (f"| {scenario.title} | {middle(runs, OURS):.0f} | {middle(runs, 'weighted'):.0f} | "
                   f"{rivals.BY_NAME[best].title}: {middle(runs, best):.0f} | {both[0]:.2f} | {both[1]:.2f} |")


def batch_excesses(run, rival):
    """Of each burst after the warm-up, the largest share that a back-end got, by its fair share."""
    pool = run["rivals"][rival]["pool"]["backends"]
    for second in range(scenarios.WARM, scenarios.END):
        got = [one["sessions"][second] if second < len(one["sessions"]) else 0 for one in pool]
        if sum(got) >= scenarios.BATCH.batch // 2:
            yield max(got) * len(pool) / sum(got)


def batch_table(found):
    runs = found.get(scenarios.BATCH.name)
    if not runs:
        return
    yield "| 200 sessions within 50 ms, 8 equal back-ends | largest share ÷ fair share, median burst | worst burst |"
    yield "|---|--:|--:|"
    for rival in RIVALS:
        excess = [one for run in runs for one in batch_excesses(run, rival.name)]
        yield f"| {rival.title} | {statistics.median(excess):.2f} | {max(excess):.2f} |"


def liar_table(found):
    pairs = [(name, honest) for name, honest in scenarios.HONEST.items() if name in found and honest in found]
    if pairs:
        yield "| | share ÷ fair share of the one that lies | p99 ÷ that of the honest run |"
        yield "|---|--:|--:|"
        for name, honest in pairs:
            for rival in RIVALS:
                if rival.agent_check or rival.program == "farol":
                    gain, cost = liar(found, name, honest, rival.name)
                    yield f"| {scenarios.BY_NAME[name].title}: {rival.title} | {gain:.2f} | {cost:.2f} |"
    if "sink" in found:
        yield ""
        yield "| one accepts and closes at once | its share of the sessions then | requests that failed, of all |"
        yield "|---|--:|--:|"
        for rival in RIVALS:
            runs = found["sink"]
            share = statistics.median(share_of(run, rival.name, 0, scenarios.FAULT) for run in runs)
            yield f"| {rival.title} | {share:.2%} | {statistics.median(failed(run, rival.name) for run in runs):.2%} |"


def liar(found, name, honest, rival):
    size = scenarios.BY_NAME[name].size
    gain = statistics.median(share_of(run, rival, 0) for run in found[name]) * size
    return gain, middle(found[name], rival) / middle(found[honest], rival)


def verdicts(found):
    """(what must be shown, by whom, what came out, met?)"""
    for name in CANDIDATES:
        title = rivals.BY_NAME[name].title
        mean = geometric_mean(ratio(found[s.name], name) for s in measured(found))
        yield "geometric mean of p99 ÷ HAProxy leastconn ≤ 0.85", title, f"{mean:.2f}", mean <= .85
        worst = max((ratio(found[s.name], name, best_outsider(found[s.name])), s.title) for s in measured(found))
        yield "never more than 1.5 × the best outsider", title, f"{worst[0]:.2f} ({worst[1]})", worst[0] <= 1.5
        gains = [(ratio(found[s], "haproxy-rr-agent", name), scenarios.BY_NAME[s].title)
                 for s in scenarios.UNEQUAL if s in found]
        enough = sum(gain >= 5 for gain, _ in gains)
        yield ("p99 at most 1/5 of HAProxy roundrobin + agent-check where speeds are unequal or a neighbour is noisy", title,
               f"in {enough} of {len(gains)}; 1/{min(gains)[0]:.1f} at the least ({min(gains)[1]})", enough == len(gains))
        if scenarios.BATCH.name in found:
            excess = max(one for run in found[scenarios.BATCH.name] for one in batch_excesses(run, name))
            yield "no burst gives anyone more than 1.3 × its fair share", title, f"{excess:.2f} × at the most", excess <= 1.3
        for lie, honest in scenarios.HONEST.items():
            if lie in found and honest in found:
                gain, cost = liar(found, lie, honest, name)
                size = scenarios.BY_NAME[lie].size
                yield (f"a low liar of {size} gains at most 2 ×", title, f"{gain:.2f} ×", gain <= 2)
                yield (f"… and costs the pool at most 1.2 × in p99", title, f"{cost:.2f} ×", cost <= 1.2)
        if "sink" in found:
            share = statistics.median(share_of(run, name, 0, scenarios.FAULT) for run in found["sink"])
            yield "who accepts and fails attracts no traffic", title, f"{share:.1%} of it", share <= 1 / 8
        if found.get("test-2"):
            counts = found["test-2"][name]
            yield "the report's Test 2: ten of ten to the honest one", title, f"{min(counts)} of 10", min(counts) == 10


RUNS = 5  # of each scenario, before a verdict is one


def complete(found):
    return all(len(found.get(scenario.name, ())) >= RUNS for scenario in scenarios.SCENARIOS)


def targets_table(found):
    so_far = "" if complete(found) else " so far"
    yield "| must show | who | measured | |"
    yield "|---|---|---|---|"
    for what, who, came, met in verdicts(found):
        yield f"| {what} | {who} | {came} | {'met' if met else '**not met**'}{so_far} |"


def emulation_table(found):
    if "burn" in found:
        yield "| ms | emulated: mean | p50 | p90 | p99 | burning: mean | p50 | p90 | p99 |"
        yield "|---|" + "--:|" * 8
        for name in found["burn"]["backends"]:
            cells = [f"{found['burn'][tool][name][field]:.0f}" for tool in ("backends", "burner")
                     for field in ("mean", "p50", "p90", "p99")]
            yield f"| {rivals.BY_NAME[name].title} | " + " | ".join(cells) + " |"


def apparatus(found):
    runs = [run for scenario in scenarios.BY_NAME.values() if scenario != scenarios.BATCH
            for run in found.get(scenario.name, ())]
    busy = sorted(run["machine_busy"] for run in runs)
    late = sorted(run["late_p99_us"] for run in runs)
    own = sorted(sum(one["cpu_seconds"] for one in run["rivals"].values()) / (scenarios.END + 3) for run in runs)
    fewest = min(len(found[scenario.name]) for scenario in measured(found))
    yield (f"{len(runs)} runs of {len(measured(found))} of {len(scenarios.SCENARIOS)} scenarios, {fewest} or more of each "
           f"scenario. All proxies and agents together used {statistics.median(own):.2f} cores; the machine was "
           f"{statistics.median(busy):.0%} busy in the median run. The latest generator or pool of a run was late by "
           f"{statistics.median(late) / 1000:.1f} ms at its p99 in the median run and by {late[-1] / 1000:.1f} ms in the "
           f"worst: part of every latency here.")


SECTIONS = {"targets": targets_table, "latency": latency_table, "ratios": ratio_table, "behind": weaknesses,
            "batch": batch_table, "lies": liar_table, "apparatus": apparatus,
            "emulation": emulation_table}


def put(path, sections):
    """Replaces what stands between `<!-- NAME -->` and `<!-- end of NAME -->` in the document, for each section that has
    something to say: what was not measured this time keeps what is there."""
    text = path.read_text(encoding="utf-8")
    for name, lines in sections.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if any(lines) and begin in text and end in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}" + rest.split(end, 1)[1]
    path.write_text(text, encoding="utf-8")
