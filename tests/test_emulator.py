"""The emulator: the official SDKs take it for their provider, and its log tells the truth."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from prsm_lab import emulator
from prsm_lab.emulator import faults

QUESTION = "What is the capital of France?"
CHAT = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={QUESTION: "Paris", "2+2?": "4"}) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(emu):
    emu.clear()


@pytest.fixture(scope="module")
def openai_client(emu):
    import openai

    with openai.OpenAI(base_url=f"{emu.url}/v1", api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(emu):
    import anthropic

    with anthropic.Anthropic(base_url=emu.url, api_key="x", max_retries=0) as client:
        yield client


TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]


def test_openais_sdk_chats_with_it(openai_client):
    """Whole and live, with usage, tools, schema and limits, parsed by the SDK's own types."""
    chat = openai_client.chat.completions
    whole = chat.create(model="gpt-4.1-mini", messages=CHAT)
    chunks = list(chat.create(model="gpt-4.1-mini", messages=CHAT, stream=True, stream_options={"include_usage": True}))
    called = chat.create(model="gpt-4.1-mini", messages=CHAT, tools=TOOLS, tool_choice="required")
    cut = chat.create(model="gpt-4.1-mini", messages=CHAT, max_completion_tokens=2)
    shaped = chat.create(
        model="gpt-4.1-mini", messages=CHAT,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}},
    )  # fmt: skip

    assert whole.model == "simulated/gpt-4.1-mini"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert called.choices[0].message.tool_calls[0].function.name == "weather"
    assert cut.choices[0].finish_reason == "length"
    assert json.loads(shaped.choices[0].message.content) == {"n": 1}


def test_openais_sdk_uses_responses_with_it(openai_client):
    """The whole sequence of events ends with the same document."""
    whole = openai_client.responses.create(model="gpt-6-sol", input=QUESTION)
    events = list(openai_client.responses.create(model="gpt-6-sol", input=QUESTION, stream=True))

    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_anthropics_sdk_talks_to_it(anthropic_client):
    """Messages, streams, and the 400 of the new API version for sampling."""
    import anthropic

    ask = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": CHAT}
    whole = anthropic_client.messages.create(**ask)
    with anthropic_client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client.messages.create(**ask, extra_body={"temperature": 0.5})

    assert text == whole.content[0].text
    assert whole.usage.input_tokens == 8


def test_huggingfaces_sdk_talks_to_it(emu):
    """Chat on the router's route, and text generation."""
    import huggingface_hub

    with huggingface_hub.InferenceClient(base_url=f"{emu.url}/v1", api_key="x") as client:
        assert "Paris" in client.chat_completion(CHAT, model="gpt-6-sol").choices[0].message.content
    with huggingface_hub.InferenceClient(model=f"{emu.url}/models/any", token="x") as client:
        whole = client.text_generation(QUESTION, details=True)
        pieces = list(client.text_generation(QUESTION, details=True, stream=True))
    assert pieces[-1].generated_text == whole.generated_text
    assert whole.details.generated_tokens > 0


def test_models_can_be_listed(openai_client):
    """As all clients do to test a key."""
    assert "gpt-4" in {model.id for model in openai_client.models.list()}
    assert openai_client.models.retrieve("gpt-4").id == "gpt-4"


def test_the_seed_decides_every_answer_and_accuracy_is_a_share():
    """The same seed says the same in any order; another seed errs elsewhere."""
    references = {f"Question {n}?": str(n) for n in range(300)}
    minds = [emulator.models.Mind(seed, references) for seed in (7, 7, 8)]
    answers = [
        [mind.answer("gpt-4", f"{q} Only the answer.", emulator.Profile(accuracy=0.8)) for q in references]
        for mind in minds
    ]
    right = sum(answer == reference for answer, reference in zip(answers[0], references.values(), strict=True))

    assert answers[0] == answers[1] != answers[2]
    assert 0.74 < right / 300 < 0.86


