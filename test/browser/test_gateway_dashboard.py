"""The gateway's dashboard in a real browser: file servers that come, send and die, and the files on their way."""

import unittest

from browser import WithBrowser, row
from gateway_harness import GatewayTest, content

MARKUP = "<img src=x onerror=alert(1)>"
# Five steps of a time line that was fetched with its last step at 1: its seconds are 3, then 9 and 11, then nothing, then 0.
TIMELINE = """(() => {
  const timelines = new Timelines({ v: (row) => row.v }, "server");
  timelines.keep("a", { ends_ms: 500000, series: { v: [...Array(179).fill(null), 1] } });
  for (const [v, at] of [[3, 501000], [9, 505000], [11, 506000], [0, 520000]]) timelines.add(new Map([["a", { v }]]), at);
  return timelines.of("a").series.v.slice(-5);
})()"""


class GatewayDashboard(WithBrowser, GatewayTest):
    def test_it_shows_servers_that_send_and_die_and_files_on_their_way(self):
        gateway, browser = self.pool(2), self.browser
        self.file(MARKUP, content(30_000_000))
        browser.tell("open", url=f"http://127.0.0.1:{gateway.admin[1]}/", width=1280, height=900)
        for name in ("srv1", "srv2"):
            browser.wait(f"{row(name, 'td.state')} === 'up'")
        browser.wait("document.title.startsWith('2 of 2')")
        self.assertEqual(browser.evaluate("document.querySelector('#pool-h').textContent"), "File servers")
        browser.wait("/srv1 joined · its heartbeats come/.test(document.querySelector('#events').textContent)")
        self.assertEqual(browser.evaluate("[...document.querySelectorAll('#events b')].map((b) => b.textContent)"),
                         ["srv2", "srv1"], "the newest first")
        browser.wait("document.querySelectorAll('#charts canvas').length === 4")
        self.assertEqual(browser.evaluate("[...document.querySelectorAll('button')].map((b) => b.textContent)"
                                          ".filter((text) => /drain|maint|ready/i.test(text)).length"), 0)

        self.assertEqual(browser.evaluate(TIMELINE), [2, 10, None, None, 0])
        first = "document.querySelector('#rows td.id button').textContent"
        for order, name in (("descending", "srv2"), ("ascending", "srv1")):
            browser.tell("click", selector="#heads th.id button")
            self.assertEqual(browser.evaluate(f"[document.querySelector('#heads th.id').ariaSort, {first}]"), [order, name])

        client = self.slow_client(MARKUP.replace(" ", "%20"))
        self.assertEqual(self.status_of("nothing-like-it"), 404)
        self.servers[0].kill()
        browser.wait(f"document.querySelector('#transfers b')?.textContent === '{MARKUP}'")
        browser.wait("/of 30.0 MB from [12] server/.test(document.querySelector('#transfers').textContent)")
        browser.wait("/Files on their way1/.test(document.querySelector('#tiles').textContent)")
        browser.wait("/200 1, 404 1/.test(document.querySelector('#tiles').textContent)")
        self.assertEqual(browser.evaluate("document.images.length"), 0)

        self.accessible()
        browser.wait(f"['silent', 'down'].includes({row('srv1', 'td.state')})")
        browser.wait("/srv1 (silent|down).*nothing was heard from it/.test(document.querySelector('#events').textContent)")
        self.assertTrue(browser.evaluate("document.title").startswith("1 of 2"))
        browser.screenshot("gateway-light", whole=True)
        browser.tell("scheme", dark=True)
        browser.screenshot("gateway-dark", whole=True)
        self.fits(2560, 1300)
        self.fits(360, 800)
        self.accessible()
        browser.screenshot("gateway-360", whole=True)
        client.close()
        browser.wait("document.querySelectorAll('#transfers li').length === 0")
        self.servers[1].stop()
        browser.wait("/srv2 left .*it said goodbye/.test(document.querySelector('#events').textContent)")
        browser.wait("document.title.startsWith('0 of 1')")
        self.assertIsNone(browser.evaluate(row("srv2", "td.state")))
        self.no_complaints()
        gateway.kill()
        browser.wait("/^No contact/.test(document.querySelector('#link[data-is=lost]')?.textContent)")


if __name__ == "__main__":
    unittest.main()
