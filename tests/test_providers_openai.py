"""The OpenAI family through the real SDK, over real sockets, against a server that plays each answer and fault."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import catalog, errors
from prsm_lab.providers import chat, compatible, connect, fit, huggingface, openai, responses, window
from prsm_lab.providers.sse import Event
from prsm_lab.settings import Access, Secret, access
from prsm_lab.types import Capabilities, Delta, Options, Reply, Request, Routing, Target

KEY = "sk-canary-0123456789abcdef"
CHAT = Target(provider="openai", model="gpt-4.1-mini", name="gpt-4.1-mini")
REASONS = Target(
    provider="openai", model="gpt-6-sol", name="gpt-6-sol",
    capabilities=Capabilities(wire="responses", reasoning="default", sampling="without_reasoning", stop=False, seed=False),
)  # fmt: skip
HI = ({"role": "user", "content": "hi"},)

# --------------------------------------------------------------------------------------------- the other end

Part = bytes | str
"""Bytes to send, or what to do: `reset`, `hold` (until the peer goes)."""


def http(body: Any, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP reply."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {
        "content-type": kind,
        "content-length": str(len(raw)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + raw


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(raw: bytes | str) -> bytes:
    """One chunk of a chunked body."""
    raw = raw.encode() if isinstance(raw, str) else raw
    return f"{len(raw):x}\r\n".encode() + raw + b"\r\n"


def data(*objects: Any) -> bytes:
    """Events, each in its own chunk."""
    return b"".join(chunk(f"data: {o if isinstance(o, str) else json.dumps(o)}\n\n") for o in objects)


def piece(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One event of a chat stream."""
    delta = {} if text is None else {"content": text}
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def answer(text: str | None = "Hello", finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A whole chat answer."""
    message = {"role": "assistant", "content": text}
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


class Asked:
    """One request as it arrived."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.path = lines[0].split()[1]
        self.headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        self.body = json.loads(body) if body else None


class Server:
    """Gives the scripted replies in turn, the last one again and again."""

    def __init__(self, *replies: list[Part]) -> None:
        self.replies, self.asked, self.connections = list(replies), [], 0
        self.peer_gone = asyncio.Event()
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests on one connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                self.asked.append(Asked(head, await reader.readexactly(length)))
                reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
                for part in reply:
                    if part == "reset":
                        writer.transport.abort()
                        return
                    if part == "hold":
                        await reader.read()
                        self.peer_gone.set()
                        return
                    if part == "close":
                        return
                    assert isinstance(part, bytes)
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.peer_gone.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(*replies: list[Part]) -> AsyncIterator[Server]:
    """A server on loopback."""
    server = Server(*replies)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=2**24)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()


WINDOWS = {"openai": openai.OpenAI, "mine": compatible.Compatible, "huggingface": huggingface.HuggingFace}


def ask(*, live: bool = False, routing: Routing | None = None, **options: Any) -> tuple[Request, bool]:
    """A question, and whether it is to be answered live."""
    given_messages = options.pop("messages", HI)
    return Request(model="m", messages=given_messages, options=Options(**options), routing=routing or Routing()), live


async def said(
    server: Server,
    *,
    live: bool = False,
    target: Target = CHAT,
    provider: str = "openai",
    request: Request | None = None,
) -> tuple[list[Delta], Reply]:
    """Ask once and close; the deltas, and the reply that must come last."""
    there = WINDOWS[provider](access(provider, api_key=KEY, base_url=server.url, environ={}))
    try:
        items = [item async for item in there.send(request or ask()[0], target, live=live)]
    finally:
        await there.aclose()
    assert isinstance(items[-1], Reply)
    assert all(isinstance(item, Delta) for item in items[:-1])
    return items[:-1], items[-1]  # type: ignore[return-value]


async def fault(*reply: Part, live: bool = False, **where: Any) -> errors.PRSMError:
    """What is raised over this reply, asked once."""
    async with serving(list(reply)) as server:
        with pytest.raises(errors.PRSMError) as caught:
            await said(server, live=live, **where)
        assert len(server.asked) <= 1, "retry lives in the engine, not here"
    return caught.value


# ------------------------------------------------------------------------------------------------ good answers


