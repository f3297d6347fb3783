"""HttpGw's admin port: what it counts is what clients count, and those whom nobody wants there."""

import json
import socket

from gateway_harness import CHUNK, GatewayTest, content
from harness import SLOW, holdings, http_get, wait_until
from metrics import Page, promtool
from test_admin import IDLE, allow_files, idlers, say


class GatewayAdmin(GatewayTest):
    def scrape(self):
        head, body = http_get(*self.gw.admin, "/metrics")
        self.assertIn(" 200 ", head.splitlines()[0])
        return Page(body.decode(), head)

    def test_counts_are_those_of_the_clients_and_never_fall(self):
        for engine in ("threads", "events"):
            with self.subTest(engine):
                self.check_counts(engine)

    def check_counts(self, engine):
        self.pool(2, flags=("--engine", engine))
        before = self.scrape()
        self.assertEqual(before.sum("farol_gateway_requests_total"), 0)
        self.file("f", content(1_000_000))
        self.file("small", b"123")
        received = sum(len(self.get(path)) for path in ("f", "f", "small"))
        received += len(self.get("f", "-r", "1000-1999"))
        for _ in range(3):
            self.assertEqual(self.status_of("nothing"), 404)
        self.assertEqual(self.status_of("%00"), 400)
        self.assertEqual(int(self.curl("-X", "POST", "-o", "/dev/null", "-w", "%{http_code}", self.gw.url("f")).stdout), 405)
        self.assertEqual(self.curl("-I", self.gw.url("f")).returncode, 0)
        with socket.create_connection((self.gw.address, self.gw.port), timeout=10 * SLOW) as client:
            client.sendall(b"<script>\r\n\r\n")
            self.assertIn(b" 400 ", client.recv(1000))
        page = wait_until(lambda: (p := self.scrape())["farol_gateway_transfers_active"] == 0
                          and p["farol_gateway_server_state", "server=srv1", "state=up"] == 1 and p, 10 * SLOW, "all are done")
        for code, wanted in {200: 4, 206: 1, 404: 3, 400: 2, 405: 1, 503: 0}.items():
            self.assertEqual(page["farol_gateway_requests_total", f"code={code}"], wanted, code)
        self.assertEqual(page.sum("farol_gateway_requests_total"), 11)
        self.assertEqual(page["farol_gateway_bytes_total"], received)
        self.assertEqual(page["farol_gateway_transfers_total"], 8)  # and none for what is no path of a file
        self.assertEqual(page["farol_gateway_transfers_failed_total", "reason=nobody_has_it"], 3)
        self.assertEqual(page.sum("farol_gateway_transfers_failed_total"), 3)
        for name in ("first_byte", "transfer"):
            self.assertEqual(page[f"farol_gateway_{name}_duration_seconds_count"], 4)
        self.assertGreaterEqual(page.sum("farol_gateway_server_chunks_total"), received // CHUNK)
        self.assertGreater(page["farol_gateway_chunk_rtt_seconds_count"], 0)
        self.assertGreater(page["farol_gateway_process_resident_memory_bytes"], 1_000_000)
        self.assertEqual({key for key, value in before.counters().items() if page.counters()[key] < value}, set())
        checked = promtool("check", "metrics", text=page.text)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_who_leaves_early_is_counted_and_so_are_strange_datagrams(self):
        gateway = self.pool(1)
        self.file("f", content(20_000_000))
        client = self.slow_client("f")
        row, = gateway.status()["longest_transfers"]
        self.assertEqual((row["path"], row["wanted"], row["servers"]), ("f", 20_000_000, 1))
        client.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(bytes(100), (gateway.address, gateway.port))
        dropped = "farol_gateway_datagrams_dropped_total"
        page = wait_until(lambda: (p := self.scrape())[dropped, "reason=version"] == 1
                          and p["farol_gateway_transfers_active"] == 0 and p, 10 * SLOW, "both are counted")
        late = page[dropped, "reason=unexpected"]  # what its server still sent for who has left
        self.assertEqual(page.sum(dropped), 1 + late)
        self.assertEqual(page["farol_gateway_transfers_failed_total", "reason=client_gone"], 1)

    def test_bad_requests_get_the_right_status_and_nothing_leaks(self):
        gateway = self.gw = self.gateway()
        fine = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        cases = {
            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 40: 400,  # TLS
            "<script>\r\n\r\n": 400,
            "GET /healthz HTTP/1.1\r\n\r\n": 400,  # no Host
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "x" * 20_000 + "\r\n\r\n": 431,
            "GET /" + "x" * 10_000 + " HTTP/1.1\r\n\r\n": 414,
            fine.replace("GET", "DELETE"): 405,
            fine.replace("/healthz", "/metrics").replace("GET", "POST"): 405,
            fine.replace("/healthz", "/<script>alert(1)</script>"): 404,
            fine.replace("/healthz", "/../../etc/passwd"): 404,
            fine.replace("/healthz", "/api/v1/history?server=%3Cscript%3E"): 404,
            fine.replace("/healthz", "/api/v1/history?server=%4"): 400,
            fine.replace("/healthz", "/").replace("127.0.0.1", "evil.example"): 403,
            fine.replace("/healthz", "/readyz"): 503,
            fine: 200,
        }
        before = holdings(gateway.pid)
        for request, status in cases.items():
            with self.subTest(request[:60]):
                answer = say(gateway.admin[1], request.encode("latin-1"))
                self.assertRegex(answer, rf"^HTTP/1\.1 {status} ")
                if status >= 400:
                    self.assertNotIn("<script>", answer)
                if status == 405:
                    self.assertIn("\r\nAllow: GET, HEAD\r\n", answer)
        self.assertEqual(self.scrape().sum("farol_gateway_requests_total"), 0, "clients' requests only")
        wait_until(lambda: holdings(gateway.pid).descriptors <= before.descriptors + 2, 10 * SLOW, "all sockets are closed")

    def test_a_thousand_who_say_nothing_keep_nobody_out(self):
        allow_files(self, IDLE + 200)
        gateway = self.pool(1)
        self.file("f", b"content")
        before = holdings(gateway.pid)
        first = idlers(self, gateway.admin)[0]
        wait_until(lambda: gateway.answers(), 5 * SLOW, "an answer")  # not while a hundred of them are on their way out
        for _ in range(10):
            self.assertIn(" 200 ", http_get(*gateway.admin, "/readyz", seconds=2 * SLOW)[0])
            self.assertEqual(self.get("f"), b"content")
        most = before.descriptors + 128 + 32  # connections, and those who are leaving
        wait_until(lambda: holdings(gateway.pid).descriptors < most, 10 * SLOW, "no more descriptors than that")
        self.assertEqual(first.recv(1), b"")  # it had to go

    def test_the_stream_shows_servers_that_come_and_go(self):
        self.pool(1)
        heard = bytearray()
        with socket.create_connection(self.gw.admin, timeout=10 * SLOW) as watcher:
            watcher.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

            def read_until(found):
                while not found():
                    block = watcher.recv(65536)
                    self.assertTrue(block, "the stream ended")
                    heard.extend(block)
            read_until(lambda: b"event: tick" in heard and b'"id":"srv1"' in heard)
            snapshot = json.loads(heard.split(b"event: snapshot\n")[1].split(b"data: ")[1].split(b"\n\n")[0])
            self.assertEqual(snapshot["kind"], "gateway")
            self.servers[0].stop()
            read_until(lambda: b'"gone":["srv1"]' in heard)
            self.assertIn(b'"cause":"it said goodbye"', heard)
