"""The providers panel in a real JupyterLab: a key is typed and found nowhere; order and threshold by keyboard.

JupyterLab saves the widgets' state into the notebook here, and the kernel logs every message that it gets.
"""

from __future__ import annotations

import json
import time

import pytest
from jupyter import Book, Jupyter, browser, needs_browser

from prsm_lab import emulator

pytestmark = [needs_browser, pytest.mark.timeout(180)]

CANARY = "sk-canary-Bw4nM7kL2pQz"
SAVE_STATE = "@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings"
CELLS = [
    "import prsm_lab as lab\nclient = lab.Client()",
    "panel = lab.panels.providers(client)\npanel",
    "client.inference.create('claude-haiku-4-5', 'hi').provider",
    "client.preferences.primary, [step.provider for step in client.preferences.fallback], client.preferences.quality_threshold",
    "%xmode Verbose\ntry:\n    panel.nothing\nexcept AttributeError:\n    get_ipython().showtraceback()\nprint(panel, client, vars(panel), In)",
]


@pytest.fixture(scope="module")
def emu():
    with emulator.start(keys=["emulated", CANARY]) as running:
        yield running


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Where Jupyter keeps its own: widget state is saved, and the kernel writes its messages to the log."""
    folder = tmp_path_factory.mktemp("state")
    settings, config = folder / "settings" / SAVE_STATE, folder / "ipy/profile_default/ipython_kernel_config.py"
    for path, text in ((settings, '{"saveState": true}'), (config, "get_config().Application.log_level = 'DEBUG'")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def book(emu, state, tmp_path_factory):
    environ = {**emu.environ(), "PRSM_LEDGER": ":memory:", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    del environ["ANTHROPIC_API_KEY"]
    running = Jupyter(tmp_path_factory.mktemp("books"), state, environ)
    with browser() as chrome:
        page = chrome.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        running.write("providers.ipynb", *CELLS)
        yield Book(page, running, "providers.ipynb")
    running.stop()


def row(book, name: str):
    """A provider's row of the first panel."""
    return book.cell(1).locator(".prsm-providers").first.get_by_label(name, exact=True)


def leaks(text: str) -> list[str]:
    return [part for part in (CANARY, CANARY[-8:], CANARY[:14]) if part in text]


def test_a_key_is_typed_tested_used_and_found_nowhere(book, emu, state):
    """Not in the page, the file with its widgets' state, the kernel's log of all messages, or IPython's history."""
    page = book.page
    book.run(0)
    began = time.perf_counter()
    book.run(1, wait=False)
    openai, anthropic = row(book, "OpenAI"), row(book, "Anthropic")
    anthropic.wait_for()
    opened = time.perf_counter() - began
    assert "OPENAI_API_KEY" in openai.inner_text()
    assert "no key" in anthropic.inner_text()

    anthropic.get_by_role("button", name="Set key: Anthropic").press("Enter")
    field = anthropic.get_by_label("Key", exact=True)
    assert field.evaluate("e => e === document.activeElement && e.type === 'password'")
    page.keyboard.type("sk-wrong")
    began = time.perf_counter()
    page.keyboard.press("Enter")
    assert field.input_value() == ""
    anthropic.get_by_text("key set").wait_for()
    saved = time.perf_counter() - began
    page.wait_for_function("document.activeElement.textContent.trim().startsWith('Test')")  # the place is on Test
    page.keyboard.press("Enter")
    anthropic.locator(".result.bad").wait_for()
    book.picture("providers-refused")
    assert "authentication: anthropic answered HTTP 401" in anthropic.inner_text()

    anthropic.get_by_role("button", name="Change: Anthropic").click()
    field.fill(CANARY)
    anthropic.get_by_role("checkbox").check()
    anthropic.get_by_role("button", name="Save").click()
    assert field.input_value() == ""
    anthropic.get_by_text("for this kernel only").wait_for()  # the keyring here keeps nothing
    book.picture("providers-form")
    page.keyboard.press("Escape")
    anthropic.get_by_role("button", name="Test Anthropic").click()
    anthropic.get_by_text("models in").wait_for()
    book.run(2)
    assert "anthropic" in book.output(2)
    assert any(CANARY in str(entry.headers) for entry in emu.log.entries)
    print(f"\npanel open in {opened * 1000:.0f} ms, key saved in {saved * 1000:.0f} ms")

    book.run(4)
    assert "AttributeError" in book.output(4)
    text = book.save()
    log = (state / "lab.log").read_text(errors="replace")
    assert "application/vnd.jupyter.widget-state+json" in json.loads(text)["metadata"]["widgets"]
    assert "prsm_lab_panel" in log  # the search would find a message's content
    assert leaks(text) == []
    assert leaks(log) == []
    assert leaks(page.content() + str(page.evaluate("[...document.querySelectorAll('input')].map(e => e.value)"))) == []
    history = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file() and path.name != "lab.log")
    assert leaks(history.decode("latin-1")) == []


