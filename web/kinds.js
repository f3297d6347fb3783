// What is particular to the proxy and to the gateway, which show the same page: their words, columns, charts and tiles.

/** What is particular to the proxy. */
const PROXY = {
  program: "reverseProxy",
  row: "backend",
  one: "back-end",
  rows: "backends",
  words: { "pool-h": "Back-ends", skip: "Skip to the back-ends", "flow-h": "Where new connections go" },
  find: "address, pool or state",
  sections: ["decisions"],
  legend: PARTS,
  orders: true,
  serves: (row) => row.pool_served && (row.state === "up" || row.state === "stale"),
  about: (now) => [now.policy, `${now.engine} engine`],
  totals: { connections: (now) => now.connections.total, bytes: (now) => now.bytes.in + now.bytes.out },
  flow: { label: "new connections", rate: (row) => row.rate, text: perSecond },
  columns: [
    stateColumn, nameColumn("Back-end"), scoreColumn, sparkColumn("score", "15 min"),
    numeric("rtt", "RTT", "Round-trip time of the last probe", milliseconds, (row) => row.rtt_ms.sample),
    numeric("loss", "Loss", "Lost among the last 20 probes", percent, (row) => row.loss),
    numeric("tcp", "TCP", "Established connections of the machine, as its agent says", whole, (row) => row.tcp),
    numeric("cpu", "CPU", "As its agent says", percent, (row) => row.cpu),
    numeric("memory", "Memory", "As its agent says", percent, (row) => row.memory),
    numeric("age", "Report", "How old the agent's last report is", age, (row, now) => (isNumber(row.reported_at_ms) ? now - row.reported_at_ms : null)),
    numeric("active", "Open", "Connections through this proxy", whole, (row) => row.connections.active),
    numeric("rate", "New/s", "New connections per second", perSecond, (row) => row.rate),
    numeric("failed", "Failed", "Connections that failed since the start", whole, (row) => row.connections.failed),
    actionColumn,
  ],
  readings: {
    score: (row) => row.score, rtt_ms: (row) => row.rtt_ms.sample, loss: (row) => row.loss, tcp: (row) => row.tcp, cpu: (row) => row.cpu,
    memory: (row) => row.memory, active: (row) => row.connections.active, rate: (row) => row.rate,
  },
  charts: [
    { title: "Score", text: figure, least: 0.5, lines: [{ series: "score", label: "score", colour: "accent" }] },
    { title: "Distance", text: (ms) => `${figure(ms)} ms`, least: 1, lines: [{ series: "rtt_ms", label: "RTT", colour: "rtt" }] },
    { title: "Load", text: percent, least: 1, lines: [{ series: "cpu", label: "CPU", colour: "cpu" }, { series: "memory", label: "memory", colour: "memory", dash: [6, 3] }, { series: "loss", label: "loss", colour: "loss", dash: [2, 3] }] },
    { title: "Connections", text: perSecond, least: 4, lines: [{ series: "active", label: "open", colour: "accent" }, { series: "rate", label: "new/s", colour: "tcp", dash: [6, 3] }] },
  ],
  prepare(row) {
    row.ordered = row.ordered || (row.state === "drain" || row.state === "maint" ? row.state : "ready");
    const { active, max } = row.connections;
    row.about = [
      row.pool && row.pool !== "default" && `pool ${row.pool}`,
      row.source === "static" && "static",
      row.backup && "backup",
      isNumber(row.weight) && row.weight !== 1 && `weight ${row.weight}`,
      isNumber(row.slow_start) && `slow start ${percent(row.slow_start)}`,
      max && active >= max && "full",
    ].filter(Boolean).join(" · ");
    return row;
  },
  tiles(tiles, now, rows, rates) {
    tiles.serving("Back-ends serving", rows, PROXY.serves, now.draining ? "the proxy is draining" : now.ready ? "ready" : "not ready: nobody can be chosen");
    tiles.show("Connections open", whole(now.connections.active), now.connections.max ? `of ${whole(now.connections.max)} at most` : "");
    tiles.show("New connections", `${perSecond(rates.connections)}/s`, `${whole(now.connections.total)} since the start`);
    tiles.show("Waiting", whole(now.connections.waiting), "for a back-end", now.connections.waiting > 0 ? "warn" : "");
    tiles.counts("Turned away", now.connections.rejected);
    tiles.show("Bytes", `${bytes(rates.bytes)}/s`, `${bytes(now.bytes.in)} in, ${bytes(now.bytes.out)} out`);
  },
  empty: "No back-end yet. Start an agent on one: monitorUDP 20 THIS-HOST (proxyctl check tells what is in the way)",
};

