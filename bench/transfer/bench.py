#!/usr/bin/env python3
"""Measures downloads through HttpGw from three FastFileSrv, and the report's own loop beside them.

    bench/transfer/bench.py                 every figure, 5 rounds each; wants a machine that does nothing else
    bench/transfer/bench.py --rounds 1 loopback

Figures: loopback (1 GiB, no delay), servers (the same from 1, 2, 3), delay (1 ms round trip, beside the report's loop),
small (1 KiB files, requests per second).
"""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "test/integration"), str(ROOT / "bench/transfer")]
sys.dont_write_bytecode = True

import report_loop  # noqa: E402
from gateway_harness import FileServer, Gateway  # noqa: E402
from harness import free_udp_port, wait_until  # noqa: E402

GIB = 1 << 30
RELAY = ROOT / "build/bench/delay_relay"


def build_relay():
    RELAY.parent.mkdir(parents=True, exist_ok=True)
    objects = [*sorted((ROOT / "build/obj/common").glob("*.o")), *sorted((ROOT / "build/obj/transfer").glob("*.o"))]
    source = ROOT / "bench/transfer/delay_relay.cpp"
    subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
                    "-Werror", f"-I{ROOT / 'include'}", source, *objects, "-lfmt", "-lcrypto", "-pthread", "-o", RELAY],
                   check=True)


def cpu_seconds(process):
    words = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Pool:
    """A gateway with servers of one directory, perhaps behind the delay relay."""

    def __init__(self, stack, root, servers=3, delay_us=None):
        self.gateway = Gateway()
        stack.callback(self.gateway.kill)
        wait_until(self.gateway.answers, 10, "the gateway")
        meeting = self.gateway
        if delay_us is not None:
            port = free_udp_port()
            relay = subprocess.Popen([RELAY, str(port), str(self.gateway.port), str(delay_us)])
            stack.callback(relay.kill)
            meeting = argparse.Namespace(address="127.0.0.1", port=port)
        self.servers = [FileServer(meeting, root, f"srv{i}") for i in range(servers)]
        for server in self.servers:
            stack.callback(server.kill)
        self.gateway.wait_for_servers(*(server.server_name for server in self.servers))

    def download(self, name, size):
        """(MB/s, CPU seconds per GB of gateway and servers)"""
        processes = [self.gateway, *self.servers]
        before = sum(map(cpu_seconds, processes))
        run = subprocess.run(["curl", "-s", "--fail", "-o", "/dev/null", "-w", "%{size_download} %{time_total}",
                              self.gateway.url(name)], capture_output=True, text=True, timeout=120)
        got, seconds = run.stdout.split()
        if run.returncode != 0 or int(got) != size:
            raise SystemExit(f"curl ended with {run.returncode} after {got} bytes:\n{self.gateway.output()[-2000:]}")
        return size / float(seconds) / 1e6, (sum(map(cpu_seconds, processes)) - before) / (size / 1e9)


def show(what, values, unit):
    print(f"{what:44} {statistics.median(values):8.1f} {unit}   ({min(values):.1f} to {max(values):.1f}, {len(values)} rounds)",
          flush=True)
    return statistics.median(values)


def measure(pool, what, name, size, rounds):
    pool.download(name, size)  # warm: page cache, hashes, rates
    found = [pool.download(name, size) for _ in range(rounds)]
    rate = show(what, [mbps for mbps, _ in found], "MB/s")
    show("  CPU of gateway and servers", [cpu for _, cpu in found], "s/GB")
    return rate


def loopback(root, rounds):
    with contextlib.ExitStack() as stack:
        measure(Pool(stack, root), "1 GiB from three servers, loopback", "gib", GIB, rounds)


def servers(root, rounds):
    for count in (1, 2):
        with contextlib.ExitStack() as stack:
            measure(Pool(stack, root, count), f"1 GiB from {count} server{'s' * (count > 1)}", "gib", GIB, rounds)


def delay(root, rounds):
    with contextlib.ExitStack() as stack:
        ours = measure(Pool(stack, root, 3, 500), "1 GiB from three servers, 1 ms round trip", "gib", GIB, rounds)
    with contextlib.ExitStack() as stack:
        port, front = free_udp_port(), free_udp_port()
        relay = subprocess.Popen([RELAY, str(front), str(port), "500"])
        stack.callback(relay.kill)
        for _ in range(3):
            server = subprocess.Popen([sys.executable, ROOT / "bench/transfer/report_loop.py", "server", str(front), root])
            stack.callback(server.kill)
        sock, known = report_loop.gateway(port, 3)
        rates = []
        for _ in range(rounds):
            body, seconds = report_loop.fetch(sock, known, "gib", 4)
            rates.append(len(body) / seconds / 1e6)
        theirs = show("the report's loop, 1 ms round trip", rates, "MB/s")
    print(f"ours is {ours / theirs:.0f} times as fast", flush=True)


def small(root, rounds):
    with contextlib.ExitStack() as stack:
        pool = Pool(stack, root)
        rates = []
        for _ in range(rounds):
            run = subprocess.run(["wrk", "-t1", "-c16", "-d3", pool.gateway.url("kib")], capture_output=True, text=True)
            if "Non-2xx" in run.stdout:
                raise SystemExit(run.stdout)
            rates.append(float(run.stdout.split("Requests/sec:")[1].split()[0]))
        show("1 KiB files, keep-alive, 16 connections", rates, "requests/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = {function.__name__: function for function in (loopback, servers, delay, small)}
    parser.add_argument("figure", nargs="*", choices=[*figures, []], help="which (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    build_relay()
    with tempfile.TemporaryDirectory(prefix="farol-bench-") as root:
        with open(os.path.join(root, "gib"), "wb") as file:
            block = random.Random(1).randbytes(1 << 20)
            for _ in range(GIB >> 20):
                file.write(block)
        pathlib.Path(root, "kib").write_bytes(block[:1024])
        time.sleep(0.2)  # until the files count as settled
        for name in arguments.figure or figures:
            figures[name](root, arguments.rounds)


if __name__ == "__main__":
    main()
