"""A throw-away JupyterLab and a browser in front of it: open a notebook, run cells, look at what is shown.

Nothing is downloaded: the browser is the system's chromium (or `CHROMIUM=path`). All that Jupyter writes goes below a
temporary home. Screenshots are kept in pytest's temporary folder, or in `SCREENSHOTS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
_MISSING = [name for name in ("playwright", "jupyterlab", "anywidget") if find_spec(name) is None]
_LACKING = f"{', '.join(_MISSING)} is not installed" if _MISSING else None if CHROMIUM else "there is no chromium"
needs_browser = pytest.mark.skipif(_LACKING is not None, reason=str(_LACKING))

_READY = """() => { const s = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  return !!s && s.isReady && s.session?.kernel?.connectionStatus === 'connected' && s.session.kernel.status === 'idle'; }"""
_RUN = """async n => { const app = window.jupyterapp, book = app.shell.currentWidget.content;
  book.deselectAll(); book.activeCellIndex = n; app.commands.execute('notebook:run-cell'); }"""
_DONE = """n => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-Notebook .jp-Cell')[n]
  .querySelector('.jp-InputPrompt').textContent)"""


class Jupyter:
    """A running JupyterLab."""

    def __init__(self, root: Path, state: Path, environ: dict[str, str]) -> None:
        self.root = root
        self._state = state
        self.token = secrets.token_hex(16)
        news = state / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        news.parent.mkdir(parents=True)
        news.write_text('{"fetchNews": "false", "checkForUpdates": false, "doNotDisturbMode": true}')
        folders = {
            "HOME": "", "JUPYTER_CONFIG_DIR": "cfg", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "ws", "IPYTHONDIR": "ipy",
        }  # fmt: skip
        places = {name: str(state / folder) for name, folder in folders.items()}
        self._log = (state / "lab.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
             f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={root}",
             "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
             "--LabApp.expose_app_in_browser=True"],
            env={**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environ, **places},
            stdout=self._log, stderr=subprocess.STDOUT, cwd=root, start_new_session=True,
        )  # fmt: skip
        self.url = self._address()

    def _address(self) -> str:
        """Wait until it answers."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            for known in (self._state / "run").glob("jpserver-*.json"):
                with contextlib.suppress(OSError, ValueError):
                    url = json.loads(known.read_text())["url"].rstrip("/")
                    asked = urllib.request.Request(
                        f"{url}/api/status", headers={"Authorization": f"token {self.token}"}
                    )
                    urllib.request.urlopen(asked, timeout=5).close()
                    return str(url)
            time.sleep(0.05)
        raise RuntimeError((self._state / "lab.log").read_text()[-3000:])

    def write(self, name: str, *cells: str, environ: dict[str, str] | None = None) -> Path:
        """Write a notebook; its first cell reads the environment, keys and all, from a file beside it."""
        if environ:
            (self.root / f"{name}.env").write_text(json.dumps(environ))
            read = f"import json, os; os.environ.update(json.load(open('{name}.env')))"
            cells = (f"{read}\n{cells[0]}", *cells[1:])
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(book, self.root / name)
        return self.root / name

    def stop(self) -> None:
        """End it; it ends its kernels itself."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._state, ignore_errors=True)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """One for all notebooks that need no settings of their own: it takes seconds to start."""
    running = Jupyter(tmp_path_factory.mktemp("books"), tmp_path_factory.mktemp("state"), {"PRSM_LEDGER": ":memory:"})
    yield running
    running.stop()


class Book:
    """A notebook that is open in the browser."""

    def __init__(self, page: Any, jupyter: Jupyter, name: str) -> None:
        self.page = page
        self._jupyter, self.name = jupyter, name
        self.open()

    def open(self) -> None:
        """Open or reload it, and wait for its kernel."""
        self.page.goto(
            f"{self._jupyter.url}/doc/tree/{self.name}?token={self._jupyter.token}&reset", wait_until="domcontentloaded"
        )
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(_READY, timeout=60_000)

    def cell(self, n: int) -> Any:
        """One cell, as a locator."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(n)

    def run(self, n: int, *, wait: bool = True) -> Any:
        """Run a cell; `wait` until it has ended."""
        self.page.evaluate(_RUN, n)
        if wait:
            self.page.wait_for_function(_DONE, arg=n, timeout=60_000)
        return self.cell(n)

    def output(self, n: int) -> str:
        """What a cell shows, as text."""
        return str(self.cell(n).locator(".jp-OutputArea").inner_text())

    def save(self) -> str:
        """Save it, and return the file's text."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        return (self._jupyter.root / self.name).read_text()

    def theme(self, name: str) -> None:
        """Change the theme: `JupyterLab Light`, `JupyterLab Dark`."""
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")

    def picture(self, name: str, what: Any = None) -> None:
        """Keep a screenshot, of the page or of an element."""
        folder = Path(os.environ.get("SCREENSHOTS") or Path(tempfile.gettempdir()) / "prsm-lab-screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        (what or self.page).screenshot(path=str(folder / f"{name}.png"))


@contextlib.contextmanager
def browser():
    """A headless chromium."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield running
        finally:
            running.close()