def test_the_log_knows_arrival_end_and_who_left(emu, openai_client):
    """In times of this machine's monotonic clock."""
    openai_client.chat.completions.create(model="gpt-4.1-mini", messages=CHAT)
    emu.add(emulator.Rule("stall", pieces=3))
    stream = openai_client.chat.completions.create(model="gpt-4.1-mini", messages=CHAT, stream=True)
    next(iter(stream))
    stream.close()
    emu.log.wait_for(lambda log: log.open_requests == 0)
    whole, left = emu.log.entries

    assert whole.arrived <= whole.first_byte <= whole.done
    assert whole.peer_closed is None
    assert left.done is None
    assert left.peer_closed > left.first_byte
    assert (whole.model, whole.prompt) == ("gpt-4.1-mini", QUESTION)


def test_a_request_that_the_emulator_broke_was_neither_finished_nor_left(emu):
    """Else a test would take a lost answer for a delivered one."""
    for fault in ("reset", "close", "mid_reset", "mid_close", "short_length"):
        emu.clear()
        emu.add(emulator.Rule(fault, pieces=3))
        raw(emu, ASK if fault == "short_length" else LIVE)
        emu.log.wait_for(lambda log: log.open_requests == 0)

        assert (emu.log.entries[0].done, emu.log.entries[0].peer_closed) == (None, None), fault


def test_openais_keys_are_checked_when_there_are_any():
    """In OpenAI's own words; the right one passes."""
    import openai

    with emulator.start(keys=["right"]) as guarded:
        ask = {"model": "gpt-4.1-mini", "messages": CHAT}
        with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="right", max_retries=0) as good:
            assert good.chat.completions.create(**ask).choices
        with (
            openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong", max_retries=0) as bad,
            pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
        ):
            bad.chat.completions.create(**ask)


def test_anthropics_keys_are_checked_when_there_are_any():
    """In Anthropic's own words; the right one passes."""
    import anthropic

    with emulator.start(keys=["right"]) as guarded:
        ask = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": CHAT}
        with anthropic.Anthropic(base_url=guarded.url, api_key="right", max_retries=0) as good:
            assert good.messages.create(**ask).content
        with (
            anthropic.Anthropic(base_url=guarded.url, api_key="wrong", max_retries=0) as bad,
            pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"),
        ):
            bad.messages.create(**ask)


