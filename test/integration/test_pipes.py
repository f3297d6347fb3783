"""Streams when the kernel has no pipes, or small ones, or refuses to splice: they are copied, and nobody notices."""

import contextlib
import fcntl
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import threading
import unittest

from harness import SANITIZED, SLOW, Process, TestCase, wait_until

SIZE = (2 if SANITIZED else 8) << 20
USER = 60_000 + os.getpid() % 5_000  # nobody else's: the kernel counts pipes by user
PAGES = pathlib.Path("/proc/sys/fs/pipe-user-pages-soft")
ENGINES = ("threads", "events", "epoll")

# Takes all the pages that its user may have in pipes but for sys.argv[1], and keeps them until its end.
HOLDER = """
import fcntl, os, sys, time
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
def pipe(pages):
    ends = os.pipe()
    if pages != 16:
        fcntl.fcntl(ends[1], F_SETPIPE_SZ, pages * 4096)
    return ends
held, spare, pages = [], int(sys.argv[1]), int(open("/proc/sys/fs/pipe-user-pages-soft").read())
while pages >= 256 + 256:
    held.append(pipe(256))
    pages -= 256
while pages - 16 >= spare:
    held.append(pipe(16))
    pages -= 16
print("holding", flush=True)
time.sleep(600)
"""


def as_user():
    return ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


def receive_all(connection):
    blocks = []
    while block := connection.recv(1 << 18):
        blocks.append(block)
    return b"".join(blocks)


class Echo:
    """Takes all that a client sends until it closes its half, and then sends it back."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.sendall(receive_all(connection))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Streams(TestCase):
    def setUp(self):
        self.echo = Echo()
        self.addCleanup(self.echo.close)
        self.file = random.Random(1).randbytes(SIZE)

    def start(self, engine, prefix):
        proxy = self.proxy("--engine", engine, backends=[self.echo.at], prefix=prefix)
        proxy.wait_state(self.echo.at, "up", "stale")
        return proxy

    def check_stream(self, proxy):
        with socket.create_connection((proxy.host, proxy.port), timeout=20 * SLOW) as client:
            sender = threading.Thread(target=lambda: (client.sendall(self.file), client.shutdown(socket.SHUT_WR)))
            sender.start()
            heard = receive_all(client)
            sender.join()
        self.assertTrue(heard == self.file, f"{len(heard)} bytes came back of {SIZE}")
        return True


class Refused(Streams):
    """strace makes the calls fail as the kernel would."""

    def setUp(self):
        super().setUp()
        probe = ("strace", "-f", "-o", "/dev/null", "-e", "inject=splice:error=EINVAL", "true")
        if not shutil.which("strace") or subprocess.run(probe, capture_output=True).returncode != 0:
            self.skipTest("no strace that may trace and inject")

    def check_all(self, *faults):
        for engine in ENGINES:
            for fault in faults:
                with self.subTest(engine=engine, fault=fault):
                    proxy = self.start(engine, ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=splice,pipe2",
                                                "-e", f"inject={fault}"))
                    self.check_stream(proxy)
                    proxy.kill()

    @unittest.skipIf(SANITIZED, "tracing a sanitized program takes too long")
    def test_no_pipe(self):
        self.check_all("pipe2:error=EMFILE", "pipe2:error=ENFILE")

    @unittest.skipIf(SANITIZED, "tracing a sanitized program takes too long")
    def test_no_splice(self):
        self.check_all("splice:error=EINVAL", "splice:error=EPERM", "splice:error=ENOSYS")

    @unittest.skipIf(SANITIZED, "tracing a sanitized program takes too long")
    def test_no_splice_in_mid_stream(self):
        """The fourth call of a thread mostly moves bytes out of a pipe, the fifth into one."""
        self.check_all("splice:error=ENOMEM:when=4+", "splice:error=ENOMEM:when=5+", "splice:error=EINVAL:when=4..5")


class Budget(Streams):
    """A user without privileges whose pipes shrink, /proc/sys/fs/pipe-user-pages-soft."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("wants to be root, to become a user of its own")
        if int(PAGES.read_text()) < 1024:
            self.skipTest(f"{PAGES} is {PAGES.read_text().strip()}")

    def hold(self, spare_pages):
        holder = self.started(Process(sys.executable, "-c", HOLDER, spare_pages, prefix=as_user()))
        holder.wait_for("holding")
        return holder

    def pipe_sizes(self, proxy):
        """Of the pipes that the proxy has opened."""
        ours, sizes = os.readlink(f"/proc/{proxy.pid}/fd/1"), []
        for fd in pathlib.Path(f"/proc/{proxy.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if (name := os.readlink(fd)).startswith("pipe:") and name != ours:
                    end = os.open(fd, os.O_RDONLY | os.O_NONBLOCK)
                    sizes.append(fcntl.fcntl(end, 1032))  # F_GETPIPE_SZ
                    os.close(end)
        return set(sizes)

    def test_smaller_pipes_are_used(self):
        for engine in ENGINES:
            with self.subTest(engine=engine):
                holder = self.hold(96)  # enough for a pipe of 256 KiB and one of 64
                proxy = self.start(engine, as_user())
                self.check_stream(proxy)
                sizes = self.pipe_sizes(proxy)
                self.assertIn(1 << 18, sizes)
                self.assertLessEqual(sizes, {1 << 16, 1 << 18})
                proxy.kill()
                holder.kill()

    def test_pipes_of_a_page_are_not(self):
        for engine in ENGINES:
            with self.subTest(engine=engine):
                holder = self.hold(0)
                proxy = self.start(engine, as_user())
                self.check_stream(proxy)
                self.assertEqual(self.pipe_sizes(proxy), set())
                holder.kill()
                wait_until(lambda: self.check_stream(proxy) and self.pipe_sizes(proxy) == {1 << 20}, 10 * SLOW,
                           "pipes of full size")
                proxy.kill()


if __name__ == "__main__":
    unittest.main()
