"""What the chaos test itself calls right and wrong, without a network."""

import unittest

from clients import Transfer
from faults import KINDS, MOST_BROKEN, USER_TIMEOUT, Fault, schedule
from machines import IDLE_TIMEOUT
from verdict import MARGIN, RECOVERY, States, Verdicts, recoveries

ADDRESSES = {"10.1.1.3:9000": "v1", "10.1.1.4:9000": "v2"}


def fault(kind, began=10, ended=15, machine="v1"):
    return Fault(machine, kind, began, ended, began, began + 0.1, ended)


class Judging(unittest.TestCase):
    def verdict(self, *faults, outcome="cut short", began=9, ended=11, progress=9, backend="10.1.1.3:9000", pace=0):
        log = ['level=info msg="connection" client=10.4.4.20:4000 backend=10.1.1.4:9000',  # an older one of that port
               f'level=info msg="connection" client=10.4.4.20:4000 backend={backend} score=1']
        transfer = Transfer(1, 2, 3, 4, pace=pace, port=4000, began=began, ended=ended, progress=progress,
                            outcome=outcome, first_line=1)
        return Verdicts(faults, ADDRESSES, log).verdict(transfer)

    def test_wrong_bytes_have_no_excuse(self):
        self.assertIn("FAILED", self.verdict(fault("killed"), outcome="wrong"))

    def test_who_was_killed_excuses_what_it_had(self):
        self.assertIn("excused", self.verdict(fault("killed")))

    def test_not_what_another_had(self):
        self.assertIn("FAILED", self.verdict(fault("killed", machine="v2")))
        self.assertIn("FAILED", self.verdict(fault("killed"), backend="<NOSRV>"))
        self.assertIn("FAILED", self.verdict())

    def test_not_what_came_before_or_later(self):
        self.assertIn("FAILED", self.verdict(fault("killed"), began=10.5, ended=12))
        self.assertIn("FAILED", self.verdict(fault("killed"), began=16, ended=17))
        self.assertIn("FAILED", self.verdict(fault("killed"), began=5, ended=9.5))

    def test_the_promised_time(self):
        late = 10 + USER_TIMEOUT + MARGIN + 0.1
        self.assertIn("excused", self.verdict(fault("service black-holed"), ended=late - 0.2))
        self.assertIn("in time", self.verdict(fault("service black-holed"), ended=late))
        self.assertIn("excused", self.verdict(fault("service black-holed"), ended=late, progress=10.5))

    def test_a_short_frost_harms_nobody_and_a_long_one_whoever_comes(self):
        self.assertIn("FAILED", self.verdict(fault("frozen", 10, 10 + IDLE_TIMEOUT - 0.1)))
        short = fault("frozen", 10, 10 + IDLE_TIMEOUT - 0.3)
        self.assertIn("FAILED", self.verdict(short, pace=80))
        self.assertIn("then frozen", self.verdict(short, pace=400, ended=16.2))
        self.assertIn("already frozen", self.verdict(fault("frozen", 10, 19), began=11, ended=18))

    def test_agents_excuse_nothing(self):
        for kind, what in KINDS.items():
            if what.track == "agent":
                self.assertIn("FAILED", self.verdict(fault(kind)))


class Recovering(unittest.TestCase):
    def recover(self, *changes, end=40):
        states = States()
        for at, state in changes:
            states.see("v1", state, at)
        return recoveries(states, [fault("killed", 10, 15)], ["v1"], end)

    def test_up_again(self):
        self.assertEqual(self.recover((0, "up"), (11, "down"), (18, "up")), ([3], []))

    def test_too_late_or_never(self):
        late = 15 + RECOVERY + 1
        for changes in ([(0, "up"), (11, "down")], [(0, "up"), (11, "down"), (late, "up")]):
            took, wrong = self.recover(*changes, end=late + 5)
            self.assertEqual((took, len(wrong)), ([], 1))

    def test_flapping(self):
        changes = [(0, "up"), (11, "down"), (18, "up"), (33, "ejected"), (34, "up")]
        self.assertEqual(len(self.recover(*changes, end=50)[1]), 1)

    def test_the_next_fault_came_too_soon_to_tell(self):
        self.assertEqual(self.recover((0, "up"), (11, "down"), end=20), ([], []))


class Planning(unittest.TestCase):
    def test_a_seed_is_a_schedule(self):
        def plan(seed):
            return [str(fault) for fault in schedule(seed, 60, ["v1", "v2", "v3", "v4"], "lossy")]
        self.assertEqual(plan(7), plan(7))
        self.assertNotEqual(plan(7), plan(8))

    def test_never_are_more_broken_than_may_be(self):
        for seed in range(50):
            faults = [f for f in schedule(seed, 100, ["v1", "v2", "v3", "v4"], "lossy") if KINDS[f.kind].breaks]
            most = max(sum(f.at <= one.at <= f.until for f in faults) for one in faults)
            self.assertLessEqual(most, MOST_BROKEN)

    def test_one_fault_of_a_track_at_a_time(self):
        for seed in range(50):
            free = {}
            for f in schedule(seed, 100, ["v1", "v2", "v3", "v4"], "lossy"):
                place = f.machine, KINDS[f.kind].track
                self.assertGreaterEqual(f.at, free.get(place, 0))
                free[place] = f.until


if __name__ == "__main__":
    unittest.main()
