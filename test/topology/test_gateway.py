"""The gateway report's own tests (its chapter 5) on a network of their own, and on paths that lose.

Ports and command lines are the report's: HttpGw on port 80, `FastFileSrv <gateway> 80`, `wget <gateway>/testfile.jpg`.
"""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from gateway_harness import CHUNK, FileServer, GatewayTest, content, png, sha256  # noqa: E402
from harness import SLOW, wait_until  # noqa: E402
from network import V4, V6, Network  # noqa: E402

# UDP payloads above 1000 bytes, as a firewall or a virtual switch that drops fragments would lose them.
NO_LARGE_PACKETS = "add rule inet farol out meta l4proto udp udp length > 1008 counter drop"


def nft(prefix, *rules):
    text = "add table inet farol\nadd chain inet farol out { type filter hook output priority 0; }\n" + "\n".join(rules)
    run = subprocess.run([*prefix, "nft", "-f", "-"], input=text, capture_output=True, text=True)
    if run.returncode != 0:
        raise unittest.SkipTest(f"no nftables here: {run.stderr.strip()}")


def dropped(prefix):
    """Packets that the counters of the chain have seen."""
    listing = subprocess.run([*prefix, "nft", "list", "chain", "inet", "farol", "out"], capture_output=True, text=True).stdout
    words = listing.split()
    return sum(int(words[i + 1]) for i, word in enumerate(words) if word == "packets")


class ReportCase(GatewayTest):
    """The gateway is Servidor3, 10.1.1.10; servers are on Servidor1, Servidor2 and the router; the client has wget."""

    addresses = V4

    @classmethod
    def setUpClass(cls):
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)

    def setUp(self):
        self.gw = self.gateway(address=self.addresses["s3"], port=80, prefix=self.network.within("s3"))
        self.image = png()
        self.image += bytes(CHUNK - len(self.image) % CHUNK)  # a last chunk that is short would pass NO_LARGE_PACKETS
        self.root = self.directory()
        self.file("testfile.jpg", self.image)
        self.servers = {}

    def start(self, name, machine, **options):
        self.servers[name] = self.server(self.gw, self.root, name, prefix=self.network.within(machine), **options)

    def lossy(self, machine, *rules):
        prefix = self.network.within(machine)
        nft(prefix, *rules)
        self.addCleanup(subprocess.run, [*prefix, "nft", "flush", "ruleset"], capture_output=True)

    def rows(self):
        """Of every server, whether it is up or silent for a moment."""
        return {row["name"]: row for row in self.gw.status()["servers"]}

    def received(self, name):
        return self.rows()[name]["chunks"]["received"]

    def wget(self, path, seconds=30):
        """(exit code, body, what it said)"""
        run = subprocess.run([*self.network.within("client"), "wget", "-O", "-", "-t", "1", "-T", str(seconds),
                              self.gw.url(path)], capture_output=True, timeout=(seconds + 5) * SLOW)
        return run.returncode, run.stdout, run.stderr.decode()

    def assert_image_comes(self):
        code, body, said = self.wget("testfile.jpg")
        self.assertEqual(code, 0, said + self.gw.output()[-3000:])
        self.assertEqual(sha256(body), sha256(self.image))


class Test1(ReportCase):
    """Three servers, an image of about 1 MB."""

    def test_the_image_comes_from_three_servers(self):
        for name, machine in (("one", "s1"), ("two", "s2"), ("three", "router")):
            self.lossy(machine, "add rule inet farol out ip frag-off & 0x3fff != 0 ip frag-off != 0x4000 counter")
            self.start(name, machine)
        self.gw.wait_for_servers("one", "two", "three")
        self.gw.wait_for(r'msg="Added server"')

        def from_each():  # one that the machine lets wait has nothing to send when it comes to it: all is sent in 20 ms
            before = {name: self.received(name) for name in self.servers}
            self.assert_image_comes()
            return all(self.received(name) - before[name] > 10 for name in self.servers)
        wait_until(from_each, 10 * SLOW, "an image to which each contributes")
        for machine in ("s1", "s2", "router"):
            self.assertEqual(dropped(self.network.within(machine)), 0, "fragments")


class Test1OverIpv6(ReportCase):
    addresses = V6

    def test_the_image_comes_from_three_servers(self):
        for name, machine in (("one", "s1"), ("two", "s2"), ("three", "router")):
            self.start(name, machine)
        self.gw.wait_for_servers("one", "two", "three")
        self.assert_image_comes()


