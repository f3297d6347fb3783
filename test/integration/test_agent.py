"""monitorUDP, probed by a proxy made of one socket: when it registers, whom it answers, and whether its figures are right."""

import os
import pathlib
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest
from collections import namedtuple

from harness import SLOW, Process, TestCase, free_port, program, real_program_only, wait_until

BODY = struct.Struct(">BBHIQQIIHHIIB3x")  # docs/PROTOCOL.md, bytes 0 to 47
REGISTER, PROBE_REQUEST, PROBE_RESPONSE, DEREGISTER = 1, 2, 3, 4
POOL = 0x37A8EEC1  # "default"
SO_TIMESTAMPNS = 35  # of Linux; the socket module does not have it
TICK = os.sysconf("SC_CLK_TCK")

Packet = namedtuple("Packet", "type key_id port seq nonce boot pool interval_ms cpu mem machine service flags size at")


def decode(data, at):
    first, *rest = BODY.unpack(data[:BODY.size])
    assert first >> 3 == 1, f"version {first >> 3}"
    return Packet(first & 7, *rest, len(data), at)


class FakeProxy:
    """A UDP socket that probes by hand."""

    def __init__(self, address="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind((address, 0))
        self.agent, self.seq, self.nonce = None, 0, 0

    @property
    def at(self):
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def receive(self, kind, seconds=5):
        """The next packet of that type; others are passed over. `at` is the kernel's stamp, by time.time()."""
        end = time.monotonic() + seconds * SLOW
        while select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            data, ((_, _, stamp),), _, source = self.socket.recvmsg(2048, 64)
            whole, nanoseconds = struct.unpack("qq", stamp)
            packet = decode(data, whole + nanoseconds / 1e9)
            if packet.type == kind:
                self.agent = source
                return packet
        raise AssertionError(f"no packet of type {kind} within {seconds} s")

    def forget(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(2048)

    def request(self, flags=0, to=None):
        self.seq += 1
        self.nonce = int.from_bytes(os.urandom(8), "big")
        body = BODY.pack(1 << 3 | PROBE_REQUEST, 0, 0, self.seq, self.nonce, 0, 0, 0, 0, 0, 0, 0, flags)
        self.socket.sendto(body + bytes(16), to or self.agent)

    def probe(self, **options):
        self.request(**options)
        answer = self.receive(PROBE_RESPONSE)
        assert (answer.seq, answer.nonce) == (self.seq, self.nonce), answer
        return answer

    def close(self):
        self.socket.close()


class AgentTest(TestCase):
    def fake_proxy(self, address="127.0.0.1"):
        proxy = FakeProxy(address)
        self.addCleanup(proxy.close)
        return proxy

    def agent_of(self, *proxies, flags=(), interval=20, port=80, prefix=()):
        """A running agent; it has registered with the first of the proxies."""
        agent = self.started(Process(program("monitorUDP"), interval, *(proxy.at for proxy in proxies), "--bind", ":0",
                                     "--service-port", port, "--log-level", "debug", *flags, prefix=prefix))
        agent.register = proxies[0].receive(REGISTER)
        return agent


class Protocol(AgentTest):
    def test_registers_within_a_second_and_answers(self):
        def once():
            proxy, started = self.fake_proxy(), time.time()
            return self.agent_of(proxy).register.at - started
        self.assert_within(1 * SLOW, once)
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, port=8080)
        register = agent.register
        self.assertEqual((register.port, register.pool, register.interval_ms), (8080, POOL, 20000))
        answer = proxy.probe()
        self.assertEqual((answer.port, answer.pool, answer.boot), (8080, POOL, register.boot))
        self.assertEqual((register.size, answer.size), (64, 64))
        agent.wait_for(rf'level=info msg="agent started" proxies={proxy.at} interval_s=20 service_port=8080 pool=default')
        agent.wait_for(rf'level=debug msg="register sent" proxy={proxy.at}')
        agent.wait_for(rf'level=info msg="probed for the first time by proxy" proxy={proxy.at}')
        agent.wait_for(rf'level=debug msg="request received" seq=1 proxy={proxy.at}')
        agent.wait_for(r'level=debug msg="response sent" seq=1 .*cpu=[\d.]+ mem=[\d.]+ tcp=\d+')

    def test_every_second_until_probed_then_each_interval(self):
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, interval=2)
        times = [agent.register.at] + [proxy.receive(REGISTER).at for _ in range(2)]
        proxy.probe()
        times += [proxy.receive(REGISTER).at for _ in range(1)]
        gaps = [round(later - earlier, 1) for earlier, later in zip(times, times[1:])]
        for gap, wanted in zip(gaps, (1, 1, 2)):
            self.assertAlmostEqual(gap, wanted, delta=0.3 * SLOW, msg=str(gaps))

    def test_a_leaving_proxy_is_registered_with_every_second(self):
        proxy = self.fake_proxy()
        self.agent_of(proxy, interval=60)
        proxy.probe()
        proxy.probe(flags=1)
        proxy.forget()
        first, second = proxy.receive(REGISTER, 2).at, proxy.receive(REGISTER, 2).at
        self.assertAlmostEqual(second - first, 1, delta=0.3 * SLOW)

    def test_a_silent_proxy_is_registered_with_every_second(self):
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, interval=60)
        for _ in range(6):
            proxy.probe()
        proxy.forget()
        first, second = proxy.receive(REGISTER).at, proxy.receive(REGISTER).at
        self.assertAlmostEqual(second - first, 1, delta=0.3 * SLOW)
        agent.wait_for('msg="no probes: registering every second"')

    def test_only_proxies_that_it_registers_with_are_answered(self):
        proxy, other_port, other_host = self.fake_proxy(), self.fake_proxy(), self.fake_proxy("127.0.0.2")
        agent = self.agent_of(proxy)
        for stranger in (other_port, other_host):
            stranger.request(to=proxy.agent)
            agent.wait_for(f'msg="packet dropped" reason=unknown source={stranger.at}')
        proxy.probe()  # answers keep the order of requests: a stranger's would be here by now
        for stranger in (other_port, other_host):
            self.assertFalse(select.select([stranger.socket], [], [], 0)[0])

    def test_noise_is_dropped(self):
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy)
        for noise in (b"", b"x" * 63, b"x" * 64, b"\x09" + bytes(63), b"\x12" + bytes(63), bytes(2000)):
            proxy.socket.sendto(noise, proxy.agent)
        proxy.probe()  # answered after the noise was dropped; what is logged arrives by another way
        wait_until(lambda: agent.output().count('msg="packet dropped"') == 6)

    def test_ipv6_and_several_proxies_by_name(self):
        four, six = self.fake_proxy(), self.fake_proxy("::1")
        agent = self.started(Process(program("monitorUDP"), 20, f"localhost:{four.at.split(':')[1]}", six.at,
                                     "--bind", ":0", "--log-level", "debug"))
        for proxy in (four, six):
            proxy.receive(REGISTER)
            proxy.probe()
        agent.wait_for('msg="proxy resolved" name=localhost')

    def test_an_unknown_name_is_not_fatal(self):
        proxy = self.fake_proxy()
        agent = self.started(Process(program("monitorUDP"), 20, "no-such-host.invalid", proxy.at, "--bind", ":0"))
        proxy.receive(REGISTER)
        proxy.probe()
        agent.wait_for("level=warn .*no-such-host.invalid", 20)

    def test_term_deregisters_with_the_last_nonce(self):
        proxy, unprobed = self.fake_proxy(), self.fake_proxy()
        agent = self.agent_of(proxy, unprobed)
        for _ in range(2):
            proxy.probe()
        self.assertEqual(agent.stop(signal.SIGTERM), 0)
        good_bye = proxy.receive(DEREGISTER)
        self.assertEqual((good_bye.nonce, good_bye.boot, good_bye.pool), (proxy.nonce, agent.register.boot, POOL))
        with self.assertRaises(AssertionError):
            unprobed.receive(DEREGISTER, 0)

    def test_usr1_toggles_draining(self):
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy)
        self.assertEqual(proxy.probe().flags & 2, 0)
        agent.send(signal.SIGUSR1)
        agent.wait_for("msg=\"draining")
        self.assertEqual(proxy.probe().flags & 2, 2)
        agent.send(signal.SIGUSR1)
        agent.wait_for("msg=\"ready")
        self.assertEqual(proxy.probe().flags & 2, 0)

    def test_fixed_report(self):
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, flags=("--fixed-report", "cpu=100,mem=100,tcp=100"))
        answer = proxy.probe()
        self.assertEqual((answer.cpu, answer.mem, answer.machine, answer.service), (10000, 10000, 100, 100))
        agent.wait_for('level=debug msg="fixed report" cpu=100 mem=100 tcp=100')

    def test_report_from_a_file_read_at_each_probe(self):
        file = self.directory() / "load"
        file.write_text("cpu=20,mem=50,tcp=3\n")
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, flags=("--report-from", file))
        self.assertEqual(proxy.probe()[8:12], (2000, 5000, 3, 3))
        file.write_text("cpu=99.5,mem=50,tcp=3,service=1\n")
        self.assertEqual(proxy.probe()[8:12], (9950, 5000, 3, 1))
        file.write_text("nonsense")
        self.assertEqual(proxy.probe()[8:12], (9950, 5000, 3, 1))
        agent.wait_for("level=warn msg=\"keeping the last load report\" .*nonsense")

    def test_signed_packets(self):
        file = self.directory() / "keys"
        file.write_text("7 " + "ab" * 32 + "\n")
        file.chmod(0o600)
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, flags=("--key-file", file))
        self.assertEqual(agent.register.key_id, 7)
        proxy.request()
        agent.wait_for('msg="packet dropped" reason=mac')