async def test_a_whole_answer_comes_through_the_sdk():
    """One reply, with what was counted, and the connection is kept for the next question."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    async with serving([http(answer(usage=usage))]) as server:
        there = openai.OpenAI(access("openai", api_key=KEY, base_url=server.url, environ={}))
        replies = [item for _ in range(3) async for item in there.send(ask()[0], CHAT, live=False)]
        await there.aclose()

    assert {
        (r.text, r.finish_reason, r.served_model, r.usage.prompt_tokens, r.usage.cached_tokens) for r in replies
    } == {("Hello", "stop", "m-1", 9, 4)}
    assert (len(server.asked), server.connections) == (3, 1)
    assert server.asked[0].path == "/v1/chat/completions"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].body == {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_live_answer_comes_in_pieces_and_ends_with_one_reply():
    """The pieces are the reply's text; usage came after the finish."""
    events = data(
        piece(""),
        piece("Hel"),
        piece("lo"),
        piece(finish="stop"),
        {"id": "c1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
        "[DONE]",
    )
    async with serving([SSE, events, END]) as server:
        deltas, reply = await said(server, live=True)

    assert "".join(delta.text for delta in deltas) == reply.text == "Hello"
    assert (reply.finish_reason, reply.usage.prompt_tokens, reply.usage.completion_tokens) == ("stop", 9, 2)
    assert server.asked[0].body["stream_options"] == {"include_usage": True}


async def test_reasoning_models_are_asked_on_responses():
    """And nothing is stored at the provider."""
    whole = {
        "id": "r1",
        "model": "m-1",
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }
    async with serving([http(whole)]) as server:
        _, reply = await said(server, target=REASONS)

    assert (server.asked[0].path, server.asked[0].body["store"], reply.text) == ("/v1/responses", False, "Hello")


async def test_penalties_go_to_chat_where_the_model_takes_them_there():
    """Responses has no place for them; a model that samples while it does not reason is asked on chat."""
    request = ask(frequency_penalty=0.5, extra={"effort": "none"})[0]
    async with serving([http(answer())]) as server:
        _, reply = await said(server, target=REASONS, request=request)

    assert (server.asked[0].path, server.asked[0].body["frequency_penalty"]) == ("/v1/chat/completions", 0.5)
    assert reply.text == "Hello"


async def test_a_stream_that_stays_open_after_done_is_over():
    """Some servers keep the connection; nobody waits for it, and it is closed."""
    async with serving([SSE, data(piece("Hi"), piece(finish="stop"), "[DONE]"), "hold"]) as server:
        async with asyncio.timeout(5):
            _, reply = await said(server, live=True)
            await server.peer_gone.wait()

    assert (reply.text, reply.finish_reason) == ("Hi", "stop")


async def test_closing_a_live_answer_closes_the_connection():
    """Who stops listening stops paying."""
    async with serving([SSE, data(piece("Hi")), "hold"]) as server, asyncio.timeout(5):
        there = openai.OpenAI(access("openai", api_key=KEY, base_url=server.url, environ={}))
        stream = there.send(ask()[0], CHAT, live=True)
        assert (await anext(stream)).text == "Hi"
        await stream.aclose()
        await server.peer_gone.wait()
        await there.aclose()


@pytest.mark.parametrize("live", [False, True])
async def test_cancelling_a_question_closes_the_connection(live):
    """Before the first byte and between two pieces."""
    script = [SSE, data(piece("Hi")), "hold"] if live else ["hold"]
    async with serving(script) as server, asyncio.timeout(5):
        there = openai.OpenAI(access("openai", api_key=KEY, base_url=server.url, environ={}))

        async def listen() -> None:
            async for _ in there.send(ask()[0], CHAT, live=live):
                pass

        task = asyncio.create_task(listen())
        while not server.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.peer_gone.wait()
        await there.aclose()


async def test_a_compressed_answer_is_read():
    """The transport leaves decompression to the client."""
    async with serving([http(gzip.compress(json.dumps(answer()).encode()), content_encoding="gzip")]) as server:
        assert (await said(server))[1].text == "Hello"


async def test_a_wrong_content_type_does_not_matter():
    """The JSON is right."""
    async with serving([http(answer(), kind="text/plain")]) as server:
        assert (await said(server))[1].text == "Hello"


# --------------------------------------------------------------------------------------- bodies and streams that lie

GOOD = json.dumps(answer()).encode()

BODIES = {
    "html": (http(b"<!doctype html><html>Sign in</html>", kind="text/html"), errors.ProviderError, "malformed"),
    "empty": (http(b""), errors.ProviderError, "malformed"),
    "cut json": (http(GOOD[:40]), errors.ProviderError, "malformed"),
    "two documents": (http(GOOD + GOOD), errors.ProviderError, "malformed"),
    "a list": (http([]), errors.ProviderError, "malformed"),
    "no choices": (http(answer() | {"choices": []}), errors.ProviderError, "malformed"),
    "null choices": (http(answer() | {"choices": None}), errors.ProviderError, "malformed"),
    "null message": (
        http({"choices": [{"index": 0, "message": None, "finish_reason": "stop"}]}),
        errors.ProviderError,
        "malformed",
    ),
    "null content": (http(answer(None)), errors.ProviderError, "malformed"),
    "null finish, no text": (http(answer(None, None)), errors.ProviderError, "malformed"),
    "error finish": (
        http(answer("Hel", "error") | {"choices": [{"message": {"content": None}, "finish_reason": "error"}]}),
        errors.ProviderError,
        "malformed",
    ),
    "error object": (http({"error": {"message": "boom", "type": "server_error"}}), errors.ProviderError, "server"),
    "error text": (http({"error": "boom"}), errors.ProviderError, "server"),
    "error with a status": (http({"error": {"message": "slow down", "code": 429}}), errors.RateLimitError, None),
    "flat error": (
        http({"object": "error", "message": "the maximum context length is 5", "code": 400}),
        errors.InvalidRequestError,
        "context_length",
    ),
    "short body": (http(GOOD).replace(b"content-length: ", b"content-length: 9") + b"", errors.ProviderError, None),
    "bad gzip": (http(b"no gzip at all", content_encoding="gzip"), errors.ProviderError, "malformed"),
    "no http": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", errors.ProviderError, None),
}


@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES)
async def test_a_body_that_holds_no_answer_is_no_answer(case):
    """Typed, asked once, and never an empty success."""
    reply, cls, kind = case
    found = await fault(reply, "close")

    assert type(found) is cls
    assert kind is None or found.details["kind"] == kind
    assert found.provider == "openai"


