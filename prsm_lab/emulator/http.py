"""HTTP/1.1 by hand on asyncio's transports: small, fast, and able to break the protocol at any byte on purpose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REASONS = {
    200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
    413: "Content Too Large", 422: "Unprocessable Content", 424: "Failed Dependency", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    529: "Overloaded",
}  # fmt: skip


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One client's connection: parses requests, hands each to the handler in turn.

    Args:
        handle: Answers one request through this connection's `send` methods.
        lost: Called when the peer has gone.
    """

    def __init__(self, handle: Callable[[Connection, Asked], Awaitable[None]]) -> None:
        self._handle = handle
        self._buffer = b""
        self._waiting: asyncio.Queue[Asked] | None = None
        self._worker: asyncio.Task[None] | None = None
        self._resume: asyncio.Event | None = None
        self.transport: asyncio.Transport
        self.open = True
        self.broken = False
        """We cut it off on purpose."""
        self.on_close: Callable[[], None] | None = None

    # ------------------------------------------------------------------------------------- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """The client, or we, have gone."""
        self.open = False
        if self._resume is not None:
            self._resume.set()
        if self.on_close is not None:
            self.on_close()
        if self._worker is not None:
            self._worker.cancel()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._resume = asyncio.Event()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._resume is not None:
            self._resume.set()
            self._resume = None

    def data_received(self, data: bytes) -> None:
        """Bytes came: cut whole requests off."""
        self._buffer = self._buffer + data if self._buffer else data
        while (asked := self._cut()) is not None:
            if self._waiting is None:
                self._waiting = asyncio.Queue()
                self._worker = asyncio.get_running_loop().create_task(self._serve(self._waiting))
            self._waiting.put_nowait(asked)

    def _cut(self) -> Asked | None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        method, path, *_ = [*lines[0].split(" "), "", ""]
        if "chunked" in headers.get("transfer-encoding", ""):
            body, left = _unchunked(rest)
            if body is None:
                return None
        else:
            length = int(headers.get("content-length", "0") or 0)
            if len(rest) < length:
                return None
            body, left = rest[:length], rest[length:]
        self._buffer = left
        return Asked(method, path, headers, body)

    async def _serve(self, waiting: asyncio.Queue[Asked]) -> None:
        while True:
            await self._handle(self, await waiting.get())

    # ------------------------------------------------------------------------------------------------ answering

    def reply(self, status: int, headers: dict[str, str], body: bytes, *, kind: str = "application/json") -> None:
        """Send a whole answer."""
        self.write(head(status, {"content-type": kind, "content-length": str(len(body)), **headers}) + body)

    def begin(self, status: int, headers: dict[str, str], *, kind: str = "text/event-stream") -> None:
        """Begin an answer in chunks."""
        self.write(head(status, {"content-type": kind, "transfer-encoding": "chunked", **headers}))

    async def chunk(self, data: bytes) -> None:
        """Send one chunk, and wait while the client reads slowly."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))
        if self._resume is not None:
            await self._resume.wait()

    def end(self) -> None:
        """End an answer in chunks."""
        self.write(b"0\r\n\r\n")

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.open:
            self.transport.write(data)

    def close(self) -> None:
        """Close politely, once what was written is sent."""
        self.broken = True
        if self.open:
            self.transport.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.broken = True
        import socket
        import struct

        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n{lines}\r\n".encode("latin-1")


def _unchunked(rest: bytes) -> tuple[bytes | None, bytes]:
    body, left = b"", rest
    while True:
        size, end, left = left.partition(b"\r\n")
        if not end:
            return None, rest
        length = int(size.split(b";")[0] or b"0", 16)
        if len(left) < length + 2:
            return None, rest
        body, left = body + left[:length], left[length + 2 :]
        if length == 0:
            return body, left
