// One column per model: its stream, its state and its figures.

import { UNKNOWN, byId, count, duration, guessTokens, isSimulated, make, money, rate, say, showError, visible } from "./text.js";

/** An answer that comes all at once has no speed of its own; below this the whole latency counts instead. */
const SHORTEST_FLOW_MS = 50;

// All columns paint together, once a frame: a fast model sends more tokens a second than a screen has frames.
const dirty = new Set();

function repaint(column) {
  if (dirty.size === 0) {
    requestAnimationFrame(() => {
      const now = [...dirty];
      dirty.clear();
      for (const each of now) each.paint();
    });
  }
  dirty.add(column);
}

const STATES = { waiting: "waiting", streaming: "streaming", done: "done", stopped: "stopped", failed: "failed" };

export class Column {
  #model;
  #provider; // as listed; the answer says who really served it
  #abort = new AbortController();
  #state = "waiting";
  #text = "";
  #thought = "";
  #painted = 0; // how much of #text is on the screen
  #void = false; // the text so far was taken back
  #follow = true; // keep the end in view until the reader scrolls up
  #asked = false;
  #began = performance.now();
  #first = null;
  #guess = 0; // tokens so far, estimated
  #end = null; // the completed event
  #took = null;
  #error = null;
  #parts = {};

  constructor({ name, provider }, number) {
    this.#model = name;
    this.#provider = provider;
    this.element = this.#build(number);
    this.paint();
  }

  get state() {
    return this.#state;
  }

  #build(number) {
    const id = `column-${number}`;
    const p = this.#parts;
    const named = visible(this.#model);
    p.tags = make("span", { kind: "tags" });
    p.state = make("span", { kind: "state" });
    p.output = make("pre", { kind: "output", tabindex: "0", role: "region", dir: "auto", "aria-label": `Answer of ${named}` });
    p.words = document.createTextNode("");
    p.output.append(p.words);
    p.output.addEventListener("scroll", () => {
      this.#follow = p.output.scrollTop + p.output.clientHeight >= p.output.scrollHeight - 8;
    }, { passive: true });
    p.thoughtText = make("pre", { kind: "thought-text", dir: "auto" });
    p.thought = make("details", { kind: "thought", hidden: true }, make("summary", { text: "Reasoning" }), p.thoughtText);
    p.mark = make("p", { kind: "mark", hidden: true });
    p.error = make("div", { kind: "error", hidden: true });
    p.stats = {};
    const stats = make("dl", { kind: "stats" });
    for (const [name, term] of [["ttft", "First token"], ["latency", "Latency"], ["speed", "Tokens/s"], ["tokens", "Tokens in → out"], ["cost", "Cost"]]) {
      p.stats[name] = make("dd", { text: UNKNOWN, "data-stat": name });
      stats.append(make("div", {}, make("dt", { text: term }), p.stats[name]));
    }
    p.stop = make("button", { type: "button", text: "Stop", "aria-label": `Stop ${named}` });
    p.stop.addEventListener("click", () => this.stop());
    p.copy = make("button", { type: "button", text: "Copy", "aria-label": `Copy the answer of ${named}` });
    p.copy.addEventListener("click", () => this.#copy());
    return make("article", { kind: "column", "aria-labelledby": id },
      make("header", {}, make("h3", { id, text: named }), p.state, p.tags),
      p.thought, p.output, p.mark, p.error, stats, make("div", { kind: "column-actions" }, p.stop, p.copy));
  }

  #become(state) {
    this.#state = state;
    say(`${this.#model}: ${STATES[state]}`);
    repaint(this);
  }

