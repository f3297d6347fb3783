#!/usr/bin/env python3
"""The chaos test by hand, as long as you like.

    test/chaos/run.py [--engine threads|events|epoll] [--seconds N] [--seed N] [--reload] [--replace]

FAROL_BUILD=build/asan or build/tsan runs the programs with sanitizers. The seed is printed first; the same seed makes
the same schedule. --reload and --replace have the proxy read its configuration again (HUP) and be replaced by another
process (proxyctl upgrade) meanwhile. Exit 0: everything that was promised held.
"""

import argparse
import pathlib
import secrets
import sys

for helpers in ("integration", "topology"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / helpers))

from chaos import Chaos  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("threads", "events", "epoll"), default="threads")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--reload", dest="proxy", action="append_const", const="reloaded", default=[])
    parser.add_argument("--replace", dest="proxy", action="append_const", const="replaced")
    options = parser.parse_args()
    return 1 if Chaos(options.engine, options.seed, options.seconds, options.proxy).run() else 0


if __name__ == "__main__":
    sys.exit(main())
