// What all panels share: elements, messages to the kernel, numbers. A panel's own script defines `panel`:
// draw(root, state, act) builds its page once and returns { state(whole), news(patch) }.

/** An element. Children that are text become text nodes: nothing of a model is ever parsed here. */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== 'list' && name !== 'form') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** HTML that the kernel's render room has sanitised. The only place that parses any. */
function sanitised(element, html) {
  element.innerHTML = html;
}

/** Set text only where it differs, so that a selection survives. */
function say(element, text) {
  const wanted = String(text ?? '');
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Unknown is a dash, never a nought. */
const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);
function money(usd) {
  if (!known(usd)) return '–';
  if (usd === 0 || usd >= 0.1) return `$${usd.toFixed(2)}`;
  return `$${usd.toFixed(usd >= 0.0005 ? 4 : 6)}`;
}
const count = (value) => (known(value) ? Math.round(value).toLocaleString('en') : '–');
function span(ms) {
  if (!known(ms)) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 90_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/**
 * Ask the kernel to do something: over its control channel, which is read while a cell runs, else over the comm.
 * A key goes beside the content, as bytes: it is in no state, and a kernel that logs its messages does not write it.
 */
function sender(model) {
  return (command, given = {}, key = '') => {
    const content = { board: model.get('board'), do: command, with: given };
    const buffers = key ? [new TextEncoder().encode(key).buffer] : [];
    const kernel = model.get('control') ? model.widget_manager?.kernel : null;
    if (typeof kernel?.sendControlMessage !== 'function') {
      model.send(content, undefined, buffers);
      return;
    }
    kernel.sendControlMessage({
      header: {
        msg_id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, msg_type: 'prsm_lab_panel', version: '5.3',
        session: kernel.clientId, username: kernel.username, date: new Date().toISOString(),
      },
      parent_header: {}, metadata: {}, content, buffers, channel: 'control',
    }, false, true);
  };
}

/** Hide the static form of this board while a live page shows it. */
function hideStill(board) {
  const rule = document.createElement('style');
  rule.textContent = `.prsm-still-${board} { display: none !important; }`;
  document.head.append(rule);
  return () => rule.remove();
}

export default {
  render({ model, el }) {
    const root = h('div', { className: 'prsm' });
    el.append(root);
    const page = panel.draw(root, model.get('state'), sender(model));
    const whole = () => page.state(model.get('state'));
    const news = (message) => page.news(message);
    const shownAgain = hideStill(model.get('board'));
    model.on('change:state', whole);
    model.on('msg:custom', news);
    return () => {
      model.off('change:state', whole);
      model.off('msg:custom', news);
      shownAgain();
      page.end?.();
    };
  },
};
