// Answers side by side, and blind votes. What differs is marked by spans whose text is text.

const VOTES = [['a', 'Left is better', 'a'], ['tie', 'As good', 't'], ['both_bad', 'Both bad', 'x'], ['b', 'Right is better', 'b']];

function inputsOf(question) {
  return [
    ...question.inputs.map(([name, value]) => h('div', { className: 'input' }, h('span', { className: 'soft' }, `${name} `), h('span', { className: 'text' }, value))),
    known(question.reference) ? h('div', { className: 'input' }, h('span', { className: 'soft' }, 'reference '), h('span', { className: 'text good' }, question.reference)) : null,
  ].filter(Boolean);
}

function answerOf(answer, act, marks) {
  const figures = [
    ...answer.scores.map(([name, value]) => `${name} ${known(value) ? Number(value.toFixed(3)) : '–'}`), money(answer.cost), span(answer.latency_ms),
  ];
  const text = h('div', { className: 'text said', tabIndex: 0 },
    answer.parts.map(([differs, piece]) => (differs && marks ? h('mark', {}, piece) : piece)));
  return h('section', { className: 'answer', 'aria-label': answer.label }, h('h3', {}, answer.label),
    answer.error ? h('div', { className: 'bad' }, answer.error) : text,
    answer.long ? h('button', { className: 'quiet', onclick: () => act('whole') }, 'show all of it') : null,
    h('div', { className: 'soft figures' }, figures.join(' · ')));
}

/** A strength with its sign; nought has none. */
function signed(value) {
  const written = Math.abs(value).toFixed(2);
  return written === '0.00' ? written : `${value < 0 ? '−' : '+'}${written}`;
}

/** A point on its whisker, over a line at the average strength. */
function whiskerOf(one, zero) {
  if (!one.drawn) return h('span', { className: 'soft' }, 'interval not known yet');
  const [start, at, end] = one.drawn.map((place) => place * 100);
  return h('div', { className: 'track', 'aria-hidden': 'true' }, h('i', { className: 'zero', style: `left:${zero * 100}%` }),
    h('i', { className: 'whisker', style: `left:${start}%;width:${end - start}%` }), h('i', { className: 'point', style: `left:${at}%` }));
}

function standingOf(one, zero) {
  const figures = [signed(one.strength), one.drawn && h('span', { className: 'soft range' }, `${signed(one.low)} to ${signed(one.high)}`)];
  const counts = known(one.n) ? [h('td', { className: 'n' }, `${count(one.wins)} / ${count(one.ties)} / ${count(one.losses)}`), h('td', { className: 'n' }, count(one.n))] : [];
  return h('tr', {}, h('td', { className: 'n place' }, one.place), known(one.label) ? h('th', { scope: 'row', className: 'variant' }, one.label) : null, h('td', { className: 'drawn' }, whiskerOf(one, zero)),
    h('td', { className: 'n' }, figures), h('td', { className: 'n' }, `${(one.share * 100).toFixed(0)} %`), counts);
}

