"""A proxy that is followed by another process, and sockets from a service manager: no client notices."""

import contextlib
import json
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import time
import unittest

from harness import (SANITIZED, SLOW, STAY_ROOT, Process, TestCase, for_the_proxy, free_port, holdings, http_get,
                     listens, program, wait_until)

FLOOD = str(pathlib.Path(__file__).resolve().parent / "flood.py")


def alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class Upgradable(TestCase):
    engine = "threads"

    def upgradable(self, *flags, **options):
        proxy = self.proxy("--engine", self.engine, "--probe-interval", "1s", *flags, **options)
        self.addCleanup(self.end_successors)
        self.successors = []
        return proxy

    def end_successors(self):
        for process in self.successors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
                os.kill(process, signal.SIGTERM)
            wait_until(lambda which=process: not alive(which), 10 * SLOW, "the end of a successor")

    def upgrade(self, proxy):
        """Its new process."""
        done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "upgrade", "--json"],
                              text=True, capture_output=True, timeout=40 * SLOW)
        self.assertEqual((done.returncode, done.stderr), (0, ""), proxy.output()[-3000:])
        self.successors.append(json.loads(done.stdout)["process"])
        return self.successors[-1]


class Upgrade(Upgradable):
    def test_none_of_a_thousand_connections_a_second_fails(self):
        ports = [free_port(), free_port()]
        for port in ports:
            self.started(Process(sys.executable, FLOOD, "--serve", port))
            wait_until(lambda at=port: listens("127.0.0.1", at), 10 * SLOW, "the server")
        services = [f"127.0.0.1:{port}" for port in ports]
        proxy = self.upgradable("--drain-timeout", "20s", "--log-level", "warn", backends=services[:1])
        self.agent(proxy, ports[1])
        for each in services:
            proxy.wait_state(each, "up")
        flood = Flood(proxy.port, 100 if SANITIZED else 1000)
        self.addCleanup(flood.kill)
        for upgrade in range(3):
            before = proxy.status()["connections"]["total"]
            wait_until(lambda: proxy.status()["connections"]["total"] > before + flood.rate, 60, "a second of the flood")
            self.upgrade(proxy)
        result = flood.result()
        self.assertEqual(result["failed"][:3], [])
        self.assertGreater(result["asked"], 3 * flood.rate)
        self.assertEqual(proxy.popen.wait(30), 0)  # the first one is gone

    def test_connections_of_the_old_one_live_on(self):
        web = self.web("one")
        proxy = self.upgradable(backends=[web.at])
        proxy.wait_state(web.at, "up")
        with socket.create_connection((proxy.host, proxy.port), timeout=20) as held:
            held.sendall(b"GET / HTTP/1.0\r\n")
            wait_until(lambda: proxy.status()["connections"]["active"] == 1, what="the connection")
            successor = self.upgrade(proxy)
            self.assertEqual(proxy.get(), web.page)
            wait_until(lambda: proxy.status()["connections"]["active"] == 0, what="the new one's word")
            for meant_for_the_new_one in (signal.SIGHUP, signal.SIGUSR2):
                proxy.send(meant_for_the_new_one)
            self.assertTrue(proxy.running())
            held.sendall(b"\r\n")
            answer = b""
            while block := held.recv(65536):
                answer += block
        self.assertIn(web.page.encode(), answer)
        self.assertEqual(proxy.popen.wait(20 * SLOW), 0)
        self.assertTrue(alive(successor))
        self.assertEqual(proxy.get(), web.page)

    def test_the_new_one_knows_the_agents_and_the_operators_orders(self):
        web = [self.web(name) for name in ("one", "two", "three")]
        proxy = self.upgradable(backends=[web[0].at])
        agents = [self.agent(proxy, each.port, interval=600) for each in web[1:]]
        for each in web:
            proxy.wait_state(each.at, "up")
        for order, each in (("maint", web[0]), ("drain", web[1])):
            subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", order, each.at],
                           check=True, capture_output=True, timeout=20)
        began = time.monotonic()
        self.upgrade(proxy)
        states = {row["address"]: row["state"] for row in proxy.status()["backends"]}
        self.assertLess(time.monotonic() - began, 3 * SLOW)
        self.assertEqual(states, {web[0].at: "maint", web[1].at: "drain", web[2].at: "up"})
        self.assertTrue(all(agent.running() for agent in agents))
        self.assertEqual(proxy.get(), web[2].page)

    def test_an_open_dashboard_goes_over_to_the_new_one(self):
        web = self.web("one")
        proxy = self.upgradable("--drain-timeout", "40s", backends=[web.at])
        proxy.wait_state(web.at, "up")
        with contextlib.ExitStack() as stack:
            page = stack.enter_context(self.dashboard(proxy))
            held = stack.enter_context(socket.create_connection((proxy.host, proxy.port), timeout=20))  # the old one stays
            held.sendall(b"GET / HTTP/1.0\r\n")
            wait_until(lambda: proxy.status()["connections"]["active"] == 1, what="the connection")
            self.assertIn('"active":1', self.next_event(page, "tick", '"active":1'))
            self.upgrade(proxy)
            while page.recv(65536):  # until the old one ends it: its browser comes again
                pass
            again = stack.enter_context(self.dashboard(proxy))
            self.assertIn('"active":0', self.next_event(again, "snapshot", '"active":0'))
            self.assertTrue(proxy.running())

    def dashboard(self, proxy):
        page = socket.create_connection(("127.0.0.1", proxy.admin_port), timeout=10 * SLOW)
        page.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return page

    def next_event(self, page, kind, text):
        """What the page hears until an event of that kind with that text."""
        heard = b""
        while not (f"event: {kind}".encode() in heard and text.encode() in heard):
            block = page.recv(65536)
            self.assertNotEqual(block, b"", heard[-500:])
            heard += block
        return heard.decode()

    def test_one_that_cannot_start_leaves_the_old_one_as_it_was(self):
        web = self.web("one")
        file = self.directory() / "proxy.toml"
        file.write_text("")
        proxy = self.upgradable("--config", str(file), backends=[web.at])
        proxy.wait_state(web.at, "up")
        for wrong, says in (("zork=1\n", "ended with code 64"), ('key-file="/no/such/file"\n', "ended with code 1")):
            file.write_text(wrong)
            done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "upgrade"],
                                  text=True, capture_output=True, timeout=40 * SLOW)
            self.assertEqual(done.returncode, 1)
            self.assertIn(says, done.stderr)
            proxy.wait_for("upgrade failed.*" + says)
            self.assertEqual(proxy.get(), web.page)
        proxy.wait_for(f"configuration file {file}: unknown key 'zork'")
        file.write_text("")
        self.upgrade(proxy)
        self.assertEqual(proxy.get(), web.page)

    @unittest.skipIf(SANITIZED or os.geteuid() != 0, "needs a user with no other process")
    def test_one_that_fails_when_it_listens_already_leaves_the_sockets_open(self):
        web = self.web("one")
        proxy = self.upgradable("--user", "games", backends=[web.at])
        proxy.wait_state(web.at, "up")
        failures = 0
        steps = range(1, 30 + os.cpu_count(), 6)
        for more in steps:  # so many threads the new one gets, and lacks the next
            self.let_it_have(proxy, holdings(proxy.pid).threads + more)
            done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "upgrade", "--json"],
                                  text=True, capture_output=True, timeout=40)
            if done.returncode == 0:
                self.successors.append(json.loads(done.stdout)["process"])
                break
            failures += 1
            self.let_it_have(proxy, 10_000)
            for _ in range(3):
                self.assertEqual(proxy.get(), web.page)
        self.assertGreater(failures, 1)
        self.assertLess(failures, len(steps))

    def let_it_have(self, proxy, threads):
        """Its user alone may say so, and it is for all of the user's threads."""
        subprocess.run(["prlimit", f"--pid={proxy.pid}", f"--nproc={threads}:"], check=True, user="games",
                       group=pwd.getpwnam("games").pw_gid, timeout=20)


