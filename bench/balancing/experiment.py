"""One scenario with one seed: all rivals at the same time, each with its own emulated pool, its own load and the same
schedule (but for bursts, which come to one after another). They do not disturb each other because next to nothing here
costs CPU, and the result says whether that held."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

import rivals as rival_list
import scenarios
from machine import BenchError, Process
from scenarios import END, WARM

TOOLS = rival_list.ROOT / "build/bench"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk would make the pools late
SETTLE = 1.5     # seconds between the start of a proxy and the load


class Contest:
    """One rival with its pool, its agents, its proxies and its load."""

    def __init__(self, scenario, rival, place, directory, tool="backends"):
        self.scenario, self.rival, self.directory, self.tool = scenario, rival, directory, tool
        self.pool = rival_list.Pool([(f"127.0.0.{10 + i}", 20000 + 100 * place + i) for i in range(scenario.size)],
                                    [(f"127.0.0.{10 + i}", 22000 + 100 * place + i) for i in range(scenario.size)])
        self.ports = [24000 + 10 * place + i for i in range(scenario.proxies)]
        self.processes, self.backends, self.load, self.timers = [], None, None, []

    def report_file(self, backend):
        return self.directory / f"{self.rival.name}-{backend}.report"

    def write_pool(self):
        scenario, with_agents = self.scenario, self.rival.program == "farol"
        lines = [f"window {self.rival.interval.removesuffix('s') or 1}"]
        for i, ((address, service), (_, check)) in enumerate(zip(self.pool.services, self.pool.checks)):
            values = [scenario.of(scenario.cores, i), scenario.of(scenario.speeds, i), scenario.shows,
                      scenario.of(scenario.waits, i), int(i not in scenario.late)]
            report = self.report_file(i) if with_agents else "-"
            lines.append(f"backend {address}:{service} {address}:{check} {report} " + " ".join(map(str, values)))
        lines += [" ".join(map(str, ["at", *action])) for action in sorted(scenario.actions)]
        path = self.directory / f"{self.rival.name}.pool"
        path.write_text("\n".join(lines) + "\n")
        return path

    def start(self, command):
        with open(self.directory / f"{self.rival.name}.out", "ab") as output:
            self.processes.append(Process(command, stdout=output, stderr=output))
        return self.processes[-1]

    def start_pool(self):
        self.backends = subprocess.Popen([TOOLS / self.tool, self.write_pool()], text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        if self.backends.stdout.readline() != "ready\n":
            raise BenchError(f"the pool of {self.rival.name} does not start")

    def start_proxies(self):
        for i, port in enumerate(self.ports):
            self.start(rival_list.command(self.rival, self.pool, port, self.directory, f"{self.rival.name}-{i}"))

    def start_agents(self):
        if self.rival.program == "farol":
            for i in range(self.scenario.size):
                if i not in self.scenario.late:
                    self.start_agent(i)

    def start_agent(self, backend):
        address, service = self.pool.services[backend]
        self.start([rival_list.AGENT, 1, *(f"127.0.0.1:{port}" for port in self.ports), "--bind", f"{address}:0",
                    "--service-port", service, "--report-from", self.report_file(backend), "--log-level", "warn"])

    def start_load(self, start, seed):
        self.backends.stdin.write(f"start {start}\n")
        self.backends.stdin.flush()
        scenario = self.scenario
        flags = {"rate": scenario.sessions_per_second(), "arrivals": scenario.arrivals, "batch": scenario.batch,
                 "work": scenario.work, "work-mean": scenario.work_mean, "wait-mean": scenario.wait_mean,
                 "long-share": scenario.long_share, "seed": seed, "start": start, "seconds": END, "warm": WARM}
        targets = [word for port in self.ports for word in ("--target", f"127.0.0.1:{port}")]
        self.load = subprocess.Popen([TOOLS / "load", *targets, *(f"--{name}={value}" for name, value in flags.items())],
                                     text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.rival.program == "farol":
            for action in scenario.actions:
                if action.what == "up" and action.backend in scenario.late:
                    self.timers.append(threading.Timer(start + action.at - time.monotonic(), self.start_agent,
                                                       [action.backend]))
                    self.timers[-1].start()

    def result(self):
        found = json.loads(self.load.communicate(timeout=END + 30)[0])
        cpu = sum(process.cpu_seconds() for process in self.processes if process.alive())
        dead = [process.command[0] for process in self.processes if not process.alive()]
        if dead:
            said = (self.directory / f"{self.rival.name}.out").read_text(errors="replace")
            raise BenchError(f"{self.rival.name}: {dead[0]} ended early: {said[-300:]}")
        self.backends.stdin.close()
        return found | {"pool": json.loads(self.backends.stdout.read()), "cpu_seconds": cpu}

    def stop(self):
        for timer in self.timers:
            timer.cancel()
        for process in reversed(self.processes):
            process.stop()
        for child in (self.load, self.backends):
            if child and child.poll() is None:
                child.kill()
                child.wait()


def cpu_times():
    """(busy, all) in ticks, of the whole machine."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