HALF = data(piece("Hel"))
STREAMS = {
    "ends early": ([SSE, HALF, END], "truncated", "Hel"),
    "ends early after done": ([SSE, HALF, data("[DONE]"), END], "truncated", "Hel"),
    "cut in a line": ([SSE, HALF, chunk(b'data: {"id": "c1", "choi'), END], "malformed", "Hel"),
    "cut in a chunk": ([SSE, HALF, b"ff\r\ndata: ", "close"], "stream", "Hel"),
    "reset": ([SSE, HALF, "reset"], "stream", "Hel"),
    "broken event": ([SSE, HALF, chunk(b"data: {broken\n\n"), END], "malformed", "Hel"),
    "error object": ([SSE, HALF, data({"error": {"message": "boom", "type": "server_error"}}), END], "server", "Hel"),
    "error text": ([SSE, HALF, data({"error": "boom"}), END], "server", "Hel"),
    "named error event": ([SSE, HALF, chunk(b"event: error\ndata: it broke\n\n"), END], "server", "Hel"),
    "flat error": (
        [SSE, HALF, data({"object": "error", "message": "engine is overloaded", "code": 503}), END],
        "overloaded",
        "Hel",
    ),
    "unknown finish": ([SSE, HALF, data(piece(finish="abort")), END], "truncated", "Hel"),
    "refusal that ends early": ([SSE, data({"choices": [{"delta": {"refusal": "I can"}}]}), END], "truncated", "I can"),
    "json instead": ([http(answer())], "malformed", ""),
    "json error instead": ([http({"error": {"message": "boom", "type": "server_error"}})], "server", ""),
    "json error in two reads": (
        [SSE, chunk(b' {"error": {"mess'), chunk(b'age": "engine is overloaded"}}'), END],
        "overloaded",
        "",
    ),
    "html instead": ([http(b"<html>Sign in</html>", kind="text/html")], "malformed", ""),
    "empty": ([SSE, END], "truncated", ""),
    "empty body": ([http(b"")], "truncated", ""),
}


