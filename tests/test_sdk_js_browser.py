"""The JavaScript SDK in a real browser: a page of another site asks a share server that lets it in."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls import Caller

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.emulator import Rule

SDK = Path(__file__).parent.parent / "sdks" / "js"
CHROMIUM = Path("/usr/bin/chromium")
README = (SDK / "README.md").read_text(encoding="utf-8")
IMPORTS = '<script type="importmap">{ "imports": { "@prsm/sdk": "./src/index.js" } }</script>'

pytestmark = pytest.mark.timeout(120)


class Files(http.server.SimpleHTTPRequestHandler):
    """Files of a directory, without a line for each."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Somebody's site with the SDK in it: its directory and its origin."""
    place = tmp_path_factory.mktemp("site")
    shutil.copytree(SDK / "src", place / "src")
    serve = functools.partial(Files, directory=str(place))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield place, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def emu() -> Iterator[Any]:
    with emulator.start() as running:
        yield running


@pytest.fixture(scope="module")
def share(emu: Any, site: tuple[Path, str]) -> Iterator[Any]:
    """A share server that lets that site in."""
    with (
        lab.Client(ledger=":memory:", providers=emu.providers()) as client,
        lab.serve(client, cors=[site[1]]) as share,
    ):
        yield share


@pytest.fixture(scope="module")
def browser(share: Any) -> Iterator[Any]:
    """One Chromium for all tests; it starts after the server and ends before it."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, emu: Any) -> Iterator[Any]:
    """An empty tab; `page.said` has its console, `page.faults` what nobody caught."""
    emu.clear()
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.said, page.faults = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    yield page
    context.close()


@pytest.fixture
def play(page: Any, site: tuple[Path, str], share: Any) -> Any:
    """Run a script in a page of the site; what it leaves in `out`."""

    def run(source: str, url: str | None = None) -> Any:
        place, origin = site
        ask = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hi"}]}
        (place / "index.html").write_text(f"<!doctype html>{IMPORTS}", encoding="utf-8")
        page.goto(f"{origin}/index.html")
        return page.evaluate(
            "async ([baseURL, apiKey, ask]) => { const sdk = await import('@prsm/sdk');"
            f"const client = new sdk.PRSM({{ baseURL, apiKey, maxRetries: 0 }}); const out = {{}}; {source}; return out; }}",
            [url or share.url, share.new_key("ana", tier="Pro"), ask],
        )

    return run


def test_the_page_of_the_readme_streams(page, site, share, emu):
    """As written, but for the address of the server; the key is typed in."""
    (html,) = re.findall(r"```html\n(.*?)```", README, re.DOTALL)
    assert html.count("http://127.0.0.1:8000") == 1
    (site[0] / "index.html").write_text(
        "<!doctype html>" + html.replace("http://127.0.0.1:8000", share.url), encoding="utf-8"
    )
    key = share.new_key("ana", tier="Pro")
    page.on("dialog", lambda dialog: dialog.accept(key))
    question = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}
    content = Caller(share.url, key).post("/v1/inference", question).json["choices"][0]["message"]["content"]

    page.goto(f"{site[1]}/index.html")
    page.wait_for_function("content => document.querySelector('#answer').textContent === content", arg=content)

    assert page.faults == []


def test_a_page_creates_and_looks_up(play):
    """With an idempotency key, which CORS must let through; ids and hints of answers can be read."""
    out = play("""
        const answer = await client.inference.create(ask);
        const streamed = await (await client.inference.stream(ask)).result();
        const [result] = await client.inference.batch([ask]);
        const { name, status, requestId } = await client.inference.get('inf_nowhere').catch((error) => error);
        Object.assign(out, { contents: [answer.content, streamed.content, result.content], error: [name, status, typeof requestId] });
    """)
    assert len(set(out["contents"])) == 1
    assert out["contents"][0]
    assert out["error"] == ["NotFoundError", 404, "string"]


LEAVING = {
    "break": "for await (const chunk of await client.inference.stream(ask)) if (chunk.content) break",
    "close": "(await client.inference.stream(ask)).close()",
    "abort": """
        const controller = new AbortController();
        const stream = await client.inference.stream(ask, { signal: controller.signal });
        try { for await (const chunk of stream) controller.abort('enough'); } catch (reason) { out.reason = reason; }
    """,
}


@pytest.mark.parametrize("way", LEAVING)
def test_leaving_stops_the_provider(way, play, emu):
    """The page stays open, so it is the SDK that closes the connection."""
    emu.add(Rule("stall", pieces=2))

    out = play(LEAVING[way])
    emu.log.wait_for(lambda log: len(log) > 0 and log.entries[0].peer_closed is not None)

    assert emu.log.entries[0].done is None
    assert out == ({"reason": "enough"} if way == "abort" else {})


def test_a_server_that_does_not_know_the_site_is_a_connection_error(play, page, emu):
    """Browsers do not tell why; the key shows in no error and on no console."""
    with lab.Client(ledger=":memory:", providers=emu.providers()) as client, lab.serve(client) as closed:
        out = play(
            """
            const error = await client.inference.create(ask).catch((caught) => caught);
            console.log(client, error);
            Object.assign(out, { name: error.name, message: error.message, shown: JSON.stringify([client, error]) + error.stack });
            """,
            url=closed.url,
        )

    assert out["name"] == "ConnectionError"
    assert closed.url in out["message"]
    assert "pk_" not in json.dumps([out, page.said])
    assert len(emu.log) == 0
