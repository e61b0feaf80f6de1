"""Server-sent events: a provider's stream passed on piece by piece, for as long as somebody listens.

The response owns the engine's stream itself. Whatever ends it early (the client left or reads no more, the key was
revoked, the server stops) closes the provider's stream at once: that is what stops paying.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from prsm_lab.errors import AuthenticationError, CancelledError, ProviderError, PRSMError
from prsm_lab.server import outside
from prsm_lab.types import Delta, Inference

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from prsm_lab.server.visit import Visit
    from prsm_lab.types import Request

HEARTBEAT_SECONDS: Final = 10.0
"""Silence after which a comment is sent, so that proxies keep the connection."""
LOOK_SECONDS: Final = 0.5
"""How often a silent stream looks whether its key is still good and the server still open."""
WRITE_SECONDS: Final = 30.0
"""How long a client may read nothing before it is left."""
MOST_WAITING: Final = 256
"""Pieces read ahead of a slow client."""
DONE: Final = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Wording(Protocol):
    """How a stream is worded on a route."""

    def piece(self, delta: Delta) -> Any:
        """Return an event's document for a piece; None: nothing to say."""
        ...

    def end(self, inference: Inference) -> list[Any]:
        """Return the last events' documents."""
        ...

    def fault(self, error: PRSMError) -> Any:
        """Return an error event's document."""
        ...


class Seed:
    """The seed's events; `whole` sends the values themselves, for the remote engine."""

    def __init__(self, id: str, *, whole: bool) -> None:
        self._id = id
        self._whole = whole

    def piece(self, delta: Delta) -> Any:
        if self._whole:
            return {"delta": delta}
        said: dict[str, Any] = {}
        if delta.text:
            said["content"] = delta.text
        if delta.reasoning:
            said["reasoning"] = delta.reasoning
        if delta.restart is not None:
            said["restart"] = delta.restart
        if delta.call_index is not None:
            said["tool_calls"] = [call(delta)]
        return {"id": self._id, "object": "inference.delta", "choices": [{"delta": said}]} if said else None

    def end(self, inference: Inference) -> list[Any]:
        if self._whole:
            return [{"inference": outside.inference(inference)}]
        whole = inference.to_dict()
        return [{
            "id": self._id, "object": "inference.completed", "model": inference.model, "provider": inference.provider,
            "choices": [{"delta": {}, "finish_reason": inference.finish_reason}], "usage": whole["usage"],
            "cost": whole["cost"], "latency_ms": inference.latency_ms, "ttft_ms": inference.ttft_ms,
            "cached": inference.cached, "served_model": inference.served_model,
        }]  # fmt: skip

    def fault(self, error: PRSMError) -> Any:
        return outside.document(error, whole=self._whole)


def call(delta: Delta) -> dict[str, Any]:
    """A piece of a tool call in OpenAI's shape."""
    function: dict[str, Any] = {"arguments": delta.arguments}
    if delta.call_name is not None:
        function["name"] = delta.call_name
    piece: dict[str, Any] = {"index": delta.call_index, "function": function}
    if delta.call_id is not None:
        piece |= {"id": delta.call_id, "type": "function"}
    return piece


