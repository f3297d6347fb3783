"""What an operator may get wrong, on every program: one line that says what, where and what would be right, the exit code
of the contract, and nothing left behind. (More of reverseProxy's own in test_proxy_cli.py.)"""

import os
import socket
import subprocess
import unittest

from harness import (SLOW, STAY_ROOT, TestCase, for_the_proxy, free_port, listens, low_ports_are_kept, program,
                     unprivileged)

USAGE, CANNOT_START = 64, 1
# Arguments with which each would start.
FINE = {
    "reverseProxy": ("--listen", "127.0.0.1:0", "--monitor-listen", "127.0.0.1:0", "--admin", "off"),
    "monitorUDP": ("20", "127.0.0.1", "--bind", "127.0.0.1:0"),
    "HttpGw": ("127.0.0.1", "0"),
    "FastFileSrv": ("127.0.0.1", "80"),
    "proxyctl": ("status",),
}
ELSEWHERE = "192.0.2.1"  # an address that no machine has (RFC 5737)


def run(name, *arguments, prefix=()):
    return subprocess.run([*prefix, program(name), *map(str, arguments)], text=True, capture_output=True,
                          timeout=10 * SLOW, stdin=subprocess.DEVNULL)


class MistakesTest(TestCase):
    def refused(self, code, says, name, *arguments, prefix=()):
        with self.subTest(program=name, arguments=arguments):
            result = run(name, *arguments, prefix=prefix)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (code, 1), result.stderr)
            self.assertTrue(result.stderr.startswith(name + ": "), result.stderr)
            for word in (says,) if isinstance(says, str) else says:
                self.assertIn(word, result.stderr)


class CommandLines(MistakesTest):
    def test_an_unknown_flag(self):
        for name, fine in FINE.items():
            self.refused(USAGE, "--no-such-flag", name, *fine, "--no-such-flag")

    def test_an_unknown_key(self):
        file = self.directory() / "farol.toml"
        file.write_text("zork = 1\n")
        for name, fine in FINE.items():
            self.refused(USAGE, (str(file), "unknown key", "zork"), name, "--config", file, *fine)

    def test_a_configuration_file_that_is_not_there(self):
        for name, fine in FINE.items():
            self.refused(USAGE, "/no/such/file", name, "--config", "/no/such/file", *fine)

    def test_one_argument_too_many(self):
        for name, *arguments in (("reverseProxy", "80"), ("HttpGw", "0.0.0.0", "8080", "more"),
                                 ("FastFileSrv", "localhost", "80", "more"), ("proxyctl", "status", "more")):
            self.refused(USAGE, arguments[-1], name, *arguments)

    def test_arguments_that_are_missing(self):
        self.refused(USAGE, "interval-seconds", "monitorUDP")
        self.refused(USAGE, "proxy", "monitorUDP", 20)
        self.refused(USAGE, "gateway-address", "FastFileSrv")
        self.refused(USAGE, "gateway-port", "FastFileSrv", "localhost")
        self.refused(USAGE, "no command", "proxyctl")
        self.refused(USAGE, "backend", "proxyctl", "drain")

    def test_addresses(self):
        self.refused(USAGE, ("--listen", "'localhost' is not an IP address"), "reverseProxy", "--listen", "localhost:80")
        self.refused(USAGE, "--bind", "monitorUDP", 20, "127.0.0.1", "--bind", "nowhere")
        self.refused(USAGE, "proxy ':5555'", "monitorUDP", 20, ":5555")
        self.refused(USAGE, "'gateway.example' is not an IP address", "HttpGw", "gateway.example")
        self.refused(USAGE, "--allow", "HttpGw", "--allow", "10.0.0.0/99")
        self.refused(USAGE, "gateway-address 'http://h/'", "FastFileSrv", "http://h/", 80)
        self.refused(USAGE, "--admin 'ftp://h'", "proxyctl", "--admin", "ftp://h", "status")

    def test_ports_out_of_range(self):
        for name, *arguments in (
                ("reverseProxy", "--listen", ":65536"), ("reverseProxy", "--monitor-listen", ":65536"),
                ("reverseProxy", "--admin", ":65536"), ("reverseProxy", "--backend", "127.0.0.1:65536"),
                ("monitorUDP", 20, "h:65536"), ("monitorUDP", 20, "h", "--bind", ":65536"),
                ("monitorUDP", 20, "h", "--service-port", 65536), ("HttpGw", "0.0.0.0", 65536),
                ("HttpGw", "--admin", ":65536"), ("FastFileSrv", "h", 65536)):
            self.refused(USAGE, "65536", name, *arguments)
        self.refused(USAGE, ("gateway-port", "not in range 1 to 65535"), "FastFileSrv", "h", 0)
        self.refused(USAGE, "--id", "proxyctl", "keygen", "--id", 256)

    def test_what_is_fine_is_said_to_be(self):
        file = self.directory() / "farol.toml"
        file.write_text("")
        for_the_proxy(file)
        for name, fine in FINE.items():
            fine = (*fine, *STAY_ROOT) if name == "reverseProxy" else fine
            for arguments in ((*fine, "--check-config"), (*fine, "--config", file, "--check-config")):
                with self.subTest(program=name, arguments=arguments):
                    result = run(name, *arguments)
                    self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "configuration is valid\n", ""))
            for flag, says in (("--help", "--config"), ("--version", name + " ")):
                with self.subTest(program=name, flag=flag):
                    result = run(name, flag)
                    self.assertEqual((result.returncode, result.stderr), (0, ""))
                    self.assertIn(says, result.stdout)


