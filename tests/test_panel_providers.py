"""The state of the providers panel: what it says of keys, what it changes, and that it never holds one."""

from __future__ import annotations

import asyncio
import json
import threading
from importlib.util import find_spec

import pytest

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors, settings
from prsm_lab.engine import plan, portal
from prsm_lab.panels import board
from prsm_lab.settings import Secret
from prsm_lab.types import Routing

CANARY = "sk-canary-Pv6mK1jH8gFd"


@pytest.fixture(scope="module")
def emu():
    with emulator.start(keys=["emulated", CANARY]) as running:
        yield running


@pytest.fixture
def client(emu, monkeypatch):
    """OpenAI from the environment, Anthropic without a key, Hugging Face from an argument, a function, a server."""
    emu.clear()
    monkeypatch.setenv("OPENAI_API_KEY", "emulated")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{emu.url}/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", emu.url)
    given = {
        "huggingface": emu.providers()["huggingface"],
        "mine": {"base_url": f"{emu.url}/v1"},
        "echo": lambda prompt: prompt,
    }
    with lab.Client(ledger=":memory:", providers=given, max_retries=0) as made:
        yield made


@pytest.fixture
def panel(client):
    return lab.panels.providers(client).wait()


def rows(panel) -> dict:
    return {row["name"]: row for row in panel.snapshot()["rows"]}


def everything_of(panel) -> str:
    """All that a notebook could keep of a panel."""
    shown = board.Board(panel)
    return " ".join((
        repr(panel), panel.html(), panel.code(), json.dumps(panel.snapshot()), json.dumps(panel.news()), repr(vars(panel)),
        str(shown._widget.get_state()), str(shown.mimebundle()), str(shown.still()), repr(panel._client), panel.notice,
        repr(vars(panel._client.reach)),
    ))  # fmt: skip


def test_a_row_says_whether_there_is_a_key_and_where_it_comes_from(panel, emu):
    """By the name of the variable; this machine comes last."""
    found = rows(panel)

    assert list(found) == ["openai", "anthropic", "huggingface", "mine", "echo", "local"]
    assert {name: (row["set"], row["source"], row["needed"]) for name, row in found.items()} == {
        "openai": (True, "environment variable OPENAI_API_KEY", True),
        "anthropic": (False, None, True),
        "huggingface": (True, "this kernel", True),
        "mine": (False, None, False),
        "echo": (False, None, False),
        "local": (False, None, False),
    }
    assert found["anthropic"]["variable"] == "ANTHROPIC_API_KEY"
    assert [name for name, row in found.items() if row["simulated"]] == ["huggingface"]
    assert repr(panel) == "<ProvidersPanel 6 providers, 2 keys set>"


def test_a_key_is_set_used_and_shown_nowhere(panel, client, emu):
    """It comes as the page sends it: beside the message."""
    view = board.Board(panel)
    view.obey({"do": "reach", "with": {"provider": "anthropic"}}, [memoryview(CANARY.encode())])
    panel.wait()
    answer = client.inference.create("claude-haiku-4-5", "hi")
    view.obey({"do": "test", "with": {"provider": "anthropic"}})
    panel.wait()

    assert answer.provider == "anthropic"
    assert all(
        CANARY in entry.headers.values() or f"Bearer {CANARY}" in entry.headers.values() for entry in emu.log.entries
    )
    assert len(emu.log) == 2
    assert (rows(panel)["anthropic"]["set"], rows(panel)["anthropic"]["source"]) == (True, "this kernel")
    assert rows(panel)["anthropic"]["test"]["ok"]
    assert [part for part in (CANARY, CANARY[-8:], CANARY[:12]) if part in everything_of(panel)] == []


def test_a_key_that_cannot_be_one_is_refused_without_a_word_of_it(panel):
    """The fault stands in the provider's row."""
    panel.reach("anthropic", key=f"{CANARY} and more")
    panel.wait()

    assert "contains blanks" in rows(panel)["anthropic"]["fault"]
    assert not rows(panel)["anthropic"]["set"]
    assert CANARY not in everything_of(panel)


@pytest.mark.parametrize("extra", [True, False])
def test_a_key_without_a_keyring_is_set_and_the_row_says_what_failed(panel, monkeypatch, extra):
    """The keyring here keeps nothing, or the extra is not there."""
    if not extra:
        monkeypatch.setattr(settings, "find_spec", lambda name: None)
    panel.reach("anthropic", key=CANARY, keep=True)
    panel.wait()

    assert "for this kernel only" in rows(panel)["anthropic"]["fault"]
    assert rows(panel)["anthropic"]["source"] == "this kernel"
    assert CANARY not in everything_of(panel)


