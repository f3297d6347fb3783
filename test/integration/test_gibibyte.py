"""A gibibyte from three file servers, whole and fast. For a machine that does nothing else."""

import hashlib
import subprocess
import time
import unittest

from gateway_harness import CHUNK, GatewayTest, sha256
from harness import real_program_only

BIG = 1 << 30
WANTED_MB_PER_S = 100


@real_program_only("a gibibyte")
class Gibibyte(GatewayTest):
    def test_one_gibibyte(self):
        self.pool()
        with open(self.root / "big", "wb") as file:
            for part in range(BIG >> 20):
                file.write(hashlib.shake_128(part.to_bytes(2, "big")).digest(1 << 20))  # no two chunks alike
        expected, best = sha256(self.root / "big"), 0
        for _ in range(3):  # others on this machine can only make it look slower
            best = max(best, self.download(expected))
            if best >= WANTED_MB_PER_S:
                break
        print(f"[{best:.0f} MB/s with SHA-256] ", end="", flush=True)
        self.assertGreaterEqual(best, WANTED_MB_PER_S)
        for row in self.gw.servers().values():
            self.assertGreater(row["chunks"]["received"], BIG // CHUNK // 20, "all three take part")

    def download(self, expected):
        """In MB/s."""
        started = time.monotonic()
        curl = subprocess.Popen(["curl", "-sS", "--fail", self.gw.url("big")], stdout=subprocess.PIPE)
        digest = subprocess.run(["sha256sum"], stdin=curl.stdout, capture_output=True, text=True, timeout=150).stdout
        curl.stdout.close()
        self.assertEqual(curl.wait(10), 0)
        took = time.monotonic() - started
        self.assertEqual(digest.split()[0], expected)
        return BIG / took / 1e6


if __name__ == "__main__":
    unittest.main()
