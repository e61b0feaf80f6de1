"""What a driver and its workers say to each other: frames of msgpack over one connection. Nothing is ever pickled."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import errors
from prsm_lab.errors import PRSMError
from prsm_lab.types import JSON, Reply, Request, Target  # noqa: TC001 -- msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES: Final = 256 * 2**20
"""Of one message: a question with its images and documents."""
HELLO_BYTES: Final = 64 * 2**10
"""Of the first message, before its sender is known."""
_HEAD: Final = struct.Struct(">IB")
_MSGPACK, _JSON = 0, 1


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of all messages; its kind is the class's name."""


class Hello(Message, frozen=True, tag=True):
    """A worker introduces itself."""

    token: str
    version: str
    name: str
    lacks: dict[str, str] = {}
    """Providers that it cannot ask, and why."""


class Refused(Message, frozen=True, tag=True):
    """The driver does not take it."""

    reason: str


class Ask(Message, frozen=True, tag=True):
    """Send this question to its provider."""

    n: int
    request: Request
    target: Target


class Drop(Message, frozen=True, tag=True):
    """Nobody waits for this answer any more: stop paying."""

    n: int


class Answered(Message, frozen=True, tag=True):
    """What the provider said, and how long that took it in milliseconds."""

    n: int
    reply: Reply
    ms: float


class Failed(Message, frozen=True, tag=True):
    """A fault, whole: the driver judges it as if it were its own."""

    n: int
    code: str
    message: str
    details: JSON = {}
    request_id: str | None = None
    provider: str | None = None
    verdict: errors.Verdict = "stop"
    max_retries: int | None = None
    closes_route: bool = False
    partial: Reply | None = None
    retry_after: float | None = None


class Beat(Message, frozen=True, tag=True):
    """A sign of life, which is returned."""


class End(Message, frozen=True, tag=True):
    """The run has ended."""


_Any = Hello | Refused | Ask | Drop | Answered | Failed | Beat | End
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder(_Any).decode


def encoded(message: Message) -> bytes:
    """Return a message as a frame; text with lone surrogates, which fits no UTF-8, travels escaped.

    >>> decoded(*split(encoded(Drop(7))))
    Drop(n=7)
    """
    try:
        return _framed(_MSGPACK, _encode(message))
    except UnicodeEncodeError:
        return _framed(_JSON, json.dumps(msgspec.to_builtins(message, enc_hook=str)).encode())


def _framed(kind: int, body: bytes) -> bytes:
    return _HEAD.pack(len(body), kind) + body


def split(frame: bytes) -> tuple[int, bytes]:
    """Return the kind and the body of a frame."""
    return _HEAD.unpack_from(frame)[1], frame[_HEAD.size :]


def decoded(kind: int, body: bytes) -> Any:
    """Return the message of a frame.

    Raises:
        ValueError: If it is none.
    """
    return _decode(body) if kind == _MSGPACK else msgspec.convert(json.loads(body), _Any)


_BY_CODE: Final[Mapping[str, type[PRSMError]]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PRSMError)
}


def failed(n: int, fault: PRSMError) -> Failed:
    """Return what a fault is on the way."""
    return Failed(
        n, fault.code, fault.message, fault.details, fault.request_id, fault.provider, fault.verdict, fault.max_retries,
        fault.closes_route, fault.partial, fault.retry_after,
    )  # fmt: skip


def fault_of(told: Failed) -> PRSMError:
    """Return the fault again, of the class that was raised.

    >>> raised = errors.RateLimitError("slow down", retry_after=2.0)
    >>> again = fault_of(failed(1, raised))
    >>> type(again).__name__, again.retry_after, again.verdict
    ('RateLimitError', 2.0, 'retry')
    """
    return _BY_CODE.get(told.code, errors.InternalError)(
        told.message, details=told.details, request_id=told.request_id, provider=told.provider, verdict=told.verdict,
        max_retries=told.max_retries, closes_route=told.closes_route, partial=told.partial,
        retry_after=told.retry_after,
    )  # fmt: skip


class Link:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def post(self, message: Message) -> None:
        """Send a message; what the other side does not read yet waits here."""
        self.send(encoded(message))

    def send(self, frame: bytes) -> None:
        """Send a frame. That the connection is lost is noticed by `receive`."""
        if not self._writer.is_closing():
            self._writer.write(frame)

    async def receive(self, most: int = MOST_BYTES) -> Any:
        """Return the next message.

        Args:
            most: Bytes that it may have.

        Raises:
            OSError: If the connection is lost.
            EOFError: If it ended.
            ValueError: If what came is no message, or too long a one.
        """
        size, kind = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
        if size > most:
            raise ValueError(f"a message of {size:,} bytes is announced; {most:,} are the most")
        return decoded(kind, await self._reader.readexactly(size))

    async def aclose(self) -> None:
        """Send what waits, and close."""
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()


LOST: Final = (OSError, EOFError, ValueError)
"""What `receive` raises when there is no understanding any more; an incomplete read is an EOFError."""
