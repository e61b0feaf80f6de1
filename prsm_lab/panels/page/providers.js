// Keys, addresses, and who is asked first. A key leaves its field the moment it is sent, beside the message; the state
// that comes back says that there is one and where it came from, and nothing else of it.

const PROVIDERS_NEW = '+';

/** The fields of a provider's key and address: of one that is there, or of a server to be added. */
class ProvidersForm {
  constructor(act, { added = false, onclose }) {
    this.act = act;
    this.added = added;
    this.onclose = onclose;
    this.key = h('input', { type: 'password', autocomplete: 'new-password', spellcheck: false, placeholder: 'a new key', 'aria-label': 'Key' });
    this.url = h('input', { type: 'url', autocomplete: 'off', spellcheck: false, placeholder: 'http://localhost:8000/v1', 'aria-label': 'Base URL' });
    this.name = h('input', { autocomplete: 'off', spellcheck: false, placeholder: 'my_server', 'aria-label': 'Name', size: 14 });
    this.keep = h('input', { type: 'checkbox' });
    this.save = h('button', { className: 'main save', onclick: () => this.send() }, added ? 'Add' : 'Save');
    this.forget = h('button', { className: 'quiet', onclick: () => this.does('forget') }, 'Forget the key');
    this.remove = h('button', { className: 'quiet', onclick: () => this.does('remove') }, 'Remove this server');
    this.hint = h('div', { className: 'soft hint' });
    this.fault = h('div', { className: 'bad fault', role: 'alert' });
    this.el = h('div', { className: 'form', hidden: true, onkeydown: (event) => this.keyed(event) },
      h('div', { className: 'fields' },
        added ? h('label', {}, h('span', {}, 'Name'), this.name) : null,
        h('label', { className: 'wide' }, h('span', {}, 'Base URL'), this.url),
        h('label', { className: 'wide' }, h('span', {}, added ? 'Key, if it wants one' : 'Key'), this.key)),
      h('label', { className: 'keep' }, this.keep, ' also keep the key in this system’s keyring, for other notebooks'),
      this.hint, this.fault,
      h('div', { className: 'row' }, this.save, h('button', { onclick: () => this.close() }, 'Cancel'),
        added ? null : h('span', { className: 'push' }), added ? null : this.forget, added ? null : this.remove));
  }

  keyed(event) {
    if (event.key === 'Escape') this.close();
    else if (event.key === 'Enter' && event.target.matches('input:not([type=checkbox])')) this.send();
    else return;
    event.preventDefault();
  }

  open(row) {
    this.row = row;
    this.key.value = '';
    this.keep.checked = false;
    this.url.value = this.added ? '' : row.url;
    this.name.value = '';
    say(this.fault, '');
    this.el.hidden = false;
    this.show(row);
    (this.added ? this.name : this.key).focus();
  }

  close() {
    this.key.value = '';
    this.sent = null;
    this.el.hidden = true;
    this.onclose();
  }

  /** The key is read once, its field emptied, and only then is anything sent. */
  send() {
    if (this.save.disabled) return;
    const key = this.key.value;
    this.key.value = '';
    const url = this.url.value.trim();
    const given = { base_url: url, keep: this.keep.checked && Boolean(key) };
    if (this.added) this.begin('add', { ...given, name: this.name.value.trim() }, key);
    else this.begin('reach', { ...given, provider: this.row.name, base_url: url === this.row.url ? null : url }, key);
  }

  does(command) {
    this.key.value = '';
    this.begin(command, { provider: this.row.name });
  }

  begin(command, given, key = '') {
    this.sent = this.row.changes;
    this.save.disabled = true;
    say(this.fault, '');
    this.act(command, given, key);
  }

  /** What the kernel says of it: the form closes when what was sent is done, and stays where it failed. */
  show(row) {
    this.row = row;
    this.save.disabled = row.working === 'change' || (this.sent !== null && this.sent === row.changes);
    if (this.sent !== null && row.changes > this.sent) {
      this.sent = null;
      this.save.disabled = false;
      if (!row.fault && !this.el.hidden) this.close();
      else if (!this.el.hidden) this.key.focus();
    }
    if (this.el.hidden) return;
    say(this.fault, this.sent === null ? row.fault : '');
    say(this.hint, this.added
      ? 'Any server that speaks Chat Completions: vLLM, Ollama, llama.cpp, OpenRouter … Its models are asked for as name/model.'
      : 'A key belongs to its host: at another host the provider starts without one, unless you type it here.');
    this.forget.hidden = !row.set || row.source?.startsWith('environment');
    say(this.forget, row.source === 'the keyring' ? 'Remove the key from the keyring' : 'Forget the key');
    this.remove.hidden = !row.added;
  }

