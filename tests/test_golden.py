"""The wire, case by case: golden requests, answers and streams that were verified through the real SDKs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import catalog, errors
from prsm_lab.providers import chat, messages, responses, textgen
from prsm_lab.providers.sse import Splitter
from prsm_lab.types import Options, Request, Target

GOLDEN = Path(__file__).parent / "golden"
WIRE = json.loads((GOLDEN / "wire_golden.json").read_text())
STREAMS = json.loads((GOLDEN / "stream_golden.json").read_text())


def neutral(case: dict) -> tuple[Request, bool]:
    fields = dict(case)
    live, given_messages = fields.pop("live", False), tuple(fields.pop("messages"))
    fields["stop"] = tuple(fields.get("stop", ()))
    fields["tools"] = tuple(fields.get("tools", ()))
    return Request(model="m", messages=given_messages, options=Options(**fields)), live


def target(model: str, provider: str) -> Target:
    if provider == "compatible":
        return Target(provider="mine", model=model, name=f"mine/{model}")
    known = catalog.find(model)
    return Target(provider=known.provider, model=known.id, name=known.name, capabilities=known.capabilities)


def sent(wire: str, request: Request, model: str, live: bool) -> dict:
    if wire == "anthropic":
        body, headers, _ = messages.to_wire(request, target(model, wire), live=live)
        sampling = {name: body.pop(name) for name in ("temperature", "top_p") if name in body}
        return {**body, **({"extra_body": sampling} if sampling else {}), **({"headers": headers} if headers else {})}
    if wire == "openai_responses":
        return responses.to_wire(request, target(model, wire), live=live)[0]
    dialect = "openai" if wire == "openai_chat" else "compatible"
    return chat.to_wire(request, target(model, wire), live=live, dialect=dialect)[0]


REQUESTS = [(case, wire) for case in WIRE["requests"] for wire in case["wire"]]
MODELS = {
    "openai_chat": "gpt-4.1-mini",
    "openai_responses": "gpt-6-sol",
    "compatible": "local",
    "anthropic": "claude-sonnet-5-5",
}


@pytest.mark.parametrize(("case", "wire"), REQUESTS, ids=[f"{case['name']}-{wire}" for case, wire in REQUESTS])
def test_a_neutral_request_becomes_this_body(case, wire):
    """Or is refused, naming exactly these parameters."""
    expected = case["wire"][wire]
    request, live = neutral(case["neutral"])
    if "refuse" in expected:
        with pytest.raises(errors.InvalidRequestError) as caught:
            sent(wire, request, MODELS[wire], live)
        assert caught.value.details["parameters"] == expected["refuse"]
    else:
        assert sent(wire, request, expected["model"], live) == expected


READERS = {
    "openai_chat": chat.from_wire,
    "compatible": chat.from_wire,
    "openai_responses": responses.from_wire,
    "anthropic": messages.from_wire,
}


@pytest.mark.parametrize("case", WIRE["responses"], ids=[case["name"] for case in WIRE["responses"]])
def test_an_answer_on_the_wire_is_read_as_this(case):
    """Text, finish reason, calls and every count."""
    expected = dict(case["neutral"])
    if case["target"] == "huggingface_text":
        reply = textgen.from_wire(case["wire"], provider="huggingface")
    else:
        reply = READERS[case["target"]](json.dumps(case["wire"]).encode(), provider="p")
    calls = expected.pop("tool_calls", [])
    assert [[call.id, call.name, json.loads(call.arguments)] for call in reply.tool_calls] == calls
    assert (reply.text, reply.finish_reason) == (expected.pop("content"), expected.pop("finish_reason"))
    assert {name: getattr(reply.usage, name) for name in expected} == expected


FOLDS = {"openai": chat.Fold, "responses": responses.Fold, "anthropic": messages.Fold}
ERRORS = {
    None: (),
    "down": errors.ProviderError,
    "rate": errors.RateLimitError,
    "invalid": errors.InvalidRequestError,
    "auth": errors.AuthenticationError,
    "credits": errors.InsufficientCreditsError,
}


def folded(wire: str, pieces: list[bytes]) -> dict:
    """What a reader of the stream ends with, in the golden file's words."""
    fold, splitter, error, reply = FOLDS[wire]("p"), Splitter(), None, None
    try:
        for piece in pieces:
            for event in splitter.feed(piece):
                fold.feed(event)
        for event in splitter.close():
            fold.feed(event)
        reply = fold.end()
    except errors.PRSMError as fault:
        error = next(word for word, cls in ERRORS.items() if word and isinstance(fault, cls))
    reply = reply or fold.partial()
    return {
        "text": reply.text, "reasoning": reply.reasoning, "finish": reply.finish_reason, "error": error,
        "calls": [[call.id, call.name, json.loads(call.arguments)] for call in reply.tool_calls],
        "prompt": reply.usage.prompt_tokens, "completion": reply.usage.completion_tokens, "cached": reply.usage.cached_tokens,
        "written": reply.usage.cache_write_tokens, "reasoned": reply.usage.reasoning_tokens,
    }  # fmt: skip


STREAM_NAMES = [case["name"] for case in STREAMS]


@pytest.mark.parametrize("case", STREAMS, ids=STREAM_NAMES)
def test_a_stream_is_folded_into_this(case):
    """Whole or broken: text, calls, counts, and whether it was a success."""
    got = folded(case["wire"], [case["sse"].encode()])
    expected = case["expect"]
    for call, wanted in zip(got["calls"], expected["calls"], strict=False):
        if wanted[0] is None or wanted[0] == "*":
            call[0] = wanted[0]

    assert got == expected


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 4000), max_size=12))
def test_however_a_stream_is_cut_it_is_folded_into_the_same(case, cuts):
    """Reads end anywhere: inside a line, a CRLF, a letter."""
    raw = case["sse"].encode()
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    pieces = [raw[a:b] for a, b in zip(edges, edges[1:], strict=False)]

    assert folded(case["wire"], pieces) == folded(case["wire"], [raw])
