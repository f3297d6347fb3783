// The pool as a table. Only rows in sight exist when there are many; each cell is written only when it changes.

const AT_ONCE = 60; // rows that are simply all there
const AHEAD = 6; // rows beyond the edge of what is in sight

/** A column of figures: how its cell looks, what it sorts by. */
function numeric(key, label, title, text, value) {
  return {
    key, label, title, value, kind: "n",
    make(cell) {
      cell.dataset.label = label;
      return (row, now) => say(cell, text(value(row, now)));
    },
  };
}

const stateColumn = {
  key: "state", label: "State", kind: "state", value: (row) => row.state,
  make(cell) {
    const words = element("span");
    const badge = cell.appendChild(element("span", { className: "badge" }));
    return (row) => {
      if (badge.dataset.state === row.state) return;
      badge.dataset.state = row.state;
      say(words, row.state);
      badge.replaceChildren(icon(row.state), words);
    };
  },
};

const nameColumn = (label) => ({
  key: "id", label, kind: "id", value: (row) => row.id,
  make(cell, table, id) {
    const name = element("button", { type: "button", onclick: () => table.choose(id, true) });
    const more = element("small");
    cell.append(name, more);
    return (row) => {
      say(name, row.name || row.address);
      if (name.title !== row.id) name.title = row.id;
      say(more, row.about || "");
    };
  },
});

const scoreColumn = {
  key: "score", label: "Score (lowest wins)", kind: "scored", value: (row) => row.score,
  make(cell, table) {
    const bar = scoreBar();
    const number = element("b");
    cell.append(element("div", { className: "score" }, bar.bar, number));
    return (row) => {
      bar.show(row.components || {}, table.scoreScale);
      say(number, score(row.score));
    };
  },
};

function sparkColumn(series, label) {
  return {
    key: "spark", label, kind: "sparked",
    make(cell, table, id) {
      const line = svg("path", {});
      cell.append(svg("svg", { class: "spark", viewBox: "0 0 180 24", preserveAspectRatio: "none", "aria-hidden": "true" }, line));
      let drawn = -1;
      return () => {
        const timeline = table.timelines.of(id);
        if (!timeline || timeline.version === drawn) return;
        drawn = timeline.version;
        line.setAttribute("d", sparkPath(timeline.series[series]));
      };
    },
  };
}

function sparkPath(points) {
  const most = Math.max(0.2, ...points.filter(isNumber));
  let path = "";
  let pen = "M";
  points.forEach((point, i) => {
    if (!isNumber(point)) return (pen = "M");
    path += `${pen}${i} ${(23 - (22 * point) / most).toFixed(1)}`;
    pen = "L";
  });
  return path;
}

const actionColumn = {
  key: "action", label: "Order", kind: "action",
  make(cell, table, id) {
    const button = cell.appendChild(element("button", { type: "button" }));
    button.onclick = () => table.order(id, button.dataset.order);
    return (row) => {
      const order = row.ordered === "ready" ? "drain" : "ready";
      if (button.dataset.order === order) return;
      button.dataset.order = order;
      say(button, order === "drain" ? "Drain" : "Ready");
      button.setAttribute("aria-label", `${order === "drain" ? "Drain" : "Make ready"}: ${row.id}`);
    };
  },
};

class PoolTable {
  /** `timelines` remembers the last 15 minutes of whoever is in sight; `choose` and `order` are told what is clicked; `serves` says
   *  which rows are not out; `one` is what a row is called. */
  constructor(columns, timelines, { one, serves, choose, order }) {
    Object.assign(this, { columns, timelines, one, serves, order });
    this.tell = choose;
    this.rows = new Map();
    this.views = new Map();
    this.sorted = [];
    this.sortKey = "id";
    this.falling = false;
    this.scoreScale = 1;
    this.scroll = document.getElementById("scroll");
    this.body = document.getElementById("rows");
    this.filter = document.getElementById("filter");
    this.noMatch = document.getElementById("no-match");
    this.above = this.space();
    this.between = this.space(); // what is in sight, and the row with the focus where that is not
    this.below = this.space();
    this.makeHeads();
    this.makeChoice();
    this.filter.oninput = () => this.arrange();
    this.scroll.addEventListener("scroll", () => this.showSoon(), { passive: true });
    window.addEventListener("resize", () => this.showSoon());
  }

