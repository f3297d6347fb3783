"""The chaos test on the engine of threads, as long as a suite may take; longer by hand (run.py)."""

import unittest

from chaos import Chaos

SEED, SECONDS = 1, 50


class Threads(unittest.TestCase):
    engine = "threads"

    def test_what_was_promised_holds(self):
        self.assertEqual(Chaos(self.engine, SEED, SECONDS, ("reloaded", "replaced")).run(), [])


if __name__ == "__main__":
    unittest.main()
