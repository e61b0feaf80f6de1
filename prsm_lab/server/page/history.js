// What this key asked before: a table whose rows open to show the answer.

import { UNKNOWN, byId, count, duration, isSimulated, make, moneyColumn, say, showError, table, visible, when } from "./text.js";

// The server gives plain numbers or the objects of a whole inference; both mean the same.
const amount = (cost) => (cost !== null && typeof cost === "object" ? cost.amount : cost);
const total = (tokens) => (tokens !== null && typeof tokens === "object" ? tokens.total_tokens : tokens);

const HEADS = [["Status"], ["Model"], ["Time"], ["Tokens", "number wide"], ["Cost", "number"], ["Latency", "number wide"]];

function detail(record, id) {
  const cell = make("td", { colspan: String(HEADS.length) });
  const content = record.result?.content;
  if (typeof content === "string" && content !== "") {
    cell.append(make("pre", { kind: "output", tabindex: "0", role: "region", dir: "auto", "aria-label": "Answer", text: visible(content) }));
  }
  if (record.error) {
    const box = make("div", { kind: "error" });
    showError(box, { message: record.error.message ?? record.error.code ?? "", code: record.error.code });
    cell.append(box);
  }
  if (cell.childElementCount === 0) {
    cell.append(make("p", { kind: "note", text: record.status === "running" ? "Still running." : "No content was kept." }));
  }
  const small = [record.id, record.provider, `${count(total(record.result?.tokens))} tokens`, duration(record.latency_ms)];
  cell.append(make("p", { kind: "note", text: visible(small.filter(Boolean).join(" · ")) }));
  return make("tr", { id, kind: "detail", hidden: true }, cell);
}

function rows(record, index, money) {
  const id = `past-${index}`;
  const below = detail(record, id);
  const button = make("button", { type: "button", kind: "open", "aria-expanded": "false", "aria-controls": id, text: visible(record.model ?? UNKNOWN) });
  const model = make("td", { kind: "first" }, button);
  if (isSimulated(record.model, record.served_model, record.provider)) model.append(" ", make("span", { kind: "tag warn", text: "simulated" }));
  const row = make("tr", { kind: "past" },
    make("td", { kind: "second" }, make("span", { kind: "state", "data-state": record.status, text: visible(record.status ?? "unknown") })),
    model,
    make("td", { kind: "time second-end" }, ...when(record.created).split(" ").flatMap((part) => [make("span", { text: part }), " "])),
    make("td", { kind: "number wide", text: count(total(record.result?.tokens)) }),
    make("td", { kind: "number first-end", text: money(amount(record.result?.cost)) }),
    make("td", { kind: "number wide", text: duration(record.latency_ms) }));
  // The button is for the keyboard, the row for the pointer; the button's click arrives here as well.
  row.addEventListener("click", () => {
    below.hidden = !below.hidden;
    button.setAttribute("aria-expanded", String(!below.hidden));
  });
  return [row, below];
}

export function createHistory() {
  const body = byId("history-body");
  const problem = byId("history-error");

  function draw(records) {
    if (records.length === 0) {
      body.replaceChildren(make("p", { kind: "empty", text: "Nothing was asked with this key yet." }));
      return;
    }
    const money = moneyColumn(records.map((record) => amount(record.result?.cost)));
    const lines = records.flatMap((record, index) => rows(record, index, money));
    body.replaceChildren(table(`The last ${records.length} inferences of this key, newest first`, HEADS, lines));
  }

  return {
    clear(words) {
      showError(problem, null);
      body.replaceChildren(make("p", { kind: "empty", text: words }));
    },
    async load(api, signal) {
      showError(problem, null);
      body.setAttribute("aria-busy", "true");
      try {
        const { data = [] } = await api.history(signal);
        draw(data);
        say(`History: ${data.length} inferences`);
      } catch (fault) {
        if (!signal.aborted) showError(problem, fault);
      } finally {
        body.removeAttribute("aria-busy");
      }
    },
  };
}
