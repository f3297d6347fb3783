// A browser to be told what to do: one JSON object a line on stdin, one answer a line on stdout. For browser.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: process.argv[2], args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
let page = null;
let complaints = []; // of the page: console errors, exceptions, what its policy blocked
let strangers = []; // requests to another host

const commands = {
  async open({ url, width, height = 900, dark = false, still = false }) {
    if (page) await page.context().close();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: still ? "reduce" : "no-preference" });
    page = await context.newPage();
    page.setDefaultTimeout(15000);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.stack || error.message));
    page.on("request", (request) => new URL(request.url()).host !== new URL(url).host && !request.url().startsWith("data:") && strangers.push(request.url()));
    await page.goto(url, { waitUntil: "domcontentloaded" });
  },
  /** One more tab beside it, which nobody sees: a browser without a screen shows them all, so the page is told. */
  async tab({ url }) {
    const tab = await page.context().newPage();
    await tab.goto(url, { waitUntil: "domcontentloaded", timeout: 10000 });
    await tab.evaluate("app.stream && (app.stream.patience = 300)");
    await tab.evaluate("Object.defineProperty(document, 'hidden', { value: true })");
    await tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
  },
  scheme: ({ dark }) => page.emulateMedia({ colorScheme: dark ? "dark" : "light" }),
  size: ({ width, height }) => page.setViewportSize({ width, height }),
  click: ({ selector }) => page.click(selector),
  press: ({ key }) => page.keyboard.press(key),
  fill: ({ selector, text }) => page.fill(selector, text),
  /** The value of an expression in the page, as soon as it is true. */
  async wait({ expression, seconds }) {
    const end = Date.now() + 1000 * seconds;
    for (;;) {
      const value = await page.evaluate(expression); // waitForFunction would need eval, which the page's policy forbids
      if (value) return value;
      if (Date.now() > end) throw new Error(`not within ${seconds} s; the page says:\n${await page.innerText("body")}`);
      await page.waitForTimeout(50);
    }
  },
  evaluate: ({ expression }) => page.evaluate(expression),
  screenshot: ({ path, whole = false }) => page.screenshot({ path, fullPage: whole }).then(() => path),
  complaints: () => [...complaints.splice(0), ...strangers.splice(0).map((url) => `a request to ${url}`)],
  async axe() {
    await page.evaluate(axe);
    const { violations } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
    return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.slice(0, 5).map((node) => node.target.join(" ") + ": " + node.failureSummary) }));
  },
  /** Seconds of processor time that the page's process took, with its share of drawing, while `seconds` passed. */
  async cost({ seconds }) {
    const client = await browser.newBrowserCDPSession();
    const taken = async () => (await client.send("SystemInfo.getProcessInfo")).processInfo.filter(({ type }) => ["renderer", "GPU"].includes(type)).reduce((sum, each) => sum + each.cpuTime, 0);
    const before = await taken();
    await page.waitForTimeout(seconds * 1000);
    return (await taken()) - before;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...options } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await commands[command](options)) ?? null };
  } catch (error) {
    answer = { error: String(error.stack || error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