@pytest.mark.parametrize("case", STREAMS.values(), ids=STREAMS)
async def test_a_stream_without_its_end_is_no_success(case):
    """All SDKs end these silently or raise ten different classes; here: one error, and the text so far."""
    reply, kind, text = case
    found = await fault(*reply, live=True)

    assert isinstance(found, errors.ProviderError)
    assert found.details["kind"] == kind
    assert found.partial is not None
    assert (found.partial.text or "", found.partial.finish_reason) == (text, None)


async def test_done_may_lack_and_the_connection_may_drop_after_the_finish():
    """A finish reason was seen: the answer is whole, whatever the connection does then."""
    for rest in ([END], ["close"]):
        async with serving([SSE, data(piece("Hi"), piece(finish="stop")), *rest]) as server:
            assert (await said(server, live=True))[1].finish_reason == "stop"


@pytest.mark.parametrize(("where", "what"), [([], "first token"), ([SSE, HALF], "between tokens")])
async def test_silence_ends_by_the_idle_time(monkeypatch, where, what):
    """Before the first byte, and in the middle; what came is kept."""
    monkeypatch.setattr(window, "IDLE_SECONDS", 0.15)
    found = await fault(*where, "hold", live=True)

    assert isinstance(found, errors.TimeoutError)
    assert found.details["kind"] == what
    assert (found.partial.text if found.partial else None) == ("Hel" if where else None)


async def test_a_body_larger_than_the_cap_is_not_read_to_its_end(monkeypatch):
    """Decoded bytes count: a bomb is small on the wire."""
    monkeypatch.setattr(window, "MOST_BYTES", 100_000)
    bomb = gzip.compress(b" " * 10_000_000)
    for reply, live in (
        (http(bomb, content_encoding="gzip"), False),
        (http(b" " * 1_000_000), False),
        (SSE + b"".join(chunk(": " + "x" * 9000 + "\n\n") for _ in range(20)) + END, True),
    ):
        found = await fault(reply, live=live)
        assert (type(found), found.details["kind"]) == (errors.ProviderError, "malformed")
        assert "larger" in found.message


async def test_a_refused_connection_is_no_timeout():
    """The aiohttp transport says time-out for both; the cause tells."""
    async with serving([b""]) as server:
        pass
    found = None
    with pytest.raises(errors.PRSMError) as caught:
        await said(server)
    found = caught.value

    assert (type(found), found.details["kind"]) == (errors.ProviderError, "connection")


@pytest.mark.parametrize("live", [False, True])
async def test_a_reset_before_the_reply_is_a_connection_fault(live):
    """It may be tried again."""
    found = await fault("reset", live=live)

    assert (type(found), found.details["kind"], found.verdict) == (errors.ProviderError, "connection", "retry")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status):
    """The prompt is not posted to another host."""
    async with serving([http(answer())]) as elsewhere:
        found = await fault(http(b"", status, location=f"{elsewhere.url}/chat/completions"))

    assert (type(found), found.details["kind"], elsewhere.asked) == (errors.ProviderError, "redirect", [])


STATUSES = {
    400: errors.InvalidRequestError, 401: errors.AuthenticationError, 402: errors.InsufficientCreditsError,
    403: errors.AuthenticationError, 404: errors.NotFoundError, 408: errors.ProviderError, 409: errors.ProviderError,
    413: errors.InvalidRequestError, 422: errors.InvalidRequestError, 429: errors.RateLimitError,
    500: errors.ProviderError, 502: errors.ProviderError, 503: errors.ProviderError, 504: errors.ProviderError,
    520: errors.ProviderError, 529: errors.ProviderError,
}  # fmt: skip


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("status", STATUSES)
async def test_each_status_becomes_one_class_and_is_asked_once(status, live):
    """With the provider's words, and its request id."""
    found = await fault(http({"error": {"message": "because", "type": "x"}}, status, x_request_id="req-7"), live=live)

    assert type(found) is STATUSES[status]
    assert (found.request_id, found.provider) == ("req-7", "openai")
    assert "because" in found.message


