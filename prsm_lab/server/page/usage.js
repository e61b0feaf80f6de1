// What was used: totals, cost per day as bars, and the same figures as a table.

import { UNKNOWN, byId, count, duration, fact, make, money, moneyColumn, say, share, showError, table, visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const DAYS = { last_7_days: 7, last_30_days: 30 };
const HEIGHT = 200;
const EDGE = { top: 26, right: 8, bottom: 26, left: 8 };

function svg(tag, attributes = {}, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

const dayOf = (group) => String(group.day ?? "").slice(0, 10);

/** Cost per day, oldest first; quiet days of a fixed period are there with 0, days of unknown cost with null. */
export function perDay(groups, timeframe, today = new Date()) {
  const days = new Map();
  for (let back = (DAYS[timeframe] ?? 0) - 1; back >= 0; back -= 1) {
    days.set(new Date(today.getTime() - back * 86400000).toISOString().slice(0, 10), 0);
  }
  for (const group of groups) {
    const day = dayOf(group);
    if (!day) continue;
    const before = days.get(day);
    if (typeof group.total_cost === "number") days.set(day, (before ?? 0) + group.total_cost);
    else if (!before) days.set(day, null);
  }
  return [...days].sort(([a], [b]) => (a < b ? -1 : 1)).map(([day, cost]) => ({ day, cost }));
}

/** Bars drawn at the width they are shown at, so that their labels stay as large as the page's text. */
function chart(days, width) {
  const most = Math.max(...days.map(({ cost }) => cost ?? 0));
  const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const step = inner.width / days.length;
  const bar = Math.min(72, step * 0.68);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-labelledby": "chart-title chart-desc" });
  picture.append(svg("title", { id: "chart-title" }, "Cost per day"));
  const spoken = days.map(({ day, cost }) => `${day} ${cost === null ? "unknown" : money(cost)}`).join(", ");
  picture.append(svg("desc", { id: "chart-desc" }, spoken));
  const floor = EDGE.top + inner.height;
  // A label needs about 46 px for a day and 62 px for an amount; where there is less, only some are written.
  const everyDay = Math.max(1, Math.ceil(46 / step));
  const amounts = step >= 62;
  days.forEach(({ day, cost }, index) => {
    const middle = EDGE.left + step * (index + 0.5);
    const height = most > 0 && cost ? Math.max(2, (cost / most) * inner.height) : 0;
    if (height > 0) {
      const box = svg("rect", { class: "bar", x: middle - bar / 2, y: floor - height, width: bar, height, rx: 2 });
      box.append(svg("title", {}, `${day}: ${money(cost)}`));
      picture.append(box);
    }
    if ((amounts && cost !== 0) || (cost === most && most > 0)) {
      const x = Math.min(Math.max(middle, 32), width - 32);
      picture.append(svg("text", { class: "bar-value", x, y: floor - height - 7, "text-anchor": "middle" }, money(cost)));
    }
    if ((days.length - 1 - index) % everyDay === 0) {
      picture.append(svg("text", { class: "bar-day", x: middle, y: HEIGHT - 7, "text-anchor": "middle" }, day.slice(5)));
    }
  });
  picture.append(svg("line", { class: "axis", x1: EDGE.left, x2: width - EDGE.right, y1: floor + 0.5, y2: floor + 0.5 }));
  return picture;
}

function totals(seen) {
  const cost = fact("Cost", money(seen.total_cost));
  // What has no price is not in the sum; a sum that hid it would be too small.
  if (seen.unpriced_requests > 0) cost.append(make("dd", { kind: "note", text: `+ ${count(seen.unpriced_requests)} without a price` }));
  return make("dl", { kind: "tiles", id: "usage-totals" },
    fact("Requests", count(seen.total_requests)),
    fact("Tokens", count(seen.total_tokens)),
    cost,
    fact("Succeeded", share(seen.success_rate)),
    fact("From cache", count(seen.cached_requests)),
    fact("Latency p50", duration(seen.p50_latency_ms)),
    fact("Latency p95", duration(seen.p95_latency_ms)));
}

const HEADS = [["Day"], ["Model"], ["Requests", "number"], ["Tokens", "number wide"], ["Cost", "number"], ["Average latency", "number wide"]];

function figures(groups) {
  const newest = [...groups].sort((a, b) => (dayOf(a) === dayOf(b) ? (b.total_cost ?? 0) - (a.total_cost ?? 0) : dayOf(a) < dayOf(b) ? 1 : -1));
  const column = moneyColumn(groups.map((group) => group.total_cost));
  const lines = newest.map((group) => make("tr", {},
    make("td", { kind: "day second", text: dayOf(group) || UNKNOWN }),
    make("td", { kind: "first", text: visible(String(group.model ?? UNKNOWN)) }),
    make("td", { kind: "number second-end requests", text: count(group.total_requests) }),
    make("td", { kind: "number wide", text: count(group.total_tokens) }),
    make("td", { kind: "number first-end", text: column(group.total_cost) }),
    make("td", { kind: "number wide", text: duration(group.avg_latency_ms) })));
  return table("Usage per day and model", HEADS, lines);
}

export function createUsage() {
  const body = byId("usage-body");
  const problem = byId("usage-error");
  let days = [];
  let drawnAt = 0;

  function redraw() {
    const frame = byId("usage-chart");
    if (!frame || frame.clientWidth === 0 || frame.clientWidth === drawnAt) return;
    drawnAt = frame.clientWidth;
    frame.replaceChildren(chart(days, drawnAt));
  }
  new ResizeObserver(redraw).observe(body);

  function draw(seen, timeframe) {
    const groups = Array.isArray(seen.groups) ? seen.groups : [];
    if (!seen.total_requests) {
      body.replaceChildren(make("p", { kind: "empty", text: "Nothing was used in this period." }));
      return;
    }
    days = perDay(groups, timeframe);
    drawnAt = 0;
    const figure = make("figure", { kind: "chart" }, make("figcaption", { text: "Cost per day (UTC)" }), make("div", { id: "usage-chart" }));
    if (!days.some(({ cost }) => cost > 0)) figure.append(make("p", { kind: "note", text: "No day of this period has a known cost." }));
    body.replaceChildren(totals(seen), figure, figures(groups));
    redraw();
  }

  return {
    clear(words) {
      showError(problem, null);
      body.replaceChildren(make("p", { kind: "empty", text: words }));
    },
    async load(api, timeframe, signal) {
      showError(problem, null);
      body.setAttribute("aria-busy", "true");
      try {
        const seen = await api.usage(timeframe, signal);
        draw(seen, timeframe);
        say(`Usage: ${count(seen.total_requests)} requests, cost ${money(seen.total_cost)}`);
      } catch (fault) {
        if (!signal.aborted) showError(problem, fault);
      } finally {
        body.removeAttribute("aria-busy");
      }
    },
  };
}
