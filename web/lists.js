// What happened, the last choices, the files on their way, the tiles at the top, and what flows.

const MOST_EVENTS = 100;
const MOST_DECISIONS = 30;
const MOST_WAITING = 200; // of them while the list is read

function eventItem(event) {
  const item = element("li", { className: "event", dataset: { state: event.kind } });
  const from = event.from && event.kind !== event.to ? ` (was ${event.from})` : "";
  item.append(element("time", { textContent: timeOfDay(event.at_ms) }), icon(event.kind),
    element("span", {}, element("b", { textContent: nameOf(event.backend) }), ` ${event.kind}${from} `,
      element("span", { className: "cause", textContent: event.cause ? `· ${event.cause}` : "" })));
  return item;
}

/** Newest first. */
class EventList {
  constructor() {
    this.list = document.getElementById("events");
    this.news = document.getElementById("news");
  }
  reset(events) {
    this.list.replaceChildren();
    this.add(events, false);
  }
  add(events, aloud = true) {
    this.list.prepend(...events.slice(-MOST_EVENTS).reverse().map(eventItem));
    while (this.list.children.length > MOST_EVENTS) this.list.lastChild.remove();
    if (aloud && events.length > 0)
      say(this.news, events.length > 5 ? `${events.length} changes` : events.map((e) => `${nameOf(e.backend)} ${e.kind}: ${e.cause}`).join(". "));
  }
}

/** Reasons that have nothing to do with scores; of `lowest` and `turn` there is more to say. */
const BESIDES = {
  last_resort: "a last resort: all look dead",
  backup: "a backup, for no primary one could be chosen",
  retry: "another had been tried before",
  queued: "the client had waited for it",
  source: "by the client's address",
  source_moved: "by the client's address, whose own back-end is full or out",
};

/** Of the whole pool: "2 drain, 1 tried before". */
function leftOut(decision) {
  const out = Object.entries(decision.verdicts || {}).filter(([verdict]) => verdict !== "chosen" && verdict !== "passed_over");
  return out.map(([verdict, number]) => `${number} ${verdict.replace("_", " ")}`).join(", ");
}

/** Why a back-end was chosen, in one sentence. A reason that the page does not know is shown as it is. */
function reasonOf(decision) {
  const { reason, candidates, considered } = decision;
  if (reason === "nobody") return `nobody can be chosen: ${leftOut(decision) || "the pool is empty"}`;
  if (reason !== "lowest" && reason !== "turn") return `${BESIDES[reason] || reason}; ${candidates} could be chosen`;
  if (candidates === 1) return "the only one that could be chosen";
  const chosen = considered.find((each) => each.verdict === "chosen");
  const next = considered.find((each) => each.verdict === "passed_over");
  const compared = chosen && next && decision.policy !== "round-robin";
  if (!compared) return `${reason === "turn" ? "its turn" : "lowest score"}, of ${candidates}`;
  const of = `of ${candidates}: ${score(chosen.score)}`;
  if (reason === "turn") return `its turn ${of}, as good as ${next.address} with ${score(next.score)}`;
  const [part, name] = PARTS.reduce((best, each) => (difference(next, chosen, each) > difference(next, chosen, best) ? each : best));
  const because = difference(next, chosen, [part]) > 0 ? `, more by its ${name}` : "";
  return `lowest score ${of}; next ${next.address} has ${score(next.score)}${because}`;
}
const difference = (a, b, [key]) => (a.components[key] || 0) - (b.components[key] || 0);

function candidateTable(decision) {
  const heads = ["Candidate", "Verdict", "Score", ...PARTS.map(([, name]) => name), "Figures' age", "Open", "Busy"];
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((text, i) => element("th", { textContent: text, scope: "col", className: i > 1 ? "n" : "" })))));
  const body = table.appendChild(element("tbody"));
  for (const each of decision.considered) {
    const figures = [score(each.score), ...PARTS.map(([key]) => score(each.components[key])), age(each.report_age_ms), whole(each.connections.active), whole(each.connections.busy)];
    const verdict = each.verdict.replace("_", " ") + (isNumber(each.slow_start) ? `, slow start ${percent(each.slow_start)}` : "");
    body.append(element("tr", {}, element("td", { textContent: each.address }), element("td", { textContent: verdict }), ...figures.map((text) => element("td", { className: "n", textContent: text }))));
  }
  return element("div", { className: "candidates", tabIndex: 0, attributes: { role: "region", "aria-label": "Candidates" } }, table);
}

