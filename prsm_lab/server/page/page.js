// Wiring: the key, the tabs, the composer and the keyboard. What each part does is in its own module.

import { ApiError, connect } from "./api.js";
import { createBoard } from "./columns.js";
import { createHistory } from "./history.js";
import { createPicker } from "./models.js";
import { byId, count, fact, money, say, showError, visible, when } from "./text.js";
import { createUsage } from "./usage.js";

const TABS = ["run", "history", "usage"];
const NO_KEY = "Paste your API key above first.";

/** What one key may do here: its API and the switch that ends everything it started. Null without a key. */
let session = null;

const history = createHistory();
const usage = createUsage();
const picker = createPicker({ onChange: () => showError(byId("model-error"), null) });
const board = createBoard({
  onIdle() {
    showRunning(false);
    // What it cost has just changed what is left.
    if (session) refreshFacts(session).catch(() => {});
  },
});

// --- The key -------------------------------------------------------------------------------------------------

function limitWords(limits) {
  const { requests_per_minute: requests, tokens_per_minute: tokens, concurrent } = limits ?? {};
  const words = [];
  if (requests) words.push(`${count(requests)} requests/min`);
  if (tokens) words.push(`${count(tokens)} tokens/min`);
  if (concurrent) words.push(`${count(concurrent)} at once`);
  return words.join(" · ") || "none";
}

/** Take in and show what the server says of this key. */
function know(me) {
  session.atOnce = me.limits?.concurrent || undefined;
  const facts = [
    fact("Name", visible(String(me.name ?? "—")), "who"),
    fact("Key", visible(String(me.hint ?? "—"))),
    fact("Tier", visible(String(me.tier ?? "—"))),
    fact("Credits", me.credits === null ? "not limited" : money(me.credits)),
    fact("Limits", limitWords(me.limits)),
  ];
  if (me.expires) facts.push(fact("Expires", when(me.expires)));
  byId("key-facts").replaceChildren(...facts);
}

async function refreshFacts(mine) {
  const me = await mine.api.me(mine.end.signal);
  if (session === mine) know(me);
}

/** The server refused the key, now or in the middle of the work: say so at the field, and be ready for another. */
function refused(error) {
  forget();
  showError(byId("key-error"), error);
  byId("key-field").focus();
}

async function useKey() {
  const field = byId("key-field");
  const key = field.value.trim();
  // The field is emptied at once: from here on the key is in a variable only.
  field.value = "";
  showError(byId("key-error"), null);
  if (!key) {
    showError(byId("key-error"), new ApiError("There is no key yet.", { remedy: "Paste the key you were given; it begins with pk_." }));
    field.focus();
    return;
  }
  const mine = { end: new AbortController(), api: null, atOnce: undefined };
  mine.api = connect(key, { onRefused: (error) => session === mine && refused(error) });
  session?.end.abort();
  session = mine;
  byId("key-use").disabled = true;
  try {
    const [me, { models = [] }] = await Promise.all([mine.api.me(mine.end.signal), mine.api.models(mine.end.signal)]);
    if (session !== mine) return;
    know(me);
    byId("key-entry").hidden = true;
    byId("key-known").hidden = false;
    picker.fill(models);
    say(`Key accepted, ${models.length} models`);
    loadTab(current());
    if (current() === "run") picker.focus();
  } catch (fault) {
    if (session !== mine) return;
    if (fault.status === 401) refused(fault);
    else {
      session = null;
      showError(byId("key-error"), fault);
      field.focus();
    }
  } finally {
    byId("key-use").disabled = false;
  }
}

/** Forget the key and everything that it showed: the next person at this screen has another one. */
function forget() {
  session?.end.abort();
  session = null;
  board.clear();
  showRunning(false);
  picker.fill([]);
  byId("key-facts").replaceChildren();
  byId("key-known").hidden = true;
  byId("key-entry").hidden = false;
  history.clear(NO_KEY);
  usage.clear(NO_KEY);
}

