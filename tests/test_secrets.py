"""A canary key is looked for in every place where keys have been found: nowhere is it there."""

from __future__ import annotations

import base64
import io
import logging
import pickle
import traceback
import types

import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.settings import Secret, secret

CANARY = "sk-canary-Zq7wX3vN9pLk2mTb5yHd"
MODELS = {"openai": "gpt-4.1-mini", "anthropic": "claude-haiku-4-5", "huggingface": "mixtral"}
pytestmark = pytest.mark.filterwarnings("ignore:No price is known")


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


def access(emu, key: str = CANARY) -> dict[str, dict[str, str]]:
    return {name: {**fields, "api_key": key} for name, fields in emu.providers().items()}


def forms() -> list[str]:
    """The key as it is, and as it would look encoded or cut."""
    return [CANARY, base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex(), CANARY[-12:]]


def leaks(text: str) -> list[str]:
    return [form for form in forms() if form in text]


def everything_of(error: BaseException) -> str:
    """Messages, reprs, attributes, and the locals of our frames, through all causes and contexts."""
    seen, todo, out = set(), [error], []
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        todo += [one.__cause__, one.__context__]
        out += [str(one), repr(one), repr(vars(one)), "".join(traceback.format_exception(one))]
        frame = one.__traceback__
        while frame is not None:
            if "/prsm_lab/" in frame.tb_frame.f_code.co_filename:
                out += [
                    repr(value) for value in frame.tb_frame.f_locals.values() if not isinstance(value, types.ModuleType)
                ]
            frame = frame.tb_next
    return "\n".join(out)


def test_the_search_itself_finds_a_key():
    """A search that finds nothing anywhere proves nothing."""
    with pytest.raises(ValueError, match="sk-canary") as caught:
        raise ValueError(f"Illegal header value {CANARY!r}")

    assert leaks(everything_of(caught.value))


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("fault", ["401", "echo_key", "500", "reset", "html", "hang", "cut_json"])
def test_no_failing_call_shows_the_key(emu, provider, fault):
    """Not in messages, causes, or the locals of our frames, even when the server echoes it."""
    emu.clear()
    emu.add(emulator.Rule(fault))
    with lab.Client(providers=access(emu), ledger=":memory:", max_retries=0, timeout=0.5) as client:
        with pytest.raises(errors.PRSMError) as caught:
            client.inference.create(MODELS[provider], "hi")

        assert leaks(everything_of(caught.value)) == []


@pytest.mark.parametrize(
    "broken",
    [f"{CANARY}\nx", f"{CANARY} x", f"{CANARY}é", "  ", f"{CANARY}\r\n{CANARY}"],
    ids=["newline", "blank", "letter", "empty", "crlf"],  # pytest keeps the id in the environment
)
def test_a_key_that_no_header_can_carry_is_refused_before_any_request(emu, broken, monkeypatch):
    """The HTTP library would print it whole; our message holds its length, and no frame the environment."""
    emu.clear()
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with pytest.raises(errors.AuthenticationError, match=r"characters were given.*nothing was sent") as caught:
        lab.Client(providers=access(emu, broken), ledger=":memory:")

    assert leaks(everything_of(caught.value)) == []
    assert len(emu.log) == 0


@pytest.mark.parametrize(
    "pasted", [f" {CANARY}\n", f"'{CANARY}'", f"Bearer {CANARY}", f'"{CANARY}"\r\n'], ids=list("abcd")
)
def test_what_surrounds_a_pasted_key_is_taken_off(emu, pasted):
    """Blanks, quotes, `Bearer`."""
    emu.clear()
    with lab.Client(providers=access(emu, pasted), ledger=":memory:") as client:
        client.inference.create("gpt-4.1-mini", "hi")

    assert emu.log.entries[-1].headers["authorization"] == f"Bearer {CANARY}"


def test_ipythons_verbose_traceback_shows_no_key(emu):
    """It prints every frame's locals."""
    ultratb = pytest.importorskip("IPython.core.ultratb")
    emu.clear()
    emu.add(emulator.Rule("echo_key"))
    client = lab.Client(providers=access(emu), ledger=":memory:", max_retries=0)
    try:
        client.inference.create("gpt-4.1-mini", "hi")
    except errors.PRSMError as error:
        client.close()  # CPython 3.11 fails if two threads compile at once, and IPython compiles what it shows
        shown = io.StringIO()
        kind, trace = type(error), error.__traceback__.tb_next
        print(ultratb.VerboseTB(include_vars=True).text(kind, error, trace), file=shown)

    assert "AuthenticationError" in shown.getvalue()
    assert leaks(shown.getvalue()) == []


def test_logs_at_debug_of_all_libraries_show_no_key(emu, caplog):
    """openai, anthropic, httpx2, aiohttp, asyncio and ours."""
    emu.clear()
    caplog.set_level(logging.DEBUG)
    with lab.Client(providers=access(emu), ledger=":memory:") as client:
        for model in MODELS.values():
            client.inference.create(model, "hi")
            list(client.inference.stream(model, "hi"))

    assert leaks(caplog.text) == []


def test_ledger_frames_and_reprs_hold_no_key(emu, tmp_path):
    """Every byte of the file and its log, every cell, every repr."""
    emu.clear()
    path = tmp_path / "ledger.db"
    emu.add(emulator.Rule("echo_key", contains="bad"))
    with lab.Client(providers=access(emu), ledger=path) as client:
        found = lab.batch(["hi", "bad"], "{text}", model="gpt-4.1-mini", client=client, progress=False)
        shown = repr(client) + repr(vars(client)) + found.to_csv() + repr(found.attrs) + repr(vars(client.engine))
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert leaks(shown) == []
    assert [form for form in forms() if form.encode() in stored] == []


def test_a_secret_shows_itself_to_nobody_and_is_not_pickled():
    """repr, str, format, equality, pickle."""
    one = secret(CANARY, name="api_key")

    assert leaks(f"{one} {one!r} {one!s} {one:>20} {[one]} { ({'k': one}) }") == []
    assert one == Secret(CANARY)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(one)


def test_a_custom_server_never_gets_the_environments_key(emu, monkeypatch):
    """The SDK would send OPENAI_API_KEY to any base_url that comes without a key."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-canary")
    emu.clear()
    with lab.Client(providers={"mine": {"base_url": f"{emu.url}/v1"}}, ledger=":memory:") as client:
        client.inference.create("mine/model", "hi")

    assert leaks(str(emu.log.entries[-1].headers)) == []
    assert "org-canary" not in str(emu.log.entries[-1].headers)
