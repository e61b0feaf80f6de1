"""The page of the share server, in a real browser against the real server; models are played by a table."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import prsm_lab as lab
from prsm_lab.providers.mock import Mock

CHROMIUM = "/usr/bin/chromium"
PAGE = Path(lab.__file__).parent / "server" / "page"
QUICK, OTHER, SLOW = "gpt-4.1-mini", "gpt-4.1", "gpt-4o-mini"
HOSTILE, BROKEN, BUSY = "gpt-5.4-mini", "gpt-5.4-nano", "gpt-4o"
ATTACK = '<img src=x onerror="window.pwned = 1"><script>window.pwned = 2</script> \u202egnp.exe ' + "x" * 400
ANSWERS: dict[str, dict[str, Any]] = {
    QUICK: {"content": "word " * 50, "latency_ms": 50},
    SLOW: {"content": "tide " * 2000, "latency_ms": 50},
    HOSTILE: {"content": ATTACK},
    BROKEN: {"content": "half a thought that never ends", "break_after": 3},
    BUSY: {"error": "rate_limit", "retry_after": 7},
    "*": {"content": "word " * 50, "latency_ms": 50},
}

pytestmark = pytest.mark.timeout(120)


class Paced(Mock):
    """A mock whose slow model takes its time between two words, so that a stream can be seen and stopped."""

    async def send(self, request: Any, target: Any, *, live: bool) -> AsyncGenerator[Any, None]:
        async for piece in super().send(request, target, live=live):
            yield piece
            if target.name == SLOW:
                await asyncio.sleep(0.02)


# --- What can be read off the files -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_a_file_of_the_page_is_short_and_reaches_nowhere(path):
    """No build step and no other host; what a strict CSP would block is not there in the first place."""
    text = path.read_text()

    assert len(text.splitlines()) <= 350
    hosts = set(re.findall(r"(?:https?:)?//([\w.-]+\.\w+)", text))
    assert hosts <= {"www.w3.org"}  # the name of SVG, not an address
    assert not re.search(r"\b(eval|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", text)
    assert not re.search(r"\b(localStorage|sessionStorage|indexedDB|document\.cookie)\b", text)


def test_the_page_has_nothing_inline_and_only_relative_addresses():
    """`script-src 'self'` without exceptions, behind any prefix."""
    text = (PAGE / "index.html").read_text()

    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|<form|<iframe", text)
    addresses = re.findall(r"(?:href|src)=\"([^\"]*)\"", text)
    assert [a for a in addresses if not a.startswith(("page/", "#", "data:image/svg+xml,"))] == []
    assert re.search(r'id="key-field" type="password" autocomplete="off"', text)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_in_both_themes(theme):
    """WCAG AA: 4.5:1 for text, 3:1 for the borders of what can be operated."""
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", (PAGE / "page.css").read_text().split(":root {")[1 + theme]))

    def contrast(one: str, other: str) -> float:
        low, high = sorted((_luminance(colours[one]), _luminance(colours[other])))
        return (high + 0.05) / (low + 0.05)

    grounds = ("ground", "surface", "sunken")
    pairs = [(text, ground) for text in ("text", "muted") for ground in (*grounds, "accent-soft")]
    pairs += [
        ("text", "bad-soft"),
        ("muted", "bad-soft"),
        ("bad", "bad-soft"),
        ("warn", "warn-soft"),
        ("on-accent", "accent"),
    ]
    pairs += [(text, ground) for text in ("accent", "good", "warn", "bad") for ground in ("surface", "sunken")]
    assert {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5} == {}
    assert {ground: contrast("edge", ground) for ground in grounds if contrast("edge", ground) < 3} == {}


# --- In the browser ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The real server on a free port, with its own ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRSM_LEDGER", str(tmp_path_factory.mktemp("share") / "ledger.db"))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        with lab.Client(providers={"openai": Paced("openai", ANSWERS)}, max_retries=0) as client:
            share = lab.serve(client)
            try:
                yield share
            finally:
                share.stop()


@pytest.fixture(scope="module")
def browser(share: Any) -> Iterator[Any]:
    """One Chromium for all tests; it starts after the server and ends before it."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def key(share: Any, browser: Any) -> str:
    return str(share.new_key("ana", tier="Pro"))