  stop() {
    this.#abort.abort();
    // One that still waits for its turn has no request to end.
    if (this.#state === "waiting" && !this.#asked) this.#become("stopped");
  }

  /** Ask, and take what comes until the end, a fault or a stop. Never throws: a fault belongs in its column. */
  async run(api, body) {
    if (this.#state !== "waiting") return;
    this.#asked = true;
    this.#began = performance.now();
    try {
      for await (const chunk of api.stream({ ...body, model: this.#model }, this.#abort.signal)) this.#take(chunk);
      this.#took = performance.now() - this.#began;
      this.#become("done");
    } catch (fault) {
      this.#took = performance.now() - this.#began;
      if (this.#abort.signal.aborted) {
        this.#become("stopped");
      } else {
        this.#error = fault;
        this.#become("failed");
      }
    }
  }

  #take(chunk) {
    const choice = chunk.choices?.[0];
    const delta = choice?.delta ?? {};
    if (delta.restart) {
      this.#text = "";
      this.#thought = "";
      this.#guess = 0;
      this.#painted = 0;
      this.#void = true;
    }
    if (delta.content || delta.reasoning) {
      if (this.#first === null) this.#first = performance.now();
      if (this.#state === "waiting") this.#become("streaming");
      this.#text += delta.content ?? "";
      this.#thought += delta.reasoning ?? "";
      this.#guess += guessTokens(`${delta.content ?? ""}${delta.reasoning ?? ""}`);
    }
    if (chunk.object === "inference.completed") this.#end = chunk;
    repaint(this);
  }

  /** Bring the screen up to date. Text is appended to one text node: it can never become markup. */
  paint() {
    const p = this.#parts;
    if (this.#void) {
      p.words.data = "";
      p.thoughtText.textContent = "";
      this.#void = false;
    }
    if (this.#painted < this.#text.length) {
      p.words.appendData(visible(this.#text.slice(this.#painted)));
      this.#painted = this.#text.length;
      if (this.#follow) p.output.scrollTop = p.output.scrollHeight;
    }
    if (this.#thought) {
      p.thought.hidden = false;
      p.thoughtText.textContent = visible(this.#thought);
    }
    const over = ["done", "stopped", "failed"].includes(this.#state);
    this.element.dataset.state = this.#state;
    p.output.hidden = over && this.#text === "";
    p.state.textContent = STATES[this.#state];
    p.stop.setAttribute("aria-disabled", String(over)); // not `disabled`: the focus may be on it
    p.copy.setAttribute("aria-disabled", String(this.#text === ""));
    this.#paintFigures(over);
    this.#paintTags();
    if (over) this.#paintEnd();
  }

  #paintFigures(over) {
    const { ttft, speed, tokens, cost, latency } = this.#parts.stats;
    const usage = this.#end?.usage ?? {};
    const firstMs = this.#end?.ttft_ms ?? (this.#first === null ? null : this.#first - this.#began);
    const totalMs = this.#end?.latency_ms ?? this.#took;
    ttft.textContent = duration(firstMs);
    latency.textContent = over ? duration(totalMs) : UNKNOWN;
    cost.textContent = money(this.#end?.cost?.amount);
    const exact = typeof usage.completion_tokens === "number";
    const out = exact ? usage.completion_tokens : this.#guess > 0 ? this.#guess : null;
    tokens.textContent = out === null ? UNKNOWN : `${count(usage.prompt_tokens)} → ${exact ? "" : "≈ "}${count(Math.ceil(out))}`;
    const spent = totalMs ?? performance.now() - this.#began;
    const flow = spent - (firstMs ?? 0);
    // Nothing to divide by in the first moments of a stream: a speed would only be a large number.
    const base = flow >= SHORTEST_FLOW_MS ? flow : over ? spent : null;
    speed.textContent = out === null || !base ? UNKNOWN : `${exact ? "" : "≈ "}${rate(out / (base / 1000))}`;
  }

  #paintEnd() {
    const p = this.#parts;
    const reason = this.#end?.choices?.[0]?.finish_reason;
    const marks = {
      stopped: this.#text ? "Stopped here; the text above is not the whole answer." : "Stopped before the first token.",
      failed: this.#text ? "Broke off here; the text above is not the whole answer." : "",
      done: reason === "length" ? "Cut off at max tokens." : reason === "content_filter" ? "Cut off by the provider's filter."
        : this.#text ? "" : "The answer is empty.",
    };
    p.mark.textContent = marks[this.#state];
    p.mark.hidden = !p.mark.textContent;
    showError(p.error, this.#error);
  }

  #paintTags() {
    const { provider = this.#provider, cached } = this.#end ?? {};
    // Who really answered, where the server says so; `model` may only repeat what was asked for.
    const model = this.#end?.served_model ?? this.#end?.model ?? this.#model;
    const tags = [];
    if (isSimulated(this.#model, model, provider)) tags.push(make("span", { kind: "tag warn", text: "simulated" }));
    if (cached) tags.push(make("span", { kind: "tag", text: "from cache" }));
    const served = [provider, model !== this.#model && model].filter(Boolean).join(" · ");
    if (served) tags.push(make("span", { kind: "served", text: visible(served) }));
    // Painted on every frame, changed perhaps once: what is the same stays, and a selection in it too.
    const { tags: place } = this.#parts;
    if (place.textContent !== tags.map((tag) => tag.textContent).join("")) place.replaceChildren(...tags);
  }

  async #copy() {
    const { copy, output } = this.#parts;
    if (this.#text === "") return;
    let done = true;
    try {
      await navigator.clipboard.writeText(this.#text);
    } catch {
      // Over plain http from another machine there is no clipboard API; the older way still works.
      getSelection().selectAllChildren(output);
      done = document.execCommand("copy");
    }
    copy.textContent = done ? "Copied" : "Selected";
    say(done ? "Copied" : "Selected; press Ctrl+C");
    setTimeout(() => (copy.textContent = "Copy"), 1600);
  }
}

/** All columns of one run. */
export function createBoard({ onIdle }) {
  const place = byId("columns");
  let columns = [];
  let run = 0;

  const busy = () => columns.some((column) => column.state === "waiting" || column.state === "streaming");

  return {
    busy,
    /** Ask all models, `most` at a time: what a key may not ask at once waits here instead of being refused there. */
    async start(api, models, body, most) {
      run += 1;
      const mine = run;
      columns = models.map((model, index) => new Column(model, index));
      place.replaceChildren(...columns.map((column) => column.element));
      place.dataset.count = String(columns.length);
      place.hidden = false;
      byId("columns-none").hidden = true;
      // On a small screen the answers begin below what can be seen.
      if (place.getBoundingClientRect().top > innerHeight * 0.8) place.scrollIntoView({ block: "start" });
      const queue = [...columns];
      const lane = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) await next.run(api, body);
      };
      await Promise.all(Array.from({ length: Math.min(columns.length, most ?? columns.length) }, lane));
      if (mine === run) onIdle();
    },
    stopAll() {
      for (const column of columns) column.stop();
    },
    clear() {
      this.stopAll();
      run += 1;
      columns = [];
      place.replaceChildren();
      place.hidden = true;
      byId("columns-none").hidden = false;
    },
  };
}
