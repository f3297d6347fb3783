"""The report's network (its chapter 5) in network namespaces.

    Servidor1 10.1.1.1 ──┐
    Servidor2 10.1.1.2 ──┼── switch ── router ── client 10.4.4.20
    Servidor3 10.1.1.10 ─┘   10.1.1.0/24   10.4.4.0/24

Each machine also has the same last part in fd00:1::/64 (fd00:4::/64 for the client). Other machines may stand at the
switch instead. Names are unique to this process, and everything goes with close().
"""

import contextlib
import ctypes
import os
import subprocess
import unittest

LAN = {"s1": "1", "s2": "2", "s3": "10", "router": "254"}
V4 = {name: f"10.1.1.{last}" for name, last in LAN.items()}
V6 = {name: f"fd00:1::{last}" for name, last in LAN.items()}


class Network:
    """`lan`: the machines at the switch, each with the last part of its address; one of them is the router."""

    def __init__(self, lan=None):
        if os.geteuid() != 0:
            raise unittest.SkipTest("network namespaces need root")
        self.lan = lan or LAN
        self.v4 = {name: f"10.1.1.{last}" for name, last in self.lan.items()}
        self.prefix = f"farol{os.getpid()}-"
        self.made = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        for name in ("switch", *self.lan, "client"):
            made = subprocess.run(["ip", "netns", "add", self.ns(name)], capture_output=True, text=True)
            if made.returncode != 0:
                raise unittest.SkipTest(f"no network namespaces here: {made.stderr.strip()}")
            self.made.append(name)
            self.ip(name, "link set lo up")
        bridge = subprocess.run(["ip", "-n", self.ns("switch"), "link", "add", "lan", "type", "bridge"],
                                capture_output=True, text=True)
        if bridge.returncode != 0:
            raise unittest.SkipTest(f"no bridges here: {bridge.stderr.strip()}")
        self.ip("switch", "link set lan up")
        for name, last in self.lan.items():
            self.ip(name, f"link add eth0 type veth peer name {name} netns {self.ns('switch')}")
            self.ip("switch", f"link set {name} master lan up")
            self._address(name, "eth0", f"{self.v4[name]}/24", f"fd00:1::{last}/64")
        self.ip("router", f"link add eth1 type veth peer name eth0 netns {self.ns('client')}")
        self._address("router", "eth1", "10.4.4.1/24", "fd00:4::1/64")
        self._address("client", "eth0", "10.4.4.20/24", "fd00:4::20/64")
        for name in set(self.lan) - {"router"}:
            self.ip(name, f"route add default via {self.v4['router']}")
            self.ip(name, f"-6 route add default via fd00:1::{self.lan['router']}")
        self.ip("client", "route add default via 10.4.4.1")
        self.ip("client", "-6 route add default via fd00:4::1")
        for setting in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            subprocess.run([*self.within("router"), "sh", "-c", f"echo 1 > /proc/sys/{setting}"], check=True)

    def _address(self, name, link, v4, v6):
        self.ip(name, f"address add {v4} dev {link}")
        self.ip(name, f"address add {v6} dev {link} nodad")
        self.ip(name, f"link set {link} up")

    def ns(self, name):
        return self.prefix + name

    def within(self, name):
        """The command prefix that runs a program on that machine."""
        return ("ip", "netns", "exec", self.ns(name))

    def ip(self, name, command):
        run = subprocess.run(["ip", "-n", self.ns(name), *command.split()], capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(f"ip {command} on {name}: {run.stderr.strip()}")

    def cut(self, name):
        """Pulls the machine's cable out of the switch."""
        self.ip("switch", f"link set {name} down")

    def join(self, name):
        self.ip("switch", f"link set {name} up")

    def black_hole(self, name):
        """From here on the machine neither hears nor says anything; its cable stays where it is."""
        self.filter(name, "hole", {"input": "drop", "output": "drop"})

    def filter(self, name, table, rules):
        """Packets that the machine gets ("input") and sends ("output") pass that rule of nft, until unfilter()."""
        chains = [f"chain {at} {{ type filter hook {at} priority 0; {rule}; }}" for at, rule in rules.items()]
        made = subprocess.run([*self.within(name), "nft", "-f", "-"], capture_output=True, text=True,
                              input="\n".join([f"table inet {table} {{", *chains, "}", ""]))
        if made.returncode != 0:
            raise unittest.SkipTest(f"no packet filter here: {made.stderr.strip()}")

    def unfilter(self, name, table):
        subprocess.run([*self.within(name), "nft", "delete", "table", "inet", table], check=True)

    @contextlib.contextmanager
    def inside(self, name):
        """The sockets that this thread makes meanwhile belong to that machine."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(namespace):
            if libc.setns(namespace.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self.ns(name)}") as there:
            enter(there)
            try:
                yield
            finally:
                enter(here)

    def run(self, name, *command, seconds=20):
        return subprocess.run([*self.within(name), *map(str, command)], capture_output=True, text=True, timeout=seconds)

    def close(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", self.ns(name)], capture_output=True)
        self.made.clear()
