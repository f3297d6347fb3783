"""reverseProxy's command line, start and end: one clear line for each mistake, and nothing left behind."""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import (SLOW, STAY_ROOT, TestCase, for_the_proxy, free_port, free_udp_port, has_listener, http_get,
                     listens, low_ports_are_kept, program, unprivileged, wait_until)
from metrics import scrape
from test_scale import REGISTER, packet


def run(*arguments, prefix=(), seconds=10):
    return subprocess.run([*prefix, program("reverseProxy"), *map(str, arguments)], text=True, capture_output=True,
                          timeout=seconds * SLOW, stdin=subprocess.DEVNULL)


def quiet_ports():
    """Flags that keep a start off the fixed ports, whatever else is wrong with it."""
    return ("--listen", f"127.0.0.1:{free_port()}", "--monitor-listen", f"127.0.0.1:{free_udp_port()}", "--admin", "off")


class Mistakes(TestCase):
    def refused(self, *arguments, code=64, says=(), prefix=()):
        """It ends with `code` and exactly one line on stderr that contains each of `says`."""
        result = run(*arguments, prefix=prefix)
        self.assertEqual(result.returncode, code, result.stderr)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("reverseProxy: "), lines[0])
        for word in (says,) if isinstance(says, str) else says:
            self.assertIn(word, lines[0])
        return lines[0]

    def test_unknown_flag(self):
        self.refused("--no-such-flag", says="--no-such-flag")

    def test_stray_argument(self):
        self.refused("80", says="80")

    def test_bad_addresses(self):
        for bad in ("nonsense", "127.0.0.1", "127.0.0.1:", "1.2.3.4.5:80", "[::1:80", "127.0.0.1:http", ":-1", ""):
            with self.subTest(bad=bad):
                self.refused("--listen", bad, "--check-config", says="--listen" if bad else "")

    def test_ports_out_of_range(self):
        for flag in ("--listen", "--monitor-listen", "--admin", "--backend"):
            with self.subTest(flag=flag):
                self.refused(flag, "127.0.0.1:65536", "--check-config", says=(flag, "65536"))

    def test_bad_values(self):
        for flag, bad in (("--engine", "fibres"), ("--policy", "best"), ("--retries", "-1"), ("--retries", "many"),
                          ("--probe-interval", "soon"), ("--probe-interval", "5parsecs"), ("--probe-timeout", "-1s"),
                          ("--queue-timeout", "later"), ("--max-queue", "-1"), ("--max-connections-per-source", "few"),
                          ("--max-connections-per-backend", "-2"), ("--backend", "127.0.0.1:80,max-connections=x"),
                          ("--idle-timeout", "-5s"), ("--allow", "10.0.0.0/33"), ("--allow", "house"),
                          ("--log-level", "loud"), ("--log-format", "xml"), ("--backend", "127.0.0.1:80,colour=red"),
                          ("--backend", "127.0.0.1:80,weight=-3")):
            with self.subTest(flag=flag, bad=bad):
                self.refused(flag, bad, "--check-config", says=flag)

    def test_unknown_configuration_key(self):
        config = self.directory() / "proxy.toml"
        config.write_text('policy = "report"\nlisten-adress = "127.0.0.1:8080"\n')
        self.refused("--config", config, says=(str(config), "listen-adress"))

    def test_bad_value_in_the_configuration(self):
        config = self.directory() / "proxy.toml"
        config.write_text('probe-interval = "soon"\n')
        self.refused("--config", config, "--check-config", says=("probe-interval", "'soon' is not a duration (want 20,"))

    def test_configuration_that_does_not_exist(self):
        self.refused("--config", "/nonexistent/proxy.toml", says="/nonexistent/proxy.toml")

    def key_file(self, text, mode=0o600):
        path = self.directory() / "key"
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_key_files_that_must_not_be_used(self):
        good = "1 " + "ab" * 32 + "\n"
        missing = self.directory() / "none"
        for why, path in (("readable by others", self.key_file(good, 0o644)), ("missing", missing),
                          ("short key", self.key_file("1 abcd\n")), ("not hex", self.key_file("1 " + "zz" * 32 + "\n")),
                          ("id out of range", self.key_file("256 " + "ab" * 32 + "\n")), ("empty", self.key_file(""))):
            with self.subTest(why=why):
                result = run(*quiet_ports(), "--key-file", path)
                self.assertIn(result.returncode, (1, 64), result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                self.assertIn(str(path), result.stderr)
                self.assertNotIn("abab", result.stderr, "a key must never be printed")

    def test_unreadable_key_file(self):
        prefix = unprivileged()
        path = self.key_file("1 " + "ab" * 32 + "\n")
        if not prefix:
            path.chmod(0)
        result = run(*quiet_ports(), "--key-file", path, prefix=prefix)
        self.assertIn(result.returncode, (1, 64), result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn("Permission denied", result.stderr)

    def test_tcp_port_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = self.refused("--listen", f"127.0.0.1:{port}", *quiet_ports()[2:], code=1)
        self.assertEqual(line, f"reverseProxy: cannot listen on 127.0.0.1:{port}: Address already in use")

    def test_second_port_taken_leaves_nothing(self):
        free = free_port()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refused("--listen", f"127.0.0.1:{free}", "--listen", f"127.0.0.1:{taken.getsockname()[1]}",
                         *quiet_ports()[2:], code=1)
        self.assertFalse(listens("127.0.0.1", free))

    def test_udp_port_taken_names_the_way_out(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            line = self.refused(*quiet_ports()[:2], "--monitor-listen", f"127.0.0.1:{port}", "--admin", "off", code=1)
        self.assertEqual(line, f"reverseProxy: UDP {port} is taken (an agent on this host? use --monitor-listen)")

    def test_admin_port_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.refused(*quiet_ports()[:4], "--admin", f"127.0.0.1:{port}", code=1, says=f"127.0.0.1:{port}")

    def test_port_80_without_the_capability(self):
        low_ports_are_kept()
        line = self.refused("--listen", "127.0.0.1:80", *quiet_ports()[2:], code=1, prefix=unprivileged())
        self.assertEqual(line, "reverseProxy: port 80 needs CAP_NET_BIND_SERVICE (try --listen :8080)")

    def test_address_of_another_machine(self):
        self.refused("--listen", "192.0.2.1:8080", *quiet_ports()[2:], code=1,
                     says=("192.0.2.1:8080", "this machine has no such address"))


class Questions(TestCase):
    def test_check_config(self):
        result = run("--check-config")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "configuration is valid\n", ""))

    def test_check_config_of_a_file(self):
        config = self.directory() / "proxy.toml"
        config.write_text('listen = ["127.0.0.1:8080", "[::1]:8080"]\nprobe-interval = "500ms"\nretries = 2\n')
        for_the_proxy(config)
        result = run("--config", config, "--check-config", *STAY_ROOT)
        self.assertEqual((result.returncode, result.stdout), (0, "configuration is valid\n"), result.stderr)

    def test_version(self):
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"^reverseProxy \d+\.\d+\.\d+\n$")

    def test_help_names_the_flags(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for flag in ("--listen", "--monitor-listen", "--backend", "--policy", "--key-file", "--admin", "--check-config"):
            self.assertIn(flag, result.stdout)


class EmptyPool(TestCase):
    def test_client_is_closed_and_the_proxy_lives(self):
        proxy = self.proxy()

        def once():
            started = time.monotonic()
            with socket.create_connection((proxy.host, proxy.port), timeout=5 * SLOW) as client:
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(client.recv(1), b"")
            return time.monotonic() - started
        self.assert_within(1.5 * SLOW, once)
        self.assertTrue(proxy.running())
        self.assertIn(" 503 ", http_get("127.0.0.1", proxy.admin_port, "/readyz")[0].splitlines()[0])

        web = self.web("Servidor1", "127.0.0.2")  # the first registration, and it works
        self.agent(proxy, web.port, bind="127.0.0.2")
        proxy.wait_state(web.at, "up")
        self.assertEqual(proxy.get(), web.page)
        self.assertIn(" 200 ", http_get("127.0.0.1", proxy.admin_port, "/readyz")[0].splitlines()[0])


class Ending(TestCase):
    engine = "threads"

    def proxy(self, *flags, **options):
        return super().proxy("--engine", self.engine, *flags, **options)

    def with_open_client(self, *flags):
        """A proxy that relays one open connection: (proxy, client, the back-end's end of it)."""
        backend = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(backend.close)
        proxy = self.proxy(*flags, backends=[f"127.0.0.1:{backend.getsockname()[1]}"])
        proxy.wait_state(f"127.0.0.1:{backend.getsockname()[1]}", "up", "stale")
        client = socket.create_connection((proxy.host, proxy.port), timeout=10 * SLOW)
        self.addCleanup(client.close)
        client.sendall(b"hello")
        backend.settimeout(10 * SLOW)
        while True:  # the proxy's own checks connect too, and say nothing
            server, _ = backend.accept()
            server.settimeout(10 * SLOW)
            if server.recv(5) == b"hello":
                break
            server.close()
        self.addCleanup(server.close)
        return proxy, client, server

    def test_term_on_an_idle_proxy(self):
        proxy = self.proxy()
        started = time.monotonic()
        self.assertEqual(proxy.stop(), 0, proxy.output())
        self.assertLess(time.monotonic() - started, 2 * SLOW)
        self.assertFalse(listens(proxy.host, proxy.port))

    def test_int_is_the_same(self):
        self.assertEqual(self.proxy().stop(signal.SIGINT), 0)

    def test_term_drains(self):
        proxy, client, server = self.with_open_client()
        proxy.send(signal.SIGTERM)
        wait_until(lambda: not has_listener(proxy.port), 3 * SLOW, "the listener gone")
        self.assertTrue(proxy.running())
        block, count, got = os.urandom(1 << 20), 100, hashlib.sha256()
        sender = threading.Thread(target=lambda: [server.sendall(block) for _ in range(count)] and server.close())
        sender.start()
        while data := client.recv(1 << 16):
            got.update(data)
        sender.join()
        client.close()
        self.assertEqual(got.digest(), hashlib.sha256(block * count).digest())
        self.assertEqual(proxy.popen.wait(5 * SLOW), 0)

    def test_drain_has_an_end(self):
        proxy, client, _ = self.with_open_client("--drain-timeout", "500ms")
        started = time.monotonic()
        self.assertEqual(proxy.stop(), 0)
        self.assertLess(time.monotonic() - started, 3 * SLOW)

    def test_a_second_signal_ends_it_at_once(self):
        for second in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(second=second):
                proxy, client, _ = self.with_open_client("--drain-timeout", "60s")
                proxy.send(signal.SIGTERM)
                wait_until(lambda: not has_listener(proxy.port), 3 * SLOW, "the listener gone")
                for other in (signal.SIGHUP, signal.SIGUSR2):  # which come too late, and harm nobody
                    proxy.send(other)
                client.settimeout(0.3)
                self.assertRaises(TimeoutError, client.recv, 1)
                started = time.monotonic()
                self.assertEqual(proxy.stop(second, seconds=5), 0)
                self.assertLess(time.monotonic() - started, 2 * SLOW)

    def test_who_asks_for_its_status_until_the_end_does_not_crash_it(self):
        for _ in range(5):
            proxy, client, _ = self.with_open_client("--drain-timeout", "0s")
            gone = threading.Event()

            def ask():
                while not gone.is_set():
                    with contextlib.suppress(OSError):
                        http_get("127.0.0.1", proxy.admin_port, "/api/v1/status")
            askers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
            for asker in askers:
                asker.start()
            code = proxy.stop()
            gone.set()
            for asker in askers:
                asker.join()
            self.assertEqual(code, 0)

    def test_started_again_at_once_on_the_same_ports(self):
        proxy, client, server = self.with_open_client("--drain-timeout", "0s")
        command = proxy.command
        proxy.stop()
        result = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: result.poll() is not None or listens(proxy.host, proxy.port), 5 * SLOW, "a listener")
            self.assertIsNone(result.poll(), "TIME_WAIT must not keep it from starting")
        finally:
            result.kill()
            result.communicate()