class Test2(ReportCase):
    """Four servers; the large packets of two of them never arrive."""

    def test_servers_whose_large_packets_are_lost_never_join(self):
        for machine in ("s1", "s2"):
            self.lossy(machine, NO_LARGE_PACKETS)
            for_nothing = self.started(FileServer(self.gw, self.root, "lost-" + machine, prefix=self.network.within(machine)))
            for_nothing.wait_for("file server started")
        self.start("good", "router")
        self.start("better", "router")
        self.gw.wait_for_servers("good", "better")
        self.assert_image_comes()
        self.assertEqual(set(self.rows()), {"good", "better"})
        self.assertGreater(dropped(self.network.within("s1")), 0)

    def said_of(self, name):
        return any("Server is left out: its chunks do not arrive" in line and f"name={name}" in line for line in self.gw.lines)

    def test_servers_whose_large_packets_are_lost_later_are_left_out(self):
        self.start("good", "router")
        self.start("better", "router")
        for machine in ("s1", "s2"):
            self.start("lost-" + machine, machine)
        self.gw.wait_for_servers("good", "better", "lost-s1", "lost-s2")
        for machine in ("s1", "s2"):
            self.lossy(machine, NO_LARGE_PACKETS)
        started = time.monotonic()
        self.assert_image_comes()
        print(f"[1 MB in {time.monotonic() - started:.2f} s beside two that lose it] ", end="", flush=True)
        film = content(20_000_000)
        self.file("film", film)

        def both_left_out():
            code, body, said = self.wget("film")
            self.assertEqual((code, sha256(body)), (0, sha256(film)), said)
            rows = self.rows()  # they are left out before it is said: one or two time-outs are nothing to tell of
            return all(rows[name]["left_out"] and self.said_of(name) for name in ("lost-s1", "lost-s2"))
        wait_until(both_left_out, 30 * SLOW, "the servers are left out, and it is said")
        self.assertGreater(dropped(self.network.within("s1")), 0)
        for name in ("lost-s1", "lost-s2"):
            self.assertEqual(self.received(name), 0)
        # Small packets still arrive, so they are members; they are asked again, for little, and return when they deliver.
        for machine in ("s1", "s2"):
            subprocess.run([*self.network.within(machine), "nft", "flush", "ruleset"], check=True)

        def both_back():
            self.assertEqual(self.wget("film")[0], 0)
            return all(self.received(name) > 0 for name in self.servers)
        wait_until(both_back, 60 * SLOW, "the servers deliver again")


class Test3(ReportCase):
    """A file that nobody has."""

    def test_it_is_a_404_and_the_pool_is_intact(self):
        for name, machine in (("one", "s1"), ("two", "s2"), ("three", "router")):
            self.start(name, machine)
        self.gw.wait_for_servers("one", "two", "three")
        code, _, said = self.wget("testfile2.jpg")
        self.assertEqual(code, 8)
        self.assertIn("404 Not Found", said)
        for server in self.servers.values():
            server.wait_for(r'msg="file not served" path=testfile2.jpg reason=not_found')
        self.gw.wait_for_servers("one", "two", "three")
        self.assert_image_comes()


class Localhost(ReportCase):
    def test_localhost_is_ipv6_first_and_the_gateway_on_ipv4_only(self):
        """`FastFileSrv localhost 80` against the report's default of 0.0.0.0."""
        machine = self.network.within("s1")
        hosts = self.directory() / "hosts"
        hosts.write_text("::1 localhost\n127.0.0.1 localhost\n")
        gateway = self.gateway(address="0.0.0.0", port=80, prefix=machine)
        private = (*machine, "unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
        if subprocess.run([*private, "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here")
        found = subprocess.run([*private, "getent", "ahosts", "localhost"], capture_output=True, text=True).stdout
        started = time.monotonic()
        server = self.server(gateway, self.root, "local", host="localhost", prefix=private)
        self.assertIn("gateway=127.0.0.1:80", server.output(), found)
        self.assertLess(time.monotonic() - started, 3 * SLOW)
        self.assertTrue(found.startswith("::1"), found)


class Loss(ReportCase):
    """1 % of all datagrams are lost, in both directions, one by one."""

    def lose(self, machine, link, percent):
        self.network.ip(machine, f"link set {link} gso_max_segs 1")  # else nft sees a whole burst as one packet
        self.lossy(machine, f"add rule inet farol out meta l4proto udp numgen random mod 1000 < {round(percent * 10)} counter drop")

    def test_one_percent(self):
        film = content(50_000_000)
        self.file("film", film)
        for name, machine in (("one", "s1"), ("two", "s2"), ("three", "router")):
            self.start(name, machine)
        self.gw.wait_for_servers("one", "two", "three")
        took = []
        for percent in (0, 1, 5):
            for machine in ("s1", "s2", "s3", "router"):
                subprocess.run([*self.network.within(machine), "nft", "flush", "ruleset"], capture_output=True)
                self.lose(machine, "eth0", percent)
            started = time.monotonic()
            code, body, said = self.wget("film", 60)
            took.append(time.monotonic() - started)
            self.assertEqual(code, 0, said + self.gw.output()[-2000:])
            self.assertEqual(sha256(body), sha256(film))
        self.assertGreater(sum(dropped(self.network.within(machine)) for machine in ("s1", "s2", "router")), 100)
        rates = ", ".join(f"{50 / seconds:.0f} MB/s at {percent} %" for seconds, percent in zip(took, (0, 1, 5)))
        print(f"[{rates}] ", end="", flush=True)


if __name__ == "__main__":
    unittest.main()
