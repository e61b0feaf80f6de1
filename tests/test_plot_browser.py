"""Figures in a real browser, as a report holds them: nothing runs, nothing is fetched, and all that is written is seen.

One chromium and one page for all figures: those of a common comparison, those of hostile names, questions and answers,
and those of nothing.
"""

from __future__ import annotations

import random

import pandas as pd
import pytest
from hostile import HOSTILE
from jupyter import browser, needs_browser

import prsm_lab as lab
from prsm_lab import reporting
from prsm_lab.types import Usage

pytestmark = [needs_browser, pytest.mark.timeout(120)]

TEXTS = [text.encode("utf-8", "replace").decode() for text in HOSTILE.values()]  # a frame holds no lone surrogate
PLAIN = ["gpt-4.1-mini", "claude-haiku-4-5 · temperature=0.0", "meta-llama/Llama-3.3-70B-Instruct-Turbo · careful"]
BAD = [HOSTILE["script"], HOSTILE["onerror"], '<b>bold</b> <a href="http://beacon.test/a">x</a> &lt;i&gt;']


def results(frame, names, texts) -> pd.DataFrame:
    """Each variant's answer to each text: the text itself, which some get right; one fails."""
    drawn = random.Random(0)
    rows = []
    for k, name in enumerate(names):
        for n, text in enumerate(texts):
            common = {"model": name, "q": text, "answer": text}
            if (k, n) == (1, 3):
                rows.append(common | {"failed": f"overloaded {text}"})
                continue
            used = Usage(
                prompt_tokens=100 + k, completion_tokens=30 * (k + 1), cached_tokens=60 if k else None,
                reasoning_tokens=10 if k == 2 else None,
            )  # fmt: skip
            rows.append(common | {
                "id": f"inf_{k}_{n}", "content": text + ("" if drawn.random() < 0.4 + 0.2 * k else "!"), "usage": used,
                "latency_ms": drawn.lognormvariate(6 + k / 2, 0.4), "cost": 0.001 * 10**k,
                "served_model": name if k else f"simulated/{name}",
            })  # fmt: skip
    found = frame(*rows)
    found.index = pd.Index(list(range(len(texts))) * len(names))
    return lab.score(found, {"exact": lambda row: float(row["response"] == row["q"]), "length": lambda row: len(row["response"]) % 50 / 7})  # fmt: skip


def knocks(names, errors) -> pd.DataFrame:
    """Receipts of forty attempts, some of which failed, some without a price."""
    begun = pd.Timestamp("2026-11-26 12:00", tz="UTC")
    return pd.DataFrame([
        {"inference_id": f"inf_{n}", "n": 0, "started": begun + pd.Timedelta(seconds=n * 0.3), "latency_ms": 900.0 + 50 * n,
         "error_code": errors[n % len(errors)] if n % 9 == 0 else None, "error": errors[0] if n % 9 == 0 else None,
         "requested_model": names[n % len(names)], "cost": None if n % 11 == 0 else 0.001, "status": "completed"}
        for n in range(40)
    ])  # fmt: skip


def usage(names, by) -> pd.DataFrame:
    costs = [0.5 + n for n in range(len(names))]
    return pd.DataFrame(
        {by: names, "total_cost": costs, "total_requests": [5, 9, 14][: len(names)], "unpriced_requests": 3}
    )


def drawn(frame, names, texts, errors) -> dict[str, object]:
    """Every figure that there is."""
    found = results(frame, names, texts)
    pairs = [(a, b) for a in names for b in names if a < b]
    verdicts = pd.DataFrame([{"a": a, "b": b, "winner": won} for a, b in pairs for won in ("a", "a", "b", "tie")])
    return {
        "scores": lab.plot.scores(found), "dots": lab.plot.scores(found, "length"),
        "cost_quality": lab.plot.cost_quality(found), "latency": lab.plot.latency(found),
        "tokens": lab.plot.tokens(found), "contrast": lab.plot.contrast(found), "wins": lab.plot.wins(verdicts),
        "timeline": lab.plot.timeline(knocks(names, errors)), "usage": lab.plot.usage(usage(names, "model")),
        "days": lab.plot.usage(usage(["2026-11-24", "2026-11-25", "2026-11-26"], "day")),
    }  # fmt: skip


def empty(frame) -> dict[str, object]:
    """Of no rows, or of rows of which nothing is known."""
    failed = lab.score(frame({"failed": "down"}, {"failed": "down", "model": "gpt-4"}), "exact")
    none = failed.iloc[:0]
    timeless = knocks(["a"], ["timeout"])
    return {
        **{f"failed {draw.__name__}": draw(failed) for draw in (lab.plot.scores, lab.plot.cost_quality, lab.plot.latency,
           lab.plot.tokens, lab.plot.wins, lab.plot.contrast)},
        **{f"none {draw.__name__}": draw(none) for draw in (lab.plot.scores, lab.plot.tokens, lab.plot.wins)},
        "timeline": lab.plot.timeline(timeless.assign(started=timeless["started"].where([False] * 40))),
        "usage": lab.plot.usage(usage([], "model")),
    }  # fmt: skip


