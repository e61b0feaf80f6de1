// Several models side by side. The kernel says what is new; text that streams is appended, never replaced.

const STATES = { ready: 'ready', waiting: 'waiting', streaming: 'writing', done: 'done', stopped: 'stopped', failed: 'failed' };

/** One column: its conversation, its figures, its buttons. */
class StreamColumn {
  constructor(act) {
    this.turns = [];
    this.dot = h('span', { className: 'dot' });
    this.name = h('h3');
    this.who = h('span', { className: 'soft who' });
    this.pinned = h('button', { className: 'quiet', title: 'Keep this column first', onclick: () => act('pin', { column: this.n }) }, '⚲');
    this.copy = h('button', { className: 'quiet', title: 'Copy the answer', onclick: () => this.copied() }, 'copy');
    this.retry = h('button', { className: 'quiet', title: 'Ask again', onclick: () => act('retry', { column: this.n }) }, 'retry');
    this.stop = h('button', { className: 'quiet stop', title: 'Stop this answer', onclick: () => act('stop', { column: this.n }) }, 'stop');
    this.body = h('div', { className: 'talk', tabIndex: 0, role: 'log' });
    this.figures = h('div', { className: 'figures soft' });
    this.el = h('section', { className: 'column' },
      h('header', {}, this.dot, this.name, this.pinned), h('div', { className: 'tools' }, this.who, this.copy, this.retry, this.stop),
      this.body, this.figures);
  }

  async copied() {
    const last = this.turns.at(-1);
    if (!last) return;
    await navigator.clipboard?.writeText(last.raw).catch(() => {});
    say(this.copy, 'copied');
    setTimeout(() => say(this.copy, 'copy'), 1200);
  }

  /** Follow the end of the text, unless the reader has scrolled away from it. */
  following(change) {
    const atEnd = this.body.scrollTop + this.body.clientHeight >= this.body.scrollHeight - 8;
    change();
    if (atEnd) this.body.scrollTop = this.body.scrollHeight;
  }

  show(column, n) {
    this.n = n;
    const last = column.turns.at(-1);
    const running = last && (last.state === 'waiting' || last.state === 'streaming');
    say(this.name, column.model);
    this.el.setAttribute('aria-label', `Answers of ${column.model}`);
    say(this.who, column.provider);
    this.who.title = column.price;
    this.pinned.setAttribute('aria-pressed', String(column.pinned));
    this.dot.className = `dot ${last?.state ?? 'ready'}`;
    this.dot.title = STATES[last?.state ?? 'ready'];
    this.stop.hidden = !running;
    this.retry.hidden = this.copy.hidden = !last || running;
    this.following(() => {
      while (this.turns.length > column.turns.length) this.turns.pop().el.remove();
      column.turns.forEach((turn, at) => {
        if (!this.turns[at]) this.body.append((this.turns[at] = new StreamTurn()).el);
        this.turns[at].show(turn);
      });
    });
    this.count(last);
  }

  add(text, figures) {
    const last = this.turns.at(-1);
    if (!last) return;
    if (text) this.following(() => last.add(text));
    this.count(figures, true);
  }

  count(found) {
    if (!found) return say(this.figures, '');
    const about = found.estimated ? '~' : '';
    const parts = [
      known(found.ttft_ms) ? `first token ${span(found.ttft_ms)}` : null,
      known(found.per_s) ? `${count(found.per_s)} tokens/s` : null,
      known(found.tokens) && found.tokens > 0 ? `${about}${count(found.tokens)} tokens` : null,
      known(found.cost) ? `${about}${money(found.cost)}` : 'cost unknown',
      found.state === 'done' || found.state === 'stopped' ? span(found.latency_ms) : null,
    ];
    say(this.figures, parts.filter(Boolean).join(' · '));
  }
}

/** One question and its answer. */
class StreamTurn {
  constructor() {
    this.raw = '';
    this.question = h('div', { className: 'question' });
    this.answer = h('div', { className: 'answer text' });
    this.mark = h('div', { className: 'mark' });
    this.el = h('div', { className: 'turn' }, this.question, this.answer, this.mark);
  }

  show(turn) {
    say(this.question, turn.prompt);
    this.raw = turn.text;
    if (turn.html) {
      if (this.html !== turn.html) sanitised(this.answer, turn.html);
      this.answer.className = 'answer md';
    } else {
      if (this.html) this.answer.textContent = '';
      say(this.answer, turn.text);
      this.answer.className = 'answer text';
    }
    this.html = turn.html;
    const marks = { stopped: 'stopped here', failed: turn.error, waiting: 'waiting …' };
    say(this.mark, [marks[turn.state], turn.served ? `answered by ${turn.served}` : null].filter(Boolean).join(' · '));
    this.mark.classList.toggle('bad', turn.state === 'failed');
  }