def test_another_host_leaves_the_key_behind(panel):
    """As the form says before."""
    panel.reach("huggingface", base_url="https://llm.example.org/v1")
    panel.wait()

    assert (rows(panel)["huggingface"]["set"], rows(panel)["huggingface"]["url"]) == (
        False,
        "https://llm.example.org/v1",
    )
    assert '"huggingface": {"base_url": "https://llm.example.org/v1"}' in panel.code()


def test_a_key_over_plain_http_is_warned_of(panel):
    """Not on this machine, and not without a key."""
    assert rows(panel)["openai"]["warning"] is None
    panel.reach("openai", base_url="http://llm.example.org/v1")
    panel.wait()
    assert rows(panel)["openai"]["warning"] is None
    panel.reach("openai", key="k")
    panel.wait()
    assert "unencrypted" in rows(panel)["openai"]["warning"]


def test_a_test_shows_models_and_time_or_the_fault_with_its_remedy(panel, emu):
    """In the provider's row; a change makes it void."""
    for name in ("openai", "anthropic", "mine"):
        panel.test(name)
    panel.wait()
    tests = {name: row["test"] for name, row in rows(panel).items()}

    assert (tests["openai"]["ok"], tests["openai"]["n"]) == (True, 15)
    assert tests["openai"]["ms"] > 0
    assert (tests["anthropic"]["code"], "ANTHROPIC_API_KEY" in tests["anthropic"]["message"]) == (
        "authentication",
        True,
    )
    assert (tests["mine"]["code"], "Check the key" in tests["mine"]["message"]) == ("authentication", True)
    assert "15 models in" in panel.html()
    panel.reach("mine", key=CANARY)
    panel.wait()
    assert rows(panel)["mine"]["test"] is None


def test_this_machine_lists_its_models_or_names_the_extra(panel):
    """It needs no server."""
    panel.test("local")
    panel.wait()
    said = rows(panel)["local"]["test"]

    if find_spec("xllamacpp"):
        assert said["models"] == ["smollm2-135m"]
    else:
        assert 'pip install "prsm-lab[local]"' in said["message"]


def test_a_change_does_not_wait_for_a_test(emu):
    """A test of a server that does not answer is given up."""
    with lab.Client(ledger=":memory:", providers={"slow": {"base_url": f"{emu.url}/f/hang/v1"}}) as client:
        panel = lab.panels.providers(client)
        begun, given_up = threading.Event(), []

        async def never():
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                given_up.append(True)

        client.engine._windows["slow"].models = never
        panel.test("slow")
        assert begun.wait(20)  # the SDK is loaded
        with pytest.raises(errors.InvalidRequestError, match="already"):
            panel.test("slow")
        assert (panel.busy, rows(panel)["slow"]["working"]) == (True, "test")
        panel.reach("slow", base_url=f"{emu.url}/v1")
        panel.wait(5)

        assert (panel.busy, rows(panel)["slow"]["test"], rows(panel)["slow"]["changes"]) == (False, None, 1)
        assert given_up


def test_a_server_is_added_and_taken_away(panel, client, emu):
    """Its preferences go with it; a name that is none stays in the form."""
    panel.add("Mine 2", emu.url)
    panel.wait()
    assert "small letters" in panel.snapshot()["new"]["fault"]
    panel.add("mine2", f"{emu.url}/v1", key=CANARY)
    panel.wait()
    assert (rows(panel)["mine2"]["added"], panel.snapshot()["new"]["fault"]) == (True, None)
    panel.prefer("mine2", ["mine2", "anthropic"])
    assert "MINE2_API_KEY" in panel.code()

    panel.remove("mine2")
    panel.wait()
    assert "mine2" not in rows(panel)
    assert panel.preferences() == {"fallback": ["anthropic"]}
    panel.remove("openai")
    panel.wait()
    assert "not added here" in rows(panel)["openai"]["fault"]


def test_forgetting_goes_back_to_the_environment(panel):
    """Hugging Face has no key there, OpenAI has."""
    panel.reach("openai", key=CANARY)
    panel.wait()
    assert rows(panel)["openai"]["source"] == "this kernel"
    for name in ("openai", "huggingface"):
        panel.forget(name)
    panel.wait()

    assert rows(panel)["openai"]["source"] == "environment variable OPENAI_API_KEY"
    assert not rows(panel)["huggingface"]["set"]