@pytest.fixture
def page(browser: Any, share: Any) -> Iterator[Any]:
    """The page in a fresh profile, without a key; `page.seen` has what it requested and what went wrong in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.seen = {"requests": [], "faults": []}
    page.on("request", lambda request: page.seen["requests"].append(request.url))
    page.on(
        "console", lambda line: page.seen["faults"].append(line.text) if line.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda fault: page.seen["faults"].append(str(fault)))
    page.goto(share.url + "/")
    yield page
    page.unroute_all(behavior="ignoreErrors")  # an answer may be on its way through a route at a test's end
    context.close()


@pytest.fixture
def ready(page: Any, key: str) -> Any:
    """The page with the key accepted."""
    enter(page, key)
    page.wait_for_selector("#key-known:not([hidden])")
    return page


def enter(page: Any, key: str) -> None:
    page.fill("#key-field", key)
    page.click("#key-use")


def choose(page: Any, *models: str) -> None:
    for model in models:
        page.fill("#model-search", model)
        page.locator("#model-list .model", has=page.get_by_text(model, exact=True)).first.click()
    page.fill("#model-search", "")


def ask(page: Any, *models: str, prompt: str = "Say something.") -> None:
    choose(page, *models)
    page.fill("#prompt", prompt)
    page.click("#run")


def column(page: Any, model: str) -> Any:
    return page.locator(".column", has=page.get_by_role("heading", name=model, exact=True))


def in_state(page: Any, model: str, state: str) -> Any:
    """The column, once it is in that state."""
    found = column(page, model)
    found.and_(page.locator(f"[data-state={state}]")).wait_for()
    return found


def figure(column: Any, name: str) -> str:
    return str(column.locator(f"[data-stat={name}]").inner_text())


def test_a_visit_asks_no_other_host_and_logs_nothing(ready, share):
    """From the first load over a run to every tab."""
    ask(ready, QUICK)
    in_state(ready, QUICK, "done")
    for tab in ("history", "usage"):
        ready.click(f"#tab-{tab}")
        ready.wait_for_selector(f"#{tab}-body table")

    assert [url for url in ready.seen["requests"] if not url.startswith((share.url + "/", "data:"))] == []
    assert ready.seen["faults"] == []


def test_the_key_says_whose_it_is(ready, key):
    """Name, tier and limits; never the key, only its hint."""
    facts = ready.inner_text("#key-facts")

    assert "ana" in facts
    assert "Pro" in facts
    assert key not in facts


def test_two_models_answer_side_by_side(ready):
    """Each with its own text, exact tokens, cost and times."""
    ask(ready, QUICK, OTHER)
    one, two = in_state(ready, QUICK, "done"), in_state(ready, OTHER, "done")

    left, right = one.bounding_box(), two.bounding_box()
    assert abs(left["y"] - right["y"]) < 1
    assert left["x"] + left["width"] <= right["x"]
    for each in (one, two):
        assert each.locator(".output").inner_text().split() == ["word"] * 50
        assert re.fullmatch(r"\d+ → \d+", figure(each, "tokens"))
        assert re.fullmatch(r"\$\d+\.\d*[1-9]\d*", figure(each, "cost"))
        assert re.fullmatch(r"[\d.,]+", figure(each, "speed"))
        assert re.search(r"\d m?s$", figure(each, "ttft"))
        assert re.search(r"\d m?s$", figure(each, "latency"))


def test_a_stopped_answer_is_kept_and_marked(ready):
    """Estimated while it streams; the column beside it is not touched by the stop."""
    ask(ready, SLOW, QUICK)
    slow = in_state(ready, SLOW, "streaming")
    slow.get_by_text("tide tide tide").wait_for()
    slow.locator("[data-stat=speed]", has_text="≈").wait_for()
    assert "≈" in figure(slow, "tokens")

    slow.get_by_role("button", name="Stop").click()
    in_state(ready, SLOW, "stopped")
    kept = slow.locator(".output").inner_text()
    in_state(ready, QUICK, "done")
    ready.wait_for_timeout(200)

    assert kept.startswith("tide tide tide")
    assert len(kept) < len(ANSWERS[SLOW]["content"])
    assert slow.locator(".output").inner_text() == kept
    assert "not the whole answer" in slow.locator(".mark").inner_text()
    assert figure(slow, "cost") == "—"  # not known, and so not 0
    assert ready.get_attribute("#run", "aria-disabled") == "false"


def test_an_answer_is_never_markup(ready):
    """Tags are shown as they are, and what would turn the reading order around is written out."""
    ask(ready, HOSTILE)
    hostile = in_state(ready, HOSTILE, "done")
    output = hostile.locator(".output")

    assert output.inner_text().startswith('<img src=x onerror="window.pwned = 1"><script>')
    assert "⟨U+202E⟩gnp.exe" in output.inner_text()
    assert output.evaluate("e => e.childElementCount") == 0

    ready.click("#tab-history")
    ready.locator("#history-body .open", has_text=HOSTILE).first.click()
    past = ready.locator(".detail:not([hidden]) .output")
    assert "<img src=x" in past.inner_text()
    assert past.evaluate("e => e.childElementCount") == 0
    assert ready.evaluate("() => window.pwned ?? null") is None


def test_an_answer_that_breaks_off_is_kept_with_its_fault(ready):
    """A fault in the middle of a stream is not an end."""
    ask(ready, BROKEN)
    broken = in_state(ready, BROKEN, "failed")

    assert broken.locator(".output").inner_text().strip() == "half a thought"
    assert "not the whole answer" in broken.locator(".mark").inner_text()
    assert len(broken.locator(".error").inner_text()) > 20


def test_a_refusal_says_when_to_come_back(ready):
    """429 carries seconds; they are part of the remedy, in the column it concerns."""
    ask(ready, BUSY, QUICK)
    busy = in_state(ready, BUSY, "failed")
    in_state(ready, QUICK, "done")

    assert re.search(r"\b[678] s\b", busy.locator(".error").inner_text())
    assert not busy.locator(".output").is_visible()


def test_what_a_key_may_not_ask_at_once_waits(page, share, browser):
    """The smallest tier may ask two at once: four columns are no reason for it to be refused."""
    enter(page, str(share.new_key("free", tier="Free")))
    page.wait_for_selector("#key-known:not([hidden])")
    ask(page, SLOW, QUICK, OTHER, HOSTILE)
    for model in (QUICK, OTHER, HOSTILE):
        in_state(page, model, "done")
    page.keyboard.press("Escape")
    in_state(page, SLOW, "stopped")


def test_a_wrong_key_is_answered_with_what_to_do(page):
    """At the key's field, which has the focus again and is empty."""
    enter(page, "pk_" + "0" * 40)
    page.wait_for_selector("#key-error .remedy")

    assert "Check that the whole key was pasted" in page.inner_text("#key-error .remedy")
    assert page.evaluate("() => document.activeElement.id") == "key-field"
    assert page.input_value("#key-field") == ""
    assert page.is_hidden("#key-known")