async def test_a_hint_to_wait_is_read_and_not_slept():
    """The SDK would sleep; the engine decides."""
    found = await fault(http({"error": {"message": "slow"}}, 429, retry_after_ms="1500", retry_after="9"))
    quota = await fault(
        http({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, 429)
    )

    assert (type(found), found.retry_after) == (errors.RateLimitError, 1.5)
    assert type(quota) is errors.InsufficientCreditsError


@pytest.mark.parametrize("body", [b"<html>502</html>", b"\xff\xfe\xfd", b"{broken", b"", b"[1]", b"null"])
async def test_an_error_in_any_body_is_that_error(body):
    """A page is not shown."""
    found = await fault(http(body, 502, kind="text/html; charset=bogus"))

    assert type(found) is errors.ProviderError
    assert "<html" not in found.message


# --------------------------------------------------------------------------------------------------- keys, hosts


async def test_no_key_no_request():
    """The message says where it is looked for."""
    async with serving([http(answer())]) as server:
        for provider, variable in (("openai", "OPENAI_API_KEY"), ("huggingface", "HF_TOKEN")):
            there = WINDOWS[provider](access(provider, base_url=server.url, environ={}))
            with pytest.raises(errors.AuthenticationError, match=f"{variable}.*api_key"):
                [item async for item in there.send(ask()[0], CHAT, live=False)]
        assert server.asked == []


async def test_a_keyless_server_never_gets_this_machines_key(monkeypatch):
    """Nor the organisation, the project or the headers that the SDK reads from the environment."""
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, f"leaked-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leaked: leaked-header\nAuthorization: Bearer leaked-auth")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    async with serving([http(answer())]) as server:
        for provider in WINDOWS:
            await said(server, provider=provider)
        there = compatible.Compatible(Access(provider="local", base_url=server.url))
        assert [item.text async for item in there.send(ask()[0], CHAT, live=False)] == ["Hello"]
        await there.aclose()

    assert "leaked" not in json.dumps([asked.headers for asked in server.asked]).lower()


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that hangs on it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("reply", "live"),
    [
        ([http({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)], False),
        (["reset"], False),
        ([http({"error": {"message": f"bad {KEY}"}})], False),
        ([SSE, HALF, "reset"], True),
        ([http(b"{")], False),
        ([SSE, data({"error": {"message": f"bad {KEY}"}}), END], True),
    ],
    ids=["echoed", "reset", "in a body", "mid-stream", "malformed", "error event"],
)
async def test_the_key_is_in_no_message_chain_or_log(reply, live, caplog):
    """Not in the text, not in an exception that hangs on it, not in the SDK's DEBUG log, not in a frame's locals."""
    caplog.set_level(logging.DEBUG)
    found = await fault(*reply, live=live)

    shown = "".join(traceback.TracebackException.from_exception(found, capture_locals=True).format())
    assert [link for link in chain(found) if not isinstance(link, errors.PRSMError)] == []
    assert KEY not in str(found) + repr(found) + json.dumps(found.to_dict())
    own_frames = [
        line
        for line in shown.splitlines()
        if KEY in line and "test_" not in line and "reply" not in line and "part" not in line
    ]
    assert own_frames == []
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "messages", [({"role": "user", "content": "lone \ud83d"},), ({"role": "user", "content": object()},)]
)
async def test_what_no_wire_can_carry_is_refused_before_it_is_sent(messages):
    """It would fail everywhere: no retry, no other provider."""
    async with serving([http(answer())]) as server:
        with pytest.raises(errors.InvalidRequestError):
            await said(server, request=ask(messages=messages)[0])
        assert server.asked == []


async def test_an_address_that_is_none_is_a_fault_of_the_request():
    """Not of this library."""
    there = compatible.Compatible(Access(provider="mine", base_url="http://127.0.0.1:99999/v1"))
    with pytest.raises(errors.InvalidRequestError, match="base_url"):
        [item async for item in there.send(ask()[0], CHAT, live=False)]


# ----------------------------------------------------------------------------------------------- compatible, HF


