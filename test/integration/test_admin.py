"""The admin port of the real program, and those whom nobody wants there."""

import contextlib
import json
import resource
import signal
import socket
import subprocess

from harness import SLOW, TestCase, for_the_proxy, holdings, http_get, program, wait_until

IDLE = 1000
TOKEN = "correct-horse-battery-staple"


def say(port, request, seconds=10):
    """What an admin port answers to these bytes, to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds * SLOW) as client:
        client.sendall(request)
        blocks = []
        with contextlib.suppress(ConnectionResetError):
            while block := client.recv(65536):
                blocks.append(block)
    return b"".join(blocks).decode(errors="replace")


def allow_files(test, wanted):
    """So many descriptors for this process, until the test ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
        test.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))


def idlers(test, at):
    """IDLE connections that say nothing, until the test ends."""
    idle = []
    test.addCleanup(lambda: [client.close() for client in idle])
    for _ in range(IDLE):
        idle.append(socket.create_connection(at, timeout=5 * SLOW))
    return idle


class Admin(TestCase):
    def test_bad_requests_get_the_right_status_and_nothing_leaks(self):
        proxy = self.proxy()
        fine = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        post = "POST /api/v1/backends/10.0.0.1:80/state HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        cases = {
            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 40: 400,  # TLS
            "<script>\r\n\r\n": 400,
            "GET\r\n\r\n": 400,
            "GET /healthz HTTP/1.1\r\n\r\n": 400,  # no Host
            "GET /healthz HTTP/1.1\nHost: x\n\n": 400,
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n": 400,
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "x" * 20_000 + "\r\n\r\n": 431,
            "GET /" + "x" * 10_000 + " HTTP/1.1\r\n\r\n": 414,
            post + "Content-Length: 5000\r\n\r\n": 413,
            post + "Transfer-Encoding: chunked\r\n\r\n": 400,
            post + "Connection: close\r\nContent-Length: 17\r\n\r\n{\"state\":\"drain\"}": 404,
            fine.replace("GET", "DELETE"): 405,
            fine.replace("/healthz", "/metrics").replace("GET", "POST"): 405,
            fine.replace("/healthz", "/<script>alert(1)</script>"): 404,
            fine.replace("/healthz", "/../../etc/passwd"): 404,
            fine.replace("127.0.0.1", "evil.example"): 403,
            fine: 200,
        }
        before = holdings(proxy.pid)
        for request, status in cases.items():
            with self.subTest(request[:60]):
                answer = say(proxy.admin_port, request.encode("latin-1"))
                self.assertRegex(answer, rf"^HTTP/1\.1 {status} ")
                if status >= 400:
                    self.assertNotIn("<script>", answer)
                if status == 405:
                    self.assertIn("\r\nAllow: GET, HEAD\r\n", answer)
        wait_until(lambda: holdings(proxy.pid).descriptors <= before.descriptors + 2, 10 * SLOW, "all sockets are closed")

    def test_a_thousand_who_say_nothing_keep_nobody_out(self):
        allow_files(self, IDLE + 200)
        web = self.web("one")
        proxy = self.proxy(backends=[web.at])
        proxy.wait_state(web.at, "up")
        before = holdings(proxy.pid)
        idle = idlers(self, ("127.0.0.1", proxy.admin_port))
        wait_until(proxy.healthy, 5 * SLOW, "an answer")  # not while a hundred of them are on their way out
        for _ in range(10):
            self.assertIn(" 200 ", http_get("127.0.0.1", proxy.admin_port, "/readyz", seconds=2 * SLOW)[0])
            self.assertEqual(proxy.get(), web.page)
        most = before.descriptors + 128 + 32  # connections, and those who are leaving
        wait_until(lambda: holdings(proxy.pid).descriptors < most, 10 * SLOW, "no more descriptors than that")
        self.assertEqual(idle[0].recv(1), b"")  # the first had to go

    def token_file(self):
        file = self.directory() / "token"
        file.write_text(TOKEN + "\n")
        file.chmod(0o600)
        for_the_proxy(file)
        return file

    def test_without_a_token_other_machines_change_nothing(self):
        proxy, backend = self.public_proxy()
        self.assertEqual(self.order(proxy, backend)[0], 403)
        proxy.wait_for("no --admin-token-file")
        self.assertEqual(proxy.backend(backend)["state"], "up")

    def test_with_a_token_those_who_show_it_do(self):
        token = self.token_file()
        proxy, backend = self.public_proxy("--admin-token-file", token)
        self.assertEqual(self.order(proxy, backend)[0], 401)
        self.assertEqual(self.order(proxy, backend, f"Authorization: Bearer {TOKEN}x")[0], 401)
        drain = [program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "drain", backend]
        refused = subprocess.run(drain, capture_output=True, text=True)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--token-file", refused.stderr)
        self.assertEqual(proxy.backend(backend)["state"], "up")
        done = subprocess.run([*drain, "--token-file", token], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, f"{backend}: drain\n"))
        proxy.wait_for(rf"operator's order.* backend={backend} state=drain by=127\.0\.0\.1:\d+$")
        self.assertEqual(self.order(proxy, backend, f"Authorization: Bearer {TOKEN}"), (200, "up"))
        self.assertNotIn(TOKEN, proxy.output())

    def test_the_token_is_read_anew_by_a_reload_unless_it_is_none(self):
        token = self.token_file()
        proxy, backend = self.public_proxy("--admin-token-file", token)

        def reload(content, what):
            before = proxy.status()["reloads"][what]
            with open(token, "w") as file:  # the same file, its owner unchanged
                file.write(content)
            proxy.send(signal.SIGHUP)
            wait_until(lambda: proxy.status()["reloads"][what] > before, 10 * SLOW, f"a reload {what}")
        fresh = TOKEN[::-1]
        reload(fresh + "\n", "done")
        self.assertEqual(self.order(proxy, backend, f"Authorization: Bearer {TOKEN}")[0], 401)
        self.assertEqual(self.order(proxy, backend, f"Authorization: Bearer {fresh}"), (200, "up"))
        reload("\n", "failed")
        self.assertEqual(self.order(proxy, backend, f"Authorization: Bearer {fresh}"), (200, "up"))
        self.assertEqual(self.order(proxy, backend)[0], 401)

    def test_a_token_file_that_others_may_read_is_refused_at_the_start(self):
        token = self.directory() / "token"
        token.write_text(TOKEN + "\n")
        token.chmod(0o644)
        for flags in ((), ("--check-config",)):
            run = subprocess.run([program("reverseProxy"), "--admin-token-file", token, *flags], capture_output=True, text=True,
                                 timeout=10 * SLOW)
            self.assertEqual(run.returncode, 1)
            self.assertEqual(run.stderr, f"reverseProxy: token file {token} is readable by others (chmod 600 it)\n")

    def public_proxy(self, *flags):
        """A proxy whose admin port is open to other machines, as they see it."""
        web = self.web("one")
        proxy = self.proxy(*flags, backends=[web.at], admin="0.0.0.0")
        proxy.wait_state(web.at, "up")
        return proxy, web.at

    def order(self, proxy, backend, *fields):
        body = '{"state":"ready"}'
        request = [f"POST /api/v1/backends/{backend}/state HTTP/1.0", f"Host: 127.0.0.1:{proxy.admin_port}",
                   "Content-Type: application/json", f"Content-Length: {len(body)}", *fields, "", body]
        head, _, body = say(proxy.admin_port, "\r\n".join(request).encode()).partition("\r\n\r\n")
        return int(head.split()[1]), json.loads(body).get("state")
