// Words and numbers as the page shows them, and the few DOM helpers that every part uses.

/** The characters that can make text look like other text: bidi controls, tag characters, stray control codes. */
const DECEPTIVE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;

/** Text from a model, made safe to look at: what would reorder or hide it becomes a visible escape. */
export function visible(text) {
  return text.replace(DECEPTIVE, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** What is not known. Never 0: an unknown cost is not a free one. */
export const UNKNOWN = "—";

const known = (value) => typeof value === "number" && Number.isFinite(value);

export function count(value) {
  return known(value) ? Math.round(value).toLocaleString("en-US") : UNKNOWN;
}

const decimals = (size) => (size >= 1 || size === 0 ? 2 : Math.max(2, 2 - Math.floor(Math.log10(size))));

function dollars(value, digits) {
  const [whole, part] = Math.abs(value).toFixed(digits).split(".");
  return `${value < 0 ? "−" : ""}$${Number(whole).toLocaleString("en-US")}.${part}`;
}

/** Dollars, with three significant digits however small: $12.50, $0.0023, $0.00000041. */
export function money(value) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "$0";
  if (Math.abs(value) < 1e-12) return "<$0.000000000001";
  return dollars(value, decimals(Math.abs(value))).replace(/(\.\d\d\d*?)0+$/, "$1");
}

/** Dollars of one column of a table: the same number of decimals, so that they can be compared at a glance. */
export function moneyColumn(values) {
  const digits = Math.min(6, Math.max(2, ...values.filter(known).map((value) => decimals(Math.abs(value)))));
  return (value) => (known(value) && (value === 0 || Math.abs(value) >= 10 ** -digits) ? dollars(value, digits) : money(value));
}

export function duration(ms) {
  if (!known(ms)) return UNKNOWN;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

export function rate(perSecond) {
  if (!known(perSecond)) return UNKNOWN;
  return perSecond >= 100 ? count(perSecond) : perSecond.toFixed(1);
}

export function share(value) {
  return known(value) ? `${(value * 100).toFixed(value === 1 || value === 0 ? 0 : 1)} %` : UNKNOWN;
}

/** A time stamp (unix seconds or ISO text) in the reader's own time zone: day and time, with a space between. */
export function when(stamp) {
  if (stamp === null || stamp === undefined) return UNKNOWN;
  const date = new Date(known(stamp) ? stamp * 1000 : stamp);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const two = (n) => String(n).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** A guess until the provider counts: about four letters of Latin script a token, fewer of any other. */
export function guessTokens(text) {
  let other = 0;
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0x2ff) other += 1;
  return (text.length - other) / 4 + other * 0.7;
}

/** Answers of the emulator must never pass for a model's. */
export function isSimulated(...names) {
  return names.some((name) => typeof name === "string" && /(^|[/: ])simulated/i.test(name));
}

/** An element with text and children. Text is only ever set as text; nothing here parses HTML. */
export function make(tag, { text, kind, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

/** A fact of a list: term and value. */
export function fact(term, value, kind) {
  return make("div", { kind }, make("dt", { text: term }), make("dd", { text: value }));
}

const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TH: "columnheader", TD: "cell" };

/** A table in its scrolling frame. The roles are spelled out because small screens lay the rows out as grids. */
export function table(caption, heads, rows) {
  const made = make("table", {}, make("caption", { kind: "unseen", text: caption }),
    make("thead", {}, make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", text, kind })))),
    make("tbody", {}, ...rows));
  for (const part of [made, ...made.querySelectorAll("thead, tbody, tr, th, td")]) part.setAttribute("role", ROLES[part.tagName]);
  return make("div", { kind: "scroll" }, made);
}

let spoken = [];

/** Say a state to a screen reader. Several within one frame are said together, so that none overwrites another. */
export function say(words) {
  spoken.push(words);
  if (spoken.length > 1) return;
  setTimeout(() => {
    byId("status").textContent = spoken.join(". ");
    spoken = [];
  }, 60);
}

/** Show a fault where it happened: what the server said, then what can be done about it. */
export function showError(box, error) {
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  box.append(make("p", { text: visible(error.message) }));
  if (error.remedy) box.append(make("p", { kind: "remedy", text: visible(error.remedy) }));
  const small = [error.code, error.requestId && `request ${error.requestId}`].filter(Boolean).join(" · ");
  if (small) box.append(make("p", { kind: "code", text: visible(small) }));
}