@contextlib.contextmanager
def probe_loss(share):
    """Each datagram on this (own) network is lost with this probability."""
    if not share:
        yield
        return
    rules = f"""table inet farol_bench {{
        chain lose {{
            type filter hook input priority 0
            meta l4proto udp numgen random mod 1000 < {round(share * 1000)} drop
        }}
    }}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "farol_bench"], check=True)


def run(scenario, seed, names, settle=SETTLE, tool="backends"):
    """{rival: what its load and its pool saw} and how quiet the machine was."""
    with tempfile.TemporaryDirectory(prefix="farol-balancing-", dir=MEMORY) as scratch, probe_loss(scenario.probe_loss):
        contests = [Contest(scenario, rival_list.BY_NAME[name], place, pathlib.Path(scratch), tool)
                    for place, name in enumerate(names)]
        try:
            for step in ("start_pool", "start_proxies"):
                for contest in contests:
                    getattr(contest, step)()
            time.sleep(.5)  # the first reports are written
            for contest in contests:
                contest.start_agents()
            before = cpu_times()
            start = time.monotonic() + settle
            for place, contest in enumerate(contests):
                contest.start_load(start + scenario.stagger * place, seed)
            found = {contest.rival.name: contest.result() for contest in contests}
            after = cpu_times()
        finally:
            for contest in contests:
                contest.stop()
    late, latest = max((max(one["late_p99_us"], one["pool"]["late_p99_us"]), name) for name, one in found.items())
    busy = (after[0] - before[0]) / (after[1] - before[1])
    return {"rivals": found, "late_p99_us": late, "latest": latest, "machine_busy": busy,
            "disturbed": late > scenario.may_be_late * 1e6, "scheduler": os.sched_getscheduler(0)}


def test_2(name, requests=10):
    """The report's Test 2: two idle back-ends, one of which says 100 % and 100 connections; who answers ten requests that
    come one after another. How many the other one answers."""
    scenario = scenarios.Scenario("test-2", "Test 2", 0, size=2, actions=(scenarios.Action(0, 1, "lie", "full"),))
    with tempfile.TemporaryDirectory(prefix="farol-balancing-", dir=MEMORY) as scratch:
        contest = Contest(scenario, rival_list.BY_NAME[name], 0, pathlib.Path(scratch))
        try:
            contest.start_pool()
            contest.backends.stdin.write(f"start {time.monotonic()}\n")
            contest.backends.stdin.flush()
            contest.start_proxies()
            time.sleep(.5)
            contest.start_agents()
            time.sleep(SETTLE)
            answers = [ask(contest.ports[0]) for _ in range(requests)]
        finally:
            contest.stop()
    return answers.count(0)


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"5000 0 0\n")
        return int(client.makefile().readline())
