"""The batch and usage panels in a real JupyterLab: start, stop, reload, go on; what it cost; and a hostile model.

One notebook, one kernel: each test has cells of its own in it.
"""

from __future__ import annotations

import json
import re

import pytest
from hostile import ADDRESS, HOSTILE, harmless
from jupyter import Book, browser, needs_browser

from prsm_lab import emulator
from prsm_lab.emulator import Rule

pytestmark = [needs_browser, pytest.mark.timeout(180)]

MODELS = ["gpt-4", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "claude-haiku-4-5"]
SAID = dict(
    zip(MODELS, ({"content": HOSTILE[name]} for name in ("script", "onerror", "style", "bidi", "link")), strict=True)
)
RUN = "lab.panels.batch(rows, 'Answer {text}', model='gpt-4.1-mini', max_concurrency=8)"
CELLS = [
    "import prsm_lab as lab; rows = [f'question {n}' for n in range(200)]",
    f"panel = {RUN}\npanel",
    RUN,
    "panel.result()['response'].notna().sum()",
    "lab.batch(rows[:20], 'Use {text}', model='gpt-4.1-mini', progress=False)\nlab.panels.usage('last_24_hours')",
    "'%.4f dollars' % lab.default_client().inference.analytics('last_24_hours').total_cost",
    f"""client = lab.Client(mock_mode=True, ledger=':memory:', mock_responses={SAID!r})
lab.panels.batch(['x'], '{{text}}', models={MODELS!r}, client=client, start=True)""",
]  # fmt: skip
WATCH = """() => { const e = document.querySelector('.prsm-batch .state'), b = document.querySelector('.prsm-batch .start');
  b.addEventListener('click', () => { window.clicked = performance.now(); });
  new MutationObserver(() => { window.took ??= performance.now() - window.clicked; }).observe(e, {attributes: true}); }"""


@pytest.fixture(scope="module")
def emu():
    with emulator.start(latency_scale=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def book(emu, jupyter, tmp_path_factory):
    environ = {**emu.environ(), "PRSM_LEDGER": str(tmp_path_factory.mktemp("ledger") / "ledger.db")}
    jupyter.write("batch.ipynb", *CELLS, environ=environ)
    with browser() as chrome:
        page = chrome.new_context(viewport={"width": 1280, "height": 900}).new_page()
        yield Book(page, jupyter, "batch.ipynb")


class Shown:
    """The batch panel that a cell shows."""

    def __init__(self, book: Book, cell: int) -> None:
        self.el = book.cell(cell).locator(".prsm-batch")
        self.el.wait_for()
        self._page, self._cell = book.page, cell

    def click(self, name: str) -> None:
        """A button, by its name."""
        self.el.get_by_role("button", name=name).click()

    def until(self, state: str) -> None:
        """Wait until it says so."""
        self.el.locator(f".state.{state}").wait_for(timeout=60_000)

    def figure(self, name: str) -> str:
        """One of the figures."""
        return str(
            self.el.locator(".figure", has=self._page.get_by_text(re.compile(f"^{name}( ·|$)")))
            .locator(".value")
            .inner_text()
        )

    @property
    def done(self) -> int:
        return int(self.figure("rows").split("/")[0].replace(",", ""))


def test_a_run_is_started_stopped_found_again_and_ended(book, emu):
    """By its buttons, also while a cell waits for the frame; nothing is asked twice, whoever looks."""
    page = book.page
    emu.add(Rule("429", contains="question 7", times=2), Rule("400", contains="question 199"))
    book.run(0)
    book.run(1)
    panel = Shown(book, 1)
    assert (panel.done, panel.figure("spent"), panel.figure("left")) == (0, "$0.00", "200 rows")
    page.evaluate(WATCH)
    panel.click("Start")
    panel.until("running")  # the click and the cell come over different channels
    book.run(3, wait=False)
    page.wait_for_function("Number(document.querySelector('.prsm-batch .progress').getAttribute('aria-valuenow')) > 20")
    book.picture("batch-running")
    panel.click("Stop")
    panel.until("stopped")
    page.wait_for_function(
        "/\\[\\d+\\]/.test(document.querySelectorAll('.jp-Cell')[3].querySelector('.jp-InputPrompt').textContent)"
    )
    stopped, paid = panel.done, panel.figure("spent")
    assert 20 < stopped < 200
    assert str(stopped) in book.output(3)
    print(f"\nrunning {page.evaluate('window.took'):.0f} ms after the click")

    book.save()
    book.open()
    panel = Shown(book, 1)
    assert (panel.done, panel.figure("spent")) == (stopped, paid)
    book.run(2)
    again = Shown(book, 2)
    again.click("Go on")
    again.until("done")
    panel.until("done")
    book.picture("batch-done")

    assert panel.done == again.done == 200
    assert "invalid_request" in again.el.locator(".errors").inner_text()
    assert again.el.locator(".first tbody tr").count() == 5
    assert "half under" in again.el.locator(".sketch").inner_text()
    book.run(3)
    assert "199" in book.output(3)
    answered = [entry.prompt for entry in emu.log.arrivals() if entry.done and entry.status == 200]
    assert len(set(answered)) == 199
    assert len(answered) - 199 <= 8  # those that were in flight when it was stopped
    _read_from_its_file(book.save(), emu)


def _read_from_its_file(text: str, emu) -> None:
    """The static form has the figures; none of the keys of the environment is in the file."""
    outputs = json.loads(text)["cells"][2]["outputs"]
    still = "".join(next(output["data"]["text/html"] for output in outputs if "text/html" in output["data"]))
    harmless(still.partition("</style>")[2])
    assert all(said in still for said in ("200 of 200", "invalid_request", "$0.", "lab.batch(data, "))
    assert not [name for name, value in emu.environ().items() if name.endswith("KEY") and value in text]


def test_usage_is_drawn_and_filtered(book):
    """In both themes, at 700 pixels; the numbers are the ledger's."""
    page = book.page
    book.run(0)
    book.run(4)
    panel = book.cell(4).locator(".prsm-usage")
    panel.wait_for()
    cost = re.search(r"\$0\.\d+", panel.locator(".figures").inner_text())[0]
    book.run(5)
    assert f"{cost[1:]} dollars" in book.output(5)
    assert "gpt-4.1-mini" in panel.locator("table").first.inner_text()
    book.picture("usage-light", panel)
    panel.get_by_label("timeframe").select_option("last_7_days")
    page.wait_for_function("document.querySelectorAll('.prsm-usage .charts > :first-child .period').length === 8")
    book.theme("JupyterLab Dark")
    page.set_viewport_size({"width": 700, "height": 900})
    panel.scroll_into_view_if_needed()
    book.picture("usage-dark-700", panel)

    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert panel.evaluate("e => [...e.querySelectorAll('th, td')].every(c => c.scrollWidth <= c.clientWidth)")


def test_a_hostile_model_runs_nothing_and_reaches_nobody(book):
    """Its answers are among the first rows, as text."""
    page, asked = book.page, []
    page.on("request", lambda request: asked.append(request.url))
    book.run(0)
    book.run(6)
    panel = Shown(book, 6)
    panel.until("done")
    page.set_viewport_size({"width": 700, "height": 900})

    assert panel.el.evaluate("e => e.scrollWidth <= e.clientWidth")
    said = panel.el.locator(".first").inner_text()
    assert "<script>" in said
    assert "\u202e" not in said
    assert page.evaluate("Object.keys(window).filter(name => name.startsWith('owned'))") == []
    assert [url for url in asked if url.startswith(ADDRESS)] == []
    assert panel.el.locator(":is(img, script, style, iframe, form, a)").count() == 0
