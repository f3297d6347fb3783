#!/usr/bin/env python3
"""Runs unittest files and ends with one line a script can read: "N passed, N failed, N skipped".

    test/run_suite.py FILE...        exit 0: something ran and nothing failed
"""

import importlib.util
import pathlib
import sys
import time
import unittest


class Result(unittest.TextTestResult):
    """Counts successes itself: unittest's own total leaves out what fails in setUpClass."""

    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started_at = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        if self.showAll:
            self.stream.write(f"({time.monotonic() - self.started_at:.1f} s) ")
        super().addSuccess(test)


def load(path):
    path = pathlib.Path(path).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def main():
    if len(sys.argv) < 2:
        sys.exit("run_suite.py: which test files?")
    for helpers in ("integration", "topology"):
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / helpers))
    suite = unittest.TestSuite(load(path) for path in sys.argv[1:])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped) + len(result.expectedFailures)
    print(f"{result.passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(0 if failed == 0 and result.passed + skipped > 0 else 1)


if __name__ == "__main__":
    main()
