#!/usr/bin/env python3
"""Which back-end gets the connection: Farol beside HAProxy and nginx, before pools of emulated back-ends.

    bench/balancing/run.py                      everything, 5 seeds: an hour; what is done is not done again
    bench/balancing/run.py --only slow          one scenario (repeatable)
    bench/balancing/run.py --budget 200         stops after 200 seconds; run it again to go on
    bench/balancing/run.py --check              do emulated back-ends behave like ones that burn CPU? 4 minutes, alone
    bench/balancing/run.py --report             measures nothing: the tables and drawings of what there is
    bench/balancing/run.py --out docs/BALANCING.md     also puts the tables there (and the drawings beside it)

Everything runs in a network of its own (a namespace), at real-time priority where that is permitted. Raw results go to
build/bench/balancing/; tables of bench/study that lie there as study-*.md are put into the document with the others.
See docs/BALANCING.md.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "relay")]
sys.dont_write_bytecode = True

import drawing  # noqa: E402
import experiment  # noqa: E402
import machine  # noqa: E402
import rivals  # noqa: E402
import scenarios  # noqa: E402
import tables  # noqa: E402

RESULTS = ROOT / "build/bench/balancing"
ATTEMPTS = 3  # of a run that the machine disturbed


def enter_own_network():
    """Starts this program again in a network namespace of its own, with nothing in it but loopback."""
    if os.environ.get("FAROL_BENCH_NETWORK"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.execvpe("unshare", ["unshare", *mapped, "--net", sys.executable, __file__, *sys.argv[1:]],
               os.environ | {"FAROL_BENCH_NETWORK": "own"})


def take_priority():
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))


def fingerprint(scenario):
    """What a result depends on: a run of another scenario or another proxy does not count."""
    text = repr((scenario, scenarios.WARM, scenarios.END, rivals.RIVALS, rivals.HAPROXY, rivals.NGINX)).encode()
    return hashlib.sha256(text + rivals.PROXY.read_bytes() + rivals.AGENT.read_bytes()).hexdigest()[:16]


def result_path(scenario, seed):
    return RESULTS / f"{scenario.name}-{seed}.json"


def known(scenario, seed):
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(result_path(scenario, seed).read_text())
        return found["fingerprint"] == fingerprint(scenario) and not found["disturbed"]
    return False


def measure(scenario, seed, names, deadline):
    for attempt in range(ATTEMPTS):
        if time.monotonic() + scenarios.END + 8 > deadline:
            return False
        found = experiment.run(scenario, seed, names)
        best = {name: one["p99"] for name, one in found["rivals"].items()}
        print(f"{scenario.name} seed {seed}: " + ", ".join(f"{name} {p99:.0f}" for name, p99 in best.items()) +
              f" ms; machine busy {found['machine_busy']:.0%}, late {found['late_p99_us']:.0f} µs "
              f"({found['latest']})", flush=True)
        if not found["disturbed"]:
            break
        print(f"{scenario.name} seed {seed}: disturbed, attempt {attempt + 1} of {ATTEMPTS}", flush=True)
    found["fingerprint"] = fingerprint(scenario)
    found["when"] = time.strftime("%Y-%m-%d")
    result_path(scenario, seed).write_text(json.dumps(found) + "\n")
    return True


def measure_all(arguments):
    RESULTS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + arguments.budget
    chosen = [scenarios.BY_NAME[name] for name in arguments.only or scenarios.BY_NAME]
    for seed in range(1, arguments.seeds + 1):
        for scenario in chosen:
            if not known(scenario, seed) and not measure(scenario, seed, arguments.rivals, deadline):
                print("out of time: run it again to go on", file=sys.stderr)
                return False
    return True


def measure_test_2():
    counts = {name: [experiment.test_2(name) for _ in range(5)] for name in tables.CANDIDATES}
    (RESULTS / "test-2.json").write_text(json.dumps(counts) + "\n")


def show(out):
    """Prints the tables, leaves the drawings with the results, and puts both into the document."""
    found = tables.load(RESULTS)
    if not found:
        raise machine.BenchError("nothing has been measured yet")
    for name in ("test-2", "burn"):
        with contextlib.suppress(OSError):
            found[name] = json.loads((RESULTS / f"{name}.json").read_text())
    sections = {name: list(make(found)) for name, make in tables.SECTIONS.items()}
    sections |= {path.stem: path.read_text().splitlines() for path in sorted(RESULTS.glob("study-*.md"))}
    for name, lines in sections.items():
        print(f"\n## {name}\n", *lines, sep="\n")
    drawings = {"balancing.svg": drawing.overview(found), "balancing-course.svg": drawing.course(found)}
    for name, text in drawings.items():
        (RESULTS / name).write_text(text)
        if out:
            (out.parent / name).write_text(text)
    if out:
        tables.put(out, sections)


def check_emulation(names):
    """The same two back-ends emulated and burning, and an emulated one alone against theory; printed and kept."""
    found = {}
    for tool in ("backends", "burner"):
        found[tool] = {}
        for name in names:  # one at a time: here the CPU is a limit
            one = experiment.run(scenarios.BURN, 1, [name], tool=tool)["rivals"][name]
            found[tool][name] = {field: one[field] for field in ("mean", "p50", "p90", "p99")}
            print(f"{tool} {name}: {found[tool][name]}", flush=True)
    (RESULTS / "burn.json").write_text(json.dumps(found) + "\n")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, f"run.py: {message} (see --help)\n")


def parse_arguments():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(scenarios.BY_NAME),
                        help="this scenario only: " + ", ".join(scenarios.BY_NAME))
    parser.add_argument("--rivals", type=lambda text: text.split(","), default=list(rivals.BY_NAME), metavar="A,B",
                        help="these only: " + ", ".join(rivals.BY_NAME))
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs of each scenario (default 5)")
    parser.add_argument("--budget", type=float, default=1e9, metavar="SECONDS", help="start no run that would end later")
    parser.add_argument("--check", action="store_true", help="compare emulated back-ends with ones that burn CPU")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="also write the tables to FILE")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    try:
        if not arguments.report:
            for tool in ("haproxy", "nginx", "unshare", "ip", "nft"):
                if not shutil.which(tool):
                    raise machine.BenchError(f"{tool} is not installed (scripts/setup test, scripts/setup bench)")
            enter_own_network()
            machine.raise_descriptor_limit()
            take_priority()
            if arguments.check:
                check_emulation(("weighted", "haproxy-lc", "haproxy-rr"))
            elif measure_all(arguments) and not arguments.only:
                measure_test_2()
        if not arguments.check:
            show(arguments.out)
    except (machine.BenchError, subprocess.CalledProcessError, OSError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
