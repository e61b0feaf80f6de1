// Usage over time: bars by day, tables by model and key. What is not known is a dash.

const unpriced = (f) => (f.unpriced_requests ? `+ ${count(f.unpriced_requests)} unpriced` : '');
const spent = (f) => [money(f.total_cost), unpriced(f)].filter(Boolean).join(' ');
/** For the narrow place above a bar: two digits, and a plus where something is not known. */
const briefly = (f) => (known(f.total_cost) && f.total_cost > 0 && f.total_cost < 0.1
  ? `$${Number(f.total_cost.toPrecision(2)).toFixed(Math.min(7, 1 - Math.floor(Math.log10(f.total_cost))))}` : money(f.total_cost))
  + (f.unpriced_requests ? '+' : '');
const USAGE_FIGURES = [
  ['spent', (f) => money(f.total_cost), (f) => unpriced(f)],
  ['requests', (f) => count(f.total_requests)],
  ['answered', (f) => (known(f.success_rate) ? `${(f.success_rate * 100).toFixed(1)} %` : '–')],
  ['half under', (f) => span(f.p50_latency_ms)],
  ['95 % under', (f) => span(f.p95_latency_ms)],
  ['tokens', (f) => count(f.total_tokens)],
  ['from the cache', (f) => count(f.cached_requests)],
];
const NAMED = 8; // So many periods have room for their names; of more, every second, third … has one.

/** Bars of one figure. The highest is labelled, so that it is the scale; every bar says its own when pointed at. */
function bars(name, value, write, brief) {
  const title = h('figcaption');
  const row = h('div', { className: 'bars', role: 'img' });
  const el = h('figure', {}, title, row);
  return {
    el,
    draw(periods, per) {
      const most = Math.max(0, ...periods.map((one) => value(one) ?? 0));
      const highest = periods.findIndex((one) => value(one) === most);
      const every = Math.ceil(periods.length / NAMED);
      say(title, `${name} by ${per} (UTC)`);
      row.setAttribute('aria-label', `${title.textContent}: ${periods.map((one) => `${one.name} ${write(one)}`).join(', ')}`);
      row.classList.toggle('dense', every > 1);
      row.replaceChildren(...periods.map((one, n) => {
        const unknown = one.unpriced_requests > 0 && name === 'Cost';
        const height = most ? (value(one) ?? 0) / most * 84 : 0;
        return h('div', { className: 'period', title: `${one.name}: ${write(one)}` },
          h('span', { className: 'amount' }, n === highest || (every === 1 && one.total_requests) ? brief(one) : ''),
          unknown && h('div', { className: 'bar unknown' }),
          one.total_requests > 0 && known(value(one)) && h('div', { className: 'bar', style: `height: ${height.toFixed(1)}px` }),
          h('span', { className: 'soft when' }, n % every ? '' : per === 'day' ? one.name.slice(5) : one.name));
      }));
    },
  };
}

function breakdown(name) {
  const body = h('tbody');
  const headings = [[name, 'name'], ['cost', 'n cost'], ['', 'share'], ...['requests', 'answered', 'half under', '95 % under'].map((one) => [one, 'n'])];
  const el = h('table', {}, h('thead', {}, h('tr', {}, headings.map(([text, kind]) => h('th', { className: kind }, text)))), body);
  return {
    el,
    draw(lines) {
      const most = Math.max(0, ...lines.map((line) => line.total_cost ?? 0));
      body.replaceChildren(...lines.map((line) => h('tr', {}, h('td', { className: 'name' }, line.name), h('td', { className: 'n' }, money(line.total_cost), line.unpriced_requests > 0 && h('div', { className: 'soft' }, unpriced(line))),
        h('td', { className: 'share' }, h('div', { className: 'bar', style: `width: ${most ? ((line.total_cost ?? 0) / most * 100).toFixed(1) : 0}%` })),
        ...USAGE_FIGURES.slice(1, 5).map(([, write]) => h('td', { className: 'n' }, write(line))))));
      el.hidden = !lines.length;
    },
  };
}

const panel = {
  draw(root, first, act) {
    root.classList.add('prsm-usage');
    const fields = Object.fromEntries(['timeframe', 'model', 'provider', 'key'].map((name) => [name,
      h('select', { 'aria-label': name, onchange: () => look() })]));
    const look = () => act('look', Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value || null])));
    const again = h('button', { className: 'push', onclick: () => act('refresh') }, 'Refresh');
    const values = USAGE_FIGURES.map(() => [h('div', { className: 'value' }), h('div', { className: 'soft' })]);
    const cost = bars('Cost', (period) => period.total_cost, spent, briefly);
    const asked = (period) => count(period.total_requests);
    const requests = bars('Requests', (period) => period.total_requests, asked, asked);
    const models = breakdown('model');
    const keys = breakdown('key');
    const none = h('p', { className: 'soft' }, 'Nothing was asked in this time.');
    const notice = h('div', { className: 'notice', role: 'alert' });
    const charts = h('div', { className: 'charts' }, cost.el, requests.el);
    const found = h('div', { className: 'found', ariaLive: 'off' },
      h('div', { className: 'figures' }, values.map((parts) => h('div', { className: 'figure' }, parts))),
      none, charts, models.el, keys.el);
    const code = h('pre', { className: 'code', title: 'The same in code' });
    root.append(h('div', { className: 'row' }, Object.values(fields), again), notice, found, code);

    function options(name, offered, chosen, all) {
      const wanted = [...(all ? [['', all]] : []), ...offered.map((one) => [one, name === 'timeframe' ? one.replaceAll('_', ' ') : one])];
      const field = fields[name];
      if ([...field.options].map((one) => one.value).join('\n') !== wanted.map(([value]) => value).join('\n')) {
        field.replaceChildren(...wanted.map(([value, text]) => h('option', { value }, text)));
      }
      field.value = chosen ?? '';
      field.hidden = Boolean(all) && offered.length < (name === 'key' ? 1 : 2) && !chosen; // the owner has no key
    }

    let drawn = '';
    function show(s) {
      root.setAttribute('aria-busy', String(s.busy));
      options('timeframe', s.spans, s.timeframe);
      options('model', s.models, s.model, 'all models');
      options('provider', s.providers, s.provider, 'all providers');
      options('key', s.keys, s.key, 'all keys');
      say(notice, s.notice);
      say(code, s.code);
      const now = JSON.stringify([s.whole, s.periods, s.by_model, s.by_key]);
      if (now === drawn) return;
      drawn = now;
      USAGE_FIGURES.forEach(([name, write, more], n) => {
        say(values[n][0], write(s.whole));
        say(values[n][1], [name, more?.(s.whole)].filter(Boolean).join(' '));
      });
      none.hidden = s.whole.total_requests > 0;
      charts.hidden = !none.hidden;
      cost.draw(s.periods, s.per);
      requests.draw(s.periods, s.per);
      models.draw(s.by_model);
      keys.draw(s.by_key.length > 1 ? s.by_key : []);
    }

    show(first);
    return { state: show, news: (patch) => patch.state && show(patch.state) };
  },
};