def test_preferences_are_those_of_configure_providers(panel, client):
    """What the panel sets the client has, what the client has the panel shows, and the code line does the same."""
    panel.obey("prefer", {
        "primary": "openai", "fallback": ["anthropic", "huggingface", "anthropic"], "cost_optimization": True,
        "latency_optimization": False, "quality_threshold": 0.85,
    })  # fmt: skip
    set_here, line = client.preferences, panel.code().splitlines()[-1]
    client.preferences = Routing()
    eval(line, {"client": client})

    assert client.preferences == set_here
    assert [step.provider for step in set_here.fallback] == ["anthropic", "huggingface"]
    client.inference.configure_providers({"latency_optimization": True})
    assert panel.snapshot()["preferences"] == {
        "primary": None, "fallback": [], "cost_optimization": False, "latency_optimization": True,
        "quality_threshold": None,
    }  # fmt: skip
    assert panel.code().splitlines()[-1] == 'client.inference.configure_providers({"latency_optimization": True})'


@pytest.mark.parametrize(
    "given",
    [{"primary": "acme"}, {"fallback": ["openai", "acme"]}, {"quality_threshold": 2}, {"fallback": "openai"}, {"x": 1}],
)
def test_preferences_that_cannot_be_are_a_notice_and_change_nothing(panel, client, given):
    """From the page, which should not send them."""
    panel.prefer("openai")
    panel.obey("prefer", given)

    assert panel.snapshot()["notice"]
    assert panel.preferences() == {"primary": "openai"}


def test_the_models_that_qualify_are_those_that_the_engine_would_ask(panel, client):
    """Living, of known quality and price; the cheapest first."""
    request = lab.ask.conversation(
        client.question("gpt-4.1", cost_optimization={"enabled": True, "quality_threshold": 0.8}), "hi"
    )
    targets = {target.name for target in plan.candidates(request, client.engine.origins)}
    shown = panel.snapshot()["models"]

    assert {model["name"] for model in shown if model["quality"] >= 0.8} == targets
    assert [model["output"] for model in shown] == sorted(model["output"] for model in shown)
    assert not any(catalog.is_retired(catalog.find(model["name"])) for model in shown)


def test_a_remote_client_says_that_the_keys_are_at_the_server(client):
    """What it prefers it may say."""
    with lab.serve(client) as share, lab.Client(share.new_key("ana"), share.url) as ana:
        panel = lab.panels.providers(ana).wait()
        panel.prefer("openai", ["anthropic"])
        panel.obey("reach", {"provider": "openai", "key": Secret(CANARY)})

        assert {row["kind"] for row in rows(panel).values()} == {"away"}
        assert share.url in panel.snapshot()["remark"]
        assert panel.snapshot()["notice"] == panel.snapshot()["remark"]
        assert ana.preferences.primary == "openai"
        assert "at the server" in panel.html()
        assert panel.snapshot()["models"]


def test_a_share_server_that_is_gone_is_a_notice(client):
    """The panel opens nevertheless."""
    share = lab.serve(client)
    with lab.Client(share.new_key("ana"), share.url, max_retries=0) as ana:
        share.stop()
        panel = lab.panels.providers(ana).wait()

    assert share.url in panel.snapshot()["notice"]
    assert "openai" in rows(panel)


def test_a_mocked_client_needs_no_key():
    """And says so."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        panel = lab.panels.providers(client)
        panel.prefer("anthropic")
        panel.obey("test", {"provider": "openai"})

    assert "mock mode" in panel.snapshot()["notice"]
    assert not any(row["set"] or row["needed"] for row in rows(panel).values())


def test_an_async_clients_providers_are_shown_and_set(emu):
    """On whatever loop it is used."""
    client = lab.AsyncClient(ledger=":memory:", providers=emu.providers())
    panel = lab.panels.providers(client)
    panel.reach("openai", key=CANARY)
    panel.prefer("openai")
    panel.wait()
    portal.call(client.engine.aclose())

    assert client.reach.accesses["openai"].key == Secret(CANARY)
    assert client.preferences.primary == "openai"


def test_the_static_form_is_a_table_without_a_key(panel):
    """Of any host's markdown; what a server calls its models is text."""
    panel._tests["mine"] = {"ok": False, "code": "x", "message": "<img src=x onerror=alert(1)>"}
    shown = panel.html()

    assert "<td" in shown
    assert "OPENAI_API_KEY" in shown
    assert "<img" not in shown