class EventStream:
    """ASGI response. A fault before the first piece is an ordinary error answer; after it, an event."""

    def __init__(self, visit: Visit, question: Request, wording: Wording) -> None:
        self._visit = visit
        self._house = visit.house
        self._question = question
        self._wording = wording
        self._waiting: deque[Delta | Inference | PRSMError | None] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._started = False
        self._characters = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI's signature
        async with await self._house.admission.enter(self._visit.key, self._question) as seat:
            self._house.counts["open"] += 1
            pump = asyncio.ensure_future(self._pump(seat.request))
            gone = asyncio.ensure_future(self._visit.gone())
            gone.add_done_callback(lambda _: self._news.set())
            try:
                inference = await self._pass_on(send, gone)
                if inference is not None:
                    seat.answered(inference)
            finally:
                self._house.counts["open"] -= 1
                gone.cancel()
                if not pump.done():
                    pump.cancel()
                await asyncio.wait({pump})
                if not seat.settled and self._characters:
                    await seat.cut(self._characters)

    async def _pump(self, request: Request) -> None:
        """Own the engine's stream from first to last piece."""
        try:
            async with aclosing(self._house.engine.stream(request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Delta):
                        self._characters += len(piece.text) + len(piece.reasoning) + len(piece.arguments)
                    self._put(piece)
                    if len(self._waiting) >= MOST_WAITING:
                        self._room.clear()
                        await self._room.wait()
        except PRSMError as error:
            self._put(error)
        finally:
            self._put(None)

    def _put(self, piece: Delta | Inference | PRSMError | None) -> None:
        self._waiting.append(piece)
        self._news.set()

    async def _pass_on(self, send: Send, gone: asyncio.Future[None]) -> Inference | None:
        """Write what comes until the end; return the whole answer if there was one."""
        spoke = looked = time.monotonic()
        while True:
            if not self._waiting:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    pass
            self._news.clear()
            if gone.done():
                raise CancelledError("The client left.")
            now = time.monotonic()
            if now - looked >= LOOK_SECONDS:
                looked = now
                if (ended := self._ended()) is not None:
                    await self._end_with(send, ended)
                    return None
            if self._waiting:
                written, inference, fault, over = self._taken()
                if fault is not None and not self._started and not written:
                    raise fault
                if written:
                    await self._write(send, written)
                    spoke = now
                if over:
                    await self._close(send, fault)
                    return inference
            elif now - spoke >= HEARTBEAT_SECONDS:
                await self._write(send, b": still waiting\n\n")
                spoke = now

    def _taken(self) -> tuple[bytes, Inference | None, PRSMError | None, bool]:
        """Take all pieces that wait and write them as one chunk."""
        written, inference, fault, over = [], None, None, False
        while self._waiting:
            piece = self._waiting.popleft()
            if piece is None:
                over = True
            elif isinstance(piece, Delta):
                if (said := self._wording.piece(piece)) is not None:
                    written.append(event(said))
            elif isinstance(piece, Inference):
                inference = piece
                written += [event(said) for said in self._wording.end(piece)]
                written.append(DONE)
            else:
                fault = piece
        self._room.set()
        if inference is not None or fault is not None:
            over = True
        return b"".join(written), inference, fault, over

    def _ended(self) -> PRSMError | None:
        """Why the stream must end now, if it must."""
        if self._house.closing.is_set():
            return ProviderError("The share server is stopping; ask again in a moment.", details={"kind": "stopping"})
        key = self._house.accounts.find(self._visit.key.id)
        if key is None or not key[0].is_good(time.time()):
            return AuthenticationError("This key was revoked or has expired.", details={"kind": "revoked"})
        return None

    async def _end_with(self, send: Send, why: PRSMError) -> None:
        if not self._started:
            raise why
        await self._close(send, why)

    async def _write(self, send: Send, chunk: bytes) -> None:
        if not self._started:
            self._started = True
            self._house.counts["streams"] += 1
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            raise CancelledError("The client reads no more.") from None

    async def _close(self, send: Send, fault: PRSMError | None) -> None:
        last = b"" if fault is None else b"event: error\n" + event(self._wording.fault(fault))
        if not self._started:
            await self._write(send, last)
            last = b""
        await send({"type": "http.response.body", "body": last, "more_body": False})


def event(content: Any) -> bytes:
    """Write one event. JSON has no line breaks of its own, so no text of a model can begin another event."""
    return b"data: " + _encode(content) + b"\n\n"


async def stream(visit: Visit) -> EventStream:
    """`POST /v1/inference/stream`."""
    from prsm_lab.engine.embedded import new_id
    from prsm_lab.server import reading

    visit.need("infer")
    id = new_id()  # noqa: A001 -- the seed's word
    question = reading.question(visit.house, visit.key, await visit.body(), id=id)
    return EventStream(visit, question, Seed(id, whole=visit.whole))