def test_the_key_stays_in_memory(ready, key):
    """Not in storage, address, history, cookies, attributes or text of the page; Forget takes all it showed along."""
    ask(ready, QUICK)
    in_state(ready, QUICK, "done")
    for tab in ("history", "usage", "run"):
        ready.click(f"#tab-{tab}")
    places = ready.evaluate(
        """async () => JSON.stringify([
            {...localStorage}, {...sessionStorage}, location.href, history.state, document.cookie, window.name,
            document.documentElement.outerHTML, [...document.querySelectorAll('input, textarea')].map(e => e.value),
            (await indexedDB.databases()).length, await caches.keys(), Object.keys(window).map(k => { try { return String(window[k]) } catch { return '' } }),
        ])"""
    )

    assert json.loads(places)[0:2] == [{}, {}]
    assert key not in places
    assert [url for url in ready.seen["requests"] if key in url] == []

    ready.click("#key-forget")
    assert ready.is_visible("#key-entry")
    assert ready.locator(".column").count() == 0
    assert ready.locator("#model-list .model").count() == 0
    assert "ana" not in ready.inner_text("main")


def test_the_keyboard_alone_does_everything(page, key):
    """Key, models, prompt, run, stop and tabs; no pointer."""
    press, focus = page.keyboard.press, lambda: page.evaluate("() => document.activeElement.id")

    def tab_to(name: str) -> None:
        for _ in range(12):
            if focus() == name:
                return
            press("Tab")
        raise AssertionError(f"Tab does not reach {name}")

    press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    tab_to("key-field")
    page.keyboard.insert_text(key)
    press("Enter")
    page.wait_for_selector("#key-known:not([hidden])")
    assert focus() == "model-search"
    page.keyboard.type("4o-mini")
    press("ArrowDown")
    press("ArrowUp")
    press("Enter")
    assert page.locator("#model-chosen button").count() == 1
    tab_to("prompt")
    page.keyboard.type("A long story, please.")
    press("Control+Enter")
    in_state(page, SLOW, "streaming").get_by_text("tide tide").wait_for()
    press("Escape")
    in_state(page, SLOW, "stopped")
    assert focus() == "prompt"

    page.focus("#tab-run")
    press("ArrowRight")
    assert page.is_visible("#panel-history")
    page.locator("#history-body .open").first.wait_for()
    page.locator("#history-body .open").first.focus()
    press("Enter")
    assert page.locator(".detail:not([hidden])").count() == 1
    page.focus("#tab-history")
    press("End")
    assert (focus(), page.is_visible("#panel-usage")) == ("tab-usage", True)