const panel = {
  draw(root, first, act) {
    root.classList.add('prsm-compare');
    root.tabIndex = 0;
    let now = first;
    let marks = true;
    const shown = h('select', { 'aria-label': 'Rows', onchange: () => act('show', { only: shown.value }) });
    const back = h('button', { title: 'Left arrow', 'aria-label': 'Back', onclick: () => act('step', { by: -1 }) }, '←');
    const on = h('button', { title: 'Right arrow', 'aria-label': 'On', onclick: () => act('step', { by: 1 }) }, '→');
    const place = h('input', { type: 'number', min: 1, 'aria-label': 'Row number', onchange: () => act('go', { at: Number(place.value) - 1 }) });
    const of = h('span', { className: 'soft' });
    const marking = h('label', {}, h('input', { type: 'checkbox', checked: true, onchange: (event) => { marks = event.target.checked; show(now); } }), ' mark differences');
    const blind = h('button', { className: 'main push', onclick: () => act('blind', { on: !now.blind }) }, 'Vote blind');
    const walk = h('span', { className: 'row' }, shown, back, place, of, on, marking);
    const notice = h('div', { className: 'notice', role: 'alert' });
    const question = h('div', { className: 'question' });
    const answers = h('div', { className: 'answers' });
    const votes = h('div', { className: 'row votes' }, ...VOTES.map(([winner, text, key]) => h('button', { onclick: () => act('vote', { winner }), title: `Key ${key}` }, text, h('kbd', {}, key))),
      h('button', { className: 'quiet push', title: 'Key u', onclick: () => act('undo') }, 'undo'));
    const last = h('div', { className: 'soft last', role: 'status' });
    const told = h('p', { className: 'told', role: 'status' });
    const heads = h('tr');
    const standings = h('tbody');
    const notes = h('p', { className: 'soft notes' });
    const board = h('section', { className: 'board', 'aria-label': 'Standings' }, told, h('table', { className: 'standings' }, h('thead', {}, heads), standings), notes);
    root.append(h('div', { className: 'row' }, walk, blind), notice, question, answers, votes, last, board);

    root.addEventListener('keydown', (event) => {
      if (event.target.matches('input, select, textarea') || event.ctrlKey || event.metaKey || event.altKey) return;
      const vote = VOTES.find(([, , key]) => key === event.key);
      const step = { ArrowLeft: -1, k: -1, ArrowRight: 1, j: 1 }[event.key];
      if (now.blind && vote) act('vote', { winner: vote[0] });
      else if (now.blind && event.key === 'u') act('undo');
      else if (!now.blind && step) act('step', { by: step });
      else return;
      event.preventDefault();
      event.stopPropagation(); // JupyterLab's own keys: j, k, a, b, x do things to cells
    });

    function show(s) {
      now = s;
      walk.hidden = s.blind;
      say(blind, s.blind ? 'Back to the rows' : 'Vote blind');
      if (!shown.options.length) shown.append(...s.filters.map((name) => h('option', { value: name }, name)));
      shown.value = s.filter;
      place.max = s.n;
      place.value = s.n ? s.at + 1 : '';
      say(of, `of ${count(s.n)}`);
      back.disabled = s.at === 0;
      on.disabled = s.at >= s.n - 1;
      say(notice, s.notice);
      votes.hidden = !s.blind || !s.pair;
      if (s.blind) {
        question.replaceChildren(...(s.pair ? inputsOf({ ...s.pair, reference: s.pair.reference }) : [h('p', {}, 'All is judged: thank you.')]));
        answers.replaceChildren(...(s.pair ? s.pair.texts.map((text, n) => h('section', { className: 'answer', 'aria-label': n ? 'Right answer' : 'Left answer' },
          h('h3', {}, n ? 'B' : 'A'), h('div', { className: 'text said', tabIndex: 0 }, text))) : []));
      } else {
        question.replaceChildren(...(s.row ? [h('h3', {}, `Row ${s.row.row}`), ...inputsOf(s.row)] : [h('p', { className: 'soft' }, 'No row is like that.')]));
        answers.replaceChildren(...(s.row ? s.row.answers.map((answer) => answerOf(answer, act, marks)) : []));
      }
      const words = { a: `${s.last?.a} won`, b: `${s.last?.b} won`, tie: 'as good', both_bad: 'both bad' };
      say(last, [s.last && `Row ${s.last.row}: ${s.last.a} against ${s.last.b}, ${words[s.last.winner]}`, s.blind && `${count(s.votes)} vote${s.votes === 1 ? '' : 's'}`].filter(Boolean).join(' · '));
      const ranked = s.standings.length ? s.standings : s.nameless;
      board.hidden = !ranked.length;
      if (board.hidden) return;
      say(told, s.told);
      const named = ranked === s.standings;
      heads.replaceChildren(h('th', { className: 'n' }, h('span', { className: 'hidden' }, 'rank')), ...(named ? [h('th', {}, 'variant')] : []), h('th', {}, 'weaker – stronger'),
        h('th', { className: 'n', title: 'On a log scale, with its 95 % interval' }, 'strength'), h('th', { className: 'n', title: 'Of points against the others; a tie is half of one' }, 'expected to win'),
        ...(named ? [h('th', { className: 'n' }, 'won / tied / lost'), h('th', { className: 'n' }, 'n')] : []));
      standings.replaceChildren(...ranked.map((one) => standingOf(one, s.zero)));
      say(notes, s.notes.join(' '));
    }

    show(first);
    return { state: show, news: (patch) => patch.state && show(patch.state) };
  },
};