  space() {
    const cell = element("td", { colSpan: this.columns.length });
    const row = element("tr", { className: "space" }, cell);
    row.setAttribute("aria-hidden", "true");
    return { row, set: (px) => (cell.style.height = `${px}px`) };
  }

  makeHeads() {
    const heads = document.getElementById("heads");
    heads.replaceChildren(...this.columns.map((column) => {
      const head = element("th", { className: column.kind, scope: "col", title: column.title || "" });
      head.setAttribute("role", "columnheader");
      if (!column.value) {
        head.append(element("span", { textContent: column.label }));
        return head;
      }
      const button = element("button", { type: "button", textContent: column.label });
      button.onclick = () => this.sortBy(column.key);
      head.append(button);
      column.head = head;
      return head;
    }));
  }

  /** The same where there is no room for heads. */
  makeChoice() {
    [this.sort, this.way] = ["sort", "sort-way"].map((id) => document.getElementById(id));
    const sortable = this.columns.filter((column) => column.value);
    document.getElementById("sorting").hidden = false;
    const option = ({ key, label }) => element("option", { value: key, textContent: label });
    this.sort.replaceChildren(...sortable.map(option));
    this.sort.onchange = this.way.onchange = () => this.sortBy(this.sort.value, this.way.value !== "");
    this.markSort();
  }

  sortBy(key, falling = this.sortKey === key && !this.falling) {
    this.falling = falling;
    this.sortKey = key;
    this.markSort();
    this.arrange();
  }

