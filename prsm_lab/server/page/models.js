// The list of models: search, choose up to four, with the keyboard alone as well as by pointer.

import { UNKNOWN, byId, isSimulated, make, money, say, visible } from "./text.js";

export const MOST = 4;

/** A price per million tokens; whole dollars and cents are how people know these. */
function price(model) {
  const { input, output } = model.price ?? {};
  if (typeof input !== "number" && typeof output !== "number") return UNKNOWN;
  return `${money(input)} / ${money(output)}`;
}

const isRetired = (model) => Boolean(model.retired) && new Date(model.retired) <= new Date();

function retirement(model) {
  if (!model.retired) return null;
  return make("span", { kind: isRetired(model) ? "tag warn" : "tag", text: `${isRetired(model) ? "retired" : "retires"} ${visible(String(model.retired))}` });
}

export function createPicker({ onChange }) {
  const search = byId("model-search");
  const list = byId("model-list");
  const chips = byId("model-chosen");
  const none = byId("model-none");
  const counter = byId("model-count");
  let models = [];
  let shown = []; // [{model, row}] in the order of the list
  let active = -1;
  const chosen = new Set();

  function matches(model, words) {
    const text = [model.name, model.provider, model.id, ...(model.aliases ?? [])].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }

  function rowOf(model, index) {
    const name = make("span", { kind: "model-name" }, make("span", { text: visible(model.name) }));
    const under = make("span", { kind: "model-under" }, make("span", { text: visible(model.provider ?? "") }));
    if (isSimulated(model.name, model.provider, model.id)) under.append(make("span", { kind: "tag warn", text: "simulated" }));
    const retires = retirement(model);
    if (retires) under.append(retires);
    name.append(under);
    const quality = typeof model.quality === "number" ? model.quality.toFixed(2) : UNKNOWN;
    const row = make(
      "li",
      { role: "option", id: `model-${index}`, kind: "model", "aria-selected": String(chosen.has(model.name)) },
      make("span", { kind: "check", "aria-hidden": "true" }),
      name,
      make("span", { kind: "number" }, make("span", { kind: "unseen", text: "price in / out " }), price(model)),
      make("span", { kind: "number" }, make("span", { kind: "unseen", text: "quality " }), quality),
    );
    row.addEventListener("click", () => {
      point(shown.findIndex((entry) => entry.model === model), false);
      toggle(model);
    });
    // The field keeps the focus, or the arrow keys would be lost after a click.
    row.addEventListener("mousedown", (event) => event.preventDefault());
    return row;
  }

  function point(index, scroll = true) {
    shown[active]?.row.classList.remove("active");
    active = index;
    const row = shown[active]?.row;
    if (!row) {
      search.removeAttribute("aria-activedescendant");
      return;
    }
    row.classList.add("active");
    search.setAttribute("aria-activedescendant", row.id);
    // Not scrollIntoView: that would move the page as well.
    if (!scroll) return;
    if (row.offsetTop < list.scrollTop) list.scrollTop = row.offsetTop;
    const bottom = row.offsetTop + row.offsetHeight - list.clientHeight;
    if (bottom > list.scrollTop) list.scrollTop = bottom;
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = models.flatMap((model, index) => (matches(model, words) ? [{ model, row: rowOf(model, index) }] : []));
    list.replaceChildren(...shown.map((entry) => entry.row));
    none.hidden = shown.length > 0;
    none.textContent = models.length > 0 ? "No model by that name." : "The list comes with your key.";
    point(words.length > 0 && shown.length > 0 ? 0 : -1);
  }

  function drawChosen() {
    chips.hidden = chosen.size === 0;
    chips.replaceChildren(...[...chosen].map((name) => {
      const button = make("button", { type: "button", "aria-label": `Remove ${visible(name)}` },
        make("span", { text: visible(name) }), make("span", { "aria-hidden": "true", text: "×" }));
      button.addEventListener("click", () => {
        chosen.delete(name);
        changed();
        search.focus();
      });
      return make("li", {}, button);
    }));
    counter.textContent = chosen.size === 0 ? `choose 1–${MOST}` : `${chosen.size} of ${MOST}`;
  }

  function changed() {
    for (const { model, row } of shown) row.setAttribute("aria-selected", String(chosen.has(model.name)));
    list.classList.toggle("full", chosen.size >= MOST);
    drawChosen();
    onChange(chosen.size);
  }

  function toggle(model) {
    if (chosen.has(model.name)) {
      chosen.delete(model.name);
      say(`${model.name} removed`);
    } else if (chosen.size >= MOST) {
      counter.textContent = `at most ${MOST}: remove one first`;
      say(`At most ${MOST} models: remove one first`);
      return;
    } else {
      chosen.add(model.name);
      say(`${model.name} chosen, ${chosen.size} of ${MOST}`);
    }
    changed();
  }

  search.addEventListener("input", filter);
  search.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const last = shown.length - 1;
    const steps = { ArrowDown: Math.min(active + 1, last), ArrowUp: Math.max(active - 1, 0), PageDown: Math.min(active + 6, last),
      PageUp: Math.max(active - 6, 0) };
    if (event.key in steps && last >= 0) point(steps[event.key]);
    else if (event.key === "Enter" && shown[active]) toggle(shown[active].model);
    else if (event.key === "Backspace" && search.value === "" && chosen.size > 0) {
      chosen.delete([...chosen].at(-1));
      changed();
    } else return;
    event.preventDefault();
  });

  return {
    /** The chosen models in the order they were chosen. */
    chosen: () => [...chosen].map((name) => models.find((model) => model.name === name)),
    focus: () => search.focus(),
    /** The models of a key; what was chosen before stays chosen where this key has it too. */
    fill(given) {
      // What no longer answers stands last; else the server's order.
      models = [...given.filter((model) => !isRetired(model)), ...given.filter(isRetired)];
      const names = new Set(models.map((model) => model.name));
      for (const name of chosen) if (!names.has(name)) chosen.delete(name);
      filter();
      changed();
    },
  };
}
