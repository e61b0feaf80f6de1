"""The engine on the other side of a share server: the same calls over HTTP, the same values and errors back.

Whole values travel (`Accept: application/vnd.prsm+json`), so nothing is lost on the way. A lost connection is asked
again under the same idempotency key: the server answers from its ledger instead of paying twice.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import secrets
import time
import weakref
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from prsm_lab import documents
from prsm_lab.engine.attempts import backoff
from prsm_lab.engine.bulk_door import AtTheServer
from prsm_lab.engine.remote_door import fault_of, greeting, packed
from prsm_lab.engine.remote_keys import RemoteKeys
from prsm_lab.engine.remote_models import RemoteModels
from prsm_lab.errors import AuthenticationError, NotFoundError, ProviderError, PRSMError
from prsm_lab.errors import TimeoutError as DeadlineError
from prsm_lab.providers import sse
from prsm_lab.types import Delta, Inference, Model, Record, Reply, Report, Run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    import aiohttp

    from prsm_lab.settings import Secret
    from prsm_lab.types import Query, Request

T = TypeVar("T")

MOST_AT_ONCE: Final = 64
"""Connections, where the key's tier allows more."""
GRACE_SECONDS: Final = 10.0
"""For the way there and back, beyond a question's own deadline."""
RECALL: Final = 2000
_LIMITED: Final = ("requests", "tokens", "concurrent")
"""Kinds of 429 that are the share server's own: waiting helps, and nothing was sent to a provider."""
_PASSING: Final = ("connection", "stopping", "gateway")
_ANY: Final = [{"role": "user", "content": "?"}]
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Remote(AtTheServer):
    """Answers through a share server.

    Args:
        url: Its address.
        key: The key that its owner gave.
        proxy_token: What a proxy in front of it asks for.
        max_retries: Further tries after a lost connection or a full house.
    """

    def __init__(
        self, url: str, key: Secret | None, *, proxy_token: Secret | None = None, max_retries: int = 2
    ) -> None:
        if key is None:
            raise AuthenticationError(
                f"No key for the share server {url}: set PRSM_API_KEY or pass api_key=; its owner makes one with "
                "share.new_key(name). Nothing was sent.",
                details={"parameter": "PRSM_API_KEY", "kind": "missing_key"},
            )
        self.url = url.removesuffix("/").removesuffix("/inference").removesuffix("/v1")
        self._key, self._proxy_token = key, proxy_token
        self._max_retries = max_retries
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seats: asyncio.Semaphore | None = None
        self.keys = RemoteKeys(self._asked)
        self.hosting = RemoteModels(self._asked, self._sent)

    # ------------------------------------------------------------------------------------------- one question

    async def create(self, request: Request) -> Inference:
        """Answer one question."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        deadline = None if request.timeout is None else time.monotonic() + request.timeout
        async with await self._seat():
            raw = await self._asked("POST", "/v1/inference", documents.asked(request), headers, deadline)
        return _decoded(raw, Inference)

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Inference, None]:
        """Answer in pieces; closing the iterator closes the connection, and the server its provider's."""
        said: list[str] = []
        async with await self._seat(), self._opened(request) as response, aclosing(_events(response)) as events:
            async for event in events:
                if event.data == b"[DONE]":
                    return
                piece = _piece(event, said, response.headers)
                if isinstance(piece, Delta):
                    said.append(piece.text)
                yield piece
        raise ProviderError(
            f"The share server {self.url} ended its stream in the middle of the answer.",
            details={"kind": "truncated"}, partial=Reply(text="".join(said)),
        )  # fmt: skip

    @asynccontextmanager
    async def _opened(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        limit = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
        # Alone, for jupyter-server-proxy holds back what accepts anything else too.
        headers = {"Accept": "text/event-stream", "X-PRSM-Accept": documents.WHOLE}
        body = _encode(documents.asked(request))
        fault: PRSMError | None = None
        try:
            async with self._connected().post(
                f"{self.url}/v1/inference/stream", data=body, headers=self._headers(headers), timeout=limit,
                allow_redirects=False,
            ) as response:  # fmt: skip
                if response.status >= 300:
                    raise fault_of(self.url, _json(await response.read()), response.status, response.headers)
                yield response
        except (aiohttp.ClientError, OSError) as lost:
            fault = self._unreachable(lost)
        if fault is not None:
            raise fault

    async def check(self, request: Request) -> None:
        """Raise what is wrong with a question; a run checks its template, which has no messages yet."""
        body = documents.asked(request)
        await self._asked("POST", "/v1/inference/check", {**body, "messages": body["messages"] or _ANY})

    async def worst_case(self, request: Request) -> float | None:  # noqa: ARG002 -- the seam's signature
        """Only the server knows its prices: unknown here."""
        return None

    async def refuse(self, request: Request, error: PRSMError) -> None:
        """Nothing to write down here: what the server refuses it writes down itself."""

    # ---------------------------------------------------------------------------------------------------- runs

    async def recall(
        self, requests: Sequence[Request], scope: str, keys: Sequence[bytes] | None = None,  # noqa: ARG002 -- the server's own
    ) -> list[Inference | None]:  # fmt: skip
        """Return what earlier runs already paid for."""
        known: list[Inference | None] = []
        for start in range(0, len(requests), RECALL):
            body = {**packed(requests[start : start + RECALL]), "scope": scope}
            raw = await self._asked("POST", "/v1/runs/recall", body)
            known += _decoded(raw, _Recalled).inferences
        return known

    async def begin(self, run: Run, requests: Sequence[Request]) -> None:
        """Write down what a run asks."""
        data = None if run.data is None else base64.b64encode(run.data).decode()
        await self._asked(
            "POST", "/v1/runs", {"run": {**msgspec.structs.asdict(run), "data": data}, **packed(requests)}
        )

    async def runs(self) -> list[Run]:
        """List past runs of this key's person."""
        return _decoded(await self._asked("GET", "/v1/runs"), _Runs).runs

    async def replay(self, run: str) -> tuple[Run, list[Record | None]]:
        """Return a run and the state of its questions."""
        found = _decoded(await self._asked("GET", f"/v1/runs/{quote(run, safe='')}"), _Replayed)
        return found.run, found.records

    # ------------------------------------------------------------------------------------------- what is known

    async def get(self, id: str, *, person: str | None = None) -> Record:  # noqa: ARG002 -- the key says who
        """Return what is known of one inference."""
        if not id.replace("_", "").replace("-", "").isalnum():
            raise NotFoundError(f"No inference {id!r:.80}.", details={"parameter": "inference_id"})
        return _decoded(await self._asked("GET", f"/v1/inference/{id}"), Record)

    async def receipts(self, ids: Sequence[str], *, person: str | None = None) -> list[Record]:  # noqa: ARG002 -- as above
        """Return what is known of many inferences of this key's person."""
        parts = [ids[start : start + RECALL] for start in range(0, len(ids), RECALL)]
        raw = [await self._asked("POST", "/v1/runs/receipts", {"ids": part}) for part in parts]
        return [record for body in raw for record in _decoded(body, _Receipts).records]

    async def history(self, limit: int, *, person: str | None = None) -> list[Record]:  # noqa: ARG002 -- as above
        """List the latest inferences of this key's person."""
        return _decoded(await self._asked("GET", f"/v1/inference?limit={limit}"), _Listed).data

    async def usage(self, query: Query) -> Report:
        """Sum up usage."""
        fields = {
            "timeframe": "all", "since": query.since, "until": query.until, "model": query.model,
            "provider": query.provider, "key": query.person, "group_by": ",".join(query.group_by) or None,
        }  # fmt: skip
        text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in fields.items() if value is not None)
        return _decoded(await self._asked("GET", f"/v1/inference/performance?{text}"), Report)

    async def models(self) -> tuple[Model, ...]:
        """Return the server's catalogue, as far as this key may ask it."""
        return _decoded(await self._asked("GET", "/v1/models"), _Models).models

    async def model(self, name: str) -> Model:
        """Return one model of the server's catalogue."""
        return _decoded(await self._asked("GET", f"/v1/models/{quote(name, safe='/')}"), Model)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.close()
        self._session = None

    # ------------------------------------------------------------------------------------------- over the wire

    def _connected(self) -> aiohttp.ClientSession:
        """One session per loop; it follows no redirect, so that the key reaches no other host."""
        import aiohttp

        here = asyncio.get_running_loop()
        if self._session is None or self._loop is not here or self._session.closed:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
            self._loop, self._seats = here, None
            weakref.finalize(self, _let_go, self._session, here)
        return self._session

    async def _seat(self) -> asyncio.Semaphore:
        """As many questions at once as the key's tier allows: a full house would only send the others away."""
        self._connected()
        if self._seats is None:
            limits = (await self.keys.me()).limits
            self._seats = self._seats or asyncio.Semaphore(min(limits.concurrent or MOST_AT_ONCE, MOST_AT_ONCE))
        return self._seats

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return {**greeting(self._key, self._proxy_token), "Accept": documents.WHOLE, **more}

    async def _asked(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> bytes:  # fmt: skip
        """Ask, and ask again where nothing can have been paid twice; return the answer's body."""
        content = None if body is None else _encode(body)
        retries = 0
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                return await self._once(method, path, content, headers or {}, left)
            except PRSMError as fault:
                wait = backoff(retries, 2.0, fault.retry_after, random.random())
                if not _again(fault) or (retries >= self._max_retries and not _waits(fault)):
                    raise
                if left is not None and wait > left:
                    raise
                if left is None and retries >= self._max_retries:
                    raise
            retries += 1
            await asyncio.sleep(wait)

    async def _sent(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        return await self._once(method, path, content, headers, None)

    async def _once(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], left: float | None
    ) -> bytes:
        import aiohttp

        limit = aiohttp.ClientTimeout(total=None if left is None else left + GRACE_SECONDS, sock_connect=10)
        fault: PRSMError
        try:
            async with self._connected().request(
                method, f"{self.url}{path}", data=content, headers=self._headers(headers), timeout=limit,
                allow_redirects=False,
            ) as response:  # fmt: skip
                raw = await response.read()
                if response.status < 300:
                    return raw
                fault = fault_of(self.url, _json(raw), response.status, response.headers)
        except TimeoutError:
            fault = DeadlineError(f"The share server {self.url} did not answer in time.", details={"kind": "deadline"})
        except (aiohttp.ClientError, OSError) as lost:
            fault = self._unreachable(lost)
        raise fault

    def _unreachable(self, lost: BaseException) -> ProviderError:
        return ProviderError(
            f"The share server {self.url} could not be reached ({type(lost).__name__}). Is it running, and is "
            "PRSM_API_URL right?",
            details={"kind": "connection"},
        )

    def __repr__(self) -> str:
        return f"<Remote {self.url}>"


def _let_go(session: aiohttp.ClientSession, there: asyncio.AbstractEventLoop) -> None:
    """Close the sockets of a client that nobody closed, without aiohttp's complaint at the end of a script."""
    if session.closed or not there.is_running():
        return
    closed = asyncio.run_coroutine_threadsafe(session.close(), there)
    try:
        asyncio.get_running_loop()  # collected on a loop: nobody may wait there
    except RuntimeError:
        with contextlib.suppress(TimeoutError):
            closed.result(1.0)


def _again(fault: PRSMError) -> bool:
    """May the same request be sent again? What pays has an idempotency key; what a provider says ends here."""
    if fault.provider is not None:
        return False
    kind = fault.details.get("kind")
    return (
        (fault.status == 429 and kind in _LIMITED and fault.verdict == "retry")
        or (fault.code == "conflict" and fault.retry_after is not None)
        or (fault.code == "provider_unavailable" and kind in _PASSING)
        or fault.code == "internal"
    )


def _waits(fault: PRSMError) -> bool:
    """Is it only a matter of time, for as long as the deadline allows?"""
    return fault.retry_after is not None


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[sse.Event, None]:
    splitter = sse.Splitter()
    async for chunk in response.content.iter_any():
        for event in splitter.feed(chunk):
            yield event
    for event in splitter.close():
        yield event


def _piece(event: sse.Event, said: Sequence[str], headers: Mapping[str, str]) -> Delta | Inference:
    found = _json(event.data)
    if isinstance(found, dict) and "error" in found:
        fault = documents.read_fault(found, 503, headers)
        fault.partial = fault.partial or Reply(text="".join(said))
        raise fault
    try:
        whole = msgspec.json.decode(event.data, type=_Piece)
    except msgspec.DecodeError:
        whole = _Piece()
    if whole.delta is None and whole.inference is None:
        raise ProviderError("The share server sent an event that cannot be read.", details={"kind": "malformed"})
    return whole.inference or whole.delta  # type: ignore[return-value]


class _Piece(msgspec.Struct):
    delta: Delta | None = None
    inference: Inference | None = None


class _Recalled(msgspec.Struct):
    inferences: list[Inference | None]


class _Runs(msgspec.Struct):
    runs: list[Run]


class _Replayed(msgspec.Struct):
    run: Run
    records: list[Record | None]


class _Receipts(msgspec.Struct):
    records: list[Record]


class _Listed(msgspec.Struct):
    data: list[Record]


class _Models(msgspec.Struct):
    models: tuple[Model, ...]


def _decoded(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderError(
            "The share server answered something that cannot be read; is PRSM_API_URL the address of one?",
            details={"kind": "malformed"},
        ) from None


def _json(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