/** Newest first. While one is open, or the keyboard is among them, nothing moves: what comes waits behind a button. */
class DecisionList {
  constructor() {
    this.list = document.getElementById("decisions");
    this.more = document.getElementById("decisions-more");
    this.more.onclick = () => this.goOn();
    this.seen = new Set();
    this.waiting = [];
    this.missed = 0;
  }
  held() {
    return this.list.contains(document.activeElement) || this.list.querySelector("details[open]") !== null;
  }
  /** The list is to begin anew with these. */
  reset(decisions) {
    this.anew = true;
    this.waiting = [];
    const known = this.seen;
    this.seen = new Set();
    this.add(decisions, known);
  }
  /** They come newest first. */
  add(decisions, known = this.seen) {
    const key = (decision) => `${decision.pool} ${decision.number}`;
    const fresh = decisions.filter((decision) => !this.seen.has(key(decision))).reverse();
    this.missed += fresh.filter((decision) => !known.has(key(decision))).length;
    for (const decision of fresh) this.seen.add(key(decision));
    if (this.seen.size > 1000) this.seen = new Set([...this.seen].slice(-100));
    this.waiting = [...this.waiting, ...fresh].slice(-MOST_WAITING);
    const held = this.held();
    if (!held) this.take();
    say(this.more, `Show ${whole(this.missed)} new`);
    this.more.hidden = !held || this.missed === 0;
  }
  take() {
    if (this.anew) this.list.replaceChildren();
    this.anew = false;
    for (const decision of this.waiting) this.put(decision);
    this.waiting = [];
    this.missed = 0;
    while (this.list.children.length > MOST_DECISIONS) this.list.lastChild.remove();
    if (this.list.children.length === 0) this.list.append(element("li", { className: "decision", textContent: "No connection yet." }));
    else if (this.list.children.length > 1) this.list.querySelector("li:not(:has(details))")?.remove();
  }
  /** Enough is read. The keyboard goes on from the list, for the button is gone. */
  goOn() {
    for (const open of this.list.querySelectorAll("details[open]")) open.open = false;
    this.list.parentNode.focus();
    this.list.parentNode.scrollTop = 0;
    this.add([]);
  }
  /** The same again for the same reason is counted on the line that is there. */
  put(decision) {
    const why = reasonOf(decision), left = decision.reason === "nobody" ? "" : leftOut(decision);
    const same = `${decision.chosen} ${why} ${left}`;
    if (this.top && this.top.same === same && this.top.node.isConnected) {
      say(this.top.count, ` × ${++this.top.times}`);
      say(this.top.time, timeOfDay(decision.at_ms));
      return;
    }
    const count = element("span", { className: "why" }), time = element("time", { textContent: timeOfDay(decision.at_ms) });
    const details = element("details", {}, element("summary", {}, time,
      element("span", {}, element("b", { textContent: decision.chosen || "nobody" }), count,
        element("span", { className: "why", textContent: ` · ${why}${left && `; left out: ${left}`}` }))));
    details.addEventListener("toggle", () => details.children.length < 2 && details.append(candidateTable(decision)));
    const node = element("li", { className: "decision" }, details);
    this.top = { same, node, count, time, times: 1 };
    this.list.prepend(node);
  }
}

/** The files that are on their way to clients, the oldest first. */
class TransferList {
  constructor() {
    this.list = document.getElementById("transfers");
    this.more = document.getElementById("transfers-more");
    this.items = new Map();
  }
  show(transfers, all) {
    const here = new Set(transfers.map(({ id }) => id));
    for (const [id, item] of this.items) if (!here.has(id)) item.node.remove(), this.items.delete(id);
    for (const transfer of transfers) {
      if (!this.items.has(transfer.id)) this.items.set(transfer.id, this.put(transfer));
      this.update(this.items.get(transfer.id), transfer);
    }
    const rest = all - transfers.length;
    say(this.more, all === 0 ? "None." : rest > 0 ? `and ${whole(rest)} others` : "");
  }
  put({ path }) {
    const bar = element("progress", { max: 1, attributes: { "aria-label": path } }), words = element("span", { className: "why" });
    const node = this.list.appendChild(element("li", { className: "transfer" }, element("b", { textContent: path }), bar, words));
    return { node, bar, words };
  }
  update({ bar, words }, { found, given, wanted, servers, asked_again: again, age_ms: ms }) {
    if (found) bar.value = wanted > 0 ? given / wanted : 1;
    const from = servers > 0 ? ` from ${servers} server${servers > 1 ? "s" : ""}` : "";
    const twice = again > 0 ? `, ${whole(again)} chunks asked again` : "";
    say(words, found ? `${bytes(given)} of ${bytes(wanted)}${from}, ${age(ms)}${twice}` : `being looked for, ${age(ms)}`);
  }
}

class Tiles {
  constructor() {
    this.place = document.getElementById("tiles");
    this.tiles = new Map();
  }
  show(name, value, small = "", tone = "") {
    let tile = this.tiles.get(name);
    if (!tile) {
      tile = { number: element("span"), small: element("span", { className: "small" }) };
      tile.node = element("div", { className: "tile" }, element("dt", { textContent: name }), element("dd", {}, tile.number, tile.small));
      this.place.append(tile.node);
      this.tiles.set(name, tile);
    }
    say(tile.number, value);
    say(tile.small, small);
    if (tile.node.dataset.tone !== tone) tile.node.dataset.tone = tone;
  }
  serving(name, rows, serves, words) {
    const serving = [...rows.values()].filter(serves).length;
    this.show(name, whole(serving), `of ${whole(rows.size)} · ${words}`, serving === 0 ? "bad" : serving < rows.size ? "warn" : "good");
  }
  counts(name, counts) {
    this.show(name, whole(sum(counts)), inWords(counts) || "none since the start");
  }
}