/** What is particular to the gateway. */
const GATEWAY = {
  program: "HttpGw",
  row: "server",
  one: "file server",
  rows: "servers",
  words: { "pool-h": "File servers", skip: "Skip to the file servers", "flow-h": "Where files come from" },
  find: "name, address or state",
  sections: ["transfers"],
  legend: [],
  orders: false,
  serves: (row) => row.state === "up",
  about: (now) => [`${now.engine} engine`],
  totals: { requests: (now) => sum(now.requests), bytes: (now) => now.bytes },
  flow: { label: "of files", rate: (row) => row.rate, text: bytes, inwards: true },
  columns: [
    stateColumn, nameColumn("File server"), sparkColumn("rate", "15 min"),
    numeric("rate", "Now", "Bytes of chunks that come from it, per second", bytesPerSecond, (row) => row.rate),
    numeric("possible", "Can do", "What it can deliver per second, as far as was seen", bytesPerSecond, (row) => row.bytes_per_second),
    numeric("rtt", "RTT", "Smoothed round-trip time", milliseconds, (row) => row.rtt_ms),
    numeric("in_flight", "In flight", "Chunks that it was asked for and owes", whole, (row) => row.chunks.in_flight),
    numeric("window", "Window", "Chunks that it may owe at once", whole, (row) => row.chunks.window),
    numeric("received", "Received", "Chunks that came from it", whole, (row) => row.chunks.received),
    numeric("lost", "Lost", "Chunks that it was asked for and that were given up", whole, (row) => row.chunks.lost),
    numeric("duplicate", "Duplicate", "Chunks from it that were here already", whole, (row) => row.chunks.duplicate),
    numeric("heard", "Heard", "How long ago anything was heard from it", age, (row, now) => (isNumber(row.heard_at_ms) ? now - row.heard_at_ms : null)),
  ],
  readings: {
    rate: (row) => row.rate, possible: (row) => row.bytes_per_second, rtt_ms: (row) => row.rtt_ms, in_flight: (row) => row.chunks.in_flight,
    window: (row) => row.chunks.window, lost: (row) => row.lost_rate, duplicate: (row) => row.duplicate_rate,
  },
  charts: [
    { title: "Rate", text: bytesPerSecond, least: 1000, lines: [{ series: "rate", label: "now", colour: "accent" }, { series: "possible", label: "can do", colour: "tcp", dash: [6, 3] }] },
    { title: "Distance", text: (ms) => `${figure(ms)} ms`, least: 1, lines: [{ series: "rtt_ms", label: "RTT", colour: "rtt" }] },
    { title: "Chunks on their way", text: whole, least: 8, lines: [{ series: "in_flight", label: "in flight", colour: "accent" }, { series: "window", label: "window", colour: "tcp", dash: [6, 3] }] },
    { title: "Chunks in vain", text: (rate) => `${perSecond(rate)}/s`, least: 1, lines: [{ series: "lost", label: "lost", colour: "loss" }, { series: "duplicate", label: "duplicate", colour: "memory", dash: [6, 3] }] },
  ],
  prepare(row) {
    row.about = row.address;
    return row;
  },
  tiles(tiles, now, rows, rates) {
    tiles.serving("File servers up", rows, GATEWAY.serves, now.draining ? "the gateway is draining" : now.ready ? "ready" : "not ready: none is up");
    tiles.show("Files on their way", whole(now.transfers), `${whole(now.transfers_total)} looked for since the start`);
    tiles.show("Requests", `${perSecond(rates.requests)}/s`, inWords(now.requests) || "none since the start");
    tiles.show("Bytes", `${bytes(rates.bytes)}/s`, `${bytes(now.bytes)} since the start`);
    tiles.counts("Files that failed", now.transfers_failed);
    tiles.show("Clients", whole(now.connections.active), now.connections.max ? `of ${whole(now.connections.max)} at most` : "");
    tiles.counts("Datagrams dropped", { ...now.datagrams.dropped, "buffer full": now.datagrams.socket_full });
  },
  empty: "No file server yet. Start one where the files are: FastFileSrv THIS-HOST PORT --root /srv",
};

const kinds = { proxy: PROXY, gateway: GATEWAY };