class Sheet:
    """The page with all figures, and what the browser reported of it."""

    def __init__(self, page, figures) -> None:
        self.page, self.figures = page, figures
        self.told: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.told.append(message.text))
        page.on("pageerror", lambda fault: self.told.append(str(fault)))
        page.on("request", lambda request: self.asked.append(request.url))

    def eval(self, script: str, given: object = None):
        return self.page.evaluate(SCRIPT + script, given)


SCRIPT = """
var figure = name => document.getElementById(name).querySelector('.plotly-graph-div');
var seen = node => node.getClientRects().length && node.textContent.trim() && getComputedStyle(node).visibility !== 'hidden'
  && +getComputedStyle(node).opacity > 0;
var texts = name => [...figure(name).querySelectorAll('text')].filter(seen);
var turned = node => /rotate\\((?!0[,)])/.test(node.getAttribute('transform') || '');
"""


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    from conftest import _frame

    figures = {
        f"{kind} {name}": figure
        for kind, made in {
            "plain": drawn(
                _frame, PLAIN, [f"What is {n} + {n}?" for n in range(24)], ["rate_limit_exceeded", "timeout"]
            ),
            "hostile": drawn(_frame, BAD, TEXTS, TEXTS[:2]),
            "empty": empty(_frame),
        }.items()
        for name, figure in made.items()
    }
    body = "".join(
        f'<div id="{name}">{reporting._figure(figure, first=n == 0)}</div>'
        for n, (name, figure) in enumerate(figures.items())
    )
    place = tmp_path_factory.mktemp("plots") / "figures.html"
    head = f'<!doctype html><meta charset="utf-8"><title>figures</title><style>{reporting.CSS}</style>'
    place.write_text(f"{head}<body>{body}</body>", encoding="utf-8")
    with browser() as chrome:
        made = Sheet(chrome.new_page(viewport={"width": 900, "height": 900}, color_scheme="light"), figures)
        made.page.goto(place.as_uri())
        made.page.wait_for_function(
            "n => document.querySelectorAll('.main-svg .infolayer').length >= n", arg=len(figures)
        )
        yield made


def names(kind: str) -> list[str]:
    """The figures of `drawn`."""
    parts = ("scores", "dots", "cost_quality", "latency", "tokens", "contrast", "wins", "timeline", "usage", "days")
    return [f"{kind} {part}" for part in parts]


KINDS = pytest.mark.parametrize("kind", ["plain", "hostile"])


@KINDS
def test_all_that_is_written_lies_within_its_figure_and_on_nothing_else(sheet, kind):
    """Title, axes, figures beside marks; and no label is turned, because one would lie on the next."""
    faults = sheet.eval(
        """names => names.flatMap(name => {
          const box = figure(name).getBoundingClientRect(), all = texts(name), faults = [];
          const at = all.map(text => text.getBoundingClientRect());
          all.forEach((text, n) => {
            const one = at[n], said = text.textContent.slice(0, 40);
            if (one.left < box.left - 1 || one.right > box.right + 1 || one.top < box.top - 1 || one.bottom > box.bottom + 1)
              faults.push(`${name}: ${said} is cut off`);
            if (turned(text) && text.closest('[class*=tick]')) faults.push(`${name}: ${said} is turned`);
            for (let m = 0; m < n; m++) {
              const wide = Math.min(one.right, at[m].right) - Math.max(one.left, at[m].left);
              const high = Math.min(one.bottom, at[m].bottom) - Math.max(one.top, at[m].top);
              if (wide > 2 && high > 3) faults.push(`${name}: ${said} on ${all[m].textContent.slice(0, 40)}`);
            }
          });
          return faults;
        })""",
        names(kind),
    )

    assert faults == []


@KINDS
def test_axes_have_their_titles_and_ticks(sheet, kind):
    """As they are in the figure: text, whatever it looks like."""
    for name in names(kind):
        said = sheet.eval("name => texts(name).map(text => text.textContent)", name)
        layout = sheet.figures[name].to_plotly_json()["layout"]
        titles = [axis["title"]["text"] for key, axis in layout.items() if key[1:5] == "axis" and "title" in axis]
        ticks = sheet.eval("name => figure(name).querySelectorAll('[class*=tick] > text').length", name)

        assert [title for title in titles if title not in said] == []
        assert ticks >= 4, name