  sent = null;
}

/** One provider. */
class ProvidersRow {
  constructor(act) {
    this.act = act;
    this.dot = h('span', { className: 'dot' });
    this.title = h('h3');
    this.label = h('span', { className: 'label', hidden: true }, 'simulated');
    this.status = h('span', { className: 'status' });
    this.source = h('span', { className: 'soft' });
    this.url = h('div', { className: 'soft url' });
    this.warning = h('div', { className: 'warn' });
    this.test = h('button', { className: 'test', onclick: () => { this.test.disabled = true; act('test', { provider: this.row.name }); } }, 'Test');
    this.change = h('button', { className: 'change', 'aria-expanded': 'false', onclick: () => this.toggle() });
    this.result = h('div', { className: 'result', role: 'status' });
    this.form = new ProvidersForm(act, { onclose: () => this.closed() });
    this.el = h('li', {}, h('div', { className: 'line' }, h('div', { className: 'who' }, this.dot, this.title, this.label),
      h('div', { className: 'key' }, h('div', {}, this.status, ' ', this.source), this.url, this.warning),
      h('div', { className: 'buttons' }, this.test, this.change)), this.result, this.form.el);
  }

  toggle() {
    if (!this.form.el.hidden) return this.form.close();
    this.form.open(this.row);
    this.change.setAttribute('aria-expanded', 'true');
  }

  closed() {
    this.change.setAttribute('aria-expanded', 'false');
    (this.test.disabled ? this.change : this.test).focus();
  }

  show(row) {
    this.row = row;
    const server = row.kind === 'server';
    say(this.title, row.title);
    this.label.hidden = !row.simulated;
    this.dot.className = `dot ${row.test ? (row.test.ok ? 'ok' : 'failed') : row.set || !row.needed ? 'ready' : ''}`;
    const words = { local: 'no key needed', own: 'in this process: no key needed', away: 'key at the server' };
    say(this.status, row.set ? 'key set' : words[row.kind] ?? (row.needed ? 'no key' : 'asked without a key'));
    this.status.className = `status ${row.set ? 'good' : server && row.needed ? 'warn' : 'soft'}`;
    say(this.source, row.set ? `${row.source === 'this kernel' ? 'in' : 'from'} ${row.source}` : server && row.needed ? `looked for in ${row.variable}, then the keyring` : '');
    say(this.url, row.url ?? '');
    say(this.warning, row.warning ?? '');
    this.test.hidden = row.kind === 'own' || row.kind === 'away';
    this.change.hidden = !server;
    this.test.disabled = Boolean(row.working);
    say(this.test, row.working === 'test' ? 'Testing …' : 'Test');
    say(this.change, row.needed && !row.set ? 'Set key' : 'Change');
    this.test.setAttribute('aria-label', `Test ${row.title}`);
    this.change.setAttribute('aria-label', `${this.change.textContent}: ${row.title}`);
    this.el.setAttribute('aria-label', row.title);
    this.form.show(row);
    this.tested(row.test);
  }

  tested(test) {
    this.result.hidden = !test;
    if (!test) return;
    this.result.className = `result ${test.ok ? '' : 'bad'}`;
    if (!test.ok) return say(this.result, `${test.code.replaceAll('_', ' ')}: ${test.message}`);
    const more = test.n > test.models.length ? ', …' : '';
    const names = test.models.length ? `: ${test.models.join(', ')}${more}` : '';
    say(this.result, `${count(test.n)} ${test.n === 1 ? 'model' : 'models'} in ${span(test.ms)}${names}`);
  }
}

/** Who is asked after a failure, in order; each can be moved up and down, by the keyboard too. */
class ProvidersOrder {
  constructor(change) {
    this.change = change;
    this.list = h('ol', { className: 'order' });
    this.more = h('select', { 'aria-label': 'Add a fallback', onchange: () => this.more.value && this.set([...this.names, this.more.value]) });
    this.el = h('div', { className: 'fallback' }, this.list, this.more);
    this.drawn = '';
    this.buttons = new Map();
  }

  set(names, focus) {
    this.focus = focus;
    this.change(names);
  }

