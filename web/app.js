// Puts it together: the stream of events in, the page out.

const byId = (id) => document.getElementById(id);

class App {
  start() {
    this.tiles = new Tiles();
    this.events = new EventList();
    this.decisions = new DecisionList();
    this.transfers = new TransferList();
    this.ask = new Ask();
    const events = { snapshot: (all) => this.begin(all), tick: (change) => this.tick(change) };
    this.stream = new Stream(events, (is, why) => this.link(is, why));
    document.addEventListener("visibilitychange", () => !document.hidden && this.now && this.show());
  }

  begin(all) {
    if (!this.kind) this.build(kinds[all.kind]);
    this.now = this.before = null;
    this.timelines.forget();
    this.table.now = all.now_ms;
    this.table.reset(all[this.kind.rows].map((row) => this.kind.prepare(row)));
    this.pending = all;
    this.arrived(all);
    if (document.hidden) return this.showRest(); // nothing is drawn, so there is nothing to wait for
    requestAnimationFrame(() => {
      performance.mark("the pool is there");
      setTimeout(() => this.showRest());
    });
  }

  /** The pool comes first, the lists and drawings when it is to be seen. */
  showRest() {
    const all = this.pending;
    if (!all) return;
    this.pending = null;
    this.events.reset(all.events);
    if (all.decisions) this.decisions.reset(all.decisions);
    this.show();
  }

  build(kind) {
    this.kind = kind;
    for (const [id, text] of Object.entries(kind.words)) say(byId(id), text);
    for (const name of kind.sections) byId(`${name}-section`).hidden = false;
    byId("filter").placeholder = kind.find;
    this.flow = new Flow(kind.flow);
    this.timelines = new Timelines(kind.readings, kind.row);
    this.timelines.onnew = (id) => id === this.table.chosen && this.charts.draw(id);
    this.charts = new Charts(kind.charts, this.timelines);
    this.table = new PoolTable(kind.columns, this.timelines, {
      one: kind.one, serves: kind.serves,
      choose: (id, byHand) => this.choose(id, byHand), order: (id, order) => this.order(id, order),
    });
    byId("legend").hidden = kind.legend.length === 0;
    byId("legend").replaceChildren(...kind.legend.map(([key, name]) => element("li", {}, element("i", { className: `p-${key}` }), name)));
    say(byId("empty"), kind.empty);
  }

  tick(change) {
    if (!this.kind) return;
    this.showRest();
    for (const row of change.changed) this.kind.prepare(row);
    this.table.now = change.now_ms;
    this.events.add(change.events);
    if (change.decisions) this.decisions.add(change.decisions);
    this.changed = change;
    if (document.hidden) {
      for (const id of change.gone) this.table.rows.delete(id);
      for (const row of change.changed) this.table.rows.set(row.id, row);
      this.table.sorted = [];
    } else {
      this.table.update(change.changed, change.gone);
    }
    this.arrived(change);
  }

  arrived(now) {
    this.before = this.now;
    this.now = now;
    this.timelines.add(this.table.rows, now.wall_ms);
    if (!document.hidden) this.show();
  }

  show() {
    const { now, table } = this;
    if (table.sorted.length === 0 && table.rows.size > 0) table.arrange();
    if (!this.pending && !table.rows.has(table.chosen)) table.choose(table.sorted[0]);
    this.kind.tiles(this.tiles, now, table.rows, this.rates());
    say(byId("about"), [`${this.kind.program} ${now.version}`, ...this.kind.about(now), `up ${age(now.uptime_s * 1000)}`].join(" · "));
    if (!this.pending) {
      this.showFlow();
      this.showDetails();
      if (now.longest_transfers) this.transfers.show(now.longest_transfers, now.transfers);
    }
    byId("empty").hidden = table.rows.size > 0;
    byId("scroll").hidden = table.rows.size === 0;
    const serving = [...table.rows.values()].filter(this.kind.serves).length;
    const title = `${serving} of ${table.rows.size} serving · Farol`;
    if (document.title !== title) document.title = title;
  }