def raw(emu, body: bytes, *, falls_silent_after: int | None = None) -> bytes:
    """Everything that comes back over a bare socket, and how it ended if not by an answer's own end."""
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer canary\r\ncontent-length: %d\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(emu.url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(head % len(body) + body)
        got = b""
        if falls_silent_after is not None:
            emu.log.wait_for(lambda log: len(log) and log.entries[0].pieces == falls_silent_after)
            connection.settimeout(0.2)
        try:
            while not whole(got):
                if not (chunk := connection.recv(65536)):
                    break
                got += chunk
        except TimeoutError:
            got += b"<silence>"
        except ConnectionResetError:
            got += b"<reset>"
        return got


def whole(got: bytes) -> bool:
    """Whether this is a whole answer by its own account."""
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding: chunked" in head:
        return body == END or body.endswith(b"\r\n" + END)
    length = re.search(rb"content-length: (\d+)", head)
    return length is not None and len(body) >= int(length[1])


ASK = json.dumps({"model": "gpt-4.1-mini", "messages": CHAT}).encode()
LIVE = json.dumps({"model": "gpt-4.1-mini", "messages": CHAT, "stream": True}).encode()


def body_of(got: bytes) -> bytes:
    """What follows the head of an answer."""
    return got.partition(b"\r\n\r\n")[2]


def chunks(got: bytes) -> bytes:
    """A chunked body, put together as far as it came."""
    rest, whole = body_of(got), b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not size or size == b"<reset>":
            break
        whole, rest = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole


def said(got: bytes) -> dict:
    """The JSON of a whole answer."""
    return json.loads(body_of(got))


END = b"0\r\n\r\n"
SIGNS = {
    "reset": (ASK, lambda got: got == b"<reset>"),
    "close": (ASK, lambda got: got == b""),
    "hang": (ASK, lambda got: got == b"<silence>"),
    "slow": (ASK, lambda got: b"200 OK" in got and said(got)["choices"]),
    "short_length": (ASK, lambda got: b"content-length: 99999" in got and len(body_of(got)) < 9999),
    "cut_json": (ASK, lambda got: body_of(got).startswith(b"{") and not body_of(got).endswith(b"}")),
    "html": (ASK, lambda got: b"200 OK" in got and b"text/html" in got and b"<html" in got),
    "html_502": (ASK, lambda got: b"HTTP/1.1 502" in got and b"<html" in got),
    "empty": (ASK, lambda got: b"200 OK" in got and b"content-length: 0" in got and not body_of(got)),
    "error_object": (ASK, lambda got: b"200 OK" in got and set(said(got)) == {"error"}),
    "no_choices": (ASK, lambda got: said(got)["choices"] == []),
    "null_content": (ASK, lambda got: said(got)["choices"][0]["message"]["content"] is None),
    "filtered": (ASK, lambda got: said(got)["choices"][0]["finish_reason"] == "content_filter"),
    "null_finish": (ASK, lambda got: said(got)["choices"][0]["finish_reason"] is None),
    "length": (ASK, lambda got: said(got)["choices"][0]["finish_reason"] == "length"),
    "no_usage": (ASK, lambda got: "usage" not in said(got)),
    "surrogate": (ASK, lambda got: b"\\ud83d" in body_of(got)),
    "not_utf8": (ASK, lambda got: b"\xff\xfe" in body_of(got)),
    "wrong_type": (ASK, lambda got: b"content-type: text/plain" in got and said(got)["choices"]),
    "echo_key": (ASK, lambda got: b"HTTP/1.1 401" in got and b"Bearer canary" in body_of(got)),
    "huge": (ASK, lambda got: len(chunks(got)) == 2**20),
    "gzip_bomb": (ASK, lambda got: len(body_of(got)) < 9999 and len(gzip.decompress(body_of(got))) == 2**20),
    "stall": (LIVE, lambda got: got.count(b"data:") == 4 and got.endswith(b"<silence>")),
    "drip": (LIVE, lambda got: b"[DONE]" in got and got.endswith(END)),
    "mid_reset": (LIVE, lambda got: got.count(b"data:") == 4 and got.endswith(b"<reset>")),
    "mid_close": (LIVE, lambda got: got.count(b"data:") == 4 and not got.endswith((END, b"<silence>"))),
    "no_end": (LIVE, lambda got: b'finish_reason":"stop' not in got and got.endswith(END)),
    "cut_line": (LIVE, lambda got: not chunks(got).endswith(b"\n") and got.endswith(END)),
    "no_done": (LIVE, lambda got: b"[DONE]" not in got and b'finish_reason":"stop' in got),
    "bad_json": (LIVE, lambda got: b'data: {"broken": \n\n' in chunks(got) and b"[DONE]" in got),
    "error_event": (LIVE, lambda got: b'data: {"error"' in chunks(got).splitlines()[-2] and b"[DONE]" not in got),
    "json_instead": (LIVE, lambda got: b"application/json" in got and said(got)["object"] == "chat.completion"),
    "split": (LIVE, lambda got: body_of(got).count(b"\r\n1\r\n") == len(chunks(got)) - 1),
    "crlf": (LIVE, lambda got: chunks(got).count(b"\r\n") == chunks(got).count(b"\n") > 0),
    "comments": (LIVE, lambda got: chunks(got).count(b": keep-alive\n\n") == got.count(b"data:")),
    "twice": (LIVE, lambda got: chunks(got).count(b"[DONE]") == 2),
    "bad_utf8": (LIVE, lambda got: b"\xff\xfe" in got),
    "unknown_events": (LIVE, lambda got: chunks(got).startswith(b"event: brand_new\n")),
    "empty_stream": (LIVE, lambda got: b"text/event-stream" in got and body_of(got) == END),
}  # fmt: skip


@pytest.mark.parametrize("fault", [*faults.BEFORE, *faults.STREAM])
def test_a_fault_is_what_it_claims_to_be(emu, fault):
    """Each that exists, read byte by byte, without any SDK."""
    body, sign = SIGNS[fault]
    emu.add(emulator.Rule(fault, pieces=4, megabytes=1, seconds=0.0 if fault == "stall" else 0.01))

    assert sign(raw(emu, body, falls_silent_after={"hang": 0, "stall": 4}.get(fault)))
    assert emu.log.entries[0].fault == fault


@pytest.mark.parametrize("code", faults.STATUSES)
def test_a_status_is_sent_with_its_hint_to_wait(emu, code):
    """And the error as the provider writes it."""
    emu.add(emulator.Rule(str(code), retry_after="3"))
    got = raw(emu, ASK)

    assert got.startswith(b"HTTP/1.1 %d " % code)
    assert b"retry-after: 3\r\n" in got
    assert said(got)["error"]["message"]


def status(emu, prompt: str, path: str = "/v1/chat/completions") -> int:
    """The status of one question."""
    connection = http.client.HTTPConnection("127.0.0.1", int(emu.url.rpartition(":")[2]), timeout=5)
    connection.request("POST", path, ASK.replace(QUESTION.encode(), prompt.encode()))
    got = connection.getresponse().status
    connection.close()
    return got


def test_rules_choose_by_model_text_share_and_count(emu):
    """A share is drawn by prompt, so that a retry meets the same fate."""
    emu.add(emulator.Rule("500", model="gpt-4*", contains="bad", times=2, after=1))
    asked = [status(emu, text) for text in ("bad", "bad", "good", "bad", "bad")]
    assert asked == [200, 500, 200, 500, 200]

    emu.clear()
    emu.add(emulator.Rule("500", share=0.5))
    fates = [[status(emu, f"row {n}") for n in range(20)] for _ in range(2)]
    assert fates[0] == fates[1]
    assert set(fates[0]) == {200, 500}


async def test_it_holds_many_connections_at_once(emu):
    """300, all of them waiting when they are counted, and another is served meanwhile."""
    emu.add(emulator.Rule("hang"))
    port = int(emu.url.rpartition(":")[2])
    held = []
    for _ in range(300):
        held.append(await asyncio.open_connection("127.0.0.1", port))
        held[-1][1].write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(ASK), ASK))
    await asyncio.to_thread(emu.log.wait_for, lambda log: log.open_requests == 300)
    answered = await asyncio.to_thread(status, emu, "still there?", "/f/no_usage/v1/chat/completions")
    for _, writer in held:
        writer.close()
    await asyncio.to_thread(emu.log.wait_for, lambda log: log.open_requests == 0)

    assert emu.log.max_open == 301
    assert answered == 200, "another is served meanwhile"
    assert sum(entry.peer_closed is not None for entry in emu.log.entries) == 300


