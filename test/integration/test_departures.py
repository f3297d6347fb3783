"""How a back-end left the table: the status, the events of the dashboard and `proxyctl check` all say what is true."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess

from harness import SLOW, TestCase, program, wait_until
from test_reload import Configured, key

QUICK = ("--probe-interval", "300ms", "--probe-timeout", "200ms", "--alive-interval", "1s")


def event_of(proxy, address, **wanted):
    """The event of a back-end that has such values, of late or to come, as a dashboard is told."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.admin_port, timeout=30 * SLOW)) as watcher:
        watcher.request("GET", "/api/v1/events")
        with watcher.getresponse() as stream:
            for line in stream:
                told = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {"events": []}
                for event in told["events"]:
                    if event.items() >= {"backend": f"{address}/default", **wanted}.items():
                        return event
    raise AssertionError(f"no such event of {address}: {wanted}")


class Departures(TestCase):
    def held(self, proxy, stack):
        """A client that stays."""
        before = proxy.status()["connections"]["active"]
        stack.enter_context(socket.create_connection((proxy.host, proxy.port), timeout=10))
        wait_until(lambda: proxy.status()["connections"]["active"] > before, 5 * SLOW, "the connection")

    def findings(self, proxy):
        done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "check", "--json"],
                              capture_output=True, text=True, timeout=10 * SLOW)
        return {each["rule"]: each for each in json.loads(done.stdout)["findings"]}

    def test_an_agent_that_stops_has_said_goodbye_and_one_that_is_killed_was_forgotten(self):
        proxy, polite, killed = self.proxy(*QUICK), self.web("one"), self.web("two")
        agent = self.agent(proxy, polite.port)
        victim = self.agent(proxy, killed.port)
        for web in (polite, killed):
            event_of(proxy, web.at, to="up")
        agent.stop()
        victim.kill()
        self.assertEqual(event_of(proxy, polite.at, kind="left")["cause"], "its agent said goodbye")
        self.assertEqual(event_of(proxy, killed.at, kind="left")["cause"], "silent for so long that it was forgotten")

    def test_an_agent_that_stops_under_open_connections_is_not_asked_for_by_usr1(self):
        proxy, web = self.proxy(*QUICK), self.web("one")
        agent = self.agent(proxy, web.port)
        proxy.wait_state(web.at, "up")
        with contextlib.ExitStack() as stack:
            self.held(proxy, stack)
            agent.stop()
            row = proxy.wait_state(web.at, "drain")
            self.assertEqual((row["cause"], row["leaving"]), ("its agent said goodbye", "goodbye"))
            found = self.findings(proxy)
            self.assertIn("start its agent again", found["leaving"]["advice"])
            self.assertIn("start an agent for it again", found["all-out-of-service"]["advice"])
            self.assertNotIn("out-of-service", found)

    def test_a_static_back_end_that_is_taken_out_says_so(self):
        one, two = self.web("one"), self.web("two")
        proxy = self.started(Configured(self.directory() / "proxy.toml", keys=[key("backend", one.at, two.at)]))
        for web in (one, two):
            event_of(proxy, web.at, to="up")
        with contextlib.ExitStack() as stack:
            while not proxy.backend(one.at)["connections"]["active"]:
                self.held(proxy, stack)
            proxy.reload(key("backend", two.at))
            row = proxy.wait_state(one.at, "drain")
            self.assertEqual((row["cause"], row["leaving"]), ("taken out of the configuration", "configuration"))
            self.assertIn("put it back into the configuration", self.findings(proxy)["leaving"]["advice"])
        self.assertEqual(event_of(proxy, one.at, kind="left")["cause"], "taken out of the configuration")

    def test_a_service_that_refuses_is_told_from_one_that_does_not_answer(self):
        proxy, web = self.proxy(*QUICK), self.web("one")
        self.agent(proxy, web.port)
        proxy.wait_state(web.at, "up")
        web.stop(signal.SIGKILL)
        self.assertEqual(proxy.wait_state(web.at, "down")["cause"], "its service refuses connections")
