"""The emulator: the official SDKs take it for their provider, and its log tells the truth."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from prsm_lab import emulator

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


def test_keys_are_checked_when_there_are_any(emu):
    """Each provider's own words."""
    import openai

    with emulator.start(keys=["right"]) as guarded:
        bad = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            bad.models.with_raw_response.list() and bad.chat.completions.create(model="m", messages=CHAT)


def raw(emu, body: bytes, path: str = "/v1/chat/completions") -> bytes:
    """Everything that comes back over a bare socket."""
    with socket.create_connection(("127.0.0.1", int(emu.url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(
            b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
        )
        connection.settimeout(0.2)
        got = b""
        try:
            while chunk := connection.recv(65536):
                got += chunk
        except TimeoutError:
            pass
        except ConnectionResetError:
            got += b"<reset>"
        return got


ASK = json.dumps({"model": "gpt-4.1-mini", "messages": CHAT}).encode()
LIVE = json.dumps({"model": "gpt-4.1-mini", "messages": CHAT, "stream": True}).encode()


@pytest.mark.parametrize(
    ("fault", "body", "sign"),
    [
        ("reset", ASK, lambda got: got == b"<reset>"),
        ("close", ASK, lambda got: got == b""),
        ("short_length", ASK, lambda got: b"content-length: 99999" in got),
        ("cut_json", ASK, lambda got: not got.endswith(b"}")),
        ("html", ASK, lambda got: b"200 OK" in got and b"<html" in got),
        ("no_end", LIVE, lambda got: b'finish_reason":"stop' not in got and got.endswith(b"0\r\n\r\n")),
        ("mid_reset", LIVE, lambda got: got.endswith(b"<reset>")),
        ("mid_close", LIVE, lambda got: not got.endswith(b"0\r\n\r\n") and b"data:" in got),
        ("no_done", LIVE, lambda got: b"[DONE]" not in got and b'finish_reason":"stop' in got),
        ("split", LIVE, lambda got: b"\r\n1\r\n" in got),
        ("crlf", LIVE, lambda got: b"\r\n\r\n\r\n" in got or b"}\r\n\r\n" in got),
        ("bad_utf8", LIVE, lambda got: b"\xff\xfe" in got),
        ("error_event", LIVE, lambda got: b'data: {"error"' in got),
    ],
)  # fmt: skip
def test_a_fault_is_what_it_claims_to_be(emu, fault, body, sign):
    """Read byte by byte, without any SDK."""
    emu.add(emulator.Rule(fault, pieces=4))

    assert sign(raw(emu, body))


def status(emu, prompt: str) -> int:
    """The status of one question."""
    connection = http.client.HTTPConnection("127.0.0.1", int(emu.url.rpartition(":")[2]), timeout=5)
    connection.request("POST", "/v1/chat/completions", ASK.replace(QUESTION.encode(), prompt.encode()))
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
    """300 here; 2,000 were tried by hand."""
    emu.add(emulator.Rule("slow", seconds=0.3))
    port = int(emu.url.rpartition(":")[2])

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(ASK), ASK))
        line = await reader.readline()
        writer.close()
        return line

    lines = await asyncio.gather(*(one() for _ in range(300)))
    assert set(lines) == {b"HTTP/1.1 200 OK\r\n"}
    assert emu.log.max_open == 300


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