class UpgradeEvents(Upgrade):
    engine = "events"


class UpgradeEpoll(Upgrade):
    engine = "epoll"


class Rules(Upgradable):
    """What no engine has a part in."""

    def test_a_back_end_whose_agent_is_silent_is_served_on(self):
        web = self.web("one")
        proxy = self.upgradable("--alive-interval", "2s")
        agent = self.agent(proxy, web.port, interval=60)
        proxy.wait_state(web.at, "up")
        agent.kill()
        proxy.wait_state(web.at, "stale")
        self.upgrade(proxy)
        for _ in range(5):
            self.assertEqual(proxy.get(), web.page)
        self.assertEqual(proxy.backend(web.at)["state"], "stale")

    def test_one_at_a_time_and_a_stop_is_for_both(self):
        web = self.web("one")
        proxy = self.upgradable()
        agent = self.agent(proxy, web.port)
        proxy.wait_state(web.at, "up")
        with socket.create_connection((proxy.host, proxy.port), timeout=20) as held:
            wait_until(lambda: proxy.status()["connections"]["active"] == 1, what="the connection")
            agent.send(signal.SIGSTOP)  # so the new one waits for it, for a second
            command = [program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "upgrade", "--json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
                new = int(wait_until(lambda: children(proxy.pid), 10 * SLOW, "the new process")[0])
                os.kill(new, signal.SIGSTOP)  # for which the old one waits, for ten
                second = subprocess.run(command, text=True, capture_output=True, timeout=40 * SLOW)
                self.assertIn("under way", second.stderr)
                proxy.send(signal.SIGTERM)
                os.kill(new, signal.SIGCONT)
                successor = json.loads(first.communicate(timeout=40)[0])["process"]
            self.successors.append(successor)
            wait_until(lambda: not alive(successor), 10 * SLOW, "the end of the new one, which was stopped, too")
            held.settimeout(0.3)
            self.assertRaises(TimeoutError, held.recv, 1)  # the old one drains

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    @unittest.skipIf(STAY_ROOT, "of the real program only: the leak check may not look into one that was root once")
    def test_the_new_ones_memory_is_as_private_as_the_old_ones(self):
        proxy = self.upgradable()
        for process in (proxy.pid, self.upgrade(proxy)):
            self.assertEqual(os.stat(f"/proc/{process}/environ").st_uid, 0, "its own user may not look into it")

    def test_a_listener_that_its_own_old_one_is_in_the_way_of(self):
        web = self.web("one")
        file = self.directory() / "proxy.toml"
        old, admin = free_port(), free_port()
        file.write_text(f'listen=["127.0.0.1:{old}"]\n')
        for_the_proxy(file)
        proxy = self.started(Process(program("reverseProxy"), "--config", file, "--monitor-listen", "127.0.0.1:0",
                                     "--admin", f"127.0.0.1:{admin}", "--backend", web.at, *STAY_ROOT))
        proxy.admin_port = admin
        proxy.wait_for('msg="admin"')
        file.write_text(f'listen=["0.0.0.0:{old}"]\n')
        says = (f"cannot listen on 0.0.0.0:{old}: this proxy's own listener on 127.0.0.1:{old} has the port "
                "\\(restart it, or reload it with another port in place of that one first\\)")
        proxy.send(signal.SIGHUP)
        proxy.wait_for("reload failed.*" + says)
        done = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{admin}", "upgrade"], text=True,
                              capture_output=True, timeout=40 * SLOW)
        self.assertEqual(done.returncode, 1)
        proxy.wait_for("reverseProxy: " + says)
        for listener in (f"127.0.0.1:{free_port()}", f"0.0.0.0:{old}"):  # the way out that it names
            file.write_text(f'listen=["{listener}"]\n')
            proxy.send(signal.SIGHUP)
            proxy.wait_for(f'msg="listening" address={listener}')
        self.assertIn(b"hello world one", http_get("127.0.0.1", old, "/")[1])

    def test_a_proxy_that_drains_is_followed_by_nobody(self):
        web = self.web("one")
        proxy = self.upgradable(backends=[web.at])
        proxy.wait_state(web.at, "up")
        with socket.create_connection((proxy.host, proxy.port), timeout=20) as held:
            wait_until(lambda: proxy.status()["connections"]["active"] == 1, what="the connection")
            proxy.send(signal.SIGTERM)
            wait_until(lambda: proxy.status()["draining"], what="the drain")
            late = subprocess.run([program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "upgrade"],
                                  text=True, capture_output=True, timeout=40 * SLOW)
            self.assertEqual((late.returncode, late.stderr), (1, "proxyctl: this process is stopping\n"))
            held.settimeout(0.3)
            self.assertRaises(TimeoutError, held.recv, 1)