  add(text) {
    this.raw += text;
    this.answer.append(text);
    say(this.mark, '');
  }
}

/** The models that are asked, as chips, and a field to add one. */
class StreamModels {
  constructor(act) {
    this.act = act;
    this.names = [];
    this.choices = h('datalist', { id: `prsm-models-${Math.random().toString(36).slice(2)}` });
    this.field = h('input', {
      placeholder: 'add a model …', 'aria-label': 'Add a model', size: 16, onkeydown: (event) => event.key === 'Enter' && this.add(),
      onchange: () => this.offered.has(this.field.value) && this.add(),
    });
    this.field.setAttribute('list', this.choices.id);
    this.chips = h('span', { className: 'row' });
    this.el = h('div', { className: 'row models' }, this.chips, this.field, this.choices);
    this.offered = new Set();
  }

  show(state) {
    this.names = state.columns.map((column) => column.model);
    this.chips.replaceChildren(...state.columns.map((column) => h('span', { className: 'chip', title: column.price },
      column.model, h('button', {
        className: 'quiet', disabled: this.names.length === 1, 'aria-label': `Remove ${column.model}`,
        onclick: () => this.act('choose', { models: this.names.filter((name) => name !== column.model) }),
      }, '×'))));
    if (this.offered.size !== state.choices.length) {
      this.offered = new Set(state.choices.map((choice) => choice.name));
      this.choices.replaceChildren(...state.choices.filter((choice) => !choice.retired)
        .map((choice) => h('option', { value: choice.name }, `${choice.provider} · ${choice.price}`)));
    }
  }

  add() {
    const name = this.field.value.trim();
    this.field.value = '';
    if (name) this.act('choose', { models: [...this.names, name] });
  }
}

const panel = {
  draw(root, first, act) {
    const columns = [];
    const models = new StreamModels(act);
    const prompt = h('textarea', {
      rows: 3, placeholder: 'Ask all of them …', 'aria-label': 'Question',
      onkeydown: (event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && (event.preventDefault(), go()),
    });
    const system = h('textarea', { rows: 2, 'aria-label': 'System message', placeholder: 'System message for all' });
    const temperature = h('input', { type: 'number', min: 0, max: 2, step: 0.1, 'aria-label': 'Temperature', placeholder: 'default' });
    const limit = h('input', { type: 'number', min: 1, step: 1, 'aria-label': 'Most tokens', placeholder: 'none' });
    const more = h('details', {}, h('summary', {}, 'System message and options'), system, h('div', { className: 'row options' },
      h('label', {}, 'temperature ', temperature), h('label', {}, 'most tokens ', limit)));
    const ask = h('button', { className: 'main ask', title: 'Ctrl+Enter', onclick: () => go() }, 'Ask');
    const stop = h('button', { className: 'stop-all', onclick: () => act('stop') }, 'Stop all');
    const anew = h('button', { className: 'quiet', onclick: () => act('forget') }, 'new conversation');
    const cost = h('span', { className: 'soft push' });
    const notice = h('div', { className: 'notice', role: 'alert' });
    const grid = h('div', { className: 'columns' });
    const code = h('pre', { className: 'code', title: 'The same in code' });
    root.classList.add('prsm-stream');
    root.append(models.el, prompt, more, h('div', { className: 'row bar' }, ask, stop, anew, cost), notice, grid, code);

    const figure = (field) => (field.value === '' ? null : Number(field.value));
    function go() {
      if (!prompt.value.trim() || ask.disabled) return prompt.focus();
      ask.disabled = true; // at once; the kernel's answer confirms it
      act('ask', { prompt: prompt.value, system: system.value, temperature: figure(temperature), max_tokens: figure(limit) });
    }

    function state(whole) {
      if (whole.columns.length !== columns.length) {
        while (columns.length < whole.columns.length) columns.push(new StreamColumn(act));
        columns.length = whole.columns.length;
        grid.replaceChildren(...columns.map((column) => column.el));
      }
      const begun = columns[0]?.turns.length ?? 0;
      whole.columns.forEach((column, n) => columns[n].show(column, n));
      if ((columns[0]?.turns.length ?? 0) > begun && whole.busy) prompt.value = '';
      models.show(whole);
      ask.disabled = whole.busy;
      stop.hidden = !whole.busy;
      anew.hidden = !whole.columns.some((column) => column.turns.length);
      say(cost, known(whole.cost) ? `${money(whole.cost)} so far` : '');
      say(notice, whole.notice);
      say(code, whole.code);
      code.hidden = anew.hidden;
    }

    system.value = first.system;
    temperature.value = first.options.temperature ?? '';
    limit.value = first.options.max_tokens ?? '';
    state(first);
    return {
      state,
      news(patch) {
        if (patch.state) return state(patch.state);
        for (const [n, text, figures] of patch.pieces ?? []) columns[n]?.add(text, figures);
      },
    };
  },
};
