"""Peers that vanish without a word: the path to them swallows every packet, as after a power cut or behind a firewall
that forgot them. Sessions with them end within --user-timeout, idle or with data in flight, on every engine.
"""

import contextlib
import os
import re
import select
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import SLOW, Process, TestCase, program, wait_until  # noqa: E402
from network import V4, Network  # noqa: E402

ENGINES = ("threads", "events", "epoll")
TIMEOUT = 2
MARGIN = 0.7 * SLOW  # the engines look ten times a second, and the kernel's timers are late by an eighth at the most
PROXY_PORT, SERVICE_PORT = 8000, 9000


class Session:
    """A client and the server's end of its connection through the proxy, with words exchanged."""

    def __init__(self, network, engine, listener):
        with network.inside("client"):
            self.client = socket.create_connection((V4["s3"], PROXY_PORT + ENGINES.index(engine)), timeout=10)
        self.server, _ = listener.accept()
        self.server.settimeout(10)
        self.engine = engine
        self.exchange()

    def exchange(self):
        self.client.sendall(b"hello")
        assert self.server.recv(5, socket.MSG_WAITALL) == b"hello"
        self.server.sendall(b"hi")
        assert self.client.recv(2, socket.MSG_WAITALL) == b"hi"

    def close(self):
        self.client.close()
        self.server.close()


class BlackHole(TestCase):
    """All engines and all kinds of sessions at once, for most of the time is waiting."""

    def setUp(self):
        self.network = Network()
        self.addCleanup(self.network.close)
        with self.network.inside("s1"):
            self.listener = socket.create_server((V4["s1"], SERVICE_PORT))
        self.addCleanup(self.listener.close)
        self.proxies = {engine: self.start_proxy(engine) for engine in ENGINES}
        self.take_checks()

    def start_proxy(self, engine):
        number = ENGINES.index(engine)
        proxy = self.started(Process(
            program("reverseProxy"), "--engine", engine, "--admin", "off", "--user-timeout", f"{TIMEOUT}s",
            "--listen", f"{V4['s3']}:{PROXY_PORT + number}", "--monitor-listen", f"{V4['s3']}:{5555 + number}",
            "--backend", f"{V4['s1']}:{SERVICE_PORT}", "--probe-interval", "60s", "--alive-interval", "61s",
            prefix=self.network.within("s3")))
        proxy.wait_for('msg="listening"')
        return proxy

    def take_checks(self):
        """Takes what the proxies connect for to see whether the service is there out of the queue."""
        self.listener.settimeout(10)
        for _ in ENGINES:
            self.listener.accept()[0].close()

    def sessions(self):
        """An idle one and one that will have something in flight, on each engine."""
        made = [Session(self.network, engine, self.listener) for engine in ENGINES for _ in range(2)]
        for session in made:
            self.addCleanup(session.close)
        return made[::2], made[1::2]

    def assert_ends(self, end, alive, vanished):
        """That end of a session is told within the time-out, and not before."""
        self.assertEqual(end.recv(1), b"")
        now = time.monotonic()
        self.assertLess(now - vanished, TIMEOUT + MARGIN)
        self.assertGreater(now - alive, TIMEOUT)

    def assert_cause(self, cause):
        for engine, proxy in self.proxies.items():
            def causes():
                return re.findall(r'msg="connection".* cause=(\S+)', proxy.output())
            wait_until(lambda: len(causes()) == 2, 5 * SLOW, "two sessions in the log")
            self.assertEqual(causes(), [cause, cause], engine)

    def test_a_server_vanishes(self):
        idle, busy = self.sessions()
        time.sleep(2.5 * TIMEOUT)
        alive = time.monotonic()
        for session in idle + busy:
            session.exchange()  # silence alone is no crime
        self.network.black_hole("s1")
        vanished = time.monotonic()
        for session in busy:
            session.client.sendall(b"into the void")
        for session in idle + busy:
            self.assert_ends(session.client, alive, vanished)
        self.assert_cause("sD")

    def test_a_client_vanishes(self):
        idle, busy = self.sessions()
        time.sleep(2.5 * TIMEOUT)
        alive = time.monotonic()
        for session in idle + busy:
            session.exchange()
        self.network.black_hole("client")
        vanished = time.monotonic()
        for session in busy:
            session.server.sendall(b"into the void")
        for session in idle + busy:
            self.assert_ends(session.server, alive, vanished)
        self.assert_cause("cD")

    def test_a_talker_to_a_server_that_vanished(self):
        """The client goes on talking, so the session is never idle; and it is new, so nobody was looked at before."""
        talkers, _ = self.sessions()
        self.network.black_hole("s1")
        vanished = time.monotonic()
        ended = {}
        while len(ended) < len(talkers) and time.monotonic() < vanished + 2 * TIMEOUT:
            left = {session.client: session.engine for session in talkers if session.engine not in ended}
            for client in select.select(left, [], [], 0.05)[0]:
                ended[left.pop(client)] = time.monotonic() - vanished
            for client in left:
                with contextlib.suppress(OSError):  # its end is seen next
                    client.sendall(b".")
        self.assertEqual(set(ended), set(ENGINES))
        self.assertLess(max(ended.values()), TIMEOUT + MARGIN, ended)


if __name__ == "__main__":
    unittest.main()