class Activation(TestCase):
    """Socket activation as systemd does it (sd_listen_fds(3)), here by the test."""

    def activated(self, sockets, *flags):
        numbers = [each.fileno() for each in sockets]
        moves = " ".join(f"{3 + i}<&{number} {number}<&-" for i, number in enumerate(numbers))
        script = f'export LISTEN_PID=$$ LISTEN_FDS={len(numbers)}; exec "$@" {moves}'
        return Process("bash", "-c", script, "bash", program("reverseProxy"), *flags, *STAY_ROOT, inherit=numbers)

    def sockets(self):
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        high = []
        for each in (tcp, udp):  # away from the numbers they are passed under
            copy = socket.socket(fileno=os.dup2(each.fileno(), 50 + len(high)))
            each.close()
            self.addCleanup(copy.close)
            high.append(copy)
        return high

    def test_clients_wait_in_the_sockets_backlog_until_it_serves(self):
        web = self.web("one")
        tcp, udp = self.sockets()
        port, probes = tcp.getsockname()[1], udp.getsockname()[1]
        admin = free_port()
        flags = ("--listen", f"127.0.0.1:{port}", "--monitor-listen", f"127.0.0.1:{probes}", "--admin",
                 f"127.0.0.1:{admin}", "--backend", web.at)
        for engine in ("threads", "events", "epoll", "threads"):  # and each leaves the sockets fit for the next
            with self.subTest(engine=engine):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as early:
                    early.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    proxy = self.started(self.activated([tcp, udp], *flags, "--engine", engine))
                    answer = b""
                    while block := early.recv(65536):
                        answer += block
                self.assertIn(web.page.encode(), answer, proxy.output())
                self.assertEqual(http_get("127.0.0.1", port)[1].decode(), web.page)
                agent = self.started(Process(program("monitorUDP"), 1, f"127.0.0.1:{probes}", "--bind", "127.0.0.1:0",
                                             "--service-port", free_port()))
                proxy.wait_for("back-end registered")
                agent.stop()
                self.assertEqual(proxy.stop(), 0)

    def answers(self, port):
        with contextlib.suppress(OSError):
            return http_get("127.0.0.1", port, seconds=0.3 * SLOW)
        return None

    def test_who_comes_while_it_drains_waits_for_the_next(self):
        web = self.web("one")
        for engine in ("threads", "events", "epoll"):
            tcp, udp = self.sockets()
            port = tcp.getsockname()[1]
            flags = ("--listen", f"127.0.0.1:{port}", "--monitor-listen", f"127.0.0.1:{udp.getsockname()[1]}", "--admin",
                     "off", "--backend", web.at, "--engine", engine, "--workers", "2")
            with self.subTest(engine=engine), contextlib.ExitStack() as stack:
                first = self.started(self.activated([tcp, udp], *flags))
                self.assertEqual(http_get("127.0.0.1", port, seconds=20)[1].decode(), web.page)
                held = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                held.sendall(b"GET / HTTP/1.0\r\n")
                first.wait_for("back-end state changed")
                first.send(signal.SIGTERM)
                first.wait_for("draining")
                # An accept that was under way still takes one, and serves who speaks at once.
                wait_until(lambda at=port: not self.answers(at), 10 * SLOW, "an end of all accepts")
                clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                           for _ in range(40)]
                held.close()
                self.assertEqual(first.popen.wait(20 * SLOW), 0)
                self.started(self.activated([tcp, udp], *flags))
                for client in clients:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    answer = b""
                    while block := client.recv(65536):
                        answer += block
                    self.assertIn(web.page.encode(), answer)
            tcp.close()
            udp.close()

    def test_a_socket_that_no_flag_names_is_refused(self):
        tcp, udp = self.sockets()
        other = free_port()
        proxy = self.started(self.activated([tcp, udp], "--listen", f"127.0.0.1:{other}", "--admin", "off",
                                            "--monitor-listen", f"127.0.0.1:{udp.getsockname()[1]}"))
        self.assertEqual(proxy.popen.wait(10 * SLOW), 1)
        proxy.reader.join(5)
        self.assertIn(f"the service manager hands over TCP 127.0.0.1:{tcp.getsockname()[1]}, which is none of --listen",
                      proxy.output())


class Flood:
    """flood.py, which runs until it is asked how it went."""

    def __init__(self, port, rate):
        self.popen = subprocess.Popen([sys.executable, FLOOD, str(port), str(rate)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.rate = rate

    def result(self):
        answer, _ = self.popen.communicate(timeout=60)
        return json.loads(answer)

    def kill(self):
        self.popen.kill()
        self.popen.communicate()


if __name__ == "__main__":
    unittest.main()
