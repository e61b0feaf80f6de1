"""What the windows to OpenAI's and Anthropic's SDKs share: send, read capped, fold streams, translate faults.

The SDKs give the client: authentication, pools, their transports. Their models are left out (50 µs each): the
public low-level `client.post(path, cast_to=httpx2.Response, …)` returns the raw reply, which is decoded by typed
structs. Both SDKs come from one generator and name their exceptions alike, so one table serves both.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from prsm_lab.errors import AuthenticationError, ProviderError, PRSMError
from prsm_lab.providers import faults, sse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prsm_lab.settings import Access
    from prsm_lab.types import JSON, Delta, Reply, Request, Target

CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 60.0
"""Between two reads: the first token included. The caller's total deadline is held by `engine.attempts`."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a decoded body: more is no answer, and a compressed bomb can be made of little."""


class Fold(Protocol):
    """A stream on one wire."""

    def feed(self, event: sse.Event) -> list[Delta]: ...
    def partial(self) -> Reply: ...
    def end(self) -> Reply: ...


class Call(NamedTuple):
    """One request, ready for the wire, with how its answer is read."""

    path: str
    body: JSON
    headers: dict[str, str]
    dropped: tuple[str, ...]
    whole: Callable[..., Reply]
    fold: Callable[[str], Fold]


class Window:
    """Base of the SDK windows; a subclass makes the client and chooses the wire.

    Args:
        access: Where and with which key.
        pool: Most connections; also what is kept alive.
    """

    needs_key = True

    def __init__(self, access: Access, *, pool: int = 256) -> None:
        self.name = access.provider
        self.origin = access.origin or access.base_url
        self._access = access
        self._pool = pool
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _make_client(self) -> Any:
        raise NotImplementedError("a window makes its SDK's client")  # pragma: no cover

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        raise NotImplementedError("a window chooses its wire")  # pragma: no cover

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncIterator[Delta | Reply]:
        """Ask, and yield deltas when live, then the reply; raise nothing but `PRSMError`.

        A fault is raised outside the handler that caught it: an SDK's exception holds the request with its key,
        and must not hang on ours as context.
        """
        call = self._call(request, target, live=live)
        client = self._connected()
        response: Any = None
        fold = call.fold(self.name) if live else None
        fault: PRSMError | None = None
        sent = time.monotonic()
        try:
            response = await self._post(client, call)
            if fold is None:
                yield self._finished(call.whole(await self._read(response), provider=self.name), call)
            else:
                async for event in self._events(response):
                    for delta in fold.feed(event):
                        yield delta
                yield self._finished(fold.end(), call)
        except PRSMError as known:
            fault = known
        except (*_network_faults(), *self._sdk_faults()) as foreign:
            fault = self._translated(foreign, fold, response, time.monotonic() - sent)
        finally:
            if response is not None:
                await response.aclose()
        if fault is not None:
            fault.provider = fault.provider or self.name
            if fold is not None and fault.partial is None and response is not None:
                fault.partial = fold.partial()
            raise fault

    def _connected(self) -> Any:
        """The SDK's client, one per loop: connections of a closed loop are dead."""
        if self.needs_key and self._access.key is None:
            variable = self._access.key_variable
            raise AuthenticationError(
                f"No key for {self.name}: set {variable}, or pass "
                f"Client(providers={{{self.name!r}: {{'api_key': …}}}}). Nothing was sent.",
                provider=self.name, details={"parameter": variable, "kind": "missing_key"}, closes_route=True,
            )  # fmt: skip
        here = asyncio.get_running_loop()
        if self._client is None or self._loop is not here:
            self._client, self._loop = self._make_client(), here
        return self._client

    async def _post(self, client: Any, call: Call) -> Any:
        import httpx2

        return await client.post(
            call.path,
            cast_to=httpx2.Response,
            body=call.body,
            options={"headers": call.headers} if call.headers else {},
            stream=True,  # bodies of any kind are read here, capped
        )

    def _finished(self, reply: Reply, call: Call) -> Reply:
        return msgspec.structs.replace(reply, dropped=call.dropped) if call.dropped else reply

    async def _read(self, response: Any) -> bytes:
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MOST_BYTES:
                raise self._too_large()
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _events(self, response: Any) -> AsyncIterator[sse.Event]:
        splitter, size, begun = sse.Splitter(), 0, False
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MOST_BYTES:
                raise self._too_large()
            if not begun and (start := chunk.lstrip()[:1]):
                begun = True
                if start in b"{[<":
                    raise await self._no_stream(response, chunk)
            for event in splitter.feed(chunk):
                yield event
        for event in splitter.close():
            yield event

    async def _no_stream(self, response: Any, chunk: bytes) -> PRSMError:
        """A page or a JSON document where a stream should be."""
        body = chunk + b"".join([part async for part in response.aiter_bytes()]) if chunk[:1] == b"{" else chunk
        if chunk.lstrip()[:1] == b"<":
            return faults.malformed(self.name, "with an HTML page", hint="Is base_url right? A proxy may have answered.")
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            document = None
        if isinstance(document, dict) and document.get("error"):
            return faults.from_object(self.name, document["error"])
        return faults.malformed(self.name, "with one document where a stream was asked for")

    def _too_large(self) -> ProviderError:
        return faults.malformed(self.name, f"its body is larger than {MOST_BYTES // 2**20} MB")

    def _sdk_faults(self) -> tuple[type[Exception], ...]:
        raise NotImplementedError("a window names its SDK's base exception")  # pragma: no cover

    def _translated(self, foreign: BaseException, fold: Fold | None, response: Any, elapsed: float) -> PRSMError:
        """One table from everybody's exceptions to our tree."""
        partial = fold.partial() if fold is not None and response is not None else None
        status = getattr(foreign, "status_code", None)
        if isinstance(status, int) and status != 200:
            reply = foreign.response  # type: ignore[attr-defined]
            return faults.from_status(self.name, status, reply.headers, foreign.body, partial=partial)  # type: ignore[attr-defined]
        names = {cls.__name__ for cls in type(foreign).__mro__}
        if status == 200 or (body := getattr(foreign, "body", None)) is not None:
            return faults.from_object(self.name, getattr(foreign, "body", None) or {}, partial=partial)
        if names & {"DecodingError", "ContentDecodingError", "PayloadEncodingError"}:
            return faults.malformed(self.name, "its body cannot be decoded", partial=partial)
        if names & {"APITimeoutError", "TimeoutException", "TimeoutError"} and elapsed >= CONNECT_SECONDS * 0.9:
            # the aiohttp transport reports refused connections as time-outs too; those come at once
            waited = "connect" if response is None and elapsed < IDLE_SECONDS * 0.9 else "first token"
            return faults.timed_out(self.name, waited if partial is None else "between tokens", partial=partial)
        return faults.connection(self.name, foreign, origin=self._access.base_url, partial=partial)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None


def _network_faults() -> tuple[type[BaseException], ...]:
    """What transports raise past the SDKs."""
    import aiohttp
    import httpx2

    return (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError, OSError, UnicodeError)
