"""Whom the proxy becomes once its ports are bound, and what it keeps of root's powers."""

import os
import pwd
import shutil
import subprocess
import unittest

from harness import STAY_ROOT, Process, Proxy, TestCase, WebServer, free_port, free_udp_port, http_get, program, unprivileged

ONLY_LOW_PORTS = 1 << 10  # CAP_NET_BIND_SERVICE
OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def ports():
    return ("--listen", f"127.0.0.1:{free_port()}", "--monitor-listen", f"127.0.0.1:{free_udp_port()}", "--admin", "off")


def field(pid, name):
    with open(f"/proc/{pid}/status") as status:
        return next(line.split()[1:] for line in status if line.startswith(name + ":"))


@unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
@unittest.skipIf(STAY_ROOT, "of the real program only: the leak check may not look into a program that was root once")
class Privileges(TestCase):
    def usual(self):
        for name in ("farol", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        self.skipTest("neither farol nor nobody")

    def assert_harmless(self, pid, user):
        for task in os.listdir(f"/proc/{pid}/task"):
            self.assertEqual(field(f"{pid}/task/{task}", "Uid"), [str(user.pw_uid)] * 4)
            self.assertEqual(field(f"{pid}/task/{task}", "Gid"), [str(user.pw_gid)] * 4)
            for powers in ("CapEff", "CapPrm"):
                self.assertEqual(int(field(f"{pid}/task/{task}", powers)[0], 16), ONLY_LOW_PORTS)
            self.assertEqual(field(f"{pid}/task/{task}", "NoNewPrivs"), ["1"])
        self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, "its own user may not look into it")

    def test_it_serves_as_nobody(self):
        web = self.started(WebServer("one"))
        for engine in ("threads", "events", "epoll"):
            with self.subTest(engine=engine):
                proxy = self.started(Proxy("--engine", engine, "--workers", 2, backends=[web.at]))
                self.assertIn(b"hello world one", http_get(proxy.host, proxy.port, "/")[1])
                self.assert_harmless(proxy.pid, self.usual())

    def test_low_ports_on_every_reactor(self):
        """The reactors' own listeners share an address with the first, which was bound by root."""
        proxy = self.started(Process(program("reverseProxy"), "--engine", "epoll", "--workers", 4, prefix=OWN_NETWORK))
        proxy.wait_for('msg="running as"')
        proxy.wait_for('msg="admin"')
        self.assertTrue(proxy.running(), proxy.output())

    def test_a_named_user(self):
        proxy = self.started(Proxy("--user", "daemon"))
        self.assert_harmless(proxy.pid, pwd.getpwnam("daemon"))

    def test_root_may_stay_root(self):
        proxy = self.started(Proxy("--user", "root"))
        self.assertEqual(field(proxy.pid, "Uid"), ["0"] * 4)

    def test_its_descriptor_limit_is_what_root_was_allowed(self):
        proxy = self.started(Proxy())
        with open(f"/proc/{proxy.pid}/limits") as limits:
            soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
        self.assertEqual(soft, hard)

    def refused(self, code, says, *flags, prefix=()):
        result = subprocess.run([*prefix, program("reverseProxy"), *ports(), *map(str, flags)], text=True,
                                capture_output=True, timeout=20)
        self.assertEqual((result.returncode, result.stdout), (code, ""), result.stderr)
        self.assertEqual(result.stderr, f"reverseProxy: {says}\n")

    def test_a_user_who_does_not_exist(self):
        for more in ((), ("--check-config",)):
            self.refused(64, "--user: there is no user 'zork' on this machine", "--user", "zork", *more)

    def test_only_root_can(self):
        self.refused(64, "--user: only root can become daemon", "--user", "daemon", prefix=unprivileged())

    def test_a_key_that_could_not_be_read_again(self):
        key = self.directory() / "key"
        key.write_text("1 " + "ab" * 32 + "\n")
        key.chmod(0o600)
        for more in ((), ("--check-config",)):
            self.refused(1, f"key file {key} cannot be read by the user daemon, as whom this program runs: Permission "
                            "denied (chown daemon it, or --user root)", "--user", "daemon", "--key-file", key, *more)
        os.chmod(key.parent, 0o711)
        shutil.chown(key, "daemon")
        self.started(Proxy("--user", "daemon", "--key-file", key))
        configuration = self.directory() / "proxy.toml"
        configuration.write_text("retries=1\n")
        configuration.chmod(0o600)
        for more in ((), ("--check-config",)):
            self.refused(1, f"configuration file {configuration} cannot be read by the user daemon, as whom this "
                            "program runs: Permission denied (chown daemon it, or --user root)", "--user", "daemon",
                         "--config", configuration, *more)


if __name__ == "__main__":
    unittest.main()
