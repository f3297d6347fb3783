"""The real program at its limits: the queue, the shares of back-ends and sources, what the process may have."""

import resource
import signal
import socket
import time
import unittest

from harness import SLOW, Process, TestCase, free_port, free_udp_port, has_listener, program, wait_until


class Limits(TestCase):
    engine = "threads"

    def proxy(self, *flags, **options):
        return super().proxy("--engine", self.engine, *flags, **options)

    def server(self):
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(10 * SLOW)
        self.addCleanup(server.close)
        return server, f"127.0.0.1:{server.getsockname()[1]}"

    def client(self, proxy, says=b"", source="127.0.0.1"):
        client = socket.create_connection((proxy.host, proxy.port), timeout=20 * SLOW, source_address=(source, 0))
        self.addCleanup(client.close)
        client.sendall(says)
        return client

    def served(self, server):
        """The back-end's end of the next connection on which a client says something, and what it says."""
        while True:  # the proxy's own checks connect too, and say nothing
            connection, _ = server.accept()
            connection.settimeout(10 * SLOW)
            if said := connection.recv(100):
                self.addCleanup(connection.close)
                return connection, said
            connection.close()

    def rejected(self, proxy, reason):
        return proxy.status()["connections"]["rejected"][reason]

    def wait_waiting(self, proxy, count):
        wait_until(lambda: proxy.status()["connections"]["waiting"] == count, 5 * SLOW, f"{count} clients waiting")

    def closed(self, client):
        """It is closed without a byte."""
        try:
            self.assertEqual(client.recv(1), b"")
        except ConnectionResetError:
            pass

    def test_a_client_that_comes_before_its_back_end_is_served(self):
        server, address = self.server()
        proxy = self.proxy("--queue-timeout", "60s")
        client = self.client(proxy, b"hello")
        self.wait_waiting(proxy, 1)
        self.agent(proxy, server.getsockname()[1])
        connection, said = self.served(server)
        self.assertEqual(said, b"hello")
        connection.sendall(b"welcome")
        self.assertEqual(client.recv(100), b"welcome")

    def test_a_full_back_end_serves_in_order(self):
        server, address = self.server()
        proxy = self.proxy("--queue-timeout", "60s", "--max-connections-per-backend", "1", backends=[address])
        proxy.wait_state(address, "up")
        clients = []
        for number in range(4):
            clients.append(self.client(proxy, str(number).encode()))
            if number == 0:
                connection, said = self.served(server)
                self.assertEqual(said, b"0")
            self.wait_waiting(proxy, number)
        row = proxy.backend(address)
        self.assertEqual((row["connections"]["active"], row["connections"]["max"]), (1, 1))
        for number in range(1, 4):
            connection.close()
            clients[number - 1].close()
            connection, said = self.served(server)
            self.assertEqual(said, str(number).encode())

    def test_the_wait_and_the_queue_have_an_end(self):
        proxy = self.proxy("--queue-timeout", "3s", "--max-queue", "2")
        came = time.monotonic()
        waiting = [self.client(proxy), self.client(proxy)]
        self.wait_waiting(proxy, 2)
        self.closed(self.client(proxy))
        self.assertEqual(self.rejected(proxy, "queue_full"), 1)
        for client in waiting:
            self.closed(client)
        self.assertGreater(time.monotonic() - came, 2.9)
        self.assertLess(time.monotonic() - came, 3 + 2 * SLOW)
        wait_until(lambda: self.rejected(proxy, "queue_timeout") == 2, 5 * SLOW, "both counted")
        proxy.wait_for("cause=sQ")
        proxy.wait_for("cause=PQ")

    def test_nobody_waits_with_a_queue_timeout_of_zero(self):
        proxy = self.proxy("--queue-timeout", "0")
        self.closed(self.client(proxy))
        wait_until(lambda: self.rejected(proxy, "no_backend") == 1, 5 * SLOW, "the refusal counted")

    def test_who_waits_is_served_while_the_proxy_drains(self):
        server, address = self.server()
        proxy = self.proxy("--queue-timeout", "60s", "--drain-timeout", "60s",
                           backends=[f"{address},max-connections=1"])
        proxy.wait_state(address, "up")
        first = self.client(proxy, b"first")
        one, _ = self.served(server)
        second = self.client(proxy, b"second")
        self.wait_waiting(proxy, 1)
        proxy.send(signal.SIGTERM)
        wait_until(lambda: not has_listener(proxy.port), 3 * SLOW, "the listener gone")
        one.close()
        first.close()
        two, said = self.served(server)
        self.assertEqual(said, b"second")
        two.sendall(b"served")
        two.close()
        self.assertEqual(second.recv(100), b"served")
        second.close()
        self.assertEqual(proxy.popen.wait(5 * SLOW), 0)

    def test_who_waits_does_not_outlive_the_drain(self):
        proxy = self.proxy("--queue-timeout", "60s", "--drain-timeout", "300ms")
        self.client(proxy)
        self.wait_waiting(proxy, 1)
        started = time.monotonic()
        self.assertEqual(proxy.stop(), 0)
        self.assertLess(time.monotonic() - started, 3 * SLOW)

    def test_one_source_gets_no_more_than_its_share(self):
        server, address = self.server()
        proxy = self.proxy("--max-connections-per-source", "3", backends=[address])
        proxy.wait_state(address, "up")
        pairs = []
        for _ in range(3):
            client = self.client(proxy, b"x")
            pairs.append((client, self.served(server)[0]))
        self.closed(self.client(proxy))
        self.assertEqual(self.rejected(proxy, "source_limit"), 1)
        other = self.client(proxy, b"other", source="127.0.0.3")
        pairs.append((other, self.served(server)[0]))
        for client, connection in pairs:
            connection.sendall(b"still here")
            self.assertEqual(client.recv(100), b"still here")
        for end in pairs.pop(0):
            end.close()
        wait_until(lambda: proxy.status()["connections"]["active"] == 3, 5 * SLOW, "the place given back")
        self.client(proxy, b"again")
        self.assertEqual(self.served(server)[1], b"again")

    def test_the_total_limit_is_counted(self):
        server, address = self.server()
        proxy = self.proxy("--max-connections", "1", backends=[address])
        proxy.wait_state(address, "up")
        self.assertEqual(proxy.status()["connections"]["max"], 1)
        self.client(proxy, b"x")
        self.served(server)
        self.closed(self.client(proxy))
        self.assertEqual(self.rejected(proxy, "limit"), 1)

    def test_what_is_asked_beyond_the_limits_is_said_at_start(self):
        def few_descriptors():
            resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))
        ports = ("--listen", f"127.0.0.1:{free_port()}", "--monitor-listen", f"127.0.0.1:{free_udp_port()}",
                 "--admin", "off")
        command = [program("reverseProxy"), "--engine", self.engine, *ports]
        asked = self.started(Process(*command, "--max-connections", "5000", limit=few_descriptors))
        line = asked.wait_for("too low for --max-connections").string
        # The soft limit is raised to the hard one; 128 descriptors are kept, and 64 pipes; two make a connection.
        for field in ("level=warn", "max_connections=5000", "limits_allow=384", 'bound_by="ulimit -n: 1024"'):
            self.assertIn(field, line)
        asked.stop()
        fits = self.started(Process(*command, "--max-connections", "384", limit=few_descriptors))
        fits.wait_for("listening")
        fits.stop()
        self.assertNotIn("too low", fits.output())


class LimitsEvents(Limits):
    engine = "events"


class LimitsEpoll(Limits):
    engine = "epoll"


if __name__ == "__main__":
    unittest.main()
