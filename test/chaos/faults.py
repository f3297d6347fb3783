"""What happens to machines: the kinds of faults, and when each happens."""

import dataclasses
import random
import signal
import threading
import time

from machines import IDLE_TIMEOUT, SERVICE_PORT, USER_TIMEOUT, BackEnd, ProxyMachine

MOST_BROKEN = 3  # at once, of four: the connection attempts that a client has may all meet one of them
LIFTED = 0.5  # a fault has been lifted so long after it should, at the latest
UNREACHABLE = "reject with icmp port-unreachable"
LOST = "udp dport 5555 numgen random mod 5 == 0 drop"  # of five probes one is not heard


@dataclasses.dataclass(frozen=True)
class Kind:
    track: str  # a machine has one fault of each track at a time
    apply: callable
    lift: callable = None  # None: it is over at once
    breaks: float = None  # within how many seconds sessions with such a back-end end; None where none may be harmed
    harmless: float = 0  # if it lasts less than that, it must harm none either
    accepts: bool = False  # new connections: the proxy cannot know what awaits them


def service(rule):
    """What the service gets meets that rule; where it is merely dropped, what it says is dropped as well."""
    back = f"tcp sport {SERVICE_PORT}" if rule == "drop" else None
    return (lambda b: b.filter("service", rule, to=f"tcp dport {SERVICE_PORT}", back=back),
            lambda b: b.network.unfilter(b.name, "service"))


def kill_agent(backend):
    backend.agent.kill()


def lie(report):
    def apply(backend):
        file = backend.lies / backend.name
        file.write_text(report + "\n")
        backend.agent.kill()
        backend.start_agent("--report-from", file)
    return apply


def honest(backend):
    backend.agent.kill()
    backend.start_agent()


GONE = USER_TIMEOUT  # a peer that no longer answers
STUCK = 2 * IDLE_TIMEOUT  # one that acknowledges and does no more; see Link::silent
KINDS = {
    "killed": Kind("service", lambda b: b.server.kill(), BackEnd.start_server, breaks=1),
    "restarted": Kind("service", lambda b: (b.server.kill(), b.start_server()), breaks=1),
    "frozen": Kind("service", lambda b: b.server.send(signal.SIGSTOP), lambda b: b.server.send(signal.SIGCONT),
                   breaks=STUCK, harmless=IDLE_TIMEOUT, accepts=True),
    "service black-holed": Kind("service", *service("drop"), breaks=GONE),
    "service resets": Kind("service", *service("reject with tcp reset"), breaks=GONE),
    "service unreachable": Kind("service", *service(UNREACHABLE), breaks=GONE),
    "machine black-holed": Kind("service", lambda b: b.network.black_hole(b.name),
                                lambda b: b.network.unfilter(b.name, "hole"), breaks=GONE),
    "agent killed": Kind("agent", kill_agent, BackEnd.start_agent),
    "agent left": Kind("agent", lambda b: b.agent.stop(), BackEnd.start_agent),
    "agent frozen": Kind("agent", lambda b: b.agent.send(signal.SIGSTOP), lambda b: b.agent.send(signal.SIGCONT)),
    "agent says idle": Kind("agent", lie("cpu=0,mem=0,tcp=0"), honest),
    "agent says full": Kind("agent", lie("cpu=100,mem=100,tcp=60000"), honest),
    "probes lost": Kind("agent", lambda b: b.network.filter(b.name, "probes", {"input": LOST}),
                        lambda b: b.network.unfilter(b.name, "probes")),
    "reloaded": Kind("proxy", ProxyMachine.reload),
    "replaced": Kind("proxy", ProxyMachine.replace),
}


@dataclasses.dataclass
class Fault:
    """Planned from `at` to `until` after the start. It began after `began`, held from `applied` on, and was over at
    `ended`."""

    machine: str
    kind: str
    at: float
    until: float
    began: float = float("inf")
    applied: float = float("inf")
    ended: float = float("inf")

    def __str__(self):
        return f"{self.at:7.2f} s to {self.until:7.2f} s  {self.machine}: {self.kind}"


def schedule(seed, seconds, victims, lossy, proxy=()):
    """All faults of a run, in order. `lossy` only ever loses probes; who is not named stays well. `proxy`: what happens
    to the proxy meanwhile."""
    rng = random.Random(seed)
    faults = [Fault(lossy, "probes lost", 0, seconds)]
    faults += track(rng, "service", seconds, victims, longest=9)
    faults += track(rng, "agent", seconds, victims, longest=9)
    faults += track(rng, "proxy", seconds, ["proxy"], longest=1, only=proxy) if proxy else []
    return sorted(faults, key=lambda fault: fault.at)


def track(rng, name, seconds, machines, longest, only=None):
    kinds = only or [kind for kind in KINDS if KINDS[kind].track == name]
    free = {machine: rng.uniform(0, 3) for machine in machines}  # when it may be its turn again
    lasting = []  # when those end that last
    faults = []
    while True:
        machine = min(free, key=free.get)
        at = free[machine]
        lasting = sorted(end for end in lasting if end > at)
        if len(lasting) >= MOST_BROKEN:
            free[machine] = lasting[0]
            continue
        until = at + rng.choice((rng.uniform(0.3, 2), rng.uniform(2, longest)))
        if until > seconds:
            return faults
        faults.append(Fault(machine, rng.choice(kinds), at, until))
        lasting.append(until + LIFTED)
        free[machine] = until + LIFTED + rng.choice((rng.uniform(0, 3), rng.uniform(3, 8), rng.uniform(8, 16)))


class Tracks:
    """Carries out the schedule, a thread for each machine and track."""

    def __init__(self, faults, machines):
        self.machines, self.failures = machines, []
        self.start = time.monotonic()
        lists = {}
        for fault in faults:
            lists.setdefault((fault.machine, KINDS[fault.kind].track), []).append(fault)
        self.threads = [threading.Thread(target=self.run, args=(own,), daemon=True) for own in lists.values()]
        for thread in self.threads:
            thread.start()

    def run(self, faults):
        try:
            for fault in faults:
                kind, backend = KINDS[fault.kind], self.machines[fault.machine]
                self.wait(fault.at)
                fault.began = time.monotonic()
                kind.apply(backend)
                fault.applied = time.monotonic()
                if kind.lift:
                    self.wait(fault.until)
                    kind.lift(backend)
                fault.ended = time.monotonic()
        except Exception as error:  # the run fails with it
            self.failures.append(f"{fault}: {error!r}")

    def wait(self, at):
        time.sleep(max(0, self.start + at - time.monotonic()))

    def join(self):
        for thread in self.threads:
            thread.join()
