"""uvicorn's HTTP protocol with the deadlines it lacks: a connection must say what it wants, and soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

    from prsm_lab.server import Terms

HEADER_SECONDS: Final = 10.0
MOST_HEADER_BYTES: Final = 32 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. Headers that come too slowly or are too long end it; bodies are timed where they are read."""

    _deadline: TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size = 0
        if self._deadline is None:
            self._expect()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._arrived()
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MOST_HEADER_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._refuse, b"408 Request Timeout")

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()


def config(app: Any, terms: Terms) -> Any:
    """Return uvicorn's configuration: no proxy is trusted, nothing is logged by it, nothing says what we run."""
    import uvicorn

    return uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", loop="none", interface="asgi3", proxy_headers=False,
        server_header=False, date_header=True, access_log=False, log_config=None, root_path=terms.root_path,
        ssl_certfile=terms.certfile, ssl_keyfile=terms.keyfile, timeout_keep_alive=30,
        timeout_graceful_shutdown=5, backlog=2048,
    )  # fmt: skip