class EndingEvents(Ending):
    engine = "events"


class NobodyReadsTheLog(TestCase):
    """A pipe that is full, a disk that is: the log loses lines, the clients nothing."""

    def outputs(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        return {"pipe": writing, "disk": os.open("/dev/full", os.O_WRONLY)}

    def relays(self, proxy, server):
        with socket.create_connection((proxy.host, proxy.port), timeout=10 * SLOW) as client:
            client.sendall(b"hello")
            while True:  # the proxy's own checks connect too, and say nothing
                connection, _ = server.accept()
                with connection:
                    if connection.recv(5) == b"hello":
                        connection.sendall(b"hi")
                        break
            self.assertEqual(client.recv(2), b"hi")

    def test_relaying_goes_on(self):
        for engine in ("threads", "events"):
            for name, output in self.outputs().items():
                with self.subTest(engine=engine, output=name), socket.create_server(("127.0.0.1", 0)) as server:
                    server.settimeout(10 * SLOW)
                    address = f"127.0.0.1:{server.getsockname()[1]}"
                    proxy = self.proxy("--engine", engine, backends=[address])
                    proxy.stop()
                    again = subprocess.Popen(proxy.command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
                    os.close(output)
                    self.addCleanup(again.wait)
                    self.addCleanup(again.kill)
                    wait_until(proxy.healthy, 10 * SLOW, "the proxy's /healthz")
                    proxy.wait_state(address, "up")
                    for _ in range(60):  # a line of 150 bytes each: the pipe has room for half of them
                        self.relays(proxy, server)
                    if name == "disk":  # the queue takes what a pipe does not
                        wait_until(lambda: proxy.status()["log"]["lines_dropped"] > 60, 5 * SLOW, "lost lines in the status")
                        self.assertGreater(scrape(proxy)["farol_log_lines_dropped_total"], 60)
                    again.terminate()
                    self.assertEqual(again.wait(10 * SLOW), 0)

    def test_what_was_lost_is_said_when_somebody_reads_again(self):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        with socket.create_server(("127.0.0.1", 0)) as server, os.fdopen(reading, errors="replace") as log:
            server.settimeout(10 * SLOW)
            proxy = self.proxy(backends=[f"127.0.0.1:{server.getsockname()[1]}"])
            proxy.stop()
            again = subprocess.Popen([*proxy.command, "--log-level", "debug", "--log-format", "json"], stdout=writing,
                                     stderr=writing, stdin=subprocess.DEVNULL)
            os.close(writing)
            self.addCleanup(again.wait)
            self.addCleanup(again.kill)
            wait_until(proxy.healthy, 10 * SLOW, "the proxy's /healthz")
            self.flood_log(proxy)
            self.relays(proxy, server)
            lines = (json.loads(line) for line in log)
            lost = next(line["lines"] for line in lines if line["msg"] == "log lines lost")
            self.assertEqual(lost, proxy.status()["log"]["lines_dropped"])
            again.terminate()
            self.assertEqual(list(lines)[-1]["msg"], "stopped")
        self.assertEqual(again.wait(10 * SLOW), 0)

    def flood_log(self, proxy):
        """Registers, a line each, until the log has lost some."""
        register = packet(REGISTER, boot=1, interval_ms=1000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
            agent.connect(("127.0.0.1", proxy.probe_port))

            def lost():
                for _ in range(1000):
                    agent.send(register)
                return proxy.status()["log"]["lines_dropped"] > 0
            wait_until(lost, 20 * SLOW, "a queue that is full")


if __name__ == "__main__":
    unittest.main()
