"""A real browser for tests: Debian's Chromium, driven by playwright-core (npm ci --prefix test/browser)."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import threading
import unittest

from harness import ROOT, SLOW

HERE = pathlib.Path(__file__).resolve().parent
SCREENSHOTS = ROOT / "build/screenshots"


class Browser:
    """One tab. Every method raises AssertionError with what the browser said."""

    def __init__(self):
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if not chromium or not shutil.which("node"):
            raise unittest.SkipTest("no chromium or no node here")
        if not (HERE / "node_modules/playwright-core").exists():
            raise unittest.SkipTest("no playwright-core here: npm ci --prefix test/browser")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.node = subprocess.Popen(["node", "browser.js", chromium], cwd=HERE, text=True, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)

    def tell(self, command, **options):
        self.node.stdin.write(json.dumps({"command": command, **options}) + "\n")
        self.node.stdin.flush()
        answer = json.loads(self.node.stdout.readline() or '{"error": "the browser is gone"}')
        if "error" in answer:
            raise AssertionError(f"{command} {options}: {answer['error']}")
        return answer["value"]

    def wait(self, expression, seconds=15):
        """The value of a JavaScript expression, as soon as it is true."""
        return self.tell("wait", expression=expression, seconds=seconds * SLOW)

    def evaluate(self, expression):
        return self.tell("evaluate", expression=expression)

    def screenshot(self, name, whole=False):
        return self.tell("screenshot", path=str(SCREENSHOTS / f"{name}.png"), whole=whole)

    def close(self):
        self.node.stdin.close()
        try:
            self.node.wait(10)
        except subprocess.TimeoutExpired:
            self.node.kill()
            self.node.wait()
        self.node.stdout.close()


def row(name, cell):
    """A JavaScript expression: the text of a cell of somebody's row in the pool."""
    return (f"[...document.querySelectorAll('#rows tr')].find((row) => row.querySelector('td.id button')?.textContent"
            f" === '{name}')?.querySelector('{cell}')?.textContent")


def traffic(test, proxy, seconds_apart=0.05):
    """Requests, one after the other, until the test ends."""
    over = threading.Event()

    def run():
        while not over.wait(seconds_apart):
            with contextlib.suppress(OSError):
                proxy.get()
    thread = threading.Thread(target=run)
    thread.start()
    test.addCleanup(thread.join)
    test.addCleanup(over.set)


class WithBrowser:
    """For a TestCase: a tab, and what holds of every page."""

    def setUp(self):
        super().setUp()
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def no_complaints(self):
        self.assertEqual(self.browser.tell("complaints"), [])

    def accessible(self):
        serious = [each for each in self.browser.tell("axe") if each["impact"] in ("serious", "critical")]
        self.assertEqual(serious, [])

    def fits(self, width, height):
        """Nothing sticks out of a window of that size."""
        self.browser.tell("size", width=width, height=height)
        self.browser.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 50)))")
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), width)
