"""`proxyctl top` in a pseudo-terminal: what it shows, what its keys do, and that it leaves the terminal as it found it."""

import json
import re
import signal
import subprocess
import unittest

from harness import SLOW, Process, TestCase, http_get, program, wait_until
from pseudo_terminal import PseudoTerminal

ESCAPE, ENTER, DOWN, END = "\x1b", "\r", "\x1bOB", "\x1bOF"


class TopTest(TestCase):
    def top(self, proxy, *flags, **options):
        terminal = PseudoTerminal(program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "top",
                                  "--interval", "100ms", *flags, **options)
        self.addCleanup(terminal.close)
        return terminal

    def three(self):
        """A proxy with three static back-ends, up; their addresses in order."""
        webs = sorted((self.web(name) for name in ("one", "two", "three")), key=lambda web: web.port)
        proxy = self.proxy(backends=[web.at for web in webs])
        for web in webs:
            proxy.wait_state(web.at, "up")
        return proxy, [web.at for web in webs]

    def shown(self, terminal):
        """The back-ends on the screen, from the top."""
        return re.findall(r"^[> ] (127\.0\.0\.1:\d+)", terminal.text(), re.M)

    def test_the_pool_is_shown_sorted_filtered_and_steered(self):
        proxy, webs = self.three()
        terminal = self.top(proxy, columns=120)
        for web in webs:
            terminal.wait_for(rf"^[> ] {web} +default +up ")
        titles = next(line for line in terminal.lines() if "BACKEND" in line)
        for title in ("POOL", "STATE", "SCORE", "PARTS", "RTT(ms)", "LOSS", "TCP", "CPU", "MEM", "AGE", "ACTIVE", "CONN/s"):
            self.assertIn(title, titles)
        terminal.wait_for(r"^Farol .*, ready, up ")
        http_get("127.0.0.1", proxy.port)
        terminal.wait_for("connections: 0 active, 1 in total, ")
        self.assertEqual(self.shown(terminal), webs)
        terminal.type("r")
        wait_until(lambda: self.shown(terminal) == webs[::-1], 5 * SLOW, "the reverse order")
        terminal.type("r/" + webs[1].rpartition(":")[2])
        wait_until(lambda: self.shown(terminal) == [webs[1]], 5 * SLOW, "only one")
        terminal.wait_for("^filter: ")
        terminal.type(ENTER + ESCAPE)
        wait_until(lambda: self.shown(terminal) == webs, 5 * SLOW, "all of them again")

        terminal.type(DOWN)
        terminal.wait_for(f"^> {webs[1]} ")
        terminal.type("d")
        terminal.wait_for(rf"^drain {webs[1]}/default\? \(y/n\)")
        terminal.type("n")
        terminal.wait_for("^nothing was changed")
        self.assertEqual(proxy.backend(webs[1])["state"], "up")
        terminal.type("dy")
        terminal.wait_for(rf"^> {webs[1]} +default +drain ")
        terminal.wait_for(rf"^{webs[1]}/default: drain")
        self.assertEqual([proxy.backend(web)["state"] for web in webs], ["up", "drain", "up"])
        terminal.type("yy")
        terminal.wait_for(rf"^> {webs[1]} +default +up ")
        terminal.type("dyq")
        self.assertEqual(terminal.wait_end(), 0)
        self.assertEqual(proxy.backend(webs[1])["state"], "drain")  # it was confirmed before the end
        self.assertTrue(terminal.left_as_found())
        self.assertIn(b"\x1b[?1049h", terminal.raw)
        self.assertEqual(terminal.screen.shown_outside, "")

    def test_it_fits_every_size_and_survives_the_proxy(self):
        proxy, webs = self.three()
        terminal = self.top(proxy)
        terminal.wait_for(f"^> {webs[0]} ")
        terminal.resize(8, 40)
        terminal.wait_for(r"^  BACKEND\^ +STATE +SCORE +ACTIVE$")
        wait_until(lambda: self.shown(terminal) == webs, 5 * SLOW, "three rows")
        terminal.resize(3, 10)
        wait_until(lambda: terminal.lines()[0].startswith("  B") and self.shown(terminal) == [], 5 * SLOW, "hardly anything")
        terminal.resize(24, 90)
        terminal.type("d")
        question = rf"^drain {webs[0]}/default\? \(y/n\)"
        terminal.wait_for(question)
        terminal.resize(24, 110)
        wait_until(lambda: self.shown(terminal) == webs and re.search(question, terminal.text(), re.M), 5 * SLOW,
                   "the question again, which no key has answered")
        terminal.type("n")
        wait_until(lambda: self.shown(terminal) == webs, 5 * SLOW, "three rows again")
        proxy.send(signal.SIGSTOP)  # it accepts connections, and does not answer
        self.addCleanup(proxy.send, signal.SIGCONT)
        terminal.wait_for(r"^STALE for \d+ s: (no answer yet|cannot reach)")
        terminal.type("r")  # keys do not wait for it
        wait_until(lambda: self.shown(terminal) == webs[::-1], 4 * SLOW, "the reverse order")
        terminal.type("r")
        proxy.send(signal.SIGCONT)
        wait_until(lambda: "STALE" not in terminal.text() and self.shown(terminal) == webs, 10 * SLOW, "an answer")
        proxy.stop()
        terminal.wait_for(r"^STALE for \d+ s: cannot reach http://127\.0\.0\.1:\d+: Connection refused")
        wait_until(lambda: self.shown(terminal) == webs, 5 * SLOW, "all of them still")
        self.started(Process(*proxy.command))
        wait_until(lambda: "STALE" not in terminal.text(), 10 * SLOW, "news")
        terminal.wait_for(rf"^> {webs[0]} +default +up ")
        terminal.popen.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.wait_end(), 0)
        self.assertTrue(terminal.left_as_found())

    def test_the_terminal_is_left_as_it_was_at_every_end(self):
        proxy = self.proxy()
        terminal = self.top(proxy, env={"LC_ALL": "C"})
        terminal.wait_for("no back-ends")
        terminal.type("\x03")  # Ctrl-C
        self.assertEqual(terminal.wait_end(), 0)
        self.assertTrue(terminal.left_as_found())
        terminal = self.top(proxy)
        terminal.wait_for("no back-ends")
        terminal.type("\x1c")  # Ctrl-\\, which kills other programs
        self.assertEqual(terminal.wait_end(), 0)
        self.assertTrue(terminal.left_as_found())
        for env, code, says in (({"TERM": "no-such"}, 1, "terminals of the kind 'no-such' are not known here"),):
            terminal = self.top(proxy, env=env)
            self.assertEqual(terminal.wait_end(), code)
            wait_until(lambda: says in terminal.text(), 5 * SLOW, says)
            self.assertTrue(terminal.left_as_found())
        proxy.stop()
        terminal = self.top(proxy)
        self.assertEqual(terminal.wait_end(), 1)
        wait_until(lambda: "proxyctl: cannot reach" in terminal.text(), 5 * SLOW, "the line")
        self.assertNotIn(b"\x1b[?1049h", terminal.raw)

    def test_without_a_terminal_it_says_what_to_take_and_as_json_it_needs_none(self):
        proxy = self.proxy()
        command = [program("proxyctl"), "--admin", f"http://127.0.0.1:{proxy.admin_port}", "top"]
        refused = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual((refused.returncode, refused.stdout), (64, ""))
        self.assertRegex(refused.stderr, r"^proxyctl: top wants a terminal .*proxyctl status.*\n$")
        with subprocess.Popen([*command, "--json", "--interval", "100ms"], stdout=subprocess.PIPE, text=True) as lines:
            first, second = (json.loads(lines.stdout.readline()) for _ in range(2))
            self.assertLess(first["uptime_s"], second["uptime_s"])
            lines.stdout.close()  # nobody reads any more
            self.assertEqual(lines.wait(10 * SLOW), 0)


if __name__ == "__main__":
    unittest.main()
