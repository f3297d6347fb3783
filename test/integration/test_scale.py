"""A thousand agents at the default timers: what they cost the proxy, and what a flood of strangers does to them."""

import pathlib
import random
import resource
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import TestCase, holdings, http_get, real_program_only, wait_until
from metrics import Page, promtool

AGENTS = 1000
STRANGERS = 100_000
BODY = struct.Struct(">BBHIQQIIHHIIB3x")  # docs/PROTOCOL.md, bytes 0 to 47; the MAC is zero without keys
REGISTER, PROBE_RESPONSE, DEREGISTER, VERSION = 1, 3, 4, 1 << 3
POOL = 0x37A8EEC1  # "default"
REGISTER_INTERVAL = 20
IP_PKTINFO = 8  # linux/in.h; the socket module has it from Python 3.14 on
SO_TIMESTAMPNS = 35  # asm/socket.h
CPUCLOCK_SCHED = 2  # linux/posix-timers.h; as clock_getcpuclockid(3) puts it together
TIMESPEC = struct.Struct("@ll")
# Two hundredths of a core, where the bare exchange takes half a hundredth; on a slower machine as much more.
MOST_OF_A_CORE, MOST_BARE_EXCHANGES = 0.02, 4


def packet(kind, port=80, sequence=0, nonce=0, boot=0, interval_ms=0, listening=0):
    load = (1700, 4000, 5, 2) if kind == PROBE_RESPONSE else (0, 0, 0, 0)
    return BODY.pack(VERSION | kind, 0, port, sequence, nonce, boot, POOL, interval_ms, *load, listening) + bytes(16)


class Swarm:
    """Agents at 127.1.0.1, 127.1.0.2, …, each with a socket of its own, all in one thread."""

    def __init__(self, count, proxy_port):
        self.selector = selectors.DefaultSelector()
        self.agents = []
        self.probes = []  # when each numbered probe came, by the kernel: this thread may be late
        self.stopping = threading.Event()
        for i in range(1, count + 1):
            agent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            agent.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            agent.bind((f"127.1.{i >> 8}.{i & 255}", 0))
            agent.connect(("127.0.0.1", proxy_port))
            boot = random.getrandbits(64)
            self.agents.append((agent, boot))
            self.selector.register(agent, selectors.EVENT_READ, boot)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        """Registers spread over the first second and then over the interval, and answers to whatever is asked."""
        start = time.monotonic()
        due = [start + i / len(self.agents) for i in range(len(self.agents))]
        turn = 0
        while not self.stopping.is_set():
            while due[turn] <= time.monotonic():
                agent, boot = self.agents[turn]
                agent.send(packet(REGISTER, boot=boot, interval_ms=REGISTER_INTERVAL * 1000))
                due[turn] += REGISTER_INTERVAL
                turn = (turn + 1) % len(due)
            for key, _ in self.selector.select(0.05):
                self.answer(key.fileobj, key.data)

    def answer(self, agent, boot):
        try:
            data, ancillary, _, _ = agent.recvmsg(65, socket.CMSG_SPACE(TIMESPEC.size))
        except OSError:
            return  # nothing after all, or an ICMP error
        sequence, nonce = BODY.unpack(data[:BODY.size])[3:5]
        agent.send(packet(PROBE_RESPONSE, sequence=sequence, nonce=nonce, boot=boot, listening=1))
        if sequence:
            seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
            self.probes.append(seconds + nanoseconds / 1e9)

    def close(self):
        self.stopping.set()
        self.thread.join(10)
        for agent, _ in self.agents:
            agent.close()
        self.selector.close()


def cpu_seconds(pid):
    """Of all its threads, those that have ended too, in nanoseconds: /proc/pid/stat counts in hundredths of a second."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def flood(proxy_port, count):
    """Registers, unasked answers and Deregisters from random addresses of 127.0.0.0/8, as fast as it goes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("0.0.0.0", 0))
        kinds = (REGISTER, PROBE_RESPONSE, DEREGISTER)
        for i in range(count):
            kind, number = kinds[i % 3] if i % 2 else REGISTER, random.getrandbits(64)
            data = packet(kind, port=1 + i % 65535, boot=number, nonce=0 if kind == REGISTER else number,
                          interval_ms=1000 if kind == REGISTER else 0)
            source = struct.pack("=i4s4x", 0, bytes((127, *random.randbytes(3))))  # in_pktinfo
            stranger.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, ("127.0.0.1", proxy_port))


