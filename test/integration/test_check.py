"""`proxyctl check` before real proxies and agents: what is wrong is found, with its place, and what is well is not."""

import contextlib
import http.server
import json
import os
import socket
import struct
import subprocess
import threading
import unittest

from harness import SLOW, TestCase, for_the_proxy, free_port, http_get, program, wait_until

QUICK = ("--probe-interval", "200ms", "--probe-timeout", "200ms", "--alive-interval", "600ms")
WELL, WRONG = 0, 2


class DeafAgent:
    """Registers by docs/PROTOCOL.md every 200 ms, as if each minute (it is remembered for three), and answers nothing but, if asked to, the challenge."""

    LAYOUT = struct.Struct(">BBHIQQIIHHIIB3x16x")
    REGISTER, PROBE_RESPONSE = 1 << 3 | 1, 1 << 3 | 3

    def __init__(self, proxy, service_port, answers_challenge):
        self.service_port, self.answers_challenge = service_port, answers_challenge
        self.boot_id = int.from_bytes(os.urandom(8), "big")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(.2)
        self.at = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.proxy = ("127.0.0.1", proxy.probe_port)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def packet(self, kind, sequence=0, nonce=0, interval_ms=0, flags=0):
        return self.LAYOUT.pack(kind, 0, self.service_port, sequence, nonce, self.boot_id, 0x37A8EEC1, interval_ms, 0, 0, 0,
                                0, flags)

    def run(self):
        while not self.ended.is_set():
            self.socket.sendto(self.packet(self.REGISTER, interval_ms=60_000), self.proxy)
            try:
                sequence, nonce = struct.unpack_from(">IQ", self.socket.recv(64), 4)
            except OSError:
                continue
            if sequence == 0 and self.answers_challenge:
                self.socket.sendto(self.packet(self.PROBE_RESPONSE, 0, nonce, flags=1), self.proxy)
            self.ended.wait(.2)

    def end(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()


class Impostor(http.server.ThreadingHTTPServer):
    """Answers every GET with the same body, as if it were an admin endpoint."""

    def __init__(self, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(.05,))
        self.thread.start()

    def end(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class CheckTest(TestCase):
    def check(self, proxy, *flags):
        done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "check", *flags],
                              capture_output=True, text=True, timeout=10 * SLOW)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def found(self, proxy, rule, code):
        """The finding of a rule, once it is there and the exit code is the one that is wanted."""
        def look():
            exit_code, text = self.check(proxy, "--json")
            here = [each for each in json.loads(text)["findings"] if each["rule"] == rule]
            self.last = exit_code, text
            return here and exit_code == code and here[0]
        try:
            return wait_until(look, 10 * SLOW, rule)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last was {self.last}\n{proxy.output()[-2000:]}") from None

    def key(self, directory, name):
        file = directory / name
        file.touch(0o600)
        file.write_text(subprocess.run([program("proxyctl"), "keygen"], capture_output=True, text=True).stdout)
        for_the_proxy(file)
        return file

    def test_what_is_well_is_said_to_be(self):
        key = self.key(self.directory(), "key")
        proxy = self.proxy("--key-file", key, "--max-connections", "100", "--probe-timeout", "5s")  # no answer is late
        web = self.web("one")
        self.agent(proxy, web.port, "--key-file", key)
        proxy.wait_state(web.at, "up")
        well = (WELL, "all is well: 1 of 1 back-ends are up, 0 connections\n")
        wait_until(lambda: self.check(proxy, "--strict") == well, 10 * SLOW, "all is well")
        nothing = {"errors": 0, "warnings": 0, "findings": []}
        wait_until(lambda: json.loads(self.check(proxy, "--json")[1]) == nothing, 10 * SLOW, "nothing is found")

    def test_no_back_end_and_an_agent_with_another_key(self):
        directory = self.directory()
        proxy = self.proxy("--key-file", self.key(directory, "ours"))
        code, text = self.check(proxy)
        self.assertEqual(code, WRONG)
        self.assertIn(f"error    there is no back-end, and no datagram has come to UDP {proxy.probe_port} [no-backend]", text)
        agent = self.agent(proxy, free_port(), "--key-file", self.key(directory, "other"))
        found = self.found(proxy, "key-mismatch", WRONG)
        self.assertEqual(found["severity"], "error")
        self.assertRegex(found["seen"], r"the last came from 127\.0\.0\.1:\d+, ")
        self.assertIn("none of them led to one", self.found(proxy, "no-backend", WRONG)["seen"])
        self.assertTrue(agent.running())

    def test_an_agent_for_a_pool_that_no_listener_serves(self):
        proxy, web, good = self.proxy(*QUICK), self.web("one"), self.web("two")
        self.agent(proxy, web.port, "--pool", "wbe")
        self.assertRegex(proxy.wait_state(web.at, "up")["cause"], "no listener serves its pool")
        proxy.wait_for(rf"level=warn .*no --listen serves this back-end's pool.* backend={web.at} pool=.?#[0-9a-f]{{8}}")
        self.assertIn(" 503 ", http_get("127.0.0.1", proxy.admin_port, "/readyz")[0].splitlines()[0])
        self.assertIn("\nfarol_ready 0\n", http_get("127.0.0.1", proxy.admin_port, "/metrics")[1].decode())
        self.assertEqual(proxy.status()["listeners"], [{"address": f"127.0.0.1:{proxy.port}", "pool": "default"}])
        self.found(proxy, "pool-not-served", WRONG)
        self.agent(proxy, good.port)  # is not to hide it
        proxy.wait_state(good.at, "up")
        self.assertIn(" 200 ", http_get("127.0.0.1", proxy.admin_port, "/readyz")[0].splitlines()[0])
        found = self.found(proxy, "pool-not-served", WRONG)
        self.assertTrue(found["backend"].startswith(web.at + "/#"), found)
        self.assertIn("correct the agent's --pool", found["advice"])

    def test_agents_that_do_not_answer_and_services_that_are_closed(self):
        proxy = self.proxy(*QUICK, backends=[f"127.0.0.1:{free_port()}"])
        web, closed = self.web("one"), free_port()
        self.agent(proxy, closed)
        never, once = (DeafAgent(proxy, port, answers) for port, answers in ((free_port(), False), (web.port, True)))
        for agent in (never, once):
            self.addCleanup(agent.end)
        self.assertEqual(self.found(proxy, "service-refuses", WRONG)["backend"],
                         proxy.command[proxy.command.index("--backend") + 1])
        self.assertEqual(self.found(proxy, "service-closed", WRONG)["backend"], f"127.0.0.1:{closed}")
        proxy.wait_state(web.at, "stale")

        def unanswered():
            findings = json.loads(self.check(proxy, "--json")[1])["findings"]
            return {each["backend"]: each for each in findings if each["rule"] == "probes-unanswered"}
        both = wait_until(lambda: set(found := unanswered()) == {None, web.at} and found, 10 * SLOW, "both are found")
        self.assertIn(f"the agent {never.at} registers TCP port {never.service_port} ", both[None]["seen"])
        self.assertIn(f"its agent {once.at} registers (", both[web.at]["seen"])
        self.assertEqual(both[web.at]["severity"], "warning")  # it keeps its traffic

    def test_warnings_count_only_if_asked_to_and_a_proxy_that_is_not_there_is_another_code(self):
        web = self.web("one")
        proxy = self.proxy("--max-connections", "10000000", backends=[web.at])
        proxy.wait_state(web.at, "up")
        code, text = self.check(proxy)
        self.assertIn("warning  --max-connections 10000000 is more than the limits of the process carry", text)
        self.assertEqual(code, WELL)
        self.assertEqual(self.check(proxy, "--strict")[0], WRONG)
        proxy.stop()
        gone = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "check", "--json"],
                              capture_output=True, text=True)
        self.assertEqual((gone.returncode, gone.stdout), (1, ""))
        self.assertIn("cannot reach", gone.stderr)

    def test_every_command_speaks_json(self):
        web = self.web("one")
        proxy = self.proxy(backends=[web.at])
        proxy.wait_state(web.at, "up")

        def said(*command):
            done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", *command, "--json"],
                                  capture_output=True, text=True, timeout=10 * SLOW)
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            return json.loads(done.stdout)
        self.assertEqual(said("status")["backends"][0]["address"], web.at)
        self.assertEqual(said("explain"), {"decisions": []})
        self.assertEqual(said("check")["errors"], 0)
        for order, state in (("drain", "drain"), ("maint", "maint"), ("ready", "up")):
            self.assertEqual(said(order, web.at), {"address": web.at, "pool": "default", "state": state})
        key = said("keygen", "--id", "7")
        self.assertEqual(key["line"], f"7 {key['key']}")

    def test_what_is_no_proxy_is_neither_believed_nor_well(self):
        def said(body, *command):
            impostor = Impostor(body)
            self.addCleanup(impostor.end)
            done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{impostor.server_port}", *command],
                                  capture_output=True, timeout=10 * SLOW)
            return done.returncode, done.stdout, done.stderr.decode()
        for body, words in ((b'{"servers": []}', "has no back-ends to tell of"),  # a gateway
                            (b'{"backends": %s%s}' % (b"[" * 500_000, b"]" * 500_000), "is not the admin endpoint"),
                            (b'{"backends": [NaN]}', "is not the admin endpoint")):
            code, out, error = said(body, "check")
            self.assertEqual((code, out, error.count("\n")), (1, b"", 1), error)
            self.assertIn(words, error)
        steers = '{"backends": [], "version": "\x7f\x9b2J\u202e"}'.encode()
        code, out, _ = said(steers, "status", "--json")
        self.assertEqual((code, json.loads(out)), (0, json.loads(steers)))
        self.assertTrue(out.isascii() and b"\x7f" not in out, out)

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([program("proxyctl"), "keygen"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (1, "proxyctl: cannot write to stdout\n"))


if __name__ == "__main__":
    unittest.main()