def test_nothing_sticks_out_at_the_side(ready):
    """Neither with an answer of one long word nor in any tab, from a telephone's width to a desk's."""
    ask(ready, HOSTILE, QUICK, BUSY)
    for model, state in ((HOSTILE, "done"), (QUICK, "done"), (BUSY, "failed")):
        in_state(ready, model, state)
    wide = {}
    for width in (320, 360, 700, 1280):
        ready.set_viewport_size({"width": width, "height": 800})
        for tab in ("run", "history", "usage"):
            ready.click(f"#tab-{tab}")
            if tab != "run":
                ready.wait_for_selector(f"#{tab}-body table")
            wide[width, tab] = ready.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        # Neither cut off nor behind a scroll bar of its own: the long word is broken.
        ready.click("#tab-run")
        wide[width, "answer"] = column(ready, HOSTILE).locator(".output").evaluate("e => e.scrollWidth - e.clientWidth")

    assert {place: by for place, by in wide.items() if by > 0} == {}


def test_history_and_usage_have_figures(ready):
    """Of this key, with the answer itself one click away; the chart's bars are in a table, too."""
    ask(ready, QUICK)
    in_state(ready, QUICK, "done")

    ready.click("#tab-history")
    row = ready.locator("#history-body .past").first
    row.wait_for()
    assert re.search(rf"completed\s+{re.escape(QUICK)}\s.*\$0\.\d+.*\d m?s", row.inner_text(), re.DOTALL)
    row.click()
    assert "word word" in ready.inner_text(".detail:not([hidden]) .output")

    ready.click("#tab-usage")
    ready.wait_for_selector("#usage-chart rect.bar")
    totals = ready.inner_text("#usage-totals")
    assert re.search(r"Requests\s+[1-9]", totals)
    assert re.search(r"Cost\s+\$0\.\d*[1-9]", totals)
    assert ready.get_by_role("img", name="Cost per day").count() == 1
    assert ready.locator("#usage-body tbody tr", has_text=QUICK).first.is_visible()