  move(n, by) {
    const names = [...this.names];
    [names[n], names[n + by]] = [names[n + by], names[n]];
    this.set(names, [names[n + by], by]);
  }

  show(names, titles, taken) {
    const drawn = JSON.stringify([names, titles, taken]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.names = names;
    for (const [name, [up, down]] of this.buttons) {
      if (document.activeElement === up || document.activeElement === down) this.focus ??= [name, document.activeElement === up ? -1 : 1];
    }
    const title = (name) => titles[name] ?? name;
    const button = (name, text, label, onclick, disabled) => h('button', { className: 'quiet', 'aria-label': label, title: label, disabled, onclick }, text);
    this.buttons = new Map();
    this.list.replaceChildren(...names.map((name, n) => {
      const up = button(name, '↑', `Move ${title(name)} up`, () => this.move(n, -1), n === 0);
      const down = button(name, '↓', `Move ${title(name)} down`, () => this.move(n, 1), n === names.length - 1);
      this.buttons.set(name, [up, down]);
      return h('li', {}, h('span', { className: 'name' }, title(name)), up, down,
        button(name, '×', `Remove ${title(name)}`, () => this.set(names.filter((one) => one !== name)), false));
    }));
    const left = Object.keys(titles).filter((name) => !names.includes(name) && name !== taken);
    this.more.replaceChildren(h('option', { value: '' }, names.length ? 'add …' : 'nobody; add …'), ...left.map((name) => h('option', { value: name }, title(name))));
    this.more.hidden = !left.length;
    this.refocus();
  }

  /** The keyboard stays on what was moved. */
  refocus() {
    const [up, down] = this.buttons.get(this.focus?.[0]) ?? [];
    const wanted = this.focus?.[1] < 0 ? [up, down] : [down, up];
    this.focus = null;
    wanted.find((button) => button && !button.disabled)?.focus();
  }
}

/** The models of known quality and price that are good enough. */
function providersQualifying() {
  const body = h('tbody');
  const none = h('p', { className: 'soft' }, 'No model of known quality and price is as good as that.');
  const table = h('table', {}, h('thead', {}, h('tr', {}, h('th', {}, 'models that qualify'), h('th', {}, 'provider'), h('th', { className: 'n' }, 'quality'),
    h('th', { className: 'n', title: 'USD per million tokens' }, 'in / 1M'), h('th', { className: 'n', title: 'USD per million tokens' }, 'out / 1M'))), body);
  return {
    el: h('div', { className: 'qualifying' }, table, none),
    draw(models, floor, rows) {
      const found = (models ?? []).filter((model) => model.quality >= floor);
      none.hidden = found.length > 0 || !models;
      table.hidden = !found.length;
      body.replaceChildren(...found.map((model) => {
        const row = rows.get(model.provider);
        const reached = row && (row.set || !row.needed);
        return h('tr', { className: reached ? '' : 'soft' }, h('td', {}, model.name),
          h('td', {}, reached ? row.title : `${row?.title ?? model.provider}, ${row ? 'no key' : 'not connected'}`),
          h('td', { className: 'n', title: model.source }, model.quality.toFixed(3)), h('td', { className: 'n' }, money(model.input)), h('td', { className: 'n' }, money(model.output)));
      }));
    },
  };
}

const panel = {
  draw(root, first, act) {
    root.classList.add('prsm-providers');
    let now = first;
    const rows = new Map();
    const list = h('ul', { className: 'list', 'aria-label': 'Providers' });
    const remark = h('p', { className: 'soft remark' });
    const adding = new ProvidersForm(act, { added: true, onclose: () => { add.hidden = !now.open; if (now.open) add.focus(); } });
    const add = h('button', { className: 'add', onclick: () => { add.hidden = true; adding.open(now.new); } }, '+ Add an OpenAI-compatible server');
    const notice = h('div', { className: 'notice', role: 'alert' });

    const primary = h('select', { 'aria-label': 'Primary provider', onchange: () => prefer({ primary: primary.value || null }) });
    const order = new ProvidersOrder((fallback) => prefer({ fallback }));
    const cheap = h('input', { type: 'checkbox', onchange: () => prefer({ cost_optimization: cheap.checked }) });
    const fast = h('input', { type: 'checkbox', onchange: () => prefer({ latency_optimization: fast.checked }) });
    const bound = h('input', { type: 'checkbox', onchange: () => prefer({ quality_threshold: bound.checked ? Number(slider.value) : null }) });
    const slider = h('input', {
      type: 'range', min: 0, max: 1, step: 0.01, 'aria-label': 'Quality threshold',
      oninput: () => { dragging = true; threshold(Number(slider.value)); },
      onchange: () => { dragging = false; prefer({ quality_threshold: Number(slider.value) }); },
    });
    let dragging = false;
    const figure = h('output', { className: 'figure' });
    const hint = h('div', { className: 'soft hint' });
    const qualifying = providersQualifying();
    const code = h('pre', { className: 'code', title: 'The same in code' });
    root.append(list, add, adding.el, remark, h('h3', { className: 'part' }, 'Who is asked'), notice,
      h('div', { className: 'grid' },
        h('span', { className: 'soft' }, 'primary'), h('div', {}, primary),
        h('span', { className: 'soft' }, 'fallback, in order'), order.el,
        h('span', { className: 'soft' }, 'optimise'), h('div', { className: 'row' }, h('label', {}, cheap, ' cost'), h('label', {}, fast, ' latency')),
        h('span', { className: 'soft' }, 'quality threshold'), h('div', {}, h('div', { className: 'row' }, h('label', {}, bound, ' at least'), slider, figure), hint)),
      qualifying.el, code);
    root.addEventListener('keydown', (event) => {
      // JupyterLab's own keys would move between cells and edit them.
      if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    });

    let sent = null;

    function prefer(change) {
      now = { ...now, preferences: { ...now.preferences, ...change } };
      sent = { text: JSON.stringify(now.preferences), at: performance.now() };
      act('prefer', now.preferences);
      preferences();
    }

    /** What was chosen here stays until the kernel has it: a state on its way does not know of it yet. */
    function chosen(s) {
      if (!sent) return s;
      const open = JSON.stringify(s.preferences) !== sent.text && !s.notice && performance.now() - sent.at < 3000;
      if (!open) sent = null;
      return open ? { ...s, preferences: now.preferences } : s;
    }

    /** The line that says what is good enough, and the models that are: at once, while the slider moves. */
    function threshold(floor) {
      figure.hidden = slider.hidden = qualifying.el.hidden = floor === null;
      if (floor !== null) {
        say(figure, floor.toFixed(2));
        qualifying.draw(now.models, floor, new Map(now.rows.map((row) => [row.name, row])));
      }
      const wanted = now.preferences;
      const active = wanted.cost_optimization || wanted.latency_optimization;
      say(hint, !active ? (floor === null ? '' : 'It counts once cost or latency is optimised.')
        : `${wanted.cost_optimization ? 'Cheaper' : 'Faster'} models are asked first, if ${floor === null ? 'they are as good as the model that is named' : 'they are among these'}.`);
    }

    function preferences() {
      const wanted = now.preferences;
      const titles = Object.fromEntries(now.rows.map((row) => [row.name, row.title]));
      const offered = [['', 'the provider of the model that is named'], ...Object.entries(titles)];
      const drawn = JSON.stringify(offered);
      if (primary.dataset.drawn !== drawn) {
        primary.dataset.drawn = drawn;
        primary.replaceChildren(...offered.map(([value, text]) => h('option', { value }, text)));
      }
      primary.value = wanted.primary ?? '';
      order.show(wanted.fallback, titles, wanted.primary);
      cheap.checked = wanted.cost_optimization;
      fast.checked = wanted.latency_optimization;
      if (dragging) return;
      bound.checked = wanted.quality_threshold !== null;
      slider.value = wanted.quality_threshold ?? 0.8;
      threshold(wanted.quality_threshold);
    }

    function show(s) {
      now = chosen(s);
      for (const [name, row] of rows) if (!s.rows.some((one) => one.name === name)) { row.el.remove(); rows.delete(name); }
      s.rows.forEach((one, n) => {
        if (!rows.has(one.name)) rows.set(one.name, new ProvidersRow(act));
        const row = rows.get(one.name);
        row.show(one);
        if (list.children[n] !== row.el) list.insertBefore(row.el, list.children[n] ?? null);
      });
      add.hidden = !s.open || !adding.el.hidden;
      adding.show(s.new);
      say(remark, s.remark);
      remark.hidden = !s.remark;
      say(notice, s.notice);
      say(code, s.code);
      preferences();
    }

    show(first);
    return { state: show, news: (patch) => patch.state && show(patch.state) };
  },
};
