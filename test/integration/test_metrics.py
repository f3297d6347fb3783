"""GET /metrics of the real program: what it counts is what clients count, and nothing it counts ever falls."""

import signal
import socket
import threading

from harness import SLOW, TestCase, holdings, http_get, wait_until
from metrics import promtool, scrape


class Metrics(TestCase):
    def test_counts_are_those_of_the_clients(self):
        for engine in ("threads", "events"):
            with self.subTest(engine):
                self.check_counts(engine)

    def check_counts(self, engine):
        web = self.web("one")
        proxy = self.proxy("--engine", engine, backends=[web.at])
        proxy.wait_state(web.at, "up")
        sent = received = 0
        for _ in range(20):
            with socket.create_connection((proxy.host, proxy.port), timeout=5 * SLOW) as client:
                sent += client.send(b"GET / HTTP/1.0\r\n\r\n")
                while block := client.recv(65536):
                    received += len(block)
        page = wait_until(lambda: (p := scrape(proxy))["farol_connections_active"] == 0 and p, 5 * SLOW, "all are done")
        backend = ("pool=default", f"backend={web.at}")
        for name, labels, wanted in (("farol_connections_total", (), 20),
                                     ("farol_bytes_in_total", (), sent),
                                     ("farol_bytes_out_total", (), received),
                                     ("farol_backend_connections_total", backend, 20),
                                     ("farol_backend_bytes_in_total", backend, sent),
                                     ("farol_backend_bytes_out_total", backend, received),
                                     ("farol_backend_state", (*backend, "state=up"), 1)):
            self.assertEqual(page[name, *labels], wanted, name)
        for name in ("connect", "session", "first_byte"):
            self.assertEqual(page[f"farol_pool_{name}_duration_seconds_count", "pool=default"], 20)
            self.assertEqual(page[f"farol_pool_{name}_duration_seconds_bucket", "pool=default", "le=+Inf"], 20)
        self.assertEqual(page.sum("farol_pool_decisions_total"), 20)
        self.assertIn("text/plain; version=0.0.4; charset=utf-8", page.head)
        checked = promtool("check", "metrics", text=page.text)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_counters_never_fall_though_back_ends_come_and_go(self):
        web = self.web("one")
        proxy = self.proxy("--queue-timeout", "0", "--probe-interval", "200ms", "--probe-timeout", "100ms",
                           "--alive-interval", "400ms")
        agent = self.agent(proxy, web.port)
        proxy.wait_state(web.at, "up")
        stop = threading.Event()

        def clients():
            while not stop.is_set():
                try:
                    http_get(proxy.host, proxy.port)
                except OSError:
                    pass  # while nobody is there

        thread = threading.Thread(target=clients)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        last, backend_gone = {}, 0
        pages = []

        def look():
            nonlocal last, backend_gone
            page = scrape(proxy)
            now = page.counters()
            fallen = {key: (last[key], value) for key, value in now.items() if value < last.get(key, 0)}
            self.assertEqual(fallen, {})
            lost = {key for key in last if key not in now}
            self.assertEqual({key for key in lost if not key[0].startswith("farol_backend_")}, set())
            backend_gone += bool(lost)
            # A back-end that comes back starts anew, and that is no fall of a series that was there all the time.
            last = now
            pages.append(page)
            return page

        probes = wait_until(lambda: (p := look()).sum("farol_pool_probe_rtt_seconds_count") >= 3 and p, 10 * SLOW, "probes")
        agent.stop()
        wait_until(lambda: not any(key[0].startswith("farol_backend_") for key in look().samples), 10 * SLOW, "it has left")
        wait_until(lambda: look().sum("farol_connections_rejected_total") > 0, 10 * SLOW, "clients that find nobody")
        again = self.agent(proxy, web.port)
        wait_until(lambda: look().sum("farol_backend_connections_total") > 0, 10 * SLOW, "it is back")
        again.send(signal.SIGSTOP)
        self.addCleanup(again.send, signal.SIGCONT)
        page = wait_until(lambda: (p := look()).sum("farol_pool_probes_lost_total") >= 2 and p, 10 * SLOW, "lost probes")
        self.assertGreaterEqual(page.sum("farol_pool_probe_rtt_seconds_count"),
                                probes.sum("farol_pool_probe_rtt_seconds_count"))
        self.assertGreater(backend_gone, 0)
        stop.set()

    def test_rejected_datagrams_are_counted_by_reason(self):
        proxy = self.proxy()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for data in (b"", b"<script>", bytes(64)):
                stranger.sendto(data, ("127.0.0.1", proxy.probe_port))
        name = "farol_monitoring_datagrams_dropped_total"
        page = wait_until(lambda: (p := scrape(proxy)).sum(name) == 3 and p, 5 * SLOW, "three datagrams dropped")
        self.assertEqual(page[name, "reason=size"], 2)
        self.assertEqual(page[name, "reason=version"], 1)

    def test_the_process_is_described(self):
        proxy = self.proxy()
        page = scrape(proxy)
        self.assertAlmostEqual(page["farol_process_threads"], holdings(proxy.pid).threads, delta=4)  # workers come and go
        self.assertGreater(page["farol_process_open_fds"], 3)
        self.assertGreater(page["farol_process_max_fds"], page["farol_process_open_fds"])
        self.assertGreater(page["farol_process_resident_memory_bytes"], 1_000_000)
        self.assertEqual(page["farol_process_start_time_seconds"], scrape(proxy)["farol_process_start_time_seconds"])
