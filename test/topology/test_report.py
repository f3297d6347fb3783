"""The report's own tests (chapter 5) on its own network, and what happens there when something fails.

Real mini_httpd and wget, ports 80 and 5555, `monitorUDP 20`, `monitorUDP 30`. Initialisation and Test 1 run with every
default; elsewhere only timers are shortened, so that nobody waits for them.
"""

import collections
import json
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import SLOW, Process, TestCase, WebServer, find_backend, program, wait_until  # noqa: E402
from network import V4, V6, Network  # noqa: E402

PROBES = ("--probe-interval", "200ms")
QUICK = (*PROBES, "--alive-interval", "1s", "--connect-timeout", "1s")
FIXED = ("--fixed-report", "cpu=100,mem=100,tcp=100")
INTERVAL = {"s1": 20, "s2": 30}  # the report's: monitorUDP 20 10.1.1.10, monitorUDP 30 10.1.1.10


def at(name, addresses=V4):
    return f"[{addresses[name]}]:80" if ":" in addresses[name] else f"{addresses[name]}:80"


class ReportCase(TestCase):
    """Servidor1 and Servidor2 with a web server each; agents and the proxy are the tests' to start."""

    addresses = V4

    @classmethod
    def setUpClass(cls):
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)

    def setUp(self):
        self.webs, self.agents, self.servidor3 = {}, {}, None
        for name in ("s1", "s2"):
            self.start_web(name)

    def start_web(self, name):
        server = WebServer(f"CC TP2 Servidor{name[1]}", self.addresses[name], 80, check=False,
                           prefix=self.network.within(name))
        self.webs[name] = self.started(server)
        wait_until(lambda: self.wget(self.addresses[name]), 5 * SLOW, f"the web server of {name}")

    def start_agent(self, name, *flags):
        command = Process(program("monitorUDP"), INTERVAL[name], self.addresses["s3"], *flags,
                          prefix=self.network.within(name))
        self.agents[name] = self.started(command)

    def start_proxy(self, *flags):
        """Returns since when it listens."""
        self.servidor3 = self.started(Process(program("reverseProxy"), *flags, prefix=self.network.within("s3")))
        self.servidor3.wait_for('msg="listening"')
        listening = time.monotonic()
        self.status()
        return listening

    def start_all(self, *flags):
        self.start_agent("s1")
        self.start_agent("s2")
        self.start_proxy(*flags)
        self.wait_up("s1", "s2")

    def status(self):
        """The proxy's status, asked on its own machine until it answers."""
        def answer():
            run = self.network.run("s3", "curl", "-s", "--max-time", "2", "http://127.0.0.1:8404/api/v1/status")
            return run.returncode == 0 and json.loads(run.stdout)
        return wait_until(answer, 10 * SLOW, "the proxy's status")

    def row(self, name):
        return find_backend(self.status(), at(name, self.addresses))

    def state(self, name):
        row = self.row(name)
        return row["state"] if row else None

    def wait_state(self, name, *states, seconds=10):
        try:
            wait_until(lambda: self.state(name) in states, seconds * SLOW, f"{name} {states}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.row(name)}\n{self.servidor3.output()[-3000:]}") from None

    def wait_up(self, *names, seconds=10):
        for name in names:
            self.wait_state(name, "up", seconds=seconds)

    def wget(self, address, seconds=5):
        """What the client gets from http://address/, "" when nothing."""
        url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
        return self.network.run("client", "wget", "-q", "-t", "1", "-T", seconds, "-O", "-", url).stdout

    def request(self):
        """One request through the proxy: s1, s2 or nothing."""
        page = self.wget(self.addresses["s3"])
        return next((name for name, web in self.webs.items() if web.page == page), "nothing")

    def ten(self, between=lambda: None):
        """Who served ten requests: a Counter of s1, s2, nothing."""
        served = collections.Counter()
        for _ in range(10):
            between()
            served[self.request()] += 1
        return served

    def probe_of_both(self):
        """Returns when both back-ends have been probed since the call."""
        since = time.monotonic()

        def probed():
            asked_after_ms = (time.monotonic() - since) * 1000
            rows = [self.row(name) for name in ("s1", "s2")]
            return all(row and row["report_age_ms"] is not None and row["report_age_ms"] < asked_after_ms for row in rows)
        wait_until(probed, 10 * SLOW, "a probe of both")

    def assert_both_serve(self, between=lambda: None, seconds=15):
        """Ten requests, all answered, by both. What a busy moment does to one back-end's smoothed round-trip times is
        remembered for seconds, so there are several rounds for it."""
        def both_serve():
            served = self.ten(between)
            self.assertEqual(served["nothing"], 0, served)
            return served["s1"] and served["s2"]
        wait_until(both_serve, seconds * SLOW, "ten requests served by both")

    def assert_serves(self, name, seconds=15):
        """The back-end gets requests, and those that it does not get are answered too."""
        def its_turn():
            served = self.request()
            self.assertNotEqual(served, "nothing")
            return served == name
        wait_until(its_turn, seconds * SLOW, f"a request served by {name}")