byId("key-use").addEventListener("click", useKey);
byId("key-field").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  event.stopPropagation();
  useKey();
});
byId("key-forget").addEventListener("click", () => {
  forget();
  showError(byId("key-error"), null);
  say("Key forgotten");
  byId("key-field").focus();
});

// --- The tabs ------------------------------------------------------------------------------------------------

const current = () => TABS.find((name) => byId(`tab-${name}`).getAttribute("aria-selected") === "true");

function loadTab(name) {
  if (!session) return;
  if (name === "history") history.load(session.api, session.end.signal);
  if (name === "usage") usage.load(session.api, byId("usage-time").value, session.end.signal);
}

function openTab(name) {
  for (const each of TABS) {
    const tab = byId(`tab-${each}`);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    byId(`panel-${each}`).hidden = each !== name;
  }
  loadTab(name);
}

TABS.forEach((name, index) => {
  const tab = byId(`tab-${name}`);
  tab.addEventListener("click", () => openTab(name));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = TABS.at(to % TABS.length);
    openTab(next);
    byId(`tab-${next}`).focus();
  });
});
byId("history-refresh").addEventListener("click", () => loadTab("history"));
byId("usage-refresh").addEventListener("click", () => loadTab("usage"));
byId("usage-time").addEventListener("change", () => loadTab("usage"));

// --- Asking --------------------------------------------------------------------------------------------------

function showRunning(running) {
  // Not `disabled`: that would drop the focus of whoever pressed it with the keyboard.
  byId("run").setAttribute("aria-disabled", String(running));
  byId("stop-all").setAttribute("aria-disabled", String(!running));
}

/** A number field's value; undefined when it is empty, so that the model's own default holds. */
function number(id, name) {
  const field = byId(id);
  if (field.value === "" && !field.validity.badInput) return undefined;
  if (!field.validity.valid) throw Object.assign(new ApiError(`${name}: ${field.validationMessage}`), { field });
  return field.valueAsNumber;
}

/** What is to be asked; throws an error that names the field to go to. */
function compose() {
  const prompt = byId("prompt").value;
  const system = byId("system").value;
  if (!session) throw Object.assign(new ApiError(NO_KEY), { field: byId("key-field") });
  if (picker.chosen().length === 0) throw Object.assign(new ApiError("Choose at least one model."), { field: byId("model-search") });
  if (!prompt.trim()) throw Object.assign(new ApiError("Write a prompt."), { field: byId("prompt") });
  const messages = [{ role: "user", content: prompt }];
  if (system.trim()) messages.unshift({ role: "system", content: system });
  // JSON leaves out what is undefined.
  return { messages, max_tokens: number("max-tokens", "Max tokens"), temperature: number("temperature", "Temperature") };
}

function run() {
  if (board.busy()) {
    say("Still running; Escape stops it");
    return;
  }
  showError(byId("run-error"), null);
  let body;
  try {
    body = compose();
  } catch (fault) {
    showError(byId("run-error"), fault);
    fault.field?.focus();
    return;
  }
  showRunning(true);
  board.start(session.api, picker.chosen(), body, session.atOnce);
}

byId("run").addEventListener("click", run);
byId("stop-all").addEventListener("click", () => {
  board.stopAll();
  byId("run").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && current() === "run") {
    event.preventDefault();
    run();
  } else if (event.key === "Escape" && board.busy()) {
    event.preventDefault();
    board.stopAll();
  }
});

// Leaving the page must not leave a provider working for nobody.
addEventListener("pagehide", () => board.stopAll());
// A page kept alive by the browser's back button would still hold the key; a closed tab has forgotten it.
addEventListener("pageshow", (event) => event.persisted && forget());

if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("run-keys").textContent = "⌘ ↵";
// Firefox fills fields again after a reload; a key must not be one of them.
byId("key-field").value = "";
forget();