def test_four_models_are_the_most(ready):
    """The fifth is refused in words; one that is removed makes room."""
    choose(ready, QUICK, SLOW, HOSTILE, BROKEN, BUSY)
    assert ready.locator("#model-chosen li").count() == 4
    assert "remove one" in ready.inner_text("#model-count")

    ready.click(f"#model-chosen button[aria-label='Remove {QUICK}']")
    choose(ready, BUSY)
    assert ready.get_attribute("#model-list [aria-selected=true] >> nth=0", "role") == "option"
    assert ready.locator("#model-chosen li").last.inner_text().startswith(BUSY)


@pytest.mark.parametrize(
    ("spoil", "says", "focus"),
    [
        (lambda page: page.fill("#prompt", "  "), "Write a prompt", "prompt"),
        (lambda page: page.click("#model-chosen button"), "at least one model", "model-search"),
        (lambda page: page.fill("#temperature", "9"), "Temperature", "temperature"),
    ],
    ids=["no prompt", "no model", "too hot"],
)
def test_what_is_missing_is_said_and_focused(ready, spoil: Callable[[Any], None], says: str, focus: str):
    choose(ready, QUICK)
    ready.fill("#prompt", "Hello")
    spoil(ready)
    ready.click("#run")

    assert says in ready.inner_text("#run-error")
    assert ready.evaluate("() => document.activeElement.id") == focus
    assert not [url for url in ready.seen["requests"] if url.endswith("/stream")]


def test_it_works_behind_a_prefix(page, share, key):
    """A proxy that puts a path before it: every address is relative."""
    behind = share.url + "/user/ana/proxy/"
    page.route(
        behind + "**",
        lambda route: route.fulfill(response=route.fetch(url=route.request.url.replace(behind, share.url + "/"))),
    )
    page.seen["requests"].clear()
    page.goto(behind)
    enter(page, key)
    page.wait_for_selector("#key-known:not([hidden])")
    ask(page, QUICK)
    in_state(page, QUICK, "done")

    assert [url for url in page.seen["requests"] if not url.startswith((behind, "data:"))] == []


# --- The parts by themselves, in the browser's own JavaScript ---------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_events_are_read_however_the_bytes_are_cut(page, size, end):
    """A network cuts within lines, within line ends and within letters."""
    text = end.join(
        [": heartbeat", "data: först", "", "event: error", "data:zwei", "data:  drei 🎈", "", "data: [DONE]", "", ""]
    )
    read = page.evaluate(
        """async ([bytes, size]) => {
            const { events } = await import(new URL('page/api.js', document.baseURI));
            const body = new ReadableStream({ start(c) {
                for (let i = 0; i < bytes.length; i += size) c.enqueue(new Uint8Array(bytes.slice(i, i + size)));
                c.close();
            } });
            const got = [];
            for await (const { event, data } of events(body)) got.push([event, data]);
            return got;
        }""",
        [list(text.encode()), size],
    )

    assert read == [["message", "först"], ["error", "zwei\n drei 🎈"], ["message", "[DONE]"]]


def test_a_stream_without_its_end_is_a_fault(page, share, key):
    """Neither [DONE] nor an error event: the connection was cut, and the text is not the answer."""
    delta = 'data: {"id":"inf_1","object":"inference.delta","choices":[{"delta":{"content":"half"}}]}\n\n'
    page.route("**/v1/inference/stream", lambda route: route.fulfill(body=delta, content_type="text/event-stream"))
    enter(page, key)
    page.wait_for_selector("#key-known:not([hidden])")
    ask(page, QUICK)
    cut = in_state(page, QUICK, "failed")

    assert cut.locator(".output").inner_text() == "half"
    assert "ended before" in cut.locator(".error").inner_text()