/** Clients, the program, and those behind it that get or give most: pipes as wide as what flows through them. */
class Flow {
  static MOST = 7;

  /** `text` writes down so much per second of what is called `label`; it flows to the clients when `inwards`. */
  constructor({ label, text, inwards = false }) {
    Object.assign(this, { label, text });
    this.place = document.getElementById("flow");
    this.place.classList.toggle("inwards", inwards);
    this.drawn = "";
    new ResizeObserver(() => this.shown && this.show(...this.shown)).observe(this.place);
  }

  /** `ends`: [{ name, state, rate }], the busiest first; `total` per second. */
  show(ends, total) {
    const { text } = this;
    this.shown = [ends, total];
    const shape = `${ends.map((end) => end.name).join("\n")} ${this.place.clientWidth}`;
    if (shape !== this.drawn) this.draw(ends, shape);
    const most = Math.max(1, total || 0);
    this.width(this.source, total, most);
    say(this.source.number, `${text(total)}/s`);
    ends.forEach((end, i) => {
      const link = this.links[i];
      this.width(link, end.rate, most);
      say(link.number, `${text(end.rate)}/s`);
    });
    this.picture.setAttribute("aria-label", `${text(total)} ${this.label} per second: ${ends.map((end) => `${end.name} ${text(end.rate)}`).join(", ")}`);
  }

  width(link, rate, most) {
    const width = (2 + 12 * Math.sqrt(Math.min(1, (rate || 0) / most))).toFixed(1);
    link.pipe.setAttribute("stroke-width", width);
    link.stream.setAttribute("stroke-width", Math.max(2, width / 3).toFixed(1));
    link.group.classList.toggle("on", rate > 0);
  }

  draw(ends, shape) {
    this.drawn = shape;
    const em = rem();
    const width = this.place.clientWidth, step = (this.place.clientWidth < 40 * em ? 2.7 : 1.9) * em, height = Math.max(3, ends.length) * step + 0.4 * em;
    const middle = height / 2, narrow = width < 40 * em, hubWidth = (narrow ? 3.6 : 4.6) * em;
    const longest = Math.min(narrow ? 16 : 30, Math.max(10, ...ends.map((end) => end.name.length)));
    const right = width - (longest * 0.56 + (narrow ? 0.8 : 4.6)) * em, left = narrow ? 0.3 * em : 5.2 * em;
    const hub = narrow ? 0.25 * right + hubWidth / 2 : 0.36 * width;
    this.source = this.link(`M${left} ${middle}H${hub - hubWidth / 2}`);
    const over = narrow ? { x: 0, y: middle - 1.5 * em } : { x: (left + hub - hubWidth / 2) / 2, y: middle - 0.9 * em, "text-anchor": "middle" };
    for (const [key, value] of Object.entries(over)) this.source.number.setAttribute(key, value);
    this.links = ends.map((end, i) => this.end(end.name, { y: (i + 0.5) * step + (height - ends.length * step) / 2, from: hub + hubWidth / 2, middle, right, longest, em, narrow }));
    const clients = svg("text", { x: 0, y: middle + 0.3 * em, class: "quiet" });
    clients.textContent = narrow ? "" : "Clients";
    const title = svg("text", { x: hub, y: middle + 0.3 * em, "text-anchor": "middle", class: "node-text" });
    title.textContent = "Farol";
    this.picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" }, this.source.group, ...this.links.map((link) => link.group), clients,
      svg("rect", { class: "node", x: hub - hubWidth / 2, y: middle - 1.1 * em, width: hubWidth, height: 2.2 * em, rx: 8 }), title);
    this.place.replaceChildren(this.picture);
  }

  /** One end: its pipe, name and rate; the rate is under the name where there is no room beside it. */
  end(name, { y, from, middle, right, longest, em, narrow }) {
    const bend = (from + right) / 2;
    const link = this.link(`M${from} ${middle}C${bend} ${middle} ${bend} ${y} ${right} ${y}`);
    link.number.setAttribute("x", narrow ? right + 0.7 * em : right + 4.1 * em);
    link.number.setAttribute("y", narrow ? y + 1.1 * em : y + 0.3 * em);
    link.number.setAttribute("text-anchor", narrow ? "start" : "end");
    const label = svg("text", { x: narrow ? right + 0.7 * em : right + 4.7 * em, y: narrow ? y : y + 0.3 * em });
    label.textContent = name.length > longest ? `${name.slice(0, longest - 1)}…` : name;
    link.group.append(label);
    return link;
  }

  link(path) {
    const pipe = svg("path", { class: "pipe", d: path }), stream = svg("path", { class: "stream", d: path }), number = svg("text", { class: "number" });
    return { pipe, stream, number, group: svg("g", {}, pipe, stream, number) };
  }
}