class Files(MistakesTest):
    def key_file(self, mode):
        path = self.directory() / "key"
        path.write_text("1 " + "ab" * 32 + "\n")
        path.chmod(mode)
        return path

    def test_key_files(self):
        for name in ("reverseProxy", "monitorUDP"):
            for mode in (0o644, 0o640):
                path = self.key_file(mode)
                self.refused(CANNOT_START, (str(path), "readable by others (chmod 600 it)"), name, *FINE[name],
                             "--key-file", path)
            self.refused(CANNOT_START, "key file /no/such/key: No such file", name, *FINE[name], "--key-file",
                         "/no/such/key")
            prefix = unprivileged()
            path = self.key_file(0o600 if prefix else 0)
            self.refused(CANNOT_START, (str(path), "Permission denied"), name, *FINE[name], "--key-file", path,
                         prefix=prefix)

    def test_state_files(self):
        directory = self.directory()
        for path, says in ((directory / "nowhere" / "state", "No such file or directory"), (directory, "regular file")):
            self.refused(CANNOT_START, ("--state-file", str(path), says), "reverseProxy", *FINE["reverseProxy"],
                         "--state-file", path)

    def test_roots(self):
        file = self.directory() / "file"
        file.write_text("")
        for root, why in (("/no/such/directory", "No such file or directory"), (file, "Not a directory")):
            self.refused(CANNOT_START, f"--root {root}: {why}", "FastFileSrv", *FINE["FastFileSrv"], "--root", root)


class Ports(MistakesTest):
    """None is left bound by a start that failed."""

    def taken(self, kind):
        """A port that is taken for that kind of socket and free for the other."""
        holder, port = socket.socket(socket.AF_INET, kind), free_port()
        self.addCleanup(holder.close)
        holder.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        return port

    def test_taken(self):
        tcp, udp, free = self.taken(socket.SOCK_STREAM), self.taken(socket.SOCK_DGRAM), free_port()
        self.refused(CANNOT_START, f"HttpGw: cannot listen on 127.0.0.1:{tcp}: Address already in use",
                     "HttpGw", "127.0.0.1", tcp)
        self.refused(CANNOT_START, f"HttpGw: UDP {udp} is taken (another gateway on this host? try HttpGw 0.0.0.0 8080)",
                     "HttpGw", "127.0.0.1", udp)
        self.refused(CANNOT_START, f"127.0.0.1:{tcp}", "HttpGw", "127.0.0.1", free, "--admin", f"127.0.0.1:{tcp}")
        self.refused(CANNOT_START, f"monitorUDP: UDP {udp} is taken (a proxy on this host? use --bind :0)",
                     "monitorUDP", 20, "127.0.0.1", "--bind", f"127.0.0.1:{udp}")
        self.assertFalse(listens("127.0.0.1", free))

    def test_not_permitted(self):
        low_ports_are_kept()
        prefix = unprivileged()
        if os.geteuid() == 0 and not prefix:
            self.skipTest("wants to be somebody else than root")
        for name, says, *arguments in (
                ("reverseProxy", "port 80 needs CAP_NET_BIND_SERVICE (try --listen :8080)", "--listen", "127.0.0.1:80",
                 "--monitor-listen", "127.0.0.1:0", "--admin", "off"),
                ("reverseProxy", "UDP port 53 needs CAP_NET_BIND_SERVICE (try --monitor-listen :5555)", "--listen",
                 "127.0.0.1:0", "--monitor-listen", "127.0.0.1:53", "--admin", "off"),
                ("reverseProxy", "port 81 needs CAP_NET_BIND_SERVICE (try --admin 127.0.0.1:8404)", "--listen",
                 "127.0.0.1:0", "--monitor-listen", "127.0.0.1:0", "--admin", "127.0.0.1:81"),
                ("monitorUDP", "UDP port 81 needs CAP_NET_BIND_SERVICE (try --bind :0)", 20, "127.0.0.1", "--bind",
                 "127.0.0.1:81"),
                ("HttpGw", "port 81 needs CAP_NET_BIND_SERVICE (try HttpGw 0.0.0.0 8080)", "127.0.0.1", 81),
                ("HttpGw", "port 81 needs CAP_NET_BIND_SERVICE (try --admin 127.0.0.1:8405)", "127.0.0.1", 0, "--admin",
                 "127.0.0.1:81")):
            self.refused(CANNOT_START, says, name, *arguments, prefix=prefix)

    def test_of_another_machine(self):
        for name, *arguments in (
                ("reverseProxy", "--listen", f"{ELSEWHERE}:8080", *FINE["reverseProxy"][2:]),
                ("reverseProxy", *FINE["reverseProxy"][:2], "--monitor-listen", f"{ELSEWHERE}:5555", "--admin", "off"),
                ("reverseProxy", *FINE["reverseProxy"][:4], "--admin", f"{ELSEWHERE}:8404"),
                ("monitorUDP", 20, "127.0.0.1", "--bind", f"{ELSEWHERE}:5555"), ("HttpGw", ELSEWHERE, 8080)):
            self.refused(CANNOT_START, (ELSEWHERE, "this machine has no such address"), name, *arguments)

    def test_nobody_there(self):
        port = free_port()
        self.refused(CANNOT_START, f"cannot reach http://127.0.0.1:{port}: Connection refused", "proxyctl", "--admin",
                     f"127.0.0.1:{port}", "status")


if __name__ == "__main__":
    unittest.main()
