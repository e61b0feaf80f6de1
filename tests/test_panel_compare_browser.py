"""The compare panel in a real JupyterLab: walk, filter, vote by keyboard, reload, read what was voted."""

from __future__ import annotations

import json

import pytest
from hostile import ADDRESS, HOSTILE, Read, harmless
from jupyter import Book, browser, needs_browser

from prsm_lab import emulator

pytestmark = [needs_browser, pytest.mark.timeout(180)]

MODELS = ["gpt-4.1-mini", "claude-haiku-4-5", "gpt-4o"]
ASKED = f"""import prsm_lab as lab
models = {MODELS!r}
results = lab.score(lab.compare('capitals', '{{question}}', models=models, progress=False), 'contains', reference='answer')"""
BAD = """mocked = lab.Client(mock_mode=True, ledger=':memory:', mock_responses={'*': {'content': 'x'}})
found = lab.compare(texts, '{text}', models=['gpt-4', 'gpt-4o'], client=mocked, progress=False)
found['response'] = found['text'] + found['model']
found['model'] = found['model'].map({'gpt-4': texts[1], 'gpt-4o': texts[2]})"""
DRAWN = """panel => [...panel.querySelectorAll('.standings tbody tr')].map(row => {
  const [track, whisker, point] = ['.track', '.whisker', '.point'].map(name => row.querySelector(name).getBoundingClientRect());
  const middle = (point.left + point.right) / 2;
  return track.left <= whisker.left && whisker.left <= middle && middle <= whisker.right && whisker.right <= track.right
    && whisker.width > 10 && point.height > 5 && getComputedStyle(row.querySelector('.whisker')).backgroundColor !== 'rgba(0, 0, 0, 0)';
})"""
TEXTS = [text.replace("\ud83d", "?") for text in HOSTILE.values()]  # a frame's text holds no lone surrogate
CELLS = [
    ASKED,
    "panel = lab.panels.compare(results, voter='ana')\npanel",
    "panel.verdicts()[['row', 'winner', 'voter']]",
    f"texts = {TEXTS!r}\n{BAD}",
    "hostile = lab.panels.compare(found, client=mocked)\nhostile.vote_blind(True)\nhostile.vote('a')\nhostile",
    "from IPython.display import HTML\nHTML(hostile.html())",
]


@pytest.fixture(scope="module")
def book(jupyter, tmp_path_factory):
    with emulator.start(latency_scale=0.02) as emu, browser() as chrome:
        environ = {**emu.environ(), "PRSM_LEDGER": str(tmp_path_factory.mktemp("ledger") / "ledger.db")}
        jupyter.write("compare.ipynb", *CELLS, environ=environ)
        page = chrome.new_context(viewport={"width": 1280, "height": 900}).new_page()
        yield Book(page, jupyter, "compare.ipynb")


def test_rows_are_walked_by_keyboard_and_voted_on_blind(book):
    """Names appear after the vote only; JupyterLab's own keys do nothing meanwhile; a reload finds all again."""
    page = book.page
    book.run(0)
    book.run(1)
    panel = book.cell(1).locator(".prsm-compare")
    panel.wait_for()
    assert [name for name in MODELS if name in panel.inner_text()][2] == "gpt-4o"
    assert panel.locator("mark").count() > 0
    panel.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.prsm-compare .question h3').textContent === 'Row 2'")
    book.picture("compare-row")
    panel.get_by_label("Rows").select_option("most expensive")
    page.wait_for_function("document.querySelector('.prsm-compare .question h3').textContent !== 'Row 2'")

    panel.get_by_role("button", name="Vote blind").click()
    panel.locator(".votes").wait_for()
    book.picture("compare-blind")
    assert "gpt-4o" not in panel.inner_text()
    assert not panel.locator(".board").is_visible()
    panel.focus()
    for n, key in enumerate("abtxu", 1):
        page.keyboard.press(key)
        votes = 3 if key == "u" else n
        page.wait_for_function(
            "n => document.querySelector('.prsm-compare .last').textContent.includes(`${n} vote`)", arg=votes
        )
    assert page.locator(".jp-Notebook .jp-Cell").count() == len(CELLS)
    board = panel.locator(".board")
    assert board.locator("tbody tr").count() >= 2
    assert not [name for name in MODELS if name in board.inner_text()]
    book.picture("compare-blind-standings")
    panel.get_by_role("button", name="Back to the rows").click()
    panel.locator(".variant").first.wait_for()
    book.picture("compare-standings")
    assert sorted(panel.locator(".variant").all_inner_texts()) == sorted(MODELS)
    assert panel.evaluate(DRAWN) == [True] * 3

    book.run(2)
    assert book.output(2).count("ana") == 3
    saved = json.loads(book.save())
    still = "".join(next(o["data"]["text/html"] for o in saved["cells"][1]["outputs"] if "text/html" in o["data"]))
    harmless(still.partition("</style>")[2])
    assert "3 votes" in still
    assert panel.locator(".told").inner_text() in Read(still).text
    book.open()
    panel = book.cell(1).locator(".prsm-compare")
    panel.locator(".standings").wait_for()
    book.theme("JupyterLab Dark")
    page.set_viewport_size({"width": 700, "height": 900})
    panel.scroll_into_view_if_needed()
    page.wait_for_timeout(600)  # JupyterLab's own veil while a theme loads
    book.picture("compare-dark-700")
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_hostile_rows_and_answers_run_nothing(book):
    """Row by row, and in the static form."""
    page, asked = book.page, []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialog.dismiss())
    for n in (3, 4, 5):
        book.run(n)
    panel = book.cell(4).locator(".prsm-compare")
    panel.wait_for()
    assert panel.locator(".board").is_visible()
    panel.get_by_role("button", name="Back to the rows").click()
    panel.locator(".variant").first.wait_for()
    assert set(panel.locator(".variant").all_inner_texts()) == set(TEXTS[1:3])
    panel.focus()
    for n in range(1, len(HOSTILE)):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "n => [...document.querySelectorAll('.prsm-compare .question h3')].at(-1).textContent === `Row ${n}`", arg=n
        )

    assert page.evaluate("Object.keys(window).filter(name => name.startsWith('owned'))") == []
    assert [url for url in asked if url.startswith(ADDRESS)] == []
    assert panel.locator(":is(img, script, style, iframe, form, svg, object, video)").count() == 0