@pytest.mark.parametrize("part", ["scores", "dots", "tokens", "contrast", "wins", "timeline", "usage", "latency"])
@KINDS
def test_a_variant_has_its_name_letter_by_letter(sheet, kind, part):
    """Whatever markup it looks like: in lines beside an axis, or in a legend."""
    name = f"{kind} {part}"
    said = [_words(text) for text in sheet.eval("name => texts(name).map(text => text.textContent)", name)]
    wanted = [_words(one) for one in (PLAIN if kind == "plain" else BAD)]
    if part == "contrast":
        wanted = wanted[1:]  # the first is the baseline, in the title
    if part == "usage":
        wanted = [one[:20] for one in wanted]  # three lines below a bar
    joined = [one.replace(" · ", "") for one in said]

    assert [one for one in wanted if not any(one.replace("·", "") in text.replace("·", "") for text in joined)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_read_on_a_light_and_on_a_dark_page(sheet, scheme):
    """Contrast of 3:1 at least with what lies below it, the page or a cell of the matrix (WCAG 2.2, 1.4.3: 14 px bold
    and large text; the ink has 4:1)."""
    sheet.page.emulate_media(color_scheme=scheme)
    ground = sheet.eval("() => getComputedStyle(document.body).backgroundColor")
    poor = sheet.eval(
        """names => {
          const light = rgb => rgb.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
          const page = light(getComputedStyle(document.body).backgroundColor);
          return names.flatMap(name => texts(name).filter(text => !/wins/.test(name) || !text.closest('.annotation')).map(text => {
            const ink = light(getComputedStyle(text).fill);
            return [(Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05), name, text.textContent];
          })).filter(([ratio]) => ratio < 3);
        }""",
        [*names("plain"), *names("hostile")],
    )
    sheet.page.emulate_media(color_scheme="light")

    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 31)"}[scheme]
    assert poor == []


def test_a_figure_of_nothing_says_so(sheet):
    """In its middle, without axes."""
    said = sheet.eval(
        """names => names.map(name => [name, texts(name).map(text => text.textContent).filter(text => text.startsWith('Nothing to draw')).length,
          [...figure(name).querySelectorAll('[class*=tick] > text')].filter(seen).length])""",
        [name for name in sheet.figures if name.startswith("empty")],
    )

    assert len(said) >= 10
    assert [one for one in said if one[1:] != [1, 0]] == []


HOVER = """async ([name, curve, point]) => {
  Plotly.Fx.hover(figure(name), [{ curveNumber: curve, pointNumber: point }]);
  await new Promise(requestAnimationFrame);
  const layer = figure(name).querySelector('.hoverlayer');
  const told = [layer.textContent, [...new Set([...layer.querySelectorAll('*')].map(one => one.localName))].sort()];
  Plotly.Fx.unhover(figure(name));
  return told;
}"""


@pytest.mark.parametrize(
    "label", ["script", "onerror", "iframe", "mutation", "link", "link entities", "braces", "quotes", "html in code"]
)
def test_a_point_tells_a_hostile_question_and_answer_as_text(sheet, label):
    """Whole words of it, and no element but those that plotly writes text with."""
    at = next(
        (curve, list(trace.hovertext).index(told))
        for curve, trace in enumerate(sheet.figures["hostile latency"].data)
        if trace.hovertext and len(trace.hovertext) > 2
        for told in trace.hovertext
        if _begins(told, HOSTILE[label])
    )
    text, elements = sheet.eval(HOVER, ["hostile latency", *at])

    assert _words(HOSTILE[label])[:40] in _words(text)
    assert set(elements) <= {"g", "path", "text", "tspan", "rect"}


def _words(text: str) -> str:
    """Without spaces, which lines may take the place of; and as plotly is told it, a template's sign apart."""
    return "".join(text.split())


def _begins(told: str, text: str) -> bool:
    import html

    return _words(text)[:30] in _words(html.unescape(told.replace("<br>", "")))


def test_a_pointer_on_a_mark_opens_its_label(sheet):
    """A real one."""
    mark = sheet.page.locator("[id='hostile cost_quality'] path.point").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    label = sheet.page.locator("[id='hostile cost_quality'] .hoverlayer .hovertext")
    label.first.wait_for()

    assert any(_words(name)[:20] in _words(label.first.text_content()) for name in BAD)
    assert label.locator(":is(a, img, image, script, iframe, foreignObject)").count() == 0


def test_nothing_ran_nothing_was_fetched_nothing_went_wrong(sheet):
    """After all of the above: of plotly's script there is one, and of a model's none."""
    elements = ":is(img, iframe, object, embed, form, link, video, audio, base, meta[http-equiv], .plotly-graph-div a)"

    assert sheet.eval("() => Object.keys(window).filter(name => name.startsWith('owned'))") == []
    assert [url for url in sheet.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len(sheet.asked) == 1
    assert sheet.told == []
    assert sheet.page.locator(elements).count() == 0
