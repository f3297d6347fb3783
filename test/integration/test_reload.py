"""HUP: another configuration, all of it or nothing, and nobody notices but those it is about."""

import contextlib
import re
import signal
import socket
import threading
import time
import unittest

from harness import (SANITIZED, SLOW, STAY_ROOT, Process, Proxy, TestCase, for_the_proxy, free_port, free_udp_port, holdings,
                     http_get, program, wait_until)


class Configured(Proxy):
    """A proxy whose flags are in a file that the test writes."""

    def __init__(self, file, *flags, keys=(), **options):
        self.file = file
        self.write(*keys)
        super().__init__("--config", str(file), *flags, **options)

    def write(self, *keys):
        self.file.write_text("".join(key + "\n" for key in keys))

    def reloads(self):
        return self.status()["reloads"]

    def reload(self, *keys, done=True):
        """Writes the file, sends HUP and waits until it has been read."""
        before = self.reloads()
        self.write(*keys)
        self.send(signal.SIGHUP)
        what = "done" if done else "failed"
        wait_until(lambda: self.reloads()[what] > before[what], 10 * SLOW, f"a reload {what}")
        other = "failed" if done else "done"
        assert self.reloads()[other] == before[other], self.output()[-2000:]


def key(name, *values):
    return f"{name}=[" + ", ".join(f'"{value}"' for value in values) + "]"


