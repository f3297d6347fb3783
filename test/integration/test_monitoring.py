"""Agents and the proxy together: who is in the table when one starts, stops, dies, sleeps or holds a wrong key."""

import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import (SLOW, STAY_ROOT, Process, Proxy, TestCase, for_the_proxy, free_port, free_udp_port, program,
                     wait_until)

STRANGER = pathlib.Path(__file__).with_name("stranger_agent.py")
QUICK = ("--probe-interval", "500ms", "--probe-timeout", "250ms", "--alive-interval", "1s")


class ProxyOn(Proxy):
    """A proxy on given ports (listen, probe, admin), so that another life of it can have them again."""

    def __init__(self, ports, *flags):
        self.host = "127.0.0.1"
        self.port, self.probe_port, self.admin_port = ports
        Process.__init__(self, program("reverseProxy"), "--listen", f"127.0.0.1:{self.port}", "--monitor-listen",
                         f"127.0.0.1:{self.probe_port}", "--admin", f"127.0.0.1:{self.admin_port}", *STAY_ROOT, *flags)
        wait_until(lambda: not self.running() or self.healthy(), 10 * SLOW, "the proxy's /healthz")


class Service:
    """A TCP service that says its name to everyone who connects."""

    def __init__(self, name, port=0):
        self.name = name.encode()
        self.socket = socket.create_server(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.at = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                client, _ = self.socket.accept()
                with client:
                    client.sendall(self.name)
        except OSError:
            pass  # closed

    def close(self):
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accept
            self.socket.close()


class MonitoringTest(TestCase):
    def service(self, name="service", port=0):
        made = Service(name, port)
        self.addCleanup(made.close)
        return made

    def proxy_on(self, ports, *flags):
        return self.started(ProxyOn(ports, *flags))

    def key_file(self, *keys):
        """A file of (id, hex digit repeated) lines."""
        path = self.directory() / "keys"
        path.touch(0o600)
        path.write_text("".join(f"{number} {digit * 64}\n" for number, digit in keys))
        for_the_proxy(path)
        return path

    def stranger(self, proxy, service, *flags, interval=20):
        return self.started(Process(sys.executable, STRANGER, interval, f"127.0.0.1:{proxy.probe_port}",
                                    "--service-port", service.port, *flags))

    def answers(self, proxy, count):
        """Who served each of `count` connections."""
        names = []
        for _ in range(count):
            with socket.create_connection((proxy.host, proxy.port), timeout=5 * SLOW) as client:
                names.append(client.recv(64).decode())
        return names

    def dropped(self, proxy, reason):
        return proxy.status()["monitoring"]["dropped"][reason]


def ports():
    return free_port(), free_udp_port(), free_port()


class StartAndStop(MonitoringTest):
    def test_agent_before_the_proxy(self):
        def once():
            wanted, service = ports(), self.service()
            agent = self.agent(f"127.0.0.1:{wanted[1]}", service.port, "--log-level", "debug", interval=20)
            agent.wait_for('msg="register sent"')  # to nobody
            started = time.monotonic()
            self.proxy_on(wanted).wait_state(service.at, "up")
            return time.monotonic() - started
        self.assert_within(2 * SLOW, once)

    def test_agent_after_the_proxy(self):
        proxy = self.proxy()
        service = self.service("hello")
        self.agent(proxy, service.port, interval=20)
        row = proxy.wait_state(service.at, "up", seconds=2)
        self.assertEqual((row["source"], row["pool"]), ("agent", "default"))
        self.assertEqual(self.answers(proxy, 1), ["hello"])

    def test_several_agents_on_one_host(self):
        proxy = self.proxy()
        services = [self.service() for _ in range(3)]
        for service in services:
            self.agent(proxy, service.port)
        for service in services:
            proxy.wait_state(service.at, "up")

    def test_deregister_on_term(self):
        proxy = self.proxy()
        service = self.service()
        agent = self.agent(proxy, service.port, interval=20)
        proxy.wait_state(service.at, "up")
        self.assertEqual(agent.stop(), 0)
        proxy.wait_state(service.at, None, seconds=1)  # long before it would be forgotten
        proxy.wait_for('msg="back-end deregistered"')

    def test_a_killed_agent_leaves_a_stale_back_end_that_is_forgotten(self):
        proxy = self.proxy(*QUICK)
        service = self.service("still here")
        agent = self.agent(proxy, service.port, interval=2)  # forgotten after 6 s: the stale state lasts for some
        proxy.wait_state(service.at, "up")
        agent.stop(signal.SIGKILL)
        proxy.wait_state(service.at, "stale", seconds=4)
        self.assertEqual(self.answers(proxy, 1), ["still here"])
        proxy.wait_state(service.at, None, seconds=10)

    def test_a_required_agent_that_is_killed_takes_its_back_end_down(self):
        static, service = self.service("static"), self.service("service")
        proxy = self.proxy(*QUICK, "--require-agent", backends=[static.at])
        agent = self.agent(proxy, service.port, interval=20)
        proxy.wait_state(service.at, "up")
        agent.stop(signal.SIGKILL)
        proxy.wait_state(service.at, "down", seconds=4)
        self.assertEqual(proxy.wait_state(static.at, "up")["source"], "static")
        self.assertEqual(self.answers(proxy, 5), ["static"] * 5)
        self.agent(proxy, service.port, interval=1)
        proxy.wait_state(service.at, "up")

    def test_the_service_under_a_live_agent(self):
        proxy = self.proxy(*QUICK)
        service = self.service(port=free_port())  # which nobody takes while it is closed
        self.agent(proxy, service.port)
        proxy.wait_state(service.at, "up")
        service.close()
        proxy.wait_state(service.at, "down", seconds=6)  # the agent looks once a second
        back = self.service("back", service.port)
        proxy.wait_state(back.at, "up", seconds=6)

    def test_the_stranger_is_accepted(self):
        proxy = self.proxy("--probe-timeout", "5s")  # it reads all sockets of the machine in Python
        service = self.service("strange")
        stranger = self.stranger(proxy, service)
        proxy.wait_state(service.at, "up")
        wait_until(lambda: proxy.backend(service.at)["rtt_ms"]["sample"], 10 * SLOW, "its answer to a probe")
        row = proxy.backend(service.at)
        self.assertEqual(row["loss"], 0)
        self.assertGreater(row["memory"], 0)
        self.assertEqual(self.answers(proxy, 1), ["strange"])
        stranger.stop()
        proxy.wait_state(service.at, None, seconds=1)
        for reason in ("size", "mac", "version", "type", "malformed", "direction", "unknown"):
            self.assertEqual(self.dropped(proxy, reason), 0, reason)


class ProxyRestarts(MonitoringTest):
    def pool(self, ports_, *flags, agents=2):
        proxy = self.proxy_on(ports_, *flags)
        services = [self.service() for _ in range(agents)]
        running = [self.agent(proxy, service.port, "--log-level", "debug", interval=60) for service in services]
        for service in services:
            proxy.wait_state(service.at, "up")
        return proxy, services, running

    def back_after(self, ports_, services, flags=()):
        """Seconds from the start of a new proxy until all are up."""
        started = time.monotonic()
        proxy = self.proxy_on(ports_, *flags)
        for service in services:
            proxy.wait_state(service.at, "up", seconds=20)
        return time.monotonic() - started

    def test_after_term_the_pool_is_back_within_two_seconds(self):
        def once():
            wanted = ports()
            proxy, services, _ = self.pool(wanted)
            self.assertEqual(proxy.stop(), 0)
            return self.back_after(wanted, services)
        self.assert_within(2 * SLOW, once)

    def test_after_kill_the_pool_is_back_after_three_gaps(self):
        wanted, flags = ports(), ("--probe-interval", "1s")
        proxy, services, agents = self.pool(wanted, *flags)
        for agent in agents:  # so many that the agent knows the gap
            agent.wait_for(r'msg="request received" seq=7 ', 15)
        proxy.stop(signal.SIGKILL)
        self.assertLess(self.back_after(wanted, services, flags), (3 * 1.1 + 2) * SLOW)

    def test_after_kill_a_state_file_brings_the_pool_back_within_a_second(self):
        def once():
            wanted, path = ports(), self.state_file()
            proxy, services, _ = self.pool(wanted, "--state-file", path)
            wait_until(lambda: path.read_text().count("127.0.0.1:") == 4, 5 * SLOW, "two agents in the state file")
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            proxy.stop(signal.SIGKILL)
            return self.back_after(wanted, services, ("--state-file", path))
        self.assert_within(1 * SLOW, once)

    def test_a_state_file_is_kept_by_who_is_killed_before_the_agents_have_answered(self):
        def once():
            wanted, path = ports(), self.state_file()
            proxy, services, agents = self.pool(wanted, "--state-file", path)
            self.assertEqual(proxy.stop(), 0)
            text = path.read_text()
            for agent in agents:
                agent.send(signal.SIGSTOP)
            proxy = self.proxy_on(wanted, "--state-file", path)
            proxy.stop(signal.SIGKILL)
            self.assertEqual(sorted(path.read_text().splitlines()), sorted(text.splitlines()))
            for agent in agents:
                agent.send(signal.SIGCONT)
            return self.back_after(wanted, services, ("--state-file", path))
        self.assert_within(2 * SLOW, once)

    def test_a_state_file_makes_nobody_a_back_end(self):
        """Neither an address where nobody answers, nor one that may not register, nor what is no address."""
        wanted, path = ports(), self.state_file()
        proxy, services, _ = self.pool(wanted, "--state-file", path, agents=1)
        self.assertEqual(proxy.stop(), 0)
        with path.open("a") as file:
            file.write(f"127.0.0.1:{free_udp_port()} -\nnonsense\n")
        proxy = self.proxy_on(wanted, "--state-file", path, "--allow", "10.0.0.0/8")
        proxy.wait_for("the state file is damaged.* lines=1 agents=2")
        wait_until(lambda: not path.read_text().count("127.0.0.1"), 10 * SLOW, "the end of the search")
        self.assertEqual(proxy.status()["backends"], [])

    def state_file(self):
        path = self.directory() / "state"
        path.parent.chmod(0o777)  # started by root the proxy runs as nobody
        return path


class Keys(MonitoringTest):
    def test_one_key(self):
        keys = self.key_file((7, "a"))
        proxy = self.proxy("--key-file", keys)
        ours, theirs = self.service(), self.service()
        self.agent(proxy, ours.port, "--key-file", keys)
        self.stranger(proxy, theirs, "--key-file", keys)
        for service in (ours, theirs):
            proxy.wait_state(service.at, "up")
        self.assertEqual(self.dropped(proxy, "mac"), 0)

    def test_wrong_or_no_key_registers_nothing(self):
        keys = self.key_file((7, "a"))
        proxy, open_proxy = self.proxy("--key-file", keys), self.proxy()
        services = [self.service() for _ in range(3)]
        self.agent(proxy, services[0].port, "--key-file", self.key_file((7, "b")))
        self.stranger(proxy, services[1])
        wait_until(lambda: self.dropped(proxy, "mac") >= 4, 10 * SLOW, "drops for the wrong MAC")
        self.assertEqual(proxy.status()["backends"], [])
        self.agent(open_proxy, services[2].port, "--key-file", keys)
        wait_until(lambda: self.dropped(open_proxy, "mac") >= 2, 10 * SLOW, "drops for a MAC")
        self.assertEqual(open_proxy.status()["backends"], [])

    def test_every_step_of_a_rotation_works(self):
        old, new = (6, "c"), (7, "d")
        agents = [self.key_file(old), self.key_file(old, new), self.key_file(new, old)]
        for proxy_keys in (self.key_file(old, new), self.key_file(new, old)):
            proxy = self.proxy("--key-file", proxy_keys)
            together = agents if proxy_keys.read_text().startswith("6") else agents[1:] + [self.key_file(new)]
            services = [self.service() for _ in together]
            for service, keys in zip(services, together):
                self.agent(proxy, service.port, "--key-file", keys)
            for service in services:
                proxy.wait_state(service.at, "up")
            self.assertEqual(self.dropped(proxy, "mac"), 0)


class Sleepers(MonitoringTest):
    def test_a_stopped_agent_is_stale_then_up(self):
        proxy = self.proxy(*QUICK)
        service = self.service()
        agent = self.agent(proxy, service.port, interval=20)
        proxy.wait_state(service.at, "up")
        agent.send(signal.SIGSTOP)
        self.addCleanup(agent.send, signal.SIGCONT)
        row = proxy.wait_state(service.at, "stale", seconds=4)
        self.assertGreater(row["loss"], 0)
        agent.send(signal.SIGCONT)
        proxy.wait_state(service.at, "up", seconds=3)

    def test_a_stopped_proxy_blames_nobody(self):
        # The time-out is a long one: an agent that is late on a busy machine would be blamed, and rightly.
        proxy = self.proxy("--probe-interval", "700ms", "--probe-timeout", "2s", "--alive-interval", "2800ms", "--log-level",
                           "debug")
        services = [self.service() for _ in range(3)]
        for service in services:
            self.agent(proxy, service.port, interval=20)
        for service in services:
            proxy.wait_state(service.at, "up")
        wait_until(lambda: all(row["rtt_ms"]["sample"] for row in proxy.status()["backends"]), 5 * SLOW, "probes")
        for seconds in (3, 6):
            proxy.send(signal.SIGSTOP)
            time.sleep(seconds)  # the sleep under test
            proxy.send(signal.SIGCONT)
            end = time.monotonic() + 6  # two alive intervals
            while time.monotonic() < end:
                rows = proxy.status()["backends"]
                self.assertEqual([row["state"] for row in rows], ["up"] * 3, proxy.output()[-3000:])
                self.assertEqual([row["loss"] for row in rows], [0] * 3, proxy.output()[-3000:])
                time.sleep(0.1)
        self.assertNotIn("agent silent", proxy.output())
        self.assertNotIn("probe lost", proxy.output())

    def test_report_leaves_the_silent_one_out_and_weighted_does_not(self):
        expected = {"report": {"one"}, "weighted": {"one", "two"}}
        for policy, names in expected.items():
            with self.subTest(policy):
                proxy = self.proxy(*QUICK, "--policy", policy)
                one, two = self.service("one"), self.service("two")
                same = ("--fixed-report", "cpu=10,mem=10,tcp=10")
                self.agent(proxy, one.port, *same)
                sleeper = self.agent(proxy, two.port, *same, interval=20)
                for service in (one, two):
                    proxy.wait_state(service.at, "up")
                sleeper.send(signal.SIGSTOP)
                self.addCleanup(sleeper.send, signal.SIGCONT)
                proxy.wait_state(two.at, "stale", seconds=4)
                self.assertEqual(set(self.answers(proxy, 10)), names)


class Explanations(MonitoringTest):
    def proxyctl(self, proxy, *arguments):
        command = [program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", *arguments]
        result = subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=10 * SLOW)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def test_a_choice_is_explained_by_every_part_of_every_score(self):
        proxy = self.proxy(*QUICK)
        self.assertEqual(self.proxyctl(proxy, "explain"), "no decisions yet\n")
        idle, full = self.service("idle"), self.service("full")
        self.agent(proxy, idle.port, "--fixed-report", "cpu=10,mem=20,tcp=0")
        self.agent(proxy, full.port, "--fixed-report", "cpu=100,mem=100,tcp=100")
        for service in (idle, full):
            proxy.wait_state(service.at, "up")
        # Up is who registered; before its first answer to a probe an agent has said nothing of its load.
        wait_until(lambda: all(row["cpu"] is not None for row in proxy.status()["backends"]), 5 * SLOW, "reports")
        self.assertEqual(self.answers(proxy, 2), ["idle", "idle"])
        decision = json.loads(self.proxyctl(proxy, "explain", "--json"))["decisions"][0]
        self.assertEqual((decision["policy"], decision["chosen"], decision["candidates"]), ("weighted", idle.at, 2))
        self.assertEqual([one["address"] for one in decision["considered"]], [idle.at, full.at])
        for one in decision["considered"]:
            self.assertAlmostEqual(sum(one["components"].values()), one["score"], delta=.005)  # parts are rounded
        worse = decision["considered"][1]["components"]
        self.assertAlmostEqual(worse["cpu"], .75, delta=.001)
        self.assertAlmostEqual(worse["memory"], 1.5, delta=.001)
        lines = self.proxyctl(proxy, "explain", "--last", "1", "--backend", idle.at).splitlines()
        self.assertRegex(lines[0], r"^#2 .*: pool default, weighted: the lowest score; 2 could be chosen$")
        self.assertEqual(lines[2].split()[:2], [idle.at, "chosen"])
        self.assertRegex(lines[3], f"^{full.at} +passed over")
        self.assertEqual(self.proxyctl(proxy, "explain", "--backend", idle.at + "/default").splitlines()[2:3], lines[2:3])
        why = self.proxyctl(proxy, "explain", "--backend", full.at).splitlines()[1]
        self.assertRegex(why, f"^{full.at} was passed over: its score [0-9.]+, the other's [0-9.]+; most of it tcp")
        nobody = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "explain",
                                 "--backend", "192.0.2.1:80"], text=True, capture_output=True, timeout=10 * SLOW)
        self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
        self.assertEqual(nobody.stderr, "proxyctl: no back-end 192.0.2.1:80 (proxyctl status lists them)\n")
