// A run over rows: how far it is, what it costs, what failed. Counts come from the kernel; the page only draws them.

const WORDS = { ready: 'not started', running: 'running', stopped: 'stopped', done: 'done', failed: 'could not run' };

/** A figure with its name below it. */
function figure(name) {
  const value = h('div', { className: 'value' }, '–');
  const below = h('div', { className: 'soft' }, name);
  return {
    el: h('div', { className: 'figure' }, value, below),
    say: (text, more) => {
      say(value, text);
      say(below, more ? `${name} · ${more}` : name);
    },
  };
}

/** A table whose lines are only drawn anew where one of them has changed, so that a selection survives. */
function lines(className, headings, cells) {
  const body = h('tbody');
  const el = h('table', { className }, h('thead', {}, h('tr', {}, headings.map(([name, kind]) => h('th', { className: kind }, name)))), body);
  let drawn = '[]';
  return {
    el,
    draw(found) {
      const now = JSON.stringify(found);
      el.hidden = !found.length;
      if (now === drawn) return;
      drawn = now;
      body.replaceChildren(...found.map((one) => h('tr', {}, cells(one).map((text, n) => h('td', { className: headings[n][1] }, text)))));
    },
  };
}

/** Latencies as dots from left to right, as they came; lines at the median and the 95th percentile, named at the right. */
function sketch() {
  const part = (tag, attributes) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const svg = part('svg', { viewBox: '0 0 400 60', preserveAspectRatio: 'none', role: 'img' });
  const guides = part('path', { class: 'guides' });
  const dots = part('path', { class: 'dots' });
  svg.append(guides, dots);
  const names = [h('span', { className: 'at' }), h('span', { className: 'at' })];
  const caption = h('div', { className: 'soft' });
  const el = h('div', { className: 'sketch' }, h('div', { className: 'plot' }, svg, names), caption);
  return {
    el,
    draw(values, p50, p95) {
      el.hidden = values.length < 2;
      if (el.hidden) return;
      const most = Math.max(1, ...values);
      const at = (value) => 57 - (value / most) * 54;
      const step = 396 / (values.length - 1);
      dots.setAttribute('d', values.map((value, n) => `M${(2 + n * step).toFixed(1)} ${at(value).toFixed(1)}h0`).join(''));
      guides.setAttribute('d', [p50, p95].map((value) => `M0 ${at(value).toFixed(1)}H400`).join(''));
      const low = at(p50);
      [low, Math.min(at(p95), low - 15)].forEach((y, n) => { names[n].style.top = `${y}px`; });
      say(names[0], `half under ${span(p50)}`);
      say(names[1], `95 % under ${span(p95)}`);
      say(caption, `latency of the last ${count(values.length)} answers, up to ${span(most)}`);
      svg.setAttribute('aria-label', `${caption.textContent}: ${names.map((name) => name.textContent).join(', ')}`);
    },
  };
}

/** A figure that can be set; what is being typed is left alone. */
function number(name, attributes, set) {
  const field = h('input', { type: 'number', ...attributes, onchange: () => set(field.value === '' ? null : Number(field.value)) });
  return {
    el: h('label', { className: 'number' }, name, field),
    show: (value) => { if (field.ownerDocument.activeElement !== field) field.value = known(value) ? value : ''; },
  };
}

/** The button that is there; the keyboard's place stays on the one that takes its place. */
function swap(start, stop, running, again) {
  const here = document.activeElement;
  start.hidden = running || !again;
  stop.hidden = !running;
  if (here === start && start.hidden && running) stop.focus();
  if (here === stop && stop.hidden && again) start.focus();
}

