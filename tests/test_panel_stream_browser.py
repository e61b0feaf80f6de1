"""The stream panel in a real JupyterLab and a real browser: ask, read, stop, save, reload; and a hostile model.

One notebook, one kernel: each test has cells of its own in it.
"""

from __future__ import annotations

import json
import time

import pytest
from hostile import ADDRESS, HOSTILE, harmless
from jupyter import Book, browser, needs_browser

from prsm_lab import emulator
from prsm_lab.emulator import Rule

pytestmark = [needs_browser, pytest.mark.timeout(240)]

MODELS = ["gpt-4.1-mini", "claude-haiku-4-5", "gpt-4o", "gpt-4.1"]
LONG = "Many words, one after the other, " * 40
BUSY = "import os, time\nprint('busy')\nwhile not os.path.exists('enough'): time.sleep(0.02)"
SEVEN = [*MODELS, "gpt-4o-mini", "gpt-4", "claude-sonnet-4-5"]
EACH = f"""for n in range(0, len(texts), 7):
    said = dict(zip({SEVEN!r}, texts[n:n + 7]))
    client = lab.Client(mock_mode=True, ledger=':memory:',
                        mock_responses={{model: {{'content': text}} for model, text in said.items()}})
    panel = lab.panels.stream(list(said), client=client)
    display(panel)
    panel.ask(''.join(text[:200] for text in said.values()))"""
CELLS = [
    f"import prsm_lab as lab\npanel = lab.panels.stream({MODELS[:2]!r})\npanel",
    "panel.to_frame()[['model', 'response', 'cost']]",
    "panel",
    f"lab.panels.stream({MODELS[:2]!r})",
    BUSY,
    f"lab.panels.stream({MODELS!r})",
    f"texts = {list(HOSTILE.values())!r}",
    EACH,
    "from IPython.display import HTML\nHTML(panel.html())",
]


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={"Speak long": LONG}, latency_scale=0.3) as running:
        yield running


@pytest.fixture(scope="module")
def opened(emu, jupyter):
    with browser() as chrome:
        page = chrome.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        jupyter.write("stream.ipynb", *CELLS, environ=emu.environ())
        book = Book(page, jupyter, "stream.ipynb")
        book.run(0)
        yield book


@pytest.fixture
def book(opened, emu):
    emu.clear()
    return opened


class Shown:
    """The panel that a cell shows."""

    def __init__(self, book: Book, cell: int) -> None:
        self.book, self._cell = book, cell
        self.el = book.cell(cell).locator(".prsm-stream").first
        self.el.wait_for()

    def ask(self, prompt: str) -> None:
        """Type a question and send it by keyboard."""
        self.el.get_by_label("Question").fill(prompt)
        self.book.page.keyboard.press("Control+Enter")

    def until(self, what: str, *, n: int = 1) -> None:
        """Wait until so many parts of that kind are there."""
        self.book.page.wait_for_function(
            "([cell, what, n]) => document.querySelectorAll('.jp-Notebook .jp-Cell')[cell]?.querySelectorAll(what).length >= n",
            arg=[self._cell, what, n], timeout=60_000,
        )  # fmt: skip

    def texts(self) -> list[str]:
        """The answers, as they are read."""
        return self.el.locator(".answer").all_inner_texts()


def test_answers_are_written_side_by_side_saved_and_found_again(book, emu):
    """Two views show the same; a reload too; the saved file reads well without a kernel; dark and narrow too."""
    page, panel = book.page, Shown(book, 0)
    emu.add(Rule("slow", seconds=0.004))
    began = time.perf_counter()
    panel.ask("Speak long")
    panel.until(".turn")
    first = time.perf_counter() - began
    panel.until(".dot.streaming")
    book.picture("stream-writing")
    panel.until(".dot.done", n=2)
    book.picture("stream-done")
    texts = panel.texts()

    assert [LONG.strip() in " ".join(text.split()) for text in texts] == [True, True]
    assert all("tokens/s" in text and "$" in text for text in panel.el.locator(".figures").all_inner_texts())
    assert page.locator("[class^=prsm-still]").first.is_hidden()
    book.run(1)
    assert all(model in book.output(1) for model in MODELS[:2])
    book.run(2)
    assert Shown(book, 2).texts() == texts

    saved = json.loads(book.save())
    still = "".join(next(o["data"]["text/html"] for o in saved["cells"][0]["outputs"] if "text/html" in o["data"]))
    harmless(still.partition("</style>")[2])
    assert still.count(LONG.partition(",")[0]) >= 2
    book.open()
    assert Shown(book, 0).texts() == texts

    _dark_and_narrow(book)
    print(f"\nfirst change after a key press in {first * 1000:.0f} ms")


