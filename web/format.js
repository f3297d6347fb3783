"use strict";
// Small words of the page. Everything that came over the network goes into textContent or an attribute, never into
// markup.

/** A new element. `properties` are set on it (`dataset` and `attributes` one by one), `children` appended. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "dataset") Object.assign(made.dataset, value);
    else if (key === "attributes") for (const [a, v] of Object.entries(value)) made.setAttribute(a, v);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const STATES = ["up", "stale", "down", "ejected", "drain", "maint", "new", "left"];
const ICON_OF = { recovered: "up", joined: "up", silent: "stale", "left out": "ejected" };

function icon(state) {
  const name = ICON_OF[state] || (STATES.includes(state) ? state : "new");
  return svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** Writes only what differs: a page that is looked at once a second should not be laid out once a second. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const NONE = "–";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** 0.123, 1.23, 12.3, 123 */
function figure(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}
const score = (value) => (isNumber(value) ? (value < 10 ? value.toFixed(3) : figure(value)) : NONE);
const percent = (share) => (isNumber(share) ? `${Math.round(share * 100)} %` : NONE);
const milliseconds = (value) => (isNumber(value) ? `${value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0)} ms` : NONE);
const whole = (value) => (isNumber(value) ? Math.round(value).toLocaleString("en") : NONE);
const perSecond = (value) => (isNumber(value) ? (value < 10 && !Number.isInteger(value) ? value.toFixed(1) : whole(value)) : NONE);

function age(ms) {
  if (!isNumber(ms)) return NONE;
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function bytes(value, digits = figure) {
  if (!isNumber(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? Math.round(value) : digits(value)} ${units[unit]}`;
}
/** In few letters, for a column: "4.1 MB/s", "31 MB/s". */
const bytesPerSecond = (value) => (isNumber(value) ? `${bytes(value, (some) => some.toFixed(some < 10 ? 1 : 0))}/s` : NONE);

const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);

/** "not found 3, no answer 1": what was counted at all. */
const inWords = (counts) =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name.replaceAll("_", " ")} ${whole(count)}`)
    .join(", ");

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const timeOfDay = (ms) => clock.format(new Date(ms));

/** A back-end's id without the pool that nobody named. */
const nameOf = (id) => id.replace(/\/default$/, "");

const natural = new Intl.Collator("en", { numeric: true });

/** The parts of a score, in the order of the bar. */
const PARTS = [
  ["rtt", "RTT"],
  ["tcp", "TCP"],
  ["loss", "loss"],
  ["cpu", "CPU"],
  ["memory", "memory"],
  ["doubt", "doubt"],
];

/** "RTT 0.030, TCP 0.120 …": a bar for those who cannot see it. */
function partsInWords(components) {
  return PARTS.filter(([key]) => isNumber(components[key]) && (key !== "doubt" || components[key] > 0))
    .map(([key, name]) => `${name} ${score(components[key])}`)
    .join(", ");
}

/** The bar of a score: its parts at `scale` per full width. */
function scoreBar() {
  const bar = element("span", { className: "parts" });
  bar.setAttribute("role", "img");
  const parts = PARTS.map(([key]) => [key, bar.appendChild(element("i", { className: `p-${key}` }))]);
  return {
    bar,
    show(components, scale) {
      for (const [key, part] of parts) {
        const width = `${Math.max(0, Math.min(100, (100 * (components[key] || 0)) / scale)).toFixed(1)}%`;
        if (part.style.width !== width) part.style.width = width;
      }
      const words = partsInWords(components) || "no score";
      if (bar.title !== words) {
        bar.title = words;
        bar.setAttribute("aria-label", words);
      }
    },
  };
}