const panel = {
  draw(root, first, act) {
    root.classList.add('prsm-batch');
    const start = h('button', { className: 'main start', onclick: () => { start.disabled = true; act('start'); } }, 'Start');
    const stop = h('button', { className: 'stop', onclick: () => { stop.disabled = true; act('stop'); } }, 'Stop');
    const state = h('span', { className: 'state', role: 'status' });
    const took = h('span', { className: 'soft took' });
    const label = h('span', { className: 'label' }, 'simulated answers');
    const run = h('code', { className: 'soft push', title: 'lab.load(…) lays its frame out again' });
    const bar = h('div', { className: 'progress', role: 'progressbar', 'aria-label': 'rows done', 'aria-valuemin': 0 });
    const good = h('span', { className: 'part done' });
    const bad = h('span', { className: 'part failed' });
    bar.append(good, bad);
    const rows = figure('rows');
    const spent = figure('spent');
    const rate = figure('rows / s');
    const left = figure('left');
    const reused = figure('reused');
    const failed = figure('failed');
    const faults = lines('errors', [['error', 'kind'], ['rows', 'n'], ['the first one says', 'message']],
      (one) => [one.code, count(one.n), one.message]);
    const latency = sketch();
    const answers = lines('first', [['row', 'place'], ['model', 'model'], ['the first rows', 'said'], ['cost', 'n']],
      (one) => [String(one.row), one.model, one.failed ? h('span', { className: 'bad' }, one.text) : one.text, one.failed ? '' : money(one.cost)]);
    const notice = h('div', { className: 'notice', role: 'alert' });
    const code = h('pre', { className: 'code', title: 'The same in code' });
    const pause = h('button', { className: 'pause', onclick: () => act(pause.dataset.does) }, 'Pause');
    const atOnce = number('At once', { min: 1, step: 1 }, (value) => value && act('retune', { max_concurrency: value }));
    const cap = number('Cap $', { min: 0, step: 'any', placeholder: 'none' }, (value) => act('retune', { max_cost: value }));
    root.append(h('div', { className: 'row' }, start, stop, pause, state, took, label, atOnce.el, cap.el, run), bar,
      h('div', { className: 'figures' }, ...[rows, spent, rate, left, reused, failed].map((one) => one.el)), notice, faults.el,
      latency.el, answers.el, code);

    function show(s) {
      const running = s.state === 'running';
      start.disabled = stop.disabled = false;
      say(start, s.state === 'ready' ? 'Start' : s.left ? 'Go on' : s.not_sent ? 'Ask the rest' : 'Ask the failed again');
      swap(start, stop, running, s.state !== 'done' || s.failed + s.not_sent > 0);
      pause.hidden = !running;
      pause.dataset.does = s.paused ? 'resume' : 'pause';
      say(pause, s.paused ? 'Resume' : 'Pause');
      atOnce.show(s.max_concurrency);
      cap.show(s.max_cost);
      say(state, s.paused ? 'paused' : WORDS[s.state]);
      state.className = `state ${s.state}`;
      say(took, known(s.took_ms) ? span(s.took_ms) : '');
      label.hidden = !s.simulated;
      say(run, s.run);
      const share = (n) => `${s.rows ? (n / s.rows * 100).toFixed(2) : 0}%`;
      good.style.width = share(s.done - s.failed - s.not_sent);
      bad.style.width = share(s.failed + s.not_sent);
      bar.setAttribute('aria-valuemax', s.rows);
      bar.setAttribute('aria-valuenow', s.done);
      rows.say(`${count(s.done)} / ${count(s.rows)}`);
      spent.say(money(s.spent), s.unpriced ? `+ ${count(s.unpriced)} unpriced` : '');
      rate.say(known(s.rate) ? (s.rate >= 10 ? count(s.rate) : s.rate.toFixed(1)) : '–');
      left.say(running && known(s.eta_ms) ? `≈ ${span(s.eta_ms)}` : `${count(s.left)} rows`);
      reused.say(count(s.reused), s.reused && s.saved ? `${money(s.saved)} saved` : '');
      failed.say(count(s.failed), s.not_sent ? `${count(s.not_sent)} not sent` : '');
      faults.draw(s.errors);
      latency.draw(s.latencies, s.p50_ms, s.p95_ms);
      answers.draw(s.first);
      say(notice, s.notice);
      say(code, s.code);
    }

    show(first);
    return { state: show, news: (patch) => patch.state && show(patch.state) };
  },
};
