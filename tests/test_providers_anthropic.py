"""Anthropic's wire beyond the golden cases: turns, images, sampling, usage, broken streams, the environment."""

from __future__ import annotations

import json

import pytest

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors
from prsm_lab.providers import messages
from prsm_lab.providers.sse import Event
from prsm_lab.types import Options, Request, Target

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def target(name: str = "claude-haiku-4-5") -> Target:
    model = catalog.find(name)
    return Target(provider="anthropic", model=model.id, name=model.name, capabilities=model.capabilities)


def body(*turns: dict, model: str = "claude-haiku-4-5", **options: object) -> dict:
    return messages.to_wire(
        Request(model=model, messages=turns, options=Options(**options)), target(model), live=False
    )[0]


def user(content: object) -> dict:
    return {"role": "user", "content": content}


def test_all_tool_results_stand_first_in_one_user_message():
    """Split over several, or after text, the API refuses them."""
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": ""}} for n in (1, 2)]
    made = body(
        user("go"), {"role": "assistant", "content": "", "tool_calls": calls}, {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2", "is_error": True}, user("and then?"),
    )["messages"]  # fmt: skip

    assert [turn["role"] for turn in made] == ["user", "assistant", "user"]
    assert [block["type"] for block in made[1]["content"]] == ["tool_use", "tool_use"]
    assert made[1]["content"][0]["input"] == {}
    assert [block.get("tool_use_id") for block in made[2]["content"]] == ["c1", "c2", None]
    assert made[2]["content"][1]["is_error"] is True


def test_arguments_that_are_no_json_are_refused_not_replaced():
    """`{}` would be another call."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{broken"}}
    with pytest.raises(errors.InvalidRequestError, match="no JSON"):
        body(
            user("x"),
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        )


@pytest.mark.parametrize(
    ("url", "kind"),
    [(f"data:image/jpeg;base64,{PNG}", "image/png"), ("data:image/webp;base64,R0lGODlhAQABAAAAACw=", "image/gif")],
)
def test_an_images_kind_is_read_from_its_bytes(url, kind):
    """What the URL says is often the file's ending."""
    source = body(user([{"type": "image_url", "image_url": {"url": url}}]))["messages"][0]["content"][0]["source"]

    assert source["media_type"] == kind


def test_sampling_needs_the_older_version_and_is_refused_while_the_model_thinks():
    """temperature with haiku-4-5; with a thinking budget it is a 400."""
    request = Request(model="claude-haiku-4-5", messages=(user("x"),), options=Options(temperature=0.5))
    made, headers, _ = messages.to_wire(request, target(), live=False)

    assert (made["temperature"], headers) == (0.5, {"anthropic-version": "2023-06-01"})
    with pytest.raises(errors.InvalidRequestError, match="does not sample"):
        body(user("x"), temperature=0.5, extra={"thinking": {"type": "enabled", "budget_tokens": 2000}})


def test_a_limit_is_always_sent_and_is_the_catalogues_where_the_caller_gave_none():
    """4,096 cut answers silently in others."""
    assert body(user("x"))["max_tokens"] == 8192
    assert body(user("x"), model="claude-3-opus")["max_tokens"] == 4096


def fold(*events: dict) -> messages.Fold:
    folding = messages.Fold("p")
    for event in events:
        folding.feed(Event(None, json.dumps(event).encode() if isinstance(event, dict) else event))
    return folding


START = {
    "type": "message_start",
    "message": {
        "id": "m",
        "model": "c",
        "usage": {
            "input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 700,
            "output_tokens": 1,
        },
    },
}


def test_usage_is_cumulative_and_the_placeholder_of_the_start_counts_for_nothing():
    """prompt = fresh + written + read."""
    usage = fold(
        START, {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    ).end().usage  # fmt: skip

    assert (usage.prompt_tokens, usage.cached_tokens, usage.cache_write_tokens, usage.completion_tokens) == (
        820,
        700,
        20,
        9,
    )
    assert fold(START).partial().usage.completion_tokens is None


def test_odd_counts_are_unknown_not_figures():
    """Strings, negatives, lists."""
    start = {"type": "message_start", "message": {"id": 7, "usage": {"input_tokens": "many", "output_tokens": -1}}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": []}
    reply = fold(
        start, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}, end
    ).end()

    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.provider_id) == (None, None, None)


def test_a_character_cut_between_two_events_is_put_together():
    """A surrogate pair, half in each."""
    halves = [
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud83d"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ude00"}}',
    ]

    assert fold(*halves, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}).end().text == "😀"


def test_a_stop_reason_newer_than_this_code_still_ends_an_answer():
    """Its own word is kept."""
    reply = fold(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": "brand_new"}},
    ).end()

    assert (reply.finish_reason, reply.raw_finish) == ("stop", "brand_new")


def test_another_server_sees_neither_the_environments_token_nor_its_headers(monkeypatch):
    """ANTHROPIC_AUTH_TOKEN, ANTHROPIC_CUSTOM_HEADERS, ANTHROPIC_PROFILE belong to Anthropic."""
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-canary")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-gateway: header-canary\nAuthorization: Bearer other-canary")
    monkeypatch.setenv("ANTHROPIC_PROFILE", "profile-canary")
    with emulator.start() as emu, lab.Client(providers=emu.providers(), ledger=":memory:") as client:
        client.inference.create("claude-haiku-4-5", "hi")
        headers = emu.log.entries[-1].headers

    assert headers["authorization"] == "Bearer emulated"
    assert "canary" not in str(headers)
