#!/usr/bin/env python3
"""Measures downloads through HttpGw from three FastFileSrv: beside nginx, and at 1 ms beside the report's loop.

    bench/transfer/run.py                            9 rounds, some ten minutes; wants a machine that does nothing else
    bench/transfer/run.py --quick                    2 rounds, too short to rely on
    bench/transfer/run.py --out docs/BENCHMARKS.md   also puts the tables there, between the marks of "Transfers"
    bench/transfer/run.py --from build/bench/transfers.json    tables of an earlier run, nothing measured

Builds what it needs. Raw numbers go to build/bench/transfers.json. See docs/BENCHMARKS.md.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "relay")]
sys.dont_write_bytecode = True

import downloads  # noqa: E402
import machine  # noqa: E402
import report  # noqa: E402
import tables  # noqa: E402

RESULTS = ROOT / "build/bench/transfers.json"
MARKS = "<!-- transfers -->", "<!-- end of transfers -->"
PROGRAMS = ("HttpGw", "FastFileSrv", "bench/delay_relay", "bench/path_probe")
QUIET_LOAD = .5


class Bench:
    """What every measurement needs to know, and what has been found."""

    def __init__(self, arguments, scratch):
        self.scratch, self.files = scratch, scratch / "files"
        self.count = arguments.rounds or (2 if arguments.quick else 9)
        self.loop_seconds, self.probe_seconds = (1, .5) if arguments.quick else (5, 1)
        self.rounds, self.verified, self.failures = [], [], []
        self.files.mkdir()
        self.digest = make_file(self.files / downloads.NAME)

    def verify(self):
        for delayed, words in ((False, "on loopback"), (True, "at 1 ms")):
            if self.attempt(f"SHA-256 {words}", lambda delayed=delayed: downloads.verify(self, delayed) or True):
                self.verified.append(words)

    def measure(self):
        names = downloads.installed()
        for number in range(self.count):
            order = names[number % len(names):] + names[:number % len(names)]
            if number % 2:
                order.reverse()
            found = {name: self.attempt(f"round {number + 1}: {name}", lambda name=name:
                                        downloads.CONTESTANTS[name](self)) for name in order}
            self.rounds.append({name: figures for name, figures in found.items() if figures})

    def attempt(self, what, work):
        """What `work` returns; a failure is told, noted and leaves a gap."""
        try:
            found = work()
        except (machine.BenchError, subprocess.TimeoutExpired, OSError, ValueError, IndexError) as error:
            self.failures.append(f"{what}: {error}")
            print(f"FAILED {self.failures[-1]}", file=sys.stderr, flush=True)
            return None
        rate = f"{found['mb_per_s']:.1f} MB/s" if isinstance(found, dict) else "as it should be"
        print(f"{what}: {rate}", file=sys.stderr, flush=True)
        return found


def make_file(path):
    """A gibibyte in which no block is like another, written to the disk so that nothing is left to do; its SHA-256."""
    source, digest = random.Random(1), hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(downloads.GIB >> 20):
            block = source.randbytes(1 << 20)
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def measure_all(arguments):
    load, warnings = os.getloadavg()[0], []
    if load > QUIET_LOAD:
        warnings.append(f"The machine was not quiet (load average {load:.2f} before the run): do not rely on this.")
    if arguments.quick:
        warnings.append("A quick run: too short to rely on.")
    subprocess.run(["make", "-s", f"-j{os.cpu_count()}", *(f"build/{program}" for program in PROGRAMS)], cwd=ROOT,
                   check=True, stdout=sys.stderr)
    if not shutil.which("nginx"):
        print("run.py: nginx is not installed: measured without it", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="farol-bench-") as scratch, machine.no_autogroup() as autogroup:
        bench = Bench(arguments, pathlib.Path(scratch))
        bench.verify()
        bench.measure()
    about = machine.describe(ROOT / "build/HttpGw") | {"load_before": load}
    return {"when": time.strftime("%Y-%m-%d"), "machine": about, "autogroup": autogroup, "warnings": warnings,
            "size": downloads.GIB, "rounds": bench.rounds, "verified": bench.verified, "failures": bench.failures}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, f"run.py: {message} (see --help)\n")


def parse_arguments():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds: does it work, roughly where do we stand")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often (default 9, with --quick 2)")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="also put the tables into FILE")
    parser.add_argument("--from", dest="source", type=pathlib.Path, metavar="JSON", help="measure nothing")
    arguments = parser.parse_args()
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    if arguments.out and arguments.out.exists() and not all(mark in arguments.out.read_text() for mark in MARKS):
        parser.error(f"--out: {arguments.out} has no {MARKS[0]} … {MARKS[1]} to put the tables between")
    return arguments


def results_of(arguments):
    if arguments.source:
        return json.loads(arguments.source.read_text())
    if not shutil.which("curl"):
        raise machine.BenchError("curl is not installed (scripts/setup)")
    results = measure_all(arguments)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return results


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    try:
        results = results_of(arguments)
    except (machine.BenchError, subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    text = tables.markdown(results)
    print(text)
    if arguments.out:
        report.put(arguments.out, text, *MARKS)
    return 1 if results["failures"] else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
