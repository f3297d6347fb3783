"""What has to hold after a run, as precise as it can be said."""

import collections
import re

from faults import KINDS
from harness import SLOW
from machines import PROBE_INTERVAL

RECOVERY = 2 * PROBE_INTERVAL + 10 * SLOW  # after a fault is lifted
MARGIN = 1 * SLOW  # of everything that has a promised time: engines look ten times a second, and two cores are busy
MOST_STALE = 1  # spells of the one that loses probes


class Verdicts:
    """On every transfer of a run. `addresses`: the machine behind each back-end's address."""

    def __init__(self, faults, addresses, log):
        self.faults, self.addresses, self.log = faults, addresses, log
        self.counts = collections.Counter()
        self.wrong = []  # what must not be

    def judge(self, transfer):
        verdict = self.verdict(transfer)
        self.counts[verdict] += 1
        if verdict.startswith("FAILED"):
            self.wrong.append(f"{verdict}: {transfer}; {self.line_of(transfer) or 'no line in the log'}")

    def verdict(self, transfer):
        """What is neither complete nor left is a failure, but for one exception, see excuses()."""
        if transfer.outcome in ("complete", "left"):
            return transfer.outcome
        if transfer.outcome == "wrong":
            return "FAILED, wrong bytes"
        line = self.line_of(transfer)
        machine = line and self.addresses.get(re.search(r"backend=(\S+)", line)[1])
        if not machine:
            return "FAILED, and no back-end was found for it"
        faults = [fault for fault in self.faults if fault.machine == machine and excuses(fault, transfer)]
        if not faults:
            return "FAILED, and nothing was wrong with its back-end"
        for fault in faults:
            since = max(fault.began, transfer.began, transfer.progress)
            if transfer.ended <= since + KINDS[fault.kind].breaks + MARGIN:
                when = "already" if fault.applied < transfer.began else "then"
                return f"excused, its back-end was {when} {fault.kind}"
        return "FAILED to end in time"

    def line_of(self, transfer):
        """What the proxy's log says of it: ports come back, so it is the first line that is not from before."""
        wanted = re.compile(rf'msg="?connection"? client=\S+:{transfer.port} ')
        return next((line for line in self.log[transfer.first_line:] if wanted.search(line)), None)


def excuses(fault, transfer):
    """Whether the fault may break that connection, if it was handed to that back-end: nothing is ever sent again to
    another once one has accepted. It does so if it came while the connection was there. Where it had come before, no
    connection could have been handed to that back-end at all, but to a frozen one: its kernel accepts for it, and it
    goes on with what it has when it thaws, so that it harms nobody unless the idle time-out comes first: the sender may
    just have begun its own pause when it froze."""
    kind = KINDS[fault.kind]
    silence = fault.ended - fault.began + transfer.pace / 1000
    if kind.breaks is None or silence < kind.harmless:
        return False
    came = fault.began <= transfer.ended and (transfer.began <= fault.applied or kind.accepts)
    return came and transfer.began <= fault.ended


class States:
    """What the watcher saw: for each machine the times at which its state changed, and to what."""

    def __init__(self):
        self.changes = collections.defaultdict(list)

    def see(self, machine, state, now):
        seen = self.changes[machine]
        if not seen or seen[-1][1] != state:
            seen.append((now, state))

    def while_well(self, machine, since, until):
        """The states of that span, the one that it began with first."""
        before = [change for change in self.changes[machine] if change[0] <= since][-1:]
        return before + [change for change in self.changes[machine] if since < change[0] < until]

    def spells(self, machine, *states):
        return sum(state in states for _, state in self.changes[machine])


def clear_spans(faults, machine, end):
    """When nothing was wrong with the machine, but had been."""
    own = sorted((fault for fault in faults if fault.machine == machine), key=lambda fault: fault.began)
    spans, busy_until = [], None
    for fault in own:
        if busy_until is not None and fault.began > busy_until:
            spans.append((busy_until, fault.began))
        busy_until = max(busy_until or 0, fault.ended)
    return spans + [(busy_until, end)] if own else []


def recoveries(states, faults, machines, end):
    """How long each recovery took, and what was wrong: a back-end is up within the promised time after its last fault
    was lifted, and then stays up. A span that ends sooner decides nothing."""
    took, wrong = [], []
    for machine in machines:
        for since, until in clear_spans(faults, machine, end):
            seen = states.while_well(machine, since, until)
            back = max(since, seen[-1][0])
            story = ", ".join(f"{state} at {at - since:+.1f} s" for at, state in seen)
            if seen[-1][1] == "up" and back <= since + RECOVERY:
                took.append(back - since)
            elif until - since > RECOVERY:
                wrong.append(f"{machine} was not up {RECOVERY} s after its fault, or not for good: {story}")
    return took, wrong
