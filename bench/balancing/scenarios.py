"""What the pool and its clients go through: each scenario is the same for every rival, to the moment and the request."""

from typing import NamedTuple

WARM, END = 8, 32  # seconds: requests due before the first do not count, none is due after the second
FAULT = (12, 24)   # when the one back-end of a fault scenario misbehaves
SPEEDS = (1, .5, 1.5, 1)
CORES = (4, 2, 8, 2)
WORK = .1          # mean CPU seconds of a request


class Action(NamedTuple):
    """`what` happens to a back-end, `at` seconds after the start (pool_file.hpp knows the words)."""
    at: float
    backend: int
    what: str
    value: object = ""


class Scenario(NamedTuple):
    name: str
    title: str
    load: float                     # offered work / what the pool can do
    size: int = 8
    cores: tuple = (4,)             # repeated over the pool, as speeds and waits are
    speeds: tuple = (1,)
    waits: tuple = (1,)
    shows: float = 1                # share of the busy time that the agents see as CPU
    actions: tuple = ()
    absent: float = 0               # mean capacity that the actions take away, in back-ends' cores × speed
    work: str = "exponential"
    work_mean: float = WORK
    wait_mean: float = 0
    arrivals: str = "poisson"
    batch: int = 0
    long_share: float = 0           # of the sessions: they live 10 s and ask every 2 s
    proxies: int = 1
    probe_loss: float = 0           # share of the datagrams, each way
    late: tuple = ()                # back-ends that are not there at the start
    stagger: float = 0              # seconds by which each rival starts after the one before
    may_be_late: float = .005       # seconds, a generator or a pool at its p99; more disturbs: 5 % of a request's work

    def of(self, values, backend):
        return values[backend % len(values)]

    def capacity(self):
        return sum(self.of(self.cores, i) * self.of(self.speeds, i) for i in range(self.size)) - self.absent

    def sessions_per_second(self):
        requests = 1 + self.long_share * 10 / 2
        return self.load * self.capacity() / (self.work_mean * requests)


def during(fault, before, backend=0, window=FAULT):
    """The back-end has these properties in the window and those outside it."""
    return (*(Action(window[0], backend, *pair) for pair in fault.items()),
            *(Action(window[1], backend, *pair) for pair in before.items()))


def neighbours():
    """80 % of the cores of two of eight back-ends are always taken, by steps of 6 s from one pair to the other."""
    for at in range(0, END, 6):
        noisy, quiet = ((1, 5), (3, 7)) if at % 12 == 0 else ((3, 7), (1, 5))
        yield from (Action(at, backend, "stolen", 3.2) for backend in noisy)
        if at:
            yield from (Action(at, backend, "stolen", 0) for backend in quiet)


SCENARIOS = (
    Scenario("equal-30", "equal, low load", .3),
    Scenario("equal-70", "equal", .7),
    Scenario("equal-90", "equal, high load", .9),
    Scenario("speeds-50", "unequal speeds, low load", .5, speeds=SPEEDS),
    Scenario("speeds-70", "unequal speeds", .7, speeds=SPEEDS),
    Scenario("speeds-90", "unequal speeds, high load", .9, speeds=SPEEDS),
    Scenario("cores", "unequal numbers of cores", .75, cores=CORES),
    Scenario("sixteen", "16 back-ends of unequal speeds", .75, size=16, cores=(2,), speeds=SPEEDS),
    Scenario("single-core", "4 back-ends with one core", .7, size=4, cores=(1,), work_mean=.025),
    Scenario("neighbour", "noisy neighbours, by steps", .7, actions=tuple(neighbours()), absent=6.4),
    Scenario("foreign", "half of two back-ends used past the proxy", .7, absent=4,
             actions=tuple(Action(0, i, "foreign", 2) for i in (0, 4))),
    Scenario("slow", "one turns slow, its CPU idle", .65,
             actions=during({"speed": .1, "shows": .1}, {"speed": 1, "shows": 1})),
    Scenario("slow-busy", "one turns slow, its CPU busy", .65, actions=during({"speed": .1}, {"speed": 1})),
    Scenario("dying", "one dies and comes back", .7, actions=during({"down": ""}, {"up": ""})),
    Scenario("joining", "one joins", .7, late=(0,), actions=(Action(FAULT[0], 0, "up"),)),
    Scenario("sink", "one accepts and closes at once", .7, actions=during({"sink": 1}, {"sink": 0})),
    Scenario("low-liar", "an agent always says 0 %", .7, actions=(Action(0, 0, "lie", "idle"),)),
    Scenario("low-liar-4", "an agent always says 0 %, 4 back-ends", .7, size=4, actions=(Action(0, 0, "lie", "idle"),)),
    Scenario("high-liar", "an agent always says 100 %", .7, actions=(Action(0, 0, "lie", "full"),)),
    Scenario("two-proxies", "two proxies, unequal speeds", .75, speeds=SPEEDS, proxies=2),
    Scenario("probe-loss", "5 % probe loss each way, unequal speeds", .7, speeds=SPEEDS, probe_loss=.05),
    Scenario("disk", "I/O-bound: busy without CPU, unequal speeds", .7, speeds=SPEEDS, shows=.1),
    Scenario("waiting", "I/O-bound: waits, some twice as long", .1, waits=(1, 2, .67, 1), work_mean=.01, wait_mean=.1),
    Scenario("bursty", "bursts of 2.5 times the rate, unequal speeds", .5, speeds=SPEEDS, arrivals="burst"),
    Scenario("heavy-tail", "Pareto work, unequal speeds", .6, speeds=SPEEDS, work="pareto"),
    Scenario("long-lived", "20 % long-lived connections, unequal speeds", .65, speeds=SPEEDS, long_share=.2),
)
# Every 5 s 200 sessions within 50 ms, far less than a probe interval and less than any of them takes: who gets how many?
# The rivals' bursts do not meet: 2000 connections at once would be late, whoever balances them. One that is late by its
# own length is still one: it comes the more at once, between two probes and before its first request is done.
BATCH = Scenario("batch", "200 sessions within 50 ms", 0, arrivals="batch", batch=200, work="fixed", work_mean=.05,
                 stagger=.5, may_be_late=.05)
# Small enough to burn on two real cores beside everything else.
BURN = Scenario("burn", "two back-ends, one half as fast", .5, size=2, cores=(1,), speeds=(1, .5), work_mean=.04)
# An honest run for each liar, and the scenarios in which back-ends differ, as agents should know.
HONEST = {"low-liar": "equal-70", "low-liar-4": "equal-70-4"}
UNEQUAL = tuple(one.name for one in SCENARIOS if len({*one.speeds}) > 1 or len({*one.cores}) > 1 or one.name == "neighbour")
EXTRA = (Scenario("equal-70-4", "4 equal back-ends", .7, size=4), BATCH)
BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, *EXTRA)}
