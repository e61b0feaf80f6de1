"""OpenAI's own SDK against the share server, unmodified; every answer and chunk parses strictly into its types."""

from __future__ import annotations

import json
import warnings

import openai
import pytest
from calls import HELLO, Caller
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.emulator import Rule

pytestmark = pytest.mark.filterwarnings("ignore:.*price:UserWarning")  # models of unknown price are asked too

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}  # fmt: skip


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture(scope="module")
def share(emu):
    with lab.Client(ledger=":memory:", providers=emu.providers()) as client, lab.serve(client) as serving:
        yield serving


@pytest.fixture(scope="module")
def key(share):
    return share.new_key("ana", tier="Enterprise")


@pytest.fixture
def sdk(share, key, emu):
    emu.clear()
    with openai.OpenAI(api_key=key, base_url=f"{share.url}/v1", max_retries=2) as client:
        yield client


@pytest.fixture
def ana(share, key, emu):
    emu.clear()
    return Caller(share.url, key)


def strictly(kind, document: dict) -> None:
    """Parse with no conversion, and find every name of the document in the type."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = kind.model_validate_json(json.dumps(document), strict=True)
    assert made.model_extra in (None, {})
    _no_more(made)


def _no_more(value) -> None:
    if hasattr(value, "model_fields_set"):
        assert not value.model_extra, (type(value), value.model_extra)
        for name in value.model_fields_set:
            _no_more(getattr(value, name))
    elif isinstance(value, list):
        for one in value:
            _no_more(one)


@pytest.mark.parametrize("model", ["gpt-4", "gpt-6-sol", "claude-haiku-4-5", "mixtral"])
@pytest.mark.parametrize("more", [{}, {"n": 3}, {"tools": [TOOL]}], ids=["plain", "n", "tools"])
def test_an_answer_is_an_openai_answer_whoever_gave_it(ana, model, more):
    """Strictly, for each provider behind."""
    answer = ana.post("/v1/chat/completions", {"model": model, "messages": HELLO, "max_completion_tokens": 50, **more})

    assert answer.status == 200
    strictly(ChatCompletion, answer.json)
    assert [choice["index"] for choice in answer.json["choices"]] == list(range(more.get("n", 1)))


@pytest.mark.parametrize("model", ["gpt-4", "gpt-6-sol", "claude-haiku-4-5", "mixtral"])
@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_is_an_openai_stream_whoever_gave_it(ana, model, usage):
    """Role first, a finish reason, usage only where it was asked for, `[DONE]`."""
    body = {"model": model, "messages": HELLO, "stream": True, "stream_options": {"include_usage": usage}}
    *chunks, done = ana.post("/v1/chat/completions", body).events
    for chunk in chunks:
        strictly(ChatCompletionChunk, chunk)
    spoken = [chunk for chunk in chunks if chunk["choices"]]

    assert done == "[DONE]"
    assert spoken[0]["choices"][0]["delta"]["role"] == "assistant"
    assert spoken[-1]["choices"][0]["finish_reason"] == "stop"
    assert [bool(chunk["choices"]) for chunk in chunks[-1:]] == [not usage]
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize(("model", "more"), [("gpt-4", {}), ("gpt-6-sol", {"reasoning_effort": "none"})], ids=["chat", "responses"])  # fmt: skip
def test_log_probabilities_come_whole_and_live(sdk, ana, model, more):
    """On either wire behind: each token of the answer with its alternatives, in OpenAI's types."""
    ask = {"model": model, "messages": HELLO, "logprobs": True, "top_logprobs": 2, **more}
    answer = sdk.chat.completions.create(**ask).choices[0]
    chunks = [chunk.choices[0] for chunk in sdk.chat.completions.create(**ask, stream=True)]
    live = [token for choice in chunks if choice.logprobs for token in choice.logprobs.content]

    assert "".join(token.token for token in answer.logprobs.content) == answer.message.content
    assert [len(token.top_logprobs) for token in live] == [2] * len(answer.logprobs.content)
    assert [(t.token, t.logprob) for t in live] == [(t.token, t.logprob) for t in answer.logprobs.content]
    strictly(ChatCompletion, ana.post("/v1/chat/completions", ask).json)
    for chunk in ana.post("/v1/chat/completions", {**ask, "stream": True}).events[:-1]:
        strictly(ChatCompletionChunk, chunk)


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gpt-6-sol"])
def test_log_probabilities_that_a_model_does_not_give_are_refused(sdk, model):
    """By name, before anything is paid: one provider has none, another none while it reasons."""
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        sdk.chat.completions.create(model=model, messages=HELLO, logprobs=True)