class Initialisation(ReportCase):
    """With every default: port 80, port 5555, all timers."""

    def test_agents_before_the_proxy(self):
        self.start_agent("s1")
        self.start_agent("s2")
        self.start_proxy()
        self.wait_up("s1", "s2", seconds=5)
        self.assertIn(self.request(), ("s1", "s2"))

    def test_proxy_before_the_agents(self):
        self.start_proxy()
        self.assertEqual(self.status()["backends"], [])
        self.start_agent("s1")
        self.start_agent("s2")
        self.wait_up("s1", "s2", seconds=5)
        self.assertIn(self.request(), ("s1", "s2"))

    def test_one_back_end_is_a_pool(self):
        self.start_proxy()
        self.start_agent("s1")
        self.wait_up("s1", seconds=5)
        self.assertEqual(self.ten(), {"s1": 10})


class Test1(ReportCase):
    def test_same_bytes_direct_and_through_the_proxy(self):
        self.start_proxy()
        self.start_agent("s1")
        self.wait_up("s1", seconds=5)
        direct = self.wget(self.addresses["s1"])
        self.assertEqual(direct, "<h1> hello world CC TP2 Servidor1</h1>\n")
        self.assertEqual(self.wget(self.addresses["s3"]), direct)


class Test1OverIpv6(Test1):
    addresses = V6


class Test2(ReportCase):
    def test_ten_requests_are_spread(self):
        self.start_all(*QUICK)
        self.assert_both_serve()

    def test_ten_requests_are_spread_by_the_reports_rule(self):
        """It decides by the last probe alone, so there has to be one between any two requests, as in the report."""
        self.start_all(*QUICK, "--policy", "report")
        self.assert_both_serve(between=self.probe_of_both)

    def test_an_inflated_report_keeps_all_traffic_away(self):
        for policy in ("weighted", "report"):
            with self.subTest(policy=policy):
                self.start_agent("s1")
                self.start_agent("s2", *FIXED)
                self.start_proxy(*PROBES, "--policy", policy)  # and an agent that pauses for a second is not stale
                self.wait_up("s1", "s2")
                self.probe_of_both()
                self.assertEqual(self.ten(), {"s1": 10})
                row = self.row("s2")
                self.assertEqual(row["state"], "up")
                self.assertEqual(row["connections"]["active"], 0)
                for process in (self.servidor3, *self.agents.values()):
                    process.stop()

    def test_honest_again_it_serves_again(self):
        self.start_all(*QUICK)
        self.agents["s2"].stop()
        self.start_agent("s2", *FIXED)
        self.wait_state("s2", "up")
        self.probe_of_both()
        self.agents["s2"].stop()
        self.start_agent("s2")
        self.wait_up("s2")
        self.assert_serves("s2")


class Failures(ReportCase):
    def test_agent_killed_service_alive(self):
        self.start_all(*QUICK)
        self.agents["s2"].kill()
        self.wait_state("s2", "stale")
        self.assertEqual(self.ten()["nothing"], 0)
        self.assert_serves("s2")
        self.start_agent("s2")
        self.wait_up("s2")
        self.assert_serves("s2")

    def test_agent_says_goodbye(self):
        self.start_all(*QUICK)
        self.assertEqual(self.agents["s2"].stop(), 0)
        self.wait_state("s2", None, "drain", seconds=2)
        self.assertEqual(self.ten(), {"s1": 10})
        self.start_agent("s2")
        self.wait_up("s2", seconds=3)

    def test_web_server_killed_agent_alive(self):
        self.start_all(*QUICK)
        self.webs["s1"].kill()
        self.assertEqual(self.ten(), {"s2": 10})
        wait_until(lambda: self.state("s1") != "up", 10 * SLOW, "Servidor1 no longer up")
        self.start_web("s1")
        self.wait_up("s1", seconds=20)
        self.assert_serves("s1")

    def test_both_web_servers_killed(self):
        self.start_all(*QUICK)
        for web in self.webs.values():
            web.kill()
        self.assertEqual(self.request(), "nothing")
        self.start_web("s2")
        wait_until(lambda: self.request() == "s2", 20 * SLOW, "a request served by Servidor2")

    def test_link_cut_and_joined(self):
        self.start_all(*QUICK)
        self.addCleanup(self.network.join, "s2")
        self.network.cut("s2")
        self.assertEqual(self.ten(), {"s1": 10})
        self.wait_state("s2", "down", "ejected")
        self.network.join("s2")
        self.wait_up("s2", seconds=20)
        self.assert_serves("s2")

    def back_after(self, number, *flags):
        """Ends the proxy with that signal, starts it again and returns the seconds for which it listens until its pool is
        whole."""
        self.start_all(*flags)
        for _ in range(5):  # until the agents have measured how often this proxy probes; they assume 5 s before
            self.probe_of_both()
        self.servidor3.stop(number)
        listening = self.start_proxy(*flags)
        self.wait_up("s1", "s2", seconds=20)
        took = time.monotonic() - listening
        print(f"[signal {number}: pool back {took:.2f} s after it listens] ", end="", flush=True)
        self.assertIn(self.request(), ("s1", "s2"))
        return took

    def test_proxy_restarted(self):
        self.assertLess(self.back_after(signal.SIGTERM, *QUICK), 2 * SLOW)

    def test_proxy_killed_and_restarted(self):
        """It could not say goodbye: the agents notice after three usual gaps between probes (15 s by default)."""
        self.assertLess(self.back_after(signal.SIGKILL, *QUICK), 2 * SLOW)


if __name__ == "__main__":
    unittest.main()
