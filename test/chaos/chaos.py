"""The worst night: a real proxy, six real back-ends with their agents and many clients in a network of their own, and a
seeded schedule of faults. One back-end stays well, one only loses a fifth of its probes, four suffer everything."""

import collections
import contextlib
import functools
import itertools
import pathlib
import random
import re
import tempfile
import threading
import time

from clients import Clients
from faults import Tracks, schedule
from harness import SANITIZED, SLOW, wait_until
from machines import IDLE_TIMEOUT, PORT, BackEnd, ProxyMachine
from network import Network
from verdict import MOST_STALE, RECOVERY, States, Verdicts, recoveries

LAN = {"proxy": "10", "router": "254", "well": "1", "lossy": "2", "v1": "3", "v2": "4", "v3": "5", "v4": "6"}
MACHINES = tuple(LAN)[2:]
VICTIMS = MACHINES[2:]
POLICIES = ("weighted", "least-connections", "round-robin", "source-hash")
WARM_UP = 4
MOST_SHOWN = 30
# What a proxy keeps for later: 32 pipes of two descriptors; 64 threads per listener, each with a partner; and of memory
# what the allocator does not give back of the most that was in use at once (it has an arena for each thread).
KEPT_DESCRIPTORS, KEPT_THREADS, KEPT_MEMORY = 64, 128, 16 * 1024


say = functools.partial(print, flush=True)