class Reload(TestCase):
    engine = "threads"

    def configured(self, *flags, keys=(), **options):
        file = self.directory() / "proxy.toml"
        return self.started(Configured(file, "--engine", self.engine, *flags, keys=keys, **options))

    def test_back_ends_come_and_go_and_connections_stay(self):
        one, two = self.web("one"), self.web("two")
        proxy = self.configured(keys=[key("backend", one.at)])
        proxy.wait_state(one.at, "up")
        self.assertEqual(proxy.get(), one.page)
        total = proxy.status()["connections"]["total"]
        self.assertEqual(proxy.backend(one.at)["connections"]["total"], 1)
        with socket.create_connection((proxy.host, proxy.port), timeout=10) as held:
            held.sendall(b"GET / HTTP/1.0\r\n")
            # The proxy's own total counts it before a back-end is chosen.
            wait_until(lambda: proxy.backend(one.at)["connections"]["total"] == 2, what="the connection to one")
            proxy.reload(key("backend", two.at))
            proxy.wait_state(two.at, "up")
            self.assertEqual(proxy.backend(one.at)["state"], "drain")
            for _ in range(5):
                self.assertEqual(proxy.get(), two.page)
            held.sendall(b"\r\n")  # over two configurations
            answer = b""
            while block := held.recv(65536):
                answer += block
        self.assertIn(one.page.encode(), answer)
        proxy.wait_state(one.at, None)
        self.assertEqual(proxy.status()["connections"]["total"], total + 6)

    def test_listeners_come_and_go(self):
        web = self.web("one")
        added, other = free_port(), free_port()
        base = key("backend", web.at)
        proxy = self.configured(keys=[base])
        proxy.wait_state(web.at, "up")
        proxy.reload(base, key("listen", f"127.0.0.1:{added}"))  # the command line's --listen wins
        self.assertRaises(ConnectionRefusedError, http_get, "127.0.0.1", added)
        keys = [base, key("listen", f"127.0.0.1:{free_port()}")]
        proxy = self.started(Listening(self.directory() / "proxy.toml", self.engine, keys))
        before = holdings(proxy.pid).descriptors
        for ports in ([proxy.port, added], [added, other], [added], [proxy.port]):
            proxy.reload(base, key("listen", *(f"127.0.0.1:{port}" for port in ports)))
            for port in (proxy.port, added, other):
                if port in ports:
                    self.assertEqual(http_get("127.0.0.1", port)[1].decode(), web.page)
                else:
                    self.assertRaises(ConnectionRefusedError, http_get, "127.0.0.1", port)
        wait_until(lambda: holdings(proxy.pid).descriptors <= before + 2, what="descriptors back to where they were")

    def test_a_listener_goes_to_another_pool(self):
        one, two = self.web("one"), self.web("two")
        port = free_port()
        backends = key("backend", one.at + ",pool=a", two.at + ",pool=b")
        file = self.directory() / "proxy.toml"
        proxy = self.started(Listening(file, self.engine, [backends, key("listen", f"127.0.0.1:{port}=a")]))
        self.assertEqual(http_get("127.0.0.1", port)[1].decode(), one.page)
        proxy.reload(backends, key("listen", f"127.0.0.1:{port}=b"))
        self.assertEqual(http_get("127.0.0.1", port)[1].decode(), two.page)

    def test_what_is_wrong_is_kept_out_and_named(self):
        web = self.web("one")
        fine = key("backend", web.at)
        proxy = self.configured(keys=[fine])
        proxy.wait_state(web.at, "up")
        taken = self.web("other")
        secret = self.directory() / "key"
        secret.write_text("1 " + "ab" * 32 + "\n")
        secret.chmod(0o644)
        for wrong, says in (
                ("retries=many", ("proxy.toml", "retries")),
                ("zork=1", ("proxy.toml", "zork")),
                ('workers=7\n', ("--workers", "cannot change while the proxy runs")),
                (f'key-file="{secret}"', (str(secret), "chmod")),
                (key("backend", "127.0.0.1"), ("--backend", "127.0.0.1"))):
            with self.subTest(wrong=wrong):
                proxy.reload(fine if "backend" not in wrong else "", wrong, done=False)
                proxy.wait_for("reload failed.*" + ".*".join(map(re.escape, says)))
                self.assertEqual(proxy.get(), web.page)
        file = self.directory() / "proxy.toml"
        listens = key("listen", "127.0.0.1:%d" % free_port())
        proxy = self.started(Listening(file, self.engine, [fine, listens]))
        proxy.reload(key("listen", f"127.0.0.1:{proxy.port}", f"127.0.0.1:{taken.port}"), 'policy="round-robin"',
                     done=False)
        proxy.wait_for(rf"reload failed.*cannot listen on 127.0.0.1:{taken.port}: Address already in use")
        status = proxy.status()
        self.assertEqual((status["policy"], len(status["backends"])), ("weighted", 1))  # nothing of it was taken
        self.assertEqual(http_get("127.0.0.1", proxy.port)[1].decode(), web.page)

    def test_keys_are_read_anew(self):
        directory = self.directory()
        keys = [directory / "old", directory / "new"]
        for path, byte in zip(keys, ("ab", "cd")):
            path.write_text(f"1 {byte * 32}\n")
            path.chmod(0o600)
        current = directory / "current"
        current.write_text(keys[0].read_text())
        current.chmod(0o600)
        for_the_proxy(current)
        web = self.web("one")
        proxy = self.configured("--key-file", str(current))
        agent = self.agent(proxy, web.port, "--key-file", keys[0])
        proxy.wait_state(web.at, "up")
        agent.stop()
        proxy.wait_state(web.at, None)
        with open(current, "w") as file:  # the same file, its owner unchanged
            file.write(keys[1].read_text())
        proxy.reload()
        self.agent(proxy, web.port, "--key-file", keys[0])
        wait_until(lambda: proxy.status()["monitoring"]["dropped"]["mac"] > 0, 10 * SLOW, "the old key refused")
        self.agent(proxy, web.port, "--key-file", keys[1])
        proxy.wait_state(web.at, "up")

    def test_time_outs_and_limits_hold_for_new_connections(self):
        web = self.web("one")
        base = key("backend", web.at)
        proxy = self.configured(keys=[base])
        proxy.wait_state(web.at, "up")
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection((proxy.host, proxy.port), timeout=20))]
            wait_until(lambda: proxy.status()["connections"]["active"] == 1, what="the first connection")
            proxy.reload(base, 'idle-timeout="300ms"', "max-connections=2")
            self.assertEqual(proxy.status()["connections"]["max"], 2)
            silent.append(stack.enter_context(socket.create_connection((proxy.host, proxy.port), timeout=20)))
            self.assertEqual(silent[1].recv(1), b"")  # after its own time-out
            wait_until(lambda: proxy.status()["connections"]["active"] == 1, what="the end of the second connection")
            silent[0].settimeout(0.5)
            self.assertRaises(TimeoutError, silent[0].recv, 1)

    def test_a_listener_that_goes_to_another_pool_leaves_the_back_ends_of_the_first_without_clients(self):
        web, here = self.web("one"), f"127.0.0.1:{free_port()}"
        backends = key("backend", web.at)
        proxy = self.started(Listening(self.directory() / "proxy.toml", self.engine, [key("listen", here), backends]))
        self.assertTrue(proxy.status()["ready"])
        proxy.reload(key("listen", here + "=api"), backends)
        proxy.wait_for("level=warn .*no --listen serves this pool, which has back-ends.* pool=default backends=1")
        self.assertFalse(proxy.status()["ready"])
        self.assertEqual(proxy.status()["listeners"], [{"address": here, "pool": "api"}])
        proxy.reload(key("listen", here + "=api"), key("backend", web.at + ",pool=api"))
        proxy.wait_state(web.at, "up")
        wait_until(lambda: proxy.status()["ready"], 5 * SLOW, "the proxy is ready")

    def test_nobody_is_refused_while_it_reloads(self):
        one, two = self.web("one"), self.web("two")
        both, only = key("backend", one.at, two.at), key("backend", one.at)
        extra = f"127.0.0.1:{free_port()}"
        file = self.directory() / "proxy.toml"
        here = f"127.0.0.1:{free_port()}"
        proxy = self.started(Listening(file, self.engine, [both, key("listen", here)]))
        clients = Clients(proxy.port, 4)
        least = 10 if SANITIZED else 40
        for i in range(20 * least):
            if i >= least and clients.served > 20:
                break
            proxy.reload(both if i % 2 else only, key("listen", here, *([extra] if i % 3 else [])),
                         f"retries={i % 4 + 1}")
        served, failed = clients.stop()
        self.assertEqual(failed, [])
        self.assertGreater(served, 20)
        wait_until(lambda: proxy.status()["connections"]["active"] == 0, what="the end of all connections")