def test_it_runs_in_a_process_of_its_own_and_is_driven_over_http():
    """`python -m prsm_lab.emulator`: one JSON line, rules and log by URL, a clean end on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prsm_lab.emulator", "--latency-scale", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    url = json.loads(process.stdout.readline())["url"]

    def post(path: str, body: object) -> bytes:
        return urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode())).read()

    post("/_rules", [{"fault": "no_usage"}])
    answer = json.loads(post("/v1/chat/completions", {"model": "m", "messages": CHAT}))
    log = json.loads(urllib.request.urlopen(url + "/_log").read())
    process.send_signal(signal.SIGTERM)

    assert "usage" not in answer
    assert [entry["fault"] for entry in log] == ["no_usage"]
    assert process.wait(5) == 0
    process.stdout.close()


def test_a_latency_that_is_fixed_is_every_answers():
    """`--fixed-latency`, which benchmarks measure against: longer than that model ever takes by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prsm_lab.emulator", "--fixed-latency", "0.8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    url = json.loads(process.stdout.readline())["url"]
    body = json.dumps({"model": "gpt-4.1-nano", "messages": CHAT}).encode()
    urllib.request.urlopen(urllib.request.Request(url + "/v1/chat/completions", body)).read()
    entry = json.loads(urllib.request.urlopen(url + "/_log").read())[0]
    process.terminate()
    process.wait(5)
    process.stdout.close()

    assert entry["done"] - entry["arrived"] >= 0.8