  /** Per second, from this sample and the one before. */
  rates() {
    if (!this.before) return {};
    const seconds = (this.now.now_ms - this.before.now_ms) / 1000;
    return Object.fromEntries(Object.entries(this.kind.totals).map(([name, total]) => [name, (total(this.now) - total(this.before)) / seconds]));
  }

  showFlow() {
    const rows = [...this.table.rows.values()];
    byId("flow-section").hidden = rows.length === 0;
    if (rows.length === 0) return;
    const rate = (row) => this.kind.flow.rate(row) || 0;
    let shown = rows;
    if (rows.length > Flow.MOST) {
      shown = [...rows].sort((a, b) => rate(b) - rate(a)).slice(0, Flow.MOST - 1);
    }
    shown = [...shown].sort((a, b) => natural.compare(a.id, b.id));
    const ends = shown.map((row) => ({ name: row.name || row.address, state: row.state, rate: rate(row) }));
    const total = rows.reduce((all, row) => all + rate(row), 0);
    if (rows.length > Flow.MOST)
      ends.push({ name: `${rows.length - ends.length} others`, rate: Math.max(0, total - ends.reduce((all, end) => all + end.rate, 0)) });
    this.flow.show(ends, total);
  }

  choose(id, byHand) {
    byId("details").hidden = !id;
    if (!id) return;
    say(byId("details-h"), nameOf(id));
    this.timelines.want([id, ...this.timelines.queue]);
    this.charts.draw(id);
    this.showDetails();
    if (byHand) byId("details").scrollIntoView({ block: "nearest" });
  }

  showDetails() {
    const row = this.table.rows.get(this.table.chosen);
    if (!row) return;
    say(byId("details-cause"), `${row.state}: ${row.cause}`);
    this.charts.go();
    if (!this.kind.orders) return;
    const orders = row.ordered === "ready" ? ["drain", "maint"] : ["ready"];
    const place = byId("orders");
    const wanted = `${row.id} ${orders}`;
    if (place.dataset.for !== wanted) {
      const focused = place.contains(document.activeElement);
      place.dataset.for = wanted;
      place.replaceChildren(...orders.map((order) => element("button", { type: "button", textContent: ORDERS[order].button, onclick: () => this.order(row.id, order) })));
      if (focused) place.firstChild.focus();
    }
  }

  order(id, order) {
    this.ask.about(this.table.rows.get(id), order);
  }

  link(is, text) {
    byId("link").dataset.is = is;
    say(byId("link-text"), text);
  }
}

/** The stream of events, and how it stands. A tab that nobody sees lets go of it, for a browser keeps six connections
 *  to a host and no more: with as many tabs open, the next page and the next order would wait for ever. */
class Stream {
  static AT = "/api/v1/events";

  /** `events`: what takes each kind; `link` is told how it stands, in a word and in words. */
  constructor(events, link) {
    Object.assign(this, { events, link, patience: 10000 });
    document.addEventListener("visibilitychange", () => this.seen());
    setInterval(() => this.watch(), 1000);
    this.open();
    this.seen();
  }

  seen() {
    clearTimeout(this.leaving);
    if (document.hidden) this.leaving = setTimeout(() => this.close(), this.patience);
    else if (!this.source) this.open();
  }

  open() {
    const source = (this.source = new EventSource(Stream.AT));
    for (const [name, take] of Object.entries(this.events)) {
      source.addEventListener(name, (event) => {
        take(JSON.parse(event.data));
        this.heard = performance.now();
        this.why = "";
        this.link("live", "Live");
      });
    }
    source.onerror = () => {
      this.lost();
      if (source.readyState !== EventSource.CLOSED) return; // it comes back by itself
      this.again = setTimeout(() => this.open(), 3000);
      this.ask();
    };
  }

  close() {
    clearTimeout(this.again);
    this.source.close();
    this.source = null;
    this.heard = 0;
    this.link("waiting", "Connecting"); // to be read when the tab is seen again
    document.title = "Farol"; // without figures that grow old
  }