@real_program_only("its limits are of that")
class Scale(TestCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = AGENTS + 200
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"at most {hard} open files")
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.instance = self.proxy()
        self.swarm = Swarm(AGENTS, self.instance.probe_port)
        self.addCleanup(self.swarm.close)
        wait_until(lambda: self.count_up() == AGENTS, 30, f"{AGENTS} back-ends up")

    def rows(self):
        return self.instance.status()["backends"]

    def count_up(self):
        time.sleep(0.3)  # each look costs the proxy a status of a thousand rows
        return sum(row["state"] == "up" for row in self.rows())

    def test_cost_and_flood(self):
        self.check_cost()
        self.check_metrics()
        self.check_flood()

    def check_cost(self):
        """The best of five spans: other programs, and a host that is busy for a minute, can only make it look dearer."""
        bare = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("bare_exchange.py")])
        self.addCleanup(bare.wait)
        self.addCleanup(bare.kill)
        for attempt in range(5):
            share, bare_share = self.measure_cost(bare.pid, 15)
            if share <= max(MOST_OF_A_CORE, MOST_BARE_EXCHANGES * bare_share):
                return
        self.fail(f"{100 * share:.2f} % of a core for {AGENTS} agents, {share / bare_share:.1f} bare exchanges")

    def measure_cost(self, bare, seconds):
        """The shares of a core of the proxy and of the bare exchange in the same span."""
        pid = self.instance.pid
        self.swarm.probes.clear()
        before, bare_before, start, since = cpu_seconds(pid), cpu_seconds(bare), time.monotonic(), time.time()
        time.sleep(seconds)  # the span that is measured
        took = time.monotonic() - start
        share, bare_share = (cpu_seconds(pid) - before) / took, (cpu_seconds(bare) - bare_before) / took
        probes = [at for at in self.swarm.probes if since <= at < since + seconds]
        bursts = {}
        for at in probes:
            bursts[int(at * 10)] = bursts.get(int(at * 10), 0) + 1
        print(f"{AGENTS} agents: {100 * share:.2f} % of a core (a bare exchange {100 * bare_share:.2f} %), "
              f"{len(probes) / seconds:.0f} probes/s, at most {max(bursts.values())} in 100 ms, "
              f"{holdings(pid).resident_kib} KiB resident")
        self.assertAlmostEqual(len(probes) / seconds, AGENTS / 5, delta=AGENTS / 25)
        self.assertLess(max(bursts.values()), AGENTS / 5)
        return share, bare_share

    def check_metrics(self):
        """Asked by another process: this one's threads are busy being agents. The best of five, as above."""
        url, times = f"http://127.0.0.1:{self.instance.admin_port}/metrics", []
        for attempt in range(5):
            asked = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", url], capture_output=True)
            times.append(float(asked.stdout))
        best = min(times)
        body = http_get("127.0.0.1", self.instance.admin_port, "/metrics")[1]
        print(f"/metrics with {AGENTS} back-ends: {len(body)} bytes in {1000 * best:.0f} ms")
        self.assertLess(best, 0.05)
        page = Page(body.decode())
        self.assertEqual(sum(value for key, value in page.samples.items()
                             if key[0] == "farol_backend_state" and "state=up" in key), AGENTS)
        self.assertEqual(promtool("check", "metrics", text=page.text).stdout, "")

    def check_flood(self):
        pid = self.instance.pid
        before = holdings(pid).resident_kib
        start = time.monotonic()
        flood(self.instance.probe_port, STRANGERS)
        took = time.monotonic() - start
        self.swarm.probes.clear()
        wait_until(lambda: len(self.swarm.probes) > AGENTS, 15, "the real agents' next probes")
        grown = holdings(pid).resident_kib - before
        rows = self.rows()
        print(f"{STRANGERS} strangers in {took:.1f} s: {grown:+} KiB resident")
        self.assertLess(grown, 4096)
        self.assertEqual(len(rows), AGENTS)
        self.assertEqual({row["state"] for row in rows}, {"up"})
        self.assertLess(max(row["report_age_ms"] for row in rows), 12_000)
        dropped = self.instance.status()["monitoring"]["dropped"]
        self.assertGreater(dropped["unknown"] + dropped["nonce"], 0)