def test_the_sdk_asks_streams_and_lists(sdk, ana):
    """As against OpenAI."""
    answer = sdk.chat.completions.create(model="gpt-4", messages=HELLO, temperature=0, seed=1, stop=["\n"], user="u")
    pieces = list(sdk.chat.completions.create(model="gpt-4", messages=HELLO, stream=True))
    models = list(sdk.models.list())

    assert answer.choices[0].message.content
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert sdk.models.retrieve("gpt-4") in models
    for card in ana.get("/v1/models").json["data"]:
        strictly(Model, card)


def test_tools_go_there_and_back(sdk, emu):
    """A call, its arguments, and the answer to it."""
    emu.clear()
    answer = sdk.chat.completions.create(model="gpt-4o", messages=HELLO, tools=[TOOL], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    again = [*HELLO, answer.choices[0].message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "sun"}]  # fmt: skip

    assert (answer.choices[0].finish_reason, call.function.name) == ("tool_calls", "weather")
    assert json.loads(call.function.arguments) is not None
    assert sdk.chat.completions.create(model="gpt-4o", messages=again, tools=[TOOL]).choices[0].message.content


def test_a_schema_reaches_the_provider_under_its_name(sdk, emu):
    """As structured output."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    sdk.chat.completions.create(
        model="gpt-4o", messages=HELLO, response_format={"type": "json_schema", "json_schema": {"name": "mine", "schema": schema, "strict": True}}
    )  # fmt: skip
    sent = emu.log.entries[-1].body["response_format"]["json_schema"]

    assert (sent["name"], sent["schema"]) == ("mine", schema)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("401", openai.AuthenticationError), ("400", openai.BadRequestError), ("404", openai.NotFoundError),
        ("429", openai.RateLimitError), ("500", openai.InternalServerError),
    ],
)  # fmt: skip
def test_the_sdks_own_errors_are_raised(share, key, emu, rule, kind):
    """With message, parameter and code."""
    emu.clear()
    emu.add(Rule(rule))
    with openai.OpenAI(api_key=key, base_url=f"{share.url}/v1", max_retries=0) as sdk, pytest.raises(kind) as caught:
        sdk.chat.completions.create(model="gpt-4", messages=HELLO, timeout=20)

    assert caught.value.body["message"]
    assert caught.value.code


def test_the_sdk_retries_what_the_server_asks_it_to(share, emu):
    """A full minute: 429 with `Retry-After`, kept by the SDK itself."""
    emu.clear()
    key = share.new_key("retry", tier="Free")
    emu.add(Rule("slow", seconds=0.3))
    with openai.OpenAI(api_key=key, base_url=f"{share.url}/v1", max_retries=5) as sdk:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(sdk.chat.completions.create, model="gpt-4", messages=HELLO) for _ in range(4)]
            assert all(one.result().choices for one in asked)  # two at once is all that Free allows


def test_a_fault_in_a_stream_is_the_sdks_error(sdk, emu):
    """Not a short answer."""
    emu.add(Rule("mid_reset", pieces=4))
    with pytest.raises(openai.APIError):
        list(sdk.chat.completions.create(model="gpt-4", messages=HELLO, stream=True))


@pytest.mark.parametrize(
    "more",
    [{"n": 0}, {"n": 100}, {"n": 2, "stream": True}, {"api_base": "http://evil"}, {"service_tier": "priority"}, {"response_format": {"type": "xml"}}, {"stream_options": 1}, {"audio": {}}],
)  # fmt: skip
def test_what_is_not_offered_is_refused_in_openais_words(ana, emu, more):
    """Never silently left out."""
    answer = ana.post("/v1/chat/completions", {"model": "gpt-4", "messages": HELLO, **more})

    assert answer.status == 400
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert len(emu.log) == 0


def test_a_wrong_key_is_openais_401(share):
    """The SDK's own class."""
    with openai.OpenAI(api_key="sk-wrong", base_url=f"{share.url}/v1") as sdk, pytest.raises(openai.AuthenticationError):  # fmt: skip
        sdk.models.list()