class Chaos:
    """One run: `problems` is empty in the end, or something is wrong."""

    def __init__(self, engine, seed, seconds, proxy=()):
        self.engine, self.seed, self.seconds = engine, seed, seconds
        self.faults = schedule(seed, seconds, VICTIMS, "lossy", proxy)
        self.policy = random.Random(f"policy {seed}").choice(POLICIES)
        self.states, self.problems, self.machines, self.transfers = States(), [], {}, []
        self.proxy, self.numbers = None, itertools.count(1)
        self.open = contextlib.ExitStack()

    def run(self):
        say(f"chaos: engine {self.engine}, seed {self.seed}, {self.seconds} s, policy {self.policy}")
        with self.open:
            try:
                self.build()
                self.warm_up()
                self.suffer()
                self.calm_down()
            except (AssertionError, OSError, ValueError) as error:  # such as a proxy that is gone
                output = self.proxy.process.output()[-2000:] if self.proxy else "no proxy"
                self.problems.append(f"the run ended early: {error!r}\n{output}")
        if self.problems:
            say("The schedule:", *self.faults, "What is wrong:", *self.problems[:MOST_SHOWN], sep="\n  ")
        return self.problems

    def build(self):
        self.network = Network(LAN)
        self.open.callback(self.network.close)
        lies = pathlib.Path(self.open.enter_context(tempfile.TemporaryDirectory(prefix="farol-chaos-")))
        lies.chmod(0o755)  # the proxy becomes another user
        self.proxy = ProxyMachine(self.network, lies / "proxy.toml", "--engine", self.engine, "--policy", self.policy)
        self.open.callback(self.proxy.kill)
        for name in MACHINES:
            machine = self.machines[name] = BackEnd(self.network, name, lies)
            self.open.callback(machine.end)
        self.addresses = {machine.at: name for name, machine in self.machines.items()}
        wait_until(lambda: set(self.look().values()) == {"up"}, 10 * SLOW, "all back-ends up")

    def clients(self, seed):
        return Clients(seed, lambda: self.network.inside("client"), (self.network.v4["proxy"], PORT), self.transfers,
                       self.numbers, lambda: len(self.proxy.lines))

    def look(self):
        """The state of each machine."""
        rows = {row["address"]: row["state"] for row in self.proxy.status()["backends"]}
        now = time.monotonic()
        states = {name: rows.get(machine.at) for name, machine in self.machines.items()}
        for name, state in states.items():
            self.states.see(name, state, now)
        return states

    def warm_up(self):
        """Traffic without faults: then what the proxy keeps for later is there, and its measure can be taken."""
        clients = self.clients(f"warm {self.seed}")
        time.sleep(WARM_UP)
        clients.stop()
        self.before = self.holdings()

    def suffer(self):
        clients = self.clients(self.seed)
        self.start = time.monotonic()
        tracks = Tracks(self.faults, {**self.machines, "proxy": self.proxy})
        over = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(over,))
        watcher.start()
        tracks.join()
        with contextlib.suppress(AssertionError):  # recoveries() says it better
            wait_until(lambda: set(self.look().values()) == {"up"}, RECOVERY + 1, "all back-ends up again")
        over.set()
        watcher.join()
        self.end = time.monotonic()
        clients.stop()
        self.problems += tracks.failures

    def watch(self, over):
        while not over.wait(0.1):
            try:
                self.look()
            except (OSError, ValueError) as error:
                if not any(repr(error) in problem for problem in self.problems):
                    self.problems.append(f"no status at {time.monotonic() - self.start:.1f} s: {error!r}")

    def holdings(self):
        """What the proxy holds once no connection is left."""
        wait_until(lambda: self.proxy.status()["connections"]["active"] == 0, 2 * IDLE_TIMEOUT * SLOW, "the last end")
        return self.proxy.holdings()

    def calm_down(self):
        self.check_holdings()
        self.check_transfers()
        self.check_requests()
        self.check_recoveries()
        self.check_lossy()
        trouble, output = self.proxy.stop(), self.proxy.process.output()
        if trouble or (SANITIZED and "Sanitizer" in output):
            said = [line for line in output.splitlines() if not line.startswith("level=info")]
            self.problems.append("\n".join([trouble or "a sanitizer complains", *said[-200:]]))

    def check_holdings(self):
        after = self.holdings()
        for what, old, new, kept in zip(("descriptors", "threads", "KiB of memory"), self.before, after,
                                        (KEPT_DESCRIPTORS, KEPT_THREADS, KEPT_MEMORY)):
            say(f"{what}: {old} before, {new} after")
            if new > old + kept and not (SANITIZED and "memory" in what):  # which is theirs, and never given back
                self.problems.append(f"{new} {what} after the run, {old} before")

    def check_transfers(self):
        verdicts = Verdicts(self.faults, self.addresses, self.proxy.lines)
        for transfer in self.transfers:
            verdicts.judge(transfer)
        for verdict, count in sorted(verdicts.counts.items()):
            say(f"{count:7} {verdict}")
        retried = sum(int(found[1]) > 0 for line in self.proxy.lines if (found := re.search(r"retries=(\d+)", line)))
        megabytes = sum(transfer.got for transfer in self.transfers) / 1e6
        say(f"{retried:7} were retried; {megabytes:.0f} MB down, {len(self.faults)} faults")
        self.problems += verdicts.wrong

    def check_requests(self):
        """By what the servers wrote down: each request came once, to one of them, and no byte was another."""
        lines = [line for machine in self.machines.values() for process in machine.processes for line in process.lines]
        served = collections.Counter(line for line in lines if line.startswith("request "))
        self.problems += [line for line in lines if line.startswith(("WRONG", "Traceback"))]
        self.problems += [f"{request} came {count} times" for request, count in served.items() if count > 1]

    def check_recoveries(self):
        took, wrong = recoveries(self.states, self.faults, VICTIMS, self.end)
        self.problems += wrong
        say(f"{len(took)} recoveries, the longest {max(took, default=0):.1f} s")

    def check_lossy(self):
        """Neither who lost a fifth of its probes nor who was well was ever ejected or down; the log tells of each."""
        for name in ("well", "lossy"):
            at = self.machines[name].at
            self.problems += [f"{name}: {line}" for line in self.proxy.lines if at in line and (
                "connect failed" in line or "to=down" in line)]
        stale = self.states.spells("lossy", "stale")
        say(f"with a fifth of the probes lost: stale {stale} times")
        if stale > MOST_STALE:
            self.problems.append(f"the one that loses probes was stale {stale} times")