  markSort() {
    this.sort.value = this.sortKey;
    this.way.value = this.falling ? "falling" : "";
    for (const { head, key } of this.columns) {
      if (!head) continue;
      if (key === this.sortKey) head.setAttribute("aria-sort", this.falling ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  /** All rows anew. */
  reset(rows) {
    this.rows = new Map(rows.map((row) => [row.id, row]));
    this.arrange();
  }

  update(changed, gone) {
    for (const id of gone) this.rows.delete(id);
    const joined = changed.some((row) => !this.rows.has(row.id));
    for (const row of changed) this.rows.set(row.id, row);
    if (gone.length > 0 || joined || this.sortKey !== "id" || this.filter.value) this.arrange();
    else this.show();
  }

  /** Filters and sorts, then shows. */
  arrange() {
    const wanted = this.filter.value.trim().toLowerCase();
    const column = this.columns.find((each) => each.key === this.sortKey);
    const sorted = [...this.rows.values()].filter((row) => !wanted || `${row.id} ${row.address} ${row.state}`.toLowerCase().includes(wanted));
    const sign = this.falling ? -1 : 1;
    const keyed = sorted.map((row) => [column.value(row, this.now), row]);
    const byValue = (a, b) => missing(a) - missing(b) || sign * compare(a, b);
    keyed.sort(([a, rowA], [b, rowB]) => byValue(a, b) || natural.compare(rowA.id, rowB.id));
    this.sorted = keyed.map(([, row]) => row.id);
    say(this.noMatch, sorted.length === 0 && wanted ? `No ${this.one} matches “${this.filter.value.trim()}”.` : "");
    this.show();
  }

  showSoon() {
    if (this.soon) return;
    this.soon = requestAnimationFrame(() => {
      this.soon = null;
      this.show();
    });
  }

  /** The indexes that are in sight. */
  range() {
    if (this.sorted.length <= AT_ONCE) return [0, this.sorted.length];
    const height = this.rowHeight || 50;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / height) - AHEAD);
    return [first, Math.min(this.sorted.length, first + Math.ceil(this.scroll.clientHeight / height) + 2 * AHEAD)];
  }

  show() {
    this.scoreScale = this.scale();
    const [first, end] = this.range();
    const ids = this.sorted.slice(first, end);
    const focused = this.sorted.indexOf(this.focused());
    const before = focused >= 0 && focused < first, after = focused >= end;
    this.place(ids, first, before || after ? focused : null);
    for (const [id, view] of this.views) view.show(this.rows.get(id), this.now);
    this.timelines.want(ids);
    const height = ids.length > 0 ? this.views.get(ids[0]).row.offsetHeight : 0;
    if (height > 0 && height !== this.rowHeight) {
      this.rowHeight = height;
      if (this.sorted.length > AT_ONCE) this.showSoon();
    }
    const px = this.rowHeight || 50;
    this.above.set((before ? focused : first) * px);
    this.between.set((before ? first - focused - 1 : after ? focused - end : 0) * px);
    this.below.set((this.sorted.length - (after ? focused + 1 : end)) * px);
    document.getElementById("table").setAttribute("aria-rowcount", String(this.sorted.length + 1));
  }

  /** The id of the row that has the focus. */
  focused() {
    const row = this.body.contains(document.activeElement) && document.activeElement.closest("tr");
    return row ? [...this.views.keys()].find((id) => this.views.get(id).row === row) : undefined;
  }

  /** The longest bar is the highest score that is not beyond measure. */
  scale() {
    let most = 0.5;
    for (const row of this.rows.values()) if (isNumber(row.score) && row.score < 100) most = Math.max(most, row.score);
    return most;
  }

  /** Has exactly these rows in the table, and the one at `apart` if any, keeping those that are there. A row that is
   *  moved loses the focus: so the one that has it stays, and the others move round it. */
  place(ids, first, apart) {
    const places = ids.map((id, i) => [id, first + i]);
    if (apart !== null) places[apart < first ? "unshift" : "push"]([this.sorted[apart], apart]);
    const kept = new Set(places.map(([id]) => id)), focused = this.focused();
    for (const [id, view] of this.views) {
      if (kept.has(id)) continue;
      view.row.remove();
      this.views.delete(id);
      if (id === focused) this.scroll.focus({ preventScroll: true }); // it has left the pool, or is filtered out
    }
    if (this.above.row.parentNode !== this.body) this.body.append(this.above.row, this.below.row);
    const rows = places.map(([id, at]) => {
      if (!this.views.has(id)) this.views.set(id, this.makeRow(id));
      const { row } = this.views.get(id);
      row.setAttribute("aria-rowindex", String(at + 2));
      return row;
    });
    rows.splice(apart === null || apart >= first ? ids.length : 1, 0, this.between.row);
    const still = this.views.get(focused)?.row;
    let at = this.above.row;
    for (const row of rows) {
      while (row === still && at.nextSibling !== row) this.below.row.before(at.nextSibling);
      if (at.nextSibling !== row) at.after(row);
      at = row;
    }
  }

  makeRow(id) {
    const row = element("tr");
    row.setAttribute("role", "row");
    const updates = this.columns.map((column) => {
      const cell = row.appendChild(element("td", { className: column.kind }));
      cell.setAttribute("role", "cell");
      return column.make(cell, this, id);
    });
    row.classList.toggle("chosen", id === this.chosen);
    const show = (data, now) => {
      for (const update of updates) update(data, now);
      row.classList.toggle("out", !this.serves(data));
    };
    return { row, show };
  }

  choose(id, byHand = false) {
    this.chosen = id;
    for (const [each, view] of this.views) view.row.classList.toggle("chosen", each === id);
    this.tell(id, byHand);
  }
}

/** It comes last, whatever the direction. */
const missing = (value) => Number(value === null || value === undefined);

/** Numbers by size, words by nature. */
function compare(a, b) {
  if (isNumber(a) && isNumber(b)) return a - b;
  if (isNumber(a) || isNumber(b)) return isNumber(a) ? -1 : 1;
  return natural.compare(String(a ?? ""), String(b ?? ""));
}