class ReloadEvents(Reload):
    engine = "events"


class ReloadEpoll(Reload):
    engine = "epoll"


class Listening(Configured):
    """The same, with --listen in the file, too."""

    def __init__(self, file, engine, keys):
        self.file = file
        self.write(*keys)
        self.host = "127.0.0.1"
        self.port = int(next(k for k in keys if k.startswith("listen")).split(":")[1].split('"')[0].split("=")[0])
        self.probe_port, self.admin_port = free_udp_port(), free_port()
        Process.__init__(self, program("reverseProxy"), "--config", file, "--engine", engine, "--monitor-listen",
                         f"127.0.0.1:{self.probe_port}", "--admin", f"127.0.0.1:{self.admin_port}", *STAY_ROOT)
        wait_until(lambda: not self.running() or self.healthy(), 10 * SLOW, "the proxy's /healthz")
        assert self.running(), self.output()
        for row in self.status()["backends"]:
            self.wait_state(row["address"], "up")


class Clients:
    """Ask for a page again and again."""

    def __init__(self, port, count):
        self.port, self.served, self.failed = port, 0, []
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        end = time.monotonic() + 120
        while not self.over.is_set() and time.monotonic() < end:
            try:
                head, body = http_get("127.0.0.1", self.port, seconds=20)
                good = " 200 " in head and b"hello world" in body
            except OSError as error:
                good, head = False, repr(error)
            with self.lock:
                self.served += good
                if not good:
                    self.failed.append(head)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self.served, self.failed


if __name__ == "__main__":
    unittest.main()
