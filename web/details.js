// The last 15 minutes: fetched once for each back-end that is in sight, then continued from what comes live.

const POINTS = 180;
const STEP_MS = 5000;

class Timelines {
  constructor(readings, row) {
    this.readings = readings; // series name -> row => number or null
    this.row = row; // what the program calls a row
    this.known = new Map();
    this.unknown = new Set(); // to the program: left before they were asked for
    this.queue = [];
    this.busy = false;
  }

  of(id) {
    return this.known.get(id);
  }

  /** These are in sight: fetch those that are not known yet, one at a time. */
  want(ids) {
    this.queue = ids.filter((id) => !this.known.has(id) && !this.unknown.has(id));
    if (!this.busy) this.fetchNext();
  }

  forget() {
    this.known.clear();
    this.unknown.clear();
  }

  async fetchNext() {
    this.busy = true;
    while (this.queue.length > 0) {
      const id = this.queue.shift();
      try {
        const answer = await fetch(`/api/v1/history?${this.row}=${encodeURIComponent(id)}`);
        if (answer.ok) this.keep(id, await answer.json());
        else if (answer.status === 404) this.unknown.add(id);
        else break;
      } catch {
        break; // the connection is gone; the next tick asks again
      }
    }
    this.busy = false;
  }

  keep(id, { ends_ms: ends, series }) {
    const seen = 1 + Math.floor((ends % STEP_MS) / 1000); // samples of the present step, whose mean has come
    this.known.set(id, { step: Math.floor(ends / STEP_MS), series, seen, version: 1 });
    if (this.known.size > 400) this.known.delete(this.known.keys().next().value);
    if (this.onnew) this.onnew(id);
  }

  /** A second has passed: what the rows say now belongs to the present step, of which the mean is kept. */
  add(rows, wall) {
    const step = Math.floor(wall / STEP_MS);
    for (const [id, timeline] of this.known) {
      const row = rows.get(id);
      if (!row) {
        this.known.delete(id);
        continue;
      }
      const moved = Math.min(step - timeline.step, POINTS);
      for (const [name, read] of Object.entries(this.readings)) {
        const points = timeline.series[name];
        for (let i = 0; i < moved; ++i) points.push(null), points.shift();
        const value = read(row), before = points[POINTS - 1];
        if (isNumber(value)) points[POINTS - 1] = isNumber(before) ? before + (value - before) / (timeline.seen + 1) : value;
      }
      timeline.seen = moved > 0 ? 1 : timeline.seen + 1;
      if (moved > 0) ++timeline.version;
      timeline.step = Math.max(step, timeline.step);
    }
  }
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

/** The charts of one back-end. A chart: { title, lines: [{ series, label, colour }], text, most } */
class Charts {
  constructor(charts, timelines) {
    this.charts = charts;
    this.timelines = timelines;
    this.place = document.getElementById("charts");
    this.plots = [];
    new ResizeObserver(() => this.fit()).observe(this.place);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(this.id));
  }

  draw(id) {
    for (const { plot } of this.plots) plot.destroy();
    this.plots = [];
    this.place.replaceChildren();
    this.id = id;
    const timeline = this.timelines.of(id);
    if (!timeline) return;
    this.plots = this.charts.map((chart) => this.make(chart, timeline));
    this.version = timeline.version;
    this.rem = rem();
    this.fit();
  }

  make(chart, timeline) {
    const latest = chart.lines.map((line) => {
      const key = element("i");
      key.style.background = colour(line.colour);
      const number = element("b");
      return { line, number, node: element("span", {}, key, `${line.label} `, number) };
    });
    const picture = element("div");
    picture.setAttribute("role", "img");
    const figure = element("figure", {}, element("figcaption", {}, element("b", { textContent: chart.title }), ...latest.map((each) => each.node)), picture);
    this.place.append(figure);
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: `${Math.round(0.8 * rem())}px system-ui, sans-serif` };
    const plot = new uPlot({
      width: this.width(), height: 10 * rem(), cursor: { sync: { key: "farol" }, drag: { x: false, y: false } }, legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(chart.least, (high || 0) * 1.1)] } },
      axes: [{ ...axis, size: 2 * rem(), space: 5 * rem(), values: (_, times) => times.map((t) => clock.format(new Date(t * 1000)).slice(0, 5)) }, { ...axis, size: 4.4 * rem(), values: (_, values) => values.map(chart.text) }],
      series: [{}, ...chart.lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 2, dash: line.dash, points: { show: false } }))],
    }, this.data(chart, timeline), picture);
    const made = { chart, plot, picture, latest };
    this.say(made, timeline);
    return made;
  }

  data(chart, timeline) {
    const times = Array.from({ length: POINTS }, (_, i) => ((timeline.step - POINTS + 1 + i) * STEP_MS) / 1000);
    return [times, ...chart.lines.map((line) => timeline.series[line.series])];
  }

  /** The figures beside the title, and the whole in words. */
  say({ chart, picture, latest }, timeline) {
    const words = latest.map(({ line, number }) => {
      const points = timeline.series[line.series].filter(isNumber);
      const now = points.length > 0 ? chart.text(points[points.length - 1]) : NONE;
      say(number, now);
      return points.length > 0 ? `${line.label} now ${now}, from ${chart.text(Math.min(...points))} to ${chart.text(Math.max(...points))}` : `${line.label}: nothing known`;
    });
    picture.setAttribute("aria-label", `${chart.title} in the last 15 minutes: ${words.join("; ")}`);
  }

  width() {
    const columns = getComputedStyle(this.place).gridTemplateColumns.split(" ");
    return Math.max(200, Math.floor(parseFloat(columns[0]) || 300));
  }

  fit() {
    if (this.plots.length > 0 && this.rem !== rem()) return this.draw(this.id);
    const width = this.width();
    for (const { plot } of this.plots) if (plot.width !== width) plot.setSize({ width, height: 10 * rem() });
  }

  /** Draws on when a step has passed. */
  go() {
    const timeline = this.timelines.of(this.id);
    if (!timeline) return;
    if (this.plots.length === 0) return this.draw(this.id);
    if (timeline.version === this.version) return;
    this.version = timeline.version;
    for (const made of this.plots) {
      made.plot.setData(this.data(made.chart, timeline));
      this.say(made, timeline);
    }
  }
}
