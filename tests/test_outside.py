"""What the outside is told of a provider's fault: who, which kind, and nothing of the provider's own words."""

from __future__ import annotations

import json
import sqlite3

import pytest
from calls import ASK, Caller

import prsm_lab as lab
from prsm_lab import documents, emulator, errors
from prsm_lab.emulator import Rule
from prsm_lab.server import outside
from prsm_lab.types import Attempt

QUESTION = {**ASK, "fallback_config": {"strategies": [], "retry_attempts": 0}}
FAULTS = ["400", "401", "402", "404", "413", "429", "500", "529", "reset"]
SECRET = "http://llm.corp.example:8443/v1 says account 4711 of Ana is not welcome"


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def house(emu, tmp_path):
    """A share server whose ledger can be looked into, its address, and that of the provider behind it."""
    emu.clear()
    path = tmp_path / "ledger.db"
    with lab.Client(ledger=path, providers=emu.providers()) as client, lab.serve(client) as share:
        yield Caller(share.url, share.new_key("ana", tier="Enterprise")), path


def kept(path) -> list[dict]:
    """The errors as the owner's ledger has them."""
    with sqlite3.connect(path) as ledger:
        return [json.loads(text) for (text,) in ledger.execute("SELECT error FROM inference WHERE error IS NOT NULL")]


def everything_told(ana: Caller, accept: str) -> list[bytes]:
    """One fault, by every way out of the server."""
    asked = [
        ana.post("/v1/inference", QUESTION, Accept=accept),
        ana.post("/v1/inference/stream", QUESTION, Accept=accept),
        ana.post("/v1/inference/batch", {"requests": [QUESTION]}, Accept=accept),
        ana.post("/v1/inference/batch", {"requests": [QUESTION]}, Accept=f"application/x-ndjson, {accept}"),
        ana.post("/v1/chat/completions", ASK),
        ana.post("/v1/chat/completions", {**ASK, "stream": True}),
    ]
    listed = ana.get("/v1/inference", Accept=accept)
    ids = [line["id"] for line in ana.get("/v1/inference").json["data"]]
    return [answer.raw for answer in (*asked, listed, *(ana.get(f"/v1/inference/{one}", Accept=accept) for one in ids))]


@pytest.mark.parametrize("accept", ["application/json", documents.WHOLE])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_way_out_tells_a_providers_words_or_address(house, emu, fault, accept):
    """The owner's ledger keeps them."""
    emu.add(Rule(fault))
    ana, path = house
    told = everything_told(ana, accept)

    words = {error["message"] for error in kept(path)}
    address = emu.url.removeprefix("http://")
    assert any("HTTP" in text or address in text for text in words)
    for raw in told:
        assert address.encode() not in raw
        assert not [text for text in words if text.encode() in raw]
        assert b"openai" in raw


def test_a_stream_that_breaks_says_so_in_our_words(house, emu):
    """Class, code, provider, kind; and where its owner finds the rest."""
    emu.add(Rule("mid_reset", pieces=3))
    ana, path = house
    last = ana.post("/v1/inference/stream", QUESTION).events[-1]["error"]

    assert (last["code"], last["details"]) == ("provider_unavailable", {"kind": "stream", "provider": "openai"})
    assert last["message"].startswith("openai broke off in the middle of the answer. The server's owner finds more")
    assert emu.url in kept(path)[0]["message"]


def test_a_fallback_tells_its_failed_attempts_in_our_words(house, emu):
    """To the Python client too, now and when it looks the answer up."""
    emu.add(Rule("500", model="gpt-4"))
    ana, _ = house
    asked = {**ASK, "fallback_config": {"strategies": [{"provider": "anthropic"}], "retry_attempts": 0}}
    answer = ana.post("/v1/inference", asked, Accept=documents.WHOLE).json
    known = ana.get(f"/v1/inference/{answer['id']}", Accept=documents.WHOLE).json["inference"]

    assert [knock["error"] for knock in answer["attempts"]] == ["openai failed.", None]
    assert known == answer


def test_our_own_words_pass(house):
    """What nobody but this package words names the remedy."""
    ana, _ = house
    answer = ana.post("/v1/inference", {**ASK, "model": "claude-opus-5", "temperature": 0.5})

    assert "on_unsupported" in answer.error["message"]
    assert answer.error["details"]["parameters"] == ["temperature"]


@pytest.mark.parametrize("code", sorted(documents._BY_CODE))
def test_whatever_a_provider_raises_it_is_told_in_our_words(code):
    """Also what somebody else's provider writes into text, details and attempts."""
    raised = documents._BY_CODE[code](
        SECRET, provider="acme", details={"kind": SECRET, "url": SECRET, "numbers": [8192]}
    )
    raised.attempts = (Attempt(provider="acme", model="m", started=0.0, error_code=code, error=SECRET),)
    raised.inference_id = "inf_1"
    told = outside.error(raised)

    assert "llm.corp" not in json.dumps(outside.document(raised, whole=True), default=str)
    assert (type(told), told.code, told.provider, told.details) == (type(raised), code, "acme", {"numbers": [8192]})
    assert "acme" in told.message
    assert raised.message == SECRET


def test_a_provider_that_forgets_its_name_is_named():
    """Its fault is told in our words as well."""

    class Acme:
        name, origin = "acme", "acme"

        async def ready(self):
            pass

        async def send(self, request, target, *, live):
            raise errors.ProviderError(SECRET)
            yield

        async def aclose(self):
            pass

    with lab.Client(ledger=":memory:", providers={"acme": Acme()}, max_retries=0) as client, lab.serve(client) as share:
        answer = Caller(share.url, share.new_key("ana")).post("/v1/inference", {**ASK, "model": "acme/m"})

    assert answer.error["details"] == {"provider": "acme"}
    assert "llm.corp" not in answer.raw.decode()
