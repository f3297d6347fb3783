"""The dashboard in use: choices are read, rows sorted with the keyboard, many tabs are open, orders get no answer."""

import json
import signal
import unittest

from browser import WithBrowser, row, traffic
from harness import TestCase, wait_until
from test_dashboard import Watcher

SEEN = "document.dispatchEvent(new Event('visibilitychange'))"
OPENED = "document.querySelector('#decisions details[open]')"
NAMES = "[...document.querySelectorAll('#rows tr:not(.space) td.id button')].map((name) => name.textContent)"
FOCUSED = "document.activeElement.closest('tr')?.querySelector('td.id button').textContent"
# Rows that the proxy knows nothing of: row n is named tn and has had `failed(n)` connections that failed.
TELL = """((rows, failed, more = {}) => {
  const [like] = app.table.rows.values();
  const changed = Array.from({ length: rows }, (_, n) => ({ ...like, id: `t${n}`, address: `t${n}`,
    connections: { ...like.connections, failed: failed(n) }, ...more }));
  app.tick({ ...app.now, changed, gone: [], events: [], decisions: [] });
})"""


class DashboardInUse(WithBrowser, TestCase):
    def two(self, *flags):
        """A proxy with two static back-ends, and its page."""
        webs = [self.web(name) for name in ("one", "two")]
        proxy = self.proxy(*flags, *(word for web in webs for word in ("--backend", web.at)))
        url = f"http://127.0.0.1:{proxy.admin_port}/"
        self.browser.tell("open", url=url, width=1280)
        self.browser.wait("document.title.startsWith('2 of 2')")
        return proxy, webs, url

    def words(self, **decision):
        """What the page says of a choice between a, with score 0.2, and b, with 0.1."""
        considered = [{"address": name, "verdict": verdict, "score": score, "components": {"cpu": score}}
                      for name, verdict, score in (("a", "chosen", 0.2), ("b", "passed_over", 0.1))]
        decision = {"policy": "weighted", "candidates": 2, "verdicts": {}, "considered": considered, **decision}
        return self.browser.evaluate(f"reasonOf({json.dumps(decision)})")

    def test_choices_have_the_proxys_reasons_and_stay_while_they_are_read(self):
        proxy, _, _ = self.two("--policy", "round-robin")
        traffic(self, proxy, 0.02)
        browser = self.browser
        browser.wait("/its turn, of 2/.test(document.querySelector('#decisions').textContent)")
        self.assertNotIn("lowest", browser.evaluate("document.querySelector('#decisions').textContent"))
        self.assertEqual(self.words(reason="turn"), "its turn of 2: 0.200, as good as b with 0.100")
        self.assertTrue(self.words(reason="lowest").startswith("lowest score of 2: 0.200; next b"))
        self.assertEqual(self.words(reason="lowest", candidates=1), "the only one that could be chosen")
        self.assertIn("whose own back-end is full or out; 2 could", self.words(reason="source_moved"))
        self.assertEqual(self.words(reason="what comes next"), "what comes next; 2 could be chosen")
        self.assertEqual(self.words(reason="nobody", verdicts={"drain": 2}), "nobody can be chosen: 2 drain")

        browser.tell("click", selector="#decisions summary")
        place = "opened.getBoundingClientRect().top - opened.closest('section').getBoundingClientRect().top"
        browser.evaluate(f"document.activeElement.blur(), window.opened = {OPENED}")
        begun = browser.evaluate(place)
        new = "parseInt(document.querySelector('#decisions-more').textContent.slice(5))"  # after "Show "
        browser.wait(f"{new} > 30")
        self.assertTrue(browser.evaluate("opened.isConnected && opened.open"))
        self.assertEqual(browser.evaluate(place), begun)
        browser.evaluate("app.stream.close(), app.stream.open()")  # as after a moment without contact
        browser.wait("document.querySelector('#link').dataset.is === 'live'")
        self.assertTrue(browser.evaluate(f"opened.isConnected && {new} > 30"), "a snapshot waits as well")
        self.fits(360, 800)
        browser.screenshot("dashboard-held-360", whole=True)
        self.fits(1280, 900)
        browser.screenshot("dashboard-held", whole=True)
        self.accessible()
        browser.tell("click", selector="#decisions-more")
        self.assertEqual(browser.evaluate("[opened.open, document.querySelector('#decisions-more').hidden,"
                                          " document.activeElement.className]"), [False, True, "list"])
        self.assertFalse(browser.evaluate("opened.isConnected"))

        browser.evaluate("document.querySelector('#decisions summary').focus()")
        browser.wait(f"{new} > 0 && !document.querySelector('#decisions-more').hidden")
        browser.evaluate("document.activeElement.blur()")
        browser.wait("document.querySelector('#decisions-more').hidden")
        self.no_complaints()

    def test_the_focus_stays_on_its_row_however_rows_are_sorted(self):
        self.two()
        browser = self.browser
        browser.tell("click", selector="#heads th:nth-last-child(2) button")  # Failed
        browser.evaluate(f"{TELL}(5, (n) => n + 1)")
        browser.evaluate("document.querySelector('#rows [aria-label=\"Drain: t2\"]').focus()")
        for order in ([4, 3, 2, 1, 0], [0, 1, 2, 3, 4], [2, 0, 1, 4, 3], [3, 4, 1, 0, 2], [4, 2, 0, 3, 1]):
            browser.evaluate(f"{TELL}(5, (n) => 1 + {order}.indexOf(n))")
            self.assertEqual(browser.evaluate(NAMES)[2:], [f"t{n}" for n in order])
            self.assertEqual(browser.evaluate(FOCUSED), "t2")
        browser.evaluate(f"{TELL}(300, (n) => n + 1)")
        for place in (250, 0, 120, 2):  # out of sight, above it, …
            browser.evaluate(f"{TELL}(300, (n) => n === 2 ? {place} + 0.5 : n + 1)")
            height = browser.evaluate("document.querySelector('#table').offsetHeight")
            browser.evaluate("document.querySelector('#scroll').scrollTop = 6000")
            browser.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            self.assertEqual(browser.evaluate(FOCUSED), "t2")
            self.assertEqual(browser.evaluate("document.querySelector('#table').offsetHeight"), height)
            rank = place + 2 - (place > 2)  # the two real ones come before; its own number is not taken
            self.assertEqual(browser.evaluate("document.activeElement.closest('tr').ariaRowIndex"), str(rank + 2))
            browser.evaluate("document.querySelector('#scroll').scrollTop = 0")
        browser.evaluate("app.tick({ ...app.now, changed: [], gone: ['t2'], events: [], decisions: [] })")
        self.assertEqual(browser.evaluate("document.activeElement.id"), "scroll", "near where it was")

    def test_a_narrow_page_sorts_and_finds(self):
        self.two()
        browser = self.browser
        browser.evaluate(f"{TELL}(3, (n) => n + 1, {{ backup: true, weight: 3, slow_start: 0.4, connections:"
                         " { active: 4, max: 4, total: 4, failed: 0 } })")
        self.assertEqual(browser.evaluate(row("t1", "td.id small")),
                         "static · backup · weight 3 · slow start 40 % · full")
        browser.evaluate(f"{TELL}(3, (n) => 3 - n)")
        self.assertFalse(browser.evaluate("document.querySelector('#sort').checkVisibility()"), "the heads do it")
        self.assertEqual(browser.evaluate("document.querySelector('#sort').value"), "id")
        self.fits(360, 800)
        self.assertFalse(browser.evaluate("[...document.querySelectorAll('#heads button')].some((head) =>"
                                          " head.checkVisibility())"), "no stop for Tab that is not to be seen")
        browser.evaluate("document.querySelector('#sort').focus()")
        browser.tell("press", key="F")  # Failed
        browser.wait(f"{NAMES}[2] === 't2'")
        browser.tell("press", key="Tab")
        browser.tell("press", key="d")  # descending
        browser.wait(f"{NAMES}[0] === 't0'")
        self.assertEqual(browser.evaluate(NAMES)[:3], ["t0", "t1", "t2"])
        browser.tell("press", key="Tab")
        browser.tell("press", key="Tab")
        self.assertEqual(browser.evaluate("document.activeElement.id"), "scroll")
        self.assertLess(browser.evaluate("byId('sorting').offsetHeight"), 50, "one line")
        browser.screenshot("dashboard-360-sorted", whole=True)
        browser.evaluate(f"{TELL}(3, (n) => n + 1, {{ rtt_ms: {{ sample: 5 }} }}), app.table.sortBy('rtt', true)")
        self.assertEqual(browser.evaluate(NAMES)[:3], ["t0", "t1", "t2"], "what is not known comes last")
        self.accessible()
        browser.tell("fill", selector="#filter", text="nowhere")
        no_match = "document.querySelector('#no-match').innerText"
        self.assertEqual(browser.evaluate(no_match), "No back-end matches “nowhere”.")
        self.accessible()
        self.fits(1280, 900)
        browser.screenshot("dashboard-no-match")
        browser.tell("click", selector="#heads th.id button")
        self.assertEqual(browser.evaluate("['sort', 'sort-way'].map((id) => byId(id).value)"), ["id", ""])
        browser.tell("fill", selector="#filter", text="t1")
        self.assertEqual(browser.evaluate(no_match), "")

    def test_many_tabs_leave_room_for_an_order_and_an_order_never_hangs(self):
        proxy, webs, url = self.two()
        browser = self.browser
        for _ in range(6):
            browser.tell("tab", url=url)
        browser.tell("click", selector=f"[aria-label='Drain: {webs[0].at}/default']")
        browser.tell("click", selector="#ask-yes")
        browser.wait(f"{row(webs[0].at, 'td.state')} === 'drain'")
        browser.evaluate("Object.defineProperty(document, 'hidden', { value: true, writable: true })")
        browser.evaluate(f"app.stream.patience = 100, {SEEN}")
        browser.wait("!app.stream.source && document.title === 'Farol'")
        self.assertEqual(browser.evaluate("document.querySelector('#link').dataset.is"), "waiting")
        proxy_row = f"[aria-label='Drain: {webs[1].at}/default']"
        browser.evaluate(f"document.hidden = false, {SEEN}")
        browser.wait("document.querySelector('#link').dataset.is === 'live' && document.title.startsWith('1 of 2')")
        self.no_complaints()

        browser.evaluate("app.ask.patience = 500")
        proxy.send(signal.SIGSTOP)
        self.addCleanup(proxy.send, signal.SIGCONT)
        browser.tell("click", selector=proxy_row)
        self.assertIn("None is open.", browser.evaluate("document.querySelector('#ask-text').textContent"))
        browser.tell("click", selector="#ask-yes")
        browser.wait("/^No answer within/.test(document.querySelector('#ask-error').textContent)", 3)
        self.assertFalse(browser.evaluate("document.querySelector('#ask-yes').disabled"))
        browser.screenshot("dashboard-no-answer")
        browser.evaluate("app.ask.patience = 60000")
        browser.tell("click", selector="#ask-yes")
        browser.tell("click", selector="#ask-no")
        browser.tell("click", selector=proxy_row)
        self.assertEqual(browser.evaluate("[byId('ask-error').textContent, byId('ask-yes').disabled]"), ["", False],
                         "as if never asked")

    def test_a_page_that_is_one_too_many_says_so_and_comes_when_there_is_room(self):
        proxy = self.proxy()
        watchers = [Watcher(proxy.admin_port) for _ in range(64)]
        for watcher in watchers:
            self.addCleanup(watcher.close)
        for watcher in watchers:
            wait_until(lambda at=watcher: at.count("event: snapshot"), 10, "a snapshot for each")
        self.browser.tell("open", url=f"http://127.0.0.1:{proxy.admin_port}/", width=360)
        self.browser.wait("document.querySelector('#link').textContent === 'No contact: too many dashboards are open'")
        self.fits(360, 800)
        self.browser.screenshot("dashboard-too-many")
        for watcher in watchers[:5]:
            watcher.close()
        self.browser.wait("document.querySelector('#link[data-is=live]')")


if __name__ == "__main__":
    unittest.main()