def test_a_server_is_added_and_the_order_set_by_keyboard(book, emu):
    """What the page shows the client has; JupyterLab's own keys do nothing meanwhile."""
    page, panel = book.page, book.cell(1).locator(".prsm-providers").first
    panel.get_by_role("button", name="Add an OpenAI-compatible server").press("Enter")
    page.keyboard.type("mine")
    page.keyboard.press("Tab")
    page.keyboard.type(f"{emu.url}/v1")
    page.keyboard.press("Enter")
    row(book, "mine").wait_for()
    assert "asked without a key" in row(book, "mine").inner_text()

    panel.get_by_label("Primary provider").select_option("openai")
    for n, name in enumerate(("anthropic", "huggingface", "mine"), 1):
        panel.get_by_label("Add a fallback").select_option(name)
        page.wait_for_function("n => document.querySelectorAll('.prsm-providers .order li').length === n", arg=n)
    panel.get_by_label("Move mine up").press("Enter")
    page.wait_for_function("document.querySelectorAll('.prsm-providers .order li')[1].textContent.includes('mine')")
    page.keyboard.press("Space")  # the keyboard's place moved with it
    page.wait_for_function("document.querySelectorAll('.prsm-providers .order li')[0].textContent.includes('mine')")
    assert panel.get_by_label("Move mine down").evaluate("e => e === document.activeElement")

    panel.get_by_label("cost").check()
    panel.get_by_label("at least").check()
    many = panel.locator(".qualifying tbody tr").count()
    panel.get_by_label("Quality threshold").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    few = panel.locator(".qualifying tbody tr")
    assert 0 < few.count() < many
    assert "$" in few.first.inner_text()
    page.wait_for_function(
        "document.querySelector('.prsm-providers .code').textContent.includes('\"quality_threshold\": 0.88')"
    )
    book.picture("providers-order")
    assert page.locator(".jp-Notebook .jp-Cell").count() == len(CELLS)
    book.run(3)
    assert "('openai', ['mine', 'anthropic', 'huggingface'], 0.88)" in book.output(3)


def test_it_is_legible_in_the_dark_at_700_pixels_after_a_reload_and_without_a_kernel(book):
    """Nothing sticks out; the saved form names providers, sources and the code."""
    saved = json.loads(book.save())
    still = "".join(next(o["data"]["text/html"] for o in saved["cells"][1]["outputs"] if "text/html" in o["data"]))
    assert "environment variable OPENAI_API_KEY" in still
    assert "configure_providers" in still
    book.open()
    row(book, "Anthropic").wait_for()
    assert "key set" in row(book, "Anthropic").inner_text()
    book.theme("JupyterLab Dark")
    book.page.set_viewport_size({"width": 700, "height": 1000})
    panel = book.cell(1).locator(".prsm-providers").first
    row(book, "mine").get_by_role("button", name="Change: mine").click()
    panel.scroll_into_view_if_needed()
    book.picture("providers-dark-700", panel)
    ink, ground = panel.evaluate("""e => { const s = getComputedStyle(e);
      return [s.color, s.backgroundColor].map(c => c.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)); }""")

    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert ink - ground > 400