async def test_a_server_without_stream_options_is_asked_once_more_and_remembered():
    """It says so with a 400 that names them."""
    refusal = [http({"error": {"message": "Unrecognized request argument: stream_options"}}, 400)]
    good: list[Part] = [SSE, data(piece("Hi"), piece(finish="stop"), "[DONE]"), END]
    async with serving(refusal, good) as server:
        there = compatible.Compatible(Access(provider="mine", base_url=server.url))
        for _ in range(2):
            items = [item async for item in there.send(ask()[0], CHAT, live=True)]
            assert items[-1].finish_reason == "stop"
        await there.aclose()

    assert ["stream_options" in asked.body for asked in server.asked] == [True, False, False]


async def test_a_compatible_server_gets_the_conservative_body():
    """`max_tokens` and `system`, for llama.cpp's sake; no reasoning text goes back."""
    messages = (
        {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2", "reasoning_content": "hm"}, {"role": "user", "content": "3"},
    )  # fmt: skip
    async with serving([http(answer())]) as server:
        await said(server, provider="mine", request=ask(messages=messages, max_tokens=5, user="u1")[0])

    body = server.asked[0].body
    assert (body["max_tokens"], body["user"], body["messages"][0]["role"]) == (5, "u1", "system")
    assert "reasoning_content" not in json.dumps(body)


def test_a_name_that_is_not_built_in_is_a_compatible_server():
    """Unless a third party registered it."""
    assert type(connect(Access(provider="vllm", base_url="http://127.0.0.1:1/v1"))) is compatible.Compatible
    assert type(connect(access("openai", api_key=KEY, environ={}), pool=4)) is openai.OpenAI
    assert type(connect(access("huggingface", api_key=KEY, environ={}))) is huggingface.HuggingFace


# ------------------------------------------------------------------------------------------------ pure: requests


def wire(
    target: Target = CHAT, *, dialect: chat.Dialect = "openai", live: bool = False, **options: Any
) -> tuple[dict, tuple[str, ...]]:
    """The body that is sent, and what was dropped."""
    request, live = ask(live=live, **options)
    if target.capabilities.wire == "responses":
        return responses.to_wire(request, target, live=live)
    return chat.to_wire(request, target, live=live, dialect=dialect)


@pytest.mark.parametrize(
    ("target", "options", "parameters"),
    [
        (REASONS, {"temperature": 0.5, "seed": 1}, ["temperature", "seed"]),
        (REASONS, {"stop": ("x",)}, ["stop"]),
        (CHAT, {"temperature": 2.5}, ["temperature"]),
        (CHAT, {"extra": {"effort": "low"}}, ["effort"]),
        (
            Target(provider="mine", model="m", name="m", capabilities=Capabilities(tools=False)),
            {"tools": ({"type": "function", "function": {"name": "f"}},)},
            ["tools"],
        ),
        (
            Target(provider="mine", model="m", name="m", capabilities=Capabilities(schema=False)),
            {"schema": {}},
            ["schema"],
        ),
    ],
)
def test_what_a_model_does_not_take_is_refused_or_dropped_and_listed(target, options, parameters):
    """Never silently gone."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        wire(target, **options)
    body, dropped = wire(target, routing=Routing(on_unsupported="drop"), **options)

    assert (caught.value.details["kind"], caught.value.details["parameters"]) == ("unsupported_parameter", parameters)
    assert list(dropped) == parameters
    assert not set(parameters) & set(body)
    assert "reasoning_effort" not in body


def test_sampling_is_taken_while_the_model_does_not_reason():
    """Blanket stripping by the model's name is a bug too."""
    assert wire(REASONS, temperature=0.5, extra={"effort": "none"})[0]["temperature"] == 0.5


@pytest.mark.parametrize("extra", [{"model": "x"}, {"messages": []}, {"temperature": 1}, {"stream": True}, {"n": 2}])
def test_extra_does_not_contradict_what_is_already_said(extra):
    """Nor does it ask for what no reader of one answer expects: a second choice is paid and lost."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        wire(temperature=0.5, extra=extra)
    assert caught.value.details["parameter"] == f"extra.{next(iter(extra))}"


def test_extra_is_merged_last():
    """Provider-specific options pass as they are."""
    assert wire(extra={"logprobs": True})[0]["logprobs"] is True


@pytest.mark.parametrize("name", [m.name for m in catalog.all_models() if m.provider == "openai"])
def test_every_openai_model_of_the_catalogue_takes_a_plain_question(name):
    """On the wire that the catalogue names."""
    known = catalog.find(name)
    target = Target(provider="openai", model=known.id, name=known.name, capabilities=known.capabilities)
    body, dropped = wire(target, max_tokens=100)

    assert (body["model"], dropped) == (known.id, ())
    assert body.get("max_completion_tokens") == 100 or body.get("max_output_tokens") == 100


def test_a_schema_that_strict_mode_refuses_is_sent_unstrict():
    """Strict wants closed objects with every property required; the API answers 400 to anything else."""
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    open_ = {"type": "object", "properties": {"a": {"type": "string"}}}

    assert wire(schema=closed, schema_name="x")[0]["response_format"]["json_schema"]["strict"] is True
    assert wire(schema=open_, schema_name="x")[0]["response_format"]["json_schema"]["strict"] is False
    assert wire(REASONS, schema=open_, schema_name="Ä b")[0]["text"]["format"]["name"] == "__b"


# ------------------------------------------------------------------------------------------------- pure: answers


def read(**changes: Any) -> Reply:
    """A whole chat answer with changes, read."""
    return chat.from_wire(json.dumps(answer() | changes).encode(), provider="p")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (None, None, None)),
        ({}, (None, None, None)),
        ([], (None, None, None)),
        ("many", (None, None, None)),
        ({"prompt_tokens": 9.0, "completion_tokens": "3"}, (9, None, None)),
        ({"prompt_tokens": -1, "completion_tokens": 3}, (None, 3, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (None, None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "cost": 0.25, "prompt_tokens_details": None}, (9, 3, 0.25)),
        ({"prompt_tokens": True, "completion_tokens": 3, "cost": -1}, (None, 3, None)),
    ],
)
def test_a_count_that_cannot_be_is_unknown_and_the_answer_stands(usage, expected):
    """An answer that was paid is not thrown away for its bookkeeping; unknown is None, never 0."""
    counted = read(usage=usage).usage

    assert (counted.prompt_tokens, counted.completion_tokens, counted.charged) == expected


def test_odd_fields_that_nobody_needs_do_not_spoil_an_answer():
    """Numbers as ids, objects as tiers, unknown fields."""
    reply = read(id=7, service_tier={}, model=None, created="now", more={})

    assert (reply.text, reply.usage.tier) == ("Hello", None)


def test_lone_surrogates_and_invalid_bytes_are_replaced_and_flagged():
    """Nothing downstream takes them: no file, no frame, no database."""
    raw = json.dumps(answer("H@")).encode()
    for bad in (b"\\ud83d", b"\xff"):
        reply = chat.from_wire(raw.replace(b"@", bad), provider="p")
        assert (reply.text, reply.repaired) == ("H�", True)
    assert chat.from_wire(raw.replace(b"@", "😀\x7f".encode()), provider="p").repaired is False


@pytest.mark.parametrize("pair", [("\ud83d", "\ude00"), ("a\ud83d", "\ude00b")])
def test_a_pair_that_is_cut_between_two_events_is_one_character(pair):
    """Servers that think in UTF-16 cut there; the reader sees the emoji, not two holes."""
    fold = chat.Fold("p")
    shown = "".join(delta.text for text in pair for delta in fold.feed(Event(None, json.dumps(piece(text)).encode())))
    fold.feed(Event(None, json.dumps(piece(finish="stop")).encode()))
    reply = fold.end()

    assert shown == reply.text == "".join(pair).encode("utf-16", "surrogatepass").decode("utf-16")
    assert reply.repaired is False


def stream(*deltas: dict[str, Any], finish: str = "tool_calls") -> tuple[list[Delta], Reply]:
    """These deltas of a chat stream, folded."""
    fold = chat.Fold("p")
    out = [d for delta in deltas for d in fold.feed(Event(None, json.dumps({"choices": [{"delta": delta}]}).encode()))]
    out += fold.feed(Event(None, json.dumps(piece(finish=finish)).encode()))
    return out, fold.end()


def part(text: str = "", **more: Any) -> dict[str, Any]:
    """A piece of a tool call."""
    name = more.pop("name", None)
    return {"tool_calls": [{**more, "function": {"arguments": text, **({"name": name} if name else {})}}]}


@pytest.mark.parametrize(
    "pieces",
    [
        [
            part(index=0, id="a", name="f"),
            part('{"x":1}', index=0),
            part(index=1, id="b", name="g"),
            part('{"y":2}', index=1),
        ],
        [part('{"x":1}', id="a", name="f"), part('{"y":2}', id="b", name="g")],
        [part('{"x":1}', index=0, id="a", name="f"), part('{"y":2}', index=0, id="b", name="g")],
        [part('{"x":1}', index=0, name="f"), part('{"y":2}', index=0, name="g")],
        [part('{"x":1}', name="f"), part('{"y":2}', name="g")],
        [
            part('{"x"', index=0, id="a", name="f"),
            part(":1}", index=0, id="", name=""),
            part('{"y":2}', index=1, id="b", name="g"),
        ],
        [
            part('{"x"', index=0, id="a", name="f"),
            part(":1}", index=0, id="a", name="f"),
            part('{"y":2}', index=1, id="b", name="g"),
        ],
    ],
    ids=[
        "as it should be",
        "no index",
        "all index 0",
        "all index 0, no ids",
        "nothing but names",
        "empty ids",
        "all repeated",
    ],
)
def test_tool_calls_are_told_apart_however_they_are_numbered(pieces):
    """By index, by id, by order; each with its own arguments."""
    deltas, reply = stream(*pieces)

    assert [(call.name, json.loads(call.arguments)) for call in reply.tool_calls] == [("f", {"x": 1}), ("g", {"y": 2})]
    assert len({call.id for call in reply.tool_calls}) == 2
    heard = {n: "".join(d.arguments for d in deltas if d.call_index == n) for n in (0, 1)}
    assert heard == {0: '{"x":1}', 1: '{"y":2}'}


def test_a_call_that_was_cut_is_length_and_not_a_call():
    """Half arguments must not run."""
    assert stream(part('{"x":', index=0, id="a", name="f"), finish="length")[1].finish_reason == "length"


@pytest.mark.parametrize("order", ["completed twice", "text only at the end", "call only at the end"])
def test_responses_streams_of_other_servers(order):
    """A repeated event counts once; what came only in the final object is still delivered."""
    text = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hi"}
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1}'}
    output = {"completed twice": [message], "text only at the end": [message], "call only at the end": [call]}[order]
    end = {"type": "response.completed", "sequence_number": 2, "response": {"status": "completed", "output": output}}
    events = [text, text, end, end] if order == "completed twice" else [end]
    fold = responses.Fold("p")
    deltas = [delta for event in events for delta in fold.feed(Event(None, json.dumps(event).encode()))]
    reply = fold.end()

    assert "".join(delta.text for delta in deltas) == reply.text == ("" if order.startswith("call") else "Hi")
    assert [json.loads(c.arguments) for c in reply.tool_calls] == ([{"x": 1}] if order.startswith("call") else [])
    assert reply.finish_reason == ("tool_calls" if order.startswith("call") else "stop")


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "message", "delta", "content", "finish_reason", "tool_calls", "function", "usage", "error", "index", "id",
                         "output", "response", "type", "status", "item", "x"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSONISH)
def test_no_body_whatever_its_shape_raises_anything_but_ours(body):
    """Or is taken for an answer without a finish reason."""
    raw = json.dumps(body).encode()
    for whole, fold in ((chat.from_wire, chat.Fold), (responses.from_wire, responses.Fold)):
        with suppress(errors.PRSMError):
            assert whole(raw, provider="p").finish_reason is not None
        with suppress(errors.PRSMError):
            reader = fold("p")
            reader.feed(Event(None, raw))
            assert reader.end().finish_reason is not None


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_ours(raw):
    """A body can be anything."""
    for whole, fold in ((chat.from_wire, chat.Fold), (responses.from_wire, responses.Fold)):
        for act in (lambda whole=whole: whole(raw, provider="p"), lambda fold=fold: fold("p").feed(Event(None, raw))):
            with suppress(errors.PRSMError):
                act()


def test_the_key_shows_nowhere_in_the_window():
    """repr of the window and of what it holds."""
    there = openai.OpenAI(Access(provider="openai", base_url="http://127.0.0.1:1/v1", key=Secret(KEY)))

    assert KEY not in repr(there) + repr(vars(there)) + repr(fit.SAMPLING)