@pytest.mark.parametrize(
    "told", [{"model": "simulated/gpt"}, {"model": QUICK, "served_model": "simulated/gpt"}, {"provider": "simulated"}]
)
def test_a_restart_voids_the_text_and_a_simulation_is_labelled(page, key, told):
    """After a fallback in mid-stream only the second answer counts; the emulator's name is never left out."""
    said = [
        {"object": "inference.delta", "choices": [{"delta": {"content": "wrong"}}]},
        {"object": "inference.delta", "choices": [{"delta": {"restart": "target"}}]},
        {"object": "inference.delta", "choices": [{"delta": {"content": "right"}}]},
        {"object": "inference.completed", "provider": "openai", **told, "choices": [{"delta": {}, "finish_reason": "length"}],
         "usage": {"prompt_tokens": None, "completion_tokens": 7}, "cost": {"amount": None}, "latency_ms": None, "ttft_ms": None},
    ]  # fmt: skip
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in said) + "data: [DONE]\n\n"
    page.route("**/v1/inference/stream", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    enter(page, key)
    page.wait_for_selector("#key-known:not([hidden])")
    ask(page, QUICK)
    done = in_state(page, QUICK, "done")

    assert done.locator(".output").inner_text() == "right"
    assert done.locator(".tags .tag").all_inner_texts() == ["simulated"]
    assert "Cut off at max tokens" in done.locator(".mark").inner_text()
    assert (figure(done, "tokens"), figure(done, "cost")) == ("— → 7", "—")


def test_numbers_are_written_so_that_they_can_be_trusted(page):
    """What is not known is never 0, and what is small is never rounded to it."""
    shown = page.evaluate(
        """async () => {
            const { money, moneyColumn, count, duration, visible } = await import(new URL('page/text.js', document.baseURI));
            return [[null, 0, 12.5, 1234.5, 0.27, 0.0023, 4.1e-7, 1e-13, NaN].map(money), [0.5, 0.0123, 0, null, 2e-9].map(moneyColumn([0.5, 0.0123])),
                [count(null), count(0), count(12345.6)], [null, 0.5, 812, 1499, 61000].map(duration), visible('a\\u202eb\\u{e0041}\\u0007\\t\\n')];
        }"""
    )

    assert shown == [
        ["—", "$0", "$12.50", "$1,234.50", "$0.27", "$0.0023", "$0.00000041", "<$0.000000000001", "—"],
        ["$0.5000", "$0.0123", "$0.0000", "—", "$0.000000002"],
        ["—", "0", "12,346"],
        ["—", "0.5 ms", "812 ms", "1.50 s", "1 min 1 s"],
        "a⟨U+202E⟩b⟨U+E0041⟩⟨U+0007⟩\t\n",
    ]


def test_the_screen_changes_once_a_frame_not_once_a_token(ready):
    """Two thousand pieces in a burst are a few changes of the page."""
    ready.route(
        "**/v1/inference/stream",
        lambda route: route.fulfill(
            content_type="text/event-stream",
            body='data: {"choices":[{"delta":{"content":"word "}}]}\n\n' * 2000 + "data: [DONE]\n\n",
        ),
    )
    choose(ready, QUICK)
    ready.fill("#prompt", "Quick!")
    ready.evaluate(
        """() => { window.changes = 0; new MutationObserver(list => {
            changes += list.filter(m => m.type === 'characterData').length;
        }).observe(document.querySelector('#columns'), { characterData: true, subtree: true }); }"""
    )
    ready.click("#run")
    output = in_state(ready, QUICK, "done").locator(".output")

    assert len(output.inner_text().split()) == 2000
    assert ready.evaluate("() => window.changes") < 100