class CommandLine(AgentTest):
    def refused(self, code, says, *arguments):
        result = subprocess.run([program("monitorUDP"), *map(str, arguments)], text=True, capture_output=True,
                                timeout=10 * SLOW, stdin=subprocess.DEVNULL)
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (code, 1), result.stderr)
        self.assertTrue(result.stderr.startswith("monitorUDP: "), result.stderr)
        self.assertIn(says, result.stderr)

    def test_mistakes(self):
        for says, *arguments in (
                ("interval-seconds", ), ("proxy", 20), ("interval 'x'", "x", "h"), ("interval '0'", 0, "h"),
                ("proxy 'h:0'", 20, "h:0"), ("--bind", 20, "h", "--bind", "nowhere"),
                ("--service-port", 20, "h", "--service-port", 0), ("--nope", 20, "h", "--nope"),
                ("--fixed-report", 20, "h", "--fixed-report", "cpu=200,mem=1,tcp=1")):
            with self.subTest(arguments=arguments):
                self.refused(64, says, *arguments)

    def test_unusable_files(self):
        self.refused(1, "/no/such", 20, "h", "--key-file", "/no/such", "--bind", ":0")
        self.refused(1, "/no/such", 20, "h", "--report-from", "/no/such", "--bind", ":0")

    def test_port_taken(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            self.refused(1, f"monitorUDP: UDP {port} is taken (a proxy on this host? use --bind :0)",
                         20, "127.0.0.1", "--bind", f"127.0.0.1:{port}")

    def test_check_config(self):
        file = self.directory() / "agent.toml"
        file.write_text('interval-seconds = "20"\nproxy = ["10.1.1.10"]\nservice-port = 8080\n')
        result = subprocess.run([program("monitorUDP"), "--config", file, "--check-config"], text=True,
                                capture_output=True, timeout=10 * SLOW)
        self.assertEqual((result.returncode, result.stdout), (0, "configuration is valid\n"), result.stderr)
        file.write_text("zork = 1\n")
        self.refused(64, "zork", "--config", file, 20, "h", "--check-config")


# Loopback connections are held by two processes, so that each needs one descriptor per connection.
HOLD_CLIENTS = """
import socket, sys
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
print("ready", flush=True)
sys.stdin.read()
"""
HOLD_SERVERS = """
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(4096)
print(server.getsockname()[1], flush=True)
held = [server.accept()[0] for _ in range(int(sys.argv[1]))]
print("ready", flush=True)
sys.stdin.read()
"""
BURN = """
print("ready", flush=True)
while True:
    pass
"""


def cpu_times():
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def busy_percent(before, after):
    return 100 * (1 - (after[1] - before[1]) / (after[0] - before[0]))


def cpu_seconds(pid):
    """CPU time of a process, by whichever of the kernel's two accounts (ticks, scheduler) says more."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    by_ticks = (int(fields[11]) + int(fields[12])) / TICK
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return max(by_ticks, sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9)


def count_lines(*command):
    return len(subprocess.run(command, text=True, capture_output=True, check=True).stdout.splitlines())


class Figures(AgentTest):
    def python(self, code, *arguments, prefix=()):
        """A helper process; it ends with its standard input, or is killed."""
        helper = subprocess.Popen([*prefix, sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

        def end():
            helper.kill()
            helper.communicate()
        self.addCleanup(end)
        return helper

    def burner(self, **options):
        """Burns a core by now."""
        self.assertEqual(self.python(BURN, **options).stdout.readline(), "ready\n")

    def connections(self, count):
        """Opens loopback connections; the port they are made to."""
        servers = self.python(HOLD_SERVERS, count)
        port = int(servers.stdout.readline())
        clients = self.python(HOLD_CLIENTS, port, count)
        for helper in (clients, servers):
            self.assertEqual(helper.stdout.readline(), "ready\n")
        return port

    def test_connections_of_the_machine_and_of_the_service(self):
        port = self.connections(25)
        proxy = self.fake_proxy()
        self.agent_of(proxy, port=port)

        def counts():
            established = count_lines("ss", "-Htn", "state", "established")
            close_wait = count_lines("ss", "-Htn", "state", "close-wait")
            netstat = subprocess.run(["netstat", "-nt"], text=True, capture_output=True, check=True).stdout
            return established, close_wait, netstat.count("ESTABLISHED")

        def agree():
            before = counts()
            answer = proxy.probe()
            # Elsewhere on the machine a connection may come and go between two looks, and /proc/net/tcp, which netstat
            # reads in pieces, may lose a line: another moment, then.
            established, close_wait, netstat = before
            steady = before == counts() and answer.machine == established + close_wait
            return steady and (close_wait > 0 or answer.machine == netstat) and answer  # netstat: the report's own way
        answer = wait_until(agree, 60, "a moment at which the agent, ss and netstat count the same")
        self.assertGreaterEqual(answer.machine, 50)
        self.assertEqual(answer.service, 25)
        self.assertEqual(answer.flags & 1, 1)

    def test_a_service_that_does_not_listen(self):
        proxy = self.fake_proxy()
        self.agent_of(proxy, port=free_port())
        self.assertEqual(proxy.probe().flags & 1, 0)

    def test_cpu_is_that_of_the_window_between_two_probes(self):
        """One core burns; /proc/stat read at both ends of the same window must say the same, and top about the same."""
        self.burner()
        proxy = self.fake_proxy()
        self.agent_of(proxy)
        proxy.probe()
        before = cpu_times()
        top = subprocess.run(["top", "-b", "-d", "2", "-n", "2"], text=True, capture_output=True, check=True).stdout
        answer, after = proxy.probe(), cpu_times()
        measured = busy_percent(before, after)
        self.assertAlmostEqual(answer.cpu / 100, measured, delta=3)
        summary = [line for line in top.splitlines() if line.startswith("%Cpu")][-1].replace("%Cpu(s):", "")
        shares = {name: float(value) for value, name in (part.split() for part in summary.split(","))}
        self.assertAlmostEqual(answer.cpu / 100, 100 - shares["id"] - shares["wa"], delta=6)
        self.assertGreater(answer.cpu / 100, 90 / os.cpu_count())

    def test_each_proxy_has_a_cpu_window_of_its_own(self):
        often, seldom = self.fake_proxy(), self.fake_proxy()
        self.agent_of(often, seldom)
        seldom.receive(REGISTER)
        seldom.probe()
        start = cpu_times()
        ends = time.monotonic() + 1
        while time.monotonic() < ends:  # one core of this machine
            pass
        often.probe()
        middle = cpu_times()
        wait_until(lambda: cpu_times()[0] - middle[0] > 2 * TICK * os.cpu_count(), 10, "two seconds of CPU time")
        late, whole, end = often.probe(), seldom.probe(), cpu_times()
        self.assertAlmostEqual(late.cpu / 100, busy_percent(middle, end), delta=5)
        self.assertAlmostEqual(whole.cpu / 100, busy_percent(start, end), delta=5)

    def test_memory_agrees_with_free(self):
        proxy = self.fake_proxy()
        self.agent_of(proxy)

        def agree():  # between the two readings others may take or give back much
            text = subprocess.run(["free", "-b"], text=True, capture_output=True, check=True).stdout
            words = text.splitlines()[1].split()
            return abs(proxy.probe().mem / 100 - (100 - 100 * int(words[6]) / int(words[1]))) <= 2
        wait_until(agree, 10, "the same share of memory")

    def test_in_a_control_group_the_share_is_of_its_quota(self):
        """Half a core is allowed and burnt: (nearly) full, however idle the machine is."""
        if os.geteuid() != 0:
            self.skipTest("needs root to make a control group")
        name, groups = f"farol-test-{os.getpid()}", []
        for controller in ("cpu", "cpuacct"):
            group = pathlib.Path("/sys/fs/cgroup", controller, name)
            try:
                group.mkdir()
            except OSError as error:
                self.skipTest(f"no control group v1 here: {error}")
            self.addCleanup(wait_until, lambda g=group: self.removed(g), 5, f"{group} is empty")
            groups.append(group)
        (groups[0] / "cpu.cfs_period_us").write_text("20000")
        (groups[0] / "cpu.cfs_quota_us").write_text("10000")
        join = ("sh", "-c", "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups) + 'exec "$@"', "sh")
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, prefix=join)
        agent.wait_for('msg="load is measured against this control group\'s limits" limits=.*cpu=0.5')
        proxy.probe()
        idle_window = time.monotonic() + 0.5
        wait_until(lambda: time.monotonic() > idle_window, 5, "a window without load")
        self.assertLess(proxy.probe().cpu, 2000 * SLOW)
        self.burner(prefix=join)

        def reading():
            return time.monotonic(), int((groups[1] / "cpuacct.usage").read_text()) / 1e9
        proxy.probe()
        begin, used = reading()
        wait_until(lambda: time.monotonic() > begin + 1.5, 5, "a window under load")
        answer, (end, used_by_now) = proxy.probe(), reading()
        self.assertAlmostEqual(answer.cpu / 100, min(100, 100 * (used_by_now - used) / (end - begin) / 0.5), delta=5)
        self.assertGreater(answer.cpu, 4000)  # all of it but for what the rest of this machine's load takes

    @staticmethod
    def removed(group):
        try:
            group.rmdir()
            return True
        except OSError:
            return False

    @real_program_only("sanitizers cost more than the agent")
    def test_cost_with_9000_connections(self):
        """At most 1 % of a core at one probe a second with 9 000 connections of the service open."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        count = min(9000, limit - 100)
        port = self.connections(count)
        proxy = self.fake_proxy()
        agent = self.agent_of(proxy, port=port)
        proxy.probe()
        started, before, answers = time.monotonic(), cpu_seconds(agent.pid), []
        while len(answers) < 10:
            due = started + len(answers) + 1
            wait_until(lambda: time.monotonic() >= due, 5, "the next second")
            answers.append(proxy.probe())
        share = 100 * (cpu_seconds(agent.pid) - before) / (time.monotonic() - started)
        print(f"\n  {count} connections, one probe a second: {share:.2f} % of a core ... ", end="", flush=True)
        self.assertEqual(answers[-1].service, count)
        self.assertLessEqual(share, 1.0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