def _dark_and_narrow(book: Book) -> None:
    """In JupyterLab's dark theme, at 700 pixels: nothing sticks out, and text has contrast."""
    book.theme("JupyterLab Dark")
    book.page.set_viewport_size({"width": 700, "height": 1000})
    panel = Shown(book, 0).el
    panel.scroll_into_view_if_needed()
    book.picture("stream-dark-700")
    box = panel.bounding_box()
    ink, ground = panel.evaluate("""e => { const s = getComputedStyle(e);
      return [s.color, s.backgroundColor].map(c => c.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)); }""")

    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert box["x"] + box["width"] <= 700
    assert ink - ground > 400
    book.page.set_viewport_size({"width": 1280, "height": 1000})
    book.theme("JupyterLab Light")


def test_a_column_is_stopped_while_a_cell_runs(book, emu, jupyter):
    """The click is read although the kernel is busy, and the provider sees its connection close."""
    (jupyter.root / "enough").unlink(missing_ok=True)
    book.run(3)
    panel = Shown(book, 3)
    emu.add(Rule("stall", pieces=6))
    panel.ask("Speak long")
    panel.until(".dot.streaming", n=2)
    book.run(4, wait=False)
    book.page.wait_for_function("document.querySelectorAll('.jp-Cell')[4]?.innerText?.includes('\\nbusy')")
    began = time.perf_counter()
    panel.el.locator(".column").nth(0).get_by_role("button", name="stop").click()
    panel.until(".column:nth-child(1) .dot.stopped")
    took = time.perf_counter() - began
    emu.log.wait_for(lambda log: sum(entry.peer_closed is not None for entry in log.entries) == 1)

    assert panel.texts()[0]
    assert "stopped here" in panel.el.locator(".column").nth(0).inner_text()
    assert panel.el.locator(".column").nth(1).locator(".dot.streaming").count() == 1
    assert "[*]" in book.cell(4).inner_text()
    panel.el.get_by_role("button", name="Stop all").click()
    panel.until(".dot.stopped", n=2)
    book.picture("stream-stopped")
    (jupyter.root / "enough").touch()
    print(f"\nstopped in {took * 1000:.0f} ms, in the middle of a cell")


def test_four_columns_of_fast_text_leave_the_page_responsive(book, emu):
    """Some fifteen messages a second in all; typing goes on meanwhile."""
    page = book.page
    began = time.perf_counter()
    book.run(5, wait=False)
    panel = Shown(book, 5)
    shown = time.perf_counter() - began
    page.evaluate("""() => { window.longest = 0; let last = performance.now();
      const tick = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now;
        requestAnimationFrame(tick); }; requestAnimationFrame(tick); }""")
    emu.add(Rule("slow", seconds=0.01))
    panel.ask("Speak long")
    panel.until(".dot.streaming", n=2)
    panel.el.get_by_label("Question").press_sequentially("typed meanwhile")
    panel.until(".dot.done", n=4)

    assert panel.el.get_by_label("Question").input_value().endswith("typed meanwhile")
    assert all(len(text) > 1000 for text in panel.texts())
    print(
        f"\nshown in {shown * 1000:.0f} ms; longest time between two frames: {page.evaluate('window.longest'):.0f} ms"
    )


def test_a_hostile_model_runs_nothing_and_reaches_nobody(book):
    """While it is written, at the end, after a reload, and in the static form: a column for each of its texts."""
    page, asked = book.page, []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialog.dismiss())
    for n in (6, 7, 8):
        book.run(n)
    done = "n => document.querySelectorAll('.jp-Notebook .jp-Cell')[7]?.querySelectorAll('.dot.done').length === n"
    page.wait_for_function(done, arg=len(HOSTILE), timeout=90_000)
    book.picture("stream-hostile")
    book.save()
    book.open()
    page.wait_for_function(done, arg=len(HOSTILE), timeout=90_000)
    shown = page.locator(".prsm-stream")

    assert page.evaluate("Object.keys(window).filter(name => name.startsWith('owned'))") == []
    assert [url for url in asked if url.startswith(ADDRESS)] == []
    assert shown.locator(":is(img, script, style, iframe, form, svg, object, video)").count() == 0
    for link in shown.locator(".answer a").all():
        assert link.get_attribute("href").startswith(("http://", "https://", "mailto:"))