  /** An EventSource does not tell why it is refused: the same request does. */
  async ask() {
    const over = new AbortController();
    const late = setTimeout(() => over.abort(), 2500);
    try {
      const answer = await fetch(Stream.AT, { signal: over.signal });
      const words = answer.ok ? "" : (await answer.text()).trim();
      this.why = answer.ok ? "" : answer.status === 503 && words.length < 80 ? words : `its answer is ${answer.status}`;
    } catch {
      this.why = "";
    }
    clearTimeout(late);
    over.abort();
    if (this.source?.readyState === EventSource.CLOSED) this.lost();
  }

  lost() {
    const last = this.heard ? `last update ${age(performance.now() - this.heard)} ago` : "";
    this.link("lost", ["No contact", this.why || last].filter(Boolean).join(this.why ? ": " : ", "));
  }

  watch() {
    if (this.heard && performance.now() - this.heard > 4000) this.lost();
  }
}

function openOnes(n, one, many) {
  if (n === 0) return "None is open.";
  return n === 1 ? `The one that is open ${one}.` : `The ${whole(n)} that are open ${many}.`;
}

const ORDERS = {
  drain: {
    button: "Drain", question: "Drain", yes: "Drain it",
    text: (n) => `It gets no new connections. ${openOnes(n, "goes on until it ends", "go on until they end")}`,
  },
  maint: {
    button: "Maintenance", question: "Take out", yes: "Take it out",
    text: (n) => `No new connections, no checks until you make it ready. ${openOnes(n, "goes on", "go on")}`,
  },
  ready: {
    button: "Make ready", question: "Make ready", yes: "Make it ready",
    text: () => "It gets new connections again as soon as it is seen to be well.",
  },
};

/** Asks back, then gives the order. A server that wants a token is asked for with one; it is kept while the tab is. */
class Ask {
  constructor() {
    this.patience = 5000;
    this.dialog = byId("ask");
    this.dialog.onclose = () => this.given?.abort("left");
    byId("ask-no").onclick = () => this.dialog.close();
    byId("ask-form").onsubmit = (event) => {
      event.preventDefault();
      this.give();
    };
  }

  about(row, order) {
    Object.assign(this, { row, order });
    const words = ORDERS[order];
    say(byId("ask-h"), `${words.question} ${nameOf(row.id)}?`);
    say(byId("ask-text"), words.text(row.connections.active));
    say(byId("ask-yes"), words.yes);
    say(byId("ask-error"), "");
    this.dialog.showModal();
  }

  /** It succeeds, or says in time what went wrong. Who leaves the dialog takes it back, if it is not too late. */
  async give() {
    const given = (this.given = new AbortController());
    const late = setTimeout(() => given.abort("late"), this.patience);
    byId("ask-yes").disabled = true;
    say(byId("ask-error"), "");
    try {
      await this.post(given.signal);
    } catch {
      const reason = given.signal.reason;
      const why = "the proxy is stuck, or too many tabs of this browser show it. Look at its state before you try again.";
      if (reason === "late") say(byId("ask-error"), `No answer within ${age(this.patience)}: ${why}`);
      else if (reason !== "left") say(byId("ask-error"), "The proxy does not answer. Nothing may have changed.");
    }
    clearTimeout(late);
    byId("ask-yes").disabled = false;
  }

  async post(signal) {
    const headers = { "Content-Type": "application/json" };
    const token = byId("ask-token").value || sessionStorage.getItem("token");
    if (token) headers.Authorization = `Bearer ${token}`;
    const path = `/api/v1/backends/${encodeURIComponent(this.row.id)}/state`;
    const answer = await fetch(path, { method: "POST", signal, headers, body: JSON.stringify({ state: this.order }) });
    if (answer.ok) {
      if (token) sessionStorage.setItem("token", token);
      return this.dialog.close();
    }
    if (answer.status === 401) {
      byId("ask-token-label").hidden = false;
      byId("ask-token").focus();
    }
    const words = await answer.json().catch(() => ({}));
    say(byId("ask-error"), words.error || `The proxy says ${answer.status}`);
  }
}

const app = new App();
app.start();
