"""The chaos test on the reactors, as long as a suite may take; longer by hand (run.py)."""

import unittest

from chaos import Chaos

SEED, SECONDS = 2, 50


class Events(unittest.TestCase):
    engine = "events"

    def test_what_was_promised_holds(self):
        self.assertEqual(Chaos(self.engine, SEED, SECONDS, ("reloaded", "replaced")).run(), [])


if __name__ == "__main__":
    unittest.main()
